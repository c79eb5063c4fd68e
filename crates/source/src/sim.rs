//! The venue's end of a wire.

use crate::Login;
use model::{Instrument, Level, Ts};
use std::sync::Arc;

/// Names a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// A venue: clients come in, frames and answers go out. Pure, like a session; one market inside, made from a seed.
pub trait Sim: Send {
    /// Takes one input at the time `now` and appends what the venue does.
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>);

    /// Makes the venue misbehave, or stand still.
    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>);

    /// The true books that clients should hold once everything sent has arrived.
    fn books(&self) -> Vec<SimBook>;

    /// With what clients must log in; `None` where they need not.
    fn login(&self) -> Option<Login> {
        None
    }

    /// How many bytes may wait for a client before the venue lets it go; `None` where the venue says nothing of it. Who
    /// carries the bytes counts them.
    fn backlog_bytes_max(&self) -> Option<usize> {
        None
    }

    /// In front of a recording ([`SimSetup::tape`]): under which subscription a recorded frame was sent, as
    /// [`SimAction::Joined`] names it. `None` for what belongs to a connection alone: acknowledgements, pongs.
    fn topic(&self, _endpoint: usize, _frame: &[u8]) -> Option<Topic> {
        None
    }

    /// In front of a recording: gives a recorded frame that is about to be sent the number that this client's connection
    /// counts, where the venue counts frames by connection.
    fn renumber(&mut self, _peer: Peer, _frame: &mut Vec<u8>) {}
}

/// Under which subscription a recorded frame was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The subscription: `trade.BTCUSDT`.
    pub key: String,
    /// Whether a client that starts here misses nothing: a whole book, a quote, a trade; false for a delta.
    pub fresh: bool,
}

/// What a venue is made from.
#[derive(Clone, Debug)]
pub struct SimSetup {
    /// The same seed gives the same market.
    pub seed: u64,
    /// The time at which it opens.
    pub start: Ts,
    /// How many instruments it lists in each product.
    pub instruments: usize,
    /// How many moves (level changes and trades) its market makes in a second, over all instruments.
    pub moves_per_s: u32,
    /// How fast the time of a market with trading hours goes; 1 is as ours.
    pub speed: u32,
    /// Overrides how long a connection may live.
    pub lifetime_ms: Option<u64>,
    /// Overrides how often it pings.
    pub ping_ms: Option<u64>,
    /// Stands in front of a recording: any symbol may be subscribed to and is acknowledged as the venue does, pings and
    /// limits hold, but no data are sent: they come from the recording, by [`Sim::topic`].
    pub tape: bool,
}

impl Default for SimSetup {
    fn default() -> Self {
        Self {
            seed: 1,
            start: Ts(0),
            instruments: 3,
            moves_per_s: 100,
            speed: 1,
            lifetime_ms: None,
            ping_ms: None,
            tape: false,
        }
    }
}

/// What clients do, and time.
#[derive(Clone, Copy, Debug)]
pub enum SimInput<'a> {
    /// A client opened a WebSocket.
    Open {
        /// Who.
        peer: Peer,
        /// Index into [`Spec::endpoints`](crate::Spec::endpoints).
        endpoint: usize,
        /// Path and query.
        path: &'a str,
    },
    /// A client sent a text or binary frame.
    Frame {
        /// Who.
        peer: Peer,
        /// What.
        bytes: &'a [u8],
    },
    /// A client answered a ping.
    Pong {
        /// Who.
        peer: Peer,
        /// With which payload.
        payload: &'a [u8],
    },
    /// A client's connection is gone.
    Closed {
        /// Who.
        peer: Peer,
    },
    /// A REST request.
    Request {
        /// Comes back with the answer.
        request: u64,
        /// Index into [`Spec::endpoints`](crate::Spec::endpoints).
        endpoint: usize,
        /// Path and query.
        path: &'a str,
    },
    /// The time asked for by [`SimAction::WakeAt`] has come, or just time passing.
    Wake,
}

/// What the venue does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimAction {
    /// Sends a frame.
    Send {
        /// To whom.
        peer: Peer,
        /// What.
        bytes: Vec<u8>,
        /// As a binary frame.
        binary: bool,
    },
    /// Sends a WebSocket ping.
    Ping {
        /// To whom.
        peer: Peer,
        /// With which payload.
        payload: Vec<u8>,
    },
    /// Answers a request.
    Reply {
        /// Which.
        request: u64,
        /// HTTP status.
        status: u16,
        /// Extra headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Closes a connection; code 0 drops it without a close frame.
    Close {
        /// Whose.
        peer: Peer,
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// In front of a recording: a client has subscribed, after the acknowledgement.
    Joined {
        /// Who.
        peer: Peer,
        /// To what.
        key: String,
    },
    /// In front of a recording: a client has unsubscribed.
    Left {
        /// Who.
        peer: Peer,
        /// From what.
        key: String,
    },
    /// Wake me at this time; replaces the earlier call.
    WakeAt(Ts),
}

/// How a venue misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimControl {
    /// The market stands still (true) or moves again; what is pending is sent first.
    Pause(bool),
    /// The next REST books are those of this many book events ago.
    LateSnapshots(u32),
    /// This many of the next subscriptions are refused, or acknowledged and never fed, as the venue does.
    RefuseSubscriptions(u32),
    /// This many of the next REST requests are answered by 429 with a `Retry-After`.
    RateLimit(u32),
    /// Every connection is told to go and closed, as at the end of its life.
    CloseAll,
}

/// A true book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimBook {
    /// Whose.
    pub instrument: Arc<Instrument>,
    /// The venue's number of this state.
    pub seq: Option<u64>,
    /// Best first.
    pub bids: Vec<Level>,
    /// Best first.
    pub asks: Vec<Level>,
}

impl SimBook {
    /// Whether these levels of a definition with other scales, best first, are its own.
    pub fn has(&self, instrument: &Instrument, bids: &[Level], asks: &[Level]) -> bool {
        let (ours, theirs) = (&self.instrument, instrument);
        let wide = (ours.px_scale.max(theirs.px_scale), ours.qty_scale.max(theirs.qty_scale));
        let number = |of: &Instrument, level: &Level| {
            let px = model::rescale(level.px.0, of.px_scale, wide.0)?;
            Some((px, model::rescale(level.qty.0, of.qty_scale, wide.1)?))
        };
        let side = |mine: &[Level], other: &[Level]| {
            let same = |(a, b): (&Level, &Level)| {
                let number = (number(ours, a), number(theirs, b));
                number.0.is_some() && number.0 == number.1
            };
            mine.len() == other.len() && mine.iter().zip(other).all(same)
        };
        side(&self.bids, bids) && side(&self.asks, asks)
    }
}
