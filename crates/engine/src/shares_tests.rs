use super::*;
use crate::{Config, Engine};
use model::ashare::Market as At;
use model::{Instrument, Level as Row, Levels, Qty, Stamp};
use source::ashare::{Market, View};
use std::sync::Arc;

#[allow(clippy::unnecessary_wraps, reason = "every field of a day may be missing")]
fn decimal(mantissa: i64, scale: u8) -> Option<Decimal> {
    Some(Decimal::new(i128::from(mantissa), scale))
}

fn event(instrument: &Arc<Instrument>, at: Ts, channel: Channel, body: Body) -> Event {
    let stamp = Stamp { ts_event: Some(at), ts_recv: at };
    Event { source: "s", instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

/// The two events that a source makes of a view.
fn told(instrument: &Arc<Instrument>, view: &View) -> [Event; 2] {
    let px = |px: Option<Px>| px.and_then(|px| decimal(px.0, instrument.px_scale));
    let stats = DayStats {
        open: px(view.open),
        high: px(view.high),
        low: px(view.low),
        last: px(view.last),
        volume: decimal(view.volume, 0),
        turnover: decimal(view.amount, instrument.px_scale),
        prev_close: px(Some(view.prev_close)),
        limit_down: px(view.limits.map(|l| l.0)),
        limit_up: px(view.limits.map(|l| l.1)),
        buy_volume: decimal(view.bought, 0),
        sell_volume: decimal(view.sold, 0),
        ..DayStats::default()
    };
    let levels = Levels::from_sides(&view.bids, &view.asks);
    let snapshot = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
    [
        event(instrument, view.ts, Channel::BookTop, Body::Snapshot(snapshot)),
        event(instrument, view.ts, Channel::DayStats, Body::DayStats(Box::new(stats))),
    ]
}

fn findings(events: &[Event]) -> Vec<(&str, &str)> {
    events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Finding(f) => Some((&*f.check, &*f.what)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_right_market_gives_no_finding_however_strictly_it_is_checked() {
    for seed in 0..4 {
        let date = Date::parse("2026-11-20").unwrap();
        let mut market = Market::new(seed, date, 60);
        let mut engine = Engine::new(Config { shares: Level::Strict, ..Config::default() });
        let listed: Vec<_> = market.listed().iter().map(|l| l.code).collect();
        let mut out = Vec::new();
        for minute in (555..=905).step_by(5) {
            market.advance(ashare::instant(date, minute * 60_000));
            for (index, code) in listed.iter().enumerate() {
                let title = market.title(index).unwrap_or_default();
                let instrument = Arc::new(ashare::instrument(*code, &title));
                let Some(view) = market.view(index) else { continue };
                for event in told(&instrument, &view) {
                    engine.on(event, &mut out);
                }
            }
        }
        assert_eq!(findings(&out), [], "seed {seed}");
        let halts = out.iter().filter(|e| e.body == Body::Status(Status::Halted)).count();
        assert_eq!(halts, out.iter().filter(|e| e.channel == Channel::Status).count(), "nothing opens again");
    }
}

struct One {
    engine: Engine,
    instrument: Arc<Instrument>,
    at: Ts,
    out: Vec<Event>,
}

impl One {
    fn new(level: Level) -> Self {
        let code = Code::new(At::Sh, "600000").unwrap();
        let instrument = Arc::new(ashare::instrument(code, "浦发银行"));
        let engine = Engine::new(Config { shares: level, ..Config::default() });
        let at = ashare::instant(Date::parse("2026-11-20").unwrap(), 10 * 3_600_000);
        Self { engine, instrument, at, out: Vec::new() }
    }

    /// Tells a day three seconds later; gives the findings.
    fn day(&mut self, change: impl FnOnce(&mut DayStats)) -> Vec<(String, String)> {
        let px = |px| decimal(px, 2);
        let mut stats = DayStats {
            open: px(995),
            high: px(1_000),
            low: px(980),
            last: px(990),
            volume: decimal(10_000, 0),
            turnover: decimal(9_900_000, 2),
            prev_close: px(993),
            limit_up: px(1_092),
            limit_down: px(894),
            buy_volume: decimal(6_000, 0),
            sell_volume: decimal(4_000, 0),
            ..DayStats::default()
        };
        change(&mut stats);
        self.tell(Channel::DayStats, Body::DayStats(Box::new(stats)))
    }

    fn tell(&mut self, channel: Channel, body: Body) -> Vec<(String, String)> {
        self.at = self.at.plus_ms(3_000);
        self.out.clear();
        self.engine.on(event(&self.instrument, self.at, channel, body), &mut self.out);
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        findings(&self.out).iter().map(own).collect()
    }

    fn book(&mut self, bids: &[i64], asks: &[i64]) -> Vec<(String, String)> {
        let rows =
            |side: &[i64]| -> Vec<Row> { side.iter().map(|px| Row { px: Px(*px), qty: Qty(100) }).collect() };
        let levels = Levels::from_sides(&rows(bids), &rows(asks));
        let snapshot = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
        self.tell(Channel::BookTop, Body::Snapshot(snapshot))
    }
}

type Change = fn(&mut DayStats);

#[test]
fn each_rule_that_is_broken_is_told_once_and_again_after_it_held() {
    let cases: [(&str, Change); 9] = [
        ("px_range", |s| s.last = decimal(1_001, 2)),
        ("px_tick", |s| s.last = decimal(9_905, 3)),
        ("px_limits", |s| s.high = decimal(1_093, 2)),
        ("turnover", |s| s.turnover = decimal(9_700_000, 2)),
        ("volume_unit", |s| s.volume = decimal(100, 0)),
        ("volume_sides", |s| s.buy_volume = decimal(7_000, 0)),
        ("cumulative_fell", |s| s.turnover = decimal(9_899_999, 2)),
        ("day_changed", |s| s.open = decimal(996, 2)),
        ("last_without_volume", |s| s.last = decimal(991, 2)),
    ];
    for (rule, change) in cases {
        let mut one = One::new(Level::Normal);
        assert_eq!(one.day(|_| {}), [], "{rule}");
        let first = one.day(change);
        assert!(first.iter().any(|(check, _)| check == rule), "{rule}: {first:?}");
        assert!(one.out[0].flags.has(Flags::SUSPECT), "{rule}");
        let again = one.day(change);
        assert!(
            rule == "cumulative_fell"
                || rule == "day_changed"
                || again.is_empty()
                || rule == "last_without_volume",
            "{rule}: {again:?}"
        );
        one.day(|_| {});
        one.day(|_| {});
        assert_eq!(one.out.len(), 1, "{rule} holds again");
        let last = one.day(change);
        assert!(last.iter().any(|(check, _)| check == rule), "{rule}: {last:?}");
    }
}

#[test]
fn a_volume_in_lots_is_told_as_such() {
    let mut one = One::new(Level::Loose);
    let found = one.day(|s| (s.volume, s.buy_volume) = (decimal(100, 0), None));
    assert_eq!(
        found,
        [(
            "volume_unit".to_owned(),
            "volume 100 and turnover do not fit: a hundred times it would fit: it is told in lots".to_owned()
        )]
    );
}

#[test]
fn limits_that_no_source_gives_are_checked_where_it_is_strict() {
    let without = |s: &mut DayStats| (s.limit_up, s.limit_down, s.high) = (None, None, decimal(1_093, 2));
    assert_eq!(One::new(Level::Normal).day(without), []);
    let found = One::new(Level::Strict).day(without);
    assert_eq!(found[0].0, "px_limits");
    assert_eq!(found[0].1, "9.8 to 10.93 is outside of the limits 8.94 to 10.92");
}

#[test]
fn levels_stand_in_order() {
    let mut one = One::new(Level::Normal);
    assert_eq!(one.book(&[990, 989], &[991, 992]), []);
    assert_eq!(one.book(&[990, 990], &[991])[0].0, "levels_order");
    assert_eq!(one.book(&[991], &[991, 992])[0].1, "bid 9.91 is not below ask 9.91");
    // In a call auction both sides show the one price.
    one.at = ashare::instant(Date::parse("2026-11-20").unwrap(), (9 * 60 + 16) * 60_000);
    assert_eq!(one.book(&[991], &[991]), []);
}

#[test]
fn trades_outside_of_the_session_and_a_time_that_goes_back_are_told() {
    let mut one = One::new(Level::Normal);
    one.at = ashare::instant(Date::parse("2026-11-20").unwrap(), (12 * 60) * 60_000);
    one.day(|_| {});
    assert!(one.out[0].flags.has(Flags::OUT_OF_SESSION));
    let more = |s: &mut DayStats| {
        (s.volume, s.turnover, s.buy_volume) = (decimal(10_100, 0), decimal(9_999_000, 2), decimal(6_100, 0));
    };
    assert_eq!(one.day(more)[0].1, "volume grew while nothing trades (lunch)");
    one.at = Ts(one.at.0 - 60_000_000_000);
    assert_eq!(one.day(more)[0].0, "time_back");
}

#[test]
fn a_share_without_levels_and_trades_is_halted_until_either_comes() {
    let mut one = One::new(Level::Normal);
    let none = |s: &mut DayStats| *s = DayStats { prev_close: decimal(993, 2), ..DayStats::default() };
    one.book(&[], &[]);
    one.day(none);
    assert_eq!(one.out[1].body, Body::Status(Status::Halted));
    one.day(none);
    assert_eq!(one.out.len(), 1);
    one.book(&[990], &[991]);
    assert_eq!(one.out[1].body, Body::Status(Status::Trading));
}
