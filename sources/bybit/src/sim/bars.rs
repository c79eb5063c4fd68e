//! Bars of the simulated venue: minutes from its trades, longer ones from minutes, and made up ones of the time before
//! it opened.

use crate::rows::INTERVALS;
use model::{Px, Qty, Ts};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
/// How many minutes are kept.
const MINUTES_MAX: usize = 10_000;

/// One bar: prices are mantissas; turnover is at the sum of both scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub start_ms: i64,
    pub open: Px,
    pub high: Px,
    pub low: Px,
    pub close: Px,
    pub volume: i128,
    pub turnover: i128,
}

/// The minutes of one instrument.
#[derive(Clone, Debug)]
pub(super) struct Minutes {
    all: BTreeMap<i64, Bar>,
    /// The price before the first trade.
    first: Px,
    opened_ms: i64,
    seed: u64,
}

/// When the bar of an interval that holds this time begins, in ms; `None` where the venue has no such interval.
pub(super) fn start_of(interval: usize, ms: i64) -> Option<i64> {
    let (_, theirs, minutes) = INTERVALS.get(interval)?;
    match (*theirs, i64::from(*minutes)) {
        ("M", _) => Some(crate::rest::month_of(ms)),
        // Weeks begin on Monday; 1970-01-05 was the first.
        ("W", minutes) => {
            let monday = 4 * 86_400_000;
            Some((ms - monday).div_euclid(minutes * MINUTE_MS) * minutes * MINUTE_MS + monday)
        }
        (_, minutes) => Some(ms.div_euclid(minutes * MINUTE_MS) * minutes * MINUTE_MS),
    }
}

impl Minutes {
    pub fn new(first: Px, now: Ts, seed: u64) -> Self {
        let opened_ms = now.as_ms().div_euclid(MINUTE_MS) * MINUTE_MS;
        Self { all: BTreeMap::new(), first, opened_ms, seed }
    }

    pub fn trade(&mut self, px: Px, qty: Qty, now: Ts) {
        let start_ms = now.as_ms().div_euclid(MINUTE_MS) * MINUTE_MS;
        let open = self.all.last_key_value().map_or(self.first, |(_, bar)| bar.close);
        let bar = self.all.entry(start_ms).or_insert(Bar {
            start_ms,
            open,
            high: open,
            low: open,
            close: open,
            volume: 0,
            turnover: 0,
        });
        (bar.high, bar.low, bar.close) = (bar.high.max(px), bar.low.min(px), px);
        bar.volume += i128::from(qty.0);
        bar.turnover += i128::from(qty.0) * i128::from(px.0);
        if self.all.len() > MINUTES_MAX {
            self.all.pop_first();
        }
    }

    /// The bar of an interval that begins at `start_ms` and ends before `end_ms`.
    pub fn bar(&self, start_ms: i64, end_ms: i64) -> Bar {
        if start_ms < self.opened_ms {
            return self.made_up(start_ms);
        }
        let before = self.all.range(..start_ms).next_back().map_or(self.first, |(_, bar)| bar.close);
        let flat =
            Bar { start_ms, open: before, high: before, low: before, close: before, volume: 0, turnover: 0 };
        self.all.range(start_ms..end_ms).fold(flat, |sum, (_, bar)| Bar {
            high: sum.high.max(bar.high),
            low: sum.low.min(bar.low),
            close: bar.close,
            volume: sum.volume + bar.volume,
            turnover: sum.turnover + bar.turnover,
            ..sum
        })
    }

    /// A bar of the time before the venue opened, always the same.
    fn made_up(&self, start_ms: i64) -> Bar {
        let hash = (start_ms.cast_unsigned() ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let near = |bits: u64| Px((self.first.0 + i64::from((bits & 0xff) as u8)).max(1));
        let (open, close) = (near(hash >> 8), near(hash >> 16));
        let qty = i128::from((hash >> 24 & 0xffff) as u16) + 1;
        Bar {
            start_ms,
            open,
            high: Px(open.0.max(close.0) + 1),
            low: open.min(close),
            close,
            volume: qty,
            turnover: qty * i128::from(open.0),
        }
    }
}
