//! What the streams of a section tell, and when.

use super::TICK_MS;
use super::encode;
use super::peers::Peers;
use super::world::{Print, World, best_first};
use crate::product::Product;
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::SimAction;
use source::market::Listed;
use std::collections::BTreeMap;

/// Where the sections of futures are.
const FUTURES: [usize; 2] = [1, 2];

/// Changes that one depth stream has not told yet.
#[derive(Debug)]
pub(super) struct Feed {
    levels: BTreeMap<(bool, Px), Qty>,
    first: u64,
    /// `u` of the event before.
    pub told: u64,
}

impl Feed {
    pub const fn new(told: u64) -> Self {
        Self { levels: BTreeMap::new(), first: 0, told }
    }

    pub fn note(&mut self, side: Side, level: Level, id: u64) {
        if self.levels.is_empty() {
            self.first = id;
        }
        self.levels.insert((side == Side::Bid, level.px), level.qty);
    }
}

/// Who is told, and when.
pub(super) struct Tell<'a> {
    pub product: &'static Product,
    pub peers: &'a Peers,
    pub now: Ts,
    pub out: &'a mut Vec<SimAction>,
}

impl Tell<'_> {
    /// Sends a payload to everybody who hears the stream; it is only made where somebody does.
    fn push(&mut self, instrument: &Instrument, kind: &str, payload: impl FnOnce() -> String) {
        let stream = format!("{}@{kind}", instrument.symbol.to_lowercase());
        self.peers.push(&[self.product.endpoint], &stream, self.out, payload);
    }

    /// Sends a payload to everybody who hears a stream of all instruments: at both sections of futures it carries both.
    fn push_to_all(&mut self, stream: &str, payload: impl FnOnce() -> String) {
        let endpoints: &[usize] = if self.product.futures { &FUTURES } else { &[self.product.endpoint] };
        self.peers.push(endpoints, stream, self.out, payload);
    }
}

impl World {
    /// What a move of one instrument makes known at once: prints, quotes, forced orders, the depth stream without delay.
    pub fn tell_at_once(
        &mut self,
        at: usize,
        prints: &[Print],
        peers: &Peers,
        out: &mut Vec<SimAction>,
        now: Ts,
    ) {
        let product = self.product;
        let mut tell = Tell { product, peers, now, out };
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return;
        };
        for print in prints {
            tell.push(&one.instrument, "trade", || encode::trade(one, print, product.futures, now));
            if print.placeholder {
                tell.push(&one.instrument, "trade", || encode::placeholder(one, print, now));
            }
            tell.push(&one.instrument, "aggTrade", || encode::agg_trade(one, print, product.futures, now));
            // Of one instrument no more than one a second is told.
            if print.forced && now.ms_since(state.forced) >= 1_000 {
                state.forced = now;
                tell.push(&one.instrument, "forceOrder", || encode::liquidation(one, print, now));
                tell.push_to_all("!forceOrder@arr", || encode::liquidation(one, print, now));
            }
        }
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        let best = (one.bids.last_key_value().map(level), one.asks.first_key_value().map(level));
        if state.best != Some(best) {
            state.best = Some(best);
            let id = state.id;
            tell.push(&one.instrument, "bookTicker", || encode::quote(one, best, id, product.futures, now));
        }
        self.flush(at, |ms| ms == 0, &mut tell);
    }

    /// What depth streams of these speeds have not told yet.
    fn flush(&mut self, at: usize, due: impl Fn(u32) -> bool, tell: &mut Tell<'_>) {
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return;
        };
        for (feed, (ms, suffix)) in state.feeds.iter_mut().zip(self.product.speeds) {
            if feed.levels.is_empty() || !due(*ms) {
                continue;
            }
            let levels = std::mem::take(&mut feed.levels);
            let ids = (feed.first, state.id, feed.told);
            feed.told = state.id;
            let (futures, now) = (self.product.futures, tell.now);
            tell.push(&one.instrument, &format!("depth{suffix}"), || {
                encode::delta(one, &levels, ids, futures, now)
            });
        }
    }

    /// The best levels, whole, where the book changed.
    fn tell_tops(&mut self, at: usize, tell: &mut Tell<'_>) {
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return;
        };
        if !std::mem::take(&mut state.top_changed) {
            return;
        }
        let (id, futures, now) = (state.id, self.product.futures, tell.now);
        for levels in [5, 10, 20] {
            tell.push(&one.instrument, &format!("depth{levels}@100ms"), || {
                encode::top(one, levels, id, futures, now)
            });
        }
    }

    /// Streams that are told by the clock.
    pub fn tick(&mut self, ticks: u64, peers: &Peers, out: &mut Vec<SimAction>, now: Ts) {
        let mut tell = Tell { product: self.product, peers, now, out };
        let each = |ms: u64| ticks.is_multiple_of((ms / TICK_MS).max(1));
        for at in (0..self.states.len()).filter(|at| self.is_listed(*at)).collect::<Vec<_>>() {
            self.flush(at, |ms| ms > 0 && each(ms.into()), &mut tell);
            if each(100) {
                self.tell_tops(at, &mut tell);
            }
            if each(1_000) {
                self.tell_by_the_second(at, each(3_000), &mut tell);
            }
        }
        if each(1_000) {
            self.tell_all(each(3_000), each(5_000), &mut tell);
        }
    }

    /// A contract changed: on futures that is told.
    pub fn tell_contract(&self, at: usize, peers: &Peers, out: &mut Vec<SimAction>, now: Ts) {
        if let (true, Some(one), Some(row)) =
            (self.product.futures, self.market.listed().get(at), self.rows.get(at))
        {
            let mut tell = Tell { product: self.product, peers, now, out };
            tell.push_to_all("!contractInfo", || encode::contract(one, row, now));
        }
    }

    /// The streams of all instruments: statistics of those that traded since, marks, and best levels that are others.
    fn tell_all(&mut self, third: bool, fifth: bool, tell: &mut Tell<'_>) {
        let (futures, now) = (self.product.futures, tell.now);
        let (mut traded, mut all) = (Vec::new(), Vec::new());
        for ((one, state), row) in self.market.listed().iter().zip(&mut self.states).zip(&self.rows) {
            if !row.is_listed() {
                continue;
            }
            if std::mem::replace(&mut state.told_to_all.0, one.trades) != one.trades {
                traded.push(one);
            }
            all.push(one);
            let Some(best) = state.best.filter(|best| fifth && futures && state.told_to_all.1 != Some(*best))
            else {
                continue;
            };
            state.told_to_all.1 = Some(best);
            let id = state.id;
            tell.push_to_all("!bookTicker", || encode::quote(one, best, id, futures, now));
        }
        let array = |all: &[&Listed], row: fn(&Listed, bool, Ts) -> String| {
            let rows: Vec<String> = all.iter().map(|one| row(one, futures, now)).collect();
            format!("[{}]", rows.join(","))
        };
        if !traded.is_empty() {
            tell.push_to_all("!miniTicker@arr", || {
                array(&traded, |one, _, now| encode::mini_ticker(one, now))
            });
        }
        if !futures {
            return;
        }
        if !traded.is_empty() {
            tell.push_to_all("!ticker@arr", || array(&traded, encode::ticker));
        }
        let endpoint = [self.product.endpoint];
        for stream in ["!markPrice@arr@1s", "!markPrice@arr"].iter().take(1 + usize::from(third)) {
            let rows = || array(&all, |one, _, now| encode::mark(one, now));
            tell.peers.push(&endpoint, stream, tell.out, rows);
        }
    }

    /// Statistics, bars and marks.
    fn tell_by_the_second(&mut self, at: usize, third: bool, tell: &mut Tell<'_>) {
        let (futures, now) = (self.product.futures, tell.now);
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return;
        };
        let instrument = &one.instrument;
        tell.push(instrument, "ticker", || encode::ticker(one, futures, now));
        tell.push(instrument, "miniTicker", || encode::mini_ticker(one, now));
        for name in tell.peers.bar_intervals(self.product, instrument) {
            let Some(series) = state.bars.series(&name, futures, one.last.0, &state.prints, now) else {
                continue;
            };
            let stream = format!("kline_{name}");
            for bar in series.take_fresh() {
                tell.push(instrument, &stream, || encode::kline(one, &name, &bar, true, now));
            }
            tell.push(instrument, &stream, || encode::kline(one, &name, &series.current, false, now));
        }
        if futures {
            tell.push(instrument, "markPrice@1s", || encode::mark(one, now));
            if third {
                tell.push(instrument, "markPrice", || encode::mark(one, now));
            }
        }
    }

    /// Tells all that is pending of the books.
    pub fn flush_all(&mut self, peers: &Peers, out: &mut Vec<SimAction>, now: Ts) {
        let mut tell = Tell { product: self.product, peers, now, out };
        for at in 0..self.states.len() {
            self.flush(at, |_| true, &mut tell);
            self.tell_tops(at, &mut tell);
        }
    }
}

/// The best levels of a book on both sides.
pub(super) fn best_levels(one: &Listed, depth: usize) -> (Vec<Level>, Vec<Level>) {
    let (mut bids, mut asks) = best_first(one);
    bids.truncate(depth);
    asks.truncate(depth);
    (bids, asks)
}
