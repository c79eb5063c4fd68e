//! What sources of the web share: data wrapped in a call of a function, pages where data should stand, China's clock, and
//! quotes as such sources tell them.

use crate::{Cursor, Malformed, What};
use model::ashare::{Board, Market, Phase, Section, calendar, instant};
use model::{Date, Decimal, NumError, Scale, Ts};
use std::borrow::Cow;

/// What is said of a page of HTML that stands where data should.
pub const PAGE: What = What::Rule("a page for people stands where data should; the source refuses us");

/// The JSON of an answer: as it is, or as the argument of a call (`name({…});`, JSONP).
///
/// # Errors
/// [`PAGE`] where it is HTML, [`What::Eof`] where it is empty or the call is not closed.
pub fn payload(body: &[u8]) -> Result<&[u8], Malformed> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let fault = |at, what| Err(Malformed { at, what });
    match text.first() {
        None => return fault(0, What::Eof),
        Some(b'{' | b'[') => return Ok(text),
        Some(b'<') => return fault(0, PAGE),
        Some(_) => {}
    }
    let open = text.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.')));
    let Some((open, b'(')) = open.and_then(|at| Some((at, *text.get(at)?))) else {
        return fault(open.unwrap_or(0), What::Expected("JSON, or a call with JSON"));
    };
    let inner = text.get(open + 1..).unwrap_or_default();
    let inner = inner.strip_suffix(b";").unwrap_or(inner).trim_ascii_end();
    inner.strip_suffix(b")").map_or_else(|| fault(body.len(), What::Eof), |inner| Ok(inner.trim_ascii()))
}

/// Calls `each` with the name and the value of each assignment of an answer: `v_sh600519="1~…";`, where `mark` is `v_`. A
/// value may hold line ends.
///
/// # Errors
/// [`PAGE`] where it is HTML, [`What::Expected`] where there is no assignment in it, [`What::Eof`] where the last one is not
/// closed: those before it are whole and were told.
pub fn assignments<'a>(
    body: &'a [u8],
    mark: &'static str,
    mut each: impl FnMut(Result<(&'a str, &'a [u8]), Malformed>),
) -> Result<(), Malformed> {
    if body.trim_ascii_start().starts_with(b"<") {
        return Err(Malformed { at: 0, what: PAGE });
    }
    let (mut at, mut found) = (0, false);
    while let Some(begin) = find(body, at, mark.as_bytes()) {
        found = true;
        let name_at = begin + mark.len();
        let name_end = find(body, name_at, b"=\"");
        let end = name_end.and_then(|end| find(body, end + 2, b"\";"));
        let (Some(name_end), Some(end)) = (name_end, end) else {
            return Err(Malformed { at: body.len(), what: What::Eof });
        };
        let name = std::str::from_utf8(body.get(name_at..name_end).unwrap_or_default());
        let value = body.get(name_end + 2..end).unwrap_or_default();
        each(name.map(|name| (name, value)).map_err(|_| Malformed { at: name_at, what: What::Encoding }));
        at = end + 2;
    }
    let nothing = Malformed { at: 0, what: What::Expected("an assignment of a text") };
    if found { Ok(()) } else { Err(nothing) }
}

fn find(body: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = body.get(from..)?;
    rest.windows(what.len()).position(|part| part == what).map(|at| from + at)
}

/// A text of GBK (read as GB18030, which holds it). Names are cut to a number of bytes at their source, so half a character at
/// the end is left out.
///
/// # Errors
/// [`What::Encoding`] where it is none.
pub fn gbk(bytes: &[u8]) -> Result<String, Malformed> {
    let read = |bytes: &[u8]| {
        encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes).map(Cow::into_owned)
    };
    let whole = read(bytes).or_else(|| bytes.split_last().and_then(|(_, rest)| read(rest)));
    whole.ok_or(Malformed { at: 0, what: What::Encoding })
}

/// A text in GBK, as simulated venues send it.
pub fn to_gbk(text: &str) -> Vec<u8> {
    encoding_rs::GBK.encode(text).0.into_owned()
}

/// A text as JSON spells it, escapes undone.
///
/// # Errors
/// [`What::Encoding`] where it is no UTF-8, or an escape means nothing.
pub fn text<'a>(c: &mut Cursor<'a>) -> Result<Cow<'a, str>, Malformed> {
    let spelled = c.utf8()?;
    if !spelled.contains('\\') {
        return Ok(Cow::Borrowed(spelled));
    }
    unescaped(spelled).map(Cow::Owned).ok_or_else(|| c.fault(What::Encoding))
}

fn unescaped(spelled: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(spelled.len());
    let mut rest = spelled.chars();
    while let Some(c) = rest.next() {
        let meant = match c {
            '\\' => match rest.next()? {
                'u' => {
                    let hex = rest.as_str().get(..4)?;
                    rest = rest.as_str().get(4..)?.chars();
                    units.push(u16::from_str_radix(hex, 16).ok()?);
                    continue;
                }
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' | 'f' => ' ',
                same @ ('"' | '\\' | '/') => same,
                _ => return None,
            },
            plain => plain,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).ok()
}

/// The instant of a date of China's clock (UTC+8, no summer time), with or without a time: `20241118`, `2024-11-18
/// 15:00`, `20241118150003`. Whatever stands between digits is passed over. `None` where the digits are no such date.
pub fn china_time(text: &[u8]) -> Option<Ts> {
    let mut digits = [0_u8; 14];
    let mut found = 0;
    for byte in text {
        if byte.is_ascii_digit() {
            *digits.get_mut(found)? = byte - b'0';
            found += 1;
        } else if !matches!(byte, b'-' | b'/' | b':' | b' ' | b'T') {
            return None;
        }
    }
    if !matches!(found, 8 | 12 | 14) {
        return None;
    }
    let part = |from: usize, to: usize| {
        digits.get(from..to).unwrap_or_default().iter().fold(0_u32, |v, d| v * 10 + u32::from(*d))
    };
    let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
    let seconds = hour * 3_600 + minute * 60 + second;
    let date = Date::from_number(part(0, 8))
        .filter(|date| (1990..2200).contains(&date.year()) && hour < 24 && minute < 60 && second < 60)?;
    Some(instant(date, i64::from(seconds) * 1_000))
}

/// Whether Chinese stocks may move at an instant, by the timetable of their exchanges; in a year whose trading days are not
/// known always.
pub fn stocks_move(at: Ts) -> bool {
    // The section with the longest day.
    let section = Section { market: Market::Sz, board: Board::ChiNext };
    calendar().phase_at(section, at).is_none_or(Phase::moves)
}

/// A number of a text; an empty text and `-` mean that there is none.
///
/// # Errors
/// [`What::Number`] for anything else that is no number.
pub fn number(text: &[u8]) -> Result<Option<Decimal>, Malformed> {
    match text {
        b"" | b"-" | b"--" => Ok(None),
        text => Decimal::parse(text)
            .map(Some)
            .map_err(|error: NumError| Malformed { at: 0, what: What::Number(error) }),
    }
}

/// A number times 10^`tens`; `None` where it has more digits than a mantissa.
pub fn scaled(number: Decimal, tens: i8) -> Option<Decimal> {
    let scale = number.scale();
    let mantissa = i128::from(number.mantissa_at(scale)?);
    let scale = i16::from(scale) - i16::from(tens);
    match u8::try_from(scale) {
        Ok(scale) => Some(Decimal::new(mantissa, scale)),
        Err(_) => Some(Decimal::new(mantissa * 10_i128.pow(scale.unsigned_abs().into()), 0)),
    }
}

/// A mantissa with all its decimals, as such sources write prices: `14.10`.
pub fn fixed(mantissa: i64, scale: Scale) -> String {
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, rest) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if mantissa < 0 { "-" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_bare_or_in_a_call_and_a_page_is_named() {
        for body in [&br#"{"a":1}"#[..], b" {\"a\":1}\n", b"jQuery11_24({\"a\":1});", b"q_v6_last({\"a\":1})"]
        {
            assert_eq!(payload(body), Ok(&br#"{"a":1}"#[..]), "{}", String::from_utf8_lossy(body));
        }
        for page in [&b"<!DOCTYPE html><html>"[..], b"\n<h1>Nginx forbidden.</h1>", b"\xef\xbb\xbf<html>"] {
            assert_eq!(payload(page).unwrap_err().what, PAGE);
        }
        assert_eq!(payload(b"  ").unwrap_err().what, What::Eof);
        assert_eq!(payload(b"cb({\"a\":1").unwrap_err().what, What::Eof);
        assert!(matches!(payload(b"Access denied").unwrap_err().what, What::Expected(_)));
    }

    #[test]
    fn chinas_clock_is_eight_hours_ahead_and_dates_that_are_none_are_refused() {
        assert_eq!(china_time(b"2023-02-17 15:59:38"), Some(Ts(1_676_620_778_000_000_000)));
        assert_eq!(china_time(b"20230217155938"), china_time(b"2023-02-17 15:59:38"));
        assert_eq!(china_time(b"202302171559"), Some(Ts(1_676_620_740_000_000_000)));
        assert_eq!(china_time(b"20240229"), Some(Ts((1_709_164_800 - 8 * 3_600) * 1_000_000_000)));
        for odd in [
            &b""[..],
            b"2024",
            b"19700101",
            b"99991231",
            b"20241318",
            b"2024-11-18 25:00",
            b"20241118x",
            b"123456789012345",
        ] {
            assert_eq!(china_time(odd), None, "{}", String::from_utf8_lossy(odd));
        }
    }

    #[test]
    fn a_missing_number_is_none_and_no_zero() {
        assert_eq!(number(b"-"), Ok(None));
        assert_eq!(number(b""), Ok(None));
        assert_eq!(number(b"0.000"), Ok(Some(Decimal::new(0, 0))));
        assert!(number(b"abc").is_err());
    }

    #[test]
    fn assignments_are_found_whatever_stands_in_them_and_a_cut_one_is_named() {
        let read = |body: &[u8]| {
            let mut all = Vec::new();
            let done = assignments(body, "v_", |one| {
                all.push(one.map(|(name, value)| (name.to_owned(), value.len())));
            });
            (done, all)
        };
        let (done, all) = read(b"v_sh1=\"a~\nb;~\";\nv_sz2=\"\";\nv_sz3=\"cut");
        assert_eq!(done.unwrap_err().what, What::Eof);
        assert_eq!(all, [Ok(("sh1".to_owned(), 6)), Ok(("sz2".to_owned(), 0))]);
        assert_eq!(read(b"<html>").0.unwrap_err().what, PAGE);
        assert!(read(b"Forbidden").0.is_err());
    }

    #[test]
    fn names_in_gbk_are_read_and_half_a_character_at_the_end_is_left_out() {
        let name = to_gbk("贵州茅台");
        assert_eq!(gbk(&name).as_deref(), Ok("贵州茅台"));
        assert_eq!(gbk(&name[..7]).as_deref(), Ok("贵州茅"));
        assert_eq!(gbk(b"\xff\xff\xff").unwrap_err().what, What::Encoding);
        assert_eq!(
            (fixed(1410, 2), fixed(-5, 3), fixed(7, 0)),
            ("14.10".into(), "-0.005".into(), "7".into())
        );
    }

    #[test]
    fn a_unit_is_changed_exactly() {
        let of = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        assert_eq!(scaled(of("638922"), 2), Some(of("63892200")));
        assert_eq!(scaled(of("1.5"), 2), Some(of("150")));
        assert_eq!(scaled(of("437620.5567"), 4), Some(of("4376205567")));
        assert_eq!(scaled(of("-187"), -2), Some(of("-1.87")));
        assert_eq!(scaled(of("99999999999999999999"), -2), None);
    }

    #[test]
    fn escapes_of_a_text_are_undone() {
        let mut c = Cursor::new(br#""\u5367\u9f99\u7535\u9a71""#);
        assert_eq!(text(&mut c).unwrap(), "卧龙电驱");
        assert_eq!(text(&mut Cursor::new("\"平安\"".as_bytes())).unwrap(), "平安");
        assert_eq!(text(&mut Cursor::new(br#""\ud83d\ude00\"\/""#)).unwrap(), "\u{1f600}\"/");
        assert!(text(&mut Cursor::new(br#""\u12""#)).is_err());
        assert!(text(&mut Cursor::new(br#""\ud83d""#)).is_err());
        assert!(text(&mut Cursor::new(b"\"\xff\xfe\"")).is_err());
    }
}
