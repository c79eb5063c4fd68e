//! Runs sessions on real sockets: connects, paces, watches for silence, reconnects, and hands events to the bus.
//!
//! All decisions are made in [`pump`], which is pure; [`net`] carries them out. Only [`clock`] reads the clock.

mod client;
pub mod clock;
mod config;
mod desk;
mod error;
pub mod limits;
pub mod net;
pub mod pump;
mod run;
mod select;

pub use client::Client;
pub use config::{Secret, SourceConfig};
pub use desk::{Desk, Refusal, Subscription};
pub use error::{Error, Result};
pub use run::{Context, run_source};
pub use select::Selector;
