//! The venue's end of the wire: one market by a seed, every channel derived from it, REST beside.

mod bars;
mod encode;
mod feeds;
mod peers;
mod rest;
mod rows;
mod tape;
mod world;

use bars::Bars;
use model::Ts;
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use world::World;

/// How often books are pushed.
const TICK_MS: u64 = 100;
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
    pulse: Pulse,
    /// In front of a recording: no data are sent.
    tape: bool,
    lifetime_ms: Option<u64>,
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
            pulse: Pulse::new(setup, TICK_MS),
            tape: setup.tape,
            lifetime_ms: setup.lifetime_ms,
            ticks: 0,
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
                Beat::Move(_) if self.tape => {}
                Beat::Tick(at, _) if self.tape => self.age(at, out),
                Beat::Move(at) => self.moved(at, out),
                Beat::Tick(at, ticks) => {
                    self.ticks = ticks;
                    self.tick(at, out);
                }
            }
        }
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
        self.pulse.wake(out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(true) => {
                self.pulse.pause(true, now);
                self.flush_all(now, out);
            }
            SimControl::Pause(false) => self.pulse.pause(false, now),
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
        let listed = self.world.market.listed().iter().zip(&self.world.states).enumerate();
        let book = |(_, (one, state)): (usize, (&source::market::Listed, &world::State))| {
            let shown = &state.shown;
            let seq = u64::try_from(shown.seq).ok();
            one.truth(seq, shown.best_bids(usize::MAX), shown.best_asks(usize::MAX))
        };
        listed.filter(|(at, _)| self.world.is_listed(*at)).map(book).collect()
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        tape::topic(frame)
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
