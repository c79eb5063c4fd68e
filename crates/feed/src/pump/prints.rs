//! Which trades were told already.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Event, InstrumentId, TradeId, Ts};
use std::collections::VecDeque;

/// How many ids that are no numbers are remembered of each lane.
const TEXTS_MAX: usize = 1_024;
/// How long after a change of connections trades are looked at, in ms.
const GUARD_MS: u64 = 10_000;
/// A number so far below the last one is no older trade: the venue counts from the start again.
const RESTART: u64 = 1_000_000;

/// Which trades were told already. For a while after a change of connections it keeps out those that come again.
#[derive(Debug, Default)]
pub struct Prints {
    lanes: HashMap<(InstrumentId, Channel), Told, FixedState>,
    guard_until: Option<Ts>,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<u64>,
    texts: VecDeque<Box<str>>,
}

impl Prints {
    /// Two connections change places now.
    pub fn guard(&mut self, now: Ts) {
        self.guard_until = Some(now.plus_ms(GUARD_MS));
    }

    /// Whether an event is to be told; remembers it if so.
    #[inline]
    pub fn pass(&mut self, event: &Event) -> bool {
        let Body::Trade(trade) = &event.body else { return true };
        let told = self.lanes.entry((event.instrument.id, event.channel)).or_default();
        if let Some(until) = self.guard_until {
            if event.stamp.ts_recv >= until {
                self.guard_until = None;
            } else if told.has(&trade.id) {
                return false;
            }
        }
        told.note(&trade.id);
        true
    }
}

impl Told {
    fn has(&self, id: &TradeId) -> bool {
        match id {
            TradeId::Num(n) => self.last.is_some_and(|last| *n <= last && last - n < RESTART),
            TradeId::Text(text) => self.texts.contains(text),
        }
    }

    #[inline]
    fn note(&mut self, id: &TradeId) {
        match id {
            TradeId::Num(n) => {
                let last = self.last.get_or_insert(*n);
                if *n > *last || *last - *n >= RESTART {
                    *last = *n;
                }
            }
            TradeId::Text(text) => {
                if self.texts.len() >= TEXTS_MAX {
                    self.texts.pop_front();
                }
                self.texts.push_back(text.clone());
            }
        }
    }
}
