//! One book from several connections.

use super::{Key, Merge};
use book::Book;
use engine::{Refused, Resync};
use model::{Body, Event, GapCause, LinkId, Snapshot, Ts};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many states are remembered of a book.
const PASSED_MAX: usize = 256;
/// How many deltas wait before they are joined into the snapshot before them.
const WAITING_MAX: usize = 256;

/// A book that several connections carry.
#[derive(Debug, Default)]
pub struct Shared {
    /// The states that were told since the venue last started its numbers again, with when; the last is the book's.
    passed: VecDeque<(u64, Ts)>,
    sides: Vec<(LinkId, State)>,
    /// By which connection it went on last.
    led_by: Option<LinkId>,
}

/// How a connection's book stands to the one that is told. Without an entry it has none.
#[derive(Debug)]
enum State {
    /// It stood at a state that was told: each of its deltas is known or is the next. The venue may have started its
    /// numbers again since; until it has brought that as often as it was told, its numbers are of other states.
    Linked { restarts_behind: u32 },
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
    /// Linked, with numbers of before the venue started them again.
    Behind,
    Standby,
}

/// Stands where the book does.
const LINKED: State = State::Linked { restarts_behind: 0 };

impl Shared {
    /// A book that has been told by one connection alone.
    pub fn begin(&mut self, link: LinkId, seq: Option<u64>, now: Ts) {
        if self.sides.is_empty() {
            self.passed.extend(seq.map(|seq| (seq, now)));
            self.sides.push((link, LINKED));
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
            [(of, State::Linked { restarts_behind: 0 })] => *of == link && self.led_by == Some(link),
            _ => false,
        }
    }

    fn has(&self, link: LinkId) -> Has {
        match self.sides.iter().find(|(of, _)| *of == link) {
            None => Has::Nothing,
            Some((_, State::Linked { restarts_behind: 0 })) => Has::Linked,
            Some((_, State::Linked { .. })) => Has::Behind,
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
        self.sides.iter().any(|(of, state)| *of != link && matches!(state, State::Linked { .. }))
    }

    /// Notes the state that a connection led the book to.
    fn advance(&mut self, link: LinkId, (prev, seq): (Option<u64>, Option<u64>), now: Ts) {
        self.led_by = Some(link);
        let Some(seq) = seq else { return };
        if prev.is_some_and(|prev| seq < prev) {
            self.passed.clear();
            for (of, state) in &mut self.sides {
                if let State::Linked { restarts_behind } = state
                    && *of != link
                {
                    *restarts_behind += 1;
                }
            }
        }
        if self.passed.len() >= PASSED_MAX {
            self.passed.pop_front();
        }
        self.passed.push_back((seq, now));
    }

    /// A connection that waits at the state `seq`, with what followed there; it is linked now.
    fn reached(&mut self, seq: u64) -> Option<(LinkId, VecDeque<Event>)> {
        let waits = |(_, state): &(LinkId, State)| match state {
            State::Standby(standby) => standby.passed(seq).is_some(),
            State::Linked { .. } => false,
        };
        let at = self.sides.iter().position(waits)?;
        let (link, state) = self.sides.get_mut(at)?;
        let State::Standby(standby) = std::mem::replace(state, LINKED) else { return None };
        let behind = standby.passed(seq)?;
        let mut deltas = standby.deltas;
        deltas.drain(..behind);
        Some((*link, deltas))
    }

    /// Any connection that waits with a whole book; it is linked now.
    fn promote(&mut self) -> Option<(LinkId, Box<Standby>)> {
        let at = self.sides.iter().position(|(_, state)| matches!(state, State::Standby(_)))?;
        let (link, state) = self.sides.get_mut(at)?;
        match std::mem::replace(state, LINKED) {
            State::Standby(standby) => Some((*link, standby)),
            State::Linked { .. } => None,
        }
    }

    /// A connection that is behind has brought that the venue started its numbers again, at `seq`; false where that
    /// is not how it was told.
    fn restarted(&mut self, link: LinkId, seq: Option<u64>) -> bool {
        let known = self.when(seq).is_some();
        let own = self.sides.iter_mut().find(|(of, _)| *of == link);
        let Some((_, State::Linked { restarts_behind })) = own else { return false };
        *restarts_behind = restarts_behind.saturating_sub(1);
        *restarts_behind > 0 || known
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

    /// Keeps a delta; false where what is kept cannot be written at its scales.
    fn push(&mut self, delta: Event) -> bool {
        self.deltas.push_back(delta);
        if self.deltas.len() < WAITING_MAX {
            return true;
        }
        let Body::Snapshot(base) = &self.base.body else { return true };
        let mut book = Book::default();
        book.reset(base);
        let mut last = None;
        let mut instrument = Arc::clone(&self.base.instrument);
        for delta in self.deltas.drain(..) {
            if !book.redefine(&instrument, &delta.instrument) {
                return false;
            }
            instrument = Arc::clone(&delta.instrument);
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
        true
    }
}

fn seq_of(event: &Event) -> Option<u64> {
    seqs_of(event).1
}

/// The state that an event leads from, and the one it leads to.
fn seqs_of(event: &Event) -> (Option<u64>, Option<u64>) {
    match &event.body {
        Body::Snapshot(snapshot) => (None, snapshot.seq),
        Body::Delta(delta) => (delta.prev_seq, delta.seq),
        _ => (None, None),
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
                shared.set(link, LINKED);
                return self.count(link, |c| c.came_late(first, now));
            }
            if shared.another_linked(link) {
                shared.set(link, State::Standby(Box::new(Standby { base: event, deltas: VecDeque::new() })));
                return;
            }
        }
        shared.set(link, LINKED);
        self.count(link, |c| c.first += 1);
        self.lead(key, link, event, now, told);
    }

    /// When the state was told that a delta of a connection leads to, which stands where the book does or has stood there.
    pub(super) fn told_at(
        &self,
        key: Key,
        link: LinkId,
        (prev, seq): (Option<u64>, Option<u64>),
    ) -> Option<Ts> {
        let shared = self.books.get(&key).filter(|shared| shared.has(link) == Has::Linked)?;
        let leads = self.engine.book(key.0, key.1)?.seq() == prev;
        if leads { None } else { shared.when(seq) }
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
            Has::Behind => {
                if seq < prev && !shared.restarted(link, seq) {
                    return self.distrust(key, link, event, now, told);
                }
                self.count(link, |c| c.late += 1);
            }
            Has::Standby if shared.when(seq).is_some() => shared.set(link, LINKED),
            Has::Standby => {
                let own = shared.sides.iter_mut().find(|(of, _)| *of == link);
                let joined = match own {
                    Some((_, State::Standby(standby))) => standby.push(event.clone()),
                    _ => true,
                };
                if !joined {
                    self.distrust(key, link, event, now, told);
                }
            }
        }
    }

    /// A connection's book cannot be joined to what was told: it is lost there, and its session starts it again.
    fn distrust(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let cause = GapCause::Sequence;
        self.resyncs.push((link, Resync { instrument: key.0, channel: key.1, cause }));
        let from_seq = self.engine.book(key.0, key.1).and_then(Book::seq);
        let gap = model::Gap { cause, from_seq, to_seq: seq_of(&event) };
        self.on_gap(key, link, Event { body: Body::Gap(gap), ..event }, now, told);
    }

    fn on_gap(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let live = self.engine.book(key.0, key.1).is_some();
        let shared = self.books.entry(key).or_default();
        let had = shared.has(link);
        shared.forget(link);
        if !live || (!matches!(had, Has::Linked | Has::Behind) && shared.another_linked(link)) {
            return;
        }
        if !self.heal(key, now, told) {
            self.take(link, event, told);
        }
    }

    /// Tells an event that the book goes on by, and what waited for it.
    fn lead(&mut self, key: Key, link: LinkId, event: Event, now: Ts, told: &mut Vec<Event>) {
        let mut waiting = VecDeque::from([(link, event)]);
        while let Some((link, event)) = waiting.pop_front() {
            let seqs = seqs_of(&event);
            let whole = matches!(event.body, Body::Snapshot(_));
            if !self.follows(key, link, &event) {
                // Another one has brought it in the meantime, or it is a lost connection's.
                continue;
            }
            if let Err(refused) = self.engine.attempt(event, told) {
                self.refused(key, link, *refused, now, told);
                continue;
            }
            let Some(shared) = self.books.get_mut(&key) else { return };
            if whole {
                shared.passed.clear();
            }
            shared.advance(link, seqs, now);
            if let Some((healer, deltas)) = seqs.1.and_then(|seq| shared.reached(seq)) {
                waiting.extend(deltas.into_iter().map(|delta| (healer, delta)));
            }
        }
    }

    /// What a connection brought does not stand: the book is lost there, and goes on by another as if nothing had come.
    /// Only where nobody else has it, it is a gap.
    fn refused(&mut self, key: Key, link: LinkId, refused: Refused, now: Ts, told: &mut Vec<Event>) {
        let Some(shared) = self.books.get_mut(&key) else { return };
        // A book crosses long before it is refused; all that followed it until then have the same.
        let crossed = refused.cause == GapCause::Crossed;
        let lost = |(of, state): &mut (LinkId, State)| {
            *of == link || (crossed && matches!(state, State::Linked { .. }))
        };
        for (link, _) in shared.sides.extract_if(.., lost) {
            self.resyncs.push((link, Resync { instrument: key.0, channel: key.1, cause: refused.cause }));
        }
        if !self.heal(key, now, told) {
            self.engine.refuse(refused, told);
        }
    }

    /// Lets a live book that a connection has lost go on by another; false where nobody else has it.
    fn heal(&mut self, key: Key, now: Ts, told: &mut Vec<Event>) -> bool {
        let Some(shared) = self.books.get_mut(&key) else { return false };
        if let Some((healer, _)) =
            shared.sides.iter().find(|(_, state)| matches!(state, State::Linked { .. }))
        {
            let healer = *healer;
            self.count(healer, |c| c.healed += 1);
            return true;
        }
        shared.passed.clear();
        let Some((healer, standby)) = shared.promote() else { return false };
        self.count(healer, |c| c.healed += 1);
        self.lead(key, healer, standby.base, now, told);
        for delta in standby.deltas {
            self.lead(key, healer, delta, now, told);
        }
        true
    }

    /// Whether an event is by one that stands where the book does, and follows that state; of a book without numbers nobody
    /// can say.
    fn follows(&self, key: Key, link: LinkId, event: &Event) -> bool {
        if self.books.get(&key).is_none_or(|shared| shared.has(link) != Has::Linked) {
            return false;
        }
        let Body::Delta(delta) = &event.body else { return true };
        let book = self.engine.book(key.0, key.1);
        book.is_some_and(|book| delta.seq.is_none() || delta.prev_seq == book.seq())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pump::tests::script;
    use model::{Channel, Delta, Flags, Instrument, Level, Levels, Px, Qty, Stamp};

    #[test]
    fn what_waits_is_joined_at_the_scales_that_it_came_in() {
        let at = |px_scale, body| {
            let instrument = Arc::new(Instrument { px_scale, ..(*script::instrument()).clone() });
            let stamp = Stamp { ts_event: None, ts_recv: Ts::default() };
            Event { source: "script", instrument, channel: Channel::Book, flags: Flags::NONE, stamp, body }
        };
        let bid = |px| Levels::from_sides(&[Level { px: Px(px), qty: Qty(1) }], &[]);
        let base = Snapshot { seq: Some(0), levels: bid(100), checksum: None, epoch: 0 };
        let mut standby = Standby { base: at(0, Body::Snapshot(base)), deltas: VecDeque::new() };
        for seq in 1..=WAITING_MAX as u64 {
            let (scale, px) = if seq < 9 { (0, 99) } else { (1, 985) };
            let (prev_seq, levels) = (Some(seq - 1), bid(px));
            let delta = Delta { prev_seq, seq: Some(seq), levels, checksum: None, epoch: 0 };
            assert!(standby.push(at(scale, Body::Delta(delta))));
        }
        assert!(standby.deltas.is_empty());
        let Body::Snapshot(joined) = &standby.base.body else { panic!("{:?}", standby.base) };
        assert_eq!(joined.levels.bids().iter().map(|l| l.px.0).collect::<Vec<_>>(), [1000, 990, 985]);
    }
}
