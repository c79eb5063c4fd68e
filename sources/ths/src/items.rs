//! Quotes of numbered items: `quotebridge_v6_realhead_hs_600580_last({"items":{"10":"27.27",…}})`.

use crate::names;
use model::ashare::Code;
use model::{DayStats, Decimal};
use source::poll::{Quoted, Side};
use source::web::{self, payload, text};
use source::{Cursor, Malformed, What};
use std::collections::BTreeMap;

pub type Result<T> = std::result::Result<T, Malformed>;

/// A fault that stands at no place.
pub fn fault(what: What) -> Malformed {
    Malformed { at: 0, what }
}

/// The stock that a path names, or the venue's call around an answer: `…hs_600580/…`, `…_hs_600580_last(`.
pub fn named(text: &str) -> Option<&str> {
    let at = text.rfind("hs_")? + 3;
    text.get(at..at + 6)
}

/// That an answer comes in the call of the stock that was asked for: hosts have answered with another's.
///
/// # Errors
/// Where it does not.
pub fn same_call(path: &str, body: &[u8]) -> Result<Code> {
    let asked = named(path).ok_or(fault(What::Missing("a code in the path")))?;
    let head = body.split(|byte| *byte == b'(').next().unwrap_or_default();
    let head = std::str::from_utf8(head).unwrap_or_default();
    if named(head).is_some_and(|told| told != asked) {
        return Err(fault(What::Rule("the answer is about another stock")));
    }
    names::stock(asked).ok_or(fault(What::Expected("a code of a stock")))
}

/// Reads the items of a quote: texts, some empty; numbers are accepted too.
fn items(body: &[u8]) -> Result<BTreeMap<u32, String>> {
    let mut items = BTreeMap::new();
    let mut there = false;
    let mut c = Cursor::new(payload(body)?);
    c.object(|c, key| {
        if key != b"items" {
            return c.skip().map(|_| ());
        }
        there = true;
        c.object(|c, key| {
            let number = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
            let value = match c.peek() {
                Some(b'"') => text(c)?.into_owned(),
                Some(b'{' | b'[') => return c.skip().map(|_| ()),
                _ => String::from_utf8_lossy(c.number()?).into_owned(),
            };
            items.extend(number.map(|number: u32| (number, value.clone())));
            if key == b"name" {
                items.insert(0, value);
            }
            Ok(())
        })
    })?;
    c.end()?;
    if there { Ok(items) } else { Err(c.fault(What::Missing("items"))) }
}

/// Reads a quote: `realhead` has the numbers of the day and the best levels, `fiverange` five levels.
///
/// # Errors
/// Where it is about another stock, has no price at all, or a number is none.
pub fn quote(path: &str, body: &[u8]) -> Result<(Code, Quoted)> {
    let code = same_call(path, body)?;
    let items = items(body)?;
    let number = |item: u32| web::number(items.get(&item).map_or("", String::as_str).trim().as_bytes());
    let px = |item: u32| Ok(number(item)?.filter(|px| *px > Decimal::default()));
    if items.get(&5).is_some_and(|told| told != code.digits()) {
        return Err(fault(What::Rule("the answer is about another stock")));
    }
    let side = |levels: [(u32, u32); 5]| {
        let mut side = Side::new();
        for (price, qty) in levels {
            side.extend(px(price)?.zip(number(qty)?.filter(|qty| !qty.is_zero())));
        }
        Ok(side)
    };
    let bids = side([(24, 25), (26, 27), (28, 29), (150, 151), (154, 155)])?;
    let asks = side([(30, 31), (32, 33), (34, 35), (152, 153), (156, 157)])?;
    let title = items.get(&0).cloned().unwrap_or_default().into();
    if path.contains("/fiverange/") {
        return Ok((code, Quoted { title, levels: Some((bids, asks)), ..Quoted::default() }));
    }
    if number(6)?.is_none() && number(10)?.is_none() {
        return Err(fault(What::Missing("prices (items 6, 10)")));
    }
    let stats = DayStats {
        prev_close: px(6)?,
        open: px(7)?,
        high: px(8)?,
        low: px(9)?,
        // Missing where it is suspended.
        last: px(10)?,
        last_qty: number(49)?,
        volume: number(13)?,
        turnover: number(19)?,
        buy_volume: number(14)?,
        sell_volume: number(15)?,
        limit_up: px(69)?,
        limit_down: px(70)?,
        ..DayStats::default()
    };
    Ok((code, Quoted { title, stats, ..Quoted::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/v6/realhead/hs_600580/last.js";

    #[test]
    fn a_quote_is_read_in_shares_and_its_code_must_be_the_one_asked_for() {
        let body = br#"quotebridge_v6_realhead_hs_600580_last({"items":{"10":"27.27","13":"24712384.00","19":"672864810.00","6":"27.09","5":"600580","51":"","name":"\u5367\u9f99\u7535\u9a71"}})"#;
        let (code, quote) = quote(PATH, body).unwrap();
        assert_eq!((code.to_string().as_str(), &*quote.title), ("600580.SH", "卧龙电驱"));
        assert_eq!(quote.stats.volume, Some(Decimal::new(24_712_384, 0)));
        let another = What::Rule("the answer is about another stock");
        for (from, to) in [("\"5\":\"600580\"", "\"5\":\"600519\""), ("hs_600580", "hs_600519")] {
            let body = String::from_utf8_lossy(body).replace(from, to);
            assert_eq!(super::quote(PATH, body.as_bytes()).unwrap_err().what, another);
        }
    }

    #[test]
    fn no_last_price_is_none_and_no_price_at_all_is_no_quote() {
        let body = br#"quotebridge_v6_realhead_hs_600580_last({"items":{"6":"27.09","5":"600580"}})"#;
        assert_eq!(quote(PATH, body).unwrap().1.stats.last, None);
        let body = br#"quotebridge_v6_realhead_hs_600580_last({"items":{"5":"600580","10":""}})"#;
        assert!(matches!(quote(PATH, body).unwrap_err().what, What::Missing(_)));
    }
}
