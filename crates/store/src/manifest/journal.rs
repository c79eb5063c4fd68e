//! The catalogue a second time: all that it said when the journal was begun, then each change since. Of it the catalogue is
//! made again where it is damaged or missing, and by it one that says less than it did is known.
//!
//! A frame is a head and a body. The head has, in little-endian, the body's length (8 bytes), the generation of the
//! catalogue after it (8), and a CRC-32 of head and body (4). The body is zstd of our binary form: in the first frame of an
//! [`Image`], in the others of a [`Change`]. A change is in the catalogue before it is in the journal, and nothing is deleted
//! that the journal still needs: what ends in the middle of a frame was not yet relied on.

use super::{Change, Image};
use crate::code::{Code, record};
use crate::disk::{Files, Handle};
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// The file of the journal in the store's folder.
pub(crate) const NAME: &str = "manifest.journal";
const PART: &str = "manifest.journal.part";
const HEAD: usize = 20;
/// A frame of more bytes than this is not unpacked.
const FRAME_MAX: u64 = 4 << 30;
/// The journal is begun anew when its changes have more bytes than this,
const CHANGES_MIN: u64 = 4 << 20;
/// and more than so many times those of the image.
const CHANGES_PER_IMAGE: u64 = 2;

record! {
    Change { add, remove, sealed, notes, dropped, ledger, cooling }
}

/// A journal that is written to.
pub(super) struct Journal {
    handle: Box<dyn Handle>,
    image: u64,
    changes: u64,
}

impl Journal {
    /// Begins a journal in place of the one that is there.
    ///
    /// # Errors
    /// What the system says; then the one before is still there.
    pub fn begin(files: &dyn Files, dir: &Path, generation: u64, image: &Image) -> io::Result<Self> {
        let frame = frame(generation, image)?;
        let mut handle = files.create(&dir.join(PART))?;
        handle.append(&frame)?;
        handle.sync()?;
        files.rename(&dir.join(PART), &dir.join(NAME))?;
        files.sync_names(dir)?;
        Ok(Self { handle, image: frame.len() as u64, changes: 0 })
    }

    /// Adds a frame; it outlives a loss of power when this returns.
    ///
    /// # Errors
    /// What the system says; then it is to be begun anew.
    pub fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        self.handle.append(frame)?;
        self.handle.sync()?;
        self.changes += frame.len() as u64;
        Ok(())
    }

    /// Whether it is better begun anew.
    pub const fn is_long(&self) -> bool {
        self.changes > CHANGES_MIN && self.changes / CHANGES_PER_IMAGE > self.image
    }
}

/// A frame's bytes.
pub(super) fn frame(generation: u64, body: &impl Code) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    body.put(&mut plain);
    let body = zstd::encode_all(plain.as_slice(), 3)?;
    let mut bytes = (body.len() as u64).to_le_bytes().to_vec();
    bytes.extend(generation.to_le_bytes());
    bytes.extend(sum(&bytes, &body));
    bytes.extend(body);
    Ok(bytes)
}

fn sum(head: &[u8], body: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize().to_le_bytes()
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    pub image: Image,
    pub changes: Vec<Change>,
    /// Bytes at its end that are no frame.
    pub torn: u64,
}

/// The frames that hold, each with its generation, and how many bytes follow them.
fn frames(mut bytes: &[u8]) -> (Vec<(u64, &[u8])>, u64) {
    let mut frames = Vec::new();
    let next = |bytes: &[u8]| -> Option<(u64, usize)> {
        let head = bytes.get(..HEAD)?;
        let word = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let length = usize::try_from(word(0)?).ok()?;
        let body = bytes.get(HEAD..)?.get(..length)?;
        (head.get(16..)? == sum(head.get(..16)?, body)).then_some((word(8)?, length))
    };
    while let Some((generation, length)) = next(bytes) {
        let (frame, rest) = bytes.split_at(HEAD + length);
        frames.push((generation, frame.get(HEAD..).unwrap_or_default()));
        bytes = rest;
    }
    (frames, bytes.len() as u64)
}

/// The newest generation that the journal of a folder knows of; 0 where there is none.
///
/// # Errors
/// What the system says.
pub(super) fn generation(dir: &Path) -> io::Result<u64> {
    let bytes = read(dir)?.unwrap_or_default();
    Ok(frames(&bytes).0.last().map_or(0, |(generation, _)| *generation))
}

/// What the journal of a folder says; `None` where there is none, or its image does not hold.
///
/// # Errors
/// What the system says.
pub(crate) fn journaled(dir: &Path) -> io::Result<Option<Journaled>> {
    let Some(bytes) = read(dir)? else { return Ok(None) };
    let (frames, torn) = frames(&bytes);
    let mut frames = frames.into_iter().map(|(_, body)| body);
    let Some(image) = frames.next().and_then(unpacked::<Image>) else { return Ok(None) };
    let Some(changes) = frames.map(unpacked::<Change>).collect() else { return Ok(None) };
    Ok(Some(Journaled { image, changes, torn }))
}

fn read(dir: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(dir.join(NAME)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unpacked<T: Code>(body: &[u8]) -> Option<T> {
    let mut plain = Vec::new();
    zstd::Decoder::new(body).ok()?.take(FRAME_MAX).read_to_end(&mut plain).ok()?;
    let mut rest = plain.as_slice();
    T::take(&mut rest).filter(|_| rest.is_empty())
}
