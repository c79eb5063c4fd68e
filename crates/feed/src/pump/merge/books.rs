//! One book from several connections.

use super::{Key, Merge};
use book::Book;
use model::{Body, Event, GapCause, LinkId, Snapshot, Ts};
use std::collections::VecDeque;

/// How many states are remembered of a book.
const PASSED_MAX: usize = 256;
/// How many deltas wait before they are joined into the snapshot before them.
const WAITING_MAX: usize = 256;

/// A book that several connections carry.
#[derive(Debug, Default)]
pub struct Shared {
    /// The states that were told, with when; the last is the book's.
    passed: VecDeque<(u64, Ts)>,
    sides: Vec<(LinkId, State)>,
    /// By which connection it went on last.
    led_by: Option<LinkId>,
}

/// How a connection's book stands to the one that is told. Without an entry it has none.
#[derive(Debug)]
enum State {
    /// It stood at a state that was told: each of its deltas is known or is the next.
    Linked,
    /// It stands elsewhere: its snapshot and what followed.
    Standby(Box<Standby>),
}

#[derive(Debug)]
struct Standby {
    base: Event,
    deltas: VecDeque<Event>,
}

/// What a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Nothing,
    Linked,
    Standby,
}

impl Shared {
    /// A book that has been told by one connection alone.
    pub fn begin(&mut self, link: LinkId, seq: Option<u64>, now: Ts) {
        if self.sides.is_empty() {
            self.passed.extend(seq.map(|seq| (seq, now)));
            self.sides.push((link, State::Linked));
            self.led_by = Some(link);
        }
    }

    /// Whether a connection could carry the book on.
    pub fn holds(&self, link: LinkId) -> bool {
        self.has(link) != Has::Nothing
    }

    /// A connection is gone.
    pub fn forget(&mut self, link: LinkId) {
        self.sides.retain(|(of, _)| *of != link);
    }

    /// Whether the only connection that is left leads the book, or has none.
    fn is_settled(&self, link: LinkId) -> bool {
        match self.sides.as_slice() {
            [] => true,
            [(of, State::Linked)] => *of == link && self.led_by == Some(link),
            _ => false,
        }
    }

    fn has(&self, link: LinkId) -> Has {
        match self.sides.iter().find(|(of, _)| *of == link) {
            None => Has::Nothing,
            Some((_, State::Linked)) => Has::Linked,
            Some((_, State::Standby(_))) => Has::Standby,
        }
    }

    fn set(&mut self, link: LinkId, state: State) {
        self.forget(link);
        self.sides.push((link, state));
    }

    fn when(&self, seq: Option<u64>) -> Option<Ts> {
        let seq = seq?;
        self.passed.iter().rev().find(|(passed, _)| *passed == seq).map(|(_, at)| *at)
    }

    fn another_linked(&self, link: LinkId) -> bool {
        self.sides.iter().any(|(of, state)| *of != link && matches!(state, State::Linked))
    }

    fn advance(&mut self, seq: Option<u64>, now: Ts) {
        let Some(seq) = seq else { return };
        if self.passed.len() >= PASSED_MAX {
            self.passed.pop_front();
        }
        self.passed.push_back((seq, now));
    }

    /// A connection that waits at the state `seq`, with what followed there; it is linked now.
    fn reached(&mut self, seq: u64) -> Option<(LinkId, VecDeque<Event>)> {
        let waits = |(_, state): &(LinkId, State)| match state {
            State::Standby(standby) => standby.passed(seq).is_some(),
            State::Linked => false,
        };
        let at = self.sides.iter().position(waits)?;
        let (link, state) = self.sides.get_mut(at)?;
        let State::Standby(standby) = std::mem::replace(state, State::Linked) else { return None };
        let behind = standby.passed(seq)?;
        let mut deltas = standby.deltas;
        deltas.drain(..behind);
        Some((*link, deltas))
    }

    /// Any connection that waits with a whole book; it is linked now.
    fn promote(&mut self) -> Option<(LinkId, Box<Standby>)> {
        let at = self.sides.iter().position(|(_, state)| matches!(state, State::Standby(_)))?;
        let (link, state) = self.sides.get_mut(at)?;
        match std::mem::replace(state, State::Linked) {
            State::Standby(standby) => Some((*link, standby)),
            State::Linked => None,
        }
    }
}

impl Standby {
    /// How many deltas lead to the state `seq`; `None` where it never stood there.
    fn passed(&self, seq: u64) -> Option<usize> {
        if seq_of(&self.base) == Some(seq) {
            return Some(0);
        }
        self.deltas.iter().position(|delta| seq_of(delta) == Some(seq)).map(|at| at + 1)
    }

    fn push(&mut self, delta: Event) {
        self.deltas.push_back(delta);
        if self.deltas.len() < WAITING_MAX {
            return;
        }
        let Body::Snapshot(base) = &self.base.body else { return };
        let mut book = Book::default();
        book.reset(base);
        let mut last = None;
        for delta in self.deltas.drain(..) {
            if let Body::Delta(change) = &delta.body {
                // What does not follow shows itself when the book is told.
                _ = book.apply(change);
            }
            last = Some(delta);
        }
        if let Some(last) = last {
            let levels = book.levels(usize::MAX);
            let body = Body::Snapshot(Snapshot { seq: book.seq(), levels, checksum: None, epoch: 0 });
            self.base = Event { body, ..last };
        }
    }
}

fn seq_of(event: &Event) -> Option<u64> {
    match &event.body {
        Body::Snapshot(snapshot) => snapshot.seq,
        Body::Delta(delta) => delta.seq,
        _ => None,
    }
}

impl Merge {
    pub(super) fn on_book(&mut self, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let key = (event.instrument.id, event.channel);
        if self.sides == [link] && !self.books.contains_key(&key) {
            return self.take(link, event, told);
        }
        match &event.body {
            Body::Snapshot(snapshot) => {
                let seq = snapshot.seq;
                self.on_snapshot(key, link, seq, event, now, told);
            }
            Body::Delta(delta) => {
                let seqs = (delta.prev_seq, delta.seq);
                self.on_delta(key, link, seqs, event, now, told);
            }
            _ => self.on_gap(key, link, event, now, told),
        }
        // With one connection left, that it leads is all there is to know.
        if self.sides.len() == 1 && self.books.get(&key).is_some_and(|shared| shared.is_settled(link)) {
            self.books.remove(&key);
        }
    }

    fn on_snapshot(
        &mut self,
        key: Key,
        link: LinkId,
        seq: Option<u64>,
        event: Event,
        now: Ts,
        told: &mut Vec<Event>,
    ) {
        let live = self.engine.book(key.0, key.1).is_some();
        let shared = self.books.entry(key).or_default();
        if live {
            if let Some(first) = shared.when(seq) {
                shared.set(link, State::Linked);
                return self.count(link, |c| c.came_late(first, now));
            }
            if shared.another_linked(link) {
                shared.set(link, State::Standby(Box::new(Standby { base: event, deltas: VecDeque::new() })));
                return;
            }
        }
        shared.set(link, State::Linked);
        self.count(link, |c| c.first += 1);
        self.lead(key, link, event, now, told);
    }

    fn on_delta(
        &mut self,
        key: Key,
        link: LinkId,
        (prev, seq): (Option<u64>, Option<u64>),
        event: Event,
        now: Ts,
        told: &mut Vec<Event>,
    ) {
        let Some(book) = self.engine.book(key.0, key.1) else { return };
        let stands = book.seq();
        let shared = self.books.entry(key).or_default();
        match shared.has(link) {
            Has::Nothing => {}
            // A number that was there before is not: the frame was damaged.
            _ if seq.is_none() && stands.is_some() => self.distrust(key, link, event, now, told),
            Has::Linked if seq.is_none() || prev == stands => {
                // A state that follows itself is a sign of life; one connection's is enough.
                let repeated = seq.is_some() && prev == seq && self.sides.first() != Some(&link);
                if !repeated {
                    self.count(link, |c| c.first += 1);
                    self.lead(key, link, event, now, told);
                }
            }
            Has::Linked => match shared.when(seq) {
                Some(first) => self.count(link, |c| c.came_late(first, now)),
                // It passed the state that was told without standing there: its states are others.
                None if seq > stands => self.distrust(key, link, event, now, told),
                None => {}
            },
            Has::Standby if shared.when(seq).is_some() => shared.set(link, State::Linked),
            Has::Standby => {
                let own = shared.sides.iter_mut().find(|(of, _)| *of == link);
                if let Some((_, State::Standby(standby))) = own {
                    standby.push(event);
                }
            }
        }
    }

    /// A connection's book cannot be joined to what was told: it is lost there, and its session starts it again.
    fn distrust(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let cause = GapCause::Sequence;
        self.resyncs.push((link, engine::Resync { instrument: key.0, channel: key.1, cause }));
        let from_seq = self.engine.book(key.0, key.1).and_then(Book::seq);
        let gap = model::Gap { cause, from_seq, to_seq: seq_of(&event) };
        self.on_gap(key, link, Event { body: Body::Gap(gap), ..event }, now, told);
    }

    fn on_gap(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let live = self.engine.book(key.0, key.1).is_some();
        let shared = self.books.entry(key).or_default();
        let had = shared.has(link);
        shared.forget(link);
        if !live {
            return;
        }
        if let Some((healer, _)) = shared.sides.iter().find(|(_, state)| matches!(state, State::Linked)) {
            let healer = *healer;
            if had == Has::Linked {
                self.count(healer, |c| c.healed += 1);
            }
            return;
        }
        if let Some((healer, standby)) = shared.promote() {
            self.count(healer, |c| c.healed += 1);
            return self.replace(key, healer, *standby, now, told);
        }
        shared.passed.clear();
        self.take(link, event, told);
    }

    /// Tells an event that the book goes on by, and what waited for it.
    fn lead(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let mut waiting = VecDeque::from([(link, event)]);
        while let Some((link, event)) = waiting.pop_front() {
            let seq = seq_of(&event);
            if !self.follows(key, &event) {
                // Another one has brought it in the meantime.
                continue;
            }
            self.take(link, event, told);
            if self.engine.book(key.0, key.1).is_none() {
                return self.broke(key, now, told);
            }
            let Some(shared) = self.books.get_mut(&key) else { return };
            shared.advance(seq, now);
            shared.led_by = Some(link);
            if let Some((healer, deltas)) = seq.and_then(|seq| shared.reached(seq)) {
                waiting.extend(deltas.into_iter().map(|delta| (healer, delta)));
            }
        }
    }

    /// Whether a delta follows the state that was told; of a book without numbers nobody can say.
    fn follows(&self, key: Key, event: &Event) -> bool {
        let Body::Delta(delta) = &event.body else { return true };
        let stands = self.engine.book(key.0, key.1).and_then(Book::seq);
        delta.seq.is_none() || delta.prev_seq == stands
    }

    /// The book goes on by another connection's whole book.
    fn replace(&mut self, key: Key, link: LinkId, standby: Standby, now: Ts, told: &mut Vec<Event>) {
        if let Some(shared) = self.books.get_mut(&key) {
            shared.passed.clear();
        }
        self.lead(key, link, standby.base, now, told);
        for delta in standby.deltas {
            if self.engine.book(key.0, key.1).is_some() {
                self.lead(key, link, delta, now, told);
            }
        }
    }

    /// What was told did not stand: every connection that had led it must start it again.
    fn broke(&mut self, key: Key, now: Ts, told: &mut Vec<Event>) {
        let Some(shared) = self.books.get_mut(&key) else { return };
        shared.passed.clear();
        let cause = GapCause::Sequence;
        let resync = engine::Resync { instrument: key.0, channel: key.1, cause };
        for (link, _) in shared.sides.iter().filter(|(_, state)| matches!(state, State::Linked)) {
            let same = |(of, r): &(LinkId, engine::Resync)| of == link && (r.instrument, r.channel) == key;
            if !self.resyncs.iter().any(same) {
                self.resyncs.push((*link, resync));
            }
        }
        shared.sides.retain(|(_, state)| matches!(state, State::Standby(_)));
        if let Some((healer, standby)) = shared.promote() {
            self.count(healer, |c| c.healed += 1);
            self.replace(key, healer, *standby, now, told);
        }
    }
}
