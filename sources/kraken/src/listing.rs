//! Instruments: definitions that the venue lists, and those made up from a symbol before any is known.

use crate::names;
use crate::time;
use model::{Decimal, Instrument, InstrumentKind, SCALE_MAX, Scale, Status, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{Malformed, What};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Lists the pairs of the spot market.
pub const SPOT: &str = "/0/public/AssetPairs";
/// Lists the contracts.
pub const FUTURES: &str = "/derivatives/api/v3/instruments";

/// The answer of [`SPOT`].
///
/// `{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD",…}}}`
#[derive(Deserialize)]
struct Pairs<'a> {
    #[serde(borrow)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// `{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"online"}`
#[derive(Deserialize)]
struct RestPair<'a> {
    #[serde(borrow, default)]
    wsname: Cow<'a, str>,
    pair_decimals: Scale,
    lot_decimals: Scale,
    #[serde(borrow, default)]
    tick_size: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
}

/// The `data` of the `instrument` channel.
#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow, default)]
    pairs: Vec<&'a RawValue>,
}

/// `{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":0.1}`
#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    price_precision: Scale,
    qty_precision: Scale,
    #[serde(borrow, default)]
    price_increment: Option<&'a RawValue>,
    #[serde(borrow, default)]
    qty_increment: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
}

/// The answer of [`FUTURES`].
#[derive(Deserialize)]
struct Contracts<'a> {
    #[serde(borrow)]
    instruments: Vec<&'a RawValue>,
}

/// `{"symbol":"PF_XBTUSD","type":"flexible_futures","tickSize":1,"contractSize":1,"contractValueTradePrecision":4,"tradeable":true,"base":"BTC","quote":"USD"}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contract<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    tick_size: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "contractSize")]
    size: Option<&'a RawValue>,
    /// Digits of quantities after the point; below zero, how many zeros they end with.
    #[serde(default, rename = "contractValueTradePrecision")]
    digits: Option<i8>,
    #[serde(default)]
    tradeable: bool,
    #[serde(borrow, default)]
    base: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    quote: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    last_trading_time: Option<Cow<'a, str>>,
}

/// What is needed of a row that cannot be read.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default, alias = "wsname")]
    symbol: Cow<'a, str>,
}

/// Whether a path or recorded URL is a listing.
pub fn is_listing(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.ends_with(SPOT) || path.ends_with(FUTURES)
}

/// Reads an answer of the listing at `path`. A row that cannot be read loses no other: its instrument is provisional, and
/// its status says why.
///
/// # Errors
/// Where the answer is an error, or no row can be read.
pub fn read(path: &str, body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    if path.contains(SPOT) {
        let answer: Pairs<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        if !answer.error.is_empty() {
            return Err(Malformed { at: 0, what: What::Rule("the venue answered with an error") });
        }
        each(answer.result.values().copied(), |row: &RestPair<'_>| row.instrument())
    } else {
        let answer: Contracts<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        each(answer.instruments.iter().copied(), |row: &Contract<'_>| row.instrument())
    }
}

/// Reads the `data` of the `instrument` channel.
pub fn read_pairs(data: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let listing: Listing<'_> = serde_json::from_slice(data).map_err(|e| fault(data, &e))?;
    each(listing.pairs.iter().copied(), |row: &Pair<'_>| row.instrument())
}

/// Reads rows one by one.
fn each<'a, T: Deserialize<'a>>(
    rows: impl Iterator<Item = &'a RawValue>,
    made: impl Fn(&T) -> Option<Instrument>,
) -> Result<Vec<Instrument>, Malformed> {
    let (mut all, mut read, mut first) = (Vec::new(), 0_usize, None);
    for raw in rows {
        match serde_json::from_str::<T>(raw.get()) {
            Ok(row) => {
                read += 1;
                all.extend(made(&row));
            }
            Err(e) => {
                first = first.or_else(|| Some(fault(raw.get().as_bytes(), &e)));
                let named = serde_json::from_str::<Named<'_>>(raw.get()).ok();
                if let Some(mut made) = named.and_then(|named| provisional(named.symbol.as_bytes())) {
                    made.status = Status::Other(format!("its row cannot be read: {e}").into());
                    all.push(made);
                }
            }
        }
    }
    match first.filter(|_| read == 0) {
        Some(fault) => Err(fault),
        None => Ok(all),
    }
}

/// Where and why an answer could not be read.
pub fn fault(body: &[u8], error: &serde_json::Error) -> Malformed {
    let lines: usize =
        body.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    let what = if error.is_eof() { What::Eof } else { What::Expected("a known answer") };
    Malformed { at: lines + error.column(), what }
}

/// A number, in quotes or not; `None` where there is none.
pub fn decimal(raw: Option<&RawValue>) -> Option<Decimal> {
    let text = raw?.get().trim_matches('"');
    Decimal::parse(text.as_bytes()).ok()
}

/// What a word for a pair's state means.
pub fn status(word: &str) -> Status {
    match word {
        "online" | "limit_only" | "reduce_only" | "" => Status::Trading,
        "post_only" => Status::PreOpen,
        "cancel_only" | "maintenance" => Status::Halted,
        "delisted" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

fn spot(symbol: &str) -> Option<Instrument> {
    let symbol = names::symbol(symbol)?;
    let (base, quote) = symbol.split_once('/')?;
    let made = Instrument::provisional(crate::NAME, "", &symbol, InstrumentKind::Spot);
    Some(made.named(base, quote, ""))
}

/// A pair with its digits. The venue's checksum is over numbers with exactly these digits.
fn pair(
    symbol: &str,
    (px_scale, qty_scale): (Scale, Scale),
    (tick, lot): (Option<Decimal>, Option<Decimal>),
    word: &str,
) -> Option<Instrument> {
    if px_scale > SCALE_MAX || qty_scale > SCALE_MAX {
        return None;
    }
    let step = |step: Option<Decimal>, scale| step.filter(|d| !d.is_zero()).unwrap_or(Decimal::new(1, scale));
    let (tick, lot) = (step(tick, px_scale), step(lot, qty_scale));
    let made = spot(symbol)?;
    Some(Instrument {
        px_scale,
        qty_scale,
        tick: Some(tick),
        lot: Some(lot),
        status: status(word),
        provisional: false,
        ..made
    })
}

impl RestPair<'_> {
    fn instrument(&self) -> Option<Instrument> {
        // A section of the market without a stream.
        if self.wsname.ends_with(".d") {
            return None;
        }
        let scales = (self.pair_decimals, self.lot_decimals);
        pair(&self.wsname, scales, (decimal(self.tick_size), None), &self.status)
    }
}

impl Pair<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let scales = (self.price_precision, self.qty_precision);
        let steps = (decimal(self.price_increment), decimal(self.qty_increment));
        pair(&self.symbol, scales, steps, &self.status)
    }
}

impl Contract<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let mut made = contract(&self.symbol)?;
        if let (Some(base), Some(quote)) = (&self.base, &self.quote)
            && !base.is_empty()
            && !quote.is_empty()
        {
            made = named(made, names::coin(base), quote);
        }
        if let Some(ends) = self.last_trading_time.as_ref().and_then(|t| time::rfc3339(t.as_bytes()))
            && made.kind == InstrumentKind::Future
        {
            made.expiry = Some(ends);
            let (base, quote, settle) = (made.base.clone(), made.quote.clone(), made.settle.clone());
            made = made.named(&base, &quote, &settle);
        }
        let tick = decimal(self.tick_size).filter(|d| !d.is_zero())?;
        let digits = self.digits.unwrap_or(0);
        let lot = match Scale::try_from(digits) {
            Ok(scale) => Decimal::new(1, scale),
            Err(_) => Decimal::new(10_i128.checked_pow(u32::from(digits.unsigned_abs()))?, 0),
        };
        let size = decimal(self.size).filter(|d| !d.is_zero());
        let inverse = made.symbol.as_bytes().get(1) == Some(&b'I');
        made.contract_size = size.filter(|size| inverse || *size != Decimal::new(1, 0));
        (made.px_scale, made.qty_scale) = (tick.scale(), lot.scale());
        (made.tick, made.lot) = (Some(tick), Some(lot));
        made.status = if self.tradeable { Status::Trading } else { Status::Halted };
        made.provisional = false;
        Some(made)
    }
}

/// A provisional contract by its symbol: `PI_XBTUSD`, `FF_XBTUSD_250627`. `None` where it is no contract.
fn contract(symbol: &str) -> Option<Instrument> {
    let symbol = symbol.to_ascii_uppercase();
    let mut parts = symbol.split('_');
    let (kind, pair, date) = (parts.next()?, parts.next()?, parts.next());
    let future = match kind {
        "PF" | "PI" | "PV" => InstrumentKind::Perpetual,
        "FF" | "FI" | "FV" => InstrumentKind::Future,
        _ => return None,
    };
    let good = pair.len() > 3 && pair.len() <= 24 && pair.bytes().all(|b| b.is_ascii_alphanumeric());
    if !good || date.is_some() != (future == InstrumentKind::Future) || parts.next().is_some() {
        return None;
    }
    let mut made = Instrument::provisional(crate::NAME, "", &symbol, future);
    if let Some(date) = date {
        made.expiry = Some(expiry(date)?);
    }
    let quote = ["USDT", "USDC"].into_iter().find(|q| pair.len() > q.len() && pair.ends_with(q));
    let cut = pair.len() - quote.map_or(3, str::len);
    let (base, quote) = (pair.get(..cut)?, pair.get(cut..)?);
    Some(named(made, names::coin(base), names::coin(quote)))
}

/// Inverse contracts are paid in the base coin, all others in the quote currency.
fn named(made: Instrument, base: &str, quote: &str) -> Instrument {
    let inverse = made.symbol.as_bytes().get(1) == Some(&b'I');
    made.named(base, quote, if inverse { base } else { quote })
}

/// 08:00 UTC of `250627`.
fn expiry(date: &str) -> Option<Ts> {
    let (year, month, day) = (date.get(..2)?, date.get(2..4)?, date.get(4..)?);
    time::rfc3339(format!("20{year}-{month}-{day}T08:00:00Z").as_bytes())
}

/// A definition made up from a symbol of either market; `None` where it is neither's.
pub fn provisional(symbol: &[u8]) -> Option<Instrument> {
    let symbol = std::str::from_utf8(symbol).ok()?;
    if symbol.contains('/') { spot(symbol) } else { contract(symbol) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_follow_from_the_venues_symbols() {
        for (symbol, name) in [
            ("XBT/USD", "BTC/USD@kraken"),
            ("DOGE/USDT", "DOGE/USDT@kraken"),
            ("PF_XBTUSD", "BTC/USD:USD@kraken"),
            ("PI_XBTUSD", "BTC/USD:BTC@kraken"),
            ("FI_XBTUSD_250627", "BTC/USD:BTC-250627@kraken"),
            ("FF_XBTUSD_250627", "BTC/USD:USD-250627@kraken"),
            ("pi_ethusd", "ETH/USD:ETH@kraken"),
        ] {
            assert_eq!(&*provisional(symbol.as_bytes()).unwrap().name, name);
        }
        for symbol in [
            "",
            "XBTUSD",
            "rr_xbtusd",
            "PF_",
            "FI_XBTUSD",
            "PI_XBTUSD_250627",
            "FI_XBTUSD_259999",
            "\u{fffd}/USD",
        ] {
            assert!(provisional(symbol.as_bytes()).is_none(), "{symbol}");
        }
    }

    #[test]
    fn pairs_keep_the_digits_of_the_checksum() {
        let body = br#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"tick_size":"0.1","status":"online"}}}"#;
        let by_rest = read("https://api.kraken.com/0/public/AssetPairs?info=info", body).unwrap();
        let data = br#"{"assets":[],"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":0.1}]}"#;
        let pushed = read_pairs(data).unwrap();
        assert_eq!(by_rest, pushed);
        assert_eq!((by_rest[0].px_scale, by_rest[0].qty_scale), (1, 8));
        assert_eq!(by_rest[0].lot, Some(Decimal::new(1, 8)));
    }

    #[test]
    fn a_row_that_cannot_be_read_loses_no_other_and_its_status_says_so() {
        let body = br#"{"error":[],"result":{"A":{"wsname":"XBT/USD","pair_decimals":"many","lot_decimals":8},"B":{"wsname":"ETH/USD","pair_decimals":2,"lot_decimals":8},"C":{"wsname":"ETH/USD.d","pair_decimals":2,"lot_decimals":8}}}"#;
        let all = read(SPOT, body).unwrap();
        let names: Vec<_> = all.iter().map(|i| (&*i.symbol, i.provisional)).collect();
        assert_eq!(names, [("BTC/USD", true), ("ETH/USD", false)]);
        assert!(matches!(&all[0].status, Status::Other(why) if why.contains("cannot be read")));
        assert!(read(SPOT, br#"{"error":[],"result":{"A":{"wsname":"XBT/USD"}}}"#).is_err());
        assert!(read(SPOT, br#"{"error":["EGeneral:Internal error"]}"#).is_err());
    }

    #[test]
    fn contracts_are_read_in_their_old_and_new_form() {
        let body = br#"{"result":"success","instruments":[
            {"symbol":"pi_xbtusd","type":"futures_inverse","tickSize":0.5,"contractSize":1,"tradeable":true},
            {"symbol":"fi_xbtusd_210924","type":"futures_inverse","lastTradingTime":"2021-09-24T15:00:00.000Z","tickSize":0.5,"contractSize":1,"tradeable":true},
            {"symbol":"PF_PEPEUSD","type":"flexible_futures","tickSize":1E-10,"contractSize":1,"contractValueTradePrecision":-3,"tradeable":false,"base":"PEPE","quote":"USD"},
            {"symbol":"rr_xbtusd","type":"spot index","tradeable":false}]}"#;
        let all = read(FUTURES, body).unwrap();
        let names: Vec<_> = all.iter().map(|i| &*i.name).collect();
        assert_eq!(names, ["BTC/USD:BTC@kraken", "BTC/USD:BTC-210924@kraken", "PEPE/USD:USD@kraken"]);
        assert_eq!(all[0].contract_size, Some(Decimal::new(1, 0)));
        assert_eq!((all[2].px_scale, all[2].qty_scale, all[2].lot), (10, 0, Some(Decimal::new(1_000, 0))));
        assert_eq!((&all[2].status, all[2].contract_size), (&Status::Halted, None));
    }
}
