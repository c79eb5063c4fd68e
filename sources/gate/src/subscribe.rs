//! Wants to topics, topics to connections and frames.

use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Channel, Ts};
use source::{Options, Shard, Want};

/// How many topics one connection carries.
pub const TOPICS_MAX: usize = 240;
/// How many instruments one frame names.
const NAMES_MAX: usize = 50;

/// What one subscription names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The venue's channel: `spot.trades`.
    pub channel: String,
    /// Its payload: `["BTC_USDT","100ms"]`.
    pub payload: Vec<String>,
}

/// How often and how deep the book of these options is: the venue's speed and its levels.
pub const fn speed(options: &Options) -> (&'static str, u32) {
    if options.book_ms < 60 { ("20ms", 20) } else { ("100ms", 100) }
}

/// The topic for a want; `None` where the venue has no such channel for that instrument.
pub fn topic(want: &Want, options: &Options) -> Option<Topic> {
    let product = Product::of(&want.instrument).filter(|_| *want.instrument.venue == *crate::NAME)?;
    let (spot, perpetual) = (product == Product::Spot, matches!(product, Product::Usdt | Product::Btc));
    let symbol = want.instrument.symbol.to_string();
    let (word, payload) = match want.channel {
        Channel::Trades => ("trades", vec![symbol]),
        Channel::Book => {
            let (every, levels) = speed(options);
            let mut payload = vec![symbol, every.to_owned()];
            if !spot {
                payload.push(levels.to_string());
            }
            ("order_book_update", payload)
        }
        Channel::BookTop if spot => ("order_book", vec![symbol, "20".to_owned(), "100ms".to_owned()]),
        Channel::Quote => ("book_ticker", vec![symbol]),
        Channel::DayStats => ("tickers", vec![symbol]),
        Channel::MarkPrice | Channel::IndexPrice | Channel::OpenInterest if !spot => {
            ("tickers", vec![symbol])
        }
        Channel::Funding if perpetual => ("tickers", vec![symbol]),
        Channel::Bars => {
            let (_, theirs, _) = INTERVALS.iter().find(|(ours, ..)| *ours == options.bar_interval)?;
            ("candlesticks", vec![(*theirs).to_owned(), symbol])
        }
        Channel::Liquidations if perpetual => ("public_liquidates", vec![symbol]),
        Channel::LongShortRatio if perpetual => ("contract_stats", vec![symbol, "1m".to_owned()]),
        _ => return None,
    };
    Some(Topic { channel: format!("{}.{word}", product.prefix()), payload })
}

/// A connection that is being filled.
struct Filling {
    product: Product,
    topics: Vec<Topic>,
    wants: Vec<Want>,
}

/// Cuts wants into connections: one section of the venue each. Wants of one topic stay together.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut filling: Vec<Filling> = Vec::new();
    for want in wants {
        let (Some(topic), Some(product)) = (topic(want, options), Product::of(&want.instrument)) else {
            continue;
        };
        let ours = |f: &Filling| f.product == product && f.topics.contains(&topic);
        let fits = |f: &Filling| f.product == product && f.topics.len() < TOPICS_MAX;
        let place =
            filling.iter().position(ours).or_else(|| filling.iter().position(fits)).unwrap_or_else(|| {
                filling.push(Filling { product, topics: Vec::new(), wants: Vec::new() });
                filling.len() - 1
            });
        let Some(f) = filling.get_mut(place) else { continue };
        if !f.topics.contains(&topic) {
            f.topics.push(topic);
        }
        if !f.wants.contains(want) {
            f.wants.push(want.clone());
        }
    }
    let shard = |f: Filling| Shard {
        endpoint: f.product.endpoint(),
        path: Some(f.product.ws_path().to_owned()),
        wants: f.wants,
        options: options.clone(),
    };
    filling.into_iter().map(shard).collect()
}

/// Puts topics together that one frame can name: places in `topics`, whose payload is one instrument each.
pub fn batches(topics: &[(usize, &Topic)]) -> Vec<Vec<usize>> {
    let mut batches: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
    for (at, topic) in topics {
        let alone = topic.payload.len() > 1;
        let channel = (!alone).then_some(topic.channel.as_str());
        let fits = |(name, places): &&mut (Option<&str>, Vec<usize>)| {
            name.is_some() && *name == channel && places.len() < NAMES_MAX
        };
        match batches.iter_mut().find(fits) {
            Some((_, places)) => places.push(*at),
            None => batches.push((channel, vec![*at])),
        }
    }
    batches.into_iter().map(|(_, places)| places).collect()
}

/// A frame that subscribes to topics of one channel or ends their subscription.
///
/// `{"time":1760000000,"id":1,"channel":"spot.trades","event":"subscribe","payload":["BTC_USDT","ETH_USDT"]}`
pub fn frame(event: &str, id: u64, topics: &[&Topic], now: Ts) -> Vec<u8> {
    let channel = topics.first().map_or("", |topic| topic.channel.as_str());
    let words: Vec<String> =
        topics.iter().flat_map(|topic| &topic.payload).map(|word| format!("\"{word}\"")).collect();
    let seconds = now.as_ms().div_euclid(1_000);
    format!(
        r#"{{"time":{seconds},"id":{id},"channel":"{channel}","event":"{event}","payload":[{}]}}"#,
        words.join(",")
    )
    .into_bytes()
}

/// A frame that asks whether the venue is there.
pub fn ping(product: Product, now: Ts) -> Vec<u8> {
    let seconds = now.as_ms().div_euclid(1_000);
    format!(r#"{{"time":{seconds},"channel":"{}.ping"}}"#, product.prefix()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::provisional;
    use std::sync::Arc;

    fn want(product: Product, symbol: &str, channel: Channel) -> Want {
        let instrument = Arc::new(provisional(product, symbol.as_bytes()).unwrap());
        Want { instrument, channel }
    }

    #[test]
    fn each_section_has_a_connection_and_a_ticker_is_subscribed_once() {
        let mut wants = Vec::new();
        for channel in Channel::ALL {
            wants.push(want(Product::Spot, "BTC_USDT", channel));
            wants.push(want(Product::Usdt, "BTC_USDT", channel));
            wants.push(want(Product::Delivery, "BTC_USDT_20261225", channel));
        }
        let shards = shards(&wants, &Options::default());
        let paths: Vec<_> = shards.iter().map(|s| (s.endpoint, s.path.clone().unwrap())).collect();
        assert_eq!(paths[0], (0, "/ws/v4/".to_owned()));
        assert_eq!(paths[1], (1, "/v4/ws/usdt".to_owned()));
        assert_eq!(shards.iter().map(|s| s.wants.len()).collect::<Vec<_>>(), [6, 11, 8]);
        let tickers = |c: &&Channel| {
            topic(&want(Product::Usdt, "BTC_USDT", **c), &Options::default())
                .is_some_and(|t| t.channel == "futures.tickers")
        };
        assert_eq!(Channel::ALL.iter().filter(tickers).count(), 5);
    }

    #[test]
    fn the_nearest_speed_of_a_book_is_taken() {
        let of = |book_ms| {
            topic(&want(Product::Usdt, "X_USDT", Channel::Book), &Options { book_ms, ..Options::default() })
        };
        assert_eq!(of(100).unwrap().payload, ["X_USDT", "100ms", "100"]);
        assert_eq!(of(10).unwrap().payload, ["X_USDT", "20ms", "20"]);
        assert_eq!(of(1_000).unwrap().payload, ["X_USDT", "100ms", "100"]);
    }

    #[test]
    fn topics_of_one_name_share_a_frame_and_others_have_their_own() {
        let options = Options::default();
        let topics: Vec<Topic> = (0..120)
            .map(|n| topic(&want(Product::Spot, &format!("C{n}_USDT"), Channel::Trades), &options).unwrap())
            .chain([topic(&want(Product::Spot, "A_B", Channel::Book), &options).unwrap()])
            .collect();
        let places: Vec<(usize, &Topic)> = topics.iter().enumerate().collect();
        let sizes: Vec<usize> = batches(&places).iter().map(Vec::len).collect();
        assert_eq!(sizes, [50, 50, 20, 1]);
        let text = frame("subscribe", 7, &[&topics[0], &topics[1]], Ts::from_ms(1_760_000_000_999));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"time":1760000000,"id":7,"channel":"spot.trades","event":"subscribe","payload":["C0_USDT","C1_USDT"]}"#
        );
    }
}
