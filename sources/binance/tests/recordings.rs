//! Recorded connections, where there are any: every frame is read, every chain is whole, and each quote that names a
//! state of the rebuilt book agrees with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Channel, InstrumentId, Quote, TradeId, Ts};
use source::pair::Books;
use source::{Action, Input, Session, Shard, Source};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One thing that a recording holds.
enum Line {
    Connect(String),
    Frame(Vec<u8>),
    Reply(String, Vec<u8>),
}

fn root() -> Option<PathBuf> {
    let root = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from);
    if root.is_none() {
        println!("skipped: QINGXI_RECORDINGS is not set");
    }
    root
}

fn text(path: &Path) -> String {
    let packed = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    }
    text
}

fn lines(path: &Path) -> Vec<(Ts, Line)> {
    let name = path.to_string_lossy();
    let read: fn(&str) -> Option<(Ts, Line)> = if name.contains("hft_") {
        hft
    } else if name.ends_with(".jsonl.zst") {
        json_line
    } else {
        text_line
    };
    let mut lines: Vec<_> = text(path).lines().filter_map(read).collect();
    lines.sort_by_key(|(ts, _)| *ts);
    lines
}

fn hft(line: &str) -> Option<(Ts, Line)> {
    let (time, frame) = line.split_once(' ')?;
    let unit = if time.len() == 16 { 1_000 } else { 1 };
    let bytes = frame.as_bytes().to_vec();
    let line = if frame.starts_with("{\"lastUpdateId\"") {
        Line::Reply(String::new(), bytes)
    } else {
        Line::Frame(bytes)
    };
    Some((Ts(time.parse::<i64>().ok()? * unit), line))
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

fn json_line(line: &str) -> Option<(Ts, Line)> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = seconds(&value.get("ts")?.to_string())?;
    let word = |key: &str| value.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    Some((
        ts,
        match value["t"].as_str()? {
            "http" => Line::Reply(word("url"), word("data").into_bytes()),
            "connect" => Line::Connect(word("addr")),
            "recv" => Line::Frame(word("data").into_bytes()),
            _ => return None,
        },
    ))
}

fn text_line(line: &str) -> Option<(Ts, Line)> {
    if let Some((url, time)) = line.split_once(" <-> ") {
        return Some((seconds(time.trim_end_matches(':'))?, Line::Connect(url.to_owned())));
    }
    if let Some((url, rest)) = line.split_once(" -> ").filter(|(url, _)| url.starts_with("http")) {
        let (time, body) = rest.split_once(": ")?;
        return Some((seconds(time)?, Line::Reply(url.to_owned(), body.as_bytes().to_vec())));
    }
    let (time, frame) = line.split_once(": ")?;
    frame.starts_with('{').then_some((seconds(time)?, Line::Frame(frame.as_bytes().to_vec())))
}

/// What a session made of recordings.
#[derive(Default)]
struct Told {
    frames: usize,
    bytes: usize,
    books: Books,
    quotes: BTreeMap<InstrumentId, BTreeMap<u64, Quote>>,
    equal: usize,
    events: BTreeMap<Channel, usize>,
    products: BTreeMap<String, usize>,
    malformed: Vec<String>,
    unknown: Vec<String>,
    control: BTreeMap<&'static str, usize>,
    syncing: Vec<String>,
    /// The newest merged print of each lane, how many followed by one, and how many did not.
    merged: BTreeMap<InstrumentId, u64>,
    steps: [usize; 2],
}

impl Told {
    fn on(&mut self, action: &Action) {
        let event = match action {
            Action::Emit(event) => event,
            Action::Malformed(fault) => return self.malformed.push(fault.to_string()),
            Action::Unknown(name) => return self.unknown.push(name.clone()),
            Action::Control(name) => return *self.control.entry(name).or_default() += 1,
            other => panic!("a recording is not asked: {other:?}"),
        };
        *self.products.entry(event.instrument.product.to_string()).or_default() += 1;
        let id = event.instrument.id;
        match &event.body {
            Body::Lane(model::LaneFact::Syncing(words)) => self.syncing.push(words.to_string()),
            Body::Trade(trade) if event.channel == Channel::AggTrades => {
                let TradeId::Num(number) = trade.id else { panic!("{:?}", trade.id) };
                if let Some(last) = self.merged.insert(id, number) {
                    self.steps[usize::from(number != last + 1)] += 1;
                }
            }
            Body::Quote(quote) => {
                self.quotes.entry(id).or_default().insert(quote.seq.unwrap(), *quote);
            }
            _ => {}
        }
        *self.events.entry(event.channel).or_default() += 1;
        self.books.on(event);
        let Some(held) = self.books.live.get(&id) else { return };
        let quotes = self.quotes.entry(id).or_default();
        if let Some(quote) = held.seq.and_then(|seq| quotes.remove(&seq)) {
            assert_eq!(held.best(), (quote.bid, quote.ask), "{} at {:?}", event.instrument.name, held.seq);
            self.equal += 1;
        }
    }
}

fn replay(files: &[&PathBuf]) -> Told {
    let mut told = Told::default();
    let mut sessions: Vec<Box<dyn Session>> = Vec::new();
    let mut out = Vec::new();
    let all: Vec<(Ts, Line)> = files.iter().flat_map(|file| lines(file)).collect();
    let url = all.iter().find_map(|(_, line)| match line {
        Line::Connect(url) => Some(url.clone()),
        _ => None,
    });
    sessions.push(Binance.session(&Shard { path: url, ..Shard::default() }));
    for (now, line) in &all {
        for session in &mut sessions {
            match line {
                Line::Connect(_) => session.on(Input::Open, *now, &mut out),
                Line::Frame(bytes) => {
                    told.frames += 1;
                    told.bytes += bytes.len();
                    session.on(Input::Frame { bytes, binary: false }, *now, &mut out);
                }
                Line::Reply(path, body) => {
                    let reply = Input::Reply { tag: None, path, status: 200, retry_ms: None, body };
                    session.on(reply, *now, &mut out);
                }
            }
        }
        for action in out.drain(..) {
            told.on(&action);
        }
    }
    told
}

const SETS: &[(&str, &[&str], &str, bool)] = &[
    ("binance-spot", &["hft_btcusdt_20240808.gz", "hft_btcusdt_20240809.gz"], "spot", true),
    ("binance-spot", &["hft_btcusdt_20230405.dat.gz"], "spot", false),
    ("binance-spot", &["cryptofeed_20210405_10sym.txt.zst"], "spot", true),
    ("binance-spot", &["cryptofeed_20211012_4sym.jsonl.zst"], "spot", true),
    ("binance-usdm", &["hft_btcusdt_20230404.dat.gz", "hft_btcusdt_20230405.dat.gz"], "usdm", true),
    ("binance-usdm", &["hft_btcusdt_20240718.gz", "hft_btcusdt_20240719.gz"], "usdm", true),
    ("binance-usdm", &["hft_btcusdt_20240808.gz"], "usdm", true),
    ("binance-usdm", &["cryptofeed_20210722_4sym.jsonl.zst"], "usdm", true),
    ("binance-coinm", &["hft_btcusd_perp_20240808.gz", "hft_btcusd_perp_20240809.gz"], "coinm", true),
    ("binance-coinm", &["cryptofeed_20210722_10sym.jsonl.zst"], "coinm", true),
];

#[test]
fn every_frame_is_read_every_chain_is_whole_and_every_quote_agrees() {
    let Some(root) = root() else { return };
    for (folder, names, product, with_book) in SETS {
        let files: Vec<PathBuf> = names.iter().map(|name| root.join(folder).join(name)).collect();
        if !files.iter().all(|file| file.exists()) {
            println!("skipped: {folder}/{names:?} is not there");
            continue;
        }
        let told = replay(&files.iter().collect::<Vec<_>>());
        println!(
            "{folder}/{}: {} frames, {} snapshots, {} deltas, {} quotes equal, {:?} {:?}",
            names.join("+"),
            told.frames,
            told.books.snapshots,
            told.books.deltas,
            told.equal,
            told.events,
            told.control,
        );
        assert_eq!((told.malformed.first(), &told.books.gaps), (None, &Vec::new()), "{folder}/{names:?}");
        assert_eq!(told.steps[1], 0, "{folder}/{names:?}: {} merged prints follow by one", told.steps[0]);
        assert_eq!(told.unknown, Vec::<String>::new(), "{folder}/{names:?}");
        assert_eq!(told.products.keys().collect::<Vec<_>>(), [product], "{folder}/{names:?}");
        assert_eq!(told.books.snapshots > 0, *with_book, "{folder}/{names:?}: {:?}", told.syncing);
        assert_eq!(told.equal > 0, *with_book, "{folder}/{names:?}");
    }
}

#[test]
fn single_messages_of_other_collections_are_read() {
    let Some(root) = root() else { return };
    for name in ["crypto-msg-parser.jsonl.zst", "tardis-node-mappers.jsonl.zst"] {
        let path = root.join("samples").join(name);
        if !path.exists() {
            println!("skipped: samples/{name} is not there");
            continue;
        }
        let (mut read, mut out) = (0, Vec::new());
        for line in text(&path).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let (venue, msg) = (value["venue"].as_str().unwrap(), value["msg"].as_str().unwrap());
            if !venue.starts_with("binance") || venue.contains("option") || value["test"] == "ticker::option"
            {
                continue;
            }
            let mut session = Binance.session(&Shard::default());
            let before = out.len();
            if msg.contains("\"stream\"") {
                session.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(1), &mut out);
            } else {
                let body = msg.as_bytes();
                session.on(
                    Input::Reply { tag: None, path: "", status: 200, retry_ms: None, body },
                    Ts(1),
                    &mut out,
                );
            }
            read += 1;
            for action in &out[before..] {
                // A merged print of 2019 without an id.
                let old = msg.contains("1568693103463") && msg.contains("aggTrade");
                assert!(old || !matches!(action, Action::Malformed(_)), "{msg}: {action:?}");
            }
        }
        let unknown: Vec<_> = out.iter().filter(|a| matches!(a, Action::Unknown(_))).collect();
        println!("{name}: {read} messages, {} actions, {unknown:?}", out.len());
    }
}
