//! The log: segments of blocks of events, only ever appended to.
//!
//! # What acknowledged means
//!
//! [`Log::commit`] writes events and waits until the disk says that they outlive a loss of power, the names of the files
//! included. When it returns, every event up to [`Committed::acked`] is acknowledged: it is read again exactly once, with
//! its cursor, whenever the process is killed or the power fails after that; what was lost before it is told by entries of
//! [`Lost`] with exact numbers. When it fails nothing of what it was given is acknowledged; the caller gives it again or
//! says that it is lost, and the log goes on in a new segment. What was written and not acknowledged when the process
//! ended may be there or not; what never was given is never there.
//!
//! # Files
//!
//! A segment `0000000001.events` is a head, then blocks. A block is a head with lengths, numbers and checksums, then
//! entries. The head of a segment says how long the one before is and with which number it ends, so that bytes which are
//! missing are told from bytes that were never acknowledged. Files are not changed after they were written, but for the
//! end when the log is opened: what stands in the newest after the last block that holds is moved to `0000000001.torn` and
//! said; what a disk that failed left after the end that a later head tells is cut and said. Numbers are those of the bus: one cursor for what is live and what is kept.
//!
//! # Damage
//!
//! Each byte is under a checksum. A block that does not hold is passed over and named with its place, and the numbers that
//! are missing are told as a hole. An event whose definition stood in it is told too, at most up to the end of the
//! chapter of 2 MiB.

mod block;
mod format;
mod read;
mod whole;

pub(crate) use format::{name as segment_name, sequence as segment_number};
use read::{End, Segment, segments};
pub use read::{Found, Reader};
pub(crate) use whole::Whole;

use crate::disk::{Disk, Handle};
use crate::{Config, Error, Result};
use block::Encoder;
use bus::{Cursor, Published};
use format::{Before, BlockHead, SEGMENT_HEAD, SegmentHead, Step, VERSION, Walk, name, torn_name};
use model::Ts;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// A file larger than any segment is not read further.
const READ_BYTES_MAX: u64 = 4 << 30;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An event.
    Event(Arc<Published>),
    /// Events that were not kept.
    Lost(Lost),
}

/// Events that were not kept, with exact numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which life of the bus.
    pub epoch: u64,
    /// The first number that is not kept.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// Why, in words.
    pub why: Box<str>,
}

impl Entry {
    /// Its first number.
    pub fn first(&self) -> Cursor {
        match self {
            Self::Event(published) => published.cursor,
            Self::Lost(lost) => Cursor { epoch: lost.epoch, number: lost.from },
        }
    }

    /// Its last number.
    pub fn last(&self) -> Cursor {
        match self {
            Self::Event(published) => published.cursor,
            Self::Lost(lost) => Cursor { epoch: lost.epoch, number: lost.to },
        }
    }

    fn ts(&self) -> Ts {
        match self {
            Self::Event(published) => published.ts_pub,
            Self::Lost(_) => Ts::default(),
        }
    }
}

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many segments there are.
    pub segments: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// The newest cursor that is kept. A new life of the bus has a greater epoch.
    pub newest: Option<Cursor>,
    /// What was cut off: bytes that were never acknowledged, or that were damaged before anything followed them.
    pub torn: Vec<Torn>,
}

/// Bytes at the end of a segment that are no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where they begin.
    pub byte: u64,
    /// How many there are.
    pub bytes: u64,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Every event up to here is acknowledged; `None` where there was none to commit.
    pub acked: Option<Cursor>,
    /// How many bytes were written.
    pub bytes: u64,
    /// The old segments that were deleted to make room.
    pub deleted: Vec<String>,
}

/// The writer of a folder; there is one at a time.
pub struct Log {
    disk: Box<dyn Disk>,
    config: Config,
    /// The segments before the one in hand, oldest first, with their bytes.
    kept: VecDeque<(u64, u64)>,
    before: Option<Before>,
    next: u64,
    open: Option<Open>,
    /// Segments that have ended since [`Log::retired`] was asked, with their last numbers.
    retired: Vec<(u64, Cursor)>,
    buffer: Vec<u8>,
}

/// The segment in hand.
struct Open {
    sequence: u64,
    handle: Box<dyn Handle>,
    encoder: Encoder,
    bytes: u64,
    last: Option<Cursor>,
}

impl Log {
    /// Locks the folder, looks at the end of the newest segment and cuts off what does not hold.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process writes there, [`Error::Disk`] where the disk refuses.
    pub fn open(mut disk: Box<dyn Disk>, config: Config) -> Result<(Self, Opened)> {
        let dir = disk.dir().to_owned();
        let on_dir = |doing| {
            let path = dir.clone();
            move |source| Error::Disk { doing, path, source }
        };
        if !disk.lock().map_err(on_dir("lock"))? {
            return Err(Error::InUse { path: dir });
        }
        let mut all: Vec<u64> =
            disk.list().map_err(on_dir("list"))?.iter().filter_map(|n| format::sequence(n)).collect();
        all.sort_unstable();
        let next = all.last().map_or(1, |newest| newest + 1);
        let buffer = Vec::new();
        let mut log = Self {
            disk,
            config,
            kept: VecDeque::new(),
            before: None,
            next,
            open: None,
            retired: Vec::new(),
            buffer,
        };
        let mut opened = Opened::default();
        log.recover(&mut all, &mut opened)?;
        log.look_over(&all, &mut opened)?;
        opened.segments = log.kept.len();
        opened.bytes = log.kept.iter().map(|(_, bytes)| bytes).sum();
        opened.newest = log.before.map(|before| before.last);
        Ok((log, opened))
    }

    /// Counts the segments; cuts what a disk that failed left in them.
    fn look_over(&mut self, all: &[u64], opened: &mut Opened) -> Result<()> {
        let next = self.before.map(|before| SegmentHead { version: VERSION, before: Some(before) });
        for Segment { sequence, end, .. } in segments(self.disk.as_ref(), all, next)? {
            let file = name(sequence);
            let mut bytes = self.disk.len(&file).map_err(|e| self.failed("look at", sequence, e))?;
            let good = match end {
                End::At(good) => good,
                End::Nothing => 0,
                End::Open => bytes,
            };
            if bytes > good {
                opened.torn.push(Torn { file: file.clone(), byte: good, bytes: bytes - good });
                let cut = if good == 0 { self.disk.remove(&file) } else { self.disk.cut(&file, good) };
                cut.map_err(|e| self.failed("cut", sequence, e))?;
                bytes = good;
            }
            if bytes > 0 {
                self.kept.push_back((sequence, bytes));
            }
        }
        Ok(())
    }

    /// Finds the newest block that holds; cuts what stands after it.
    fn recover(&mut self, all: &mut Vec<u64>, opened: &mut Opened) -> Result<()> {
        while let Some(&sequence) = all.last() {
            let file = name(sequence);
            let bytes =
                self.disk.read(&file, READ_BYTES_MAX).map_err(|e| self.failed("read", sequence, e))?;
            let head = SegmentHead::read(&bytes, sequence);
            let (mut last, mut good) = (None, 0);
            let mut walk = Walk::new(&bytes, sequence);
            while let Some((_, step)) = walk.step() {
                if let Step::Block(block, _) = step {
                    good = walk.at;
                    last = Some(Cursor { epoch: block.epoch, number: block.last });
                }
            }
            let tail = bytes.get(if last.is_none() && head.is_some() { SEGMENT_HEAD } else { good }..);
            if let Some(tail) = tail.filter(|tail| !tail.is_empty()) {
                self.keep_torn(sequence, tail)
                    .map_err(|e| self.failed("keep the torn end of", sequence, e))?;
                let byte = (bytes.len() - tail.len()) as u64;
                opened.torn.push(Torn { file: file.clone(), byte, bytes: tail.len() as u64 });
            }
            if let Some(last) = last {
                if good < bytes.len() {
                    self.disk.cut(&file, good as u64).map_err(|e| self.failed("cut", sequence, e))?;
                }
                self.before = Some(Before { sequence, bytes: good as u64, last });
                return Ok(());
            }
            self.disk.remove(&file).map_err(|e| self.failed("delete", sequence, e))?;
            all.pop();
            if let Some(SegmentHead { before: Some(before), .. }) = head {
                self.before = Some(before);
                return Ok(());
            }
        }
        Ok(())
    }

    fn keep_torn(&mut self, sequence: u64, tail: &[u8]) -> io::Result<()> {
        let name = torn_name(sequence);
        if self.disk.list()?.contains(&name) {
            // A start before this one was killed between keeping it and cutting.
            self.disk.remove(&name)?;
        }
        let mut handle = self.disk.create(&name)?;
        handle.append(tail)?;
        handle.sync()?;
        self.disk.sync_names()
    }

    /// Brings the entries to the disk; they follow those before, and are of one epoch. It blocks for as long as the disk
    /// takes.
    ///
    /// # Errors
    /// [`Error::Disk`]: nothing of it is acknowledged. The next commit begins a new segment.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<Committed> {
        let mut committed = Committed::default();
        let Some(last) = entries.last().map(Entry::last) else { return Ok(committed) };
        if self.open.as_ref().is_some_and(|open| open.bytes >= self.config.segment_bytes) {
            self.retire();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(&mut committed.deleted)?,
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        open.encoder.put(open.sequence, entries, &mut buffer);
        let written = open.handle.append(&buffer).and_then(|()| open.handle.sync());
        committed.bytes = buffer.len() as u64;
        buffer.shrink_to(usize::try_from(self.config.commit_bytes.saturating_mul(2)).unwrap_or(usize::MAX));
        self.buffer = buffer;
        let sequence = open.sequence;
        if written.is_ok() {
            open.bytes += committed.bytes;
            open.last = Some(last);
            committed.acked = Some(last);
        }
        self.open = Some(open);
        written.map_err(|source| {
            self.retire();
            self.failed("write to", sequence, source)
        })?;
        Ok(committed)
    }

    /// The newest segment that has ended; 0 where there is none.
    pub(crate) fn newest_ended(&self) -> u64 {
        self.kept.back().map_or(0, |(sequence, _)| *sequence)
    }

    /// The segments that have ended since this was asked, with their last numbers.
    pub(crate) fn retired(&mut self) -> Vec<(u64, Cursor)> {
        std::mem::take(&mut self.retired)
    }

    /// No segment gets a number up to this one, also where the files that had them are gone.
    pub(crate) fn begin_after(&mut self, sequence: u64) {
        self.next = self.next.max(sequence + 1);
    }

    /// Deletes the segments up to this one but for the newest that has ended, which says where the log stands.
    ///
    /// # Errors
    /// [`Error::Disk`]; what was not deleted is tried again.
    pub(crate) fn release(&mut self, up_to: u64) -> Result<()> {
        let mut deleted = false;
        while let Some(&(oldest, _)) =
            self.kept.front().filter(|(oldest, _)| *oldest <= up_to && self.kept.len() > 1)
        {
            self.disk.remove(&name(oldest)).map_err(|e| self.failed("delete", oldest, e))?;
            // Most segments have no torn end.
            let _ = self.disk.remove(&torn_name(oldest));
            self.kept.pop_front();
            deleted = true;
        }
        if deleted {
            self.disk.sync_names().map_err(|e| self.failed("delete", up_to, e))?;
        }
        Ok(())
    }

    /// Ends the segment in hand where it is acknowledged.
    pub(crate) fn retire(&mut self) {
        let Some(Open { sequence, handle, bytes, last, .. }) = self.open.take() else { return };
        drop(handle);
        match last {
            Some(last) => {
                self.before = Some(Before { sequence, bytes, last });
                // The next segment's head says where this one ends, also where it cannot be cut.
                if self.disk.len(&name(sequence)).is_ok_and(|length| length > bytes) {
                    let _ = self.disk.cut(&name(sequence), bytes);
                }
                self.kept.push_back((sequence, bytes));
                self.retired.push((sequence, last));
            }
            None => self.forget(sequence),
        }
    }

    /// A segment in which nothing is acknowledged; where it cannot be deleted it stays as one that holds nothing.
    fn forget(&mut self, sequence: u64) {
        if self.disk.remove(&name(sequence)).is_err() {
            self.kept.push_back((sequence, 0));
        }
    }

    fn begin(&mut self, deleted: &mut Vec<String>) -> Result<Open> {
        self.make_room(deleted)?;
        let sequence = self.next;
        // A name is never used twice: what a failed segment left can not be taken for this one.
        self.next += 1;
        let mut handle = self.disk.create(&name(sequence)).map_err(|e| self.failed("create", sequence, e))?;
        let mut head = Vec::with_capacity(SEGMENT_HEAD);
        SegmentHead { version: VERSION, before: self.before }.put(sequence, &mut head);
        let begun = handle.append(&head).and_then(|()| handle.sync()).and_then(|()| self.disk.sync_names());
        if let Err(source) = begun {
            drop(handle);
            self.forget(sequence);
            return Err(self.failed("begin", sequence, source));
        }
        Ok(Open { sequence, handle, encoder: Encoder::default(), bytes: head.len() as u64, last: None })
    }

    /// Deletes the oldest segments until another one fits.
    fn make_room(&mut self, deleted: &mut Vec<String>) -> Result<()> {
        let room = self.config.total_bytes_max.saturating_sub(self.config.segment_bytes);
        while let Some(&(oldest, _)) = self.kept.front()
            && self.kept.iter().map(|(_, bytes)| bytes).sum::<u64>() > room
        {
            // In order, also where the power fails: a segment that is missing between others is damage.
            let removed = self.disk.remove(&name(oldest)).and_then(|()| self.disk.sync_names());
            removed.map_err(|e| self.failed("delete", oldest, e))?;
            // Most segments have no torn end.
            let _ = self.disk.remove(&torn_name(oldest));
            self.kept.pop_front();
            deleted.push(name(oldest));
        }
        Ok(())
    }

    /// Writes that the log ends here on purpose. Without it the end reads as that of a process that was killed.
    ///
    /// # Errors
    /// [`Error::Disk`]; all that is acknowledged stays so.
    pub fn close(mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let Some(Cursor { epoch, number }) = open.last else { return Ok(()) };
        let (crc, ts) = (crc32fast::hash(&[]), Ts::default());
        let (first, last) = (number, number);
        let end = BlockHead { chapter: false, end: true, length: 0, crc, entries: 0, epoch, first, last, ts };
        let written = open.handle.append(&end.bytes(open.sequence)).and_then(|()| open.handle.sync());
        written.map_err(|source| self.failed("close", open.sequence, source))
    }

    /// How many bytes all segments have.
    pub fn bytes(&self) -> u64 {
        self.kept.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.open.as_ref().map_or(0, |o| o.bytes)
    }

    fn failed(&self, doing: &'static str, sequence: u64, source: io::Error) -> Error {
        Error::Disk { doing, path: self.disk.dir().join(name(sequence)), source }
    }
}
