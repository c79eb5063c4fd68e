//! The venue's lists of instruments to definitions.

use crate::NAME;
use crate::product::Product;
use model::{Decimal, Instrument, InstrumentKind, Right, Status, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{Malformed, What};

/// Paths that list instruments, with the index of their endpoint.
pub const LISTINGS: [(usize, &str); 3] = [
    (0, "/v1/common/symbols"),
    (1, "/linear-swap-api/v1/swap_contract_info?business_type=all"),
    (1, "/swap-api/v1/swap_contract_info"),
];

const OPTION_DIGITS: usize = 6;
/// Dated contracts end at 08:00 UTC.
const END_MS: i64 = 8 * 3_600_000;

/// The section that a path or URL lists.
pub fn listed_by(path: &str) -> Option<Product> {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/v1/common/symbols") {
        Some(Product::Spot)
    } else if path.ends_with("/linear-swap-api/v1/swap_contract_info") {
        Some(Product::Linear)
    } else if path.ends_with("/swap-api/v1/swap_contract_info") {
        Some(Product::Inverse)
    } else {
        None
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
}

/// A row of `/v1/common/symbols`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Symbol {
    #[serde(rename = "symbol")]
    name: String,
    base_currency: String,
    quote_currency: String,
    price_precision: u8,
    amount_precision: u8,
    state: String,
}

/// A row of `swap_contract_info` and of `contract_info`.
#[derive(Deserialize)]
struct Contract<'a> {
    symbol: String,
    #[serde(rename = "contract_code")]
    code: String,
    #[serde(borrow, rename = "contract_size")]
    size: &'a RawValue,
    #[serde(borrow)]
    price_tick: &'a RawValue,
    #[serde(rename = "contract_status")]
    status: i64,
    #[serde(default)]
    delivery_date: Option<String>,
    #[serde(default)]
    delivery_time: Option<String>,
    #[serde(default, rename = "contract_type")]
    kind: Option<String>,
}

fn fault(rule: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Rule(rule) }
}

/// Reads a listing.
///
/// # Errors
/// Where the answer, or every row of it, cannot be read. Single rows that cannot are left out.
pub fn read(product: Product, body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| fault("no listing"))?;
    let (Some("ok") | None, Some(rows)) = (answer.status.as_deref(), answer.data) else {
        return Err(fault("the listing was refused"));
    };
    let made: Vec<Instrument> = rows
        .iter()
        .filter_map(|row| {
            let row = row.get().as_bytes();
            if product.spot() { symbol(row) } else { contract(row) }
        })
        .collect();
    if made.is_empty() && !rows.is_empty() {
        Err(fault("no row of the listing can be read"))
    } else {
        Ok(made)
    }
}

/// `{"symbol":"btcusdt","base-currency":"btc","quote-currency":"usdt","price-precision":2,"amount-precision":6,"state":"online"}`
fn symbol(row: &[u8]) -> Option<Instrument> {
    let row: Symbol = serde_json::from_slice(row).ok()?;
    let made = Instrument::provisional(NAME, Product::Spot.name(), &row.name, InstrumentKind::Spot);
    let (px, qty) = (row.price_precision, row.amount_precision);
    if px > model::SCALE_MAX || qty > model::SCALE_MAX {
        return None;
    }
    let status = match row.state.as_str() {
        "online" => Status::Trading,
        "pre-online" | "not-online" => Status::PreOpen,
        "suspend" | "fuse" | "transfer-board" => Status::Halted,
        "offline" => Status::Closed,
        other => Status::Other(other.into()),
    };
    let made = Instrument {
        px_scale: px,
        qty_scale: qty,
        tick: Some(Decimal::new(1, px)),
        lot: Some(Decimal::new(1, qty)),
        status,
        provisional: false,
        ..made
    };
    Some(made.named(&row.base_currency.to_uppercase(), &row.quote_currency.to_uppercase(), ""))
}

/// What a number of `contract_status` means.
fn status(number: i64) -> Status {
    match number {
        1 => Status::Trading,
        2 => Status::PreOpen,
        3..=7 => Status::Halted,
        0 | 8 => Status::Closed,
        other => Status::Other(other.to_string().into()),
    }
}

/// Reads a row of a contract.
///
/// `{"symbol":"BTC","contract_code":"BTC-USDT","contract_size":0.001,"price_tick":0.1,"delivery_date":"","delivery_time":"","contract_status":1,"pair":"BTC-USDT","contract_type":"swap"}`
pub fn contract(row: &[u8]) -> Option<Instrument> {
    let row: Contract<'_> = serde_json::from_slice(row).ok()?;
    let product = Product::of(row.code.as_bytes())?;
    let number = |raw: &RawValue| Decimal::parse(raw.get().trim_matches('"').as_bytes()).ok();
    let (size, tick) = (number(row.size)?, number(row.price_tick)?);
    let mut parts = row.code.split('-');
    let (_, quote) = (parts.next(), parts.next());
    let dated = row.kind.as_deref().is_some_and(|t| t != "swap") || product == Product::Dated;
    let kind = if dated { InstrumentKind::Future } else { InstrumentKind::Perpetual };
    let made = Instrument::provisional(NAME, product.name(), &row.code, kind);
    let given = row.delivery_time.as_deref().and_then(|ms| ms.parse().ok()).map(Ts::from_ms);
    let expiry = given.or_else(|| row.delivery_date.as_deref().and_then(date));
    let made = Instrument {
        px_scale: tick.scale(),
        qty_scale: 0,
        tick: Some(tick),
        lot: Some(Decimal::new(1, 0)),
        contract_size: Some(size),
        status: status(row.status),
        expiry: if dated { expiry } else { None },
        provisional: false,
        ..made
    };
    let quote = quote.unwrap_or("USD");
    let settle = if quote == "USD" { row.symbol.as_str() } else { quote };
    Some(made.named(&row.symbol, quote, settle))
}

/// `20261225` or `261225`, at the hour when contracts end (days-from-civil, Howard Hinnant's algorithm).
fn date(text: &str) -> Option<Ts> {
    let digits = if text.len() == 6 { format!("20{text}") } else { text.to_owned() };
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Ts::from_ms(days * 86_400_000 + END_MS))
}

/// A definition for a symbol that no listing has told.
pub fn provisional(product: Product, symbol: &[u8]) -> Option<Instrument> {
    let symbol = std::str::from_utf8(symbol).ok()?;
    let parts: Vec<&str> = symbol.split('-').collect();
    let made = |kind| {
        let made = Instrument::provisional(NAME, product.name(), symbol, kind);
        // Contracts are counted.
        Instrument { qty_scale: if product.spot() { 8 } else { 0 }, ..made }
    };
    Some(match (product, parts.as_slice()) {
        (Product::Spot, _) => made(InstrumentKind::Spot),
        (Product::Dated, _) => made(InstrumentKind::Future),
        (_, [base, quote]) => {
            let settle = if product == Product::Inverse { base } else { quote };
            made(InstrumentKind::Perpetual).named(base, quote, settle)
        }
        (_, [base, quote, end]) => {
            let future = Instrument { expiry: date(end), ..made(InstrumentKind::Future) };
            if future.expiry.is_some() { future.named(base, quote, quote) } else { future }
        }
        (_, [base, quote, end, right, strike]) if end.len() == OPTION_DIGITS => {
            let right = if *right == "C" { Right::Call } else { Right::Put };
            let strike = Decimal::parse(strike.as_bytes()).ok();
            let option = strike.map(|strike| (strike, right));
            let made = Instrument { expiry: date(end), option, ..made(InstrumentKind::Option) };
            if made.option.is_some() { made.named(base, quote, quote) } else { made }
        }
        _ => made(InstrumentKind::Perpetual),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_row_gives_tick_and_lot() {
        let body = br#"{"status":"ok","data":[{"symbol":"btcusdt","base-currency":"btc","quote-currency":"usdt","price-precision":2,"amount-precision":6,"value-precision":8,"state":"online"},{"symbol":"broken"}]}"#;
        let all = read(Product::Spot, body).unwrap();
        assert_eq!(all.len(), 1);
        let one = &all[0];
        assert_eq!((&*one.name, one.px_scale, one.qty_scale), ("BTC/USDT@htx", 2, 6));
        assert_eq!((one.tick, one.lot), (Some(Decimal::new(1, 2)), Some(Decimal::new(1, 6))));
        assert!(!one.provisional && one.status == Status::Trading);
    }

    #[test]
    fn contracts_are_named_by_their_margin_and_end() {
        for (code, kind, delivery, name) in [
            ("BTC-USDT", "swap", "", "BTC/USDT:USDT@htx"),
            ("BTC-USDT-261225", "quarter", "20261225", "BTC/USDT:USDT-261225@htx"),
            ("BTC-USD", "swap", "", "BTC/USD:BTC@htx"),
            ("BTC200703", "this_week", "20200703", "BTC/USD:BTC-200703@htx"),
        ] {
            let row = format!(
                r#"{{"symbol":"BTC","contract_code":"{code}","contract_size":0.001,"price_tick":0.1,"delivery_date":"{delivery}","contract_status":1,"contract_type":"{kind}"}}"#
            );
            let made = contract(row.as_bytes()).unwrap();
            assert_eq!((&*made.name, made.px_scale, made.qty_scale), (name, 1, 0));
            let guessed = provisional(Product::of(code.as_bytes()).unwrap(), code.as_bytes()).unwrap();
            assert_eq!(guessed.id, made.id);
            assert!(guessed.provisional && (*guessed.name == *name || code == "BTC200703"));
        }
        assert_eq!(date("20261225"), Some(Ts::from_ms(1_798_185_600_000)));
        assert_eq!(date("20261399"), None);
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for body in
            [&b"{}"[..], b"", br#"{"status":"error","data":[]}"#, br#"{"status":"ok","data":[{"symbol":1}]}"#]
        {
            assert!(read(Product::Spot, body).is_err());
        }
        assert_eq!(read(Product::Linear, br#"{"status":"ok","data":[]}"#), Ok(Vec::new()));
        assert!(LISTINGS.iter().all(|(_, path)| listed_by(path).is_some()));
        assert_eq!(listed_by("/market/depth"), None);
    }
}
