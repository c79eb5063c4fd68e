//! `qingxi import`: events from archive files, for machines with no network: the venues' own CSV archives, told by their
//! names, and Tardis CSV, told by its header; plain, gzip or zip. And from logs of exchanges, in any form that `replay` reads.
//! Into a store also our own exports, tables of others and tapes.

use super::rows::{Given, Rows};
use super::table::Tables;
use super::target::Target;
use super::unpack::{cut, texts};
use super::{shown, tables, tapes};
use crate::error::{self, Error, Result};
use crate::sources::{LOGS, named};
use crate::term::{Cell, Table, paint};
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

/// Reads archive files into events; with `--store` also our own exports, tables of others and tapes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The files: .csv, .csv.gz, .zip; the venue's own, or of Tardis; logs of an exchange. Without `--source`: what `qingxi
    /// export` and `/api/v1/history` write, tables of others (.csv, .jsonl, .parquet) and tapes.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose data archive files are: a source, or the form of a log.
    #[arg(long, required_unless_present = "store")]
    source: Option<String>,
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
    /// Puts the events into this folder, as in `store.dir`, instead: each once, with the flag `repaired`, known from now on. No
    /// platform may use the folder meanwhile.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    store: Option<PathBuf>,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

fn channel(name: &str) -> std::result::Result<Channel, String> {
    Channel::parse(name)
        .ok_or_else(|| format!("no such channel; there are: {}", Channel::ALL.map(Channel::name).join(", ")))
}

/// What became of one file.
#[derive(Default, serde::Serialize)]
pub struct Done {
    /// Its path.
    pub file: String,
    /// Where its events are; `None` where it gave none.
    pub out: Option<String>,
    /// How many rows it has, or frames.
    pub rows: u64,
    /// How many events are there now that were not there before.
    pub events: u64,
    /// How many were there already.
    pub known: u64,
    /// How many tell of a book before what is kept of its past, and were left out.
    pub late: u64,
    /// How many rows could not be read.
    pub bad: u64,
    /// The first bad rows, in words.
    pub faults: Vec<String>,
    /// Why it was not read to its end; the events before are kept.
    pub failed: Option<String>,
    /// From when to when its events are.
    #[serde(skip)]
    pub span: Option<(Ts, Ts)>,
}

/// Runs the command; exit code 1 where a row or a file could not be read.
///
/// # Errors
/// Where there is no such source, or the store cannot be had.
pub fn run(args: &Args) -> Result<u8> {
    let form = args.source.as_deref().map(form).transpose()?;
    let given = Given {
        product: args.product.clone(),
        symbol: args.symbol.clone(),
        channel: args.channel,
        interval: args.interval.clone(),
    };
    let mut target = match &args.store {
        Some(dir) => Target::store(dir)?,
        None => Target::lines(&args.out),
    };
    let mut tables = Tables::new(target.instruments()?, &given, feed::clock::now());
    let mut all = Vec::new();
    let mut files = &*args.files;
    while let [path, rest @ ..] = files {
        let mut file =
            File { path, given: &given, target: &mut target, done: Done::of(path), quiet: args.json };
        let count = files.iter().take_while(|path| form.is_none() && !tables::is_one(path)).count();
        if let Some((tapes, after)) = files.split_at_checked(count).filter(|_| count > 0) {
            // Tapes that follow each other are one stream.
            all.extend(tapes::read(tapes, &mut target, args.json));
            files = after;
            continue;
        }
        match form {
            Some(form) => file.form(form),
            None => file.table(&mut tables),
        }
        all.push(file.done);
        files = rest;
    }
    target.finish()?;
    if args.json {
        println!("{}", serde_json::json!({ "files": all }));
    } else {
        print(&all, args.store.as_deref());
    }
    let wrong = |done: &Done| done.bad > 0 || done.late > 0 || done.failed.is_some();
    Ok(u8::from(all.iter().any(wrong)))
}

fn form(name: &str) -> Result<Form> {
    let log = || LOGS.iter().copied().find(|log| log.name() == name).map(Form::Log);
    let form = named(name).map(Form::Archive).or_else(log);
    form.ok_or_else(|| Error::UnknownSource { name: name.to_owned() })
}

/// What the files are.
#[derive(Clone, Copy)]
enum Form {
    Archive(&'static dyn Source),
    Log(&'static dyn Log),
}

/// A file that is read.
pub struct File<'a> {
    /// Where it is.
    pub path: &'a Path,
    given: &'a Given,
    target: &'a mut Target,
    done: Done,
    quiet: bool,
}

impl File<'_> {
    /// Reads archive or log.
    fn form(&mut self, form: Form) {
        let (path, bar) = (self.path, progress(self.path, self.quiet));
        let read = match form {
            Form::Archive(source) => texts(path, &bar, |name, text| self.text(source, name, text)),
            Form::Log(log) => self.log(log),
        };
        self.end(read);
        bar.finish_and_clear();
    }

    /// Reads a table.
    fn table(&mut self, tables: &mut Tables) {
        let bar = progress(self.path, self.quiet);
        let read = tables::read(self, tables, &bar);
        self.end(read);
        bar.finish_and_clear();
    }

    /// It was read so far; what it gave is safe.
    fn end(&mut self, read: io::Result<()>) {
        let ended = self.target.end(&mut self.done);
        self.done.failed = read.and(ended).err().map(|error| error::chain(&error));
    }

    /// Reads a log as `replay` does, line by line through its session.
    fn log(&mut self, log: &dyn Log) -> io::Result<()> {
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
            self.done.row(&mut count, read, &format_args!("line {number}"))?;
            self.write(&mut events)?;
        }
        if count.rows == 0 { Err(nothing()) } else { Ok(()) }
    }

    /// Reads one text of it.
    fn text(&mut self, source: &'static dyn Source, name: &str, text: &mut dyn Read) -> io::Result<()> {
        let path = self.path.to_string_lossy();
        let names = [&*path, name];
        let mut rows = match names.iter().find_map(|name| source.rest().archive_records(name)) {
            Some(records) => self.records(source, names, records, text)?,
            None => self.csv(source, names, text)?,
        };
        let mut events = Vec::new();
        rows.end(&mut events);
        self.write(&mut events)
    }

    fn csv(
        &mut self,
        source: &'static dyn Source,
        names: [&str; 2],
        text: &mut dyn Read,
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
            self.done.row(&mut count, read, &format_args!("line {line}"))?;
            self.write(&mut events)?;
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
    ) -> io::Result<Rows> {
        let mut rows = Rows::begin(source, self.given, names, &[]).map_err(io::Error::other)?;
        let (mut count, mut events) = (Count::default(), Vec::new());
        cut(records, text, |record| {
            let read = rows.record(records, record, &mut events);
            let at = count.rows + 1;
            self.done.row(&mut count, read, &format_args!("row {at}"))?;
            self.write(&mut events)
        })?;
        if count.rows == 0 { Err(nothing()) } else { Ok(rows) }
    }

    /// Takes a row of a table.
    ///
    /// # Errors
    /// Where nothing can be written any more, or this is no such table.
    pub fn row(
        &mut self,
        count: &mut Count,
        read: std::result::Result<Event, Malformed>,
        place: &dyn Display,
    ) -> io::Result<()> {
        let (mut events, read) = match read {
            Ok(event) => (vec![event], Ok(())),
            Err(fault) => (Vec::new(), Err(fault)),
        };
        self.done.row(count, read, place)?;
        self.write(&mut events)
    }

    fn write(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        events.drain(..).try_for_each(|event| self.target.put(event, &mut self.done))
    }
}

/// The rows of one text.
#[derive(Default)]
pub struct Count {
    /// How many there were.
    pub rows: u64,
    bad: u64,
}

impl Done {
    /// Of a file that was not begun.
    pub fn of(path: &Path) -> Self {
        Self { file: path.display().to_string(), ..Self::default() }
    }

    /// Says what is wrong with a row.
    pub fn bad(&mut self, why: &dyn Display, place: &dyn Display) {
        self.bad += 1;
        if self.faults.len() < SHOWN_MAX {
            self.faults.push(format!("{place}: {why}"));
        }
    }

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
            self.bad(&why, place);
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

/// That a file is empty.
pub fn nothing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "there is nothing in it")
}

/// Shows how far a file was read, on a terminal.
pub fn progress(path: &Path, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn print(all: &[Done], store: Option<&Path>) {
    let mut table =
        Table::new(&["file", "rows", "new events", "known", "late", "bad", "from", "to", "written to"]);
    let place = store.map_or("-".to_owned(), |dir| dir.display().to_string());
    for done in all {
        let at = |ts: Option<Ts>| ts.map_or_else(|| "-".to_owned(), shown);
        table.row(vec![
            Cell::left(&done.file),
            Cell::right(done.rows),
            Cell::right(done.events),
            Cell::right(done.known),
            Cell::count_bad(done.late),
            Cell::count_bad(done.bad),
            Cell::left(&at(done.span.map(|s| s.0))),
            Cell::left(&at(done.span.map(|s| s.1))),
            Cell::left(done.out.as_deref().unwrap_or(&place)),
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
