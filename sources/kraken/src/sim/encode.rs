//! Frames and rows as the venue writes them: numbers without trailing zeros; those of contracts always with a point.

use super::world::{Minute, Print, View};
use crate::ladders::Ladders;
use crate::time;
use model::{Instrument, InstrumentKind, Level, Px, Qty, Scale, Side, Ts, write_mantissa};
use source::market::Listed;

/// A number without trailing zeros.
pub fn number(mantissa: i64, scale: Scale) -> String {
    let mut text = Vec::with_capacity(24);
    write_mantissa(mantissa, scale, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// A sum without trailing zeros.
pub fn sum(mantissa: i128, scale: Scale) -> String {
    model::Decimal::new(mantissa, scale).to_string()
}

/// A number that has a point.
pub fn pointed(mantissa: i64, scale: Scale) -> String {
    let text = number(mantissa, scale);
    if text.contains('.') { text } else { format!("{text}.0") }
}

fn word(side: Side) -> &'static str {
    if side == Side::Bid { "buy" } else { "sell" }
}

fn levels(levels: &[Level], i: &Instrument) -> String {
    let one = |l: &Level| {
        format!(r#"{{"price":{},"qty":{}}}"#, number(l.px.0, i.px_scale), number(l.qty.0, i.qty_scale))
    };
    levels.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The checksum of a book of pairs.
pub fn checksum(i: &Instrument, view: &View) -> u32 {
    let mut ladders = Ladders::default();
    for (side, levels) in [(Side::Bid, &view.bids), (Side::Ask, &view.asks)] {
        for level in levels {
            ladders.set(side, *level);
        }
    }
    let digits = (i.px_scale, i.qty_scale);
    ladders.checksum(digits, digits).unwrap_or_default()
}

/// `{"channel":"book","type":"snapshot","data":[…]}`
pub fn book(kind: &str, i: &Instrument, bids: &[Level], asks: &[Level], checksum: u32, now: Ts) -> String {
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{}","bids":[{}],"asks":[{}],"checksum":{checksum},"timestamp":"{}"}}]}}"#,
        i.symbol,
        levels(bids, i),
        levels(asks, i),
        time::write(now, 6)
    )
}

/// `{"channel":"trade","type":"update","data":[…]}`
pub fn trades(kind: &str, i: &Instrument, prints: &[Print]) -> String {
    let row = |p: &Print| {
        format!(
            r#"{{"symbol":"{}","side":"{}","price":{},"qty":{},"ord_type":"{}","trade_id":{},"timestamp":"{}"}}"#,
            i.symbol,
            word(p.aggressor),
            number(p.px.0, i.px_scale),
            number(p.qty.0, i.qty_scale),
            if p.id.is_multiple_of(3) { "market" } else { "limit" },
            p.id,
            time::write(p.at, 6)
        )
    };
    let rows = prints.iter().map(row).collect::<Vec<_>>().join(",");
    format!(r#"{{"channel":"trade","type":"{kind}","data":[{rows}]}}"#)
}

/// The mean price, of as many digits as the venue gives.
pub fn mean(one: &Listed) -> String {
    let scale = one.instrument.px_scale;
    number(i64::try_from(one.turnover / one.volume.max(1)).unwrap_or(0), scale)
}

/// `{"channel":"ticker","type":"update","data":[…]}`
pub fn ticker(kind: &str, one: &Listed, now: Ts) -> String {
    let i = &*one.instrument;
    let (px, qty) = (|v: i64| number(v, i.px_scale), |v: i64| number(v, i.qty_scale));
    let best = |found: Option<(&Px, &Qty)>| found.map_or((0, 0), |(px, qty)| (px.0, qty.0));
    let ((bid, bid_qty), (ask, ask_qty)) =
        (best(one.bids.last_key_value()), best(one.asks.first_key_value()));
    let (open, high, low) = one.range;
    let change = one.last.0.0 - open.0;
    let percent = number(change * 10_000 / open.0.max(1), 2);
    format!(
        r#"{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{}","bid":{},"bid_qty":{},"ask":{},"ask_qty":{},"last":{},"volume":{},"vwap":{},"low":{},"high":{},"change":{},"change_pct":{percent},"timestamp":"{}"}}]}}"#,
        i.symbol,
        px(bid),
        qty(bid_qty),
        px(ask),
        qty(ask_qty),
        px(one.last.0.0),
        sum(one.volume, i.qty_scale),
        mean(one),
        px(low.0),
        px(high.0),
        px(change),
        time::write(now, 6)
    )
}

/// `{"channel":"ohlc","type":"update","timestamp":"…","data":[…]}`; `start` in minutes since 1970.
pub fn ohlc(kind: &str, i: &Instrument, bar: &Minute, (start, minutes): (i64, i64), now: Ts) -> String {
    let px = |v: Px| number(v.0, i.px_scale);
    let at = |minute: i64, places| time::write(Ts::from_ms(minute * 60_000), places);
    let vwap = number(i64::try_from(bar.turnover / bar.qty.max(1)).unwrap_or(0), i.px_scale);
    format!(
        r#"{{"channel":"ohlc","type":"{kind}","timestamp":"{}","data":[{{"symbol":"{}","open":{},"high":{},"low":{},"close":{},"trades":{},"volume":{},"vwap":{vwap},"interval_begin":"{}","interval":{minutes},"timestamp":"{}"}}]}}"#,
        time::write(now, 9),
        i.symbol,
        px(bar.open),
        px(bar.high),
        px(bar.low),
        px(bar.close),
        bar.trades,
        sum(bar.qty, i.qty_scale),
        at(start, 9),
        at(start + minutes, 6)
    )
}

fn contract_levels(levels: &[Level], i: &Instrument) -> String {
    let one = |l: &Level| {
        format!(r#"{{"price":{},"qty":{}}}"#, pointed(l.px.0, i.px_scale), pointed(l.qty.0, i.qty_scale))
    };
    levels.iter().map(one).collect::<Vec<_>>().join(",")
}

/// `{"feed":"book_snapshot",…}`
pub fn book_snapshot(i: &Instrument, view: &View, seq: u64, now: Ts) -> String {
    format!(
        r#"{{"feed":"book_snapshot","product_id":"{}","timestamp":{},"seq":{seq},"tickSize":null,"bids":[{}],"asks":[{}]}}"#,
        i.symbol,
        now.as_ms(),
        contract_levels(&view.bids, i),
        contract_levels(&view.asks, i)
    )
}

/// `{"feed":"book",…}`
pub fn change(i: &Instrument, side: Side, level: Level, seq: u64, now: Ts) -> String {
    format!(
        r#"{{"feed":"book","product_id":"{}","side":"{}","seq":{seq},"price":{},"qty":{},"timestamp":{}}}"#,
        i.symbol,
        word(side),
        pointed(level.px.0, i.px_scale),
        pointed(level.qty.0, i.qty_scale),
        now.as_ms()
    )
}

/// `{"feed":"trade",…}`
pub fn print(i: &Instrument, p: &Print) -> String {
    format!(
        r#"{{"feed":"trade","product_id":"{}","uid":"{}","side":"{}","type":"{}","seq":{},"time":{},"qty":{},"price":{}}}"#,
        i.symbol,
        uid(i, p),
        word(p.aggressor),
        if p.is_forced() { "liquidation" } else { "fill" },
        p.id,
        p.at.as_ms(),
        pointed(p.qty.0, i.qty_scale),
        pointed(p.px.0, i.px_scale)
    )
}

/// A trade's name, the same wherever it is told.
pub fn uid(i: &Instrument, p: &Print) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", i.id.0 & 0xffff_ffff, p.id)
}

/// `{"feed":"trade_snapshot",…}`, the newest first.
pub fn prints(i: &Instrument, newest_first: &[Print]) -> String {
    let rows = newest_first.iter().map(|p| print(i, p)).collect::<Vec<_>>().join(",");
    format!(r#"{{"feed":"trade_snapshot","product_id":"{}","trades":[{rows}]}}"#, i.symbol)
}

/// What a contract's ticker says beside its names: the fields that REST and the stream share in value.
pub struct Statistics {
    pub mark: String,
    pub index: String,
    pub open_interest: String,
    /// As a fraction, with an exponent.
    pub funding: Option<String>,
    pub next_funding: i64,
    pub matures: i64,
    pub tag: &'static str,
    pub quote_volume: String,
}

impl Statistics {
    pub fn of(one: &Listed, now: Ts) -> Self {
        let i = &*one.instrument;
        let hour = 3_600_000;
        let perpetual = i.kind == InstrumentKind::Perpetual;
        let rate = (one.last.0.0 % 997) - 498;
        Self {
            mark: pointed(one.last.0.0 * 10 + 3, i.px_scale + 1),
            index: pointed(one.last.0.0 * 10 - 4, i.px_scale + 1),
            open_interest: pointed(i64::try_from(one.trades % 1_000).unwrap_or(0) + 5_000, 0),
            funding: (perpetual && rate != 0).then(|| format!("{rate}e-7")),
            next_funding: if perpetual { (now.as_ms().div_euclid(hour) + 1) * hour } else { 0 },
            matures: i.expiry.map_or(0, Ts::as_ms),
            tag: if perpetual { "perpetual" } else { "quarter" },
            quote_volume: sum(one.turnover, i.px_scale + i.qty_scale),
        }
    }
}

/// `{"feed":"ticker",…}`, or shorter `{"feed":"ticker_lite",…}`.
pub fn statistics(one: &Listed, lite: bool, now: Ts) -> String {
    let i = &*one.instrument;
    let s = Statistics::of(one, now);
    let best = |found: Option<(&Px, &Qty)>| found.map_or((0, 0), |(px, qty)| (px.0, qty.0));
    let ((bid, bid_qty), (ask, ask_qty)) =
        (best(one.bids.last_key_value()), best(one.asks.first_key_value()));
    let (px, qty) = (|v: i64| pointed(v, i.px_scale), |v: i64| pointed(v, i.qty_scale));
    let (open, high, low) = one.range;
    let pair = format!("{}:{}", crate::names::old_coin(&i.base), i.quote);
    let volume = sum(one.volume, i.qty_scale);
    if lite {
        return format!(
            r#"{{"feed":"ticker_lite","product_id":"{}","bid":{},"ask":{},"change":0.0,"premium":0.0,"volume":{volume},"tag":"{}","pair":"{pair}","dtm":0,"maturityTime":{},"volumeQuote":{}}}"#,
            i.symbol,
            px(bid),
            px(ask),
            s.tag,
            s.matures,
            s.quote_volume
        );
    }
    let funding = s.funding.map_or(String::new(), |rate| {
        format!(
            r#""funding_rate":{rate},"funding_rate_prediction":{rate},"relative_funding_rate":{rate},"relative_funding_rate_prediction":{rate},"#
        )
    });
    let next = if s.next_funding > 0 {
        format!(r#""next_funding_rate_time":{},"#, s.next_funding)
    } else {
        String::new()
    };
    format!(
        r#"{{"time":{},"product_id":"{}",{funding}{next}"feed":"ticker","bid":{},"ask":{},"bid_size":{},"ask_size":{},"volume":{volume},"dtm":0,"leverage":"50x","index":{},"premium":0.0,"last":{},"change":0.0,"suspended":false,"tag":"{}","pair":"{pair}","openInterest":{},"markPrice":{},"maturityTime":{},"post_only":false,"volumeQuote":{},"open":{},"high":{},"low":{}}}"#,
        now.as_ms(),
        i.symbol,
        px(bid),
        px(ask),
        qty(bid_qty),
        qty(ask_qty),
        s.index,
        px(one.last.0.0),
        s.tag,
        s.open_interest,
        s.mark,
        s.matures,
        s.quote_volume,
        px(open.0),
        px(high.0),
        px(low.0)
    )
}
