//! The venue's sockets, and what each serves.

use super::HtxSim;
use super::bars::length_ms;
use super::feeds::step_levels;
use crate::product::{FEED, INDEX, Product};
use crate::topic::{Kind, topic as taken_apart};

/// What a socket serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// Prices and books of a section.
    Market(Product),
    /// Spot books by changes.
    Feed,
    /// Mark prices and indices.
    Index,
    /// Notifications of a section.
    Notices(Product),
}

impl Socket {
    pub fn of(endpoint: usize, path: &str) -> Option<Self> {
        let all = [
            Self::Market(Product::Spot),
            Self::Feed,
            Self::Market(Product::Linear),
            Self::Market(Product::Inverse),
            Self::Notices(Product::Linear),
            Self::Notices(Product::Inverse),
            Self::Index,
        ];
        all.into_iter().find(|s| s.endpoint() == endpoint && s.path() == path)
    }

    pub fn endpoint(self) -> usize {
        match self {
            Self::Market(product) | Self::Notices(product) => product.endpoint(),
            Self::Feed => 0,
            Self::Index => 1,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Market(product) => product.market(),
            Self::Notices(product) => product.notices(),
            Self::Feed => FEED,
            Self::Index => INDEX,
        }
    }

    pub fn notices(self) -> bool {
        matches!(self, Self::Notices(_))
    }

    /// How many pings may go unanswered.
    pub fn patience(self) -> usize {
        if self.endpoint() == 0 { 2 } else { 4 }
    }
}

impl HtxSim {
    /// Whether that socket serves this topic.
    pub(super) fn offers(&self, socket: Socket, text: &str) -> bool {
        let topic = taken_apart(text.as_bytes());
        let tail = std::str::from_utf8(topic.tail).unwrap_or_default();
        let symbol = std::str::from_utf8(topic.symbol).unwrap_or_default();
        let at = self.world.place(symbol);
        let product = at.and_then(|at| self.world.states.get(at)).map(|s| s.product);
        let interval = length_ms(tail).is_some();
        let listed = |wanted: Product| product == Some(wanted);
        match (socket, topic.kind) {
            (Socket::Market(Product::Spot), Kind::Tickers) => text == "market.tickers",
            (Socket::Market(wanted), kind) if listed(wanted) => match kind {
                Kind::Trades | Kind::Quote | Kind::DayStats => true,
                Kind::Whole if text.contains(".refresh.") => {
                    wanted.spot() && matches!(tail, "5" | "10" | "20")
                }
                Kind::Whole => step_levels(tail, wanted).is_some(),
                Kind::HighFreq => {
                    !wanted.spot() && (text.contains(".size_20.") || text.contains(".size_150."))
                }
                Kind::Bars => interval,
                _ => false,
            },
            (Socket::Feed, Kind::Mbp) => listed(Product::Spot) && matches!(tail, "5" | "20" | "150" | "400"),
            (Socket::Index, Kind::MarkPrice | Kind::IndexPrice) => {
                at.is_some() && !listed(Product::Spot) && interval
            }
            (Socket::Notices(wanted), Kind::Funding | Kind::Liquidations | Kind::Contracts) => {
                symbol == "*" || listed(wanted)
            }
            _ => false,
        }
    }
}
