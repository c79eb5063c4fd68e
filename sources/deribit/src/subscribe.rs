//! Wants to channels of the venue, and the frames that ask for them.

use crate::listing::{index_of, volatility_index_of};
use crate::parse::Pace;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use model::{Channel, Instrument, InstrumentKind};
use source::{Options, Shard, Want};
use std::fmt::Write;

/// The path of the WebSocket.
pub const PATH: &str = "/ws/api/v2";
/// How many channels one request may name.
pub const REQUEST_MAX: usize = 500;
/// How many channels a connection carries.
const TOPICS_MAX: usize = 1_000;
/// A book that may be this old is pushed twice a second.
const SLOW_MS: u32 = 300;
/// How many levels a side the whole pushes have; the venue offers 1, 10 and 20.
const DEPTH: u32 = 20;

/// Intervals of bars: the platform's name, the venue's, and how long they are in ms.
pub const INTERVALS: [(&str, &str, u64); 12] = [
    ("1m", "1", 60_000),
    ("3m", "3", 180_000),
    ("5m", "5", 300_000),
    ("10m", "10", 600_000),
    ("15m", "15", 900_000),
    ("30m", "30", 1_800_000),
    ("1h", "60", 3_600_000),
    ("2h", "120", 7_200_000),
    ("3h", "180", 10_800_000),
    ("6h", "360", 21_600_000),
    ("12h", "720", 43_200_000),
    ("1d", "1D", 86_400_000),
];

/// A family of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `book`, by snapshot and changes.
    Book,
    /// `book`, whole each time.
    BookTop,
    /// `quote`
    Quote,
    /// `trades`
    Trades,
    /// `ticker`
    Ticker,
    /// `chart.trades`
    Bars,
    /// `perpetual`
    Perpetual,
    /// `deribit_price_index`
    PriceIndex,
    /// `deribit_volatility_index`
    VolatilityIndex,
    /// `instrument.state`
    InstrumentState,
    /// `platform_state`
    PlatformState,
}

/// What is subscribed to at the venue, whatever its pace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Which channel.
    pub family: Family,
    /// The instrument or index; empty for channels of all.
    pub of: Box<str>,
}

/// How often things are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paces {
    /// The book by changes.
    pub book: Pace,
    /// The book whole each time, for which there is no raw one.
    pub top: Pace,
    /// Trades and the rest.
    pub rest: Pace,
    /// The venue's word for the interval of bars.
    pub bars: &'static str,
}

impl Paces {
    /// What the options ask for; without a login nothing is raw.
    pub fn of(options: &Options, login: bool) -> Self {
        let slow = options.book_ms >= SLOW_MS;
        let top = if slow { Pace::Agg2 } else { Pace::Ms100 };
        Self {
            book: if login && !slow { Pace::Raw } else { top },
            top,
            rest: if login { Pace::Raw } else { Pace::Ms100 },
            bars: bars(options).unwrap_or("1"),
        }
    }
}

fn bars(options: &Options) -> Option<&'static str> {
    INTERVALS.iter().find(|row| row.0 == options.bar_interval).map(|row| row.1)
}

impl Topic {
    fn new(family: Family, of: &str) -> Self {
        Self { family, of: of.into() }
    }

    /// As the venue spells it: `book.BTC-PERPETUAL.100ms`.
    pub fn name(&self, paces: &Paces) -> String {
        let (of, rest) = (&self.of, paces.rest.name());
        match self.family {
            Family::Book => format!("book.{of}.{}", paces.book.name()),
            Family::BookTop => format!("book.{of}.none.{DEPTH}.{}", paces.top.name()),
            Family::Quote => format!("quote.{of}"),
            Family::Trades => format!("trades.{of}.{rest}"),
            Family::Ticker => format!("ticker.{of}.{rest}"),
            Family::Bars => format!("chart.trades.{of}.{}", paces.bars),
            Family::Perpetual => format!("perpetual.{of}.{rest}"),
            Family::PriceIndex => format!("deribit_price_index.{of}"),
            Family::VolatilityIndex => format!("deribit_volatility_index.{of}"),
            Family::InstrumentState => "instrument.state.any.any".to_owned(),
            Family::PlatformState => "platform_state".to_owned(),
        }
    }

    /// Whether it feeds a book by changes.
    pub fn is_book(&self) -> bool {
        self.family == Family::Book
    }
}

/// The channels of the venue that feed a want, the one that is told of first; none where the venue has none.
pub fn topics(want: &Want, options: &Options) -> Vec<Topic> {
    let instrument = &*want.instrument;
    let symbol = &*instrument.symbol;
    let one = |family| vec![Topic::new(family, symbol)];
    let over = |family, index: Option<String>| index.map(|i| Topic::new(family, &i)).into_iter().collect();
    match (want.channel, instrument.kind) {
        (Channel::IndexPrice, _) => over(Family::PriceIndex, index_of(instrument)),
        (Channel::VolatilityIndex, _) => over(Family::VolatilityIndex, volatility_index_of(instrument)),
        (_, InstrumentKind::Index) => Vec::new(),
        (Channel::Trades, _) => one(Family::Trades),
        (Channel::Liquidations, kind) if kind != InstrumentKind::Spot => one(Family::Trades),
        (Channel::Book, _) => one(Family::Book),
        (Channel::BookTop, _) => one(Family::BookTop),
        (Channel::Quote, _) => one(Family::Quote),
        (Channel::Bars, _) if bars(options).is_some() => one(Family::Bars),
        (Channel::MarkPrice | Channel::OpenInterest, kind) if kind != InstrumentKind::Spot => {
            one(Family::Ticker)
        }
        (Channel::DayStats, _) | (Channel::Greeks, InstrumentKind::Option) => one(Family::Ticker),
        (Channel::Funding, InstrumentKind::Perpetual) => one(Family::Perpetual),
        (Channel::Status, _) => vec![
            Topic::new(Family::Ticker, symbol),
            Topic::new(Family::InstrumentState, ""),
            Topic::new(Family::PlatformState, ""),
        ],
        (Channel::Instruments, _) => vec![Topic::new(Family::InstrumentState, "")],
        _ => Vec::new(),
    }
}

type Topics = HashSet<Topic, FixedState>;

/// Cuts wants into connections.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut shards: Vec<(Shard, Topics)> = Vec::new();
    for want in wants.iter().filter(|w| is_ours(&w.instrument)) {
        let needed = topics(want, options);
        if needed.is_empty() {
            continue;
        }
        let room =
            |all: &Topics| all.len() + needed.iter().filter(|t| !all.contains(*t)).count() <= TOPICS_MAX;
        if !shards.last().is_some_and(|(_, all)| room(all)) {
            let shard = Shard {
                endpoint: 0,
                path: Some(PATH.to_owned()),
                wants: Vec::new(),
                options: options.clone(),
            };
            shards.push((shard, Topics::default()));
        }
        if let Some((shard, all)) = shards.last_mut() {
            shard.wants.push(want.clone());
            all.extend(needed);
        }
    }
    shards.into_iter().map(|(shard, _)| shard).collect()
}

fn is_ours(instrument: &Instrument) -> bool {
    *instrument.venue == *crate::NAME
}

/// A request by its method and parameters, which are JSON.
pub fn request(id: u64, method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into_bytes()
}

/// A request about channels: `public/subscribe`, `public/unsubscribe`.
pub fn about(id: u64, method: &str, names: &[String]) -> Vec<u8> {
    let mut params = String::from(r#"{"channels":["#);
    for (n, name) in names.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(params, r#"{comma}"{name}""#);
    }
    params.push_str("]}");
    request(id, method, &params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::provisional;
    use source::Login;
    use std::sync::Arc;

    fn want(symbol: &str, channel: Channel) -> Want {
        Want { instrument: Arc::new(provisional(symbol.as_bytes()).unwrap()), channel }
    }

    fn names(symbol: &str, channel: Channel, options: &Options) -> Vec<String> {
        let paces = Paces::of(options, options.login.is_some());
        topics(&want(symbol, channel), options).iter().map(|t| t.name(&paces)).collect()
    }

    #[test]
    fn each_want_has_its_channel() {
        let options = Options::default();
        for (symbol, channel, expected) in [
            ("BTC-PERPETUAL", Channel::Book, "book.BTC-PERPETUAL.100ms"),
            ("BTC-PERPETUAL", Channel::BookTop, "book.BTC-PERPETUAL.none.20.100ms"),
            ("BTC_USDC", Channel::Trades, "trades.BTC_USDC.100ms"),
            ("BTC-PERPETUAL", Channel::Liquidations, "trades.BTC-PERPETUAL.100ms"),
            ("BTC-PERPETUAL", Channel::Quote, "quote.BTC-PERPETUAL"),
            ("BTC-PERPETUAL", Channel::Bars, "chart.trades.BTC-PERPETUAL.1"),
            ("BTC-PERPETUAL", Channel::Funding, "perpetual.BTC-PERPETUAL.100ms"),
            ("BTC-27JUN25-100000-C", Channel::Greeks, "ticker.BTC-27JUN25-100000-C.100ms"),
            ("BTC-27JUN25-100000-C", Channel::IndexPrice, "deribit_price_index.btc_usd"),
            ("BTC_USDC-PERPETUAL", Channel::VolatilityIndex, "deribit_volatility_index.btc_usd"),
            ("btc_usdc", Channel::IndexPrice, "deribit_price_index.btc_usdc"),
            ("BTC-PERPETUAL", Channel::Instruments, "instrument.state.any.any"),
        ] {
            assert_eq!(names(symbol, channel, &options), [expected]);
        }
        let status = names("BTC_USDC", Channel::Status, &options);
        assert_eq!(status, ["ticker.BTC_USDC.100ms", "instrument.state.any.any", "platform_state"]);
        for (symbol, channel) in [
            ("BTC_USDC", Channel::MarkPrice),
            ("BTC_USDC", Channel::Liquidations),
            ("BTC-27JUN25", Channel::Funding),
            ("BTC-PERPETUAL", Channel::Greeks),
            ("btc_usd", Channel::Trades),
            ("BTC-PERPETUAL", Channel::LongShortRatio),
            ("BTC-PERPETUAL", Channel::AggTrades),
        ] {
            assert_eq!(names(symbol, channel, &options), Vec::<String>::new());
        }
    }

    #[test]
    fn a_login_makes_it_raw_and_slow_books_are_merged() {
        let login = Some(Login { key: "k".to_owned(), secret: "s".to_owned() });
        for (book_ms, login, expected) in [
            (0, None, "100ms"),
            (100, None, "100ms"),
            (200, None, "100ms"),
            (300, None, "agg2"),
            (1_000, login.clone(), "agg2"),
            (100, login.clone(), "raw"),
            (0, login, "raw"),
        ] {
            let options = Options { book_ms, login, ..Options::default() };
            let got = names("BTC-PERPETUAL", Channel::Book, &options);
            assert_eq!(got, [format!("book.BTC-PERPETUAL.{expected}")]);
        }
        let options = Options { bar_interval: "7m".to_owned(), ..Options::default() };
        assert_eq!(names("BTC-PERPETUAL", Channel::Bars, &options), Vec::<String>::new());
    }

    #[test]
    fn connections_are_cut_by_channels_not_by_wants() {
        let mut wants = Vec::new();
        for strike in 0..900 {
            for channel in [Channel::Book, Channel::MarkPrice, Channel::Greeks, Channel::IndexPrice] {
                wants.push(want(&format!("BTC-27JUN25-{strike}-C"), channel));
            }
        }
        let cut = shards(&wants, &Options::default());
        assert_eq!(cut.iter().map(|s| s.wants.len()).sum::<usize>(), wants.len());
        assert_eq!(cut.len(), 2);
        let foreign = Instrument::provisional("okx", "", "BTC-USDT", InstrumentKind::Spot);
        let foreign = Want { instrument: Arc::new(foreign), channel: Channel::Book };
        assert_eq!(shards(&[foreign], &Options::default()), []);
    }
}
