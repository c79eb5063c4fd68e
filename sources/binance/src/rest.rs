//! REST beside the sessions: clock, turnovers, books, and the past of trades and bars.

mod bars;
mod prints;

use crate::archive;
use crate::odd::Odd;
use crate::parse::{self, Sides, missing};
use crate::product::{DEPTH_LIMIT, PRODUCTS, Product};
use model::{Channel, Decimal, Event, Instrument, Snapshot, Ts};
use source::{Archive, Cursor, History, Malformed, Past, Request, Rest, Row, Turnover, What};
use std::sync::Arc;

/// What is asked besides the sessions.
#[derive(Clone, Copy, Debug)]
pub struct BinanceRest;

impl Rest for BinanceRest {
    fn time(&self) -> Option<Request> {
        let spot = Product::spot();
        Some(Request { endpoint: spot.endpoint, path: format!("{}/time", spot.rest), weight: 1 })
    }

    /// `{"serverTime":1760000000123}`
    fn read_time(&self, body: &[u8]) -> Result<Ts, Malformed> {
        let mut c = Cursor::new(body);
        let mut time = None;
        c.object(|c, key| {
            match key {
                b"serverTime" => time = Some(c.i64()?),
                _ => _ = c.skip()?,
            }
            Ok(())
        })?;
        c.end()?;
        time.map(Ts::from_ms).ok_or(missing("serverTime"))
    }

    fn turnovers(&self) -> Vec<Request> {
        let request = |p: &Product| Request {
            endpoint: p.endpoint,
            path: format!("{}/ticker/24hr", p.rest),
            weight: if p.futures { 40 } else { 80 },
        };
        PRODUCTS.iter().map(request).collect()
    }

    /// `[{"symbol":"BTCUSDT","volume":"15000.0","quoteVolume":"955000000.0",…}]`; COIN-M has `baseVolume` in coins.
    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        let Some(product) = PRODUCTS.iter().find(|p| path.contains(p.rest)) else {
            return Err(Malformed { at: 0, what: What::Rule("no path of turnovers") });
        };
        let mut all = Vec::new();
        let mut c = Cursor::new(body);
        c.array(|c| {
            let (mut symbol, mut turnover) = (None, None::<Decimal>);
            c.object(|c, key| {
                match key {
                    b"symbol" => symbol = Some(Box::<str>::from(c.utf8()?)),
                    b"quoteVolume" | b"baseVolume" => turnover = c.decimal_opt()?,
                    _ => _ = c.skip()?,
                }
                Ok(())
            })?;
            let symbol = symbol.ok_or(missing("symbol"))?;
            if let Some(turnover) = turnover {
                all.push(Turnover { product: product.name, symbol, turnover });
            }
            Ok(())
        })?;
        c.end()?;
        Ok(all)
    }

    fn book(&self, instrument: &Instrument) -> Option<Request> {
        let product = Product::named(&instrument.product)?;
        let (path, weight) = (product.depth_path(&instrument.symbol), product.depth_weight(DEPTH_LIMIT));
        Some(Request { endpoint: product.endpoint, path, weight })
    }

    fn read_book(&self, instrument: &Arc<Instrument>, body: &[u8]) -> Result<Snapshot, Malformed> {
        let (mut sides, mut odd, mut c) = (Sides::default(), Odd::default(), Cursor::new(body));
        let (_, ids) = parse::book(&mut c, instrument, &mut sides, &mut odd)?;
        c.end()?;
        let seq = u64::try_from(ids.last);
        let seq = seq.map_err(|_| Malformed { at: 0, what: What::Rule("the venue has no book yet") })?;
        Ok(Snapshot { seq: Some(seq), levels: sides.levels(), checksum: None, epoch: 0 })
    }

    fn archive(&self, path: &str) -> Option<Archive> {
        archive::named(path)
    }

    fn archive_row(
        &self,
        of: &Archive,
        instrument: &Arc<Instrument>,
        row: &Row<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        archive::row(of, instrument, row, out)
    }

    fn provisional(&self, product: &str, symbol: &str) -> Option<Instrument> {
        archive::provisional(product, symbol)
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let product = Product::named(&past.instrument.product).filter(|_| past.source == crate::NAME)?;
        match past.channel {
            Channel::AggTrades => Some(Box::new(prints::Prints::merged(product, past))),
            Channel::Trades => Some(Box::new(prints::Prints::single(product, past))),
            Channel::Bars => Some(Box::new(bars::Bars::new(product, past))),
            _ => None,
        }
    }
}
