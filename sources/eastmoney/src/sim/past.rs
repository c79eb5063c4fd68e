//! Bars and minutes.

use super::encode::fixed;
use super::{place, section};
use crate::asks::{interval, parameter};
use crate::lines::Interval;
use model::ashare::local;
use model::{Date, Ts};
use source::ashare::{Bar, Market};

/// How many days of minutes the venue keeps.
const MINUTE_DAYS: usize = 5;
/// How many days it keeps at all here.
const DAYS_MAX: usize = 250;

/// `2026-11-20 09:31`.
fn stamp(at: Ts) -> String {
    let (date, ms) = local(at);
    let minute = ms / 60_000;
    format!("{date} {:02}:{:02}", minute / 60, minute % 60)
}

/// The bars between two days, by the interval.
fn bars(market: &Market, at: usize, interval: &Interval, (from, to): (u32, u32)) -> Vec<(String, Bar)> {
    let inside = |date: Date| (from..=to).contains(&date.number());
    let days: Vec<Bar> = market.day_bars(at, DAYS_MAX);
    let date = |bar: &Bar| local(bar.start).0;
    if interval.minutes > 0 {
        let recent = days.iter().rev().take(MINUTE_DAYS).rev().map(date).filter(|date| inside(*date));
        let step = usize::try_from(interval.minutes).unwrap_or(1);
        let of_day = |date: Date| -> Vec<(String, Bar)> {
            let minutes = market.minutes(at, date);
            let end = |bars: &[Bar]| bars.last().map(|last| stamp(last.start.plus_ms(60_000)));
            minutes.chunks(step).filter_map(|part| Some((end(part)?, sum(part)?))).collect()
        };
        return recent.flat_map(of_day).collect();
    }
    let key = |bar: &Bar| match interval.name {
        "1w" => date(bar).plus_days(-i64::from(date(bar).weekday())).number(),
        "1M" => date(bar).number() / 100,
        _ => date(bar).number(),
    };
    let groups = days.chunk_by(|a, b| key(a) == key(b));
    let made = groups.filter_map(|part| Some((date(part.last()?), sum(part)?)));
    made.filter(|(date, _)| inside(*date)).map(|(date, bar)| (date.to_string(), bar)).collect()
}

/// Several bars as one.
fn sum(bars: &[Bar]) -> Option<Bar> {
    let (first, last) = (bars.first()?, bars.last()?);
    Some(Bar {
        open: first.open,
        close: last.close,
        high: bars.iter().map(|bar| bar.high).max()?,
        low: bars.iter().map(|bar| bar.low).min()?,
        volume: bars.iter().map(|bar| bar.volume).sum(),
        amount: bars.iter().map(|bar| bar.amount).sum(),
        ..*first
    })
}

/// `{"code":…,"klines":["date,open,close,high,low,volume,amount",…]}`.
pub fn klines(market: &Market, path: &str) -> String {
    let number = |name: &str| parameter(path, name).parse::<u32>().ok();
    let span = (number("beg").unwrap_or(0), number("end").unwrap_or(u32::MAX));
    let (Some(at), Ok(interval)) = (place(market, parameter(path, "secid")), interval(path)) else {
        return "null".to_owned();
    };
    let all = bars(market, at, interval, span);
    let most = number("lmt").filter(|n| *n > 0).map_or(all.len(), |n| n as usize);
    wrapped(
        market,
        at,
        "klines",
        all.iter().skip(all.len().saturating_sub(most)),
        |(stamp, bar), scale, lot| {
            let px = |px: model::Px| fixed(px.0, scale);
            format!(
                "{stamp},{},{},{},{},{},{}",
                px(bar.open),
                px(bar.close),
                px(bar.high),
                px(bar.low),
                bar.volume / lot,
                fixed(bar.amount, scale)
            )
        },
    )
}

/// `{"code":…,"trends":["time,open,close,high,low,volume,amount,average",…]}` of today.
pub fn trends(market: &Market, path: &str) -> String {
    let Some(at) = place(market, parameter(path, "secid")) else { return "null".to_owned() };
    let minutes = market.minutes(at, market.date());
    let (mut volume, mut amount) = (0, 0);
    let rows: Vec<(Bar, i64)> = minutes
        .into_iter()
        .map(|bar| {
            (volume, amount) = (volume + bar.volume, amount + bar.amount);
            (bar, if volume > 0 { amount / volume } else { bar.close.0 })
        })
        .collect();
    wrapped(market, at, "trends", rows.iter(), |(bar, average), scale, lot| {
        let px = |px: model::Px| fixed(px.0, scale);
        format!(
            "{},{},{},{},{},{},{},{}",
            stamp(bar.start.plus_ms(60_000)),
            px(bar.open),
            px(bar.close),
            px(bar.high),
            px(bar.low),
            bar.volume / lot,
            fixed(bar.amount, scale),
            fixed(*average, scale)
        )
    })
}

fn wrapped<'a, T: 'a>(
    market: &Market,
    at: usize,
    key: &str,
    rows: impl Iterator<Item = &'a T>,
    text: impl Fn(&T, u8, i64) -> String,
) -> String {
    let Some(one) = market.listed().get(at) else { return "null".to_owned() };
    let (scale, lot) = (one.instrument.px_scale, i64::from(one.section.board.lot()));
    let rows: Vec<String> = rows.map(|row| format!("\"{}\"", text(row, scale, lot))).collect();
    let (code, name, section) = (one.code.digits(), &one.instrument.title, section(&one.instrument));
    format!(
        r#"{{"code":"{code}","market":{section},"name":"{name}","decimal":{scale},"{key}":[{}]}}"#,
        rows.join(",")
    )
}
