//! REST answers of the simulated venue.

use super::world::listing_body;
use super::{BybitSim, bars, encode};
use crate::product::Product;
use crate::rows;
use model::Ts;

/// How many requests are answered in the time below.
const REQUESTS_MAX: usize = 600;
const WINDOW_MS: i64 = 5_000;
/// How many bars an answer holds at most.
const BARS_MAX: usize = 1_000;

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    fn fine(result: &str, now: Ts) -> Self {
        let ms = now.as_ms();
        let body =
            format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{ms}}}"#);
        Self { status: 200, headers: Vec::new(), body }
    }

    fn fault(status: u16, code: u32, words: &str, now: Ts) -> Self {
        let ms = now.as_ms();
        let body =
            format!(r#"{{"retCode":{code},"retMsg":"{words}","result":{{}},"retExtInfo":{{}},"time":{ms}}}"#);
        Self { status, headers: Vec::new(), body }
    }
}

fn field<'q>(query: &'q str, name: &str) -> &'q str {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
}

fn number(query: &str, name: &str) -> Option<i64> {
    field(query, name).parse().ok()
}

fn limit(query: &str, usual: usize, max: usize) -> usize {
    field(query, "limit").parse().unwrap_or(usual).clamp(1, max)
}

impl BybitSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        self.asked.retain(|at| now.ms_since(*at) < WINDOW_MS);
        if self.rate_limit > 0 || self.asked.len() >= REQUESTS_MAX {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let limited = Answer::fault(429, 10_006, "Too many visits!", now);
            return Answer { headers: vec![("Retry-After", "1".to_owned())], ..limited };
        }
        self.asked.push(now);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "/v5/market/time" {
            let result = format!(r#"{{"timeSecond":"{}","timeNano":"{}"}}"#, now.0 / 1_000_000_000, now.0);
            return Answer::fine(&result, now);
        }
        if Product::at(endpoint).is_none() || !path.starts_with("/v5/market/") {
            return Answer::fault(404, 404, "Not Found", now);
        }
        let Some(product) = Product::named(field(query, "category")) else {
            return Answer::fault(200, 10_001, "params error: Category is invalid", now);
        };
        match path {
            "/v5/market/instruments-info" => self.instruments(product, query, now),
            "/v5/market/tickers" => self.tickers(product, query, now),
            _ => self.of_instrument(path, product, query, now),
        }
    }

    fn instruments(&self, product: Product, query: &str, now: Ts) -> Answer {
        let (symbol, coin) = (field(query, "symbol"), field(query, "baseCoin"));
        let coin =
            if product == Product::Option && coin.is_empty() && symbol.is_empty() { "BTC" } else { coin };
        let named = format!(r#""symbol":"{symbol}""#);
        let fits = |(p, of, row): &&(Product, String, String)| {
            *p == product && (coin.is_empty() || of == coin) && (symbol.is_empty() || row.contains(&named))
        };
        let from: usize = field(query, "cursor").parse().unwrap_or(0);
        let count = if product == Product::Spot { usize::MAX } else { limit(query, 500, 1_000) };
        let all: Vec<&str> = self.world.rows.iter().filter(fits).map(|(_, _, row)| row.as_str()).collect();
        let page: Vec<&str> = all.iter().skip(from).take(count).copied().collect();
        let next = from.saturating_add(page.len());
        let cursor = if next < all.len() { next.to_string() } else { String::new() };
        let body = listing_body(product, &page.join(","), &cursor);
        let body = body.replace(r#""time":0}"#, &format!(r#""time":{}}}"#, now.as_ms()));
        Answer { status: 200, headers: Vec::new(), body }
    }

    fn tickers(&self, product: Product, query: &str, now: Ts) -> Answer {
        let (symbol, coin) = (field(query, "symbol"), field(query, "baseCoin"));
        if product == Product::Option && symbol.is_empty() && coin.is_empty() {
            return Answer::fault(200, 10_001, "params error: symbol or baseCoin is required", now);
        }
        let mut rows = Vec::new();
        for at in self.world.of(product) {
            let Some((one, state)) = self.world.one(at) else { continue };
            let instrument = &one.instrument;
            if (symbol.is_empty() || *instrument.symbol == *symbol)
                && (coin.is_empty() || *instrument.base == *coin)
            {
                let fields = encode::ticker(one, state, now);
                rows.push(encode::object(&fields.iter().collect::<Vec<_>>()));
            }
        }
        if rows.is_empty() && !symbol.is_empty() {
            return Answer::fault(200, 10_001, "params error: Symbol Invalid", now);
        }
        let result = format!(r#"{{"category":"{}","list":[{}]}}"#, product.name(), rows.join(","));
        Answer::fine(&result, now)
    }

    fn of_instrument(&mut self, path: &str, product: Product, query: &str, now: Ts) -> Answer {
        let symbol = field(query, "symbol");
        let Some(at) = self.world.place(product, symbol) else {
            return Answer::fault(200, 10_001, "params error: Symbol Invalid", now);
        };
        let found = match path {
            "/v5/market/orderbook" => self.book(at, product, query, now),
            "/v5/market/recent-trade" => self.recent(at, product, query),
            "/v5/market/kline" if product != Product::Option => self.klines(at, product, query, now),
            "/v5/market/account-ratio" if matches!(product, Product::Linear | Product::Inverse) => {
                self.ratios(at, query, now)
            }
            _ => return Answer::fault(404, 404, "Not Found", now),
        };
        match found {
            Some(result) => Answer::fine(&result, now),
            None => Answer::fault(200, 10_001, "params error", now),
        }
    }

    /// The book of 1 000 levels; its number is that of the topic of the same depth.
    fn book(&mut self, at: usize, product: Product, query: &str, now: Ts) -> Option<String> {
        let count = limit(query, if product == Product::Spot { 1 } else { 25 }, 1_000);
        let depth = if product == Product::Option { 100 } else { 1_000 };
        let late = self.late;
        let feed = self.world.feed(at, depth)?.clone();
        let shown = feed.past.iter().rev().take(late).next_back().map_or(&feed.shown, |(before, _)| before);
        let (one, state) = self.world.one(at)?;
        let side = |levels: Vec<model::Level>| {
            let row = |l: &model::Level| {
                format!(
                    r#"["{}","{}"]"#,
                    encode::px(l.px, &one.instrument),
                    encode::qty(l.qty, &one.instrument)
                )
            };
            levels.iter().map(row).collect::<Vec<_>>().join(",")
        };
        let (bids, asks) = (side(shown.best_bids(count)), side(shown.best_asks(count)));
        let (symbol, u, seq, ms) = (&one.instrument.symbol, shown.u, state.seq, now.as_ms());
        Some(format!(
            r#"{{"s":"{symbol}","a":[{asks}],"b":[{bids}],"ts":{ms},"u":{u},"seq":{seq},"cts":{ms}}}"#
        ))
    }

    fn recent(&self, at: usize, product: Product, query: &str) -> Option<String> {
        let count = if product == Product::Spot { limit(query, 60, 60) } else { limit(query, 500, 1_000) };
        let (one, state) = self.world.one(at)?;
        let row = |p: &super::world::Print| {
            format!(
                r#"{{"execId":"{}","symbol":"{}","price":"{}","size":"{}","side":"{}","time":"{}","isBlockTrade":false,"isRPITrade":false,"seq":"{}"}}"#,
                p.id,
                one.instrument.symbol,
                encode::px(p.px, &one.instrument),
                encode::qty(p.qty, &one.instrument),
                encode::side(p.aggressor),
                p.ts.as_ms(),
                p.seq
            )
        };
        let rows: Vec<String> = state.prints.iter().take(count).map(row).collect();
        Some(format!(r#"{{"category":"{}","list":[{}]}}"#, product.name(), rows.join(",")))
    }

    /// Bars that begin from `start` to `end`, the newest first and no more than asked for.
    fn klines(&self, at: usize, product: Product, query: &str, now: Ts) -> Option<String> {
        let interval = rows::interval(field(query, "interval").as_bytes())?;
        let count = limit(query, 200, BARS_MAX);
        let last = number(query, "end").unwrap_or(i64::MAX).min(now.as_ms());
        let from = number(query, "start").unwrap_or(i64::MIN);
        let (one, state) = self.world.one(at)?;
        let mut rows = Vec::new();
        let mut start = bars::start_of(interval, last)?;
        while rows.len() < count && start >= from && start > 0 {
            let longest = match rows::INTERVALS.get(interval)?.2 {
                0 => 32 * 1_440,
                minutes => i64::from(minutes),
            };
            let end = bars::start_of(interval, start + longest * 60_000)?;
            let bar = state.minutes.bar(start, end);
            let [open, high, low, close] =
                [bar.open, bar.high, bar.low, bar.close].map(|p| encode::px(p, &one.instrument));
            let (volume, turnover) = encode::sums(&one.instrument, bar.volume, bar.turnover, bar.close);
            rows.push(format!(r#"["{start}","{open}","{high}","{low}","{close}","{volume}","{turnover}"]"#));
            start = bars::start_of(interval, start - 1)?;
        }
        let (symbol, category) = (&one.instrument.symbol, product.name());
        Some(format!(r#"{{"symbol":"{symbol}","category":"{category}","list":[{}]}}"#, rows.join(",")))
    }

    fn ratios(&self, at: usize, query: &str, now: Ts) -> Option<String> {
        let step = match field(query, "period") {
            "5min" => 300_000,
            "15min" => 900_000,
            "30min" => 1_800_000,
            "1h" => 3_600_000,
            "4h" => 14_400_000,
            "1d" => 86_400_000,
            _ => return None,
        };
        let symbol = &self.world.instrument(at)?.symbol;
        let last = now.as_ms().div_euclid(step) * step;
        let row = |n: i64| {
            let ms = last - n * step;
            let buy = 4_500 + (ms / step + at as i64) % 1_000;
            format!(
                r#"{{"symbol":"{symbol}","buyRatio":"{}","sellRatio":"{}","timestamp":"{ms}"}}"#,
                encode::fixed(buy, 4),
                encode::fixed(10_000 - buy, 4)
            )
        };
        let rows: Vec<String> = (0..limit(query, 50, 500) as i64).map(row).collect();
        Some(format!(r#"{{"list":[{}],"nextPageCursor":""}}"#, rows.join(",")))
    }
}
