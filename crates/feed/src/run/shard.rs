//! One shard on a task: its pump, its sockets, its requests. Between a socket and the bus there is no queue.

use super::held::Held;
use super::meter::Meter;
use super::watch::Taker;
use super::{Context, Shared, stopped};
use crate::clock;
use crate::error::{Result, words};
use crate::net::{Answer, Socket, fault};
use crate::pump::{Conn, In, Io, Out, Pump, Setup};
use futures_util::{FutureExt, Stream};
use metrics::SourceCause;
use model::{GapCause, Instrument, InstrumentId, LinkId, Ts};
use source::{Shard, Want};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tape::Entry;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// The longest sleep, so that a clock that was set is noticed, in ms.
const SLEEP_MS: u64 = 1_000;
/// How many frames are read before anything else gets its turn.
const BATCH_MAX: usize = 64;
/// How many requests may be under way.
const FETCHES_MAX: usize = 256;
/// How long a socket may take no more bytes, in ms.
const SEND_MS: u64 = 10_000;
/// How long the parting words of a connection may take, in ms.
const CLOSE_MS: u64 = 1_000;
/// How often what was counted goes into the metrics, in ms.
const METER_MS: u64 = 1_000;

/// What a shard is made from; kept, so that it can be made again.
#[derive(Clone)]
pub struct Plan {
    pub shard: Shard,
    /// One more than are to be open.
    pub links: Vec<LinkId>,
}

/// A shard that runs, as its runner knows it.
pub struct Line {
    /// With what was added and taken away since it began.
    pub plan: Plan,
    pub orders: mpsc::Sender<Order>,
    /// Ends it alone.
    pub stop: watch::Sender<bool>,
    pub task: Option<Id>,
}

/// What a runner tells a shard that runs.
pub enum Order {
    Define(Arc<Instrument>),
    Subscribe(Vec<Want>),
    Unsubscribe(Vec<Want>),
}

impl Line {
    pub fn wants(&self, instrument: InstrumentId) -> bool {
        self.plan.shard.wants.iter().any(|w| w.instrument.id == instrument)
    }

    /// Whether it goes to the same place.
    pub fn is_like(&self, shard: &Shard) -> bool {
        self.plan.shard.endpoint == shard.endpoint && self.plan.shard.path == shard.path
    }
}

/// Runs a shard until the shutdown, after a pause.
pub async fn run(
    shared: Arc<Shared>,
    plan: Plan,
    mut orders: mpsc::Receiver<Order>,
    mut stop: watch::Receiver<bool>,
    pause_ms: u64,
) {
    let mut shutdown = shared.context.shutdown.clone();
    tokio::select! {
        () = stopped(&mut shutdown) => return,
        () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
    }
    let Some(mut task) = Task::new(&shared, plan) else {
        tracing::error!(source = shared.source.spec().name, "a shard names an endpoint that there is not");
        return;
    };
    task.on(In::Start).await;
    let mut metered = clock::now();
    loop {
        let sleep = task.sleep();
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            (at, message) = next(&mut task.sockets) => task.batch(at, message).await,
            Some(Ok(opened)) = task.opening.join_next() => task.opened(opened).await,
            Some(Ok(asked)) = task.asking.join_next() => task.answered(&asked).await,
            () = stopped(&mut stop) => {
                // What is no longer wanted is unsubscribed before the connection goes.
                while let Ok(order) = orders.try_recv() {
                    task.carry(order).await;
                }
                break;
            }
            Some(order) = orders.recv() => task.carry(order).await,
            () = shared.context.bus.ready(), if !task.held.is_empty() => task.release(),
            () = tokio::time::sleep(sleep) => task.on(In::Tick).await,
        }
        let now = clock::now();
        if now.ms_since(metered).unsigned_abs() >= METER_MS {
            metered = now;
            task.meter.read(shared.source.spec().name, &task.pump, &shared.context.metrics);
        }
    }
    task.end().await;
}

type Read = Option<std::result::Result<Message, WsError>>;
type Opened = (Conn, Result<Socket>);
type Asked = (Conn, u64, String, Answer);

struct Task<'a> {
    shared: &'a Arc<Shared>,
    pump: Pump<'a>,
    out: Out,
    sockets: Vec<(Conn, Socket)>,
    opening: JoinSet<Opened>,
    handles: HashMap<Conn, AbortHandle>,
    asking: JoinSet<Asked>,
    endpoint: usize,
    path: String,
    meter: Meter,
    samples: Option<Taker>,
    /// Whether frames are read though nobody takes what they tell.
    must_read: bool,
    /// What was read then.
    held: Held,
}

/// The next message of any socket, with the socket's place.
async fn next(sockets: &mut [(Conn, Socket)]) -> (usize, Read) {
    poll_fn(|cx| {
        for (at, (_, socket)) in sockets.iter_mut().enumerate() {
            if let Poll::Ready(message) = Pin::new(socket).poll_next(cx) {
                return Poll::Ready((at, message));
            }
        }
        Poll::Pending
    })
    .await
}

impl<'a> Task<'a> {
    fn new(shared: &'a Arc<Shared>, plan: Plan) -> Option<Self> {
        let endpoint = plan.shard.endpoint;
        let path = plan.shard.path.clone().unwrap_or_default();
        let socket = plan.shard.path.is_some();
        let host = if socket { shared.client.net.ws(endpoint) } else { shared.client.net.rest(endpoint) };
        let seed = shared.context.seed
            ^ clock::now().0.cast_unsigned()
            ^ plan.links.first().map_or(0, |link| u64::from(link.0));
        let pump = Pump::new(Setup {
            source: shared.source,
            shard: plan.shard,
            links: plan.links,
            engine: shared.context.engine.clone(),
            referee_ms: shared.referee_ms,
            seed,
            host: Some(host),
            lifetime_ms: None,
        })?;
        Some(Self {
            shared,
            pump,
            out: Out::default(),
            sockets: Vec::new(),
            opening: JoinSet::new(),
            handles: HashMap::new(),
            asking: JoinSet::new(),
            endpoint,
            path,
            meter: Meter::default(),
            samples: shared.samples.get().cloned().map(Taker::new),
            must_read: shared.source.must_read(endpoint),
            held: Held::default(),
        })
    }

    fn sleep(&self) -> Duration {
        let longest = Duration::from_millis(SLEEP_MS);
        let wake = self.pump.next_wake().map(|at| clock::until(at, clock::now()));
        wake.unwrap_or(longest).clamp(Duration::from_millis(1), longest)
    }

    /// Hands an input to the pump, publishes what follows and does what it asks for.
    async fn on(&mut self, input: In<'_>) {
        self.tell(input, clock::now());
        self.carry_out().await;
    }

    async fn carry(&mut self, order: Order) {
        match order {
            Order::Define(instrument) => self.on(In::Define(&instrument)).await,
            Order::Subscribe(wants) => self.on(In::Subscribe(&wants)).await,
            Order::Unsubscribe(wants) => self.on(In::Unsubscribe(&wants)).await,
        }
    }

    /// Hands an input to the pump and publishes what follows.
    #[inline]
    fn tell(&mut self, input: In<'_>, now: Ts) {
        self.pump.on(input, now, &mut self.out);
        self.publish();
    }

    #[inline]
    fn publish(&mut self) {
        if !self.out.events.is_empty() {
            let bus = &self.shared.context.bus;
            if self.must_read && (!self.held.is_empty() || !bus.is_ready()) {
                for event in self.out.events.drain(..) {
                    self.held.put(event);
                }
                return;
            }
            let ts_pub = clock::now();
            for event in self.out.events.drain(..) {
                bus.publish(event, ts_pub);
            }
        }
    }

    /// Publishes what was held, as far as readers take it.
    fn release(&mut self) {
        let shared = self.shared;
        let Context { bus, metrics, .. } = &shared.context;
        let source = shared.source.spec().name;
        let mut events = Vec::new();
        for _ in 0..BATCH_MAX {
            if self.held.pop(&mut events) {
                let cause = GapCause::Overflow.name();
                metrics.feed.gaps.get_or_create(&SourceCause { source, cause }).inc();
            }
            let now = clock::now();
            for event in events.drain(..) {
                bus.publish(event, now);
            }
            if self.held.is_empty() || !bus.is_ready() {
                return;
            }
        }
    }

    async fn carry_out(&mut self) {
        // What is asked for while this is carried out follows in the next round.
        while !self.out.io.is_empty() {
            for io in std::mem::take(&mut self.out.io) {
                self.do_one(io).await;
            }
        }
    }

    async fn do_one(&mut self, io: Io) {
        match io {
            Io::Open { conn, endpoint, path } => self.open(conn, endpoint, path),
            Io::Send { conn, bytes } => self.send(conn, bytes).await,
            Io::Close { conn } => self.close(conn),
            Io::Fetch { conn, tag, endpoint, path, weight } => self.fetch(conn, tag, endpoint, path, weight),
        }
    }

    fn open(&mut self, conn: Conn, endpoint: usize, path: String) {
        let shared = Arc::clone(self.shared);
        let handle = self.opening.spawn(async move {
            shared.may_connect(endpoint).await;
            (conn, shared.client.net.open(endpoint, &path).await)
        });
        self.handles.insert(conn, handle);
    }

    async fn opened(&mut self, (conn, result): Opened) {
        self.handles.remove(&conn);
        match result {
            Ok(socket) => {
                let url = format!("{}{}", self.shared.client.net.ws(self.endpoint), self.path);
                self.record(conn, Entry::Connect { url: &url });
                self.sockets.push((conn, socket));
                self.on(In::Opened { conn }).await;
            }
            Err(error) => {
                let why = words(&error);
                let source = self.shared.source.spec().name;
                tracing::warn!(source, link = conn.link.0, why, "a connection could not be opened");
                self.on(In::OpenFailed { conn, fault: fault(&error), why: &why }).await;
            }
        }
    }

    async fn send(&mut self, conn: Conn, bytes: Vec<u8>) {
        let Some((_, socket)) = self.sockets.iter_mut().find(|(c, _)| *c == conn) else { return };
        self.shared.record(conn.link, Entry::Sent(self.shared.without_secrets(&bytes)));
        let sent = timeout(Duration::from_millis(SEND_MS), socket.send(bytes)).await;
        let why = match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => words(&error),
            Err(_) => format!("the venue took no bytes for {SEND_MS} ms"),
        };
        self.lost(conn, &why);
    }

    /// A socket is gone.
    fn lost(&mut self, conn: Conn, why: &str) {
        if let Some(at) = self.sockets.iter().position(|(c, _)| *c == conn) {
            let (_, socket) = self.sockets.swap_remove(at);
            self.shared.avoid(&socket);
        }
        let source = self.shared.source.spec().name;
        tracing::warn!(source, link = conn.link.0, why, "a connection was lost");
        self.record(conn, Entry::Closed { why });
        self.tell(In::Closed { conn, why }, clock::now());
    }

    fn close(&mut self, conn: Conn) {
        if let Some(handle) = self.handles.remove(&conn) {
            handle.abort();
        }
        if let Some(at) = self.sockets.iter().position(|(c, _)| *c == conn) {
            let (_, socket) = self.sockets.swap_remove(at);
            // What we give up did not do what it should; at the end of its planned life another server serves as well.
            self.shared.avoid(&socket);
            self.record(conn, Entry::Closed { why: "closed by us" });
            tokio::spawn(part(socket));
        }
    }

    fn fetch(&mut self, conn: Conn, tag: u64, endpoint: usize, path: String, weight: u32) {
        let shared = Arc::clone(self.shared);
        let full = self.asking.len() >= FETCHES_MAX;
        self.asking.spawn(async move {
            let answer = if full {
                // A pause, or the session would ask again at once.
                tokio::time::sleep(Duration::from_millis(SLEEP_MS)).await;
                let body = format!("more than {FETCHES_MAX} requests are under way").into_bytes();
                Answer { status: 0, retry_ms: None, body }
            } else {
                shared.fetch(conn.link, endpoint, &path, weight).await
            };
            (conn, tag, path, answer)
        });
    }

    async fn answered(&mut self, (conn, tag, path, answer): &Asked) {
        let Answer { status, retry_ms, body } = answer;
        let (conn, tag, status, retry_ms) = (*conn, *tag, *status, *retry_ms);
        self.on(In::Reply { conn, tag, path, status, retry_ms, body }).await;
    }

    /// Takes a message, and others that are there already.
    async fn batch(&mut self, mut at: usize, mut message: Read) {
        for taken in 1.. {
            self.message(at, message).await;
            // A lossless reader that is full makes the socket wait.
            if !self.must_read {
                self.shared.context.bus.ready().await;
            }
            // Whatever is read is taken: the end of a batch comes before the next read.
            if taken == BATCH_MAX {
                break;
            }
            match next(&mut self.sockets).now_or_never() {
                Some(more) => (at, message) = more,
                None => return,
            }
        }
        tokio::task::yield_now().await;
    }

    async fn message(&mut self, at: usize, message: Read) {
        let now = clock::now();
        let Some((conn, socket)) = self.sockets.get_mut(at) else { return };
        let conn = *conn;
        match message {
            Some(Ok(Message::Text(text))) => self.frame(conn, text.as_bytes(), false, now),
            Some(Ok(Message::Binary(bytes))) => self.frame(conn, &bytes, true, now),
            Some(Ok(Message::Ping(_))) => {
                // The answer is queued by the socket; it must not wait for the next frame.
                let flushed = timeout(Duration::from_millis(SEND_MS), socket.flush()).await;
                self.tell(In::Ping { conn }, now);
                if let Ok(Err(error)) = flushed {
                    self.lost(conn, &words(&error));
                }
            }
            Some(Ok(Message::Pong(_))) => self.tell(In::Ping { conn }, now),
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map_or("closed by the venue without a code".to_owned(), |f| {
                    format!("closed by the venue: {} {}", u16::from(f.code), f.reason)
                });
                self.lost(conn, why.trim_end());
            }
            Some(Ok(Message::Frame(_))) => {}
            Some(Err(error)) => self.lost(conn, &words(&error)),
            None => self.lost(conn, "the connection ended without a close frame"),
        }
        if !self.out.io.is_empty() {
            self.carry_out().await;
        }
    }

    #[inline]
    fn frame(&mut self, conn: Conn, bytes: &[u8], binary: bool, now: Ts) {
        if let Some(recorder) = &self.shared.recorder {
            recorder.put(now, conn.link, Entry::Frame { bytes, binary });
        }
        let input = In::Frame { conn, bytes, binary };
        self.pump.on(input, now, &mut self.out);
        if let (Some(samples), Some(first)) = (&mut self.samples, self.out.events.first()) {
            samples.on(first, bytes, now);
        }
        self.publish();
    }

    fn record(&self, conn: Conn, entry: Entry<'_>) {
        self.shared.record(conn.link, entry);
    }

    /// Closes everything in order.
    async fn end(mut self) {
        while !self.held.is_empty() {
            // Its queue passes its bound by this, once.
            self.held.pop(&mut self.out.events);
        }
        self.must_read = false;
        self.publish();
        let sockets = std::mem::take(&mut self.sockets);
        for (conn, socket) in sockets {
            self.record(conn, Entry::Closed { why: "shutting down" });
            part(socket).await;
        }
        let source = self.shared.source.spec().name;
        self.meter.read(source, &self.pump, &self.shared.context.metrics);
        self.meter.end(source, &self.shared.context.metrics);
    }
}

/// Says good-bye, for as long as that may take.
async fn part(mut socket: Socket) {
    // A venue that does not answer is left all the same.
    _ = timeout(Duration::from_millis(CLOSE_MS), socket.part()).await;
}

impl Shared {
    fn avoid(&self, socket: &Socket) {
        if let Some(server) = socket.server() {
            self.client.net.avoid(server);
        }
    }

    /// What was sent as it may be kept: nothing of a frame with a secret in it.
    fn without_secrets<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let told = |secret: &String| {
            !secret.is_empty() && bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
        };
        if self.secrets.iter().any(told) { b"(a login)" } else { bytes }
    }

    fn record(&self, link: LinkId, entry: Entry<'_>) {
        if let Some(recorder) = &self.recorder {
            recorder.put(clock::now(), link, entry);
        }
    }
}
