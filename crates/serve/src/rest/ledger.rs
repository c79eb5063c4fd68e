//! The ledger of each lane: where it is not complete, why, and what became of it.

use crate::http::{Fail, Params};
use crate::names;
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use lane::{End, Hole};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
pub(crate) struct Ledger {
    lanes: Vec<Entry>,
    count: usize,
    timestamp: i64,
}

#[derive(Serialize)]
struct Entry {
    source: &'static str,
    instrument: Box<str>,
    channel: &'static str,
    proof: &'static str,
    /// When data first came.
    since: Option<i64>,
    gaps: u64,
    holes: Vec<HoleShape>,
}

#[derive(Serialize)]
struct HoleShape {
    before: Option<i64>,
    since: i64,
    cause: &'static str,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    end: &'static str,
    at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Box<str>>,
}

impl HoleShape {
    fn new(hole: &Hole) -> Self {
        let (end, at, events, why) = match &hole.end {
            End::Open => ("open", None, None, None),
            End::Resumed(at) => ("resumed", Some(at.0), None, None),
            End::Repaired { at, events } => ("repaired", Some(at.0), Some(*events), None),
            End::Lost { at, why } => ("lost", Some(at.0), None, Some(why.clone())),
        };
        Self {
            before: hole.before.map(|at| at.0),
            since: hole.since.0,
            cause: hole.cause.name(),
            from_seq: hole.from_seq,
            to_seq: hole.to_seq,
            end,
            at,
            events,
            why,
        }
    }
}

pub(crate) async fn ledger(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Ledger>, Fail> {
    let params = Params::of(&uri, &["source", "instrument", "channel"])?;
    let (source, channel) = (params.text("source"), params.text("channel"));
    let instrument = params.text("instrument");
    let wanted = |lane: &lane::Evidence| {
        lane.gaps > 0
            && source.is_none_or(|s| s == lane.source)
            && channel.is_none_or(|c| c == lane.channel.name())
            && instrument.is_none_or(|text| names::means(text, &lane.instrument))
    };
    let lanes: Vec<Entry> = site
        .bus
        .evidence(wanted)
        .into_iter()
        .map(|lane| Entry {
            source: lane.source,
            instrument: lane.instrument.name.clone(),
            channel: lane.channel.name(),
            proof: lane.proof.name(),
            since: lane.first_event.map(|at| at.0),
            gaps: lane.gaps,
            holes: lane.holes.iter().map(HoleShape::new).collect(),
        })
        .collect();
    Ok(Json(Ledger { count: lanes.len(), lanes, timestamp: site.now().as_ms() }))
}
