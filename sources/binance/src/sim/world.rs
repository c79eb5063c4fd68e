//! One section of the simulated venue: its market, and what each stream has told so far.

use super::encode;
use super::peers::Peers;
use crate::listing;
use crate::product::Product;
use model::{Level, Px, Qty, Side, Ts};
use source::SimAction;
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

/// How many past changes of a book are kept, for snapshots that come late.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 200;
/// 2026-12-25, 08:00 UTC.
const EXPIRY_MS: i64 = 1_798_185_600_000;

/// Changes that one depth stream has not told yet.
#[derive(Debug, Default)]
pub(super) struct Feed {
    levels: BTreeMap<(bool, Px), Qty>,
    first: u64,
    /// `u` of the event before.
    pub told: u64,
}

/// A change of the book with what it takes to undo it.
#[derive(Debug)]
pub(super) struct Past {
    /// The id before the change.
    pub before: u64,
    /// What stood there.
    pub undo: Vec<(Side, Level)>,
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub ts: Ts,
}

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The id of the newest change of the book.
    pub id: u64,
    /// The book before the move that is being made, to know what it changes.
    bids: BTreeMap<Px, Qty>,
    asks: BTreeMap<Px, Qty>,
    /// By the section's speeds.
    pub feeds: Vec<Feed>,
    pub past: VecDeque<Past>,
    pub prints: VecDeque<Print>,
    /// Best levels as last told.
    best: Option<(Option<Level>, Option<Level>)>,
    /// Whether the best levels changed since they were last told whole.
    top_changed: bool,
    pub open_interest: i64,
    /// When a forced order was last told.
    forced: Ts,
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
    pub fn new(product: &'static Product, seed: u64, instruments: usize) -> Self {
        let (mut rows, mut starts) = (Vec::new(), Vec::new());
        for coin in coins(instruments) {
            rows.push(row(product, &coin, None));
            starts.push(coin.px);
        }
        if product.futures
            && let Some(coin) = coins(1).first()
        {
            rows.push(row(product, coin, Some("261225")));
            starts.push(coin.px);
        }
        let listing = format!("{{\"symbols\":[{}]}}", rows.join(","));
        let made = listing::read(product, listing.as_bytes()).unwrap_or_default();
        let listings: Vec<_> = made.into_iter().map(Arc::new).zip(starts).collect();
        let mut market = Market::new(seed.wrapping_mul(3).wrapping_add(product.endpoint as u64), listings);
        let mut counter = market.rng().u64(1_000_000..9_000_000);
        let books: Vec<_> = market.listed().iter().map(|one| (one.bids.clone(), one.asks.clone())).collect();
        let states = books.into_iter().map(|(bids, asks)| {
            counter += market.rng().u64(1..50);
            let feed = || Feed { told: counter, ..Feed::default() };
            State {
                id: counter,
                bids,
                asks,
                feeds: product.speeds.iter().map(|_| feed()).collect(),
                open_interest: market.rng().i64(100_000..9_000_000),
                ..State::default()
            }
        });
        let states = states.collect();
        Self { product, market, states, rows, counter }
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        self.market.listed().iter().position(|l| *l.instrument.symbol == *symbol)
    }

    /// One step of the market, and what is told at once.
    pub fn step(&mut self, now: Ts, peers: &mut Peers, out: &mut Vec<SimAction>) {
        let mut moves = Vec::new();
        let Some(at) = self.market.step(&mut moves) else { return };
        let Some(state) = self.states.get_mut(at) else { return };
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
                    let map = if side == Side::Bid { &mut state.bids } else { &mut state.asks };
                    let stood = if level.qty.0 == 0 {
                        map.remove(&level.px)
                    } else {
                        map.insert(level.px, level.qty)
                    };
                    past.undo.push((side, Level { px: level.px, qty: stood.unwrap_or_default() }));
                    for feed in &mut state.feeds {
                        feed.note(side, level, state.id);
                    }
                }
                Move::Trade { id, px, qty, aggressor } => {
                    prints.push(Print { id, px, qty, aggressor, ts: now });
                }
            }
        }
        state.past.push_back(past);
        if state.past.len() > PAST_MAX {
            state.past.pop_front();
        }
        for print in &prints {
            state.prints.push_back(*print);
            if state.prints.len() > PRINTS_MAX {
                state.prints.pop_front();
            }
        }
        self.tell_at_once(at, &prints, now, peers, out);
    }

    /// Prints, quotes, forced orders, and the depth stream without a delay.
    fn tell_at_once(
        &mut self,
        at: usize,
        prints: &[Print],
        now: Ts,
        peers: &mut Peers,
        out: &mut Vec<SimAction>,
    ) {
        let futures = self.product.futures;
        let forced = futures && !prints.is_empty() && self.market.rng().u8(0..20) == 0;
        let (Some(one), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return;
        };
        for print in prints {
            peers.push(self.product, &one.instrument, "trade", now, out, || {
                encode::trade(one, print, futures, now)
            });
            peers.push(self.product, &one.instrument, "aggTrade", now, out, || {
                encode::agg_trade(one, print, futures, now)
            });
            if forced && now.ms_since(state.forced) >= 1_000 {
                state.forced = now;
                peers.push(self.product, &one.instrument, "forceOrder", now, out, || {
                    encode::liquidation(one, print, now)
                });
            }
        }
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        let best = (one.bids.last_key_value().map(level), one.asks.first_key_value().map(level));
        if state.best != Some(best) {
            state.best = Some(best);
            let id = state.id;
            peers.push(self.product, &one.instrument, "bookTicker", now, out, || {
                encode::quote(one, best, id, futures, now)
            });
        }
        state.top_changed = true;
        for (n, (speed, _)) in self.product.speeds.iter().enumerate() {
            if *speed == 0 {
                Self::flush(self.product, one, state, n, now, peers, out);
            }
        }
    }

    /// Tells what a depth stream has not told yet.
    fn flush(
        product: &'static Product,
        one: &Listed,
        state: &mut State,
        speed: usize,
        now: Ts,
        peers: &mut Peers,
        out: &mut Vec<SimAction>,
    ) {
        let (Some(feed), Some((_, suffix))) = (state.feeds.get_mut(speed), product.speeds.get(speed)) else {
            return;
        };
        if feed.levels.is_empty() {
            return;
        }
        let levels = std::mem::take(&mut feed.levels);
        let ids = (feed.first, state.id, feed.told);
        feed.told = state.id;
        let stream = format!("depth{suffix}");
        peers.push(product, &one.instrument, &stream, now, out, || {
            encode::delta(one, &levels, ids, product.futures, now)
        });
    }

    /// Streams that are told by the clock; a tick is 100 ms.
    pub fn tick(&mut self, ticks: u64, now: Ts, peers: &mut Peers, out: &mut Vec<SimAction>) {
        for (one, state) in self.market.listed().iter().zip(&mut self.states) {
            for (n, (speed, _)) in self.product.speeds.iter().enumerate() {
                let every = u64::from(*speed) / 100 + u64::from(speed % 100 > 0);
                if *speed > 0 && ticks.is_multiple_of(every.max(1)) {
                    Self::flush(self.product, one, state, n, now, peers, out);
                }
            }
            if std::mem::take(&mut state.top_changed) {
                for levels in [5, 10, 20] {
                    let id = state.id;
                    let futures = self.product.futures;
                    let stream = format!("depth{levels}@100ms");
                    peers.push(self.product, &one.instrument, &stream, now, out, || {
                        encode::top(one, levels, id, futures, now)
                    });
                }
            }
            if ticks.is_multiple_of(10) {
                self.product.tell_by_the_second(one, ticks, now, peers, out);
            }
        }
    }

    /// Tells all that is pending.
    pub fn flush_all(&mut self, now: Ts, peers: &mut Peers, out: &mut Vec<SimAction>) {
        for (one, state) in self.market.listed().iter().zip(&mut self.states) {
            for speed in 0..self.product.speeds.len() {
                Self::flush(self.product, one, state, speed, now, peers, out);
            }
        }
    }
}

impl Feed {
    fn note(&mut self, side: Side, level: Level, id: u64) {
        if self.levels.is_empty() {
            self.first = id;
        }
        self.levels.insert((side == Side::Bid, level.px), level.qty);
    }
}

impl Product {
    /// Statistics, bars and marks.
    fn tell_by_the_second(
        &'static self,
        one: &Listed,
        ticks: u64,
        now: Ts,
        peers: &mut Peers,
        out: &mut Vec<SimAction>,
    ) {
        let instrument = &one.instrument;
        peers.push(self, instrument, "ticker", now, out, || encode::ticker(one, self.futures, now));
        for interval in peers.bar_intervals(self, instrument) {
            let stream = format!("kline_{interval}");
            peers.push(self, instrument, &stream, now, out, || encode::kline(one, &interval, now));
        }
        if self.futures {
            peers.push(self, instrument, "markPrice@1s", now, out, || encode::mark(one, now));
            if ticks.is_multiple_of(30) {
                peers.push(self, instrument, "markPrice", now, out, || encode::mark(one, now));
            }
        }
    }
}

/// A row of the listing: a perpetual or spot pair, or a dated future.
fn row(product: &Product, coin: &Coin, dated: Option<&str>) -> String {
    let step = |scale: u8| model::Decimal::new(1, scale).to_string();
    let coinm = product.name == "coinm";
    let quote = if coinm { "USD" } else { "USDT" };
    let pair = format!("{}{quote}", coin.base);
    let symbol = match (dated, coinm) {
        (Some(date), _) => format!("{pair}_{date}"),
        (None, true) => format!("{pair}_PERP"),
        (None, false) => pair.clone(),
    };
    let lot = if coinm { "1".to_owned() } else { step(coin.qty_scale) };
    let mut row =
        format!("{{\"symbol\":\"{symbol}\",\"baseAsset\":\"{}\",\"quoteAsset\":\"{quote}\",", coin.base);
    if product.futures {
        let (kind, date) =
            if dated.is_some() { ("CURRENT_QUARTER", EXPIRY_MS) } else { ("PERPETUAL", 4_133_404_800_000) };
        let margin = if coinm { &*coin.base } else { quote };
        let status = if coinm {
            "\"contractStatus\":\"TRADING\",\"contractSize\":100"
        } else {
            "\"status\":\"TRADING\""
        };
        let _ = write!(
            row,
            "\"pair\":\"{pair}\",\"contractType\":\"{kind}\",\"deliveryDate\":{date},\"marginAsset\":\"{margin}\",{status},"
        );
    } else {
        row.push_str("\"status\":\"TRADING\",\"baseAssetPrecision\":8,\"quoteAssetPrecision\":8,");
    }
    let _ = write!(
        row,
        "\"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{0}\",\"maxPrice\":\"1000000\",\"tickSize\":\"{0}\"}},{{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"9000000\",\"stepSize\":\"{lot}\"}}]}}",
        step(coin.px_scale)
    );
    row
}
