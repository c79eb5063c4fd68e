//! Rows of the slower channels: bars, indices, funding, states.

use crate::emit::Sink;
use crate::listing::is_inverse;
use crate::parse::{Result, decimal, ms};
use model::{Bar, Body, Channel, Decimal, Funding, Instrument, InstrumentKind, OpenInterest, Ts};
use source::{Cursor, What};
use std::sync::Arc;

/// Reads the data of `chart.trades`; `interval` is the platform's name of it.
///
/// `{"tick":1759999980000,"open":64000.0,"high":64012.0,"low":63999.0,"close":64010.5,"volume":1.25,"cost":80000.0}`
pub fn bar(c: &mut Cursor<'_>, interval: &str, instrument: &Instrument, sink: &mut Sink<'_>) -> Result<Bar> {
    let (mut start, mut open, mut high, mut low, mut close) = (None, None, None, None, None);
    let (mut volume, mut cost) = (None, None);
    c.object(|c, key| {
        match key {
            b"tick" => start = ms(c)?,
            b"open" => open = decimal(c)?,
            b"high" => high = decimal(c)?,
            b"low" => low = decimal(c)?,
            b"close" => close = decimal(c)?,
            b"volume" => volume = decimal(c)?,
            b"cost" => cost = decimal(c)?,
            other => unknown(c, sink, b"chart.trades", other)?,
        }
        Ok(())
    })?;
    let (Some(start), Some(volume)) = (start, volume) else {
        return Err(c.fault(What::Missing("tick and volume of a bar")));
    };
    let (Some(open), Some(high), Some(low), Some(close)) = (open, high, low, close) else {
        return Err(c.fault(What::Missing("a price of a bar")));
    };
    Ok(measured(instrument, Parts { interval, start, prices: [open, high, low, close], volume, cost }))
}

/// What a bar is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The platform's name.
    pub interval: &'a str,
    /// Start of the interval.
    pub start: Ts,
    /// Open, high, low and close.
    pub prices: [Decimal; 4],
    /// In base.
    pub volume: Decimal,
    /// In the currency of the price.
    pub cost: Option<Decimal>,
}

/// A bar in the instrument's units. Of options that are priced in their coin the cost is no turnover in quote currency.
pub fn measured(instrument: &Instrument, parts: Parts<'_>) -> Bar {
    let Parts { interval, start, prices: [open, high, low, close], volume, cost } = parts;
    let inverse = is_inverse(instrument);
    let in_coin = instrument.kind == InstrumentKind::Option && instrument.settle == instrument.base;
    Bar {
        interval: interval.into(),
        start,
        open,
        high,
        low,
        close,
        volume: if inverse { cost.unwrap_or(volume) } else { volume },
        turnover: cost.filter(|_| !in_coin),
        trades: None,
        closed: false,
    }
}

/// Reads the data of `perpetual`.
///
/// `{"timestamp":1760000001000,"interest":0.00001,"index_price":64005.1}`
pub fn perpetual(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut rate, mut ts) = (None, None);
    c.object(|c, key| {
        match key {
            b"interest" => rate = decimal(c)?,
            b"timestamp" => ts = ms(c)?,
            b"index_price" | b"instrument_name" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"perpetual", other)?,
        }
        Ok(())
    })?;
    let rate = rate.ok_or_else(|| c.fault(What::Missing("interest")))?;
    sink.emit(instrument, Channel::Funding, ts, funding(rate));
    Ok(())
}

/// Funding is paid all the time: there is no instant of it and no next period.
pub fn funding(rate: Decimal) -> Body {
    Body::Funding(Box::new(Funding { rate, at: None, next_rate: None }))
}

/// Open interest in the instrument's unit; where that is money, it is the value too.
pub fn open_interest(instrument: &Instrument, qty: Decimal) -> Body {
    Body::OpenInterest(OpenInterest { qty, value: is_inverse(instrument).then_some(qty) })
}

/// Reads the data of an index; `key_of_value` is `price` or `volatility`.
///
/// `{"timestamp":1760000001000,"price":64005.1,"index_name":"btc_usd"}`
pub fn index(
    c: &mut Cursor<'_>,
    key_of_value: &'static str,
    sink: &mut Sink<'_>,
) -> Result<(Option<Ts>, Decimal)> {
    let (mut ts, mut value) = (None, None);
    c.object(|c, key| {
        match key {
            b"timestamp" => ts = ms(c)?,
            b"index_name" => {
                c.str()?;
            }
            other if other == key_of_value.as_bytes() => value = decimal(c)?,
            other => unknown(c, sink, b"index", other)?,
        }
        Ok(())
    })?;
    Ok((ts, value.ok_or_else(|| c.fault(What::Missing(key_of_value)))?))
}

/// Reads one row of `markprice.options`.
///
/// `{"instrument_name":"BTC-27JUN25-100000-C","mark_price":0.01142,"iv":0.551,"timestamp":1760000001000}`
pub fn option_mark<'a>(c: &mut Cursor<'a>, sink: &mut Sink<'_>) -> Result<(&'a [u8], Option<Ts>, Decimal)> {
    let (mut name, mut mark, mut ts) = (None, None, None);
    c.object(|c, key| {
        match key {
            b"instrument_name" => name = Some(c.str()?),
            b"mark_price" => mark = decimal(c)?,
            b"timestamp" => ts = ms(c)?,
            b"iv" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"markprice", other)?,
        }
        Ok(())
    })?;
    match (name, mark) {
        (Some(name), Some(mark)) => Ok((name, ts, mark)),
        _ => Err(c.fault(What::Missing("instrument_name and mark_price"))),
    }
}

/// Reads the data of `instrument.state`: the instrument, its state, the time.
///
/// `{"timestamp":1760000001000,"state":"created","instrument_name":"BTC-25DEC26-100000-C"}`
pub fn instrument_state<'a>(
    c: &mut Cursor<'a>,
    sink: &mut Sink<'_>,
) -> Result<(&'a [u8], &'a [u8], Option<Ts>)> {
    let (mut name, mut state, mut ts) = (None, None, None);
    c.object(|c, key| {
        match key {
            b"instrument_name" => name = Some(c.str()?),
            b"state" => state = Some(c.str()?),
            b"timestamp" => ts = ms(c)?,
            b"kind" | b"currency" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"instrument.state", other)?,
        }
        Ok(())
    })?;
    match (name, state) {
        (Some(name), Some(state)) => Ok((name, state, ts)),
        _ => Err(c.fault(What::Missing("instrument_name and state"))),
    }
}

/// Whether trading stands still, and over which index; over all where none is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform<'a> {
    /// Whether it stands still; `None` where nothing is said of that.
    pub halted: Option<bool>,
    /// The index over whose instruments.
    pub index: Option<&'a [u8]>,
}

/// Reads the data of `platform_state`.
///
/// `{"locked":true,"price_index":"btc_usd"}` or `{"maintenance":true}`
pub fn platform_state<'a>(c: &mut Cursor<'a>, sink: &mut Sink<'_>) -> Result<Platform<'a>> {
    let mut state = Platform::default();
    c.object(|c, key| {
        match key {
            // `partial`: some indices are locked, each told on its own.
            b"locked" if c.peek() == Some(b'"') => {
                state.halted = match c.str()? {
                    b"true" => Some(true),
                    b"false" => Some(false),
                    _ => None,
                };
            }
            b"locked" | b"maintenance" => state.halted = Some(c.bool()?),
            b"price_index" if !c.null() => state.index = Some(c.str()?),
            b"price_index" => {}
            b"locked_indices" | b"timestamp" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"platform_state", other)?,
        }
        Ok(())
    })?;
    Ok(state)
}

/// Passes over the value of a key that we do not know, and says so.
pub fn unknown(c: &mut Cursor<'_>, sink: &mut Sink<'_>, place: &[u8], key: &[u8]) -> Result<()> {
    sink.notes.unknown(place, key, sink.out);
    c.skip()?;
    Ok(())
}
