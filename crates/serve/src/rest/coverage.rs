//! Whether what was kept is complete: of each lane every stretch since it began.

use super::history::{reader, time, unreadable};
use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use model::{Channel, Ts};
use serde::Serialize;
use std::sync::Arc;
use store::ledger::{Row, Wanted};

const LIMIT_DEFAULT: usize = 10_000;
const LIMIT_MAX: usize = 1_000_000;

/// A stretch of a lane; fields as in [`Row`].
#[derive(Serialize)]
struct Stretch {
    source: &'static str,
    exchange: Box<str>,
    product: Box<str>,
    symbol: Box<str>,
    instrument: Box<str>,
    channel: &'static str,
    state: &'static str,
    proof: Option<&'static str>,
    cause: Option<&'static str>,
    from_ts: i64,
    to_ts: i64,
    from_number: [u64; 2],
    to_number: [u64; 2],
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    end: Option<&'static str>,
    end_ts: Option<i64>,
    events: Option<u64>,
    why: Option<Box<str>>,
    open: bool,
}

impl From<Row> for Stretch {
    fn from(row: Row) -> Self {
        Self {
            source: row.source,
            exchange: row.exchange,
            product: row.product,
            symbol: row.symbol,
            instrument: row.instrument,
            channel: row.channel,
            state: row.state,
            proof: row.proof,
            cause: row.cause,
            from_ts: row.from_ts.0,
            to_ts: row.to_ts.0,
            from_number: [row.from_cursor.epoch, row.from_cursor.number],
            to_number: [row.to_cursor.epoch, row.to_cursor.number],
            from_seq: row.from_seq,
            to_seq: row.to_seq,
            end: row.end,
            end_ts: row.end_ts.map(|ts| ts.0),
            events: row.events,
            why: row.why,
            open: row.open,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Coverage {
    /// How many stretches there are; `rows` may be fewer.
    count: usize,
    rows: Vec<Stretch>,
}

pub(crate) async fn coverage(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Coverage>, Fail> {
    let known = ["source", "exchange", "instrument", "channel", "state", "from", "to", "limit"];
    let params = Params::of(&uri, &known)?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let channel = match params.text("channel") {
        None => None,
        Some(name) => Some(Channel::parse(name).ok_or_else(|| {
            let names: Vec<&str> = Channel::ALL.iter().map(|channel| channel.name()).collect();
            Fail::bad_parameter(format!("no channel is called `{name}`; there are {}", names.join(", ")))
        })?),
    };
    let state = params.text("state").map(str::to_owned);
    if let Some(state) =
        state.as_deref().filter(|it| !["complete", "unprovable", "gap", "closed"].contains(it))
    {
        let message = format!("`state` is `complete`, `unprovable`, `gap` or `closed`, not `{state}`");
        return Err(Fail::bad_parameter(message));
    }
    let of = |name: &str| params.text(name).map(Into::into);
    let wanted =
        Wanted { source: of("source"), exchange: of("exchange"), instrument: of("instrument"), channel };
    let (from, to) = (time(&params, "from")?, time(&params, "to")?);
    let (from, to) = (from.unwrap_or(Ts(i64::MIN)), to.unwrap_or(Ts(i64::MAX)));
    let reader = reader(&site)?;
    let rows = tokio::task::spawn_blocking(move || reader.coverage(&wanted, from, to)).await;
    let mut rows = rows.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?;
    rows.retain(|row| state.as_deref().is_none_or(|state| row.state == state));
    let count = rows.len();
    Ok(Json(Coverage { count, rows: rows.into_iter().take(limit).map(Into::into).collect() }))
}
