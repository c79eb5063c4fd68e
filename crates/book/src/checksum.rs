//! Checksums that venues compute over a book.

use crate::Book;
use model::{ChecksumKind, Level, Scale, write_mantissa};

/// How many texts of levels are kept: more than twice as many as a checksum covers.
const SLOTS: usize = 128;
/// The longest text of a level that is kept.
const TEXT_MAX: usize = 46;

/// Computes checksums of one book, and keeps the texts of its best levels between two of them: few change.
#[derive(Clone, Debug)]
pub struct Checksummer {
    slots: Vec<Slot>,
    scales: (Scale, Scale),
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    level: Option<Level>,
    len: u8,
    text: [u8; TEXT_MAX],
}

impl Default for Checksummer {
    fn default() -> Self {
        let slot = Slot { level: None, len: 0, text: [0; TEXT_MAX] };
        Self { slots: vec![slot; SLOTS], scales: (0, 0), text: Vec::with_capacity(2_048) }
    }
}

impl Checksummer {
    /// The checksum of a book whose numbers have these scales.
    pub fn of(&mut self, book: &Book, kind: ChecksumKind, px_scale: Scale, qty_scale: Scale) -> u32 {
        if self.scales != (px_scale, qty_scale) {
            *self = Self { scales: (px_scale, qty_scale), ..Self::default() };
        }
        match kind {
            ChecksumKind::Crc32Interleaved25 => {
                self.text.clear();
                let (mut bids, mut asks) = (book.bids(), book.asks());
                for _ in 0..25 {
                    for level in [bids.next(), asks.next()].into_iter().flatten() {
                        self.put(level);
                    }
                }
                self.text.pop();
                crc32fast::hash(&self.text)
            }
            ChecksumKind::Crc32Digits10 { px_scale: px_digits, qty_scale: qty_digits } => {
                self.text.clear();
                for level in book.asks().take(10).chain(book.bids().take(10)) {
                    self.put_digits(level.px.0, px_scale, px_digits);
                    self.put_digits(level.qty.0, qty_scale, qty_digits);
                }
                crc32fast::hash(&self.text)
            }
        }
    }

    /// Appends a number of `scale` with `digits` after the point, without the point. One that has more digits than that
    /// cannot have been part of the venue's text; what is written for it is wrong, as the checksum then is.
    fn put_digits(&mut self, mantissa: i64, scale: Scale, digits: Scale) {
        let mantissa = model::rescale(mantissa, scale, digits).unwrap_or(mantissa);
        write_mantissa(mantissa, 0, &mut self.text);
    }

    /// Appends `px:qty:`.
    #[inline]
    fn put(&mut self, level: Level) {
        let mixed =
            (level.px.0 ^ level.qty.0.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
        let Some(slot) = self.slots.get_mut((mixed.cast_unsigned() >> 57) as usize) else { return };
        if slot.level == Some(level) {
            self.text.extend_from_slice(slot.text.get(..usize::from(slot.len)).unwrap_or_default());
            return;
        }
        let start = self.text.len();
        write_mantissa(level.px.0, self.scales.0, &mut self.text);
        self.text.push(b':');
        write_mantissa(level.qty.0, self.scales.1, &mut self.text);
        self.text.push(b':');
        let written = self.text.get(start..).unwrap_or_default();
        if let Some(kept) = slot.text.get_mut(..written.len()) {
            kept.copy_from_slice(written);
            slot.len = written.len() as u8;
            slot.level = Some(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Levels, Px, Qty, Snapshot};

    fn book(bids: &[Level], asks: &[Level]) -> Book {
        let mut book = Book::default();
        let levels = Levels::from_sides(bids, asks);
        book.reset(&Snapshot { seq: None, levels, checksum: None, epoch: 0 });
        book
    }

    fn level(px: i64, qty: i64) -> Level {
        Level { px: Px(px), qty: Qty(qty) }
    }

    #[test]
    fn the_interleaved_checksum_of_the_documented_books() {
        let mut sums = Checksummer::default();
        let mut crc = |book: &Book| sums.of(book, ChecksumKind::Crc32Interleaved25, 1, 0).cast_signed();
        let even = book(&[level(33_661, 7), level(33_660, 6)], &[level(33_668, 9), level(33_680, 8)]);
        assert_eq!(crc(&even), -1_881_014_294);
        let short = book(&[level(33_661, 7)], &[level(33_668, 9), level(33_680, 8), level(33_720, 8)]);
        assert_eq!(crc(&short), 831_078_360);
        assert_eq!(crc(&even), -1_881_014_294);
    }

    #[test]
    fn the_checksum_by_digits_does_not_hang_on_the_scale_of_the_definition() {
        let kind = ChecksumKind::Crc32Digits10 { px_scale: 4, qty_scale: 8 };
        let at = |px: i64, qty: i64| {
            // The books of the documentation's pair of frames: 0.567 × 12.5, 0.5671 × 3; 0.566 × 0.25, 0.5655 × 100.
            let l = |p: i64, q: i64| level(p * px, q * qty);
            let bids = [l(5_660, 25_000_000), l(5_655, 10_000_000_000)];
            let asks = [l(5_670, 1_250_000_000), l(5_671, 300_000_000)];
            book(&bids, &asks)
        };
        let mut sums = Checksummer::default();
        assert_eq!(sums.of(&at(1, 1), kind, 4, 8), 3_905_475_208);
        assert_eq!(sums.of(&at(100, 10), kind, 6, 9), 3_905_475_208);
    }

    #[test]
    fn kept_texts_do_not_outlive_a_change_of_scale() {
        let mut sums = Checksummer::default();
        let book = book(&[level(33_661, 7)], &[]);
        let at = |sums: &mut Checksummer, scale| sums.of(&book, ChecksumKind::Crc32Interleaved25, scale, 0);
        let (one, two) = (at(&mut sums, 1), at(&mut sums, 2));
        assert_eq!((one, two), (crc32fast::hash(b"3366.1:7"), crc32fast::hash(b"336.61:7")));
    }
}
