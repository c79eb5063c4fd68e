//! What was kept of an instrument: events of one kind from the log on disk.

use crate::http::{Fail, Params};
use crate::names;
use crate::site::Site;
use crate::stream;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bus::Published;
use model::{Instrument, InstrumentId, Ts};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use store::disk::Host;
use store::log::{Entry, Found, Lost, Reader};

const LIMIT_DEFAULT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;
/// How many bytes of the log one request reads.
const READ_BYTES_MAX: u64 = 512 << 20;
/// How many holes are told.
const HOLES_MAX: usize = 100;

/// Numbers of which nothing is kept, between the events that were read; of whichever instrument.
#[derive(Debug, Serialize)]
struct Hole {
    epoch: u64,
    from: u64,
    to: u64,
    why: Box<str>,
}

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Arc<Published>>,
    holes: Vec<Hole>,
    /// When the next event was published that was not given: where to go on.
    next: Option<Ts>,
}

#[derive(Serialize)]
struct History {
    symbol: Box<str>,
    exchange: Box<str>,
    instrument: Box<str>,
    kind: String,
    count: usize,
    events: Vec<Box<RawValue>>,
    holes: Vec<Hole>,
    next: Option<i64>,
}

/// What is asked of the log.
#[derive(Clone, Debug)]
struct Ask {
    dir: PathBuf,
    kind: String,
    instrument: InstrumentId,
    from: Ts,
    to: Ts,
    limit: usize,
}

pub(crate) async fn history(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Response, Fail> {
    let Path((kind, exchange, symbol)) = path.map_err(|_| {
        Fail::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not valid percent-encoded UTF-8")
    })?;
    let params = Params::of(&uri, &["from", "to", "limit", "format"])?;
    let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
    let (from, to) = (time(&params, "from", i64::MIN)?, time(&params, "to", i64::MAX)?);
    let csv = match params.text("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => {
            return Err(Fail::bad_parameter(format!("`format` is `json` or `csv`, not `{other}`")));
        }
    };
    if !wire::KINDS.contains(&kind.as_str()) {
        let kinds = wire::KINDS.iter().map(|kind| (*kind).to_owned()).collect();
        let message = format!("no kind of event is called `{kind}`");
        return Err(Fail::new(StatusCode::NOT_FOUND, "unknown_kind", message).suggesting(kinds));
    }
    let Some(dir) = site.history.clone() else {
        let message = "events are not kept: `store.dir` names no folder";
        return Err(Fail::new(StatusCode::NOT_FOUND, "nothing_kept", message));
    };
    let instrument = names::at(&site.bus, &exchange, &symbol)?;
    let ask = Ask { dir, kind, instrument: instrument.id, from, to, limit };
    let kept = {
        let ask = ask.clone();
        tokio::task::spawn_blocking(move || read(&ask)).await
    };
    let unreadable = |why: String| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", why);
    let kept = kept.map_err(|e| unreadable(e.to_string()))?.map_err(|e| unreadable(e.to_string()))?;
    Ok(answer(&instrument, ask.kind, kept, csv))
}

/// A time in ns since 1970, as events have them.
fn time(params: &Params, name: &str, default: i64) -> Result<Ts, Fail> {
    let Some(text) = params.text(name) else { return Ok(Ts(default)) };
    let wrong = || Fail::bad_parameter(format!("`{name}` must be nanoseconds since 1970, not `{text}`"));
    text.parse().map(Ts).map_err(|_| wrong())
}

/// Reads forward from `from` until enough was found.
fn read(ask: &Ask) -> store::Result<Kept> {
    let mut reader = Reader::open(Box::new(Host::new(&ask.dir)))?;
    reader.between(ask.from, ask.to)?;
    let mut kept = Kept::default();
    while let Some(found) = reader.next() {
        let hole = match found? {
            Found::Entry(Entry::Event(published)) => {
                let (at, event) = (published.ts_pub, &published.event);
                let inside = at >= ask.from && at < ask.to;
                if inside && (kept.events.len() >= ask.limit || reader.bytes() > READ_BYTES_MAX) {
                    kept.next = Some(at);
                    break;
                }
                if inside && event.instrument.id == ask.instrument && wire::kind(&event.body) == ask.kind {
                    kept.events.push(published);
                }
                continue;
            }
            Found::Entry(Entry::Lost(Lost { epoch, from, to, why })) => Hole { epoch, from, to, why },
            Found::Hole { epoch, from, to } => Hole { epoch, from, to, why: "damaged".into() },
            Found::Damage { .. } | Found::Torn(_) | Found::Closed(_) => continue,
        };
        if kept.holes.len() < HOLES_MAX {
            kept.holes.push(hole);
        }
    }
    Ok(kept)
}

fn answer(instrument: &Instrument, kind: String, kept: Kept, csv: bool) -> Response {
    let events: Vec<Box<RawValue>> = kept.events.iter().filter_map(|p| stream::event(p)).collect();
    if csv {
        return ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], table(&events)).into_response();
    }
    let history = History {
        symbol: instrument.symbol.clone(),
        exchange: instrument.venue.clone(),
        instrument: instrument.name.clone(),
        kind,
        count: events.len(),
        events,
        holes: kept.holes,
        next: kept.next.map(|ts| ts.0),
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
