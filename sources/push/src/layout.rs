//! Which field of a record stands where.
//!
//! The feed has no public specification. Readers of it disagree about the order of the fields, so the order is a value
//! here and not code: the two known ones have a name, any other is a list of words.

use source::{Malformed, What};

/// How many levels a side has.
pub const LEVELS: usize = 5;
/// The most fields that a layout may name.
const FIELDS_MAX: usize = 128;

/// Asks before bids, limits at the end.
const A: &str = "code name time open high low last lots amount ask_px*5 ask_lots*5 bid_px*5 bid_lots*5 \
    turnover_pct prev_close limit_up limit_down";
/// Bids before asks, and the highest and lowest price of a year where the other has limits.
const B: &str = "code name time open high low last lots amount bid_px*5 bid_lots*5 ask_px*5 ask_lots*5 \
    change_pct prev_close - -";

/// In what volumes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 手: a hundred shares, ten bonds.
    Lots,
    /// Single shares or bonds.
    Shares,
}

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The code with or without the letters of its market.
    Code,
    /// The name for people.
    Name,
    /// UNIX seconds.
    Time,
    /// Yuan.
    Price(Price),
    /// Of the day so far.
    Volume(Unit),
    /// Of the day so far, in yuan.
    Amount,
    /// Price of a level, 0 the best.
    AskPx(usize),
    /// Quantity of a level.
    AskQty(usize, Unit),
    /// Price of a level, 0 the best.
    BidPx(usize),
    /// Quantity of a level.
    BidQty(usize, Unit),
    /// Share of the free float that was traded, in percent.
    TurnoverPct,
    /// Change from the close before, in percent.
    ChangePct,
    /// Not read.
    Skip,
}

/// A price of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// The first.
    Open,
    /// The highest.
    High,
    /// The lowest.
    Low,
    /// The last.
    Last,
    /// The close of the day before.
    PrevClose,
    /// The highest that is allowed.
    LimitUp,
    /// The lowest that is allowed.
    LimitDown,
}

/// The order of the fields of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its name, or `given`.
    pub name: &'static str,
    /// In the order of the wire.
    pub slots: Vec<Slot>,
    /// In what the volumes of Beijing's records are counted.
    pub beijing: Unit,
}

impl Layout {
    /// `A`, `B`, or the words of the fields in order: `code name time open high low last lots amount …`. `word*5` is five
    /// fields, the levels of a side from the best on; `-` is a field that is not read; volumes are `lots` or `shares`,
    /// `ask_lots` or `ask_shares`. The word `beijing_shares` is no field: it says that Beijing's records count shares.
    /// Empty is `A`.
    ///
    /// # Errors
    /// Where a word is none of these or stands twice, or the code is missing; `at` is the byte of the word.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text.trim() {
            "" | "A" => Self::of("A", A),
            "B" => Self::of("B", B),
            _ => Self::of("given", text),
        }
    }

    fn of(name: &'static str, text: &str) -> Result<Self, Malformed> {
        let mut layout = Self { name, slots: Vec::new(), beijing: Unit::Lots };
        let mut at = 0;
        for word in text.split(' ') {
            let wrong = |rule| Malformed { at, what: What::Rule(rule) };
            let (stem, times) = match word.split_once('*') {
                Some((stem, times)) => {
                    (stem, times.parse::<usize>().map_err(|_| wrong("not a number of fields"))?)
                }
                None => (word, 1),
            };
            match stem {
                "" => {}
                "beijing_shares" => layout.beijing = Unit::Shares,
                _ => {
                    for _ in 0..times {
                        let slot = layout.slot(stem).ok_or_else(|| wrong("not the name of a field"))?;
                        let again = slot != Slot::Skip && layout.slots.contains(&slot);
                        if again || layout.slots.len() >= FIELDS_MAX {
                            return Err(wrong("one field too many"));
                        }
                        layout.slots.push(slot);
                    }
                }
            }
            at += word.len() + 1;
        }
        if layout.slots.contains(&Slot::Code) {
            Ok(layout)
        } else {
            Err(Malformed { at: 0, what: What::Missing("code") })
        }
    }

    fn slot(&self, word: &str) -> Option<Slot> {
        // The next level of a side, by how many there are.
        let nth = |is: fn(&Slot) -> bool| {
            Some(self.slots.iter().filter(|slot| is(slot)).count()).filter(|n| *n < LEVELS)
        };
        let ask_qty = || nth(|slot| matches!(slot, Slot::AskQty(..)));
        let bid_qty = || nth(|slot| matches!(slot, Slot::BidQty(..)));
        Some(match word {
            "code" => Slot::Code,
            "name" => Slot::Name,
            "time" => Slot::Time,
            "open" => Slot::Price(Price::Open),
            "high" => Slot::Price(Price::High),
            "low" => Slot::Price(Price::Low),
            "last" => Slot::Price(Price::Last),
            "prev_close" => Slot::Price(Price::PrevClose),
            "limit_up" => Slot::Price(Price::LimitUp),
            "limit_down" => Slot::Price(Price::LimitDown),
            "lots" => Slot::Volume(Unit::Lots),
            "shares" => Slot::Volume(Unit::Shares),
            "amount" => Slot::Amount,
            "ask_px" => Slot::AskPx(nth(|slot| matches!(slot, Slot::AskPx(_)))?),
            "bid_px" => Slot::BidPx(nth(|slot| matches!(slot, Slot::BidPx(_)))?),
            "ask_lots" => Slot::AskQty(ask_qty()?, Unit::Lots),
            "ask_shares" => Slot::AskQty(ask_qty()?, Unit::Shares),
            "bid_lots" => Slot::BidQty(bid_qty()?, Unit::Lots),
            "bid_shares" => Slot::BidQty(bid_qty()?, Unit::Shares),
            "turnover_pct" => Slot::TurnoverPct,
            "change_pct" => Slot::ChangePct,
            "-" => Slot::Skip,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_known_layouts_have_33_fields_and_differ_in_sides_and_tail() {
        let (a, b) = (Layout::parse("").unwrap(), Layout::parse("B").unwrap());
        assert_eq!((a.slots.len(), b.slots.len()), (33, 33));
        assert_eq!(
            (a.slots[9], a.slots[18], a.slots[23]),
            (Slot::AskPx(0), Slot::AskQty(4, Unit::Lots), Slot::BidPx(4))
        );
        assert_eq!(
            (b.slots[9], b.slots[18], b.slots[23]),
            (Slot::BidPx(0), Slot::BidQty(4, Unit::Lots), Slot::AskPx(4))
        );
        assert_eq!(
            (a.slots[31], b.slots[29], b.slots[31]),
            (Slot::Price(Price::LimitUp), Slot::ChangePct, Slot::Skip)
        );
    }

    #[test]
    fn a_correction_of_the_vendor_is_a_text() {
        let layout = Layout::parse("code last shares ask_px*2 ask_shares*2 - beijing_shares").unwrap();
        assert_eq!(layout.slots[2], Slot::Volume(Unit::Shares));
        assert_eq!(layout.slots[6], Slot::AskQty(1, Unit::Shares));
        assert_eq!((layout.slots.len(), layout.beijing), (8, Unit::Shares));
    }

    #[test]
    fn a_layout_that_means_nothing_is_refused_at_its_word() {
        for (text, at) in [
            ("name last", 0),
            ("code price", 5),
            ("code last last", 10),
            ("code ask_px*6", 5),
            ("code ask_px*x", 5),
            ("code -*100000", 5),
        ] {
            assert_eq!(Layout::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}
