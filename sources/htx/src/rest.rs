//! REST beside the sessions: the venue's clock, turnovers, and the past.

mod history;

use crate::parse::Result;
use crate::product::{PRODUCTS, Product};
use crate::rows::Sums;
use history::{Bars, Newest};
use model::{Channel, Decimal, Ts};
use source::{Cursor, History, Malformed, Past, Request, Rest, Turnover, What};

/// REST of the venue.
#[derive(Clone, Copy, Debug)]
pub struct HtxRest;

const TIME: &str = "/v1/common/timestamp";
const TURNOVERS: [(Product, &str); 3] = [
    (Product::Spot, "/market/tickers"),
    (Product::Linear, "/v2/linear-swap-ex/market/detail/batch_merged?business_type=all"),
    (Product::Inverse, "/swap-ex/market/detail/batch_merged"),
];

impl Rest for HtxRest {
    fn time(&self) -> Option<Request> {
        Some(Request { endpoint: 0, path: TIME.to_owned(), weight: 1 })
    }

    /// `{"status":"ok","data":1760000005000}`
    fn read_time(&self, body: &[u8]) -> Result<Ts> {
        let mut ts = None;
        answer(body, b"data", |c| {
            ts = Some(Ts::from_ms(c.i64()?));
            Ok(())
        })?;
        ts.ok_or(Malformed { at: 0, what: What::Missing("data") })
    }

    fn turnovers(&self) -> Vec<Request> {
        let request = |(product, path): (Product, &str)| Request {
            endpoint: product.endpoint(),
            path: path.to_owned(),
            weight: 1,
        };
        TURNOVERS.into_iter().map(request).collect()
    }

    /// `{"status":"ok","data":[{"symbol":"btcusdt","vol":955000000.25,…}]}`,
    /// `{"status":"ok","ticks":[{"contract_code":"BTC-USDT","trade_turnover":1932000000.5,…}]}`
    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>> {
        let path = path.split('?').next().unwrap_or_default();
        let known = TURNOVERS.iter().find(|(_, p)| path.ends_with(p.split('?').next().unwrap_or_default()));
        let Some((section, _)) = known else {
            return Err(Malformed { at: 0, what: What::Rule("no answer of turnovers") });
        };
        let mut all = Vec::new();
        let key: &[u8] = if section.spot() { b"data" } else { b"ticks" };
        answer(body, key, |c| c.array(|c| turnover(c, *section).map(|row| all.extend(row))))?;
        Ok(all)
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let product = Product::named(&past.instrument.product).filter(|p| *p != Product::Dated)?;
        match past.channel {
            Channel::Bars if !product.spot() => {
                Bars::new(past, product).map(|b| Box::new(b) as Box<dyn History>)
            }
            Channel::Bars | Channel::Trades => {
                Newest::new(past, product).map(|n| Box::new(n) as Box<dyn History>)
            }
            _ => None,
        }
    }
}

fn turnover(c: &mut Cursor<'_>, section: Product) -> Result<Option<Turnover>> {
    let mut symbol = None;
    let (mut product, mut contracts) = (section, None);
    let start = c.clone();
    let sums = Sums::read(c, section, |c, key| {
        match key {
            b"symbol" | b"contract_code" => {
                let text = c.utf8()?;
                product = Product::of(text.as_bytes()).unwrap_or(section);
                symbol = Some(text);
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    // Of a contract margined in coins the venue says how many contracts.
    start.clone().object(|c, key| {
        if key == b"vol" {
            contracts = c.decimal_opt()?;
            return Ok(());
        }
        c.skip().map(|_| ())
    })?;
    let said = sums.turnover(section).or(contracts);
    let made = |symbol: &str, turnover: Decimal| Turnover {
        product: PRODUCTS.into_iter().find(|p| *p == product).map_or("", Product::name),
        symbol: symbol.into(),
        turnover,
    };
    Ok(symbol.zip(said).map(|(symbol, turnover)| made(symbol, turnover)))
}

/// Calls `data` at the value of a key of an answer that is fine.
fn answer<'a>(
    body: &'a [u8],
    wanted: &[u8],
    mut data: impl FnMut(&mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    let (mut fine, mut place) = (false, None);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"status" => fine = c.str()? == b"ok",
            _ if key == wanted => {
                place = Some(c.clone());
                c.skip()?;
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    c.end()?;
    match place {
        Some(mut at) if fine => data(&mut at),
        Some(_) => Err(c.fault(What::Rule("the venue refused"))),
        None => Err(c.fault(What::Missing("data"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read() {
        assert_eq!(
            HtxRest.read_time(br#"{"status":"ok","data":1760000005000}"#),
            Ok(Ts::from_ms(1_760_000_005_000))
        );
        for body in [&b"{}"[..], br#"{"status":"error","data":1}"#, br#"{"status":"ok"}"#, b""] {
            assert!(HtxRest.read_time(body).is_err());
        }
    }

    #[test]
    fn turnovers_are_in_money_where_the_venue_says_it() {
        let spot = br#"{"status":"ok","ts":1,"data":[{"symbol":"tinyusdt","open":7.1E-4,"high":0.001,"low":6.95E-4,"close":8.4E-4,"amount":4.125E8,"vol":346500.125,"count":8123,"bid":1,"bidSize":2,"ask":3,"askSize":4}]}"#;
        let linear = br#"{"status":"ok","ticks":[{"contract_code":"BTC-USDT","amount":"30316.5","vol":"30316500","trade_turnover":"1932000000.5","business_type":"swap"},{"contract_code":"X"}],"ts":1}"#;
        let inverse = br#"{"status":"ok","ticks":[{"contract_code":"BTC-USD","amount":"12397.7225650589211059171392145260319091988","vol":"3753910"}],"ts":1}"#;
        let read = |n: usize, body: &[u8]| HtxRest.read_turnovers(TURNOVERS[n].1, body).unwrap();
        let one = |product, symbol: &str, turnover: &str| {
            vec![Turnover {
                product,
                symbol: symbol.into(),
                turnover: Decimal::parse(turnover.as_bytes()).unwrap(),
            }]
        };
        assert_eq!(read(0, spot), one("spot", "tinyusdt", "346500.125"));
        assert_eq!(read(1, linear), one("linear", "BTC-USDT", "1932000000.5"));
        assert_eq!(read(2, inverse), one("inverse", "BTC-USD", "3753910"));
        assert!(HtxRest.read_turnovers("/market/depth", spot).is_err());
        for cut in 0..spot.len() {
            assert!(HtxRest.read_turnovers(TURNOVERS[0].1, &spot[..cut]).is_err());
        }
    }
}
