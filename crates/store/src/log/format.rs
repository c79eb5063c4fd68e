//! The heads of segments and blocks. Their numbers are little-endian.

use crate::code::cut;
use bus::Cursor;
use crc32fast::Hasher;
use model::Ts;

/// The version of the format that is written.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"QXEVENTS";
const MARKER: [u8; 4] = [0xf1, b'Q', b'X', b'B'];
const ENDING: &str = ".events";
const TORN: &str = ".torn";

/// The bytes of a [`SegmentHead`].
pub(crate) const SEGMENT_HEAD: usize = 56;
/// The bytes of a [`BlockHead`].
pub(crate) const BLOCK_HEAD: usize = 56;

/// The file's name of a segment.
pub(crate) fn name(sequence: u64) -> String {
    format!("{sequence:010}{ENDING}")
}

/// The name of the file that keeps what was cut off a segment.
pub(crate) fn torn_name(sequence: u64) -> String {
    format!("{sequence:010}{TORN}")
}

/// The number of a segment by its file's name.
pub(crate) fn sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(ENDING)?;
    (digits.len() >= 10).then(|| digits.parse().ok()).flatten()
}

/// How the log stood when a segment was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// The segment before that holds anything.
    pub sequence: u64,
    /// How many bytes of it hold; what stands after them was never acknowledged.
    pub bytes: u64,
    /// The last number in it.
    pub last: Cursor,
}

/// What a segment begins with: magic, version, its number, then [`Before`] (zeros where there is nothing before), then a
/// CRC-32 of all that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub version: u32,
    pub before: Option<Before>,
}

impl SegmentHead {
    pub fn put(&self, sequence: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(MAGIC);
        out.extend(self.version.to_le_bytes());
        out.extend(sequence.to_le_bytes());
        let none = Before { sequence: 0, bytes: 0, last: Cursor { epoch: 0, number: 0 } };
        let before = self.before.unwrap_or(none);
        for number in [before.sequence, before.bytes, before.last.epoch, before.last.number] {
            out.extend(number.to_le_bytes());
        }
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend(crc.to_le_bytes());
    }

    /// `None` where the bytes are no head of this segment.
    pub fn read(mut bytes: &[u8], number: u64) -> Option<Self> {
        let crc = crc32fast::hash(bytes.get(..SEGMENT_HEAD - 4)?);
        let head = &mut bytes;
        let magic = cut(head, MAGIC.len())? == MAGIC;
        let version = u32_le(head)?;
        let mine = u64_le(head)? == number;
        let (sequence, bytes) = (u64_le(head)?, u64_le(head)?);
        let last = Cursor { epoch: u64_le(head)?, number: u64_le(head)? };
        let before = (sequence != 0).then_some(Before { sequence, bytes, last });
        (magic && mine && u32_le(head)? == crc).then_some(Self { version, before })
    }
}

/// What a block begins with: marker, flags, length and CRC-32 of the payload, number of entries, epoch, first and last
/// number, time, then a CRC-32 of the segment's number and all that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    /// Definitions of blocks before are not used in this one and after it.
    pub chapter: bool,
    /// The log was closed here; no block follows in the segment.
    pub end: bool,
    pub length: u32,
    pub crc: u32,
    pub entries: u32,
    pub epoch: u64,
    pub first: u64,
    pub last: u64,
    /// From which the first event's time of publication counts.
    pub ts: Ts,
}

impl BlockHead {
    pub fn bytes(&self, sequence: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEAD);
        out.extend(MARKER);
        for number in
            [u32::from(self.chapter) | u32::from(self.end) << 1, self.length, self.crc, self.entries]
        {
            out.extend(number.to_le_bytes());
        }
        for number in [self.epoch, self.first, self.last, self.ts.0.cast_unsigned()] {
            out.extend(number.to_le_bytes());
        }
        let crc = head_crc(sequence, &out);
        out.extend(crc.to_le_bytes());
        out
    }

    /// `None` where no block of this segment begins here.
    pub fn read(mut bytes: &[u8], sequence: u64) -> Option<Self> {
        let crc = head_crc(sequence, bytes.get(..BLOCK_HEAD - 4)?);
        let head = &mut bytes;
        let marker = cut(head, MARKER.len())? == MARKER;
        let (flags, length, payload_crc, entries) =
            (u32_le(head)?, u32_le(head)?, u32_le(head)?, u32_le(head)?);
        let (epoch, first, last) = (u64_le(head)?, u64_le(head)?, u64_le(head)?);
        let ts = Ts(u64_le(head)?.cast_signed());
        let (chapter, end) = (flags & 1 != 0, flags & 2 != 0);
        let right = marker && u32_le(head)? == crc;
        right.then_some(Self { chapter, end, length, crc: payload_crc, entries, epoch, first, last, ts })
    }
}

/// The segment's number is part of it, so that a block of another segment is none here.
fn head_crc(sequence: u64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// A stretch of a segment.
pub(crate) enum Step<'a> {
    /// A block that holds.
    Block(BlockHead, &'a [u8]),
    /// Bytes that are no block, before one that is.
    Bad,
    /// Bytes that are no block, up to the end.
    Tail,
}

/// Walks the blocks of a segment.
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    sequence: u64,
    /// Where the walk stands.
    pub at: usize,
}

impl<'a> Walk<'a> {
    /// From behind the segment's head.
    pub fn new(bytes: &'a [u8], sequence: u64) -> Self {
        Self { bytes, sequence, at: SEGMENT_HEAD.min(bytes.len()) }
    }

    /// The next stretch with the place where it begins; [`Walk::at`] is then its end.
    pub fn step(&mut self) -> Option<(usize, Step<'a>)> {
        let start = self.at;
        if start >= self.bytes.len() {
            return None;
        }
        if let Some((head, payload)) = self.block(start) {
            self.at = start + BLOCK_HEAD + payload.len();
            return Some((start, Step::Block(head, payload)));
        }
        let next = (start + 1..self.bytes.len()).find(|at| self.block(*at).is_some());
        self.at = next.unwrap_or(self.bytes.len());
        Some((start, if next.is_some() { Step::Bad } else { Step::Tail }))
    }

    fn block(&self, at: usize) -> Option<(BlockHead, &'a [u8])> {
        let bytes = self.bytes.get(at..)?;
        if !bytes.starts_with(&MARKER) {
            return None;
        }
        let head = BlockHead::read(bytes, self.sequence)?;
        let length = usize::try_from(head.length).ok()?;
        let payload = bytes.get(BLOCK_HEAD..)?.get(..length)?;
        (crc32fast::hash(payload) == head.crc).then_some((head, payload))
    }
}

fn u32_le(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(cut(bytes, 4)?.try_into().ok()?))
}

fn u64_le(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(cut(bytes, 8)?.try_into().ok()?))
}
