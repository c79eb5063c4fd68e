//! Bars that the simulated venue makes from its trades.

use super::encode;
use super::world::Print;
use crate::rows::INTERVALS;
use model::{Decimal, Instrument, InstrumentKind, Px, Qty, Ts};
use std::collections::{BTreeMap, VecDeque};

/// How many closed bars are kept.
const CLOSED_MAX: usize = 300;

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
    pub closed: VecDeque<Bar>,
    pub dirty: bool,
}

/// All bars that somebody asked for: by instrument and the venue's name of the interval.
#[derive(Default, Debug)]
pub(super) struct Bars {
    pub all: BTreeMap<(usize, String), Series>,
}

/// The length of an interval by the venue's name, where it has one.
pub(super) fn length_ms(word: &str) -> Option<i64> {
    let (ours, _) = INTERVALS.iter().find(|(_, theirs)| *theirs == word)?;
    let ours = ours.trim_end_matches("+8");
    let unit = match ours.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        _ => 30 * 86_400_000,
    };
    ours.get(..ours.len() - 1)?.parse::<i64>().ok().map(|n| n * unit)
}

fn open(px: Px, ms: i64, length: i64) -> Bar {
    Bar { start_ms: ms.div_euclid(length) * length, ohlc: [px; 4], volume: 0, turnover: 0 }
}

impl Bars {
    /// Begins to make bars of this interval.
    pub fn want(&mut self, at: usize, word: &str, last: Px, now: Ts) {
        let Some(length) = length_ms(word) else { return };
        self.all.entry((at, word.to_owned())).or_insert_with(|| Series {
            current: open(last, now.as_ms(), length),
            closed: VecDeque::new(),
            dirty: true,
        });
    }

    /// A trade happened.
    pub fn on(&mut self, at: usize, print: &Print) {
        for ((instrument, _), series) in &mut self.all {
            if *instrument == at {
                let [_, high, low, close] = &mut series.current.ohlc;
                (*high, *low, *close) = ((*high).max(print.px), (*low).min(print.px), print.px);
                let Qty(qty) = print.qty;
                series.current.volume += i128::from(qty);
                series.current.turnover += i128::from(qty) * i128::from(print.px.0);
                series.dirty = true;
            }
        }
    }

    /// Ends bars whose time is over. Calls `over` with each.
    pub fn roll(&mut self, now: Ts, mut over: impl FnMut(usize, &str, &Bar)) {
        for ((at, word), series) in &mut self.all {
            let Some(length) = length_ms(word) else { continue };
            if now.as_ms() >= series.current.start_ms + length {
                over(*at, word, &series.current);
                series.closed.push_front(series.current);
                series.closed.truncate(CLOSED_MAX);
                let [.., close] = series.current.ohlc;
                series.current = open(close, now.as_ms(), length);
                series.dirty = true;
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
