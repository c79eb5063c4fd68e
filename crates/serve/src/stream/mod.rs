//! The WebSocket stream: who may open one, and what its messages look like. The protocol is in `docs/protocol.md`.

mod client;
mod encode;
mod lanes;
mod request;
mod subscribe;

pub(crate) use client::serve;
pub(crate) use encode::{Encoded, event, instrument};

use crate::http::{Fail, Params};
use crate::site::Site;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Room for what a client sends, in bytes; it grows for a longer message.
const READ_BUFFER_BYTES: usize = 512;
/// How much is gathered before it is written to the socket, in bytes.
const WRITE_BUFFER_BYTES: usize = 8 * 1_024;
/// A message up to this many times the limit is read to its end, so that the client can be told.
const READ_TO_END: usize = 4;

/// A client's place among those that are allowed. Dropping it gives the place back.
pub(crate) struct Place(Arc<Site>);

impl Place {
    fn take(site: &Arc<Site>) -> Option<Self> {
        let max = site.config.ws_clients_max;
        let more = |now: usize| (now < max).then_some(now + 1);
        let taken = site.clients.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.ok()?;
        site.metrics.serve.clients.inc();
        Some(Self(Arc::clone(site)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.serve.clients.dec();
    }
}

pub(crate) async fn open(
    State(site): State<Arc<Site>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fail> {
    Params::of(&uri, &[])?;
    let (upgrade, place) = admit(&site, upgrade)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        serve(socket, &site).await;
        drop(place);
    }))
}

/// Takes a client in where there is room, with the limits of its connection set.
pub(crate) fn admit(
    site: &Arc<Site>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, Place), Fail> {
    let upgrade = upgrade.map_err(|why| {
        let message = format!("this is a WebSocket address, see docs/protocol.md: {}", why.body_text());
        Fail::new(StatusCode::UPGRADE_REQUIRED, "websocket_only", message)
    })?;
    let Some(place) = Place::take(site) else {
        site.metrics.serve.refused_clients.inc();
        let message = format!("{} clients are connected, more are not allowed", site.config.ws_clients_max);
        return Err(Fail::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_clients", message));
    };
    let hard_max = site.config.ws_frame_bytes_max.saturating_mul(READ_TO_END);
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_frame_size(hard_max)
        .max_message_size(hard_max);
    Ok((upgrade, place))
}
