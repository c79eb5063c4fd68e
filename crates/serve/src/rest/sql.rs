//! SQL over what was kept. The rows are passed on as they come; a client that goes ends its query.

use crate::http::{Fail, Params};
use crate::site::Site;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use std::sync::Arc;
use store::sql::{Answer, Ask, Error, Format, Kind, Part};

/// After how many seconds one who was told that others run may ask again.
const RETRY_AFTER_S: &str = "1";

/// What a client wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    sql: String,
    #[serde(default)]
    format: Format,
    limit: Option<u64>,
    as_known_at: Option<String>,
}

pub(crate) async fn sql(
    State(site): State<Arc<Site>>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fail> {
    let bad = |message: String| Fail::new(StatusCode::BAD_REQUEST, "bad_body", message);
    let body = body.map_err(|rejection| bad(rejection.body_text()))?;
    let plain =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let wish = if plain { by_text(&uri, &body)? } else { by_json(&uri, &body).map_err(bad)? };
    let Some(sql) = &site.sql else {
        let message = "events are not kept: `store.dir` names no folder";
        return Err(Fail::new(StatusCode::NOT_FOUND, "nothing_kept", message));
    };
    let Wish { sql: text, format, limit: rows, as_known_at } = wish;
    match sql.run(Ask { sql: text, format, rows, as_known_at }).await {
        Ok(answer) => Ok(told(answer, format)),
        Err(error @ Error::Busy { .. }) => {
            Ok(([(header::RETRY_AFTER, RETRY_AFTER_S)], failed(&error)).into_response())
        }
        Err(error) => Err(failed(&error)),
    }
}

fn by_json(uri: &Uri, body: &[u8]) -> Result<Wish, String> {
    Params::of(uri, &[]).map_err(|fail| fail.message().to_owned())?;
    serde_json::from_slice(body).map_err(|e| {
        format!("{e}; wanted is a JSON object like {{\"sql\":\"SELECT 1\",\"format\":\"json\",\"limit\":100}}, or the query as text/plain")
    })
}

/// The query alone, the rest as parameters.
fn by_text(uri: &Uri, body: &[u8]) -> Result<Wish, Fail> {
    let params = Params::of(uri, &["format", "limit", "as_known_at"])?;
    let sql =
        std::str::from_utf8(body).map_err(|_| Fail::bad_parameter("the query is not UTF-8"))?.to_owned();
    let format = match params.text("format") {
        None => Format::default(),
        Some(name) => serde_json::from_value(name.into()).map_err(|_| {
            let message = format!("`format` is `json`, `csv`, `arrow`, `parquet` or `table`, not `{name}`");
            Fail::bad_parameter(message)
        })?,
    };
    let limit = params.text("limit").map(|_| params.number("limit", 0, usize::MAX)).transpose()?;
    let as_known_at = params.text("as_known_at").map(str::to_owned);
    Ok(Wish { sql, format, limit: limit.map(|limit| limit as u64), as_known_at })
}

fn failed(error: &Error) -> Fail {
    let (status, word) = match error {
        Error::Failed(problem) => match problem.kind {
            Kind::Refused => (StatusCode::BAD_REQUEST, "refused"),
            Kind::Syntax => (StatusCode::BAD_REQUEST, "bad_sql"),
            Kind::Plan | Kind::Execution => (StatusCode::BAD_REQUEST, "bad_query"),
            Kind::Memory => (StatusCode::UNPROCESSABLE_ENTITY, "memory_limit"),
            Kind::Temp => (StatusCode::UNPROCESSABLE_ENTITY, "disk_limit"),
            Kind::Time => (StatusCode::UNPROCESSABLE_ENTITY, "time_limit"),
            Kind::File => (StatusCode::INTERNAL_SERVER_ERROR, "unreadable"),
            Kind::Request | Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "query_failed"),
        },
        Error::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Error::NoProgram { .. } => (StatusCode::NOT_IMPLEMENTED, "no_sql"),
        Error::Run { .. } | Error::Died { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "query_failed"),
        Error::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "unreadable"),
    };
    let place = match error {
        Error::Failed(problem) => {
            problem.position.map(|at| format!(" (line {}, column {})", at.line, at.column))
        }
        _ => None,
    };
    Fail::new(status, word, format!("{error}{}", place.unwrap_or_default()))
}

fn told(answer: Answer, format: Format) -> Response {
    let kind = match format {
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Table => "text/plain; charset=utf-8",
        Format::Arrow => "application/vnd.apache.arrow.stream",
        Format::Parquet => "application/vnd.apache.parquet",
    };
    let rows = stream::unfold(Some(answer), async |answer| {
        let mut answer = answer?;
        match answer.next().await {
            Ok(Part::Rows(bytes)) => Some((Ok(Bytes::from(bytes)), Some(answer))),
            Ok(Part::End(_)) => None,
            // The connection breaks off, so that nobody takes what was sent for all of it.
            Err(error) => {
                tracing::warn!(%error, "a query failed in the midst of its answer");
                // What was sent so far goes out first: with the error the connection drops what it still holds.
                tokio::task::yield_now().await;
                Some((Err(error), None))
            }
        }
    });
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(rows)).into_response()
}
