//! A whole market that is pushed: every share each three seconds, then ten times as fast, through socket, parse, checks and
//! bus to two hundred WebSocket clients. Simulator and clients run in the same process and on the same cores.

use crate::machine::resident_mib;
use app::config::Config;
use app::sources::SOURCES;
use app::topology::Platform;
use bus::{Bus, Filter, Item, Policy};
use futures_util::{SinkExt, StreamExt};
use model::{Body, Channel, GapCause, Ts};
use sim::Host;
use source::{SimSetup, Source};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// Shares that the market lists; indices and funds come on top.
const SHARES: usize = 5_400;
/// How many times as fast as the real one it goes.
const SPEEDS: [u32; 2] = [1, 10];
/// Clients, each of which watches its share of the market.
const CLIENTS: usize = 200;
/// How long everything runs before it is measured: until all is defined, and every client has its last values.
const WARM: Duration = Duration::from_secs(12);
/// How long it is measured.
const LASTS: Duration = Duration::from_secs(30);
/// How long what was sent last may take to arrive.
const DRAIN: Duration = Duration::from_secs(3);

/// When events were read from the socket, and how long after that a client had them, both in ns.
type Heard = Arc<Mutex<Vec<(i64, i64)>>>;

/// Measures every speed and gives the table.
pub fn table() -> String {
    let mut out = String::from("\n## A whole market pushed to 200 clients\n\n");
    out.push_str("| every | events published | of these at clients | lost | gaps | p50 ms | p99 ms | max ms | MiB at first | MiB at last |\n");
    out.push_str("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let pushed = SOURCES.iter().find(|source| source.must_read(0) && source.listings().is_empty());
    let (Ok(runtime), Some(source)) = (runtime, pushed) else { return out };
    for speed in SPEEDS {
        match runtime.block_on(measure(*source, speed)) {
            Ok(row) => {
                println!("{row}");
                let _ = writeln!(out, "{row}");
            }
            Err(why) => println!("a market at speed {speed} could not be measured: {why}"),
        }
    }
    out.push_str("\nFrom the time at which the platform read the frame to the time at which the client read the event.\n");
    out
}

async fn measure(source: &'static dyn Source, speed: u32) -> Result<String, Box<dyn std::error::Error>> {
    let (stop, stopped) = watch::channel(false);
    let setup = SimSetup { start: feed::clock::now(), instruments: SHARES, speed, ..SimSetup::default() };
    let host = Host::start(source, source.sim(&setup), &[], feed::clock::now, stopped.clone()).await?;
    let platform = Platform::start(config(source, &host)).await?;
    let heard = Heard::default();
    let told = tokio::spawn(count(Arc::clone(&platform.bus), stopped.clone()));
    tokio::time::sleep(WARM / 2).await;
    let names = names(&platform.bus);
    let address = platform.running.addrs.http.to_string();
    for part in names.chunks(names.len().div_ceil(CLIENTS).max(1)) {
        tokio::spawn(listen(address.clone(), part.to_vec(), Arc::clone(&heard)));
    }
    tokio::time::sleep(WARM / 2).await;
    let (first, from) = (resident_mib(), feed::clock::now());
    tokio::time::sleep(LASTS).await;
    let (last, to) = (resident_mib(), feed::clock::now());
    tokio::time::sleep(DRAIN).await;
    stop.send(true)?;
    let (published, gaps) = told.await?;
    platform.stop().await;
    let within = |at: &i64| (from.0..to.0).contains(at);
    let published = published.iter().filter(|at| within(at)).count();
    let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    let mut ms: Vec<f64> =
        heard.iter().filter(|(at, _)| within(at)).map(|(_, ns)| *ns as f64 / 1e6).collect();
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = ((ms.len() as f64 * share) as usize).min(ms.len().saturating_sub(1));
        ms.get(place).copied().unwrap_or(f64::NAN)
    };
    Ok(format!(
        "| {:.1} s | {published} | {} | {} | {gaps} | {:.1} | {:.1} | {:.1} | {first} | {last} |",
        3.0 / f64::from(speed),
        ms.len(),
        published.saturating_sub(ms.len()),
        at(0.5),
        at(0.99),
        at(1.0),
    ))
}

fn config(source: &dyn Source, host: &Host) -> Config {
    let mut config = Config::default();
    (config.serve.http_port, config.serve.metrics_port, config.serve.probe_port) = (0, 0, 0);
    config.run.subscriptions = std::path::PathBuf::new();
    let login = host.login.clone();
    let (key, secret) = login.map_or_else(Default::default, |login| (login.key, login.secret));
    config.sources = vec![feed::SourceConfig {
        name: source.spec().name.to_owned(),
        instruments: vec!["*".to_owned()],
        channels: vec![Channel::DayStats.name().to_owned(), Channel::BookTop.name().to_owned()],
        hosts: host.addrs.iter().map(|(n, addr)| ((*n).to_owned(), format!("http://{addr}"))).collect(),
        login_key: key.into(),
        login_secret: secret.into(),
        ..feed::SourceConfig::default()
    }];
    config
}

/// Everything that has been defined so far.
fn names(bus: &Bus) -> Vec<String> {
    bus.with_catalogue(|all| {
        all.iter().map(|i| i.name.to_string()).filter(|name| !name.starts_with('*')).collect()
    })
}

/// When each statistic and book was read from the socket, and how many gaps of any cause were told.
async fn count(bus: Arc<Bus>, mut stopped: watch::Receiver<bool>) -> (Vec<i64>, usize) {
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 100_000 }, None);
    let (mut all, mut gaps, mut items) = (Vec::new(), 0, Vec::new());
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return (all, gaps),
            () = reader.read(&mut items, 1_000) => {}
        }
        for item in items.drain(..) {
            let Item::Event { published, .. } = item else { continue };
            match &published.event.body {
                Body::DayStats(_) | Body::Snapshot(_) => all.push(published.event.stamp.ts_recv.0),
                Body::Gap(gap) => gaps += usize::from(gap.cause != GapCause::VenueReset),
                _ => {}
            }
        }
    }
}

/// A client that watches some instruments.
async fn listen(address: String, names: Vec<String>, heard: Heard) -> Option<()> {
    let tcp = TcpStream::connect(&address).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let (mut socket, _) = client_async(format!("ws://{address}/api/v1/stream"), tcp).await.ok()?;
    let subscribe =
        serde_json::json!({ "op": "subscribe", "instruments": names, "channels": ["day_stats", "book_top"] });
    socket.send(Message::Text(subscribe.to_string().into())).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        let Ts(now) = feed::clock::now();
        let Message::Text(text) = message else { continue };
        let is_data = text.contains("\"kind\":\"day_stats\"") || text.contains("\"kind\":\"snapshot\"");
        if let Some(read) = number(&text, "\"ts_recv\":").filter(|_| is_data) {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push((read, now - read));
        }
    }
    Some(())
}

/// The whole number after a key.
fn number(text: &str, key: &str) -> Option<i64> {
    let rest = text.split_once(key)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
