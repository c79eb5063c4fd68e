//! Lines of a receive time and a frame: `1723161255030314667 {"stream":…}`.

use crate::{Kind, Record};
use model::Ts;

/// Whether a content that begins so is of this format.
pub(crate) fn looks_so(begin: &[u8]) -> bool {
    split(begin).is_some()
}

/// The time and the rest. 16 digits are µs; 17 to 19 are ns.
fn split(line: &[u8]) -> Option<(Ts, &[u8])> {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    let (time, rest) = line.split_at_checked(digits)?;
    let rest = rest.strip_prefix(b" ")?;
    let unit: i64 = match digits {
        16 => 1_000,
        17..=19 => 1,
        _ => return None,
    };
    let time = time.iter().try_fold(0_i64, |t, b| t.checked_mul(10)?.checked_add(i64::from(b - b'0')))?;
    Some((Ts(time.checked_mul(unit)?), rest))
}

pub(crate) fn parse(line: &[u8]) -> Result<Record, &'static str> {
    let (ts, frame) =
        split(line).ok_or("the line does not begin with a time of 16 to 19 digits and a space")?;
    if !matches!(frame, [b'{', .., b'}'] | [b'[', .., b']']) {
        return Err("no whole JSON object or array follows the time");
    }
    let bytes = frame.to_vec();
    let kind = if frame.starts_with(b"{\"lastUpdateId\"") {
        Kind::Reply { url: None, status: 200, body: bytes }
    } else {
        Kind::Frame { bytes, binary: false }
    };
    Ok(Record { ts, conn: 0, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_digits_are_microseconds_and_nineteen_nanoseconds() {
        let ts = |line: &str| parse(line.as_bytes()).map(|r| r.ts.0);
        assert_eq!(ts("1680652800004107 {}"), Ok(1_680_652_800_004_107_000));
        assert_eq!(ts("1723161255030314667 {}"), Ok(1_723_161_255_030_314_667));
        for junk in ["168065280000410 {}", "9999999999999999999 {}", "1680652800004107{}", "", "x"] {
            assert!(ts(junk).is_err(), "{junk}");
        }
        assert!(ts("1680652800004107 {\"torn\":").is_err());
    }

    #[test]
    fn a_bare_depth_answer_is_a_reply() {
        let record = parse(b"1680652800004107 {\"lastUpdateId\":1}").unwrap();
        let body = b"{\"lastUpdateId\":1}".to_vec();
        assert_eq!(record.kind, Kind::Reply { url: None, status: 200, body });
    }
}
