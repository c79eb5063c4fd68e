//! What events of states say: quotes, bars, statistics, rates.

use crate::event::{Channel, Level, Side};
use crate::num::{Decimal, Px, Qty};
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

/// Statistics of the last 24 hours; of a stock, of the trading day. A field is `None` where the source does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayStats {
    /// Price 24 hours ago; of a stock, the first of the day.
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
    /// Closing price of the trading day before, as adjusted by the exchange on an ex-date.
    pub prev_close: Option<Decimal>,
    /// The highest price allowed today.
    pub limit_up: Option<Decimal>,
    /// The lowest price allowed today.
    pub limit_down: Option<Decimal>,
    /// Quantity of the trades that buyers began (外盘).
    pub buy_volume: Option<Decimal>,
    /// Quantity of the trades that sellers began (内盘).
    pub sell_volume: Option<Decimal>,
}

/// A single order as the exchange tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The exchange's number of the order; the same in each event about it.
    pub id: u64,
    /// Which side.
    pub side: Side,
    /// Its limit; `None` for a market order, and where the event does not repeat it.
    pub px: Option<Px>,
    /// Of an add the order's quantity, else what leaves the book.
    pub qty: Qty,
    /// What happened to it.
    pub action: OrderAction,
    /// The exchange's number of the event in its channel, where it says it.
    pub seq: Option<u64>,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderAction {
    /// It entered.
    Add,
    /// It, or a part of it, was taken back.
    Cancel,
    /// It, or a part of it, was traded.
    Fill,
}

impl OrderAction {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Cancel => "cancel",
            Self::Fill => "fill",
        }
    }
}

/// A minute of a trading day, as a minute line draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Start of the minute.
    pub start: Ts,
    /// Last price.
    pub px: Decimal,
    /// Quantity traded in the minute.
    pub volume: Decimal,
    /// The day's average price so far, where the source says it.
    pub avg_px: Option<Decimal>,
}

/// Net money that flowed in since the day began, by the size of orders, in quote currency; negative where it flowed out.
/// A field is `None` where the source does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapitalFlow {
    /// Large and very large orders together (主力).
    pub main: Option<Decimal>,
    /// Very large orders.
    pub very_large: Option<Decimal>,
    /// Large orders.
    pub large: Option<Decimal>,
    /// Medium orders.
    pub medium: Option<Decimal>,
    /// Small orders.
    pub small: Option<Decimal>,
}

/// What changes the price of a share, or the number of shares, by decision of the company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorporateAction {
    /// What it is, in the source's words or by name: `ex_rights`, `share_change`.
    pub what: Box<str>,
    /// The day it is in force from: its start in the exchange's time zone.
    pub at: Ts,
    /// Cash for one share, in quote currency.
    pub cash: Option<Decimal>,
    /// New shares given for one share.
    pub bonus: Option<Decimal>,
    /// New shares offered for one share.
    pub rights: Option<Decimal>,
    /// The price of an offered share.
    pub rights_px: Option<Decimal>,
    /// Other numbers that the source gives, by name: `float_after`, in shares.
    pub facts: Vec<(&'static str, Decimal)>,
}

/// Facts of a company, by name: `total_shares`, `eps`. Money is in quote currency, shares are single shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fundamentals {
    /// When the source last changed them: the start of that day in the exchange's time zone.
    pub updated: Option<Ts>,
    /// Name and value.
    pub facts: Vec<(&'static str, Decimal)>,
}

/// A list by rank, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The name of the list: `hot_hour`.
    pub list: Box<str>,
    /// Best first.
    pub rows: Vec<RankRow>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankRow {
    /// The canonical name of the instrument: `600519.SH`.
    pub name: Box<str>,
    /// Its name for people; empty where the source does not say.
    pub title: Box<str>,
    /// By what it is ranked, where the source says it.
    pub value: Option<Decimal>,
    /// How many places it has risen since the list before; negative where it fell.
    pub rise: Option<i32>,
}

/// A sector, an industry or a concept with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sector {
    /// What kind of group: `concept`, `industry`, `region`, `index`.
    pub of: Box<str>,
    /// Its name for people.
    pub title: Box<str>,
    /// Canonical names of the members, in the source's order.
    pub members: Vec<Box<str>>,
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
