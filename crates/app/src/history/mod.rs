//! The past: `qingxi backfill` reads it by REST, `qingxi import` from files. Both write events, one JSON object a line, as
//! the stream has them, or put them into a store.

mod adjust;
pub mod backfill;
pub mod import;
mod repair;
mod rows;
mod table;
mod tables;
mod tapes;
mod tardis;
mod target;
mod unpack;

use crate::error::{Error, Result};
use model::{Event, Flags, Ts};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file of events that grows.
pub struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    events: u64,
    line: Vec<u8>,
    /// What each line says of the view that it is of; empty where it is as it was told.
    seen: String,
}

impl Output {
    /// Opens a file that is cut to its first `bytes`; all before them is kept.
    fn open(path: &Path, bytes: u64) -> Result<Self> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(failed)?;
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_owned(), file, bytes, events: 0, line: Vec::new(), seen: String::new() })
    }

    fn put(&mut self, mut event: Event) -> Result<()> {
        event.flags |= Flags::REPAIRED;
        self.line.clear();
        wire::event_json(&event, None, None, &mut self.line);
        if !self.seen.is_empty() && self.line.pop().is_some() {
            self.line.extend_from_slice(format!(",\"adjusted\":\"{}\"}}", self.seen).as_bytes());
        }
        self.events += 1;
        self.write()
    }

    /// Writes a line that is no event.
    fn head(&mut self, line: &str) -> Result<()> {
        self.line = line.as_bytes().to_vec();
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.file.write_all(&self.line).map_err(|source| self.failed(source))
    }

    /// Returns when all of it is on the disk.
    fn sync(&mut self) -> Result<()> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        done.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

/// Reads an instant: `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
///
/// # Errors
/// What would be understood.
pub fn instant(text: &str) -> std::result::Result<Ts, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(Ts::from_ms(ms));
    }
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let date = text.parse::<jiff::civil::Date>().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    let ns = stamp.and_then(|stamp| i64::try_from(stamp.as_nanosecond()).ok());
    ns.map(Ts).ok_or_else(|| {
        format!(
            "`{text}` is no instant; wanted is 2026-11-20, 2026-11-20T12:00:00Z, or milliseconds since 1970"
        )
    })
}

/// An instant as people read it.
pub(crate) fn shown(ts: Ts) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ts.0)).map_or_else(|_| ts.0.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_people_and_programs_write_them() {
        assert_eq!(instant("1970-01-02"), Ok(Ts(86_400_000_000_000)));
        assert_eq!(instant("1970-01-01T00:00:01.5Z"), Ok(Ts(1_500_000_000)));
        assert_eq!(instant("1500"), Ok(Ts(1_500_000_000)));
        assert!(instant("yesterday").unwrap_err().contains("2026-11-20"));
    }
}
