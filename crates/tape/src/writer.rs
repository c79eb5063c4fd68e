//! Writes tapes.

use crate::block::{BLOCK_HEAD_BYTES, BlockHead, file_head, put_record};
use crate::chain::{self, Hash};
use crate::config::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN};
use crate::error::{Error, Result};
use crate::folder::{Tape, name, tapes};
use crate::{About, Config, RECORD_BYTES_MAX};
use model::{Date, Ts};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use zstd::bulk::Compressor;

/// A record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The connection was opened.
    Connect {
        /// To where.
        url: &'a str,
    },
    /// We sent a frame.
    Sent(&'a [u8]),
    /// A frame came.
    Frame {
        /// The payload as it was on the wire.
        bytes: &'a [u8],
        /// Whether it was a binary frame.
        binary: bool,
    },
    /// A REST answer came.
    Reply {
        /// What was asked.
        url: Option<&'a str>,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// The connection ended.
    Closed {
        /// Why, in words.
        why: &'a str,
    },
}

impl Entry<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Connect { url } => url.len(),
            Self::Sent(bytes) | Self::Frame { bytes, .. } => bytes.len(),
            Self::Reply { url, body, .. } => url.map_or(0, str::len) + body.len(),
            Self::Closed { why } => why.len(),
        }
    }
}

/// What a call did on disk. All empty where it only copied into memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records were written.
    pub records: u32,
    /// How many bytes they had.
    pub raw_bytes: u64,
    /// How many bytes were written for them.
    pub bytes: u64,
    /// The file that was begun.
    pub begun: Option<PathBuf>,
    /// The old files that were deleted to make room.
    pub deleted: Vec<PathBuf>,
}

/// Writes the raw frames of a source, both directions, into files that are bounded in size, age and sum.
///
/// Records are copied into a block in memory. A block is compressed and written when it is full or on
/// [`flush`](Writer::flush), and can be read without any other: a kill loses the block in memory, and at most the tail
/// of the last file cannot be read. Dropping a writer writes nothing: flush before.
///
/// One source has one writer at a time.
pub struct Writer {
    config: Config,
    about: About,
    compressor: Compressor<'static>,
    /// The block in hand.
    raw: Vec<u8>,
    records: u32,
    first: Ts,
    last: Ts,
    packed: Vec<u8>,
    out: Vec<u8>,
    file: Option<Open>,
    files_begun: u64,
    /// The files before the one in hand, oldest first.
    kept: VecDeque<Tape>,
    /// The end of the chain: the link of the last block that was written.
    chain: Option<Hash>,
    /// The connections that were open when the block began, and what became of them within it.
    open: BTreeMap<u32, Box<str>>,
    changes: Vec<(u32, Option<Box<str>>)>,
}

struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    begun: Ts,
}

impl Writer {
    /// A writer for a source with the hosts of its endpoints. Makes the folder; files come with the first block.
    ///
    /// # Errors
    /// [`Error::MakeFolder`], [`Error::ListFolder`] or [`Error::Compressor`].
    pub fn new(mut config: Config, source: &str, hosts: &[&str]) -> Result<Self> {
        config.block_bytes = config.block_bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        let dir = &config.dir;
        std::fs::create_dir_all(dir).map_err(|source| Error::MakeFolder { path: dir.clone(), source })?;
        let kept: VecDeque<Tape> = tapes(dir, source)?.into();
        // A chain that cannot be continued begins anew: to record goes before.
        let chain = kept.back().and_then(|tape| chain::end(&tape.path));
        let level = config.level;
        let compressor = Compressor::new(level).map_err(|source| Error::Compressor { level, source })?;
        let hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
        Ok(Self {
            about: About { source: source.to_owned(), hosts, created: Ts::default(), before: None },
            compressor,
            raw: Vec::with_capacity(config.block_bytes),
            records: 0,
            first: Ts::default(),
            last: Ts::default(),
            packed: Vec::new(),
            out: Vec::new(),
            file: None,
            files_begun: 0,
            kept,
            chain,
            open: BTreeMap::new(),
            changes: Vec::new(),
            config,
        })
    }

    /// Takes a record of `conn` at `ts`. Copies it into memory; where the block is full, that one is written before.
    ///
    /// # Errors
    /// [`Error::TooLong`] for the record itself. [`Error::Create`], [`Error::Write`] and [`Error::Delete`] are about the
    /// block before; the record itself is kept all the same.
    pub fn append(&mut self, ts: Ts, conn: u32, entry: Entry<'_>) -> Result<Report> {
        let length = entry.len();
        if length > RECORD_BYTES_MAX {
            return Err(Error::TooLong { bytes: length });
        }
        let full = self.raw.len() + length > self.config.block_bytes;
        // A block is of one UTC day, so that the chain has an end for each.
        let next_day = self.records > 0 && Date::of(ts) != Date::of(self.first);
        let result = if full || next_day { self.flush() } else { Ok(Report::default()) };
        if self.records == 0 {
            (self.first, self.last) = (ts, ts);
        }
        put_record(ts, conn, &entry, self.last, &mut self.raw);
        self.records += 1;
        self.last = ts;
        match entry {
            Entry::Connect { url } => self.changes.push((conn, Some(url.into()))),
            Entry::Closed { .. } => self.changes.push((conn, None)),
            Entry::Sent(_) | Entry::Frame { .. } | Entry::Reply { .. } => {}
        }
        result
    }

    /// Hands the block in memory to the operating system: from then on it outlives a kill of the process.
    ///
    /// # Errors
    /// [`Error::Create`], [`Error::Write`] or [`Error::Delete`]: the block is lost, and the next begins a new file.
    pub fn flush(&mut self) -> Result<Report> {
        if self.records == 0 {
            return Ok(Report::default());
        }
        let mut report =
            Report { records: self.records, raw_bytes: self.raw.len() as u64, ..Report::default() };
        self.out.clear();
        let mut result = compress(&mut self.compressor, &self.raw, &mut self.packed);
        let limit = self.config.rotate_bytes.min(self.config.total_bytes_max / 2);
        let length = (BLOCK_HEAD_BYTES + size_of::<Hash>() + self.packed.len()) as u64;
        let rotate = self.file.as_ref().is_none_or(|file| {
            file.bytes + length > limit
                || self.first.ms_since(file.begun) >= i64::try_from(self.config.rotate_ms).unwrap_or(i64::MAX)
        });
        let mut link = self.chain;
        if result.is_ok() && rotate {
            self.retire();
            result = self.prefix().map(|begun| link = Some(begun));
        }
        if let Err(source) = result {
            let (path, records) = (self.path(), self.clear());
            return Err(Error::Write { path, records, source });
        }
        let link = chain::link(&link.unwrap_or_default(), self.records, self.first, &self.raw);
        seal(&self.packed, self.raw.len(), self.records, self.first, link, &mut self.out);
        let result = self.store(rotate, &mut report);
        if result.is_ok() {
            self.chain = Some(link);
        }
        self.clear();
        result.map(|()| report)
    }

    /// Brings `out` to the disk.
    fn store(&mut self, rotate: bool, report: &mut Report) -> Result<()> {
        self.make_room(report)?;
        if rotate {
            report.begun = Some(self.begin()?);
        }
        self.write()?;
        report.bytes = self.out.len() as u64;
        Ok(())
    }

    /// Flushes, and waits until the file in hand is on the disk: from then on it outlives a loss of power.
    ///
    /// # Errors
    /// As [`flush`](Writer::flush).
    pub fn sync(&mut self) -> Result<Report> {
        let report = self.flush()?;
        match &self.file {
            Some(open) => match open.file.sync_data() {
                Ok(()) => Ok(report),
                Err(source) => Err(Error::Write { path: open.path.clone(), records: 0, source }),
            },
            None => Ok(report),
        }
    }

    /// The file that is being written.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// How many bytes the tapes of the source have together.
    pub fn total_bytes(&self) -> u64 {
        self.kept.iter().map(|t| t.bytes).sum::<u64>() + self.file.as_ref().map_or(0, |f| f.bytes)
    }

    fn path(&self) -> PathBuf {
        self.file.as_ref().map_or_else(|| self.config.dir.clone(), |file| file.path.clone())
    }

    /// Puts into `out` what a new file begins with; gives the chain up to there.
    fn prefix(&mut self) -> io::Result<Hash> {
        (self.about.created, self.about.before) = (self.first, self.chain);
        let (head, mut link) = file_head(&self.about);
        self.out.extend(head);
        let mut raw = Vec::new();
        for (conn, url) in &self.open {
            put_record(self.first, *conn, &Entry::Connect { url }, self.first, &mut raw);
        }
        if !raw.is_empty() {
            let (records, mut packed) = (self.open.len() as u32, Vec::new());
            compress(&mut self.compressor, &raw, &mut packed)?;
            link = chain::link(&link, records, self.first, &raw);
            seal(&packed, raw.len(), records, self.first, link, &mut self.out);
        }
        Ok(link)
    }

    /// Ends the file in hand.
    fn retire(&mut self) {
        if let Some(open) = self.file.take() {
            self.kept.push_back(Tape { path: open.path, bytes: open.bytes });
        }
    }

    /// Deletes the oldest files until `out` fits.
    fn make_room(&mut self, report: &mut Report) -> Result<()> {
        while self.total_bytes() + self.out.len() as u64 > self.config.total_bytes_max
            && let Some(oldest) = self.kept.front()
        {
            match std::fs::remove_file(&oldest.path) {
                Ok(()) => report.deleted.push(oldest.path.clone()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    let (path, records) = (oldest.path.clone(), self.records);
                    return Err(Error::Delete { path, records, source });
                }
            }
            self.kept.pop_front();
        }
        Ok(())
    }

    /// Creates a file under a name that is not taken.
    fn begin(&mut self) -> Result<PathBuf> {
        loop {
            let path = self.config.dir.join(name(&self.about.source, self.first, self.files_begun));
            self.files_begun += 1;
            match File::create_new(&path) {
                Ok(file) => {
                    self.file = Some(Open { path: path.clone(), file, bytes: 0, begun: self.first });
                    return Ok(path);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Create { path, records: self.records, source }),
            }
        }
    }

    /// Writes `out`. After a failure the file ends where it did before, as far as that can be done.
    fn write(&mut self) -> Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        match open.file.write_all(&self.out) {
            Ok(()) => open.bytes += self.out.len() as u64,
            Err(source) => {
                let path = open.path.clone();
                // What cannot be taken back here is found torn by the reader.
                if open.bytes == 0 {
                    let _ = std::fs::remove_file(&path);
                    self.file = None;
                } else {
                    let _ = open.file.set_len(open.bytes);
                    self.retire();
                }
                return Err(Error::Write { path, records: self.records, source });
            }
        }
        Ok(())
    }

    /// Begins a new block; gives how many records the old one had.
    fn clear(&mut self) -> u32 {
        for (conn, change) in self.changes.drain(..) {
            match change {
                Some(url) => self.open.insert(conn, url),
                None => self.open.remove(&conn),
            };
        }
        self.raw.clear();
        self.raw.shrink_to(self.config.block_bytes * 2);
        std::mem::take(&mut self.records)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("about", &self.about)
            .field("file", &self.file())
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// Compresses the records of a block.
fn compress(compressor: &mut Compressor<'static>, raw: &[u8], packed: &mut Vec<u8>) -> io::Result<()> {
    packed.clear();
    packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    compressor.compress_to_buffer(raw, packed)?;
    Ok(())
}

/// Appends a block to `out`.
fn seal(packed: &[u8], raw: usize, records: u32, first: Ts, link: Hash, out: &mut Vec<u8>) {
    out.extend(BlockHead::sealed(packed, raw as u32, records, first, link).bytes());
    out.extend(link);
    out.extend_from_slice(packed);
}
