//! Topics: what a frame is about.

/// A topic: what kind of data, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// What it is to us.
    pub kind: Kind,
    /// The symbol; the coin in trades of options.
    pub of: &'a [u8],
}

/// A kind of data of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `publicTrade`
    Trades,
    /// `orderbook` of this depth.
    Book(u16),
    /// `tickers`
    Tickers,
    /// `kline` of this interval: an index into [`INTERVALS`](crate::rows::INTERVALS).
    Bars(usize),
    /// `allLiquidation`, and its forerunner `liquidation`.
    Liquidations,
    /// A topic of the retired API.
    Old(Old),
    /// Any other.
    Other,
}

/// Topics of the API before v5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// `trade.BTCUSD`
    Trades,
    /// `orderBookL2_25.BTCUSD`, `orderBook_200.100ms.BTCUSD`
    Book(u16),
    /// `instrument_info.100ms.BTCUSD`
    Tickers,
    /// `klineV2.1.BTCUSD`, `candle.1.BTCUSDT`; an index as in [`Kind::Bars`].
    Bars(usize),
}

impl<'a> Topic<'a> {
    /// Reads `orderbook.50.BTCUSDT`.
    pub fn parse(text: &'a [u8]) -> Self {
        let cut = |text: &'a [u8]| -> (&'a [u8], &'a [u8]) {
            let at = text.iter().position(|b| *b == b'.');
            at.map_or((text, b""), |at| {
                (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())
            })
        };
        let (word, rest) = cut(text);
        let deep = |kind: fn(u16) -> Kind| {
            let (depth, of) = cut(rest);
            let depth = std::str::from_utf8(depth).ok().and_then(|d| d.parse().ok());
            (depth.map_or(Kind::Other, kind), of)
        };
        let timed = |kind: fn(usize) -> Kind| {
            let (interval, of) = cut(rest);
            (crate::rows::interval(interval).map_or(Kind::Other, kind), of)
        };
        let (kind, of) = match word {
            b"orderbook" => deep(Kind::Book),
            b"publicTrade" => (Kind::Trades, rest),
            b"tickers" => (Kind::Tickers, rest),
            b"kline" => timed(Kind::Bars),
            b"allLiquidation" | b"liquidation" => (Kind::Liquidations, rest),
            b"trade" if !rest.is_empty() => (Kind::Old(Old::Trades), rest),
            b"orderBookL2_25" => (Kind::Old(Old::Book(25)), rest),
            b"orderBook_200" => (Kind::Old(Old::Book(200)), cut(rest).1),
            b"instrument_info" => (Kind::Old(Old::Tickers), cut(rest).1),
            b"klineV2" | b"candle" => timed(|at| Kind::Old(Old::Bars(at))),
            _ => (Kind::Other, rest),
        };
        Self { kind, of }
    }

    /// Whether it feeds a book by changes.
    pub fn is_book(&self) -> bool {
        matches!(self.kind, Kind::Book(2..) | Kind::Old(Old::Book(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_tell_kind_depth_and_symbol() {
        for (text, kind, of) in [
            ("orderbook.50.BTCUSDT", Kind::Book(50), "BTCUSDT"),
            ("orderbook.1.BTC-25DEC26", Kind::Book(1), "BTC-25DEC26"),
            ("orderbook.rpi.BTCUSDT", Kind::Other, "BTCUSDT"),
            ("publicTrade.BTC", Kind::Trades, "BTC"),
            ("kline.60.BTCUSDT", Kind::Bars(5), "BTCUSDT"),
            ("kline.7.BTCUSDT", Kind::Other, "BTCUSDT"),
            ("tickers.BTC-27MAR26-70000-P-USDT", Kind::Tickers, "BTC-27MAR26-70000-P-USDT"),
            ("orderBook_200.100ms.EOSUSD", Kind::Old(Old::Book(200)), "EOSUSD"),
            ("instrument_info.100ms.EOSUSD", Kind::Old(Old::Tickers), "EOSUSD"),
            ("adlAlert.USDT", Kind::Other, "USDT"),
            ("trade", Kind::Other, ""),
            ("", Kind::Other, ""),
        ] {
            assert_eq!(Topic::parse(text.as_bytes()), Topic { kind, of: of.as_bytes() }, "{text}");
        }
        assert!(!Topic::parse(b"orderbook.1.BTCUSDT").is_book());
        assert!(Topic::parse(b"orderbook.200.BTCUSDT").is_book());
    }
}
