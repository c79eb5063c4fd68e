//! A place elsewhere for files of days that are over: a folder, or a bucket of a server that speaks S3.
//!
//! An object stands there under the path of its file and its checksum. What is uploaded is read back, every byte of it, and
//! held against the checksums of the catalogue before the catalogue says that the file is there; after that the local file
//! is a cache of it, see `library.rs`. The catalogue says first what is about to be uploaded, so what a kill leaves is
//! known: an upload goes on where it ended, and the object of a file that is no longer named is deleted.

mod bucket;
mod config;
mod folder;
mod tier;

pub use config::Config;
pub use tier::ColdStep;
pub(crate) use tier::{Tier, look_after};

use crate::copy::pour;
use crate::manifest::FileMeta;
use crate::{Error, Result};
use bucket::Bucket;
use folder::Folder;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How far an upload came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upload {
    /// What the place calls it; empty where there is none in parts.
    pub id: Box<str>,
    /// How many bytes a part has.
    pub part_bytes: u64,
    /// What the place calls each part that came.
    pub parts: Vec<Box<str>>,
}

impl Upload {
    /// How many bytes came.
    fn sent(&self) -> u64 {
        self.part_bytes * self.parts.len() as u64
    }
}

/// A file that is uploaded.
pub(crate) struct Source<'a> {
    pub path: PathBuf,
    pub meta: &'a FileMeta,
}

impl Source<'_> {
    /// The bytes from a place on, which is the beginning of a checksum's bytes, held against their checksums.
    ///
    /// # Errors
    /// As [`pour`].
    fn bytes(&self, from: u64, count: u64) -> Result<Vec<u8>> {
        use crate::file::CHUNK;
        let failed = |source| Error::Disk { doing: "read", path: self.path.clone(), source };
        let count = count.min(self.meta.bytes.saturating_sub(from));
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
        File::open(&self.path).and_then(|file| file.read_exact_at(&mut bytes, from)).map_err(failed)?;
        let skip = usize::try_from(from / CHUNK).unwrap_or(usize::MAX);
        let chunks = self.meta.chunks.get(skip..).unwrap_or_default();
        let chunks = chunks.get(..chunks.len().min(bytes.len().div_ceil(CHUNK as usize))).unwrap_or_default();
        pour(&*bytes, &self.path, (count, chunks), |_| Ok(()))?;
        Ok(bytes)
    }
}

/// Where objects stand. Everything blocks.
pub(crate) trait Place: Send + Sync {
    /// An object as people name it.
    fn name(&self, key: &str) -> String;

    /// Makes it ready when it is named for the first time.
    fn begin(&self) -> Result<()>;

    /// How many bytes an object has; `None` where there is none.
    fn size(&self, key: &str) -> Result<Option<u64>>;

    /// The bytes of an object that has so many.
    fn read(&self, key: &str, bytes: u64) -> Result<Box<dyn Read + Send>>;

    /// Takes an upload a step further: the object is there when all steps are done, and not before.
    fn send(&self, key: &str, source: &Source<'_>, upload: &mut Upload) -> Result<()>;

    /// Deletes an object, and what came of its upload; nothing where they are not there.
    fn remove(&self, key: &str, upload: &Upload) -> Result<()>;
}

/// Opens a place; nothing is asked of it yet. What waits for it gives up where `stop` says so.
///
/// # Errors
/// [`Error::Cold`] where there is no key, or the config makes no sense.
pub(crate) fn open(config: &Config, stop: Arc<AtomicBool>) -> Result<Box<dyn Place>> {
    Ok(match config.bucket() {
        Some(_) => Box::new(Bucket::open(config, stop)?),
        None => Box::new(Folder::new(config.folder())),
    })
}

/// Holds what is read of an object against its checksums.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Cold`].
pub(crate) fn hold(object: impl Read, named: &Path, file: &FileMeta) -> Result<()> {
    pour(object, named, (file.bytes, &file.chunks), |_| Ok(())).map_err(|error| fetching(error, named))
}

/// An error of reading an object, by the name of the object.
pub(crate) fn fetching(error: Error, named: &Path) -> Error {
    match error {
        Error::Disk { path, source, .. } if path == named => failed("fetch", &named.display(), source),
        error => error,
    }
}

/// No place is named.
pub(crate) fn nowhere(dir: &Path) -> Error {
    let why = io::Error::other("the catalogue names no cold tier");
    failed("find the files of", &dir.display(), why)
}

fn failed(doing: &'static str, object: &(impl ToString + ?Sized), source: io::Error) -> Error {
    Error::Cold { doing, object: object.to_string(), source }
}
