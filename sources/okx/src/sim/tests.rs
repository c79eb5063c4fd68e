//! The simulated venue keeps the rules of the wire.

use super::*;
use crate::subscribe::{BUSINESS, PUBLIC};
use serde_json::Value;

struct Venue {
    sim: OkxSim,
    now: Ts,
}

const START: Ts = Ts(1_760_000_000_000_000_000);

impl Venue {
    fn new(seed: u64, quirks: Quirks) -> Self {
        let setup = SimSetup { seed, start: START, ..SimSetup::default() };
        Self { sim: OkxSim::with(&setup, quirks), now: START }
    }

    fn on(&mut self, input: SimInput<'_>) -> Vec<SimAction> {
        let mut out = Vec::new();
        self.sim.on(input, self.now, &mut out);
        out.retain(|a| !matches!(a, SimAction::WakeAt(_)));
        out
    }

    fn open(&mut self, peer: u64, path: &str) -> Vec<SimAction> {
        self.on(SimInput::Open { peer: Peer(peer), endpoint: 0, path })
    }

    fn say(&mut self, peer: u64, text: &str) -> Vec<Value> {
        read(&self.on(SimInput::Frame { peer: Peer(peer), bytes: text.as_bytes() }))
    }

    fn wait(&mut self, ms: u64) -> Vec<SimAction> {
        let mut all = Vec::new();
        for _ in 0..ms / 10 {
            self.now = self.now.plus_ms(10);
            all.extend(self.on(SimInput::Wake));
        }
        all
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        let actions = self.on(SimInput::Request { request: 1, endpoint: 0, path });
        let Some(SimAction::Reply { status, body, .. }) = actions.into_iter().next_back() else {
            panic!("{path}")
        };
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn read(actions: &[SimAction]) -> Vec<Value> {
    let frames = actions.iter().filter_map(|a| match a {
        SimAction::Send { bytes, .. } => Some(bytes),
        _ => None,
    });
    frames.map(|bytes| serde_json::from_slice(bytes).unwrap()).collect()
}

fn closes(actions: &[SimAction]) -> Vec<u16> {
    let code = |a: &SimAction| match a {
        SimAction::Close { code, .. } => Some(*code),
        _ => None,
    };
    actions.iter().filter_map(code).collect()
}

fn subscribe(channel: &str, of: &str) -> String {
    format!(r#"{{"id":"7","op":"subscribe","args":[{{"channel":"{channel}","instId":"{of}"}}]}}"#)
}

#[test]
fn one_acknowledgement_for_each_argument_also_for_a_repeated_one() {
    let mut venue = Venue::new(1, Quirks::default());
    venue.open(1, PUBLIC);
    let two = r#"{"id":"7","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT"}]}"#;
    for _ in 0..2 {
        let said = venue.say(1, two);
        let acks: Vec<_> = said.iter().filter(|v| v["event"] == "subscribe").collect();
        assert_eq!(acks.len(), 2);
        assert!(acks.iter().all(|v| v["id"] == "7" && v["connId"].is_string()));
        let books: Vec<_> = said.iter().filter(|v| v["action"] == "snapshot").collect();
        assert_eq!(books.len(), 1);
        assert_eq!(books[0]["data"][0]["prevSeqId"], -1);
    }
    let ended = venue.say(1, &two.replace("subscribe", "unsubscribe"));
    assert_eq!(ended.iter().filter(|v| v["event"] == "unsubscribe").count(), 2);
    assert!(read(&venue.wait(2_000)).is_empty());
}

#[test]
fn every_fault_of_a_request_has_its_code() {
    let mut venue = Venue::new(1, Quirks::default());
    venue.open(1, PUBLIC);
    venue.open(2, BUSINESS);
    for (peer, text, code) in [
        (1, "{".to_owned(), "60012"),
        (1, r#"{"op":"subscribe","args":[]}"#.to_owned(), "60012"),
        (1, r#"{"op":"subscribe","args":[{"channel":"books"}]}"#.to_owned(), "60013"),
        (1, r#"{"op":"dance","args":[]}"#.to_owned(), "60019"),
        (1, subscribe("books", "XXX-YYY"), "60018"),
        (1, subscribe("nothing", "BTC-USDT"), "60018"),
        (1, subscribe("funding-rate", "BTC-USDT"), "60018"),
        (1, subscribe("opt-summary", "DOGE-USD").replace("instId", "instFamily"), "60018"),
        (1, subscribe("candle1m", "BTC-USDT"), "64001"),
        (1, subscribe("books-l2-tbt", "BTC-USDT"), "60011"),
        (2, subscribe("trades", "BTC-USDT"), "64002"),
    ] {
        let said = venue.say(peer, &text);
        assert_eq!((&said[0]["event"], &said[0]["code"]), (&"error".into(), &code.into()), "{text}");
        assert_eq!(said.len(), 1);
    }
    assert_eq!(venue.say(2, &subscribe("candle1m", "BTC-USDT"))[0]["event"], "subscribe");
    for _ in 0..480 {
        venue.say(2, &subscribe("candle1m", "BTC-USDT"));
    }
    assert_eq!(venue.say(2, &subscribe("candle1m", "BTC-USDT"))[0]["code"], "60014");
}

#[test]
fn a_silent_connection_is_closed_unless_it_pings() {
    let mut venue = Venue::new(1, Quirks::default());
    venue.open(1, PUBLIC);
    venue.open(2, PUBLIC);
    venue.wait(25_000);
    let ping = venue.on(SimInput::Frame { peer: Peer(2), bytes: b"ping" });
    assert!(matches!(&ping[0], SimAction::Send { bytes, .. } if bytes == b"pong"));
    assert_eq!(closes(&venue.wait(10_000)), [4004]);
}

#[test]
fn connections_are_refused_beyond_three_a_second_and_on_unknown_paths() {
    let mut venue = Venue::new(1, Quirks::default());
    assert_eq!(closes(&venue.open(9, "/ws")), [0]);
    for peer in 1..=3 {
        assert!(venue.open(peer, PUBLIC).is_empty());
    }
    assert_eq!(closes(&venue.open(4, PUBLIC)), [0]);
    venue.wait(1_000);
    assert!(venue.open(4, PUBLIC).is_empty());
}

#[test]
fn the_chain_of_a_book_holds_with_all_its_oddities() {
    let (mut resets, mut strange, mut alive) = (0, 0, 0);
    for seed in 0..4 {
        let mut venue = Venue::new(seed, Quirks::default());
        venue.open(1, PUBLIC);
        let mut frames = venue.say(1, &subscribe("books", "BTC-USDT"));
        frames.extend(read(&venue.wait(60_000)));
        venue.sim.control(SimControl::Pause(true), venue.now, &mut Vec::new());
        for _ in 0..4 {
            venue.on(SimInput::Frame { peer: Peer(1), bytes: b"ping" });
            frames.extend(read(&venue.wait(20_000)));
        }
        let mut held: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
        let mut last = -1;
        for row in frames.iter().filter(|f| f["action"].is_string()).map(|f| &f["data"][0]) {
            let (prev, seq) = (row["prevSeqId"].as_i64().unwrap(), row["seqId"].as_i64().unwrap());
            assert!(last == prev, "{last} then {prev}");
            assert_eq!(row["checksum"], 0);
            resets += u32::from(seq < prev);
            alive += u32::from(seq == prev);
            last = seq;
            for level in row["asks"].as_array().unwrap() {
                let px = level[0].as_str().unwrap().to_owned();
                if level[1] == "0" { strange += u32::from(!held.remove(&px)) } else { _ = held.insert(px) }
            }
        }
    }
    assert!(resets > 0 && strange > 100 && alive >= 4, "{resets} {strange} {alive}");
}

#[test]
fn parallel_connections_hear_the_same_numbers_and_best_comes_before_book() {
    let mut venue = Venue::new(2, Quirks::default());
    let frames: Vec<Vec<SimAction>> = {
        venue.open(1, PUBLIC);
        venue.open(2, PUBLIC);
        for peer in [1, 2] {
            for channel in ["books5", "books", "bbo-tbt"] {
                venue.say(peer, &subscribe(channel, "BTC-USDT"));
            }
        }
        let all = venue.wait(5_000);
        [1, 2]
            .map(|n| {
                all.iter()
                    .filter(|a| matches!(a, SimAction::Send { peer, .. } if peer.0 == n))
                    .cloned()
                    .collect()
            })
            .into()
    };
    let (one, two) = (read(&frames[0]), read(&frames[1]));
    assert!(one.len() > 50);
    assert_eq!(one, two);
    let mut best = 0;
    for frame in &one {
        let seq = frame["data"][0]["seqId"].as_i64().unwrap();
        match frame["arg"]["channel"].as_str().unwrap() {
            "bbo-tbt" => best = seq,
            "books" => assert!(best <= seq || seq < 1_000),
            _ => {}
        }
    }
}

#[test]
fn a_suspended_instrument_is_told_of_and_does_not_trade_until_it_is_live() {
    let mut venue = Venue::new(1, Quirks::default());
    venue.open(1, PUBLIC);
    let option = "ETH-USD-261225-100000-P";
    let listed = r#"{"id":"1","op":"subscribe","args":[{"channel":"instruments","instType":"OPTION"}]}"#;
    assert_eq!(venue.say(1, listed)[1]["data"].as_array().unwrap().len(), 2);
    venue.say(1, &subscribe("trades", option));
    venue.say(1, &subscribe("books", option));
    let path = "/api/v5/public/instruments?instType=OPTION&instFamily=ETH-USD";
    // A connection on which nothing is sent is closed.
    venue.say(1, &subscribe("bbo-tbt", "BTC-USDT"));
    let (mut state, mut told, mut heard) = ("live".to_owned(), Vec::new(), [0, 0]);
    for _ in 0..1_900 {
        for frame in read(&venue.wait(100)) {
            if frame["arg"]["instId"] == "BTC-USDT" {
                continue;
            }
            if frame["arg"]["channel"] != "instruments" {
                heard[usize::from(state == "suspend")] += 1;
                continue;
            }
            let row = &frame["data"][0];
            assert_eq!((&row["instId"], frame["data"].as_array().unwrap().len()), (&option.into(), 1));
            state = row["state"].as_str().unwrap().to_owned();
            assert_eq!(venue.get(path).1["data"][0], *row, "the listing says the same");
            told.push(state.clone());
        }
    }
    assert_eq!(told, ["suspend", "live", "suspend", "live"]);
    assert!(heard[0] > 20 && heard[1] == 0, "{heard:?}");
}

#[test]
fn a_family_hears_its_options_and_their_values_move() {
    let mut venue = Venue::new(1, Quirks::default());
    venue.open(1, PUBLIC);
    let first = venue.say(1, &subscribe("opt-summary", "BTC-USD").replace("instId", "instFamily"));
    assert_eq!((&first[0]["event"], first.len()), (&"subscribe".into(), 2));
    let mut frames = vec![first[1].clone()];
    frames.extend(read(&venue.wait(30_000)));
    let mut values = std::collections::BTreeSet::new();
    for frame in &frames {
        assert_eq!(frame["arg"]["instFamily"], "BTC-USD");
        let row = &frame["data"][0];
        assert_eq!(
            (&row["instId"], frame["data"].as_array().unwrap().len()),
            (&"BTC-USD-261225-100000-C".into(), 1)
        );
        let number = |key: &str| row[key].as_str().unwrap().parse::<f64>().unwrap();
        assert!(number("deltaBS") > 0.0 && number("deltaBS") < 1.0 && number("gammaBS") > 0.0, "{row}");
        assert!(number("thetaBS") < 0.0 && number("vegaBS") > 0.0, "{row}");
        values.insert((row["deltaBS"].to_string(), row["markVol"].to_string()));
    }
    assert!(frames.len() > 25 && values.len() > 10, "{} {}", frames.len(), values.len());
}

#[test]
fn rest_has_the_book_with_its_number_and_says_when_it_is_too_much() {
    let mut venue = Venue::new(3, Quirks::default());
    venue.wait(1_000);
    let (status, book) = venue.get("/api/v5/market/books?instId=BTC-USDT&sz=400");
    assert_eq!((status, &book["code"]), (200, &"0".into()));
    assert!(book["data"][0]["seqId"].as_i64().unwrap() > 0);
    assert_eq!(venue.get("/api/v5/market/books?instId=NO-NO").1["code"], "51001");
    for path in [
        "/api/v5/public/time",
        "/api/v5/system/status",
        "/api/v5/market/tickers?instType=SPOT",
        "/api/v5/market/ticker?instId=BTC-USDT",
        "/api/v5/market/trades?instId=BTC-USDT",
        "/api/v5/market/candles?instId=BTC-USDT&bar=1m",
        "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD",
        "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract?instId=BTC-USDT-SWAP",
    ] {
        assert_eq!(venue.get(path).1["code"], "0", "{path}");
    }
    assert_eq!(venue.get("/api/v5/nothing").0, 404);
    venue.sim.control(SimControl::RateLimit(1), venue.now, &mut Vec::new());
    let (status, limited) = venue.get("/api/v5/public/time");
    assert_eq!((status, &limited["code"]), (429, &"50011".into()));
    assert_eq!(venue.get("/api/v5/public/time").0, 200);
    let statuses: Vec<u16> = (0..40).map(|_| venue.get("/api/v5/public/time").0).collect();
    assert!(statuses.contains(&429));
}

#[test]
fn a_ratio_stands_for_its_period_and_pages_by_time() {
    let mut venue = Venue::new(1, Quirks::default());
    let path = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract?period=5m&instId=";
    let rows = |venue: &mut Venue, query: &str| -> Vec<(i64, String)> {
        let answer = venue.get(&format!("{path}{query}")).1;
        let row =
            |row: &Value| (row[0].as_str().unwrap().parse().unwrap(), row[1].as_str().unwrap().to_owned());
        answer["data"].as_array().unwrap().iter().map(row).collect()
    };
    let all = rows(&mut venue, "BTC-USDT-SWAP");
    assert_eq!((all.len(), all[0].0), (100, 1_759_999_800_000));
    assert!(all.windows(2).all(|w| w[1].0 == w[0].0 - 300_000 && w[1].1 != w[0].1), "{all:?}");
    let older = format!("BTC-USDT-SWAP&limit=5&end={}", all[9].0);
    venue.now = venue.now.plus_ms(300_000);
    assert_eq!(rows(&mut venue, &older), all[10..15]);
    let newer = format!("BTC-USDT-SWAP&begin={}", all[0].0);
    assert_eq!(rows(&mut venue, &newer).len(), 1);
    assert_ne!(rows(&mut venue, "BTC-USD-261225&limit=1"), rows(&mut venue, "BTC-USDT-SWAP&limit=1"));
    assert_eq!(venue.get(&format!("{path}BTC-USDT")).1["code"], "51001");
}

#[test]
fn late_snapshots_are_older_and_the_updates_since_follow() {
    let mut venue = Venue::new(2, Quirks { legacy_checksum: true, no_snapshot: false });
    venue.open(1, PUBLIC);
    venue.wait(10_000);
    let new =
        venue.get("/api/v5/market/books?instId=BTC-USDT&sz=400").1["data"][0]["seqId"].as_i64().unwrap();
    venue.sim.control(SimControl::LateSnapshots(5), venue.now, &mut Vec::new());
    let old =
        venue.get("/api/v5/market/books?instId=BTC-USDT&sz=400").1["data"][0]["seqId"].as_i64().unwrap();
    assert!(old < new);
    let frames = venue.say(1, &subscribe("books", "BTC-USDT"));
    assert_eq!(frames.len(), 1 + 1 + 5);
    assert_eq!(frames[1]["data"][0]["seqId"], old);
    assert_eq!(frames[6]["data"][0]["seqId"], new);
}

#[test]
fn a_clock_far_ahead_is_taken_as_it_is() {
    let mut sim = OkxSim::new(&SimSetup::default());
    let mut out = Vec::new();
    sim.on(SimInput::Wake, START, &mut out);
    assert!(matches!(out.last(), Some(SimAction::WakeAt(at)) if at.ms_since(START) <= 100));
}
