//! What the simulated venue pushes, and when.

use super::world::{Print, Shown, Update};
use super::{GateSim, encode, level};
use crate::parse::Kind;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Instrument, Ts};
use source::{Peer, SimAction};
use std::sync::Arc;

/// The shortest time between two pushes of a fast book.
const FAST_MS: i64 = 20;
/// Every so many ticks: tickers, bars, statistics.
const TICKERS: u64 = 10;
const BARS: u64 = 20;
const STATS: u64 = 100;

/// How many levels a subscription of a book has, where it is one of the fast, short ones.
fn fast_depth(of: &str) -> Option<usize> {
    if of.contains(":20ms") {
        Some(20)
    } else if let Some((_, "50")) = of.strip_prefix("ob.").and_then(|rest| rest.rsplit_once('.')) {
        Some(50)
    } else {
        None
    }
}

/// A whole book as an update.
fn whole(shown: &Shown, now: Ts) -> Update {
    let (bids, asks) = (shown.best_bids(usize::MAX), shown.best_asks(usize::MAX));
    Update { first: shown.seq, last: shown.seq, bids, asks, ts: now, undo: Vec::new() }
}

impl GateSim {
    fn known(&self, at: usize) -> Option<(Arc<Instrument>, Product)> {
        Some((Arc::clone(self.world.instrument(at)?), self.world.product(at)?))
    }

    /// One move of the market at its time.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        let Some((i, product)) = self.known(at) else { return };
        let channel = format!("{}.trades", product.prefix());
        for print in &prints {
            if self.peers.hears(&channel, &i.symbol) {
                let row = encode::trade(print, &i, self.quirks.integers, false);
                let row = if product == Product::Spot { row } else { format!("[{row}]") };
                self.peers.push(&channel, &i.symbol, &encode::push(&channel, "update", &row, now), out);
            }
            self.forced(print, &i, product, now, out);
        }
        self.quote(at, now, out);
        self.fast(at, now, out);
    }

    fn forced(&mut self, p: &Print, i: &Instrument, product: Product, now: Ts, out: &mut Vec<SimAction>) {
        let channel = "futures.public_liquidates";
        if product != Product::Spot && p.id.is_multiple_of(20) && self.peers.hears(channel, &i.symbol) {
            let row = encode::liquidation(p, i, self.quirks.integers);
            self.peers.push(channel, &i.symbol, &encode::push(channel, "update", &row, now), out);
        }
    }

    /// `book_ticker`, where the best levels changed.
    fn quote(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let (Some(one), Some(state)) = (self.world.market.listed().get(at), self.world.states.get_mut(at))
        else {
            return;
        };
        let best = (one.bids.last_key_value().map(level), one.asks.first_key_value().map(level));
        if best == state.best {
            return;
        }
        state.best = best;
        let (i, seq) = (Arc::clone(&one.instrument), state.seq);
        let Some(product) = self.world.product(at) else { return };
        let channel = format!("{}.book_ticker", product.prefix());
        if self.peers.hears(&channel, &i.symbol) {
            let row = encode::quote(best.0, best.1, seq, &i, self.quirks.integers, now);
            self.peers.push(&channel, &i.symbol, &encode::push(&channel, "update", &row, now), out);
        }
    }

    /// Each 100 ms.
    pub(super) fn tick(&mut self, now: Ts, n: u64, out: &mut Vec<SimAction>) {
        self.flush_all(now, out);
        for at in 0..self.world.states.len() {
            let Some((i, product)) = self.known(at) else { continue };
            let channel = format!("{}.tickers", product.prefix());
            if n.is_multiple_of(TICKERS) && self.peers.hears(&channel, &i.symbol) {
                self.ticker(None, &channel, at, now, out);
            }
            if n.is_multiple_of(STATS) {
                for of in self.peers.heard("futures.contract_stats", &format!("{}:", i.symbol)) {
                    if product != Product::Spot {
                        self.stats(None, &of, at, now, out);
                    }
                }
            }
            self.bars(at, n.is_multiple_of(BARS), now, out);
        }
    }

    /// Pushes what changed in the books.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            self.fast(at, Ts(i64::MAX), out);
            let Some(update) = self.world.flush(at, now) else { continue };
            let Some((i, product)) = self.known(at) else { continue };
            let prefix = product.prefix();
            let channel = format!("{prefix}.order_book_update");
            for of in self.peers.heard(&channel, &format!("{}:", i.symbol)) {
                if fast_depth(&of).is_none() {
                    let row = encode::update(&update, 100, &i, self.quirks.integers);
                    self.peers.push(&channel, &of, &encode::push(&channel, "update", &row, now), out);
                }
            }
            let (channel, of) = (format!("{prefix}.obu"), format!("ob.{}.400", i.symbol));
            if self.peers.hears(&channel, &of) {
                let frame = encode::pushed(&channel, &of, &update, false, &i, now);
                self.peers.push(&channel, &of, &frame, out);
            }
            let channel = format!("{prefix}.order_book");
            for of in self.peers.heard(&channel, &format!("{}:", i.symbol)) {
                self.top(None, &channel, &of, at, now, out);
            }
        }
    }

    /// Books of fewer levels that are pushed faster. At the end of time they are pushed in any case.
    fn fast(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get(at).filter(|s| !s.views.is_empty()) else { return };
        let forced = now == Ts(i64::MAX);
        let due = |pushed: Ts| forced || now.ms_since(pushed) >= FAST_MS;
        let depths: Vec<(usize, Ts)> = state
            .views
            .iter()
            .filter(|(_, (_, pushed))| due(*pushed))
            .map(|(n, (_, ts))| (*n, *ts))
            .collect();
        let Some((i, product)) = self.known(at) else { return };
        for (depth, last) in depths {
            let now = if forced { last } else { now };
            let Some(update) = self.world.turn(at, depth, now) else { continue };
            let channel = format!("{}.order_book_update", product.prefix());
            for of in self.peers.heard(&channel, &format!("{}:20ms", i.symbol)) {
                if fast_depth(&of) == Some(depth) {
                    let row = encode::update(&update, depth, &i, self.quirks.integers);
                    self.peers.push(&channel, &of, &encode::push(&channel, "update", &row, now), out);
                }
            }
            let (channel, of) = (format!("{}.obu", product.prefix()), format!("ob.{}.50", i.symbol));
            if depth == 50 && self.peers.hears(&channel, &of) {
                let frame = encode::pushed(&channel, &of, &update, false, &i, now);
                self.peers.push(&channel, &of, &frame, out);
            }
        }
    }

    fn to(&mut self, peer: Option<Peer>, channel: &str, of: &str, frame: Vec<u8>, out: &mut Vec<SimAction>) {
        match peer {
            Some(peer) => self.peers.send(peer, frame, out),
            None => self.peers.push(channel, of, &frame, out),
        }
    }

    fn ticker(&mut self, to: Option<Peer>, channel: &str, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let (Some(one), Some(state)) = (self.world.one(at), self.world.states.get(at)) else { return };
        let row = encode::ticker(one, state);
        let row = if encode::is_spot(&one.instrument) { row } else { format!("[{row}]") };
        let symbol = one.instrument.symbol.clone();
        self.to(to, channel, &symbol, encode::push(channel, "update", &row, now), out);
    }

    fn stats(&mut self, to: Option<Peer>, of: &str, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let channel = "futures.contract_stats";
        let (Some(one), Some(state)) = (self.world.one(at), self.world.states.get(at)) else { return };
        let row = encode::stats(state, &one.instrument, now);
        self.to(to, channel, of, encode::push(channel, "update", &row, now), out);
    }

    /// `order_book`: the whole book of a few levels.
    fn top(
        &mut self,
        to: Option<Peer>,
        channel: &str,
        of: &str,
        at: usize,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some((i, product)) = self.known(at) else { return };
        let depth: usize = of.split(':').nth(1).and_then(|n| n.parse().ok()).unwrap_or(20);
        let Some(shown) = self.world.shown(at, 0).map(|shown| shown.cut(depth)) else { return };
        let (at, id, symbol, integers) = (now.as_ms(), shown.seq, &i.symbol, self.quirks.integers);
        let spot = product == Product::Spot;
        let side = |all: &[model::Level]| encode::levels(all, &i, !spot, integers);
        let (bids, asks) = (side(&shown.best_bids(depth)), side(&shown.best_asks(depth)));
        let (row, event) = if spot {
            let row = format!(
                r#"{{"t":{at},"lastUpdateId":{id},"s":"{symbol}","l":"{depth}","bids":{bids},"asks":{asks}}}"#
            );
            (row, "update")
        } else {
            (
                format!(
                    r#"{{"t":{at},"id":{id},"contract":"{symbol}","asks":{asks},"bids":{bids},"l":"{depth}"}}"#
                ),
                "all",
            )
        };
        self.to(to, channel, of, encode::push(channel, event, &row, now), out);
    }

    fn bars(&mut self, at: usize, due: bool, now: Ts, out: &mut Vec<SimAction>) {
        let Some((i, product)) = self.known(at) else { return };
        let channel = format!("{}.candlesticks", product.prefix());
        let seconds = now.as_ms().div_euclid(1_000);
        for (_, word, length) in INTERVALS {
            let over = now.as_ms().rem_euclid(length * 1_000) < super::TICK_MS.cast_signed();
            if !(due || over) || !self.peers.hears(&channel, &format!("{word}_{}", i.symbol)) {
                continue;
            }
            let start = seconds.div_euclid(length) * length;
            if over {
                self.bar(None, (&channel, word), at, (start - length, length), now, out);
            }
            self.bar(None, (&channel, word), at, (start, length), now, out);
        }
    }

    fn bar(
        &mut self,
        to: Option<Peer>,
        (channel, word): (&str, &str),
        at: usize,
        (start, length): (i64, i64),
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let (Some(one), Some(state)) = (self.world.one(at), self.world.states.get(at)) else { return };
        let bar = encode::bar(one, state, start, length);
        let closed = (start + length) * 1_000 <= now.as_ms();
        let row = encode::bar_row(&bar, word, &one.instrument, closed, self.quirks.integers);
        let of = format!("{word}_{}", one.instrument.symbol);
        self.to(to, channel, &of, encode::push(channel, "update", &row, now), out);
    }

    /// What a client gets right after its subscription.
    pub(super) fn first(
        &mut self,
        peer: Peer,
        product: Product,
        channel: &str,
        of: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some((_, kind)) = Kind::of(channel.as_bytes()) else { return };
        let symbol = match kind {
            Kind::Pushed => {
                of.strip_prefix("ob.").and_then(|rest| rest.rsplit_once('.')).map_or("", |(s, _)| s)
            }
            Kind::Bars => of.split_once('_').map_or("", |(_, symbol)| symbol),
            _ => of.split(':').next().unwrap_or(of),
        };
        let Some(at) = self.world.place(product, symbol) else { return };
        match kind {
            Kind::Tickers => self.ticker(Some(peer), channel, at, now, out),
            Kind::Top => self.top(Some(peer), channel, of, at, now, out),
            Kind::Stats => self.stats(Some(peer), of, at, now, out),
            Kind::Update => {
                if let Some(depth) = fast_depth(of) {
                    let _ = self.world.view(at, depth, now);
                }
            }
            Kind::Bars => {
                let word = of.split_once('_').map_or("", |(word, _)| word);
                let length = INTERVALS.iter().find(|(_, theirs, _)| *theirs == word).map_or(60, |(.., l)| *l);
                let start = now.as_ms().div_euclid(1_000).div_euclid(length) * length;
                self.bar(Some(peer), (channel, word), at, (start, length), now, out);
            }
            Kind::Pushed => {
                let shown = match fast_depth(of) {
                    Some(depth) => self.world.view(at, depth, now),
                    None if of.ends_with(".400") => self.world.shown(at, 0),
                    None => None,
                };
                let Some((shown, (i, _))) = shown.zip(self.known(at)) else { return };
                let frame = encode::pushed(channel, of, &whole(&shown, now), true, &i, now);
                self.peers.send(peer, frame, out);
            }
            _ => {}
        }
    }
}
