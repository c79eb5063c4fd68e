//! Days of the calendar.

use crate::time::Ts;
use std::fmt;

/// Nanoseconds of a day without leap seconds.
const DAY_NS: i64 = 86_400_000_000_000;

/// A day of the Gregorian calendar, in no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, or `None` where the calendar has none such. Years 1 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let this = Self { year, month, day };
        ((1..=9999).contains(&year) && Self::from_days(this.days()) == this).then_some(this)
    }

    /// Reads `2026-11-20`, `20261120` or `2026/11/20`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | '/')).collect();
        let plain = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
        let shaped = text.len() == 8
            || text.len() == 10 && text.match_indices(['-', '/']).map(|(at, _)| at).eq([4, 7]);
        if !(plain && shaped) {
            return None;
        }
        digits.parse().ok().and_then(Self::from_number)
    }

    /// The day written as the number 20261120.
    pub fn from_number(number: u32) -> Option<Self> {
        let part = |value: u32| u8::try_from(value % 100).ok();
        Self::new(i32::try_from(number / 10_000).ok()?, part(number / 100)?, part(number)?)
    }

    /// This day as the number 20261120.
    pub fn number(self) -> u32 {
        self.year.unsigned_abs() * 10_000 + u32::from(self.month) * 100 + u32::from(self.day)
    }

    /// The day so many days after 1970-01-01 (civil-from-days, Howard Hinnant's algorithm).
    pub fn from_days(days: i64) -> Self {
        let days = days.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let doe = days.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Self { year: i32::try_from(year).unwrap_or(i32::MAX), month: month as u8, day: day as u8 }
    }

    /// Days from 1970-01-01 to this day; the inverse of [`Date::from_days`].
    pub fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let yoe = year.rem_euclid(400);
        let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        year.div_euclid(400) * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }

    /// The day, UTC, that an instant falls on.
    pub fn of(ts: Ts) -> Self {
        Self::from_days(ts.0.div_euclid(DAY_NS))
    }

    /// The first instant, UTC, of this day.
    pub fn start(self) -> Ts {
        Ts(self.days().saturating_mul(DAY_NS))
    }

    /// The day so many days later; earlier where negative.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self::from_days(self.days().saturating_add(days))
    }

    /// Year, as in 2026.
    pub fn year(self) -> i32 {
        self.year
    }

    /// Month, 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }

    /// Day of the month, 1 to 31.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Day of the week: 0 is Monday, 6 is Sunday.
    pub fn weekday(self) -> u8 {
        (self.days() + 3).rem_euclid(7) as u8
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_five_centuries_is_the_day_after_the_one_before() {
        let mut last = Date::from_days(-100_000);
        for days in -99_999..100_000 {
            let day = Date::from_days(days);
            assert_eq!((day.days(), Date::parse(&day.to_string())), (days, Some(day)));
            assert_eq!(Date::from_number(day.number()), Some(day));
            assert!(day > last && (day.weekday() + 6) % 7 == last.weekday(), "{last} {day}");
            last = day;
        }
        assert_eq!(Date::of(Ts(0)).to_string(), "1970-01-01");
        assert_eq!(Date::of(Ts(-1)).to_string(), "1969-12-31");
        assert_eq!(Date::parse("2026-11-20").unwrap().weekday(), 4);
        assert_eq!(Date::parse("2024-02-29").unwrap().start(), Ts::from_ms(1_709_164_800_000));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in
            ["2026-02-29", "20260230", "2026-13-01", "2026-00-10", "26-01-01", "2026-1-1", "", "0000-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(Date::parse("2026/01-02"), Date::new(2026, 1, 2));
    }
}
