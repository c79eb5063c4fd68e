//! What the simulated venue lists, and its books as they were pushed.

use super::bars::Bars;
use crate::listing;
use crate::product::Product;
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past changes of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 500;
/// How many levels the books have by which clients are measured.
pub(super) const DEPTH: usize = 150;

/// One change of a book as it is pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    pub prev: u64,
    pub seq: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// What stood there before.
    undo: Vec<(Side, Level)>,
}

/// A book of so many levels as it was last pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub seq: u64,
    /// Something happened since.
    pub dirty: bool,
    past: VecDeque<Update>,
}

fn best<'a>(levels: impl Iterator<Item = (&'a Px, &'a Qty)>, depth: usize) -> BTreeMap<Px, Qty> {
    levels.take(depth).map(|(px, qty)| (*px, *qty)).collect()
}

/// What changed from `old` to `new`; what stood there before goes to `undo`.
fn changes(
    side: Side,
    old: &BTreeMap<Px, Qty>,
    new: &BTreeMap<Px, Qty>,
    undo: &mut Vec<(Side, Level)>,
) -> Vec<Level> {
    let mut all = Vec::new();
    for (px, qty) in new {
        let held = old.get(px).copied().unwrap_or_default();
        if held != *qty {
            all.push(Level { px: *px, qty: *qty });
            undo.push((side, Level { px: *px, qty: held }));
        }
    }
    for (px, held) in old.iter().filter(|(px, _)| !new.contains_key(px)) {
        all.push(Level { px: *px, qty: Qty(0) });
        undo.push((side, Level { px: *px, qty: *held }));
    }
    all.sort_by_key(|level| level.px);
    if side == Side::Bid {
        all.reverse();
    }
    all
}

impl Stream {
    pub fn bids(&self) -> Vec<Level> {
        self.bids.iter().rev().map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }

    pub fn asks(&self) -> Vec<Level> {
        self.asks.iter().map(|(px, qty)| Level { px: *px, qty: *qty }).collect()
    }

    /// Takes the venue's book as it is now. Gives the change, which may be of no level.
    fn follow(&mut self, one: &Listed, depth: usize, seq: u64) -> Update {
        let (bids, asks) = (best(one.bids.iter().rev(), depth), best(one.asks.iter(), depth));
        let mut update = Update { prev: self.seq, seq, ..Update::default() };
        update.bids = changes(Side::Bid, &self.bids, &bids, &mut update.undo);
        update.asks = changes(Side::Ask, &self.asks, &asks, &mut update.undo);
        (self.bids, self.asks, self.seq, self.dirty) = (bids, asks, seq, false);
        self.past.push_back(update.clone());
        if self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
        update
    }

    /// This book so many changes ago.
    pub fn ago(&self, changes: usize) -> Self {
        let mut then = self.clone();
        for update in self.past.iter().rev().take(changes) {
            for (side, level) in &update.undo {
                let levels = if *side == Side::Bid { &mut then.bids } else { &mut then.asks };
                if level.qty.0 == 0 {
                    levels.remove(&level.px);
                } else {
                    levels.insert(level.px, level.qty);
                }
            }
            then.seq = update.prev;
        }
        then
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
}

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug)]
pub(super) struct State {
    pub product: Product,
    /// The number of the newest change of the matching engine.
    pub seq: u64,
    /// Pushed books by their depth.
    pub streams: BTreeMap<usize, Stream>,
    pub prints: VecDeque<Print>,
    pub bars: Bars,
    pub open_interest: i64,
    /// Best levels when they were pushed last.
    pub quoted: (Option<Level>, Option<Level>),
    /// Something happened since the whole book was pushed last.
    pub moved: bool,
    /// A trade happened since statistics were pushed last.
    pub traded: bool,
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listings.
    pub rows: Vec<String>,
    by_symbol: BTreeMap<String, usize>,
}

impl World {
    pub fn new(seed: u64, instruments: usize, now: Ts) -> Self {
        let (mut rows, mut starts, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for (n, coin) in coins(instruments).iter().enumerate() {
            let mut all = vec![(Product::Spot, spot_row(coin)), (Product::Linear, linear_row(coin, "swap"))];
            all.push((Product::Inverse, inverse_row(coin)));
            if n == 0 {
                all.push((Product::Linear, linear_row(coin, "quarter")));
            }
            for (product, row) in all {
                let body = format!(r#"{{"status":"ok","data":[{row}]}}"#);
                made.extend(listing::read(product, body.as_bytes()).unwrap_or_default());
                rows.push(row);
                starts.push(coin.px);
            }
        }
        let market = Market::new(seed, made.into_iter().map(Arc::new).zip(starts).collect());
        let mut world = Self { market, states: Vec::new(), rows, by_symbol: BTreeMap::new() };
        for (at, one) in world.market.clone().listed().iter().enumerate() {
            let product = Product::of(one.instrument.symbol.as_bytes()).unwrap_or(Product::Spot);
            let rng = world.market.rng();
            let seq = rng.u64(1_000_000..9_000_000);
            let open_interest = rng.i64(100_000..9_000_000);
            let mut state = State {
                product,
                seq,
                streams: BTreeMap::new(),
                prints: VecDeque::new(),
                bars: Bars::default(),
                open_interest,
                quoted: (None, None),
                moved: false,
                traded: false,
            };
            state.bars.want("1min", one.last.0, now);
            world.by_symbol.insert(one.instrument.symbol.to_string(), at);
            world.states.push(state);
            world.stream(at, DEPTH);
        }
        world
    }

    pub fn listed(&self, at: usize) -> Option<&Listed> {
        self.market.listed().get(at)
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.listed(at).map(|l| &l.instrument)
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The instruments of a section.
    pub fn of(&self, product: Product) -> Vec<usize> {
        let fits = |at: &usize| self.states.get(*at).is_some_and(|s| s.product == product);
        (0..self.states.len()).filter(fits).collect()
    }

    /// One step of the market. Gives the instrument and its trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let by = self.market.rng().u64(1..6);
        let state = self.states.get_mut(at)?;
        state.seq += by;
        state.moved = true;
        for stream in state.streams.values_mut() {
            stream.dirty = true;
        }
        let mut prints = Vec::new();
        for one in moves {
            if let Move::Trade { id, px, qty, aggressor } = one {
                let print = Print { id, px, qty, aggressor, ts: now };
                prints.push(print);
                state.bars.on(&print);
                state.traded = true;
                state.prints.push_front(print);
                state.prints.truncate(PRINTS_MAX);
            }
        }
        Some((at, prints))
    }

    /// The book of that depth as pushed; made where nobody asked for it before.
    pub fn stream(&mut self, at: usize, depth: usize) -> Option<&Stream> {
        let one = self.market.listed().get(at)?;
        let state = self.states.get_mut(at)?;
        let first = if state.product.spot() { state.seq } else { state.seq / 2 };
        Some(state.streams.entry(depth).or_insert_with(|| {
            let mut stream = Stream::default();
            stream.follow(one, depth, first);
            stream.past.clear();
            stream
        }))
    }

    /// Takes what changed of a book since it was pushed; `None` where nothing happened, unless `empty` is wanted.
    pub fn flush(&mut self, at: usize, depth: usize, empty: bool) -> Option<Update> {
        self.stream(at, depth)?;
        let noise = self.market.rng().u8(0..8) == 0;
        let far = self.market.rng().i64(200..2_000);
        let one = self.market.listed().get(at)?;
        let state = self.states.get_mut(at)?;
        let stream = state.streams.get_mut(&depth)?;
        if !stream.dirty && !empty {
            return None;
        }
        // A contract's book counts its pushes, a spot book tells the engine's number.
        let seq = if state.product.spot() { state.seq } else { stream.seq + 1 };
        let mut update = stream.follow(one, depth, seq);
        if noise
            && !empty
            && let Some((worst, _)) = stream.asks.last_key_value()
        {
            let tick = one.instrument.tick.and_then(|t| t.mantissa_at(one.instrument.px_scale)).unwrap_or(1);
            // Removals of levels that are not held are usual.
            update.asks.push(Level { px: Px(worst.0 + far * tick), qty: Qty(0) });
        }
        Some(update)
    }

    /// The price of the index under a contract: of spot where it is listed.
    pub fn index(&self, symbol: &str) -> Option<(Px, u8)> {
        let base = symbol.split('-').next()?.to_lowercase();
        let at = self.place(&format!("{base}usdt")).or_else(|| self.place(symbol))?;
        self.listed(at).map(|l| (l.last.0, l.instrument.px_scale))
    }
}

fn step_text(scale: u8) -> String {
    model::Decimal::new(1, scale).to_string()
}

fn spot_row(coin: &Coin) -> String {
    let base = coin.base.to_lowercase();
    let (px, qty) = (coin.px_scale, coin.qty_scale);
    let least = step_text(qty);
    format!(
        r#"{{"base-currency":"{base}","quote-currency":"usdt","price-precision":{px},"amount-precision":{qty},"symbol-partition":"main","symbol":"{base}usdt","state":"online","value-precision":8,"min-order-amt":{least},"max-order-amt":1000000,"min-order-value":10,"limit-order-min-order-amt":{least},"limit-order-max-order-amt":1000000,"limit-order-max-buy-amt":1000000,"limit-order-max-sell-amt":1000000,"buy-limit-must-less-than":1.1,"sell-limit-must-greater-than":0.9,"sell-market-min-order-amt":{least},"sell-market-max-order-amt":100000,"buy-market-max-order-value":1000000,"market-sell-order-rate-must-less-than":0.1,"market-buy-order-rate-must-less-than":0.1,"leverage-ratio":3,"api-trading":"enabled","tags":""}}"#
    )
}

fn linear_row(coin: &Coin, kind: &str) -> String {
    let (base, tick) = (&coin.base, step_text(coin.px_scale));
    let size = if coin.qty_scale >= 4 { "0.001" } else { "1" };
    // 2026-12-25, 08:00 UTC.
    let (end, date, ms, business) = if kind == "swap" {
        ("", "", "", "swap")
    } else {
        ("-261225", "20261225", "1798185600000", "futures")
    };
    format!(
        r#"{{"symbol":"{base}","contract_code":"{base}-USDT{end}","contract_size":{size},"price_tick":{tick},"delivery_date":"{date}","delivery_time":"{ms}","create_date":"20201021","contract_status":1,"settlement_date":"1760025600000","support_margin_mode":"all","business_type":"{business}","pair":"{base}-USDT","contract_type":"{kind}","trade_partition":"USDT"}}"#
    )
}

fn inverse_row(coin: &Coin) -> String {
    let (base, tick) = (&coin.base, step_text(coin.px_scale));
    let size = if base == "BTC" { "100" } else { "10" };
    format!(
        r#"{{"symbol":"{base}","contract_code":"{base}-USD","contract_size":{size},"price_tick":{tick},"delivery_time":"","create_date":"20200325","contract_status":1,"settlement_date":"1760025600000"}}"#
    )
}
