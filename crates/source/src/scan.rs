//! The look for the key of a frame, in the form in which venues write their frames: no white space, no escapes. What has
//! another form gives `None`, and the frame is read.

use model::TradeId;

/// What is left of a frame between two ends; each look takes something off one of them.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// The whole frame.
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame }
    }

    /// Takes just this off the front.
    #[inline]
    pub fn front(&mut self, text: &[u8]) -> Option<()> {
        self.rest.strip_prefix(text).map(|rest| self.rest = rest)
    }

    /// Takes just this off the end.
    #[inline]
    pub fn back(&mut self, text: &[u8]) -> Option<()> {
        self.rest.strip_suffix(text).map(|rest| self.rest = rest)
    }

    /// Takes a key off the front: `"seq":`
    #[inline]
    pub fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.text()?;
        self.front(b":").map(|()| key)
    }

    /// Takes a text off the front: `"BTCUSDT"`
    #[inline]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.strip_prefix(b"\"")?;
        let (text, rest) = rest.split_at_checked(rest.iter().position(|b| matches!(b, b'"' | b'\\'))?)?;
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Takes a text or a number off the front, and the comma behind it; a text without its quotes.
    #[inline]
    pub fn value(&mut self) -> Option<&'a [u8]> {
        let value = if self.rest.first() == Some(&b'"') {
            self.text()?
        } else {
            let end = self.rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b'{' | b'[' | b'"'));
            let (value, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
            self.rest = rest;
            value
        };
        _ = self.front(b",");
        Some(value)
    }

    /// Takes a key and its value off the front, as [`Self::key`] and [`Self::value`]; `None` too where nothing is left.
    #[inline]
    pub fn field(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let key = self.key()?;
        Some((key, self.value()?))
    }

    /// Takes a key and its value off the end, and the comma before them: `,"seq":17`. A text comes without its quotes;
    /// one that has a colon in it is none.
    #[inline]
    pub fn last(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (before, value) = self.rest.split_at_checked(self.rest.iter().rposition(|b| *b == b':')?)?;
        let before = before.strip_suffix(b"\"")?;
        let (before, key) = before.split_at_checked(before.iter().rposition(|b| *b == b'"')?)?;
        let (key, value) = (key.get(1..)?, value.get(1..)?);
        self.rest = before.strip_suffix(b",").unwrap_or(before);
        Some((key, value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)))
    }

    /// Takes `tail` off the end of a list that began with `[{`; `None` too where the list has another row.
    #[inline]
    pub fn only_row(&mut self, tail: &[u8]) -> Option<()> {
        self.back(tail)?;
        (!self.rest.contains(&b'{')).then_some(())
    }

    /// Whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }
}

/// Digits alone, at most 19 of them.
#[inline]
pub fn whole(digits: &[u8]) -> Option<u64> {
    let fits = (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |v, b| v * 10 + u64::from(b - b'0')))
}

/// The id of a trade, a number where it is one that comes out again as it went in; `None` of nothing, or of no UTF-8.
#[inline]
pub fn trade_id(text: &[u8]) -> Option<TradeId> {
    match whole(text) {
        Some(number) if text.first() != Some(&b'0') => Some(TradeId::Num(number)),
        _ if text.is_empty() => None,
        _ => std::str::from_utf8(text).ok().map(TradeId::from_text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_off_both_ends_and_what_is_written_otherwise_gives_nothing() {
        let frame = br#"{"ch":"a.b","ts":17,"data":[["1","2"]],"u":"5","seq":6}"#;
        let mut scan = Scan::new(frame);
        scan.front(b"{").unwrap();
        assert_eq!(scan.field(), Some((&b"ch"[..], &b"a.b"[..])));
        assert_eq!(scan.field(), Some((&b"ts"[..], &b"17"[..])));
        scan.back(b"}").unwrap();
        assert_eq!(scan.last(), Some((&b"seq"[..], &b"6"[..])));
        assert_eq!(scan.last(), Some((&b"u"[..], &b"5"[..])));
        assert_eq!(scan.key(), Some(&b"data"[..]));
        assert_eq!(scan.front(b"}"), None);
        for other in [&br#" {"a":1}"#[..], br#"{ "a":1}"#, br#"{"a" :1}"#, br#"{"a\"":1}"#, b"{", b""] {
            let mut scan = Scan::new(other);
            assert!(scan.front(b"{").and_then(|()| scan.field()).is_none(), "{}", other.escape_ascii());
        }
        assert_eq!(Scan::new(br#""at":"12:30""#).last(), None);
        assert_eq!(Scan::new(b"17").last(), None);
    }

    #[test]
    fn numbers_are_digits_alone_and_ids_come_out_as_they_went_in() {
        assert_eq!(whole(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for text in [&b""[..], b"-1", b"1.0", b"1]", b"10000000000000000000"] {
            assert_eq!(whole(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(trade_id(b"1300000000000000009"), Some(TradeId::Num(1_300_000_000_000_000_009)));
        assert_eq!(trade_id(b"10000000000000000001"), Some(TradeId::Num(10_000_000_000_000_000_001)));
        assert_eq!(trade_id(b"0"), Some(TradeId::Num(0)));
        assert_eq!(trade_id(b"007"), Some(TradeId::Text("007".into())));
        assert_eq!(trade_id(b"a-1"), Some(TradeId::Text("a-1".into())));
        assert_eq!((trade_id(b""), trade_id(b"\xff")), (None, None));
    }

    #[test]
    fn a_list_of_one_row_is_told_from_one_of_several() {
        let rows = |text: &'static str| Scan::new(text.as_bytes()).only_row(b"}]}");
        assert_eq!(rows(r#""id":1,"px":2}]}"#), Some(()));
        assert_eq!(rows(r#""id":1,"px":2},{"id":2}]}"#), None);
        assert_eq!(rows(r#""id":1}],"ts":5}"#), None);
    }
}
