//! Methods that are answered by REST and over the WebSocket alike.

use super::encode;
use super::feeds::{currency, kind};
use super::world::Print;
use super::{DeribitSim, bars};
use model::{Instrument, Ts};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a method costs of the pool.
const COST: i64 = 500;
/// What a listing costs of it.
const LISTING_COST: i64 = 10_000;
/// How many trades an answer may hold.
const TRADES_MAX: usize = 1_000;

/// An error: its code and message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault(pub i64, pub &'static str);

/// The parameters of a method.
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    fn of_query(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    pub fn of_json(value: &Value) -> Self {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let pairs = value.as_object().into_iter().flatten();
        Self(pairs.map(|(k, v)| (k.clone(), text(v))).collect())
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).parse().ok()
    }
}

/// An answer by REST.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl DeribitSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let method = path.strip_prefix("/api/v2/public/").filter(|_| endpoint == 0);
        let Some(method) = method else {
            return Answer { status: 404, headers: Vec::new(), body: "Not Found".to_owned() };
        };
        let cost = if method == "get_instruments" { LISTING_COST } else { COST };
        if self.rate_limit > 0 || !self.pool.take(cost, now) {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let body = Self::envelope(Err(Fault(10_028, "too_many_requests")), now);
            return Answer { status: 429, headers: vec![("Retry-After", "1".to_owned())], body };
        }
        let result = self.answer_method(method, &Params::of_query(query), now);
        let status = if result.is_ok() { 200 } else { 400 };
        Answer { status, headers: Vec::new(), body: Self::envelope(result, now) }
    }

    fn envelope(result: Result<String, Fault>, now: Ts) -> String {
        let us = now.0.div_euclid(1_000);
        let what = match result {
            Ok(result) => format!(r#""result":{result}"#),
            Err(Fault(code, message)) => {
                format!(r#""error":{{"code":{code},"message":"{message}"}}"#)
            }
        };
        format!(r#"{{"jsonrpc":"2.0",{what},"usIn":{us},"usOut":{},"usDiff":250,"testnet":false}}"#, us + 250)
    }

    pub(super) fn answer_method(&mut self, method: &str, params: &Params, now: Ts) -> Result<String, Fault> {
        match method {
            "get_time" => Ok(now.as_ms().to_string()),
            "test" | "hello" => Ok(r#"{"version":"1.2.26"}"#.to_owned()),
            "status" => Ok(r#"{"locked":"false","locked_indices":[]}"#.to_owned()),
            "get_currencies" => Ok(self.currencies()),
            "get_instruments" => Ok(self.instruments(params)),
            "get_index_price_names" => {
                let names: Vec<String> =
                    self.world.indices().iter().map(|name| format!(r#""{name}""#)).collect();
                Ok(format!("[{}]", names.join(",")))
            }
            "get_index_price" => {
                let index = self.world.index(params.get("index_name"));
                let (px, scale) = index.ok_or(Fault(-32_602, "Invalid params"))?;
                let price = encode::float(i128::from(px.0), scale);
                Ok(format!(r#"{{"index_price":{price},"estimated_delivery_price":{price}}}"#))
            }
            "get_book_summary_by_currency" => Ok(self.summaries(params, now)),
            "get_last_trades_by_currency" | "get_last_trades_by_currency_and_time" => {
                let places = (0..self.world.states.len())
                    .filter(|at| self.world.instrument(*at).is_some_and(|i| fits(i, params)));
                Ok(self.trades_of(places.collect(), params))
            }
            _ => self.of_instrument(method, params, now),
        }
    }

    fn of_instrument(&mut self, method: &str, params: &Params, now: Ts) -> Result<String, Fault> {
        let known = [
            "get_instrument",
            "ticker",
            "get_order_book",
            "get_book_summary_by_instrument",
            "get_last_trades_by_instrument",
            "get_last_trades_by_instrument_and_time",
            "get_tradingview_chart_data",
            "get_funding_rate_value",
            "get_contract_size",
        ];
        if !known.contains(&method) {
            return Err(Fault(-32_601, "Method not found"));
        }
        let at = self.world.place(params.get("instrument_name"));
        let at = at.ok_or(Fault(13_020, "not_found"))?;
        let gone = || Fault(13_020, "not_found");
        match method {
            "get_instrument" => self.world.rows.get(at).cloned().ok_or_else(gone),
            "ticker" => self.seen(at, |seen| format!("{{{}}}", seen.keys(now))).ok_or_else(gone),
            "get_book_summary_by_instrument" => {
                self.seen(at, |seen| format!("[{}]", seen.summary(now))).ok_or_else(gone)
            }
            "get_order_book" => {
                let depth = params.number("depth").unwrap_or(5_usize);
                let keys = self.seen(at, |seen| seen.keys(now)).ok_or_else(gone)?;
                let instrument = self.world.instrument(at).cloned().ok_or_else(gone)?;
                let (shown, _) = self.world.states.get(at).ok_or_else(gone)?.raw.late(self.late);
                let sides = encode::sides(&instrument, &shown, depth);
                Ok(format!(r#"{{{keys},"change_id":{},{sides}}}"#, shown.seq))
            }
            "get_tradingview_chart_data" => self.chart(at, params, now),
            "get_funding_rate_value" => Ok("1.0e-5".to_owned()),
            "get_contract_size" => Ok(r#"{"contract_size":10}"#.to_owned()),
            _ => Ok(self.trades_of(vec![at], params)),
        }
    }

    fn currencies(&self) -> String {
        let mut names: Vec<&str> = vec!["USDC"];
        for one in self.world.market.listed() {
            if !names.contains(&&*one.instrument.base) {
                names.push(&one.instrument.base);
            }
        }
        let row = |name: &&str| {
            format!(
                r#"{{"currency":"{name}","currency_long":"{name}","coin_type":"{name}","decimals":8,"fee_precision":4,"min_confirmations":1,"min_withdrawal_fee":1.0e-4,"withdrawal_fee":1.0e-4,"network_fee":1.0e-4,"network_currency":"{name}","in_cross_collateral_pool":false,"withdrawal_priorities":[]}}"#
            )
        };
        let rows: Vec<String> = names.iter().map(row).collect();
        format!("[{}]", rows.join(","))
    }

    fn instruments(&self, params: &Params) -> String {
        if params.get("expired") == "true" {
            return "[]".to_owned();
        }
        let all = self.world.market.listed().iter().zip(&self.world.rows);
        let rows: Vec<&str> =
            all.filter(|(l, _)| fits(&l.instrument, params)).map(|(_, row)| row.as_str()).collect();
        format!("[{}]", rows.join(","))
    }

    fn summaries(&self, params: &Params, now: Ts) -> String {
        let rows: Vec<String> = (0..self.world.states.len())
            .filter(|at| self.world.instrument(*at).is_some_and(|i| fits(i, params)))
            .filter_map(|at| self.seen(at, |seen| seen.summary(now)))
            .collect();
        format!("[{}]", rows.join(","))
    }

    /// Trades by number or time, newest first unless `sorting` says `asc`.
    fn trades_of(&self, places: Vec<usize>, params: &Params) -> String {
        let (first, last) = (params.number::<u64>("start_seq"), params.number::<u64>("end_seq"));
        let (from, to) = (params.number::<i64>("start_timestamp"), params.number::<i64>("end_timestamp"));
        let fits = |p: &Print| {
            first.is_none_or(|n| p.seq >= n)
                && last.is_none_or(|n| p.seq <= n)
                && from.is_none_or(|ms| p.ts.as_ms() >= ms)
                && to.is_none_or(|ms| p.ts.as_ms() <= ms)
        };
        let mut all: Vec<(usize, Print)> = Vec::new();
        for at in places {
            let Some(state) = self.world.states.get(at) else { continue };
            all.extend(state.prints.iter().filter(|p| fits(p)).map(|p| (at, *p)));
        }
        let asc = params.get("sorting") == "asc";
        all.sort_by_key(|(_, p)| if asc { p.id.cast_signed() } else { -p.id.cast_signed() });
        let count = params.number("count").unwrap_or(10_usize).min(TRADES_MAX);
        let more = all.len() > count;
        let row = |(at, print): &(usize, Print)| -> Option<String> {
            let instrument: &Arc<Instrument> = self.world.instrument(*at)?;
            let scale = self.world.index_of(*at).map_or(0, |(_, scale)| scale);
            Some(encode::trade(instrument, print, scale))
        };
        let rows: Vec<String> = all.iter().take(count).filter_map(row).collect();
        format!(r#"{{"trades":[{}],"has_more":{more}}}"#, rows.join(","))
    }

    fn chart(&mut self, at: usize, params: &Params, now: Ts) -> Result<String, Fault> {
        let word = params.get("resolution").to_owned();
        let invalid = Fault(-32_602, "Invalid params");
        bars::length_ms(&word).ok_or(invalid)?;
        let (Some(from), Some(to)) =
            (params.number::<i64>("start_timestamp"), params.number::<i64>("end_timestamp"))
        else {
            return Err(invalid);
        };
        let (Some(one), Some(state)) = (self.world.market.listed().get(at), self.world.states.get(at)) else {
            return Err(invalid);
        };
        self.bars.want(at, &word, one.last.0, &state.prints, now);
        self.bars.roll(now);
        let Some(series) = self.bars.all.get(&(at, word)) else { return Err(invalid) };
        let bars = series.closed.iter().rev().chain([&series.current]);
        let within: Vec<&bars::Bar> = bars.filter(|b| (from..=to).contains(&b.start_ms)).collect();
        let status = if within.is_empty() { "no_data" } else { "ok" };
        let ticks: Vec<String> = within.iter().map(|b| b.start_ms.to_string()).collect();
        let mut columns: [Vec<String>; 6] = Default::default();
        for bar in &within {
            for (column, number) in columns.iter_mut().zip(bar.numbers(&one.instrument)) {
                column.push(number);
            }
        }
        let [open, high, low, close, volume, cost] = columns.map(|column| column.join(","));
        Ok(format!(
            r#"{{"status":"{status}","ticks":[{ticks}],"open":[{open}],"high":[{high}],"low":[{low}],"close":[{close}],"volume":[{volume}],"cost":[{cost}]}}"#,
            ticks = ticks.join(","),
        ))
    }
}

/// Whether an instrument is of the currency and kind that were asked for.
fn fits(instrument: &Instrument, params: &Params) -> bool {
    let (of, by_kind) = (params.get("currency"), params.get("kind"));
    let currency = matches!(of, "" | "any") || currency(instrument) == of;
    currency && (matches!(by_kind, "" | "any") || kind(instrument) == by_kind)
}
