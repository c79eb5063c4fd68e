//! What can go wrong with a file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a tape cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened.
    #[error("failed to open recording `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The content looks like no format that is known.
    #[error("`{path}` is no recording of a known format: it begins with `{begin}`")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The first bytes, decompressed and escaped.
        begin: String,
    },
    /// The file is damaged, cut short, or cannot be read. Everything before the place was yielded.
    #[error("recording `{path}` is damaged at {place}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// What was wrong.
        what: String,
        /// The cause, where it was a read or a decompression that failed.
        #[source]
        source: Option<io::Error>,
    },
    /// The folder of the tapes cannot be made.
    #[error("failed to make folder `{path}`")]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder of the tapes cannot be listed.
    #[error("failed to list folder `{path}`")]
    ListFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no tape in the folder.
    #[error("no tape is in `{path}`")]
    NoTapes {
        /// The folder.
        path: PathBuf,
    },
    /// An old tape cannot be deleted to make room. The block in hand is lost.
    #[error("failed to delete tape `{path}`, {records} records are lost")]
    Delete {
        /// The file.
        path: PathBuf,
        /// How many records are lost.
        records: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The compressor cannot be made.
    #[error("failed to make a compressor of level {level}")]
    Compressor {
        /// The level of zstd.
        level: i32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A new tape cannot be created. The block in hand is lost.
    #[error("failed to create tape `{path}`, {records} records are lost")]
    Create {
        /// The file.
        path: PathBuf,
        /// How many records are lost.
        records: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A block cannot be written. Its records are lost; the next block begins a new tape.
    #[error("failed to write to tape `{path}`, {records} records are lost")]
    Write {
        /// The file.
        path: PathBuf,
        /// How many records are lost.
        records: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record is longer than [`RECORD_BYTES_MAX`](crate::RECORD_BYTES_MAX) and was not kept.
    #[error("a record of {bytes} bytes is too long for a tape")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// What the functions of this crate give.
pub type Result<T> = std::result::Result<T, Error>;

/// A place in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in the decompressed content: where the line or block begins that cannot be read.
    pub byte: u64,
    /// How many bytes of the compressed file were used up to then; `None` where the file is not compressed.
    pub compressed: Option<u64>,
    /// The line, from 1; `None` in our own tapes, which have none.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.byte)?;
        if let Some(compressed) = self.compressed {
            write!(f, " of the content (byte {compressed} of the file)")?;
        }
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        Ok(())
    }
}

/// A damage before the file's name is put to it.
#[derive(Debug)]
pub(crate) struct Damage {
    pub place: Place,
    pub what: String,
    pub source: Option<io::Error>,
}

impl Damage {
    pub fn of(self, path: PathBuf) -> Error {
        Error::Damaged { path, place: self.place, what: self.what, source: self.source }
    }
}
