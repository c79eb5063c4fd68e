//! Topics of the venue, taken apart.

/// A channel of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `market.$s.trade.detail`
    Trades,
    /// `market.$s.mbp.150`: changes, numbered by `seqNum`.
    Mbp,
    /// `market.$s.depth.size_150.high_freq`: a snapshot and changes, numbered by `version`.
    HighFreq,
    /// `market.$s.depth.step0`, `market.$s.mbp.refresh.20`: whole each time.
    Whole,
    /// `market.$s.bbo`
    Quote,
    /// `market.$s.detail`, `market.$s.ticker`
    DayStats,
    /// `market.$s.kline.1min`
    Bars,
    /// `market.$s.mark_price.1min`
    MarkPrice,
    /// `market.$s.index.1min`
    IndexPrice,
    /// `market.$s.open_interest`, which recorders write from REST answers.
    OpenInterest,
    /// `market.tickers`
    Tickers,
    /// `public.$s.funding_rate`
    Funding,
    /// `public.$s.liquidation_orders`
    Liquidations,
    /// `public.$s.contract_info`
    Contracts,
    /// Known, and of no use to us.
    Aside(&'static str),
    /// Any other.
    Other,
}

/// A topic taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// The symbol; `*` or a coin in some notifications, empty where the topic is of all.
    pub symbol: &'a [u8],
    /// What it is to us.
    pub kind: Kind,
    /// What stands after the last point: `1min`, `150`.
    pub tail: &'a [u8],
}

/// Takes a topic apart: `market.btcusdt.kline.1min`, `public.*.funding_rate`.
pub fn topic(text: &[u8]) -> Topic<'_> {
    let last = |text: &[u8]| text.iter().rposition(|b| *b == b'.').unwrap_or(0);
    let tail = text.get(last(text) + 1..).unwrap_or_default();
    let (symbol, kind) = if let Some(rest) = text.strip_prefix(b"market.") {
        let end = rest.iter().position(|b| *b == b'.').unwrap_or(rest.len());
        match (rest.get(..end).unwrap_or_default(), rest.get(end + 1..)) {
            (b"tickers" | b"overview", None) => (&b""[..], Kind::Tickers),
            (symbol, Some(what)) => (symbol, market(what)),
            (symbol, None) => (symbol, Kind::Other),
        }
    } else if let Some(rest) = text.strip_prefix(b"public.") {
        let symbol = rest.get(..last(rest)).unwrap_or_default();
        (symbol, notice(tail))
    } else {
        (&b""[..], Kind::Other)
    };
    Topic { symbol, kind, tail }
}

fn market(what: &[u8]) -> Kind {
    let starts = |prefix: &[u8]| what.starts_with(prefix);
    match what {
        b"trade.detail" => Kind::Trades,
        b"bbo" => Kind::Quote,
        b"detail" | b"ticker" => Kind::DayStats,
        b"open_interest" => Kind::OpenInterest,
        b"option_market_index" => Kind::Aside("sensitivities of a retired option"),
        _ if starts(b"mbp.refresh.") => Kind::Whole,
        _ if starts(b"mbp.") => Kind::Mbp,
        _ if starts(b"depth.size_") && what.ends_with(b".high_freq") => Kind::HighFreq,
        _ if starts(b"depth.step") => Kind::Whole,
        _ if starts(b"kline.") => Kind::Bars,
        _ if starts(b"mark_price.") => Kind::MarkPrice,
        _ if starts(b"index.") => Kind::IndexPrice,
        _ if starts(b"basis.") => Kind::Aside("basis"),
        _ if starts(b"premium_index.") => Kind::Aside("premium index"),
        _ if starts(b"estimated_rate.") => Kind::Aside("estimated rate"),
        _ => Kind::Other,
    }
}

fn notice(what: &[u8]) -> Kind {
    match what {
        b"funding_rate" => Kind::Funding,
        b"liquidation_orders" => Kind::Liquidations,
        b"contract_info" => Kind::Contracts,
        b"heartbeat" => Kind::Aside("heartbeat of the venue's system"),
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_taken_apart() {
        for (text, symbol, kind, tail) in [
            ("market.btcusdt.trade.detail", "btcusdt", Kind::Trades, "detail"),
            ("market.btcusdt.mbp.150", "btcusdt", Kind::Mbp, "150"),
            ("market.btcusdt.mbp.refresh.20", "btcusdt", Kind::Whole, "20"),
            ("market.BTC-USDT.depth.size_150.high_freq", "BTC-USDT", Kind::HighFreq, "high_freq"),
            ("market.BTC_CQ.depth.step7", "BTC_CQ", Kind::Whole, "step7"),
            ("market.btcusdt.kline.1min", "btcusdt", Kind::Bars, "1min"),
            ("market.BTC-USD.index.1min", "BTC-USD", Kind::IndexPrice, "1min"),
            ("market.tickers", "", Kind::Tickers, "tickers"),
            ("public.*.liquidation_orders", "*", Kind::Liquidations, "liquidation_orders"),
            ("public.BTC-USDT.funding_rate", "BTC-USDT", Kind::Funding, "funding_rate"),
            ("market.x.new.thing", "x", Kind::Other, "thing"),
            ("accounts.update", "", Kind::Other, "update"),
        ] {
            let read = topic(text.as_bytes());
            assert_eq!(read, Topic { symbol: symbol.as_bytes(), kind, tail: tail.as_bytes() }, "{text}");
        }
    }
}
