//! The tables of the database: read whole, held against their sums, and changed in one transaction.

use super::head::Sum;
use super::{Change, State};
use crate::code::Code;
use crate::ledger::{Interval, LaneName};
use redb::{Database, ReadTransaction, ReadableTable as _, TableDefinition, TableError};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const FILES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("files");
pub(super) const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
pub(super) const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");
/// The intervals of lanes that are final, by lane, number and part.
pub(super) const INTERVALS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("intervals");
pub(super) const LEDGER: &str = "ledger";
/// [`State::head`].
pub(super) const HEAD: &str = "head";
/// How many notes are kept.
const NOTES_MAX: u64 = 10_000;

/// Keys and values.
pub(super) type Rows<K> = Vec<(K, Vec<u8>)>;

/// Changes it, and the state that it is known by.
pub(super) fn write(base: &Database, state: &mut State, change: Change) -> Result<(), redb::Error> {
    let transaction = base.begin_write()?;
    {
        let mut files = transaction.open_table(FILES)?;
        let mut facts = transaction.open_table(FACTS)?;
        let mut notes = transaction.open_table(NOTES)?;
        let sums = &mut state.sums;
        let mut removed = Vec::new();
        for id in change.remove {
            if let Some(old) = files.remove(id)? {
                sums.files.remove(&id.to_le_bytes(), old.value());
            }
            removed.extend(state.files.remove(&id));
        }
        for file in change.add {
            let bytes = coded(&file);
            sums.files.add(&file.id.to_le_bytes(), &bytes);
            files.insert(file.id, bytes.as_slice())?;
            state.next = state.next.max(file.id + 1);
            state.files.insert(file.id, Arc::new(file));
        }
        state.sealed = change.sealed.unwrap_or(state.sealed);
        if let Some(mut ledger) = change.ledger {
            let table = &mut transaction.open_table(INTERVALS)?;
            put_intervals(table, ledger.drain(), &mut sums.intervals)?;
            let bytes = ledger.to_bytes();
            sums.ledger = Sum::of([(LEDGER, &bytes)]);
            facts.insert(LEDGER, bytes.as_slice())?;
        }
        for (table, cursor) in change.dropped {
            let last = state.dropped.entry(table).or_insert(cursor);
            *last = cursor.max(*last);
        }
        let first = notes.last()?.map_or(0, |(id, _)| id.value() + 1);
        for (id, note) in (first..).zip(change.notes) {
            let bytes = coded(&note);
            sums.notes.add(&id.to_le_bytes(), &bytes);
            notes.insert(id, bytes.as_slice())?;
            let old = id.wrapping_sub(NOTES_MAX);
            if let Some(note) = notes.remove(old)? {
                sums.notes.remove(&old.to_le_bytes(), note.value());
            }
        }
        for file in &removed {
            state.warmed(file);
        }
        state.cooled(change.cooling);
        facts.insert(HEAD, state.head().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// The rows of a table; none where it was never made.
pub(super) fn rows<K: redb::Key + 'static, T>(
    read: &ReadTransaction,
    table: TableDefinition<'_, K, &'static [u8]>,
    key: impl for<'a> Fn(K::SelfType<'a>) -> T,
) -> Result<Rows<T>, redb::Error> {
    let table = match read.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let rows = table.iter()?.map(|row| {
        let (id, bytes) = row?;
        Ok((key(id.value()), bytes.value().to_vec()))
    });
    rows.collect()
}

/// The rows of a table that is known by numbers, held against their sum.
pub(super) fn numbered(
    read: &ReadTransaction,
    table: TableDefinition<'_, u64, &'static [u8]>,
    sum: Sum,
) -> Result<Rows<u64>, redb::Error> {
    let rows = rows(read, table, |id| id)?;
    let found = Sum::of(rows.iter().map(|(id, bytes)| (id.to_le_bytes(), bytes)));
    if found == sum { Ok(rows) } else { Err(corrupted("entries")) }
}

/// The intervals, held against their sum.
pub(super) fn intervals(read: &ReadTransaction, sum: Sum) -> Result<Rows<Vec<u8>>, redb::Error> {
    let rows = rows(read, INTERVALS, <[u8]>::to_vec)?;
    let found = Sum::of(rows.iter().map(|(key, bytes)| (key, bytes)));
    if found == sum { Ok(rows) } else { Err(corrupted("intervals")) }
}

/// What stands beside the tables, held against itself: the head, and all by name.
pub(super) fn facts(read: &ReadTransaction) -> Result<(State, Rows<Box<str>>), redb::Error> {
    let facts: Rows<Box<str>> = rows(read, FACTS, |name| name.into())?;
    let head = facts.iter().find(|(name, _)| &**name == HEAD).map(|(_, bytes)| State::of_head(bytes));
    let head = head.map_or_else(|| Ok(State::default()), |head| head.ok_or_else(|| corrupted("facts")))?;
    let ledger = facts.iter().filter(|(name, _)| &**name == LEDGER);
    if Sum::of(ledger.map(|(name, bytes)| (name.as_bytes(), bytes))) != head.sums.ledger {
        return Err(corrupted("ledger"));
    }
    Ok((head, facts))
}

/// A value as bytes.
fn coded(value: &impl Code) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    bytes
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

/// Intervals replace what is kept under their number, as far as they reach: of one that was repaired in part, the rest
/// stays.
fn put_intervals(
    table: &mut redb::Table<'_, &[u8], &[u8]>,
    intervals: Vec<Interval>,
    sum: &mut Sum,
) -> Result<(), redb::Error> {
    let mut numbers: BTreeMap<(Vec<u8>, Vec<u8>), Vec<Interval>> = BTreeMap::new();
    for interval in intervals {
        let keys = (interval_key(&interval, 0), interval_key(&interval, u16::MAX));
        numbers.entry(keys).or_default().push(interval);
    }
    for ((first, last), mut parts) in numbers {
        let mut rest = Vec::new();
        for entry in table.range(&*first..=&*last)? {
            let (_, value) = entry?;
            let kept = Interval::from_bytes(value.value()).ok_or_else(|| corrupted("intervals"))?;
            if !kept.is_replaced(&parts) {
                rest.push(kept);
            }
        }
        parts.extend(rest);
        parts.sort_by_key(|it| it.from.ts);
        table.retain_in(&*first..=&*last, |key, value| {
            sum.remove(key, value);
            false
        })?;
        for (part, interval) in (0..=u16::MAX).zip(parts) {
            let (key, bytes) = (interval_key(&interval, part), interval.to_bytes());
            sum.add(&key, &bytes);
            table.insert(key.as_slice(), bytes.as_slice())?;
        }
    }
    Ok(())
}

pub(super) fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(format!("its {what} do not hold"))
}
