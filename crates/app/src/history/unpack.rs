//! Files that are packed, or not, as the texts that they hold. Nothing is held whole in memory.

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result};
use std::path::Path;

/// Calls `read` with each text of a file and its name: the file's own, or in a .zip that of the part. `bar` moves with
/// what was read.
///
/// # Errors
/// Where the file cannot be read to its end, or is a .zip without a .csv; or the first of `read`.
pub fn texts(
    path: &Path,
    bar: &ProgressBar,
    mut read: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let file = File::open(path)?;
    bar.set_length(file.metadata()?.len());
    let file = BufReader::new(bar.wrap_read(file));
    let name = path.to_string_lossy();
    let ends = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
    if ends("gz") {
        return read(&name, &mut MultiGzDecoder::new(file));
    }
    if !ends("zip") {
        return read(&name, &mut { file });
    }
    let mut archive = zip::ZipArchive::new(file)?;
    let mut any = false;
    for at in 0..archive.len() {
        let mut part = archive.by_index(at)?;
        let name = part.name().to_owned();
        if part.is_file() && name.to_ascii_lowercase().ends_with(".csv") {
            any = true;
            read(&name, &mut part)?;
        }
    }
    if any { Ok(()) } else { Err(Error::new(ErrorKind::InvalidData, "there is no .csv in it")) }
}
