//! A reader: what it wants, by which contract, and what waits for it.

use crate::queue::{Key, Queue};
use crate::{Bus, Cursor, Pressure, Published};
use hashbrown::HashMap;
use model::{Channel, Event, InstrumentId};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a reader does when it falls behind. It says so where it subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Never loses: publishers wait for it. For the archive.
    Lossless {
        /// How many events may wait before publishers do.
        queue_max: usize,
    },
    /// Keeps every trade, and of books, quotes and other states only what they come to. For people.
    Conflate {
        /// How many entries may wait before all are dropped and the reader starts afresh.
        queue_max: usize,
    },
    /// As `Conflate`, but the newest of everything, trades too, and only this often.
    Sample {
        /// The shortest time between two deliveries, in ms.
        every_ms: u64,
        /// As in `Conflate`.
        queue_max: usize,
    },
}

/// Which events a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Channels by instrument; `None` means every instrument.
    instruments: Option<HashMap<InstrumentId, Channels>>,
    /// Channels of every instrument.
    channels: Channels,
}

/// A set of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Channels(u32);

impl Channels {
    const fn bit(channel: Channel) -> u32 {
        1 << channel as u32
    }
}

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self { instruments: None, channels: Channels(u32::MAX) }
    }

    /// These channels of every instrument.
    pub fn channels(channels: &[Channel]) -> Self {
        let bits = channels.iter().fold(0, |bits, c| bits | Channels::bit(*c));
        Self { instruments: None, channels: Channels(bits) }
    }

    /// Nothing yet; to be filled by [`Filter::add`].
    pub fn none() -> Self {
        Self { instruments: Some(HashMap::new()), channels: Channels(0) }
    }

    /// Adds a channel of an instrument. Without effect on a filter for every instrument.
    pub fn add(&mut self, instrument: InstrumentId, channel: Channel) {
        if let Some(map) = &mut self.instruments {
            map.entry(instrument).or_default().0 |= Channels::bit(channel);
        }
    }

    /// Takes a channel of an instrument out. Without effect on a filter for every instrument.
    pub fn remove(&mut self, instrument: InstrumentId, channel: Channel) {
        if let Some(map) = &mut self.instruments
            && let Some(channels) = map.get_mut(&instrument)
        {
            channels.0 &= !Channels::bit(channel);
            if channels.0 == 0 {
                map.remove(&instrument);
            }
        }
    }

    /// Whether an event of that lane is wanted.
    pub fn wants(&self, instrument: InstrumentId, channel: Channel) -> bool {
        let channels = match &self.instruments {
            None => self.channels,
            Some(map) => map.get(&instrument).copied().unwrap_or_default(),
        };
        channels.0 & Channels::bit(channel) != 0
    }

    /// How many lanes were added.
    pub fn len(&self) -> usize {
        self.instruments.iter().flat_map(HashMap::values).map(|c| c.0.count_ones() as usize).sum()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.instruments.as_ref().is_some_and(HashMap::is_empty)
    }

    pub(crate) fn instruments(&self) -> Option<impl Iterator<Item = InstrumentId> + '_> {
        self.instruments.as_ref().map(|map| map.keys().copied())
    }
}

/// What comes out of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event {
        /// The event, or what several of its lane came to.
        published: Arc<Published>,
        /// How many earlier events of its lane it stands for besides itself.
        conflated: u32,
    },
    /// Events that the reader will not get.
    Skipped(Skipped),
}

/// A hole in a reader's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The first number that may be missing.
    pub from: u64,
    /// The last number that may be missing.
    pub to: u64,
    /// How many events of this reader's were dropped, where known.
    pub count: Option<u64>,
    /// `slow` (the reader's queue was full), `window` (no longer kept), `epoch` (the bus began anew).
    pub why: &'static str,
}

/// The end that the bus pushes into.
pub(crate) struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    pressure: Arc<Pressure>,
    policy: Policy,
}

struct State {
    filter: Filter,
    queue: Queue,
    /// Set when the queue was full: everything from then on is only counted.
    lost: Option<(u64, u64)>,
    full: bool,
}

impl Shared {
    pub(crate) fn new(policy: Policy, pressure: Arc<Pressure>) -> Self {
        let queue = Queue::new(match policy {
            Policy::Lossless { .. } => None,
            Policy::Conflate { .. } => Some(false),
            Policy::Sample { .. } => Some(true),
        });
        let state = State { filter: Filter::none(), queue, lost: None, full: false };
        Self { state: Mutex::new(state), arrived: Notify::new(), pressure, policy }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.lock().filter.wants(event.instrument.id, event.channel)
    }

    pub(crate) fn filter(&self) -> Filter {
        self.lock().filter.clone()
    }

    pub(crate) fn set_filter(&self, filter: Filter) {
        self.lock().filter = filter;
    }

    pub(crate) fn push(&self, published: &Arc<Published>) {
        let mut state = self.lock();
        if let Some((_, count)) = &mut state.lost {
            *count += 1;
            return;
        }
        state.queue.push(published);
        match self.policy {
            Policy::Lossless { queue_max } => {
                if state.queue.len() >= queue_max && !state.full {
                    state.full = true;
                    self.pressure.full.fetch_add(1, Ordering::AcqRel);
                }
            }
            Policy::Conflate { queue_max } | Policy::Sample { queue_max, .. } => {
                if state.queue.len() > queue_max {
                    let first = state.queue.first().unwrap_or(published.cursor.number);
                    state.lost = Some((first, state.queue.clear()));
                }
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// As [`Self::push`] for last values, of which there is one a lane: they do not count as falling behind.
    pub(crate) fn push_last_value(&self, published: &Arc<Published>) {
        self.lock().queue.push(published);
        self.arrived.notify_one();
    }

    pub(crate) fn push_skipped(&self, skipped: Skipped) {
        self.lock().queue.push_skipped(skipped);
        self.arrived.notify_one();
    }

    /// After a loss: says what was lost, up to `now`, and takes events again.
    pub(crate) fn restart(&self, now: Cursor) {
        let mut state = self.lock();
        if let Some((from, count)) = state.lost.take() {
            state.queue.push_skipped(Skipped { from, to: now.number, count: Some(count), why: "slow" });
        }
    }

    /// Whether events were lost, and whether a book is to be read as a snapshot.
    fn needs(&self) -> (bool, bool) {
        let state = self.lock();
        (state.lost.is_some(), state.queue.needs_refresh())
    }

    /// Fills in the books that are to be read as snapshots; called under the bus's lock.
    pub(crate) fn refresh(&self, mut snapshot: impl FnMut(&Key) -> Option<Arc<Published>>) {
        let mut state = self.lock();
        for (key, conflated) in state.queue.take_refreshes() {
            if let Some(published) = snapshot(&key) {
                state.queue.push_refreshed(published, conflated);
            }
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.queue.clear();
        if std::mem::take(&mut state.full) {
            self.relieve();
        }
    }

    fn relieve(&self) {
        self.pressure.full.fetch_sub(1, Ordering::AcqRel);
        self.pressure.relieved.notify_waiters();
    }
}

/// The end that is read. Dropping it ends the subscription.
pub struct Reader {
    bus: Arc<Bus>,
    shared: Arc<Shared>,
    last_delivery: Option<Instant>,
}

impl Reader {
    pub(crate) const fn new(bus: Arc<Bus>, shared: Arc<Shared>) -> Self {
        Self { bus, shared, last_delivery: None }
    }

    /// Changes what is read, as of the cursor that is returned. For lanes that are new the last values come first.
    pub fn set_filter(&self, filter: Filter) -> Cursor {
        self.bus.refilter(&self.shared, filter)
    }

    /// What is read now.
    pub fn filter(&self) -> Filter {
        self.shared.filter()
    }

    /// Appends what waits, at most `max` items, without waiting. False where nothing did.
    pub fn try_read(&mut self, out: &mut Vec<Item>, max: usize) -> bool {
        let (lost, refresh) = self.shared.needs();
        if lost {
            self.bus.restart(&self.shared);
        } else if refresh {
            self.bus.refresh(&self.shared);
        }
        let mut state = self.shared.lock();
        let before = out.len();
        state.queue.pop(out, max);
        if state.full
            && let Policy::Lossless { queue_max } = self.shared.policy
            && state.queue.len() <= queue_max / 2
        {
            state.full = false;
            self.shared.relieve();
        }
        out.len() > before
    }

    /// Waits until something can be read, then appends at most `max` items.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken before it is appended.
    pub async fn read(&mut self, out: &mut Vec<Item>, max: usize) {
        if let (Policy::Sample { every_ms, .. }, Some(last)) = (self.shared.policy, self.last_delivery) {
            tokio::time::sleep_until(last + Duration::from_millis(every_ms)).await;
        }
        while !self.try_read(out, max) {
            self.shared.arrived.notified().await;
        }
        self.last_delivery = Some(Instant::now());
    }

    /// How many entries wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.bus.unsubscribe(&self.shared);
    }
}
