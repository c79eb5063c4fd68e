//! One description of a layout for both ways: a record walks over its fields in the order of the wire, and whether they are
//! read or written is the walker's.
//!
//! Integers are little-endian. A varint has six bits and a sign in its first byte and seven bits in each further one
//! (`injoyai/tdx`, `pytdx`: `get_price`).

use source::{Malformed, What};

/// The result of a step.
pub type Result<T = ()> = std::result::Result<T, Malformed>;

/// A varint may go on for so many bytes after its first.
const VARINT_MORE_MAX: u32 = 6;

/// Reads or writes the fields that it is led over.
pub trait Walk {
    /// Reads into, or writes, these bytes.
    ///
    /// # Errors
    /// Where the body ends before.
    fn raw(&mut self, bytes: &mut [u8]) -> Result;

    /// A number of any size with its sign.
    ///
    /// # Errors
    /// Where the body ends inside, or the number goes on for longer than any price or volume.
    fn varint(&mut self, value: &mut i64) -> Result;

    /// Everything up to the end of the body.
    fn rest(&mut self, bytes: &mut Vec<u8>);

    /// How many bytes are still to be read; `None` where writing.
    fn left(&self) -> Option<usize>;

    /// How many bytes were passed.
    fn at(&self) -> usize;

    /// A fault at this place.
    fn fault(&self, what: What) -> Malformed {
        Malformed { at: self.at(), what }
    }

    /// A byte.
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn u8(&mut self, value: &mut u8) -> Result {
        self.raw(std::slice::from_mut(value))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn u16(&mut self, value: &mut u16) -> Result {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = u16::from_le_bytes(bytes);
        Ok(())
    }

    /// Two bytes with a sign.
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn i16(&mut self, value: &mut i16) -> Result {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = i16::from_le_bytes(bytes);
        Ok(())
    }

    /// Four bytes.
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn u32(&mut self, value: &mut u32) -> Result {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = u32::from_le_bytes(bytes);
        Ok(())
    }

    /// Four bytes with a sign.
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn i32(&mut self, value: &mut i32) -> Result {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = i32::from_le_bytes(bytes);
        Ok(())
    }

    /// An IEEE-754 binary32, which is what the venue's "volume float" is for every value (`injoyai/tdx` #68).
    ///
    /// # Errors
    /// As [`Walk::raw`].
    fn f32(&mut self, value: &mut f32) -> Result {
        let mut bytes = value.to_le_bytes();
        self.raw(&mut bytes)?;
        *value = f32::from_le_bytes(bytes);
        Ok(())
    }

    /// A varint that tells by how much a number is above `base`.
    ///
    /// # Errors
    /// As [`Walk::varint`], and where the sum is no number of 64 bits.
    fn above(&mut self, value: &mut i64, base: i64) -> Result {
        let at = self.at();
        let sum = Malformed { at, what: What::Rule("a price is beyond all numbers") };
        let mut by = if self.left().is_none() { value.checked_sub(base).ok_or(sum)? } else { 0 };
        self.varint(&mut by)?;
        *value = base.checked_add(by).ok_or(sum)?;
        Ok(())
    }

    /// So many records. What was read before a fault is kept.
    ///
    /// # Errors
    /// The first of a record.
    fn list<T: Default>(
        &mut self,
        count: usize,
        all: &mut Vec<T>,
        mut item: impl FnMut(&mut Self, &mut T) -> Result,
    ) -> Result
    where
        Self: Sized,
    {
        if self.left().is_none() {
            return all.iter_mut().try_for_each(|one| item(self, one));
        }
        for _ in 0..count {
            let mut one = T::default();
            item(self, &mut one)?;
            all.push(one);
        }
        Ok(())
    }

    /// Records after their number in two bytes.
    ///
    /// # Errors
    /// As [`Walk::list`], and of more records than two bytes can count.
    fn counted<T: Default>(
        &mut self,
        all: &mut Vec<T>,
        item: impl FnMut(&mut Self, &mut T) -> Result,
    ) -> Result
    where
        Self: Sized,
    {
        let mut count = self.count(all.len())?;
        self.u16(&mut count)?;
        self.list(usize::from(count), all, item)
    }

    /// A number of records as two bytes hold it.
    ///
    /// # Errors
    /// Where they do not.
    fn count(&self, records: usize) -> Result<u16> {
        u16::try_from(records).map_err(|_| self.fault(What::Rule("more records than two bytes can count")))
    }
}

/// Reads a body.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of a body.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What was not read.
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Goes on at another place.
    pub const fn seek(&mut self, at: usize) {
        self.at = at;
    }
}

impl Walk for Reader<'_> {
    fn raw(&mut self, bytes: &mut [u8]) -> Result {
        let Some(read) = self.remaining().get(..bytes.len()) else { return Err(self.fault(What::Eof)) };
        bytes.copy_from_slice(read);
        self.at += bytes.len();
        Ok(())
    }

    fn varint(&mut self, value: &mut i64) -> Result {
        let begin = self.at;
        let (mut sum, mut shift, mut negative) = (0_i64, 0_u32, false);
        loop {
            let mut byte = 0;
            self.u8(&mut byte)?;
            if shift == 0 {
                negative = byte & 0x40 != 0;
                sum = i64::from(byte & 0x3f);
                shift = 6;
            } else {
                sum |= i64::from(byte & 0x7f) << shift;
                shift += 7;
            }
            if byte & 0x80 == 0 {
                *value = if negative { -sum } else { sum };
                return Ok(());
            }
            if shift > 6 + 7 * (VARINT_MORE_MAX - 1) {
                let what = What::Rule("a number goes on for more than seven bytes");
                return Err(Malformed { at: begin, what });
            }
        }
    }

    fn rest(&mut self, bytes: &mut Vec<u8>) {
        *bytes = self.remaining().to_vec();
        self.at = self.bytes.len();
    }

    fn left(&self) -> Option<usize> {
        Some(self.remaining().len())
    }

    fn at(&self) -> usize {
        self.at
    }
}

/// Writes a body.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Walk for Writer {
    fn raw(&mut self, bytes: &mut [u8]) -> Result {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn varint(&mut self, value: &mut i64) -> Result {
        let mut rest = value.unsigned_abs();
        if rest >> (6 + 7 * VARINT_MORE_MAX) != 0 {
            return Err(self.fault(What::Rule("a number goes on for more than seven bytes")));
        }
        let sign = if *value < 0 { 0x40 } else { 0 };
        let low = |bits: u64, mask: u64| u8::try_from(bits & mask).unwrap_or_default();
        let more = |rest: u64| if rest > 0 { 0x80 } else { 0 };
        let first = low(rest, 0x3f) | sign;
        rest >>= 6;
        self.0.push(first | more(rest));
        while rest > 0 {
            let byte = low(rest, 0x7f);
            rest >>= 7;
            self.0.push(byte | more(rest));
        }
        Ok(())
    }

    fn rest(&mut self, bytes: &mut Vec<u8>) {
        self.0.extend_from_slice(bytes);
    }

    fn left(&self) -> Option<usize> {
        None
    }

    fn at(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<i64> {
        let (mut reader, mut value) = (Reader::new(bytes), 0);
        reader.varint(&mut value)?;
        assert!(reader.remaining().is_empty());
        Ok(value)
    }

    #[test]
    fn varints_are_the_bytes_that_the_wire_has_for_them() {
        let all: [(i64, &[u8]); 14] = [
            (0, &[0]),
            (1, &[1]),
            (-1, &[0x41]),
            (63, &[0x3f]),
            (-63, &[0x7f]),
            (64, &[0x80, 1]),
            (-64, &[0xc0, 1]),
            (100, &[0xa4, 1]),
            (8191, &[0xbf, 0x7f]),
            (-8192, &[0xc0, 0x80, 1]),
            (-1202, &[0xf2, 0x12]),
            (1_377_271, &[0xb7, 0x8f, 0xa8, 1]),
            (15_330_029, &[0xad, 0xab, 0xcf, 0x0e]),
            (2_147_483_647, &[0xbf, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in all {
            assert_eq!(read(bytes), Ok(value));
            let mut writer = Writer::default();
            writer.varint(&mut { value }).unwrap();
            assert_eq!(writer.0, bytes);
        }
        assert_eq!(read(&[0x40]), Ok(0), "minus zero is zero");
    }

    #[test]
    fn a_varint_without_end_is_refused_where_it_begins() {
        let endless = [0xff; 12];
        let (mut reader, mut value) = (Reader::new(&endless), 0);
        reader.seek(2);
        assert_eq!(reader.varint(&mut value).unwrap_err().at, 2);
        assert_eq!(read(&[0x80]).unwrap_err(), Malformed { at: 1, what: What::Eof });
        let largest = (1 << 48) - 1;
        let mut writer = Writer::default();
        writer.varint(&mut { largest }).unwrap();
        assert_eq!(read(&writer.0), Ok(largest));
        assert!(writer.varint(&mut { largest + 1 }).is_err());
    }

    #[test]
    fn a_count_that_lies_keeps_what_was_there() {
        let mut all = Vec::new();
        let fault = Reader::new(&[9, 0, 1, 0, 2, 0]).counted(&mut all, Walk::u16);
        assert_eq!((fault.unwrap_err().what, all), (What::Eof, vec![1, 2]));
    }
}
