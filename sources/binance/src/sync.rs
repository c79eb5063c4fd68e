//! The venue's rule of continuity for one book, alone.
//!
//! Spot numbers updates without holes: an event covers `U..=u`, and the next begins at `u + 1`. Futures number over all
//! books at once: an event names the one before by `pu`. A snapshot stands at `L`; the first event after it must reach
//! across `L`.

/// How the events of a book follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Spot: `U == previous u + 1`.
    Counted,
    /// Futures: `pu == previous u`.
    Chained,
}

/// Which states an event joins.
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
    /// It follows the book, which stood at this state.
    Apply(u64),
    /// The book has it already.
    Old,
    /// Events are missing between the book and it.
    Hole,
}

/// A book's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    rule: Rule,
    at: u64,
    /// Whether nothing was applied since the snapshot, which may lie inside an event or, on futures, between two.
    fresh: bool,
    /// How many events in a row the book had already.
    old: u16,
}

/// So many events in a row that the book has already are no repetition: the venue counts from the start again.
const OLD_MAX: u16 = 1_000;

impl Chain {
    /// A book that was just begun from a snapshot.
    pub const fn from_snapshot(rule: Rule, at: u64) -> Self {
        Self { rule, at, fresh: true, old: 0 }
    }

    /// The state of the book.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Holds an event against the chain and moves on where it follows.
    #[inline]
    pub const fn step(&mut self, span: Span) -> Step {
        if span.after <= self.at {
            // Right behind a snapshot many may have waited that it holds.
            self.old += !self.fresh as u16;
            return if self.old < OLD_MAX { Step::Old } else { Step::Hole };
        }
        let follows = match self.rule {
            Rule::Counted => span.before <= self.at,
            Rule::Chained if self.fresh => span.before <= self.at,
            Rule::Chained => span.before == self.at,
        };
        if !follows {
            return Step::Hole;
        }
        let from = self.at;
        self.at = span.after;
        self.fresh = false;
        self.old = 0;
        Step::Apply(from)
    }
}

/// Whether a book can begin from a snapshot at `last` and the events that waited for it: `None` where the snapshot is
/// too old or events between them are missing, so that a newer one is needed.
pub fn join(rule: Rule, last: u64, waiting: impl IntoIterator<Item = Span>) -> Option<Chain> {
    let mut chain = Chain::from_snapshot(rule, last);
    let whole = waiting.into_iter().all(|span| chain.step(span) != Step::Hole);
    whole.then(|| Chain::from_snapshot(rule, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of events (before, after) behind a snapshot, and where the book stands then.
    fn run(rule: Rule, snapshot: u64, events: &[(u64, u64)]) -> (String, u64) {
        let mut chain = Chain::from_snapshot(rule, snapshot);
        let steps =
            events.iter().map(|(before, after)| match chain.step(Span { before: *before, after: *after }) {
                Step::Apply(_) => 'a',
                Step::Old => 'o',
                Step::Hole => 'H',
            });
        (steps.collect(), chain.at())
    }

    /// Events as spot writes them: `U` and `u`.
    fn spot(snapshot: u64, events: &[(u64, u64)]) -> (String, u64) {
        let events: Vec<_> = events.iter().map(|(first, last)| (first - 1, *last)).collect();
        run(Rule::Counted, snapshot, &events)
    }

    /// Events as futures write them: `pu`, `U` and `u`.
    fn futures(snapshot: u64, events: &[(u64, u64, u64)]) -> (String, u64) {
        let events: Vec<_> = events.iter().map(|(before, _, last)| (*before, *last)).collect();
        run(Rule::Chained, snapshot, &events)
    }

    #[test]
    fn a_venue_that_counts_from_the_start_again_is_noticed() {
        let mut chain = Chain::from_snapshot(Rule::Counted, 10_000);
        assert_eq!(chain.step(Span { before: 10_000, after: 10_001 }), Step::Apply(10_000));
        let holes =
            (0..u64::from(OLD_MAX)).filter(|n| chain.step(Span { before: *n, after: n + 1 }) == Step::Hole);
        assert_eq!(holes.count(), 1);
    }

    #[test]
    fn spot_drops_what_the_snapshot_has_and_goes_on_from_what_reaches_across_it() {
        assert_eq!(spot(15, &[(10, 12), (13, 15), (16, 20)]), ("ooa".into(), 20));
        assert_eq!(spot(15, &[(10, 12), (13, 18)]), ("oa".into(), 18));
        assert_eq!(spot(15, &[(20, 22)]), ("H".into(), 15));
        assert_eq!(spot(15, &[(16, 20), (23, 25)]), ("aH".into(), 20));
    }

    #[test]
    fn futures_go_on_from_the_event_that_reaches_across_the_snapshot_and_chain_by_the_one_before() {
        // At 150 the second event is in the snapshot already; it would change nothing.
        let waiting = [(90, 101, 110), (110, 140, 150), (150, 151, 160)];
        assert_eq!(futures(150, &waiting), ("ooa".into(), 160));
        assert_eq!(futures(145, &waiting), ("oaa".into(), 160));
        assert_eq!(futures(110, &waiting), ("oaa".into(), 160));
        assert_eq!(futures(130, &waiting), ("oaa".into(), 160));
        assert_eq!(futures(145, &[(110, 140, 160), (150, 161, 170)]), ("aH".into(), 160));
    }

    #[test]
    fn a_repeated_or_late_event_is_old() {
        assert_eq!(spot(10, &[(11, 12), (11, 12), (13, 13), (11, 12)]), ("aoao".into(), 13));
        assert_eq!(futures(10, &[(9, 11, 12), (9, 11, 12), (12, 20, 22)]), ("aoa".into(), 22));
    }

    #[test]
    fn a_snapshot_older_than_what_waits_or_a_hole_in_what_waits_needs_a_newer_one() {
        let spans = |events: &[(u64, u64)]| {
            events.iter().map(|(before, after)| Span { before: *before, after: *after }).collect::<Vec<_>>()
        };
        for rule in [Rule::Counted, Rule::Chained] {
            assert_eq!(join(rule, 15, spans(&[(19, 22)])), None);
            assert_eq!(join(rule, 15, spans(&[(12, 17), (19, 22)])), None);
            let begun = Some(Chain::from_snapshot(rule, 21));
            assert_eq!(join(rule, 21, spans(&[(12, 17), (19, 22)])), begun);
            assert_eq!(join(rule, 21, spans(&[])), begun);
            assert_eq!(join(rule, 21, spans(&[(12, 17)])), begun);
        }
    }
}
