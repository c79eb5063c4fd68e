use super::*;
use model::Channel;
use serde_json::Value;
use source::Source;

const START: Ts = Ts::from_ms(1_760_000_000_000);

struct Venue {
    sim: HtxSim,
    now: Ts,
    inflater: Inflater,
    raw: Vec<SimAction>,
}

impl Venue {
    fn new(setup: &SimSetup) -> Self {
        let setup = SimSetup { start: START, ..setup.clone() };
        Self { sim: HtxSim::new(&setup), now: START, inflater: Inflater::default(), raw: Vec::new() }
    }

    fn on(&mut self, input: SimInput<'_>) -> Vec<(u64, Value)> {
        self.raw.clear();
        self.sim.on(input, self.now, &mut self.raw);
        self.texts()
    }

    fn texts(&mut self) -> Vec<(u64, Value)> {
        let mut all = Vec::new();
        for action in &self.raw {
            if let SimAction::Send { peer, bytes, binary } = action {
                assert!(binary, "every frame is packed");
                let text = self.inflater.member(bytes).unwrap();
                all.push((peer.0, serde_json::from_slice(text).unwrap()));
            }
        }
        all
    }

    fn open(&mut self, peer: u64, endpoint: usize, path: &str) {
        self.on(SimInput::Open { peer: Peer(peer), endpoint, path });
    }

    fn says(&mut self, peer: u64, text: &str) -> Vec<Value> {
        let all = self.on(SimInput::Frame { peer: Peer(peer), bytes: text.as_bytes() });
        all.into_iter().filter(|(p, _)| *p == peer).map(|(_, v)| v).collect()
    }

    fn pass(&mut self, ms: u64) -> Vec<(u64, Value)> {
        self.now = self.now.plus_ms(ms);
        self.on(SimInput::Wake)
    }

    fn get(&mut self, endpoint: usize, path: &str) -> (u16, Value) {
        self.raw.clear();
        self.sim.on(SimInput::Request { request: 1, endpoint, path }, self.now, &mut self.raw);
        let reply = self.raw.iter().find_map(|a| match a {
            SimAction::Reply { status, body, .. } => Some((*status, serde_json::from_slice(body).unwrap())),
            _ => None,
        });
        reply.unwrap()
    }

    fn closes(&self) -> Vec<u16> {
        let code = |a: &SimAction| match a {
            SimAction::Close { code, .. } => Some(*code),
            _ => None,
        };
        self.raw.iter().filter_map(code).collect()
    }
}

fn venue() -> Venue {
    Venue::new(&SimSetup { moves_per_s: 200, ..SimSetup::default() })
}

#[test]
fn books_by_changes_are_served_on_their_own_socket_only() {
    let mut venue = venue();
    venue.open(1, 0, "/ws");
    venue.open(2, 0, "/feed");
    let sub = r#"{"sub":"market.btcusdt.mbp.150","id":7}"#;
    let refused = venue.says(1, sub);
    assert_eq!(refused[0]["status"], "error");
    assert!(refused[0]["err-msg"].as_str().unwrap().contains("invalid topic"));
    let agreed = venue.says(2, sub);
    assert_eq!((&agreed[0]["subbed"], &agreed[0]["id"]), (&"market.btcusdt.mbp.150".into(), &7.into()));
    let refused = venue.says(2, r#"{"sub":"market.btcusdt.bbo","id":"a"}"#);
    assert_eq!((&refused[0]["status"], &refused[0]["id"]), (&"error".into(), &"a".into()));
    venue.open(3, 1, "/nowhere");
    assert_eq!(venue.closes(), [0]);
}

#[test]
fn requests_for_books_are_answered_once_in_a_tenth_of_a_second() {
    let mut venue = venue();
    venue.open(1, 0, "/feed");
    let req = r#"{"req":"market.btcusdt.mbp.150","id":"r"}"#;
    let first = venue.says(1, req);
    assert_eq!((&first[0]["rep"], &first[0]["status"]), (&"market.btcusdt.mbp.150".into(), &"ok".into()));
    assert!(first[0]["data"]["seqNum"].is_u64());
    let early = venue.says(1, req);
    assert_eq!(early[0]["err-msg"], "429 too many request");
    venue.pass(100);
    assert_eq!(venue.says(1, req)[0]["status"], "ok");
}

#[test]
fn changes_of_a_spot_book_chain_from_its_snapshot_on() {
    let mut venue = venue();
    venue.open(1, 0, "/feed");
    venue.says(1, r#"{"sub":"market.btcusdt.mbp.150","id":"s"}"#);
    let mut last: Option<u64> = None;
    let mut n = 0;
    for _ in 0..200 {
        for (_, frame) in venue.pass(50).iter().filter(|(_, f)| f.get("tick").is_some()) {
            let (prev, seq) = (frame["tick"]["prevSeqNum"].as_u64(), frame["tick"]["seqNum"].as_u64());
            assert!(last.is_none() || prev == last, "{frame}");
            assert!(seq > prev);
            (last, n) = (seq, n + 1);
        }
    }
    assert!(n > 50);
    venue.sim.control(SimControl::Pause(true), venue.now, &mut venue.raw);
    let truth = venue.sim.books().into_iter().find(|b| &*b.instrument.symbol == "btcusdt").unwrap();
    let answer = venue.says(1, r#"{"req":"market.btcusdt.mbp.150","id":"r"}"#);
    assert_eq!(answer[0]["data"]["seqNum"].as_u64(), truth.seq);
    assert_eq!(answer[0]["data"]["bids"].as_array().unwrap().len(), truth.bids.len());
    // Late ones are as many pushes old as was asked.
    venue.sim.control(SimControl::LateSnapshots(3), venue.now, &mut venue.raw);
    venue.pass(200);
    let late = venue.says(1, r#"{"req":"market.btcusdt.mbp.150","id":"r"}"#);
    assert!(late[0]["data"]["seqNum"].as_u64() < truth.seq);
}

#[test]
fn a_contracts_book_counts_by_one_and_a_second_subscription_goes_on_in_the_chain() {
    let mut venue = venue();
    venue.open(1, 1, "/linear-swap-ws");
    venue.open(2, 1, "/linear-swap-ws");
    let sub = r#"{"sub":"market.BTC-USDT.depth.size_150.high_freq","data_type":"incremental","id":"s"}"#;
    let first = venue.says(1, sub);
    assert_eq!(first[1]["tick"]["event"], "snapshot");
    let mut version = first[1]["tick"]["version"].as_u64().unwrap();
    let mut empty = 0;
    for round in 0..400 {
        for (_, frame) in venue.pass(30).iter().filter(|(_, f)| f.get("tick").is_some()) {
            assert_eq!(frame["tick"]["event"], "update");
            assert_eq!(frame["tick"]["version"].as_u64(), Some(version + 1));
            version += 1;
            let none = |side: &str| frame["tick"][side].as_array().unwrap().is_empty();
            empty += u32::from(none("bids") && none("asks"));
        }
        if round == 200 {
            let again = venue.says(1, sub);
            let snapshot = again.iter().find(|f| f["tick"]["event"] == "snapshot").unwrap();
            assert_eq!(snapshot["tick"]["version"].as_u64(), Some(version));
        }
    }
    assert!(empty > 0, "a version may change nothing");
    // Without the word, whole books come under the same name.
    venue.says(2, r#"{"sub":"market.BTC-USDT.depth.size_150.high_freq","id":"s"}"#);
    let pushed = venue.pass(1_000);
    assert!(pushed.iter().any(|(p, _)| *p == 2));
    let whole = |(p, f): &(u64, Value)| *p != 2 || f["ping"].is_u64() || f["tick"]["event"] == "snapshot";
    assert!(pushed.iter().all(whole));
}

#[test]
fn the_last_trade_comes_first_and_of_contracts_before_the_acknowledgement() {
    let mut venue = venue();
    venue.pass(20_000);
    venue.open(1, 0, "/ws");
    venue.open(2, 1, "/swap-ws");
    let spot = venue.says(1, r#"{"sub":"market.btcusdt.trade.detail","id":"s"}"#);
    assert!(spot[0].get("subbed").is_some() && spot[1].get("ch").is_some());
    let swap = venue.says(2, r#"{"sub":"market.BTC-USD.trade.detail","id":"s"}"#);
    assert!(swap[0].get("ch").is_some() && swap[1].get("subbed").is_some());
}

#[test]
fn whoever_does_not_answer_pings_is_closed_and_a_wrong_number_is_no_answer() {
    let mut venue = venue();
    venue.open(1, 0, "/ws");
    venue.open(2, 1, "/linear-swap-ws");
    venue.open(3, 1, "/linear-swap-notification");
    let mut closed = Vec::new();
    for second in 1..=40 {
        for (peer, frame) in venue.pass(1_000) {
            if peer == 3 && frame["op"] == "ping" {
                let pong = format!(r#"{{"op":"pong","ts":{}}}"#, frame["ts"]);
                venue.says(3, &pong);
            } else if frame["ping"].is_u64() {
                venue.says(peer, r#"{"pong":1}"#);
            }
        }
        venue.sim.on(SimInput::Wake, venue.now, &mut venue.raw);
        for action in &venue.raw {
            if let SimAction::Close { peer, code, .. } = action {
                closed.push((peer.0, *code, second));
            }
        }
        let known: Vec<u64> = venue.sim.peers.all().iter().map(|p| p.0).collect();
        if second == 16 {
            assert_eq!(known, [2, 3], "spot misses two pings");
        }
    }
    assert_eq!(venue.sim.peers.all(), [Peer(3)], "contracts miss four");
    assert!(closed.iter().all(|(_, code, _)| *code == 1_003), "{closed:?}");
}

#[test]
fn subscriptions_are_refused_or_agreed_to_and_never_fed() {
    let mut venue = venue();
    venue.open(1, 0, "/ws");
    venue.sim.control(SimControl::RefuseSubscriptions(2), venue.now, &mut venue.raw);
    let silent = venue.says(1, r#"{"sub":"market.btcusdt.bbo","id":"a"}"#);
    assert_eq!((silent.len(), &silent[0]["status"]), (1, &"ok".into()));
    let refused = venue.says(1, r#"{"sub":"market.ethusdt.bbo","id":"b"}"#);
    assert_eq!(refused[0]["status"], "error");
    assert!(!venue.pass(3_000).iter().any(|(_, f)| f.get("ch").is_some()));
    assert!(venue.says(1, r#"{"sub":"market.ethusdt.bbo","id":"b"}"#).len() > 1);
}

#[test]
fn rest_is_limited_on_demand_and_what_it_does_not_know_is_refused() {
    let mut venue = venue();
    venue.sim.control(SimControl::RateLimit(1), venue.now, &mut venue.raw);
    assert_eq!(venue.get(0, "/v1/common/symbols").0, 429);
    let (status, body) = venue.get(0, "/v1/common/symbols");
    assert_eq!((status, body["data"].as_array().unwrap().len()), (200, 3));
    assert_eq!(venue.get(1, "/linear-swap-api/v1/swap_contract_info").1["data"].as_array().unwrap().len(), 3);
    assert_eq!(
        venue.get(1, "/linear-swap-api/v1/swap_contract_info?business_type=all").1["data"][1]["contract_code"],
        "BTC-USDT-261225"
    );
    assert_eq!(venue.get(0, "/nowhere").0, 404);
    assert_eq!(venue.get(0, "/market/depth?symbol=nosuch&type=step0").1["status"], "error");
    for (endpoint, path) in [
        (0, "/v2/reference/currencies"),
        (0, "/market/depth?symbol=btcusdt&type=step0"),
        (0, "/market/detail/merged?symbol=btcusdt"),
        (0, "/market/tickers"),
        (1, "/swap-ex/market/depth?contract_code=BTC-USD&type=step0"),
        (1, "/linear-swap-ex/market/detail/merged?contract_code=BTC-USDT"),
        (1, "/linear-swap-api/v1/swap_batch_funding_rate"),
        (1, "/api/v1/contract_contract_info"),
    ] {
        let (status, body) = venue.get(endpoint, path);
        assert!(status == 200 && (body["status"] == "ok" || body["code"] == 200), "{path}: {body}");
    }
}

#[test]
fn its_end_is_told_on_sockets_of_notifications_before_they_close() {
    let mut venue = venue();
    venue.open(1, 1, "/swap-notification");
    venue.open(2, 1, "/swap-ws");
    venue.raw.clear();
    venue.sim.control(SimControl::CloseAll, venue.now, &mut venue.raw);
    let told = venue.texts();
    assert_eq!((told.len(), told[0].0, &told[0].1["op"]), (1, 1, &"close".into()));
    assert_eq!(venue.closes(), [1_001, 1_001]);
}

#[test]
fn in_front_of_a_recording_any_symbol_is_agreed_to_and_nothing_is_sent() {
    let mut venue = Venue::new(&SimSetup { tape: true, moves_per_s: 500, ..SimSetup::default() });
    venue.open(1, 1, "/swap-ws");
    let agreed = venue.says(1, r#"{"sub":"market.ATOM-USD.depth.step0","id":"6"}"#);
    assert_eq!((agreed.len(), &agreed[0]["subbed"]), (1, &"market.ATOM-USD.depth.step0".into()));
    let key = "market.ATOM-USD.depth.step0".to_owned();
    assert!(venue.raw.contains(&SimAction::Joined { peer: Peer(1), key: key.clone() }));
    let sent = venue.pass(6_000);
    assert!(sent.iter().all(|(_, f)| f["ping"].is_u64()) && !sent.is_empty(), "{sent:?}");
    venue.says(1, r#"{"unsub":"market.ATOM-USD.depth.step0","id":"6"}"#);
    assert!(venue.raw.contains(&SimAction::Left { peer: Peer(1), key }));
}

#[test]
fn recorded_frames_belong_to_the_subscription_that_they_name() {
    let sim = HtxSim::new(&SimSetup { tape: true, ..SimSetup::default() });
    let mut packer = encode::Packer::default();
    for (text, key, fresh) in [
        (
            r#"{"ch":"market.btcusdt.mbp.150","ts":1,"tick":{"seqNum":2,"prevSeqNum":1}}"#,
            Some("market.btcusdt.mbp.150"),
            false,
        ),
        (
            r#"{"id":"1","status":"ok","rep":"market.btcusdt.mbp.150","data":{"seqNum":2}}"#,
            Some("market.btcusdt.mbp.150"),
            true,
        ),
        (
            r#"{"ch":"market.X-USD.depth.size_150.high_freq","tick":{"event":"update"},"ts":1}"#,
            Some("market.X-USD.depth.size_150.high_freq"),
            false,
        ),
        (
            r#"{"ch":"market.X-USD.depth.size_150.high_freq","tick":{"event":"snapshot"},"ts":1}"#,
            Some("market.X-USD.depth.size_150.high_freq"),
            true,
        ),
        (
            r#"{"ch":"market.X-USD.trade.detail","ts":1,"tick":{"data":[]}}"#,
            Some("market.X-USD.trade.detail"),
            true,
        ),
        (
            r#"{"op":"notify","topic":"public.*.funding_rate","ts":1,"data":[]}"#,
            Some("public.*.funding_rate"),
            true,
        ),
        (r#"{"id":"1","subbed":"market.X-USD.trade.detail","ts":1,"status":"ok"}"#, None, false),
        (r#"{"op":"sub","topic":"public.X.funding_rate","ts":1,"err-code":0}"#, None, false),
        (r#"{"ping":1}"#, None, false),
        ("garbage", None, false),
    ] {
        let expected = key.map(|key| Topic { key: key.to_owned(), fresh });
        assert_eq!(sim.topic(0, text.as_bytes()), expected, "{text}");
        assert_eq!(sim.topic(0, &packer.pack(text.as_bytes())), expected, "{text}");
    }
}

#[test]
fn every_channel_offered_has_a_topic_or_is_polled() {
    let setup = SimSetup { start: START, ..SimSetup::default() };
    let sim = HtxSim::new(&setup);
    let mut found = BTreeSet::new();
    for truth in sim.books() {
        for spec in crate::Htx.spec().channels {
            let want = source::Want { instrument: truth.instrument.clone(), channel: spec.channel };
            let options = source::Options::default();
            if crate::subscribe::topic(&want, &options).is_some() || crate::subscribe::polled(&want).is_some()
            {
                found.insert(spec.channel);
            }
        }
    }
    let offered: BTreeSet<Channel> = crate::Htx.spec().channels.iter().map(|c| c.channel).collect();
    assert_eq!(found, offered);
}
