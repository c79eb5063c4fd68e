//! REST beside the sessions: clock, turnovers, books, and the past of trades and bars.

mod bars;
mod prints;

use crate::archive;
use crate::listing;
use crate::parse::{self, Result, Scratch};
use model::{Channel, Decimal, Event, Instrument, Snapshot, Ts};
use source::{Archive, Cursor, History, Malformed, Past, Request, Rest, Row, Turnover, What};
use std::sync::Arc;

/// What is asked besides the sessions.
#[derive(Clone, Copy, Debug)]
pub struct OkxRest;

/// The products whose turnover is told.
const PRODUCTS: [&str; 4] = ["SPOT", "SWAP", "FUTURES", "OPTION"];

fn ask(path: String, weight: u32) -> Request {
    Request { endpoint: 0, path, weight }
}

/// Reads the rows of an answer: `{"code":"0","msg":"","data":[…]}`; any other code is a fault.
fn rows<'a>(body: &'a [u8], mut row: impl FnMut(&mut Cursor<'a>) -> Result<()>) -> Result<()> {
    let mut c = Cursor::new(body);
    let (mut fine, mut there) = (None, false);
    c.object(|c, key| {
        match key {
            b"code" => fine = Some(c.str()? == b"0"),
            b"data" => {
                there = true;
                c.array(&mut row)?;
            }
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    match fine {
        Some(true) if there => Ok(()),
        Some(false) => Err(Malformed { at: 0, what: What::Rule("the venue answered with an error") }),
        _ => Err(c.fault(What::Missing("code and data"))),
    }
}

impl Rest for OkxRest {
    fn time(&self) -> Option<Request> {
        Some(ask("/api/v5/public/time".to_owned(), 1))
    }

    /// `{"code":"0","msg":"","data":[{"ts":"1760000000123"}]}`
    fn read_time(&self, body: &[u8]) -> Result<Ts> {
        let mut time = None;
        rows(body, |c| {
            c.object(|c, key| {
                match key {
                    b"ts" => time = parse::ms(c)?,
                    _ => _ = c.skip()?,
                }
                Ok(())
            })
        })?;
        time.ok_or(Malformed { at: 0, what: What::Missing("ts") })
    }

    fn turnovers(&self) -> Vec<Request> {
        PRODUCTS.iter().map(|name| ask(format!("/api/v5/market/tickers?instType={name}"), 1)).collect()
    }

    /// `volCcy24h` is money on spot; of a linear contract it is the base coins, which are counted at the last price; of an
    /// inverse one it is told as it stands.
    fn read_turnovers(&self, _path: &str, body: &[u8]) -> Result<Vec<Turnover>> {
        let mut all = Vec::new();
        rows(body, |c| {
            let (mut symbol, mut kind, mut ccy, mut last) =
                (None, b"".as_slice(), None::<Decimal>, None::<Decimal>);
            c.object(|c, key| {
                match key {
                    b"instId" => symbol = Some(c.utf8()?),
                    b"instType" => kind = c.str()?,
                    b"volCcy24h" => ccy = c.decimal_opt()?,
                    b"last" => last = c.decimal_opt()?,
                    _ => _ = c.skip()?,
                }
                Ok(())
            })?;
            let symbol = symbol.ok_or_else(|| c.fault(What::Missing("instId")))?;
            let linear = matches!(kind, b"SWAP" | b"FUTURES") && symbol.split('-').nth(1) != Some("USD");
            let turnover = match (linear, ccy, last) {
                (true, Some(ccy), Some(last)) => listing::product(ccy, last),
                (true, ..) => None,
                (false, ccy, _) => ccy,
            };
            all.extend(turnover.map(|turnover| Turnover { product: "", symbol: symbol.into(), turnover }));
            Ok(())
        })?;
        Ok(all)
    }

    fn book(&self, instrument: &Instrument) -> Option<Request> {
        Some(ask(format!("/api/v5/market/books?instId={}&sz=400", instrument.symbol), 1))
    }

    fn read_book(&self, instrument: &Arc<Instrument>, body: &[u8]) -> Result<Snapshot> {
        let (mut found, mut scratch) = (None, Scratch::default());
        rows(body, |c| {
            found = Some(parse::book_row(c, instrument, &mut scratch, |_| {})?);
            Ok(())
        })?;
        let seq = found.and_then(|row| row.seq).and_then(|seq| u64::try_from(seq).ok());
        let seq = seq.ok_or(Malformed { at: 0, what: What::Missing("seqId") })?;
        Ok(Snapshot { seq: Some(seq), levels: scratch.levels(), checksum: None, epoch: 0 })
    }

    fn archive(&self, path: &str) -> Option<Archive> {
        archive::named(path)
    }

    fn archive_symbol(&self) -> &'static str {
        archive::SYMBOL
    }

    fn archive_row(
        &self,
        of: &Archive,
        instrument: &Arc<Instrument>,
        row: &Row<'_>,
        out: &mut Vec<Event>,
    ) -> Result<()> {
        archive::row(of, instrument, row, out)
    }

    fn provisional(&self, product: &str, symbol: &str) -> Option<Instrument> {
        archive::provisional(product, symbol)
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        if past.source != crate::NAME {
            return None;
        }
        match past.channel {
            Channel::Trades => Some(Box::new(prints::Prints::new(past))),
            Channel::Bars => Some(Box::new(bars::Bars::new(past)?)),
            _ => None,
        }
    }
}
