//! Codes of six digits and the exchange that gives them their meaning.

use super::board::Board;
use std::fmt;

/// An exchange for stocks in mainland China.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Market {
    /// Shanghai.
    Sh,
    /// Shenzhen.
    Sz,
    /// Beijing.
    Bj,
}

impl Market {
    /// All of them, in the order in which lists name them.
    pub const ALL: [Self; 3] = [Self::Sh, Self::Sz, Self::Bj];

    /// The venue's name: `sse`, `szse`, `bse`.
    pub const fn venue(self) -> &'static str {
        match self {
            Self::Sh => "sse",
            Self::Sz => "szse",
            Self::Bj => "bse",
        }
    }

    /// The two capital letters that stand before or after a code: `SH`, `SZ`, `BJ`.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Sh => "SH",
            Self::Sz => "SZ",
            Self::Bj => "BJ",
        }
    }

    /// The two small letters that stand before a code: `sh`, `sz`, `bj`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Sz => "sz",
            Self::Bj => "bj",
        }
    }

    /// The market's number in the binary protocol of port 7709: 0 Shenzhen, 1 Shanghai, 2 Beijing.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Sz => 0,
            Self::Sh => 1,
            Self::Bj => 2,
        }
    }

    /// The inverse of [`Market::byte`].
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Sz),
            1 => Some(Self::Sh),
            2 => Some(Self::Bj),
            _ => None,
        }
    }

    /// Reads any usual name, in letters of any size: `SH`, `SS`, `XSHG`, `sse`, `SZ`, `XSHE`, `szse`, `BJ`, `XBSE`, `bse`.
    pub fn parse(word: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
        if is(&["SH", "SS", "XSHG", "SSE"]) {
            Some(Self::Sh)
        } else if is(&["SZ", "XSHE", "SZSE"]) {
            Some(Self::Sz)
        } else {
            is(&["BJ", "XBSE", "BSE"]).then_some(Self::Bj)
        }
    }
}

/// A code with its market: the six digits alone mean different things at different exchanges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// Whose code it is.
    pub market: Market,
    digits: [u8; 6],
}

/// Why a text is not one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// Not six digits with or without a market, or digits that no exchange has given out.
    Unreadable,
    /// Six digits that two markets know; the reader must say which.
    Ambiguous([Code; 2]),
}

impl Code {
    /// The code of a market; `None` unless `digits` are six decimal digits.
    pub fn new(market: Market, digits: &str) -> Option<Self> {
        let digits: [u8; 6] = digits.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self { market, digits })
    }

    /// The code with this number: 1 is `000001`. `None` above 999999.
    pub fn from_number(market: Market, number: u32) -> Option<Self> {
        Self::new(market, &format!("{number:06}"))
    }

    /// The six digits.
    pub fn digits(&self) -> &str {
        str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// The digits as a number.
    pub fn number(self) -> u32 {
        self.digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
    }

    /// Reads `600519.SH`, `SH600519`, `600519SH`, `sh.600519`, `600519.XSHG`, `1.600519` (1 Shanghai; 0 Shenzhen, or
    /// Beijing by the digits; 2 Beijing) and, where only one exchange knows it, `600519`.
    ///
    /// A bare code that is a share, fund, index or convertible bond at one exchange and an ordinary bond at another is
    /// taken for the former.
    ///
    /// # Errors
    /// [`CodeError`] where the text is no code or names two things.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let text = text.trim();
        let marked = |market: Market, digits: &str| Self::new(market, digits).ok_or(CodeError::Unreadable);
        if let Some((left, right)) = text.split_once('.') {
            return match (Market::parse(left), Market::parse(right), left) {
                (Some(market), None, _) => marked(market, right),
                (None, Some(market), _) => marked(market, left),
                (None, None, "1") => marked(Market::Sh, right),
                (None, None, "2") => marked(Market::Bj, right),
                (None, None, "0") => {
                    let there = Self::new(Market::Bj, right).ok_or(CodeError::Unreadable)?;
                    Ok(if Board::of(there) == Board::Other {
                        Self { market: Market::Sz, ..there }
                    } else {
                        there
                    })
                }
                _ => Err(CodeError::Unreadable),
            };
        }
        let cut = |at: usize| text.split_at_checked(at).unwrap_or_default();
        let ((letters, digits), (digits_first, letters_last)) = (cut(text.len().saturating_sub(6)), cut(6));
        match (Market::parse(letters), Market::parse(letters_last)) {
            (Some(market), _) => marked(market, digits),
            (None, Some(market)) => marked(market, digits_first),
            (None, None) => Self::bare(text),
        }
    }

    fn bare(digits: &str) -> Result<Self, CodeError> {
        let all = Market::ALL.into_iter().filter_map(|market| Self::new(market, digits));
        let known: Vec<Self> = all.filter(|code| Board::of(*code) != Board::Other).collect();
        let main = known.iter().filter(|code| Board::of(**code) != Board::Bond).copied();
        let main: Vec<Self> = main.collect();
        match if main.is_empty() { known.as_slice() } else { main.as_slice() } {
            [one] => Ok(*one),
            [one, other, ..] => Err(CodeError::Ambiguous([*one, *other])),
            [] => Err(CodeError::Unreadable),
        }
    }

    /// Digits after the point of its prices. By prefix, which held for all 51 982 codes that were listed on 2026-10-22.
    pub fn px_scale(&self) -> u8 {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| self.digits().starts_with(prefix));
        let (three, two): (&[&str], &[&str]) = match self.market {
            Market::Sh => (&["5", "900"], &["000", "36", "6", "7", "88", "99"]),
            Market::Sz => (
                &["080", "158", "159", "16", "180", "181"],
                &["000", "001", "002", "003", "070", "140", "200", "201", "300", "301", "302", "395", "399"],
            ),
            Market::Bj => (&[], &[""]),
        };
        if starts(three) {
            3
        } else if starts(two) {
            2
        } else {
            4
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.digits(), self.market.letters())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(market: Market, digits: &str) -> Code {
        Code::new(market, digits).unwrap()
    }

    #[test]
    fn all_spellings_of_a_code_give_one_code() {
        let maotai = code(Market::Sh, "600519");
        for text in [
            "600519",
            "SH600519",
            "sh600519",
            "600519.SH",
            "600519.ss",
            "sh.600519",
            "600519.XSHG",
            "1.600519",
            " 600519 ",
            "sse.600519",
            "600519sh",
        ] {
            assert_eq!(Code::parse(text), Ok(maotai), "{text}");
        }
        assert_eq!(Code::parse("0.000001"), Ok(code(Market::Sz, "000001")));
        assert_eq!(Code::parse("0.920118"), Ok(code(Market::Bj, "920118")));
        assert_eq!(Code::parse("430047"), Ok(code(Market::Bj, "430047")));
        assert_eq!(Code::parse("159915"), Ok(code(Market::Sz, "159915")));
        assert_eq!(Code::parse("bj920002").map(|c| c.to_string()).as_deref(), Ok("920002.BJ"));
    }

    #[test]
    fn every_code_of_every_market_is_read_back_from_what_is_written() {
        for market in Market::ALL {
            assert_eq!(
                (Market::from_byte(market.byte()), Market::parse(market.venue())),
                (Some(market), Some(market))
            );
            for number in 0..1_000_000 {
                let one = Code::from_number(market, number).unwrap();
                assert_eq!(one.number(), number);
                if number % 7 == 0 {
                    assert_eq!(Code::parse(&one.to_string()), Ok(one));
                }
            }
        }
        assert_eq!(Code::from_number(Market::Sh, 1_000_000), None);
    }

    #[test]
    fn a_bare_code_that_two_markets_know_is_told_with_both() {
        let both = [code(Market::Sh, "000001"), code(Market::Sz, "000001")];
        assert_eq!(Code::parse("000001"), Err(CodeError::Ambiguous(both)));
        assert_eq!(
            Code::parse("880001"),
            Err(CodeError::Ambiguous(["SH", "BJ"].map(|m| { code(Market::parse(m).unwrap(), "880001") })))
        );
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in [
            "",
            "60051",
            "6005190",
            "60051a",
            "HK00700",
            "3.600519",
            "sh.sz",
            "sh600519.sz",
            "６００５１９",
            "777777",
        ] {
            assert_eq!(Code::parse(text), Err(CodeError::Unreadable), "{text}");
        }
    }
}
