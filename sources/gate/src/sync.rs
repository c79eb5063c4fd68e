//! The venue's rule of continuity for one book, alone.
//!
//! An event covers the numbers `U..=u`, and the next begins at `u + 1`. A snapshot stands at `id`; the first event after
//! it reaches across `id + 1`. What overlaps with what the book has is taken whole: quantities are absolute.

/// Which states an event joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// `U`.
    pub first: u64,
    /// `u`.
    pub last: u64,
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
    at: u64,
    /// Nothing was applied since the snapshot.
    fresh: bool,
    /// How many events in a row the book had already.
    old: u16,
}

/// So many events in a row that the book has already are no repetition: the venue counts from the start again.
const OLD_MAX: u16 = 1_000;

impl Chain {
    /// A book that was just begun from a snapshot.
    pub const fn from_snapshot(at: u64) -> Self {
        Self { at, fresh: true, old: 0 }
    }

    /// The state of the book.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Holds an event against the chain and moves on where it follows.
    #[inline]
    pub const fn step(&mut self, span: Span) -> Step {
        if span.last <= self.at {
            // Right behind a snapshot many may have waited that it holds.
            self.old += !self.fresh as u16;
            return if self.old < OLD_MAX { Step::Old } else { Step::Hole };
        }
        if span.first > self.at.saturating_add(1) {
            return Step::Hole;
        }
        let from = self.at;
        (self.at, self.fresh, self.old) = (span.last, false, 0);
        Step::Apply(from)
    }

    /// As [`Self::step`], where an event may not reach back before the book: `obu`.
    pub const fn step_exact(&mut self, span: Span) -> Step {
        if span.last > self.at && span.first != self.at.saturating_add(1) {
            return Step::Hole;
        }
        self.step(span)
    }
}

/// Whether a book can begin from a snapshot at `id` and the events that waited for it: `None` where the snapshot is too
/// old or events between them are missing, so that a newer one is needed.
pub fn join(id: u64, waiting: impl IntoIterator<Item = Span>) -> Option<Chain> {
    let mut chain = Chain::from_snapshot(id);
    let whole = waiting.into_iter().all(|span| chain.step(span) != Step::Hole);
    whole.then(|| Chain::from_snapshot(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(events: &[(u64, u64)]) -> impl Iterator<Item = Span> {
        events.iter().map(|(first, last)| Span { first: *first, last: *last })
    }

    fn word(step: Step) -> char {
        match step {
            Step::Apply(_) => 'a',
            Step::Old => 'o',
            Step::Hole => 'H',
        }
    }

    #[test]
    fn what_becomes_of_events_behind_a_snapshot() {
        type Row<'a> = (u64, &'a [(u64, u64)], &'a str, u64);
        let table: &[Row<'_>] = &[
            (15, &[(11, 12), (14, 15), (16, 20)], "ooa", 20),
            (15, &[(11, 12), (14, 18)], "oa", 18),
            (15, &[(20, 22)], "H", 15),
            (15, &[(16, 20), (23, 25)], "aH", 20),
            (10, &[(11, 12), (11, 12), (13, 13), (11, 12)], "aoao", 13),
            (10, &[(11, 14), (12, 16)], "aa", 16),
            (100, &[(101, 101), (102, 102)], "aa", 102),
        ];
        for (id, events, steps, end) in table {
            let mut chain = Chain::from_snapshot(*id);
            let got: String = spans(events).map(|span| word(chain.step(span))).collect();
            assert_eq!((got.as_str(), chain.at()), (*steps, *end), "{id} {events:?}");
        }
    }

    #[test]
    fn a_pushed_book_goes_on_exactly_where_it_stands() {
        let mut chain = Chain::from_snapshot(100);
        let events = [(101, 104), (105, 105), (107, 110)];
        let got: String = spans(&events).map(|span| word(chain.step_exact(span))).collect();
        assert_eq!((got.as_str(), chain.at()), ("aaH", 105));
        assert_eq!(chain.step_exact(Span { first: 104, last: 107 }), Step::Hole);
        assert_eq!(chain.step_exact(Span { first: 101, last: 104 }), Step::Old);
    }

    #[test]
    fn a_snapshot_older_than_what_waits_or_a_hole_in_what_waits_needs_a_newer_one() {
        assert_eq!(join(15, spans(&[(20, 22)])), None);
        assert_eq!(join(15, spans(&[(13, 17), (20, 22)])), None);
        let begun = Some(Chain::from_snapshot(21));
        for waiting in [&[(13, 17), (20, 22)][..], &[], &[(13, 17)], &[(22, 30)]] {
            assert_eq!(join(21, spans(waiting)), begun, "{waiting:?}");
        }
    }

    #[test]
    fn a_venue_that_counts_from_the_start_again_is_noticed() {
        let mut chain = Chain::from_snapshot(10_000);
        assert_eq!(chain.step(Span { first: 10_001, last: 10_001 }), Step::Apply(10_000));
        let again = (1..=u64::from(OLD_MAX)).map(|n| chain.step(Span { first: n, last: n }));
        assert_eq!(again.filter(|s| *s == Step::Hole).count(), 1);
    }
}
