//! What REST tells beside the streams: the clock, turnovers, and the past.

mod bars;
mod trades;
mod turnover;

pub use bars::{candles, candles_path};

use crate::listing::fault;
use crate::subscribe::is_spot;
use crate::time;
use model::{Channel, Ts};
use serde::Deserialize;
use source::{History, Malformed, Past, Request, Rest, Turnover, What};
use std::borrow::Cow;

/// Statistics of one contract. Its answer carries the venue's time in milliseconds; the answer that is for asking the
/// time has whole seconds only.
const CLOCK: &str = "/derivatives/api/v3/tickers/PF_XBTUSD";
/// Statistics of all pairs.
const PAIRS: &str = "/0/public/Ticker";
/// Statistics of all contracts.
const CONTRACTS: &str = "/derivatives/api/v3/tickers";

/// REST beside the sessions.
#[derive(Clone, Copy, Debug)]
pub struct KrakenRest;

/// `{"result":"success","ticker":{},"serverTime":"2026-09-01T12:00:00.123Z"}`
#[derive(Deserialize)]
struct Clock<'a> {
    #[serde(borrow, rename = "serverTime")]
    server_time: Cow<'a, str>,
}

/// A fault of an answer as a whole.
pub(crate) const fn rule(words: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Rule(words) }
}

fn ask(endpoint: usize, path: String, weight: u32) -> Request {
    Request { endpoint, path, weight }
}

impl Rest for KrakenRest {
    fn time(&self) -> Option<Request> {
        Some(ask(crate::FUTURES, CLOCK.to_owned(), 1))
    }

    fn read_time(&self, body: &[u8]) -> Result<Ts, Malformed> {
        let clock: Clock<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        time::rfc3339(clock.server_time.as_bytes()).ok_or(rule("serverTime is no time"))
    }

    fn turnovers(&self) -> Vec<Request> {
        vec![ask(crate::SPOT, PAIRS.to_owned(), 1), ask(crate::FUTURES, CONTRACTS.to_owned(), 1)]
    }

    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        if path.contains(PAIRS) { turnover::pairs(body) } else { turnover::contracts(body) }
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let spot = is_spot(&past.instrument);
        match past.channel {
            Channel::Trades if spot => Some(Box::new(trades::Pairs::new(past))),
            Channel::Trades => Some(Box::new(trades::Contracts::new(past))),
            Channel::Bars if spot => bars::Pairs::new(past).map(|made| Box::new(made) as Box<dyn History>),
            Channel::Bars => bars::Contracts::new(past).map(|made| Box::new(made) as Box<dyn History>),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_to_the_millisecond() {
        let body = br#"{"result":"success","ticker":{"symbol":"PF_XBTUSD"},"serverTime":"2026-09-01T12:00:00.123Z"}"#;
        assert_eq!(KrakenRest.read_time(body), Ok(Ts::from_ms(1_788_264_000_123)));
        assert!(KrakenRest.read_time(br#"{"serverTime":"soon"}"#).is_err());
    }
}
