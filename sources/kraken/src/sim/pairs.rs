//! The stream of pairs: requests, acknowledgements, what is pushed.

use super::{KrakenSim, encode};
use crate::listing;
use crate::rows;
use crate::time;
use model::{Level, Qty, Ts};
use serde_json::{Value, json};
use source::market::Move;
use source::{Peer, SimAction};

/// Depths of a book.
const DEPTHS: [u64; 5] = [10, 25, 100, 500, 1_000];
/// How many trades a snapshot holds.
const TRADES: usize = 50;
/// How long the venue takes to answer, in ns.
const TAKES_NS: i64 = 45_000;

/// A subscription as it was asked for.
struct Wish {
    channel: String,
    /// The feed by which it is pushed: `ohlc-5`.
    feed: String,
    with: u64,
    snapshot: bool,
}

impl KrakenSim {
    pub(super) fn pair_request(
        &mut self,
        peer: Peer,
        request: Option<&Value>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some(request) = request.filter(|r| r.is_object()) else {
            let mut answer = json!({"error": "Malformed request", "success": false});
            self.reply(peer, &mut answer, None, now, out);
            return;
        };
        let id = request.get("req_id").filter(|id| id.is_u64());
        match request.get("method").and_then(Value::as_str) {
            Some("ping") => {
                let mut answer = json!({"method": "pong"});
                self.reply(peer, &mut answer, id, now, out);
            }
            Some(method @ ("subscribe" | "unsubscribe")) => {
                self.pair_subscriptions(peer, method, request, now, out);
            }
            method => {
                let mut answer = json!({"error": "Unsupported method", "method": method, "success": false});
                self.reply(peer, &mut answer, id, now, out);
            }
        }
    }

    /// Sends an answer with its number and times.
    fn reply(
        &mut self,
        peer: Peer,
        answer: &mut Value,
        id: Option<&Value>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        if let (Some(map), Some(id)) = (answer.as_object_mut(), id) {
            map.insert("req_id".to_owned(), id.clone());
        }
        if let Some(map) = answer.as_object_mut() {
            map.insert("time_in".to_owned(), time::write(now, 6).into());
            map.insert("time_out".to_owned(), time::write(Ts(now.0 + TAKES_NS), 6).into());
        }
        self.peers.send(peer, answer.to_string(), now, out);
    }

    fn pair_subscriptions(
        &mut self,
        peer: Peer,
        method: &str,
        request: &Value,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let id = request.get("req_id").filter(|id| id.is_u64());
        let refuse = |words: &str, symbol: Option<&str>| {
            let mut answer = json!({"error": words, "method": method, "success": false});
            if let (Some(map), Some(symbol)) = (answer.as_object_mut(), symbol) {
                map.insert("symbol".to_owned(), symbol.into());
            }
            answer
        };
        let wish = match wish(request.get("params")) {
            Ok(wish) => wish,
            Err(words) => return self.reply(peer, &mut refuse(words, None), id, now, out),
        };
        let symbols: Vec<String> = match request.pointer("/params/symbol").and_then(Value::as_array) {
            _ if wish.channel == "instrument" => vec![String::new()],
            Some(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => return self.reply(peer, &mut refuse("Symbol(s) not found", None), id, now, out),
        };
        for symbol in symbols {
            let known = if self.tape {
                listing::provisional(symbol.as_bytes()).is_some()
            } else {
                self.spot.place(&symbol).is_some()
            };
            let named = (!symbol.is_empty()).then_some(&*symbol);
            if !known && named.is_some() {
                let words = format!("Currency pair not supported {symbol}");
                self.reply(peer, &mut refuse(&words, named), id, now, out);
                continue;
            }
            let topic = (wish.feed.clone(), symbol.clone());
            let fault = match method {
                "unsubscribe" => (!self.peers.leave(peer, &topic)).then_some("Subscription Not Found"),
                _ if self.refuses() => Some("EService:Unavailable"),
                _ => (!self.peers.join(peer, &topic, wish.with)).then_some("Already subscribed"),
            };
            if let Some(words) = fault {
                self.reply(peer, &mut refuse(words, named), id, now, out);
                continue;
            }
            let mut answer = json!({"method": method, "result": wish.result(named), "success": true});
            self.reply(peer, &mut answer, id, now, out);
            self.pair_joined(peer, method, &wish, &symbol, now, out);
        }
    }

    /// What follows an acknowledgement.
    fn pair_joined(
        &mut self,
        peer: Peer,
        method: &str,
        wish: &Wish,
        symbol: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let begins = method == "subscribe";
        if self.tape {
            let key = super::tape::key(&wish.feed, symbol);
            out.push(if begins { SimAction::Joined { peer, key } } else { SimAction::Left { peer, key } });
        } else if begins && wish.snapshot {
            self.pair_snapshot(peer, wish, symbol, now, out);
        }
    }

    fn pair_snapshot(&mut self, peer: Peer, wish: &Wish, symbol: &str, now: Ts, out: &mut Vec<SimAction>) {
        if wish.channel == "instrument" {
            let assets = super::rest::assets(&self.spot);
            let frame = format!(
                r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[{assets}],"pairs":[{}]}}}}"#,
                self.spot.rows.join(",")
            );
            return self.peers.send(peer, frame, now, out);
        }
        let Some(at) = self.spot.place(symbol) else { return };
        let Some(one) = self.spot.listed(at) else { return };
        let instrument = &one.instrument;
        let frame = match &*wish.channel {
            "book" => {
                let depth = usize::try_from(wish.with).unwrap_or(10);
                let view = self.spot.view(at, depth);
                let sum = encode::checksum(instrument, &view);
                encode::book("snapshot", instrument, &view.bids, &view.asks, sum, now)
            }
            "trade" => {
                let all = self.spot.states.get(at).map(|s| &s.trades);
                let some: Vec<_> = all.into_iter().flatten().rev().take(TRADES).copied().collect();
                let oldest_first: Vec<_> = some.into_iter().rev().collect();
                encode::trades("snapshot", instrument, &oldest_first)
            }
            "ticker" => encode::ticker("snapshot", one, now),
            _ => {
                let minutes = i64::try_from(wish.with).unwrap_or(1);
                let Some(start) = self.spot.starts(at, minutes).last().copied() else { return };
                let Some(bar) = self.spot.bar(at, start, minutes) else { return };
                encode::ohlc("snapshot", instrument, &bar, (start, minutes), now)
            }
        };
        self.peers.send(peer, frame, now, out);
        if wish.channel == "book"
            && let Some(state) = self.spot.states.get_mut(at)
        {
            let depth = usize::try_from(wish.with).unwrap_or(10);
            state.views.entry(depth).or_default();
            let view = self.spot.view(at, depth);
            if let Some(state) = self.spot.states.get_mut(at) {
                state.views.insert(depth, view);
            }
        }
    }

    /// One move of a pair at its time.
    pub(super) fn pair_moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some(step) = self.spot.step(now) else { return };
        let at = step.at;
        let Some(instrument) = self.spot.instrument(at).cloned() else { return };
        let symbol = &*instrument.symbol;
        if let Some(print) = step.print {
            let frame = || encode::trades("update", &instrument, &[print]);
            self.peers.push((false, "trade", symbol), frame, now, out);
        }
        self.pair_books(at, &step.moves, now, out);
        self.pair_ticker(at, step.print.is_some(), now, out);
        if step.print.is_some() {
            for (minutes, _) in rows::INTERVALS {
                let feed = format!("ohlc-{minutes}");
                let minutes = i64::try_from(minutes).unwrap_or(1);
                let start = now.as_ms().div_euclid(60_000).div_euclid(minutes) * minutes;
                let Some(bar) = self.spot.bar(at, start, minutes) else { continue };
                let frame = || encode::ohlc("update", &instrument, &bar, (start, minutes), now);
                self.peers.push((false, &feed, symbol), frame, now, out);
            }
        }
    }

    /// Tells each depth what changed in its view. What fell out of it is not told; what came back into it is.
    fn pair_books(&mut self, at: usize, moves: &[Move], now: Ts, out: &mut Vec<SimAction>) {
        let Some(instrument) = self.spot.instrument(at).cloned() else { return };
        let hearers = self.peers.hearers(false, "book", &instrument.symbol);
        let mut depths: Vec<u64> = hearers.iter().map(|(_, depth)| *depth).collect();
        depths.sort_unstable();
        depths.dedup();
        for depth in depths {
            let size = usize::try_from(depth).unwrap_or(10);
            let new = self.spot.view(at, size);
            let truth = self.spot.view(at, usize::MAX);
            let twice = self.spot.market.rng().u8(0..8) == 0;
            let Some(old) = self.spot.states.get_mut(at).and_then(|s| s.views.insert(size, new.clone()))
            else {
                continue;
            };
            let mut bids = changes(&old.bids, &new.bids, &truth.bids);
            let mut asks = changes(&old.asks, &new.asks, &truth.asks);
            if bids.is_empty() && asks.is_empty() {
                continue;
            }
            if twice {
                // Several orders at one price in one message: the last one counts.
                double(&mut bids, moves.len());
                double(&mut asks, moves.len());
            }
            let sum = encode::checksum(&instrument, &new);
            let frame = encode::book("update", &instrument, &bids, &asks, sum, now);
            for (peer, _) in hearers.iter().filter(|(_, d)| *d == depth) {
                self.peers.send(*peer, frame.clone(), now, out);
            }
        }
    }

    /// `ticker`, to those who want it by trades and to those who want it by best prices.
    fn pair_ticker(&mut self, at: usize, traded: bool, now: Ts, out: &mut Vec<SimAction>) {
        let view = self.spot.view(at, 1);
        let best = (view.bids.first().copied(), view.asks.first().copied());
        let Some(state) = self.spot.states.get_mut(at) else { return };
        let moved = std::mem::replace(&mut state.best, best) != best;
        let Some(one) = self.spot.listed(at) else { return };
        let hearers = self.peers.hearers(false, "ticker", &one.instrument.symbol);
        let due = |by_best: u64| if by_best == 1 { moved } else { traded };
        if hearers.iter().any(|(_, with)| due(*with)) {
            let frame = encode::ticker("update", one, now);
            for (peer, _) in hearers.into_iter().filter(|(_, with)| due(*with)) {
                self.peers.send(peer, frame.clone(), now, out);
            }
        }
    }
}

/// Entries that lead from one view of a side to another.
fn changes(old: &[Level], new: &[Level], truth: &[Level]) -> Vec<Level> {
    let has = |levels: &[Level], level: &Level| levels.iter().any(|l| l.px == level.px);
    let gone = old.iter().filter(|l| !has(truth, l)).map(|l| Level { px: l.px, qty: Qty(0) });
    let set = new.iter().filter(|l| !old.contains(l)).copied();
    gone.chain(set).collect()
}

/// Puts another quantity before the first entry, at the same price.
fn double(entries: &mut Vec<Level>, salt: usize) {
    if let Some(first) = entries.first().copied() {
        let qty = Qty(first.qty.0 + 1 + salt as i64);
        entries.insert(0, Level { qty, ..first });
    }
}

/// Reads the parameters of a request.
fn wish(params: Option<&Value>) -> Result<Wish, &'static str> {
    let params = params.ok_or("Missing params")?;
    let channel = params.get("channel").and_then(Value::as_str).ok_or("Channel not found")?;
    let number = |key: &str| params.get(key).and_then(Value::as_u64);
    let asked = params.get("snapshot").and_then(Value::as_bool);
    let (feed, with, snapshot) = match channel {
        "book" => {
            let depth = number("depth").unwrap_or(10);
            if !DEPTHS.contains(&depth) {
                return Err("Subscription depth not supported");
            }
            ("book".to_owned(), depth, true)
        }
        "trade" => ("trade".to_owned(), 0, false),
        "ticker" => {
            let trigger = params.get("event_trigger").and_then(Value::as_str).unwrap_or("trades");
            ("ticker".to_owned(), u64::from(trigger == "bbo"), true)
        }
        "ohlc" => {
            let minutes = number("interval").unwrap_or(1);
            if rows::interval(minutes).is_none() {
                return Err("Subscription ohlc interval not supported");
            }
            (format!("ohlc-{minutes}"), minutes, true)
        }
        "instrument" => ("instrument".to_owned(), 0, true),
        _ => return Err("Subscription name invalid"),
    };
    Ok(Wish { channel: channel.to_owned(), feed, with, snapshot: asked.unwrap_or(snapshot) })
}

impl Wish {
    /// What the venue says it did.
    fn result(&self, symbol: Option<&str>) -> Value {
        let mut result = json!({"channel": self.channel, "snapshot": self.snapshot});
        if let Some(map) = result.as_object_mut() {
            if let Some(symbol) = symbol {
                map.insert("symbol".to_owned(), symbol.into());
            }
            match &*self.channel {
                "book" => _ = map.insert("depth".to_owned(), self.with.into()),
                "ohlc" => _ = map.insert("interval".to_owned(), self.with.into()),
                "ticker" => {
                    let word = if self.with == 1 { "bbo" } else { "trades" };
                    map.insert("event_trigger".to_owned(), word.into());
                }
                _ => {}
            }
        }
        result
    }
}
