//! Events that were kept, and how complete they are.

use crate::world::{Client, NOW, World, event, http, http_bytes, spot, world};
use model::{Body, Channel, Px, Qty, Side, Trade, TradeId};
use std::sync::Arc;
use tokio_tungstenite::connect_async;

/// A world in which ten trades of two coins, a second apart, and quotes were kept.
async fn kept() -> World {
    let mut world = world().await;
    let running = world.store.take().unwrap().start(&world.bus, Arc::clone(&world.metrics));
    for id in 1..=10 {
        for coin in [spot("AA", "USD"), spot("BB", "USD")] {
            let (px, qty, aggressor) = (Px(100), Qty(5), Some(Side::Bid));
            let trade = Body::Trade(Trade { id: TradeId::Num(id), px, qty, aggressor, count: 1 });
            let mut trade = event(&coin, Channel::Trades, trade);
            trade.stamp.ts_event = Some(NOW.plus_ms(id * 1_000));
            world.bus.publish(trade, NOW.plus_ms(id * 1_000));
            world.quote(&coin, 7);
        }
    }
    running.stop().await;
    world
}

fn ids(body: &serde_json::Value) -> Vec<u64> {
    let events = body["events"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn what_was_kept_is_told_by_kind_instrument_and_time() {
    let world = kept().await;
    let at = |id: u64| NOW.plus_ms(id * 1_000).0;
    let path = "/api/v1/history/trade/v/AA/USD";
    let (status, body) = world.get(path).await;
    assert_eq!((status, ids(&body)), (200, (1..=10).collect()), "{body}");
    assert_eq!((&body["instrument"], &body["next"]), (&"AA/USD@v".into(), &().into()), "{body}");
    let (_, body) = world.get(&format!("{path}?from={}&to={}", at(3), at(6))).await;
    assert_eq!(ids(&body), [3, 4, 5]);
    // By pages: each goes on where the one before says.
    let (_, body) = world.get(&format!("{path}?limit=4&from={}", at(1))).await;
    assert_eq!(ids(&body), [1, 2, 3, 4]);
    let next = body["next"].as_str().unwrap();
    let (_, body) = world.get(&format!("{path}?after={next}")).await;
    assert_eq!((ids(&body), &body["next"]), ((5..=10).collect(), &().into()), "{body}");
    let (_, body) = world.get("/api/v1/history/quote/v/BBUSD").await;
    assert_eq!(body["count"], 10, "{body}");
}

#[tokio::test]
async fn history_as_csv_has_a_head_and_a_line_for_each_event() {
    let world = kept().await;
    let path = "/api/v1/history/trade/v/AAUSD?format=csv&limit=2";
    let answer = http(world.at.http, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines.len(), 3, "{}", answer.body);
    assert!(
        lines[0].starts_with("kind,source,instrument,symbol,channel,ts_event,ts_recv,ts_pub,"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("trade,v,AA/USD@v,AAUSD,trades,"), "{}", lines[1]);
    assert!(lines[1].ends_with(",1,1,0.005,buy,1"), "{}", lines[1]);
}

#[tokio::test]
async fn a_wrong_question_about_history_is_told_what_is_right() {
    let world = kept().await;
    for (path, status, word) in [
        ("trading/v/AAUSD", 404, "unknown_kind"),
        ("trade/v/CCUSD", 404, "unknown_instrument"),
        ("trade/v/AAUSD?from=yesterday", 400, "bad_parameter"),
        ("trade/v/AAUSD?limit=0", 400, "bad_parameter"),
        ("trade/v/AAUSD?format=xml", 400, "bad_parameter"),
        ("trade/v/AAUSD?with=quotes", 400, "bad_parameter"),
        ("quote/v/AAUSD?with=quotes&format=arrow", 400, "bad_parameter"),
    ] {
        let (code, body) = world.get(&format!("/api/v1/history/{path}")).await;
        assert_eq!((code, &body["error"]), (status, &word.into()), "{path}: {body}");
    }
}

#[tokio::test]
async fn history_in_columns_begins_as_its_form_does_and_is_whole() {
    let world = kept().await;
    for (form, begin, end) in [("arrow", &[0xff; 4][..], &[0; 4][..]), ("parquet", b"PAR1", b"PAR1")] {
        for with in ["", "&with=quotes"] {
            let path = format!("/api/v1/history/trades/v/AAUSD?format={form}{with}");
            let bytes = http_bytes(world.at.http, &path).await;
            assert!(bytes.starts_with(begin) && bytes.ends_with(end), "{form}{with}: {bytes:?}");
            let named = bytes.windows(8).any(|part| part == b"quote_ts");
            assert_eq!(named, !with.is_empty(), "{form}{with}");
        }
    }
}

#[tokio::test]
async fn coverage_tells_what_is_known_of_each_lane() {
    let world = kept().await;
    let (status, body) =
        world.get("/api/v1/coverage?instrument=AA/USD@v&channel=trades&state=unprovable").await;
    assert_eq!((status, &body["count"]), (200, &1.into()), "{body}");
    let row = &body["rows"][0];
    assert_eq!((&row["state"], &row["open"]), (&"unprovable".into(), &true.into()), "{body}");
    let (status, body) = world.get("/api/v1/coverage?state=lost").await;
    assert_eq!((status, &body["error"]), (400, &"bad_parameter".into()), "{body}");
}

#[tokio::test]
async fn a_replay_is_the_stream_of_what_was_kept_and_ends_when_it_is_over() {
    let world = kept().await;
    let path = format!("/api/v1/replay?instruments=AA/USD@v&speed=max&from={}", NOW.plus_ms(3_000).0);
    let (socket, _) = connect_async(format!("ws://{}{path}", world.at.http)).await.unwrap();
    let mut client = Client { socket };
    assert_eq!(client.next().await["type"], "welcome");
    client.say(r#"{"op":"subscribe","instruments":["AA/USD@v"],"channels":["trades"]}"#).await;
    let mut ids = Vec::new();
    while ids.len() < 8 {
        let message = client.next().await;
        if message["kind"] == "trade" {
            assert!(message["flags"].as_array().unwrap().contains(&"replayed".into()), "{message}");
            ids.push(message["id"].as_str().unwrap().parse::<u64>().unwrap());
        }
    }
    assert_eq!(ids, (3..=10).collect::<Vec<_>>());
    assert_eq!(client.closed().await, Some(1000));
}

#[tokio::test]
async fn a_replay_of_nothing_that_exists_is_refused_in_words() {
    let world = kept().await;
    for (query, word) in [
        ("", "bad_parameter"),
        ("?instruments=CCUSD", "unknown_instrument"),
        ("?instruments=AAUSD&speed=fast", "bad_parameter"),
    ] {
        let (_, body) = world.get(&format!("/api/v1/replay{query}")).await;
        assert_eq!(body["error"], word, "{query}: {body}");
    }
}
