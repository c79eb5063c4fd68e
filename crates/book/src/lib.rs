//! Order books: [`Book`] is reset by a snapshot, changed by deltas and asked for its best levels; [`OrderBook`] is built
//! from single orders.
//!
//! They trust their input to be continuous, and check it.

mod checksum;
mod ladder;
mod orders;

pub use checksum::Checksummer;
use ladder::Ladder;
use model::{Delta, Instrument, Level, Levels, Px, Qty, Quote, Scale, Snapshot, rescale};
pub use orders::{BadOrder, OrderBook, OrderFault, OrderLevel, Resting};

/// Levels a side that a book keeps unless told otherwise.
pub const LEVELS_MAX: usize = 20_000;

/// One book of one instrument.
#[derive(Clone, Debug)]
pub struct Book {
    seq: Option<u64>,
    bids: Ladder,
    asks: Ladder,
    levels_max: usize,
    trimmed: u64,
}

/// What a delta replaced, for [`Book::undo`]. Meant to be used again and again: it allocates only while it grows.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    seq: Option<u64>,
    /// The quantities that stood there, in the order in which they went; 0 where none did.
    bids: Vec<Level>,
    asks: Vec<Level>,
    trimmed: u64,
}

/// Why a delta was not applied. The book is unchanged or, after [`Broken::Negative`], to be thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It follows another state than the book's.
    Sequence {
        /// The book's state.
        have: u64,
        /// The state that the delta follows.
        want: u64,
    },
    /// A quantity is below zero.
    Negative(Level),
}

impl Default for Book {
    fn default() -> Self {
        Self::new(LEVELS_MAX)
    }
}

impl Book {
    /// An empty book that keeps at most `levels_max` levels a side; past that the worst ones go.
    pub fn new(levels_max: usize) -> Self {
        Self { seq: None, bids: Ladder::bids(), asks: Ladder::asks(), levels_max, trimmed: 0 }
    }

    /// Forgets everything and takes the snapshot's levels, in any order.
    pub fn reset(&mut self, snapshot: &Snapshot) {
        self.seq = snapshot.seq;
        self.bids.reset(snapshot.levels.bids());
        self.asks.reset(snapshot.levels.asks());
        self.trim(|_| {}, |_| {});
    }

    /// Changes the levels of a delta.
    ///
    /// # Errors
    /// [`Broken`] where the delta does not follow this book or holds nonsense.
    pub fn apply(&mut self, delta: &Delta) -> Result<(), Broken> {
        self.change(delta, |_| {}, |_| {})
    }

    /// As [`Book::apply`], and notes in `undo` what was replaced, also where it fails.
    ///
    /// # Errors
    /// As [`Book::apply`].
    pub fn apply_undoably(&mut self, delta: &Delta, undo: &mut Undo) -> Result<(), Broken> {
        let Undo { seq, bids, asks, trimmed } = undo;
        (*seq, *trimmed) = (self.seq, self.trimmed);
        bids.clear();
        asks.clear();
        self.change(delta, |level| bids.push(level), |level| asks.push(level))
    }

    /// Takes back the delta that `undo` was made by, which must be the last change of this book.
    pub fn undo(&mut self, undo: &Undo) {
        (self.seq, self.trimmed) = (undo.seq, undo.trimmed);
        for (side, levels) in [(&mut self.bids, &undo.bids), (&mut self.asks, &undo.asks)] {
            for level in levels.iter().rev() {
                // Nothing that stood here was below zero.
                _ = side.set(*level);
            }
        }
    }

    #[inline]
    fn change(
        &mut self,
        delta: &Delta,
        mut bid: impl FnMut(Level),
        mut ask: impl FnMut(Level),
    ) -> Result<(), Broken> {
        if let (Some(have), Some(want)) = (self.seq, delta.prev_seq)
            && have != want
        {
            return Err(Broken::Sequence { have, want });
        }
        for level in delta.levels.bids() {
            bid(Level { px: level.px, qty: self.bids.set(*level)? });
        }
        for level in delta.levels.asks() {
            ask(Level { px: level.px, qty: self.asks.set(*level)? });
        }
        self.seq = delta.seq;
        self.trim(bid, ask);
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.seq = None;
        self.bids.reset(&[]);
        self.asks.reset(&[]);
    }

    fn trim(&mut self, bid: impl FnMut(Level), ask: impl FnMut(Level)) {
        let over = self.bids.trim(self.levels_max, bid) + self.asks.trim(self.levels_max, ask);
        self.trimmed += over as u64;
    }

    /// The venue's number of this state.
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Bids, best first.
    pub fn bids(&self) -> impl Iterator<Item = Level> + '_ {
        self.bids.best_first()
    }

    /// Asks, best first.
    pub fn asks(&self) -> impl Iterator<Item = Level> + '_ {
        self.asks.best_first()
    }

    /// The best `depth` levels of both sides, best first.
    pub fn levels(&self, depth: usize) -> Levels {
        let mut all: Vec<Level> = self.bids().take(depth).collect();
        let bids = all.len();
        all.extend(self.asks().take(depth));
        Levels::new(all, bids)
    }

    /// How many levels both sides hold.
    pub fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    /// Whether no side holds a level.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many levels went because the cap was reached, since the book was made.
    pub const fn trimmed(&self) -> u64 {
        self.trimmed
    }

    /// Best bid and offer.
    pub fn quote(&self) -> Quote {
        Quote { bid: self.bids.best(), ask: self.asks.best(), seq: self.seq }
    }

    /// Whether the best bid is above the best ask.
    pub fn is_crossed(&self) -> bool {
        matches!((self.bids.best(), self.asks.best()), (Some(b), Some(a)) if b.px > a.px)
    }

    /// Whether the best bid equals the best ask.
    pub fn is_locked(&self) -> bool {
        matches!((self.bids.best(), self.asks.best()), (Some(b), Some(a)) if b.px == a.px)
    }

    /// Writes all numbers, which are at the scales of `old`, at those of `new`. False where that would not be exact; then the
    /// book is unchanged.
    #[must_use]
    pub fn redefine(&mut self, old: &Instrument, new: &Instrument) -> bool {
        let same = old.px_scale == new.px_scale && old.qty_scale == new.qty_scale;
        same || self.rescale((old.px_scale, new.px_scale), (old.qty_scale, new.qty_scale))
    }

    fn rescale(&mut self, px: (Scale, Scale), qty: (Scale, Scale)) -> bool {
        let convert = |level: Level| {
            Some(Level {
                px: Px(rescale(level.px.0, px.0, px.1)?),
                qty: Qty(rescale(level.qty.0, qty.0, qty.1)?),
            })
        };
        let bids: Option<Vec<Level>> = self.bids().map(convert).collect();
        let asks: Option<Vec<Level>> = self.asks().map(convert).collect();
        let (Some(bids), Some(asks)) = (bids, asks) else { return false };
        self.bids.reset(&bids);
        self.asks.reset(&asks);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn level(px: i64, qty: i64) -> Level {
        Level { px: Px(px), qty: Qty(qty) }
    }

    fn snapshot(seq: u64, bids: &[Level], asks: &[Level]) -> Snapshot {
        Snapshot { seq: Some(seq), levels: Levels::from_sides(bids, asks), checksum: None, epoch: 0 }
    }

    fn delta(prev: u64, seq: u64, bids: &[Level], asks: &[Level]) -> Delta {
        let levels = Levels::from_sides(bids, asks);
        Delta { prev_seq: Some(prev), seq: Some(seq), levels, checksum: None, epoch: 0 }
    }

    #[test]
    fn a_delta_that_follows_another_state_is_refused_and_changes_nothing() {
        let mut book = Book::default();
        book.reset(&snapshot(5, &[level(10, 1)], &[]));
        assert_eq!(
            book.apply(&delta(6, 7, &[level(11, 1)], &[])),
            Err(Broken::Sequence { have: 5, want: 6 })
        );
        assert_eq!(book.quote().bid, Some(level(10, 1)));
    }

    #[test]
    fn removing_a_level_that_is_not_held_is_no_error() {
        let mut book = Book::default();
        book.reset(&snapshot(5, &[level(10, 1)], &[level(11, 2)]));
        book.apply(&delta(5, 6, &[level(9, 0)], &[level(11, 0)])).unwrap();
        assert_eq!(book.levels(9), Levels::from_sides(&[level(10, 1)], &[]));
    }

    #[test]
    fn past_the_cap_the_worst_levels_go_and_are_counted() {
        let mut book = Book::new(2);
        book.reset(&snapshot(
            1,
            &[level(1, 1), level(2, 1), level(3, 1)],
            &[level(9, 1), level(7, 1), level(8, 1)],
        ));
        assert_eq!(
            book.levels(9),
            Levels::from_sides(&[level(3, 1), level(2, 1)], &[level(7, 1), level(8, 1)])
        );
        assert_eq!(book.trimmed(), 2);
    }

    #[test]
    fn crossed_and_locked_are_told_apart() {
        let mut book = Book::default();
        book.reset(&snapshot(1, &[level(10, 1)], &[level(10, 1)]));
        assert!(book.is_locked() && !book.is_crossed());
        book.apply(&delta(1, 2, &[level(11, 1)], &[])).unwrap();
        assert!(book.is_crossed() && !book.is_locked());
    }

    #[test]
    fn a_rescale_that_is_not_exact_leaves_the_book_alone() {
        let mut book = Book::default();
        book.reset(&snapshot(1, &[level(105, 20)], &[]));
        assert!(!book.rescale((2, 1), (2, 2)));
        assert_eq!(book.quote().bid, Some(level(105, 20)));
        assert!(book.rescale((2, 4), (2, 1)));
        assert_eq!(book.quote().bid, Some(level(10_500, 2)));
    }

    proptest! {
        #[test]
        fn a_delta_that_is_taken_back_leaves_no_trace(
            held in proptest::collection::vec((any::<bool>(), 0_i64..60, 1_i64..4), 0..80),
            changes in proptest::collection::vec((any::<bool>(), 0_i64..60, -1_i64..4), 1..60),
        ) {
            let sides = |levels: &[(bool, i64, i64)], bids: bool| -> Vec<Level> {
                levels.iter().filter(|l| l.0 == bids).map(|(_, px, qty)| level(*px, *qty)).collect()
            };
            let mut book = Book::new(20);
            book.reset(&snapshot(5, &sides(&held, true), &sides(&held, false)));
            let state = |book: &Book| (book.seq(), book.trimmed(), book.len(), book.levels(usize::MAX));
            let before = state(&book);
            let mut undo = Undo::default();
            _ = book.apply_undoably(&delta(5, 6, &sides(&changes, true), &sides(&changes, false)), &mut undo);
            book.undo(&undo);
            prop_assert_eq!(state(&book), before);
        }

        #[test]
        fn any_sequence_of_deltas_gives_the_book_of_two_sorted_maps(
            changes in proptest::collection::vec((any::<bool>(), 0_i64..200, 0_i64..4), 1..400)
        ) {
            let mut book = Book::default();
            let (mut bids, mut asks) = (BTreeMap::new(), BTreeMap::new());
            for (n, (is_bid, px, qty)) in changes.into_iter().enumerate() {
                let one = [level(px, qty)];
                let (b, a): (&[Level], &[Level]) = if is_bid { (&one, &[]) } else { (&[], &one) };
                let mut d = delta(0, 0, b, a);
                d.prev_seq = (n > 0).then_some(n as u64);
                d.seq = Some(n as u64 + 1);
                book.apply(&d).unwrap();
                let side = if is_bid { &mut bids } else { &mut asks };
                if qty == 0 { side.remove(&px); } else { side.insert(px, qty); }
                let want_bids: Vec<Level> = bids.iter().rev().map(|(p, q)| level(*p, *q)).collect();
                let want_asks: Vec<Level> = asks.iter().map(|(p, q)| level(*p, *q)).collect();
                prop_assert_eq!(book.levels(usize::MAX), Levels::from_sides(&want_bids, &want_asks));
            }
        }
    }
}
