//! A quote by the names and in the types that programs of the push feed's services know: numbers are JSON numbers. They
//! are written digit by digit and never pass through a float here.

use crate::one::{change, change_pct, sides};
use composite::Quote;
use model::{Decimal, Ts, write_mantissa};
use serde::Serialize;
use serde_json::value::RawValue;

/// An exact number as a JSON number.
pub(super) type Number = Option<Box<RawValue>>;

/// One stock. Volumes are shares, amounts yuan, the time Unix seconds.
#[derive(Serialize)]
pub(super) struct Stock {
    stock_code: String,
    stock_name: Box<str>,
    symbol: String,
    market: &'static str,
    timestamp: Number,
    open_price: Number,
    high_price: Number,
    low_price: Number,
    current_price: Number,
    last_close: Number,
    volume: Number,
    amount: Number,
    /// No source of quotes here tells how many shares there are.
    turnover_rate: Number,
    ask_prices: Vec<Number>,
    ask_volumes: Vec<Number>,
    bid_prices: Vec<Number>,
    bid_volumes: Vec<Number>,
    limit_up: Number,
    limit_down: Number,
    change: Number,
    change_percent: Number,
    source: &'static str,
    late: bool,
}

impl Stock {
    pub(super) fn new(quote: &Quote<'_>) -> Self {
        let stats = quote.stats;
        let [bid_prices, bid_volumes] = columns(quote, true);
        let [ask_prices, ask_volumes] = columns(quote, false);
        Self {
            stock_code: quote.code.digits().to_owned(),
            stock_name: quote.instrument.title.clone(),
            symbol: quote.code.to_string(),
            market: quote.code.market.letters(),
            timestamp: time(quote),
            open_price: number(stats.open),
            high_price: number(stats.high),
            low_price: number(stats.low),
            current_price: number(stats.last),
            last_close: number(stats.prev_close),
            volume: number(stats.volume),
            amount: number(stats.turnover),
            turnover_rate: None,
            ask_prices,
            ask_volumes,
            bid_prices,
            bid_volumes,
            limit_up: number(stats.limit_up),
            limit_down: number(stats.limit_down),
            change: number(change(stats.last, stats.prev_close)),
            change_percent: number(change_pct(stats.last, stats.prev_close)),
            source: quote.source,
            late: quote.late,
        }
    }
}

/// A point of a stock's stream.
#[derive(Serialize)]
pub(super) struct Point {
    timestamp: Number,
    price: Number,
    volume: Number,
    amount: Number,
    change: Number,
}

impl Point {
    pub(super) fn new(quote: &Quote<'_>) -> Self {
        let stats = quote.stats;
        Self {
            timestamp: time(quote),
            price: number(stats.last),
            volume: number(stats.volume),
            amount: number(stats.turnover),
            change: number(change(stats.last, stats.prev_close)),
        }
    }
}

fn raw(text: String) -> Number {
    RawValue::from_string(text).ok()
}

fn number(number: Option<Decimal>) -> Number {
    raw(number?.to_string())
}

/// The venue's time, or ours where it tells none.
fn time(quote: &Quote<'_>) -> Number {
    seconds(quote.stamp.ts_event.unwrap_or(quote.stamp.ts_recv))
}

/// A time as Unix seconds.
pub(super) fn seconds(ts: Ts) -> Number {
    let mut out = Vec::with_capacity(24);
    write_mantissa(ts.0, 9, &mut out);
    raw(String::from_utf8(out).unwrap_or_default())
}

/// Prices and volumes of five levels; `null` where there is no level.
fn columns(quote: &Quote<'_>, bids: bool) -> [Vec<Number>; 2] {
    let (prices, volumes) = sides(quote, bids)
        .into_iter()
        .map(|level| level.map_or((None, None), |[px, qty]| (raw(px), raw(qty))))
        .unzip();
    [prices, volumes]
}
