//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod encode;
mod feeds;
mod peers;
mod rest;
mod world;

use crate::parse::{self, Kind};
use model::{Level, Ts};
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::sync::Arc;
use world::World;

/// How often books are pushed.
const TICK_MS: u64 = 100;
/// How often the venue pings.
const PING_MS: u64 = 15_000;

/// Ways of the venue that not every client meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Sizes of contracts are whole numbers without quotes, as without `X-Gate-Size-Decimal`.
    pub integers: bool,
    /// REST tells the book as it is, between two pushes.
    pub between: bool,
    /// A pushed book comes before the acknowledgement.
    pub eager: bool,
}

impl Quirks {
    const fn of(seed: u64) -> Self {
        Self {
            integers: seed.is_multiple_of(3),
            between: seed.is_multiple_of(2),
            eager: seed.is_multiple_of(5),
        }
    }
}

/// The venue.
pub struct GateSim {
    world: World,
    peers: Peers,
    quirks: Quirks,
    pulse: Pulse,
    lifetime_ms: Option<u64>,
    ping_ms: u64,
    tape: bool,
    late: usize,
    refuse: u32,
    rate_limit: u32,
}

impl GateSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        let quirks = Quirks::of(setup.seed);
        Self {
            world: World::new(setup, quirks),
            peers: Peers::new(setup.seed),
            quirks,
            pulse: Pulse::new(setup, TICK_MS),
            lifetime_ms: setup.lifetime_ms,
            ping_ms: setup.ping_ms.unwrap_or(PING_MS).max(1),
            tape: setup.tape,
            late: 0,
            refuse: 0,
            rate_limit: 0,
        }
    }

    /// Lets time pass until `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(_) if self.tape => {}
                Beat::Move(at) => self.moved(at, out),
                Beat::Tick(at, n) => {
                    if !self.tape {
                        self.tick(at, n, out);
                    }
                    self.age(at, out);
                }
            }
        }
    }
}

impl Sim for GateSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, path, .. } => self.opened(peer, path, now, out),
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Pong { peer, .. } => self.peers.ponged(peer, now),
            SimInput::Closed { peer } => self.peers.forget(peer),
            SimInput::Request { request, path, .. } => {
                let answer = self.answer(path, now);
                let (status, headers, body) = (answer.status, answer.headers, answer.body.into_bytes());
                out.push(SimAction::Reply { request, status, headers, body });
            }
            SimInput::Wake => {}
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
                    self.dismiss(peer, out);
                }
            }
        }
        self.pulse.wake(out);
    }

    fn books(&self) -> Vec<SimBook> {
        let listed = self.world.market.listed().iter().zip(&self.world.states);
        let book = |(one, state): (&source::market::Listed, &world::State)| SimBook {
            instrument: Arc::clone(&one.instrument),
            seq: Some(state.shown.seq),
            bids: state.shown.best_bids(usize::MAX),
            asks: state.shown.best_asks(usize::MAX),
        };
        listed.map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        topic(frame)
    }
}

impl GateSim {
    /// Tells a client that its connection ends, and ends it.
    fn dismiss(&mut self, peer: Peer, out: &mut Vec<SimAction>) {
        let notice = r#"{"type":"upgrade","msg":"The connection will soon be closed for a service upgrade. Please reconnect."}"#;
        self.peers.send(peer, notice.as_bytes().to_vec(), out);
        self.close(peer, 1001, "service upgrade", out);
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}

/// Under which subscription a recorded frame was sent.
fn topic(frame: &[u8]) -> Option<Topic> {
    let mut of: Option<(Vec<u8>, bool)> = None;
    let (head, read) = parse::frame(frame, |head, c| {
        let kind = head.kind.map(|(_, kind)| kind);
        let start = c.clone();
        c.skip()?;
        let mut inner = start.clone();
        let mut row = start;
        if inner.peek() == Some(b'[') {
            // The first row speaks for all of them.
            let _ = inner.array(|c| {
                row = c.clone();
                Err(c.fault(source::What::Rule("found")))
            });
        }
        // Bars have their name in `n`, changes of the retired book channel in `c`.
        let names: &[&[u8]] = match kind {
            Some(Kind::Bars) => &[b"n"],
            Some(Kind::Top) if head.event == b"update" && !head.channel.starts_with(b"spot.") => &[b"c"],
            _ => &[b"s", b"contract", b"currency_pair"],
        };
        let symbol = parse::find(&row, names);
        let full = parse::find_bool(&row, b"full");
        of = symbol.map(|symbol| (symbol.to_vec(), kind != Some(Kind::Pushed) || full));
        Ok(())
    });
    read.ok()?;
    let (symbol, fresh) = of?;
    let (_, kind) = head.kind.filter(|_| head.is_data())?;
    let channel = String::from_utf8_lossy(head.channel);
    let key = peers::tape_key(&channel, &String::from_utf8_lossy(&symbol));
    let retired = kind == Kind::Top && head.event == b"update" && !head.channel.starts_with(b"spot.");
    let delta = kind == Kind::Update || retired;
    Some(Topic { key, fresh: fresh && !delta })
}

fn level((px, qty): (&model::Px, &model::Qty)) -> Level {
    Level { px: *px, qty: *qty }
}

#[cfg(test)]
mod tests;
