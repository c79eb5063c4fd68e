//! What a client of the simulated venue sees.

use super::*;
use serde_json::Value;

const START: Ts = Ts::from_ms(1_760_000_000_000);

fn sim(seed: u64, tape: bool) -> GateSim {
    GateSim::new(&SimSetup { seed, start: START, instruments: 2, tape, ..SimSetup::default() })
}

fn open(sim: &mut GateSim, path: &str) -> Vec<SimAction> {
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path }, START, &mut out);
    out
}

fn say(sim: &mut GateSim, text: &str, ms: u64) -> Vec<Value> {
    let mut out = Vec::new();
    sim.on(SimInput::Frame { peer: Peer(1), bytes: text.as_bytes() }, START.plus_ms(ms), &mut out);
    frames(&out)
}

fn wake(sim: &mut GateSim, ms: u64) -> Vec<SimAction> {
    let mut out = Vec::new();
    sim.on(SimInput::Wake, START.plus_ms(ms), &mut out);
    out
}

fn frames(out: &[SimAction]) -> Vec<Value> {
    let read = |a: &SimAction| match a {
        SimAction::Send { bytes, .. } => Some(serde_json::from_slice(bytes).unwrap()),
        _ => None,
    };
    out.iter().filter_map(read).collect()
}

fn ask(channel: &str, event: &str, payload: &str) -> String {
    format!(r#"{{"time":1760000000,"id":9,"channel":"{channel}","event":"{event}","payload":{payload}}}"#)
}

#[test]
fn requests_are_acknowledged_or_refused_in_the_venues_words() {
    let mut s = sim(1, false);
    open(&mut s, "/ws/v4/");
    let ack = &say(&mut s, &ask("spot.trades", "subscribe", r#"["BTC_USDT"]"#), 0)[0];
    assert_eq!(
        (&ack["id"], &ack["error"], &ack["result"]["status"]),
        (&9.into(), &Value::Null, &"success".into())
    );
    let bad = [
        (ask("spot.trades", "subscribe", r#"["NO_PE"]"#), 2),
        (ask("spot.candlesticks", "subscribe", r#"["7m","BTC_USDT"]"#), 2),
        (ask("futures.trades", "subscribe", r#"["BTC_USDT"]"#), 2),
        (ask("spot.trades", "subscribe", r#"["BTC_USDT"]"#).replace("1760000000", "1759999900"), 2),
        ("nonsense".to_owned(), 1),
    ];
    for (request, code) in bad {
        assert_eq!(say(&mut s, &request, 0)[0]["error"]["code"], code, "{request}");
    }
    assert_eq!(say(&mut s, r#"{"time":1760000000,"channel":"spot.ping"}"#, 0)[0]["channel"], "spot.pong");
}

#[test]
fn a_pushed_book_comes_whole_and_then_without_a_hole() {
    for depth in [50, 400] {
        let mut s = sim(1, false);
        open(&mut s, "/v4/ws/usdt");
        let payload = format!(r#"["ob.BTC_USDT.{depth}"]"#);
        let said = say(&mut s, &ask("futures.obu", "subscribe", &payload), 0);
        assert_eq!((&said[0]["error"], &said[1]["result"]["full"]), (&Value::Null, &true.into()));
        let mut seq = said[1]["result"]["u"].as_u64().unwrap();
        let mut n = 0;
        for frame in frames(&wake(&mut s, 20_000)) {
            assert_eq!(frame["result"]["U"], seq + 1);
            seq = frame["result"]["u"].as_u64().unwrap();
            n += 1;
        }
        assert!(n > 50, "{n}");
        assert_eq!(say(&mut s, &ask("futures.obu", "subscribe", &payload), 20_000)[0]["error"]["code"], 2);
        let unknown = say(&mut s, &ask("futures.obu", "subscribe", r#"["ob.NO_PE.50"]"#), 20_000);
        assert!(unknown.len() == 1 && unknown[0]["error"].is_null(), "acknowledged and silent");
    }
}

#[test]
fn a_connection_that_asks_for_nothing_is_closed_and_pings_keep_it() {
    let mut s = sim(1, false);
    open(&mut s, "/ws/v4");
    let closed = |out: &[SimAction]| out.iter().any(|a| matches!(a, SimAction::Close { .. }));
    assert!(!closed(&wake(&mut s, 30_000)));
    say(&mut s, r#"{"time":1760000030,"channel":"spot.ping"}"#, 30_100);
    s.on(SimInput::Pong { peer: Peer(1), payload: b"" }, START.plus_ms(30_200), &mut Vec::new());
    assert!(!closed(&wake(&mut s, 60_000)));
    assert!(closed(&wake(&mut s, 61_000)));
    assert!(closed(&open(&mut s, "/elsewhere")));
}

#[test]
fn the_end_of_a_connection_is_told_before() {
    let mut s = sim(1, false);
    open(&mut s, "/ws/v4/");
    let mut out = Vec::new();
    s.control(SimControl::CloseAll, START, &mut out);
    assert_eq!(frames(&out)[0]["type"], "upgrade");
    assert!(out.iter().any(|a| matches!(a, SimAction::Close { code: 1001, .. })));
}

#[test]
fn in_front_of_a_recording_anything_is_acknowledged_and_frames_belong_to_subscriptions() {
    let mut s = sim(1, true);
    open(&mut s, "/v4/ws/usdt");
    let rows = [
        ("futures.trades", r#"["X_USDT"]"#, r#"[{"contract":"X_USDT","id":1}]"#, true),
        ("futures.order_book_update", r#"["X_USDT","100ms","100"]"#, r#"{"s":"X_USDT","U":1,"u":2}"#, false),
        ("futures.candlesticks", r#"["1m","X_USDT"]"#, r#"[{"c":"1","n":"1m_X_USDT"}]"#, true),
        ("futures.contract_stats", r#"["X_USDT","1m"]"#, r#"[{"contract":"X_USDT"}]"#, true),
        ("futures.obu", r#"["ob.X_USDT.50"]"#, r#"{"s":"ob.X_USDT.50","full":true}"#, true),
        ("futures.obu", r#"["ob.Y_USDT.50"]"#, r#"{"s":"ob.Y_USDT.50","U":3}"#, false),
    ];
    for (channel, payload, result, fresh) in rows {
        let mut out = Vec::new();
        let request = ask(channel, "subscribe", payload);
        s.on(SimInput::Frame { peer: Peer(1), bytes: request.as_bytes() }, START, &mut out);
        let joined = out.iter().find_map(|a| match a {
            SimAction::Joined { key, .. } => Some(key.clone()),
            _ => None,
        });
        let frame = format!(r#"{{"channel":"{channel}","event":"update","result":{result}}}"#);
        let topic = Sim::topic(&s, 1, frame.as_bytes()).unwrap();
        assert_eq!((Some(topic.key), topic.fresh), (joined, fresh), "{frame}");
    }
    assert_eq!(frames(&wake(&mut s, 10_000)), Vec::<Value>::new());
    assert_eq!(Sim::topic(&s, 1, br#"{"channel":"futures.pong","event":"","result":null}"#), None);
    let ack = br#"{"channel":"futures.trades","event":"subscribe","result":{"status":"success"}}"#;
    assert_eq!(Sim::topic(&s, 1, ack), None);
}

#[test]
fn sizes_of_contracts_are_whole_numbers_or_texts_by_seed() {
    for (seed, text) in [(3, false), (1, true)] {
        let mut s = sim(seed, false);
        let mut out = Vec::new();
        let path = "/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=5&with_id=true";
        s.on(SimInput::Request { request: 1, endpoint: 1, path }, START, &mut out);
        let SimAction::Reply { status: 200, body, .. } = &out[0] else { panic!("{out:?}") };
        let book: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(book["bids"][0]["s"].is_string(), text);
        assert_eq!(book["asks"].as_array().unwrap().len(), 5);
    }
}
