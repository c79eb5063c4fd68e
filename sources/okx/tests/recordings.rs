//! Recorded connections, where there are any: every frame is read, every checksum matches the rebuilt book.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]

mod common;

use common::crc;
use model::{Body, Ts};
use okx::Okx;
use source::pair::Books;
use source::{Action, Input, Session, Shard, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One thing that a recording holds.
enum Line {
    Connect,
    Frame { ts: Ts, bytes: Vec<u8>, binary: bool },
    Reply { ts: Ts, url: String, body: Vec<u8> },
}

fn files() -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return Vec::new();
    };
    let root = PathBuf::from(root);
    let list = |folder: &str| -> Vec<PathBuf> {
        let Ok(dir) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
        dir.map(|entry| entry.unwrap().path()).collect()
    };
    let mut all = [list("okx"), list("samples")].concat();
    all.retain(|path| path.extension().is_some_and(|e| e == "zst"));
    all.sort();
    all
}

fn lines(path: &PathBuf) -> Vec<Line> {
    let packed = std::fs::read(path).unwrap();
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let name = path.to_string_lossy();
    let read: fn(&str) -> Option<Line> = if name.contains("samples") {
        sample
    } else if name.ends_with(".jsonl.zst") {
        json_line
    } else {
        text_line
    };
    text.lines().filter_map(read).collect()
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1600000007.645451: {"event":"subscribe",…}` and `wss://host/path <-> 1600000006.6`
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

/// `{"t":"recv","ts":1652459225.5,"conn":"…","data":"…"}`
fn json_line(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = Ts((value.get("ts").and_then(serde_json::Value::as_f64).unwrap_or_default() * 1e9) as i64);
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match text("t").as_str() {
        "connect" => Some(Line::Connect),
        "recv" => Some(Line::Frame { ts, bytes: text("data").into(), binary: false }),
        "http" => Some(Line::Reply { ts, url: text("url"), body: text("data").into() }),
        _ => None,
    }
}

/// `{"venue":"okx","msg":"…"}`; each is a connection of its own.
fn sample(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let (venue, msg) = (text("venue"), text("msg"));
    let frame = venue.starts_with("okx") && !msg.starts_with(r#"{"code""#);
    frame.then(|| Line::Frame { ts: Ts(0), bytes: msg.into(), binary: false })
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    replies: usize,
    events: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: BTreeSet<String>,
    right: usize,
    wrong: usize,
    crossed: usize,
    gaps: usize,
}

struct Reader {
    session: Box<dyn Session>,
    books: Books,
    tally: Tally,
}

impl Reader {
    fn new() -> Self {
        let session = Okx.session(&Shard::default());
        Self { session, books: Books::default(), tally: Tally::default() }
    }

    fn on(&mut self, input: Input<'_>, now: Ts, place: &str) {
        let mut out = Vec::new();
        self.session.on(input, now, &mut out);
        for action in out {
            match action {
                Action::Emit(event) => self.event(&event),
                Action::Malformed(fault) => self.tally.malformed.push(format!("{fault}: {place}")),
                Action::Unknown(name) => _ = self.tally.unknown.insert(name),
                Action::Control(_) => {}
                other => panic!("a recording asks for nothing: {other:?}"),
            }
        }
    }

    fn event(&mut self, event: &model::Event) {
        *self.tally.events.entry(event.channel.name()).or_default() += 1;
        if event.channel != model::Channel::Book {
            return;
        }
        self.books.on(event);
        self.tally.gaps = self.books.gaps.len();
        let checksum = match &event.body {
            Body::Snapshot(snapshot) => snapshot.checksum,
            Body::Delta(delta) => delta.checksum,
            _ => return,
        };
        let held = &self.books.live[&event.instrument.id];
        self.tally.crossed += usize::from(held.is_crossed());
        if let Some(checksum) = checksum {
            if crc(held, &event.instrument) == checksum.value {
                self.tally.right += 1;
            } else {
                self.tally.wrong += 1;
            }
        }
    }
}

#[test]
fn every_recorded_frame_is_read_and_every_checksum_is_right() {
    for path in files() {
        let sample = path.to_string_lossy().contains("samples");
        let mut reader = Reader::new();
        for line in lines(&path) {
            match line {
                Line::Connect => reader.on(Input::Open, Ts(0), "open"),
                Line::Frame { ts, bytes, binary } => {
                    reader.tally.frames += 1;
                    let place = String::from_utf8_lossy(&bytes).into_owned();
                    reader.on(Input::Frame { bytes: &bytes, binary }, ts, &place);
                }
                Line::Reply { ts, url, body } => {
                    reader.tally.replies += 1;
                    let input =
                        Input::Reply { tag: None, path: &url, status: 200, retry_ms: None, body: &body };
                    reader.on(input, ts, &url);
                }
            }
        }
        println!("{}: {:#?}", path.file_name().unwrap().to_string_lossy(), reader.tally);
        assert!(reader.tally.frames > 0);
        assert_eq!(reader.tally.malformed, Vec::<String>::new());
        if !sample {
            assert_eq!((reader.tally.wrong, reader.tally.crossed, reader.tally.gaps), (0, 0, 0));
            assert!(reader.tally.right > 0);
        }
    }
}
