//! What the simulated venue lists, and the state of its books as shown on each channel.

use super::listings;
use crate::listing;
use crate::parse::Pace;
use model::{Instrument, InstrumentKind, Level, Px, Qty, Side, Ts};
use source::market::{Listed, Market, Move};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past changes of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 5_000;
/// How long after the opening the one book is empty that begins so.
const EMPTY_MS: u64 = 3_000;
/// Scale of base volumes.
pub(super) const BASE_SCALE: u8 = 8;
/// Scale of costs.
pub(super) const COST_SCALE: u8 = 10;

/// One change of a book as it is pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub prev: u64,
    pub seq: u64,
    /// `new`, `change` or `delete`, and the level.
    pub bids: Vec<(&'static str, Level)>,
    pub asks: Vec<(&'static str, Level)>,
    pub ts: Ts,
    /// What stood there before.
    undo: Vec<(Side, Level)>,
}

/// A book as a channel of some pace has shown it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    /// 0 while nothing ever stood in it.
    pub seq: u64,
    pub ts: Ts,
    pending: BTreeMap<(bool, Px), Qty>,
    past: VecDeque<Change>,
}

impl Shown {
    fn side(&mut self, side: Side) -> &mut BTreeMap<Px, Qty> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    fn set(&mut self, side: Side, level: Level) {
        if level.qty.0 == 0 {
            self.side(side).remove(&level.px);
        } else {
            self.side(side).insert(level.px, level.qty);
        }
    }

    pub fn best_bids(&self, n: usize) -> Vec<Level> {
        self.bids.iter().rev().take(n).map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }

    pub fn best_asks(&self, n: usize) -> Vec<Level> {
        self.asks.iter().take(n).map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }

    /// Takes what changed since the last push, as of the number `seq`.
    fn flush(&mut self, seq: u64, now: Ts) -> Option<Change> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return None;
        }
        let mut change = Change { prev: self.seq, seq, ts: now, ..Change::default() };
        for ((bid, px), qty) in pending {
            let side = if bid { Side::Bid } else { Side::Ask };
            let held = self.side(side).get(&px).copied().unwrap_or_default();
            change.undo.push((side, Level { px, qty: held }));
            let level = Level { px, qty };
            self.set(side, level);
            // A level that came and went since the last push is told as a removal of what nobody saw.
            let action = match (held.0, qty.0) {
                (_, 0) => "delete",
                (0, _) => "new",
                _ => "change",
            };
            if bid { change.bids.push((action, level)) } else { change.asks.push((action, level)) }
        }
        change.bids.reverse();
        (self.seq, self.ts) = (seq, now);
        self.past.push_back(change.clone());
        if self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
        Some(change)
    }

    /// The book as shown `late` changes ago, and the changes since.
    pub fn late(&self, late: usize) -> (Self, Vec<Change>) {
        let mut shown = self.clone();
        let mut since: Vec<Change> = self.past.iter().rev().take(late).cloned().collect();
        for change in &since {
            for (side, level) in &change.undo {
                shown.set(*side, *level);
            }
            shown.seq = change.prev;
        }
        since.reverse();
        (shown, since)
    }
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    /// `trade_seq`, counted by instrument.
    pub seq: u64,
    /// Counted over the venue.
    pub id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    /// `tick_direction`
    pub tick: u8,
    pub ts: Ts,
    pub index: Px,
    pub base: i128,
    pub cost: i128,
}

impl Print {
    /// Who was forced: `M`, `T` or `MT`; now and then somebody is.
    pub fn forced(&self, instrument: &Instrument) -> Option<&'static str> {
        let tradable = instrument.kind != InstrumentKind::Spot && self.seq.is_multiple_of(20);
        tradable.then(|| ["M", "T", "MT"].get(self.seq as usize / 20 % 3).copied().unwrap_or("T"))
    }
}

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Until then nothing stands in its book.
    pub opens: Ts,
    pub raw: Shown,
    pub ms100: Shown,
    pub agg2: Shown,
    /// Newest first.
    pub prints: VecDeque<Print>,
    /// Trades not told yet on the channels that are pushed by time.
    pub untold: Vec<Print>,
    /// The best levels told last.
    pub best: (Option<Level>, Option<Level>),
    /// Something happened since the last ticker by 100 ms, and by the slower one.
    pub moved: (bool, bool),
    pub trades: u64,
    pub base: i128,
    pub cost: i128,
    pub open_interest: i64,
    pub started: bool,
}

impl State {
    pub fn shown(&self, pace: Pace) -> &Shown {
        match pace {
            Pace::Raw => &self.raw,
            Pace::Ms100 => &self.ms100,
            Pace::Agg2 => &self.agg2,
        }
    }

    fn shown_mut(&mut self, pace: Pace) -> &mut Shown {
        match pace {
            Pace::Raw => &mut self.raw,
            Pace::Ms100 => &mut self.ms100,
            Pace::Agg2 => &mut self.agg2,
        }
    }
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing.
    pub rows: Vec<String>,
    /// The number of the newest change of any book.
    change_id: u64,
    trade_id: u64,
}

impl World {
    pub fn new(seed: u64, instruments: usize, now: Ts) -> Self {
        let (rows, starts) = listings::all(instruments);
        let body = format!(r#"{{"result":[{}]}}"#, rows.join(","));
        let made = listing::read(body.as_bytes()).unwrap_or_default();
        let listed = made.into_iter().map(Arc::new).zip(starts).map(|(made, (px, scale))| {
            let start = model::rescale(px, scale, made.px_scale)
                .unwrap_or_else(|| px / 10_i64.pow(u32::from(scale.saturating_sub(made.px_scale))));
            (made, start)
        });
        let mut market = Market::new(seed, listed.collect());
        let mut change_id = 31_000_000_000 + u64::from(market.rng().u32(..));
        let mut states = Vec::new();
        for one in market.clone().listed() {
            change_id += market.rng().u64(1..1_000);
            let open_interest = market.rng().i64(100_000..9_000_000);
            let mut state =
                State { opens: now, open_interest, started: true, moved: (true, true), ..State::default() };
            // One book begins empty, as those of new options do.
            let begins_empty = one.instrument.kind == InstrumentKind::Option && states.len() % 2 == 1;
            for pace in [Pace::Raw, Pace::Ms100, Pace::Agg2] {
                let shown = state.shown_mut(pace);
                shown.ts = now;
                if begins_empty {
                    let bids = one.bids.iter().map(|(px, qty)| ((true, *px), *qty));
                    shown.pending =
                        bids.chain(one.asks.iter().map(|(px, qty)| ((false, *px), *qty))).collect();
                } else {
                    (shown.bids, shown.asks) = (one.bids.clone(), one.asks.clone());
                    shown.seq = change_id;
                }
            }
            if begins_empty {
                (state.opens, state.started) = (now.plus_ms(EMPTY_MS), false);
            }
            states.push(state);
        }
        Self { market, states, rows, change_id, trade_id: 0 }
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.market.listed().get(at).map(|l| &l.instrument)
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        self.market.listed().iter().position(|l| *l.instrument.symbol == *symbol)
    }

    /// One step of the market. Returns the instrument.
    pub fn step(&mut self, now: Ts) -> Option<usize> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        if moves.is_empty() {
            return None;
        }
        self.change_id += self.market.rng().u64(1..6);
        let index = self.index_of(at).map_or(Px(0), |(px, _)| px);
        let instrument = Arc::clone(self.instrument(at)?);
        let state = self.states.get_mut(at)?;
        state.moved = (true, true);
        for one in moves {
            match one {
                Move::Level(side, level) => {
                    for pace in [Pace::Raw, Pace::Ms100, Pace::Agg2] {
                        let pending = &mut state.shown_mut(pace).pending;
                        pending.insert((side == Side::Bid, level.px), level.qty);
                    }
                }
                Move::Trade { px, qty, aggressor, .. } if state.opens <= now => {
                    self.trade_id += 1;
                    state.trades += 1;
                    let (base, cost) = worth(&instrument, px, qty);
                    let last = state.prints.front();
                    let tick = last.map_or(1, |last| match px.cmp(&last.px) {
                        std::cmp::Ordering::Greater => 0,
                        std::cmp::Ordering::Equal => 1 + last.tick / 2 * 2,
                        std::cmp::Ordering::Less => 2,
                    });
                    let (seq, id) = (state.trades, self.trade_id);
                    let print = Print { seq, id, px, qty, aggressor, tick, ts: now, index, base, cost };
                    state.base += base;
                    state.cost += cost;
                    state.prints.push_front(print);
                    state.prints.truncate(PRINTS_MAX);
                    state.untold.push(print);
                }
                Move::Trade { .. } => {}
            }
        }
        Some(at)
    }

    /// What changed on a channel of this pace since its last push.
    pub fn flush(&mut self, at: usize, pace: Pace, now: Ts) -> Option<Change> {
        let seq = self.change_id;
        let state = self.states.get_mut(at).filter(|s| s.opens <= now)?;
        // The number is of the instrument's own last change: the raw book has it.
        let seq = if pace == Pace::Raw || state.raw.seq == 0 { seq } else { state.raw.seq };
        state.shown_mut(pace).flush(seq, now)
    }

    /// The price of an index and its scale: that of the first instrument over it.
    pub fn index(&self, name: &str) -> Option<(Px, u8)> {
        let listed = self.market.listed();
        let over = |l: &&Listed| {
            l.instrument.kind != InstrumentKind::Option
                && listing::index_of(&l.instrument).as_deref() == Some(name)
        };
        listed.iter().find(over).map(|l| (l.last.0, l.instrument.px_scale))
    }

    /// The same, of the index under an instrument.
    pub fn index_of(&self, at: usize) -> Option<(Px, u8)> {
        self.index(&listing::index_of(self.instrument(at)?)?)
    }

    /// The names of all indices.
    pub fn indices(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.market.listed().iter().filter_map(|l| listing::index_of(&l.instrument)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The best level of each side as it is now.
    pub fn best(&self, at: usize) -> (Option<Level>, Option<Level>) {
        let Some(state) = self.states.get(at) else { return (None, None) };
        (state.raw.best_bids(1).first().copied(), state.raw.best_asks(1).first().copied())
    }
}

/// What a trade is worth: in base at [`BASE_SCALE`], and in the currency of the price at [`COST_SCALE`].
fn worth(instrument: &Instrument, px: Px, qty: Qty) -> (i128, i128) {
    let (p, q) = (instrument.px_scale, instrument.qty_scale);
    let ten = |n: u8| 10_i128.pow(u32::from(n));
    let (px, qty) = (i128::from(px.0), i128::from(qty.0));
    if listing::is_inverse(instrument) {
        let base = qty * ten(BASE_SCALE) * ten(p) / (ten(q) * px.max(1));
        return (base, qty * ten(COST_SCALE) / ten(q));
    }
    (qty * ten(BASE_SCALE) / ten(q), qty * px * ten(COST_SCALE) / ten(p + q))
}
