//! Rows of the slower channels: tickers, bars, forced orders, and how longs stand to shorts.

use crate::emit::Sink;
use crate::parse::{Result, each, ms};
use model::{
    Bar, DayStats, Decimal, Funding, Instrument, InstrumentKind, Level, Liquidation, LongShortRatio, Px, Qty,
    Quote, Ts,
};
use source::{Cursor, What};

/// All that a ticker says. It feeds several channels.
#[derive(Clone, Debug, Default)]
pub struct Ticker {
    /// The venue's time; v3 gives none here.
    pub ts: Option<Ts>,
    /// Statistics of 24 hours.
    pub stats: DayStats,
    /// Mark price; spot has none.
    pub mark: Option<Decimal>,
    /// Index price; spot has none.
    pub index: Option<Decimal>,
    /// Funding; only perpetuals have it.
    pub funding: Option<Funding>,
    /// Open interest in base coin.
    pub open_interest: Option<Decimal>,
    /// Best bid and offer, read where asked for.
    pub quote: Option<Quote>,
}

/// Reads one row of `ticker` in the words of any generation; `quoted` says whether its best bid and offer are wanted.
///
/// `{"instId":"BTCUSDT","lastPr":"64010.2","bidPr":"64010.1","askPr":"64010.2","bidSz":"0.9","askSz":"1.5","open24h":"63000","high24h":"64500","low24h":"62800","change24h":"0.016","fundingRate":"0.0001","nextFundingTime":"1760025600000","markPrice":"64009.9","indexPrice":"64005.1","holdingAmount":"55000.1","baseVolume":"50000.2","quoteVolume":"3200000000","openUtc":"63900","symbolType":"1","symbol":"BTCUSDT","deliveryPrice":"0","ts":"1760000000123"}`
pub fn ticker(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    quoted: bool,
    sink: &mut Sink<'_>,
) -> Result<Ticker> {
    let mut row = Ticker::default();
    let (mut rate, mut at, mut delivery) = (None, None, instrument.kind != InstrumentKind::Perpetual);
    let mut best: [(Option<Px>, Option<Qty>); 2] = Default::default();
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    let [bid, ask] = &mut best;
    c.object(|c, key| {
        match key {
            b"lastPr" | b"last" | b"lastPrice" => row.stats.last = c.decimal_opt()?,
            b"open24h" | b"openPrice24h" | b"open" => row.stats.open = c.decimal_opt()?,
            b"high24h" | b"highPrice24h" => row.stats.high = c.decimal_opt()?,
            b"low24h" | b"lowPrice24h" => row.stats.low = c.decimal_opt()?,
            b"baseVolume" | b"volume24h" => row.stats.volume = c.decimal_opt()?,
            b"quoteVolume" | b"turnover24h" => row.stats.turnover = c.decimal_opt()?,
            b"markPrice" => row.mark = priced(c)?,
            b"indexPrice" => row.index = priced(c)?,
            b"fundingRate" | b"capitalRate" => rate = c.decimal_opt()?,
            b"nextFundingTime" | b"nextSettleTime" => at = ms(c)?.filter(|ts| ts.0 > 0),
            b"holdingAmount" | b"holding" | b"openInterest" => row.open_interest = c.decimal_opt()?,
            b"bidPr" | b"bestBid" | b"bid1Price" if quoted => bid.0 = some(c, |c| c.px(px_scale))?,
            b"askPr" | b"bestAsk" | b"ask1Price" if quoted => ask.0 = some(c, |c| c.px(px_scale))?,
            b"bidSz" | b"bid1Size" if quoted => bid.1 = some(c, |c| c.qty(qty_scale))?,
            b"askSz" | b"ask1Size" if quoted => ask.1 = some(c, |c| c.qty(qty_scale))?,
            b"symbolType" => delivery |= matches!(c.number()?, b"2"),
            b"ts" | b"systemTime" => row.ts = ms(c)?,
            b"bidPr"
            | b"bestBid"
            | b"bid1Price"
            | b"askPr"
            | b"bestAsk"
            | b"ask1Price"
            | b"bidSz"
            | b"bid1Size"
            | b"askSz"
            | b"ask1Size"
            | b"instId"
            | b"symbol"
            | b"symbolId"
            | b"change24h"
            | b"changeUtc24h"
            | b"openUtc"
            | b"chgUTC"
            | b"chgUtc"
            | b"labeId"
            | b"priceChangePercent"
            | b"usdtVolume"
            | b"deliveryPrice"
            | b"price24hPcnt"
            | b"deliveryTime"
            | b"deliveryStartTime"
            | b"deliveryStatus" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"ticker", other)?,
        }
        Ok(())
    })?;
    row.funding =
        rate.filter(|_| !delivery || at.is_some()).map(|rate| Funding { rate, at, next_rate: None });
    if instrument.kind == InstrumentKind::Spot {
        row.funding = None;
    }
    let level = |(px, qty): (Option<Px>, Option<Qty>)| Some(Level { px: px?, qty: qty? });
    let (bid, ask) = (level(*bid), level(*ask));
    row.quote = (bid.is_some() || ask.is_some()).then_some(Quote { bid, ask, seq: None });
    Ok(row)
}

/// A price; nothing where it is empty or zero, as for what has none.
fn priced(c: &mut Cursor<'_>) -> Result<Option<Decimal>> {
    Ok(c.decimal_opt()?.filter(|px| !px.is_zero()))
}

/// What `read` reads, or nothing where the text is empty.
fn some<T>(c: &mut Cursor<'_>, read: impl FnOnce(&mut Cursor<'_>) -> Result<T>) -> Result<Option<T>> {
    let mut ahead = c.clone();
    if ahead.number()?.is_empty() {
        *c = ahead;
        return Ok(None);
    }
    read(c).map(Some)
}

/// Intervals: the platform's name, the name in channels and in REST of futures, the name in REST of spot, and the length
/// in ms. The venue's plain names from six hours on start at UTC+8.
pub const INTERVALS: [(&str, &str, &str, u64); 20] = [
    ("1m", "1m", "1min", MIN),
    ("3m", "3m", "3min", 3 * MIN),
    ("5m", "5m", "5min", 5 * MIN),
    ("15m", "15m", "15min", 15 * MIN),
    ("30m", "30m", "30min", 30 * MIN),
    ("1h", "1H", "1h", HOUR),
    ("4h", "4H", "4h", 4 * HOUR),
    ("6h", "6Hutc", "6Hutc", 6 * HOUR),
    ("12h", "12Hutc", "12Hutc", 12 * HOUR),
    ("1d", "1Dutc", "1Dutc", DAY),
    ("3d", "3Dutc", "3Dutc", 3 * DAY),
    ("1w", "1Wutc", "1Wutc", 7 * DAY),
    ("1M", "1Mutc", "1Mutc", 31 * DAY),
    ("6h+8", "6H", "6h", 6 * HOUR),
    ("12h+8", "12H", "12h", 12 * HOUR),
    ("1d+8", "1D", "1day", DAY),
    ("3d+8", "3D", "3day", 3 * DAY),
    ("1w+8", "1W", "1week", 7 * DAY),
    ("1M+8", "1M", "1M", 31 * DAY),
    // v3 spells hours small.
    ("1h", "1h", "1h", HOUR),
];

const MIN: u64 = 60_000;
const HOUR: u64 = 60 * MIN;
const DAY: u64 = 24 * HOUR;

/// The platform's name of an interval by the venue's.
pub fn interval(theirs: &[u8]) -> Option<&'static str> {
    INTERVALS.iter().find(|row| row.1.as_bytes() == theirs).map(|row| row.0)
}

/// Reads one row of a bar channel: open time, open, high, low, close, volume, turnover, turnover in USDT; in v1 only the
/// first six; in v3 an object.
///
/// `["1759999980000","64000","64012","63999","64010.1","12.5","800100.5","800100.5"]` or
/// `{"start":"1759999980000","open":"64000","close":"64010.1","high":"64012","low":"63999","volume":"12.5","turnover":"800100.5"}`
///
/// The venue does not say whether a bar is over.
pub fn bar(c: &mut Cursor<'_>, interval: &str, sink: &mut Sink<'_>) -> Result<Bar> {
    let mut start = None;
    let mut numbers = [None; 6];
    if c.peek() == Some(b'{') {
        let [open, high, low, close, volume, turnover] = &mut numbers;
        c.object(|c, key| {
            match key {
                b"start" => start = ms(c)?,
                b"open" => *open = c.decimal_opt()?,
                b"high" => *high = c.decimal_opt()?,
                b"low" => *low = c.decimal_opt()?,
                b"close" => *close = c.decimal_opt()?,
                b"volume" => *volume = c.decimal_opt()?,
                b"turnover" => *turnover = c.decimal_opt()?,
                b"symbol" | b"interval" => {
                    c.skip()?;
                }
                other => unknown(c, sink, b"kline", other)?,
            }
            Ok(())
        })?;
    } else {
        let mut at = 0_usize;
        c.array(|c| {
            if at == 0 {
                start = ms(c)?;
            } else if let Some(slot) = numbers.get_mut(at - 1) {
                *slot = c.decimal_opt()?;
            } else {
                c.skip()?;
            }
            at += 1;
            Ok(())
        })?;
    }
    let [open, high, low, close, volume, turnover] = numbers;
    let (Some(start), Some(open), Some(high), Some(low), Some(close), Some(volume)) =
        (start, open, high, low, close, volume)
    else {
        return Err(c.fault(What::Missing("a field of a bar")));
    };
    let interval = interval.into();
    Ok(Bar { interval, start, open, high, low, close, volume, turnover, trades: None, closed: false })
}

/// Reads the rows of `liquidation`, which is of a whole product, and hands each order with its symbol to `row`.
///
/// `[{"symbol":"BTCUSDT","side":"buy","price":"64500.1","amount":"13.5","ts":"1760000001549"}]`
pub fn liquidations<'a>(
    c: &mut Cursor<'a>,
    sink: &mut Sink<'_>,
    mut row: impl FnMut(&'a [u8], Liquidation, Option<Ts>, &mut Sink<'_>),
) -> Result<()> {
    each(c, |c| {
        let (mut symbol, mut side, mut px, mut qty, mut ts) = (None, None, None, None, None);
        c.object(|c, key| {
            match key {
                b"symbol" => symbol = Some(c.str()?),
                b"side" => side = sink.side(c.str()?, b"liquidation"),
                b"price" => px = c.decimal_opt()?,
                b"amount" => qty = c.decimal_opt()?,
                b"ts" => ts = ms(c)?,
                other => unknown(c, sink, b"liquidation", other)?,
            }
            Ok(())
        })?;
        let missing = |what| c.fault(What::Missing(what));
        let order = Liquidation {
            side: side.ok_or_else(|| missing("side"))?,
            px: px.ok_or_else(|| missing("price"))?,
            qty: qty.ok_or_else(|| missing("amount"))?,
            avg_px: None,
        };
        row(symbol.ok_or_else(|| missing("symbol"))?, order, ts, sink);
        Ok(())
    })
}

/// The interval that ratios are counted over.
pub const RATIO_INTERVAL: &str = "5m";

/// Reads an answer that tells how the accounts of longs stand to those of shorts, and gives the newest row.
///
/// `{"code":"00000","msg":"success","requestTime":1760000000000,"data":[{"longAccountRatio":"0.6","shortAccountRatio":"0.4","longShortAccountRatio":"1.5","ts":"1760000000000"}]}`
pub fn ratio(body: &[u8], sink: &mut Sink<'_>) -> Result<Option<(LongShortRatio, Option<Ts>)>> {
    let (mut newest, mut fine): (Option<(LongShortRatio, Option<Ts>)>, _) = (None, false);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"code" => fine = c.str()? == b"00000",
            b"data" if c.null() => {}
            b"data" => each(c, |c| {
                let read = ratio_row(c, sink)?;
                if newest.as_ref().is_none_or(|(_, ts)| *ts <= read.1) {
                    newest = Some(read);
                }
                Ok(())
            })?,
            b"msg" | b"requestTime" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"account-long-short", other)?,
        }
        Ok(())
    })?;
    c.end()?;
    if fine { Ok(newest) } else { Err(c.fault(What::Rule("the venue answered with an error"))) }
}

fn ratio_row(c: &mut Cursor<'_>, sink: &mut Sink<'_>) -> Result<(LongShortRatio, Option<Ts>)> {
    let (mut ratio, mut long, mut short, mut ts) = (None, None, None, None);
    c.object(|c, key| {
        match key {
            b"longShortAccountRatio" => ratio = c.decimal_opt()?,
            b"longAccountRatio" => long = c.decimal_opt()?,
            b"shortAccountRatio" => short = c.decimal_opt()?,
            b"ts" => ts = ms(c)?,
            other => unknown(c, sink, b"account-long-short", other)?,
        }
        Ok(())
    })?;
    if ratio.is_none() && long.is_none() && short.is_none() {
        return Err(c.fault(What::Missing("longShortAccountRatio")));
    }
    let (of, interval) = ("accounts".into(), RATIO_INTERVAL.into());
    Ok((LongShortRatio { of, interval, ratio, long, short }, ts))
}

/// Passes over the value of a key that we do not know, and says so.
fn unknown(c: &mut Cursor<'_>, sink: &mut Sink<'_>, place: &[u8], key: &[u8]) -> Result<()> {
    sink.notes.unknown(place, key, sink.out);
    c.skip()?;
    Ok(())
}
