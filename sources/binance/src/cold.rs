//! Frames that come by the second: statistics, bars, marks, funding, open interest, forced orders.

use crate::parse::{Result, event};
use model::{
    Bar, Body, Channel, DayStats, Decimal, Event, Funding, Instrument, Liquidation, OpenInterest, Side, Ts,
};
use source::{Cursor, Malformed, What};
use std::sync::Arc;

const fn missing(field: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Missing(field) }
}

/// `{"e":"24hrTicker","E":1760000001000,"s":"BTCUSDT","p":"1000.10","P":"1.587","w":"63800.50","x":"63000.00","c":"64000.10","Q":"0.01000000","b":"64000.00","B":"1.20000000","a":"64000.10","A":"0.80000000","o":"63000.00","h":"64500.00","l":"62800.00","v":"15000.00000000","q":"955000000.00000000","O":1759913601000,"C":1760000001000,"F":40000,"L":50004,"n":10005}`
pub fn day_stats(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    now: Ts,
    mut unknown: impl FnMut(&[u8]),
) -> Result<Event> {
    let (mut stats, mut ts) = (DayStats::default(), None);
    c.object(|c, key| {
        match key {
            b"E" => ts = Some(Ts::from_ms(c.i64()?)),
            b"o" => stats.open = c.decimal_opt()?,
            b"h" => stats.high = c.decimal_opt()?,
            b"l" => stats.low = c.decimal_opt()?,
            b"c" => stats.last = c.decimal_opt()?,
            b"Q" => stats.last_qty = c.decimal_opt()?,
            b"v" => stats.volume = c.decimal_opt()?,
            b"q" => stats.turnover = c.decimal_opt()?,
            b"n" => stats.trades = Some(c.u64()?),
            b"e" | b"s" | b"p" | b"P" | b"w" | b"x" | b"b" | b"B" | b"a" | b"A" | b"O" | b"C" | b"F"
            | b"L" | b"ps" | b"st" => drop(c.skip()?),
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(event(instrument, Channel::DayStats, ts, now, Body::DayStats(Box::new(stats))))
}

/// `{"e":"kline","E":1760000002000,"s":"BTCUSDT","k":{"t":1759999980000,"T":1760000039999,"s":"BTCUSDT","i":"1m","f":50001,"L":50090,"o":"64000.00","c":"64000.10","h":"64010.00","l":"63990.00","v":"12.5","n":90,"x":false,"q":"800000.0","V":"6.1","Q":"390000.0","B":"0"}}`
pub fn bar(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    now: Ts,
    mut unknown: impl FnMut(&[u8]),
) -> Result<Event> {
    let (mut bar, mut ts) = (None, None);
    c.object(|c, key| {
        match key {
            b"E" => ts = Some(Ts::from_ms(c.i64()?)),
            b"k" => bar = Some(kline(c, &mut unknown)?),
            b"e" | b"s" | b"ps" | b"st" | b"M" => drop(c.skip()?),
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let bar = bar.ok_or(missing("k"))?;
    Ok(event(instrument, Channel::Bars, ts, now, Body::Bar(Box::new(bar))))
}

fn kline(c: &mut Cursor<'_>, unknown: &mut impl FnMut(&[u8])) -> Result<Bar> {
    let (mut start, mut interval, mut closed, mut trades) = (None, None, None, None);
    let [mut open, mut high, mut low, mut close, mut volume, mut turnover] = [None::<Decimal>; 6];
    c.object(|c, key| {
        match key {
            b"t" => start = Some(Ts::from_ms(c.i64()?)),
            b"i" => interval = Some(Box::<str>::from(c.utf8()?)),
            b"o" => open = c.decimal_opt()?,
            b"h" => high = c.decimal_opt()?,
            b"l" => low = c.decimal_opt()?,
            b"c" => close = c.decimal_opt()?,
            b"v" => volume = c.decimal_opt()?,
            b"q" => turnover = c.decimal_opt()?,
            b"n" => trades = Some(c.u64()?),
            b"x" => closed = Some(c.bool()?),
            b"T" | b"s" | b"f" | b"L" | b"V" | b"Q" | b"B" => drop(c.skip()?),
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(Bar {
        interval: interval.ok_or(missing("i"))?,
        start: start.ok_or(missing("t"))?,
        open: open.ok_or(missing("o"))?,
        high: high.ok_or(missing("h"))?,
        low: low.ok_or(missing("l"))?,
        close: close.ok_or(missing("c"))?,
        volume: volume.ok_or(missing("v"))?,
        turnover,
        trades,
        closed: closed.ok_or(missing("x"))?,
    })
}

/// `{"e":"markPriceUpdate","E":1760000003000,"s":"BTCUSDT","p":"64011.55","ap":"64011.20","i":"64015.02","P":"64012.00","r":"0.00010000","T":1760025600000,"st":1}`
///
/// Gives the mark price, and index price and funding rate where they are there.
pub fn mark(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    now: Ts,
    mut unknown: impl FnMut(&[u8]),
    mut emit: impl FnMut(Event),
) -> Result<()> {
    let (mut ts, mut at) = (None, None);
    let [mut mark, mut index, mut rate] = [None::<Decimal>; 3];
    c.object(|c, key| {
        match key {
            b"E" => ts = Some(Ts::from_ms(c.i64()?)),
            b"p" => mark = c.decimal_opt()?,
            b"i" => index = c.decimal_opt()?,
            b"r" => rate = c.decimal_opt()?,
            b"T" => at = Some(c.i64()?).filter(|ms| *ms > 0).map(Ts::from_ms),
            b"e" | b"s" | b"ap" | b"P" | b"ps" | b"st" => drop(c.skip()?),
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let mark = mark.ok_or(missing("p"))?;
    emit(event(instrument, Channel::MarkPrice, ts, now, Body::MarkPrice(mark)));
    if let Some(index) = index {
        emit(event(instrument, Channel::IndexPrice, ts, now, Body::IndexPrice(index)));
    }
    if let Some(rate) = rate {
        let funding = Funding { rate, at, next_rate: None };
        emit(event(instrument, Channel::Funding, ts, now, Body::Funding(Box::new(funding))));
    }
    Ok(())
}

/// `{"e":"forceOrder","E":1760000004000,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.500","p":"63500.00","ap":"63520.10","X":"FILLED","l":"0.500","z":"0.500","T":1760000003990}}`
pub fn liquidation(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    now: Ts,
    mut unknown: impl FnMut(&[u8]),
) -> Result<Event> {
    let (mut side, mut ts) = (None, None);
    let [mut px, mut qty, mut avg_px] = [None::<Decimal>; 3];
    c.object(|c, key| {
        if key != b"o" {
            if !matches!(key, b"e" | b"E" | b"st" | b"ps") {
                unknown(key);
            }
            return c.skip().map(drop);
        }
        c.object(|c, key| {
            match key {
                b"S" => {
                    side = match c.str()? {
                        b"BUY" => Some(Side::Bid),
                        b"SELL" => Some(Side::Ask),
                        other => {
                            unknown(other);
                            None
                        }
                    }
                }
                b"p" => px = c.decimal_opt()?,
                b"q" => qty = c.decimal_opt()?,
                b"ap" => avg_px = c.decimal_opt()?.filter(|px| !px.is_zero()),
                b"T" => ts = Some(Ts::from_ms(c.i64()?)),
                b"s" | b"ps" | b"o" | b"f" | b"X" | b"l" | b"z" => drop(c.skip()?),
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })
    })?;
    let body = Liquidation {
        side: side.ok_or(missing("S"))?,
        px: px.ok_or(missing("p"))?,
        qty: qty.ok_or(missing("q"))?,
        avg_px,
    };
    Ok(event(instrument, Channel::Liquidations, ts, now, Body::Liquidation(Box::new(body))))
}

/// `{"openInterest":"10659.509","symbol":"BTCUSDT","time":1760000000000}`
pub fn open_interest(body: &[u8], instrument: &Arc<Instrument>, now: Ts) -> Result<Event> {
    let (mut qty, mut ts) = (None, None);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"openInterest" => qty = Some(c.decimal()?),
            b"time" => ts = Some(Ts::from_ms(c.i64()?)),
            _ => drop(c.skip()?),
        }
        Ok(())
    })?;
    let body = OpenInterest { qty: qty.ok_or(missing("openInterest"))?, value: None };
    Ok(event(instrument, Channel::OpenInterest, ts, now, Body::OpenInterest(body)))
}
