//! The venue's end of the wire: two markets by a seed, every channel derived from them, REST beside.

mod contracts;
mod encode;
mod pairs;
mod peers;
mod rest;
mod tape;
mod world;

use model::Ts;
use peers::{Peers, Way};
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::sync::Arc;
use world::World;

/// How often the venue looks at its clock.
const TICK_MS: u64 = 100;
/// Ticks in a second.
const SECOND: u64 = 10;

/// The venue.
pub struct KrakenSim {
    spot: World,
    futures: World,
    peers: Peers,
    pulse: Pulse,
    moves: u64,
    lifetime_ms: Option<u64>,
    ping_ms: Option<u64>,
    /// In front of a recording: no data of its own.
    tape: bool,
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// When REST requests came lately, by endpoint.
    asked: [Vec<Ts>; 2],
}

impl KrakenSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self {
            spot: World::spot(setup),
            futures: World::futures(setup),
            peers: Peers::new(setup.seed),
            pulse: Pulse::new(setup, TICK_MS),
            moves: 0,
            lifetime_ms: setup.lifetime_ms,
            ping_ms: setup.ping_ms,
            tape: setup.tape,
            late: 0,
            refuse: 0,
            rate_limit: 0,
            asked: [Vec::new(), Vec::new()],
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(_) if self.tape => {}
                Beat::Move(at) => {
                    self.moves += 1;
                    if self.moves.is_multiple_of(2) {
                        self.contract_moved(at, out);
                    } else {
                        self.pair_moved(at, out);
                    }
                }
                Beat::Tick(at, n) => {
                    self.age(at, out);
                    if n.is_multiple_of(SECOND) && !self.tape {
                        self.tell_statistics(at, out);
                    }
                }
            }
        }
    }

    /// Signs of life, pings, and connections whose time has come.
    fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for (peer, payload) in self.peers.pings(self.ping_ms, now) {
            out.push(SimAction::Ping { peer, payload });
        }
        for (peer, way) in self.peers.quiet(now) {
            let frame = match way {
                Way::Spot => r#"{"channel":"heartbeat"}"#.to_owned(),
                Way::Old => r#"{"event":"heartbeat"}"#.to_owned(),
                Way::Futures => format!(r#"{{"feed":"heartbeat","time":{}}}"#, now.as_ms()),
            };
            self.peers.send(peer, frame, now, out);
        }
        for (peer, reason) in self.peers.over(self.lifetime_ms, now) {
            self.close(peer, 1001, reason, out);
        }
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}

impl Sim for KrakenSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, endpoint, path } => self.opened(peer, endpoint, path, now, out),
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
        // Every move is told when it is made: nothing is ever pending.
        self.advance(now, out);
        match control {
            SimControl::Pause(paused) => self.pulse.pause(paused, now),
            SimControl::LateSnapshots(events) => self.late = events as usize,
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                for peer in self.peers.all() {
                    if self.peers.way(peer) == Some(Way::Spot) {
                        let told = peers::status("maintenance", self.peers.number(peer));
                        self.peers.send(peer, told, now, out);
                    }
                    self.close(peer, 1001, "service restart", out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        if self.tape {
            return Vec::new();
        }
        let book = |world: &World, at: usize, seq: Option<u64>, depth: usize| {
            let view = world.view(at, depth);
            let instrument = Arc::clone(world.instrument(at)?);
            Some(SimBook { instrument, seq, bids: view.bids, asks: view.asks })
        };
        let pairs =
            (0..self.spot.states.len()).filter_map(|at| book(&self.spot, at, None, crate::subscribe::DEPTH));
        let contracts = self.futures.states.iter().enumerate();
        pairs
            .chain(contracts.filter_map(|(at, s)| book(&self.futures, at, Some(s.seq), usize::MAX)))
            .collect()
    }

    fn topic(&self, endpoint: usize, frame: &[u8]) -> Option<Topic> {
        tape::topic(endpoint, frame)
    }
}

#[cfg(test)]
mod tests;
