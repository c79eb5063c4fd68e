//! Books as a reader of events keeps them.

use crate::SimBook;
use model::{Body, Channel, Event, Gap, Instrument, InstrumentId, LaneFact, Level, Levels, Px, Qty, Scale};
use std::collections::BTreeMap;

/// One book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Digits after the point of prices and quantities.
    pub scales: (Scale, Scale),
    /// The venue's number of this state.
    pub seq: Option<u64>,
    /// Price → quantity.
    pub bids: BTreeMap<Px, Qty>,
    /// Price → quantity.
    pub asks: BTreeMap<Px, Qty>,
}

impl Held {
    /// A book of an instrument that begins with these levels.
    pub fn new(instrument: &Instrument, levels: &Levels, seq: Option<u64>) -> Self {
        let scales = (instrument.px_scale, instrument.qty_scale);
        let mut held = Self { scales, seq, ..Self::default() };
        held.apply(levels);
        held
    }

    /// Puts levels in, and takes those without quantity out.
    pub fn apply(&mut self, levels: &Levels) {
        for (side, levels) in [(&mut self.bids, levels.bids()), (&mut self.asks, levels.asks())] {
            for Level { px, qty } in levels {
                if *qty == Qty(0) {
                    side.remove(px);
                } else {
                    side.insert(*px, *qty);
                }
            }
        }
    }

    /// Writes all numbers at the scales of this definition.
    pub fn fit(&mut self, instrument: &Instrument) {
        let to = (instrument.px_scale, instrument.qty_scale);
        if to == self.scales {
            return;
        }
        let from = std::mem::replace(&mut self.scales, to);
        let name = &instrument.name;
        let wider = |(px, qty): (&Px, &Qty)| {
            let px = model::rescale(px.0, from.0, to.0);
            let qty = model::rescale(qty.0, from.1, to.1);
            let (Some(px), Some(qty)) = (px, qty) else { panic!("{name}: a level does not fit {to:?}") };
            (Px(px), Qty(qty))
        };
        self.bids = self.bids.iter().map(wider).collect();
        self.asks = self.asks.iter().map(wider).collect();
    }

    /// Best bid and offer.
    pub fn best(&self) -> (Option<Level>, Option<Level>) {
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        (self.bids.last_key_value().map(level), self.asks.first_key_value().map(level))
    }

    /// Whether a bid is at or above an offer.
    pub fn is_crossed(&self) -> bool {
        matches!(self.best(), (Some(bid), Some(ask)) if bid.px >= ask.px)
    }

    /// Whether it is that true book.
    pub fn is(&self, truth: &SimBook) -> bool {
        let side = |levels: &[Level]| levels.iter().map(|l| (l.px, l.qty)).collect();
        let scales = (truth.instrument.px_scale, truth.instrument.qty_scale);
        let mut other = Self { scales, seq: truth.seq, bids: side(&truth.bids), asks: side(&truth.asks) };
        let mut own = self.clone();
        let wide = (own.scales.0.max(scales.0), own.scales.1.max(scales.1));
        let mut common = (*truth.instrument).clone();
        (common.px_scale, common.qty_scale) = wide;
        own.fit(&common);
        other.fit(&common);
        own == other
    }
}

/// The live books that events make; panics where a delta comes out of turn.
#[derive(Debug, Default)]
pub struct Books {
    /// By instrument.
    pub live: BTreeMap<InstrumentId, Held>,
    /// How many snapshots came.
    pub snapshots: u64,
    /// How many deltas came.
    pub deltas: u64,
    /// Each gap with the instrument's name.
    pub gaps: Vec<(String, Gap)>,
}

impl Books {
    /// Takes an event.
    pub fn on(&mut self, event: &Event) {
        if event.channel != Channel::Book {
            return;
        }
        let (id, name) = (event.instrument.id, &event.instrument.name);
        match &event.body {
            Body::Snapshot(snapshot) => {
                self.snapshots += 1;
                self.live.insert(id, Held::new(&event.instrument, &snapshot.levels, snapshot.seq));
            }
            Body::Delta(delta) => {
                self.deltas += 1;
                let Some(held) = self.live.get_mut(&id) else { panic!("{name}: a delta without a book") };
                assert_eq!(held.seq, delta.prev_seq, "{name}: a hole");
                held.fit(&event.instrument);
                held.seq = delta.seq;
                held.apply(&delta.levels);
            }
            Body::Gap(gap) => {
                self.live.remove(&id);
                self.gaps.push((name.to_string(), gap.clone()));
            }
            Body::Lane(LaneFact::Dropped) => drop(self.live.remove(&id)),
            Body::Lane(_) => {}
            other => panic!("{name}: {other:?} on the book channel"),
        }
    }
}
