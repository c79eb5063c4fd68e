//! The state of the simulated venue's markets as shown to clients.

use super::listings::{Product, products};
use crate::Feed;
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::market::{Market, Move};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past changes of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of a market are kept.
const PRINTS_MAX: usize = 20_000;
/// How many minutes of a market are kept.
const MINUTES_MAX: usize = 20_000;

/// A book as it was shown last.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    bids: BTreeMap<Px, Qty>,
    asks: BTreeMap<Px, Qty>,
}

impl Shown {
    fn side(&mut self, side: Side) -> &mut BTreeMap<Px, Qty> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    fn set(&mut self, side: Side, level: Level) -> Qty {
        let held = if level.qty.0 == 0 {
            self.side(side).remove(&level.px)
        } else {
            self.side(side).insert(level.px, level.qty)
        };
        held.unwrap_or_default()
    }

    /// The best bids.
    pub fn bids(&self, n: usize) -> Vec<Level> {
        self.bids.iter().rev().take(n).map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }

    /// The best asks.
    pub fn asks(&self, n: usize) -> Vec<Level> {
        self.asks.iter().take(n).map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub ts: Ts,
    /// The market's number of it.
    pub seq: u64,
}

/// What was traded in an interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ohlcv {
    pub open: Px,
    pub high: Px,
    pub low: Px,
    pub close: Px,
    pub volume: i128,
}

impl Ohlcv {
    fn of(print: &Print) -> Self {
        let px = print.px;
        Self { open: px, high: px, low: px, close: px, volume: i128::from(print.qty.0) }
    }

    fn join(&mut self, later: Self) {
        (self.high, self.low) = (self.high.max(later.high), self.low.min(later.low));
        self.close = later.close;
        self.volume += later.volume;
    }
}

/// What the venue knows of one market besides the market's truth.
pub(super) struct State {
    pub product: Product,
    /// The number of the newest event of the matching engine.
    pub seq: u64,
    /// The book as of the last push.
    pub shown: Shown,
    /// What each push took away, oldest first.
    past: VecDeque<Vec<(Side, Level)>>,
    pending: BTreeMap<(bool, Px), Qty>,
    /// Newest first.
    pub prints: VecDeque<Print>,
    /// Trades that Advanced Trade has not pushed yet, oldest first.
    pub unsold: Vec<Print>,
    /// By the beginning of the minute, in seconds.
    minutes: BTreeMap<i64, Ohlcv>,
    /// A trade happened since the ticker, and since the candle, were pushed.
    pub traded: (bool, bool),
    pub interest: i64,
}

impl State {
    /// The definition that a feed lists, where it does.
    pub fn definition(&self, feed: Feed) -> Option<&Arc<Instrument>> {
        match feed {
            Feed::Advanced => Some(&self.product.advanced),
            Feed::Exchange => self.product.exchange.as_ref(),
        }
    }

    /// Bars of a length in seconds that begin from `from` to `to`, oldest first.
    pub fn bars(&self, length: i64, from: i64, to: i64) -> Vec<(i64, Ohlcv)> {
        let mut all: Vec<(i64, Ohlcv)> = Vec::new();
        let first = from.div_euclid(length) * length;
        for (minute, bar) in self.minutes.range(first..) {
            let start = minute.div_euclid(length) * length;
            if start > to {
                break;
            }
            match all.last_mut() {
                Some((last, whole)) if *last == start => whole.join(*bar),
                _ if start >= from => all.push((start, *bar)),
                _ => {}
            }
        }
        all
    }

    /// The book as it was so many pushes ago.
    pub fn shown_before(&self, pushes: usize) -> Shown {
        let mut shown = self.shown.clone();
        for undo in self.past.iter().rev().take(pushes) {
            for (side, level) in undo.iter().rev() {
                shown.set(*side, *level);
            }
        }
        shown
    }
}

/// All markets of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
}

impl World {
    pub fn new(seed: u64, instruments: usize, now: Ts) -> Self {
        let products = products(instruments);
        let listings = products.iter().map(|p| (Arc::clone(&p.advanced), p.start)).collect();
        let mut market = Market::new(seed, listings);
        let mut states = Vec::new();
        for (one, product) in market.clone().listed().iter().zip(products) {
            let seq = market.rng().u64(1_000_000..9_000_000);
            let interest = market.rng().i64(1_000..900_000);
            let mut state = State {
                product,
                seq,
                shown: Shown { bids: one.bids.clone(), asks: one.asks.clone() },
                past: VecDeque::new(),
                pending: BTreeMap::new(),
                prints: VecDeque::new(),
                unsold: Vec::new(),
                minutes: BTreeMap::new(),
                traded: (false, false),
                interest,
            };
            // The market opens with a price, so that its last minute has a bar.
            let (px, _) = one.last;
            state.keep(Print { id: 0, px, qty: Qty(0), aggressor: Side::Bid, ts: now, seq });
            state.prints.clear();
            states.push(state);
        }
        Self { market, states }
    }

    /// The place of a product by its name on a feed, or by its other name.
    pub fn place(&self, feed: Feed, symbol: &str) -> Option<usize> {
        let is = |state: &State| {
            let named = state.definition(feed).is_some_and(|i| *i.symbol == *symbol);
            named || (feed == Feed::Advanced && state.product.alias.as_deref() == Some(symbol))
        };
        self.states.iter().position(is)
    }

    /// One step of the market. Returns its place and its trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let by = self.market.rng().u64(1..6);
        let state = self.states.get_mut(at)?;
        state.seq += by;
        let mut prints = Vec::new();
        for one in moves {
            match one {
                Move::Level(side, level) => {
                    state.pending.insert((side == Side::Bid, level.px), level.qty);
                }
                Move::Trade { id, px, qty, aggressor } => {
                    prints.push(Print { id, px, qty, aggressor, ts: now, seq: state.seq });
                }
            }
        }
        for print in &prints {
            state.keep(*print);
            state.unsold.push(*print);
            state.traded = (true, true);
        }
        Some((at, prints))
    }

    /// Takes what changed in a book since its last push; `None` where everything is as it was.
    pub fn flush(&mut self, at: usize) -> Option<Vec<(Side, Level)>> {
        let state = self.states.get_mut(at)?;
        let (mut changes, mut undo) = (Vec::new(), Vec::new());
        for ((bid, px), qty) in std::mem::take(&mut state.pending) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let before = state.shown.set(side, Level { px, qty });
            // A level that came and went since the last push is told as a removal; one that is as it was is not told.
            if before != qty || qty.0 == 0 {
                changes.push((side, Level { px, qty }));
                undo.push((side, Level { px, qty: before }));
            }
        }
        if changes.is_empty() {
            return None;
        }
        state.past.push_back(undo);
        if state.past.len() > PAST_MAX {
            state.past.pop_front();
        }
        Some(changes)
    }
}

impl State {
    fn keep(&mut self, print: Print) {
        self.prints.push_front(print);
        self.prints.truncate(PRINTS_MAX);
        let minute = print.ts.0.div_euclid(60_000_000_000) * 60;
        let bar = Ohlcv::of(&print);
        self.minutes.entry(minute).and_modify(|whole| whole.join(bar)).or_insert(bar);
        if self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_first();
        }
    }
}
