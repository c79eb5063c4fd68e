//! What is read of the wire, as bodies of the model: units are shares, yuan and instants from here on.

use crate::codec::bars::Bar as WireBar;
use crate::codec::corporate::{Change, FIGURES, Finance};
use crate::codec::minutes::Minute as WireMinute;
use crate::codec::quotes::Quote;
use crate::codec::trades::{Trade as WireTrade, side};
use crate::number::{decimal, positive, scaled, shares};
use crate::time::{day_bar, line_minute, minute, minute_bar, minutes_of, stamp};
use crate::{NAME, codec::bars};
use model::ashare::{Board, Code, instant};
use model::{
    Bar, Body, Channel, CorporateAction, Date, DayStats, Decimal, Event, Flags, Fundamentals, Instrument,
    Level, Levels, Minute, Px, Qty, Side, Snapshot, Stamp, Trade, TradeId, Ts,
};
use source::{Malformed, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

/// Digits after the point of prices of bars, whatever the instrument.
const BAR_DIGITS: u8 = 3;

/// How the numbers of an instrument stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Digits after the point of prices in quotes, minutes and trades.
    pub digits: u8,
    /// How many shares a lot (手) has.
    pub lot: i64,
}

impl Scale {
    /// By its code, and by the digits that the list tells where it did.
    pub fn of(code: Code, instrument: &Instrument) -> Self {
        let digits = if instrument.provisional { code.px_scale() } else { instrument.px_scale };
        Self { digits, lot: i64::from(code.section().board.lot()) }
    }

    /// A price at the scale of the definition.
    fn px(self, price: i64, instrument: &Instrument) -> Result<Px> {
        model_px(scaled(price, self.digits), instrument)
    }

    fn qty(self, lots: i64, instrument: &Instrument) -> Result<Qty> {
        let qty = shares(lots, self.lot);
        let beyond = Malformed { at: 0, what: What::Scale(source::Field::Qty, qty) };
        if lots < 0 {
            return Err(Malformed { at: 0, what: What::Rule("a quantity is negative") });
        }
        qty.mantissa_at(instrument.qty_scale).map(Qty).ok_or(beyond)
    }
}

fn model_px(price: Decimal, instrument: &Instrument) -> Result<Px> {
    let beyond = Malformed { at: 0, what: What::Scale(source::Field::Px, price) };
    price.mantissa_at(instrument.px_scale).map(Px).ok_or(beyond)
}

/// An event.
pub fn event(instrument: &Arc<Instrument>, channel: Channel, ts: Option<Ts>, now: Ts, body: Body) -> Event {
    Event {
        source: NAME,
        instrument: Arc::clone(instrument),
        channel,
        flags: Flags::NONE,
        stamp: Stamp { ts_event: ts, ts_recv: now },
        body,
    }
}

/// The statistics of the day in a quote.
///
/// # Errors
/// Where its amount is no number, or a quantity is negative.
pub fn day_stats(quote: &Quote, scale: Scale) -> Result<DayStats> {
    let (prices, flow) = (quote.head.prices, quote.head.flow);
    if flow.volume < 0 || prices.last < 0 {
        return Err(Malformed { at: 0, what: What::Rule("a price or a volume is negative") });
    }
    let price = |price: i64| (price > 0).then(|| scaled(price, scale.digits));
    let volume = |lots: i64| (lots >= 0).then(|| shares(lots, scale.lot));
    // While nothing was traded the open is 0; servers of some builds fill the others with the close before.
    let traded = flow.volume > 0;
    let of_day = |value: i64| price(value).filter(|_| traded);
    Ok(DayStats {
        open: of_day(prices.open),
        high: of_day(prices.high),
        low: of_day(prices.low),
        last: of_day(prices.last),
        last_qty: volume(flow.last_volume).filter(|_| traded),
        volume: volume(flow.volume),
        turnover: Some(positive(flow.amount, 0)?),
        prev_close: price(prices.prev_close),
        buy_volume: volume(flow.outside),
        sell_volume: volume(flow.inside),
        ..DayStats::default()
    })
}

/// The levels of a quote; empty ones are left out.
///
/// # Errors
/// Where a price or a quantity does not fit the definition, or is negative.
pub fn book_top(quote: &Quote, scale: Scale, instrument: &Instrument) -> Result<Snapshot> {
    let level = |price: i64, lots: i64| {
        if lots == 0 || price <= 0 {
            return Ok(None);
        }
        Ok(Some(Level { px: scale.px(price, instrument)?, qty: scale.qty(lots, instrument)? }))
    };
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    for one in &quote.levels {
        bids.extend(level(one.bid, one.bid_volume)?);
        asks.extend(level(one.ask, one.ask_volume)?);
    }
    let falling = bids.windows(2).all(|pair| matches!(pair, [a, b] if a.px > b.px));
    let rising = asks.windows(2).all(|pair| matches!(pair, [a, b] if a.px < b.px));
    if !falling || !rising {
        return Err(Malformed {
            at: 0,
            what: What::Rule("levels that are not in the order of their prices"),
        });
    }
    Ok(Snapshot { seq: None, levels: Levels::from_sides(&bids, &asks), checksum: None, epoch: 0 })
}

/// A bar of a category, and when it is over.
///
/// # Errors
/// Where its time is none, or its volume or amount no number.
pub fn bar(wire: &WireBar, category: u16, scale: Scale, code: Code) -> Result<(Bar, Ts)> {
    let name = bars::interval(category).unwrap_or_default();
    let told = stamp(wire.stamp, bars::of_days(category));
    let (date, label) = told.ok_or(Malformed { at: 0, what: What::Expected("the time of a bar") })?;
    let (start, end) = match (label, minutes_of(name)) {
        (Some(label), Some(long)) => minute_bar(date, label, long),
        // A bar of a day tells 15:00 in category 7 and 8 alone; else the day is all there is.
        _ => day_bar(date, name),
    };
    // Volumes of shares and funds are in shares up to category 8 and in lots from 9 on; those of bonds and indices always in lots.
    let board = code.section().board;
    let in_lots =
        category >= 9 || matches!(board, Board::Convertible | Board::Bond | Board::Repo | Board::Index);
    let volume = positive(wire.volume, 0)?;
    let volume = if in_lots { times(volume, scale.lot) } else { volume };
    let price = |price: i64| scaled(price, BAR_DIGITS);
    let (low, high) = (wire.low, wire.high);
    if low > wire.open.min(wire.close) || high < wire.open.max(wire.close) {
        return Err(Malformed {
            at: 0,
            what: What::Rule("a price lies outside of the lowest and the highest"),
        });
    }
    let bar = Bar {
        interval: name.into(),
        start,
        open: price(wire.open),
        high: price(high),
        low: price(low),
        close: price(wire.close),
        volume,
        turnover: Some(positive(wire.amount, 0)?),
        trades: None,
        closed: false,
    };
    Ok((bar, end))
}

/// A number of lots, perhaps with a fraction, as shares.
fn times(lots: Decimal, lot: i64) -> Decimal {
    let digits = lots.scale();
    let mantissa = lots.mantissa_at(digits).unwrap_or(i64::MAX);
    Decimal::new(i128::from(mantissa) * i128::from(lot), digits)
}

/// A minute of a day's line.
pub fn minute_of(wire: &WireMinute, place: usize, date: Date, scale: Scale) -> Option<Minute> {
    Some(Minute {
        start: line_minute(date, place)?,
        px: scaled(wire.price, scale.digits),
        volume: shares(wire.volume, scale.lot),
        avg_px: (wire.mean > 0).then(|| scaled(wire.mean, scale.digits + 2)),
    })
}

/// A trade of a day. Rows have no numbers: the id is the day and the place among the day's trades, which is the same
/// whenever they are asked for.
///
/// # Errors
/// Where a number does not fit the definition.
pub fn trade(
    wire: &WireTrade,
    place: u64,
    date: Date,
    scale: Scale,
    instrument: &Instrument,
) -> Result<(Ts, Trade)> {
    let aggressor = match wire.side {
        side::BUY => Some(Side::Bid),
        side::SELL => Some(Side::Ask),
        _ => None,
    };
    let trade = Trade {
        id: TradeId::Num(u64::from(date.number()) * 1_000_000 + place),
        px: scale.px(wire.price, instrument)?,
        qty: scale.qty(wire.volume, instrument)?,
        aggressor,
        count: u32::try_from(wire.trades).unwrap_or(1).max(1),
    };
    Ok((minute(date, wire.minute), trade))
}

/// Something that a company did.
///
/// # Errors
/// Where its day is none, or one of its numbers is.
pub fn action(wire: &Change) -> Result<CorporateAction> {
    let date = Date::from_number(wire.date).ok_or(Malformed { at: 8, what: What::Expected("a date") })?;
    let [a, b, c, d] = wire.numbers;
    let number = |value: f32| decimal(value, 0);
    let per_share = |ten: f32| Ok::<_, Malformed>((ten > 0.0).then_some(tenth(number(ten)?)));
    let mut action = CorporateAction {
        what: named(wire.category).into(),
        at: instant(date, 0),
        cash: None,
        bonus: None,
        rights: None,
        rights_px: None,
        facts: Vec::new(),
    };
    match wire.category {
        1 => {
            (action.cash, action.bonus, action.rights) = (per_share(a)?, per_share(c)?, per_share(d)?);
            action.rights_px = if b > 0.0 { Some(number(b)?) } else { None };
        }
        11 | 12 => action.facts.push(("ratio", number(c)?)),
        13 | 14 => action.facts.extend([("strike", number(a)?), ("quantity", number(c)?)]),
        6 => action.facts.extend([("price", number(b)?), ("quantity", number(c)?)]),
        2..=10 => {
            let names = ["float_before", "total_before", "float_after", "total_after"];
            for (name, value) in names.into_iter().zip([a, b, c, d]) {
                action.facts.push((name, times(number(value)?, 10_000)));
            }
        }
        _ => {
            for (name, value) in ["c1", "c2", "c3", "c4"].into_iter().zip([a, b, c, d]) {
                action.facts.push((name, number(value)?));
            }
        }
    }
    Ok(action)
}

/// The name of a category.
const fn named(category: u8) -> &'static str {
    match category {
        1 => "ex_rights",
        2..=5 | 7..=10 => "share_change",
        6 => "new_issue",
        11 | 12 => "split",
        13 | 14 => "warrant",
        15 => "restructuring",
        _ => "other",
    }
}

fn tenth(number: Decimal) -> Decimal {
    let digits = number.scale();
    Decimal::new(i128::from(number.mantissa_at(digits).unwrap_or(i64::MAX)), digits + 1)
}

/// The figures of a company: shares and money of the wire are in units of 10 000.
///
/// # Errors
/// Where one is no number.
pub fn fundamentals(wire: &Finance) -> Result<Fundamentals> {
    let mut facts = vec![("float_shares", times(decimal(wire.float_shares, 7)?, 10_000))];
    for (place, (name, value)) in FIGURES.into_iter().zip(wire.figures).enumerate() {
        let value = decimal(value, 23 + 4 * place)?;
        let single = matches!(name, "shareholders" | "net_assets_per_share");
        facts.push((name, if single { value } else { times(value, 10_000) }));
    }
    facts.push(("listed", Decimal::new(i128::from(wire.listed), 0)));
    let updated = Date::from_number(wire.updated).map(|date| instant(date, 0));
    Ok(Fundamentals { updated, facts })
}
