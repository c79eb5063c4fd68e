//! The process as its asker sees it: requests in, frames out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

mod answers;
mod ask;
mod away;
mod damage;
mod data;
mod ends;
mod pruning;
