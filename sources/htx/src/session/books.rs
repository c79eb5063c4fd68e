//! Books of a session: rows to events by the continuity rule, and their new starts.

use super::HtxSession;
use super::table::Listed;
use crate::emit::event;
use crate::parse::{BookRow, Head, Result, book_row};
use crate::sync::{Chain, Seed, State, Step, seed};
use crate::topic::Kind;
use model::{Body, Channel, Delta, Gap, GapCause, LaneFact, Levels, Snapshot, Ts};
use source::{Action, Cursor, What};

/// How many changes are kept while a snapshot is under way.
const KEPT_MAX: usize = 2_000;
/// How long a snapshot waits for a change that shows whether it fits; then the book is taken for quiet.
const HOLD_MS: u64 = 3_000;
/// The first pause before a snapshot is asked for again; it doubles each time.
const PAUSE_MS: u64 = 250;
/// The first pause between two new starts of one book; it doubles each time.
const AGAIN_MS: u64 = 1_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 6;
/// After how many refusals of a snapshot the subscription is made anew.
const DENIED_MAX: u32 = 3;
/// How long an answer may take.
const ANSWER_MS: u64 = 5_000;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    /// Its continuity.
    pub chain: Chain,
    /// The topic that feeds it: the first one that came.
    feed: Option<usize>,
    /// Said once that changes came before a snapshot.
    told: bool,
    /// Changes kept for a snapshot that was asked for.
    kept: Vec<(u64, u64, Option<Ts>, Levels)>,
    /// A snapshot of which no change shows yet whether it fits, and until when it waits.
    held: Option<(u64, Option<Ts>, Levels, Ts)>,
    /// How often a snapshot was asked for in vain.
    tries: u32,
    /// When to ask for a snapshot.
    pub request_at: Option<Ts>,
    /// How often it started again lately.
    restarts: u32,
    /// No new start before this.
    not_before: Option<Ts>,
    /// When its last snapshot came.
    healed: Option<Ts>,
}

impl Book {
    /// Whether this subscription feeds it.
    pub fn is_fed_by(&self, n: usize) -> bool {
        self.feed == Some(n)
    }

    /// As on a new connection.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Nothing of it is known; how often it started again is.
    fn clear(&mut self) {
        self.chain.cool();
        self.kept.clear();
        (self.feed, self.held, self.request_at) = (None, None, None);
    }

    /// A subscription was sent. Whoever is asked for snapshots keeps changes from here on.
    pub fn asked(&mut self, kind: Kind) {
        self.clear();
        self.tries = 0;
        if kind == Kind::Mbp {
            self.chain.wait();
        }
    }

    /// When something of it is due.
    pub fn due(&self) -> Option<Ts> {
        let held = self.held.as_ref().map(|(.., until)| *until);
        held.into_iter().chain(self.request_at).min()
    }

    /// When a new start may be asked for, and that one is.
    fn restart(&mut self, now: Ts) -> Ts {
        if self.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            self.restarts = 0;
        }
        let at = self.not_before.map_or(now, |at| at.max(now));
        self.not_before = Some(at.plus_ms(AGAIN_MS << self.restarts.min(DOUBLINGS_MAX)));
        self.restarts += 1;
        at
    }

    fn retry(&mut self, now: Ts) {
        self.request_at = Some(now.plus_ms(PAUSE_MS << self.tries.min(DOUBLINGS_MAX)));
        self.tries += 1;
    }
}

impl Listed {
    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) -> bool {
        let Some(from) = self.book.chain.seq() else { return false };
        self.book.chain.cool();
        self.tell_gap(Gap { cause, from_seq: Some(from), to_seq: None }, now, out);
        true
    }

    fn tell_gap(&self, gap: Gap, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap))));
    }

    fn snapshot(&mut self, seq: u64, ts: Option<Ts>, levels: Levels, now: Ts, out: &mut Vec<Action>) {
        let body = snapshot(Some(seq), levels);
        out.push(Action::Emit(event(&self.instrument, Channel::Book, ts, now, body)));
        (self.book.healed, self.book.request_at) = (Some(now), None);
    }

    #[inline]
    fn delta(&self, prev: u64, seq: u64, ts: Option<Ts>, levels: Levels, now: Ts, out: &mut Vec<Action>) {
        let (prev_seq, seq) = (Some(prev), Some(seq));
        let body = Body::Delta(Delta { prev_seq, seq, levels, checksum: None, epoch: 0 });
        out.push(Action::Emit(event(&self.instrument, Channel::Book, ts, now, body)));
    }
}

impl HtxSession {
    /// The `tick` or `data` of a book channel.
    pub(super) fn book<'a>(
        &mut self,
        n: usize,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some((at, kind)) = self.lanes.subs.get(n).map(|s| (s.at, s.topic.kind)) else { return Ok(()) };
        let row = self.read_book(at, c, now, out)?;
        let ts = row.ts.or(head.ts);
        if kind == Kind::Whole {
            self.top(n, at, head, row, now, out);
            return Ok(());
        }
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if *listed.book.feed.get_or_insert(n) != n {
            out.push(Action::Control("book channel beside the one in use"));
            return Ok(());
        }
        let seq = row.seq.ok_or_else(|| c.fault(What::Missing("seqNum or version")))?;
        if head.rep {
            let levels = self.scratch.levels();
            self.answered(at, (seq, ts, levels), now, out);
            return Ok(());
        }
        let prev = match (kind, row.event) {
            (Kind::HighFreq, Some(true)) => {
                let levels = self.scratch.levels();
                listed.book.chain.snapshot(seq);
                listed.snapshot(seq, ts, levels, now, out);
                self.heard(n, now);
                return Ok(());
            }
            // The version counts by one, so that it tells the one before.
            (Kind::HighFreq, Some(false)) => seq.checked_sub(1),
            (Kind::HighFreq, None) => return Err(c.fault(What::Missing("event"))),
            _ => row.prev,
        };
        let prev = prev.ok_or_else(|| c.fault(What::Missing("prevSeqNum")))?;
        if kind == Kind::Mbp && !self.wanting && listed.book.chain.state() == State::Cold {
            listed.book.chain.wait();
        }
        let step = listed.book.chain.update(prev, seq);
        let levels = self.scratch.levels();
        if let Step::Apply(from) = step {
            listed.delta(from, seq, ts, levels, now, out);
        } else {
            self.unusual(at, kind, step, (prev, seq, ts, levels), now, out);
        }
        Ok(())
    }

    #[inline]
    fn read_book(
        &mut self,
        at: usize,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<BookRow> {
        let Some(listed) = self.table.get_mut(at) else {
            return Err(c.fault(What::Rule("no instrument of that symbol")));
        };
        let start = c.clone();
        loop {
            let notes = &mut self.notes;
            let read = book_row(c, listed.numbers(), &mut self.scratch, |place, key| {
                notes.unknown(place, key, out);
            });
            let Err(fault) = read else { return read };
            listed.widen(&fault, now, out)?;
            *c = start.clone();
        }
    }

    /// Everything about a change that is not simply taken.
    #[cold]
    fn unusual(
        &mut self,
        at: usize,
        kind: Kind,
        step: Step,
        (prev, seq, ts, levels): (u64, u64, Option<Ts>, Levels),
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        match step {
            Step::Apply(from) => listed.delta(from, seq, ts, levels, now, out),
            Step::Stale => out.push(Action::Control("book change that the snapshot holds already")),
            Step::Ignore => {
                out.push(Action::Control("book change while waiting for a snapshot"));
                listed.tell_waiting(now, out);
            }
            Step::Keep => {
                listed.tell_waiting(now, out);
                let broken = listed.book.kept.last().is_some_and(|(_, last, ..)| *last != prev);
                if broken || listed.book.kept.len() >= KEPT_MAX {
                    listed.book.kept.clear();
                }
                listed.book.kept.push((prev, seq, ts, levels));
                if let Some((seq, ts, levels, _)) = listed.book.held.take() {
                    self.answered(at, (seq, ts, levels), now, out);
                }
            }
            Step::Gap(from, to) => {
                let gap = Gap { cause: GapCause::Sequence, from_seq: Some(from), to_seq: Some(to) };
                listed.tell_gap(gap, now, out);
                self.begin_again(at, now, out);
                if let Some(listed) = self.table.get_mut(at).filter(|_| kind == Kind::Mbp) {
                    listed.book.kept.push((prev, seq, ts, levels));
                }
            }
        }
    }

    /// A snapshot came that was asked for.
    fn answered(
        &mut self,
        at: usize,
        (seq, ts, levels): (u64, Option<Ts>, Levels),
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return };
        let unasked = !wanting && listed.book.chain.state() == State::Cold;
        if listed.book.chain.state() != State::Waiting && !unasked {
            out.push(Action::Control("book that nobody waits for"));
            return;
        }
        match seed(seq, listed.book.kept.first().map(|(prev, ..)| *prev)) {
            Seed::Hold if wanting => {
                listed.book.held = Some((seq, ts, levels, now.plus_ms(HOLD_MS)));
                listed.book.request_at = None;
                self.lanes.pending = true;
            }
            Seed::Take | Seed::Hold => self.seeded(at, (seq, ts, levels), now, out),
            Seed::TooOld => {
                out.push(Action::Control("book older than the changes kept"));
                if wanting {
                    listed.book.retry(now);
                    self.lanes.pending = true;
                }
            }
        }
    }

    fn seeded(&mut self, at: usize, seed: (u64, Option<Ts>, Levels), now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let (seq, ts, levels) = seed;
        listed.book.chain.seeded(seq);
        listed.book.tries = 0;
        listed.snapshot(seq, ts, levels, now, out);
        for (prev, seq, ts, levels) in std::mem::take(&mut listed.book.kept) {
            let Some(listed) = self.table.get_mut(at) else { return };
            let step = listed.book.chain.update(prev, seq);
            self.unusual(at, Kind::Mbp, step, (prev, seq, ts, levels), now, out);
        }
    }

    /// The answer to a request for a book was that there is none.
    pub(super) fn denied(&mut self, at: usize, now: Ts) {
        if let Some(listed) = self.table.get_mut(at)
            && listed.book.chain.state() == State::Waiting
        {
            listed.book.retry(now);
            if listed.book.tries > DENIED_MAX {
                // It may be fed no more, though the venue agreed.
                self.lanes.restart(at, now);
            }
            self.lanes.pending = true;
        }
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    pub(super) fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        // Among the changes kept there may be a hole now.
        listed.book.kept.clear();
        if listed.gap(cause, now, out) {
            self.begin_again(at, now, out);
        }
    }

    pub(super) fn begin_again(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        listed.book.clear();
        listed.book.told = true;
        listed.fact(Channel::Book, LaneFact::Syncing("continuity was lost".into()), now, out);
        let spot = listed.product.spot();
        let when = listed.book.restart(now);
        if spot && self.wanting {
            listed.book.chain.wait();
            listed.book.tries = 0;
            listed.book.request_at = Some(when);
        } else {
            self.lanes.restart(at, when);
        }
        self.lanes.pending = self.wanting;
    }

    /// Books whose time has come: a held snapshot is taken, a new one is asked for, one at a time.
    pub(super) fn look_after_books(&mut self, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            let Some(listed) = self.table.get_mut(at) else { return };
            let quiet = listed.book.held.as_ref().is_some_and(|(.., until)| *until <= now);
            if quiet && let Some((seq, ts, levels, _)) = listed.book.held.take() {
                self.seeded(at, (seq, ts, levels), now, out);
                continue;
            }
            if listed.book.request_at.is_some_and(|due| due <= now) && self.lanes.may_request(now) {
                listed.book.request_at = Some(now.plus_ms(ANSWER_MS << listed.book.tries.min(3)));
                self.lanes.request(at, now, out);
            }
        }
    }

    /// Whole best levels, in the scratch.
    fn top(&mut self, n: usize, at: usize, head: &Head<'_>, row: BookRow, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if head.computed {
            out.push(Action::Control("changes that a recorder computed"));
            return;
        }
        if *listed.top.get_or_insert(n) != n {
            out.push(Action::Control("book channel beside the one in use"));
            return;
        }
        // What a contract calls a version here is only the second.
        let seq = row.seq.filter(|_| listed.product.spot());
        let body = snapshot(seq, self.scratch.levels());
        let ts = row.ts.or(head.ts);
        out.push(Action::Emit(event(&listed.instrument, Channel::BookTop, ts, now, body)));
        self.heard(n, now);
    }
}

impl Listed {
    fn tell_waiting(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.book.told, true) {
            let words = "changes came before a snapshot".into();
            self.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        }
    }
}

fn snapshot(seq: Option<u64>, levels: Levels) -> Body {
    Body::Snapshot(Snapshot { seq, levels, checksum: None, epoch: 0 })
}
