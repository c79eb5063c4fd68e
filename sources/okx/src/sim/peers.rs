//! Clients of the simulated venue: connections, requests, acknowledgements.

use super::{OkxSim, tape};
use crate::parse::Kind;
use crate::subscribe::{BUSINESS, PUBLIC};
use model::Ts;
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// How many requests a connection may make in an hour.
const REQUESTS_MAX: u32 = 480;
const HOUR_MS: i64 = 3_600_000;
/// How many connections may be opened in a second.
const CONNECTS_MAX: usize = 3;
/// A connection that was sent nothing for so long is closed.
const SILENCE_MS: i64 = 30_000;
/// How long before the end of a connection it is told.
const NOTICE_MS: u64 = 60_000;
/// The largest frame that is taken.
const FRAME_BYTES_MAX: usize = 65_536;

/// What an argument is of is named by the first of these that it has.
const FIELDS: [&str; 3] = ["instId", "instType", "instFamily"];

/// A channel and what it is of.
pub(super) type Topic = (String, String);

struct Client {
    path: String,
    opened: Ts,
    noticed: bool,
    sent: Ts,
    topics: BTreeSet<Topic>,
    hour: (Ts, u32),
}

/// All connections.
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    /// By channel and what it is of.
    by_topic: BTreeMap<String, BTreeMap<String, BTreeSet<Peer>>>,
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
            for topic in &client.topics {
                self.unlink(topic, peer);
            }
        }
    }

    fn unlink(&mut self, (channel, of): &Topic, peer: Peer) {
        let Some(by) = self.by_topic.get_mut(channel) else { return };
        let Some(peers) = by.get_mut(of) else { return };
        peers.remove(&peer);
        if peers.is_empty() {
            by.remove(of);
        }
    }

    /// `connId`
    pub fn name(&self, peer: Peer) -> String {
        format!("{:08x}", (self.seed ^ peer.0.wrapping_mul(0x9e37_79b9)) & 0xffff_ffff)
    }

    /// Whether anybody hears this.
    pub fn heard(&self, channel: &str, of: &str) -> bool {
        self.by_topic.get(channel).is_some_and(|by| by.contains_key(of))
    }

    pub fn send(&mut self, peer: Peer, bytes: Vec<u8>, now: Ts, out: &mut Vec<SimAction>) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.sent = now;
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Sends a frame to everybody who hears it.
    pub fn push(&mut self, channel: &str, of: &str, frame: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(peers) = self.by_topic.get(channel).and_then(|by| by.get(of)) else { return };
        for peer in peers.clone() {
            self.send(peer, frame.to_vec(), now, out);
        }
    }
}

impl OkxSim {
    pub(super) fn opened(
        &mut self,
        peer: Peer,
        endpoint: usize,
        path: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let path = path.split('?').next().unwrap_or_default();
        let known = [PUBLIC, BUSINESS, "/ws/v5/private"].contains(&path);
        self.peers.opens.retain(|at| now.ms_since(*at) < 1_000);
        let refused = match () {
            () if endpoint != 0 || !known => Some("404"),
            () if self.peers.opens.len() >= CONNECTS_MAX => Some("429 too many connections"),
            () => None,
        };
        if let Some(reason) = refused {
            out.push(SimAction::Close { peer, code: 0, reason: reason.to_owned() });
            return;
        }
        self.peers.opens.push(now);
        let client = Client {
            path: path.to_owned(),
            opened: now,
            noticed: false,
            sent: now,
            topics: BTreeSet::new(),
            hour: (now, 0),
        };
        self.peers.clients.insert(peer, client);
    }

    /// Connections whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let (mut silent, mut told, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for (peer, client) in &mut self.peers.clients {
            // What a recording sends is not seen here.
            if now.ms_since(client.sent) >= SILENCE_MS && !self.tape {
                silent.push(*peer);
                continue;
            }
            let Some(lifetime) = self.lifetime_ms else { continue };
            if now >= client.opened.plus_ms(lifetime) {
                over.push(*peer);
            } else if !client.noticed && now >= client.opened.plus_ms(lifetime - NOTICE_MS.min(lifetime / 2))
            {
                client.noticed = true;
                told.push(*peer);
            }
        }
        for peer in silent {
            self.close(peer, 4004, "No data received in 30s", out);
        }
        for peer in told {
            self.notice(peer, now, out);
        }
        for peer in over {
            self.close(peer, 1001, "service upgrade", out);
        }
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        if bytes == b"ping" {
            self.peers.send(peer, b"pong".to_vec(), now, out);
            return;
        }
        if bytes.len() > FRAME_BYTES_MAX {
            self.close(peer, 1009, "request frame too long", out);
            return;
        }
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        if now.ms_since(client.hour.0) >= HOUR_MS {
            client.hour = (now, 0);
        }
        client.hour.1 += 1;
        let too_many = client.hour.1 > REQUESTS_MAX;
        let Ok(request) = serde_json::from_slice::<Value>(bytes) else {
            let words = format!("Invalid request: {}", String::from_utf8_lossy(bytes).escape_default());
            return self.complain(peer, "", "60012", &words, now, out);
        };
        let id = request.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let args = request.get("args").and_then(Value::as_array).filter(|args| !args.is_empty());
        match (request.get("op").and_then(Value::as_str), args) {
            _ if too_many => self.complain(peer, &id, "60014", "Requests too frequent", now, out),
            (Some("subscribe"), Some(args)) => {
                for arg in args {
                    self.subscribe(peer, &id, arg, now, out);
                }
            }
            (Some("unsubscribe"), Some(args)) => {
                for arg in args {
                    self.unsubscribe(peer, &id, arg, now, out);
                }
            }
            (Some("subscribe" | "unsubscribe"), None) => {
                self.complain(peer, &id, "60012", "Invalid request: args", now, out);
            }
            (op, _) => {
                let words = format!("Invalid op: {}", op.unwrap_or_default().escape_default());
                self.complain(peer, &id, "60019", &words, now, out);
            }
        }
    }

    fn complain(&mut self, peer: Peer, id: &str, code: &str, words: &str, now: Ts, out: &mut Vec<SimAction>) {
        let mut frame = serde_json::json!({
            "event": "error", "code": code, "msg": words, "connId": self.peers.name(peer),
        });
        if let (false, Some(map)) = (id.is_empty(), frame.as_object_mut()) {
            map.insert("id".to_owned(), id.into());
        }
        self.peers.send(peer, frame.to_string().into_bytes(), now, out);
    }

    /// `{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}`
    fn acknowledge(
        &mut self,
        peer: Peer,
        (id, event): (&str, &str),
        arg: &Value,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let id = if id.is_empty() { String::new() } else { format!(r#""id":"{id}","#) };
        let name = self.peers.name(peer);
        let text = format!(r#"{{{id}"event":"{event}","arg":{arg},"connId":"{name}"}}"#);
        self.peers.send(peer, text.into_bytes(), now, out);
    }

    fn subscribe(&mut self, peer: Peer, id: &str, arg: &Value, now: Ts, out: &mut Vec<SimAction>) {
        let Some((channel, of)) = topic(arg) else {
            return self.complain(peer, id, "60013", "Invalid args", now, out);
        };
        let refused = if self.refuse > 0 {
            self.refuse -= 1;
            Some("60018")
        } else {
            self.peers.clients.get(&peer).and_then(|c| self.fault(&c.path, &channel, &of))
        };
        if let Some(code) = refused {
            let field = FIELDS.into_iter().find(|field| arg.get(field).is_some()).unwrap_or_default();
            let words = format!(
                "Wrong URL or channel:{channel},{field}:{of} doesn't exist. Please use the correct URL, channel and parameters referring to API document."
            );
            return self.complain(peer, id, code, &words, now, out);
        }
        self.acknowledge(peer, (id, "subscribe"), arg, now, out);
        if let Some(client) = self.peers.clients.get_mut(&peer) {
            client.topics.insert((channel.clone(), of.clone()));
            let by = self.peers.by_topic.entry(channel.clone()).or_default();
            by.entry(of.clone()).or_default().insert(peer);
        }
        if self.tape {
            out.push(SimAction::Joined { peer, key: tape::key(&channel, &of) });
        } else {
            self.first(peer, &channel, &of, now, out);
        }
    }

    fn unsubscribe(&mut self, peer: Peer, id: &str, arg: &Value, now: Ts, out: &mut Vec<SimAction>) {
        let Some(topic) = topic(arg) else {
            return self.complain(peer, id, "60013", "Invalid args", now, out);
        };
        if let Some(client) = self.peers.clients.get_mut(&peer) {
            client.topics.remove(&topic);
            self.peers.unlink(&topic, peer);
        }
        self.acknowledge(peer, (id, "unsubscribe"), arg, now, out);
        if self.tape {
            let (channel, of) = &topic;
            out.push(SimAction::Left { peer, key: tape::key(channel, of) });
        }
    }

    /// Why this channel cannot be had on that path.
    fn fault(&self, path: &str, channel: &str, of: &str) -> Option<&'static str> {
        let kind = Kind::of(channel.as_bytes());
        if matches!(kind, Kind::Book(_)) && channel != "books" {
            return Some("60011");
        }
        let offered = match kind {
            _ if self.tape => kind != Kind::Other,
            Kind::Liquidations | Kind::Instruments => !self.world.of_type(of).is_empty(),
            Kind::Greeks => !self.world.options(of).is_empty(),
            Kind::IndexPrice => self.world.index(of).is_some(),
            Kind::Bars => {
                let word = channel.strip_prefix("candle").unwrap_or_default();
                self.world.place(of).is_some() && super::bars::length_ms(word).is_some()
            }
            Kind::Funding => of.ends_with("-SWAP") && self.world.place(of).is_some(),
            Kind::Trades if channel != "trades" => false,
            Kind::Other => false,
            _ => self.world.place(of).is_some(),
        };
        let business = kind == Kind::Bars || channel == "trades-all";
        match path {
            PUBLIC if business => Some("64001"),
            BUSINESS if !business => Some("64002"),
            PUBLIC | BUSINESS => (!offered).then_some("60018"),
            _ => Some("60011"),
        }
    }
}

fn topic(arg: &Value) -> Option<Topic> {
    let text = |key: &str| arg.get(key).and_then(Value::as_str);
    let of = FIELDS.into_iter().find_map(text)?;
    Some((text("channel")?.to_owned(), of.to_owned()))
}
