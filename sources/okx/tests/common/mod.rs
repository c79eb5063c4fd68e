//! The venue's checksum over a book.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use model::{Checksum, Instrument, write_mantissa};
use source::pair::Held;

/// CRC-32 over the best 25 levels, bid and ask in turn.
pub fn crc(held: &Held, instrument: &Instrument) -> u32 {
    let mut text = Vec::new();
    let mut bids = held.bids.iter().rev();
    let mut asks = held.asks.iter();
    for _ in 0..25 {
        for level in [bids.next(), asks.next()].into_iter().flatten() {
            if !text.is_empty() {
                text.push(b':');
            }
            write_mantissa(level.0.0, instrument.px_scale, &mut text);
            text.push(b':');
            write_mantissa(level.1.0, instrument.qty_scale, &mut text);
        }
    }
    crc32fast::hash(&text)
}

/// Whether the book has that checksum.
pub fn verify(held: &Held, instrument: &Instrument, checksum: Checksum) -> bool {
    crc(held, instrument) == checksum.value
}
