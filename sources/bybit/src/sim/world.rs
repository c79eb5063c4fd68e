//! What the simulated venue lists, and its books as they were pushed, each depth for itself.

use super::bars::Minutes;
use crate::listing;
use crate::product::Product;
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past pushes of a book are kept.
const PAST_MAX: usize = 32;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 1_000;
/// 2026-12-25, 08:00 UTC.
const EXPIRY_MS: i64 = 1_798_185_600_000;

/// The best levels of a book as they were pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub u: u64,
}

impl Shown {
    pub fn best_bids(&self, n: usize) -> Vec<Level> {
        self.bids.iter().rev().take(n).map(level).collect()
    }

    pub fn best_asks(&self, n: usize) -> Vec<Level> {
        self.asks.iter().take(n).map(level).collect()
    }
}

pub(super) fn level((px, qty): (&Px, &Qty)) -> Level {
    Level { px: *px, qty: *qty }
}

/// A push of a book.
pub(super) struct Push {
    /// The service began again: the whole book is told.
    pub whole: bool,
    pub u: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// A book of one depth.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub depth: u16,
    /// How often it is pushed, in ms.
    pub every_ms: u64,
    pub shown: Shown,
    pub dirty: bool,
    /// Its service began again; it does so once at most, as it is rare, and numbers that come a third time would name no
    /// state at all.
    again: bool,
    /// The book before each of the last pushes, and the push.
    pub past: VecDeque<(Shown, Vec<u8>)>,
}

/// The best level of each side as it was pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Best {
    pub u: u64,
    pub bid: Option<Level>,
    pub ask: Option<Level>,
    pub ts: Ts,
    pub pushed: Ts,
}

/// A trade as the venue keeps it.
#[derive(Clone, Debug)]
pub(super) struct Print {
    pub id: String,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub seq: u64,
    pub ts: Ts,
}

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug)]
pub(super) struct State {
    pub product: Product,
    /// The number of the newest change of the matching engine.
    pub seq: u64,
    pub feeds: Vec<Feed>,
    pub best: Best,
    pub prints: VecDeque<Print>,
    /// Prints that a forced order made and that were not told yet.
    pub forced: Vec<Print>,
    /// The ticker as it was pushed.
    pub ticker: Vec<(&'static str, String)>,
    pub minutes: Minutes,
    pub open_interest: i64,
    /// Something happened since the last ticker.
    pub dirty: bool,
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// Rows of the listing with their product and coin.
    pub rows: Vec<(Product, String, String)>,
    moves: Vec<Move>,
}

impl World {
    pub fn new(seed: u64, instruments: usize, now: Ts) -> Self {
        let mut rows: Vec<(Product, String, String, i64)> = Vec::new();
        for (i, coin) in coins(instruments).iter().enumerate() {
            rows.push((Product::Spot, coin.base.clone(), spot_row(coin), coin.px));
            rows.push((
                Product::Linear,
                coin.base.clone(),
                contract_row(coin, Product::Linear, false),
                coin.px,
            ));
            rows.push((
                Product::Inverse,
                coin.base.clone(),
                contract_row(coin, Product::Inverse, false),
                coin.px,
            ));
            if i == 0 {
                for product in [Product::Linear, Product::Inverse] {
                    rows.push((product, coin.base.clone(), contract_row(coin, product, true), coin.px));
                }
            }
            if crate::OPTION_COINS.contains(&coin.base.as_str()) && i < 3 {
                for right in ["C", "P"] {
                    rows.push((Product::Option, coin.base.clone(), option_row(coin, right), 10_000));
                }
            }
        }
        let define = |(product, _, row, start): &(Product, String, String, i64)| {
            let made = listing::read(listing_body(*product, row, "").as_bytes()).ok()?.pop()?;
            Some((Arc::new(made), *start))
        };
        let mut market = Market::new(seed, rows.iter().filter_map(define).collect());
        let mut states = Vec::new();
        for one in market.clone().listed() {
            let rng = market.rng();
            let product = Product::of(&one.instrument).unwrap_or(Product::Spot);
            states.push(State {
                product,
                seq: rng.u64(1_000_000..9_000_000_000),
                feeds: Vec::new(),
                best: Best { u: rng.u64(1_000..9_000_000), ts: now, ..Best::default() },
                prints: VecDeque::new(),
                forced: Vec::new(),
                ticker: Vec::new(),
                minutes: Minutes::new(one.last.0, now, rng.u64(..)),
                open_interest: rng.i64(100_000..9_000_000),
                dirty: true,
            });
        }
        let rows = rows.into_iter().map(|(product, coin, row, _)| (product, coin, row)).collect();
        let mut world = Self { market, states, rows, moves: Vec::new() };
        for at in 0..world.states.len() {
            let default =
                world.states.get(at).map_or(200, |s| if s.product == Product::Option { 100 } else { 200 });
            world.feed(at, default);
            world.refresh_best(at, now);
        }
        world
    }

    pub fn one(&self, at: usize) -> Option<(&Listed, &State)> {
        self.market.listed().get(at).zip(self.states.get(at))
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.market.listed().get(at).map(|l| &l.instrument)
    }

    pub fn place(&self, product: Product, symbol: &str) -> Option<usize> {
        let found = |l: &Listed| *l.instrument.symbol == *symbol && *l.instrument.product == *product.name();
        self.market.listed().iter().position(found)
    }

    /// The instruments of a product.
    pub fn of(&self, product: Product) -> Vec<usize> {
        self.states.iter().enumerate().filter(|(_, s)| s.product == product).map(|(at, _)| at).collect()
    }

    /// The book of a depth, which begins to be kept where it was not. `None` where the venue has no such depth.
    pub fn feed(&mut self, at: usize, depth: u16) -> Option<&mut Feed> {
        let truth = self.market.listed().get(at)?;
        let state = self.states.get_mut(at)?;
        let every_ms = match (state.product, depth) {
            (Product::Option, 25) | (Product::Spot | Product::Linear | Product::Inverse, 50) => 20,
            (Product::Option, 100) | (Product::Spot | Product::Linear | Product::Inverse, 200) => 100,
            (Product::Spot | Product::Linear | Product::Inverse, 1_000) => 200,
            _ => return None,
        };
        let place = state.feeds.iter().position(|f| f.depth == depth).unwrap_or_else(|| {
            let u = 1_000_000 + (state.seq ^ u64::from(depth).wrapping_mul(0x9e37_79b9)) % 9_000_000;
            let shown = top(truth, depth, u);
            state.feeds.push(Feed {
                depth,
                every_ms,
                shown,
                dirty: false,
                again: false,
                past: VecDeque::new(),
            });
            state.feeds.len() - 1
        });
        state.feeds.get_mut(place)
    }

    /// One step of the market. Returns the instrument and its trades.
    pub fn step(&mut self, now: Ts) -> Option<(usize, Vec<Print>)> {
        self.moves.clear();
        let at = self.market.step(&mut self.moves)?;
        let rng = self.market.rng();
        let (by, luck) = (rng.u64(1..6), rng.u8(0..12));
        let state = self.states.get_mut(at)?;
        state.seq += by;
        let mut prints = Vec::new();
        for one in &self.moves {
            if let Move::Trade { id, px, qty, aggressor } = *one {
                let id = trade_id(state.product, at, id);
                prints.push(Print { id, px, qty, aggressor, seq: state.seq, ts: now });
            }
        }
        for print in &prints {
            state.minutes.trade(print.px, print.qty, now);
            state.prints.push_front(print.clone());
            state.prints.truncate(PRINTS_MAX);
            if luck == 0 && matches!(state.product, Product::Linear | Product::Inverse) {
                state.forced.push(print.clone());
            }
        }
        state.dirty = true;
        state.feeds.iter_mut().for_each(|feed| feed.dirty = true);
        Some((at, prints))
    }

    /// What changed in a book since its last push; `None` where everything is as it was.
    pub fn flush(&mut self, at: usize, place: usize) -> Option<(Shown, Push)> {
        let rng = self.market.rng();
        let (again, noise) = (rng.u16(0..600) == 0, i64::from(rng.u8(0..3)));
        let truth = self.market.listed().get(at)?;
        let tick = truth.instrument.tick.and_then(|t| t.mantissa_at(truth.instrument.px_scale)).unwrap_or(1);
        let feed = self.states.get_mut(at)?.feeds.get_mut(place)?;
        feed.dirty = false;
        let again = again && !feed.again;
        let u = if again { 1 } else { feed.shown.u + 1 };
        let next = top(truth, feed.depth, u);
        if next.bids == feed.shown.bids && next.asks == feed.shown.asks {
            return None;
        }
        feed.again |= again;
        let before = std::mem::replace(&mut feed.shown, next);
        let now = &feed.shown;
        if again {
            let (bids, asks) = (now.best_bids(usize::MAX), now.best_asks(usize::MAX));
            return Some((before, Push { whole: true, u, bids, asks }));
        }
        let bids = changes(&before.bids, &now.bids);
        let mut asks = changes(&before.asks, &now.asks);
        // Levels that came and went between two pushes are told as removals that nobody holds.
        if let Some((worst, _)) = now.asks.last_key_value() {
            asks.extend((0..noise).map(|n| Level { px: Px(worst.0 + (200 + n) * tick), qty: Qty(0) }));
        }
        Some((before, Push { whole: false, u, bids, asks }))
    }

    /// Keeps a push for clients that come late.
    pub fn remember(&mut self, at: usize, place: usize, before: Shown, frame: Vec<u8>) {
        if let Some(feed) = self.states.get_mut(at).and_then(|s| s.feeds.get_mut(place)) {
            feed.past.push_back((before, frame));
            if feed.past.len() > PAST_MAX {
                feed.past.pop_front();
            }
        }
    }

    /// Takes over the best level. True where it changed.
    pub fn refresh_best(&mut self, at: usize, now: Ts) -> bool {
        let (Some(truth), Some(state)) = (self.market.listed().get(at), self.states.get_mut(at)) else {
            return false;
        };
        let (bid, ask) = (truth.bids.last_key_value().map(level), truth.asks.first_key_value().map(level));
        let best = &mut state.best;
        if (best.bid, best.ask) == (bid, ask) {
            return false;
        }
        (best.bid, best.ask, best.ts) = (bid, ask, now);
        best.u += 1;
        true
    }
}

fn top(truth: &Listed, depth: u16, u: u64) -> Shown {
    let n = usize::from(depth);
    let pair = |(px, qty): (&Px, &Qty)| (*px, *qty);
    Shown {
        bids: truth.bids.iter().rev().take(n).map(pair).collect(),
        asks: truth.asks.iter().take(n).map(pair).collect(),
        u,
    }
}

fn changes(before: &BTreeMap<Px, Qty>, now: &BTreeMap<Px, Qty>) -> Vec<Level> {
    let gone = before.keys().filter(|px| !now.contains_key(px)).map(|px| Level { px: *px, qty: Qty(0) });
    let new = now.iter().filter(|(px, qty)| before.get(px) != Some(qty)).map(level);
    gone.chain(new).collect()
}

/// Spot numbers its trades, the others have UUIDs.
fn trade_id(product: Product, at: usize, id: u64) -> String {
    if product == Product::Spot {
        return format!("{}", 2_290_000_000_000_000_000 + id);
    }
    let mixed = (id ^ (at as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-5{:03x}-9{:03x}-{id:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed & 0xfff,
        at & 0xfff
    )
}

/// An answer of the listing.
pub(super) fn listing_body(product: Product, rows: &str, cursor: &str) -> String {
    let page =
        if product == Product::Spot { String::new() } else { format!(r#","nextPageCursor":"{cursor}""#) };
    format!(
        r#"{{"retCode":0,"retMsg":"OK","result":{{"category":"{}","list":[{rows}]{page}}},"retExtInfo":{{}},"time":0}}"#,
        product.name()
    )
}

fn step_text(scale: u8) -> String {
    model::Decimal::new(1, scale).to_string()
}

fn spot_row(coin: &Coin) -> String {
    let (tick, lot) = (step_text(coin.px_scale), step_text(coin.qty_scale));
    let base = &coin.base;
    format!(
        r#"{{"symbol":"{base}USDT","baseCoin":"{base}","quoteCoin":"USDT","innovation":"0","status":"Trading","marginTrading":"utaOnly","stTag":"0","lotSizeFilter":{{"basePrecision":"{lot}","quotePrecision":"0.00000001","minOrderQty":"{lot}","maxOrderQty":"100000000","minOrderAmt":"5","maxOrderAmt":"8000000"}},"priceFilter":{{"tickSize":"{tick}"}},"riskParameters":{{"priceLimitRatioX":"0.01","priceLimitRatioY":"0.01"}}}}"#
    )
}

fn contract_row(coin: &Coin, product: Product, dated: bool) -> String {
    let inverse = product == Product::Inverse;
    let (base, tick) = (&coin.base, step_text(coin.px_scale));
    let lot = if inverse { "1".to_owned() } else { step_text(coin.qty_scale.min(3)) };
    let (symbol, quote, settle) = match (inverse, dated) {
        (false, false) => (format!("{base}USDT"), "USDT", "USDT"),
        (false, true) => (format!("{base}USDT-25DEC26"), "USDT", "USDT"),
        (true, false) => (format!("{base}USD"), "USD", base.as_str()),
        (true, true) => (format!("{base}USDZ26"), "USD", base.as_str()),
    };
    let form = if inverse { "Inverse" } else { "Linear" };
    let (kind, delivery, funding) = if dated { ("Futures", EXPIRY_MS, 0) } else { ("Perpetual", 0, 480) };
    format!(
        r#"{{"symbol":"{symbol}","contractType":"{form}{kind}","status":"Trading","baseCoin":"{base}","quoteCoin":"{quote}","launchTime":"1585526400000","deliveryTime":"{delivery}","deliveryFeeRate":"","priceScale":"{scale}","leverageFilter":{{"minLeverage":"1","maxLeverage":"100.00","leverageStep":"0.01"}},"priceFilter":{{"minPrice":"{tick}","maxPrice":"1999999.80","tickSize":"{tick}"}},"lotSizeFilter":{{"maxOrderQty":"119000000","minOrderQty":"{lot}","qtyStep":"{lot}","postOnlyMaxOrderQty":"119000000","maxMktOrderQty":"11900000","minNotionalValue":"5"}},"unifiedMarginTrade":true,"fundingInterval":{funding},"settleCoin":"{settle}","copyTrading":"both","upperFundingRate":"0.005","lowerFundingRate":"-0.005","isPreListing":false,"preListingInfo":null,"riskParameters":{{"priceLimitRatioX":"0.15","priceLimitRatioY":"0.3"}},"displayName":"","symbolType":""}}"#,
        scale = coin.px_scale
    )
}

fn option_row(coin: &Coin, right: &str) -> String {
    let base = &coin.base;
    let word = if right == "C" { "Call" } else { "Put" };
    format!(
        r#"{{"symbol":"{base}-25DEC26-100000-{right}-USDT","status":"Trading","baseCoin":"{base}","quoteCoin":"USDT","settleCoin":"USDT","optionsType":"{word}","launchTime":"1719561600000","deliveryTime":"{EXPIRY_MS}","deliveryFeeRate":"0.00015","priceFilter":{{"minPrice":"0.1","maxPrice":"1110000","tickSize":"0.1"}},"lotSizeFilter":{{"maxOrderQty":"500","minOrderQty":"0.01","qtyStep":"0.01"}},"displayName":"{base}USDT-25DEC26-100000-{right}"}}"#
    )
}
