//! The venue's rule of continuity for one book, alone.
//!
//! Spot numbers updates without holes: an event covers `U..=u`, and the next begins at `u + 1`. Futures number globally:
//! an event names the one before by `pu`. A snapshot stands at `L`; the first event after it must reach across `L`.

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The state that it follows: `U - 1` on spot, `pu` on futures.
    pub before: u64,
    /// The state that it leads to: `u`.
    pub after: u64,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It follows `0`: change the book.
    Apply(u64),
    /// The book has it already.
    Old,
    /// Events are missing between the book and it.
    Hole,
}

/// A book's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    at: u64,
    /// Whether nothing was applied since the snapshot, which may lie inside an event or, on futures, between two.
    fresh: bool,
}

impl Chain {
    /// A book that was just begun from a snapshot.
    pub const fn from_snapshot(at: u64) -> Self {
        Self { at, fresh: true }
    }

    /// The state of the book.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Holds an event against the chain and moves on where it follows.
    pub const fn step(&mut self, span: Span) -> Step {
        if span.before == self.at && span.after >= self.at
            || self.fresh && span.before <= self.at && span.after > self.at
        {
            let from = self.at;
            *self = Self { at: span.after, fresh: false };
            return Step::Apply(from);
        }
        if span.after <= self.at {
            Step::Old
        } else if self.fresh || span.before > self.at {
            Step::Hole
        } else {
            // It begins before the book's state and ends after it: sent by another connection in other pieces.
            let from = self.at;
            *self = Self { at: span.after, fresh: false };
            Step::Apply(from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of events (before, after) behind a snapshot, and where the book stands then.
    fn run(snapshot: u64, events: &[(u64, u64)]) -> (String, u64) {
        let mut chain = Chain::from_snapshot(snapshot);
        let steps =
            events.iter().map(|(before, after)| match chain.step(Span { before: *before, after: *after }) {
                Step::Apply(_) => 'a',
                Step::Old => 'o',
                Step::Hole => 'H',
            });
        (steps.collect(), chain.at())
    }

    #[test]
    fn spot_drops_what_the_snapshot_has_and_goes_on_from_what_reaches_across_it() {
        assert_eq!(run(15, &[(9, 12), (12, 15), (15, 20)]), ("ooa".into(), 20));
        assert_eq!(run(15, &[(9, 12), (12, 18)]), ("oa".into(), 18));
        assert_eq!(run(15, &[(19, 22)]), ("H".into(), 15));
        assert_eq!(run(15, &[(15, 20), (22, 25)]), ("aH".into(), 20));
    }

    #[test]
    fn futures_chain_by_the_event_before() {
        let buffered = [(90, 110), (110, 150), (150, 160)];
        assert_eq!(run(150, &buffered), ("ooa".into(), 160));
        assert_eq!(run(145, &buffered), ("oaa".into(), 160));
        assert_eq!(run(110, &buffered), ("oaa".into(), 160));
        assert_eq!(run(130, &buffered), ("oaa".into(), 160));
        assert_eq!(run(110, &[(110, 150), (150, 160), (150, 170)]), ("aaa".into(), 170));
        assert_eq!(run(110, &[(110, 160), (161, 170)]), ("aH".into(), 160));
    }

    #[test]
    fn a_repeated_event_is_old() {
        assert_eq!(run(10, &[(10, 12), (10, 12), (12, 13)]), ("aoa".into(), 13));
    }
}
