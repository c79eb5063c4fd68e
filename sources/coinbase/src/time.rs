//! Times as the venue writes them: `2026-08-09T21:05:48.228568804Z`.

use model::Ts;
use source::{Cursor, Malformed, What};

const NANOS: i64 = 1_000_000_000;

/// Reads a quoted time. `None` where it stands for none: before 1971 (snapshots carry 1970, some frames the year 1), or
/// beyond what a timestamp holds.
///
/// # Errors
/// Where it is no time.
#[inline]
pub fn read(c: &mut Cursor<'_>) -> Result<Option<Ts>, Malformed> {
    let text = c.str()?;
    parse(text).ok_or_else(|| c.fault(What::Expected("a time"))).map(real)
}

/// What stands for a time, not for its absence.
fn real(ts: Ts) -> Option<Ts> {
    (ts.0 > 365 * 86_400 * NANOS && ts.0 < i64::MAX).then_some(ts)
}

#[inline]
fn digits(text: &[u8], from: usize, n: usize) -> Option<i64> {
    let part = text.get(from..from + n)?;
    part.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + i64::from(digit))
    })
}

/// The instant of a text in UTC; out of range it is the nearest that is not.
#[inline]
pub fn parse(text: &[u8]) -> Option<Ts> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    let marks = text.get(4) == Some(&b'-')
        && text.get(7) == Some(&b'-')
        && matches!(text.get(10), Some(b'T' | b' '))
        && text.get(13) == Some(&b':')
        && text.get(16) == Some(&b':');
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.split_first() {
        Some((b'.', after)) => {
            let len = after.iter().position(|b| !b.is_ascii_digit()).unwrap_or(after.len());
            (after.get(..len)?, after.get(len..)?)
        }
        _ => (&[][..], rest),
    };
    if !marks
        || !fits
        || !matches!(zone, b"Z" | b"+00:00" | b"")
        || (rest.len() > zone.len() && fraction.is_empty())
    {
        return None;
    }
    let mut nanos = 0_i64;
    for place in 0..9 {
        nanos = nanos * 10 + fraction.get(place).map_or(0, |b| i64::from(b - b'0'));
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Ts(seconds.saturating_mul(NANOS).saturating_add(nanos)))
}

/// Days since 1970 of a civil date (days-from-civil, Howard Hinnant's algorithm).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Writes an instant with so many digits after the point of its seconds: `2026-08-09T21:05:48.228568Z`.
pub fn write(ts: Ts, places: usize) -> String {
    let (seconds, nanos) = (ts.0.div_euclid(NANOS), ts.0.rem_euclid(NANOS));
    let (day, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, doe) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let fraction = format!("{nanos:09}");
    let fraction = fraction.get(..places.min(9)).filter(|f| !f.is_empty());
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}{}{}Z",
        doy - (153 * mp + 2) / 5 + 1,
        second / 3_600,
        second / 60 % 60,
        second % 60,
        if fraction.is_some() { "." } else { "" },
        fraction.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        for (text, expected) in [
            ("2026-08-09T21:05:48.228568804Z", Some(1_786_309_548_228_568_804)),
            ("2019-08-01T00:00:03.818Z", Some(1_564_617_603_818_000_000)),
            ("2000-02-29T23:59:59Z", Some(951_868_799_000_000_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-08-09T21:05:48.Z", None),
            ("2026-08-09T21:05:48.2x8Z", None),
            ("2026-13-09T21:05:48Z", None),
            ("2026-08-09 1:05:48Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()).map(|ts| ts.0), expected, "{text}");
        }
    }

    #[test]
    fn what_stands_for_no_time_is_none() {
        for text in ["\"1970-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00.000000Z\""] {
            assert_eq!(read(&mut Cursor::new(text.as_bytes())).unwrap(), None, "{text}");
        }
        assert!(read(&mut Cursor::new(b"\"yesterday\"")).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in (0..4_000_000_000_i64).step_by(12_345_678) {
            let ts = Ts(seconds * NANOS + 123_456_789);
            assert_eq!(parse(write(ts, 9).as_bytes()), Some(ts));
            assert_eq!(parse(write(ts, 0).as_bytes()), Some(Ts(seconds * NANOS)));
        }
    }
}
