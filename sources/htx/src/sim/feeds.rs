//! What the simulated venue pushes, and when.

use super::HtxSim;
use super::world::DEPTH;
use crate::product::Product;
use crate::topic::{Kind, topic as taken_apart};
use model::Ts;
use source::{Peer, SimAction};

/// How many levels a step shows; `None` where the venue has no such step.
pub(super) fn step_levels(tail: &str, product: Product) -> Option<usize> {
    let step: usize = tail.strip_prefix("step")?.parse().ok()?;
    match (product.spot(), step) {
        (true, 0) | (false, 0..=5) => Some(150),
        (true, 1..=5) | (false, 6..=15) => Some(20),
        _ => None,
    }
}

impl HtxSim {
    /// One step of the market.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        let Some(symbol) = self.world.instrument(at).map(|i| i.symbol.to_string()) else { return };
        if !prints.is_empty() {
            let topic = format!("market.{symbol}.trade.detail");
            if self.peers.heard(&topic) {
                let text = self.trades(at, &topic, &prints, now);
                self.peers.push(&topic, &text, out);
            }
            if self.world.market.rng().u8(0..16) == 0 {
                self.liquidate(at, &symbol, prints.first(), now, out);
            }
        }
        let topic = format!("market.{symbol}.bbo");
        if self.peers.heard(&topic)
            && let Some(text) = self.quote(at, &topic, true, now)
        {
            self.peers.push(&topic, &text, out);
        }
        for depth in [5, 20] {
            self.changed(at, &symbol, depth, now, out);
        }
    }

    /// Pushes the changes of a spot book of so many levels, where somebody hears them.
    fn changed(&mut self, at: usize, symbol: &str, depth: usize, now: Ts, out: &mut Vec<SimAction>) {
        let topic = format!("market.{symbol}.mbp.{depth}");
        let heard = self.peers.heard(&topic);
        if !heard && depth != DEPTH {
            return;
        }
        if let Some(update) = self.world.flush(at, depth, false)
            && heard
        {
            let text = self.change(at, &topic, &update, now);
            self.peers.push(&topic, &text, out);
        }
    }

    /// The clock ticks, each 10 ms.
    pub(super) fn tick(&mut self, now: Ts, n: u64, out: &mut Vec<SimAction>) {
        if n.is_multiple_of(3) {
            let empty = self.world.market.rng().u16(0..400) == 0;
            self.flush_contracts(empty && !self.pulse.is_paused(), now, out);
        }
        if n.is_multiple_of(10) {
            self.age(now, out);
            self.flush_spot(now, out);
        }
        if n.is_multiple_of(50) {
            self.sums(now, out);
        }
        if n.is_multiple_of(100) {
            for topic in self.peers.topics("market.") {
                let kind = taken_apart(topic.as_bytes()).kind;
                if matches!(kind, Kind::MarkPrice | Kind::IndexPrice) || topic == "market.tickers" {
                    self.again(&topic, now, out);
                }
            }
        }
        if n.is_multiple_of(6_000) {
            for topic in self.peers.topics("public.") {
                if taken_apart(topic.as_bytes()).kind == Kind::Funding {
                    self.again(&topic, now, out);
                }
            }
        }
    }

    /// Everything that waits to be pushed.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        self.flush_contracts(false, now, out);
        self.flush_spot(now, out);
    }

    fn flush_contracts(&mut self, empty: bool, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            let Some(state) = self.world.states.get(at).filter(|s| !s.product.spot()) else { continue };
            if !empty && !state.streams.values().any(|s| s.dirty) {
                continue;
            }
            let Some(symbol) = self.world.instrument(at).map(|i| i.symbol.to_string()) else { return };
            for depth in [DEPTH, 20] {
                let topic = format!("market.{symbol}.depth.size_{depth}.high_freq");
                let whole = format!("{topic}|whole");
                let (heard, wholes) = (self.peers.heard(&topic), self.peers.heard(&whole));
                if !heard && !wholes && depth != DEPTH {
                    continue;
                }
                let Some(update) = self.world.flush(at, depth, empty && heard) else { continue };
                if heard {
                    let text = self.change(at, &topic, &update, now);
                    self.peers.push(&topic, &text, out);
                }
                if wholes && let Some(text) = self.snapshot(at, depth, &topic, now) {
                    self.peers.push(&whole, &text, out);
                }
            }
        }
    }

    /// Spot books by changes, and whole books of everything that moved.
    fn flush_spot(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            let Some(state) = self.world.states.get_mut(at) else { return };
            let (spot, moved) = (state.product.spot(), std::mem::take(&mut state.moved));
            if !moved {
                continue;
            }
            let Some(symbol) = self.world.instrument(at).map(|i| i.symbol.to_string()) else { return };
            if spot {
                for depth in [5, 20, DEPTH, 400] {
                    self.changed(at, &symbol, depth, now, out);
                }
            }
            for prefix in ["depth.step", "mbp.refresh."] {
                for topic in self.peers.topics(&format!("market.{symbol}.{prefix}")) {
                    self.again(&topic, now, out);
                }
            }
        }
    }

    /// Statistics and bars of what was traded.
    fn sums(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            let Some(symbol) = self.world.instrument(at).map(|i| i.symbol.to_string()) else { return };
            let Some(state) = self.world.states.get_mut(at) else { return };
            state.bars.roll(now);
            if std::mem::take(&mut state.traded) {
                self.again(&format!("market.{symbol}.detail"), now, out);
            }
            let Some(state) = self.world.states.get_mut(at) else { return };
            let all = state.bars.all.iter_mut();
            let words: Vec<String> =
                all.filter_map(|(word, s)| std::mem::take(&mut s.dirty).then(|| word.clone())).collect();
            for word in words {
                self.again(&format!("market.{symbol}.kline.{word}"), now, out);
            }
        }
    }

    /// Pushes what a topic says now to everybody who hears it.
    fn again(&mut self, topic: &str, now: Ts, out: &mut Vec<SimAction>) {
        if self.peers.heard(topic)
            && let Some(text) = self.now_of(topic, now)
        {
            self.peers.push(topic, &text, out);
        }
    }

    /// What a client gets first.
    pub(super) fn welcome(&mut self, peer: Peer, topic: &str, now: Ts, out: &mut Vec<SimAction>) {
        if let Some(text) = self.now_of(topic, now) {
            self.peers.send(peer, &text, out);
        }
    }

    /// What a topic says now; `None` where it says only what happens.
    fn now_of(&mut self, topic: &str, now: Ts) -> Option<String> {
        let apart = taken_apart(topic.as_bytes());
        let (symbol, tail) = (std::str::from_utf8(apart.symbol).ok()?, std::str::from_utf8(apart.tail).ok()?);
        if topic.starts_with("public.") {
            return self.notice(topic, symbol, apart.kind, now);
        }
        if apart.kind == Kind::Tickers {
            let rows = self.ticker_rows().join(",");
            return Some(format!(r#"{{"ch":"{topic}","status":"ok","ts":{},"data":[{rows}]}}"#, now.as_ms()));
        }
        let at = self.world.place(symbol)?;
        match apart.kind {
            Kind::Trades => {
                let print = *self.world.states.get(at)?.prints.front()?;
                Some(self.trades(at, topic, &[print], now))
            }
            Kind::Quote => self.quote(at, topic, false, now),
            Kind::HighFreq => {
                let depth = if topic.contains(".size_20.") { 20 } else { DEPTH };
                self.snapshot(at, depth, topic, now)
            }
            Kind::Whole => self.whole_levels(at, topic, tail, now),
            Kind::DayStats => self.detail(at, topic, now),
            Kind::Bars => self.bar(at, topic, tail, now),
            Kind::MarkPrice | Kind::IndexPrice => self.price(at, topic, apart.kind, now),
            _ => None,
        }
    }
}
