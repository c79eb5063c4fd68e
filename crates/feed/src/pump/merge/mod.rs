//! One stream from several connections that carry the same.
//!
//! With one connection everything passes. With more, the first copy of each thing passes and the rest is dropped, by the
//! venue's own keys: books by the numbers of their states, trades by their ids, all else by time and content. A book
//! that one connection loses goes on by another without a gap; where the other stands at a state that was never told, it
//! goes on by that one's snapshot.

mod books;
mod states;

use super::prints::{Missing, Prints};
use books::Shared;
use engine::{Engine, Resync};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use model::{
    Body, Channel, Event, Flags, Gap, GapCause, Instrument, InstrumentId, LaneFact, LinkId, SourceName,
    Stamp, Ts,
};
use source::{Mark, Named, Spec, Want};
use states::Recent;
use std::sync::Arc;

/// How long after a second connection is gone its copies may still be repeated, in ms.
const GUARD_MS: u64 = 10_000;

pub(super) type Key = (InstrumentId, Channel);

/// What one connection has brought while there were others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideCount {
    /// Events that came first by it.
    pub first: u64,
    /// Copies that came after another connection's.
    pub late: u64,
    /// By how much, summed, in ns.
    pub late_ns: u64,
    /// Books that went on by it after another connection had lost them.
    pub healed: u64,
}

/// See the module.
pub(super) struct Merge {
    /// The books and checks of the one stream.
    pub engine: Engine,
    pub prints: Prints,
    /// Books that the engine found wrong, and whose sessions must start them again.
    pub resyncs: Vec<(LinkId, Resync)>,
    /// Open connections; the first one speaks where there is nothing to compare.
    sides: Vec<LinkId>,
    books: HashMap<Key, Shared, FixedState>,
    states: HashMap<Key, Recent, FixedState>,
    answered: HashSet<(LinkId, Key), FixedState>,
    /// Until when copies of a connection that is gone may be repeated.
    guard_until: Option<Ts>,
    counts: Vec<(LinkId, SideCount)>,
    /// A buffer that is used again.
    passed: Vec<Event>,
}

impl Merge {
    pub fn new(engine: Engine, spec: &Spec) -> Self {
        Self {
            engine,
            prints: Prints::new(spec),
            resyncs: Vec::new(),
            sides: Vec::new(),
            books: HashMap::default(),
            states: HashMap::default(),
            answered: HashSet::default(),
            guard_until: None,
            counts: Vec::new(),
            passed: Vec::new(),
        }
    }

    /// What each connection has brought while there were others.
    pub fn counts(&self) -> &[(LinkId, SideCount)] {
        &self.counts
    }

    /// The connection that speaks where there is nothing to compare.
    pub fn speaker(&self) -> Option<LinkId> {
        self.sides.first().copied()
    }

    /// A connection is open.
    pub fn join(&mut self, link: LinkId, now: Ts) {
        self.guard_until = None;
        if let [first, ..] = self.sides[..] {
            // From now on there is something to compare; what lives, lives by those who were here.
            let live = self.engine.books().filter(|(_, channel, _)| *channel == Channel::Book);
            for (instrument, channel, book) in live {
                let shared = self.books.entry((instrument.id, channel)).or_default();
                shared.begin(first, book.seq(), now);
            }
        }
        self.sides.push(link);
        self.answered.retain(|(of, _)| *of != link);
    }

    /// A connection is gone; its session has said what it had to say. True where another one is left.
    pub fn leave(&mut self, link: LinkId, now: Ts, told: &mut Vec<Event>, source: SourceName) -> bool {
        let Some(at) = self.sides.iter().position(|side| *side == link) else {
            return !self.sides.is_empty();
        };
        self.sides.remove(at);
        self.answered.retain(|(of, _)| *of != link);
        let lost = |instrument: &Arc<Instrument>, channel, from_seq| {
            gap(source, instrument, channel, GapCause::Disconnected, from_seq, now)
        };
        let mut live: Vec<Event> = self
            .engine
            .books()
            .filter(|(_, channel, _)| *channel == Channel::Book)
            .map(|(instrument, channel, book)| lost(instrument, channel, book.seq()))
            .collect();
        live.sort_unstable_by_key(|event| event.instrument.id);
        if !self.sides.is_empty() {
            for event in live {
                self.on_book(link, event, now, told);
            }
            for shared in self.books.values_mut() {
                shared.forget(link);
            }
            if self.sides.len() == 1 {
                self.guard_until = Some(now.plus_ms(GUARD_MS));
            }
            return true;
        }
        // A book by deltas must not outlive its connection, whatever the session said.
        for event in live {
            self.engine.on(event, told);
        }
        for (instrument, channel) in self.prints.cut() {
            self.engine.on(lost(&instrument, channel, None), told);
        }
        self.books.clear();
        self.states.clear();
        false
    }

    /// Takes an event of a connection and appends what is to be told.
    #[inline]
    pub fn on(&mut self, link: LinkId, event: Event, told: &mut Vec<Event>) {
        if self.sides.len() > 1 || self.guard_until.is_some() || !self.books.is_empty() {
            self.compare(link, event, told);
        } else if matches!(event.body, Body::Trade(_)) {
            self.trade(event, false, told);
        } else {
            self.take(link, event, told);
        }
    }

    /// Tells an event, and notes where it does not stand.
    #[inline]
    fn take(&mut self, link: LinkId, event: Event, told: &mut Vec<Event>) {
        if let Some(resync) = self.engine.on(event, told) {
            self.resyncs.push((link, resync));
        }
    }

    #[inline]
    fn trade(&mut self, event: Event, hold: bool, told: &mut Vec<Event>) -> bool {
        let mut passed = std::mem::take(&mut self.passed);
        let new = self.prints.on(event, hold, &mut passed);
        for event in passed.drain(..) {
            self.engine.on(event, told);
        }
        self.passed = passed;
        new
    }

    fn compare(&mut self, link: LinkId, event: Event, told: &mut Vec<Event>) {
        let now = event.stamp.ts_recv;
        let key = (event.instrument.id, event.channel);
        if self.guard_until.is_some_and(|until| until <= now) {
            self.guard_until = None;
            self.states.clear();
        }
        match &event.body {
            Body::Trade(_) => {
                let new = self.trade(event, true, told);
                self.count(link, |c| if new { c.first += 1 } else { c.late += 1 });
            }
            Body::Snapshot(_) | Body::Delta(_) | Body::Gap(_) if event.channel == Channel::Book => {
                self.on_book(link, event, now, told);
            }
            // Others carry it.
            Body::Gap(_) if self.sides.len() > 1 => {}
            Body::Lane(fact) => {
                if matches!(fact, LaneFact::Acked | LaneFact::Refused(_)) {
                    self.answered.insert((link, key));
                }
                let live = self.engine.book(key.0, key.1).is_some();
                let passes = match fact {
                    LaneFact::Syncing(_) => !live,
                    _ => self.sides.first() == Some(&link),
                };
                if passes {
                    self.take(link, event, told);
                }
            }
            _ => {
                let speaks = self.sides.first() == Some(&link);
                match self.states.entry(key).or_default().passes(&event, speaks) {
                    Ok(()) => {
                        self.count(link, |c| c.first += 1);
                        self.take(link, event, told);
                    }
                    Err(Some(first)) => self.count(link, |c| c.came_late(first, now)),
                    Err(None) => {}
                }
            }
        }
    }

    /// Whether there are several connections, so that a frame may be a copy.
    #[inline]
    pub fn has_copies(&self) -> bool {
        self.sides.len() > 1
    }

    /// Whether another connection was quicker with what a frame of this one would tell; it is counted then.
    pub fn was_told(&mut self, link: LinkId, mark: &Mark, now: Ts) -> bool {
        let key = (mark.instrument, mark.channel);
        match &mark.of {
            Named::Trade(id) => {
                let known = self.prints.knows(key, id);
                if known {
                    self.count(link, |c| c.late += 1);
                }
                known
            }
            Named::Delta { prev_seq, seq } => {
                let first = self.told_at(key, link, (Some(*prev_seq), Some(*seq)));
                if let Some(first) = first {
                    self.count(link, |c| c.came_late(first, now));
                }
                first.is_some()
            }
        }
    }

    fn count(&mut self, link: LinkId, add: impl FnOnce(&mut SideCount)) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(of, _)| *of == link) {
            add(count);
        } else {
            let mut count = SideCount::default();
            add(&mut count);
            self.counts.push((link, count));
        }
    }

    /// Whether a connection has each book that is live, and the venue's answers unless `late`.
    pub fn in_step(&self, link: LinkId, wants: &[Want], late: bool) -> bool {
        let answered = |w: &Want| self.answered.contains(&(link, (w.instrument.id, w.channel)));
        let holds = |key: &Key| self.books.get(key).is_none_or(|shared| shared.holds(link));
        self.sides.contains(&link)
            && (late || wants.iter().all(answered))
            && self.engine.books().all(|(i, channel, _)| channel != Channel::Book || holds(&(i.id, channel)))
    }

    /// A trade from the venue's history; told where it was missing.
    pub fn repair(&mut self, mut event: Event, told: &mut Vec<Event>) -> bool {
        let missing = self.prints.fill(&event);
        if missing {
            event.flags |= Flags::REPAIRED;
            self.engine.on(event, told);
        }
        missing
    }

    /// A book that is live was found wrong from outside: it is a gap, and every session starts it again.
    pub fn refute(
        &mut self,
        instrument: &Arc<Instrument>,
        now: Ts,
        told: &mut Vec<Event>,
        source: SourceName,
    ) {
        let key = (instrument.id, Channel::Book);
        let Some(book) = self.engine.book(key.0, key.1) else { return };
        let gap = gap(source, instrument, Channel::Book, GapCause::Referee, book.seq(), now);
        self.engine.on(gap, told);
        self.books.remove(&key);
        let resync = Resync { instrument: key.0, channel: key.1, cause: GapCause::Referee };
        self.resyncs.extend(self.sides.iter().map(|link| (*link, resync)));
    }

    /// These are no longer wanted.
    pub fn forget(&mut self, key: Key) {
        self.engine.forget(key.0, key.1);
        self.prints.forget(key);
        self.books.remove(&key);
        self.states.remove(&key);
    }

    /// Lets go trades that have waited long enough; appends what is missing.
    pub fn tick(&mut self, now: Ts, told: &mut Vec<Event>, missing: &mut Vec<Missing>) {
        let mut passed = std::mem::take(&mut self.passed);
        self.prints.tick(now, &mut passed, missing);
        for event in passed.drain(..) {
            self.engine.on(event, told);
        }
        self.passed = passed;
    }
}

impl SideCount {
    fn came_late(&mut self, first: Ts, now: Ts) {
        self.late += 1;
        self.late_ns = self.late_ns.saturating_add(now.0.saturating_sub(first.0).max(0).unsigned_abs());
    }
}

fn gap(
    source: SourceName,
    instrument: &Arc<Instrument>,
    channel: Channel,
    cause: GapCause,
    from_seq: Option<u64>,
    now: Ts,
) -> Event {
    Event {
        source,
        instrument: Arc::clone(instrument),
        channel,
        flags: Flags::NONE,
        stamp: Stamp { ts_event: None, ts_recv: now },
        body: Body::Gap(Gap { cause, from_seq, to_seq: None }),
    }
}
