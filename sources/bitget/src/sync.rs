//! The continuity rule of one book. Pure: numbers in, a verdict out.

use model::GapCause;

/// What a book holds and what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No snapshot, and none is known to be under way.
    #[default]
    Cold,
    /// Asked for; a snapshot begins it, updates are of an older subscription.
    Asked,
    /// Live at this number, or unnumbered.
    Live(Option<u64>),
}

/// What to do with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply it; it follows this state.
    Apply(Option<u64>),
    /// Nothing changed; the book is alive.
    KeepAlive,
    /// Pass over it.
    Ignore,
    /// The chain is broken between these: the venue has started the book again, or something was lost.
    Gap(GapCause, Option<u64>, Option<u64>),
}

/// The rule of one book: an update's `pseq` is the `seq` before it. Generations without `pseq` only grow; the first
/// generation numbered nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    state: State,
}

impl Chain {
    /// Where it stands.
    pub fn state(self) -> State {
        self.state
    }

    /// Whether a snapshot was taken and nothing was lost since.
    pub fn live(self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// The number of the state held, where it is live and numbered.
    pub fn seq(self) -> Option<u64> {
        match self.state {
            State::Live(seq) => seq,
            State::Cold | State::Asked => None,
        }
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.state = State::Cold;
    }

    /// A subscription was sent.
    pub fn asked(&mut self) {
        self.state = State::Asked;
    }

    /// A snapshot was pushed. It always counts, also a repeated one.
    pub fn snapshot(&mut self, seq: Option<u64>) {
        self.state = State::Live(seq);
    }

    /// An update came. `empty` says that it changes no level.
    #[inline]
    pub fn update(&mut self, prev: Option<u64>, seq: Option<u64>, empty: bool) -> Step {
        let State::Live(last) = self.state else { return Step::Ignore };
        let Some(at) = last else {
            self.state = State::Live(seq);
            return Step::Apply(None);
        };
        let follows = match (prev, seq) {
            (Some(prev), Some(_)) => prev == at,
            (None, Some(seq)) => seq > at || (seq == at && empty),
            (_, None) => false,
        };
        if !follows {
            self.state = State::Cold;
            let cause = if prev == Some(0) { GapCause::VenueReset } else { GapCause::Sequence };
            return Step::Gap(cause, last, seq);
        }
        self.state = State::Live(seq);
        if empty && seq == last { Step::KeepAlive } else { Step::Apply(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GapCause::{Sequence, VenueReset};

    /// The state held (`None`: unnumbered), `pseq`, `seq`, whether it is empty, the verdict.
    type Row = (Option<u64>, Option<u64>, Option<u64>, bool, Step);

    #[test]
    fn the_rule_as_a_table() {
        let table: &[Row] = &[
            (Some(10), Some(10), Some(20), false, Step::Apply(Some(10))),
            (Some(10), Some(10), Some(20), true, Step::Apply(Some(10))),
            (Some(10), Some(10), Some(10), true, Step::KeepAlive),
            (Some(10), Some(10), Some(10), false, Step::Apply(Some(10))),
            (Some(20), Some(20), Some(3), false, Step::Apply(Some(20))),
            // The venue starts again.
            (Some(20), Some(0), Some(30), false, Step::Gap(VenueReset, Some(20), Some(30))),
            // A lost, a repeated and a swapped update.
            (Some(10), Some(20), Some(30), false, Step::Gap(Sequence, Some(10), Some(30))),
            (Some(20), Some(10), Some(20), false, Step::Gap(Sequence, Some(20), Some(20))),
            (Some(10), Some(5), Some(9), false, Step::Gap(Sequence, Some(10), Some(9))),
            // Without `pseq` the numbers only grow.
            (Some(10), None, Some(11), false, Step::Apply(Some(10))),
            (Some(10), None, Some(10), true, Step::KeepAlive),
            (Some(10), None, Some(10), false, Step::Gap(Sequence, Some(10), Some(10))),
            (Some(10), None, Some(9), false, Step::Gap(Sequence, Some(10), Some(9))),
            (Some(10), None, None, false, Step::Gap(Sequence, Some(10), None)),
            (Some(10), Some(10), None, false, Step::Gap(Sequence, Some(10), None)),
            // Numbers above 2^53.
            (
                Some(9_007_199_254_740_993),
                Some(9_007_199_254_740_993),
                Some(9_007_199_254_740_995),
                false,
                Step::Apply(Some(9_007_199_254_740_993)),
            ),
            (None, None, None, false, Step::Apply(None)),
            (None, None, None, true, Step::Apply(None)),
            (None, Some(1), Some(2), false, Step::Apply(None)),
        ];
        for (held, prev, seq, empty, expected) in table {
            let mut chain = Chain::default();
            chain.snapshot(*held);
            assert_eq!(chain.update(*prev, *seq, *empty), *expected, "{held:?} ({prev:?}, {seq:?})");
            let gap = matches!(expected, Step::Gap(..));
            assert_eq!(chain.live(), !gap);
            assert_eq!(chain.seq(), if gap { None } else { *seq });
        }
    }

    #[test]
    fn after_a_gap_nothing_is_taken_until_a_snapshot_comes() {
        let mut chain = Chain::default();
        assert_eq!(chain.update(Some(1), Some(2), false), Step::Ignore);
        chain.snapshot(Some(10));
        assert!(matches!(chain.update(Some(11), Some(12), false), Step::Gap(..)));
        assert_eq!(chain.update(Some(12), Some(13), false), Step::Ignore);
        chain.asked();
        assert_eq!(chain.state(), State::Asked);
        assert_eq!(chain.update(Some(13), Some(14), false), Step::Ignore);
        chain.snapshot(Some(15));
        assert_eq!(chain.update(Some(15), Some(16), false), Step::Apply(Some(15)));
    }
}
