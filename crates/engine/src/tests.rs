use super::*;
use model::{Checksum, ChecksumKind, InstrumentKind, Level, Levels, Px, Qty, Stamp};

fn instrument() -> Arc<Instrument> {
    Arc::new(Instrument::provisional("v", "", "AB", InstrumentKind::Spot))
}

fn event(instrument: &Arc<Instrument>, at_ms: i64, body: Body) -> Event {
    let stamp = Stamp { ts_event: Some(Ts::from_ms(at_ms)), ts_recv: Ts::from_ms(at_ms) };
    Event {
        source: "v",
        instrument: Arc::clone(instrument),
        channel: Channel::Book,
        flags: Flags::NONE,
        stamp,
        body,
    }
}

fn level(px: i64, qty: i64) -> Level {
    Level { px: Px(px), qty: Qty(qty) }
}

fn snapshot(seq: u64) -> Body {
    let levels = Levels::from_sides(&[level(10, 1)], &[level(12, 1)]);
    Body::Snapshot(Snapshot { seq: Some(seq), levels, checksum: None, epoch: 0 })
}

fn delta(prev: u64, seq: u64, bid: Level) -> Body {
    let levels = Levels::from_sides(&[bid], &[]);
    Body::Delta(Delta { prev_seq: Some(prev), seq: Some(seq), levels, checksum: None, epoch: 0 })
}

#[test]
fn a_delta_that_skips_a_sequence_becomes_a_gap_and_asks_for_a_new_start() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    assert_eq!(engine.on(event(&i, 1, snapshot(5)), &mut out), None);
    let resync = engine.on(event(&i, 2, delta(6, 7, level(11, 1))), &mut out);
    assert_eq!(resync, Some(Resync { instrument: i.id, channel: Channel::Book, cause: GapCause::Sequence }));
    let gap = Gap { cause: GapCause::Sequence, from_seq: Some(5), to_seq: Some(7) };
    assert_eq!(out.last().unwrap().body, Body::Gap(gap));
    assert_eq!(engine.books().count(), 0);
}

#[test]
fn a_delta_before_any_snapshot_is_dropped_and_counted() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    assert_eq!(engine.on(event(&i, 1, delta(6, 7, level(11, 1))), &mut out), None);
    assert_eq!((out.len(), engine.counters().orphans), (0, 1));
}

#[test]
fn the_epoch_grows_with_each_beginning() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    let gap = Body::Gap(Gap { cause: GapCause::Disconnected, from_seq: None, to_seq: None });
    for body in [snapshot(1), snapshot(2), gap, snapshot(3), delta(3, 4, level(9, 1))] {
        engine.on(event(&i, 1, body), &mut out);
    }
    let epochs: Vec<u32> = out
        .iter()
        .filter_map(|e| match &e.body {
            Body::Snapshot(s) => Some(s.epoch),
            Body::Delta(d) => Some(d.epoch),
            _ => None,
        })
        .collect();
    assert_eq!(epochs, [1, 1, 2, 2]);
}

#[test]
fn a_wrong_checksum_is_a_gap() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    let levels = Levels::from_sides(&[level(10, 1)], &[]);
    let checksum = Some(Checksum { kind: ChecksumKind::Crc32Interleaved25, value: 1 });
    let body = Body::Snapshot(Snapshot { seq: None, levels, checksum, epoch: 0 });
    assert_eq!(engine.on(event(&i, 1, body), &mut out).unwrap().cause, GapCause::Checksum);
    assert_eq!(engine.counters().checksums_wrong, 1);
}

#[test]
fn a_book_crossed_for_long_is_thrown_away_but_not_before_the_market_opens() {
    for (status, gaps) in [(model::Status::Trading, 1), (model::Status::PreOpen, 0)] {
        let (mut engine, mut out) = (Engine::new(Config::default()), Vec::new());
        let mut i = Instrument::provisional("v", "", "AB", InstrumentKind::Spot);
        i.status = status;
        let i = Arc::new(i);
        engine.on(event(&i, 0, snapshot(1)), &mut out);
        engine.on(event(&i, 10, delta(1, 2, level(13, 1))), &mut out);
        assert!(out.last().unwrap().flags.has(Flags::SUSPECT));
        engine.on(event(&i, 3_000, delta(2, 3, level(9, 1))), &mut out);
        assert_eq!(out.iter().filter(|e| matches!(e.body, Body::Gap(_))).count(), gaps);
    }
}

#[test]
fn a_finer_definition_rescales_the_book_and_goes_on() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    engine.on(event(&i, 1, snapshot(1)), &mut out);
    let finer = Arc::new(i.rescaled(i.px_scale + 1, i.qty_scale).unwrap());
    assert_eq!(engine.on(event(&finer, 2, delta(1, 2, level(95, 1))), &mut out), None);
    let (_, _, book) = engine.books().next().unwrap();
    assert_eq!(book.bids().collect::<Vec<_>>(), [level(100, 1), level(95, 1)]);
}

#[test]
fn a_quote_is_derived_only_when_the_best_moves() {
    let config = Config { derive_quotes: true, ..Config::default() };
    let (mut engine, i, mut out) = (Engine::new(config), instrument(), Vec::new());
    for body in [snapshot(1), delta(1, 2, level(9, 1)), delta(2, 3, level(11, 1))] {
        engine.on(event(&i, 1, body), &mut out);
    }
    let quotes =
        out.iter().filter(|e| matches!(e.body, Body::Quote(_)) && e.flags.has(Flags::DERIVED)).count();
    assert_eq!(quotes, 2);
}

#[test]
fn a_venues_time_that_cannot_be_is_flagged_and_left_as_it_is() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    let day = 86_400_000;
    for (event_ms, flags) in [
        (100, Flags::NONE),
        (-60_000, Flags::NONE),
        (1_001, Flags::NONE),
        (1_200, Flags::SKEWED),
        (day - 5, Flags::SKEWED),
        (2 * day, Flags::BAD_TIME),
        (-2 * day, Flags::BAD_TIME),
    ] {
        let mut event = event(&i, 100, snapshot(1));
        event.stamp.ts_event = Some(Ts::from_ms(event_ms));
        out.clear();
        engine.on(event, &mut out);
        let told = out.first().unwrap();
        assert_eq!((told.flags, told.stamp.ts_event), (flags, Some(Ts::from_ms(event_ms))));
    }
    assert_eq!(engine.counters().bad_times, 4);
}

#[test]
fn what_is_tried_and_does_not_stand_leaves_the_book_as_it_was_and_the_gap_is_told_when_asked_for() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    engine.on(event(&i, 1, snapshot(5)), &mut out);
    let held = |engine: &Engine| {
        let book = engine.book(i.id, Channel::Book).expect("live");
        (book.seq(), book.levels(9))
    };
    let before = held(&engine);
    let sum = Some(Checksum { kind: ChecksumKind::Crc32Interleaved25, value: 1 });
    let wrong = |body: Body| match body {
        Body::Snapshot(s) => Body::Snapshot(Snapshot { checksum: sum, ..s }),
        Body::Delta(d) => Body::Delta(Delta { checksum: sum, ..d }),
        other => other,
    };
    let finer = Arc::new(i.rescaled(i.px_scale + 1, i.qty_scale).unwrap());
    for (instrument, body, cause) in [
        (&i, wrong(delta(5, 6, level(10, 7))), GapCause::Checksum),
        (&i, delta(6, 7, level(11, 1)), GapCause::Sequence),
        (&i, delta(5, 6, level(10, -1)), GapCause::Malformed),
        (&finer, wrong(snapshot(8)), GapCause::Checksum),
    ] {
        out.clear();
        let refused = engine.attempt(event(instrument, 2, body), &mut out).unwrap_err();
        assert_eq!((refused.cause, out.len(), held(&engine)), (cause, 0, before.clone()));
    }
    assert_eq!(engine.attempt(event(&i, 3, delta(5, 6, level(11, 1))), &mut out), Ok(()));
    let refused = engine.attempt(event(&i, 4, delta(5, 6, level(11, 1))), &mut out).unwrap_err();
    assert_eq!(engine.refuse(*refused, &mut out).cause, GapCause::Sequence);
    let gap = Gap { cause: GapCause::Sequence, from_seq: Some(6), to_seq: Some(6) };
    assert_eq!((out.last().unwrap().body.clone(), engine.books().count()), (Body::Gap(gap), 0));
}

#[test]
fn a_crossed_book_is_crossed_since_the_first_event_that_stood() {
    let (mut engine, i, mut out) = (Engine::new(Config::default()), instrument(), Vec::new());
    engine.on(event(&i, 0, snapshot(1)), &mut out);
    assert_eq!(engine.attempt(event(&i, 10, delta(1, 2, level(13, 1))), &mut out), Ok(()));
    let refused = engine.attempt(event(&i, 3_000, delta(2, 3, level(9, 1))), &mut out).unwrap_err();
    assert_eq!(refused.cause, GapCause::Crossed);
    assert_eq!(engine.attempt(event(&i, 3_001, delta(2, 3, level(13, 0))), &mut out), Ok(()));
    assert!(!out.last().unwrap().flags.has(Flags::SUSPECT));
}
