//! Clients of the simulated venue: connections, requests, acknowledgements.

use super::BybitSim;
use crate::product::Product;
use crate::topic::{Kind, Topic};
use model::Ts;
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// A connection whose client did not say for so long that it is there is closed.
const SILENCE_MS: i64 = 600_000;
/// How many connections may be opened in the time below.
const CONNECTS_MAX: usize = 500;
const CONNECTS_MS: i64 = 300_000;
/// How many characters all topics of a connection may have.
const CHARS_MAX: usize = 21_000;
/// How many topics a request may name in spot.
const ARGS_MAX: usize = 10;
/// How many topics of options a connection may have.
const OPTION_ARGS_MAX: usize = 2_000;

struct Client {
    product: Product,
    opened: Ts,
    /// When it said last that it is there.
    alive: Ts,
    topics: BTreeSet<String>,
}

/// All connections.
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    by_topic: BTreeMap<(Product, String), BTreeSet<Peer>>,
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

    pub fn forget(&mut self, peer: Peer) {
        if let Some(client) = self.clients.remove(&peer) {
            for topic in client.topics {
                self.unlink(client.product, topic, peer);
            }
        }
    }

    fn unlink(&mut self, product: Product, topic: String, peer: Peer) {
        let key = (product, topic);
        if let Some(peers) = self.by_topic.get_mut(&key) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.by_topic.remove(&key);
            }
        }
    }

    /// `conn_id`
    fn name(&self, peer: Peer) -> String {
        format!("{:016x}", self.seed ^ peer.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Whether anybody hears this.
    pub fn heard(&self, product: Product, topic: &str) -> bool {
        !self.by_topic.is_empty() && self.by_topic.contains_key(&(product, topic.to_owned()))
    }

    /// Whether anybody else hears this.
    pub fn heard_by_another(&self, product: Product, topic: &str, peer: Peer) -> bool {
        let peers = self.by_topic.get(&(product, topic.to_owned()));
        peers.is_some_and(|peers| peers.iter().any(|p| *p != peer))
    }

    pub fn send(&self, peer: Peer, bytes: Vec<u8>, out: &mut Vec<SimAction>) {
        if self.clients.contains_key(&peer) {
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Sends a frame to everybody who hears it.
    pub fn push(&self, product: Product, topic: &str, frame: &[u8], out: &mut Vec<SimAction>) {
        for peer in self.by_topic.get(&(product, topic.to_owned())).into_iter().flatten() {
            out.push(SimAction::Send { peer: *peer, bytes: frame.to_vec(), binary: false });
        }
    }
}

/// A request of a client.
struct Asked {
    product: Product,
    id: String,
    args: Vec<String>,
}

impl BybitSim {
    pub(super) fn opened(&mut self, peer: Peer, path: &str, now: Ts, out: &mut Vec<SimAction>) {
        self.peers.opens.retain(|at| now.ms_since(*at) < CONNECTS_MS);
        let full = self.peers.opens.len() >= CONNECTS_MAX;
        // All products are on one host: the path alone tells which is meant.
        let (Some(product), false) = (Product::of_url(path), full) else {
            let reason = if full { "403 too many connections" } else { "404" };
            out.push(SimAction::Close { peer, code: 0, reason: reason.to_owned() });
            return;
        };
        self.peers.opens.push(now);
        let client = Client { product, opened: now, alive: now, topics: BTreeSet::new() };
        self.peers.clients.insert(peer, client);
    }

    /// Connections whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let lifetime = self.lifetime_ms;
        let over = |c: &Client| lifetime.is_some_and(|ms| now >= c.opened.plus_ms(ms));
        let silent = |c: &Client| now.ms_since(c.alive) >= SILENCE_MS;
        let gone = self.peers.clients.iter().filter(|(_, c)| over(c) || silent(c));
        for peer in gone.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.close(peer, 1001, "going away", out);
        }
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        let product = client.product;
        let Ok(request) = serde_json::from_slice::<Value>(bytes) else {
            return self.answer_op(peer, (product, ""), "", Some("error:Invalid request,bad JSON"), out);
        };
        let text = |key: &str| match request.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (op, id) = (text("op"), text("req_id"));
        let args = request.get("args").and_then(Value::as_array).into_iter().flatten();
        let args: Vec<String> = args.filter_map(Value::as_str).map(str::to_owned).collect();
        match op.as_str() {
            "ping" => {
                client.alive = now;
                self.pong(peer, product, &id, now, out);
            }
            "subscribe" if !args.is_empty() => self.subscribe(peer, Asked { product, id, args }, now, out),
            "unsubscribe" if !args.is_empty() => self.unsubscribe(peer, Asked { product, id, args }, out),
            _ => {
                let words = format!("error:Invalid op or args,{}", op.escape_default());
                self.answer_op(peer, (product, &op), &id, Some(&words), out);
            }
        }
    }

    fn pong(&mut self, peer: Peer, product: Product, id: &str, now: Ts, out: &mut Vec<SimAction>) {
        let name = self.peers.name(peer);
        let id = if id.is_empty() { String::new() } else { format!(r#""req_id":{},"#, Value::from(id)) };
        let text = match product {
            Product::Option => format!(r#"{{"args":["{}"],"op":"pong"}}"#, now.as_ms()),
            Product::Spot => format!(r#"{{"success":true,"ret_msg":"pong","conn_id":"{name}","op":"ping"}}"#),
            _ => format!(r#"{{"success":true,"ret_msg":"pong","conn_id":"{name}",{id}"op":"ping"}}"#),
        };
        self.peers.send(peer, text.into_bytes(), out);
    }

    /// `{"success":true,"ret_msg":"subscribe","conn_id":"c1","req_id":"r1","op":"subscribe"}`
    fn answer_op(
        &mut self,
        peer: Peer,
        (product, op): (Product, &str),
        id: &str,
        fault: Option<&str>,
        out: &mut Vec<SimAction>,
    ) {
        let words = match (fault, product) {
            (Some(words), _) => words,
            (None, Product::Spot) => op,
            (None, _) => "",
        };
        let (success, words, id) = (fault.is_none(), Value::from(words), Value::from(id));
        let (name, op) = (self.peers.name(peer), Value::from(op));
        let text = format!(
            r#"{{"success":{success},"ret_msg":{words},"conn_id":"{name}","req_id":{id},"op":{op}}}"#
        );
        self.peers.send(peer, text.into_bytes(), out);
    }

    /// `{"success":true,"conn_id":"c1","data":{"failTopics":[],"successTopics":["orderbook.25.BTC-26DEC25-100000-C-USDT"]},"type":"COMMAND_RESP"}`
    fn answer_option(&mut self, peer: Peer, done: &[String], failed: &[String], out: &mut Vec<SimAction>) {
        let name = self.peers.name(peer);
        let (success, done, failed) = (failed.is_empty(), Value::from(done), Value::from(failed));
        let text = format!(
            r#"{{"success":{success},"conn_id":"{name}","data":{{"failTopics":{failed},"successTopics":{done}}},"type":"COMMAND_RESP"}}"#
        );
        self.peers.send(peer, text.into_bytes(), out);
    }

    fn subscribe(&mut self, peer: Peer, asked: Asked, now: Ts, out: &mut Vec<SimAction>) {
        let Asked { product, id, args } = asked;
        let faults: Vec<Option<String>> =
            args.iter().map(|topic| self.fault(peer, product, topic).map(str::to_owned)).collect();
        let bad = |n: usize| faults.get(n).is_some_and(Option::is_some);
        if product == Product::Option {
            let (failed, done): (Vec<_>, Vec<_>) = args.iter().enumerate().partition(|(n, _)| bad(*n));
            let names =
                |all: Vec<(usize, &String)>| all.into_iter().map(|(_, t)| t.clone()).collect::<Vec<_>>();
            let (failed, done) = (names(failed), names(done));
            return self.join(peer, product, &done, now, out, |sim, out| {
                sim.answer_option(peer, &done, &failed, out);
            });
        }
        let mut first = faults
            .iter()
            .zip(&args)
            .find_map(|(fault, topic)| fault.as_ref().map(|words| format!("error:{words},topic:{topic}")));
        if product == Product::Spot && args.len() > ARGS_MAX {
            first = Some("error:args size >10".to_owned());
        }
        if let Some(words) = first {
            return self.answer_op(peer, (product, "subscribe"), &id, Some(&words), out);
        }
        self.join(peer, product, &args, now, out, |sim, out| {
            sim.answer_op(peer, (product, "subscribe"), &id, None, out);
        });
    }

    /// Adds a client to topics, sends what comes first on them, and acknowledges before or after that.
    fn join(
        &mut self,
        peer: Peer,
        product: Product,
        topics: &[String],
        now: Ts,
        out: &mut Vec<SimAction>,
        acknowledge: impl FnOnce(&mut Self, &mut Vec<SimAction>),
    ) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        for topic in topics {
            client.topics.insert(topic.clone());
            self.peers.by_topic.entry((product, topic.clone())).or_default().insert(peer);
        }
        if self.tape {
            acknowledge(self, out);
            out.extend(topics.iter().map(|key| SimAction::Joined { peer, key: key.clone() }));
            return;
        }
        let mut first = Vec::new();
        for topic in topics {
            self.first(peer, product, topic, now, &mut first);
        }
        if self.early {
            out.append(&mut first);
        }
        acknowledge(self, out);
        out.append(&mut first);
    }

    fn unsubscribe(&mut self, peer: Peer, asked: Asked, out: &mut Vec<SimAction>) {
        let Asked { product, id, args } = asked;
        for topic in &args {
            if let Some(client) = self.peers.clients.get_mut(&peer) {
                client.topics.remove(topic);
            }
            self.peers.unlink(product, topic.clone(), peer);
        }
        if product == Product::Option {
            self.answer_option(peer, &args, &[], out);
        } else {
            self.answer_op(peer, (product, "unsubscribe"), &id, None, out);
        }
        if self.tape {
            out.extend(args.into_iter().map(|key| SimAction::Left { peer, key }));
        }
    }

    /// Why a topic cannot be had.
    fn fault(&mut self, peer: Peer, product: Product, text: &str) -> Option<&'static str> {
        let client = self.peers.clients.get(&peer)?;
        let chars: usize = client.topics.iter().map(String::len).sum();
        if client.topics.contains(text) {
            return Some("already subscribed");
        }
        let many = product == Product::Option && client.topics.len() >= OPTION_ARGS_MAX;
        if chars + text.len() > CHARS_MAX || many {
            return Some("topics of the connection are too long");
        }
        if self.refuse > 0 {
            self.refuse -= 1;
            return Some("handler not found");
        }
        let topic = Topic::parse(text.as_bytes());
        let contract = matches!(product, Product::Linear | Product::Inverse);
        let offered = match topic.kind {
            Kind::Trades | Kind::Tickers => true,
            Kind::Book(depth) if product == Product::Option => matches!(depth, 25 | 100),
            Kind::Book(depth) => matches!(depth, 1 | 50 | 200 | 1_000),
            Kind::Bars(_) => product != Product::Option,
            Kind::Liquidations => contract && text.starts_with("allLiquidation."),
            Kind::Old(_) | Kind::Other => false,
        };
        if self.tape {
            // Recordings may hold topics that the venue has retired.
            return topic.of.is_empty().then_some("handler not found");
        }
        let of = String::from_utf8_lossy(topic.of);
        let known = if product == Product::Option && topic.kind == Kind::Trades {
            self.world.rows.iter().any(|(p, coin, _)| *p == product && *coin == of)
        } else {
            self.world.place(product, &of).is_some()
        };
        (!(offered && known)).then_some("handler not found")
    }
}
