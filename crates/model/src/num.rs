//! Exact numbers: decimal mantissas whose power of ten stands in the instrument's definition.

use std::cmp::Ordering;
use std::fmt;

/// How many digits stand after the decimal point.
pub type Scale = u8;

/// The largest scale a definition may have.
pub const SCALE_MAX: Scale = 18;

/// A price: a decimal mantissa at [`Instrument::px_scale`](crate::Instrument::px_scale).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Px(pub i64);

/// A quantity: a decimal mantissa at [`Instrument::qty_scale`](crate::Instrument::qty_scale), in the venue's unit
/// (coins, contracts or shares).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(pub i64);

/// Why a text is not a number of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumError {
    /// Not a decimal number.
    NotANumber,
    /// More digits after the point than the scale has; the number needs this many.
    TooFine(Scale),
    /// Does not fit the mantissa at this scale.
    TooLarge,
}

/// The digits and the power of ten of a decimal text, trailing zeros of the fraction left out.
struct Parts {
    negative: bool,
    digits: i128,
    /// digits × 10^-scale; may be negative for texts such as `5E12`.
    scale: i32,
}

fn split(text: &[u8]) -> Result<Parts, NumError> {
    let mut digits: i128 = 0;
    let mut scale: i32 = 0;
    let mut seen = false;
    let mut after_point = false;
    let mut zeros: u32 = 0;
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                scale += i32::from(after_point);
                zeros += 1;
                if byte != b'0' {
                    let grown = if digits == 0 {
                        Some(0)
                    } else {
                        10_i128.checked_pow(zeros).and_then(|f| digits.checked_mul(f))
                    };
                    digits = grown
                        .and_then(|d| d.checked_add(i128::from(byte - b'0')))
                        .ok_or(NumError::TooLarge)?;
                    zeros = 0;
                }
            }
            b'.' if !after_point && seen => after_point = true,
            b'e' | b'E' if seen => {
                scale = scale.checked_sub(exponent(tail)?).ok_or(NumError::TooLarge)?;
                break;
            }
            _ => return Err(NumError::NotANumber),
        }
        rest = tail;
    }
    if !seen {
        return Err(NumError::NotANumber);
    }
    // Zeros at the end were counted in `scale` but not in `digits`: take them out again.
    Ok(Parts { negative, digits, scale: if digits == 0 { 0 } else { scale - zeros as i32 } })
}

fn exponent(text: &[u8]) -> Result<i32, NumError> {
    let negative = text.first() == Some(&b'-');
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumError::NotANumber);
    }
    let value = digits.iter().fold(0_i32, |v, d| v * 10 + i32::from(d - b'0'));
    Ok(if negative { -value } else { value })
}

/// Reads a decimal text (sign, point and exponent accepted) into a mantissa at `scale`, exactly.
///
/// # Errors
/// [`NumError`] where the text is no number, has more digits than `scale`, or overflows. Never rounds.
pub fn parse_mantissa(text: &[u8], scale: Scale) -> Result<i64, NumError> {
    if let Some(value) = parse_plain(text, scale) {
        return Ok(value);
    }
    let parts = split(text)?;
    if parts.scale > i32::from(scale) {
        return Err(if parts.scale > i32::from(SCALE_MAX) {
            NumError::TooLarge
        } else {
            NumError::TooFine(parts.scale as Scale)
        });
    }
    let up = u32::try_from(i32::from(scale) - parts.scale).map_err(|_| NumError::TooLarge)?;
    let value = if parts.digits == 0 {
        0
    } else {
        10_i128.checked_pow(up).and_then(|f| parts.digits.checked_mul(f)).ok_or(NumError::TooLarge)?
    };
    i64::try_from(if parts.negative { -value } else { value }).map_err(|_| NumError::TooLarge)
}

/// The common form, `123.45` of at most 18 digits in all; `None` sends the text to the general reader.
#[inline]
fn parse_plain(text: &[u8], scale: Scale) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut value: i64 = 0;
    let mut point = text.len();
    for (at, &byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + i64::from(digit);
        } else if byte == b'.' && point == text.len() && at > 0 {
            point = at + 1;
        } else {
            return None;
        }
    }
    let decimals = text.len() - point;
    let scale = usize::from(scale);
    if decimals <= scale {
        POW10.get(scale - decimals).and_then(|f| value.checked_mul(*f))
    } else {
        let cut = *POW10.get(decimals - scale)?;
        (value % cut == 0).then_some(value / cut)
    }
}

/// Powers of ten that fit a mantissa.
pub(crate) const POW10: [i64; 19] = {
    let mut table = [1_i64; 19];
    let mut i = 1;
    while i < 19 {
        #[allow(clippy::indexing_slicing)]
        {
            table[i] = table[i - 1] * 10;
        }
        i += 1;
    }
    table
};

/// The same number at another scale, or `None` where it would not be exact or would not fit.
#[inline]
pub fn rescale(mantissa: i64, from: Scale, to: Scale) -> Option<i64> {
    if to >= from {
        mantissa.checked_mul(*POW10.get(usize::from(to - from))?)
    } else {
        let cut = *POW10.get(usize::from(from - to))?;
        (mantissa % cut == 0).then_some(mantissa / cut)
    }
}

/// Appends a mantissa as a decimal text without trailing zeros, exponent or plus sign: `64000.1`.
pub fn write_mantissa(mantissa: i64, scale: Scale, out: &mut Vec<u8>) {
    if mantissa < 0 {
        out.push(b'-');
    }
    let mut rest = mantissa.unsigned_abs();
    let mut scale = usize::from(scale);
    while scale > 0 && rest.is_multiple_of(10) {
        rest /= 10;
        scale -= 1;
    }
    // 20 digits, a point, and zeros before the first digit.
    let mut text = [b'0'; 48];
    let mut written = 0;
    for place in text.iter_mut().rev() {
        if written == scale && scale > 0 {
            *place = b'.';
            written += 1;
            scale = 0;
            continue;
        }
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
        if rest == 0 && (scale == 0 || written > scale) {
            break;
        }
    }
    out.extend_from_slice(text.get(text.len() - written..).unwrap_or_default());
}

fn write_digits(mantissa: i128, scale: Scale, out: &mut Vec<u8>) {
    if mantissa < 0 {
        out.push(b'-');
    }
    let mut rest = mantissa.unsigned_abs();
    let mut scale = usize::from(scale);
    while scale > 0 && rest.is_multiple_of(10) {
        rest /= 10;
        scale -= 1;
    }
    let start = out.len();
    let mut written = 0;
    while rest > 0 || written <= scale {
        if written == scale && scale > 0 {
            out.push(b'.');
        }
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        written += 1;
    }
    if let Some(tail) = out.get_mut(start..) {
        tail.reverse();
    }
}

/// A number that carries its own power of ten, for what has no definition to lean on: rates, turnovers, contract sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    mantissa: i128,
    scale: Scale,
}

impl Decimal {
    /// mantissa × 10^-scale.
    pub const fn new(mantissa: i128, scale: Scale) -> Self {
        Self { mantissa, scale }
    }

    /// The mantissa and the scale as they are held: zeros at the end of a fraction are not taken out.
    pub const fn parts(self) -> (i128, Scale) {
        (self.mantissa, self.scale)
    }

    /// Reads a decimal text exactly; sign, point and exponent accepted.
    ///
    /// # Errors
    /// [`NumError`] where the text is no number or needs more than 38 digits.
    pub fn parse(text: &[u8]) -> Result<Self, NumError> {
        let parts = split(text)?;
        let signed = if parts.negative { -parts.digits } else { parts.digits };
        if parts.scale >= 0 {
            return Ok(Self {
                mantissa: signed,
                scale: Scale::try_from(parts.scale).map_err(|_| NumError::TooLarge)?,
            });
        }
        let mantissa = 10_i128
            .checked_pow(parts.scale.unsigned_abs())
            .and_then(|f| signed.checked_mul(f))
            .ok_or(NumError::TooLarge)?;
        Ok(Self { mantissa, scale: 0 })
    }

    /// Digits after the point that the number needs: 2 for `0.01`, 0 for `10`.
    pub fn scale(self) -> Scale {
        let mut reduced = self;
        while reduced.scale > 0 && reduced.mantissa % 10 == 0 {
            reduced.mantissa /= 10;
            reduced.scale -= 1;
        }
        reduced.scale
    }

    /// This number as a mantissa at `scale`, or `None` where that is not exact or does not fit.
    pub fn mantissa_at(self, scale: Scale) -> Option<i64> {
        let value = if scale >= self.scale {
            self.mantissa.checked_mul(10_i128.checked_pow(u32::from(scale - self.scale))?)?
        } else {
            let cut = 10_i128.checked_pow(u32::from(self.scale - scale))?;
            (self.mantissa % cut == 0).then_some(self.mantissa / cut)?
        };
        i64::try_from(value).ok()
    }

    /// Appends the number as text without trailing zeros.
    pub fn write(self, out: &mut Vec<u8>) {
        write_digits(self.mantissa, self.scale, out);
    }

    /// Whether the number is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.scale(), other.scale());
        a == b && self.to_string() == other.to_string()
    }
}

impl Eq for Decimal {}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Whole and fraction apart: neither overflows.
        let parts = |d: &Self| {
            let Some(unit) = 10_i128.checked_pow(u32::from(d.scale)) else {
                return (d.mantissa.signum().min(0), 0);
            };
            let fill = 10_i128.checked_pow(38_u32.saturating_sub(u32::from(d.scale))).unwrap_or(1);
            (d.mantissa.div_euclid(unit), d.mantissa.rem_euclid(unit).saturating_mul(fill))
        };
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mantissa: i64, scale: Scale) -> String {
        let mut out = Vec::new();
        write_mantissa(mantissa, scale, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_are_ordered_by_value() {
        let all = ["-2", "-1.5", "-0.001", "0", "0.0009", "0.1", "1", "1.00000000000000000001", "20", "1e30"];
        let all: Vec<Decimal> = all.iter().map(|text| Decimal::parse(text.as_bytes()).unwrap()).collect();
        assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Decimal::new(10, 1).cmp(&Decimal::new(1, 0)), Ordering::Equal);
    }

    #[test]
    fn all_spellings_of_a_price_give_one_mantissa() {
        for spelling in ["0.5", "0.50", "5E-1", "5e-1", "0.500000000000000000000", "500e-3", "0.05E+1"] {
            assert_eq!(parse_mantissa(spelling.as_bytes(), 8), Ok(50_000_000), "{spelling}");
        }
        assert_eq!(parse_mantissa(b"9.486E-11", 18), Ok(94_860_000));
        assert_eq!(parse_mantissa(b"0E-18", 2), Ok(0));
        assert_eq!(parse_mantissa(b"-12", 1), Ok(-120));
        assert_eq!(parse_mantissa(b"5.4329174972728E12", 2), Ok(543_291_749_727_280));
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_and_says_what_it_needs() {
        assert_eq!(parse_mantissa(b"0.123", 2), Err(NumError::TooFine(3)));
        assert_eq!(parse_mantissa(b"1.5e-10", 8), Err(NumError::TooFine(11)));
        assert_eq!(parse_mantissa(b"92233720368547758.08", 2), Err(NumError::TooLarge));
        assert_eq!(parse_mantissa(b"1e400", 2), Err(NumError::TooLarge));
        for junk in ["", "-", ".", "1.2.3", "0x10", "1e", "NaN", "1 ", "+1", ".5", "1e+-2"] {
            assert_eq!(parse_mantissa(junk.as_bytes(), 2), Err(NumError::NotANumber), "{junk}");
        }
    }

    #[test]
    fn text_of_a_mantissa_has_no_trailing_zeros() {
        assert_eq!(text(2_816_547, 2), "28165.47");
        assert_eq!(text(2_800_000, 2), "28000");
        assert_eq!(text(5, 3), "0.005");
        assert_eq!(text(-50, 2), "-0.5");
        assert_eq!(text(0, 8), "0");
        assert_eq!(text(i64::MIN, 0), "-9223372036854775808");
    }

    #[test]
    fn decimals_are_equal_by_value_not_by_spelling() {
        let d = |t: &str| Decimal::parse(t.as_bytes()).unwrap();
        assert_eq!(d("0.10"), d("1e-1"));
        assert_ne!(d("0.1"), d("0.11"));
        assert_eq!(d("955000000.00000000").to_string(), "955000000");
        assert_eq!(d("0.01000000").scale(), 2);
        assert_eq!(d("1e3").mantissa_at(1), Some(10_000));
        assert_eq!(d("0.05").mantissa_at(1), None);
    }
}
