//! Wants to topics, topics to connections and frames; and what the venue answers.

use crate::listing::fault;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Channel, InstrumentKind};
use serde::Deserialize;
use source::{Malformed, Options, Shard, Want};
use std::borrow::Cow;

/// How many characters all topics of a connection may have; the venue takes 21 000.
pub const CHARS_MAX: usize = 20_000;
/// How many topics one connection carries; the venue takes 2 000 of options.
pub const TOPICS_MAX: usize = 1_000;
/// How many topics a request names; the venue takes 10 in spot. One that it refuses fails its whole request.
const ARGS_MAX: usize = 10;

/// How a channel is had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// By this topic.
    Topic(Box<str>),
    /// By asking for it by REST from time to time.
    Poll,
}

/// Depths and how often they are pushed, in ms.
const DEPTHS: [(u16, u32); 3] = [(50, 20), (200, 100), (1_000, 200)];
const OPTION_DEPTHS: [(u16, u32); 2] = [(25, 20), (100, 100)];

/// The depth of the book that is pushed about every `book_ms`.
pub fn depth(product: Product, book_ms: u32) -> u16 {
    let depths: &[(u16, u32)] = if product == Product::Option { &OPTION_DEPTHS } else { &DEPTHS };
    depths.iter().min_by_key(|(_, ms)| ms.abs_diff(book_ms)).map_or(50, |(depth, _)| *depth)
}

/// How a want is had; `None` where the venue has no such channel for that instrument.
pub fn route(want: &Want, options: &Options) -> Option<Route> {
    let instrument = &want.instrument;
    let product = Product::of(instrument)?;
    let symbol = &instrument.symbol;
    let topic = |name: &str| Some(Route::Topic(format!("{name}.{symbol}").into()));
    let contract = matches!(product, Product::Linear | Product::Inverse);
    let perpetual = contract && instrument.kind == InstrumentKind::Perpetual;
    match want.channel {
        Channel::Trades if product == Product::Option => {
            let coin = symbol.split('-').next().unwrap_or_default();
            Some(Route::Topic(format!("publicTrade.{coin}").into()))
        }
        Channel::Trades => topic("publicTrade"),
        Channel::Book => topic(&format!("orderbook.{}", depth(product, options.book_ms))),
        Channel::Quote if product != Product::Option => topic("orderbook.1"),
        Channel::Quote | Channel::DayStats => topic("tickers"),
        Channel::MarkPrice | Channel::IndexPrice | Channel::OpenInterest if product != Product::Spot => {
            topic("tickers")
        }
        Channel::Funding if perpetual => topic("tickers"),
        Channel::Greeks if product == Product::Option => topic("tickers"),
        Channel::Bars if product != Product::Option => {
            let (_, theirs, _) = INTERVALS.iter().find(|(ours, ..)| *ours == options.bar_interval)?;
            topic(&format!("kline.{theirs}"))
        }
        Channel::Liquidations if contract => topic("allLiquidation"),
        Channel::LongShortRatio if contract => Some(Route::Poll),
        Channel::Status | Channel::Instruments => Some(Route::Poll),
        _ => None,
    }
}

/// A connection that is being filled.
struct Filling {
    product: Product,
    poll: bool,
    topics: Vec<Box<str>>,
    chars: usize,
    wants: Vec<Want>,
}

/// Cuts wants into connections. Wants of one topic stay together; what is polled goes by itself.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    let mut homes: std::collections::HashMap<(Product, Box<str>), usize> = std::collections::HashMap::new();
    for want in wants {
        let (Some(product), Some(route)) = (Product::of(&want.instrument), route(want, options)) else {
            continue;
        };
        let (poll, text) = match route {
            Route::Topic(text) => (false, text),
            Route::Poll => (true, "".into()),
        };
        let fits = |f: &Filling| {
            f.product == product
                && f.poll == poll
                && (poll || (f.topics.len() < TOPICS_MAX && f.chars + text.len() <= CHARS_MAX))
        };
        let home = homes.get(&(product, text.clone())).copied();
        let place = home.or_else(|| filling.iter().position(fits)).unwrap_or_else(|| {
            filling.push(Filling { product, poll, topics: Vec::new(), chars: 0, wants: Vec::new() });
            filling.len() - 1
        });
        let Some(f) = filling.get_mut(place) else { continue };
        if home.is_none() {
            f.chars += text.len();
            f.topics.push(text.clone());
            homes.insert((product, text), place);
        }
        f.wants.push(want.clone());
    }
    let shard = |f: Filling| Shard {
        endpoint: f.product.endpoint(),
        path: (!f.poll).then(|| f.product.path().to_owned()),
        wants: f.wants,
        options: options.clone(),
    };
    filling.into_iter().map(shard).collect()
}

/// Frames that subscribe to topics or end their subscription, each with its own number from `request` on.
///
/// `{"req_id":"7","op":"subscribe","args":["orderbook.50.BTCUSDT","publicTrade.BTCUSDT"]}`
pub fn frame(op: &str, request: u64, topics: &[Box<str>]) -> Vec<u8> {
    let mut text = format!(r#"{{"req_id":"{request}","op":"{op}","args":["#);
    for (n, topic) in topics.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push('"');
        text.push_str(topic);
        text.push('"');
    }
    text.push_str("]}");
    text.into_bytes()
}

/// Cuts topics into what one request may name.
pub fn requests(topics: &[Box<str>]) -> std::slice::Chunks<'_, Box<str>> {
    topics.chunks(ARGS_MAX)
}

/// An answer to a request.
///
/// `{"success":true,"ret_msg":"subscribe","conn_id":"c1","req_id":"r1","op":"subscribe"}`
///
/// `{"success":true,"conn_id":"c1","data":{"failTopics":[],"successTopics":["orderbook.25.BTC-26DEC25-100000-C-USDT"]},"type":"COMMAND_RESP"}`
///
/// `{"success":false,"ret_msg":"error:handler not found,topic:orderbook.7.BTCUSDT","conn_id":"c1","req_id":"r2","op":"subscribe"}`
#[derive(Debug, Deserialize)]
pub struct Control<'a> {
    /// Whether it was done; a pong of options does not say.
    #[serde(default)]
    pub success: Option<bool>,
    /// The venue's words; `pong` where it answers a ping.
    #[serde(borrow, default)]
    pub ret_msg: Cow<'a, str>,
    /// Of the request.
    #[serde(borrow, default)]
    pub req_id: Option<Cow<'a, str>>,
    /// `subscribe`, `unsubscribe`, `ping`, `pong`.
    #[serde(borrow, default)]
    pub op: Cow<'a, str>,
    /// `COMMAND_RESP` of options.
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
    /// What options did with each topic.
    #[serde(default)]
    pub data: Option<Topics>,
    /// The request itself, as the retired API gave it back.
    #[serde(default)]
    pub request: Option<Request>,
}

/// What became of each topic of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Refused.
    #[serde(default)]
    pub fail_topics: Vec<Box<str>>,
    /// Done.
    #[serde(default)]
    pub success_topics: Vec<Box<str>>,
}

/// A request that was given back.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// `subscribe`
    #[serde(default)]
    pub op: String,
}

impl Control<'_> {
    /// Reads a frame.
    pub fn read(bytes: &[u8]) -> Result<Control<'_>, Malformed> {
        serde_json::from_slice(bytes).map_err(|e| fault(bytes, &e))
    }

    /// Which kind of answer it is.
    pub fn name(&self) -> Option<&'static str> {
        let given_back = self.request.as_ref().map_or("", |r| r.op.as_str());
        match (&*self.op, &*self.kind, &*self.ret_msg, given_back) {
            ("ping" | "pong", ..) | (_, _, "pong", _) | (.., "ping") => Some("pong"),
            ("subscribe", ..) | (.., "subscribe") => Some("subscribe"),
            ("unsubscribe", ..) | (.., "unsubscribe") => Some("unsubscribe"),
            (_, "COMMAND_RESP", ..) => Some("command"),
            _ => None,
        }
    }

    /// The number of the request, where it is one of ours.
    pub fn request(&self) -> Option<u64> {
        self.req_id.as_deref().and_then(|id| id.parse().ok())
    }

    /// Whether the venue's words name this topic: `error:handler not found,topic:orderbook.7.BTCUSDT`.
    pub fn names(&self, topic: &str) -> bool {
        let apart = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        self.ret_msg.split(apart).any(|word| word == topic)
    }

    /// Whether it was refused because it is had already.
    pub fn is_double(&self) -> bool {
        self.ret_msg.contains("already subscribed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::provisional;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn want(product: Product, symbol: &str, channel: Channel) -> Want {
        Want { instrument: Arc::new(provisional(product, symbol.as_bytes()).unwrap()), channel }
    }

    fn topic(product: Product, symbol: &str, channel: Channel, options: &Options) -> Option<String> {
        match route(&want(product, symbol, channel), options)? {
            Route::Topic(text) => Some(text.into()),
            Route::Poll => Some("poll".to_owned()),
        }
    }

    #[test]
    fn each_channel_has_its_topic_in_each_product() {
        let options = Options::default();
        for (product, symbol, channel, expected) in [
            (Product::Spot, "BTCUSDT", Channel::Book, Some("orderbook.200.BTCUSDT")),
            (Product::Spot, "BTCUSDT", Channel::Quote, Some("orderbook.1.BTCUSDT")),
            (Product::Spot, "BTCUSDT", Channel::MarkPrice, None),
            (Product::Spot, "BTCUSDT", Channel::LongShortRatio, None),
            (Product::Linear, "BTCUSDT", Channel::Funding, Some("tickers.BTCUSDT")),
            (Product::Linear, "BTC-25DEC26", Channel::Funding, None),
            (Product::Linear, "BTCUSDT", Channel::LongShortRatio, Some("poll")),
            (Product::Linear, "BTCUSDT", Channel::Bars, Some("kline.1.BTCUSDT")),
            (Product::Inverse, "BTCUSD", Channel::Liquidations, Some("allLiquidation.BTCUSD")),
            (Product::Option, "BTC-25DEC26-1-C-USDT", Channel::Trades, Some("publicTrade.BTC")),
            (
                Product::Option,
                "BTC-25DEC26-1-C-USDT",
                Channel::Book,
                Some("orderbook.100.BTC-25DEC26-1-C-USDT"),
            ),
            (Product::Option, "BTC-25DEC26-1-C-USDT", Channel::Quote, Some("tickers.BTC-25DEC26-1-C-USDT")),
            (Product::Option, "BTC-25DEC26-1-C-USDT", Channel::Bars, None),
        ] {
            let found = topic(product, symbol, channel, &options);
            assert_eq!(found.as_deref(), expected, "{symbol} {}", channel.name());
        }
    }

    #[test]
    fn the_nearest_speed_of_a_book_is_taken_and_never_that_of_the_best_level() {
        for (ms, depths) in [(0, (50, 25)), (10, (50, 25)), (70, (200, 100)), (500, (1_000, 100))] {
            assert_eq!((depth(Product::Linear, ms), depth(Product::Option, ms)), depths, "{ms}");
        }
    }

    #[test]
    fn connections_keep_the_venues_limits_and_no_want_is_lost() {
        let mut wants = Vec::new();
        for i in 0..700 {
            for channel in Channel::ALL {
                wants.push(want(Product::Linear, &format!("COIN{i}USDT"), channel));
                wants.push(want(Product::Option, &format!("BTC-25DEC26-{}-C-USDT", i + 1), channel));
            }
        }
        let options = Options::default();
        let shards = shards(&wants, &options);
        let kept: usize = shards.iter().map(|s| s.wants.len()).sum();
        assert_eq!(kept, wants.iter().filter(|w| route(w, &options).is_some()).count());
        for shard in &shards {
            let routes: BTreeSet<String> = shard
                .wants
                .iter()
                .filter_map(|w| match route(w, &options) {
                    Some(Route::Topic(text)) => Some(text.into()),
                    _ => None,
                })
                .collect();
            assert_eq!(shard.path.is_none(), routes.is_empty());
            assert!(routes.len() <= TOPICS_MAX);
            assert!(routes.iter().map(String::len).sum::<usize>() <= 21_000);
            let product = Product::at(shard.endpoint).unwrap();
            assert!(shard.wants.iter().all(|w| Product::of(&w.instrument) == Some(product)));
        }
        // Trades of all options of a coin are one topic.
        let trades = |s: &&Shard| s.endpoint == 3 && s.wants.iter().any(|w| w.channel == Channel::Trades);
        assert_eq!(shards.iter().filter(trades).count(), 1);
    }

    #[test]
    fn an_answer_names_its_topic_exactly() {
        let text = r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.7.BTCUSDT","conn_id":"c","req_id":"12","op":"subscribe"}"#;
        let control = Control::read(text.as_bytes()).unwrap();
        assert!(control.names("orderbook.7.BTCUSDT"));
        assert!(!control.names("orderbook.7.BTCUSD") && !control.names("orderbook.70.BTCUSDT"));
        assert_eq!(
            (control.request(), control.name(), control.is_double()),
            (Some(12), Some("subscribe"), false)
        );
        let text = r#"{"success":false,"ret_msg":"error:already subscribed,topic:tickers.BTCUSDT","op":"subscribe"}"#;
        assert!(Control::read(text.as_bytes()).unwrap().is_double());
    }

    #[test]
    fn each_form_of_pong_is_one() {
        for text in [
            r#"{"success":true,"ret_msg":"pong","conn_id":"c1","op":"ping"}"#,
            r#"{"success":true,"ret_msg":"pong","conn_id":"c1","req_id":"1","op":"ping"}"#,
            r#"{"args":["1760000000000"],"op":"pong"}"#,
        ] {
            assert_eq!(Control::read(text.as_bytes()).unwrap().name(), Some("pong"), "{text}");
        }
    }
}
