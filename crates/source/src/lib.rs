//! What every source must be able to say. Nothing here or in a source does I/O, reads a clock or draws luck from outside.
//!
//! A [`Session`] is our end of one connection to a venue, a [`Sim`] is the venue's end of the same wire. Both are pure:
//! bytes and time go in, actions come out. Who carries the bytes (a socket, a recording, a test in memory) is not theirs
//! to know.

pub mod archive;
pub mod ashare;
#[allow(clippy::panic, reason = "a check fails by panic, as a test does")]
pub mod conformance;
pub mod json;
mod log;
mod mark;
pub mod market;
#[allow(clippy::panic, reason = "a check fails by panic, as a test does")]
pub mod pair;
pub mod poll;
mod pulse;
mod rest;
pub mod scan;
mod sim;
pub mod web;

pub use archive::{Archive, Records, Row};
pub use json::{Cursor, Field, Malformed, What};
pub use log::Log;
pub use mark::{Mark, Named};
pub use pulse::{Beat, Pulse};
pub use rest::{History, NoRest, Past, Rest, Turnover};
pub use scan::Scan;
pub use sim::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};

use model::{Channel, Event, Instrument, InstrumentId, Proof, SourceName, Ts};
use std::sync::Arc;

/// One exchange or data service: what it offers, and how to talk to it.
pub trait Source: Sync {
    /// Names, addresses and limits.
    fn spec(&self) -> &'static Spec;

    /// The requests whose answers list all instruments.
    fn listings(&self) -> Vec<Request>;

    /// The request for the next page of a listing, told by the answer to the page before; `None` where that was the last.
    fn more(&self, _request: &Request, _body: &[u8]) -> Option<Request> {
        None
    }

    /// Reads an answer to one of [`Source::listings`] or [`Source::more`]; `path` is the path (or the recorded URL) that was asked.
    /// `None` where the path is no listing.
    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>>;

    /// Cuts what is wanted into what one connection each can carry. Wants that the source has no channel for are left out.
    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard>;

    /// A session for a shard. Without wants it subscribes to nothing and reads whatever comes, as a replay needs; the
    /// shard's path is then the recorded URL, where there is one.
    fn session(&self, shard: &Shard) -> Box<dyn Session>;

    /// The venue's end of the wire.
    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim>;

    /// What is added to the headers of every handshake and request at an endpoint.
    fn headers(&self, _endpoint: usize) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Where the first frame of a stream of bytes ends: how many bytes it takes, `None` where more must come to tell or to
    /// end it. Only for endpoints whose address is no WebSocket's ([`Endpoint::ws`]). What it returns is more than 0 and
    /// at most the length of `bytes`.
    ///
    /// # Errors
    /// Where these bytes can begin no frame, or one that is longer than the source allows: the connection is given up.
    fn cut(&self, _endpoint: usize, _from: End, _bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        Err(Malformed { at: 0, what: What::Rule("the source has no streams of bytes") })
    }

    /// The frames that a new connection for requests begins with, where [`Endpoint::rest`] is `tcp://`: each is answered by
    /// one, which nobody reads. Sessions greet by themselves.
    fn greeting(&self, _endpoint: usize) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether the venue lets go of a client at this endpoint that does not read what it pushes. Such a connection is read
    /// at any time: while a lossless reader is full, of each lane only the newest event is kept, and what was lost is told
    /// as a gap. Only where every event is whole by itself, no deltas.
    fn must_read(&self, _endpoint: usize) -> bool {
        false
    }

    /// Whether a recorded connection is this source's, by its URL or by the look of a frame.
    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool;

    /// What else can be asked by REST.
    fn rest(&self) -> &dyn Rest {
        &NoRest
    }
}

/// Facts about a source that the runner needs.
#[derive(Debug)]
pub struct Spec {
    /// The folder's name.
    pub name: SourceName,
    /// Where its protocol is documented.
    pub docs: &'static str,
    /// Where it can be reached.
    pub endpoints: &'static [Endpoint],
    /// What it offers.
    pub channels: &'static [ChannelSpec],
    /// The largest frame or answer that is accepted.
    pub frame_bytes_max: usize,
}

impl Spec {
    /// The facts of a channel, where the source offers it.
    pub fn channel(&self, channel: Channel) -> Option<&'static ChannelSpec> {
        self.channels.iter().find(|c| c.channel == channel)
    }
}

/// Who wrote a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Our end, or any other client's.
    Client,
    /// The venue's end.
    Venue,
}

/// One address of a source with its limits.
#[derive(Debug)]
pub struct Endpoint {
    /// Short name, used in config to point it elsewhere: `spot`.
    pub name: &'static str,
    /// Where sessions connect: scheme and host without a path.
    ///
    /// * `wss://` or `ws://`: a WebSocket; a message is a frame.
    /// * `tcp://host:port`: a stream of bytes both ways, cut into frames by [`Source::cut`]; `Action::Send` writes its
    ///   bytes as they are. Several addresses with commas between are servers of the same: the one that answers first is
    ///   taken, and for a while not one that was lost.
    /// * `https://` or `http://`: a GET of the shard's path whose answer goes on (server-sent events), cut into frames by
    ///   [`Source::cut`].
    pub ws: &'static str,
    /// Where requests go: scheme and host without a path. With `tcp://` (one or several, as above) a path is a request
    /// frame in hexadecimal digits, and its answer, status 200, is the one frame that comes back; a connection begins with
    /// [`Source::greeting`].
    pub rest: &'static str,
    /// How often a connection may be opened.
    pub connects: Rate,
    /// How many frames may be sent on a connection.
    pub sends: Rate,
    /// How much REST weight may be used.
    pub weight: Rate,
    /// The longest silence on a connection, pings counted, before it is stale.
    pub heartbeat_ms: u64,
    /// After how long the venue closes a connection; `None` where it does not.
    pub lifetime_ms: Option<u64>,
}

/// At most `max` in any `per_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub max: u32,
    /// In how many milliseconds.
    pub per_ms: u64,
}

/// Facts about a channel of a source.
#[derive(Debug)]
pub struct ChannelSpec {
    /// Which.
    pub channel: Channel,
    /// How its completeness can be shown.
    pub proof: Proof,
    /// The longest silence that the venue's cadence allows, in ms; `None` where data come only when something happens.
    pub quiet_ms: Option<u32>,
}

/// Choices that apply to all wants of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often a book is pushed, in ms; the nearest that the venue offers is taken.
    pub book_ms: u32,
    /// The interval of bars: `1m`.
    pub bar_interval: String,
    /// How the source lays out its records, where that is not one for all: a name or a text that its README explains. Empty
    /// for the usual way.
    pub layout: String,
    /// With what to log in, where channels need it.
    pub login: Option<Login>,
    /// Whether a source of a market with trading hours is read outside of them too, as a test or a demonstration needs.
    pub all_hours: bool,
}

/// A key of the venue, with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The public part, or a token that is all there is; never shown.
    pub key: String,
    /// The secret part; never shown.
    pub secret: String,
}

impl std::fmt::Debug for Login {
    /// Neither part: with some venues the key alone opens the door.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            book_ms: 100,
            bar_interval: "1m".to_owned(),
            layout: String::new(),
            login: None,
            all_hours: false,
        }
    }
}

/// A channel of an instrument that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Of what.
    pub instrument: Arc<Instrument>,
    /// Which kind of data.
    pub channel: Channel,
}

/// What one session carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// Index into [`Spec::endpoints`].
    pub endpoint: usize,
    /// Path and query of the WebSocket; `None` for a session that only polls by REST.
    pub path: Option<String>,
    /// What it subscribes to.
    pub wants: Vec<Want>,
    /// The choices in force.
    pub options: Options,
}

/// A REST request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Index into [`Spec::endpoints`].
    pub endpoint: usize,
    /// Path and query.
    pub path: String,
    /// What it costs of the endpoint's weight.
    pub weight: u32,
}

/// Our end of one connection.
///
/// For a book the session promises: a snapshot, then deltas without a hole, each with the `seq` of the event before as
/// its `prev_seq`; or a `Gap`, and then a snapshot again. While a book waits for its snapshot the session says so by
/// `LaneFact::Syncing` and emits no delta.
pub trait Session: Send {
    /// Takes one input at the time `now` and appends what follows from it. For frames and replies `now` is the time
    /// when the last byte was read.
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>);

    /// Passes over a frame whose news another connection was quicker to bring: looks no further than for the key of
    /// the one thing that the frame would tell, and asks `told`, once at most, whether that was told. Where it was, the
    /// session stands from then on as if it had read the frame, and this is true. Else nothing has changed, and the frame
    /// is to be handed to [`Session::on`].
    ///
    /// A frame from which anything else would follow has no such key, save a definition that its numbers widen: who brought
    /// it first has widened it, and it is told by [`Input::Define`]. What stands behind the key is not looked at, so
    /// damage there goes unnoticed and harms nothing.
    fn pass_over(
        &mut self,
        _frame: &[u8],
        _binary: bool,
        _now: Ts,
        _told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        false
    }
}

/// What the outside world tells a session.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The connection is open. For a session that only polls: it may begin.
    Open,
    /// A frame came.
    Frame {
        /// Its payload.
        bytes: &'a [u8],
        /// Whether it came as a binary frame.
        binary: bool,
    },
    /// The answer to a [`Action::Fetch`], or one found in a recording.
    Reply {
        /// The tag of the request; `None` in a recording.
        tag: Option<u64>,
        /// The path that was asked; in a recording the recorded URL, or empty where it kept none.
        path: &'a str,
        /// The HTTP status, or 0 where no answer came; then `body` says why.
        status: u16,
        /// How long the venue asks us to wait, from `Retry-After`.
        retry_ms: Option<u64>,
        /// The body.
        body: &'a [u8],
    },
    /// The time asked for by [`Action::WakeAt`] has come.
    Wake {
        /// Which one.
        timer: u64,
    },
    /// The engine found a book wrong; start it again from a snapshot.
    Resync {
        /// Whose.
        instrument: InstrumentId,
        /// Which kind.
        channel: Channel,
    },
    /// A new definition of an instrument is in force.
    Define(&'a Arc<Instrument>),
    /// These are wanted too, while the connection goes on; what is carried already is not disturbed. Sent to an open
    /// session or a closed one, and only what [`Source::shards`] would put on this connection with the rest.
    Subscribe(&'a [Want]),
    /// These are wanted no longer: unsubscribe, say `LaneFact::Dropped`, and forget them.
    Unsubscribe(&'a [Want]),
    /// The connection is closed. Every live book of it is a `Gap` now.
    Closed,
}

/// What a session asks of the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this as a text frame.
    Send(Vec<u8>),
    /// Ask for this by REST at the session's endpoint and hand me the answer.
    Fetch {
        /// Comes back with the answer.
        tag: u64,
        /// Path and query.
        path: String,
        /// What it costs of the endpoint's weight.
        weight: u32,
    },
    /// Wake me at this time. A later call with the same timer replaces the earlier one.
    WakeAt {
        /// Comes back with the wake-up.
        timer: u64,
        /// When.
        at: Ts,
    },
    /// This happened.
    Emit(Event),
    /// The frame was no data but part of the protocol: an acknowledgement, a pong, a notice.
    Control(&'static str),
    /// The frame, or a part of it, could not be read. It is counted and shown; nothing else suffers.
    Malformed(Malformed),
    /// A field or value that we do not know; counted and shown, the frame is used all the same.
    Unknown(String),
    /// Give up the connection.
    Close {
        /// What to do next.
        fault: Fault,
        /// Why, in words.
        why: String,
    },
}

/// Why a connection is given up, and so what the runner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The venue went quiet past its heartbeat: reconnect at once.
    Stale,
    /// The venue said that it will close: reconnect at once, the new connection before the old goes.
    Planned,
    /// A frame that the protocol does not allow: reconnect with back-off.
    Protocol,
    /// The venue told us to go away: reconnect only after the longest back-off.
    Refused,
}

/// The definition that could hold the number that did not fit, or `None` where none can or the fault is another.
///
/// A definition seen from the venue widens too: a tick may get finer before the catalogue is read again.
pub fn refit(instrument: &Instrument, malformed: &Malformed) -> Option<Arc<Instrument>> {
    let What::Scale(field, number) = malformed.what else { return None };
    let old = match field {
        Field::Px => instrument.px_scale,
        Field::Qty => instrument.qty_scale,
    };
    let known = match field {
        Field::Px => instrument.tick,
        Field::Qty => instrument.lot,
    };
    let needed = number.scale();
    // Too fine: as fine as the number. Too large: as coarse as number and tick allow.
    let new = if needed > old { needed } else { needed.max(known.map_or(0, model::Decimal::scale)) };
    number.mantissa_at(new)?;
    match field {
        Field::Px => instrument.rescaled(new, instrument.qty_scale),
        Field::Qty => instrument.rescaled(instrument.px_scale, new),
    }
    .map(Arc::new)
}
