//! The venue's lists of products → definitions.

use crate::{Feed, NAME, time};
use model::{Decimal, Instrument, InstrumentKind, SCALE_MAX, Status};
use serde::Deserialize;
use source::{Malformed, What};
use std::borrow::Cow;

/// What Advanced Trade lists.
pub const PRODUCTS: &str = "/api/v3/brokerage/market/products";
/// Futures with funding, open interest and index price.
pub const FUTURES: &str = "/api/v3/brokerage/market/products?product_type=FUTURE";
/// Perpetual futures of the international exchange, with the same.
pub const PERPETUALS: &str =
    "/api/v3/brokerage/market/products?product_type=FUTURE&contract_expiry_type=PERPETUAL";

/// Requests whose answers list all instruments.
pub const PATHS: [(Feed, &str); 4] = [
    (Feed::Advanced, "/api/v3/brokerage/market/products?product_type=SPOT"),
    (Feed::Advanced, FUTURES),
    (Feed::Advanced, PERPETUALS),
    (Feed::Exchange, "/products"),
];

/// The feed whose listing stands at a path or recorded URL.
pub fn feed_of(path: &str) -> Option<Feed> {
    let path =
        path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("", |at| rest.split_at(at).1));
    match path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/') {
        PRODUCTS | "/api/v3/brokerage/products" => Some(Feed::Advanced),
        "/products" => Some(Feed::Exchange),
        _ => None,
    }
}

/// A text that may be `null` or not there.
type Text<'a> = Option<Cow<'a, str>>;

/// A product of Advanced Trade, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Product<'a> {
    #[serde(borrow, rename = "product_id")]
    pub id: Text<'a>,
    #[serde(borrow, rename = "product_type")]
    kind: Text<'a>,
    #[serde(borrow)]
    base_currency_id: Text<'a>,
    #[serde(borrow)]
    quote_currency_id: Text<'a>,
    #[serde(borrow)]
    base_increment: Text<'a>,
    #[serde(borrow)]
    quote_increment: Text<'a>,
    #[serde(borrow)]
    price_increment: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    pub alias: Text<'a>,
    #[serde(borrow)]
    pub approximate_quote_24h_volume: Text<'a>,
    trading_disabled: Option<bool>,
    is_disabled: Option<bool>,
    cancel_only: Option<bool>,
    auction_mode: Option<bool>,
    #[serde(borrow)]
    pub future_product_details: Option<Future<'a>>,
}

/// What only a future has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Future<'a> {
    #[serde(borrow)]
    contract_code: Text<'a>,
    #[serde(borrow)]
    contract_expiry: Text<'a>,
    #[serde(borrow)]
    contract_size: Text<'a>,
    #[serde(borrow)]
    contract_root_unit: Text<'a>,
    #[serde(borrow)]
    contract_expiry_type: Text<'a>,
    #[serde(borrow)]
    funding_interval: Text<'a>,
    #[serde(borrow)]
    pub open_interest: Text<'a>,
    #[serde(borrow)]
    pub funding_rate: Text<'a>,
    #[serde(borrow)]
    pub funding_time: Text<'a>,
    #[serde(borrow)]
    pub index_price: Text<'a>,
    #[serde(borrow)]
    pub perpetual_details: Option<Perpetual<'a>>,
}

/// Where the international exchange's perpetuals have what futures have one level higher.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Perpetual<'a> {
    #[serde(borrow)]
    pub open_interest: Text<'a>,
    #[serde(borrow)]
    pub funding_rate: Text<'a>,
    #[serde(borrow)]
    pub funding_time: Text<'a>,
}

/// An answer of Advanced Trade.
#[derive(Debug, Deserialize)]
pub struct Products<'a> {
    #[serde(borrow)]
    pub products: Vec<Product<'a>>,
}

/// A product of Exchange, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    base_currency: Text<'a>,
    #[serde(borrow)]
    quote_currency: Text<'a>,
    #[serde(borrow)]
    base_increment: Text<'a>,
    #[serde(borrow)]
    quote_increment: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    trading_disabled: Option<bool>,
    cancel_only: Option<bool>,
    auction_mode: Option<bool>,
}

/// Reads a listing. Products that are another name of a product (`BTC-USDC` of `BTC-USD`) are left out: they have no
/// data of their own.
///
/// # Errors
/// Where it cannot be read.
pub fn read(feed: Feed, body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let wrong = |e: serde_json::Error| fault(body, &e);
    match feed {
        Feed::Advanced => {
            let all: Products<'_> = serde_json::from_slice(body).map_err(wrong)?;
            Ok(all.products.iter().filter_map(Product::instrument).collect())
        }
        Feed::Exchange => {
            let all: Vec<Listed<'_>> = serde_json::from_slice(body).map_err(wrong)?;
            Ok(all.iter().filter_map(Listed::instrument).collect())
        }
    }
}

/// What `serde_json` found wrong, as a fault of ours.
pub fn fault(bytes: &[u8], error: &serde_json::Error) -> Malformed {
    let before = bytes.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1);
    let what = if error.is_eof() { What::Eof } else { What::Expected("a known answer") };
    Malformed { at: before.sum::<usize>() + error.column(), what }
}

/// The words, or none.
pub fn text<'t>(text: &'t Text<'_>) -> &'t str {
    text.as_deref().unwrap_or_default()
}

/// A number that is there and not zero.
fn number(words: &Text<'_>) -> Option<Decimal> {
    Decimal::parse(text(words).as_bytes()).ok().filter(|d| !d.is_zero())
}

impl Product<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let symbol = symbol(text(&self.id).as_bytes())?;
        if !text(&self.alias).is_empty() {
            return None;
        }
        let future = self.future_product_details.as_ref();
        let kind = match (text(&self.kind), future) {
            ("FUTURE", Some(future)) if future.is_perpetual(symbol) => InstrumentKind::Perpetual,
            ("FUTURE", _) => InstrumentKind::Future,
            _ => InstrumentKind::Spot,
        };
        let mut made = Instrument::provisional(NAME, Feed::Advanced.product(), symbol, kind);
        made.provisional = false;
        let tick = number(&self.price_increment).or_else(|| number(&self.quote_increment));
        steps(&mut made, tick, number(&self.base_increment));
        let disabled = self.trading_disabled == Some(true) || self.is_disabled == Some(true);
        made.status = status(text(&self.status), disabled || self.cancel_only == Some(true));
        if made.status == Status::Trading && self.auction_mode == Some(true) {
            made.status = Status::PreOpen;
        }
        let (mut base, quote) = (text(&self.base_currency_id), text(&self.quote_currency_id));
        let Some(future) = future.filter(|_| kind != InstrumentKind::Spot) else {
            return Some(made.named(base, quote, ""));
        };
        if kind == InstrumentKind::Future {
            made.expiry = time::parse(text(&future.contract_expiry).as_bytes());
        }
        made.contract_size = number(&future.contract_size);
        let first = symbol.split('-').next().unwrap_or_default();
        for name in [text(&future.contract_root_unit), text(&future.contract_code), first] {
            base = if base.is_empty() { name } else { base };
        }
        Some(made.named(base, quote, quote))
    }
}

impl Future<'_> {
    fn is_perpetual(&self, symbol: &str) -> bool {
        text(&self.contract_expiry_type) == "PERPETUAL"
            || !text(&self.funding_interval).is_empty()
            || symbol.contains("-PERP")
    }
}

impl Listed<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let symbol = symbol(text(&self.id).as_bytes())?;
        let mut made = Instrument::provisional(NAME, Feed::Exchange.product(), symbol, InstrumentKind::Spot);
        made.provisional = false;
        steps(&mut made, number(&self.quote_increment), number(&self.base_increment));
        let disabled = self.trading_disabled == Some(true) || self.cancel_only == Some(true);
        made.status = status(text(&self.status), disabled);
        if made.status == Status::Trading && self.auction_mode == Some(true) {
            made.status = Status::PreOpen;
        }
        Some(apart(made.named(text(&self.base_currency), text(&self.quote_currency), "")))
    }
}

fn steps(made: &mut Instrument, tick: Option<Decimal>, lot: Option<Decimal>) {
    made.tick = tick.filter(|d| d.scale() <= SCALE_MAX);
    made.lot = lot.filter(|d| d.scale() <= SCALE_MAX);
    made.px_scale = made.tick.map_or(made.px_scale, Decimal::scale);
    made.qty_scale = made.lot.map_or(made.qty_scale, Decimal::scale);
}

/// The name of an instrument of Exchange, so that the same market of Advanced Trade keeps the plain one.
fn apart(mut made: Instrument) -> Instrument {
    made.name = format!("{}:{}", Feed::Exchange.product(), made.name).into();
    made
}

/// What the venue's word for a product's state means.
pub fn status(word: &str, disabled: bool) -> Status {
    match word {
        "online" | "" if disabled => Status::Halted,
        "online" | "" => Status::Trading,
        "delisted" => Status::Closed,
        "offline" | "internal" => Status::Halted,
        other => Status::Other(other.into()),
    }
}

/// The symbol, where the bytes could be one.
fn symbol(bytes: &[u8]) -> Option<&str> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = (1..=64).contains(&bytes.len()) && bytes.iter().all(plain);
    fits.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// A provisional definition whose kind and name come from the form of the symbol, or `None` where that is no symbol.
pub fn provisional(feed: Feed, bytes: &[u8]) -> Option<Instrument> {
    let symbol = symbol(bytes)?;
    let made = |kind| Instrument::provisional(NAME, feed.product(), symbol, kind);
    let parts: Vec<&str> = symbol.split('-').collect();
    let made = match parts.as_slice() {
        [base, quote] => made(InstrumentKind::Spot).named(base, quote, ""),
        [base, "PERP", ..] => made(InstrumentKind::Perpetual).named(base, "USDC", "USDC"),
        [_, _, _] => made(InstrumentKind::Future),
        _ => made(InstrumentKind::Spot),
    };
    Some(if feed == Feed::Exchange { apart(made) } else { made })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Ts;

    const SPOT: &str = r#"{"products":[
        {"product_id":"BTC-USD","price":"65086.18","base_increment":"0.00000001","quote_increment":"0.01",
         "status":"online","trading_disabled":false,"is_disabled":false,"product_type":"SPOT","alias":"",
         "alias_to":["BTC-USDC"],"quote_currency_id":"USD","base_currency_id":"BTC","price_increment":"0.01",
         "fcm_trading_session_details":null,"new_at":null},
        {"product_id":"BTC-USDC","product_type":"SPOT","alias":"BTC-USD","quote_currency_id":"USDC","base_currency_id":"BTC"},
        {"product_id":"OLD-USD","product_type":"SPOT","status":"delisted","trading_disabled":true,"price_increment":"1"}],
        "num_products":3,"pagination":null}"#;
    const FUTURE: &str = r#"{"products":[
        {"product_id":"BIP-20DEC30-CDE","base_increment":"1","price_increment":"5","status":"","product_type":"FUTURE",
         "quote_currency_id":"USD","base_currency_id":"","future_product_details":{"contract_code":"BIP",
         "contract_expiry":"2030-12-20T16:00:00Z","contract_size":"0.01","contract_root_unit":"BTC",
         "contract_expiry_type":"EXPIRING","funding_interval":"3600s"}},
        {"product_id":"BIT-24APR26-CDE","base_increment":"1","price_increment":"5","status":"","product_type":"FUTURE",
         "quote_currency_id":"USD","base_currency_id":"","future_product_details":{"contract_code":"BIT",
         "contract_expiry":"2026-04-24T15:00:00Z","contract_size":"0.01","contract_root_unit":"BTC",
         "contract_expiry_type":"EXPIRING","funding_interval":null}},
        {"product_id":"BTC-PERP-INTX","base_increment":"0.0001","price_increment":"0.1","product_type":"FUTURE",
         "quote_currency_id":"USDC","base_currency_id":"","future_product_details":{"contract_code":"BTC",
         "contract_size":"1","contract_expiry_type":"PERPETUAL"}}]}"#;

    #[test]
    fn products_become_definitions_and_aliases_are_left_out() {
        let spot = read(Feed::Advanced, SPOT.as_bytes()).unwrap();
        assert_eq!(spot.len(), 2);
        let btc = &spot[0];
        assert_eq!((&*btc.name, btc.px_scale, btc.qty_scale), ("BTC/USD@coinbase", 2, 8));
        assert_eq!((&btc.status, btc.provisional), (&Status::Trading, false));
        assert_eq!(spot[1].status, Status::Closed);
    }

    #[test]
    fn futures_are_told_from_perpetuals() {
        let all = read(Feed::Advanced, FUTURE.as_bytes()).unwrap();
        let seen: Vec<_> = all.iter().map(|i| (i.kind, &*i.name, i.expiry, i.contract_size)).collect();
        let hundredth = Some(Decimal::new(1, 2));
        assert_eq!(
            seen,
            [
                (InstrumentKind::Perpetual, "BTC/USD:USD@coinbase", None, hundredth),
                (
                    InstrumentKind::Future,
                    "BTC/USD:USD-260424@coinbase",
                    Some(Ts::from_ms(1_777_042_800_000)),
                    hundredth
                ),
                (InstrumentKind::Perpetual, "BTC/USDC:USDC@coinbase", None, Some(Decimal::new(1, 0))),
            ]
        );
    }

    #[test]
    fn the_same_market_of_both_feeds_is_two_instruments() {
        let body =
            br#"[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01",
            "base_increment":"0.00000001","status":"online","status_message":"","auction_mode":false}]"#;
        let exchange = read(Feed::Exchange, body).unwrap().remove(0);
        let advanced = read(Feed::Advanced, SPOT.as_bytes()).unwrap().remove(0);
        assert_ne!(exchange.id, advanced.id);
        assert_eq!(&*exchange.name, "exchange:BTC/USD@coinbase");
        assert_eq!(provisional(Feed::Exchange, b"BTC-USD").unwrap().id, exchange.id);
    }

    #[test]
    fn listings_are_known_by_path_and_by_url() {
        for (path, expected) in [
            ("/api/v3/brokerage/market/products?product_type=SPOT", Some(Feed::Advanced)),
            ("https://api.coinbase.com/api/v3/brokerage/market/products", Some(Feed::Advanced)),
            ("https://api.pro.coinbase.com/products", Some(Feed::Exchange)),
            ("/products", Some(Feed::Exchange)),
            ("/products/BTC-USD/book?level=2", None),
            ("", None),
        ] {
            assert_eq!(feed_of(path), expected, "{path}");
        }
    }
}
