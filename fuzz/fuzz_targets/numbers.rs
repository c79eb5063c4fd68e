//! Any text as a number: what is read comes back as the same number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Decimal, parse_mantissa, write_mantissa};

fuzz_target!(|data: &[u8]| {
    let Some((&scale, text)) = data.split_first() else { return };
    let scale = scale % 19;
    if let Ok(mantissa) = parse_mantissa(text, scale) {
        let mut out = Vec::new();
        write_mantissa(mantissa, scale, &mut out);
        assert_eq!(parse_mantissa(&out, scale), Ok(mantissa));
        assert_eq!(Decimal::parse(text).ok().and_then(|d| d.mantissa_at(scale)), Some(mantissa));
    }
});
