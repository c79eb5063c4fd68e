//! The wire of 7709: every command, what is asked by it and what is answered, each described once and both read and
//! written by that description. Facts are those of public clients and recorded packets; the README names them.

pub mod bars;
pub mod corporate;
pub mod files;
pub mod frame;
pub mod minutes;
pub mod query;
pub mod quotes;
pub mod session;
pub mod text;
pub mod trades;
pub mod walk;

mod answer;
pub mod list;

pub use answer::{Answer, Decoded, STUB, is_index};
pub use list::{Listed, ListedOld};
pub use query::{BarsQuery, Code, Query};
