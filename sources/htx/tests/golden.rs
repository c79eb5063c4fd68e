//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use flate2::Compression;
use flate2::write::GzEncoder;
use htx::Htx;
use model::{Body, Event, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::fmt::Write as _;
use std::io::Write as _;
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

/// URLs of answers and their bodies; frames have no URL.
fn inputs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let body = std::fs::read(path).unwrap();
    let url = match path.file_name().and_then(|n| n.to_str()) {
        Some("rest_symbols.json") => "https://api.huobi.pro/v1/common/symbols",
        Some("rest_contracts.json") => {
            "https://api.hbdm.com/linear-swap-api/v1/swap_contract_info?business_type=all"
        }
        Some("rest_interest.json") => "https://api.hbdm.com/linear-swap-api/v1/swap_open_interest",
        Some("rest_ratio.json") => {
            "https://api.hbdm.com/linear-swap-api/v1/swap_elite_account_ratio?contract_code=BTC-USDT&period=5min"
        }
        _ => {
            let text = String::from_utf8(body).unwrap();
            return text.lines().map(|line| (String::new(), line.as_bytes().to_vec())).collect();
        }
    };
    vec![(url.to_owned(), body)]
}

fn feed(session: &mut dyn Session, url: &str, bytes: &[u8], packed: bool) -> Vec<Action> {
    let mut out = Vec::new();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    let member = encoder.finish().unwrap();
    let input = match (url.is_empty(), packed) {
        (true, true) => Input::Frame { bytes: &member, binary: true },
        (true, false) => Input::Frame { bytes, binary: false },
        _ => Input::Reply { tag: None, path: url, status: 200, retry_ms: None, body: bytes },
    };
    session.on(input, Ts::from_ms(1_760_000_100_000), &mut out);
    out
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
    let mut text = format!("{} {} {at} {body:?}", channel.name(), instrument.name);
    if matches!(body, Body::Instrument) {
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

fn read(path: &Path, packed: bool) -> String {
    let mut session = Htx.session(&Shard::default());
    let mut text = String::new();
    for (url, bytes) in inputs(path) {
        for action in feed(&mut *session, &url, &bytes, packed) {
            let line = match action {
                Action::Emit(e) => event(&e),
                other => format!("{other:?}"),
            };
            let _ = writeln!(text, "{line}");
        }
        text.push_str("--\n");
    }
    text
}

#[test]
fn every_fixture_gives_its_golden_events_packed_or_not() {
    let update = std::env::var_os("UPDATE").is_some();
    for path in fixtures() {
        let text = read(&path, false);
        assert_eq!(text, read(&path, true));
        let golden = folder("golden").join(path.file_stem().unwrap()).with_extension("txt");
        if update {
            std::fs::create_dir_all(folder("golden")).unwrap();
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == expected, "{} differs; it is now:\n{text}", golden.display());
    }
}

/// What a frame says of the market, gaps and lanes left out.
fn data(out: &[Action]) -> Vec<String> {
    let event = |a: &Action| match a {
        Action::Emit(e) if !matches!(e.body, Body::Gap(_) | Body::Lane(_)) => Some(event(e)),
        _ => None,
    };
    out.iter().filter_map(event).collect()
}

#[test]
fn a_frame_cut_anywhere_says_nothing_that_the_whole_does_not_say() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let whole = data(&feed(&mut *Htx.session(&Shard::default()), &url, &bytes, false));
            let mut session = Htx.session(&Shard::default());
            for cut in 0..bytes.len() {
                let out = feed(&mut *session, &url, &bytes[..cut], false);
                let rest = bytes[cut..].trim_ascii();
                let said = out.iter().any(|a| matches!(a, Action::Malformed(_)));
                assert!(said || rest.is_empty(), "{}", String::from_utf8_lossy(&bytes[..cut]));
                // A widened definition is told again only once; what is told is told in the order of the whole.
                let mut all = whole.iter();
                for one in data(&out).iter().filter(|e| !e.contains(" Instrument ")) {
                    assert!(all.any(|w| w == one), "{one} is not in {whole:#?}");
                }
            }
        }
    }
}

#[test]
fn bytes_changed_anywhere_never_panic() {
    for path in fixtures() {
        for (url, bytes) in inputs(&path) {
            let mut session = Htx.session(&Shard::default());
            for at in 0..bytes.len() {
                for byte in [0, b'"', b'}', b']', b'9', b'-', b'E', 0xff] {
                    let mut broken = bytes.clone();
                    broken[at] = byte;
                    feed(&mut *session, &url, &broken, false);
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
    let words: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"ch\":",
        b"\"tick\":",
        b"\"market.x.mbp.150\"",
        b"1e9",
        b"\\",
        b",",
        b":",
        b"null",
        b"\"seqNum\":",
        b"\"rep\":",
        b"\"data\":",
        b"\x1f\x8b\x08\0",
    ];
    let mut session = Htx.session(&Shard::default());
    let mut unknown = 0;
    for round in 0..30_000 {
        let mut bytes = Vec::new();
        for _ in 0..next() % 24 {
            if round % 2 == 0 {
                bytes.push(next() as u8);
            } else {
                bytes.extend_from_slice(words[(next() % words.len() as u64) as usize]);
            }
        }
        for packed in [false, true] {
            let out = feed(&mut *session, "", &bytes, packed);
            unknown += out.iter().filter(|a| matches!(a, Action::Unknown(_))).count();
            assert!(!out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. })));
        }
        feed(&mut *session, "/swap-api/v1/swap_open_interest", &bytes, false);
        feed(&mut *session, "/v1/common/symbols", &bytes, false);
    }
    assert!(unknown <= 256);
}
