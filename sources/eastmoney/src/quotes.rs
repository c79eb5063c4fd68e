//! Rows of lists and single stocks as quotes, in shares and yuan.
//!
//! The same number of a field means different things in the two: `f31` is the best bid of a row and the fifth ask of a
//! single stock. So there are two dictionaries.

use crate::fields::{Fields, Result};
use model::{CapitalFlow, DayStats, Status, Ts};
use source::poll::Quoted;

/// Fields of a row that are asked for.
pub const LIST_FIELDS: &str = "f1,f2,f5,f6,f12,f13,f14,f15,f16,f17,f18,f62,f66,f72,f78,f84,f124";
/// Fields of a single stock that are asked for.
pub const STOCK_FIELDS: &str = "f11,f12,f13,f14,f15,f16,f17,f18,f19,f20,f31,f32,f33,f34,f35,f36,f37,f38,f39,f40,\
     f43,f44,f45,f46,f47,f48,f49,f51,f52,f57,f58,f59,f60,f86,f107,f161,f292";

fn seconds(fields: &Fields, field: u16) -> Result<Option<Ts>> {
    let at = fields.number(field)?.filter(|n| !n.is_zero()).and_then(|n| n.mantissa_at(9));
    Ok(at.map(Ts))
}

/// A row of `clist` and `ulist` as a quote; it has no levels that carry quantities. `lot` is the power of ten that takes 手
/// to shares.
///
/// # Errors
/// Where a number is none.
pub fn listed(row: &Fields, lot: i8) -> Result<Quoted> {
    let price = |field| row.price(field, 1);
    let stats = DayStats {
        open: price(17)?,
        high: price(15)?,
        low: price(16)?,
        last: price(2)?,
        volume: row.times(5, lot)?,
        turnover: row.number(6)?,
        prev_close: price(18)?,
        ..DayStats::default()
    };
    Ok(Quoted { ts: seconds(row, 124)?, title: row.text(14).into(), stats, ..Quoted::default() })
}

/// Where money went, by a row of `clist` and `ulist`; `None` where the row tells nothing of it.
///
/// # Errors
/// Where a number is none.
pub fn flow(row: &Fields) -> Result<Option<CapitalFlow>> {
    let flow = CapitalFlow {
        main: row.number(62)?,
        very_large: row.number(66)?,
        large: row.number(72)?,
        medium: row.number(78)?,
        small: row.number(84)?,
    };
    Ok((flow != CapitalFlow::default()).then_some(flow))
}

/// The data of `stock/get` and `stock/sse` as a quote with five levels.
///
/// # Errors
/// Where a number is none.
pub fn stock(data: &Fields, lot: i8) -> Result<Quoted> {
    let price = |field| data.price(field, 59);
    let levels = |best: [u16; 5]| {
        let mut side = Vec::with_capacity(best.len());
        for field in best {
            side.extend(price(field)?.zip(data.times(field + 1, lot)?));
        }
        Ok(side)
    };
    let (bids, asks) = (levels([19, 17, 15, 13, 11])?, levels([39, 37, 35, 33, 31])?);
    let stats = DayStats {
        open: price(46)?,
        high: price(44)?,
        low: price(45)?,
        last: price(43)?,
        volume: data.times(47, lot)?,
        turnover: data.number(48)?,
        prev_close: price(60)?,
        limit_up: price(51)?,
        limit_down: price(52)?,
        buy_volume: data.times(49, lot)?,
        sell_volume: data.times(161, lot)?,
        ..DayStats::default()
    };
    let status = data.number(292)?.and_then(|n| n.mantissa_at(0)).and_then(state);
    let title = data.text(58).into();
    Ok(Quoted { ts: seconds(data, 86)?, title, stats, levels: Some((bids, asks)), status })
}

/// The state of trading as the venue's page reads it: 2 trading, 5 closed, 11 before, 12 after hours.
fn state(code: i64) -> Option<Status> {
    match code {
        2 | 12 => Some(Status::Trading),
        11 => Some(Status::PreOpen),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{envelope, page};
    use model::Decimal;

    fn of(text: &str) -> Option<Decimal> {
        source::web::number(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_row_of_integers_gives_shares_and_yuan() {
        let data = r#"{"total":4,"diff":{"0":{"f1":2,"f2":187,"f3":-158,"f4":-3,"f5":305354,"f6":57473902.0,"f12":"000882","f13":0,"f14":"华联股份","f15":190,"f16":186,"f17":"-","f18":190,"f62":-5000.0,"f124":1676620778}}}"#;
        let page = page(data.as_bytes(), true).unwrap();
        let row = page.rows[0].1.as_ref().unwrap();
        let quote = listed(row, 2).unwrap();
        assert_eq!((&*quote.title, quote.ts), ("华联股份", Some(Ts(1_676_620_778_000_000_000))));
        assert_eq!(
            quote.stats,
            DayStats {
                open: None,
                high: of("1.90"),
                low: of("1.86"),
                last: of("1.87"),
                volume: of("30535400"),
                turnover: of("57473902"),
                prev_close: of("1.90"),
                ..DayStats::default()
            }
        );
        assert_eq!(quote.levels, None);
        assert_eq!(flow(row).unwrap().unwrap().main, of("-5000"));
    }

    #[test]
    fn a_single_stock_has_limits_sides_and_levels_and_a_missing_one_is_left_out() {
        let body = r#"{"rc":0,"rt":4,"full":1,"data":{"f43":1340,"f44":1350,"f45":1330,"f46":1338,"f47":1000,"f48":1340000.0,"f49":600,"f161":400,"f51":1470,"f52":1206,"f57":"600123","f58":"兰花科创","f59":2,"f60":1338,"f86":1676620778,"f292":2,
            "f19":1340,"f20":12,"f17":1339,"f18":5,"f15":"-","f16":0,"f39":1341,"f40":7,"f37":"-","f38":"-"}}"#;
        let data = Fields::read(envelope(body.as_bytes()).unwrap().data.unwrap(), true).unwrap();
        let quote = stock(&data, 2).unwrap();
        assert_eq!((quote.stats.limit_up, quote.stats.limit_down), (of("14.70"), of("12.06")));
        assert_eq!((quote.stats.buy_volume, quote.stats.sell_volume), (of("60000"), of("40000")));
        let (bids, asks) = quote.levels.unwrap();
        assert_eq!(
            bids,
            [(of("13.40").unwrap(), of("1200").unwrap()), (of("13.39").unwrap(), of("500").unwrap())]
        );
        assert_eq!(asks, [(of("13.41").unwrap(), of("700").unwrap())]);
        assert_eq!(quote.status, Some(Status::Trading));
    }
}
