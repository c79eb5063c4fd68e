//! Numbers of the wire as the model has them.

use model::Decimal;
use source::{Malformed, What};

/// From here on every binary32 is a whole number.
const WHOLE_FROM: f32 = 16_777_216.0;

/// A binary32 as a decimal: from 2^24 on the whole number that it is, below the shortest decimal that reads back as the same
/// binary32, which is the one it was made from where that had at most six digits.
///
/// # Errors
/// Where it is no number, or infinite.
pub fn decimal(value: f32, at: usize) -> Result<Decimal, Malformed> {
    let whole = value.abs() >= WHOLE_FROM;
    let text = if whole { format!("{value:.0}") } else { value.to_string() };
    // One below the smallest decimal that is held is nothing of anything that is traded.
    let tiny = value.abs() < 1e-30;
    let read = if tiny { Ok(Decimal::new(0, 0)) } else { Decimal::parse(text.as_bytes()) };
    read.map_err(|error| Malformed { at, what: What::Number(error) })
}

/// As [`decimal`], of what is never below zero.
///
/// # Errors
/// As [`decimal`], and where it is below.
pub fn positive(value: f32, at: usize) -> Result<Decimal, Malformed> {
    if value < 0.0 {
        return Err(Malformed { at, what: What::Rule("an amount is negative") });
    }
    decimal(value, at)
}

/// A price counted in units of 10^-`digits`.
pub fn scaled(value: i64, digits: u8) -> Decimal {
    Decimal::new(i128::from(value), digits)
}

/// A number of lots as single shares.
pub fn shares(lots: i64, lot: i64) -> Decimal {
    Decimal::new(i128::from(lots) * i128::from(lot), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary32_is_the_decimal_that_it_was_made_from() {
        for (value, text) in [
            (0.0, "0"),
            (36.71, "36.71"),
            (2.3, "2.3"),
            (3966.171, "3966.171"),
            (355_341.0, "355341"),
            (16_777_216.0, "16777216"),
            (1_654_559_872.0, "1654559872"),
            (765_432_102_912.0, "765432102912"),
            (-3.5, "-3.5"),
            (1e-40, "0"),
        ] {
            assert_eq!(decimal(value, 0).unwrap().to_string(), text);
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(decimal(value, 7).is_err_and(|fault| fault.at == 7));
        }
        assert!(positive(-1.0, 0).is_err() && positive(f32::MAX, 0).is_err() && positive(1e38, 0).is_ok());
    }
}
