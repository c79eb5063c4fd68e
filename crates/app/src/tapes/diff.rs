//! `qingxi diff`: what one recorder has that another lacks.

use super::{faults, files, hex, seams, short, verify};
use crate::error::Result;
use crate::history::shown;
use crate::replay::{RIGHT, WRONG};
use crate::term::{Cell, Table, paint};
use model::Ts;
use serde_json::{Value, json};
use std::path::PathBuf;
use tape::{Comparison, HASHES_MAX, Named, Root, Shares, Stream};

/// Holds the tapes of two recorders against each other, frame by frame, by content. Exit code 1 where they differ or a tape
/// is damaged.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A tape, or a folder of tapes.
    a: PathBuf,
    /// Another one.
    b: PathBuf,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where a folder or a file cannot be read, or a file is no recording.
pub fn run(args: &Args) -> Result<u8> {
    let (a, b) = (files(&args.a)?, files(&args.b)?);
    let all = tape::compare([&a, &b], HASHES_MAX)?;
    let [of_a, of_b] = &all.chains;
    let sound = [of_a, of_b]
        .iter()
        .all(|chains| faults(chains).is_empty() && !seams(chains).iter().any(|(wrong, _)| *wrong));
    let same = all.is_same();
    if args.json {
        println!("{}", json(&all, same, sound));
    } else {
        print(&all, same);
    }
    Ok(if same && sound { RIGHT } else { WRONG })
}

fn json(all: &Comparison, same: bool, sound: bool) -> Value {
    let [a, b] = &all.chains;
    let files = |chains: &[tape::Chain]| chains.iter().map(verify::file).collect::<Vec<_>>();
    let broken = |chains| seams(chains).into_iter().filter(|(wrong, _)| *wrong).map(|(_, words)| words);
    let broken: Vec<String> = broken(a).chain(broken(b)).collect();
    let streams: Vec<Value> = all.streams.iter().map(|(name, shares)| stream(name, shares)).collect();
    json!({
        "same": same, "sound": sound, "broken": broken, "a": files(a), "b": files(b), "streams": streams,
        "passes": all.passes,
    })
}

fn stream((source, address): &Stream, shares: &Shares) -> Value {
    let root =
        |root: &Option<Root>| root.map(|root| json!({ "frames": root.frames, "root": hex(&root.hash) }));
    let days: Vec<Value> = shares
        .days
        .iter()
        .map(|(date, [a, b])| json!({ "day": date.to_string(), "a": root(a), "b": root(b), "same": a == b }))
        .collect();
    let named = |named: &Vec<Named>| named.iter().map(frame).collect::<Vec<_>>();
    let [a, b] = &shares.named;
    let span = shares.span.map(|span| span.map(|(first, last)| [first.0, last.0]));
    json!({
        "source": source, "address": address, "frames": shares.frames, "both": shares.both, "only": shares.only,
        "copies": shares.copies, "span": span, "days": days, "only_a": named(a), "only_b": named(b),
    })
}

fn frame(named: &Named) -> Value {
    json!({
        "ts": named.ts.0, "conn": named.conn, "times": named.times, "copy": named.copy, "hash": hex(&named.hash),
        "begin": named.begin,
    })
}

fn print(all: &Comparison, same: bool) {
    let mut table = Table::new(&["source", "address", "day", "A", "B", "root of A", "root of B"]);
    for ((source, address), shares) in &all.streams {
        for (date, [a, b]) in &shares.days {
            let frames = |root: &Option<Root>| root.map_or(0, |root| root.frames);
            let root = |root: &Option<Root>| root.as_ref().map_or("-".to_owned(), |root| short(&root.hash));
            table.row(vec![
                Cell::left(source),
                Cell::left(address),
                Cell::left(&date.to_string()),
                Cell::right(frames(a)),
                Cell::right(frames(b)),
                Cell::left(&root(a)),
                Cell::left(&if a == b { "the same".to_owned() } else { root(b) }),
            ]);
        }
    }
    table.print();
    for ((source, address), shares) in &all.streams {
        let [only_a, only_b] = shares.only;
        println!(
            "{source} {address}: {} frames in both, {only_a} only in A, {only_b} only in B",
            shares.both
        );
        let when = |span: Option<(Ts, Ts)>| {
            span.map_or("nothing".to_owned(), |(first, last)| format!("{} to {}", shown(first), shown(last)))
        };
        let [a, b] = shares.span.map(when);
        println!("  A {a}\n  B {b}");
        for (word, count, named) in [("A", only_a, shares.named.first()), ("B", only_b, shares.named.last())]
        {
            for Named { ts, conn, times, copy, begin, .. } in named.into_iter().flatten() {
                let more = if *copy { " (a further copy)" } else { "" };
                let word = paint(&format!("only in {word}:"), "33");
                println!("{word} {times} × {} connection {conn}{more} {begin}", shown(*ts));
            }
            let told: u64 = named.into_iter().flatten().map(|named| named.times).sum();
            if count > told {
                println!("and {} more only in {word}", count - told);
            }
        }
    }
    for chains in &all.chains {
        for (_, words) in seams(chains).iter().filter(|(wrong, _)| *wrong) {
            println!("{} {words}", paint("broken:", "31"));
        }
        for fault in faults(chains) {
            println!("{} {fault}", paint("damaged:", "31"));
        }
    }
    if same {
        println!("{}", paint("both have the same frames", "32"));
    } else {
        println!("{}", paint("they differ", "31"));
    }
}
