//! Files of the server (`02c5`, `06b9`), and the block files among them.

use super::text::Text;
use super::walk::{Reader, Result, Walk};
use source::{Malformed, What};

/// Size and MD5 of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileMeta {
    /// How many bytes.
    pub size: u32,
    /// The MD5, as text.
    pub md5: Text<32>,
}

impl FileMeta {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.u32(&mut self.size)?;
        walk.u8(&mut 1)?;
        self.md5.walk(walk)?;
        walk.u8(&mut 0)
    }
}

/// A part of a file.
pub(super) fn part(walk: &mut impl Walk, bytes: &mut Vec<u8>) -> Result {
    let too_long = walk.fault(What::Rule("a part of a file is longer than its answer"));
    let mut size = u32::try_from(bytes.len()).map_err(|_| too_long)?;
    walk.u32(&mut size)?;
    let size = usize::try_from(size).ok().filter(|size| walk.left().is_none_or(|left| *size <= left));
    bytes.resize(size.ok_or(too_long)?, 0);
    walk.raw(bytes)
}

/// A block: instruments that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is called.
    pub name: String,
    /// The venue's number of what they have in common.
    pub kind: u16,
    /// Codes of six digits.
    pub members: Vec<String>,
}

/// Where the number of blocks stands in `block_zs.dat`, `block_gn.dat` and `block_fg.dat`.
pub const BLOCKS_HEAD: usize = 384;
/// The bytes of a block.
pub const BLOCK_BYTES: usize = 2813;
/// How many members a block can hold; larger ones stand in `spblock.dat`.
pub const MEMBERS_MAX: usize = 400;

/// Reads a block file.
///
/// # Errors
/// Where it ends inside a block.
pub fn blocks(bytes: &[u8]) -> Result<Vec<Block>> {
    let mut reader = Reader::new(bytes);
    reader.seek(BLOCKS_HEAD);
    let mut count = 0;
    reader.u16(&mut count)?;
    let mut all = Vec::new();
    for _ in 0..count {
        let at = reader.at();
        let Some(record) = reader.remaining().get(..BLOCK_BYTES) else {
            return Err(Malformed { at: bytes.len(), what: What::Eof });
        };
        all.push(block(record).map_err(|fault| Malformed { at: at + fault.at, ..fault })?);
        reader.seek(at + BLOCK_BYTES);
    }
    Ok(all)
}

/// Reads one block.
///
/// # Errors
/// Where it has more members than there is room for, or one is no code.
pub fn block(record: &[u8]) -> Result<Block> {
    let mut reader = Reader::new(record);
    let (mut name, mut count, mut kind) = (Text::<9>::default(), 0, 0);
    name.walk(&mut reader)?;
    reader.u16(&mut count)?;
    reader.u16(&mut kind)?;
    if usize::from(count) > MEMBERS_MAX {
        return Err(Malformed { at: 9, what: What::Rule("a block with more than 400 members") });
    }
    let mut members = Vec::new();
    reader.list(usize::from(count), &mut members, |reader, code: &mut Text<7>| {
        let at = reader.at();
        code.walk(reader)?;
        // Some builds put a digit for the market before the code; then no NUL is left at the end.
        let digits = code.0.split(|b| *b == 0).next().unwrap_or_default();
        let sound = digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit);
        if sound { Ok(()) } else { Err(Malformed { at, what: What::Expected("a code of six digits") }) }
    })?;
    let plain = |code: &Text<7>| {
        let text = code.get();
        text.get(text.len().saturating_sub(6)..).unwrap_or_default().to_owned()
    };
    Ok(Block { name: name.get(), kind, members: members.iter().map(plain).collect() })
}
