//! Spot, USD-M and COIN-M: rows of one table.

use model::Channel;

/// A section of the venue, with all that differs between sections.
#[derive(Debug)]
pub struct Product {
    /// The name in instrument definitions and config.
    pub name: &'static str,
    /// Index into the spec's endpoints.
    pub endpoint: usize,
    /// Whether its books chain by `pu` and its instruments may be perpetual.
    pub futures: bool,
    /// Prefix of the WebSocket path for streams of a channel, where the venue splits them.
    pub split: bool,
    /// Where REST paths begin.
    pub rest: &'static str,
    /// What a depth snapshot of [`DEPTH_LIMIT`] levels costs.
    pub depth_weight: u32,
    /// What the listing costs.
    pub listing_weight: u32,
    /// How many streams a connection may carry.
    pub streams_max: usize,
    /// Book speeds in ms with the suffix of the stream name.
    pub speeds: &'static [(u32, &'static str)],
}

/// How many levels a side a snapshot holds.
pub const DEPTH_LIMIT: u32 = 1_000;

const FUTURES_SPEEDS: &[(u32, &str)] = &[(0, "@0ms"), (100, "@100ms"), (250, ""), (500, "@500ms")];

/// All sections.
pub static PRODUCTS: [Product; 3] = [
    Product {
        name: "spot",
        endpoint: 0,
        futures: false,
        split: false,
        rest: "/api/v3",
        depth_weight: 50,
        listing_weight: 20,
        streams_max: 1_024,
        speeds: &[(100, "@100ms"), (1_000, "")],
    },
    Product {
        name: "usdm",
        endpoint: 1,
        futures: true,
        split: true,
        rest: "/fapi/v1",
        depth_weight: 20,
        listing_weight: 1,
        streams_max: 200,
        speeds: FUTURES_SPEEDS,
    },
    Product {
        name: "coinm",
        endpoint: 2,
        futures: true,
        split: false,
        rest: "/dapi/v1",
        depth_weight: 20,
        listing_weight: 1,
        streams_max: 200,
        speeds: FUTURES_SPEEDS,
    },
];

impl Product {
    /// The section of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|p| p.name == name)
    }

    /// Whether it offers a channel by stream or by REST.
    pub const fn offers(&self, channel: Channel) -> bool {
        match channel {
            Channel::MarkPrice
            | Channel::IndexPrice
            | Channel::Funding
            | Channel::OpenInterest
            | Channel::Liquidations => self.futures,
            Channel::Link => false,
            _ => true,
        }
    }

    /// The path of the WebSocket that carries a channel.
    pub const fn path(&self, channel: Channel) -> &'static str {
        match channel {
            _ if !self.split => "/stream",
            Channel::Trades | Channel::Book | Channel::BookTop | Channel::Quote => "/public/stream",
            _ => "/market/stream",
        }
    }

    /// The suffix of the depth stream whose speed is nearest to `ms`.
    pub fn depth_suffix(&self, ms: u32) -> &'static str {
        self.speeds.iter().min_by_key(|(speed, _)| speed.abs_diff(ms)).map_or("", |(_, suffix)| suffix)
    }

    /// The request for a snapshot.
    pub fn depth_path(&self, symbol: &str) -> String {
        format!("{}/depth?symbol={}&limit={DEPTH_LIMIT}", self.rest, crate::listing::encoded(symbol))
    }
}
