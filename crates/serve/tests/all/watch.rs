//! Health, probes, metrics: computed, not set.

use crate::world::{NOW, OWN_READERS, config, event, http, level, soon, spot, until, world, world_with};
use model::{Body, Channel, Ts};
use serde_json::{Value, json};
use serve::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

static CLOCK: AtomicI64 = AtomicI64::new(NOW.0);

fn clock() -> Ts {
    Ts(CLOCK.load(Ordering::SeqCst))
}

#[tokio::test]
async fn health_follows_the_age_of_data() {
    let world = world_with(config(), clock, bus::Config::default()).await;
    let (status, health) = world.get("/api/v1/health").await;
    assert_eq!((status, &health["status"], &health["total_sources"]), (503, &json!("unhealthy"), &json!(1)));
    let btc = spot("BTC", "USDT");
    world.trade(&btc, 1);
    until(|| async { world.get("/api/v1/health").await.0 == 200 }).await;
    let (_, health) = world.get("/api/v1/health").await;
    assert_eq!((&health["status"], &health["healthy_sources"]), (&json!("healthy"), &json!(1)));
    CLOCK.store(NOW.0 + 29_000_000_000, Ordering::SeqCst);
    assert_eq!(world.get("/api/v1/health").await.0, 200);
    CLOCK.store(NOW.0 + 31_000_000_000, Ordering::SeqCst);
    let (status, health) = world.get("/api/v1/health").await;
    assert_eq!((status, &health["unhealthy_sources"]), (503, &json!(1)), "{health}");
    let (status, summary) = world.get("/api/v1/health/summary").await;
    assert_eq!(status, 503);
    let source = &summary["sources"][0];
    assert_eq!((&source["source_id"], &source["message_count"]), (&json!("v"), &json!(1)), "{summary}");
    assert_eq!(source["last_message_at"], NOW.as_ms());
    assert_eq!(summary["summary"]["average_latency_us"], Value::Null);
    let ready = http(world.at.probe, "GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("no data for 31000 ms"), "{}", ready.body);
    let live = http(world.at.probe, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(live.status, 200);
}

#[tokio::test]
async fn a_disk_that_takes_no_files_is_told_and_heals() {
    let mut world = world().await;
    let running = world.store.take().unwrap().start(&world.bus, Arc::clone(&world.metrics));
    // Where the folder of the files should be there is a file.
    let blocked = world.folder.path().join("parquet");
    std::fs::write(&blocked, "").unwrap();
    world.trade(&spot("BTC", "USDT"), 1);
    running.acked().wait_for(|acked| acked.kept > 0).await.unwrap();
    let control = running.control();
    let sealing = tokio::spawn(async move { control.seal().await });
    let told = async |status: &str| world.get("/api/v1/health").await.1["status"] == status;
    until(|| told("degraded")).await;
    let (_, health) = world.get("/api/v1/health").await;
    let why = "Parquet files cannot be written: events stay in the log";
    assert_eq!(health["store"], json!({ "healthy": false, "why": why }), "{health}");
    std::fs::remove_file(&blocked).unwrap();
    until(|| told("healthy")).await;
    sealing.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_source_whose_lanes_are_mostly_bad_is_not_healthy_though_data_come() {
    let world = world().await;
    world.trade(&spot("BTC", "USDT"), 1);
    for base in ["A", "B", "C"] {
        let coin = spot(base, "USDT");
        world.snapshot(&coin, 1, &[level(1, 1)], &[]);
        world.gap(&coin);
    }
    until(|| async { world.get("/api/v1/lanes").await.1["count"] == 4 }).await;
    let (status, summary) = world.get("/api/v1/health/summary").await;
    assert_eq!((status, &summary["sources"][0]["why"]), (503, &json!("3 of 4 lanes are not well")));
    assert!(summary["sources"][0]["last_error"].as_str().unwrap().contains("gap (sequence)"));
    assert_eq!(summary["summary"]["average_latency_us"], 3_000);
}

#[tokio::test]
async fn a_source_that_was_not_announced_counts_too() {
    let world = world().await;
    let btc = spot("BTC", "USDT");
    let mut other = event(&btc, Channel::Trades, Body::Instrument);
    other.source = "w";
    world.bus.publish(other, NOW);
    until(|| async { world.get("/api/v1/health").await.1["total_sources"] == 2 }).await;
    let (status, health) = world.get("/api/v1/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
}

#[tokio::test]
async fn metrics_and_stats_show_what_happened() {
    let world = world().await;
    let btc = spot("BTC", "USDT");
    world.snapshot(&btc, 1, &[level(1, 1)], &[]);
    world.get("/api/v1/lanes").await;
    world.get("/nothing").await;
    let mut client = world.client().await;
    client.ask(r#"{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["book"]}"#).await;
    client.next().await;
    until(|| async { world.metrics.serve.messages.get() > 0 }).await;
    let answer = http(world.at.metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.head.contains("openmetrics-text"), "{}", answer.head);
    for line in [
        "qingxi_bus_events_total 1",
        "qingxi_bus_readers 2",
        "qingxi_bus_lanes{source=\"v\",state=\"live\"} 1",
        "qingxi_bus_books_live{source=\"v\"} 1",
        "qingxi_serve_clients 1",
        "qingxi_serve_messages_total 1",
        "qingxi_serve_data_age_seconds{source=\"v\"} 0.0",
        "qingxi_serve_requests_total{route=\"/api/v1/lanes\",status=\"200\"} 1",
        "qingxi_serve_requests_total{route=\"none\",status=\"404\"} 1",
    ] {
        assert!(answer.body.lines().any(|l| l == line), "{line} in\n{}", answer.body);
    }
    for line in answer.body.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("qingxi_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let (_, stats) = world.get("/api/v1/stats").await;
    assert_eq!(
        (&stats["clients"], &stats["readers"], &stats["events_total"]),
        (&json!(1), &json!(1 + OWN_READERS), &json!(1))
    );
    assert!(stats["memory_bytes"].as_u64().unwrap() > 1_000_000, "{stats}");
    until(|| async { world.get("/api/v1/stats").await.1["events_per_s"].is_number() }).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let world = world().await;
    let config = serve::Config { probe_port: world.at.http.port(), ..config() };
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let (bus, metrics) = (world.bus.clone(), world.metrics.clone());
    let parts = serve::Parts {
        bus,
        metrics,
        sources: &[],
        desk: std::sync::Arc::new(feed::Desk::open(None).unwrap()),
        store: None,
        control: None,
        sql: None,
        clock: || NOW,
        shutdown: stopped,
    };
    let failed = serve::run(config, parts).await;
    let Err(error @ Error::Bind { .. }) = failed else { panic!("it is in use") };
    let text = error.to_string();
    assert!(text.contains(&world.at.http.to_string()) && text.contains("serve.probe_port"), "{text}");
}

#[tokio::test]
async fn the_shutdown_closes_clients_and_frees_the_ports() {
    let world = world().await;
    let mut client = world.client().await;
    world.stop.send(true).unwrap();
    assert_eq!(client.closed().await, Some(1001));
    soon(world.running.ended()).await;
    tokio::net::TcpListener::bind(world.at.http).await.unwrap();
}
