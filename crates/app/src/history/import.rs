//! `qingxi import`: events from archive files, for machines with no network: the venues' own CSV archives (plain, gzip or
//! zip) and Tardis CSV, which is told by its header.

use super::tardis::Tardis;
use super::{Output, shown};
use crate::error::{Error, Result};
use crate::sources::named;
use crate::term::{Cell, Table, paint};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Channel, Event, Instrument, InstrumentKind, Ts};
use source::{Past, Source};
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many bad rows of a file are shown.
const SHOWN_MAX: usize = 5;

/// Reads archive files into events.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The files: .csv, .csv.gz, .zip.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose data they are.
    #[arg(long)]
    source: String,
    /// The venue's section, where one symbol can mean two things: `spot`, `usdm`.
    #[arg(long, default_value = "")]
    product: String,
    /// The venue's symbol; needed where a file does not tell it (Tardis files do).
    #[arg(long)]
    symbol: Option<String>,
    /// The kind of data; needed where a file does not tell it (Tardis files do).
    #[arg(long)]
    channel: Option<String>,
    /// The interval of bars.
    #[arg(long, default_value = "1m")]
    interval: String,
    /// The folder that events are written to, in a file for each input.
    #[arg(long, default_value = "qingxi-data/history")]
    out: PathBuf,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one file.
#[derive(serde::Serialize)]
struct Done {
    file: String,
    out: String,
    rows: u64,
    events: u64,
    bad: u64,
    /// The first bad rows, in words.
    faults: Vec<String>,
    #[serde(skip)]
    span: Option<(Ts, Ts)>,
}

/// What makes events of rows.
enum Rows {
    Tardis(Tardis),
    Venue(&'static dyn Source, Past),
}

/// Runs the command; exit code 1 where rows could not be read.
///
/// # Errors
/// Where a file cannot be opened or written, or does not tell what it is.
pub fn run(args: &Args) -> Result<u8> {
    let Some(source) = named(&args.source) else {
        return Err(Error::UnknownSource { name: args.source.clone() });
    };
    let mut all = Vec::new();
    for path in &args.files {
        all.push(one(args, source, path)?);
    }
    let bad: u64 = all.iter().map(|done| done.bad).sum();
    if args.json {
        println!("{}", serde_json::json!({ "files": all }));
    } else {
        print(&all);
    }
    Ok(u8::from(bad > 0))
}

fn one(args: &Args, source: &'static dyn Source, path: &Path) -> Result<Done> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let (text, bar) = open(path, args.json).map_err(failed)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem =
        [".csv.gz", ".csv", ".zip", ".gz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let out = args.out.join(&args.source).join(format!("{stem}.jsonl"));
    let mut output = Output::open(&out, 0)?;
    let mut done = Done {
        file: path.display().to_string(),
        out: out.display().to_string(),
        rows: 0,
        events: 0,
        bad: 0,
        faults: Vec::new(),
        span: None,
    };
    let mut rows: Option<Rows> = None;
    let mut record = csv::StringRecord::new();
    let mut events = Vec::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) if error.is_io_error() => {
                let why = std::io::Error::other(error);
                return Err(Error::Read { path: path.to_owned(), source: why });
            }
            Err(error) => {
                done.fault(error.to_string());
                continue;
            }
        }
        let fields: Vec<&str> = record.iter().collect();
        if rows.is_none() {
            let made = begin(args, source, &fields, path)?;
            let header = matches!(made, Rows::Tardis(_));
            rows = Some(made);
            if header {
                continue;
            }
        }
        let Some(rows) = &mut rows else { continue };
        done.rows += 1;
        match rows.read(&fields, &mut events) {
            Ok(()) => {}
            // The first line of a venue's file may name its columns.
            Err(_) if done.rows == 1 && is_header(&fields) => done.rows = 0,
            Err(why) => {
                let line = record.position().map_or(0, csv::Position::line);
                done.fault(format!("line {line}: {why}"));
            }
        }
        done.write(&mut output, &mut events)?;
    }
    if let Some(Rows::Tardis(tardis)) = &mut rows {
        tardis.end(&mut events);
        done.write(&mut output, &mut events)?;
    }
    output.sync()?;
    bar.finish_and_clear();
    Ok(done)
}

fn is_header(fields: &[&str]) -> bool {
    fields.first().is_some_and(|first| first.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// From its first line, how a file is read.
fn begin(args: &Args, source: &'static dyn Source, first: &[&str], path: &Path) -> Result<Rows> {
    let spec = source.spec();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let forced = args.channel.as_deref().map_or(name.contains("liquidations"), |c| c == "liquidations");
    if let Some(tardis) = Tardis::of(spec.name, &args.product, first, forced) {
        return Ok(Rows::Tardis(tardis));
    }
    let unknown = |what: &str| {
        Error::History(format!(
            "{} does not tell its {what}: give --{what} (files of Tardis begin with `exchange,symbol,timestamp,local_timestamp`)",
            path.display()
        ))
    };
    let symbol = args.symbol.as_deref().ok_or_else(|| unknown("symbol"))?;
    let channel = args.channel.as_deref().ok_or_else(|| unknown("channel"))?;
    let channel = Channel::parse(channel)
        .ok_or_else(|| Error::History(format!("`{channel}` is no channel: trades, agg_trades, bars")))?;
    let instrument = Instrument::provisional(spec.name, &args.product, symbol, InstrumentKind::Spot);
    let (from, to) = (Ts(i64::MIN), Ts(i64::MAX));
    let (source_name, interval) = (spec.name, args.interval.clone());
    let past = Past {
        source: source_name,
        instrument: Arc::new(instrument),
        channel,
        interval,
        from,
        to,
        ids: None,
    };
    Ok(Rows::Venue(source, past))
}

impl Rows {
    fn read(&mut self, fields: &[&str], out: &mut Vec<Event>) -> std::result::Result<(), String> {
        match self {
            Self::Tardis(tardis) => tardis.read(fields, out),
            Self::Venue(source, past) => {
                for _ in 0..2 {
                    match source.rest().archive(past, fields) {
                        Ok(event) => {
                            out.push(event);
                            return Ok(());
                        }
                        Err(fault) => match source::refit(&past.instrument, &fault) {
                            Some(wider) => past.instrument = wider,
                            None => return Err(fault.to_string()),
                        },
                    }
                }
                Err("a number fits no definition".to_owned())
            }
        }
    }
}

impl Done {
    fn fault(&mut self, words: String) {
        self.bad += 1;
        if self.faults.len() < SHOWN_MAX {
            self.faults.push(words);
        }
    }

    fn write(&mut self, output: &mut Output, events: &mut Vec<Event>) -> Result<()> {
        for event in events.drain(..) {
            let ts = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
            let (first, last) = self.span.unwrap_or((ts, ts));
            self.span = Some((first.min(ts), last.max(ts)));
            self.events += 1;
            output.put(event)?;
        }
        Ok(())
    }
}

/// The text of a file, whatever it is packed in, and a bar that moves with what was read.
fn open(path: &Path, quiet: bool) -> std::io::Result<(Box<dyn Read>, ProgressBar)> {
    let file = File::open(path)?;
    let bar = if quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(file.metadata()?.len())
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default());
    let ends = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
    if ends("zip") {
        let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
        let mut text = Vec::new();
        for at in 0..archive.len() {
            archive.by_index(at)?.read_to_end(&mut text)?;
        }
        return Ok((Box::new(std::io::Cursor::new(text)), bar));
    }
    let read = BufReader::new(bar.wrap_read(file));
    let text: Box<dyn Read> = if ends("gz") { Box::new(MultiGzDecoder::new(read)) } else { Box::new(read) };
    Ok((text, bar))
}

fn print(all: &[Done]) {
    let mut table = Table::new(&["file", "rows", "events", "bad", "from", "to", "written to"]);
    for done in all {
        let at = |ts: Option<Ts>| ts.map_or_else(|| "-".to_owned(), shown);
        table.row(vec![
            Cell::left(&done.file),
            Cell::right(done.rows),
            Cell::right(done.events),
            Cell::count_bad(done.bad),
            Cell::left(&at(done.span.map(|s| s.0))),
            Cell::left(&at(done.span.map(|s| s.1))),
            Cell::left(&done.out),
        ]);
    }
    table.print();
    for (done, words) in all.iter().flat_map(|done| done.faults.iter().map(move |words| (done, words))) {
        println!("{} {}: {words}", paint("bad:", "31"), done.file);
    }
}
