//! Instruments: definitions that the venue lists, and those made up from a symbol before any is known.

use crate::product::{Product, delivery_code};
use model::{Decimal, Instrument, InstrumentKind, Right, SCALE_MAX, Status, Ts};
use serde::Deserialize;
use source::{Malformed, What};
use std::borrow::Cow;

/// Around every answer of the venue.
///
/// `{"retCode":0,"retMsg":"OK","result":{…},"retExtInfo":{},"time":1760000000000}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer<R> {
    pub ret_code: i64,
    pub result: Option<R>,
}

/// The result of a listing.
#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    list: Vec<Row<'a>>,
}

/// One instrument.
///
/// `{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","settleCoin":"USDT","launchTime":"1585526400000","deliveryTime":"0","priceScale":"2","priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"minOrderQty":"0.001","maxOrderQty":"1190.000","qtyStep":"0.001","minNotionalValue":"5"},"fundingInterval":480}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    contract_type: Cow<'a, str>,
    #[serde(borrow, default)]
    options_type: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    base_coin: Cow<'a, str>,
    #[serde(borrow, default)]
    quote_coin: Cow<'a, str>,
    #[serde(borrow, default)]
    settle_coin: Cow<'a, str>,
    #[serde(borrow, default)]
    delivery_time: Cow<'a, str>,
    #[serde(borrow, default)]
    price_filter: PriceFilter<'a>,
    #[serde(borrow, default)]
    lot_size_filter: LotFilter<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PriceFilter<'a> {
    #[serde(borrow, default)]
    tick_size: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotFilter<'a> {
    #[serde(borrow, default)]
    qty_step: Cow<'a, str>,
    #[serde(borrow, default)]
    base_precision: Cow<'a, str>,
}

/// Whether a path or recorded URL is a listing.
pub fn is_listing(path: &str) -> bool {
    path.contains("/v5/market/instruments-info")
}

/// Reads a listing. Rows that cannot be named are left out.
pub fn read(body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let listing: Listing<'_> = result(body)?;
    let rule = |rule| Malformed { at: 0, what: What::Rule(rule) };
    let product = Product::named(&listing.category).ok_or_else(|| rule("the category is not known"))?;
    Ok(listing.list.iter().filter_map(|row| row.instrument(product)).collect())
}

/// The result of an answer without an error.
pub(crate) fn result<'a, R: Deserialize<'a>>(body: &'a [u8]) -> Result<R, Malformed> {
    let answer: Answer<R> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    match answer {
        Answer { ret_code: 0, result: Some(result) } => Ok(result),
        _ => Err(Malformed { at: 0, what: What::Rule("the venue answered with an error") }),
    }
}

/// Where `serde_json` stopped.
pub(crate) fn fault(body: &[u8], error: &serde_json::Error) -> Malformed {
    let lines: usize =
        body.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    let what = if error.is_eof() { What::Eof } else { What::Expected("a known answer") };
    Malformed { at: lines + error.column(), what }
}

fn number(text: &str) -> Option<Decimal> {
    Decimal::parse(text.as_bytes()).ok().filter(|d| !d.is_zero() && d.scale() <= SCALE_MAX)
}

impl Row<'_> {
    fn instrument(&self, product: Product) -> Option<Instrument> {
        let kind = match (product, &*self.contract_type) {
            (Product::Linear | Product::Inverse, "LinearFutures" | "InverseFutures") => {
                InstrumentKind::Future
            }
            _ => product.kind(),
        };
        if self.symbol.is_empty() {
            return None;
        }
        let mut made = Instrument::provisional(crate::NAME, product.name(), &self.symbol, kind);
        made.provisional = false;
        if matches!(kind, InstrumentKind::Future | InstrumentKind::Option) {
            made.expiry = self.delivery_time.parse().ok().filter(|ms| *ms > 0).map(Ts::from_ms);
        }
        if kind == InstrumentKind::Option {
            let right = if self.options_type == "Call" { Right::Call } else { Right::Put };
            made.option = self.symbol.split('-').nth(2).and_then(number).map(|strike| (strike, right));
        }
        made.tick = number(&self.price_filter.tick_size);
        let lot = &self.lot_size_filter;
        made.lot = number(if lot.qty_step.is_empty() { &lot.base_precision } else { &lot.qty_step });
        made.px_scale = made.tick.map_or(made.px_scale, Decimal::scale);
        made.qty_scale = made.lot.map_or(made.qty_scale, Decimal::scale);
        // Quantities of inverse contracts are dollars.
        made.contract_size = (product == Product::Inverse).then(|| Decimal::new(1, 0));
        made.status = status(&self.status);
        let settle = if product == Product::Spot { "" } else { &*self.settle_coin };
        Some(made.named(&self.base_coin, &self.quote_coin, settle))
    }
}

fn status(word: &str) -> Status {
    match word {
        "Trading" => Status::Trading,
        "PreLaunch" => Status::PreOpen,
        "Delivering" | "Settling" => Status::Halted,
        "Closed" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

/// Quote coins of spot, longest first where one ends as another.
const QUOTES: [&str; 13] =
    ["USDT", "USDC", "USDE", "USDR", "USD1", "EUR", "BRL", "PLN", "TRY", "DAI", "BTC", "ETH", "SOL"];

/// A provisional definition whose kind and name come from the form of the symbol, or `None` where that is no symbol.
pub fn provisional(product: Product, symbol: &[u8]) -> Option<Instrument> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if symbol.is_empty() || symbol.len() > 64 || !symbol.iter().all(plain) {
        return None;
    }
    let symbol = std::str::from_utf8(symbol).ok()?;
    let mut made = Instrument::provisional(crate::NAME, product.name(), symbol, product.kind());
    if product == Product::Inverse {
        made.contract_size = Some(Decimal::new(1, 0));
    }
    Some(match product {
        Product::Spot => match split(symbol) {
            Some((base, quote)) => made.named(base, quote, ""),
            None => made,
        },
        Product::Linear => linear(made),
        Product::Inverse => inverse(made),
        Product::Option => option(made),
    })
}

/// `BTCUSD`, `BTCUSDZ26`
fn inverse(mut made: Instrument) -> Instrument {
    let symbol = made.symbol.clone();
    if let Some(pair) = delivery_code(symbol.as_bytes()) {
        made.kind = InstrumentKind::Future;
        let base = symbol.get(..pair.len().saturating_sub(3)).unwrap_or_default();
        // The day is not in the symbol, so that the name that follows from the terms would be the perpetual's.
        let name = std::mem::take(&mut made.name);
        return Instrument { name, ..made.named(base, "USD", base) };
    }
    let base = symbol.strip_suffix("USD").unwrap_or(&symbol);
    made.named(base, "USD", base)
}

/// `BTCUSDT` to `BTC` and `USDT`.
fn split(symbol: &str) -> Option<(&str, &str)> {
    let found = QUOTES.iter().find_map(|q| Some((symbol.strip_suffix(q)?, *q)));
    found.filter(|(base, _)| !base.is_empty())
}

/// `BTCUSDT`, `BTCPERP`, `BTCUSDT-26DEC25`, `BTC-26DEC25`
fn linear(mut made: Instrument) -> Instrument {
    let symbol = made.symbol.clone();
    let (pair, day) = symbol.split_once('-').map_or((&*symbol, None), |(pair, day)| (pair, Some(day)));
    if let Some(day) = day {
        made.kind = InstrumentKind::Future;
        made.expiry = expiry(day);
    }
    let named = pair.strip_suffix("PERP").map(|base| (base, "USDC")).or_else(|| split(pair));
    match (named, day) {
        (Some((base, quote)), _) => made.named(base, quote, quote),
        (None, Some(_)) => made.named(pair, "USDC", "USDC"),
        (None, None) => made,
    }
}

/// `BTC-27MAR26-70000-P-USDT`; without the last part it is settled in USDC.
fn option(mut made: Instrument) -> Instrument {
    let symbol = made.symbol.clone();
    let mut parts = symbol.split('-');
    let (base, day) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (strike, right) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let settle = parts.next().unwrap_or("USDC");
    let right = match right {
        "C" => Right::Call,
        "P" => Right::Put,
        _ => return made,
    };
    made.expiry = expiry(day);
    made.option = number(strike).map(|strike| (strike, right));
    made.named(base, settle, settle)
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// 08:00 UTC of a day written `7MAR26`.
fn expiry(day: &str) -> Option<Ts> {
    let (rest, year) = day.split_at_checked(day.len().checked_sub(2)?)?;
    let (date, month) = rest.split_at_checked(rest.len().checked_sub(3)?)?;
    let month = i64::try_from(MONTHS.iter().position(|m| *m == month)? + 1).ok()?;
    let days = days_from_civil(2_000 + year.parse::<i64>().ok()?, month, date.parse().ok()?)?;
    Some(Ts::from_ms(days * 86_400_000 + 8 * 3_600_000))
}

/// Days from the UNIX epoch to a date (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..=9_999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_alone_gives_kind_and_name() {
        for (product, symbol, name) in [
            (Product::Spot, "BTCUSDT", "BTC/USDT@bybit"),
            (Product::Spot, "ETHBTC", "ETH/BTC@bybit"),
            (Product::Linear, "BTCUSDT", "BTC/USDT:USDT@bybit"),
            (Product::Linear, "1000PEPEUSDT", "1000PEPE/USDT:USDT@bybit"),
            (Product::Linear, "BTCPERP", "BTC/USDC:USDC@bybit"),
            (Product::Linear, "BTC-26DEC25", "BTC/USDC:USDC-251226@bybit"),
            (Product::Linear, "BTCUSDT-26DEC25", "BTC/USDT:USDT-251226@bybit"),
            (Product::Inverse, "BTCUSD", "BTC/USD:BTC@bybit"),
            (Product::Inverse, "BTCUSDZ25", "BTCUSDZ25@bybit"),
            (Product::Option, "BTC-27MAR26-70000-P-USDT", "BTC/USDT:USDT-260327-70000-P@bybit"),
            (Product::Option, "SOL-7APR23-30-C", "SOL/USDC:USDC-230407-30-C@bybit"),
            (Product::Spot, "ODD", "ODD@bybit"),
        ] {
            let made = provisional(product, symbol.as_bytes()).unwrap();
            assert_eq!(&*made.name, name);
            assert!(made.provisional);
        }
        for junk in ["", "BTC USDT", "BTC\"", "é"] {
            assert_eq!(provisional(Product::Spot, junk.as_bytes()), None);
        }
    }

    #[test]
    fn a_listed_row_gives_exact_scales_and_the_name_that_its_symbol_means() {
        let bodies = [
            &include_bytes!("../fixtures/rest_spot.json")[..],
            include_bytes!("../fixtures/rest_linear.json"),
            include_bytes!("../fixtures/rest_inverse.json"),
            include_bytes!("../fixtures/rest_option.json"),
        ];
        let all: Vec<Instrument> = bodies.iter().flat_map(|body| read(body).unwrap()).collect();
        let names: Vec<_> = all.iter().map(|i| &*i.name).collect();
        assert_eq!(
            names,
            [
                "BTC/USDT@bybit",
                "BTC/USDT:USDT@bybit",
                "BTC/USDC:USDC-261225@bybit",
                "BTC/USD:BTC@bybit",
                "BTC/USD:BTC-261225@bybit",
                "BTC/USDT:USDT-261225-100000-C@bybit"
            ]
        );
        assert_eq!((all[0].px_scale, all[0].qty_scale), (2, 6));
        assert_eq!((all[1].px_scale, all[1].qty_scale), (1, 3));
        assert_eq!(all[3].contract_size, Some(Decimal::new(1, 0)));
        assert_eq!(all[2].status, Status::PreOpen);
        assert_eq!(all[5].option, Some((Decimal::new(100_000, 0), Right::Call)));
        for made in &all {
            assert_eq!(made.id, model::InstrumentId::of("bybit", &made.product, &made.symbol));
            let guess = provisional(Product::of(made).unwrap(), made.symbol.as_bytes()).unwrap();
            assert_eq!(guess.kind, made.kind);
            if made.symbol.len() != 9 {
                assert_eq!((&guess.name, guess.expiry), (&made.name, made.expiry));
            }
        }
    }

    #[test]
    fn an_error_is_no_listing() {
        assert!(read(br#"{"retCode":10006,"retMsg":"Too many visits!","result":{}}"#).is_err());
        assert!(read(b"{").is_err());
        let empty = br#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[]},"time":1}"#;
        assert_eq!(read(empty), Ok(Vec::new()));
    }
}
