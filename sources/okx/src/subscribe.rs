//! Wants to arguments, arguments to connections and frames; and what the venue answers.

use crate::listing::{index_of, inst_type};
use crate::parse::Kind;
use crate::rows::INTERVALS;
use model::{Channel, InstrumentKind};
use serde::Deserialize;
use source::{Malformed, Options, Shard, Want};
use std::borrow::Cow;

/// Path of the connection for most channels.
pub const PUBLIC: &str = "/ws/v5/public";
/// Path of the connection for bars.
pub const BUSINESS: &str = "/ws/v5/business";
/// What is asked for by REST instead: the last word of its path.
pub const RATIO: &str = "long-short-account-ratio-contract";
/// How many `books` channels one connection carries; the venue advises fewer than 30.
pub const BOOKS_MAX: usize = 29;
/// How many arguments one connection carries.
pub const ARGS_MAX: usize = 240;
/// The largest frame that is sent; the venue takes 64 KiB.
const FRAME_BYTES_MAX: usize = 60_000;

/// What one argument of a subscription names, or one question by REST.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The venue's channel.
    pub channel: Cow<'static, str>,
    /// Of what.
    pub key: Key,
}

/// How a channel is addressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// By `instId`.
    Inst(Box<str>),
    /// By `instType`.
    Type(&'static str),
    /// By `instFamily`.
    Family(Box<str>),
}

impl Topic {
    /// Whether it is a book by snapshot and updates.
    pub fn is_book(&self) -> bool {
        matches!(Kind::of(self.channel.as_bytes()), Kind::Book(_))
    }

    /// The path of the connection that carries it; `None` where it is asked for by REST.
    pub fn path(&self) -> Option<&'static str> {
        match &*self.channel {
            RATIO => None,
            channel if channel.starts_with("candle") => Some(BUSINESS),
            _ => Some(PUBLIC),
        }
    }

    /// The field and value that name what it is of.
    pub fn named(&self) -> (&'static str, &str) {
        match &self.key {
            Key::Inst(inst) => ("instId", inst),
            Key::Type(word) => ("instType", word),
            Key::Family(family) => ("instFamily", family),
        }
    }

    /// Whether the venue's words name this argument: `channel:books,instId:XXX-YYY doesn't exist`.
    fn is_in(&self, words: &str) -> bool {
        let (field, value) = self.named();
        let plain = words.replace(['"', '\\', ' '], "");
        let text = format!("channel:{},{field}:{value}", self.channel);
        plain.match_indices(&text).any(|(at, _)| {
            let after = plain.get(at + text.len()..).unwrap_or_default().chars().next();
            !after.is_some_and(|c| c == '-' || c == '_' || (c.is_ascii_alphanumeric() && !c.is_lowercase()))
        })
    }
}

/// The argument for a want; `None` where the venue has no such channel for that instrument.
pub fn topic(want: &Want, options: &Options) -> Option<Topic> {
    let symbol = &want.instrument.symbol;
    let spot = matches!(want.instrument.kind, InstrumentKind::Spot | InstrumentKind::Index);
    let perpetual = want.instrument.kind == InstrumentKind::Perpetual;
    let by_inst = |channel: &'static str| Some((Cow::Borrowed(channel), Key::Inst(symbol.clone())));
    let by_type =
        |channel: &'static str| Some((Cow::Borrowed(channel), Key::Type(inst_type(want.instrument.kind))));
    let (channel, key) = match want.channel {
        Channel::Trades => by_inst("trades"),
        Channel::Book => by_inst("books"),
        Channel::BookTop => by_inst("books5"),
        Channel::Quote => by_inst("bbo-tbt"),
        Channel::DayStats => by_inst("tickers"),
        Channel::Bars => {
            let (_, theirs) = INTERVALS.iter().find(|(ours, _)| *ours == options.bar_interval)?;
            Some((Cow::Owned(format!("candle{theirs}")), Key::Inst(symbol.clone())))
        }
        Channel::IndexPrice => Some(("index-tickers".into(), Key::Inst(index_of(symbol).into()))),
        Channel::MarkPrice if !spot => by_inst("mark-price"),
        Channel::OpenInterest if !spot => by_inst("open-interest"),
        Channel::Liquidations if !spot => by_type("liquidation-orders"),
        Channel::Funding if perpetual => by_inst("funding-rate"),
        Channel::LongShortRatio if perpetual || want.instrument.kind == InstrumentKind::Future => {
            by_inst(RATIO)
        }
        Channel::Greeks if want.instrument.kind == InstrumentKind::Option => {
            Some(("opt-summary".into(), Key::Family(index_of(symbol).into())))
        }
        Channel::Instruments | Channel::Status => by_type("instruments"),
        _ => None,
    }?;
    Some(Topic { channel, key })
}

/// A connection that is being filled.
struct Filling {
    path: Option<&'static str>,
    topics: Vec<Topic>,
    books: usize,
    wants: Vec<Want>,
}

/// Cuts wants into connections. Wants of one argument stay together.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    for want in wants {
        let Some(topic) = topic(want, options) else { continue };
        let (path, book) = (topic.path(), topic.is_book());
        let fits =
            |f: &Filling| f.path == path && f.topics.len() < ARGS_MAX && (!book || f.books < BOOKS_MAX);
        let place = filling
            .iter()
            .position(|f| f.topics.contains(&topic))
            .or_else(|| filling.iter().position(fits))
            .unwrap_or_else(|| {
                filling.push(Filling { path, topics: Vec::new(), books: 0, wants: Vec::new() });
                filling.len() - 1
            });
        let Some(f) = filling.get_mut(place) else { continue };
        if !f.topics.contains(&topic) {
            f.topics.push(topic);
            f.books += usize::from(book);
        }
        if !f.wants.contains(want) {
            f.wants.push(want.clone());
        }
    }
    let shard = |f: Filling| Shard {
        endpoint: 0,
        path: f.path.map(str::to_owned),
        wants: f.wants,
        options: options.clone(),
    };
    filling.into_iter().map(shard).collect()
}

/// Frames that subscribe to topics or end their subscription.
///
/// `{"id":"7","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}`
pub fn frames<'t>(op: &str, id: u64, topics: impl Iterator<Item = &'t Topic>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut args = String::new();
    let close = |args: &str| format!(r#"{{"id":"{id}","op":"{op}","args":[{args}]}}"#).into_bytes();
    for topic in topics {
        let (field, value) = topic.named();
        let arg = format!(r#"{{"channel":"{}","{field}":"{value}"}}"#, topic.channel);
        if args.len() + arg.len() > FRAME_BYTES_MAX {
            frames.push(close(&args));
            args.clear();
        }
        if !args.is_empty() {
            args.push(',');
        }
        args.push_str(&arg);
    }
    if !args.is_empty() {
        frames.push(close(&args));
    }
    frames
}

/// A frame with an `event`.
///
/// `{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}`
///
/// `{"id":"1512","event":"error","code":"60018","msg":"Wrong URL or channel:books,instId:XXX-YYY doesn't exist. …","connId":"a4d3ae55"}`
#[derive(Debug, Deserialize)]
pub struct Control<'a> {
    /// `subscribe`, `unsubscribe`, `error`, `notice`.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// What it is about.
    #[serde(borrow, default)]
    pub arg: Option<ControlArg<'a>>,
    /// The venue's code of an error or notice; text, and a number in the retired API.
    #[serde(default)]
    pub code: serde_json::Value,
    /// The venue's words.
    #[serde(borrow, default)]
    pub msg: Cow<'a, str>,
    /// Of the request.
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
}

/// The argument in an acknowledgement.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlArg<'a> {
    /// The channel.
    #[serde(borrow, default)]
    pub channel: Cow<'a, str>,
    /// Of an instrument,
    #[serde(borrow, default)]
    pub inst_id: Cow<'a, str>,
    /// or of a product,
    #[serde(borrow, default)]
    pub inst_type: Cow<'a, str>,
    /// or of a family.
    #[serde(borrow, default)]
    pub inst_family: Cow<'a, str>,
}

impl Control<'_> {
    /// Reads a frame.
    pub fn read(bytes: &[u8]) -> Result<Control<'_>, Malformed> {
        serde_json::from_slice(bytes).map_err(|e| crate::listing::fault(bytes, &e))
    }

    /// The code as text.
    pub fn code(&self) -> String {
        match &self.code {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    /// Whether it is about this topic: by its argument, or by its words.
    pub fn names(&self, topic: &Topic) -> bool {
        match &self.arg {
            Some(arg) => {
                arg.channel == topic.channel
                    && match &topic.key {
                        Key::Inst(inst) => *arg.inst_id == **inst,
                        Key::Type(word) => arg.inst_type == *word,
                        Key::Family(family) => *arg.inst_family == **family,
                    }
            }
            None => topic.is_in(&self.msg),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Instrument;
    use std::sync::Arc;

    fn want(symbol: &str, channel: Channel) -> Want {
        let made: Instrument = crate::listing::provisional(symbol.as_bytes()).unwrap();
        Want { instrument: Arc::new(made), channel }
    }

    #[test]
    fn connections_carry_fewer_than_thirty_books_and_bars_and_ratios_go_elsewhere() {
        let mut wants = Vec::new();
        for i in 0..100 {
            for channel in Channel::ALL {
                wants.push(want(&format!("C{i}-USDT-SWAP"), channel));
            }
        }
        let shards = shards(&wants, &Options::default());
        let kept: usize = shards.iter().map(|s| s.wants.len()).sum();
        let offered = crate::SPEC.channels.iter().filter(|c| c.channel != Channel::Greeks);
        assert_eq!(kept, 100 * offered.count(), "all but what is of options alone");
        for shard in &shards {
            let books = shard.wants.iter().filter(|w| w.channel == Channel::Book).count();
            assert!(books <= BOOKS_MAX);
            let bars = shard.wants.iter().filter(|w| w.channel == Channel::Bars).count();
            let ratios = shard.wants.iter().filter(|w| w.channel == Channel::LongShortRatio).count();
            let path = match (bars, ratios) {
                (0, 0) => Some(PUBLIC),
                (_, 0) => Some(BUSINESS),
                _ => None,
            };
            assert_eq!(shard.path.as_deref(), path);
            assert!([0, shard.wants.len()].contains(&(bars + ratios)));
            let mut topics: Vec<_> = shard
                .wants
                .iter()
                .filter_map(|w| topic(w, &shard.options))
                .map(|t| format!("{t:?}"))
                .collect();
            topics.sort();
            topics.dedup();
            assert!(topics.len() <= ARGS_MAX);
        }
        let forced = shards.iter().filter(|s| s.wants.iter().any(|w| w.channel == Channel::Liquidations));
        assert_eq!(forced.count(), 1);
    }

    #[test]
    fn frames_stay_below_the_limit() {
        let topics: Vec<_> = (0..3_000)
            .map(|i| Topic { channel: "books".into(), key: Key::Inst(format!("COIN{i}-USDT").into()) })
            .collect();
        let all = frames("subscribe", 7, topics.iter());
        assert!(all.len() > 1);
        for frame in &all {
            assert!(frame.len() < 65_536);
            serde_json::from_slice::<serde_json::Value>(frame).unwrap();
        }
    }

    #[test]
    fn an_error_names_its_lane_in_words() {
        let topic = Topic { channel: "books".into(), key: Key::Inst("BTC-USDT".into()) };
        let read = |msg: &str| {
            let text = format!(r#"{{"event":"error","code":"60018","msg":"{msg}","connId":"a"}}"#);
            let control = Control::read(text.as_bytes()).unwrap();
            (control.code(), control.names(&topic))
        };
        let words = "Wrong URL or channel:books,instId:BTC-USDT doesn't exist. Please use the correct URL";
        assert_eq!(read(words), ("60018".to_owned(), true));
        assert!(!read("Wrong URL or channel:books,instId:BTC-USDT-SWAP doesn't exist.").1);
        assert!(!read("Wrong URL or channel:books5,instId:BTC-USDT doesn't exist.").1);
    }
}
