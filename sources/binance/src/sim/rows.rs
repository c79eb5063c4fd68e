//! The listing of the simulated venue.

use crate::product::Product;
use model::{Decimal, Ts};
use source::market::Coin;
use std::fmt::Write;

/// The day on which the dated futures end, in their symbols, and its 08:00 UTC.
const EXPIRY: (&str, i64) = ("261225", 1_798_185_600_000);
/// What the venue gives perpetuals for a date.
const NEVER_MS: i64 = 4_133_404_800_000;

/// `{"timezone":"UTC","serverTime":1760000000000,"rateLimits":[…],"symbols":[…]}`
pub(super) fn listing(product: &Product, rows: &[String], now: Ts) -> String {
    let weight = product.weight_max;
    let raw = if product.futures {
        String::new()
    } else {
        ",{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":300000}"
            .to_owned()
    };
    format!(
        "{{\"timezone\":\"UTC\",\"serverTime\":{},\"rateLimits\":[{{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":{weight}}}{raw}],\"exchangeFilters\":[],\"symbols\":[{}]}}",
        now.as_ms(),
        rows.join(",")
    )
}

/// Rows for the coins, and on futures a dated one of the first; with where its price starts.
pub(super) fn rows(product: &Product, coins: &[Coin]) -> Vec<(String, i64)> {
    let mut rows: Vec<_> = coins.iter().map(|coin| (row(product, coin, false), coin.px)).collect();
    if let Some(first) = coins.first().filter(|_| product.futures) {
        rows.push((row(product, first, true), first.px + first.px / 200));
    }
    rows
}

/// A spot pair, a perpetual or a dated future.
fn row(product: &Product, coin: &Coin, dated: bool) -> String {
    let step = |scale: u8| Decimal::new(1, scale).to_string();
    let quote = if product.inverse { "USD" } else { "USDT" };
    let base = &coin.base;
    let pair = format!("{base}{quote}");
    let symbol = match (dated, product.inverse) {
        (true, _) => format!("{pair}_{}", EXPIRY.0),
        (false, true) => format!("{pair}_PERP"),
        (false, false) => pair.clone(),
    };
    let (tick, lot) =
        (step(coin.px_scale), if product.inverse { "1".to_owned() } else { step(coin.qty_scale) });
    let mut row = format!("{{\"symbol\":\"{symbol}\",\"baseAsset\":\"{base}\",\"quoteAsset\":\"{quote}\",");
    if product.futures {
        let (kind, date) = if dated { ("CURRENT_QUARTER", EXPIRY.1) } else { ("PERPETUAL", NEVER_MS) };
        let margin = if product.inverse { base } else { quote };
        let status = if product.inverse {
            "\"contractStatus\":\"TRADING\",\"contractSize\":100"
        } else {
            "\"status\":\"TRADING\""
        };
        let (px_scale, qty_scale) = (coin.px_scale, if product.inverse { 0 } else { coin.qty_scale });
        let _ = write!(
            row,
            "\"pair\":\"{pair}\",\"contractType\":\"{kind}\",\"deliveryDate\":{date},\"onboardDate\":1569398400000,\"marginAsset\":\"{margin}\",\"pricePrecision\":{px_scale},\"quantityPrecision\":{qty_scale},{status},"
        );
    } else {
        row.push_str("\"status\":\"TRADING\",\"baseAssetPrecision\":8,\"quoteAssetPrecision\":8,\"permissionSets\":[[\"SPOT\"]],");
    }
    let _ = write!(
        row,
        "\"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{tick}\",\"maxPrice\":\"1000000\",\"tickSize\":\"{tick}\"}},{{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"9000000\",\"stepSize\":\"{lot}\"}}]}}"
    );
    row
}
