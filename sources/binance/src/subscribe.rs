//! What is wanted → shards, stream names and subscription frames.

use crate::product::Product;
use model::{Channel, Instrument};
use source::{Options, Shard, Want};
use std::fmt::Write;

/// How many streams one frame names.
pub const STREAMS_PER_FRAME: usize = 100;

/// The stream that carries a channel; `None` where it comes by REST or not at all.
pub fn stream(
    product: &Product,
    instrument: &Instrument,
    channel: Channel,
    options: &Options,
) -> Option<String> {
    if !product.offers(channel) {
        return None;
    }
    let suffix = match channel {
        Channel::Trades => "trade".to_owned(),
        Channel::AggTrades => "aggTrade".to_owned(),
        Channel::Quote => "bookTicker".to_owned(),
        Channel::Book => format!("depth{}", product.depth_suffix(options.book_ms)),
        Channel::BookTop => "depth20@100ms".to_owned(),
        Channel::DayStats => "ticker".to_owned(),
        Channel::Bars => format!("kline_{}", options.bar_interval),
        Channel::MarkPrice | Channel::IndexPrice | Channel::Funding => "markPrice@1s".to_owned(),
        Channel::Liquidations => "forceOrder".to_owned(),
        Channel::OpenInterest | Channel::Instruments | Channel::Link => return None,
    };
    Some(format!("{}@{suffix}", instrument.symbol.to_lowercase()))
}

/// Cuts wants into what a connection each can carry, and what is polled.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut shards: Vec<Shard> = Vec::new();
    for want in wants {
        let Some(product) = Product::named(&want.instrument.product).filter(|p| p.offers(want.channel))
        else {
            continue;
        };
        let path = match want.channel {
            Channel::OpenInterest => None,
            Channel::Instruments => continue,
            channel => Some(product.path(channel)),
        };
        let max = if path.is_some() { product.streams_max } else { 100 };
        let fits = |s: &&mut Shard| {
            s.endpoint == product.endpoint && s.path.as_deref() == path && s.wants.len() < max
        };
        if let Some(shard) = shards.iter_mut().find(fits) {
            shard.wants.push(want.clone());
        } else {
            shards.push(Shard {
                endpoint: product.endpoint,
                path: path.map(str::to_owned),
                wants: vec![want.clone()],
                options: options.clone(),
            });
        }
    }
    shards
}

/// `{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth@100ms"],"id":1}`
pub fn frame(streams: &[String], id: u64) -> Vec<u8> {
    let mut text = "{\"method\":\"SUBSCRIBE\",\"params\":[".to_owned();
    for (n, stream) in streams.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{stream}\"");
    }
    let _ = write!(text, "],\"id\":{id}}}");
    text.into_bytes()
}
