//! What a simulated venue changes about its instruments while they trade, and when.

/// A change, at its time since the venue opened. Venues with changes make all of them, each in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The second instrument's tick gets ten times finer: after 45 s.
    Refine,
    /// The last instrument of the opening stops trading: after 20 s, then every 2 min.
    Suspend,
    /// It trades again: 45 s later.
    Resume,
    /// Another coin is listed and does not trade yet: after 70 s.
    List,
    /// It trades: after 73 s.
    Open,
    /// It trades no longer and is taken off the list: after 130 s.
    Delist,
}

impl Change {
    /// The change so many ms after the opening.
    pub fn at(ms: u64) -> Option<Self> {
        match (ms, ms % 120_000) {
            (45_000, _) => Some(Self::Refine),
            (70_000, _) => Some(Self::List),
            (73_000, _) => Some(Self::Open),
            (130_000, _) => Some(Self::Delist),
            (_, 20_000) => Some(Self::Suspend),
            (_, 65_000) => Some(Self::Resume),
            _ => None,
        }
    }
}
