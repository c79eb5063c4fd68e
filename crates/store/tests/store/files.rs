//! From the bus through log and memory into files and back.

use crate::world::{event, ts_pub};
use bus::{Bus, Cursor, Published};
use metrics::Metrics;
use model::{Body, Flags, Px, Qty, Trade, TradeId, Ts};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::ledger::{Ledger, Wanted};
use store::{Config, Query, Reader, Running, Step, Store, Table, when};

pub const EPOCH: u64 = 1_700_000_000_000;

/// The event of a place; its venue's time is near ours, as the engine sees to.
pub fn made(cursor: Cursor) -> Published {
    let mut event = event(cursor);
    event.flags = Flags::from_bits(event.flags.bits() & !Flags::BAD_TIME.bits());
    event.stamp.ts_event =
        event.stamp.ts_event.map(|ts| Ts(event.stamp.ts_recv.0 - ts.0.rem_euclid(1_000_000_000)));
    Published { cursor, ts_pub: ts_pub(cursor), event }
}

pub fn all(epoch: u64, count: u64) -> Vec<Published> {
    (1..=count).map(|number| made(Cursor { epoch, number })).collect()
}

pub fn small(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), segment_bytes: 64 << 10, commit_ms: 1, seal_ms: 20, ..Config::default() }
}

/// Runs a store on a bus that publishes the events of an epoch.
pub async fn run(config: &Config, epoch: u64, count: u64) -> (Reader, Running, Arc<Bus>) {
    run_of(config, epoch, all(epoch, count)).await
}

async fn run_of(config: &Config, epoch: u64, events: Vec<Published>) -> (Reader, Running, Arc<Bus>) {
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(epoch as i64)));
    let reader = store.reader();
    let running = store.start(&bus, Arc::new(Metrics::new()));
    let last = events.last().map(|published| published.cursor);
    for published in events {
        bus.ready().await;
        assert_eq!(bus.publish(published.event, published.ts_pub), published.cursor);
        tokio::task::yield_now().await;
    }
    running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    (reader, running, bus)
}

pub fn read(reader: &Reader, query: Query) -> Vec<Published> {
    let range = reader.range(query).unwrap();
    range.map(|published| Arc::unwrap_or_clone(published.unwrap())).collect()
}

pub fn everything() -> Query {
    Query::of(&Table::ALL)
}

pub fn compact(config: &Config) -> Vec<Step> {
    let (store, _) = Store::open(config.clone()).unwrap();
    let mut steps = Vec::new();
    store.compact(|step| steps.push(step.clone())).unwrap();
    steps
}

/// Every file below a folder, by name; what is deleted meanwhile is not there.
pub fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

pub fn parquet(dir: &Path) -> Vec<PathBuf> {
    files_of(&dir.join("parquet"))
}

#[tokio::test]
async fn every_acknowledged_event_is_read_once_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (reader, running, _bus) = run(&config, EPOCH, 6_000).await;
    assert_eq!(read(&reader, everything()), all(EPOCH, 6_000), "while it is written and sealed");
    let other = Reader::open(dir.path()).unwrap();
    assert_eq!(read(&other, everything()), all(EPOCH, 6_000), "by another process");
    running.control().seal().await;
    assert_eq!(read(&reader, everything()), all(EPOCH, 6_000), "when a part is sealed");
    running.stop().await;
    assert!(reader.sealed().is_some());
    // It has the catalogue open to write.
    drop(reader);

    let (reader, running, _bus) = run(&config, EPOCH + 1_000_000, 2_000).await;
    let both = [all(EPOCH, 6_000), all(EPOCH + 1_000_000, 2_000)].concat();
    assert_eq!(read(&reader, everything()), both, "after a start");
    running.stop().await;
    drop(reader);

    let steps = compact(&config);
    assert!(steps.iter().any(|step| matches!(step, Step::Merged(_))), "{steps:?}");
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(read(&reader, everything()), both, "after everything was merged");
    assert!(reader.check().iter().all(|file| file.fault.is_none()));
    assert!(parquet(dir.path()).len() <= Table::ALL.len(), "{:?}", parquet(dir.path()));
}

/// Holds what is read of times, tables, instruments and sources against a walk over all events.
pub fn walk(reader: &Reader, all: &[Published], pass: &str) {
    let mut luck = fastrand::Rng::with_seed(3);
    for _ in 0..60 {
        let some = &all[luck.usize(..all.len())];
        let span = luck.i64(1..3_000_000_000);
        let mut query = everything();
        query.from = Ts(when(&some.event).0 - span / 2);
        query.to = Ts(query.from.0 + span);
        if luck.bool() {
            query.tables = vec![Table::of(&some.event.body), Table::Trades];
        }
        if luck.bool() {
            query.instruments = vec![some.event.instrument.id];
        }
        if luck.bool() {
            query.source = Some(some.event.source.into());
        }
        if luck.u8(0..4) == 0 {
            query.known_at = Some(some.ts_pub);
        }
        if luck.u8(0..4) == 0 {
            query.after = Some(some.cursor);
        }
        let wanted = |p: &&Published| {
            let at = when(&p.event);
            query.tables.contains(&Table::of(&p.event.body))
                && (query.instruments.is_empty() || query.instruments.contains(&p.event.instrument.id))
                && query.source.as_deref().is_none_or(|source| source == p.event.source)
                && (query.from..query.to).contains(&at)
                && query.known_at.is_none_or(|known| p.ts_pub <= known)
                && query.after.is_none_or(|after| p.cursor > after)
        };
        let wanted: Vec<Published> = all.iter().filter(wanted).cloned().collect();
        assert_eq!(read(reader, query.clone()), wanted, "{pass}: {query:?}");
    }
    for _ in 0..40 {
        let some = &all[luck.usize(..all.len())].event;
        let (table, count) = (Table::of(&some.body), luck.usize(0..400));
        let source = luck.bool().then_some(some.source);
        let of = |p: &&Published| {
            Table::of(&p.event.body) == table
                && p.event.instrument.id == some.instrument.id
                && source.is_none_or(|source| p.event.source == source)
        };
        let wanted: Vec<Published> = all.iter().rev().filter(of).take(count).cloned().collect();
        let told = reader.latest(table, some.instrument.id, source, count).unwrap();
        let told: Vec<Published> = told.into_iter().map(Arc::unwrap_or_clone).collect();
        assert_eq!(told, wanted, "{pass}: {count} of {table:?}");
    }
}

#[tokio::test]
async fn a_range_is_what_a_walk_over_all_events_gives() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (_, running, _bus) = run(&config, EPOCH, 5_000).await;
    running.stop().await;
    for pass in ["sealed in part", "merged"] {
        let reader = Reader::open(dir.path()).unwrap();
        walk(&reader, &all(EPOCH, 5_000), pass);
        compact(&config);
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_file_is_found_or_harmless_and_never_a_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (_, running, _bus) = run(&config, EPOCH, 3_000).await;
    running.stop().await;
    compact(&config);
    let all = all(EPOCH, 3_000);
    let mut luck = fastrand::Rng::with_seed(9);
    let mut found = 0;
    for path in parquet(dir.path()) {
        let whole = fs::read(&path).unwrap();
        for _ in 0..5 {
            let mut bytes = whole.clone();
            let at = luck.usize(..bytes.len());
            bytes[at] ^= 1 << luck.u8(0..8);
            fs::write(&path, &bytes).unwrap();
            let reader = Reader::open(dir.path()).unwrap();
            for published in reader.range(everything()).unwrap() {
                match published {
                    // What is read is right.
                    Ok(published) => {
                        let place = usize::try_from(published.cursor.number).unwrap() - 1;
                        assert_eq!(*published, all[place]);
                    }
                    Err(error) => {
                        let name = path.file_name().unwrap().to_str().unwrap();
                        assert!(error.to_string().contains(name), "{error}");
                        found += 1;
                    }
                }
            }
            assert_eq!(reader.check().iter().filter(|file| file.fault.is_some()).count(), 1);
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        assert!(reader.range(everything()).unwrap().any(|published| published.is_err()), "half a file");
        fs::write(&path, &whole).unwrap();
    }
    assert!(found > 0);
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), all);
}

#[tokio::test]
async fn files_that_a_kill_left_without_a_name_are_deleted_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (_, running, _bus) = run(&config, EPOCH, 2_000).await;
    running.control().seal().await;
    running.stop().await;
    let file = parquet(dir.path()).remove(0);
    let folder = file.parent().unwrap();
    fs::copy(&file, folder.join("0000999999-all.parquet")).unwrap();
    fs::write(folder.join("0000999998-all.part"), b"half").unwrap();
    fs::write(folder.join("my-notes.parquet"), b"mine").unwrap();
    let (store, opened) = Store::open(config).unwrap();
    assert_eq!(opened.orphans.len(), 2, "{:?}", opened.orphans);
    assert!(folder.join("my-notes.parquet").exists(), "what is not ours is left alone");
    assert_eq!(read(&store.reader(), everything()), all(EPOCH, 2_000));
}

#[tokio::test]
async fn old_rows_are_deleted_by_age_and_by_budget_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let day = 86_400_000;
    let mut config = small(dir.path());
    for epoch in 0..4 {
        let (_, running, _bus) = run(&config, EPOCH + epoch * day, 800).await;
        running.stop().await;
        compact(&config);
    }
    let files = |config: &Config| Reader::open(&config.dir).unwrap().check();
    let before = files(&config);
    config.keep_hours.insert("trades".to_owned(), 30);
    compact(&config);
    let after = files(&config);
    let trades = |files: &[store::FileCheck]| files.iter().filter(|file| file.table == Table::Trades).count();
    assert_eq!((trades(&before), trades(&after)), (4, 2), "{after:?}");
    assert_eq!(before.len() - 2, after.len(), "other tables stay");

    config.total_bytes_max = after.iter().map(|file| file.bytes).sum::<u64>() * 2 / 3;
    config.segment_bytes = config.total_bytes_max / 4;
    compact(&config);
    let least = files(&config);
    assert!(least.iter().map(|file| file.bytes).sum::<u64>() <= config.total_bytes_max);
    let notes = Reader::open(dir.path()).unwrap().notes().unwrap();
    let gone =
        before.iter().map(|file| file.rows).sum::<u64>() - least.iter().map(|file| file.rows).sum::<u64>();
    assert_eq!(
        notes.iter().filter(|note| &*note.what == "dropped").map(|note| note.count).sum::<u64>(),
        gone
    );
    let newest = read(&Reader::open(dir.path()).unwrap(), everything());
    assert!(newest.iter().all(|p| p.cursor.epoch >= EPOCH + day), "the oldest goes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_holds_while_there_is_always_more_to_seal_and_to_merge() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { total_bytes_max: 1 << 20, sweep_ms: 1, ..small(dir.path()) };
    let bytes = || -> u64 {
        let files = files_of(dir.path());
        let data = files.iter().filter(|path| !path.to_string_lossy().contains("manifest."));
        data.filter_map(|path| fs::metadata(path).ok()).map(|it| it.len()).sum()
    };
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(EPOCH as i64)));
    let metrics = Arc::new(Metrics::new());
    let running = store.start(&bus, Arc::clone(&metrics));
    let mut most = 0;
    for published in all(EPOCH, 30_000) {
        bus.ready().await;
        let cursor = bus.publish(published.event, published.ts_pub);
        if cursor.number.is_multiple_of(500) {
            running.acked().wait_for(|acked| acked.cursor == Some(cursor)).await.unwrap();
            running.control().seal().await;
            most = most.max(bytes());
        }
    }
    running.stop().await;
    assert!(metrics.store.dropped_rows.get() > 0, "the budget binds");
    // A machine that is busy with other things deletes late what is to be deleted.
    println!("{most} bytes at most of {}", config.total_bytes_max);
    assert!(most <= 2 * config.total_bytes_max, "{most} bytes at most");
}

#[tokio::test]
async fn no_row_is_deleted_to_merge_a_day_that_is_large_for_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config { sweep_ms: 0, ..small(dir.path()) };
    let snapshots = |epoch: u64| {
        let all = all(epoch, 20_000).into_iter();
        let snapshots = all.filter(|it| Table::of(&it.event.body) == Table::BookSnapshots);
        snapshots.zip(1..).map(move |(it, number)| Published { cursor: Cursor { epoch, number }, ..it })
    };
    let (_, running, _bus) = run_of(&config, EPOCH, snapshots(EPOCH).collect()).await;
    running.control().seal().await;
    running.stop().await;
    let of = |ending: &str| -> u64 {
        let files = files_of(dir.path()).into_iter();
        let files = files.filter(|path| path.extension().is_some_and(|it| it == ending));
        files.map(|path| fs::metadata(path).map_or(0, |it| it.len())).sum()
    };
    // A part of that day fits beside it, and what comes now.
    config.total_bytes_max = of("parquet") * 5 / 4 + of("events");
    config.segment_bytes = 8 << 10;
    let (store, _) = Store::open(config).unwrap();
    let epoch = EPOCH + 3 * 86_400_000;
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(epoch as i64)));
    let metrics = Arc::new(Metrics::new());
    let running = store.start(&bus, Arc::clone(&metrics));
    // Until files of the day that goes on are merged: those of the one before come first.
    for published in snapshots(epoch) {
        bus.ready().await;
        let cursor = bus.publish(published.event, published.ts_pub);
        if cursor.number.is_multiple_of(10) {
            running.acked().wait_for(|acked| acked.cursor == Some(cursor)).await.unwrap();
            running.control().seal().await;
        }
        if metrics.store.merged_bytes.get() + metrics.store.dropped_rows.get() > 0 {
            break;
        }
    }
    running.stop().await;
    assert!(metrics.store.merged_bytes.get() > 0);
    assert_eq!(metrics.store.dropped_rows.get(), 0);
}

#[tokio::test]
async fn two_processes_cannot_write_to_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = Store::open(small(dir.path())).unwrap();
    let Err(error) = Store::open(small(dir.path())) else { panic!("both opened it") };
    assert!(matches!(error, store::Error::InUse { .. }), "{error}");
}

#[tokio::test]
async fn coverage_is_what_one_fold_over_all_events_gives_however_often_it_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    for (epoch, count) in [(EPOCH, 4_000), (EPOCH + 1_000_000, 3_000)] {
        let (_, running, _bus) = run(&config, epoch, count).await;
        running.stop().await;
    }
    let mut ledger = Ledger::default();
    for published in [all(EPOCH, 4_000), all(EPOCH + 1_000_000, 3_000)].concat() {
        ledger.on(&published);
    }
    let (from, to) = (Ts(i64::MIN), Ts(i64::MAX));
    let wanted = ledger.rows(&Wanted::default(), from, to);
    for pass in ["sealed in part", "merged"] {
        let told = Reader::open(dir.path()).unwrap().coverage(&Wanted::default(), from, to).unwrap();
        assert!(told.iter().any(|row| row.cause == Some("not_running")), "{told:?}");
        assert_eq!(told.len(), wanted.len(), "{pass}");
        for row in &wanted {
            assert!(told.contains(row), "{pass}: {row:?}");
        }
        compact(&config);
    }
}

#[tokio::test]
async fn numbers_that_repeat_have_a_dictionary_in_a_file_that_is_kept_and_others_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    // Of one day prices repeat and quantities do not, of the other the other way.
    for (day, prices_repeat) in [(0, true), (1, false)] {
        let epoch = EPOCH + day * 86_400_000;
        let mut luck = fastrand::Rng::with_seed(day);
        let trades = all(epoch, 3_000).into_iter().map(|mut published| {
            Arc::make_mut(&mut published.event.instrument).px_scale = 2;
            let (few, many) = (luck.i64(0..100) * 123_457 + 1, luck.i64(1..1 << 40));
            let (px, qty) = if prices_repeat { (Px(few), Qty(many)) } else { (Px(many), Qty(few)) };
            let trade = Trade { id: TradeId::Num(1), px, qty, aggressor: None, count: 1 };
            published.event.body = Body::Trade(trade);
            published
        });
        let (_, running, _bus) = run_of(&config, epoch, trades.collect()).await;
        running.stop().await;
    }
    compact(&config);
    let files = parquet(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    for (path, prices_repeat) in files.iter().zip([true, false]) {
        let file = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
        let group = file.metadata().row_group(0).clone();
        let repeats = |name: &str| {
            let column = group.columns().iter().find(|it| it.column_path().string() == name).unwrap();
            column.dictionary_page_offset().is_some()
        };
        assert_eq!((repeats("price"), repeats("quantity")), (prices_repeat, !prices_repeat), "{path:?}");
    }
}
