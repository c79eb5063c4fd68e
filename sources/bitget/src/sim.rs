//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod world;

use crate::parse::{self, Kind};
use crate::product::Product;
use encode::Name;
use model::Ts;
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::sync::Arc;
use world::World;

/// How often the fastest books are pushed.
const TICK_MS: u64 = 50;

/// Ways of the venue that not every client meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Books carry a checksum, as until 2026.
    pub checksum: bool,
    /// Books carry a checksum of zero, which says nothing.
    pub zero_checksum: bool,
    /// Numbers keep zeros at their end.
    pub padded: bool,
    /// `seq` is text.
    pub seq_text: bool,
    /// The row of a book stands without an array around it.
    pub bare: bool,
    /// Updates sometimes say that the book starts again.
    pub restarts: bool,
}

impl Quirks {
    /// Most seeds meet one or two; 7,777, 17,777 and so on are told that books start again, on every connection at once.
    fn of(seed: u64) -> Self {
        Self {
            checksum: seed % 4 == 1,
            zero_checksum: seed % 4 == 2,
            padded: seed % 8 == 5,
            seq_text: seed.is_multiple_of(3),
            bare: seed % 5 == 4,
            restarts: seed % 10_000 == 7_777,
        }
    }
}

/// The venue.
pub struct BitgetSim {
    world: World,
    peers: Peers,
    pulse: Pulse,
    quirks: Quirks,
    seed: u64,
    tape: bool,
    lifetime_ms: Option<u64>,
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// When REST requests came lately, and to which path.
    asked: Vec<(Ts, Box<str>)>,
}

impl BitgetSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self::with(setup, Quirks::of(setup.seed))
    }

    pub(crate) fn with(setup: &SimSetup, quirks: Quirks) -> Self {
        Self {
            world: World::new(setup.seed, setup.instruments, quirks),
            peers: Peers::default(),
            pulse: Pulse::new(setup, TICK_MS),
            quirks,
            seed: setup.seed,
            tape: setup.tape,
            lifetime_ms: setup.lifetime_ms,
            late: 0,
            refuse: 0,
            rate_limit: 0,
            asked: Vec::new(),
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(at) if !self.tape => self.moved(at, out),
                Beat::Move(_) => {}
                Beat::Tick(at, ticks) => self.tick(at, ticks, out),
            }
        }
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}

impl Sim for BitgetSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, endpoint, path } => self.opened(peer, endpoint, path, now, out),
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => self.peers.forget(peer),
            SimInput::Request { request, endpoint, path } => {
                let answer = self.answer(endpoint, path, now);
                let (status, headers, body) = (answer.status, answer.headers, answer.body.into_bytes());
                out.push(SimAction::Reply { request, status, headers, body });
            }
            SimInput::Pong { .. } | SimInput::Wake => {}
        }
        self.pulse.wake(out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(paused) => {
                self.pulse.pause(paused, now);
                if paused && !self.tape {
                    self.flush(now, true, out);
                }
            }
            SimControl::LateSnapshots(events) => self.late = events as usize,
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                for peer in self.peers.all() {
                    self.close(peer, 1001, "24 hours are over", out);
                }
            }
        }
        self.pulse.wake(out);
    }

    /// The books of v2 as pushed last; those of v3 are as new or newer.
    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| {
            let [second, _] = &state.feeds;
            SimBook {
                instrument: Arc::clone(&one.instrument),
                seq: Some(second.shown.seq),
                bids: second.shown.best_bids(usize::MAX),
                asks: second.shown.best_asks(usize::MAX),
            }
        };
        listed.map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
        let arg = head.arg.filter(|_| read.is_ok() && head.data && !head.control)?;
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let name = Name {
            third: arg.third,
            product: Product::of(arg.inst_type, arg.symbol)?,
            channel: text(arg.channel)?,
            symbol: text(arg.symbol)?,
            interval: text(arg.interval)?,
        };
        let fresh = arg.kind != Kind::Book || head.action == Some(b"snapshot");
        Some(Topic { key: name.key(), fresh })
    }
}
