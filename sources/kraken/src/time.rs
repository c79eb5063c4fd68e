//! Times as the venue writes them: RFC 3339 texts, seconds with a fraction, and milliseconds.

use model::Ts;

const NANOS: i64 = 1_000_000_000;

#[inline]
fn digits(text: &[u8], from: usize, n: usize) -> Option<i64> {
    let part = text.get(from..from + n)?;
    part.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + i64::from(digit))
    })
}

/// Nine digits of a fraction of a second, filled up with zeros and cut; `None` where there is anything but digits.
#[inline]
fn nanos(fraction: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |b| b.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    fraction.get(9..).unwrap_or_default().iter().all(u8::is_ascii_digit).then_some(value)
}

/// The instant of `2026-09-01T12:00:00.440295Z`; `None` where it is none.
#[inline]
pub fn rfc3339(text: &[u8]) -> Option<Ts> {
    let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text);
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    let marks = text.get(4) == Some(&b'-')
        && text.get(7) == Some(&b'-')
        && matches!(text.get(10), Some(b'T' | b' '))
        && text.get(13) == Some(&b':')
        && text.get(16) == Some(&b':');
    let fits = (1971..=2260).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let rest = text.get(19..)?.strip_suffix(b"Z")?;
    let fraction = match rest.split_first() {
        None => rest,
        Some((b'.', digits)) if !digits.is_empty() => digits,
        Some(_) => return None,
    };
    if !marks || !fits {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Ts(seconds * NANOS + nanos(fraction)?))
}

/// The instant of `1617666423.690142`; `None` where it is none.
pub fn seconds(text: &[u8]) -> Option<Ts> {
    let point = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let (whole, fraction) = (text.get(..point)?, text.get(point + 1..).unwrap_or_default());
    if whole.is_empty() || whole.len() > 10 {
        return None;
    }
    let value = digits(whole, 0, whole.len())?;
    value.checked_mul(NANOS)?.checked_add(nanos(fraction)?).map(Ts)
}

/// The instant of a number of milliseconds; `None` where it is none, or zero, which stands for none.
pub fn millis(text: &[u8]) -> Option<Ts> {
    let text = text.strip_suffix(b".0").unwrap_or(text);
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    digits(text, 0, text.len()).filter(|ms| *ms > 0).map(Ts::from_ms)
}

/// Days since 1970 of a civil date (days-from-civil, Howard Hinnant's algorithm).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Writes an instant with so many digits (at most nine) after the point of its seconds: `2026-08-09T21:05:48.228568Z`.
pub fn write(ts: Ts, places: usize) -> String {
    let (seconds, nanos) = (ts.0.div_euclid(NANOS), ts.0.rem_euclid(NANOS));
    let (day, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let era = day.div_euclid(146_097);
    let doe = day.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (date, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}");
    if places > 0 {
        let fraction = format!("{nanos:09}");
        text.push('.');
        text.push_str(fraction.get(..places.min(9)).unwrap_or_default());
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_it_is_read() {
        for text in
            ["2026-09-01T12:00:00.440295Z", "1999-12-31T23:59:59.000001Z", "2024-02-29T00:00:00.000000Z"]
        {
            let ts = rfc3339(text.as_bytes()).unwrap();
            assert_eq!(write(ts, 6), text);
        }
        assert_eq!(rfc3339(b"1970-01-01T00:00:00Z"), None);
        assert_eq!(rfc3339(b"2026-09-01T12:00:00Z"), Some(Ts::from_ms(1_788_264_000_000)));
        assert_eq!(rfc3339(b"\"2026-09-01T12:00:00.000000001Z\""), Some(Ts(1_788_264_000_000_000_001)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-13-01T00:00:00Z",
            "2026-09-01T12:00:00.Z",
            "2026-09-01T12:00:00",
            "2026-09-01T12:00:00.4x",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
        for text in ["", ".5", "x", "12345678901", "1.x"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_keep_their_digits() {
        assert_eq!(seconds(b"1617666423.690142"), Some(Ts(1_617_666_423_690_142_000)));
        assert_eq!(seconds(b"1688671969.1993231"), Some(Ts(1_688_671_969_199_323_100)));
        assert_eq!(seconds(b"1617666423"), Some(Ts(1_617_666_423_000_000_000)));
        assert_eq!(millis(b"1626994925378"), Some(Ts::from_ms(1_626_994_925_378)));
        assert_eq!(millis(b"0"), None);
    }
}
