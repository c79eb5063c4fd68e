//! The venue's several spellings of a coin and of a pair.
//!
//! The stream says `BTC/USD`, REST and the retired stream `XBT/USD`, keys of REST answers `XXBTZUSD`, derivatives `XBT`.

/// Quote currencies that a key of a REST answer may end with, longest first.
const QUOTES: [&str; 20] = [
    "PYUSD", "RLUSD", "USDG", "USDQ", "USDR", "USDT", "USDC", "EURC", "EURQ", "EURR", "USD", "EUR", "GBP",
    "CAD", "JPY", "AUD", "CHF", "DAI", "XBT", "ETH",
];

/// The usual name of a coin: `BTC` for `XBT`, `DOGE` for `XDG`.
pub fn coin(theirs: &str) -> &str {
    match theirs {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        other => other,
    }
}

/// The venue's own name of a coin.
pub fn old_coin(ours: &str) -> &str {
    match ours {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

/// `BTC/USD` of `XBT/USD`; `None` where it is no pair.
pub fn symbol(pair: &str) -> Option<String> {
    let (base, quote) = pair.split_once('/')?;
    let good = |coin: &str| {
        (1..=20).contains(&coin.len())
            && coin.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    (good(base) && good(quote)).then(|| format!("{}/{}", coin(base), coin(quote)))
}

/// How REST wants a pair named: `XBTUSD` for `BTC/USD`.
pub fn rest_pair(symbol: &str) -> String {
    let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
    format!("{}{}", old_coin(base), old_coin(quote))
}

/// `XBT/USD` for `BTC/USD`.
pub fn old_pair(symbol: &str) -> String {
    let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
    format!("{}/{}", old_coin(base), old_coin(quote))
}

/// The symbol behind a key of a REST answer: `BTC/USD` for `XXBTZUSD`, `XBTUSD` and `BTC/USD`.
pub fn symbol_of_key(key: &str) -> Option<String> {
    if key.contains('/') {
        return symbol(key);
    }
    let pair = |base: &str, quote: &str| symbol(&format!("{base}/{quote}"));
    let marked = |coin: &str| coin.len() == 4 && coin.starts_with(['X', 'Z']);
    if let (Some(base), Some(quote)) = (key.get(..4), key.get(4..))
        && marked(base)
        && marked(quote)
        && QUOTES.contains(&quote.get(1..)?)
    {
        return pair(base.get(1..)?, quote.get(1..)?);
    }
    let found = QUOTES.iter().find(|quote| key.len() > quote.len() && key.ends_with(**quote))?;
    let base = key.strip_suffix(found)?;
    // A quote of the oldest pairs is marked also where the base is not: `USDTZUSD`.
    let base = if found.len() == 3 && base.len() > 3 { base.strip_suffix('Z').unwrap_or(base) } else { base };
    pair(base, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_has_one_symbol_however_it_is_spelled() {
        for (theirs, ours) in [
            ("XXBTZUSD", "BTC/USD"),
            ("XETHXXBT", "ETH/BTC"),
            ("XDGUSD", "DOGE/USD"),
            ("USDTZUSD", "USDT/USD"),
            ("ADAUSDT", "ADA/USDT"),
            ("ETHUSDT", "ETH/USDT"),
            ("SOLUSDC", "SOL/USDC"),
            ("XBTUSDT", "BTC/USDT"),
            ("ZEURZUSD", "EUR/USD"),
            ("BTC/USD", "BTC/USD"),
            ("XBT/USD", "BTC/USD"),
            ("PEPEEUR", "PEPE/EUR"),
        ] {
            assert_eq!(symbol_of_key(theirs).as_deref(), Some(ours), "{theirs}");
        }
        assert_eq!(symbol_of_key("NOTHING"), None);
        assert_eq!(symbol("XBT"), None);
        assert_eq!(symbol("X\u{fffd}T/USD"), None);
    }

    #[test]
    fn a_symbol_goes_to_rest_and_back() {
        for symbol in ["BTC/USD", "DOGE/USDT", "ETH/BTC", "SOL/EUR"] {
            assert_eq!(symbol_of_key(&rest_pair(symbol)).as_deref(), Some(symbol));
            assert_eq!(super::symbol(&old_pair(symbol)).as_deref(), Some(symbol));
        }
    }
}
