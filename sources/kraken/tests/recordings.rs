//! Recorded connections, where there are any: every frame is read, every checksum matches the rebuilt book, every number
//! follows the one before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use book::{Book, Checksummer};
use kraken::Kraken;
use model::{Body, Channel, Instrument, InstrumentId, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that a recording holds.
enum Line {
    Connect(String),
    Frame(Ts, Vec<u8>),
    Reply(Ts, String, Vec<u8>),
}

fn files(folders: &[&str]) -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return Vec::new();
    };
    let mut all = Vec::new();
    for folder in folders {
        let Ok(dir) = std::fs::read_dir(Path::new(&root).join(folder)) else { continue };
        all.extend(dir.map(|entry| entry.unwrap().path()));
    }
    all.sort();
    all
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let packed = path.extension().is_some_and(|e| e == "zst");
    String::from_utf8(if packed { zstd::decode_all(bytes.as_slice()).unwrap() } else { bytes }).unwrap()
}

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1617666423.6: {…}` came; `wss://host <-> 1617666422.6` is a connection; `wss://host <- …` was sent.
fn text_line(line: &str) -> Option<Line> {
    if let Some((url, _)) = line.split_once(" <-> ") {
        return Some(Line::Connect(url.to_owned()));
    }
    let (ts, rest) = line.split_once(": ")?;
    Some(Line::Frame(seconds(ts)?, rest.into()))
}

fn json_line(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let ts = Ts((value["ts"].as_f64().unwrap_or_default() * 1e9) as i64);
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match text("t").as_str() {
        "connect" => Some(Line::Connect(text("addr"))),
        "recv" => Some(Line::Frame(ts, text("data").into())),
        "http" => Some(Line::Reply(ts, text("url"), text("data").into())),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    controls: BTreeMap<&'static str, usize>,
    malformed: Vec<String>,
    unknown: BTreeSet<String>,
    right: usize,
    wrong: usize,
    numbered: usize,
    crossed: usize,
    gaps: usize,
}

struct Reader {
    session: Box<dyn Session>,
    books: BTreeMap<InstrumentId, (Arc<Instrument>, Book, Checksummer)>,
    trades: BTreeMap<InstrumentId, u64>,
    tally: Tally,
}

impl Reader {
    fn new() -> Self {
        let session = Kraken.session(&Shard::default());
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
                Action::Control(what) => *self.tally.controls.entry(what).or_default() += 1,
                other => panic!("a recording asks for nothing: {other:?}"),
            }
        }
    }

    fn event(&mut self, event: &model::Event) {
        *self.tally.events.entry(event.channel.name()).or_default() += 1;
        let instrument = &event.instrument;
        if let Body::Trade(trade) = &event.body
            && let model::TradeId::Num(id) = trade.id
            && let Some(last) = self.trades.insert(instrument.id, id)
        {
            assert_eq!(id, last + 1, "trades of {} count by one", instrument.name);
        }
        if event.channel != Channel::Book {
            return;
        }
        let empty = || (Arc::clone(instrument), Book::default(), Checksummer::default());
        let (known, book, sums) = self.books.entry(instrument.id).or_insert_with(empty);
        if !Arc::ptr_eq(known, instrument) {
            assert!(book.redefine(known, instrument));
            *known = Arc::clone(instrument);
        }
        let sum = match &event.body {
            Body::Snapshot(snapshot) => {
                let (bids, asks) = (snapshot.levels.bids(), snapshot.levels.asks());
                assert!(
                    bids.windows(2).all(|w| w[0].px > w[1].px) && asks.windows(2).all(|w| w[0].px < w[1].px)
                );
                book.reset(snapshot);
                snapshot.checksum
            }
            Body::Delta(delta) => {
                assert_eq!(delta.prev_seq, book.seq(), "a delta follows the state before it");
                self.tally.numbered += usize::from(delta.prev_seq.is_some());
                book.apply(delta).unwrap();
                delta.checksum
            }
            Body::Gap(_) => {
                self.tally.gaps += 1;
                book.clear();
                return;
            }
            _ => return,
        };
        self.tally.crossed += usize::from(book.is_crossed());
        if let Some(sum) = sum {
            let same = sums.of(book, sum.kind, instrument.px_scale, instrument.qty_scale) == sum.value;
            *(if same { &mut self.tally.right } else { &mut self.tally.wrong }) += 1;
        }
    }

    fn read(&mut self, lines: impl Iterator<Item = Line>) {
        for line in lines {
            match line {
                Line::Connect(url) => {
                    assert!(Kraken.recognises(Some(&url), b""), "{url}");
                    self.on(Input::Open, Ts(0), "open");
                }
                Line::Frame(ts, bytes) => {
                    self.tally.frames += 1;
                    let place = String::from_utf8_lossy(&bytes).into_owned();
                    self.on(Input::Frame { bytes: &bytes, binary: false }, ts, &place);
                }
                Line::Reply(ts, url, body) => {
                    self.on(
                        Input::Reply { tag: None, path: &url, status: 200, retry_ms: None, body: &body },
                        ts,
                        &url,
                    );
                }
            }
        }
    }
}

fn clean(reader: &Reader) {
    let tally = &reader.tally;
    assert_eq!(tally.malformed, Vec::<String>::new());
    assert_eq!(tally.unknown, BTreeSet::new());
    assert_eq!((tally.wrong, tally.crossed, tally.gaps), (0, 0, 0));
}

#[test]
fn every_recorded_frame_is_read_and_every_book_is_proven() {
    for path in files(&["kraken", "kraken-futures"]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|e| e != "zst") {
            continue;
        }
        let mut reader = Reader::new();
        let all = text(&path);
        let read = if name.contains(".jsonl") { json_line } else { text_line };
        reader.read(all.lines().filter_map(read));
        println!("{name}: {:#?}", reader.tally);
        clean(&reader);
        let tally = &reader.tally;
        assert!(tally.frames > 0);
        let changes = tally.frames - tally.controls.values().sum::<usize>();
        if name.contains("book") {
            let snapshots = reader.books.len();
            assert!(tally.right > 0 && tally.right + snapshots == changes, "every change has a checksum");
        }
        if path.to_string_lossy().contains("futures") {
            assert!(tally.numbered > 0 && tally.right == 0);
        }
    }
}

/// A recording of the stream in force that lost the digits of its numbers: the checksums say which they were.
#[test]
fn the_book_of_the_stream_in_force_is_proven_without_a_definition() {
    for path in files(&["kraken"]) {
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let all: serde_json::Value = serde_json::from_str(&text(&path)).unwrap();
        let updates = all["updates"].as_array().unwrap();
        let frames = std::iter::once(&all["init"]).chain(updates);
        let mut reader = Reader::new();
        reader.read(frames.map(|frame| Line::Frame(Ts(1), frame.to_string().into_bytes())));
        println!("{}: {:#?}", path.display(), reader.tally);
        clean(&reader);
        assert_eq!(reader.tally.right, updates.len() + 1);
        let (_, book, _) = reader.books.values().next().unwrap();
        assert!(book.bids().count() <= 10 && book.asks().count() <= 10);
    }
}

#[test]
fn single_frames_of_other_people_give_the_right_kinds() {
    for path in files(&["samples"]) {
        for (n, line) in text(&path).lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let part = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let (venue, msg, test) = (part("venue"), part("msg"), part("test"));
            if !venue.starts_with("kraken") {
                assert!(!Kraken.recognises(None, msg.as_bytes()), "{venue} line {n}: {msg}");
                continue;
            }
            let mut reader = Reader::new();
            reader.read(std::iter::once(Line::Frame(Ts(1), msg.clone().into_bytes())));
            let tally = &reader.tally;
            assert_eq!(tally.malformed, Vec::<String>::new(), "{msg}");
            let is = |channel: Channel| tally.events.contains_key(channel.name());
            let rest = msg.contains(r#""error":[]"#) || msg.contains(r#""orderBook""#);
            assert!(rest || Kraken.recognises(None, msg.as_bytes()), "{msg}");
            let expected = match () {
                () if rest => !tally.unknown.is_empty(),
                () if test.starts_with("trade") || msg.contains(r#""trade""#) => is(Channel::Trades),
                () if msg.contains("book_snapshot") || msg.contains(r#""as""#) => is(Channel::Book),
                () if msg.contains(r#""book"#) => {
                    tally.controls.contains_key("a change of a book that waits for its snapshot")
                }
                () if msg.contains("spread") => is(Channel::Quote),
                () if msg.contains("ticker") => is(Channel::DayStats) && is(Channel::Quote),
                () => false,
            };
            assert!(expected, "{msg}: {tally:?}");
            assert!(!msg.contains("liquidation") || is(Channel::Liquidations), "{msg}");
        }
    }
}
