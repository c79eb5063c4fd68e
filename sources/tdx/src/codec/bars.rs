//! Bars: `052d` with prices as differences, `0523` with prices as they are. All in thousandths of a yuan.

use super::walk::{Result, Walk};

/// What a category counts, where the platform has a name for it. 4 and 9 are the same day: by 9 volumes are in lots, by 4 in
/// shares.
pub fn interval(category: u16) -> Option<&'static str> {
    Some(match category {
        0 => "5m",
        1 => "15m",
        2 => "30m",
        3 => "1h",
        4 | 9 => "1d",
        5 => "1w",
        6 => "1M",
        7 => "1m",
        10 => "3M",
        11 => "1y",
        _ => return None,
    })
}

/// The category of an interval whose volumes are in shares where there are two.
pub fn category(name: &str) -> Option<u16> {
    (0..=11).find(|category| interval(*category) == Some(name))
}

/// Whether bars of a category carry a day alone, and no minute.
pub const fn of_days(category: u16) -> bool {
    matches!(category, 4..=6 | 9..=11)
}

/// A bar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// When, as [`super::super::time`] reads it by the category.
    pub stamp: u32,
    /// The first price.
    pub open: i64,
    /// The last.
    pub close: i64,
    /// The highest.
    pub high: i64,
    /// The lowest.
    pub low: i64,
    /// What was traded, in shares or lots by the category.
    pub volume: f32,
    /// The money of it, in yuan.
    pub amount: f32,
    /// How many instruments rose and fell, of an index.
    pub counts: Option<(u16, u16)>,
}

impl Bar {
    /// `before` is the close of the bar before, and 0 for the first: the open tells the difference to it, the others theirs to
    /// the open. `None` where prices are as they are.
    pub(super) fn walk(&mut self, walk: &mut impl Walk, before: Option<i64>, index: bool) -> Result {
        walk.u32(&mut self.stamp)?;
        walk.above(&mut self.open, before.unwrap_or(0))?;
        let base = if before.is_some() { self.open } else { 0 };
        walk.above(&mut self.close, base)?;
        walk.above(&mut self.high, base)?;
        walk.above(&mut self.low, base)?;
        walk.f32(&mut self.volume)?;
        walk.f32(&mut self.amount)?;
        if index {
            let (up, down) = self.counts.get_or_insert_default();
            walk.u16(up)?;
            walk.u16(down)?;
        }
        Ok(())
    }
}

/// All bars of an answer, oldest first.
pub(super) fn walk(walk: &mut impl Walk, all: &mut Vec<Bar>, plain: bool, index: bool) -> Result {
    let mut close = 0;
    walk.counted(all, |walk, bar: &mut Bar| {
        bar.walk(walk, (!plain).then_some(close), index)?;
        close = bar.close;
        Ok(())
    })
}
