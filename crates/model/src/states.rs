//! What events of states say: quotes, bars, statistics, rates.

use crate::event::{Channel, Level, Side};
use crate::num::Decimal;
use crate::time::Ts;

/// Best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Best bid; `None` where there is none.
    pub bid: Option<Level>,
    /// Best ask; `None` where there is none.
    pub ask: Option<Level>,
    /// The state of the book it was taken from, where the venue says it.
    pub seq: Option<u64>,
}

/// An interval's prices and volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The venue-neutral name of the interval: `1m`, `1h`, `1d`.
    pub interval: Box<str>,
    /// Start of the interval.
    pub start: Ts,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Summed quantity in the venue's unit of quantity.
    pub volume: Decimal,
    /// Summed price × quantity in quote currency; `None` where the venue does not say.
    pub turnover: Option<Decimal>,
    /// Number of trades; `None` where the venue does not say.
    pub trades: Option<u64>,
    /// Whether the interval is over.
    pub closed: bool,
}

/// Statistics of the last 24 hours. A field is `None` where the venue does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayStats {
    /// Price 24 hours ago.
    pub open: Option<Decimal>,
    /// Highest price.
    pub high: Option<Decimal>,
    /// Lowest price.
    pub low: Option<Decimal>,
    /// Last price.
    pub last: Option<Decimal>,
    /// Quantity of the last trade.
    pub last_qty: Option<Decimal>,
    /// Summed quantity in the venue's unit of quantity.
    pub volume: Option<Decimal>,
    /// Summed price × quantity in quote currency.
    pub turnover: Option<Decimal>,
    /// Number of trades.
    pub trades: Option<u64>,
}

/// The funding rate of a perpetual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funding {
    /// Rate of the current period as a fraction (0.0001 = 1 basis point).
    pub rate: Decimal,
    /// When it is paid.
    pub at: Option<Ts>,
    /// Rate of the next period, where the venue says it.
    pub next_rate: Option<Decimal>,
}

/// Open contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInterest {
    /// In the venue's unit of quantity.
    pub qty: Decimal,
    /// In quote currency, where the venue says it.
    pub value: Option<Decimal>,
}

/// A forced order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liquidation {
    /// The side of the forced order: `Ask` where a long was closed.
    pub side: Side,
    /// The order's price, or the bankruptcy price.
    pub px: Decimal,
    /// Its quantity in the venue's unit.
    pub qty: Decimal,
    /// The average price of its fills, where the venue says it.
    pub avg_px: Option<Decimal>,
}

/// How longs stand to shorts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongShortRatio {
    /// Whose: `accounts`, `positions`, `top_accounts`, `top_positions`, `takers`.
    pub of: Box<str>,
    /// The interval it was counted over, venue-neutral: `5m`.
    pub interval: Box<str>,
    /// Long ÷ short; `None` where the venue gives only the shares.
    pub ratio: Option<Decimal>,
    /// The share of longs as a fraction.
    pub long: Option<Decimal>,
    /// The share of shorts as a fraction.
    pub short: Option<Decimal>,
}

/// Sensitivities and implied volatilities of an option. A field is `None` where the venue does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeks {
    /// Change of price by the underlying's price.
    pub delta: Option<Decimal>,
    /// Change of delta by the underlying's price.
    pub gamma: Option<Decimal>,
    /// Change of price by one percent of volatility.
    pub vega: Option<Decimal>,
    /// Change of price by one day.
    pub theta: Option<Decimal>,
    /// Change of price by one percent of interest rate.
    pub rho: Option<Decimal>,
    /// Implied volatility at the mark price, as the venue writes it (percent or fraction).
    pub mark_iv: Option<Decimal>,
    /// Implied volatility at the best bid.
    pub bid_iv: Option<Decimal>,
    /// Implied volatility at the best ask.
    pub ask_iv: Option<Decimal>,
    /// Price of the underlying that the venue computes with.
    pub underlying: Option<Decimal>,
}

/// What a check of the data has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check: `new_key`, `book_mismatch`.
    pub check: Box<str>,
    /// The channel it is about.
    pub channel: Channel,
    /// What was found and where, in words.
    pub what: Box<str>,
    /// Frames that show it, cut where long.
    pub samples: Vec<Box<str>>,
}
