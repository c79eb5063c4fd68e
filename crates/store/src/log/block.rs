//! Entries as blocks. A definition stands once in a chapter, before the first event that needs it.

use super::format::{BLOCK_HEAD, BlockHead};
use super::{Entry, Lost};
use crate::code::Code;
use bus::{Cursor, Published};
use hashbrown::HashMap;
use model::{Event, Instrument, InstrumentId, SourceName, Stamp, Ts};
use std::sync::Arc;

/// A block ends when its payload has so many bytes.
const BLOCK_BYTES: usize = 256 << 10;
/// A chapter ends when its blocks have so many bytes: a definition that is damaged harms no event after it.
const CHAPTER_BYTES: usize = 2 << 20;

const EVENT: u8 = 0;
const LOST: u8 = 1;

/// Turns entries into the blocks of one segment.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    defined: HashMap<(SourceName, InstrumentId), (u64, Arc<Instrument>)>,
    /// Counts definitions through the whole segment, so that one chapter's is never taken for another's.
    definitions: u64,
    chapter_bytes: usize,
}

impl Encoder {
    /// Appends the entries, which are of one epoch, as blocks of the segment.
    pub fn put(&mut self, sequence: u64, mut entries: &[Entry], out: &mut Vec<u8>) {
        while let Some(first) = entries.first() {
            let chapter = self.chapter_bytes == 0 || self.chapter_bytes >= CHAPTER_BYTES;
            if chapter {
                self.defined.clear();
                self.chapter_bytes = 0;
            }
            let start = out.len();
            out.resize(start + BLOCK_HEAD, 0);
            let (ts, Cursor { epoch, number }) = (first.ts(), first.first());
            let (mut before, mut ts_before) = (number.wrapping_sub(1), ts);
            let mut count = 0;
            for entry in entries {
                self.entry(entry, &mut before, &mut ts_before, out);
                count += 1;
                if out.len() - start >= BLOCK_BYTES {
                    break;
                }
            }
            entries = entries.get(count..).unwrap_or_default();
            let payload = out.get(start + BLOCK_HEAD..).unwrap_or_default();
            let head = BlockHead {
                chapter,
                end: false,
                length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                crc: crc32fast::hash(payload),
                entries: u32::try_from(count).unwrap_or(u32::MAX),
                epoch,
                first: number,
                last: before,
                ts,
            };
            self.chapter_bytes += BLOCK_HEAD + payload.len();
            if let Some(place) = out.get_mut(start..start + BLOCK_HEAD) {
                place.copy_from_slice(&head.bytes(sequence));
            }
        }
    }

    fn entry(&mut self, entry: &Entry, before: &mut u64, ts_before: &mut Ts, out: &mut Vec<u8>) {
        match entry {
            Entry::Event(published) => {
                out.push(EVENT);
                skip(before, published.cursor.number, out);
                let event = &published.event;
                self.definition(event, out);
                let ts_pub = published.ts_pub;
                let Stamp { ts_event, ts_recv } = event.stamp;
                since(ts_pub, *ts_before).put(out);
                since(ts_recv, ts_pub).put(out);
                ts_event.map(|ts| since(ts, ts_recv)).put(out);
                event.channel.put(out);
                event.flags.put(out);
                event.body.put(out);
                *ts_before = ts_pub;
            }
            Entry::Lost(Lost { from, to, why, .. }) => {
                out.push(LOST);
                skip(before, *from, out);
                to.wrapping_sub(*from).put(out);
                why.put(out);
                *before = *to;
            }
        }
    }

    /// The definition's number twice, or that and 1, and the definition.
    fn definition(&mut self, event: &Event, out: &mut Vec<u8>) {
        let key = (event.source, event.instrument.id);
        if let Some((number, known)) = self.defined.get(&key)
            && (Arc::ptr_eq(known, &event.instrument) || *known == event.instrument)
        {
            (number << 1).put(out);
            return;
        }
        (self.definitions << 1 | 1).put(out);
        event.source.put(out);
        (*event.instrument).put(out);
        self.defined.insert(key, (self.definitions, Arc::clone(&event.instrument)));
        self.definitions += 1;
    }
}

/// By how much more than one a number is after the one before; then the number is the one before.
fn skip(before: &mut u64, number: u64, out: &mut Vec<u8>) {
    number.wrapping_sub(*before).wrapping_sub(1).put(out);
    *before = number;
}

/// Exact for any two times, for it wraps both ways.
const fn since(later: Ts, earlier: Ts) -> i64 {
    later.0.wrapping_sub(earlier.0)
}

/// What was found in a block.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An entry.
    Entry(Entry),
    /// The place of an event whose definition stood in a block that is damaged.
    Undefined(Cursor),
}

/// Turns the blocks of one segment into entries.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    defined: HashMap<u64, (SourceName, Arc<Instrument>)>,
}

impl Decoder {
    /// The entries of a block, as many as its head says; `None` where they do not read.
    pub fn read(&mut self, head: &BlockHead, mut payload: &[u8]) -> Option<Vec<Piece>> {
        if head.chapter {
            self.defined.clear();
        }
        let (mut before, mut ts_before) = (head.first.wrapping_sub(1), head.ts);
        let mut all = Vec::new();
        for _ in 0..head.entries {
            all.push(self.entry(head.epoch, &mut before, &mut ts_before, &mut payload)?);
        }
        (payload.is_empty() && before == head.last).then_some(all)
    }

    fn entry(
        &mut self,
        epoch: u64,
        before: &mut u64,
        ts_before: &mut Ts,
        bytes: &mut &[u8],
    ) -> Option<Piece> {
        let kind = u8::take(bytes)?;
        let number = before.wrapping_add(u64::take(bytes)?).wrapping_add(1);
        *before = number;
        if kind == LOST {
            let to = number.wrapping_add(u64::take(bytes)?);
            *before = to;
            return Some(Piece::Entry(Entry::Lost(Lost {
                epoch,
                from: number,
                to,
                why: Code::take(bytes)?,
            })));
        }
        if kind != EVENT {
            return None;
        }
        let defined = self.definition(bytes)?;
        let ts_pub = Ts(ts_before.0.wrapping_add(i64::take(bytes)?));
        let ts_recv = Ts(ts_pub.0.wrapping_add(i64::take(bytes)?));
        let ts_event: Option<i64> = Code::take(bytes)?;
        let ts_event = ts_event.map(|since| Ts(ts_recv.0.wrapping_add(since)));
        let (channel, flags, body) = (Code::take(bytes)?, Code::take(bytes)?, Code::take(bytes)?);
        *ts_before = ts_pub;
        let Some((source, instrument)) = defined else {
            return Some(Piece::Undefined(Cursor { epoch, number }));
        };
        let event = Event { source, instrument, channel, flags, stamp: Stamp { ts_event, ts_recv }, body };
        let published = Published { cursor: Cursor { epoch, number }, ts_pub, event };
        Some(Piece::Entry(Entry::Event(Arc::new(published))))
    }

    /// The outer `None` where the bytes do not read, the inner one where the definition is not known.
    #[expect(clippy::option_option, reason = "the two say different things")]
    fn definition(&mut self, bytes: &mut &[u8]) -> Option<Option<(SourceName, Arc<Instrument>)>> {
        let number = u64::take(bytes)?;
        if number & 1 == 1 {
            let (source, instrument) = (Code::take(bytes)?, Arc::new(Instrument::take(bytes)?));
            self.defined.insert(number >> 1, (source, instrument));
        }
        Some(self.defined.get(&(number >> 1)).cloned())
    }
}
