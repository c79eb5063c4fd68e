//! `qingxi replay`: recorded frames through the same sessions and engine that live sockets use; or events that are kept.

pub(crate) mod drive;
mod orders;
mod past;
mod verify;

use crate::error::{Error, Result};
use crate::events::Keeper;
use crate::events::part::Part;
use crate::term::{Cell, Table, paint};
use drive::{Place, Replay, Sink};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Event, write_mantissa};
use orders::Rebuilt;
use serde_json::{Value, json};
use source::{Malformed, Source};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tape::Reader;
use verify::{Findings, Tracked, Verifier};

/// Replays recordings: our tapes, hft lines, cryptofeed text and jsonl, Level-2 logs; gzip, zstd and zip are found by
/// content. Or, with `--from-store`, events that are kept, as a live stream.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Reads every connection as this source's, instead of finding it by content; with `--from-store` replays only what
    /// this source told.
    #[arg(long)]
    source: Option<String>,
    /// Writes every event as a JSON line to this file (`-` for standard output, which is the default with `--from-store`).
    #[arg(long, value_name = "OUT.jsonl")]
    events: Option<PathBuf>,
    /// Writes the final book of every instrument to this file.
    #[arg(long, value_name = "OUT.json")]
    books: Option<PathBuf>,
    /// Keeps every event in the log of this folder, as a running platform does.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Reports what was checked for each instrument; exit code 1 where anything is wrong.
    #[arg(long)]
    verify: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Replays what is kept in this folder, as in `store.dir`; it may be in use. Every event has the flag `replayed`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "books", "store", "verify"])]
    from_store: Option<PathBuf>,
    #[command(flatten)]
    part: Part,
    /// With `--from-store`: how much faster than it was; `max` for no pauses.
    #[arg(long, value_parser = serve::speed, default_value = "1", requires = "from_store")]
    speed: f64,
    /// With `--from-store`: serves it at this address by REST, stream and page, as `run` serves what is live; metrics and
    /// probes take any port that is free.
    #[arg(long, value_name = "ADDR", requires = "from_store", conflicts_with = "events")]
    serve: Option<SocketAddr>,
    /// The recordings; several are one stream in this order.
    #[arg(required_unless_present = "from_store")]
    files: Vec<PathBuf>,
}

/// How a replay ended: its exit code.
pub const RIGHT: u8 = 0;
/// Something that was checked is wrong.
pub const WRONG: u8 = 1;
/// A file is damaged or missing.
pub const DAMAGED: u8 = 2;

/// Where events go: to the verifier, and as lines to a file.
struct Output {
    verifier: Verifier,
    lines: Option<(PathBuf, BufWriter<Box<dyn Write>>)>,
    text: Vec<u8>,
    failed: Option<std::io::Error>,
    keeper: Option<Keeper>,
    unkept: Option<Error>,
}

impl Sink for Output {
    fn frame(&mut self, source: &'static str) {
        self.verifier.frame(source);
    }

    fn event(&mut self, event: &Event) {
        self.verifier.event(event);
        if self.unkept.is_none()
            && let Some(keeper) = &mut self.keeper
        {
            self.unkept = keeper.put(event).err();
        }
        if let Some((_, lines)) = &mut self.lines {
            self.text.clear();
            wire::event_json(event, None, None, &mut self.text);
            self.text.push(b'\n');
            if let Err(error) = lines.write_all(&self.text) {
                self.failed.get_or_insert(error);
            }
        }
    }

    fn control(&mut self) {
        self.verifier.control();
    }

    fn malformed(&mut self, place: Place, fault: &Malformed, frame: &[u8]) {
        self.verifier.malformed(place, fault, frame);
    }

    fn unknown(&mut self, what: &str) {
        self.verifier.unknown(what);
    }

    fn foreign(&mut self) {
        self.verifier.foreign();
    }
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where an output cannot be written, the source is unknown or a store does not read. A damaged recording is not an error
/// but exit code 2.
pub async fn run(args: &Args) -> Result<u8> {
    match &args.from_store {
        Some(dir) => past::run(args, dir).await,
        None if !args.part.is_all() => {
            let words =
                "--instrument, --kind, --from and --to choose of what is kept: they need --from-store";
            Err(Error::History(words.to_owned()))
        }
        None => tokio::task::block_in_place(|| recordings(args)),
    }
}

fn recordings(args: &Args) -> Result<u8> {
    let forced = args.source.as_deref().map(known_source).transpose()?;
    let lines = args.events.as_deref().map(create).transpose()?;
    let keeper = args.store.as_deref().map(Keeper::new).transpose()?;
    let (verifier, text) = (Verifier::default(), Vec::new());
    let mut out = Output { verifier, lines, text, failed: None, keeper, unkept: None };
    let mut replay = Replay::new(forced, &mut out);
    let progress = progress(args);
    let damage = read_all(&args.files, &mut replay, &progress);
    let (connections, sources) = (replay.connections(), replay.sources());
    out.verifier.finish();
    progress.finish_and_clear();
    finish_lines(&mut out)?;
    out.unkept.map_or(Ok(()), Err)?;
    out.keeper.map_or(Ok(()), Keeper::finish)?;
    if let Some(path) = &args.books {
        write_books(path, &out.verifier)?;
    }
    if args.json {
        println!("{}", report_json(&out.verifier, connections, damage.as_ref()));
    } else {
        print_report(&out.verifier, &sources, connections, args.verify);
    }
    if let Some(damage) = damage {
        crate::error::print(&Error::Tape(damage));
        return Ok(DAMAGED);
    }
    Ok(if args.verify && !out.verifier.is_right() { WRONG } else { RIGHT })
}

fn known_source(name: &str) -> Result<&'static dyn Source> {
    crate::sources::named(name).ok_or_else(|| Error::UnknownSource { name: name.to_owned() })
}

fn create(path: &Path) -> Result<(PathBuf, BufWriter<Box<dyn Write>>)> {
    let file: Box<dyn Write> = if path.as_os_str() == "-" {
        Box::new(std::io::stdout())
    } else {
        Box::new(File::create(path).map_err(|source| Error::Write { path: path.to_owned(), source })?)
    };
    Ok((path.to_owned(), BufWriter::with_capacity(1 << 20, file)))
}

fn finish_lines(out: &mut Output) -> Result<()> {
    let Some((path, mut lines)) = out.lines.take() else { return Ok(()) };
    let flushed = lines.flush().err();
    match out.failed.take().or(flushed) {
        Some(source) => Err(Error::Write { path, source }),
        None => Ok(()),
    }
}

fn progress(args: &Args) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} records  {per_sec}  {msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Reads the files one after the other; stops at the first damage and gives it.
fn read_all<S: Sink>(
    files: &[PathBuf],
    replay: &mut Replay<'_, S>,
    progress: &ProgressBar,
) -> Option<tape::Error> {
    let mut count: u64 = 0;
    for path in files {
        progress.set_message(path.display().to_string());
        replay.next_file();
        let reader = match Reader::open(path) {
            Ok(reader) => reader,
            Err(error) => return Some(error),
        };
        for record in reader {
            match record {
                Ok(record) => replay.on(record),
                Err(error) => return Some(error),
            }
            count += 1;
            if count.is_multiple_of(4_096) {
                progress.set_position(count);
            }
        }
    }
    None
}

fn sorted(verifier: &Verifier) -> Vec<(&str, &str, &str, &Findings)> {
    let mut all: Vec<_> = verifier
        .found
        .values()
        .map(|(instrument, source, findings)| (*source, &*instrument.name, &*instrument.symbol, findings))
        .collect();
    all.sort_unstable_by_key(|(source, name, symbol, _)| (*source, *name, *symbol));
    all
}

fn sorted_books(verifier: &Verifier) -> Vec<&Tracked> {
    let mut all: Vec<&Tracked> = verifier.books.values().collect();
    all.sort_unstable_by(|a, b| {
        (a.source, &a.instrument.name, a.channel).cmp(&(b.source, &b.instrument.name, b.channel))
    });
    all
}

fn sorted_rebuilt(verifier: &Verifier) -> Vec<&Rebuilt> {
    let mut all: Vec<&Rebuilt> = verifier.rebuilt.values().filter(|rebuilt| rebuilt.has_orders()).collect();
    all.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    all
}

fn text(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::new();
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn book_json(tracked: &Tracked) -> Value {
    let instrument = &tracked.instrument;
    let level =
        |l: model::Level| json!([text(l.px.0, instrument.px_scale), text(l.qty.0, instrument.qty_scale)]);
    json!({
        "source": tracked.source,
        "instrument": &*instrument.name,
        "symbol": &*instrument.symbol,
        "channel": tracked.channel.name(),
        "state": tracked.state,
        "seq": tracked.book.seq(),
        "bids": tracked.book.bids().map(level).collect::<Vec<_>>(),
        "asks": tracked.book.asks().map(level).collect::<Vec<_>>(),
    })
}

fn write_books(path: &Path, verifier: &Verifier) -> Result<()> {
    let books: Vec<Value> = sorted_books(verifier).into_iter().map(book_json).collect();
    std::fs::write(path, json!({ "books": books }).to_string())
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn report_json(verifier: &Verifier, connections: usize, damage: Option<&tape::Error>) -> Value {
    let instruments: Vec<Value> = sorted(verifier)
        .into_iter()
        .map(|(source, name, symbol, f)| {
            json!({
                "source": source, "instrument": name, "symbol": symbol, "frames": f.frames, "events": f.kinds,
                "gaps": f.gaps, "gaps_total": f.gaps.values().sum::<u64>(),
                "checksums_right": f.checksums.0, "checksums_wrong": f.checksums.1,
                "quotes_equal": f.quotes.0, "quotes_different": f.quotes.1,
                "crossed": f.crossed, "sequence_breaks": f.breaks,
            })
        })
        .collect();
    let books: Vec<Value> = sorted_books(verifier)
        .into_iter()
        .map(|b| {
            json!({ "source": b.source, "instrument": &*b.instrument.name, "channel": b.channel.name(), "state": b.state,
                    "seq": b.book.seq(), "levels": b.book.len() })
        })
        .collect();
    let orders: Vec<Value> = sorted_rebuilt(verifier).into_iter().map(Rebuilt::json).collect();
    json!({
        "frames": verifier.frames.values().sum::<u64>(), "frames_by_source": verifier.frames,
        "connections": connections, "control_messages": verifier.controls, "malformed": verifier.malformed.0,
        "malformed_samples": verifier.malformed.1, "foreign_records": verifier.foreign,
        "unknown": verifier.unknown.keys().collect::<Vec<_>>(), "unknown_counts": verifier.unknown,
        "instruments": instruments, "books": books, "orders": orders, "right": verifier.is_right(),
        "damage": damage.map(|damage| crate::error::chain(damage)),
    })
}

fn print_report(verifier: &Verifier, sources: &[&str], connections: usize, verify: bool) {
    let frames: u64 = verifier.frames.values().sum();
    println!(
        "{frames} frames of {} over {connections} connections: {} control messages, {} unreadable",
        if sources.is_empty() { "no known source".to_owned() } else { sources.join(", ") },
        verifier.controls,
        verifier.malformed.0
    );
    let mut table =
        Table::new(&["instrument", "frames", "events", "gaps", "checksums", "quotes", "crossed", "book"]);
    for (_, name, _, f) in sorted(verifier) {
        let book = sorted_books(verifier).into_iter().find(|b| &*b.instrument.name == name);
        table.row(vec![
            Cell::left(name),
            Cell::right(f.frames),
            Cell::right(f.kinds.values().sum::<u64>()),
            Cell::count_bad(f.gaps.values().sum::<u64>() + f.breaks),
            Cell::of_total(f.checksums),
            Cell::of_total(f.quotes),
            Cell::count_bad(f.crossed),
            Cell::left(&book.map_or(String::new(), |b| format!("{} {} levels", b.state, b.book.len()))),
        ]);
    }
    table.print();
    for rebuilt in sorted_rebuilt(verifier) {
        rebuilt.print();
    }
    for what in &verifier.malformed.1 {
        println!("{} {what}", paint("unreadable:", "31"));
    }
    if verifier.foreign > 0 {
        println!("{} {} records of no known source", paint("unknown:", "33"), verifier.foreign);
    }
    if !verifier.unknown.is_empty() {
        let counted = |(what, times): (&String, &u64)| match times {
            1 => what.clone(),
            _ => format!("{what} ({times} times)"),
        };
        let all: Vec<String> = verifier.unknown.iter().map(counted).collect();
        println!("{} {}", paint("unknown fields or values:", "33"), all.join(", "));
    }
    if verify {
        let (word, colour) = if verifier.is_right() {
            ("everything checked is right", "32")
        } else {
            ("something is wrong", "31")
        };
        println!("{}", paint(word, colour));
    }
}
