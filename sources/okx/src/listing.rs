//! Instruments: definitions that the venue lists, and those made up from a symbol before any is known.

use model::{Decimal, Instrument, InstrumentKind, Right, SCALE_MAX, Status, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{Malformed, What};
use std::borrow::Cow;

/// An answer of the venue.
///
/// `{"code":"0","msg":"","data":[…]}`
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// What is needed of a row that cannot be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
}

/// One instrument.
///
/// `{"instType":"SWAP","instId":"BTC-USDT-SWAP","instFamily":"BTC-USDT","uly":"BTC-USDT","baseCcy":"","quoteCcy":"","settleCcy":"USDT","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","optType":"","stk":"","listTime":"1573557408000","expTime":"","tickSz":"0.1","lotSz":"0.01","minSz":"0.01","state":"live","ruleType":"normal","instIdCode":10459}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    inst_type: Cow<'a, str>,
    #[serde(borrow, default)]
    inst_family: Cow<'a, str>,
    #[serde(borrow, default)]
    uly: Cow<'a, str>,
    #[serde(borrow, default)]
    base_ccy: Cow<'a, str>,
    #[serde(borrow, default)]
    quote_ccy: Cow<'a, str>,
    #[serde(borrow, default)]
    settle_ccy: Cow<'a, str>,
    #[serde(borrow, default)]
    ct_val: Cow<'a, str>,
    #[serde(borrow, default)]
    ct_mult: Cow<'a, str>,
    #[serde(borrow, default)]
    opt_type: Cow<'a, str>,
    #[serde(borrow, default)]
    stk: Cow<'a, str>,
    #[serde(borrow, default)]
    exp_time: Cow<'a, str>,
    #[serde(borrow, default)]
    tick_sz: Cow<'a, str>,
    #[serde(borrow, default)]
    lot_sz: Cow<'a, str>,
    #[serde(borrow, default)]
    state: Cow<'a, str>,
}

/// Whether a path or recorded URL is a listing.
pub fn is_listing(path: &str) -> bool {
    path.contains("/api/v5/public/instruments")
}

/// Reads a listing. Rows of products that we do not know are left out. A row that cannot be read loses no other: its
/// instrument is provisional, and its status says why.
///
/// # Errors
/// Where the answer is an error, or no row can be read.
pub fn read(body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    if answer.code != "0" {
        return Err(Malformed { at: 0, what: What::Rule("the venue answered with an error") });
    }
    each(&answer.data)
}

/// Reads the rows of an `instruments` push.
pub fn read_rows(rows: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let rows: Vec<&RawValue> = serde_json::from_slice(rows).map_err(|e| fault(rows, &e))?;
    each(&rows)
}

fn each(rows: &[&RawValue]) -> Result<Vec<Instrument>, Malformed> {
    let (mut all, mut read, mut first) = (Vec::with_capacity(rows.len()), 0_usize, None);
    for raw in rows {
        match serde_json::from_str::<Row<'_>>(raw.get()) {
            Ok(row) => {
                read += 1;
                all.extend(row.instrument());
            }
            Err(e) => {
                first = first.or_else(|| Some(fault(raw.get().as_bytes(), &e)));
                let named = serde_json::from_str::<Named<'_>>(raw.get()).ok();
                if let Some(mut made) = named.and_then(|named| provisional(named.inst_id.as_bytes())) {
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

/// Where `serde_json` stopped.
pub(crate) fn fault(body: &[u8], error: &serde_json::Error) -> Malformed {
    let lines: usize =
        body.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    let what = if error.is_eof() { What::Eof } else { What::Expected("a known answer") };
    Malformed { at: lines + error.column(), what }
}

fn number(text: &str) -> Option<Decimal> {
    Decimal::parse(text.as_bytes()).ok().filter(|d| !d.is_zero())
}

impl Row<'_> {
    pub(crate) fn instrument(&self) -> Option<Instrument> {
        let kind = match &*self.inst_type {
            "SPOT" => InstrumentKind::Spot,
            "SWAP" => InstrumentKind::Perpetual,
            "FUTURES" => InstrumentKind::Future,
            "OPTION" => InstrumentKind::Option,
            _ => return None,
        };
        if self.inst_id.is_empty() {
            return None;
        }
        let mut made = Instrument::provisional(crate::NAME, "", &self.inst_id, kind);
        made.provisional = false;
        if matches!(kind, InstrumentKind::Future | InstrumentKind::Option) {
            made.expiry = self.exp_time.parse().ok().map(Ts::from_ms);
        }
        if kind == InstrumentKind::Option {
            let right = if self.opt_type == "C" { Right::Call } else { Right::Put };
            made.option = number(&self.stk).map(|strike| (strike, right));
        }
        made.tick = number(&self.tick_sz).filter(|d| d.scale() <= SCALE_MAX);
        made.lot = number(&self.lot_sz).filter(|d| d.scale() <= SCALE_MAX);
        made.px_scale = made.tick.map_or(made.px_scale, Decimal::scale);
        made.qty_scale = made.lot.map_or(made.qty_scale, Decimal::scale);
        made.contract_size = match (kind, number(&self.ct_val), number(&self.ct_mult)) {
            (InstrumentKind::Spot, _, _) | (_, None, _) => None,
            (_, Some(value), None) => Some(value),
            (_, Some(value), Some(times)) => product(value, times),
        };
        made.status = status(&self.state);
        let family = if self.uly.is_empty() { &self.inst_family } else { &self.uly };
        let (base, quote) = if kind == InstrumentKind::Spot {
            (&*self.base_ccy, &*self.quote_ccy)
        } else {
            let pair = if family.is_empty() { &self.inst_id } else { family };
            let mut parts = pair.split('-');
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        };
        let settle = if kind == InstrumentKind::Spot { "" } else { &*self.settle_ccy };
        Some(made.named(base, quote, settle))
    }
}

fn status(state: &str) -> Status {
    match state {
        "live" => Status::Trading,
        "preopen" => Status::PreOpen,
        "suspend" | "rebase" | "settling" => Status::Halted,
        "expired" => Status::Closed,
        other => Status::Other(other.into()),
    }
}

/// The exact product of two numbers as they are listed: `0.01` × `1`.
pub(crate) fn product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (scale_a, scale_b) = (a.scale(), b.scale());
    let mantissa = i128::from(a.mantissa_at(scale_a)?) * i128::from(b.mantissa_at(scale_b)?);
    Some(Decimal::new(mantissa, scale_a + scale_b))
}

/// The product that a symbol belongs to: `SPOT`, `SWAP`, `FUTURES` or `OPTION`.
pub fn inst_type(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Spot | InstrumentKind::Index => "SPOT",
        InstrumentKind::Perpetual => "SWAP",
        InstrumentKind::Future => "FUTURES",
        InstrumentKind::Option => "OPTION",
    }
}

/// The index under an instrument: the first two parts of its symbol, `BTC-USDT`.
pub fn index_of(symbol: &str) -> &str {
    let second = symbol.match_indices('-').nth(1).map_or(symbol.len(), |(at, _)| at);
    symbol.get(..second).unwrap_or(symbol)
}

/// A provisional definition whose kind and name come from the form of the symbol, or `None` where that is no symbol.
pub fn provisional(symbol: &[u8]) -> Option<Instrument> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if symbol.is_empty() || symbol.len() > 64 || !symbol.iter().all(plain) {
        return None;
    }
    let symbol = std::str::from_utf8(symbol).ok()?;
    let made = |kind| Instrument::provisional(crate::NAME, "", symbol, kind);
    let parts: Vec<&str> = symbol.split('-').collect();
    let settle = |base: &str, quote: &str| {
        (if quote == "USD" { base.to_owned() } else { quote.to_owned() }, quote.to_owned())
    };
    Some(match parts.as_slice() {
        [base, quote] => made(InstrumentKind::Spot).named(base, quote, ""),
        [base, quote, "SWAP"] => {
            let (settle, quote) = settle(base, quote);
            made(InstrumentKind::Perpetual).named(base, &quote, &settle)
        }
        [base, quote, day] => {
            let (settle, quote) = settle(base, quote);
            let mut future = made(InstrumentKind::Future);
            future.expiry = expiry(day);
            future.named(base, &quote, &settle)
        }
        [base, quote, day, strike, right @ ("C" | "P")] => {
            let (settle, quote) = settle(base, quote);
            let mut option = made(InstrumentKind::Option);
            option.expiry = expiry(day);
            let right = if *right == "C" { Right::Call } else { Right::Put };
            option.option = Decimal::parse(strike.as_bytes()).ok().map(|strike| (strike, right));
            option.named(base, &quote, &settle)
        }
        _ => made(InstrumentKind::Spot),
    })
}

/// 08:00 UTC of a day written `YYMMDD`.
fn expiry(day: &str) -> Option<Ts> {
    let number = |range| day.get(range).and_then(|t: &str| t.parse::<i64>().ok());
    if day.len() != 6 {
        return None;
    }
    let (year, month, date) = (2000 + number(0..2)?, number(2..4)?, number(4..6)?);
    let days = days_from_civil(year, month, date)?;
    Some(Ts::from_ms(days * 86_400_000 + 8 * 3_600_000))
}

/// Days from the UNIX epoch to a date (Howard Hinnant's algorithm).
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
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
        for (symbol, name) in [
            ("BTC-USDT", "BTC/USDT@okx"),
            ("BTC-USDT-SWAP", "BTC/USDT:USDT@okx"),
            ("ETH-USD-SWAP", "ETH/USD:ETH@okx"),
            ("BTC-USD-250627", "BTC/USD:BTC-250627@okx"),
            ("BTC-USDC-250627", "BTC/USDC:USDC-250627@okx"),
            ("BTC-USD-250627-100000-C", "BTC/USD:BTC-250627-100000-C@okx"),
            ("EOS-USD-210625-8.00-P", "EOS/USD:EOS-210625-8-P@okx"),
            ("ODD", "ODD@okx"),
        ] {
            let made = provisional(symbol.as_bytes()).unwrap();
            assert_eq!(&*made.name, name);
            assert!(made.provisional);
        }
        for junk in ["", "BTC USDT", "BTC\"", "é"] {
            assert_eq!(provisional(junk.as_bytes()), None);
        }
    }

    #[test]
    fn a_listed_row_gives_exact_scales_and_size() {
        let body = include_bytes!("../fixtures/rest_instruments.json");
        let all = read(body).unwrap();
        let names: Vec<_> = all.iter().map(|i| &*i.name).collect();
        assert_eq!(
            names,
            [
                "BTC/USDT@okx",
                "BTC/USDT:USDT@okx",
                "BTC/USD:BTC@okx",
                "BTC/USD:BTC-261225@okx",
                "BTC/USD:BTC-261225-100000-C@okx"
            ]
        );
        let swap = &all[1];
        assert_eq!((swap.px_scale, swap.qty_scale), (1, 2));
        assert_eq!(swap.contract_size, Some(Decimal::new(1, 2)));
        assert_eq!(all[4].contract_size, Some(Decimal::new(1, 2)));
        assert_eq!(all[3].status, Status::PreOpen);
        assert_eq!(all[4].option, Some((Decimal::new(100_000, 0), Right::Call)));
        for made in &all {
            assert_eq!(made.id, model::InstrumentId::of("okx", "", &made.symbol));
            let guess = provisional(made.symbol.as_bytes()).unwrap();
            assert_eq!((&guess.name, guess.kind, guess.expiry), (&made.name, made.kind, made.expiry));
        }
    }

    #[test]
    fn an_error_is_no_listing() {
        assert!(read(br#"{"code":"50011","msg":"Too Many Requests","data":[]}"#).is_err());
        assert!(read(b"{").is_err());
        assert_eq!(read(br#"{"code":"0","msg":"","data":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_row_that_cannot_be_read_loses_no_other() {
        let bad = r#"{"instId":"BAD-USDT","instType":7}"#;
        let good = r#"{"instId":"BTC-USDT","instType":"SPOT","baseCcy":"BTC","quoteCcy":"USDT","tickSz":"0.1","lotSz":"1","state":"live"}"#;
        let body = format!(r#"{{"code":"0","msg":"","data":[{bad},{good},{{"no":1}}]}}"#);
        let all = read(body.as_bytes()).unwrap();
        assert_eq!(all.iter().map(|i| &*i.symbol).collect::<Vec<_>>(), ["BAD-USDT", "BTC-USDT"]);
        assert!(matches!(&all[0].status, Status::Other(why) if why.contains("cannot be read")));
        assert!(read_rows(format!("[{bad}]").as_bytes()).is_err());
    }

    #[test]
    fn the_index_is_the_first_two_parts() {
        assert_eq!(index_of("BTC-USD-250627-100000-C"), "BTC-USD");
        assert_eq!(index_of("BTC-USDT"), "BTC-USDT");
        assert_eq!(index_of("ODD"), "ODD");
    }
}
