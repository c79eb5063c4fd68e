//! The ports for machines that watch: metrics and probes.

use crate::health::{self, Overall};
use crate::http::{guard, not_found, wrong_method};
use crate::rates;
use crate::site::Site;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hashbrown::HashMap;
use metrics::{Source, SourceState, raise};
use serde::Serialize;
use std::sync::Arc;

/// The routes of both ports, each with what it is for.
pub(crate) const ROUTES: [(&str, &str); 3] = [
    ("/metrics", "metrics for Prometheus"),
    ("/health/live", "200 while the process runs"),
    ("/health/ready", "200 while at least one source brings data"),
];

pub(crate) fn metrics_router(site: &Arc<Site>) -> Router {
    finish(Router::new().route("/metrics", get(metrics_text)), site)
}

pub(crate) fn router(site: &Arc<Site>) -> Router {
    finish(Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)), site)
}

fn finish(router: Router<Arc<Site>>, site: &Arc<Site>) -> Router {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}

async fn metrics_text(State(site): State<Arc<Site>>) -> Response {
    gauges(&site);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], site.metrics.encode()).into_response()
}

/// Sets what is computed when asked for.
fn gauges(site: &Site) {
    let metrics = &site.metrics;
    let cursor = site.bus.cursor();
    raise(&metrics.bus.published, cursor.number);
    metrics.bus.number.set(cursor.number.cast_signed());
    metrics.bus.readers.set(site.bus.readers() as i64);
    metrics.process.uptime.set(site.uptime_s());
    if let Some(bytes) = rates::resident_bytes() {
        metrics.process.resident.set(bytes.cast_signed());
    }
    let report = site.report();
    let mut lanes: HashMap<SourceState, i64> = HashMap::new();
    for lane in &report.lanes {
        *lanes.entry(SourceState { source: lane.source, state: lane.state.name() }).or_insert(0) += 1;
    }
    metrics.bus.lanes.clear();
    for (labels, count) in lanes {
        metrics.bus.lanes.get_or_create(&labels).set(count);
    }
    let mut books: HashMap<&'static str, i64> = HashMap::new();
    for lane in site.bus.lane_views() {
        let live = lane.book.is_some_and(|book| book == bus::BookState::Live);
        *books.entry(lane.source).or_insert(0) += i64::from(live);
    }
    for (source, count) in books {
        metrics.bus.books_live.get_or_create(&Source { source }).set(count);
    }
    for source in health::sources(site, &report) {
        if let Some(last) = source.last_event {
            let age = report.now.ms_since(last).max(0) as f64 / 1_000.0;
            metrics.serve.data_age.get_or_create(&Source { source: source.source }).set(age);
        }
    }
}

#[derive(Serialize)]
struct Live {
    status: &'static str,
    uptime_s: i64,
}

async fn live(State(site): State<Arc<Site>>) -> Json<Live> {
    Json(Live { status: "live", uptime_s: site.uptime_s() })
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    sources: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    source: &'static str,
    healthy: bool,
    why: String,
}

async fn ready(State(site): State<Arc<Site>>) -> Response {
    let sources = health::sources(&site, &site.report());
    let ready = Overall::of(&sources, None) != Overall::Unhealthy;
    let (status, word) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    let reasons = sources.into_iter().map(|s| Reason { source: s.source, healthy: s.healthy, why: s.why });
    (status, Json(Ready { status: word, sources: reasons.collect() })).into_response()
}
