//! What a pump is told, and what it asks for.

use model::{Event, Instrument, LinkId};
use source::{Fault, Shard, Source, Want};
use std::sync::Arc;

/// How many frames may wait to be sent on one connection.
pub const OUTBOX_MAX: usize = 1_024;

/// One attempt to hold a connection. What is said about an attempt that is over is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn {
    /// Whose; the same through all attempts.
    pub link: LinkId,
    /// Counts the attempts of that link from 1.
    pub attempt: u32,
}

/// What happened outside.
#[derive(Clone, Copy, Debug)]
pub enum In<'a> {
    /// Begin.
    Start,
    /// A connection is open.
    Opened {
        /// Which.
        conn: Conn,
    },
    /// A connection could not be opened.
    OpenFailed {
        /// Which.
        conn: Conn,
        /// What that means for the next try.
        fault: Fault,
        /// Why, in words.
        why: &'a str,
    },
    /// A frame came.
    Frame {
        /// On which connection.
        conn: Conn,
        /// Its payload.
        bytes: &'a [u8],
        /// Whether it came as a binary frame.
        binary: bool,
    },
    /// A ping or a pong came.
    Ping {
        /// On which connection.
        conn: Conn,
    },
    /// A connection ended.
    Closed {
        /// Which.
        conn: Conn,
        /// Why, in words.
        why: &'a str,
    },
    /// A REST request was answered, or could not be.
    Reply {
        /// From the request.
        conn: Conn,
        /// From the request.
        tag: u64,
        /// From the request.
        path: &'a str,
        /// The HTTP status, or 0 where no answer came; then `body` says why.
        status: u16,
        /// From `Retry-After`.
        retry_ms: Option<u64>,
        /// The body.
        body: &'a [u8],
    },
    /// A definition is new or has changed.
    Define(&'a Arc<Instrument>),
    /// These are wanted too, on this connection.
    Subscribe(&'a [Want]),
    /// These are wanted no longer.
    Unsubscribe(&'a [Want]),
    /// Time passed.
    Tick,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Io {
    /// Open a WebSocket.
    Open {
        /// Comes back with what happens on it.
        conn: Conn,
        /// Index into [`Spec::endpoints`](source::Spec::endpoints).
        endpoint: usize,
        /// Path and query.
        path: String,
    },
    /// Send a text frame.
    Send {
        /// On which connection.
        conn: Conn,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a connection, or stop opening it.
    Close {
        /// Which.
        conn: Conn,
    },
    /// Ask by REST.
    Fetch {
        /// Comes back with the answer.
        conn: Conn,
        /// Comes back with the answer.
        tag: u64,
        /// Index into [`Spec::endpoints`](source::Spec::endpoints).
        endpoint: usize,
        /// Path and query.
        path: String,
        /// What it costs of the endpoint's weight.
        weight: u32,
    },
}

/// What follows from an input: events to publish, in order, and things to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Out {
    /// To be published.
    pub events: Vec<Event>,
    /// To be done.
    pub io: Vec<Io>,
}

/// What a pump is made from.
pub struct Setup<'a> {
    /// Whose sessions.
    pub source: &'a dyn Source,
    /// What they carry.
    pub shard: Shard,
    /// The names of its connections: one more than are to be open, for the one that replaces another.
    pub links: Vec<LinkId>,
    /// How books are checked.
    pub engine: engine::Config,
    /// How often a live book is held against the venue's REST book, in ms; never where 0.
    pub referee_ms: u64,
    /// Luck of the back-off.
    pub seed: u64,
    /// Scheme and host that is shown as the address; the spec's where `None`.
    pub host: Option<String>,
    /// How long a connection lives; the spec's where `None`.
    pub lifetime_ms: Option<u64>,
}
