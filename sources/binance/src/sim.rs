//! The venue's end of the wire: a market for each section by a seed, every stream derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod rows;
mod world;

use crate::product::PRODUCTS;
use model::Ts;
use peers::Peers;
use source::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
use world::World;

/// How often time-driven streams are looked after, in ms.
const TICK_MS: u64 = 50;
/// The most moves made up for in one call, after which the rest of the time passes without any.
const MOVES_MAX: u32 = 200_000;
/// A clock that is further ahead than this was set anew: nothing happened in between.
const JUMP_MS: i64 = 3_600_000;
/// How long a connection lives unless told otherwise, in ms.
const LIFETIME_MS: u64 = 86_400_000;

/// The venue.
pub struct BinanceSim {
    worlds: Vec<World>,
    peers: Peers,
    weights: Vec<rest::Weight>,
    moves_per_s: u32,
    paused: bool,
    /// Moves made since `moves_since`.
    moves: u64,
    moves_since: Ts,
    next_tick: Ts,
    ticks: u64,
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
            peers: Peers::new(lifetime_ms, setup.ping_ms),
            weights: PRODUCTS.iter().map(rest::Weight::new).collect(),
            moves_per_s: setup.moves_per_s,
            paused: false,
            moves: 0,
            moves_since: setup.start,
            next_tick: setup.start.plus_ms(TICK_MS),
            ticks: 0,
            late: 0,
            rate_limit: 0,
        }
    }

    /// When the next move is due; never while the market stands still.
    fn next_move(&self) -> Option<Ts> {
        if self.paused || self.moves_per_s == 0 {
            return None;
        }
        let ns = (u128::from(self.moves) + 1) * 1_000_000_000 / u128::from(self.moves_per_s);
        Some(Ts(self.moves_since.0.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))))
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        if now.ms_since(self.next_tick) > JUMP_MS {
            self.next_tick = now;
            (self.moves, self.moves_since) = (0, now);
        }
        let mut made = 0;
        loop {
            match self.next_move().filter(|at| *at <= self.next_tick) {
                Some(at) if at <= now => {
                    self.moves += 1;
                    made += 1;
                    if made > MOVES_MAX {
                        (self.moves, self.moves_since) = (0, now);
                        continue;
                    }
                    let which = self.moves as usize % self.worlds.len();
                    if let Some(world) = self.worlds.get_mut(which)
                        && let Some((place, prints)) = world.step(at)
                    {
                        world.tell_at_once(place, &prints, &self.peers, out, at);
                    }
                }
                _ if self.next_tick <= now => {
                    let at = self.next_tick;
                    self.next_tick = at.plus_ms(TICK_MS);
                    self.ticks += 1;
                    for world in &mut self.worlds {
                        world.tick(self.ticks, &self.peers, out, at);
                    }
                    self.peers.age(at, out);
                }
                _ => return,
            }
        }
    }

    fn wake(&self, out: &mut Vec<SimAction>) {
        let next = self.next_move().map_or(self.next_tick, |at| at.min(self.next_tick));
        out.push(SimAction::WakeAt(next));
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
        self.wake(out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(true) => {
                self.paused = true;
                for world in &mut self.worlds {
                    world.flush_all(&self.peers, out, now);
                }
            }
            SimControl::Pause(false) => {
                self.paused = false;
                (self.moves, self.moves_since) = (0, now);
            }
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
        self.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        self.worlds.iter().flat_map(World::books).collect()
    }
}

#[cfg(test)]
mod tests;
