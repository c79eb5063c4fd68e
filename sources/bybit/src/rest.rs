//! REST beside the sessions: the venue's clock, turnovers, bars of the past.

use crate::archive;
use crate::emit::event;
use crate::listing;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Bar, Body, Channel, Decimal, Event, Instrument, Ts};
use serde::Deserialize;
use source::{Archive, History, Malformed, Past, Request, Rest, Row, Turnover, What};
use std::borrow::Cow;
use std::sync::Arc;

/// How many bars an answer holds at most.
const ROWS_MAX: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// REST of this venue.
#[derive(Clone, Copy, Debug)]
pub struct BybitRest;

/// `{"timeSecond":"1760000000","timeNano":"1760000000123456789"}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clock<'a> {
    #[serde(borrow)]
    time_nano: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tickers<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    list: Vec<TickerRow<'a>>,
}

#[derive(Deserialize)]
struct TickerRow<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "turnover24h", default)]
    turnover: Cow<'a, str>,
}

/// Rows of `kline`, newest first: start, open, high, low, close, volume, turnover.
///
/// `{"symbol":"BTCUSDT","category":"linear","list":[["1759999980000","64000","64012","63999","64010.3","12.5","800100.5"]]}`
#[derive(Deserialize)]
struct Bars<'a> {
    #[serde(borrow)]
    list: Vec<Vec<Cow<'a, str>>>,
}

const fn wrong(what: What) -> Malformed {
    Malformed { at: 0, what }
}

impl Rest for BybitRest {
    fn time(&self) -> Option<Request> {
        Some(Request { endpoint: 0, path: "/v5/market/time".to_owned(), weight: 1 })
    }

    fn read_time(&self, body: &[u8]) -> Result<Ts, Malformed> {
        let clock: Clock<'_> = listing::result(body)?;
        clock.time_nano.parse().map(Ts).map_err(|_| wrong(What::Expected("nanoseconds")))
    }

    fn turnovers(&self) -> Vec<Request> {
        let request = |product: Product, coin: &str| {
            let coin = if coin.is_empty() { String::new() } else { format!("&baseCoin={coin}") };
            let path = format!("/v5/market/tickers?category={}{coin}", product.name());
            Request { endpoint: product.endpoint(), path, weight: 1 }
        };
        let contracts = [Product::Spot, Product::Linear, Product::Inverse].map(|p| request(p, ""));
        contracts.into_iter().chain(crate::OPTION_COINS.map(|c| request(Product::Option, c))).collect()
    }

    fn read_turnovers(&self, _path: &str, body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        let read: Tickers<'_> = listing::result(body)?;
        let product = Product::named(&read.category).ok_or(wrong(What::Rule("the category is not known")))?;
        let row = |row: &TickerRow<'_>| {
            // A row without a turnover is of something that is not traded yet.
            let turnover = Decimal::parse(row.turnover.as_bytes()).ok()?;
            Some(Turnover { product: product.name(), symbol: row.symbol.as_ref().into(), turnover })
        };
        Ok(read.list.iter().filter_map(row).collect())
    }

    fn archive(&self, path: &str) -> Option<Archive> {
        archive::named(path)
    }

    fn archive_row(
        &self,
        of: &Archive,
        instrument: &Arc<Instrument>,
        row: &Row<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        archive::row(of, instrument, row, out)
    }

    fn provisional(&self, product: &str, symbol: &str) -> Option<Instrument> {
        listing::provisional(Product::named(product)?, symbol.as_bytes())
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        let product = Product::of(&past.instrument)?;
        let interval = INTERVALS.iter().position(|(name, ..)| *name == past.interval)?;
        if past.channel != Channel::Bars || product == Product::Option {
            // Of trades the venue gives only the last few by REST, and no way to ask for those before.
            return None;
        }
        let at_ms = past.from.as_ms() + i64::from(past.from.0.rem_euclid(1_000_000) != 0);
        Some(Box::new(BarsOf { past, product, interval, at_ms }))
    }
}

/// Bars of an instrument, page by page.
struct BarsOf {
    past: Past,
    product: Product,
    interval: usize,
    /// Everything that begins before this was handed out.
    at_ms: i64,
}

impl BarsOf {
    /// How long a bar lasts at most, and how long one page may be.
    fn page_ms(&self) -> i64 {
        let minutes = INTERVALS.get(self.interval).map_or(1, |(_, _, minutes)| i64::from(*minutes));
        if minutes == 0 { 28 * DAY_MS * ROWS_MAX } else { minutes * 60_000 * ROWS_MAX }
    }

    /// The last millisecond of the page.
    fn end_ms(&self) -> i64 {
        let last = self.past.to.0.saturating_sub(1).div_euclid(1_000_000);
        last.min(self.at_ms.saturating_add(self.page_ms() - 1))
    }

    /// When a bar is over.
    fn over_ms(&self, start_ms: i64) -> i64 {
        match INTERVALS.get(self.interval) {
            Some((_, _, minutes)) if *minutes > 0 => start_ms + i64::from(*minutes) * 60_000,
            _ => month_of(start_ms + 32 * DAY_MS),
        }
    }
}

impl History for BarsOf {
    fn request(&mut self) -> Option<Request> {
        if Ts::from_ms(self.at_ms) >= self.past.to {
            return None;
        }
        let (_, theirs, _) = INTERVALS.get(self.interval)?;
        let path = format!(
            "/v5/market/kline?category={}&symbol={}&interval={theirs}&start={}&end={}&limit={ROWS_MAX}",
            self.product.name(),
            self.past.instrument.symbol,
            self.at_ms,
            self.end_ms()
        );
        Some(Request { endpoint: self.product.endpoint(), path, weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let read: Bars<'_> = listing::result(body)?;
        let end_ms = self.end_ms();
        let mut rows = Vec::new();
        for row in &read.list {
            let [start, open, high, low, close, volume, turnover, ..] = row.as_slice() else {
                return Err(wrong(What::Missing("a field of a bar")));
            };
            let start_ms: i64 = start.parse().map_err(|_| wrong(What::Expected("the start of a bar")))?;
            let number =
                |text: &str| Decimal::parse(text.as_bytes()).map_err(|error| wrong(What::Number(error)));
            let bar = Bar {
                interval: self.past.interval.as_str().into(),
                start: Ts::from_ms(start_ms),
                open: number(open)?,
                high: number(high)?,
                low: number(low)?,
                close: number(close)?,
                volume: number(volume)?,
                turnover: Some(number(turnover)?).filter(|_| self.product != Product::Inverse),
                trades: None,
                closed: self.over_ms(start_ms) <= now.as_ms(),
            };
            if (self.at_ms..=end_ms).contains(&start_ms) {
                rows.push((start_ms, bar));
            }
        }
        rows.sort_by_key(|(start, _)| *start);
        rows.dedup_by_key(|(start, _)| *start);
        self.at_ms = end_ms + 1;
        let source = self.past.source;
        let told = |(_, bar): (i64, Bar)| {
            let body = Body::Bar(Box::new(bar));
            Event { source, ..event(&self.past.instrument, Channel::Bars, None, now, body) }
        };
        Ok(rows.into_iter().map(told).collect())
    }

    fn reached(&self) -> Ts {
        Ts::from_ms(self.at_ms).min(self.past.to)
    }
}

/// When the UTC month of a time begins, in ms (civil-from-days, Howard Hinnant's algorithm).
pub(crate) fn month_of(ms: i64) -> i64 {
    let day = ms.div_euclid(DAY_MS);
    let shifted = day + 719_468;
    let doe = shifted.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let of_month = doy - (153 * ((5 * doy + 2) / 153) + 2) / 5;
    (day - of_month) * DAY_MS
}

#[cfg(test)]
mod tests;
