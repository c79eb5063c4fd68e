//! Recordings that others have made, whole and damaged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use model::Ts;
use proptest::prelude::*;
use std::io::Write as _;
use std::path::PathBuf;
use tape::{Error, Format, Kind, Place, Reader, Record};
use tempfile::TempDir;

fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

fn read(content: &[u8]) -> (Option<Format>, Vec<Record>, Option<(Place, String)>) {
    let (_dir, path) = file(content);
    let reader = Reader::open(&path).unwrap();
    let format = reader.format();
    let (mut records, mut damage) = (Vec::new(), None);
    for record in reader {
        assert!(damage.is_none(), "nothing follows a damage");
        match record {
            Ok(record) => records.push(record),
            Err(Error::Damaged { place, what, path: named, .. }) => {
                assert_eq!(named, path);
                damage = Some((place, what));
            }
            Err(other) => panic!("{other}"),
        }
    }
    (format, records, damage)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn text_frame(ts: i64, text: &str) -> Record {
    Record { ts: Ts(ts), conn: 0, kind: Kind::Frame { bytes: text.into(), binary: false } }
}

const HFT: &str = "1723161255030314667 {\"stream\":1}\r\n\
    1680652800004107 [2]\n\n\
    1723161255030314668 {\"lastUpdateId\":3}";

#[test]
fn hft_lines() {
    let (format, records, damage) = read(HFT.as_bytes());
    assert_eq!((format, damage), (Some(Format::HftLines), None));
    let reply = Kind::Reply { url: None, status: 200, body: b"{\"lastUpdateId\":3}".to_vec() };
    let expected = [
        text_frame(1_723_161_255_030_314_667, "{\"stream\":1}"),
        text_frame(1_680_652_800_004_107_000, "[2]"),
        Record { ts: Ts(1_723_161_255_030_314_668), conn: 0, kind: reply },
    ];
    assert_eq!(records, expected);
}

#[test]
fn compression_is_found_by_content() {
    let (_, expected, _) = read(HFT.as_bytes());
    let members = [gzip(&HFT.as_bytes()[..20]), gzip(&HFT.as_bytes()[20..])].concat();
    let frames = [
        zstd::encode_all(&HFT.as_bytes()[..20], 1).unwrap(),
        zstd::encode_all(&HFT.as_bytes()[20..], 1).unwrap(),
    ];
    for packed in
        [gzip(HFT.as_bytes()), members, zstd::encode_all(HFT.as_bytes(), 3).unwrap(), frames.concat()]
    {
        let (format, records, damage) = read(&packed);
        assert_eq!((format, damage), (Some(Format::HftLines), None));
        assert_eq!(records, expected);
    }
}

#[test]
fn cryptofeed_text() {
    let content = concat!(
        "configuration: {\"l2_book\":[\"BTC-USD\"]}\n",
        "wss://x.example/ws?a=1 <-> 1617647602.623478\n",
        "wss://x.example/ws?a=1 <- 1617647603.5: {\"op\": \"subscribe\"}\n",
        "1617647603.4249449: {\"a\": 1}\n",
        "1617647604.1: b'\\x1f\\x8b\\'\\\\ a\"\\n'\n",
        "1617647604.2: b\"it's\"\n",
        "https://x.example/depth?s=1 -> 1617647603.8164911: {\"lastUpdateId\":1}\n",
        "\n",
    );
    let (format, records, damage) = read(content.as_bytes());
    assert_eq!((format, damage), (Some(Format::CryptofeedText), None));
    let binary = |bytes: &[u8]| Kind::Frame { bytes: bytes.to_vec(), binary: true };
    let url = Some("https://x.example/depth?s=1".to_owned());
    let expected = [
        (1_617_647_602_623_478_000, Kind::Header { source: None }),
        (1_617_647_602_623_478_000, Kind::Connect { url: "wss://x.example/ws?a=1".to_owned() }),
        (1_617_647_603_500_000_000, Kind::Sent(b"{\"op\": \"subscribe\"}".to_vec())),
        (1_617_647_603_424_944_900, Kind::Frame { bytes: b"{\"a\": 1}".to_vec(), binary: false }),
        (1_617_647_604_100_000_000, binary(b"\x1f\x8b'\\ a\"\n")),
        (1_617_647_604_200_000_000, binary(b"it's")),
        (1_617_647_603_816_491_100, Kind::Reply { url, status: 200, body: b"{\"lastUpdateId\":1}".to_vec() }),
    ];
    assert_eq!(records, expected.map(|(ts, kind)| Record { ts: Ts(ts), conn: 0, kind }));
}

#[test]
fn a_bare_address_is_a_connect_at_the_time_of_what_follows() {
    let (_, records, damage) = read(b"wss://x.example/ws\n1617647603: [1]\n");
    assert_eq!(damage, None);
    let ts = 1_617_647_603_000_000_000;
    let connect =
        Record { ts: Ts(ts), conn: 0, kind: Kind::Connect { url: "wss://x.example/ws".to_owned() } };
    assert_eq!(records, [connect, text_frame(ts, "[1]")]);
}

#[test]
fn cryptofeed_jsonl_is_sorted_by_time_and_keeps_the_order_of_equals() {
    let content = concat!(
        r#"{"t":"header","format":2,"exchange":"OKX","config":{"a":[1]},"recorded":1.5}"#,
        "\n",
        r#"{"t":"http","conn":"h","ts":3.5,"url":"https://x/y","data":"{\"a\":1}"}"#,
        "\n",
        r#"{"t":"connect","conn":"w1","ts":2,"addr":"wss://x"}"#,
        "\n",
        r#"{"t":"send","conn":"w1","ts":3.5,"addr":"wss://x","data":"s"}"#,
        "\n",
        r#"{"t":"recv","conn":"w1","ts":4.000000001,"data":"é\u00e9"}"#,
        "\n",
        r#"{"t":"recv","conn":"w2","ts":1.25,"b64":"H4s="}"#,
        "\n",
    );
    let (format, records, damage) = read(content.as_bytes());
    assert_eq!((format, damage), (Some(Format::CryptofeedJsonl), None));
    let url = Some("https://x/y".to_owned());
    let expected = [
        (1_250_000_000, 0, Kind::Header { source: Some("OKX".to_owned()) }),
        (1_250_000_000, 2, Kind::Frame { bytes: vec![0x1f, 0x8b], binary: true }),
        (2_000_000_000, 1, Kind::Connect { url: "wss://x".to_owned() }),
        (3_500_000_000, 0, Kind::Reply { url, status: 200, body: b"{\"a\":1}".to_vec() }),
        (3_500_000_000, 1, Kind::Sent(b"s".to_vec())),
        (4_000_000_001, 1, Kind::Frame { bytes: "éé".into(), binary: false }),
    ];
    assert_eq!(records, expected.map(|(ts, conn, kind)| Record { ts: Ts(ts), conn, kind }));
}

#[test]
fn samples() {
    let content =
        "{\"venue\": \"x\", \"i\": 1, \"msg\": \"{\\\"a\\\":1}\"}\n{\"venue\": \"x\", \"msg\": \"[2]\"}\n";
    let (format, records, damage) = read(content.as_bytes());
    assert_eq!((format, damage), (Some(Format::Samples), None));
    assert_eq!(records, [text_frame(1, "{\"a\":1}"), text_frame(2, "[2]")]);
}

#[test]
fn an_unknown_content_is_refused_with_its_beginning() {
    for (content, shown) in [(&b""[..], ""), (b"hello \xff", "hello \\xff"), (b"{\"a\":1}", "{\\\"a\\\":1}")]
    {
        let (_dir, path) = file(content);
        match Reader::open(&path).err() {
            Some(Error::UnknownFormat { begin, .. }) => assert_eq!(begin, shown),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(Reader::open("/nowhere/at/all"), Err(Error::Open { .. })));
}

#[test]
fn a_bad_line_is_named_after_what_came_before_it() {
    let good = "1680652800004107 [1]\n";
    let cases = [
        ("168065280000410 [2]\n", "16 to 19 digits"),
        ("1680652800004107 {\"torn\":\n", "no whole JSON"),
        ("1680652800004107 {\"torn\":", "cut short"),
    ];
    for (bad, what) in cases {
        let (_, records, damage) = read(format!("{good}\n{bad}").as_bytes());
        assert_eq!(records.len(), 1);
        let (place, told) = damage.unwrap();
        assert_eq!(place, Place { byte: 22, compressed: None, line: Some(3) });
        assert!(told.contains(what), "{told}");
    }
    let (_, records, damage) = read(b"1.5: [1]\n2.5: b'\\xq'\n");
    assert_eq!((records.len(), damage.unwrap().0.line), (1, Some(2)));
    let line = r#"{"t":"recv","conn":"w","ts":1,"data":"x"}"#;
    let (_, records, damage) = read(format!("{line}\n{line}\n{{\"t\":\"recv\"\n").as_bytes());
    assert_eq!((records.len(), damage.unwrap().0.line), (2, Some(3)));
}

/// Lines that do not compress to nothing.
fn many_lines() -> (String, usize) {
    use std::fmt::Write as _;
    let mut content = String::new();
    let mut seed = 7_u64;
    for n in 0..20_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        writeln!(content, "{} {{\"n\":{n},\"x\":{seed}}}", 1_680_652_800_004_107 + n).unwrap();
    }
    (content, 20_000)
}

#[test]
fn a_damaged_archive_gives_all_that_can_be_decoded() {
    let (content, lines) = many_lines();
    let (_, whole, _) = read(content.as_bytes());
    assert_eq!(whole.len(), lines);
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(content.as_bytes()).unwrap();
    for packed in [gzip(content.as_bytes()), zstd.finish().unwrap()] {
        for share in [30, 60, 90] {
            let at = packed.len() * share / 100;
            let mut bent = packed.clone();
            bent.iter_mut().skip(at).take(40).for_each(|b| *b ^= 0x55);
            for (damaged, cut) in [(&packed[..at], true), (&bent[..], false)] {
                let (_, records, damage) = read(damaged);
                let (place, what) = damage.unwrap();
                assert!(whole.starts_with(&records) || !cut, "a cut archive gives only what was in it");
                assert!(records.len() * 100 > lines * (share - 15), "{share} %: {} {what}", records.len());
                if cut {
                    assert_eq!(place.compressed, Some(at as u64));
                    assert_eq!(place.line, Some(records.len() as u64 + 1));
                    let read: usize = content.lines().take(records.len()).map(|l| l.len() + 1).sum();
                    assert_eq!(place.byte, read as u64);
                }
            }
        }
    }
}

#[test]
fn a_wrong_checksum_of_an_archive_is_told_after_its_content() {
    let mut packed = gzip(HFT.as_bytes());
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let (_, records, damage) = read(&packed);
    assert_eq!(records.len(), 2);
    assert_eq!(damage.unwrap().1, "the file cannot be read on");
}

#[test]
fn a_line_without_end_is_an_error_and_not_an_allocation() {
    let mut content = b"1680652800004107 [1]\n1680652800004107 [".to_vec();
    content.resize(content.len() + tape::RECORD_BYTES_MAX, b'1');
    content.extend_from_slice(b"]\n");
    let (_, records, damage) = read(&zstd::encode_all(&content[..], 1).unwrap());
    assert_eq!(records.len(), 1);
    assert!(damage.unwrap().1.contains("longer than 64 MiB"));
}

const BEGINNINGS: [&[u8]; 8] = [
    b"",
    b"QXTAPE\x1a\n\x01\x00",
    b"1680652800004107 ",
    b"1617647603.4: b'",
    b"wss://x.example <- ",
    b"{\"t\":\"recv\",\"conn\":\"w\",\"ts\":",
    b"{\"msg\":\"",
    b"\x28\xb5\x2f\xfd",
];

proptest! {
    #[test]
    fn garbage_ends_in_an_error_or_an_end(
        begin in prop::sample::select(&BEGINNINGS[..]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
        text in "[ -~\n]{0,200}",
        pack: bool,
    ) {
        for content in [[begin, &rest[..]].concat(), [begin, text.as_bytes()].concat()] {
            let mut packed = if pack { gzip(&content) } else { content };
            if let (true, Some(at)) = (pack, rest.first()) {
                let at = usize::from(*at) % packed.len();
                packed[at] ^= 0x10;
            }
            let (_dir, path) = file(&packed);
            if let Ok(reader) = Reader::open(&path) {
                prop_assert!(reader.count() < 1_000);
            }
        }
    }
}

#[test]
fn readers_and_writers_can_move_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Reader>();
    sendable::<tape::Writer>();
    sendable::<Error>();
}

/// Two lines that are no message, a trade 5 s too early in the file, a snapshot, orders, a copy in hexadecimal.
const LEVEL2: &str = "// what is this\r\n\
    //SecurityIDSource=101 MsgType=191 ChannelNo=6 TransactTime=9300500 BizIndex=9 \r\n\
    //SecurityIDSource=101 MsgType=111 ChannelNo=0 DataTimeStamp=93005 \r\n\
    //SecurityIDSource=101 MsgType=192 ChannelNo=6 TransactTime=9300017 BizIndex=7 \r\n\
    65 C0 40 00 \r\n\
    junk\r\n\
    //SecurityIDSource=101 MsgType=192 ChannelNo=6 TransactTime=9300016 BizIndex=8 \r\n";

#[test]
fn a_level_2_log_is_sorted_by_time_and_the_exchanges_numbers_and_keeps_its_line_numbers() {
    let (format, records, damage) = read(LEVEL2.as_bytes());
    assert_eq!((format, damage), (Some(Format::Level2Log), None));
    // Beijing is eight hours ahead; number 8 was stamped 10 ms before number 7 and is told when that was.
    let half_past_nine = (3_600 + 1_800) * 1_000_000_000_i64;
    let places: Vec<(u64, i64)> = records
        .iter()
        .map(|record| match &record.kind {
            Kind::Line { number, .. } => (*number, (record.ts.0 - half_past_nine) / 1_000_000),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(4, 170), (7, 170), (6, 170), (3, 5_000), (2, 5_000), (1, 5_000)]);
    let Kind::Line { bytes, .. } = &records[2].kind else { panic!() };
    assert_eq!(bytes, b"junk");
}

#[test]
fn the_parts_of_a_zip_are_read_one_after_the_other_and_a_cut_one_is_told() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for part in ["1723161255030314667 {\"stream\":1}\n", "1723161255030314668 {\"stream\":2}\n"] {
        zip.start_file(part.len().to_string() + part, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(part.as_bytes()).unwrap();
    }
    let packed = zip.finish().unwrap().into_inner();
    let (format, records, damage) = read(&packed);
    assert_eq!((format, damage), (Some(Format::HftLines), None));
    let expected = [
        text_frame(1_723_161_255_030_314_667, "{\"stream\":1}"),
        text_frame(1_723_161_255_030_314_668, "{\"stream\":2}"),
    ];
    assert_eq!(records, expected);
    let (_dir, path) = file(&packed[..packed.len() / 2]);
    assert!(matches!(Reader::open(&path), Err(Error::Open { .. })));
}
