//! Copies of files that count only when every byte was held against its checksum.

use crate::disk::{HostFiles, create_dirs};
use crate::file::CHUNK;
use crate::manifest::FileMeta;
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

/// A CRC-32 of each 64 KiB of these bytes.
pub(crate) fn chunks(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(chunk_length(CHUNK)).map(crc32fast::hash).collect()
}

fn chunk_length(bytes: u64) -> usize {
    usize::try_from(bytes.min(CHUNK)).unwrap_or(usize::MAX)
}

/// The sum of checksums, as part of a name.
pub(crate) fn sum(bytes: u64, chunks: &[u32]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes.to_le_bytes());
    for chunk in chunks {
        hasher.update(&chunk.to_le_bytes());
    }
    format!("{:08x}", hasher.finalize())
}

/// Where a file stands in a place of copies: its path with its checksum, so that no other bytes ever have that name.
pub(crate) fn lasting_name(file: &FileMeta) -> String {
    let (name, ending) = file.path.rsplit_once('.').unwrap_or((&file.path, ""));
    format!("{name}.{}.{ending}", sum(file.bytes, &file.chunks))
}

/// Gives what `source` has to `take`, each 64 KiB when they were held against their checksum.
///
/// # Errors
/// [`Error::Damaged`] with the path `named` where the bytes are not those of the checksums, [`Error::Disk`] with that path
/// where they cannot be read, and what `take` says.
pub(crate) fn pour(
    mut source: impl Read,
    named: &Path,
    (bytes, chunks): (u64, &[u32]),
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let damaged = |what: String| Error::Damaged { path: named.to_owned(), what };
    let unread = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => damaged(format!("it has fewer than {bytes} bytes")),
        _ => Error::Disk { doing: "read", path: named.to_owned(), source },
    };
    let mut buffer = vec![0; chunk_length(bytes)];
    let mut at = 0;
    for wanted in chunks {
        let piece = buffer.get_mut(..chunk_length(bytes.saturating_sub(at))).unwrap_or_default();
        source.read_exact(piece).map_err(unread)?;
        let end = at + piece.len() as u64;
        if crc32fast::hash(piece) != *wanted {
            return Err(damaged(format!("the checksum of bytes {at} to {end} does not hold")));
        }
        take(piece)?;
        at = end;
    }
    if at != bytes || source.read(&mut [0]).map_err(unread)? != 0 {
        return Err(damaged(format!("it has not {bytes} bytes")));
    }
    Ok(())
}

/// Writes what `source` gives as the file `to`, whose folder is made. The file has its name only when it is whole and
/// every byte is right; its name outlives a loss of power when its folder was synced. `progress` is told how many bytes came.
///
/// # Errors
/// As [`pour`], and [`Error::Disk`] where it cannot be written.
pub(crate) fn land(
    source: impl Read,
    named: &Path,
    to: &Path,
    sums: (u64, &[u32]),
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let part = to.with_added_extension("part");
    let failed = |source| Error::Disk { doing: "write", path: part.clone(), source };
    if let Some(dir) = to.parent() {
        create_dirs(&HostFiles, dir).map_err(failed)?;
    }
    let mut out = File::create(&part).map_err(failed)?;
    pour(source, named, sums, |piece| {
        out.write_all(piece).map_err(failed)?;
        progress(piece.len() as u64);
        Ok(())
    })?;
    out.sync_all().map_err(failed)?;
    drop(out);
    std::fs::rename(&part, to).map_err(failed)
}
