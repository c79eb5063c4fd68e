//! Times of the wire. All are China's.

use model::ashare::instant;
use model::{Date, Ts};

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;
/// 11:30 and 13:00 in minutes: between them nothing is traded.
const NOON: u16 = 11 * 60 + 30;
const AFTERNOON: u16 = 13 * 60;
/// Minutes of a trading day.
const MINUTES: usize = 240;

/// The day of two bytes that count years from 2004 and write month and day as digits.
pub fn packed_day(day: u16) -> Option<Date> {
    let (month, day_of) = ((day & 0x7ff) / 100, (day & 0x7ff) % 100);
    Date::new(i32::from(day >> 11) + 2004, u8::try_from(month).ok()?, u8::try_from(day_of).ok()?)
}

/// The inverse of [`packed_day`]; `None` of a day before 2004 or after 2035.
pub fn pack_day(date: Date) -> Option<u16> {
    let year = u16::try_from(date.year() - 2004).ok().filter(|year| *year < 32)?;
    Some(year << 11 | (u16::from(date.month()) * 100 + u16::from(date.day())))
}

/// An instant of a day, so many minutes after midnight.
pub fn minute(date: Date, minutes: u16) -> Ts {
    instant(date, i64::from(minutes) * MINUTE_MS)
}

/// The four bytes of a bar, by whether they tell a day alone: the day and, where there is one, the minute.
pub fn stamp(stamp: u32, day_alone: bool) -> Option<(Date, Option<u16>)> {
    if day_alone {
        return Some((Date::from_number(stamp)?, None));
    }
    let [a, b, c, d] = stamp.to_le_bytes();
    let minutes = u16::from_le_bytes([c, d]);
    let day = packed_day(u16::from_le_bytes([a, b]))?;
    (minutes < 24 * 60).then_some((day, Some(minutes)))
}

/// When a bar of minutes begins and ends whose label is the end. One that is labelled 13:00 is the one that ended at 11:30:
/// servers label it so while the afternoon's session goes on, and no bar ends at 13:00.
pub fn minute_bar(date: Date, label: u16, long: u16) -> (Ts, Ts) {
    let end = if label == AFTERNOON { NOON } else { label };
    (minute(date, end.saturating_sub(long)), minute(date, end))
}

/// How many minutes an interval has; `None` of days and longer.
pub fn minutes_of(interval: &str) -> Option<u16> {
    Some(match interval {
        "1m" => 1,
        "5m" => 5,
        "15m" => 15,
        "30m" => 30,
        "1h" => 60,
        _ => return None,
    })
}

/// When the bar of a day or longer begins whose label is its last trading day, and when that day's trading ends.
pub fn day_bar(label: Date, interval: &str) -> (Ts, Ts) {
    let first_of = |month: u8| Date::new(label.year(), month, 1).unwrap_or(label);
    let first = match interval {
        "1w" => label.plus_days(-i64::from(label.weekday())),
        "1M" => first_of(label.month()),
        "3M" => first_of((label.month() - 1) / 3 * 3 + 1),
        "1y" => first_of(1),
        _ => label,
    };
    (instant(first, 0), minute(label, 15 * 60))
}

/// When the minute at a place of a day's line begins; `None` where a day has no such place.
pub fn line_minute(date: Date, place: usize) -> Option<Ts> {
    let place_minutes = u16::try_from(place).ok().filter(|_| place < MINUTES)?;
    let begin = if place_minutes < 120 { 9 * 60 + 30 } else { AFTERNOON - 120 };
    Some(minute(date, begin + place_minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn packed_days_are_the_bytes_of_the_wire() {
        for (text, minutes, bytes) in [
            ("2026-04-10", 14 * 60 + 55, [0x9a, 0xb1, 0x7f, 0x03]),
            ("2024-10-29", 9 * 60 + 31, [0x05, 0xa4, 0x3b, 0x02]),
            ("2026-11-20", 15 * 60, [0x60, 0xb4, 0x84, 0x03]),
        ] {
            assert_eq!(stamp(u32::from_le_bytes(bytes), false), Some((day(text), Some(minutes))));
            assert_eq!(pack_day(day(text)), Some(u16::from_le_bytes([bytes[0], bytes[1]])));
        }
        assert_eq!(stamp(20_261_120, true), Some((day("2026-11-20"), None)));
        assert!(stamp(20_261_131, true).is_none() && packed_day(0xffff).is_none());
        assert!(pack_day(day("2003-12-31")).is_none() && pack_day(day("2036-01-01")).is_none());
    }

    #[test]
    fn the_last_bar_of_the_morning_is_known_by_both_its_labels() {
        let date = day("2026-11-20");
        let noon = (minute(date, 11 * 60 + 25), minute(date, NOON));
        assert_eq!(minute_bar(date, NOON, 5), noon);
        assert_eq!(minute_bar(date, AFTERNOON, 5), noon);
        assert_eq!(minute_bar(date, 13 * 60 + 5, 5).0, minute(date, AFTERNOON));
    }

    #[test]
    fn bars_of_weeks_months_quarters_and_years_begin_with_them() {
        let begins = |interval| model::ashare::local(day_bar(day("2026-11-20"), interval).0).0.to_string();
        assert_eq!(begins("1d"), "2026-11-20");
        assert_eq!(begins("1w"), "2026-11-16");
        assert_eq!(begins("1M"), "2026-11-01");
        assert_eq!(begins("3M"), "2026-10-01");
        assert_eq!(begins("1y"), "2026-01-01");
    }

    #[test]
    fn a_line_has_two_hours_before_noon_and_two_after() {
        let at =
            |place| line_minute(day("2026-11-20"), place).map(|ts| model::ashare::local(ts).1 / MINUTE_MS);
        assert_eq!([at(0), at(119), at(120), at(239)], [Some(570), Some(689), Some(780), Some(899)]);
        assert_eq!(at(240), None);
    }
}
