//! Fixtures, a payload a line, give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use model::{Event, Ts};
use push::Push;
use source::{Action, Input, Shard, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NOW: Ts = Ts::from_ms(1_775_804_392_000);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn fixtures() -> Vec<(PathBuf, Vec<Vec<u8>>)> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder("fixtures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    let payloads = |path: &PathBuf| std::fs::read_to_string(path).unwrap().lines().map(Into::into).collect();
    all.into_iter().map(|path| (path.clone(), payloads(&path))).collect()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_le_bytes(), payload].concat()
}

/// What a session does with these frames, and when it closes: few records are believed only then.
fn done(frames: &[Vec<u8>]) -> Vec<Action> {
    let mut session = Push.session(&Shard::default());
    let mut out = Vec::new();
    session.on(Input::Open, NOW, &mut out);
    for bytes in frames {
        session.on(Input::Frame { bytes, binary: true }, NOW, &mut out);
    }
    session.on(Input::Closed, NOW, &mut out);
    out
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
    let title = if matches!(body, model::Body::Instrument) { &*instrument.title } else { "" };
    format!("{} {} {at} {body:?} {title}", channel.name(), instrument.name)
}

#[test]
fn every_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    for (path, payloads) in fixtures() {
        let mut text = String::new();
        for payload in payloads {
            for action in done(&[framed(&payload)]) {
                match action {
                    Action::Emit(e) => writeln!(text, "{}", event(&e).trim_end()).unwrap(),
                    Action::WakeAt { .. } => {}
                    other => writeln!(text, "{other:?}").unwrap(),
                }
            }
            text.push_str("--\n");
        }
        let golden = folder("golden").join(path.file_name().unwrap());
        if update {
            std::fs::create_dir_all(folder("golden")).unwrap();
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == expected, "{} differs; it is now:\n{text}", golden.display());
    }
}

#[test]
fn truncated_and_flipped_records_never_panic_and_are_never_read_as_whole() {
    for (_, payloads) in fixtures() {
        for payload in payloads {
            for cut in 0..payload.len() {
                let told = done(&[framed(&payload[..cut])]);
                let data = told.iter().any(|a| matches!(a, Action::Emit(_)));
                // The last field may be shorter and still a number; the fields after the layout's are not read.
                let last = payload[cut..].contains(&b'$') || payload.starts_with(b"{");
                assert!(
                    !data || !last || payload.ends_with(b"tail"),
                    "{}",
                    String::from_utf8_lossy(&payload[..cut])
                );
            }
            for at in 0..payload.len() {
                for byte in [0, b'"', b'}', b'$', b'9', b'-', b'\n', 0xff] {
                    let mut broken = framed(&payload);
                    broken[at] = byte;
                    done(&[broken]);
                }
            }
        }
    }
}

#[test]
fn any_bytes_are_cut_into_frames_or_refused_and_never_read_past_their_end() {
    let mut luck = fastrand::Rng::with_seed(7);
    let all: Vec<Vec<u8>> = fixtures().into_iter().flat_map(|(_, payloads)| payloads).collect();
    for _ in 0..2_000 {
        let mut stream = Vec::new();
        for _ in 0..luck.usize(1..5) {
            stream.extend(framed(&all[luck.usize(0..all.len())]));
        }
        for _ in 0..luck.usize(0..4) {
            let at = luck.usize(0..stream.len());
            stream[at] = luck.u8(..);
        }
        let (mut held, mut frames) = (Vec::new(), Vec::new());
        'stream: for part in stream.chunks(luck.usize(1..300)) {
            held.extend_from_slice(part);
            loop {
                match Push.cut(0, source::End::Venue, &held) {
                    Ok(Some(length)) => {
                        assert!((1..=held.len()).contains(&length));
                        let rest = held.split_off(length);
                        frames.push(std::mem::replace(&mut held, rest));
                    }
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
                if held.is_empty() {
                    break;
                }
            }
        }
        done(&frames);
    }
}
