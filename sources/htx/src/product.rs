//! The sections of the venue.

use model::{Instrument, InstrumentKind};

/// A section of the venue with its own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Coins against coins.
    Spot,
    /// Contracts margined in USDT: perpetuals, dated futures, options of old.
    Linear,
    /// Perpetuals margined in the coin.
    Inverse,
    /// Dated futures margined in the coin. Only read where a recording holds them.
    Dated,
}

/// All of them.
pub const PRODUCTS: [Product; 4] = [Product::Spot, Product::Linear, Product::Inverse, Product::Dated];

impl Product {
    /// As in [`Instrument::product`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Linear => "linear",
            Self::Inverse => "inverse",
            Self::Dated => "dated",
        }
    }

    /// The section of that name.
    pub fn named(name: &str) -> Option<Self> {
        PRODUCTS.into_iter().find(|p| p.name() == name)
    }

    /// The section of a symbol, told by its form: `btcusdt`, `BTC-USDT`, `BTC-USD`, `BTC_CQ` or `BTC260626`.
    #[inline]
    pub fn of(symbol: &[u8]) -> Option<Self> {
        let symbol_like =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'$') || !b.is_ascii();
        if symbol.is_empty() || symbol.len() > 64 || !symbol.iter().all(symbol_like) {
            return None;
        }
        if !symbol.iter().any(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_')) {
            return Some(Self::Spot);
        }
        if symbol.ends_with(b"-USD") {
            return Some(Self::Inverse);
        }
        Some(if symbol.contains(&b'-') { Self::Linear } else { Self::Dated })
    }

    /// Index into the endpoints.
    pub const fn endpoint(self) -> usize {
        match self {
            Self::Spot => 0,
            Self::Linear | Self::Inverse | Self::Dated => 1,
        }
    }

    /// Whether quantities are coins, not contracts.
    pub const fn spot(self) -> bool {
        matches!(self, Self::Spot)
    }

    /// The path of the socket of prices and books.
    pub const fn market(self) -> &'static str {
        match self {
            Self::Spot | Self::Dated => "/ws",
            Self::Linear => "/linear-swap-ws",
            Self::Inverse => "/swap-ws",
        }
    }

    /// The path of the socket of notifications.
    pub const fn notices(self) -> &'static str {
        match self {
            Self::Inverse => "/swap-notification",
            _ => "/linear-swap-notification",
        }
    }

    /// Where REST answers of its facts begin.
    pub const fn api(self) -> &'static str {
        match self {
            Self::Inverse => "/swap-api/v1",
            _ => "/linear-swap-api/v1",
        }
    }

    /// Where REST answers of its prices begin.
    pub const fn ex(self) -> &'static str {
        match self {
            Self::Inverse => "/swap-ex/market",
            _ => "/linear-swap-ex/market",
        }
    }
}

/// The path of the socket of spot books by changes.
pub const FEED: &str = "/feed";
/// The path of the socket of mark prices and indices.
pub const INDEX: &str = "/ws_index";

/// The symbol of the index under a contract: the pair of a dated future.
pub fn index_of(instrument: &Instrument) -> &str {
    let symbol = &*instrument.symbol;
    if instrument.kind == InstrumentKind::Perpetual {
        return symbol;
    }
    match symbol.match_indices('-').nth(1) {
        Some((at, _)) => symbol.get(..at).unwrap_or(symbol),
        None => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_tells_its_section() {
        for (symbol, product) in [
            ("btcusdt", Some(Product::Spot)),
            ("fil3susdt", Some(Product::Spot)),
            ("BTC-USDT", Some(Product::Linear)),
            ("BTC-USDT-261225", Some(Product::Linear)),
            ("BTC-USD", Some(Product::Inverse)),
            ("BTC_CQ", Some(Product::Dated)),
            ("BTC200703", Some(Product::Dated)),
            ("币安人生-USDT", Some(Product::Linear)),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(Product::of(symbol.as_bytes()), product, "{symbol}");
        }
        assert!(PRODUCTS.iter().all(|p| Product::named(p.name()) == Some(*p)));
    }
}
