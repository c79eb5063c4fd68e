//! A quote as a row: exact decimals as texts, by the names that programs of this market know.

use composite::Quote;
use model::{Decimal, Ts, write_mantissa};
use serde::Serialize;
use serde_json::{Map, Value};

/// Levels a side that a row has.
const LEVELS: usize = 5;

/// One stock.
#[derive(Serialize)]
pub(crate) struct Row {
    symbol: String,
    code: String,
    market: &'static str,
    name: Box<str>,
    source: &'static str,
    price: Option<String>,
    last_close: Option<String>,
    change: Option<String>,
    change_pct: Option<String>,
    open: Option<String>,
    high: Option<String>,
    low: Option<String>,
    volume: Option<String>,
    turnover: Option<String>,
    limit_up: Option<String>,
    limit_down: Option<String>,
    /// `bid1`, `bid1_vol` and so on.
    #[serde(flatten)]
    levels: Map<String, Value>,
    levels_source: Option<&'static str>,
    late: bool,
    ts_event: Option<i64>,
    ts_recv: i64,
    age_ms: i64,
    timestamp: i64,
}

impl Row {
    pub(crate) fn new(quote: &Quote<'_>, now: Ts) -> Self {
        let text = |number: Option<Decimal>| number.map(|n| n.to_string());
        let (stats, stamp) = (quote.stats, quote.stamp);
        Self {
            symbol: quote.code.to_string(),
            code: quote.code.digits().to_owned(),
            market: quote.code.market.letters(),
            name: quote.instrument.title.clone(),
            source: quote.source,
            price: text(stats.last),
            last_close: text(stats.prev_close),
            change: text(change(stats.last, stats.prev_close)),
            change_pct: text(change_pct(stats.last, stats.prev_close)),
            open: text(stats.open),
            high: text(stats.high),
            low: text(stats.low),
            volume: text(stats.volume),
            turnover: text(stats.turnover),
            limit_up: text(stats.limit_up),
            limit_down: text(stats.limit_down),
            levels: levels(quote),
            levels_source: quote.levels.map(|(source, _, _)| source),
            late: quote.late,
            ts_event: stamp.ts_event.map(|ts| ts.0),
            ts_recv: stamp.ts_recv.0,
            age_ms: now.ms_since(stamp.ts_recv).max(0),
            timestamp: stamp.ts_event.unwrap_or(stamp.ts_recv).as_ms(),
        }
    }
}

fn levels(quote: &Quote<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    for (side, bids) in [("bid", true), ("ask", false)] {
        let rows = sides(quote, bids);
        for (n, level) in rows.into_iter().enumerate() {
            let (px, qty) = level.map(|[px, qty]| (Value::from(px), Value::from(qty))).unwrap_or_default();
            out.insert(format!("{side}{}", n + 1), px);
            out.insert(format!("{side}{}_vol", n + 1), qty);
        }
    }
    out
}

/// Price and quantity of the best five levels of a side; `None` where there is no level.
pub(crate) fn sides(quote: &Quote<'_>, bids: bool) -> [Option<[String; 2]>; LEVELS] {
    let side = quote.levels.map(|(_, levels, by)| (if bids { levels.bids() } else { levels.asks() }, by));
    std::array::from_fn(|n| {
        let (side, by) = side?;
        let level = side.get(n)?;
        Some([mantissa(level.px.0, by.px_scale), mantissa(level.qty.0, by.qty_scale)])
    })
}

fn mantissa(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::with_capacity(24);
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Two numbers as mantissas of one scale.
fn level_with(a: Decimal, b: Decimal) -> Option<(i64, i64, u8)> {
    let scale = a.scale().max(b.scale());
    Some((a.mantissa_at(scale)?, b.mantissa_at(scale)?, scale))
}

/// By how much a price differs from another.
pub(crate) fn change(last: Option<Decimal>, before: Option<Decimal>) -> Option<Decimal> {
    let (last, before, scale) = level_with(last?, before?)?;
    Some(Decimal::new(i128::from(last) - i128::from(before), scale))
}

/// The same in percent of the price before, rounded to two digits, halves away from zero. `None` without a price before.
pub(crate) fn change_pct(last: Option<Decimal>, before: Option<Decimal>) -> Option<Decimal> {
    let (last, before, _) = level_with(last?, before?)?;
    if before <= 0 {
        return None;
    }
    let (up, before) = ((i128::from(last) - i128::from(before)) * 10_000, i128::from(before));
    let half = if up < 0 { -before } else { before };
    Some(Decimal::new((up * 2 + half) / (before * 2), 2))
}

/// The name for people, or the code where none is known.
pub(crate) fn title(quote: &Quote<'_>) -> String {
    if quote.instrument.title.is_empty() {
        quote.code.to_string()
    } else {
        quote.instrument.title.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_exact_and_its_share_rounds_halves_away_from_zero() {
        let d = |text: &str| Decimal::parse(text.as_bytes()).ok();
        let both =
            |a, b| (change(d(a), d(b)).unwrap().to_string(), change_pct(d(a), d(b)).map(|p| p.to_string()));
        assert_eq!(both("1408.51", "1405.1"), ("3.41".to_owned(), Some("0.24".to_owned())));
        assert_eq!(both("9.99", "10"), ("-0.01".to_owned(), Some("-0.1".to_owned())));
        assert_eq!(both("100.005", "100"), ("0.005".to_owned(), Some("0.01".to_owned())));
        assert_eq!(both("99.995", "100"), ("-0.005".to_owned(), Some("-0.01".to_owned())));
        assert_eq!(both("1", "0"), ("1".to_owned(), None));
        assert_eq!(change(None, d("1")), None);
    }
}
