//! The REST side of the simulated venue.

use super::encode;
use super::world::World;
use super::{BinanceSim, best_first};
use crate::product::Product;
use model::{Level, Side, Ts, write_mantissa};
use source::market::Listed;
use std::collections::BTreeMap;

/// What comes back.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What was used of a section's weight in the minute.
pub(super) struct Weight {
    max: u32,
    minute: i64,
    used: u32,
    /// How often it was asked for more all the same.
    ignored: u32,
}

impl Weight {
    pub fn new(product: &Product) -> Self {
        Self { max: product.weight_max, minute: 0, used: 0, ignored: 0 }
    }

    /// Takes from the weight: what is used, or the status and the seconds to wait.
    fn take(&mut self, weight: u32, now: Ts) -> Result<u32, (u16, i64)> {
        let minute = now.as_ms().div_euclid(60_000);
        if minute != self.minute {
            (self.minute, self.used, self.ignored) = (minute, 0, 0);
        }
        self.used += weight;
        if self.used <= self.max {
            return Ok(self.used);
        }
        self.ignored += 1;
        let left = 60 - now.as_ms().rem_euclid(60_000) / 1_000;
        Err(if self.ignored > 10 { (418, 120) } else { (429, left) })
    }
}

fn refusal(status: u16, code: i32, words: &str) -> Answer {
    Answer { status, headers: Vec::new(), body: format!("{{\"code\":{code},\"msg\":\"{words}\"}}") }
}

impl BinanceSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let params: BTreeMap<&str, &str> = query.split('&').filter_map(|p| p.split_once('=')).collect();
        let Some(world) = self.worlds.get(endpoint) else { return refusal(404, -1, "not found") };
        let Some(call) = path.strip_prefix(world.product.rest) else { return refusal(404, -1, "not found") };
        let mut late = 0;
        if call == "/depth" && !world.states.is_empty() {
            late = std::mem::take(&mut self.late);
        }
        if self.rate_limit > 0 {
            self.rate_limit -= 1;
            return with_retry(429, 2);
        }
        let Some(weight) = self.weights.get_mut(endpoint) else { return refusal(404, -1, "not found") };
        let used = match weight.take(cost(call, &params, world.product), now) {
            Ok(used) => used,
            Err((status, seconds)) => return with_retry(status, seconds),
        };
        let mut answer = world.call(call, &params, late as usize, now);
        answer.headers.push(("X-MBX-USED-WEIGHT-1M", used.to_string()));
        answer
    }
}

fn with_retry(status: u16, seconds: i64) -> Answer {
    let mut answer = refusal(status, -1003, "Too many requests; please use the websocket for live updates.");
    answer.headers.push(("Retry-After", seconds.to_string()));
    answer
}

fn cost(call: &str, params: &BTreeMap<&str, &str>, product: &Product) -> u32 {
    let limit: u32 = params.get("limit").and_then(|l| l.parse().ok()).unwrap_or(100);
    match (call, product.futures) {
        ("/depth", _) => product.depth_weight(limit),
        ("/exchangeInfo", _) => product.listing_weight,
        ("/trades", false) => 25,
        ("/aggTrades", false) => 4,
        ("/klines" | "/ticker/24hr", false) => 2,
        _ => 1,
    }
}

impl World {
    fn call(&self, call: &str, params: &BTreeMap<&str, &str>, late: usize, now: Ts) -> Answer {
        let ok = |body: String| Answer { status: 200, headers: Vec::new(), body };
        match call {
            "/ping" => return ok("{}".to_owned()),
            "/time" => return ok(format!("{{\"serverTime\":{}}}", now.as_ms())),
            "/exchangeInfo" => {
                let head = format!("\"timezone\":\"UTC\",\"serverTime\":{},\"rateLimits\":[]", now.as_ms());
                return ok(format!(
                    "{{{head},\"exchangeFilters\":[],\"symbols\":[{}]}}",
                    self.rows.join(",")
                ));
            }
            _ => {}
        }
        let place = params.get("symbol").and_then(|symbol| self.place(symbol));
        let Some((at, one)) = place.and_then(|at| Some((at, self.market.listed().get(at)?))) else {
            return refusal(400, -1121, "Invalid symbol.");
        };
        let limit: usize = params.get("limit").and_then(|l| l.parse().ok()).unwrap_or(100);
        match call {
            "/depth" => ok(self.depth(at, one, limit, late, now)),
            "/trades" | "/aggTrades" => ok(self.prints(at, one, limit, call == "/aggTrades")),
            "/ticker/24hr" => ok(day(one, now)),
            "/klines" => ok(klines(one, params.get("interval").copied().unwrap_or("1m"), now)),
            "/openInterest" if self.product.futures => {
                let interest = self.states.get(at).map_or(0, |s| s.open_interest);
                let symbol = &one.instrument.symbol;
                ok(format!(
                    "{{\"openInterest\":\"{interest}.000\",\"symbol\":\"{symbol}\",\"time\":{}}}",
                    now.as_ms()
                ))
            }
            "/premiumIndex" if self.product.futures => {
                let (price, symbol) = (text(one.last.0.0, one.instrument.px_scale), &one.instrument.symbol);
                ok(format!(
                    "{{\"symbol\":\"{symbol}\",\"markPrice\":\"{price}\",\"indexPrice\":\"{price}\",\"estimatedSettlePrice\":\"{price}\",\"lastFundingRate\":\"0.00010000\",\"interestRate\":\"0.00010000\",\"nextFundingTime\":{},\"time\":{}}}",
                    (now.as_ms().div_euclid(28_800_000) + 1) * 28_800_000,
                    now.as_ms()
                ))
            }
            _ => refusal(404, -1, "not found"),
        }
    }

    /// The book as it is, or as it was `late` moves ago.
    fn depth(&self, at: usize, one: &Listed, limit: usize, late: usize, now: Ts) -> String {
        let (mut bids, mut asks) = (one.bids.clone(), one.asks.clone());
        let Some(state) = self.states.get(at) else { return "{}".to_owned() };
        let mut id = state.id;
        for past in state.past.iter().rev().take(late) {
            for (side, level) in past.undo.iter().rev() {
                let map = if *side == Side::Bid { &mut bids } else { &mut asks };
                if level.qty.0 == 0 {
                    map.remove(&level.px);
                } else {
                    map.insert(level.px, level.qty);
                }
            }
            id = past.before;
        }
        let level = |(px, qty): (&model::Px, &model::Qty)| Level { px: *px, qty: *qty };
        let bids: Vec<Level> = bids.iter().rev().take(limit).map(level).collect();
        let asks: Vec<Level> = asks.iter().take(limit).map(level).collect();
        encode::depth(one, &bids, &asks, id, self.product.futures, now)
    }

    fn prints(&self, at: usize, one: &Listed, limit: usize, merged: bool) -> String {
        let prints = self.states.get(at).map(|s| &s.prints).into_iter().flatten();
        let rows: Vec<String> = prints
            .rev()
            .take(limit.min(1_000))
            .map(|p| {
                let (px, qty) = (text(p.px.0, one.instrument.px_scale), text(p.qty.0, one.instrument.qty_scale));
                let (made, ms, id) = (p.aggressor == Side::Ask, p.ts.as_ms(), p.id);
                if merged {
                    format!("{{\"a\":{id},\"p\":\"{px}\",\"q\":\"{qty}\",\"f\":{id},\"l\":{id},\"T\":{ms},\"m\":{made}}}")
                } else {
                    format!("{{\"id\":{id},\"price\":\"{px}\",\"qty\":\"{qty}\",\"time\":{ms},\"isBuyerMaker\":{made}}}")
                }
            })
            .collect();
        format!("[{}]", rows.into_iter().rev().collect::<Vec<_>>().join(","))
    }
}

fn text(mantissa: i64, scale: u8) -> String {
    let mut out = Vec::new();
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn day(one: &Listed, now: Ts) -> String {
    let px = |px: model::Px| text(px.0, one.instrument.px_scale);
    let (bids, asks) = best_first(one);
    let best = |side: &[Level]| side.first().map_or("0".to_owned(), |l| px(l.px));
    format!(
        "{{\"symbol\":\"{}\",\"lastPrice\":\"{}\",\"openPrice\":\"{}\",\"highPrice\":\"{}\",\"lowPrice\":\"{}\",\"bidPrice\":\"{}\",\"askPrice\":\"{}\",\"volume\":\"{}\",\"count\":{},\"closeTime\":{}}}",
        one.instrument.symbol,
        px(one.last.0),
        px(one.range.0),
        px(one.range.1),
        px(one.range.2),
        best(&bids),
        best(&asks),
        model::Decimal::new(one.volume, one.instrument.qty_scale),
        one.trades,
        now.as_ms()
    )
}

/// The bar that is open.
fn klines(one: &Listed, interval: &str, now: Ts) -> String {
    let length = encode::interval_ms(interval).unwrap_or(60_000);
    let start = now.as_ms().div_euclid(length) * length;
    let (last, volume) =
        (text(one.last.0.0, one.instrument.px_scale), text(one.last.1.0, one.instrument.qty_scale));
    format!(
        "[[{start},\"{last}\",\"{last}\",\"{last}\",\"{last}\",\"{volume}\",{},\"0\",1,\"{volume}\",\"0\",\"0\"]]",
        start + length - 1
    )
}
