//! Rows of the stream in force: prices are JSON numbers, times RFC 3339.

use crate::emit::Sink;
use crate::parse::{self, Result};
use model::{
    Bar, Body, Channel, DayStats, Instrument, Level, Levels, Px, Qty, Quote, Scale, Side, Trade, TradeId, Ts,
};
use source::{Cursor, What};
use std::sync::Arc;

/// Levels of one message, in the order the venue sent them; used again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Bids.
    pub bids: Vec<Level>,
    /// Asks.
    pub asks: Vec<Level>,
}

impl Scratch {
    /// Both sides in one allocation.
    pub fn levels(&self) -> Levels {
        Levels::from_sides(&self.bids, &self.asks)
    }

    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }
}

/// What stands beside the levels of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's checksum after the change.
    pub checksum: Option<u32>,
    /// The venue's time.
    pub ts: Option<Ts>,
}

/// `[{"price":0.5666,"qty":4831.75496356}]`
#[inline]
fn levels(c: &mut Cursor<'_>, (px, qty): (Scale, Scale), into: &mut Vec<Level>) -> Result<()> {
    c.array(|c| {
        let (mut price, mut quantity) = (None, None);
        c.object(|c, key| {
            match key {
                b"price" => price = Some(c.px(px)?),
                b"qty" => quantity = Some(c.qty(qty)?),
                _ => _ = c.skip()?,
            }
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (price, quantity) else {
            return Err(c.fault(What::Missing("price and qty")));
        };
        if px.0 < 0 || qty.0 < 0 {
            return Err(c.fault(What::Rule("a level is not below zero")));
        }
        into.push(Level { px, qty });
        Ok(())
    })
}

/// Reads a row of `book` into `scratch`. `find` gives the scales of a symbol, or nothing where nobody wants it.
///
/// `{"symbol":"TST/USD","bids":[{"price":0.566,"qty":0.25}],"asks":[],"checksum":3905475208,"timestamp":"2026-09-01T12:00:00.440295Z"}`
#[inline]
pub fn book<'a>(
    c: &mut Cursor<'a>,
    scratch: &mut Scratch,
    mut find: impl FnMut(&Cursor<'a>, &'a [u8]) -> Result<Option<(Scale, Scale)>>,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<Option<BookRow>> {
    scratch.clear();
    let mut row = BookRow::default();
    let mut scales = None;
    let mut early: [Option<Cursor<'a>>; 2] = [None, None];
    c.object(|c, key| {
        match key {
            b"symbol" => {
                let symbol = c.str()?;
                scales = Some(find(c, symbol)?);
            }
            b"bids" | b"asks" => {
                let bids = key == b"bids";
                let into = if bids { &mut scratch.bids } else { &mut scratch.asks };
                if let Some(Some(scales)) = scales {
                    into.clear();
                    levels(c, scales, into)?;
                } else {
                    let [early_bids, early_asks] = &mut early;
                    *(if bids { early_bids } else { early_asks }) = Some(c.clone());
                    c.skip()?;
                }
            }
            b"checksum" => {
                let sum = c.u64()?;
                let sum = u32::try_from(sum).map_err(|_| c.fault(What::Rule("a checksum has 32 bits")))?;
                row.checksum = Some(sum);
            }
            b"timestamp" => row.ts = parse::rfc3339(c)?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    let Some(scales) = scales else { return Err(c.fault(What::Missing("symbol"))) };
    let Some(scales) = scales else { return Ok(None) };
    let [bids, asks] = early;
    if let Some(mut c) = bids {
        levels(&mut c, scales, &mut scratch.bids)?;
    }
    if let Some(mut c) = asks {
        levels(&mut c, scales, &mut scratch.asks)?;
    }
    Ok(Some(row))
}

/// A row of `trade` before its numbers are read at an instrument's scales.
#[derive(Clone, Copy, Debug, Default)]
pub struct TradeRow<'a> {
    /// Of what.
    pub symbol: &'a [u8],
    price: &'a [u8],
    qty: &'a [u8],
    side: &'a [u8],
    id: Option<u64>,
    ts: Option<Ts>,
    at: usize,
}

/// Reads a row of `trade`.
///
/// `{"symbol":"BTC/USD","side":"buy","price":64010.2,"qty":0.00031,"ord_type":"limit","trade_id":90000001,"timestamp":"2026-09-01T12:00:00.441000Z"}`
#[inline]
pub fn trade<'a>(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<TradeRow<'a>> {
    let mut row = TradeRow { at: c.position(), ..TradeRow::default() };
    c.object(|c, key| {
        match key {
            b"symbol" => row.symbol = c.str()?,
            b"side" => row.side = c.str()?,
            b"price" => row.price = c.number()?,
            b"qty" => row.qty = c.number()?,
            b"trade_id" => row.id = Some(c.u64()?),
            b"timestamp" => row.ts = parse::rfc3339(c)?,
            b"ord_type" => _ = c.skip()?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    for (text, field) in [(row.symbol, "symbol"), (row.price, "price"), (row.qty, "qty")] {
        if text.is_empty() {
            return Err(c.fault(What::Missing(field)));
        }
    }
    if row.id.is_none() {
        return Err(c.fault(What::Missing("trade_id")));
    }
    Ok(row)
}

impl TradeRow<'_> {
    /// The trade at an instrument's scales, and its time.
    #[inline]
    pub fn read(&self, instrument: &Instrument, sink: &mut Sink<'_>) -> Result<(Trade, Option<Ts>)> {
        let px = parse::px(self.price, instrument.px_scale, self.at)?;
        let qty = parse::qty(self.qty, instrument.qty_scale, self.at)?;
        let aggressor = parse::side(self.side);
        if aggressor.is_none() && !self.side.is_empty() {
            sink.value(b"trade", b"side", self.side);
        }
        let id = TradeId::Num(self.id.unwrap_or_default());
        Ok((Trade { id, px, qty, aggressor, count: 1 }, self.ts))
    }
}

/// A row of `ticker`.
#[derive(Clone, Debug, Default)]
pub struct TickerRow<'a> {
    /// Of what.
    pub symbol: &'a [u8],
    /// Statistics of 24 hours.
    pub stats: DayStats,
    /// The venue's time.
    pub ts: Option<Ts>,
    bid: [&'a [u8]; 2],
    ask: [&'a [u8]; 2],
    at: usize,
}

/// Reads a row of `ticker`.
///
/// `{"symbol":"BTC/USD","bid":64010.1,"bid_qty":0.9,"ask":64010.2,"ask_qty":1.5,"last":64010.2,"volume":1632.8,"vwap":63904.39279,"low":62800,"high":64500,"change":760.2,"change_pct":1.2,"timestamp":"2026-09-01T12:00:00.440295Z"}`
pub fn ticker<'a>(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<TickerRow<'a>> {
    let mut row = TickerRow { at: c.position(), ..TickerRow::default() };
    let stats = &mut row.stats;
    let ([bid, bid_qty], [ask, ask_qty]) = (&mut row.bid, &mut row.ask);
    c.object(|c, key| {
        match key {
            b"symbol" => row.symbol = c.str()?,
            b"bid" => *bid = c.number()?,
            b"bid_qty" => *bid_qty = c.number()?,
            b"ask" => *ask = c.number()?,
            b"ask_qty" => *ask_qty = c.number()?,
            b"last" => stats.last = c.decimal_opt()?,
            b"volume" => stats.volume = c.decimal_opt()?,
            b"low" => stats.low = c.decimal_opt()?,
            b"high" => stats.high = c.decimal_opt()?,
            b"timestamp" => row.ts = parse::rfc3339(c)?,
            b"vwap" | b"change" | b"change_pct" | b"volume_usd" => _ = c.skip()?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    if row.symbol.is_empty() {
        return Err(c.fault(What::Missing("symbol")));
    }
    Ok(row)
}

/// The level of a price and a quantity in text; `None` where one is missing or zero.
pub fn level([price, amount]: [&[u8]; 2], instrument: &Instrument, at: usize) -> Result<Option<Level>> {
    if price.is_empty() || amount.is_empty() {
        return Ok(None);
    }
    let px = parse::px(price, instrument.px_scale, at)?;
    let qty = parse::qty(amount, instrument.qty_scale, at)?;
    Ok((px != Px(0) && qty != Qty(0)).then_some(Level { px, qty }))
}

impl TickerRow<'_> {
    /// Best bid and offer at an instrument's scales.
    pub fn quote(&self, instrument: &Instrument) -> Result<Quote> {
        let (bid, ask) = (level(self.bid, instrument, self.at)?, level(self.ask, instrument, self.at)?);
        Ok(Quote { bid, ask, seq: None })
    }
}

/// The venue's minutes of an interval, and our name of it.
pub const INTERVALS: [(u64, &str); 9] = [
    (1, "1m"),
    (5, "5m"),
    (15, "15m"),
    (30, "30m"),
    (60, "1h"),
    (240, "4h"),
    (1_440, "1d"),
    (10_080, "1w"),
    (21_600, "15d"),
];

/// Our name of so many minutes.
pub fn interval(minutes: u64) -> Option<&'static str> {
    INTERVALS.iter().find(|(theirs, _)| *theirs == minutes).map(|(_, ours)| *ours)
}

/// How many minutes a name means at this venue.
pub fn minutes(interval: &str) -> Option<u64> {
    INTERVALS.iter().find(|(_, ours)| *ours == interval).map(|(theirs, _)| *theirs)
}

/// Reads a row of `ohlc`: symbol, bar and the venue's time. `now` tells whether the interval is over; the venue does not.
///
/// `{"symbol":"BTC/USD","open":64000,"high":64012,"low":63999,"close":64010.2,"trades":12,"volume":3.06,"vwap":64006.1,"interval_begin":"2026-09-01T12:00:00.000000000Z","interval":1,"timestamp":"2026-09-01T12:01:00.000000Z"}`
pub fn ohlc<'a>(
    c: &mut Cursor<'a>,
    now: Ts,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<(&'a [u8], Option<Bar>)> {
    let mut symbol: &[u8] = b"";
    let (mut prices, mut volume, mut trades) = ([None; 4], None, None);
    let (mut start, mut minutes) = (None, 0);
    let [open, high, low, close] = &mut prices;
    c.object(|c, key| {
        match key {
            b"symbol" => symbol = c.str()?,
            b"open" => *open = c.decimal_opt()?,
            b"high" => *high = c.decimal_opt()?,
            b"low" => *low = c.decimal_opt()?,
            b"close" => *close = c.decimal_opt()?,
            b"volume" => volume = c.decimal_opt()?,
            b"trades" => trades = Some(c.u64()?),
            b"interval_begin" => start = parse::rfc3339(c)?,
            b"interval" => minutes = c.u64()?,
            b"vwap" | b"timestamp" => _ = c.skip()?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    if symbol.is_empty() {
        return Err(c.fault(What::Missing("symbol")));
    }
    let ([Some(open), Some(high), Some(low), Some(close)], Some(start), Some(volume)) =
        (prices, start, volume)
    else {
        return Err(c.fault(What::Missing("prices, volume and interval_begin")));
    };
    let Some(name) = interval(minutes) else { return Ok((symbol, None)) };
    let bar = Bar {
        interval: name.into(),
        start,
        open,
        high,
        low,
        close,
        volume,
        turnover: None,
        trades,
        closed: start.plus_ms(minutes * 60_000) <= now,
    };
    Ok((symbol, Some(bar)))
}

/// Emits a trade.
#[inline]
pub fn tell_trade(instrument: &Arc<Instrument>, trade: Trade, ts: Option<Ts>, sink: &mut Sink<'_>) {
    sink.emit(instrument, Channel::Trades, ts, Body::Trade(trade));
}

/// The order in which a pair of sides is gone through.
pub const SIDES: [Side; 2] = [Side::Bid, Side::Ask];
