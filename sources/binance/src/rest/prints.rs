//! Trades of the past. Both kinds page by id; where a part of time is asked for, the id with which it begins is found by
//! the merged prints, which can be asked for by time and name the single ones that they cover.

use crate::odd::Odd;
use crate::parse::{self, Result, missing};
use crate::product::Product;
use crate::table::event;
use model::{Body, Channel, Event, Instrument, Side, Trade, TradeId, Ts};
use source::{Cursor, History, Malformed, Past, Request, What, refit};
use std::sync::Arc;

/// How many rows a page holds.
const PAGE: usize = 1_000;
/// The longest part of time that merged prints are asked for by, in ms; the venue takes an hour.
const SPAN_MS: i64 = 3_599_000;

/// What is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The first print at this time or after it.
    Find(i64),
    /// The newest single prints, which need no key.
    Newest,
    /// From this id on.
    From(u64),
    Done,
}

/// The past of one lane.
pub(super) struct Prints {
    product: &'static Product,
    past: Past,
    merged: bool,
    next: Next,
    /// The newest that was handed out or waits.
    last: Option<u64>,
    /// Those of the newest millisecond, which may go on with the next page.
    waiting: Vec<Event>,
    reached: Ts,
}

/// A row of an answer.
struct Row {
    id: u64,
    /// The first single print that a merged one covers.
    first: u64,
    ts: Ts,
    trade: Trade,
}

impl Prints {
    /// Of merged prints.
    pub fn merged(product: &'static Product, past: Past) -> Self {
        let next = match past.ids {
            Some((first, _)) => Next::From(first),
            None => Next::Find(past.from.as_ms()),
        };
        Self::new(product, past, true, next)
    }

    /// Of single prints.
    pub fn single(product: &'static Product, past: Past) -> Self {
        Self::new(product, past, false, Next::Newest)
    }

    fn new(product: &'static Product, past: Past, merged: bool, next: Next) -> Self {
        let next = if past.from >= past.to && past.ids.is_none() { Next::Done } else { next };
        Self { reached: past.from, product, past, merged, next, last: None, waiting: Vec::new() }
    }

    fn fits(&self, row: &Row) -> bool {
        match self.past.ids {
            Some((first, last)) => (first..=last).contains(&row.id),
            None => self.past.from <= row.ts && row.ts < self.past.to,
        }
    }

    /// Whether nothing behind this row can be in the part.
    fn is_past(&self, row: &Row) -> bool {
        match self.past.ids {
            Some((_, last)) => row.id >= last,
            None => row.ts >= self.past.to,
        }
    }

    /// Whether nothing before this row can be in the part.
    fn is_before(&self, row: &Row) -> bool {
        match self.past.ids {
            Some((first, _)) => row.id <= first,
            None => row.ts < self.past.from,
        }
    }

    fn until(&self, from: i64) -> i64 {
        (from + SPAN_MS).min(self.past.to.as_ms() + i64::from(self.past.to.0 % 1_000_000 != 0))
    }

    /// The first print of a part of time was looked for.
    fn found(&mut self, from: i64, rows: &[Row]) {
        let until = self.until(from);
        self.next = match rows.first() {
            Some(row) => Next::From(if self.merged { row.id } else { row.first }),
            None if until >= self.past.to.as_ms() => Next::Done,
            None => Next::Find(until),
        };
        if rows.is_empty() {
            self.reached = Ts::from_ms(until).min(self.past.to).max(self.reached);
        }
    }

    /// Hands out what is certain, and decides what is asked next.
    fn page(&mut self, rows: Vec<Row>, instrument: &Arc<Instrument>, now: Ts) -> Vec<Event> {
        let over = rows.len() < PAGE || rows.last().is_some_and(|row| self.is_past(row));
        let channel = if self.merged { Channel::AggTrades } else { Channel::Trades };
        let mut out = std::mem::take(&mut self.waiting);
        let newest = rows.last().map(|row| (row.id, row.ts));
        for row in rows {
            if self.fits(&row) && self.last.is_none_or(|last| row.id > last) {
                self.last = Some(row.id);
                out.push(event(instrument, channel, Some(row.ts), now, Body::Trade(row.trade)));
            }
        }
        if let Some((id, ts)) = newest.filter(|_| !over) {
            self.next = Next::From(id + 1);
            let certain = out.partition_point(|event| event.stamp.ts_event < Some(ts));
            self.waiting = out.split_off(certain);
            self.reached = ts.max(self.reached);
        } else {
            self.next = Next::Done;
            self.reached = self.past.to;
        }
        out
    }

    /// Reads a page; the definition widens where a number does not fit.
    fn rows(&self, body: &[u8], merged: bool) -> Result<(Vec<Row>, Arc<Instrument>)> {
        let mut instrument = Arc::clone(&self.past.instrument);
        loop {
            let mut c = Cursor::new(body);
            let (mut rows, mut odd) = (Vec::new(), Odd::default());
            let read = c.array(|c| {
                rows.push(if merged { covering(c, &instrument, &mut odd)? } else { single(c, &instrument)? });
                Ok(())
            });
            match read.and_then(|()| c.end()) {
                Ok(()) if rows.is_sorted_by(|a, b| a.id < b.id) => return Ok((rows, instrument)),
                Ok(()) => return Err(Malformed { at: 0, what: What::Rule("ids do not grow") }),
                Err(fault) => instrument = refit(&instrument, &fault).ok_or(fault)?,
            }
        }
    }
}

impl History for Prints {
    fn request(&mut self) -> Option<Request> {
        let Product { rest, futures, endpoint, .. } = *self.product;
        let symbol = crate::listing::encoded(&self.past.instrument.symbol);
        let merged_weight = if futures { 20 } else { 4 };
        let (query, weight) = match self.next {
            Next::Done => return None,
            Next::Find(from) => {
                let until = self.until(from) - 1;
                let limit = if self.merged { PAGE } else { 1 };
                (
                    format!("aggTrades?symbol={symbol}&startTime={from}&endTime={until}&limit={limit}"),
                    merged_weight,
                )
            }
            Next::Newest => (format!("trades?symbol={symbol}&limit={PAGE}"), if futures { 5 } else { 25 }),
            Next::From(id) if self.merged => {
                (format!("aggTrades?symbol={symbol}&fromId={id}&limit={PAGE}"), merged_weight)
            }
            Next::From(id) => {
                let path = format!("historicalTrades?symbol={symbol}&fromId={id}&limit={PAGE}");
                (path, if futures { 20 } else { 25 })
            }
        };
        Some(Request { endpoint, path: format!("{rest}/{query}"), weight })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let finding = matches!(self.next, Next::Find(_));
        let (rows, instrument) = self.rows(body, self.merged || finding)?;
        match self.next {
            Next::Done => Ok(Vec::new()),
            // Merged prints that were asked for by time are a page already.
            Next::Find(from) if self.merged && !rows.is_empty() => {
                let full = rows.len() >= PAGE;
                let until = self.until(from);
                let events = self.page(rows, &instrument, now);
                if !full && until < self.past.to.as_ms() {
                    self.next = Next::Find(until);
                    self.reached = Ts::from_ms(until);
                }
                Ok(events)
            }
            Next::Find(from) => {
                self.found(from, &rows);
                Ok(Vec::new())
            }
            // The newest are enough where they begin before the part, or are all that there are.
            Next::Newest if rows.len() < PAGE || rows.first().is_some_and(|row| self.is_before(row)) => {
                let events = self.page(rows, &instrument, now);
                (self.next, self.reached) = (Next::Done, self.past.to);
                Ok([events, std::mem::take(&mut self.waiting)].concat())
            }
            Next::Newest => {
                self.next = match self.past.ids {
                    Some((first, _)) => Next::From(first),
                    None => Next::Find(self.past.from.as_ms()),
                };
                Ok(Vec::new())
            }
            Next::From(_) => {
                let events = self.page(rows, &instrument, now);
                self.past.instrument = instrument;
                Ok(events)
            }
        }
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}

/// `{"a":9001,"p":"64000.10","q":"0.25000000","f":50001,"l":50003,"T":1760000000121,"m":false,"M":true}`
fn covering(c: &mut Cursor<'_>, instrument: &Instrument, odd: &mut Odd) -> Result<Row> {
    let mut look = c.clone();
    let (seen, trade) = parse::agg_trade(c, instrument, odd)?;
    let mut first = 0;
    look.object(|c, key| {
        match key {
            b"f" => first = c.i64()?.max(0) as u64,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    let TradeId::Num(id) = trade.id else { return Err(missing("a")) };
    Ok(Row { id, first, ts: seen.ts.ok_or(missing("T"))?, trade })
}

/// `{"id":50001,"price":"64000.10","qty":"0.10000000","quoteQty":"6400.01","time":1760000000121,"isBuyerMaker":true}`
fn single(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<Row> {
    let (mut id, mut px, mut qty, mut ts, mut made) = (None, None, None, None, None);
    c.object(|c, key| {
        match key {
            b"id" => id = Some(c.u64()?),
            b"price" => px = Some(c.px(instrument.px_scale)?),
            b"qty" => qty = Some(c.qty(instrument.qty_scale)?),
            b"time" => ts = Some(c.i64()?),
            b"isBuyerMaker" => made = Some(c.bool()?),
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    let id = id.ok_or(missing("id"))?;
    let trade = Trade {
        id: TradeId::Num(id),
        px: px.ok_or(missing("price"))?,
        qty: qty.ok_or(missing("qty"))?,
        aggressor: made.map(|made| if made { Side::Ask } else { Side::Bid }),
        count: 1,
    };
    Ok(Row { id, first: id, ts: Ts::from_ms(ts.ok_or(missing("time"))?), trade })
}
