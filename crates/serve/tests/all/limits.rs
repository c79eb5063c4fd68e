//! What clients may not do, and that others do not notice.

use crate::world::{
    Client, NOW, OWN_READERS, World, config, level, perpetual, spot, until, world, world_with,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_tungstenite::tungstenite::{Bytes, Message};

async fn client_of(world: &World) -> Client {
    world.define(&spot("BTC", "USDT"));
    for (base, product) in [("SOL", "a"), ("SOL", "b")] {
        let made = spot(base, "USD");
        let id = model::InstrumentId::of("v", product, &made.symbol);
        let name = format!("SOL/USD-{product}@v").into();
        world.define(&Arc::new(model::Instrument { id, name, ..(*made).clone() }));
    }
    world.define(&perpetual("BTC", "USDT"));
    world.client().await
}

#[tokio::test]
async fn every_bad_request_has_its_code_and_the_connection_stays_open() {
    let world = world().await;
    let mut client = client_of(&world).await;
    let subscribe = |names: &str, more: &str| {
        format!(r#"{{"op":"subscribe","id":9,"instruments":{names},"channels":["book"]{more}}}"#)
    };
    for (text, code) in [
        ("nonsense".to_owned(), "bad_json"),
        ("[1]".to_owned(), "bad_json"),
        (r#"{"id":9}"#.to_owned(), "missing_field"),
        (r#"{"op":"buy","id":9}"#.to_owned(), "unknown_op"),
        (r#"{"op":"list","id":9,"x":1}"#.to_owned(), "unknown_field"),
        (subscribe("7", ""), "bad_field"),
        (subscribe(r#"["BTC/USDT@w"]"#, ""), "unknown_exchange"),
        (subscribe(r#"["XRP/USDT@v"]"#, ""), "unknown_instrument"),
        (subscribe(r#"["nothing"]"#, ""), "unknown_instrument"),
        (subscribe(r#"["v:SOLUSD"]"#, ""), "ambiguous_instrument"),
        (subscribe(r#"["BTC/USDT@v"]"#, r#","depth":-1"#), "bad_depth"),
        (subscribe(r#"["BTC/USDT@v"]"#, r#","policy":"x""#), "bad_policy"),
        (subscribe(r#"["BTC/USDT@v"]"#, r#","from":1"#), "bad_cursor"),
        (
            r#"{"op":"subscribe","instrument":"BTC/USDT@v","channel":"boo","id":9}"#.to_owned(),
            "unknown_channel",
        ),
        (r#"{"op":"unsubscribe","id":9}"#.to_owned(), "missing_field"),
    ] {
        let error = client.ask(text.clone()).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}: {error}");
        assert!(error["message"].as_str().unwrap().len() > 5);
        assert!(code == "bad_json" || error["id"] == 9, "{text}: {error}");
    }
    client.socket.send(Message::Binary(Bytes::from_static(&[1, 2]))).await.unwrap();
    assert_eq!(client.next().await["code"], "bad_json");
    assert_eq!(client.ask(subscribe(r#"["BTC/USDT@v"]"#, "")).await["type"], "subscribed");
    for more in [r#","policy":{"sample":50}"#, r#","from":{"epoch":1,"number":1}"#] {
        let error = client.ask(subscribe(r#"["BTC/USDT@v"]"#, more)).await;
        assert!(error["code"] == "bad_policy" || error["code"] == "bad_cursor", "{error}");
    }
    assert_eq!(world.metrics.serve.bad_requests.get(), 18);
}

#[tokio::test]
async fn ten_thousand_instruments_are_too_many_and_the_limit_is_named() {
    let world = world().await;
    let mut client = client_of(&world).await;
    let names: Vec<String> = (0..10_000).map(|n| format!("COIN{n}/USDT@v")).collect();
    let text = json!({ "op": "subscribe", "instruments": names, "channels": ["book"] }).to_string();
    let error = client.ask(text).await;
    assert_eq!(error["code"], "too_many_subscriptions");
    assert!(error["message"].as_str().unwrap().contains("2000"), "{error}");
    assert_eq!(client.ask(r#"{"op":"ping"}"#).await["type"], "pong");
    let config = serve::Config { ws_subscriptions_max: 1, ..config() };
    let world = world_with(config, || NOW, bus::Config::default()).await;
    let mut client = client_of(&world).await;
    let ask = |name: &str| format!(r#"{{"op":"subscribe","instrument":"{name}","channel":"book"}}"#);
    assert_eq!(client.ask(ask("BTC/USDT@v")).await["type"], "subscribed");
    assert_eq!(client.ask(ask("BTC/USDT:USDT@v")).await["code"], "too_many_subscriptions");
}

#[tokio::test]
async fn a_message_too_large_is_told_and_ends_the_connection() {
    let world = world().await;
    let mut client = client_of(&world).await;
    client.say("x".repeat(300_000)).await;
    let error = client.next().await;
    assert_eq!(error["code"], "message_too_large");
    assert!(error["message"].as_str().unwrap().contains("262144"), "{error}");
    assert_eq!(client.closed().await, Some(1009));
    until(|| async { world.metrics.serve.clients.get() == 0 }).await;
    let mut client = world.client().await;
    // Far over the limit it is not even read to its end; the write may fail when the server has gone.
    let _ = client.socket.send(Message::text("x".repeat(8_000_000))).await;
    while let Some(Ok(_)) = client.socket.next().await {}
    until(|| async { world.metrics.serve.clients.get() == 0 }).await;
}

#[tokio::test]
async fn who_sends_only_garbage_is_closed() {
    let world = world().await;
    let mut client = client_of(&world).await;
    for n in 0..51 {
        client.say(format!("garbage {n}")).await;
    }
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn one_client_too_many_is_answered_503() {
    let config = serve::Config { ws_clients_max: 1, ..config() };
    let world = world_with(config, || NOW, bus::Config::default()).await;
    let first = world.client().await;
    let address = world.at.http;
    let refused = tokio_tungstenite::connect_async(format!("ws://{address}/api/v1/stream")).await;
    assert!(refused.unwrap_err().to_string().contains("503"));
    drop(first);
    until(|| async { world.metrics.serve.clients.get() == 0 }).await;
    world.client().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_another_misses_nothing() {
    let config = serve::Config { ws_send_timeout_ms: 300, ..config() };
    let world = world_with(config, || NOW, bus::Config::default()).await;
    let coins: Vec<_> = (0..40).map(|n| spot(&format!("C{n}"), "USDT")).collect();
    for coin in &coins {
        world.define(coin);
    }
    let names: Vec<&str> = coins.iter().map(|c| &*c.name).collect();
    let text = json!({ "op": "subscribe", "instruments": names, "channels": ["trades", "book"] }).to_string();
    let (mut stuck, mut good) = (world.client().await, world.client().await);
    stuck.say(text.clone()).await;
    assert_eq!(good.ask(text).await["type"], "subscribed");
    let levels: Vec<_> = (1..=400).map(|px| level(px, 1_000_000 + px)).collect();
    let (mut sent, mut seen) = (0, 0);
    while world.metrics.serve.slow_closes.get() == 0 {
        for coin in &coins {
            sent += 1;
            world.snapshot(coin, sent, &levels, &[]);
            world.trade(coin, sent);
        }
        while seen < sent {
            let message = good.next().await;
            assert_eq!(message["type"], "event", "nothing is skipped: {message}");
            if message["kind"] == "trade" {
                seen += 1;
                assert_eq!(message["id"], seen.to_string());
            }
        }
    }
    until(|| async { world.metrics.serve.clients.get() == 1 }).await;
    until(|| async { world.bus.readers() == 1 + OWN_READERS }).await;
}

#[tokio::test]
async fn who_is_overrun_again_and_again_is_closed_as_slow() {
    let config = serve::Config { ws_queue_max: 4, ws_overruns_max: 2, ..config() };
    let world = world_with(config, || NOW, bus::Config::default()).await;
    let btc = spot("BTC", "USDT");
    world.define(&btc);
    let mut client = world.client().await;
    client.ask(r#"{"op":"subscribe","instrument":"BTC/USDT@v","channel":"trades"}"#).await;
    for round in 1..=3 {
        for id in 0..20 {
            world.trade(&btc, round * 100 + id);
        }
        let skipped = client.next().await;
        assert_eq!(skipped["why"], "slow", "{skipped}");
        client.next().await;
    }
    assert_eq!(client.closed().await, Some(4008));
    assert_eq!(world.metrics.serve.slow_closes.get(), 1);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_dropped() {
    let config = serve::Config { ws_ping_ms: 20, ..config() };
    let world = world_with(config, || NOW, bus::Config::default()).await;
    // Never polled, so it never answers.
    let _silent = world.silent_client().await;
    until(|| async { world.metrics.serve.clients.get() == 1 }).await;
    until(|| async { world.metrics.serve.clients.get() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_always_has_something_to_read_is_answered_and_can_be_shut_down() {
    let world = world().await;
    let btc = spot("BTC", "USDT");
    world.define(&btc);
    let mut client = world.client().await;
    client.ask(r#"{"op":"subscribe","instrument":"BTC/USDT@v","channel":"quote"}"#).await;
    let (bus, over) = (Arc::clone(&world.bus), Arc::new(AtomicBool::new(false)));
    let is_over = Arc::clone(&over);
    let flood = std::thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            bus.publish(crate::world::quote(&btc, 1), NOW);
        }
    });
    client.say(r#"{"op":"ping"}"#).await;
    while client.next().await["type"] != "pong" {}
    world.stop.send(true).unwrap();
    assert_eq!(client.closed().await, Some(1001));
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_http_do_no_harm() {
    let world = world().await;
    for garbage in ["\r\n\r\n\r\n", "\u{1}\u{2}\u{3} nonsense\r\n\r\n", "GET\r\n\r\n"] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(world.at.http).await.unwrap();
        stream.write_all(garbage.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = crate::world::soon(stream.read_to_end(&mut rest)).await;
    }
    assert_eq!(world.get("/api/v1/symbols").await.0, 200);
}
