//! REST answers of the simulated venue.

use super::{BitgetSim, bars};
use crate::listing::parameter;
use crate::product::{PRODUCTS, Product};
use model::{InstrumentKind, Ts};
use source::market::coins;

/// How many requests to one path are answered in a second.
const REQUESTS_MAX: usize = 20;
const WINDOW_MS: i64 = 1_000;

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    fn fine(data: &str, now: Ts) -> Self {
        let ms = now.as_ms();
        let body = format!(r#"{{"code":"00000","msg":"success","requestTime":{ms},"data":{data}}}"#);
        Self { status: 200, headers: Vec::new(), body }
    }

    fn list(rows: &[String], now: Ts) -> Self {
        Self::fine(&format!("[{}]", rows.join(",")), now)
    }

    fn fault(status: u16, code: &str, words: &str, now: Ts) -> Self {
        let ms = now.as_ms();
        let body = format!(r#"{{"code":"{code}","msg":"{words}","requestTime":{ms},"data":null}}"#);
        Self { status, headers: Vec::new(), body }
    }
}

/// A number in a query, or the answer that there is none.
fn number(path: &str, name: &str) -> Option<i64> {
    parameter(path, name).parse().ok()
}

impl BitgetSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let (plain, _) = path.split_once('?').unwrap_or((path, ""));
        self.asked.retain(|(at, _)| now.ms_since(*at) < WINDOW_MS);
        let asked = self.asked.iter().filter(|(_, p)| **p == *plain).count();
        if self.rate_limit > 0 || asked >= REQUESTS_MAX {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let limited = Answer::fault(429, "429", "Too Many Requests", now);
            return Answer { headers: vec![("Retry-After", "1".to_owned())], ..limited };
        }
        self.asked.push((now, plain.into()));
        let missing = || Answer::fault(404, "40404", "Request URL NOT FOUND", now);
        if endpoint != 0 {
            return missing();
        }
        let [spot, ..] = &PRODUCTS;
        match plain {
            "/api/v2/public/time" => Answer::fine(&format!(r#"{{"serverTime":"{}"}}"#, now.as_ms()), now),
            "/api/v2/public/annoucements" | "/api/v2/margin/currencies" => Answer::fine("[]", now),
            "/api/v2/spot/public/coins" => self.coins(now),
            "/api/v2/spot/public/symbols" => self.listing(spot, path, now),
            _ if plain.starts_with("/api/v2/spot/market/") => self.market(spot, path, now),
            _ if plain.starts_with("/api/v2/mix/market/") => {
                let word = parameter(path, "productType");
                let named = Product::named(word).filter(|p| !p.spot());
                // The ratio names no section.
                let named = named.or_else(|| PRODUCTS.get(1).filter(|_| plain.ends_with("long-short")));
                match named {
                    Some(product) if plain.ends_with("/contracts") => self.listing(product, path, now),
                    Some(product) => self.market(product, path, now),
                    // Trading with play money: `SUSDT-FUTURES`. There is none here.
                    None if word.starts_with('S') && plain.ends_with("/contracts") => Answer::fine("[]", now),
                    None => Answer::fault(400, "400172", "Parameter verification failed", now),
                }
            }
            _ => missing(),
        }
    }

    /// Coins without networks, as libraries load them first.
    fn coins(&self, now: Ts) -> Answer {
        let count = self.world.of(&PRODUCTS[0]).len();
        let names = coins(count).into_iter().map(|coin| coin.base).chain(["USDT", "USDC"].map(str::to_owned));
        let row = |(at, coin): (usize, String)| {
            format!(r#"{{"coinId":"{}","coin":"{coin}","transfer":"true","chains":[]}}"#, at + 1)
        };
        Answer::list(&names.enumerate().map(row).collect::<Vec<_>>(), now)
    }

    fn listing(&self, product: &Product, path: &str, now: Ts) -> Answer {
        let symbol = parameter(path, "symbol");
        let places = self.world.of(product).into_iter();
        let fits = |at: &usize| {
            symbol.is_empty() || self.world.instrument(*at).is_some_and(|i| *i.symbol == *symbol)
        };
        let rows = places.filter(fits).filter_map(|at| self.world.rows.get(at));
        Answer::list(&rows.map(|row| row.1.clone()).collect::<Vec<_>>(), now)
    }

    fn tickers(&self, places: &[usize], now: Ts) -> Answer {
        let row = |at: &usize| {
            let (one, state) = (self.world.listed(*at)?, self.world.states.get(*at)?);
            Some(self.world.words(&one.instrument).ticker(one, state, now, true))
        };
        Answer::list(&places.iter().filter_map(row).collect::<Vec<_>>(), now)
    }

    fn market(&self, product: &Product, path: &str, now: Ts) -> Answer {
        let (plain, _) = path.split_once('?').unwrap_or((path, ""));
        let what = plain.rsplit('/').next().unwrap_or_default();
        let symbol = parameter(path, "symbol");
        if what == "tickers" && symbol.is_empty() {
            return self.tickers(&self.world.of(product), now);
        }
        let Some(at) = self.world.place(product, symbol) else {
            return Answer::fault(400, "40034", &format!("Parameter {symbol} does not exist"), now);
        };
        let (Some(one), Some(state)) = (self.world.listed(at), self.world.states.get(at)) else {
            return Answer::fault(400, "40034", "Parameter does not exist", now);
        };
        let words = self.world.words(&one.instrument);
        let limit = |most: usize| number(path, "limit").map_or(100, |n| n.unsigned_abs() as usize).min(most);
        match what {
            "tickers" | "ticker" => self.tickers(&[at], now),
            "orderbook" | "merge-depth" => {
                let Some((shown, _)) = self.world.shown(at, false, self.late) else {
                    return Answer::fine("{}", now);
                };
                let row = words.snapshot(false, &shown, now);
                // By REST books carry no number of their state.
                let cut = row.split_once(r#","seq""#).map_or("{", |(head, _)| head);
                Answer::fine(&format!(r#"{cut},"ts":"{}"}}"#, now.as_ms()), now)
            }
            "fills" => {
                let prints = state.prints.iter().take(limit(500));
                Answer::list(&prints.map(|p| words.fill(p)).collect::<Vec<_>>(), now)
            }
            "fills-history" => {
                let (from, to) = (number(path, "startTime"), number(path, "endTime"));
                let below: Option<u64> = parameter(path, "idLessThan").parse().ok();
                let prints = state.prints.iter().filter(|p| {
                    from.is_none_or(|ms| p.ts.as_ms() >= ms)
                        && to.is_none_or(|ms| p.ts.as_ms() <= ms)
                        && below.is_none_or(|id| p.id < id)
                });
                let rows: Vec<String> = prints.take(limit(1_000)).map(|p| words.fill(p)).collect();
                Answer::list(&rows, now)
            }
            "candles" | "history-candles" => {
                let word = parameter(path, "granularity");
                if bars::length_ms(word).is_none() {
                    return Answer::fault(400, "400171", "Parameter granularity error", now);
                }
                let from = number(path, "startTime").map_or(Ts(0), Ts::from_ms);
                let to = number(path, "endTime").map_or(Ts(now.0 + 1), Ts::from_ms).min(Ts(now.0 + 1));
                let most = if what == "candles" { 1_000 } else { 200 };
                let all = bars::bars(one, state, word, from, to, limit(most));
                let rows: Vec<String> = all.iter().map(|bar| bars::row(&one.instrument, bar)).collect();
                Answer::list(&rows, now)
            }
            "account-long-short" if one.instrument.kind == InstrumentKind::Perpetual => {
                let long = 40 + state.seq % 20;
                let short = 100 - long;
                let ms = now.as_ms() / 300_000 * 300_000;
                let row = format!(
                    r#"{{"longAccountRatio":"0.{long}","shortAccountRatio":"0.{short}","longShortAccountRatio":"{}.{:02}","ts":"{ms}"}}"#,
                    long / short,
                    long * 100 / short % 100
                );
                Answer::list(&[row], now)
            }
            _ => Answer::fault(404, "40404", "Request URL NOT FOUND", now),
        }
    }
}
