//! Logs of an exchange's Level-2 messages: `//SecurityIDSource=101 MsgType=192 … TransactTime=9150000 … BizIndex=67298`.
//!
//! The form is that of the `AXOrderBook` project (its `doc/msgTypes.md`): a line of `Key=value` fields after `//`, in some
//! files followed by a line with the same message in hexadecimal. Orders, trades and snapshots came by streams of their
//! own, and the lines stand as they were read from these: an order may stand after a trade that came seconds later. The
//! exchange numbers orders and trades of a channel together (`BizIndex`), which puts them in order again.

use crate::error::Damage;
use crate::lines::Lines;
use crate::{Kind, Record, SORT_BYTES_MAX};
use model::{Date, Ts, ashare};
use std::path::Path;

/// How far a message's time may be before that of the one numbered before it and still be told at that time, in ns. What
/// is further off is a damaged line and stands where its own time puts it.
const BACK_NS: i64 = 1_000_000_000;

/// How every message begins.
const HEAD: &[u8] = b"//SecurityIDSource=";

/// Whether a content that begins so is of this format; its first lines may be damaged.
pub(crate) fn looks_so(begin: &[u8]) -> bool {
    begin.split(|b| *b == b'\n').any(|line| line.starts_with(HEAD))
}

/// The place of a message: its time, the exchange's channel and the number in it; both 0 in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    ts: Ts,
    channel: u64,
    index: u64,
}

/// All records of a log, in order of the exchange's numbers and times, and what stopped the reading where something did.
pub(crate) fn read_sorted(mut lines: Lines, path: &Path) -> (Vec<Record>, Option<Damage>) {
    let day = day_of(path).unwrap_or(Date::of(Ts::default()));
    let mut all: Vec<(Place, Record)> = Vec::new();
    let mut held: usize = 0;
    let mut before = None;
    let damage = loop {
        match lines.advance() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(damage) => break Some(damage),
        }
        if is_hex(lines.line()) {
            continue;
        }
        held += lines.line().len() + size_of::<(Place, Record)>();
        if held > SORT_BYTES_MAX {
            break Some(lines.damage("the file is too long to be sorted in memory (2 GiB)"));
        }
        // What is no message stands behind the line before it, or the first that is one.
        let told = place_of(lines.line(), day);
        if let (None, Some(first)) = (before, told) {
            for (place, record) in &mut all {
                (place.ts, record.ts) = (first.ts, first.ts);
            }
        }
        before = told.map(|place| place.ts).or(before);
        let place = told.unwrap_or(Place { ts: before.unwrap_or_default(), channel: u64::MAX, index: 0 });
        let kind = Kind::Line { number: lines.number(), bytes: lines.line().to_vec() };
        all.push((place, Record { ts: place.ts, conn: 0, kind }));
    };
    all.sort_by_key(|(place, _)| (place.channel, place.index));
    let mut last = Place::default();
    for (place, record) in &mut all {
        let back = last.ts.0.saturating_sub(place.ts.0);
        if place.index > 0 && place.channel == last.channel && (0..=BACK_NS).contains(&back) {
            place.ts = last.ts;
            record.ts = last.ts;
        }
        last = *place;
    }
    all.sort_by_key(|(place, _)| *place);
    (all.into_iter().map(|(_, record)| record).collect(), damage)
}

/// Whether the line is the hexadecimal copy of the one before it.
fn is_hex(line: &[u8]) -> bool {
    line.iter().all(|b| b.is_ascii_hexdigit() || b.is_ascii_whitespace())
}

/// Where a line belongs; `None` where it is no message, or tells no time.
fn place_of(line: &[u8], day: Date) -> Option<Place> {
    let line = line.strip_prefix(b"//").filter(|_| line.starts_with(HEAD))?;
    let (mut ms, mut channel, mut index) = (None, 0, 0);
    for field in line.split(u8::is_ascii_whitespace) {
        let Some(at) = field.iter().position(|b| *b == b'=') else { continue };
        let (key, value) = field.split_at(at);
        let number = || str::from_utf8(value.get(1..)?).ok()?.parse::<u64>().ok();
        match key {
            // `14302506` is 14:30:25.06.
            b"TransactTime" => {
                ms = number().and_then(|n| Some(time_of_day(n / 100)? + (n % 100) as i64 * 10));
            }
            b"DataTimeStamp" => ms = number().and_then(time_of_day),
            b"ChannelNo" => channel = number().unwrap_or(0),
            b"BizIndex" => index = number().unwrap_or(0),
            _ => {}
        }
    }
    Some(Place { ts: ashare::instant(day, ms?), channel, index })
}

/// Milliseconds after midnight of `143025`, which is 14:30:25.
fn time_of_day(number: u64) -> Option<i64> {
    let (hour, minute, second) = (number / 10_000, number / 100 % 100, number % 100);
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some(((hour * 60 + minute) * 60 + second) as i64 * 1_000)
}

/// The last day that eight digits name, in the nearest part of the path that names one.
fn day_of(path: &Path) -> Option<Date> {
    path.components().rev().find_map(|part| {
        let name = part.as_os_str().to_string_lossy();
        let runs = name.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 8);
        runs.filter_map(|run| run.parse().ok().and_then(Date::from_number)).next_back()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_told_by_the_name_or_else_by_a_folder() {
        let day = |path: &str| day_of(Path::new(path)).map(Date::number);
        assert_eq!(day("l2/axorderbook_sse_600519_20230207.zip"), Some(20_230_207));
        assert_eq!(day("data/20230207/AX_sbe_sse_600519.zip"), Some(20_230_207));
        assert_eq!(day("20220101/a_20230207_b.log"), Some(20_230_207));
        assert_eq!(day("20231399/AX_sbe_sse_600519.log"), None);
    }

    #[test]
    fn a_place_is_read_from_any_order_of_fields_and_odd_times_are_none() {
        let day = Date::from_number(20_230_207).unwrap();
        let at = |line: &str| place_of(format!("//SecurityIDSource=101 {line}").as_bytes(), day);
        let ms = ((9 * 60 + 15) * 60) * 1000 + 170;
        let place = Place { ts: ashare::instant(day, ms), channel: 6, index: 7 };
        assert_eq!(at("BizIndex=7 ChannelNo=6   TransactTime=9150017 "), Some(place));
        let snapshot = Place { ts: ashare::instant(day, ms - 170), channel: 0, index: 0 };
        assert_eq!(at("ChannelNo=0 DataTimeStamp=91500"), Some(snapshot));
        for line in ["", "BizIndex=7", "TransactTime=", "TransactTime=24000000", "DataTimeStamp=96000"] {
            assert_eq!(at(line), None, "{line}");
        }
        assert_eq!(place_of(b"SecurityIDSource=101 BizIndex=7 TransactTime=9150017", day), None);
    }
}
