//! A message of the log as what it tells.

use crate::fields::Fields;
use model::{
    Body, Channel, DayStats, Instrument, Level, Levels, Order, OrderAction, Side, Snapshot, Status, Trade,
    TradeId, Ts,
};
use source::{Malformed, What};

type Result<T> = std::result::Result<T, Malformed>;

/// The names of the fields of all levels of a side: `BidLevel[0].Price` and `BidLevel[0].Qty`.
macro_rules! levels {
    ($side:literal) => {
        levels!($side, 0 1 2 3 4 5 6 7 8 9)
    };
    ($side:literal, $($n:literal)*) => {
        [$([concat!($side, "[", $n, "].Price"), concat!($side, "[", $n, "].Qty")]),*]
    };
}

/// The levels that a snapshot shows on each side.
pub(crate) const DEPTH: usize = 10;
const BID_LEVELS: [[&str; 2]; DEPTH] = levels!("BidLevel");
const ASK_LEVELS: [[&str; 2]; DEPTH] = levels!("AskLevel");

/// The fields of every message.
const HEADER: [&str; 8] = [
    "SecurityIDSource",
    "MsgType",
    "MsgLen",
    "SecurityID",
    "ChannelNo",
    "ApplSeqNum",
    "TradingPhase",
    "resv",
];

/// The kinds of message that are read, by `MsgType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Order,
    Trade,
    Snapshot,
}

/// What a message tells: when it happened, and what, in order.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) ts: Ts,
    pub(crate) bodies: Vec<(Channel, Body)>,
}

impl Kind {
    pub(crate) fn of(msg_type: u64) -> Option<Self> {
        match msg_type {
            192 => Some(Self::Order),
            191 => Some(Self::Trade),
            111 => Some(Self::Snapshot),
            _ => None,
        }
    }

    /// Whether such a message is known to have this field.
    pub(crate) fn knows(self, key: &str) -> bool {
        let own: &[&str] = match self {
            Self::Order => &["OrderNo", "Price", "OrderQty", "OrdType", "Side", "TransactTime", "BizIndex"],
            Self::Trade => &[
                "BidApplSeqNum",
                "OfferApplSeqNum",
                "LastPx",
                "LastQty",
                "ExecType",
                "TransactTime",
                "BizIndex",
            ],
            Self::Snapshot => &[
                "NumTrades",
                "TotalVolumeTrade",
                "TotalValueTrade",
                "PrevClosePx",
                "LastPx",
                "OpenPx",
                "HighPx",
                "LowPx",
                "BidWeightPx",
                "BidWeightSize",
                "AskWeightPx",
                "AskWeightSize",
                "DataTimeStamp",
                "TradingPhaseCodePack",
            ],
        };
        let level = || BID_LEVELS.iter().chain(&ASK_LEVELS).flatten().any(|known| *known == key);
        HEADER.contains(&key) || own.contains(&key) || (self == Self::Snapshot && level())
    }

    /// Reads a message of this kind; `now` tells the day.
    pub(crate) fn read(self, fields: &Fields<'_>, instrument: &Instrument, now: Ts) -> Result<Told> {
        match self {
            Self::Order => order(fields, instrument, now),
            Self::Trade => trade(fields, instrument, now),
            Self::Snapshot => snapshot(fields, instrument, now),
        }
    }
}

/// `Price=1818880 OrderQty=100000 OrdType=65 Side=83`: the codes are those of the letters A(dd), D(elete), B(uy), S(ell).
/// An order that trades on entry is told after its trades, with what is left; one of which nothing is left, never.
fn order(fields: &Fields<'_>, instrument: &Instrument, now: Ts) -> Result<Told> {
    let action = match fields.number("OrdType")? {
        65 => OrderAction::Add,
        68 => OrderAction::Cancel,
        _ => return Err(fields.fault("OrdType", What::Expected("65 (add) or 68 (delete)"))),
    };
    let side = match fields.number("Side")? {
        66 => Side::Bid,
        83 => Side::Ask,
        _ => return Err(fields.fault("Side", What::Expected("66 (buy) or 83 (sell)"))),
    };
    let order = Order {
        id: fields.number("OrderNo")?,
        side,
        px: Some(fields.px("Price", instrument)?),
        qty: fields.some_qty("OrderQty", instrument)?,
        action,
        seq: Some(fields.number("BizIndex")?),
    };
    let ts = fields.time("TransactTime", 2, now)?;
    Ok(Told { ts, bodies: vec![(Channel::Orders, Body::Order(order))] })
}

/// `BidApplSeqNum=130762 OfferApplSeqNum=116376 LastPx=1808080 LastQty=100000 ExecType=78`: the numbers are those of the
/// orders, the flag is B (66) where the buyer came second, S (83) where the seller did, N (78) in a call auction. Who came
/// second was never in the book; in an auction both sides were.
fn trade(fields: &Fields<'_>, instrument: &Instrument, now: Ts) -> Result<Told> {
    let aggressor = match fields.number("ExecType")? {
        66 => Some(Side::Bid),
        83 => Some(Side::Ask),
        78 => None,
        _ => return Err(fields.fault("ExecType", What::Expected("66 (buy), 83 (sell) or 78 (neither)"))),
    };
    let qty = fields.some_qty("LastQty", instrument)?;
    let seq = Some(fields.number("BizIndex")?);
    let id = TradeId::Num(fields.number("ApplSeqNum")?);
    let trade = Trade { id, px: fields.px("LastPx", instrument)?, qty, aggressor, count: 1 };
    let mut bodies = vec![(Channel::Trades, Body::Trade(trade))];
    for (side, key) in [(Side::Bid, "BidApplSeqNum"), (Side::Ask, "OfferApplSeqNum")] {
        let id = fields.number(key)?;
        if aggressor != Some(side) {
            let fill = Order { id, side, px: None, qty, action: OrderAction::Fill, seq };
            bodies.push((Channel::Orders, Body::Order(fill)));
        }
    }
    Ok(Told { ts: fields.time("TransactTime", 2, now)?, bodies })
}

/// The phase, the statistics of the day and ten levels a side; a number of zero is none.
fn snapshot(fields: &Fields<'_>, instrument: &Instrument, now: Ts) -> Result<Told> {
    let px = |key| Ok(Some(fields.milli(key)?).filter(|px| !px.is_zero()));
    let stats = DayStats {
        open: px("OpenPx")?,
        high: px("HighPx")?,
        low: px("LowPx")?,
        last: px("LastPx")?,
        volume: Some(fields.milli("TotalVolumeTrade")?),
        turnover: Some(fields.decimal("TotalValueTrade", 5)?),
        trades: Some(fields.number("NumTrades")?),
        prev_close: px("PrevClosePx")?,
        ..DayStats::default()
    };
    let mut all = Vec::with_capacity(2 * DEPTH);
    side(fields, instrument, &BID_LEVELS, &mut all)?;
    let bids = all.len();
    side(fields, instrument, &ASK_LEVELS, &mut all)?;
    let levels = Levels::new(all, bids);
    let snapshot = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
    Ok(Told {
        ts: fields.time("DataTimeStamp", 0, now)?,
        bodies: vec![
            (Channel::Status, Body::Status(status(fields.number("TradingPhase")?))),
            (Channel::DayStats, Body::DayStats(Box::new(stats))),
            (Channel::BookTop, Body::Snapshot(snapshot)),
        ],
    })
}

/// Appends the levels of a side. One without a price is none: in a call auction the second shows what finds no match.
fn side(
    fields: &Fields<'_>,
    instrument: &Instrument,
    keys: &'static [[&'static str; 2]; DEPTH],
    out: &mut Vec<Level>,
) -> Result<()> {
    for [px, qty] in keys {
        let level = Level { px: fields.px(px, instrument)?, qty: fields.qty(qty, instrument)? };
        if level.px.0 != 0 {
            out.push(level);
        }
    }
    Ok(())
}

/// The first letter of the exchange's phase code, as the log numbers it. In a call auction the levels show one price at
/// which orders would meet, as before an opening.
fn status(phase: u64) -> Status {
    match phase {
        0 | 1 | 4 => Status::PreOpen,
        2 => Status::Trading,
        5 => Status::Other("ended for the day".into()),
        6 => Status::Halted,
        other => Status::Other(format!("phase {other}").into()),
    }
}
