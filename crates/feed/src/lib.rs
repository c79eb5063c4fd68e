//! Runs sessions on real sockets: connects, paces, watches for silence, reconnects, and hands events to the bus.
//!
//! All decisions are made in [`pump`], which is pure; [`net`] carries them out. Only [`clock`] reads the clock.

pub mod clock;
mod config;
pub mod limits;
pub mod pump;

pub use config::SourceConfig;
