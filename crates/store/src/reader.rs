//! Reads what is kept, wherever it stands: in files, in the log, in memory.

mod ahead;
mod bars;
mod book;
mod inputs;
mod instruments;
mod joined;
mod lane;
mod piece;
mod range;
mod scan;
mod timeline;

pub use book::BookAt;
pub use range::Range;
pub use scan::Scan;
pub use timeline::Timeline;

use crate::archive::words;
use crate::disk::Host;
use crate::file::Opened;
use crate::ledger::{Interval, Ledger, Row, Wanted};
use crate::library::Library;
use crate::log::{self, Entry, Found};
use crate::manifest::{FILLED, FileMeta, Manifest, Note, Run, Sealed, State};
use crate::seal::fault;
use crate::shelf::Shelf;
use crate::table::{Reading, Table};
use crate::{Error, Result, when};
use bus::{Cursor, Published};
use hashbrown::HashSet;
use model::{InstrumentId, Ts};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How many rows at the end of a run are read first when the newest events are asked for.
const TAIL_ROWS: u64 = 256;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Of these tables.
    pub tables: Vec<Table>,
    /// Of these instruments; empty: of all.
    pub instruments: Vec<InstrumentId>,
    /// Of this source; `None`: of all.
    pub source: Option<Box<str>>,
    /// From this time on; see [`when`].
    pub from: Ts,
    /// Before this time.
    pub to: Ts,
    /// Only what was known then: published at this time or before.
    pub known_at: Option<Ts>,
    /// Only what comes after this on the bus.
    pub after: Option<Cursor>,
}

impl Query {
    /// Everything in these tables.
    pub fn of(tables: &[Table]) -> Self {
        let (from, to) = (Ts(i64::MIN), Ts(i64::MAX));
        Self {
            tables: tables.to_vec(),
            instruments: Vec::new(),
            source: None,
            from,
            to,
            known_at: None,
            after: None,
        }
    }

    fn wants(&self, published: &Published) -> bool {
        let event = &published.event;
        let at = when(event);
        self.tables.contains(&Table::of(&event.body))
            && (self.instruments.is_empty() || self.instruments.contains(&event.instrument.id))
            && self.source.as_deref().is_none_or(|source| event.source == source)
            && at >= self.from
            && at < self.to
            && self.known_at.is_none_or(|known| published.ts_pub <= known)
            && self.after.is_none_or(|after| published.cursor > after)
    }

    fn wants_run(&self, run: &Run) -> bool {
        (self.instruments.is_empty() || self.instruments.contains(&run.instrument))
            && self.source.as_deref().is_none_or(|source| run.source == source)
            && run.to >= self.from
            && run.from < self.to
            && self.after.is_none_or(|after| run.last > after)
    }
}

/// Reads a folder; cheap to clone. It never waits for the one who writes.
#[derive(Clone)]
pub struct Reader {
    manifest: Arc<Manifest>,
    shelf: Option<Arc<Shelf>>,
    library: Arc<Library>,
    /// The ledger with what stands in no file, as the last question about coverage left it.
    folded: Arc<Mutex<Folded>>,
}

/// The ledger up to a cursor, with the catalogue as it was then.
#[derive(Clone, Debug, Default)]
struct Folded {
    generation: u64,
    last: Option<Cursor>,
    ledger: Option<Ledger>,
}

impl Reader {
    pub(crate) fn new(manifest: Arc<Manifest>, shelf: Option<Arc<Shelf>>, library: Arc<Library>) -> Self {
        Self { manifest, shelf, library, folded: Arc::default() }
    }

    /// Reads a folder that another process may write to.
    ///
    /// # Errors
    /// [`Error`] where the catalogue does not read.
    pub fn open(dir: &Path) -> Result<Self> {
        let manifest = Arc::new(Manifest::read(dir)?.unwrap_or_else(|| Manifest::none(dir)));
        Ok(Self::new(Arc::clone(&manifest), None, Arc::new(Library::new(manifest))))
    }

    /// What became of what was kept: what was deleted, lost or damaged, and that the catalogue was made again; the newest last.
    ///
    /// # Errors
    /// [`Error`] where the catalogue does not read.
    pub fn notes(&self) -> Result<Vec<Note>> {
        self.manifest.notes()
    }

    /// What is lost, missing or damaged, of what stands in files and of the log behind that, which is read for it.
    ///
    /// # Errors
    /// [`Error`] where the catalogue or the log does not read.
    pub fn faults(&self) -> Result<Vec<Note>> {
        let sealed = self.manifest.state().sealed;
        let mut notes = self.manifest.notes()?;
        notes.retain(|note| !matches!(&*note.what, "dropped" | "rebuilt" | "repaired" | FILLED));
        let mut reader = log::Reader::open(Box::new(Host::new(self.manifest.dir())))?;
        reader.after(sealed.segment, u64::MAX, sealed.cursor);
        for found in reader {
            notes.extend(fault(&found?, sealed.at));
        }
        Ok(notes)
    }

    /// The events that are asked for, in the order of the bus. What stands in no file yet is taken now; files are read as
    /// the range goes on.
    ///
    /// # Errors
    /// [`Error`] where the log or the catalogue does not read.
    pub fn range(&self, query: Query) -> Result<Range> {
        let (state, fresh) =
            self.fresh(|published| query.wants(published), &query.tables, &query.instruments)?;
        Ok(Range::new(self.clone(), query, &state, fresh))
    }

    /// What the files hold, and the events that are in none of them for which `wanted` holds.
    fn fresh(
        &self,
        wanted: impl Fn(&Published) -> bool,
        tables: &[Table],
        instruments: &[InstrumentId],
    ) -> Result<(Arc<State>, Vec<Arc<Published>>)> {
        // First memory, then the catalogue: what is sealed between is there twice, never not at all.
        let hot = if let Some(shelf) = &self.shelf {
            shelf.hot.select(tables, instruments, &wanted)
        } else {
            self.manifest.refresh()?;
            Vec::new()
        };
        let all = Cursor { epoch: u64::MAX, number: u64::MAX };
        loop {
            let state = self.manifest.state();
            let only_in_log = self.shelf.as_ref().map_or(Some(all), |shelf| shelf.only_in_log(state.sealed));
            let mut fresh = match only_in_log {
                Some(up_to) => self.log_tail(state.sealed, up_to, &wanted)?,
                None => Vec::new(),
            };
            if self.shelf.is_none() {
                self.manifest.refresh()?;
            }
            // What was sealed while the log was read may be gone from it.
            if only_in_log.is_some() && self.manifest.state().sealed != state.sealed {
                continue;
            }
            fresh.extend(hot.into_iter().filter(|published| Some(published.cursor) > state.sealed.cursor));
            fresh.sort_by_key(|published| published.cursor);
            fresh.dedup_by_key(|published| published.cursor);
            return Ok((state, fresh));
        }
    }

    /// Events after what is sealed, up to a cursor.
    fn log_tail(
        &self,
        sealed: Sealed,
        up_to: Cursor,
        wanted: impl Fn(&Published) -> bool,
    ) -> Result<Vec<Arc<Published>>> {
        let mut all = Vec::new();
        let mut reader = log::Reader::open(Box::new(Host::new(self.manifest.dir())))?;
        reader.after(sealed.segment, u64::MAX, sealed.cursor);
        for found in reader {
            if let Found::Entry(Entry::Event(published)) = found? {
                if published.cursor > up_to {
                    break;
                }
                if Some(published.cursor) > sealed.cursor && wanted(&published) {
                    all.push(published);
                }
            }
        }
        Ok(all)
    }

    /// A file that is open, or opened now, fetched from the cold tier where it stands only there.
    fn file(&self, file: &FileMeta) -> Result<Opened> {
        self.library.open(file)
    }

    /// The newest events of an instrument in a table, the newest first.
    ///
    /// # Errors
    /// [`Error`] where log, catalogue or file does not read.
    pub fn latest(
        &self,
        table: Table,
        instrument: InstrumentId,
        source: Option<&str>,
        count: usize,
    ) -> Result<Vec<Arc<Published>>> {
        let wanted = |published: &Published| {
            Table::of(&published.event.body) == table
                && published.event.instrument.id == instrument
                && source.is_none_or(|source| published.event.source == source)
        };
        if let Some(shelf) = &self.shelf {
            let newest = shelf.hot.latest(table, instrument, count, wanted);
            if newest.len() >= count {
                return Ok(newest);
            }
        }
        let (state, mut fresh) = self.fresh(wanted, &[table], &[instrument])?;
        fresh.reverse();
        fresh.truncate(count);
        let mut runs: Vec<(&Arc<FileMeta>, &Run)> = Vec::new();
        for file in state.files.values().filter(|file| file.table == table) {
            let of =
                |run: &&Run| run.instrument == instrument && source.is_none_or(|source| run.source == source);
            runs.extend(file.runs.iter().filter(of).map(|run| (file, run)));
        }
        runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.last));
        for (at, (file, run)) in runs.iter().enumerate() {
            // Runs of several sources overlap; all that may hold one of the newest are looked at.
            let enough =
                fresh.len() >= count && fresh.get(count - 1).is_none_or(|oldest| oldest.cursor >= run.last);
            if enough || count == 0 {
                break;
            }
            let tail = self.tail(file, run, count)?;
            fresh.extend(tail);
            if at > 0 {
                fresh.sort_by_key(|published| std::cmp::Reverse(published.cursor));
            }
            fresh.truncate(count);
        }
        Ok(fresh)
    }

    /// The newest events of a run, the newest first.
    fn tail(&self, file: &FileMeta, run: &Run, count: usize) -> Result<Vec<Arc<Published>>> {
        let opened = self.file(file)?;
        let damaged = |what: String| Error::Damaged { path: self.manifest.dir().join(&*file.path), what };
        let mut rows = TAIL_ROWS.max(count as u64);
        loop {
            rows = rows.min(run.rows);
            let from = run.start + run.rows - rows;
            let end = run.start + run.rows;
            let reader = opened.rows(std::iter::once(from..end), usize::try_from(rows).unwrap_or(usize::MAX));
            let batches: Result<Vec<_>, _> = reader.map_err(|e| damaged(e.to_string()))?.collect();
            let batches = batches.map_err(|e| damaged(e.to_string()))?;
            let batch = arrow_select::concat::concat_batches(&file.table.schema(), &batches);
            let batch = batch.map_err(|e| damaged(e.to_string()))?;
            let reading = Reading::new(file.table, &batch, Arc::clone(&opened.definitions))
                .ok_or_else(|| damaged("its columns are others".to_owned()))?;
            let mut events = Vec::new();
            let mut row = 0;
            while row < reading.len() {
                let next = reading.end(row);
                // The first event may have begun before the rows that were read.
                if row > 0 || rows == run.rows {
                    let event = reading.event(row, next);
                    events
                        .push(Arc::new(event.map_err(|e| damaged(format!("row {} does not read", e.row)))?));
                }
                row = next;
            }
            if events.len() >= count || rows == run.rows {
                events.reverse();
                events.truncate(count);
                return Ok(events);
            }
            rows *= 4;
        }
    }

    /// Of every lane that is wanted what is said of it between two times: complete and by what proof, a gap and why,
    /// unprovable, or closed; by lane and in the order of time.
    ///
    /// # Errors
    /// [`Error`] where log or catalogue does not read.
    pub fn coverage(&self, wanted: &Wanted, from: Ts, to: Ts) -> Result<Vec<Row>> {
        loop {
            let (state, fresh) = self.fresh(|_| true, &Table::ALL, &[])?;
            let folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (mut ledger, last) = match folded.ledger.filter(|_| folded.generation == state.generation) {
                Some(ledger) => (ledger, folded.last),
                None => (self.manifest.ledger()?, None),
            };
            let intervals = self.manifest.intervals(|lane| wanted.takes(lane))?;
            if self.shelf.is_none() {
                self.manifest.refresh()?;
            }
            if self.manifest.state().generation != state.generation {
                continue;
            }
            for published in fresh.iter().filter(|published| Some(published.cursor) > last) {
                ledger.on(published);
            }
            let last = fresh.last().map(|published| published.cursor).max(last);
            let folded = Folded { generation: state.generation, last, ledger: Some(ledger.clone()) };
            *self.folded.lock().unwrap_or_else(PoisonError::into_inner) = folded;
            // What became final, or was repaired, since it was sealed; the latter replaces what is kept of it.
            let newer = ledger.drain();
            let known: HashSet<_> = newer.iter().map(|it| (Arc::clone(&it.lane), it.number)).collect();
            let is_old =
                |it: &Interval| known.contains(&(Arc::clone(&it.lane), it.number)) && it.is_replaced(&newer);
            let kept = intervals.iter().filter(|it| !is_old(it));
            let of_lanes = kept.chain(newer.iter().filter(|it| wanted.takes(&it.lane)));
            let in_time = of_lanes.filter(|it| it.to.ts >= from && it.from.ts < to);
            let mut rows: Vec<Row> = in_time.map(|interval| Row::new(interval, false)).collect();
            rows.extend(ledger.rows(wanted, from, to));
            let lane = |row: &Row| {
                (row.source, row.exchange.clone(), row.product.clone(), row.symbol.clone(), row.channel)
            };
            rows.sort_by_cached_key(|row| (lane(row), row.from_ts, row.from_cursor));
            return Ok(rows);
        }
    }

    /// Every file, and why it does not hold, where it does not; what stands in the cold tier is read from there for it.
    pub fn check(&self) -> Vec<FileCheck> {
        let state = self.manifest.state();
        let check = |file: &Arc<FileMeta>| {
            let fault = self.library.check(file).err().map(|error| words(&error));
            FileCheck {
                path: file.path.clone(),
                table: file.table,
                rows: file.rows,
                bytes: file.bytes,
                level: file.level,
                fault,
            }
        };
        state.files.values().map(check).collect()
    }

    /// How many files, rows and bytes each table has; rows in no file are not counted.
    pub fn sizes(&self) -> BTreeMap<Table, TableSize> {
        let mut sizes: BTreeMap<Table, TableSize> = BTreeMap::new();
        for file in self.manifest.state().files.values() {
            let size = sizes.entry(file.table).or_default();
            size.files += 1;
            size.rows += file.rows;
            size.bytes += file.bytes;
        }
        sizes
    }

    /// What of that stands in the cold tier, and how much of it here too.
    pub fn cold(&self) -> ColdSize {
        self.library.size(&self.manifest.state())
    }

    /// Up to where the log stands in files.
    pub fn sealed(&self) -> Option<Cursor> {
        self.manifest.state().sealed.cursor
    }
}

/// What the files of a table take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSize {
    /// How many files there are.
    pub files: u64,
    /// How many rows they have.
    pub rows: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What stands in the cold tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColdSize {
    /// How many files there are.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many of the files stand here too.
    pub cached_files: u64,
    /// How many bytes these have.
    pub cached_bytes: u64,
}

/// What holding a file against the catalogue gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// Below the store's folder.
    pub path: Box<str>,
    /// Of which table.
    pub table: Table,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// How often its rows were merged; 255 where its day is over.
    pub level: u8,
    /// Why it does not hold.
    pub fault: Option<String>,
}
