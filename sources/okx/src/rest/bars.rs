//! Bars of the past, in parts of time that one page holds.

use super::{ask, rows};
use crate::emit::event;
use crate::parse::Result;
use crate::rows::{self as channels, INTERVALS};
use model::{Bar, Body, Channel, Event, Ts};
use source::{History, Malformed, Past, Request, What};

/// How many bars a page holds.
const PAGE: i64 = 100;

/// The past of one lane.
pub(super) struct Bars {
    past: Past,
    /// The venue's name of the interval.
    word: &'static str,
    /// Its length in ms, at least.
    length: i64,
    /// The next bar starts here or later.
    next: Ts,
}

impl Bars {
    /// `None` where the venue has no such interval.
    pub fn new(past: Past) -> Option<Self> {
        let (_, word) = INTERVALS.iter().find(|(ours, _)| *ours == past.interval)?;
        let length = channels::length_ms(word)?;
        Some(Self { next: past.from.min(past.to), word, length, past })
    }

    fn until(&self) -> Ts {
        Ts::from_ms(self.next.as_ms().saturating_add(PAGE * self.length)).min(self.past.to)
    }
}

/// The first whole millisecond at or after this time.
fn ceil_ms(ts: Ts) -> i64 {
    ts.as_ms() + i64::from(ts.0.rem_euclid(1_000_000) != 0)
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        if self.next >= self.past.to {
            return None;
        }
        let (symbol, bar) = (&self.past.instrument.symbol, self.word);
        // Both bounds lie outside.
        let (before, after) = (ceil_ms(self.next) - 1, ceil_ms(self.until()));
        let query = format!("instId={symbol}&bar={bar}&before={before}&after={after}&limit={PAGE}");
        Some(ask(format!("/api/v5/market/history-candles?{query}"), 2))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (from, until) = (self.next, self.until());
        let mut all: Vec<Bar> = Vec::new();
        rows(body, |c| {
            all.push(channels::bar(c, &self.past.interval, &self.past.instrument)?);
            Ok(())
        })?;
        all.reverse();
        if !all.is_sorted_by(|a, b| a.start < b.start) {
            return Err(Malformed { at: 0, what: What::Rule("bars do not precede each other") });
        }
        all.retain(|bar| from <= bar.start && bar.start < until);
        self.next = until;
        let told = |bar| event(&self.past.instrument, Channel::Bars, None, now, Body::Bar(Box::new(bar)));
        Ok(all.into_iter().map(told).collect())
    }

    fn reached(&self) -> Ts {
        self.next
    }
}
