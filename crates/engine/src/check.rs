//! Checks that look at one event alone.

use model::{Flags, Stamp};

const DAY_MS: u64 = 86_400_000;
/// How far ahead of ours a venue's time may be, in ms.
const AHEAD_MS: i64 = 1_000;

/// What is wrong with the venue's time: over a day from ours is a wrong unit, a default value or a clock that is off; a
/// little after ours is a clock that is off.
pub(crate) fn times(stamp: &Stamp) -> Flags {
    let Some(ahead) = stamp.ts_event.map(|event| event.ms_since(stamp.ts_recv)) else { return Flags::NONE };
    if ahead.unsigned_abs() > DAY_MS {
        Flags::BAD_TIME
    } else if ahead > AHEAD_MS {
        Flags::SKEWED
    } else {
        Flags::NONE
    }
}
