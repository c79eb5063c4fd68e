//! Whether the Chinese stock market is open, and what happens when.

use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::ashare::{Board, Market, Phase, Section, local};
use model::{Date, Ts};
use serde::Serialize;
use std::sync::Arc;

/// The boards whose hours differ, each with its name.
const BOARDS: [(Market, Board, &str); 5] = [
    (Market::Sh, Board::Main, "main"),
    (Market::Sh, Board::Star, "star"),
    (Market::Sz, Board::Main, "main"),
    (Market::Sz, Board::ChiNext, "chinext"),
    (Market::Bj, Board::Beijing, "beijing"),
];

#[derive(Serialize)]
pub(crate) struct MarketStatus {
    success: bool,
    data: Status,
    timestamp: i64,
}

#[derive(Serialize)]
struct Status {
    /// In a call auction or in continuous trading.
    is_open: bool,
    /// Of the main board of Shanghai; `null` in a year whose closures are not known.
    phase: Option<&'static str>,
    is_trading_day: Option<bool>,
    /// The day that data of now speak of, `20261120`.
    trading_date: Option<u32>,
    /// Beijing time, `2026-11-20 10:15:00`.
    local_time: String,
    /// When the next opening call auction begins, in ms.
    next_open: Option<i64>,
    markets: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    market: &'static str,
    exchange: &'static str,
    board: &'static str,
    phase: Option<&'static str>,
}

pub(crate) async fn market_status(
    State(site): State<Arc<Site>>,
    uri: Uri,
) -> Result<Json<MarketStatus>, Fail> {
    Params::of(&uri, &[])?;
    let now = site.now();
    let one = site.one.lock();
    let calendar = one.calendar();
    let phase = |market, board| calendar.phase_at(Section { market, board }, now);
    let row = |(market, board, name): (Market, Board, &'static str)| Row {
        market: market.letters(),
        exchange: market.venue(),
        board: name,
        phase: phase(market, board).map(Phase::name),
    };
    let main = phase(Market::Sh, Board::Main);
    let data = Status {
        is_open: main.is_some_and(|phase| phase.is_call() || phase == Phase::Continuous),
        phase: main.map(Phase::name),
        is_trading_day: calendar.is_trading_day(local(now).0),
        trading_date: calendar.trading_date(now).map(Date::number),
        local_time: local_time(now),
        next_open: calendar.next_open(now).map(Ts::as_ms),
        markets: BOARDS.into_iter().map(row).collect(),
    };
    Ok(Json(MarketStatus { success: true, data, timestamp: now.as_ms() }))
}

fn local_time(now: Ts) -> String {
    let (date, ms) = local(now);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{:04}-{:02}-{:02} {hours:02}:{minutes:02}:{seconds:02}", date.year(), date.month(), date.day())
}
