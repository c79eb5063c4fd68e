//! What a session asks for and says, step by step.

use super::*;
use crate::listing;
use model::{Body, Instrument};
use source::{Fault, Options, Want};
use std::sync::Arc;

mod poll;

const T: Ts = Ts::from_ms(1_760_000_000_000);

fn instruments(n: usize) -> Vec<Arc<Instrument>> {
    (0..n).map(|n| Arc::new(listing::provisional(Product::spot(), &format!("C{n}USDT")))).collect()
}

fn session(wants: &[(usize, Channel)], endpoint: usize, path: Option<&str>) -> BinanceSession {
    let wants = wants.iter().map(|(n, channel)| {
        let symbol = format!("C{n}USDT");
        let product = &PRODUCTS[endpoint];
        Want { instrument: Arc::new(listing::provisional(product, &symbol)), channel: *channel }
    });
    let path = path.map(str::to_owned);
    BinanceSession::new(&Shard { endpoint, path, wants: wants.collect(), options: Options::default() })
}

fn tell(session: &mut BinanceSession, input: Input<'_>, now: Ts) -> Vec<Action> {
    let mut out = Vec::new();
    session.on(input, now, &mut out);
    out
}

fn frame(session: &mut BinanceSession, text: &str, now: Ts) -> Vec<Action> {
    tell(session, Input::Frame { bytes: text.as_bytes(), binary: false }, now)
}

fn answer(session: &mut BinanceSession, tag: u64, status: u16, body: &str, now: Ts) -> Vec<Action> {
    let retry_ms = (status == 429).then_some(7_000);
    let body = body.as_bytes();
    tell(session, Input::Reply { tag: Some(tag), path: "", status, retry_ms, body }, now)
}

fn delta(n: usize, first: u64, last: u64) -> String {
    format!(
        r#"{{"stream":"c{n}usdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"C{n}USDT","U":{first},"u":{last},"b":[["1.5","2"]],"a":[]}}}}"#
    )
}

fn snapshot(id: u64) -> String {
    format!(r#"{{"lastUpdateId":{id},"bids":[["1.4","1"]],"asks":[["1.6","1"]]}}"#)
}

fn words(out: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Emit(event) => match &event.body {
            Body::Lane(LaneFact::Asked { .. }) => format!("{} asked", event.channel.name()),
            Body::Lane(LaneFact::Acked) => format!("{} acked", event.channel.name()),
            Body::Lane(LaneFact::Refused(why)) => format!("{} refused: {why}", event.channel.name()),
            Body::Lane(LaneFact::Syncing(_)) => "syncing".to_owned(),
            Body::Snapshot(s) => format!("snapshot {}", s.seq.unwrap()),
            Body::Delta(d) => format!("delta {}-{}", d.prev_seq.unwrap(), d.seq.unwrap()),
            Body::Gap(gap) => format!("gap {}", gap.cause.name()),
            Body::Instrument => "instrument".to_owned(),
            other => format!("{other:?}"),
        },
        Action::Send(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Action::Fetch { tag, path, weight } => format!("fetch {tag} {path} {weight}"),
        Action::WakeAt { timer, at } => format!("wake {timer} at {}", at.ms_since(T)),
        other => format!("{other:?}"),
    };
    out.iter().map(word).collect()
}

#[test]
fn a_book_is_asked_for_then_buffered_then_joined() {
    let mut s = session(&[(0, Channel::Book), (0, Channel::Quote)], 0, Some("/stream"));
    let told = words(&tell(&mut s, Input::Open, T));
    let ask = r#"{"method":"SUBSCRIBE","params":["c0usdt@depth@100ms","c0usdt@bookTicker"],"id":1}"#;
    assert_eq!(told, ["book asked", "syncing", "quote asked", ask, "wake 0 at 15000"]);
    let told = words(&frame(&mut s, r#"{"result":null,"id":1}"#, T));
    assert_eq!(told, [r#"Control("acknowledgement")"#, "book acked", "wake 16 at 5000", "quote acked"]);
    let told = words(&frame(&mut s, &delta(0, 11, 12), T));
    let ask = "fetch 0 /api/v3/depth?symbol=C0USDT&limit=1000 50";
    assert_eq!(told, [r#"Control("held_delta")"#, ask, "wake 16 at 120000"]);
    assert_eq!(words(&frame(&mut s, &delta(0, 13, 13), T)), [r#"Control("held_delta")"#]);
    let told = words(&answer(&mut s, 0, 200, &snapshot(12), T));
    assert_eq!(told, ["snapshot 12", r#"Control("covered_delta")"#, "delta 12-13"]);
    assert_eq!(words(&frame(&mut s, &delta(0, 14, 20), T)), ["delta 13-20"]);
    let told = words(&frame(&mut s, &delta(0, 22, 23), T));
    let again =
        ["gap sequence", "syncing", "wake 16 at 5000", r#"Control("held_delta")"#, ask, "wake 16 at 120000"];
    assert_eq!(told, again);
    assert_eq!(words(&tell(&mut s, Input::Closed, T)), Vec::<String>::new());
}

#[test]
fn a_snapshot_that_is_too_old_refused_or_lost_is_asked_for_again_ever_later() {
    let mut s = session(&[(0, Channel::Book)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    frame(&mut s, &delta(0, 11, 12), T);
    let mut now = T;
    for (status, body, wait) in [
        (200, snapshot(8), 250),
        (200, snapshot(9), 500),
        (200, r#"{"lastUpdateId":-1,"bids":[],"asks":[]}"#.to_owned(), 1_000),
        (429, "{}".to_owned(), 7_000),
        (200, "<html>".to_owned(), 4_000),
        (0, "no route".to_owned(), 8_000),
        (418, String::new(), 16_000),
        (503, String::new(), 30_000),
        (503, String::new(), 30_000),
    ] {
        let out = answer(&mut s, 0, status, &body, now);
        let next = out.iter().find_map(|a| match a {
            Action::WakeAt { timer: 16, at } => Some(*at),
            _ => None,
        });
        assert_eq!(next.map(|at| at.ms_since(now)), Some(wait), "{status} {body}");
        assert!(words(&out).contains(&"syncing".to_owned()));
        now = next.unwrap();
        let asked = words(&tell(&mut s, Input::Wake { timer: 16 }, now));
        assert!(asked[0].starts_with("fetch 0"), "{asked:?}");
    }
    now = now.plus_ms(120_000);
    let told = words(&tell(&mut s, Input::Wake { timer: 16 }, now));
    assert_eq!(told[0], "syncing", "an answer that never comes");
    now = now.plus_ms(30_000);
    assert!(words(&tell(&mut s, Input::Wake { timer: 16 }, now))[0].starts_with("fetch 0"));
    assert_eq!(words(&answer(&mut s, 0, 200, &snapshot(11), now)), ["snapshot 11", "delta 11-12"]);
    assert!(tell(&mut s, Input::Wake { timer: 16 }, now).is_empty());
}

#[test]
fn a_book_without_its_number_is_not_used_and_the_words_say_why() {
    let mut s = session(&[(0, Channel::Book), (0, Channel::BookTop)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    frame(&mut s, &delta(0, 11, 12), T);
    let missing = "the snapshot cannot be read: field `lastUpdateId` is missing";
    for (body, why) in [
        (r#"{"bids":[["1.4","1"]],"asks":[["1.6","1"]]}"#, missing),
        (r#"{"lastUpdateId":-1,"bids":[["1.4","1"]],"asks":[["1.6","1"]]}"#, "the venue has no snapshot yet"),
    ] {
        let out = answer(&mut s, 0, 200, body, T);
        let said = out.iter().find_map(|action| match action {
            Action::Emit(Event { body: Body::Lane(LaneFact::Syncing(words)), .. }) => Some(words.to_string()),
            _ => None,
        });
        assert!(said.as_deref().is_some_and(|said| said.starts_with(why)), "{said:?}");
        let top = format!(r#"{{"stream":"c0usdt@depth20@100ms","data":{body}}}"#);
        let told = words(&frame(&mut s, &top, T));
        let faults = [
            "Malformed(Malformed { at: 0, what: Missing(\"lastUpdateId\") })",
            "Control(\"book_without_id\")",
        ];
        assert_eq!(told, [faults[usize::from(body.contains("-1"))]]);
    }
}

#[test]
fn only_a_few_snapshots_are_asked_for_at_a_time() {
    let wants: Vec<_> = (0..100).map(|n| (n, Channel::Book)).collect();
    let mut s = session(&wants, 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    let fetches = |out: &[Action]| out.iter().filter(|a| matches!(a, Action::Fetch { .. })).count();
    let mut asked = 0;
    for n in 0..100 {
        asked += fetches(&frame(&mut s, &delta(n, 11, 12), T));
    }
    assert_eq!(asked, 8);
    for n in 0..100 {
        asked += fetches(&answer(&mut s, n, 200, &snapshot(12), T));
    }
    assert_eq!(asked, 100);
}

#[test]
fn changes_that_wait_are_bounded() {
    let mut s = BinanceSession::new(&Shard::default());
    let levels = r#"["1.5","2"],"#.repeat(50_000);
    let (mut sum, mut out) = (0, Vec::new());
    for n in 0..30 {
        let text = delta(0, n, n).replacen(r#"["1.5","2"]"#, &format!(r#"{levels}["1","1"]"#), 1);
        sum += text.len();
        out.extend(frame(&mut s, &text, T));
    }
    assert!(sum > 2 * (8 << 20));
    assert_eq!(
        words(&out).iter().filter(|w| *w == "gap overflow").count(),
        1 + (sum - (8 << 20)) / (9 << 20)
    );
}

#[test]
fn a_lost_connection_is_a_gap_of_each_live_book_alone() {
    let mut s = session(&[(0, Channel::Book), (1, Channel::Book), (2, Channel::Quote)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    for n in 0..2 {
        frame(&mut s, &delta(n, 11, 12), T);
    }
    answer(&mut s, 1, 200, &snapshot(12), T);
    assert_eq!(words(&tell(&mut s, Input::Closed, T)), ["gap disconnected"]);
    assert_eq!(words(&tell(&mut s, Input::Closed, T)), Vec::<String>::new());
}

#[test]
fn a_refusal_is_told_and_the_frame_is_cut_in_half() {
    let mut s = session(&[(0, Channel::Trades), (1, Channel::Trades)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    let told = words(&frame(&mut s, r#"{"code":2,"msg":"bad","id":1}"#, T));
    let no = "trades refused: bad (code 2)";
    assert_eq!(told, [r#"Control("refusal")"#, no, no, "wake 0 at 5000"]);
    let again = words(&tell(&mut s, Input::Wake { timer: 0 }, T.plus_ms(5_000)));
    assert_eq!(again[0], r#"{"method":"SUBSCRIBE","params":["c0usdt@trade"],"id":2}"#);
    assert_eq!(again[1], r#"{"method":"SUBSCRIBE","params":["c1usdt@trade"],"id":3}"#);
    assert_eq!(words(&frame(&mut s, r#"{"result":null,"id":3}"#, T))[1], "trades acked");
    assert_eq!(words(&frame(&mut s, r#"{"code":2,"msg":"bad","id":9}"#, T)), [r#"Control("refusal")"#]);
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let mut s = session(&[(0, Channel::Book)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    assert_eq!(words(&frame(&mut s, &delta(7, 1, 2), T)), [r#"Control("instrument_not_wanted")"#]);
}

#[test]
fn a_definition_from_outside_is_used_from_then_on() {
    let mut s = BinanceSession::new(&Shard::default());
    let quote = r#"{"u":1,"s":"C0USDT","b":"1.25","B":"2","a":"1.50","A":"3"}"#;
    let px = |out: &[Action]| match &out[0] {
        Action::Emit(event) => match event.body {
            Body::Quote(quote) => (quote.bid.unwrap().px.0, event.instrument.px_scale),
            _ => panic!("{event:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(px(&frame(&mut s, quote, T)), (125_000_000, 8));
    let exact = instruments(1)[0].rescaled(2, 3).unwrap();
    assert!(tell(&mut s, Input::Define(&Arc::new(exact)), T).is_empty());
    assert_eq!(px(&frame(&mut s, quote, T)), (125, 2));
}

#[test]
fn a_definition_is_widened_a_few_times_and_then_the_book_is_given_up() {
    let mut s = BinanceSession::new(&Shard::default());
    frame(&mut s, &delta(0, 1, 1), T);
    tell(
        &mut s,
        Input::Reply { tag: None, path: "", status: 200, retry_ms: None, body: snapshot(1).as_bytes() },
        T,
    );
    let mut told = Vec::new();
    for n in 0..9_u64 {
        // Fine and coarse in turn: each needs another scale.
        let px = if n % 2 == 0 { "0.000000000000000001" } else { "123456789012345" };
        let text = delta(0, n + 2, n + 2).replace(r#"["1.5","2"]"#, &format!(r#"["{px}","2"]"#));
        told.extend(words(&frame(&mut s, &text, T)));
    }
    assert_eq!(told.iter().filter(|w| *w == "instrument").count(), 8);
    let end: Vec<&str> = told.iter().rev().take(3).rev().map(String::as_str).collect();
    assert!(end[0].starts_with("Malformed"), "{end:?}");
    assert_eq!(end[1..], ["gap scale", "syncing"]);
}

#[test]
fn a_planned_close_is_asked_for_and_binary_frames_are_malformed() {
    let mut s = session(&[(0, Channel::Book)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    let out = frame(&mut s, r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#, T);
    assert!(out.iter().any(|a| matches!(a, Action::Close { fault: Fault::Planned, .. })));
    let out = tell(&mut s, Input::Frame { bytes: b"\x00", binary: true }, T);
    assert!(matches!(out[0], Action::Malformed(_)));
}

#[test]
fn a_recorded_snapshot_before_the_first_change_is_kept_for_its_book() {
    for path in ["", "https://api.binance.com/api/v1/depth?symbol=C0USDT&limit=100"] {
        let mut s = BinanceSession::new(&Shard::default());
        let reply = |s: &mut BinanceSession, id: u64| {
            let body = snapshot(id);
            let body = body.as_bytes();
            words(&tell(s, Input::Reply { tag: None, path, status: 200, retry_ms: None, body }, T))
        };
        for id in [5, 12] {
            assert_eq!(reply(&mut s, id), [r#"Control("snapshot_kept")"#]);
        }
        let told = words(&frame(&mut s, &delta(0, 12, 13), T));
        assert_eq!(told, ["syncing", r#"Control("held_delta")"#, "snapshot 12", "delta 12-13"]);
        let told = reply(&mut s, 50);
        let unused = if path.is_empty() { "snapshot_kept" } else { "snapshot_not_awaited" };
        assert_eq!(told, [format!("Control({unused:?})")]);
    }
}

#[test]
fn a_book_whose_stream_tells_nothing_is_held_against_new_snapshots() {
    let mut s = session(&[(0, Channel::Book)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    frame(&mut s, r#"{"result":null,"id":1}"#, T);
    assert!(words(&tell(&mut s, Input::Wake { timer: 16 }, T))[0].starts_with("fetch 0"));
    assert_eq!(words(&answer(&mut s, 0, 200, &snapshot(11), T)), ["snapshot 11", "wake 16 at 30000"]);
    // The market stands still: nothing is wrong.
    for wait in [60_000, 120_000, 240_000, 480_000, 480_000] {
        assert!(words(&tell(&mut s, Input::Wake { timer: 16 }, T))[0].starts_with("fetch 0"));
        let told = words(&answer(&mut s, 0, 200, &snapshot(11), T));
        assert_eq!(told, [r#"Control("snapshot_compared")"#.to_owned(), format!("wake 16 at {wait}")]);
    }
    // Nothing can be compared: it is looked at again later, and the words say why.
    for (status, id, word) in
        [(200, "", "without_id"), (200, "\"lastUpdateId\":-1,", "without_id"), (503, "", "refused")]
    {
        tell(&mut s, Input::Wake { timer: 16 }, T);
        let told = words(&answer(&mut s, 0, status, &format!(r#"{{{id}"bids":[],"asks":[]}}"#), T));
        assert_eq!(told, [format!("Control(\"snapshot_{word}\")"), "wake 16 at 480000".to_owned()]);
    }
    // It moved, and the change comes a moment later.
    tell(&mut s, Input::Wake { timer: 16 }, T);
    assert_eq!(words(&answer(&mut s, 0, 200, &snapshot(12), T))[1], "wake 16 at 3000");
    assert_eq!(words(&frame(&mut s, &delta(0, 12, 12), T)), ["delta 11-12"]);
    assert!(tell(&mut s, Input::Wake { timer: 16 }, T).is_empty());
}

#[test]
fn a_silent_stream_makes_no_live_book_for_long() {
    let mut s = session(&[(0, Channel::Book)], 0, Some("/stream"));
    tell(&mut s, Input::Open, T);
    frame(&mut s, r#"{"result":null,"id":1}"#, T);
    tell(&mut s, Input::Wake { timer: 16 }, T);
    answer(&mut s, 0, 200, &snapshot(11), T);
    tell(&mut s, Input::Wake { timer: 16 }, T);
    answer(&mut s, 0, 200, &snapshot(15), T);
    let told = words(&tell(&mut s, Input::Wake { timer: 16 }, T));
    let again = r#"{"method":"SUBSCRIBE","params":["c0usdt@depth@100ms"],"id":2}"#;
    let wake = ["wake 0 at 15000", "wake 16 at 60000"];
    assert_eq!(told, [&["gap sequence", "syncing", "wake 16 at 5000", again], &wake[..]].concat());
    let told = words(&tell(&mut s, Input::Wake { timer: 16 }, T));
    assert!(told[0].contains("SUBSCRIBE"), "{told:?}");
    // It speaks at last.
    let told = words(&frame(&mut s, &delta(0, 20, 21), T));
    assert!(told.iter().any(|w| w.starts_with("fetch 0")), "{told:?}");
    assert_eq!(words(&answer(&mut s, 0, 200, &snapshot(21), T))[0], "snapshot 21");
}
