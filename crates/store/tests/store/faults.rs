//! A store that logs, seals, merges, drops and sweeps, with a fault at each thing that it does to a disk: a kill, an error,
//! a loss of power. `FAULTS` says at how many operations, taken by a seed, or `all`.

use crate::fault_disk::{FaultDisk, folder};
use crate::files::{EPOCH, everything, parquet, read};
use bus::{Bus, Cursor, Published};
use metrics::Metrics;
use model::{
    Body, Channel, Delta, Event, Flags, Gap, GapCause, Instrument, InstrumentKind, Level, Levels, Px, Qty,
    Side, Snapshot, Stamp, Trade, TradeId, Ts,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::ledger::{Ledger, Wanted};
use store::log::{Entry, Lost};
use store::{Config, Reader, Step, Store, Table};

/// Between two lives of a bus; trades are kept for less.
const APART_MS: u64 = 2 * 86_400_000;
const TRADES_HOURS: u32 = 30;
/// How many operations of each kind of fault are taken where not all are.
const FEW: usize = 8;

pub fn config(dir: &Path) -> Config {
    let keep_hours = [("trades".to_owned(), TRADES_HOURS)].into();
    Config { dir: dir.to_owned(), segment_bytes: 6_000, keep_hours, ..Config::default() }
}

/// The event of a place: trades that count by one, and books that change.
fn made(cursor: Cursor) -> Published {
    let Cursor { epoch, number } = cursor;
    let ts_pub = Ts::from_ms(i64::try_from(epoch).unwrap()).plus_ms(number);
    let mut instrument =
        Instrument::provisional("venue", "", ["A", "B"][number as usize / 10 % 2], InstrumentKind::Spot);
    (instrument.px_scale, instrument.qty_scale) = (2, 3);
    let px = |more: u64| Px(10_000 + (number * 7 + more * 31).cast_signed() % 400);
    let levels = |count: u64| {
        let all = (0..count).map(|more| Level { px: px(more), qty: Qty(more.cast_signed() * 5) }).collect();
        Levels::new(all, count as usize / 2)
    };
    let (channel, body) = match number % 10 {
        1 => {
            let levels = levels(6);
            (Channel::Book, Body::Snapshot(Snapshot { seq: None, levels, checksum: None, epoch: 1 }))
        }
        2 | 5 | 8 => {
            let levels = levels(number % 3 + 1);
            let delta = Delta { prev_seq: None, seq: None, levels, checksum: None, epoch: 1 };
            (Channel::Book, Body::Delta(delta))
        }
        9 if number % 50 == 9 => {
            let gap = Gap { cause: GapCause::Sequence, from_seq: None, to_seq: None };
            (Channel::Book, Body::Gap(gap))
        }
        _ => {
            let trade = Trade {
                id: TradeId::Num(number),
                px: px(0),
                qty: Qty(number.cast_signed()),
                aggressor: Some(Side::Ask),
                count: 1,
            };
            (Channel::Trades, Body::Trade(trade))
        }
    };
    let stamp = Stamp { ts_event: Some(Ts(ts_pub.0 - 900_000)), ts_recv: Ts(ts_pub.0 - 400_000) };
    let event =
        Event { source: "alpha", instrument: Arc::new(instrument), channel, flags: Flags::NONE, stamp, body };
    Published { cursor, ts_pub, event }
}

/// What a life of a bus gave to a store, and what it was told.
#[derive(Debug)]
struct Life {
    epoch: u64,
    given: u64,
    acked: u64,
    /// The number that was never kept, which is said.
    lost: u64,
}

/// The lives of one folder.
#[derive(Debug, Default)]
pub struct Given(Vec<Life>);

impl Given {
    /// A life: commits and writes as files, twice, and commits again. `None` where it ended before its end.
    pub fn live(&mut self, store: &mut Store, has_ended: &impl Fn() -> bool) -> Option<()> {
        let epoch = EPOCH + self.0.len() as u64 * APART_MS;
        let life = self.0.push_mut(Life { epoch, given: 0, acked: 0, lost: 85 });
        for round in 0..3 {
            for _ in 0..3 {
                let numbers = life.given + 1..=life.given + 20;
                life.given += 20;
                let event = |number| {
                    let cursor = Cursor { epoch, number };
                    if number == life.lost {
                        let why = "no room".into();
                        return Entry::Lost(Lost { epoch, from: number, to: number, why });
                    }
                    Entry::Event(Arc::new(made(cursor)))
                };
                let entries: Vec<Entry> = numbers.map(event).collect();
                again(has_ended, || store.log().commit(&entries))?;
                life.acked = life.given;
            }
            if round < 2 {
                again(has_ended, || store.tend(|_| {}))?;
            }
        }
        Some(())
    }

    /// What the folder says is what was given: all that is safe, once and in order, and nothing else.
    pub fn hold(&self, dir: &Path) {
        let reader = Reader::open(dir).unwrap();
        let events = read(&reader, everything());
        assert!(events.is_sorted_by(|a, b| a.cursor < b.cursor), "in order and once");
        for published in &events {
            let Cursor { epoch, number } = published.cursor;
            let life = self.0.iter().find(|life| life.epoch == epoch).unwrap();
            assert!(number <= life.given && number != life.lost, "{number} was not given");
            assert_eq!(*published, made(published.cursor));
        }
        let is_read = |cursor| events.binary_search_by_key(&cursor, |published| published.cursor).is_ok();
        // What was given last may be there, whole, though nobody was told.
        let kept = self.0.iter().flat_map(|Life { epoch, given, acked, lost }| {
            let more =
                (*acked..=*given).any(|number| number > *acked && is_read(Cursor { epoch: *epoch, number }));
            let numbers = 1..=if more { *given } else { *acked };
            numbers.filter(move |n| n != lost).map(move |number| Cursor { epoch: *epoch, number })
        });
        let missing: Vec<Published> = kept.filter(|cursor| !is_read(*cursor)).map(made).collect();
        let mut dropped = 0;
        for note in reader.faults().unwrap().iter().chain(&reader.notes().unwrap()) {
            match &*note.what {
                "lost" => assert_eq!(note.count, 1, "{note:?}"),
                "dropped" => dropped += note.count,
                "rebuilt" => {}
                _ => panic!("{note:?}"),
            }
        }
        let newest = self.0.last().unwrap().epoch;
        for published in &missing {
            let old = published.cursor.epoch < newest && matches!(published.event.body, Body::Trade(_));
            assert!(old, "{:?} is gone", published.cursor);
        }
        assert_eq!(missing.len() as u64, dropped, "what is gone is said");

        let mut all = [events, missing].concat();
        all.sort_by_key(|published| published.cursor);
        let mut ledger = Ledger::default();
        for published in &all {
            ledger.on(published);
        }
        let (from, to) = (Ts(i64::MIN), Ts(i64::MAX));
        let told = reader.coverage(&Wanted::default(), from, to).unwrap();
        let wanted = ledger.rows(&Wanted::default(), from, to);
        assert_eq!(told.len(), wanted.len(), "{told:#?}\n{wanted:#?}");
        for row in &wanted {
            assert!(told.contains(row), "{row:?} is not in {told:?}");
        }
    }
}

fn parquet_of(dir: &Path) -> Vec<PathBuf> {
    if dir.join("parquet").is_dir() { parquet(dir) } else { Vec::new() }
}

/// Files are those that the catalogue names, and each checks.
pub fn files_hold(dir: &Path) {
    let files = Reader::open(dir).unwrap().check();
    assert!(files.iter().all(|file| file.fault.is_none()), "{files:?}");
    let mut named: Vec<_> = files.iter().map(|file| dir.join(&*file.path)).collect();
    named.sort();
    assert_eq!(parquet_of(dir), named, "files without a name, or names without a file");
}

/// Does it a second time where it fails once, as the store does; `None` where nothing can be done any more.
fn again<T>(has_ended: &impl Fn() -> bool, mut what: impl FnMut() -> store::Result<T>) -> Option<T> {
    match what() {
        Ok(done) => Some(done),
        Err(_) if has_ended() => None,
        Err(first) => match what() {
            Ok(done) => Some(done),
            Err(_) if has_ended() => None,
            Err(second) => panic!("{second:?} where it was to heal, after {first:?}"),
        },
    }
}

/// Two lives of a store on a disk, each with a start.
pub fn live(disk: &FaultDisk, dir: &Path) -> Given {
    let has_ended = || disk.has_ended();
    let mut given = Given::default();
    for _ in 0..2 {
        let open = || Store::open_on(disk.log(), Arc::new(disk.clone()), config(dir));
        let Some((mut store, _)) = again(&has_ended, open) else { break };
        if given.live(&mut store, &has_ended).is_none() {
            break;
        }
    }
    given
}

/// After a fault: it opens, all is there, and it goes on.
pub fn goes_on(mut given: Given, dir: &Path) {
    let before = parquet_of(dir);
    let (mut store, opened) = Store::open(config(dir)).unwrap();
    files_hold(dir);
    let after = parquet_of(dir);
    assert_eq!(opened.orphans.len(), before.len() - after.len(), "{opened:?}");
    assert!(opened.orphans.iter().all(|path| before.contains(path) && !after.contains(path)), "{opened:?}");
    if !given.0.is_empty() {
        given.hold(dir);
    }
    given.live(&mut store, &|| false).unwrap();
    given.hold(dir);
    let mut merged = false;
    store.compact(|step| merged |= matches!(step, Step::Merged(_))).unwrap();
    assert!(merged, "it merges");
    given.hold(dir);
    files_hold(dir);
}

/// What a store does to a disk in these lives.
fn operations() -> Vec<String> {
    let dir = folder();
    let disk = FaultDisk::new(dir.path(), 0);
    let given = live(&disk, dir.path());
    given.hold(dir.path());
    goes_on(given, dir.path());
    disk.operations()
}

/// Runs a test for each operation, or for some of them.
fn each(test: impl Fn(usize, &str)) {
    let operations = operations();
    let mut numbers: Vec<usize> = (0..operations.len()).collect();
    let count = std::env::var("FAULTS").map_or(Some(FEW), |count| count.parse().ok());
    if let Some(count) = count {
        fastrand::Rng::with_seed(5).shuffle(&mut numbers);
        numbers.truncate(count);
    }
    println!("{} of {} operations", numbers.len(), operations.len());
    for number in numbers {
        let what = format!("operation {number}, to {}", operations[number]);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(number, &what)));
        assert!(run.is_ok(), "failed at {what}");
    }
}

#[test]
fn these_lives_do_all_that_a_store_does() {
    let operations = operations();
    let does = |what: &str, to: &str| operations.iter().any(|it| it.starts_with(what) && it.contains(to));
    for (what, to) in [
        ("make", "parquet/book_checkpoints"),
        ("sync", "parquet/trades"),
        ("rename", "parquet/book_snapshots"),
        ("sync the names of", "parquet/book_deltas"),
        ("delete", "parquet/trades"),
        ("create", ".events"),
        ("delete", ".events"),
        ("set the length of", "manifest.redb"),
        ("write", "manifest.redb"),
        ("sync", "manifest.redb"),
    ] {
        assert!(does(what, to), "{what} {to}: {operations:#?}");
    }
    let dir = folder();
    live(&FaultDisk::new(dir.path(), 0), dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.sizes().contains_key(&Table::BookCheckpoints));
    assert!(reader.notes().unwrap().iter().any(|note| &*note.what == "dropped"));
}

#[tokio::test]
async fn a_store_that_runs_goes_on_after_what_is_refused_and_says_so() {
    let dir = folder();
    let disk = FaultDisk::new(dir.path(), 0);
    let config = Config { commit_ms: 1, retry_ms: 1, ..config(dir.path()) };
    let (store, _) = Store::open_on(disk.log(), Arc::new(disk.clone()), config).unwrap();
    let (reader, metrics) = (store.reader(), Arc::new(Metrics::new()));
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(EPOCH.cast_signed())));
    let running = store.start(&bus, Arc::clone(&metrics));
    let mut number = 0;
    for what in [
        "create parquet/trades",
        "sync parquet/book_deltas",
        "rename parquet/trades",
        "sync the names of parquet",
        "write manifest.redb",
        "sync manifest.redb",
        "write manifest.journal",
        "sync manifest.journal",
    ] {
        let failures = metrics.store.file_failures.get();
        disk.refuse(what);
        for _ in 0..40 {
            number += 1;
            let cursor = Cursor { epoch: EPOCH, number };
            let published = made(cursor);
            assert_eq!(bus.publish(published.event, published.ts_pub), cursor);
        }
        let all = Cursor { epoch: EPOCH, number };
        running.acked().wait_for(|acked| acked.cursor == Some(all)).await.unwrap();
        running.control().seal().await;
        assert!(metrics.store.file_failures.get() > failures, "{what} was not refused");
        assert_eq!(reader.sealed(), Some(all), "{what}");
        assert_eq!(read(&reader, everything()).len() as u64, number, "{what}");
    }
    running.stop().await;
    drop(reader);
    let given = Given(vec![Life { epoch: EPOCH, given: number, acked: number, lost: 0 }]);
    goes_on(given, dir.path());
}

#[test]
fn a_kill_at_any_operation_leaves_a_store_that_opens_and_holds_all_that_is_safe() {
    each(|number, _| {
        let dir = folder();
        let disk = FaultDisk::new(dir.path(), number as u64).end(number);
        let given = live(&disk, dir.path());
        if !given.0.is_empty() {
            // To one who only reads too, before any start.
            given.hold(dir.path());
        }
        goes_on(given, dir.path());
    });
}

#[test]
fn an_operation_that_is_refused_once_is_healed_by_the_next_step() {
    each(|number, _| {
        let dir = folder();
        let disk = FaultDisk::new(dir.path(), number as u64).fail(number);
        let given = live(&disk, dir.path());
        given.hold(dir.path());
        goes_on(given, dir.path());
    });
}

#[test]
fn a_loss_of_power_at_any_operation_leaves_all_that_is_safe() {
    each(|number, _| {
        let dirs = [(); 2].map(|()| folder());
        let disk = FaultDisk::new(dirs[0].path(), number as u64).end(number);
        let given = live(&disk, dirs[0].path());
        disk.lose_power(dirs[1].path());
        goes_on(given, dirs[1].path());
    });
}

#[test]
fn a_catalogue_that_is_gone_after_any_operation_is_made_again() {
    each(|number, _| {
        let dirs = [(); 2].map(|()| folder());
        let disk = FaultDisk::new(dirs[0].path(), number as u64).end(number);
        let given = live(&disk, dirs[0].path());
        let loses_power = number % 2 == 0;
        if loses_power {
            disk.lose_power(dirs[1].path());
        }
        let dir = dirs[usize::from(loses_power)].path();
        if dir.join("manifest.journal").exists() {
            fs::remove_file(dir.join("manifest.redb")).unwrap();
            let before = parquet_of(dir);
            assert!(
                Store::open(config(dir)).is_err(),
                "a catalogue that is missing is not taken for a new one"
            );
            assert_eq!(parquet_of(dir), before, "nothing is deleted");
            let report = store::rebuild(dir).unwrap();
            assert_eq!(report.damaged, [""; 0]);
        }
        goes_on(given, dir);
    });
}

#[test]
fn a_loss_of_power_after_an_operation_was_refused_leaves_all_that_is_safe() {
    each(|number, _| {
        let dirs = [(); 2].map(|()| folder());
        let mut luck = fastrand::Rng::with_seed(number as u64);
        let ends = number + 1 + luck.usize(0..120);
        let disk = FaultDisk::new(dirs[0].path(), number as u64).fail(number).end(ends);
        let given = live(&disk, dirs[0].path());
        disk.lose_power(dirs[1].path());
        goes_on(given, dirs[1].path());
    });
}
