//! Frames that come by the thousand: book changes, quotes and prints. One pass each, numbers straight into mantissas.

use crate::odd::Odd;
use model::{Body, Instrument, Level, Levels, Px, Qty, Quote, Side, Trade, TradeId, Ts};
use source::{Cursor, Malformed, What};

/// What reading gives.
pub type Result<T> = std::result::Result<T, Malformed>;

/// A field without which the frame means nothing is not there.
pub const fn missing(field: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Missing(field) }
}

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// Its `e`; empty where it has none.
    pub kind: &'a [u8],
    /// Its `s`; empty where it has none.
    pub symbol: &'a [u8],
    /// Whether its keys are those of futures; `None` where both have the same.
    pub futures: Option<bool>,
    /// The venue's time.
    pub ts: Option<Ts>,
}

/// Levels of both sides, kept between frames so that they are not allocated anew.
#[derive(Debug, Default)]
pub struct Sides {
    /// In the order they came.
    pub bids: Vec<Level>,
    /// In the order they came.
    pub asks: Vec<Level>,
}

impl Sides {
    /// A copy of exact size.
    pub fn levels(&self) -> Levels {
        let mut all = Vec::with_capacity(self.bids.len() + self.asks.len());
        all.extend_from_slice(&self.bids);
        all.extend_from_slice(&self.asks);
        Levels::new(all, self.bids.len())
    }
}

/// Ids of a book frame, as the venue numbers them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    /// `U`: the first update.
    pub first: Option<i64>,
    /// `u` or `lastUpdateId`: the last update.
    pub last: i64,
    /// `pu`: the last update of the event before.
    pub before: Option<i64>,
}

/// `{"e":"depthUpdate","E":1760000000200,"T":1760000000195,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"U":90000021,"u":90000040,"pu":90000015,"b":[["64009.90","0"]],"a":[["64010.20","5.000"]]}`
///
/// Also `{"lastUpdateId":700000123,"bids":[["64000.00","1.20000000"]],"asks":[["64000.10","0.80000000"]]}`. The levels
/// are left in `sides`.
pub fn book<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    sides: &mut Sides,
    odd: &mut Odd,
) -> Result<(Seen<'a>, Ids)> {
    let (mut seen, mut ids) = (Seen::default(), Ids::default());
    let (mut event, mut engine) = (None, None);
    let (mut last, mut bids, mut asks) = (None, false, false);
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b'E'] => event = Some(c.i64()?),
            [b'T'] => engine = Some(c.i64()?),
            [b's'] | b"symbol" => seen.symbol = c.str()?,
            [b'U'] => ids.first = Some(c.i64()?),
            [b'u'] | b"lastUpdateId" => last = Some(c.i64()?),
            b"pu" => ids.before = Some(c.i64()?),
            [b'b'] | b"bids" => {
                bids = true;
                levels(c, instrument, &mut sides.bids)?;
            }
            [b'a'] | b"asks" => {
                asks = true;
                levels(c, instrument, &mut sides.asks)?;
            }
            b"ps" | b"st" | b"pair" => c.skip().map(drop)?,
            other => odd.note("depthUpdate", other, c.skip()?),
        }
        Ok(())
    })?;
    // A whole book has no `e` and long names.
    let without = |short, long| missing(if seen.kind.is_empty() { long } else { short });
    ids.last = last.ok_or(without("u", "lastUpdateId"))?;
    if !bids || !asks {
        return Err(if bids { without("a", "asks") } else { without("b", "bids") });
    }
    seen.futures = Some(ids.before.is_some() || engine.is_some());
    seen.ts = engine.or(event).map(Ts::from_ms);
    Ok((seen, ids))
}

/// `[["63999.90","0.00000000"],["64000.00","1.20000000"]]`; what stands behind price and quantity is passed over.
#[inline]
fn levels(c: &mut Cursor<'_>, instrument: &Instrument, into: &mut Vec<Level>) -> Result<()> {
    into.clear();
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    c.array(|c| {
        let (mut px, mut qty) = (None, None);
        c.array(|c| {
            if px.is_none() {
                px = Some(c.px(px_scale)?);
            } else if qty.is_none() {
                qty = Some(c.qty(qty_scale)?);
            } else {
                c.skip()?;
            }
            Ok(())
        })?;
        match (px, qty) {
            (Some(px), Some(qty)) if qty >= Qty(0) => into.push(Level { px, qty }),
            (Some(_), Some(_)) => return Err(c.fault(What::Rule("a quantity is negative"))),
            _ => return Err(c.fault(What::Expected("a price and a quantity"))),
        }
        Ok(())
    })
}

/// `{"u":700000123,"s":"BTCUSDT","b":"64000.00","B":"1.20000000","a":"64000.10","A":"0.80000000"}`
///
/// Futures have `e`, `E` and `T` besides. A side without orders has no quantity.
pub fn quote<'a>(c: &mut Cursor<'a>, instrument: &Instrument, odd: &mut Odd) -> Result<(Seen<'a>, Body)> {
    let mut seen = Seen::default();
    let (mut event, mut engine, mut id) = (None, None, None);
    let [mut bid, mut ask] = [None; 2];
    let [mut bid_qty, mut ask_qty] = [None; 2];
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b'u'] => id = Some(c.u64()?),
            [b's'] => seen.symbol = c.str()?,
            [b'b'] => bid = Some(c.px(instrument.px_scale)?),
            [b'B'] => bid_qty = Some(c.qty(instrument.qty_scale)?),
            [b'a'] => ask = Some(c.px(instrument.px_scale)?),
            [b'A'] => ask_qty = Some(c.qty(instrument.qty_scale)?),
            [b'T'] => engine = Some(c.i64()?),
            [b'E'] => event = Some(c.i64()?),
            b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("bookTicker", other, c.skip()?),
        }
        Ok(())
    })?;
    let level = |px: Option<Px>, qty: Option<Qty>, names: [&'static str; 2]| {
        let (px, qty) = (px.ok_or(missing(names[0]))?, qty.ok_or(missing(names[1]))?);
        Ok((qty != Qty(0)).then_some(Level { px, qty }))
    };
    let bid = level(bid, bid_qty, ["b", "B"])?;
    let ask = level(ask, ask_qty, ["a", "A"])?;
    seen.futures = Some(!seen.kind.is_empty());
    seen.ts = engine.or(event).map(Ts::from_ms);
    Ok((seen, Body::Quote(Quote { bid, ask, seq: id })))
}

/// `{"e":"trade","E":1760000000123,"s":"BTCUSDT","t":50001,"p":"64000.10","q":"0.10000000","T":1760000000121,"m":true,"M":true}`
///
/// Old recordings have order ids in `b` and `a`. `None` for a row of USD-M that only uses up an id:
/// `{"e":"trade","E":1760000000141,"T":1760000000139,"s":"BTCUSDT","t":60006,"p":"0","q":"0","X":"NA","m":true}`
pub fn trade<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    odd: &mut Odd,
) -> Result<(Seen<'a>, Option<Trade>)> {
    let mut seen = Seen::default();
    let (mut event, mut traded, mut id, mut made) = (None, None, None, None);
    let (mut px, mut qty, mut sort) = (None, None, b"".as_slice());
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b'E'] => event = Some(c.i64()?),
            [b'T'] => traded = Some(c.i64()?),
            [b's'] => seen.symbol = c.str()?,
            [b't'] => id = Some(c.u64()?),
            [b'p'] => px = Some(c.px(instrument.px_scale)?),
            [b'q'] => qty = Some(c.qty(instrument.qty_scale)?),
            [b'm'] => made = Some(c.bool()?),
            [b'X'] => sort = c.str()?,
            [b'M'] => {
                seen.futures = Some(false);
                c.skip()?;
            }
            [b'b' | b'a'] | b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("trade", other, c.skip()?),
        }
        Ok(())
    })?;
    seen.futures = seen.futures.or(Some(true));
    seen.ts = traded.or(event).map(Ts::from_ms);
    if !matches!(sort, b"" | b"MARKET" | b"INSURANCE_FUND" | b"ADL" | b"NA") {
        odd.value("trade", "X", sort);
    }
    let px = px.ok_or(missing("p"))?;
    let qty = qty.ok_or(missing("q"))?;
    if sort == b"NA" && (px, qty) == (Px(0), Qty(0)) {
        return Ok((seen, None));
    }
    let id = TradeId::Num(id.ok_or(missing("t"))?);
    Ok((seen, Some(Trade { id, px, qty, aggressor: aggressor(made), count: 1 })))
}

/// `{"e":"aggTrade","E":1760000000123,"s":"BTCUSDT","a":9001,"p":"64000.10","q":"0.25000000","f":50001,"l":50003,"T":1760000000121,"m":false,"M":true}`
pub fn agg_trade<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    odd: &mut Odd,
) -> Result<(Seen<'a>, Trade)> {
    let mut seen = Seen::default();
    let (mut event, mut traded, mut id, mut made) = (None, None, None, None);
    let (mut px, mut qty, mut first, mut last) = (None, None, None, None);
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b'E'] => event = Some(c.i64()?),
            [b'T'] => traded = Some(c.i64()?),
            [b's'] => seen.symbol = c.str()?,
            [b'a'] => id = Some(c.u64()?),
            [b'p'] => px = Some(c.px(instrument.px_scale)?),
            [b'q'] => qty = Some(c.qty(instrument.qty_scale)?),
            [b'f'] => first = Some(c.i64()?),
            [b'l'] => last = Some(c.i64()?),
            [b'm'] => made = Some(c.bool()?),
            [b'M'] => {
                seen.futures = Some(false);
                c.skip()?;
            }
            b"nq" | b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("aggTrade", other, c.skip()?),
        }
        Ok(())
    })?;
    seen.futures = seen.futures.or(Some(true));
    seen.ts = traded.or(event).map(Ts::from_ms);
    let (first, last) = (first.ok_or(missing("f"))?, last.ok_or(missing("l"))?);
    let count = last.saturating_sub(first).saturating_add(1).max(1);
    let trade = Trade {
        id: TradeId::Num(id.ok_or(missing("a"))?),
        px: px.ok_or(missing("p"))?,
        qty: qty.ok_or(missing("q"))?,
        aggressor: aggressor(made),
        count: u32::try_from(count).unwrap_or(u32::MAX),
    };
    Ok((seen, trade))
}

/// `m` says that the buyer waited, so that the seller crossed.
const fn aggressor(buyer_made: Option<bool>) -> Option<Side> {
    match buyer_made {
        Some(true) => Some(Side::Ask),
        Some(false) => Some(Side::Bid),
        None => None,
    }
}
