//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod world;

use crate::parse;
use model::Ts;
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// How often the fastest book is pushed.
const TICK_MS: u64 = 20;

/// The venue.
pub struct BybitSim {
    world: World,
    peers: Peers,
    pulse: Pulse,
    lifetime_ms: Option<u64>,
    /// It stands in front of a recording.
    tape: bool,
    /// The first data of a subscription are sent before its acknowledgement.
    early: bool,
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// When REST requests came lately.
    asked: Vec<Ts>,
    /// Bars that clients hear of: by instrument and interval, when the one that was told last began.
    bars: BTreeMap<(usize, usize), i64>,
}

impl BybitSim {
    /// Opens it. Two of three seeds send the first data before the acknowledgement.
    pub fn new(setup: &SimSetup) -> Self {
        Self {
            world: World::new(setup.seed, setup.instruments, setup.start),
            peers: Peers::new(setup.seed),
            pulse: Pulse::new(setup, TICK_MS),
            lifetime_ms: setup.lifetime_ms,
            tape: setup.tape,
            early: !setup.seed.is_multiple_of(3),
            late: 0,
            refuse: 0,
            rate_limit: 0,
            asked: Vec::new(),
            bars: BTreeMap::new(),
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

impl Sim for BybitSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, path, .. } => self.opened(peer, path, now, out),
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => self.peers.forget(peer),
            SimInput::Request { request, endpoint, path } => {
                let answer = self.answer(endpoint, path, now);
                out.push(SimAction::Reply {
                    request,
                    status: answer.status,
                    headers: answer.headers,
                    body: answer.body.into_bytes(),
                });
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
                    self.flush_all(now, out);
                }
            }
            SimControl::LateSnapshots(events) => self.late = events as usize,
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                for peer in self.peers.all() {
                    self.close(peer, 1001, "service upgrade", out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| {
            // The depth that is taken where nothing else is asked for.
            let shown = &state.feeds.first()?.shown;
            Some(SimBook {
                instrument: Arc::clone(&one.instrument),
                seq: Some(shown.u),
                bids: shown.best_bids(usize::MAX),
                asks: shown.best_asks(usize::MAX),
            })
        };
        listed.filter_map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
        read.ok()?;
        head.topic.filter(|_| head.data)?;
        let key = std::str::from_utf8(head.text).ok()?.to_owned();
        Some(Topic { key, fresh: head.push != b"delta" })
    }
}

#[cfg(test)]
mod tests;
