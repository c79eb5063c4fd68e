//! Numbers of frames: times, numbers of states, prices and quantities.

use crate::parse::Result;
use model::{Decimal, Instrument, Qty, Scale, Ts};
use source::{Cursor, Field, Malformed, What};
use std::sync::Arc;

/// Milliseconds, with or without quotes, or nothing.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    let text = c.number()?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        let value = text.iter().fold(0_i64, |v, d| v * 10 + i64::from(d - b'0'));
        return Ok(Some(Ts::from_ms(value)));
    }
    model::parse_mantissa(text, 0).map(|ms| Some(Ts::from_ms(ms))).map_err(|e| c.fault(What::Number(e)))
}

/// A whole number, also in scientific notation.
#[inline]
pub fn whole(c: &mut Cursor<'_>) -> Result<u64> {
    let text = c.number()?;
    if !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        return Ok(text.iter().fold(0_u64, |v, d| v * 10 + u64::from(d - b'0')));
    }
    let value = model::parse_mantissa(text, 0).map_err(|e| c.fault(What::Number(e)))?;
    u64::try_from(value).map_err(|_| c.fault(What::Rule("a number of a state is below zero")))
}

/// How finely quantities are read unless larger ones need the room.
pub const FINEST: Scale = 10;

/// How the numbers of an instrument are read.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'i> {
    /// With the scales.
    pub instrument: &'i Arc<Instrument>,
    /// Digits of quantities after this one are cut off: the venue adds up binary fractions, of which 17 figures come out,
    /// beside quantities that leave no room for so many.
    pub finest: Scale,
}

impl Numbers<'_> {
    /// A price.
    #[inline]
    pub fn px(self, c: &mut Cursor<'_>) -> Result<model::Px> {
        c.px(self.instrument.px_scale)
    }

    /// A quantity.
    #[inline]
    pub fn qty(self, c: &mut Cursor<'_>) -> Result<Qty> {
        match c.qty(self.instrument.qty_scale) {
            Err(Malformed { at, what: What::Scale(Field::Qty, number) }) if number.scale() > self.finest => {
                let cut = cut(number, self.finest);
                let held = cut.mantissa_at(self.instrument.qty_scale).map(Qty);
                held.ok_or(Malformed { at, what: What::Scale(Field::Qty, cut) })
            }
            read => read,
        }
    }
}

/// A number without the digits after so many, and never nothing where there was something.
#[cold]
fn cut(number: Decimal, digits: Scale) -> Decimal {
    let text = number.to_string();
    let point = text.find('.').unwrap_or(text.len());
    let end = text.len().min(point + 1 + usize::from(digits));
    let kept = text.get(..end).unwrap_or(&text);
    match Decimal::parse(kept.trim_end_matches('.').as_bytes()) {
        Ok(kept) if !kept.is_zero() || number.is_zero() => kept,
        _ => Decimal::new(1, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_for_which_there_is_no_room_are_cut_off_and_something_stays_something() {
        let instrument = |qty_scale| {
            let made = Instrument::provisional("v", "spot", "x", model::InstrumentKind::Spot);
            Arc::new(Instrument { qty_scale, ..made })
        };
        for (text, scale, finest, read) in [
            ("3307.9982700421942", 10, 10, Ok(33_079_982_700_421)),
            ("3307.9982700421942", 4, 4, Ok(33_079_982)),
            ("1.5E-12", 10, 10, Ok(1)),
            ("0.25", 4, 10, Ok(2_500)),
            ("0", 4, 4, Ok(0)),
            ("3307.9982700421942", 4, 10, Err("3307.9982700421")),
            ("0.12345", 4, 10, Err("0.12345")),
        ] {
            let made = instrument(scale);
            let got = Numbers { instrument: &made, finest }.qty(&mut Cursor::new(text.as_bytes()));
            match (got, read) {
                (Ok(got), Ok(read)) => assert_eq!(got, Qty(read), "{text}"),
                (Err(Malformed { what: What::Scale(Field::Qty, number), .. }), Err(text)) => {
                    assert_eq!(number, Decimal::parse(text.as_bytes()).unwrap());
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
