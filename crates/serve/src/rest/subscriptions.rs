//! What is wanted of the sources, changed while they run.

use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use feed::{Refusal, Subscription};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize)]
pub(crate) struct Subscriptions {
    subscriptions: Vec<Subscription>,
    count: usize,
    timestamp: i64,
}

pub(crate) async fn list(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Subscriptions>, Fail> {
    let params = Params::of(&uri, &["source"])?;
    let mut subscriptions = site.desk.list();
    if let Some(source) = params.text("source") {
        subscriptions.retain(|s| s.source == source);
    }
    let count = subscriptions.len();
    Ok(Json(Subscriptions { subscriptions, count, timestamp: site.now().as_ms() }))
}

/// What a client wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    source: String,
    instruments: Vec<String>,
    #[serde(default)]
    channels: Vec<String>,
}

pub(crate) async fn add(
    State(site): State<Arc<Site>>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<(StatusCode, Json<Subscription>), Fail> {
    let Json(wish) = wish.map_err(|rejection| {
        let message = format!(
            "{}; wanted is a JSON object like {{\"source\":\"NAME\",\"instruments\":[\"BTC/USDT\"],\"channels\":[\"trades\"]}}",
            rejection.body_text()
        );
        Fail::new(StatusCode::BAD_REQUEST, "bad_body", message)
    })?;
    let made = site.desk.add(&wish.source, wish.instruments, wish.channels)?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn remove(
    State(site): State<Arc<Site>>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Subscription>, Fail> {
    let Path(id) = id.map_err(|_| Fail::bad_parameter("the number of a subscription is a whole number"))?;
    Ok(Json(site.desk.remove(id)?))
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        let (status, error) = match refusal {
            Refusal::NoSource { .. } => (StatusCode::NOT_FOUND, "no_source"),
            Refusal::Wrong(_) => (StatusCode::BAD_REQUEST, "bad_subscription"),
            Refusal::Unknown(_) => (StatusCode::NOT_FOUND, "no_subscription"),
            Refusal::Keep { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "not_kept"),
        };
        Self::new(status, error, refusal.to_string())
    }
}
