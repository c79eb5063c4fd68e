//! The venue's frames.

use super::world::{Print, Shown, Update, volumes};
use crate::listing;
use model::{Decimal, Instrument, Level, Px, Qty, Right, Side, Ts, write_mantissa};
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

pub(super) fn text(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::new();
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `[["64010.1","1.1","0","4"]]`
fn levels(levels: &[Level], instrument: &Instrument) -> String {
    let mut out = String::from("[");
    for level in levels {
        if out.len() > 1 {
            out.push(',');
        }
        let orders = if level.qty.0 == 0 { 0 } else { level.qty.0 % 9 + 1 };
        let (px, qty) = (px(level.px, instrument), qty(level.qty, instrument));
        let _ = write!(out, r#"["{px}","{qty}","0","{orders}"]"#);
    }
    out.push(']');
    out
}

/// A push: `{"arg":{…},"data":[…]}`
pub(super) fn push(channel: &str, symbol: &str, data: &str) -> Vec<u8> {
    push_by("instId", channel, symbol, data)
}

/// A push that is not of an instrument but of a product (`instType`) or a family (`instFamily`).
pub(super) fn push_by(field: &str, channel: &str, of: &str, data: &str) -> Vec<u8> {
    format!(r#"{{"arg":{{"channel":"{channel}","{field}":"{of}"}},"data":[{data}]}}"#).into_bytes()
}

/// A push of `books`.
fn book(instrument: &Instrument, action: &str, row: &str) -> Vec<u8> {
    let symbol = &instrument.symbol;
    format!(r#"{{"arg":{{"channel":"books","instId":"{symbol}"}},"action":"{action}","data":[{row}]}}"#)
        .into_bytes()
}

/// The first push of `books`.
pub(super) fn snapshot(instrument: &Instrument, shown: &Shown, ts: Ts) -> Vec<u8> {
    let asks = levels(&shown.best_asks(400), instrument);
    let bids = levels(&shown.best_bids(400), instrument);
    let (ms, checksum, seq) = (ts.as_ms(), shown.checksum, shown.seq);
    let row = format!(
        r#"{{"asks":{asks},"bids":{bids},"ts":"{ms}","checksum":{checksum},"prevSeqId":-1,"seqId":{seq}}}"#
    );
    book(instrument, "snapshot", &row)
}

/// A later push of `books`.
pub(super) fn update(instrument: &Instrument, update: &Update) -> Vec<u8> {
    let (asks, bids) = (levels(&update.asks, instrument), levels(&update.bids, instrument));
    let (ms, checksum) = (update.ts.as_ms(), update.checksum);
    let row = format!(
        r#"{{"asks":{asks},"bids":{bids},"ts":"{ms}","checksum":{checksum},"prevSeqId":{},"seqId":{}}}"#,
        update.prev, update.seq
    );
    book(instrument, "update", &row)
}

/// A push of `books` that says only that it is alive.
pub(super) fn keep_alive(instrument: &Instrument, shown: &Shown, ts: Ts) -> Vec<u8> {
    let still = Update { prev: shown.seq, seq: shown.seq, checksum: shown.checksum, ts, ..Update::default() };
    update(instrument, &still)
}

/// A row of `bbo-tbt`, `books5` or of the REST book.
pub(super) fn top_row(
    instrument: &Instrument,
    bids: &[Level],
    asks: &[Level],
    (seq, ts): (i64, Ts),
    named: bool,
) -> String {
    let (asks, bids, ms) = (levels(asks, instrument), levels(bids, instrument), ts.as_ms());
    let name = if named { format!(r#""instId":"{}","#, instrument.symbol) } else { String::new() };
    format!(r#"{{"asks":{asks},"bids":{bids},{name}"ts":"{ms}","seqId":{seq}}}"#)
}

/// A row of `trades`.
pub(super) fn trade_row(instrument: &Instrument, print: &Print) -> String {
    let side = side(print.aggressor);
    format!(
        r#"{{"instId":"{}","tradeId":"{}","px":"{}","sz":"{}","side":"{side}","ts":"{}","count":"1","source":"0","seqId":{}}}"#,
        instrument.symbol,
        print.id,
        px(print.px, instrument),
        qty(print.qty, instrument),
        print.ts.as_ms(),
        print.seq
    )
}

/// A row of `history-trades`.
pub(super) fn past_row(instrument: &Instrument, print: &Print) -> String {
    let (side, symbol, id) = (side(print.aggressor), &instrument.symbol, print.id);
    let (px, qty, ts) = (px(print.px, instrument), qty(print.qty, instrument), print.ts.as_ms());
    format!(
        r#"{{"instId":"{symbol}","side":"{side}","sz":"{qty}","px":"{px}","source":"0","tradeId":"{id}","ts":"{ts}"}}"#
    )
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Bid => "buy",
        Side::Ask => "sell",
    }
}

/// A row of `tickers`.
pub(super) fn ticker_row(one: &Listed, ts: Ts) -> String {
    let instrument = &one.instrument;
    let best = |level: Option<(&Px, &Qty)>| match level {
        Some((p, q)) => (px(*p, instrument), qty(*q, instrument)),
        None => (String::new(), String::new()),
    };
    let (ask, ask_size) = best(one.asks.first_key_value());
    let (bid, bid_size) = best(one.bids.last_key_value());
    let (volume, ccy) = volumes(one);
    let (open, high, low) = one.range;
    let open = px(open, instrument);
    format!(
        r#"{{"instType":"{}","instId":"{}","last":"{}","lastSz":"{}","askPx":"{ask}","askSz":"{ask_size}","bidPx":"{bid}","bidSz":"{bid_size}","open24h":"{open}","high24h":"{}","low24h":"{}","volCcy24h":"{ccy}","vol24h":"{volume}","sodUtc0":"{open}","sodUtc8":"{open}","ts":"{}"}}"#,
        listing::inst_type(instrument.kind),
        instrument.symbol,
        px(one.last.0, instrument),
        qty(one.last.1, instrument),
        px(high, instrument),
        px(low, instrument),
        ts.as_ms()
    )
}

/// A row of `mark-price`.
pub(super) fn mark_row(one: &Listed, ts: Ts) -> String {
    let instrument = &one.instrument;
    let (kind, symbol) = (listing::inst_type(instrument.kind), &instrument.symbol);
    let mark = px(one.last.0, instrument);
    format!(r#"{{"instType":"{kind}","instId":"{symbol}","markPx":"{mark}","ts":"{}"}}"#, ts.as_ms())
}

/// A row of `index-tickers`.
pub(super) fn index_row(name: &str, (px, scale): (Px, u8), ts: Ts) -> String {
    let px = text(px.0, scale);
    format!(
        r#"{{"instId":"{name}","idxPx":"{px}","high24h":"{px}","low24h":"{px}","open24h":"{px}","sodUtc0":"{px}","sodUtc8":"{px}","ts":"{}"}}"#,
        ts.as_ms()
    )
}

/// A row of `funding-rate`. The rate follows from the last price, so that it moves.
pub(super) fn funding_row(one: &Listed, ts: Ts) -> String {
    const PERIOD_MS: i64 = 8 * 3_600_000;
    let at = (ts.as_ms().div_euclid(PERIOD_MS) + 1) * PERIOD_MS;
    let rate = text(one.last.0.0 % 19 - 9, 5);
    format!(
        r#"{{"formulaType":"withRate","fundingRate":"{rate}","fundingTime":"{at}","impactValue":"20000","instId":"{}","instType":"SWAP","interestRate":"0.0001","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"{}","premium":"0.00012","settFundingRate":"{rate}","settState":"settled","ts":"{}"}}"#,
        one.instrument.symbol,
        at + PERIOD_MS,
        ts.as_ms()
    )
}

/// A row of `open-interest`.
pub(super) fn interest_row(one: &Listed, contracts: i64, ts: Ts) -> String {
    let (kind, symbol) = (listing::inst_type(one.instrument.kind), &one.instrument.symbol);
    format!(
        r#"{{"instType":"{kind}","instId":"{symbol}","oi":"{contracts}","oiCcy":"{}","oiUsd":"{}","ts":"{}"}}"#,
        text(contracts, 2),
        contracts * 100,
        ts.as_ms()
    )
}

/// A row of `opt-summary`. Its model is far simpler than the venue's: delta is the forward's share in forward and strike,
/// so that all of it follows from the market and moves with it.
pub(super) fn greeks_row(one: &Listed, (forward, scale): (Px, u8), ts: Ts) -> Option<String> {
    const ONE: i128 = 10_000_000_000;
    const DAY_MS: i64 = 86_400_000;
    let (strike, right) = one.instrument.option?;
    let days = (one.instrument.expiry?.ms_since(ts) / DAY_MS).max(1);
    let (f, k) = (i128::from(forward.0), i128::from(strike.mantissa_at(scale)?));
    let call = f * ONE / (f + k);
    let delta = Decimal::new(if right == Right::Call { call } else { call - ONE }, 10);
    let gamma = Decimal::new(k * ONE * 10_i128.pow(u32::from(scale)) / ((f + k) * (f + k)), 10);
    let worth = i128::from(one.last.0.0) * f;
    let worth_scale = one.instrument.px_scale + scale;
    let (theta, vega) = (-worth / i128::from(days), worth / 50);
    let (theta, vega) = (Decimal::new(theta, worth_scale), Decimal::new(vega, worth_scale));
    let vol = 5_000 + one.last.0.0 % 500;
    let [mark, bid, ask] = [vol, vol - 25, vol + 25].map(|vol| text(vol, 4));
    let (symbol, family) = (&one.instrument.symbol, listing::index_of(&one.instrument.symbol));
    Some(format!(
        r#"{{"instType":"OPTION","instId":"{symbol}","uly":"{family}","delta":"{delta}","gamma":"{gamma}","theta":"{theta}","vega":"{vega}","deltaBS":"{delta}","gammaBS":"{gamma}","thetaBS":"{theta}","vegaBS":"{vega}","realVol":"","volLv":"{mark}","bidVol":"{bid}","askVol":"{ask}","markVol":"{mark}","lever":"1","fwdPx":"{}","ts":"{}"}}"#,
        text(forward.0, scale),
        ts.as_ms()
    ))
}

/// A row of `liquidation-orders`: the print that a forced order made.
pub(super) fn liquidation_row(instrument: &Instrument, print: &Print) -> String {
    let side = side(print.aggressor);
    let closed = if print.aggressor == Side::Ask { "long" } else { "short" };
    let family = listing::index_of(&instrument.symbol);
    format!(
        r#"{{"instId":"{}","instType":"{}","instFamily":"{family}","uly":"{family}","details":[{{"side":"{side}","posSide":"{closed}","bkPx":"{}","sz":"{}","bkLoss":"0","ccy":"","ts":"{}"}}]}}"#,
        instrument.symbol,
        listing::inst_type(instrument.kind),
        px(print.px, instrument),
        qty(print.qty, instrument),
        print.ts.as_ms()
    )
}
