//! Reads our own tape, block by block.

use crate::block::{
    BLOCK_HEAD_BYTES, BLOCK_RAW_MAX, BlockHead, HEAD_BYTES_MAX, MAGIC, VERSION, parse_head, take_record,
};
use crate::chain::{self, Hash};
use crate::error::{Damage, Place};
use crate::input::Input;
use crate::{About, Kind, Record};
use model::Ts;
use std::io::{self, Read};

pub(crate) struct BlockReader {
    input: Input,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    packed: Vec<u8>,
    raw: Vec<u8>,
    /// How much of `raw` was taken.
    taken: usize,
    left: u32,
    last: Ts,
    /// Where the block in hand begins, and where the next one does.
    start: u64,
    end: u64,
    begun: bool,
    about: Option<About>,
    version: u16,
    /// Whether blocks are held against the chain.
    pub checked: bool,
    /// The link of the block in hand, or with what the chain begins; `None` in version 1.
    link: Option<Hash>,
}

impl BlockReader {
    pub fn new(input: Input) -> Self {
        Self {
            input,
            decompressor: None,
            packed: Vec::new(),
            raw: Vec::new(),
            taken: 0,
            left: 0,
            last: Ts::default(),
            start: 0,
            end: 0,
            begun: false,
            about: None,
            version: 0,
            checked: false,
            link: None,
        }
    }

    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    pub const fn version(&self) -> u16 {
        self.version
    }

    pub const fn link(&self) -> Option<Hash> {
        self.link
    }

    pub fn read(&mut self) -> Result<Option<Record>, Damage> {
        if !self.begun {
            self.begun = true;
            return self.head().map(Some);
        }
        if self.left == 0 && !self.block()? {
            return Ok(None);
        }
        let mut rest = self.raw.get(self.taken..).unwrap_or_default();
        let record = take_record(&mut rest, self.last);
        let record = record.ok_or_else(|| self.damage("a record of the block makes no sense"))?;
        self.taken = self.raw.len() - rest.len();
        self.left -= 1;
        self.last = record.ts;
        if self.left == 0 && self.taken != self.raw.len() {
            return Err(self.damage("the block is longer than its records"));
        }
        Ok(Some(record))
    }

    fn head(&mut self) -> Result<Record, Damage> {
        let fixed: Option<[u8; 14]> = self.exactly("the file's head")?;
        let fixed = fixed.ok_or_else(|| self.damage("the file is empty"))?;
        let rest = fixed.strip_prefix(MAGIC).ok_or_else(|| self.damage("the file's head is no tape's"))?;
        let (version, length) = match rest {
            [v0, v1, n0, n1, n2, n3] => {
                (u16::from_le_bytes([*v0, *v1]), u32::from_le_bytes([*n0, *n1, *n2, *n3]) as usize)
            }
            _ => (0, 0),
        };
        if !(1..=VERSION).contains(&version) {
            return Err(self.damage(format!("the tape is of version {version}; known are 1 to {VERSION}")));
        }
        self.version = version;
        if length > HEAD_BYTES_MAX {
            return Err(self.damage("the length of the file's head is absurd"));
        }
        self.fill(length, "the file's head")?;
        let crc: Option<[u8; 4]> = self.exactly("the file's head")?;
        let crc = crc.ok_or_else(|| self.damage("the file's head is cut short: its checksum is missing"))?;
        if u32::from_le_bytes(crc) != crc32fast::hash(&self.packed) {
            return Err(self.damage("the checksum of the file's head does not match"));
        }
        let about = parse_head(&self.packed, version);
        let about = about.ok_or_else(|| self.damage("the file's head makes no sense"))?;
        self.link = (version > 1).then(|| chain::begin(&self.packed));
        let kind = Kind::Header { source: Some(about.source.clone()) };
        let ts = about.created;
        self.about = Some(about);
        Ok(Record { ts, conn: 0, kind })
    }

    /// Passes over the next block, whose checksum it holds; false at the end of what does.
    pub fn skip(&mut self) -> bool {
        let Ok(Some(head)) = self.packed() else { return false };
        self.link = head.link;
        true
    }

    /// Reads the next block, still compressed; `None` at the end of the file.
    fn packed(&mut self) -> Result<Option<BlockHead>, Damage> {
        self.start = self.end;
        let Some(bytes) = self.exactly::<BLOCK_HEAD_BYTES>("a block's head")? else { return Ok(None) };
        let mut head = BlockHead::parse(&bytes).ok_or_else(|| self.damage("no block begins here"))?;
        if self.version > 1 {
            let link = self.exactly("a block's head")?;
            head.link =
                Some(link.ok_or_else(|| self.damage("a block's head is cut short: its link is missing"))?);
        }
        let raw_bytes = head.raw as usize;
        if raw_bytes > BLOCK_RAW_MAX || head.packed as usize > zstd::zstd_safe::compress_bound(raw_bytes) {
            return Err(self.damage("a block's length is absurd"));
        }
        self.fill(head.packed as usize, "a block")?;
        if head.checksum(&self.packed) != head.crc {
            return Err(self.damage("a block's checksum does not match"));
        }
        Ok(Some(head))
    }

    /// Takes the next block into hand; false at the end of the file.
    fn block(&mut self) -> Result<bool, Damage> {
        let Some(head) = self.packed()? else { return Ok(false) };
        let raw_bytes = head.raw as usize;
        self.raw.clear();
        self.raw.reserve(raw_bytes);
        let result = match self.decompressor.take() {
            Some(known) => Ok(known),
            None => zstd::bulk::Decompressor::new(),
        };
        let mut decompressor = result.map_err(|e| self.caused("no decompressor can be made", e))?;
        let result = decompressor.decompress_to_buffer(&self.packed, &mut self.raw);
        self.decompressor = Some(decompressor);
        result.map_err(|e| self.caused("a block cannot be decompressed", e))?;
        if self.raw.len() != raw_bytes || head.records == 0 {
            return Err(self.damage("a block is not as long as its head says"));
        }
        if let (true, Some(before), Some(link)) = (self.checked, self.link, head.link)
            && link != chain::link(&before, head.records, head.first, &self.raw)
        {
            return Err(self.damage("the chain is broken: this is not the block that was written here"));
        }
        self.link = head.link;
        (self.taken, self.left, self.last) = (0, head.records, head.first);
        Ok(true)
    }

    /// Exactly `N` bytes, or `None` where the file is at its end.
    fn exactly<const N: usize>(&mut self, what: &str) -> Result<Option<[u8; N]>, Damage> {
        let mut bytes = [0; N];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.input.read(room) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.damage(format!("{what} is cut short: {filled} of {N} bytes"))),
                Ok(count) => filled += count,
                Err(error) => return Err(self.caused("the file cannot be read on", error)),
            }
        }
        self.end += N as u64;
        Ok(Some(bytes))
    }

    /// Exactly `length` bytes into `packed`.
    fn fill(&mut self, length: usize, what: &str) -> Result<(), Damage> {
        self.packed.clear();
        let read = self.input.by_ref().take(length as u64).read_to_end(&mut self.packed);
        let read = read.map_err(|e| self.caused("the file cannot be read on", e))?;
        if read < length {
            return Err(self.damage(format!("{what} is cut short: {read} of {length} bytes")));
        }
        self.end += length as u64;
        Ok(())
    }

    fn damage(&self, what: impl Into<String>) -> Damage {
        let place = Place { byte: self.start, compressed: self.input.compressed(), line: None };
        Damage { place, what: what.into(), source: None }
    }

    fn caused(&self, what: &str, source: io::Error) -> Damage {
        Damage { source: Some(source), ..self.damage(what) }
    }
}
