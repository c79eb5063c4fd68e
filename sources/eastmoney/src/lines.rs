//! Rows of text: bars and minutes.

use crate::fields::{Result, envelope};
use model::ashare::{instant, local};
use model::{Bar, Decimal, Minute, Ts};
use source::web::{self, china_time, number, scaled};
use source::{Cursor, Malformed, What};

const MINUTE_NS: i64 = 60_000_000_000;
/// How far the end of a day's trading is from the start of the day, 15:00.
const DAY_ENDS_NS: i64 = 15 * 60 * MINUTE_NS;

/// An interval of bars: our name, the venue's (`klt`), and how many minutes it has, where it is a part of a day.
pub struct Interval {
    /// `1m`.
    pub name: &'static str,
    /// `klt`.
    pub klt: u32,
    /// 0 from a day on.
    pub minutes: i64,
}

/// The intervals that the venue has.
pub const INTERVALS: [Interval; 8] = [
    Interval { name: "1m", klt: 1, minutes: 1 },
    Interval { name: "5m", klt: 5, minutes: 5 },
    Interval { name: "15m", klt: 15, minutes: 15 },
    Interval { name: "30m", klt: 30, minutes: 30 },
    Interval { name: "1h", klt: 60, minutes: 60 },
    Interval { name: "1d", klt: 101, minutes: 0 },
    Interval { name: "1w", klt: 102, minutes: 0 },
    Interval { name: "1M", klt: 103, minutes: 0 },
];

/// Rows of text of one instrument.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    /// Whose.
    pub code: String,
    /// In the order of time.
    pub rows: Vec<String>,
}

/// Reads `{"code":"601872","market":1,…,"klines":["…",…]}`; rows stand in `klines` or `trends`. `None` where there are no
/// data.
///
/// # Errors
/// Where it is no such answer.
pub fn lines(body: &[u8]) -> Result<Option<Lines>> {
    let Some(data) = envelope(body)?.data else { return Ok(None) };
    let (mut code, mut rows) = (None, Vec::new());
    let mut c = Cursor::new(data);
    c.object(|c, key| {
        match key {
            b"code" => code = Some(web::text(c)?.into_owned()),
            b"klines" | b"trends" if c.peek() == Some(b'[') => c.array(|c| {
                rows.push(web::text(c)?.into_owned());
                Ok(())
            })?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    let code = code.ok_or_else(|| c.fault(What::Missing("code")))?;
    Ok(Some(Lines { code, rows }))
}

fn fault(what: What) -> Malformed {
    Malformed { at: 0, what }
}

/// The columns of a row: an instant, then numbers.
struct Columns<'a> {
    at: Ts,
    rest: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(row: &'a str) -> Result<Self> {
        let mut parts = row.split(',');
        let at = parts.next().and_then(|time| china_time(time.as_bytes()));
        let at = at.ok_or_else(|| fault(What::Expected("a date at the start of a row")))?;
        Ok(Self { at, rest: parts.collect() })
    }

    fn opt(&self, column: usize) -> Result<Option<Decimal>> {
        self.rest.get(column).map_or(Ok(None), |text| number(text.as_bytes()))
    }

    fn must(&self, column: usize) -> Result<Decimal> {
        self.opt(column)?.ok_or_else(|| fault(What::Missing("a number of a row")))
    }

    /// 手 as shares.
    fn shares(&self, column: usize) -> Result<Decimal> {
        scaled(self.must(column)?, 2).ok_or_else(|| fault(What::Number(model::NumError::TooLarge)))
    }
}

/// A bar of `date,open,close,high,low,volume 手,amount,…`: the close stands before high and low. Minute bars are stamped
/// with their end. A bar is over when its end has come, or when another one follows it (`last` is false).
///
/// # Errors
/// Where a column is missing or is no number.
pub fn bar(row: &str, interval: &Interval, last: bool, now: Ts) -> Result<Bar> {
    let c = Columns::of(row)?;
    let span = interval.minutes * MINUTE_NS;
    let (day, _) = local(c.at);
    let (start, end) = match interval.name {
        "1w" => (instant(day.plus_days(-i64::from(day.weekday())), 0), None),
        "1M" => (instant(day.plus_days(1 - i64::from(day.day())), 0), None),
        "1d" => (c.at, Some(c.at.0 + DAY_ENDS_NS)),
        _ => (Ts(c.at.0 - span), Some(c.at.0)),
    };
    Ok(Bar {
        interval: interval.name.into(),
        start,
        open: c.must(0)?,
        close: c.must(1)?,
        high: c.must(2)?,
        low: c.must(3)?,
        volume: c.shares(4)?,
        turnover: c.opt(5)?,
        trades: None,
        closed: !last || end.is_some_and(|end| now.0 >= end),
    })
}

/// A minute of `time,open,close,high,low,volume 手,amount,average`, stamped with its end. The row of 09:30 holds the
/// opening auction and so begins at 09:29.
///
/// # Errors
/// Where a column is missing or is no number.
pub fn minute(row: &str) -> Result<Minute> {
    let c = Columns::of(row)?;
    Ok(Minute { start: Ts(c.at.0 - MINUTE_NS), px: c.must(1)?, volume: c.shares(4)?, avg_px: c.opt(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn interval(name: &str) -> &'static Interval {
        INTERVALS.iter().find(|i| i.name == name).unwrap()
    }

    fn at(text: &str) -> Ts {
        china_time(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_close_stands_before_high_and_low() {
        let row = "2024-12-18,6.11,6.18,6.28,6.10,842743,542829495.00,2.96,1.64,0.10,1.03";
        let day = bar(row, interval("1d"), true, at("2024-12-18 14:59")).unwrap();
        assert_eq!(
            (day.open, day.high, day.low, day.close),
            (of("6.11"), of("6.28"), of("6.10"), of("6.18"))
        );
        assert_eq!((day.volume, day.turnover), (of("84274300"), Some(of("542829495"))));
        assert_eq!((day.start, day.closed), (at("2024-12-18"), false));
        assert!(bar(row, interval("1d"), true, at("2024-12-18 15:00")).unwrap().closed);
        assert!(bar(row, interval("1d"), false, at("2024-12-18 09:31")).unwrap().closed);
    }

    #[test]
    fn bars_begin_where_their_interval_does() {
        let row = |time: &str| format!("{time},1,1,1,1,1,1");
        let start = |time: &str, name: &str| bar(&row(time), interval(name), true, Ts(0)).unwrap().start;
        assert_eq!(start("2024-12-18 09:35", "5m"), at("2024-12-18 09:30"));
        assert_eq!(start("2024-12-18 14:00", "1h"), at("2024-12-18 13:00"));
        assert_eq!(start("2024-12-20", "1w"), at("2024-12-16"));
        assert_eq!(start("2024-12-31", "1M"), at("2024-12-01"));
        assert_eq!(start("2024-02-29", "1M"), at("2024-02-01"));
    }

    #[test]
    fn an_answer_without_data_is_none_and_a_row_without_numbers_is_named() {
        assert_eq!(lines(br#"{"rc":102,"rt":17,"data":null}"#), Ok(None));
        let empty = lines(br#"{"rc":0,"data":{"code":"301999","klines":[]}}"#).unwrap().unwrap();
        assert_eq!((empty.code.as_str(), empty.rows.len()), ("301999", 0));
        for odd in ["", "2024-12-18", "2024-12-18,1,x,1,1,1", "yesterday,1,1,1,1,1"] {
            assert!(bar(odd, interval("1d"), true, Ts(0)).is_err(), "{odd}");
        }
    }

    #[test]
    fn minutes_are_read() {
        let read = minute("2024-12-18 09:31,6.11,6.12,6.13,6.10,1234,755208.00,6.115").unwrap();
        let made = Minute {
            start: at("2024-12-18 09:30"),
            px: of("6.12"),
            volume: of("123400"),
            avg_px: Some(of("6.115")),
        };
        assert_eq!(read, made);
    }
}
