//! Prices and levels of now: `053e`, `054c`, `0547`.
//!
//! Prices are counted in units of 10^-decimals of the instrument's line in the list, quantities in the venue's lots,
//! money in yuan.

use super::query::Code;
use super::walk::{Reader, Result, Walk};
use source::{Malformed, What};

/// How many levels a side has.
pub const LEVELS: usize = 5;

/// The prices of a day so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The last price; 0 where nothing was traded.
    pub last: i64,
    /// The close before.
    pub prev_close: i64,
    /// The first.
    pub open: i64,
    /// The highest.
    pub high: i64,
    /// The lowest.
    pub low: i64,
}

impl Prices {
    /// The last price, then the others as differences to it.
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.varint(&mut self.last)?;
        for price in [&mut self.prev_close, &mut self.open, &mut self.high, &mut self.low] {
            walk.above(price, self.last)?;
        }
        Ok(())
    }
}

/// The quantities of a day so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// What was traded.
    pub volume: i64,
    /// What was traded in the last snapshot.
    pub last_volume: i64,
    /// The money of it.
    pub amount: f32,
    /// What sellers have traded into the bids.
    pub inside: i64,
    /// What buyers have traded into the asks.
    pub outside: i64,
    /// Not understood: 0, -1, or large.
    pub odd: i64,
    /// The money of the opening auction, in units of 100 yuan.
    pub open_amount: i64,
}

impl Flow {
    fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.varint(&mut self.volume)?;
        walk.varint(&mut self.last_volume)?;
        walk.f32(&mut self.amount)?;
        for number in [&mut self.inside, &mut self.outside, &mut self.odd, &mut self.open_amount] {
            walk.varint(number)?;
        }
        Ok(())
    }
}

/// A level of both sides. Where a side is empty its quantity is 0; its price is then 0 or the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// What buyers offer.
    pub bid: i64,
    /// What sellers ask.
    pub ask: i64,
    /// How much is bid for.
    pub bid_volume: i64,
    /// How much is for sale.
    pub ask_volume: i64,
}

impl Level {
    pub(super) fn walk(&mut self, walk: &mut impl Walk, last: i64) -> Result {
        walk.above(&mut self.bid, last)?;
        walk.above(&mut self.ask, last)?;
        walk.varint(&mut self.bid_volume)?;
        walk.varint(&mut self.ask_volume)
    }
}

/// How a record begins in `053e` and `054c`, and the body of `051d` after its count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head {
    /// Of what.
    pub code: Code,
    /// Counts what happens to the instrument.
    pub active: u16,
    /// The prices.
    pub prices: Prices,
    /// A time in a form that its readers do not agree about. Nothing is told from it.
    pub time: i64,
    /// The quantities.
    pub flow: Flow,
}

impl Head {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.u16(&mut self.active)?;
        self.prices.walk(walk)?;
        walk.varint(&mut self.time)?;
        mirror(walk, self.prices.last)?;
        self.flow.walk(walk)
    }
}

/// The last price with the other sign: it stands there in every record, so where it does not, this is no record.
fn mirror(walk: &mut impl Walk, last: i64) -> Result {
    let (at, mut mirror) = (walk.at(), -last);
    walk.varint(&mut mirror)?;
    if mirror == -last {
        return Ok(());
    }
    Err(Malformed { at, what: What::Rule("the price does not stand there again with the other sign") })
}

/// What servers tell by `0530` of a code that they do not know: another one's name, and nothing but zeros.
pub(super) fn zeros(head: &Head) -> Option<Malformed> {
    (head.prices == Prices::default())
        .then_some(Malformed { at: 7, what: What::Rule("a quote of nothing but zeros") })
}

/// `053e`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quote {
    /// Prices and quantities.
    pub head: Head,
    /// The best first.
    pub levels: [Level; LEVELS],
    /// Bits, of which 0x20 may mean that trading is suspended.
    pub status: u16,
    /// 0 since 2024; numbers of several bytes in records of 2018.
    pub odd: [i64; 4],
    /// How fast the price has moved, in hundredths of a percent.
    pub speed: i16,
    /// As `active` of the head.
    pub active: u16,
}

impl Quote {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.head.walk(walk)?;
        for level in &mut self.levels {
            level.walk(walk, self.head.prices.last)?;
        }
        walk.u16(&mut self.status)?;
        for odd in &mut self.odd {
            walk.varint(odd)?;
        }
        walk.i16(&mut self.speed)?;
        walk.u16(&mut self.active)
    }
}

/// `054c`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Top {
    /// Prices and quantities.
    pub head: Head,
    /// The best of both sides.
    pub level: Level,
    /// Not understood.
    pub odd: u16,
    /// How fast the price has moved, in hundredths of a percent.
    pub speed: i16,
    /// Turnover of the last minutes against the shares, in the venue's units.
    pub short_turnover: i16,
    /// The money of the last two minutes, in yuan.
    pub two_minutes: f32,
    /// How fast the price moved after the opening.
    pub opening_rush: i16,
    /// Not understood.
    pub odd_ten: [u8; 10],
    /// How fast the volume has grown.
    pub volume_speed: f32,
    /// How deep the book is.
    pub depth: f32,
    /// Not understood.
    pub odd_many: [u8; 24],
    /// As `active` of the head.
    pub active: u16,
}

impl Top {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.head.walk(walk)?;
        self.level.walk(walk, self.head.prices.last)?;
        walk.u16(&mut self.odd)?;
        walk.i16(&mut self.speed)?;
        walk.i16(&mut self.short_turnover)?;
        walk.f32(&mut self.two_minutes)?;
        walk.i16(&mut self.opening_rush)?;
        walk.raw(&mut self.odd_ten)?;
        walk.f32(&mut self.volume_speed)?;
        walk.f32(&mut self.depth)?;
        walk.raw(&mut self.odd_many)?;
        walk.u16(&mut self.active)
    }
}

/// `0547`, whose body is hidden by [`HIDE`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Refreshed {
    /// Of what.
    pub code: Code,
    /// The number to ask with from here on.
    pub active: u16,
    /// The prices.
    pub prices: Prices,
    /// When, as HHMMSS in China.
    pub time: u32,
    /// Not understood.
    pub odd: i64,
    /// The quantities.
    pub flow: Flow,
    /// The best first.
    pub levels: [Level; LEVELS],
    /// Not understood.
    pub odd_ten: [u8; 10],
    /// Not understood.
    pub odd_many: [i64; 24],
}

/// Every byte of the body of `0547` is combined with this one by exclusive or.
pub const HIDE: u8 = 0x93;

impl Refreshed {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.u16(&mut self.active)?;
        self.prices.walk(walk)?;
        walk.u32(&mut self.time)?;
        walk.varint(&mut self.odd)?;
        self.flow.walk(walk)?;
        for level in &mut self.levels {
            level.walk(walk, self.prices.last)?;
        }
        walk.raw(&mut self.odd_ten)?;
        self.odd_many.iter_mut().try_for_each(|odd| walk.varint(odd))
    }
}

/// Reads so many records; one that cannot be read is passed over to the next that begins with one of the codes asked for.
pub(super) fn records<T: Default>(
    reader: &mut Reader<'_>,
    count: u16,
    asked: &[Code],
    mut item: impl FnMut(&mut Reader<'_>, &mut T) -> Result,
) -> (Vec<T>, Vec<Malformed>) {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let begin = reader.at();
        let mut one = T::default();
        let Err(fault) = item(reader, &mut one) else {
            all.push(one);
            continue;
        };
        faults.push(fault);
        reader.seek(begin + 1);
        let begins =
            |window: &[u8]| asked.iter().any(|code| window == [&[code.market][..], &code.digits].concat());
        let Some(next) = reader.remaining().windows(7).position(begins) else { break };
        reader.seek(begin + 1 + next);
    }
    (all, faults)
}
