//! Hosts the simulators of sources: on real ports ([`host`]), in front of recordings, and in memory under virtual time and faults ([`world`]).

pub mod host;
mod plan;
mod reader;
mod recording;
pub mod world;

pub use host::{Error, Host};
pub use plan::{Faults, Outcome, Plan};
pub use recording::{FrameFaults, Playback, Recording};
pub use world::{run, watch};
