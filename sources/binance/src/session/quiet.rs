//! Books whose stream was acknowledged and has told nothing yet. The venue acknowledges streams that it will never feed, so
//! such a book is held against a new snapshot from time to time.

use super::{Answer, BinanceSession, TIMER_BOOK};
use crate::table::{Asked, Book};
use model::{Channel, GapCause, Ts};
use source::{Action, Cursor, What};

/// How long after its beginning a book without a change is held against a new snapshot, in ms; doubled with each.
const CHECK_MS: u64 = 30_000;
/// How often it is doubled at most.
const DOUBLED_MAX: u32 = 4;
/// How long a change may be on its way that a snapshot has already, in ms.
const SETTLE_MS: u64 = 3_000;
/// How long a silent stream is waited for before it is subscribed anew, in ms.
const SILENT_MS: u64 = 60_000;

/// What is known of a book's stream on this connection.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Whether it told a change.
    pub fed: bool,
    /// Whether the book moved and the stream did not say so.
    pub silent: bool,
    /// How often the book was found unmoved.
    checks: u32,
    /// The state of a snapshot that a change should lead to.
    moved: Option<u64>,
}

impl BinanceSession {
    /// A book went live. Where no change has come yet it is looked after.
    pub(super) fn watch(&self, at: usize, now: Ts, out: &mut Vec<Action>) {
        if self.wanting && self.table.get(at).is_some_and(|listed| !listed.quiet.fed) {
            out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(CHECK_MS) });
        }
    }

    /// The time has come to hold a live book against a new snapshot, or to see whether a change came since.
    pub(super) fn check(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at).filter(|listed| !listed.quiet.fed) else { return };
        if let Some(to) = listed.quiet.moved.take() {
            listed.quiet.silent = true;
            listed.gap(GapCause::Sequence, Some(to), now, out);
            let words = "the stream is acknowledged and silent although the book moves";
            self.start_over(at, words, now, out);
            return self.subscribe_anew(at, now, out);
        }
        listed.request.asked = Asked::Flying;
        self.fetch_one(at, now, out);
    }

    /// A snapshot of a book that is live.
    pub(super) fn checked(&mut self, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let Book::Live(chain) = &listed.book else { return };
        if listed.quiet.fed || !self.wanting {
            return out.push(Action::Control("snapshot_not_awaited"));
        }
        let id = Some(answer.body).filter(|_| answer.status == 200).and_then(update_id);
        out.push(Action::Control(match id {
            Some(_) => "snapshot_compared",
            None if answer.status == 200 => "snapshot_without_id",
            None => "snapshot_refused",
        }));
        listed.quiet.moved = id.filter(|id| *id > chain.at());
        let wait = if listed.quiet.moved.is_some() {
            SETTLE_MS
        } else {
            listed.quiet.checks = (listed.quiet.checks + 1).min(DOUBLED_MAX);
            (CHECK_MS << listed.quiet.checks).max(answer.retry_ms.unwrap_or(0))
        };
        out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(wait) });
    }

    /// Subscribes to a silent stream once more, and looks again later.
    pub(super) fn subscribe_anew(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        self.streams.redo((at, Channel::Book));
        self.subscribe(now, out);
        out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(SILENT_MS) });
    }
}

/// The id of a snapshot, as far as it need be read; `None` where there is none or it is negative.
fn update_id(body: &[u8]) -> Option<u64> {
    let mut id = None;
    let _ = Cursor::new(body).object(|c, key| {
        if key == b"lastUpdateId" {
            id = c.u64().ok();
            return Err(c.fault(What::Eof));
        }
        c.skip().map(drop)
    });
    id
}
