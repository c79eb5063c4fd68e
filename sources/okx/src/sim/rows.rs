//! Rows of the listing of the simulated venue.

use crate::listing;
use model::{Decimal, Instrument};
use source::market::Coin;
use std::fmt::Write;

/// 2026-12-25, 08:00 UTC.
const EXPIRY_MS: i64 = 1_798_185_600_000;

/// A row's definition, read as a client reads it, so that both have the same.
pub(super) fn read(row: &str) -> Option<Instrument> {
    listing::read_rows(format!("[{row}]").as_bytes()).ok()?.pop()
}

/// A row with another value of a key.
pub(super) fn with(row: &str, key: &str, value: &str) -> Option<String> {
    let (head, rest) = row.split_once(&format!("\"{key}\":\""))?;
    let (_, tail) = rest.split_once('"')?;
    Some(format!("{head}\"{key}\":\"{value}\"{tail}"))
}

pub(super) fn step_text(scale: u8) -> String {
    Decimal::new(1, scale).to_string()
}

fn row(inst_type: &str, symbol: &str, family: &str, rest: &str) -> String {
    let mut row = String::new();
    let _ = write!(
        row,
        r#"{{"instType":"{inst_type}","instId":"{symbol}","instFamily":"{family}","uly":"{family}",{rest},"listTime":"1500000000000","minSz":"1","state":"live","ruleType":"normal"}}"#
    );
    row
}

pub(super) fn spot_row(coin: &Coin, i: usize) -> String {
    let (tick, lot) = (step_text(coin.px_scale), step_text(coin.qty_scale));
    let rest = format!(
        r#""baseCcy":"{}","quoteCcy":"USDT","settleCcy":"","ctVal":"","ctMult":"","ctValCcy":"","ctType":"","optType":"","stk":"","expTime":"","tickSz":"{tick}","lotSz":"{lot}","instIdCode":{}"#,
        coin.base,
        1_000 + i
    );
    row("SPOT", &format!("{}-USDT", coin.base), "", &rest)
}

pub(super) fn swap_row(coin: &Coin, i: usize) -> String {
    let tick = step_text(coin.px_scale);
    let lot = if i.is_multiple_of(2) { "0.01" } else { "1" };
    let rest = format!(
        r#""baseCcy":"","quoteCcy":"","settleCcy":"USDT","ctVal":"0.01","ctMult":"1","ctValCcy":"{}","ctType":"linear","optType":"","stk":"","expTime":"","tickSz":"{tick}","lotSz":"{lot}","instIdCode":{}"#,
        coin.base,
        2_000 + i
    );
    row("SWAP", &format!("{}-USDT-SWAP", coin.base), &format!("{}-USDT", coin.base), &rest)
}

pub(super) fn future_row(coin: &Coin, i: usize) -> String {
    let tick = step_text(coin.px_scale);
    let rest = format!(
        r#""baseCcy":"","quoteCcy":"","settleCcy":"{}","ctVal":"100","ctMult":"1","ctValCcy":"USD","ctType":"inverse","optType":"","stk":"","expTime":"{EXPIRY_MS}","tickSz":"{tick}","lotSz":"1","instIdCode":{}"#,
        coin.base,
        3_000 + i
    );
    row("FUTURES", &format!("{}-USD-261225", coin.base), &format!("{}-USD", coin.base), &rest)
}

pub(super) fn option_row(coin: &Coin, i: usize) -> String {
    let right = if i.is_multiple_of(2) { "C" } else { "P" };
    let rest = format!(
        r#""baseCcy":"","quoteCcy":"","settleCcy":"{}","ctVal":"1","ctMult":"0.01","ctValCcy":"{}","ctType":"","optType":"{right}","stk":"100000","expTime":"{EXPIRY_MS}","tickSz":"0.0005","lotSz":"1","instIdCode":{}"#,
        coin.base,
        coin.base,
        4_000 + i
    );
    let family = format!("{}-USD", coin.base);
    row("OPTION", &format!("{family}-261225-100000-{right}"), &family, &rest)
}
