//! JSON-RPC over WebSocket: subscriptions, logins, heartbeats; other methods are those of REST.

use super::rest::{Fault, Params};
use super::{DeribitSim, key_of};
use crate::parse::{Kind, Pace, Topic};
use model::Ts;
use serde_json::{Value, json};
use source::{Peer, SimAction};

/// How many channels one request may name.
const CHANNELS_MAX: usize = 500;
/// The shortest interval of heartbeats, in seconds.
const HEARTBEAT_MIN_S: u64 = 10;
/// How long a login lasts, in seconds.
const LOGIN_S: u64 = 900;

/// What a request is answered, and what is sent after it.
struct Done {
    answer: Result<Value, Fault>,
    /// Channels that were not heard before.
    joined: Vec<String>,
    left: Vec<String>,
}

impl From<Result<Value, Fault>> for Done {
    fn from(answer: Result<Value, Fault>) -> Self {
        Self { answer, joined: Vec::new(), left: Vec::new() }
    }
}

impl DeribitSim {
    pub(super) fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.get(peer) else { return };
        client.heard = now;
        let Ok(request) = serde_json::from_slice::<Value>(bytes) else {
            let text = r#"{"jsonrpc":"2.0","error":{"code":11050,"message":"bad_request","data":{"reason":"invalid json"}}}"#;
            return self.peers.send(peer, text.into(), now, out);
        };
        let id = request.get("id").cloned();
        let none = Value::Null;
        let params = request.get("params").unwrap_or(&none);
        let done = match request.get("method").and_then(Value::as_str) {
            Some(method) => self.call(peer, method, params, now),
            None => Err(Fault(-32_600, "Invalid Request")).into(),
        };
        let mut answer = match done.answer {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result}),
            Err(Fault(code, message)) => {
                json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}})
            }
        };
        let us = now.0.div_euclid(1_000);
        if let Some(map) = answer.as_object_mut() {
            if let Some(id) = id {
                map.insert("id".to_owned(), id);
            }
            map.insert("usIn".to_owned(), us.into());
            map.insert("usOut".to_owned(), (us + 250).into());
            map.insert("usDiff".to_owned(), 250.into());
            map.insert("testnet".to_owned(), false.into());
        }
        self.peers.send(peer, answer.to_string().into_bytes(), now, out);
        for channel in done.joined {
            if self.tape {
                out.push(SimAction::Joined { peer, key: key_of(&channel) });
            } else {
                self.first(peer, &channel, now, out);
            }
        }
        out.extend(done.left.into_iter().map(|key| SimAction::Left { peer, key }));
    }

    fn call(&mut self, peer: Peer, method: &str, params: &Value, now: Ts) -> Done {
        let channels = || -> Option<Vec<String>> {
            let all = params.get("channels")?.as_array()?;
            all.iter().map(|c| c.as_str().map(str::to_owned)).collect()
        };
        match method {
            "public/subscribe" | "private/subscribe" => match channels() {
                Some(channels) => self.subscribe(peer, &channels, now),
                None => Err(Fault(-32_602, "Invalid params")).into(),
            },
            "public/unsubscribe" | "private/unsubscribe" => match channels() {
                Some(channels) => self.unsubscribe(peer, channels, now),
                None => Err(Fault(-32_602, "Invalid params")).into(),
            },
            "public/unsubscribe_all" => {
                let all = self.peers.get(peer).map(|c| c.channels.iter().cloned().collect());
                let mut done = self.unsubscribe(peer, all.unwrap_or_default(), now);
                done.answer = done.answer.map(|_| "ok".into());
                done
            }
            "public/set_heartbeat" => self.set_heartbeat(peer, params, now).into(),
            "public/disable_heartbeat" => {
                if let Some(client) = self.peers.get(peer) {
                    (client.heartbeat_ms, client.tested) = (None, None);
                }
                Ok("ok".into()).into()
            }
            "public/test" => {
                if let Some(client) = self.peers.get(peer) {
                    client.tested = None;
                }
                Ok(json!({"version": "1.2.26"})).into()
            }
            "public/auth" => self.log_in(peer, params, now).into(),
            _ if method.starts_with("private/") => Err(Fault(13_009, "unauthorized")).into(),
            _ => {
                let params = Params::of_json(params);
                let answer =
                    self.answer_method(method.strip_prefix("public/").unwrap_or(method), &params, now);
                answer
                    .and_then(|text| serde_json::from_str(&text).map_err(|_| Fault(13_028, "not_available")))
                    .into()
            }
        }
    }

    /// Takes those channels that exist; the others are left out of the answer without a word.
    fn subscribe(&mut self, peer: Peer, channels: &[String], now: Ts) -> Done {
        if !self.peers.may_call(peer, now) {
            return Err(Fault(10_028, "too_many_requests")).into();
        }
        if channels.len() > CHANNELS_MAX {
            return Err(Fault(-32_602, "Invalid params")).into();
        }
        let logged_in = self.tape || self.peers.get(peer).is_some_and(|c| c.logged_in);
        if !logged_in && channels.iter().any(|c| c.rsplit('.').next() == Some("raw")) {
            return Err(Fault(13_778, "raw_subscriptions_not_available_for_unauthorized")).into();
        }
        let (mut taken, mut joined) = (Vec::new(), Vec::new());
        for channel in channels {
            if self.refuse > 0 {
                self.refuse -= 1;
            } else if self.exists(channel) && !taken.contains(channel) {
                taken.push(channel.clone());
            }
        }
        for channel in &taken {
            let heard = self.heard_key(peer, channel);
            if self.peers.join(peer, channel) && !(self.tape && heard) {
                joined.push(channel.clone());
            }
        }
        // In an order of its own.
        taken.sort_unstable_by(|a, b| b.cmp(a));
        Done { answer: Ok(taken.into()), joined, left: Vec::new() }
    }

    fn unsubscribe(&mut self, peer: Peer, channels: Vec<String>, now: Ts) -> Done {
        if !self.peers.may_call(peer, now) {
            return Err(Fault(10_028, "too_many_requests")).into();
        }
        let gone: Vec<String> = channels.into_iter().filter(|c| self.peers.leave(peer, c)).collect();
        let mut left = Vec::new();
        for channel in &gone {
            let key = key_of(channel);
            if self.tape && !self.heard_key(peer, channel) && !left.contains(&key) {
                left.push(key);
            }
        }
        Done { answer: Ok(gone.into()), joined: Vec::new(), left }
    }

    /// Whether a client hears the same under another pace.
    fn heard_key(&mut self, peer: Peer, channel: &str) -> bool {
        let key = key_of(channel);
        self.peers.get(peer).is_some_and(|c| c.channels.iter().any(|own| key_of(own) == key))
    }

    /// Whether the venue has a channel of that name.
    fn exists(&self, channel: &str) -> bool {
        let topic = Topic::read(channel.as_bytes());
        let of = std::str::from_utf8(topic.of).unwrap_or_default();
        let last = channel.rsplit('.').next().unwrap_or_default();
        let paced = [Pace::Raw, Pace::Ms100, Pace::Agg2].iter().any(|p| p.name() == last);
        let listed = self.tape || self.world.place(of).is_some();
        match topic.kind {
            Kind::Book(_) | Kind::Quote | Kind::TickerPart => listed,
            Kind::BookTop => {
                let parts: Vec<&str> = channel.split('.').collect();
                let (group, depth) = (parts.get(2).copied(), parts.get(3).copied());
                let grouped = group == Some("none") || self.tape;
                let deep = matches!(depth, Some("1" | "10" | "20"));
                listed && grouped && deep && paced && last != "raw"
            }
            Kind::Trades | Kind::Ticker | Kind::Perpetual => {
                let fits = topic.kind != Kind::Perpetual || of.ends_with("-PERPETUAL");
                listed && paced && fits
            }
            Kind::AllTrades => paced,
            Kind::Bars => {
                listed
                    && super::bars::length_ms(std::str::from_utf8(topic.detail).unwrap_or_default()).is_some()
            }
            Kind::PriceIndex => self.tape || self.world.index(of).is_some(),
            Kind::VolatilityIndex => {
                self.tape || (matches!(of, "btc_usd" | "eth_usd") && self.world.index(of).is_some())
            }
            Kind::MarkPrices => self.tape || self.world.index(last).is_some(),
            Kind::InstrumentState | Kind::PlatformState => true,
            Kind::Other => false,
        }
    }

    fn set_heartbeat(&mut self, peer: Peer, params: &Value, now: Ts) -> Result<Value, Fault> {
        let interval = params.get("interval").and_then(Value::as_u64);
        let interval = interval.filter(|s| *s >= HEARTBEAT_MIN_S).ok_or(Fault(-32_602, "Invalid params"))?;
        let ms = self.ping_ms.unwrap_or_else(|| interval.saturating_mul(1_000));
        if let Some(client) = self.peers.get(peer) {
            (client.heartbeat_ms, client.beat) = (Some(ms), now);
        }
        Ok("ok".into())
    }

    /// Any key with any secret but an empty or a `wrong` one; tokens as they were given.
    fn log_in(&mut self, peer: Peer, params: &Value, now: Ts) -> Result<Value, Fault> {
        let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
        let fine = match text("grant_type") {
            "client_credentials" => {
                !text("client_id").is_empty() && !matches!(text("client_secret"), "" | "wrong")
            }
            "client_signature" => !text("client_id").is_empty() && !text("signature").is_empty(),
            "refresh_token" => text("refresh_token").starts_with("refresh."),
            _ => return Err(Fault(-32_602, "Invalid params")),
        };
        if !fine {
            return Err(Fault(13_004, "invalid_credentials"));
        }
        if let Some(client) = self.peers.get(peer) {
            client.logged_in = true;
        }
        let token = now.as_ms();
        Ok(json!({
            "access_token": format!("access.{token}"), "expires_in": LOGIN_S,
            "refresh_token": format!("refresh.{token}"), "scope": "connection mainaccount",
            "enabled_features": [], "token_type": "bearer",
        }))
    }
}
