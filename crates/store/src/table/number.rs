//! Decimals as doubles that give the decimal back, and how it is known that one does.
//!
//! The double nearest to a decimal of at most 15 digits has no other decimal of at most 15 digits, so its shortest text is
//! that decimal (IEEE 754, `DBL_DIG`). With more digits each number is tried.

use model::{Decimal, Scale, parse_mantissa};

/// Whole numbers below this are exact doubles.
const WHOLE_MAX: u128 = 1 << 53;
/// Decimals of at most 15 digits.
const DIGITS_15: u128 = 1_000_000_000_000_000;
/// A double times a power of ten, rounded, is the mantissa it was made of while that is below: the two roundings before
/// amount to less than a half.
const NEAR_MAX: f64 = 2_251_799_813_685_248.0;

/// The powers of ten that are exact doubles.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The nearest double, and whether it gives the decimal back.
pub(super) fn to_double(mantissa: i128, scale: Scale) -> (f64, bool) {
    let size = mantissa.unsigned_abs();
    if let Some(power) = POW10.get(usize::from(scale))
        && size < WHOLE_MAX
    {
        // Both are exact, so the division is the only rounding.
        let double = mantissa as f64 / power;
        if size < DIGITS_15 {
            return (double, true);
        }
    }
    let decimal = Decimal::new(mantissa, scale);
    let double: f64 = decimal.to_string().parse().unwrap_or(f64::NAN);
    (double, to_decimal(double) == Some(decimal))
}

/// The decimal of the shortest text of a double; `None` where it is none.
pub(super) fn to_decimal(double: f64) -> Option<Decimal> {
    Decimal::parse(double.to_string().as_bytes()).ok()
}

/// The mantissa at a scale of a double that gives its decimal back.
pub(super) fn to_mantissa(double: f64, scale: Scale) -> Option<i64> {
    let near = POW10.get(usize::from(scale)).map(|power| (double * power).round());
    match near {
        Some(near) if near.abs() < NEAR_MAX => Some(near as i64),
        _ => parse_mantissa(double.to_string().as_bytes(), scale).ok(),
    }
}

/// The mantissas at a scale of doubles that give their decimals back. One that does not
/// fit is 0; it stands in the column of exact text.
pub(crate) fn mantissas(doubles: &[f64], scale: Scale, out: &mut Vec<i64>) {
    // A double of this size has a last place of one: what is added to it is rounded to a whole number in its low bits.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    out.clear();
    let mut near = false;
    if let Some(power) = POW10.get(usize::from(scale)) {
        near = true;
        out.extend(doubles.iter().map(|double| {
            let exact = double * power;
            near &= exact.abs() < NEAR_MAX;
            (exact + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed()
        }));
    }
    if !near {
        out.clear();
        for double in doubles {
            out.push(to_mantissa(*double, scale).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(mantissa: i128, scale: Scale) -> Option<Decimal> {
        let (double, whole) = to_double(mantissa, scale);
        whole.then(|| to_decimal(double)).flatten()
    }

    #[test]
    fn a_number_of_too_many_digits_is_told() {
        assert!(!to_double(i128::from(i64::MAX), 0).1);
        assert!(!to_double(123_456_789_012_345_678, 9).1);
        assert!(to_double(500_000_000_000_000_000, 18).1, "0.5 has one digit");
        assert_eq!(to_double(618_003, 1).0.to_bits(), 61_800.3_f64.to_bits());
    }

    proptest! {
        #[test]
        fn what_is_said_to_come_back_does(mantissa: i64, scale in 0_u8..=18) {
            let wanted = Decimal::new(i128::from(mantissa), scale);
            if let Some(decimal) = back(i128::from(mantissa), scale) {
                prop_assert_eq!(decimal, wanted);
                let (double, _) = to_double(i128::from(mantissa), scale);
                prop_assert_eq!(to_mantissa(double, scale), Some(mantissa));
                let mut all = Vec::new();
                mantissas(&[double, 0.0], scale, &mut all);
                prop_assert_eq!(all, [mantissa, 0]);
            }
        }

        #[test]
        fn every_decimal_of_fifteen_digits_comes_back(mantissa in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_u8..=18) {
            let (double, whole) = to_double(i128::from(mantissa), scale);
            prop_assert!(whole);
            prop_assert_eq!(to_decimal(double), Some(Decimal::new(i128::from(mantissa), scale)));
            prop_assert_eq!(to_mantissa(double, scale), Some(mantissa));
        }
    }
}
