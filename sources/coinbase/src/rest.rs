//! REST beside the sessions: clock, turnovers, and the past of trades and bars.

mod bars;
mod trades;

pub use bars::{Candle, candles, path_of as bars_path};

use crate::listing::{self, Products, text};
use crate::{Feed, NAME};
use model::{Channel, Decimal, Ts};
use serde::Deserialize;
use source::{History, Malformed, Past, Request, Rest, Turnover, What};
use std::borrow::Cow;

/// What is asked besides the sessions.
///
/// There is no book: neither feed numbers the state of a book as REST does.
#[derive(Clone, Copy, Debug)]
pub struct CoinbaseRest;

const CLOCK: &str = "/api/v3/brokerage/time";

/// `{"iso":"2026-09-01T12:00:00Z","epochSeconds":"1788264000","epochMillis":"1788264000123"}`
#[derive(Deserialize)]
struct Clock<'a> {
    #[serde(borrow, default, rename = "epochMillis")]
    millis: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    iso: Option<Cow<'a, str>>,
}

impl Rest for CoinbaseRest {
    fn time(&self) -> Option<Request> {
        Some(Request { endpoint: Feed::Advanced.endpoint(), path: CLOCK.to_owned(), weight: 1 })
    }

    fn read_time(&self, body: &[u8]) -> Result<Ts, Malformed> {
        let clock: Clock<'_> = serde_json::from_slice(body).map_err(|e| listing::fault(body, &e))?;
        let by_millis = text(&clock.millis).parse::<i64>().ok().filter(|ms| (0..1 << 43).contains(ms));
        by_millis
            .map(Ts::from_ms)
            .or_else(|| crate::time::parse(text(&clock.iso).as_bytes()))
            .ok_or(Malformed { at: 0, what: What::Missing("epochMillis") })
    }

    /// Of Advanced Trade alone: the markets of Exchange are the same ones.
    fn turnovers(&self) -> Vec<Request> {
        let ours = listing::PATHS.iter().filter(|(feed, _)| *feed == Feed::Advanced);
        ours.map(|(feed, path)| Request { endpoint: feed.endpoint(), path: (*path).to_owned(), weight: 1 })
            .collect()
    }

    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        if listing::feed_of(path) != Some(Feed::Advanced) {
            return Err(Malformed { at: 0, what: What::Rule("no path of turnovers") });
        }
        let all: Products<'_> = serde_json::from_slice(body).map_err(|e| listing::fault(body, &e))?;
        let own = all.products.iter().filter(|p| text(&p.alias).is_empty());
        let told = own.filter_map(|p| {
            Some(Turnover {
                product: Feed::Advanced.product(),
                symbol: text(&p.id).into(),
                turnover: Decimal::parse(text(&p.approximate_quote_24h_volume).as_bytes()).ok()?,
            })
        });
        Ok(told.collect())
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        if past.source != NAME {
            return None;
        }
        match (past.channel, Feed::of(&past.instrument)) {
            (Channel::Trades, Feed::Advanced) => Some(Box::new(trades::ByTime::new(past))),
            (Channel::Trades, Feed::Exchange) => Some(Box::new(trades::ById::new(past))),
            (Channel::Bars, _) => Some(Box::new(bars::Pages::new(past)?)),
            _ => None,
        }
    }
}

/// The second that holds an instant.
pub(crate) const fn seconds(ts: Ts) -> i64 {
    ts.0.div_euclid(1_000_000_000)
}

/// The beginning of a second.
pub(crate) const fn at_second(seconds: i64) -> Ts {
    Ts(seconds.saturating_mul(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_by_either_field() {
        let read = |body: &str| CoinbaseRest.read_time(body.as_bytes()).map(Ts::as_ms).ok();
        assert_eq!(
            read(r#"{"iso":"2026-09-01T12:00:00Z","epochSeconds":"1","epochMillis":"1788264000123"}"#),
            Some(1_788_264_000_123)
        );
        assert_eq!(read(r#"{"iso":"2026-09-01T12:00:00Z"}"#), Some(1_788_264_000_000));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn turnovers_are_of_the_products_that_have_their_own_data() {
        let body = br#"{"products":[
            {"product_id":"BTC-USD","alias":"","approximate_quote_24h_volume":"186637571.25"},
            {"product_id":"BTC-USDC","alias":"BTC-USD","approximate_quote_24h_volume":"186629582.58"},
            {"product_id":"NEW-USD","alias":"","approximate_quote_24h_volume":""}]}"#;
        let path = &CoinbaseRest.turnovers()[0].path;
        let all = CoinbaseRest.read_turnovers(path, body).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((&*all[0].symbol, all[0].turnover.to_string()), ("BTC-USD", "186637571.25".to_owned()));
        assert!(CoinbaseRest.read_turnovers("/products", body).is_err());
    }
}
