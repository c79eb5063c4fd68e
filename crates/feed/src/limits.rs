//! How often a thing may be done. Pure: time is an argument.

use model::Ts;
use source::Rate;
use std::collections::VecDeque;

/// At most so much in any stretch of time (a sliding window), and nothing while blocked.
///
/// What was used is remembered one by one, so memory is bounded by the rate.
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: Rate,
    used: VecDeque<(Ts, u32)>,
    sum: u32,
    blocked_until: Option<Ts>,
}

impl Limiter {
    /// Nothing used yet. A rate of nothing at all counts as one; one without a stretch of time is no limit.
    pub fn new(rate: Rate) -> Self {
        let rate = Rate { max: rate.max.max(1), ..rate };
        Self { rate, used: VecDeque::new(), sum: 0, blocked_until: None }
    }

    /// Uses `weight` now. A weight above the whole limit counts as the whole limit.
    ///
    /// # Errors
    /// When to try again, where the limit does not allow it yet. Nothing is used then.
    pub fn take(&mut self, weight: u32, now: Ts) -> Result<(), Ts> {
        self.forget(now);
        if let Some(until) = self.blocked_until {
            return Err(until);
        }
        if self.rate.per_ms == 0 {
            return Ok(());
        }
        let weight = weight.min(self.rate.max);
        if self.sum + weight > self.rate.max {
            return Err(self.free_at(weight, now));
        }
        self.note(weight, now);
        Ok(())
    }

    /// Uses `weight` although nobody asked whether it may be used: a pong that had to be sent.
    pub fn note(&mut self, weight: u32, now: Ts) {
        if self.rate.per_ms > 0 && self.used.len() < self.rate.max as usize {
            self.sum = self.sum.saturating_add(weight);
            self.used.push_back((now, weight));
        }
    }

    /// Allows nothing before `until`: the venue said so.
    pub fn block(&mut self, until: Ts) {
        self.blocked_until = Some(self.blocked_until.map_or(until, |old| old.max(until)));
    }

    /// Until when nothing is allowed, where the venue said so.
    pub const fn blocked_until(&self) -> Option<Ts> {
        self.blocked_until
    }

    /// When enough of what was used falls out of the window.
    fn free_at(&self, weight: u32, now: Ts) -> Ts {
        let mut over = self.sum + weight - self.rate.max;
        for (at, used) in &self.used {
            over = over.saturating_sub(*used);
            if over == 0 {
                return at.plus_ms(self.rate.per_ms);
            }
        }
        now.plus_ms(self.rate.per_ms)
    }

    /// Lets go of what is out of the window. Where the clock went back, what seems to come is taken as of now.
    fn forget(&mut self, now: Ts) {
        if self.used.back().is_some_and(|(at, _)| *at > now) {
            for (at, _) in &mut self.used {
                *at = (*at).min(now);
            }
        }
        while let Some((at, weight)) = self.used.front().copied()
            && at.plus_ms(self.rate.per_ms) <= now
        {
            self.used.pop_front();
            self.sum = self.sum.saturating_sub(weight);
        }
        if self.blocked_until.is_some_and(|until| until <= now) {
            self.blocked_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Ts = Ts::from_ms(1_000_000);

    #[test]
    fn no_window_of_time_ever_holds_more_than_the_rate() {
        let rate = Rate { max: 5, per_ms: 1_000 };
        let mut limiter = Limiter::new(rate);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut taken: Vec<Ts> = Vec::new();
        let mut now = START;
        for _ in 0..2_000 {
            now = now.plus_ms(rng.u64(0..400));
            match limiter.take(1, now) {
                Ok(()) => taken.push(now),
                Err(at) => assert!(at > now && at <= now.plus_ms(1_000)),
            }
        }
        assert!(taken.windows(6).all(|w| w[5].ms_since(w[0]) >= 1_000));
        assert!(taken.len() > 1_500);
    }

    #[test]
    fn the_time_to_try_again_is_the_first_that_works() {
        let mut limiter = Limiter::new(Rate { max: 10, per_ms: 1_000 });
        limiter.take(4, START).unwrap();
        limiter.take(4, START.plus_ms(100)).unwrap();
        let at = limiter.take(5, START.plus_ms(200)).unwrap_err();
        assert_eq!(at, START.plus_ms(1_000));
        assert!(limiter.take(5, Ts(at.0 - 1)).is_err());
        assert!(limiter.take(5, at).is_ok());
        assert_eq!(limiter.take(50, at), Err(at.plus_ms(1_000)));
    }

    #[test]
    fn a_block_holds_until_its_end_and_the_longest_counts() {
        let mut limiter = Limiter::new(Rate { max: 10, per_ms: 1_000 });
        limiter.block(START.plus_ms(5_000));
        limiter.block(START.plus_ms(2_000));
        assert_eq!(limiter.take(1, START), Err(START.plus_ms(5_000)));
        assert!(limiter.take(1, START.plus_ms(5_000)).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stop_it_for_longer_than_the_window() {
        let mut limiter = Limiter::new(Rate { max: 1, per_ms: 1_000 });
        limiter.take(1, START.plus_ms(3_600_000)).unwrap();
        assert_eq!(limiter.take(1, START), Err(START.plus_ms(1_000)));
        assert!(limiter.take(1, START.plus_ms(1_000)).is_ok());
    }

    #[test]
    fn a_rate_without_a_stretch_of_time_is_no_limit() {
        let mut limiter = Limiter::new(Rate { max: 0, per_ms: 0 });
        for _ in 0..100 {
            limiter.take(7, START).unwrap();
        }
    }
}
