//! What the simulated venue pushes, and when.

use super::encode::Name;
use super::{BitgetSim, bars};
use crate::parse::Kind;
use crate::rows::INTERVALS;
use model::{Level, Ts};
use source::{Peer, SimAction};
use std::sync::Arc;

/// How many ticks of 50 ms lie between two pushes of v2 books, of tickers, and of bars.
const SECOND_TICKS: u64 = 2;
const TICKER_TICKS: u64 = 6;
const BARS_TICKS: u64 = 10;
/// A ticker is pushed after so many ticks also where nothing was traded.
const QUIET_TICKS: u64 = 60;
/// How many recent trades the first push of a trade channel holds.
const RECENT_MAX: usize = 50;
/// How many bars the first push of a bar channel holds.
const BARS_MAX: usize = 500;

impl BitgetSim {
    fn channel<'n>(&self, at: usize, third: bool, channel: &'n str, symbol: &'n str) -> Option<Name<'n>> {
        Some(Name { third, product: self.world.product(at)?, channel, symbol, interval: "" })
    }

    /// One move of the market at its time.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let words = self.world.words(&instrument);
        for print in &prints {
            for (third, channel) in [(false, "trade"), (true, "publicTrade")] {
                let row = words.trade(third, print);
                self.push(at, (third, channel, &instrument.symbol), "update", &row, now, out);
            }
            if print.count.is_multiple_of(20) && self.world.product(at).is_some_and(|p| !p.spot()) {
                self.push(at, (true, "liquidation", ""), "update", &words.liquidation(print), now, out);
            }
        }
    }

    fn push(
        &self,
        at: usize,
        (third, channel, symbol): (bool, &str, &str),
        action: &str,
        rows: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some(name) = self.channel(at, third, channel, symbol) else { return };
        let key = name.key();
        if self.peers.heard(&key) {
            self.peers.push(&key, &name.push(action, rows, now), out);
        }
    }

    /// Each 50 ms.
    pub(super) fn tick(&mut self, now: Ts, ticks: u64, out: &mut Vec<SimAction>) {
        self.age(now, out);
        if self.tape {
            return;
        }
        self.flush(now, ticks.is_multiple_of(SECOND_TICKS), out);
        for at in 0..self.world.states.len() {
            self.statistics(at, now, ticks, out);
        }
        if ticks.is_multiple_of(BARS_TICKS) {
            self.bars(now, out);
        }
    }

    /// Pushes what changed in the books; those of v2 only where it is their turn.
    pub(super) fn flush(&mut self, now: Ts, second: bool, out: &mut Vec<SimAction>) {
        for at in 0..self.world.states.len() {
            self.best(at, now, out);
            self.book(at, true, now, out);
            if second {
                self.book(at, false, now, out);
                self.top(at, now, out);
            }
        }
    }

    /// `books1`, where the best levels changed.
    fn best(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(sides) = self.sides(at, 1) else { return };
        let Some(state) = self.world.states.get_mut(at) else { return };
        if state.best == sides {
            return;
        }
        state.best = sides.clone();
        self.tops(at, &["books1"], &sides, now, out);
    }

    /// `books5` and its like, where the best 15 levels changed.
    fn top(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(sides) = self.sides(at, 50) else { return };
        let Some(state) = self.world.states.get_mut(at) else { return };
        if state.top == sides {
            return;
        }
        state.top = sides.clone();
        self.tops(at, &["books5", "books15", "books50"], &sides, now, out);
    }

    fn sides(&self, at: usize, depth: usize) -> Option<(Vec<Level>, Vec<Level>)> {
        let one = self.world.listed(at)?;
        let level = |(px, qty): (&model::Px, &model::Qty)| Level { px: *px, qty: *qty };
        let bids = one.bids.iter().rev().take(depth).map(level).collect();
        Some((bids, one.asks.iter().take(depth).map(level).collect()))
    }

    fn tops(
        &self,
        at: usize,
        channels: &[&str],
        (bids, asks): &(Vec<Level>, Vec<Level>),
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let (Some(one), Some(state)) = (self.world.listed(at), self.world.states.get(at)) else { return };
        let words = self.world.words(&one.instrument);
        for channel in channels {
            let depth = channel.trim_start_matches("books").parse().unwrap_or(1);
            let cut = |levels: &[Level]| levels.iter().take(depth).copied().collect::<Vec<_>>();
            for third in [false, true] {
                let row = words.top(third, &cut(bids), &cut(asks), state.seq, now);
                self.push(at, (third, channel, &one.instrument.symbol), "snapshot", &row, now, out);
            }
        }
    }

    fn book(&mut self, at: usize, third: bool, now: Ts, out: &mut Vec<SimAction>) {
        let Some(update) = self.world.flush(at, third, now) else { return };
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let Some(name) = self.channel(at, third, "books", &instrument.symbol) else { return };
        let key = name.key();
        if self.peers.heard(&key) {
            let row = self.world.words(&instrument).update(third, &update);
            self.peers.push(&key, &self.frame(&name, "update", &row, now), out);
        }
    }

    /// A frame of a book; of some instruments its row stands without an array around it.
    fn frame(&self, name: &Name<'_>, action: &str, row: &str, now: Ts) -> Vec<u8> {
        if self.quirks.bare { name.push_bare(action, row, now) } else { name.push(action, row, now) }
    }

    fn statistics(&mut self, at: usize, now: Ts, ticks: u64, out: &mut Vec<SimAction>) {
        let quiet = ticks.is_multiple_of(QUIET_TICKS);
        let Some((one, state)) = self.world.market.listed().get(at).zip(self.world.states.get_mut(at)) else {
            return;
        };
        let moved = state.told != one.trades && ticks.is_multiple_of(TICKER_TICKS);
        if !moved && !quiet {
            return;
        }
        state.told = one.trades;
        let Some(symbol) = self.world.instrument(at).map(|i| i.symbol.clone()) else { return };
        for third in [false, true] {
            let row = self.ticker(at, third, now).unwrap_or_default();
            self.push(at, (third, "ticker", &symbol), "snapshot", &row, now, out);
        }
    }

    fn ticker(&self, at: usize, third: bool, now: Ts) -> Option<String> {
        let (one, state) = (self.world.listed(at)?, self.world.states.get(at)?);
        let words = self.world.words(&one.instrument);
        Some(if third { words.ticker_third(one, state, now) } else { words.ticker(one, state, now, false) })
    }

    /// Bars of all channels that are heard: the current one, and before it the last where that ended just now.
    fn bars(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let from = Ts(now.0 - (BARS_TICKS * super::TICK_MS * 1_000_000) as i64);
        for at in 0..self.world.states.len() {
            let (Some(one), Some(state)) = (self.world.listed(at), self.world.states.get(at)) else { return };
            for (word, third) in INTERVALS.iter().flat_map(|row| [(row.1, false), (row.1, true)]) {
                let channel = if third { "kline".to_owned() } else { format!("candle{word}") };
                let Some(name) = self.channel(at, third, &channel, &one.instrument.symbol) else { continue };
                let name = Name { interval: if third { word } else { "" }, ..name };
                let key = name.key();
                if !self.peers.heard(&key) {
                    continue;
                }
                let Some(length) = bars::length_ms(word) else { continue };
                let begin = Ts::from_ms(bars::start_ms(word, length, from));
                let rows = bars::bars(one, state, word, begin, Ts(now.0 + 1), 2);
                if !rows.is_empty() {
                    let rows = bars::rows(third, &one.instrument, &rows);
                    self.peers.push(&key, &name.push("update", &rows, now), out);
                }
            }
        }
    }

    /// What a client gets right after its subscription.
    pub(super) fn first(&mut self, peer: Peer, name: &Name<'_>, now: Ts, out: &mut Vec<SimAction>) {
        let Some(at) = self.world.place(name.product, name.symbol) else { return };
        let (Some(one), Some(state)) = (self.world.listed(at), self.world.states.get(at)) else { return };
        let instrument = Arc::clone(&one.instrument);
        let words = self.world.words(&instrument);
        let rows = match Kind::of(name.channel.as_bytes()) {
            Kind::Book => {
                let Some((shown, since)) = self.world.shown(at, name.third, self.late) else { return };
                let row = words.snapshot(name.third, &shown, now);
                self.peers.send(peer, self.frame(name, "snapshot", &row, now), out);
                for update in &since {
                    let row = words.update(name.third, update);
                    self.peers.send(peer, self.frame(name, "update", &row, now), out);
                }
                return;
            }
            Kind::Trades => {
                let recent = state.prints.iter().take(RECENT_MAX);
                recent.map(|print| words.trade(name.third, print)).collect::<Vec<_>>().join(",")
            }
            Kind::Quote | Kind::BookTop => {
                let depth = name.channel.trim_start_matches("books").parse().unwrap_or(1);
                let Some((bids, asks)) = self.sides(at, depth) else { return };
                words.top(name.third, &bids, &asks, state.seq, now)
            }
            Kind::Ticker => self.ticker(at, name.third, now).unwrap_or_default(),
            Kind::Bars => {
                let word = name.channel.strip_prefix("candle").unwrap_or(name.interval);
                let all = bars::bars(one, state, word, Ts(0), Ts(now.0 + 1), BARS_MAX);
                bars::rows(name.third, &instrument, &all)
            }
            Kind::Liquidations | Kind::Other => return,
        };
        self.peers.send(peer, name.push("snapshot", &rows, now), out);
    }
}
