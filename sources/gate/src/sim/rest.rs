//! The REST side of the simulated venue.

use super::{GateSim, encode};
use crate::product::{ALL, Product};
use crate::rows::INTERVALS;
use model::Ts;
use std::collections::BTreeMap;

/// How many updates old a book of more levels than this is.
const CACHED: (usize, usize) = (100, 8);

type Params<'a> = BTreeMap<&'a str, &'a str>;

/// What comes back.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

const fn ok(body: String) -> Answer {
    Answer { status: 200, headers: Vec::new(), body }
}

fn refusal(status: u16, label: &str, words: &str) -> Answer {
    let body = format!(r#"{{"label":"{label}","message":"{words}"}}"#);
    Answer { status, headers: Vec::new(), body }
}

fn number<T: std::str::FromStr>(params: &Params<'_>, name: &str, otherwise: T) -> T {
    params.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

impl GateSim {
    pub(super) fn answer(&mut self, path: &str, now: Ts) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let params: Params<'_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        if self.rate_limit > 0 {
            self.rate_limit -= 1;
            let mut answer = refusal(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded");
            answer.headers.push(("Retry-After", "2".to_owned()));
            return answer;
        }
        match path {
            "/api/v4/spot/time" => return ok(format!(r#"{{"server_time":{}}}"#, now.as_ms())),
            "/api/v4/spot/currencies" => return ok(self.currencies()),
            "/api/v4/margin/currency_pairs"
            | "/api/v4/options/underlyings"
            | "/api/v4/options/contracts"
            | "/api/v4/delivery/btc/contracts" => return ok("[]".to_owned()),
            _ => {}
        }
        let section =
            ALL.into_iter().find_map(|p| Some((p, path.strip_prefix(p.rest())?.strip_prefix('/')?)));
        let Some((product, call)) = section else { return refusal(404, "NOT_FOUND", "not found") };
        match call {
            "currency_pairs" | "contracts" => {
                let rows = self.world.rows.get(&product).map(|rows| rows.join(",")).unwrap_or_default();
                return ok(format!("[{rows}]"));
            }
            "tickers" => return ok(self.tickers(product, &params)),
            _ => {}
        }
        if let Some(name) = call.strip_prefix("currency_pairs/").or_else(|| call.strip_prefix("contracts/")) {
            let at = self
                .world
                .of(product)
                .iter()
                .position(|at| self.world.instrument(*at).is_some_and(|i| *i.symbol == *name));
            let row = at.and_then(|at| self.world.rows.get(&product)?.get(at));
            return row.map_or_else(|| refusal(404, "NOT_FOUND", "not found"), |row| ok(row.clone()));
        }
        let symbol = params.get(product.key()).copied().unwrap_or_default();
        let Some(at) = self.world.place(product, symbol) else {
            return refusal(400, "INVALID_CURRENCY_PAIR", "Invalid currency pair or contract");
        };
        let answer = match call {
            "order_book" => self.order_book(at, &params, now),
            "trades" => Some(self.trades(product, at, &params)),
            "candlesticks" => return self.candles(at, &params, now),
            _ => None,
        };
        answer.map_or_else(|| refusal(404, "NOT_FOUND", "not found"), ok)
    }

    fn currencies(&self) -> String {
        let mut names: Vec<&str> = vec!["USDT"];
        for one in self.world.market.listed() {
            if !names.contains(&&*one.instrument.base) {
                names.push(&one.instrument.base);
            }
        }
        let row = |name: &&str| {
            format!(
                r#"{{"currency":"{name}","name":"{name}","delisted":false,"withdraw_disabled":false,"withdraw_delayed":false,"deposit_disabled":false,"trade_disabled":false,"fixed_rate":"","chain":"{name}","chains":[]}}"#
            )
        };
        format!("[{}]", names.iter().map(row).collect::<Vec<_>>().join(","))
    }

    fn tickers(&self, product: Product, params: &Params<'_>) -> String {
        let only = params.get(product.key());
        let rows = self.world.of(product).into_iter().filter_map(|at| {
            let (one, state) = (self.world.one(at)?, self.world.states.get(at)?);
            let wanted = only.is_none_or(|symbol| *one.instrument.symbol == **symbol);
            wanted.then(|| encode::ticker(one, state))
        });
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    }

    fn order_book(&self, at: usize, params: &Params<'_>, now: Ts) -> Option<String> {
        let limit: usize = number(params, "limit", 10);
        let view = self.world.states.get(at)?.views.get(&limit).map(|(view, _)| view.clone());
        let cached = if limit > CACHED.0 { CACHED.1 } else { 0 };
        let late = self.late.max(cached);
        let shown = match view {
            Some(view) if late == 0 => view,
            _ if late == 0 && self.quirks.between => self.world.current(at)?,
            _ => self.world.shown(at, late)?,
        };
        let i = self.world.instrument(at)?;
        let spot = encode::is_spot(i);
        let side = |all: &[model::Level]| encode::levels(all, i, !spot, self.quirks.integers);
        let (b, a) = (side(&shown.best_bids(limit)), side(&shown.best_asks(limit)));
        let id = match params.get("with_id") {
            Some(&"true") => format!(r#""id":{},"#, shown.seq),
            _ => String::new(),
        };
        let ms = now.as_ms();
        let time = if spot {
            ms.to_string()
        } else {
            format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
        };
        Some(format!(r#"{{{id}"current":{time},"update":{time},"asks":{a},"bids":{b}}}"#))
    }

    /// Newest first, a page of those within the seconds asked for.
    fn trades(&self, product: Product, at: usize, params: &Params<'_>) -> String {
        let limit = number(params, "limit", 100_usize).clamp(1, 1_000);
        let skip = match product {
            Product::Spot => number(params, "page", 1_usize).saturating_sub(1) * limit,
            _ => number(params, "offset", 0),
        };
        let (from, to) = (number(params, "from", 0_i64), number(params, "to", i64::MAX));
        let (Some(i), Some(state)) = (self.world.instrument(at), self.world.states.get(at)) else {
            return "[]".to_owned();
        };
        let within = |p: &&super::world::Print| (from..=to).contains(&p.ts.as_ms().div_euclid(1_000));
        let rows = state.prints.iter().filter(within).skip(skip).take(limit);
        let rows: Vec<String> = rows.map(|p| encode::trade(p, i, self.quirks.integers, true)).collect();
        format!("[{}]", rows.join(","))
    }

    fn candles(&self, at: usize, params: &Params<'_>, now: Ts) -> Answer {
        let word = params.get("interval").copied().unwrap_or("1m");
        let Some((.., length)) = INTERVALS.into_iter().find(|(_, theirs, _)| *theirs == word) else {
            return refusal(400, "INVALID_PARAM_VALUE", "invalid interval");
        };
        let (Some(one), Some(state)) = (self.world.one(at), self.world.states.get(at)) else {
            return refusal(404, "NOT_FOUND", "not found");
        };
        let seconds = now.as_ms().div_euclid(1_000);
        let limit = number(params, "limit", 100_i64).clamp(1, 1_000);
        let to = number(params, "to", seconds).min(seconds);
        let from = number(params, "from", to - (limit - 1) * length);
        if (to - from) / length > 2_000 {
            return refusal(
                400,
                "INVALID_PARAM_VALUE",
                "Candlestick too long ago. Maximum 10000 points ago are allowed",
            );
        }
        let first = from.div_euclid(length) * length + if from.rem_euclid(length) == 0 { 0 } else { length };
        let mut rows = Vec::new();
        let mut start = first;
        while start <= to {
            let bar = encode::bar(one, state, start, length);
            let [open, high, low, close] = bar.prices.map(|px| encode::px(px, &one.instrument));
            let (volume, turnover, closed) = (bar.volume, bar.turnover, start + length <= seconds);
            rows.push(if encode::is_spot(&one.instrument) {
                format!(r#"["{start}","{turnover}","{close}","{high}","{low}","{open}","{volume}","{closed}"]"#)
            } else {
                format!(r#"{{"t":{start},"v":{volume},"c":"{close}","h":"{high}","l":"{low}","o":"{open}","sum":"{turnover}"}}"#)
            });
            start += length;
        }
        ok(format!("[{}]", rows.join(",")))
    }
}
