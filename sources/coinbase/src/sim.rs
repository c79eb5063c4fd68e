//! The venue's end of the wire: one market by a seed, told by two protocols, REST beside.

mod encode;
mod feeds;
mod listings;
mod peers;
mod rest;
mod rest_old;
mod world;

use crate::parse::{self, Kind};
use crate::{Feed, exchange};
use model::Ts;
use peers::Peers;
use source::{Beat, Peer, Pulse, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::sync::Arc;
use world::World;

/// How often books are pushed.
const TICK_MS: u64 = 50;

/// The venue.
pub struct CoinbaseSim {
    world: World,
    peers: Peers,
    pulse: Pulse,
    lifetime_ms: Option<u64>,
    ping_ms: Option<u64>,
    /// Stands in front of a recording.
    tape: bool,
    /// How many book events ago the next books by REST are.
    late: usize,
    refuse: u32,
    rate_limit: u32,
    /// When REST requests came lately.
    asked: Vec<Ts>,
}

impl CoinbaseSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        let still = SimSetup { moves_per_s: 0, ..setup.clone() };
        Self {
            world: World::new(setup.seed, setup.instruments, setup.start),
            peers: Peers::default(),
            pulse: Pulse::new(if setup.tape { &still } else { setup }, TICK_MS),
            lifetime_ms: setup.lifetime_ms,
            ping_ms: setup.ping_ms,
            tape: setup.tape,
            late: 0,
            refuse: 0,
            rate_limit: 0,
            asked: Vec::new(),
        }
    }

    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        while let Some(beat) = self.pulse.next(now) {
            match beat {
                Beat::Move(at) => self.moved(at, out),
                Beat::Tick(at, n) => self.tick(at, n, out),
            }
        }
    }

    /// The true books as the feed of that protocol tells them.
    pub(crate) fn books_of(&self, feed: Feed) -> Vec<SimBook> {
        let states = self.world.states.iter();
        let book = |state: &world::State| {
            let instrument = state.definition(feed)?;
            let (bids, asks) = (state.shown.bids(usize::MAX), state.shown.asks(usize::MAX));
            Some(SimBook { instrument: Arc::clone(instrument), seq: None, bids, asks })
        };
        states.filter_map(book).collect()
    }
}

impl Sim for CoinbaseSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match input {
            SimInput::Open { peer, endpoint, .. } => self.opened(peer, endpoint, now, out),
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => self.peers.forget(peer),
            SimInput::Request { request, endpoint, path } => {
                let answer = self.answer(endpoint, path, now);
                let (status, headers, body) = (answer.status, answer.headers, answer.body.into_bytes());
                out.push(SimAction::Reply { request, status, headers, body });
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
                if paused {
                    self.flush_all(now, out);
                }
            }
            SimControl::LateSnapshots(events) => self.late = events as usize,
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::RateLimit(times) => self.rate_limit = times,
            SimControl::CloseAll => {
                for peer in self.peers.all() {
                    self.close(peer, 1001, "going away", out);
                }
            }
        }
        self.pulse.wake(out);
    }

    /// Of Advanced Trade. The books of Exchange carry no number, and a frame of theirs that is lost leaves no trace: what
    /// a client of that feed holds after losses is not promised.
    fn books(&self) -> Vec<SimBook> {
        self.books_of(Feed::Advanced)
    }

    fn topic(&self, endpoint: usize, frame: &[u8]) -> Option<Topic> {
        if endpoint == Feed::Advanced.endpoint() { advanced_topic(frame) } else { exchange_topic(frame) }
    }

    fn renumber(&mut self, peer: Peer, frame: &mut Vec<u8>) {
        self.peers.renumber(peer, frame);
    }
}

fn key(channel: &str, product: &[u8]) -> String {
    format!("{channel}:{}", String::from_utf8_lossy(product))
}

/// The subscription of a frame of Advanced Trade, by the first product that it names.
fn advanced_topic(frame: &[u8]) -> Option<Topic> {
    let (mut product, mut whole) = (None, false);
    let (head, read) = parse::frame(frame, |_, c| {
        let events = c.skip()?;
        let find = |name: &[u8]| {
            let at = events.windows(name.len()).position(|part| part == name)?;
            let rest = events.get(at + name.len()..)?;
            let start = rest.iter().position(|b| *b == b'"')? + 1;
            let end = rest.iter().skip(start).position(|b| *b == b'"')? + start;
            rest.get(start..end).map(<[u8]>::to_vec)
        };
        product = find(b"\"product_id\":").or_else(|| find(b"\"id\":"));
        whole = find(b"\"type\":").as_deref() == Some(b"snapshot");
        Ok(())
    });
    read.ok()?;
    let (channel, fresh) = match head.kind {
        Kind::Book => ("level2", whole),
        Kind::Trades => ("market_trades", true),
        Kind::Candles => ("candles", true),
        Kind::Status => ("status", true),
        Kind::Ticker if head.channel == b"ticker_batch" => ("ticker_batch", true),
        Kind::Ticker => ("ticker", true),
        Kind::Heartbeat | Kind::Subscriptions | Kind::Private | Kind::Other => return None,
    };
    Some(Topic { key: key(channel, &product?), fresh })
}

/// The subscription of a frame of Exchange.
fn exchange_topic(frame: &[u8]) -> Option<Topic> {
    let (flat, read) = exchange::frame(frame);
    read.ok()?;
    let (channel, fresh) = match flat.word {
        b"snapshot" => ("level2", true),
        b"l2update" => ("level2", false),
        b"match" | b"last_match" => ("matches", true),
        b"ticker" => ("ticker", true),
        b"status" => return Some(Topic { key: key("status", b""), fresh: true }),
        _ => return None,
    };
    Some(Topic { key: key(channel, flat.print.product), fresh })
}

#[cfg(test)]
mod tests;
