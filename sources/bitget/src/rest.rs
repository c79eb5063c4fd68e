//! What the venue answers by REST besides its listings: its clock, turnovers, and the past.
//!
//! Its books by REST carry no number of their state and cannot be held against the pushed ones.

use crate::emit::{Notes, Sink};
use crate::listing::{fault, parameter};
use crate::parse;
use crate::product::{PRODUCTS, Product};
use crate::rows::{self, INTERVALS};
use model::{Body, Channel, Decimal, Event, Instrument, TradeId, Ts};
use serde::Deserialize;
use source::{Action, Cursor, History, Malformed, Past, Request, Rest, Turnover, What, refit};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// How many trades an answer may hold.
const TRADES_MAX: usize = 1_000;
/// How much of the past of trades is asked for at once, in ms.
const TRADES_MS: u64 = 600_000;
/// How many bars an answer may hold.
const BARS_MAX: u64 = 200;
/// Months are shorter than the table says.
const SHORTEST_MONTH_MS: u64 = 28 * 86_400_000;

/// REST beside the sessions.
#[derive(Clone, Copy, Debug)]
pub struct BitgetRest;

#[derive(Deserialize)]
struct Answer<T> {
    code: String,
    data: Option<T>,
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Malformed> {
    let answer: Answer<T> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    let rule = |words| Malformed { at: 0, what: What::Rule(words) };
    if answer.code != "00000" {
        return Err(rule("the venue answered with an error"));
    }
    answer.data.ok_or_else(|| rule("an answer without data"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Time<'a> {
    #[serde(borrow)]
    server_time: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, default)]
    quote_volume: Option<Cow<'a, str>>,
}

impl Rest for BitgetRest {
    fn time(&self) -> Option<Request> {
        Some(Request { endpoint: 0, path: "/api/v2/public/time".to_owned(), weight: 1 })
    }

    fn read_time(&self, body: &[u8]) -> Result<Ts, Malformed> {
        let time: Time<'_> = read(body)?;
        let ms = time.server_time.parse();
        ms.map(Ts::from_ms).map_err(|_| Malformed { at: 0, what: What::Expected("milliseconds") })
    }

    fn turnovers(&self) -> Vec<Request> {
        let path = |p: &Product| {
            let whole = format!("{}/tickers", p.rest);
            if p.spot() { whole } else { format!("{whole}?productType={}", p.inst_type) }
        };
        PRODUCTS.iter().map(|p| Request { endpoint: 0, path: path(p), weight: 1 }).collect()
    }

    fn read_turnovers(&self, path: &str, body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        let [spot, ..] = &PRODUCTS;
        let product = Product::named(parameter(path, "productType")).unwrap_or(spot);
        let rows: Vec<Row<'_>> = read(body)?;
        let turnover = |row: &Row<'_>| {
            let turnover = Decimal::parse(row.quote_volume.as_deref()?.as_bytes()).ok()?;
            Some(Turnover { product: product.name, symbol: row.symbol.as_ref().into(), turnover })
        };
        Ok(rows.iter().filter_map(turnover).collect())
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let product = Product::named(&past.instrument.product)?;
        match past.channel {
            Channel::Trades => Some(Box::new(Trades::new(product, past))),
            Channel::Bars => {
                let row = INTERVALS.iter().find(|row| row.0 == past.interval)?;
                let word = if product.spot() { row.2 } else { row.1 };
                Some(Box::new(Bars { product, word, length_ms: row.3, at: past.from, past }))
            }
            _ => None,
        }
    }
}

/// Calls `rows` at the `data` of an answer.
fn data<'a>(
    body: &'a [u8],
    mut rows: impl FnMut(&mut Cursor<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let (mut fine, mut there) = (true, false);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"code" => fine &= c.str()? == b"00000",
            b"data" if c.null() => {}
            b"data" => {
                there = true;
                rows(c)?;
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    c.end()?;
    if fine && there { Ok(()) } else { Err(c.fault(What::Rule("the venue answered with an error"))) }
}

/// By which trades of one time are ordered, and older ones asked for.
fn number(id: &TradeId) -> Option<u64> {
    match id {
        TradeId::Num(number) => Some(*number),
        TradeId::Text(text) => text.parse().ok(),
    }
}

/// Trades, by windows of time from the oldest on. The venue lists a window newest first and a part of it at a time, so
/// a window is handed out when all of it was read.
struct Trades {
    product: &'static Product,
    past: Past,
    instrument: Arc<Instrument>,
    /// Where the window begins, and where it ends.
    window: (Ts, Ts),
    /// Of this window, by time and id.
    read: BTreeMap<(Ts, u64), Event>,
    /// The lowest id that was read of this window.
    lowest: Option<u64>,
}

impl Trades {
    fn new(product: &'static Product, past: Past) -> Self {
        let instrument = Arc::clone(&past.instrument);
        let window = (past.from, past.from);
        let mut trades = Self { product, past, instrument, window, read: BTreeMap::new(), lowest: None };
        trades.next_window();
        trades
    }

    fn next_window(&mut self) {
        let begin = self.window.1;
        self.window = (begin, begin.plus_ms(TRADES_MS).min(self.past.to));
        self.lowest = None;
    }

    /// The rows of an answer; a number that does not fit widens the definition.
    fn rows(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        loop {
            let (mut out, mut notes) = (Vec::new(), Notes::default());
            let mut sink = Sink { now, out: &mut out, notes: &mut notes };
            let nameless = |_| TradeId::Text("".into());
            match data(body, |c| parse::trades(c, &self.instrument, &mut sink, nameless)) {
                Ok(()) => {
                    let events = out.into_iter().filter_map(|a| match a {
                        Action::Emit(event) => Some(event),
                        _ => None,
                    });
                    return Ok(events.collect());
                }
                Err(fault) => self.instrument = refit(&self.instrument, &fault).ok_or(fault)?,
            }
        }
    }

    fn wanted(&self, ts: Ts, id: u64) -> bool {
        ts >= self.window.0 && ts < self.window.1 && self.past.ids.is_none_or(|(a, b)| a <= id && id <= b)
    }
}

impl History for Trades {
    fn request(&mut self) -> Option<Request> {
        if self.window.0 >= self.window.1 {
            return None;
        }
        let (symbol, rest) = (&self.past.instrument.symbol, self.product.rest);
        let (from, to) = (self.window.0.as_ms().saturating_sub(1), self.window.1.as_ms().saturating_add(1));
        let mut path =
            format!("{rest}/fills-history?symbol={symbol}&limit={TRADES_MAX}&startTime={from}&endTime={to}");
        if !self.product.spot() {
            path.push_str("&productType=");
            path.push_str(self.product.inst_type);
        }
        if let Some(lowest) = self.lowest {
            let _ = write!(path, "&idLessThan={lowest}");
        }
        Some(Request { endpoint: 0, path, weight: 2 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let events = self.rows(body, now)?;
        let (full, before) = (events.len() >= TRADES_MAX, self.lowest);
        for event in events {
            let Body::Trade(trade) = &event.body else { continue };
            let (Some(id), Some(ts)) = (number(&trade.id), event.stamp.ts_event) else {
                return Err(Malformed { at: 0, what: What::Missing("number and time of a trade") });
            };
            self.lowest = Some(self.lowest.map_or(id, |lowest| lowest.min(id)));
            if self.wanted(ts, id) {
                self.read.insert((ts, id), event);
            }
        }
        // The venue gave all that it will: fewer than it may, or nothing older.
        if full && self.lowest != before {
            return Ok(Vec::new());
        }
        self.next_window();
        Ok(std::mem::take(&mut self.read).into_values().collect())
    }

    fn reached(&self) -> Ts {
        self.window.0
    }
}

/// Bars, by windows of time from the oldest on.
struct Bars {
    product: &'static Product,
    word: &'static str,
    length_ms: u64,
    /// Everything before was handed out.
    at: Ts,
    past: Past,
}

impl Bars {
    fn end(&self) -> Ts {
        self.at.plus_ms((BARS_MAX - 1) * self.length_ms.min(SHORTEST_MONTH_MS)).min(self.past.to)
    }
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        if self.at >= self.past.to {
            return None;
        }
        let (symbol, rest, word) = (&self.past.instrument.symbol, self.product.rest, self.word);
        // The end of the window may or may not be counted in.
        let (from, to) = (self.at.as_ms(), self.end().as_ms().saturating_add(1));
        let mut path = format!(
            "{rest}/history-candles?symbol={symbol}&granularity={word}&endTime={to}&limit={BARS_MAX}"
        );
        if !self.product.spot() {
            let _ = write!(path, "&startTime={from}&productType={}", self.product.inst_type);
        }
        Some(Request { endpoint: 0, path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let (from, to) = (self.at, self.end());
        let mut all = BTreeMap::new();
        let (mut out, mut notes) = (Vec::new(), Notes::default());
        let mut sink = Sink { now, out: &mut out, notes: &mut notes };
        data(body, |c| {
            parse::each(c, |c| {
                let mut bar = rows::bar(c, &self.past.interval, &mut sink)?;
                bar.closed = bar.start.plus_ms(self.length_ms) <= now;
                if bar.start >= from && bar.start < to {
                    all.insert(bar.start, bar);
                }
                Ok(())
            })
        })?;
        self.at = to;
        let event = |bar: model::Bar| {
            let body = Body::Bar(Box::new(bar));
            crate::emit::event(&self.past.instrument, Channel::Bars, None, now, body)
        };
        Ok(all.into_values().map(event).collect())
    }

    fn reached(&self) -> Ts {
        self.at
    }
}
