//! Bars that the simulated venue makes from its trades.

use super::encode;
use super::world::Print;
use crate::product::Product;
use model::{Decimal, Instrument, Px, Ts};
use std::collections::{BTreeMap, VecDeque};

/// How many bars that are over are kept.
const CLOSED_MAX: usize = 2_000;

/// One bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub start_ms: i64,
    /// Open, high, low, close.
    ohlc: [Px; 4],
    volume: i128,
    turnover: i128,
    count: u64,
}

/// Bars of one interval.
#[derive(Debug)]
pub(super) struct Series {
    pub current: Bar,
    pub closed: VecDeque<Bar>,
    pub dirty: bool,
}

/// Bars of one instrument, by the venue's name of the interval.
#[derive(Default, Debug)]
pub(super) struct Bars {
    pub all: BTreeMap<String, Series>,
}

/// The length of an interval by the venue's name.
pub(super) fn length_ms(word: &str) -> Option<i64> {
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let unit = match unit {
        "min" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        "week" => 7 * 86_400_000,
        "mon" => 30 * 86_400_000,
        "year" => 365 * 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|n| *n > 0).map(|n| n * unit)
}

fn open(px: Px, ms: i64, length: i64) -> Bar {
    let start_ms = ms.div_euclid(length) * length;
    Bar { start_ms, ohlc: [px; 4], volume: 0, turnover: 0, count: 0 }
}

impl Bars {
    /// Begins to make bars of this interval.
    pub fn want(&mut self, word: &str, last: Px, now: Ts) {
        let Some(length) = length_ms(word) else { return };
        self.all.entry(word.to_owned()).or_insert_with(|| Series {
            current: open(last, now.as_ms(), length),
            closed: VecDeque::new(),
            dirty: true,
        });
    }

    /// A trade happened.
    pub fn on(&mut self, print: &Print) {
        for series in self.all.values_mut() {
            let bar = &mut series.current;
            let [_, high, low, close] = &mut bar.ohlc;
            (*high, *low, *close) = ((*high).max(print.px), (*low).min(print.px), print.px);
            bar.volume += i128::from(print.qty.0);
            bar.turnover += i128::from(print.qty.0) * i128::from(print.px.0);
            bar.count += 1;
            series.dirty = true;
        }
    }

    /// Ends bars whose time is over; the venue does not say so.
    pub fn roll(&mut self, now: Ts) {
        for (word, series) in &mut self.all {
            let Some(length) = length_ms(word) else { continue };
            if now.as_ms() >= series.current.start_ms + length {
                series.closed.push_front(series.current);
                series.closed.truncate(CLOSED_MAX);
                let [.., close] = series.current.ohlc;
                series.current = open(close, now.as_ms(), length);
                series.dirty = true;
            }
        }
    }
}

/// What is written of volumes: `amount`, `vol` and, of contracts margined in USDT, `trade_turnover`.
pub(super) fn sums(volume: i128, turnover: i128, instrument: &Instrument, product: Product) -> String {
    let qty = Decimal::new(volume, instrument.qty_scale);
    let money = Decimal::new(turnover, instrument.px_scale + instrument.qty_scale);
    let size = instrument.contract_size.unwrap_or(Decimal::new(1, 0));
    let scale = size.scale();
    let mantissa = i128::from(size.mantissa_at(scale).unwrap_or(1));
    match product {
        Product::Spot => format!(r#""amount":{qty},"vol":{money}"#),
        Product::Linear => {
            let coins = Decimal::new(volume * mantissa, scale);
            let money = Decimal::new(turnover * mantissa, instrument.px_scale + scale);
            format!(r#""amount":{coins},"vol":{qty},"trade_turnover":{money}"#)
        }
        // More digits than most numbers can hold.
        _ => format!(r#""amount":{}.123456789012345678901234567890123456789,"vol":{qty}"#, volume / 600),
    }
}

/// `{"id":1759999980,"open":64000,"close":64010.1,"low":63990,"high":64020,"amount":12.5,"vol":800100.5,"count":90}`
pub(super) fn row(bar: &Bar, instrument: &Instrument, product: Product) -> String {
    let [open, high, low, close] = bar.ohlc.map(|px| encode::px(px, instrument, product));
    let mrid = if product.spot() { String::new() } else { format!(r#""mrid":{},"#, 132_000_000 + bar.count) };
    format!(
        r#"{{"id":{},{mrid}"open":{open},"close":{close},"low":{low},"high":{high},{},"count":{}}}"#,
        bar.start_ms / 1_000,
        sums(bar.volume, bar.turnover, instrument, product),
        bar.count
    )
}
