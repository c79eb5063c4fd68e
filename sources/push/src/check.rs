//! Whether the records are laid out as we were told: by arithmetic, not by faith.
//!
//! Each record gives a vote to each rule that it can speak to. A rule that more records contradict than bear out shows
//! that the layout is wrong; single records may be wrong in anything.

use crate::layout::{Layout, Slot};
use crate::record::{Record, Waiting, has_book};
use model::Decimal;

/// How many records of a connection are held against the layout.
pub const RECORDS_MAX: u32 = 1_000;
/// At this scale prices are compared.
const SCALE: u8 = 4;
/// The rates of all boards, in thousandths.
const RATES: [i128; 5] = [50, 100, 200, 300, 440];

/// What is added up.
#[derive(Clone, Copy)]
enum Rule {
    Sides,
    Limits,
    Percent,
    Prices,
    Volume,
    BeijingVolume,
}

impl Rule {
    const ALL: [Self; 6] =
        [Self::Sides, Self::Limits, Self::Percent, Self::Prices, Self::Volume, Self::BeijingVolume];

    /// What is wrong where it does not hold.
    const fn words(self) -> &'static str {
        match self {
            Self::Sides => "asks stand below bids",
            Self::Limits => "limits do not follow from the previous close",
            Self::Percent => "the percent is another one",
            Self::Prices => "open or last lie outside of low and high",
            Self::Volume => "volumes are in another unit",
            Self::BeijingVolume => "volumes of Beijing are in another unit",
        }
    }
}

/// The votes of one connection's first records.
#[derive(Debug, Default)]
pub struct Check {
    records: u32,
    /// For and against, by rule.
    votes: [(u32, u32); Rule::ALL.len()],
}

impl Check {
    /// How many records have voted.
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// Whether enough have.
    pub const fn is_over(&self) -> bool {
        self.records >= RECORDS_MAX
    }

    /// Takes the votes of a record.
    pub fn on(&mut self, record: &Record<'_>, layout: &Layout) {
        self.records = self.records.saturating_add(1);
        let volume = if record.beijing { Rule::BeijingVolume } else { Rule::Volume };
        for (rule, vote) in [
            (Rule::Sides, sides(record)),
            (Rule::Limits, limits(record)),
            (Rule::Percent, percent(record, layout)),
            (Rule::Prices, prices(record)),
            (volume, unit(record)),
        ] {
            let Some((pro, con)) = self.votes.get_mut(rule as usize) else { continue };
            match vote {
                Some(true) => *pro += 1,
                Some(false) => *con += 1,
                None => {}
            }
        }
    }

    /// Which rule the records contradict, in words.
    pub fn contradiction(&self, layout: &Layout) -> Option<String> {
        let (rule, (pro, con)) = Rule::ALL.iter().zip(self.votes).find(|(_, (pro, con))| con > pro)?;
        Some(format!(
            "the records contradict layout `{}`: {} in {con} of {} that tell; nothing is published",
            layout.name,
            rule.words(),
            pro + con
        ))
    }
}

fn at(number: Option<Decimal>) -> Option<i128> {
    number?.mantissa_at(SCALE).map(i128::from)
}

/// Whether the best ask is above the best bid; where only one side is there, whether it goes the right way.
fn sides(record: &Record<'_>) -> Option<bool> {
    let best = |side: &[Waiting]| side.first().and_then(|level| at(level.px));
    let slope = |side: &[Waiting]| Some((best(side)?, side.get(1).and_then(|level| at(level.px))?));
    if let (Some(ask), Some(bid)) = (best(&record.asks), best(&record.bids)) {
        // In a call auction they are equal.
        return (ask != bid).then_some(ask > bid);
    }
    let asks = slope(&record.asks).map(|(first, second)| first < second);
    asks.or_else(|| slope(&record.bids).map(|(first, second)| first > second))
}

/// Whether both limits are as far from the previous close as some board allows, to a tick.
fn limits(record: &Record<'_>) -> Option<bool> {
    let (up, down, prev) = (at(record.limit_up)?, at(record.limit_down)?, at(record.prev_close)?);
    let tick = 100;
    let near = |limit: i128, permille: i128| (limit * 1000 - prev * (1000 + permille)).abs() <= tick * 1000;
    // The first day of a listing by the old rules goes 44 % up and 36 % down.
    let down_of = |up: i128| if up == 440 { -360 } else { -up };
    Some(RATES.iter().any(|rate| near(up, *rate) && near(down, down_of(*rate))))
}

/// Whether what is called the change is it, and what is called the turnover is not.
fn percent(record: &Record<'_>, layout: &Layout) -> Option<bool> {
    let (last, prev) = (at(record.last)?, at(record.prev_close)?);
    let told = if layout.slots.contains(&Slot::ChangePct) { record.change_pct } else { record.turnover_pct };
    let told = told?.mantissa_at(SCALE).map(i128::from)?;
    // (last − prev) ÷ prev in percent, both sides times prev; texts have two digits.
    let off = ((last - prev) * 1_000_000 - told * prev).abs();
    let is_change = off <= prev * 100;
    // Near zero anything looks like the change.
    let tells = (last - prev).abs() * 200 > prev;
    if layout.slots.contains(&Slot::ChangePct) {
        tells.then_some(is_change)
    } else {
        (tells && (is_change || told != 0)).then_some(!is_change)
    }
}

/// Whether open and last lie within the day.
fn prices(record: &Record<'_>) -> Option<bool> {
    record.shares.filter(|shares| *shares > 0)?;
    let (low, high) = (at(record.low)?, at(record.high)?);
    let within = |px: i128| low <= px && px <= high;
    Some(within(at(record.open)?) && within(at(record.last)?))
}

/// Whether amount ÷ volume is a price of the day, by the order of magnitude.
fn unit(record: &Record<'_>) -> Option<bool> {
    let shares = record.shares.filter(|shares| *shares >= 1_000 && has_book(record.code))?;
    let (amount, last) = (at(record.amount)?, at(record.last)?);
    let value = i128::from(shares).checked_mul(last)?;
    Some(amount <= value.saturating_mul(2) && value <= amount.saturating_mul(2))
}
