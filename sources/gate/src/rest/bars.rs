//! Bars of the past.

use super::{at_second, no_list, request, seconds};
use crate::emit::event;
use crate::parse::{Result, time};
use crate::product::Product;
use crate::rows::{self, INTERVALS};
use model::{Bar, Body, Channel, Decimal, Event, Ts};
use source::{Cursor, History, Past, Request, What};

/// How many bars are asked for at once; the venue gives 1 000 of spot and 2 000 of contracts.
const PAGE: i64 = 900;

/// The past of bars.
pub(super) struct Pages {
    product: Product,
    past: Past,
    word: &'static str,
    /// In seconds.
    length: i64,
    /// The next beginning of a bar, in seconds.
    next: i64,
    /// The first one that is not wanted any more.
    end: i64,
}

impl Pages {
    /// `None` where the venue has no bars of that interval.
    pub fn new(product: Product, past: Past) -> Option<Self> {
        let (_, word, length) = INTERVALS.into_iter().find(|(ours, ..)| *ours == past.interval)?;
        // The first second at or after an instant; the venue aligns bars itself, and weeks elsewhere than the epoch.
        let up = |ts: Ts| seconds(ts) + i64::from(ts.0.rem_euclid(1_000_000_000) != 0);
        let (next, end) = (up(past.from), up(past.to));
        Some(Self { product, past, word, length, next, end })
    }

    fn last(&self) -> i64 {
        (self.next + PAGE * self.length).min(self.end) - 1
    }
}

impl History for Pages {
    fn request(&mut self) -> Option<Request> {
        if self.next >= self.end {
            return None;
        }
        let (root, key, symbol) = (self.product.rest(), self.product.key(), &self.past.instrument.symbol);
        let (word, from, to) = (self.word, self.next, self.last());
        let path = format!("{root}/candlesticks?{key}={symbol}&interval={word}&from={from}&to={to}");
        Some(request(self.product, path))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (from, to) = (self.next, self.last());
        let mut all = Vec::new();
        let mut c = Cursor::new(body);
        if c.peek() != Some(b'[') {
            return Err(no_list());
        }
        c.array(|c| {
            all.push(if c.peek() == Some(b'[') { row(c)? } else { rows::bar(c, false, |_| ())?.1 });
            Ok(())
        })?;
        c.end()?;
        all.retain(|bar| (from..=to).contains(&seconds(bar.start)));
        all.sort_by_key(|bar| bar.start);
        all.dedup_by_key(|bar| bar.start);
        self.next = to + 1;
        let told = all.into_iter().map(|mut bar| {
            bar.interval = self.past.interval.as_str().into();
            bar.closed = seconds(bar.start) + self.length <= seconds(now);
            let body = Body::Bar(Box::new(bar));
            event(&self.past.instrument, Channel::Bars, None, now, body)
        });
        Ok(told.collect())
    }

    fn reached(&self) -> Ts {
        at_second(self.next).min(self.past.to).max(self.past.from)
    }
}

/// Start, turnover, close, high, low, open, volume, whether it is over.
///
/// `["1759999980","800100.5","64010.1","64012","63999","64000","12.5","true"]`
fn row(c: &mut Cursor<'_>) -> Result<Bar> {
    let mut numbers: [Option<Decimal>; 6] = [None; 6];
    let (mut start, mut n) = (None, 0_usize);
    c.array(|c| {
        match n {
            0 => start = Some(time(c, 9)?),
            1..=6 => {
                let number = c.decimal()?;
                if let Some(place) = numbers.get_mut(n - 1) {
                    *place = Some(number);
                }
            }
            _ => {
                c.skip()?;
            }
        }
        n += 1;
        Ok(())
    })?;
    let (Some(start), [turnover, Some(close), Some(high), Some(low), Some(open), volume]) = (start, numbers)
    else {
        return Err(c.fault(What::Missing("a field of a bar")));
    };
    let volume = volume.unwrap_or(Decimal::new(0, 0));
    let interval = "".into();
    Ok(Bar { interval, start, open, high, low, close, volume, turnover, trades: None, closed: false })
}
