//! REST of the simulated venue.

use super::HtxSim;
use super::encode::{levels, px, qty, side};
use super::feeds::step_levels;
use super::world::Print;
use crate::product::Product;
use model::{InstrumentKind, Level, Ts};

/// Status, headers and body.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

/// What was asked, taken apart.
struct Asked<'a> {
    path: &'a str,
    query: &'a str,
}

impl<'a> Asked<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }
}

fn refusal(words: &str, spot: bool, ms: i64) -> String {
    if spot {
        format!(r#"{{"ts":{ms},"status":"error","err-code":"invalid-parameter","err-msg":"{words}"}}"#)
    } else {
        format!(r#"{{"status":"error","err_code":1030,"err_msg":"{words}","ts":{ms}}}"#)
    }
}

impl HtxSim {
    /// Answers a request.
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let ms = now.as_ms();
        if self.rate_limit > 0 {
            self.rate_limit -= 1;
            let body = refusal("too many requests", endpoint == 0, ms);
            return (429, vec![("Retry-After", "1".to_owned())], body);
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let asked = Asked { path, query };
        let found = if endpoint == 0 { self.spot(&asked, now) } else { self.contracts(&asked, now) };
        match found {
            Some(Ok(body)) => (200, Vec::new(), body),
            Some(Err(words)) => (200, Vec::new(), refusal(words, endpoint == 0, ms)),
            None => (404, Vec::new(), refusal("not found", endpoint == 0, ms)),
        }
    }

    fn spot(&mut self, asked: &Asked<'_>, now: Ts) -> Option<Result<String, &'static str>> {
        let ms = now.as_ms();
        let data =
            |rows: &[String]| Ok(format!(r#"{{"status":"ok","ts":{ms},"data":[{}]}}"#, rows.join(",")));
        Some(match asked.path {
            "/v1/common/symbols" => data(&self.rows_of(&[Product::Spot])),
            "/v1/common/timestamp" => Ok(format!(r#"{{"status":"ok","data":{ms}}}"#)),
            "/v1/common/currencys" => {
                data(&self.coins().iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>())
            }
            "/v2/reference/currencies" => {
                let coin = |c: &String| {
                    format!(
                        r#"{{"currency":"{c}","assetType":1,"instStatus":"normal","chains":[{{"chain":"{c}","displayName":"{}","baseChain":"{c}","baseChainProtocol":"{c}","isDynamic":false,"numOfConfirmations":1,"numOfFastConfirmations":1,"depositStatus":"allowed","minDepositAmt":"0.001","withdrawStatus":"allowed","minWithdrawAmt":"0.01","withdrawPrecision":8,"maxWithdrawAmt":"1000000","withdrawQuotaPerDay":"1000000","withdrawQuotaPerYear":null,"withdrawQuotaTotal":null,"withdrawFeeType":"fixed","transactFeeWithdraw":"0.1","addrWithTag":false,"addrDepositTag":false}}]}}"#,
                        c.to_uppercase()
                    )
                };
                let rows: Vec<String> = self.coins().iter().map(coin).collect();
                Ok(format!(r#"{{"code":200,"data":[{}]}}"#, rows.join(",")))
            }
            "/market/tickers" => data(&self.ticker_rows()),
            "/market/history/kline" => self.klines(asked, "symbol", now),
            "/market/history/trade" | "/market/trade" => self.past_trades(asked, "symbol", now),
            "/market/depth" => self.depth(asked, "symbol", now),
            "/market/detail" | "/market/detail/merged" => self.merged(asked, "symbol", now),
            _ => return None,
        })
    }

    fn contracts(&mut self, asked: &Asked<'_>, now: Ts) -> Option<Result<String, &'static str>> {
        let ms = now.as_ms();
        if asked.path == "/api/v1/timestamp" {
            return Some(Ok(format!(r#"{{"status":"ok","ts":{ms}}}"#)));
        }
        if asked.path == "/api/v1/contract_contract_info" {
            return Some(Ok(format!(r#"{{"status":"ok","data":[],"ts":{ms}}}"#)));
        }
        let path = asked.path.strip_prefix("/v2").unwrap_or(asked.path);
        let (product, what) = [Product::Linear, Product::Inverse].into_iter().find_map(|p| {
            let what = path.strip_prefix(p.api()).or_else(|| path.strip_prefix(p.ex()))?;
            Some((p, what))
        })?;
        let data =
            |rows: &[String]| Ok(format!(r#"{{"status":"ok","data":[{}],"ts":{ms}}}"#, rows.join(",")));
        let which: Vec<usize> = match asked.get("contract_code") {
            Some(code) => self.world.place(code).into_iter().collect(),
            None => self.world.of(product),
        };
        if which.is_empty() && asked.get("contract_code").is_some() {
            return Some(Err("The contract doesnt exist."));
        }
        // Without a word about dated contracts only perpetuals are meant.
        let all = asked.get("business_type") == Some("all") || asked.get("contract_code").is_some();
        let which = which
            .into_iter()
            .filter(|at| all || self.known(*at).is_some_and(|(i, _)| i.kind == InstrumentKind::Perpetual));
        let which: Vec<usize> = which.collect();
        Some(match what {
            "/swap_contract_info" => {
                data(&which.iter().filter_map(|at| self.world.rows.get(*at).cloned()).collect::<Vec<_>>())
            }
            "/swap_open_interest" => {
                data(&which.iter().filter_map(|at| self.interest(*at)).collect::<Vec<_>>())
            }
            "/swap_batch_funding_rate" | "/swap_funding_rate" => {
                let rows: Vec<String> = which.iter().filter_map(|at| self.funding_row(*at, now)).collect();
                data(&rows)
            }
            "/swap_elite_account_ratio" | "/swap_elite_position_ratio" => self.ratios(asked, now),
            "/detail/batch_merged" => {
                let row = |at: &usize| {
                    let (i, _) = self.known(*at)?;
                    Some(format!(r#"{{"contract_code":"{}","ts":{ms},{}}}"#, i.symbol, self.day(*at)?))
                };
                let rows: Vec<String> = which.iter().filter_map(row).collect();
                Ok(format!(r#"{{"status":"ok","ticks":[{}],"ts":{ms}}}"#, rows.join(",")))
            }
            "/detail/merged" => self.merged(asked, "contract_code", now),
            "/history/kline" => self.klines(asked, "contract_code", now),
            "/history/trade" | "/trade" => self.past_trades(asked, "contract_code", now),
            "/depth" => self.depth(asked, "contract_code", now),
            _ => return None,
        })
    }

    fn rows_of(&self, products: &[Product]) -> Vec<String> {
        let at = products.iter().flat_map(|p| self.world.of(*p));
        at.filter_map(|at| self.world.rows.get(at).cloned()).collect()
    }

    fn coins(&self) -> Vec<String> {
        let spot = self.world.of(Product::Spot);
        let names = spot.iter().filter_map(|at| Some(self.known(*at)?.0.base.to_lowercase()));
        names.chain(["usdt".to_owned()]).collect()
    }

    fn interest(&self, at: usize) -> Option<String> {
        let (i, _) = self.known(at)?;
        let volume = self.world.states.get(at)?.open_interest;
        let (base, code) = (&i.base, &i.symbol);
        Some(format!(
            r#"{{"volume":{volume}.0,"amount":{}.5,"symbol":"{base}","value":{volume}.25,"contract_code":"{code}","trade_amount":1.5,"trade_volume":1500,"trade_turnover":96000.5,"business_type":"swap","pair":"{code}","contract_type":"swap","trade_partition":"USDT"}}"#,
            volume / 1_000
        ))
    }

    fn ratios(&self, asked: &Asked<'_>, now: Ts) -> Result<String, &'static str> {
        let at = asked.get("contract_code").and_then(|code| self.world.place(code));
        let (i, _) = at.and_then(|at| self.known(at)).ok_or("The contract doesnt exist.")?;
        if asked.get("period").is_none() {
            return Err("period is required");
        }
        let (ms, base, code) = (now.as_ms() / 300_000 * 300_000, &i.base, &i.symbol);
        let rows: Vec<String> = (0..3)
            .map(|n| {
                let ts = ms - (2 - n) * 300_000;
                format!(r#"{{"buy_ratio":0.6{n},"sell_ratio":0.3{n},"locked_ratio":0.0{n},"ts":{ts}}}"#)
            })
            .collect();
        let rows = rows.join(",");
        Ok(format!(
            r#"{{"status":"ok","data":{{"list":[{rows}],"symbol":"{base}","contract_code":"{code}"}},"ts":{}}}"#,
            now.as_ms()
        ))
    }

    fn klines(&mut self, asked: &Asked<'_>, key: &str, now: Ts) -> Result<String, &'static str> {
        let symbol = asked.get(key).unwrap_or_default();
        let at = self.world.place(symbol).ok_or("invalid symbol")?;
        let period = asked.get("period").unwrap_or_default();
        super::bars::length_ms(period).ok_or("invalid period")?;
        let size = asked.number("size").map_or(150, |n| n.clamp(1, 2_000) as usize);
        let range = asked.number("from").zip(asked.number("to"));
        let most = if range.is_some() { usize::MAX } else { size };
        let mut rows = self.bar_rows(at, period, now, most);
        if let Some((from, to)) = range {
            let id = |row: &String| -> i64 {
                row.trim_start_matches(r#"{"id":"#)
                    .split(',')
                    .next()
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0)
            };
            rows.retain(|row| (from..=to).contains(&id(row)));
        } else if key == "symbol" {
            rows.reverse();
        }
        let (rows, ms) = (rows.join(","), now.as_ms());
        Ok(format!(r#"{{"ch":"market.{symbol}.kline.{period}","status":"ok","ts":{ms},"data":[{rows}]}}"#))
    }

    fn past_trades(&self, asked: &Asked<'_>, key: &str, now: Ts) -> Result<String, &'static str> {
        let symbol = asked.get(key).unwrap_or_default();
        let at = self.world.place(symbol).ok_or("invalid symbol")?;
        let (i, p) = self.known(at).ok_or("invalid symbol")?;
        let state = self.world.states.get(at).ok_or("invalid symbol")?;
        let size = asked.number("size").map_or(1, |n| n.clamp(1, 2_000) as usize);
        let row = |print: &Print| {
            let (ts, direction) = (print.ts.as_ms(), side(print.aggressor));
            let (amount, price) = (qty(print.qty, i, p), px(print.px, i, p));
            let group = 170_000_000_000 + print.id;
            let one = if p.spot() {
                let n = 102_000_000_000 + print.id;
                format!(
                    r#"{{"id":17{:09}{:015},"ts":{ts},"trade-id":{n},"amount":{amount},"price":{price},"direction":"{direction}"}}"#,
                    print.id,
                    ts % 1_000_000
                )
            } else {
                let id = (120_000_000_000 + print.id) * 10_000;
                format!(
                    r#"{{"amount":{amount},"quantity":0.5,"trade_turnover":5.5,"ts":{ts},"id":{id},"price":{price},"direction":"{direction}"}}"#
                )
            };
            format!(r#"{{"id":{group},"ts":{ts},"data":[{one}]}}"#)
        };
        let rows: Vec<String> = state.prints.iter().take(size).map(row).collect();
        let (rows, ms) = (rows.join(","), now.as_ms());
        Ok(format!(r#"{{"ch":"market.{symbol}.trade.detail","status":"ok","ts":{ms},"data":[{rows}]}}"#))
    }

    fn depth(&mut self, asked: &Asked<'_>, key: &str, now: Ts) -> Result<String, &'static str> {
        let symbol = asked.get(key).unwrap_or_default();
        let at = self.world.place(symbol).ok_or("invalid symbol")?;
        let step = asked.get("type").unwrap_or("step0");
        let (seq, product) = self.world.states.get(at).map(|s| (s.seq, s.product)).ok_or("invalid symbol")?;
        let depth = step_levels(step, product).ok_or("invalid type")?;
        let late = self.late;
        let book = self.world.stream(at, super::DEPTH).ok_or("invalid symbol")?.ago(late);
        let cut = |all: Vec<Level>| all.into_iter().take(depth).collect::<Vec<_>>();
        let (i, p) = self.known(at).ok_or("invalid symbol")?;
        let (bids, asks) = (levels(&cut(book.bids()), i, p), levels(&cut(book.asks()), i, p));
        let ms = now.as_ms();
        let version = if p.spot() { seq } else { ms.unsigned_abs() / 1_000 };
        Ok(format!(
            r#"{{"ch":"market.{symbol}.depth.{step}","status":"ok","ts":{ms},"tick":{{"bids":{bids},"asks":{asks},"version":{version},"ts":{ms}}}}}"#
        ))
    }

    fn merged(&self, asked: &Asked<'_>, key: &str, now: Ts) -> Result<String, &'static str> {
        let symbol = asked.get(key).unwrap_or_default();
        let at = self.world.place(symbol).ok_or("invalid symbol")?;
        let day = self.day(at).ok_or("invalid symbol")?;
        let one = self.world.listed(at).ok_or("invalid symbol")?;
        let (i, p) = self.known(at).ok_or("invalid symbol")?;
        let best = |level: Option<(&model::Px, &model::Qty)>| {
            level.map_or_else(|| "null".to_owned(), |(l, q)| format!("[{},{}]", px(*l, i, p), qty(*q, i, p)))
        };
        let (bid, ask) = (best(one.bids.last_key_value()), best(one.asks.first_key_value()));
        let ms = now.as_ms();
        Ok(format!(
            r#"{{"ch":"market.{symbol}.detail.merged","status":"ok","ts":{ms},"tick":{{"id":{ms},"version":{ms},{day},"bid":{bid},"ask":{ask}}}}}"#
        ))
    }
}
