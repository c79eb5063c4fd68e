//! Spot and the three sections of futures: rows of one table.

/// A section of the venue.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    /// The name in instrument definitions; also `instType` of the v3 API.
    pub name: &'static str,
    /// `instType` of the v2 API and `productType` of REST.
    pub inst_type: &'static str,
    /// Index into [`PRODUCTS`].
    pub at: usize,
    /// The coin that profit is paid in; empty for spot, and for what is paid in its base.
    pub settle: &'static str,
    /// Where REST paths begin.
    pub rest: &'static str,
}

/// All sections.
pub static PRODUCTS: [Product; 4] = [
    Product { name: "spot", inst_type: "SPOT", at: 0, settle: "", rest: "/api/v2/spot/market" },
    Product {
        name: "usdt-futures",
        inst_type: "USDT-FUTURES",
        at: 1,
        settle: "USDT",
        rest: "/api/v2/mix/market",
    },
    Product {
        name: "usdc-futures",
        inst_type: "USDC-FUTURES",
        at: 2,
        settle: "USDC",
        rest: "/api/v2/mix/market",
    },
    Product {
        name: "coin-futures",
        inst_type: "COIN-FUTURES",
        at: 3,
        settle: "",
        rest: "/api/v2/mix/market",
    },
];

impl Product {
    /// Whether it is spot.
    pub fn spot(&self) -> bool {
        self.at == 0
    }

    /// The section of that name, in the words of v2 or v3.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// The section that `instType` and a symbol name, in the words of any generation of the API.
    #[inline]
    pub fn of(inst_type: &[u8], symbol: &[u8]) -> Option<&'static Self> {
        let known = PRODUCTS.iter().find(|p| p.inst_type.as_bytes().eq_ignore_ascii_case(inst_type));
        known.or_else(|| Self::of_first(inst_type, symbol))
    }

    /// In the words of v1: `sp` is spot, `mc` all futures.
    #[cold]
    fn of_first(inst_type: &[u8], symbol: &[u8]) -> Option<&'static Self> {
        let [spot, usdt, usdc, coin] = &PRODUCTS;
        match inst_type {
            b"sp" | b"SP" => Some(spot),
            b"mc" | b"MC" if symbol.ends_with(b"PERP") => Some(usdc),
            b"mc" | b"MC" if symbol.ends_with(b"USDT") => Some(usdt),
            b"mc" | b"MC" => Some(coin),
            _ => None,
        }
    }

    /// The section that the suffix of a v1 symbol names: `BTCUSDT_UMCBL`.
    pub fn of_suffix(suffix: &str) -> Option<&'static Self> {
        let [spot, usdt, usdc, coin] = &PRODUCTS;
        match suffix {
            "SPBL" => Some(spot),
            "UMCBL" => Some(usdt),
            "CMCBL" => Some(usdc),
            "DMCBL" => Some(coin),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_generations_name_the_same_sections() {
        for (inst_type, symbol, name) in [
            ("SPOT", "BTCUSDT", "spot"),
            ("spot", "BTCUSDT", "spot"),
            ("sp", "BTCUSDT", "spot"),
            ("USDT-FUTURES", "BTCUSDT", "usdt-futures"),
            ("usdt-futures", "BTCUSDT", "usdt-futures"),
            ("mc", "BTCUSDT", "usdt-futures"),
            ("mc", "BTCUSD", "coin-futures"),
            ("mc", "BTCPERP", "usdc-futures"),
            ("COIN-FUTURES", "BTCUSD", "coin-futures"),
        ] {
            let found = Product::of(inst_type.as_bytes(), symbol.as_bytes()).map(|p| p.name);
            assert_eq!(found, Some(name), "{inst_type} {symbol}");
        }
        assert_eq!(Product::of(b"SWAP", b"BTC-USDT-SWAP"), None);
        for (at, product) in PRODUCTS.iter().enumerate() {
            assert_eq!(product.at, at);
            assert_eq!(Product::named(product.inst_type), Some(product));
        }
    }
}
