//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use kraken::Kraken;
use model::{Event, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn fixtures() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder("fixtures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn inputs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let body = std::fs::read(path).unwrap();
    match path.file_name().and_then(|n| n.to_str()) {
        Some("rest_assetpairs.json") => vec![("https://api.kraken.com/0/public/AssetPairs".to_owned(), body)],
        Some("rest_instruments.json") => vec![("/derivatives/api/v3/instruments".to_owned(), body)],
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
    session.on(input, Ts(1_788_264_010_000_000_000), out);
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.0.to_string());
    let mut text = format!("{} {} {at} {body:?}", channel.name(), instrument.name);
    if matches!(body, model::Body::Instrument) {
        let _ = write!(
            text,
            " px_scale {} qty_scale {} contract {:?} {:?}{}",
            instrument.px_scale,
            instrument.qty_scale,
            instrument.contract_size.map(|d| d.to_string()),
            instrument.status,
            if instrument.provisional { " provisional" } else { "" }
        );
    }
    text
}

#[test]
fn every_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    for path in fixtures() {
        let mut session = Kraken.session(&Shard::default());
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

/// Data, as opposed to what is said of lanes, definitions and gaps.
fn is_data(action: &Action) -> bool {
    let stands =
        |e: &Event| matches!(e.body, model::Body::Gap(_) | model::Body::Lane(_) | model::Body::Instrument);
    matches!(action, Action::Emit(event) if !stands(event))
}

#[test]
fn a_frame_cut_anywhere_gives_no_data_and_is_complained_about() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            for cut in 0..bytes.trim_ascii_end().len() {
                let mut session = Kraken.session(&Shard::default());
                let mut out = Vec::new();
                feed(&mut *session, &url, &bytes[..cut], &mut out);
                let text = String::from_utf8_lossy(&bytes[..cut]);
                assert!(out.iter().any(|a| matches!(a, Action::Malformed(_))), "{text}");
                assert!(!out.iter().any(is_data), "{text}");
            }
        }
    }
}

#[test]
fn a_changed_byte_never_panics_and_never_makes_a_frame_into_two() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let mut session = Kraken.session(&Shard::default());
            let mut out = Vec::new();
            for at in 0..bytes.len().min(2_000) {
                for byte in [0, b'"', b'}', b']', b'9', b'-', b'e', 0xff] {
                    let mut broken = bytes.clone();
                    broken[at] = byte;
                    out.clear();
                    feed(&mut *session, &url, &broken, &mut out);
                    assert!(!out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. })));
                }
            }
        }
    }
}

#[test]
fn garbage_never_panics_and_asks_for_nothing_endless() {
    let mut rng = fastrand::Rng::with_seed(9);
    let words: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"channel\":",
        b"\"data\":",
        b"\"book\"",
        b"\"feed\":",
        b"\"seq\":",
        b"1e9",
        b"\\",
        b",",
        b":",
        b"null",
        b"\"XBT/USD\"",
        b"\"method\":",
    ];
    let mut session = Kraken.session(&Shard::default());
    let mut unknown = 0;
    for round in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(0..24) {
            if round % 2 == 0 {
                bytes.push(rng.u8(..));
            } else {
                bytes.extend_from_slice(words[rng.usize(0..words.len())]);
            }
        }
        let (mut out, now) = (Vec::new(), Ts(round));
        session.on(Input::Frame { bytes: &bytes, binary: rng.bool() }, now, &mut out);
        for path in ["", "/0/public/AssetPairs", "/derivatives/api/v3/instruments"] {
            let tag = rng.bool().then_some(round as u64);
            session.on(Input::Reply { tag, path, status: 200, retry_ms: None, body: &bytes }, now, &mut out);
        }
        unknown += out.iter().filter(|a| matches!(a, Action::Unknown(_))).count();
        assert!(!out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. }) || is_data(a)));
    }
    assert!(unknown <= 256);
}
