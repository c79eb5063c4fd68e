//! Wants to topics, topics to connections and frames; and what the venue answers.

use crate::{Feed, listing};
use model::{Channel, InstrumentKind};
use serde::Deserialize;
use source::{Malformed, Options, Shard, Want};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many books one connection carries. A hole in the count of an Advanced Trade connection is a gap of each of them,
/// and the whole book of a large market is 5 MB.
pub const BOOKS_MAX: usize = 10;
/// How many topics one connection carries.
pub const TOPICS_MAX: usize = 300;
/// How many instruments one session polls.
pub const POLLED_MAX: usize = 200;
/// How many products are named in one frame.
const PRODUCTS_MAX: usize = 100;
/// The interval of the bars that Advanced Trade pushes.
pub const PUSHED_BARS: &str = "5m";

/// Path of the WebSocket.
pub const PATH: &str = "/";

/// What is subscribed to: a channel of a product; of all products where it names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    /// As it is asked for.
    pub channel: &'static str,
    /// The venue's spelling, or empty.
    pub product: Box<str>,
}

impl Topic {
    /// Whether it feeds a book.
    pub fn is_book(&self) -> bool {
        self.channel.starts_with("level2")
    }

    /// Whether an acknowledged channel of this name is ours; the venue acknowledges some under another name.
    pub fn is_called(&self, name: &str) -> bool {
        self.channel == name || (self.is_book() && (name.starts_with("level2") || name == "l2_data"))
    }
}

/// How a want is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// By a subscription.
    Pushed(Topic),
    /// By asking again and again.
    Polled,
}

/// How a want is met; `None` where the venue has no such channel for that instrument.
pub fn route(want: &Want, options: &Options) -> Option<Route> {
    let (feed, kind) = (Feed::of(&want.instrument), want.instrument.kind);
    let product = want.instrument.symbol.clone();
    let pushed = |channel: &'static str| Some(Route::Pushed(Topic { channel, product: product.clone() }));
    match (want.channel, feed) {
        (Channel::Trades, Feed::Advanced) => pushed("market_trades"),
        (Channel::Trades, Feed::Exchange) => pushed("matches"),
        (Channel::Book, Feed::Advanced) => pushed("level2"),
        (Channel::Book, Feed::Exchange) => pushed("level2_batch"),
        (Channel::Quote | Channel::DayStats, _) => pushed("ticker"),
        (Channel::Status | Channel::Instruments, Feed::Advanced) => pushed("status"),
        (Channel::Status | Channel::Instruments, Feed::Exchange) => {
            Some(Route::Pushed(Topic { channel: "status", product: "".into() }))
        }
        (Channel::Bars, Feed::Advanced) if options.bar_interval == PUSHED_BARS => pushed("candles"),
        (Channel::Bars, _) => interval(feed, &options.bar_interval).map(|_| Route::Polled),
        (Channel::Funding, Feed::Advanced) if kind == InstrumentKind::Perpetual => Some(Route::Polled),
        (Channel::OpenInterest | Channel::IndexPrice, Feed::Advanced) if kind != InstrumentKind::Spot => {
            Some(Route::Polled)
        }
        _ => None,
    }
}

/// An interval of bars: ours, in seconds, and as Advanced Trade calls it.
const INTERVALS: [(&str, u64, &str); 8] = [
    ("1m", 60, "ONE_MINUTE"),
    ("5m", 300, "FIVE_MINUTE"),
    ("15m", 900, "FIFTEEN_MINUTE"),
    ("30m", 1_800, "THIRTY_MINUTE"),
    ("1h", 3_600, "ONE_HOUR"),
    ("2h", 7_200, "TWO_HOUR"),
    ("6h", 21_600, "SIX_HOUR"),
    ("1d", 86_400, "ONE_DAY"),
];

/// The length in seconds of an interval that the feed has, and what it calls it.
pub fn interval(feed: Feed, ours: &str) -> Option<(u64, Cow<'static, str>)> {
    let (_, seconds, word) = INTERVALS.iter().find(|(name, ..)| *name == ours)?;
    match feed {
        Feed::Advanced => Some((*seconds, Cow::Borrowed(*word))),
        // Exchange has no half hour and no two hours.
        Feed::Exchange if matches!(*seconds, 1_800 | 7_200) => None,
        Feed::Exchange => Some((*seconds, Cow::Owned(seconds.to_string()))),
    }
}

/// The length in seconds of an interval by the venue's name for it.
pub fn granularity(word: &str) -> Option<i64> {
    let found = INTERVALS.iter().find(|(_, seconds, theirs)| *theirs == word || seconds.to_string() == word);
    found.map(|(_, seconds, _)| seconds.cast_signed())
}

/// A connection that is being filled.
struct Filling {
    feed: Feed,
    polls: bool,
    topics: Vec<Topic>,
    books: usize,
    wants: Vec<Want>,
}

impl Filling {
    fn takes(&self, feed: Feed, topic: Option<&Topic>) -> bool {
        let room = match topic {
            None => self.wants.len() < POLLED_MAX,
            Some(topic) => self.topics.len() < TOPICS_MAX && (!topic.is_book() || self.books < BOOKS_MAX),
        };
        self.feed == feed && self.polls == topic.is_none() && room
    }
}

/// Cuts wants into connections. Wants of one topic stay together; what is polled has a session of its own.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut all: Vec<Filling> = Vec::new();
    for want in wants {
        let feed = Feed::of(&want.instrument);
        let topic = match route(want, options) {
            None => continue,
            Some(Route::Polled) => None,
            Some(Route::Pushed(topic)) => Some(topic),
        };
        let known = |f: &Filling| f.feed == feed && topic.as_ref().is_some_and(|t| f.topics.contains(t));
        let at = all
            .iter()
            .position(known)
            .or_else(|| all.iter().position(|f| f.takes(feed, topic.as_ref())))
            .unwrap_or_else(|| {
                let polls = topic.is_none();
                all.push(Filling { feed, polls, topics: Vec::new(), books: 0, wants: Vec::new() });
                all.len() - 1
            });
        let Some(filling) = all.get_mut(at) else { continue };
        if let Some(topic) = topic.filter(|topic| !filling.topics.contains(topic)) {
            filling.books += usize::from(topic.is_book());
            filling.topics.push(topic);
        }
        if !filling.wants.contains(want) {
            filling.wants.push(want.clone());
        }
    }
    let shard = |f: Filling| Shard {
        endpoint: f.feed.endpoint(),
        path: (!f.polls).then(|| PATH.to_owned()),
        wants: f.wants,
        options: options.clone(),
    };
    all.into_iter().map(shard).collect()
}

/// Frames that subscribe to topics (`subscribe`) or end subscriptions (`unsubscribe`).
///
/// Advanced Trade takes one channel a frame, Exchange several:
///
/// `{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}`
///
/// `{"type":"subscribe","channels":[{"name":"level2_batch","product_ids":["BTC-USD"]}]}`
pub fn frames<'t>(feed: Feed, word: &str, topics: impl Iterator<Item = &'t Topic>) -> Vec<Vec<u8>> {
    let mut by_channel: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for topic in topics {
        by_channel.entry(topic.channel).or_default().push(&topic.product);
    }
    let mut groups = Vec::new();
    for (channel, products) in &by_channel {
        for part in products.chunks(PRODUCTS_MAX) {
            let named: Vec<String> =
                part.iter().filter(|p| !p.is_empty()).map(|p| format!(r#""{p}""#)).collect();
            groups.push((*channel, named.join(",")));
        }
    }
    if feed == Feed::Advanced {
        let frame = |(channel, products): &(&str, String)| {
            let products = match products.as_str() {
                "" => String::new(),
                all => format!(r#""product_ids":[{all}],"#),
            };
            format!(r#"{{"type":"{word}",{products}"channel":"{channel}"}}"#).into_bytes()
        };
        return groups.iter().map(frame).collect();
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let mut text = format!(r#"{{"type":"{word}","channels":["#);
    for (n, (channel, products)) in groups.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        let _ = match products.as_str() {
            "" => write!(text, r#"{comma}{{"name":"{channel}"}}"#),
            all => write!(text, r#"{comma}{{"name":"{channel}","product_ids":[{all}]}}"#),
        };
    }
    text.push_str("]}");
    vec![text.into_bytes()]
}

/// What an acknowledgement lists: all that the connection is subscribed to now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Channel and product; a channel without products holds them all.
    all: Vec<(String, Option<String>)>,
}

impl Held {
    /// Whether a topic is listed.
    pub fn has(&self, topic: &Topic) -> bool {
        self.all.iter().any(|(channel, product)| {
            topic.is_called(channel)
                && product.as_ref().is_none_or(|p| **p == *topic.product || topic.product.is_empty())
        })
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    subscriptions: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
}

/// Reads the events of an acknowledgement of Advanced Trade.
///
/// `[{"subscriptions":{"heartbeats":["heartbeats"],"level2":["BTC-USD"]}}]`
///
/// # Errors
/// Where it cannot be read.
pub fn held_advanced(events: &[u8]) -> Result<Held, Malformed> {
    let events: Vec<Event<'_>> = serde_json::from_slice(events).map_err(|e| listing::fault(events, &e))?;
    let mut held = Held::default();
    for (channel, products) in events.into_iter().flat_map(|e| e.subscriptions) {
        if products.contains(&channel) {
            held.all.push((channel.into_owned(), None));
            continue;
        }
        held.all.extend(products.into_iter().map(|p| (channel.to_string(), Some(p.into_owned()))));
    }
    Ok(held)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    channels: Vec<Named<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    #[serde(borrow)]
    Plain(Cow<'a, str>),
    With {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow, default)]
        product_ids: Option<Vec<Cow<'a, str>>>,
    },
}

/// Reads an acknowledgement of Exchange.
///
/// `{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"],"account_ids":null}]}`
///
/// # Errors
/// Where it cannot be read.
pub fn held_exchange(frame: &[u8]) -> Result<Held, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(frame).map_err(|e| listing::fault(frame, &e))?;
    let mut held = Held::default();
    for named in answer.channels {
        let (name, products) = match named {
            Named::Plain(name) => (name, None),
            Named::With { name, product_ids } => (name, product_ids),
        };
        match products.filter(|all| !all.is_empty()) {
            None => held.all.push((name.into_owned(), None)),
            Some(all) => held.all.extend(all.into_iter().map(|p| (name.to_string(), Some(p.into_owned())))),
        }
    }
    Ok(held)
}

/// `{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}`
#[derive(Debug, Deserialize)]
pub struct Refusal<'a> {
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

impl Refusal<'_> {
    /// Reads an error of either feed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(frame: &[u8]) -> Result<Refusal<'_>, Malformed> {
        serde_json::from_slice(frame).map_err(|e| listing::fault(frame, &e))
    }

    /// The venue's words.
    pub fn words(&self) -> String {
        let parts = [self.message.as_deref(), self.reason.as_deref()];
        parts.into_iter().flatten().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(": ")
    }

    /// Whether the words name a product.
    pub fn names(&self, topic: &Topic) -> bool {
        let words = self.words();
        let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        !topic.product.is_empty() && words.split(part).any(|word| *word == *topic.product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Instrument;
    use std::sync::Arc;

    fn want(feed: Feed, symbol: &str, channel: Channel) -> Want {
        let made: Instrument = listing::provisional(feed, symbol.as_bytes()).unwrap();
        Want { instrument: Arc::new(made), channel }
    }

    #[test]
    fn connections_carry_few_books_and_feeds_do_not_mix() {
        let mut wants = Vec::new();
        for feed in [Feed::Advanced, Feed::Exchange] {
            for i in 0..35 {
                for channel in Channel::ALL {
                    wants.push(want(feed, &format!("C{i}-USD"), channel));
                }
            }
        }
        let shards = shards(&wants, &Options::default());
        for shard in &shards {
            let books = shard.wants.iter().filter(|w| w.channel == Channel::Book).count();
            assert!(books <= BOOKS_MAX);
            assert!(shard.wants.iter().all(|w| Feed::of(&w.instrument).endpoint() == shard.endpoint));
            let polled = shard.wants.iter().filter(|w| w.channel == Channel::Bars).count();
            assert!(polled == 0 || (shard.path.is_none() && polled == shard.wants.len()));
        }
        // Trades, book, quote, statistics, bars, status and definitions of spot markets.
        assert_eq!(shards.iter().map(|s| s.wants.len()).sum::<usize>(), 2 * 35 * 7);
        assert_eq!(shards.iter().filter(|s| s.path.is_some()).count(), 8);
    }

    #[test]
    fn bars_are_pushed_where_the_venue_pushes_them() {
        let by = |feed, interval: &str| {
            let options = Options { bar_interval: interval.to_owned(), ..Options::default() };
            route(&want(feed, "BTC-USD", Channel::Bars), &options)
        };
        assert!(matches!(by(Feed::Advanced, "5m"), Some(Route::Pushed(t)) if t.channel == "candles"));
        assert_eq!(by(Feed::Advanced, "1m"), Some(Route::Polled));
        assert_eq!(by(Feed::Exchange, "5m"), Some(Route::Polled));
        assert_eq!(by(Feed::Exchange, "30m"), None);
        assert_eq!(by(Feed::Advanced, "7m"), None);
    }

    #[test]
    fn one_frame_names_one_channel_on_advanced_trade_and_several_on_exchange() {
        let topic = |channel, product: &str| Topic { channel, product: product.into() };
        let all = [topic("level2", "A-USD"), topic("level2", "B-USD"), topic("heartbeats", "")];
        let text = |feed, topics: &[Topic]| -> Vec<String> {
            let frames = frames(feed, "subscribe", topics.iter());
            frames.into_iter().map(|f| String::from_utf8(f).unwrap()).collect()
        };
        assert_eq!(
            text(Feed::Advanced, &all),
            [
                r#"{"type":"subscribe","channel":"heartbeats"}"#,
                r#"{"type":"subscribe","product_ids":["A-USD","B-USD"],"channel":"level2"}"#,
            ]
        );
        let all = [topic("level2_batch", "A-USD"), topic("status", "")];
        assert_eq!(
            text(Feed::Exchange, &all),
            [
                r#"{"type":"subscribe","channels":[{"name":"level2_batch","product_ids":["A-USD"]},{"name":"status"}]}"#
            ]
        );
        assert!(frames(Feed::Exchange, "subscribe", [].iter()).is_empty());
    }

    #[test]
    fn acknowledgements_list_all_that_is_held() {
        let topic = |channel, product: &str| Topic { channel, product: product.into() };
        let held =
            held_advanced(br#"[{"subscriptions":{"heartbeats":["heartbeats"],"level2":["BTC-USD"]}}]"#)
                .unwrap();
        assert!(held.has(&topic("level2", "BTC-USD")) && held.has(&topic("heartbeats", "")));
        assert!(!held.has(&topic("level2", "ETH-USD")) && !held.has(&topic("ticker", "BTC-USD")));
        let held = held_exchange(
            br#"{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD"],"account_ids":null},{"name":"status"},"ticker"]}"#,
        )
        .unwrap();
        assert!(held.has(&topic("level2_batch", "BTC-USD")) && held.has(&topic("status", "")));
        assert!(!held.has(&topic("level2_batch", "ETH-USD")) && !held.has(&topic("matches", "BTC-USD")));
    }

    #[test]
    fn an_error_names_a_product_in_words() {
        let read = |text: &str| {
            let refusal = Refusal::read(text.as_bytes()).unwrap();
            (refusal.words(), refusal.names(&Topic { channel: "level2", product: "BTC-USD".into() }))
        };
        let text =
            r#"{"type":"error","message":"Failed to subscribe","reason":"BTC-USD is not a valid product"}"#;
        assert_eq!(read(text), ("Failed to subscribe: BTC-USD is not a valid product".to_owned(), true));
        assert!(!read(r#"{"type":"error","message":"BTC-USDC is not a valid product"}"#).1);
        assert!(!read(r#"{"type":"error","message":"authentication failure"}"#).1);
    }
}
