//! Which days are trading days.

use super::board::Section;
use super::session::{OPENING_CALL_MS, Phase, TURNS_MS};
use super::{instant, local};
use crate::date::Date;
use crate::time::Ts;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

/// When sources have cleared the day before and speak of the new one: hosts are started again by 09:00.
const DAY_BEGINS_MS: i64 = 9 * 3_600_000;

/// The trading days of all three exchanges, which are the same.
///
/// A year is known or not: nothing is guessed of a year whose closures have not been published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradingCalendar {
    /// The closed weekdays of each known year.
    years: BTreeMap<i32, BTreeSet<Date>>,
}

static IN_FORCE: OnceLock<TradingCalendar> = OnceLock::new();

/// The calendar in force: the one of [`install`], else the built-in one.
pub fn calendar() -> &'static TradingCalendar {
    IN_FORCE.get_or_init(TradingCalendar::built_in)
}

/// Puts a calendar in force for the life of the process, before anything asks for one. False where that is too late.
pub fn install(calendar: TradingCalendar) -> bool {
    IN_FORCE.set(calendar).is_ok()
}

/// A line of a calendar that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for CalendarError {}

impl TradingCalendar {
    /// The years from 2004 on whose closures were published when this was built.
    pub fn built_in() -> Self {
        let mut all = Self::default();
        // A test reads the same text and shows that it has no fault.
        let _ = all.read(include_str!("calendar.txt"));
        all
    }

    /// Takes in years from a text of lines `2026: 01-01..01-02 02-16..02-20`: the weekdays without trading. Lines that are
    /// empty or begin with `#` say nothing. A year that is known already is replaced.
    ///
    /// # Errors
    /// The first line that cannot be read; nothing is taken in then.
    pub fn read(&mut self, text: &str) -> Result<(), CalendarError> {
        let mut fresh = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (year, closed) = year(line).map_err(|why| CalendarError { line: at + 1, why })?;
            if fresh.insert(year, closed).is_some() {
                return Err(CalendarError { line: at + 1, why: format!("year {year} stands here twice") });
            }
        }
        self.years.append(&mut fresh);
        Ok(())
    }

    /// Whether there is trading on a day; `None` on a weekday of a year that is not known.
    pub fn is_trading_day(&self, date: Date) -> Option<bool> {
        if date.weekday() >= 5 {
            return Some(false);
        }
        self.years.get(&date.year()).map(|closed| !closed.contains(&date))
    }

    /// The first trading day after a day; `None` where it lies in a year that is not known.
    pub fn next_trading_day(&self, after: Date) -> Option<Date> {
        self.search(after, 1)
    }

    /// The last trading day before a day; `None` where it lies in a year that is not known.
    pub fn prev_trading_day(&self, before: Date) -> Option<Date> {
        self.search(before, -1)
    }

    /// Steps until a trading day is found, or a weekday of an unknown year.
    fn search(&self, from: Date, step: i64) -> Option<Date> {
        let mut day = from.plus_days(step);
        while !self.is_trading_day(day)? {
            day = day.plus_days(step);
        }
        Some(day)
    }

    /// The trading day that data heard at an instant speak of: the day itself from 09:00 Beijing time on, else the last
    /// one before. `None` where it lies in a year that is not known.
    pub fn trading_date(&self, ts: Ts) -> Option<Date> {
        let (date, ms) = local(ts);
        if ms >= DAY_BEGINS_MS && self.is_trading_day(date)? {
            Some(date)
        } else {
            self.prev_trading_day(date)
        }
    }

    /// The phase at an instant; `None` on a weekday of a year that is not known.
    pub fn phase_at(&self, section: Section, ts: Ts) -> Option<Phase> {
        let (date, ms) = local(ts);
        Some(if self.is_trading_day(date)? { section.phase(date, ms) } else { Phase::Closed })
    }

    /// The next beginning of an opening call auction (09:15) after an instant; `None` where it lies in a year that is not
    /// known.
    pub fn next_open(&self, after: Ts) -> Option<Ts> {
        let (date, ms) = local(after);
        let today = ms < OPENING_CALL_MS && self.is_trading_day(date)?;
        let date = if today { date } else { self.next_trading_day(date)? };
        Some(instant(date, OPENING_CALL_MS))
    }

    /// The next instant after one at which a section's prices begin or cease to move ([`Phase::moves`]); `None` where it
    /// lies in a year that is not known.
    pub fn next_turn(&self, section: Section, after: Ts) -> Option<Ts> {
        let moves = |at| self.phase_at(section, at).map(Phase::moves);
        let (now, (date, ms)) = (moves(after)?, local(after));
        let today = TURNS_MS.into_iter().filter(|turn| *turn > ms).map(|turn| instant(date, turn));
        today.into_iter().find(|at| moves(*at) == Some(!now)).or_else(|| self.next_open(after))
    }

    /// How many trading days there are from `from` to before `to`; `None` where a year between is not known.
    pub fn trading_days_between(&self, from: Date, to: Date) -> Option<u32> {
        let mut count = 0;
        let mut day = from;
        while day < to {
            count += u32::from(self.is_trading_day(day)?);
            day = day.plus_days(1);
        }
        Some(count)
    }
}

/// Reads one line: a year and its closed weekdays.
fn year(line: &str) -> Result<(i32, BTreeSet<Date>), String> {
    let (year, days) = line.split_once(':').ok_or("no `year:` at its start")?;
    let number: i32 = year.trim().parse().map_err(|_| format!("`{}` is no year", year.trim()))?;
    let day = |text: &str| {
        let shaped = text.len() == 5 && text.get(2..3) == Some("-");
        Date::parse(&format!("{number:04}-{text}"))
            .filter(|_| shaped)
            .ok_or(format!("`{text}` is no day of {number}"))
    };
    let mut closed = BTreeSet::new();
    for word in days.split_whitespace() {
        let (first, last) = word.split_once("..").unwrap_or((word, word));
        let (mut at, last) = (day(first)?, day(last)?);
        if at > last {
            return Err(format!("`{word}` ends before it begins"));
        }
        while at <= last {
            closed.insert(at);
            at = at.plus_days(1);
        }
    }
    Ok((number, closed))
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    fn at(date: &str, hour: i64, minute: i64) -> Ts {
        instant(day(date), (hour * 60 + minute) * 60_000)
    }

    #[test]
    fn the_built_in_text_has_no_fault_and_the_known_number_of_trading_days() {
        let mut calendar = TradingCalendar::default();
        assert_eq!(calendar.read(include_str!("calendar.txt")), Ok(()));
        assert_eq!(calendar, TradingCalendar::built_in());
        for (year, expected) in [
            (2019, 244),
            (2020, 243),
            (2021, 243),
            (2022, 242),
            (2023, 242),
            (2024, 242),
            (2025, 243),
            (2026, 242),
        ] {
            let (from, to) = (Date::new(year, 1, 1).unwrap(), Date::new(year, 12, 31).unwrap().plus_days(1));
            assert_eq!(calendar.trading_days_between(from, to), Some(expected), "{year}");
        }
    }

    #[test]
    fn make_up_weekends_are_closed_and_unknown_years_are_told() {
        let calendar = TradingCalendar::built_in();
        assert_eq!(calendar.is_trading_day(day("2026-02-14")), Some(false), "a working Saturday");
        assert_eq!(calendar.is_trading_day(day("2026-02-16")), Some(false));
        assert_eq!(calendar.is_trading_day(day("2026-02-24")), Some(true));
        assert_eq!(calendar.next_trading_day(day("2026-02-13")), Some(day("2026-02-24")));
        assert_eq!(calendar.prev_trading_day(day("2026-10-08")), Some(day("2026-09-30")));
        assert_eq!(calendar.is_trading_day(day("2027-01-04")), None);
        assert_eq!(calendar.next_trading_day(day("2026-12-31")), None);
        assert_eq!(
            calendar.phase_at(Code::parse("600519").unwrap().section(), at("2027-01-04", 10, 0)),
            None
        );
    }

    #[test]
    fn every_minute_of_a_year_has_one_phase_and_trading_days_have_all_of_them() {
        let calendar = TradingCalendar::built_in();
        for (code, open) in
            [("600519", 237), ("920118", 237), ("SH000001", 237), ("113052", 240), ("204001", 270)]
        {
            let section = Code::parse(code).unwrap().section();
            let mut minutes = BTreeMap::new();
            for minute in 0..365 * 1440 {
                let ts = instant(day("2025-01-01"), minute * 60_000);
                let phase = calendar.phase_at(section, ts).unwrap();
                let traded = calendar.is_trading_day(local(ts).0) == Some(true);
                assert!(traded || phase == Phase::Closed);
                *minutes.entry(phase).or_insert(0) += 1;
            }
            assert_eq!(minutes.values().sum::<i32>(), 365 * 1440);
            assert_eq!(minutes.get(&Phase::Continuous), Some(&(243 * open)), "{code}");
            assert_eq!(minutes.get(&Phase::OpeningCallFirm), Some(&(243 * 5)), "{code}");
        }
    }

    #[test]
    fn data_belong_to_the_last_trading_day_until_the_next_begins() {
        let calendar = TradingCalendar::built_in();
        for (ts, expected) in [
            (at("2026-11-20", 8, 59), "2026-11-19"),
            (at("2026-11-20", 9, 0), "2026-11-20"),
            (at("2026-11-20", 23, 0), "2026-11-20"),
            (at("2026-11-22", 10, 0), "2026-11-20"),
            (at("2026-11-23", 0, 30), "2026-11-20"),
        ] {
            assert_eq!(calendar.trading_date(ts), Some(day(expected)));
        }
        assert_eq!(calendar.next_open(at("2026-11-20", 9, 14)), Some(at("2026-11-20", 9, 15)));
        assert_eq!(calendar.next_open(at("2026-11-20", 9, 15)), Some(at("2026-11-23", 9, 15)));
        assert_eq!(calendar.next_open(at("2026-12-31", 16, 0)), None);
    }

    #[test]
    fn the_next_turn_is_where_a_walk_by_minutes_meets_it() {
        let calendar = TradingCalendar::built_in();
        for code in ["600519", "300750", "920118", "113052", "204001", "510300"] {
            let section = Code::parse(code).unwrap().section();
            let moves = |ts| calendar.phase_at(section, ts).unwrap().moves();
            let begin = at("2026-09-28", 0, 0);
            let mut next = calendar.next_turn(section, begin).unwrap();
            for minute in 1..14 * 1440 {
                let ts = begin.plus_ms(minute * 60_000);
                let turned = moves(ts) != moves(begin.plus_ms((minute - 1) * 60_000));
                assert_eq!(turned, ts == next, "{code} at minute {minute}");
                if turned {
                    next = calendar.next_turn(section, ts).unwrap();
                }
            }
        }
        let section = Code::parse("600519").unwrap().section();
        assert_eq!(calendar.next_turn(section, at("2026-12-31", 15, 30)), None);
    }

    #[test]
    fn a_faulty_text_is_refused_whole_and_the_line_named() {
        let mut calendar = TradingCalendar::built_in();
        for (text, line, word) in [
            ("# new\n2027: 01-01 13-01", 2, "13-01"),
            ("2027 01-01", 1, "year:"),
            ("2027: 01-01\n2027: 01-02", 2, "twice"),
            ("2027: 02-05..02-01", 1, "before"),
            ("2027: 1-1", 1, "1-1"),
            ("20x7: 01-01", 1, "20x7"),
        ] {
            let error = calendar.read(text).unwrap_err();
            assert!(error.line == line && error.why.contains(word), "{error}");
            assert_eq!(calendar, TradingCalendar::built_in());
        }
        calendar.read("2027: 01-01 02-05..02-11\n").unwrap();
        assert_eq!(calendar.is_trading_day(day("2027-02-11")), Some(false));
        assert_eq!(calendar.next_trading_day(day("2026-12-31")), Some(day("2027-01-04")));
    }
}
