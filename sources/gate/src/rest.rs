//! REST beside the sessions: the clock, turnovers, whole books and the past.

mod bars;
mod trades;

use crate::parse::{self, Result, Sides};
use crate::product::{ALL, Product};
use crate::rows::Ticker;
use model::{Channel, Instrument, Snapshot, Ts};
use source::{Cursor, History, Malformed, Past, Request, Rest, Turnover, What};
use std::sync::Arc;

/// How many levels a whole book has; more are cached for long by the venue.
const LEVELS: u32 = 100;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct GateRest;

fn request(product: Product, path: String) -> Request {
    Request { endpoint: product.endpoint(), path, weight: 1 }
}

impl Rest for GateRest {
    fn time(&self) -> Option<Request> {
        Some(request(Product::Spot, "/api/v4/spot/time".to_owned()))
    }

    /// `{"server_time":1760000000123}`
    fn read_time(&self, body: &[u8]) -> Result<Ts> {
        let mut c = Cursor::new(body);
        let mut at = None;
        c.object(|c, key| {
            if key == b"server_time" {
                at = Some(parse::time(c, 6)?);
                return Ok(());
            }
            c.skip().map(|_| ())
        })?;
        c.end()?;
        at.ok_or_else(|| c.fault(What::Missing("server_time")))
    }

    fn turnovers(&self) -> Vec<Request> {
        ALL.iter().map(|p| request(*p, format!("{}/tickers", p.rest()))).collect()
    }

    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>> {
        let path = path.split('?').next().unwrap_or_default();
        let section = ALL.into_iter().find(|p| path.ends_with(&format!("{}/tickers", p.rest())));
        let mut c = Cursor::new(body);
        let Some(section) = section else { return Err(c.fault(What::Rule("no list of tickers"))) };
        let mut all = Vec::new();
        c.array(|c| {
            let t = Ticker::read(c, |_| ())?;
            if let (Ok(symbol), Some(turnover)) = (std::str::from_utf8(t.symbol), t.stats.turnover) {
                all.push(Turnover { product: section.name(), symbol: symbol.into(), turnover });
            }
            Ok(())
        })?;
        c.end()?;
        Ok(all)
    }

    fn book(&self, instrument: &Instrument) -> Option<Request> {
        let product = Product::of(instrument)?;
        Some(request(product, product.book_path(&instrument.symbol, LEVELS)))
    }

    fn read_book(&self, instrument: &Arc<Instrument>, body: &[u8]) -> Result<Snapshot> {
        let mut c = Cursor::new(body);
        let mut sides = Sides::default();
        let row = parse::book(&mut c, instrument, &mut sides, |_| ())?;
        c.end()?;
        let Some(seq) = row.last.filter(|_| row.both) else {
            return Err(c.fault(What::Missing("id, asks or bids")));
        };
        Ok(Snapshot { seq: Some(seq), levels: sides.sorted(), checksum: None, epoch: 0 })
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let product = Product::of(&past.instrument)?;
        match past.channel {
            Channel::Bars => Some(Box::new(bars::Pages::new(product, past)?)),
            // Delivery contracts keep no trades by page.
            Channel::Trades if product != Product::Delivery => {
                Some(Box::new(trades::Pages::new(product, past)))
            }
            _ => None,
        }
    }
}

/// The whole seconds of an instant, rounded down.
const fn seconds(ts: Ts) -> i64 {
    ts.0.div_euclid(1_000_000_000)
}

const fn at_second(seconds: i64) -> Ts {
    Ts::from_ms(seconds.saturating_mul(1_000))
}

/// A fault where the body is the venue's word for an error: `{"label":"INVALID_PARAM_VALUE","message":"…"}`.
const fn no_list() -> Malformed {
    Malformed { at: 0, what: What::Expected("a list") }
}
