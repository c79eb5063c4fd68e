//! Bars and minutes: rows with `;` between them, columns with `,`.

use crate::items::{Result, fault, same_call};
use model::ashare::{Code, instant, local};
use model::{Bar, Decimal, Minute, Ts};
use source::web::{self, china_time, payload, text};
use source::{Cursor, What};

const MINUTE_NS: i64 = 60_000_000_000;
/// How far the end of a day's trading is from the start of the day, 15:00.
const DAY_ENDS_NS: i64 = 15 * 60 * MINUTE_NS;

/// An interval of bars: our name, the venue's digits without adjustment, and how many minutes it has within a day.
#[derive(Debug)]
pub struct Interval {
    /// `1m`.
    pub name: &'static str,
    /// The venue's.
    pub digits: &'static str,
    /// 0 from a day on.
    pub minutes: i64,
}

/// The intervals that the venue has; there is none of 15 minutes.
pub const INTERVALS: [Interval; 7] = [
    Interval { name: "1m", digits: "60", minutes: 1 },
    Interval { name: "5m", digits: "30", minutes: 5 },
    Interval { name: "30m", digits: "40", minutes: 30 },
    Interval { name: "1h", digits: "50", minutes: 60 },
    Interval { name: "1d", digits: "00", minutes: 0 },
    Interval { name: "1w", digits: "10", minutes: 0 },
    Interval { name: "1M", digits: "20", minutes: 0 },
];

/// The path of bars; `part` says which: `last` the newest 140 or so, `2026` those of a year.
pub fn path(spelled: &str, interval: &Interval, part: &str) -> String {
    format!("/v6/line/{spelled}/{}/{part}.js", interval.digits)
}

/// The interval of such a path.
///
/// # Errors
/// Where there is no such.
pub fn interval(path: &str) -> Result<&'static Interval> {
    let digits = path.rsplit('/').nth(1).unwrap_or_default();
    let found = INTERVALS.iter().find(|interval| interval.digits == digits);
    found.ok_or(fault(What::Rule("an interval that we do not know")))
}

/// The rows of an answer: `{"total":"2","data":"…;…"}`, or of minutes `{"hs_600000":{…,"date":"20230414","data":"…"}}`.
pub struct Lines {
    /// Whose.
    pub code: Code,
    /// The day of minutes; empty elsewhere.
    pub date: String,
    /// In the order of time.
    pub rows: Vec<String>,
}

/// Reads the rows of an answer to `path`.
///
/// # Errors
/// Where it is about another stock, or holds no rows.
pub fn lines(path: &str, body: &[u8]) -> Result<Lines> {
    let code = same_call(path, body)?;
    let (mut date, mut data) = (String::new(), None);
    let mut c = Cursor::new(payload(body)?);
    let of_code = format!("hs_{}", code.digits());
    let mut another = false;
    c.object(|c, key| {
        match key {
            b"data" => data = Some(text(c)?.into_owned()),
            key if key.starts_with(b"hs_") => {
                another |= key != of_code.as_bytes();
                c.object(|c, key| {
                    match key {
                        b"data" => data = Some(text(c)?.into_owned()),
                        b"date" => date = text(c)?.into_owned(),
                        _ => _ = c.skip()?,
                    }
                    Ok(())
                })?;
            }
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    if another {
        return Err(c.fault(What::Rule("the answer is about another stock")));
    }
    let data = data.ok_or_else(|| c.fault(What::Missing("data")))?;
    let rows = data.split(';').filter(|row| !row.is_empty()).map(str::to_owned).collect();
    Ok(Lines { code, date, rows })
}

/// The numbers of a row, after its time.
fn number(columns: &[&str], at: usize) -> Result<Decimal> {
    let text = columns.get(at).copied().unwrap_or_default();
    web::number(text.as_bytes())?.ok_or(fault(What::Missing("a number of a row")))
}

/// A bar of `time,open,high,low,close,volume in shares,amount,…`. Minute bars are taken to be stamped with their end, as
/// those of other vendors are. A bar is over when its end has come, or when another one follows it (`last` is false).
///
/// # Errors
/// Where a column is missing or is no number.
pub fn bar(row: &str, interval: &Interval, last: bool, now: Ts) -> Result<Bar> {
    let columns: Vec<&str> = row.split(',').collect();
    let at = columns.first().and_then(|time| china_time(time.as_bytes()));
    let at = at.ok_or(fault(What::Expected("a date at the start of a row")))?;
    let (day, _) = local(at);
    let (start, end) = match interval.name {
        "1w" => (instant(day.plus_days(-i64::from(day.weekday())), 0), None),
        "1M" => (instant(day.plus_days(1 - i64::from(day.day())), 0), None),
        "1d" => (at, Some(at.0 + DAY_ENDS_NS)),
        _ => (Ts(at.0 - interval.minutes * MINUTE_NS), Some(at.0)),
    };
    Ok(Bar {
        interval: interval.name.into(),
        start,
        open: number(&columns, 1)?,
        high: number(&columns, 2)?,
        low: number(&columns, 3)?,
        close: number(&columns, 4)?,
        volume: number(&columns, 5)?,
        turnover: web::number(columns.get(6).copied().unwrap_or_default().as_bytes())?,
        trades: None,
        closed: !last || end.is_some_and(|end| now.0 >= end),
    })
}

/// A minute of `HHMM,price,amount of that minute,average,volume in shares`, taken to be stamped with its end; the row of
/// 0930 holds the opening auction and so begins at 09:29.
///
/// # Errors
/// Where a column is missing or is no number.
pub fn minute(date: &str, row: &str) -> Result<Minute> {
    let columns: Vec<&str> = row.split(',').collect();
    let stamp = format!("{date}{}", columns.first().copied().unwrap_or_default());
    let at = china_time(stamp.as_bytes()).ok_or(fault(What::Expected("a time at the start of a row")))?;
    let avg_px = web::number(columns.get(3).copied().unwrap_or_default().as_bytes())?;
    let (px, volume) = (number(&columns, 1)?, number(&columns, 4)?);
    Ok(Minute { start: Ts(at.0 - MINUTE_NS), px, volume, avg_px })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn bars_and_minutes_are_read_in_the_venues_order_of_columns() {
        let now = china_time(b"20260918 15:01").unwrap();
        let day = bar(
            "20260918,227.00,231.80,215.02,224.62,16119800,3594643900.00,11.696,,0.00,0",
            &INTERVALS[4],
            true,
            now,
        );
        let day = day.unwrap();
        assert_eq!(
            (day.open, day.high, day.low, day.close),
            (of("227"), of("231.8"), of("215.02"), of("224.62"))
        );
        assert_eq!((day.volume, day.closed), (of("16119800"), true));
        let minute_bar = bar(
            "202609181500,224.50,224.62,224.40,224.62,313100,70300000.00,0.210,,,0",
            &INTERVALS[0],
            true,
            now,
        );
        assert_eq!(minute_bar.unwrap().start, china_time(b"20260918 14:59").unwrap());
        let read = minute("20230414", "0931,7.28,2021656,7.280,277700").unwrap();
        assert_eq!(
            (read.start, read.px, read.volume),
            (china_time(b"20230414 09:30").unwrap(), of("7.28"), of("277700"))
        );
        assert!(bar("20260918,227.00,x", &INTERVALS[4], true, now).is_err());
        assert!(minute("", "0931,7.28,1,7.2,2").is_err());
    }

    #[test]
    fn every_interval_is_found_by_its_path() {
        for one in &INTERVALS {
            assert_eq!(interval(&path("hs_600580", one, "last")).unwrap().name, one.name);
        }
        assert!(interval("/v6/line/hs_600580/06/last.js").is_err());
    }
}
