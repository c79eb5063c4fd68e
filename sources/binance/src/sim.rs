//! The venue's end of the wire: a market for each section by a seed, every stream derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod rows;
mod tape;
mod world;

use crate::product::PRODUCTS;
use model::Ts;
use peers::Peers;
use source::market::Change;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use world::World;

/// How often time-driven streams are looked after, in ms.
const TICK_MS: u64 = 50;
/// How long a connection lives unless told otherwise, in ms.
const LIFETIME_MS: u64 = 86_400_000;

/// The venue.
pub struct BinanceSim {
    worlds: Vec<World>,
    peers: Peers,
    weights: Vec<rest::Weight>,
    ratios: rest::Weight,
    pulse: Pulse,
    /// In front of a recording: no data are sent.
    tape: bool,
    /// The section that moved last.
    turn: usize,
    late: u32,
    rate_limit: u32,
}

impl BinanceSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        let lifetime_ms = setup.lifetime_ms.unwrap_or(LIFETIME_MS);
        let world = |product| World::new(product, setup.seed, setup.instruments, setup.start);
        Self {
            worlds: PRODUCTS.iter().map(world).collect(),
            peers: Peers::new(lifetime_ms, setup.ping_ms, setup.tape),
            weights: PRODUCTS.iter().map(rest::Weight::new).collect(),
            ratios: rest::Weight::ratios(),
            pulse: Pulse::new(setup, TICK_MS),
            tape: setup.tape,
            turn: 0,
            late: 0,
            rate_limit: 0,
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(_) if self.tape => {}
                Beat::Move(at) => self.step(at, out),
                Beat::Tick(at, ticks) => {
                    self.change(ticks * TICK_MS, at, out);
                    for world in self.worlds.iter_mut().filter(|_| !self.tape) {
                        world.tick(ticks, &self.peers, out, at);
                    }
                    self.peers.age(at, out);
                }
            }
        }
    }

    /// Changes an instrument of each section where it is time; not while the markets stand still.
    fn change(&mut self, ms: u64, at: Ts, out: &mut Vec<SimAction>) {
        let Some(change) = Change::at(ms).filter(|_| !self.tape && !self.pulse.is_paused()) else { return };
        for world in &mut self.worlds {
            let Some(place) = world.change(change) else { continue };
            world.tell_contract(place, &self.peers, out, at);
            if change == Change::Delist {
                world.delist(place);
            }
        }
    }

    /// Moves the market of the next section.
    fn step(&mut self, at: Ts, out: &mut Vec<SimAction>) {
        self.turn = (self.turn + 1) % self.worlds.len().max(1);
        if let Some(world) = self.worlds.get_mut(self.turn)
            && let Some((place, prints)) = world.step(at)
        {
            world.tell_at_once(place, &prints, &self.peers, out, at);
        }
    }
}

impl Sim for BinanceSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, endpoint, path } => self.peers.open(peer, endpoint, path, now, out),
            SimInput::Frame { peer, bytes } => self.peers.heard(peer, bytes, now, out),
            SimInput::Pong { peer, payload } => self.peers.pong(peer, payload, now, out),
            SimInput::Closed { peer } => self.peers.forget(peer),
            SimInput::Request { request, endpoint, path } => {
                let answer = self.answer(endpoint, path, now);
                let rest::Answer { status, headers, body } = answer;
                out.push(SimAction::Reply { request, status, headers, body: body.into_bytes() });
            }
            SimInput::Wake => {}
        }
        self.pulse.wake(out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(true) => {
                self.pulse.pause(true, now);
                for world in &mut self.worlds {
                    world.flush_all(&self.peers, out, now);
                }
            }
            SimControl::Pause(false) => self.pulse.pause(false, now),
            SimControl::LateSnapshots(events) => self.late = events,
            SimControl::RefuseSubscriptions(times) => self.peers.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                let all: Vec<Peer> = self.peers.all();
                for peer in all {
                    self.peers.shut_down(peer, now, out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        self.worlds.iter().flat_map(World::books).collect()
    }

    fn topic(&self, endpoint: usize, frame: &[u8]) -> Option<Topic> {
        tape::topic(endpoint, frame)
    }
}

#[cfg(test)]
mod tests;
