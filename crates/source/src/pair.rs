//! A source's sessions and its simulator joined in memory on virtual time, for tests of what becomes of the data when
//! frames are lost, swapped or damaged and connections end.
//!
//! Whatever is impossible panics with a sentence: a delta without a book, a hole in a book, a crossed book.

mod held;
mod seen;
mod wire;

pub use held::{Books, Held};
pub use seen::{Seen, Verify};

use crate::{
    Input, Options, Peer, Session, Shard, Sim, SimAction, SimControl, SimInput, SimSetup, Source, Want,
};
use model::{Catalogue, Channel, Instrument, InstrumentId, Status, Ts};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// When markets open, unless a test wants another time.
pub const START: Ts = Ts::from_ms(1_760_000_000_000);

/// What befalls a frame on its way to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes as it was sent.
    Arrive,
    /// It never comes.
    Lose,
    /// It comes twice.
    Repeat,
    /// Its first half comes.
    Cut,
    /// It comes after the next one of the same connection.
    Late,
}

/// Decides over a frame.
pub type Decide = Box<dyn FnMut(&[u8]) -> Fate>;

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// From `Retry-After`, in ms.
    pub retry_ms: Option<u64>,
}

/// One of our connections.
struct Link {
    peer: Peer,
    shard: Shard,
    session: Option<Box<dyn Session>>,
    timers: BTreeMap<u64, Ts>,
    reopen_at: Option<Ts>,
    held_back: Option<(Vec<u8>, bool)>,
}

/// An answer on its way.
struct Flying {
    at: Ts,
    link: usize,
    peer: Peer,
    tag: u64,
    path: String,
    answer: Answer,
}

/// Both ends and the clock.
pub struct Pair {
    /// The venue.
    pub sim: Box<dyn Sim>,
    /// Virtual time.
    pub now: Ts,
    /// What a reader of the events saw.
    pub seen: Seen,
    /// The frames that sessions sent.
    pub sent: Vec<String>,
    /// The requests that sessions made, and when.
    pub fetched: Vec<(Ts, String)>,
    /// Decides over frames.
    pub fate: Decide,
    /// Whether clients answer pings.
    pub pongs: bool,
    /// How long an answer is on its way, in ms.
    pub answer_ms: u64,
    /// Definitions as the venue listed them last.
    pub instruments: Vec<Arc<Instrument>>,
    source: &'static dyn Source,
    options: Options,
    wake: Option<Ts>,
    links: Vec<Link>,
    peers: u64,
    replies: Vec<Answer>,
    flying: Vec<Flying>,
    /// What the venue did and is not followed yet.
    done: VecDeque<SimAction>,
    following: bool,
}

impl Pair {
    /// A venue, and sessions that want `channels` of everything that it lists.
    pub fn new(
        source: &'static dyn Source,
        setup: &SimSetup,
        channels: &[Channel],
        options: &Options,
    ) -> Self {
        let mut pair = Self {
            sim: source.sim(setup),
            now: setup.start,
            seen: Seen::default(),
            sent: Vec::new(),
            fetched: Vec::new(),
            fate: Box::new(|_| Fate::Arrive),
            pongs: true,
            answer_ms: 30,
            instruments: Vec::new(),
            source,
            options: options.clone(),
            wake: None,
            links: Vec::new(),
            peers: 0,
            replies: Vec::new(),
            flying: Vec::new(),
            done: VecDeque::new(),
            following: false,
        };
        pair.instruments = pair.listed();
        let wants = pair.wants(channels);
        for shard in source.shards(&wants, options) {
            pair.add_link(shard);
        }
        pair
    }

    /// What the venue lists now.
    fn listed(&mut self) -> Vec<Arc<Instrument>> {
        let mut all = Vec::new();
        for request in self.source.listings() {
            let answer = self.request(request.endpoint, &request.path);
            assert_eq!(answer.status, 200, "{} is answered", request.path);
            match self.source.define(&request.path, &answer.body) {
                Some(Ok(made)) => all.extend(made.into_iter().map(Arc::new)),
                other => panic!("{} lists nothing: {other:?}", request.path),
            }
        }
        all
    }

    /// Reads the venue's lists again as the runner does: sessions are told what has changed, and what is listed no longer is
    /// closed. Gives all of that.
    pub fn relist(&mut self) -> Vec<Arc<Instrument>> {
        let mut catalogue = Catalogue::default();
        for known in &self.instruments {
            catalogue.put(known);
        }
        let old = std::mem::take(&mut self.instruments);
        self.instruments = self.listed();
        let is_gone = |i: &&Arc<Instrument>| !self.instruments.iter().any(|listed| listed.id == i.id);
        let gone = old.iter().filter(is_gone);
        let closed = gone.map(|i| Arc::new(Instrument { status: Status::Closed, ..(**i).clone() }));
        let mut news: Vec<_> = closed.collect();
        news.extend(self.instruments.iter().filter(|i| catalogue.put(i)).cloned());
        for instrument in &news {
            for at in 0..self.links.len() {
                let wants = |w: &Want| w.instrument.id == instrument.id;
                if self.links.get(at).is_some_and(|link| link.shard.wants.iter().any(wants)) {
                    self.tell(at, Input::Define(instrument));
                }
            }
        }
        news
    }

    /// `channels` of all instruments.
    pub fn wants(&self, channels: &[Channel]) -> Vec<Want> {
        let of = |i: &Arc<Instrument>| {
            let instrument = Arc::clone(i);
            channels.iter().map(move |c| Want { instrument: Arc::clone(&instrument), channel: *c })
        };
        self.instruments.iter().flat_map(of).collect()
    }

    fn add_link(&mut self, shard: Shard) {
        self.links.push(Link {
            peer: Peer(0),
            shard,
            session: None,
            timers: BTreeMap::new(),
            reopen_at: Some(self.now),
            held_back: None,
        });
    }

    /// Wants these besides, on the connections that can carry them, else on new ones.
    pub fn subscribe(&mut self, wants: &[Want]) {
        for want in wants {
            let one = std::slice::from_ref(want);
            let fits = |link: &Link| {
                let all = [link.shard.wants.as_slice(), one].concat();
                let shards = self.source.shards(&all, &self.options);
                matches!(shards.as_slice(), [s] if s.endpoint == link.shard.endpoint && s.path == link.shard.path)
            };
            if let Some(at) = self.links.iter().position(fits) {
                if let Some(link) = self.links.get_mut(at) {
                    link.shard.wants.push(want.clone());
                }
                self.tell(at, Input::Subscribe(one));
            } else {
                for shard in self.source.shards(one, &self.options) {
                    self.add_link(shard);
                }
            }
        }
    }

    /// Wants these no longer.
    pub fn unsubscribe(&mut self, wants: &[Want]) {
        for at in 0..self.links.len() {
            let Some(link) = self.links.get_mut(at) else { continue };
            let (gone, kept) =
                std::mem::take(&mut link.shard.wants).into_iter().partition(|w| wants.contains(w));
            link.shard.wants = kept;
            let gone: Vec<Want> = gone;
            if !gone.is_empty() {
                self.tell(at, Input::Unsubscribe(&gone));
            }
        }
    }

    /// Asks the venue by REST; the answer is there at once.
    pub fn request(&mut self, endpoint: usize, path: &str) -> Answer {
        let mut out = Vec::new();
        self.sim.on(SimInput::Request { request: 1, endpoint, path }, self.now, &mut out);
        self.venue(out);
        let Some(answer) = self.replies.pop() else { panic!("{path} has no answer") };
        answer
    }

    /// Lets virtual time pass.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            let timers = self.links.iter().flat_map(|l| l.timers.values().copied().chain(l.reopen_at));
            let flying = self.flying.iter().map(|f| f.at);
            let next = timers.chain(flying).chain(self.wake).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if self.wake.is_some_and(|at| at <= self.now) {
                self.wake = None;
                self.told(SimInput::Wake);
            }
            self.land();
            for at in 0..self.links.len() {
                self.open(at);
                self.ring(at);
            }
        }
        self.now = end;
    }

    /// Makes the venue misbehave, or stand still.
    pub fn control(&mut self, control: SimControl) {
        let mut out: Vec<SimAction> = Vec::new();
        self.sim.control(control, self.now, &mut out);
        self.venue(out);
    }

    /// Ends every connection without a word from either side; they are opened again after a while.
    pub fn cut_all(&mut self) {
        for at in 0..self.links.len() {
            self.leave(at);
        }
    }

    /// As the engine does on a wrong book: a gap of its own, and the order to start again.
    pub fn engine_resync(&mut self, instrument: InstrumentId) {
        self.seen.books.live.remove(&instrument);
        for at in 0..self.links.len() {
            let is_it = |w: &Want| w.instrument.id == instrument && w.channel == Channel::Book;
            if self.links.get(at).is_some_and(|link| link.shard.wants.iter().any(is_it)) {
                self.tell(at, Input::Resync { instrument, channel: Channel::Book });
            }
        }
    }

    /// The books that are wanted.
    fn wanted_books(&self) -> BTreeSet<InstrumentId> {
        let wants = self.links.iter().flat_map(|link| &link.shard.wants);
        wants.filter(|w| w.channel == Channel::Book).map(|w| w.instrument.id).collect()
    }

    /// How many books are the venue's.
    pub fn right_books(&self) -> usize {
        let truths = self.sim.books();
        truths.iter().filter(|t| self.seen.books.live.get(&t.instrument.id).is_some_and(|h| h.is(t))).count()
    }

    /// That every book wanted is live and the venue's, and no other is.
    pub fn assert_books(&self) {
        let wanted = self.wanted_books();
        let truths = self.sim.books();
        assert!(!truths.is_empty(), "the venue has books");
        for truth in truths {
            let (name, id) = (&truth.instrument.name, truth.instrument.id);
            match (wanted.contains(&id), self.seen.books.live.get(&id)) {
                (false, held) => assert!(held.is_none(), "{name} is live, though nobody wants it"),
                (true, None) => panic!("{name} is not live: {:?}", self.seen.syncing.last()),
                (true, Some(held)) => {
                    assert!(held.is(&truth), "{name} is not the venue's: {held:?}, but {truth:?}");
                }
            }
        }
    }
}
