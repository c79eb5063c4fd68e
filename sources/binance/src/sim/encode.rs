//! Payloads as the venue writes them; the parser's documentation shows each.

use super::bars::Bar;
use super::feeds::best_levels;
use super::rows::{ONBOARD_MS, Row};
use super::world::Print;
use model::{Decimal, Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::Listed;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many digits spot writes behind the point at least.
const SPOT_DIGITS: usize = 8;
/// What a COIN-M contract is worth, in dollars.
const CONTRACT: i128 = 100;
/// How often funding is paid, in ms.
const FUNDING_MS: i64 = 28_800_000;

/// A number with so many digits behind the point at least.
pub(super) fn padded(mantissa: i64, scale: u8, digits: usize) -> String {
    let mut text = Vec::with_capacity(24);
    write_mantissa(mantissa, scale, &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let have = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    if digits > 0 && have == 0 {
        text.push('.');
    }
    text.push_str(&"0".repeat(digits.saturating_sub(have)));
    text
}

/// How many digits the venue writes of numbers in such steps.
fn digits(one: &Listed, step: Option<Decimal>) -> usize {
    if is_futures(one) { usize::from(step.map_or(0, Decimal::scale)) } else { SPOT_DIGITS }
}

pub(super) fn px(one: &Listed, px: Px) -> String {
    padded(px.0, one.instrument.px_scale, digits(one, one.instrument.tick))
}

pub(super) fn qty(one: &Listed, qty: Qty) -> String {
    padded(qty.0, one.instrument.qty_scale, digits(one, one.instrument.lot))
}

fn is_futures(one: &Listed) -> bool {
    &*one.instrument.product != "spot"
}

fn levels(one: &Listed, levels: impl IntoIterator<Item = Level>) -> String {
    let mut text = "[".to_owned();
    for (n, level) in levels.into_iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[\"{}\",\"{}\"]", px(one, level.px), qty(one, level.qty));
    }
    text.push(']');
    text
}

pub(super) fn is_inverse(one: &Listed) -> bool {
    &*one.instrument.product == "coinm"
}

/// The section's number in payloads of futures.
fn section(one: &Listed) -> u8 {
    if is_inverse(one) { 2 } else { 1 }
}

/// What payloads of futures end with since both sections share streams of all instruments.
fn marks_of(one: &Listed) -> String {
    if is_futures(one) { format!(",\"ps\":\"{}\",\"st\":{}", pair(one), section(one)) } else { String::new() }
}

fn pair(one: &Listed) -> &str {
    one.instrument.symbol.split('_').next().unwrap_or_default()
}

/// Summed quantity, and money: of COIN-M the base coins that contracts are worth.
pub(super) fn sums(one: &Listed, volume: i128, turnover: i128) -> (String, String) {
    let (p, q) = (one.instrument.px_scale, one.instrument.qty_scale);
    let money = if is_inverse(one) {
        let unit = 10_i128.pow(8 + u32::from(p));
        Decimal::new(volume * CONTRACT * unit / i128::from(one.last.0.0.max(1)), 8)
    } else {
        Decimal::new(turnover, p + q)
    };
    (Decimal::new(volume, q).to_string(), money.to_string())
}

pub(super) fn trade(one: &Listed, print: &Print, futures: bool, now: Ts) -> String {
    let (ms, ts, symbol, id) = (now.as_ms(), print.ts.as_ms(), &one.instrument.symbol, print.id);
    let (px, qty, made) = (px(one, print.px), qty(one, print.qty), print.aggressor == Side::Ask);
    if futures {
        return format!(
            "{{\"e\":\"trade\",\"E\":{ms},\"T\":{ts},\"s\":\"{symbol}\",\"t\":{id},\"p\":\"{px}\",\"q\":\"{qty}\",\"X\":\"MARKET\",\"m\":{made}}}"
        );
    }
    format!(
        "{{\"e\":\"trade\",\"E\":{ms},\"s\":\"{symbol}\",\"t\":{id},\"p\":\"{px}\",\"q\":\"{qty}\",\"T\":{ts},\"m\":{made},\"M\":true}}"
    )
}

/// The row that only uses up an id.
pub(super) fn placeholder(one: &Listed, print: &Print, now: Ts) -> String {
    let (ms, ts, symbol, id) = (now.as_ms(), print.ts.as_ms(), &one.instrument.symbol, print.id + 1);
    format!(
        "{{\"e\":\"trade\",\"E\":{ms},\"T\":{ts},\"s\":\"{symbol}\",\"t\":{id},\"p\":\"0\",\"q\":\"0\",\"X\":\"NA\",\"m\":true}}"
    )
}

pub(super) fn agg_trade(one: &Listed, print: &Print, futures: bool, now: Ts) -> String {
    let (ms, ts, symbol) = (now.as_ms(), print.ts.as_ms(), &one.instrument.symbol);
    let (px, qty, made) = (px(one, print.px), qty(one, print.qty), print.aggressor == Side::Ask);
    let (merged, id) = (print.merged_id, print.id);
    if futures {
        let st = section(one);
        return format!(
            "{{\"e\":\"aggTrade\",\"E\":{ms},\"a\":{merged},\"s\":\"{symbol}\",\"p\":\"{px}\",\"q\":\"{qty}\",\"nq\":\"{qty}\",\"f\":{id},\"l\":{id},\"T\":{ts},\"m\":{made},\"st\":{st}}}"
        );
    }
    format!(
        "{{\"e\":\"aggTrade\",\"E\":{ms},\"s\":\"{symbol}\",\"a\":{merged},\"p\":\"{px}\",\"q\":\"{qty}\",\"f\":{id},\"l\":{id},\"T\":{ts},\"m\":{made},\"M\":true}}"
    )
}

pub(super) fn quote(
    one: &Listed,
    (bid, ask): (Option<Level>, Option<Level>),
    id: u64,
    futures: bool,
    now: Ts,
) -> String {
    let text = |level: Option<Level>| {
        let level = level.unwrap_or(Level { px: Px(0), qty: Qty(0) });
        (px(one, level.px), qty(one, level.qty))
    };
    let ((bid_px, bid_qty), (ask_px, ask_qty)) = (text(bid), text(ask));
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

/// `ids` are `U`, `u` and `pu`.
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
    let (ms, symbol, bids, asks) = (now.as_ms(), &one.instrument.symbol, side(true), side(false));
    if futures {
        let (pair, st) = (pair(one), section(one));
        return format!(
            "{{\"e\":\"depthUpdate\",\"E\":{ms},\"T\":{ms},\"s\":\"{symbol}\",\"ps\":\"{pair}\",\"st\":{st},\"U\":{first},\"u\":{last},\"pu\":{before},\"b\":{bids},\"a\":{asks}}}"
        );
    }
    format!(
        "{{\"e\":\"depthUpdate\",\"E\":{ms},\"s\":\"{symbol}\",\"U\":{first},\"u\":{last},\"b\":{bids},\"a\":{asks}}}"
    )
}

/// The best levels, whole.
pub(super) fn top(one: &Listed, depth: usize, id: u64, futures: bool, now: Ts) -> String {
    let (bids, asks) = best_levels(one, depth);
    let (bids, asks) = (levels(one, bids), levels(one, asks));
    if futures {
        let (ms, symbol, pair, st) = (now.as_ms(), &one.instrument.symbol, pair(one), section(one));
        return format!(
            "{{\"e\":\"depthUpdate\",\"E\":{ms},\"T\":{ms},\"s\":\"{symbol}\",\"ps\":\"{pair}\",\"st\":{st},\"U\":{id},\"u\":{id},\"pu\":{id},\"b\":{bids},\"a\":{asks}}}"
        );
    }
    format!("{{\"lastUpdateId\":{id},\"bids\":{bids},\"asks\":{asks}}}")
}

/// A REST book; COIN-M names the symbol.
pub(super) fn depth(one: &Listed, bids: &[Level], asks: &[Level], id: u64, futures: bool, now: Ts) -> String {
    let times = if futures { format!("\"E\":{0},\"T\":{0},", now.as_ms()) } else { String::new() };
    let symbol = if is_inverse(one) {
        format!("\"symbol\":\"{}\",\"pair\":\"{}\",", one.instrument.symbol, pair(one))
    } else {
        String::new()
    };
    let (bids, asks) = (levels(one, bids.iter().copied()), levels(one, asks.iter().copied()));
    format!("{{\"lastUpdateId\":{id},{times}{symbol}\"bids\":{bids},\"asks\":{asks}}}")
}

/// The change since the market opened in percent, with three digits.
pub(super) fn percent(one: &Listed) -> String {
    let open = one.range.0.0.max(1);
    padded((one.last.0.0 - open).saturating_mul(100_000) / open, 3, 3)
}

pub(super) fn ticker(one: &Listed, futures: bool, now: Ts) -> String {
    let (open, high, low) = one.range;
    let (volume, turnover) = sums(one, one.volume, one.turnover);
    let (ms, symbol, n) = (now.as_ms(), &one.instrument.symbol, one.trades);
    let last = px(one, one.last.0);
    let spot = if futures {
        String::new()
    } else {
        let (bids, asks) = best_levels(one, 1);
        let zero = Level { px: Px(0), qty: Qty(0) };
        let (bid, ask) = (bids.first().unwrap_or(&zero), asks.first().unwrap_or(&zero));
        let ((b, bq), (a, aq)) = ((px(one, bid.px), qty(one, bid.qty)), (px(one, ask.px), qty(one, ask.qty)));
        format!("\"x\":\"{}\",\"b\":\"{b}\",\"B\":\"{bq}\",\"a\":\"{a}\",\"A\":\"{aq}\",", px(one, open))
    };
    let head = format!(
        "\"e\":\"24hrTicker\",\"E\":{ms},\"s\":\"{symbol}\",\"p\":\"{}\",\"P\":\"{}\",\"w\":\"{last}\"",
        px(one, Px(one.last.0.0 - open.0)),
        percent(one)
    );
    let range = format!("\"o\":\"{}\",\"h\":\"{}\",\"l\":\"{}\"", px(one, open), px(one, high), px(one, low));
    let first = if n == 0 { -1 } else { 1 };
    format!(
        "{{{head},{spot}\"c\":\"{last}\",\"Q\":\"{}\",{range},\"v\":\"{volume}\",\"q\":\"{turnover}\",\"O\":{},\"C\":{ms},\"F\":{first},\"L\":{n},\"n\":{n}{}}}",
        qty(one, one.last.1),
        ms - 86_400_000,
        marks_of(one),
    )
}

/// The short statistics of 24 hours.
pub(super) fn mini_ticker(one: &Listed, now: Ts) -> String {
    let (open, high, low) = one.range;
    let (volume, turnover) = sums(one, one.volume, one.turnover);
    let [last, open, high, low] = [one.last.0, open, high, low].map(|p| px(one, p));
    format!(
        "{{\"e\":\"24hrMiniTicker\",\"E\":{},\"s\":\"{}\",\"c\":\"{last}\",\"o\":\"{open}\",\"h\":\"{high}\",\"l\":\"{low}\",\"v\":\"{volume}\",\"q\":\"{turnover}\"{}}}",
        now.as_ms(),
        one.instrument.symbol,
        marks_of(one),
    )
}

/// What is told of a contract when it changes.
pub(super) fn contract(one: &Listed, row: &Row, now: Ts) -> String {
    let (kind, date) = row.contract();
    format!(
        "{{\"e\":\"contractInfo\",\"E\":{},\"s\":\"{}\",\"ct\":\"{kind}\",\"dt\":{date},\"ot\":{ONBOARD_MS},\"cs\":\"{}\"{}}}",
        now.as_ms(),
        one.instrument.symbol,
        row.status,
        marks_of(one),
    )
}

/// Open, high, low and close.
fn prices(one: &Listed, bar: &Bar) -> [String; 4] {
    [bar.open, bar.high, bar.low, bar.close].map(|p| px(one, p))
}

/// Quantity and money, of all takers and of those who bought.
fn taken(one: &Listed, bar: &Bar) -> [(String, String); 2] {
    let [all, bought] = bar.volume;
    let [money, bought_money] = bar.turnover;
    [sums(one, all, money), sums(one, bought, bought_money)]
}

pub(super) fn kline(one: &Listed, name: &str, bar: &Bar, closed: bool, now: Ts) -> String {
    let (first, last) = bar.ids.map_or((-1, -1), |(first, last)| (first as i64, last as i64));
    let [open, high, low, close] = prices(one, bar);
    let [(volume, money), (bought, bought_money)] = taken(one, bar);
    let (ms, symbol, trades) = (now.as_ms(), &one.instrument.symbol, bar.trades);
    let times = format!("\"t\":{},\"T\":{}", bar.start_ms, bar.end_ms);
    format!(
        "{{\"e\":\"kline\",\"E\":{ms},\"s\":\"{symbol}\",\"k\":{{{times},\"s\":\"{symbol}\",\"i\":\"{name}\",\"f\":{first},\"L\":{last},\"o\":\"{open}\",\"c\":\"{close}\",\"h\":\"{high}\",\"l\":\"{low}\",\"v\":\"{volume}\",\"n\":{trades},\"x\":{closed},\"q\":\"{money}\",\"V\":\"{bought}\",\"Q\":\"{bought_money}\",\"B\":\"0\"}}}}"
    )
}

/// A row of REST bars.
pub(super) fn kline_row(one: &Listed, bar: &Bar) -> String {
    let [open, high, low, close] = prices(one, bar);
    let [(volume, money), (bought, bought_money)] = taken(one, bar);
    format!(
        "[{},\"{open}\",\"{high}\",\"{low}\",\"{close}\",\"{volume}\",{},\"{money}\",{},\"{bought}\",\"{bought_money}\",\"0\"]",
        bar.start_ms, bar.end_ms, bar.trades
    )
}

/// Mark price, index price, funding rate and when it is paid; a dated future has no funding.
pub(super) struct Marks {
    pub mark: String,
    pub index: String,
    pub rate: &'static str,
    pub next: i64,
}

pub(super) fn marks(one: &Listed, now: Ts) -> Marks {
    let scale = one.instrument.px_scale.min(12) + 4;
    let last = i128::from(one.last.0.0) * 10_000;
    let text = |off: i128| Decimal::new(last + last / 100_000 * off + 1, scale).to_string();
    let next = (now.as_ms().div_euclid(FUNDING_MS) + 1) * FUNDING_MS;
    let (rate, next) = if one.instrument.expiry.is_some() { ("", 0) } else { ("0.00010000", next) };
    Marks { mark: text(2), index: text(-3), rate, next }
}

pub(super) fn mark(one: &Listed, now: Ts) -> String {
    let Marks { mark, index, rate, next } = marks(one, now);
    let (ms, symbol, st) = (now.as_ms(), &one.instrument.symbol, section(one));
    format!(
        "{{\"e\":\"markPriceUpdate\",\"E\":{ms},\"s\":\"{symbol}\",\"p\":\"{mark}\",\"ap\":\"{mark}\",\"i\":\"{index}\",\"P\":\"{index}\",\"r\":\"{rate}\",\"T\":{next},\"st\":{st}}}"
    )
}

pub(super) fn liquidation(one: &Listed, print: &Print, now: Ts) -> String {
    let side = if print.aggressor == Side::Bid { "BUY" } else { "SELL" };
    let (ms, symbol, price, quantity) =
        (now.as_ms(), &one.instrument.symbol, px(one, print.px), qty(one, print.qty));
    format!(
        "{{\"e\":\"forceOrder\",\"E\":{ms},\"o\":{{\"s\":\"{symbol}\",\"S\":\"{side}\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"{quantity}\",\"p\":\"{price}\",\"ap\":\"{price}\",\"X\":\"FILLED\",\"l\":\"{quantity}\",\"z\":\"{quantity}\",\"T\":{}}}{}}}",
        print.ts.as_ms(),
        marks_of(one),
    )
}
