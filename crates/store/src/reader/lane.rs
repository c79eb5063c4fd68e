//! The rows of one lane by the time at which they happened, as columns.

use super::Reader;
use crate::manifest::{FileMeta, Run, State};
use crate::table::{Definitions, Rows, Table};
use crate::{Error, Result, when};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt16Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use bus::Published;
use model::{Channel, Flags, InstrumentId, SourceName, Ts};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The columns that say when a row happened, when it was known, and by what channel it came.
const MOMENT: [&str; 5] = [CHANNEL, "flags", "ts_event", "ts_recv", KNOWN];
const CHANNEL: &str = "channel";
const KNOWN: &str = "ts_pub";
/// How far back the last row before an instant is looked for first.
const BACK_NS: i64 = 1_000_000_000;

/// What one source says of an instrument by one channel, wherever it stands.
pub(super) struct Lane {
    table: Table,
    pub source: SourceName,
    pub channel: Channel,
    /// In the order of the bus.
    pub runs: Vec<(Arc<FileMeta>, Run)>,
    /// What stands in no file, in the order of the bus.
    pub fresh: Vec<Arc<Published>>,
    known_at: Option<Ts>,
}

/// Rows in the order of time; those of one time are in the order of the bus.
pub(super) struct Timed {
    /// The columns that were asked for, in that order.
    pub columns: Vec<ArrayRef>,
    /// When each happened, by [`when`].
    pub at: Vec<i64>,
}

impl Lane {
    /// The lane that tells of an instrument in a table: rather by that channel, then the one of which there are more rows
    /// in a time. `fresh` holds what stands in no file, in the order of the bus.
    pub fn best(
        state: &State,
        fresh: &[Arc<Published>],
        table: Table,
        instrument: InstrumentId,
        source: Option<&str>,
        rather: Channel,
        time: Range<Ts>,
    ) -> Option<Self> {
        let of =
            |run: &&Run| run.instrument == instrument && source.is_none_or(|source| run.source == source);
        let files = state.files.values().filter(|file| file.table == table);
        let mut runs: Vec<_> = files
            .flat_map(|file| file.runs.iter().filter(of).map(|run| (Arc::clone(file), run.clone())))
            .collect();
        let mut rows: BTreeMap<(SourceName, Channel), u64> = BTreeMap::new();
        for (_, run) in runs.iter().filter(|(_, run)| run.to >= time.start && run.from < time.end) {
            for channel in Channel::ALL.into_iter().filter(|channel| run.has(*channel)) {
                *rows.entry((run.source, channel)).or_default() += run.rows;
            }
        }
        let of = |published: &&Arc<Published>| {
            let event = &published.event;
            Table::of(&event.body) == table
                && event.instrument.id == instrument
                && source.is_none_or(|source| event.source == source)
        };
        for event in fresh.iter().filter(of).map(|published| &published.event) {
            if time.contains(&when(event)) {
                *rows.entry((event.source, event.channel)).or_default() += 1;
            }
        }
        let best = rows.into_iter().max_by_key(|((_, channel), rows)| (*channel == rather, *rows));
        let ((source, channel), _) = best?;
        runs.retain(|(_, run)| run.source == source && run.has(channel));
        runs.sort_by_key(|(_, run)| run.first);
        let fresh = fresh.iter().filter(of);
        let fresh = fresh
            .filter(|published| (published.event.source, published.event.channel) == (source, channel))
            .map(Arc::clone)
            .collect();
        Some(Self { table, source, channel, runs, fresh, known_at: None })
    }

    /// Only what was published at that time or before.
    pub const fn known_at(mut self, known_at: Option<Ts>) -> Self {
        self.known_at = known_at;
        self
    }

    /// Cuts a time into pieces in which there are about so many rows.
    pub fn pieces(&self, time: &Range<Ts>, rows: u64) -> Vec<Range<Ts>> {
        let inside = |run: &&Run| run.to >= time.start && run.from < time.end;
        let runs = || self.runs.iter().map(|(_, run)| run).filter(inside);
        let fresh =
            || self.fresh.iter().map(|published| when(&published.event)).filter(|at| time.contains(at));
        let first = runs().map(|run| run.from).chain(fresh()).min();
        let last = runs().map(|run| run.to).chain(fresh()).max();
        let Some((first, last)) = first.zip(last) else { return Vec::new() };
        let (first, last) = (first.max(time.start).0, last.0.saturating_add(1).min(time.end.0));
        let count = runs().map(|run| run.rows).sum::<u64>() + fresh().count() as u64;
        let pieces = (count / rows + 1).cast_signed();
        let each = (last.saturating_sub(first) / pieces).max(1);
        let mut start = first;
        std::iter::from_fn(|| {
            let end = if last - start <= each { last } else { start + each };
            let piece = (start < last).then_some(Ts(start)..Ts(end));
            start = end;
            piece
        })
        .collect()
    }

    /// What happened in a time.
    ///
    /// # Errors
    /// [`Error`] where a file does not read.
    pub fn between(&self, reader: &Reader, time: &Range<Ts>, columns: &[usize]) -> Result<Timed> {
        let mut found = Found { batches: Vec::new(), at: Vec::new() };
        for (file, run) in self.runs.iter().filter(|(_, run)| run.to >= time.start && run.from < time.end) {
            let opened = reader.file(file)?;
            let damaged =
                |what: String| Error::Damaged { path: reader.manifest.dir().join(&*file.path), what };
            let read = self.read(columns, run.is_of_one_channel());
            let ranges = opened.rows_between(run.start..run.start + run.rows, time.start, time.end);
            let rows: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            let rows = usize::try_from(rows).unwrap_or(usize::MAX);
            let batches = opened.cells(ranges, rows, Some(&read)).map_err(|e| damaged(e.to_string()))?;
            for batch in batches {
                let batch = batch.map_err(|e| damaged(e.to_string()))?;
                let taken = self.take(&mut found, &batch, time, columns);
                taken.ok_or_else(|| damaged("its columns are others".to_owned()))?;
            }
        }
        let mut rows = Rows::new(self.table);
        let mut definitions = Definitions::default();
        for published in self.fresh.iter().filter(|published| time.contains(&when(&published.event))) {
            rows.push(published, &mut definitions);
        }
        if rows.len() > 0 || found.batches.is_empty() {
            let taken = self.take(&mut found, &rows.finish(), time, columns);
            debug_assert!(taken.is_some(), "rows that we made have our columns");
        }
        found.sorted().map_err(|e| Error::Damaged {
            path: reader.manifest.dir().to_owned(),
            what: format!("rows of {} do not join: {e}", self.table.name()),
        })
    }

    /// What is read of a run to know those columns, when a row happened and whether it is of the lane.
    fn read(&self, columns: &[usize], one_channel: bool) -> Vec<usize> {
        let needed = MOMENT.iter().filter(|name| match **name {
            CHANNEL => !one_channel,
            KNOWN => self.known_at.is_some(),
            _ => true,
        });
        let mut read: Vec<usize> = needed.filter_map(|name| self.table.place(name)).collect();
        read.extend(columns);
        read.sort_unstable();
        read.dedup();
        read
    }

    /// The last row that happened before a time, where there is one.
    ///
    /// # Errors
    /// As [`Lane::between`].
    pub fn last_before(&self, reader: &Reader, at: Ts, columns: &[usize]) -> Result<Option<Timed>> {
        let earliest = self.runs.iter().map(|(_, run)| run.from);
        let earliest = earliest.chain(self.fresh.iter().map(|published| when(&published.event))).min();
        let Some(earliest) = earliest.filter(|earliest| *earliest < at) else { return Ok(None) };
        let (mut end, mut back) = (at, BACK_NS);
        while end > earliest {
            let start = Ts(end.0.saturating_sub(back)).max(earliest);
            let mut found = self.between(reader, &(start..end), columns)?;
            if let Some(last) = found.at.len().checked_sub(1) {
                let columns = found.columns.iter().map(|column| column.slice(last, 1)).collect();
                return Ok(Some(Timed { columns, at: found.at.split_off(last) }));
            }
            (end, back) = (start, back.saturating_mul(8));
        }
        Ok(None)
    }

    /// Keeps those rows that are of the lane, in the time, and known; `None` where the columns are others.
    fn take(
        &self,
        found: &mut Found,
        batch: &RecordBatch,
        time: &Range<Ts>,
        columns: &[usize],
    ) -> Option<()> {
        let column = |name: &str| batch.column_by_name(name);
        let by = match column(CHANNEL) {
            Some(channels) => by_channel(channels, self.channel)?,
            None => Vec::new(),
        };
        let known = match (column(KNOWN), self.known_at) {
            (Some(known), Some(at)) => {
                Some((known.as_primitive_opt::<TimestampNanosecondType>()?.values(), at.0))
            }
            _ => None,
        };
        let mut at = Vec::new();
        moments(batch, &mut at)?;
        let wanted = |row: usize, at: i64| {
            time.start.0 <= at
                && at < time.end.0
                && by.get(row).is_none_or(|by| *by)
                && known.is_none_or(|(known, at)| known.get(row).is_some_and(|known| *known <= at))
        };
        let wanted: Vec<bool> = at.iter().enumerate().map(|(row, at)| wanted(row, *at)).collect();
        let before = found.at.len();
        found.at.extend(at.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(at, _)| at));
        let all = self.table.columns();
        let arrays = columns.iter().map(|place| Some(Arc::clone(column(&all.get(*place)?.name)?)));
        let mut arrays: Vec<ArrayRef> = arrays.collect::<Option<_>>()?;
        if found.at.len() - before < batch.num_rows() {
            let wanted = BooleanArray::from(wanted);
            for array in &mut arrays {
                *array = arrow_select::filter::filter(array, &wanted).ok()?;
            }
        }
        found.batches.push(arrays);
        Some(())
    }
}

/// When each row happened, by [`when`]; `None` where the columns are others.
pub(super) fn moments(batch: &RecordBatch, at: &mut Vec<i64>) -> Option<()> {
    let column = |name: &str| batch.column_by_name(name);
    let flags = column("flags")?.as_primitive_opt::<UInt16Type>()?.values();
    let told = column("ts_event")?.as_primitive_opt::<TimestampNanosecondType>()?;
    let heard = column("ts_recv")?.as_primitive_opt::<TimestampNanosecondType>()?.values();
    at.clear();
    at.extend(told.values());
    for (row, ((at, flags), heard)) in at.iter_mut().zip(flags).zip(heard).enumerate() {
        if told.is_null(row) || Flags::from_bits(*flags).has(Flags::BAD_TIME) {
            *at = *heard;
        }
    }
    Some(())
}

/// Which rows came by a channel; `None` where the column is another.
pub(super) fn by_channel(channels: &ArrayRef, channel: Channel) -> Option<Vec<bool>> {
    let channels = channels.as_dictionary_opt::<Int32Type>()?;
    let words = channels.values().as_string_opt::<i32>()?;
    let of: Vec<bool> = words.iter().map(|word| word == Some(channel.name())).collect();
    channels.keys().values().iter().map(|key| of.get(usize::try_from(*key).ok()?).copied()).collect()
}

/// Columns of rows in the order in which they were found.
struct Found {
    batches: Vec<Vec<ArrayRef>>,
    at: Vec<i64>,
}

impl Found {
    fn sorted(self) -> Result<Timed, arrow_schema::ArrowError> {
        let Self { mut batches, mut at } = self;
        let count = batches.first().map_or(0, Vec::len);
        let mut columns = if batches.len() == 1 {
            batches.swap_remove(0)
        } else {
            let column = |place: usize| {
                let parts: Vec<&dyn Array> =
                    batches.iter().filter_map(|batch| Some(&**batch.get(place)?)).collect();
                arrow_select::concat::concat(&parts)
            };
            (0..count).map(column).collect::<Result<_, _>>()?
        };
        if !at.is_sorted() {
            let mut order: Vec<(i64, u32)> = at.iter().copied().zip(0..).collect();
            // A place is there once, so rows of one time stay as they were.
            order.sort_unstable();
            let places: UInt32Array = order.iter().map(|(_, place)| *place).collect();
            for column in &mut columns {
                *column = arrow_select::take::take(&**column, &places, None)?;
            }
            at = order.into_iter().map(|(at, _)| at).collect();
        }
        Ok(Timed { columns, at })
    }
}
