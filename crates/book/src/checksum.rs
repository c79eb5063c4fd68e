//! Checksums that venues compute over a book.

use crate::Book;
use model::{ChecksumKind, Level, Scale, write_mantissa};

/// The checksum of a book whose numbers have these scales.
pub fn checksum(book: &Book, kind: ChecksumKind, px_scale: Scale, qty_scale: Scale) -> u32 {
    match kind {
        ChecksumKind::Crc32Interleaved25 => {
            let mut text = Vec::with_capacity(1_024);
            let mut put = |level: Option<Level>| {
                if let Some(level) = level {
                    write_mantissa(level.px.0, px_scale, &mut text);
                    text.push(b':');
                    write_mantissa(level.qty.0, qty_scale, &mut text);
                    text.push(b':');
                }
            };
            let (mut bids, mut asks) = (book.bids(), book.asks());
            for _ in 0..25 {
                put(bids.next());
                put(asks.next());
            }
            text.pop();
            crc32fast::hash(&text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Levels, Px, Qty, Snapshot};

    #[test]
    fn the_interleaved_checksum_of_the_documented_books() {
        let level = |px, qty| Level { px: Px(px), qty: Qty(qty) };
        let crc = |bids: &[Level], asks: &[Level]| {
            let mut book = Book::default();
            let levels = Levels::from_sides(bids, asks);
            book.reset(&Snapshot { seq: None, levels, checksum: None, epoch: 0 });
            checksum(&book, ChecksumKind::Crc32Interleaved25, 1, 0) as i32
        };
        let even = crc(&[level(33_661, 7), level(33_660, 6)], &[level(33_668, 9), level(33_680, 8)]);
        assert_eq!(even, -1_881_014_294);
        let short = crc(&[level(33_661, 7)], &[level(33_668, 9), level(33_680, 8), level(33_720, 8)]);
        assert_eq!(short, 831_078_360);
    }
}
