//! What happens when in a trading day.

use super::board::{Board, Section};
use super::code::Market;
use crate::date::Date;

/// What may happen at an instant, by the timetable alone: a halted share has the same phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing: no trading day, or before its first or after its last phase.
    Closed,
    /// The call auction of the opening, 09:15–09:20, in which orders may be taken back.
    OpeningCall,
    /// The rest of it, 09:20–09:25, in which they may not.
    OpeningCallFirm,
    /// 09:25–09:30: the opening price is known, orders come in and wait.
    Opened,
    /// Orders meet as they come, 09:30–11:30 and from 13:00.
    Continuous,
    /// 11:30–13:00.
    Lunch,
    /// The call auction of the close, 14:57–15:00, in which orders may not be taken back.
    ClosingCall,
    /// 15:00–15:05, where after-hours trading follows.
    Interval,
    /// Trading at the closing price, 15:05–15:30.
    AfterHours,
}

impl Phase {
    /// Whether orders are collected for one price: a quote shows the price at which they would meet, on both sides.
    pub fn is_call(self) -> bool {
        matches!(self, Self::OpeningCall | Self::OpeningCallFirm | Self::ClosingCall)
    }

    /// Whether prices or volumes may change.
    pub fn moves(self) -> bool {
        self.is_call() || matches!(self, Self::Continuous | Self::AfterHours)
    }

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::OpeningCall => "opening_call",
            Self::OpeningCallFirm => "opening_call_firm",
            Self::Opened => "opened",
            Self::Continuous => "continuous",
            Self::Lunch => "lunch",
            Self::ClosingCall => "closing_call",
            Self::Interval => "interval",
            Self::AfterHours => "after_hours",
        }
    }
}

/// Milliseconds after midnight.
const fn at(hour: i64, minute: i64) -> i64 {
    (hour * 60 + minute) * 60_000
}

/// When the first phase of a trading day begins, in milliseconds after midnight.
pub(super) const OPENING_CALL_MS: i64 = at(9, 15);

/// Every instant of a trading day at which prices of any section begin or cease to move, in milliseconds after midnight.
pub(super) const TURNS_MS: [i64; 8] =
    [OPENING_CALL_MS, at(9, 25), at(9, 30), at(11, 30), at(13, 0), at(15, 0), at(15, 5), at(15, 30)];

impl Section {
    /// The phase, `ms` milliseconds after midnight of `date`, which must be a trading day; see
    /// [`TradingCalendar::phase_at`](super::TradingCalendar::phase_at). Phases are half-open: at 11:30:00 it is lunch.
    pub fn phase(self, date: Date, ms: i64) -> Phase {
        let (auction_close, last) = (closing_call(self, date), continuous_end(self));
        if ms < OPENING_CALL_MS {
            Phase::Closed
        } else if ms < at(9, 20) {
            Phase::OpeningCall
        } else if ms < at(9, 25) {
            Phase::OpeningCallFirm
        } else if ms < at(9, 30) {
            Phase::Opened
        } else if ms < at(11, 30) {
            Phase::Continuous
        } else if ms < at(13, 0) {
            Phase::Lunch
        } else if ms < if auction_close { at(14, 57) } else { last } {
            Phase::Continuous
        } else if ms < last {
            Phase::ClosingCall
        } else if !after_hours(self, date) || ms >= at(15, 30) {
            Phase::Closed
        } else if ms < at(15, 5) {
            Phase::Interval
        } else {
            Phase::AfterHours
        }
    }
}

/// Bonds and repo go on until 15:30.
fn continuous_end(section: Section) -> i64 {
    if matches!(section.board, Board::Bond | Board::Repo) { at(15, 30) } else { at(15, 0) }
}

/// Whether the day ends with a call auction.
fn closing_call(section: Section, date: Date) -> bool {
    let since = match (section.market, section.board) {
        (_, Board::Bond | Board::Repo) | (Market::Sh, Board::Convertible) => return false,
        (Market::Sh, Board::Fund | Board::GrowthFund | Board::Reit) => 2026_07_06,
        (Market::Sh, _) => 2018_08_20,
        (Market::Sz, _) => 2006_07_01,
        (Market::Bj, _) => 2021_11_15,
    };
    date.number() >= since
}

/// Whether trading at the closing price follows. Beijing has the rule, but had named no day for it by November 2026.
fn after_hours(section: Section, date: Date) -> bool {
    let since = match section.board {
        Board::Star => 2019_07_22,
        Board::ChiNext => 2020_08_24,
        Board::Main | Board::Fund | Board::GrowthFund => 2026_07_06,
        _ => return false,
    };
    date.number() >= since
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;
    use Phase::{
        AfterHours, Closed, ClosingCall, Continuous, Interval, Lunch, Opened, OpeningCall, OpeningCallFirm,
    };

    /// The phases of a day in order, each with its length in minutes.
    fn table(code: &str, date: &str) -> Vec<(Phase, u32)> {
        let (section, date) = (Code::parse(code).unwrap().section(), Date::parse(date).unwrap());
        let mut all: Vec<(Phase, u32)> = Vec::new();
        for minute in 0..1440 {
            let now = section.phase(date, minute * 60_000);
            assert_eq!(now, section.phase(date, minute * 60_000 + 59_999), "a phase changes on the minute");
            match all.last_mut() {
                Some((last, minutes)) if *last == now => *minutes += 1,
                _ => all.push((now, 1)),
            }
        }
        all
    }

    const MORNING: [(Phase, u32); 6] =
        [(Closed, 555), (OpeningCall, 5), (OpeningCallFirm, 5), (Opened, 5), (Continuous, 120), (Lunch, 90)];

    fn day(rest: &[(Phase, u32)]) -> Vec<(Phase, u32)> {
        [&MORNING, rest].concat()
    }

    #[test]
    fn the_days_of_all_boards_have_the_phases_of_their_rules() {
        let plain = day(&[(Continuous, 120), (Closed, 540)]);
        let call = day(&[(Continuous, 117), (ClosingCall, 3), (Closed, 540)]);
        let late =
            day(&[(Continuous, 117), (ClosingCall, 3), (Interval, 5), (AfterHours, 25), (Closed, 510)]);
        for (code, date, expected) in [
            ("600519", "2018-08-17", &plain),
            ("600519", "2018-08-20", &call),
            ("600519", "2026-07-03", &call),
            ("600519", "2026-07-06", &late),
            ("SZ000001", "2006-06-30", &plain),
            ("SZ000001", "2006-07-03", &call),
            ("688981", "2019-07-22", &late),
            ("300750", "2020-08-21", &call),
            ("300750", "2020-08-24", &late),
            ("510300", "2026-07-03", &plain),
            ("510300", "2026-07-06", &late),
            ("159915", "2026-07-03", &call),
            ("920118", "2026-11-20", &call),
            ("900901", "2026-11-20", &call),
            ("113052", "2026-11-20", &plain),
            ("123123", "2026-11-20", &call),
            ("204001", "2026-11-20", &day(&[(Continuous, 150), (Closed, 510)])),
        ] {
            assert_eq!(&table(code, date), expected, "{code} {date}");
        }
    }
}
