//! Books of a session: rows to events by the continuity rule, and their new starts.

use super::DeribitSession;
use crate::book::{BookRow, Scratch, book_row};
use crate::emit::{Sink, event};
use crate::parse::{Pace, Result};
use crate::sync::{Chain, Step};
use model::{Body, Channel, Delta, Gap, GapCause, LaneFact, Snapshot, Ts};
use source::{Action, Cursor};

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    /// Its continuity.
    pub chain: Chain,
    /// The pace of the channel that feeds it: the first one that came.
    pace: Option<Pace>,
    /// Said once that changes came before a snapshot.
    pub told: bool,
}

impl Book {
    /// Whether the channel of this pace feeds it.
    pub fn is_fed_at(&self, pace: Pace) -> bool {
        self.pace == Some(pace)
    }

    /// As on a new connection.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

impl DeribitSession {
    /// The data of a book channel.
    pub(super) fn book(
        &mut self,
        at: usize,
        pace: Pace,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let start = c.clone();
        loop {
            let Some(listed) = self.table.get_mut(at) else { return super::skip(c) };
            let mut sink = Sink { now, out, notes: &mut self.notes };
            match book_row(c, &listed.instrument, &mut self.scratch, &mut sink) {
                Ok(row) => {
                    self.apply(at, pace, row, now, out);
                    return Ok(());
                }
                Err(fault) => listed.widen(&fault, now, out)?,
            }
            *c = start.clone();
        }
    }

    /// One row, its levels in the scratch.
    fn apply(&mut self, at: usize, pace: Pace, row: BookRow, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if *listed.book.pace.get_or_insert(pace) != pace {
            out.push(Action::Control("book channel beside the one in use"));
            return;
        }
        if row.whole {
            listed.book.chain.snapshot(row.seq);
            return self.begin(at, row, now, out);
        }
        match listed.book.chain.change(row.prev.unwrap_or_default(), row.seq) {
            Step::Apply(prev) => {
                let levels = self.scratch.levels();
                let delta =
                    Delta { prev_seq: Some(prev), seq: Some(row.seq), levels, checksum: None, epoch: 0 };
                let body = Body::Delta(delta);
                out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
            }
            Step::Begin => self.begin(at, row, now, out),
            Step::Ignore => {
                out.push(Action::Control("book change while waiting for a snapshot"));
                if !listed.book.told {
                    listed.book.told = true;
                    let words = "changes came before a snapshot".into();
                    listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
                }
            }
            Step::Gap(from, to) => {
                let gap = Gap { cause: GapCause::Sequence, from_seq: Some(from), to_seq: Some(to) };
                listed.tell_gap(gap, now, out);
                self.begin_again(at, now, out);
            }
        }
    }

    /// The levels in the scratch are the whole book.
    fn begin(&mut self, at: usize, row: BookRow, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get(at) else { return };
        self.scratch.full();
        let body = snapshot(row, &self.scratch);
        out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
        self.healed(at, now);
    }

    /// The data of a channel that has the best levels, whole each time.
    pub(super) fn top(
        &mut self,
        at: usize,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let start = c.clone();
        loop {
            let Some(listed) = self.table.get_mut(at) else { return super::skip(c) };
            let mut sink = Sink { now, out, notes: &mut self.notes };
            match book_row(c, &listed.instrument, &mut self.scratch, &mut sink) {
                Ok(row) => {
                    self.scratch.full();
                    let body = snapshot(row, &self.scratch);
                    out.push(Action::Emit(event(&listed.instrument, Channel::BookTop, row.ts, now, body)));
                    return Ok(());
                }
                Err(fault) => listed.widen(&fault, now, out)?,
            }
            *c = start.clone();
        }
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    pub(super) fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        let lost = self.table.get_mut(at).is_some_and(|listed| listed.gap(cause, now, out));
        if lost {
            self.begin_again(at, now, out);
        }
    }

    fn begin_again(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get_mut(at) {
            listed.book.reset();
            listed.book.told = true;
            listed.fact(Channel::Book, LaneFact::Syncing("continuity was lost".into()), now, out);
        }
        self.restart(at, now);
    }
}

fn snapshot(row: BookRow, scratch: &Scratch) -> Body {
    Body::Snapshot(Snapshot { seq: Some(row.seq), levels: scratch.levels(), checksum: None, epoch: 0 })
}
