//! Served over real sockets from a real bus.

mod limits;
mod rest;
mod stream;
mod watch;
mod world;
