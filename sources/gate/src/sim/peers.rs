//! Clients of the simulated venue: connections, requests, acknowledgements.

use super::GateSim;
use crate::parse::Kind;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::Ts;
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// A connection without a subscription that said nothing for so long is closed.
const IDLE_MS: i64 = 30_500;
/// A connection that answered no ping for so long is closed.
const PONG_MS: i64 = 60_000;
/// How far a request's time may be off, in seconds.
const CLOCK_S: i64 = 60;

struct Client {
    product: Product,
    opened: Ts,
    said: Ts,
    ponged: Ts,
    pinged: Ts,
    /// As in [`key`].
    topics: BTreeSet<String>,
}

/// All connections.
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    by_topic: BTreeMap<String, BTreeSet<Peer>>,
    seed: u64,
    traces: u64,
}

/// The name of a subscription.
pub(super) fn key(channel: &str, of: &str) -> String {
    format!("{channel}|{of}")
}

/// The name of a subscription in front of a recording, where a frame does not tell speed and depth.
pub(super) fn tape_key(channel: &str, of: &str) -> String {
    let channel = if channel == "futures.liquidates" { "futures.public_liquidates" } else { channel };
    key(channel, of.split(':').next().unwrap_or(of))
}

impl Peers {
    pub const fn new(seed: u64) -> Self {
        Self { clients: BTreeMap::new(), by_topic: BTreeMap::new(), seed, traces: 0 }
    }

    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn forget(&mut self, peer: Peer) {
        if let Some(client) = self.clients.remove(&peer) {
            for topic in &client.topics {
                self.unlink(topic, peer);
            }
        }
    }

    fn unlink(&mut self, topic: &str, peer: Peer) {
        let Some(peers) = self.by_topic.get_mut(topic) else { return };
        peers.remove(&peer);
        if peers.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    pub fn ponged(&mut self, peer: Peer, now: Ts) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.ponged = now;
        }
    }

    /// Whether anybody hears this.
    pub fn hears(&self, channel: &str, of: &str) -> bool {
        self.by_topic.contains_key(&key(channel, of))
    }

    /// What is heard of a channel under names that begin so.
    pub fn heard(&self, channel: &str, begin: &str) -> Vec<String> {
        let from = key(channel, begin);
        let name = |full: &String| full.get(channel.len() + 1..).unwrap_or_default().to_owned();
        self.by_topic
            .range(from.clone()..)
            .take_while(|(k, _)| k.starts_with(&from))
            .map(|(k, _)| name(k))
            .collect()
    }

    pub fn send(&mut self, peer: Peer, bytes: Vec<u8>, out: &mut Vec<SimAction>) {
        if self.clients.contains_key(&peer) {
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Sends a frame to everybody who hears it.
    pub fn push(&mut self, channel: &str, of: &str, frame: &[u8], out: &mut Vec<SimAction>) {
        let Some(peers) = self.by_topic.get(&key(channel, of)) else { return };
        out.extend(peers.iter().map(|peer| SimAction::Send {
            peer: *peer,
            bytes: frame.to_vec(),
            binary: false,
        }));
    }
}

/// A request.
struct Asked {
    id: Option<i64>,
    channel: String,
    event: String,
    payload: Vec<String>,
}

impl GateSim {
    pub(super) fn opened(&mut self, peer: Peer, path: &str, now: Ts, out: &mut Vec<SimAction>) {
        let Some(product) = Product::of_path(path) else {
            out.push(SimAction::Close { peer, code: 0, reason: "404".to_owned() });
            return;
        };
        let (opened, said, ponged, pinged) = (now, now, now, now);
        let client = Client { product, opened, said, ponged, pinged, topics: BTreeSet::new() };
        self.peers.clients.insert(peer, client);
    }

    /// Connections whose time has come, and pings.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let (mut dead, mut over) = (Vec::new(), Vec::new());
        for (peer, client) in &mut self.peers.clients {
            let idle = client.topics.is_empty() && now.ms_since(client.said) >= IDLE_MS;
            if idle || now.ms_since(client.ponged) >= PONG_MS.max(3 * self.ping_ms.cast_signed()) {
                dead.push(*peer);
            } else if self.lifetime_ms.is_some_and(|ms| now >= client.opened.plus_ms(ms)) {
                over.push(*peer);
            } else if now.ms_since(client.pinged) >= self.ping_ms.cast_signed() {
                client.pinged = now;
                out.push(SimAction::Ping { peer: *peer, payload: Vec::new() });
            }
        }
        for peer in dead {
            self.close(peer, 0, "idle", out);
        }
        for peer in over {
            self.dismiss(peer, out);
        }
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        client.said = now;
        let product = client.product;
        let request: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let word = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let texts = |v: &Value| match v {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let payload = request.get("payload").and_then(Value::as_array);
        let asked = Asked {
            id: request.get("id").and_then(Value::as_i64),
            channel: word("channel"),
            event: word("event"),
            payload: payload.map(|all| all.iter().filter_map(texts).collect()).unwrap_or_default(),
        };
        if !request.is_object() || asked.channel.is_empty() {
            return self.reply(peer, &asked, Some((1, "invalid request body")), now, out);
        }
        if asked.channel == format!("{}.ping", product.prefix()) {
            let (s, ms) = (now.as_ms().div_euclid(1_000), now.as_ms());
            let frame = format!(
                r#"{{"time":{s},"time_ms":{ms},"channel":"{}.pong","event":"","error":null,"result":null}}"#,
                product.prefix()
            );
            return self.peers.send(peer, frame.into_bytes(), out);
        }
        let time = request.get("time").and_then(Value::as_i64).unwrap_or_default();
        if (time - now.as_ms().div_euclid(1_000)).abs() > CLOCK_S {
            return self.reply(
                peer,
                &asked,
                Some((2, "request time is too far from the server's")),
                now,
                out,
            );
        }
        match asked.event.as_str() {
            "subscribe" => self.subscribe(peer, product, &asked, now, out),
            "unsubscribe" => self.unsubscribe(peer, &asked, now, out),
            _ => self.reply(peer, &asked, Some((2, "unknown event")), now, out),
        }
    }

    /// An acknowledgement, or why not.
    fn reply(
        &mut self,
        peer: Peer,
        asked: &Asked,
        fault: Option<(u8, &str)>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        self.peers.traces += 1;
        let (s, ms) = (now.as_ms().div_euclid(1_000), now.as_ms());
        let id = asked.id.map_or(String::new(), |id| format!(r#""id":{id},"#));
        let text = |word: &String| serde_json::to_string(word).unwrap_or_default();
        let payload: Vec<String> = asked.payload.iter().map(text).collect();
        let (error, status) = match fault {
            None => ("null".to_owned(), "success"),
            Some((code, words)) => (format!(r#"{{"code":{code},"message":"{words}"}}"#), "fail"),
        };
        let (conn, trace) = (self.peers.seed ^ peer.0, self.peers.traces);
        let frame = format!(
            r#"{{"time":{s},"time_ms":{ms},{id}"conn_id":"{conn:x}","trace_id":"{trace:032x}","channel":{},"event":{},"payload":[{}],"error":{error},"result":{{"status":"{status}"}}}}"#,
            text(&asked.channel),
            text(&asked.event),
            payload.join(",")
        );
        self.peers.send(peer, frame.into_bytes(), out);
    }

    fn subscribe(&mut self, peer: Peer, product: Product, asked: &Asked, now: Ts, out: &mut Vec<SimAction>) {
        if self.refuse > 0 {
            self.refuse -= 1;
            return self.reply(peer, asked, Some((3, "server error")), now, out);
        }
        let topics = match self.topics(product, asked) {
            Ok(topics) => topics,
            Err(words) => return self.reply(peer, asked, Some((2, words)), now, out),
        };
        let pushed = matches!(Kind::of(asked.channel.as_bytes()), Some((_, Kind::Pushed)));
        let held = |of: &String| {
            let name = key(&asked.channel, of);
            self.peers.clients.get(&peer).is_some_and(|c| c.topics.contains(&name))
        };
        if pushed && topics.iter().any(held) {
            let words = format!("Alert sub {}", topics.join(","));
            return self.reply(peer, asked, Some((2, words.as_str())), now, out);
        }
        let eager = pushed && self.quirks.eager && !self.tape;
        if !eager {
            self.reply(peer, asked, None, now, out);
        }
        for of in &topics {
            let name = key(&asked.channel, of);
            if let Some(client) = self.peers.clients.get_mut(&peer) {
                client.topics.insert(name.clone());
            }
            if self.tape {
                out.push(SimAction::Joined { peer, key: tape_key(&asked.channel, of) });
            } else {
                self.peers.by_topic.entry(name).or_default().insert(peer);
                self.first(peer, product, &asked.channel, of, now, out);
            }
        }
        if eager {
            self.reply(peer, asked, None, now, out);
        }
    }

    fn unsubscribe(&mut self, peer: Peer, asked: &Asked, now: Ts, out: &mut Vec<SimAction>) {
        let kind = Kind::of(asked.channel.as_bytes()).map_or(Kind::Other, |(_, kind)| kind);
        for of in names(kind, &asked.payload) {
            let name = key(&asked.channel, &of);
            let Some(client) = self.peers.clients.get_mut(&peer) else { return };
            if client.topics.remove(&name) {
                self.peers.unlink(&name, peer);
                if self.tape {
                    out.push(SimAction::Left { peer, key: tape_key(&asked.channel, &of) });
                }
            }
        }
        self.reply(peer, asked, None, now, out);
    }

    /// What a request subscribes to, or why it cannot be had.
    fn topics(&self, product: Product, asked: &Asked) -> Result<Vec<String>, &'static str> {
        let spot = product == Product::Spot;
        let kind = match Kind::of(asked.channel.as_bytes()) {
            Some((is_spot, kind)) if is_spot == spot => kind,
            _ => return Err("unknown channel"),
        };
        let names = names(kind, &asked.payload);
        if names.is_empty() || matches!(kind, Kind::Other | Kind::Pong) {
            return Err("invalid channel or payload");
        }
        let known = |symbol: &str| self.tape || self.world.place(product, symbol).is_some();
        let word = |at: usize| asked.payload.get(at).map_or("", String::as_str);
        let fine = match kind {
            // A pushed book that does not exist is acknowledged and stays silent.
            Kind::Pushed => true,
            Kind::Bars => INTERVALS.iter().any(|(_, theirs, _)| *theirs == word(0)) && known(word(1)),
            Kind::Update if spot => matches!(word(1), "100ms" | "20ms") && known(word(0)),
            Kind::Update => {
                let depth =
                    matches!((word(1), word(2)), ("20ms", "20" | "") | ("100ms", "20" | "50" | "100" | ""));
                depth && known(word(0))
            }
            Kind::Top if spot => matches!(word(2), "100ms" | "1000ms") && known(word(0)),
            Kind::Top | Kind::Stats => known(word(0)),
            _ => names.iter().all(|name| known(name)),
        };
        if fine { Ok(names) } else { Err("unknown currency pair, contract or argument") }
    }
}

/// The names in a payload: each instrument, or one of several words.
fn names(kind: Kind, payload: &[String]) -> Vec<String> {
    let one = |text: String| if payload.is_empty() { Vec::new() } else { vec![text] };
    match kind {
        Kind::Bars => one(payload.join("_")),
        Kind::Update | Kind::Top | Kind::Stats => one(payload.join(":")),
        _ => payload.to_vec(),
    }
}
