//! What waits for one reader, in the order of numbers. Where the reader conflates, a state has one entry at most, and a
//! book that runs ahead of its reader becomes one `Refresh`, filled with a snapshot when it is read.

use crate::{Item, Published, Skipped};
use hashbrown::HashMap;
use model::{Body, Channel, Event, InstrumentId, SourceName, Ts};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many changes of one book may wait before they become one snapshot.
const BOOK_WAITING_MAX: usize = 32;

/// Names a state of which only the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) instrument: InstrumentId,
    pub(crate) channel: Channel,
    pub(crate) source: SourceName,
    /// For bars: which one.
    start: Option<Ts>,
}

/// What waits of one state.
#[derive(Default)]
struct Waiting {
    /// Where its entries stand, counted from the beginning of time.
    at: Vec<u64>,
    /// Events that they stand for besides themselves.
    conflated: u32,
    /// Set for a book that is to be read as a snapshot.
    refresh: bool,
}

pub(crate) struct Queue {
    /// A `None` is an entry that was conflated into a later one.
    items: VecDeque<Option<Item>>,
    /// Position of the first entry, counted from the beginning of time.
    base: u64,
    live: usize,
    waiting: HashMap<Key, Waiting>,
    refreshes: usize,
    /// `None`: keeps everything. Otherwise whether trades conflate too.
    conflate: Option<bool>,
}

impl Queue {
    pub(crate) fn new(conflate: Option<bool>) -> Self {
        Self { items: VecDeque::new(), base: 0, live: 0, waiting: HashMap::new(), refreshes: 0, conflate }
    }

    /// How many entries wait.
    pub(crate) const fn len(&self) -> usize {
        self.live + self.refreshes
    }

    /// The number of the first event that waits.
    pub(crate) fn first(&self) -> Option<u64> {
        self.items.iter().flatten().next().map(|item| match item {
            Item::Event { published, .. } => published.cursor.number,
            Item::Skipped(skipped) => skipped.from,
        })
    }

    pub(crate) fn push(&mut self, published: &Arc<Published>) {
        let conflated = match self.conflate.and_then(|trades_too| rule(&published.event, trades_too)) {
            None => 0,
            Some((key, Rule::Newest)) => {
                let conflated = self.take(&key);
                let end = self.end();
                self.waiting.entry(key).or_default().at.push(end);
                conflated
            }
            Some((key, Rule::Book)) => {
                if !self.push_book(key, &published.event) {
                    return;
                }
                0
            }
        };
        self.items.push_back(Some(Item::Event { published: Arc::clone(published), conflated }));
        self.live += 1;
        self.compact();
    }

    /// False where the event is to be read as part of a snapshot later.
    fn push_book(&mut self, key: Key, event: &Event) -> bool {
        let end = self.end();
        let waiting = self.waiting.entry(key).or_default();
        let whole = matches!(event.body, Body::Gap(_) | Body::Snapshot(_));
        if whole {
            // A gap or a snapshot makes all that waits of this book pointless.
            self.refreshes -= usize::from(waiting.refresh);
            self.take(&key);
            self.waiting.entry(key).or_default().at.push(end);
            return true;
        }
        if waiting.refresh {
            waiting.conflated = waiting.conflated.saturating_add(1);
            return false;
        }
        if waiting.at.len() >= BOOK_WAITING_MAX {
            let conflated = self.take(&key);
            self.waiting.insert(key, Waiting { at: Vec::new(), conflated, refresh: true });
            self.refreshes += 1;
            return false;
        }
        waiting.at.push(end);
        true
    }

    fn end(&self) -> u64 {
        self.base + self.items.len() as u64
    }

    /// Takes out what waits of a state and says how many events that were.
    fn take(&mut self, key: &Key) -> u32 {
        let Some(waiting) = self.waiting.remove(key) else { return 0 };
        let mut count = waiting.conflated;
        for at in waiting.at {
            let item = at
                .checked_sub(self.base)
                .and_then(|at| self.items.get_mut(at as usize))
                .and_then(Option::take);
            if let Some(Item::Event { conflated, .. }) = item {
                self.live -= 1;
                count = count.saturating_add(1 + conflated);
            }
        }
        count
    }

    pub(crate) fn push_skipped(&mut self, skipped: Skipped) {
        self.items.push_back(Some(Item::Skipped(skipped)));
        self.live += 1;
    }

    /// The books to be read as snapshots; the caller pushes them by [`Self::push_refreshed`].
    pub(crate) fn take_refreshes(&mut self) -> Vec<(Key, u32)> {
        if self.refreshes == 0 {
            return Vec::new();
        }
        self.refreshes = 0;
        let keys: Vec<(Key, u32)> =
            self.waiting.iter().filter(|(_, w)| w.refresh).map(|(key, w)| (*key, w.conflated)).collect();
        for (key, _) in &keys {
            self.waiting.remove(key);
        }
        keys
    }

    pub(crate) const fn needs_refresh(&self) -> bool {
        self.refreshes > 0
    }

    pub(crate) fn push_refreshed(&mut self, published: Arc<Published>, conflated: u32) {
        self.items.push_back(Some(Item::Event { published, conflated: conflated.saturating_sub(1) }));
        self.live += 1;
    }

    /// Keeps the holes from outnumbering the entries.
    fn compact(&mut self) {
        while self.items.front().is_some_and(Option::is_none) {
            self.items.pop_front();
            self.base += 1;
        }
        if self.items.len() < 64 || self.items.len() < self.live * 2 {
            return;
        }
        let mut kept = VecDeque::with_capacity(self.live * 2);
        let mut moved: HashMap<u64, u64> = HashMap::new();
        for (at, item) in self.items.drain(..).enumerate() {
            if item.is_some() {
                moved.insert(self.base + at as u64, self.base + kept.len() as u64);
                kept.push_back(item);
            }
        }
        self.items = kept;
        for waiting in self.waiting.values_mut() {
            waiting.at.retain_mut(|at| moved.get(at).map(|new| *at = *new).is_some());
        }
        self.waiting.retain(|_, w| w.refresh || !w.at.is_empty());
    }

    pub(crate) fn pop(&mut self, out: &mut Vec<Item>, max: usize) {
        let mut taken = 0;
        while taken < max
            && let Some(item) = self.items.pop_front()
        {
            self.base += 1;
            if let Some(item) = item {
                out.push(item);
                self.live -= 1;
                taken += 1;
            }
        }
        if self.items.is_empty() {
            self.waiting.retain(|_, w| w.refresh);
        }
    }

    /// Drops everything and says how many events that were, conflated ones counted.
    pub(crate) fn clear(&mut self) -> u64 {
        let refreshed: u64 =
            self.waiting.values().filter(|w| w.refresh).map(|w| u64::from(w.conflated)).sum();
        self.base = self.end();
        let lost = self.items.drain(..).flatten().map(|item| match item {
            Item::Event { conflated, .. } => 1 + u64::from(conflated),
            Item::Skipped(skipped) => skipped.count.unwrap_or(0),
        });
        let lost = lost.sum::<u64>() + refreshed;
        self.live = 0;
        self.refreshes = 0;
        self.waiting.clear();
        lost
    }
}

/// How an event of a conflating reader is kept.
enum Rule {
    /// Only the newest.
    Newest,
    /// Each change, until there are too many.
    Book,
}

/// The state that an event changes; `None` where each event counts.
fn rule(event: &Event, trades_too: bool) -> Option<(Key, Rule)> {
    let newest = Some((None, Rule::Newest));
    let (start, rule) = match &event.body {
        Body::Trade(_) | Body::Liquidation(_) | Body::Finding(_) => newest.filter(|_| trades_too),
        Body::Order(_) | Body::CorporateAction(_) | Body::Instrument | Body::Lane(_) | Body::Link(_) => None,
        Body::Gap(_) if !event.channel.is_book() => None,
        Body::Bar(bar) => Some((Some(bar.start), Rule::Newest)),
        Body::Minute(minute) => Some((Some(minute.start), Rule::Newest)),
        Body::Snapshot(_) | Body::Delta(_) | Body::Gap(_) => Some((None, Rule::Book)),
        Body::Quote(_)
        | Body::DayStats(_)
        | Body::MarkPrice(_)
        | Body::IndexPrice(_)
        | Body::Funding(_)
        | Body::OpenInterest(_)
        | Body::VolatilityIndex(_)
        | Body::LongShortRatio(_)
        | Body::Greeks(_)
        | Body::Status(_)
        | Body::CapitalFlow(_)
        | Body::Fundamentals(_)
        | Body::Ranking(_)
        | Body::Sector(_) => newest,
    }?;
    let key = Key { instrument: event.instrument.id, channel: event.channel, source: event.source, start };
    Some((key, rule))
}
