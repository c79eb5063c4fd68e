//! Rows of the slower channels to events.

use crate::emit::Sink;
use crate::number::{Numbers, ms, whole};
use crate::parse::Result;
use crate::product::Product;
use model::{
    Bar, Body, Channel, DayStats, Decimal, Funding, Instrument, Level, Liquidation, LongShortRatio,
    OpenInterest, Quote, Side, Ts,
};
use source::{Cursor, What};
use std::sync::Arc;

/// Our names of intervals, and the venue's.
pub const INTERVALS: [(&str, &str); 10] = [
    ("1m", "1min"),
    ("5m", "5min"),
    ("15m", "15min"),
    ("30m", "30min"),
    ("1h", "60min"),
    ("4h", "4hour"),
    ("1d", "1day"),
    ("1w", "1week"),
    ("1M", "1mon"),
    ("1y", "1year"),
];

/// Our name of an interval of the venue's.
pub fn interval(theirs: &[u8]) -> Option<&'static str> {
    INTERVALS.iter().find(|(_, t)| t.as_bytes() == theirs).map(|(ours, _)| *ours)
}

/// Reads the `tick` of `bbo`.
///
/// `{"seqId":170000000020,"ask":64010.2,"askSize":1.5,"bid":64010.1,"bidSize":0.9,"quoteTime":1760000001004,"symbol":"btcusdt"}`,
/// `{"mrid":132000026,"id":1760000003,"bid":[64010.1,38],"ask":[64010.2,205],"ts":1760000003000,"version":132000026,"ch":"…"}`
pub fn quote(c: &mut Cursor<'_>, numbers: Numbers<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut bid, mut ask) = (Half::default(), Half::default());
    let (mut seq, mut ts) = (None, None);
    c.object(|c, key| {
        match key {
            b"bid" => bid.read(c, numbers)?,
            b"ask" => ask.read(c, numbers)?,
            b"bidSize" => bid.size(c, numbers)?,
            b"askSize" => ask.size(c, numbers)?,
            b"seqId" | b"version" => seq = Some(whole(c)?),
            b"quoteTime" | b"ts" => ts = ms(c)?,
            b"mrid" | b"id" | b"symbol" | b"ch" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(b"bbo", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let quote = Quote { bid: bid.level(), ask: ask.level(), seq };
    sink.emit(numbers.instrument, Channel::Quote, ts, Body::Quote(quote));
    Ok(())
}

/// One side of a quote, which spot writes as two numbers and contracts as a pair.
#[derive(Default)]
struct Half {
    px: Option<model::Px>,
    qty: Option<model::Qty>,
}

impl Half {
    fn read(&mut self, c: &mut Cursor<'_>, numbers: Numbers<'_>) -> Result<()> {
        if c.null() {
            return Ok(());
        }
        if c.peek() != Some(b'[') {
            self.px = Some(numbers.px(c)?);
            return Ok(());
        }
        let mut at = 0_u32;
        c.array(|c| {
            match at {
                0 => self.px = Some(numbers.px(c)?),
                1 => self.qty = Some(numbers.qty(c)?),
                _ => {
                    c.number()?;
                }
            }
            at += 1;
            Ok(())
        })
    }

    fn size(&mut self, c: &mut Cursor<'_>, numbers: Numbers<'_>) -> Result<()> {
        if !c.null() {
            self.qty = Some(numbers.qty(c)?);
        }
        Ok(())
    }

    /// The level; none where price or quantity is absent or zero.
    fn level(&self) -> Option<Level> {
        match (self.px, self.qty) {
            (Some(px), Some(qty)) if px.0 != 0 && qty.0 != 0 => Some(Level { px, qty }),
            _ => None,
        }
    }
}

/// Prices and volumes of a day or an interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// `id`: of a bar its start in seconds.
    pub id: Option<i64>,
    /// First, highest, lowest and last price.
    pub prices: [Option<Decimal>; 4],
    /// `amount`: coins.
    amount: Option<Decimal>,
    /// `vol`: of spot the turnover, of contracts the contracts.
    vol: Option<Decimal>,
    /// `trade_turnover`.
    turnover: Option<Decimal>,
    /// `count`.
    pub trades: Option<u64>,
    /// `lastSize`.
    last_qty: Option<Decimal>,
    /// `ts`, in REST answers.
    ts: Option<Ts>,
}

impl Sums {
    /// Reads the `tick` of `kline` or `detail`, or a row of a REST answer. Calls `other` at the value of any other key.
    ///
    /// `{"id":1759999980,"mrid":132000036,"open":64000,"close":64010.1,"high":64012,"low":63999,"amount":1.2,"vol":1200,"trade_turnover":76812.1,"count":40}`
    pub fn read<'a>(
        c: &mut Cursor<'a>,
        product: Product,
        mut other: impl FnMut(&mut Cursor<'a>, &'a [u8]) -> Result<()>,
    ) -> Result<Self> {
        let mut sums = Self::default();
        let [open, high, low, close] = &mut sums.prices;
        c.object(|c, key| {
            match key {
                b"id" => sums.id = Some(c.i64()?),
                b"open" => *open = c.decimal_opt()?,
                b"high" => *high = c.decimal_opt()?,
                b"low" => *low = c.decimal_opt()?,
                b"close" => *close = c.decimal_opt()?,
                // Coins of contracts have up to 50 digits and are not needed.
                b"amount" if product.spot() => sums.amount = c.decimal_opt()?,
                b"vol" => sums.vol = c.decimal_opt()?,
                b"trade_turnover" if !product.spot() => sums.turnover = c.decimal_opt()?,
                b"count" => sums.trades = Some(whole(c)?),
                b"lastSize" => sums.last_qty = c.decimal_opt()?,
                b"ts" => sums.ts = ms(c)?,
                b"amount" | b"trade_turnover" | b"mrid" | b"version" | b"ask" | b"bid" | b"askSize"
                | b"bidSize" | b"lastPrice" | b"ch" | b"number_of" | b"business_type" | b"contract_type" => {
                    c.skip()?;
                }
                _ => other(c, key)?,
            }
            Ok(())
        })?;
        Ok(sums)
    }

    /// Quantity in the venue's unit.
    fn volume(&self, product: Product) -> Option<Decimal> {
        if product.spot() { self.amount } else { self.vol }
    }

    /// Price × quantity, where the venue says it.
    pub fn turnover(&self, product: Product) -> Option<Decimal> {
        if product.spot() { self.vol } else { self.turnover }
    }

    /// As statistics of a day.
    pub fn day(self, product: Product) -> DayStats {
        let [open, high, low, last] = self.prices;
        DayStats {
            open,
            high,
            low,
            last,
            last_qty: self.last_qty,
            volume: self.volume(product),
            turnover: self.turnover(product),
            trades: self.trades,
            ..DayStats::default()
        }
    }

    /// As a bar; `None` where it lacks its start or a price.
    pub fn bar(self, product: Product, interval: &str) -> Option<Bar> {
        let [Some(open), Some(high), Some(low), Some(close)] = self.prices else { return None };
        Some(Bar {
            interval: interval.into(),
            start: Ts::from_ms(self.id?.checked_mul(1_000)?),
            open,
            high,
            low,
            close,
            volume: self.volume(product)?,
            turnover: self.turnover(product),
            trades: self.trades,
            closed: false,
        })
    }
}

/// Reads the `tick` of `detail` or `ticker`.
pub fn day_stats(
    c: &mut Cursor<'_>,
    product: Product,
    instrument: &Arc<Instrument>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let sums = Sums::read(c, product, |c, key| {
        sink.notes.unknown(b"detail", key, sink.out);
        c.skip().map(|_| ())
    })?;
    if sums.prices.iter().all(Option::is_none) {
        return Err(c.fault(What::Missing("close")));
    }
    sink.emit(instrument, Channel::DayStats, sums.ts, Body::DayStats(Box::new(sums.day(product))));
    Ok(())
}

/// Reads the `tick` of `kline`.
pub fn bar(c: &mut Cursor<'_>, product: Product, interval: &str, sink: &mut Sink<'_>) -> Result<Bar> {
    let sums = Sums::read(c, product, |c, key| {
        sink.notes.unknown(b"kline", key, sink.out);
        c.skip().map(|_| ())
    })?;
    sums.bar(product, interval).ok_or_else(|| c.fault(What::Missing("id, prices or volume")))
}

/// Reads the `tick` of `mark_price` or `index`: the newest value is `close`.
///
/// `{"id":1759999980,"open":"64000.1","close":"64011.5","high":"64012","low":"63999","amount":"0","vol":"0","count":"0","trade_turnover":"0"}`
pub fn last(c: &mut Cursor<'_>, place: &[u8], sink: &mut Sink<'_>) -> Result<Decimal> {
    let mut close = None;
    c.object(|c, key| {
        match key {
            b"close" => close = c.decimal_opt()?,
            b"id" | b"open" | b"high" | b"low" | b"amount" | b"vol" | b"count" | b"trade_turnover" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(place, other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    close.ok_or_else(|| c.fault(What::Missing("close")))
}

/// What a row of a notification is of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Of<'a> {
    /// `contract_code`.
    pub code: &'a [u8],
}

/// Reads one row of `funding_rate`.
///
/// `{"symbol":"BTC","contract_code":"BTC-USDT","fee_asset":"USDT","funding_time":"1760000000000","funding_rate":"0.0001","settlement_time":"1760025600000","estimated_rate":null}`
pub fn funding<'a>(c: &mut Cursor<'a>, sink: &mut Sink<'_>) -> Result<(Of<'a>, Option<Ts>, Funding)> {
    let (mut of, mut rate, mut next_rate) = (Of::default(), None, None);
    let (mut ts, mut settled) = (None, None);
    c.object(|c, key| {
        match key {
            b"contract_code" => of.code = c.str()?,
            b"funding_rate" => rate = c.decimal_opt()?,
            b"estimated_rate" => next_rate = c.decimal_opt()?,
            b"funding_time" => ts = ms(c)?,
            b"settlement_time" | b"next_funding_time" => settled = ms(c)?.or(settled),
            b"symbol" | b"fee_asset" | b"realized_rate" | b"avg_premium_index" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(b"funding_rate", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let rate = rate.ok_or_else(|| c.fault(What::Missing("funding_rate")))?;
    Ok((of, ts, Funding { rate, at: settled, next_rate }))
}

/// Reads one row of `liquidation_orders`.
///
/// `{"symbol":"BTC","contract_code":"BTC-USDT","direction":"sell","offset":"close","volume":150,"price":63500.5,"created_at":1760000004090,"amount":0.15,"trade_turnover":9525.075,"contract_type":"swap","pair":"BTC-USDT","business_type":"swap"}`
pub fn liquidation<'a>(
    c: &mut Cursor<'a>,
    sink: &mut Sink<'_>,
) -> Result<(Of<'a>, Option<Ts>, Option<Liquidation>)> {
    let (mut of, mut side, mut px, mut qty, mut ts) = (Of::default(), None, None, None, None);
    c.object(|c, key| {
        match key {
            b"contract_code" => of.code = c.str()?,
            b"direction" => side = sink.side(c.str()?, b"liquidation_orders"),
            b"volume" => qty = c.decimal_opt()?,
            b"price" => px = c.decimal_opt()?,
            b"created_at" => ts = ms(c)?,
            b"symbol" | b"offset" | b"amount" | b"trade_turnover" | b"contract_type" | b"pair"
            | b"business_type" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(b"liquidation_orders", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let px = px.ok_or_else(|| c.fault(What::Missing("price")))?;
    let qty = qty.ok_or_else(|| c.fault(What::Missing("volume")))?;
    // A side that we do not know was reported; the order says nothing without it.
    Ok((of, ts, side.map(|side: Side| Liquidation { side, px, qty, avg_px: None })))
}

/// Reads one row of open interest.
///
/// `{"volume":2500000.0,"amount":2500.0,"symbol":"BTC","value":160025250.0,"contract_code":"BTC-USDT"}`
pub fn open_interest<'a>(c: &mut Cursor<'a>, sink: &mut Sink<'_>) -> Result<(Of<'a>, OpenInterest)> {
    let (mut of, mut qty, mut value) = (Of::default(), None, None);
    c.object(|c, key| {
        match key {
            b"contract_code" => of.code = c.str()?,
            b"volume" => qty = c.decimal_opt()?,
            b"value" => value = c.decimal_opt()?,
            b"symbol" | b"amount" | b"contract_type" | b"trade_partition" | b"trade_amount"
            | b"trade_volume" | b"trade_turnover" | b"pair" | b"business_type" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(b"open_interest", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let qty = qty.ok_or_else(|| c.fault(What::Missing("volume")))?;
    Ok((of, OpenInterest { qty, value }))
}

/// Reads the answer to a question for a ratio: the newest row counts.
///
/// `{"status":"ok","data":{"list":[{"buy_ratio":0.61,"sell_ratio":0.35,"locked_ratio":0.04,"ts":1760000100000}],"symbol":"BTC","contract_code":"BTC-USDT"},"ts":1760000101000}`
pub fn ratio(c: &mut Cursor<'_>, of: &str) -> Result<Option<(Option<Ts>, LongShortRatio)>> {
    let mut newest: Option<(Option<Ts>, LongShortRatio)> = None;
    c.object(|c, key| {
        if key != b"list" {
            return c.skip().map(|_| ());
        }
        c.array(|c| {
            let (mut long, mut short, mut ts) = (None, None, None);
            c.object(|c, key| {
                match key {
                    b"buy_ratio" => long = c.decimal_opt()?,
                    b"sell_ratio" => short = c.decimal_opt()?,
                    b"ts" => ts = ms(c)?,
                    _ => {
                        c.skip()?;
                    }
                }
                Ok(())
            })?;
            if newest.as_ref().is_none_or(|(before, _)| ts >= *before) {
                let row = LongShortRatio { of: of.into(), interval: "5m".into(), ratio: None, long, short };
                newest = Some((ts, row));
            }
            Ok(())
        })
    })?;
    Ok(newest)
}
