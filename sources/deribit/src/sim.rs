//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod calls;
mod encode;
mod feeds;
mod listings;
mod peers;
mod rest;
mod world;

use crate::parse::{self, Kind, Pace};
use bars::Bars;
use model::Ts;
use peers::{Peers, Pool};
use source::{Beat, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::sync::Arc;
use world::World;

/// How often channels of 100 ms are pushed.
const TICK_MS: u64 = 100;
/// Credits for REST; they grow by 10,000 a second.
const POOL_MAX: i64 = 50_000;

/// The venue.
pub struct DeribitSim {
    world: World,
    bars: Bars,
    peers: Peers,
    pulse: Pulse,
    pool: Pool,
    lifetime_ms: Option<u64>,
    ping_ms: Option<u64>,
    tape: bool,
    ticks: u64,
    late: usize,
    refuse: u32,
    rate_limit: u32,
}

impl DeribitSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self {
            world: World::new(setup.seed, setup.instruments, setup.start),
            bars: Bars::default(),
            peers: Peers::new(),
            pulse: Pulse::new(setup, TICK_MS),
            pool: Pool::new(POOL_MAX, setup.start),
            lifetime_ms: setup.lifetime_ms,
            ping_ms: setup.ping_ms,
            tape: setup.tape,
            ticks: 0,
            late: 0,
            refuse: 0,
            rate_limit: 0,
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(at) if !self.tape => self.moved(at, out),
                Beat::Move(_) => {}
                Beat::Tick(at, _) if self.tape => self.age(at, out),
                Beat::Tick(at, ticks) => {
                    self.ticks = ticks;
                    self.tick(at, out);
                }
            }
        }
    }
}

impl Sim for DeribitSim {
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
                self.peers.push("platform_state", r#"{"maintenance":true}"#, now, out);
                for peer in self.peers.all() {
                    self.close(peer, 1001, "maintenance", out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| {
            let shown = state.shown(Pace::Ms100);
            SimBook {
                instrument: Arc::clone(&one.instrument),
                seq: Some(shown.seq),
                bids: shown.best_bids(usize::MAX),
                asks: shown.best_asks(usize::MAX),
            }
        };
        listed.map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        let (mut kind, mut after): (Option<&[u8]>, _) = (None, None);
        let (head, read) = parse::frame(frame, |topic, c| {
            if !matches!(topic.kind, Kind::Book(_)) {
                return c.skip().map(|_| ());
            }
            c.object(|c, key| {
                match key {
                    b"type" => kind = Some(c.str()?),
                    b"prev_change_id" if !c.null() => after = Some(c.u64()?),
                    b"prev_change_id" => {}
                    _ => {
                        c.skip()?;
                    }
                }
                Ok(())
            })
        });
        read.ok()?;
        let name = std::str::from_utf8(head.topic?.name).ok()?;
        // What follows the empty book is whole. Old recordings do not say what is a change.
        let fresh = kind == Some(b"snapshot") || after.is_none_or(|prev| prev == 0);
        Some(Topic { key: key_of(name), fresh })
    }
}

/// A channel's name without its pace: a recording has one pace, and who listens may have asked for another.
fn key_of(channel: &str) -> String {
    let paced = channel.rsplit_once('.').filter(|(_, last)| matches!(*last, "raw" | "100ms" | "agg2"));
    paced.map_or(channel, |(rest, _)| rest).to_owned()
}

#[cfg(test)]
mod tests;
