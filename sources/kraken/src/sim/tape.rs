//! In front of a recording: under which subscription a recorded frame was sent, and the requests of the retired stream.

use super::KrakenSim;
use crate::listing;
use crate::names;
use crate::parse::{self, Kind};
use crate::v1;
use model::Ts;
use serde_json::{Value, json};
use source::{Cursor, Peer, SimAction, Topic};

/// Under which name a subscription is known: `book/BTC/USD`, `ohlc-5/BTC/USD`. The stream in force and the retired one
/// share names; a client of one may be served a recording of the other.
pub fn key(feed: &str, symbol: &str) -> String {
    format!("{feed}/{symbol}")
}

/// The subscription of a recorded frame.
pub fn topic(endpoint: usize, bytes: &[u8]) -> Option<Topic> {
    if bytes.first() == Some(&b'[') {
        return if endpoint == crate::SPOT { old(bytes) } else { None };
    }
    let (f, read) = parse::frame(bytes, |_, _| Ok(false));
    read.ok()?;
    if endpoint == crate::FUTURES {
        let product = std::str::from_utf8(f.product?).ok()?.to_uppercase();
        listing::provisional(product.as_bytes())?;
        let (feed, fresh) = match f.feed? {
            b"book" => ("book", false),
            b"book_snapshot" => ("book", true),
            b"trade" | b"trade_snapshot" => ("trade", true),
            b"ticker" => ("ticker", true),
            b"ticker_lite" => ("ticker_lite", true),
            _ => return None,
        };
        return Some(Topic { key: key(feed, &product), fresh });
    }
    let whole = f.word == Some(b"snapshot");
    let mut data = f.data.clone()?;
    let feed = match f.kind? {
        Kind::Book => "book".to_owned(),
        Kind::Trade => "trade".to_owned(),
        Kind::Ticker => "ticker".to_owned(),
        Kind::Ohlc => format!("ohlc-{}", first(&mut data.clone(), b"interval")?),
        Kind::Instrument => return Some(Topic { key: key("instrument", ""), fresh: whole }),
        Kind::Status | Kind::Heartbeat | Kind::Other => return None,
    };
    let symbol = first(&mut data, b"symbol")?;
    Some(Topic { key: key(&feed, &symbol), fresh: whole || f.kind != Some(Kind::Book) })
}

/// A field of the first row of `data`.
fn first(data: &mut Cursor<'_>, field: &[u8]) -> Option<String> {
    let mut found = None;
    data.array(|c| {
        c.object(|c, key| {
            if key == field && found.is_none() {
                let text = c.number()?;
                found = std::str::from_utf8(text).ok().map(str::to_owned);
                Ok(())
            } else {
                c.skip().map(|_| ())
            }
        })
    })
    .ok()?;
    found
}

/// A frame of the retired stream.
fn old(bytes: &[u8]) -> Option<Topic> {
    let f = v1::frame(bytes).ok()?;
    let symbol = names::symbol(f.pair)?;
    let mut c = f.payloads.first()?.clone();
    let whole = c.skip().ok()?.starts_with(b"{\"as\"") || f.payloads.iter().any(|p| has_whole(p.clone()));
    let name = f.channel.split('-').next().unwrap_or_default();
    let feed = if name == "book" { name } else { f.channel };
    Some(Topic { key: key(feed, &symbol), fresh: name != "book" || whole })
}

/// Whether a payload of a book is the whole of it.
fn has_whole(mut c: Cursor<'_>) -> bool {
    let mut whole = false;
    let read = c.object(|c, key| {
        whole |= matches!(key, b"as" | b"bs");
        c.skip().map(|_| ())
    });
    read.is_ok() && whole
}

impl KrakenSim {
    /// A request of the retired stream.
    ///
    /// `{"event":"subscribe","pair":["XBT/USD"],"subscription":{"name":"book","depth":1000}}`
    pub(super) fn old_request(
        &mut self,
        peer: Peer,
        request: Option<&Value>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let text = |path: &str| request.and_then(|r| r.pointer(path)).and_then(Value::as_str);
        let event = text("/event").unwrap_or_default();
        let begins = event == "subscribe";
        if event == "ping" {
            return self.peers.send(peer, r#"{"event":"pong"}"#.to_owned(), now, out);
        }
        if !begins && event != "unsubscribe" {
            let words = r#"{"errorMessage":"Malformed request","event":"error"}"#;
            return self.peers.send(peer, words.to_owned(), now, out);
        }
        let name = text("/subscription/name").unwrap_or_default().to_owned();
        let number = |key: &str, usual: u64| {
            let path = format!("/subscription/{key}");
            request.and_then(|r| r.pointer(&path)).and_then(Value::as_u64).unwrap_or(usual)
        };
        let (feed, channel, subscription) = match &*name {
            "book" => {
                let depth = number("depth", 10);
                (name.clone(), format!("book-{depth}"), json!({"depth": depth, "name": name}))
            }
            "ohlc" => {
                let minutes = number("interval", 1);
                let feed = format!("ohlc-{minutes}");
                (feed.clone(), feed, json!({"interval": minutes, "name": name}))
            }
            _ => (name.clone(), name.clone(), json!({"name": name})),
        };
        let offered = ["book", "trade", "ticker", "spread", "ohlc"].contains(&&*name);
        let pairs =
            request.and_then(|r| r.get("pair")).and_then(Value::as_array).cloned().unwrap_or_default();
        for pair in pairs.iter().filter_map(Value::as_str) {
            let symbol = names::symbol(pair).filter(|_| offered);
            let status = match (&symbol, begins) {
                (None, _) => "error",
                (Some(_), true) => "subscribed",
                (Some(_), false) => "unsubscribed",
            };
            let mut answer = json!({
                "channelID": 321, "channelName": channel, "event": "subscriptionStatus", "pair": pair,
                "status": status, "subscription": subscription,
            });
            if let (None, Some(map)) = (&symbol, answer.as_object_mut()) {
                let words = format!("Currency pair not supported {pair}");
                map.insert("errorMessage".to_owned(), words.into());
            }
            self.peers.send(peer, answer.to_string(), now, out);
            let Some(symbol) = symbol else { continue };
            let (topic, key) = ((feed.clone(), symbol.clone()), key(&feed, &symbol));
            if begins && self.peers.join(peer, &topic, 0) {
                out.push(SimAction::Joined { peer, key });
            } else if !begins && self.peers.leave(peer, &topic) {
                out.push(SimAction::Left { peer, key });
            }
        }
    }
}
