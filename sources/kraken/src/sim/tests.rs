//! The simulated venue as a client sees it.

use super::*;
use serde_json::Value;

const START: Ts = Ts::from_ms(1_760_000_000_000);
const A: Peer = Peer(1);
const B: Peer = Peer(2);

struct Venue {
    sim: KrakenSim,
    now: Ts,
}

impl Venue {
    fn new(moves_per_s: u32) -> Self {
        let setup = SimSetup { seed: 5, start: START, instruments: 3, moves_per_s, ..SimSetup::default() };
        Self { sim: KrakenSim::new(&setup), now: START }
    }

    fn on(&mut self, input: SimInput<'_>) -> Vec<SimAction> {
        let mut out = Vec::new();
        self.sim.on(input, self.now, &mut out);
        out
    }

    fn open(&mut self, peer: Peer, endpoint: usize, path: &str) -> Vec<String> {
        frames(&self.on(SimInput::Open { peer, endpoint, path }), peer)
    }

    fn say(&mut self, peer: Peer, text: &str) -> Vec<String> {
        frames(&self.on(SimInput::Frame { peer, bytes: text.as_bytes() }), peer)
    }

    fn wait(&mut self, ms: u64) -> Vec<SimAction> {
        self.now = self.now.plus_ms(ms);
        self.on(SimInput::Wake)
    }
}

fn frames(out: &[SimAction], to: Peer) -> Vec<String> {
    let text = |a: &SimAction| match a {
        SimAction::Send { peer, bytes, .. } if *peer == to => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn it_says_hello_acknowledges_each_symbol_and_refuses_by_name() {
    let mut v = Venue::new(0);
    let hello = v.open(A, crate::SPOT, "/v2");
    assert!(value(&hello[0])["data"][0]["connection_id"].as_u64().unwrap() > i64::MAX as u64);
    let out = v.say(A, r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","XBT/USD","ETH/USD"],"depth":25},"req_id":7}"#);
    let kinds: Vec<(bool, bool)> =
        out.iter().map(|f| (f.contains(r#""success":true"#), f.contains("snapshot\",\"data"))).collect();
    assert_eq!(kinds, [(true, false), (false, true), (false, false), (true, false), (false, true)]);
    let refused = value(&out[2]);
    assert_eq!(refused["error"], "Currency pair not supported XBT/USD");
    assert_eq!((&refused["symbol"], &refused["req_id"]), (&Value::from("XBT/USD"), &Value::from(7)));
    for (request, words) in [
        (
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":25}}"#,
            "Already subscribed",
        ),
        (
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":7}}"#,
            "Subscription depth not supported",
        ),
        (
            r#"{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"],"interval":7}}"#,
            "Subscription ohlc interval not supported",
        ),
        (
            r#"{"method":"subscribe","params":{"channel":"books","symbol":["BTC/USD"]}}"#,
            "Subscription name invalid",
        ),
        (
            r#"{"method":"unsubscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}"#,
            "Subscription Not Found",
        ),
        (r#"{"method":"jump"}"#, "Unsupported method"),
        ("nonsense", "Malformed request"),
    ] {
        assert_eq!(value(&v.say(A, request)[0])["error"], words, "{request}");
    }
    let pong = value(&v.say(A, r#"{"method":"ping","req_id":1}"#)[0]);
    assert_eq!((&pong["method"], &pong["req_id"]), (&Value::from("pong"), &Value::from(1)));
}

#[test]
fn each_depth_is_fed_by_itself_and_ends_as_the_true_book_cut_to_it() {
    let mut v = Venue::new(400);
    v.open(A, crate::SPOT, "/v2");
    v.open(B, crate::SPOT, "/v2");
    let ask = |depth| {
        format!(
            r#"{{"method":"subscribe","params":{{"channel":"book","symbol":["BTC/USD"],"depth":{depth}}}}}"#
        )
    };
    let mut books = [(A, 10, v.say(A, &ask(10))), (B, 25, v.say(B, &ask(25)))];
    let out = v.wait(20_000);
    let (mut unexplained, mut twice) = (0, 0);
    for (peer, depth, heard) in &mut books {
        heard.extend(frames(&out, *peer));
        let mut held = [std::collections::BTreeMap::new(), std::collections::BTreeMap::new()];
        for frame in heard.iter().filter(|f| f.starts_with(r#"{"channel":"book""#)) {
            let row = value(frame)["data"][0].clone();
            for (side, name) in held.iter_mut().zip(["bids", "asks"]) {
                let mut seen = Vec::new();
                for level in row[name].as_array().unwrap() {
                    let (px, qty) = (level["price"].to_string(), level["qty"].to_string());
                    let key = model::parse_mantissa(px.as_bytes(), 2).unwrap();
                    twice += usize::from(seen.contains(&key));
                    seen.push(key);
                    if qty == "0" {
                        side.remove(&key)
                    } else {
                        side.insert(key, qty)
                    };
                }
                while side.len() > *depth {
                    unexplained += 1;
                    _ = if name == "bids" { side.pop_first() } else { side.pop_last() };
                }
            }
        }
        let truth = v.sim.spot.view(0, *depth);
        let texts =
            |levels: &[model::Level]| levels.iter().map(|l| (l.px.0, encode::number(l.qty.0, 8))).collect();
        assert_eq!(held, [texts(&truth.bids), texts(&truth.asks)], "depth {depth}");
    }
    assert!(unexplained > 10, "levels fall out without a word");
    assert!(twice > 0, "a message may hold one price twice");
}

#[test]
fn a_quiet_connection_gets_a_sign_of_life_each_second_and_an_idle_one_is_closed() {
    let mut v = Venue::new(0);
    v.open(A, crate::SPOT, "/v2");
    v.open(B, crate::SPOT, "/v2");
    v.say(A, r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}"#);
    let out = v.wait(10_000);
    assert_eq!(frames(&out, A), vec![r#"{"channel":"heartbeat"}"#; 10]);
    assert!(frames(&out, B).is_empty());
    let out = v.wait(51_000);
    assert!(out.iter().any(|a| matches!(a, SimAction::Close { peer: B, .. })));
    assert!(!out.iter().any(|a| matches!(a, SimAction::Close { peer: A, .. })));
}

#[test]
fn contracts_are_numbered_and_complaints_name_nobody() {
    let mut v = Venue::new(300);
    assert_eq!(v.open(A, crate::FUTURES, "/ws/v1"), [r#"{"event":"info","version":1}"#]);
    let out = v.say(A, r#"{"event":"subscribe","feed":"book","product_ids":["pf_xbtusd","PF_NONEUSD"]}"#);
    assert_eq!(out[0], r#"{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}"#);
    assert_eq!(value(&out[1])["feed"], "book_snapshot");
    assert_eq!(out[2], r#"{"event":"error","message":"Invalid product id"}"#);
    let mut seq = value(&out[1])["seq"].as_u64().unwrap();
    for frame in frames(&v.wait(5_000), A) {
        let change = value(&frame);
        assert_eq!(change["seq"].as_u64(), Some(seq + 1));
        seq += 1;
    }
    let book = v.sim.books().into_iter().find(|b| &*b.instrument.symbol == "PF_XBTUSD").unwrap();
    assert_eq!(book.seq, Some(seq));
    for (request, words) in [("x", "Json Error"), (r#"{"event":"subscribe","feed":"x"}"#, "Invalid feed")] {
        assert!(v.say(A, request).iter().any(|f| f.contains(words)));
    }
    v.say(A, r#"{"event":"subscribe","feed":"heartbeat"}"#);
    assert_eq!(frames(&v.wait(3_000), A).iter().filter(|f| f.contains("heartbeat")).count(), 3);
}

#[test]
fn wrong_paths_are_refused_and_everyone_can_be_sent_away() {
    let mut v = Venue::new(0);
    for (endpoint, path) in [(0, "/ws/v1"), (0, "/"), (1, "/v2"), (2, "/v2")] {
        let out = v.on(SimInput::Open { peer: A, endpoint, path });
        assert!(out.iter().any(|a| matches!(a, SimAction::Close { code: 0, .. })), "{path}");
    }
    v.open(A, crate::SPOT, "/v2");
    v.open(B, crate::FUTURES, "/ws/v1");
    let mut out = Vec::new();
    v.sim.control(SimControl::CloseAll, v.now, &mut out);
    assert!(frames(&out, A)[0].contains(r#""system":"maintenance""#));
    assert_eq!(out.iter().filter(|a| matches!(a, SimAction::Close { code: 1001, .. })).count(), 2);
}

#[test]
fn a_client_of_the_retired_stream_can_hear_a_recording() {
    let setup = SimSetup { start: START, tape: true, ..SimSetup::default() };
    let mut v = Venue { sim: KrakenSim::new(&setup), now: START };
    assert!(v.open(A, crate::SPOT, "/")[0].contains("systemStatus"));
    let text = r#"{"event":"subscribe","pair":["XBT/USD"],"subscription":{"name":"book","depth":1000}}"#;
    let out = v.on(SimInput::Frame { peer: A, bytes: text.as_bytes() });
    let ack = value(&frames(&out, A)[0]);
    assert_eq!(
        (&ack["channelName"], &ack["status"]),
        (&Value::from("book-1000"), &Value::from("subscribed"))
    );
    let key = "book/BTC/USD".to_owned();
    assert!(out.contains(&SimAction::Joined { peer: A, key: key.clone() }));
    let out =
        v.on(SimInput::Frame { peer: A, bytes: text.replace("subscribe\"", "unsubscribe\"").as_bytes() });
    assert!(out.contains(&SimAction::Left { peer: A, key }));
}
