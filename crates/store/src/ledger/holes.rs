//! Gaps of a lane after the fact: what came late, what was filled in, and when nothing can change any more.

use super::interval::Interval;
use super::lane::{Lane, Span};
use ::lane::End;
use model::{Channel, Ts};

/// How long after its end an interval may still change, in ms: trades come late, or the lane goes on where it stood.
const SETTLE_MS: u64 = 10_000;
/// How many gaps that are final, and may be repaired, a lane remembers.
const KEPT_MAX: usize = 64;
impl Lane {
    /// A trade that was missing has come after all.
    pub fn late(&mut self, number: Option<u64>) {
        let Some(n) = number else { return };
        let hole = |span: &Span| {
            let Interval { state, from_seq, to_seq, .. } = &span.interval;
            state.is_gap() && from_seq.is_some_and(|from| from < n) && to_seq.is_some_and(|to| n < to)
        };
        let Some(at) = self.tail.iter().rposition(hole) else { return };
        let Some(span) = self.tail.get_mut(at) else { return };
        let (from, to) = (span.interval.from_seq, span.interval.to_seq);
        let first = from.and_then(|from| from.checked_add(1)) == Some(n);
        let last = n.checked_add(1) == to;
        match (first, last) {
            (true, true) => self.heal(at),
            (true, false) => span.interval.from_seq = Some(n),
            (false, true) => span.interval.to_seq = Some(n),
            (false, false) => {
                let mut rest = span.clone();
                span.interval.to_seq = Some(n);
                rest.interval.from = span.interval.to;
                rest.interval.from_seq = Some(n);
                self.tail.insert(at + 1, rest);
            }
        }
    }

    /// A gap was none: what is before it reaches to what is after it.
    fn heal(&mut self, at: usize) {
        if at + 1 >= self.tail.len() {
            return;
        }
        let hole = self.tail.remove(at);
        let before = at.checked_sub(1).and_then(|at| self.tail.get(at)).map(|span| span.interval.clone());
        let Some(after) = self.tail.get_mut(at) else { return };
        after.interval.from = hole.interval.from;
        after.interval.from_seq = hole.interval.from_seq.map(|from| from + 1);
        if let Some(before) = before
            && before.state == after.interval.state
            && before.state.is_well()
        {
            after.interval.from = before.from;
            after.interval.from_seq = before.from_seq;
            self.tail.remove(at - 1);
        }
    }

    /// Whether a gap between these numbers is known by the lane's own numbers.
    pub fn knows(&mut self, from_seq: Option<u64>, to_seq: Option<u64>) -> bool {
        let is = |interval: &Interval| {
            interval.state.is_gap() && (interval.from_seq, interval.to_seq) == (from_seq, to_seq)
        };
        self.tail.iter().any(|span| is(&span.interval)) || self.kept.iter().any(is)
    }

    /// What became of the newest gap between these numbers. One that was final is given out again.
    pub fn mend(&mut self, seqs: (Option<u64>, Option<u64>), end: &End, out: &mut Vec<Interval>) {
        let is = |interval: &Interval| {
            interval.state.is_gap()
                && matches!(interval.end, End::Open | End::Resumed(_))
                && (interval.from_seq, interval.to_seq) == seqs
        };
        if let Some(span) = self.tail.iter_mut().rev().find(|span| is(&span.interval)) {
            span.interval.end = end.clone();
        } else if let Some(at) = self.kept.iter().rposition(is) {
            let mut interval = self.kept.remove(at);
            interval.end = end.clone();
            // What was given out of it, and not drained yet, is out of date.
            out.retain(|old| !old.is_replaced(std::slice::from_ref(&interval)));
            out.push(interval);
        }
    }

    /// A stretch was filled in later; true where a gap of this lane was in it.
    pub fn repaired(&mut self, times: (Ts, Ts), at: Ts, events: u64, out: &mut Vec<Interval>) -> bool {
        let ((from, to), mut found) = (times, false);
        let last = self.tail.len().saturating_sub(1);
        for (place, span) in std::mem::take(&mut self.tail).into_iter().enumerate() {
            let parts = span.interval.repaired(from, to, at, events);
            if place == last || parts == [span.interval.clone()] {
                self.tail.push(span);
                continue;
            }
            found = true;
            let part = |interval| Span { interval, doubt: false, told: true };
            self.tail.extend(parts.into_iter().map(part));
        }
        for interval in std::mem::take(&mut self.kept) {
            let parts = interval.repaired(from, to, at, events);
            if parts == [interval] {
                self.kept.extend(parts);
                continue;
            }
            found = true;
            self.kept.extend(parts.iter().filter(|part| part.is_missing()).cloned());
            out.retain(|old| !old.is_replaced(&parts));
            out.extend(parts);
        }
        found
    }

    /// Gives out what can change no more.
    pub fn settle(&mut self, now: Ts, out: &mut Vec<Interval>) {
        let firm = self.tail.iter().rposition(|span| !span.doubt).unwrap_or(0);
        let is_final = |span: &&Span| span.interval.to.ts.plus_ms(SETTLE_MS) <= now;
        let count = self.tail.iter().take(firm).take_while(is_final).count();
        for Span { mut interval, .. } in self.tail.drain(..count) {
            self.settled += 1;
            interval.number = self.settled;
            if interval.is_missing() && matches!(self.name.channel, Channel::Trades | Channel::AggTrades) {
                if self.kept.len() >= KEPT_MAX {
                    self.kept.remove(0);
                }
                self.kept.push(interval.clone());
            }
            out.push(interval);
        }
    }
}
