//! REST answers of the simulated venue.

use super::world::Print;
use super::{OkxSim, bars, encode};
use model::{InstrumentKind, Ts};
use source::market::Listed;

/// How many requests are answered in two seconds.
const REQUESTS_MAX: usize = 40;
const WINDOW_MS: i64 = 2_000;
/// How many past ratios of longs to shorts are kept.
const RATIOS_MAX: i64 = 1_440;

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    fn fine(data: &str) -> Self {
        let body = format!(r#"{{"code":"0","msg":"","data":[{data}]}}"#);
        Self { status: 200, headers: Vec::new(), body }
    }

    fn fault(status: u16, code: &str, words: &str) -> Self {
        let body = format!(r#"{{"code":"{code}","msg":"{words}","data":[]}}"#);
        Self { status, headers: Vec::new(), body }
    }
}

fn field<'q>(query: &'q str, name: &str) -> &'q str {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
}

/// `before` and `after`: newer than the one, older than the other.
fn bounds(query: &str) -> (Option<i64>, Option<i64>) {
    (field(query, "before").parse().ok(), field(query, "after").parse().ok())
}

/// Of each past period one ratio, the same whenever it is asked for, newest first.
fn ratios(at: usize, one: &Listed, query: &str, now: Ts) -> Answer {
    if !matches!(one.instrument.kind, InstrumentKind::Perpetual | InstrumentKind::Future) {
        return Answer::fault(200, "51001", "Instrument ID does not exist");
    }
    let word = match field(query, "period") {
        "" => "5m",
        word => word,
    };
    let Some(step) = bars::length_ms(word) else {
        return Answer::fault(200, "51000", "Parameter period error");
    };
    let limit = field(query, "limit").parse().unwrap_or(100).min(100);
    let bound = |name| field(query, name).parse::<i64>().ok();
    let (begin, end) = (bound("begin"), bound("end"));
    let newest = now.as_ms().div_euclid(step);
    let within = |n: &i64| end.is_none_or(|end| n * step < end) && begin.is_none_or(|begin| n * step > begin);
    let row = |n: i64| {
        let ratio = encode::text(8_000 + (n * 377 + at as i64 * 1_013).rem_euclid(6_000), 4);
        format!(r#"["{}","{ratio}"]"#, n * step)
    };
    let kept = (newest - RATIOS_MAX + 1..=newest).rev().filter(within).take(limit);
    Answer::fine(&kept.map(row).collect::<Vec<_>>().join(","))
}

impl OkxSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        self.asked.retain(|at| now.ms_since(*at) < WINDOW_MS);
        if self.rate_limit > 0 || self.asked.len() >= REQUESTS_MAX {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let limited = Answer::fault(429, "50011", "Too Many Requests");
            return Answer { headers: vec![("Retry-After", "1".to_owned())], ..limited };
        }
        self.asked.push(now);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            _ if endpoint != 0 => Answer::fault(404, "404", "Not Found"),
            "/api/v5/public/time" => Answer::fine(&format!(r#"{{"ts":"{}"}}"#, now.as_ms())),
            "/api/v5/system/status" => Answer::fine(""),
            "/api/v5/public/instruments" => self.instruments(query),
            "/api/v5/market/tickers" => {
                let places = self.world.of_type(field(query, "instType"));
                let listed = self.world.market.listed();
                let rows = places.into_iter().filter_map(|at| listed.get(at));
                let rows: Vec<String> = rows.map(|one| encode::ticker_row(one, now)).collect();
                Answer::fine(&rows.join(","))
            }
            "/api/v5/market/books"
            | "/api/v5/market/trades"
            | "/api/v5/market/history-trades"
            | "/api/v5/market/candles"
            | "/api/v5/market/history-candles"
            | "/api/v5/market/ticker"
            | "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract" => {
                self.of_instrument(path, query, now)
            }
            _ => Answer::fault(404, "404", "Not Found"),
        }
    }

    fn instruments(&self, query: &str) -> Answer {
        let product = field(query, "instType");
        let family = match field(query, "instFamily") {
            "" => field(query, "uly"),
            family => family,
        };
        if product == "OPTION" && family.is_empty() {
            return Answer::fault(400, "50014", "Parameter instFamily can not be empty.");
        }
        let places = self.world.of_type(product);
        let rows = places.into_iter().filter_map(|at| self.world.rows.get(at));
        let wanted = format!(r#""instFamily":"{family}""#);
        let rows: Vec<&str> =
            rows.map(String::as_str).filter(|row| family.is_empty() || row.contains(&wanted)).collect();
        Answer::fine(&rows.join(","))
    }

    fn of_instrument(&mut self, path: &str, query: &str, now: Ts) -> Answer {
        let Some(at) = self.world.place(field(query, "instId")) else {
            return Answer::fault(200, "51001", "Instrument ID does not exist");
        };
        let (Some(one), Some(state)) = (self.world.market.listed().get(at), self.world.states.get(at)) else {
            return Answer::fault(200, "51001", "Instrument ID does not exist");
        };
        match path {
            "/api/v5/market/ticker" => Answer::fine(&encode::ticker_row(one, now)),
            "/api/v5/market/trades" => {
                let limit = field(query, "limit").parse().unwrap_or(100).min(500);
                let prints = state.prints.iter().take(limit);
                let rows: Vec<String> = prints.map(|p| encode::trade_row(&one.instrument, p)).collect();
                Answer::fine(&rows.join(","))
            }
            "/api/v5/market/history-trades" => {
                let limit = field(query, "limit").parse().unwrap_or(100).min(100);
                let by_time = field(query, "type") == "2";
                let (before, after) = bounds(query);
                let fits = |p: &&Print| {
                    let key = if by_time { p.ts.as_ms() } else { p.id as i64 };
                    after.is_none_or(|after| key < after)
                        && before.filter(|_| !by_time).is_none_or(|before| key > before)
                };
                let prints = state.prints.iter().filter(fits).take(limit);
                let rows: Vec<String> = prints.map(|p| encode::past_row(&one.instrument, p)).collect();
                Answer::fine(&rows.join(","))
            }
            "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract" => ratios(at, one, query, now),
            "/api/v5/market/books" => {
                let depth = field(query, "sz").parse().unwrap_or(1).min(400);
                let Some((shown, _)) = self.world.shown(at, self.late) else { return Answer::fine("") };
                let (bids, asks) = (shown.best_bids(depth), shown.best_asks(depth));
                let row = encode::top_row(&one.instrument, &bids, &asks, (shown.seq, now), false);
                Answer::fine(&row)
            }
            _ => {
                let word = match field(query, "bar") {
                    "" => "1m",
                    word => word,
                };
                let (instrument, last) = (one.instrument.clone(), one.last.0);
                self.bars.want(at, word, last, &state.prints, now);
                let Some(series) = self.bars.all.get(&(at, word.to_owned())) else {
                    return Answer::fault(200, "51000", "Parameter bar error");
                };
                let current = [(&series.current, false)];
                let all = current.into_iter().chain(series.closed.iter().map(|bar| (bar, true)));
                let (before, after) = bounds(query);
                let limit = field(query, "limit").parse().unwrap_or(100).min(100);
                let within = |(bar, _): &(&bars::Bar, bool)| {
                    before.is_none_or(|before| bar.start_ms > before)
                        && after.is_none_or(|after| bar.start_ms < after)
                };
                let all = all.filter(within).take(limit);
                let rows: Vec<String> =
                    all.map(|(bar, closed)| bars::row(&instrument, bar, closed)).collect();
                Answer::fine(&rows.join(","))
            }
        }
    }
}
