//! What tests of this source share: a book that is kept from events.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod pair;

use model::{Body, Channel, Event, InstrumentId, Level, Levels, Px, Qty};
use std::collections::BTreeMap;

/// A book as a reader of events keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub seq: Option<u64>,
    pub bids: BTreeMap<Px, Qty>,
    pub asks: BTreeMap<Px, Qty>,
}

impl Held {
    fn apply(&mut self, levels: &Levels) {
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

    pub fn best(&self) -> (Option<Level>, Option<Level>) {
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        (self.bids.last_key_value().map(level), self.asks.first_key_value().map(level))
    }
}

/// The live books that events make; asserts that no delta comes out of turn.
#[derive(Default)]
pub struct Books {
    pub live: BTreeMap<InstrumentId, Held>,
    pub snapshots: u64,
    pub deltas: u64,
    pub gaps: Vec<(String, model::Gap)>,
}

impl Books {
    pub fn on(&mut self, event: &Event) {
        if event.channel != Channel::Book {
            return;
        }
        let (id, name) = (event.instrument.id, &event.instrument.name);
        match &event.body {
            Body::Snapshot(snapshot) => {
                self.snapshots += 1;
                let mut held = Held { seq: snapshot.seq, ..Held::default() };
                held.apply(&snapshot.levels);
                self.live.insert(id, held);
            }
            Body::Delta(delta) => {
                self.deltas += 1;
                let held = self.live.get_mut(&id).unwrap_or_else(|| panic!("{name}: a delta without a book"));
                assert_eq!(held.seq, delta.prev_seq, "{name}: a hole");
                held.seq = delta.seq;
                held.apply(&delta.levels);
            }
            Body::Gap(gap) => {
                self.live.remove(&id);
                self.gaps.push((name.to_string(), gap.clone()));
            }
            Body::Lane(_) => {}
            other => panic!("{name}: {other:?} on the book channel"),
        }
    }
}
