//! Tickers and quotes.

use crate::emit::Sink;
use crate::listing::is_inverse;
use crate::parse::{Result, decimal, ms};
use crate::rows::unknown;
use model::{Body, Channel, DayStats, Decimal, Greeks, Instrument, Level, Quote, Ts};
use source::{Cursor, What};
use std::sync::Arc;

/// One side of a quote as it comes: price and amount, each where it stood there.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    px: Option<model::Px>,
    qty: Option<model::Qty>,
}

impl Half {
    fn px(&mut self, c: &mut Cursor<'_>, instrument: &Instrument) -> Result<()> {
        self.px = if c.null() { None } else { Some(c.px(instrument.px_scale)?) };
        Ok(())
    }

    fn qty(&mut self, c: &mut Cursor<'_>, instrument: &Instrument) -> Result<()> {
        self.qty = if c.null() { None } else { Some(c.qty(instrument.qty_scale)?) };
        Ok(())
    }

    /// An empty side is 0.0 of 0.0, or `null`.
    fn level(self) -> Option<Level> {
        let (px, qty) = (self.px?, self.qty?);
        (qty.0 > 0).then_some(Level { px, qty })
    }
}

/// What a ticker says, as far as it says it.
#[derive(Debug, Default)]
pub struct Ticker<'a> {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `state`
    pub state: Option<&'a [u8]>,
    /// Best bid and offer; `None` where the ticker has none of their keys.
    pub quote: Option<Quote>,
    /// Statistics, where `stats` is there.
    pub stats: Option<DayStats>,
    /// `mark_price`
    pub mark: Option<Decimal>,
    /// `index_price`
    pub index: Option<Decimal>,
    /// `open_interest`
    pub interest: Option<Decimal>,
    /// `current_funding`
    pub funding: Option<Decimal>,
    /// Sensitivities, where `greeks` is there.
    pub greeks: Option<Greeks>,
}

/// Parts of the statistics of a day.
#[derive(Debug, Default)]
struct Stats {
    there: bool,
    low: Option<Decimal>,
    high: Option<Decimal>,
    base: Option<Decimal>,
    usd: Option<Decimal>,
    notional: Option<Decimal>,
}

/// Reads the data of a ticker. `quoted` says whether its best bid and offer are wanted.
///
/// `{"timestamp":1760000001090,"state":"open","stats":{"volume":25000.1,"volume_usd":1600000000.0,"volume_notional":1600000000.0,"price_change":1.2,"low":62800.0,"high":64500.0},"instrument_name":"BTC-PERPETUAL","index_price":64005.1,"last_price":64010.5,"settlement_price":63900.0,"min_price":63000.0,"max_price":65000.0,"open_interest":900000000,"mark_price":64009.9,"interest_value":0.01,"best_bid_price":64010.0,"best_bid_amount":24000.0,"best_ask_price":64010.8,"best_ask_amount":500.0,"current_funding":0.00001,"funding_8h":0.00008,"estimated_delivery_price":64005.1}`
pub fn ticker<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    quoted: bool,
    sink: &mut Sink<'_>,
) -> Result<Ticker<'a>> {
    let mut row = Ticker::default();
    let (mut bid, mut ask, mut stats) = (Half::default(), Half::default(), Stats::default());
    let (mut greeks, mut sensible, mut last, mut sides) = (Greeks::default(), false, None, 0_u8);
    c.object(|c, key| {
        match key {
            b"timestamp" => row.ts = ms(c)?,
            b"state" => row.state = Some(c.str()?),
            b"stats" => day(c, &mut stats, sink)?,
            b"mark_price" => row.mark = decimal(c)?,
            b"index_price" => row.index = decimal(c)?,
            b"open_interest" => row.interest = decimal(c)?,
            b"current_funding" => row.funding = decimal(c)?,
            b"last_price" => last = decimal(c)?,
            b"mark_iv" => greeks.mark_iv = decimal(c)?,
            b"bid_iv" => greeks.bid_iv = decimal(c)?,
            b"ask_iv" => greeks.ask_iv = decimal(c)?,
            b"underlying_price" => greeks.underlying = decimal(c)?,
            b"greeks" => {
                sensible = true;
                sensitivities(c, &mut greeks, sink)?;
            }
            b"best_bid_price" | b"best_bid_amount" | b"best_ask_price" | b"best_ask_amount" if quoted => {
                sides |= half(c, key, instrument, &mut bid, &mut ask)?;
            }
            b"best_bid_price"
            | b"best_bid_amount"
            | b"best_ask_price"
            | b"best_ask_amount"
            | b"instrument_name"
            | b"settlement_price"
            | b"min_price"
            | b"max_price"
            | b"interest_value"
            | b"funding_8h"
            | b"estimated_delivery_price"
            | b"delivery_price"
            | b"underlying_index"
            | b"interest_rate"
            | b"combo_state"
            | b"implied_bid"
            | b"implied_ask"
            | b"type" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"ticker", other)?,
        }
        Ok(())
    })?;
    row.quote = (sides == 0b1111).then(|| Quote { bid: bid.level(), ask: ask.level(), seq: None });
    row.greeks = sensible.then_some(greeks);
    row.stats = stats.there.then(|| stats.of(instrument, last));
    Ok(row)
}

/// One of the four keys of a quote. Returns its bit.
fn half(
    c: &mut Cursor<'_>,
    key: &[u8],
    instrument: &Instrument,
    bid: &mut Half,
    ask: &mut Half,
) -> Result<u8> {
    match key {
        b"best_bid_price" => bid.px(c, instrument).map(|()| 1),
        b"best_bid_amount" => bid.qty(c, instrument).map(|()| 2),
        b"best_ask_price" => ask.px(c, instrument).map(|()| 4),
        _ => ask.qty(c, instrument).map(|()| 8),
    }
}

fn day(c: &mut Cursor<'_>, stats: &mut Stats, sink: &mut Sink<'_>) -> Result<()> {
    stats.there = true;
    c.object(|c, key| {
        match key {
            b"low" => stats.low = decimal(c)?,
            b"high" => stats.high = decimal(c)?,
            b"volume" => stats.base = decimal(c)?,
            b"volume_usd" => stats.usd = decimal(c)?,
            b"volume_notional" => stats.notional = decimal(c)?,
            b"price_change" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"ticker.stats", other)?,
        }
        Ok(())
    })
}

impl Stats {
    fn of(self, instrument: &Instrument, last: Option<Decimal>) -> DayStats {
        let dollars = if &*instrument.quote == "USD" { self.usd } else { None };
        let turnover = self.notional.or(dollars);
        DayStats {
            high: self.high,
            low: self.low,
            last,
            // The quantity of an inverse future is money.
            volume: if is_inverse(instrument) { self.usd.or(turnover) } else { self.base },
            turnover,
            ..DayStats::default()
        }
    }
}

fn sensitivities(c: &mut Cursor<'_>, greeks: &mut Greeks, sink: &mut Sink<'_>) -> Result<()> {
    c.object(|c, key| {
        match key {
            b"delta" => greeks.delta = decimal(c)?,
            b"gamma" => greeks.gamma = decimal(c)?,
            b"vega" => greeks.vega = decimal(c)?,
            b"theta" => greeks.theta = decimal(c)?,
            b"rho" => greeks.rho = decimal(c)?,
            other => unknown(c, sink, b"ticker.greeks", other)?,
        }
        Ok(())
    })
}

/// Reads the data of `quote`.
///
/// `{"timestamp":1760000001000,"instrument_name":"BTC-PERPETUAL","best_bid_price":64010.0,"best_bid_amount":24000.0,"best_ask_price":64010.8,"best_ask_amount":500.0}`
pub fn quote(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut bid, mut ask, mut ts, mut sides) = (Half::default(), Half::default(), None, 0_u8);
    c.object(|c, key| {
        match key {
            b"timestamp" => ts = ms(c)?,
            b"best_bid_price" | b"best_bid_amount" | b"best_ask_price" | b"best_ask_amount" => {
                sides |= half(c, key, instrument, &mut bid, &mut ask)?;
            }
            b"instrument_name" => {
                c.str()?;
            }
            other => unknown(c, sink, b"quote", other)?,
        }
        Ok(())
    })?;
    if sides != 0b1111 {
        return Err(c.fault(What::Missing("a side of the quote")));
    }
    let quote = Quote { bid: bid.level(), ask: ask.level(), seq: None };
    sink.emit(instrument, Channel::Quote, ts, Body::Quote(quote));
    Ok(())
}
