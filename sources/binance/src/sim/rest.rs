//! The REST side of the simulated venue.

use super::BinanceSim;
use super::bars::{Bar, interval_ms};
use super::encode;
use super::feeds::best_levels;
use super::rows;
use super::world::{Print, World};
use crate::product::Product;
use model::{Level, Px, Qty, Side, Ts};
use source::market::Listed;
use std::collections::BTreeMap;

/// How many requests past the limit are answered by 429 before the address is banned.
const IGNORED_MAX: u32 = 10;

/// Ratios of long accounts to short ones, behind `/futures/data`.
const RATIO: &str = "/globalLongShortAccountRatio";
/// Over which periods they are counted.
const RATIO_PERIODS: [&str; 9] = ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"];

type Params<'a> = BTreeMap<&'a str, &'a str>;

/// What comes back.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What was used of a limit in the window of time at hand.
pub(super) struct Weight {
    max: u32,
    window_ms: i64,
    window: i64,
    used: u32,
    /// How often it was asked for more all the same.
    ignored: u32,
}

impl Weight {
    /// At most so much in each minute.
    pub const fn new(product: &Product) -> Self {
        Self { max: product.weight_max, window_ms: 60_000, window: 0, used: 0, ignored: 0 }
    }

    /// What USD-M counts apart: 1000 requests for ratios in 5 minutes.
    pub const fn ratios() -> Self {
        Self { max: 1_000, window_ms: 300_000, window: 0, used: 0, ignored: 0 }
    }

    /// Takes from the weight: what is used, or the status and the seconds to wait.
    fn take(&mut self, weight: u32, now: Ts) -> Result<u32, (u16, i64)> {
        let window = now.as_ms().div_euclid(self.window_ms);
        if window != self.window {
            (self.window, self.used, self.ignored) = (window, 0, 0);
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.max {
            return Ok(self.used);
        }
        self.ignored += 1;
        let left = (self.window_ms - now.as_ms().rem_euclid(self.window_ms) + 999) / 1_000;
        Err(if self.ignored > IGNORED_MAX { (418, 120) } else { (429, left) })
    }
}

fn refusal(status: u16, code: i32, words: &str) -> Answer {
    Answer { status, headers: Vec::new(), body: format!("{{\"code\":{code},\"msg\":\"{words}\"}}") }
}

fn with_retry(status: u16, seconds: i64) -> Answer {
    let mut answer = refusal(status, -1003, "Too many requests; please use the websocket for live updates.");
    answer.headers.push(("Retry-After", seconds.to_string()));
    answer
}

impl BinanceSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let params: Params<'_> = query.split('&').filter_map(|p| p.split_once('=')).collect();
        let (Some(world), Some(weight)) = (self.worlds.get_mut(endpoint), self.weights.get_mut(endpoint))
        else {
            return refusal(404, -1, "not found");
        };
        let data = || path.strip_prefix("/futures/data").filter(|_| world.product.futures);
        let Some(call) = path.strip_prefix(world.product.rest).or_else(data) else {
            return refusal(404, -1, "not found");
        };
        if self.rate_limit > 0 {
            self.rate_limit -= 1;
            return with_retry(429, 2);
        }
        let apart = call == RATIO && !world.product.inverse;
        let ratios = if apart { self.ratios.take(1, now) } else { Ok(0) };
        let cost = if apart { 0 } else { cost(call, &params, world.product) };
        let used = match ratios.and_then(|_| weight.take(cost, now)) {
            Ok(used) => used,
            Err((status, seconds)) => return with_retry(status, seconds),
        };
        let mut answer = world.call(call, &params, self.late as usize, now);
        answer.headers.push(("X-MBX-USED-WEIGHT-1M", used.to_string()));
        answer
    }
}

fn limit(params: &Params<'_>, otherwise: u32) -> u32 {
    params.get("limit").and_then(|l| l.parse().ok()).unwrap_or(otherwise)
}

fn number(params: &Params<'_>, name: &str) -> Option<i64> {
    params.get(name).and_then(|text| text.parse().ok())
}

fn cost(call: &str, params: &Params<'_>, product: &Product) -> u32 {
    match (call, product.futures) {
        ("/depth", _) => product.depth_weight(limit(params, 100)),
        ("/exchangeInfo", _) => product.listing_weight,
        ("/aggTrades", false) => 4,
        ("/ticker/24hr", futures) if !params.contains_key("symbol") => {
            if futures {
                40
            } else {
                80
            }
        }
        ("/klines" | "/ticker/24hr", false) => 2,
        ("/trades" | "/historicalTrades", false) => 25,
        ("/klines" | "/trades", true) => 5,
        ("/aggTrades" | "/historicalTrades", true) => 20,
        _ => 1,
    }
}

impl World {
    fn call(&mut self, call: &str, params: &Params<'_>, late: usize, now: Ts) -> Answer {
        let ok = |body: String| Answer { status: 200, headers: Vec::new(), body };
        match call {
            "/ping" => return ok("{}".to_owned()),
            "/time" => return ok(format!("{{\"serverTime\":{}}}", now.as_ms())),
            "/exchangeInfo" => return ok(rows::listing(self.product, &self.rows, now)),
            "/ticker/24hr" if !params.contains_key("symbol") => {
                let rows: Vec<String> = self.listed().map(|one| day(one, now)).collect();
                return ok(format!("[{}]", rows.join(",")));
            }
            _ => {}
        }
        if call == RATIO {
            return self.ratios(params, now);
        }
        let Some(at) = params.get("symbol").and_then(|symbol| self.place(symbol)) else {
            return refusal(400, -1121, "Invalid symbol.");
        };
        if call == "/depth" {
            return self
                .depth(at, limit(params, 100), late, now)
                .map_or_else(|| refusal(400, -1121, "Invalid symbol."), ok);
        }
        let futures = self.product.futures;
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return refusal(400, -1121, "Invalid symbol.");
        };
        let symbol = &one.instrument.symbol;
        match call {
            "/trades" | "/historicalTrades" | "/aggTrades" => ok(self.prints(at, call, params)),
            "/ticker/24hr" => ok(day(one, now)),
            "/klines" => {
                let name = params.get("interval").copied().unwrap_or_default();
                let last = one.last.0;
                let Some(series) = state.bars.series(name, futures, last, &state.prints, now) else {
                    return refusal(400, -1120, "Invalid interval.");
                };
                let (from, to) = (number(params, "startTime"), number(params, "endTime"));
                let within = |b: &&Bar| {
                    from.is_none_or(|from| b.start_ms >= from) && to.is_none_or(|to| b.start_ms <= to)
                };
                let all = series.closed.iter().chain([&series.current]).filter(within);
                let all: Vec<String> = all.map(|b| encode::kline_row(one, b)).collect();
                let most = limit(params, 500).min(1_000) as usize;
                // From a time on the first ones, else the last ones.
                let skip = if from.is_some() { 0 } else { all.len().saturating_sub(most) };
                let some = all.get(skip..).unwrap_or_default();
                ok(format!("[{}]", some.get(..most.min(some.len())).unwrap_or_default().join(",")))
            }
            "/openInterest" if futures => {
                let open = encode::qty(one, Qty(state.open_interest));
                let time = now.as_ms();
                ok(format!("{{\"openInterest\":\"{open}\",\"symbol\":\"{symbol}\",\"time\":{time}}}"))
            }
            "/premiumIndex" if futures => {
                let encode::Marks { mark, index, rate, next } = encode::marks(one, now);
                ok(format!(
                    "{{\"symbol\":\"{symbol}\",\"markPrice\":\"{mark}\",\"indexPrice\":\"{index}\",\"estimatedSettlePrice\":\"{index}\",\"lastFundingRate\":\"{rate}\",\"interestRate\":\"0.00010000\",\"nextFundingTime\":{next},\"time\":{}}}",
                    now.as_ms()
                ))
            }
            _ => refusal(404, -1, "not found"),
        }
    }

    /// How long accounts stand to short ones, oldest first: of a symbol, on COIN-M of a pair. Each period has a value of its
    /// own, told when it is over.
    fn ratios(&self, params: &Params<'_>, now: Ts) -> Answer {
        let inverse = self.product.inverse;
        let key = if inverse { "pair" } else { "symbol" };
        let name = params.get(key).copied().unwrap_or_default();
        let symbol = if inverse { format!("{name}_PERP") } else { name.to_owned() };
        let Some(at) = self.place(&symbol) else { return refusal(400, -1121, "Invalid symbol.") };
        let period = params.get("period").copied().filter(|name| RATIO_PERIODS.contains(name));
        let Some(length) = period.and_then(|name| interval_ms(name, true)) else {
            return refusal(400, -1130, "Data sent for parameter 'period' is not valid.");
        };
        let last = now.as_ms().div_euclid(length);
        let rows = (0..i64::from(limit(params, 30).min(500))).rev().map(|back| {
            let ms = (last - back) * length;
            // Out of ten thousand accounts.
            let long = 4_000 + (ms / length * 37 + at as i64 * 411).rem_euclid(2_000);
            let short = 10_000 - long;
            let [long, short, ratio] =
                [long, short, (long * 10_000 + short / 2) / short].map(|n| encode::padded(n, 4, 4));
            format!(
                "{{\"{key}\":\"{name}\",\"longAccount\":\"{long}\",\"longShortRatio\":\"{ratio}\",\"shortAccount\":\"{short}\",\"timestamp\":{ms}}}"
            )
        });
        let body = format!("[{}]", rows.collect::<Vec<_>>().join(","));
        Answer { status: 200, headers: Vec::new(), body }
    }

    /// A snapshot of at most 5000 levels a side, on futures 1000.
    fn depth(&mut self, at: usize, limit: u32, late: usize, now: Ts) -> Option<String> {
        let (id, [bids, asks]) = self.snapshot(at, late)?;
        let most = self.product.depth_weights.last().map_or(1_000, |(levels, _)| *levels);
        let depth = limit.min(most) as usize;
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        let bids: Vec<Level> = bids.iter().rev().take(depth).map(level).collect();
        let asks: Vec<Level> = asks.iter().take(depth).map(level).collect();
        let one = self.market.listed().get(at)?;
        Some(encode::depth(one, &bids, &asks, id, self.product.futures, now))
    }

    /// Trades as the calls for them give them: the newest, or the first from an id or a time on.
    fn prints(&self, at: usize, call: &str, params: &Params<'_>) -> String {
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get(at)) else {
            return "[]".to_owned();
        };
        let merged = call == "/aggTrades";
        let most = limit(params, 500).min(1_000) as usize;
        let (from, to) = (number(params, "startTime"), number(params, "endTime"));
        let id = number(params, "fromId").filter(|_| call != "/trades");
        let fits = |p: &&Print| {
            let own = if merged { p.merged_id } else { p.id } as i64;
            if let Some(id) = id {
                return own >= id;
            }
            let ms = p.ts.as_ms();
            !merged || (from.is_none_or(|from| ms >= from) && to.is_none_or(|to| ms <= to))
        };
        let all: Vec<&Print> = state.prints.iter().filter(fits).collect();
        let first = id.is_some() || (merged && from.is_some());
        let skip = if first { 0 } else { all.len().saturating_sub(most) };
        let row = |p: &Print| -> String {
            let (px, qty) = (encode::px(one, p.px), encode::qty(one, p.qty));
            let (made, ms, id, a) = (p.aggressor == Side::Ask, p.ts.as_ms(), p.id, p.merged_id);
            if merged {
                format!(
                    "{{\"a\":{a},\"p\":\"{px}\",\"q\":\"{qty}\",\"f\":{id},\"l\":{id},\"T\":{ms},\"m\":{made}}}"
                )
            } else {
                format!(
                    "{{\"id\":{id},\"price\":\"{px}\",\"qty\":\"{qty}\",\"time\":{ms},\"isBuyerMaker\":{made}}}"
                )
            }
        };
        let rows: Vec<String> = all.into_iter().skip(skip).take(most).map(row).collect();
        format!("[{}]", rows.join(","))
    }
}

/// `{"symbol":"BTCUSDT","priceChangePercent":"1.587","lastPrice":"64000.10",…}`
fn day(one: &Listed, now: Ts) -> String {
    let (open, high, low) = one.range;
    let [last, open, high, low] = [one.last.0, open, high, low].map(|px| encode::px(one, px));
    let (bids, asks) = best_levels(one, 1);
    let best = |side: &[Level]| side.first().map_or("0".to_owned(), |l| encode::px(one, l.px));
    let (volume, money) = encode::sums(one, one.volume, one.turnover);
    let sum = if encode::is_inverse(one) { "baseVolume" } else { "quoteVolume" };
    format!(
        "{{\"symbol\":\"{}\",\"priceChangePercent\":\"{}\",\"lastPrice\":\"{last}\",\"openPrice\":\"{open}\",\"highPrice\":\"{high}\",\"lowPrice\":\"{low}\",\"bidPrice\":\"{}\",\"askPrice\":\"{}\",\"volume\":\"{volume}\",\"{sum}\":\"{money}\",\"count\":{},\"closeTime\":{}}}",
        one.instrument.symbol,
        encode::percent(one),
        best(&bids),
        best(&asks),
        one.trades,
        now.as_ms()
    )
}
