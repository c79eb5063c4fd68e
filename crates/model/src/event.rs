//! The one event type that flows through the platform.

use crate::fact::{LaneFact, LinkFact};
use crate::instrument::{Instrument, Status};
use crate::num::{Decimal, Px, Qty, Scale};
use crate::states::{
    Bar, CapitalFlow, CorporateAction, DayStats, Finding, Fundamentals, Funding, Greeks, Liquidation,
    LongShortRatio, Minute, OpenInterest, Order, Quote, Ranking, Sector,
};
use crate::time::Ts;
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

/// Who told us, by the name of its folder: `binance`, `tdx`.
pub type SourceName = &'static str;

/// Something that happened to an instrument, as one source told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who told us.
    pub source: SourceName,
    /// What it is about, with the scale of the numbers in `body`.
    pub instrument: Arc<Instrument>,
    /// The kind of data it came by. Source, instrument and channel together are a lane.
    pub channel: Channel,
    /// What a reader should know before trusting it.
    pub flags: Flags,
    /// When it happened and when we heard of it.
    pub stamp: Stamp,
    /// What happened.
    pub body: Body,
}

/// When a thing happened, and when we heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The venue's own time. `None` where the venue gives none.
    pub ts_event: Option<Ts>,
    /// Our clock when the frame's last byte was read.
    pub ts_recv: Ts,
}

/// A kind of data that a source offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Single prints.
    Trades,
    /// Prints of one taker order at one price, merged by the venue.
    AggTrades,
    /// The book by snapshot and deltas.
    Book,
    /// The best few levels, whole each time.
    BookTop,
    /// Best bid and offer.
    Quote,
    /// Statistics of 24 hours or of a trading day.
    DayStats,
    /// Bars (klines, candles).
    Bars,
    /// Mark price.
    MarkPrice,
    /// Index price.
    IndexPrice,
    /// Funding rate.
    Funding,
    /// Open interest.
    OpenInterest,
    /// Forced orders.
    Liquidations,
    /// A volatility index (DVOL).
    VolatilityIndex,
    /// How longs stand to shorts.
    LongShortRatio,
    /// Sensitivities and implied volatilities of an option.
    Greeks,
    /// Whether an instrument, or the whole venue, trades.
    Status,
    /// Single orders as they enter, change and leave the book.
    Orders,
    /// Last price and volume of each minute of a trading day.
    MinuteLine,
    /// Where money went, by the size of orders.
    CapitalFlow,
    /// Dividends, splits and rights issues.
    CorporateActions,
    /// Shares, earnings and other facts of a company.
    Fundamentals,
    /// Lists of the hottest, the most risen and alike.
    Rankings,
    /// Sectors and concepts with their members.
    Sectors,
    /// Instrument definitions.
    Instruments,
    /// What checks of the data have found.
    Findings,
    /// The connection itself and other things about the source.
    Link,
}

impl Channel {
    /// Every channel, in the order of the enum.
    pub const ALL: [Self; 26] = [
        Self::Trades,
        Self::AggTrades,
        Self::Book,
        Self::BookTop,
        Self::Quote,
        Self::DayStats,
        Self::Bars,
        Self::MarkPrice,
        Self::IndexPrice,
        Self::Funding,
        Self::OpenInterest,
        Self::Liquidations,
        Self::VolatilityIndex,
        Self::LongShortRatio,
        Self::Greeks,
        Self::Status,
        Self::Orders,
        Self::MinuteLine,
        Self::CapitalFlow,
        Self::CorporateActions,
        Self::Fundamentals,
        Self::Rankings,
        Self::Sectors,
        Self::Instruments,
        Self::Findings,
        Self::Link,
    ];

    /// Whether its events make a book.
    pub const fn is_book(self) -> bool {
        matches!(self, Self::Book | Self::BookTop)
    }

    /// The name used in config, URLs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::AggTrades => "agg_trades",
            Self::Book => "book",
            Self::BookTop => "book_top",
            Self::Quote => "quote",
            Self::DayStats => "day_stats",
            Self::Bars => "bars",
            Self::MarkPrice => "mark_price",
            Self::IndexPrice => "index_price",
            Self::Funding => "funding",
            Self::OpenInterest => "open_interest",
            Self::Liquidations => "liquidations",
            Self::VolatilityIndex => "volatility_index",
            Self::LongShortRatio => "long_short_ratio",
            Self::Greeks => "greeks",
            Self::Status => "status",
            Self::Orders => "orders",
            Self::MinuteLine => "minute_line",
            Self::CapitalFlow => "capital_flow",
            Self::CorporateActions => "corporate_actions",
            Self::Fundamentals => "fundamentals",
            Self::Rankings => "rankings",
            Self::Sectors => "sectors",
            Self::Instruments => "instruments",
            Self::Findings => "findings",
            Self::Link => "link",
        }
    }

    /// The channel of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// What a reader should know about an event before trusting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// Computed by us from other events, not sent by the venue.
    pub const DERIVED: Self = Self(1);
    /// Filled in later from the source's history.
    pub const REPAIRED: Self = Self(2);
    /// The book was crossed after this change, or a check found something wrong with the numbers.
    pub const SUSPECT: Self = Self(4);
    /// The venue's time is absurd (over a day from ours).
    pub const BAD_TIME: Self = Self(8);
    /// Outside the trading session.
    pub const OUT_OF_SESSION: Self = Self(16);
    /// Sent to a reader who joined late, from what was kept.
    pub const LAST_VALUE: Self = Self(32);
    /// The venue's time is over a second after ours: its clock or ours is off. (One that is behind cannot be told from an
    /// event that took long; the links' clock offsets tell it.)
    pub const SKEWED: Self = Self(64);
    /// Published before, and kept; comes again because somebody asked for it.
    pub const REPLAYED: Self = Self(128);

    /// Every flag with the name used in JSON.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::DERIVED, "derived"),
        (Self::REPAIRED, "repaired"),
        (Self::SUSPECT, "suspect"),
        (Self::BAD_TIME, "bad_time"),
        (Self::OUT_OF_SESSION, "out_of_session"),
        (Self::LAST_VALUE, "last_value"),
        (Self::SKEWED, "skewed"),
        (Self::REPLAYED, "replayed"),
    ];

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// All flags as one number; a flag's bit never changes its meaning.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The flags of [`Flags::bits`]. Bits without a name are kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A print.
    Trade(Trade),
    /// The whole book; replaces what was known.
    Snapshot(Snapshot),
    /// Levels that changed.
    Delta(Delta),
    /// Continuity of the lane was lost; nothing before this may be joined to what follows.
    Gap(Gap),
    /// Best bid and offer.
    Quote(Quote),
    /// An interval's prices and volumes.
    Bar(Box<Bar>),
    /// Statistics of the last 24 hours.
    DayStats(Box<DayStats>),
    /// The mark price.
    MarkPrice(Decimal),
    /// The index price.
    IndexPrice(Decimal),
    /// The funding rate.
    Funding(Box<Funding>),
    /// Open contracts.
    OpenInterest(OpenInterest),
    /// A forced order.
    Liquidation(Box<Liquidation>),
    /// A volatility index, in percent a year.
    VolatilityIndex(Decimal),
    /// How longs stand to shorts.
    LongShortRatio(Box<LongShortRatio>),
    /// Sensitivities of an option.
    Greeks(Box<Greeks>),
    /// Whether the instrument trades.
    Status(Status),
    /// An order entered, changed or left the book.
    Order(Order),
    /// A minute of a trading day.
    Minute(Box<Minute>),
    /// Where money went.
    CapitalFlow(Box<CapitalFlow>),
    /// A dividend, a split, a rights issue.
    CorporateAction(Box<CorporateAction>),
    /// Facts of a company.
    Fundamentals(Box<Fundamentals>),
    /// A list by rank. `Event::instrument` names the list.
    Ranking(Box<Ranking>),
    /// A sector with its members. `Event::instrument` is the sector, as an index.
    Sector(Box<Sector>),
    /// What a check has found.
    Finding(Box<Finding>),
    /// The definition in `Event::instrument` is new or has changed.
    Instrument,
    /// What became of a subscription.
    Lane(LaneFact),
    /// What became of a connection.
    Link(LinkFact),
}

/// Which side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

/// The venue's name of a trade: a number, or text where it does not fit one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TradeId {
    /// A plain number.
    Num(u64),
    /// Anything else.
    Text(Box<str>),
}

impl TradeId {
    /// Keeps the text so that it comes out again as it went in.
    pub fn from_text(text: &str) -> Self {
        let plain = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(number) if plain => Self::Num(number),
            _ => Self::Text(text.into()),
        }
    }
}

/// A print on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The venue's id; with merged prints the last one.
    pub id: TradeId,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// The side that crossed the spread. `None` where the venue does not say.
    pub aggressor: Option<Side>,
    /// How many prints the venue merged into this one; 1 where it merges none.
    pub count: u32,
}

/// A price and the quantity that waits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price.
    pub px: Px,
    /// Quantity; in a delta zero removes the level.
    pub qty: Qty,
}

/// Levels of both sides in one allocation, in the order the venue sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    all: Vec<Level>,
    bids: usize,
}

impl Levels {
    /// `all` holds `bids` bids, then the asks.
    pub fn new(all: Vec<Level>, bids: usize) -> Self {
        assert!(bids <= all.len(), "the bids are part of all levels");
        Self { all, bids }
    }

    /// Joins the two sides.
    pub fn from_sides(bids: &[Level], asks: &[Level]) -> Self {
        Self { all: [bids, asks].concat(), bids: bids.len() }
    }

    /// The bids.
    pub fn bids(&self) -> &[Level] {
        self.all.get(..self.bids).unwrap_or_default()
    }

    /// The asks.
    pub fn asks(&self) -> &[Level] {
        self.all.get(self.bids..).unwrap_or_default()
    }

    /// How many levels both sides have.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether both sides are empty.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// A venue's checksum over the book after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is computed.
    pub kind: ChecksumKind,
    /// The value that the venue sent.
    pub value: u32,
}

/// How a checksum is computed. Texts are prices and quantities without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// CRC-32 over `bid px:bid qty:ask px:ask qty:…` of the best 25 levels, interleaved.
    Crc32Interleaved25,
    /// CRC-32 over the best 10 asks, then the best 10 bids; of each level price and quantity with exactly so many digits
    /// after the point, without the point and without leading zeros (Kraken).
    Crc32Digits10 {
        /// Digits after the point of a price.
        px_scale: Scale,
        /// Digits after the point of a quantity.
        qty_scale: Scale,
    },
}

/// The whole book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The venue's number of the book's state. `None` where the venue numbers nothing.
    pub seq: Option<u64>,
    /// Bids from high to low and asks from low to high.
    pub levels: Levels,
    /// The venue's checksum, where it has one.
    pub checksum: Option<Checksum>,
    /// Counts the book's beginnings: it grows with each snapshot after a gap. Sessions leave 0; the engine sets it.
    pub epoch: u32,
}

/// Levels that changed; a quantity of zero removes the level, also one that is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The state that this change follows: the `seq` of the lane's snapshot or delta before it.
    pub prev_seq: Option<u64>,
    /// The state that it leads to. Usually larger than `prev_seq`, but a venue may count from the start again.
    pub seq: Option<u64>,
    /// The changed levels.
    pub levels: Levels,
    /// The venue's checksum after the change, where it has one.
    pub checksum: Option<Checksum>,
    /// As in [`Snapshot::epoch`].
    pub epoch: u32,
}

/// Continuity was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub cause: GapCause,
    /// The last state before the hole, where known.
    pub from_seq: Option<u64>,
    /// The first state after it, where known.
    pub to_seq: Option<u64>,
}

/// Why continuity was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapCause {
    /// The venue's numbers have a hole.
    Sequence,
    /// The venue's checksum does not match.
    Checksum,
    /// Bid above ask for longer than a venue's push may explain.
    Crossed,
    /// The connection was lost.
    Disconnected,
    /// A frame of the lane could not be read.
    Malformed,
    /// A number does not fit the definition, and no wider one holds it.
    Scale,
    /// More levels or waiting frames than the cap allows.
    Overflow,
    /// The venue said that the lane starts again.
    VenueReset,
    /// The venue's REST book at the same number was another.
    Referee,
}

impl GapCause {
    /// The name used in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Checksum => "checksum",
            Self::Crossed => "crossed",
            Self::Disconnected => "disconnected",
            Self::Malformed => "malformed",
            Self::Scale => "scale",
            Self::Overflow => "overflow",
            Self::VenueReset => "venue_reset",
            Self::Referee => "referee",
        }
    }
}
