//! Drives sessions and engines by recordings, as sockets would.

use crate::sources::{LOGS, SOURCES};
use engine::Engine;
use hashbrown::HashMap;
use model::{Event, Instrument, Ts};
use source::{Action, Input, Log, Malformed, Session, Shard, Source};
use std::fmt;
use std::sync::Arc;
use tape::{Kind, Record};

/// How many recorded answers are held for sessions that have not begun.
const REPLIES_HELD_MAX: usize = 4_096;

/// What comes out of a replay, in order.
pub trait Sink {
    /// A frame is about to be read.
    fn frame(&mut self, source: &'static str);
    /// An event happened.
    fn event(&mut self, event: &Event);
    /// The frame was part of the protocol and no data.
    fn control(&mut self);
    /// The frame, or a part of it, could not be read.
    fn malformed(&mut self, place: Place, fault: &Malformed, frame: &[u8]);
    /// A field or value that is not known.
    fn unknown(&mut self, what: &str);
    /// The record belongs to no source that is known.
    fn foreign(&mut self);
}

/// Where something stands.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The record of the stream, from 1.
    Record(u64),
    /// The line of the file that is being read, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(number) => write!(f, "record {number}"),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

/// One recorded connection, or the lines of logs of one form.
struct Line {
    session: Box<dyn Session>,
    engine: Engine,
    /// When the recording says that it was closed. The session hears of it when the connection opens again, so that the
    /// books at the end of a recording are those at its end.
    closed: Option<Ts>,
}

/// The number under which our tapes keep answers about listings, clocks and turnovers.
const LISTINGS: u32 = 0;

/// A recorded answer.
struct Reply {
    url: Option<String>,
    status: u16,
    body: Vec<u8>,
    at: Ts,
}

/// All connections of a replay. Several files are one stream.
pub struct Replay<'a, S> {
    forced: Option<&'static dyn Source>,
    lines: Vec<((&'static str, u32), Line)>,
    /// The source of each connection of the file that is being read.
    known: HashMap<u32, &'static dyn Source>,
    /// The source that the file names.
    named: Option<&'static dyn Source>,
    /// The form of log of the file.
    log: Option<&'static dyn Log>,
    /// Whether the file is one of our tapes, which name the connections that were open when the tape before ended.
    ours: bool,
    defined: Vec<Arc<Instrument>>,
    held: Vec<Reply>,
    actions: Vec<Action>,
    events: Vec<Event>,
    records: u64,
    place: Place,
    sink: &'a mut S,
}

impl<'a, S: Sink> Replay<'a, S> {
    /// Nothing read yet. With `forced` every connection is that source's.
    pub fn new(forced: Option<&'static dyn Source>, sink: &'a mut S) -> Self {
        Self {
            forced,
            lines: Vec::new(),
            known: HashMap::new(),
            named: None,
            log: None,
            ours: false,
            defined: Vec::new(),
            held: Vec::new(),
            actions: Vec::new(),
            events: Vec::new(),
            records: 0,
            place: Place::Record(0),
            sink,
        }
    }

    /// Where everything goes.
    pub const fn sink(&mut self) -> &mut S {
        self.sink
    }

    /// Another file begins.
    pub fn next_file(&mut self) {
        self.known.clear();
        self.named = None;
        self.log = None;
        self.ours = false;
    }

    /// Takes a record.
    pub fn on(&mut self, record: Record) {
        self.records += 1;
        self.place = Place::Record(self.records);
        match record.kind {
            Kind::Header { source } => {
                self.named = source.as_deref().and_then(crate::sources::named);
                self.ours = self.named.is_some();
            }
            Kind::Connect { url } => {
                let goes_on = self.ours && !self.known.contains_key(&record.conn);
                if let Some(source) = self.source_of(record.conn, Some(&url), &[]) {
                    self.open(source, record.conn, &url, goes_on, record.ts);
                }
            }
            Kind::Sent(_) => {}
            Kind::Frame { bytes, binary } => match self.source_of(record.conn, None, &bytes) {
                Some(source) => self.frame(source, record.conn, &bytes, binary, record.ts),
                None => self.sink.foreign(),
            },
            Kind::Line { number, bytes } => {
                self.place = Place::Line(number);
                self.log_line(record.conn, &bytes, record.ts);
            }
            Kind::Reply { url, status, body } => {
                self.reply(record.conn, Reply { url, status, body, at: record.ts });
            }
            Kind::Closed { .. } => {
                if let Some(at) =
                    self.known.get(&record.conn).and_then(|s| self.find(s.spec().name, record.conn))
                    && let Some((_, line)) = self.lines.get_mut(at)
                {
                    line.closed = Some(record.ts);
                }
            }
        }
    }

    fn source_of(&mut self, conn: u32, url: Option<&str>, frame: &[u8]) -> Option<&'static dyn Source> {
        if let Some(known) = self.known.get(&conn) {
            return Some(*known);
        }
        let found = self
            .forced
            .or(self.named)
            .or_else(|| SOURCES.iter().copied().find(|s| s.recognises(url, frame)))?;
        self.known.insert(conn, found);
        Some(found)
    }

    fn find(&self, source: &'static str, conn: u32) -> Option<usize> {
        self.lines.iter().position(|(key, _)| *key == (source, conn))
    }

    /// The connection's session; begun, and given what was recorded before it, where it is new.
    fn line(&mut self, source: &'static dyn Source, conn: u32, url: Option<&str>, now: Ts) -> usize {
        let name = source.spec().name;
        if let Some(at) = self.find(name, conn) {
            return at;
        }
        let shard = Shard { path: url.map(str::to_owned), ..Shard::default() };
        let at = self.begin(name, conn, source.session(&shard));
        for instrument in self.defined.clone() {
            self.tell(at, Input::Define(&instrument), now, &[]);
        }
        self.tell(at, Input::Open, now, &[]);
        for reply in std::mem::take(&mut self.held) {
            self.give(at, &reply);
        }
        at
    }

    fn begin(&mut self, name: &'static str, conn: u32, session: Box<dyn Session>) -> usize {
        let engine = Engine::new(engine::Config::default());
        self.lines.push(((name, conn), Line { session, engine, closed: None }));
        self.lines.len() - 1
    }

    fn log_line(&mut self, conn: u32, line: &[u8], now: Ts) {
        self.log = self.log.or_else(|| LOGS.iter().copied().find(|log| log.recognises(line)));
        let Some(log) = self.log else { return self.sink.foreign() };
        let known = self.find(log.name(), conn);
        let at = known.unwrap_or_else(|| self.begin(log.name(), conn, log.session()));
        self.sink.frame(log.name());
        self.tell(at, Input::Frame { bytes: line, binary: false }, now, line);
    }

    /// A connection was opened; one that was open before is closed first.
    fn open(&mut self, source: &'static dyn Source, conn: u32, url: &str, goes_on: bool, now: Ts) {
        let known = self.find(source.spec().name, conn);
        let at = self.line(source, conn, Some(url), now);
        if known.is_some() && !goes_on {
            let closed = self.lines.get_mut(at).and_then(|(_, line)| line.closed.take());
            self.tell(at, Input::Closed, closed.unwrap_or(now), &[]);
            self.tell(at, Input::Open, now, &[]);
        }
    }

    fn frame(&mut self, source: &'static dyn Source, conn: u32, bytes: &[u8], binary: bool, now: Ts) {
        let at = self.line(source, conn, None, now);
        self.sink.frame(source.spec().name);
        self.tell(at, Input::Frame { bytes, binary }, now, bytes);
    }

    fn reply(&mut self, conn: u32, reply: Reply) {
        let path = reply.url.as_deref().unwrap_or_default();
        for source in self.forced.map_or(SOURCES, |_| SOURCES) {
            if self.forced.is_some_and(|f| f.spec().name != source.spec().name) {
                continue;
            }
            if let Some(Ok(found)) = source.define(path, &reply.body) {
                for instrument in found.into_iter().map(Arc::new) {
                    for at in 0..self.lines.len() {
                        if self.lines.get(at).is_some_and(|(key, _)| key.0 == source.spec().name) {
                            self.tell(at, Input::Define(&instrument), reply.at, &[]);
                        }
                    }
                    self.defined.push(instrument);
                }
                return;
            }
        }
        // Our tapes say who asked: a session that only polls has no other sign of life.
        if let Some(source) = self.named.filter(|_| self.ours && conn != LISTINGS) {
            let at = self.line(source, conn, None, reply.at);
            return self.give(at, &reply);
        }
        if self.lines.is_empty() {
            if self.held.len() < REPLIES_HELD_MAX {
                self.held.push(reply);
            }
            return;
        }
        for at in 0..self.lines.len() {
            self.give(at, &reply);
        }
    }

    fn give(&mut self, at: usize, reply: &Reply) {
        let path = reply.url.as_deref().unwrap_or_default();
        let input = Input::Reply { tag: None, path, status: reply.status, retry_ms: None, body: &reply.body };
        self.tell(at, input, reply.at, &reply.body);
    }

    /// Hands an input to a session and carries out what can be carried out in a replay: events and counts.
    fn tell(&mut self, at: usize, input: Input<'_>, now: Ts, frame: &[u8]) {
        let Self { lines, actions, events, sink, place, .. } = self;
        let Some((_, line)) = lines.get_mut(at) else { return };
        line.session.on(input, now, actions);
        let mut resyncs = Vec::new();
        for action in actions.drain(..) {
            match action {
                Action::Emit(event) => resyncs.extend(line.engine.on(event, events)),
                Action::Control(_) => sink.control(),
                Action::Malformed(fault) => sink.malformed(*place, &fault, frame),
                Action::Unknown(what) => sink.unknown(&what),
                // Nobody is there to be asked; a recorded answer comes by itself.
                Action::Send(_) | Action::Fetch { .. } | Action::WakeAt { .. } | Action::Close { .. } => {}
            }
        }
        for event in events.drain(..) {
            sink.event(&event);
        }
        for resync in resyncs {
            let engine::Resync { instrument, channel, .. } = resync;
            self.tell(at, Input::Resync { instrument, channel }, now, frame);
        }
    }

    /// How many connections were read.
    pub fn connections(&self) -> usize {
        self.lines.len()
    }

    /// The sources that were read.
    pub fn sources(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.lines.iter().map(|((name, _), _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
