//! One synthetic A-share market, for the simulators of all sources that tell of it.
//!
//! Everything follows from the seed, the first day and the number of shares: two markets made alike show the same at the
//! same market time, however they were advanced and whatever was asked of them before. So simulators of different
//! sources agree with each other to the share and the cent, without knowing of each other.
//!
//! The market moves in slots of 3 s, as the snapshots of the exchanges do; days before its first are made by the minute.
//! It keeps the rules of [`model::ashare`]: boards, ticks, price limits, trading days, call auctions. Indices move on their
//! own, not as the sum of their members.
//!
//! ```
//! use source::ashare::Market;
//! use source::SimSetup;
//!
//! let setup = SimSetup { start: model::Ts::from_ms(1_760_000_000_000), instruments: 100, ..SimSetup::default() };
//! let (mut market, clock) = Market::of(&setup);
//! let now = setup.start.plus_ms(60_000);
//! market.advance(clock.market(now));
//! for index in 0..market.listed().len() {
//!     let Some(view) = market.view(index) else { continue };
//!     assert!(view.halted || view.last.is_some());
//! }
//! ```

mod bars;
mod clock;
mod day;
mod days;
mod groups;
mod listing;
mod luck;
mod plan;
#[cfg(test)]
mod tests;
mod view;

pub use bars::{Bar, MINUTES};
pub use clock::{Clock, MID_SESSION_MS};
pub use day::{Auction, Kind, Print, SLOT_MS};
pub use days::HISTORY_DAYS;
pub use groups::{Hot, Sector, SectorKind};
pub use listing::{INDUSTRIES, Listed, SHARES_MAX};
pub use plan::ExRights;
pub use view::{LEVELS, View};

use crate::SimSetup;
use day::{BEGIN_MS, CLEARED_MS, Day, END_MS, Frame};
use days::Days;
use model::ashare::{Code, instant, local};
use model::{Date, Px, Ts};
use plan::Plan;
use std::collections::BTreeMap;

/// The market. Times are market times throughout; see [`Clock`].
#[derive(Clone, Debug)]
pub struct Market {
    seed: u64,
    days: Days,
    listed: Vec<Listed>,
    by_code: BTreeMap<Code, usize>,
    sectors: Vec<Sector>,
    /// What has been looked at, as it stood then.
    seen: Vec<Option<(Plan, Day)>>,
    now: Ts,
    /// The number of the trading date in force, and how far it has gone, in ms after its midnight.
    day: usize,
    until: i64,
}

impl Market {
    /// A market that stands at 09:00 of `date`, or of the last trading day before it, with so many shares (at most
    /// [`SHARES_MAX`]) and a dozen indices, funds, convertible bonds and a B share after them.
    pub fn new(seed: u64, date: Date, shares: usize) -> Self {
        let days = Days::around(date);
        let listed = listing::list(seed, shares, days.first);
        let by_code = listed.iter().enumerate().map(|(at, one)| (one.code, at)).collect();
        let now = days.get(days.first).map_or(date.start(), |date| instant(date, CLEARED_MS));
        Self {
            seed,
            sectors: groups::sectors(seed, &listed),
            seen: vec![None; listed.len()],
            day: days.first,
            until: CLEARED_MS,
            days,
            listed,
            by_code,
            now,
        }
    }

    /// The market of a simulator, and the clock that takes the real time to its own, and goes as fast; see [`Clock::of`].
    pub fn of(setup: &SimSetup) -> (Self, Clock) {
        let clock = Clock::of(setup.start, 1);
        let mut market = Self::new(setup.seed, local(clock.start()).0, setup.instruments);
        market.advance(clock.start());
        (market, clock)
    }

    /// Lets time pass; a time that has been already changes nothing. Costs next to nothing: each thing catches up when it
    /// is looked at.
    pub fn advance(&mut self, to: Ts) {
        if to <= self.now {
            return;
        }
        self.now = to;
        let (date, ms) = local(to);
        self.days.extend(date);
        let told = if ms < CLEARED_MS { date.plus_days(-1) } else { date };
        self.day = self.days.at_or_before(told).max(self.days.first);
        self.until = if self.days.get(self.day) == Some(date) { ms } else { i64::MAX };
    }

    /// The market's time.
    pub fn now(&self) -> Ts {
        self.now
    }

    /// The end of the slot that is under way: the next time at which a view can change.
    pub fn next_slot(&self) -> Ts {
        let slot = SLOT_MS * 1_000_000;
        Ts(self.now.0.saturating_sub(self.now.0.rem_euclid(slot)).saturating_add(slot))
    }

    /// The trading date that sources show: from 09:00 on the day itself, before that the last one.
    pub fn date(&self) -> Date {
        self.days.get(self.day).unwrap_or_else(|| local(self.now).0)
    }

    /// The last `n` trading days, oldest first, the one in force at the end.
    pub fn trading_days(&self, n: usize) -> Vec<Date> {
        let end = self.day + 1;
        (end.saturating_sub(n)..end).filter_map(|day| self.days.get(day)).collect()
    }

    /// All that is listed, shares first. The places do not change.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The place of a code in the list.
    pub fn find(&self, code: Code) -> Option<usize> {
        self.by_code.get(&code).copied()
    }

    /// The industries, then the concepts.
    pub fn sectors(&self) -> &[Sector] {
        &self.sectors
    }

    /// The `n` shares that are looked at most in this hour, with how they moved since the hour before.
    pub fn hot(&self, n: usize) -> Vec<Hot> {
        groups::hot(self.seed, &self.listed, self.now, n)
    }

    /// The state of what stands at a place of the list; `None` where nothing does.
    pub fn view(&mut self, index: usize) -> Option<View> {
        let one = self.listed.get(index)?;
        let seen = self.seen.get_mut(index)?;
        let plan = match seen.take() {
            Some((plan, day)) if plan.day == self.day => {
                *seen = Some((plan, day));
                plan
            }
            Some((plan, _)) if plan.day + 1 == self.day => plan::next(self.seed, one, &self.days, &plan)?,
            _ => plan::plan(self.seed, one, &self.days, self.day)?,
        };
        let frame = Frame { seed: self.seed, one, plan: &plan, past: false };
        let (_, day) = seen.get_or_insert_with(|| (plan, Day::new(&frame)));
        day.run(&frame, self.until, |_| {});
        Some(view::view(&frame, day, self.until >= BEGIN_MS))
    }

    /// Its name with the marks of the day: `N` on the day of listing, `C` on the days without limits after it, `XD` (cash)
    /// or `DR` (cash and shares) on an ex-date.
    pub fn title(&self, index: usize) -> Option<String> {
        let one = self.listed.get(index)?;
        let name = &one.instrument.title;
        let (_, plan) = self.planned(index, self.date())?;
        let mark = match (plan.ex, plan.listed_days) {
            (Some(ex), _) if ex.bonus + ex.rights > 0 => "DR",
            (Some(_), _) => "XD",
            (None, Some(0)) if one.is_share() => "N",
            (None, Some(_)) if one.is_share() && plan.limits.is_none() => "C",
            _ => return Some(name.to_string()),
        };
        // A title has room for eight bytes of GBK.
        let room = if mark.len() == 2 { 3 } else { 4 };
        Some(mark.chars().chain(name.chars().take(room)).collect())
    }

    /// The prints of a trading day, oldest first, of today up to now. Empty where it was suspended, not listed yet, or the
    /// day is none of this market.
    pub fn prints(&self, index: usize, date: Date) -> Vec<Print> {
        let mut all = Vec::new();
        if let Some((one, plan)) = self.planned(index, date) {
            self.replay(one, &plan, |print| all.push(*print));
        }
        all
    }

    /// The minutes of a trading day, as [`Market::prints`], each flat where nothing was traded; [`MINUTES`] of a whole day.
    pub fn minutes(&self, index: usize, date: Date) -> Vec<Bar> {
        let prints = self.prints(index, date);
        match self.planned(index, date) {
            Some((one, plan)) if !prints.is_empty() => {
                bars::minutes(date, Px(plan.prev * one.tick), &prints, self.until(&plan))
            }
            _ => Vec::new(),
        }
    }

    /// The last `n` days on which it traded, oldest first, today with what has been traded so far.
    pub fn day_bars(&self, index: usize, n: usize) -> Vec<Bar> {
        let Some(one) = self.listed.get(index) else { return Vec::new() };
        let plans: Vec<Plan> =
            plan::walk(self.seed, one, &self.days).take_while(|plan| plan.day <= self.day).collect();
        let mut bars = Vec::new();
        for plan in plans.iter().rev().filter(|plan| !plan.halted) {
            if bars.len() == n {
                break;
            }
            let day = self.replay(one, plan, |_| {});
            let Some((open, high, low, close)) = day.prices else { continue };
            let px = |ticks: i64| Px(ticks * one.tick);
            bars.push(Bar {
                start: instant(plan.date, 0),
                open: px(open),
                high: px(high),
                low: px(low),
                close: px(close),
                volume: day.volume,
                amount: day.amount,
                trades: day.trades,
            });
        }
        bars.reverse();
        bars
    }

    /// What the company has given to its shareholders, oldest first, up to today.
    pub fn ex_rights(&self, index: usize) -> Vec<ExRights> {
        let Some(one) = self.listed.get(index) else { return Vec::new() };
        let plans = plan::walk(self.seed, one, &self.days).take_while(|plan| plan.day <= self.day);
        plans.filter_map(|plan| plan.ex).collect()
    }

    /// What the call auctions of a trading day showed at the end of each slot, of today up to now.
    pub fn auctions(&self, index: usize, date: Date) -> Vec<(Ts, Auction)> {
        let Some((one, plan)) = self.planned(index, date) else { return Vec::new() };
        let frame = self.frame(one, &plan);
        let (mut day, mut all) = (Day::new(&frame), Vec::new());
        let until = self.until(&plan).min(END_MS);
        while day.at <= until {
            if let Some(auction) = day.auction(&frame) {
                all.push((instant(plan.date, day.at), auction));
            }
            let next = day.at + frame.slot_ms();
            day.run(&frame, next.min(until), |_| {});
            if day.at < next {
                break;
            }
        }
        all
    }

    /// When it was listed; `None` where that is before the history, of [`HISTORY_DAYS`] trading days.
    pub fn listing_date(&self, index: usize) -> Option<Date> {
        self.listed.get(index)?.since_day.and_then(|at| self.days.get(at))
    }

    fn planned(&self, index: usize, date: Date) -> Option<(&Listed, Plan)> {
        let one = self.listed.get(index)?;
        let day = self.days.find(date).filter(|day| *day <= self.day)?;
        let seen = self.seen.get(index).and_then(|seen| seen.as_ref()).filter(|(plan, _)| plan.day == day);
        let plan = match seen {
            Some((plan, _)) => *plan,
            None => plan::plan(self.seed, one, &self.days, day)?,
        };
        Some((one, plan))
    }

    fn frame<'a>(&self, one: &'a Listed, plan: &'a Plan) -> Frame<'a> {
        Frame { seed: self.seed, one, plan, past: plan.day < self.days.first }
    }

    /// How far a day has gone.
    fn until(&self, plan: &Plan) -> i64 {
        if plan.day == self.day { self.until } else { i64::MAX }
    }

    fn replay(&self, one: &Listed, plan: &Plan, tell: impl FnMut(&Print)) -> Day {
        let frame = self.frame(one, plan);
        let mut day = Day::new(&frame);
        day.run(&frame, self.until(plan), tell);
        day
    }
}
