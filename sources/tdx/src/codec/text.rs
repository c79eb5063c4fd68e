//! Text on the wire: GBK in fields of a fixed size that NULs fill up.

use super::walk::{Result, Walk};
use encoding_rs::GB18030;
use std::fmt;

/// A text field of `N` bytes, as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Text<N> {
    /// The field that holds a text, cut where it is too long, even inside a character, as the venue cuts it.
    pub fn of(text: &str) -> Self {
        let (bytes, _, _) = GB18030.encode(text);
        let mut field = [0; N];
        field.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
        Self(field)
    }

    /// The field in its place.
    ///
    /// # Errors
    /// Where the body ends before.
    pub fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.raw(&mut self.0)
    }

    /// The text, up to the first NUL, without spaces around it and without a character that was cut at its end.
    pub fn get(&self) -> String {
        let used = self.0.split(|b| *b == 0).next().unwrap_or_default();
        gbk(used).trim().trim_end_matches(char::REPLACEMENT_CHARACTER).trim_end().to_owned()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.get())
    }
}

/// GBK as text; what is none stands as a replacement character.
pub fn gbk(bytes: &[u8]) -> String {
    GB18030.decode_without_bom_handling(bytes).0.into_owned()
}

/// Text as GBK.
pub fn bytes(text: &str) -> Vec<u8> {
    GB18030.encode(text).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_cut_inside_a_character_loses_that_one_alone() {
        let field = Text(*b"\xbb\xa6\xc9\xee300ETF\xbb\xaa\xcc\xa9\xb0\xd8");
        assert_eq!(field.get(), "沪深300ETF华泰柏");
        assert_eq!(Text(*b"\xbb\xa6\xc9\xee300\xbb").get(), "沪深300");
        assert_eq!(Text::<8>::of("浦发银行").get(), "浦发银行");
        assert_eq!(Text(*b"\xd0\xc2  \xb9\xc9\0\xff").get(), "新  股");
        assert_eq!(Text::<3>::of("浦发").get(), "浦");
    }
}
