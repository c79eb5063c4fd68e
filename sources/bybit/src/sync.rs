//! The continuity rule of one book. Pure: numbers in, a verdict out.

/// What to do with a push of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the whole book.
    Reset,
    /// Apply it; it follows this state.
    Apply(u64),
    /// The state that is held was told again.
    Repeat,
    /// Nothing is held that it could change.
    Wait,
    /// The chain is broken between these.
    Gap(u64, u64),
}

/// Numbers of one book: each change counts one more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    held: Option<u64>,
}

impl Chain {
    /// Whether a whole book was taken and nothing was lost since.
    pub fn live(self) -> bool {
        self.held.is_some()
    }

    /// The number of the state held.
    pub fn seq(self) -> Option<u64> {
        self.held
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.held = None;
    }

    /// A push numbered `u` came. The number 1 is that of a service that began again, and always a whole book.
    pub fn push(&mut self, whole: bool, u: u64) -> Step {
        if whole || u == 1 {
            self.held = Some(u);
            return Step::Reset;
        }
        match self.held {
            None => Step::Wait,
            Some(held) if held == u => Step::Repeat,
            Some(held) if held.checked_add(1) == Some(u) => {
                self.held = Some(u);
                Step::Apply(held)
            }
            Some(held) => {
                self.held = None;
                Step::Gap(held, u)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: bool = true;
    const CHANGE: bool = false;

    fn run(script: &[((bool, u64), Step)]) {
        let mut chain = Chain::default();
        for (n, ((whole, u), expected)) in script.iter().enumerate() {
            assert_eq!(chain.push(*whole, *u), *expected, "push {n}: {u}");
        }
    }

    #[test]
    fn changes_count_by_one_and_a_whole_book_replaces_at_any_time() {
        run(&[
            ((WHOLE, 100), Step::Reset),
            ((CHANGE, 101), Step::Apply(100)),
            ((WHOLE, 90), Step::Reset),
            ((CHANGE, 91), Step::Apply(90)),
        ]);
    }

    #[test]
    fn a_service_that_began_again_tells_the_whole_book_as_one() {
        run(&[
            ((WHOLE, 100), Step::Reset),
            ((CHANGE, 101), Step::Apply(100)),
            ((WHOLE, 1), Step::Reset),
            ((CHANGE, 2), Step::Apply(1)),
            ((CHANGE, 1), Step::Reset),
            ((CHANGE, 2), Step::Apply(1)),
        ]);
    }

    #[test]
    fn a_jump_is_a_gap_until_the_next_whole_book() {
        for (u, name) in [(102, "forward"), (98, "back"), (u64::MAX, "far")] {
            let mut chain = Chain::default();
            chain.push(WHOLE, 100);
            assert_eq!(chain.push(CHANGE, u), Step::Gap(100, u), "{name}");
            assert!(!chain.live());
            assert_eq!(chain.push(CHANGE, 101), Step::Wait);
            assert_eq!(chain.push(WHOLE, 103), Step::Reset);
            assert_eq!(chain.seq(), Some(103));
        }
    }

    #[test]
    fn a_repeat_changes_nothing_and_a_change_before_any_book_waits() {
        run(&[
            ((CHANGE, 7), Step::Wait),
            ((WHOLE, 7), Step::Reset),
            ((CHANGE, 7), Step::Repeat),
            ((CHANGE, 8), Step::Apply(7)),
            ((CHANGE, 8), Step::Repeat),
        ]);
        let mut chain = Chain::default();
        chain.push(WHOLE, 7);
        chain.cool();
        assert_eq!(chain.push(CHANGE, 8), Step::Wait);
    }
}
