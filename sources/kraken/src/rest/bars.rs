//! Bars of the past.

use crate::emit::event;
use crate::listing::{decimal, fault};
use crate::rows;
use crate::subscribe::{RESOLUTIONS, resolution};
use model::{Bar, Body, Channel, Decimal, Event, Ts};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{History, Malformed, Past, Request};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How many intervals of a contract are asked for at once.
const PAGE: i64 = 1_500;

/// Where the bars of a contract are; times in seconds, both included.
pub fn candles_path(symbol: &str, resolution: &str, from: i64, to: i64) -> String {
    format!("/api/charts/v1/trade/{symbol}/{resolution}?from={from}&to={to}")
}

/// `{"candles":[{"time":1760000000000,"open":"64000","high":"64012","low":"63999","close":"64010","volume":"3.06"}],"more_candles":false}`
#[derive(Deserialize)]
struct Candles<'a> {
    #[serde(borrow)]
    candles: Vec<Candle<'a>>,
    #[serde(default)]
    more_candles: bool,
}

#[derive(Deserialize)]
struct Candle<'a> {
    /// Start of the interval, ms.
    time: i64,
    #[serde(borrow)]
    open: &'a RawValue,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

fn number(raw: &RawValue) -> Result<Decimal, Malformed> {
    decimal(Some(raw)).ok_or(super::rule("a bar has numbers"))
}

/// Reads bars of a contract of so many minutes, oldest first, and whether there are more.
pub fn candles(body: &[u8], minutes: u64, now: Ts) -> Result<(Vec<Bar>, bool), Malformed> {
    let answer: Candles<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
    let name = resolution(minutes).ok_or(super::rule("the venue has no such interval"))?;
    let mut bars = Vec::with_capacity(answer.candles.len());
    for candle in &answer.candles {
        let start = Ts::from_ms(candle.time);
        bars.push(Bar {
            interval: name.into(),
            start,
            open: number(candle.open)?,
            high: number(candle.high)?,
            low: number(candle.low)?,
            close: number(candle.close)?,
            volume: number(candle.volume)?,
            turnover: None,
            trades: None,
            closed: start.plus_ms(minutes * 60_000) <= now,
        });
    }
    bars.sort_by_key(|bar| bar.start);
    Ok((bars, answer.more_candles))
}

fn tell(past: &Past, bars: Vec<Bar>, now: Ts, after: Option<Ts>) -> Vec<Event> {
    let wanted = |bar: &Bar| bar.start >= past.from && bar.start < past.to && Some(bar.start) > after;
    let event = |bar: Bar| event(&past.instrument, Channel::Bars, None, now, Body::Bar(Box::new(bar)));
    bars.into_iter().filter(wanted).map(event).collect()
}

/// Bars of a contract.
pub struct Contracts {
    past: Past,
    minutes: u64,
    /// The next page begins here.
    from: Ts,
    last: Option<Ts>,
}

impl Contracts {
    /// `None` where the venue has no such interval.
    pub fn new(past: Past) -> Option<Self> {
        let (minutes, _) = RESOLUTIONS.iter().find(|(_, word)| *word == past.interval)?;
        Some(Self { from: past.from, minutes: *minutes, last: None, past })
    }

    fn page_end(&self) -> Ts {
        let length = i64::try_from(self.minutes * 60_000_000_000).unwrap_or(i64::MAX);
        Ts(self.from.0.saturating_add(length.saturating_mul(PAGE))).min(self.past.to)
    }
}

impl History for Contracts {
    fn request(&mut self) -> Option<Request> {
        if self.from >= self.past.to {
            return None;
        }
        let word = resolution(self.minutes)?;
        let seconds = |ts: Ts| ts.0.div_euclid(1_000_000_000);
        let path =
            candles_path(&self.past.instrument.symbol, word, seconds(self.from), seconds(self.page_end()));
        Some(Request { endpoint: crate::FUTURES, path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let (bars, more) = candles(body, self.minutes, now)?;
        let newest = bars.last().map(|bar| bar.start);
        let events = tell(&self.past, bars, now, self.last);
        self.last = self.last.max(newest);
        self.from = match newest {
            // More than the venue gives at once: go on after the last one.
            Some(newest) if more && newest >= self.from => newest.plus_ms(self.minutes * 60_000),
            _ => self.page_end(),
        };
        Ok(events)
    }

    fn reached(&self) -> Ts {
        self.from.min(self.past.to)
    }
}

/// An answer with bars of a pair: time in seconds, open, high, low, close, mean, volume, count.
///
/// `{"error":[],"result":{"XXBTZUSD":[[1760000000,"64000.0","64012.0","63999.0","64010.2","64006.1","3.06",12]],"last":1759999940}}`
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    error: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

type Row<'a> =
    (i64, &'a RawValue, &'a RawValue, &'a RawValue, &'a RawValue, serde::de::IgnoredAny, &'a RawValue, u64);

/// Bars of a pair. The venue keeps the last 720 of each interval and gives them in one answer.
pub struct Pairs {
    past: Past,
    minutes: u64,
    over: bool,
}

impl Pairs {
    /// `None` where the venue has no such interval.
    pub fn new(past: Past) -> Option<Self> {
        Some(Self { minutes: rows::minutes(&past.interval)?, over: past.from >= past.to, past })
    }
}

impl History for Pairs {
    fn request(&mut self) -> Option<Request> {
        let pair = crate::names::rest_pair(&self.past.instrument.symbol);
        // The venue tells what is later than this.
        let since = self.past.from.0.div_euclid(1_000_000_000) - 1;
        let path = format!("/0/public/OHLC?pair={pair}&interval={}&since={since}", self.minutes);
        (!self.over).then_some(Request { endpoint: crate::SPOT, path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let page: Page<'_> = serde_json::from_slice(body).map_err(|e| fault(body, &e))?;
        if !page.error.is_empty() {
            return Err(super::rule("the venue answered with an error"));
        }
        let mut bars = Vec::new();
        for (_, raw) in page.result.iter().filter(|(key, _)| *key != "last") {
            let rows: Vec<Row<'_>> =
                serde_json::from_str(raw.get()).map_err(|e| fault(raw.get().as_bytes(), &e))?;
            for (seconds, open, high, low, close, _, volume, trades) in rows {
                let start = Ts::from_ms(seconds.saturating_mul(1_000));
                bars.push(Bar {
                    interval: self.past.interval.as_str().into(),
                    start,
                    open: number(open)?,
                    high: number(high)?,
                    low: number(low)?,
                    close: number(close)?,
                    volume: number(volume)?,
                    turnover: None,
                    trades: Some(trades),
                    closed: start.plus_ms(self.minutes * 60_000) <= now,
                });
            }
        }
        bars.sort_by_key(|bar| bar.start);
        self.over = true;
        Ok(tell(&self.past, bars, now, None))
    }

    fn reached(&self) -> Ts {
        if self.over { self.past.to } else { self.past.from }
    }
}
