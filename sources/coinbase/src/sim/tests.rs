use super::*;
use serde_json::Value;

const NOW: Ts = Ts::from_ms(1_760_000_000_000);

fn sim(setup: &SimSetup) -> CoinbaseSim {
    CoinbaseSim::new(&SimSetup { start: NOW, instruments: 2, ..setup.clone() })
}

fn open(sim: &mut CoinbaseSim, peer: u64, feed: Feed) -> Vec<SimAction> {
    open_at(sim, peer, feed, NOW)
}

fn open_at(sim: &mut CoinbaseSim, peer: u64, feed: Feed, now: Ts) -> Vec<SimAction> {
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(peer), endpoint: feed.endpoint(), path: "/" }, now, &mut out);
    out
}

fn say(sim: &mut CoinbaseSim, peer: u64, text: &str, now: Ts) -> Vec<Value> {
    let mut out = Vec::new();
    sim.on(SimInput::Frame { peer: Peer(peer), bytes: text.as_bytes() }, now, &mut out);
    frames(&out)
}

fn frames(out: &[SimAction]) -> Vec<Value> {
    out.iter()
        .filter_map(|a| match a {
            SimAction::Send { bytes, .. } => Some(serde_json::from_slice(bytes).unwrap()),
            _ => None,
        })
        .collect()
}

fn wake(sim: &mut CoinbaseSim, now: Ts) -> Vec<SimAction> {
    let mut out = Vec::new();
    sim.on(SimInput::Wake, now, &mut out);
    out
}

fn closed(out: &[SimAction]) -> Option<u16> {
    out.iter().find_map(|a| match a {
        SimAction::Close { code, .. } => Some(*code),
        _ => None,
    })
}

const LEVEL2: &str = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}"#;

#[test]
fn a_connection_counts_every_frame_from_nought() {
    let mut sim = sim(&SimSetup::default());
    open(&mut sim, 1, Feed::Advanced);
    let mut all = say(&mut sim, 1, LEVEL2, NOW);
    assert_eq!(all[0]["events"][0]["type"], "snapshot", "the book comes before the acknowledgement");
    assert_eq!(all[1]["events"][0]["subscriptions"]["level2"][0], "BTC-USD");
    all.extend(say(&mut sim, 1, r#"{"type":"subscribe","channel":"heartbeats"}"#, NOW));
    all.extend(frames(&wake(&mut sim, NOW.plus_ms(5_000))));
    assert!(all.len() > 30);
    for (n, frame) in all.iter().enumerate() {
        assert_eq!(frame["sequence_num"], n, "{frame}");
    }
    assert!(all.iter().any(|f| f["channel"] == "heartbeats"));
    open(&mut sim, 2, Feed::Advanced);
    assert_eq!(say(&mut sim, 2, LEVEL2, NOW.plus_ms(5_000))[0]["sequence_num"], 0, "each its own");
}

#[test]
fn an_alias_is_acknowledged_and_fed_under_the_name_of_its_product() {
    let mut sim = sim(&SimSetup::default());
    open(&mut sim, 1, Feed::Advanced);
    let all = say(&mut sim, 1, r#"{"type":"subscribe","product_ids":["BTC-USDC"],"channel":"level2"}"#, NOW);
    assert_eq!(all[0]["events"][0]["product_id"], "BTC-USD");
}

#[test]
fn bad_requests_are_answered_in_the_venues_words() {
    let mut sim = sim(&SimSetup::default());
    open(&mut sim, 1, Feed::Advanced);
    open(&mut sim, 2, Feed::Exchange);
    for (peer, text, part) in [
        (1, "{", "Malformed JSON"),
        (
            1,
            r#"{"type":"subscribe","product_ids":["BTC-USD","XXX-YYY"],"channel":"level2"}"#,
            "XXX-YYY is not a valid product",
        ),
        (
            1,
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level9"}"#,
            "level9 is not a valid channel",
        ),
        (1, r#"{"type":"subscribe","channel":"level2"}"#, "at least one product"),
        (1, r#"{"type":"dance"}"#, "not a valid type"),
        (
            2,
            r#"{"type":"subscribe","product_ids":["XXX-YYY"],"channels":["matches"]}"#,
            "XXX-YYY is not a valid product",
        ),
        (2, r#"{"type":"subscribe","product_ids":["BTC-USD"]}"#, "channels must be provided"),
    ] {
        let all = say(&mut sim, peer, text, NOW);
        assert_eq!(all.len(), 1, "{text}");
        assert_eq!(all[0]["type"], "error");
        let words = format!("{} {}", all[0]["message"], all[0]["reason"]);
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn who_subscribes_to_nothing_or_hears_nothing_is_closed() {
    let mut sim = sim(&SimSetup { moves_per_s: 0, ..SimSetup::default() });
    open(&mut sim, 1, Feed::Advanced);
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(4_900))), None);
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(5_050))), Some(1008));
    open_at(&mut sim, 2, Feed::Advanced, NOW.plus_ms(5_100));
    say(&mut sim, 2, LEVEL2, NOW.plus_ms(5_100));
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(70_000))), None);
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(81_000))), Some(1000));
    open_at(&mut sim, 3, Feed::Advanced, NOW.plus_ms(81_000));
    say(&mut sim, 3, r#"{"type":"subscribe","channel":"heartbeats"}"#, NOW.plus_ms(81_000));
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(400_000))), None, "heartbeats keep it open");
}

#[test]
fn limits_lifetime_and_pings_hold() {
    let mut sim = sim(&SimSetup { lifetime_ms: Some(60_000), ping_ms: Some(10_000), ..SimSetup::default() });
    for peer in 0..16 {
        assert_eq!(closed(&open(&mut sim, peer, Feed::Exchange)), None);
    }
    assert_eq!(closed(&open(&mut sim, 16, Feed::Exchange)), Some(0), "too many connections");
    let mut last = Vec::new();
    for _ in 0..17 {
        last = say(
            &mut sim,
            0,
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["heartbeat"]}"#,
            NOW,
        );
    }
    assert_eq!(last[0]["message"], "rate limit exceeded");
    let pinged = |out: &[SimAction]| out.iter().any(|a| matches!(a, SimAction::Ping { .. }));
    assert!(pinged(&wake(&mut sim, NOW.plus_ms(10_000))));
    assert_eq!(closed(&wake(&mut sim, NOW.plus_ms(60_000))), Some(1001));
}

#[test]
fn exchange_acknowledges_first_and_under_its_own_name_of_the_book() {
    let mut sim = sim(&SimSetup::default());
    wake(&mut sim, NOW.plus_ms(2_000));
    open(&mut sim, 1, Feed::Exchange);
    let ask =
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2_batch","matches","ticker"]}"#;
    let all = say(&mut sim, 1, ask, NOW.plus_ms(2_000));
    let words: Vec<&str> = all.iter().filter_map(|f| f["type"].as_str()).collect();
    assert_eq!(words, ["subscriptions", "snapshot", "last_match", "ticker"]);
    assert_eq!(all[0]["channels"][0]["name"], "level2_50");
    // The maker's side in the match, the taker's in the ticker.
    assert_ne!(all[2]["side"], all[3]["side"]);
    assert_eq!(all[2]["trade_id"], all[3]["trade_id"]);
}

#[test]
fn both_feeds_tell_the_same_books() {
    let mut sim = sim(&SimSetup { moves_per_s: 500, ..SimSetup::default() });
    wake(&mut sim, NOW.plus_ms(10_000));
    let (advanced, exchange) = (sim.books_of(Feed::Advanced), sim.books_of(Feed::Exchange));
    assert_eq!((advanced.len(), exchange.len()), (8, 2));
    for book in &exchange {
        let same = advanced.iter().find(|b| b.instrument.symbol == book.instrument.symbol).unwrap();
        assert_eq!((&same.bids, &same.asks), (&book.bids, &book.asks));
    }
}

fn get(sim: &mut CoinbaseSim, endpoint: usize, path: &str, now: Ts) -> (u16, Value) {
    let mut out = Vec::new();
    sim.on(SimInput::Request { request: 1, endpoint, path }, now, &mut out);
    let found = out.into_iter().find_map(|a| match a {
        SimAction::Reply { status, body, .. } => Some((status, serde_json::from_slice(&body).unwrap())),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn what_client_libraries_load_first_is_served() {
    let mut sim = sim(&SimSetup::default());
    let (status, all) = get(&mut sim, 0, "/api/v3/brokerage/market/products", NOW);
    assert_eq!((status, all["num_products"].as_u64()), (200, Some(8)));
    for (endpoint, path, pointer) in [
        (0, "/api/v3/brokerage/market/products?product_type=SPOT&limit=1&offset=1", "/products/0/alias"),
        (
            0,
            "/api/v3/brokerage/market/products?product_type=FUTURE",
            "/products/0/future_product_details/contract_size",
        ),
        (0, "/api/v3/brokerage/market/products/BTC-USD", "/price_increment"),
        (0, "/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=5", "/pricebook/bids/4/price"),
        (0, "/api/v3/brokerage/time", "/epochMillis"),
        (0, "/v2/currencies", "/data/0/id"),
        (0, "/v2/currencies/crypto", "/data/0/code"),
        (0, "/v2/exchange-rates?currency=USD", "/data/rates/BTC"),
        (1, "/products", "/0/quote_increment"),
        (1, "/currencies", "/0/id"),
        (1, "/products/BTC-USD/book?level=2", "/asks/19/0"),
        (1, "/products/BTC-USD/ticker", "/price"),
        (1, "/products/BTC-USD/stats", "/volume"),
        (1, "/time", "/iso"),
    ] {
        let (status, body) = get(&mut sim, endpoint, path, NOW);
        assert!(status == 200 && body.pointer(pointer).is_some(), "{path}: {status} {body}");
    }
    for (endpoint, path) in
        [(0, "/"), (1, "/products/XXX-YYY/book"), (0, "/api/v3/brokerage/market/products/XXX"), (7, "/")]
    {
        assert_eq!(get(&mut sim, endpoint, path, NOW).0, 404, "{path}");
    }
}

#[test]
fn books_by_rest_may_be_late_and_requests_limited() {
    let mut sim = sim(&SimSetup { moves_per_s: 500, ..SimSetup::default() });
    let path = "/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=100";
    wake(&mut sim, NOW.plus_ms(1_000));
    let before = get(&mut sim, 0, path, NOW.plus_ms(1_000)).1["pricebook"]["bids"].clone();
    let pushes = 3;
    for n in 1..=pushes {
        wake(&mut sim, NOW.plus_ms(1_000 + n * 50));
    }
    let now = NOW.plus_ms(1_000 + pushes * 50);
    assert_ne!(get(&mut sim, 0, path, now).1["pricebook"]["bids"], before);
    sim.control(SimControl::LateSnapshots(3), now, &mut Vec::new());
    assert_eq!(get(&mut sim, 0, path, now).1["pricebook"]["bids"], before);
    sim.control(SimControl::RateLimit(1), now, &mut Vec::new());
    assert_eq!(get(&mut sim, 0, path, now).0, 429);
    assert_eq!(get(&mut sim, 0, path, now).0, 200);
}
