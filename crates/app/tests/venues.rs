//! A venue that is ill: the others do not notice, and what is wrong is said in words.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use app::config::Config;
use app::sources::named;
use app::topology::Platform;
use bus::{Bus, Filter, Item, Policy};
use lane::{LaneReport, State};
use model::{Body, Channel, Flags, Ts};
use sim::Host;
use source::{SimControl, SimSetup};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(40);
/// A day and an hour.
const AHEAD_MS: u64 = 25 * 3_600_000;

fn a_day_ahead() -> Ts {
    feed::clock::now().plus_ms(AHEAD_MS)
}

/// The platform's config of a source at these hosts, for trades and books of everything named.
fn wanted(name: &str, instruments: &[&str], hosts: BTreeMap<String, String>) -> feed::SourceConfig {
    feed::SourceConfig {
        name: name.to_owned(),
        instruments: instruments.iter().map(|i| (*i).to_owned()).collect(),
        hosts,
        ..feed::SourceConfig::default()
    }
}

fn hosts(host: &Host) -> BTreeMap<String, String> {
    host.addrs.iter().map(|(name, addr)| ((*name).to_owned(), format!("http://{addr}"))).collect()
}

async fn simulated(name: &str, moves_per_s: u32, clock: fn() -> Ts, stop: &watch::Receiver<bool>) -> Host {
    let source = named(name).unwrap();
    let setup = SimSetup { start: clock(), instruments: 2, moves_per_s, ..SimSetup::default() };
    Host::start(source, source.sim(&setup), &[], clock, stop.clone()).await.unwrap()
}

async fn platform(sources: Vec<feed::SourceConfig>) -> Platform {
    let mut config = Config { sources, ..Config::default() };
    (config.serve.http_port, config.serve.metrics_port, config.serve.probe_port) = (0, 0, 0);
    config.run.subscriptions = PathBuf::new();
    Platform::start(config).await.unwrap()
}

fn lanes(bus: &Bus, source: &str) -> Vec<LaneReport> {
    bus.lanes(feed::clock::now()).into_iter().filter(|lane| lane.source == source).collect()
}

fn words(bus: &Bus, source: &str) -> String {
    let links = bus.links(feed::clock::now());
    links.into_iter().filter(|l| l.source == source).map(|l| l.words).collect::<Vec<_>>().join("\n")
}

/// Looks again after each event of the bus.
async fn until(bus: &Arc<Bus>, what: &str, done: impl Fn() -> bool) {
    let mut reader = bus.subscribe(Filter::all(), Policy::Conflate { queue_max: 1_024 }, None);
    let held = async {
        while !done() {
            reader.read(&mut Vec::new(), 1_024).await;
        }
    };
    timeout(PATIENCE, held).await.expect(what);
}

/// The well source's lanes are live and complete.
fn is_well(bus: &Bus) -> bool {
    let lanes = lanes(bus, "binance");
    !lanes.is_empty() && lanes.iter().all(|l| l.state == State::Live && l.gaps == 0)
}

/// A server that answers every request with 503.
async fn closed_for_maintenance() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                _ = socket.read(&mut buffer).await;
                let body = "system maintenance until 08:00 UTC";
                let head = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length";
                _ = socket.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            });
        }
    });
    format!("http://{addr}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_answers_503_to_everything_is_named_and_the_other_goes_on() {
    let (_stop, stopped) = watch::channel(false);
    let well = simulated("binance", 200, feed::clock::now, &stopped).await;
    let host = closed_for_maintenance().await;
    let okx =
        named("okx").unwrap().spec().endpoints.iter().map(|e| (e.name.to_owned(), host.clone())).collect();
    let platform =
        platform(vec![wanted("binance", &["spot:BTCUSDT"], hosts(&well)), wanted("okx", &["BTC-USDT"], okx)])
            .await;
    let bus = Arc::clone(&platform.bus);
    until(&bus, "the ill one is named", || words(&bus, "okx").contains("system maintenance until 08:00 UTC"))
        .await;
    assert!(words(&bus, "okx").contains("503") && words(&bus, "okx").contains("next try after"));
    until(&bus, "the other is well", || is_well(&bus)).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_whose_clock_is_a_day_off_is_named_and_its_times_are_flagged_and_kept() {
    let (_stop, stopped) = watch::channel(false);
    let well = simulated("binance", 200, feed::clock::now, &stopped).await;
    let odd = simulated("okx", 200, a_day_ahead, &stopped).await;
    let sources =
        vec![wanted("binance", &["spot:BTCUSDT"], hosts(&well)), wanted("okx", &["BTC-USDT"], hosts(&odd))];
    let platform = platform(sources).await;
    let bus = Arc::clone(&platform.bus);
    until(&bus, "its clock is named", || words(&bus, "okx").contains("h ahead of ours")).await;
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 100_000 }, None);
    let mut items = Vec::new();
    let trade = loop {
        reader.read(&mut items, 1_000).await;
        let events = items.drain(..).filter_map(|item| match item {
            Item::Event { published, .. } => Some(published.event.clone()),
            Item::Skipped(_) => None,
        });
        let of_odd = |e: &model::Event| e.source == "okx" && matches!(e.body, Body::Trade(_));
        if let Some(trade) = events.into_iter().find(of_odd) {
            break trade;
        }
    };
    drop(reader);
    assert!(trade.flags.has(Flags::BAD_TIME));
    let off = trade.stamp.ts_event.unwrap().ms_since(trade.stamp.ts_recv);
    assert!(off.abs_diff(AHEAD_MS as i64) < 60_000, "kept as it was told: {off} ms");
    until(&bus, "the other is well", || is_well(&bus)).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_floods_a_hundred_times_the_normal_rate_slows_nobody_else() {
    let (_stop, stopped) = watch::channel(false);
    let well = simulated("binance", 100, feed::clock::now, &stopped).await;
    let flood = simulated("okx", 10_000, feed::clock::now, &stopped).await;
    let sources =
        vec![wanted("binance", &["spot:BTCUSDT"], hosts(&well)), wanted("okx", &["BTC-USDT"], hosts(&flood))];
    let platform = platform(sources).await;
    let bus = Arc::clone(&platform.bus);
    let told = |source: &str| lanes(&bus, source).iter().map(|l| l.events).sum::<u64>();
    until(&bus, "the flood is read", || told("okx") > 5_000).await;
    until(&bus, "the other is well", || is_well(&bus)).await;
    flood.control(SimControl::Pause(true)).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_refused_is_said() {
    let (_stop, stopped) = watch::channel(false);
    let well = simulated("okx", 100, feed::clock::now, &stopped).await;
    well.control(SimControl::RefuseSubscriptions(1)).await;
    let platform = platform(vec![wanted("okx", &["BTC-USDT", "ETH-USDT"], hosts(&well))]).await;
    let bus = Arc::clone(&platform.bus);
    let state = |state: State| lanes(&bus, "okx").iter().any(|l| l.state == state);
    until(&bus, "one is refused or silent", || {
        state(State::Refused) || state(State::Silent) || state(State::Asked)
    })
    .await;
    until(&bus, "the others are live", || {
        lanes(&bus, "okx").iter().filter(|l| l.channel == Channel::Book && l.state == State::Live).count()
            >= 1
    })
    .await;
    platform.stop().await;
}

#[tokio::test]
async fn what_a_source_adds_to_headers_is_in_every_handshake_and_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = named("gate").unwrap();
    let endpoint = source.spec().endpoints.iter().position(|e| e.name == "futures").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let net = feed::net::Net::new(source, &BTreeMap::from([("futures".to_owned(), host)])).unwrap();
    for handshake in [true, false] {
        let net = net.clone();
        tokio::spawn(async move {
            if handshake {
                _ = net.open(endpoint, "/v4/ws/usdt").await;
            } else {
                net.fetch(endpoint, "/api/v4/futures/usdt/contracts").await;
            }
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("\r\nx-gate-size-decimal: 1\r\n"), "{head}");
    }
}
