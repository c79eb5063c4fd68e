//! Clients of the simulated venue: connections, requests, acknowledgements.

use super::encode::Name;
use super::{BitgetSim, bars};
use crate::parse::Kind;
use crate::product::Product;
use crate::subscribe::{SECOND, THIRD};
use model::Ts;
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How many topics may be subscribed to in an hour on a connection.
const ASKED_MAX: usize = 240;
const HOUR_MS: i64 = 3_600_000;
/// How many connections may be opened in five minutes, and how many may stay open.
const CONNECTS_MAX: usize = 300;
const CONNECTS_MS: i64 = 300_000;
const OPEN_MAX: usize = 100;
/// A connection that did not ping for so long is dropped, also while it is sent to.
const SILENCE_MS: i64 = 120_000;
/// How long the venue lets a connection live.
const LIFETIME_MS: u64 = 86_400_000;
/// The largest frame that is taken.
const FRAME_BYTES_MAX: usize = 4_096;
/// How many topics a connection may carry.
const TOPICS_MAX: usize = 1_000;
/// How many frames a client may send in a second.
const SENDS_MAX: usize = 10;
/// With so many arguments in a frame v3 closes the connection.
const THIRD_ARGS_MAX: usize = 25;

struct Client {
    third: bool,
    opened: Ts,
    pinged: Ts,
    topics: BTreeSet<String>,
    hour: (Ts, usize),
    sends: Vec<Ts>,
}

/// All connections.
#[derive(Default)]
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    by_topic: BTreeMap<String, BTreeSet<Peer>>,
    opens: Vec<Ts>,
}

impl Peers {
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

    /// Whether anybody hears this.
    pub fn heard(&self, key: &str) -> bool {
        self.by_topic.contains_key(key)
    }

    pub fn send(&self, peer: Peer, bytes: Vec<u8>, out: &mut Vec<SimAction>) {
        if self.clients.contains_key(&peer) {
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Sends a frame to everybody who hears it.
    pub fn push(&self, key: &str, frame: &[u8], out: &mut Vec<SimAction>) {
        for peer in self.by_topic.get(key).into_iter().flatten() {
            out.push(SimAction::Send { peer: *peer, bytes: frame.to_vec(), binary: false });
        }
    }
}

/// Why something is refused: the venue's code and words.
type Refusal = (u32, String);

impl BitgetSim {
    pub(super) fn opened(
        &mut self,
        peer: Peer,
        endpoint: usize,
        path: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let path = path.split('?').next().unwrap_or_default();
        let known = [SECOND, THIRD].contains(&path);
        self.peers.opens.retain(|at| now.ms_since(*at) < CONNECTS_MS);
        let many = self.peers.opens.len() >= CONNECTS_MAX || self.peers.clients.len() >= OPEN_MAX;
        let refused = match () {
            () if endpoint != 0 || !known => Some("404"),
            () if many => Some("429 too many connections"),
            () => None,
        };
        if let Some(reason) = refused {
            out.push(SimAction::Close { peer, code: 0, reason: reason.to_owned() });
            return;
        }
        self.peers.opens.push(now);
        let client = Client {
            third: path == THIRD,
            opened: now,
            pinged: now,
            topics: BTreeSet::new(),
            hour: (now, 0),
            sends: Vec::new(),
        };
        self.peers.clients.insert(peer, client);
    }

    /// Connections whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let lifetime = self.lifetime_ms.unwrap_or(LIFETIME_MS);
        let clients = self.peers.clients.iter();
        let silent = |client: &Client| now.ms_since(client.pinged) >= SILENCE_MS;
        let over = |client: &Client| now >= client.opened.plus_ms(lifetime);
        let ended: Vec<(Peer, bool)> = clients
            .filter(|(_, client)| silent(client) || over(client))
            .map(|(peer, client)| (*peer, silent(client)))
            .collect();
        for (peer, silent) in ended {
            let (code, reason) =
                if silent { (0, "no ping in two minutes") } else { (1001, "24 hours are over") };
            self.close(peer, code, reason, out);
        }
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        client.sends.retain(|at| now.ms_since(*at) < 1_000);
        client.sends.push(now);
        if client.sends.len() > SENDS_MAX {
            return self.close(peer, 1008, "more than 10 messages in a second", out);
        }
        if bytes == b"ping" {
            client.pinged = now;
            return self.peers.send(peer, b"pong".to_vec(), out);
        }
        if bytes.len() > FRAME_BYTES_MAX {
            return self.close(peer, 1009, "frame too large", out);
        }
        let third = client.third;
        let Ok(request) = serde_json::from_slice::<Value>(bytes) else {
            return self.complain(peer, None, "", (30_003, "Illegal request".to_owned()), out);
        };
        let op = request.get("op").and_then(Value::as_str).unwrap_or_default();
        let args = request.get("args").and_then(Value::as_array).filter(|args| !args.is_empty());
        match (op, args) {
            (_, Some(args)) if third && args.len() >= THIRD_ARGS_MAX => {
                self.close(peer, 1008, "too many arguments in a frame", out);
            }
            ("subscribe", Some(args)) => {
                for arg in args {
                    self.subscribe(peer, third, arg, now, out);
                }
            }
            ("unsubscribe", Some(args)) => {
                for arg in args {
                    self.unsubscribe(peer, third, arg, out);
                }
            }
            ("subscribe" | "unsubscribe", None) => {
                self.complain(peer, None, op, (30_016, "Param error".to_owned()), out);
            }
            _ => self.complain(peer, None, op, (30_003, "Illegal op".to_owned()), out),
        }
    }

    /// `{"event":"error","arg":{…},"code":30001,"msg":"…","op":"subscribe"}`
    fn complain(
        &self,
        peer: Peer,
        arg: Option<&Value>,
        op: &str,
        (code, words): Refusal,
        out: &mut Vec<SimAction>,
    ) {
        let mut answer = serde_json::json!({"event": "error", "code": code, "msg": words, "op": op});
        if let (Some(arg), Some(object)) = (arg, answer.as_object_mut()) {
            object.insert("arg".to_owned(), arg.clone());
        }
        self.peers.send(peer, answer.to_string().into_bytes(), out);
    }

    /// One answer for each argument; v3 names the connection too.
    fn acknowledge(&self, peer: Peer, third: bool, event: &str, arg: &Value, out: &mut Vec<SimAction>) {
        let mut answer = format!(r#"{{"event":"{event}","arg":{arg}"#);
        if third {
            let name = (self.seed ^ peer.0.wrapping_mul(0x9e37_79b9)) & 0xffff_ffff;
            let _ = write!(answer, r#","connId":"{name:08x}""#);
        }
        answer.push('}');
        self.peers.send(peer, answer.into_bytes(), out);
    }

    fn subscribe(&mut self, peer: Peer, third: bool, arg: &Value, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        if now.ms_since(client.hour.0) >= HOUR_MS {
            client.hour = (now, 0);
        }
        client.hour.1 += 1;
        if client.hour.1 > ASKED_MAX || client.topics.len() >= TOPICS_MAX {
            let refusal = (30_006, "request too many".to_owned());
            return self.complain(peer, Some(arg), "subscribe", refusal, out);
        }
        let name = match self.name(third, arg) {
            Ok(name) => name,
            Err(refusal) => return self.complain(peer, Some(arg), "subscribe", refusal, out),
        };
        let mut fed = self.tape || self.feeds(&name);
        if self.refuse > 0 {
            self.refuse -= 1;
            // Refused, or acknowledged and never fed, in turn.
            if self.refuse.is_multiple_of(2) {
                return self.complain(peer, Some(arg), "subscribe", missing(arg), out);
            }
            fed = false;
        }
        self.acknowledge(peer, third, "subscribe", arg, out);
        if !fed {
            return;
        }
        let key = name.key();
        if let Some(client) = self.peers.clients.get_mut(&peer) {
            client.topics.insert(key.clone());
        }
        self.peers.by_topic.entry(key.clone()).or_default().insert(peer);
        if self.tape {
            out.push(SimAction::Joined { peer, key });
        } else {
            self.first(peer, &name, now, out);
        }
    }

    fn unsubscribe(&mut self, peer: Peer, third: bool, arg: &Value, out: &mut Vec<SimAction>) {
        let name = match self.name(third, arg) {
            Ok(name) => name,
            Err(refusal) => return self.complain(peer, Some(arg), "unsubscribe", refusal, out),
        };
        let key = name.key();
        let held = self.peers.clients.get_mut(&peer).is_some_and(|client| client.topics.remove(&key));
        self.peers.unlink(&key, peer);
        self.acknowledge(peer, third, "unsubscribe", arg, out);
        if held && self.tape {
            out.push(SimAction::Left { peer, key });
        }
    }

    /// What an argument names, or why the venue does not know it.
    fn name<'v>(&self, third: bool, arg: &'v Value) -> Result<Name<'v>, Refusal> {
        let text = |key: &str| arg.get(key).and_then(Value::as_str).unwrap_or_default();
        let (channel, symbol) =
            if third { (text("topic"), text("symbol")) } else { (text("channel"), text("instId")) };
        let inst_type = text("instType");
        let product = Product::named(inst_type).filter(|p| third || p.inst_type == inst_type);
        let (Some(product), false) = (product, channel.is_empty()) else {
            return Err((30_016, "Param error".to_owned()));
        };
        let name = Name { third, product, channel, symbol, interval: text("interval") };
        let known = match (Kind::of(channel.as_bytes()), channel) {
            (Kind::Other, _) => false,
            (Kind::Liquidations, _) => third && !product.spot() && symbol.is_empty(),
            (Kind::Trades, "publicTrade") | (Kind::Bars, "kline") | (_, "books50") => third,
            (Kind::Trades | Kind::Bars, _) | (_, "books15") => !third,
            _ => true,
        };
        let word = if third { name.interval } else { channel.strip_prefix("candle").unwrap_or_default() };
        let timed = Kind::of(channel.as_bytes()) != Kind::Bars || bars::length_ms(word).is_some();
        let whole = Kind::of(channel.as_bytes()) == Kind::Liquidations;
        if known && timed && (whole || self.tape || self.lists(symbol)) {
            Ok(name)
        } else {
            Err(missing(arg))
        }
    }

    /// Whether any section lists that symbol: a topic of the wrong section is acknowledged and stays silent.
    fn lists(&self, symbol: &str) -> bool {
        self.world.market.listed().iter().any(|l| *l.instrument.symbol == *symbol)
    }

    fn feeds(&self, name: &Name<'_>) -> bool {
        name.symbol.is_empty() || self.world.place(name.product, name.symbol).is_some()
    }
}

/// `instType:SPOT,channel:books,instId:NOSUCH doesn't exist`
fn missing(arg: &Value) -> Refusal {
    let pairs = arg.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}:{}", v.as_str().unwrap_or_default())).collect();
    let rank = |pair: &String| ["instType", "channel", "topic"].iter().position(|k| pair.starts_with(k));
    let mut pairs = pairs;
    pairs.sort_by_key(|pair| rank(pair).unwrap_or(usize::MAX));
    (30_001, format!("{} doesn't exist", pairs.join(",")))
}
