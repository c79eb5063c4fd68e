//! Rows of the slower channels: statistics, bars, prices, funding, open interest, forced orders.

use crate::emit::Sink;
use crate::parse::{Result, ms};
use model::{
    Bar, Body, Channel, DayStats, Decimal, Funding, Greeks, Instrument, InstrumentKind, Liquidation,
    OpenInterest, Ts,
};
use source::{Action, Cursor, What};
use std::sync::Arc;

/// Reads the rows of `tickers`. Its best bid and offer are passed over: the channel for those is `bbo-tbt`.
///
/// `[{"instType":"SWAP","instId":"BTC-USDT-SWAP","last":"64010.1","lastSz":"2","askPx":"64010.2","askSz":"150","bidPx":"64010.1","bidSz":"90","open24h":"63000","high24h":"64500","low24h":"62800","volCcy24h":"15000.5","vol24h":"1500050","sodUtc0":"63900","sodUtc8":"63500","ts":"1760000000123"}]`
///
/// `volCcy24h` is in quote currency for spot only; for derivatives it is in base and there is no turnover.
pub fn day_stats(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut stats, mut ts, mut ccy) = (DayStats::default(), None, None);
        c.object(|c, key| {
            match key {
                b"last" => stats.last = c.decimal_opt()?,
                b"lastSz" => stats.last_qty = c.decimal_opt()?,
                b"open24h" => stats.open = c.decimal_opt()?,
                b"high24h" => stats.high = c.decimal_opt()?,
                b"low24h" => stats.low = c.decimal_opt()?,
                b"vol24h" => stats.volume = c.decimal_opt()?,
                b"volCcy24h" => ccy = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"instType" | b"instId" | b"askPx" | b"askSz" | b"bidPx" | b"bidSz" | b"sodUtc0"
                | b"sodUtc8" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"tickers", other)?,
            }
            Ok(())
        })?;
        if instrument.kind == InstrumentKind::Spot {
            stats.turnover = ccy;
        }
        sink.emit(instrument, Channel::DayStats, ts, Body::DayStats(Box::new(stats)));
        Ok(())
    })
}

/// Intervals: the platform's name, and the venue's. The venue's plain names from six hours on start at UTC+8.
pub const INTERVALS: [(&str, &str); 25] = [
    ("1s", "1s"),
    ("1m", "1m"),
    ("3m", "3m"),
    ("5m", "5m"),
    ("15m", "15m"),
    ("30m", "30m"),
    ("1h", "1H"),
    ("2h", "2H"),
    ("4h", "4H"),
    ("6h", "6Hutc"),
    ("12h", "12Hutc"),
    ("1d", "1Dutc"),
    ("2d", "2Dutc"),
    ("3d", "3Dutc"),
    ("1w", "1Wutc"),
    ("1M", "1Mutc"),
    ("3M", "3Mutc"),
    ("6h+8", "6H"),
    ("12h+8", "12H"),
    ("1d+8", "1D"),
    ("2d+8", "2D"),
    ("3d+8", "3D"),
    ("1w+8", "1W"),
    ("1M+8", "1M"),
    ("3M+8", "3M"),
];

/// The length of an interval by the venue's name, in ms; a month has 28 days at least.
pub fn length_ms(word: &str) -> Option<i64> {
    let (ours, _) = INTERVALS.iter().find(|(_, theirs)| *theirs == word)?;
    let ours = ours.trim_end_matches("+8");
    let unit = match ours.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        _ => 28 * 86_400_000,
    };
    ours.get(..ours.len() - 1)?.parse::<i64>().ok().map(|n| n * unit)
}

/// Reads the rows of a candle channel: open time, open, high, low, close, volume, volume in currency, in quote
/// currency, whether it is over. Rows of 2022 have seven fields.
///
/// `[["1759999980000","64000","64020","63990","64010.1","12.5","800100.5","800100.5","0"]]`
pub fn bars(
    c: &mut Cursor<'_>,
    channel: &[u8],
    instrument: &Arc<Instrument>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let word = channel.strip_prefix(b"candle").unwrap_or_default();
    let Some((interval, _)) = INTERVALS.iter().find(|(_, theirs)| theirs.as_bytes() == word) else {
        sink.notes.unknown(b"channel", channel, sink.out);
        c.skip()?;
        return Ok(());
    };
    c.array(|c| {
        let bar = bar(c, interval, instrument)?;
        sink.emit(instrument, Channel::Bars, None, Body::Bar(Box::new(bar)));
        Ok(())
    })
}

/// One bar, as in [`bars`].
pub fn bar(c: &mut Cursor<'_>, interval: &str, instrument: &Instrument) -> Result<Bar> {
    let mut start = None;
    let mut numbers = [None; 7];
    let (mut closed, mut at) = (false, 0_usize);
    c.array(|c| {
        match at {
            0 => start = ms(c)?,
            1..=7 => {
                let number = c.decimal_opt()?;
                if let Some(slot) = numbers.get_mut(at - 1) {
                    *slot = number;
                }
            }
            8 => closed = c.number()? == b"1",
            _ => {
                c.skip()?;
            }
        }
        at += 1;
        Ok(())
    })?;
    let [open, high, low, close, volume, ccy, quote] = numbers;
    let (Some(start), Some(open), Some(high), Some(low), Some(close), Some(volume)) =
        (start, open, high, low, close, volume)
    else {
        return Err(c.fault(What::Missing("a field of a bar")));
    };
    let spot = instrument.kind == InstrumentKind::Spot;
    let turnover = quote.or(if spot { ccy } else { None });
    let interval = interval.into();
    Ok(Bar { interval, start, open, high, low, close, volume, turnover, trades: None, closed })
}

/// Reads the rows of `mark-price`.
///
/// `[{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"64009.9","ts":"1760000000123"}]`
pub fn mark_price(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut px, mut ts) = (None, None);
        c.object(|c, key| {
            match key {
                b"markPx" => px = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"instType" | b"instId" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"mark-price", other)?,
            }
            Ok(())
        })?;
        let px = px.ok_or_else(|| c.fault(What::Missing("markPx")))?;
        sink.emit(instrument, Channel::MarkPrice, ts, Body::MarkPrice(px));
        Ok(())
    })
}

/// Reads the rows of `index-tickers`; `targets` are the instruments over that index.
///
/// `[{"instId":"BTC-USDT","idxPx":"64005.1","high24h":"64500","low24h":"62800","open24h":"63000","sodUtc0":"63900","sodUtc8":"63500","ts":"1760000000123"}]`
pub fn index_price(c: &mut Cursor<'_>, targets: &[Arc<Instrument>], sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut px, mut ts) = (None, None);
        c.object(|c, key| {
            match key {
                b"idxPx" => px = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"instId" | b"high24h" | b"low24h" | b"open24h" | b"sodUtc0" | b"sodUtc8" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"index-tickers", other)?,
            }
            Ok(())
        })?;
        let px = px.ok_or_else(|| c.fault(What::Missing("idxPx")))?;
        for instrument in targets {
            sink.emit(instrument, Channel::IndexPrice, ts, Body::IndexPrice(px));
        }
        Ok(())
    })
}

/// Reads the rows of `funding-rate`. A row without a rate says nothing and is passed over.
///
/// `[{"formulaType":"withRate","fundingRate":"0.0001","fundingTime":"1760025600000","impactValue":"20000","instId":"BTC-USDT-SWAP","instType":"SWAP","interestRate":"0.0001","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1760054400000","premium":"0.00012","settFundingRate":"0.00009","settState":"settled","ts":"1760000000123"}]`
pub fn funding(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut rate, mut at, mut next_rate, mut ts) = (None, None, None, None);
        c.object(|c, key| {
            match key {
                b"fundingRate" => rate = c.decimal_opt()?,
                b"fundingTime" => at = ms(c)?,
                b"nextFundingRate" => next_rate = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"formulaType" | b"impactValue" | b"instId" | b"instType" | b"interestRate" | b"method"
                | b"maxFundingRate" | b"minFundingRate" | b"nextFundingTime" | b"premium"
                | b"settFundingRate" | b"settState" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"funding-rate", other)?,
            }
            Ok(())
        })?;
        match rate {
            Some(rate) => {
                let body = Body::Funding(Box::new(Funding { rate, at, next_rate }));
                sink.emit(instrument, Channel::Funding, ts, body);
            }
            None => sink.out.push(Action::Control("funding-rate without a rate")),
        }
        Ok(())
    })
}

/// Reads the rows of `open-interest`. `oiUsd` is the value where prices are in US dollars; for others the
/// venue gives none in quote currency.
///
/// `[{"instType":"SWAP","instId":"BTC-USDT-SWAP","oi":"2200000","oiCcy":"22000","oiUsd":"1408200000","ts":"1760000000123"}]`
pub fn open_interest(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut qty, mut value, mut ts) = (None, None, None);
        c.object(|c, key| {
            match key {
                b"oi" => qty = c.decimal_opt()?,
                b"oiUsd" => value = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"instType" | b"instId" | b"oiCcy" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"open-interest", other)?,
            }
            Ok(())
        })?;
        let qty = qty.ok_or_else(|| c.fault(What::Missing("oi")))?;
        let value = value.filter(|_| &*instrument.quote == "USD");
        let body = Body::OpenInterest(OpenInterest { qty, value });
        sink.emit(instrument, Channel::OpenInterest, ts, body);
        Ok(())
    })
}

/// Reads the rows of `liquidation-orders` and hands each order to `tell`, with its instrument and time.
///
/// `[{"instId":"BTC-USDT-SWAP","instType":"SWAP","instFamily":"BTC-USDT","uly":"BTC-USDT","details":[{"side":"sell","posSide":"long","bkPx":"63500","sz":"12","bkLoss":"0","ccy":"","ts":"1760000000100"}]}]`
pub fn liquidations<'a>(
    c: &mut Cursor<'a>,
    sink: &mut Sink<'_>,
    mut tell: impl FnMut(&'a [u8], Body, Option<Ts>, &mut Sink<'_>),
) -> Result<()> {
    c.array(|c| {
        let (mut inst, mut forced) = (None, Vec::new());
        c.object(|c, key| {
            match key {
                b"instId" => inst = Some(c.str()?),
                b"details" => c.array(|c| {
                    forced.push(forced_order(c, sink)?);
                    Ok(())
                })?,
                b"instType" | b"instFamily" | b"uly" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"liquidation-orders", other)?,
            }
            Ok(())
        })?;
        let inst = inst.ok_or_else(|| c.fault(What::Missing("instId")))?;
        for (order, ts) in forced {
            tell(inst, Body::Liquidation(Box::new(order)), ts, sink);
        }
        Ok(())
    })
}

fn forced_order(c: &mut Cursor<'_>, sink: &mut Sink<'_>) -> Result<(Liquidation, Option<Ts>)> {
    let (mut side, mut px, mut qty, mut ts): (_, Option<Decimal>, Option<Decimal>, _) =
        (None, None, None, None);
    c.object(|c, key| {
        match key {
            b"side" => side = sink.side(c.str()?, b"liquidation-orders"),
            b"bkPx" => px = c.decimal_opt()?,
            b"sz" => qty = c.decimal_opt()?,
            b"ts" => ts = ms(c)?,
            b"posSide" | b"bkLoss" | b"ccy" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"liquidation-orders", other)?,
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let order = Liquidation {
        side: side.ok_or_else(|| missing("side"))?,
        px: px.ok_or_else(|| missing("bkPx"))?,
        qty: qty.ok_or_else(|| missing("sz"))?,
        avg_px: None,
    };
    Ok((order, ts))
}

/// Reads the rows of `opt-summary` and hands each to `tell`, with its instrument and time. Sensitivities are those of
/// the Black-Scholes model, in dollars; `delta` and its like are in coins, and not used. Volatilities are fractions.
///
/// `[{"instType":"OPTION","instId":"BTC-USD-261225-100000-C","uly":"BTC-USD","delta":"0.3105","gamma":"-0.2101","theta":"-0.0003","vega":"0.0011","deltaBS":"0.4211","gammaBS":"0.0000125","thetaBS":"-35.1","vegaBS":"98.4","realVol":"","volLv":"0.5012","bidVol":"0.4975","askVol":"0.5061","markVol":"0.5018","lever":"6.2","fwdPx":"65012.4","ts":"1760000000123"}]`
pub fn greeks<'a>(
    c: &mut Cursor<'a>,
    sink: &mut Sink<'_>,
    mut tell: impl FnMut(&'a [u8], Body, Option<Ts>, &mut Sink<'_>),
) -> Result<()> {
    c.array(|c| {
        let (mut inst, mut greeks, mut ts) = (None, Greeks::default(), None);
        c.object(|c, key| {
            match key {
                b"instId" => inst = Some(c.str()?),
                b"deltaBS" => greeks.delta = c.decimal_opt()?,
                b"gammaBS" => greeks.gamma = c.decimal_opt()?,
                b"thetaBS" => greeks.theta = c.decimal_opt()?,
                b"vegaBS" => greeks.vega = c.decimal_opt()?,
                b"markVol" => greeks.mark_iv = c.decimal_opt()?,
                b"bidVol" => greeks.bid_iv = c.decimal_opt()?,
                b"askVol" => greeks.ask_iv = c.decimal_opt()?,
                b"fwdPx" => greeks.underlying = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                b"instType" | b"instFamily" | b"uly" | b"delta" | b"gamma" | b"theta" | b"vega"
                | b"realVol" | b"volLv" | b"lever" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"opt-summary", other)?,
            }
            Ok(())
        })?;
        let inst = inst.ok_or_else(|| c.fault(What::Missing("instId")))?;
        tell(inst, Body::Greeks(Box::new(greeks)), ts, sink);
        Ok(())
    })
}

/// Passes over the value of a key that we do not know, and says so.
pub fn unknown(c: &mut Cursor<'_>, sink: &mut Sink<'_>, place: &[u8], key: &[u8]) -> Result<()> {
    sink.notes.unknown(place, key, sink.out);
    c.skip()?;
    Ok(())
}
