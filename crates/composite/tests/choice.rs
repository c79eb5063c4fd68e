//! What is served while sources fail and come back, by the time alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use composite::{Breaker, Composite, Rules};
use model::ashare::{self, Code, TradingCalendar, instant};
use model::{
    Body, Channel, Date, DayStats, Decimal, Event, Flags, Instrument, LinkFact, LinkId, SourceName, Stamp, Ts,
};
use proptest::prelude::*;
use std::sync::Arc;

const CODES: [&str; 4] = ["600519.SH", "000001.SZ", "300750.SZ", "920118.BJ"];
const STEP_MS: u64 = 50;

/// A source as it really is.
#[derive(Clone, Debug)]
struct Real {
    name: SourceName,
    period_ms: u64,
    lag_ms: u64,
    /// From when to when it says nothing.
    dead: Vec<(Ts, Ts)>,
}

fn real(name: SourceName, period_ms: u64, lag_ms: u64) -> Real {
    Real { name, period_ms, lag_ms, dead: Vec::new() }
}

/// Sources that tell of stocks in rounds, and what is made of it.
struct World {
    sources: Vec<Real>,
    stocks: Vec<Arc<Instrument>>,
    one: Composite,
    now: Ts,
    found: Vec<(Ts, String, SourceName, String)>,
    /// When each source last spoke, by the same order.
    told: Vec<Option<Ts>>,
}

/// An instant of Friday, the 20th of November 2026, in Beijing.
fn at(hour: i64, minute: i64) -> Ts {
    instant(Date::parse("2026-11-20").unwrap(), (hour * 60 + minute) * 60_000)
}

fn event(source: SourceName, stock: &Arc<Instrument>, lag_ms: u64, now: Ts) -> Event {
    let stats = DayStats { last: Some(Decimal::new(140_851, 2)), ..DayStats::default() };
    let stamp = Stamp { ts_event: Some(Ts(now.0 - Ts::from_ms(lag_ms.cast_signed()).0)), ts_recv: now };
    let (instrument, channel) = (Arc::clone(stock), Channel::DayStats);
    Event { source, instrument, channel, flags: Flags::NONE, stamp, body: Body::DayStats(Box::new(stats)) }
}

impl World {
    fn new(sources: Vec<Real>, now: Ts) -> Self {
        let stocks = CODES.map(|c| Arc::new(ashare::instrument(Code::parse(c).unwrap(), "")));
        let one = Composite::new(Rules::default(), TradingCalendar::built_in(), now);
        let told = vec![None; sources.len()];
        Self { sources, stocks: stocks.into(), one, now, found: Vec::new(), told }
    }

    /// Lets the time go on, and looks at every step whether the rule holds.
    fn run_to(&mut self, end: Ts) {
        while self.now < end {
            self.now = self.now.plus_ms(STEP_MS);
            for (n, source) in self.sources.iter().enumerate() {
                let due = self.now.as_ms().unsigned_abs().is_multiple_of(source.period_ms);
                let dead = source.dead.iter().any(|(from, to)| (*from..*to).contains(&self.now));
                if due && !dead {
                    for stock in &self.stocks {
                        self.one.on(&event(source.name, stock, source.lag_ms, self.now), self.now);
                    }
                    self.told[n] = Some(self.now);
                }
            }
            let mut out = Vec::new();
            self.one.tick(self.now, &mut out);
            for event in out {
                let Body::Finding(f) = event.body else { panic!("{event:?}") };
                self.found.push((self.now, f.check.to_string(), event.source, f.what.to_string()));
            }
        }
    }

    fn served(&self) -> (SourceName, Ts) {
        let quote = self.one.quote(self.stocks[0].id, None, self.now).unwrap();
        (quote.source, quote.stamp.ts_recv)
    }

    fn checks(&self, check: &str) -> Vec<(Ts, SourceName)> {
        self.found.iter().filter(|f| f.1 == check).map(|f| (f.0, f.2)).collect()
    }

    fn breaker(&self, name: &str) -> Breaker {
        self.one.sources(self.now).iter().find(|s| s.source == name).unwrap().breaker
    }

    fn fail(&mut self, name: SourceName) {
        let link = LinkFact::Malformed { link: LinkId(1), what: "not a quote".into() };
        let mut event = event(name, &self.stocks[0], 0, self.now);
        (event.channel, event.body) = (Channel::Link, Body::Link(link));
        self.one.on(&event, self.now);
    }
}

#[test]
fn when_the_best_source_dies_quotes_go_on_within_one_of_its_periods_and_it_is_returned_to() {
    let mut best = real("a", 1_000, 100);
    let (dies, lives) = (at(10, 0).plus_ms(300), at(10, 2));
    best.dead.push((dies, lives));
    let mut world = World::new(vec![real("b", 3_000, 500), best], at(9, 40));
    world.run_to(at(10, 0));
    assert_eq!(world.served().0, "a", "the source with the shorter period is the best");
    world.found.clear();
    let due = at(10, 0).plus_ms(1_000);
    world.run_to(due.plus_ms(1_000));
    let (source, recv) = world.served();
    assert_eq!(source, "b");
    assert!(world.now.ms_since(recv) <= 3_000);
    let switch = world.checks("source_switch");
    assert_eq!(switch.len(), 1, "one finding for all instruments: {:?}", world.found);
    assert!(switch[0].0 <= due.plus_ms(1_000), "within one period of the update that did not come");
    assert!(world.found[0].3.starts_with("4 instruments now from b instead of a"), "{:?}", world.found);
    world.run_to(at(10, 1).plus_ms(59_900));
    assert_eq!(world.breaker("a"), Breaker::Open);
    world.run_to(at(10, 5));
    assert_eq!((world.served().0, world.breaker("a")), ("a", Breaker::Closed));
    assert_eq!(world.checks("source_return").len(), 1, "{:?}", world.found);
    assert_eq!(world.checks("source_switch").len(), 1);
    let breaker: Vec<&str> = world.found.iter().filter(|f| f.1 == "breaker").map(|f| &*f.3).collect();
    let begins = |n: usize, word: &str| assert!(breaker[n].starts_with(word), "{breaker:?}");
    begins(0, "open: no data for");
    begins(1, "half_open");
    begins(2, "closed");
    let when: Vec<(Ts, SourceName)> = world.checks("breaker");
    assert_eq!(when[2].0.ms_since(when[1].0), 2_000, "three updates of a source that tells every second");
    assert_eq!(breaker.len(), 3, "{breaker:?}");
}

#[test]
fn a_source_that_was_away_for_a_moment_comes_back_after_three_updates_in_time() {
    let mut best = real("a", 1_000, 100);
    best.dead.push((at(10, 0).plus_ms(300), at(10, 0).plus_ms(4_700)));
    let mut world = World::new(vec![real("b", 3_000, 500), best], at(9, 40));
    world.run_to(at(10, 0).plus_ms(6_900));
    assert_eq!(world.served().0, "b", "two updates are not enough");
    world.run_to(at(10, 0).plus_ms(7_100));
    assert_eq!(world.served().0, "a");
    assert_eq!(world.breaker("a"), Breaker::Closed);
    assert_eq!(world.checks("source_return").len(), 1);
}

#[test]
fn one_that_comes_and_goes_is_not_followed() {
    let mut flaky = real("a", 1_000, 100);
    for n in 0..60 {
        let from = at(10, 0).plus_ms(n * 5_000 + 300);
        flaky.dead.push((from, from.plus_ms(2_000)));
    }
    let mut world = World::new(vec![real("b", 3_000, 500), flaky], at(9, 40));
    world.run_to(at(10, 0));
    world.found.clear();
    world.run_to(at(10, 5));
    let moves = world.checks("source_switch").len() + world.checks("source_return").len();
    assert!(moves <= 3, "60 failures: {:?}", world.found);
    assert_eq!(world.served().0, "b");
}

#[test]
fn a_source_that_slows_down_is_measured_by_its_new_period() {
    let mut slower = real("a", 1_000, 100);
    for n in 0..100 {
        let from = at(10, 0).plus_ms(n * 3_000 + 300);
        slower.dead.push((from, from.plus_ms(2_000)));
    }
    let mut world = World::new(vec![real("b", 9_000, 500), slower], at(9, 40));
    world.run_to(at(10, 5));
    assert_eq!(world.served().0, "a", "{:?}", world.found);
    assert_eq!(world.one.sources(world.now)[0].period_ms, 3_000);
}

#[test]
fn a_closed_session_is_no_failure() {
    let closed = |from: Ts, to: Ts| (from, to);
    let mut all = vec![real("a", 1_000, 100), real("b", 3_000, 500)];
    for (source, ms) in all.iter_mut().zip([2_000, 4_000]) {
        // They stop a little after the close, the best one first, and begin a little after the opening.
        source.dead.push(closed(at(11, 30).plus_ms(ms), at(13, 0).plus_ms(1_000)));
        source.dead.push(closed(at(15, 0).plus_ms(2_000), at(23, 0)));
    }
    let mut world = World::new(all, at(11, 0));
    world.run_to(at(11, 20));
    world.found.clear();
    world.run_to(at(13, 5));
    assert_eq!(world.found, [], "the lunch break");
    world.run_to(at(14, 59));
    world.run_to(at(16, 0));
    assert_eq!(world.found, [], "the evening");
    assert_eq!(world.served().0, "a");
    assert!(!world.one.quote(world.stocks[0].id, None, world.now).unwrap().late);
}

#[test]
fn what_a_source_said_before_the_close_is_late_after_it() {
    let mut best = real("a", 1_000, 100);
    best.dead.push((at(14, 59).plus_ms(50_000), at(23, 0)));
    let mut world = World::new(vec![best, real("b", 3_000, 500)], at(14, 40));
    world.run_to(at(15, 30));
    assert_eq!(world.served().0, "b", "the closing price is with the one that saw the close");
    let late = |name| world.one.quote(world.stocks[0].id, Some(name), world.now).unwrap().late;
    assert_eq!((late("a"), late("b")), (true, false));
}

#[test]
fn failures_in_a_row_open_the_breaker_and_three_updates_close_it() {
    let mut world = World::new(vec![real("a", 1_000, 100), real("b", 3_000, 500)], at(9, 40));
    world.run_to(at(10, 0));
    for n in 0..5 {
        assert_eq!(world.breaker("a"), Breaker::Closed, "after {n} failures");
        world.fail("a");
    }
    assert_eq!(world.breaker("a"), Breaker::Open);
    world.run_to(at(10, 0).plus_ms(100));
    assert_eq!(world.served().0, "b", "its quotes are in time, but it fails");
    world.run_to(at(10, 1));
    assert_eq!(world.breaker("a"), Breaker::HalfOpen);
    world.fail("a");
    assert_eq!(world.breaker("a"), Breaker::Open, "a failure on trial");
    world.run_to(at(10, 2).plus_ms(2_500));
    assert_eq!((world.breaker("a"), world.served().0), (Breaker::Closed, "a"));
}

#[test]
fn one_that_fails_is_left_even_for_one_that_has_not_proven_itself_yet() {
    let mut back = real("b", 3_000, 500);
    back.dead.push((at(10, 0).plus_ms(100), at(10, 0).plus_ms(8_000)));
    let mut world = World::new(vec![real("a", 1_000, 100), back], at(9, 40));
    world.run_to(at(10, 0).plus_ms(9_100));
    assert_eq!(world.served().0, "a");
    (0..5).for_each(|_| world.fail("a"));
    world.run_to(at(10, 0).plus_ms(9_200));
    assert_eq!((world.served().0, world.breaker("b")), ("b", Breaker::Closed));
}

#[test]
fn a_source_whose_every_second_update_fails_is_taken_out() {
    let mut world = World::new(vec![real("a", 1_000, 100), real("b", 3_000, 500)], at(9, 40));
    world.run_to(at(10, 0));
    for second in 1..40 {
        world.fail("a");
        world.run_to(at(10, 0).plus_ms(second * 1_000));
    }
    assert_eq!(world.breaker("a"), Breaker::Open);
    assert!(world.one.sources(world.now)[0].error_permille >= 500);
}

#[test]
fn a_named_source_is_obeyed_and_says_that_it_is_late() {
    let mut dead = real("a", 1_000, 100);
    dead.dead.push((at(10, 0), at(12, 0)));
    let mut world = World::new(vec![dead, real("b", 3_000, 500)], at(9, 40));
    world.run_to(at(10, 1));
    let of = |name| world.one.quote(world.stocks[0].id, Some(name), world.now);
    assert_eq!((of("a").unwrap().source, of("a").unwrap().late), ("a", true));
    assert_eq!((of("b").unwrap().source, of("b").unwrap().late), ("b", false));
    assert!(of("c").is_none());
}

#[test]
fn the_better_of_two_goes_ahead_only_when_it_has_been_better_for_long_enough() {
    let mut fast = real("fast", 1_000, 100);
    fast.dead.push((at(9, 40), at(9, 40).plus_ms(5_000)));
    let mut world = World::new(vec![real("slow", 3_000, 500), fast], at(9, 40));
    world.run_to(at(9, 40).plus_ms(14_000));
    assert_eq!(world.served().0, "slow");
    world.run_to(at(9, 41));
    assert_eq!(world.served().0, "fast");
    let mut second = real("second", 2_950, 500);
    second.dead.push((at(9, 40), at(9, 40).plus_ms(5_000)));
    let mut like = World::new(vec![real("first", 3_000, 500), second], at(9, 40));
    like.run_to(at(9, 45));
    assert_eq!(like.served().0, "first", "a little better is no reason");
}

#[test]
fn a_lag_behind_the_venue_counts_like_a_longer_period() {
    let mut world = World::new(vec![real("late", 3_000, 15_000), real("prompt", 3_000, 200)], at(9, 40));
    world.run_to(at(9, 42));
    assert_eq!(world.served().0, "prompt");
    let seen = world.one.sources(world.now);
    assert_eq!((seen[0].lag_ms, seen[1].lag_ms), (Some(200), Some(15_000)));
    assert_eq!((seen[0].period_ms, seen[0].serves, seen[1].serves), (3_000, CODES.len(), 0));
}

fn worlds() -> impl Strategy<Value = Vec<Real>> {
    let name = prop::sample::subsequence(vec!["a", "b", "c", "d"], 2..=4);
    name.prop_flat_map(|names| {
        let one = |name: SourceName| {
            let dead = prop::collection::vec((0..600_000_u64, 1_000..90_000_u64), 0..4);
            (1..=12_u64, 0..5_000_u64, dead).prop_map(move |(period, lag_ms, dead)| Real {
                name,
                period_ms: period * 500,
                lag_ms,
                dead: dead
                    .into_iter()
                    .map(|(from, ms)| (at(11, 22).plus_ms(from), at(11, 22).plus_ms(from + ms)))
                    .collect(),
            })
        };
        names.into_iter().map(one).collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn never_is_a_quote_served_that_is_late_while_another_source_has_a_newer_one(sources in worlds()) {
        let mut world = World::new(sources, at(11, 20));
        while world.now < at(11, 33) {
            world.run_to(world.now.plus_ms(150));
            let Some(quote) = world.one.quote(world.stocks[1].id, None, world.now) else { continue };
            let (source, recv) = (quote.source, quote.stamp.ts_recv);
            let newest = world.told.iter().copied().max().flatten().unwrap();
            let period = world.one.sources(world.now).iter().find(|s| s.source == source).unwrap().period_ms;
            let until = world.now.min(at(11, 30));
            let age = until.ms_since(recv).max(0).unsigned_abs();
            prop_assert!(recv == newest || age <= period * 3 / 2, "{source}: {age} ms old, {} ms behind", newest.ms_since(recv));
        }
    }
}
