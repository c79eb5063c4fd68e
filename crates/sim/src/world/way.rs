//! What is on its way between clients and venue.

use feed::pump::Conn;
use model::Ts;
use source::Peer;

/// Something that is on its way.
pub(super) enum Due {
    /// Reaches the client.
    Client(usize, Conn, Arrival),
    /// Reaches the venue.
    Venue(Conn2, Departure),
    /// The venue wanted to be woken.
    VenueWake,
    /// A pump may have something to do.
    Tick(usize),
    /// The next fault of the whole.
    Fault,
    /// A held link flows again.
    Release(Peer),
}

/// A connection of a pump.
pub(super) type Conn2 = (usize, Conn);

pub(super) enum Arrival {
    Opened,
    Frame(Vec<u8>, bool),
    Ping,
    Closed(String),
    Reply { tag: u64, path: String, status: u16, retry_ms: Option<u64>, body: Vec<u8> },
}

pub(super) enum Departure {
    Open(usize, String),
    Frame(Vec<u8>),
    Pong(Vec<u8>),
    Close,
    Request { tag: u64, endpoint: usize, path: String },
}

/// A connection as the venue sees it.
pub(super) struct Wire {
    pub(super) owner: Conn2,
    /// Nothing overtakes anything: when the last frame arrives.
    pub(super) last: Ts,
    /// Set while the link is stalled: what waits.
    pub(super) stalled: Option<Vec<Arrival>>,
    /// A frame that is to change places with the next.
    pub(super) swapped: Option<Arrival>,
    /// The venue has closed it; only what waits is still to come.
    pub(super) over: bool,
}
