//! What is asked of a simulation, and what it gives.

use std::collections::BTreeMap;

/// Which faults are injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// None.
    None,
    /// All, as the seed has it.
    All,
    /// Frames lost, repeated, late and broken, cuts and stalls, on one of the connections that carry the same at a time.
    OneSide,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The same seed gives the same run.
    pub seed: u64,
    /// Which faults.
    pub faults: Faults,
    /// How long faults are injected, in virtual ms.
    pub faults_ms: u64,
    /// After one that befalls a connection, the venue or the clock the next follows so long after it at least, and before so
    /// long, in virtual ms.
    pub strike_ms: (u64, u64),
    /// How many instruments each product lists.
    pub instruments: usize,
    /// Moves of the market in a second.
    pub moves_per_s: u32,
    /// How many connections carry the same.
    pub connections: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            faults: Faults::All,
            faults_ms: 60_000,
            strike_ms: (2_000, 12_000),
            instruments: 2,
            moves_per_s: 60,
            connections: 1,
        }
    }
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Broken promises and differences between books, in words; empty where all is right.
    pub differences: Vec<String>,
    /// Gaps that were told.
    pub gaps: u64,
    /// The first of them that another connection could have healed, in words.
    pub gap_words: Vec<String>,
    /// Books that the engine sent back.
    pub resyncs: u64,
    /// Live books that equalled the venue's REST book at the same number, and those that did not.
    pub referee: (u64, u64),
    /// Books that went on by another connection after one had lost them.
    pub healed: u64,
    /// Faults injected, by kind.
    pub injected: BTreeMap<&'static str, u64>,
    /// Events that were told.
    pub events: u64,
    /// How many books were compared.
    pub books: usize,
    /// A hash of all events in order.
    pub digest: u64,
}
