//! One section of the simulated venue: its market, and what each stream has told so far.

use super::bars::Bars;
use super::feeds::Feed;
use super::rows::{self, Row};
use crate::listing;
use crate::product::Product;
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::SimBook;
use source::market::{Change, Coin, Listed, Market, Move, coins, roomy};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past moves of a book are kept, for snapshots that come late.
const PAST_MAX: usize = 256;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 20_000;

/// The place of the instrument whose tick gets finer.
const REFINED: usize = 1;

/// A move of the book with what it takes to undo it.
#[derive(Debug)]
pub(super) struct Past {
    /// The id before the move.
    before: u64,
    /// What stood there.
    undo: Vec<(Side, Level)>,
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    /// Its id.
    pub id: u64,
    /// Its id among merged prints.
    pub merged_id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub ts: Ts,
    /// Whether the id after it is used up by a row without a price.
    pub placeholder: bool,
    /// Whether it was a forced order's.
    pub forced: bool,
}

/// Best bid and offer.
pub(super) type Best = (Option<Level>, Option<Level>);

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The id of the newest change of the book.
    pub id: u64,
    /// The book as the undo list follows it.
    sides: [BTreeMap<Px, Qty>; 2],
    /// By the section's speeds.
    pub feeds: Vec<Feed>,
    past: VecDeque<Past>,
    pub prints: VecDeque<Print>,
    pub bars: Bars,
    /// Best levels as last told.
    pub best: Option<Best>,
    /// Whether the book changed since its best levels were last told whole.
    pub top_changed: bool,
    /// What the streams of all instruments told last: how many trades there were, the best levels.
    pub told_to_all: (u64, Option<Best>),
    pub open_interest: i64,
    /// When a forced order was last told.
    pub forced: Ts,
}

/// One section.
pub(super) struct World {
    pub product: &'static Product,
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing, in the order of the market.
    pub rows: Vec<Row>,
    /// How many there were at the opening.
    first: usize,
    start: Ts,
    /// The newest id of all books of the section.
    counter: u64,
}

impl World {
    pub fn new(product: &'static Product, seed: u64, instruments: usize, start: Ts) -> Self {
        let rows = rows::rows(product, &coins(instruments));
        let mut world = Self {
            product,
            market: Market::new(seed.wrapping_mul(3).wrapping_add(product.endpoint as u64), Vec::new()),
            states: Vec::with_capacity(rows.len()),
            first: rows.len(),
            rows: Vec::with_capacity(rows.len()),
            start,
            counter: 0,
        };
        world.counter = world.market.rng().u64(1_000_000..9_000_000);
        for row in rows {
            world.list(row);
        }
        world
    }

    /// Lists one more instrument.
    fn list(&mut self, row: Row) {
        let (at, start) = (self.rows.len(), row.start());
        let Some(made) = self.read(&row) else { return };
        let (made, start) = if at == REFINED { roomy(made, start) } else { (made, start) };
        self.market.list(Arc::new(made), start);
        self.rows.push(row);
        let Some(one) = self.market.listed().get(at) else { return };
        let sides = [one.bids.clone(), one.asks.clone()];
        self.counter += self.market.rng().u64(1..50);
        self.states.push(State {
            id: self.counter,
            sides,
            feeds: self.product.speeds.iter().map(|_| Feed::new(self.counter)).collect(),
            open_interest: self.market.rng().i64(100_000..9_000_000),
            ..State::default()
        });
    }

    /// A row's definition, read as a client reads it, so that both have the same.
    fn read(&self, row: &Row) -> Option<Instrument> {
        let listing = rows::listing(self.product, [row], self.start);
        listing::read(self.product, listing.as_bytes()).ok()?.pop()
    }

    /// Changes an instrument; gives its place.
    pub fn change(&mut self, change: Change) -> Option<usize> {
        let at = match change {
            Change::Refine => REFINED,
            Change::Suspend | Change::Resume => self.first.checked_sub(1)?,
            Change::List | Change::Open | Change::Delist => self.first,
        };
        if change == Change::List {
            let coins = coins(self.first + 1);
            let is_new = |coin: &&Coin| !self.rows.iter().any(|row| row.coin.base == coin.base);
            let coin = coins.iter().find(is_new)?.clone();
            self.list(Row { coin, dated: false, status: "PENDING_TRADING" });
        }
        let futures = self.product.futures;
        let row = self.rows.get_mut(at)?;
        match change {
            Change::Refine => row.coin.px_scale += 1,
            Change::Suspend => row.status = if futures { "SETTLING" } else { "HALT" },
            Change::Resume | Change::Open => row.status = "TRADING",
            Change::List => {}
            Change::Delist => row.status = "CLOSE",
        }
        let row = self.rows.get(at)?;
        let made = self.read(row)?;
        self.market.define(at, made);
        Some(at)
    }

    /// Takes an instrument off the list.
    pub fn delist(&mut self, at: usize) {
        if let Some(row) = self.rows.get_mut(at) {
            row.status = "";
        }
    }

    /// What is on the list.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.market.listed().iter().zip(&self.rows).filter(|(_, row)| row.is_listed()).map(|(one, _)| one)
    }

    /// Whether an instrument is on the list.
    pub fn is_listed(&self, at: usize) -> bool {
        self.rows.get(at).is_some_and(Row::is_listed)
    }

    /// The place of a symbol that is listed.
    pub fn place(&self, symbol: &str) -> Option<usize> {
        let at = self.market.listed().iter().position(|l| *l.instrument.symbol == *symbol)?;
        self.is_listed(at).then_some(at)
    }

    /// One move of the market. Gives whose it was and the trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let state = self.states.get_mut(at)?;
        let mut past = Past { before: state.id, undo: Vec::new() };
        let mut prints = Vec::new();
        for one in moves {
            match one {
                Move::Level(side, level) => {
                    if self.product.futures {
                        self.counter += self.market.rng().u64(1..40);
                        state.id = self.counter;
                    } else {
                        state.id += 1;
                    }
                    let stood = put(&mut state.sides, side, level);
                    past.undo.push((side, Level { px: level.px, qty: stood }));
                    for feed in &mut state.feeds {
                        feed.note(side, level, state.id);
                    }
                }
                Move::Trade { id, px, qty, aggressor } => {
                    let usdm = self.product.futures && !self.product.inverse;
                    let forced = self.product.futures && self.market.rng().u8(0..20) == 0;
                    let placeholder = usdm && self.market.rng().u8(0..16) == 0;
                    let merged_id = id;
                    let id = if usdm { id * 2 } else { id };
                    prints.push(Print { id, merged_id, px, qty, aggressor, ts: now, placeholder, forced });
                    state.open_interest = (state.open_interest + self.market.rng().i64(-5..=5)).max(1);
                }
            }
        }
        keep(&mut state.past, past, PAST_MAX);
        for print in &prints {
            state.bars.on(print);
            keep(&mut state.prints, *print, PRINTS_MAX);
        }
        state.top_changed = true;
        Some((at, prints))
    }

    /// A snapshot: the book as it was `late` moves ago. Without delay it stands at the end of an event of the stream of
    /// 100 ms three times in four, else at the book's newest state, which the next event will reach across.
    pub fn snapshot(&mut self, at: usize, late: usize) -> Option<(u64, [BTreeMap<Px, Qty>; 2])> {
        let at_event = late == 0 && self.market.rng().u8(0..4) > 0;
        let speed = self.product.speeds.iter().position(|(ms, _)| *ms == 100)?;
        let state = self.states.get(at)?;
        let told = state.feeds.get(speed)?.told;
        let (mut id, mut sides) = (state.id, state.sides.clone());
        for (n, past) in state.past.iter().rev().enumerate() {
            if n >= late && !(at_event && id > told) {
                break;
            }
            for (side, level) in past.undo.iter().rev() {
                put(&mut sides, *side, *level);
            }
            id = past.before;
        }
        Some((id, sides))
    }

    /// The true books of what is listed.
    pub fn books(&self) -> impl Iterator<Item = SimBook> {
        let all = self.market.listed().iter().zip(&self.states).zip(&self.rows);
        all.filter(|(_, row)| row.is_listed()).map(|((one, state), _)| {
            let (bids, asks) = best_first(one);
            one.truth(Some(state.id), bids, asks)
        })
    }
}

/// Sets a level and gives what stood there.
fn put(sides: &mut [BTreeMap<Px, Qty>; 2], side: Side, level: Level) -> Qty {
    let [bids, asks] = sides;
    let map = if side == Side::Bid { bids } else { asks };
    let stood = if level.qty == Qty(0) { map.remove(&level.px) } else { map.insert(level.px, level.qty) };
    stood.unwrap_or_default()
}

fn keep<T>(all: &mut VecDeque<T>, one: T, max: usize) {
    all.push_back(one);
    if all.len() > max {
        all.pop_front();
    }
}

/// A book's level maps as levels, best first.
pub(super) fn best_first(one: &Listed) -> (Vec<Level>, Vec<Level>) {
    let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
    (one.bids.iter().rev().map(level).collect(), one.asks.iter().map(level).collect())
}
