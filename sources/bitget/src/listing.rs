//! Instruments: definitions that the venue lists, and those made up from a symbol before any is known.

use crate::product::{PRODUCTS, Product};
use model::{Decimal, Instrument, InstrumentKind, SCALE_MAX, Scale, Status, Ts};
use serde::Deserialize;
use source::{Malformed, What};
use std::borrow::Cow;

/// An answer of the venue.
///
/// `{"code":"00000","msg":"success","requestTime":1760000000000,"data":[…]}`
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<Vec<Row<'a>>>,
}

type Text<'a> = Option<Cow<'a, str>>;

/// One instrument: of spot, of futures, or of either in the words of v1.
///
/// `{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","pricePrecision":"2","quantityPrecision":"6","status":"online"}`
///
/// `{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","pricePlace":"1","priceEndStep":"1","volumePlace":"4","sizeMultiplier":"0.0001","symbolType":"perpetual","symbolStatus":"normal","deliveryTime":""}`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    base_coin: Text<'a>,
    #[serde(borrow)]
    quote_coin: Text<'a>,
    #[serde(borrow, alias = "priceScale")]
    price_precision: Text<'a>,
    #[serde(borrow, alias = "quantityScale")]
    quantity_precision: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    price_place: Text<'a>,
    #[serde(borrow)]
    price_end_step: Text<'a>,
    #[serde(borrow)]
    volume_place: Text<'a>,
    #[serde(borrow)]
    size_multiplier: Text<'a>,
    #[serde(borrow)]
    symbol_type: Text<'a>,
    #[serde(borrow)]
    symbol_status: Text<'a>,
    #[serde(borrow)]
    delivery_time: Text<'a>,
}

const SPOT: &str = "/api/v2/spot/public/symbols";
const FUTURES: &str = "/api/v2/mix/market/contracts";
const FIRST: [&str; 2] = ["/api/spot/v1/public/products", "/api/mix/v1/market/contracts"];

/// Path and query of a product's listing.
pub fn path(product: &Product) -> String {
    if product.spot() { SPOT.to_owned() } else { format!("{FUTURES}?productType={}", product.inst_type) }
}

/// Whether a path or recorded URL is a listing.
pub fn is_listing(path: &str) -> bool {
    path.contains(SPOT) || path.contains(FUTURES) || FIRST.iter().any(|first| path.contains(first))
}

/// A parameter in the query of a path or URL; empty where it is not there.
pub fn parameter<'p>(path: &'p str, name: &str) -> &'p str {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
}

/// Reads a listing.
pub fn read(path: &str, body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    if answer.code != "00000" {
        return Err(Malformed { at: 0, what: What::Rule("the venue answered with an error") });
    }
    let [spot, ..] = &PRODUCTS;
    let asked = if path.contains(SPOT) { Some(spot) } else { Product::named(parameter(path, "productType")) };
    Ok(answer.data.iter().flatten().filter_map(|row| row.instrument(asked)).collect())
}

/// Where `serde_json` stopped.
pub fn fault(body: &[u8], error: &serde_json::Error) -> Malformed {
    let lines: usize =
        body.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    let what = if error.is_eof() { What::Eof } else { What::Expected("a known answer") };
    Malformed { at: lines + error.column(), what }
}

fn words<'r>(text: &'r Text<'_>) -> &'r str {
    text.as_deref().unwrap_or_default()
}

fn places(text: &Text<'_>) -> Option<Scale> {
    words(text).parse().ok().filter(|scale| *scale <= SCALE_MAX)
}

impl Row<'_> {
    fn instrument(&self, asked: Option<&'static Product>) -> Option<Instrument> {
        // In the words of v1 the symbol names the product: `BTCUSDT_UMCBL`.
        let (symbol, product) = match words(&self.symbol).rsplit_once('_') {
            Some((symbol, suffix)) if Product::of_suffix(suffix).is_some() => {
                (symbol, Product::of_suffix(suffix))
            }
            _ => (words(&self.symbol), asked),
        };
        let product = product?;
        if symbol.is_empty() {
            return None;
        }
        let kind = match words(&self.symbol_type) {
            _ if product.spot() => InstrumentKind::Spot,
            "delivery" => InstrumentKind::Future,
            _ => InstrumentKind::Perpetual,
        };
        let mut made = Instrument::provisional(crate::NAME, product.name, symbol, kind);
        made.provisional = false;
        if kind == InstrumentKind::Future {
            made.expiry = words(&self.delivery_time).parse().ok().filter(|ms| *ms > 0).map(Ts::from_ms);
        }
        self.scale(&mut made);
        made.status = if product.spot() {
            spot_status(words(&self.status))
        } else {
            futures_status(words(&self.symbol_status))
        };
        let (base, quote) = (words(&self.base_coin), words(&self.quote_coin));
        let settle = if product.settle.is_empty() && !product.spot() { base } else { product.settle };
        Some(made.named(base, quote, settle))
    }

    /// Tick and lot, and the digits that follow from them.
    fn scale(&self, made: &mut Instrument) {
        if let Some(scale) = places(&self.price_precision).or(places(&self.price_place)) {
            let step = words(&self.price_end_step).parse::<u32>().ok().filter(|step| *step > 0).unwrap_or(1);
            made.px_scale = scale;
            made.tick = Some(Decimal::new(i128::from(step), scale));
        }
        let multiplier = Decimal::parse(words(&self.size_multiplier).as_bytes()).ok();
        let multiplier = multiplier.filter(|lot| !lot.is_zero() && lot.scale() <= SCALE_MAX);
        let scale = places(&self.quantity_precision).or(places(&self.volume_place));
        made.lot = multiplier.or(scale.map(|scale| Decimal::new(1, scale)));
        if let Some(lot) = made.lot {
            made.qty_scale = lot.scale().max(scale.unwrap_or(0));
        }
    }
}

fn spot_status(word: &str) -> Status {
    match word {
        "online" | "" => Status::Trading,
        "halt" => Status::Halted,
        "offline" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

fn futures_status(word: &str) -> Status {
    match word {
        "normal" | "" => Status::Trading,
        "listed" => Status::PreOpen,
        "maintain" => Status::Halted,
        "off" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

/// Quote coins of spot symbols, longest first.
const QUOTES: [&str; 8] = ["USDT", "USDC", "USDE", "BGB", "EUR", "BTC", "ETH", "BRL"];

/// A provisional definition whose kind and name come from the form of the symbol, or `None` where that is no symbol.
pub fn provisional(product: &Product, symbol: &[u8]) -> Option<Instrument> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = !symbol.is_empty() && symbol.len() <= 64 && symbol.iter().all(plain);
    if !fits {
        return None;
    }
    let symbol = std::str::from_utf8(symbol).ok()?;
    let made = |kind| Instrument::provisional(crate::NAME, product.name, symbol, kind);
    let cut = |quote: &str| symbol.strip_suffix(quote).filter(|base| !base.is_empty());
    if product.spot() {
        let found = QUOTES.iter().find_map(|quote| cut(quote).map(|base| (base, *quote)));
        return Some(match found {
            Some((base, quote)) => made(InstrumentKind::Spot).named(base, quote, ""),
            None => made(InstrumentKind::Spot),
        });
    }
    let perpetual = match product.settle {
        "" => cut("USD").map(|base| (base, "USD", base)),
        "USDC" => cut("PERP").map(|base| (base, "USDC", "USDC")),
        settle => cut(settle).map(|base| (base, settle, settle)),
    };
    Some(match perpetual {
        Some((base, quote, settle)) => made(InstrumentKind::Perpetual).named(base, quote, settle),
        None => made(InstrumentKind::Future),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_alone_gives_kind_and_name() {
        for (product, symbol, name) in [
            ("spot", "BTCUSDT", "BTC/USDT@bitget"),
            ("usdt-futures", "BTCUSDT", "BTC/USDT:USDT@bitget"),
            ("usdc-futures", "BTCPERP", "BTC/USDC:USDC@bitget"),
            ("coin-futures", "BTCUSD", "BTC/USD:BTC@bitget"),
            ("coin-futures", "BTCUSDZ24", "BTCUSDZ24@bitget"),
            ("spot", "ODD", "ODD@bitget"),
        ] {
            let made = provisional(Product::named(product).unwrap(), symbol.as_bytes()).unwrap();
            assert_eq!(&*made.name, name);
            assert!(made.provisional);
        }
        for junk in ["", "BTC USDT", "BTC\"", "é"] {
            assert_eq!(provisional(&PRODUCTS[0], junk.as_bytes()), None);
        }
    }

    #[test]
    fn a_listed_future_gives_exact_tick_lot_and_expiry() {
        let body = br#"{"code":"00000","msg":"success","requestTime":1,"data":[
            {"symbol":"BTCUSD","baseCoin":"BTC","quoteCoin":"USD","supportMarginCoins":["BTC","ETH"],"priceEndStep":"5","volumePlace":"3","pricePlace":"1","sizeMultiplier":"0.001","symbolType":"perpetual","symbolStatus":"normal","deliveryTime":""},
            {"symbol":"BTCUSDZ24","baseCoin":"BTC","quoteCoin":"USD","priceEndStep":"1","volumePlace":"3","pricePlace":"1","sizeMultiplier":"0.001","symbolType":"delivery","symbolStatus":"maintain","deliveryTime":"1735286400000"},
            {"symbol":"","baseCoin":"X"}]}"#;
        let all = read("/api/v2/mix/market/contracts?productType=COIN-FUTURES", body).unwrap();
        let names: Vec<_> = all.iter().map(|i| &*i.name).collect();
        assert_eq!(names, ["BTC/USD:BTC@bitget", "BTC/USD:BTC-241227@bitget"]);
        assert_eq!((all[0].tick, all[0].px_scale), (Some(Decimal::new(5, 1)), 1));
        assert_eq!((all[0].lot, all[0].qty_scale), (Some(Decimal::new(1, 3)), 3));
        assert_eq!(all[0].contract_size, None);
        assert_eq!((all[1].status.clone(), all[1].kind), (Status::Halted, InstrumentKind::Future));
        assert_eq!(all[0].id, model::InstrumentId::of("bitget", "coin-futures", "BTCUSD"));
    }

    #[test]
    fn spot_and_futures_of_one_symbol_are_two_instruments() {
        let spot = br#"{"code":"00000","data":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","pricePrecision":"2","quantityPrecision":"6","status":"gray"}]}"#;
        let spot = read("/api/v2/spot/public/symbols", spot).unwrap();
        assert_eq!((spot[0].px_scale, spot[0].qty_scale), (2, 6));
        assert_eq!(spot[0].status, Status::Other("gray".into()));
        let first = br#"{"code":"00000","data":[{"symbol":"BTCUSDT_UMCBL","baseCoin":"BTC","quoteCoin":"USDT","pricePlace":"1","priceEndStep":"5","volumePlace":"3","sizeMultiplier":"0.001"}]}"#;
        let url = "https://api.bitget.com/api/mix/v1/market/contracts?productType=umcbl";
        let first = read(url, first).unwrap();
        assert_eq!((&*first[0].symbol, &*first[0].product), ("BTCUSDT", "usdt-futures"));
        assert_ne!(first[0].id, spot[0].id);
    }

    #[test]
    fn an_error_is_no_listing() {
        let path = "/api/v2/spot/public/symbols";
        assert!(read(path, br#"{"code":"429","msg":"Too Many Requests","data":null}"#).is_err());
        assert!(read(path, b"{").is_err());
        assert_eq!(read(path, br#"{"code":"00000","data":[]}"#), Ok(Vec::new()));
    }
}
