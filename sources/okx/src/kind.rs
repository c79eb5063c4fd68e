//! The venue's channels by name.

use model::Channel;

/// A channel of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `trades`, `trades-all`.
    Trades,
    /// A book by snapshot and updates.
    Book(Feed),
    /// `books5`.
    BookTop,
    /// `bbo-tbt`.
    Quote,
    /// `tickers`.
    DayStats,
    /// `candle1m` and its like.
    Bars,
    /// `mark-price`.
    MarkPrice,
    /// `index-tickers`.
    IndexPrice,
    /// `funding-rate`.
    Funding,
    /// `open-interest`.
    OpenInterest,
    /// `liquidation-orders`.
    Liquidations,
    /// `opt-summary`.
    Greeks,
    /// `instruments`.
    Instruments,
    /// Any other.
    Other,
}

/// A book channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `books`: 400 levels each 100 ms.
    Books,
    /// `books-l2-tbt`: 400 levels each 10 ms.
    Tbt,
    /// `books50-l2-tbt`: 50 levels each 10 ms.
    Tbt50,
    /// Books of the retired v3 API.
    V3,
}

impl Kind {
    /// The meaning of a channel name.
    pub fn of(channel: &[u8]) -> Self {
        match channel {
            b"books" => Self::Book(Feed::Books),
            b"bbo-tbt" => Self::Quote,
            b"trades" | b"trades-all" => Self::Trades,
            b"books-l2-tbt" => Self::Book(Feed::Tbt),
            b"books50-l2-tbt" => Self::Book(Feed::Tbt50),
            b"books5" => Self::BookTop,
            b"tickers" => Self::DayStats,
            b"mark-price" => Self::MarkPrice,
            b"index-tickers" => Self::IndexPrice,
            b"funding-rate" => Self::Funding,
            b"open-interest" => Self::OpenInterest,
            b"liquidation-orders" => Self::Liquidations,
            b"opt-summary" => Self::Greeks,
            b"instruments" => Self::Instruments,
            _ if channel.starts_with(b"candle") => Self::Bars,
            _ => Self::Other,
        }
    }

    /// What it is to us, where it is of one instrument.
    pub const fn channel(self) -> Option<Channel> {
        Some(match self {
            Self::Trades => Channel::Trades,
            Self::Book(_) => Channel::Book,
            Self::BookTop => Channel::BookTop,
            Self::Quote => Channel::Quote,
            Self::DayStats => Channel::DayStats,
            Self::Bars => Channel::Bars,
            Self::MarkPrice => Channel::MarkPrice,
            Self::IndexPrice => Channel::IndexPrice,
            Self::Funding => Channel::Funding,
            Self::OpenInterest => Channel::OpenInterest,
            Self::Liquidations => Channel::Liquidations,
            Self::Greeks => Channel::Greeks,
            Self::Instruments => Channel::Instruments,
            Self::Other => return None,
        })
    }
}
