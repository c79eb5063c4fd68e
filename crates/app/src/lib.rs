//! The binary's parts: commands, config, the registry of sources, and the one page of wiring.

pub mod config;
pub mod demo;
pub mod error;
pub mod events;
pub mod history;
pub mod query;
pub mod quotes;
pub mod replay;
pub mod simulate;
pub mod soak;
pub mod sources;
pub mod status;
pub mod subscriptions;
pub mod tapes;
pub mod term;
pub mod topology;
