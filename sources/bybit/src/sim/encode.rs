//! The venue's frames.

use super::world::{Best, Print, Push, Shown, State, level};
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Instrument, InstrumentKind, Level, Px, Qty, Side, Ts};
use source::market::Listed;
use std::fmt::Write;

/// A mantissa with all digits of its scale, as the venue writes prices: `64010.10`.
pub(super) fn fixed(mantissa: i64, scale: u8) -> String {
    let digits = usize::from(scale);
    let text = format!("{:0width$}", mantissa.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let sign = if mantissa < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

pub(super) fn px(px: Px, instrument: &Instrument) -> String {
    fixed(px.0, instrument.px_scale)
}

pub(super) fn qty(qty: Qty, instrument: &Instrument) -> String {
    if qty.0 == 0 { "0".to_owned() } else { fixed(qty.0, instrument.qty_scale) }
}

/// `[["64010.10","0.900"]]`
fn levels(levels: &[Level], instrument: &Instrument) -> String {
    let mut out = String::from("[");
    for level in levels {
        if out.len() > 1 {
            out.push(',');
        }
        let _ = write!(out, r#"["{}","{}"]"#, px(level.px, instrument), qty(level.qty, instrument));
    }
    out.push(']');
    out
}

/// A push. Spot and the best level have the time before the type; options have an id.
fn push(
    (product, best): (Product, bool),
    (topic, kind): (&str, &str),
    data: &str,
    (ts, tail): (Ts, &str),
) -> Vec<u8> {
    let ms = ts.as_ms();
    match product {
        Product::Option => format!(
            r#"{{"id":"{topic}-{ms}","topic":"{topic}","ts":{ms},"data":{data},"type":"{kind}"{tail}}}"#
        ),
        Product::Spot => format!(r#"{{"topic":"{topic}","ts":{ms},"type":"{kind}","data":{data}{tail}}}"#),
        _ if best => format!(r#"{{"topic":"{topic}","ts":{ms},"type":"{kind}","data":{data}{tail}}}"#),
        _ => format!(r#"{{"topic":"{topic}","type":"{kind}","ts":{ms},"data":{data}{tail}}}"#),
    }
    .into_bytes()
}

fn book_frame(
    (product, best): (Product, bool),
    topic: (&str, &str),
    instrument: &Instrument,
    (bids, asks, u, seq): (&[Level], &[Level], u64, u64),
    (ts, cts): (Ts, Ts),
) -> Vec<u8> {
    let (symbol, bids, asks) = (&instrument.symbol, levels(bids, instrument), levels(asks, instrument));
    let data = format!(r#"{{"s":"{symbol}","b":{bids},"a":{asks},"u":{u},"seq":{seq}}}"#);
    push((product, best), topic, &data, (ts, &format!(r#","cts":{}"#, cts.as_ms())))
}

/// The first push of a book.
pub(super) fn snapshot(
    topic: &str,
    instrument: &Instrument,
    state: &State,
    shown: &Shown,
    ts: Ts,
) -> Vec<u8> {
    let (bids, asks) = (shown.best_bids(usize::MAX), shown.best_asks(usize::MAX));
    let told = (bids.as_slice(), asks.as_slice(), shown.u, state.seq);
    book_frame((state.product, false), (topic, "snapshot"), instrument, told, (ts, ts))
}

/// A later push of a book.
pub(super) fn change(topic: &str, instrument: &Instrument, state: &State, change: &Push, ts: Ts) -> Vec<u8> {
    let kind = if change.whole { "snapshot" } else { "delta" };
    let told = (change.bids.as_slice(), change.asks.as_slice(), change.u, state.seq);
    book_frame((state.product, false), (topic, kind), instrument, told, (ts, ts))
}

/// A push of the best level.
pub(super) fn best(topic: &str, instrument: &Instrument, state: &State, ts: Ts) -> Vec<u8> {
    let Best { u, bid, ask, ts: cts, .. } = &state.best;
    let told = (bid.as_slice(), ask.as_slice(), *u, state.seq);
    book_frame((state.product, true), (topic, "snapshot"), instrument, told, (ts, *cts))
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Bid => "Buy",
        Side::Ask => "Sell",
    }
}

/// A push of trades.
pub(super) fn trades(
    topic: &str,
    instrument: &Instrument,
    product: Product,
    prints: &[Print],
    ts: Ts,
) -> Vec<u8> {
    let mut rows = String::new();
    for print in prints {
        if !rows.is_empty() {
            rows.push(',');
        }
        let (ms, symbol, side) = (print.ts.as_ms(), &instrument.symbol, side(print.aggressor));
        let (px, qty, id, seq) = (px(print.px, instrument), qty(print.qty, instrument), &print.id, print.seq);
        let _ = match product {
            Product::Spot => write!(
                rows,
                r#"{{"i":"{id}","T":{ms},"p":"{px}","v":"{qty}","S":"{side}","s":"{symbol}","BT":false,"RPI":false,"seq":{seq}}}"#
            ),
            Product::Option => write!(
                rows,
                r#"{{"p":"{px}","v":"{qty}","i":"{id}","T":{ms},"BT":false,"s":"{symbol}","S":"{side}","mP":"{px}","iP":"64005.10","mIv":"0.5512","iv":"0.5513","seq":{seq}}}"#
            ),
            _ => write!(
                rows,
                r#"{{"T":{ms},"s":"{symbol}","S":"{side}","v":"{qty}","p":"{px}","L":"PlusTick","i":"{id}","BT":false,"RPI":false,"seq":{seq}}}"#
            ),
        };
    }
    push((product, false), (topic, "snapshot"), &format!("[{rows}]"), (ts, ""))
}

/// A push of forced orders. `Buy` says that a long position was closed, by an order that sold.
pub(super) fn forced(
    topic: &str,
    instrument: &Instrument,
    product: Product,
    prints: &[Print],
    ts: Ts,
) -> Vec<u8> {
    let row = |print: &Print| {
        let position = if print.aggressor == Side::Ask { "Buy" } else { "Sell" };
        let (px, qty) = (px(print.px, instrument), qty(print.qty, instrument));
        let (ms, symbol) = (print.ts.as_ms(), &instrument.symbol);
        format!(r#"{{"T":{ms},"s":"{symbol}","S":"{position}","v":"{qty}","p":"{px}"}}"#)
    };
    let rows: Vec<String> = prints.iter().map(row).collect();
    push((product, false), (topic, "snapshot"), &format!("[{}]", rows.join(",")), (ts, ""))
}

/// A push of a bar.
pub(super) fn bar(
    topic: &str,
    instrument: &Instrument,
    interval: usize,
    (bar, end_ms, closed): (&super::bars::Bar, i64, bool),
    ts: Ts,
) -> Vec<u8> {
    let [open, close, high, low] = [bar.open, bar.close, bar.high, bar.low].map(|p| px(p, instrument));
    let (volume, turnover) = sums(instrument, bar.volume, bar.turnover, bar.close);
    let (word, start, ms) = (INTERVALS.get(interval).map_or("", |i| i.1), bar.start_ms, ts.as_ms());
    let end = end_ms - 1;
    format!(
        r#"{{"topic":"{topic}","data":[{{"start":{start},"end":{end},"interval":"{word}","open":"{open}","close":"{close}","high":"{high}","low":"{low}","volume":"{volume}","turnover":"{turnover}","confirm":{closed},"timestamp":{ms}}}],"ts":{ms},"type":"snapshot"}}"#
    )
    .into_bytes()
}

/// Volume and turnover as texts. The turnover of an inverse contract is in coins.
pub(super) fn sums(instrument: &Instrument, volume: i128, turnover: i128, px: Px) -> (String, String) {
    let volume_text = model::Decimal::new(volume, instrument.qty_scale).to_string();
    let turnover = if *instrument.product == *Product::Inverse.name() {
        let scale = 10_i128.pow(u32::from(instrument.px_scale)) * 10_i128.pow(8);
        let coins = volume.saturating_mul(scale) / i128::from(px.0.max(1));
        model::Decimal::new(coins, 8 + instrument.qty_scale)
    } else {
        model::Decimal::new(turnover, instrument.px_scale + instrument.qty_scale)
    };
    (volume_text, turnover.to_string())
}

type Field = (&'static str, String);

/// The keys of a ticker with what stands there now.
pub(super) fn ticker(one: &Listed, state: &State, ts: Ts) -> Vec<Field> {
    const PERIOD_MS: i64 = 8 * 3_600_000;
    let instrument = &one.instrument;
    let (open, high, low) = one.range;
    let (volume, turnover) = sums(instrument, one.volume, one.turnover, one.last.0);
    let last = px(one.last.0, instrument);
    let mut all: Vec<Field> = vec![
        ("symbol", instrument.symbol.to_string()),
        ("lastPrice", last.clone()),
        ("highPrice24h", px(high, instrument)),
        ("lowPrice24h", px(low, instrument)),
        ("turnover24h", turnover),
        ("volume24h", volume),
    ];
    if state.product == Product::Option {
        all.extend(option_fields(one, state));
        return all;
    }
    all.push(("prevPrice24h", px(open, instrument)));
    all.push(("price24hPcnt", "0.0119".to_owned()));
    if state.product == Product::Spot {
        all.push(("usdIndexPrice", last));
        return all;
    }
    let near = |by: i64| px(Px((one.last.0.0 + by).max(1)), instrument);
    all.push(("tickDirection", "PlusTick".to_owned()));
    all.push(("prevPrice1h", px(open, instrument)));
    all.push(("markPrice", near(-1)));
    all.push(("indexPrice", near(1)));
    all.push(("openInterest", state.open_interest.to_string()));
    all.push(("openInterestValue", (state.open_interest * 7).to_string()));
    all.push(("singleOpenInterest", (state.open_interest / 2).to_string()));
    if instrument.kind == InstrumentKind::Perpetual {
        let at = (ts.as_ms().div_euclid(PERIOD_MS) + 1) * PERIOD_MS;
        // The rate follows from the last price, so that it moves.
        all.push(("fundingRate", fixed(one.last.0.0 % 19 - 9, 6)));
        all.push(("nextFundingTime", at.to_string()));
        all.push(("fundingIntervalHour", "8".to_owned()));
        all.push(("fundingCap", "0.005".to_owned()));
    } else {
        all.push(("deliveryTime", "2026-12-25T08:00:00Z".to_owned()));
        all.push(("basisRate", "0.0102".to_owned()));
        all.push(("predictedDeliveryPrice", String::new()));
    }
    for (names, best) in
        [(("bid1Price", "bid1Size"), state.best.bid), (("ask1Price", "ask1Size"), state.best.ask)]
    {
        all.push((names.0, best.map_or(String::new(), |l| px(l.px, instrument))));
        all.push((names.1, best.map_or(String::new(), |l| qty(l.qty, instrument))));
    }
    all
}

fn option_fields(one: &Listed, state: &State) -> Vec<Field> {
    let instrument = &one.instrument;
    let mut all: Vec<Field> = Vec::new();
    for (names, best) in [
        (("bidPrice", "bidSize"), one.bids.last_key_value().map(level)),
        (("askPrice", "askSize"), one.asks.first_key_value().map(level)),
    ] {
        all.push((names.0, best.map_or("0".to_owned(), |l| px(l.px, instrument))));
        all.push((names.1, best.map_or("0".to_owned(), |l| qty(l.qty, instrument))));
    }
    let moved = one.last.0.0 % 97;
    for (name, text) in [
        ("bidIv", fixed(5_400 + moved, 4)),
        ("askIv", fixed(5_600 + moved, 4)),
        ("markPrice", px(one.last.0, instrument)),
        ("indexPrice", "64005.10".to_owned()),
        ("markPriceIv", fixed(5_500 + moved, 4)),
        ("underlyingPrice", "64010.2".to_owned()),
        ("openInterest", state.open_interest.to_string()),
        ("totalVolume", "232".to_owned()),
        ("totalTurnover", "362305".to_owned()),
        ("delta", fixed(moved - 50, 8)),
        ("gamma", "0.00000128".to_owned()),
        ("vega", "0.01719155".to_owned()),
        ("theta", "-0.0159208".to_owned()),
        ("predictedDeliveryPrice", "0".to_owned()),
        ("change24h", "0".to_owned()),
    ] {
        all.push((name, text));
    }
    all
}

/// `{"symbol":"BTCUSDT","lastPrice":"64010.30"}`
pub(super) fn object(fields: &[&Field]) -> String {
    let rows: Vec<String> = fields.iter().map(|(key, text)| format!(r#""{key}":"{text}""#)).collect();
    format!("{{{}}}", rows.join(","))
}

/// A push of a ticker; `cs` is the engine's number.
pub(super) fn ticker_frame(
    product: Product,
    topic: (&str, &str),
    data: &str,
    (seq, ts): (u64, Ts),
) -> Vec<u8> {
    let (topic, kind) = topic;
    let ms = ts.as_ms();
    match product {
        Product::Linear | Product::Inverse => {
            format!(r#"{{"topic":"{topic}","type":"{kind}","data":{data},"cs":{seq},"ts":{ms}}}"#)
                .into_bytes()
        }
        Product::Spot => {
            format!(r#"{{"topic":"{topic}","ts":{ms},"type":"{kind}","cs":{seq},"data":{data}}}"#)
                .into_bytes()
        }
        Product::Option => push((product, false), (topic, kind), data, (ts, "")),
    }
}
