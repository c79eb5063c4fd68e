//! REST of the spot market.

use super::{Answer, asset, field, key, named};
use crate::sim::world::{Minute, Print, World};
use crate::sim::{KrakenSim, encode};
use model::{Instrument, Level, Side, Ts};
use std::fmt::Write;

/// How many bars the venue keeps.
const BARS_MAX: usize = 720;

/// Rows of coins in the channel `instrument`.
pub fn assets(world: &World) -> String {
    let row = |coin: &str| {
        format!(
            r#"{{"id":"{coin}","status":"enabled","precision":10,"precision_display":5,"multiplier":1,"borrowable":true,"collateral_value":1.0,"margin_rate":0.02}}"#
        )
    };
    let mut rows = vec![row("USD")];
    rows.extend(world.market.listed().iter().map(|l| row(&l.instrument.base)));
    rows.join(",")
}

/// A number with all digits of its scale, as REST writes it.
fn full(mantissa: i64, scale: u8) -> String {
    let text = encode::number(mantissa, scale);
    let has = text.split_once('.').map_or(0, |(_, part)| part.len());
    let zeros = "0".repeat(usize::from(scale).saturating_sub(has));
    match (text.contains('.'), zeros.is_empty()) {
        (true, _) => text + &zeros,
        (false, true) => text,
        (false, false) => format!("{text}.{zeros}"),
    }
}

/// Seconds with so many digits after the point.
fn seconds(ts: Ts, places: usize) -> String {
    let part = format!("{:09}", ts.0.rem_euclid(1_000_000_000));
    format!("{}.{}", ts.0.div_euclid(1_000_000_000), part.get(..places.min(9)).unwrap_or_default())
}

impl KrakenSim {
    pub(super) fn pair_answer(&self, what: &str, query: &str, now: Ts) -> Option<Answer> {
        let unknown = || Answer::error("EQuery:Unknown asset pair");
        let places = named(&self.spot, query);
        let body = match what {
            "Time" => {
                let now = now.as_ms().div_euclid(1_000);
                format!(
                    r#"{{"error":[],"result":{{"unixtime":{now},"rfc1123":"Thu, 01 Sep 26 12:00:00 +0000"}}}}"#
                )
            }
            "SystemStatus" => {
                let now = crate::time::write(now, 0);
                format!(r#"{{"error":[],"result":{{"status":"online","timestamp":"{now}"}}}}"#)
            }
            "Assets" => self.coins(),
            "AssetPairs" => match (field(query, "pair"), places) {
                (None, _) => self.spot.listing.clone(),
                (Some(_), Some(places)) => self.some_pairs(&places),
                (Some(_), None) => return Some(unknown()),
            },
            "Ticker" | "Depth" | "Trades" | "OHLC" | "Spread" => match places {
                Some(places) => return self.market_answer(what, &places, query, now),
                None => return Some(unknown()),
            },
            _ => return None,
        };
        Some(Answer::ok(body))
    }

    fn coins(&self) -> String {
        let row = |theirs: &str, old: &str| {
            format!(
                r#""{theirs}":{{"aclass":"currency","altname":"{old}","decimals":10,"display_decimals":5,"status":"enabled"}}"#
            )
        };
        let mut rows = vec![row("ZUSD", "USD")];
        let coins = self.spot.market.listed().iter().map(|l| &*l.instrument.base);
        rows.extend(coins.map(|coin| row(&asset(coin), crate::names::old_coin(coin))));
        format!(r#"{{"error":[],"result":{{{}}}}}"#, rows.join(","))
    }

    fn some_pairs(&self, places: &[usize]) -> String {
        let all: serde_json::Value = serde_json::from_str(&self.spot.listing).unwrap_or_default();
        let row = |at: &usize| {
            let key = key(&self.spot, *at);
            let row = all.pointer(&format!("/result/{key}"))?;
            Some(format!(r#""{key}":{row}"#))
        };
        let rows: Vec<String> = places.iter().filter_map(row).collect();
        format!(r#"{{"error":[],"result":{{{}}}}}"#, rows.join(","))
    }

    fn market_answer(&self, what: &str, places: &[usize], query: &str, now: Ts) -> Option<Answer> {
        if what == "Ticker" {
            let rows: Vec<String> = places.iter().filter_map(|at| self.ticker(*at)).collect();
            return Some(Answer::ok(format!(r#"{{"error":[],"result":{{{}}}}}"#, rows.join(","))));
        }
        let ([at], true) = (places, field(query, "pair").is_some()) else {
            return Some(Answer::error("EGeneral:Invalid arguments"));
        };
        let number = |name: &str| field(query, name).and_then(|n| n.parse::<i64>().ok());
        let (rows, last) = match what {
            "Depth" => {
                let depth = number("count").and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
                (self.depth(*at, depth, now)?, None)
            }
            "Trades" => self.trades(*at, number("since"), number("count")),
            "OHLC" => self.bars(*at, number("interval").unwrap_or(1), number("since"), now)?,
            _ => self.spread(*at, now)?,
        };
        let last = last.map_or(String::new(), |last| format!(r#","last":{last}"#));
        Some(Answer::ok(format!(r#"{{"error":[],"result":{{"{}":{rows}{last}}}}}"#, key(&self.spot, *at))))
    }

    fn ticker(&self, at: usize) -> Option<String> {
        let one = self.spot.listed(at)?;
        let i = &*one.instrument;
        let (px, qty) = (|v: i64| full(v, i.px_scale), |v: i64| full(v, i.qty_scale));
        let view = self.spot.view(at, 1);
        let best = |levels: &[Level]| levels.first().map_or((0, 0), |l| (l.px.0, l.qty.0));
        let ((bid, bid_qty), (ask, ask_qty)) = (best(&view.bids), best(&view.asks));
        let (open, high, low) = one.range;
        let (volume, mean) = (encode::sum(one.volume, i.qty_scale), encode::mean(one));
        let whole = |v: i64| v / 10_i64.pow(u32::from(i.qty_scale.min(18)));
        let (key, low, high, open) = (key(&self.spot, at), px(low.0), px(high.0), px(open.0));
        let (trades, last, last_qty) = (one.trades, px(one.last.0.0), qty(one.last.1.0));
        let mut row = format!(r#""{key}":{{"a":["{}","{}","{}"],"#, px(ask), whole(ask_qty), qty(ask_qty));
        let _ = write!(row, r#""b":["{}","{}","{}"],"#, px(bid), whole(bid_qty), qty(bid_qty));
        let _ = write!(
            row,
            r#""c":["{last}","{last_qty}"],"v":["{volume}","{volume}"],"p":["{mean}","{mean}"],"t":[{trades},{trades}],"l":["{low}","{low}"],"h":["{high}","{high}"],"o":"{open}"}}"#
        );
        Some(row)
    }

    fn depth(&self, at: usize, depth: usize, now: Ts) -> Option<String> {
        let i = self.spot.instrument(at)?;
        let view = self.spot.earlier(at, self.late);
        let second = now.as_ms().div_euclid(1_000);
        let side = |levels: &[Level]| {
            let row = |l: &Level| {
                format!(r#"["{}","{}",{second}]"#, full(l.px.0, i.px_scale), full(l.qty.0, i.qty_scale))
            };
            levels.iter().take(depth).map(row).collect::<Vec<_>>().join(",")
        };
        Some(format!(r#"{{"asks":[{}],"bids":[{}]}}"#, side(&view.asks), side(&view.bids)))
    }

    /// Trades after `since` (ns), oldest first; without it the newest.
    fn trades(&self, at: usize, since: Option<i64>, count: Option<i64>) -> (String, Option<String>) {
        let count = count.and_then(|n| usize::try_from(n).ok()).unwrap_or(1_000).clamp(1, 1_000);
        let Some((i, state)) = self.spot.instrument(at).zip(self.spot.states.get(at)) else {
            return (String::new(), None);
        };
        let all = &state.trades;
        let first = match since {
            Some(since) => all.partition_point(|p| p.at.0 <= since),
            None => all.len().saturating_sub(count),
        };
        let some: Vec<&Print> = all.iter().skip(first).take(count).collect();
        let last = some.last().map_or(since.unwrap_or(0), |p| p.at.0);
        let rows: Vec<String> = some.into_iter().map(|p| trade(i, p)).collect();
        (format!("[{}]", rows.join(",")), Some(format!("\"{last}\"")))
    }

    /// The newest bars, those at or after `since` (s).
    fn bars(&self, at: usize, minutes: i64, since: Option<i64>, now: Ts) -> Option<(String, Option<String>)> {
        crate::rows::interval(u64::try_from(minutes).ok()?)?;
        let i = self.spot.instrument(at)?;
        let starts = self.spot.starts(at, minutes);
        let kept = starts.len().saturating_sub(BARS_MAX);
        let mut rows = Vec::new();
        for start in
            starts.into_iter().skip(kept).filter(|start| since.is_none_or(|since| start * 60 > since))
        {
            let Some(Minute { open, high, low, close, qty, turnover, trades }) =
                self.spot.bar(at, start, minutes)
            else {
                continue;
            };
            let px = |v: i64| full(v, i.px_scale);
            let mean = px(i64::try_from(turnover / qty.max(1)).unwrap_or(0));
            let mut row = format!(r#"[{},"{}","{}","#, start * 60, px(open.0), px(high.0));
            let _ = write!(
                row,
                r#""{}","{}","{mean}","{}",{trades}]"#,
                px(low.0),
                px(close.0),
                encode::sum(qty, i.qty_scale)
            );
            rows.push(row);
        }
        let last = now.as_ms().div_euclid(60_000).div_euclid(minutes) * minutes * 60 - minutes * 60;
        Some((format!("[{}]", rows.join(",")), Some(last.to_string())))
    }

    fn spread(&self, at: usize, now: Ts) -> Option<(String, Option<String>)> {
        let i = self.spot.instrument(at)?;
        let view = self.spot.view(at, 1);
        let px = |levels: &[Level]| full(levels.first().map_or(0, |l| l.px.0), i.px_scale);
        let second = now.as_ms().div_euclid(1_000);
        let row = format!(r#"[[{second},"{}","{}"]]"#, px(&view.bids), px(&view.asks));
        Some((row, Some(second.to_string())))
    }
}

fn trade(i: &Instrument, p: &Print) -> String {
    let word = if p.aggressor == Side::Bid { "b" } else { "s" };
    format!(
        r#"["{}","{}",{},"{word}","l","",{}]"#,
        full(p.px.0, i.px_scale),
        full(p.qty.0, i.qty_scale),
        seconds(p.at, 7),
        p.id
    )
}
