//! Clients of the simulated venue: connections, what they hear, heartbeats.

use super::{DeribitSim, encode};
use model::Ts;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// How many connections an address may have.
const CONNECTIONS_MAX: usize = 32;
/// A connection that hears nothing and says nothing for so long is dropped.
const IDLE_MS: i64 = 60_000;
/// How much later than its interval a sign of life is asked for.
const TEST_AFTER_MS: u64 = 600;
/// How long a client may take to give it.
const TEST_MS: i64 = 10_000;
/// Requests about channels cost so much of a pool that fills by so much in a second.
const CALL_COST: i64 = 3_000;
const POOL_MAX: i64 = 30_000;
const POOL_PER_S: i64 = 10_000;

/// Credits that grow with time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    left: i64,
    max: i64,
    since: Ts,
}

impl Pool {
    pub const fn new(max: i64, now: Ts) -> Self {
        Self { left: max, max, since: now }
    }

    /// Takes credits out; false where there are too few.
    pub fn take(&mut self, cost: i64, now: Ts) -> bool {
        let grown = now.ms_since(self.since).clamp(0, 60_000) * POOL_PER_S / 1_000;
        self.left = (self.left + grown).min(self.max);
        self.since = now;
        let enough = self.left >= cost;
        if enough {
            self.left -= cost;
        }
        enough
    }
}

pub(super) struct Client {
    opened: Ts,
    pub channels: BTreeSet<String>,
    /// Heartbeats are sent as often, in ms.
    pub heartbeat_ms: Option<u64>,
    /// When the last heartbeat was sent.
    pub beat: Ts,
    /// When it said something.
    pub heard: Ts,
    /// When a sign of life was asked for that did not come yet.
    pub tested: Option<Ts>,
    pub logged_in: bool,
    pool: Pool,
}

/// All connections.
pub(super) struct Peers {
    pub clients: BTreeMap<Peer, Client>,
    by_channel: BTreeMap<String, BTreeSet<Peer>>,
}

impl Peers {
    pub const fn new() -> Self {
        Self { clients: BTreeMap::new(), by_channel: BTreeMap::new() }
    }

    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn get(&mut self, peer: Peer) -> Option<&mut Client> {
        self.clients.get_mut(&peer)
    }

    pub fn forget(&mut self, peer: Peer) {
        let channels = self.clients.remove(&peer).map(|c| c.channels).unwrap_or_default();
        for channel in channels {
            self.unlink(&channel, peer);
        }
    }

    fn unlink(&mut self, channel: &str, peer: Peer) {
        let Some(peers) = self.by_channel.get_mut(channel) else { return };
        peers.remove(&peer);
        if peers.is_empty() {
            self.by_channel.remove(channel);
        }
    }

    /// Notes a subscription. False where it was there already.
    pub fn join(&mut self, peer: Peer, channel: &str) -> bool {
        let Some(client) = self.clients.get_mut(&peer) else { return false };
        let new = client.channels.insert(channel.to_owned());
        self.by_channel.entry(channel.to_owned()).or_default().insert(peer);
        new
    }

    /// Forgets a subscription. False where there was none.
    pub fn leave(&mut self, peer: Peer, channel: &str) -> bool {
        let was = self.clients.get_mut(&peer).is_some_and(|c| c.channels.remove(channel));
        self.unlink(channel, peer);
        was
    }

    /// Whether anybody hears this.
    pub fn heard(&self, channel: &str) -> bool {
        self.by_channel.contains_key(channel)
    }

    /// Everything that somebody hears.
    pub fn channels(&self) -> Vec<String> {
        self.by_channel.keys().cloned().collect()
    }

    /// Whether a client may make another request about channels.
    pub fn may_call(&mut self, peer: Peer, now: Ts) -> bool {
        self.clients.get_mut(&peer).is_some_and(|c| c.pool.take(CALL_COST, now))
    }

    pub fn send(&mut self, peer: Peer, bytes: Vec<u8>, _now: Ts, out: &mut Vec<SimAction>) {
        if self.clients.contains_key(&peer) {
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Sends a frame to everybody who hears the channel.
    pub fn send_all(&mut self, channel: &str, frame: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(peers) = self.by_channel.get(channel) else { return };
        for peer in peers.clone() {
            self.send(peer, frame.to_vec(), now, out);
        }
    }

    /// Sends data to everybody who hears the channel.
    pub fn push(&mut self, channel: &str, data: &str, now: Ts, out: &mut Vec<SimAction>) {
        if self.heard(channel) {
            self.send_all(channel, &encode::push(channel, data), now, out);
        }
    }
}

impl DeribitSim {
    pub(super) fn opened(
        &mut self,
        peer: Peer,
        endpoint: usize,
        path: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let refused = match () {
            () if endpoint != 0 || path != crate::subscribe::PATH => Some("404"),
            () if self.peers.clients.len() >= CONNECTIONS_MAX => Some("429 too many connections"),
            () => None,
        };
        if let Some(reason) = refused {
            out.push(SimAction::Close { peer, code: 0, reason: reason.to_owned() });
            return;
        }
        let client = Client {
            opened: now,
            channels: BTreeSet::new(),
            heartbeat_ms: None,
            beat: now,
            heard: now,
            tested: None,
            logged_in: false,
            pool: Pool::new(POOL_MAX, now),
        };
        self.peers.clients.insert(peer, client);
    }

    /// Heartbeats, and connections whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let (mut beats, mut over) = (Vec::new(), Vec::new());
        for (peer, client) in &mut self.peers.clients {
            if self.lifetime_ms.is_some_and(|ms| now >= client.opened.plus_ms(ms)) {
                over.push((*peer, 1001, "maintenance"));
                continue;
            }
            if client.tested.is_some_and(|at| now.ms_since(at) >= TEST_MS) {
                over.push((*peer, 4000, "heartbeat close"));
                continue;
            }
            let Some(interval) = client.heartbeat_ms else {
                if client.channels.is_empty() && now.ms_since(client.heard) >= IDLE_MS {
                    over.push((*peer, 0, "idle"));
                }
                continue;
            };
            if client.tested.is_none() && now >= client.heard.plus_ms(interval + TEST_AFTER_MS) {
                client.tested = Some(now);
                beats.push((*peer, "test_request"));
            }
            if now >= client.beat.plus_ms(interval) {
                client.beat = now;
                beats.push((*peer, "heartbeat"));
            }
        }
        for (peer, beat) in beats {
            let frame = format!(r#"{{"jsonrpc":"2.0","method":"heartbeat","params":{{"type":"{beat}"}}}}"#);
            self.peers.send(peer, frame.into_bytes(), now, out);
        }
        for (peer, code, reason) in over {
            self.close(peer, code, reason, out);
        }
    }

    pub(super) fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}
