//! Recorded connections, where there are any: every frame is read, every count runs through, no book is crossed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

mod common;

use coinbase::Coinbase;
use common::Held;
use model::{Body, Channel, Instrument, InstrumentId, TradeId, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that a recording holds.
enum Line {
    Connect,
    Frame { ts: Ts, text: String },
    Reply { ts: Ts, url: String, body: String },
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
    let packed = std::fs::read(path).unwrap();
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1600000007.645451: {"type":"match",…}`, `wss://host <-> 1600000006.6` and `https://host/path -> 1600000006.6: […]`
fn text_line(line: &str) -> Option<Line> {
    if line.contains(" <-> ") && line.starts_with("ws") {
        return Some(Line::Connect);
    }
    if let Some((url, rest)) = line.split_once(" -> ").filter(|(url, _)| url.starts_with("http")) {
        let (ts, body) = rest.split_once(": ")?;
        return Some(Line::Reply { ts: seconds(ts)?, url: url.to_owned(), body: body.to_owned() });
    }
    let (ts, rest) = line.split_once(": ")?;
    Some(Line::Frame { ts: seconds(ts)?, text: rest.to_owned() })
}

/// `{"t":"recv","ts":1652459225.5,"conn":"…","data":"…"}`
fn json_line(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = Ts((value.get("ts").and_then(serde_json::Value::as_f64).unwrap_or_default() * 1e9) as i64);
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match text("t").as_str() {
        "connect" => Some(Line::Connect),
        "recv" => Some(Line::Frame { ts, text: text("data") }),
        "http" => Some(Line::Reply { ts, url: text("url"), body: text("data") }),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: BTreeSet<String>,
    deltas: usize,
    crossed: usize,
    gaps: usize,
    holes: Vec<String>,
}

struct Reader {
    session: Box<dyn Session>,
    books: BTreeMap<InstrumentId, (Arc<Instrument>, Held)>,
    trades: BTreeMap<InstrumentId, u64>,
    tally: Tally,
}

impl Reader {
    fn new() -> Self {
        let session = Coinbase.session(&Shard::default());
        Self { session, books: BTreeMap::new(), trades: BTreeMap::new(), tally: Tally::default() }
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
        if let Body::Trade(trade) = &event.body {
            let TradeId::Num(id) = trade.id else { panic!("{:?}", trade.id) };
            let last = self.trades.insert(event.instrument.id, id);
            if let Some(last) = last.filter(|last| id != last + 1) {
                self.tally.holes.push(format!("{}: {last} to {id}", event.instrument.name));
            }
        }
        if event.channel != Channel::Book {
            return;
        }
        let made = || (Arc::clone(&event.instrument), Held::default());
        let (known, held) = self.books.entry(event.instrument.id).or_insert_with(made);
        if !Arc::ptr_eq(known, &event.instrument) {
            held.rescale(known, &event.instrument);
            *known = Arc::clone(&event.instrument);
        }
        match &event.body {
            Body::Snapshot(snapshot) => held.reset(&snapshot.levels),
            Body::Delta(delta) => {
                assert!(held.live, "a delta without a snapshot");
                held.apply(&delta.levels);
                self.tally.deltas += 1;
            }
            Body::Gap(_) => {
                self.tally.gaps += 1;
                *held = Held::default();
            }
            _ => {}
        }
        self.tally.crossed += usize::from(held.crossed());
    }
}

#[test]
fn every_recorded_frame_is_read_and_no_hole_is_seen() {
    for path in files("coinbase") {
        let json = path.to_string_lossy().ends_with(".jsonl.zst");
        let mut reader = Reader::new();
        for line in text(&path).lines().filter_map(if json { json_line } else { text_line }) {
            match line {
                Line::Connect => reader.on(Input::Open, Ts(0), "open"),
                Line::Frame { ts, text } => {
                    reader.tally.frames += 1;
                    assert!(
                        Coinbase.recognises(None, text.as_bytes()) || text.contains("\"subscriptions\""),
                        "{text}"
                    );
                    reader.on(Input::Frame { bytes: text.as_bytes(), binary: false }, ts, &text);
                }
                Line::Reply { ts, url, body } => {
                    assert!(Coinbase.recognises(Some(&url), b""));
                    let input = Input::Reply {
                        tag: None,
                        path: &url,
                        status: 200,
                        retry_ms: None,
                        body: body.as_bytes(),
                    };
                    reader.on(input, ts, &url);
                }
            }
        }
        let name = path.file_name().unwrap().to_string_lossy();
        println!("{name}: {:#?}", reader.tally);
        let tally = &reader.tally;
        assert!(tally.frames > 0 && tally.deltas > 0);
        assert_eq!(tally.malformed, Vec::<String>::new());
        assert_eq!(tally.unknown, BTreeSet::new());
        assert_eq!((tally.gaps, tally.crossed), (0, 0));
        assert_eq!(tally.holes, Vec::<String>::new(), "trade ids count by one");
    }
}

#[test]
fn samples_of_other_recorders_give_the_right_kinds() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for path in files("samples") {
        for line in text(&path).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            let ours = text("venue") == "coinbase";
            let msg = text("msg").to_owned();
            assert_eq!(Coinbase.recognises(None, msg.as_bytes()), ours, "{} {msg}", text("venue"));
            if !ours {
                continue;
            }
            let mut out = Vec::new();
            let mut session = Coinbase.session(&Shard::default());
            session.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(1), &mut out);
            let word: serde_json::Value = serde_json::from_str(&msg).unwrap();
            let word = word.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            let told: Vec<String> = out
                .iter()
                .map(|a| match a {
                    Action::Emit(e) => e.channel.name().to_owned(),
                    Action::Control(why) => (*why).to_owned(),
                    other => panic!("{msg}: {other:?}"),
                })
                .collect();
            let expected = match word.as_str() {
                "match" | "last_match" => vec!["trades"],
                "snapshot" => vec!["book"],
                "l2update" => vec!["book update while waiting for a snapshot", "book"],
                "ticker" => vec!["day_stats"],
                _ => vec!["an order of the full feed"],
            };
            assert_eq!(told, expected, "{msg}");
            *kinds.entry(word).or_default() += 1;
        }
    }
    println!("{kinds:?}");
}
