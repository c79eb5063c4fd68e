//! What a venue sends in a day of one busy instrument and a few quiet ones; made from a seed, and the same each time.

use model::{
    Body, Channel, Delta, Event, Flags, Instrument, InstrumentKind, Level, Levels, Px, Qty, Quote, Side,
    Snapshot, Stamp, Trade, TradeId, Ts,
};
use std::sync::Arc;

/// When the day begins: 2026-01-05 00:00 UTC.
pub const START: Ts = Ts(1_767_571_200_000_000_000);
/// A day in nanoseconds.
pub const DAY_NS: i64 = 86_400_000_000_000;
/// Where the events are from.
pub const SOURCE: &str = "bench";
/// The section that its instruments are of.
pub const PRODUCT: &str = "spot";
/// The instrument that most events are of.
pub const BUSY: &str = "BTCUSDT";
/// Those that the others are of.
const QUIET: [&str; 4] = ["ADAUSDT", "DOGEUSDT", "ETHUSDT", "XRPUSDT"];
/// Of so many steps one is of a quiet instrument.
const QUIET_EVERY: u64 = 50;
/// Of so many steps one changes the book.
const DELTA_EVERY: u64 = 8;
/// Levels of a change.
const CHANGED: i64 = 4;
/// Levels of each side that change.
const DEPTH: i64 = 400;

/// Gives the events of a day in the order in which they come.
pub struct World {
    luck: fastrand::Rng,
    instruments: Vec<(Arc<Instrument>, i64)>,
    step_ns: i64,
    step: u64,
    steps: u64,
    at: i64,
    seq: u64,
    waiting: Vec<Event>,
}

impl World {
    /// A day of so many steps; each is a trade and a quote, some a change of the book.
    pub fn new(steps: u64) -> Self {
        let named = |symbol: &str| {
            let mut instrument = Instrument::provisional(SOURCE, PRODUCT, symbol, InstrumentKind::Spot);
            (instrument.px_scale, instrument.qty_scale) = (2, 5);
            (Arc::new(instrument), 6_500_000)
        };
        let instruments: Vec<_> = std::iter::once(BUSY).chain(QUIET).map(named).collect();
        let luck = fastrand::Rng::with_seed(5);
        let step_ns = DAY_NS / steps.max(1).cast_signed();
        let mut world =
            Self { luck, instruments, step_ns, step: 0, steps, at: START.0, seq: 1, waiting: Vec::new() };
        for place in 0..world.instruments.len() {
            let levels = world.levels(place, DEPTH);
            let body = Body::Snapshot(Snapshot { seq: Some(1), levels, checksum: None, epoch: 1 });
            world.put(place, Channel::Book, body);
        }
        world.waiting.reverse();
        world
    }

    /// Some levels of both sides near the price.
    fn levels(&mut self, place: usize, count: i64) -> Levels {
        let px = self.instruments.get(place).map_or(0, |(_, px)| *px);
        let luck = &mut self.luck;
        let mut side = |sign: i64| -> Vec<Level> {
            let mut all: Vec<i64> =
                (0..count)
                    .map(|level| {
                        if count == DEPTH { level } else { (luck.i64(0..DEPTH) * luck.i64(0..DEPTH)) / DEPTH }
                    })
                    .collect();
            all.sort_unstable();
            all.dedup();
            let level = |away| Level { px: Px(px + sign * (1 + away)), qty: Qty(luck.i64(0..40) * 1_250) };
            all.into_iter().map(level).collect()
        };
        let (bids, asks) = (side(-1), side(1));
        Levels::from_sides(&bids, &asks)
    }

    fn put(&mut self, place: usize, channel: Channel, body: Body) {
        let Some((instrument, _)) = self.instruments.get(place) else { return };
        let late = self.luck.i64(1_000_000..40_000_000);
        self.waiting.push(Event {
            source: SOURCE,
            instrument: Arc::clone(instrument),
            channel,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: Some(Ts(self.at)), ts_recv: Ts(self.at + late) },
            body,
        });
    }

    fn step(&mut self) {
        self.step += 1;
        // Venues tell whole milliseconds.
        self.at = START.0 + self.step_ns * self.step.cast_signed() / 1_000_000 * 1_000_000;
        let quiet = self.step.is_multiple_of(QUIET_EVERY);
        let place = if quiet { self.luck.usize(1..self.instruments.len()) } else { 0 };
        let (up, tick) = (self.luck.bool(), self.luck.i64(0..3));
        let Some((_, px)) = self.instruments.get_mut(place) else { return };
        *px = (*px + if up { tick } else { -tick }).max(1_000_000);
        let px = *px;
        let mut qty = || Qty(self.luck.i64(1..2_000) * if tick == 0 { 1 } else { 500 });
        let quote = Quote {
            bid: Some(Level { px: Px(px - 1), qty: qty() }),
            ask: Some(Level { px: Px(px), qty: qty() }),
            seq: Some(self.step),
        };
        let side = if up { Side::Bid } else { Side::Ask };
        let trade = Trade {
            id: TradeId::Num(4_000_000_000 + self.step),
            px: Px(if up { px } else { px - 1 }),
            qty: qty(),
            aggressor: Some(side),
            count: 1,
        };
        if self.step.is_multiple_of(DELTA_EVERY) {
            let levels = self.levels(0, CHANGED);
            let (prev_seq, seq) = (Some(self.seq), Some(self.seq + 1));
            self.seq += 1;
            self.put(
                0,
                Channel::Book,
                Body::Delta(Delta { prev_seq, seq, levels, checksum: None, epoch: 1 }),
            );
        }
        self.put(place, Channel::Quote, Body::Quote(quote));
        self.put(place, Channel::Trades, Body::Trade(trade));
    }
}

impl Iterator for World {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.waiting.is_empty() {
            if self.step == self.steps {
                return None;
            }
            self.step();
            self.waiting.reverse();
        }
        self.waiting.pop()
    }
}
