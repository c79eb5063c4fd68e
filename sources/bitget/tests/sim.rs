//! The simulated venue by itself: answers, limits, and standing in front of a recording.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::Ts;
use source::{Peer, Sim, SimAction, SimControl, SimInput, SimSetup, Source};

const START: Ts = Ts::from_ms(1_760_000_000_000);
const PEER: Peer = Peer(1);

struct World {
    sim: Box<dyn Sim>,
    now: Ts,
}

impl World {
    fn new(setup: &SimSetup, path: &str) -> Self {
        let mut world = Self { sim: Bitget.sim(setup), now: START };
        world.told(SimInput::Open { peer: PEER, endpoint: 0, path });
        world
    }

    fn told(&mut self, input: SimInput<'_>) -> Vec<SimAction> {
        let mut out = Vec::new();
        self.sim.on(input, self.now, &mut out);
        out.retain(|a| !matches!(a, SimAction::WakeAt(_)));
        out
    }

    fn say(&mut self, text: &str) -> Vec<SimAction> {
        self.told(SimInput::Frame { peer: PEER, bytes: text.as_bytes() })
    }

    fn texts(&mut self, text: &str) -> Vec<String> {
        let send = |a: SimAction| match a {
            SimAction::Send { bytes, binary: false, .. } => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        self.say(text).into_iter().map(send).collect()
    }

    fn wait(&mut self, ms: u64) -> Vec<SimAction> {
        self.now = self.now.plus_ms(ms);
        self.told(SimInput::Wake)
    }

    fn ask(&mut self, path: &str) -> (u16, serde_json::Value) {
        match self.told(SimInput::Request { request: 1, endpoint: 0, path }).pop() {
            Some(SimAction::Reply { status, body, .. }) => (status, serde_json::from_slice(&body).unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

fn quiet() -> SimSetup {
    SimSetup { seed: 3, start: START, moves_per_s: 0, ..SimSetup::default() }
}

fn subscribe(arg: &str) -> String {
    format!(r#"{{"op":"subscribe","args":[{arg}]}}"#)
}

const BOOKS: &str = r#"{"instType":"SPOT","channel":"books","instId":"BTCUSDT"}"#;

#[test]
fn each_argument_is_answered_and_a_book_follows_its_acknowledgement() {
    let mut w = World::new(&quiet(), "/v2/ws/public");
    let nosuch = r#"{"instType":"SPOT","channel":"books","instId":"NOSUCH"}"#;
    let texts = w.texts(&subscribe(&format!("{BOOKS},{nosuch}")));
    assert_eq!(texts.len(), 3);
    assert!(texts[0].starts_with(r#"{"event":"subscribe","arg":{"#), "{}", texts[0]);
    assert!(texts[1].starts_with(r#"{"action":"snapshot""#) && texts[1].contains(r#""pseq":"0""#));
    let error: serde_json::Value = serde_json::from_str(&texts[2]).unwrap();
    assert_eq!(
        (&error["event"], &error["code"], &error["op"]),
        (&"error".into(), &30_001.into(), &"subscribe".into())
    );
    assert_eq!(error["msg"], "instType:SPOT,channel:books,instId:NOSUCH doesn't exist");
    assert_eq!(error["arg"]["instId"], "NOSUCH");
}

#[test]
fn a_topic_of_the_wrong_section_is_acknowledged_and_silent() {
    let mut w = World::new(&quiet(), "/v2/ws/public");
    let texts = w.texts(&subscribe(r#"{"instType":"SPOT","channel":"books","instId":"BTCPERP"}"#));
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("subscribe"));
}

#[test]
fn what_cannot_be_read_is_refused_and_the_words_of_v3_are_of_its_own_path() {
    for (path, text, code) in [
        ("/v2/ws/public", "garbage".to_owned(), 30_003),
        ("/v2/ws/public", r#"{"op":"fly"}"#.to_owned(), 30_003),
        ("/v2/ws/public", r#"{"op":"subscribe","args":[]}"#.to_owned(), 30_016),
        (
            "/v2/ws/public",
            subscribe(r#"{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"}"#),
            30_016,
        ),
        ("/v2/ws/public", subscribe(r#"{"instType":"SPOT","channel":"books50","instId":"BTCUSDT"}"#), 30_001),
        (
            "/v2/ws/public",
            subscribe(r#"{"instType":"SPOT","channel":"candle7m","instId":"BTCUSDT"}"#),
            30_001,
        ),
        ("/v3/ws/public", subscribe(BOOKS), 30_016),
    ] {
        let mut w = World::new(&quiet(), path);
        let texts = w.texts(&text);
        let error: serde_json::Value = serde_json::from_str(&texts[0]).unwrap();
        assert_eq!(error["code"], code, "{text}");
    }
    let mut w = World::new(&quiet(), "/v3/ws/public");
    let texts = w.texts(&subscribe(r#"{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"}"#));
    assert!(texts[0].contains("connId") && texts[1].contains(r#""a":["#));
    let texts = w.texts(&subscribe(
        r#"{"instType":"usdt-futures","topic":"kline","symbol":"BTCUSDT","interval":"1m"}"#,
    ));
    assert_eq!(texts.len(), 2);
}

#[test]
fn limits_hold() {
    let closed = |actions: &[SimAction]| {
        actions.iter().find_map(|a| match a {
            SimAction::Close { code, .. } => Some(*code),
            _ => None,
        })
    };
    let mut w = World::new(&quiet(), "/v2/ws/public");
    let actions: Vec<SimAction> = (0..11).flat_map(|_| w.say("ping")).collect();
    assert_eq!(closed(&actions), Some(1008));
    let mut w = World::new(&quiet(), "/v2/ws/public");
    assert_eq!(closed(&w.say(&"x".repeat(4_097))), Some(1009));
    let mut w = World::new(&quiet(), "/v3/ws/public");
    let arg = r#"{"instType":"spot","topic":"books","symbol":"BTCUSDT"}"#;
    assert_eq!(closed(&w.say(&subscribe(&[arg; 25].join(",")))), Some(1008));
    // 240 topics an hour.
    let mut w = World::new(&quiet(), "/v2/ws/public");
    let mut errors = 0;
    for _ in 0..25 {
        w.wait(1_000);
        let texts = w.texts(&subscribe(&[BOOKS; 10].join(",")));
        errors += texts.iter().filter(|t| t.contains("30006")).count();
    }
    assert_eq!(errors, 10);
    assert!(closed(&World::new(&quiet(), "/ws").told(SimInput::Wake)).is_none());
}

#[test]
fn a_client_that_does_not_ping_is_dropped_after_two_minutes_while_it_is_sent_to() {
    let mut w = World::new(&SimSetup { moves_per_s: 20, ..quiet() }, "/v2/ws/public");
    w.say(&subscribe(BOOKS));
    let sent = |actions: &[SimAction]| actions.iter().any(|a| matches!(a, SimAction::Send { .. }));
    assert!(sent(&w.wait(60_000)));
    assert_eq!(w.texts("ping"), ["pong"]);
    assert!(!w.wait(119_000).iter().any(|a| matches!(a, SimAction::Close { .. })));
    assert!(w.wait(2_000).iter().any(|a| matches!(a, SimAction::Close { code: 0, .. })));
    assert!(w.wait(5_000).is_empty());
}

#[test]
fn libraries_find_what_they_load_first() {
    let mut w = World::new(&quiet(), "/v2/ws/public");
    for path in [
        "/api/v2/public/time",
        "/api/v2/spot/public/coins",
        "/api/v2/spot/public/symbols",
        "/api/v2/mix/market/contracts?productType=USDT-FUTURES",
        "/api/v2/mix/market/contracts?productType=usdc-futures",
        "/api/v2/mix/market/contracts?productType=COIN-FUTURES&symbol=BTCUSD",
        "/api/v2/spot/market/tickers",
        "/api/v2/spot/market/tickers?symbol=BTCUSDT",
        "/api/v2/mix/market/ticker?productType=USDT-FUTURES&symbol=BTCUSDT",
        "/api/v2/spot/market/orderbook?symbol=BTCUSDT&limit=50",
        "/api/v2/mix/market/merge-depth?productType=USDT-FUTURES&symbol=BTCUSDT",
        "/api/v2/spot/market/fills?symbol=BTCUSDT",
        "/api/v2/spot/market/candles?symbol=BTCUSDT&granularity=1min&limit=10",
        "/api/v2/mix/market/account-long-short?symbol=BTCUSDT&period=5m",
    ] {
        let (status, body) = w.ask(path);
        assert_eq!((status, &body["code"]), (200, &"00000".into()), "{path}");
        assert!(!body["data"].is_null(), "{path}");
    }
    assert_eq!(w.ask("/api/v2/spot/market/fills?symbol=NOSUCH").0, 400);
    assert_eq!(w.ask("/api/v9/nothing").0, 404);
    w.sim.control(SimControl::RateLimit(1), START, &mut Vec::new());
    assert_eq!(w.ask("/api/v2/public/time").0, 429);
    assert_eq!(w.ask("/api/v2/public/time").0, 200);
    let limited = (0..30).filter(|_| w.ask("/api/v2/spot/public/coins").0 == 429).count();
    assert!(limited >= 10, "{limited}");
}

#[test]
fn in_front_of_a_recording_any_symbol_is_joined_and_frames_are_sorted_by_their_topic() {
    let mut w = World::new(&SimSetup { tape: true, moves_per_s: 100, ..quiet() }, "/v2/ws/public");
    let actions = w.say(&subscribe(r#"{"instType":"SPOT","channel":"books","instId":"OLDUSDT"}"#));
    assert!(matches!(&actions[0], SimAction::Send { .. }));
    let [_, SimAction::Joined { peer: PEER, key }] = &actions[..] else { panic!("{actions:?}") };
    assert!(w.wait(10_000).is_empty());
    assert_eq!(w.texts("ping"), ["pong"]);
    let frame = |action: &str, inst_type: &str| {
        format!(
            r#"{{"action":"{action}","arg":{{"instType":"{inst_type}","channel":"books","instId":"OLDUSDT"}},"data":[{{}}]}}"#
        )
    };
    for inst_type in ["SPOT", "sp"] {
        for (action, fresh) in [("snapshot", true), ("update", false)] {
            let topic = w.sim.topic(0, frame(action, inst_type).as_bytes()).unwrap();
            assert_eq!((&topic.key, topic.fresh), (key, fresh));
        }
    }
    let trade =
        r#"{"action":"update","arg":{"instType":"SPOT","channel":"trade","instId":"OLDUSDT"},"data":[]}"#;
    assert!(w.sim.topic(0, trade.as_bytes()).unwrap().fresh);
    for control in
        ["pong", r#"{"event":"subscribe","arg":{"instType":"SPOT","channel":"books","instId":"OLDUSDT"}}"#]
    {
        assert_eq!(w.sim.topic(0, control.as_bytes()), None);
    }
    let actions =
        w.say(r#"{"op":"unsubscribe","args":[{"instType":"SPOT","channel":"books","instId":"OLDUSDT"}]}"#);
    assert!(matches!(&actions[1], SimAction::Left { key: left, .. } if left == key));
}
