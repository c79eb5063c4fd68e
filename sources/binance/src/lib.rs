//! Binance: spot, USD-M and COIN-M futures.

mod archive;
mod cold;
mod fast;
mod listing;
mod odd;
mod parse;
mod product;
mod rest;
mod route;
mod session;
mod sim;
mod subscribe;
mod sync;
mod table;

use model::{Channel, Instrument, Proof, SourceName};
use product::PRODUCTS;
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The name of the source and of the venue.
pub(crate) const NAME: SourceName = "binance";

/// The source.
pub struct Binance;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

const DAY_MS: u64 = 86_400_000;
/// Marks come each second; a few may be late.
const MARK_QUIET_MS: u32 = 5_000;

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://developers.binance.com/docs/",
    endpoints: &[
        Endpoint {
            name: "spot",
            ws: "wss://stream.binance.com:9443",
            rest: "https://api.binance.com",
            connects: Rate { max: 300, per_ms: 300_000 },
            sends: Rate { max: 4, per_ms: 1_000 },
            weight: Rate { max: 5_000, per_ms: 60_000 },
            heartbeat_ms: 60_000,
            lifetime_ms: Some(DAY_MS),
        },
        Endpoint {
            name: "usdm",
            ws: "wss://fstream.binance.com",
            rest: "https://fapi.binance.com",
            connects: Rate { max: 300, per_ms: 300_000 },
            sends: Rate { max: 9, per_ms: 1_000 },
            weight: Rate { max: 2_000, per_ms: 60_000 },
            heartbeat_ms: 200_000,
            lifetime_ms: Some(DAY_MS),
        },
        Endpoint {
            name: "coinm",
            ws: "wss://dstream.binance.com",
            rest: "https://dapi.binance.com",
            connects: Rate { max: 300, per_ms: 300_000 },
            sends: Rate { max: 9, per_ms: 1_000 },
            weight: Rate { max: 2_000, per_ms: 60_000 },
            heartbeat_ms: 200_000,
            lifetime_ms: Some(DAY_MS),
        },
    ],
    channels: &[
        // USD-M uses up ids without a print.
        offers(Channel::Trades, Proof::None, None),
        offers(Channel::AggTrades, Proof::Sequence, None),
        offers(Channel::Book, Proof::Sequence, None),
        offers(Channel::BookTop, Proof::None, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, Some(MARK_QUIET_MS)),
        offers(Channel::IndexPrice, Proof::None, Some(MARK_QUIET_MS)),
        offers(Channel::Funding, Proof::None, Some(MARK_QUIET_MS)),
        offers(Channel::OpenInterest, Proof::None, Some(30_000)),
        // Counted each 5 minutes, asked for each minute; one in two may fail.
        offers(Channel::LongShortRatio, Proof::None, Some(720_000)),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 32 << 20,
};

impl Source for Binance {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request = |p: &product::Product| Request {
            endpoint: p.endpoint,
            path: format!("{}/exchangeInfo", p.rest),
            weight: p.listing_weight,
        };
        PRODUCTS.iter().map(request).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::product_of(path).map(|product| listing::read(product, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::BinanceSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::BinanceSim::new(setup))
    }

    fn rest(&self) -> &dyn Rest {
        &rest::BinanceRest
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        if let Some(url) = url {
            return url.contains("binance");
        }
        let has = |part: &[u8]| frame.windows(part.len()).any(|w| w == part);
        frame.starts_with(b"{\"stream\":\"") && has(b"@") && has(b"\"data\":")
            || frame.starts_with(b"{\"lastUpdateId\":")
            || (frame.starts_with(b"{\"e\":\"") && has(b"\"E\":") && has(b"\"s\":\""))
            || (frame.starts_with(b"{\"u\":") && has(b"\"s\":\"") && has(b"\"B\":"))
    }
}
