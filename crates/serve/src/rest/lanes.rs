//! Lanes and connections with their states and evidence.

use crate::http::{Fail, Params};
use crate::names;
use crate::site::{Report, Site};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use lane::{LaneReport, LinkReport};
use model::Ts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    count: usize,
    states: BTreeMap<&'static str, usize>,
    links: Vec<Link>,
    timestamp: i64,
}

/// One lane, also as the stream shows it.
#[derive(Serialize)]
pub(crate) struct Lane {
    source: &'static str,
    instrument: Box<str>,
    exchange: Box<str>,
    symbol: Box<str>,
    channel: &'static str,
    state: &'static str,
    words: String,
    proof: &'static str,
    last_event: Option<i64>,
    age_ms: Option<i64>,
    events: u64,
    gaps: u64,
}

impl Lane {
    pub(crate) fn new(lane: &LaneReport, now: Ts) -> Self {
        Self {
            source: lane.source,
            instrument: lane.instrument.name.clone(),
            exchange: lane.instrument.venue.clone(),
            symbol: lane.instrument.symbol.clone(),
            channel: lane.channel.name(),
            state: lane.state.name(),
            words: lane.words.clone(),
            proof: lane.proof.name(),
            last_event: lane.last_event.map(|at| at.0),
            age_ms: lane.last_event.map(|at| now.ms_since(at).max(0)),
            events: lane.events,
            gaps: lane.gaps,
        }
    }
}

#[derive(Serialize)]
struct Link {
    source: &'static str,
    link: u32,
    url: Box<str>,
    up: bool,
    words: String,
    losses: u64,
    malformed: u64,
    unknown: Vec<Box<str>>,
    /// The venue's time less ours, in ms, where it was asked.
    clock_offset_ms: Option<f64>,
    /// By how much that may be wrong, in ms.
    clock_error_ms: Option<f64>,
}

impl Link {
    fn new(link: &LinkReport) -> Self {
        Self {
            source: link.source,
            link: link.link.0,
            url: link.url.clone(),
            up: link.up,
            words: link.words.clone(),
            losses: link.losses,
            malformed: link.malformed,
            unknown: link.unknown.clone(),
            clock_offset_ms: link.clock.map(|(offset, _)| offset as f64 / 1e6),
            clock_error_ms: link.clock.map(|(_, error)| error as f64 / 1e6),
        }
    }
}

fn links_of(report: &Report, source: Option<&str>) -> Vec<Link> {
    report.links.iter().filter(|l| source.is_none_or(|s| s == l.source)).map(Link::new).collect()
}

pub(crate) async fn lanes(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Lanes>, Fail> {
    let params = Params::of(&uri, &["source", "state", "instrument", "channel"])?;
    let report = site.report();
    let source = params.text("source");
    let state = params.text("state");
    let channel = params.text("channel");
    let instrument = params.text("instrument");
    let wanted = |lane: &&LaneReport| {
        source.is_none_or(|s| s == lane.source)
            && state.is_none_or(|s| s == lane.state.name())
            && channel.is_none_or(|c| c == lane.channel.name())
            && instrument.is_none_or(|text| names::means(text, &lane.instrument))
    };
    let lanes: Vec<Lane> = report.lanes.iter().filter(wanted).map(|l| Lane::new(l, report.now)).collect();
    let mut states = BTreeMap::new();
    for lane in &lanes {
        *states.entry(lane.state).or_insert(0) += 1;
    }
    let links = links_of(&report, source);
    Ok(Json(Lanes { count: lanes.len(), lanes, states, links, timestamp: report.now.as_ms() }))
}

#[derive(Serialize)]
pub(crate) struct Links {
    links: Vec<Link>,
    count: usize,
    timestamp: i64,
}

pub(crate) async fn links(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Links>, Fail> {
    let params = Params::of(&uri, &["source"])?;
    let report = site.report();
    let links = links_of(&report, params.text("source"));
    Ok(Json(Links { count: links.len(), links, timestamp: report.now.as_ms() }))
}
