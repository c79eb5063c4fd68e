//! What names the one thing that a frame tells, so that a copy of it is known without being read.

use model::{Channel, InstrumentId, TradeId};

/// The key of the one thing that a frame tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of what.
    pub instrument: InstrumentId,
    /// Which kind of data.
    pub channel: Channel,
    /// Which of them.
    pub of: Named,
}

/// A thing by the venue's names for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A delta, by the states that it joins.
    Delta {
        /// As in [`model::Delta::prev_seq`].
        prev_seq: u64,
        /// As in [`model::Delta::seq`].
        seq: u64,
    },
    /// A trade, by its id.
    Trade(TradeId),
}
