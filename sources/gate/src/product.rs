//! The venue's sections: where each is reached, and what its requests are called.

use model::{Instrument, InstrumentKind};

/// A section of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Coins against money.
    Spot,
    /// Perpetuals settled in USDT.
    Usdt,
    /// Perpetuals settled in BTC.
    Btc,
    /// Dated futures settled in USDT.
    Delivery,
}

/// All sections.
pub const ALL: [Product; 4] = [Product::Spot, Product::Usdt, Product::Btc, Product::Delivery];

impl Product {
    /// As in [`Instrument::product`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Usdt => "usdt",
            Self::Btc => "btc",
            Self::Delivery => "delivery",
        }
    }

    /// The section of a definition.
    pub fn of(instrument: &Instrument) -> Option<Self> {
        ALL.into_iter().find(|p| *instrument.product == *p.name())
    }

    /// The section that a path of a connection belongs to, with or without a host before it.
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let ends = |tails: &[&str]| tails.iter().any(|tail| path.ends_with(tail));
        if ends(&["/ws/v4", "/v4/ws/spot"]) {
            Some(Self::Spot)
        } else if ends(&["/v4/ws/delivery/usdt", "/v4/ws/delivery"]) {
            Some(Self::Delivery)
        } else if ends(&["/v4/ws/btc", "/v4/ws/futures/btc"]) {
            Some(Self::Btc)
        } else {
            ends(&["/v4/ws/usdt", "/v4/ws/futures/usdt", "/v4/ws"]).then_some(Self::Usdt)
        }
    }

    /// The section that a contract of a recording belongs to, by its spelling: `BTC_USD`, `BTC_USDT_20261225`.
    pub fn of_contract(symbol: &[u8]) -> Self {
        let tail = symbol.rsplit(|b| *b == b'_').next().unwrap_or_default();
        if tail.len() == 8 && tail.iter().all(u8::is_ascii_digit) {
            Self::Delivery
        } else if tail == b"USD" {
            Self::Btc
        } else {
            Self::Usdt
        }
    }

    /// What is traded there.
    pub const fn kind(self) -> InstrumentKind {
        match self {
            Self::Spot => InstrumentKind::Spot,
            Self::Usdt | Self::Btc => InstrumentKind::Perpetual,
            Self::Delivery => InstrumentKind::Future,
        }
    }

    /// Index into the endpoints.
    pub const fn endpoint(self) -> usize {
        match self {
            Self::Spot => 0,
            Self::Usdt | Self::Btc | Self::Delivery => 1,
        }
    }

    /// Path of the connection.
    pub const fn ws_path(self) -> &'static str {
        match self {
            Self::Spot => "/ws/v4/",
            Self::Usdt => "/v4/ws/usdt",
            Self::Btc => "/v4/ws/btc",
            Self::Delivery => "/v4/ws/delivery/usdt",
        }
    }

    /// What its channels begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Usdt | Self::Btc | Self::Delivery => "futures",
        }
    }

    /// What its REST paths begin with.
    pub const fn rest(self) -> &'static str {
        match self {
            Self::Spot => "/api/v4/spot",
            Self::Usdt => "/api/v4/futures/usdt",
            Self::Btc => "/api/v4/futures/btc",
            Self::Delivery => "/api/v4/delivery/usdt",
        }
    }

    /// Path of the list of instruments.
    pub const fn listing(self) -> &'static str {
        match self {
            Self::Spot => "/api/v4/spot/currency_pairs",
            Self::Usdt => "/api/v4/futures/usdt/contracts",
            Self::Btc => "/api/v4/futures/btc/contracts",
            Self::Delivery => "/api/v4/delivery/usdt/contracts",
        }
    }

    /// What a query calls an instrument.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Spot => "currency_pair",
            Self::Usdt | Self::Btc | Self::Delivery => "contract",
        }
    }

    /// The request for a whole book of `limit` levels with its number.
    pub fn book_path(self, symbol: &str, limit: u32) -> String {
        format!("{}/order_book?{}={symbol}&limit={limit}&with_id=true", self.rest(), self.key())
    }

    /// The section and the instrument that a REST path or recorded URL asks for.
    pub fn of_request(path: &str) -> Option<(Self, &str)> {
        let (path, query) = path.split_once('?')?;
        let product = ALL.into_iter().find(|p| path.contains(&format!("{}/", p.rest())))?;
        let value = |pair: &'_ str| pair.split_once('=').is_some_and(|(key, _)| key == product.key());
        let symbol = query.split('&').find(|pair| value(pair))?.split_once('=')?.1;
        Some((product, symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_spellings_name_the_section() {
        for product in ALL {
            assert_eq!(Product::of_path(product.ws_path()), Some(product));
            let path = format!("https://api.gateio.ws{}", product.book_path("BTC_USDT", 100));
            assert_eq!(Product::of_request(&path), Some((product, "BTC_USDT")));
        }
        assert_eq!(Product::of_path("wss://api.gateio.ws/ws/v4"), Some(Product::Spot));
        assert_eq!(Product::of_path("/"), None);
        assert_eq!(Product::of_contract(b"BTC_USD"), Product::Btc);
        assert_eq!(Product::of_contract(b"BTC_USDT_20261225"), Product::Delivery);
        assert_eq!(Product::of_contract(b"BTC_USDT"), Product::Usdt);
    }
}
