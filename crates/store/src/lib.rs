//! Every event that the bus numbered, on disk.
//!
//! [`log`] is the file format and its writer and reader; [`Archive`] is a lossless reader of the bus that commits to it.
//! What is acknowledged outlives a kill and a loss of power; [`log`] says exactly what that means.

mod archive;
mod backup;
mod books;
mod code;
pub mod cold;
mod config;
mod copy;
pub mod disk;
mod extract;
mod file;
mod fill;
mod foreign;
mod hot;
pub mod ledger;
mod library;
pub mod log;
mod manifest;
mod merge;
mod reader;
mod same;
mod seal;
mod shelf;
pub mod sql;
mod store;
mod sweep;
mod table;

pub use archive::{Acked, Archive, Ended};
pub use backup::{BackupReport, RestoreReport, backup, restore};
pub use books::{BookAtState, BookLoss};
pub use code::lasting as source_name;
pub use config::Config;
pub use extract::Columnar;
pub use fill::{Filled, Filler};
pub use foreign::Foreign;
pub use manifest::{Note, RebuildReport, rebuild};
pub use merge::MergeReport;
pub use reader::{BookAt, ColdSize, FileCheck, Query, Range, Reader, Scan, TableSize, Timeline};
pub use same::{Identity, identity};
pub use seal::SealReport;
pub use store::{Control, OpenedStore, Running, Step, Store};
pub use table::Table;

use model::{Event, Flags, Ts};
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
    /// A file is not what was written.
    #[error("`{path}` is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// Nobody looks after the files.
    #[error("the store does not run")]
    Stopped,
    /// The catalogue of files refused.
    #[error("failed to {doing} the catalogue `{path}`: {why}")]
    Catalogue {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What stands in the cold tier cannot be had, or nothing brought there.
    #[error("failed to {doing} `{object}`")]
    Cold {
        /// What was tried: `fetch`.
        doing: &'static str,
        /// The object or place, as people name it.
        object: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A backup cannot be made there, or not be restored.
    #[error("`{path}`: {why}")]
    Backup {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        why: String,
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
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// When something happened, as far as it is known: by the venue's clock, or by ours where the venue says nothing or
/// something absurd. By this files are cut into days and ranges are asked for.
pub fn when(event: &Event) -> Ts {
    let told = event.stamp.ts_event.filter(|_| !event.flags.has(Flags::BAD_TIME));
    told.unwrap_or(event.stamp.ts_recv)
}
