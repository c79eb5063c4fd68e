//! What became of subscriptions and connections.

use crate::time::Ts;

/// How strongly a lane's completeness can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The venue numbers its events.
    Sequence,
    /// The venue sends a checksum.
    Checksum,
    /// Nothing but trust.
    None,
}

impl Proof {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Checksum => "checksum",
            Self::None => "none",
        }
    }
}

/// Names a connection within a source for the life of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What became of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneFact {
    /// We asked for it.
    Asked {
        /// How completeness of this lane can be shown.
        proof: Proof,
        /// The longest silence the venue's cadence allows, in ms; `None` where data come only when something happens.
        quiet_ms: Option<u32>,
    },
    /// This connection carries it now.
    Carried(LinkId),
    /// The venue agreed.
    Acked,
    /// The venue said no, in these words.
    Refused(Box<str>),
    /// Waiting for a snapshot, in these words.
    Syncing(Box<str>),
    /// A hole was filled from the venue's history.
    Repaired {
        /// The last state before the hole, where the venue numbers them.
        from_seq: Option<u64>,
        /// The first state after it.
        to_seq: Option<u64>,
        /// How many events were filled in.
        events: u64,
    },
    /// A hole could not be filled.
    Unrepaired {
        /// The last state before the hole, where the venue numbers them.
        from_seq: Option<u64>,
        /// The first state after it.
        to_seq: Option<u64>,
        /// Why, in words.
        why: Box<str>,
    },
    /// We no longer want it.
    Dropped,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFact {
    /// Being opened.
    Connecting {
        /// Which connection.
        link: LinkId,
        /// To where.
        url: Box<str>,
    },
    /// Open.
    Up {
        /// Which connection.
        link: LinkId,
    },
    /// Still open: when it last carried something.
    Alive {
        /// Which connection.
        link: LinkId,
        /// When the last data frame came.
        last_frame: Option<Ts>,
        /// When the last ping or pong came.
        last_ping: Option<Ts>,
    },
    /// Lost or never reached, in these words.
    Down {
        /// Which connection.
        link: LinkId,
        /// Why.
        why: Box<str>,
        /// How long until the next try, in ms; `None` where there is none.
        retry_ms: Option<u64>,
    },
    /// How far the venue's clock is from ours.
    Clock {
        /// Under which name it is shown.
        link: LinkId,
        /// The venue's time less ours, in ns.
        offset_ns: i64,
        /// By how much that may be wrong, in ns: half of the time that asking took.
        error_ns: u64,
    },
    /// A frame that could not be read, in words, with its beginning.
    Malformed {
        /// Which connection.
        link: LinkId,
        /// What was wrong and where.
        what: Box<str>,
    },
    /// A field or value that we do not know; the first time it is seen.
    Unknown {
        /// Which connection.
        link: LinkId,
        /// Where it stood: `bookTicker.xyz`.
        what: Box<str>,
    },
}
