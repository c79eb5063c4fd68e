//! What the simulated venue lists, and the state of its books as shown to clients.

use super::rows::{future_row, option_row, read, spot_row, step_text, swap_row, with};
use crate::listing;
use model::{Decimal, Instrument, InstrumentKind, Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::{Change, Listed, Market, Move, coins, roomy};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many past updates of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 20_000;

/// One update of a book as it is pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    pub prev: i64,
    pub seq: i64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    pub checksum: i32,
    pub ts: Ts,
    /// What stood there before.
    pub undo: Vec<(Side, Level)>,
}

/// A book as it was at some number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub seq: i64,
    pub checksum: i32,
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
        self.bids.iter().rev().take(n).map(level).collect()
    }

    pub fn best_asks(&self, n: usize) -> Vec<Level> {
        self.asks.iter().take(n).map(level).collect()
    }

    /// CRC-32 over the best 25 levels, as the venue sent it until 2026.
    fn crc(&self, instrument: &Instrument) -> i32 {
        let (bids, asks) = (self.best_bids(25), self.best_asks(25));
        let mut text = Vec::new();
        for i in 0..25 {
            for level in [bids.get(i), asks.get(i)].into_iter().flatten() {
                if !text.is_empty() {
                    text.push(b':');
                }
                write_mantissa(level.px.0, instrument.px_scale, &mut text);
                text.push(b':');
                write_mantissa(level.qty.0, instrument.qty_scale, &mut text);
            }
        }
        crc32fast::hash(&text).cast_signed()
    }
}

fn level((px, qty): (&Px, &Qty)) -> Level {
    Level { px: *px, qty: *qty }
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub seq: i64,
    pub ts: Ts,
}

/// The place of the instrument whose tick gets finer.
const REFINED: usize = 1;

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the newest change of the matching engine.
    pub seq: i64,
    /// The book as of the last push of `books`.
    pub shown: Shown,
    pub past: VecDeque<Update>,
    pub prints: VecDeque<Print>,
    pending: BTreeMap<(bool, Px), Qty>,
    /// When `books` was pushed last.
    pub pushed: Ts,
    /// When `bbo-tbt` was pushed last, and with what.
    pub best: (Ts, Option<Level>, Option<Level>),
    /// When `books5` was pushed last, and with what.
    pub top: (Ts, Vec<Level>, Vec<Level>),
    /// Last statistics, mark price and index price pushed, by their trade count or price.
    pub told: [i64; 3],
    /// When mark and index price were pushed last.
    pub told_at: [Ts; 3],
    pub open_interest: i64,
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing, in the order of the market; empty where the instrument is on it no longer.
    pub rows: Vec<String>,
    legacy_checksum: bool,
    /// How many coins and how many instruments there were at the opening.
    first: (usize, usize),
}

impl World {
    pub fn new(seed: u64, instruments: usize, legacy_checksum: bool, now: Ts) -> Self {
        let (mut rows, mut starts) = (Vec::new(), Vec::new());
        for (i, coin) in coins(instruments).iter().enumerate() {
            rows.push(spot_row(coin, i));
            starts.push(coin.px);
            rows.push(swap_row(coin, i));
            starts.push(coin.px);
        }
        for (i, coin) in coins(instruments.min(2)).iter().enumerate() {
            rows.push(future_row(coin, i));
            starts.push(coin.px);
            rows.push(option_row(coin, i));
            starts.push(10_000);
        }
        let mut world = Self {
            market: Market::new(seed, Vec::new()),
            states: Vec::with_capacity(rows.len()),
            first: (instruments, rows.len()),
            rows: Vec::with_capacity(rows.len()),
            legacy_checksum,
        };
        for (row, start) in rows.into_iter().zip(starts) {
            world.list(row, start, now);
        }
        world
    }

    /// Lists one more instrument.
    fn list(&mut self, row: String, start: i64, now: Ts) {
        let at = self.rows.len();
        let Some(made) = read(&row) else { return };
        let (made, start) = if at == REFINED { roomy(made, start) } else { (made, start) };
        self.market.list(Arc::new(made), start);
        self.rows.push(row);
        let seq = self.market.rng().i64(1_000_000..9_000_000);
        let open_interest = self.market.rng().i64(100_000..9_000_000);
        let Some(one) = self.market.listed().get(at) else { return };
        let mut shown = Shown { bids: one.bids.clone(), asks: one.asks.clone(), seq, checksum: 0 };
        shown.checksum = if self.legacy_checksum { shown.crc(&one.instrument) } else { 0 };
        self.states.push(State { seq, shown, pushed: now, open_interest, ..State::default() });
    }

    /// Changes an instrument; gives its product and its row as it is told.
    pub fn change(&mut self, change: Change, now: Ts) -> Option<(&'static str, String)> {
        let (coins_first, first) = self.first;
        let at = match change {
            Change::Refine => REFINED,
            Change::Suspend | Change::Resume => first.checked_sub(1)?,
            Change::List | Change::Open | Change::Delist => first,
        };
        if change == Change::List {
            let coin = coins(coins_first + 1).pop()?;
            self.list(spot_row(&coin, coins_first), coin.px, now);
        }
        let row = self.rows.get_mut(at)?;
        match change {
            Change::Refine => {
                let tick = read(row)?.tick?.scale();
                *row = with(row, "tickSz", &step_text(tick + 1))?;
            }
            Change::Suspend => *row = with(row, "state", "suspend")?,
            Change::Resume | Change::Open => *row = with(row, "state", "live")?,
            Change::List => *row = with(row, "state", "preopen")?,
            Change::Delist => *row = with(row, "state", "expired")?,
        }
        let told = row.clone();
        if change == Change::Delist {
            row.clear();
        }
        let made = read(&told)?;
        let product = listing::inst_type(made.kind);
        self.market.define(at, made);
        Some((product, told))
    }

    /// Whether an instrument is on the list.
    pub fn is_listed(&self, at: usize) -> bool {
        self.rows.get(at).is_some_and(|row| !row.is_empty())
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.market.listed().get(at).map(|l| &l.instrument)
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        let at = self.market.listed().iter().position(|l| *l.instrument.symbol == *symbol)?;
        self.is_listed(at).then_some(at)
    }

    /// The instruments of a product.
    pub fn of_type(&self, inst_type: &str) -> Vec<usize> {
        let fits = |(_, l): &(usize, &Listed)| listing::inst_type(l.instrument.kind) == inst_type;
        let all = self.market.listed().iter().enumerate().filter(fits).map(|(at, _)| at);
        all.filter(|at| self.is_listed(*at)).collect()
    }

    /// The options of a family.
    pub fn options(&self, family: &str) -> Vec<&Listed> {
        let ours = |l: &&Listed| {
            let made = &l.instrument;
            made.kind == InstrumentKind::Option && listing::index_of(&made.symbol) == family
        };
        self.market.listed().iter().filter(ours).collect()
    }

    /// All families that have options.
    pub fn families(&self) -> BTreeSet<String> {
        let options = self.market.listed().iter().filter(|l| l.instrument.kind == InstrumentKind::Option);
        options.map(|l| listing::index_of(&l.instrument.symbol).to_owned()).collect()
    }

    /// One step of the market. Returns the instrument and its trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let by = self.market.rng().i64(1..6);
        let state = self.states.get_mut(at)?;
        state.seq += by;
        let mut prints = Vec::new();
        for one in moves {
            match one {
                Move::Level(side, level) => {
                    state.pending.insert((side == Side::Bid, level.px), level.qty);
                }
                Move::Trade { id, px, qty, aggressor } => {
                    prints.push(Print { id, px, qty, aggressor, seq: state.seq, ts: now });
                }
            }
        }
        for print in &prints {
            state.prints.push_front(*print);
            state.prints.truncate(PRINTS_MAX);
        }
        Some((at, prints))
    }

    /// Whether the book of an instrument has changes that were not pushed.
    pub fn dirty(&self, at: usize) -> bool {
        self.states.get(at).is_some_and(|s| !s.pending.is_empty())
    }

    /// Takes what changed since the last push; `None` where everything is as it was.
    pub fn flush(&mut self, at: usize, now: Ts) -> Option<Update> {
        let instrument = Arc::clone(self.instrument(at)?);
        let rng = self.market.rng();
        let (reset, noise) = (rng.u16(0..400) == 0, rng.u8(0..4));
        let small = rng.i64(1..1_000);
        let fars: Vec<i64> = (0..noise).map(|_| rng.i64(200..2_000)).collect();
        let state = self.states.get_mut(at)?;
        let mut update = Update { prev: state.shown.seq, ts: now, ..Update::default() };
        let pending = std::mem::take(&mut state.pending);
        for ((bid, px), qty) in pending {
            let side = if bid { Side::Bid } else { Side::Ask };
            let held = state.shown.side(side).get(&px).copied().unwrap_or_default();
            // A level that came and went since the last push is told as a removal; one that is as it was is not told.
            if held == qty && qty.0 != 0 {
                continue;
            }
            update.undo.push((side, Level { px, qty: held }));
            let level = Level { px, qty };
            state.shown.set(side, level);
            if bid { update.bids.push(level) } else { update.asks.push(level) }
        }
        if update.undo.is_empty() {
            return None;
        }
        let tick = instrument.tick.and_then(|t| t.mantissa_at(instrument.px_scale)).unwrap_or(1);
        if let Some((worst, _)) = state.shown.asks.last_key_value() {
            update.asks.extend(fars.iter().map(|far| Level { px: Px(worst.0 + far * tick), qty: Qty(0) }));
        }
        update.bids.reverse();
        if reset {
            state.seq = state.seq.min(small);
        }
        update.seq = state.seq;
        state.shown.seq = state.seq;
        if self.legacy_checksum {
            state.shown.checksum = state.shown.crc(&instrument);
        }
        update.checksum = state.shown.checksum;
        state.past.push_back(update.clone());
        if state.past.len() > PAST_MAX {
            state.past.pop_front();
        }
        state.pushed = now;
        Some(update)
    }

    /// The book as shown `late` updates ago, and the updates since.
    pub fn shown(&self, at: usize, late: usize) -> Option<(Shown, Vec<Update>)> {
        let state = self.states.get(at)?;
        let mut shown = state.shown.clone();
        let since: Vec<Update> = state.past.iter().rev().take(late).cloned().collect();
        for update in &since {
            for (side, level) in &update.undo {
                shown.set(*side, *level);
            }
            shown.seq = update.prev;
        }
        if let (Some(instrument), true) = (self.instrument(at), self.legacy_checksum) {
            shown.checksum = shown.crc(instrument);
        }
        Some((shown, since.into_iter().rev().collect()))
    }

    /// The price of the index under an instrument: its spot price where that is listed.
    pub fn index(&self, name: &str) -> Option<(Px, u8)> {
        let listed = self.market.listed();
        let spot = listed.iter().find(|l| *l.instrument.symbol == *name);
        let found = spot.or_else(|| listed.iter().find(|l| listing::index_of(&l.instrument.symbol) == name));
        found.map(|l| (l.last.0, l.instrument.px_scale))
    }
}

/// What volume and turnover are written as: `vol24h` and `volCcy24h`.
pub(super) fn volumes(one: &Listed) -> (Decimal, Decimal) {
    let volume = Decimal::new(one.volume, one.instrument.qty_scale);
    let ccy = match (&one.instrument.contract_size, one.instrument.kind) {
        (Some(size), kind) if kind != InstrumentKind::Spot => {
            let scale = size.scale();
            let mantissa = i128::from(size.mantissa_at(scale).unwrap_or(1)) * one.volume;
            Decimal::new(mantissa, scale + one.instrument.qty_scale)
        }
        _ => Decimal::new(one.turnover, one.instrument.px_scale + one.instrument.qty_scale),
    };
    (volume, ccy)
}
