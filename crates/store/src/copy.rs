//! Copies of files that count only when every byte was held against its checksum.

use crate::disk::{HostFiles, create_dirs};
use crate::file::CHUNK;
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

/// Writes what `source` gives as the file `to`, whose folder is made. The file has its name only when it is whole and
/// every byte is right; its name outlives a loss of power when its folder was synced. `progress` is told how many bytes came.
///
/// # Errors
/// [`Error::Damaged`] with the path `named` where the bytes are not those of the checksums, [`Error::Disk`].
pub(crate) fn land(
    mut source: impl Read,
    named: &Path,
    to: &Path,
    (bytes, chunks): (u64, &[u32]),
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let part = to.with_added_extension("part");
    let failed = |source| Error::Disk { doing: "write", path: part.clone(), source };
    let damaged = |what: String| Error::Damaged { path: named.to_owned(), what };
    let unread = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => damaged(format!("it has fewer than {bytes} bytes")),
        _ => Error::Disk { doing: "read", path: named.to_owned(), source },
    };
    if let Some(dir) = to.parent() {
        create_dirs(&HostFiles, dir).map_err(failed)?;
    }
    let mut out = File::create(&part).map_err(failed)?;
    let mut buffer = vec![0; chunk_length(bytes)];
    let mut at = 0;
    for wanted in chunks {
        let piece = buffer.get_mut(..chunk_length(bytes.saturating_sub(at))).unwrap_or_default();
        source.read_exact(piece).map_err(unread)?;
        let end = at + piece.len() as u64;
        if crc32fast::hash(piece) != *wanted {
            return Err(damaged(format!("the checksum of bytes {at} to {end} does not hold")));
        }
        out.write_all(piece).map_err(failed)?;
        progress(end - at);
        at = end;
    }
    if at != bytes || source.read(&mut [0]).map_err(unread)? != 0 {
        return Err(damaged(format!("it has not {bytes} bytes")));
    }
    out.sync_all().map_err(failed)?;
    drop(out);
    std::fs::rename(&part, to).map_err(failed)
}
