//! Recorded connections, where there are any: every frame is read, every chain holds, every checksum matches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::{Body, Channel, Instrument, Ts, write_mantissa};
use serde_json::Value;
use source::pair::{Books, Held};
use source::{Action, Input, Session, Shard, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One thing that a recording holds.
enum Line {
    Connect,
    Frame(Ts, String),
    Reply(Ts, String, String),
}

fn root() -> Option<PathBuf> {
    let root = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from);
    if root.is_none() {
        println!("skipped: QINGXI_RECORDINGS is not set");
    }
    root
}

fn unpacked(path: &Path) -> String {
    String::from_utf8(zstd::decode_all(std::fs::read(path).unwrap().as_slice()).unwrap()).unwrap()
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1600000007.645451: {"event":"subscribe",…}` and `wss://host/path <-> 1600000006.6`
fn text_line(line: &str) -> Option<Line> {
    if line.contains(" <-> ") {
        return Some(Line::Connect);
    }
    let (ts, frame) = line.split_once(": ")?;
    Some(Line::Frame(seconds(ts)?, frame.to_owned()))
}

/// `{"t":"recv","ts":1652459225.5,"conn":"…","data":"…"}`
fn json_line(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let ts = Ts((value["ts"].as_f64().unwrap_or_default() * 1e9) as i64);
    match text("t").as_str() {
        "connect" => Some(Line::Connect),
        "recv" => Some(Line::Frame(ts, text("data"))),
        "http" => Some(Line::Reply(ts, text("url"), text("data"))),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: Vec<String>,
    right: usize,
    wrong: usize,
    crossed: usize,
}

struct Reader {
    session: Box<dyn Session>,
    books: Books,
    tally: Tally,
}

impl Reader {
    fn new() -> Self {
        let session = Bitget.session(&Shard::default());
        Self { session, books: Books::default(), tally: Tally::default() }
    }

    fn on(&mut self, input: Input<'_>, now: Ts, place: &str) {
        let mut out = Vec::new();
        self.session.on(input, now, &mut out);
        for action in out {
            match action {
                Action::Emit(event) => self.event(&event),
                Action::Malformed(fault) => self.tally.malformed.push(format!("{fault}: {place}")),
                Action::Unknown(name) => self.tally.unknown.push(name),
                Action::Control(_) => {}
                other => panic!("a recording asks for nothing: {other:?}"),
            }
        }
    }

    fn event(&mut self, event: &model::Event) {
        *self.tally.events.entry(event.channel.name()).or_default() += 1;
        self.books.on(event);
        let checksum = match &event.body {
            Body::Snapshot(snapshot) => snapshot.checksum,
            Body::Delta(delta) => delta.checksum,
            _ => return,
        };
        let held = self.books.live.get(&event.instrument.id).filter(|_| event.channel == Channel::Book);
        let Some(held) = held else { return };
        self.tally.crossed += usize::from(held.is_crossed());
        if let Some(checksum) = checksum {
            let right = crc(held, &event.instrument) == checksum.value;
            self.tally.right += usize::from(right);
            self.tally.wrong += usize::from(!right);
        }
    }
}

/// CRC-32 over the best 25 levels, bid and ask in turn.
fn crc(held: &Held, instrument: &Instrument) -> u32 {
    let mut text = Vec::new();
    let (mut bids, mut asks) = (held.bids.iter().rev(), held.asks.iter());
    for _ in 0..25 {
        for (px, qty) in [bids.next(), asks.next()].into_iter().flatten() {
            if !text.is_empty() {
                text.push(b':');
            }
            write_mantissa(px.0, instrument.px_scale, &mut text);
            text.push(b':');
            write_mantissa(qty.0, instrument.qty_scale, &mut text);
        }
    }
    crc32fast::hash(&text)
}

#[test]
fn every_recorded_frame_is_read_and_every_checksum_is_right() {
    let Some(folder) = root().map(|root| root.join("bitget")) else { return };
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    for path in entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "zst")) {
        let name = path.to_string_lossy().into_owned();
        let mut reader = Reader::new();
        for line in unpacked(&path).lines() {
            let read = if name.ends_with(".jsonl.zst") { json_line(line) } else { text_line(line) };
            match read {
                None => {}
                Some(Line::Connect) => reader.on(Input::Open, Ts(0), "open"),
                Some(Line::Frame(ts, text)) => {
                    reader.tally.frames += 1;
                    reader.on(Input::Frame { bytes: text.as_bytes(), binary: false }, ts, &text);
                }
                Some(Line::Reply(ts, url, body)) => {
                    let (tag, retry_ms, body) = (None, None, body.as_bytes());
                    reader.on(Input::Reply { tag, path: &url, status: 200, retry_ms, body }, ts, &url);
                }
            }
        }
        println!("{name}: {:#?}", reader.tally);
        let Tally { frames, malformed, wrong, crossed, .. } = &reader.tally;
        assert!(*frames > 0, "{name} holds frames");
        assert_eq!(*malformed, Vec::<String>::new());
        assert_eq!((*wrong, *crossed, reader.books.gaps.len()), (0, 0, 0), "{name}");
    }
}

#[test]
fn frames_of_other_venues_are_not_taken_for_ours() {
    let Some(folder) = root().map(|root| root.join("samples")) else { return };
    let (mut ours, mut others) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        for line in unpacked(&entry.unwrap().path()).lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let (venue, msg) = (value["venue"].as_str().unwrap(), value["msg"].as_str().unwrap());
            let known = Bitget.recognises(None, msg.as_bytes());
            assert!(!known || venue.starts_with("bitget"), "{venue}: {msg}");
            if !venue.starts_with("bitget") {
                others += 1;
                continue;
            }
            ours += 1;
            let mut reader = Reader::new();
            reader.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(0), msg);
            assert_eq!(reader.tally.malformed, Vec::<String>::new());
        }
    }
    println!("{ours} of ours, {others} of others");
    assert!(others > 0);
}
