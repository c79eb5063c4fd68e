//! `qingxi import`: events from archive files, for machines with no network: the venues' own CSV archives, told by their
//! names, and Tardis CSV, told by its header; plain, gzip or zip. And from logs of exchanges, in any form that `replay` reads.

use super::rows::{Given, Rows};
use super::unpack::{cut, texts};
use super::{Output, shown};
use crate::error::{self, Error, Result};
use crate::sources::{LOGS, named};
use crate::term::{Cell, Table, paint};
use hashbrown::HashSet;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Channel, Event, Ts};
use source::{Action, Input, Log, Malformed, Records, Source};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use tape::{Kind, Reader};

/// How many bad rows of a file are shown.
const SHOWN_MAX: usize = 5;
/// After so many rows of which none could be read, a file is another than it was taken for.
const WRONG_ROWS: u64 = 100;

/// Reads archive files into events.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The files: .csv, .csv.gz, .zip; the venue's own, or of Tardis; logs of an exchange.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose data they are: a source, or the form of a log.
    #[arg(long)]
    source: String,
    /// The venue's section, where a file does not tell it: `spot`, `usdm`.
    #[arg(long)]
    product: Option<String>,
    /// The venue's symbol, where a file does not tell it.
    #[arg(long)]
    symbol: Option<String>,
    /// The kind of data, where a file does not tell it: `trades`, `agg_trades`, `bars`, ….
    #[arg(long, value_parser = channel)]
    channel: Option<Channel>,
    /// The interval of bars, where a file does not tell it: `1m`.
    #[arg(long)]
    interval: Option<String>,
    /// The folder that events are written to, in a file for each input.
    #[arg(long, default_value = "qingxi-data/history")]
    out: PathBuf,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

fn channel(name: &str) -> std::result::Result<Channel, String> {
    Channel::parse(name)
        .ok_or_else(|| format!("no such channel; there are: {}", Channel::ALL.map(Channel::name).join(", ")))
}

/// What became of one file.
#[derive(serde::Serialize)]
struct Done {
    file: String,
    /// Where its events are; `None` where it gave none.
    out: Option<String>,
    rows: u64,
    events: u64,
    bad: u64,
    /// The first bad rows, in words.
    faults: Vec<String>,
    /// Why it was not read to its end; the events before are kept.
    failed: Option<String>,
    #[serde(skip)]
    span: Option<(Ts, Ts)>,
}

/// Runs the command; exit code 1 where a row or a file could not be read.
///
/// # Errors
/// Where there is no such source.
pub fn run(args: &Args) -> Result<u8> {
    let log = || LOGS.iter().copied().find(|log| log.name() == args.source).map(Form::Log);
    let Some(form) = named(&args.source).map(Form::Archive).or_else(log) else {
        return Err(Error::UnknownSource { name: args.source.clone() });
    };
    let given = Given {
        product: args.product.clone(),
        symbol: args.symbol.clone(),
        channel: args.channel,
        interval: args.interval.clone(),
    };
    let mut written = HashSet::new();
    let mut all = Vec::new();
    for path in &args.files {
        let file = File { form, given: &given, path, folder: &args.out, written: &mut written };
        all.push(file.import(args.json));
    }
    if args.json {
        println!("{}", serde_json::json!({ "files": all }));
    } else {
        print(&all);
    }
    Ok(u8::from(all.iter().any(|done| done.bad > 0 || done.failed.is_some())))
}

/// What the files are.
#[derive(Clone, Copy)]
enum Form {
    Archive(&'static dyn Source),
    Log(&'static dyn Log),
}

/// A file that is read.
struct File<'a> {
    form: Form,
    given: &'a Given,
    path: &'a Path,
    folder: &'a Path,
    /// What other files of this run were written to.
    written: &'a mut HashSet<PathBuf>,
}

impl File<'_> {
    fn import(mut self, quiet: bool) -> Done {
        let mut done = Done {
            file: self.path.display().to_string(),
            out: None,
            rows: 0,
            events: 0,
            bad: 0,
            faults: Vec::new(),
            failed: None,
            span: None,
        };
        let bar = progress(self.path, quiet);
        let mut output = None;
        let read = match self.form {
            Form::Archive(source) => {
                texts(self.path, &bar, |name, text| self.text(source, name, text, &mut output, &mut done))
            }
            Form::Log(log) => self.log(log, &mut output, &mut done),
        };
        let synced = output.as_mut().map_or(Ok(()), Output::sync).map_err(io::Error::other);
        done.failed = read.and(synced).err().map(|error| error::chain(&error));
        bar.finish_and_clear();
        done
    }

    /// Reads a log as `replay` does, line by line through its session.
    fn log(&mut self, log: &dyn Log, output: &mut Option<Output>, done: &mut Done) -> io::Result<()> {
        let (mut session, mut count) = (log.session(), Count::default());
        let (mut actions, mut events) = (Vec::new(), Vec::new());
        for record in Reader::open(self.path).map_err(io::Error::other)? {
            let record = record.map_err(io::Error::other)?;
            let Kind::Line { number, bytes } = record.kind else { return Err(other(log.name())) };
            if count.rows == 0 && !log.recognises(&bytes) {
                return Err(other(log.name()));
            }
            session.on(Input::Frame { bytes: &bytes, binary: false }, record.ts, &mut actions);
            let mut read = Ok(());
            for action in actions.drain(..) {
                match action {
                    Action::Emit(event) => events.push(event),
                    Action::Malformed(fault) => read = Err(fault),
                    // Messages that tell nothing, and nobody there to be asked.
                    _ => {}
                }
            }
            done.row(&mut count, read, &format_args!("line {number}"))?;
            self.write(&mut events, output, done)?;
        }
        if count.rows == 0 { Err(nothing()) } else { Ok(()) }
    }

    /// Reads one text of it.
    fn text(
        &mut self,
        source: &'static dyn Source,
        name: &str,
        text: &mut dyn Read,
        output: &mut Option<Output>,
        done: &mut Done,
    ) -> io::Result<()> {
        let path = self.path.to_string_lossy();
        let names = [&*path, name];
        let mut rows = match names.iter().find_map(|name| source.rest().archive_records(name)) {
            Some(records) => self.records(source, names, records, text, output, done)?,
            None => self.csv(source, names, text, output, done)?,
        };
        let mut events = Vec::new();
        rows.end(&mut events);
        self.write(&mut events, output, done)
    }

    fn csv(
        &mut self,
        source: &'static dyn Source,
        names: [&str; 2],
        text: &mut dyn Read,
        output: &mut Option<Output>,
        done: &mut Done,
    ) -> io::Result<Rows> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        let mut rows: Option<Rows> = None;
        let (mut record, mut events) = (csv::ByteRecord::new(), Vec::new());
        let mut count = Count::default();
        while reader.read_byte_record(&mut record)? {
            let fields: Vec<Cow<'_, str>> = record.iter().map(String::from_utf8_lossy).collect();
            let rows = match &mut rows {
                Some(rows) => rows,
                none => {
                    let begun = Rows::begin(source, self.given, names, &fields);
                    let begun = none.insert(begun.map_err(io::Error::other)?);
                    if begun.has_header() {
                        continue;
                    }
                    begun
                }
            };
            let read = rows.read(&fields, &mut events);
            let line = record.position().map_or(0, csv::Position::line);
            done.row(&mut count, read, &format_args!("line {line}"))?;
            self.write(&mut events, output, done)?;
        }
        rows.ok_or_else(nothing)
    }

    /// Reads a text that is not CSV.
    fn records(
        &mut self,
        source: &'static dyn Source,
        names: [&str; 2],
        records: Records,
        text: &mut dyn Read,
        output: &mut Option<Output>,
        done: &mut Done,
    ) -> io::Result<Rows> {
        let mut rows = Rows::begin(source, self.given, names, &[]).map_err(io::Error::other)?;
        let (mut count, mut events) = (Count::default(), Vec::new());
        cut(records, text, |record| {
            let read = rows.record(records, record, &mut events);
            let at = count.rows + 1;
            done.row(&mut count, read, &format_args!("row {at}"))?;
            self.write(&mut events, output, done)
        })?;
        if count.rows == 0 { Err(nothing()) } else { Ok(rows) }
    }

    fn write(
        &mut self,
        events: &mut Vec<Event>,
        output: &mut Option<Output>,
        done: &mut Done,
    ) -> io::Result<()> {
        for event in events.drain(..) {
            if output.is_none() {
                *output = Some(self.create(&event, done)?);
            }
            let ts = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
            let (first, last) = done.span.unwrap_or((ts, ts));
            done.span = Some((first.min(ts), last.max(ts)));
            done.events += 1;
            if let Some(output) = output {
                output.put(event).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Where the events of the file go: spot and futures may have files of one name.
    fn create(&mut self, first: &Event, done: &mut Done) -> io::Result<Output> {
        let stem = source::archive::stem(&done.file);
        let folder = self.folder.join(first.source).join(&*first.instrument.product);
        let path = folder.join(format!("{stem}.jsonl"));
        if !self.written.insert(path.clone()) {
            let words = format!("another file of the same name was already written to {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
        }
        done.out = Some(path.display().to_string());
        Output::open(&path, 0).map_err(io::Error::other)
    }
}

/// The rows of one text.
#[derive(Default)]
struct Count {
    rows: u64,
    bad: u64,
}

impl Done {
    /// Counts a row, and gives up a text none of whose first rows can be read.
    fn row(
        &mut self,
        count: &mut Count,
        read: std::result::Result<(), Malformed>,
        place: &dyn Display,
    ) -> io::Result<()> {
        count.rows += 1;
        self.rows += 1;
        if let Err(why) = read {
            count.bad += 1;
            self.bad += 1;
            if self.faults.len() < SHOWN_MAX {
                self.faults.push(format!("{place}: {why}"));
            }
        }
        if count.rows == WRONG_ROWS && count.bad == count.rows {
            let words = format!(
                "none of its first {WRONG_ROWS} rows can be read: another file than its name or options say"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        Ok(())
    }
}

fn other(form: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is no log of the form {form}"))
}

fn nothing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "there is nothing in it")
}

fn progress(path: &Path, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
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
            Cell::left(done.out.as_deref().unwrap_or("-")),
        ]);
    }
    table.print();
    for done in all {
        for words in &done.faults {
            println!("{} {}: {words}", paint("bad:", "31"), done.file);
        }
        if let Some(words) = &done.failed {
            println!("{} {}: {words}", paint("failed:", "31"), done.file);
        }
    }
}
