//! Sessions by script: what is sent and told, frame by frame.

use super::*;
use model::{Body, Instrument, TradeId};
use source::{Options, Want};

const T0: Ts = Ts::from_ms(1_788_264_000_000);
const BTC: &str = r#"{"symbol":"BTC/USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":0.1}"#;
const SNAPSHOT: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"TST/USD","bids":[{"price":0.566,"qty":0.25},{"price":0.5655,"qty":100}],"asks":[{"price":0.567,"qty":12.5},{"price":0.5671,"qty":3}],"checksum":3905475208}]}"#;
const CHANGE: &str = r#"{"channel":"book","type":"update","data":[{"symbol":"TST/USD","bids":[],"asks":[{"price":0.567,"qty":0},{"price":0.5675,"qty":1.00000001}],"checksum":3335447095}]}"#;

fn instrument(symbol: &str) -> Arc<Instrument> {
    let mut made = listing::provisional(symbol.as_bytes()).unwrap();
    if symbol == "TST/USD" {
        (made.px_scale, made.qty_scale, made.provisional) = (4, 8, false);
    }
    made.into()
}

fn want(symbol: &str, channel: Channel) -> Want {
    Want { instrument: instrument(symbol), channel }
}

struct Script {
    session: KrakenSession,
    now: Ts,
    /// When it wanted to be woken for its chores.
    chores: Option<Ts>,
}

impl Script {
    fn new(wants: &[Want]) -> Self {
        let shard = crate::subscribe::shards(wants, &Options::default()).remove(0);
        Self { session: KrakenSession::new(&shard), now: T0, chores: None }
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        for action in &out {
            if let Action::WakeAt { timer: TIMER_CHORES, at } = action {
                self.chores = Some(*at);
            }
        }
        out
    }

    /// Wakes it for its chores until it asks the venue for something; says how long that took, in ms.
    fn until_asked(&mut self) -> (i64, Vec<Action>) {
        let start = self.now;
        loop {
            self.now = self.chores.take().unwrap();
            let out = self.input(Input::Wake { timer: TIMER_CHORES });
            if out.iter().any(|a| matches!(a, Action::Send(_) | Action::Fetch { .. })) {
                return (self.now.ms_since(start), out);
            }
        }
    }

    fn hear(&mut self, frame: &str) -> Vec<Action> {
        self.input(Input::Frame { bytes: frame.as_bytes(), binary: false })
    }

    fn ack(&mut self, channel: &str, symbol: &str, id: u64) -> Vec<Action> {
        self.hear(&format!(
            r#"{{"method":"subscribe","req_id":{id},"result":{{"channel":"{channel}","symbol":"{symbol}"}},"success":true}}"#
        ))
    }

    fn later(&mut self, ms: u64, timer: u64) -> Vec<Action> {
        self.now = self.now.plus_ms(ms);
        self.input(Input::Wake { timer })
    }
}

fn sent(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn facts(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Emit(e) => match &e.body {
            Body::Lane(LaneFact::Asked { proof, .. }) => {
                Some(format!("{} asked {}", e.channel.name(), proof.name()))
            }
            Body::Lane(LaneFact::Refused(words)) => Some(format!("{} refused {words}", e.channel.name())),
            Body::Lane(LaneFact::Syncing(_)) => Some(format!("{} syncing", e.channel.name())),
            Body::Lane(fact) => Some(format!("{} {fact:?}", e.channel.name()).to_lowercase()),
            Body::Gap(gap) => Some(format!("gap {}", gap.cause.name())),
            Body::Snapshot(_) => Some("snapshot".to_owned()),
            Body::Delta(_) => Some("delta".to_owned()),
            _ => None,
        },
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

#[test]
fn wants_of_one_topic_are_asked_for_once_and_acknowledged_each() {
    let mut s = Script::new(&[
        want("TST/USD", Channel::Book),
        want("TST/USD", Channel::Quote),
        want("TST/USD", Channel::DayStats),
    ]);
    let out = s.input(Input::Open);
    assert_eq!(facts(&out), ["book asked checksum", "quote asked none", "day_stats asked none"]);
    let frames = sent(&out);
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert!(
        frames[0].contains(r#""depth":10,"snapshot":true"#) && frames[1].contains(r#""event_trigger":"bbo""#)
    );
    assert_eq!(facts(&s.ack("ticker", "TST/USD", 2)), ["quote acked", "day_stats acked"]);
    assert_eq!(facts(&s.ack("book", "TST/USD", 1)), ["book acked", "book syncing"]);
    assert_eq!(facts(&s.hear(SNAPSHOT)), ["snapshot"]);
    assert_eq!(facts(&s.hear(CHANGE)), ["delta"]);
    assert!(facts(&s.ack("ticker", "TST/USD", 2)).is_empty(), "told once");
}

#[test]
fn a_wrong_checksum_starts_that_book_again_each_time_after_a_longer_pause() {
    let mut s = Script::new(&[want("TST/USD", Channel::Book), want("BTC/USD", Channel::Book)]);
    s.input(Input::Open);
    s.ack("book", "TST/USD", 1);
    s.ack("book", "BTC/USD", 1);
    s.hear(r#"{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[]}]}"#);
    let wrong = CHANGE.replace("3335447095", "1");
    let mut waits = Vec::new();
    for round in 0..4 {
        assert_eq!(facts(&s.hear(SNAPSHOT)), ["snapshot"]);
        let out = s.hear(&wrong);
        assert_eq!(facts(&out), ["gap checksum", "book syncing"]);
        let mut asked = sent(&out);
        if asked.is_empty() {
            let (wait, out) = s.until_asked();
            waits.push(wait);
            asked = sent(&out);
        }
        assert_eq!(asked.len(), 2, "round {round}: {asked:?}");
        assert!(
            asked[0].contains("unsubscribe") && asked.iter().all(|f| f.contains("TST") && !f.contains("BTC"))
        );
        assert!(
            facts(&s.hear(CHANGE)).contains(&"book syncing".to_owned()),
            "changes of the old subscription"
        );
        s.ack("book", "TST/USD", 1_000);
    }
    assert_eq!(waits, [2_000, 4_000, 8_000], "after the first one, which was at once");
}

#[test]
fn a_refusal_names_the_lane_and_is_tried_again() {
    let mut s = Script::new(&[want("TST/USD", Channel::Trades), want("BTC/USD", Channel::Trades)]);
    s.input(Input::Open);
    let out = s.hear(r#"{"error":"Currency pair not supported TST/USD","method":"subscribe","req_id":1,"success":false,"symbol":"TST/USD"}"#);
    assert_eq!(facts(&out), ["trades refused Currency pair not supported TST/USD"]);
    assert_eq!(facts(&s.ack("trade", "BTC/USD", 1)), ["trades acked"]);
    let again = s.later(30_000, TIMER_CHORES);
    assert_eq!(facts(&again), ["trades asked sequence"]);
    let frames = sent(&again);
    assert!(frames.len() == 1 && frames[0].contains("TST/USD") && !frames[0].contains("BTC"), "{frames:?}");
}

#[test]
fn a_book_that_the_venue_holds_already_is_ended_and_begun_again() {
    let mut s = Script::new(&[want("TST/USD", Channel::Book)]);
    s.input(Input::Open);
    let out = s.hear(r#"{"error":"Already subscribed","method":"subscribe","req_id":1,"success":false,"symbol":"TST/USD"}"#);
    assert!(facts(&out).is_empty());
    let frames = sent(&s.later(1_000, TIMER_CHORES));
    assert!(frames[0].contains("unsubscribe") && frames[1].contains(r#""method":"subscribe""#));
}

#[test]
fn an_error_of_the_derivatives_that_names_nobody_is_about_whoever_is_not_acknowledged() {
    let mut s = Script::new(&[want("PF_XBTUSD", Channel::Trades), want("PF_ODDUSD", Channel::Trades)]);
    let frames = sent(&s.input(Input::Open));
    assert_eq!(frames[0], r#"{"event":"subscribe","feed":"heartbeat"}"#);
    assert_eq!(frames[1], r#"{"event":"subscribe","feed":"trade","product_ids":["PF_XBTUSD","PF_ODDUSD"]}"#);
    let out = s.hear(r#"{"event":"subscribed","feed":"trade","product_ids":["PF_XBTUSD"]}"#);
    assert_eq!(facts(&out), ["trades acked"]);
    assert!(facts(&s.hear(r#"{"event":"error","message":"Invalid product id"}"#)).is_empty());
    let out = s.later(10_000, TIMER_CHORES);
    assert_eq!(facts(&out), ["trades refused Invalid product id"]);
    assert!(sent(&out).is_empty());
}

#[test]
fn a_gap_in_numbers_starts_one_contract_again_and_late_changes_are_passed_over() {
    let mut s = Script::new(&[want("PF_XBTUSD", Channel::Book)]);
    assert_eq!(facts(&s.input(Input::Open)), ["book asked sequence"]);
    s.hear(r#"{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}"#);
    let snapshot = |seq: u64| {
        format!(
            r#"{{"feed":"book_snapshot","product_id":"PF_XBTUSD","seq":{seq},"bids":[{{"price":1.0,"qty":1}}],"asks":[]}}"#
        )
    };
    let change = |seq: u64| {
        format!(r#"{{"feed":"book","product_id":"PF_XBTUSD","side":"buy","seq":{seq},"price":2.0,"qty":1}}"#)
    };
    assert_eq!(facts(&s.hear(&snapshot(5))), ["snapshot"]);
    assert_eq!(facts(&s.hear(&change(6))), ["delta"]);
    let out = s.hear(&change(8));
    assert_eq!(facts(&out), ["gap sequence", "book syncing"]);
    assert_eq!(sent(&out).len(), 2);
    assert_eq!(facts(&s.hear(&change(9))), ["book syncing"]);
    assert!(facts(&s.hear(&change(10))).is_empty());
    assert_eq!(facts(&s.hear(&snapshot(10))), ["snapshot"]);
    assert_eq!(facts(&s.hear(&change(11))), ["delta"]);
}

#[test]
fn silence_is_asked_about_and_then_left() {
    let mut s = Script::new(&[want("TST/USD", Channel::Trades)]);
    s.input(Input::Open);
    let out = s.later(10_000, TIMER_SILENCE);
    assert!(sent(&out)[0].contains(r#""method":"ping""#));
    s.now = s.now.plus_ms(1_000);
    s.hear(r#"{"method":"pong","req_id":2}"#);
    assert!(sent(&s.later(4_000, TIMER_SILENCE)).is_empty());
    assert!(!sent(&s.later(6_000, TIMER_SILENCE)).is_empty());
    let out = s.later(5_000, TIMER_SILENCE);
    assert!(matches!(out.as_slice(), [Action::Close { fault: Fault::Stale, .. }]), "{out:?}");
}

#[test]
fn while_all_goes_well_we_show_that_we_are_there() {
    let mut s = Script::new(&[want("PF_XBTUSD", Channel::Trades)]);
    s.input(Input::Open);
    let mut shown = 0;
    for _ in 0..12 {
        s.now = s.now.plus_ms(9_000);
        s.hear(r#"{"feed":"heartbeat","time":1}"#);
        shown += sent(&s.later(1_000, TIMER_SILENCE)).len();
    }
    assert_eq!(shown, 4, "each half minute at least, of two minutes");
}

#[test]
fn what_joins_a_subscription_is_told_what_is_known_and_leaves_without_disturbing_it() {
    let mut s = Script::new(&[want("BTC/USD", Channel::Status)]);
    s.input(Input::Open);
    s.hear(r#"{"method":"subscribe","req_id":1,"result":{"channel":"instrument"},"success":true}"#);
    s.hear(&format!(
        r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{BTC}]}}}}"#
    ));
    let more = [want("BTC/USD", Channel::Instruments)];
    let out = s.input(Input::Subscribe(&more));
    assert_eq!(facts(&out), ["instruments asked none", "instruments acked"]);
    assert!(out.iter().any(|a| matches!(a, Action::Emit(e) if matches!(e.body, Body::Instrument))));
    assert!(sent(&out).is_empty());
    let out = s.input(Input::Unsubscribe(&more));
    assert_eq!(facts(&out), ["instruments dropped"]);
    assert!(sent(&out).is_empty());
    let out = s.input(Input::Unsubscribe(&[want("BTC/USD", Channel::Status)]));
    assert_eq!(facts(&out), ["status dropped"]);
    assert!(sent(&out)[0].contains("unsubscribe"));
    assert!(sent(&s.input(Input::Unsubscribe(&more))).is_empty(), "nothing is dropped twice");
}

#[test]
fn while_closed_wants_are_remembered() {
    let mut s = Script::new(&[want("TST/USD", Channel::Trades)]);
    assert!(sent(&s.input(Input::Subscribe(&[want("BTC/USD", Channel::Trades)]))).is_empty());
    let out = s.input(Input::Unsubscribe(&[want("TST/USD", Channel::Trades)]));
    assert_eq!((facts(&out), sent(&out).len()), (vec!["trades dropped".to_owned()], 0));
    let frames = sent(&s.input(Input::Open));
    assert!(frames.len() == 1 && frames[0].contains("BTC/USD") && !frames[0].contains("TST"), "{frames:?}");
}

#[test]
fn the_venue_in_maintenance_halts_every_pair_and_its_end_restores_them() {
    let mut s = Script::new(&[want("BTC/USD", Channel::Status)]);
    s.input(Input::Open);
    s.hear(&format!(
        r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{BTC}]}}}}"#
    ));
    let status = |out: Vec<Action>| {
        out.into_iter().find_map(|a| match a {
            Action::Emit(e) => match e.body {
                Body::Status(status) => Some(status),
                _ => None,
            },
            _ => None,
        })
    };
    let of = |word: &str| format!(r#"{{"channel":"status","type":"update","data":[{{"system":"{word}"}}]}}"#);
    assert_eq!(status(s.hear(&of("online"))), None);
    assert_eq!(status(s.hear(&of("maintenance"))), Some(Status::Halted));
    assert_eq!(status(s.hear(&of("online"))), Some(Status::Trading));
}

#[test]
fn bars_of_contracts_are_asked_by_rest_and_told_once() {
    let mut s = Script::new(&[want("PF_XBTUSD", Channel::Bars)]);
    let out = s.input(Input::Open);
    let (tag, path) = out
        .iter()
        .find_map(|a| match a {
            Action::Fetch { tag, path, .. } => Some((*tag, path.clone())),
            _ => None,
        })
        .unwrap();
    assert!(path.starts_with("/api/charts/v1/trade/PF_XBTUSD/1m?from="), "{path}");
    let body = format!(
        r#"{{"candles":[{{"time":{},"open":"1","high":"2","low":"1","close":"2","volume":"3"}},{{"time":{},"open":"2","high":"2","low":"2","close":"2","volume":"1"}}],"more_candles":false}}"#,
        T0.as_ms() - 60_000,
        T0.as_ms()
    );
    let answer = |s: &mut Script, tag: u64, status: u16, retry_ms: Option<u64>| {
        s.input(Input::Reply { tag: Some(tag), path: &path, status, retry_ms, body: body.as_bytes() })
    };
    let bars = |out: &[Action]| {
        out.iter().filter(|a| matches!(a, Action::Emit(e) if matches!(e.body, Body::Bar(_)))).count()
    };
    let out = answer(&mut s, tag, 200, None);
    assert_eq!((facts(&out), bars(&out)), (vec!["bars acked".to_owned()], 2));
    let (wait, out) = s.until_asked();
    assert_eq!(wait, 15_000);
    let Some(Action::Fetch { tag, .. }) = out.last() else { panic!("{out:?}") };
    answer(&mut s, *tag, 429, Some(40_000));
    let (wait, out) = s.until_asked();
    assert_eq!(wait, 40_000, "as long as the venue wants");
    let Some(Action::Fetch { tag, .. }) = out.last() else { panic!("{out:?}") };
    assert_eq!(bars(&answer(&mut s, *tag, 200, None)), 0, "nothing is new");
}

#[test]
fn a_number_that_does_not_fit_widens_the_definition_of_a_live_book() {
    let mut s = Script::new(&[want("TST/USD", Channel::Book)]);
    s.input(Input::Open);
    s.ack("book", "TST/USD", 1);
    s.hear(SNAPSHOT);
    let fine = r#"{"channel":"book","type":"update","data":[{"symbol":"TST/USD","bids":[{"price":0.56605,"qty":1}],"asks":[]}]}"#;
    let out = s.hear(fine);
    let events: Vec<_> = out
        .iter()
        .filter_map(|a| match a {
            Action::Emit(e) => Some((&e.body, e.instrument.px_scale)),
            _ => None,
        })
        .collect();
    assert!(matches!(events.as_slice(), [(Body::Instrument, 5), (Body::Delta(_), 5)]), "{events:?}");
    // The checksum is still over four digits; the book is found wrong and starts again.
    assert_eq!(facts(&s.hear(CHANGE)), ["gap checksum", "book syncing"]);
}

#[test]
fn a_definition_from_outside_keeps_a_live_book() {
    let mut s = Script::new(&[want("TST/USD", Channel::Book)]);
    s.input(Input::Open);
    s.hear(SNAPSHOT);
    let wider = Arc::new(instrument("TST/USD").rescaled(6, 9).unwrap());
    assert!(facts(&s.input(Input::Define(&wider))).is_empty());
    assert_eq!(facts(&s.hear(CHANGE)), ["delta"]);
    let coarser = Arc::new(Instrument { px_scale: 1, ..(*wider).clone() });
    assert_eq!(facts(&s.input(Input::Define(&coarser))), ["gap scale", "book syncing"]);
}

#[test]
fn a_frame_that_breaks_off_takes_its_trades_back() {
    let mut s = Script::new(&[want("BTC/USD", Channel::Trades), want("TST/USD", Channel::Book)]);
    s.input(Input::Open);
    s.hear(SNAPSHOT);
    let whole = r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":1,"qty":1,"trade_id":7,"timestamp":"2026-09-01T12:00:00Z"}]}"#;
    let trades = |out: &[Action]| {
        let is = |a: &&Action| matches!(a, Action::Emit(e) if matches!(&e.body, Body::Trade(t) if t.id == TradeId::Num(7)));
        out.iter().filter(is).count()
    };
    let out = s.hear(&whole[..whole.len() - 1]);
    assert_eq!((trades(&out), facts(&out).len()), (0, 0), "and no book is harmed");
    assert_eq!(trades(&s.hear(whole)), 1);
    assert_eq!(facts(&s.hear("{\"chan")), ["gap malformed", "book syncing"], "it may have been any book's");
}
