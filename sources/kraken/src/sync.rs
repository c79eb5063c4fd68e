//! The continuity rule of one book. Pure: numbers in, a verdict out.
//!
//! Contracts count the changes of each book by one. Pairs number nothing: there a checksum over the book says whether a
//! change was missed, and [`Chain`] only tells a live book from one that waits.

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply it; it follows this state.
    Apply(Option<u64>),
    /// It was applied already.
    Repeat,
    /// The book waits for a snapshot; pass over it.
    Ignore,
    /// The chain is broken between these.
    Gap(Option<u64>, Option<u64>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Waiting,
    Live(Option<u64>),
}

/// The rule of one book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    state: State,
}

impl Chain {
    /// Whether a snapshot was taken and nothing was lost since.
    pub fn is_live(self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// The number of the state held.
    pub fn seq(self) -> Option<u64> {
        match self.state {
            State::Live(seq) => seq,
            State::Waiting => None,
        }
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.state = State::Waiting;
    }

    /// A snapshot came. It always counts.
    pub fn snapshot(&mut self, seq: Option<u64>) {
        self.state = State::Live(seq);
    }

    /// A change came that leads to the state `seq`.
    pub fn update(&mut self, seq: Option<u64>) -> Step {
        let State::Live(last) = self.state else { return Step::Ignore };
        match (last, seq) {
            (Some(last), Some(next)) if next == last => Step::Repeat,
            (Some(last), Some(next)) if last.checked_add(1) == Some(next) => {
                self.state = State::Live(seq);
                Step::Apply(Some(last))
            }
            (None, None) => Step::Apply(None),
            _ => {
                self.cool();
                Step::Gap(last, seq)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_contract_go_up_by_one_and_everything_else_but_a_repeat_is_a_gap() {
        for (held, next, expected) in [
            (500, 501, Step::Apply(Some(500))),
            (500, 500, Step::Repeat),
            (500, 502, Step::Gap(Some(500), Some(502))),
            (500, 499, Step::Gap(Some(500), Some(499))),
            (500, 1, Step::Gap(Some(500), Some(1))),
            (u64::MAX, 0, Step::Gap(Some(u64::MAX), Some(0))),
        ] {
            let mut chain = Chain::default();
            chain.snapshot(Some(held));
            assert_eq!(chain.update(Some(next)), expected, "{held} then {next}");
            assert_eq!(chain.is_live(), !matches!(expected, Step::Gap(..)));
        }
    }

    #[test]
    fn a_book_that_waits_passes_over_changes_until_a_snapshot() {
        let mut chain = Chain::default();
        assert_eq!(chain.update(Some(7)), Step::Ignore);
        assert_eq!(chain.update(None), Step::Ignore);
        chain.snapshot(Some(7));
        assert_eq!(chain.update(Some(9)), Step::Gap(Some(7), Some(9)));
        assert_eq!(chain.update(Some(10)), Step::Ignore);
        chain.snapshot(Some(3));
        assert_eq!((chain.update(Some(4)), chain.seq()), (Step::Apply(Some(3)), Some(4)));
    }

    #[test]
    fn a_book_without_numbers_follows_and_one_that_loses_them_does_not() {
        let mut chain = Chain::default();
        chain.snapshot(None);
        assert_eq!((chain.update(None), chain.seq()), (Step::Apply(None), None));
        assert_eq!(chain.update(Some(1)), Step::Gap(None, Some(1)));
        chain.snapshot(Some(5));
        assert_eq!(chain.update(None), Step::Gap(Some(5), None));
    }
}
