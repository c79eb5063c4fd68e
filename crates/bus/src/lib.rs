//! Fan-out inside one process: numbers every event, keeps the last values, and gives each reader what it asked for, by
//! the contract it chose.
//!
//! The number is the cursor of every reader. What a reader did not get is told inside its stream.

mod queue;
mod reader;
mod values;

pub use reader::{Filter, Item, Policy, Reader, Skipped};
pub use values::{BookState, BookView, LaneView};

use hashbrown::HashMap;
use lane::{LaneReport, LinkReport};
use model::{Catalogue, Channel, Event, Instrument, InstrumentId, Lookup, Ts};
use reader::Shared;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use values::Values;

/// Bounds of the bus.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many events are kept for readers who come back. Default 65,536.
    pub window: usize,
    /// How many trades of each instrument are kept. Default 200.
    pub trades_max: usize,
    /// Levels a side that a kept book holds. Default 20,000.
    pub levels_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: 65_536, trades_max: 200, levels_max: book::LEVELS_MAX }
    }
}

/// A place in the sequence of all events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Which life of the bus, by the millisecond in which it began.
    pub epoch: u64,
    /// Counts from 1 within the epoch, without holes.
    pub number: u64,
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place.
    pub cursor: Cursor,
    /// When it was published.
    pub ts_pub: Ts,
    /// The event.
    pub event: Event,
}

/// The bus. Cheap to share; publishing takes one short lock.
pub struct Bus {
    inner: Mutex<Inner>,
    pressure: Arc<Pressure>,
}

/// How many lossless readers are full, and who waits for them.
#[derive(Default)]
pub(crate) struct Pressure {
    pub(crate) full: AtomicUsize,
    pub(crate) relieved: Notify,
}

struct Inner {
    config: Config,
    cursor: Cursor,
    ring: VecDeque<Arc<Published>>,
    values: Values,
    readers: Readers,
}

/// Who reads what. A reader is found by the instrument of an event, or reads all of them.
#[derive(Default)]
struct Readers {
    all: Vec<Arc<Shared>>,
    by_instrument: HashMap<InstrumentId, Vec<Arc<Shared>>>,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bus {
    /// An empty bus whose epoch begins at `now`.
    pub fn new(config: Config, now: Ts) -> Self {
        let values = Values::new(config.trades_max, config.levels_max);
        let cursor = Cursor { epoch: now.as_ms().unsigned_abs(), number: 0 };
        let inner = Inner { config, cursor, ring: VecDeque::new(), values, readers: Readers::default() };
        Self { inner: Mutex::new(inner), pressure: Arc::default() }
    }

    /// Numbers an event, keeps it and hands it to its readers.
    pub fn publish(&self, event: Event, now: Ts) -> Cursor {
        let mut inner = lock(&self.inner);
        inner.cursor.number += 1;
        let cursor = inner.cursor;
        let published = Arc::new(Published { cursor, ts_pub: now, event });
        inner.values.on(&published);
        if inner.ring.len() >= inner.config.window {
            inner.ring.pop_front();
        }
        inner.ring.push_back(Arc::clone(&published));
        inner.readers.push(&published);
        cursor
    }

    /// Whether no lossless reader is full; see [`Bus::ready`].
    pub fn is_ready(&self) -> bool {
        self.pressure.full.load(Ordering::Acquire) == 0
    }

    /// Returns once no lossless reader is full. A publisher awaits this between frames; that is how a lossless reader
    /// slows it down, and why its queue can pass its bound by the events of one frame of each publisher.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ready(&self) {
        loop {
            let relieved = self.pressure.relieved.notified();
            if self.is_ready() {
                return;
            }
            relieved.await;
        }
    }

    /// Starts reading. `from` is the last cursor the reader has; what lies between it and now comes first, or one
    /// `Skipped` where it is no longer kept. Without it the reader first gets the last values of what it asked for.
    pub fn subscribe(self: &Arc<Self>, filter: Filter, policy: Policy, from: Option<Cursor>) -> Reader {
        let shared = Arc::new(Shared::new(policy, Arc::clone(&self.pressure)));
        let mut inner = lock(&self.inner);
        inner.readers.add(&shared, &filter);
        shared.set_filter(filter);
        match from {
            Some(from) => inner.resume(&shared, from),
            None => inner.give_last_values(&shared),
        }
        drop(inner);
        Reader::new(Arc::clone(self), shared)
    }

    /// Changes what a reader reads. For lanes that are new to it the last values come first.
    pub(crate) fn refilter(&self, shared: &Arc<Shared>, filter: Filter) -> Cursor {
        let mut inner = lock(&self.inner);
        inner.readers.remove(shared);
        inner.readers.add(shared, &filter);
        let old = shared.filter();
        inner.values.last(&filter, inner.cursor, |published| {
            let event = &published.event;
            if !old.wants(event.instrument.id, event.channel) {
                shared.push_last_value(&published);
            }
        });
        shared.set_filter(filter);
        inner.cursor
    }

    /// Takes a reader off.
    pub(crate) fn unsubscribe(&self, shared: &Arc<Shared>) {
        lock(&self.inner).readers.remove(shared);
        shared.close();
    }

    /// Gives a reader that lost events a fresh start: the last values of all it reads.
    pub(crate) fn restart(&self, shared: &Arc<Shared>) {
        let inner = lock(&self.inner);
        shared.restart(inner.cursor);
        inner.give_last_values(shared);
    }

    /// Fills in the books that a reader is to get as snapshots.
    pub(crate) fn refresh(&self, shared: &Shared) {
        let inner = lock(&self.inner);
        shared.refresh(|key| inner.values.snapshot(key, inner.cursor));
    }

    /// The number of the newest event.
    pub fn cursor(&self) -> Cursor {
        lock(&self.inner).cursor
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        lock(&self.inner).readers.count()
    }

    /// A book as of now, with at most `depth` levels a side. `None` where nothing is known of the lane.
    pub fn book(&self, instrument: InstrumentId, channel: Channel, depth: usize) -> Option<BookView> {
        self.book_by(None, instrument, channel, depth)
    }

    /// As [`Bus::book`], told by this source where one is named: several may tell of one instrument.
    pub fn book_by(
        &self,
        source: Option<&str>,
        instrument: InstrumentId,
        channel: Channel,
        depth: usize,
    ) -> Option<BookView> {
        let inner = lock(&self.inner);
        inner.values.book(source, instrument, channel, depth, inner.cursor)
    }

    /// The newest event of each kind on a lane.
    pub fn last(&self, instrument: InstrumentId, channel: Channel) -> Vec<Arc<Published>> {
        lock(&self.inner).values.newest(instrument, channel)
    }

    /// The newest trades of an instrument, oldest first, at most `limit`: of the source that is named, or else of the one that
    /// told the newest.
    pub fn trades(
        &self,
        source: Option<&str>,
        instrument: InstrumentId,
        channel: Channel,
        limit: usize,
    ) -> Vec<Arc<Published>> {
        lock(&self.inner).values.trades(source, instrument, channel, limit)
    }

    /// Finds an instrument by a common spelling; see [`Catalogue::find`].
    pub fn find(&self, venue: &str, spelling: &str) -> Lookup {
        lock(&self.inner).values.catalogue.find(venue, spelling)
    }

    /// Reads the catalogue under the bus's lock; keep it short.
    pub fn with_catalogue<T>(&self, read: impl FnOnce(&Catalogue) -> T) -> T {
        read(&lock(&self.inner).values.catalogue)
    }

    /// The newest definition of an instrument.
    pub fn instrument(&self, id: InstrumentId) -> Option<Arc<Instrument>> {
        lock(&self.inner).values.catalogue.get(id).map(Arc::clone)
    }

    /// The state of every lane, sorted by source, instrument and channel.
    pub fn lanes(&self, now: Ts) -> Vec<LaneReport> {
        lock(&self.inner).values.lanes(now)
    }

    /// The state of every connection, sorted by source and number.
    pub fn links(&self, now: Ts) -> Vec<LinkReport> {
        lock(&self.inner).values.links(now)
    }

    /// What was seen of the lanes that are `wanted`, sorted by source, instrument and channel.
    pub fn evidence(&self, wanted: impl Fn(&lane::Evidence) -> bool) -> Vec<lane::Evidence> {
        lock(&self.inner).values.evidence(wanted)
    }

    /// What every lane holds: the plain counts behind metrics, in no order.
    pub fn lane_views(&self) -> Vec<LaneView> {
        lock(&self.inner).values.lane_views()
    }
}

impl Inner {
    fn resume(&self, shared: &Shared, from: Cursor) {
        let first = self.ring.front().map_or(self.cursor.number + 1, |p| p.cursor.number);
        let known = from.epoch == self.cursor.epoch && from.number <= self.cursor.number;
        if known && from.number + 1 >= first {
            let after = self.ring.iter().skip((from.number + 1 - first) as usize);
            for published in after.filter(|p| shared.wants(&p.event)) {
                shared.push(published);
            }
            return;
        }
        let from_number = if known { from.number + 1 } else { 0 };
        let why = if known { "window" } else { "epoch" };
        let to = self.cursor.number;
        shared.push_skipped(Skipped { from: from_number, to, count: None, why });
        self.give_last_values(shared);
    }

    fn give_last_values(&self, shared: &Shared) {
        self.values.last(&shared.filter(), self.cursor, |published| shared.push_last_value(&published));
    }
}

impl Readers {
    fn add(&mut self, shared: &Arc<Shared>, filter: &Filter) {
        match filter.instruments() {
            None => self.all.push(Arc::clone(shared)),
            Some(ids) => {
                for id in ids {
                    self.by_instrument.entry(id).or_default().push(Arc::clone(shared));
                }
            }
        }
    }

    fn remove(&mut self, shared: &Arc<Shared>) {
        self.all.retain(|s| !Arc::ptr_eq(s, shared));
        match shared.filter().instruments() {
            None => {}
            Some(ids) => {
                for id in ids {
                    if let Some(readers) = self.by_instrument.get_mut(&id) {
                        readers.retain(|s| !Arc::ptr_eq(s, shared));
                        if readers.is_empty() {
                            self.by_instrument.remove(&id);
                        }
                    }
                }
            }
        }
    }

    fn push(&self, published: &Arc<Published>) {
        let by_id = self.by_instrument.get(&published.event.instrument.id);
        for shared in self.all.iter().chain(by_id.into_iter().flatten()) {
            if shared.wants(&published.event) {
                shared.push(published);
            }
        }
    }

    fn count(&self) -> usize {
        let mut all: Vec<*const Shared> =
            self.all.iter().chain(self.by_instrument.values().flatten()).map(Arc::as_ptr).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

#[cfg(test)]
mod tests;
