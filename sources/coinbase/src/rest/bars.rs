//! Bars by REST, of both feeds.

use super::{at_second, seconds};
use crate::emit::event;
use crate::parse::Result;
use crate::subscribe::interval;
use crate::{Feed, listing, time};
use model::{Bar, Body, Channel, Decimal, Event, Instrument, Ts};
use source::{Cursor, History, Past, Request, What};

/// How many bars are asked for at once; Advanced Trade gives 350, Exchange 300.
const BARS_MAX: i64 = 300;

/// The prices and the volume of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// In seconds since 1970.
    pub start: i64,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    pub volume: Decimal,
}

impl Candle {
    /// The bar that it is.
    pub fn bar(self, interval: &str, closed: bool) -> Bar {
        let Self { start, open, high, low, close, volume } = self;
        let (turnover, trades, start) = (None, None, at_second(start));
        Bar { interval: interval.into(), start, open, high, low, close, volume, turnover, trades, closed }
    }
}

/// The request for the bars that begin from `from` to `to`, both in seconds and included.
pub fn path_of(feed: Feed, instrument: &Instrument, word: &str, from: i64, to: i64) -> String {
    let symbol = &instrument.symbol;
    match feed {
        Feed::Advanced => {
            format!("{}/{symbol}/candles?start={from}&end={to}&granularity={word}", listing::PRODUCTS)
        }
        Feed::Exchange => {
            let text = |seconds| time::write(at_second(seconds), 0);
            format!("/products/{symbol}/candles?granularity={word}&start={}&end={}", text(from), text(to))
        }
    }
}

/// Reads an answer, oldest first.
///
/// Advanced Trade: `{"candles":[{"start":"1712192400","low":"1","high":"4","open":"2","close":"3","volume":"355.8"}]}`
///
/// Exchange: `[[1712192400,1,4,2,3,355.8]]`: start, low, high, open, close, volume.
pub fn candles(feed: Feed, body: &[u8]) -> Result<Vec<Candle>> {
    let (mut all, mut there) = (Vec::new(), false);
    let mut c = Cursor::new(body);
    match feed {
        Feed::Advanced => c.object(|c, key| {
            if key != b"candles" {
                return c.skip().map(|_| ());
            }
            there = true;
            c.array(|c| {
                all.push(named(c)?);
                Ok(())
            })
        })?,
        Feed::Exchange => {
            there = true;
            c.array(|c| {
                all.push(placed(c)?);
                Ok(())
            })?;
        }
    }
    c.end()?;
    if !there {
        return Err(c.fault(What::Missing("candles")));
    }
    all.sort_by_key(|candle| candle.start);
    all.dedup_by_key(|candle| candle.start);
    Ok(all)
}

fn named(c: &mut Cursor<'_>) -> Result<Candle> {
    let mut fields = [None; 5];
    let mut start = None;
    c.object(|c, key| {
        let at = match key {
            b"start" => {
                start = Some(c.i64()?);
                return Ok(());
            }
            b"low" => 0,
            b"high" => 1,
            b"open" => 2,
            b"close" => 3,
            b"volume" => 4,
            _ => return c.skip().map(|_| ()),
        };
        let number = c.decimal()?;
        if let Some(field) = fields.get_mut(at) {
            *field = Some(number);
        }
        Ok(())
    })?;
    whole(c, start, fields)
}

fn placed(c: &mut Cursor<'_>) -> Result<Candle> {
    let mut fields = [None; 5];
    let (mut start, mut n) = (None, 0_usize);
    c.array(|c| {
        if n == 0 {
            start = Some(c.i64()?);
        } else {
            let number = c.decimal()?;
            if let Some(field) = fields.get_mut(n - 1) {
                *field = Some(number);
            }
        }
        n += 1;
        Ok(())
    })?;
    whole(c, start, fields)
}

fn whole(c: &Cursor<'_>, start: Option<i64>, fields: [Option<Decimal>; 5]) -> Result<Candle> {
    let (Some(start), [Some(low), Some(high), Some(open), Some(close), Some(volume)]) = (start, fields)
    else {
        return Err(c.fault(What::Missing("a field of a candle")));
    };
    Ok(Candle { start, open, high, low, close, volume })
}

/// The past of bars, a page at a time.
pub(super) struct Pages {
    past: Past,
    feed: Feed,
    word: String,
    /// In seconds.
    length: i64,
    /// The next beginning of a bar, in seconds.
    next: i64,
    /// The first one that is not wanted any more.
    end: i64,
}

impl Pages {
    /// `None` where the venue has no bars of that interval.
    pub fn new(past: Past) -> Option<Self> {
        let feed = Feed::of(&past.instrument);
        let (length, word) = interval(feed, &past.interval)?;
        let length = i64::try_from(length).ok()?;
        // Bars that begin within the part.
        let up = |ts: Ts| -(-ts.0).div_euclid(length * 1_000_000_000) * length;
        let (next, end) = (up(past.from), up(past.to));
        Some(Self { feed, word: word.into_owned(), length, next, end, past })
    }

    fn last(&self) -> i64 {
        (self.next + (BARS_MAX - 1) * self.length).min(self.end - self.length)
    }
}

impl History for Pages {
    fn request(&mut self) -> Option<Request> {
        if self.next >= self.end {
            return None;
        }
        let path = path_of(self.feed, &self.past.instrument, &self.word, self.next, self.last());
        Some(Request { endpoint: self.feed.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (from, to) = (self.next, self.last());
        let all = candles(self.feed, body)?;
        let fits = all.into_iter().filter(|c| (from..=to).contains(&c.start));
        let told = fits.map(|candle| {
            let closed = candle.start + self.length <= seconds(now);
            let body = Body::Bar(Box::new(candle.bar(&self.past.interval, closed)));
            event(&self.past.instrument, Channel::Bars, None, now, body)
        });
        let told = told.collect();
        self.next = to + self.length;
        Ok(told)
    }

    fn reached(&self) -> Ts {
        at_second(self.next).min(self.past.to).max(self.past.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn both_feeds_give_the_same_bar() {
        let named = candles(
            Feed::Advanced,
            br#"{"candles":[{"start":"120","low":"1","high":"4","open":"2","close":"3","volume":"5.5"},{"start":"60","low":"1","high":"4","open":"2","close":"3","volume":"5.5"}]}"#,
        );
        let placed = candles(Feed::Exchange, b"[[120,1,4,2,3,5.5],[60,1,4,2,3,5.5]]");
        assert_eq!(named, placed);
        assert_eq!(named.unwrap().iter().map(|c| c.start).collect::<Vec<_>>(), [60, 120]);
        assert!(candles(Feed::Exchange, b"[[120,1,4,2,3]]").is_err());
        assert!(candles(Feed::Advanced, b"{}").is_err());
    }

    #[test]
    fn pages_cover_the_part_and_nothing_else() {
        let made = listing::provisional(Feed::Advanced, b"BTC-USD").unwrap();
        let (from, to) = (Ts(1), at_second(60 * 700 + 30));
        let past = Past {
            source: crate::NAME,
            instrument: Arc::new(made),
            channel: Channel::Bars,
            interval: "1m".to_owned(),
            from,
            to,
            ids: None,
        };
        let mut pages = Pages::new(past).unwrap();
        let mut spans = Vec::new();
        while let Some(request) = pages.request() {
            let field = |name: &str| -> i64 {
                let at = request.path.find(name).unwrap() + name.len();
                request.path[at..].split('&').next().unwrap().parse().unwrap()
            };
            spans.push((field("start="), field("end=")));
            pages.take(b"{\"candles\":[]}", to).unwrap();
        }
        assert_eq!(spans, [(60, 18_000), (18_060, 36_000), (36_060, 42_000)]);
        assert_eq!(pages.reached(), to);
    }
}
