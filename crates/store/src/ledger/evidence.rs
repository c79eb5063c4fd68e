//! What an event says of its lane.

use super::Link;
use super::interval::{Cause, Interval, Place, State, Why};
use super::lane::{Lane, Sign};
use ::lane::End;
use model::{Body, Event, Flags, Gap, GapCause, LaneFact, Proof, TradeId, Ts};

/// A number so far below the last one is no older trade: the venue counts from the start again. As the pump has it.
const RESTART: u64 = 1_000_000;

/// Up to when a lane is known to have been alive.
pub(super) fn horizon(lane: &Lane, links: &[Link]) -> Ts {
    let heard = match lane.link {
        Some(link) => links.get(link).map(|link| link.heard),
        None => links.iter().filter(|link| link.source == lane.name.source).map(|link| link.heard).max(),
    };
    let from = lane.tail.last().map(|span| span.interval.from.ts);
    [heard, from, lane.last.map(|last| last.ts)].into_iter().flatten().max().unwrap_or_default()
}

/// What became of a subscription; `carried` is the place of the connection that a fact names.
pub(super) fn on_fact(
    lane: &mut Lane,
    fact: &LaneFact,
    carried: Option<usize>,
    at: Place,
    out: &mut Vec<Interval>,
) {
    match fact {
        LaneFact::Asked { proof, .. } => {
            (lane.proof, lane.asked) = (*proof, true);
            if matches!(lane.state, State::Closed(Why::Dropped) | State::Gap(Cause::Refused)) {
                lane.turn(at, State::Gap(Cause::Starting), false);
            }
        }
        LaneFact::Carried(_) => lane.link = carried,
        LaneFact::Acked => {
            lane.asked = false;
            // A book begins with a snapshot, and numbers that were known say more than an answer.
            let waits = lane.is_book() || (lane.counts() && lane.seq.is_some());
            if lane.state.is_gap() && !waits {
                lane.turn(at, State::Unprovable, false);
            }
        }
        LaneFact::Refused(_) => {
            if lane.state != State::Gap(Cause::Refused) {
                lane.turn(at, State::Gap(Cause::Refused), false);
            }
        }
        // A book that waits is one that has not begun, or a gap that was told.
        LaneFact::Syncing(_) => {}
        LaneFact::Repaired { from_seq, to_seq, events } => {
            lane.mend((*from_seq, *to_seq), &End::Repaired { at: at.ts, events: *events }, out);
        }
        LaneFact::Unrepaired { from_seq, to_seq, why } => {
            lane.mend((*from_seq, *to_seq), &End::Lost { at: at.ts, why: why.clone() }, out);
        }
        LaneFact::Dropped => {
            lane.turn(at, State::Closed(Why::Dropped), false);
            (lane.seq, lane.asked) = (None, false);
        }
    }
}

/// A gap that came over the bus.
pub(super) fn on_gap(lane: &mut Lane, gap: &Gap, at: Place, links: &[Link]) {
    let numbered = lane.counts() && gap.cause == GapCause::Sequence;
    if lane.state == State::Closed(Why::Dropped)
        || (numbered && gap.from_seq.is_some() && lane.knows(gap.from_seq, gap.to_seq))
    {
        return;
    }
    // What is lost is lost, whether it traded or not.
    lane.halt(false, at);
    let state = State::Gap(Cause::Told(gap.cause));
    let silent = lane.open().is_some_and(|open| !open.told);
    if !(lane.state == state && gap.cause == GapCause::Disconnected && silent) {
        let begin = match gap.cause {
            _ if !lane.state.is_well() => at,
            GapCause::Disconnected => Place { ts: horizon(lane, links), ..at },
            GapCause::Crossed => lane.before_suspect.unwrap_or(lane.last_or(at)),
            _ => lane.last_or(at),
        };
        lane.turn(begin, state, false);
    }
    if lane.is_book() {
        lane.seq = None;
    }
    lane.around = (gap.from_seq, gap.to_seq);
    if let Some(open) = lane.open().filter(|open| open.interval.state == state) {
        open.told = true;
        (open.interval.from_seq, open.interval.to_seq) = (gap.from_seq, gap.to_seq);
    }
}

/// Data.
pub(super) fn on_data(lane: &mut Lane, event: &Event, at: Place) {
    let complete = State::Complete(lane.proof);
    let checked = |sum: bool| if sum { complete } else { State::Unprovable };
    let (sign, seq, shown) = match (&event.body, lane.proof) {
        (Body::Trade(trade), _) if lane.counts() => match (&trade.id, lane.seq) {
            (TradeId::Text(_), _) => (Sign::Free, None, State::Unprovable),
            (TradeId::Num(n), None) => (Sign::Begin, Some(*n), complete),
            (TradeId::Num(n), Some(last)) => {
                let sign = match n {
                    _ if n.checked_sub(1) == Some(last) => Sign::Next,
                    _ if *n > last => Sign::Jump,
                    _ if last - n >= RESTART => Sign::Anew,
                    _ => Sign::Late,
                };
                (sign, Some(*n), complete)
            }
        },
        (Body::Snapshot(book), proof) if lane.is_book() => {
            let same = book.seq.is_some() && book.seq == lane.seq;
            let sign = match lane.state {
                State::Complete(_) if same => Sign::Next,
                State::Complete(_) => Sign::Anew,
                _ => Sign::Begin,
            };
            let shown = match proof {
                Proof::Sequence => checked(book.seq.is_some()),
                Proof::Checksum => checked(book.checksum.is_some()),
                Proof::None => State::Unprovable,
            };
            (sign, book.seq, shown)
        }
        (Body::Delta(delta), proof) if lane.is_book() => {
            let sign = match (lane.seq, delta.prev_seq) {
                (Some(last), Some(before)) if last == before => Sign::Next,
                (Some(_), Some(_)) => Sign::Unfit,
                _ => Sign::Free,
            };
            let shown = match proof {
                Proof::Sequence => checked(sign == Sign::Next && delta.seq.is_some()),
                Proof::Checksum => checked(delta.checksum.is_some() || lane.state == complete),
                Proof::None => State::Unprovable,
            };
            (sign, delta.seq, shown)
        }
        _ => (Sign::Free, None, State::Unprovable),
    };
    if !event.flags.has(Flags::SUSPECT) {
        lane.before_suspect = None;
    } else if lane.before_suspect.is_none() {
        lane.before_suspect = lane.last;
    }
    lane.data(at, sign, seq, shown);
}
