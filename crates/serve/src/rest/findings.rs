//! What checks of the data have found: changes of a venue's wire, books that were not the venue's.

use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::{Body, Channel, InstrumentId};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many findings of one lane are shown at most.
const SHOWN_MAX: usize = 1_000;

#[derive(Serialize)]
pub(crate) struct Findings {
    findings: Vec<Shape>,
    count: usize,
    timestamp: i64,
}

#[derive(Serialize)]
struct Shape {
    source: &'static str,
    instrument: Box<str>,
    check: Box<str>,
    channel: &'static str,
    what: Box<str>,
    /// When it was found, in ns.
    at: i64,
    samples: Vec<Box<str>>,
}

pub(crate) async fn findings(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Findings>, Fail> {
    let params = Params::of(&uri, &["source", "check"])?;
    let (source, check) = (params.text("source"), params.text("check"));
    let lanes = site.bus.evidence(|lane| lane.channel == Channel::Findings);
    let ids: BTreeSet<InstrumentId> = lanes.iter().map(|lane| lane.instrument.id).collect();
    let mut findings = Vec::new();
    for published in ids.into_iter().flat_map(|id| site.bus.trades(None, id, Channel::Findings, SHOWN_MAX)) {
        let event = &published.event;
        let Body::Finding(finding) = &event.body else { continue };
        if source.is_none_or(|s| s == event.source) && check.is_none_or(|c| *c == *finding.check) {
            findings.push(Shape {
                source: event.source,
                instrument: event.instrument.name.clone(),
                check: finding.check.clone(),
                channel: finding.channel.name(),
                what: finding.what.clone(),
                at: event.stamp.ts_recv.0,
                samples: finding.samples.clone(),
            });
        }
    }
    findings.sort_by_key(|finding| finding.at);
    Ok(Json(Findings { count: findings.len(), findings, timestamp: site.now().as_ms() }))
}
