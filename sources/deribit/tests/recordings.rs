//! Recorded connections, where there are any: every frame is read, every book is an unbroken chain and never crossed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use deribit::Deribit;
use model::{Body, Channel, Ts};
use source::pair::Books;
use source::{Action, Input, Shard, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One thing that a recording holds.
enum Line {
    Connect,
    Frame { ts: Ts, bytes: Vec<u8> },
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

fn seconds(text: &str) -> Option<Ts> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(Ts(whole.parse::<i64>().ok()? * 1_000_000_000 + nanos))
}

/// `1617644856.899453: {"jsonrpc":"2.0",…}`, `wss://host/path <-> 1617644856.5`, and `… <- …:` for what was sent.
fn text_line(line: &str) -> Option<Line> {
    if line.starts_with("wss://") {
        return line.contains(" <-> ").then_some(Line::Connect);
    }
    let (ts, rest) = line.split_once(": ")?;
    Some(Line::Frame { ts: seconds(ts)?, bytes: rest.into() })
}

/// `{"t":"recv","ts":1626993723.8,"conn":"…","data":"…"}`
fn json_line(line: &str) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let ts = || seconds(&value["ts"].to_string()).unwrap();
    match text("t").as_str() {
        "connect" => Some(Line::Connect),
        "recv" => Some(Line::Frame { ts: ts(), bytes: text("data").into() }),
        "http" => Some(Line::Reply { ts: ts(), url: text("url"), body: text("data").into() }),
        _ => None,
    }
}

fn lines(path: &Path) -> Vec<Line> {
    let read = if path.to_string_lossy().ends_with(".jsonl.zst") { json_line } else { text_line };
    text(path).lines().filter_map(read).collect()
}

/// What a recording gave.
#[derive(Default, Debug)]
struct Count {
    frames: usize,
    events: BTreeMap<&'static str, usize>,
    unknown: Vec<String>,
}

fn read(path: &Path) -> Count {
    let mut count = Count::default();
    let mut session = Deribit.session(&Shard::default());
    let mut books = Books::default();
    for line in lines(path) {
        let mut out = Vec::new();
        match &line {
            Line::Connect => session.on(Input::Open, Ts(0), &mut out),
            Line::Frame { ts, bytes } => {
                count.frames += 1;
                assert!(
                    Deribit.recognises(None, bytes) || !bytes.starts_with(b"{\"jsonrpc\":\"2.0\",\"method")
                );
                session.on(Input::Frame { bytes, binary: false }, *ts, &mut out);
                assert!(!out.is_empty(), "{}", String::from_utf8_lossy(bytes));
            }
            Line::Reply { ts, url, body } => {
                session.on(
                    Input::Reply { tag: None, path: url, status: 200, retry_ms: None, body },
                    *ts,
                    &mut out,
                );
            }
        }
        for action in out {
            match action {
                Action::Emit(event) => {
                    *count.events.entry(event.channel.name()).or_default() += 1;
                    books.on(&event);
                    if let (Channel::Book, Some(held)) = (event.channel, books.live.get(&event.instrument.id))
                    {
                        assert!(!held.is_crossed(), "{} is crossed", event.instrument.name);
                    }
                    assert!(!matches!(event.body, Body::Gap(_)), "a gap of {}", event.instrument.name);
                }
                Action::Malformed(fault) => panic!("{fault}"),
                Action::Unknown(name) => count.unknown.push(name),
                Action::Control(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    println!(
        "{}: {} frames, {} snapshots, {} deltas, {count:?}",
        path.display(),
        count.frames,
        books.snapshots,
        books.deltas
    );
    count
}

#[test]
fn every_recorded_frame_is_read_and_every_chain_is_unbroken() {
    for path in files("deribit") {
        let count = read(&path);
        assert!(count.frames > 0 && count.events.contains_key("book"), "{}", path.display());
        assert_eq!(count.unknown, Vec::<String>::new());
    }
}

/// Single frames of other programs' tests, each on a connection of its own.
#[test]
fn every_sample_gives_its_kind_of_event() {
    let mut seen = 0;
    for path in files("samples") {
        for line in text(&path).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let msg = value["msg"].as_str().unwrap_or_default();
            let named = value["venue"] == "deribit" && msg.starts_with('{');
            if !named {
                let url = value["venue"].as_str().unwrap_or_default() != "deribit";
                assert!(!url || !Deribit.recognises(None, msg.as_bytes()), "{line}");
                continue;
            }
            let mut session = Deribit.session(&Shard::default());
            let mut out = Vec::new();
            session.on(Input::Frame { bytes: msg.as_bytes(), binary: false }, Ts(0), &mut out);
            assert!(!out.iter().any(|a| matches!(a, Action::Malformed(_))), "{msg}: {out:?}");
            let kinds: Vec<Channel> = out
                .iter()
                .filter_map(|a| match a {
                    Action::Emit(event) => Some(event.channel),
                    _ => None,
                })
                .collect();
            let frame: serde_json::Value = serde_json::from_str(msg).unwrap();
            let channel = frame["params"]["channel"].as_str().unwrap_or_default();
            let expected = match channel.split('.').next().unwrap_or_default() {
                "trades" => Some(Channel::Trades),
                "book" if channel.matches('.').count() == 4 => Some(Channel::BookTop),
                "book" => Some(Channel::Book),
                "quote" => Some(Channel::Quote),
                "ticker" => Some(Channel::MarkPrice),
                "chart" => Some(Channel::Bars),
                "perpetual" => Some(Channel::Funding),
                "deribit_price_index" => Some(Channel::IndexPrice),
                "deribit_volatility_index" => Some(Channel::VolatilityIndex),
                _ => None,
            };
            let said = out.iter().any(|a| matches!(a, Action::Control(_) | Action::Unknown(_)));
            let fine = expected.map_or(said, |expected| kinds.contains(&expected));
            assert!(fine, "{channel}: {msg}: {out:?}");
            seen += 1;
        }
        println!("{}: {seen} samples", path.display());
    }
}
