//! REST of the derivatives.

use super::{Answer, field};
use crate::sim::KrakenSim;
use crate::sim::encode::{self, Statistics, number, pointed, sum};
use crate::sim::world::Print;
use crate::subscribe::RESOLUTIONS;
use crate::time;
use model::{Instrument, Level, Side, Ts};

/// How many trades one answer holds.
const TRADES: usize = 100;
/// How many bars one answer holds.
const BARS_MAX: usize = 1_000;

impl KrakenSim {
    pub(super) fn contract_answer(&self, path: &str, query: &str, now: Ts) -> Option<Answer> {
        if let Some(rest) = path.strip_prefix("/api/charts/v1/") {
            return self.charts(rest, query);
        }
        let what = path.strip_prefix("/derivatives/api/v3/")?;
        let clock = time::write(now, 3);
        let symbol = field(query, "symbol").map(str::to_uppercase);
        let place = symbol.as_deref().and_then(|s| self.futures.place(s));
        let failed = |words: &str| {
            Answer::ok(format!(r#"{{"result":"error","error":"{words}","serverTime":"{clock}"}}"#))
        };
        let told = |name: &str, body: &str| {
            Answer::ok(format!(r#"{{"result":"success","{name}":{body},"serverTime":"{clock}"}}"#))
        };
        Some(match what {
            "instruments" => told("instruments", &format!("[{}]", self.futures.rows.join(","))),
            "instruments/status" => {
                let row = |(_, symbol): (usize, &str)| {
                    format!(
                        r#"{{"tradeable":"{symbol}","experiencingDislocation":false,"priceDislocationDirection":null,"experiencingExtremeVolatility":false,"extremeVolatilityInitialMarginMultiplier":1}}"#
                    )
                };
                let rows: Vec<String> = self.futures.symbols().map(row).collect();
                told("instrumentStatus", &format!("[{}]", rows.join(",")))
            }
            "tickers" => {
                let rows: Vec<String> =
                    (0..self.futures.states.len()).filter_map(|at| self.contract_row(at, now)).collect();
                told("tickers", &format!("[{}]", rows.join(",")))
            }
            "orderbook" => match place.and_then(|at| self.orderbook(at)) {
                Some(book) => told("orderBook", &book),
                None => failed("invalidArgument: symbol"),
            },
            "history" => {
                let until = field(query, "lastTime").and_then(|t| time::rfc3339(t.as_bytes()));
                match place.and_then(|at| self.prints(at, until)) {
                    Some(rows) => told("history", &rows),
                    None => failed("invalidArgument: symbol"),
                }
            }
            other => {
                let symbol = other.strip_prefix("tickers/")?.to_uppercase();
                let row = self.futures.place(&symbol).and_then(|at| self.contract_row(at, now));
                match row {
                    Some(row) => told("ticker", &row),
                    None => failed("invalidArgument: symbol"),
                }
            }
        })
    }

    fn contract_row(&self, at: usize, now: Ts) -> Option<String> {
        let one = self.futures.listed(at)?;
        let i = &*one.instrument;
        let s = Statistics::of(one, now);
        let view = self.futures.view(at, 1);
        let best = |levels: &[Level]| levels.first().map_or((0, 0), |l| (l.px.0, l.qty.0));
        let ((bid, bid_qty), (ask, ask_qty)) = (best(&view.bids), best(&view.asks));
        let (px, qty) = (|v: i64| pointed(v, i.px_scale), |v: i64| pointed(v, i.qty_scale));
        let (open, high, low) = one.range;
        let funding = s
            .funding
            .map_or(String::new(), |rate| format!(r#""fundingRate":{rate},"fundingRatePrediction":{rate},"#));
        Some(format!(
            r#"{{"tag":"{}","pair":"{}:{}","symbol":"{}","markPrice":{},"bid":{},"bidSize":{},"ask":{},"askSize":{},"vol24h":{},"volumeQuote":{},"openInterest":{},"open24h":{},"high24h":{},"low24h":{},"last":{},"lastTime":"{}","lastSize":{},{funding}"suspended":false,"indexPrice":{},"postOnly":false,"change24h":0.0}}"#,
            s.tag,
            crate::names::old_coin(&i.base),
            i.quote,
            i.symbol,
            s.mark,
            px(bid),
            qty(bid_qty),
            px(ask),
            qty(ask_qty),
            sum(one.volume, i.qty_scale),
            s.quote_volume,
            s.open_interest,
            px(open.0),
            px(high.0),
            px(low.0),
            px(one.last.0.0),
            time::write(now, 3),
            qty(one.last.1.0),
            s.index,
        ))
    }

    fn orderbook(&self, at: usize) -> Option<String> {
        let i = self.futures.instrument(at)?;
        let view = self.futures.earlier(at, self.late);
        let side = |levels: &[Level]| {
            let row =
                |l: &Level| format!("[{},{}]", number(l.px.0, i.px_scale), number(l.qty.0, i.qty_scale));
            levels.iter().map(row).collect::<Vec<_>>().join(",")
        };
        Some(format!(r#"{{"bids":[{}],"asks":[{}]}}"#, side(&view.bids), side(&view.asks)))
    }

    /// The newest trades before `until`, the newest first.
    fn prints(&self, at: usize, until: Option<Ts>) -> Option<String> {
        let (i, state) = self.futures.instrument(at).zip(self.futures.states.get(at))?;
        let end = until.map_or(state.trades.len(), |until| state.trades.partition_point(|p| p.at < until));
        let some = state.trades.iter().take(end).rev().take(TRADES);
        let rows: Vec<String> = some.map(|p| print(i, p)).collect();
        Some(format!("[{}]", rows.join(",")))
    }

    /// `trade/PF_XBTUSD/1m?from=…&to=…`
    fn charts(&self, path: &str, query: &str) -> Option<Answer> {
        let mut parts = path.split('/');
        let (kind, symbol, word) = (parts.next()?, parts.next()?.to_uppercase(), parts.next()?);
        let (minutes, _) = RESOLUTIONS.iter().find(|(_, known)| *known == word)?;
        let at = self.futures.place(&symbol).filter(|_| matches!(kind, "trade" | "mark" | "spot"))?;
        let i = self.futures.instrument(at)?;
        let minutes = i64::try_from(*minutes).ok()?;
        let number = |name: &str| field(query, name).and_then(|n| n.parse::<i64>().ok());
        let (from, to) = (number("from").unwrap_or(0), number("to").unwrap_or(i64::MAX));
        let mut starts = self.futures.starts(at, minutes);
        starts.retain(|start| (from..=to).contains(&(start * 60)));
        let more = starts.len() > BARS_MAX;
        let row = |start: &i64| {
            let bar = self.futures.bar(at, *start, minutes)?;
            let px = |v: i64| encode::number(v, i.px_scale);
            Some(format!(
                r#"{{"time":{},"open":"{}","high":"{}","low":"{}","close":"{}","volume":"{}"}}"#,
                start * 60_000,
                px(bar.open.0),
                px(bar.high.0),
                px(bar.low.0),
                px(bar.close.0),
                sum(bar.qty, i.qty_scale)
            ))
        };
        let rows: Vec<String> = starts.iter().take(BARS_MAX).filter_map(row).collect();
        Some(Answer::ok(format!(r#"{{"candles":[{}],"more_candles":{more}}}"#, rows.join(","))))
    }
}

fn print(i: &Instrument, p: &Print) -> String {
    let word = if p.aggressor == Side::Bid { "buy" } else { "sell" };
    format!(
        r#"{{"time":"{}","trade_id":{},"price":{},"size":{},"side":"{word}","type":"{}","uid":"{}"}}"#,
        time::write(p.at, 3),
        p.id,
        number(p.px.0, i.px_scale),
        number(p.qty.0, i.qty_scale),
        if p.is_forced() { "liquidation" } else { "fill" },
        encode::uid(i, p),
    )
}
