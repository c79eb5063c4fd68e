//! The venue's end of sources that answer: one A-share market, and answers made from it.

use crate::ashare::{Clock, Market};
use crate::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
use model::Ts;
use std::collections::BTreeMap;

/// How often answers that go on are looked after, in ms.
const TICK_MS: u64 = 1_000;
/// A clock that is further ahead than this was set anew.
const JUMP_MS: i64 = 3_600_000;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// HTTP status; 0 where the connection is closed without a byte.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Served {
    /// A success.
    pub fn fine(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into() }
    }
}

/// What a venue answers.
pub trait Answers: Send {
    /// Answers a request.
    fn answer(&mut self, market: &mut Market, endpoint: usize, path: &str) -> Served;

    /// How it refuses one.
    fn refuse(&mut self) -> Served;

    /// The next frame of an answer that goes on; `told` remembers what this client was told, by key, and is empty at first.
    /// `None` where there is nothing to say.
    fn stream(
        &mut self,
        _market: &mut Market,
        _path: &str,
        _told: &mut BTreeMap<String, String>,
    ) -> Option<Vec<u8>> {
        None
    }
}

/// A client of an answer that goes on.
struct Reader {
    path: String,
    told: BTreeMap<String, String>,
}

/// A simulator that answers.
pub struct AnswerSim<A> {
    answers: A,
    market: Market,
    clock: Clock,
    /// How long the market has stood still, in ns, and since when it does.
    stood: i64,
    paused: Option<Ts>,
    refuse: u32,
    readers: BTreeMap<Peer, Reader>,
    next_tick: Ts,
}

impl<A: Answers> AnswerSim<A> {
    /// Opens it.
    pub fn new(setup: &SimSetup, answers: A) -> Self {
        let (market, clock) = Market::of(setup);
        let next_tick = setup.start.plus_ms(TICK_MS);
        Self {
            answers,
            market,
            clock,
            stood: 0,
            paused: None,
            refuse: 0,
            readers: BTreeMap::new(),
            next_tick,
        }
    }

    fn advance(&mut self, now: Ts) {
        let now = self.paused.unwrap_or(now);
        self.market.advance(self.clock.market(Ts(now.0.saturating_sub(self.stood))));
    }

    fn feed(&mut self, peer: Peer, out: &mut Vec<SimAction>) {
        let Some(reader) = self.readers.get_mut(&peer) else { return };
        let frame = self.answers.stream(&mut self.market, &reader.path, &mut reader.told);
        // Bytes of a stream, not a text of their own.
        out.extend(frame.map(|bytes| SimAction::Send { peer, bytes, binary: true }));
    }

    fn tick(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        if now.ms_since(self.next_tick) > JUMP_MS {
            self.next_tick = now;
        }
        while self.next_tick <= now {
            self.next_tick = self.next_tick.plus_ms(TICK_MS);
            let peers: Vec<Peer> = self.readers.keys().copied().collect();
            for peer in peers {
                self.feed(peer, out);
            }
        }
    }
}

impl<A: Answers> Sim for AnswerSim<A> {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now);
        self.tick(now, out);
        match input {
            SimInput::Open { peer, path, .. } => {
                self.readers.insert(peer, Reader { path: path.to_owned(), told: BTreeMap::new() });
                self.feed(peer, out);
            }
            SimInput::Closed { peer } => _ = self.readers.remove(&peer),
            SimInput::Request { request, endpoint, path } => {
                let served = if self.refuse > 0 {
                    self.refuse -= 1;
                    self.answers.refuse()
                } else {
                    self.answers.answer(&mut self.market, endpoint, path)
                };
                let Served { status, body } = served;
                out.push(SimAction::Reply { request, status, headers: Vec::new(), body });
            }
            SimInput::Frame { .. } | SimInput::Pong { .. } | SimInput::Wake => {}
        }
        out.push(SimAction::WakeAt(self.next_tick));
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now);
        match control {
            SimControl::Pause(true) => self.paused = self.paused.or(Some(now)),
            SimControl::Pause(false) => {
                if let Some(since) = self.paused.take() {
                    self.stood = self.stood.saturating_add(now.0.saturating_sub(since.0));
                }
            }
            SimControl::RateLimit(times) => self.refuse = times,
            SimControl::CloseAll => {
                for peer in std::mem::take(&mut self.readers).into_keys() {
                    out.push(SimAction::Close { peer, code: 0, reason: String::new() });
                }
            }
            SimControl::LateSnapshots(_) | SimControl::RefuseSubscriptions(_) => {}
        }
        out.push(SimAction::WakeAt(self.next_tick));
    }

    /// None: whole books are not told.
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
