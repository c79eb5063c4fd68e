//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::{Body, Event, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NOW: Ts = Ts::from_ms(1_760_000_100_000);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder("fixtures")).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// The URL of an answer, or nothing for a frame; and the bytes.
fn inputs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let body = std::fs::read(path).unwrap();
    let reply = |url: &str| vec![(url.to_owned(), body.clone())];
    match path.file_name().and_then(|n| n.to_str()) {
        Some("rest_symbols.json") => reply("https://api.bitget.com/api/v2/spot/public/symbols"),
        Some("rest_contracts.json") => reply("/api/v2/mix/market/contracts?productType=USDT-FUTURES"),
        _ => {
            let text = String::from_utf8(body).unwrap();
            text.lines().map(|line| (String::new(), line.as_bytes().to_vec())).collect()
        }
    }
}

fn feed(session: &mut dyn Session, url: &str, bytes: &[u8], out: &mut Vec<Action>) {
    let input = if url.is_empty() {
        Input::Frame { bytes, binary: false }
    } else {
        Input::Reply { tag: None, path: url, status: 200, retry_ms: None, body: bytes }
    };
    session.on(input, NOW, out);
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
    let product = &instrument.product;
    let mut text = format!("{} {product} {} {at} {body:?}", channel.name(), instrument.name);
    if matches!(body, Body::Instrument) {
        let (px, qty, status) = (instrument.px_scale, instrument.qty_scale, &instrument.status);
        let _ = write!(text, " px_scale {px} qty_scale {qty} {status:?}");
        text.push_str(if instrument.provisional { " provisional" } else { "" });
    }
    text
}

#[test]
fn every_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    for path in fixtures() {
        let mut session = Bitget.session(&Shard::default());
        let mut text = String::new();
        for (url, bytes) in inputs(&path) {
            let mut out = Vec::new();
            feed(&mut *session, &url, &bytes, &mut out);
            for action in out {
                let line = match action {
                    Action::Emit(e) => event(&e),
                    other => format!("{other:?}"),
                };
                let _ = writeln!(text, "{line}");
            }
            text.push_str("--\n");
        }
        let golden = folder("golden").join(path.file_stem().unwrap()).with_extension("txt");
        if update {
            std::fs::create_dir_all(folder("golden")).unwrap();
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == expected, "{} differs; it is now:\n{text}", golden.display());
    }
}

#[test]
fn listed_definitions_are_exact() {
    for (file, url) in [
        ("rest_symbols.json", "/api/v2/spot/public/symbols"),
        ("rest_contracts.json", "/api/v2/mix/market/contracts?productType=USDT-FUTURES"),
    ] {
        let body = std::fs::read(folder("fixtures").join(file)).unwrap();
        let all = Bitget.define(url, &body).unwrap().unwrap();
        assert!(all.iter().all(|i| !i.provisional && i.tick.is_some() && i.lot.is_some()));
    }
}

#[test]
fn frames_cut_anywhere_are_complained_about_and_give_no_wrong_event() {
    for path in fixtures().into_iter().filter(|p| p.extension().is_some_and(|e| e == "jsonl")) {
        for (url, bytes) in inputs(&path).into_iter().filter(|(_, bytes)| bytes.starts_with(b"{")) {
            let whole = {
                let mut out = Vec::new();
                feed(&mut *Bitget.session(&Shard::default()), &url, &bytes, &mut out);
                bodies(out)
            };
            for cut in 0..bytes.len() {
                let mut out = Vec::new();
                feed(&mut *Bitget.session(&Shard::default()), &url, &bytes[..cut], &mut out);
                let text = String::from_utf8_lossy(&bytes[..cut]).into_owned();
                assert!(out.iter().any(|a| matches!(a, Action::Malformed(_))), "{text}");
                for body in bodies(out) {
                    let gap = matches!(body, Body::Gap(_) | Body::Lane(_));
                    assert!(gap || whole.contains(&body), "{body:?} of {text}");
                }
            }
        }
    }
}

fn bodies(out: Vec<Action>) -> Vec<Body> {
    let body = |action| match action {
        Action::Emit(event) => Some(event.body),
        _ => None,
    };
    out.into_iter().filter_map(body).collect()
}

#[test]
fn changed_bytes_never_panic_and_ask_for_nothing() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let mut session = Bitget.session(&Shard::default());
            let mut out = Vec::new();
            for at in 0..bytes.len() {
                for byte in [0, b'"', b'}', b']', b'9', b'-', 0xff] {
                    let mut broken = bytes.clone();
                    broken[at] = byte;
                    feed(&mut *session, &url, &broken, &mut out);
                    let asks = |a: &Action| matches!(a, Action::Send(_) | Action::Fetch { .. });
                    assert!(!out.iter().any(asks));
                    out.clear();
                }
            }
        }
    }
}

#[test]
fn unknown_names_are_told_once_and_not_without_end() {
    let mut session = Bitget.session(&Shard::default());
    let mut unknown = Vec::new();
    for round in 0..3_000 {
        let frame = format!(
            r#"{{"action":"update","arg":{{"instType":"SPOT","channel":"trade","instId":"BTCUSDT"}},"data":[],"key{}":1}}"#,
            round % 1_000
        );
        let mut out = Vec::new();
        feed(&mut *session, "", frame.as_bytes(), &mut out);
        unknown.extend(out.into_iter().filter_map(|a| match a {
            Action::Unknown(name) => Some(name),
            _ => None,
        }));
    }
    assert_eq!(unknown.len(), 256);
    assert_eq!(unknown[0], "frame.key0");
}
