//! The venue's lists of instruments to definitions.

use crate::NAME;
use crate::parse::Result;
use crate::product::{ALL, Product};
use model::{Decimal, Instrument, InstrumentId, SCALE_MAX, Scale, Status, Ts};
use serde::Deserialize;
use serde_json::Value;
use source::{Malformed, What};

/// The section that a path or recorded URL lists.
pub fn product_of(path: &str) -> Option<Product> {
    let path = path.split('?').next().unwrap_or_default();
    ALL.into_iter().find(|product| path.ends_with(product.listing()))
}

/// A row of `currency_pairs` or of `contracts`; numbers come as numbers and as texts.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Row {
    id: String,
    name: String,
    base: String,
    quote: String,
    underlying: String,
    precision: u8,
    amount_precision: u8,
    trade_status: String,
    #[serde(rename = "type")]
    kind: String,
    quanto_multiplier: Value,
    order_price_round: Value,
    order_size_min: Value,
    enable_decimal: bool,
    in_delisting: bool,
    status: String,
    expire_time: i64,
}

impl Default for Row {
    fn default() -> Self {
        let (none, text) = (Value::Null, String::new);
        Self {
            id: text(),
            name: text(),
            base: text(),
            quote: text(),
            underlying: text(),
            precision: 8,
            amount_precision: 8,
            trade_status: text(),
            kind: text(),
            quanto_multiplier: none.clone(),
            order_price_round: none.clone(),
            order_size_min: none,
            enable_decimal: false,
            in_delisting: false,
            status: text(),
            expire_time: 0,
        }
    }
}

fn number(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Decimal::parse(text.as_bytes()).ok()
}

/// Reads a listing. Rows that cannot be read, or that name nothing, are left out.
///
/// # Errors
/// Where the body is no list.
pub fn read(product: Product, body: &[u8]) -> Result<Vec<Instrument>> {
    let rows: Vec<Value> = serde_json::from_slice(body)
        .map_err(|fault| Malformed { at: fault.column(), what: What::Expected("a list of instruments") })?;
    let rows = rows.into_iter().filter_map(|row| serde_json::from_value::<Row>(row).ok());
    Ok(rows.filter_map(|row| define(product, &row)).collect())
}

fn define(product: Product, row: &Row) -> Option<Instrument> {
    let symbol = if product == Product::Spot { &row.id } else { &row.name };
    if symbol.is_empty() {
        return None;
    }
    let mut made = Instrument::provisional(NAME, product.name(), symbol, product.kind());
    made.provisional = false;
    if product == Product::Spot {
        made.px_scale = row.precision.min(SCALE_MAX);
        made.qty_scale = row.amount_precision.min(SCALE_MAX);
        made.tick = Some(Decimal::new(1, made.px_scale));
        made.lot = Some(Decimal::new(1, made.qty_scale));
        made.status = match row.trade_status.as_str() {
            "tradable" | "" => Status::Trading,
            "untradable" => Status::Halted,
            other => Status::Other(other.into()),
        };
        let (base, quote) = (row.base.as_str(), row.quote.as_str());
        return Some(made.named(base, quote, ""));
    }
    made.tick = number(&row.order_price_round).filter(|tick| !tick.is_zero());
    made.px_scale = made.tick.map_or(8, scale_of);
    let least = number(&row.order_size_min).filter(|least| !least.is_zero());
    made.lot = least.filter(|_| row.enable_decimal).or(Some(Decimal::new(1, 0)));
    made.qty_scale = made.lot.map_or(0, scale_of);
    // An inverse contract is worth a dollar; the venue writes 0.
    let size = number(&row.quanto_multiplier).filter(|size| !size.is_zero());
    made.contract_size =
        size.or((row.kind == "inverse" || product == Product::Btc).then_some(Decimal::new(1, 0)));
    made.status = match row.status.as_str() {
        _ if row.in_delisting => Status::Halted,
        "trading" | "" => Status::Trading,
        "prelaunch" => Status::PreOpen,
        "delisting" | "circuit_breaker" => Status::Halted,
        "delisted" => Status::Closed,
        other => Status::Other(other.into()),
    };
    if product == Product::Delivery {
        made.expiry = (row.expire_time > 0).then(|| Ts::from_ms(row.expire_time.saturating_mul(1_000)));
    }
    let pair = if row.underlying.is_empty() { symbol } else { &row.underlying };
    Some(named(made, product, pair))
}

fn scale_of(step: Decimal) -> Scale {
    step.scale().min(SCALE_MAX)
}

/// Names it by the coins in `BTC_USDT`.
fn named(made: Instrument, product: Product, pair: &str) -> Instrument {
    let mut parts = pair.split('_');
    let (Some(base), Some(quote)) = (parts.next(), parts.next()) else { return made };
    let settle = if product == Product::Btc { "BTC" } else { quote };
    made.named(base, quote, settle)
}

/// A definition for a symbol that a recording names before any listing.
pub fn provisional(product: Product, symbol: &[u8]) -> Option<Instrument> {
    let symbol = std::str::from_utf8(symbol).ok().filter(|s| !s.is_empty() && s.len() <= 64)?;
    if !symbol.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        return None;
    }
    let mut made = Instrument::provisional(NAME, product.name(), symbol, product.kind());
    if product == Product::Delivery {
        made.expiry = symbol.rsplit('_').next().and_then(expiry);
    }
    let id = InstrumentId::of(NAME, product.name(), symbol);
    Some(Instrument { id, ..named_any(made, product, symbol) })
}

fn named_any(made: Instrument, product: Product, symbol: &str) -> Instrument {
    if product == Product::Spot {
        return match symbol.split_once('_') {
            Some((base, quote)) => made.named(base, quote, ""),
            None => made,
        };
    }
    named(made, product, symbol)
}

/// The expiry of `20261225`: 08:00 UTC of that day.
fn expiry(date: &str) -> Option<Ts> {
    if date.len() != 8 {
        return None;
    }
    let part = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    // Days from civil, Howard Hinnant's algorithm.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(Ts::from_ms((days * 86_400 + 8 * 3_600) * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(product: Product, row: &str) -> Instrument {
        read(product, format!("[{row}]").as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn a_pair_of_spot_is_defined() {
        let i = one(
            Product::Spot,
            r#"{"id":"BTC_USDT","base":"BTC","quote":"USDT","precision":1,"amount_precision":6,"min_base_amount":"0.000001","min_quote_amount":"3","trade_status":"tradable"}"#,
        );
        assert_eq!((&*i.name, i.px_scale, i.qty_scale), ("BTC/USDT@gate", 1, 6));
        assert_eq!((i.status, i.contract_size, i.provisional), (Status::Trading, None, false));
    }

    #[test]
    fn contracts_are_defined_with_numbers_or_texts() {
        let row = r#"{"name":"BTC_USDT","type":"direct","quanto_multiplier":"0.0001","order_price_round":"0.1","order_size_min":1,"enable_decimal":false,"in_delisting":false,"status":"trading"}"#;
        let i = one(Product::Usdt, row);
        assert_eq!((&*i.name, i.px_scale, i.qty_scale), ("BTC/USDT:USDT@gate", 1, 0));
        assert_eq!(i.contract_size, Some(Decimal::new(1, 4)));
        let fine = row.replace(
            "\"order_size_min\":1,\"enable_decimal\":false",
            "\"order_size_min\":\"0.1\",\"enable_decimal\":true",
        );
        assert_eq!(one(Product::Usdt, &fine).lot, Some(Decimal::new(1, 1)));
        let inverse = r#"{"name":"BTC_USD","type":"inverse","quanto_multiplier":"0","order_price_round":"0.1","order_size_min":1,"in_delisting":true}"#;
        let i = one(Product::Btc, inverse);
        assert_eq!(
            (&*i.name, i.contract_size, i.status),
            ("BTC/USD:BTC@gate", Some(Decimal::new(1, 0)), Status::Halted)
        );
        let dated = r#"{"name":"BTC_USDT_20261225","underlying":"BTC_USDT","type":"direct","quanto_multiplier":"0.0001","order_price_round":"0.1","order_size_min":1,"expire_time":1798185600}"#;
        let i = one(Product::Delivery, dated);
        assert_eq!(&*i.name, "BTC/USDT:USDT-261225@gate");
        let guessed = provisional(Product::Delivery, b"BTC_USDT_20261225").unwrap();
        assert_eq!((&guessed.name, guessed.expiry, guessed.id), (&i.name, i.expiry, i.id));
    }

    #[test]
    fn rows_that_cannot_be_read_are_left_out_and_a_body_that_is_no_list_is_an_error() {
        let rows = br#"[{"id":7},{"id":""},{"id":"X_Y","base":"X","quote":"Y"}]"#;
        assert_eq!(read(Product::Spot, rows).unwrap().len(), 1);
        assert!(read(Product::Spot, br#"{"label":"TOO_BUSY"}"#).is_err());
    }
}
