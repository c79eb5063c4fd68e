//! The smallest pieces of JSON.

use model::{Decimal, Instrument, Level, Scale, Ts};

/// `,"name":` for the fields after the first.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}
pub(crate) use key;

/// Digits that a `u64` may have.
const DIGITS_MAX: usize = 20;

const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// Appends `text` as a JSON string.
pub fn string_json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, tail)) = tail.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend(
                    [control >> 4, control & 15].map(|h| if h < 10 { b'0' + h } else { b'a' + h - 10 }),
                );
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `number` as a decimal string: `"0.0001"`.
pub fn decimal_json(number: Decimal, out: &mut Vec<u8>) {
    out.push(b'"');
    number.write(out);
    out.push(b'"');
}

/// Appends a level of `instrument`'s book: `["64000.1","0.5"]`.
pub fn level_json(level: Level, instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\"");
    mantissa(level.px.0, instrument.px_scale, out);
    out.extend_from_slice(b"\",\"");
    mantissa(level.qty.0, instrument.qty_scale, out);
    out.extend_from_slice(b"\"]");
}

/// Appends mantissa × 10^-scale as a decimal string.
pub(crate) fn number(value: i64, scale: Scale, out: &mut Vec<u8>) {
    out.push(b'"');
    mantissa(value, scale, out);
    out.push(b'"');
}

/// The text of [`model::write_mantissa`], by 64-bit arithmetic.
fn mantissa(value: i64, scale: Scale, out: &mut Vec<u8>) {
    let mut rest = value.unsigned_abs();
    if rest == 0 {
        out.push(b'0');
        return;
    }
    if value < 0 {
        out.push(b'-');
    }
    let mut scale = usize::from(scale);
    while scale >= 4 && rest.is_multiple_of(10_000) {
        rest /= 10_000;
        scale -= 4;
    }
    while scale > 0 && rest.is_multiple_of(10) {
        rest /= 10;
        scale -= 1;
    }
    let mut buffer = [0; DIGITS_MAX];
    let digits = digits(rest, &mut buffer);
    if let Some((whole, fraction)) =
        digits.len().checked_sub(scale).and_then(|at| digits.split_at_checked(at))
        && !whole.is_empty()
    {
        out.extend_from_slice(whole);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// Writes the digits of `value` to the end of `buffer` and gives them.
fn digits(mut value: u64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    while value >= 10 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        start -= 2;
        if let (Some(to), Some(from)) = (buffer.get_mut(start..start + 2), PAIRS.get(pair..pair + 2)) {
            to.copy_from_slice(from);
        }
    }
    if value > 0 || start == DIGITS_MAX {
        start -= 1;
        if let Some(to) = buffer.get_mut(start) {
            *to = b'0' + value as u8;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

/// Appends an integer.
pub(crate) fn int(value: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; DIGITS_MAX];
    out.extend_from_slice(digits(value, &mut buffer));
}

/// Appends a time.
pub(crate) fn time(ts: Ts, out: &mut Vec<u8>) {
    if ts.0 < 0 {
        out.push(b'-');
    }
    int(ts.0.unsigned_abs(), out);
}

/// Appends true or false.
pub(crate) fn boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a value, or null.
pub(crate) fn or_null<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    match value {
        Some(value) => put(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SCALE_MAX;
    use proptest::prelude::*;

    fn text(value: i64, scale: Scale) -> String {
        let mut out = Vec::new();
        mantissa(value, scale, &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_number_comes_back_exactly(value: i64, scale in 0..=SCALE_MAX, zeros in 0..19_u32) {
            for value in [value, value / 10_i64.pow(zeros) * 10_i64.pow(zeros), value % 10_i64.pow(zeros)] {
                let ours = text(value, scale);
                prop_assert_eq!(model::parse_mantissa(ours.as_bytes(), scale), Ok(value));
                let mut theirs = Vec::new();
                model::write_mantissa(value, scale, &mut theirs);
                prop_assert_eq!(ours.as_bytes(), theirs);
            }
        }

        #[test]
        fn any_integer_is_written_as_rust_does(value: u64, shift in 0..64_u32, signed: i64) {
            let mut out = Vec::new();
            int(value >> shift, &mut out);
            out.push(b' ');
            time(Ts(signed), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{} {signed}", value >> shift));
        }

        #[test]
        fn any_text_comes_back_through_a_json_parser(value in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            string_json(&value, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_written_whole() {
        assert_eq!(text(i64::MIN, 0), "-9223372036854775808");
        assert_eq!(text(i64::MIN, 18), "-9.223372036854775808");
        assert_eq!(text(1, 18), "0.000000000000000001");
        assert_eq!(text(10, 1), "1");
        assert_eq!(text(0, 18), "0");
        assert_eq!(text(2_816_547_000_000, 8), "28165.47");
        let mut out = Vec::new();
        int(u64::MAX, &mut out);
        int(0, &mut out);
        assert_eq!(out, b"184467440737095516150");
    }
}
