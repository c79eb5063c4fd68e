//! What the simulated venue lists, and the state of its books as shown to clients.

use super::Quirks;
use super::encode::{self, Words};
use crate::listing;
use crate::product::{PRODUCTS, Product};
use model::{Instrument, Level, Px, Qty, Side, Ts};
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many past updates of a book are kept.
const PAST_MAX: usize = 64;
/// How many past trades of an instrument are kept.
const PRINTS_MAX: usize = 20_000;
/// Trade ids of the venue have 19 digits.
const FIRST_ID: u64 = 1_300_000_000_000_000_000;
/// 2026-12-25, 08:00 UTC.
const EXPIRY_MS: i64 = 1_798_185_600_000;

/// One update of a book as it is pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Update {
    pub prev: u64,
    pub seq: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    pub checksum: i32,
    pub ts: Ts,
    /// The number before, also where `prev` says that the venue starts again.
    before: u64,
    /// What stood there before.
    undo: Vec<(Side, Level)>,
}

/// A book as it was at some number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub seq: u64,
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

    /// CRC-32 over the best 25 levels, as the venue sent it until 2026: over the texts as they stand in frames.
    fn crc(&self, words: &Words<'_>) -> i32 {
        let (bids, asks) = (self.best_bids(25), self.best_asks(25));
        let mut text = String::new();
        for i in 0..25 {
            for level in [bids.get(i), asks.get(i)].into_iter().flatten() {
                if !text.is_empty() {
                    text.push(':');
                }
                text.push_str(&words.px(level.px));
                text.push(':');
                text.push_str(&words.qty(level.qty));
            }
        }
        crc32fast::hash(text.as_bytes()).cast_signed()
    }
}

fn level((px, qty): (&Px, &Qty)) -> Level {
    Level { px: *px, qty: *qty }
}

/// A trade as the venue keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub id: u64,
    /// Counted by one.
    pub count: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub ts: Ts,
}

/// A book channel: v2 and v3 push at their own pace.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The book as of the last push.
    pub shown: Shown,
    past: VecDeque<Update>,
    pending: BTreeMap<(bool, Px), Qty>,
}

/// What the venue knows of one instrument besides the market's truth.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the newest change of the matching engine.
    pub seq: u64,
    /// Of v2 and of v3.
    pub feeds: [Feed; 2],
    /// Newest first.
    pub prints: VecDeque<Print>,
    /// What `books1` told last.
    pub best: (Vec<Level>, Vec<Level>),
    /// What `books15` told last.
    pub top: (Vec<Level>, Vec<Level>),
    /// The count of trades that the ticker told last.
    pub told: u64,
    pub open_interest: i64,
}

/// All instruments of the venue.
pub(super) struct World {
    pub market: Market,
    pub states: Vec<State>,
    /// The section of each instrument, and its row of the listing.
    pub rows: Vec<(&'static Product, String)>,
    quirks: Quirks,
    last_id: u64,
}

impl World {
    pub fn new(seed: u64, instruments: usize, quirks: Quirks) -> Self {
        let (mut rows, mut starts): (Vec<(&'static Product, String)>, Vec<i64>) = (Vec::new(), Vec::new());
        let all = coins(instruments);
        let [spot, _, _, coined] = &PRODUCTS;
        for coin in &all {
            for product in &PRODUCTS {
                let row = if product == spot { spot_row(coin) } else { futures_row(coin, product, false) };
                rows.push((product, row));
                starts.push(coin.px);
            }
        }
        if let Some(coin) = all.first() {
            rows.push((coined, futures_row(coin, coined, true)));
            starts.push(coin.px);
        }
        let define = |(product, row): &(&'static Product, String)| {
            let body = format!(r#"{{"code":"00000","data":[{row}]}}"#);
            listing::read(&listing::path(product), body.as_bytes()).unwrap_or_default().pop()
        };
        let made = rows.iter().filter_map(define).map(Arc::new);
        let mut market = Market::new(seed, made.zip(starts).collect());
        let mut states = Vec::new();
        for one in market.clone().listed() {
            let seq = first_seq(&one.instrument.product) + market.rng().u64(1..1_000_000);
            let mut shown = Shown { bids: one.bids.clone(), asks: one.asks.clone(), seq, checksum: 0 };
            if quirks.checksum {
                shown.checksum = shown.crc(&Words { instrument: &one.instrument, quirks });
            }
            let feed = || Feed { shown: shown.clone(), ..Feed::default() };
            let open_interest = market.rng().i64(100_000..9_000_000);
            states.push(State { seq, feeds: [feed(), feed()], open_interest, ..State::default() });
        }
        Self { market, states, rows, quirks, last_id: FIRST_ID }
    }

    pub fn listed(&self, at: usize) -> Option<&Listed> {
        self.market.listed().get(at)
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.listed(at).map(|l| &l.instrument)
    }

    pub fn product(&self, at: usize) -> Option<&'static Product> {
        self.rows.get(at).map(|row| row.0)
    }

    pub fn place(&self, product: &Product, symbol: &str) -> Option<usize> {
        let listed = self.market.listed().iter();
        listed.zip(&self.rows).position(|(l, row)| row.0 == product && *l.instrument.symbol == *symbol)
    }

    /// The instruments of a section.
    pub fn of(&self, product: &Product) -> Vec<usize> {
        self.rows.iter().enumerate().filter(|(_, row)| row.0 == product).map(|(at, _)| at).collect()
    }

    /// How the venue writes numbers of an instrument.
    pub fn words<'i>(&self, instrument: &'i Instrument) -> Words<'i> {
        Words { instrument, quirks: self.quirks }
    }

    /// One step of the market. Returns the instrument and its trades.
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
                    for feed in &mut state.feeds {
                        feed.pending.insert((side == Side::Bid, level.px), level.qty);
                    }
                }
                Move::Trade { id: count, px, qty, aggressor } => {
                    self.last_id += self.market.rng().u64(1..2_000);
                    prints.push(Print { id: self.last_id, count, px, qty, aggressor, ts: now });
                }
            }
        }
        for print in &prints {
            state.prints.push_front(*print);
            state.prints.truncate(PRINTS_MAX);
        }
        Some((at, prints))
    }

    /// Takes what changed in a book channel since its last push; `None` where everything is as it was.
    pub fn flush(&mut self, at: usize, third: bool, now: Ts) -> Option<Update> {
        let instrument = Arc::clone(self.instrument(at)?);
        let words = self.words(&instrument);
        let rng = self.market.rng();
        let (restart, noise) = (rng.u16(0..200) == 0 && self.quirks.restarts, rng.u8(0..4));
        let fars: Vec<i64> = (0..noise).map(|_| rng.i64(200..2_000)).collect();
        let state = self.states.get_mut(at)?;
        let seq = state.seq;
        let feed = state.feeds.get_mut(usize::from(third))?;
        let before = feed.shown.seq;
        let prev = if restart { 0 } else { before };
        let mut update = Update { prev, before, ts: now, seq, ..Update::default() };
        for ((bid, px), qty) in std::mem::take(&mut feed.pending) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let held = feed.shown.side(side).get(&px).copied().unwrap_or_default();
            // A level that came and went since the last push is told as a removal; one that is as it was is not told.
            if held == qty && qty.0 != 0 {
                continue;
            }
            update.undo.push((side, Level { px, qty: held }));
            let level = Level { px, qty };
            feed.shown.set(side, level);
            if bid { update.bids.push(level) } else { update.asks.push(level) }
        }
        if update.undo.is_empty() {
            return None;
        }
        let tick = instrument.tick.and_then(|t| t.mantissa_at(instrument.px_scale)).unwrap_or(1);
        if let Some((worst, _)) = feed.shown.asks.last_key_value() {
            update.asks.extend(fars.iter().map(|far| Level { px: Px(worst.0 + far * tick), qty: Qty(0) }));
        }
        update.bids.reverse();
        feed.shown.seq = seq;
        if self.quirks.checksum {
            feed.shown.checksum = feed.shown.crc(&words);
        }
        update.checksum = feed.shown.checksum;
        feed.past.push_back(update.clone());
        if feed.past.len() > PAST_MAX {
            feed.past.pop_front();
        }
        Some(update)
    }

    /// The book as shown `late` updates ago, and the updates since.
    pub fn shown(&self, at: usize, third: bool, late: usize) -> Option<(Shown, Vec<Update>)> {
        let feed = self.states.get(at)?.feeds.get(usize::from(third))?;
        let mut shown = feed.shown.clone();
        let since: Vec<Update> = feed.past.iter().rev().take(late).cloned().collect();
        for update in &since {
            for (side, level) in &update.undo {
                shown.set(*side, *level);
            }
            shown.seq = update.before;
        }
        if self.quirks.checksum {
            shown.checksum = shown.crc(&self.words(self.instrument(at)?));
        }
        Some((shown, since.into_iter().rev().collect()))
    }
}

/// Where the numbers of books begin: those of coin futures exceed 2^53.
fn first_seq(product: &str) -> u64 {
    match product {
        "coin-futures" => 9_007_199_254_740_993,
        "spot" => 1_300_000_000_000_000_000,
        _ => 451_000_000_000,
    }
}

/// `{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT",…}` with all that clients read.
fn spot_row(coin: &Coin) -> String {
    let (base, px, qty) = (&coin.base, coin.px_scale, coin.qty_scale);
    format!(
        r#"{{"symbol":"{base}USDT","baseCoin":"{base}","quoteCoin":"USDT","minTradeAmount":"0","maxTradeAmount":"10000000000","takerFeeRate":"0.002","makerFeeRate":"0.002","pricePrecision":"{px}","quantityPrecision":"{qty}","quotePrecision":"{}","status":"online","minTradeUSDT":"1","buyLimitPriceRatio":"0.05","sellLimitPriceRatio":"0.05","areaSymbol":"no","orderQuantity":"200","openTime":"1532454360000","offTime":""}}"#,
        px + qty
    )
}

fn futures_row(coin: &Coin, product: &Product, delivery: bool) -> String {
    let base = &coin.base;
    let (symbol, quote, margin) = match (product.settle, delivery) {
        ("USDC", _) => (format!("{base}PERP"), "USDC", "USDC"),
        ("", true) => (format!("{base}USDZ26"), "USD", base.as_str()),
        ("", false) => (format!("{base}USD"), "USD", base.as_str()),
        (settle, _) => (format!("{base}{settle}"), settle, settle),
    };
    let (kind, end, fund) =
        if delivery { ("delivery", EXPIRY_MS.to_string(), "") } else { ("perpetual", String::new(), "8") };
    let lot = encode::step(coin.qty_scale);
    format!(
        r#"{{"symbol":"{symbol}","baseCoin":"{base}","quoteCoin":"{quote}","buyLimitPriceRatio":"0.05","sellLimitPriceRatio":"0.05","feeRateUpRatio":"0.005","makerFeeRate":"0.0002","takerFeeRate":"0.0006","openCostUpRatio":"0.01","supportMarginCoins":["{margin}"],"minTradeNum":"{lot}","priceEndStep":"1","volumePlace":"{}","pricePlace":"{}","sizeMultiplier":"{lot}","symbolType":"{kind}","minTradeUSDT":"5","maxSymbolOrderNum":"200","maxProductOrderNum":"1000","maxPositionNum":"150","symbolStatus":"normal","offTime":"-1","limitOpenTime":"-1","deliveryTime":"{end}","deliveryStartTime":"","deliveryPeriod":"","launchTime":"","fundInterval":"{fund}","minLever":"1","maxLever":"125","posLimit":"0.1","maintainTime":"","isRwa":"NO"}}"#,
        coin.qty_scale, coin.px_scale
    )
}
