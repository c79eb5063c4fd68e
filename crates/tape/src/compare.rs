//! What one set of tapes has that another lacks: frames by their content, exactly, in bounded memory.
//!
//! Two recorders share the bytes of frames; times of receipt, connections and order are their own. So of each stream (source
//! and address) the frames are a multiset of hashes. The tapes are read several times, each time for as many hashes as fit,
//! by their first bits.

use crate::chain::{Chain, Hash, content, finished};
use crate::{Kind, Record, Result};
use aws_lc_rs::digest::{Context, SHA256};
use model::{Date, Ts};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many hashes are held at once, 64 bytes each: 256 MiB.
pub const HASHES_MAX: usize = 4 << 20;
/// How many frames of each stream are named for each side; all are counted.
pub const NAMED_MAX: usize = 20;
/// Hashes are told apart by at most so many bits at a time: what is the same to there is held at once, however much.
const BITS_MAX: u32 = 24;
/// How much of a frame is shown.
const SHOWN_BYTES: usize = 80;

/// Of which source, and to where without what follows a `?`.
pub type Stream = (Box<str>, Box<str>);

/// What a comparison found; in pairs the first is A, the second B.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The files of each side, held against their chains.
    pub chains: [Vec<Chain>; 2],
    /// What came by each stream.
    pub streams: BTreeMap<Stream, Shares>,
    /// How often the tapes were read for it.
    pub passes: u32,
}

impl Comparison {
    /// Whether both have the same frames of each stream, as often.
    pub fn is_same(&self) -> bool {
        self.streams.values().all(|shares| shares.only == [0, 0])
    }
}

/// A stream on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// How many frames each has.
    pub frames: [u64; 2],
    /// How many both have.
    pub both: u64,
    /// How many one has beyond the other.
    pub only: [u64; 2],
    /// How many of those are further copies of frames that the other has too.
    pub copies: [u64; 2],
    /// When the first and the last one came.
    pub span: [Option<(Ts, Ts)>; 2],
    /// What each has of a UTC day, by the time of receipt.
    pub days: BTreeMap<Date, [Option<Root>; 2]>,
    /// The earliest of those that one has beyond the other.
    pub named: [Vec<Named>; 2],
}

/// The frames of a stream and a day, in any order: SHA-256 over their hashes in ascending order, each followed by how often
/// it is there (u64, little-endian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// How many frames.
    pub frames: u64,
    /// The hash.
    pub hash: Hash,
}

/// A frame that one side has beyond the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// When it first came.
    pub ts: Ts,
    /// By which connection.
    pub conn: u32,
    /// Its [`content`].
    pub hash: Hash,
    /// How often it is there beyond.
    pub times: u64,
    /// Whether the other side has it too, less often.
    pub copy: bool,
    /// Its first bytes, escaped.
    pub begin: String,
}

/// Frames of one content on one side and day.
#[derive(Clone, Copy, Debug)]
struct Held {
    stream: u32,
    side: usize,
    day: Date,
    hash: Hash,
    times: u32,
    ts: Ts,
    conn: u32,
}

impl Held {
    fn key(&self) -> (u32, &Hash, usize, Date) {
        (self.stream, &self.hash, self.side, self.day)
    }
}

/// Compares two sets of tapes. `max` is how many hashes are held at once; [`HASHES_MAX`] unless there is a reason.
///
/// # Errors
/// [`Error::Open`](crate::Error::Open), [`Error::UnknownFormat`](crate::Error::UnknownFormat). Damage inside is told in
/// [`Comparison::chains`], and compared is what stands before it.
pub fn compare(sides: [&[PathBuf]; 2], max: usize) -> Result<Comparison> {
    let (mut all, mut ids) = (Comparison { passes: 1, ..Comparison::default() }, BTreeMap::new());
    let mut frames = 0_u64;
    for (side, (paths, chains)) in sides.into_iter().zip(&mut all.chains).enumerate() {
        for path in paths {
            let streams = &mut all.streams;
            chains.push(each(path, |stream, record, _| {
                let shares = streams.entry(stream.clone()).or_default();
                frames += 1;
                if let (Some(count), Some(span)) = (shares.frames.get_mut(side), shares.span.get_mut(side)) {
                    *count += 1;
                    let (first, last) = span.unwrap_or((record.ts, record.ts));
                    *span = Some((first.min(record.ts), last.max(record.ts)));
                }
            })?);
        }
    }
    for stream in all.streams.keys() {
        ids.insert(stream.clone(), ids.len() as u32);
    }
    let mut bits = frames.div_ceil(max as u64).next_power_of_two().trailing_zeros();
    let room = usize::try_from(frames).map_or(max, |frames| frames.min(max));
    while !all.hashes(sides, &ids, bits, (max, room))? {
        bits += 1;
    }
    all.name(sides)?;
    Ok(all)
}

/// Hands over the frames of a file with the stream that they came by.
fn each(path: &Path, mut take: impl FnMut(&Stream, &Record, &[u8])) -> Result<Chain> {
    let mut source: Box<str> = Box::default();
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    Chain::each(path, |record| match &record.kind {
        Kind::Header { source: named } => source = named.as_deref().unwrap_or_default().into(),
        Kind::Connect { url } => {
            let address = url.split('?').next().unwrap_or_default();
            streams.insert(record.conn, (source.clone(), address.into()));
        }
        Kind::Frame { bytes, .. } | Kind::Line { bytes, .. } => {
            let stream = streams.entry(record.conn).or_insert_with(|| (source.clone(), Box::default()));
            take(stream, &record, bytes);
        }
        // What was answered to our own questions is nobody else's, and so is what we sent.
        Kind::Sent(_) | Kind::Reply { .. } | Kind::Closed { .. } => {}
    })
}

/// The first `bits` of a hash as a number.
fn place(hash: &Hash, bits: u32) -> u64 {
    let first = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    first.checked_shr(u64::BITS - bits).unwrap_or(0)
}

/// The running roots of streams, sides and days.
type Roots = BTreeMap<(u32, usize, Date), (u64, Context)>;

impl Comparison {
    /// Compares by hashes, those with the same first `bits` at a time; false where they are too many.
    fn hashes(
        &mut self,
        sides: [&[PathBuf]; 2],
        ids: &BTreeMap<Stream, u32>,
        bits: u32,
        (max, room): (usize, usize),
    ) -> Result<bool> {
        let mut found: Vec<Shares> = self.streams.values().cloned().collect();
        let mut roots = Roots::new();
        for part in 0..1_u64 << bits {
            let mut held: Vec<Held> = Vec::with_capacity(room);
            let mut full = false;
            for (side, paths) in sides.into_iter().enumerate() {
                for path in paths {
                    each(path, |stream, record, bytes| {
                        let hash = content(bytes);
                        if full || place(&hash, bits) != part {
                            return;
                        }
                        let (ts, conn, day) = (record.ts, record.conn, Date::of(record.ts));
                        let stream = ids.get(stream).copied().unwrap_or_default();
                        held.push(Held { stream, side, day, hash, times: 1, ts, conn });
                        full = bits < BITS_MAX && held.len() >= max && !fits(&mut held, max);
                    })?;
                    self.passes += 1;
                }
            }
            if full {
                return Ok(false);
            }
            press(&mut held);
            add_roots(&held, &mut roots);
            for same in held.chunk_by(|a, b| (a.stream, a.hash) == (b.stream, b.hash)) {
                let stream = same.first().map(|held| held.stream as usize);
                if let Some(shares) = stream.and_then(|stream| found.get_mut(stream)) {
                    shares.take(same);
                }
            }
        }
        for ((stream, side, day), (frames, context)) in roots {
            let root = Root { frames, hash: finished(context.finish().as_ref()) };
            let days = found.get_mut(stream as usize).map(|shares| shares.days.entry(day).or_default());
            if let Some(slot) = days.and_then(|day| day.get_mut(side)) {
                *slot = Some(root);
            }
        }
        for (shares, found) in self.streams.values_mut().zip(found) {
            *shares = found;
        }
        Ok(true)
    }

    /// Reads the tapes once more for the beginnings of the frames that are named.
    fn name(&mut self, sides: [&[PathBuf]; 2]) -> Result<()> {
        for (side, paths) in sides.into_iter().enumerate() {
            let named = self.streams.values().filter_map(|shares| shares.named.get(side));
            let mut left: usize = named.map(Vec::len).sum();
            for path in paths {
                if left == 0 {
                    break;
                }
                each(path, |stream, record, bytes| {
                    let shares = self.streams.get_mut(stream);
                    let named = shares.and_then(|shares| shares.named.get_mut(side)).into_iter().flatten();
                    let mut open = named.filter(|named| named.begin.is_empty());
                    let is = |named: &&mut Named| {
                        (named.ts, named.conn) == (record.ts, record.conn) && named.hash == content(bytes)
                    };
                    if let Some(named) = open.find(is) {
                        left -= 1;
                        let begin = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
                        named.begin = begin.escape_ascii().to_string();
                    }
                })?;
            }
        }
        Ok(())
    }
}

impl Shares {
    /// Takes all that is held of one content.
    fn take(&mut self, same: &[Held]) {
        let count =
            |side| same.iter().filter(|held| held.side == side).map(|held| u64::from(held.times)).sum();
        let counts: [u64; 2] = [count(0), count(1)];
        let [a, b] = counts;
        self.both += a.min(b);
        let (side, times) = if a > b { (0, a - b) } else { (1, b - a) };
        if times == 0 {
            return;
        }
        let copy = a.min(b) > 0;
        if let (Some(only), Some(copies)) = (self.only.get_mut(side), self.copies.get_mut(side)) {
            *only += times;
            *copies += if copy { times } else { 0 };
        }
        let first = same.iter().filter(|held| held.side == side).min_by_key(|held| held.ts);
        if let (Some(first), Some(named)) = (first, self.named.get_mut(side)) {
            let Held { ts, conn, hash, .. } = *first;
            named.push(Named { ts, conn, hash, times, copy, begin: String::new() });
            named.sort_by_key(|named| (named.ts, named.conn, named.hash));
            named.truncate(NAMED_MAX);
        }
    }
}

/// Brings equal ones together, with the first time of each.
fn press(held: &mut Vec<Held>) {
    held.sort_unstable_by(|a, b| a.key().cmp(&b.key()).then(a.ts.cmp(&b.ts)).then(a.conn.cmp(&b.conn)));
    held.dedup_by(|next, first| {
        let sum = (next.key() == first.key()).then(|| first.times.checked_add(next.times)).flatten();
        first.times = sum.unwrap_or(first.times);
        sum.is_some()
    });
}

/// Whether there is room again once equal ones are together.
fn fits(held: &mut Vec<Held>, max: usize) -> bool {
    press(held);
    held.len() <= max / 4 * 3
}

/// Adds what is held, which is sorted, to the roots.
fn add_roots(held: &[Held], roots: &mut Roots) {
    let same = |a: &Held, b: &Held| a.key() == b.key();
    for same in held.chunk_by(same) {
        let Some(Held { stream, side, day, hash, .. }) = same.first() else { continue };
        let times: u64 = same.iter().map(|held| u64::from(held.times)).sum();
        let root = roots.entry((*stream, *side, *day)).or_insert_with(|| (0, Context::new(&SHA256)));
        root.0 += times;
        root.1.update(hash);
        root.1.update(&times.to_le_bytes());
    }
}
