//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use model::{Event, Ts};
use okx::Okx;
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
        Some("rest_instruments.json") => vec![("/api/v5/public/instruments?instType=SPOT".to_owned(), body)],
        Some("rest_ratio.json") => {
            let path = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract?instId=BTC-USDT-SWAP";
            // What was told once is not told again.
            vec![(path.to_owned(), body.clone()), (path.to_owned(), body)]
        }
        Some("rest_books.json") => vec![("/api/v5/market/books?instId=BTC-USDT&sz=400".to_owned(), body)],
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
    session.on(input, Ts(1_760_000_100_000_000_000), out);
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
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
        let mut session = Okx.session(&Shard::default());
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
fn truncated_and_flipped_fixtures_never_panic_and_never_read_as_whole() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let mut session = Okx.session(&Shard::default());
            let mut out = Vec::new();
            for cut in 0..bytes.len() {
                out.clear();
                feed(&mut *session, &url, &bytes[..cut], &mut out);
                let whole = bytes[..cut].trim_ascii().len() == bytes.trim_ascii().len();
                let said = out.iter().any(|a| matches!(a, Action::Malformed(_) | Action::Control(_)));
                assert!(said || whole || bytes.len() < 20, "{}", String::from_utf8_lossy(&bytes[..cut]));
            }
            for at in 0..bytes.len() {
                for byte in [0, b'"', b'}', b']', b'9', b'-', 0xff] {
                    let mut broken = bytes.clone();
                    broken[at] = byte;
                    out.clear();
                    feed(&mut *session, &url, &broken, &mut out);
                }
            }
        }
    }
}

#[test]
fn garbage_never_panics_and_asks_for_nothing_endless() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = [
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b"\"arg\":",
        b"\"data\":",
        b"\"books\"",
        b"1e9",
        b"\\",
        b",",
        b":",
        b"null",
    ];
    let mut session = Okx.session(&Shard::default());
    let mut unknown = 0;
    for round in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..next() % 24 {
            if round % 2 == 0 {
                bytes.push(next() as u8);
            } else {
                bytes.extend_from_slice(words[(next() % words.len() as u64) as usize]);
            }
        }
        let mut out = Vec::new();
        let now = Ts(round);
        session.on(Input::Frame { bytes: &bytes, binary: next() % 2 == 0 }, now, &mut out);
        session.on(
            Input::Reply { tag: Some(next()), path: "", status: 200, retry_ms: None, body: &bytes },
            now,
            &mut out,
        );
        session.on(
            Input::Reply {
                tag: Some(next()),
                path: "/api/v5/market/books",
                status: 200,
                retry_ms: None,
                body: &bytes,
            },
            now,
            &mut out,
        );
        unknown += out.iter().filter(|a| matches!(a, Action::Unknown(_))).count();
        assert!(!out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. } | Action::Emit(_))));
    }
    assert!(unknown <= 256);
}
