//! What is asked once.

use crate::world::{World, event, http, level, perpetual, spot, world};
use model::{Body, Channel, LaneFact, Proof};
use serde_json::{Value, json};
use std::sync::Arc;

async fn with_book() -> World {
    let world = world().await;
    let btc = spot("BTC", "USDT");
    world.define(&btc);
    world.define(&perpetual("BTC", "USDT"));
    world.define(&spot("ETH", "USDT"));
    world.snapshot(&btc, 7, &[level(10_000, 1_000), level(9_990, 500)], &[level(10_010, 250)]);
    world
}

#[tokio::test]
async fn a_book_is_found_by_every_common_spelling() {
    let world = with_book().await;
    for spelling in
        ["BTC/USDT", "BTC-USDT", "BTCUSDT", "btc_usdt", "BTC%2FUSDT", "BTC/USDT@v", "spot:BTCUSDT"]
    {
        let (status, book) = world.get(&format!("/api/v1/orderbook/v/{spelling}")).await;
        assert_eq!((status, &book["instrument"]), (200, &json!("BTC/USDT@v")), "{spelling}: {book}");
    }
    for spelling in ["BTC/USDT:USDT", "BTC%2FUSDT%3AUSDT"] {
        let (status, fail) = world.get(&format!("/api/v1/orderbook/v/{spelling}")).await;
        assert_eq!((status, &fail["error"]), (404, &json!("not_collected")), "{fail}");
        assert!(fail["message"].as_str().unwrap().contains("BTC/USDT:USDT@v"), "{fail}");
    }
}

#[tokio::test]
async fn a_book_carries_its_state_its_place_and_exact_numbers() {
    let world = with_book().await;
    let (_, book) = world.get("/api/v1/orderbook/v/BTC/USDT?depth=1").await;
    for (field, want) in [
        ("symbol", json!("BTCUSDT")),
        ("exchange", json!("v")),
        ("source", json!("v")),
        ("state", json!("live")),
        ("lane_state", json!("live")),
        ("epoch", json!(1)),
        ("seq", json!(7)),
        ("sequence_id", json!(7)),
        ("number", json!(4)),
        ("bus_epoch", json!(1_700_000_000_000_u64)),
        ("ts_recv", json!(1_700_000_000_000_000_000_u64)),
        ("ts_event", json!(1_699_999_999_997_000_000_u64)),
        ("timestamp", json!(1_699_999_999_997_u64)),
        ("bids", json!([["100", "1"]])),
        ("asks", json!([["100.1", "0.25"]])),
        ("best_bid", json!("100")),
        ("best_ask", json!("100.1")),
        ("spread", json!("0.1")),
    ] {
        assert_eq!(book[field], want, "{field} in {book}");
    }
}

#[tokio::test]
async fn a_book_that_is_not_live_says_so_and_has_no_levels() {
    let world = with_book().await;
    let btc = spot("BTC", "USDT");
    world.gap(&btc);
    let (status, book) = world.get("/api/v1/orderbook/v/BTC/USDT").await;
    assert_eq!((status, &book["state"], &book["bids"]), (200, &json!("gap"), &json!([])));
    assert_eq!(book["best_bid"], Value::Null);
    let eth = spot("ETH", "USDT");
    let fact = LaneFact::Asked { proof: Proof::Sequence, quiet_ms: None };
    world.bus.publish(event(&eth, Channel::Book, Body::Lane(fact)), crate::world::NOW);
    let (status, book) = world.get("/api/v1/orderbook/v/ETH/USDT").await;
    assert_eq!((status, &book["state"]), (200, &json!("syncing")));
    world.snapshot(&btc, 9, &[level(10_020, 1)], &[level(10_010, 1)]);
    let (_, book) = world.get("/api/v1/orderbook/v/BTC/USDT").await;
    assert_eq!((&book["state"], &book["spread"]), (&json!("crossed"), &json!("-0.1")));
}

#[tokio::test]
async fn every_mistake_is_told_as_json() {
    let world = with_book().await;
    let coins = [spot("BTC", "USDT"), spot("SOL", "USD")];
    for product in ["a", "b"] {
        let made = model::Instrument { product: product.into(), ..(*coins[1]).clone() };
        let id = model::InstrumentId::of("v", product, "SOLUSD");
        let name = format!("SOL/USD-{product}@v").into();
        world.define(&Arc::new(model::Instrument { id, name, ..made }));
    }
    for (path, status, error, hint) in [
        ("/nothing", 404, "not_found", "/nothing"),
        ("/api/v1/orderbook/v", 404, "not_found", ""),
        ("/api/v1/orderbook/w/BTC/USDT", 404, "unknown_exchange", "v"),
        ("/api/v1/orderbook/v/BCT/USDT", 404, "unknown_instrument", "BTC/USDT@v"),
        ("/api/v1/orderbook/v/SOLUSD", 409, "ambiguous_instrument", "SOL/USD-b@v"),
        ("/api/v1/orderbook/v/BTC%FF", 400, "bad_path", ""),
        ("/api/v1/orderbook/v/BTC/USDT?depth=0", 400, "bad_parameter", "1 to 5000"),
        ("/api/v1/orderbook/v/BTC/USDT?depth=5001", 400, "bad_parameter", "5001"),
        ("/api/v1/orderbook/v/BTC/USDT?depth=ten", 400, "bad_parameter", "ten"),
        ("/api/v1/orderbook/v/BTC/USDT?dept=5", 400, "bad_parameter", "known: depth"),
        ("/api/v1/trades/v/BTC/USDT", 404, "not_collected", "book"),
        ("/api/v1/trades/v/BTC/USDT?limit=-1", 400, "bad_parameter", "limit"),
        ("/api/v1/quote/v/ETH/USDT", 404, "not_collected", ""),
        ("/api/v1/symbols?exchange=w", 404, "unknown_exchange", "v"),
        ("/api/v1/symbols?limit=0", 400, "bad_parameter", "limit"),
        ("/api/v1/health?x=1", 400, "bad_parameter", "x"),
        ("/api/v1/stream", 426, "websocket_only", "WebSocket"),
    ] {
        let (got, fail) = world.get(path).await;
        assert_eq!((got, fail["error"].as_str()), (status, Some(error)), "{path}: {fail}");
        assert_eq!(fail["code"], status, "{path}");
        assert!(fail.to_string().contains(hint), "{path}: {fail}");
    }
}

#[tokio::test]
async fn a_wrong_method_and_a_large_body_are_told_as_json() {
    let world = world().await;
    for (address, path) in [(world.at.http, "/api/v1/health"), (world.at.probe, "/health/live")] {
        let answer =
            http(address, &format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).await;
        let fail: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &fail["error"]), (405, &json!("method_not_allowed")));
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
    }
    let huge = "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
    let answer = http(world.at.http, huge).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("body_too_large"));
}

#[tokio::test]
async fn a_quote_is_the_venues_or_derived_from_a_live_book_and_says_which() {
    let world = with_book().await;
    let (_, quote) = world.get("/api/v1/quote/v/BTC/USDT").await;
    assert_eq!((&quote["derived"], &quote["bid"]), (&json!(true), &json!(["100", "1"])));
    world.quote(&spot("BTC", "USDT"), 9_995);
    let (_, quote) = world.get("/api/v1/quote/v/BTC/USDT").await;
    assert_eq!((&quote["derived"], &quote["bid"]), (&json!(false), &json!(["99.95", "1"])));
    world.gap(&spot("BTC", "USDT"));
    let (status, _) = world.get("/api/v1/quote/v/BTC/USDT").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn trades_come_oldest_first_with_their_numbers() {
    let world = with_book().await;
    for id in 1..=5 {
        world.trade(&spot("BTC", "USDT"), id);
    }
    let (_, answer) = world.get("/api/v1/trades/v/BTC/USDT?limit=2").await;
    let trades = answer["trades"].as_array().unwrap();
    let ids: Vec<&Value> = trades.iter().map(|t| &t["id"]).collect();
    assert_eq!(ids, ["4", "5"]);
    assert_eq!((&trades[1]["px"], &trades[1]["qty"]), (&json!("1"), &json!("0.005")));
    assert_eq!(trades[1]["number"], world.bus.cursor().number);
}

#[tokio::test]
async fn what_there_is_can_be_listed_and_searched() {
    let world = with_book().await;
    let (_, exchanges) = world.get("/api/v1/exchanges").await;
    assert_eq!((&exchanges["exchanges"], &exchanges["total_active"]), (&json!(["v"]), &json!(1)));
    let (_, symbols) = world.get("/api/v1/symbols?exchange=V&search=btc-usdt&limit=1").await;
    assert_eq!(symbols["symbols"], json!(["BTC/USDT:USDT@v"]));
    assert_eq!((&symbols["count"], &symbols["total_available"]), (&json!(1), &json!(2)));
    let (_, all) = world.get("/api/v1/instruments?search=eth").await;
    assert_eq!(all["instruments"][0]["name"], "ETH/USDT@v");
    let (_, lanes) = world.get("/api/v1/lanes?source=v&state=live&instrument=btc").await;
    assert_eq!((&lanes["count"], &lanes["lanes"][0]["channel"]), (&json!(1), &json!("book")));
    assert_eq!(lanes["states"], json!({ "live": 1 }));
    let (_, none) = world.get("/api/v1/lanes?source=nobody").await;
    assert_eq!(none["count"], 0);
}

#[tokio::test]
async fn the_root_is_a_page_for_people_and_a_list_for_programs() {
    let world = world().await;
    let page = http(world.at.http, "GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\n\r\n").await;
    assert!(page.head.contains("text/html") && page.body.contains("Qingxi"), "{}", page.head);
    let (_, list) = world.get("/").await;
    let paths: Vec<&str> =
        list["routes"].as_array().unwrap().iter().filter_map(|r| r["path"].as_str()).collect();
    assert!(paths.contains(&"/api/v1/orderbook/{exchange}/{symbol}"), "{paths:?}");
}
