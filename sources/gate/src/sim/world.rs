//! What the simulated venue lists, and the state of its books as shown to clients.

use super::{Quirks, level};
use crate::listing;
use crate::product::Product;
use model::{Decimal, Instrument, Level, Px, Qty, Side, Ts};
use source::SimSetup;
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past updates of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 5_000;
/// 2026-12-25, 08:00 UTC.
const EXPIRY_S: i64 = 1_798_185_600;
/// How many coins have inverse and dated contracts.
const RARE_MAX: usize = 2;

/// One update of a book as it is pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    pub first: u64,
    pub last: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    pub ts: Ts,
    /// What stood there before.
    pub undo: Vec<(Side, Level)>,
}

/// A book as it was at some number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub seq: u64,
}

impl Shown {
    pub fn set(&mut self, side: Side, one: Level) {
        let levels = if side == Side::Bid { &mut self.bids } else { &mut self.asks };
        if one.qty.0 == 0 {
            levels.remove(&one.px);
        } else {
            levels.insert(one.px, one.qty);
        }
    }

    pub fn best_bids(&self, n: usize) -> Vec<Level> {
        self.bids.iter().rev().take(n).map(level).collect()
    }

    pub fn best_asks(&self, n: usize) -> Vec<Level> {
        self.asks.iter().take(n).map(level).collect()
    }

    /// The best `n` levels of a side-by-side book.
    pub fn cut(&self, n: usize) -> Self {
        let pairs = |levels: Vec<Level>| levels.into_iter().map(|l| (l.px, l.qty)).collect();
        Self { bids: pairs(self.best_bids(n)), asks: pairs(self.best_asks(n)), seq: self.seq }
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
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the newest change.
    pub seq: u64,
    /// The book as of the last push of each 100 ms.
    pub shown: Shown,
    pub past: VecDeque<Update>,
    /// Newest first.
    pub prints: VecDeque<Print>,
    /// Books of fewer levels that are pushed faster, and when.
    pub views: BTreeMap<usize, (Shown, Ts)>,
    /// The best levels that `book_ticker` told last.
    pub best: (Option<Level>, Option<Level>),
    pub open_interest: i64,
    pending: BTreeMap<(bool, Px), Qty>,
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing of each section.
    pub rows: BTreeMap<Product, Vec<String>>,
}

impl World {
    pub fn new(setup: &SimSetup, quirks: Quirks) -> Self {
        let (mut rows, mut listings) = (BTreeMap::<Product, Vec<String>>::new(), Vec::new());
        let mut list = |product: Product, row: String, start: i64| {
            let made = listing::read(product, format!("[{row}]").as_bytes()).unwrap_or_default();
            listings.extend(made.into_iter().map(|made| (Arc::new(made), start)));
            rows.entry(product).or_default().push(row);
        };
        for (i, coin) in coins(setup.instruments).iter().enumerate() {
            list(Product::Spot, spot_row(coin), coin.px);
            let decimal = !quirks.integers && i % 2 == 1;
            list(Product::Usdt, contract_row(coin, Product::Usdt, decimal), coin.px);
        }
        for coin in coins(setup.instruments.min(RARE_MAX)) {
            list(Product::Btc, contract_row(&coin, Product::Btc, false), coin.px);
            list(Product::Delivery, contract_row(&coin, Product::Delivery, false), coin.px);
        }
        let mut market = Market::new(setup.seed, listings);
        let mut states = Vec::new();
        for one in market.clone().listed() {
            let seq = market.rng().u64(1_000_000..9_000_000);
            let shown = Shown { bids: one.bids.clone(), asks: one.asks.clone(), seq };
            let open_interest = market.rng().i64(100_000..9_000_000);
            states.push(State { seq, shown, open_interest, ..State::default() });
        }
        Self { market, states, rows }
    }

    pub fn one(&self, at: usize) -> Option<&Listed> {
        self.market.listed().get(at)
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.one(at).map(|l| &l.instrument)
    }

    pub fn product(&self, at: usize) -> Option<Product> {
        self.instrument(at).and_then(|i| Product::of(i))
    }

    pub fn place(&self, product: Product, symbol: &str) -> Option<usize> {
        let fits = |l: &Listed| *l.instrument.symbol == *symbol && *l.instrument.product == *product.name();
        self.market.listed().iter().position(fits)
    }

    /// The instruments of a section.
    pub fn of(&self, product: Product) -> Vec<usize> {
        let fits = |(_, l): &(usize, &Listed)| *l.instrument.product == *product.name();
        self.market.listed().iter().enumerate().filter(fits).map(|(at, _)| at).collect()
    }

    /// One step of the market: the instrument and its trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let state = self.states.get_mut(at)?;
        let mut prints = Vec::new();
        for one in moves {
            match one {
                Move::Level(side, level) => {
                    state.seq += 1;
                    state.pending.insert((side == Side::Bid, level.px), level.qty);
                }
                Move::Trade { id, px, qty, aggressor } => {
                    prints.push(Print { id, px, qty, aggressor, ts: now });
                }
            }
        }
        for print in &prints {
            state.prints.push_front(*print);
            state.prints.truncate(PRINTS_MAX);
        }
        Some((at, prints))
    }

    /// Takes what changed since the last push; `None` where nothing happened. Levels that are as they were are not told,
    /// so that an update may have none and only move the number.
    pub fn flush(&mut self, at: usize, now: Ts) -> Option<Update> {
        let state = self.states.get_mut(at).filter(|s| s.seq > s.shown.seq)?;
        let mut update = Update { first: state.shown.seq + 1, last: state.seq, ts: now, ..Update::default() };
        for ((bid, px), qty) in std::mem::take(&mut state.pending) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let levels = if bid { &state.shown.bids } else { &state.shown.asks };
            let held = levels.get(&px).copied().unwrap_or_default();
            if held == qty && qty.0 != 0 {
                continue;
            }
            update.undo.push((side, Level { px, qty: held }));
            let level = Level { px, qty };
            state.shown.set(side, level);
            if bid { update.bids.push(level) } else { update.asks.push(level) }
        }
        state.shown.seq = state.seq;
        state.past.push_back(update.clone());
        if state.past.len() > PAST_MAX {
            state.past.pop_front();
        }
        Some(update)
    }

    /// The book as shown `late` updates ago.
    pub fn shown(&self, at: usize, late: usize) -> Option<Shown> {
        let state = self.states.get(at)?;
        let mut shown = state.shown.clone();
        for update in state.past.iter().rev().take(late) {
            for (side, level) in &update.undo {
                shown.set(*side, *level);
            }
            shown.seq = update.first - 1;
        }
        Some(shown)
    }

    /// The book as it is now, between two pushes.
    pub fn current(&self, at: usize) -> Option<Shown> {
        let (one, state) = (self.one(at)?, self.states.get(at)?);
        Some(Shown { bids: one.bids.clone(), asks: one.asks.clone(), seq: state.seq })
    }

    /// The book of the best `n` levels as pushed last; begun where nobody heard it before.
    pub fn view(&mut self, at: usize, n: usize, now: Ts) -> Option<Shown> {
        let current = self.current(at)?.cut(n);
        let state = self.states.get_mut(at)?;
        Some(state.views.entry(n).or_insert((current, now)).0.clone())
    }

    /// Brings the book of the best `n` levels up to now: what changed in it.
    pub fn turn(&mut self, at: usize, n: usize, now: Ts) -> Option<Update> {
        let current = self.current(at)?.cut(n);
        let state = self.states.get_mut(at)?;
        let (view, pushed) = state.views.get_mut(&n)?;
        if current.seq == view.seq {
            return None;
        }
        let mut update = Update { first: view.seq + 1, last: current.seq, ts: now, ..Update::default() };
        update.bids = differences(&view.bids, &current.bids);
        update.asks = differences(&view.asks, &current.asks);
        (*view, *pushed) = (current, now);
        Some(update)
    }
}

/// The levels that are other or gone.
fn differences(old: &BTreeMap<Px, Qty>, new: &BTreeMap<Px, Qty>) -> Vec<Level> {
    let gone = old.keys().filter(|px| !new.contains_key(px)).map(|px| Level { px: *px, qty: Qty(0) });
    gone.chain(new.iter().filter(|(px, qty)| old.get(px) != Some(qty)).map(level)).collect()
}

fn step(scale: u8) -> Decimal {
    Decimal::new(1, scale)
}

fn spot_row(coin: &Coin) -> String {
    let (base, px, qty) = (&coin.base, coin.px_scale, coin.qty_scale);
    let least = step(qty);
    format!(
        r#"{{"id":"{base}_USDT","base":"{base}","base_name":"{base}","quote":"USDT","quote_name":"Tether","fee":"0.2","min_base_amount":"{least}","min_quote_amount":"3","max_base_amount":null,"max_quote_amount":"5000000","amount_precision":{qty},"precision":{px},"trade_status":"tradable","sell_start":0,"buy_start":0,"delisting_time":0,"type":"normal","trade_url":"","st_tag":false}}"#
    )
}

fn contract_row(coin: &Coin, product: Product, decimal: bool) -> String {
    let (base, tick) = (&coin.base, step(coin.px_scale));
    let last = Decimal::new(i128::from(coin.px), coin.px_scale);
    let (name, kind, multiplier) = match product {
        Product::Btc => (format!("{base}_USD"), "inverse", "0"),
        Product::Delivery => (format!("{base}_USDT_20261225"), "direct", "0.0001"),
        Product::Spot | Product::Usdt => (format!("{base}_USDT"), "direct", "0.0001"),
    };
    let least = if decimal { r#""0.1""# } else { "1" };
    let more = if product == Product::Delivery {
        format!(
            r#""underlying":"{base}_USDT","cycle":"QUARTERLY","expire_time":{EXPIRY_S},"settle_price":"0","basis_rate":"0.01""#
        )
    } else {
        r#""funding_rate":"0.0001","funding_rate_indicative":"0.0001","funding_interval":28800,"funding_next_apply":1760025600,"funding_offset":0,"launch_time":1500000000,"create_time":1500000000,"status":"trading""#.to_owned()
    };
    format!(
        r#"{{"name":"{name}","type":"{kind}","quanto_multiplier":"{multiplier}","order_price_round":"{tick}","mark_price_round":"{tick}","order_size_min":{least},"order_size_max":1000000,"enable_decimal":{decimal},"leverage_min":"1","leverage_max":"100","maintenance_rate":"0.005","mark_type":"index","mark_price":"{last}","index_price":"{last}","last_price":"{last}","maker_fee_rate":"-0.0001","taker_fee_rate":"0.0005","order_price_deviate":"0.5","risk_limit_base":"1000000","risk_limit_step":"1000000","risk_limit_max":"8000000","orders_limit":100,"ref_discount_rate":"0","ref_rebate_rate":"0.2","trade_id":1,"trade_size":1,"position_size":1,"orderbook_id":1,"config_change_time":1500000000,"in_delisting":false,{more}}}"#
    )
}
