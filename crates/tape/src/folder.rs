//! The files of a folder of tapes.

use crate::error::{Error, Result};
use model::Ts;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ENDING: &str = ".tape";

/// One of our tapes in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// The tapes of a source in a folder by their names, oldest first.
///
/// # Errors
/// [`Error::ListFolder`].
pub fn tapes(dir: &Path, source: &str) -> Result<Vec<Tape>> {
    let list = |e| Error::ListFolder { path: dir.to_owned(), source: e };
    let source = safe(source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(list)? {
        let entry = entry.map_err(list)?;
        let name = entry.file_name();
        let Some((stamp, number)) = name.to_str().and_then(|n| split(n, &source)) else { continue };
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_file() {
            found.push(((stamp.to_owned(), number), Tape { path: entry.path(), bytes: facts.len() }));
        }
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(found.into_iter().map(|(_, tape)| tape).collect())
}

/// All tapes of a folder by their names: by source, of each the oldest first.
///
/// # Errors
/// [`Error::ListFolder`].
pub fn all(dir: &Path) -> Result<Vec<Tape>> {
    let list = |e| Error::ListFolder { path: dir.to_owned(), source: e };
    let mut sources = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(list)? {
        let name = entry.map_err(list)?.file_name();
        let source = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.rsplitn(3, '-').nth(2));
        sources.extend(source.map(str::to_owned));
    }
    let mut found = Vec::new();
    for source in sources {
        found.extend(tapes(dir, &source)?);
    }
    Ok(found)
}

/// `<source>-<yyyymmddThhmmss.mmm>-<n>.tape`
pub(crate) fn name(source: &str, created: Ts, number: u64) -> String {
    format!("{}-{}-{number}{ENDING}", safe(source), stamp(created))
}

/// The time and the number in a name of that source.
fn split<'a>(name: &'a str, source: &str) -> Option<(&'a str, u64)> {
    let rest = name.strip_prefix(source)?.strip_prefix('-')?.strip_suffix(ENDING)?;
    let (stamp, number) = rest.split_once('-')?;
    let shape = |(at, b): (usize, u8)| match at {
        8 => b == b'T',
        15 => b == b'.',
        _ => b.is_ascii_digit(),
    };
    let whole = stamp.len() == 19 && stamp.bytes().enumerate().all(shape);
    whole.then_some(())?;
    Some((stamp, number.parse().ok()?))
}

/// A source's name as a part of a file's name.
fn safe(source: &str) -> String {
    source.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The UTC time as `yyyymmddThhmmss.mmm` (civil-from-days, Howard Hinnant's algorithm).
fn stamp(ts: Ts) -> String {
    let ms = ts.as_ms();
    let days = ms.div_euclid(86_400_000) + 719_468;
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let of_day = ms.rem_euclid(86_400_000);
    let (seconds, milli) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{milli:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_source_and_time() {
        let ts = Ts(1_723_161_255_030_314_667);
        assert_eq!(name("binance", ts, 3), "binance-20240808T235415.030-3.tape");
        assert_eq!(name("a/b", Ts(0), 0), "a_b-19700101T000000.000-0.tape");
        assert_eq!(stamp(Ts(951_782_400_000_000_000)), "20000229T000000.000");
    }

    #[test]
    fn only_names_of_the_source_are_its_tapes() {
        let name = name("okx", Ts(0), 12);
        assert_eq!(split(&name, "okx"), Some(("19700101T000000.000", 12)));
        assert_eq!(split(&name, "ok"), None);
        for other in
            ["okx-notes.tape", "okx-19700101T000000.000-1.tape.gz", "okx-19700101T000000.0001-1.tape"]
        {
            assert_eq!(split(other, "okx"), None, "{other}");
        }
    }
}
