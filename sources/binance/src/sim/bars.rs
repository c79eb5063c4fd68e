//! Bars that the simulated venue makes from its trades.

use super::world::Print;
use model::{Px, Side, Ts};
use std::collections::{BTreeMap, VecDeque};

/// How many closed bars of a series are kept.
const CLOSED_MAX: usize = 500;
const DAY_MS: i64 = 86_400_000;

/// How long a bar of that name is, in ms; a month is taken for 30 days.
pub(super) fn interval_ms(name: &str, futures: bool) -> Option<i64> {
    let minutes = match name {
        "1s" => return (!futures).then_some(1_000),
        "1m" => 1,
        "3m" => 3,
        "5m" => 5,
        "15m" => 15,
        "30m" => 30,
        "1h" => 60,
        "2h" => 120,
        "4h" => 240,
        "6h" => 360,
        "8h" => 480,
        "12h" => 720,
        "1d" => return Some(DAY_MS),
        "3d" => return Some(3 * DAY_MS),
        "1w" => return Some(7 * DAY_MS),
        "1M" => return Some(30 * DAY_MS),
        _ => return None,
    };
    Some(minutes * 60_000)
}

/// A bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub start_ms: i64,
    pub end_ms: i64,
    pub open: Px,
    pub high: Px,
    pub low: Px,
    pub close: Px,
    /// Summed quantity, and that of takers who bought.
    pub volume: [i128; 2],
    /// Summed price × quantity, and that of takers who bought.
    pub turnover: [i128; 2],
    pub trades: u64,
    /// First and last trade.
    pub ids: Option<(u64, u64)>,
}

impl Bar {
    fn new(px: Px, start_ms: i64, length: i64) -> Self {
        Self {
            start_ms,
            end_ms: start_ms + length - 1,
            open: px,
            high: px,
            low: px,
            close: px,
            volume: [0; 2],
            turnover: [0; 2],
            trades: 0,
            ids: None,
        }
    }

    fn add(&mut self, print: &Print) {
        if self.trades == 0 {
            (self.open, self.high, self.low) = (print.px, print.px, print.px);
        }
        (self.high, self.low, self.close) = (self.high.max(print.px), self.low.min(print.px), print.px);
        let (qty, money) = (i128::from(print.qty.0), i128::from(print.qty.0) * i128::from(print.px.0));
        let bought = i128::from(print.aggressor == Side::Bid);
        self.volume = [self.volume[0] + qty, self.volume[1] + qty * bought];
        self.turnover = [self.turnover[0] + money, self.turnover[1] + money * bought];
        self.trades += 1;
        self.ids = Some((self.ids.map_or(print.id, |(first, _)| first), print.id));
    }
}

/// Bars of one instrument at one interval.
#[derive(Debug)]
pub(super) struct Series {
    pub current: Bar,
    pub closed: VecDeque<Bar>,
    /// How many of the closed ones were not told yet.
    pub fresh: usize,
    length: i64,
}

impl Series {
    fn roll(&mut self, now: Ts) {
        while now.as_ms() > self.current.end_ms {
            let next = now.as_ms().div_euclid(self.length) * self.length;
            let start = (self.current.end_ms + 1).max(next - CLOSED_MAX as i64 * self.length);
            self.closed.push_back(self.current);
            self.fresh = (self.fresh + 1).min(CLOSED_MAX);
            if self.closed.len() > CLOSED_MAX {
                self.closed.pop_front();
            }
            self.current = Bar::new(self.current.close, start, self.length);
        }
    }

    /// The bars that ended since they were last told.
    pub fn take_fresh(&mut self) -> Vec<Bar> {
        let skip = self.closed.len().saturating_sub(std::mem::take(&mut self.fresh));
        self.closed.iter().skip(skip).copied().collect()
    }
}

/// The bars of one instrument that somebody asked for, by the venue's name of the interval.
#[derive(Debug, Default)]
pub(super) struct Bars {
    all: BTreeMap<String, Series>,
}

impl Bars {
    /// The bars of an interval; where nobody asked before they are made from the trades that are kept.
    pub fn series(
        &mut self,
        name: &str,
        futures: bool,
        last: Px,
        prints: &VecDeque<Print>,
        now: Ts,
    ) -> Option<&mut Series> {
        let length = interval_ms(name, futures)?;
        let series = self.all.entry(name.to_owned()).or_insert_with(|| {
            let (px, begin) = prints.front().map_or((last, now), |print| (print.px, print.ts));
            let current = Bar::new(px, begin.as_ms().div_euclid(length) * length, length);
            let mut series = Series { current, closed: VecDeque::new(), fresh: 0, length };
            for print in prints {
                series.roll(print.ts);
                series.current.add(print);
            }
            series.roll(now);
            series.fresh = 0;
            series
        });
        series.roll(now);
        Some(series)
    }

    /// A trade happened.
    pub fn on(&mut self, print: &Print) {
        for series in self.all.values_mut() {
            series.roll(print.ts);
            series.current.add(print);
        }
    }
}
