//! The catalogue of files: what each holds, and up to where the log stands in files.
//!
//! Every change is one transaction of an embedded database. A file is there when the catalogue names it: one that a kill
//! left behind without a name is deleted at the next start, and events are read from the log until the same transaction
//! that names their files says that they are sealed. Other processes may read while one writes.

mod image;

pub(crate) use image::Image;

use crate::code::{Code, record};
use crate::ledger::{Interval, LaneName, Ledger};
use crate::table::Table;
use crate::{Error, Result};
use bus::Cursor;
use model::{Channel, Date, InstrumentId, SourceName, Ts};
use redb::{
    ConcurrencyMode, Database, ReadOnlyDatabase, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The file of the catalogue in the store's folder.
pub(crate) const NAME: &str = "manifest.redb";

const FILES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("files");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");
/// The intervals of lanes that are final, by lane, number and part.
const INTERVALS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("intervals");
const LEDGER: &str = "ledger";
const SEALED: &str = "sealed";
const NEXT: &str = "next";
const DROPPED: &str = "dropped";
/// How much memory the database may use to keep pages.
const CACHE_BYTES: usize = 4 << 20;
/// How many notes are kept.
const NOTES_MAX: u64 = 10_000;

/// The rows of one instrument from one source in a file; they follow one another, in the order of the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub source: SourceName,
    pub instrument: InstrumentId,
    /// The first row.
    pub start: u64,
    pub rows: u64,
    pub first: Cursor,
    pub last: Cursor,
    /// The earliest and the latest time at which something in it happened.
    pub from: Ts,
    pub to: Ts,
    /// The channels it came by: the bit of each place in [`Channel::ALL`].
    pub channels: u32,
}

impl Run {
    /// Whether it may hold rows of a channel.
    pub fn has(&self, channel: Channel) -> bool {
        self.channels & channel_bit(channel) != 0
    }
}

/// The bit that stands for a channel.
pub(crate) fn channel_bit(channel: Channel) -> u32 {
    Channel::ALL.iter().position(|of| *of == channel).map_or(0, |place| 1 << place)
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub id: u64,
    pub table: Table,
    pub day: Date,
    /// How often its rows were merged.
    pub level: u8,
    /// The newest time of publication when it was sealed; of a merged file, of the newest that went into it.
    pub made: Ts,
    /// Below the store's folder.
    pub path: Box<str>,
    pub rows: u64,
    pub bytes: u64,
    /// A CRC-32 of each 64 KiB.
    pub chunks: Vec<u32>,
    /// By exchange, product, symbol and source, as the rows are.
    pub runs: Vec<Run>,
}

/// Up to where the log stands in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The number of the last segment.
    pub segment: u64,
    /// The last cursor in it.
    pub cursor: Option<Cursor>,
    /// The newest time of publication.
    pub at: Ts,
}

/// Something that became of what was kept, and that is not to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Ts,
    /// What, in a word: `dropped`, `damaged`, `lost`.
    pub what: Box<str>,
    /// Of which table; empty where of all.
    pub table: Box<str>,
    /// How many rows or events.
    pub count: u64,
    /// In words: which and why.
    pub why: Box<str>,
}

record! {
    Run { source, instrument, start, rows, first, last, from, to, channels }
    FileMeta { id, table, day, level, made, path, rows, bytes, chunks, runs }
    Sealed { segment, cursor, at }
    Note { at, what, table, count, why }
}

impl Code for Table {
    fn put(&self, out: &mut Vec<u8>) {
        self.name().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::parse(&Box::<str>::take(bytes)?)
    }
}

impl Code for Date {
    fn put(&self, out: &mut Vec<u8>) {
        self.number().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_number(u32::take(bytes)?)
    }
}

/// What a transaction changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub add: Vec<FileMeta>,
    pub remove: Vec<u64>,
    pub sealed: Option<Sealed>,
    pub notes: Vec<Note>,
    /// Up to where events of a table were deleted.
    pub dropped: Vec<(Table, Cursor)>,
    /// The ledger after what was sealed; what is final in it is taken out.
    pub ledger: Option<Ledger>,
}

/// What the catalogue says at one instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub files: BTreeMap<u64, Arc<FileMeta>>,
    pub sealed: Sealed,
    /// Up to where, of each table, events may be missing because they were deleted.
    pub dropped: BTreeMap<Table, Cursor>,
    /// The next file's number.
    pub next: u64,
}

impl State {
    /// How many bytes all files have.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

enum Base {
    Write(Database),
    Read(ReadOnlyDatabase),
    /// There is no catalogue: nothing stands in files.
    None,
}

/// The catalogue of a folder.
pub(crate) struct Manifest {
    dir: PathBuf,
    base: Mutex<Base>,
    state: RwLock<Arc<State>>,
}

impl Manifest {
    /// Opens the catalogue to write, and holds it against itself; it is made where it is not there.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it does not hold, [`Error::Catalogue`] where it cannot be opened.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut builder = Database::builder();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_concurrency_mode(ConcurrencyMode::SingleWriter)
            .set_check_integrity_on_open(true);
        let base = builder.create(dir.join(NAME)).map_err(|e| failed(dir, "open", &e.into()))?;
        Self::with(dir, Base::Write(base))
    }

    /// Opens the catalogue to read; `None` where there is none.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        if !dir.join(NAME).exists() {
            return Ok(None);
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let base = builder.open_read_only(dir.join(NAME)).map_err(|e| failed(dir, "open", &e.into()))?;
        Self::with(dir, Base::Read(base)).map(Some)
    }

    /// The catalogue of a folder that has none.
    pub fn none(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), base: Mutex::new(Base::None), state: RwLock::default() }
    }

    fn with(dir: &Path, base: Base) -> Result<Self> {
        let manifest = Self { dir: dir.to_owned(), base: Mutex::new(base), state: RwLock::default() };
        manifest.refresh()?;
        Ok(manifest)
    }

    /// Reads it again, for what another process has changed.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn refresh(&self) -> Result<()> {
        let damaged = |what: String| Error::Damaged {
            path: self.dir.join(NAME),
            what: format!("its {what} do not hold"),
        };
        let state = self.transaction(|read| {
            let mut state = State::default();
            if let Ok(files) = read.open_table(FILES) {
                for entry in files.iter()? {
                    let (id, value) = entry?;
                    let file = FileMeta::take(&mut value.value()).filter(|file| file.id == id.value());
                    state.files.insert(id.value(), Arc::new(file.ok_or_else(|| corrupted("entries"))?));
                }
            }
            if let Ok(facts) = read.open_table(FACTS) {
                if let Some(sealed) = facts.get(SEALED)? {
                    state.sealed = Sealed::take(&mut sealed.value()).ok_or_else(|| corrupted("facts"))?;
                }
                if let Some(dropped) = facts.get(DROPPED)? {
                    let all: Option<Vec<(Table, Cursor)>> = Code::take(&mut dropped.value());
                    state.dropped = all.ok_or_else(|| corrupted("facts"))?.into_iter().collect();
                }
                if let Some(next) = facts.get(NEXT)? {
                    state.next = u64::take(&mut next.value()).ok_or_else(|| corrupted("facts"))?;
                }
            }
            Ok(state)
        });
        let state = state.map_err(|error| match error {
            redb::Error::Corrupted(what) => damaged(what),
            error => failed(&self.dir, "read", &error),
        })?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(())
    }

    fn transaction<T: Default>(
        &self,
        read: impl FnOnce(redb::ReadTransaction) -> std::result::Result<T, redb::Error>,
    ) -> std::result::Result<T, redb::Error> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = match &*base {
            Base::Write(base) => base.begin_read(),
            Base::Read(base) => base.begin_read(),
            Base::None => return Ok(T::default()),
        };
        drop(base);
        read(transaction?)
    }

    /// The folder of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it says now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it, for good when this returns.
    ///
    /// # Errors
    /// [`Error::Catalogue`]; then nothing has changed.
    pub fn commit(&self, change: Change) -> Result<()> {
        let mut state = (*self.state()).clone();
        let done = self.written(|base| Self::write(base, &mut state, change));
        done.map_err(|error| failed(&self.dir, "write", &error))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(())
    }

    fn written(
        &self,
        write: impl FnOnce(&Database) -> std::result::Result<(), redb::Error>,
    ) -> std::result::Result<(), redb::Error> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        match &*base {
            Base::Write(base) => write(base),
            Base::Read(_) | Base::None => Err(redb::Error::Io(std::io::ErrorKind::ReadOnlyFilesystem.into())),
        }
    }

    fn write(base: &Database, state: &mut State, change: Change) -> std::result::Result<(), redb::Error> {
        let transaction = base.begin_write()?;
        {
            let mut files = transaction.open_table(FILES)?;
            let mut facts = transaction.open_table(FACTS)?;
            let mut notes = transaction.open_table(NOTES)?;
            let mut bytes = Vec::new();
            let mut coded = |value: &dyn Fn(&mut Vec<u8>)| {
                bytes.clear();
                value(&mut bytes);
                bytes.clone()
            };
            for id in change.remove {
                files.remove(id)?;
                state.files.remove(&id);
            }
            for file in change.add {
                files.insert(file.id, coded(&|out| file.put(out)).as_slice())?;
                state.next = state.next.max(file.id + 1);
                state.files.insert(file.id, Arc::new(file));
            }
            if let Some(sealed) = change.sealed {
                facts.insert(SEALED, coded(&|out| sealed.put(out)).as_slice())?;
                state.sealed = sealed;
            }
            if let Some(mut ledger) = change.ledger {
                put_intervals(&mut transaction.open_table(INTERVALS)?, ledger.drain())?;
                facts.insert(LEDGER, ledger.to_bytes().as_slice())?;
            }
            if !change.dropped.is_empty() {
                for (table, cursor) in change.dropped {
                    let last = state.dropped.entry(table).or_insert(cursor);
                    *last = cursor.max(*last);
                }
                let all: Vec<(Table, Cursor)> = state.dropped.clone().into_iter().collect();
                facts.insert(DROPPED, coded(&|out| all.put(out)).as_slice())?;
            }
            facts.insert(NEXT, coded(&|out| state.next.put(out)).as_slice())?;
            let first = notes.last()?.map_or(0, |(id, _)| id.value() + 1);
            for (id, note) in (first..).zip(change.notes) {
                notes.insert(id, coded(&|out| note.put(out)).as_slice())?;
                notes.remove(id.wrapping_sub(NOTES_MAX))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The ledger up to what is sealed.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn ledger(&self) -> Result<Ledger> {
        let ledger = self.transaction(|read| {
            let Ok(facts) = read.open_table(FACTS) else { return Ok(Ledger::default()) };
            let Some(bytes) = facts.get(LEDGER)? else { return Ok(Ledger::default()) };
            Ledger::from_bytes(bytes.value()).ok_or_else(|| corrupted("ledger"))
        });
        ledger.map_err(|error| failed(&self.dir, "read", &error))
    }

    /// The intervals that are final of the lanes that are wanted, by lane and in the order of time.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn intervals(&self, wanted: impl Fn(&LaneName) -> bool) -> Result<Vec<Interval>> {
        let all = self.transaction(|read| {
            let Ok(intervals) = read.open_table(INTERVALS) else { return Ok(Vec::new()) };
            let mut all = Vec::new();
            for entry in intervals.iter()? {
                let (_, value) = entry?;
                let interval = Interval::from_bytes(value.value()).ok_or_else(|| corrupted("intervals"))?;
                if wanted(&interval.lane) {
                    all.push(interval);
                }
            }
            Ok(all)
        });
        all.map_err(|error| failed(&self.dir, "read", &error))
    }

    /// What became of what was kept, the newest last.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn notes(&self) -> Result<Vec<Note>> {
        self.transaction(|read| {
            let Ok(notes) = read.open_table(NOTES) else { return Ok(Vec::new()) };
            let taken = notes.iter()?.map(|entry| {
                let (_, value) = entry?;
                Note::take(&mut value.value()).ok_or_else(|| corrupted("notes"))
            });
            taken.collect()
        })
        .map_err(|error| failed(&self.dir, "read", &error))
    }
}

/// Lane, number and part as bytes that are sorted as they are.
fn interval_key(interval: &Interval, part: u16) -> Vec<u8> {
    let LaneName { source, exchange, product, symbol, instrument: _, channel } = &*interval.lane;
    let mut key = [*source, exchange, product, symbol, channel.name()].join("\0").into_bytes();
    key.push(0);
    key.extend(interval.number.to_be_bytes());
    key.extend(part.to_be_bytes());
    key
}

/// Intervals of one number replace those that are kept under it.
fn put_intervals(
    table: &mut redb::Table<'_, &[u8], &[u8]>,
    intervals: Vec<Interval>,
) -> std::result::Result<(), redb::Error> {
    let mut cleared: Option<(Vec<u8>, u16)> = None;
    for interval in intervals {
        let first = interval_key(&interval, 0);
        let part = match &cleared {
            Some((before, part)) if *before == first => part + 1,
            _ => {
                table.retain_in(&*first..=&*interval_key(&interval, u16::MAX), |_, _| false)?;
                0
            }
        };
        table.insert(interval_key(&interval, part).as_slice(), interval.to_bytes().as_slice())?;
        cleared = Some((first, part));
    }
    Ok(())
}

fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}

fn failed(dir: &Path, doing: &'static str, error: &redb::Error) -> Error {
    let path = dir.join(NAME);
    match error {
        redb::Error::DatabaseAlreadyOpen => Error::InUse { path: dir.to_owned() },
        redb::Error::Corrupted(what) => Error::Damaged { path, what: what.clone() },
        error => Error::Catalogue { doing, path, why: error.to_string() },
    }
}
