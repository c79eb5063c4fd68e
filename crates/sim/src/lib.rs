//! Hosts the simulators of sources: on real ports ([`host`]), and in memory under virtual time and faults ([`world`]).

pub mod host;
mod plan;
mod reader;
pub mod world;

pub use host::{Error, Host};
pub use plan::{Faults, Outcome, Plan};
pub use world::run;
