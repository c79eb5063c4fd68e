//! Order books and quotes.

use crate::http::{Fail, Params, pair};
use crate::names;
use crate::site::Site;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use bus::{BookState, BookView};
use lane::LaneReport;
use model::{Body, Channel, Flags, Instrument, Level, Scale, Stamp, Ts, write_mantissa};
use serde::Serialize;
use std::sync::Arc;

const DEPTH_DEFAULT: usize = 20;
const DEPTH_MAX: usize = 5_000;

#[derive(Serialize)]
pub(crate) struct OrderBook {
    symbol: Box<str>,
    exchange: Box<str>,
    instrument: Box<str>,
    source: &'static str,
    channel: &'static str,
    state: &'static str,
    lane_state: Option<&'static str>,
    words: Option<String>,
    epoch: u32,
    seq: Option<u64>,
    bus_epoch: u64,
    number: u64,
    ts_event: Option<i64>,
    ts_recv: i64,
    age_ms: i64,
    timestamp: i64,
    bids: Vec<[String; 2]>,
    asks: Vec<[String; 2]>,
    best_bid: Option<String>,
    best_ask: Option<String>,
    spread: Option<String>,
    sequence_id: Option<u64>,
}

pub(crate) async fn orderbook(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<OrderBook>, Fail> {
    let (exchange, symbol) = pair(path)?;
    let params = Params::of(&uri, &["depth", "source"])?;
    let depth = params.number("depth", DEPTH_DEFAULT, DEPTH_MAX)?;
    let instrument = names::at(&site.bus, &exchange, &symbol)?;
    let (channel, view) = view(&site, &instrument, params.text("source"), depth)
        .ok_or_else(|| no_lane(&site, &instrument, "order book"))?;
    let report = site.report();
    let is_ours =
        |l: &&LaneReport| (l.instrument.id, l.channel, l.source) == (instrument.id, channel, view.source);
    Ok(Json(OrderBook::new(&view, channel, report.lanes.iter().find(is_ours), site.now())))
}

/// The book of an instrument: the full one, or else the best few levels. Of several sources the one that is named, or
/// the one that is served.
fn view(
    site: &Site,
    instrument: &Instrument,
    source: Option<&str>,
    depth: usize,
) -> Option<(Channel, BookView)> {
    let served = || Some(site.one.lock().quote(instrument.id, None, site.now())?.levels?.0);
    let book = |channel, source| Some((channel, site.bus.book_by(source, instrument.id, channel, depth)?));
    book(Channel::Book, source).or_else(|| book(Channel::BookTop, source.or_else(served)))
}

/// The instrument is known, but nobody collects that of it.
pub(crate) fn no_lane(site: &Site, instrument: &Instrument, what: &str) -> Fail {
    let report = site.report();
    let lanes = report.lanes.iter().filter(|l| l.instrument.id == instrument.id);
    let channels: Vec<String> = lanes.map(|l| l.channel.name().to_owned()).collect();
    let message = if channels.is_empty() {
        format!("{} is known, but no data of it are collected", instrument.name)
    } else {
        format!("no {what} of {} is collected; collected are: {}", instrument.name, channels.join(", "))
    };
    Fail::new(StatusCode::NOT_FOUND, "not_collected", message).suggesting(channels)
}

impl OrderBook {
    fn new(view: &BookView, channel: Channel, lane: Option<&LaneReport>, now: Ts) -> Self {
        let Stamp { ts_event, ts_recv } = view.stamp;
        let instrument = &view.instrument;
        let rows = |levels: &[Level]| levels.iter().map(|l| row(instrument, l)).collect();
        let (bid, ask) = (view.levels.bids().first(), view.levels.asks().first());
        let px = |level: &Level| number(level.px.0, instrument.px_scale);
        let spread = ask.zip(bid).and_then(|(a, b)| a.px.0.checked_sub(b.px.0));
        Self {
            symbol: instrument.symbol.clone(),
            exchange: instrument.venue.clone(),
            instrument: instrument.name.clone(),
            source: view.source,
            channel: channel.name(),
            state: view.state.name(),
            lane_state: lane.map(|l| l.state.name()),
            words: lane.map(|l| l.words.clone()),
            epoch: view.epoch,
            seq: view.seq,
            bus_epoch: view.cursor.epoch,
            number: view.cursor.number,
            ts_event: ts_event.map(|ts| ts.0),
            ts_recv: ts_recv.0,
            age_ms: now.ms_since(ts_recv).max(0),
            timestamp: ts_event.unwrap_or(ts_recv).as_ms(),
            bids: rows(view.levels.bids()),
            asks: rows(view.levels.asks()),
            best_bid: bid.map(px),
            best_ask: ask.map(px),
            spread: spread.map(|s| number(s, instrument.px_scale)),
            sequence_id: view.seq,
        }
    }
}

fn number(mantissa: i64, scale: Scale) -> String {
    let mut out = Vec::with_capacity(24);
    write_mantissa(mantissa, scale, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn row(instrument: &Instrument, level: &Level) -> [String; 2] {
    [number(level.px.0, instrument.px_scale), number(level.qty.0, instrument.qty_scale)]
}

#[derive(Serialize)]
pub(crate) struct QuoteAnswer {
    symbol: Box<str>,
    exchange: Box<str>,
    instrument: Box<str>,
    source: &'static str,
    derived: bool,
    bid: Option<[String; 2]>,
    ask: Option<[String; 2]>,
    seq: Option<u64>,
    ts_event: Option<i64>,
    ts_recv: i64,
    age_ms: i64,
    timestamp: i64,
}

/// The venue's own quote; where it gives none, the best levels of a live book, flagged as derived.
pub(crate) async fn quote(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<QuoteAnswer>, Fail> {
    let (exchange, symbol) = pair(path)?;
    Params::of(&uri, &[])?;
    let instrument = names::at(&site.bus, &exchange, &symbol)?;
    venue_quote(&site, &instrument)
        .or_else(|| book_quote(&site, &instrument))
        .map(Json)
        .ok_or_else(|| no_lane(&site, &instrument, "quote or live book"))
}

fn venue_quote(site: &Site, instrument: &Instrument) -> Option<QuoteAnswer> {
    let newest = site.bus.last(instrument.id, Channel::Quote);
    let published = newest.into_iter().max_by_key(|p| p.event.stamp.ts_recv)?;
    let event = &published.event;
    let Body::Quote(quote) = &event.body else { return None };
    let derived = event.flags.has(Flags::DERIVED);
    let sides = [quote.bid, quote.ask];
    Some(QuoteAnswer::new(
        &event.instrument,
        event.source,
        derived,
        sides,
        quote.seq,
        event.stamp,
        site.now(),
    ))
}

fn book_quote(site: &Site, instrument: &Instrument) -> Option<QuoteAnswer> {
    let (_, view) = view(site, instrument, None, 1)?;
    if view.state != BookState::Live {
        return None;
    }
    let sides = [view.levels.bids().first().copied(), view.levels.asks().first().copied()];
    Some(QuoteAnswer::new(&view.instrument, view.source, true, sides, view.seq, view.stamp, site.now()))
}

impl QuoteAnswer {
    fn new(
        instrument: &Instrument,
        source: &'static str,
        derived: bool,
        [bid, ask]: [Option<Level>; 2],
        seq: Option<u64>,
        stamp: Stamp,
        now: Ts,
    ) -> Self {
        Self {
            symbol: instrument.symbol.clone(),
            exchange: instrument.venue.clone(),
            instrument: instrument.name.clone(),
            source,
            derived,
            bid: bid.map(|level| row(instrument, &level)),
            ask: ask.map(|level| row(instrument, &level)),
            seq,
            ts_event: stamp.ts_event.map(|ts| ts.0),
            ts_recv: stamp.ts_recv.0,
            age_ms: now.ms_since(stamp.ts_recv).max(0),
            timestamp: stamp.ts_event.unwrap_or(stamp.ts_recv).as_ms(),
        }
    }
}
