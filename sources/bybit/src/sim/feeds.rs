//! What the simulated venue pushes, and when.

use super::world::Print;
use super::{BybitSim, TICK_MS, bars, encode};
use crate::product::Product;
use crate::rows::INTERVALS;
use crate::topic::{Kind, Topic};
use model::Ts;
use source::{Peer, SimAction};

/// How often a best level that did not change is pushed again.
const REPEAT_MS: i64 = 3_000;

impl BybitSim {
    /// The market moves.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        if !prints.is_empty() {
            self.push_trades(at, &prints, now, out);
        }
    }

    /// The symbol that a topic of this instrument names.
    fn named(&self, at: usize) -> Option<(Product, String)> {
        let (one, state) = self.world.one(at)?;
        Some((state.product, one.instrument.symbol.to_string()))
    }

    fn push_trades(&mut self, at: usize, prints: &[Print], now: Ts, out: &mut Vec<SimAction>) {
        let Some((product, symbol)) = self.named(at) else { return };
        let of =
            if product == Product::Option { symbol.split('-').next().unwrap_or_default() } else { &symbol };
        let topic = format!("publicTrade.{of}");
        if !self.peers.heard(product, &topic) {
            return;
        }
        let Some(instrument) = self.world.instrument(at) else { return };
        let frame = encode::trades(&topic, instrument, product, prints, now);
        self.peers.push(product, &topic, &frame, out);
    }

    /// The venue's clock ticks.
    pub(super) fn tick(&mut self, now: Ts, ticks: u64, out: &mut Vec<SimAction>) {
        let ms = ticks * TICK_MS;
        if !self.tape {
            for at in 0..self.world.states.len() {
                self.push_books(at, Some(ms), now, out);
                self.push_best(at, now, out);
                if ms.is_multiple_of(100) {
                    self.push_ticker(at, now, out);
                }
                if ms.is_multiple_of(500) {
                    self.push_forced(at, now, out);
                }
            }
            if ms.is_multiple_of(1_000) {
                self.push_bars(now, out);
            }
        }
        if ms.is_multiple_of(1_000) {
            self.age(now, out);
        }
    }

    /// Sends everything that waits for its time.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            self.push_books(at, None, now, out);
            self.push_best(at, now, out);
            self.push_ticker(at, now, out);
            self.push_forced(at, now, out);
        }
    }

    /// Pushes the books whose time has come; all of them where there is none.
    fn push_books(&mut self, at: usize, ms: Option<u64>, now: Ts, out: &mut Vec<SimAction>) {
        let count = self.world.states.get(at).map_or(0, |s| s.feeds.len());
        for place in 0..count {
            let Some(feed) = self.world.states.get(at).and_then(|s| s.feeds.get(place)) else { continue };
            if !feed.dirty || ms.is_some_and(|ms| !ms.is_multiple_of(feed.every_ms)) {
                continue;
            }
            let depth = feed.depth;
            let Some((before, change)) = self.world.flush(at, place) else { continue };
            let Some((one, state)) = self.world.one(at) else { continue };
            let topic = format!("orderbook.{depth}.{}", one.instrument.symbol);
            let frame = encode::change(&topic, &one.instrument, state, &change, now);
            self.peers.push(state.product, &topic, &frame, out);
            self.world.remember(at, place, before, frame);
        }
    }

    fn push_best(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some((_, state)) = self.world.one(at) else { return };
        let (product, since) = (state.product, now.ms_since(state.best.pushed));
        if product == Product::Option || !(state.dirty || since >= REPEAT_MS) {
            return;
        }
        if !self.world.refresh_best(at, now) && since < REPEAT_MS {
            return;
        }
        let Some((one, state)) = self.world.one(at) else { return };
        let topic = format!("orderbook.1.{}", one.instrument.symbol);
        if self.peers.heard(product, &topic) {
            let frame = encode::best(&topic, &one.instrument, state, now);
            self.peers.push(product, &topic, &frame, out);
        }
        if let Some(state) = self.world.states.get_mut(at) {
            state.best.pushed = now;
        }
    }

    fn push_ticker(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some((one, state)) = self.world.one(at) else { return };
        let (product, seq) = (state.product, state.seq);
        let topic = format!("tickers.{}", one.instrument.symbol);
        if !state.dirty {
            return;
        }
        let next =
            if self.peers.heard(product, &topic) { encode::ticker(one, state, now) } else { Vec::new() };
        let Some(state) = self.world.states.get_mut(at) else { return };
        state.dirty = false;
        state.open_interest += 1;
        if next.is_empty() {
            return;
        }
        let told = std::mem::replace(&mut state.ticker, next);
        let next = &state.ticker;
        let whole = matches!(product, Product::Spot | Product::Option) || told.len() != next.len();
        let kept: Vec<_> = if whole {
            next.iter().collect()
        } else {
            let pairs = next.iter().zip(&told);
            pairs.filter(|(new, old)| new.0 == "symbol" || new != old).map(|(new, _)| new).collect()
        };
        if kept.len() < 2 {
            return;
        }
        let kind = if whole { "snapshot" } else { "delta" };
        let frame = encode::ticker_frame(product, (&topic, kind), &encode::object(&kept), (seq, now));
        self.peers.push(product, &topic, &frame, out);
    }

    fn push_forced(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at).filter(|s| !s.forced.is_empty()) else { return };
        let prints = std::mem::take(&mut state.forced);
        let Some((one, state)) = self.world.one(at) else { return };
        let topic = format!("allLiquidation.{}", one.instrument.symbol);
        let frame = encode::forced(&topic, &one.instrument, state.product, &prints, now);
        self.peers.push(state.product, &topic, &frame, out);
    }

    fn push_bars(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let wanted: Vec<_> = self.bars.iter().map(|(key, start)| (*key, *start)).collect();
        for ((at, interval), told) in wanted {
            let Some(start) = bars::start_of(interval, now.as_ms()) else { continue };
            if start != told {
                self.push_bar(at, interval, (told, true), None, now, out);
                self.bars.insert((at, interval), start);
            }
            self.push_bar(at, interval, (start, false), None, now, out);
        }
    }

    /// Pushes a bar to one client, or to all that hear it.
    fn push_bar(
        &mut self,
        at: usize,
        interval: usize,
        (start, closed): (i64, bool),
        to: Option<Peer>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let (Some((one, state)), Some((_, word, minutes))) = (self.world.one(at), INTERVALS.get(interval))
        else {
            return;
        };
        let topic = format!("kline.{word}.{}", one.instrument.symbol);
        if to.is_none() && !self.peers.heard(state.product, &topic) {
            return;
        }
        let longest = if *minutes == 0 { 32 * 1_440 } else { i64::from(*minutes) };
        let end = bars::start_of(interval, start + longest * 60_000).unwrap_or(start);
        let bar = state.minutes.bar(start, end);
        let frame = encode::bar(&topic, &one.instrument, interval, (&bar, end, closed), now);
        let product = state.product;
        match to {
            Some(peer) => self.peers.send(peer, frame, out),
            None => self.peers.push(product, &topic, &frame, out),
        }
    }

    /// What a client is sent first on a topic.
    pub(super) fn first(
        &mut self,
        peer: Peer,
        product: Product,
        text: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let topic = Topic::parse(text.as_bytes());
        let symbol = String::from_utf8_lossy(topic.of).into_owned();
        let Some(at) = self.world.place(product, &symbol) else { return };
        match topic.kind {
            Kind::Book(1) => {
                if let Some((one, state)) = self.world.one(at) {
                    self.peers.send(peer, encode::best(text, &one.instrument, state, now), out);
                }
            }
            Kind::Book(depth) => {
                let late = self.late;
                let Some(feed) = self.world.feed(at, depth).cloned() else { return };
                let Some((one, state)) = self.world.one(at) else { return };
                let since: Vec<_> = feed.past.iter().rev().take(late).rev().collect();
                let shown = since.first().map_or(&feed.shown, |(before, _)| before);
                self.peers.send(peer, encode::snapshot(text, &one.instrument, state, shown, now), out);
                for (_, frame) in since {
                    self.peers.send(peer, frame.clone(), out);
                }
            }
            Kind::Tickers => {
                let Some((one, state)) = self.world.one(at) else { return };
                let next = encode::ticker(one, state, now);
                let Some(state) = self.world.states.get_mut(at) else { return };
                // Who hears it already gets the same later as a change.
                if state.ticker.is_empty() || !self.peers.heard_by_another(product, text, peer) {
                    state.ticker = next;
                }
                let all: Vec<_> = state.ticker.iter().collect();
                let data = encode::object(&all);
                let frame = encode::ticker_frame(product, (text, "snapshot"), &data, (state.seq, now));
                self.peers.send(peer, frame, out);
            }
            Kind::Bars(interval) => {
                let Some(start) = bars::start_of(interval, now.as_ms()) else { return };
                self.bars.entry((at, interval)).or_insert(start);
                self.push_bar(at, interval, (start, false), Some(peer), now, out);
            }
            _ => {}
        }
    }
}
