//! Books of a session: pushes to events by the continuity rule, and what happens when one is lost.

use super::BybitSession;
use crate::parse::{BookRow, Head};
use crate::sync::Step;
use model::{Body, Channel, Delta, Gap, GapCause, LaneFact, Quote, Snapshot, Ts};
use source::Action;

impl BybitSession {
    /// A push of a book; its levels stand in the scratch.
    #[inline]
    pub(super) fn book(
        &mut self,
        (at, depth): (usize, u16),
        row: BookRow,
        head: &Head<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if *listed.depth.get_or_insert(depth) != depth || !listed.wants(Channel::Book) {
            out.push(Action::Control("a book that is not wanted, or of another depth"));
            return;
        }
        let (u, ts) = (row.u, head.time());
        match listed.chain.push(head.push == b"snapshot", u) {
            Step::Apply(prev) => {
                let levels = self.scratch.levels();
                let delta = Delta { prev_seq: Some(prev), seq: Some(u), levels, checksum: None, epoch: 0 };
                listed.emit(Channel::Book, ts, now, Body::Delta(delta), out);
            }
            Step::Reset => {
                let levels = self.scratch.whole();
                let snapshot = Snapshot { seq: Some(u), levels, checksum: None, epoch: 0 };
                listed.told = false;
                listed.emit(Channel::Book, ts, now, Body::Snapshot(snapshot), out);
                self.healed(at, now);
            }
            Step::Repeat => out.push(Action::Control("a change that was told before")),
            Step::Wait => self.waits(at, now, out),
            Step::Gap(from, to) => {
                let gap = Gap { cause: GapCause::Sequence, from_seq: Some(from), to_seq: Some(to) };
                listed.emit(Channel::Book, None, now, Body::Gap(gap), out);
                self.begin_again(at, now, out);
            }
        }
    }

    /// A change came while its book waits for a whole one.
    #[cold]
    pub(super) fn waits(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Control("a change while its book waits for a whole one"));
        let Some(listed) = self.table.get_mut(at).filter(|l| !l.told) else { return };
        listed.told = true;
        let words = "changes came before a whole book".into();
        listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
    }

    /// A push of the best level, which stands in the scratch. The venue sends it whole, and again every 3 seconds where
    /// nothing changed; until 2024 it also sent changes.
    #[inline]
    pub(super) fn best(&mut self, at: usize, row: BookRow, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if !listed.wants(Channel::Quote) {
            out.push(Action::Control("a quote that is not wanted"));
            return;
        }
        let (u, held) = (row.u, listed.best);
        let best = &mut listed.best;
        if head.push == b"snapshot" {
            (best.bid, best.ask) = (None, None);
        } else if best.u.is_none_or(|held| held.checked_add(1) != Some(u)) {
            let repeat = best.u == Some(u);
            best.u = best.u.filter(|_| repeat);
            out.push(Action::Control("a change of a best level that is not known"));
            return;
        }
        best.apply(&self.scratch.bids, &self.scratch.asks);
        best.u = Some(u);
        if *best == held {
            out.push(Action::Control("a best level that was told before"));
            return;
        }
        // Levels of other depths are numbered by themselves, so that `u` says nothing about the book's state.
        let quote = Quote { bid: best.bid, ask: best.ask, seq: None };
        listed.emit(Channel::Quote, head.time(), now, Body::Quote(quote), out);
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    pub(super) fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        if self.table.get_mut(at).is_some_and(|listed| listed.gap(cause, now, out)) {
            self.begin_again(at, now, out);
        }
    }

    pub(super) fn lose_all(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lose(at, cause, now, out);
        }
    }

    fn begin_again(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get_mut(at) {
            listed.chain.cool();
            listed.told = true;
            listed.fact(Channel::Book, LaneFact::Syncing("continuity was lost".into()), now, out);
        }
        self.restart(at, Channel::Book, now);
    }
}
