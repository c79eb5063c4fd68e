//! Rows of the slower channels: bars, forced orders.

use crate::parse::{Result, ms};
use crate::product::Product;
use model::{Bar, Decimal, Liquidation, Side, Ts};
use source::{Cursor, What};

/// Intervals of bars: the platform's name, the venue's, and the length in minutes (0 for a month).
pub const INTERVALS: [(&str, &str, u32); 13] = [
    ("1m", "1", 1),
    ("3m", "3", 3),
    ("5m", "5", 5),
    ("15m", "15", 15),
    ("30m", "30", 30),
    ("1h", "60", 60),
    ("2h", "120", 120),
    ("4h", "240", 240),
    ("6h", "360", 360),
    ("12h", "720", 720),
    ("1d", "D", 1_440),
    ("1w", "W", 10_080),
    ("1M", "M", 0),
];

/// The interval that the venue writes so.
pub fn interval(theirs: &[u8]) -> Option<usize> {
    INTERVALS.iter().position(|(_, word, _)| word.as_bytes() == theirs)
}

/// A time in milliseconds. The retired API wrote starts in seconds and times in microseconds; the size tells.
fn moment(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    let number = c.i64()?;
    Ok(match number {
        ..=0 => None,
        1..100_000_000_000 => Some(Ts::from_ms(number * 1_000)),
        100_000_000_000..100_000_000_000_000 => Some(Ts::from_ms(number)),
        _ => Some(Ts(number.saturating_mul(1_000))),
    })
}

/// Reads the rows of `kline`.
///
/// `[{"start":1759999980000,"end":1760000039999,"interval":"1","open":"64000","close":"64010.3","high":"64012","low":"63999","volume":"12.5","turnover":"800100.5","confirm":false,"timestamp":1760000000170}]`
pub fn bars<'a>(
    c: &mut Cursor<'a>,
    (interval, product): (usize, Product),
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<Vec<(Bar, Option<Ts>)>> {
    let Some((name, ..)) = INTERVALS.get(interval) else {
        return Err(c.fault(What::Rule("an interval of bars that is not known")));
    };
    let mut all = Vec::new();
    c.array(|c| {
        let (mut start, mut ts, mut closed, mut turnover) = (None, None, None, None);
        let [mut open, mut high, mut low, mut close, mut volume] = [None; 5];
        c.object(|c, key| {
            match key {
                b"start" => start = moment(c)?,
                b"open" => open = c.decimal_opt()?,
                b"high" => high = c.decimal_opt()?,
                b"low" => low = c.decimal_opt()?,
                b"close" => close = c.decimal_opt()?,
                b"volume" => volume = c.decimal_opt()?,
                b"turnover" => turnover = c.decimal_opt()?,
                b"confirm" => closed = Some(c.bool()?),
                b"timestamp" => ts = moment(c)?,
                b"end" | b"interval" | b"cross_seq" => {
                    c.skip()?;
                }
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let (Some(start), Some(open), Some(high), Some(low), Some(close), Some(volume), Some(closed)) =
            (start, open, high, low, close, volume, closed)
        else {
            return Err(c.fault(What::Missing("a field of a bar")));
        };
        let turnover = turnover.filter(|_| product != Product::Inverse);
        let interval = (*name).into();
        let bar = Bar { interval, start, open, high, low, close, volume, turnover, trades: None, closed };
        all.push((bar, ts));
        Ok(())
    })?;
    Ok(all)
}

/// Reads the rows of `allLiquidation`, or the one row of its forerunners. `Buy` says that a long position was closed,
/// so that the forced order sold.
///
/// `[{"T":1760000000450,"s":"BTCUSDT","S":"Buy","v":"0.500","p":"63500.00"}]`
///
/// `{"updatedTime":1680673944093,"symbol":"XRPUSD","side":"Sell","size":"6949","price":"0.5149"}`
pub fn liquidations<'a>(
    c: &mut Cursor<'a>,
    mut unknown: impl FnMut(&[u8], &'a [u8]),
) -> Result<Vec<(Liquidation, Option<Ts>)>> {
    let mut all = Vec::new();
    let mut row = |c: &mut Cursor<'a>| {
        let (mut side, mut px, mut qty, mut ts): (_, Option<Decimal>, Option<Decimal>, _) =
            (None, None, None, None);
        c.object(|c, key| {
            match key {
                b"T" | b"updatedTime" | b"time" => ts = ms(c)?,
                b"S" | b"side" => match c.str()? {
                    b"Buy" => side = Some(Side::Ask),
                    b"Sell" => side = Some(Side::Bid),
                    other => unknown(b"allLiquidation.S", other),
                },
                b"v" | b"size" | b"qty" => qty = c.decimal_opt()?,
                b"p" | b"price" => px = c.decimal_opt()?,
                b"s" | b"symbol" | b"id" => {
                    c.skip()?;
                }
                other => {
                    unknown(b"allLiquidation", other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let missing = |what| c.fault(What::Missing(what));
        let order = Liquidation {
            side: side.ok_or_else(|| missing("S"))?,
            px: px.ok_or_else(|| missing("p"))?,
            qty: qty.ok_or_else(|| missing("v"))?,
            avg_px: None,
        };
        all.push((order, ts));
        Ok(())
    };
    if c.peek() == Some(b'{') {
        row(c)?;
    } else {
        c.array(row)?;
    }
    Ok(all)
}
