//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod notices;
mod peers;
mod rest;
mod says;
mod socket;
mod world;

use crate::gzip::{Inflater, is_member};
use crate::parse;
use crate::topic::{Kind, topic as taken_apart};
use model::Ts;
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{DEPTH, World};

/// How often the venue's clock ticks.
const TICK_MS: u64 = 10;

/// The venue.
pub struct HtxSim {
    world: World,
    peers: Peers,
    pulse: Pulse,
    ping_ms: Option<u64>,
    lifetime_ms: Option<u64>,
    tape: bool,
    /// How many pushes ago books are that are asked for.
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// Subscriptions that were agreed to and are not fed.
    silent: BTreeSet<(Peer, String)>,
    /// How many acknowledgements were sent: they alternate in form.
    acks: u64,
}

impl HtxSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self {
            world: World::new(setup.seed, setup.instruments, setup.start),
            peers: Peers::default(),
            pulse: Pulse::new(setup, TICK_MS),
            ping_ms: setup.ping_ms,
            lifetime_ms: setup.lifetime_ms,
            tape: setup.tape,
            late: 0,
            refuse: 0,
            rate_limit: 0,
            silent: BTreeSet::new(),
            acks: 0,
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(_) if self.tape => {}
                Beat::Tick(at, n) if self.tape => {
                    if n.is_multiple_of(10) {
                        self.age(at, out);
                    }
                }
                Beat::Move(at) => self.moved(at, out),
                Beat::Tick(at, n) => self.tick(at, n, out),
            }
        }
    }
}

impl Sim for HtxSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, endpoint, path } => self.opened(peer, endpoint, path, now, out),
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => {
                self.peers.forget(peer);
                self.silent.retain(|(p, _)| *p != peer);
            }
            SimInput::Request { request, endpoint, path } => {
                let (status, headers, body) = self.answer(endpoint, path, now);
                out.push(SimAction::Reply { request, status, headers, body: body.into_bytes() });
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
                    self.dismiss(peer, now, out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| {
            let stream = state.streams.get(&DEPTH)?;
            Some(SimBook {
                instrument: Arc::clone(&one.instrument),
                seq: Some(stream.seq),
                bids: stream.bids(),
                asks: stream.asks(),
            })
        };
        listed.filter_map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        let mut inflater = Inflater::default();
        let text = if is_member(frame) { inflater.member(frame).ok()? } else { frame };
        let mut whole = false;
        let (head, read) = parse::frame(text, |_, c| {
            if c.peek() != Some(b'{') {
                return c.skip().map(|_| ());
            }
            c.object(|c, key| {
                let value = c.skip()?;
                whole |= key == b"event" && value == b"\"snapshot\"";
                Ok(())
            })
        });
        read.ok()?;
        let topic = head.topic.filter(|_| head.data)?;
        let fresh = match taken_apart(topic).kind {
            Kind::Mbp => head.rep,
            Kind::HighFreq => whole,
            _ => true,
        };
        Some(Topic { key: std::str::from_utf8(topic).ok()?.to_owned(), fresh })
    }
}

#[cfg(test)]
mod tests;
