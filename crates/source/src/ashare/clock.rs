//! From the real time to the time of the market.

use model::Ts;
use model::ashare::{Board, Market, Phase, Section, instant, local};

use super::days::Days;

/// In the middle of the morning session: 10:00:00, in milliseconds after midnight.
pub const MID_SESSION_MS: i64 = 10 * 3_600_000;

/// Lets a market trade at any hour of the real day: market time begins at a chosen instant and runs at a chosen speed.
///
/// What a simulator sends carries market times. So that they are not absurd to a reader, the market begins on the
/// latest trading day at whose chosen time the real clock has been already: the real time is never behind it at speed
/// 1, and ahead of it by days at most. At a higher speed the market overtakes the real clock in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    real: Ts,
    market: Ts,
    speed: u32,
}

impl Clock {
    /// At the real time where shares trade continuously then, else in the middle of the session of the latest trading day
    /// ([`MID_SESSION_MS`]); `speed` as in [`Clock::new`].
    pub fn of(real: Ts, speed: u32) -> Self {
        let (date, ms) = local(real);
        let main = Section { market: Market::Sh, board: Board::Main };
        let trades = main.phase(date, ms) == Phase::Continuous;
        Self::new(real, if trades { ms } else { MID_SESSION_MS }, speed)
    }

    /// From `real` on, market time runs from `ms` milliseconds after midnight of the latest trading day, `speed` times as
    /// fast as the real time (1 to 1000). [`MID_SESSION_MS`] is a time at which everything trades; 33 290 000 (09:14:50)
    /// is just before the opening call.
    pub fn new(real: Ts, ms: i64, speed: u32) -> Self {
        let (date, _) = local(real);
        let days = Days::around(date);
        let mut day = days.at_or_before(date);
        if days.get(day).is_some_and(|date| instant(date, ms) > real) {
            day = day.saturating_sub(1);
        }
        let market = days.get(day).map_or(real, |date| instant(date, ms));
        Self { real, market, speed: speed.clamp(1, 1000) }
    }

    /// Where the market stands at a real time; before the start it stands at its start.
    pub fn market(&self, real: Ts) -> Ts {
        let passed = real.0.saturating_sub(self.real.0).max(0);
        Ts(self.market.0.saturating_add(passed.saturating_mul(i64::from(self.speed))))
    }

    /// The real time at which the market stands at `market`: when to be woken.
    pub fn real(&self, market: Ts) -> Ts {
        let passed = market.0.saturating_sub(self.market.0).max(0);
        let speed = i64::from(self.speed);
        Ts(self.real.0.saturating_add(passed / speed + i64::from(passed % speed != 0)))
    }

    /// Where the market began.
    pub fn start(&self) -> Ts {
        self.market
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Date;

    fn at(date: &str, ms: i64) -> Ts {
        instant(Date::parse(date).unwrap(), ms)
    }

    #[test]
    fn the_market_begins_on_the_latest_trading_day_whose_hour_has_come() {
        for (real, expected) in [
            (at("2026-11-21", 0), "2026-11-20"),
            (at("2026-11-20", MID_SESSION_MS), "2026-11-20"),
            (at("2026-11-20", MID_SESSION_MS - 1), "2026-11-19"),
            (at("2026-10-05", 0), "2026-09-30"),
        ] {
            let clock = Clock::new(real, MID_SESSION_MS, 1);
            assert_eq!(clock.market(real), at(expected, MID_SESSION_MS));
            assert!(clock.market(real.plus_ms(5)) <= real.plus_ms(5));
        }
    }

    #[test]
    fn in_trading_hours_the_market_has_the_real_time() {
        let half_past_one = 13 * 3_600_000 + 1_800_000;
        for (real, expected) in [
            (at("2026-11-20", half_past_one), at("2026-11-20", half_past_one)),
            (at("2026-11-21", half_past_one), at("2026-11-20", half_past_one)),
            (at("2026-11-20", 12 * 3_600_000), at("2026-11-20", MID_SESSION_MS)),
            (at("2026-11-20", 9 * 3_600_000), at("2026-11-19", MID_SESSION_MS)),
        ] {
            assert_eq!(Clock::of(real, 1).start(), expected);
        }
    }

    #[test]
    fn a_faster_market_is_woken_in_time() {
        let real = at("2026-11-21", 0);
        let clock = Clock::new(real, MID_SESSION_MS, 1000);
        assert_eq!(clock.market(real.plus_ms(3)), clock.start().plus_ms(3000));
        for ms in [0, 1, 3000, 12_345] {
            let wanted = clock.start().plus_ms(ms);
            let woken = clock.real(wanted);
            assert!(clock.market(woken) >= wanted && clock.market(Ts(woken.0 - 1)) < wanted || ms == 0);
        }
    }
}
