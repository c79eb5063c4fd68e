//! Served over real sockets from a real bus.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod history;
mod limits;
mod realtime;
mod rest;
mod sql;
mod stocks;
mod storage;
mod stream;
mod watch;
mod world;
