//! Storage by the paths of earlier systems: what is brought is taken whole or refused in words.

use crate::world::{NOW, World, spot, world};
use serde_json::{Value, json};

/// A world that keeps events, and knows a coin.
async fn kept() -> (World, store::Running) {
    let mut world = world().await;
    let running = world.store.take().unwrap().start(&world.bus, std::sync::Arc::clone(&world.metrics));
    world.define(&spot("AA", "USD"));
    (world, running)
}

fn record(more: &Value) -> Value {
    let mut record = json!({ "exchange": "v", "symbol": "AAUSD", "timestamp": NOW.as_ms() });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

async fn acked(world: &World, running: &store::Running) {
    let newest = world.bus.cursor();
    running.acked().wait_for(|acked| acked.cursor >= Some(newest)).await.unwrap();
}

#[tokio::test]
async fn what_is_posted_is_kept_and_read_again() {
    let (world, running) = kept().await;
    for (what, more) in [
        ("trades", json!({ "trade_id": "7", "price": "1.25", "quantity": 3, "side": "sell" })),
        ("tickers", json!({ "bid_price": "1", "bid_quantity": "2", "ask_price": 1.5, "ask_quantity": "3" })),
        ("orderbooks", json!({ "bids": [["1", "2"]], "asks": [["1.5", 3]], "last_update_id": 4 })),
    ] {
        let (status, body) = world.post_json(&format!("/api/v1/storage/hot/{what}"), &record(&more)).await;
        assert_eq!((status, &body["status"]), (201, &"success".into()), "{what}: {body}");
        acked(&world, &running).await;
        let (status, body) = world.get(&format!("/api/v1/storage/hot/{what}/v/AAUSD?limit=5")).await;
        assert_eq!((status, &body["count"]), (200, &1.into()), "{what}: {body}");
        assert_eq!(body["data"][0]["source"], "posted", "{what}: {body}");
    }
    let (_, body) =
        world.get("/api/v1/storage/cold/trades/v/AAUSD?start_date=2023-11-14&end_date=2023-11-14").await;
    assert_eq!((&body["count"], &body["data"][0]["px"]), (&1.into(), &"1.25".into()), "{body}");
    let (status, body) = world.get("/api/v1/storage/cold/trades/v/AAUSD?start_date=2023-11-15").await;
    assert_eq!((status, &body["error"]), (404, &"not_found".into()), "{body}");
}

#[tokio::test]
async fn what_is_wrong_with_a_record_is_named_and_counted_and_nothing_of_it_is_published() {
    let (world, _running) = kept().await;
    let good = json!({ "trade_id": 1, "price": "1.25", "quantity": "3" });
    let with = |key: &str, value: Value| {
        let mut record = record(&good);
        record[key] = value;
        record
    };
    let before = world.bus.cursor();
    let ms = NOW.as_ms();
    for (bad, status, word) in [
        (with("timestamp", json!(ms / 1_000)), 422, "bad_time"),
        (with("timestamp", json!(ms * 1_000)), 422, "bad_time"),
        (with("timestamp", json!(ms + 61_000)), 422, "bad_time"),
        (with("price", json!("1.255")), 422, "bad_number"),
        (with("price", json!("-1")), 422, "bad_number"),
        (with("quantity", json!("much")), 422, "bad_number"),
        (with("quantity", Value::Null), 400, "bad_body"),
        (with("symbol", json!("ZZUSD")), 404, "unknown_instrument"),
        (with("side", json!("up")), 400, "bad_parameter"),
        (with("bids", json!([])), 400, "bad_body"),
        (with("colour", json!("red")), 400, "bad_body"),
    ] {
        let (code, body) = world.post_json("/api/v1/storage/hot/trades", &bad).await;
        assert_eq!((code, &body["error"]), (status, &word.into()), "{bad}: {body}");
    }
    assert_eq!(world.bus.cursor(), before);
    let (code, _) = world.post_json("/api/v1/storage/hot/trades", &record(&good)).await;
    let (again, body) = world.post_json("/api/v1/storage/hot/trades", &record(&good)).await;
    assert_eq!((code, again, &body["error"]), (201, 409, &"duplicate".into()), "{body}");
    assert_eq!(world.bus.cursor().number, before.number + 1);
    // What is no record at all is refused before it is one.
    assert_eq!(world.metrics.serve.refused_records.get(), 11);
}

#[tokio::test]
async fn archive_and_cleanup_are_done_when_asked_for_and_told() {
    let (world, running) = kept().await;
    let (_, body) =
        world.post_json("/api/v1/storage/lifecycle/cleanup", &json!({ "retention_hours": 0 })).await;
    assert_eq!(body["error"], "bad_parameter", "{body}");
    let trade = json!({ "trade_id": 1, "price": "1.25", "quantity": "3" });
    world.post_json("/api/v1/storage/hot/trades", &record(&trade)).await;
    acked(&world, &running).await;
    let (status, body) = world.post_json("/api/v1/storage/cold/archive", &json!({})).await;
    assert_eq!((status, &body["status"]), (200, &"success".into()), "{body}");
    let (_, body) = world.get("/api/v1/storage/stats").await;
    assert!(body["data"]["cold"]["files"].as_i64().unwrap() > 0, "{body}");
    let (status, body) =
        world.post_json("/api/v1/storage/lifecycle/cleanup", &json!({ "retention_hours": 1 })).await;
    assert_eq!((status, &body["count"]), (200, &0.into()), "nothing is that old: {body}");
}
