//! Clients of the simulated venue: connections, pings, subscriptions.

use super::HtxSim;
use super::encode::Packer;
use super::socket::Socket;
use crate::topic::{Kind, topic as taken_apart};
use model::Ts;
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// How often the venue pings.
const PING_MS: u64 = 5_000;
/// The venue answers one request for a book in this time.
const REQUEST_MS: i64 = 100;
/// The largest frame that is taken.
const FRAME_BYTES_MAX: usize = 65_536;

struct Client {
    socket: Socket,
    opened: Ts,
    pinged: Ts,
    /// Pings that were not answered.
    waiting: Vec<i64>,
    topics: BTreeSet<String>,
    requested: Option<Ts>,
}

/// All connections.
#[derive(Default)]
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    by_topic: BTreeMap<String, BTreeSet<Peer>>,
    packer: Packer,
}

impl Peers {
    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn forget(&mut self, peer: Peer) {
        let Some(client) = self.clients.remove(&peer) else { return };
        for topic in &client.topics {
            self.unlink(topic, peer);
        }
    }

    fn unlink(&mut self, topic: &str, peer: Peer) -> bool {
        let Some(peers) = self.by_topic.get_mut(topic) else { return false };
        let was = peers.remove(&peer);
        if peers.is_empty() {
            self.by_topic.remove(topic);
        }
        was
    }

    /// Whether anybody hears this.
    pub fn heard(&self, topic: &str) -> bool {
        self.by_topic.contains_key(topic)
    }

    /// What is heard, of which topics begin so.
    pub fn topics(&self, prefix: &str) -> Vec<String> {
        let from = self.by_topic.range(prefix.to_owned()..);
        from.map(|(topic, _)| topic.clone()).take_while(|t| t.starts_with(prefix)).collect()
    }

    pub fn send(&mut self, peer: Peer, text: &str, out: &mut Vec<SimAction>) {
        if self.clients.contains_key(&peer) {
            let bytes = self.packer.pack(text.as_bytes());
            out.push(SimAction::Send { peer, bytes, binary: true });
        }
    }

    /// Sends a frame to everybody who hears it.
    pub fn push(&mut self, topic: &str, text: &str, out: &mut Vec<SimAction>) {
        let Some(peers) = self.by_topic.get(topic) else { return };
        let packed = self.packer.pack(text.as_bytes());
        out.extend(peers.iter().map(|p| SimAction::Send { peer: *p, bytes: packed.clone(), binary: true }));
    }
}

/// `,"id":"x"` as the client wrote it, or nothing.
fn echo(request: &Value, key: &str) -> String {
    request.get(key).map_or_else(String::new, |id| format!(r#""{key}":{id},"#))
}

impl HtxSim {
    pub(super) fn opened(
        &mut self,
        peer: Peer,
        endpoint: usize,
        path: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let path = path.split('?').next().unwrap_or_default();
        let Some(socket) = Socket::of(endpoint, path) else {
            out.push(SimAction::Close { peer, code: 0, reason: "404".to_owned() });
            return;
        };
        let client = Client {
            socket,
            opened: now,
            pinged: now,
            waiting: Vec::new(),
            topics: BTreeSet::new(),
            requested: None,
        };
        self.peers.clients.insert(peer, client);
    }

    /// Pings connections, and ends those that do not answer or whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let every = self.ping_ms.unwrap_or(PING_MS);
        let (mut silent, mut over, mut due) = (Vec::new(), Vec::new(), Vec::new());
        for (peer, client) in &mut self.peers.clients {
            if self.lifetime_ms.is_some_and(|ms| now >= client.opened.plus_ms(ms)) {
                over.push(*peer);
            } else if now >= client.pinged.plus_ms(every) {
                if client.waiting.len() >= client.socket.patience() {
                    silent.push(*peer);
                    continue;
                }
                client.pinged = now;
                client.waiting.push(now.as_ms());
                due.push((*peer, client.socket.notices()));
            }
        }
        for peer in silent {
            self.close(peer, 1003, "ping check expired", out);
        }
        for peer in over {
            self.dismiss(peer, now, out);
        }
        let ms = now.as_ms();
        for (peer, notices) in due {
            let text = if notices {
                format!(r#"{{"op":"ping","ts":"{ms}"}}"#)
            } else {
                format!(r#"{{"ping":{ms}}}"#)
            };
            self.peers.send(peer, &text, out);
        }
    }

    /// Ends a connection; sockets of notifications say so before.
    pub(super) fn dismiss(&mut self, peer: Peer, now: Ts, out: &mut Vec<SimAction>) {
        if self.peers.clients.get(&peer).is_some_and(|c| c.socket.notices()) {
            let text = format!(r#"{{"op":"close","ts":{}}}"#, now.as_ms());
            self.peers.send(peer, &text, out);
        }
        self.close(peer, 1001, "service upgrade", out);
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        if bytes.len() > FRAME_BYTES_MAX {
            return self.close(peer, 1009, "frame too long", out);
        }
        let Ok(request) = serde_json::from_slice::<Value>(bytes) else {
            return self.complain(peer, &Value::Null, "it's not json", now, out);
        };
        let text = |key: &str| request.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str().and_then(|s| s.parse().ok()));
        let pong = match text("op").as_deref() {
            Some("pong") => request.get("ts").and_then(number),
            _ => request.get("pong").and_then(number),
        };
        if let Some(pong) = pong {
            // An answer with another number does not count.
            if client.waiting.contains(&pong) {
                client.waiting.retain(|ms| *ms > pong);
            }
            return;
        }
        let topic = text("topic");
        match (text("op").as_deref(), topic, text("sub"), text("unsub"), text("req")) {
            (Some("sub"), Some(topic), ..) | (None, _, Some(topic), ..) => {
                self.subscribe(peer, &request, &topic, now, out);
            }
            (Some("unsub"), Some(topic), ..) | (None, _, _, Some(topic), _) => {
                self.unsubscribe(peer, &request, &topic, now, out);
            }
            (None, _, _, _, Some(topic)) => self.requested(peer, &request, &topic, now, out),
            _ => self.complain(peer, &request, "invalid command", now, out),
        }
    }

    /// `{"status":"error","ts":1760000000200,"id":"t3","err-code":"bad-request","err-msg":"invalid topic market.nosuch.trade.detail"}`
    fn complain(&mut self, peer: Peer, request: &Value, words: &str, now: Ts, out: &mut Vec<SimAction>) {
        let ms = now.as_ms();
        let notices = self.peers.clients.get(&peer).is_some_and(|c| c.socket.notices());
        let text = if notices {
            let topic = request.get("topic").map_or_else(|| "\"\"".to_owned(), ToString::to_string);
            let op = request.get("op").map_or_else(|| "\"error\"".to_owned(), ToString::to_string);
            let cid = echo(request, "cid");
            format!(r#"{{"op":{op},{cid}"topic":{topic},"ts":{ms},"err-code":2002,"err-msg":"{words}"}}"#)
        } else {
            let id = echo(request, "id");
            format!(r#"{{"status":"error","ts":{ms},{id}"err-code":"bad-request","err-msg":"{words}"}}"#)
        };
        self.peers.send(peer, &text, out);
    }

    /// Acknowledges; the order of the keys varies.
    fn acknowledge(
        &mut self,
        peer: Peer,
        request: &Value,
        what: (&str, &str),
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let (word, topic) = what;
        let ms = now.as_ms();
        self.acks += 1;
        let notices = self.peers.clients.get(&peer).is_some_and(|c| c.socket.notices());
        let text = if notices {
            let op = word.trim_end_matches("bed");
            let cid = echo(request, "cid");
            format!(r#"{{"op":"{op}",{cid}"topic":"{topic}","ts":{ms},"err-code":0}}"#)
        } else if self.acks.is_multiple_of(2) {
            format!(r#"{{{}"status":"ok","{word}":"{topic}","ts":{ms}}}"#, echo(request, "id"))
        } else {
            let id = echo(request, "id");
            format!(r#"{{"ts":{ms},"status":"ok",{id}"{word}":"{topic}"}}"#)
        };
        self.peers.send(peer, &text, out);
    }

    fn subscribe(&mut self, peer: Peer, request: &Value, topic: &str, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get(&peer) else { return };
        let socket = client.socket;
        if !self.tape && !self.offers(socket, topic) {
            return self.complain(
                peer,
                request,
                &format!("invalid topic {}", topic.escape_default()),
                now,
                out,
            );
        }
        if self.refuse > 0 {
            self.refuse -= 1;
            if self.refuse.is_multiple_of(2) {
                return self.complain(peer, request, "429 too many request", now, out);
            }
            // Agreed to and never fed, as of a contract that is suspended.
            self.silent.insert((peer, topic.to_owned()));
            return self.acknowledge(peer, request, ("subbed", topic), now, out);
        }
        self.silent.remove(&(peer, topic.to_owned()));
        let kind = taken_apart(topic.as_bytes()).kind;
        let whole = kind == Kind::HighFreq && request.get("data_type").is_none();
        let key = if whole && !self.tape { format!("{topic}|whole") } else { topic.to_owned() };
        if let Some(client) = self.peers.clients.get_mut(&peer) {
            client.topics.insert(key.clone());
            self.peers.by_topic.entry(key.clone()).or_default().insert(peer);
        }
        // Contracts send the last trade before they acknowledge.
        let early = kind == Kind::Trades && socket.endpoint() == 1;
        if !early {
            self.acknowledge(peer, request, ("subbed", topic), now, out);
        }
        if self.tape {
            if early {
                self.acknowledge(peer, request, ("subbed", topic), now, out);
            }
            out.push(SimAction::Joined { peer, key });
            return;
        }
        self.welcome(peer, topic, now, out);
        if early {
            self.acknowledge(peer, request, ("subbed", topic), now, out);
        }
    }

    fn unsubscribe(&mut self, peer: Peer, request: &Value, topic: &str, now: Ts, out: &mut Vec<SimAction>) {
        let mut was = self.silent.remove(&(peer, topic.to_owned()));
        for key in [topic.to_owned(), format!("{topic}|whole")] {
            if self.peers.unlink(&key, peer) {
                was = true;
                if let Some(client) = self.peers.clients.get_mut(&peer) {
                    client.topics.remove(&key);
                }
                if self.tape {
                    out.push(SimAction::Left { peer, key });
                }
            }
        }
        if was {
            self.acknowledge(peer, request, ("unsubbed", topic), now, out);
        } else {
            let words = format!("unsub with not subbed topic {}", topic.escape_default());
            self.complain(peer, request, &words, now, out);
        }
    }

    /// A request for what there is now.
    fn requested(&mut self, peer: Peer, request: &Value, topic: &str, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        let socket = client.socket;
        let early = client.requested.is_some_and(|at| now.ms_since(at) < REQUEST_MS);
        client.requested = Some(now);
        if early && socket.endpoint() == 0 {
            return self.complain(peer, request, "429 too many request", now, out);
        }
        if self.tape {
            // The answer comes from the recording.
            return;
        }
        if self.silent.contains(&(peer, topic.to_owned())) {
            return self.complain(peer, request, "symbol trade not open now", now, out);
        }
        if !self.offers(socket, topic) {
            return self.complain(
                peer,
                request,
                &format!("invalid topic {}", topic.escape_default()),
                now,
                out,
            );
        }
        let Some((data, after)) = self.whole(topic, now) else {
            return self.complain(peer, request, "invalid request", now, out);
        };
        let (id, ms) = (echo(request, "id"), now.as_ms());
        let text = format!(r#"{{{id}"rep":"{topic}","status":"ok","ts":{ms},"data":{data}}}"#);
        self.peers.send(peer, &text, out);
        for (topic, text) in after {
            self.peers.push(&topic, &text, out);
        }
    }
}
