//! The venue's frames. Those of Advanced Trade are made without the envelope, which each connection counts by itself.

use super::world::{Ohlcv, Print, Shown};
use crate::time;
use model::{Instrument, Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::Listed;
use std::fmt::Write;

/// A price as text.
pub(super) fn px(px: Px, instrument: &Instrument) -> String {
    text(px.0, instrument.px_scale)
}

/// A quantity as text.
pub(super) fn qty(qty: Qty, instrument: &Instrument) -> String {
    text(qty.0, instrument.qty_scale)
}

fn text(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::new();
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// A summed quantity as text.
pub(super) fn volume(sum: i128, instrument: &Instrument) -> String {
    model::Decimal::new(sum, instrument.qty_scale).to_string()
}

/// The maker's side, which is what the venue tells.
pub(super) const fn maker(aggressor: Side) -> Side {
    match aggressor {
        Side::Bid => Side::Ask,
        Side::Ask => Side::Bid,
    }
}

fn joined(rows: impl Iterator<Item = String>) -> String {
    rows.collect::<Vec<_>>().join(",")
}

/// A frame of Advanced Trade around its events.
pub(super) fn envelope(channel: &str, seq: u64, events: &str, now: Ts) -> Vec<u8> {
    let ts = time::write(now, 9);
    format!(
        r#"{{"channel":"{channel}","client_id":"","timestamp":"{ts}","sequence_num":{seq},"events":[{events}]}}"#
    )
    .into_bytes()
}

/// The event of a changed book.
pub(super) fn update(instrument: &Instrument, changes: &[(Side, Level)], now: Ts) -> String {
    let ts = time::write(now, 6);
    let rows = joined(changes.iter().map(|(side, level)| level_row(instrument, *side, *level, &ts)));
    format!(r#"{{"type":"update","product_id":"{}","updates":[{rows}]}}"#, instrument.symbol)
}

/// The event of a whole book; its levels are of 1970.
pub(super) fn snapshot(instrument: &Instrument, shown: &Shown) -> String {
    let side = |levels: Vec<Level>, side: Side| {
        let row = move |level: Level| level_row(instrument, side, level, "1970-01-01T00:00:00Z");
        levels.into_iter().map(row)
    };
    let rows = joined(side(shown.bids(usize::MAX), Side::Bid).chain(side(shown.asks(usize::MAX), Side::Ask)));
    format!(r#"{{"type":"snapshot","product_id":"{}","updates":[{rows}]}}"#, instrument.symbol)
}

fn level_row(instrument: &Instrument, side: Side, level: Level, ts: &str) -> String {
    let side = if side == Side::Bid { "bid" } else { "offer" };
    let (px, qty) = (px(level.px, instrument), qty(level.qty, instrument));
    format!(r#"{{"side":"{side}","event_time":"{ts}","price_level":"{px}","new_quantity":"{qty}"}}"#)
}

/// A trade of Advanced Trade, in a frame and in an answer.
pub(super) fn trade_row(instrument: &Instrument, print: &Print) -> String {
    let side = if maker(print.aggressor) == Side::Bid { "BUY" } else { "SELL" };
    let (px, qty) = (px(print.px, instrument), qty(print.qty, instrument));
    format!(
        r#"{{"product_id":"{}","trade_id":"{}","price":"{px}","size":"{qty}","time":"{}","side":"{side}"}}"#,
        instrument.symbol,
        print.id,
        time::write(print.ts, 6)
    )
}

/// The event of trades, in the order given.
pub(super) fn trades<'p>(
    kind: &str,
    instrument: &Instrument,
    prints: impl Iterator<Item = &'p Print>,
) -> String {
    let rows = joined(prints.map(|print| trade_row(instrument, print)));
    format!(r#"{{"type":"{kind}","trades":[{rows}]}}"#)
}

/// Best bid and ask with their quantities, as text; empty where there is none.
fn best(one: &Listed) -> [(String, String); 2] {
    let instrument = &one.instrument;
    let level = |found: Option<(&Px, &Qty)>| {
        found.map(|(p, q)| (px(*p, instrument), qty(*q, instrument))).unwrap_or_default()
    };
    [level(one.bids.last_key_value()), level(one.asks.first_key_value())]
}

/// The event of a ticker; the batched one has no quotes.
pub(super) fn ticker(kind: &str, one: &Listed, quotes: bool) -> String {
    let instrument = &one.instrument;
    let (open, high, low) = one.range;
    let mut row = format!(
        r#"{{"type":"ticker","product_id":"{}","price":"{}","volume_24_h":"{}","low_24_h":"{}","high_24_h":"{}","low_52_w":"{}","high_52_w":"{}","price_percent_chg_24_h":"0.1""#,
        instrument.symbol,
        px(one.last.0, instrument),
        volume(one.volume, instrument),
        px(low, instrument),
        px(high, instrument),
        px(low.min(open), instrument),
        px(high.max(open), instrument)
    );
    if quotes {
        let [(bid, bid_qty), (ask, ask_qty)] = best(one);
        let _ = write!(
            row,
            r#","best_bid":"{bid}","best_ask":"{ask}","best_bid_quantity":"{bid_qty}","best_ask_quantity":"{ask_qty}""#
        );
    }
    format!(r#"{{"type":"{kind}","tickers":[{row}}}]}}"#)
}

/// A bar of Advanced Trade, in a frame and in an answer.
pub(super) fn candle_row(instrument: &Instrument, start: i64, bar: &Ohlcv, named: bool) -> String {
    let product = if named { format!(r#","product_id":"{}""#, instrument.symbol) } else { String::new() };
    let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|p| px(p, instrument));
    format!(
        r#"{{"start":"{start}","high":"{high}","low":"{low}","open":"{open}","close":"{close}","volume":"{}"{product}}}"#,
        volume(bar.volume, instrument)
    )
}

/// The event of bars.
pub(super) fn candles(kind: &str, instrument: &Instrument, bars: &[(i64, Ohlcv)]) -> String {
    let rows = joined(bars.iter().map(|(start, bar)| candle_row(instrument, *start, bar, true)));
    format!(r#"{{"type":"{kind}","candles":[{rows}]}}"#)
}

/// A product of a status frame of either feed.
pub(super) fn status_row(instrument: &Instrument, advanced: bool) -> String {
    let (symbol, base, quote) = (&instrument.symbol, &instrument.base, &instrument.quote);
    let increment = |d: Option<model::Decimal>| d.map(|d| d.to_string()).unwrap_or_default();
    let (lot, tick) = (increment(instrument.lot), increment(instrument.tick));
    let rest =
        if advanced { r#""product_type":"SPOT","status_message":"""# } else { r#""status_message":null"# };
    format!(
        r#"{{"id":"{symbol}","base_currency":"{base}","quote_currency":"{quote}","base_increment":"{lot}","quote_increment":"{tick}","display_name":"{symbol}","status":"online","min_market_funds":"1",{rest}}}"#
    )
}

/// The whole book of Exchange.
pub(super) fn old_snapshot(instrument: &Instrument, shown: &Shown, now: Ts) -> Vec<u8> {
    let side = |levels: Vec<Level>| {
        joined(levels.iter().map(|l| format!(r#"["{}","{}"]"#, px(l.px, instrument), qty(l.qty, instrument))))
    };
    format!(
        r#"{{"type":"snapshot","product_id":"{}","asks":[{}],"bids":[{}],"time":"{}"}}"#,
        instrument.symbol,
        side(shown.asks(usize::MAX)),
        side(shown.bids(usize::MAX)),
        time::write(now, 6)
    )
    .into_bytes()
}

/// The changed levels of Exchange.
pub(super) fn old_update(instrument: &Instrument, changes: &[(Side, Level)], now: Ts) -> Vec<u8> {
    let row = |(side, level): &(Side, Level)| {
        let side = if *side == Side::Bid { "buy" } else { "sell" };
        format!(r#"["{side}","{}","{}"]"#, px(level.px, instrument), qty(level.qty, instrument))
    };
    format!(
        r#"{{"type":"l2update","product_id":"{}","changes":[{}],"time":"{}"}}"#,
        instrument.symbol,
        joined(changes.iter().map(row)),
        time::write(now, 6)
    )
    .into_bytes()
}

/// A trade of Exchange; `match`, or `last_match` for the newest one at the beginning.
pub(super) fn old_match(kind: &str, instrument: &Instrument, print: &Print) -> Vec<u8> {
    let side = if maker(print.aggressor) == Side::Bid { "buy" } else { "sell" };
    let order = |n: u64| format!("{:08x}-0000-4000-8000-{:012x}", n % 0xffff_ffff, print.seq + n);
    format!(
        r#"{{"type":"{kind}","trade_id":{},"maker_order_id":"{}","taker_order_id":"{}","side":"{side}","size":"{}","price":"{}","product_id":"{}","sequence":{},"time":"{}"}}"#,
        print.id,
        order(print.id),
        order(print.id + 1),
        qty(print.qty, instrument),
        px(print.px, instrument),
        instrument.symbol,
        print.seq,
        time::write(print.ts, 6)
    )
    .into_bytes()
}

/// The ticker of Exchange; its side is the taker's.
pub(super) fn old_ticker(one: &Listed, last: &Print) -> Vec<u8> {
    let instrument = &one.instrument;
    let [(bid, bid_qty), (ask, ask_qty)] = best(one);
    let (open, high, low) = one.range;
    let side = if last.aggressor == Side::Bid { "buy" } else { "sell" };
    let volume = volume(one.volume, instrument);
    format!(
        r#"{{"type":"ticker","sequence":{},"product_id":"{}","price":"{}","open_24h":"{}","volume_24h":"{volume}","low_24h":"{}","high_24h":"{}","volume_30d":"{volume}","best_bid":"{bid}","best_bid_size":"{bid_qty}","best_ask":"{ask}","best_ask_size":"{ask_qty}","side":"{side}","time":"{}","trade_id":{},"last_size":"{}"}}"#,
        last.seq,
        instrument.symbol,
        px(last.px, instrument),
        px(open, instrument),
        px(low, instrument),
        px(high, instrument),
        time::write(last.ts, 6),
        last.id,
        qty(last.qty, instrument)
    )
    .into_bytes()
}
