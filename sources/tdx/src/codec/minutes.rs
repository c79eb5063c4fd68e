//! The line of a day's minutes: `0537`, `051d`, `0fb4`, `0feb`. Quantities in lots.

use super::query::Code;
use super::quotes::{Head, Level};
use super::walk::{Reader, Result, Walk};

/// A minute. Neither day nor time stand in it: the first 120 rows are 09:31 to 11:30, the others 13:01 to 15:00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// The last price, in units of 10^-decimals.
    pub price: i64,
    /// In `0537` and `0feb` the mean price of the day so far, in units of 10^-(decimals + 2); in the others not understood.
    pub mean: i64,
    /// What was traded in it.
    pub volume: i64,
}

/// Rows, each relative to the first (`0537`, `0feb`).
fn from_first(walk: &mut impl Walk, count: u16, all: &mut Vec<Minute>) -> Result {
    let mut first = Minute::default();
    let mut begun = false;
    walk.list(usize::from(count), all, |walk, row: &mut Minute| {
        walk.above(&mut row.price, first.price)?;
        walk.above(&mut row.mean, first.mean)?;
        walk.varint(&mut row.volume)?;
        if !std::mem::replace(&mut begun, true) {
            first = *row;
        }
        Ok(())
    })
}

/// Rows, each price relative to the one before (`0fb4`, `051d`).
fn from_before(walk: &mut impl Walk, count: usize, all: &mut Vec<Minute>) -> Result {
    let mut price = 0;
    walk.list(count, all, |walk, row: &mut Minute| {
        walk.above(&mut row.price, price)?;
        price = row.price;
        walk.varint(&mut row.mean)?;
        walk.varint(&mut row.volume)
    })
}

/// `0537`.
pub(super) fn today(walk: &mut impl Walk, all: &mut Vec<Minute>) -> Result {
    let mut count = walk.count(all.len())?;
    walk.u16(&mut count)?;
    walk.u16(&mut 0)?;
    from_first(walk, count, all)
}

/// `0feb`: two prices before the rows, the close before among them; which is which is not agreed.
pub(super) fn recent(walk: &mut impl Walk, before: &mut [f32; 2], all: &mut Vec<Minute>) -> Result {
    let mut count = walk.count(all.len())?;
    walk.u16(&mut count)?;
    before.iter_mut().try_for_each(|price| walk.f32(price))?;
    from_first(walk, count, all)
}

/// `0fb4`: the close before, in yuan, and the rows.
pub(super) fn of_date(walk: &mut impl Walk, prev_close: &mut f32, all: &mut Vec<Minute>) -> Result {
    let mut count = walk.count(all.len())?;
    walk.u16(&mut count)?;
    walk.f32(prev_close)?;
    from_before(walk, usize::from(count), all)
}

/// What servers of today put before the rows of `051d`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinutesHead {
    /// Prices and quantities, as in a quote.
    pub head: Head,
    /// The best three levels.
    pub levels: [Level; 3],
    /// The differences of the fourth level's prices to the last price, without its quantities.
    pub fourth: [i64; 2],
}

impl MinutesHead {
    fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.head.walk(walk)?;
        for level in &mut self.levels {
            level.walk(walk, self.head.prices.last)?;
        }
        self.fourth.iter_mut().try_for_each(|price| walk.varint(price))
    }
}

/// Whether a body of `051d` is of a server of today: after the count of four bytes comes the code that was asked for.
pub(super) fn has_head(body: &[u8], asked: Code) -> bool {
    let mut reader = Reader::new(body);
    let mut code = Code::default();
    reader.u32(&mut 0).and_then(|()| code.walk(&mut reader)).is_ok() && code == asked
}

/// `051d`: the rows after a head, or alone (servers of 2017).
pub(super) fn old(walk: &mut impl Walk, head: Option<&mut MinutesHead>, all: &mut Vec<Minute>) -> Result {
    let mut count = walk.count(all.len())?;
    walk.u16(&mut count)?;
    walk.u16(&mut 0)?;
    if let Some(head) = head {
        head.walk(walk)?;
    }
    from_before(walk, usize::from(count), all)
}
