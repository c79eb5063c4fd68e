//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bybit::Bybit;
use model::{Body, Event, Ts};
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
    match path.file_stem().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("rest_")) {
        Some("ratio") => {
            vec![("/v5/market/account-ratio?category=linear&symbol=BTCUSDT&period=5min".to_owned(), body)]
        }
        Some(product) => vec![(format!("/v5/market/instruments-info?category={product}"), body)],
        None => {
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
    if matches!(body, Body::Instrument) {
        let (px, qty) = (instrument.px_scale, instrument.qty_scale);
        let _ = write!(text, " px_scale {px} qty_scale {qty} {:?}", instrument.status);
    }
    text
}

#[test]
fn every_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    for path in fixtures() {
        let mut session = Bybit.session(&Shard::default());
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

/// Everything but words about a subscription and gaps is an event of data.
fn data(out: &[Action]) -> Vec<&Event> {
    let is_data = |a: &Action| match a {
        Action::Emit(e) => !matches!(e.body, Body::Lane(_) | Body::Gap(_) | Body::Instrument),
        _ => false,
    };
    out.iter()
        .filter(|a| is_data(a))
        .filter_map(|a| if let Action::Emit(e) = a { Some(e) } else { None })
        .collect()
}

#[test]
fn a_frame_cut_anywhere_gives_no_event_and_a_complaint() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let whole = bytes.trim_ascii().len();
            for cut in 0..whole {
                let mut session = Bybit.session(&Shard::default());
                let mut out = Vec::new();
                feed(&mut *session, &url, &bytes[..cut], &mut out);
                let said = out.iter().any(|a| matches!(a, Action::Malformed(_)));
                assert!(said, "{}: {out:?}", String::from_utf8_lossy(&bytes[..cut]));
                assert_eq!(data(&out), Vec::<&Event>::new(), "{}", String::from_utf8_lossy(&bytes[..cut]));
            }
        }
    }
}

#[test]
fn changed_bytes_and_noise_never_panic_and_ask_for_nothing() {
    let mut rng = fastrand::Rng::with_seed(5);
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let mut session = Bybit.session(&Shard::default());
            let mut out = Vec::new();
            for at in 0..bytes.len() {
                for byte in [0, b'"', b'}', b']', b'9', b'-', b'\\', 0xff] {
                    let mut broken = bytes.clone();
                    broken[at] = byte;
                    out.clear();
                    feed(&mut *session, &url, &broken, &mut out);
                    assert!(!out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. })));
                }
            }
            for _ in 0..200 {
                let noise: Vec<u8> = (0..rng.usize(0..80)).map(|_| rng.u8(..)).collect();
                out.clear();
                feed(&mut *session, &url, &noise, &mut out);
                assert_eq!(data(&out), Vec::<&Event>::new());
            }
        }
    }
}
