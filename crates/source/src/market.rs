//! A lively market from a seed: one true book per instrument, changed by single moves.

mod change;

pub use change::Change;

use crate::SimBook;
use model::{Instrument, Level, Px, Qty, Side, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A coin that simulated venues list, so that the same names and about the same prices stand at each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Its name: `BTC`.
    pub base: String,
    /// Where its price starts: mantissa at `px_scale`, in dollars.
    pub px: i64,
    /// Digits after the point of its prices.
    pub px_scale: u8,
    /// Digits after the point of its quantities.
    pub qty_scale: u8,
}

const COINS: [(&str, i64, u8, u8); 16] = [
    ("BTC", 6_400_010, 2, 5),
    ("ETH", 310_050, 2, 4),
    ("SOL", 14_820, 2, 3),
    ("XRP", 5_213, 4, 1),
    ("DOGE", 12_345, 5, 0),
    ("ADA", 3_821, 4, 1),
    ("LTC", 7_512, 2, 3),
    ("LINK", 11_240, 3, 2),
    ("AVAX", 2_771, 2, 2),
    ("DOT", 4_310, 3, 2),
    ("TRX", 16_120, 5, 1),
    ("BCH", 35_210, 2, 3),
    ("UNI", 6_530, 3, 2),
    ("ATOM", 4_880, 3, 2),
    ("FIL", 3_910, 3, 2),
    ("PEPE", 812_000, 10, 0),
];

/// The first `n` coins; past the known names they are called `C017`, `C018`, ….
pub fn coins(n: usize) -> Vec<Coin> {
    (0..n)
        .map(|i| match COINS.get(i) {
            Some(&(base, px, px_scale, qty_scale)) => Coin { base: base.to_owned(), px, px_scale, qty_scale },
            None => {
                Coin { base: format!("C{:03}", i + 1), px: 10_000 + i as i64 * 7, px_scale: 3, qty_scale: 1 }
            }
        })
        .collect()
}

/// One instrument of the market with its true book.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its definition.
    pub instrument: Arc<Instrument>,
    /// Price → quantity.
    pub bids: BTreeMap<Px, Qty>,
    /// Price → quantity.
    pub asks: BTreeMap<Px, Qty>,
    /// The last trade.
    pub last: (Px, Qty),
    /// Open, high and low since the market opened.
    pub range: (Px, Px, Px),
    /// Summed quantity since the market opened.
    pub volume: i128,
    /// Summed price × quantity since the market opened, at the sum of both scales.
    pub turnover: i128,
    /// Trades since the market opened; also the id of the last one.
    pub trades: u64,
    tick: i64,
    lot: i64,
    /// It does not trade: its book stands still.
    halted: bool,
}

/// One change of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A level's new quantity; zero removes it.
    Level(Side, Level),
    /// A print; the levels it took away come as moves of their own before it.
    Trade {
        /// Its number, counted from 1 per instrument.
        id: u64,
        /// Price.
        px: Px,
        /// Quantity.
        qty: Qty,
        /// Who crossed.
        aggressor: Side,
    },
}

/// How many levels a side holds at most.
const LEVELS_MAX: usize = 60;
/// How many levels a side is refilled to.
const LEVELS_MIN: usize = 12;

/// All instruments of a venue, and luck.
#[derive(Clone, Debug)]
pub struct Market {
    rng: fastrand::Rng,
    listed: Vec<Listed>,
}

impl Market {
    /// Opens a market over `listings`: definitions with a tick and a lot, and where each price starts (a mantissa).
    pub fn new(seed: u64, listings: Vec<(Arc<Instrument>, i64)>) -> Self {
        let mut market =
            Self { rng: fastrand::Rng::with_seed(seed), listed: Vec::with_capacity(listings.len()) };
        for (instrument, start) in listings {
            market.list(instrument, start);
        }
        market
    }

    /// Lists one more instrument, which trades.
    pub fn list(&mut self, instrument: Arc<Instrument>, start: i64) {
        let (tick, lot) = steps(&instrument);
        let start = Px((start / tick).max(1_000) * tick);
        let mut one = Listed {
            instrument,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            last: (start, Qty(lot)),
            range: (start, start, start),
            volume: 0,
            turnover: 0,
            trades: 0,
            tick,
            lot,
            halted: false,
        };
        for i in 0..20 {
            one.bids.insert(Px(start.0 - (i + 1) * tick), Qty(lot * self.rng.i64(1..5_000)));
            one.asks.insert(Px(start.0 + i * tick), Qty(lot * self.rng.i64(1..5_000)));
        }
        self.listed.push(one);
    }

    /// Puts a new definition of an instrument in force, which trades where its status says so. Its numbers keep their
    /// scales: a finer tick needs the room that [`roomy`] makes.
    pub fn define(&mut self, at: usize, mut made: Instrument) {
        let Some(one) = self.listed.get_mut(at) else { return };
        (made.px_scale, made.qty_scale) = (one.instrument.px_scale, one.instrument.qty_scale);
        (one.tick, one.lot) = steps(&made);
        one.halted = made.status != Status::Trading;
        one.instrument = Arc::new(made);
    }

    /// The instruments, in the order they were listed.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The luck of this market, for what a venue draws besides.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// Lets something happen to one instrument; appends the moves and returns its index. The first instruments move most.
    pub fn step(&mut self, out: &mut Vec<Move>) -> Option<usize> {
        if self.listed.is_empty() {
            return None;
        }
        let n = self.listed.len();
        let index = self.rng.usize(0..n).min(self.rng.usize(0..n));
        let rng = &mut self.rng;
        let one = self.listed.get_mut(index).filter(|one| !one.halted)?;
        let side = if rng.bool() { Side::Bid } else { Side::Ask };
        match rng.u32(0..100) {
            0..50 => one.requote(rng, side, out),
            50..65 => one.cancel(rng, side, out),
            65..80 => one.improve(rng, side, out),
            _ => one.trade(rng, side, out),
        }
        one.refill(rng, out);
        Some(index)
    }
}

/// A definition, and where its price starts, with room for one more digit of price: its tick can get finer while it
/// trades.
pub fn roomy(mut instrument: Instrument, start: i64) -> (Instrument, i64) {
    instrument.px_scale += 1;
    (instrument, start * 10)
}

/// The smallest steps of price and quantity as mantissas.
fn steps(instrument: &Instrument) -> (i64, i64) {
    let tick = instrument.tick.and_then(|t| t.mantissa_at(instrument.px_scale)).unwrap_or(1).max(1);
    let lot = instrument.lot.and_then(|t| t.mantissa_at(instrument.qty_scale)).unwrap_or(1).max(1);
    (tick, lot)
}

impl Listed {
    /// A true book of it, with as many digits of price as its tick has, or as its levels need.
    pub fn truth(&self, seq: Option<u64>, mut bids: Vec<Level>, mut asks: Vec<Level>) -> SimBook {
        let mut instrument = Arc::clone(&self.instrument);
        let (from, to) = (instrument.px_scale, instrument.tick.map_or(0, model::Decimal::scale));
        let shorter = |levels: &[Level]| -> Option<Vec<Level>> {
            let fit = |l: &Level| Some(Level { px: Px(model::rescale(l.px.0, from, to)?), qty: l.qty });
            levels.iter().map(fit).collect()
        };
        if to < from
            && let (Some(shorter_bids), Some(shorter_asks)) = (shorter(&bids), shorter(&asks))
        {
            (bids, asks) = (shorter_bids, shorter_asks);
            instrument = Arc::new(Instrument { px_scale: to, ..(*instrument).clone() });
        }
        SimBook { instrument, seq, bids, asks }
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<Px, Qty> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    fn best(&self, side: Side) -> Option<(Px, Qty)> {
        let found = match side {
            Side::Bid => self.bids.last_key_value(),
            Side::Ask => self.asks.first_key_value(),
        };
        found.map(|(px, qty)| (*px, *qty))
    }

    fn set(&mut self, side: Side, px: Px, qty: Qty, out: &mut Vec<Move>) {
        if qty.0 == 0 {
            self.side(side).remove(&px);
        } else {
            self.side(side).insert(px, qty);
        }
        out.push(Move::Level(side, Level { px, qty }));
    }

    /// The price `ticks` away from the best of that side, outwards.
    fn outwards(&self, side: Side, ticks: i64) -> Option<Px> {
        let (best, _) = self.best(side)?;
        let px = match side {
            Side::Bid => best.0 - ticks * self.tick,
            Side::Ask => best.0 + ticks * self.tick,
        };
        (px > 0).then_some(Px(px))
    }

    fn requote(&mut self, rng: &mut fastrand::Rng, side: Side, out: &mut Vec<Move>) {
        let far = i64::from(rng.u8(0..40).min(rng.u8(0..40)));
        if let Some(px) = self.outwards(side, far) {
            self.set(side, px, Qty(self.lot * rng.i64(1..5_000)), out);
        }
    }

    fn cancel(&mut self, rng: &mut fastrand::Rng, side: Side, out: &mut Vec<Move>) {
        let levels = self.side(side);
        let at = rng.usize(0..levels.len().max(1));
        if let Some(px) = levels.keys().nth(at).copied() {
            self.set(side, px, Qty(0), out);
        }
    }

    fn improve(&mut self, rng: &mut fastrand::Rng, side: Side, out: &mut Vec<Move>) {
        let (Some((bid, _)), Some((ask, _))) = (self.best(Side::Bid), self.best(Side::Ask)) else { return };
        let room = (ask.0 - bid.0) / self.tick - 1;
        if room > 0 {
            let by = rng.i64(1..=room) * self.tick;
            let px = if side == Side::Bid { Px(bid.0 + by) } else { Px(ask.0 - by) };
            self.set(side, px, Qty(self.lot * rng.i64(1..2_000)), out);
        }
    }

    fn trade(&mut self, rng: &mut fastrand::Rng, aggressor: Side, out: &mut Vec<Move>) {
        let resting = if aggressor == Side::Bid { Side::Ask } else { Side::Bid };
        let Some((px, there)) = self.best(resting) else { return };
        let lots = there.0 / self.lot;
        let qty = if rng.u8(0..3) == 0 { there } else { Qty(rng.i64(1..=lots.max(1)) * self.lot) };
        self.set(resting, px, Qty(there.0 - qty.0.min(there.0)), out);
        self.trades += 1;
        self.last = (px, qty);
        self.range = (self.range.0, self.range.1.max(px), self.range.2.min(px));
        self.volume += i128::from(qty.0);
        self.turnover += i128::from(qty.0) * i128::from(px.0);
        out.push(Move::Trade { id: self.trades, px, qty, aggressor });
    }

    fn refill(&mut self, rng: &mut fastrand::Rng, out: &mut Vec<Move>) {
        for side in [Side::Bid, Side::Ask] {
            while self.side(side).len() > LEVELS_MAX {
                let worst = match side {
                    Side::Bid => self.bids.first_key_value(),
                    Side::Ask => self.asks.last_key_value(),
                };
                let Some((&px, _)) = worst else { break };
                self.set(side, px, Qty(0), out);
            }
            while self.side(side).len() < LEVELS_MIN {
                let far = i64::from(rng.u8(1..40));
                let px = self.outwards(side, far).unwrap_or(match side {
                    Side::Bid => Px((self.last.0.0 - self.tick).max(self.tick)),
                    Side::Ask => Px(self.last.0.0 + self.tick),
                });
                self.set(side, px, Qty(self.lot * rng.i64(1..5_000)), out);
                if px.0 <= self.tick {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Decimal, InstrumentKind};

    fn market(seed: u64) -> Market {
        let listings = coins(4).into_iter().map(|coin| {
            let mut i = Instrument::provisional("v", "", &coin.base, InstrumentKind::Spot);
            i.px_scale = coin.px_scale;
            i.qty_scale = coin.qty_scale;
            i.tick = Some(Decimal::new(1, coin.px_scale));
            i.lot = Some(Decimal::new(1, coin.qty_scale));
            (Arc::new(i), coin.px)
        });
        Market::new(seed, listings.collect())
    }

    #[test]
    fn books_never_cross_and_never_empty() {
        for seed in 0..20 {
            let mut market = market(seed);
            let mut moves = Vec::new();
            for _ in 0..5_000 {
                let at = market.step(&mut moves).unwrap();
                let one = &market.listed()[at];
                let (bid, ask) = (one.best(Side::Bid).unwrap(), one.best(Side::Ask).unwrap());
                assert!(bid.0 < ask.0, "seed {seed}: {bid:?} {ask:?}");
                assert!(one.bids.len() <= LEVELS_MAX && one.asks.len() <= LEVELS_MAX);
            }
            assert!(moves.iter().any(|m| matches!(m, Move::Trade { .. })));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_market() {
        let run = |seed| {
            let (mut market, mut moves) = (market(seed), Vec::new());
            for _ in 0..500 {
                market.step(&mut moves);
            }
            moves
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
