//! What was written is what is read, also after a kill, and the folder stays in its bounds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use model::Ts;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tape::{Config, Entry, Error, Format, Kind, Reader, Record, Writer, tapes};

fn config(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), ..Config::default() }
}

fn entry(kind: &Kind) -> Entry<'_> {
    match kind {
        Kind::Header { .. } => panic!("headers are written by the writer"),
        Kind::Line { .. } => panic!("tapes have no lines"),
        Kind::Connect { url } => Entry::Connect { url },
        Kind::Sent(bytes) => Entry::Sent(bytes),
        Kind::Frame { bytes, binary } => Entry::Frame { bytes, binary: *binary },
        Kind::Reply { url, status, body } => Entry::Reply { url: url.as_deref(), status: *status, body },
        Kind::Closed { why } => Entry::Closed { why },
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    tapes(dir, "demo").unwrap().into_iter().map(|t| t.path).collect()
}

/// The records of a file without its header, and the error at its end.
fn read(path: &Path) -> (Vec<Record>, Option<Error>) {
    let mut records = Vec::new();
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return (records, Some(error)),
    };
    for record in reader {
        match record {
            Ok(Record { kind: Kind::Header { source }, .. }) => assert_eq!(source.as_deref(), Some("demo")),
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

fn frame(ts: i64, text: &str) -> Record {
    Record { ts: Ts(ts), conn: 0, kind: Kind::Frame { bytes: text.into(), binary: false } }
}

fn kinds() -> impl Strategy<Value = Kind> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        "\\PC*".prop_map(|url| Kind::Connect { url }),
        bytes().prop_map(Kind::Sent),
        (bytes(), any::<bool>()).prop_map(|(bytes, binary)| Kind::Frame { bytes, binary }),
        (prop::option::of("\\PC*"), any::<u16>(), bytes()).prop_map(|(url, status, body)| Kind::Reply {
            url,
            status,
            body
        }),
        "\\PC*".prop_map(|why| Kind::Closed { why }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_come_back(
        kinds in prop::collection::vec((any::<i64>(), any::<u32>(), kinds(), prop::bool::weighted(0.1)), 0..60),
        block_bytes in 1024_usize..4096,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { block_bytes, rotate_ms: u64::MAX, ..config(dir.path()) };
        let mut writer = Writer::new(config, "demo", &["host"]).unwrap();
        let mut expected = Vec::new();
        for (ts, conn, kind, flush) in kinds {
            writer.append(Ts(ts), conn, entry(&kind)).unwrap();
            expected.push(Record { ts: Ts(ts), conn, kind });
            if flush {
                writer.flush().unwrap();
            }
        }
        writer.sync().unwrap();
        match files(dir.path()).as_slice() {
            [] => prop_assert!(expected.is_empty()),
            [file] => {
                let (records, error) = read(file);
                prop_assert!(error.is_none(), "{error:?}");
                prop_assert_eq!(records, expected);
            }
            more => prop_assert!(false, "{more:?}"),
        }
    }
}

/// A tape of three blocks: its bytes, where each block ends, and its records by block.
fn small_tape() -> (Vec<u8>, Vec<usize>, Vec<Vec<Record>>) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(config(dir.path()), "demo", &["a.example", "b.example"]).unwrap();
    let (mut ends, mut blocks) = (Vec::new(), Vec::new());
    for block in 0..3 {
        let records: Vec<Record> = (0..2).map(|n| frame(block * 10 + n, "{\"p\":\"1\"}")).collect();
        for record in &records {
            writer.append(record.ts, 0, entry(&record.kind)).unwrap();
        }
        writer.flush().unwrap();
        ends.push(writer.total_bytes() as usize);
        blocks.push(records);
    }
    (std::fs::read(writer.file().unwrap()).unwrap(), ends, blocks)
}

#[test]
fn a_tape_torn_at_any_byte_gives_its_whole_blocks_and_then_the_place() {
    let (whole, ends, blocks) = small_tape();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torn");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (records, error) = read(&path);
        let kept = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(records, blocks[..kept].concat(), "cut at {cut}");
        let head = Reader::open(&path).ok().and_then(|mut r| r.next()?.ok().map(|_| r.about().cloned()));
        let between = ends.contains(&cut);
        match error {
            None => assert!(between || head.is_some() && kept == 0, "cut at {cut}"),
            Some(Error::Damaged { place, what, .. }) => {
                let start = if kept == 0 { place.byte as usize } else { ends[kept - 1] };
                assert_eq!(place.byte as usize, start, "cut at {cut}");
                assert!(what.contains("cut short"), "cut at {cut}: {what}");
                assert!(!between);
            }
            Some(Error::UnknownFormat { .. }) => assert_eq!(cut, 0),
            Some(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let (whole, _, blocks) = small_tape();
    let all = blocks.concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bent");
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x40;
        std::fs::write(&path, &bent).unwrap();
        let (records, error) = read(&path);
        assert!(error.is_some(), "byte {at}");
        assert!(all.starts_with(&records), "byte {at}");
    }
}

#[test]
fn a_tape_says_where_it_comes_from() {
    let (whole, ..) = small_tape();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, &whole).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!((reader.format(), reader.about()), (Some(Format::Tape), None));
    reader.next().unwrap().unwrap();
    let about = reader.about().unwrap();
    assert_eq!((about.source.as_str(), about.created), ("demo", Ts(0)));
    assert_eq!(about.hosts, ["a.example", "b.example"]);
}

#[test]
fn a_packed_tape_is_read_as_it_is() {
    let (whole, _, blocks) = small_tape();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packed");
    std::fs::write(&path, zstd::encode_all(&whole[..], 3).unwrap()).unwrap();
    let (records, error) = read(&path);
    assert!(error.is_none());
    assert_eq!(records, blocks.concat());
}

#[test]
fn appending_touches_no_disk_until_the_block_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { block_bytes: 1024, ..config(dir.path()) };
    let mut writer = Writer::new(config, "demo", &[]).unwrap();
    let bytes = [7; 100];
    let entry = Entry::Frame { bytes: &bytes, binary: true };
    let mut written = 0;
    for ts in 0..20 {
        let report = writer.append(Ts(ts), 0, entry).unwrap();
        assert_eq!(report.begun.is_some(), report.records > 0 && written == 0);
        written += report.records;
    }
    assert_eq!(written, 18);
    let (records, _) = read(&files(dir.path())[0]);
    assert_eq!(records.len(), 18);
    assert_eq!(writer.flush().unwrap().records, 2);
    assert_eq!(writer.flush().unwrap(), tape::Report::default());
}

#[test]
fn files_rotate_by_size_and_the_oldest_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let stranger = dir.path().join("other-19700101T000000.000-0.tape");
    std::fs::write(&stranger, "x").unwrap();
    let config = Config {
        block_bytes: 1024,
        rotate_bytes: 6_000,
        rotate_ms: u64::MAX,
        total_bytes_max: 20_000,
        ..config(dir.path())
    };
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let (mut begun, mut deleted) = (Vec::new(), Vec::new());
    // A second writer goes on where the first stopped.
    for run in 0..2_i64 {
        let mut writer = Writer::new(config.clone(), "demo", &[]).unwrap();
        for n in 0..60 {
            let bytes: Vec<u8> = (0..900).map(|_| noise()).collect();
            let ts = Ts::from_ms(run * 1_000 + n);
            let report = writer.append(ts, 0, Entry::Frame { bytes: &bytes, binary: true }).unwrap();
            begun.extend(report.begun);
            deleted.extend(report.deleted);
            let on_disk: u64 =
                tapes(dir.path(), "demo").unwrap().iter().map(|t| t.path.metadata().unwrap().len()).sum();
            assert!(on_disk <= 20_000, "{on_disk}");
            assert_eq!(on_disk, writer.total_bytes());
        }
        writer.flush().unwrap();
    }
    assert!(begun.len() > 10 && deleted.len() > 10, "{} {}", begun.len(), deleted.len());
    assert_eq!(deleted, begun[..deleted.len()]);
    assert_eq!(files(dir.path()), begun[deleted.len()..]);
    assert!(stranger.exists());
    for file in files(dir.path()) {
        assert!(read(&file).1.is_none() && file.metadata().unwrap().len() <= 6_000);
    }
}

#[test]
fn a_file_too_old_is_followed_by_one_that_names_the_open_connections() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { rotate_ms: 1_000, ..config(dir.path()) };
    let mut writer = Writer::new(config, "demo", &[]).unwrap();
    writer.append(Ts::from_ms(0), 0, Entry::Connect { url: "wss://a" }).unwrap();
    writer.append(Ts::from_ms(1), 1, Entry::Connect { url: "wss://b" }).unwrap();
    writer.append(Ts::from_ms(2), 0, Entry::Closed { why: "done" }).unwrap();
    writer.flush().unwrap();
    writer.append(Ts::from_ms(999), 1, Entry::Sent(b"x")).unwrap();
    assert_eq!(writer.flush().unwrap().begun, None);
    writer.append(Ts::from_ms(1_000), 1, Entry::Closed { why: "end" }).unwrap();
    assert!(writer.flush().unwrap().begun.is_some());
    let files = files(dir.path());
    let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["demo-19700101T000000.000-0.tape", "demo-19700101T000001.000-1.tape"]);
    let (records, error) = read(&files[1]);
    assert!(error.is_none());
    let ts = Ts::from_ms(1_000);
    let connect = Record { ts, conn: 1, kind: Kind::Connect { url: "wss://b".into() } };
    assert_eq!(records, [connect, Record { ts, conn: 1, kind: Kind::Closed { why: "end".into() } }]);
}

#[test]
fn after_a_failure_writing_goes_on_in_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("tape");
    let mut writer = Writer::new(config(&inner), "demo", &[]).unwrap();
    std::fs::remove_dir(&inner).unwrap();
    writer.append(Ts(1), 0, Entry::Sent(b"lost")).unwrap();
    let error = writer.flush().unwrap_err();
    assert!(matches!(error, Error::Create { records: 1, .. }), "{error}");
    std::fs::create_dir(&inner).unwrap();
    writer.append(Ts(2), 0, Entry::Sent(b"kept")).unwrap();
    writer.flush().unwrap();
    let (records, error) = read(&files(&inner)[0]);
    assert!(error.is_none());
    assert_eq!(records, [Record { ts: Ts(2), conn: 0, kind: Kind::Sent(b"kept".to_vec()) }]);
}

#[test]
fn a_record_that_is_too_long_is_refused_and_a_long_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(config(dir.path()), "demo", &[]).unwrap();
    let long = vec![b'x'; tape::RECORD_BYTES_MAX + 1];
    assert!(matches!(writer.append(Ts(1), 0, Entry::Sent(&long)), Err(Error::TooLong { .. })));
    writer.append(Ts(1), 0, Entry::Sent(b"short")).unwrap();
    writer.append(Ts(2), 0, Entry::Sent(&long[1..])).unwrap();
    writer.flush().unwrap();
    let (records, error) = read(&files(dir.path())[0]);
    assert!(error.is_none());
    assert_eq!(records.len(), 2);
}
