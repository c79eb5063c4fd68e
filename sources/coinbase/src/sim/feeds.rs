//! What the simulated venue pushes, and when.

use super::{CoinbaseSim, encode};
use crate::{Feed, time};
use model::{Instrument, Side, Ts};
use source::{Peer, SimAction};
use std::sync::Arc;

/// Ticks between two pushes of trades on Advanced Trade, of candles and signs of life, of the batched ticker, of status.
const TRADES_TICKS: u64 = 5;
const SECOND_TICKS: u64 = 20;
const BATCH_TICKS: u64 = 100;
/// How many trades and bars a client gets at the beginning.
const TRADES_FIRST: usize = 100;
const BARS_FIRST_S: i64 = 100 * 300;
/// The length of the bars that are pushed.
const BAR_S: i64 = 300;

impl CoinbaseSim {
    /// One move of the market at its time.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        let Some(symbol) = self.symbol(Feed::Exchange, at) else { return };
        for print in &prints {
            let frame = encode::old_match("match", &symbol, print);
            self.push_old("matches", &symbol.symbol, &frame, now, out);
            if let Some(one) = self.world.market.listed().get(at) {
                let frame = encode::old_ticker(one, print);
                self.push_old("ticker", &symbol.symbol, &frame, now, out);
            }
        }
    }

    fn symbol(&self, feed: Feed, at: usize) -> Option<Arc<Instrument>> {
        self.world.states.get(at).and_then(|s| s.definition(feed)).map(Arc::clone)
    }

    fn push_old(&mut self, channel: &str, product: &str, frame: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        for peer in self.peers.hearers(Feed::Exchange, channel, product) {
            self.peers.send(peer, frame.to_vec(), now, out);
        }
    }

    fn push(&mut self, channel: &str, topic: (&str, &str), events: &str, now: Ts, out: &mut Vec<SimAction>) {
        for peer in self.peers.hearers(Feed::Advanced, topic.0, topic.1) {
            self.peers.tell(peer, channel, events, now, out);
        }
    }

    /// Each 50 ms: books; less often the rest.
    pub(super) fn tick(&mut self, now: Ts, n: u64, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            self.book(at, now, out);
            if n.is_multiple_of(TRADES_TICKS) {
                self.trades(at, now, out);
            }
            self.ticker(at, n, now, out);
            if n.is_multiple_of(SECOND_TICKS) {
                self.candle(at, now, out);
            }
        }
        if n.is_multiple_of(SECOND_TICKS) {
            self.alive(n / SECOND_TICKS, now, out);
        }
        if n.is_multiple_of(BATCH_TICKS) {
            self.statuses(now, out);
        }
        self.age(now, out);
    }

    /// Pushes what is pending.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            self.book(at, now, out);
            self.trades(at, now, out);
        }
    }

    fn book(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(changes) = self.world.flush(at) else { return };
        if let Some(instrument) = self.symbol(Feed::Advanced, at) {
            let topic = ("level2", &*instrument.symbol);
            if !self.peers.hearers(Feed::Advanced, topic.0, topic.1).is_empty() {
                self.push("l2_data", topic, &encode::update(&instrument, &changes, now), now, out);
            }
        }
        if let Some(instrument) = self.symbol(Feed::Exchange, at) {
            let frame = encode::old_update(&instrument, &changes, now);
            self.push_old("level2", &instrument.symbol, &frame, now, out);
        }
    }

    fn trades(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at) else { return };
        let unsold = std::mem::take(&mut state.unsold);
        let instrument = Arc::clone(&state.product.advanced);
        if !unsold.is_empty() {
            // Newest first, as in the first frame.
            let events = encode::trades("update", &instrument, unsold.iter().rev());
            self.push("market_trades", ("market_trades", &instrument.symbol), &events, now, out);
        }
    }

    fn ticker(&mut self, at: usize, n: u64, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at) else { return };
        let traded = std::mem::take(&mut state.traded.0);
        let Some(one) = self.world.market.listed().get(at) else { return };
        let symbol = one.instrument.symbol.clone();
        let told = traded.then(|| encode::ticker("update", one, true));
        let batched = n.is_multiple_of(BATCH_TICKS).then(|| encode::ticker("update", one, false));
        if let Some(events) = told {
            self.push("ticker", ("ticker", &symbol), &events, now, out);
        }
        if let Some(events) = batched {
            self.push("ticker_batch", ("ticker_batch", &symbol), &events, now, out);
        }
    }

    fn candle(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at) else { return };
        if !std::mem::take(&mut state.traded.1) {
            return;
        }
        let second = now.0.div_euclid(1_000_000_000);
        let bars = state.bars(BAR_S, second - second.rem_euclid(BAR_S), second);
        let instrument = Arc::clone(&state.product.advanced);
        let events = encode::candles("update", &instrument, &bars);
        self.push("candles", ("candles", &instrument.symbol), &events, now, out);
    }

    /// Signs of life of both feeds.
    fn alive(&mut self, count: u64, now: Ts, out: &mut Vec<SimAction>) {
        let text = time::write(now, 9).replace('T', " ").replace('Z', " +0000 UTC");
        let events =
            format!(r#"{{"current_time":"{text} m=+{count}.000000001","heartbeat_counter":{count}}}"#);
        self.push("heartbeats", ("heartbeats", ""), &events, now, out);
        for product in self.peers.heard(Feed::Exchange, "heartbeat") {
            let state = self.world.place(Feed::Exchange, &product).and_then(|at| self.world.states.get(at));
            let (seq, last) = state.map_or((0, 0), |s| (s.seq, s.prints.front().map_or(0, |p| p.id)));
            let frame = format!(
                r#"{{"type":"heartbeat","sequence":{seq},"last_trade_id":{last},"product_id":"{product}","time":"{}"}}"#,
                time::write(now, 6)
            );
            self.push_old("heartbeat", &product, frame.as_bytes(), now, out);
        }
    }

    /// The states of all products, at the venue's own pace.
    fn statuses(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        if self.tape {
            return;
        }
        for product in self.peers.heard(Feed::Advanced, "status") {
            let row =
                self.world.place(Feed::Advanced, &product).and_then(|at| self.symbol(Feed::Advanced, at));
            let Some(row) = row.map(|i| encode::status_row(&i, true)) else { continue };
            let events = format!(r#"{{"type":"update","products":[{row}]}}"#);
            self.push("status", ("status", &product), &events, now, out);
        }
        let frame = self.old_status();
        self.push_old("status", "", &frame, now, out);
    }

    fn old_status(&self) -> Vec<u8> {
        let all = self.world.states.iter().filter_map(|s| s.definition(Feed::Exchange));
        let rows: Vec<String> = all.map(|i| encode::status_row(i, false)).collect();
        format!(r#"{{"type":"status","products":[{}],"currencies":[]}}"#, rows.join(",")).into_bytes()
    }

    /// What a client gets right at its subscription.
    pub(super) fn first(
        &mut self,
        peer: Peer,
        feed: Feed,
        channel: &str,
        product: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        if feed == Feed::Exchange {
            return self.first_old(peer, channel, product, now, out);
        }
        let place = self.world.place(feed, product);
        let state = place.and_then(|at| self.world.states.get(at));
        let one = place.and_then(|at| self.world.market.listed().get(at));
        let (Some(state), Some(one)) = (state, one) else { return };
        let instrument = &state.product.advanced;
        let second = now.0.div_euclid(1_000_000_000);
        let (name, events) = match channel {
            "level2" => ("l2_data", encode::snapshot(instrument, &state.shown)),
            "market_trades" => {
                // Those that are still to be pushed come by themselves.
                let told = state.prints.iter().skip(state.unsold.len()).take(TRADES_FIRST);
                ("market_trades", encode::trades("snapshot", instrument, told))
            }
            "ticker" => ("ticker", encode::ticker("snapshot", one, true)),
            "ticker_batch" => ("ticker_batch", encode::ticker("snapshot", one, false)),
            "candles" => {
                let bars = state.bars(BAR_S, second - BARS_FIRST_S, second);
                ("candles", encode::candles("snapshot", instrument, &bars))
            }
            "status" => {
                let row = encode::status_row(instrument, true);
                ("status", format!(r#"{{"type":"snapshot","products":[{row}]}}"#))
            }
            _ => return,
        };
        self.peers.tell(peer, name, &events, now, out);
    }

    fn first_old(&mut self, peer: Peer, channel: &str, product: &str, now: Ts, out: &mut Vec<SimAction>) {
        if channel == "status" {
            let frame = self.old_status();
            return self.peers.send(peer, frame, now, out);
        }
        let place = self.world.place(Feed::Exchange, product);
        let state = place.and_then(|at| self.world.states.get(at));
        let one = place.and_then(|at| self.world.market.listed().get(at));
        let (Some(state), Some(one)) = (state, one) else { return };
        let Some(instrument) = state.definition(Feed::Exchange) else { return };
        let last = state.prints.front().copied();
        let frame = match (channel, last) {
            ("level2", _) => Some(encode::old_snapshot(instrument, &state.shown, now)),
            ("matches", Some(print)) => Some(encode::old_match("last_match", instrument, &print)),
            ("ticker", _) => {
                let (px, qty) = one.last;
                let opening =
                    super::world::Print { id: 0, px, qty, aggressor: Side::Bid, ts: now, seq: state.seq };
                Some(encode::old_ticker(one, &last.unwrap_or(opening)))
            }
            _ => None,
        };
        if let Some(frame) = frame {
            self.peers.send(peer, frame, now, out);
        }
    }
}
