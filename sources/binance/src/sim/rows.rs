//! The listing of the simulated venue.

use crate::product::Product;
use model::{Decimal, Ts};
use source::market::Coin;
use std::fmt::Write;

/// The day on which the dated futures end, in their symbols, and its 08:00 UTC.
const EXPIRY: (&str, i64) = ("261225", 1_798_185_600_000);
/// What the venue gives perpetuals for a date.
const NEVER_MS: i64 = 4_133_404_800_000;

/// When contracts were listed.
pub(super) const ONBOARD_MS: i64 = 1_569_398_400_000;

/// `{"timezone":"UTC","serverTime":1760000000000,"rateLimits":[…],"symbols":[…]}`
pub(super) fn listing<'r>(product: &Product, rows: impl IntoIterator<Item = &'r Row>, now: Ts) -> String {
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
        rows.into_iter()
            .filter(|row| row.is_listed())
            .map(|row| row.text(product))
            .collect::<Vec<_>>()
            .join(",")
    )
}

/// Rows for the coins, and on futures a dated one of the first.
pub(super) fn rows(product: &Product, coins: &[Coin]) -> Vec<Row> {
    let row = |coin: &Coin, dated| Row { coin: coin.clone(), dated, status: "TRADING" };
    let dated = coins.first().filter(|_| product.futures).map(|first| row(first, true));
    coins.iter().map(|coin| row(coin, false)).chain(dated).collect()
}

/// What is listed: a spot pair, a perpetual or a dated future.
pub(super) struct Row {
    pub coin: Coin,
    pub dated: bool,
    /// The venue's word; empty where it is on the list no longer.
    pub status: &'static str,
}

impl Row {
    pub const fn is_listed(&self) -> bool {
        !self.status.is_empty()
    }

    /// Where its price starts.
    pub const fn start(&self) -> i64 {
        if self.dated { self.coin.px + self.coin.px / 200 } else { self.coin.px }
    }

    /// The kind of contract, and when it ends, in ms.
    pub const fn contract(&self) -> (&'static str, i64) {
        if self.dated { ("CURRENT_QUARTER", EXPIRY.1) } else { ("PERPETUAL", NEVER_MS) }
    }

    fn text(&self, product: &Product) -> String {
        let (coin, word) = (&self.coin, self.status);
        let step = |scale: u8| Decimal::new(1, scale).to_string();
        let quote = if product.inverse { "USD" } else { "USDT" };
        let base = &coin.base;
        let pair = format!("{base}{quote}");
        let symbol = match (self.dated, product.inverse) {
            (true, _) => format!("{pair}_{}", EXPIRY.0),
            (false, true) => format!("{pair}_PERP"),
            (false, false) => pair.clone(),
        };
        let (tick, lot) =
            (step(coin.px_scale), if product.inverse { "1".to_owned() } else { step(coin.qty_scale) });
        let mut row =
            format!("{{\"symbol\":\"{symbol}\",\"baseAsset\":\"{base}\",\"quoteAsset\":\"{quote}\",");
        if product.futures {
            let (kind, date) = self.contract();
            let margin = if product.inverse { base } else { quote };
            let status = if product.inverse {
                format!("\"contractStatus\":\"{word}\",\"contractSize\":100")
            } else {
                format!("\"status\":\"{word}\"")
            };
            let (px_scale, qty_scale) = (coin.px_scale, if product.inverse { 0 } else { coin.qty_scale });
            let _ = write!(
                row,
                "\"pair\":\"{pair}\",\"contractType\":\"{kind}\",\"deliveryDate\":{date},\"onboardDate\":{ONBOARD_MS},\"marginAsset\":\"{margin}\",\"pricePrecision\":{px_scale},\"quantityPrecision\":{qty_scale},{status},"
            );
        } else {
            let _ = write!(
                row,
                "\"status\":\"{word}\",\"baseAssetPrecision\":8,\"quoteAssetPrecision\":8,\"permissionSets\":[[\"SPOT\"]],"
            );
        }
        let _ = write!(
            row,
            "\"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{tick}\",\"maxPrice\":\"1000000\",\"tickSize\":\"{tick}\"}},{{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"9000000\",\"stepSize\":\"{lot}\"}}]}}"
        );
        row
    }
}
