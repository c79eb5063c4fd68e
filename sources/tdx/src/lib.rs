//! 通达信: the A-share market by the servers of its terminals, port 7709.

pub mod codec;
