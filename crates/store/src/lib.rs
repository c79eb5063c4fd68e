//! Every event that the bus numbered, on disk.
//!
//! [`log`] is the file format and its writer and reader; [`Archive`] is a lossless reader of the bus that commits to it.
//! What is acknowledged outlives a kill and a loss of power; [`log`] says exactly what that means.

mod archive;
mod code;
mod config;
pub mod disk;
pub mod ledger;
pub mod log;

pub use archive::{Acked, Archive, Ended};
pub use config::Config;

use std::io;
use std::path::PathBuf;

/// Why events cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes there.
    #[error("another process keeps events in `{path}`")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("failed to {doing} `{path}`")]
    Disk {
        /// What was tried: `write to`.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the functions of this crate give.
pub type Result<T> = std::result::Result<T, Error>;
