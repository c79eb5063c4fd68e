//! REST answers of the simulated venue.

use super::{CoinbaseSim, encode, world};
use crate::{Feed, listing, subscribe, time};
use model::Ts;

/// How many requests are answered in a second. The venue allows ten; what a client has paced may arrive closer together.
const REQUESTS_MAX: usize = 30;
/// The most bars of an answer.
const BARS_MAX: i64 = 350;
/// The most trades of an answer.
pub(super) const TRADES_MAX: usize = 1_000;

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn fine(body: String) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    pub fn fault(status: u16, words: &str) -> Self {
        let body = format!(r#"{{"error":"{words}","error_details":"{words}","message":"{words}"}}"#);
        Self { status, headers: Vec::new(), body }
    }
}

pub(super) fn field<'q>(query: &'q str, name: &str) -> &'q str {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
}

/// A time in a query: seconds since 1970, or a text.
pub(super) fn instant(text: &str) -> Option<i64> {
    let plain = text.replace("%3A", ":").replace("%3a", ":");
    text.parse().ok().or_else(|| time::parse(plain.as_bytes()).map(crate::rest::seconds))
}

impl CoinbaseSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        self.asked.retain(|at| now.ms_since(*at) < 1_000);
        if self.rate_limit > 0 || self.asked.len() >= REQUESTS_MAX {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let limited = Answer::fault(429, "rate_limit_exceeded");
            return Answer { headers: vec![("Retry-After", "1".to_owned())], ..limited };
        }
        self.asked.push(now);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match endpoint {
            0 => self.advanced(path, query, now),
            1 => self.exchange_answer(path, query, now),
            _ => Answer::fault(404, "NOT_FOUND"),
        }
    }

    fn advanced(&self, path: &str, query: &str, now: Ts) -> Answer {
        let public = path.replace("/brokerage/products", "/brokerage/market/products");
        if let Some(rest) = public.strip_prefix(listing::PRODUCTS) {
            let mut parts = rest.trim_matches('/').splitn(2, '/');
            return match (parts.next().filter(|s| !s.is_empty()), parts.next()) {
                (None, _) => self.products(query),
                (Some(symbol), what) => self.product(symbol, what.unwrap_or_default(), query),
            };
        }
        match path {
            "/api/v3/brokerage/time" => Answer::fine(format!(
                r#"{{"iso":"{}","epochSeconds":"{}","epochMillis":"{}"}}"#,
                time::write(now, 0),
                now.as_ms() / 1_000,
                now.as_ms()
            )),
            "/api/v3/brokerage/market/product_book" | "/api/v3/brokerage/product_book" => {
                self.product_book(query, now)
            }
            "/v2/currencies" | "/v2/currencies/crypto" => Answer::fine(self.currencies(path)),
            "/v2/exchange-rates" => Answer::fine(self.rates()),
            "/v2/time" => Answer::fine(format!(
                r#"{{"data":{{"iso":"{}","epoch":{}}}}}"#,
                time::write(now, 0),
                now.as_ms() / 1_000
            )),
            _ => Answer::fault(404, "NOT_FOUND"),
        }
    }

    fn products(&self, query: &str) -> Answer {
        let (kind, expiry) = (field(query, "product_type"), field(query, "contract_expiry_type"));
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let meant = listed.filter(|(_, state)| state.product.is_in(kind, expiry));
        let mut rows: Vec<String> = meant.flat_map(|(one, s)| s.product.rows(one, s.interest)).collect();
        let offset: usize = field(query, "offset").parse().unwrap_or(0);
        let limit: usize = field(query, "limit").parse().unwrap_or(usize::MAX);
        let count = rows.len();
        rows = rows.into_iter().skip(offset).take(limit).collect();
        Answer::fine(format!(
            r#"{{"products":[{}],"num_products":{count},"pagination":null}}"#,
            rows.join(",")
        ))
    }

    fn product(&self, symbol: &str, what: &str, query: &str) -> Answer {
        let Some(at) = self.world.place(Feed::Advanced, symbol) else {
            return Answer::fault(404, "NOT_FOUND");
        };
        let (Some(one), Some(state)) = (self.world.market.listed().get(at), self.world.states.get(at)) else {
            return Answer::fault(404, "NOT_FOUND");
        };
        let instrument = &state.product.advanced;
        match what {
            "" => {
                Answer::fine(state.product.rows(one, state.interest).into_iter().next().unwrap_or_default())
            }
            "candles" => {
                let Some(length) = subscribe::granularity(field(query, "granularity")) else {
                    return Answer::fault(400, "INVALID_ARGUMENT");
                };
                let (Some(from), Some(to)) = (instant(field(query, "start")), instant(field(query, "end")))
                else {
                    return Answer::fault(400, "INVALID_ARGUMENT");
                };
                let bars = state.bars(length, from, to);
                if (to - from) / length >= BARS_MAX {
                    return Answer::fault(400, "number of candles requested should be less than 350");
                }
                let rows: Vec<String> = bars
                    .iter()
                    .rev()
                    .map(|(start, bar)| encode::candle_row(instrument, *start, bar, false))
                    .collect();
                Answer::fine(format!(r#"{{"candles":[{}]}}"#, rows.join(",")))
            }
            "ticker" => {
                let limit = field(query, "limit").parse().unwrap_or(100).min(TRADES_MAX);
                let from = instant(field(query, "start")).unwrap_or(i64::MIN);
                let to = instant(field(query, "end")).unwrap_or(i64::MAX);
                let fits = |print: &&world::Print| (from..to).contains(&crate::rest::seconds(print.ts));
                let told = state.prints.iter().filter(fits).take(limit);
                let rows: Vec<String> = told.map(|print| encode::trade_row(instrument, print)).collect();
                let best = |side: Option<(&model::Px, _)>| side.map(|(px, _)| encode::px(*px, instrument));
                let bid = best(one.bids.last_key_value().map(|(p, q)| (p, q.0))).unwrap_or_default();
                let ask = best(one.asks.first_key_value().map(|(p, q)| (p, q.0))).unwrap_or_default();
                Answer::fine(format!(
                    r#"{{"trades":[{}],"best_bid":"{bid}","best_ask":"{ask}"}}"#,
                    rows.join(",")
                ))
            }
            _ => Answer::fault(404, "NOT_FOUND"),
        }
    }

    fn product_book(&self, query: &str, now: Ts) -> Answer {
        let symbol = field(query, "product_id");
        let state = self.world.place(Feed::Advanced, symbol).and_then(|at| self.world.states.get(at));
        let Some(state) = state else { return Answer::fault(404, "NOT_FOUND") };
        let depth = field(query, "limit").parse().unwrap_or(500);
        let (instrument, shown) = (&state.product.advanced, state.shown_before(self.late));
        let side = |levels: Vec<model::Level>| -> String {
            let row = |l: &model::Level| {
                format!(
                    r#"{{"price":"{}","size":"{}"}}"#,
                    encode::px(l.px, instrument),
                    encode::qty(l.qty, instrument)
                )
            };
            levels.iter().map(row).collect::<Vec<_>>().join(",")
        };
        Answer::fine(format!(
            r#"{{"pricebook":{{"product_id":"{symbol}","bids":[{}],"asks":[{}],"time":"{}"}},"last":"","mid_market":"","spread_bps":"","spread_absolute":""}}"#,
            side(shown.bids(depth)),
            side(shown.asks(depth)),
            time::write(now, 6)
        ))
    }

    pub(super) fn coins(&self) -> Vec<String> {
        let spot = self.world.states.iter().filter(|s| s.product.exchange.is_some());
        spot.map(|s| s.product.advanced.base.to_string())
            .chain(["USD".to_owned(), "USDC".to_owned()])
            .collect()
    }

    fn currencies(&self, path: &str) -> String {
        let crypto = path.ends_with("crypto");
        let coins = self.coins().into_iter().filter(|coin| crypto != (coin == "USD"));
        let row = |coin: String| {
            if !crypto {
                return format!(r#"{{"id":"{coin}","name":"{coin}","min_size":"0.01"}}"#);
            }
            format!(
                r##"{{"asset_id":"{coin}","code":"{coin}","name":"{coin}","color":"#000000","sort_index":100,"exponent":8,"type":"crypto","address_regex":""}}"##
            )
        };
        format!(r#"{{"data":[{}]}}"#, coins.map(row).collect::<Vec<_>>().join(","))
    }

    fn rates(&self) -> String {
        let rates: Vec<String> = self.coins().iter().map(|coin| format!(r#""{coin}":"1.0""#)).collect();
        format!(r#"{{"data":{{"currency":"USD","rates":{{{}}}}}}}"#, rates.join(","))
    }
}
