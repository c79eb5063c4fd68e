//! The venue's sections, each with an endpoint of its own; one symbol may be listed in several of them.

use model::{Instrument, InstrumentKind};

/// A section of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Coins against money.
    Spot,
    /// Perpetuals and futures settled in USDT or USDC.
    Linear,
    /// Perpetuals and futures settled in the coin itself.
    Inverse,
    /// Options.
    Option,
}

impl Product {
    /// All, in the order of the endpoints.
    pub const ALL: [Self; 4] = [Self::Spot, Self::Linear, Self::Inverse, Self::Option];

    /// The venue's `category`, also the endpoint's name and the instrument's product.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Linear => "linear",
            Self::Inverse => "inverse",
            Self::Option => "option",
        }
    }

    /// Index into the endpoints.
    pub const fn endpoint(self) -> usize {
        match self {
            Self::Spot => 0,
            Self::Linear => 1,
            Self::Inverse => 2,
            Self::Option => 3,
        }
    }

    /// The path of its WebSocket.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Spot => "/v5/public/spot",
            Self::Linear => "/v5/public/linear",
            Self::Inverse => "/v5/public/inverse",
            Self::Option => "/v5/public/option",
        }
    }

    /// The product of an endpoint.
    pub fn at(endpoint: usize) -> Option<Self> {
        Self::ALL.get(endpoint).copied()
    }

    /// The product of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The product that an instrument is listed in.
    pub fn of(instrument: &Instrument) -> Option<Self> {
        Self::named(&instrument.product)
    }

    /// The product of a path or recorded URL of a WebSocket.
    pub fn of_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| url.contains(p.path()))
    }

    /// The product of a symbol whose connection is not known. Spot and linear share symbols; then `spot_order`, the
    /// order of keys that spot has, decides.
    pub fn guess(symbol: &[u8], spot_order: bool) -> Self {
        if symbol.contains(&b'-') {
            let option = symbol.split(|b| *b == b'-').skip(1).any(|part| matches!(part, b"C" | b"P"));
            return if option { Self::Option } else { Self::Linear };
        }
        if symbol.ends_with(b"USD") || delivery_code(symbol).is_some() {
            Self::Inverse
        } else if spot_order && !symbol.ends_with(b"PERP") {
            Self::Spot
        } else {
            Self::Linear
        }
    }

    /// What its instruments usually are.
    pub const fn kind(self) -> InstrumentKind {
        match self {
            Self::Spot => InstrumentKind::Spot,
            Self::Linear | Self::Inverse => InstrumentKind::Perpetual,
            Self::Option => InstrumentKind::Option,
        }
    }
}

/// The part before the delivery month of a dated inverse contract: `BTCUSD` of `BTCUSDZ26`.
pub fn delivery_code(symbol: &[u8]) -> Option<&[u8]> {
    let (pair, code) = symbol.split_at_checked(symbol.len().checked_sub(3)?)?;
    let month = code.first().is_some_and(|b| b"FGHJKMNQUVXZ".contains(b));
    let year = code.get(1..).is_some_and(|y| y.iter().all(u8::is_ascii_digit));
    (month && year && pair.ends_with(b"USD")).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_tells_its_product_but_for_spot_and_linear() {
        for (symbol, spot_order, product) in [
            ("BTCUSDT", true, Product::Spot),
            ("BTCUSDT", false, Product::Linear),
            ("BTCPERP", true, Product::Linear),
            ("BTCUSD", true, Product::Inverse),
            ("BTCUSDZ26", false, Product::Inverse),
            ("BTC-26DEC25", false, Product::Linear),
            ("BTCUSDT-26DEC25", true, Product::Linear),
            ("BTC-27MAR26-70000-P-USDT", true, Product::Option),
            ("SOL-28APR23-30-C", false, Product::Option),
        ] {
            assert_eq!(Product::guess(symbol.as_bytes(), spot_order), product, "{symbol}");
        }
    }

    #[test]
    fn a_url_tells_its_product() {
        for product in Product::ALL {
            let url = format!("wss://stream.bybit.com{}", product.path());
            assert_eq!(Product::of_url(&url), Some(product));
            assert_eq!(Product::at(product.endpoint()), Some(product));
        }
        assert_eq!(Product::of_url("wss://stream.bybit.com/realtime"), None);
    }
}
