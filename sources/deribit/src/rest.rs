//! What the venue answers by REST besides its listing: its clock, turnovers, books, and the past.

mod history;

use crate::book::{Scratch, book_row};
use crate::emit::{Notes, Sink};
use crate::parse::{Result, decimal};
use history::{Bars, Trades};
use model::{Channel, Decimal, Instrument, Snapshot, Ts};
use source::{Cursor, History, Past, Request, Rest, Turnover, What};
use std::sync::Arc;

/// The currencies under which the venue lists instruments.
const CURRENCIES: [&str; 5] = ["BTC", "ETH", "USDC", "USDT", "EURR"];
/// How many levels a side are asked for.
const DEPTH: u32 = 1_000;

/// REST beside the sessions.
#[derive(Clone, Copy, Debug)]
pub struct DeribitRest;

/// A request of the common weight.
fn request(path: String) -> Request {
    Request { endpoint: 0, path, weight: 1 }
}

/// Calls `read` at the result of an answer.
///
/// `{"jsonrpc":"2.0","result":…,"usIn":1760000000000100,"usOut":1760000000000350,"usDiff":250,"testnet":false}`
fn result<'a>(body: &'a [u8], mut read: impl FnMut(&mut Cursor<'a>) -> Result<()>) -> Result<()> {
    let mut there = false;
    let mut c = Cursor::new(body);
    c.object(|c, key| match key {
        b"result" => {
            there = true;
            read(c)
        }
        b"error" if !c.null() => Err(c.fault(What::Rule("the venue answered with an error"))),
        b"error" => Ok(()),
        _ => c.skip().map(|_| ()),
    })?;
    c.end()?;
    if there { Ok(()) } else { Err(c.fault(What::Missing("result"))) }
}

impl Rest for DeribitRest {
    fn time(&self) -> Option<Request> {
        Some(request("/api/v2/public/get_time".to_owned()))
    }

    fn read_time(&self, body: &[u8]) -> Result<Ts> {
        let mut time = Ts::default();
        result(body, |c| {
            time = Ts::from_ms(c.i64()?);
            Ok(())
        })?;
        Ok(time)
    }

    fn turnovers(&self) -> Vec<Request> {
        let path = |name: &&str| format!("/api/v2/public/get_book_summary_by_currency?currency={name}");
        CURRENCIES.iter().map(|name| request(path(name))).collect()
    }

    /// Of inverse contracts in dollars, as of all others that the venue counts so.
    fn read_turnovers(&self, _path: &str, body: &[u8]) -> Result<Vec<Turnover>> {
        let mut all = Vec::new();
        result(body, |c| {
            c.array(|c| {
                let (mut name, mut usd, mut notional): (_, Option<Decimal>, Option<Decimal>) =
                    ("", None, None);
                c.object(|c, key| {
                    match key {
                        b"instrument_name" => name = c.utf8()?,
                        b"volume_usd" => usd = decimal(c)?,
                        b"volume_notional" => notional = decimal(c)?,
                        _ => {
                            c.skip()?;
                        }
                    }
                    Ok(())
                })?;
                if name.is_empty() {
                    return Err(c.fault(What::Missing("instrument_name")));
                }
                let turnover = usd.or(notional);
                all.extend(turnover.map(|turnover| Turnover { product: "", symbol: name.into(), turnover }));
                Ok(())
            })
        })?;
        Ok(all)
    }

    fn book(&self, instrument: &Instrument) -> Option<Request> {
        let (name, depth) = (&instrument.symbol, DEPTH);
        Some(request(format!("/api/v2/public/get_order_book?instrument_name={name}&depth={depth}")))
    }

    fn read_book(&self, instrument: &Arc<Instrument>, body: &[u8]) -> Result<Snapshot> {
        let mut snapshot = None;
        let (mut scratch, mut notes, mut out) = (Scratch::default(), Notes::default(), Vec::new());
        result(body, |c| {
            // Its other keys are those of a ticker.
            let mut sink = Sink { now: Ts::default(), out: &mut out, notes: &mut notes };
            let row = book_row(c, instrument, &mut scratch, &mut sink)?;
            scratch.full();
            let levels = scratch.levels();
            snapshot = Some(Snapshot { seq: Some(row.seq), levels, checksum: None, epoch: 0 });
            Ok(())
        })?;
        snapshot.ok_or(source::Malformed { at: 0, what: What::Missing("result") })
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        match past.channel {
            Channel::Trades => Some(Box::new(Trades::new(past))),
            Channel::Bars => Bars::new(past).map(|bars| Box::new(bars) as Box<dyn History>),
            _ => None,
        }
    }
}
