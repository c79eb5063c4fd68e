//! 通达信: the A-share market by the servers of its terminals, port 7709.

pub mod codec;
pub mod disk;
pub mod number;
pub mod time;

/// The name of the source.
pub const NAME: model::SourceName = "tdx";
