//! Trades of the past: by windows of time, each page by page from its newest.

use super::{at_second, no_list, request, seconds};
use crate::emit::event;
use crate::parse::Result;
use crate::product::Product;
use crate::rows::Print;
use model::{Body, Channel, Event, Instrument, TradeId, Ts};
use source::{Cursor, History, Past, Request, refit};
use std::sync::Arc;

/// How many trades a page holds at most.
pub(super) const PAGE: usize = 1_000;
/// The length of a window in seconds.
const WINDOW_S: i64 = 600;
/// How often a definition may be widened for one page.
const WIDENED_MAX: u8 = 8;

/// The past of trades.
pub(super) struct Pages {
    product: Product,
    past: Past,
    /// The window at hand begins here, in seconds.
    next: i64,
    /// The first second that is not wanted.
    end: i64,
    page: usize,
    /// Trades of the window at hand, newest first.
    held: Vec<Event>,
    /// The definition that the numbers fit.
    instrument: Arc<Instrument>,
}

impl Pages {
    pub fn new(product: Product, past: Past) -> Self {
        // A trade of the last, broken second is wanted too.
        let (next, end) = (seconds(past.from), seconds(Ts(past.to.0.saturating_sub(1))).saturating_add(1));
        let instrument = Arc::clone(&past.instrument);
        Self { product, past, next, end, page: 0, held: Vec::new(), instrument }
    }

    /// The last second of the window at hand.
    fn last(&self) -> i64 {
        (self.next + WINDOW_S).min(self.end) - 1
    }

    fn read(&mut self, body: &[u8], now: Ts) -> Result<(usize, Vec<Event>)> {
        let (mut rows, mut all) = (0, Vec::new());
        let mut c = Cursor::new(body);
        if c.peek() != Some(b'[') {
            return Err(no_list());
        }
        c.array(|c| {
            let print = Print::read(c, |_| ())?;
            rows += 1;
            let Some(ts) = print.ts else { return Ok(()) };
            if print.internal || ts < self.past.from || ts >= self.past.to {
                return Ok(());
            }
            let trade = self.fit(&print)?;
            let wanted = match (&trade.id, self.past.ids) {
                (TradeId::Num(id), Some((from, to))) => (from..=to).contains(id),
                _ => true,
            };
            if wanted {
                all.push(event(&self.instrument, Channel::Trades, Some(ts), now, Body::Trade(trade)));
            }
            Ok(())
        })?;
        c.end()?;
        Ok((rows, all))
    }

    fn fit(&mut self, print: &Print<'_>) -> Result<model::Trade> {
        for _ in 0..WIDENED_MAX {
            match print.trade(&self.instrument) {
                Ok(trade) => return Ok(trade),
                Err(fault) => self.instrument = refit(&self.instrument, &fault).ok_or(fault)?,
            }
        }
        print.trade(&self.instrument)
    }
}

impl History for Pages {
    fn request(&mut self) -> Option<Request> {
        if self.next >= self.end {
            return None;
        }
        let (from, to) = (self.next, self.last());
        let (root, key, symbol) = (self.product.rest(), self.product.key(), &self.past.instrument.symbol);
        let place = match self.product {
            Product::Spot => format!("page={}", self.page + 1),
            Product::Usdt | Product::Btc | Product::Delivery => format!("offset={}", self.page * PAGE),
        };
        let path = format!("{root}/trades?{key}={symbol}&limit={PAGE}&from={from}&to={to}&{place}");
        Some(request(self.product, path))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (rows, mut all) = self.read(body, now)?;
        self.held.append(&mut all);
        if rows >= PAGE {
            self.page += 1;
            return Ok(Vec::new());
        }
        (self.page, self.next) = (0, self.last() + 1);
        let mut told = std::mem::take(&mut self.held);
        told.reverse();
        // Pages may shift while they are read, and trades of one moment come in any order.
        told.sort_by_key(|e| (e.stamp.ts_event, number(e)));
        told.dedup_by_key(|e| (e.stamp.ts_event, id(e)));
        Ok(told)
    }

    fn reached(&self) -> Ts {
        at_second(self.next).min(self.past.to).max(self.past.from)
    }
}

fn id(event: &Event) -> Option<TradeId> {
    match &event.body {
        Body::Trade(trade) => Some(trade.id.clone()),
        _ => None,
    }
}

fn number(event: &Event) -> Option<u64> {
    match &event.body {
        Body::Trade(trade) => match trade.id {
            TradeId::Num(id) => Some(id),
            TradeId::Text(_) => None,
        },
        _ => None,
    }
}
