//! Trades of the past, page by page.

use crate::emit::event;
use crate::listing::fault;
use crate::{parse, time};
use model::{Body, Channel, Event, Trade, TradeId, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{History, Malformed, Past, Request};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How many trades of a pair one answer holds.
const PAGE: usize = 1_000;
/// How many trades of a contract one answer holds.
const CONTRACT_PAGE: usize = 100;
/// How many trades of a contract are gathered at most; the venue keeps seven days.
const GATHERED_MAX: usize = 1_000_000;
/// How far before its first trade a hole is looked for: times of trades are rounded.
const SLACK_NS: i64 = 1_000_000;

fn inside(past: &Past, id: u64, ts: Ts) -> bool {
    match past.ids {
        Some((first, last)) => (first..=last).contains(&id),
        None => ts >= past.from && ts < past.to,
    }
}

fn tell(past: &Past, trade: Trade, ts: Ts, now: Ts) -> Event {
    event(&past.instrument, Channel::Trades, Some(ts), now, Body::Trade(trade))
}

/// An answer with trades of a pair.
///
/// `{"error":[],"result":{"XXBTZUSD":[["64010.20000","0.00031000",1760000000.4410000,"b","l","",90000001]],"last":"1760000000441000000"}}`
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// Price, volume, time in seconds, side, kind of order, miscellaneous, id.
type Row<'a> = (
    Cow<'a, str>,
    Cow<'a, str>,
    &'a RawValue,
    Cow<'a, str>,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
    u64,
);

/// Trades of a pair, oldest first, each page from where the last one ended.
pub struct Pairs {
    past: Past,
    since: i64,
    reached: Ts,
    last_id: Option<u64>,
    over: bool,
}

impl Pairs {
    pub fn new(past: Past) -> Self {
        let over = past.from >= past.to && past.ids.is_none();
        let slack = if past.ids.is_some() { SLACK_NS } else { 1 };
        Self {
            since: past.from.0.saturating_sub(slack).max(0),
            reached: past.from,
            last_id: None,
            over,
            past,
        }
    }
}

impl History for Pairs {
    fn request(&mut self) -> Option<Request> {
        let pair = crate::names::rest_pair(&self.past.instrument.symbol);
        let path = format!("/0/public/Trades?pair={pair}&since={}&count={PAGE}", self.since);
        (!self.over).then_some(Request { endpoint: crate::SPOT, path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let page: Page<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        if !page.error.is_empty() {
            return Err(super::rule("the venue answered with an error"));
        }
        let (mut rows, mut last): (Vec<Row<'_>>, i64) = (Vec::new(), self.since);
        for (key, raw) in &page.result {
            if key == "last" {
                let text = raw.get().trim_matches('"');
                last = text.parse().map_err(|_| super::rule("`last` is a number of nanoseconds"))?;
            } else {
                rows = serde_json::from_str(raw.get()).map_err(|e| fault(raw.get().as_bytes(), &e))?;
            }
        }
        let (px_scale, qty_scale) = (self.past.instrument.px_scale, self.past.instrument.qty_scale);
        let (mut events, mut last_id, mut newest, mut beyond) =
            (Vec::new(), self.last_id, self.reached, false);
        for (price, amount, when, word, _, _, id) in &rows {
            let ts = time::seconds(when.get().as_bytes()).ok_or(super::rule("a trade has a time"))?;
            newest = newest.max(ts);
            beyond |= match self.past.ids {
                Some((_, wanted)) => *id >= wanted,
                None => ts >= self.past.to,
            };
            // Pages overlap where several trades have one time.
            if last_id.is_some_and(|last| *id <= last) || !inside(&self.past, *id, ts) {
                continue;
            }
            let trade = Trade {
                id: TradeId::Num(*id),
                px: parse::px(price.as_bytes(), px_scale, 0)?,
                qty: parse::qty(amount.as_bytes(), qty_scale, 0)?,
                aggressor: parse::side(word.as_bytes()),
                count: 1,
            };
            last_id = Some(*id);
            events.push(tell(&self.past, trade, ts, now));
        }
        let stuck = rows.len() < PAGE || last <= self.since;
        (self.last_id, self.since) = (last_id, last.max(self.since));
        self.over = beyond || stuck;
        self.reached = if self.over { self.past.to } else { newest };
        Ok(events)
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}

/// An answer with trades of a contract, the newest first.
///
/// `{"result":"success","history":[{"time":"2026-09-01T12:00:00.441Z","trade_id":653355,"price":64010,"size":0.5,"side":"buy","type":"fill","uid":"11111111-2222-4333-8444-555555555555"}],"serverTime":"2026-09-01T12:00:01.000Z"}`
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    history: Vec<Print<'a>>,
}

#[derive(Deserialize)]
struct Print<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    trade_id: u64,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    size: &'a RawValue,
    #[serde(borrow, default)]
    side: Cow<'a, str>,
}

/// Trades of a contract. The venue pages backwards, so all are gathered before the first is told.
pub struct Contracts {
    past: Past,
    /// The next page ends here.
    until: Ts,
    gathered: BTreeMap<u64, (Trade, Ts)>,
    reached: Ts,
    over: bool,
}

impl Contracts {
    pub fn new(past: Past) -> Self {
        // The last trade of a hole may have the time of the one after it.
        let until = past.to.plus_ms(u64::from(past.ids.is_some()) * 2);
        let over = past.from >= past.to && past.ids.is_none();
        Self { until, gathered: BTreeMap::new(), reached: past.from, over, past }
    }
}

impl History for Contracts {
    fn request(&mut self) -> Option<Request> {
        let symbol = &self.past.instrument.symbol;
        let until = time::write(self.until, 3);
        let path = format!("/derivatives/api/v3/history?symbol={symbol}&lastTime={until}");
        (!self.over).then_some(Request { endpoint: crate::FUTURES, path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        let (px_scale, qty_scale) = (self.past.instrument.px_scale, self.past.instrument.qty_scale);
        let (mut oldest, mut early) = (self.until, false);
        let mut found = Vec::with_capacity(answer.history.len());
        for print in &answer.history {
            let ts = time::rfc3339(print.time.as_bytes()).ok_or(super::rule("a trade has a time"))?;
            oldest = oldest.min(ts);
            early |= match self.past.ids {
                Some((first, _)) => print.trade_id <= first,
                None => ts < self.past.from,
            };
            if inside(&self.past, print.trade_id, ts) {
                let trade = Trade {
                    id: TradeId::Num(print.trade_id),
                    px: parse::px(print.price.get().as_bytes(), px_scale, 0)?,
                    qty: parse::qty(print.size.get().as_bytes(), qty_scale, 0)?,
                    aggressor: parse::side(print.side.as_bytes()),
                    count: 1,
                };
                found.push((print.trade_id, (trade, ts)));
            }
        }
        self.gathered.extend(found);
        // More than a page in one millisecond cannot be paged through.
        let next = if oldest < self.until { oldest } else { Ts(self.until.0 - 1_000_000) };
        self.until = next;
        let end = answer.history.len() < CONTRACT_PAGE || self.gathered.len() >= GATHERED_MAX;
        self.over = early || end;
        if !self.over {
            return Ok(Vec::new());
        }
        self.reached = self.past.to;
        let all = std::mem::take(&mut self.gathered);
        Ok(all.into_values().map(|(trade, ts)| tell(&self.past, trade, ts, now)).collect())
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}
