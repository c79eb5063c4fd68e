//! Clients of the simulated venue: connections, requests, acknowledgements, pings.

use super::tape;
use crate::product::{PRODUCTS, Product};
use model::{Instrument, Ts};
use serde_json::Value;
use source::{Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long before the end of a connection it is told, in ms.
const NOTICE_MS: u64 = 10_000;

struct Client {
    product: &'static Product,
    /// `/public` or `/market`, where the section splits its streams.
    market_only: Option<bool>,
    /// Whether frames are wrapped with the stream's name.
    combined: bool,
    /// Whether times are in µs.
    micros: bool,
    opened: Ts,
    noticed: bool,
    streams: BTreeSet<String>,
    heard: VecDeque<Ts>,
    /// When the last ping was sent, its payload, and whether it was answered.
    ping: (Ts, Vec<u8>, bool),
}

/// All connections.
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    /// By section and stream.
    by_stream: [BTreeMap<String, BTreeSet<Peer>>; 3],
    lifetime_ms: u64,
    ping_ms: Option<u64>,
    /// How many of the next subscriptions are refused.
    pub refuse: u32,
    /// In front of a recording: who has joined what, or left it, and was not told of yet.
    moved: Option<Vec<SimAction>>,
}

impl Peers {
    pub fn new(lifetime_ms: u64, ping_ms: Option<u64>, tape: bool) -> Self {
        let maps = || BTreeMap::new();
        Self {
            clients: BTreeMap::new(),
            by_stream: [maps(), maps(), maps()],
            lifetime_ms,
            ping_ms,
            refuse: 0,
            moved: tape.then(Vec::new),
        }
    }

    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn open(&mut self, peer: Peer, endpoint: usize, path: &str, now: Ts, out: &mut Vec<SimAction>) {
        let refuse = |out: &mut Vec<SimAction>| {
            out.push(SimAction::Close { peer, code: 0, reason: "404".to_owned() });
        };
        let Some(product) = PRODUCTS.get(endpoint) else { return refuse(out) };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (market_only, rest) = match (product.public != product.market, path) {
            (true, path) if path.starts_with("/public") => (Some(false), path.trim_start_matches("/public")),
            (true, path) if path.starts_with("/market") => (Some(true), path.trim_start_matches("/market")),
            (true, path) => (Some(false), path),
            (false, path) => (None, path),
        };
        let streams: Vec<String> = match rest {
            "/ws" => Vec::new(),
            "/stream" => {
                let named = query.split('&').find_map(|part| part.strip_prefix("streams="));
                named.into_iter().flat_map(|names| names.split('/')).map(decoded).collect()
            }
            raw if raw.starts_with("/ws/") => {
                raw.trim_start_matches("/ws/").split('/').map(decoded).collect()
            }
            _ => return refuse(out),
        };
        let client = Client {
            product,
            market_only,
            combined: rest == "/stream",
            micros: query.to_ascii_uppercase().contains("TIMEUNIT=MICROSECOND"),
            opened: now,
            noticed: false,
            streams: BTreeSet::new(),
            heard: VecDeque::new(),
            ping: (now, Vec::new(), true),
        };
        self.clients.insert(peer, client);
        for stream in streams {
            self.subscribe(peer, &stream);
        }
        self.tell_moved(out);
    }

    fn tell_moved(&mut self, out: &mut Vec<SimAction>) {
        if let Some(moved) = &mut self.moved {
            out.append(moved);
        }
    }

    pub fn forget(&mut self, peer: Peer) {
        if let Some(client) = self.clients.remove(&peer) {
            for stream in &client.streams {
                self.unlink(client.product, stream, peer);
            }
        }
    }

    fn unlink(&mut self, product: &Product, stream: &str, peer: Peer) {
        let Some(map) = self.by_stream.get_mut(product.endpoint) else { return };
        if let Some(peers) = map.get_mut(stream) {
            peers.remove(&peer);
            if peers.is_empty() {
                map.remove(stream);
            }
        }
    }

    /// An unknown stream, and one of the wrong category, is taken and never fed.
    fn subscribe(&mut self, peer: Peer, stream: &str) {
        let Some(client) = self.clients.get_mut(&peer) else { return };
        client.streams.insert(stream.to_owned());
        let market = !["trade", "depth", "bookTicker", "rpiDepth"].iter().any(|kind| {
            let name = stream.split('@').nth(1).or_else(|| stream.strip_prefix('!'));
            name.is_some_and(|s| s == *kind || *kind == "depth" && s.starts_with("depth"))
        });
        if client.market_only.is_some_and(|only| only != market) {
            return;
        }
        if let Some(map) = self.by_stream.get_mut(client.product.endpoint) {
            map.entry(stream.to_owned()).or_default().insert(peer);
        }
        if let Some(moved) = &mut self.moved {
            moved.push(SimAction::Joined { peer, key: tape::key(stream) });
        }
    }

    /// Sends a payload to everybody who hears the stream; it is only made where somebody does.
    pub fn push(
        &self,
        endpoints: &[usize],
        stream: &str,
        out: &mut Vec<SimAction>,
        payload: impl FnOnce() -> String,
    ) {
        let heard = |at: &usize| self.by_stream.get(*at).and_then(|map| map.get(stream));
        let mut peers = endpoints.iter().filter_map(heard).flatten().peekable();
        if peers.peek().is_none() {
            return;
        }
        let payload = payload();
        for peer in peers {
            let Some(client) = self.clients.get(peer) else { continue };
            let payload = if client.micros { in_micros(&payload) } else { payload.clone() };
            let text = if client.combined {
                format!("{{\"stream\":\"{stream}\",\"data\":{payload}}}")
            } else {
                payload
            };
            out.push(SimAction::Send { peer: *peer, bytes: text.into_bytes(), binary: false });
        }
    }

    /// The bar intervals that somebody hears of an instrument.
    pub fn bar_intervals(&self, product: &Product, instrument: &Instrument) -> Vec<String> {
        let Some(map) = self.by_stream.get(product.endpoint) else { return Vec::new() };
        let start = format!("{}@kline_", instrument.symbol.to_lowercase());
        let of = map.range(start.clone()..).take_while(|(stream, _)| stream.starts_with(&start));
        let names = of.filter_map(|(stream, _)| stream.strip_prefix(&start)).map(str::to_owned);
        names.collect()
    }

    pub fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        if self.is_too_much(peer, now) {
            return self.close(peer, 1008, "Too many requests", out);
        }
        let answer = self.request(peer, bytes);
        out.push(SimAction::Send { peer, bytes: answer.into_bytes(), binary: false });
        self.tell_moved(out);
        let over = self.clients.get(&peer).is_some_and(|c| c.streams.len() > c.product.streams_max);
        if over {
            self.close(peer, 1008, "Too many streams", out);
        }
    }

    /// Counts a frame of a client, pongs too; whether it sent more in a second than it may.
    fn is_too_much(&mut self, peer: Peer, now: Ts) -> bool {
        let Some(client) = self.clients.get_mut(&peer) else { return false };
        client.heard.push_back(now);
        while client.heard.front().is_some_and(|at| now.ms_since(*at) >= 1_000) {
            client.heard.pop_front();
        }
        client.heard.len() > client.product.sends_max
    }

    fn request(&mut self, peer: Peer, bytes: &[u8]) -> String {
        let request = match serde_json::from_slice::<Value>(bytes) {
            Ok(request) => request,
            Err(e) => {
                let (line, column) = (e.line(), e.column());
                let words = format!("Invalid JSON: expected value at line {line} column {column}");
                return format!("{{\"code\":3,\"msg\":\"{words}\"}}");
            }
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let fault = |words: &str| format!("{{\"code\":2,\"msg\":\"Invalid request: {words}\",\"id\":{id}}}");
        if !(id.is_null() || id.is_i64() || id.is_u64() || id.as_str().is_some_and(|text| text.len() <= 36)) {
            return fault("request ID must be an unsigned integer");
        }
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return fault("missing field `method` at line 1 column 2");
        };
        let params = request.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = || params.iter().filter_map(Value::as_str);
        match method {
            "SUBSCRIBE" if self.refuse > 0 => {
                self.refuse -= 1;
                return fault("too many parameters");
            }
            "SUBSCRIBE" => names().for_each(|stream| self.subscribe(peer, stream)),
            "UNSUBSCRIBE" => {
                for stream in names() {
                    let Some(client) = self.clients.get_mut(&peer) else { continue };
                    let had = client.streams.remove(stream);
                    let product = client.product;
                    self.unlink(product, stream, peer);
                    if let Some(moved) = self.moved.as_mut().filter(|_| had) {
                        moved.push(SimAction::Left { peer, key: tape::key(stream) });
                    }
                }
            }
            "LIST_SUBSCRIPTIONS" => {
                let all: Vec<&String> = self.clients.get(&peer).iter().flat_map(|c| &c.streams).collect();
                return format!("{{\"result\":{},\"id\":{id}}}", serde_json::json!(all));
            }
            "SET_PROPERTY" | "GET_PROPERTY" => return self.property(peer, method, &params, &id),
            other => {
                let known =
                    "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";
                let other = other.escape_default();
                return fault(&format!(
                    "unknown variant `{other}`, expected one of {known} at line 1 column 21"
                ));
            }
        }
        format!("{{\"result\":null,\"id\":{id}}}")
    }

    fn property(&mut self, peer: Peer, method: &str, params: &[Value], id: &Value) -> String {
        let fault = |code: u8, words: &str| format!("{{\"code\":{code},\"msg\":\"{words}\",\"id\":{id}}}");
        let Some(name) = params.first().and_then(Value::as_str) else {
            return fault(2, "Invalid request: property name must be a string");
        };
        let Some(client) = self.clients.get_mut(&peer).filter(|_| name == "combined") else {
            return fault(0, "Unknown property");
        };
        if method == "GET_PROPERTY" {
            return format!("{{\"result\":{},\"id\":{id}}}", client.combined);
        }
        let Some(value) = params.get(1).and_then(Value::as_bool) else {
            return fault(1, "Invalid value type: expected Boolean");
        };
        client.combined = value;
        format!("{{\"result\":null,\"id\":{id}}}")
    }

    pub fn pong(&mut self, peer: Peer, payload: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        if self.is_too_much(peer, now) {
            return self.close(peer, 1008, "Too many requests", out);
        }
        let Some(client) = self.clients.get_mut(&peer) else { return };
        if client.ping.2 {
            // Nobody asked; the venue takes no notice.
            return;
        }
        if client.ping.1 == payload {
            client.ping.2 = true;
        } else {
            self.close(peer, 1008, "Pong payload does not match", out);
        }
    }

    /// Pings, missed pongs, and connections whose time has come.
    pub fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let (mut silent, mut told, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for (peer, client) in &mut self.clients {
            let every = self.ping_ms.unwrap_or(client.product.ping_ms);
            if now >= client.opened.plus_ms(self.lifetime_ms) {
                over.push(*peer);
            } else if !client.ping.2 && now.ms_since(client.ping.0) >= client.product.pong_ms as i64 {
                silent.push(*peer);
            } else if client.ping.2 && now >= client.ping.0.plus_ms(every) {
                client.ping = (now, now.as_ms().to_string().into_bytes(), false);
                out.push(SimAction::Ping { peer: *peer, payload: client.ping.1.clone() });
            }
            let end = self.lifetime_ms.saturating_sub(NOTICE_MS.min(self.lifetime_ms / 2));
            if !client.noticed && now >= client.opened.plus_ms(end) {
                client.noticed = true;
                told.push(*peer);
            }
        }
        for peer in told {
            self.notice(peer, now, out);
        }
        for peer in silent {
            self.close(peer, 1008, "Pong timeout", out);
        }
        for peer in over {
            self.close(peer, 1001, "", out);
        }
    }

    fn notice(&self, peer: Peer, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.clients.get(&peer) else { return };
        let payload = format!("{{\"e\":\"serverShutdown\",\"E\":{}}}", now.as_ms());
        let text = if client.combined {
            format!("{{\"stream\":\"!serverShutdown\",\"data\":{payload}}}")
        } else {
            payload
        };
        out.push(SimAction::Send { peer, bytes: text.into_bytes(), binary: false });
    }

    /// Tells a client that its connection ends, and ends it.
    pub fn shut_down(&mut self, peer: Peer, now: Ts, out: &mut Vec<SimAction>) {
        self.notice(peer, now, out);
        self.close(peer, 1001, "", out);
    }

    fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }
}

/// A stream name with its URL encoding undone.
fn decoded(name: &str) -> String {
    name.replace("%40", "@").replace("%21", "!")
}

/// A payload with every time in µs.
fn in_micros(payload: &str) -> String {
    let mut text = payload.to_owned();
    for key in ["\"E\":", "\"T\":", "\"t\":17", "\"O\":", "\"C\":"] {
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(key)) {
            let start = from + found + key.len();
            let digits = text.get(start..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
            if digits > 10 {
                text.insert_str(start + digits, "000");
            }
            from = start + digits;
        }
    }
    text
}
