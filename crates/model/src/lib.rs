//! The nouns of a market: numbers, times, instruments, events. No clock, no socket, no serialiser.

mod catalogue;
mod event;
mod fact;
mod instrument;
mod num;
mod time;

pub use catalogue::{Catalogue, Lookup};
pub use event::{
    Bar, Body, Channel, Checksum, ChecksumKind, DayStats, Delta, Event, Finding, Flags, Funding, Gap,
    GapCause, Greeks, Level, Levels, Liquidation, LongShortRatio, OpenInterest, Quote, Side, Snapshot,
    SourceName, Stamp, Trade, TradeId,
};
pub use fact::{LaneFact, LinkFact, LinkId, Proof};
pub use instrument::{Instrument, InstrumentId, InstrumentKind, Right, Status};
pub use num::{Decimal, NumError, Px, Qty, SCALE_MAX, Scale, parse_mantissa, rescale, write_mantissa};
pub use time::Ts;
