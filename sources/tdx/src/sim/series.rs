//! What the market says of times past: bars, minutes, trades, auctions.

use super::answers::{f32_of, page, place, scale};
use crate::codec::bars::{Bar, interval};
use crate::codec::minutes::Minute;
use crate::codec::query::Page;
use crate::codec::trades::{Auction, Trade, side};
use crate::codec::{Answer, BarsQuery, Code, Query, is_index};
use crate::time::{day_bar, minutes_of, pack_day};
use model::ashare::local;
use model::{Date, Px, Side, Ts};
use source::ashare::{Bar as Made, HISTORY_DAYS, Kind, Market, Print};

/// The most bars and rows of an answer.
const BARS: usize = 800;
const TRADES: usize = 1_800;
const AUCTIONS: usize = 500;
/// How many days of minute bars a server keeps.
const MINUTE_DAYS: usize = 20;

/// The answer to a query; `None` where a server says nothing, or the query is none of these.
pub(super) fn answer(market: &Market, asked: &Query) -> Option<Answer> {
    Some(match asked {
        Query::Bars(of) | Query::BarsPlain(of) => Answer::Bars(bars(market, of)?),
        Query::Minutes(code) => Answer::Minutes(line(market, *code, market.date())),
        Query::MinutesOf(date, code) => {
            let (date, before) = (Date::from_number(*date)?, close_before(market, *code, *date)?);
            Answer::MinutesOf(before, line(market, *code, date))
        }
        Query::MinutesRecent(date, code) => {
            let (date, before) = (Date::from_number(*date)?, close_before(market, *code, *date)?);
            Answer::MinutesRecent([before; 2], line(market, *code, date))
        }
        Query::Trades(code, page) => Answer::Trades(0.0, trades(market, *code, market.date(), *page, true)),
        Query::TradesOf(date, code, page) | Query::TradesCounted(date, code, page) => {
            let mut rows = trades(market, *code, Date::from_number(*date)?, *page, false);
            if !matches!(asked, Query::TradesCounted(..)) {
                for row in &mut rows {
                    row.trades = 0;
                }
            }
            Answer::Trades(close_before(market, *code, *date).unwrap_or_default(), rows)
        }
        Query::Auction(code, start, count) => {
            let (start, count) = (usize::try_from(*start).ok()?, usize::try_from(*count).ok()?);
            Answer::Auction(page(auctions(market, *code), start, count.min(AUCTIONS)))
        }
        _ => return None,
    })
}

/// A page that is counted from the newest, oldest first.
fn newest<T>(mut all: Vec<T>, start: usize, count: usize) -> Vec<T> {
    all.truncate(all.len().saturating_sub(start));
    let from = all.len().saturating_sub(count);
    all.split_off(from)
}

/// Bars of a category; `None` of one that is not offered.
fn bars(market: &Market, of: &BarsQuery) -> Option<Vec<Bar>> {
    let name = interval(of.category)?;
    let Some(at) = place(market, of.code) else { return Some(Vec::new()) };
    let wanted = usize::from(of.start) + usize::from(of.count).min(BARS);
    let (lot, digits) = scale(market, at);
    let made = match minutes_of(name) {
        Some(long) => minute_bars(market, at, wanted, usize::from(long)),
        None => long_bars(market, at, name, wanted),
    };
    let index = is_index(of.code);
    let in_lots = of.category >= 9 || index || lot != 100;
    let unit = if in_lots { lot } else { 1 };
    let price = |px: Px| {
        px.0 * 10_i64.pow(3_u32.saturating_sub(u32::from(digits)))
            / 10_i64.pow(u32::from(digits).saturating_sub(3))
    };
    let bar = |(stamp, bar): &(u32, Made)| Bar {
        stamp: *stamp,
        open: price(bar.open),
        close: price(bar.close),
        high: price(bar.high),
        low: price(bar.low),
        volume: f32_of(bar.volume / unit, 0),
        amount: f32_of(bar.amount, digits),
        counts: index.then_some((0, 0)),
    };
    Some(newest(made.iter().map(bar).collect(), usize::from(of.start), usize::from(of.count).min(BARS)))
}

/// Several bars as one.
fn joined(bars: &[Made]) -> Option<Made> {
    let (first, last) = (bars.first()?, bars.last()?);
    let traded = || bars.iter().filter(|bar| bar.volume > 0);
    let open = traded().next().unwrap_or(first).open;
    Some(Made {
        start: first.start,
        open,
        high: traded().map(|bar| bar.high).max().unwrap_or(first.high),
        low: traded().map(|bar| bar.low).min().unwrap_or(first.low),
        close: last.close,
        volume: bars.iter().map(|bar| bar.volume).sum(),
        amount: bars.iter().map(|bar| bar.amount).sum(),
        trades: bars.iter().map(|bar| bar.trades).sum(),
    })
}

/// Bars of minutes, labelled by their ends. While the afternoon goes on, the one that ended at 11:30 is labelled 13:00.
fn minute_bars(market: &Market, at: usize, wanted: usize, long: usize) -> Vec<(u32, Made)> {
    let days = (wanted * long).div_ceil(240) + 1;
    let afternoon = (13 * 60..15 * 60).contains(&(local(market.now()).1 / 60_000));
    let mut all = Vec::new();
    for date in market.trading_days(days.min(MINUTE_DAYS)) {
        let quirk = afternoon && date == market.date();
        for (n, part) in market.minutes(at, date).chunks(long).enumerate() {
            let end = (n + 1) * long;
            let label = if end <= 120 { 570 + end } else { 780 + end - 120 };
            let label = if quirk && label == 690 { 780 } else { label };
            let stamp = pack_day(date).zip(u16::try_from(label).ok());
            let stamp = stamp.map(|(day, label)| u32::from(day) | u32::from(label) << 16);
            all.extend(stamp.zip(joined(part)));
        }
    }
    all
}

/// Bars of days and longer, labelled by their last trading day.
fn long_bars(market: &Market, at: usize, name: &str, wanted: usize) -> Vec<(u32, Made)> {
    let days = if name == "1d" { wanted } else { HISTORY_DAYS };
    let days = market.day_bars(at, days);
    let group = |bar: &Made| day_bar(local(bar.start).0, name).0;
    days.chunk_by(|a, b| group(a) == group(b))
        .filter_map(|part| Some((local(part.last()?.start).0.number(), joined(part)?)))
        .collect()
}

/// The minutes of a day, with the mean price so far.
pub(super) fn line(market: &Market, code: Code, date: Date) -> Vec<Minute> {
    let Some(at) = place(market, code) else { return Vec::new() };
    let (lot, _) = scale(market, at);
    let (mut volume, mut amount) = (0_i128, 0_i128);
    let minute = |bar: &Made| {
        volume += i128::from(bar.volume);
        amount += i128::from(bar.amount);
        let mean = (amount * 100).checked_div(volume).unwrap_or(0);
        let mean = if mean == 0 { bar.close.0 * 100 } else { i64::try_from(mean).unwrap_or_default() };
        Minute { price: bar.close.0, mean, volume: bar.volume / lot }
    };
    market.minutes(at, date).iter().map(minute).collect()
}

/// The close before a day, in yuan; `None` where it is not known.
fn close_before(market: &Market, code: Code, date: u32) -> Option<f32> {
    let at = place(market, code)?;
    let (_, digits) = scale(market, at);
    let days = market.day_bars(at, HISTORY_DAYS);
    let before = days.iter().rev().find(|bar| local(bar.start).0.number() < date)?;
    Some(f32_of(before.close.0, digits))
}

/// Trades of a day; of today with what the call auctions showed, as servers tell it.
fn trades(market: &Market, code: Code, date: Date, page: Page, today: bool) -> Vec<Trade> {
    let Some(at) = place(market, code) else { return Vec::new() };
    let (lot, _) = scale(market, at);
    let minute = |ts: Ts| u16::try_from(local(ts).1 / 60_000).unwrap_or_default();
    let print = |print: &Print| {
        let side = match (print.kind, print.aggressor) {
            (Kind::AfterHours, _) => side::AFTER_HOURS,
            (_, Some(Side::Bid)) => side::BUY,
            (_, Some(Side::Ask)) => side::SELL,
            (_, None) => side::NEUTRAL,
        };
        let trades = i64::from(print.trades);
        let row = Trade {
            minute: minute(print.ts),
            price: print.px.0,
            volume: print.qty / lot,
            trades,
            side,
            ..Trade::default()
        };
        (print.ts, row)
    };
    let mut rows: Vec<(Ts, Trade)> = market.prints(at, date).iter().map(print).collect();
    if today {
        let shown = market.auctions(at, date).into_iter().map(|(ts, auction)| {
            (ts, Trade { minute: minute(ts), price: auction.px.0, side: side::AUCTION, ..Trade::default() })
        });
        rows.extend(shown);
        rows.sort_by_key(|(ts, _)| *ts);
    }
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    newest(rows, usize::from(page.start), usize::from(page.count).min(TRADES))
}

fn auctions(market: &Market, code: Code) -> Vec<Auction> {
    let Some(at) = place(market, code) else { return Vec::new() };
    let (lot, digits) = scale(market, at);
    let row = |(ts, auction): (Ts, source::ashare::Auction)| {
        let (_, ms) = local(ts);
        Auction {
            minute: u16::try_from(ms / 60_000).unwrap_or_default(),
            price: f32_of(auction.px.0, digits),
            matched: u32::try_from(auction.matched / lot).unwrap_or_default(),
            unmatched: i32::try_from(auction.unmatched / lot).unwrap_or_default(),
            second: u8::try_from(ms / 1_000 % 60).unwrap_or_default(),
        }
    };
    market.auctions(at, market.date()).into_iter().map(row).collect()
}
