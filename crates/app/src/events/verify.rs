//! `qingxi verify`: reads every byte of log and files, or of tapes, and says what is there and what is not.

use super::log_reader;
use crate::error::Result;
use crate::history::shown;
use crate::replay::{RIGHT, WRONG};
use crate::tapes;
use crate::term::{Cell, Table, paint};
use bus::Cursor;
use model::Ts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use store::log::{Entry, Found, Lost, Torn};
use store::{FileCheck, Note, Reader, TableSize};

/// How many damages, holes and losses are shown each; all are counted.
const SHOWN_MAX: usize = 100;

/// Reads what is kept, log and files: checksums, order, continuity. Of tapes: checksums and the chain of their blocks. Exit
/// code 1 where something is damaged or missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`; or a tape, or a folder of tapes. It may be in use.
    dir: PathBuf,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// What one life of a bus left.
#[derive(Default)]
struct Epoch {
    events: u64,
    first: Option<(u64, Ts)>,
    last: Option<(u64, Ts)>,
    closed: bool,
}

/// What the log holds.
#[derive(Default)]
struct Report {
    epochs: BTreeMap<u64, Epoch>,
    kinds: BTreeMap<&'static str, u64>,
    sources: BTreeMap<&'static str, u64>,
    lost_events: u64,
    lost: Vec<Value>,
    missing_events: u64,
    holes: Vec<Value>,
    damages: u64,
    damaged: Vec<Value>,
    torn: Vec<Value>,
    tables: BTreeMap<&'static str, TableSize>,
    notes: Vec<Value>,
}

impl Report {
    fn take(&mut self, found: Found) {
        match found {
            Found::Entry(Entry::Event(published)) => {
                let Cursor { epoch, number } = published.cursor;
                let epoch = self.epochs.entry(epoch).or_default();
                epoch.events += 1;
                epoch.first.get_or_insert((number, published.ts_pub));
                epoch.last = Some((number, published.ts_pub));
                *self.kinds.entry(wire::kind(&published.event.body)).or_default() += 1;
                *self.sources.entry(published.event.source).or_default() += 1;
            }
            Found::Entry(Entry::Lost(Lost { epoch, from, to, why })) => {
                self.lost_events += to.saturating_sub(from) + 1;
                show(&mut self.lost, json!({ "epoch": epoch, "from": from, "to": to, "why": why }));
            }
            Found::Hole { epoch, from, to } => {
                self.missing_events += to.saturating_sub(from) + 1;
                show(&mut self.holes, json!({ "epoch": epoch, "from": from, "to": to }));
            }
            Found::Damage { file, byte, bytes, what } => {
                self.damages += 1;
                show(&mut self.damaged, json!({ "file": file, "byte": byte, "bytes": bytes, "what": what }));
            }
            Found::Torn(Torn { file, byte, bytes }) => {
                show(&mut self.torn, json!({ "file": file, "byte": byte, "bytes": bytes }));
            }
            Found::Closed(Cursor { epoch, .. }) => self.epochs.entry(epoch).or_default().closed = true,
        }
    }

    /// Takes what holding the Parquet files against the catalogue gave.
    fn take_files(&mut self, reader: &Reader) -> Result<()> {
        for FileCheck { path, table, rows, bytes, fault, .. } in reader.check() {
            let files = self.tables.entry(table.name()).or_default();
            files.files += 1;
            files.rows += rows;
            files.bytes += bytes;
            if let Some(fault) = fault {
                self.damages += 1;
                show(&mut self.damaged, json!({ "file": path, "bytes": bytes, "what": fault }));
            }
        }
        for Note { at, what, table, count, why } in reader.notes()? {
            show(
                &mut self.notes,
                json!({ "at": at.0, "what": what, "table": table, "count": count, "why": why }),
            );
        }
        Ok(())
    }

    fn is_right(&self) -> bool {
        self.damages == 0 && self.missing_events == 0
    }

    fn json(&self, files: usize, bytes: u64) -> Value {
        let epochs: Vec<Value> = self
            .epochs
            .iter()
            .map(|(number, epoch)| {
                json!({
                    "epoch": number, "events": epoch.events, "closed": epoch.closed,
                    "first": epoch.first.map(|(number, _)| number), "last": epoch.last.map(|(number, _)| number),
                    "from": epoch.first.map(|(_, ts)| ts.0), "to": epoch.last.map(|(_, ts)| ts.0),
                })
            })
            .collect();
        json!({
            "files": files, "bytes": bytes, "right": self.is_right(), "epochs": epochs,
            "events": self.epochs.values().map(|e| e.events).sum::<u64>(), "kinds": self.kinds,
            "sources": self.sources, "lost_events": self.lost_events, "lost": self.lost,
            "missing_events": self.missing_events, "holes": self.holes, "damages": self.damages,
            "damaged": self.damaged, "torn": self.torn, "notes": self.notes,
            "tables": self.tables.iter().map(|(name, files)| json!({
                "table": name, "files": files.files, "rows": files.rows, "bytes": files.bytes,
            })).collect::<Vec<_>>(),
        })
    }

    fn print(&self, files: usize, bytes: u64) {
        println!("{files} segments, {bytes} bytes");
        let mut table = Table::new(&["epoch", "first", "last", "events", "from", "to", "end"]);
        for (number, epoch) in &self.epochs {
            let number_of =
                |at: Option<(u64, Ts)>| at.map_or("-".to_owned(), |(number, _)| number.to_string());
            let time_of = |at: Option<(u64, Ts)>| at.map_or("-".to_owned(), |(_, ts)| shown(ts));
            table.row(vec![
                Cell::right(number),
                Cell::right(number_of(epoch.first)),
                Cell::right(number_of(epoch.last)),
                Cell::right(epoch.events),
                Cell::left(&time_of(epoch.first)),
                Cell::left(&time_of(epoch.last)),
                Cell::left(if epoch.closed { "closed" } else { "open, or killed" }),
            ]);
        }
        table.print();
        if !self.tables.is_empty() {
            let mut table = Table::new(&["table", "files", "rows", "bytes", "bytes a row"]);
            for (name, TableSize { files, rows, bytes }) in &self.tables {
                table.row(vec![
                    Cell::left(name),
                    Cell::right(files),
                    Cell::right(rows),
                    Cell::right(bytes),
                    Cell::right(format!("{:.1}", *bytes as f64 / (*rows).max(1) as f64)),
                ]);
            }
            table.print();
        }
        let counted = |all: &BTreeMap<&str, u64>| {
            let all: Vec<String> = all.iter().map(|(what, count)| format!("{what} {count}")).collect();
            all.join(", ")
        };
        println!("kinds: {}", counted(&self.kinds));
        println!("sources: {}", counted(&self.sources));
        for (word, colour, all) in [
            ("never acknowledged:", "33", &self.torn),
            ("lost, as the log says:", "33", &self.lost),
            ("of what was kept:", "33", &self.notes),
            ("damaged:", "31", &self.damaged),
            ("missing:", "31", &self.holes),
        ] {
            for what in all {
                println!("{} {what}", paint(word, colour));
            }
        }
        let missing = self.missing_events;
        if self.is_right() {
            println!("{}", paint("every event is there or told as lost", "32"));
        } else {
            let told = format!("{} damages, {missing} events are missing", self.damages);
            println!("{}", paint(&told, "31"));
        }
    }
}

fn show(all: &mut Vec<Value>, what: Value) {
    if all.len() < SHOWN_MAX {
        all.push(what);
    }
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where the folder or a file cannot be read.
pub fn run(args: &Args) -> Result<u8> {
    if tapes::are_at(&args.dir) {
        return tapes::verify::run(&args.dir, args.json);
    }
    let mut reader = log_reader(&args.dir)?;
    let mut report = Report::default();
    for found in &mut reader {
        report.take(found?);
    }
    report.take_files(&Reader::open(&args.dir)?)?;
    if args.json {
        println!("{}", report.json(reader.files(), reader.bytes()));
    } else {
        report.print(reader.files(), reader.bytes());
    }
    Ok(if report.is_right() { RIGHT } else { WRONG })
}
