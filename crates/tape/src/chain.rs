//! The chain of a tape's blocks: each names the one before, so that none can be changed, taken out or put in.
//!
//! ```text
//! begin = SHA-256(head of the file)                      the head has the end of the tape before
//! link  = SHA-256(link before, "QXBK", records:u32, first:i64, records of the block)
//! ```
//!
//! The link of a block stands in its head. The last one is the end of the tape; the one of the last block of a UTC day, which
//! no block spans, is the end of that day. `docs/decisions/0009-tape-chain.md` says what is proved by that, and what is not.

use crate::blocks::BlockReader;
use crate::input::Input;
use crate::{About, Error, Format, Reader, Result};
use aws_lc_rs::digest::{Context, SHA256, digest};
use model::{Date, Ts};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of a frame by which two tapes are compared: of its bytes, whatever connection it came by and when.
pub fn content(frame: &[u8]) -> Hash {
    finished(digest(&SHA256, frame).as_ref())
}

/// With what the chain of a file begins.
pub(crate) fn begin(head: &[u8]) -> Hash {
    content(head)
}

/// The link of a block.
pub(crate) fn link(before: &Hash, records: u32, first: Ts, raw: &[u8]) -> Hash {
    let mut all = Context::new(&SHA256);
    for part in [before.as_slice(), b"QXBK", &records.to_le_bytes(), &first.0.to_le_bytes(), raw] {
        all.update(part);
    }
    finished(all.finish().as_ref())
}

/// The end of a tape's chain: the link of its last block that holds. `None` where there is none, or none can be read.
///
/// It looks at checksums and unpacks nothing: a recorder that starts does not wait for long.
pub(crate) fn end(path: &Path) -> Option<Hash> {
    let mut reader = BlockReader::new(Input::open(path).ok()?);
    reader.read().ok()?;
    while reader.skip() {}
    reader.link()
}

pub(crate) fn finished(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or([0; 32])
}

/// A file, held against its own chain.
#[derive(Debug)]
pub struct Chain {
    /// The file.
    pub path: PathBuf,
    /// What it says about itself; `None` where not even that can be read, and of other formats.
    pub about: Option<About>,
    /// The version of the format; 0 of other formats. Tapes of version 1 have no chain: their checksums find what happens by
    /// accident, and nothing else.
    pub version: u16,
    /// What it holds of each UTC day.
    pub days: BTreeMap<Date, Day>,
    /// The last link that holds; `None` where there is no chain.
    pub end: Option<Hash>,
    /// What is wrong, and where; everything before it holds.
    pub fault: Option<Error>,
}

/// What a file holds of a UTC day, by the time of receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// How many records.
    pub records: u64,
    /// The link of its last block; `None` where there is no chain.
    pub end: Option<Hash>,
}

impl Chain {
    /// Reads a file and holds every block against its checksum and its place in the chain.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::UnknownFormat`]. What is found inside is [`Chain::fault`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::each(path, |_| {})
    }

    /// As [`Chain::read`], and hands over every record that holds.
    ///
    /// # Errors
    /// As [`Chain::read`].
    pub fn each(path: &Path, mut take: impl FnMut(crate::Record)) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        reader.check();
        let tape = reader.format() == Some(Format::Tape);
        let mut chain = Self {
            path: path.to_owned(),
            about: None,
            version: 0,
            days: BTreeMap::new(),
            end: None,
            fault: None,
        };
        let mut head = tape;
        loop {
            match reader.next() {
                Some(Ok(record)) => {
                    chain.end = reader.link();
                    if std::mem::take(&mut head) {
                        chain.about = reader.about().cloned();
                        chain.version = reader.version().unwrap_or_default();
                    } else {
                        let day = chain.days.entry(Date::of(record.ts)).or_default();
                        day.records += 1;
                        day.end = chain.end;
                    }
                    take(record);
                }
                Some(Err(fault)) => chain.fault = Some(fault),
                None => return Ok(chain),
            }
        }
    }

    /// Whether it follows the tape before: true where that is shown, false where it is another that came before, `None`
    /// where one of them has no chain, or this one began anew.
    pub fn follows(&self, before: &Self) -> Option<bool> {
        let (named, end) = (self.about.as_ref()?.before?, before.end?);
        Some(named == end)
    }
}
