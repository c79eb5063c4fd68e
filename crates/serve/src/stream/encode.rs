//! The bytes of messages. An event is encoded once for all clients that read it at about the same time.

use crate::stream::lanes::LaneNow;
use crate::stream::request::Fault;
use axum::extract::ws::Utf8Bytes;
use bus::{BookState, BookView, Cursor, Published, Skipped};
use model::{Body, Channel, Event, Flags, Instrument, Snapshot};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::{Mutex, PoisonError};

/// How many encoded events are kept.
const KEPT: usize = 4_096;
/// Longer ones are not, so that what is kept has a bound.
const KEPT_BYTES_MAX: usize = 4 * 1_024;

/// The newest encoded events, each at the place that its number gives.
pub(crate) struct Encoded(Box<[Slot]>);

/// An event's number and message.
type Slot = Mutex<Option<(u64, Utf8Bytes)>>;

impl Default for Encoded {
    fn default() -> Self {
        Self((0..KEPT).map(|_| Mutex::new(None)).collect())
    }
}

impl Encoded {
    /// The message of an event. Others that ask for the same one wait until it is encoded.
    pub(crate) fn event(&self, published: &Published) -> Utf8Bytes {
        let number = published.cursor.number;
        let slot = self.0.get(number as usize % KEPT);
        // What a late joiner gets carries the number of another event.
        let Some(slot) = slot.filter(|_| !published.event.flags.has(Flags::LAST_VALUE)) else {
            return message(published, None);
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, text)) = &*slot
            && *kept == number
        {
            return text.clone();
        }
        let text = message(published, None);
        *slot = (text.len() <= KEPT_BYTES_MAX).then(|| (number, text.clone()));
        text
    }
}

/// The message of an event, of a book with this depth where one is given.
fn message(published: &Published, depth: Option<usize>) -> Utf8Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"type\":\"event\",");
    if let Some(state) = book_state(&published.event) {
        out.extend_from_slice(b"\"state\":\"");
        out.extend_from_slice(state.name().as_bytes());
        out.extend_from_slice(b"\",");
    }
    let start = out.len();
    event_json(published, &mut out);
    // The event is an object of its own: its opening brace is ours already.
    out.remove(start);
    if let Some(depth) = depth {
        add(&mut out, "depth", depth as u64);
    }
    utf8(out)
}

/// The state of a book after an event that changes one.
fn book_state(event: &Event) -> Option<BookState> {
    if matches!(event.body, Body::Gap(_)) {
        return Some(BookState::Gap);
    }
    let state = if event.flags.has(Flags::SUSPECT) { BookState::Crossed } else { BookState::Live };
    matches!(event.body, Body::Snapshot(_) | Body::Delta(_)).then_some(state)
}

/// The message of an event that stands for `conflated` earlier ones too.
pub(crate) fn with_conflated(text: Utf8Bytes, conflated: u32) -> Utf8Bytes {
    if conflated == 0 {
        return text;
    }
    let mut out = text.as_bytes().to_vec();
    add(&mut out, "conflated", u64::from(conflated));
    utf8(out)
}

/// Adds a field to an object that is complete.
fn add(out: &mut Vec<u8>, name: &str, value: u64) {
    out.pop();
    out.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
}

fn utf8(out: Vec<u8>) -> Utf8Bytes {
    Utf8Bytes::try_from(out).unwrap_or_default()
}

/// A book as a snapshot of its best levels.
pub(crate) fn book(view: BookView, channel: Channel, depth: usize, ts_pub: model::Ts) -> Utf8Bytes {
    let flags = if view.state == BookState::Crossed { Flags::SUSPECT } else { Flags::NONE };
    let body =
        Body::Snapshot(Snapshot { seq: view.seq, levels: view.levels, checksum: None, epoch: view.epoch });
    let event =
        Event { source: view.source, instrument: view.instrument, channel, flags, stamp: view.stamp, body };
    message(&Published { cursor: view.cursor, ts_pub, event }, Some(depth))
}

fn event_json(published: &Published, out: &mut Vec<u8>) {
    let cursor = published.cursor;
    let cursor = (cursor.epoch, cursor.number);
    wire::event_json(&published.event, Some(cursor), Some(published.ts_pub), out);
}

/// An event as JSON, for REST.
pub(crate) fn event(published: &Published) -> Option<Box<RawValue>> {
    let mut out = Vec::with_capacity(256);
    event_json(published, &mut out);
    raw(out)
}

/// A definition as JSON, for REST.
pub(crate) fn instrument(instrument: &Instrument) -> Option<Box<RawValue>> {
    let mut out = Vec::with_capacity(256);
    wire::instrument_json(instrument, &mut out);
    raw(out)
}

fn raw(out: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

/// Messages that are not events.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply<'a> {
    Welcome {
        name: &'static str,
        version: &'static str,
        epoch: u64,
        number: u64,
        ts: i64,
        limits: Limits,
    },
    Subscribed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        epoch: u64,
        number: u64,
        lanes: Vec<LaneNow>,
    },
    Unsubscribed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        epoch: u64,
        number: u64,
        left: usize,
    },
    List {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        policy: Value,
        count: usize,
        lanes: Vec<LaneNow>,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        ts: i64,
    },
    Skipped {
        epoch: u64,
        from: u64,
        to: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
        why: &'static str,
    },
    Error {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
    },
}

/// What a connection may do.
#[derive(Serialize)]
#[allow(clippy::struct_field_names)] // as in JSON
pub(crate) struct Limits {
    pub(crate) subscriptions_max: usize,
    pub(crate) message_bytes_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) bad_requests_max: u32,
}

impl Reply<'_> {
    pub(crate) fn text(&self) -> Utf8Bytes {
        utf8(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The message of a mistake.
pub(crate) fn error(fault: &Fault, id: Option<&Value>) -> Utf8Bytes {
    Reply::Error { code: fault.code, message: &fault.message, id }.text()
}

/// The message of a hole in the stream.
pub(crate) fn skipped(skipped: &Skipped, epoch: u64) -> Utf8Bytes {
    let Skipped { from, to, count, why } = *skipped;
    Reply::Skipped { epoch, from, to, count, why }.text()
}

/// The first message of a connection.
pub(crate) fn welcome(cursor: Cursor, ts: i64, limits: Limits) -> Utf8Bytes {
    let (epoch, number) = (cursor.epoch, cursor.number);
    let version = env!("CARGO_PKG_VERSION");
    Reply::Welcome { name: "Qingxi", version, epoch, number, ts, limits }.text()
}
