//! Bars of the past, by time.

use crate::parse::{Result, missing};
use crate::product::Product;
use crate::table::event;
use model::{Bar, Body, Channel, Decimal, Event, Ts};
use source::{Cursor, History, Malformed, Past, Request, What};

/// How many bars a page holds.
const PAGE: usize = 1_000;

/// The past of one lane.
pub(super) struct Bars {
    product: &'static Product,
    past: Past,
    /// The next bar starts here or later.
    next: Ts,
    done: bool,
}

impl Bars {
    pub fn new(product: &'static Product, past: Past) -> Self {
        Self { next: past.from, done: past.from >= past.to, product, past }
    }
}

/// The first whole millisecond at or after this time.
fn ceil_ms(ts: Ts) -> i64 {
    ts.as_ms() + i64::from(ts.0.rem_euclid(1_000_000) != 0)
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        if self.done {
            return None;
        }
        let Product { rest, futures, endpoint, .. } = *self.product;
        let symbol = crate::listing::encoded(&self.past.instrument.symbol);
        let (from, to) = (ceil_ms(self.next), ceil_ms(self.past.to) - 1);
        let interval = &self.past.interval;
        let path = format!(
            "{rest}/klines?symbol={symbol}&interval={interval}&startTime={from}&endTime={to}&limit={PAGE}"
        );
        Some(Request { endpoint, path, weight: if futures { 5 } else { 2 } })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let mut c = Cursor::new(body);
        let mut all: Vec<(Bar, Ts)> = Vec::new();
        c.array(|c| {
            all.push(bar(c, self.product, &self.past.interval, now)?);
            Ok(())
        })?;
        c.end()?;
        if !all.is_sorted_by(|(a, _), (b, _)| a.start < b.start) {
            return Err(Malformed { at: 0, what: What::Rule("bars do not follow each other") });
        }
        self.done = all.len() < PAGE;
        let (next, to) = (self.next, self.past.to);
        if let Some((last, _)) = all.last() {
            self.next = Ts::from_ms(last.start.as_ms() + 1);
            self.done |= self.next >= to;
        }
        if self.done {
            self.next = to;
        }
        let within = all.into_iter().filter(|(bar, _)| next <= bar.start && bar.start < to);
        let event = |(bar, end)| {
            event(&self.past.instrument, Channel::Bars, Some(end), now, Body::Bar(Box::new(bar)))
        };
        Ok(within.map(event).collect())
    }

    fn reached(&self) -> Ts {
        self.next
    }
}

/// `[1759999980000,"64000.00","64010.00","63990.00","64000.10","12.5",1760000039999,"800000.0",90,"6.1","390000.0","0"]`;
/// the bar, and when it ends.
fn bar(c: &mut Cursor<'_>, product: &Product, interval: &str, now: Ts) -> Result<(Bar, Ts)> {
    let (mut start, mut end, mut trades, mut at) = (None, None, None, 0_usize);
    let mut numbers = [None::<Decimal>; 6];
    c.array(|c| {
        let mut number = |slot: usize, c: &mut Cursor<'_>| -> Result<()> {
            let value = c.decimal_opt()?;
            if let Some(place) = numbers.get_mut(slot) {
                *place = value;
            }
            Ok(())
        };
        match at {
            0 => start = Some(Ts::from_ms(c.i64()?)),
            1..=5 => number(at - 1, c)?,
            6 => end = Some(Ts::from_ms(c.i64()?)),
            7 => number(5, c)?,
            8 => trades = Some(c.u64()?),
            _ => _ = c.skip()?,
        }
        at += 1;
        Ok(())
    })?;
    let [open, high, low, close, volume, turnover] = numbers;
    let end = end.ok_or(missing("the end of a bar"))?;
    let bar = Bar {
        interval: interval.into(),
        start: start.ok_or(missing("the start of a bar"))?,
        open: open.ok_or(missing("the open of a bar"))?,
        high: high.ok_or(missing("the high of a bar"))?,
        low: low.ok_or(missing("the low of a bar"))?,
        close: close.ok_or(missing("the close of a bar"))?,
        volume: volume.ok_or(missing("the volume of a bar"))?,
        turnover: turnover.filter(|_| !product.inverse),
        trades,
        closed: end < now,
    };
    Ok((bar, end))
}
