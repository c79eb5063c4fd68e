//! Recorded connections, where there are any: every frame is read, no book is crossed, no continuity is lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use htx::Htx;
use model::{Body, Channel, Event, InstrumentId, Ts};
use source::pair::{Books, Held};
use source::{Action, Input, Session, Shard, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// One thing that a recording holds.
enum Line {
    Connect,
    Frame { ts: Ts, bytes: Vec<u8>, binary: bool },
    Reply { ts: Ts, url: String, body: Vec<u8> },
}

fn files(folder: &str) -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return Vec::new();
    };
    let Ok(dir) = std::fs::read_dir(PathBuf::from(root).join(folder)) else { return Vec::new() };
    let mut all: Vec<PathBuf> = dir.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == "zst"));
    all.sort();
    all
}

fn text(path: &Path) -> String {
    String::from_utf8(zstd::decode_all(std::fs::read(path).unwrap().as_slice()).unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<Line> {
    let json = path.to_string_lossy().ends_with(".jsonl.zst");
    text(path).lines().filter_map(if json { json_line } else { text_line }).collect()
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1645289384.99: b'\x1f\x8b…'` and `wss://host/path <-> 1645289383.84`
fn text_line(line: &str) -> Option<Line> {
    if line.contains(" <-> ") && line.starts_with("ws") {
        return Some(Line::Connect);
    }
    let (ts, rest) = line.split_once(": ")?;
    let ts = seconds(ts)?;
    let literal = rest.strip_prefix("b'").and_then(|r| r.strip_suffix('\''));
    let literal = literal.or_else(|| rest.strip_prefix("b\"").and_then(|r| r.strip_suffix('"')));
    Some(match literal {
        Some(text) => Line::Frame { ts, bytes: python_bytes(text), binary: true },
        None => Line::Frame { ts, bytes: rest.into(), binary: false },
    })
}

fn python_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'x' => {
                let digit = |b: u8| (b as char).to_digit(16).unwrap() as u8;
                let (high, low) = (rest.next().unwrap(), rest.next().unwrap());
                out.push(digit(high) * 16 + digit(low));
            }
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            other => out.push(other),
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let digit = |b: &u8| alphabet.iter().position(|a| a == b).unwrap() as u32;
        let bits = four.iter().fold(0, |v, b| v << 6 | digit(b)) << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}

/// `{"t":"recv","ts":1652459225.5,"conn":"…","data":"…"}`
fn json_line(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = Ts((value.get("ts").and_then(serde_json::Value::as_f64).unwrap_or_default() * 1e9) as i64);
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match text("t").as_str() {
        "connect" => Some(Line::Connect),
        "recv" if value.get("b64").is_some() => {
            Some(Line::Frame { ts, bytes: base64(&text("b64")), binary: true })
        }
        "recv" => Some(Line::Frame { ts, bytes: text("data").into(), binary: false }),
        "http" => Some(Line::Reply { ts, url: text("url"), body: text("data").into() }),
        _ => None,
    }
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    control: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: BTreeSet<String>,
    crossed: usize,
    gaps: usize,
    provisional: usize,
}

struct Reader {
    session: Box<dyn Session>,
    books: Books,
    tops: BTreeMap<InstrumentId, Option<Ts>>,
    tally: Tally,
}

impl Reader {
    fn new() -> Self {
        let session = Htx.session(&Shard::default());
        Self { session, books: Books::default(), tops: BTreeMap::new(), tally: Tally::default() }
    }

    fn on(&mut self, input: Input<'_>, now: Ts, place: &str) -> Vec<Event> {
        let mut out = Vec::new();
        let mut events = Vec::new();
        self.session.on(input, now, &mut out);
        for action in out {
            match action {
                Action::Emit(event) => {
                    self.event(&event);
                    events.push(event);
                }
                Action::Malformed(fault) => self.tally.malformed.push(format!("{fault}: {place}")),
                Action::Unknown(name) => _ = self.tally.unknown.insert(name),
                Action::Control(what) => *self.tally.control.entry(what).or_default() += 1,
                other => panic!("a recording asks for nothing: {other:?}"),
            }
        }
        events
    }

    fn event(&mut self, event: &Event) {
        *self.tally.events.entry(event.channel.name()).or_default() += 1;
        self.tally.provisional += usize::from(event.instrument.provisional);
        self.books.on(event);
        self.tally.gaps = self.books.gaps.len();
        let crossed = match (&event.body, event.channel) {
            (Body::Snapshot(top), Channel::BookTop) => {
                let before = self.tops.insert(event.instrument.id, event.stamp.ts_event);
                assert!(
                    before.is_none_or(|before| before <= event.stamp.ts_event),
                    "whole books go back in time"
                );
                Held::new(&event.instrument, &top.levels, top.seq).is_crossed()
            }
            (_, Channel::Book) => self.books.live.get(&event.instrument.id).is_some_and(Held::is_crossed),
            _ => false,
        };
        self.tally.crossed += usize::from(crossed);
    }
}

#[test]
fn every_recorded_frame_is_read_and_no_book_is_crossed() {
    for path in files("htx") {
        let mut reader = Reader::new();
        for line in lines(&path) {
            match line {
                Line::Connect => _ = reader.on(Input::Open, Ts(0), "open"),
                Line::Frame { ts, bytes, binary } => {
                    reader.tally.frames += 1;
                    let place =
                        if binary { unpacked(&bytes) } else { String::from_utf8(bytes.clone()).unwrap() };
                    assert!(Htx.recognises(None, &bytes), "{place}");
                    reader.on(Input::Frame { bytes: &bytes, binary }, ts, &place);
                }
                Line::Reply { ts, url, body } => {
                    let input =
                        Input::Reply { tag: None, path: &url, status: 200, retry_ms: None, body: &body };
                    reader.on(input, ts, &url);
                }
            }
        }
        println!("{}: {:#?}", path.file_name().unwrap().to_string_lossy(), reader.tally);
        let Tally { frames, malformed, unknown, crossed, gaps, events, .. } = reader.tally;
        assert!(frames > 0 && events.contains_key("book_top") && events.contains_key("trades"));
        assert_eq!(malformed, Vec::<String>::new());
        assert_eq!(unknown, BTreeSet::new());
        assert_eq!((crossed, gaps), (0, 0));
    }
}

/// Which channel a sample is of, by the words of its topic; none where it is known and passed over.
fn expected(msg: &str) -> Option<&'static str> {
    for (word, channel) in [
        (".trade.detail", "trades"),
        (".mbp.refresh", "book_top"),
        (".high_freq", "book"),
        (".mbp.", "book"),
        (".depth.step", "book_top"),
        (".bbo", "quote"),
        (".kline.", "bars"),
        (".detail", "day_stats"),
        (".ticker", "day_stats"),
        (".open_interest", "open_interest"),
        (".funding_rate", "funding"),
        (".liquidation_orders", "liquidations"),
        (".contract_info", "status"),
    ] {
        if msg.contains(word) {
            return Some(channel);
        }
    }
    None
}

#[test]
fn samples_of_frames_give_the_right_kinds() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for path in files("samples") {
        let mut groups: BTreeMap<String, Reader> = BTreeMap::new();
        for line in text(&path).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            let msg = field("msg");
            if field("venue") != "htx" || !msg.starts_with('{') {
                continue;
            }
            let group = format!("{} {}", field("test"), field("var"));
            let reader = groups.entry(group).or_insert_with(Reader::new);
            let events = reader.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(1), msg);
            let data: Vec<_> = events.iter().filter(|e| !matches!(e.body, Body::Instrument)).collect();
            let computed = msg.contains(r#""update":true"#);
            let control = msg.contains("subbed") || msg.contains(r#""op":"sub""#) || msg.contains("ping");
            match expected(msg).filter(|_| !computed && !control) {
                Some(channel) => {
                    let right = data.iter().all(|e| e.channel.name() == channel || channel == "status");
                    // Changes without their snapshot make no book.
                    assert!(
                        right && (!data.is_empty() || channel == "book"),
                        "{channel}: {msg} gave {data:?}"
                    );
                    *seen.entry(channel).or_default() += 1;
                }
                None => assert!(data.is_empty(), "{msg} gave {data:?}"),
            }
        }
        for (group, reader) in groups {
            assert_eq!((reader.tally.malformed, reader.tally.crossed), (Vec::new(), 0), "{group}");
            assert!(reader.tally.unknown.is_empty(), "{group}: {:?}", reader.tally.unknown);
        }
    }
    println!("{seen:?}");
}
