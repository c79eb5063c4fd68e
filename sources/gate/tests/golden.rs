//! Fixtures give the events that stand in `fixtures/golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use gate::Gate;
use model::{Body, Event, Ts};
use source::{Action, Input, Session, Shard, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NOW: Ts = Ts::from_ms(1_760_000_100_000);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A frame, or a path with the answer to it.
fn feed(session: &mut dyn Session, line: &str, out: &mut Vec<Action>) {
    let input = match line.split_once(" {") {
        Some((path, _)) if path.contains("/api/v4/") => {
            let body = &line.as_bytes()[path.len() + 1..];
            Input::Reply { tag: None, path, status: 200, retry_ms: None, body }
        }
        _ => Input::Frame { bytes: line.as_bytes(), binary: false },
    };
    session.on(input, NOW, out);
}

fn event(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.0.to_string());
    let scales = match body {
        Body::Instrument => format!(" px_scale {} qty_scale {}", instrument.px_scale, instrument.qty_scale),
        _ => String::new(),
    };
    format!("{} {} {at} {body:?}{scales}", channel.name(), instrument.name)
}

fn told(name: &str) -> String {
    let mut session = Gate.session(&Shard::default());
    let mut text = String::new();
    for (n, line) in lines(name).iter().enumerate() {
        let mut out = Vec::new();
        feed(session.as_mut(), line, &mut out);
        for action in out {
            let _ = match action {
                Action::Emit(one) => writeln!(text, "{} {}", n + 1, event(&one)),
                other => writeln!(text, "{} {other:?}", n + 1),
            };
        }
    }
    text
}

#[test]
fn fixtures_give_their_events() {
    for name in ["frames", "books", "control"] {
        let path = folder().join("golden").join(format!("{name}.txt"));
        let told = told(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(folder().join("golden")).unwrap();
            std::fs::write(&path, &told).unwrap();
        }
        assert_eq!(told, std::fs::read_to_string(&path).unwrap(), "{name}");
    }
}

#[test]
fn frames_cut_at_every_byte_give_no_event_that_the_whole_frame_does_not() {
    for name in ["frames", "books"] {
        for line in lines(name).iter().filter(|line| line.starts_with('{')) {
            let run = |bytes: &[u8]| {
                let (mut session, mut out) = (Gate.session(&Shard::default()), Vec::new());
                session.on(Input::Frame { bytes, binary: false }, NOW, &mut out);
                out
            };
            let whole = run(line.as_bytes());
            for cut in 0..line.len() {
                let part = run(&line.as_bytes()[..cut]);
                assert!(part.iter().any(|a| matches!(a, Action::Malformed(_))), "{line} cut at {cut}");
                for action in part.iter().filter(|a| matches!(a, Action::Emit(_))) {
                    assert!(whole.iter().any(|w| same(w, action)), "{line} cut at {cut}: {action:?}");
                }
            }
        }
    }
}

/// The same event, but for the venue's time of sending, which may stand after the cut.
fn same(a: &Action, b: &Action) -> bool {
    let (Action::Emit(a), Action::Emit(b)) = (a, b) else { return false };
    (a.channel, &a.instrument.id, &a.body) == (b.channel, &b.instrument.id, &b.body)
}
