//! The clock, read here and nowhere else.

use model::Ts;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the process's clock is ahead of the host's, in ns.
static AHEAD_NS: AtomicI64 = AtomicI64::new(0);

/// Now, by the host's clock, or by the one that was [`set`].
pub fn now() -> Ts {
    Ts(host().saturating_add(AHEAD_NS.load(Ordering::Relaxed)))
}

/// Lets it be `at` now, for a rehearsal of another time. Meant to be called before anything else reads the clock.
pub fn set(at: Ts) {
    AHEAD_NS.store(at.0.saturating_sub(host()), Ordering::Relaxed);
}

fn host() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// How long it is from `now` until `at`; zero where that has passed.
pub fn until(at: Ts, now: Ts) -> Duration {
    Duration::from_nanos(at.0.saturating_sub(now.0).max(0).cast_unsigned())
}
