//! Hot and cold storage by the paths of earlier systems: what is kept, asked for and looked after.

use super::history::{reader, unreadable};
use crate::http::{Fail, Params};
use crate::names;
use crate::site::Site;
use crate::stream;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use bus::Published;
use model::{Date, Ts};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Control, Note, Query, Table, TableSize};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;
const CUTOFF_HOURS: u32 = 24;
const RETENTION_HOURS: u32 = 72;

/// The answer of every path here.
#[derive(Serialize)]
pub(crate) struct Answer {
    status: &'static str,
    data: Box<RawValue>,
    count: usize,
    timestamp: i64,
}

impl Answer {
    fn new(site: &Site, data: &impl Serialize, count: usize) -> Result<Json<Self>, Fail> {
        let data = to_raw_value(data).map_err(|e| unreadable(&e))?;
        Ok(Json(Self { status: "success", data, count, timestamp: site.now().as_ms() }))
    }

    fn events(site: &Site, events: &[Arc<Published>]) -> Result<Json<Self>, Fail> {
        if events.is_empty() {
            return Err(Fail::new(StatusCode::NOT_FOUND, "not_found", "nothing of it is kept"));
        }
        let events: Vec<Box<RawValue>> =
            events.iter().filter_map(|published| stream::event(published)).collect();
        Self::new(site, &events, events.len())
    }
}

/// The table of a word in the path.
pub(super) fn table_of(what: &str) -> Result<Table, Fail> {
    match what {
        "trades" => Ok(Table::Trades),
        "tickers" => Ok(Table::Quotes),
        "orderbooks" => Ok(Table::BookSnapshots),
        other => {
            let message = format!("there are `trades`, `tickers` and `orderbooks`, not `{other}`");
            Err(Fail::new(StatusCode::NOT_FOUND, "not_found", message))
        }
    }
}

/// The newest of an instrument, the newest first.
pub(crate) async fn hot(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Answer>, Fail> {
    let Path((what, exchange, symbol)) = path.map_err(|_| bad_path())?;
    let params = Params::of(&uri, &["limit", "source"])?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let table = table_of(&what)?;
    let instrument = names::at(&site.bus, &exchange, &symbol)?.id;
    let (reader, source) = (reader(&site)?, params.text("source").map(str::to_owned));
    let newest =
        tokio::task::spawn_blocking(move || reader.latest(table, instrument, source.as_deref(), limit)).await;
    Answer::events(&site, &newest.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?)
}

/// Trades of an instrument between two days, the oldest first.
pub(crate) async fn cold_trades(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Answer>, Fail> {
    let Path((exchange, symbol)) = path.map_err(|_| bad_path())?;
    let params = Params::of(&uri, &["start_date", "end_date", "limit", "source"])?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let (from, to) = (date(&params, "start_date")?, date(&params, "end_date")?);
    let instrument = names::at(&site.bus, &exchange, &symbol)?.id;
    let query = Query {
        instruments: vec![instrument],
        source: params.text("source").map(Into::into),
        from: from.map_or(Ts(i64::MIN), Date::start),
        // To the end of that day.
        to: to.map_or(Ts(i64::MAX), |day| day.plus_days(1).start()),
        ..Query::of(&[Table::Trades])
    };
    let reader = reader(&site)?;
    let found = tokio::task::spawn_blocking(move || {
        reader.range(query)?.take(limit).collect::<store::Result<Vec<_>>>()
    });
    Answer::events(&site, &found.await.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?)
}

fn bad_path() -> Fail {
    Fail::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not valid percent-encoded UTF-8")
}

fn date(params: &Params, name: &str) -> Result<Option<Date>, Fail> {
    let Some(text) = params.text(name) else { return Ok(None) };
    let wrong = || Fail::bad_parameter(format!("`{name}` is a day like 2026-11-20, not `{text}`"));
    Date::parse(text).map(Some).ok_or_else(wrong)
}

/// What the files take, and what is in none of them yet.
pub(crate) async fn stats(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Answer>, Fail> {
    Params::of(&uri, &[])?;
    let reader = reader(&site)?;
    let sizes = reader.sizes();
    let (files, bytes) =
        sizes.values().fold((0, 0), |(files, bytes), it| (files + it.files, bytes + it.bytes));
    let tables: Vec<Value> = sizes
        .into_iter()
        .map(|(table, TableSize { files, rows, bytes })| {
            json!({ "table": table.name(), "files": files, "rows": rows, "bytes": bytes })
        })
        .collect();
    let store = &site.metrics.store;
    let notes = tokio::task::spawn_blocking(move || reader.notes()).await;
    let notes = notes.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?;
    let dropped: u64 = notes.iter().filter(|note| &*note.what == "dropped").map(|note| note.count).sum();
    let data = json!({
        "hot": { "bytes": store.hot_bytes.get(), "waiting_events": store.waiting.get() },
        "log": { "bytes": store.disk_bytes.get(), "events": store.events.get(), "lost_events": store.lost.get() },
        "cold": { "files": files, "bytes": bytes, "tables": tables },
        "cold_tier": {
            "files": store.cold_files.get(),
            "bytes": store.cold_bytes.get(),
            "cached_bytes": store.cold_cached_bytes.get(),
            "failing": store.cold_failing.get() != 0,
        },
        "dropped_rows": dropped,
        "failing": store.failing.get() != 0 || store.file_failing.get() != 0,
    });
    Answer::new(&site, &data, tables.len())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveWish {
    /// As earlier systems had it; all kinds are written together.
    #[serde(default)]
    data_type: Option<String>,
    #[serde(default)]
    cutoff_hours: Option<u32>,
}

/// Writes everything that is safe and in no file as files. A cut-off would leave the older part for later: there is none.
pub(crate) async fn archive(
    State(site): State<Arc<Site>>,
    wish: Result<Json<ArchiveWish>, JsonRejection>,
) -> Result<Json<Answer>, Fail> {
    let Json(ArchiveWish { data_type, cutoff_hours }) =
        body(wish, "{\"data_type\":\"trades\",\"cutoff_hours\":24}")?;
    if let Some(kind) =
        data_type.as_deref().filter(|kind| Table::parse(kind).is_none() && table_of(kind).is_err())
    {
        return Err(Fail::bad_parameter(format!("`data_type` is the name of a table, not `{kind}`")));
    }
    let before = site.metrics.store.sealed.get();
    control(&site)?.seal().await;
    let sealed = reader(&site)?.sealed();
    let data = json!({
        "archived_events": site.metrics.store.sealed.get() - before,
        "up_to": sealed.map(|cursor| [cursor.epoch, cursor.number]),
        "cutoff_hours": cutoff_hours.unwrap_or(CUTOFF_HOURS),
    });
    Answer::new(&site, &data, 1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CleanupWish {
    #[serde(default)]
    retention_hours: Option<u32>,
}

/// Deletes files whose newest row is older, and tells which.
pub(crate) async fn cleanup(
    State(site): State<Arc<Site>>,
    wish: Result<Json<CleanupWish>, JsonRejection>,
) -> Result<Json<Answer>, Fail> {
    let Json(CleanupWish { retention_hours }) = body(wish, "{\"retention_hours\":72}")?;
    let hours = retention_hours.unwrap_or(RETENTION_HOURS);
    if hours == 0 {
        return Err(Fail::bad_parameter("`retention_hours` must be above 0: everything would go"));
    }
    let notes = control(&site)?.cleanup(hours).await.map_err(|e| unreadable(&e))?;
    let told: Vec<Value> = notes
        .iter()
        .map(|Note { table, count, why, .. }| json!({ "table": table, "rows": count, "why": why }))
        .collect();
    Answer::new(&site, &told, told.len())
}

fn control(site: &Site) -> Result<&Control, Fail> {
    let message = "events are not kept: `store.dir` names no folder";
    site.control.as_ref().ok_or_else(|| Fail::new(StatusCode::NOT_FOUND, "nothing_kept", message))
}

/// A body, or what would be one.
pub(super) fn body<T>(body: Result<Json<T>, JsonRejection>, example: &str) -> Result<Json<T>, Fail> {
    body.map_err(|rejection| {
        let message = format!("{}; wanted is a JSON object like {example}", rejection.body_text());
        Fail::new(StatusCode::BAD_REQUEST, "bad_body", message)
    })
}
