//! Checks that look at one event alone.

use model::Stamp;

const DAY_MS: u64 = 86_400_000;

/// Whether the venue's time is over a day from ours: a wrong unit, a default value, a clock that is off.
pub(crate) fn is_bad_time(stamp: &Stamp) -> bool {
    stamp.ts_event.is_some_and(|event| event.ms_since(stamp.ts_recv).unsigned_abs() > DAY_MS)
}
