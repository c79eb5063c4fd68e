//! The book at an instant: from the newest snapshot or checkpoint before it, and the changes since.

use super::Reader;
use super::range::RunReader;
use crate::books::{BookAtState, BookLane, Fold, says_lost};
use crate::file::Opened;
use crate::manifest::{FileMeta, Run, State};
use crate::table::Table;
use crate::{Error, Result, when};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt16Type, UInt64Type};
use arrow_array::{Array as _, RecordBatch};
use bus::{Cursor, Published};
use model::{Body, Channel, Flags, Instrument, InstrumentId, Levels, SourceName, Ts};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tables that tell of books.
const TABLES: [Table; 4] = [Table::BookSnapshots, Table::BookDeltas, Table::Gaps, Table::Lanes];
/// How many rows are looked at together when the last one of some kind is looked for.
const LOOK_ROWS: u64 = 8_192;
/// The places of the columns that say where on the bus, by what channel and when a row happened.
const PLACE: [usize; 2] = [0, 1];
const MOMENT: [usize; 6] = [0, 1, 7, 8, 9, 10];

/// The book of an instrument as it was at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookAt {
    /// Whose, with the scales of the levels.
    pub instrument: Arc<Instrument>,
    /// Who told us.
    pub source: SourceName,
    /// By which channel.
    pub channel: Channel,
    /// Whether it may be believed.
    pub state: BookAtState,
    /// Counts the book's beginnings; 0 where it is not known.
    pub epoch: u32,
    /// The venue's number of this state.
    pub seq: Option<u64>,
    /// The event after which it stood so; in a gap the one that began it.
    pub cursor: Cursor,
    /// When that happened; see [`when`].
    pub ts: Ts,
    /// Best first.
    pub levels: Levels,
    /// How many rows of files were read to know it.
    pub rows_read: u64,
}

impl Reader {
    /// The book after the last event of its lane that happened at `at` or before, by [`when`]; all events before that one
    /// in the order of the bus are in it. `None` where neither a snapshot nor a gap is known from then or before.
    ///
    /// Of several lanes that tell of the instrument it is one that is live rather than one that is not, then the whole book
    /// rather than its best levels, then the one that was told of last. What was filled in later ([`crate::Filler`]) is a
    /// lane beside the one that was told then.
    ///
    /// # Errors
    /// [`Error`] where log, catalogue or file does not read.
    pub fn book_at(
        &self,
        source: Option<&str>,
        instrument: InstrumentId,
        at: Ts,
        depth: usize,
    ) -> Result<Option<BookAt>> {
        Ok(self.books_at(source, &[instrument], at, depth)?.pop())
    }

    /// [`Reader::book_at`] of several instruments, for which what stands in no file is read once; those of which nothing
    /// is known are left out.
    ///
    /// # Errors
    /// [`Error`] where log, catalogue or file does not read.
    pub fn books_at(
        &self,
        source: Option<&str>,
        instruments: &[InstrumentId],
        at: Ts,
        depth: usize,
    ) -> Result<Vec<BookAt>> {
        let of = |lane: &BookLane| source.is_none_or(|source| lane.source == source);
        let wanted = |published: &Published| {
            let lane = BookLane::of(&published.event);
            lane.is_some_and(|lane| instruments.contains(&lane.instrument) && of(&lane))
        };
        let (state, fresh) = self.fresh(wanted, &TABLES, instruments)?;
        let mut books = Vec::new();
        for instrument in instruments {
            let told = fresh.iter().filter_map(|p| BookLane::of(&p.event));
            let mut lanes: BTreeSet<BookLane> = told.filter(|lane| lane.instrument == *instrument).collect();
            let files = state.files.values().filter(|file| TABLES.contains(&file.table));
            for run in files.flat_map(|file| &file.runs).filter(|run| run.instrument == *instrument) {
                let told = [Channel::Book, Channel::BookTop].into_iter().filter(|channel| run.has(*channel));
                let (source, instrument) = (run.source, *instrument);
                let both = told.flat_map(|channel| [false, true].map(|filled| (channel, filled)));
                let both = both.filter(|(_, filled)| run.has_filled(*filled));
                let named = both.map(|(channel, filled)| BookLane { source, instrument, channel, filled });
                lanes.extend(named.filter(of));
            }
            let mut best: [Option<BookAt>; 2] = [None, None];
            for lane in lanes {
                let rank = |book: &BookAt| {
                    (book.state == BookAtState::Live, book.channel == Channel::Book, book.cursor)
                };
                let book = self.lane_at(&state, &fresh, lane, at, depth)?;
                let [told, filled] = &mut best;
                let best = if lane.filled { filled } else { told };
                *best = best.take().into_iter().chain(book).max_by_key(rank);
            }
            // What was filled in comes after all else on the bus: between the two it is the time that tells.
            let rank =
                |book: &BookAt| (book.state == BookAtState::Live, book.channel == Channel::Book, book.ts);
            books.extend(best.into_iter().rev().flatten().max_by_key(rank));
        }
        Ok(books)
    }

    /// The newest book of a lane.
    pub(crate) fn book_of(&self, lane: BookLane) -> Result<Option<BookAt>> {
        let wanted = |published: &Published| BookLane::of(&published.event) == Some(lane);
        let (state, fresh) = self.fresh(wanted, &TABLES, &[lane.instrument])?;
        self.lane_at(&state, &fresh, lane, Ts(i64::MAX), 0)
    }

    fn lane_at(
        &self,
        state: &State,
        fresh: &[Arc<Published>],
        lane: BookLane,
        at: Ts,
        depth: usize,
    ) -> Result<Option<BookAt>> {
        let fresh: Vec<&Arc<Published>> =
            fresh.iter().filter(|published| BookLane::of(&published.event) == Some(lane)).collect();
        let files = Files { reader: self, state, lane, rows: Cell::new(0) };
        let last = fresh.iter().rposition(|published| when(&published.event) <= at);
        let mut fold = match last {
            // What is in no file comes after all that is in one.
            Some(_) => files.fold(Ts(i64::MAX))?,
            None => files.fold(at)?,
        };
        for published in fresh.into_iter().take(last.map_or(0, |last| last + 1)) {
            fold.on(published);
        }
        let (Some(state), Some(newest)) = (fold.state, &fold.newest) else { return Ok(None) };
        Ok(Some(BookAt {
            instrument: Arc::clone(&newest.event.instrument),
            source: lane.source,
            channel: lane.channel,
            state,
            epoch: fold.epoch,
            seq: fold.book.seq(),
            cursor: newest.cursor,
            ts: when(&newest.event),
            levels: fold.book.levels(depth),
            rows_read: files.rows.get(),
        }))
    }

    /// The book of a lane as of all that stands in files.
    pub(crate) fn book_in_files(&self, state: &State, lane: BookLane) -> Result<Fold> {
        Files { reader: self, state, lane, rows: Cell::new(0) }.fold(Ts(i64::MAX))
    }
}

/// The rows of a lane in files.
struct Files<'a> {
    reader: &'a Reader,
    state: &'a State,
    lane: BookLane,
    /// How many rows were read.
    rows: Cell<u64>,
}

impl Files<'_> {
    /// The book after the last event that happened at `at` or before.
    fn fold(&self, at: Ts) -> Result<Fold> {
        let snapshot = self.newest(Table::BookSnapshots, at, None)?;
        let base = self.newest(Table::BookCheckpoints, at, snapshot)?.max(snapshot);
        // What followed it must still be there.
        let dropped = TABLES.iter().filter_map(|table| self.state.dropped.get(table)).max().copied();
        let base = base.filter(|base| Some(*base) > dropped);
        let start = base.or(dropped);
        let mut last = start;
        for table in TABLES {
            last = last.max(self.newest(table, at, last)?);
        }
        let mut fold = Fold::default();
        let Some(last) = last else { return Ok(fold) };
        let mut events = Vec::new();
        for table in TABLES.into_iter().chain(Table::COMPUTED).filter(|table| *table != Table::BookDeltas) {
            self.between(table, start, last, &mut events)?;
        }
        let snapshots = events.iter().filter(|published| matches!(published.event.body, Body::Snapshot(_)));
        // Changes of a book that is not known say nothing.
        if let Some(first) = base.or_else(|| snapshots.map(|published| published.cursor).min()) {
            self.between(Table::BookDeltas, Some(first), last, &mut events)?;
        }
        // A checkpoint that is not the base says what the events say, which are all there.
        events.retain(|published| {
            says_lost(published)
                || !published.event.flags.has(Flags::DERIVED)
                || BookLane::of(&published.event).is_none()
        });
        events.sort_by_key(|published| published.cursor);
        if let Some(base) = base {
            let before = Cursor { number: base.number.saturating_sub(1), ..base };
            let table = if snapshot == Some(base) { Table::BookSnapshots } else { Table::BookCheckpoints };
            let mut first = Vec::new();
            self.between(table, Some(before), base, &mut first)?;
            events.splice(..0, first);
        }
        for published in &events {
            fold.on(published);
        }
        Ok(fold)
    }

    /// The runs of a table that may hold events of the lane, the newest first.
    fn runs(&self, table: Table) -> Vec<(&Arc<FileMeta>, &Run)> {
        let BookLane { source, instrument, channel, filled } = self.lane;
        let of = |run: &&Run| {
            run.instrument == instrument && run.source == source && run.has(channel) && run.has_filled(filled)
        };
        let files = self.state.files.values().filter(|file| file.table == table);
        let mut runs: Vec<_> =
            files.flat_map(|file| file.runs.iter().filter(of).map(move |run| (file, run))).collect();
        runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.last));
        runs
    }

    /// The last event in a table that happened at `at` or before, and comes after `after`.
    fn newest(&self, table: Table, at: Ts, after: Option<Cursor>) -> Result<Option<Cursor>> {
        let mut newest = after;
        for (file, run) in self.runs(table) {
            if Some(run.last) <= newest {
                break;
            }
            if run.from <= at {
                newest = newest.max(self.newest_of(file, run, at, newest)?);
            }
        }
        Ok(newest.filter(|newest| Some(*newest) > after))
    }

    fn newest_of(&self, file: &FileMeta, run: &Run, at: Ts, after: Option<Cursor>) -> Result<Option<Cursor>> {
        let opened = self.reader.file(file)?;
        let first = self.row_after(file, &opened, run, after)?;
        let until = Ts(at.0.saturating_add(1));
        let ranges = opened.rows_between(first..run.start + run.rows, Ts(i64::MIN), until);
        for range in ranges.into_iter().rev() {
            let mut end = range.end;
            while end > range.start {
                let start = end.saturating_sub(LOOK_ROWS).max(range.start);
                for batch in self.cells(file, &opened, start..end, &MOMENT)?.iter().rev() {
                    let found = last_before(batch, self.lane, at);
                    if let Some(found) = found.ok_or_else(|| self.damaged(file, "its columns are others"))? {
                        return Ok(Some(found));
                    }
                }
                end = start;
            }
        }
        Ok(None)
    }

    /// The first row of a run whose event comes after a cursor.
    fn row_after(&self, file: &FileMeta, opened: &Opened, run: &Run, after: Option<Cursor>) -> Result<u64> {
        let (mut low, mut high) = (run.start, run.start + run.rows);
        let Some(after) = after.filter(|after| run.first <= *after) else { return Ok(low) };
        if run.last <= after {
            return Ok(high);
        }
        let cursors = |rows: std::ops::Range<u64>| -> Result<Vec<Cursor>> {
            let batches = self.cells(file, opened, rows, &PLACE)?;
            let cursors: Option<Vec<Vec<Cursor>>> = batches.iter().map(places).collect();
            Ok(cursors.ok_or_else(|| self.damaged(file, "its columns are others"))?.concat())
        };
        while high - low > LOOK_ROWS {
            let middle = u64::midpoint(low, high);
            match cursors(middle..middle + 1)?.first() {
                Some(cursor) if *cursor <= after => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low + cursors(low..high)?.partition_point(|cursor| *cursor <= after) as u64)
    }

    /// Adds the events of the lane in a table after one cursor and up to another.
    fn between(
        &self,
        table: Table,
        after: Option<Cursor>,
        to: Cursor,
        events: &mut Vec<Arc<Published>>,
    ) -> Result<()> {
        for (file, run) in self.runs(table) {
            if run.first > to || Some(run.last) <= after {
                continue;
            }
            let opened = self.reader.file(file)?;
            let rows =
                self.row_after(file, &opened, run, after)?..self.row_after(file, &opened, run, Some(to))?;
            if rows.is_empty() {
                continue;
            }
            self.rows.set(self.rows.get() + (rows.end - rows.start));
            let mut reader = RunReader::over(self.reader, file, &opened, &[rows])?;
            while let Some(published) = reader.next()? {
                if BookLane::of(&published.event) == Some(self.lane) {
                    events.push(Arc::new(published));
                }
            }
        }
        Ok(())
    }

    /// Some columns of rows.
    fn cells(
        &self,
        file: &FileMeta,
        opened: &Opened,
        rows: std::ops::Range<u64>,
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let count = rows.end - rows.start;
        self.rows.set(self.rows.get() + count);
        let batch_rows = usize::try_from(count).unwrap_or(usize::MAX);
        let batches = opened
            .cells(std::iter::once(rows), batch_rows, Some(columns))
            .and_then(|batches| batches.map(|batch| Ok(batch?)).collect());
        batches.map_err(|e| self.damaged(file, &e.to_string()))
    }

    fn damaged(&self, file: &FileMeta, what: &str) -> Error {
        Error::Damaged { path: self.reader.manifest.dir().join(&*file.path), what: what.to_owned() }
    }
}

/// The cursors of rows of [`PLACE`] and what may follow; `None` where the columns are others.
fn places(batch: &RecordBatch) -> Option<Vec<Cursor>> {
    let column = |place: usize| batch.columns().get(place)?.as_primitive_opt::<UInt64Type>();
    let (epochs, numbers) = column(0).zip(column(1))?;
    let pairs = epochs.values().iter().zip(numbers.values());
    Some(pairs.map(|(epoch, number)| Cursor { epoch: *epoch, number: *number }).collect())
}

/// The last row of [`MOMENT`] of this lane that happened at `at` or before; `None` where the columns are others.
#[expect(clippy::option_option, reason = "the two say different things")]
fn last_before(batch: &RecordBatch, lane: BookLane, at: Ts) -> Option<Option<Cursor>> {
    let column = |place: usize| batch.columns().get(place);
    let channels = column(2)?.as_dictionary_opt::<Int32Type>()?;
    let words = channels.values().as_string_opt::<i32>()?;
    let of: Vec<bool> = words.iter().map(|word| word == Some(lane.channel.name())).collect();
    let flags = column(3)?.as_primitive_opt::<UInt16Type>()?.values();
    let told = column(4)?.as_primitive_opt::<TimestampNanosecondType>()?;
    let ours = column(5)?.as_primitive_opt::<TimestampNanosecondType>()?.values();
    let mut found = None;
    for (row, ((flags, ours), key)) in flags.iter().zip(ours).zip(channels.keys().values()).enumerate().rev()
    {
        let believed = told.is_valid(row) && !Flags::from_bits(*flags).has(Flags::BAD_TIME);
        let happened = if believed { told.value(row) } else { *ours };
        let by = usize::try_from(*key).ok().and_then(|key| of.get(key)).copied().unwrap_or_default();
        if by && happened <= at.0 && Flags::from_bits(*flags).has(Flags::REPAIRED) == lane.filled {
            found = Some(row);
            break;
        }
    }
    let Some(row) = found else { return Some(None) };
    let cell = |place: usize| Some(column(place)?.as_primitive_opt::<UInt64Type>()?.value(row));
    Some(Some(Cursor { epoch: cell(0)?, number: cell(1)? }))
}
