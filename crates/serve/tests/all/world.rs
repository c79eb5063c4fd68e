//! A bus, what serves it, and clients of both kinds.

use bus::Bus;
use futures_util::{SinkExt, StreamExt};
use metrics::Metrics;
use model::{
    Body, Channel, Delta, Event, Flags, Gap, GapCause, Instrument, InstrumentKind, Level, Levels, Px, Qty,
    Quote, Snapshot, Stamp, Trade, TradeId, Ts,
};
use serde_json::Value;
use serve::{Addrs, Config, Running};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::sql::Sql;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The longest that any wait may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const NOW: Ts = Ts::from_ms(1_700_000_000_000);

/// Readers of the bus that are there without any client: the one that follows stocks.
pub const OWN_READERS: usize = 1;

pub struct World {
    pub bus: Arc<Bus>,
    pub desk: Arc<feed::Desk>,
    pub metrics: Arc<Metrics>,
    pub at: Addrs,
    pub stop: watch::Sender<bool>,
    pub running: Running,
    /// What may keep events.
    pub store: Option<Store>,
    /// Where `qingxi-sql` is looked for.
    pub program: PathBuf,
    pub folder: tempfile::TempDir,
}

/// Free ports, and everything else as it is by default.
pub fn config() -> Config {
    Config { http_port: 0, metrics_port: 0, probe_port: 0, ..Config::default() }
}

pub async fn world() -> World {
    world_with(config(), || NOW, bus::Config::default()).await
}

pub async fn world_with(config: Config, clock: fn() -> Ts, bus: bus::Config) -> World {
    let bus = Arc::new(Bus::new(bus, NOW));
    let metrics = Arc::new(Metrics::new());
    let (stop, stopped) = watch::channel(false);
    let desk = Arc::new(feed::Desk::open(None).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (store, _) =
        Store::open(store::Config { dir: folder.path().to_owned(), ..store::Config::default() }).unwrap();
    let program = folder.path().join("qingxi-sql");
    let queries =
        store::sql::Config { program: program.clone(), queries_max: 1, wait_ms: 1, ..Default::default() };
    let parts = serve::Parts {
        bus: Arc::clone(&bus),
        metrics: Arc::clone(&metrics),
        sources: &["v"],
        desk: Arc::clone(&desk),
        store: Some(store.reader()),
        control: Some(store.control()),
        sql: Some(Sql::new(queries, Arc::new(store.reader()))),
        clock,
        shutdown: stopped,
    };
    let running = serve::run(config, parts).await.unwrap();
    World { bus, desk, metrics, at: running.addrs, stop, running, store: Some(store), program, folder }
}

/// `BASE/QUOTE@v`.
pub fn spot(base: &str, quote: &str) -> Arc<Instrument> {
    let symbol = format!("{base}{quote}");
    let made = Instrument::provisional("v", "spot", &symbol, InstrumentKind::Spot).named(base, quote, "");
    Arc::new(Instrument { px_scale: 2, qty_scale: 3, ..made })
}

/// `BASE/QUOTE:QUOTE@v`.
pub fn perpetual(base: &str, quote: &str) -> Arc<Instrument> {
    let symbol = format!("{base}{quote}");
    let made = Instrument::provisional("v", "perp", &symbol, InstrumentKind::Perpetual);
    Arc::new(made.named(base, quote, quote))
}

pub fn event(instrument: &Arc<Instrument>, channel: Channel, body: Body) -> Event {
    let stamp = Stamp { ts_event: Some(Ts(NOW.0 - 3_000_000)), ts_recv: NOW };
    Event { source: "v", instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

pub fn level(px: i64, qty: i64) -> Level {
    Level { px: Px(px), qty: Qty(qty) }
}

pub fn quote(instrument: &Arc<Instrument>, px: i64) -> Event {
    let quote = Quote { bid: Some(level(px, 1_000)), ask: Some(level(px + 1, 2_000)), seq: Some(7) };
    event(instrument, Channel::Quote, Body::Quote(quote))
}

impl World {
    pub fn define(&self, instrument: &Arc<Instrument>) {
        self.bus.publish(event(instrument, Channel::Instruments, Body::Instrument), NOW);
    }

    pub fn snapshot(&self, instrument: &Arc<Instrument>, seq: u64, bids: &[Level], asks: &[Level]) {
        let levels = Levels::from_sides(bids, asks);
        let body = Snapshot { seq: Some(seq), levels, checksum: None, epoch: 1 };
        self.bus.publish(event(instrument, Channel::Book, Body::Snapshot(body)), NOW);
    }

    pub fn delta(&self, instrument: &Arc<Instrument>, seq: u64, bids: &[Level], asks: &[Level]) {
        let levels = Levels::from_sides(bids, asks);
        let body = Delta { prev_seq: Some(seq - 1), seq: Some(seq), levels, checksum: None, epoch: 1 };
        self.bus.publish(event(instrument, Channel::Book, Body::Delta(body)), NOW);
    }

    pub fn gap(&self, instrument: &Arc<Instrument>) {
        let gap = Gap { cause: GapCause::Sequence, from_seq: None, to_seq: None };
        self.bus.publish(event(instrument, Channel::Book, Body::Gap(gap)), NOW);
    }

    pub fn trade(&self, instrument: &Arc<Instrument>, id: u64) {
        let trade = Trade { id: TradeId::Num(id), px: Px(100), qty: Qty(5), aggressor: None, count: 1 };
        self.bus.publish(event(instrument, Channel::Trades, Body::Trade(trade)), NOW);
    }

    pub fn quote(&self, instrument: &Arc<Instrument>, px: i64) {
        self.bus.publish(quote(instrument, px), NOW);
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = http(self.at.http, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let body = serde_json::from_str(&answer.body)
            .unwrap_or_else(|e| panic!("{path} gives no JSON ({e}): {}", answer.body));
        (answer.status, body)
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json");
        let answer =
            http(self.at.http, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        let told = serde_json::from_str(&answer.body);
        (answer.status, told.unwrap_or_else(|e| panic!("{path} gives no JSON ({e}): {}", answer.body)))
    }

    pub async fn client(&self) -> Client {
        let mut client = self.silent_client().await;
        assert_eq!(client.next().await["type"], "welcome");
        client
    }

    pub async fn silent_client(&self) -> Client {
        let url = format!("ws://{}/api/v1/stream", self.at.http);
        let (socket, _) = connect_async(url).await.unwrap();
        Client { socket }
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends a request as it stands, with `Connection: close` added, and reads the answer to its end.
pub async fn http(address: SocketAddr, request: &str) -> Answer {
    let text = String::from_utf8(raw(address, request).await).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// All bytes of an answer.
async fn raw(address: SocketAddr, request: &str) -> Vec<u8> {
    let (first, rest) = request.split_once("\r\n").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{first}\r\nConnection: close\r\n{rest}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// The body of an answer to a GET that comes in chunks, put together.
pub async fn http_bytes(address: SocketAddr, path: &str) -> Vec<u8> {
    let bytes = raw(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (head, rest) = bytes.split_at(at + 4);
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(head));
    joined(rest)
}

/// The chunks of a body, put together.
pub fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 4 + size..];
        if size == 0 {
            break;
        }
    }
    body
}

/// The end of something that must not take long.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Asks again and again until the answer satisfies.
pub async fn until<F: Future<Output = bool>>(mut satisfied: impl FnMut() -> F) {
    soon(async {
        while !satisfied().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// The next message; pings are passed over.
    pub async fn next(&mut self) -> Value {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    pub async fn ask(&mut self, text: impl Into<String>) -> Value {
        self.say(text).await;
        self.next().await
    }

    /// The code with which the server closes; messages before it are passed over.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|f| f.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}
