//! Bars that the simulated venue makes from its trades.

use super::encode::float;
use super::world::{BASE_SCALE, COST_SCALE, Print};
use crate::subscribe::INTERVALS;
use model::{Instrument, Px, Ts};
use std::collections::{BTreeMap, VecDeque};

/// How many closed bars are kept.
const CLOSED_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub start_ms: i64,
    ohlc: [Px; 4],
    base: i128,
    cost: i128,
}

/// Bars of one instrument at one interval.
#[derive(Debug)]
pub(super) struct Series {
    pub current: Bar,
    /// Newest first.
    pub closed: VecDeque<Bar>,
    pub dirty: bool,
    /// A closed one whose end was not told yet.
    pub late: Option<Bar>,
    length: i64,
}

impl Series {
    fn roll(&mut self, now: Ts) {
        while now.as_ms() >= self.current.start_ms + self.length {
            if self.dirty {
                self.late = Some(self.current);
            }
            self.closed.push_front(self.current);
            self.closed.truncate(CLOSED_MAX);
            let [.., close] = self.current.ohlc;
            let newest = now.as_ms().div_euclid(self.length) * self.length;
            let next = self.current.start_ms + self.length;
            self.current = open(close, next.max(newest - CLOSED_MAX as i64 * self.length), self.length);
            self.dirty = true;
        }
    }

    fn add(&mut self, print: &Print) {
        self.roll(print.ts);
        let first = self.current.base == 0;
        let [open, high, low, close] = &mut self.current.ohlc;
        if first {
            (*open, *high, *low) = (print.px, print.px, print.px);
        }
        (*high, *low, *close) = ((*high).max(print.px), (*low).min(print.px), print.px);
        self.current.base += print.base;
        self.current.cost += print.cost;
        self.dirty = true;
    }
}

/// All bars that somebody asked for: by instrument and the venue's name of the interval.
#[derive(Default, Debug)]
pub(super) struct Bars {
    pub all: BTreeMap<(usize, String), Series>,
}

fn open(px: Px, ms: i64, length: i64) -> Bar {
    Bar { start_ms: ms.div_euclid(length) * length, ohlc: [px; 4], base: 0, cost: 0 }
}

impl Bars {
    /// Begins to make bars of this interval, from the trades that are kept (newest first).
    pub fn want(&mut self, at: usize, word: &str, last: Px, prints: &VecDeque<Print>, now: Ts) {
        let Some(length) = length_ms(word) else { return };
        self.all.entry((at, word.to_owned())).or_insert_with(|| {
            let (px, begin) = prints.back().map_or((last, now), |print| (print.px, print.ts));
            let current = open(px, begin.as_ms(), length);
            let mut series = Series { current, closed: VecDeque::new(), dirty: true, late: None, length };
            prints.iter().rev().for_each(|print| series.add(print));
            series.roll(now);
            series.late = None;
            series
        });
    }

    /// A trade happened.
    pub fn on(&mut self, at: usize, print: &Print) {
        for ((instrument, _), series) in &mut self.all {
            if *instrument == at {
                series.add(print);
            }
        }
    }

    /// Ends bars whose time is over.
    pub fn roll(&mut self, now: Ts) {
        self.all.values_mut().for_each(|series| series.roll(now));
    }
}

/// How long bars of a resolution are, in ms.
pub(super) fn length_ms(resolution: &str) -> Option<i64> {
    let row = INTERVALS.iter().find(|row| row.1 == resolution);
    row.and_then(|row| i64::try_from(row.2).ok())
}

impl Bar {
    /// Open, high, low, close, volume and cost.
    pub fn numbers(&self, instrument: &Instrument) -> [String; 6] {
        let [open, high, low, close] = self.ohlc.map(|px| float(i128::from(px.0), instrument.px_scale));
        [open, high, low, close, float(self.base, BASE_SCALE), float(self.cost, COST_SCALE)]
    }
}

/// `{"tick":1759999980000,"open":64000.0,"high":64012.0,"low":63999.0,"close":64010.5,"volume":1.25,"cost":80000.0}`
pub(super) fn row(instrument: &Instrument, bar: &Bar) -> String {
    let [open, high, low, close, volume, cost] = bar.numbers(instrument);
    let start = bar.start_ms;
    format!(
        r#"{{"volume":{volume},"tick":{start},"open":{open},"low":{low},"high":{high},"cost":{cost},"close":{close}}}"#
    )
}
