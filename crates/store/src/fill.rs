//! Events of the past into a folder that no platform uses: each once, as of now known.

use crate::archive::event_weight;
use crate::books::BookLane;
use crate::ledger::LaneName;
use crate::log::Entry;
use crate::manifest::{Change, FILLED, Note};
use crate::reader::{Query, Reader};
use crate::same::{Identity, identity};
use crate::store::Store;
use crate::table::Table;
use crate::{Result, when};
use bus::{Cursor, Published};
use hashbrown::HashMap;
use model::{Channel, Event, Flags, InstrumentId, SourceName, Ts};
use std::sync::Arc;

/// How many events are held against what is kept, and committed, at once.
const CHUNK: usize = 65_536;
/// How many bytes of memory they may take, about.
const CHUNK_BYTES: u64 = 64 << 20;
/// After so many chunks what was logged is written as files, so that the log stays short.
const CHUNKS_SEALED: usize = 4;
/// Changes of a book may come by so much before others that are kept, in ns: times of snapshots and changes are told by
/// different clocks.
const BOOK_SLACK_NS: i64 = 10_000_000_000;

/// A lane by what tells it apart.
type LaneKey = (SourceName, InstrumentId, Channel);

/// What became of events that were handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// How many are kept now and were not before.
    pub taken: u64,
    /// How many were there already.
    pub known: u64,
    /// How many tell of a book before what is kept of its past: the past of a book is filled in in its order.
    pub late: u64,
}

/// Takes events of the past: from files or from a venue's history. Each gets the flag `repaired`, its place on the bus after
/// all that is kept, in an epoch of its own, and the time of the filling as that of its publication, which is when it
/// became known. What is there already ([`identity`]) is passed over.
pub struct Filler {
    store: Store,
    reader: Reader,
    epoch: u64,
    number: u64,
    /// Up to which number it is noted that they were filled in.
    noted: u64,
    at: Ts,
    chunk: Vec<Event>,
    bytes: u64,
    chunks: usize,
    filled: Filled,
    /// Of trades without numbers, how many the file in hand has brought, as of the chunk before: what is of one instant
    /// stands together in a file.
    brought: HashMap<(LaneKey, String), u32>,
    /// Up to when books of the past are kept, as of the beginning of the file in hand.
    books: HashMap<BookLane, Option<Ts>>,
}

impl Filler {
    /// Fills in the past of a store; `newest` is what opening it found, `now` becomes the time at which all is known.
    pub fn new(store: Store, newest: Option<Cursor>, now: Ts) -> Self {
        let reader = store.reader_of_disk();
        let ms = u64::try_from(now.as_ms()).unwrap_or_default();
        let epoch = newest.map_or(ms, |newest| ms.max(newest.epoch + 1));
        Self {
            store,
            reader,
            epoch,
            number: 0,
            noted: 0,
            at: now,
            chunk: Vec::new(),
            bytes: 0,
            chunks: 0,
            filled: Filled::default(),
            brought: HashMap::new(),
            books: HashMap::new(),
        }
    }

    /// Reads what is kept by now, but for what was handed over since the last [`Filler::file`].
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Takes an event.
    ///
    /// # Errors
    /// [`crate::Error`] where the disk refuses or what is kept does not read.
    pub fn put(&mut self, mut event: Event) -> Result<()> {
        event.flags |= Flags::REPAIRED;
        self.bytes += event_weight(&event);
        self.chunk.push(event);
        if self.chunk.len() < CHUNK && self.bytes < CHUNK_BYTES { Ok(()) } else { self.flush() }
    }

    /// A file, or another whole thing, ends: all of it is safe, and this became of it.
    ///
    /// # Errors
    /// As [`Filler::put`].
    pub fn file(&mut self) -> Result<Filled> {
        self.flush()?;
        self.brought.clear();
        self.books.clear();
        Ok(std::mem::take(&mut self.filled))
    }

    /// What is missing of a lane between two instants was filled in by so many events, which were handed over: the ledger
    /// says so from now on. True where something was missing there.
    ///
    /// # Errors
    /// As [`Filler::put`].
    pub fn repaired(&mut self, lane: &LaneName, from: Ts, to: Ts, events: u64) -> Result<bool> {
        self.flush()?;
        self.store.seal_all()?;
        let (at, manifest) = (self.at, self.store.manifest());
        let mut ledger = manifest.ledger()?;
        let mut found = ledger.repaired(lane, from, to, at, events);
        for kept in manifest.intervals(|of| of == lane)? {
            found |= ledger.repaired_before(&kept, (from, to), at, events);
        }
        if found {
            let LaneName { source, instrument, channel, .. } = lane;
            let (channel, from, to) = (channel.name(), from.0, to.0);
            let why =
                format!("{channel} of {instrument} by {source}, from {from} to {to} ns: from its history");
            let table = Table::Trades.name().into();
            let notes = vec![Note { at, what: "repaired".into(), table, count: events, why: why.into() }];
            manifest.commit(Change { notes, ledger: Some(ledger), ..Change::default() })?;
        }
        Ok(found)
    }

    /// Ends it; everything stands in files then.
    ///
    /// # Errors
    /// As [`Filler::put`].
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.store.seal_all()?;
        self.note()?;
        self.store.into_log().close()
    }

    /// Says that what was committed since this was said was filled in later: once at the begin, so that it is known also where
    /// the process is killed, and at the end.
    fn note(&mut self) -> Result<()> {
        let count = self.number - std::mem::replace(&mut self.noted, self.number);
        if count == 0 {
            return Ok(());
        }
        let note = Note {
            at: self.at,
            what: FILLED.into(),
            table: "".into(),
            count,
            why: self.epoch.to_string().into(),
        };
        self.store.manifest().commit(Change { notes: vec![note], ..Change::default() })
    }

    fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        self.bytes = 0;
        if chunk.is_empty() {
            return Ok(());
        }
        let kept = self.kept(&chunk)?;
        let before = std::mem::take(&mut self.brought);
        let mut fresh: HashMap<(LaneKey, Identity), u32> = HashMap::new();
        let mut entries = Vec::new();
        for event in chunk {
            let (lane, same) = (lane(&event), identity(&event));
            let there = kept.get(&(lane, same.clone())).copied().unwrap_or_default();
            let known = if same.repeats {
                // What this file brought before is among those that are there.
                let key = (lane, same.key.clone());
                let earlier = before.get(&key).copied().unwrap_or_default();
                let brought = self.brought.entry(key).or_insert(earlier);
                *brought += 1;
                let new = fresh.entry((lane, same)).or_default();
                let known = *brought <= there + *new;
                *new += u32::from(!known);
                known
            } else {
                let new = fresh.entry((lane, same)).or_default();
                *new += 1;
                there + *new > 1
            };
            if known {
                self.filled.known += 1;
            } else if self.is_late(&event)? {
                self.filled.late += 1;
            } else {
                self.filled.taken += 1;
                self.number += 1;
                let cursor = Cursor { epoch: self.epoch, number: self.number };
                entries.push(Entry::Event(Arc::new(Published { cursor, ts_pub: self.at, event })));
            }
        }
        self.store.commit(&entries)?;
        if self.noted == 0 {
            self.note()?;
        }
        self.chunks += 1;
        if self.chunks.is_multiple_of(CHUNKS_SEALED) {
            self.store.seal_all()?;
        }
        Ok(())
    }

    /// How often what these events are known by is kept.
    fn kept(&self, chunk: &[Event]) -> Result<HashMap<(LaneKey, Identity), u32>> {
        let times = || chunk.iter().map(when);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(HashMap::new()) };
        let mut tables: Vec<Table> = chunk.iter().map(|event| Table::of(&event.body)).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut instruments: Vec<InstrumentId> = chunk.iter().map(|event| event.instrument.id).collect();
        instruments.sort_unstable();
        instruments.dedup();
        let mut kept: HashMap<(LaneKey, Identity), u32> =
            chunk.iter().map(|event| ((lane(event), identity(event)), 0)).collect();
        let query = Query { instruments, from, to: Ts(to.0.saturating_add(1)), ..Query::of(&tables) };
        for published in self.reader.range(query)? {
            let event = &published?.event;
            if let Some(times) = kept.get_mut(&(lane(event), identity(event))) {
                *times += 1;
            }
        }
        Ok(kept)
    }

    /// Whether an event tells of a book before what is kept of its past.
    fn is_late(&mut self, event: &Event) -> Result<bool> {
        let Some(lane) = BookLane::of(event) else { return Ok(false) };
        let newest = if let Some(newest) = self.books.get(&lane) {
            *newest
        } else {
            let newest = self.reader.book_of(lane)?.map(|book| book.ts);
            *self.books.entry(lane).or_insert(newest)
        };
        Ok(newest.is_some_and(|newest| when(event).0 < newest.0.saturating_sub(BOOK_SLACK_NS)))
    }
}

fn lane(event: &Event) -> LaneKey {
    (event.source, event.instrument.id, event.channel)
}
