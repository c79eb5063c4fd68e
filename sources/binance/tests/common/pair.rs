//! Sessions and the simulator of the venue, joined in memory on virtual time.

use crate::common::{Books, Held};
use binance::Binance;
use model::{Body, Channel, Event, InstrumentId, LaneFact, TradeId, Ts};
use source::{
    Action, Fault, Input, Options, Peer, Session, Shard, Sim, SimAction, SimControl, SimInput, SimSetup,
    Source, Want,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When the market opens.
pub const START: Ts = Ts::from_ms(1_760_000_000_000);

/// What befalls a frame on its way to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrive,
    Lose,
    Repeat,
    Cut,
    /// Comes after the next one of the same connection.
    Late,
}

/// Decides over a frame.
pub type Decide = Box<dyn FnMut(&[u8]) -> Fate>;

/// Status, body, how long to wait in ms.
type Answer = (u16, Vec<u8>, Option<u64>);

struct Link {
    peer: Peer,
    shard: Shard,
    session: Option<Box<dyn Session>>,
    timers: BTreeMap<u64, Ts>,
    reopen_at: Option<Ts>,
    held_back: Option<Vec<u8>>,
}

/// What the reader of the events saw.
#[derive(Default)]
pub struct Seen {
    pub books: Books,
    pub events: BTreeMap<(String, Channel), usize>,
    pub gaps: BTreeMap<&'static str, usize>,
    pub closes: Vec<(Fault, String)>,
    pub malformed: usize,
    pub unknown: Vec<String>,
    pub refused: Vec<String>,
    pub syncing: Vec<String>,
    pub acked: usize,
    pub asked: usize,
    pub trades: BTreeMap<(InstrumentId, Channel), Vec<u64>>,
    pub pings: usize,
}

/// Both ends and the clock.
pub struct Pair {
    pub sim: Box<dyn Sim>,
    pub now: Ts,
    pub seen: Seen,
    pub sent: Vec<String>,
    pub fetched: Vec<(Ts, String)>,
    /// Decides over frames.
    pub fate: Decide,
    /// Whether clients answer pings.
    pub pongs: bool,
    /// How long an answer is on its way, in ms.
    pub answer_ms: u64,
    wake: Option<Ts>,
    links: Vec<Link>,
    peers: u64,
    replies: Vec<Answer>,
    /// Answers on their way: when, to which link and session, tag, path.
    flying: Vec<(Ts, usize, Peer, u64, String, Answer)>,
}

impl Pair {
    /// A venue, and sessions that want `channels` of everything that it lists.
    pub fn new(setup: &SimSetup, channels: &[Channel], options: &Options) -> Self {
        let mut pair = Self {
            sim: Binance.sim(setup),
            now: setup.start,
            seen: Seen::default(),
            sent: Vec::new(),
            fetched: Vec::new(),
            fate: Box::new(|_| Fate::Arrive),
            pongs: true,
            answer_ms: 30,
            wake: None,
            links: Vec::new(),
            peers: 0,
            replies: Vec::new(),
            flying: Vec::new(),
        };
        let mut wants = Vec::new();
        for request in Binance.listings() {
            let (status, body, _) = pair.request(request.endpoint, &request.path);
            assert_eq!(status, 200);
            for made in Binance.define(&request.path, &body).unwrap().unwrap() {
                let instrument = Arc::new(made);
                let want =
                    |channel: &Channel| Want { instrument: Arc::clone(&instrument), channel: *channel };
                wants.extend(channels.iter().map(want));
            }
        }
        for shard in Binance.shards(&wants, options) {
            pair.links.push(Link {
                peer: Peer(0),
                shard,
                session: None,
                timers: BTreeMap::new(),
                reopen_at: Some(pair.now),
                held_back: None,
            });
        }
        pair
    }

    pub fn request(&mut self, endpoint: usize, path: &str) -> Answer {
        let mut out = Vec::new();
        self.sim.on(SimInput::Request { request: 1, endpoint, path }, self.now, &mut out);
        self.venue(out);
        self.replies.pop().expect("an answer")
    }

    /// Lets virtual time pass.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            let timers = self.links.iter().flat_map(|l| l.timers.values().copied().chain(l.reopen_at));
            let flying = self.flying.iter().map(|f| f.0);
            let next = timers.chain(flying).chain(self.wake).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if self.wake.is_some_and(|at| at <= self.now) {
                self.wake = None;
                let mut out = Vec::new();
                self.sim.on(SimInput::Wake, self.now, &mut out);
                self.venue(out);
            }
            self.land();
            for at in 0..self.links.len() {
                self.link_time(at);
            }
        }
        self.now = end;
    }

    fn land(&mut self) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.flying).into_iter().partition(|f| f.0 <= now);
        self.flying = later;
        for (_, at, peer, tag, path, (status, body, retry_ms)) in due {
            if self.links[at].peer == peer {
                self.tell(at, Input::Reply { tag: Some(tag), path: &path, status, retry_ms, body: &body });
            }
        }
    }

    fn link_time(&mut self, at: usize) {
        if self.links[at].reopen_at.is_some_and(|when| when <= self.now) {
            self.peers += 1;
            let link = &mut self.links[at];
            link.peer = Peer(self.peers);
            link.session = Some(Binance.session(&link.shard));
            link.reopen_at = None;
            let (peer, endpoint) = (link.peer, link.shard.endpoint);
            let mut out = Vec::new();
            if let Some(path) = link.shard.path.clone() {
                self.sim.on(SimInput::Open { peer, endpoint, path: &path }, self.now, &mut out);
            }
            self.tell(at, Input::Open);
            self.venue(out);
        }
        let due: Vec<u64> =
            self.links[at].timers.iter().filter(|(_, when)| **when <= self.now).map(|(t, _)| *t).collect();
        for timer in due {
            self.links[at].timers.remove(&timer);
            self.tell(at, Input::Wake { timer });
        }
    }

    pub fn control(&mut self, control: SimControl) {
        let mut out = Vec::new();
        self.sim.control(control, self.now, &mut out);
        self.venue(out);
    }

    fn venue(&mut self, actions: Vec<SimAction>) {
        for action in actions {
            match action {
                SimAction::Send { peer, bytes, binary } => {
                    assert!(!binary);
                    if let Some(at) = self.links.iter().position(|l| l.peer == peer) {
                        self.arrive(at, bytes);
                    }
                }
                SimAction::Reply { status, headers, body, .. } => {
                    let retry = headers.iter().find(|(name, _)| *name == "Retry-After");
                    let retry_ms = retry.map(|(_, s)| s.parse::<u64>().unwrap() * 1_000);
                    self.replies.push((status, body, retry_ms));
                }
                SimAction::Close { peer, code, reason } => {
                    if let Some(at) = self.links.iter().position(|l| l.peer == peer) {
                        self.seen.closes.push((Fault::Protocol, format!("venue: {code} {reason}")));
                        self.shut(at);
                    }
                }
                SimAction::Joined { .. } | SimAction::Left { .. } => {}
                SimAction::WakeAt(at) => self.wake = Some(at),
                SimAction::Ping { peer, payload } => {
                    self.seen.pings += 1;
                    if self.pongs {
                        let mut out = Vec::new();
                        self.sim.on(SimInput::Pong { peer, payload: &payload }, self.now, &mut out);
                        self.venue(out);
                    }
                }
            }
        }
    }

    fn arrive(&mut self, at: usize, bytes: Vec<u8>) {
        match (self.fate)(&bytes) {
            Fate::Arrive => self.frame(at, &bytes),
            Fate::Lose => {}
            Fate::Repeat => {
                self.frame(at, &bytes);
                self.frame(at, &bytes);
            }
            Fate::Cut => self.frame(at, &bytes[..bytes.len() / 2]),
            Fate::Late => {
                self.links[at].held_back = Some(bytes);
                return;
            }
        }
        if let Some(late) = self.links[at].held_back.take() {
            self.frame(at, &late);
        }
    }

    fn frame(&mut self, at: usize, bytes: &[u8]) {
        self.tell(at, Input::Frame { bytes, binary: false });
    }

    fn shut(&mut self, at: usize) {
        self.tell(at, Input::Closed);
        let link = &mut self.links[at];
        (link.session, link.peer, link.held_back) = (None, Peer(0), None);
        link.timers.clear();
        link.reopen_at = Some(self.now.plus_ms(1_000 + at as u64 * 100));
    }

    fn tell(&mut self, at: usize, input: Input<'_>) {
        let mut out = Vec::new();
        let Some(session) = &mut self.links[at].session else { return };
        session.on(input, self.now, &mut out);
        // The wire answers only after everything that was asked at once is done.
        let wire = |a: &Action| matches!(a, Action::Send(_) | Action::Fetch { .. } | Action::Close { .. });
        let (later, first): (Vec<_>, Vec<_>) = out.into_iter().partition(wire);
        for action in first.into_iter().chain(later) {
            self.follow(at, action);
        }
    }

    fn follow(&mut self, at: usize, action: Action) {
        match action {
            Action::Send(bytes) => {
                self.sent.push(String::from_utf8(bytes.clone()).unwrap());
                let (mut out, peer) = (Vec::new(), self.links[at].peer);
                self.sim.on(SimInput::Frame { peer, bytes: &bytes }, self.now, &mut out);
                self.venue(out);
            }
            Action::Fetch { tag, path, .. } => {
                self.fetched.push((self.now, path.clone()));
                let answer = self.request(self.links[at].shard.endpoint, &path);
                let when = self.now.plus_ms(self.answer_ms);
                self.flying.push((when, at, self.links[at].peer, tag, path, answer));
            }
            Action::WakeAt { timer, at: when } => _ = self.links[at].timers.insert(timer, when),
            Action::Emit(event) => self.event(&event),
            Action::Control(_) => {}
            Action::Malformed(_) => self.seen.malformed += 1,
            Action::Unknown(name) => self.seen.unknown.push(name),
            Action::Close { fault, why } => {
                self.seen.closes.push((fault, why));
                let peer = self.links[at].peer;
                let mut out = Vec::new();
                self.sim.on(SimInput::Closed { peer }, self.now, &mut out);
                self.venue(out);
                self.shut(at);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        let id = event.instrument.id;
        match &event.body {
            Body::Lane(LaneFact::Asked { .. }) => self.seen.asked += 1,
            Body::Lane(LaneFact::Acked) => self.seen.acked += 1,
            Body::Lane(LaneFact::Refused(words)) => self.seen.refused.push(words.to_string()),
            Body::Lane(LaneFact::Syncing(words)) => self.seen.syncing.push(words.to_string()),
            body => {
                let lane = (event.instrument.product.to_string(), event.channel);
                *self.seen.events.entry(lane).or_default() += 1;
                if let Body::Gap(gap) = body {
                    *self.seen.gaps.entry(gap.cause.name()).or_default() += 1;
                    assert!(self.seen.books.live.contains_key(&id), "a gap of a book that was not live");
                }
                if let Body::Trade(trade) = body {
                    let TradeId::Num(trade) = trade.id else { panic!("{:?}", trade.id) };
                    self.seen.trades.entry((id, event.channel)).or_default().push(trade);
                }
            }
        }
        self.seen.books.on(event);
        if let Some(held) = self.seen.books.live.get(&id) {
            let (bid, ask) = held.best();
            assert!(
                bid.is_none_or(|b| ask.is_none_or(|a| b.px < a.px)),
                "{} is crossed",
                event.instrument.name
            );
        }
    }

    /// As the engine does on a wrong book: a gap of its own, and the order to start again.
    pub fn engine_resync(&mut self, instrument: InstrumentId) {
        self.seen.books.live.remove(&instrument);
        for at in 0..self.links.len() {
            let has = self.links[at].shard.wants.iter().any(|w| w.instrument.id == instrument);
            let book = self.links[at].shard.wants.iter().any(|w| w.channel == Channel::Book);
            if has && book {
                self.tell(at, Input::Resync { instrument, channel: Channel::Book });
            }
        }
    }

    /// How many books are the venue's.
    pub fn right_books(&self) -> usize {
        let truths = self.sim.books();
        let right = truths.iter().filter(|truth| {
            let side = |levels: &[model::Level]| levels.iter().map(|l| (l.px, l.qty)).collect();
            let truth_held = Held { seq: truth.seq, bids: side(&truth.bids), asks: side(&truth.asks) };
            self.seen.books.live.get(&truth.instrument.id) == Some(&truth_held)
        });
        right.count()
    }

    /// That every book held is the venue's.
    pub fn assert_books(&self) {
        for truth in self.sim.books() {
            let name = &truth.instrument.name;
            let held = self.seen.books.live.get(&truth.instrument.id);
            let held = held.unwrap_or_else(|| panic!("{name} is not live: {:?}", self.seen.syncing.last()));
            let side = |levels: &[model::Level]| levels.iter().map(|l| (l.px, l.qty)).collect();
            let truth = Held { seq: truth.seq, bids: side(&truth.bids), asks: side(&truth.asks) };
            assert_eq!(*held, truth, "{name}");
        }
    }
}
