//! Trades, merged by snapshots of about three seconds (`0fc5`, `0fb5`, `0fc6`), and the call auction (`056a`). Quantities in
//! lots.

use super::walk::{Result, Walk};

/// What the last price of a row was traded by.
pub mod side {
    /// By a buyer.
    pub const BUY: i64 = 0;
    /// By a seller.
    pub const SELL: i64 = 1;
    /// Not told, or matched in a call auction.
    pub const NEUTRAL: i64 = 2;
    /// After the close, at the close.
    pub const AFTER_HOURS: i64 = 5;
    /// No trade: what a call auction would match now.
    pub const AUCTION: i64 = 8;
}

/// A row. The minute has several; seconds are not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trade {
    /// Minutes since midnight in China.
    pub minute: u16,
    /// The last price, in units of 10^-decimals.
    pub price: i64,
    /// What was traded.
    pub volume: i64,
    /// By how many trades; 0 in `0fb5`, which does not tell.
    pub trades: i64,
    /// One of [`side`].
    pub side: i64,
    /// Not understood.
    pub odd: i64,
    /// In `0fc6` alone; not understood.
    pub action: u16,
}

/// Which of the three commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Today,
    OfDate,
    Counted,
}

/// All rows of a page, oldest first; of a past day the close before it, in yuan, stands before them.
pub(super) fn walk(walk: &mut impl Walk, kind: Kind, prev_close: &mut f32, all: &mut Vec<Trade>) -> Result {
    let mut count = walk.count(all.len())?;
    walk.u16(&mut count)?;
    if kind != Kind::Today {
        walk.f32(prev_close)?;
    }
    let mut price = 0;
    walk.list(usize::from(count), all, |walk, row: &mut Trade| {
        walk.u16(&mut row.minute)?;
        walk.above(&mut row.price, price)?;
        price = row.price;
        walk.varint(&mut row.volume)?;
        if kind != Kind::OfDate {
            walk.varint(&mut row.trades)?;
        }
        walk.varint(&mut row.side)?;
        walk.varint(&mut row.odd)?;
        if kind == Kind::Counted { walk.u16(&mut row.action) } else { Ok(()) }
    })
}

/// What a call auction would match at an instant: `056a`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Auction {
    /// Minutes since midnight in China.
    pub minute: u16,
    /// At this price, in yuan.
    pub price: f32,
    /// So much.
    pub matched: u32,
    /// And so much would stay; negative of sellers.
    pub unmatched: i32,
    /// Seconds of the minute.
    pub second: u8,
}

impl Auction {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.u16(&mut self.minute)?;
        walk.f32(&mut self.price)?;
        walk.u32(&mut self.matched)?;
        walk.i32(&mut self.unmatched)?;
        walk.u8(&mut 0)?;
        walk.u8(&mut self.second)
    }
}
