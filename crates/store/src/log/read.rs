//! Reads the log, and says what of it cannot be read.

use super::block::{Decoder, Piece};
use super::format::{
    BLOCK_HEAD, Before, BlockHead, SEGMENT_HEAD, SegmentHead, Step, VERSION, Walk, name, sequence,
};
use super::{Entry, READ_BYTES_MAX, Torn};
use crate::disk::Disk;
use crate::{Error, Result};
use bus::Cursor;
use model::Ts;
use std::collections::VecDeque;
use std::io;

/// By how much the clock may go back within one life of the bus, in ms.
const CLOCK_BACK_MS: u64 = 60_000;

/// What was found in the log, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// What was kept, or what was said to be lost.
    Entry(Entry),
    /// Bytes that were written and do not read.
    Damage {
        /// The file.
        file: String,
        /// Where they begin.
        byte: u64,
        /// How many there are.
        bytes: u64,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// Numbers that are missing though nothing says that they were lost.
    Hole {
        /// Which life of the bus.
        epoch: u64,
        /// The first number.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// The end of a segment that was never acknowledged.
    Torn(Torn),
    /// The log was closed here, not killed.
    Closed(Cursor),
}

/// How much of a segment was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// So many bytes.
    At(u64),
    /// Nothing.
    Nothing,
    /// Nothing was written after it: up to its last block that holds.
    Open,
}

/// A file with what its head says, and what the heads after it say of it.
pub(super) struct Segment {
    pub sequence: u64,
    pub head: Option<SegmentHead>,
    pub end: End,
    /// Whether the one before it is left out: nothing is known of the numbers before.
    pub apart: bool,
}

/// The segments of these numbers, which are in order; `after` is the head that comes after them, where it is known.
pub(super) fn segments(disk: &dyn Disk, all: &[u64], mut after: Option<SegmentHead>) -> Result<Vec<Segment>> {
    // From the newest to the oldest: a head says what is before it.
    let mut segments = Vec::with_capacity(all.len());
    for sequence in all.iter().rev().copied() {
        let bytes = read(disk, sequence, SEGMENT_HEAD as u64)?;
        let head = bytes.and_then(|bytes| SegmentHead::read(&bytes, sequence));
        let end = match after.map(|after| after.before) {
            None => End::Open,
            Some(Some(before)) if before.sequence == sequence => End::At(before.bytes),
            Some(Some(before)) if before.sequence > sequence => End::Open,
            Some(_) => End::Nothing,
        };
        after = head.or(after);
        segments.push(Segment { sequence, head, end, apart: false });
    }
    segments.reverse();
    Ok(segments)
}

/// The bytes of a segment; `None` where it was deleted to make room since it was listed.
fn read(disk: &dyn Disk, sequence: u64, max: u64) -> Result<Option<Vec<u8>>> {
    let file = name(sequence);
    match disk.read(&file, max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Disk { doing: "read", path: disk.dir().join(file), source }),
    }
}

/// Whether any block stands there.
fn holds_any(bytes: &[u8], sequence: u64) -> bool {
    let mut walk = Walk::new(bytes, sequence);
    matches!(walk.step(), Some((_, Step::Block(..) | Step::Bad)))
}

/// Reads all segments of a folder, oldest first. It takes no lock: what is written meanwhile is read as far as it is there.
pub struct Reader {
    disk: Box<dyn Disk>,
    segments: VecDeque<Segment>,
    found: VecDeque<Found>,
    /// The last number that was read or missed.
    last: Option<Cursor>,
    /// Whether nothing was deleted to make room: the first number is 1.
    whole: bool,
    files: usize,
    bytes: u64,
}

impl Reader {
    /// Looks at the heads of all segments.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn open(disk: Box<dyn Disk>) -> Result<Self> {
        let dir = disk.dir().to_owned();
        let names = disk.list().map_err(|source| Error::Disk { doing: "list", path: dir, source })?;
        let mut all: Vec<u64> = names.iter().filter_map(|name| sequence(name)).collect();
        all.sort_unstable();
        let mut reader = Self {
            disk,
            segments: VecDeque::new(),
            found: VecDeque::new(),
            last: None,
            whole: false,
            files: all.len(),
            bytes: 0,
        };
        reader.segments = segments(reader.disk.as_ref(), &all, None)?.into();
        let oldest = reader.segments.front().and_then(|segment| segment.head);
        reader.whole = oldest.is_some_and(|head| head.before.is_none());
        reader.say_missing(&all);
        Ok(reader)
    }

    /// Leaves out the segments in which nothing was published from `from` on and before `to`, for all that is known of
    /// them. Within one life of the bus the clock may have gone back by less than a minute.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn between(&mut self, from: Ts, to: Ts) -> Result<()> {
        let mut firsts = Vec::with_capacity(self.segments.len() + 1);
        for segment in &self.segments {
            let begin = read(self.disk.as_ref(), segment.sequence, (SEGMENT_HEAD + BLOCK_HEAD) as u64)?;
            let block = begin.and_then(|bytes| BlockHead::read(bytes.get(SEGMENT_HEAD..)?, segment.sequence));
            // A block that begins with what was lost has no time.
            firsts.push(block.filter(|block| block.ts != Ts::default()));
        }
        firsts.push(None);
        let mut left_out = false;
        for pair in firsts.windows(2) {
            let (Some(mut segment), [first, next]) = (self.segments.pop_front(), pair) else { break };
            let late = first.is_some_and(|first| first.ts >= to.plus_ms(CLOCK_BACK_MS));
            let early = first.zip(*next).is_some_and(|(first, next)| {
                first.epoch == next.epoch && next.ts.plus_ms(CLOCK_BACK_MS) <= from
            });
            if !late && !early {
                segment.apart = left_out;
                self.segments.push_back(segment);
            }
            left_out = late || early;
        }
        Ok(())
    }

    /// Leaves out the segments up to `sealed`, of which `cursor` is the last number, and those after `to`.
    pub(crate) fn after(&mut self, sealed: u64, to: u64, cursor: Option<Cursor>) {
        self.segments.retain(|segment| segment.sequence > sealed && segment.sequence <= to);
        // What is missing before is told by the heads of the segments that are read.
        self.found.clear();
        if cursor.is_some() {
            (self.last, self.whole) = (cursor, false);
        }
    }

    /// How many segments there are.
    pub const fn files(&self) -> usize {
        self.files
    }

    /// How many bytes were read up to now.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says which segments are named by one after them and are not there, though an older one is.
    fn say_missing(&mut self, all: &[u64]) {
        let named = self.segments.iter().filter_map(|segment| segment.head?.before);
        let missing = named.filter(|before| {
            all.first().is_some_and(|oldest| *oldest < before.sequence)
                && all.binary_search(&before.sequence).is_err()
        });
        let missing: Vec<Before> = missing.collect();
        for before in missing {
            let (file, bytes) = (name(before.sequence), before.bytes);
            self.found.push_back(Found::Damage { file, byte: 0, bytes, what: "the file is missing" });
        }
    }

    fn segment(&mut self, segment: &Segment) -> Result<()> {
        if segment.apart {
            self.last = None;
            self.whole = false;
        }
        let Some(mut bytes) = read(self.disk.as_ref(), segment.sequence, READ_BYTES_MAX)? else {
            self.whole = false;
            return Ok(());
        };
        let file = name(segment.sequence);
        let there = bytes.len() as u64;
        self.bytes += there;
        let (open, good) = match segment.end {
            End::Open => (true, there),
            End::At(good) => (false, good),
            End::Nothing => (false, 0),
        };
        let damage = |byte, bytes, what| Found::Damage { file: file.clone(), byte, bytes, what };
        match segment.head {
            Some(head) if head.version > VERSION => {
                self.found.push_back(damage(0, there, "it was written by a newer version of Qingxi"));
                return Ok(());
            }
            Some(SegmentHead { before: Some(before), .. }) if self.last.is_some() => {
                self.miss_up_to(before.last);
            }
            None if open && !holds_any(&bytes, segment.sequence) => {
                if there > 0 {
                    self.found.push_back(Found::Torn(Torn { file, byte: 0, bytes: there }));
                }
                return Ok(());
            }
            None if good > 0 => {
                self.found.push_back(damage(0, SEGMENT_HEAD as u64, "the head of the segment does not hold"));
            }
            Some(_) | None => {}
        }
        if there > good {
            self.found.push_back(Found::Torn(Torn { file: file.clone(), byte: good, bytes: there - good }));
            bytes.truncate(usize::try_from(good).unwrap_or(usize::MAX));
        } else if there < good {
            self.found.push_back(damage(there, good - there, "the end is missing"));
        }
        self.blocks(&bytes, segment.sequence, open);
        Ok(())
    }

    fn blocks(&mut self, bytes: &[u8], sequence: u64, open: bool) {
        let mut decoder = Decoder::default();
        let mut walk = Walk::new(bytes, sequence);
        while let Some((start, step)) = walk.step() {
            let (byte, length) = (start as u64, (walk.at - start) as u64);
            let damage = |what| Found::Damage { file: name(sequence), byte, bytes: length, what };
            match step {
                Step::Block(head, _) if head.end => {
                    let last = Cursor { epoch: head.epoch, number: head.last };
                    self.miss_up_to(last);
                    self.found.push_back(Found::Closed(last));
                }
                Step::Block(head, payload) => match decoder.read(&head, payload) {
                    Some(pieces) => self.pieces(pieces, &damage),
                    None => self.found.push_back(damage("its events do not read")),
                },
                Step::Tail if open => {
                    self.found.push_back(Found::Torn(Torn { file: name(sequence), byte, bytes: length }));
                }
                Step::Bad | Step::Tail => self.found.push_back(damage("the checksum does not hold")),
            }
        }
    }

    fn pieces(&mut self, pieces: Vec<Piece>, damage: &impl Fn(&'static str) -> Found) {
        for piece in pieces {
            match piece {
                Piece::Entry(entry) if self.follows(entry.first()) => {
                    self.last = Some(entry.last());
                    self.found.push_back(Found::Entry(entry));
                }
                Piece::Entry(_) => self.found.push_back(damage("its numbers go back")),
                Piece::Undefined(cursor) if self.follows(cursor) => self.miss_up_to(cursor),
                Piece::Undefined(_) => {}
            }
        }
    }

    /// Whether a number comes after all before it; says which are missing between.
    fn follows(&mut self, next: Cursor) -> bool {
        let (expected, known) = match self.last {
            Some(last) if next <= last => return false,
            Some(last) if next.epoch == last.epoch => (last.number + 1, true),
            // An epoch counts from 1; of the oldest one the first segments may have been deleted.
            before => (1, before.is_some() || self.whole),
        };
        if known && next.number > expected {
            self.hole(next.epoch, expected, next.number - 1);
        }
        true
    }

    /// What was not read up to this number, itself included, is missing.
    fn miss_up_to(&mut self, last: Cursor) {
        let from = match self.last {
            Some(read) if read >= last => return,
            Some(read) if read.epoch == last.epoch => read.number + 1,
            None if !self.whole => last.number,
            _ => 1,
        };
        self.hole(last.epoch, from, last.number);
        self.last = Some(last);
    }

    /// Numbers that are missing; a hole that follows another makes it longer.
    fn hole(&mut self, epoch: u64, from: u64, to: u64) {
        match self.found.back_mut() {
            Some(Found::Hole { epoch: before, to: end, .. }) if *before == epoch && *end + 1 == from => {
                *end = to;
            }
            _ => self.found.push_back(Found::Hole { epoch, from, to }),
        }
    }
}

/// What was found, in its order; an error where the disk refuses to give a segment, after which the next one comes.
impl Iterator for Reader {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(Ok(found));
            }
            let segment = self.segments.pop_front()?;
            if let Err(error) = self.segment(&segment) {
                return Some(Err(error));
            }
        }
    }
}
