//! A JSON reader for frames: one pass, nothing copied, numbers straight into mantissas.
//!
//! It is used where a frame must become an event in a fraction of a microsecond and where an unknown key has to be
//! noticed; control paths use `serde_json`. It reads every valid document; of an invalid one it may accept some that
//! `serde_json` would not (a control character in a text, say), but never reads past the end and never recurses.

use model::{Decimal, NumError, Px, Qty, Scale, TradeId, parse_mantissa, rescale};
use std::fmt;

/// A frame that its protocol does not allow: what was wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in bytes from the start of the frame.
    pub at: usize,
    /// What was wrong.
    pub what: What,
}

/// What was wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The frame ends here.
    Eof,
    /// Something else stood where this was expected.
    Expected(&'static str),
    /// A field without which the frame means nothing is not there.
    Missing(&'static str),
    /// Not a number of the wanted kind.
    Number(NumError),
    /// A price or quantity that the instrument's definition does not hold; [`refit`](crate::refit) may find one.
    Scale(Field, Decimal),
    /// Not valid UTF-8.
    Encoding,
    /// Compressed data that cannot be read.
    Compression,
    /// Nested deeper than any frame of any venue.
    Depth,
    /// A rule of the protocol is broken.
    Rule(&'static str),
}

/// Which scale of the definition a number needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The scale of prices.
    Px,
    /// The scale of quantities.
    Qty,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Eof => write!(f, "the frame ends at byte {} inside a value", self.at),
            What::Expected(what) => write!(f, "expected {what} at byte {}", self.at),
            What::Missing(field) => write!(f, "field `{field}` is missing"),
            What::Number(NumError::TooLarge) => write!(f, "number too large at byte {}", self.at),
            What::Number(_) => write!(f, "not a number at byte {}", self.at),
            What::Scale(Field::Px, n) => {
                write!(f, "price {n} at byte {} does not fit the definition", self.at)
            }
            What::Scale(Field::Qty, n) => {
                write!(f, "quantity {n} at byte {} does not fit the definition", self.at)
            }
            What::Encoding => write!(f, "not UTF-8 at byte {}", self.at),
            What::Compression => f.write_str("compressed data cannot be read"),
            What::Depth => write!(f, "nested too deep at byte {}", self.at),
            What::Rule(rule) => write!(f, "{rule} (byte {})", self.at),
        }
    }
}

type Result<T> = std::result::Result<T, Malformed>;

const DEPTH_MAX: u32 = 64;

/// A place in a frame.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a frame.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The bytes from this place to a later one of the same frame.
    pub fn between(&self, end: &Self) -> &'a [u8] {
        self.bytes.get(self.at..end.at).unwrap_or_default()
    }

    /// A fault at this place.
    pub const fn fault(&self, what: What) -> Malformed {
        Malformed { at: self.at, what }
    }

    fn expected<T>(&self, what: &'static str) -> Result<T> {
        Err(self.fault(if self.at >= self.bytes.len() { What::Eof } else { What::Expected(what) }))
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.expected(what)
        }
    }

    /// Calls `field` with each key of an object; it must read the value. Keys come in any order and may repeat.
    #[inline]
    pub fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Result<()>) -> Result<()> {
        self.eat(b'{', "an object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.str()?;
            self.eat(b':', "`:`")?;
            field(self, key)?;
            if self.more(b'}', "`,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Calls `item` at each value of an array; it must read the value.
    #[inline]
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.eat(b'[', "an array")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            if self.more(b']', "`,` or `]`")? {
                return Ok(());
            }
        }
    }

    /// True where `close` comes, false where a comma does.
    #[inline]
    fn more(&mut self, close: u8, what: &'static str) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => self.expected(what),
        }
    }

    /// A text as it stands in the frame, escapes not undone.
    #[inline]
    pub fn str(&mut self) -> Result<&'a [u8]> {
        self.eat(b'"', "a text")?;
        let start = self.at;
        let mut rest = self.bytes.get(start..).unwrap_or_default().iter();
        while let Some(&byte) = rest.next() {
            if byte == b'"' {
                let end = self.bytes.len() - rest.as_slice().len() - 1;
                self.at = end + 1;
                return Ok(self.bytes.get(start..end).unwrap_or_default());
            }
            if byte == b'\\' {
                rest.next();
            }
        }
        self.at = self.bytes.len();
        Err(self.fault(What::Eof))
    }

    /// A text as UTF-8, escapes not undone.
    pub fn utf8(&mut self) -> Result<&'a str> {
        let bytes = self.str()?;
        std::str::from_utf8(bytes).map_err(|_| self.fault(What::Encoding))
    }

    /// The text of a number, with or without quotes. `""` and `null` give an empty one.
    #[inline]
    pub fn number(&mut self) -> Result<&'a [u8]> {
        if self.peek() == Some(b'"') {
            return self.str();
        }
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        if len == 0 {
            if rest.starts_with(b"null") {
                self.at += 4;
                return Ok(b"");
            }
            return self.expected("a number");
        }
        self.at += len;
        Ok(rest.get(..len).unwrap_or_default())
    }

    /// An unsigned integer, with or without quotes.
    #[inline]
    pub fn u64(&mut self) -> Result<u64> {
        let text = self.number()?;
        let mut value: u64 = 0;
        for &byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(self.fault(What::Number(NumError::NotANumber)));
            }
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(u64::from(digit)))
                .ok_or_else(|| self.fault(What::Number(NumError::TooLarge)))?;
        }
        if text.is_empty() { Err(self.fault(What::Number(NumError::NotANumber))) } else { Ok(value) }
    }

    /// A signed integer, with or without quotes.
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        let text = self.number()?;
        let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
        if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
            return parse_mantissa(text, 0).map_err(|e| self.fault(What::Number(e)));
        }
        let value = digits.iter().fold(0_i64, |v, d| v * 10 + i64::from(d - b'0'));
        Ok(if negative { -value } else { value })
    }

    /// The id of a trade, with or without quotes: a number where it is one.
    #[inline]
    pub fn trade_id(&mut self) -> Result<TradeId> {
        let text = self.number()?;
        let what = if text.is_empty() { What::Missing("trade id") } else { What::Encoding };
        crate::scan::trade_id(text).ok_or_else(|| self.fault(what))
    }

    /// A number of any size, with or without quotes.
    pub fn decimal(&mut self) -> Result<Decimal> {
        let text = self.number()?;
        Decimal::parse(text).map_err(|e| self.fault(What::Number(e)))
    }

    /// As [`Self::decimal`]; `null` and `""` mean that there is none.
    pub fn decimal_opt(&mut self) -> Result<Option<Decimal>> {
        let text = self.number()?;
        if text.is_empty() {
            return Ok(None);
        }
        Decimal::parse(text).map(Some).map_err(|e| self.fault(What::Number(e)))
    }

    /// A price at `scale`.
    #[inline]
    pub fn px(&mut self, scale: Scale) -> Result<Px> {
        self.mantissa(scale, Field::Px).map(Px)
    }

    /// A quantity at `scale`.
    #[inline]
    pub fn qty(&mut self, scale: Scale) -> Result<Qty> {
        self.mantissa(scale, Field::Qty).map(Qty)
    }

    /// The common form, `"123.45"` of at most 18 digits, in one pass; everything else is read again by the general way.
    #[inline]
    fn mantissa(&mut self, scale: Scale, field: Field) -> Result<i64> {
        let quoted = self.peek() == Some(b'"');
        let start = self.at + usize::from(quoted);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let (mut value, mut decimals, mut after_point) = (0_i64, 0_u8, 0_u8);
        for (n, &byte) in rest.iter().take(20).enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                // Overflow is kept out by the limit of digits.
                value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
                decimals += after_point;
            } else if byte == b'.' && after_point == 0 && n > 0 {
                after_point = 1;
            } else {
                let ends = if quoted { byte == b'"' } else { matches!(byte, b',' | b']' | b'}') };
                if ends
                    && n > 0
                    && n - usize::from(after_point) <= 18
                    && let Some(mantissa) = rescale(value, decimals, scale)
                {
                    self.at = start + n + usize::from(quoted);
                    return Ok(mantissa);
                }
                break;
            }
        }
        self.mantissa_of_text(scale, field)
    }

    #[cold]
    fn mantissa_of_text(&mut self, scale: Scale, field: Field) -> Result<i64> {
        let text = self.number()?;
        parse_mantissa(text, scale).map_err(|error| {
            let what = match (error, Decimal::parse(text)) {
                (NumError::NotANumber, _) | (_, Err(_)) => What::Number(error),
                (_, Ok(number)) => What::Scale(field, number),
            };
            self.fault(what)
        })
    }

    /// A truth value.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        self.peek();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"true") {
            self.at += 4;
            Ok(true)
        } else if rest.starts_with(b"false") {
            self.at += 5;
            Ok(false)
        } else {
            self.expected("true or false")
        }
    }

    /// Whether the next value is `null`; consumes it if so.
    pub fn null(&mut self) -> bool {
        self.peek();
        let is = self.bytes.get(self.at..).unwrap_or_default().starts_with(b"null");
        self.at += if is { 4 } else { 0 };
        is
    }

    /// Passes over any value and gives its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8]> {
        self.peek();
        let start = self.at;
        let mut depth: u32 = 0;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.str()?;
                }
                Some(b'{' | b'[') => {
                    self.at += 1;
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return Err(self.fault(What::Depth));
                    }
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(b't' | b'f') => {
                    self.bool()?;
                }
                Some(_) => {
                    self.number()?;
                }
                None => return Err(self.fault(What::Eof)),
            }
            if depth == 0 {
                return Ok(self.bytes.get(start..self.at).unwrap_or_default());
            }
        }
    }

    /// That nothing but white space follows.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.expected("the end of the frame") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_come_in_any_order_and_repeat() {
        for frame in [r#"{"p":"1.5","q":2}"#, r#" { "q" : 2 , "x":{"y":[1,"]"]}, "p":"9","p":"1.50" } "#] {
            let (mut px, mut qty) = (None, None);
            let mut c = Cursor::new(frame.as_bytes());
            c.object(|c, key| {
                match key {
                    b"p" => px = Some(c.px(2)?),
                    b"q" => qty = Some(c.qty(0)?),
                    _ => {
                        c.skip()?;
                    }
                }
                Ok(())
            })
            .unwrap();
            c.end().unwrap();
            assert_eq!((px, qty), (Some(Px(150)), Some(Qty(2))));
        }
    }

    #[test]
    fn a_truncated_frame_says_where_it_ends() {
        let frame = br#"{"a":[{"b":"c"},[1,2.5e3,true,null]],"d":"e"}"#;
        for cut in 0..frame.len() {
            let bytes = frame.get(..cut).unwrap();
            let mut c = Cursor::new(bytes);
            let read = c.skip().and_then(|_| c.end());
            assert!(read.is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let mut c = Cursor::new(frame);
        assert_eq!(c.skip().unwrap(), frame);
        c.end().unwrap();
    }

    #[test]
    fn a_number_that_does_not_fit_carries_its_value() {
        let fault = Cursor::new(b"\"0.125\"").px(2).unwrap_err();
        assert_eq!(fault.what, What::Scale(Field::Px, Decimal::new(125, 3)));
        assert_eq!(Cursor::new(b"\"abc\"").px(2).unwrap_err().what, What::Number(NumError::NotANumber));
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let deep = vec![b'['; 100_000];
        assert_eq!(Cursor::new(&deep).skip().unwrap_err().what, What::Depth);
    }
}
