use super::*;
use crate::{Config, Engine};
use model::{InstrumentKind, Px, Qty, TradeId};
use source::ashare::Market;
use std::sync::Arc;

const ALL: [Interval; 6] =
    [Interval::M1, Interval::M5, Interval::M15, Interval::M30, Interval::H1, Interval::D1];

fn engine() -> Engine {
    Engine::new(Config { bars: ALL.to_vec(), ..Config::default() })
}

fn bars(out: &[Event], interval: &str) -> Vec<Bar> {
    let of = |event: &Event| match &event.body {
        Body::Bar(bar) if &*bar.interval == interval => Some((**bar).clone()),
        _ => None,
    };
    let mut all: Vec<Bar> = Vec::new();
    for bar in out.iter().filter_map(of) {
        // A bar told again replaces what was told.
        all.retain(|b| b.start != bar.start);
        all.push(bar);
    }
    all
}

fn trade(instrument: &Arc<Instrument>, at_ms: i64, px: i64, qty: i64) -> Event {
    let trade = Trade { id: TradeId::Num(1), px: Px(px), qty: Qty(qty), aggressor: None, count: 1 };
    Event {
        source: "s",
        instrument: Arc::clone(instrument),
        channel: Channel::Trades,
        flags: Flags::NONE,
        stamp: Stamp { ts_event: Some(Ts::from_ms(at_ms)), ts_recv: Ts::from_ms(at_ms) },
        body: Body::Trade(trade),
    }
}

#[test]
fn trades_round_the_clock_become_bars_once_these_are_over() {
    let made = Instrument::provisional("v", "", "AB", InstrumentKind::Spot);
    let made = Arc::new(Instrument { px_scale: 1, qty_scale: 2, ..made });
    let (mut engine, mut out) = (engine(), Vec::new());
    // The first minute was not seen from its beginning.
    for (at, px, qty) in
        [(59_000, 7, 1), (60_000, 10, 100), (61_000, 12, 5), (70_000, 9, 5), (119_999, 11, 40)]
    {
        engine.on(trade(&made, at, px, qty), &mut out);
        assert_eq!(bars(&out, "1m"), [], "it is not over");
    }
    engine.on(trade(&made, 300_000, 11, 1), &mut out);
    let [bar] = &bars(&out, "1m")[..] else { panic!("one bar") };
    let text = |d: Decimal| d.to_string();
    assert_eq!(
        [bar.open, bar.high, bar.low, bar.close, bar.volume].map(text),
        ["1", "1.2", "0.9", "1.1", "1.5"]
    );
    assert_eq!(bar.turnover.map(text).as_deref(), Some("1.545"));
    assert_eq!((bar.start, bar.trades, bar.closed), (Ts::from_ms(60_000), Some(4), true));
    assert_eq!(bars(&out, "5m"), [], "its beginning was not seen");
}

#[test]
fn a_hole_leaves_the_bar_out_that_it_lies_in() {
    let made = Arc::new(Instrument::provisional("v", "", "AB", InstrumentKind::Spot));
    let (mut engine, mut out) = (engine(), Vec::new());
    engine.on(trade(&made, 60_000, 1, 1), &mut out);
    let gap = model::Gap { cause: model::GapCause::Disconnected, from_seq: None, to_seq: None };
    engine.on(Event { body: Body::Gap(gap), ..trade(&made, 70_000, 1, 1) }, &mut out);
    for at in [80_000, 120_000, 180_000] {
        engine.on(trade(&made, at, 1, 1), &mut out);
    }
    let starts: Vec<i64> = bars(&out, "1m").iter().map(|b| b.start.as_ms()).collect();
    assert_eq!(starts, [120_000]);
}

/// A day of one share, told every three seconds as sources do.
fn told(market: &mut Market, index: usize, from: (i64, i64), out: &mut Vec<Event>) {
    let code = market.listed()[index].code;
    let instrument = Arc::new(ashare::instrument(code, ""));
    let date = market.date();
    let mut engine = engine();
    let mut ms = clock(from.0, from.1);
    while ms <= clock(15, 31) {
        market.advance(ashare::instant(date, ms));
        let view = market.view(index).unwrap();
        let px = |px: Option<Px>| px.map(|px| Decimal::new(i128::from(px.0), instrument.px_scale));
        let stats = DayStats {
            open: px(view.open),
            high: px(view.high),
            low: px(view.low),
            last: px(view.last),
            volume: Some(Decimal::new(i128::from(view.volume), 0)),
            turnover: Some(Decimal::new(i128::from(view.amount), instrument.px_scale)),
            ..DayStats::default()
        };
        let at = ashare::instant(date, ms);
        let stamp = Stamp { ts_event: Some(at), ts_recv: at };
        let (instrument, body) = (Arc::clone(&instrument), Body::DayStats(Box::new(stats)));
        let (channel, flags) = (Channel::DayStats, Flags::NONE);
        engine.on(Event { source: "s", instrument, channel, flags, stamp, body }, out);
        ms += 3_000;
    }
}

#[test]
fn bars_from_statistics_equal_the_markets_own() {
    for seed in 0..3 {
        let date = Date::parse("2026-11-20").unwrap();
        let mut market = Market::new(seed, date, 40);
        let index = (0..40).find(|i| {
            market.advance(ashare::instant(date, clock(10, 0)));
            market.view(*i).is_some_and(|view| view.volume > 0)
        });
        let index = index.unwrap();
        let mut market = Market::new(seed, date, 40);
        let mut out = Vec::new();
        told(&mut market, index, (9, 10), &mut out);
        let ours = bars(&out, "1m");
        let theirs = market.minutes(index, date);
        assert_eq!(ours.len(), 240, "seed {seed}");
        for (a, b) in ours.iter().zip(&theirs) {
            let px = |d: Decimal| d.mantissa_at(market.listed()[index].code.px_scale()).unwrap();
            assert_eq!((a.start, a.volume.mantissa_at(0)), (b.start, Some(b.volume)), "seed {seed}");
            assert_eq!(px(a.close), b.close.0, "seed {seed} {:?}", a.start);
            assert_eq!([px(a.open), px(a.high), px(a.low)], [b.open.0, b.high.0, b.low.0], "seed {seed}");
        }
        for (interval, count) in [("5m", 48), ("15m", 16), ("30m", 8), ("1h", 4), ("1d", 1)] {
            let of = bars(&out, interval);
            assert_eq!(of.len(), count, "seed {seed} {interval}");
            let sum: i64 = of.iter().filter_map(|b| b.volume.mantissa_at(0)).sum();
            assert_eq!(sum, theirs.iter().map(|b| b.volume).sum::<i64>(), "seed {seed} {interval}");
        }
    }
}

#[test]
fn who_comes_late_gets_bars_from_the_next_minute_on() {
    let mut market = Market::new(1, Date::parse("2026-11-20").unwrap(), 40);
    let mut out = Vec::new();
    told(&mut market, 0, (14, 0), &mut out);
    let first = bars(&out, "1m").first().map(|b| ashare::local(b.start).1);
    assert!(first.is_none_or(|ms| ms >= clock(14, 0)), "{first:?}");
    assert_eq!(bars(&out, "1d"), []);
}
