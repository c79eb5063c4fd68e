//! Clients of the simulated venue: connections and what they have subscribed to.

use super::KrakenSim;
use crate::subscribe::{FUTURES_PATH, SPOT_PATH};
use model::Ts;
use source::{Peer, SimAction};
use std::collections::BTreeMap;

/// How many connections may be opened in ten minutes.
const CONNECTS_MAX: usize = 150;
const CONNECTS_MS: i64 = 600_000;
/// A connection without a subscription that says nothing for so long is closed.
const IDLE_MS: i64 = 60_000;
/// With a subscription and nothing to tell, a sign of life comes so often.
const HEARTBEAT_MS: i64 = 1_000;
/// The largest frame that is taken.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The stream in force.
    Spot,
    /// The retired stream; only in front of a recording.
    Old,
    /// The derivatives.
    Futures,
}

/// A feed and what it is of.
pub type Topic = (String, String);

struct Client {
    way: Way,
    opened: Ts,
    /// When it was sent something last.
    sent: Ts,
    /// When it said something last.
    heard: Ts,
    pinged: Ts,
    /// Derivatives: has asked for signs of life.
    heartbeat: bool,
    /// With what each feed was asked for: depth of a book, minutes of bars, 1 for a ticker by best prices.
    subs: BTreeMap<Topic, u64>,
}

/// All connections.
pub struct Peers {
    clients: BTreeMap<Peer, Client>,
    by_topic: BTreeMap<(bool, Topic), BTreeMap<Peer, u64>>,
    opens: Vec<Ts>,
    seed: u64,
}

impl Peers {
    pub fn new(seed: u64) -> Self {
        Self { clients: BTreeMap::new(), by_topic: BTreeMap::new(), opens: Vec::new(), seed }
    }

    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn way(&self, peer: Peer) -> Option<Way> {
        self.clients.get(&peer).map(|c| c.way)
    }

    /// `connection_id`; larger than a signed number holds.
    pub fn number(&self, peer: Peer) -> u64 {
        (1 << 63) | (self.seed ^ peer.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 1
    }

    pub fn forget(&mut self, peer: Peer) {
        let Some(client) = self.clients.remove(&peer) else { return };
        for topic in client.subs.into_keys() {
            self.unlink(client.way, topic, peer);
        }
    }

    fn unlink(&mut self, way: Way, topic: Topic, peer: Peer) {
        let key = (way == Way::Futures, topic);
        if let Some(peers) = self.by_topic.get_mut(&key) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.by_topic.remove(&key);
            }
        }
    }

    /// Notes a subscription; false where there is one already.
    pub fn join(&mut self, peer: Peer, topic: &Topic, with: u64) -> bool {
        let Some(client) = self.clients.get_mut(&peer) else { return false };
        let futures = client.way == Way::Futures;
        if client.subs.insert(topic.clone(), with).is_some() {
            return false;
        }
        self.by_topic.entry((futures, topic.clone())).or_default().insert(peer, with);
        true
    }

    /// Ends a subscription; false where there is none.
    pub fn leave(&mut self, peer: Peer, topic: &Topic) -> bool {
        let Some(client) = self.clients.get_mut(&peer) else { return false };
        let way = client.way;
        let had = client.subs.remove(topic).is_some();
        self.unlink(way, topic.clone(), peer);
        had
    }

    /// Whether a connection has subscribed to something.
    pub fn holds(&self, peer: Peer, topic: &Topic) -> bool {
        self.clients.get(&peer).is_some_and(|c| c.subs.contains_key(topic))
    }

    /// Wants signs of life, or no longer.
    pub fn heartbeat(&mut self, peer: Peer, wanted: bool) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.heartbeat = wanted;
        }
    }

    /// Who hears a feed, and with what each asked for it.
    pub fn hearers(&self, futures: bool, feed: &str, of: &str) -> Vec<(Peer, u64)> {
        let key = (futures, (feed.to_owned(), of.to_owned()));
        self.by_topic.get(&key).into_iter().flatten().map(|(peer, with)| (*peer, *with)).collect()
    }

    pub fn send(&mut self, peer: Peer, frame: String, now: Ts, out: &mut Vec<SimAction>) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.sent = now;
            out.push(SimAction::Send { peer, bytes: frame.into_bytes(), binary: false });
        }
    }

    /// Sends a frame to everybody who hears a feed.
    pub fn push(
        &mut self,
        (futures, feed, of): (bool, &str, &str),
        frame: impl FnOnce() -> String,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let hearers = self.hearers(futures, feed, of);
        if hearers.is_empty() {
            return;
        }
        let frame = frame();
        for (peer, _) in hearers {
            self.send(peer, frame.clone(), now, out);
        }
    }

    /// Who is due a sign of life.
    pub fn quiet(&self, now: Ts) -> Vec<(Peer, Way)> {
        let due = |c: &Client| match c.way {
            Way::Futures => c.heartbeat && now.as_ms() % HEARTBEAT_MS < 100,
            Way::Spot | Way::Old => !c.subs.is_empty() && now.ms_since(c.sent) >= HEARTBEAT_MS,
        };
        self.clients.iter().filter(|(_, c)| due(c)).map(|(peer, c)| (*peer, c.way)).collect()
    }

    /// Who is to be pinged.
    pub fn pings(&mut self, every_ms: Option<u64>, now: Ts) -> Vec<(Peer, Vec<u8>)> {
        let Some(every_ms) = every_ms else { return Vec::new() };
        let mut due = Vec::new();
        for (peer, client) in &mut self.clients {
            if now >= client.pinged.plus_ms(every_ms) {
                client.pinged = now;
                due.push((*peer, now.as_ms().to_string().into_bytes()));
            }
        }
        due
    }

    /// Whose connection is over, and why.
    pub fn over(&self, lifetime_ms: Option<u64>, now: Ts) -> Vec<(Peer, &'static str)> {
        let reason = |c: &Client| {
            if lifetime_ms.is_some_and(|ms| now >= c.opened.plus_ms(ms)) {
                Some("service restart")
            } else {
                (c.subs.is_empty() && now.ms_since(c.heard) >= IDLE_MS).then_some("inactivity")
            }
        };
        self.clients.iter().filter_map(|(peer, c)| Some((*peer, reason(c)?))).collect()
    }
}

/// `{"channel":"status","type":"update","data":[…]}`
pub fn status(system: &str, number: u64) -> String {
    format!(
        r#"{{"channel":"status","type":"update","data":[{{"api_version":"v2","connection_id":{number},"system":"{system}","version":"2.0.10"}}]}}"#
    )
}

impl KrakenSim {
    pub(super) fn opened(
        &mut self,
        peer: Peer,
        endpoint: usize,
        path: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let path = path.split('?').next().unwrap_or_default();
        let way = match (endpoint, path) {
            (crate::SPOT, SPOT_PATH) => Some(Way::Spot),
            (crate::SPOT, "" | "/") if self.tape => Some(Way::Old),
            (crate::FUTURES, FUTURES_PATH) => Some(Way::Futures),
            _ => None,
        };
        self.peers.opens.retain(|at| now.ms_since(*at) < CONNECTS_MS);
        let refused = match way {
            None => Some("404"),
            Some(_) if self.peers.opens.len() >= CONNECTS_MAX => Some("429 too many connections"),
            Some(_) => None,
        };
        let (Some(way), None) = (way, refused) else {
            let reason = refused.unwrap_or_default().to_owned();
            out.push(SimAction::Close { peer, code: 0, reason });
            return;
        };
        self.peers.opens.push(now);
        let client = Client {
            way,
            opened: now,
            sent: now,
            heard: now,
            pinged: now,
            heartbeat: false,
            subs: BTreeMap::new(),
        };
        self.peers.clients.insert(peer, client);
        let number = self.peers.number(peer);
        let hello = match way {
            Way::Spot => status("online", number),
            Way::Old => {
                format!(
                    r#"{{"connectionID":{number},"event":"systemStatus","status":"online","version":"1.9.6"}}"#
                )
            }
            Way::Futures => r#"{"event":"info","version":1}"#.to_owned(),
        };
        self.peers.send(peer, hello, now, out);
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        client.heard = now;
        let way = client.way;
        if bytes.len() > FRAME_BYTES_MAX {
            return self.close(peer, 1009, "frame too large", out);
        }
        let request = serde_json::from_slice::<serde_json::Value>(bytes).ok();
        match way {
            Way::Spot => self.pair_request(peer, request.as_ref(), now, out),
            Way::Futures => self.contract_request(peer, request.as_ref(), now, out),
            Way::Old => self.old_request(peer, request.as_ref(), now, out),
        }
    }

    /// Whether this subscription is one of those that are to be refused.
    pub(super) fn refuses(&mut self) -> bool {
        let is = self.refuse > 0;
        self.refuse = self.refuse.saturating_sub(1);
        is
    }
}
