//! The nouns as bytes: exact, compact, and the same on every machine.
//!
//! Whole numbers are LEB128 (seven bits a byte, the lowest first), signed ones zigzag before that; a text is its length
//! and its UTF-8; an option is a byte 0, or 1 and the value; a list is its length and its items; a record is its fields in
//! the order of the code; a choice is the byte that stands for it, then its fields. The bytes of choices are never given to
//! another choice. [`log`](crate::log) says the version in each file.

mod event;
mod names;

pub(crate) use event::{choice, record};
pub use names::lasting;

use model::{Decimal, InstrumentId, Level, Levels, LinkId, Px, Qty, Ts};

/// What can be written as bytes and read again.
pub(crate) trait Code: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes a value off the front; `None` where the bytes are none.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// Takes `count` bytes off the front.
pub(crate) fn cut<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

impl Code for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(low_seven(rest) | 0x80);
            rest >>= 7;
        }
        out.push(low_seven(rest));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut value = 0;
        for shift in (0..Self::BITS).step_by(7) {
            let byte = Self::from(u8::take(bytes)?);
            let part = (byte & 0x7f) << shift;
            if part >> shift != byte & 0x7f {
                return None;
            }
            value |= part;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

fn low_seven(value: u128) -> u8 {
    value.to_le_bytes().first().map_or(0, |byte| byte & 0x7f)
}

impl Code for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest.to_le_bytes().first().map_or(0, |byte| byte | 0x80));
            rest >>= 7;
        }
        out.push(rest.to_le_bytes().first().map_or(0, |byte| *byte));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut value = 0;
        for shift in (0..Self::BITS).step_by(7) {
            let byte = Self::from(u8::take(bytes)?);
            let part = (byte & 0x7f) << shift;
            if part >> shift != byte & 0x7f {
                return None;
            }
            value |= part;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Code for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*first)
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Code for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u64::take(bytes)?.try_into().ok()
    }
}

impl Code for u16 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u64::take(bytes)?.try_into().ok()
    }
}

/// A length in memory.
impl Code for usize {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u64).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u64::take(bytes)?.try_into().ok()
    }
}

impl Code for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((*self << 1) ^ (*self >> 63)).cast_unsigned().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let value = u64::take(bytes)?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

impl Code for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        i64::take(bytes)?.try_into().ok()
    }
}

impl Code for i128 {
    fn put(&self, out: &mut Vec<u8>) {
        ((*self << 1) ^ (*self >> 127)).cast_unsigned().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let value = u128::take(bytes)?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

impl Code for Box<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::take(bytes)?;
        str::from_utf8(cut(bytes, length)?).ok().map(Into::into)
    }
}

/// A name that a source has in its code.
impl Code for &'static str {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::take(bytes)?;
        names::lasting(str::from_utf8(cut(bytes, length)?).ok()?)
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(bytes)? { Some(T::take(bytes)?) } else { None })
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for item in self {
            item.put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::take(bytes)?;
        // No item is shorter than a byte: a length that lies reserves no more than the bytes that are there.
        let mut all = Self::with_capacity(length.min(bytes.len()));
        for _ in 0..length {
            all.push(T::take(bytes)?);
        }
        Some(all)
    }
}

impl<T: Code> Code for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        T::take(bytes).map(Self::new)
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::take(bytes)?, B::take(bytes)?))
    }
}

/// Types around one number.
macro_rules! around {
    ($($name:ident)+) => {$(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Code::take(bytes).map(Self)
            }
        }
    )+};
}

around! { Px Qty Ts LinkId InstrumentId }

impl Code for Decimal {
    fn put(&self, out: &mut Vec<u8>) {
        self.parts().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (mantissa, scale) = Code::take(bytes)?;
        Some(Self::new(mantissa, scale))
    }
}

/// How many there are, how many of them are bids, then each price less the one before, and its quantity.
impl Code for Levels {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.bids().len().put(out);
        let mut before = 0;
        for level in self.bids().iter().chain(self.asks()) {
            level.px.0.wrapping_sub(before).put(out);
            level.qty.put(out);
            before = level.px.0;
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (length, bids) = (usize::take(bytes)?, usize::take(bytes)?);
        if bids > length {
            return None;
        }
        let mut all = Vec::with_capacity(length.min(bytes.len()));
        let mut before = 0_i64;
        for _ in 0..length {
            before = before.wrapping_add(i64::take(bytes)?);
            all.push(Level { px: Px(before), qty: Code::take(bytes)? });
        }
        Some(Self::new(all, bids))
    }
}

#[cfg(test)]
mod tests;
