//! Rates, memory, clients: measured, never a constant.

use crate::health;
use crate::http::{Fail, Params};
use crate::rates::{self, Measured};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Serialize)]
pub(crate) struct Stats {
    uptime_s: i64,
    epoch: u64,
    number: u64,
    events_total: u64,
    events_per_s: Option<f64>,
    memory_bytes: Option<u64>,
    cpu_cores: Option<f64>,
    readers: usize,
    clients: usize,
    sources: Vec<Source>,
    system_stats: System,
    performance: Performance,
    timestamp: i64,
}

#[derive(Serialize)]
struct Source {
    source: &'static str,
    healthy: bool,
    events_total: u64,
    events_per_s: Option<f64>,
    lanes: usize,
    bad_lanes: usize,
    gaps: u64,
    age_ms: Option<i64>,
}

#[derive(Serialize)]
struct System {
    uptime: i64,
    total_messages_processed: u64,
    active_sources: usize,
    avg_latency_ms: Option<f64>,
    data_quality: Option<f64>,
}

#[derive(Serialize)]
struct Performance {
    throughput_msg_per_sec: Option<f64>,
    memory_usage: Option<u64>,
    cpu_usage: Option<f64>,
}

pub(crate) async fn stats(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Stats>, Fail> {
    Params::of(&uri, &[])?;
    let report = site.report();
    let sources = health::sources(&site, &report);
    let Measured { events, sources: rates_of, cores } = site.rates.measured();
    let events_per_s = events.map(tenths);
    let memory_bytes = rates::resident_bytes();
    let cursor = site.bus.cursor();
    let (lanes, bad) = sources.iter().fold((0, 0), |(l, b), s| (l + s.lanes, b + s.bad_lanes));
    let system_stats = System {
        uptime: site.uptime_s(),
        total_messages_processed: cursor.number,
        active_sources: sources.iter().filter(|s| s.healthy).count(),
        avg_latency_ms: health::latency_us(&site, &report, None).map(|us| us as f64 / 1_000.0),
        data_quality: (lanes > 0).then(|| (((lanes - bad) * 1_000) / lanes) as f64 / 1_000.0),
    };
    let performance = Performance {
        throughput_msg_per_sec: events_per_s,
        memory_usage: memory_bytes,
        cpu_usage: cores.map(|c| tenths(c * 100.0)),
    };
    let row = |s: health::SourceHealth| Source {
        source: s.source,
        healthy: s.healthy,
        events_total: s.events,
        events_per_s: rates_of.get(s.source).copied().map(tenths),
        lanes: s.lanes,
        bad_lanes: s.bad_lanes,
        gaps: s.gaps,
        age_ms: s.last_event.map(|last| report.now.ms_since(last).max(0)),
    };
    Ok(Json(Stats {
        uptime_s: site.uptime_s(),
        epoch: cursor.epoch,
        number: cursor.number,
        events_total: cursor.number,
        events_per_s,
        memory_bytes,
        cpu_cores: cores.map(|c| (c * 1_000.0).round() / 1_000.0),
        readers: site.bus.readers(),
        clients: site.clients.load(Ordering::Acquire),
        sources: sources.into_iter().map(row).collect(),
        system_stats,
        performance,
        timestamp: site.now().as_ms(),
    }))
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
