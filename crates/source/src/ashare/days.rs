//! The trading days that the market knows, by number.

use model::Date;
use model::ashare::TradingCalendar;

/// How many trading days of the past each share has, unless it was listed later.
pub const HISTORY_DAYS: usize = 500;

/// Trading days in order. In years whose closures are not published every weekday is one: the market is made up anyway.
#[derive(Clone, Debug)]
pub(super) struct Days {
    all: Vec<Date>,
    /// The number of the day on which the market begins.
    pub(super) first: usize,
    calendar: TradingCalendar,
}

fn is_day(calendar: &TradingCalendar, date: Date) -> bool {
    calendar.is_trading_day(date).unwrap_or(date.weekday() < 5)
}

impl Days {
    /// The history before a day, and the day, or the last trading day before it.
    pub(super) fn around(date: Date) -> Self {
        let calendar = TradingCalendar::built_in();
        let (mut all, mut day) = (Vec::with_capacity(HISTORY_DAYS + 1), date);
        while all.len() <= HISTORY_DAYS {
            if is_day(&calendar, day) {
                all.push(day);
            }
            day = day.plus_days(-1);
        }
        all.reverse();
        Self { all, first: HISTORY_DAYS, calendar }
    }

    /// Goes on until `date` is reached.
    pub(super) fn extend(&mut self, date: Date) {
        while let Some(last) = self.all.last().copied().filter(|last| *last < date) {
            let mut next = last.plus_days(1);
            while !is_day(&self.calendar, next) {
                next = next.plus_days(1);
            }
            if next > date {
                break;
            }
            self.all.push(next);
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<Date> {
        self.all.get(number).copied()
    }

    /// The number of the last trading day that is not after `date`; 0 where all are.
    pub(super) fn at_or_before(&self, date: Date) -> usize {
        self.all.partition_point(|day| *day <= date).saturating_sub(1)
    }

    /// The number of a trading day.
    pub(super) fn find(&self, date: Date) -> Option<usize> {
        self.all.binary_search(&date).ok()
    }
}
