//! Which trades were told already.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use model::{Body, Channel, Event, InstrumentId, TradeId, Ts};
use std::collections::VecDeque;
use std::sync::Arc;

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
    texts: HashSet<Arc<str>, FixedState>,
    /// The same, oldest first.
    order: VecDeque<Arc<str>>,
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
            TradeId::Text(text) => self.texts.contains(&**text),
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
                if self.texts.contains(&**text) {
                    return false;
                }
                if self.order.len() >= TEXTS_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.texts.remove(&oldest);
                }
                let text: Arc<str> = Arc::from(&**text);
                self.order.push_back(Arc::clone(&text));
                self.texts.insert(text);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Flags, Instrument, InstrumentKind, Px, Qty, SourceName, Stamp, Trade};

    fn print(id: TradeId) -> Event {
        let source: SourceName = "v";
        Event {
            source,
            instrument: Arc::new(Instrument::provisional(source, "", "X", InstrumentKind::Spot)),
            channel: Channel::Trades,
            flags: Flags::NONE,
            stamp: Stamp::default(),
            body: Body::Trade(Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 }),
        }
    }

    fn passed(prints: &mut Prints, ids: &[u64]) -> Vec<u64> {
        ids.iter().copied().filter(|n| prints.pass(&print(TradeId::Num(*n)))).collect()
    }

    #[test]
    fn a_number_is_told_once_and_one_that_comes_late_is_told_too() {
        let mut prints = Prints::default();
        assert_eq!(passed(&mut prints, &[10, 12, 10, 11, 11, 12, 13, 500, 13]), [10, 12, 11, 13, 500, 13]);
        assert_eq!(passed(&mut prints, &[5_000_000, 3, 4, 3]), [5_000_000, 3, 4]);
    }

    #[test]
    fn after_a_change_of_connections_older_numbers_are_not_told() {
        let mut prints = Prints::default();
        passed(&mut prints, &[10, 12]);
        prints.guard(Ts(0));
        assert_eq!(passed(&mut prints, &[11, 12, 13]), [13]);
    }

    #[test]
    fn texts_are_told_once_as_long_as_they_are_remembered() {
        let mut prints = Prints::default();
        let mut pass = |n: usize| prints.pass(&print(TradeId::Text(format!("t{n}").into())));
        assert!((0..=TEXTS_MAX).all(&mut pass));
        assert!(!pass(TEXTS_MAX) && !pass(1));
        assert!(pass(0), "forgotten");
    }
}
