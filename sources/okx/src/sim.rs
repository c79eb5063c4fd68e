//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod world;

use bars::Bars;
use model::Ts;
use peers::Peers;
use source::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
use std::sync::Arc;
use world::World;

/// How often books are pushed.
const TICK_MS: u64 = 100;
/// The most moves made up for in one call, after which the rest of the time passes without any.
const MOVES_MAX: u32 = 200_000;

/// A clock that is further ahead than this was set anew: nothing happened in between.
const JUMP_MS: i64 = 3_600_000;

/// Ways of the venue that not every client meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Books carry a checksum, as until 2026.
    pub legacy_checksum: bool,
    /// No snapshot is pushed on subscribe; the client must ask by REST.
    pub no_snapshot: bool,
}

impl Quirks {
    /// Every fourth seed has checksums; 777, 1777 and so on push no snapshot.
    fn of(seed: u64) -> Self {
        Self { legacy_checksum: seed % 4 == 1, no_snapshot: seed % 1_000 == 777 }
    }
}

/// The venue.
pub struct OkxSim {
    world: World,
    bars: Bars,
    peers: Peers,
    quirks: Quirks,
    moves_per_s: u32,
    lifetime_ms: Option<u64>,
    paused: bool,
    /// Moves made since `moves_since`.
    moves: u64,
    moves_since: Ts,
    next_tick: Ts,
    ticks: u64,
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// When REST requests came lately.
    asked: Vec<Ts>,
}

impl OkxSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self::with(setup, Quirks::of(setup.seed))
    }

    pub(crate) fn with(setup: &SimSetup, quirks: Quirks) -> Self {
        Self {
            world: World::new(setup.seed, setup.instruments, quirks.legacy_checksum, setup.start),
            bars: Bars::default(),
            peers: Peers::new(setup.seed),
            quirks,
            moves_per_s: setup.moves_per_s,
            lifetime_ms: setup.lifetime_ms,
            paused: false,
            moves: 0,
            moves_since: setup.start,
            next_tick: setup.start.plus_ms(TICK_MS),
            ticks: 0,
            late: 0,
            refuse: 0,
            rate_limit: 0,
            asked: Vec::new(),
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
            let moved = self.next_move().filter(|at| *at <= self.next_tick);
            match moved {
                Some(at) if at <= now => {
                    self.moves += 1;
                    made += 1;
                    if made > MOVES_MAX {
                        (self.moves, self.moves_since) = (0, now);
                        continue;
                    }
                    self.moved(at, out);
                }
                _ if self.next_tick <= now => {
                    let at = self.next_tick;
                    self.next_tick = at.plus_ms(TICK_MS);
                    self.ticks += 1;
                    self.tick(at, out);
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

impl Sim for OkxSim {
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
        self.wake(out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(true) => {
                self.paused = true;
                self.flush_all(now, out);
            }
            SimControl::Pause(false) => {
                self.paused = false;
                (self.moves, self.moves_since) = (0, now);
            }
            SimControl::LateSnapshots(events) => self.late = events as usize,
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                for peer in self.peers.all() {
                    self.dismiss(peer, now, out);
                }
            }
        }
        self.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| SimBook {
            instrument: Arc::clone(&one.instrument),
            seq: u64::try_from(state.shown.seq).ok(),
            bids: state.shown.best_bids(usize::MAX),
            asks: state.shown.best_asks(usize::MAX),
        };
        listed.map(book).collect()
    }
}

impl OkxSim {
    /// Tells a client that its connection ends, and ends it.
    fn dismiss(&mut self, peer: Peer, now: Ts, out: &mut Vec<SimAction>) {
        self.notice(peer, now, out);
        self.close(peer, 1001, "service upgrade", out);
    }

    fn notice(&mut self, peer: Peer, now: Ts, out: &mut Vec<SimAction>) {
        let text = format!(
            r#"{{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"{}"}}"#,
            self.peers.name(peer)
        );
        self.peers.send(peer, text.into_bytes(), now, out);
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests;
