//! The clock, read here and nowhere else.

use model::Ts;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, by the host's clock.
pub fn now() -> Ts {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ts(since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
}

/// How long it is from `now` until `at`; zero where that has passed.
pub fn until(at: Ts, now: Ts) -> Duration {
    Duration::from_nanos(at.0.saturating_sub(now.0).max(0).cast_unsigned())
}
