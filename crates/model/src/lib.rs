//! The nouns of a market: numbers, times, instruments, events. No clock, no socket, no serialiser.

pub mod ashare;
mod catalogue;
mod date;
mod event;
mod fact;
mod instrument;
mod num;
mod states;
mod time;

pub use catalogue::{Catalogue, Lookup};
pub use date::Date;
pub use event::{
    Body, Channel, Checksum, ChecksumKind, Delta, Event, Flags, Gap, GapCause, Level, Levels, Side, Snapshot,
    SourceName, Stamp, Trade, TradeId,
};
pub use fact::{LaneFact, LinkFact, LinkId, Proof};
pub use instrument::{Instrument, InstrumentId, InstrumentKind, Right, Status};
pub use num::{Decimal, NumError, Px, Qty, SCALE_MAX, Scale, parse_mantissa, rescale, write_mantissa};
pub use states::{
    Bar, CapitalFlow, CorporateAction, DayStats, Finding, Fundamentals, Funding, Greeks, Liquidation,
    LongShortRatio, Minute, OpenInterest, Order, OrderAction, Quote, RankRow, Ranking, Sector,
};
pub use time::Ts;
