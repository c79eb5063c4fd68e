//! Reads a file, and believes no byte before it was held against its checksum.

use super::CHUNK;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file of which each part is held against its checksum when it is first read.
#[derive(Clone)]
pub(super) struct Checked(Arc<CheckedFile>);

struct CheckedFile {
    file: File,
    bytes: u64,
    chunks: Vec<u32>,
    right: Vec<AtomicBool>,
}

impl Checked {
    /// Whether somebody else has it open too.
    pub fn in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// A file of so many bytes with these checksums.
    pub fn new(file: File, bytes: u64, chunks: Vec<u32>) -> Self {
        let right = chunks.iter().map(|_| AtomicBool::new(false)).collect();
        Self(Arc::new(CheckedFile { file, bytes, chunks, right }))
    }

    /// Holds every byte against its checksum.
    ///
    /// # Errors
    /// What does not hold, or why it cannot be read.
    pub fn check(&self) -> io::Result<()> {
        (0..self.0.bytes.div_ceil(CHUNK)).try_for_each(|chunk| self.0.check(chunk))
    }
}

impl CheckedFile {
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.end > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for chunk in range.start / CHUNK..range.end.div_ceil(CHUNK) {
            self.check(chunk)?;
        }
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    fn check(&self, chunk: u64) -> io::Result<()> {
        let place = usize::try_from(chunk).unwrap_or(usize::MAX);
        let (Some(wanted), Some(right)) = (self.chunks.get(place), self.right.get(place)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if right.load(Ordering::Acquire) {
            return Ok(());
        }
        let start = chunk * CHUNK;
        let mut bytes = vec![0; usize::try_from(CHUNK.min(self.bytes - start)).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, start)?;
        if crc32fast::hash(&bytes) != *wanted {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the checksum of bytes {start} to {} does not hold", start + bytes.len() as u64),
            ));
        }
        right.store(true, Ordering::Release);
        Ok(())
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.0.bytes
    }
}

impl ChunkReader for Checked {
    type T = Ahead;

    fn get_read(&self, start: u64) -> Result<Ahead, ParquetError> {
        Ok(Ahead { file: self.clone(), at: start, read: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.0.read(start..start + length as u64)?.into())
    }
}

/// Reads on from a place.
pub(super) struct Ahead {
    file: Checked,
    at: u64,
    read: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() {
            let end = ((self.at / CHUNK + 1) * CHUNK).min(self.file.0.bytes);
            if end <= self.at {
                return Ok(0);
            }
            self.read = self.file.0.read(self.at..end)?.into();
            self.at = end;
        }
        let part = self.read.split_to(out.len().min(self.read.len()));
        if let Some(place) = out.get_mut(..part.len()) {
            place.copy_from_slice(&part);
        }
        Ok(part.len())
    }
}
