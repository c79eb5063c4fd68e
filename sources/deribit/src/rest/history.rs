//! Trades and bars of the past, page by page.

use super::{request, result};
use crate::emit::{Notes, Sink, event};
use crate::parse::{Result, decimal};
use crate::rows::{Parts, measured};
use crate::subscribe::INTERVALS;
use crate::trades::{TradeRow, trade_row};
use model::{Body, Channel, Decimal, Event, Trade, TradeId, Ts};
use source::{Action, Cursor, History, Malformed, Past, Request, What, refit};
use std::sync::Arc;

/// How many trades a request is for, and an answer may hold.
const TRADES_MAX: u64 = 1_000;
/// How many bars a request is for.
const BARS_MAX: u64 = 1_000;
/// How often a definition may be widened for one answer.
const WIDENED_MAX: u32 = 8;

/// Where a reader of trades stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first number in the time is not known yet.
    Time,
    /// The next number.
    Seq(u64),
    /// All is read.
    End,
}

/// Trades: the first page by time, all others by number, so that none is left out where many have one time.
pub(super) struct Trades {
    past: Past,
    at: At,
    reached: Ts,
}

impl Trades {
    pub fn new(past: Past) -> Self {
        let at = past.ids.map_or(At::Time, |(first, _)| At::Seq(first));
        let at = if past.from >= past.to && past.ids.is_none() { At::End } else { at };
        Self { at, reached: past.from, past }
    }

    /// Where to go on after an answer whose highest number this is. `over` says that the time is passed, `more` that
    /// the venue left some out.
    fn next(&self, highest: Option<u64>, over: bool, more: bool) -> At {
        match (self.at, self.past.ids) {
            // A request for a thousand numbers is answered whole; what is not there is not kept.
            (At::Seq(first), Some((_, last))) => match window(first, Some(last)) {
                to if to >= last => At::End,
                to => At::Seq(to + 1),
            },
            (At::Time, _) if over || !more => At::End,
            (At::Time, _) => highest.map_or(At::End, |highest| At::Seq(highest.saturating_add(1))),
            (At::Seq(first), None) => match highest {
                Some(highest) if highest >= first && !over => At::Seq(highest.saturating_add(1)),
                _ => At::End,
            },
            (At::End, _) => At::End,
        }
    }
}

/// The last number of the request that begins at `first`.
fn window(first: u64, last: Option<u64>) -> u64 {
    let to = first.saturating_add(TRADES_MAX - 1);
    last.map_or(to, |last| to.min(last))
}

impl History for Trades {
    fn request(&mut self) -> Option<Request> {
        let name = &self.past.instrument.symbol;
        let path = match self.at {
            At::End => return None,
            At::Time => {
                // Milliseconds hold the time asked for and more; the rest is left out on reading.
                let (from, to) = (self.past.from.as_ms(), self.past.to.as_ms());
                format!(
                    "/api/v2/public/get_last_trades_by_instrument_and_time?instrument_name={name}&start_timestamp={from}&end_timestamp={to}&count={TRADES_MAX}&sorting=asc"
                )
            }
            At::Seq(first) => {
                let to = window(first, self.past.ids.map(|(_, last)| last));
                format!(
                    "/api/v2/public/get_last_trades_by_instrument?instrument_name={name}&start_seq={first}&end_seq={to}&count={TRADES_MAX}&sorting=asc"
                )
            }
        };
        Some(request(path))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let mut instrument = Arc::clone(&self.past.instrument);
        let mut widened = 0;
        let (rows, more) = loop {
            match page(body, &instrument) {
                Ok(page) => break page,
                Err(fault) => {
                    instrument = refit(&instrument, &fault).filter(|_| widened < WIDENED_MAX).ok_or(fault)?;
                    widened += 1;
                }
            }
        };
        let mut events = Vec::with_capacity(rows.len() + 1);
        if widened > 0 {
            self.past.instrument = Arc::clone(&instrument);
        }
        let (mut highest, mut over) = (None, false);
        for row in rows {
            let wanted = match (self.past.ids, row.ts) {
                (Some((first, last)), _) => (first..=last).contains(&row.seq),
                (None, Some(ts)) => {
                    over |= ts >= self.past.to;
                    ts >= self.past.from && ts < self.past.to
                }
                (None, None) => return Err(fault(What::Missing("timestamp"))),
            };
            let news = highest.is_none_or(|highest| row.seq > highest);
            highest = highest.max(Some(row.seq));
            let told = matches!(self.at, At::Seq(first) if row.seq < first);
            if wanted && news && !told {
                let TradeRow { seq, px, qty, aggressor, ts, .. } = row;
                let trade = Trade { id: TradeId::Num(seq), px, qty, aggressor, count: 1 };
                events.push(event(&instrument, Channel::Trades, ts, now, Body::Trade(trade)));
                self.reached = self.reached.max(ts.unwrap_or(self.reached));
            }
        }
        self.at = self.next(highest, over, more);
        if self.at == At::End {
            self.reached = self.reached.max(self.past.to);
        }
        Ok(events)
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}

fn fault(what: What) -> Malformed {
    Malformed { at: 0, what }
}

/// The trades of an answer by number, and whether there are more in what was asked.
///
/// `{"trades":[…],"has_more":false}`
fn page(body: &[u8], instrument: &Arc<model::Instrument>) -> Result<(Vec<TradeRow>, bool)> {
    let (mut rows, mut more) = (Vec::new(), false);
    let (mut notes, mut out): (_, Vec<Action>) = (Notes::default(), Vec::new());
    result(body, |c| {
        c.object(|c, key| {
            match key {
                b"trades" => c.array(|c| {
                    let mut sink = Sink { now: Ts::default(), out: &mut out, notes: &mut notes };
                    rows.push(trade_row(c, instrument, &mut sink)?);
                    Ok(())
                })?,
                b"has_more" => more = c.bool()?,
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })
    })?;
    rows.sort_by_key(|row| row.seq);
    Ok((rows, more))
}

/// Bars.
pub(super) struct Bars {
    past: Past,
    resolution: &'static str,
    length_ms: u64,
    /// The start of the next bar.
    at: Ts,
}

impl Bars {
    /// `None` where the venue has no such interval.
    pub fn new(past: Past) -> Option<Self> {
        let (_, resolution, length_ms) = *INTERVALS.iter().find(|row| row.0 == past.interval)?;
        let at = past.from;
        Some(Self { past, resolution, length_ms, at })
    }

    /// The end of what is asked for at once, which does not belong to it.
    fn until(&self) -> Ts {
        self.at.plus_ms(BARS_MAX * self.length_ms).min(self.past.to)
    }
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        if self.at >= self.past.to {
            return None;
        }
        let (name, resolution) = (&self.past.instrument.symbol, self.resolution);
        let (from, to) = (self.at.as_ms(), self.until().as_ms());
        Some(request(format!(
            "/api/v2/public/get_tradingview_chart_data?instrument_name={name}&start_timestamp={from}&end_timestamp={to}&resolution={resolution}"
        )))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let until = self.until();
        let mut events = Vec::new();
        for (start, prices, volume, cost) in columns(body)? {
            if start < self.at || start >= until {
                continue;
            }
            let parts = Parts { interval: &self.past.interval, start, prices, volume, cost };
            let mut bar = measured(&self.past.instrument, parts);
            bar.closed = start.plus_ms(self.length_ms) <= now;
            let body = Body::Bar(Box::new(bar));
            events.push(event(&self.past.instrument, Channel::Bars, None, now, body));
        }
        self.at = until;
        Ok(events)
    }

    fn reached(&self) -> Ts {
        self.at
    }
}

/// Start, prices, volume and cost.
type Column = (Ts, [Decimal; 4], Decimal, Option<Decimal>);

/// `{"status":"ok","ticks":[1759999980000],"open":[64000.0],"high":[64012.0],"low":[63999.0],"close":[64010.5],"volume":[1.25],"cost":[80000.0]}`
fn columns(body: &[u8]) -> Result<Vec<Column>> {
    let mut ticks: Vec<Ts> = Vec::new();
    let mut all: [Vec<Decimal>; 6] = Default::default();
    result(body, |c| {
        c.object(|c, key| {
            let [open, high, low, close, volume, cost] = &mut all;
            let column = match key {
                b"ticks" => {
                    return c.array(|c| {
                        ticks.push(Ts::from_ms(c.i64()?));
                        Ok(())
                    });
                }
                b"open" => open,
                b"high" => high,
                b"low" => low,
                b"close" => close,
                b"volume" => volume,
                b"cost" => cost,
                _ => return c.skip().map(|_| ()),
            };
            c.array(|c| {
                column.push(number(c)?);
                Ok(())
            })
        })
    })?;
    let [open, high, low, close, volume, cost] = all;
    let same = [&open, &high, &low, &close, &volume].iter().all(|column| column.len() == ticks.len());
    if !same || !(cost.is_empty() || cost.len() == ticks.len()) {
        return Err(fault(What::Rule("columns of bars are of one length")));
    }
    let mut rows: Vec<Column> = Vec::with_capacity(ticks.len());
    let prices = open.into_iter().zip(high).zip(low).zip(close);
    let costs = cost.into_iter().map(Some).chain(std::iter::repeat(None));
    for (((start, (((open, high), low), close)), volume), cost) in
        ticks.into_iter().zip(prices).zip(volume).zip(costs)
    {
        rows.push((start, [open, high, low, close], volume, cost));
    }
    rows.sort_by_key(|row| row.0);
    rows.dedup_by_key(|row| row.0);
    Ok(rows)
}

fn number(c: &mut Cursor<'_>) -> Result<Decimal> {
    decimal(c)?.ok_or_else(|| c.fault(What::Missing("a number")))
}
