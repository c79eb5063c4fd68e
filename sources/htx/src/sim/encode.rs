//! How the venue writes numbers and frames.

use crate::product::Product;
use flate2::{Compress, Compression, FlushCompress, Status};
use model::{Instrument, Level, Px, Qty, Side, write_mantissa};

/// A number as the venue's spot section writes it: a point always, scientific notation for the small and the large.
pub(super) fn double(mantissa: i64, scale: u8) -> String {
    let mut plain = Vec::new();
    write_mantissa(mantissa, scale, &mut plain);
    let plain = String::from_utf8_lossy(&plain).into_owned();
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole == "0" && part.is_empty() {
        return "0.0".to_owned();
    }
    let all = format!("{whole}{part}");
    let zeros = all.len() - all.trim_start_matches('0').len();
    let figures = all.trim_start_matches('0').trim_end_matches('0');
    // The place of the first figure: 0 for 1…9.99.
    let exponent = whole.len() as i64 - 1 - zeros as i64;
    if (-3..7).contains(&exponent) {
        let part = if part.is_empty() { "0" } else { part };
        return format!("{sign}{whole}.{part}");
    }
    let (first, rest) = figures.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    format!("{sign}{first}.{rest}E{exponent}")
}

fn number(mantissa: i64, scale: u8, product: Product) -> String {
    if product.spot() {
        return double(mantissa, scale);
    }
    let mut plain = Vec::new();
    write_mantissa(mantissa, scale, &mut plain);
    String::from_utf8_lossy(&plain).into_owned()
}

/// A price of an instrument.
pub(super) fn px(px: Px, instrument: &Instrument, product: Product) -> String {
    number(px.0, instrument.px_scale, product)
}

/// A quantity of an instrument.
pub(super) fn qty(qty: Qty, instrument: &Instrument, product: Product) -> String {
    number(qty.0, instrument.qty_scale, product)
}

/// `[[64010.1,0.9],[64009.5,0.2]]`
pub(super) fn levels(levels: &[Level], instrument: &Instrument, product: Product) -> String {
    let mut text = String::from("[");
    for level in levels {
        if text.len() > 1 {
            text.push(',');
        }
        text.push('[');
        text.push_str(&px(level.px, instrument, product));
        text.push(',');
        text.push_str(&qty(level.qty, instrument, product));
        text.push(']');
    }
    text.push(']');
    text
}

/// `buy` or `sell`.
pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Bid => "buy",
        Side::Ask => "sell",
    }
}

/// Packs frames.
#[derive(Debug)]
pub(super) struct Packer {
    fast: Compress,
    stored: Compress,
    frames: u64,
}

impl Default for Packer {
    fn default() -> Self {
        let with = |level| Compress::new(Compression::new(level), false);
        Self { fast: with(1), stored: with(0), frames: 0 }
    }
}

impl Packer {
    /// One gzip member; now and then of stored blocks.
    pub fn pack(&mut self, text: &[u8]) -> Vec<u8> {
        self.frames += 1;
        let inner = if self.frames.is_multiple_of(64) { &mut self.stored } else { &mut self.fast };
        inner.reset();
        let mut out = Vec::with_capacity(text.len() / 2 + 96);
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        loop {
            let rest = text.get(inner.total_in() as usize..).unwrap_or_default();
            match inner.compress_vec(rest, &mut out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) | Err(_) => break,
                Ok(_) => out.reserve(text.len() / 4 + 256),
            }
        }
        out.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_venue_does() {
        for (mantissa, scale, text) in [
            (6_401_010, 2, "64010.1"),
            (64_010, 0, "64010.0"),
            (0, 5, "0.0"),
            (9_121, 10, "9.121E-7"),
            (1, 3, "0.001"),
            (98, 5, "9.8E-4"),
            (10_000_000, 0, "1.0E7"),
            (412_500_000, 0, "4.125E8"),
            (99_999_995, 1, "9999999.5"),
        ] {
            assert_eq!(double(mantissa, scale), text);
            assert_eq!(model::parse_mantissa(text.as_bytes(), scale), Ok(mantissa));
        }
    }

    #[test]
    fn packed_frames_are_members_with_the_venues_header() {
        let (mut packer, mut inflater) = (Packer::default(), crate::gzip::Inflater::default());
        for n in 0..200 {
            let text = format!(r#"{{"ping":{n}}}"#).repeat(n * 7 + 1);
            let packed = packer.pack(text.as_bytes());
            assert!(packed.starts_with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]));
            assert_eq!(inflater.member(&packed).unwrap(), text.as_bytes());
        }
    }
}
