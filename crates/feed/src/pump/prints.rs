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
    /// Which of the 64 numbers up to the last were told; the lowest bit is the last.
    recent: u64,
    texts: VecDeque<Box<str>>,
}

impl Prints {
    /// Two connections change places now.
    pub fn guard(&mut self, now: Ts) {
        self.guard_until = Some(now.plus_ms(GUARD_MS));
    }

    /// Whether an event is to be told; remembers it if so. A print that comes again right away is never told twice.
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
        told.note(&trade.id)
    }
}

impl Told {
    fn has(&self, id: &TradeId) -> bool {
        match id {
            TradeId::Num(n) => self.last.is_some_and(|last| *n <= last && last - n < RESTART),
            TradeId::Text(text) => self.texts.contains(text),
        }
    }

    /// Remembers an id; false where it is known. Of numbers the last 64 are known one by one.
    #[inline]
    fn note(&mut self, id: &TradeId) -> bool {
        match id {
            TradeId::Num(n) => {
                let Some(last) = self.last.filter(|last| *n > *last || *last - *n < RESTART) else {
                    (self.last, self.recent) = (Some(*n), 1);
                    return true;
                };
                if *n > last {
                    let by = u32::try_from(*n - last).unwrap_or(u32::MAX);
                    self.recent = self.recent.checked_shl(by).unwrap_or(0) | 1;
                    self.last = Some(*n);
                    return true;
                }
                let bit = u32::try_from(last - *n).ok().and_then(|back| 1_u64.checked_shl(back)).unwrap_or(0);
                let known = self.recent & bit != 0;
                self.recent |= bit;
                !known
            }
            TradeId::Text(text) => {
                if self.texts.contains(text) {
                    return false;
                }
                if self.texts.len() >= TEXTS_MAX {
                    self.texts.pop_front();
                }
                self.texts.push_back(text.clone());
                true
            }
        }
    }
}
