//! Recorded connections, where there are any: every frame is read, every book goes on without a hole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bybit::Bybit;
use model::{Body, Channel, Ts};
use source::pair::Books;
use source::{Action, Input, Session, Shard, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> Option<PathBuf> {
    let root = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from);
    if root.is_none() {
        println!("skipped: QINGXI_RECORDINGS is not set");
    }
    root
}

fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == "zst"));
    all.sort();
    all
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let packed = std::fs::read(path).unwrap();
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: BTreeSet<String>,
    crossed: usize,
    quotes: usize,
}

struct Reader {
    session: Box<dyn Session>,
    books: Books,
    tally: Tally,
}

impl Reader {
    fn new(url: Option<&str>) -> Self {
        let shard = Shard { path: url.map(str::to_owned), ..Shard::default() };
        Self { session: Bybit.session(&shard), books: Books::default(), tally: Tally::default() }
    }

    fn on(&mut self, input: Input<'_>, now: Ts, place: &str) {
        let mut out = Vec::new();
        self.session.on(input, now, &mut out);
        for action in out {
            match action {
                Action::Emit(event) => {
                    if !matches!(event.body, Body::Lane(_)) {
                        *self.tally.events.entry(event.channel.name()).or_default() += 1;
                    }
                    if let Body::Instrument = event.body
                        && let Some(held) = self.books.live.get_mut(&event.instrument.id)
                    {
                        held.fit(&event.instrument);
                    }
                    self.books.on(&event);
                    let held = self.books.live.get(&event.instrument.id);
                    if event.channel == Channel::Book {
                        self.tally.crossed += usize::from(held.is_some_and(source::pair::Held::is_crossed));
                    }
                    self.tally.quotes += usize::from(event.channel == Channel::Quote);
                }
                Action::Malformed(fault) => self.tally.malformed.push(format!("{fault}: {place}")),
                Action::Unknown(name) => _ = self.tally.unknown.insert(name),
                Action::Control(_) => {}
                other => panic!("a recording asks for nothing: {other:?}"),
            }
        }
    }
}

#[test]
fn every_recorded_frame_is_read_and_every_book_goes_on_without_a_hole() {
    let Some(root) = root() else { return };
    let files = files(&root, "bybit");
    assert!(!files.is_empty(), "no recordings of this venue");
    for path in files {
        let mut readers: BTreeMap<String, Reader> = BTreeMap::new();
        for line in lines(&path) {
            let text = |key: &str| line.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
            let now = Ts((line["ts"].as_f64().unwrap_or_default() * 1e9) as i64);
            match text("t").as_str() {
                "connect" => {
                    let reader = Reader::new(Some(&text("addr")));
                    readers.entry(text("conn")).or_insert(reader).on(Input::Open, now, "open");
                }
                "recv" => {
                    let reader = readers.entry(text("conn")).or_insert_with(|| Reader::new(None));
                    let data = text("data");
                    reader.tally.frames += 1;
                    reader.on(Input::Frame { bytes: data.as_bytes(), binary: false }, now, &data);
                }
                "http" => {
                    let (url, body) = (text("url"), text("data"));
                    let mut reader = Reader::new(None);
                    let body = body.as_bytes();
                    let reply = Input::Reply { tag: None, path: &url, status: 200, retry_ms: None, body };
                    reader.on(reply, now, &url);
                    assert_eq!(reader.tally.malformed, Vec::<String>::new());
                    let defined = Bybit.define(&url, body).map(|all| all.unwrap().len());
                    println!("{url}: {defined:?} definitions");
                    assert!(!url.contains("instruments-info") || defined > Some(100));
                }
                _ => {}
            }
        }
        for (conn, reader) in readers {
            let tally = reader.tally;
            println!("{} {conn}: {tally:#?}", path.file_name().unwrap().to_string_lossy());
            assert!(tally.frames > 0);
            assert_eq!(tally.malformed, Vec::<String>::new());
            assert_eq!(tally.unknown, BTreeSet::new());
            assert_eq!(tally.crossed, 0);
            assert_eq!(reader.books.gaps, []);
        }
    }
}

/// What a topic must become; `None` where a single frame cannot say it.
fn kind(topic: &str) -> Option<Channel> {
    let word = topic.split('.').next().unwrap_or_default();
    Some(match word {
        "publicTrade" | "trade" if topic.contains('.') => Channel::Trades,
        "orderbook" if !topic.starts_with("orderbook.1.") => Channel::Book,
        "orderBookL2_25" | "orderBook_200" => Channel::Book,
        "allLiquidation" | "liquidation" => Channel::Liquidations,
        "klineV2" | "kline" => Channel::Bars,
        _ => return None,
    })
}

#[test]
fn samples_of_every_generation_give_the_right_kinds() {
    let Some(root) = root() else { return };
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for path in files(&root, "samples") {
        for line in lines(&path) {
            if !line["venue"].as_str().unwrap_or_default().starts_with("bybit") {
                let msg = line["msg"].as_str().unwrap();
                assert!(!Bybit.recognises(None, msg.as_bytes()), "{msg} is not ours");
                continue;
            }
            let msg = line["msg"].as_str().unwrap();
            let mut session = Bybit.session(&Shard::default());
            let mut out = Vec::new();
            session.on(Input::Open, Ts(0), &mut out);
            session.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(1), &mut out);
            assert!(!out.is_empty() || msg.contains("instrument_info"), "{msg}: nothing was said of it");
            let malformed = out.iter().any(|a| matches!(a, Action::Malformed(_)));
            assert!(!malformed, "{msg}: {out:?}");
            let frame: serde_json::Value = serde_json::from_str(msg).unwrap();
            let topic = frame["topic"].as_str().unwrap_or_default();
            let Some(channel) = kind(topic) else { continue };
            assert!(Bybit.recognises(None, msg.as_bytes()), "{msg} is ours");
            let told = out.iter().any(|a| matches!(a, Action::Emit(e) if e.channel == channel));
            assert!(told, "{msg}: {out:?}");
            *counted.entry(channel.name().to_owned()).or_default() += 1;
        }
    }
    println!("{counted:?}");
    assert!(counted.len() >= 4);
}
