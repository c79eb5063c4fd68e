//! A reader's book, rebuilt from events, with the venue's checksum over it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod pair;

use model::{Instrument, Level, Levels, Px, Qty, write_mantissa};
use std::collections::BTreeMap;

/// A book as a reader of the events holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
    pub seq: Option<u64>,
    pub live: bool,
}

impl Held {
    pub fn reset(&mut self, levels: &Levels, seq: Option<u64>) {
        self.bids = levels.bids().iter().map(|l| (l.px, l.qty)).collect();
        self.asks = levels.asks().iter().map(|l| (l.px, l.qty)).collect();
        (self.seq, self.live) = (seq, true);
    }

    pub fn apply(&mut self, levels: &Levels, seq: Option<u64>) {
        put(&mut self.bids, levels.bids());
        put(&mut self.asks, levels.asks());
        self.seq = seq;
    }

    pub fn crossed(&self) -> bool {
        match (self.bids.last_key_value(), self.asks.first_key_value()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }

    pub fn rescale(&mut self, from: &Instrument, to: &Instrument) {
        let fit = |side: &BTreeMap<Px, Qty>| -> BTreeMap<Px, Qty> {
            side.iter()
                .map(|(px, qty)| {
                    let px = model::rescale(px.0, from.px_scale, to.px_scale).expect("a wider scale");
                    let qty = model::rescale(qty.0, from.qty_scale, to.qty_scale).expect("a wider scale");
                    (Px(px), Qty(qty))
                })
                .collect()
        };
        (self.bids, self.asks) = (fit(&self.bids), fit(&self.asks));
    }

    /// CRC-32 over the best 25 levels, bid and ask in turn.
    pub fn checksum(&self, instrument: &Instrument) -> u32 {
        let mut text = Vec::new();
        let mut bids = self.bids.iter().rev();
        let mut asks = self.asks.iter();
        for _ in 0..25 {
            for level in [bids.next(), asks.next()].into_iter().flatten() {
                if !text.is_empty() {
                    text.push(b':');
                }
                write_mantissa(level.0.0, instrument.px_scale, &mut text);
                text.push(b':');
                write_mantissa(level.1.0, instrument.qty_scale, &mut text);
            }
        }
        crc32fast::hash(&text)
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
