//! Bybit: spot, linear and inverse contracts and options by the v5 API.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod archive;
mod emit;
mod listing;
mod parse;
mod product;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;
mod ticker;
mod topic;

use model::{Channel, Instrument, Proof, SourceName};
use product::Product;
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "bybit";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bybit;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// An endpoint of the one host. Its limits are of the host: each endpoint takes a fourth.
const fn endpoint(name: &'static str) -> Endpoint {
    Endpoint {
        name,
        ws: "wss://stream.bybit.com",
        rest: "https://api.bybit.com",
        connects: Rate { max: 120, per_ms: 300_000 },
        sends: Rate { max: 20, per_ms: 1_000 },
        weight: Rate { max: 140, per_ms: 5_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://bybit-exchange.github.io/docs/v5/intro",
    endpoints: &[endpoint("spot"), endpoint("linear"), endpoint("inverse"), endpoint("option")],
    channels: &[
        offers(Channel::Trades, Proof::None, None),
        offers(Channel::Book, Proof::Sequence, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, None),
        offers(Channel::IndexPrice, Proof::None, None),
        offers(Channel::Funding, Proof::None, None),
        offers(Channel::OpenInterest, Proof::None, None),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::LongShortRatio, Proof::None, Some(660_000)),
        offers(Channel::Greeks, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

/// Coins that options are listed of.
pub(crate) const OPTION_COINS: [&str; 6] = ["BTC", "ETH", "SOL", "XRP", "DOGE", "MNT"];

/// The path of a listing; options are listed by coin.
pub(crate) fn listing_path(product: Product, coin: Option<&str>) -> String {
    let name = product.name();
    match (product, coin) {
        // It knows no pages.
        (Product::Spot, _) => format!("/v5/market/instruments-info?category={name}"),
        (Product::Option, Some(coin)) => {
            format!("/v5/market/instruments-info?category={name}&baseCoin={coin}&limit=1000")
        }
        _ => format!("/v5/market/instruments-info?category={name}&limit=1000"),
    }
}

impl Source for Bybit {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request = |product: Product, coin| Request {
            endpoint: product.endpoint(),
            path: listing_path(product, coin),
            weight: 1,
        };
        let contracts =
            [Product::Spot, Product::Linear, Product::Inverse].map(|product| request(product, None));
        let options = OPTION_COINS.map(|coin| request(Product::Option, Some(coin)));
        contracts.into_iter().chain(options).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::BybitSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::BybitSim::new(setup))
    }

    fn rest(&self) -> &dyn Rest {
        &rest::BybitRest
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => ["bybit.", "/v5/public/", "/v5/market/"].iter().any(|part| url.contains(part)),
            None => looks_like_ours(frame),
        }
    }
}

/// Whether a frame has the look of this venue: a topic of ours with data, or an answer to a request.
fn looks_like_ours(frame: &[u8]) -> bool {
    let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
    if read.is_err() {
        return false;
    }
    if let Some(topic) = head.topic {
        return head.data && !topic.of.is_empty() && topic.kind != topic::Kind::Other;
    }
    let answer = subscribe::Control::read(frame).ok();
    head.control
        && answer.is_some_and(|a| a.name().is_some() && frame.windows(9).any(|w| w == b"\"conn_id\""))
}
