//! What was kept of an instrument: events of one kind, wherever they stand.

use crate::http::{Fail, Params};
use crate::names;
use crate::site::Site;
use crate::stream;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bus::{Cursor, Published};
use futures_util::stream as futures;
use model::{Instrument, Ts};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use store::{Columnar, Query, Reader, Table};
use tokio::sync::mpsc;

const LIMIT_DEFAULT: usize = 1_000;
/// Of what is one text in memory.
const LIMIT_MAX: usize = 10_000;
/// Of what is sent while it is read.
const STREAM_LIMIT_MAX: usize = 1_000_000_000;
/// How many pieces wait for a client that takes them.
const PIECES: usize = 4;

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Arc<Published>>,
    /// Whether there are more.
    more: bool,
}

#[derive(Serialize)]
struct History {
    symbol: Box<str>,
    exchange: Box<str>,
    instrument: Box<str>,
    kind: String,
    count: usize,
    events: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Columns(Columnar),
}

pub(crate) async fn history(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Response, Fail> {
    let Path((kind, exchange, symbol)) = path.map_err(|_| {
        Fail::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not valid percent-encoded UTF-8")
    })?;
    let params = Params::of(&uri, &["from", "to", "limit", "format", "source", "known_at", "after", "with"])?;
    let format = match params.text("format") {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("arrow") => Format::Columns(Columnar::Arrow),
        Some("parquet") => Format::Columns(Columnar::Parquet),
        Some(other) => {
            let message = format!("`format` is `json`, `csv`, `arrow` or `parquet`, not `{other}`");
            return Err(Fail::bad_parameter(message));
        }
    };
    let limit = match format {
        Format::Json | Format::Csv => params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        Format::Columns(_) => params.number("limit", STREAM_LIMIT_MAX, STREAM_LIMIT_MAX)?,
    };
    let (table, kind) = table_of(&kind)?;
    let quotes = match (params.text("with"), format, table) {
        (None, ..) => false,
        (Some("quotes"), Format::Columns(_), Table::Trades) => true,
        _ => {
            let message = "`with` is `quotes`, of trades with `format` `arrow` or `parquet`";
            return Err(Fail::bad_parameter(message.to_owned()));
        }
    };
    let reader = reader(&site)?;
    let instrument = names::at(&site.bus, &exchange, &symbol)?;
    let query = Query {
        instruments: vec![instrument.id],
        source: params.text("source").map(Into::into),
        from: time(&params, "from")?.unwrap_or(Ts(i64::MIN)),
        to: time(&params, "to")?.unwrap_or(Ts(i64::MAX)),
        known_at: time(&params, "known_at")?,
        after: params.text("after").map(cursor).transpose()?,
        ..Query::of(&[table])
    };
    if let Format::Columns(columnar) = format {
        return Ok(columns(&reader, query, columnar, limit, quotes));
    }
    let kept = tokio::task::spawn_blocking(move || read(&reader, query, limit)).await;
    let kept = kept.map_err(|e| unreadable(&e))?.map_err(|e| unreadable(&e))?;
    Ok(answer(&instrument, kind.to_owned(), &kept, format == Format::Csv))
}

/// The reader of what is kept.
pub(super) fn reader(site: &Site) -> Result<Reader, Fail> {
    site.store.clone().ok_or_else(|| {
        let message = "events are not kept: `store.dir` names no folder";
        Fail::new(StatusCode::NOT_FOUND, "nothing_kept", message)
    })
}

pub(super) fn unreadable(why: &dyn fmt::Display) -> Fail {
    Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", why.to_string())
}

/// The table of a kind of event, which may be named by itself or by its table: `trade`, `trades`.
fn table_of(name: &str) -> Result<(Table, &'static str), Fail> {
    let mut all = Table::ALL.into_iter().zip(wire::KINDS);
    all.find(|(table, kind)| name == *kind || name == table.name()).ok_or_else(|| {
        let kinds = wire::KINDS.iter().map(|kind| (*kind).to_owned()).collect();
        let message = format!("no kind of event is called `{name}`");
        Fail::new(StatusCode::NOT_FOUND, "unknown_kind", message).suggesting(kinds)
    })
}

/// A time in ns since 1970, as events have them.
pub(super) fn time(params: &Params, name: &str) -> Result<Option<Ts>, Fail> {
    let Some(text) = params.text(name) else { return Ok(None) };
    let wrong = || Fail::bad_parameter(format!("`{name}` must be nanoseconds since 1970, not `{text}`"));
    text.parse().map(|ns| Some(Ts(ns))).map_err(|_| wrong())
}

/// A place on the bus: epoch, a hyphen, number.
fn cursor(text: &str) -> Result<Cursor, Fail> {
    let parts = text.split_once('-');
    let parsed = parts.and_then(|(epoch, number)| Some((epoch.parse().ok()?, number.parse().ok()?)));
    let wrong = || Fail::bad_parameter(format!("`after` is what `next` said, `EPOCH-NUMBER`, not `{text}`"));
    parsed.map(|(epoch, number)| Cursor { epoch, number }).ok_or_else(wrong)
}

/// The first events of a range.
fn read(reader: &Reader, query: Query, limit: usize) -> store::Result<Kept> {
    let mut kept = Kept::default();
    for published in reader.range(query)? {
        let published = published?;
        if kept.events.len() >= limit {
            kept.more = true;
            break;
        }
        kept.events.push(published);
    }
    Ok(kept)
}

/// Sends a range as it is read. What goes wrong on the way breaks the answer off, so that it is not taken for whole.
fn columns(reader: &Reader, query: Query, columnar: Columnar, limit: usize, quotes: bool) -> Response {
    let (pieces, taken) = mpsc::channel(PIECES);
    let reader = reader.clone();
    tokio::task::spawn_blocking(move || {
        let (max, pipe) = (limit as u64, Pipe(pieces.clone()));
        let done = if quotes {
            reader.extract_with_quotes(&query, columnar, max, pipe)
        } else {
            reader.extract(query, columnar, max, pipe).map(drop)
        };
        if let Err(error) = done {
            tracing::warn!(%error, "history was broken off");
            // A client that has gone needs no reason.
            let _ = pieces.blocking_send(Err(io::Error::other(error)));
        }
    });
    let stream = futures::unfold(taken, async |mut taken: mpsc::Receiver<io::Result<Bytes>>| {
        taken.recv().await.map(|piece| (piece, taken))
    });
    let kind = match columnar {
        Columnar::Arrow => "application/vnd.apache.arrow.stream",
        Columnar::Parquet => "application/vnd.apache.parquet",
    };
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response()
}

/// Writes to a client, at the client's pace.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(instrument: &Instrument, kind: String, kept: &Kept, csv: bool) -> Response {
    let events: Vec<Box<RawValue>> = kept.events.iter().filter_map(|p| stream::event(p)).collect();
    if csv {
        return ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], table(&events)).into_response();
    }
    let last = kept.events.last().filter(|_| kept.more).map(|published| published.cursor);
    let next = last.map(|Cursor { epoch, number }| format!("{epoch}-{number}"));
    let history = History {
        symbol: instrument.symbol.clone(),
        exchange: instrument.venue.clone(),
        instrument: instrument.name.clone(),
        kind,
        count: events.len(),
        events,
        next,
    };
    Json(history).into_response()
}

/// The fields of an event in their order.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}

/// Events as CSV: a column for each field that any of them has, in the order of JSON; lists stay JSON.
fn table(events: &[Box<RawValue>]) -> String {
    let rows: Vec<Fields> =
        events.iter().filter_map(|event| serde_json::from_str(event.get()).ok()).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.0) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut out = columns.join(",") + "\r\n";
    for Fields(row) in &rows {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            if let Some((_, value)) = row.iter().find(|(name, _)| name == column) {
                cell(value.get(), &mut out);
            }
        }
        out.push_str("\r\n");
    }
    out
}

/// A text without its quotes, nothing for null, anything else as it is in JSON; quoted where CSV needs it (RFC 4180).
fn cell(json: &str, out: &mut String) {
    let text = serde_json::from_str::<Option<String>>(json).map(Option::unwrap_or_default);
    let text = text.unwrap_or_else(|_| json.to_owned());
    if text.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_every_field_and_quotes_what_needs_it() {
        let raw = |text: &str| serde_json::from_str(text).unwrap();
        let events = [
            raw(r#"{"b":"1.5","a":null,"n":7}"#),
            raw(r#"{"b":"say \"x\", y","n":8,"flags":["derived"],"a":["1","2"]}"#),
        ];
        let told = table(&events);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines, ["b,a,n,flags", "1.5,,7,", r#""say ""x"", y","[""1"",""2""]",8,"[""derived""]""#,]);
    }
}
