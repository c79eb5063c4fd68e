//! Spot, USD-M and COIN-M: rows of one table.

use crate::sync::Rule;
use model::{Channel, Instrument, InstrumentKind};

/// A section of the venue, with all that differs between sections.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    /// The name in instrument definitions and config.
    pub name: &'static str,
    /// Index into the spec's endpoints and into [`PRODUCTS`].
    pub endpoint: usize,
    /// How the changes of its books follow each other.
    pub rule: Rule,
    /// Whether it trades futures, with marks, funding, open interest and forced orders.
    pub futures: bool,
    /// Whether quantities are contracts worth a fixed sum of quote currency.
    pub inverse: bool,
    /// The path of the WebSocket for books, quotes and prints.
    pub public: &'static str,
    /// The path of the WebSocket for all else.
    pub market: &'static str,
    /// Where REST paths begin.
    pub rest: &'static str,
    /// What a depth snapshot costs by its levels: the first row that has as many.
    pub depth_weights: &'static [(u32, u32)],
    /// What the listing costs.
    pub listing_weight: u32,
    /// How many streams a connection may carry.
    pub streams_max: usize,
    /// Book speeds in ms with the suffix of the stream name.
    pub speeds: &'static [(u32, &'static str)],
    /// How often the venue pings, in ms.
    pub ping_ms: u64,
    /// How long it waits for a pong, in ms.
    pub pong_ms: u64,
    /// How many frames a client may send in a second.
    pub sends_max: usize,
    /// How much REST weight a client may use in a minute.
    pub weight_max: u32,
}

/// How many levels a side a snapshot holds.
pub const DEPTH_LIMIT: u32 = 1_000;

const FUTURES_SPEEDS: &[(u32, &str)] = &[(0, "@0ms"), (100, "@100ms"), (250, ""), (500, "@500ms")];
const FUTURES_WEIGHTS: &[(u32, u32)] = &[(50, 2), (100, 5), (500, 10), (1_000, 20)];

/// All sections.
pub static PRODUCTS: [Product; 3] = [
    Product {
        name: "spot",
        endpoint: 0,
        rule: Rule::Counted,
        futures: false,
        inverse: false,
        public: "/stream",
        market: "/stream",
        rest: "/api/v3",
        depth_weights: &[(100, 5), (500, 25), (1_000, 50), (5_000, 250)],
        listing_weight: 20,
        streams_max: 1_024,
        speeds: &[(100, "@100ms"), (1_000, "")],
        ping_ms: 20_000,
        pong_ms: 60_000,
        sends_max: 5,
        weight_max: 6_000,
    },
    Product {
        name: "usdm",
        endpoint: 1,
        rule: Rule::Chained,
        futures: true,
        inverse: false,
        public: "/public/stream",
        market: "/market/stream",
        rest: "/fapi/v1",
        depth_weights: FUTURES_WEIGHTS,
        listing_weight: 1,
        streams_max: 200,
        speeds: FUTURES_SPEEDS,
        ping_ms: 180_000,
        pong_ms: 600_000,
        sends_max: 10,
        weight_max: 2_400,
    },
    Product {
        name: "coinm",
        endpoint: 2,
        rule: Rule::Chained,
        futures: true,
        inverse: true,
        public: "/stream",
        market: "/stream",
        rest: "/dapi/v1",
        depth_weights: FUTURES_WEIGHTS,
        listing_weight: 1,
        streams_max: 200,
        speeds: FUTURES_SPEEDS,
        ping_ms: 180_000,
        pong_ms: 600_000,
        sends_max: 10,
        weight_max: 2_400,
    },
];

impl Product {
    /// The section of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|p| p.name == name)
    }

    /// The futures section that a payload belongs to: that of its `st`, 2, or of its symbol: `BTCUSD_PERP` and
    /// `BTCUSD_261225` are COIN-M.
    pub fn of_futures(symbol: &[u8], st: Option<u64>) -> &'static Self {
        let [_, usdm, coinm] = &PRODUCTS;
        if st == Some(2) {
            return coinm;
        }
        let pair = symbol.split(|b| *b == b'_').next().unwrap_or_default();
        if pair.len() < symbol.len() && pair.ends_with(b"USD") { coinm } else { usdm }
    }

    /// Spot.
    pub fn spot() -> &'static Self {
        let [spot, ..] = &PRODUCTS;
        spot
    }

    /// Whether it has a channel of an instrument, by stream or by REST.
    pub fn offers(&self, instrument: &Instrument, channel: Channel) -> bool {
        match channel {
            // The ratio of COIN-M is of the pair, for which its perpetual stands.
            Channel::Funding | Channel::LongShortRatio => {
                self.futures && instrument.kind == InstrumentKind::Perpetual
            }
            Channel::MarkPrice | Channel::IndexPrice | Channel::OpenInterest | Channel::Liquidations => {
                self.futures
            }
            Channel::Trades
            | Channel::AggTrades
            | Channel::Book
            | Channel::BookTop
            | Channel::Quote
            | Channel::DayStats
            | Channel::Bars
            | Channel::Status
            | Channel::Instruments => true,
            _ => false,
        }
    }

    /// The path of the WebSocket that carries a channel.
    pub const fn path(&self, channel: Channel) -> &'static str {
        match channel {
            Channel::Trades | Channel::Book | Channel::BookTop | Channel::Quote => self.public,
            _ => self.market,
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

    /// What a snapshot of `levels` levels a side costs.
    pub fn depth_weight(&self, levels: u32) -> u32 {
        let row = self.depth_weights.iter().find(|(most, _)| levels <= *most);
        row.or(self.depth_weights.last()).map_or(1, |(_, weight)| *weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_speed_is_taken() {
        let [spot, usdm, _] = &PRODUCTS;
        for (ms, on_spot, on_usdm) in
            [(0, "@100ms", "@0ms"), (100, "@100ms", "@100ms"), (300, "@100ms", ""), (900, "", "@500ms")]
        {
            assert_eq!((spot.depth_suffix(ms), usdm.depth_suffix(ms)), (on_spot, on_usdm), "{ms}");
        }
    }

    #[test]
    fn a_snapshot_costs_by_its_levels() {
        let [spot, usdm, _] = &PRODUCTS;
        let cost = |p: &Product| [5, 100, 101, 1_000, 5_000].map(|n| p.depth_weight(n));
        assert_eq!(cost(spot), [5, 5, 25, 50, 250]);
        assert_eq!(cost(usdm), [2, 5, 10, 20, 20]);
    }

    #[test]
    fn futures_are_told_apart_by_their_symbols() {
        let name = |symbol: &str| Product::of_futures(symbol.as_bytes(), None).name;
        let all = ["BTCUSDT", "BTCUSDT_261225", "BTCUSD_PERP", "BTCUSD_261225", "ABCUSD"].map(name);
        assert_eq!(all, ["usdm", "usdm", "coinm", "coinm", "usdm"]);
    }
}
