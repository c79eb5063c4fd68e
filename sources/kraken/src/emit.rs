//! Where what was read goes: events, and names that we do not know.

use model::{Body, Channel, Event, Flags, Instrument, Stamp, Ts};
use source::Action;
use std::sync::Arc;

/// How many different unknown names are reported before the rest is passed over.
const NOTES_MAX: usize = 256;

/// Names seen that we do not know; each is told once.
#[derive(Debug, Default)]
pub struct Notes {
    seen: Vec<Box<str>>,
}

impl Notes {
    /// Reports `place.name`, the first time.
    #[cold]
    pub fn unknown(&mut self, place: &[u8], name: &[u8], out: &mut Vec<Action>) {
        let short = name.get(..64).unwrap_or(name);
        let text = format!("{}.{}", String::from_utf8_lossy(place), String::from_utf8_lossy(short));
        if self.seen.len() < NOTES_MAX && !self.seen.iter().any(|s| **s == *text) {
            self.seen.push(text.as_str().into());
            out.push(Action::Unknown(text));
        }
    }
}

/// Where the events of a frame go, and what they have in common.
pub struct Sink<'s> {
    /// When its last byte was read.
    pub now: Ts,
    /// Appended to.
    pub out: &'s mut Vec<Action>,
    /// Of the session.
    pub notes: &'s mut Notes,
}

impl Sink<'_> {
    /// Reports a value of a field that we do not know, the first time.
    #[cold]
    pub fn value(&mut self, place: &[u8], field: &[u8], value: &[u8]) {
        self.notes.unknown(place, &[field, b"=", value].concat(), self.out);
    }

    /// Appends an event.
    #[inline]
    pub fn emit(&mut self, instrument: &Arc<Instrument>, channel: Channel, ts: Option<Ts>, body: Body) {
        self.out.push(Action::Emit(event(instrument, channel, ts, self.now, body)));
    }
}

/// An event of this source.
#[inline]
pub fn event(
    instrument: &Arc<Instrument>,
    channel: Channel,
    ts_event: Option<Ts>,
    ts_recv: Ts,
    body: Body,
) -> Event {
    Event {
        source: crate::NAME,
        instrument: Arc::clone(instrument),
        channel,
        flags: Flags::NONE,
        stamp: Stamp { ts_event, ts_recv },
        body,
    }
}
