//! Raw frames on disk: our own tapes, and recordings that others have made.
//!
//! [`Reader`] yields the [`Record`]s of a file in order of time. Compression (gzip, zstd, zip, none) and format are found
//! by content, never by name:
//!
//! | format | a line or record | what a record becomes |
//! | --- | --- | --- |
//! | our tape | see [`Writer`] | as it was written |
//! | hft lines | `<time> <JSON>`; the time has 16 digits for µs, up to 19 for ns | `Frame`; `{"lastUpdateId"…` is a `Reply` without URL |
//! | cryptofeed text | `<seconds>: <frame>` | `Frame`, binary where it is a Python bytes literal |
//! | | `<url> <-> <seconds>`, or a bare `<url>` | `Connect` |
//! | | `<url> <- <seconds>: <text>` | `Sent` |
//! | | `<url> -> <seconds>: <body>` | `Reply` |
//! | | `configuration: …` | `Header` |
//! | cryptofeed jsonl | `{"t":"header"…}`, `http`, `connect`, `send`, `recv`, `close` | `Header`, `Reply`, `Connect`, `Sent`, `Frame`, `Closed` |
//! | samples | `{…,"msg":"<frame>"}` | `Frame` at times 1, 2, 3 ns |
//! | Level-2 log | `//SecurityIDSource=101 MsgType=192 …`, a message of the exchange | `Line` |
//!
//! The lines of a cryptofeed jsonl file are grouped by connection, those of a Level-2 log by kind; they are held in memory
//! and sorted by time. Everything else streams, but for a .zip, whose parts are unpacked one at a time.
//!
//! A Level-2 log has times of day and no day: that is the last date of eight digits in the file's name or, where it has
//! none, in the nearest folder's that has one; 1970-01-01 where none has.
//!
//! Our tapes are chained by block: [`Chain`] holds one against itself, [`compare()`] two sets of them against each other.
//!
//! All calls block, and none reads a clock.

mod block;
mod blocks;
mod chain;
mod compare;
mod config;
mod error;
mod folder;
mod hft;
mod input;
mod jsonl;
mod lines;
mod log;
mod reader;
mod text;
mod writer;

pub use chain::{Chain, Day, Hash, content};
pub use compare::{Comparison, HASHES_MAX, NAMED_MAX, Named, Root, Shares, Stream, compare};
pub use config::Config;
pub use error::{Error, Place, Result};
pub use folder::{Tape, all, tapes};
pub use reader::{Format, Reader};
pub use writer::{Entry, Report, Writer};

use model::Ts;

/// The longest line or record that is read or written.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// How many bytes of a cryptofeed jsonl file or of a Level-2 log are held in memory to be sorted, and of a part of a .zip
/// to be unpacked.
pub const SORT_BYTES_MAX: usize = 2 << 30;

/// What one of our tapes says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The name of the source that was recorded.
    pub source: String,
    /// The hosts of the endpoints that it may talk to.
    pub hosts: Vec<String>,
    /// When the file was begun.
    pub created: Ts,
    /// The end of the chain of the tape before; `None` where this one began anew, and in version 1.
    pub before: Option<Hash>,
}

/// Something that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it happened by the recorder's clock. A record without a time of its own has that of the next one that has.
    pub ts: Ts,
    /// On which connection. Our tapes keep the number that was written; in a cryptofeed jsonl file each `conn` has a
    /// number, from 0 in the order of the file; the other formats do not tell connections apart and all is on 0.
    pub conn: u32,
    /// What happened.
    pub kind: Kind,
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the recording says about itself. At most once, first, on connection 0.
    Header {
        /// Who was recorded: in our tapes the name of the source, elsewhere the recorder's name of the venue.
        source: Option<String>,
    },
    /// The connection was opened. One of our tapes begins with a `Connect` for each connection that was open when the
    /// tape before it ended; who reads tapes as a series passes over a `Connect` of an open connection.
    Connect {
        /// To where.
        url: String,
    },
    /// We sent a frame.
    Sent(Vec<u8>),
    /// A frame came.
    Frame {
        /// The payload as it was on the wire, still compressed where the venue compresses.
        bytes: Vec<u8>,
        /// Whether it was a binary frame.
        binary: bool,
    },
    /// A message in a log of an exchange, which tells of no connection. Logs are sorted, so it keeps its place.
    Line {
        /// The line of the file (of a .zip: of its parts one after the other), from 1.
        number: u64,
        /// What stands there.
        bytes: Vec<u8>,
    },
    /// A REST answer came.
    Reply {
        /// What was asked; `None` where the recording does not say.
        url: Option<String>,
        /// The HTTP status; 200 where the recording does not say.
        status: u16,
        /// The body, content encoding undone.
        body: Vec<u8>,
    },
    /// The connection ended.
    Closed {
        /// Why, in words.
        why: String,
    },
}
