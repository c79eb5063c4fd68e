//! Trades of the past, one row a fill. The venue pages backwards; as its ids count by one, each page is asked for between
//! two ids, so that the oldest come first.

use super::{ask, rows};
use crate::emit::event;
use crate::parse::{self, Result};
use model::{Body, Channel, Event, Instrument, Side, Trade, TradeId, Ts};
use source::{Cursor, History, Malformed, Past, Request, What, refit};
use std::sync::Arc;

/// How many rows a page holds.
const PAGE: u64 = 100;

/// What is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The newest before the end of the part.
    Last,
    /// The newest before its beginning; up to this id is to be read.
    Before(u64),
    /// None lies before the beginning: those older than the first id, to find the oldest there is; and the newest id.
    Oldest(u64, u64),
    /// From the first id up to the second.
    From(u64, u64),
    Done,
}

struct Row {
    id: u64,
    ts: Ts,
    trade: Trade,
}

/// The past of one lane.
pub(super) struct Prints {
    past: Past,
    next: Next,
    /// Those of the newest millisecond, which may go on with the next page.
    waiting: Vec<Event>,
    reached: Ts,
}

/// The first whole millisecond at or after this time.
fn ceil_ms(ts: Ts) -> i64 {
    ts.as_ms() + i64::from(ts.0.rem_euclid(1_000_000) != 0)
}

impl Prints {
    pub fn new(past: Past) -> Self {
        let next = match past.ids {
            Some((first, last)) if first <= last => Next::From(first, last),
            None if past.from < past.to => Next::Last,
            _ => Next::Done,
        };
        Self { reached: past.from, past, next, waiting: Vec::new() }
    }

    fn fits(&self, row: &Row) -> bool {
        match self.past.ids {
            Some((first, last)) => (first..=last).contains(&row.id),
            None => self.past.from <= row.ts && row.ts < self.past.to,
        }
    }

    /// All is handed out.
    fn end(&mut self) {
        self.next = Next::Done;
        self.reached = self.past.to;
    }

    /// Hands out what is certain of a page, and decides what is asked next.
    fn page(
        &mut self,
        from: u64,
        last: u64,
        rows: Vec<Row>,
        instrument: &Arc<Instrument>,
        now: Ts,
    ) -> Vec<Event> {
        let newest = rows.last().map(|row| row.ts);
        let mut out = std::mem::take(&mut self.waiting);
        for row in rows {
            if self.fits(&row) {
                out.push(event(instrument, Channel::Trades, Some(row.ts), now, Body::Trade(row.trade)));
            }
        }
        let next = from.saturating_add(PAGE);
        if next > last {
            self.end();
            return out;
        }
        self.next = Next::From(next, last);
        if let Some(ts) = newest {
            let certain = out.partition_point(|event| event.stamp.ts_event < Some(ts));
            self.waiting = out.split_off(certain);
            self.reached = ts.max(self.reached);
        }
        out
    }

    /// Reads a page, oldest first; the definition widens where a number does not fit.
    fn rows(&self, body: &[u8]) -> Result<(Vec<Row>, Arc<Instrument>)> {
        let mut instrument = Arc::clone(&self.past.instrument);
        loop {
            let mut all = Vec::new();
            let read = rows(body, |c| {
                all.push(row(c, &instrument)?);
                Ok(())
            });
            match read {
                Ok(()) => {
                    all.reverse();
                    if !all.is_sorted_by(|a, b| a.id < b.id) {
                        return Err(Malformed { at: 0, what: What::Rule("ids do not fall") });
                    }
                    return Ok((all, instrument));
                }
                Err(fault) => instrument = refit(&instrument, &fault).ok_or(fault)?,
            }
        }
    }
}

impl History for Prints {
    fn request(&mut self) -> Option<Request> {
        let symbol = &self.past.instrument.symbol;
        let query = match self.next {
            Next::Done => return None,
            Next::Last => format!("type=2&after={}&limit=1", ceil_ms(self.past.to)),
            Next::Before(_) => format!("type=2&after={}&limit=1", ceil_ms(self.past.from)),
            Next::Oldest(first, _) => format!("type=1&after={first}&limit={PAGE}"),
            Next::From(from, last) => {
                let end = from.saturating_add(PAGE).min(last.saturating_add(1));
                // Both bounds lie outside.
                let before = i128::from(from) - 1;
                format!("type=1&before={before}&after={end}&limit={PAGE}")
            }
        };
        Some(ask(format!("/api/v5/market/history-trades?instId={symbol}&{query}"), 2))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (rows, instrument) = self.rows(body)?;
        let (first, newest) = (rows.first().map(|row| row.id), rows.last());
        match self.next {
            Next::Done => {}
            Next::Last => match newest.filter(|row| row.ts >= self.past.from) {
                Some(row) => self.next = Next::Before(row.id),
                None => self.end(),
            },
            Next::Before(last) => {
                self.next = match newest {
                    Some(row) => Next::From(row.id + 1, last),
                    None => Next::Oldest(last + 1, last),
                };
            }
            Next::Oldest(known, last) => {
                self.next = match first {
                    Some(first) if first < known && rows.len() as u64 == PAGE => Next::Oldest(first, last),
                    first => Next::From(first.unwrap_or(known).min(known), last),
                };
            }
            Next::From(from, last) => return Ok(self.page(from, last, rows, &instrument, now)),
        }
        Ok(Vec::new())
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}

/// `{"instId":"BTC-USDT","side":"sell","sz":"0.00001","px":"29963.2","source":"0","tradeId":"242720720","ts":"1654161646974"}`
fn row(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<Row> {
    let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
    c.object(|c, key| {
        match key {
            b"tradeId" => id = Some(c.trade_id()?),
            b"px" => px = Some(c.px(instrument.px_scale)?),
            b"sz" => qty = Some(c.qty(instrument.qty_scale)?),
            b"side" => {
                aggressor = match c.str()? {
                    b"buy" => Some(Side::Bid),
                    b"sell" => Some(Side::Ask),
                    _ => None,
                }
            }
            b"ts" => ts = parse::ms(c)?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let Some(TradeId::Num(id)) = id else { return Err(missing("tradeId")) };
    let trade = Trade {
        id: TradeId::Num(id),
        px: px.ok_or_else(|| missing("px"))?,
        qty: qty.ok_or_else(|| missing("sz"))?,
        aggressor,
        count: 1,
    };
    Ok(Row { id, ts: ts.ok_or_else(|| missing("ts"))?, trade })
}
