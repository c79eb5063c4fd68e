//! Serves a recording in the venue's own protocol: the source's simulator answers subscriptions and pings, and what the
//! recording holds goes to those who have subscribed to it.
//!
//! The recording begins with the first subscription. Who subscribes later first gets, at once, what came on that
//! subscription since its last whole state, so that a book by deltas can be followed from anywhere.

use model::Ts;
use source::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Source};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tape::{Kind, Record};

/// How many frames are sent in one go, so that no client's queue overflows.
const BATCH_MAX: usize = 1_000;
/// How long until the next go, in ms.
const BATCH_MS: u64 = 20;

/// How often each fault strikes, in thousandths of the frames sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameFaults {
    /// A frame does not come.
    pub drop: u16,
    /// A frame comes twice.
    pub repeat: u16,
    /// A frame comes after the next one of its connection.
    pub swap: u16,
    /// A byte of a frame is 0xFF.
    pub corrupt: u16,
    /// The connection is cut instead.
    pub cut: u16,
}

/// How a recording is served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playback {
    /// How much faster than it was; at least 0.001.
    pub speed: f64,
    /// What goes wrong.
    pub faults: FrameFaults,
    /// Luck of the faults.
    pub seed: u64,
}

struct Frame {
    at: Ts,
    /// Under which subscription it was sent: endpoint and key; `None` where it belongs to a connection alone.
    topic: Option<(usize, String)>,
    fresh: bool,
    bytes: Vec<u8>,
    binary: bool,
}

struct Reply {
    at: Ts,
    path: String,
    status: u16,
    body: Vec<u8>,
}

/// See the module.
pub struct Recording {
    inner: Box<dyn Sim>,
    playback: Playback,
    frames: Vec<Frame>,
    replies: Vec<Reply>,
    /// Frames of each subscription, in order.
    by_topic: BTreeMap<(usize, String), Vec<usize>>,
    joined: BTreeMap<(usize, String), BTreeSet<Peer>>,
    endpoints: BTreeMap<Peer, usize>,
    /// What is still to be sent to a client before anything new.
    backlog: BTreeMap<Peer, VecDeque<usize>>,
    swapped: BTreeMap<Peer, (Vec<u8>, bool)>,
    /// When the first client subscribed.
    started: Option<Ts>,
    /// How many frames have been played.
    played: usize,
    rng: fastrand::Rng,
    scratch: Vec<SimAction>,
}

impl Recording {
    /// Takes all records of a source. A second number says how many frames it could not give to any subscription.
    pub fn new(
        source: &dyn Source,
        setup: &SimSetup,
        records: impl Iterator<Item = Record>,
        playback: Playback,
    ) -> (Self, u64) {
        let inner = source.sim(&SimSetup { tape: true, ..setup.clone() });
        let mut made = Self {
            inner,
            playback,
            frames: Vec::new(),
            replies: Vec::new(),
            by_topic: BTreeMap::new(),
            joined: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            backlog: BTreeMap::new(),
            swapped: BTreeMap::new(),
            started: None,
            played: 0,
            rng: fastrand::Rng::with_seed(playback.seed),
            scratch: Vec::new(),
        };
        let ends = source.spec().endpoints;
        let mut of_conn: BTreeMap<u32, usize> = BTreeMap::new();
        let mut homeless = 0;
        for record in records {
            match record.kind {
                Kind::Connect { url } => {
                    let host = |ws: &str| ws.split("//").nth(1).unwrap_or(ws).to_owned();
                    let theirs = |e: &source::Endpoint| url.contains(&host(e.ws));
                    // Endpoints of one host are told apart by their names in the path.
                    let named = |e: &source::Endpoint| theirs(e) && url.split('/').any(|part| part == e.name);
                    if let Some(at) = ends.iter().position(named).or_else(|| ends.iter().position(theirs)) {
                        of_conn.insert(record.conn, at);
                    }
                }
                Kind::Frame { bytes, binary } => {
                    let known = of_conn.get(&record.conn).copied();
                    let mut tried = known.map_or(0..ends.len(), |at| at..at + 1);
                    let found = tried.find_map(|at| Some((at, made.inner.topic(at, &bytes)?)));
                    let (topic, fresh) = match found {
                        Some((at, topic)) => (Some((at, topic.key)), topic.fresh),
                        None => (None, false),
                    };
                    homeless += u64::from(topic.is_none());
                    if let Some(topic) = &topic {
                        made.by_topic.entry(topic.clone()).or_default().push(made.frames.len());
                    }
                    made.frames.push(Frame { at: record.ts, topic, fresh, bytes, binary });
                }
                Kind::Reply { url, status, body } => {
                    let url = url.unwrap_or_default();
                    let path = url.find("://").and_then(|at| url.get(at + 3..)).unwrap_or(&url);
                    let path = path.find('/').and_then(|at| path.get(at..)).unwrap_or_default().to_owned();
                    made.replies.push(Reply { at: record.ts, path, status, body });
                }
                Kind::Header { .. } | Kind::Sent(_) | Kind::Line { .. } | Kind::Closed { .. } => {}
            }
        }
        (made, homeless)
    }

    /// The subscriptions that it can serve, with how many frames each has.
    pub fn topics(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_topic.iter().map(|((_, key), frames)| (key.as_str(), frames.len()))
    }

    /// When a frame is due, by the clients' clock.
    fn due(&self, at: Ts, started: Ts) -> Ts {
        let first = self.frames.first().map_or(at, |frame| frame.at);
        let ns = at.0.saturating_sub(first.0) as f64 / self.playback.speed.max(0.001);
        Ts(started.0.saturating_add(ns as i64))
    }

    /// The time of the recording.
    fn playing(&self) -> Ts {
        let last = self.played.checked_sub(1).and_then(|at| self.frames.get(at));
        last.or(self.frames.first()).map_or(Ts(i64::MAX), |frame| frame.at)
    }

    fn play(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some(started) = self.started else { return };
        let mut left = BATCH_MAX;
        let peers: Vec<Peer> = self.backlog.keys().copied().collect();
        for peer in peers {
            while left > 0
                && let Some(at) = self.backlog.get_mut(&peer).and_then(VecDeque::pop_front)
            {
                left -= 1;
                self.send(peer, at, out);
            }
        }
        self.backlog.retain(|_, waiting| !waiting.is_empty());
        while left > 0
            && let Some(frame) = self.frames.get(self.played)
        {
            if self.due(frame.at, started) > now {
                break;
            }
            let at = self.played;
            self.played += 1;
            let Some(topic) = &frame.topic else { continue };
            let peers: Vec<Peer> = self.joined.get(topic).into_iter().flatten().copied().collect();
            for peer in peers {
                left = left.saturating_sub(1);
                match self.backlog.get_mut(&peer) {
                    Some(waiting) => waiting.push_back(at),
                    None => self.send(peer, at, out),
                }
            }
        }
        let next = if left == 0 || !self.backlog.is_empty() {
            Some(now.plus_ms(BATCH_MS))
        } else {
            self.frames.get(self.played).map(|frame| self.due(frame.at, started))
        };
        out.extend(next.map(SimAction::WakeAt));
    }

    fn send(&mut self, peer: Peer, at: usize, out: &mut Vec<SimAction>) {
        let Some(frame) = self.frames.get(at) else { return };
        let (mut bytes, binary) = (frame.bytes.clone(), frame.binary);
        self.inner.renumber(peer, &mut bytes);
        let FrameFaults { drop, repeat, swap, corrupt, cut } = self.playback.faults;
        let mut luck = self.rng.u16(0..1_000);
        let mut strikes = |rate: u16| {
            let hit = luck < rate;
            luck = luck.saturating_sub(rate);
            if hit {
                luck = u16::MAX;
            }
            hit
        };
        if strikes(drop) {
            return;
        }
        if strikes(cut) {
            self.gone(peer);
            out.push(SimAction::Close { peer, code: 0, reason: String::new() });
            return;
        }
        if strikes(swap) && !self.swapped.contains_key(&peer) {
            self.swapped.insert(peer, (bytes, binary));
            return;
        }
        if strikes(corrupt) {
            let at = self.rng.usize(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = 0xff;
            }
        }
        if strikes(repeat) {
            out.push(SimAction::Send { peer, bytes: bytes.clone(), binary });
        }
        out.push(SimAction::Send { peer, bytes, binary });
        if let Some((bytes, binary)) = self.swapped.remove(&peer) {
            out.push(SimAction::Send { peer, bytes, binary });
        }
    }

    fn gone(&mut self, peer: Peer) {
        self.endpoints.remove(&peer);
        self.backlog.remove(&peer);
        self.swapped.remove(&peer);
        for peers in self.joined.values_mut() {
            peers.remove(&peer);
        }
    }

    fn join(&mut self, peer: Peer, key: String, now: Ts) {
        self.started.get_or_insert(now);
        let topic = (self.endpoints.get(&peer).copied().unwrap_or(0), key);
        // What came so far, from the last whole state on.
        let before = self.by_topic.get(&topic).map_or(&[][..], Vec::as_slice);
        let before = before.get(..before.partition_point(|at| *at < self.played)).unwrap_or_default();
        let whole = before.iter().rposition(|at| self.frames.get(*at).is_some_and(|f| f.fresh)).unwrap_or(0);
        let missed = before.get(whole..).unwrap_or_default();
        if !missed.is_empty() {
            self.backlog.entry(peer).or_default().extend(missed);
        }
        self.joined.entry(topic).or_default().insert(peer);
    }

    /// The answer that the recording has for a path: the newest one that is not later than what is played.
    fn recorded(&self, path: &str) -> Option<&Reply> {
        let bare = |p: &str| p.split('?').next().unwrap_or_default().to_owned();
        let symbols = |p: &str| {
            let query = p.split('?').nth(1).unwrap_or_default().to_lowercase();
            let names =
                ["symbol", "instid", "instrument_name", "product_id", "pair", "currency_pair", "contract"];
            query
                .split('&')
                .find(|part| names.iter().any(|n| part.starts_with(&format!("{n}="))))
                .map(str::to_owned)
        };
        let fits = |reply: &&Reply| bare(&reply.path) == bare(path) && symbols(&reply.path) == symbols(path);
        let playing = self.playing();
        let all = || self.replies.iter().filter(fits);
        all().rfind(|reply| reply.at <= playing).or_else(|| all().next())
    }
}

impl Sim for Recording {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        match input {
            SimInput::Open { peer, endpoint, .. } => _ = self.endpoints.insert(peer, endpoint),
            SimInput::Closed { peer } => self.gone(peer),
            SimInput::Request { request, path, .. } => {
                if let Some(Reply { status, body, .. }) = self.recorded(path) {
                    let (status, body) = (*status, body.clone());
                    out.push(SimAction::Reply { request, status, headers: Vec::new(), body });
                    return;
                }
            }
            SimInput::Frame { .. } | SimInput::Pong { .. } | SimInput::Wake => {}
        }
        let mut said = std::mem::take(&mut self.scratch);
        self.inner.on(input, now, &mut said);
        for action in said.drain(..) {
            match action {
                SimAction::Joined { peer, key } => self.join(peer, key, now),
                SimAction::Left { peer, key } => {
                    let endpoint = self.endpoints.get(&peer).copied().unwrap_or(0);
                    if let Some(peers) = self.joined.get_mut(&(endpoint, key)) {
                        peers.remove(&peer);
                    }
                }
                SimAction::Close { peer, .. } => {
                    self.gone(peer);
                    out.push(action);
                }
                SimAction::Send { .. }
                | SimAction::Ping { .. }
                | SimAction::Reply { .. }
                | SimAction::WakeAt(_) => out.push(action),
            }
        }
        self.scratch = said;
        self.play(now, out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.inner.control(control, now, out);
    }

    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
