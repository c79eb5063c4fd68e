use super::*;
use serde_json::{Value, json};
use source::Peer;

const START: Ts = Ts::from_ms(1_760_000_000_000);

struct Venue {
    sim: DeribitSim,
    now: Ts,
    /// What was sent by the venue and not yet looked at.
    out: Vec<SimAction>,
}

impl Venue {
    fn new(setup: &SimSetup) -> Self {
        let sim = DeribitSim::new(&SimSetup { seed: 1, start: START, ..setup.clone() });
        let mut venue = Self { sim, now: START, out: Vec::new() };
        venue.open(1);
        venue
    }

    fn on(&mut self, input: SimInput<'_>) {
        self.sim.on(input, self.now, &mut self.out);
    }

    fn open(&mut self, peer: u64) {
        self.on(SimInput::Open { peer: Peer(peer), endpoint: 0, path: "/ws/api/v2" });
    }

    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now = self.now.plus_ms(100);
            self.on(SimInput::Wake);
        }
    }

    fn take(&mut self) -> Vec<Value> {
        let sent = std::mem::take(&mut self.out).into_iter();
        sent.filter_map(|a| match a {
            SimAction::Send { bytes, .. } => Some(serde_json::from_slice(&bytes).unwrap()),
            _ => None,
        })
        .collect()
    }

    fn say(&mut self, request: &Value) -> Vec<Value> {
        self.out.clear();
        let bytes = request.to_string();
        self.on(SimInput::Frame { peer: Peer(1), bytes: bytes.as_bytes() });
        self.take()
    }

    fn call(&mut self, method: &str, params: &Value) -> Vec<Value> {
        self.say(&json!({"jsonrpc": "2.0", "id": "x7", "method": method, "params": params}))
    }

    fn subscribe(&mut self, channels: &[&str]) -> Vec<Value> {
        self.call("public/subscribe", &json!({"channels": channels}))
    }

    fn closed(&self) -> Vec<(u16, &str)> {
        let close = |a| match a {
            &SimAction::Close { code, ref reason, .. } => Some((code, reason.as_str())),
            _ => None,
        };
        self.out.iter().filter_map(close).collect()
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        self.out.clear();
        self.on(SimInput::Request { request: 1, endpoint: 0, path });
        let reply = self.out.drain(..).find_map(|a| match a {
            SimAction::Reply { status, body, .. } => Some((status, body)),
            _ => None,
        });
        let (status, body) = reply.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

#[test]
fn the_answer_lists_what_was_taken_and_a_second_subscription_gives_no_snapshot() {
    let mut venue = Venue::new(&SimSetup::default());
    let names = ["book.BTC-PERPETUAL.100ms", "book.NO-SUCH.100ms", "trades.BTC-PERPETUAL.100ms", "nonsense"];
    let frames = venue.subscribe(&names);
    assert_eq!(frames[0]["id"], "x7");
    assert_eq!(frames[0]["result"], json!(["trades.BTC-PERPETUAL.100ms", "book.BTC-PERPETUAL.100ms"]));
    assert!(frames[0]["usIn"].is_u64() && frames[0]["usDiff"].is_u64() && frames[0]["testnet"] == false);
    assert_eq!(frames[1]["params"]["data"]["type"], "snapshot");
    assert_eq!((frames.len(), &frames[1]["id"]), (2, &Value::Null));
    assert_eq!(venue.subscribe(&names[..1]).len(), 1);
    venue.call("public/unsubscribe", &json!({"channels": [names[0]]}));
    assert_eq!(venue.subscribe(&names[..1]).len(), 2);
    assert_eq!(venue.subscribe(&["nonsense"])[0]["result"], json!([]));
}

#[test]
fn raw_needs_a_login_and_fails_the_whole_request_without() {
    let mut venue = Venue::new(&SimSetup::default());
    let names = ["quote.BTC-PERPETUAL", "book.BTC-PERPETUAL.raw"];
    assert_eq!(venue.subscribe(&names)[0]["error"]["code"], 13_778);
    let login = json!({"grant_type": "client_credentials", "client_id": "a", "client_secret": "wrong"});
    assert_eq!(venue.call("public/auth", &login)[0]["error"]["code"], 13_004);
    let login = json!({"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"});
    assert_eq!(venue.call("public/auth", &login)[0]["result"]["expires_in"], 900);
    assert_eq!(venue.subscribe(&names)[0]["result"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_no_request_is_answered_by_its_error() {
    let mut venue = Venue::new(&SimSetup::default());
    venue.out.clear();
    venue.on(SimInput::Frame { peer: Peer(1), bytes: b"{oops" });
    let frames = venue.take();
    assert_eq!((&frames[0]["error"]["code"], &frames[0]["id"]), (&json!(11_050), &Value::Null));
    for (method, params, code) in [
        ("public/nothing", json!({}), -32_601),
        ("private/get_position", json!({}), 13_009),
        ("public/subscribe", json!({"channels": "all"}), -32_602),
        ("public/set_heartbeat", json!({"interval": 9}), -32_602),
        ("public/ticker", json!({"instrument_name": "NO"}), 13_020),
    ] {
        assert_eq!(venue.call(method, &params)[0]["error"]["code"], code, "{method}");
    }
    assert_eq!(venue.call("public/test", &json!({}))[0]["result"]["version"], "1.2.26");
    assert!(venue.call("public/get_time", &json!({}))[0]["result"].is_i64());
}

#[test]
fn requests_beyond_the_credits_are_refused_until_they_grow_again() {
    let mut venue = Venue::new(&SimSetup::default());
    let codes: Vec<bool> =
        (0..12).map(|_| venue.subscribe(&["platform_state"])[0].get("error").is_some()).collect();
    assert_eq!(codes, [[false; 10].as_slice(), &[true; 2]].concat());
    venue.wait(300);
    assert_eq!(venue.subscribe(&["platform_state"])[0]["result"], json!(["platform_state"]));
    let all: Vec<u16> = (0..101).map(|_| venue.get("/api/v2/public/get_time").0).collect();
    assert_eq!((all[0], all[100]), (200, 429));
}

#[test]
fn who_gives_no_sign_of_life_is_closed() {
    let mut venue = Venue::new(&SimSetup { moves_per_s: 0, ..SimSetup::default() });
    venue.call("public/set_heartbeat", &json!({"interval": 10}));
    venue.wait(10_700);
    let types: Vec<Value> = venue.take().into_iter().map(|f| f["params"]["type"].clone()).collect();
    assert!(types.contains(&json!("test_request")) && types.contains(&json!("heartbeat")), "{types:?}");
    venue.call("public/test", &json!({}));
    venue.wait(10_700);
    venue.out.clear();
    venue.wait(9_000);
    assert_eq!(venue.closed(), []);
    venue.wait(2_000);
    assert_eq!(venue.closed(), [(4_000, "heartbeat close")]);
}

#[test]
fn an_idle_connection_and_the_33rd_are_dropped() {
    let mut venue = Venue::new(&SimSetup::default());
    venue.wait(59_000);
    assert_eq!(venue.closed(), []);
    venue.wait(2_000);
    assert_eq!(venue.closed(), [(0, "idle")]);
    venue.out.clear();
    for peer in 1..=33 {
        venue.open(peer);
    }
    assert_eq!(venue.closed(), [(0, "429 too many connections")]);
}

#[test]
fn every_channel_of_the_venue_is_fed() {
    let mut venue = Venue::new(&SimSetup { instruments: 4, moves_per_s: 400, ..SimSetup::default() });
    let names = [
        "book.BTC-PERPETUAL.agg2",
        "book.BTC-PERPETUAL.none.1.100ms",
        "book.ETH_USDC.none.20.agg2",
        "trades.any.any.100ms",
        "trades.future.BTC.agg2",
        "quote.ETH-PERPETUAL",
        "ticker.BTC-25DEC26-100000-C.100ms",
        "ticker.BTC_USDC.agg2",
        "incremental_ticker.BTC-25DEC26",
        "chart.trades.BTC-PERPETUAL.1",
        "perpetual.XRP_USDC-PERPETUAL.100ms",
        "deribit_price_index.btc_usd",
        "deribit_volatility_index.eth_usd",
        "markprice.options.btc_usd",
        "instrument.state.any.any",
    ];
    let taken = venue.subscribe(&names)[0]["result"].as_array().unwrap().len();
    assert_eq!(taken, names.len());
    venue.wait(5_000);
    let frames = venue.take();
    for name in names {
        assert!(frames.iter().any(|f| f["params"]["channel"] == name), "{name} was never fed");
    }
    let empty: Vec<&Value> =
        frames.iter().filter(|f| f["params"]["channel"] == "instrument.state.any.any").collect();
    assert_eq!(empty[0]["params"]["data"]["state"], "started");
}

#[test]
fn a_new_options_book_is_empty_and_its_first_change_follows_zero() {
    let mut venue = Venue::new(&SimSetup { instruments: 4, ..SimSetup::default() });
    let empty = venue.sim.books().into_iter().find(|b| b.seq == Some(0)).unwrap();
    assert!(empty.bids.is_empty() && empty.asks.is_empty());
    let name = format!("book.{}.100ms", empty.instrument.symbol);
    let quote = format!("quote.{}", empty.instrument.symbol);
    let frames = venue.subscribe(&[&name, &quote]);
    assert_eq!(frames[1]["params"]["data"]["change_id"], 0);
    assert_eq!(frames[2]["params"]["data"]["best_bid_amount"], 0.0);
    venue.wait(4_000);
    let first = venue.take().into_iter().find(|f| f["params"]["channel"] == name.as_str()).unwrap();
    assert_eq!(first["params"]["data"]["prev_change_id"], 0);
}

#[test]
fn rest_answers_all_that_a_library_loads_first() {
    let mut venue = Venue::new(&SimSetup::default());
    venue.wait(5_000);
    for path in [
        "get_time",
        "status",
        "get_currencies",
        "get_index_price_names",
        "get_index_price?index_name=btc_usd",
        "get_instruments?currency=any",
        "get_instruments?currency=USDC&kind=spot&expired=false",
        "get_instrument?instrument_name=BTC-PERPETUAL",
        "ticker?instrument_name=BTC-PERPETUAL",
        "get_order_book?instrument_name=BTC-PERPETUAL&depth=5",
        "get_book_summary_by_currency?currency=BTC&kind=future",
        "get_book_summary_by_instrument?instrument_name=BTC_USDC",
        "get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&count=3",
        "get_last_trades_by_currency?currency=BTC&kind=future",
        "get_tradingview_chart_data?instrument_name=BTC-PERPETUAL&start_timestamp=0&end_timestamp=1760000060000&resolution=1",
    ] {
        venue.wait(1_000);
        let (status, answer) = venue.get(&format!("/api/v2/public/{path}"));
        assert_eq!((status, answer["result"].is_null()), (200, false), "{path}: {answer}");
    }
    assert_eq!(venue.get("/api/v2/public/nothing").0, 400);
    assert_eq!(venue.get("/other").0, 404);
}

#[test]
fn numbers_are_written_as_floats() {
    for (mantissa, scale, text) in [
        (25_000, 0, "25000.0"),
        (640_105, 1, "64010.5"),
        (0, 4, "0.0"),
        (1_423, 7, "1.423e-4"),
        (5, 3, "0.005"),
        (120_000, 0, "1.2e5"),
        (128_770, 0, "128770.0"),
        (-135, 1, "-13.5"),
    ] {
        assert_eq!(encode::float(mantissa, scale), text);
    }
}

#[test]
fn in_front_of_a_recording_everything_is_taken_and_nothing_is_told() {
    let mut venue = Venue::new(&SimSetup { tape: true, ..SimSetup::default() });
    let frames = venue.subscribe(&["book.NEW-PERPETUAL.100ms", "book.NEW-PERPETUAL.raw", "quote.NEW"]);
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0]["result"].as_array().unwrap().len(), 3);
    venue.out.clear();
    let request = json!({"id": 1, "method": "public/subscribe", "params": {"channels": ["ticker.A.100ms"]}});
    venue.on(SimInput::Frame { peer: Peer(1), bytes: request.to_string().as_bytes() });
    assert!(venue.out.contains(&SimAction::Joined { peer: Peer(1), key: "ticker.A".to_owned() }));
    let request = json!({"id": 1, "method": "public/unsubscribe", "params": {"channels": ["ticker.A.100ms", "book.NEW-PERPETUAL.raw"]}});
    venue.on(SimInput::Frame { peer: Peer(1), bytes: request.to_string().as_bytes() });
    let left: Vec<&SimAction> = venue.out.iter().filter(|a| matches!(a, SimAction::Left { .. })).collect();
    assert_eq!(left, [&SimAction::Left { peer: Peer(1), key: "ticker.A".to_owned() }]);
    venue.out.clear();
    venue.wait(5_000);
    assert!(venue.take().is_empty());
    let topic = |data: &str| {
        let frame = format!(
            r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"book.A.raw","data":{data}}}}}"#
        );
        venue.sim.topic(0, frame.as_bytes())
    };
    let key = "book.A".to_owned();
    for (data, fresh) in [
        (r#"{"type":"snapshot","change_id":5}"#, true),
        (r#"{"type":"snapshot","prev_change_id":3,"change_id":5}"#, true),
        (r#"{"type":"change","prev_change_id":3,"change_id":5}"#, false),
        (r#"{"type":"change","prev_change_id":0,"change_id":5}"#, true),
        (r#"{"prev_change_id":3,"change_id":5}"#, false),
        (r#"{"change_id":5}"#, true),
    ] {
        assert_eq!(topic(data), Some(Topic { key: key.clone(), fresh }), "{data}");
    }
    assert_eq!(venue.sim.topic(0, br#"{"jsonrpc":"2.0","id":1,"result":[]}"#), None);
}
