//! Bars that the simulated venue makes from its trades.

use super::world::{Print, State};
use crate::rows::INTERVALS;
use model::{Decimal, Instrument, Px, Ts, write_mantissa};
use source::market::Listed;

/// The trades of one interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    start_ms: i64,
    ohlc: [Px; 4],
    volume: i128,
    turnover: i128,
}

/// The length of an interval by the venue's name in channels, or in REST of spot.
pub(super) fn length_ms(word: &str) -> Option<i64> {
    let row = INTERVALS.iter().find(|row| row.1 == word || row.2 == word)?;
    i64::try_from(row.3).ok()
}

/// The start of the interval that a time is in. Names without `utc` from six hours on start at UTC+8.
pub(super) fn start_ms(word: &str, length: i64, now: Ts) -> i64 {
    let shift = if length >= 6 * 3_600_000 && !word.ends_with("utc") { 8 * 3_600_000 } else { 0 };
    (now.as_ms() + shift).div_euclid(length) * length - shift
}

/// Bars that begin in `from..to`, oldest first, none before the first trade.
pub(super) fn bars(one: &Listed, state: &State, word: &str, from: Ts, to: Ts, max: usize) -> Vec<Bar> {
    let Some(length) = length_ms(word) else { return Vec::new() };
    let first = state.prints.back().map_or(to, |print| print.ts);
    let mut at = start_ms(word, length, from.max(first));
    if Ts::from_ms(at) < from {
        at += length;
    }
    let last = start_ms(word, length, Ts(to.0.saturating_sub(1)));
    // The newest are given where there are more.
    let most = i64::try_from(max).unwrap_or(i64::MAX).saturating_sub(1);
    at = at.max(last.saturating_sub(most.saturating_mul(length)));
    let mut bars = Vec::new();
    while at <= last {
        bars.push(bar(one, state, at, length));
        at += length;
    }
    bars
}

fn bar(one: &Listed, state: &State, start_ms: i64, length: i64) -> Bar {
    let (start, end) = (Ts::from_ms(start_ms), Ts::from_ms(start_ms + length));
    let older: Option<&Print> = {
        let at = state.prints.partition_point(|print| print.ts >= start);
        state.prints.get(at)
    };
    let begin = older.map_or(one.range.0, |print| print.px);
    let mut bar = Bar { start_ms, ohlc: [begin; 4], volume: 0, turnover: 0 };
    let newest = state.prints.partition_point(|print| print.ts >= end);
    let oldest = state.prints.partition_point(|print| print.ts >= start);
    for print in state.prints.range(newest..oldest).rev() {
        let [open, high, low, close] = &mut bar.ohlc;
        if bar.volume == 0 {
            (*open, *high, *low) = (print.px, print.px, print.px);
        }
        (*high, *low, *close) = ((*high).max(print.px), (*low).min(print.px), print.px);
        bar.volume += i128::from(print.qty.0);
        bar.turnover += i128::from(print.qty.0) * i128::from(print.px.0);
    }
    bar
}

/// Rows of a bar channel.
pub(super) fn rows(third: bool, instrument: &Instrument, bars: &[Bar]) -> String {
    let rows = bars.iter().map(|bar| if third { row_third(instrument, bar) } else { row(instrument, bar) });
    rows.collect::<Vec<_>>().join(",")
}

/// `{"start":"1759999980000","open":"64000","close":"64010.1","high":"64012","low":"63999","volume":"12.5","turnover":"800100.5"}`
fn row_third(instrument: &Instrument, bar: &Bar) -> String {
    let [open, high, low, close] = bar.ohlc.map(|px| text(px, instrument));
    let volume = Decimal::new(bar.volume, instrument.qty_scale);
    let turnover = Decimal::new(bar.turnover, instrument.px_scale + instrument.qty_scale);
    let start = bar.start_ms;
    format!(
        r#"{{"start":"{start}","open":"{open}","close":"{close}","high":"{high}","low":"{low}","volume":"{volume}","turnover":"{turnover}"}}"#
    )
}

fn text(px: Px, instrument: &Instrument) -> String {
    let mut out = Vec::new();
    write_mantissa(px.0, instrument.px_scale, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `["1759999980000","64000","64012","63999","64010.1","12.5","800100.5","800100.5"]`
pub(super) fn row(instrument: &Instrument, bar: &Bar) -> String {
    let [open, high, low, close] = bar.ohlc.map(|px| text(px, instrument));
    let volume = Decimal::new(bar.volume, instrument.qty_scale);
    let turnover = Decimal::new(bar.turnover, instrument.px_scale + instrument.qty_scale);
    let start = bar.start_ms;
    format!(r#"["{start}","{open}","{high}","{low}","{close}","{volume}","{turnover}","{turnover}"]"#)
}
