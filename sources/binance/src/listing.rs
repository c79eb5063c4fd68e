//! Instruments: what `exchangeInfo` says, and what is made up from a symbol before it was seen.

use crate::NAME;
use crate::product::{PRODUCTS, Product};
use model::{Decimal, Instrument, InstrumentKind, Status, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{Malformed, What};
use std::borrow::Cow;

/// `{"timezone":"UTC","rateLimits":[…],"symbols":[…]}`
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
}

/// What is needed of a row that cannot be read.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
}

/// `{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","deliveryDate":4133404800000,"status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","marginAsset":"USDT","filters":[…]}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    contract_status: Cow<'a, str>,
    #[serde(borrow, default)]
    contract_type: Cow<'a, str>,
    #[serde(borrow)]
    base_asset: Cow<'a, str>,
    #[serde(borrow)]
    quote_asset: Cow<'a, str>,
    #[serde(borrow, default)]
    margin_asset: Cow<'a, str>,
    #[serde(default)]
    delivery_date: i64,
    #[serde(default)]
    contract_size: Option<serde_json::Number>,
    #[serde(borrow, default)]
    filters: Vec<Filter<'a>>,
}

/// `{"filterType":"PRICE_FILTER","tickSize":"0.01000000","minPrice":"0.01000000"}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(borrow, rename = "filterType")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    tick_size: Cow<'a, str>,
    #[serde(borrow, default)]
    step_size: Cow<'a, str>,
}

/// The section that a listing path or URL belongs to.
pub fn product_of(path: &str) -> Option<&'static Product> {
    if !path.contains("/exchangeInfo") {
        return None;
    }
    let named = PRODUCTS.iter().find(|p| path.contains(p.rest));
    named.or_else(|| path.contains("/api/v1").then(|| PRODUCTS.first()).flatten())
}

/// Reads a listing. A row that cannot be read loses no other: its instrument is provisional, and its status says why.
///
/// # Errors
/// Where no row can be read.
pub fn read(product: &Product, body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    let mut all = Vec::with_capacity(answer.symbols.len());
    let mut first = None;
    for raw in &answer.symbols {
        match serde_json::from_str::<Row<'_>>(raw.get()) {
            Ok(row) => all.push(row.instrument(product)),
            Err(e) => {
                first = first.or_else(|| Some(fault(raw.get().as_bytes(), &e)));
                if let Ok(named) = serde_json::from_str::<Named<'_>>(raw.get()) {
                    let mut made = provisional(product, &named.symbol);
                    made.status = Status::Other(format!("its row cannot be read: {e}").into());
                    all.push(made);
                }
            }
        }
    }
    let none = all.iter().all(|i| matches!(&i.status, Status::Other(_)) && i.provisional);
    match first.filter(|_| none) {
        Some(fault) => Err(fault),
        None => Ok(all),
    }
}

/// Where `serde_json` stopped.
fn fault(body: &[u8], error: &serde_json::Error) -> Malformed {
    let before: usize =
        body.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
    let what = if error.is_eof() { What::Eof } else { What::Expected("a listing of symbols") };
    Malformed { at: before + error.column().saturating_sub(1), what }
}

impl Row<'_> {
    fn instrument(&self, product: &Product) -> Instrument {
        let kind = match (product.futures, &*self.contract_type) {
            (false, _) => InstrumentKind::Spot,
            (true, kind) if kind.contains("PERPETUAL") || kind.is_empty() => InstrumentKind::Perpetual,
            (true, _) => InstrumentKind::Future,
        };
        let filter = |name: &str| self.filters.iter().find(|f| f.kind == name);
        let step = |text: &str| Decimal::parse(text.as_bytes()).ok().filter(|d| !d.is_zero());
        let tick = filter("PRICE_FILTER").and_then(|f| step(&f.tick_size));
        let lot = filter("LOT_SIZE").and_then(|f| step(&f.step_size));
        let mut made = Instrument::provisional(NAME, product.name, &self.symbol, kind);
        made.expiry = (kind == InstrumentKind::Future && self.delivery_date > 0)
            .then(|| Ts::from_ms(self.delivery_date));
        made.px_scale = tick.map_or(8, Decimal::scale);
        made.qty_scale = lot.map_or(8, Decimal::scale);
        made.tick = tick;
        made.lot = lot;
        made.contract_size =
            self.contract_size.as_ref().and_then(|n| Decimal::parse(n.to_string().as_bytes()).ok());
        made.provisional = tick.is_none() || lot.is_none();
        made.status = status(if self.status.is_empty() { &self.contract_status } else { &self.status });
        let settle = if product.futures && self.margin_asset.is_empty() {
            &self.quote_asset
        } else {
            &self.margin_asset
        };
        let settle = if product.futures { settle } else { "" };
        made.named(&self.base_asset, &self.quote_asset, settle)
    }
}

/// The venue's word as ours.
pub fn status(word: &str) -> Status {
    match word {
        "TRADING" | "" => Status::Trading,
        "PENDING_TRADING" | "PRE_TRADING" | "AUCTION_MATCH" => Status::PreOpen,
        "HALT" | "BREAK" | "END_OF_DAY" | "CANCEL_ONLY" | "PRE_SETTLE" | "SETTLING" | "PRE_DELIVERING"
        | "DELIVERING" => Status::Halted,
        "CLOSE" | "DELIVERED" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

/// Quote currencies by which a concatenated symbol is cut, for the name of a provisional definition only.
const QUOTES: [&str; 24] = [
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "PAX", "DAI", "BIDR", "IDRT", "BTC", "ETH", "BNB",
    "EUR", "GBP", "AUD", "BRL", "TRY", "RUB", "UAH", "NGN", "ZAR", "JPY", "USD",
];

/// A definition for a symbol that no listing has named.
pub fn provisional(product: &Product, symbol: &str) -> Instrument {
    let (pair, tail) = symbol.split_once('_').map_or((symbol, None), |(pair, tail)| (pair, Some(tail)));
    let kind = match tail {
        _ if !product.futures => InstrumentKind::Spot,
        Some(tail) if tail != "PERP" => InstrumentKind::Future,
        _ => InstrumentKind::Perpetual,
    };
    let mut made = Instrument::provisional(NAME, product.name, symbol, kind);
    let cut = QUOTES.iter().find_map(|quote| Some((pair.strip_suffix(quote)?, *quote)));
    let Some((base, quote)) = cut.filter(|(base, _)| !base.is_empty()) else { return made };
    made.expiry = tail.filter(|_| kind == InstrumentKind::Future).and_then(expiry);
    let settle = match product.name {
        "coinm" => base,
        "usdm" => quote,
        _ => "",
    };
    made.named(base, quote, settle)
}

/// `210924` → 08:00 UTC of that day.
fn expiry(tail: &str) -> Option<Ts> {
    let number = |range: std::ops::Range<usize>| tail.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (2_000 + number(0..2)?, number(2..4)?, number(4..6)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || tail.len() != 6 {
        return None;
    }
    // Days from civil, Howard Hinnant's algorithm.
    let year = if month <= 2 { year - 1 } else { year };
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let yoe = year.rem_euclid(400);
    let days = year.div_euclid(400) * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(Ts::from_ms((days * 24 + 8) * 3_600_000))
}

/// A symbol as part of a URL.
pub fn encoded(symbol: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'~');
    symbol.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_and_lot_give_the_scales() {
        let body = br#"{"symbols":[{"symbol":"BTCUSD_250926","pair":"BTCUSD","contractType":"CURRENT_QUARTER","deliveryDate":1758873600000,"contractStatus":"TRADING","contractSize":100,"baseAsset":"BTC","quoteAsset":"USD","marginAsset":"BTC","filters":[{"filterType":"PRICE_FILTER","minPrice":"0.1","maxPrice":"1000000","tickSize":"0.10"},{"filterType":"LOT_SIZE","stepSize":"1","minQty":"1","maxQty":"10"}]}]}"#;
        let all = read(&PRODUCTS[2], body).unwrap();
        assert_eq!(&*all[0].name, "BTC/USD:BTC-250926@binance");
        assert_eq!((all[0].px_scale, all[0].qty_scale), (1, 0));
        assert_eq!(all[0].contract_size, Some(Decimal::new(100, 0)));
    }

    #[test]
    fn a_provisional_name_is_the_one_that_the_listing_would_give() {
        let name = |at: usize, symbol| provisional(&PRODUCTS[at], symbol).name.to_string();
        assert_eq!(name(0, "ETHBTC"), "ETH/BTC@binance");
        assert_eq!(name(0, "QQQ"), "QQQ@binance");
        assert_eq!(name(1, "BTCUSDT"), "BTC/USDT:USDT@binance");
        assert_eq!(name(2, "BTCUSD_PERP"), "BTC/USD:BTC@binance");
        assert_eq!(name(2, "BTCUSD_210924"), "BTC/USD:BTC-210924@binance");
    }

    #[test]
    fn a_row_that_cannot_be_read_loses_no_other() {
        let bad = r#"{"symbol":"BADUSDT","baseAsset":7,"quoteAsset":"USDT"}"#;
        let good = r#"{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT","status":"TRADING"}"#;
        let body = format!(r#"{{"symbols":[{bad},{good},{{"no":1}}]}}"#);
        let all = read(&PRODUCTS[0], body.as_bytes()).unwrap();
        assert_eq!(all.iter().map(|i| &*i.symbol).collect::<Vec<_>>(), ["BADUSDT", "BTCUSDT"]);
        assert!(matches!(&all[0].status, Status::Other(why) if why.contains("cannot be read")));
        assert!(all[0].provisional && all[1].status == Status::Trading);
        assert!(read(&PRODUCTS[0], format!(r#"{{"symbols":[{bad}]}}"#).as_bytes()).is_err());
    }

    #[test]
    fn an_html_page_for_a_listing_is_a_fault_and_not_an_empty_list() {
        assert!(read(&PRODUCTS[0], b"<html>403</html>").is_err());
    }
}
