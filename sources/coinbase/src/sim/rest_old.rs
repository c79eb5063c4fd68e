//! REST answers of Exchange.

use super::listings::figures;
use super::rest::{Answer, TRADES_MAX, field, instant};
use super::world::{Ohlcv, Print, State};
use super::{CoinbaseSim, encode};
use crate::{Feed, subscribe, time};
use model::{Instrument, Level, Px, Side, Ts};
use source::market::Listed;

/// The most bars of an answer.
const BARS_MAX: i64 = 300;

impl CoinbaseSim {
    pub(super) fn exchange_answer(&self, path: &str, query: &str, now: Ts) -> Answer {
        let mut parts = path.trim_matches('/').splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("time"), None, _) => {
                let epoch = now.as_ms();
                Answer::fine(format!(
                    r#"{{"iso":"{}","epoch":{}.{:03}}}"#,
                    time::write(now, 3),
                    epoch / 1_000,
                    epoch.rem_euclid(1_000)
                ))
            }
            (Some("products"), None, _) => {
                let rows: Vec<String> =
                    self.world.states.iter().filter_map(|s| s.product.exchange_row()).collect();
                Answer::fine(format!("[{}]", rows.join(",")))
            }
            (Some("currencies"), None, _) => {
                let row = |coin: String| {
                    format!(
                        r#"{{"id":"{coin}","name":"{coin}","min_size":"0.00000001","status":"online","message":"","max_precision":"0.00000001","convertible_to":[],"details":{{"type":"crypto"}},"default_network":"","supported_networks":[]}}"#
                    )
                };
                let rows: Vec<String> = self.coins().into_iter().map(row).collect();
                Answer::fine(format!("[{}]", rows.join(",")))
            }
            (Some("products"), Some(symbol), what) => {
                self.exchange_product(symbol, what.unwrap_or_default(), query, now)
            }
            _ => Answer::fault(404, "NotFound"),
        }
    }

    fn exchange_product(&self, symbol: &str, what: &str, query: &str, now: Ts) -> Answer {
        let place = self.world.place(Feed::Exchange, symbol);
        let state = place.and_then(|at| self.world.states.get(at));
        let one = place.and_then(|at| self.world.market.listed().get(at));
        let (Some(state), Some(one)) = (state, one) else { return Answer::fault(404, "NotFound") };
        let Some(instrument) = state.definition(Feed::Exchange) else {
            return Answer::fault(404, "NotFound");
        };
        match what {
            "" => Answer::fine(state.product.exchange_row().unwrap_or_default()),
            "stats" => Answer::fine(stats(one)),
            "ticker" => Answer::fine(ticker(one, now)),
            "book" => {
                let depth = if matches!(field(query, "level"), "" | "1") { 1 } else { usize::MAX };
                let shown = state.shown_before(self.late);
                let side = |levels: Vec<Level>| -> String {
                    let row = |l: &Level| {
                        let (px, qty) = (encode::px(l.px, instrument), encode::qty(l.qty, instrument));
                        format!(r#"["{px}","{qty}",1]"#)
                    };
                    levels.iter().map(row).collect::<Vec<_>>().join(",")
                };
                Answer::fine(format!(
                    r#"{{"bids":[{}],"asks":[{}],"sequence":{},"auction_mode":false,"auction":null,"time":"{}"}}"#,
                    side(shown.bids(depth)),
                    side(shown.asks(depth)),
                    state.seq,
                    time::write(now, 6)
                ))
            }
            "trades" => Answer::fine(trades(state, instrument, query)),
            "candles" => candles(state, instrument, query, now),
            _ => Answer::fault(404, "NotFound"),
        }
    }
}

fn stats(one: &Listed) -> String {
    let ((last, volume, _), (open, high, low)) = (figures(one), one.range);
    let text = |px| encode::px(px, &one.instrument);
    format!(
        r#"{{"open":"{}","high":"{}","low":"{}","last":"{last}","volume":"{volume}","volume_30day":"{volume}"}}"#,
        text(open),
        text(high),
        text(low)
    )
}

fn ticker(one: &Listed, now: Ts) -> String {
    let (last, volume, _) = figures(one);
    let best = |px: Option<&Px>| px.map(|px| encode::px(*px, &one.instrument)).unwrap_or_default();
    format!(
        r#"{{"trade_id":{},"price":"{last}","size":"{}","time":"{}","bid":"{}","ask":"{}","volume":"{volume}"}}"#,
        one.trades,
        encode::qty(one.last.1, &one.instrument),
        time::write(now, 6),
        best(one.bids.last_key_value().map(|(px, _)| px)),
        best(one.asks.first_key_value().map(|(px, _)| px))
    )
}

/// Newest first; `after` means older than an id, `before` newer.
fn trades(state: &State, instrument: &Instrument, query: &str) -> String {
    let after = field(query, "after").parse().unwrap_or(u64::MAX);
    let before = field(query, "before").parse().unwrap_or(0_u64);
    let limit = field(query, "limit").parse().unwrap_or(TRADES_MAX).min(TRADES_MAX);
    let fits = |p: &&Print| p.id < after && p.id > before;
    let row = |p: &Print| {
        let side = if encode::maker(p.aggressor) == Side::Bid { "buy" } else { "sell" };
        format!(
            r#"{{"trade_id":{},"side":"{side}","size":"{}","price":"{}","time":"{}"}}"#,
            p.id,
            encode::qty(p.qty, instrument),
            encode::px(p.px, instrument),
            time::write(p.ts, 6)
        )
    };
    let rows: Vec<String> = state.prints.iter().filter(fits).take(limit).map(row).collect();
    format!("[{}]", rows.join(","))
}

fn candles(state: &State, instrument: &Instrument, query: &str, now: Ts) -> Answer {
    let length = subscribe::granularity(field(query, "granularity"));
    let Some(length) = length.filter(|l| !matches!(l, 1_800 | 7_200)) else {
        return Answer::fault(400, "Unsupported granularity");
    };
    let to = instant(field(query, "end")).unwrap_or(crate::rest::seconds(now));
    let from = instant(field(query, "start")).unwrap_or(to - length * (BARS_MAX - 1));
    if (to - from) / length >= BARS_MAX {
        return Answer::fault(400, "granularity too small for the requested time range");
    }
    let row = |(start, bar): &(i64, Ohlcv)| {
        let [open, high, low, close] =
            [bar.open, bar.high, bar.low, bar.close].map(|px| encode::px(px, instrument));
        let volume = encode::volume(bar.volume, instrument);
        format!("[{start},{low},{high},{open},{close},{volume}]")
    };
    let rows: Vec<String> = state.bars(length, from, to).iter().rev().map(row).collect();
    Answer::fine(format!("[{}]", rows.join(",")))
}
