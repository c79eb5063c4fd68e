//! Frames and rows of the simulated venue.

use super::world::{Print, State, Update};
use crate::product::Product;
use model::{Decimal, Instrument, Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::Listed;

/// Numbers of the venue's trades begin here.
pub(super) const TRADE_ID: u64 = 28_000_000;

fn text(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::with_capacity(24);
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn px(px: Px, i: &Instrument) -> String {
    text(px.0, i.px_scale)
}

pub(super) fn is_spot(i: &Instrument) -> bool {
    *i.product == *Product::Spot.name()
}

/// A quantity: of contracts without quotes where sizes are whole numbers.
pub(super) fn size(qty: i64, i: &Instrument, integers: bool) -> String {
    let text = text(qty, i.qty_scale);
    if integers && !is_spot(i) { text } else { format!("\"{text}\"") }
}

/// A push with its envelope.
pub(super) fn push(channel: &str, event: &str, result: &str, now: Ts) -> Vec<u8> {
    let ms = now.as_ms();
    let seconds = ms.div_euclid(1_000);
    format!(
        r#"{{"time":{seconds},"time_ms":{ms},"channel":"{channel}","event":"{event}","result":{result}}}"#
    )
    .into_bytes()
}

/// Levels as texts in arrays, or as objects.
pub(super) fn levels(all: &[Level], i: &Instrument, objects: bool, integers: bool) -> String {
    let one = |l: &Level| {
        let (px, qty) = (px(l.px, i), size(l.qty.0, i, integers));
        if objects { format!(r#"{{"p":"{px}","s":{qty}}}"#) } else { format!(r#"["{px}",{qty}]"#) }
    };
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(","))
}

/// `order_book_update`
pub(super) fn update(u: &Update, depth: usize, i: &Instrument, integers: bool) -> String {
    let spot = is_spot(i);
    let (bids, asks) = (levels(&u.bids, i, !spot, integers), levels(&u.asks, i, !spot, integers));
    let (t, s, first, last) = (u.ts.as_ms(), &i.symbol, u.first, u.last);
    let seconds = t.div_euclid(1_000);
    if spot {
        format!(
            r#"{{"t":{t},"l":"{depth}","e":"depthUpdate","E":{seconds},"s":"{s}","U":{first},"u":{last},"b":{bids},"a":{asks}}}"#
        )
    } else {
        format!(r#"{{"t":{t},"s":"{s}","U":{first},"u":{last},"b":{bids},"a":{asks},"l":"{depth}"}}"#)
    }
}

/// `obu`: a side without changes is left out; the frame has neither `event` nor `time`.
pub(super) fn pushed(
    channel: &str,
    key: &str,
    update: &Update,
    full: bool,
    i: &Instrument,
    now: Ts,
) -> Vec<u8> {
    let (at, last, ms) = (update.ts.as_ms(), update.last, now.as_ms());
    let first = if full { r#""full":true"#.to_owned() } else { format!(r#""U":{}"#, update.first) };
    let side = |name: &str, all: &[Level]| {
        if all.is_empty() { String::new() } else { format!(r#","{name}":{}"#, levels(all, i, false, false)) }
    };
    let (bids, asks) = (side("b", &update.bids), side("a", &update.asks));
    format!(
        r#"{{"channel":"{channel}","result":{{"t":{at},{first},"s":"{key}","u":{last}{bids}{asks}}},"time_ms":{ms}}}"#
    )
    .into_bytes()
}

pub(super) fn trade(p: &Print, i: &Instrument, integers: bool, rest: bool) -> String {
    let (id, px, s, symbol) = (TRADE_ID + p.id, px(p.px, i), p.ts.as_ms().div_euclid(1_000), &i.symbol);
    let (ms, side) = (p.ts.as_ms(), if p.aggressor == Side::Bid { "buy" } else { "sell" });
    if is_spot(i) {
        let (qty, market) = (text(p.qty.0, i.qty_scale), p.id);
        // The same number has another name by REST.
        let name = if rest { "sequence_id" } else { "id_market" };
        let market = if rest { format!("\"{market}\"") } else { market.to_string() };
        let id = if rest { format!("\"{id}\"") } else { id.to_string() };
        let s = if rest { format!("\"{s}\"") } else { s.to_string() };
        let range = if rest { String::new() } else { format!(r#","range":"{0}-{0}""#, p.id) };
        return format!(
            r#"{{"id":{id},"{name}":{market},"create_time":{s},"create_time_ms":"{ms}.0","side":"{side}","currency_pair":"{symbol}","amount":"{qty}","price":"{px}"{range}}}"#
        );
    }
    let signed = if p.aggressor == Side::Bid { p.qty.0 } else { -p.qty.0 };
    let size = size(signed, i, integers);
    let (time, ms) = if rest {
        (format!("{s}.{:03}", ms.rem_euclid(1_000)), format!("{s}.{:03}", ms.rem_euclid(1_000)))
    } else {
        (s.to_string(), ms.to_string())
    };
    format!(
        r#"{{"size":{size},"id":{id},"create_time":{time},"create_time_ms":{ms},"price":"{px}","contract":"{symbol}","is_internal":false}}"#
    )
}

pub(super) fn ticker(one: &Listed, state: &State) -> String {
    let i = &one.instrument;
    let (last, high, low) = (px(one.last.0, i), px(one.range.1, i), px(one.range.2, i));
    let volume = Decimal::new(one.volume, i.qty_scale);
    let turnover = Decimal::new(one.turnover, i.px_scale.saturating_add(i.qty_scale));
    let best = |side: Option<(&Px, &Qty)>| side.map_or(String::new(), |(level, _)| px(*level, i));
    let (bid, ask) = (best(one.bids.last_key_value()), best(one.asks.first_key_value()));
    let symbol = &i.symbol;
    if is_spot(i) {
        return format!(
            r#"{{"currency_pair":"{symbol}","last":"{last}","lowest_ask":"{ask}","highest_bid":"{bid}","change_percentage":"1.2","base_volume":"{volume}","quote_volume":"{turnover}","high_24h":"{high}","low_24h":"{low}"}}"#
        );
    }
    let open = state.open_interest;
    let funding = if *i.product == *Product::Delivery.name() {
        String::new()
    } else {
        r#""funding_rate":"0.0001","funding_rate_indicative":"0.0001","#.to_owned()
    };
    format!(
        r#"{{"contract":"{symbol}","last":"{last}","lowest_ask":"{ask}","highest_bid":"{bid}","change_percentage":"1.2",{funding}"mark_price":"{last}","index_price":"{last}","total_size":"{open}","volume_24h":"{volume}","volume_24h_btc":"0","volume_24h_usd":"0","quanto_base_rate":"","volume_24h_quote":"{turnover}","volume_24h_settle":"{turnover}","volume_24h_base":"{volume}","low_24h":"{low}","high_24h":"{high}"}}"#
    )
}

pub(super) fn quote(
    bid: Option<Level>,
    ask: Option<Level>,
    seq: u64,
    i: &Instrument,
    integers: bool,
    now: Ts,
) -> String {
    let side = |level: Option<Level>| match level {
        Some(l) => (px(l.px, i), size(l.qty.0, i, integers)),
        None => (String::new(), "0".to_owned()),
    };
    let ((bid, bid_qty), (ask, ask_qty)) = (side(bid), side(ask));
    let (at, symbol) = (now.as_ms(), &i.symbol);
    format!(r#"{{"t":{at},"u":{seq},"s":"{symbol}","b":"{bid}","B":{bid_qty},"a":"{ask}","A":{ask_qty}}}"#)
}

pub(super) fn stats(state: &State, i: &Instrument, now: Ts) -> String {
    let (s, symbol, open) = (now.as_ms().div_euclid(1_000), &i.symbol, state.open_interest);
    format!(
        r#"[{{"time":{s},"contract":"{symbol}","lsr_taker":1.1,"lsr_account":0.5,"long_liq_size":"0","short_liq_size":"0","open_interest":"{open}","short_liq_usd":0,"mark_price":"1","top_lsr_size":1.02,"short_liq_amount":0,"long_liq_amount":0,"open_interest_usd":47142000,"top_lsr_account":1.5,"long_liq_usd":0}}]"#
    )
}

pub(super) fn liquidation(p: &Print, i: &Instrument, integers: bool) -> String {
    let signed = if p.aggressor == Side::Bid { p.qty.0 } else { -p.qty.0 };
    let (px, size, ms, symbol) = (px(p.px, i), size(signed, i, integers), p.ts.as_ms(), &i.symbol);
    format!(r#"[{{"price":{px},"size":{size},"time_ms":{ms},"contract":"{symbol}"}}]"#)
}

/// Open, high, low, close, volume and turnover of the trades that begin at `start`, both in seconds.
pub(super) struct Bar {
    pub start: i64,
    pub prices: [Px; 4],
    pub volume: Decimal,
    pub turnover: Decimal,
}

/// The bar of an interval; flat where nothing was traded in it.
pub(super) fn bar(one: &Listed, state: &State, start: i64, length: i64) -> Bar {
    let within = |p: &&Print| p.ts.as_ms().div_euclid(1_000).div_euclid(length) * length == start;
    let before = |p: &&Print| p.ts.as_ms() < start * 1_000;
    let flat = state.prints.iter().find(before).map_or(one.range.0, |p| p.px);
    let mut prints = state.prints.iter().rev().filter(within).peekable();
    let open = prints.peek().map_or(flat, |p| p.px);
    let (mut prices, mut volume, mut turnover) = ([open; 4], 0_i128, 0_i128);
    for p in prints {
        let [_, high, low, close] = &mut prices;
        (*high, *low, *close) = ((*high).max(p.px), (*low).min(p.px), p.px);
        volume += i128::from(p.qty.0);
        turnover += i128::from(p.qty.0) * i128::from(p.px.0);
    }
    let i = &one.instrument;
    let turnover = Decimal::new(turnover, i.px_scale.saturating_add(i.qty_scale));
    Bar { start, prices, volume: Decimal::new(volume, i.qty_scale), turnover }
}

/// A bar as it is pushed.
pub(super) fn bar_row(bar: &Bar, word: &str, i: &Instrument, closed: bool, integers: bool) -> String {
    let [open, high, low, close] = bar.prices.map(|p| px(p, i));
    let (at, symbol, volume, turnover) = (bar.start, &i.symbol, bar.volume, bar.turnover);
    if is_spot(i) {
        return format!(
            r#"{{"t":"{at}","v":"{turnover}","c":"{close}","h":"{high}","l":"{low}","o":"{open}","n":"{word}_{symbol}","a":"{volume}","w":{closed}}}"#
        );
    }
    let qty = if integers { volume.to_string() } else { format!("\"{volume}\"") };
    format!(
        r#"[{{"t":{at},"v":{qty},"c":"{close}","h":"{high}","l":"{low}","o":"{open}","n":"{word}_{symbol}","a":"{turnover}","w":{closed}}}]"#
    )
}
