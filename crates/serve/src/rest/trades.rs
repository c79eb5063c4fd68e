//! The newest trades.

use crate::http::{Fail, Params, pair};
use crate::names;
use crate::rest::books::no_lane;
use crate::site::Site;
use crate::stream;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use model::Channel;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

#[derive(Serialize)]
pub(crate) struct Trades {
    symbol: Box<str>,
    exchange: Box<str>,
    instrument: Box<str>,
    channel: &'static str,
    count: usize,
    trades: Vec<Box<RawValue>>,
    timestamp: i64,
}

pub(crate) async fn trades(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Trades>, Fail> {
    let (exchange, symbol) = pair(path)?;
    let params = Params::of(&uri, &["limit", "source"])?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let source = params.text("source");
    let instrument = names::at(&site.bus, &exchange, &symbol)?;
    let report = site.report();
    let collected = |channel: &Channel| {
        let told = report.lanes.iter().filter(|l| source.is_none_or(|s| s == l.source));
        told.into_iter().any(|l| l.instrument.id == instrument.id && l.channel == *channel)
    };
    let newest = |channel: Channel, limit| site.bus.trades(source, instrument.id, channel, limit);
    let with_trades = |channel: &Channel| !newest(*channel, 1).is_empty();
    let channels = [Channel::Trades, Channel::AggTrades];
    let channel = channels
        .into_iter()
        .find(with_trades)
        .or_else(|| channels.into_iter().find(collected))
        .ok_or_else(|| no_lane(&site, &instrument, "trades"))?;
    let trades: Vec<Box<RawValue>> = newest(channel, limit).iter().filter_map(|p| stream::event(p)).collect();
    Ok(Json(Trades {
        symbol: instrument.symbol.clone(),
        exchange: instrument.venue.clone(),
        instrument: instrument.name.clone(),
        channel: channel.name(),
        count: trades.len(),
        trades,
        timestamp: site.now().as_ms(),
    }))
}
