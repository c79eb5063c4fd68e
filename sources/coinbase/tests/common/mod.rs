//! A reader's book, rebuilt from events.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panic"
)]

use model::{Instrument, Level, Levels, Px, Qty};
use std::collections::BTreeMap;

/// A book as a reader of the events holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub live: bool,
}

impl Held {
    pub fn reset(&mut self, levels: &Levels) {
        assert!(levels.bids().is_sorted_by(|a, b| a.px > b.px), "bids from high to low");
        assert!(levels.asks().is_sorted_by(|a, b| a.px < b.px), "asks from low to high");
        self.bids = levels.bids().iter().map(|l| (l.px, l.qty)).collect();
        self.asks = levels.asks().iter().map(|l| (l.px, l.qty)).collect();
        self.live = true;
    }

    pub fn apply(&mut self, levels: &Levels) {
        put(&mut self.bids, levels.bids());
        put(&mut self.asks, levels.asks());
    }

    pub fn crossed(&self) -> bool {
        match (self.bids.last_key_value(), self.asks.first_key_value()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }

    pub fn rescale(&mut self, from: &Instrument, to: &Instrument) {
        let fit = |side: &BTreeMap<Px, Qty>| -> BTreeMap<Px, Qty> {
            let wider = |(px, qty): (&Px, &Qty)| {
                let px = model::rescale(px.0, from.px_scale, to.px_scale).unwrap();
                let qty = model::rescale(qty.0, from.qty_scale, to.qty_scale).unwrap();
                (Px(px), Qty(qty))
            };
            side.iter().map(wider).collect()
        };
        (self.bids, self.asks) = (fit(&self.bids), fit(&self.asks));
    }
}

fn put(side: &mut BTreeMap<Px, Qty>, levels: &[Level]) {
    for level in levels {
        if level.qty.0 == 0 {
            side.remove(&level.px);
        } else {
            side.insert(level.px, level.qty);
        }
    }
}
