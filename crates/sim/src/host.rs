//! A simulator on real ports: one listener for each endpoint of the source; WebSocket, REST and answers that go on are on
//! the same port, streams of bytes have theirs.

mod raw;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use model::Ts;
use source::{Login, Peer, Sim, SimAction, SimBook, SimControl, SimInput, Source};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// How many inputs of all clients may wait for the simulator.
const INPUTS_MAX: usize = 4_096;
/// How many frames may wait for one client; past that it is dropped as a slow one.
const FRAMES_MAX: usize = 8_192;
/// How long the simulator is never left alone, in ms.
const IDLE_MS: u64 = 1_000;

/// Why a simulator cannot be hosted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be had.
    #[error("failed to listen on {addr}; is the port taken?")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A simulator that is being served. It stops when the shutdown says so.
pub struct Host {
    /// The address of each endpoint, by its name.
    pub addrs: Vec<(&'static str, SocketAddr)>,
    /// With what clients must log in; `None` where they need not.
    pub login: Option<Login>,
    inputs: mpsc::Sender<Input>,
}

/// What reaches the task that owns the simulator.
enum Input {
    Open { peer: Peer, endpoint: usize, path: String, frames: Frames },
    Frame { peer: Peer, bytes: Vec<u8> },
    Pong { peer: Peer, payload: Vec<u8> },
    Closed { peer: Peer },
    Request { endpoint: usize, path: String, answer: oneshot::Sender<Answer> },
    Books(oneshot::Sender<Vec<SimBook>>),
    Control(SimControl, oneshot::Sender<()>),
}

/// The way to a client.
struct Frames {
    queue: mpsc::Sender<Frame>,
    /// What waits, where the venue counts it.
    backlog: Option<Arc<Backlog>>,
}

impl Frames {
    /// False where the client takes no more.
    fn take(&self, frame: Frame) -> bool {
        let fits = match (&self.backlog, &frame) {
            (Some(backlog), Frame::Data(bytes, _)) => backlog.grow(bytes.len()),
            _ => true,
        };
        fits && self.queue.try_send(frame).is_ok()
    }
}

/// Bytes that wait for a client who may let only so many wait.
struct Backlog {
    max: usize,
    waiting: AtomicUsize,
    /// Told when there are more.
    over: Notify,
}

impl Backlog {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, waiting: AtomicUsize::new(0), over: Notify::new() })
    }

    /// False where that is too much; the client is then cut off whatever it does.
    fn grow(&self, bytes: usize) -> bool {
        let fits = self.waiting.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.max;
        if !fits {
            self.over.notify_one();
        }
        fits
    }

    fn shrink(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What goes to a client.
enum Frame {
    Data(Vec<u8>, bool),
    Ping(Vec<u8>),
    Close(u16, String),
}

/// What goes back for a request.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Host {
    /// Opens a port for each endpoint of the source on loopback and serves `sim` there until `shutdown` turns true. `ports` names the ports in the order of the endpoints; a missing one or 0 takes any that is free.
    ///
    /// # Errors
    /// [`Error::Listen`] where a port cannot be had.
    pub async fn start(
        source: &'static dyn Source,
        sim: Box<dyn Sim>,
        ports: &[u16],
        clock: fn() -> Ts,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let peers = Arc::new(AtomicU64::new(1));
        let (login, backlog_max) = (sim.login(), sim.backlog_bytes_max());
        let mut addrs = Vec::new();
        for (endpoint, spec) in source.spec().endpoints.iter().enumerate() {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.get(endpoint).copied().unwrap_or(0)));
            let failed = |source| Error::Listen { addr, source };
            let listener = TcpListener::bind(addr).await.map_err(failed)?;
            addrs.push((spec.name, listener.local_addr().map_err(failed)?));
            let door = Door { endpoint, inputs: inputs.clone(), peers: Arc::clone(&peers), backlog_max };
            if spec.ws.starts_with("tcp:") {
                tokio::spawn(raw::serve(listener, source, door, shutdown.clone()));
                continue;
            }
            let router = Router::new().fallback(serve).with_state(door);
            let mut stop = shutdown.clone();
            tokio::spawn(async move {
                let stopped = async move {
                    // An error means that nobody is left who could say stop.
                    _ = stop.wait_for(|stop| *stop).await;
                };
                // Ends by the shutdown only; a listener on loopback does not fail.
                _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
            });
        }
        tokio::spawn(own(sim, received, clock, shutdown));
        Ok(Self { addrs, login, inputs })
    }

    /// The true books; none once it has stopped.
    pub async fn books(&self) -> Vec<SimBook> {
        let (answer, books) = oneshot::channel();
        if self.inputs.send(Input::Books(answer)).await.is_err() {
            return Vec::new();
        }
        books.await.unwrap_or_default()
    }

    /// Makes the venue misbehave, or stand still; returns when it does.
    pub async fn control(&self, control: SimControl) {
        let (answer, done) = oneshot::channel();
        if self.inputs.send(Input::Control(control, answer)).await.is_ok() {
            _ = done.await;
        }
    }
}

/// The task that owns the simulator.
async fn own(
    mut sim: Box<dyn Sim>,
    mut inputs: mpsc::Receiver<Input>,
    clock: fn() -> Ts,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut rooms = Rooms { peers: HashMap::new(), answers: HashMap::new(), wake: clock() };
    let mut said = Vec::new();
    let mut requests = 0;
    loop {
        let ms = rooms.wake.ms_since(clock()).clamp(0, IDLE_MS as i64);
        let input = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            input = inputs.recv() => match input {
                Some(input) => Some(input),
                None => return,
            },
            () = sleep_until(Instant::now() + Duration::from_millis(ms as u64)) => None,
        };
        let now = clock();
        rooms.wake = now.plus_ms(IDLE_MS);
        match input {
            None => sim.on(SimInput::Wake, now, &mut said),
            Some(Input::Open { peer, endpoint, path, frames }) => {
                rooms.peers.insert(peer, frames);
                sim.on(SimInput::Open { peer, endpoint, path: &path }, now, &mut said);
            }
            Some(Input::Frame { peer, bytes }) => {
                sim.on(SimInput::Frame { peer, bytes: &bytes }, now, &mut said);
            }
            Some(Input::Pong { peer, payload }) => {
                sim.on(SimInput::Pong { peer, payload: &payload }, now, &mut said);
            }
            Some(Input::Closed { peer }) => {
                if rooms.peers.remove(&peer).is_some() {
                    sim.on(SimInput::Closed { peer }, now, &mut said);
                }
            }
            Some(Input::Request { endpoint, path, answer }) => {
                requests += 1;
                rooms.answers.insert(requests, answer);
                sim.on(SimInput::Request { request: requests, endpoint, path: &path }, now, &mut said);
            }
            Some(Input::Books(answer)) => _ = answer.send(sim.books()),
            Some(Input::Control(control, done)) => {
                sim.control(control, now, &mut said);
                rooms.tell(&mut said, sim.as_mut(), now);
                _ = done.send(());
            }
        }
        rooms.tell(&mut said, sim.as_mut(), now);
    }
}

/// Clients and requests that wait.
struct Rooms {
    peers: HashMap<Peer, Frames>,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    wake: Ts,
}

impl Rooms {
    /// Carries what the venue said to its clients. One who takes nothing any more is gone.
    fn tell(&mut self, said: &mut Vec<SimAction>, sim: &mut dyn Sim, now: Ts) {
        let mut gone = Vec::new();
        for action in said.drain(..) {
            let (peer, frame) = match action {
                SimAction::Send { peer, bytes, binary } => (peer, Frame::Data(bytes, binary)),
                SimAction::Ping { peer, payload } => (peer, Frame::Ping(payload)),
                SimAction::Close { peer, code, reason } => (peer, Frame::Close(code, reason)),
                SimAction::Reply { request, status, headers, body } => {
                    if let Some(answer) = self.answers.remove(&request) {
                        // The client may have gone; its answer then is nobody's.
                        _ = answer.send(Answer { status, headers, body });
                    }
                    continue;
                }
                SimAction::Joined { .. } | SimAction::Left { .. } => continue,
                SimAction::WakeAt(at) => {
                    self.wake = self.wake.min(at);
                    continue;
                }
            };
            let closes = matches!(frame, Frame::Close(..));
            let taken = self.peers.get(&peer).is_none_or(|frames| frames.take(frame));
            if closes {
                self.peers.remove(&peer);
            } else if !taken {
                gone.push(peer);
            }
        }
        for peer in gone {
            if self.peers.remove(&peer).is_some() {
                sim.on(SimInput::Closed { peer }, now, said);
            }
        }
        if !said.is_empty() {
            self.tell(said, sim, now);
        }
    }
}

/// The way in of one endpoint.
#[derive(Clone)]
struct Door {
    endpoint: usize,
    inputs: mpsc::Sender<Input>,
    peers: Arc<AtomicU64>,
    /// How many bytes may wait for a client of a stream of bytes.
    backlog_max: Option<usize>,
}

/// Any request: a WebSocket where the client asks for one, else REST.
async fn serve(State(door): State<Door>, request: Request<Body>) -> Response {
    let path = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let (mut parts, _) = request.into_parts();
    if parts.headers.contains_key("sec-websocket-key") {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| converse(door, path, socket)),
            Err(refusal) => refusal.into_response(),
        };
    }
    if parts.headers.get("accept").is_some_and(|kind| kind == "text/event-stream") {
        return raw::answer(door, path).await;
    }
    let (answer, answered) = oneshot::channel();
    let sent = door.inputs.send(Input::Request { endpoint: door.endpoint, path, answer }).await;
    match (sent, answered.await) {
        (Ok(()), Ok(answer)) => {
            let mut response =
                Response::builder().status(answer.status).header("content-type", "application/json");
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            let failed = StatusCode::INTERNAL_SERVER_ERROR;
            response.body(Body::from(answer.body)).unwrap_or_else(|_| failed.into_response())
        }
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// One client, from its handshake to its end.
async fn converse(door: Door, path: String, socket: WebSocket) {
    let peer = Peer(door.peers.fetch_add(1, Ordering::Relaxed));
    let (queue, mut to_send) = mpsc::channel(FRAMES_MAX);
    let frames = Frames { queue, backlog: None };
    let open = Input::Open { peer, endpoint: door.endpoint, path, frames };
    if door.inputs.send(open).await.is_err() {
        return;
    }
    let (mut sink, mut stream) = socket.split();
    loop {
        tokio::select! {
            frame = to_send.recv() => {
                // The venue let the client go without a word where there is no frame and no code.
                let Some(frame) = frame else { break };
                let mut next = Some(frame);
                let mut over = false;
                while let Some(frame) = next {
                    over = matches!(frame, Frame::Close(..));
                    let Some(message) = message(frame) else { break };
                    if sink.feed(message).await.is_err() {
                        over = true;
                    }
                    next = if over { None } else { to_send.try_recv().ok() };
                }
                if sink.flush().await.is_err() || over {
                    break;
                }
            }
            heard = stream.next() => {
                let input = match heard {
                    Some(Ok(Message::Text(text))) => Input::Frame { peer, bytes: text.as_bytes().to_vec() },
                    Some(Ok(Message::Binary(bytes))) => Input::Frame { peer, bytes: bytes.to_vec() },
                    Some(Ok(Message::Pong(payload))) => Input::Pong { peer, payload: payload.to_vec() },
                    Some(Ok(Message::Ping(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                if door.inputs.send(input).await.is_err() {
                    break;
                }
            }
        }
    }
    // The simulator may have stopped; then nobody need be told.
    _ = door.inputs.send(Input::Closed { peer }).await;
}

/// A frame as a message; `None` where the connection ends without one.
fn message(frame: Frame) -> Option<Message> {
    match frame {
        Frame::Data(bytes, true) => Some(Message::Binary(bytes.into())),
        Frame::Data(bytes, false) => String::from_utf8(bytes).ok().map(|text| Message::Text(text.into())),
        Frame::Ping(payload) => Some(Message::Ping(payload.into())),
        Frame::Close(0, _) => None,
        Frame::Close(code, reason) => Some(Message::Close(Some(CloseFrame { code, reason: reason.into() }))),
    }
}
