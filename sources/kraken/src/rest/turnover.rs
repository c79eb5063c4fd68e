//! What was traded in 24 hours.

use crate::listing::{decimal, fault, provisional};
use crate::names;
use model::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{Malformed, Turnover};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The answer for all pairs.
///
/// `{"error":[],"result":{"XXBTZUSD":{"v":["1632.80000000","3140.50000000"],"p":["63904.39279","63950.10000"]}}}`
#[derive(Deserialize)]
struct Pairs<'a> {
    #[serde(borrow)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, Pair<'a>>,
}

/// Volumes and mean prices of today and of 24 hours.
#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    v: [&'a RawValue; 2],
    #[serde(borrow)]
    p: [&'a RawValue; 2],
}

/// The answer for all contracts.
///
/// `{"result":"success","tickers":[{"symbol":"PF_XBTUSD","vol24h":3140.5,"volumeQuote":200000000.5}],"serverTime":"2026-09-01T12:00:00.123Z"}`
#[derive(Deserialize)]
struct Contracts<'a> {
    #[serde(borrow)]
    tickers: Vec<Contract<'a>>,
}

#[derive(Deserialize)]
struct Contract<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default, rename = "volumeQuote")]
    volume_quote: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "vol24h")]
    volume: Option<&'a RawValue>,
}

/// Turnovers of pairs: volume times mean price, which is what the venue's mean is.
pub fn pairs(body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
    let answer: Pairs<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    if !answer.error.is_empty() {
        return Err(super::rule("the venue answered with an error"));
    }
    let turnover = |(key, pair): (&Cow<'_, str>, &Pair<'_>)| {
        let symbol = names::symbol_of_key(key)?;
        let turnover = product(decimal(Some(pair.v[1]))?, decimal(Some(pair.p[1]))?)?;
        Some(Turnover { product: "", symbol: symbol.into(), turnover })
    };
    Ok(answer.result.iter().filter_map(turnover).collect())
}

/// Turnovers of contracts. Of an inverse contract the volume is in dollars itself.
pub fn contracts(body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
    let answer: Contracts<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    let turnover = |contract: &Contract<'_>| {
        let made = provisional(contract.symbol.as_bytes())?;
        let turnover = decimal(contract.volume_quote).or_else(|| decimal(contract.volume))?;
        Some(Turnover { product: "", symbol: made.symbol, turnover })
    };
    Ok(answer.tickers.iter().filter_map(turnover).collect())
}

/// The product, of which digits far behind the point are left out where it has too many.
fn product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let parts = |number: Decimal| -> Option<(i128, u8)> {
        let text = number.to_string();
        let digits: String = text.chars().filter(|c| *c != '.').collect();
        Some((digits.parse().ok()?, number.scale()))
    };
    let ((mut a, mut a_scale), (b, b_scale)) = (parts(a)?, parts(b)?);
    loop {
        if let Some(product) = a.checked_mul(b) {
            return Some(Decimal::new(product, a_scale.checked_add(b_scale)?));
        }
        a /= 10;
        a_scale = a_scale.checked_sub(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turnovers_are_of_24_hours_and_found_under_every_key() {
        let body = br#"{"error":[],"result":{"XXBTZUSD":{"a":["1","1","1"],"v":["1.5","2.5"],"p":["9","64000.1"]},"ADAUSDT":{"v":["1","10"],"p":["1","0.5"]}}}"#;
        let all = pairs(body).unwrap();
        let text: Vec<_> = all.iter().map(|t| format!("{} {}", t.symbol, t.turnover)).collect();
        assert_eq!(text, ["ADA/USDT 5", "BTC/USD 160000.25"]);
        assert!(pairs(br#"{"error":["EGeneral:Internal error"]}"#).is_err());
        let body = br#"{"result":"success","tickers":[{"symbol":"pi_xbtusd","vol24h":7.0,"volumeQuote":2.5e3},{"symbol":"in_xbtusd"}]}"#;
        let all = contracts(body).unwrap();
        assert_eq!((all.len(), &*all[0].symbol, all[0].turnover), (1, "PI_XBTUSD", Decimal::new(2_500, 0)));
    }

    #[test]
    fn a_product_with_too_many_digits_loses_the_last_ones_only() {
        let big = Decimal::parse(b"123456789012345678901234.12345678").unwrap();
        let made = product(big, Decimal::parse(b"0.123456789").unwrap()).unwrap();
        assert!(made.to_string().starts_with("152415787517146788"), "{made}");
    }
}
