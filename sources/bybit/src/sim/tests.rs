//! The venue alone, as a client of another make would meet it.

use super::*;
use crate::product::Product;
use serde_json::Value;

const START: Ts = Ts(1_760_000_000_000_000_000);

struct Venue {
    sim: BybitSim,
    now: Ts,
}

impl Venue {
    /// Seed 3 acknowledges first, seed 1 after the first data.
    fn new(setup: &SimSetup) -> Self {
        let setup = SimSetup { start: START, ..setup.clone() };
        Self { sim: BybitSim::new(&setup), now: START }
    }

    fn open(&mut self, peer: u64, product: Product) -> Vec<SimAction> {
        let mut out = Vec::new();
        let input = SimInput::Open { peer: Peer(peer), endpoint: product.endpoint(), path: product.path() };
        self.sim.on(input, self.now, &mut out);
        out.retain(|a| !matches!(a, SimAction::WakeAt(_)));
        out
    }

    fn say(&mut self, peer: u64, text: &str) -> Vec<Value> {
        let mut out = Vec::new();
        self.sim.on(SimInput::Frame { peer: Peer(peer), bytes: text.as_bytes() }, self.now, &mut out);
        frames(&out, peer)
    }

    fn run_ms(&mut self, ms: u64) -> Vec<SimAction> {
        self.now = self.now.plus_ms(ms);
        let mut out = Vec::new();
        self.sim.on(SimInput::Wake, self.now, &mut out);
        out
    }

    fn ask(&mut self, path: &str) -> (u16, Value) {
        let mut out = Vec::new();
        self.sim.on(SimInput::Request { request: 1, endpoint: 1, path }, self.now, &mut out);
        let answer = out.into_iter().find_map(|a| match a {
            SimAction::Reply { status, body, .. } => Some((status, serde_json::from_slice(&body).unwrap())),
            _ => None,
        });
        answer.unwrap()
    }
}

fn frames(out: &[SimAction], to: u64) -> Vec<Value> {
    let frame = |a: &SimAction| match a {
        SimAction::Send { peer, bytes, .. } if *peer == Peer(to) => {
            Some(serde_json::from_slice(bytes).unwrap())
        }
        _ => None,
    };
    out.iter().filter_map(frame).collect()
}

fn subscribe(topics: &[&str]) -> String {
    format!(r#"{{"op":"subscribe","req_id":"r1","args":{}}}"#, serde_json::to_string(topics).unwrap())
}

#[test]
fn each_product_has_its_form_of_acknowledgement_and_pong() {
    let mut venue = Venue::new(&SimSetup { seed: 3, ..SimSetup::default() });
    for (n, (product, topic)) in [
        (Product::Spot, "publicTrade.BTCUSDT"),
        (Product::Linear, "publicTrade.BTCUSDT"),
        (Product::Inverse, "publicTrade.BTCUSD"),
        (Product::Option, "publicTrade.BTC"),
    ]
    .into_iter()
    .enumerate()
    {
        let peer = n as u64;
        assert_eq!(venue.open(peer, product), []);
        let ack = venue.say(peer, &subscribe(&[topic])).remove(0);
        let pong = venue.say(peer, r#"{"op":"ping","req_id":"7"}"#).remove(0);
        match product {
            Product::Option => {
                assert_eq!(ack["type"], "COMMAND_RESP");
                assert_eq!(ack["data"]["successTopics"][0], topic);
                assert_eq!(pong["op"], "pong");
            }
            Product::Spot => assert_eq!((&ack["ret_msg"], pong.get("req_id")), (&"subscribe".into(), None)),
            _ => assert_eq!((&ack["ret_msg"], &pong["req_id"]), (&"".into(), &"7".into())),
        }
    }
}

#[test]
fn one_bad_topic_fails_its_request_and_eleven_are_too_many_in_spot() {
    let mut venue = Venue::new(&SimSetup { seed: 3, ..SimSetup::default() });
    venue.open(1, Product::Spot);
    let all = venue.say(1, &subscribe(&["publicTrade.BTCUSDT", "orderbook.7.BTCUSDT"]));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["ret_msg"], "error:handler not found,topic:orderbook.7.BTCUSDT");
    let many: Vec<&str> = std::iter::repeat_n("publicTrade.BTCUSDT", 11).collect();
    assert_eq!(venue.say(1, &subscribe(&many))[0]["success"], false);
    assert_eq!(venue.say(1, &subscribe(&["publicTrade.BTCUSDT"]))[0]["success"], true);
    let again = venue.say(1, &subscribe(&["publicTrade.BTCUSDT"]));
    assert_eq!(again[0]["ret_msg"], "error:already subscribed,topic:publicTrade.BTCUSDT");
    for topic in ["tickers.NOPEUSDT", "allLiquidation.BTCUSDT", "kline.7.BTCUSDT", "orderbook.200"] {
        assert_eq!(venue.say(1, &subscribe(&[topic]))[0]["success"], false, "{topic}");
    }
    assert_eq!(venue.say(1, "{")[0]["success"], false);
    assert_eq!(venue.say(1, r#"{"op":"dance"}"#)[0]["success"], false);
}

#[test]
fn the_first_book_comes_before_or_after_the_acknowledgement_by_seed() {
    for (seed, early) in [(1, true), (3, false)] {
        let mut venue = Venue::new(&SimSetup { seed, ..SimSetup::default() });
        venue.open(1, Product::Linear);
        let all = venue.say(1, &subscribe(&["orderbook.50.BTCUSDT"]));
        assert_eq!(all.len(), 2);
        assert_eq!(all[usize::from(!early)]["type"], "snapshot");
    }
}

#[test]
fn changes_count_by_one_but_for_a_new_beginning_and_two_clients_hear_the_same() {
    let mut venue =
        Venue::new(&SimSetup { seed: 5, instruments: 1, moves_per_s: 300, ..SimSetup::default() });
    for peer in [1, 2] {
        venue.open(peer, Product::Linear);
    }
    let first = venue.say(1, &subscribe(&["orderbook.50.BTCUSDT"]));
    venue.say(2, &subscribe(&["orderbook.50.BTCUSDT"]));
    let mut u = first[0]["data"]["u"].as_u64().unwrap();
    let out = venue.run_ms(60_000);
    let (one, two) = (frames(&out, 1), frames(&out, 2));
    assert_eq!(one, two);
    let mut restarts = 0;
    for frame in one {
        let next = frame["data"]["u"].as_u64().unwrap();
        if frame["type"] == "snapshot" {
            assert_eq!(next, 1);
            restarts += 1;
        } else {
            assert_eq!(next, u + 1);
        }
        u = next;
    }
    assert!(restarts > 0, "the service never began again");
}

#[test]
fn the_best_level_is_repeated_every_three_seconds_with_the_same_number() {
    let mut venue = Venue::new(&SimSetup { seed: 1, instruments: 1, ..SimSetup::default() });
    venue.open(1, Product::Spot);
    let mut out = Vec::new();
    venue.sim.control(SimControl::Pause(true), START, &mut out);
    let first = venue.say(1, &subscribe(&["orderbook.1.BTCUSDT"])).remove(0);
    let again = frames(&venue.run_ms(10_000), 1);
    assert!((3..=4).contains(&again.len()), "{}", again.len());
    assert!(again.iter().all(|f| f["data"] == first["data"] && f["type"] == "snapshot"));
}

#[test]
fn tickers_of_contracts_tell_what_changed_and_those_of_spot_all() {
    let mut venue = Venue::new(&SimSetup { seed: 1, instruments: 1, ..SimSetup::default() });
    for (peer, product, kind) in [(1, Product::Linear, "delta"), (2, Product::Spot, "snapshot")] {
        venue.open(peer, product);
        let first = venue.say(peer, &subscribe(&["tickers.BTCUSDT"])).remove(0);
        let keys = first["data"].as_object().unwrap().len();
        let later = frames(&venue.run_ms(5_000), peer);
        assert!(!later.is_empty());
        for frame in later {
            assert_eq!(frame["type"], kind);
            let now = frame["data"].as_object().unwrap().len();
            assert!(if kind == "delta" { now < keys } else { now == keys });
        }
    }
}

#[test]
fn a_client_that_never_pings_is_closed_after_ten_minutes_and_one_that_does_is_not() {
    let mut venue = Venue::new(&SimSetup { seed: 1, moves_per_s: 0, ..SimSetup::default() });
    venue.open(1, Product::Spot);
    venue.open(2, Product::Spot);
    let mut closed = Vec::new();
    for _ in 0..31 {
        venue.say(2, r#"{"op":"ping"}"#);
        let out = venue.run_ms(20_000);
        closed.extend(out.into_iter().filter_map(|a| match a {
            SimAction::Close { peer, .. } => Some(peer),
            _ => None,
        }));
    }
    assert_eq!(closed, [Peer(1)]);
}

#[test]
fn listings_have_pages_and_the_book_by_rest_is_that_of_a_thousand_levels() {
    let mut venue = Venue::new(&SimSetup { seed: 1, instruments: 5, ..SimSetup::default() });
    let (mut cursor, mut names) = (String::new(), Vec::new());
    loop {
        let path = format!("/v5/market/instruments-info?category=linear&limit=2&cursor={cursor}");
        let result = venue.ask(&path).1["result"].clone();
        names.extend(result["list"].as_array().unwrap().iter().map(|r| r["symbol"].to_string()));
        cursor = result["nextPageCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 6);
    venue.open(1, Product::Linear);
    venue.say(1, &subscribe(&["orderbook.1000.BTCUSDT"]));
    let last = frames(&venue.run_ms(5_000), 1).pop().unwrap();
    let path = "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=1000";
    assert_eq!(venue.ask(path).1["result"]["u"], last["data"]["u"]);
    let mut out = Vec::new();
    venue.sim.control(SimControl::LateSnapshots(5), venue.now, &mut out);
    assert!(venue.ask(path).1["result"]["u"] != last["data"]["u"]);
    venue.sim.control(SimControl::RateLimit(1), venue.now, &mut out);
    assert_eq!(venue.ask(path).0, 429);
    assert_eq!(venue.ask("/v5/market/orderbook?category=linear&symbol=NOPE").1["retCode"], 10_001);
    assert_eq!(venue.ask("/v5/market/orderbook?category=stocks&symbol=NOPE").1["retCode"], 10_001);
    assert_eq!(venue.ask("/v5/market/nothing?category=linear&symbol=BTCUSDT").0, 404);
}

#[test]
fn in_front_of_a_recording_any_symbol_is_acknowledged_and_nothing_sent() {
    let mut venue = Venue::new(&SimSetup { seed: 1, tape: true, ..SimSetup::default() });
    venue.open(1, Product::Linear);
    let mut out = Vec::new();
    let text = subscribe(&["orderbook.50.ANYUSDT", "tickers.ANYUSDT"]);
    venue.sim.on(SimInput::Frame { peer: Peer(1), bytes: text.as_bytes() }, START, &mut out);
    let joined = |key: &str| SimAction::Joined { peer: Peer(1), key: key.to_owned() };
    assert!(matches!(out[0], SimAction::Send { .. }));
    assert_eq!(out[1..3], [joined("orderbook.50.ANYUSDT"), joined("tickers.ANYUSDT")]);
    assert!(venue.run_ms(60_000).iter().all(|a| matches!(a, SimAction::WakeAt(_))));
    let mut out = Vec::new();
    let text = r#"{"op":"unsubscribe","args":["tickers.ANYUSDT"]}"#;
    venue.sim.on(SimInput::Frame { peer: Peer(1), bytes: text.as_bytes() }, venue.now, &mut out);
    assert!(out.contains(&SimAction::Left { peer: Peer(1), key: "tickers.ANYUSDT".to_owned() }));
    for (frame, fresh) in [
        (r#"{"topic":"orderbook.50.ANYUSDT","type":"snapshot","ts":1,"data":{}}"#, true),
        (r#"{"topic":"orderbook.50.ANYUSDT","type":"delta","ts":1,"data":{}}"#, false),
    ] {
        let topic = venue.sim.topic(1, frame.as_bytes()).unwrap();
        assert_eq!((&*topic.key, topic.fresh), ("orderbook.50.ANYUSDT", fresh));
    }
    assert_eq!(venue.sim.topic(1, br#"{"success":true,"ret_msg":"pong","op":"ping"}"#), None);
}

#[test]
fn the_path_tells_the_product_whatever_the_address_and_a_wrong_one_is_not_there() {
    let mut venue = Venue::new(&SimSetup { seed: 3, ..SimSetup::default() });
    let mut out = Vec::new();
    for path in ["/ws", "/v5/public/spread", ""] {
        out.clear();
        venue.sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path }, START, &mut out);
        assert!(matches!(out[0], SimAction::Close { code: 0, .. }), "{path}");
    }
    venue.sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path: "/v5/public/inverse" }, START, &mut out);
    assert_eq!(venue.say(1, &subscribe(&["publicTrade.BTCUSD"]))[0]["success"], true);
}
