//! Payloads as the venue writes them.

use super::best_first;
use super::world::Print;
use model::{Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::Listed;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A mantissa with all digits of its scale, as the venue writes them.
fn padded(mantissa: i64, scale: u8) -> String {
    let mut text = Vec::new();
    write_mantissa(mantissa, scale, &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let have = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    if scale > 0 && have == 0 {
        text.push('.');
    }
    text.push_str(&"0".repeat(usize::from(scale).saturating_sub(have)));
    text
}

fn px(one: &Listed, px: Px) -> String {
    padded(px.0, one.instrument.px_scale)
}

fn qty(one: &Listed, qty: Qty) -> String {
    padded(qty.0, one.instrument.qty_scale)
}

fn levels(one: &Listed, levels: impl Iterator<Item = Level>) -> String {
    let mut text = "[".to_owned();
    for (n, level) in levels.enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[\"{}\",\"{}\"]", px(one, level.px), qty(one, level.qty));
    }
    text.push(']');
    text
}

/// Which section an instrument of the merged futures belongs to.
fn section(one: &Listed) -> u8 {
    if &*one.instrument.product == "coinm" { 2 } else { 1 }
}

fn pair(one: &Listed) -> &str {
    one.instrument.symbol.split('_').next().unwrap_or_default()
}

/// See the parser for the payload.
pub(super) fn trade(one: &Listed, print: &Print, futures: bool, now: Ts) -> String {
    let tail = if futures { "\"X\":\"MARKET\",\"m\":" } else { "\"m\":" };
    let made = print.aggressor == Side::Ask;
    let end = if futures { "" } else { ",\"M\":true" };
    format!(
        "{{\"e\":\"trade\",\"E\":{},\"T\":{},\"s\":\"{}\",\"t\":{},\"p\":\"{}\",\"q\":\"{}\",{tail}{made}{end}}}",
        now.as_ms(),
        print.ts.as_ms(),
        one.instrument.symbol,
        print.id,
        px(one, print.px),
        qty(one, print.qty),
    )
}

/// See the parser for the payload.
pub(super) fn agg_trade(one: &Listed, print: &Print, futures: bool, now: Ts) -> String {
    let end = if futures { format!(",\"st\":{}", section(one)) } else { ",\"M\":true".to_owned() };
    format!(
        "{{\"e\":\"aggTrade\",\"E\":{},\"s\":\"{}\",\"a\":{id},\"p\":\"{}\",\"q\":\"{}\",\"f\":{id},\"l\":{id},\"T\":{},\"m\":{}{end}}}",
        now.as_ms(),
        one.instrument.symbol,
        px(one, print.px),
        qty(one, print.qty),
        print.ts.as_ms(),
        print.aggressor == Side::Ask,
        id = print.id,
    )
}

/// See the parser for the payload.
pub(super) fn quote(
    one: &Listed,
    (bid, ask): (Option<Level>, Option<Level>),
    id: u64,
    futures: bool,
    now: Ts,
) -> String {
    let level = |level: Option<Level>| {
        let level = level.unwrap_or(Level { px: Px(0), qty: Qty(0) });
        (px(one, level.px), qty(one, level.qty))
    };
    let ((bid_px, bid_qty), (ask_px, ask_qty)) = (level(bid), level(ask));
    let symbol = &one.instrument.symbol;
    let best = format!("\"b\":\"{bid_px}\",\"B\":\"{bid_qty}\",\"a\":\"{ask_px}\",\"A\":\"{ask_qty}\"");
    if !futures {
        return format!("{{\"u\":{id},\"s\":\"{symbol}\",{best}}}");
    }
    let (ms, pair, st) = (now.as_ms(), pair(one), section(one));
    format!(
        "{{\"e\":\"bookTicker\",\"u\":{id},\"E\":{ms},\"T\":{ms},\"s\":\"{symbol}\",\"ps\":\"{pair}\",{best},\"st\":{st}}}"
    )
}

/// See the parser for the payload. `ids` are `U`, `u` and `pu`.
pub(super) fn delta(
    one: &Listed,
    changed: &BTreeMap<(bool, Px), Qty>,
    (first, last, before): (u64, u64, u64),
    futures: bool,
    now: Ts,
) -> String {
    let side = |bid: bool| {
        let of_side = changed.iter().filter(move |((b, _), _)| *b == bid);
        levels(one, of_side.map(|((_, px), qty)| Level { px: *px, qty: *qty }))
    };
    let (ms, symbol) = (now.as_ms(), &one.instrument.symbol);
    let head = if futures {
        format!("\"T\":{ms},\"s\":\"{symbol}\",\"ps\":\"{}\",\"st\":{}", pair(one), section(one))
    } else {
        format!("\"s\":\"{symbol}\"")
    };
    let before = if futures { format!(",\"pu\":{before}") } else { String::new() };
    format!(
        "{{\"e\":\"depthUpdate\",\"E\":{ms},{head},\"U\":{first},\"u\":{last}{before},\"b\":{},\"a\":{}}}",
        side(true),
        side(false)
    )
}

/// The best levels, whole.
pub(super) fn top(one: &Listed, depth: usize, id: u64, futures: bool, now: Ts) -> String {
    let (bids, asks) = best_first(one);
    let (bids, asks) = (levels(one, bids.into_iter().take(depth)), levels(one, asks.into_iter().take(depth)));
    let (ms, symbol) = (now.as_ms(), &one.instrument.symbol);
    if futures {
        let (pair, st) = (pair(one), section(one));
        return format!(
            "{{\"e\":\"depthUpdate\",\"E\":{ms},\"T\":{ms},\"s\":\"{symbol}\",\"ps\":\"{pair}\",\"st\":{st},\"U\":{id},\"u\":{id},\"pu\":{id},\"b\":{bids},\"a\":{asks}}}"
        );
    }
    format!("{{\"lastUpdateId\":{id},\"bids\":{bids},\"asks\":{asks}}}")
}

/// A REST book.
pub(super) fn depth(one: &Listed, bids: &[Level], asks: &[Level], id: u64, futures: bool, now: Ts) -> String {
    let times = if futures { format!("\"E\":{0},\"T\":{0},", now.as_ms()) } else { String::new() };
    let (bids, asks) = (levels(one, bids.iter().copied()), levels(one, asks.iter().copied()));
    format!("{{\"lastUpdateId\":{id},{times}\"bids\":{bids},\"asks\":{asks}}}")
}

/// Summed quantity and money as texts.
fn sums(one: &Listed) -> (String, String) {
    let (p, q) = (one.instrument.px_scale, one.instrument.qty_scale);
    (model::Decimal::new(one.volume, q).to_string(), model::Decimal::new(one.turnover, p + q).to_string())
}

/// See the parser for the payload.
pub(super) fn ticker(one: &Listed, futures: bool, now: Ts) -> String {
    let (open, high, low) = one.range;
    let (volume, turnover) = sums(one);
    let ms = now.as_ms();
    let change = Px(one.last.0.0 - open.0);
    let spot = if futures {
        String::new()
    } else {
        let (bids, asks) = best_first(one);
        let zero = Level { px: Px(0), qty: Qty(0) };
        let (bid, ask) = (bids.first().unwrap_or(&zero), asks.first().unwrap_or(&zero));
        format!(
            "\"x\":\"{}\",\"b\":\"{}\",\"B\":\"{}\",\"a\":\"{}\",\"A\":\"{}\",",
            px(one, open),
            px(one, bid.px),
            qty(one, bid.qty),
            px(one, ask.px),
            qty(one, ask.qty)
        )
    };
    format!(
        "{{\"e\":\"24hrTicker\",\"E\":{ms},\"s\":\"{}\",\"p\":\"{}\",\"P\":\"0.000\",\"w\":\"{last}\",{spot}\"c\":\"{last}\",\"Q\":\"{}\",\"o\":\"{}\",\"h\":\"{}\",\"l\":\"{}\",\"v\":\"{volume}\",\"q\":\"{turnover}\",\"O\":{},\"C\":{ms},\"F\":0,\"L\":{n},\"n\":{n}}}",
        one.instrument.symbol,
        px(one, change),
        qty(one, one.last.1),
        px(one, open),
        px(one, high),
        px(one, low),
        ms - 86_400_000,
        last = px(one, one.last.0),
        n = one.trades,
    )
}

/// How long a bar of that name is, in ms.
pub(super) fn interval_ms(name: &str) -> Option<i64> {
    let (number, unit) = name.split_at_checked(name.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|n| (1..=30).contains(n)).map(|n| n * unit)
}

/// See the parser for the payload. The bar holds the last trade alone.
pub(super) fn kline(one: &Listed, interval: &str, now: Ts) -> String {
    let length = interval_ms(interval).unwrap_or(60_000);
    let start = now.as_ms().div_euclid(length) * length;
    let end = start + length - 1;
    let last = px(one, one.last.0);
    let volume = qty(one, one.last.1);
    let closed = now.as_ms() + 1_000 > end;
    let symbol = &one.instrument.symbol;
    format!(
        "{{\"e\":\"kline\",\"E\":{},\"s\":\"{symbol}\",\"k\":{{\"t\":{start},\"T\":{end},\"s\":\"{symbol}\",\"i\":\"{interval}\",\"f\":{n},\"L\":{n},\"o\":\"{last}\",\"c\":\"{last}\",\"h\":\"{last}\",\"l\":\"{last}\",\"v\":\"{volume}\",\"n\":1,\"x\":{closed},\"q\":\"0\",\"V\":\"{volume}\",\"Q\":\"0\",\"B\":\"0\"}}}}",
        now.as_ms(),
        n = one.trades,
    )
}

/// See the parser for the payload.
pub(super) fn mark(one: &Listed, now: Ts) -> String {
    let price = px(one, one.last.0);
    let next = (now.as_ms().div_euclid(28_800_000) + 1) * 28_800_000;
    let (rate, next) = if one.instrument.expiry.is_some() { ("", 0) } else { ("0.00010000", next) };
    format!(
        "{{\"e\":\"markPriceUpdate\",\"E\":{},\"s\":\"{}\",\"p\":\"{price}5\",\"ap\":\"{price}\",\"i\":\"{price}25\",\"P\":\"{price}\",\"r\":\"{rate}\",\"T\":{next},\"st\":{}}}",
        now.as_ms(),
        one.instrument.symbol,
        section(one),
    )
}

/// See the parser for the payload.
pub(super) fn liquidation(one: &Listed, print: &Print, now: Ts) -> String {
    let side = if print.aggressor == Side::Bid { "BUY" } else { "SELL" };
    let (price, quantity) = (px(one, print.px), qty(one, print.qty));
    format!(
        "{{\"e\":\"forceOrder\",\"E\":{ms},\"o\":{{\"s\":\"{}\",\"S\":\"{side}\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"{quantity}\",\"p\":\"{price}\",\"ap\":\"{price}\",\"X\":\"FILLED\",\"l\":\"{quantity}\",\"z\":\"{quantity}\",\"T\":{ms}}}}}",
        one.instrument.symbol,
        ms = now.as_ms(),
    )
}
