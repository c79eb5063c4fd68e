//! Feeds of the derivatives: flat objects, JSON numbers with exponents, times in milliseconds.

use crate::parse::{self, Frame, Result, need};
use crate::rows::level;
use crate::time;
use model::{
    DayStats, Decimal, Funding, Instrument, InstrumentKind, Level, Liquidation, Px, Qty, Quote, Scale, Side,
    Status, Trade, TradeId, Ts,
};
use source::{Cursor, Malformed, What};

/// A change of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub side: Side,
    /// What stands there now.
    pub level: Level,
    /// The state it leads to.
    pub seq: u64,
    /// The venue's time.
    pub ts: Option<Ts>,
}

/// Reads a frame of the feed `book`.
///
/// `{"feed":"book","product_id":"PF_XBTUSD","side":"sell","seq":501,"price":64011.0,"qty":0,"timestamp":1760000000050}`
#[inline]
pub fn change(bytes: &[u8], f: &Frame<'_>, instrument: &Instrument) -> Result<Change> {
    let (price, amount) = (need(f.price, "price")?, need(f.qty, "qty")?);
    let (word, seq) = (need(f.side, "side")?, need(f.seq, "seq")?);
    let side = parse::side(word)
        .ok_or(Malformed { at: parse::place(bytes, word), what: What::Expected("`buy` or `sell`") })?;
    let level = Level {
        px: parse::px(price, instrument.px_scale, parse::place(bytes, price))?,
        qty: not_negative(parse::qty(amount, instrument.qty_scale, parse::place(bytes, amount))?),
    };
    let seq = parse::unsigned(seq, parse::place(bytes, seq))?;
    Ok(Change { side, level, seq, ts: f.timestamp.and_then(time::millis) })
}

/// A quantity below zero stands for none.
fn not_negative(qty: Qty) -> Qty {
    qty.max(Qty(0))
}

/// Reads `[{"price":64010.0,"qty":0.9}]`; levels of nothing are left out.
pub fn levels(c: &mut Cursor<'_>, (px, qty): (Scale, Scale), into: &mut Vec<Level>) -> Result<()> {
    into.clear();
    c.array(|c| {
        let (mut price, mut amount) = (None, None);
        c.object(|c, key| {
            match key {
                b"price" => price = Some(c.px(px)?),
                b"qty" => amount = Some(c.qty(qty)?),
                _ => _ = c.skip()?,
            }
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (price, amount) else {
            return Err(c.fault(What::Missing("price and qty")));
        };
        if qty > Qty(0) {
            into.push(Level { px, qty });
        }
        Ok(())
    })
}

/// What a trade was, besides a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The trade.
    pub trade: Trade,
    /// The venue's time.
    pub ts: Option<Ts>,
    /// The forced order, where it was one.
    pub forced: Option<Liquidation>,
}

/// Reads a frame or a row of the feed `trade`.
///
/// `{"feed":"trade","product_id":"PF_XBTUSD","uid":"11111111-2222-4333-8444-555555555555","side":"sell","type":"liquidation","seq":653355,"time":1760000000519,"qty":0.5,"price":63500.0}`
#[inline]
pub fn print(bytes: &[u8], f: &Frame<'_>, instrument: &Instrument) -> Result<Print> {
    let (price, amount) = (need(f.price, "price")?, need(f.qty, "qty")?);
    let (px_at, qty_at) = (parse::place(bytes, price), parse::place(bytes, amount));
    let px: Px = parse::px(price, instrument.px_scale, px_at)?;
    let qty: Qty = parse::qty(amount, instrument.qty_scale, qty_at)?;
    let seq = need(f.seq, "seq")?;
    let id = TradeId::Num(parse::unsigned(seq, parse::place(bytes, seq))?);
    let aggressor = f.side.and_then(parse::side);
    let forced = match (f.word, aggressor) {
        (Some(b"liquidation"), Some(side)) => Some(Liquidation {
            side,
            px: parse::decimal(price, px_at)?,
            qty: parse::decimal(amount, qty_at)?,
            avg_px: None,
        }),
        _ => None,
    };
    let ts = f.timestamp.and_then(time::millis);
    Ok(Print { trade: Trade { id, px, qty, aggressor, count: 1 }, ts, forced })
}

/// A frame of the feeds `ticker` and `ticker_lite`.
#[derive(Clone, Debug, Default)]
pub struct Ticker<'a> {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// Statistics of 24 hours.
    pub stats: DayStats,
    /// Mark price.
    pub mark: Option<Decimal>,
    /// Index price.
    pub index: Option<Decimal>,
    /// Open interest, in the venue's unit of quantity.
    pub open_interest: Option<Decimal>,
    bid: [&'a [u8]; 2],
    ask: [&'a [u8]; 2],
    rate: Option<Decimal>,
    absolute: Option<Decimal>,
    next_rate: Option<Decimal>,
    next_at: Option<Ts>,
    suspended: Option<bool>,
    post_only: Option<bool>,
}

/// Reads a frame of the feed `ticker` or `ticker_lite`.
///
/// `{"feed":"ticker","time":1760000000406,"product_id":"PF_XBTUSD","bid":64010.0,"ask":64011.0,"bid_size":0.9,"ask_size":1.5,"volume":3140.5,"volumeQuote":200000000.5,"dtm":0,"leverage":"50x","index":64005.1,"premium":0.0,"last":64010.0,"change":1.2,"funding_rate":0.64,"funding_rate_prediction":0.7,"relative_funding_rate":1.0e-5,"relative_funding_rate_prediction":1.1e-5,"next_funding_rate_time":1760002000000,"suspended":false,"tag":"perpetual","pair":"XBT:USD","openInterest":3007.2,"markPrice":64009.9,"maturityTime":0,"post_only":false,"open":63000.0,"high":64500.0,"low":62800.0}`
pub fn ticker<'a>(bytes: &'a [u8], mut unknown: impl FnMut(&'a [u8])) -> Result<Ticker<'a>> {
    let mut t = Ticker::default();
    let mut c = Cursor::new(bytes);
    let ([bid, bid_qty], [ask, ask_qty]) = (&mut t.bid, &mut t.ask);
    c.object(|c, key| {
        match key {
            b"time" => t.ts = time::millis(c.number()?),
            b"bid" => *bid = c.number()?,
            b"ask" => *ask = c.number()?,
            b"bid_size" => *bid_qty = c.number()?,
            b"ask_size" => *ask_qty = c.number()?,
            b"volume" => t.stats.volume = c.decimal_opt()?,
            b"volumeQuote" => t.stats.turnover = c.decimal_opt()?,
            b"index" => t.index = c.decimal_opt()?,
            b"last" => t.stats.last = c.decimal_opt()?,
            b"open" => t.stats.open = c.decimal_opt()?,
            b"high" => t.stats.high = c.decimal_opt()?,
            b"low" => t.stats.low = c.decimal_opt()?,
            b"markPrice" => t.mark = c.decimal_opt()?,
            b"openInterest" => t.open_interest = c.decimal_opt()?,
            b"funding_rate" => t.absolute = c.decimal_opt()?,
            b"relative_funding_rate" => t.rate = c.decimal_opt()?,
            b"relative_funding_rate_prediction" => t.next_rate = c.decimal_opt()?,
            b"next_funding_rate_time" => t.next_at = time::millis(c.number()?),
            b"suspended" => t.suspended = Some(c.bool()?),
            b"post_only" => t.post_only = Some(c.bool()?),
            b"feed"
            | b"product_id"
            | b"dtm"
            | b"leverage"
            | b"premium"
            | b"change"
            | b"tag"
            | b"pair"
            | b"maturityTime"
            | b"funding_rate_prediction"
            | b"greeks" => _ = c.skip()?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    Ok(t)
}

impl Ticker<'_> {
    /// Best bid and offer; `None` in `ticker_lite`, which has no quantities.
    pub fn quote(&self, instrument: &Instrument) -> Result<Option<Quote>> {
        if self.bid[1].is_empty() && self.ask[1].is_empty() {
            return Ok(None);
        }
        let (bid, ask) = (level(self.bid, instrument, 0)?, level(self.ask, instrument, 0)?);
        Ok(Some(Quote { bid, ask, seq: None }))
    }

    /// The funding rate of a perpetual. The venue leaves the rate out where it is zero; where only the absolute rate
    /// stands, nothing is said.
    pub fn funding(&self, instrument: &Instrument, lite: bool) -> Option<Funding> {
        if instrument.kind != InstrumentKind::Perpetual || lite {
            return None;
        }
        let rate = match (self.rate, self.absolute) {
            (Some(rate), _) => rate,
            (None, Some(absolute)) if !absolute.is_zero() => return None,
            (None, _) => Decimal::new(0, 0),
        };
        Some(Funding { rate, at: self.next_at, next_rate: self.next_rate })
    }

    /// Whether it trades; `None` where the frame does not say.
    pub fn status(&self) -> Option<Status> {
        match (self.suspended?, self.post_only) {
            (true, _) => Some(Status::Halted),
            (false, Some(true)) => Some(Status::PreOpen),
            (false, _) => Some(Status::Trading),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;

    fn perpetual() -> Instrument {
        listing::provisional(b"PF_XBTUSD").unwrap()
    }

    #[test]
    fn a_funding_rate_that_is_left_out_is_zero_and_an_absolute_one_is_no_rate() {
        let read = |text: &str| ticker(text.as_bytes(), |_| ()).unwrap().funding(&perpetual(), false);
        assert_eq!(read(r#"{"feed":"ticker"}"#).unwrap().rate, Decimal::new(0, 0));
        let given = read(
            r#"{"relative_funding_rate":1.0e-5,"funding_rate":0.6,"next_funding_rate_time":1760002000000}"#,
        );
        assert_eq!(given.as_ref().map(|f| f.rate), Some(Decimal::new(1, 5)));
        assert_eq!(given.unwrap().at, Some(Ts::from_ms(1_760_002_000_000)));
        assert_eq!(read(r#"{"funding_rate":0.6}"#), None);
    }

    #[test]
    fn a_level_below_zero_or_of_nothing_is_no_level() {
        let mut all = Vec::new();
        let text = br#"[{"price":3.0,"qty":0},{"price":2.5,"qty":-4},{"qty":1e1,"price":2}]"#;
        levels(&mut Cursor::new(text), (1, 0), &mut all).unwrap();
        assert_eq!(all, [Level { px: Px(20), qty: Qty(10) }]);
        let frame = br#"{"side":"sell","seq":5,"price":1.5,"qty":-3}"#;
        let (f, _) = parse::frame(frame, |_, _| Ok(false));
        assert_eq!(change(frame, &f, &perpetual()).unwrap().level.qty, Qty(0));
    }
}
