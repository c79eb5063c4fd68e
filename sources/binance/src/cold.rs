//! Payloads that come by the second or more seldom: statistics, bars, marks, funding, open interest, forced orders, ratios.

use crate::listing;
use crate::odd::Odd;
use crate::parse::{Result, Seen, missing};
use crate::product::Product;
use model::{
    Bar, Body, DayStats, Decimal, Funding, Liquidation, LongShortRatio, OpenInterest, Side, Status, Ts,
};
use source::Cursor;

/// What the venue says of a contract while it trades. Ticks and lots are not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Whether it trades.
    pub status: Status,
    /// When it ends; of a perpetual far in the future.
    pub delivery: Option<Ts>,
}

/// `{"e":"contractInfo","E":1760000002000,"s":"BTCUSDT_261225","ps":"BTCUSDT","ct":"CURRENT_QUARTER","dt":1798185600000,"ot":1760000000000,"cs":"TRADING","st":1}`
///
/// `bks` comes where the brackets of leverage changed.
pub fn contract<'a>(c: &mut Cursor<'a>, odd: &mut Odd) -> Result<(Seen<'a>, Contract)> {
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let (mut status, mut delivery) = (None, None);
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b's'] => seen.symbol = c.str()?,
            [b'E'] => seen.ts = Some(Ts::from_ms(c.i64()?)),
            b"cs" => status = Some(listing::status(c.utf8()?)),
            b"dt" => delivery = Some(c.i64()?).filter(|ms| *ms > 0).map(Ts::from_ms),
            b"ps" | b"ct" | b"ot" | b"bks" | b"st" => c.skip().map(drop)?,
            other => odd.note("contractInfo", other, c.skip()?),
        }
        Ok(())
    })?;
    Ok((seen, Contract { status: status.ok_or(missing("cs"))?, delivery }))
}

/// What an answer tells, and the venue's time of it.
pub type Told = (Option<Ts>, Body);

/// `{"e":"24hrTicker","E":1760000001000,"s":"BTCUSDT","p":"1000.10","P":"1.587","w":"63800.50","x":"63000.00","c":"64000.10","Q":"0.01000000","b":"64000.00","B":"1.20000000","a":"64000.10","A":"0.80000000","o":"63000.00","h":"64500.00","l":"62800.00","v":"15000.00000000","q":"955000000.00000000","O":1759913601000,"C":1760000001000,"F":40000,"L":50004,"n":10005}`
///
/// The short `24hrMiniTicker` has `c`, `o`, `h`, `l`, `v` and `q` alone. Futures have no `x`, `b`, `B`, `a`, `A`. COIN-M counts contracts in `v` and base coins in `q`, so that there is no
/// turnover in quote currency.
pub fn day_stats<'a>(c: &mut Cursor<'a>, product: &Product, odd: &mut Odd) -> Result<(Seen<'a>, Body)> {
    let (mut stats, mut seen) = (DayStats::default(), Seen { futures: Some(true), ..Seen::default() });
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b's'] => seen.symbol = c.str()?,
            [b'E'] => seen.ts = Some(Ts::from_ms(c.i64()?)),
            [b'o'] => stats.open = c.decimal_opt()?,
            [b'h'] => stats.high = c.decimal_opt()?,
            [b'l'] => stats.low = c.decimal_opt()?,
            [b'c'] => stats.last = c.decimal_opt()?,
            [b'Q'] => stats.last_qty = c.decimal_opt()?,
            [b'v'] => stats.volume = c.decimal_opt()?,
            [b'q'] => stats.turnover = c.decimal_opt()?,
            [b'n'] => stats.trades = Some(c.u64()?),
            [b'x'] => {
                seen.futures = Some(false);
                c.skip()?;
            }
            [b'p' | b'P' | b'w' | b'b' | b'B' | b'a' | b'A' | b'O' | b'C' | b'F' | b'L'] | b"ps" | b"st" => {
                c.skip().map(drop)?;
            }
            other => odd.note("24hrTicker", other, c.skip()?),
        }
        Ok(())
    })?;
    if seen.kind == b"24hrMiniTicker" {
        seen.futures = None;
    }
    if product.inverse {
        stats.turnover = None;
    }
    Ok((seen, Body::DayStats(Box::new(stats))))
}

/// `{"e":"kline","E":1760000002000,"s":"BTCUSDT","k":{"t":1759999980000,"T":1760000039999,"s":"BTCUSDT","i":"1m","f":50001,"L":50090,"o":"64000.00","c":"64000.10","h":"64010.00","l":"63990.00","v":"12.5","n":90,"x":false,"q":"800000.0","V":"6.1","Q":"390000.0","B":"0"}}`
pub fn bar<'a>(c: &mut Cursor<'a>, product: &Product, odd: &mut Odd) -> Result<(Seen<'a>, Body)> {
    let (mut bar, mut seen) = (None, Seen::default());
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b's'] => seen.symbol = c.str()?,
            [b'E'] => seen.ts = Some(Ts::from_ms(c.i64()?)),
            [b'k'] => bar = Some(kline(c, odd)?),
            [b'M'] | b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("kline", other, c.skip()?),
        }
        Ok(())
    })?;
    let mut bar = bar.ok_or(missing("k"))?;
    if product.inverse {
        bar.turnover = None;
    }
    Ok((seen, Body::Bar(Box::new(bar))))
}

fn kline(c: &mut Cursor<'_>, odd: &mut Odd) -> Result<Bar> {
    let (mut start, mut interval, mut closed, mut trades) = (None, None, None, None);
    let [mut open, mut high, mut low, mut close, mut volume, mut turnover] = [None::<Decimal>; 6];
    c.object(|c, key| {
        match key {
            [b't'] => start = Some(Ts::from_ms(c.i64()?)),
            [b'i'] => interval = Some(Box::<str>::from(c.utf8()?)),
            [b'o'] => open = c.decimal_opt()?,
            [b'h'] => high = c.decimal_opt()?,
            [b'l'] => low = c.decimal_opt()?,
            [b'c'] => close = c.decimal_opt()?,
            [b'v'] => volume = c.decimal_opt()?,
            [b'q'] => turnover = c.decimal_opt()?,
            [b'n'] => trades = Some(c.u64()?),
            [b'x'] => closed = Some(c.bool()?),
            [b'T' | b's' | b'f' | b'L' | b'V' | b'Q' | b'B'] => c.skip().map(drop)?,
            other => odd.note("kline.k", other, c.skip()?),
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

/// What a mark price payload holds.
#[derive(Debug)]
pub struct Marks {
    /// Mark price.
    pub mark: Decimal,
    /// Index price; old payloads have none.
    pub index: Option<Decimal>,
    /// Funding; dated futures have none.
    pub funding: Option<Funding>,
}

/// `{"e":"markPriceUpdate","E":1760000003000,"s":"BTCUSDT","p":"64011.55","ap":"64011.20","i":"64015.02","P":"64012.00","r":"0.00010000","T":1760025600000,"st":1}`
///
/// Dated futures have `"r":""` and `"T":0`.
pub fn marks<'a>(c: &mut Cursor<'a>, odd: &mut Odd) -> Result<(Seen<'a>, Marks)> {
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let mut at = None;
    let [mut mark, mut index, mut rate] = [None::<Decimal>; 3];
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b's'] => seen.symbol = c.str()?,
            [b'E'] => seen.ts = Some(Ts::from_ms(c.i64()?)),
            [b'p'] => mark = c.decimal_opt()?,
            [b'i'] => index = c.decimal_opt()?,
            [b'r'] => rate = c.decimal_opt()?,
            [b'T'] => at = Some(c.i64()?).filter(|ms| *ms > 0).map(Ts::from_ms),
            [b'P'] | b"ap" | b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("markPriceUpdate", other, c.skip()?),
        }
        Ok(())
    })?;
    let funding = rate.map(|rate| Funding { rate, at, next_rate: None });
    Ok((seen, Marks { mark: mark.ok_or(missing("p"))?, index, funding }))
}

/// `{"e":"forceOrder","E":1760000004000,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.500","p":"63500.00","ap":"63520.10","X":"FILLED","l":"0.500","z":"0.500","T":1760000003990}}`
pub fn liquidation<'a>(c: &mut Cursor<'a>, odd: &mut Odd) -> Result<(Seen<'a>, Body)> {
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let mut order = None;
    c.object(|c, key| {
        match key {
            [b'e'] => seen.kind = c.str()?,
            [b'E'] | b"ps" | b"st" => c.skip().map(drop)?,
            [b'o'] => order = Some(forced(c, &mut seen, odd)?),
            other => odd.note("forceOrder", other, c.skip()?),
        }
        Ok(())
    })?;
    Ok((seen, Body::Liquidation(Box::new(order.ok_or(missing("o"))?))))
}

fn forced<'a>(c: &mut Cursor<'a>, seen: &mut Seen<'a>, odd: &mut Odd) -> Result<Liquidation> {
    let mut side = b"".as_slice();
    let [mut px, mut qty, mut avg_px] = [None::<Decimal>; 3];
    c.object(|c, key| {
        match key {
            [b's'] => seen.symbol = c.str()?,
            [b'S'] => side = c.str()?,
            [b'p'] => px = c.decimal_opt()?,
            [b'q'] => qty = c.decimal_opt()?,
            b"ap" => avg_px = c.decimal_opt()?.filter(|px| !px.is_zero()),
            [b'T'] => seen.ts = Some(Ts::from_ms(c.i64()?)),
            [b'o' | b'f' | b'X' | b'l' | b'z'] | b"ps" | b"st" => c.skip().map(drop)?,
            other => odd.note("forceOrder.o", other, c.skip()?),
        }
        Ok(())
    })?;
    let side = match side {
        b"BUY" => Side::Bid,
        b"SELL" => Side::Ask,
        b"" => return Err(missing("S")),
        other => {
            odd.value("forceOrder.o", "S", other);
            return Err(missing("S"));
        }
    };
    Ok(Liquidation { side, px: px.ok_or(missing("p"))?, qty: qty.ok_or(missing("q"))?, avg_px })
}

/// `{"openInterest":"10659.509","symbol":"BTCUSDT","time":1760000000000}`
///
/// COIN-M has `pair` and `contractType` besides and counts contracts.
pub fn open_interest<'a>(body: &'a [u8], odd: &mut Odd) -> Result<(Seen<'a>, Body)> {
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let mut qty = None;
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"openInterest" => qty = Some(c.decimal()?),
            b"symbol" => seen.symbol = c.str()?,
            b"time" => seen.ts = Some(Ts::from_ms(c.i64()?)),
            b"pair" | b"contractType" => c.skip().map(drop)?,
            other => odd.note("openInterest", other, c.skip()?),
        }
        Ok(())
    })?;
    c.end()?;
    Ok((seen, Body::OpenInterest(OpenInterest { qty: qty.ok_or(missing("openInterest"))?, value: None })))
}

/// `[{"symbol":"BTCUSDT","longAccount":"0.6622","longShortRatio":"1.9603","shortAccount":"0.3378","timestamp":1760000100000}]`
///
/// Oldest first; shares of accounts over 5 minutes. COIN-M has `pair` in place of `symbol`.
pub fn ratios(body: &[u8], odd: &mut Odd) -> Result<Vec<Told>> {
    let mut all = Vec::new();
    let mut c = Cursor::new(body);
    c.array(|c| {
        let mut ts = None;
        let [mut ratio, mut long, mut short] = [None::<Decimal>; 3];
        c.object(|c, key| {
            match key {
                b"longShortRatio" => ratio = Some(c.decimal()?),
                b"longAccount" => long = c.decimal_opt()?,
                b"shortAccount" => short = c.decimal_opt()?,
                b"timestamp" => ts = Some(Ts::from_ms(c.i64()?)),
                b"symbol" | b"pair" => c.skip().map(drop)?,
                other => odd.note("globalLongShortAccountRatio", other, c.skip()?),
            }
            Ok(())
        })?;
        let ratio = Some(ratio.ok_or(missing("longShortRatio"))?);
        let ts = Some(ts.ok_or(missing("timestamp"))?);
        let body = LongShortRatio { of: "accounts".into(), interval: "5m".into(), ratio, long, short };
        all.push((ts, Body::LongShortRatio(Box::new(body))));
        Ok(())
    })?;
    c.end()?;
    Ok(all)
}
