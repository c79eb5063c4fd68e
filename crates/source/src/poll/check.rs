//! What recorded answers tell, for the goldens of sources, and what becomes of damaged ones.
//!
//! A fixture's first line is the path that was asked, the rest is the answer.

use crate::{Action, Input, Session, Shard, Source};
use model::{Body, Event, Ts};
use std::fmt::Write;

/// When the answers of fixtures came: 2026-11-20 10:00 in Beijing.
pub const NOW: Ts = Ts::from_ms(1_795_140_000_000);

fn read(session: &mut dyn Session, path: &str, body: &[u8], out: &mut Vec<Action>) {
    session.on(Input::Reply { tag: None, path, status: 200, retry_ms: None, body }, NOW, out);
}

/// The path and the answer of a fixture.
pub fn fixture(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (path, rest) = bytes.split_at(end);
    (String::from_utf8_lossy(path).into_owned(), rest.get(1..).unwrap_or_default())
}

/// What a session without a shard tells when it hears a fixture's answer, a line each.
pub fn told(source: &dyn Source, bytes: &[u8]) -> String {
    let (path, body) = fixture(bytes);
    let (mut out, mut text) = (Vec::new(), String::new());
    read(source.session(&Shard::default()).as_mut(), &path, body, &mut out);
    for action in out {
        let _ = match action {
            Action::Emit(event) => writeln!(text, "{}", line(&event)),
            Action::Malformed(fault) => writeln!(text, "Malformed {fault}"),
            other => writeln!(text, "{other:?}"),
        };
    }
    text
}

fn line(event: &Event) -> String {
    let Event { instrument, channel, stamp, body, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
    let scales = (instrument.px_scale, instrument.qty_scale);
    let body = match body {
        Body::Snapshot(book) => {
            let side = |levels: &[model::Level]| {
                levels
                    .iter()
                    .map(|level| format!("{}x{}", level.px.0, level.qty.0))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            format!("{scales:?} {} | {}", side(book.levels.bids()), side(book.levels.asks()))
        }
        other => format!("{other:?}"),
    };
    // Numbers as they are read, not as they are kept.
    format!("{} {} {at} {}", channel.name(), instrument.name, plain(&body))
}

/// A body's words with `Decimal { mantissa: 1234, scale: 2 }` as `1234e-2`, and without what is not told.
fn plain(body: &str) -> String {
    let mut text = body.replace("Decimal { mantissa: ", "").replace("Some(", "(");
    for scale in 0..=18 {
        text = text.replace(&format!(", scale: {scale} }}"), &format!("e-{scale}"));
    }
    let parts = text.split(", ").filter(|part| !part.contains(": None"));
    parts.collect::<Vec<_>>().join(", ")
}

/// Answers cut anywhere and with bytes changed are complained about or ignored, and never panic, recorded or live.
pub fn damaged_answers_never_panic(source: &dyn Source, bytes: &[u8]) {
    let (path, body) = fixture(bytes);
    let mut out = Vec::new();
    for cut in (0..body.len()).step_by(1 + body.len() / 400) {
        read(
            source.session(&Shard::default()).as_mut(),
            &path,
            body.get(..cut).unwrap_or_default(),
            &mut out,
        );
        out.clear();
    }
    for at in (0..body.len()).step_by(1 + body.len() / 400) {
        for byte in [0, b'"', b'}', b']', b',', b'~', b'9', b'-', 0x81, 0xff] {
            let mut broken = body.to_vec();
            if let Some(place) = broken.get_mut(at) {
                *place = byte;
            }
            read(source.session(&Shard::default()).as_mut(), &path, &broken, &mut out);
            out.clear();
        }
    }
}
