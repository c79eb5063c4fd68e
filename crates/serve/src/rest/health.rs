//! Health of the sources.

use crate::health::{self, Overall, SourceHealth, StoreHealth};
use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    healthy_sources: usize,
    unhealthy_sources: usize,
    total_sources: usize,
    /// `None` where nothing is kept.
    store: Option<StoreHealth>,
    timestamp: i64,
}

pub(crate) async fn health(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, Fail> {
    Params::of(&uri, &[])?;
    let report = site.report();
    let sources = health::sources(&site, &report);
    let healthy = sources.iter().filter(|s| s.healthy).count();
    let store = health::store(&site);
    let overall = Overall::of(&sources, store.as_ref());
    let body = Health {
        status: overall.name(),
        healthy_sources: healthy,
        unhealthy_sources: sources.len() - healthy,
        total_sources: sources.len(),
        store,
        timestamp: site.now().as_ms(),
    };
    Ok((status_of(overall), Json(body)).into_response())
}

fn status_of(overall: Overall) -> StatusCode {
    match overall {
        Overall::Healthy | Overall::Degraded => StatusCode::OK,
        Overall::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[derive(Serialize)]
struct Summary {
    summary: Totals,
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Totals {
    status: &'static str,
    total_sources: usize,
    healthy_sources: usize,
    unhealthy_sources: usize,
    average_latency_us: Option<i64>,
    total_messages: u64,
    timestamp: i64,
}

#[derive(Serialize)]
struct Source {
    source_id: &'static str,
    healthy: bool,
    why: String,
    is_connected: bool,
    links_up: usize,
    links: usize,
    lanes: usize,
    bad_lanes: usize,
    latency_us: Option<i64>,
    message_count: u64,
    gaps: u64,
    last_message_at: Option<i64>,
    age_ms: Option<i64>,
    last_error: Option<String>,
}

pub(crate) async fn summary(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, Fail> {
    Params::of(&uri, &[])?;
    let report = site.report();
    let sources = health::sources(&site, &report);
    let healthy = sources.iter().filter(|s| s.healthy).count();
    let overall = Overall::of(&sources, health::store(&site).as_ref());
    let summary = Totals {
        status: overall.name(),
        total_sources: sources.len(),
        healthy_sources: healthy,
        unhealthy_sources: sources.len() - healthy,
        average_latency_us: health::latency_us(&site, &report, None),
        total_messages: site.bus.cursor().number,
        timestamp: site.now().as_ms(),
    };
    let row = |s: SourceHealth| Source {
        source_id: s.source,
        healthy: s.healthy,
        why: s.why,
        // A source that is polled reports no connection; then fresh data are the evidence.
        is_connected: s.links_up > 0 || (s.links == 0 && s.healthy),
        links_up: s.links_up,
        links: s.links,
        lanes: s.lanes,
        bad_lanes: s.bad_lanes,
        latency_us: health::latency_us(&site, &report, Some(s.source)),
        message_count: s.events,
        gaps: s.gaps,
        last_message_at: s.last_event.map(model::Ts::as_ms),
        age_ms: s.last_event.map(|last| report.now.ms_since(last).max(0)),
        last_error: s.problem,
    };
    let body = Summary { summary, sources: sources.into_iter().map(row).collect() };
    Ok((status_of(overall), Json(body)).into_response())
}
