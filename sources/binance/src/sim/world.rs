//! One section of the simulated venue: its market, and what each stream has told so far.

use super::bars::Bars;
use super::feeds::Feed;
use super::rows;
use crate::listing;
use crate::product::Product;
use model::{Level, Px, Qty, Side, Ts};
use source::SimBook;
use source::market::{Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past moves of a book are kept, for snapshots that come late.
const PAST_MAX: usize = 256;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 20_000;

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
    pub best: Option<(Option<Level>, Option<Level>)>,
    /// Whether the book changed since its best levels were last told whole.
    pub top_changed: bool,
    pub open_interest: i64,
    /// When a forced order was last told.
    pub forced: Ts,
}

/// One section.
pub(super) struct World {
    pub product: &'static Product,
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing.
    pub rows: Vec<String>,
    /// The newest id of all books of the section.
    counter: u64,
}

impl World {
    pub fn new(product: &'static Product, seed: u64, instruments: usize, start: Ts) -> Self {
        let (rows, starts): (Vec<String>, Vec<i64>) =
            rows::rows(product, &coins(instruments)).into_iter().unzip();
        // The definitions are read as a client reads them, so that both have the same.
        let listing = rows::listing(product, &rows, start);
        let made = listing::read(product, listing.as_bytes()).unwrap_or_default();
        let listings: Vec<_> = made.into_iter().map(Arc::new).zip(starts).collect();
        let mut market = Market::new(seed.wrapping_mul(3).wrapping_add(product.endpoint as u64), listings);
        let mut counter = market.rng().u64(1_000_000..9_000_000);
        let books: Vec<_> = market.listed().iter().map(|one| [one.bids.clone(), one.asks.clone()]).collect();
        let mut states = Vec::with_capacity(books.len());
        for sides in books {
            counter += market.rng().u64(1..50);
            states.push(State {
                id: counter,
                sides,
                feeds: product.speeds.iter().map(|_| Feed::new(counter)).collect(),
                open_interest: market.rng().i64(100_000..9_000_000),
                ..State::default()
            });
        }
        Self { product, market, states, rows, counter }
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        self.market.listed().iter().position(|l| *l.instrument.symbol == *symbol)
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

    /// The true books.
    pub fn books(&self) -> impl Iterator<Item = SimBook> {
        self.market.listed().iter().zip(&self.states).map(|(one, state)| {
            let (bids, asks) = best_first(one);
            SimBook { instrument: Arc::clone(&one.instrument), seq: Some(state.id), bids, asks }
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
