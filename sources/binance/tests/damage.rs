//! Frames and answers that are cut, altered or noise: never a panic, never an event made of them, and no book goes on
//! over what it may have lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod talk;

use binance::Binance;
use fastrand::Rng;
use model::{Body, Channel, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::path::{Path, PathBuf};
use talk::{Section, Talk, depth, spot, usdm};

const NOW: Ts = Ts::from_ms(1_760_000_100_000);
const PIECES: [&[u8]; 22] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"null",
    b"1e9",
    b"-1",
    b"\"stream\":\"btcusdt@depth@100ms\"",
    b"\"data\":",
    b"\"e\":\"depthUpdate\"",
    b"\"e\":\"trade\"",
    b"\"s\":\"BTCUSDT\"",
    b"\"lastUpdateId\":",
    b"\"u\":",
    b"\"U\":",
    b"\"b\":[[",
    b"\"code\":",
    b"\"id\":1",
];

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// A session as for a recording of the section that the fixture's name tells.
fn recorded(path: &Path) -> Box<dyn Session> {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let url = match name.split('_').next() {
        Some("spot") => "wss://stream.binance.com:9443/stream",
        Some("usdm") => "wss://fstream.binance.com/stream",
        Some("coinm") => "wss://dstream.binance.com/stream",
        _ => "",
    };
    Binance.session(&Shard { path: Some(url.to_owned()), ..Shard::default() })
}

/// The lines of all fixtures with the address that answers have; frames have none.
fn lines() -> Vec<(PathBuf, Option<String>, Vec<u8>)> {
    let mut all = Vec::new();
    for path in fixtures() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let body = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|e| e == "json") {
            let rest =
                if name.starts_with("spot") { "/api/v3/exchangeInfo" } else { "/fapi/v1/exchangeInfo" };
            all.push((path, Some(rest.to_owned()), body));
            continue;
        }
        for line in body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let space = line.iter().position(|b| *b == b' ').filter(|_| line.starts_with(b"https://"));
            let (url, bytes) = space.map_or((None, line), |at| {
                (Some(String::from_utf8(line[..at].to_vec()).unwrap()), &line[at + 1..])
            });
            all.push((path.clone(), url, bytes.to_vec()));
        }
    }
    all
}

fn feed(session: &mut dyn Session, url: Option<&str>, bytes: &[u8], out: &mut Vec<Action>) {
    let input = match url {
        None => Input::Frame { bytes, binary: false },
        Some(path) => Input::Reply { tag: None, path, status: 200, retry_ms: None, body: bytes },
    };
    session.on(input, NOW, out);
}

/// Whether an action says that something happened in the market.
fn is_data(action: &Action) -> bool {
    let Action::Emit(event) = action else { return false };
    !matches!(event.body, Body::Gap(_) | Body::Lane(_) | Body::Instrument)
}

fn is_malformed(action: &Action) -> bool {
    matches!(action, Action::Malformed(_))
}

#[test]
fn a_frame_cut_at_any_byte_is_malformed_and_makes_no_event() {
    for (path, url, bytes) in lines() {
        if url.is_some() {
            continue;
        }
        let (mut session, mut out) = (recorded(&path), Vec::new());
        for cut in 0..bytes.trim_ascii_end().len() {
            out.clear();
            feed(&mut *session, None, &bytes[..cut], &mut out);
            let text = String::from_utf8_lossy(&bytes[..cut]);
            assert!(out.iter().any(is_malformed), "{text}: {out:?}");
            assert!(!out.iter().any(is_data), "{text}: {out:?}");
        }
    }
}

#[test]
fn an_answer_cut_at_any_byte_makes_no_event_and_no_listing() {
    for (path, url, bytes) in lines() {
        let Some(url) = url else { continue };
        let (mut session, mut out) = (recorded(&path), Vec::new());
        for cut in 0..bytes.trim_ascii_end().len() {
            if let Some(listing) = Binance.define(&url, &bytes[..cut]) {
                assert!(listing.is_err(), "{} cut at {cut}", path.display());
                continue;
            }
            out.clear();
            feed(&mut *session, Some(&url), &bytes[..cut], &mut out);
            assert!(!out.iter().any(is_data), "{} cut at {cut}: {out:?}", path.display());
        }
    }
}

#[test]
fn an_altered_byte_never_panics() {
    for (path, url, bytes) in lines() {
        let (mut session, mut out) = (recorded(&path), Vec::new());
        for at in 0..bytes.len() {
            for byte in [0, b'"', b'{', b'}', b'[', b']', b'9', b'-', b'e', b',', b'\\', 0xff] {
                let mut altered = bytes.clone();
                altered[at] = byte;
                out.clear();
                feed(&mut *session, url.as_deref(), &altered, &mut out);
                if let Some(url) = &url {
                    let _ = Binance.define(url, &altered);
                }
                let _ = Binance.recognises(None, &altered);
            }
        }
    }
}

/// A change of the first book that follows a live one of [`Talk::live`], and one after it.
fn next_changes(section: Section) -> [String; 2] {
    match section {
        Section::Spot => [spot("BTCUSDT", 21, 25), spot("BTCUSDT", 26, 30)],
        Section::Usdm => [usdm("BTCUSDT", 20, 23, 25), usdm("BTCUSDT", 25, 28, 30)],
    }
}

/// Tells a live session something unreadable in place of the first book's change: that book must be a gap at once, and
/// begin anew by a snapshot.
fn heals(section: Section, talk: &mut Talk, next: &str) {
    assert_eq!(talk.at(0), None, "the book goes on over what it may have lost");
    let said = talk.frame(next);
    assert!(!said.iter().any(|word| word.starts_with("delta")), "{said:?}");
    assert_eq!(talk.fetched.len(), 1, "one request");
    assert_eq!(talk.answer(&depth(30)), ["snapshot 30"], "{section:?}");
    assert_eq!((talk.at(0), talk.closes), (Some(30), 0));
}

#[test]
fn a_change_cut_at_any_byte_is_a_gap_of_its_book() {
    for section in [Section::Spot, Section::Usdm] {
        let [lost, next] = next_changes(section);
        for cut in 0..lost.len() {
            let mut talk = Talk::live(section, &["BTCUSDT", "ETHUSDT"]);
            let said = talk.frame(&lost[..cut]);
            assert_eq!(said[..2], ["malformed", "gap malformed 20>-"], "{}", &lost[..cut]);
            if cut > r#"{"stream":"btcusdt@depth@100ms""#.len() {
                assert_eq!(talk.at(1), Some(20), "the other book goes on: {}", &lost[..cut]);
            }
            heals(section, &mut talk, &next);
        }
    }
}

#[test]
fn a_change_with_an_altered_byte_is_read_or_is_a_gap_of_its_book() {
    for section in [Section::Spot, Section::Usdm] {
        let [lost, next] = next_changes(section);
        for at in 0..lost.len() {
            for byte in [0, b'"', b'}', b']', b'x', b':', 0xff] {
                let mut altered = lost.clone().into_bytes();
                altered[at] = byte;
                let mut talk = Talk::live(section, &["BTCUSDT", "ETHUSDT"]);
                let said = talk.bytes(&altered);
                let text = String::from_utf8_lossy(&altered);
                if said.iter().any(|word| word == "malformed") {
                    heals(section, &mut talk, &next);
                } else if talk.at(0) == Some(20) {
                    // Passed over as something unknown: the hole shows with the next change.
                    let said = talk.frame(&next);
                    assert_eq!(said[0], "gap sequence 20>30", "{text}");
                }
            }
        }
    }
}

/// What a frame has in place of its stream's name when that is damaged.
const DAMAGED_NAMES: [&[u8]; 5] =
    [b"\"btcusdt@depth@10\xff\"", b"\"ethusdt@depth@100ms\"", b"\"x\"", b"7", b"\"btc"];

/// A frame with its stream's name replaced.
fn renamed(frame: &str, name: &[u8]) -> Vec<u8> {
    let (_, rest) = frame.split_once(",\"data\"").unwrap();
    [b"{\"stream\":", name, b",\"data\"", rest.as_bytes()].concat()
}

#[test]
fn a_frame_whose_stream_is_damaged_harms_the_book_that_its_payload_names_and_no_other() {
    let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    for section in [Section::Spot, Section::Usdm] {
        let [lost, _] = next_changes(section);
        for name in DAMAGED_NAMES {
            let mut talk = Talk::live(section, &symbols);
            let said = talk.bytes(&renamed(&lost, name));
            let words = String::from_utf8_lossy(name);
            let (first, second, third) = (talk.at(0), talk.at(1), talk.at(2));
            assert!(first.is_none() || first == Some(25), "{section:?} {words}: {said:?}");
            // A name of another book says that it may be either's.
            assert_eq!(second.is_none(), words.contains("eth"), "{section:?} {words}: {said:?}");
            assert_eq!(third, Some(20), "{section:?} {words}: {said:?}");
        }
        let mut talk = Talk::live(section, &symbols);
        let no_one = renamed(&lost.replace("BTCUSDT", "BTC\u{1}"), b"\"x");
        talk.bytes(&no_one);
        assert_eq!([0, 1, 2].map(|n| talk.at(n)), [None; 3], "neither name can be read: it may be any's");
    }
}

#[test]
fn a_payload_that_is_no_change_of_a_book_harms_none_whatever_its_stream_is_called() {
    let payloads = [
        r#"{"e":"trade","E":1760000000123,"s":"BTCUSDT","t":1,"p":"1.0","q":"1","T":1760000000121,"m":true}"#,
        r#"{"e":"24hrMiniTicker","E":1760000001000,"s":"BTCUSDT","c":"1","o":"1","h":"1","l":"1","v":"1","q":"1"}"#,
        r#"{"u":30,"s":"BTCUSDT","b":"64000.00","B":"1","a":"64000.10","A":"1"}"#,
        r#"{"lastUpdateId":30,"bids":[["64000.00","1"]],"asks":[["64000.10","1"]]}"#,
    ];
    for payload in payloads {
        let mut talk = Talk::live(Section::Spot, &["BTCUSDT", "ETHUSDT"]);
        let frame = format!(r#"{{"stream":"x","data":{payload}}}"#);
        let said = talk.bytes(&renamed(&frame, b"\"btc\xff"));
        assert_eq!((talk.at(0), talk.at(1)), (Some(20), Some(20)), "{said:?}");
        let cut = talk.bytes(&renamed(&frame, b"\"btc\xff")[..40]);
        assert!(cut.contains(&"malformed".to_owned()), "{cut:?}");
    }
}

#[test]
fn a_stream_of_futures_that_may_be_changes_or_best_levels_is_a_gap_of_its_book() {
    let [change, next] = next_changes(Section::Usdm);
    let mut talk = Talk::new(Section::Usdm, &["BTCUSDT", "ETHUSDT"], &[Channel::Book, Channel::BookTop]);
    talk.tell(Input::Open);
    talk.frame(r#"{"result":null,"id":1}"#);
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        talk.frame(&usdm(symbol, 12, 16, 20));
        talk.answer(&depth(15));
    }
    assert_eq!((talk.at(0), talk.at(1)), (Some(20), Some(20)));
    talk.fetched.clear();
    let said = talk.bytes(&renamed(&change, b"\"btcusdt@depth1100ms\""));
    assert_eq!(said[..2], ["malformed", "gap malformed 20>-"]);
    assert_eq!(talk.at(1), Some(20));
    heals(Section::Usdm, &mut talk, &next);
}

#[test]
fn what_cannot_be_any_books_leaves_the_books_alone() {
    let mut talk = Talk::new(Section::Spot, &["BTCUSDT"], &[Channel::Book, Channel::Trades]);
    talk.tell(Input::Open);
    talk.frame(r#"{"result":null,"id":1}"#);
    talk.frame(&spot("BTCUSDT", 16, 20));
    talk.answer(&depth(15));
    let trade = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1760000000123,"s":"BTCUSDT","t":1,"p":"1.x","q":"1","T":1760000000121,"m":true,"M":true}}"#;
    assert_eq!(talk.frame(trade), ["malformed"]);
    assert_eq!(talk.frame(&trade[..60]), ["malformed"]);
    assert_eq!(talk.frame(&spot("BTCUSDT", 21, 21)), ["delta 20>21"]);
    let binary = spot("BTCUSDT", 22, 22);
    let said = talk.tell(Input::Frame { bytes: binary.as_bytes(), binary: true });
    assert_eq!(said, ["malformed", "gap malformed 21>-", "syncing"]);
}

fn noise(rng: &mut Rng, round: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(0..24) {
        if round.is_multiple_of(2) {
            bytes.push(rng.u8(..));
        } else {
            bytes.extend_from_slice(PIECES[rng.usize(0..PIECES.len())]);
        }
    }
    bytes
}

#[test]
fn garbage_never_panics_and_asks_for_nothing() {
    let mut rng = Rng::with_seed(7);
    let mut talk = Talk::live(Section::Spot, &["BTCUSDT", "ETHUSDT"]);
    let (sent, mut unknown) = (talk.sent.len(), 0);
    let mut recorded = Binance.session(&Shard::default());
    for round in 0..20_000 {
        let bytes = noise(&mut rng, round);
        let said = talk.bytes(&bytes);
        unknown += said.iter().filter(|word| word.starts_with("unknown")).count();
        let data =
            |word: &String| word.starts_with("delta") || word.starts_with("snap") || word.ends_with("data");
        assert!(!said.iter().any(data), "{said:?}");
        let mut out = Vec::new();
        recorded.on(Input::Frame { bytes: &bytes, binary: round % 3 == 0 }, NOW, &mut out);
        for (tag, path) in [(None, ""), (None, "/api/v3/depth?symbol=BTCUSDT"), (Some(round as u64), "")] {
            let status = if round % 5 == 0 { 500 } else { 200 };
            recorded.on(Input::Reply { tag, path, status, retry_ms: None, body: &bytes }, NOW, &mut out);
        }
        assert!(!out.iter().any(|a| is_data(a) || matches!(a, Action::Send(_) | Action::Fetch { .. })));
    }
    assert_eq!((talk.sent.len(), talk.fetched.len(), talk.closes), (sent, 0, 0));
    assert!(unknown <= 256, "{unknown} names are told");
    assert_eq!((talk.at(0), talk.at(1)), (None, None));
}

#[test]
fn answers_of_noise_are_asked_for_again_without_a_loop() {
    let mut rng = Rng::with_seed(8);
    let mut talk = Talk::opened(Section::Usdm, &["BTCUSDT"]);
    talk.frame(&usdm("BTCUSDT", 5, 10, 12));
    for round in 0..500 {
        let body = noise(&mut rng, round);
        let (_, tag, path) = talk.fetched.last().cloned().unwrap();
        let reply = Input::Reply { tag: Some(tag), path: &path, status: 200, retry_ms: None, body: &body };
        let said = talk.tell(reply);
        assert!(!said.iter().any(|word| word == "fetch" || word.starts_with("snapshot")), "{said:?}");
        assert!(talk.next().contains(&"fetch".to_owned()));
    }
    assert_eq!(talk.fetched.len(), 501);
    assert!(talk.now.ms_since(talk::START) > 490 * 30_000);
    assert_eq!(talk.answer(&depth(11)), ["snapshot 11", "delta 11>12"]);
}
