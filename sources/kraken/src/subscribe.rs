//! Wants to topics, topics to connections and frames; and what the venue answers.

use crate::rows;
use model::{Channel, Instrument, InstrumentKind};
use serde::Deserialize;
use source::{Malformed, Options, Shard, Want};
use std::borrow::Cow;

/// Path of the spot stream.
pub const SPOT_PATH: &str = "/v2";
/// Path of the derivatives' stream.
pub const FUTURES_PATH: &str = "/ws/v1";
/// How many topics one connection carries.
pub const TOPICS_MAX: usize = 300;
/// How many symbols one request names.
const SYMBOLS_MAX: usize = 100;

/// How many levels of a pair's book are subscribed. The checksum is over ten a side: at this depth every level of every
/// state is proven, deeper ones would be trusted.
pub const DEPTH: usize = 10;

/// A feed of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Spot `book`.
    Book,
    /// Spot `trade`.
    Trade,
    /// Spot `ticker`, pushed when the best bid or offer changes.
    Ticker,
    /// Spot `ohlc`, of so many minutes.
    Ohlc(u64),
    /// Spot `instrument`: all pairs at once.
    Instrument,
    /// Derivatives `book`.
    Changes,
    /// Derivatives `trade`.
    Prints,
    /// Derivatives `ticker`.
    Statistics,
    /// Derivatives' bars, which only REST has, of so many minutes.
    Candles(u64),
}

impl Feed {
    /// The venue's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Book | Self::Changes => "book",
            Self::Trade | Self::Prints => "trade",
            Self::Ticker | Self::Statistics => "ticker",
            Self::Ohlc(_) => "ohlc",
            Self::Instrument => "instrument",
            Self::Candles(_) => "candles",
        }
    }

    /// Index of the endpoint that has it.
    pub fn endpoint(self) -> usize {
        match self {
            Self::Book | Self::Trade | Self::Ticker | Self::Ohlc(_) | Self::Instrument => crate::SPOT,
            Self::Changes | Self::Prints | Self::Statistics | Self::Candles(_) => crate::FUTURES,
        }
    }

    /// Whether it is a book by snapshot and changes.
    pub fn is_book(self) -> bool {
        matches!(self, Self::Book | Self::Changes)
    }

    /// Whether it is asked by REST.
    pub fn is_polled(self) -> bool {
        matches!(self, Self::Candles(_))
    }
}

/// What one subscription names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The feed.
    pub feed: Feed,
    /// Of what; empty where the feed is of everything.
    pub symbol: Box<str>,
}

/// The venue's word of an interval of the derivatives' charts.
pub const RESOLUTIONS: [(u64, &str); 9] = [
    (1, "1m"),
    (5, "5m"),
    (15, "15m"),
    (30, "30m"),
    (60, "1h"),
    (240, "4h"),
    (720, "12h"),
    (1_440, "1d"),
    (10_080, "1w"),
];

/// The resolution of so many minutes.
pub fn resolution(minutes: u64) -> Option<&'static str> {
    RESOLUTIONS.iter().find(|(theirs, _)| *theirs == minutes).map(|(_, word)| *word)
}

/// Whether an instrument is of the spot market.
pub fn is_spot(instrument: &Instrument) -> bool {
    instrument.kind == InstrumentKind::Spot
}

/// The topic for a want; `None` where the venue has no such channel for that instrument.
pub fn topic(want: &Want, options: &Options) -> Option<Topic> {
    let spot = is_spot(&want.instrument);
    let pick = |of_spot: Option<Feed>, of_contract: Option<Feed>| if spot { of_spot } else { of_contract };
    let feed = match want.channel {
        Channel::Book => pick(Some(Feed::Book), Some(Feed::Changes)),
        Channel::Trades => pick(Some(Feed::Trade), Some(Feed::Prints)),
        Channel::Quote | Channel::DayStats => pick(Some(Feed::Ticker), Some(Feed::Statistics)),
        Channel::Bars => {
            let of_contract = RESOLUTIONS.iter().find(|(_, word)| *word == options.bar_interval);
            let of_spot = rows::minutes(&options.bar_interval);
            pick(of_spot.map(Feed::Ohlc), of_contract.map(|(minutes, _)| Feed::Candles(*minutes)))
        }
        Channel::Status => pick(Some(Feed::Instrument), Some(Feed::Statistics)),
        Channel::Instruments => pick(Some(Feed::Instrument), None),
        Channel::Liquidations => pick(None, Some(Feed::Prints)),
        Channel::MarkPrice | Channel::IndexPrice | Channel::OpenInterest => {
            pick(None, Some(Feed::Statistics))
        }
        Channel::Funding if want.instrument.kind == InstrumentKind::Perpetual => Some(Feed::Statistics),
        _ => None,
    }?;
    let symbol = if feed == Feed::Instrument { "".into() } else { want.instrument.symbol.clone() };
    Some(Topic { feed, symbol })
}

struct Filling {
    endpoint: usize,
    topics: Vec<Topic>,
    wants: Vec<Want>,
}

/// Cuts wants into connections. Wants of one topic stay together.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    let mut places: hashbrown::HashMap<Topic, usize, foldhash::fast::FixedState> =
        hashbrown::HashMap::default();
    for want in wants {
        let Some(topic) = topic(want, options) else { continue };
        let endpoint = topic.feed.endpoint();
        let place = places
            .get(&topic)
            .copied()
            .or_else(|| filling.iter().position(|f| f.endpoint == endpoint && f.topics.len() < TOPICS_MAX));
        let place = place.unwrap_or_else(|| {
            filling.push(Filling { endpoint, topics: Vec::new(), wants: Vec::new() });
            filling.len() - 1
        });
        let Some(f) = filling.get_mut(place) else { continue };
        if places.insert(topic.clone(), place).is_none() {
            f.topics.push(topic);
        }
        f.wants.push(want.clone());
    }
    let shard = |f: Filling| Shard {
        endpoint: f.endpoint,
        path: Some((if f.endpoint == crate::SPOT { SPOT_PATH } else { FUTURES_PATH }).to_owned()),
        wants: f.wants,
        options: options.clone(),
    };
    filling.into_iter().map(shard).collect()
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To be sent it.
    Subscribe,
    /// To be sent it no longer.
    Unsubscribe,
}

impl Ask {
    fn word(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// Frames that ask for topics of feeds; `id` is the first request's number and grows with each.
///
/// `{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"],"depth":10,"snapshot":true},"req_id":7}`
///
/// `{"event":"subscribe","feed":"book","product_ids":["PF_XBTUSD"]}`
pub fn frames(ask: Ask, topics: &[&Topic], id: &mut u64) -> Vec<Vec<u8>> {
    let mut feeds: Vec<Feed> = topics.iter().map(|t| t.feed).collect();
    feeds.sort_unstable();
    feeds.dedup();
    let mut frames = Vec::new();
    for feed in feeds.into_iter().filter(|f| !f.is_polled()) {
        let symbols: Vec<&str> = topics.iter().filter(|t| t.feed == feed).map(|t| &*t.symbol).collect();
        for some in symbols.chunks(SYMBOLS_MAX) {
            *id += 1;
            frames.push(frame(ask, feed, some, *id).into_bytes());
        }
    }
    frames
}

fn frame(ask: Ask, feed: Feed, symbols: &[&str], id: u64) -> String {
    let (what, word) = (ask.word(), feed.word());
    let names = symbols.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(",");
    if feed.endpoint() == crate::FUTURES {
        return format!(r#"{{"event":"{what}","feed":"{word}","product_ids":[{names}]}}"#);
    }
    let snapshot = match (ask, feed) {
        (Ask::Unsubscribe, _) => "",
        (Ask::Subscribe, Feed::Trade) => r#","snapshot":false"#,
        (Ask::Subscribe, _) => r#","snapshot":true"#,
    };
    let more = match feed {
        Feed::Book => format!(r#","symbol":[{names}],"depth":{DEPTH}{snapshot}"#),
        Feed::Ticker => format!(r#","symbol":[{names}],"event_trigger":"bbo"{snapshot}"#),
        Feed::Ohlc(minutes) => format!(r#","symbol":[{names}],"interval":{minutes}{snapshot}"#),
        Feed::Trade => format!(r#","symbol":[{names}]{snapshot}"#),
        _ => snapshot.to_owned(),
    };
    format!(r#"{{"method":"{what}","params":{{"channel":"{word}"{more}}},"req_id":{id}}}"#)
}

/// An answer of the spot stream to a request.
///
/// `{"method":"subscribe","req_id":7,"result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2026-09-01T12:00:00.219022Z","time_out":"2026-09-01T12:00:00.219067Z"}`
///
/// `{"error":"Currency pair not supported XBT/USD","method":"subscribe","req_id":7,"success":false,"symbol":"XBT/USD","time_in":"2026-09-01T12:00:00.219022Z","time_out":"2026-09-01T12:00:00.219067Z"}`
#[derive(Debug, Deserialize)]
pub struct Answer<'a> {
    /// `subscribe`, `unsubscribe`, `pong`.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// Whether it was done.
    #[serde(default)]
    pub success: Option<bool>,
    /// Why not.
    #[serde(borrow, default)]
    pub error: Option<Cow<'a, str>>,
    /// Of what, where it was not done.
    #[serde(borrow, default)]
    pub symbol: Option<Cow<'a, str>>,
    /// The number of the request.
    #[serde(default)]
    pub req_id: Option<u64>,
    /// What was done.
    #[serde(borrow, default)]
    pub result: Option<Done<'a>>,
}

/// What the venue says it did.
#[derive(Debug, Deserialize)]
pub struct Done<'a> {
    /// The channel.
    #[serde(borrow, default)]
    pub channel: Cow<'a, str>,
    /// Of what; none where the channel is of everything.
    #[serde(borrow, default)]
    pub symbol: Option<Cow<'a, str>>,
    /// Of a book: how many levels a side.
    #[serde(default)]
    pub depth: Option<usize>,
}

/// A notice of the derivatives, or of the retired stream.
///
/// `{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}`
///
/// `{"event":"error","message":"Invalid product id"}`
#[derive(Debug, Deserialize)]
pub struct Notice<'a> {
    /// Which feed.
    #[serde(borrow, default)]
    pub feed: Option<Cow<'a, str>>,
    /// Of what.
    #[serde(borrow, default)]
    pub product_ids: Vec<Cow<'a, str>>,
    /// The venue's words.
    #[serde(borrow, default)]
    pub message: Option<Cow<'a, str>>,
}

/// Reads an answer or a notice.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|e| crate::listing::fault(bytes, &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn want(symbol: &str, channel: Channel) -> Want {
        Want { instrument: Arc::new(crate::listing::provisional(symbol.as_bytes()).unwrap()), channel }
    }

    #[test]
    fn each_market_has_connections_of_its_own_with_few_enough_topics() {
        let mut wants = Vec::new();
        for i in 0..150 {
            for channel in Channel::ALL {
                wants.push(want(&format!("C{i}/USD"), channel));
                wants.push(want(&format!("PF_C{i}USD"), channel));
            }
        }
        let shards = shards(&wants, &Options::default());
        let kept: usize = shards.iter().map(|s| s.wants.len()).sum();
        assert_eq!(kept, 150 * (7 + 11));
        for shard in &shards {
            let spot = shard.endpoint == crate::SPOT;
            assert!(shard.wants.iter().all(|w| is_spot(&w.instrument) == spot));
            assert_eq!(shard.path.as_deref(), Some(if spot { "/v2" } else { "/ws/v1" }));
            let mut topics: Vec<_> = shard.wants.iter().filter_map(|w| topic(w, &shard.options)).collect();
            topics.sort_by(|a, b| (a.feed, &a.symbol).cmp(&(b.feed, &b.symbol)));
            topics.dedup();
            assert!(topics.len() <= TOPICS_MAX);
        }
        let definitions = shards.iter().filter(|s| s.wants.iter().any(|w| w.channel == Channel::Instruments));
        assert_eq!(definitions.count(), 1, "all pairs come by one subscription");
    }

    #[test]
    fn requests_name_what_the_venue_needs_and_no_more_symbols_than_allowed() {
        let topics: Vec<Topic> =
            (0..250).map(|i| Topic { feed: Feed::Book, symbol: format!("C{i}/USD").into() }).collect();
        let mut id = 4;
        let all = frames(Ask::Subscribe, &topics.iter().collect::<Vec<_>>(), &mut id);
        assert_eq!((all.len(), id), (3, 7));
        let one = Topic { feed: Feed::Ohlc(5), symbol: "BTC/USD".into() };
        assert_eq!(
            String::from_utf8(frames(Ask::Subscribe, &[&one], &mut id).remove(0)).unwrap(),
            r#"{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"],"interval":5,"snapshot":true},"req_id":8}"#
        );
        let contract = Topic { feed: Feed::Prints, symbol: "PF_XBTUSD".into() };
        assert_eq!(
            String::from_utf8(frames(Ask::Unsubscribe, &[&contract], &mut id).remove(0)).unwrap(),
            r#"{"event":"unsubscribe","feed":"trade","product_ids":["PF_XBTUSD"]}"#
        );
    }

    #[test]
    fn an_interval_that_the_venue_lacks_is_left_out() {
        let options = Options { bar_interval: "7m".to_owned(), ..Options::default() };
        assert!(shards(&[want("BTC/USD", Channel::Bars)], &options).is_empty());
        let half_a_day = Options { bar_interval: "12h".to_owned(), ..options };
        assert_eq!(
            shards(&[want("BTC/USD", Channel::Bars), want("PF_XBTUSD", Channel::Bars)], &half_a_day).len(),
            1
        );
    }
}
