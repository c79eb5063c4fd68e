//! Wants to topics, topics to connections and frames; and what the venue answers.

use crate::parse::Kind;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Channel, InstrumentKind};
use serde::Deserialize;
use source::{Malformed, Options, Shard, Want};
use std::borrow::Cow;

/// Path of the v2 API.
pub const SECOND: &str = "/v2/ws/public";
/// Path of the v3 API.
pub const THIRD: &str = "/v3/ws/public";
/// How many topics one connection carries; the venue advises no more than 50.
pub const TOPICS_MAX: usize = 48;
/// How many topics a frame names; v3 closes the connection at 25.
const ARGS_MAX: usize = 10;
/// How many instruments one session polls: a request for each is due in five minutes, at one a second.
const POLLED_MAX: usize = 240;
/// Books are faster in v3: 50 ms, where v2 pushes each 100 to 150 ms. The nearest is taken.
const THIRD_BOOK_MS: u32 = 75;

/// What one argument of a subscription names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Whether it is of the v3 API.
    pub third: bool,
    /// Of which section.
    pub product: &'static Product,
    /// The venue's channel.
    pub channel: Cow<'static, str>,
    /// Of what; empty for the whole section.
    pub symbol: Box<str>,
}

impl Topic {
    /// The path of the connection that carries it.
    pub fn path(&self) -> &'static str {
        if self.third { THIRD } else { SECOND }
    }

    /// What it is to us.
    pub fn kind(&self) -> Kind {
        Kind::of(self.channel.as_bytes())
    }

    /// As it stands in a frame.
    fn arg(&self) -> String {
        let (channel, symbol) = (&self.channel, &self.symbol);
        if !self.third {
            let product = self.product.inst_type;
            return format!(r#"{{"instType":"{product}","channel":"{channel}","instId":"{symbol}"}}"#);
        }
        let product = self.product.name;
        if symbol.is_empty() {
            format!(r#"{{"instType":"{product}","topic":"{channel}"}}"#)
        } else {
            format!(r#"{{"instType":"{product}","topic":"{channel}","symbol":"{symbol}"}}"#)
        }
    }

    /// Whether the venue's words name this topic: `instType:SPOT,channel:books,instId:NOSUCH doesn't exist`.
    fn is_in(&self, words: &str) -> bool {
        let plain = words.replace(['"', '\\', ' '], "").to_ascii_lowercase();
        let (field, of) = if self.third { ("topic", "symbol") } else { ("channel", "instid") };
        let mut text = format!("insttype:{},{field}:{}", self.product.name, self.channel).to_lowercase();
        if !self.symbol.is_empty() {
            text = format!("{text},{of}:{}", self.symbol.to_lowercase());
        }
        plain.match_indices(&text).any(|(at, _)| {
            let after = plain.get(at + text.len()..).unwrap_or_default();
            after.is_empty() || after.starts_with("doesn't") || after.starts_with(['}', ',', '.'])
        })
    }
}

/// Whether a want is served by asking REST from time to time.
pub fn polled(channel: Channel) -> bool {
    matches!(channel, Channel::LongShortRatio | Channel::Status | Channel::Instruments)
}

/// Whether a want can be served by polling: ratios are kept of perpetuals settled in USDT.
fn pollable(want: &Want) -> bool {
    let ratio = want.channel == Channel::LongShortRatio;
    let kept =
        &*want.instrument.product == "usdt-futures" && want.instrument.kind == InstrumentKind::Perpetual;
    polled(want.channel) && (!ratio || kept) && Product::named(&want.instrument.product).is_some()
}

/// The topic for a want; `None` where the venue has no such channel for that instrument.
pub fn topic(want: &Want, options: &Options) -> Option<Topic> {
    let product = Product::named(&want.instrument.product)?;
    let futures = !product.spot();
    let perpetual = want.instrument.kind == InstrumentKind::Perpetual;
    let fast = options.book_ms < THIRD_BOOK_MS;
    let (third, channel, whole) = match want.channel {
        Channel::Trades => (false, "trade".into(), false),
        Channel::Book => (fast, "books".into(), false),
        Channel::BookTop => (false, "books15".into(), false),
        Channel::Quote => (false, "books1".into(), false),
        Channel::DayStats => (false, "ticker".into(), false),
        Channel::MarkPrice | Channel::IndexPrice | Channel::OpenInterest if futures => {
            (false, "ticker".into(), false)
        }
        Channel::Funding if perpetual => (false, "ticker".into(), false),
        Channel::Bars => {
            let (_, theirs, ..) = INTERVALS.iter().find(|row| row.0 == options.bar_interval)?;
            (false, format!("candle{theirs}").into(), false)
        }
        Channel::Liquidations if futures => (true, "liquidation".into(), true),
        _ => return None,
    };
    let symbol = if whole { "".into() } else { want.instrument.symbol.clone() };
    Some(Topic { third, product, channel, symbol })
}

/// A connection that is being filled.
struct Filling {
    path: Option<&'static str>,
    topics: Vec<Topic>,
    wants: Vec<Want>,
}

impl Filling {
    /// Whether there is room for a want of this topic; sessions that poll have none.
    fn takes(&self, path: Option<&'static str>) -> bool {
        let room =
            if path.is_some() { self.topics.len() < TOPICS_MAX } else { self.wants.len() < POLLED_MAX };
        self.path == path && room
    }
}

/// Cuts wants into connections. Wants of one topic stay together.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    for want in wants {
        let topic = topic(want, options);
        let path = topic.as_ref().map(Topic::path);
        if topic.is_none() && !pollable(want) {
            continue;
        }
        let has = |f: &Filling| topic.as_ref().is_some_and(|t| f.topics.contains(t));
        let place = filling
            .iter()
            .position(has)
            .or_else(|| filling.iter().position(|f| f.takes(path)))
            .unwrap_or_else(|| {
                filling.push(Filling { path, topics: Vec::new(), wants: Vec::new() });
                filling.len() - 1
            });
        let Some(f) = filling.get_mut(place) else { continue };
        if let Some(topic) = topic.filter(|t| !f.topics.contains(t)) {
            f.topics.push(topic);
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

/// Frames that subscribe to topics or end their subscription, all below the venue's limit of 4096 bytes.
///
/// `{"op":"subscribe","args":[{"instType":"SPOT","channel":"books","instId":"BTCUSDT"}]}`
pub fn frames(op: &str, topics: &[Topic]) -> Vec<Vec<u8>> {
    let frame = |part: &[Topic]| {
        let args: Vec<String> = part.iter().map(Topic::arg).collect();
        format!(r#"{{"op":"{op}","args":[{}]}}"#, args.join(",")).into_bytes()
    };
    topics.chunks(ARGS_MAX).map(frame).collect()
}

/// A frame with an `event`.
///
/// `{"event":"subscribe","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"}}`
///
/// `{"event":"error","arg":{"instType":"SPOT","channel":"books","instId":"NOSUCH"},"code":30001,"msg":"instType:SPOT,channel:books,instId:NOSUCH doesn't exist","op":"subscribe"}`
#[derive(Debug, Deserialize)]
pub struct Control<'a> {
    /// `subscribe`, `unsubscribe`, `error`.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// What it is about.
    #[serde(borrow, default)]
    pub arg: Option<ControlArg<'a>>,
    /// The venue's code of an error: a number or text.
    #[serde(default)]
    pub code: serde_json::Value,
    /// The venue's words.
    #[serde(borrow, default)]
    pub msg: Option<Cow<'a, str>>,
    /// What was asked for.
    #[serde(borrow, default)]
    pub op: Option<Cow<'a, str>>,
}

/// The argument in an acknowledgement.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlArg<'a> {
    /// The section.
    #[serde(borrow, default)]
    pub inst_type: Cow<'a, str>,
    /// The channel.
    #[serde(borrow, default, alias = "topic")]
    pub channel: Cow<'a, str>,
    /// Of an instrument.
    #[serde(borrow, default, alias = "symbol")]
    pub inst_id: Cow<'a, str>,
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

    /// The venue's words.
    pub fn words(&self) -> &str {
        self.msg.as_deref().unwrap_or_default()
    }

    /// Whether it is about this topic: by its argument, or by its words.
    pub fn names(&self, topic: &Topic) -> bool {
        match &self.arg {
            Some(arg) => {
                arg.channel == topic.channel
                    && *arg.inst_id == *topic.symbol
                    && arg.inst_type.eq_ignore_ascii_case(topic.product.name)
            }
            None => topic.is_in(self.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::PRODUCTS;
    use std::sync::Arc;

    fn want(product: usize, symbol: &str, channel: Channel) -> Want {
        let made = crate::listing::provisional(&PRODUCTS[product], symbol.as_bytes()).unwrap();
        Want { instrument: Arc::new(made), channel }
    }

    fn everything() -> Vec<Want> {
        let mut wants = Vec::new();
        for i in 0..60 {
            for channel in Channel::ALL {
                wants.push(want(0, &format!("C{i}USDT"), channel));
                wants.push(want(1, &format!("C{i}USDT"), channel));
                wants.push(want(3, &format!("C{i}USD"), channel));
            }
        }
        wants
    }

    #[test]
    fn connections_carry_no_more_than_the_venue_advises_and_topics_are_not_split() {
        let options = Options::default();
        let wants = everything();
        let shards = shards(&wants, &options);
        let kept: usize = shards.iter().map(|s| s.wants.len()).sum();
        let has = |w: &&Want| topic(w, &options).is_some() || pollable(w);
        assert_eq!(kept, wants.iter().filter(has).count());
        let mut all: Vec<Topic> = Vec::new();
        for shard in &shards {
            let mut topics: Vec<Topic> = Vec::new();
            for want in &shard.wants {
                let topic = topic(want, &options);
                assert_eq!(topic.as_ref().map(Topic::path), shard.path.as_deref());
                if let Some(topic) = topic.filter(|t| !topics.contains(t)) {
                    topics.push(topic);
                }
            }
            assert!(topics.len() <= TOPICS_MAX && (shard.path.is_some() || shard.wants.len() <= POLLED_MAX));
            assert!(topics.iter().all(|t| !all.contains(t)));
            all.extend(topics);
        }
        // Of each instrument six topics, and forced orders of two sections.
        assert_eq!(all.len(), 180 * 6 + 2);
    }

    #[test]
    fn frames_stay_below_the_limits() {
        let wants: Vec<Want> = (0..60).map(|i| want(2, &format!("COIN{i}PERP"), Channel::Trades)).collect();
        let topics: Vec<Topic> = wants.iter().filter_map(|w| topic(w, &Options::default())).collect();
        let all = frames("subscribe", &topics);
        assert_eq!(all.len(), 6);
        for frame in &all {
            assert!(frame.len() < 4_096);
            let read: serde_json::Value = serde_json::from_slice(frame).unwrap();
            assert_eq!(read["args"].as_array().unwrap().len(), 10);
        }
    }

    #[test]
    fn a_fast_book_is_asked_of_v3_and_its_neighbours_are_not() {
        let fast = Options { book_ms: 50, ..Options::default() };
        let book = topic(&want(1, "BTCUSDT", Channel::Book), &fast).unwrap();
        assert_eq!(book.arg(), r#"{"instType":"usdt-futures","topic":"books","symbol":"BTCUSDT"}"#);
        let slow = topic(&want(1, "BTCUSDT", Channel::Book), &Options::default()).unwrap();
        assert_eq!(slow.arg(), r#"{"instType":"USDT-FUTURES","channel":"books","instId":"BTCUSDT"}"#);
        assert_eq!(topic(&want(1, "BTCUSDT", Channel::Trades), &fast).unwrap().path(), SECOND);
        let odd = Options { bar_interval: "7m".to_owned(), ..fast };
        assert_eq!(topic(&want(1, "BTCUSDT", Channel::Bars), &odd), None);
    }

    #[test]
    fn an_error_names_its_topic_by_argument_or_words() {
        let books = topic(&want(0, "BTCUSDT", Channel::Book), &Options::default()).unwrap();
        let read = |text: &str| Control::read(text.as_bytes()).unwrap().names(&books);
        let by_arg = r#"{"event":"error","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"code":30001,"msg":"x","op":"subscribe"}"#;
        assert!(read(by_arg));
        assert!(!read(&by_arg.replace("SPOT", "USDT-FUTURES")));
        let by_words = r#"{"event":"error","code":"30001","msg":"instType:SPOT,channel:books,instId:BTCUSDT doesn't exist"}"#;
        assert!(read(by_words));
        assert!(!read(&by_words.replace("BTCUSDT", "BTCUSDTX")));
        assert!(!read(&by_words.replace("books", "books5")));
    }
}
