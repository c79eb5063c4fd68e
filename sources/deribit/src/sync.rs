//! The continuity rule of one book. Pure: numbers in, a verdict out.

/// What a book holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing: it waits for a snapshot.
    #[default]
    Cold,
    /// The state of this number.
    Live(u64),
}

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply it; it follows this state.
    Apply(u64),
    /// It follows the empty book, so that its levels are all there are: a beginning.
    Begin,
    /// Pass over it: the book waits for a snapshot.
    Ignore,
    /// The chain is broken between these.
    Gap(u64, u64),
}

/// The rule of one book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    state: State,
}

impl Chain {
    /// Whether a state is held and nothing was lost since it began.
    pub fn live(self) -> bool {
        self.seq().is_some()
    }

    /// The number of the state held.
    pub fn seq(self) -> Option<u64> {
        match self.state {
            State::Live(seq) => Some(seq),
            State::Cold => None,
        }
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.state = State::Cold;
    }

    /// A whole book came. It always counts, also a repeated one.
    pub fn snapshot(&mut self, change_id: u64) {
        self.state = State::Live(change_id);
    }

    /// A change came. Numbers are shared by all instruments of the venue: only the link counts, not the distance. The
    /// state of a book in which nothing ever stood has the number 0.
    pub fn change(&mut self, prev_change_id: u64, change_id: u64) -> Step {
        match self.state {
            State::Cold if prev_change_id == 0 => {
                self.state = State::Live(change_id);
                Step::Begin
            }
            State::Cold => Step::Ignore,
            State::Live(seq) if seq == prev_change_id => {
                self.state = State::Live(change_id);
                Step::Apply(seq)
            }
            State::Live(seq) => {
                self.state = State::Cold;
                Step::Gap(seq, change_id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_link_counts() {
        type Case<'a> = (&'a str, Option<u64>, &'a [(u64, u64, Step)]);
        let script: [Case<'_>; 7] = [
            ("links", Some(50), &[(50, 57, Step::Apply(50)), (57, 61, Step::Apply(57))]),
            (
                "a hole",
                Some(50),
                &[(50, 57, Step::Apply(50)), (60, 64, Step::Gap(57, 64)), (64, 70, Step::Ignore)],
            ),
            ("a repeat", Some(50), &[(50, 57, Step::Apply(50)), (50, 57, Step::Gap(57, 57))]),
            ("a swap", Some(50), &[(57, 61, Step::Gap(50, 61)), (50, 57, Step::Ignore)]),
            ("an empty book", Some(0), &[(0, 9, Step::Apply(0)), (9, 12, Step::Apply(9))]),
            ("no snapshot", None, &[(7, 9, Step::Ignore), (0, 12, Step::Begin), (12, 13, Step::Apply(12))]),
            ("from the start again", Some(50), &[(0, 3, Step::Gap(50, 3)), (3, 4, Step::Ignore)]),
        ];
        for (name, snapshot, changes) in script {
            let mut chain = Chain::default();
            if let Some(seq) = snapshot {
                chain.snapshot(seq);
            }
            for (prev, seq, expected) in changes {
                assert_eq!(chain.change(*prev, *seq), *expected, "{name}: ({prev}, {seq})");
            }
        }
    }

    #[test]
    fn a_snapshot_replaces_whatever_was_held() {
        let mut chain = Chain::default();
        chain.snapshot(50);
        chain.snapshot(40);
        assert_eq!((chain.live(), chain.seq()), (true, Some(40)));
        chain.cool();
        assert_eq!((chain.live(), chain.seq()), (false, None));
        chain.snapshot(50);
        assert_eq!(chain.change(50, 51), Step::Apply(50));
    }
}
