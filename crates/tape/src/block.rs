//! How our tape looks in bytes. Numbers are little-endian; a varint is LEB128.
//!
//! ```text
//! file    = "QXTAPE\x1a\n"  version:u16  length:u32  head[length]  crc32(head):u32  block*
//! head    = created:i64 (ns)  source:text  hosts:varint  host:text*  before[32]     text = length:varint utf8
//! block   = "QXBK"  packed:u32  raw:u32  records:u32  first:i64 (ns)  crc32:u32  link[32]  zstd[packed]
//! zstd    = record*, `raw` bytes and `records` records; crc32 is over packed … first, link and zstd
//! record  = tag:u8  conn:varint  zigzag(ts - ts of the record before, or first):varint  fields
//! ```
//!
//! Tags and fields: 1 connect (url:text), 2 sent (bytes), 3 text frame (bytes), 4 binary frame (bytes), 5 reply without
//! URL (status:varint bytes), 6 reply (url:text status:varint bytes), 7 closed (why:text); bytes = length:varint data.
//!
//! `before` and `link` are the chain (see `chain.rs`); zeros where there is no tape before. A block is of one UTC day.
//! Version 1 is the same without them, and without the rule about days.

use crate::chain::{self, Hash};
use crate::writer::Entry;
use crate::{About, Kind, RECORD_BYTES_MAX, Record};
use model::Ts;

pub(crate) const MAGIC: &[u8; 8] = b"QXTAPE\x1a\n";
pub(crate) const VERSION: u16 = 2;
pub(crate) const BLOCK_MAGIC: &[u8; 4] = b"QXBK";
pub(crate) const BLOCK_HEAD_BYTES: usize = 28;
/// The longest that a block is before compression: one longest record, or a small overshoot.
pub(crate) const BLOCK_RAW_MAX: usize = RECORD_BYTES_MAX + (64 << 10);
/// Longer heads of files are damage.
pub(crate) const HEAD_BYTES_MAX: usize = 1 << 20;

/// The first bytes of a tape, and with what its chain begins.
pub(crate) fn file_head(about: &About) -> (Vec<u8>, Hash) {
    let mut head = about.created.0.to_le_bytes().to_vec();
    put_bytes(about.source.as_bytes(), &mut head);
    put_varint(about.hosts.len() as u64, &mut head);
    for host in &about.hosts {
        put_bytes(host.as_bytes(), &mut head);
    }
    head.extend(about.before.unwrap_or_default());
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((head.len() as u32).to_le_bytes());
    out.extend(&head);
    out.extend(crc32fast::hash(&head).to_le_bytes());
    (out, chain::begin(&head))
}

/// What a file says about itself.
pub(crate) fn parse_head(mut head: &[u8], version: u16) -> Option<About> {
    let (created, rest) = head.split_first_chunk::<8>()?;
    head = rest;
    let source = take_text(&mut head)?;
    let hosts = (0..take_varint(&mut head)?).map(|_| take_text(&mut head)).collect::<Option<_>>()?;
    let before = if version == 1 { Hash::default() } else { Hash::try_from(head).ok()? };
    let before = (before != Hash::default()).then_some(before);
    Some(About { source, hosts, created: Ts(i64::from_le_bytes(*created)), before })
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub packed: u32,
    pub raw: u32,
    pub records: u32,
    pub first: Ts,
    pub crc: u32,
    /// `None` in version 1.
    pub link: Option<Hash>,
}

impl BlockHead {
    /// The head with its checksum over itself and the compressed bytes.
    pub fn sealed(packed: &[u8], raw: u32, records: u32, first: Ts, link: Hash) -> Self {
        let mut head = Self { packed: packed.len() as u32, raw, records, first, crc: 0, link: Some(link) };
        head.crc = head.checksum(packed);
        head
    }

    pub fn checksum(&self, packed: &[u8]) -> u32 {
        let bytes = self.bytes();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(bytes.get(4..24).unwrap_or_default());
        hasher.update(self.link.as_ref().map_or(&[], Hash::as_slice));
        hasher.update(packed);
        hasher.finalize()
    }

    /// The head but for its link.
    pub fn bytes(&self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut out = [0; BLOCK_HEAD_BYTES];
        let fields = BLOCK_MAGIC
            .iter()
            .copied()
            .chain(self.packed.to_le_bytes())
            .chain(self.raw.to_le_bytes())
            .chain(self.records.to_le_bytes())
            .chain(self.first.0.to_le_bytes())
            .chain(self.crc.to_le_bytes());
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// The head but for its link.
    pub fn parse(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Option<Self> {
        let rest = bytes.strip_prefix(BLOCK_MAGIC)?;
        let (packed, rest) = rest.split_first_chunk()?;
        let (raw, rest) = rest.split_first_chunk()?;
        let (records, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (crc, _) = rest.split_first_chunk()?;
        Some(Self {
            packed: u32::from_le_bytes(*packed),
            raw: u32::from_le_bytes(*raw),
            records: u32::from_le_bytes(*records),
            first: Ts(i64::from_le_bytes(*first)),
            crc: u32::from_le_bytes(*crc),
            link: None,
        })
    }
}

/// Appends a record; `last` is the time of the one before.
pub(crate) fn put_record(ts: Ts, conn: u32, entry: &Entry<'_>, last: Ts, out: &mut Vec<u8>) {
    let tag = match entry {
        Entry::Connect { .. } => 1,
        Entry::Sent(_) => 2,
        Entry::Frame { binary: false, .. } => 3,
        Entry::Frame { binary: true, .. } => 4,
        Entry::Reply { url: None, .. } => 5,
        Entry::Reply { url: Some(_), .. } => 6,
        Entry::Closed { .. } => 7,
    };
    out.push(tag);
    put_varint(u64::from(conn), out);
    let delta = ts.0.wrapping_sub(last.0);
    put_varint(((delta << 1) ^ (delta >> 63)) as u64, out);
    match entry {
        Entry::Connect { url } => put_bytes(url.as_bytes(), out),
        Entry::Sent(bytes) | Entry::Frame { bytes, .. } => put_bytes(bytes, out),
        Entry::Reply { url, status, body } => {
            if let Some(url) = url {
                put_bytes(url.as_bytes(), out);
            }
            put_varint(u64::from(*status), out);
            put_bytes(body, out);
        }
        Entry::Closed { why } => put_bytes(why.as_bytes(), out),
    }
}

/// Takes a record off the front of `raw`; `None` where there is no whole and valid one.
pub(crate) fn take_record(raw: &mut &[u8], last: Ts) -> Option<Record> {
    let (tag, rest) = raw.split_first()?;
    *raw = rest;
    let conn = u32::try_from(take_varint(raw)?).ok()?;
    let zigzag = take_varint(raw)?;
    let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    let kind = match tag {
        1 => Kind::Connect { url: take_text(raw)? },
        2 => Kind::Sent(take_bytes(raw)?.to_vec()),
        3 | 4 => Kind::Frame { bytes: take_bytes(raw)?.to_vec(), binary: *tag == 4 },
        5 | 6 => Kind::Reply {
            url: if *tag == 6 { Some(take_text(raw)?) } else { None },
            status: u16::try_from(take_varint(raw)?).ok()?,
            body: take_bytes(raw)?.to_vec(),
        },
        7 => Kind::Closed { why: take_text(raw)? },
        _ => return None,
    };
    Some(Record { ts: Ts(last.0.wrapping_add(delta)), conn, kind })
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(from)?.to_vec()).ok()
}
