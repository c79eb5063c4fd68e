//! Files that are packed, or not, as the texts that they hold. Nothing is held whole in memory.

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use source::Records;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::path::Path;

/// The longest line, and the longest binary row, that is read.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

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

/// Calls `row` with each row of a text that is not CSV.
///
/// # Errors
/// Where it cannot be read to its end, ends inside a row, or a line is longer than any; or the first of `row`.
pub fn cut(records: Records, text: &mut dyn Read, mut row: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut text = BufReader::new(text);
    let mut bytes = Vec::new();
    let head = if let Records::Fixed { head, .. } = records { head } else { 0 };
    if take(&mut text, head, &mut bytes)? < head {
        return Err(Error::new(ErrorKind::UnexpectedEof, "it ends before its first row"));
    }
    loop {
        let read = match records {
            Records::Fixed { size, .. } => take(&mut text, size, &mut bytes)?,
            Records::Lines => {
                bytes.clear();
                (&mut text).take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?
            }
        };
        match records {
            _ if read == 0 => return Ok(()),
            Records::Fixed { size, .. } if read < size => {
                return Err(Error::new(
                    ErrorKind::UnexpectedEof,
                    format!("it ends after {read} of {size} bytes of a row"),
                ));
            }
            Records::Lines if read == ROW_BYTES_MAX => {
                return Err(Error::new(ErrorKind::InvalidData, "a line is longer than 64 KiB"));
            }
            Records::Fixed { .. } => row(&bytes)?,
            Records::Lines => row(bytes.trim_ascii_end())?,
        }
    }
}

/// Reads so many bytes, or what there still is; says how many.
fn take(text: &mut impl Read, size: usize, bytes: &mut Vec<u8>) -> Result<usize> {
    bytes.clear();
    text.take(size.min(ROW_BYTES_MAX) as u64).read_to_end(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(records: Records, mut text: &[u8]) -> (Vec<Vec<u8>>, Result<()>) {
        let mut all = Vec::new();
        let read = cut(records, &mut text, |row| {
            all.push(row.to_vec());
            Ok(())
        });
        (all, read)
    }

    #[test]
    fn binary_rows_are_cut_after_the_head_and_a_part_of_one_is_told() {
        let fixed = Records::Fixed { head: 2, size: 3 };
        let (all, read) = rows(fixed, b"--abcdef");
        assert_eq!((all, read.is_ok()), (vec![b"abc".to_vec(), b"def".to_vec()], true));
        let (all, read) = rows(fixed, b"--abcde");
        assert_eq!(all, [b"abc".to_vec()]);
        assert_eq!(read.unwrap_err().to_string(), "it ends after 2 of 3 bytes of a row");
        assert!(rows(fixed, b"-").1.is_err());
    }

    #[test]
    fn lines_lose_their_ends_and_an_endless_one_is_refused() {
        let (all, read) = rows(Records::Lines, b"a\r\n\nb");
        assert_eq!((all, read.is_ok()), (vec![b"a".to_vec(), b"".to_vec(), b"b".to_vec()], true));
        assert!(rows(Records::Lines, &vec![b'x'; ROW_BYTES_MAX]).1.is_err());
    }
}
