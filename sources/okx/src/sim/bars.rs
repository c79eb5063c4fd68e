//! Bars that the simulated venue makes from its trades.

use super::encode;
use super::world::Print;
pub(super) use crate::rows::length_ms;
use model::{Decimal, Instrument, InstrumentKind, Px, Qty, Ts};
use std::collections::{BTreeMap, VecDeque};

/// How many closed bars are kept.
const CLOSED_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub start_ms: i64,
    ohlc: [Px; 4],
    volume: i128,
    turnover: i128,
}

/// Bars of one instrument at one interval.
#[derive(Debug)]
pub(super) struct Series {
    pub current: Bar,
    /// Newest first.
    pub closed: VecDeque<Bar>,
    pub dirty: bool,
    /// How many of the closed ones were not told yet.
    fresh: usize,
    length: i64,
}

impl Series {
    fn roll(&mut self, now: Ts) {
        while now.as_ms() >= self.current.start_ms + self.length {
            self.closed.push_front(self.current);
            self.closed.truncate(CLOSED_MAX);
            self.fresh = (self.fresh + 1).min(CLOSED_MAX);
            let [.., close] = self.current.ohlc;
            let newest = now.as_ms().div_euclid(self.length) * self.length;
            let next = self.current.start_ms + self.length;
            self.current = open(close, next.max(newest - CLOSED_MAX as i64 * self.length), self.length);
            self.dirty = true;
        }
    }

    fn add(&mut self, print: &Print) {
        self.roll(print.ts);
        let first = self.current.volume == 0;
        let [open, high, low, close] = &mut self.current.ohlc;
        if first {
            (*open, *high, *low) = (print.px, print.px, print.px);
        }
        (*high, *low, *close) = ((*high).max(print.px), (*low).min(print.px), print.px);
        let Qty(qty) = print.qty;
        self.current.volume += i128::from(qty);
        self.current.turnover += i128::from(qty) * i128::from(print.px.0);
        self.dirty = true;
    }
}

/// All bars that somebody asked for: by instrument and the venue's name of the interval.
#[derive(Default, Debug)]
pub(super) struct Bars {
    pub all: BTreeMap<(usize, String), Series>,
}

fn open(px: Px, ms: i64, length: i64) -> Bar {
    Bar { start_ms: ms.div_euclid(length) * length, ohlc: [px; 4], volume: 0, turnover: 0 }
}

impl Bars {
    /// Begins to make bars of this interval, from the trades that are kept (newest first).
    pub fn want(&mut self, at: usize, word: &str, last: Px, prints: &VecDeque<Print>, now: Ts) {
        let Some(length) = length_ms(word) else { return };
        self.all.entry((at, word.to_owned())).or_insert_with(|| {
            let (px, begin) = prints.back().map_or((last, now), |print| (print.px, print.ts));
            let current = open(px, begin.as_ms(), length);
            let mut series = Series { current, closed: VecDeque::new(), dirty: true, fresh: 0, length };
            prints.iter().rev().for_each(|print| series.add(print));
            series.roll(now);
            series.fresh = 0;
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

    /// Ends bars whose time is over. Calls `over` with each that was not told yet.
    pub fn roll(&mut self, now: Ts, mut over: impl FnMut(usize, &str, &Bar)) {
        for ((at, word), series) in &mut self.all {
            series.roll(now);
            let fresh = std::mem::take(&mut series.fresh);
            for bar in series.closed.iter().take(fresh).rev() {
                over(*at, word, bar);
            }
        }
    }
}

/// `["1759999980000","64000","64020","63990","64010.1","12.5","800100.5","800100.5","0"]`
pub(super) fn row(instrument: &Instrument, bar: &Bar, closed: bool) -> String {
    let [open, high, low, close] = bar.ohlc.map(|px| encode::px(px, instrument));
    let volume = Decimal::new(bar.volume, instrument.qty_scale);
    let turnover = Decimal::new(bar.turnover, instrument.px_scale + instrument.qty_scale);
    let ccy = if instrument.kind == InstrumentKind::Spot { turnover } else { volume };
    let (start, closed) = (bar.start_ms, i32::from(closed));
    format!(r#"["{start}","{open}","{high}","{low}","{close}","{volume}","{ccy}","{turnover}","{closed}"]"#)
}
