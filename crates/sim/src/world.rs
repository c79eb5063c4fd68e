//! A source's sessions against its simulator, in memory: virtual time, one seed, faults on the way.
//!
//! The same seed gives the same run, to the byte of every event. Sessions run under the pump that live connections run
//! under, so reconnecting, pacing, silence and planned ends are part of what is simulated.
//!
//! A corrupted frame gets a byte that no frame may hold (0xFF), because a changed digit would make another valid frame,
//! which nothing but a checksum could tell.

mod faults;
mod way;

use crate::plan::{Faults, Outcome, Plan};
use crate::reader::Reader;
use feed::limits::Limiter;
use feed::pump::{Conn, In, Io, Out, Pump, Setup};
use model::{Channel, Event, Instrument, InstrumentId, LinkId, Ts};
use source::{Options, Peer, Rate, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Source, Want};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use way::{Arrival, Conn2, Departure, Due, Wire};

/// When a run begins.
const START: Ts = Ts::from_ms(1_760_000_000_000);
/// How long all goes well at first, in ms.
const WARM_MS: u64 = 15_000;
/// The longest time that may pass after the faults until every book is live, in ms.
const CALM_MS: u64 = 240_000;
/// How long what was sent may take to arrive, in ms.
const DRAIN_MS: u64 = 5_000;
/// How often a live book of each connection is held against the venue's REST book, in ms.
const REFEREE_MS: u64 = 3_000;
/// The longest way of a frame, in ms.
const LATENCY_MS: u64 = 40;

struct World<'a> {
    source: &'a dyn Source,
    sim: Box<dyn Sim>,
    pumps: Vec<Pump<'a>>,
    ticks: Vec<Option<Ts>>,
    rng: fastrand::Rng,
    now: Ts,
    /// How far the clients' clock is off, in ms.
    skew_ms: i64,
    queue: BinaryHeap<Reverse<(Ts, u64)>>,
    dues: BTreeMap<u64, Due>,
    number: u64,
    wires: BTreeMap<Peer, Wire>,
    /// When the last thing that a link sent reaches the venue.
    left: BTreeMap<(usize, LinkId), Ts>,
    peers: BTreeMap<(usize, LinkId, u32), Peer>,
    requests: BTreeMap<u64, (Conn2, u64, String)>,
    weights: Vec<Pace>,
    connects: Vec<Pace>,
    wake_at: Option<Ts>,
    faulty: bool,
    /// As [`Plan::strike_ms`].
    strike_ms: (u64, u64),
    /// Faults befall only one of the connections that carry the same.
    one_side: bool,
    /// How many names of connections each pump has.
    width: u32,
    /// What was listed at the beginning, and is wanted.
    wanted: BTreeSet<InstrumentId>,
    reader: Reader,
    /// Hears every event.
    told: &'a mut dyn FnMut(&Event),
    injected: BTreeMap<&'static str, u64>,
}

/// Runs a source against its simulator.
pub fn run(source: &dyn Source, plan: Plan) -> Outcome {
    watch(source, plan, &mut |_| {})
}

/// As [`run`], and hands over every event that is told, in its order.
pub fn watch(source: &dyn Source, plan: Plan, told: &mut dyn FnMut(&Event)) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let lifetime = (plan.faults != Faults::None && rng.u8(0..3) == 0).then(|| rng.u64(40_000..120_000));
    let setup = SimSetup {
        seed: plan.seed,
        start: START,
        instruments: plan.instruments,
        moves_per_s: plan.moves_per_s,
        speed: 1,
        lifetime_ms: lifetime,
        ping_ms: None,
        tape: false,
    };
    let mut world = World::new(source, source.sim(&setup), rng, plan, lifetime, told);
    world.until(START.plus_ms(WARM_MS));
    if plan.faults != Faults::None {
        world.faulty = true;
        world.later(1_000, Due::Fault);
        world.until(world.now.plus_ms(plan.faults_ms));
        world.faulty = false;
        world.heal();
    }
    let calm_until = world.now.plus_ms(CALM_MS);
    loop {
        // Long enough for each hole to show itself, and for a stale connection to be noticed.
        world.until(world.now.plus_ms(20_000));
        let truth = world.truth();
        if world.reader.is_live(&truth) || world.now >= calm_until {
            break;
        }
    }
    let mut said = Vec::new();
    world.sim.control(SimControl::Pause(true), world.now, &mut said);
    world.hear(said);
    world.until(world.now.plus_ms(DRAIN_MS));
    world.finish()
}

impl<'a> World<'a> {
    fn new(
        source: &'a dyn Source,
        mut sim: Box<dyn Sim>,
        rng: fastrand::Rng,
        plan: Plan,
        lifetime: Option<u64>,
        told: &'a mut dyn FnMut(&Event),
    ) -> Self {
        let wants = wants(source, sim.as_mut());
        let shards = source.shards(&wants, &Options { login: sim.login(), ..Options::default() });
        let spec = source.spec();
        let pumps: Vec<Pump<'a>> = shards
            .into_iter()
            .enumerate()
            .filter_map(|(n, shard)| {
                let n = n as u32;
                let first = n * (plan.connections + 1);
                let links = (first..=first + plan.connections).map(LinkId).collect();
                let engine = engine::Config::default();
                let (seed, host, lifetime_ms) = (plan.seed.wrapping_add(u64::from(n)), None, lifetime);
                let referee_ms = REFEREE_MS;
                Pump::new(Setup { source, shard, links, engine, referee_ms, seed, host, lifetime_ms })
            })
            .collect();
        let mut world = Self {
            source,
            sim,
            ticks: vec![None; pumps.len()],
            pumps,
            rng,
            now: START,
            skew_ms: 0,
            queue: BinaryHeap::new(),
            dues: BTreeMap::new(),
            number: 0,
            wires: BTreeMap::new(),
            left: BTreeMap::new(),
            peers: BTreeMap::new(),
            requests: BTreeMap::new(),
            weights: spec.endpoints.iter().map(|e| Pace::new(e.weight)).collect(),
            connects: spec.endpoints.iter().map(|e| Pace::new(e.connects)).collect(),
            wake_at: None,
            faulty: false,
            strike_ms: plan.strike_ms,
            one_side: plan.faults == Faults::OneSide,
            width: plan.connections + 1,
            wanted: wants.iter().map(|want| want.instrument.id).collect(),
            reader: Reader::default(),
            told,
            injected: BTreeMap::new(),
        };
        world.later(0, Due::VenueWake);
        for n in 0..world.pumps.len() {
            world.pump(n, In::Start);
        }
        world
    }

    fn at(&mut self, at: Ts, due: Due) {
        self.number += 1;
        self.queue.push(Reverse((at.max(self.now), self.number)));
        self.dues.insert(self.number, due);
    }

    fn later(&mut self, ms: u64, due: Due) {
        self.at(self.now.plus_ms(ms), due);
    }

    /// The time on the clients' clock.
    fn client_now(&self) -> Ts {
        Ts(self.now.0 + self.skew_ms * 1_000_000)
    }

    /// Lets time pass.
    fn until(&mut self, end: Ts) {
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            if let Some(due) = self.dues.remove(&number) {
                self.happen(due);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Client(n, conn, arrival) => self.arrive(n, conn, &arrival),
            Due::Venue(from, departure) => self.depart(from, departure),
            Due::VenueWake => {
                if self.wake_at.is_none_or(|at| at <= self.now) {
                    self.wake_at = None;
                    let mut said = Vec::new();
                    self.sim.on(SimInput::Wake, self.now, &mut said);
                    self.hear(said);
                }
            }
            Due::Tick(n) => {
                if self.ticks.get(n).copied().flatten().is_some_and(|at| at <= self.now) {
                    if let Some(tick) = self.ticks.get_mut(n) {
                        *tick = None;
                    }
                    self.pump(n, In::Tick);
                }
            }
            Due::Fault => self.strike(),
            Due::Release(peer) => self.release(peer),
        }
    }

    /// Hands an input to a pump and carries out what it wants.
    fn pump(&mut self, n: usize, input: In<'_>) {
        let now = self.client_now();
        let Some(pump) = self.pumps.get_mut(n) else { return };
        let mut out = Out::default();
        pump.on(input, now, &mut out);
        let wake = pump.next_wake();
        for event in &out.events {
            self.reader.on(event);
            (self.told)(event);
        }
        for io in out.io {
            self.carry_out(n, io);
        }
        if let Some(at) = wake {
            // Never later than a second: the clock may jump.
            let at = Ts(at.0 - self.skew_ms * 1_000_000).max(self.now).min(self.now.plus_ms(1_000));
            let sooner = self.ticks.get(n).copied().flatten().is_none_or(|tick| at < tick);
            if sooner && let Some(tick) = self.ticks.get_mut(n) {
                *tick = Some(at);
                self.at(at, Due::Tick(n));
            }
        }
    }

    fn carry_out(&mut self, n: usize, io: Io) {
        let (way, now) = (self.rng.u64(1..LATENCY_MS), self.now);
        match io {
            Io::Open { conn, endpoint, path } => {
                let at = self.connects.get_mut(endpoint).map_or(now, |pace| pace.take(1, now)).plus_ms(way);
                self.leave(n, conn, at, Departure::Open(endpoint, path));
            }
            Io::Send { conn, bytes } => self.leave(n, conn, self.now.plus_ms(way), Departure::Frame(bytes)),
            Io::Close { conn } => self.leave(n, conn, self.now.plus_ms(way), Departure::Close),
            Io::Fetch { conn, tag, endpoint, path, weight } => {
                let at =
                    self.weights.get_mut(endpoint).map_or(now, |pace| pace.take(weight, now)).plus_ms(way);
                self.at(at, Due::Venue((n, conn), Departure::Request { tag, endpoint, path }));
            }
        }
    }

    /// Puts something on the way to the venue, behind what is on the way already.
    fn leave(&mut self, n: usize, conn: Conn, at: Ts, departure: Departure) {
        let last = self.left.entry((n, conn.link)).or_insert(at);
        *last = at.max(*last);
        let at = *last;
        self.at(at, Due::Venue((n, conn), departure));
    }

    fn depart(&mut self, (n, conn): Conn2, departure: Departure) {
        let key = (n, conn.link, conn.attempt);
        let mut said = Vec::new();
        let now = self.now;
        match departure {
            Departure::Open(endpoint, path) => {
                let peer = Peer(self.number);
                self.peers.insert(key, peer);
                self.wires.insert(
                    peer,
                    Wire { owner: (n, conn), last: now, stalled: None, swapped: None, over: false },
                );
                self.send(peer, Arrival::Opened);
                self.sim.on(SimInput::Open { peer, endpoint, path: &path }, now, &mut said);
            }
            Departure::Request { tag, endpoint, path } => {
                let request = self.number;
                self.requests.insert(request, ((n, conn), tag, path.clone()));
                self.sim.on(SimInput::Request { request, endpoint, path: &path }, now, &mut said);
            }
            Departure::Frame(bytes) => {
                if let Some(peer) = self.peers.get(&key).copied() {
                    self.sim.on(SimInput::Frame { peer, bytes: &bytes }, now, &mut said);
                }
            }
            Departure::Pong(payload) => {
                if let Some(peer) = self.peers.get(&key).copied() {
                    self.sim.on(SimInput::Pong { peer, payload: &payload }, now, &mut said);
                }
            }
            Departure::Close => {
                if let Some(peer) = self.peers.remove(&key) {
                    self.wires.remove(&peer);
                    self.sim.on(SimInput::Closed { peer }, now, &mut said);
                }
            }
        }
        self.hear(said);
    }

    fn arrive(&mut self, n: usize, conn: Conn, arrival: &Arrival) {
        match arrival {
            Arrival::Opened => self.pump(n, In::Opened { conn }),
            Arrival::Frame(bytes, binary) => self.pump(n, In::Frame { conn, bytes, binary: *binary }),
            Arrival::Ping => self.pump(n, In::Ping { conn }),
            Arrival::Closed(why) => self.pump(n, In::Closed { conn, why }),
            Arrival::Reply { tag, path, status, retry_ms, body } => {
                let (tag, status, retry_ms) = (*tag, *status, *retry_ms);
                self.pump(n, In::Reply { conn, tag, path, status, retry_ms, body });
            }
        }
    }

    /// Carries what the venue does to the clients, with faults on the way.
    fn hear(&mut self, said: Vec<SimAction>) {
        for action in said {
            match action {
                SimAction::Send { peer, bytes, binary } => self.deliver(peer, bytes, binary),
                SimAction::Ping { peer, payload } => {
                    let Some(wire) = self.wires.get(&peer) else { continue };
                    let owner = wire.owner;
                    if wire.stalled.is_none() {
                        self.later(LATENCY_MS, Due::Venue(owner, Departure::Pong(payload)));
                    }
                    self.send(peer, Arrival::Ping);
                }
                SimAction::Close { peer, code, reason } => {
                    self.send(peer, Arrival::Closed(format!("closed with {code} {reason}")));
                    self.part(peer);
                }
                SimAction::Reply { request, status, headers, body } => {
                    let Some(((n, conn), tag, path)) = self.requests.remove(&request) else { continue };
                    let seconds = headers.iter().find(|(name, _)| *name == "Retry-After");
                    let retry_ms = seconds.and_then(|(_, s)| s.parse::<u64>().ok()).map(|s| s * 1_000);
                    let way = self.rng.u64(1..LATENCY_MS * 4);
                    self.later(
                        way,
                        Due::Client(n, conn, Arrival::Reply { tag, path, status, retry_ms, body }),
                    );
                }
                SimAction::Joined { .. } | SimAction::Left { .. } => {}
                SimAction::WakeAt(at) => {
                    if self.wake_at.is_none_or(|known| at < known) {
                        self.wake_at = Some(at);
                        self.at(at, Due::VenueWake);
                    }
                }
            }
        }
    }

    /// The venue's end of a connection is over; what a stalled link holds still comes.
    fn part(&mut self, peer: Peer) {
        let Some(wire) = self.wires.get_mut(&peer) else { return };
        wire.over = true;
        let (n, conn) = wire.owner;
        let held = wire.stalled.is_some();
        self.peers.remove(&(n, conn.link, conn.attempt));
        if !held {
            self.wires.remove(&peer);
        }
    }

    /// Puts something on the way to a client, behind what is on the way already.
    fn send(&mut self, peer: Peer, arrival: Arrival) {
        let way = self.now.plus_ms(self.rng.u64(1..LATENCY_MS));
        let Some(wire) = self.wires.get_mut(&peer) else { return };
        if let Some(held) = &mut wire.stalled {
            held.push(arrival);
            return;
        }
        let at = way.max(wire.last);
        wire.last = at;
        let (n, conn) = wire.owner;
        self.at(at, Due::Client(n, conn, arrival));
    }

    /// The true books of what is wanted, as far as the venue still has them.
    fn truth(&self) -> Vec<SimBook> {
        let mut truth = self.sim.books();
        truth.retain(|book| self.wanted.contains(&book.instrument.id));
        truth
    }

    fn finish(mut self) -> Outcome {
        let truth = self.truth();
        self.reader.compare(&truth);
        let verdicts = self.pumps.iter().map(Pump::verdicts);
        let verdicts = verdicts.fold((0, 0), |(same, other), v| (same + v.equal, other + v.different));
        let healed = self.pumps.iter().flat_map(Pump::sides).map(|(_, side)| side.healed).sum();
        let resyncs = self.pumps.iter().map(|pump| pump.counters().resyncs).sum();
        if truth.is_empty() && self.source.spec().channel(Channel::Book).is_some() {
            self.reader.wrong.push(format!("{} has no books", self.source.spec().name));
        }
        Outcome {
            differences: self.reader.wrong,
            gaps: self.reader.gaps,
            gap_words: self.reader.gap_words,
            resyncs,
            referee: verdicts,
            healed,
            injected: self.injected,
            events: self.reader.events,
            books: truth.len(),
            digest: self.reader.digest,
        }
    }
}

/// A limit, and when the last one was let through: who comes later waits behind those who wait.
struct Pace {
    limiter: Limiter,
    last: Ts,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        Self { limiter: Limiter::new(rate), last: Ts::default() }
    }

    /// When the limit allows it.
    fn take(&mut self, weight: u32, now: Ts) -> Ts {
        let mut at = now.max(self.last);
        while let Err(later) = self.limiter.take(weight, at) {
            at = later.max(at.plus_ms(1));
        }
        self.last = at;
        at
    }
}

/// Everything that the simulator lists, on every channel.
fn wants(source: &dyn Source, sim: &mut dyn Sim) -> Vec<Want> {
    let mut wants = Vec::new();
    for (n, request) in source.listings().into_iter().enumerate() {
        let mut said = Vec::new();
        let ask = SimInput::Request { request: n as u64, endpoint: request.endpoint, path: &request.path };
        sim.on(ask, START, &mut said);
        let body = |action| if let SimAction::Reply { body, .. } = action { Some(body) } else { None };
        let read = |body: Vec<u8>| source.define(&request.path, &body)?.ok();
        let defined = said.into_iter().filter_map(body).filter_map(read).flatten();
        for instrument in defined.collect::<Vec<Instrument>>().into_iter().map(Arc::new) {
            let all = source.spec().channels.iter().map(|c| c.channel).filter(|c| *c != Channel::Instruments);
            wants.extend(all.map(|channel| Want { instrument: Arc::clone(&instrument), channel }));
        }
    }
    wants
}
