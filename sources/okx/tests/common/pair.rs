//! Sessions and the simulator of the venue, joined in memory on virtual time.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::Held;
use model::{Body, Channel, Event, GapCause, Instrument, InstrumentId, LaneFact, Ts};
use okx::Okx;
use source::{
    Action, Fault, Input, Options, Peer, Session, Shard, Sim, SimAction, SimControl, SimInput, SimSetup,
    Source, Want,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

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
    pub books: BTreeMap<InstrumentId, Held>,
    pub events: BTreeMap<Channel, usize>,
    pub gaps: BTreeMap<&'static str, usize>,
    pub closes: Vec<(Fault, String)>,
    pub malformed: usize,
    pub unknown: Vec<String>,
    pub refused: Vec<String>,
    pub acked: usize,
    pub asked: usize,
    pub checksums: usize,
    pub trades: BTreeMap<InstrumentId, Vec<u64>>,
}

/// Both ends and the clock.
pub struct Pair {
    pub sim: Box<dyn Sim>,
    pub now: Ts,
    pub seen: Seen,
    pub sent: Vec<String>,
    pub fetched: usize,
    wake: Option<Ts>,
    links: Vec<Link>,
    peers: u64,
    /// Decides over frames.
    pub fate: Decide,
    replies: VecDeque<(u16, Vec<u8>, Option<u64>)>,
    /// What the engine would find wrong.
    resync: Vec<InstrumentId>,
}

pub const START: Ts = Ts(1_760_000_000_000_000_000);

impl Pair {
    /// A venue, and sessions that want `channels` of everything that it lists.
    pub fn new(setup: &SimSetup, channels: &[Channel]) -> Self {
        let mut pair = Self {
            sim: Okx.sim(setup),
            now: setup.start,
            seen: Seen::default(),
            sent: Vec::new(),
            fetched: 0,
            wake: None,
            links: Vec::new(),
            peers: 0,
            fate: Box::new(|_| Fate::Arrive),
            replies: VecDeque::new(),
            resync: Vec::new(),
        };
        let mut wants = Vec::new();
        for request in Okx.listings() {
            let (status, body, _) = pair.request(&request.path);
            assert_eq!(status, 200);
            for made in Okx.define(&request.path, &body).unwrap().unwrap() {
                let instrument = Arc::new(made);
                let want =
                    |channel: &Channel| Want { instrument: Arc::clone(&instrument), channel: *channel };
                wants.extend(channels.iter().map(want));
            }
        }
        for shard in Okx.shards(&wants, &Options::default()) {
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

    fn request(&mut self, path: &str) -> (u16, Vec<u8>, Option<u64>) {
        let mut out = Vec::new();
        self.sim.on(SimInput::Request { request: 1, endpoint: 0, path }, self.now, &mut out);
        self.venue(out);
        self.replies.pop_back().expect("an answer")
    }

    /// Lets virtual time pass.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            let timers = self.links.iter().flat_map(|l| l.timers.values().copied().chain(l.reopen_at));
            let next = timers.chain(self.wake).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if self.wake.is_some_and(|at| at <= self.now) {
                self.wake = None;
                let mut out = Vec::new();
                self.sim.on(SimInput::Wake, self.now, &mut out);
                self.venue(out);
            }
            for at in 0..self.links.len() {
                self.link_time(at);
            }
        }
        self.now = end;
    }

    fn link_time(&mut self, at: usize) {
        if self.links[at].reopen_at.is_some_and(|when| when <= self.now) {
            self.peers += 1;
            let link = &mut self.links[at];
            link.peer = Peer(self.peers);
            link.session = Some(Okx.session(&link.shard));
            link.reopen_at = None;
            let (peer, path) = (link.peer, link.shard.path.clone().unwrap());
            let mut out = Vec::new();
            self.sim.on(SimInput::Open { peer, endpoint: 0, path: &path }, self.now, &mut out);
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
                    self.replies.push_back((status, body, retry_ms));
                }
                SimAction::Close { peer, code, reason } => {
                    if let Some(at) = self.links.iter().position(|l| l.peer == peer) {
                        self.seen.closes.push((Fault::Protocol, format!("venue: {code} {reason}")));
                        self.shut(at);
                    }
                }
                SimAction::Joined { .. } | SimAction::Left { .. } => {}
                SimAction::WakeAt(at) => self.wake = Some(at),
                SimAction::Ping { .. } => panic!("this venue does not ping"),
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
        link.reopen_at = Some(self.now.plus_ms(1_000 + at as u64 * 400));
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
        for instrument in std::mem::take(&mut self.resync) {
            self.tell(at, Input::Resync { instrument, channel: Channel::Book });
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
                self.fetched += 1;
                let (status, body, retry_ms) = self.request(&path);
                self.tell(at, Input::Reply { tag: Some(tag), path: &path, status, retry_ms, body: &body });
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
        *self.seen.events.entry(event.channel).or_default() += 1;
        let id = event.instrument.id;
        match &event.body {
            Body::Lane(LaneFact::Asked { .. }) => self.seen.asked += 1,
            Body::Lane(LaneFact::Acked) => self.seen.acked += 1,
            Body::Lane(LaneFact::Refused(words)) => self.seen.refused.push(words.to_string()),
            Body::Gap(gap) => {
                assert_ne!(gap.cause, GapCause::Checksum);
                *self.seen.gaps.entry(gap.cause.name()).or_default() += 1;
                let held = self.seen.books.entry(id).or_default();
                assert!(held.live, "a gap of a book that was not live");
                *held = Held::default();
            }
            Body::Trade(trade) => {
                let model::TradeId::Num(trade) = trade.id else { panic!("{:?}", trade.id) };
                self.seen.trades.entry(id).or_default().push(trade);
            }
            Body::Snapshot(snapshot) if event.channel == Channel::Book => {
                let held = self.seen.books.entry(id).or_default();
                held.reset(&snapshot.levels, snapshot.seq);
                self.check(&event.instrument, snapshot.checksum);
            }
            Body::Delta(delta) => {
                let held = self.seen.books.entry(id).or_default();
                assert!(held.live, "a delta of a book that is not live");
                assert_eq!(delta.prev_seq, held.seq);
                held.apply(&delta.levels, delta.seq);
                assert!(!held.crossed());
                self.check(&event.instrument, delta.checksum);
            }
            _ => {}
        }
    }

    fn check(&mut self, instrument: &Instrument, checksum: Option<model::Checksum>) {
        let Some(checksum) = checksum else { return };
        self.seen.checksums += 1;
        assert_eq!(self.seen.books[&instrument.id].checksum(instrument), checksum.value);
    }

    /// As the engine does on a wrong book: a gap of its own, and the order to start again.
    pub fn engine_resync(&mut self, instrument: InstrumentId) {
        self.seen.books.insert(instrument, Held::default());
        for at in 0..self.links.len() {
            self.tell(at, Input::Resync { instrument, channel: Channel::Book });
        }
    }

    /// That every book held is the venue's.
    pub fn assert_books(&self) {
        let books = self.sim.books();
        assert!(!books.is_empty());
        for book in books {
            let name = &book.instrument.name;
            let held =
                self.seen.books.get(&book.instrument.id).unwrap_or_else(|| panic!("no book of {name}"));
            assert!(held.live, "{name} is not live");
            assert_eq!(held.seq, book.seq, "{name}");
            assert!(
                held.bids.iter().rev().map(|(p, q)| (*p, *q)).eq(book.bids.iter().map(|l| (l.px, l.qty))),
                "{name}"
            );
            assert!(
                held.asks.iter().map(|(p, q)| (*p, *q)).eq(book.asks.iter().map(|l| (l.px, l.qty))),
                "{name}"
            );
        }
    }
}
