//! What there is: exchanges, symbols, definitions.

use crate::health::{self, Overall};
use crate::http::{Fail, Params};
use crate::names;
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use hashbrown::HashMap;
use model::{Instrument, Ts};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// How many names or definitions one answer holds unless asked for more.
const LIMIT_DEFAULT: usize = 100;
/// How many it may hold.
const LIMIT_MAX: usize = 5_000;

#[derive(Serialize)]
pub(crate) struct Exchanges {
    exchanges: Vec<String>,
    status: &'static str,
    total_active: usize,
    details: Vec<Exchange>,
    timestamp: i64,
}

#[derive(Serialize)]
struct Exchange {
    exchange: String,
    active: bool,
    sources: Vec<&'static str>,
    instruments: usize,
    lanes: usize,
    age_ms: Option<i64>,
}

pub(crate) async fn exchanges(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Exchanges>, Fail> {
    Params::of(&uri, &[])?;
    let report = site.report();
    let overall = Overall::of(&health::sources(&site, &report), health::store(&site).as_ref());
    let mut counts: HashMap<Box<str>, usize> = HashMap::new();
    for instrument in names::instruments(&site.bus, None, None) {
        *counts.entry(instrument.venue.clone()).or_insert(0) += 1;
    }
    let mut details: Vec<Exchange> = counts
        .into_iter()
        .map(|(venue, instruments)| {
            let lanes = || report.lanes.iter().filter(|l| l.instrument.venue == venue);
            let mut sources: Vec<&'static str> = lanes().map(|l| l.source).collect();
            sources.sort_unstable();
            sources.dedup();
            let newest: Option<Ts> = lanes().filter_map(|l| l.last_event).max();
            let age_ms = newest.map(|at| report.now.ms_since(at).max(0));
            let active = age_ms.is_some_and(|age| age <= site.config.stale_after_ms.cast_signed());
            let lanes = lanes().count();
            Exchange { exchange: venue.into(), active, sources, instruments, lanes, age_ms }
        })
        .collect();
    details.sort_unstable_by(|a, b| a.exchange.cmp(&b.exchange));
    Ok(Json(Exchanges {
        exchanges: details.iter().map(|e| e.exchange.clone()).collect(),
        status: overall.name(),
        total_active: details.iter().filter(|e| e.active).count(),
        details,
        timestamp: report.now.as_ms(),
    }))
}

#[derive(Serialize)]
pub(crate) struct Symbols {
    symbols: Vec<Box<str>>,
    count: usize,
    total_available: usize,
    timestamp: i64,
}

pub(crate) async fn symbols(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Symbols>, Fail> {
    let (found, total_available) = listed(&site, &uri)?;
    let symbols: Vec<Box<str>> = found.iter().map(|i| i.name.clone()).collect();
    let count = symbols.len();
    Ok(Json(Symbols { symbols, count, total_available, timestamp: site.now().as_ms() }))
}

#[derive(Serialize)]
pub(crate) struct Instruments {
    instruments: Vec<Box<RawValue>>,
    count: usize,
    total_available: usize,
    timestamp: i64,
}

pub(crate) async fn instruments(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Instruments>, Fail> {
    let (found, total_available) = listed(&site, &uri)?;
    let instruments: Vec<Box<RawValue>> = found.iter().filter_map(|i| crate::stream::instrument(i)).collect();
    let count = instruments.len();
    Ok(Json(Instruments { instruments, count, total_available, timestamp: site.now().as_ms() }))
}

/// The instruments that the parameters ask for, and how many there would be without a limit.
fn listed(site: &Site, uri: &Uri) -> Result<(Vec<Arc<Instrument>>, usize), Fail> {
    let params = Params::of(uri, &["exchange", "search", "limit"])?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let exchange = params.text("exchange");
    let mut found = names::instruments(&site.bus, exchange, params.text("search"));
    if let (Some(exchange), true) = (exchange, found.is_empty()) {
        let known = names::exchanges(&site.bus);
        if !known.iter().any(|e| e.eq_ignore_ascii_case(exchange)) {
            return Err(names::NoInstrument::Exchange { exchange: exchange.to_owned(), near: known }.into());
        }
    }
    let total = found.len();
    found.truncate(limit);
    Ok((found, total))
}
