//! Flipped bits, missing bytes, missing files.

use crate::sim_disk::SimDisk;
use crate::world::{Told, entries, ts_pub};
use bus::Cursor;
use model::Ts;
use store::Config;
use store::log::{Entry, Found, Log, Lost, Reader};

const LAST: u64 = 160;

/// A closed log of several segments with an entry of what was lost.
fn kept() -> SimDisk {
    let disk = SimDisk::new(1);
    let config = Config { segment_bytes: 2_500, ..Config::default() };
    let (mut log, _) = Log::open(disk.again(), config).unwrap();
    for commit in 0..LAST / 20 {
        let mut all = entries(1, commit * 20 + 1, commit * 20 + 20);
        if commit == 3 {
            let lost = Lost { epoch: 1, from: 61, to: 63, why: "no room".into() };
            all.splice(..3, [Entry::Lost(lost)]);
        }
        log.commit(&all).unwrap();
    }
    log.close().unwrap();
    disk
}

/// Says that everything was read, or what is missing is told.
fn told_or_harmless(disk: &SimDisk, what: &str) -> bool {
    let told = Told::by(disk.again());
    for number in 1..=LAST {
        let known = told.knows(Cursor { epoch: 1, number });
        assert!(known, "{what}: {number} is gone without a word: {:?}", told.wrong);
    }
    !told.wrong.is_empty() || told.torn > 0
}

#[test]
fn every_byte_that_is_flipped_is_told_with_the_numbers_that_it_took() {
    let disk = kept();
    assert!(!told_or_harmless(&disk, "whole"));
    let files = disk.files();
    assert!(files.len() > 3, "{files:?}");
    let mut luck = fastrand::Rng::with_seed(3);
    for (name, length) in files {
        for byte in 0..length {
            let bit = 1 << luck.u8(0..8);
            disk.change(&name, |bytes| bytes[byte] ^= bit);
            assert!(told_or_harmless(&disk, &format!("{name}:{byte}")), "{name}:{byte} was not noticed");
            disk.change(&name, |bytes| bytes[byte] ^= bit);
        }
    }
}

#[test]
fn a_block_that_is_damaged_takes_no_block_beside_it() {
    let disk = kept();
    let (name, length) = disk.files()[1].clone();
    disk.change(&name, |bytes| bytes[length - 10] ^= 1);
    let told = Told::by(disk.again());
    let [Found::Damage { file, what, .. }, Found::Hole { from, to, .. }] = &told.wrong[..] else {
        panic!("{:?}", told.wrong)
    };
    assert_eq!((file, *what, to - from), (&name, "the checksum does not hold", 19));
}

#[test]
fn a_file_that_is_cut_or_missing_is_told() {
    for at in 0..kept().files().len() {
        let disk = kept();
        let (name, length) = disk.files()[at].clone();
        disk.change(&name, |bytes| bytes.truncate(length / 2));
        let told = Told::by(disk.again());
        assert!(!told.wrong.is_empty() || told.torn > 0, "{name} cut");
        disk.delete(&name);
        let told = Told::by(disk.again());
        // The newest names no other, and the oldest may have been deleted to make room.
        let end = at == 0 || at + 1 == kept().files().len();
        assert_eq!(told.wrong.is_empty(), end, "{name} deleted: {:?}", told.wrong);
    }
}

#[test]
fn an_end_that_is_torn_anywhere_is_cut_and_the_log_goes_on() {
    let whole = kept();
    let (name, length) = whole.files().last().unwrap().clone();
    for end in 0..length {
        let disk = kept();
        disk.change(&name, |bytes| bytes.truncate(end));
        let (mut log, opened) = Log::open(disk.again(), Config::default()).unwrap();
        let last = opened.newest.unwrap().number;
        log.commit(&entries(2, 1, 9)).unwrap();
        log.close().unwrap();
        let told = Told::by(disk.again());
        assert!(told.wrong.is_empty() && told.torn == 0, "{end}: {told:?}");
        assert_eq!((told.read[&1].last(), told.read[&2].len()), (Some(&last), 9), "{end}");
        let torn: u64 = opened.torn.iter().map(|torn| torn.bytes).sum();
        let files = disk.files();
        let kept_torn =
            files.iter().filter(|(n, _)| n.contains(".torn")).map(|(_, l)| *l as u64).sum::<u64>();
        assert_eq!(torn, kept_torn, "{end}: {files:?}");
    }
}

#[test]
fn a_damaged_definition_takes_nothing_after_its_chapter() {
    const EVENTS: u64 = 50_000;
    let disk = SimDisk::new(1);
    let (mut log, _) = Log::open(disk.again(), Config::default()).unwrap();
    log.commit(&entries(1, 1, EVENTS)).unwrap();
    log.close().unwrap();
    let told = Told::by(disk.again());
    assert!(told.wrong.is_empty(), "{:?}", told.wrong);
    let (name, length) = disk.files()[0].clone();
    assert!(length > 3_000_000, "{length}");
    disk.change(&name, |bytes| bytes[500] ^= 1);
    let told = Told::by(disk.again());
    let missing = EVENTS - told.read[&1].len() as u64;
    let last =
        told.wrong.iter().filter_map(|w| if let Found::Hole { to, .. } = w { Some(*to) } else { None }).max();
    assert!(missing > 2_000 && last.unwrap() < EVENTS / 2, "{missing} {last:?}");
}

#[test]
fn what_was_published_between_two_times_is_read_without_the_segments_before_and_after() {
    let disk = kept();
    let all = |from, to| {
        let mut reader = Reader::open(disk.again()).unwrap();
        reader.between(from, to).unwrap();
        let numbers: Vec<u64> = reader
            .by_ref()
            .filter_map(|found| match found.unwrap() {
                Found::Entry(Entry::Event(event)) => Some(event.cursor.number),
                Found::Entry(Entry::Lost(_)) | Found::Closed(_) => None,
                wrong => panic!("{wrong:?}"),
            })
            .collect();
        (numbers, reader.bytes())
    };
    // The clock may go back by a minute; an event of this world is a millisecond after the one before.
    let (far, minute) = (Ts(i64::MAX), 60_000);
    let whole = all(Ts(i64::MIN), far);
    assert_eq!((whole.0.len() as u64, whole.0[0]), (LAST - 3, 1));
    let at = |number: u64| ts_pub(Cursor { epoch: 1, number });
    let late = all(at(LAST - 10).plus_ms(minute), far);
    assert!(late.1 < whole.1 && late.0[0] > 1 && late.0.last() == Some(&LAST), "{late:?}");
    let early = all(Ts(i64::MIN), Ts(at(10).0 - 60_000_000_000));
    assert!(early.1 < whole.1 && early.0.len() < whole.0.len() && early.0[0] == 1, "{early:?}");
}

#[test]
fn a_newer_format_is_named_and_not_guessed_at() {
    let disk = kept();
    let name = disk.files()[0].0.clone();
    disk.change(&name, |bytes| {
        bytes[8] = 200;
        let crc = crc32fast::hash(&bytes[..52]);
        bytes[52..56].copy_from_slice(&crc.to_le_bytes());
    });
    let told = Told::by(disk.again());
    assert!(
        matches!(&told.wrong[0], Found::Damage { what, .. } if what.contains("newer version")),
        "{:?}",
        told.wrong
    );
}
