//! One side of a book: levels in a sorted vector, the best at its end, where almost all changes are.

use crate::Broken;
use model::{Level, Px, Qty};

/// Price and quantity of each level in two vectors, so that a search touches prices only.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// Prices from worst to best, times `sign`, so that they always rise.
    keys: Vec<i64>,
    qtys: Vec<Qty>,
    /// 1 where a higher price is better (bids), -1 where a lower one is (asks).
    sign: i64,
}

/// How far from the best a level is looked for one by one before the search is halved.
const NEAR: usize = 8;

impl Ladder {
    pub(crate) const fn bids() -> Self {
        Self { keys: Vec::new(), qtys: Vec::new(), sign: 1 }
    }

    pub(crate) const fn asks() -> Self {
        Self { keys: Vec::new(), qtys: Vec::new(), sign: -1 }
    }

    pub(crate) fn reset(&mut self, levels: &[Level]) {
        self.keys.clear();
        self.qtys.clear();
        let mut sorted: Vec<(i64, Qty)> =
            levels.iter().filter(|l| l.qty.0 > 0).map(|l| (l.px.0.wrapping_mul(self.sign), l.qty)).collect();
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        self.keys.extend(sorted.iter().map(|(key, _)| *key));
        self.qtys.extend(sorted.iter().map(|(_, qty)| *qty));
    }

    /// Where the key is, or where it would stand.
    #[inline]
    fn find(&self, key: i64) -> Result<usize, usize> {
        let mut at = self.keys.len();
        for &held in self.keys.iter().rev().take(NEAR) {
            if held <= key {
                return if held == key { Ok(at - 1) } else { Err(at) };
            }
            at -= 1;
        }
        self.keys.get(..at).unwrap_or_default().binary_search(&key)
    }

    #[inline]
    pub(crate) fn set(&mut self, level: Level) -> Result<(), Broken> {
        if level.qty.0 < 0 {
            return Err(Broken::Negative(level));
        }
        match self.find(level.px.0.wrapping_mul(self.sign)) {
            Ok(at) if level.qty.0 == 0 => {
                self.keys.remove(at);
                self.qtys.remove(at);
            }
            Ok(at) => {
                if let Some(qty) = self.qtys.get_mut(at) {
                    *qty = level.qty;
                }
            }
            Err(at) if level.qty.0 > 0 => {
                self.keys.insert(at, level.px.0.wrapping_mul(self.sign));
                self.qtys.insert(at, level.qty);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Keeps the best `max` levels and says how many went.
    #[inline]
    pub(crate) fn trim(&mut self, max: usize) -> usize {
        let over = self.keys.len().saturating_sub(max);
        if over > 0 {
            self.keys.drain(..over);
            self.qtys.drain(..over);
        }
        over
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    pub(crate) fn best(&self) -> Option<Level> {
        Some(Level { px: Px(self.keys.last()?.wrapping_mul(self.sign)), qty: *self.qtys.last()? })
    }

    pub(crate) fn best_first(&self) -> impl Iterator<Item = Level> + '_ {
        let level = |(key, qty): (&i64, &Qty)| Level { px: Px(key.wrapping_mul(self.sign)), qty: *qty };
        self.keys.iter().zip(&self.qtys).rev().map(level)
    }
}
