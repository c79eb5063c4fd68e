//! Clients of the simulated venue: connections, requests, acknowledgements.

use super::{CoinbaseSim, encode};
use crate::Feed;
use model::Ts;
use serde_json::Value;
use source::{Cursor, Peer, SimAction};
use std::collections::{BTreeMap, BTreeSet};

/// A connection that has not subscribed after so long is closed.
const IDLE_MS: i64 = 5_000;
/// A connection that was sent nothing for so long is closed.
const SILENCE_MS: i64 = 75_000;
/// How many connections may be opened, and how many frames a connection may send, in a second. The venue allows eight;
/// what a client has paced may arrive closer together than it was sent.
const CONNECTS_MAX: usize = 16;
const SENDS_MAX: usize = 16;
/// The largest frame that is taken.
const FRAME_BYTES_MAX: usize = 65_536;

/// A channel and a product; the product is empty where a channel has none.
pub(super) type Topic = (String, String);

struct Client {
    feed: Feed,
    opened: Ts,
    pinged: Ts,
    sent: Ts,
    /// Has sent a subscription.
    begun: bool,
    /// The number of the next frame.
    seq: u64,
    topics: BTreeSet<Topic>,
    asked: Vec<Ts>,
}

/// All connections.
#[derive(Default)]
pub(super) struct Peers {
    clients: BTreeMap<Peer, Client>,
    /// By feed, channel and product.
    by_topic: BTreeMap<(usize, Topic), BTreeSet<Peer>>,
    opens: Vec<Ts>,
}

impl Peers {
    pub fn all(&self) -> Vec<Peer> {
        self.clients.keys().copied().collect()
    }

    pub fn forget(&mut self, peer: Peer) {
        if let Some(client) = self.clients.remove(&peer) {
            for topic in client.topics {
                self.unlink(client.feed, topic, peer);
            }
        }
    }

    fn unlink(&mut self, feed: Feed, topic: Topic, peer: Peer) {
        let key = (feed.endpoint(), topic);
        if let Some(peers) = self.by_topic.get_mut(&key) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.by_topic.remove(&key);
            }
        }
    }

    /// Who hears a topic.
    pub fn hearers(&self, feed: Feed, channel: &str, product: &str) -> Vec<Peer> {
        let key = (feed.endpoint(), (channel.to_owned(), product.to_owned()));
        self.by_topic.get(&key).into_iter().flatten().copied().collect()
    }

    /// Topics of a channel that somebody hears.
    pub fn heard(&self, feed: Feed, channel: &str) -> Vec<String> {
        let of = |(at, (name, _)): &&(usize, Topic)| *at == feed.endpoint() && name == channel;
        self.by_topic.keys().filter(of).map(|(_, (_, product))| product.clone()).collect()
    }

    /// Sends a frame of Advanced Trade; the connection counts it.
    pub fn tell(&mut self, peer: Peer, channel: &str, events: &str, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.clients.get_mut(&peer) else { return };
        let bytes = encode::envelope(channel, client.seq, events, now);
        client.seq += 1;
        self.send(peer, bytes, now, out);
    }

    /// Sends a frame as it is.
    pub fn send(&mut self, peer: Peer, bytes: Vec<u8>, now: Ts, out: &mut Vec<SimAction>) {
        if let Some(client) = self.clients.get_mut(&peer) {
            client.sent = now;
            out.push(SimAction::Send { peer, bytes, binary: false });
        }
    }

    /// Puts the connection's own number into a recorded frame.
    pub fn renumber(&mut self, peer: Peer, frame: &mut Vec<u8>) {
        let Some(client) = self.clients.get_mut(&peer).filter(|c| c.feed == Feed::Advanced) else { return };
        let mut place = None;
        // A frame that cannot be read keeps what it has.
        let _ = Cursor::new(frame).object(|c, key| {
            let start = c.position();
            let text = c.skip()?;
            if key == b"sequence_num" {
                place = Some((c.position() - text.len().min(c.position() - start), c.position()));
            }
            Ok(())
        });
        if let Some((start, end)) = place {
            frame.splice(start..end, client.seq.to_string().into_bytes());
            client.seq += 1;
        }
    }
}

/// What a client wants.
struct Wish {
    subscribe: bool,
    topics: Vec<Topic>,
}

impl CoinbaseSim {
    pub(super) fn opened(&mut self, peer: Peer, endpoint: usize, now: Ts, out: &mut Vec<SimAction>) {
        self.peers.opens.retain(|at| now.ms_since(*at) < 1_000);
        let feed = match endpoint {
            0 => Feed::Advanced,
            1 => Feed::Exchange,
            _ => return out.push(SimAction::Close { peer, code: 0, reason: "404".to_owned() }),
        };
        if self.peers.opens.len() >= CONNECTS_MAX {
            return out.push(SimAction::Close { peer, code: 0, reason: "429".to_owned() });
        }
        self.peers.opens.push(now);
        let client = Client {
            feed,
            opened: now,
            pinged: now,
            sent: now,
            begun: false,
            seq: 0,
            topics: BTreeSet::new(),
            asked: Vec::new(),
        };
        self.peers.clients.insert(peer, client);
    }

    pub(super) fn close(&mut self, peer: Peer, code: u16, reason: &str, out: &mut Vec<SimAction>) {
        self.peers.forget(peer);
        out.push(SimAction::Close { peer, code, reason: reason.to_owned() });
    }

    /// Connections whose time has come.
    pub(super) fn age(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let mut over = Vec::new();
        for (peer, client) in &mut self.peers.clients {
            if let Some(every) = self.ping_ms
                && now >= client.pinged.plus_ms(every)
            {
                client.pinged = now;
                out.push(SimAction::Ping { peer: *peer, payload: now.as_ms().to_string().into_bytes() });
            }
            if !client.begun && now.ms_since(client.opened) >= IDLE_MS {
                over.push((*peer, 1008, "no subscription within 5 seconds"));
            } else if client.begun && now.ms_since(client.sent) >= SILENCE_MS {
                over.push((*peer, 1000, "no updates"));
            } else if self.lifetime_ms.is_some_and(|life| now >= client.opened.plus_ms(life)) {
                over.push((*peer, 1001, "going away"));
            }
        }
        for (peer, code, reason) in over {
            self.close(peer, code, reason, out);
        }
    }

    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        if bytes.len() > FRAME_BYTES_MAX {
            return self.close(peer, 1009, "message too big", out);
        }
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        let feed = client.feed;
        client.asked.retain(|at| now.ms_since(*at) < 1_000);
        client.asked.push(now);
        if client.asked.len() > SENDS_MAX {
            return self.complain(peer, "rate limit exceeded", "", now, out);
        }
        let Ok(frame) = serde_json::from_slice::<Value>(bytes) else {
            return self.complain(peer, "Malformed JSON", "", now, out);
        };
        let wish = match wish(feed, &frame) {
            Ok(wish) => wish,
            Err(words) => return self.complain(peer, "Failed to subscribe", &words, now, out),
        };
        if wish.subscribe {
            self.subscribe(peer, feed, wish.topics, now, out);
        } else {
            let topics: Vec<Topic> = wish.topics.into_iter().map(|t| self.canonical(feed, t)).collect();
            for topic in topics {
                if let Some(client) = self.peers.clients.get_mut(&peer) {
                    client.topics.remove(&topic);
                }
                if self.tape {
                    out.push(SimAction::Left { peer, key: named(&topic) });
                }
                self.peers.unlink(feed, topic, peer);
            }
            self.acknowledge(peer, feed, now, out);
        }
    }

    /// `{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}`
    fn complain(&mut self, peer: Peer, words: &str, reason: &str, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get(&peer) else { return };
        let frame = match (client.feed, reason) {
            (_, "") => serde_json::json!({"type": "error", "message": words}),
            (Feed::Advanced, _) => {
                serde_json::json!({"type": "error", "message": format!("{words}: {reason}")})
            }
            (Feed::Exchange, _) => serde_json::json!({"type": "error", "message": words, "reason": reason}),
        };
        self.peers.send(peer, frame.to_string().into_bytes(), now, out);
    }

    /// The name under which a product's data come, and the one name of a channel that has several.
    fn canonical(&self, feed: Feed, (channel, product): Topic) -> Topic {
        let channel = match (feed, channel.as_str()) {
            (Feed::Exchange, "level2_batch" | "level2_50") => "level2".to_owned(),
            _ => channel,
        };
        let symbol =
            self.world.place(feed, &product).and_then(|at| self.world.states.get(at)?.definition(feed));
        (channel, symbol.map_or(product, |i| i.symbol.to_string()))
    }

    fn subscribe(&mut self, peer: Peer, feed: Feed, topics: Vec<Topic>, now: Ts, out: &mut Vec<SimAction>) {
        // A request with one product that does not exist is refused whole.
        let bad = topics
            .iter()
            .find(|(_, product)| !product.is_empty() && self.world.place(feed, product).is_none());
        let refused = match (bad, topics.first()) {
            (Some((_, product)), _) if !self.tape => Some(product.clone()),
            (_, Some((_, product))) if self.refuse > 0 => {
                self.refuse -= 1;
                Some(product.clone())
            }
            _ => None,
        };
        if let Some(product) = refused {
            return self.complain(
                peer,
                "Failed to subscribe",
                &format!("{product} is not a valid product"),
                now,
                out,
            );
        }
        let topics: Vec<Topic> = topics.into_iter().map(|topic| self.canonical(feed, topic)).collect();
        let Some(client) = self.peers.clients.get_mut(&peer) else { return };
        client.begun = true;
        for topic in &topics {
            client.topics.insert(topic.clone());
            self.peers.by_topic.entry((feed.endpoint(), topic.clone())).or_default().insert(peer);
        }
        // Advanced Trade sends what is now before it acknowledges, Exchange after.
        if feed == Feed::Exchange {
            self.acknowledge(peer, feed, now, out);
        }
        if self.tape {
            out.extend(topics.iter().map(|topic| SimAction::Joined { peer, key: named(topic) }));
        } else {
            for (channel, product) in &topics {
                self.first(peer, feed, channel, product, now, out);
            }
        }
        if feed == Feed::Advanced {
            self.acknowledge(peer, feed, now, out);
        }
    }

    /// Lists all that a connection is subscribed to.
    fn acknowledge(&mut self, peer: Peer, feed: Feed, now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.clients.get(&peer) else { return };
        let mut held: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (channel, product) in &client.topics {
            held.entry(channel).or_default().push(product);
        }
        if feed == Feed::Advanced {
            let named = held.iter().map(|(channel, products)| {
                let products = if *channel == "heartbeats" { &vec!["heartbeats"] } else { products };
                format!(r#""{channel}":{}"#, Value::from(products.clone()))
            });
            let events = format!(r#"{{"subscriptions":{{{}}}}}"#, named.collect::<Vec<_>>().join(","));
            return self.peers.tell(peer, "subscriptions", &events, now, out);
        }
        let named = held.iter().map(|(channel, products)| {
            let name = if *channel == "level2" { "level2_50" } else { channel };
            let products: Vec<&&str> = products.iter().filter(|p| !p.is_empty()).collect();
            let list: Vec<String> = products.iter().map(|p| format!(r#""{p}""#)).collect();
            format!(r#"{{"name":"{name}","product_ids":[{}],"account_ids":null}}"#, list.join(","))
        });
        let frame =
            format!(r#"{{"type":"subscriptions","channels":[{}]}}"#, named.collect::<Vec<_>>().join(","));
        self.peers.send(peer, frame.into_bytes(), now, out);
    }
}

/// How a topic is called in front of a recording.
fn named((channel, product): &Topic) -> String {
    format!("{channel}:{product}")
}

/// Reads a request, or says in words why it is none.
fn wish(feed: Feed, frame: &Value) -> Result<Wish, String> {
    let subscribe = match frame.get("type").and_then(Value::as_str) {
        Some("subscribe") => true,
        Some("unsubscribe") => false,
        other => return Err(format!("{} is not a valid type", other.unwrap_or_default())),
    };
    let products = |from: &Value| -> Vec<String> {
        let all = from.get("product_ids").and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let common = products(frame);
    let mut topics = Vec::new();
    if feed == Feed::Advanced {
        let channel = frame.get("channel").and_then(Value::as_str).unwrap_or_default();
        topics.extend(of_channel(feed, channel, common)?);
    } else {
        let channels = frame.get("channels").and_then(Value::as_array).filter(|all| !all.is_empty());
        for channel in channels.ok_or("channels must be provided")? {
            let (name, own) = match channel {
                Value::String(name) => (name.as_str(), Vec::new()),
                with => (with.get("name").and_then(Value::as_str).unwrap_or_default(), products(with)),
            };
            topics.extend(of_channel(feed, name, if own.is_empty() { common.clone() } else { own })?);
        }
    }
    Ok(Wish { subscribe, topics })
}

/// The topics of a channel over products.
fn of_channel(feed: Feed, channel: &str, products: Vec<String>) -> Result<Vec<Topic>, String> {
    let known: &[&str] = match feed {
        Feed::Advanced => {
            &["level2", "market_trades", "ticker", "ticker_batch", "candles", "status", "heartbeats"]
        }
        Feed::Exchange => {
            &["level2_batch", "level2_50", "level2", "matches", "ticker", "heartbeat", "status"]
        }
    };
    match channel {
        _ if !known.contains(&channel) => Err(format!("{channel} is not a valid channel")),
        "heartbeats" => Ok(vec![(channel.to_owned(), String::new())]),
        "status" if feed == Feed::Exchange => Ok(vec![(channel.to_owned(), String::new())]),
        _ if products.is_empty() => {
            Err(format!("You need to specify at least one product ID for channel {channel}"))
        }
        _ => Ok(products.into_iter().map(|product| (channel.to_owned(), product)).collect()),
    }
}
