//! The continuity rule of one book. Pure: numbers in, a verdict out.
//!
//! A spot change carries `prevSeqNum` and `seqNum`; a contract's carries only `version`, which counts by one, so that the
//! number before it is `version − 1`. From there both follow the same rule.

/// What a book holds and what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing; changes are passed over until a snapshot is pushed.
    #[default]
    Cold,
    /// Changes are kept until a snapshot comes that was asked for.
    Waiting,
    /// A snapshot that was asked for; the first change may begin before it.
    Bridging(u64),
    /// Live at this number.
    Live(u64),
}

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply it; it follows this state.
    Apply(u64),
    /// Pass over it: there is no book to change.
    Ignore,
    /// Pass over it: the snapshot holds it already.
    Stale,
    /// Keep it; a snapshot is under way.
    Keep,
    /// The chain is broken between these.
    Gap(u64, u64),
}

/// The rule of one book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    state: State,
}

impl Chain {
    /// Where it stands.
    pub fn state(self) -> State {
        self.state
    }

    /// The number of the state held, where it is live.
    pub fn seq(self) -> Option<u64> {
        match self.state {
            State::Live(seq) | State::Bridging(seq) => Some(seq),
            State::Cold | State::Waiting => None,
        }
    }

    /// Whether a snapshot was taken and nothing was lost since.
    pub fn live(self) -> bool {
        self.seq().is_some()
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.state = State::Cold;
    }

    /// From now on changes are to be kept.
    pub fn wait(&mut self) {
        self.state = State::Waiting;
    }

    /// A snapshot was pushed. It always counts, also a repeated one.
    pub fn snapshot(&mut self, seq: u64) {
        self.state = State::Live(seq);
    }

    /// A snapshot came that was asked for.
    pub fn seeded(&mut self, seq: u64) {
        self.state = State::Bridging(seq);
    }

    /// A change from `prev` to `seq` came.
    #[inline]
    pub fn update(&mut self, prev: u64, seq: u64) -> Step {
        match self.state {
            State::Live(last) if last == prev => {
                self.state = State::Live(seq);
                Step::Apply(last)
            }
            State::Bridging(at) if prev == at || (prev < at && at < seq) => {
                self.state = State::Live(seq);
                Step::Apply(at)
            }
            State::Bridging(at) if seq <= at => Step::Stale,
            State::Live(last) | State::Bridging(last) => {
                self.state = State::Cold;
                Step::Gap(last, seq)
            }
            State::Cold => Step::Ignore,
            State::Waiting => Step::Keep,
        }
    }
}

/// Whether a snapshot that was asked for fits the changes that were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// It is older than the first change kept: ask again.
    TooOld,
    /// No change shows yet whether it fits.
    Hold,
    /// Take it; the kept changes follow by [`Chain::update`].
    Take,
}

/// Judges a snapshot numbered `seq` against the number before the first change kept.
pub fn seed(seq: u64, first_prev: Option<u64>) -> Seed {
    match first_prev {
        Some(prev) if seq < prev => Seed::TooOld,
        Some(_) => Seed::Take,
        None => Seed::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_must_follow_the_state_before_it() {
        for (state, prev, seq, step, after) in [
            (State::Live(9), 9, 10, Step::Apply(9), State::Live(10)),
            (State::Live(9), 9, 400, Step::Apply(9), State::Live(400)),
            (State::Live(9), 10, 12, Step::Gap(9, 12), State::Cold),
            (State::Live(9), 8, 9, Step::Gap(9, 9), State::Cold),
            (State::Live(9), 5, 12, Step::Gap(9, 12), State::Cold),
            (State::Live(9), 0, 1, Step::Gap(9, 1), State::Cold),
            (State::Cold, 9, 10, Step::Ignore, State::Cold),
            (State::Waiting, 9, 10, Step::Keep, State::Waiting),
            (State::Bridging(9), 9, 10, Step::Apply(9), State::Live(10)),
            (State::Bridging(9), 7, 11, Step::Apply(9), State::Live(11)),
            (State::Bridging(9), 7, 9, Step::Stale, State::Bridging(9)),
            (State::Bridging(9), 3, 4, Step::Stale, State::Bridging(9)),
            (State::Bridging(9), 10, 11, Step::Gap(9, 11), State::Cold),
        ] {
            let mut chain = Chain { state };
            assert_eq!((chain.update(prev, seq), chain.state()), (step, after), "{state:?} ({prev}, {seq})");
        }
    }

    #[test]
    fn kept_changes_join_the_snapshot_that_was_asked_for() {
        let kept = [(100, 103), (103, 104), (104, 110)];
        let mut chain = Chain::default();
        chain.wait();
        assert!(kept.iter().all(|(prev, seq)| chain.update(*prev, *seq) == Step::Keep));
        assert_eq!(seed(103, Some(100)), Seed::Take);
        chain.seeded(103);
        let steps = kept.map(|(prev, seq)| chain.update(prev, seq));
        assert_eq!(steps, [Step::Stale, Step::Apply(103), Step::Apply(104)]);
        assert_eq!(chain.seq(), Some(110));
    }

    #[test]
    fn a_snapshot_is_held_against_the_first_change_kept() {
        for (seq, first_prev, verdict) in [
            (99, Some(100), Seed::TooOld),
            (100, Some(100), Seed::Take),
            (500, Some(100), Seed::Take),
            (100, None, Seed::Hold),
        ] {
            assert_eq!(seed(seq, first_prev), verdict, "{seq} {first_prev:?}");
        }
    }

    #[test]
    fn a_pushed_snapshot_starts_the_book_from_anywhere() {
        for state in [State::Cold, State::Waiting, State::Bridging(4), State::Live(4)] {
            let mut chain = Chain { state };
            chain.snapshot(1_600_467);
            assert_eq!(chain.update(1_600_467, 1_600_468), Step::Apply(1_600_467));
            chain.cool();
            assert!(!chain.live());
        }
    }
}
