//! How long to wait before the next try.

use source::Fault;

/// The first wait, in ms.
pub const FIRST_MS: u64 = 500;
/// The longest wait, in ms.
pub const LONGEST_MS: u64 = 60_000;
/// After how long on one connection its earlier failures are forgiven, in ms.
pub const FORGIVEN_MS: i64 = 60_000;

/// Failures since the last time that went well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The wait after a failure: doubled each time, and a random half of it taken off so that many do not come at once.
    pub fn wait_ms(&mut self, fault: Fault, rng: &mut fastrand::Rng) -> u64 {
        let first = self.tries == 0;
        self.tries = self.tries.saturating_add(1);
        let full = match fault {
            Fault::Stale | Fault::Planned if first => return 0,
            Fault::Refused => LONGEST_MS,
            Fault::Stale | Fault::Planned | Fault::Protocol => {
                FIRST_MS.saturating_mul(1 << (self.tries - 1).min(16)).min(LONGEST_MS)
            }
        };
        rng.u64(full / 2..=full)
    }

    /// Forgets the failures.
    pub fn forgive(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_are_forgiven() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut backoff = Backoff::default();
        for full in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let ms = backoff.wait_ms(Fault::Protocol, &mut rng);
            assert!((full / 2..=full).contains(&ms), "{ms} of {full}");
        }
        backoff.forgive();
        assert_eq!(backoff.wait_ms(Fault::Stale, &mut rng), 0);
        assert!(backoff.wait_ms(Fault::Stale, &mut rng) >= 500);
        backoff.forgive();
        assert!(backoff.wait_ms(Fault::Refused, &mut rng) >= 30_000);
    }
}
