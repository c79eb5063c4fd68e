//! A quote: `贵州茅台,1338.000,1343.000,1355.290,…` in GBK.

use model::ashare::Code;
use model::{DayStats, Decimal, Status};
use source::poll::{Quoted, Side};
use source::web::{self, china_time, gbk};
use source::{Malformed, What};

type Result<T> = std::result::Result<T, Malformed>;

/// A quote has at least so many fields; the tail after them differs between exchanges and is not read.
const FIELDS_MIN: usize = 32;

fn fault(what: What) -> Malformed {
    Malformed { at: 0, what }
}

/// No byte of a character of GBK is a comma, so fields are parted before they are decoded.
struct Fields<'a>(Vec<&'a [u8]>);

impl<'a> Fields<'a> {
    fn raw(&self, field: usize) -> &'a [u8] {
        self.0.get(field).copied().unwrap_or_default().trim_ascii()
    }

    fn number(&self, field: usize) -> Result<Option<Decimal>> {
        web::number(self.raw(field))
    }

    /// A price; 0.000 means that there is none.
    fn px(&self, field: usize) -> Result<Option<Decimal>> {
        Ok(self.number(field)?.filter(|px| *px > Decimal::default()))
    }

    /// Five levels: quantity, then price.
    fn side(&self, first: usize) -> Result<Side> {
        let mut side = Vec::with_capacity(5);
        for field in (first..first + 10).step_by(2) {
            side.extend(self.px(field + 1)?.zip(self.number(field)?));
        }
        Ok(side)
    }
}

/// Reads the value of `hq_str_<name>`.
///
/// # Errors
/// Where the name is no code, the value is too short, its name is no GBK, or a number is none.
pub fn quote(name: &str, value: &[u8]) -> Result<(Code, Quoted)> {
    let code = Code::parse(name).map_err(|_| fault(What::Expected("a code of a Chinese exchange")))?;
    let fields = Fields(value.split(|byte| *byte == b',').collect());
    if fields.0.len() < FIELDS_MIN {
        return Err(fault(What::Missing("fields of a quote")));
    }
    let title = gbk(fields.raw(0))?;
    let volume = fields.number(8)?;
    let stats = DayStats {
        open: fields.px(1)?,
        high: fields.px(4)?,
        low: fields.px(5)?,
        // Before the first trade it may be the price of the auction.
        last: fields.px(3)?.filter(|_| volume.is_some_and(|volume| !volume.is_zero())),
        volume,
        turnover: fields.number(9)?,
        prev_close: fields.px(2)?,
        ..DayStats::default()
    };
    let status = match fields.raw(32) {
        b"" => None,
        b"00" => Some(Status::Trading),
        b"01" | b"02" | b"03" => Some(Status::Halted),
        b"-2" => Some(Status::Closed),
        other => Some(Status::Other(String::from_utf8_lossy(other).into())),
    };
    let ts = china_time(&[fields.raw(30), b" ", fields.raw(31)].concat());
    let levels = Some((fields.side(10)?, fields.side(20)?));
    Ok((code, Quoted { ts, title: title.trim().into(), stats, levels, status }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::web::to_gbk;

    const FUND: &str = "恒生中小,0.000,1.074,0.000,0.000,0.000,1.053,1.110,0,0.000,42000,1.053,7500,1.050,0,0.000,0,0.000,0,0.000,3100,1.110,100,1.130,2900,1.169,12000,1.170,0,0.000,2019-04-08,09:41:45,00";

    fn of(text: &str) -> Option<Decimal> {
        web::number(text.as_bytes()).unwrap()
    }

    #[test]
    fn zeros_before_the_first_trade_are_no_prices_and_empty_levels_are_none() {
        let (code, quote) = quote("sz160922", &to_gbk(FUND)).unwrap();
        assert_eq!((code.to_string().as_str(), &*quote.title), ("160922.SZ", "恒生中小"));
        assert_eq!((quote.stats.open, quote.stats.last, quote.stats.prev_close), (None, None, of("1.074")));
        let (bids, asks) = quote.levels.unwrap();
        assert_eq!(
            bids,
            [(of("1.053").unwrap(), of("42000").unwrap()), (of("1.050").unwrap(), of("7500").unwrap())]
        );
        assert_eq!((asks.len(), asks[0]), (4, (of("1.110").unwrap(), of("3100").unwrap())));
        assert_eq!((quote.ts, quote.status), (china_time(b"2019-04-08 09:41:45"), Some(Status::Trading)));
    }

    #[test]
    fn a_short_quote_and_one_that_is_no_gbk_are_named() {
        let what = |value: &[u8]| quote("sh600519", value).unwrap_err().what;
        assert_eq!(what(b"x,1,2,3"), What::Missing("fields of a quote"));
        assert_eq!(
            what(&[b"\xff\xff\xff\xff", FUND.trim_start_matches("恒生中小").as_bytes()].concat()),
            What::Encoding
        );
        let odd = FUND.replace("1.074", "one");
        assert!(matches!(what(&to_gbk(&odd)), What::Number(_)));
    }
}
