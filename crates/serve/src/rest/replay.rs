//! What was kept as a stream: the WebSocket protocol of live data over a bus on which the past is published again.

use super::history::{reader, time};
use crate::http::{Fail, Params};
use crate::names;
use crate::play::{definition, play, speed};
use crate::site::Site;
use crate::stream::{admit, serve};
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::Uri;
use axum::response::Response;
use bus::Bus;
use model::{Instrument, Ts};
use std::sync::Arc;
use store::{Query, Table};
use tokio::sync::watch;

pub(crate) async fn replay(
    State(site): State<Arc<Site>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fail> {
    let params = Params::of(&uri, &["instruments", "source", "from", "to", "speed"])?;
    let speed = params.text("speed").map_or(Ok(1.0), speed).map_err(Fail::bad_parameter)?;
    let Some(texts) = params.text("instruments") else {
        return Err(Fail::bad_parameter(
            "`instruments` names what is replayed, separated by commas".to_owned(),
        ));
    };
    let found = texts.split(',').map(|text| names::find(&site.bus, text.trim()).map_err(Fail::from));
    let instruments = found.collect::<Result<Vec<Arc<Instrument>>, Fail>>()?;
    let query = Query {
        instruments: instruments.iter().map(|instrument| instrument.id).collect(),
        source: params.text("source").map(Into::into),
        from: time(&params, "from")?.unwrap_or(Ts(i64::MIN)),
        to: time(&params, "to")?.unwrap_or(Ts(i64::MAX)),
        ..Query::of(&Table::ALL)
    };
    let reader = reader(&site)?;
    let (upgrade, place) = admit(&site, upgrade)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let past = Arc::new(Bus::new(bus::Config::default(), site.now()));
        for instrument in &instruments {
            past.publish(definition(instrument), query.from);
        }
        let (stop, stopped) = watch::channel(false);
        let replayed = Arc::new(site.replaying(Arc::clone(&past), stopped));
        let playing = tokio::spawn({
            let replayed = Arc::clone(&replayed);
            async move {
                replayed.begun().await;
                if let Err(error) = play(reader, query, speed, &past).await {
                    tracing::error!(%error, "a replay ended");
                }
                // The client may have gone.
                let _ = stop.send(true);
            }
        });
        serve(socket, &replayed).await;
        playing.abort();
        drop(place);
    }))
}
