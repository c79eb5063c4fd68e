//! Where payloads go: what a stream carries, and which section a recorded address belongs to.

use crate::product::{PRODUCTS, Product};

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Prints.
    Trade,
    /// Merged prints.
    AggTrade,
    /// Best bid and offer.
    Quote,
    /// Changes of a book.
    Depth,
    /// Whole best levels.
    Top,
    /// Statistics of 24 hours.
    DayStats,
    /// The short ones.
    MiniStats,
    /// Bars.
    Bar,
    /// Mark price, index price, funding.
    Mark,
    /// Forced orders.
    Forced,
    /// Whether contracts trade, and until when.
    Contract,
}

impl Kind {
    /// What a stream of that name carries; `None` where it is none of ours.
    pub fn of_stream(name: &[u8]) -> Option<Self> {
        let at = name.iter().position(|b| *b == b'@')?;
        let rest = name.get(at + 1..).unwrap_or_default();
        match rest {
            b"trade" => Some(Self::Trade),
            b"aggTrade" => Some(Self::AggTrade),
            b"bookTicker" => Some(Self::Quote),
            b"depth" => Some(Self::Depth),
            b"ticker" => Some(Self::DayStats),
            b"miniTicker" => Some(Self::MiniStats),
            b"markPrice" | b"markPrice@1s" => Some(Self::Mark),
            b"forceOrder" => Some(Self::Forced),
            _ if rest.starts_with(b"depth@") => Some(Self::Depth),
            _ if rest.starts_with(b"kline_") => Some(Self::Bar),
            [b'd', b'e', b'p', b't', b'h', b'0'..=b'9', ..] => Some(Self::Top),
            _ => None,
        }
    }

    /// What a payload of that `e` is where no stream is named.
    pub fn of_event(e: &[u8]) -> Option<Self> {
        match e {
            b"trade" => Some(Self::Trade),
            b"aggTrade" => Some(Self::AggTrade),
            b"bookTicker" => Some(Self::Quote),
            b"depthUpdate" => Some(Self::Depth),
            b"24hrTicker" => Some(Self::DayStats),
            b"24hrMiniTicker" => Some(Self::MiniStats),
            b"kline" => Some(Self::Bar),
            b"markPriceUpdate" => Some(Self::Mark),
            b"forceOrder" => Some(Self::Forced),
            b"contractInfo" => Some(Self::Contract),
            _ => None,
        }
    }

    /// The `e` of its payloads, where they have one.
    pub const fn event(self) -> &'static [u8] {
        match self {
            Self::Trade => b"trade",
            Self::AggTrade => b"aggTrade",
            Self::Quote => b"bookTicker",
            Self::Depth | Self::Top => b"depthUpdate",
            Self::DayStats => b"24hrTicker",
            Self::MiniStats => b"24hrMiniTicker",
            Self::Bar => b"kline",
            Self::Mark => b"markPriceUpdate",
            Self::Forced => b"forceOrder",
            Self::Contract => b"contractInfo",
        }
    }
}

/// Where the payloads of a stream go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What they are.
    pub kind: Kind,
    /// The place of their instrument.
    pub at: usize,
}

/// The section that a recorded URL belongs to.
pub fn by_url(url: &str) -> Option<&'static Product> {
    let [spot, usdm, coinm] = &PRODUCTS;
    let parts = [
        ("fstream", usdm),
        ("fapi", usdm),
        ("dstream", coinm),
        ("dapi", coinm),
        ("stream.binance", spot),
        ("data-stream", spot),
        ("api.binance", spot),
        ("data-api", spot),
    ];
    parts.into_iter().find(|(part, _)| url.contains(part)).map(|(_, product)| product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_carries_follows_from_its_name() {
        let all = [
            ("btcusdt@trade", Some(Kind::Trade)),
            ("btcusdt@depth", Some(Kind::Depth)),
            ("btcusdt@depth@0ms", Some(Kind::Depth)),
            ("btcusdt@depth20@100ms", Some(Kind::Top)),
            ("btcusdt@depth5", Some(Kind::Top)),
            ("btcusdt@kline_1m", Some(Kind::Bar)),
            ("btcusdt@markPrice@1s", Some(Kind::Mark)),
            ("btcusdt@miniTicker", Some(Kind::MiniStats)),
            ("btcusdt@depthSnapshot", None),
            ("!ticker@arr", None),
            ("btcusdt", None),
        ];
        for (name, kind) in all {
            assert_eq!(Kind::of_stream(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn a_recorded_address_tells_the_section() {
        let name = |url: &str| by_url(url).map(|p| p.name);
        assert_eq!(name("wss://fstream.binance.com/stream?streams=x"), Some("usdm"));
        assert_eq!(name("https://dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP"), Some("coinm"));
        assert_eq!(name("wss://stream.binance.com:9443/ws"), Some("spot"));
        assert_eq!(name("https://api.binance.com/api/v1/depth"), Some("spot"));
        assert_eq!(name(""), None);
    }
}
