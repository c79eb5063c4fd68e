//! The venue's manners: acknowledgements, errors, limits, pings, the end of a connection.

use super::*;

const START: Ts = Ts::from_ms(1_760_000_000_000);

fn open(path: &str, endpoint: usize) -> (BinanceSim, Vec<SimAction>) {
    let mut sim = BinanceSim::new(&SimSetup { start: START, ..SimSetup::default() });
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(1), endpoint, path }, START, &mut out);
    (sim, out)
}

fn say(sim: &mut BinanceSim, text: &str, at_ms: u64) -> Vec<String> {
    let mut out = Vec::new();
    sim.on(SimInput::Frame { peer: Peer(1), bytes: text.as_bytes() }, START.plus_ms(at_ms), &mut out);
    sent(&out).into_iter().filter(|t| !t.contains("\"e\":")).collect()
}

fn sent(out: &[SimAction]) -> Vec<String> {
    let text = |a: &SimAction| match a {
        SimAction::Send { bytes, .. } => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn run(sim: &mut BinanceSim, to_ms: u64) -> Vec<SimAction> {
    let mut out = Vec::new();
    sim.on(SimInput::Wake, START.plus_ms(to_ms), &mut out);
    out
}

#[test]
fn control_messages_are_answered_as_documented() {
    let (mut sim, _) = open("/ws", 0);
    let ask = r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}"#;
    assert_eq!(say(&mut sim, ask, 0), [r#"{"result":null,"id":1}"#]);
    let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":"x"}"#;
    assert_eq!(say(&mut sim, list, 300), [r#"{"result":["btcusdt@aggTrade"],"id":"x"}"#]);
    let set = r#"{"method":"SET_PROPERTY","params":["combined",1],"id":5}"#;
    assert_eq!(
        say(&mut sim, set, 600),
        [r#"{"code":1,"msg":"Invalid value type: expected Boolean","id":5}"#]
    );
    assert!(say(&mut sim, "nonsense", 900)[0].starts_with(r#"{"code":3,"msg":"Invalid JSON"#));
    assert!(
        say(&mut sim, r#"{"method":"SUBSCRIB","id":2}"#, 1_200)[0].contains("unknown variant `SUBSCRIB`")
    );
}

#[test]
fn an_unknown_stream_is_acknowledged_and_silent() {
    let (mut sim, _) = open("/stream", 0);
    let ask = r#"{"method":"SUBSCRIBE","params":["nobody@trade"],"id":1}"#;
    assert_eq!(say(&mut sim, ask, 0), [r#"{"result":null,"id":1}"#]);
    assert_eq!(sent(&run(&mut sim, 10_000)), Vec::<String>::new());
}

#[test]
fn a_stream_of_the_wrong_category_is_acknowledged_and_silent() {
    for (path, fed) in [("/public/stream", true), ("/market/stream", false), ("/stream", true)] {
        let (mut sim, _) = open(path, 1);
        say(&mut sim, r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}"#, 0);
        assert_eq!(!sent(&run(&mut sim, 5_000)).is_empty(), fed, "{path}");
    }
}

#[test]
fn more_than_five_messages_in_a_second_close() {
    let (mut sim, _) = open("/ws", 0);
    let mut out = Vec::new();
    for n in 0..6 {
        let bytes = br#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#;
        sim.on(SimInput::Frame { peer: Peer(1), bytes }, START.plus_ms(n), &mut out);
    }
    assert!(out.iter().any(|a| matches!(a, SimAction::Close { code: 1008, .. })));
}

#[test]
fn a_pong_must_carry_the_payload_of_its_ping() {
    let (mut sim, _) = open("/ws", 0);
    let pinged = run(&mut sim, 20_000);
    let payload = pinged.iter().find_map(|a| match a {
        SimAction::Ping { payload, .. } => Some(payload.clone()),
        _ => None,
    });
    let mut out = Vec::new();
    sim.on(SimInput::Pong { peer: Peer(1), payload: &payload.unwrap() }, START.plus_ms(20_100), &mut out);
    assert!(!out.iter().any(|a| matches!(a, SimAction::Close { .. })));
    run(&mut sim, 41_000);
    sim.on(SimInput::Pong { peer: Peer(1), payload: b"other" }, START.plus_ms(41_100), &mut out);
    assert!(out.iter().any(|a| matches!(a, SimAction::Close { code: 1008, .. })));
}

#[test]
fn a_connection_is_told_of_its_end_and_ended() {
    let (mut sim, _) = open("/stream", 0);
    sim.peers = Peers::new(60_000, None, false);
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path: "/stream" }, START, &mut out);
    assert!(sent(&run(&mut sim, 51_000)).iter().any(|t| t.contains("serverShutdown")));
    assert!(run(&mut sim, 61_000).iter().any(|a| matches!(a, SimAction::Close { code: 1001, .. })));
}

#[test]
fn ratios_of_usdm_have_a_limit_of_their_own_and_cost_no_weight() {
    let (mut sim, _) = open("/ws", 0);
    let mut ask = |endpoint, path: &str| {
        let mut out = Vec::new();
        sim.on(SimInput::Request { request: 1, endpoint, path }, START, &mut out);
        out.iter().find_map(|a| match a {
            SimAction::Reply { status, .. } => Some(*status),
            _ => None,
        })
    };
    let (path, rest) = ("/futures/data/globalLongShortAccountRatio?period=5m", "&limit=1");
    let usdm = format!("{path}&symbol=BTCUSDT{rest}");
    let statuses: Vec<_> = (0..1_001).map(|_| ask(1, &usdm).unwrap()).collect();
    assert_eq!((statuses[0], statuses[999], statuses[1_000]), (200, 200, 429));
    assert_eq!(ask(1, "/fapi/v1/openInterest?symbol=BTCUSDT"), Some(200));
    assert_eq!(ask(2, &format!("{path}&pair=BTCUSD{rest}")), Some(200));
    let no = ["&pair=XYZ", "&symbol=BTCUSD_PERP"].map(|name| ask(2, &format!("{path}{name}")));
    assert_eq!(no, [Some(400); 2], "COIN-M asks for a pair");
    assert_eq!(ask(2, &format!("{path}1&pair=BTCUSD")), Some(400), "no such period");
    assert_eq!(ask(0, &usdm), Some(404), "spot has none");
}

#[test]
fn rest_counts_weight_and_refuses_past_it() {
    let (mut sim, _) = open("/ws", 0);
    let mut statuses = Vec::new();
    for n in 0..150 {
        let mut out = Vec::new();
        let path = "/api/v3/depth?symbol=BTCUSDT&limit=1000";
        sim.on(SimInput::Request { request: n, endpoint: 0, path }, START, &mut out);
        statuses.extend(out.iter().filter_map(|a| match a {
            SimAction::Reply { status, .. } => Some(*status),
            _ => None,
        }));
    }
    assert_eq!((statuses[0], statuses[119], statuses[120], statuses[149]), (200, 200, 429, 418));
    let mut out = Vec::new();
    let path = "/api/v3/depth?symbol=XYZ";
    sim.on(SimInput::Request { request: 1, endpoint: 0, path }, START.plus_ms(60_000), &mut out);
    assert!(out.iter().any(
        |a| matches!(a, SimAction::Reply { status: 400, body, .. } if body.starts_with(b"{\"code\":-1121"))
    ));
}

#[test]
fn times_are_microseconds_where_asked_for() {
    let (mut sim, _) = open("/ws/btcusdt@trade?timeUnit=MICROSECOND", 0);
    let frames = sent(&run(&mut sim, 5_000));
    assert!(!frames.is_empty());
    let long = |frame: &String, key: &str| {
        let digits = frame.split(key).nth(1).unwrap().bytes().take_while(u8::is_ascii_digit).count();
        digits == 16
    };
    assert!(frames.iter().all(|f| long(f, "\"E\":") && long(f, "\"T\":")), "{frames:?}");
}

fn get(sim: &mut BinanceSim, endpoint: usize, path: &str, at_ms: u64) -> (u16, serde_json::Value) {
    let mut out = Vec::new();
    sim.on(SimInput::Request { request: 9, endpoint, path }, START.plus_ms(at_ms), &mut out);
    let answer = out.into_iter().find_map(|a| match a {
        SimAction::Reply { status, body, .. } => Some((status, serde_json::from_slice(&body).unwrap())),
        _ => None,
    });
    answer.unwrap()
}

#[test]
fn bars_of_the_stream_and_of_rest_are_made_of_the_trades() {
    let (mut sim, _) = open("/ws/btcusdt@kline_1s/btcusdt@trade", 0);
    let frames: Vec<serde_json::Value> =
        sent(&run(&mut sim, 30_000)).iter().map(|f| serde_json::from_str(f).unwrap()).collect();
    let mut count = 0;
    for bar in frames.iter().filter(|f| f["e"] == "kline" && f["k"]["x"] == true).map(|f| &f["k"]) {
        let inside = |f: &&serde_json::Value| {
            f["e"] == "trade" && f["T"].as_i64() >= bar["t"].as_i64() && f["T"].as_i64() <= bar["T"].as_i64()
        };
        let trades: Vec<_> = frames.iter().filter(inside).collect();
        // The first bar began when somebody first asked.
        if count > 0 {
            assert_eq!(bar["n"].as_u64(), Some(trades.len() as u64), "{bar}");
        }
        if let (Some(last), true) = (trades.last(), count > 0) {
            assert_eq!((&bar["c"], &bar["L"], &bar["f"]), (&last["p"], &last["t"], &trades[0]["t"]));
        }
        count += 1;
    }
    assert!(count >= 28, "{count}");
    let (status, rows) = get(&mut sim, 0, "/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=5", 30_000);
    assert_eq!((status, rows.as_array().unwrap().len()), (200, 5));
    assert_eq!(get(&mut sim, 1, "/fapi/v1/klines?symbol=BTCUSDT&interval=1s", 30_000).0, 400);
}

#[test]
fn a_usdm_trade_id_may_be_used_up_by_a_row_without_a_price() {
    let (mut sim, _) = open("/public/ws/btcusdt@trade", 1);
    let frames = sent(&run(&mut sim, 120_000));
    assert!(frames.iter().any(|f| f.contains(r#""p":"0","q":"0","X":"NA""#)));
    let id = |f: &String| serde_json::from_str::<serde_json::Value>(f).unwrap()["t"].as_u64().unwrap();
    assert!(frames.windows(2).all(|w| id(&w[0]) < id(&w[1])));
}

#[test]
fn snapshots_stand_at_the_end_of_an_event_or_inside_one() {
    for (endpoint, path, base) in
        [(0, "/ws/btcusdt@depth@100ms", "/api/v3"), (1, "/ws/btcusdt@depth@100ms", "/fapi/v1")]
    {
        let (mut sim, _) = open(path, endpoint);
        let mut spans = Vec::new();
        let mut snapshots = Vec::new();
        for n in 1..600 {
            for frame in sent(&run(&mut sim, n * 97)) {
                let event: serde_json::Value = serde_json::from_str(&frame).unwrap();
                spans.push((event["U"].as_u64().unwrap(), event["u"].as_u64().unwrap()));
            }
            let (_, book) = get(&mut sim, endpoint, &format!("{base}/depth?symbol=BTCUSDT&limit=5"), n * 97);
            if !spans.is_empty() {
                snapshots.push(book["lastUpdateId"].as_u64().unwrap());
            }
        }
        let end = snapshots.iter().filter(|id| spans.iter().any(|(_, last)| last == *id)).count();
        let inside =
            snapshots.iter().filter(|id| spans.iter().any(|(first, last)| first <= *id && *id < last));
        assert!(end > snapshots.len() / 2 && inside.count() > 10, "{end} of {}", snapshots.len());
    }
}

#[test]
fn listings_name_tick_lot_and_limits_and_can_be_read() {
    let (mut sim, _) = open("/ws", 0);
    for (product, symbols) in crate::product::PRODUCTS.iter().zip([3, 4, 4]) {
        let (_, listing) = get(&mut sim, product.endpoint, &format!("{}/exchangeInfo", product.rest), 0);
        assert_eq!(listing["rateLimits"][0]["limit"].as_u64(), Some(product.weight_max.into()));
        let made = crate::listing::read(product, listing.to_string().as_bytes()).unwrap();
        assert_eq!(made.len(), symbols);
        assert!(made.iter().all(|i| !i.provisional && i.tick.is_some() && i.lot.is_some()));
    }
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let frames = |seed| {
        let mut sim = BinanceSim::new(&SimSetup { seed, start: START, ..SimSetup::default() });
        let mut out = Vec::new();
        let path = "/stream?streams=btcusdt@depth@100ms/ethusdt@trade/btcusdt@bookTicker";
        sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path }, START, &mut out);
        sim.on(SimInput::Wake, START.plus_ms(5_000), &mut out);
        sent(&out)
    };
    assert_eq!(frames(3), frames(3));
    assert_ne!(frames(3), frames(4));
}
