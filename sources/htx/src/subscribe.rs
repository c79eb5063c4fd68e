//! Wants to topics, topics to connections and frames.

use crate::product::{FEED, INDEX, Product, index_of};
use crate::rows::INTERVALS;
use crate::topic::{Kind, topic as taken_apart};
use model::{Channel, InstrumentKind};
use source::{Options, Shard, Want};

/// How many topics one connection carries.
pub const TOPICS_MAX: usize = 100;
/// How many books by changes one connection carries: each is asked for by a request, and those are paced.
pub const BOOKS_MAX: usize = 50;
/// How many instruments one session polls: each is asked for twice in five minutes.
const POLLED_MAX: usize = 120;
/// Spot books of 150 levels are pushed each 100 ms, those of 20 levels at once. The nearest is taken.
const FAST_BOOK_MS: u32 = 50;

/// What is subscribed to on which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The path of the connection.
    pub path: &'static str,
    /// As the venue spells it.
    pub text: Box<str>,
    /// What it is to us.
    pub kind: Kind,
}

impl Topic {
    /// Whether it is of a notification socket, whose frames have an `op`.
    pub fn notice(&self) -> bool {
        self.text.starts_with("public.")
    }
}

/// Whether a want is served by asking REST from time to time.
pub fn polled(want: &Want) -> Option<Product> {
    let product = Product::named(&want.instrument.product).filter(|p| !p.spot() && *p != Product::Dated)?;
    let perpetual = want.instrument.kind == InstrumentKind::Perpetual;
    match want.channel {
        Channel::OpenInterest => Some(product),
        Channel::LongShortRatio if perpetual => Some(product),
        _ => None,
    }
}

/// The topic for a want; `None` where the venue has no such channel for that instrument.
pub fn topic(want: &Want, options: &Options) -> Option<Topic> {
    let instrument = &*want.instrument;
    let product = Product::named(&instrument.product).filter(|p| *p != Product::Dated)?;
    let perpetual = instrument.kind == InstrumentKind::Perpetual;
    let spot = product.spot();
    let market = |what: &str| (product.market(), format!("market.{}.{what}", instrument.symbol));
    let notice = |what: &str| (product.notices(), format!("public.{}.{what}", instrument.symbol));
    let (path, text) = match want.channel {
        Channel::Trades => market("trade.detail"),
        Channel::Book if spot => {
            let levels = if options.book_ms < FAST_BOOK_MS { 20 } else { 150 };
            (FEED, format!("market.{}.mbp.{levels}", instrument.symbol))
        }
        Channel::Book => market("depth.size_150.high_freq"),
        Channel::BookTop if spot => market("mbp.refresh.20"),
        Channel::BookTop => market("depth.step6"),
        Channel::Quote => market("bbo"),
        Channel::DayStats => market("detail"),
        Channel::Bars => {
            let (_, theirs) = INTERVALS.iter().find(|row| row.0 == options.bar_interval)?;
            market(&format!("kline.{theirs}"))
        }
        Channel::MarkPrice if !spot => (INDEX, format!("market.{}.mark_price.1min", instrument.symbol)),
        Channel::IndexPrice if !spot => (INDEX, format!("market.{}.index.1min", index_of(instrument))),
        Channel::Funding if perpetual => notice("funding_rate"),
        Channel::Liquidations if !spot => notice("liquidation_orders"),
        Channel::Status | Channel::Instruments if !spot => notice("contract_info"),
        _ => return None,
    };
    let kind = taken_apart(text.as_bytes()).kind;
    Some(Topic { path, text: text.into(), kind })
}

/// A connection that is being filled.
struct Filling {
    endpoint: usize,
    path: Option<&'static str>,
    topics: Vec<Box<str>>,
    wants: Vec<Want>,
}

impl Filling {
    fn takes(&self, endpoint: usize, path: Option<&'static str>) -> bool {
        let room = match path {
            None => self.wants.len() < POLLED_MAX,
            Some(FEED) => self.topics.len() < BOOKS_MAX,
            Some(_) => self.topics.len() < TOPICS_MAX,
        };
        self.endpoint == endpoint && self.path == path && room
    }
}

/// Cuts wants into connections. Wants of one topic stay together.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    for want in wants {
        let (product, path, text) = match (polled(want), topic(want, options)) {
            (Some(product), _) => (product, None, "".into()),
            (None, Some(topic)) => {
                let Some(product) = Product::named(&want.instrument.product) else { continue };
                (product, Some(topic.path), topic.text)
            }
            (None, None) => continue,
        };
        let endpoint = product.endpoint();
        let together = |f: &Filling| f.endpoint == endpoint && f.path == path && f.topics.contains(&text);
        let place = filling.iter().position(together);
        let place = place.or_else(|| filling.iter().position(|f| f.takes(endpoint, path)));
        let at = place.unwrap_or_else(|| {
            filling.push(Filling { endpoint, path, topics: Vec::new(), wants: Vec::new() });
            filling.len() - 1
        });
        if let Some(one) = filling.get_mut(at) {
            if path.is_some() && !one.topics.contains(&text) {
                one.topics.push(text);
            }
            one.wants.push(want.clone());
        }
    }
    let made = |f: Filling| Shard {
        endpoint: f.endpoint,
        path: f.path.map(str::to_owned),
        wants: f.wants,
        options: options.clone(),
    };
    filling.into_iter().map(made).collect()
}

/// Asks for a topic. The answer comes back with `s` and the number.
pub fn begin(topic: &Topic, n: usize) -> Vec<u8> {
    let text = &topic.text;
    if topic.notice() {
        return format!(r#"{{"op":"sub","cid":"s{n}","topic":"{text}"}}"#).into_bytes();
    }
    let how = if topic.kind == Kind::HighFreq { r#","data_type":"incremental""# } else { "" };
    format!(r#"{{"sub":"{text}"{how},"id":"s{n}"}}"#).into_bytes()
}

/// Ends a topic. The answer comes back with `u` and the number.
pub fn end(topic: &Topic, n: usize) -> Vec<u8> {
    let text = &topic.text;
    if topic.notice() {
        return format!(r#"{{"op":"unsub","cid":"u{n}","topic":"{text}"}}"#).into_bytes();
    }
    let how = if topic.kind == Kind::HighFreq { r#","data_type":"incremental""# } else { "" };
    format!(r#"{{"unsub":"{text}"{how},"id":"u{n}"}}"#).into_bytes()
}

/// Asks for the whole book of a topic. The answer comes back with `r` and the number.
pub fn request(topic: &Topic, n: usize) -> Vec<u8> {
    format!(r#"{{"req":"{}","id":"r{n}"}}"#, topic.text).into_bytes()
}

/// What an `id` of ours says: which kind of request, and the number.
pub fn asked(id: &[u8]) -> Option<(u8, usize)> {
    let (kind, number) = id.split_first()?;
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    matches!(kind, b's' | b'u' | b'r').then_some((*kind, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;
    use std::sync::Arc;

    fn want(symbol: &str, channel: Channel) -> Want {
        let product = Product::of(symbol.as_bytes()).unwrap();
        Want { instrument: Arc::new(listing::provisional(product, symbol.as_bytes()).unwrap()), channel }
    }

    fn texts(symbol: &str) -> Vec<String> {
        let topic = |c| topic(&want(symbol, c), &Options::default());
        Channel::ALL.into_iter().filter_map(topic).map(|t| format!("{} {}", t.path, t.text)).collect()
    }

    #[test]
    fn each_section_has_its_topics() {
        assert_eq!(
            texts("btcusdt"),
            [
                "/ws market.btcusdt.trade.detail",
                "/feed market.btcusdt.mbp.150",
                "/ws market.btcusdt.mbp.refresh.20",
                "/ws market.btcusdt.bbo",
                "/ws market.btcusdt.detail",
                "/ws market.btcusdt.kline.1min",
            ]
        );
        assert_eq!(
            texts("BTC-USD"),
            [
                "/swap-ws market.BTC-USD.trade.detail",
                "/swap-ws market.BTC-USD.depth.size_150.high_freq",
                "/swap-ws market.BTC-USD.depth.step6",
                "/swap-ws market.BTC-USD.bbo",
                "/swap-ws market.BTC-USD.detail",
                "/swap-ws market.BTC-USD.kline.1min",
                "/ws_index market.BTC-USD.mark_price.1min",
                "/ws_index market.BTC-USD.index.1min",
                "/swap-notification public.BTC-USD.funding_rate",
                "/swap-notification public.BTC-USD.liquidation_orders",
                "/swap-notification public.BTC-USD.contract_info",
                "/swap-notification public.BTC-USD.contract_info",
            ]
        );
        let dated = texts("BTC-USDT-261225");
        assert!(dated.contains(&"/ws_index market.BTC-USDT.index.1min".to_owned()), "{dated:?}");
        assert!(!dated.iter().any(|t| t.contains("funding")), "{dated:?}");
        assert_eq!(texts("BTC_CQ"), Vec::<String>::new());
    }

    #[test]
    fn the_nearest_speed_of_a_spot_book_is_taken() {
        for (book_ms, text) in [(0, "mbp.20"), (49, "mbp.20"), (50, "mbp.150"), (1_000, "mbp.150")] {
            let options = Options { book_ms, ..Options::default() };
            let topic = topic(&want("btcusdt", Channel::Book), &options).unwrap();
            assert!(topic.text.ends_with(text), "{book_ms} {}", topic.text);
        }
    }

    #[test]
    fn connections_carry_no_more_than_they_may_and_topics_stay_together() {
        let mut wants = Vec::new();
        for n in 0..60 {
            wants.extend([Channel::Book, Channel::Trades].map(|c| want(&format!("a{n}usdt"), c)));
            let perpetual = format!("A{n}-USDT");
            wants.extend([Channel::IndexPrice, Channel::OpenInterest].map(|c| want(&perpetual, c)));
            wants.push(want(&format!("{perpetual}-261225"), Channel::IndexPrice));
        }
        let shards = shards(&wants, &Options::default());
        assert_eq!(shards.iter().map(|s| s.wants.len()).sum::<usize>(), wants.len());
        let of = |path: Option<&str>| -> Vec<usize> {
            shards.iter().filter(|s| s.path.as_deref() == path).map(|s| s.wants.len()).collect()
        };
        assert_eq!(of(Some(FEED)), [50, 10]);
        assert_eq!(of(Some("/ws")), [60]);
        assert_eq!(of(Some(INDEX)), [120]);
        assert_eq!(of(None), [60]);
        assert!(
            shards
                .iter()
                .all(|s| (s.endpoint == 0) == s.path.as_deref().is_some_and(|p| p == "/ws" || p == FEED))
        );
    }

    #[test]
    fn ids_of_requests_come_back() {
        assert_eq!(asked(b"s12"), Some((b's', 12)));
        assert_eq!(asked(b"r0"), Some((b'r', 0)));
        for id in [&b""[..], b"s", b"x1", b"s-1", b"1"] {
            assert_eq!(asked(id), None);
        }
    }
}
