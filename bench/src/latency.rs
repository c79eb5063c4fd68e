//! What the platform adds between a venue's socket and a client's: the same trades by three ways in one run.
//!
//! A simulator sends trades. One client hears it directly. One hears a bare relay, which passes the same bytes on over a
//! WebSocket of its own and does nothing else. One hears the platform's stream. Each notes when it has read a trade; what
//! counts is by how much relay and platform are later than the direct client, trade by trade.

use app::config::Config;
use app::sources::SOURCES;
use app::topology::Platform;
use futures_util::{SinkExt, StreamExt};
use model::{Body, Channel, InstrumentId, TradeId};
use sim::Host;
use source::{Action, Input, Options, Shard, SimSetup, Source, Want};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

/// Moves of the simulated market in a second; about a fifth are trades, and a move gives some two frames.
const RATES: [u32; 3] = [500, 5_000, 20_000];
/// How long each rate is measured.
const LASTS: Duration = Duration::from_secs(8);

/// When a trade was read, by instrument and number.
type Seen = Arc<Mutex<HashMap<(InstrumentId, u64), Instant>>>;

/// Measures every rate and gives the table.
pub fn table() -> String {
    let mut out = String::from("\n## Added latency, socket → client, over the direct client, µs\n\n");
    out.push_str("| moves/s | trades compared | way | p50 | p99 | p99.9 | max |\n|---:|---:|---|---:|---:|---:|---:|\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let (Ok(runtime), Some(source)) = (runtime, SOURCES.first()) else { return out };
    for rate in RATES {
        let rows = runtime.block_on(measure(*source, rate)).unwrap_or_else(|why| {
            println!("latency at {rate} moves/s could not be measured: {why}");
            Vec::new()
        });
        for row in rows {
            println!("{row}");
            let _ = writeln!(out, "{row}");
        }
    }
    out
}

async fn measure(source: &'static dyn Source, rate: u32) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let (stop, stopped) = watch::channel(false);
    let start = feed::clock::now();
    let setup = SimSetup { start, instruments: 2, moves_per_s: rate, ..SimSetup::default() };
    let host = Host::start(source, source.sim(&setup), &[], feed::clock::now, stopped.clone()).await?;
    let (mut config, name) = (Config::default(), source.spec().name);
    (config.serve.http_port, config.serve.metrics_port, config.serve.probe_port) = (0, 0, 0);
    config.run.subscriptions = std::path::PathBuf::new();
    let books = host.books().await;
    let first = books.first().ok_or("the simulator lists nothing")?.instrument.clone();
    config.sources = vec![feed::SourceConfig {
        name: name.to_owned(),
        instruments: vec![first.name.to_string()],
        channels: vec![Channel::Trades.name().to_owned()],
        hosts: host.addrs.iter().map(|(n, addr)| ((*n).to_owned(), format!("http://{addr}"))).collect(),
        ..feed::SourceConfig::default()
    }];
    let platform = Platform::start(config).await?;
    let want = Want { instrument: first.clone(), channel: Channel::Trades };
    let shard = source.shards(&[want], &Options::default()).into_iter().next().ok_or("no shard")?;
    let address = host.addrs.get(shard.endpoint).ok_or("no address")?.1.to_string();
    let [direct, relayed, served] = [Seen::default(), Seen::default(), Seen::default()];
    let relay = relay(source, shard.clone(), address.clone()).await?;
    tokio::spawn(hear(source, shard.clone(), address, direct.clone(), true));
    tokio::spawn(hear(source, shard, relay, relayed.clone(), false));
    tokio::spawn(stream(
        platform.running.addrs.http.to_string(),
        first.name.to_string(),
        first.id,
        served.clone(),
    ));
    tokio::time::sleep(LASTS).await;
    let rows =
        [("bare relay", &relayed), ("platform", &served)].map(|(way, seen)| row(rate, way, &direct, seen));
    platform.stop().await;
    stop.send(true)?;
    Ok(rows.into())
}

fn row(rate: u32, way: &str, direct: &Seen, seen: &Seen) -> String {
    let lock = |seen: &Seen| seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (direct, seen) = (lock(direct), lock(seen));
    let later = seen.iter().filter_map(|(id, at)| Some(at.saturating_duration_since(*direct.get(id)?)));
    let mut us: Vec<f64> = later.map(|d| d.as_nanos() as f64 / 1e3).collect();
    us.sort_by(f64::total_cmp);
    let at = |share: f64| {
        us.get(((us.len() as f64 * share) as usize).min(us.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "| {rate} | {} | {way} | {:.0} | {:.0} | {:.0} | {:.0} |",
        us.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// The frames that a session sends when its connection opens.
fn requests(source: &dyn Source, shard: &Shard) -> Vec<Vec<u8>> {
    let (mut session, mut out) = (source.session(shard), Vec::new());
    session.on(Input::Open, feed::clock::now(), &mut out);
    let sends = out.into_iter().filter_map(|action| match action {
        Action::Send(bytes) => Some(bytes),
        _ => None,
    });
    sends.collect()
}

fn text(bytes: &[u8]) -> Message {
    Message::Text(String::from_utf8_lossy(bytes).into_owned().into())
}

/// A client of the venue's own wire.
async fn hear(
    source: &'static dyn Source,
    shard: Shard,
    address: String,
    seen: Seen,
    subscribe: bool,
) -> Option<()> {
    let tcp = TcpStream::connect(&address).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let url = format!("ws://{address}{}", shard.path.clone()?);
    let (mut socket, _) = client_async(url, tcp).await.ok()?;
    if subscribe {
        for bytes in requests(source, &shard) {
            socket.send(text(&bytes)).await.ok()?;
        }
    }
    let (mut session, mut out) = (source.session(&shard), Vec::new());
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Message::Text(frame) = message else { continue };
        session.on(Input::Frame { bytes: frame.as_bytes(), binary: false }, feed::clock::now(), &mut out);
        for action in out.drain(..) {
            if let Action::Emit(event) = action
                && let Body::Trade(trade) = &event.body
                && let TradeId::Num(id) = trade.id
            {
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry((event.instrument.id, id))
                    .or_insert(at);
            }
        }
    }
    Some(())
}

/// Passes the venue's frames on to one client; gives the address where it does.
async fn relay(source: &'static dyn Source, shard: Shard, address: String) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let local = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let mut client = accept_async(tcp).await.ok()?;
        let tcp = TcpStream::connect(&address).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let url = format!("ws://{address}{}", shard.path.clone()?);
        let (mut venue, _) = client_async(url, tcp).await.ok()?;
        for bytes in requests(source, &shard) {
            venue.send(text(&bytes)).await.ok()?;
        }
        while let Some(Ok(message)) = venue.next().await {
            if message.is_text() {
                client.send(message).await.ok()?;
            }
        }
        Some(())
    });
    Ok(local)
}

/// A client of the platform's stream.
async fn stream(address: String, instrument: String, id: InstrumentId, seen: Seen) -> Option<()> {
    let subscribe =
        serde_json::json!({ "op": "subscribe", "instruments": [instrument], "channels": ["trades"] })
            .to_string();
    loop {
        let tcp = TcpStream::connect(&address).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let (mut socket, _) = client_async(format!("ws://{address}/api/v1/stream"), tcp).await.ok()?;
        socket.send(Message::Text(subscribe.clone().into())).await.ok()?;
        while let Some(Ok(message)) = socket.next().await {
            let at = Instant::now();
            let Message::Text(event) = message else { continue };
            let event: serde_json::Value = serde_json::from_str(&event).unwrap_or_default();
            // Before the listing is read the name is unknown; then it is asked for again.
            if event.get("type").is_some_and(|t| t == "error") {
                tokio::time::sleep(Duration::from_millis(200)).await;
                break;
            }
            let number =
                event.get("id").and_then(serde_json::Value::as_str).and_then(|text| text.parse().ok());
            if let (Some(number), true) = (number, event.get("kind").is_some_and(|kind| kind == "trade")) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).entry((id, number)).or_insert(at);
            }
        }
    }
}
