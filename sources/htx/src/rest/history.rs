//! The past of a lane: bars of contracts page by page; of everything else what the venue still holds, at once.

use super::answer;
use crate::emit::{Notes, Sink, event};
use crate::number::{FINEST, Numbers};
use crate::parse::{Result, trades};
use crate::product::Product;
use crate::rows::{INTERVALS, Sums};
use model::{Bar, Body, Channel, Event, Ts};
use source::{Action, Cursor, History, Malformed, Past, Request, What};

/// How many bars or trades an answer holds at most.
const ROWS_MAX: usize = 2_000;
/// How many bars a page of contracts asks for.
const PAGE: i64 = 1_000;

/// The length of an interval, by our name; of a month its longest.
fn length_ms(interval: &str) -> Option<i64> {
    let unit = match interval.chars().last()? {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        'M' => 31 * 86_400_000,
        _ => return None,
    };
    interval.get(..interval.len() - 1)?.parse::<i64>().ok()?.checked_mul(unit)
}

/// The venue's name of an interval and its length.
fn interval(past: &Past) -> Option<(&'static str, i64)> {
    let (_, theirs) = INTERVALS.iter().find(|(ours, _)| *ours == past.interval)?;
    Some((theirs, length_ms(&past.interval)?))
}

/// The bars of an answer, oldest first, and how many rows it had.
fn bars(past: &Past, product: Product, body: &[u8], now: Ts) -> Result<Vec<Bar>> {
    let length = length_ms(&past.interval).unwrap_or(0);
    let mut all: Vec<Bar> = Vec::new();
    answer(body, b"data", |c| {
        c.array(|c| {
            let sums = Sums::read(c, product, |c, _| c.skip().map(|_| ()))?;
            let bar = sums.bar(product, &past.interval);
            let mut bar = bar.ok_or_else(|| c.fault(What::Missing("id, prices or volume")))?;
            bar.closed = now.as_ms() >= bar.start.as_ms().saturating_add(length);
            all.push(bar);
            Ok(())
        })
    })?;
    all.sort_by_key(|bar| bar.start);
    all.dedup_by_key(|bar| bar.start);
    Ok(all)
}

/// Events of bars from `from` to before `to`.
fn told(past: &Past, bars: Vec<Bar>, from: Ts, to: Ts, now: Ts) -> Vec<Event> {
    let within = bars.into_iter().filter(|bar| bar.start >= from && bar.start < to);
    within
        .map(|bar| {
            let ts = Some(bar.start);
            event(&past.instrument, Channel::Bars, ts, now, Body::Bar(Box::new(bar)))
        })
        .collect()
}

/// Bars of contracts, page by page.
pub struct Bars {
    past: Past,
    product: Product,
    theirs: &'static str,
    length_ms: i64,
    /// The start of the next page.
    next: Ts,
}

impl Bars {
    pub fn new(past: Past, product: Product) -> Option<Self> {
        let (theirs, length_ms) = interval(&past)?;
        let next = past.from;
        Some(Self { past, product, theirs, length_ms, next })
    }

    /// The end of the page that begins at `next`.
    fn end(&self) -> Ts {
        let end = self.next.as_ms().saturating_add(PAGE.saturating_mul(self.length_ms));
        Ts::from_ms(end).min(self.past.to)
    }
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        if self.next >= self.past.to {
            return None;
        }
        let (from, to) = (self.next.as_ms().div_euclid(1_000), self.end().as_ms().div_euclid(1_000));
        let (ex, symbol, theirs) = (self.product.ex(), &self.past.instrument.symbol, self.theirs);
        let path = format!("{ex}/history/kline?contract_code={symbol}&period={theirs}&from={from}&to={to}");
        Some(Request { endpoint: self.product.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let bars = bars(&self.past, self.product, body, now)?;
        let end = self.end();
        let events = told(&self.past, bars, self.next, end, now);
        self.next = end;
        Ok(events)
    }

    fn reached(&self) -> Ts {
        self.next
    }
}

/// The newest trades, or bars of spot: the venue gives so many and no older ones.
pub struct Newest {
    past: Past,
    product: Product,
    done: bool,
}

impl Newest {
    pub fn new(past: Past, product: Product) -> Option<Self> {
        (past.channel == Channel::Trades || interval(&past).is_some()).then_some(Self {
            past,
            product,
            done: false,
        })
    }

    /// Trades of an answer, oldest first, and how many rows it had.
    ///
    /// `{"status":"ok","data":[{"id":31618787514,"ts":1544390317905,"data":[{"id":3161878751418918529341,"ts":1544390317905,"trade-id":100,"amount":9.0E-5,"price":64010.1,"direction":"sell"}]}]}`
    fn trades(&self, body: &[u8], now: Ts) -> Result<(Vec<Event>, usize)> {
        let (mut out, mut notes, mut rows) = (Vec::new(), Notes::default(), 0);
        let mut all: Vec<Event> = Vec::new();
        let mut read = |c: &mut Cursor<'_>| {
            c.array(|c| {
                rows += 1;
                out.clear();
                let mut sink = Sink { now, out: &mut out, notes: &mut notes };
                let numbers = Numbers { instrument: &self.past.instrument, finest: FINEST };
                trades(c, numbers, None, &mut sink)?;
                let told = out.drain(..).filter_map(|action| match action {
                    Action::Emit(event) => Some(event),
                    _ => None,
                });
                // Rows come newest first, and within a row too.
                all.extend(told);
                Ok(())
            })
        };
        answer(body, b"data", &mut read)?;
        all.reverse();
        all.sort_by_key(|event| event.stamp.ts_event);
        Ok((all, rows))
    }
}

const TOO_OLD: Malformed = Malformed { at: 0, what: What::Rule("the venue keeps nothing so old") };

impl History for Newest {
    fn request(&mut self) -> Option<Request> {
        if self.done || self.past.from >= self.past.to {
            return None;
        }
        let symbol = &self.past.instrument.symbol;
        let (ex, key) =
            if self.product.spot() { ("/market", "symbol") } else { (self.product.ex(), "contract_code") };
        let what = match interval(&self.past) {
            Some((theirs, _)) if self.past.channel == Channel::Bars => format!("kline?period={theirs}&"),
            _ => "trade?".to_owned(),
        };
        let path = format!("{ex}/history/{what}{key}={symbol}&size={ROWS_MAX}");
        Some(Request { endpoint: self.product.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let (from, to) = (self.past.from, self.past.to);
        let (mut events, oldest, rows) = if self.past.channel == Channel::Bars {
            let bars = bars(&self.past, self.product, body, now)?;
            let (oldest, rows) = (bars.first().map(|bar| bar.start), bars.len());
            (told(&self.past, bars, from, to, now), oldest, rows)
        } else {
            let (all, rows) = self.trades(body, now)?;
            let oldest = all.first().and_then(|event| event.stamp.ts_event);
            (all, oldest, rows)
        };
        // A full answer may have left out what is older.
        if rows >= ROWS_MAX && oldest.is_none_or(|oldest| oldest > from) {
            return Err(TOO_OLD);
        }
        events.retain(|e| e.stamp.ts_event.is_some_and(|ts| ts >= from && ts < to));
        self.done = true;
        Ok(events)
    }

    fn reached(&self) -> Ts {
        if self.done { self.past.to } else { self.past.from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;
    use model::TradeId;
    use std::sync::Arc;

    fn past(symbol: &str, channel: Channel, from_ms: i64, to_ms: i64) -> (Past, Product) {
        let product = Product::of(symbol.as_bytes()).unwrap();
        let instrument = Arc::new(listing::provisional(product, symbol.as_bytes()).unwrap());
        let (from, to) = (Ts::from_ms(from_ms), Ts::from_ms(to_ms));
        let interval = "1m".to_owned();
        (Past { source: crate::NAME, instrument, channel, interval, from, to, ids: None }, product)
    }

    fn rows(ids: impl Iterator<Item = i64>) -> Vec<u8> {
        let row = |id| {
            format!(r#"{{"id":{id},"open":1,"close":2,"low":1,"high":2,"amount":5,"vol":10,"count":3}}"#)
        };
        let rows: Vec<String> = ids.map(row).collect();
        format!(r#"{{"ch":"x","status":"ok","ts":1,"data":[{}]}}"#, rows.join(",")).into_bytes()
    }

    #[test]
    fn bars_of_contracts_are_read_page_by_page_none_twice_none_left_out() {
        let (past, product) = past("BTC-USDT", Channel::Bars, 0, 1_500 * 60_000);
        let mut bars = Bars::new(past, product).unwrap();
        let mut starts = Vec::new();
        let mut pages = 0;
        while let Some(request) = bars.request() {
            assert_eq!(request.endpoint, 1);
            let number = |key: &str| -> i64 {
                let tail = request.path.split(key).nth(1).unwrap();
                tail.split('&').next().unwrap().parse().unwrap()
            };
            // The venue's ends are both part of the answer.
            let body = rows((number("&from=") / 60..=number("&to=") / 60).map(|n| n * 60));
            assert!(bars.take(b"{}", Ts(0)).is_err());
            let events = bars.take(&body, Ts::from_ms(1_499 * 60_000 + 5)).unwrap();
            starts.extend(events.into_iter().map(|e| match e.body {
                Body::Bar(bar) => (bar.start.as_ms() / 60_000, bar.closed),
                other => panic!("{other:?}"),
            }));
            pages += 1;
        }
        assert_eq!(pages, 2);
        assert_eq!(starts, (0..1_500).map(|n| (n, n < 1_499)).collect::<Vec<_>>());
        assert_eq!(bars.reached(), Ts::from_ms(1_500 * 60_000));
    }

    #[test]
    fn what_the_venue_no_longer_holds_is_not_passed_over_in_silence() {
        let (wanted, product) = past("btcusdt", Channel::Bars, 0, 10_000 * 60_000);
        let mut newest = Newest::new(wanted, product).unwrap();
        assert_eq!(
            newest.request().unwrap().path,
            "/market/history/kline?period=1min&symbol=btcusdt&size=2000"
        );
        let full = rows((8_000..10_000).rev().map(|n| n * 60));
        assert_eq!(newest.take(&full, Ts::from_ms(0)), Err(TOO_OLD));
        assert_eq!(newest.reached(), Ts(0));
        let whole = rows((9_000..10_001).rev().map(|n| n * 60));
        assert_eq!(newest.take(&whole, Ts::from_ms(0)).unwrap().len(), 1_000);
        assert_eq!(newest.request(), None);
    }

    #[test]
    fn trades_come_oldest_first() {
        let body = br#"{"status":"ok","ch":"market.btcusdt.trade.detail","ts":9,"data":[{"id":2,"ts":7,"data":[{"id":23,"ts":7,"trade-id":103,"amount":9.0E-5,"price":64010.1,"direction":"sell"},{"id":22,"ts":7,"trade-id":102,"amount":1,"price":64010.2,"direction":"buy"}]},{"id":1,"ts":5,"data":[{"id":21,"ts":5,"trade-id":101,"amount":1,"price":64010,"direction":"buy"}]}]}"#;
        let (wanted, product) = past("btcusdt", Channel::Trades, 5, 8);
        let mut newest = Newest::new(wanted, product).unwrap();
        assert_eq!(newest.request().unwrap().path, "/market/history/trade?symbol=btcusdt&size=2000");
        let ids: Vec<TradeId> = newest
            .take(body, Ts(1))
            .unwrap()
            .into_iter()
            .map(|e| match e.body {
                Body::Trade(trade) => trade.id,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [101, 102, 103].map(TradeId::Num));
    }
}
