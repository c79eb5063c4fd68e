//! What a day brings to one listed thing: reference price, limits, and where it closes. The days of a share follow from
//! each other; what happens inside a day follows from its plan alone.

use super::days::Days;
use super::listing::Listed;
use super::luck::Luck;
use model::ashare::limits;
use model::{Date, Px};

/// What a company gives to its shareholders on an ex-date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExRights {
    /// The first day on which the share trades without it.
    pub date: Date,
    /// Cash for ten shares, as a mantissa at the share's scale of prices.
    pub cash: i64,
    /// Shares given for ten.
    pub bonus: i64,
    /// Shares offered for ten.
    pub rights: i64,
    /// The price of an offered share.
    pub rights_px: Px,
    /// The close before.
    pub close: Px,
    /// The reference price that follows: (close × 10 − cash + rights price × rights) ÷ (10 + bonus + rights), rounded half up to the tick.
    pub reference: Px,
}

/// A day of one listed thing. Prices are in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The day's number.
    pub day: usize,
    pub date: Date,
    /// The exchange's reference price.
    pub prev: i64,
    pub open: i64,
    pub close: i64,
    pub limits: Option<(i64, i64)>,
    pub halted: bool,
    pub ex: Option<ExRights>,
    /// About how many shares will be traded.
    pub volume: i64,
    /// Trading days since the listing; `None` where that is before the history.
    pub listed_days: Option<u32>,
    /// Where in the day, in thousandths, the close is reached for good: a share at its limit stays there from then on.
    pub sealed_at: Option<i64>,
}

/// The plan of day `number`, or `None` before the listing and beyond the days known.
pub(super) fn plan(seed: u64, one: &Listed, days: &Days, number: usize) -> Option<Plan> {
    walk(seed, one, days).take_while(|plan| plan.day <= number).last().filter(|plan| plan.day == number)
}

/// The plans of all days since the listing, or since the history begins.
pub(super) fn walk<'a>(seed: u64, one: &'a Listed, days: &'a Days) -> impl Iterator<Item = Plan> + 'a {
    let start = one.since_day.unwrap_or(0);
    let first = make(seed, one, days, start, one.anchor);
    std::iter::successors(first, move |plan| next(seed, one, days, plan))
}

/// The plan of the day after.
pub(super) fn next(seed: u64, one: &Listed, days: &Days, plan: &Plan) -> Option<Plan> {
    make(seed, one, days, plan.day + 1, plan.close)
}

fn make(seed: u64, one: &Listed, days: &Days, day: usize, close_before: i64) -> Option<Plan> {
    let date = days.get(day)?;
    let mut luck = Luck::of([seed, 2, one.key(), day as u64]);
    let listed_days = one.since_day.map(|at| u32::try_from(day.saturating_sub(at)).unwrap_or(u32::MAX));
    let fate = Fate::of(one, day == days.first);
    let ex = ex_rights(&mut luck, one, day, date, close_before, fate, listed_days != Some(0));
    let prev = ex.map_or(close_before, |ex| ex.reference.0 / one.tick);
    let limits = limits(one.section, one.st, date, Px(prev * one.tick), one.tick, listed_days)
        .map(|(down, up)| (down.0 / one.tick, up.0 / one.tick));
    let halted = one.is_share()
        && listed_days != Some(0)
        && (fate == Fate::Halted || Luck::of([seed, 3, one.key(), day as u64 / 10]).permille(3));
    let (close, sealed) = close(&mut luck, one, prev, limits, fate, listed_days.is_some_and(|days| days < 5));
    let open = open(&mut luck, prev, close, limits, sealed);
    // Hardly any of the float changes hands on a day, more of it when the price moves.
    let turnover = 20 + luck.below(200) + (close - prev).abs() * 3_000 / prev.max(1);
    let volume = one.float_shares / 10_000 * turnover;
    Some(Plan {
        day,
        date,
        prev,
        open: if halted { prev } else { open },
        close: if halted { prev } else { close },
        limits,
        halted,
        ex,
        volume,
        listed_days,
        sealed_at: sealed.then(|| 20 + luck.below(900)),
    })
}

/// What some shares meet on the market's first day, so that a market of some size has it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Ordinary,
    Halted,
    Up,
    Down,
    ExDate,
}

impl Fate {
    fn of(one: &Listed, first_day: bool) -> Self {
        match one.place.filter(|_| first_day) {
            Some(place) if place % 101 == 11 => Self::Halted,
            Some(place) if place % 61 == 5 => Self::Up,
            Some(place) if place % 83 == 9 => Self::Down,
            Some(place) if place % 211 == 17 => Self::ExDate,
            _ => Self::Ordinary,
        }
    }
}

/// The close, and whether it is a limit at which the day stays once it is reached. A `new` share moves far where no limit
/// holds it.
fn close(
    luck: &mut Luck,
    one: &Listed,
    prev: i64,
    limits: Option<(i64, i64)>,
    fate: Fate,
    new: bool,
) -> (i64, bool) {
    let wide = if one.is_index() || !one.is_share() { 60 } else { 150 };
    let drawn = ((one.anchor - prev) * 100 / prev.max(1)).clamp(-100, 100);
    let mut move_bp = drawn + (0..4).map(|_| luck.around(wide)).sum::<i64>();
    let extreme = luck.below(1000);
    let Some((down, up)) = limits else {
        if new {
            move_bp = -2_000 + luck.below(7_000);
        }
        return ((prev + prev * move_bp / 10_000).max(1), false);
    };
    let share = one.is_share();
    match fate {
        Fate::Up => return (up, true),
        Fate::Down => return (down, true),
        _ if share && extreme < 12 => return (up, true),
        _ if share && extreme < 18 => return (down, true),
        _ => {}
    }
    ((prev + prev * move_bp / 10_000).clamp(down, up), false)
}

fn open(luck: &mut Luck, prev: i64, close: i64, limits: Option<(i64, i64)>, sealed: bool) -> i64 {
    // Some open at the limit and never leave it.
    if sealed && luck.permille(200) {
        return close;
    }
    let gap = (close - prev) * luck.below(60) / 100 + prev * luck.around(50) / 10_000;
    let (down, up) = limits.unwrap_or((1, i64::MAX));
    (prev + gap).clamp(down, up).max(1)
}

/// The companies that give something do it once in 243 trading days.
fn ex_rights(
    luck: &mut Luck,
    one: &Listed,
    day: usize,
    date: Date,
    close: i64,
    fate: Fate,
    traded: bool,
) -> Option<ExRights> {
    let (cash, kind) = (luck.below(30) + 5, luck.below(10));
    if !(one.is_share() && traded && (day % 243 == one.ex_habit || fate == Fate::ExDate)) {
        return None;
    }
    let close = close * one.tick;
    // From half a percent to three and a half of the price, in cents for ten shares.
    let cash = (close * cash / 100).max(1);
    let bonus = if kind < 3 { kind + 2 } else { 0 };
    let rights = if kind == 9 { 3 } else { 0 };
    let rights_px = if rights > 0 { (close * 7 / 10).max(1) } else { 0 };
    let (above, below) = (close * 10 - cash + rights_px * rights, (10 + bonus + rights) * one.tick);
    let reference = ((above + below / 2) / below).max(1) * one.tick;
    Some(ExRights {
        date,
        cash,
        bonus,
        rights,
        rights_px: Px(rights_px),
        close: Px(close),
        reference: Px(reference),
    })
}

#[cfg(test)]
mod tests {
    use super::super::listing::list;
    use super::*;

    #[test]
    fn days_follow_from_each_other_inside_their_limits() {
        let days = Days::around(Date::parse("2026-11-20").unwrap());
        for one in list(3, 200, days.first) {
            let (mut last, mut seen): (Option<Plan>, usize) = (None, 0);
            for plan in walk(3, &one, &days) {
                let before = last.map_or(one.anchor, |last| last.close);
                assert_eq!(
                    plan.prev,
                    plan.ex.map_or(before, |ex| ex.reference.0),
                    "{:?} {}",
                    one.code,
                    plan.date
                );
                if let Some(ex) = plan.ex {
                    assert!(ex.close == Px(before) && ex.reference < ex.close && ex.cash > 0);
                    let exact = ex.close.0 * 10 - ex.cash + ex.rights_px.0 * ex.rights;
                    let parts = 10 + ex.bonus + ex.rights;
                    assert!((ex.reference.0 * parts - exact).abs() * 2 <= parts);
                }
                if let Some((down, up)) = plan.limits {
                    assert!((down..=up).contains(&plan.close) && (down..=up).contains(&plan.open));
                }
                assert!(plan.open > 0 && plan.close > 0 && plan.volume > 0);
                assert!(!plan.halted || plan.close == plan.prev);
                seen += 1;
                last = Some(plan);
            }
            assert_eq!(seen, days.first + 1 - one.since_day.unwrap_or(0));
            assert_eq!(last.map(|plan| plan.close), plan(3, &one, &days, days.first).map(|plan| plan.close));
        }
    }

    #[test]
    fn the_first_day_has_every_fate() {
        let days = Days::around(Date::parse("2026-11-20").unwrap());
        let all = list(1, 400, days.first);
        let plans: Vec<Plan> = all.iter().filter_map(|one| plan(1, one, &days, days.first)).collect();
        assert!(plans.iter().filter(|p| p.halted).count() >= 3);
        assert!(plans.iter().filter(|p| p.limits.is_some_and(|(_, up)| p.close == up)).count() >= 5);
        assert!(plans.iter().filter(|p| p.limits.is_some_and(|(down, _)| p.close == down)).count() >= 3);
        assert!(plans.iter().any(|p| p.ex.is_some()));
        assert!(plans.iter().any(|p| p.listed_days == Some(0) && p.limits.is_none()));
    }
}
