//! The past, filled in later: beside what was told then, and once.

use bus::{Cursor, Published};
use model::{
    Body, Channel, Event, Flags, Instrument, InstrumentKind, LaneFact, Level, Levels, Proof, Px, Qty,
    Snapshot, Stamp, Trade, TradeId, Ts,
};
use std::path::Path;
use std::sync::Arc;
use store::ledger::{LaneName, Row, Wanted};
use store::log::Entry;
use store::{BookAtState, Config, Filled, Filler, Store};

fn instrument() -> Arc<Instrument> {
    Arc::new(Instrument::provisional("venue", "", "A", InstrumentKind::Spot))
}

fn book(ms: i64, px: i64) -> Event {
    let levels = Levels::from_sides(&[Level { px: Px(px), qty: Qty(1) }], &[]);
    let body = Body::Snapshot(Snapshot { seq: None, levels, checksum: None, epoch: 1 });
    let stamp = Stamp { ts_event: Some(Ts::from_ms(ms)), ts_recv: Ts::from_ms(ms) };
    let (source, channel, flags) = ("source", Channel::Book, Flags::NONE);
    Event { source, instrument: instrument(), channel, flags, stamp, body }
}

fn open(dir: &Path) -> (Store, Option<Cursor>) {
    let (store, opened) = Store::open(Config { dir: dir.to_owned(), ..Config::default() }).unwrap();
    (store, opened.newest)
}

/// A platform tells a book in an epoch.
fn live(dir: &Path, epoch: u64, ms: i64, px: i64) {
    let mut log = open(dir).0.into_log();
    let event = book(ms, px);
    let cursor = Cursor { epoch, number: 1 };
    log.commit(&[Entry::Event(Arc::new(Published { cursor, ts_pub: event.stamp.ts_recv, event }))]).unwrap();
    log.close().unwrap();
}

fn fill(dir: &Path, books: &[(i64, i64)]) -> Filled {
    let (store, newest) = open(dir);
    let mut filler = Filler::new(store, newest, Ts::from_ms(9_000_000));
    for (ms, px) in books {
        filler.put(book(*ms, *px)).unwrap();
    }
    let filled = filler.file().unwrap();
    filler.finish().unwrap();
    filled
}

fn price_at(dir: &Path, ms: i64) -> Option<i64> {
    let book = open(dir).0.reader().book_at(None, instrument().id, Ts::from_ms(ms), usize::MAX).unwrap()?;
    assert_eq!(book.state, BookAtState::Live);
    Some(book.levels.bids()[0].px.0)
}

#[test]
fn a_book_of_the_past_stands_where_it_happened_and_changes_no_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    live(dir, 1_000, 1_000_000, 7);
    let filled = fill(dir, &[(100_000, 1), (200_000, 2)]);
    assert_eq!(filled, Filled { taken: 2, known: 0, late: 0 });
    let at = |ms| price_at(dir, ms);
    assert_eq!([at(50_000), at(150_000), at(250_000), at(1_500_000)], [None, Some(1), Some(2), Some(7)]);
    // Again, what comes before it, and what comes after it.
    let filled = fill(dir, &[(100_000, 1), (110_000, 5), (300_000, 3)]);
    assert_eq!(filled, Filled { taken: 1, known: 1, late: 1 });
    assert_eq!([at(150_000), at(250_000), at(350_000), at(1_500_000)], [Some(1), Some(2), Some(3), Some(7)]);
}

#[test]
fn what_is_filled_in_begins_no_lane_and_no_life_of_the_bus() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    live(dir, 1_000, 1_000_000, 7);
    let coverage = || {
        let rows = open(dir).0.reader().coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX)).unwrap();
        rows.iter().map(|row| (row.state, row.from_ts, row.to_ts)).collect::<Vec<_>>()
    };
    let before = coverage();
    fill(dir, &[(100_000, 1), (200_000, 2)]);
    assert_eq!(coverage(), before);
    live(dir, 9_500_000, 9_600_000, 8);
    let lives = coverage();
    let causes = lives.iter().filter(|(state, ..)| *state == "gap").count();
    assert_eq!(causes, 3, "starting, not running, starting: {lives:?}");
}

/// Trades 1 and 2, then 50 and 51: what is between is missing.
fn with_a_hole(dir: &Path) -> LaneName {
    let mut log = open(dir).0.into_log();
    let mut number = 0;
    let mut tell = |ms: i64, body: Body| {
        number += 1;
        let stamp = Stamp { ts_event: None, ts_recv: Ts::from_ms(ms) };
        let (source, channel, flags) = ("source", Channel::Trades, Flags::NONE);
        let event = Event { source, instrument: instrument(), channel, flags, stamp, body };
        let cursor = Cursor { epoch: 1_000, number };
        log.commit(&[Entry::Event(Arc::new(Published { cursor, ts_pub: Ts::from_ms(ms), event }))]).unwrap();
    };
    tell(900_000, Body::Lane(LaneFact::Asked { proof: Proof::Sequence, quiet_ms: None }));
    for (ms, id) in [(1_000_000, 1), (1_100_000, 2), (2_000_000, 50), (3_000_000, 51)] {
        let id = TradeId::Num(id);
        tell(ms, Body::Trade(Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 }));
    }
    log.close().unwrap();
    LaneName::new("source", &instrument(), Channel::Trades)
}

#[test]
fn a_hole_that_is_repaired_part_by_part_keeps_every_part_that_was_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let lane = with_a_hole(dir);
    let repair = |from: i64, to: i64, events| {
        let (store, newest) = open(dir);
        let mut filler = Filler::new(store, newest, Ts::from_ms(9_000_000));
        let found = filler.repaired(&lane, Ts::from_ms(from), Ts::from_ms(to), events).unwrap();
        filler.finish().unwrap();
        found
    };
    let holes = || {
        let rows = open(dir).0.reader().coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX)).unwrap();
        let sequence = rows.iter().filter(|row| row.cause == Some("sequence"));
        let short = |row: &Row| {
            (row.from_ts.as_ms() / 1_000, row.to_ts.as_ms() / 1_000, row.events, row.end_ts.map(Ts::as_ms))
        };
        sequence.map(short).collect::<Vec<_>>()
    };
    let missing = |from, to| (from, to, None, None);
    let filled = |from, to, events| (from, to, Some(events), Some(9_000_000));
    assert_eq!(holes(), [missing(1_100, 2_000)]);
    assert!(repair(1_200_000, 1_300_000, 3));
    assert_eq!(holes(), [missing(1_100, 1_200), filled(1_200, 1_300, 3), missing(1_300, 2_000)]);
    assert!(repair(1_500_000, 1_600_000, 4));
    let both = [
        missing(1_100, 1_200),
        filled(1_200, 1_300, 3),
        missing(1_300, 1_500),
        filled(1_500, 1_600, 4),
        missing(1_600, 2_000),
    ];
    assert_eq!(holes(), both);
    assert!(!repair(1_200_000, 1_300_000, 9), "nothing is missing there any more");
    assert_eq!(holes(), both);
    assert!(repair(0, 9_000_000, 5));
    assert!(holes().iter().all(|(_, _, events, _)| events.is_some()), "{:?}", holes());
    let notes = open(dir).0.reader().notes().unwrap();
    assert_eq!(notes.iter().filter(|note| &*note.what == "repaired").count(), 3);
    assert_eq!(open(dir).0.reader().faults().unwrap(), []);
}
