//! What recorded answers tell, for the goldens of sources, and what becomes of damaged ones.
//!
//! A fixture's first line is the path that was asked, the rest is the answer.

use crate::ashare::{Market, View};
use crate::pair::Pair;
use crate::{Action, Input, Options, Session, Shard, SimSetup, Source};
use model::ashare::{Board, Code, Market as Exchange};
use model::{Body, Channel, DayStats, Decimal, Event, Level, Px, Ts};
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

/// Lets sessions that want `channels` of everything hear a source's simulator for `ms`, and holds every quote against the
/// market behind it at the instant that it tells of. `lot` tells how many shares of a
/// board the source counts as one, rounded down. Gives all events.
pub fn quotes_are_the_markets(
    source: &'static dyn Source,
    setup: &SimSetup,
    channels: &[Channel],
    (ms, lot): (u64, fn(Board) -> u32),
) -> Vec<Event> {
    let mut pair = Pair::new(source, setup, channels, &Options::default());
    pair.seen.keep = true;
    pair.run_ms(ms);
    assert_eq!(pair.seen.malformed, 0, "answers of its own simulator");
    assert!(pair.seen.closes.is_empty(), "{:?}", pair.seen.closes);
    let (mut market, clock) = Market::of(setup);
    let mut events = std::mem::take(&mut pair.seen.kept);
    // An answer is as old as its way was long.
    let at = |event: &Event| {
        let asked = Ts(event.stamp.ts_recv.0 - i64::try_from(pair.answer_ms).unwrap_or(0) * 1_000_000);
        event.stamp.ts_event.unwrap_or_else(|| clock.market(asked))
    };
    events.sort_by_key(at);
    for event in &events {
        let venue = Exchange::parse(&event.instrument.venue);
        let code = venue.and_then(|venue| Code::new(venue, &event.instrument.symbol));
        let Some(place) = code.and_then(|code| market.find(code)) else { continue };
        market.advance(at(event));
        let Some(view) = market.view(place) else { panic!("{} has no view", event.instrument.name) };
        let lot = market.listed().get(place).map_or(1, |one| i64::from(lot(one.section.board)));
        match &event.body {
            Body::DayStats(stats) => day(event, stats, &view, lot),
            Body::Snapshot(book) => {
                let same = |told: &[Level], true_ones: &[Level], side: &str| {
                    for (told, level) in told.iter().zip(true_ones) {
                        let qty = level.qty.0 / lot * lot;
                        assert_eq!(
                            (told.px, told.qty.0),
                            (level.px, qty),
                            "{side} of {event:?}, but {view:?}"
                        );
                    }
                    assert_eq!(told.is_empty(), true_ones.is_empty(), "{side} of {event:?}, but {view:?}");
                };
                same(book.levels.bids(), &view.bids, "bids");
                same(book.levels.asks(), &view.asks, "asks");
            }
            _ => {}
        }
    }
    events
}

fn day(event: &Event, stats: &DayStats, view: &View, lot: i64) {
    let scale = event.instrument.px_scale;
    let px = |px: Px| Decimal::new(px.0.into(), scale);
    let sums = |qty: i64| Decimal::new((qty / lot * lot).into(), 0);
    let told = [stats.open, stats.high, stats.low, stats.last, stats.prev_close];
    let true_ones = [view.open, view.high, view.low, view.last, Some(view.prev_close)];
    assert_eq!(told, true_ones.map(|one| one.map(px)), "{event:?}, but {view:?}");
    assert_eq!(stats.volume.unwrap_or_default(), sums(view.volume), "{event:?}, but {view:?}");
    assert_eq!(
        stats.turnover.unwrap_or_default(),
        Decimal::new(view.amount.into(), scale),
        "{event:?}, but {view:?}"
    );
    if let (Some(down), Some(up)) = (stats.limit_down, stats.limit_up) {
        assert_eq!(Some((down, up)), view.limits.map(|(down, up)| (px(down), px(up))), "{event:?}");
    }
    if let (Some(bought), Some(sold)) = (stats.buy_volume, stats.sell_volume) {
        assert_eq!((bought, sold), (sums(view.bought), sums(view.sold)), "{event:?}");
    }
}
