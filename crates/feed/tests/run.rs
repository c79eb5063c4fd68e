//! A source on real sockets: listings, wants, a WebSocket that pings and closes, REST, the tape.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what they expect by failing"
)]

use bus::{Bus, Filter, Item, Policy};
use feed::{Context, SourceConfig, run_source};
use futures_util::{SinkExt, StreamExt};
use model::{
    Body, Channel, Event, Flags, Instrument, InstrumentKind, LaneFact, LinkFact, Stamp, Trade, TradeId, Ts,
};
use source::{
    Action, ChannelSpec, Endpoint, Input, Malformed, Options, Rate, Request, Session, Shard, Sim, SimSetup,
    Source, Spec, Want,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// Prints by number, one a frame; a listing of one symbol a line.
struct Toy;

const LOOSE: Rate = Rate { max: 1_000, per_ms: 1_000 };

static SPEC: Spec = Spec {
    name: "toy",
    docs: "",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://toy.invalid",
        rest: "https://toy.invalid",
        connects: LOOSE,
        sends: LOOSE,
        weight: LOOSE,
        heartbeat_ms: 60_000,
        lifetime_ms: None,
    }],
    channels: &[ChannelSpec { channel: Channel::Trades, proof: model::Proof::None, quiet_ms: None }],
    frame_bytes_max: 10_000,
};

fn named(symbol: &str) -> Instrument {
    Instrument::provisional("toy", "", symbol, InstrumentKind::Spot)
}

struct ToySession {
    instrument: Arc<Instrument>,
}

impl ToySession {
    fn told(&self, text: &str, now: Ts, out: &mut Vec<Action>) {
        let id = TradeId::from_text(text);
        let trade = Trade { id, px: model::Px(1), qty: model::Qty(1), aggressor: None, count: 1 };
        out.push(Action::Emit(Event {
            source: "toy",
            instrument: Arc::clone(&self.instrument),
            channel: Channel::Trades,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: None, ts_recv: now },
            body: Body::Trade(trade),
        }));
    }
}

impl Session for ToySession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => out.push(Action::Send(self.instrument.symbol.as_bytes().to_vec())),
            Input::Frame { bytes, .. } => match std::str::from_utf8(bytes).unwrap() {
                "ask" => out.push(Action::Fetch { tag: 1, path: "/last".to_owned(), weight: 1 }),
                text => self.told(text, now, out),
            },
            Input::Reply { body, status, .. } => {
                self.told(&format!("{status}{}", std::str::from_utf8(body).unwrap()), now, out);
                out.push(Action::Send(b"thanks".to_vec()));
            }
            Input::Wake { .. }
            | Input::Resync { .. }
            | Input::Define(_)
            | Input::Subscribe(_)
            | Input::Unsubscribe(_)
            | Input::Closed => {}
        }
    }
}

impl Source for Toy {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    fn listings(&self) -> Vec<Request> {
        vec![Request { endpoint: 0, path: "/list".to_owned(), weight: 1 }]
    }
    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        (path == "/list").then(|| Ok(std::str::from_utf8(body).unwrap().lines().map(named).collect()))
    }
    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let path = Some("/ws?a=b".to_owned());
        vec![Shard { endpoint: 0, path, wants: wants.to_vec(), options: options.clone() }]
    }
    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(ToySession { instrument: Arc::clone(&shard.wants[0].instrument) })
    }
    fn sim(&self, _: &SimSetup) -> Box<dyn Sim> {
        unreachable!("no test asks for it")
    }
    fn recognises(&self, _: Option<&str>, _: &[u8]) -> bool {
        false
    }
}

/// The venue: the first listing fails, the first connection is closed after two frames.
async fn venue(listener: TcpListener) {
    let (lists, opens) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(client(stream, Arc::clone(&lists), Arc::clone(&opens)));
    }
}

async fn client(mut stream: TcpStream, lists: Arc<AtomicU32>, opens: Arc<AtomicU32>) {
    let mut head = [0; 1_024];
    let n = stream.peek(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..n]).into_owned();
    if head.starts_with("GET /ws?a=b") {
        return converse(stream, opens.fetch_add(1, Ordering::SeqCst)).await;
    }
    stream.read_exact(&mut vec![0; n]).await.unwrap();
    let (status, body) = match head.split(' ').nth(1).unwrap() {
        "/list" if lists.fetch_add(1, Ordering::SeqCst) == 0 => ("503 busy", ""),
        "/list" => ("200 fine", "ABC\nXYZ"),
        "/last" => ("429 slower\r\nretry-after: 1", "7"),
        other => panic!("nobody asks for {other}"),
    };
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn converse(stream: TcpStream, nth: u32) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("ABC"));
    socket.send(Message::Ping("mark".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("mark".into()));
    if nth == 0 {
        socket.send(Message::text("1")).await.unwrap();
        socket.send(Message::text("ask")).await.unwrap();
        socket.send(Message::binary("2")).await.unwrap();
        let code = tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Away;
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason: "bye".into() };
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("thanks"));
        socket.close(Some(frame)).await.unwrap();
    } else {
        socket.send(Message::text("3")).await.unwrap();
    }
    while let Some(Ok(_)) = socket.next().await {}
}

struct Running {
    reader: bus::Reader,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<feed::Result<()>>,
    metrics: Arc<metrics::Metrics>,
}

fn run(host: String, tape: Option<tape::Config>) -> Running {
    let bus = Arc::new(Bus::new(bus::Config::default(), feed::clock::now()));
    let reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 10_000 }, None);
    let (stop, shutdown) = watch::channel(false);
    let metrics = Arc::new(metrics::Metrics::new());
    let engine = engine::Config::default();
    let desk = Arc::new(feed::Desk::open(None).unwrap());
    let context = Context { bus, metrics: Arc::clone(&metrics), engine, tape, desk, seed: 1, shutdown };
    let config = SourceConfig {
        name: "toy".to_owned(),
        instruments: vec!["abc".to_owned(), "nothing".to_owned()],
        channels: vec!["trades".to_owned()],
        hosts: BTreeMap::from([("main".to_owned(), host)]),
        ..SourceConfig::default()
    };
    let task = tokio::spawn(async move { run_source(&Toy, &config, context).await });
    Running { reader, stop, task, metrics }
}

impl Running {
    /// Reads events until one is as wanted; gives all.
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        let reading = async {
            loop {
                let mut items = Vec::new();
                self.reader.read(&mut items, 100).await;
                for item in items {
                    let Item::Event { published, .. } = item else { panic!("nothing is skipped") };
                    seen.push(published.event.clone());
                }
                if seen.iter().any(&wanted) {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), reading).await.expect("it comes in time");
        seen
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        timeout(Duration::from_secs(10), self.task).await.expect("it stops").unwrap().unwrap();
    }
}

fn trade(event: &Event) -> Option<String> {
    match &event.body {
        Body::Trade(Trade { id: TradeId::Num(n), .. }) => Some(n.to_string()),
        _ => None,
    }
}

fn link(event: &Event) -> Option<&LinkFact> {
    if let Body::Link(fact) = &event.body { Some(fact) } else { None }
}

#[tokio::test]
async fn a_source_is_read_through_failures_and_kept_on_tape() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let venue = tokio::spawn(venue(listener));
    let folder = tempfile::tempdir().unwrap();
    let tape = tape::Config { dir: folder.path().to_owned(), ..tape::Config::default() };
    let mut running = run(host.clone(), Some(tape));
    let seen = running.until(|e| trade(e).is_some_and(|id| id == "3")).await;

    let mut trades: Vec<String> = seen.iter().filter_map(trade).collect();
    trades.sort();
    assert_eq!(trades, ["1", "2", "3", "4297"]);
    let downs: Vec<&str> = seen
        .iter()
        .filter_map(link)
        .filter_map(|f| if let LinkFact::Down { why, .. } = f { Some(&**why) } else { None })
        .collect();
    assert_eq!(downs.len(), 2, "{downs:?}");
    assert!(downs[0].contains("/list: status 503"), "{downs:?}");
    assert_eq!(downs[1], "closed by the venue: 1001 bye");
    let url = seen
        .iter()
        .filter_map(link)
        .find_map(|f| if let LinkFact::Connecting { url, .. } = f { Some(url.to_string()) } else { None });
    assert_eq!(url, Some(host));
    let refused = seen.iter().find(|e| matches!(e.body, Body::Lane(LaneFact::Refused(_)))).unwrap();
    assert_eq!(&*refused.instrument.symbol, "nothing");
    assert_eq!(seen.iter().filter(|e| matches!(e.body, Body::Instrument)).count(), 2);

    let metrics = Arc::clone(&running.metrics);
    running.end().await;
    venue.abort();
    let label = metrics::Source { source: "toy" };
    assert_eq!(metrics.feed.frames.get_or_create(&label).get(), 5);
    assert_eq!(metrics.feed.links_up.get_or_create(&label).get(), 0);
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let records: Vec<tape::Record> = tape::Reader::open(file).unwrap().map(Result::unwrap).collect();
    let count = |kind: fn(&tape::Kind) -> bool| records.iter().filter(|r| kind(&r.kind)).count();
    assert_eq!(count(|k| matches!(k, tape::Kind::Connect { .. })), 2);
    assert_eq!(count(|k| matches!(k, tape::Kind::Closed { .. })), 2);
    assert_eq!(count(|k| matches!(k, tape::Kind::Sent(bytes) if bytes == b"ABC")), 2);
    assert_eq!(count(|k| matches!(k, tape::Kind::Frame { .. })), 4);
    assert_eq!(count(|k| matches!(k, tape::Kind::Reply { .. })), 3);
}

#[tokio::test]
async fn a_venue_that_cannot_be_reached_is_shown_and_stops_when_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut running = run(host, None);
    let down = |e: &Event| matches!(link(e), Some(LinkFact::Down { why, retry_ms: Some(_), .. }) if why.contains("refused"));
    running.until(down).await;
    running.end().await;
}

#[tokio::test]
async fn a_host_that_is_no_address_is_an_error_at_once() {
    let running = run("toy.example:9000".to_owned(), None);
    let error = running.task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("begins with http://, https:// or tcp://"), "{error}");
}
