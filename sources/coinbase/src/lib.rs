//! Coinbase: Advanced Trade (spot and futures), and the older Exchange feed of the same spot markets.
//!
//! What they offer, their limits, their sequence rules and their quirks stand in the README of this folder.

mod emit;
mod exchange;
mod listing;
mod parse;
mod poll;
mod rest;
mod session;
mod sim;
mod subscribe;
mod sync;
mod time;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "coinbase";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coinbase;

/// Which of the venue's two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Advanced Trade.
    Advanced,
    /// Exchange, formerly Pro, formerly GDAX.
    Exchange,
}

impl Feed {
    /// Index into the endpoints of [`SPEC`].
    pub const fn endpoint(self) -> usize {
        match self {
            Self::Advanced => 0,
            Self::Exchange => 1,
        }
    }

    /// As in [`Instrument::product`].
    pub const fn product(self) -> &'static str {
        match self {
            Self::Advanced => "",
            Self::Exchange => "exchange",
        }
    }

    /// The feed that an instrument is told by.
    pub fn of(instrument: &Instrument) -> Self {
        if &*instrument.product == Self::Exchange.product() { Self::Exchange } else { Self::Advanced }
    }
}

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview",
    endpoints: &[
        Endpoint {
            name: "advanced",
            ws: "wss://advanced-trade-ws.coinbase.com",
            rest: "https://api.coinbase.com",
            connects: Rate { max: 8, per_ms: 1_000 },
            sends: Rate { max: 8, per_ms: 1_000 },
            weight: Rate { max: 10, per_ms: 1_000 },
            heartbeat_ms: 10_000,
            lifetime_ms: None,
        },
        Endpoint {
            name: "exchange",
            ws: "wss://ws-feed.exchange.coinbase.com",
            rest: "https://api.exchange.coinbase.com",
            connects: Rate { max: 8, per_ms: 1_000 },
            sends: Rate { max: 8, per_ms: 1_000 },
            weight: Rate { max: 10, per_ms: 1_000 },
            heartbeat_ms: 10_000,
            lifetime_ms: None,
        },
    ],
    channels: &[
        offers(Channel::Trades, Proof::Sequence, None),
        offers(Channel::Book, Proof::Sequence, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::IndexPrice, Proof::None, None),
        offers(Channel::Funding, Proof::None, None),
        offers(Channel::OpenInterest, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 64 * 1024 * 1024,
};

impl Source for Coinbase {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request = |(feed, path): &(Feed, &str)| Request {
            endpoint: feed.endpoint(),
            path: (*path).to_owned(),
            weight: 1,
        };
        listing::PATHS.iter().map(request).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        Some(listing::read(listing::feed_of(path)?, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        if shard.path.is_none() && !shard.wants.is_empty() {
            Box::new(poll::PollSession::new(shard))
        } else {
            Box::new(session::CoinbaseSession::new(shard))
        }
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::CoinbaseSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => url.contains("coinbase.com") || url.contains("gdax.com"),
            None => parse::looks_like_ours(frame) || exchange::looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::CoinbaseRest
    }
}
