//! Trades by REST: Advanced Trade pages by time, Exchange by id.

use super::{at_second, seconds};
use crate::emit::event;
use crate::parse::{self, Print, Result};
use crate::{Feed, listing};
use model::{Body, Channel, Event, Instrument, Trade, TradeId, Ts};
use source::{Cursor, History, Malformed, Past, Request, What, refit};
use std::sync::Arc;

/// How many trades a page holds at most.
const TRADES_MAX: u64 = 1_000;
/// The first part of time that is asked for, and the longest, in seconds.
const SPAN_FIRST_S: i64 = 60;
const SPAN_MAX_S: i64 = 3_600;

/// A trade of an answer.
#[derive(Clone, Debug)]
struct Row {
    id: u64,
    ts: Option<Ts>,
    trade: Trade,
}

/// Reads the trades of an answer, oldest first; the definition widens where a number does not fit.
///
/// `[{"trade_id":"900000001","product_id":"BTC-USD","price":"64010.15","size":"0.01","time":"…","side":"SELL"}]`
fn rows(c: &mut Cursor<'_>, instrument: &mut Arc<Instrument>) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    c.array(|c| {
        let print = row(c)?;
        let id = Cursor::new(print.id).u64()?;
        let (px, qty) = loop {
            match print.numbers(c, instrument.px_scale, instrument.qty_scale) {
                Ok(numbers) => break numbers,
                Err(fault) => *instrument = refit(instrument, &fault).ok_or(fault)?,
            }
        };
        let trade = Trade { id: TradeId::Num(id), px, qty, aggressor: print.aggressor, count: 1 };
        all.push(Row { id, ts: print.ts, trade });
        Ok(())
    })?;
    all.sort_by_key(|row| row.id);
    all.dedup_by_key(|row| row.id);
    Ok(all)
}

/// As a frame's trade, but Exchange does not repeat the product.
fn row<'a>(c: &mut Cursor<'a>) -> Result<Print<'a>> {
    let mut print = Print::default();
    c.object(|c, key| {
        match key {
            b"trade_id" => print.id = c.number()?,
            b"price" => print.px = parse::place(c)?,
            b"size" => print.qty = parse::place(c)?,
            b"side" => print.maker(c.str()?),
            b"time" => print.ts = crate::time::read(c)?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    if print.id.is_empty() { Err(c.fault(What::Missing("trade_id"))) } else { Ok(print) }
}

fn told(instrument: &Arc<Instrument>, rows: Vec<Row>, now: Ts) -> Vec<Event> {
    let event = |row: Row| event(instrument, Channel::Trades, row.ts, now, Body::Trade(row.trade));
    rows.into_iter().map(event).collect()
}

/// Whether a trade is in the part: by its id where ids are named, else by its time.
fn fits(past: &Past, row: &Row) -> bool {
    match past.ids {
        Some((first, last)) => (first..=last).contains(&row.id),
        None => row.ts.is_some_and(|ts| past.from <= ts && ts < past.to),
    }
}

/// The past of Advanced Trade: parts of time, each short enough for one page.
pub(super) struct ByTime {
    past: Past,
    instrument: Arc<Instrument>,
    /// The next second that is not read.
    next: i64,
    end: i64,
    span: i64,
    /// The newest trade read.
    last: Option<u64>,
}

impl ByTime {
    pub fn new(past: Past) -> Self {
        // A trade that is missing may have happened at the very time of its neighbours.
        let slack = i64::from(past.ids.is_some());
        let (next, end) = (seconds(past.from) - slack, seconds(past.to) + 1 + slack);
        Self { instrument: Arc::clone(&past.instrument), next, end, span: SPAN_FIRST_S, last: None, past }
    }

    fn until(&self) -> i64 {
        (self.next + self.span).min(self.end)
    }
}

impl History for ByTime {
    fn request(&mut self) -> Option<Request> {
        let found = self.past.ids.is_some_and(|(_, last)| self.last.is_some_and(|read| read >= last));
        if self.next >= self.end || found {
            return None;
        }
        let path = format!(
            "{}/{}/ticker?limit={TRADES_MAX}&start={}&end={}",
            listing::PRODUCTS,
            self.past.instrument.symbol,
            self.next,
            self.until()
        );
        Some(Request { endpoint: Feed::Advanced.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let mut c = Cursor::new(body);
        let (mut all, mut there) = (Vec::new(), false);
        let mut instrument = Arc::clone(&self.instrument);
        c.object(|c, key| {
            if key == b"trades" {
                there = true;
                all = rows(c, &mut instrument)?;
                Ok(())
            } else {
                c.skip().map(|_| ())
            }
        })?;
        c.end()?;
        if !there {
            return Err(c.fault(What::Missing("trades")));
        }
        self.instrument = instrument;
        let full = all.len() as u64 >= TRADES_MAX;
        // Ids count by one: a page that begins later than where the last one ended was cut.
        let torn = matches!((all.first(), self.last), (Some(row), Some(last)) if row.id > last + 1);
        if (full || torn) && self.span > 1 {
            self.span = (self.span / 2).max(1);
            return Ok(Vec::new());
        }
        if full {
            return Err(Malformed { at: 0, what: What::Rule("more trades in a second than a page holds") });
        }
        self.next = self.until();
        self.span = (self.span * 2).min(SPAN_MAX_S);
        let known = self.last;
        self.last = self.last.max(all.last().map(|row| row.id));
        all.retain(|row| fits(&self.past, row) && known.is_none_or(|last| row.id > last));
        Ok(told(&self.instrument, all, now))
    }

    fn reached(&self) -> Ts {
        at_second(self.next).min(self.past.to).max(self.past.from)
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Asks for the newest trade.
    Newest,
    /// Looks for the first trade of the part: not before the first, before the second.
    Seek(u64, u64),
    /// Reads on from this id.
    Read(u64),
    Done,
}

/// The past of Exchange: pages by id; where a time is asked for, its id is searched by halving.
pub(super) struct ById {
    past: Past,
    instrument: Arc<Instrument>,
    phase: Phase,
    reached: Ts,
}

impl ById {
    pub fn new(past: Past) -> Self {
        let phase = past.ids.map_or(Phase::Newest, |(first, _)| Phase::Read(first));
        Self { instrument: Arc::clone(&past.instrument), phase, reached: past.from, past }
    }

    /// The id after those of the page that begins at `from`.
    fn over(&self, from: u64) -> u64 {
        let page = from.saturating_add(TRADES_MAX);
        self.past.ids.map_or(page, |(_, last)| page.min(last.saturating_add(1)))
    }
}

impl History for ById {
    fn request(&mut self) -> Option<Request> {
        // `after` means older than, for the pages run from new to old.
        let query = match self.phase {
            Phase::Newest => "limit=1".to_owned(),
            Phase::Seek(low, high) => format!("limit=1&after={}", u64::midpoint(low, high) + 1),
            Phase::Read(from) => format!("limit={TRADES_MAX}&after={}", self.over(from)),
            Phase::Done => return None,
        };
        let path = format!("/products/{}/trades?{query}", self.past.instrument.symbol);
        Some(Request { endpoint: Feed::Exchange.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let mut c = Cursor::new(body);
        let mut instrument = Arc::clone(&self.instrument);
        let mut all = rows(&mut c, &mut instrument)?;
        c.end()?;
        self.instrument = instrument;
        let newest = all.last().map(|row| (row.id, row.ts));
        match self.phase {
            Phase::Newest => {
                self.phase = newest.map_or(Phase::Done, |(id, _)| Phase::Seek(1, id.saturating_add(1)));
            }
            Phase::Seek(low, high) => {
                let middle = u64::midpoint(low, high);
                let early = newest.is_none_or(|(_, ts)| ts.is_none_or(|ts| ts < self.past.from));
                let (low, high) = if early { (middle + 1, high) } else { (low, middle) };
                self.phase = if low < high { Phase::Seek(low, high) } else { Phase::Read(low) };
            }
            Phase::Read(from) => {
                let over = self.over(from);
                all.retain(|row| (from..over).contains(&row.id));
                let past_end = |ts: Ts| self.past.ids.is_none() && ts >= self.past.to;
                let ended = all.is_empty()
                    || all.iter().any(|row| row.ts.is_some_and(past_end))
                    || self.past.ids.is_some_and(|(_, last)| over > last);
                self.phase = if ended { Phase::Done } else { Phase::Read(over) };
                if let Some(ts) = all.last().and_then(|row| row.ts) {
                    self.reached = self.reached.max(ts.min(self.past.to));
                }
                all.retain(|row| fits(&self.past, row));
                if ended {
                    self.reached = self.past.to;
                }
                return Ok(told(&self.instrument, all, now));
            }
            Phase::Done => {}
        }
        Ok(Vec::new())
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}
