//! Files of days that are over in a place elsewhere: a folder.

use crate::files::{EPOCH, all, compact, everything, files_of, made, parquet, read, run, small, walk};
use bus::{Bus, Cursor, Published};
use metrics::{Level, Metrics};
use model::Ts;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::cold::ColdStep;
use store::ledger::Wanted;
use store::{Config, Error, Reader, Step, Store, Table, backup, restore};

pub const DAY_MS: u64 = 86_400_000;

/// Everything that is merged goes to a folder, and nothing stays here.
pub fn into(config: &Config, place: &Path) -> Config {
    let mut config = config.clone();
    config.cold.url = place.display().to_string();
    (config.cold.after_hours, config.cold.cache_bytes) = (0, 0);
    config
}

/// Keeps events of three days, the third one only in part in files.
pub async fn three_days(config: &Config) -> Vec<Published> {
    let mut events = Vec::new();
    for day in 0..3 {
        let (_, running, _bus) = run(config, EPOCH + day * DAY_MS, 1_500).await;
        running.stop().await;
        if day < 2 {
            compact(config);
        }
        events.extend(all(EPOCH + day * DAY_MS, 1_500));
    }
    events
}

pub fn objects(dir: &Path) -> Vec<PathBuf> {
    let mut files = files_of(dir);
    files.retain(|path| path.extension().is_some_and(|it| it == "parquet"));
    files
}

/// Whatever is read is right, and `wrong` says what was not read.
pub fn right(reader: &Reader, events: &[Published]) -> Vec<String> {
    let mut wrong = Vec::new();
    for published in reader.range(everything()).unwrap() {
        match published {
            Ok(published) => assert!(events.contains(&published)),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    wrong
}

#[tokio::test]
async fn what_stands_in_the_cold_tier_is_read_as_what_stands_here() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let mut events = three_days(&config).await;
    let coverage = |reader: &Reader| reader.coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let cold = reader.cold();
    assert!(cold.files > 4 && cold.cached_files == 0, "{cold:?}");
    assert_eq!(objects(place.path()).len() as u64, cold.files);
    assert_eq!(read(&reader, everything()), events, "log, files and the cold tier");
    walk(&reader, &events, "by another process");
    let before = coverage(&reader);
    assert!(reader.check().iter().all(|file| file.fault.is_none()));
    assert!(reader.cold().cached_bytes <= reader.cold().bytes / 2, "one file may stay");

    let (reader, running, _bus) = run(&config, EPOCH + 3 * DAY_MS, 700).await;
    events.extend(all(EPOCH + 3 * DAY_MS, 700));
    walk(&reader, &events, "memory, log, files and the cold tier");
    running.stop().await;
    assert_eq!(read(&reader, everything()), events, "after the stop");
    drop(reader);
    compact(&config);
    let reader = Reader::open(dir.path()).unwrap();
    walk(&reader, &events, "almost all of it in the cold tier");
    let after = coverage(&reader);
    assert!(before.iter().filter(|row| !row.open).all(|row| after.contains(row)));
}

/// Takes the store through all it does for the cold tier, with a kill after each step, and before what the step changed in
/// the catalogue was safe.
pub async fn killed_at_each_step(config: &Config) -> Vec<ColdStep> {
    // What is read after each step is read here.
    let config = &Config {
        cold: store::cold::Config { cache_bytes: u64::MAX, ..config.cold.clone() },
        ..config.clone()
    };
    let without = Config { cold: store::cold::Config::default(), ..config.clone() };
    let events = three_days(&without).await;
    compact(&without);
    let catalogue = ["manifest.redb", "manifest.journal"].map(|name| config.dir.join(name));
    let (mut steps, mut rounds) = (Vec::new(), 0);
    loop {
        let before = catalogue.clone().map(|path| fs::read(path).unwrap());
        let Some(step) = one_step(config) else { break };
        let redo = !matches!(step, ColdStep::Evicted { .. });
        held(config, &events, &step);
        if redo {
            catalogue.iter().zip(before).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            held(config, &events, &step);
            let again = one_step(config).unwrap();
            held(config, &events, &again);
            steps.push(again);
        }
        steps.push(step);
        rounds += 1;
        assert!(rounds < 400, "{steps:?}");
    }
    println!("killed twice at each of {rounds} steps");
    let reader = Reader::open(&config.dir).unwrap();
    assert!(reader.check().iter().all(|file| file.fault.is_none()));
    steps
}

/// What the next life reads.
fn held(config: &Config, events: &[Published], after: &ColdStep) {
    let (store, _) = Store::open(config.clone()).unwrap();
    assert_eq!(read(&store.reader(), everything()), events, "after {after}");
}

/// The next thing that is done for the cold tier; then it is killed.
pub fn one_step(config: &Config) -> Option<ColdStep> {
    let mut done = None;
    let (store, opened) = Store::open(config.clone()).unwrap();
    assert_eq!(opened.orphans.len(), 0, "{:?}", opened.orphans);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.compact(|step| {
            if let Step::Cold(step) = step {
                done = Some(step.clone());
                std::panic::resume_unwind(Box::new("killed"));
            }
        })
    }));
    if done.is_none() {
        ended.unwrap().unwrap();
    }
    done
}

#[tokio::test]
async fn a_kill_at_any_step_loses_nothing_and_doubles_nothing() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let steps = killed_at_each_step(&config).await;
    compact(&config);
    assert_eq!(Reader::open(dir.path()).unwrap().cold().cached_files, 0);
    assert!(steps.iter().any(|step| matches!(step, ColdStep::Kept { .. })), "{steps:?}");
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(objects(place.path()).len() as u64, reader.cold().files, "each object once");
}

#[tokio::test]
async fn a_flipped_byte_in_the_cold_tier_is_named_and_never_a_wrong_answer() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let events = three_days(&config).await;
    let mut luck = fastrand::Rng::with_seed(4);
    for object in objects(place.path()).into_iter().step_by(3) {
        let whole = fs::read(&object).unwrap();
        let name = object.file_name().unwrap().to_str().unwrap();
        let mut flipped = whole.clone();
        flipped[luck.usize(..whole.len())] ^= 1 << luck.u8(0..8);
        let longer = [&*whole, b"x"].concat();
        for bad in [Some(&*flipped), Some(&whole[..whole.len() / 2]), Some(&*longer), None] {
            match bad {
                Some(bad) => fs::write(&object, bad).unwrap(),
                None => fs::remove_file(&object).unwrap(),
            }
            let reader = Reader::open(dir.path()).unwrap();
            let wrong = right(&reader, &events);
            assert!(!wrong.is_empty() && wrong.iter().all(|error| error.contains(name)), "{wrong:?}");
            let faults: Vec<String> = reader.check().into_iter().filter_map(|file| file.fault).collect();
            assert!(matches!(&*faults, [fault] if fault.contains(name)), "{faults:?}");
        }
        fs::write(&object, &whole).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(right(&reader, &events), [""; 0]);
}

#[tokio::test]
async fn what_came_otherwise_than_it_was_sent_is_sent_again() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let events = three_days(&small(dir.path())).await;
    compact(&small(dir.path()));
    let sent = std::iter::from_fn(|| one_step(&config)).find(|step| matches!(step, ColdStep::Sent { .. }));
    let object = objects(place.path()).pop().unwrap();
    let whole = fs::read(&object).unwrap();
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 4;
    fs::write(&object, bytes).unwrap();
    let (store, _) = Store::open(config.clone()).unwrap();
    let error = store.compact(|_| ()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if *path == object), "{error}");
    assert!(!object.exists(), "{sent:?}");
    compact(&config);
    assert_eq!(fs::read(&object).unwrap(), whole);
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), events);
}

#[tokio::test]
async fn a_damaged_file_does_not_go_there_and_holds_up_no_other() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    three_days(&small(dir.path())).await;
    compact(&small(dir.path()));
    let config = into(&small(dir.path()), place.path());
    let bad = parquet(dir.path()).remove(0);
    let mut bytes = fs::read(&bad).unwrap();
    bytes[100] ^= 1;
    fs::write(&bad, bytes).unwrap();
    let steps = compact(&config);
    let name = bad.file_name().unwrap().to_str().unwrap();
    let ill = steps.iter().find_map(|step| match step {
        Step::Cold(ColdStep::Ill { path, why }) => Some((path, why)),
        _ => None,
    });
    let (path, why) = ill.unwrap();
    assert!(path.ends_with(name) && why.contains("checksum"), "{why}");
    let cold = Reader::open(dir.path()).unwrap().cold();
    assert!(bad.exists() && cold.files > 4 && objects(place.path()).len() as u64 == cold.files);
}

#[tokio::test]
async fn the_cache_keeps_its_budget_and_what_was_read_last() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = into(&small(dir.path()), place.path());
    three_days(&config).await;
    compact(&config);
    config.cold.cache_bytes = Reader::open(dir.path()).unwrap().cold().bytes / 2;
    compact(&config);
    let reader = Reader::open(dir.path()).unwrap();
    let largest = reader.check().iter().map(|file| file.bytes).max().unwrap();
    for table in [Table::Trades, Table::BookDeltas, Table::Gaps, Table::Trades, Table::Links] {
        let query = store::Query::of(&[table]);
        assert!(!read(&reader, query).is_empty());
        let cold = reader.cold();
        assert!(cold.cached_bytes <= config.cold.cache_bytes.max(largest), "{cold:?}");
        assert!(cold.cached_files > 0);
        let here = parquet(dir.path());
        let of = format!("/{}/", table.name());
        assert!(here.iter().any(|path| path.to_str().unwrap().contains(&of)), "{table:?} was read last");
    }
}

#[tokio::test]
async fn what_has_a_cold_copy_goes_before_anything_is_lost_and_old_objects_go_with_their_rows() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = into(&small(dir.path()), place.path());
    config.cold.cache_bytes = u64::MAX;
    let events = three_days(&config).await;
    compact(&config);
    let cold = Reader::open(dir.path()).unwrap().cold();
    assert_eq!(cold.cached_files, cold.files);
    let disk: u64 = parquet(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    config.total_bytes_max = disk - cold.cached_bytes / 2;
    let steps = compact(&config);
    let reader = Reader::open(dir.path()).unwrap();
    assert!(!steps.iter().any(|step| matches!(step, Step::Dropped(_))), "{steps:?}");
    assert!(reader.cold().cached_bytes <= cold.cached_bytes / 2 && reader.cold().files >= cold.files);
    assert_eq!(read(&reader, everything()), events);

    config.keep_hours.insert("default".to_owned(), 30);
    compact(&config);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(objects(place.path()).len() as u64, reader.cold().files);
    let left = read(&reader, everything());
    assert!(!left.is_empty() && left.iter().all(|it| it.cursor.epoch > EPOCH), "the first day is gone");
}

#[tokio::test]
async fn a_cold_tier_that_is_away_is_told_and_heals_by_itself() {
    let (dir, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (place, aside) = (root.path().join("place"), root.path().join("aside"));
    let config = into(&small(dir.path()), &place);
    let mut events = three_days(&config).await;
    fs::rename(&place, &aside).unwrap();
    // The folder under which another disk was mounted.
    fs::create_dir(&place).unwrap();
    let (reader, running, _bus) = run(&config, EPOCH + 4 * DAY_MS, 800).await;
    events.extend(all(EPOCH + 4 * DAY_MS, 800));
    running.control().seal().await;
    running.stop().await;
    let wrong = right(&reader, &events);
    drop(reader);
    assert!(!wrong.is_empty() && wrong.iter().all(|it| it.contains("fetch `/") && it.contains("place")));
    let (store, _) = Store::open(config.clone()).unwrap();
    let Err(Error::Cold { source, .. }) = store.compact(|_| ()) else { panic!() };
    assert!(source.to_string().contains("not mounted"), "{source}");
    assert_eq!(objects(&place).len(), 0, "nothing is written beside it");
    let later = read(
        &Reader::open(dir.path()).unwrap(),
        store::Query { from: Ts::from_ms((EPOCH + 3 * DAY_MS) as i64), ..everything() },
    );
    assert_eq!(later, events[events.len() - 800..], "what is here is read");
    fs::remove_dir(&place).unwrap();
    fs::rename(&aside, &place).unwrap();
    compact(&config);
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), events);
}

#[tokio::test]
async fn a_running_store_brings_files_there_and_counts_where_they_are_found() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = three_days(&small(dir.path())).await;
    let config = into(&small(dir.path()), place.path());
    let (store, _) = Store::open(config.clone()).unwrap();
    let reader = store.reader();
    let metrics = Arc::new(Metrics::new());
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms((EPOCH + 9 * DAY_MS) as i64)));
    let running = store.start(&bus, Arc::clone(&metrics));
    let told = &metrics.store;
    let there = async {
        while reader.cold().files < 5 || reader.cold().cached_files > 0 || told.cold_sent_bytes.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), there).await.unwrap();
    assert_eq!(read(&reader, everything()), events);
    let last = read(&reader, store::Query::of(&[Table::Trades]));
    assert_eq!(read(&reader, store::Query::of(&[Table::Trades])), last);
    // A life's end brings the numbers up to date, too.
    running.stop().await;
    drop(reader);
    let text = metrics.encode();
    assert!(text.contains("store_file_reads_total{level=\"network\"}"), "{text}");
    let reads = |level| told.file_reads.get_or_create(&Level { level }).get();
    assert!(reads("network") > 0 && told.cold_fetched_bytes.get() > 0);
    assert_eq!(told.cold_failing.get(), 0);
}

#[tokio::test]
async fn many_who_ask_for_a_file_fetch_it_once() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = into(&small(dir.path()), place.path());
    let events = three_days(&config).await;
    config.cold.cache_bytes = u64::MAX;
    compact(&config);
    let (store, _) = Store::open(config).unwrap();
    let reader = store.reader();
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| assert_eq!(read(&reader, everything()), events));
        }
    });
    let cold = reader.cold();
    let metrics = Arc::new(Metrics::new());
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms((EPOCH + 9 * DAY_MS) as i64)));
    let running = store.start(&bus, Arc::clone(&metrics));
    running.stop().await;
    assert_eq!(cold.cached_files, cold.files);
    assert!(metrics.store.cold_fetched_bytes.get() <= cold.bytes, "{cold:?}");
}

#[tokio::test]
async fn late_rows_of_a_cold_day_get_a_file_of_their_own() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let mut events = three_days(&config).await;
    let before = objects(place.path());
    let epoch = EPOCH + 5 * DAY_MS;
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(epoch as i64)));
    let running = store.start(&bus, Arc::new(Metrics::new()));
    for number in 1..=400 {
        let mut published = made(Cursor { epoch, number });
        published.event.stamp = made(Cursor { epoch: EPOCH, number }).event.stamp;
        bus.ready().await;
        bus.publish(published.event.clone(), published.ts_pub);
        events.push(published);
    }
    running.acked().wait_for(|acked| acked.cursor == Some(Cursor { epoch, number: 400 })).await.unwrap();
    running.stop().await;
    compact(&config);
    let after = objects(place.path());
    assert!(before.iter().all(|object| after.contains(object)) && after.len() > before.len());
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(read(&reader, everything()), events);
    walk(&reader, &events, "with late rows");
}

#[tokio::test]
async fn a_backup_has_what_stands_only_in_the_cold_tier() {
    let (root, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, to, back) = (root.path().join("live"), root.path().join("kept"), root.path().join("back"));
    let config = into(&small(&dir), place.path());
    let events = three_days(&config).await;
    assert_eq!(Reader::open(&dir).unwrap().cold().cached_files, 0);
    let report = backup(&dir, &to, |_, _| {}).unwrap();
    assert_eq!(report.damaged, [""; 0]);
    let here = parquet(&dir).len();
    assert!(report.files as usize > here, "the cache is not filled by it");
    fs::remove_dir_all(place.path()).unwrap();
    restore(&to, &back, None, |_, _| {}).unwrap();
    let reader = Reader::open(&back).unwrap();
    assert_eq!(read(&reader, everything()), events);
    assert!(reader.check().iter().all(|file| file.fault.is_none()));
    assert_eq!(reader.cold().files, 0);
}

#[tokio::test]
async fn a_catalogue_made_again_of_its_journal_knows_what_stands_in_the_cold_tier() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = into(&small(dir.path()), place.path());
    let events = three_days(&config).await;
    let cold = Reader::open(dir.path()).unwrap().cold();
    fs::remove_file(dir.path().join("manifest.redb")).unwrap();
    let report = store::rebuild(dir.path()).unwrap();
    assert_eq!(report.damaged, [""; 0]);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!((reader.cold().files, reader.cold().bytes), (cold.files, cold.bytes));
    assert_eq!(read(&reader, everything()), events);
}

#[tokio::test]
async fn without_a_url_what_was_brought_away_is_still_read_and_another_url_gets_what_is_here() {
    let (dir, place, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = into(&small(dir.path()), place.path());
    let events = three_days(&config).await;
    let before = objects(place.path()).len();
    compact(&small(dir.path()));
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), events);
    assert_eq!(objects(place.path()).len(), before, "nothing more goes there");
    config.cold.cache_bytes = u64::MAX;
    compact(&config);
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), events);
    let mut moved = into(&small(dir.path()), other.path());
    moved.cold.cache_bytes = 0;
    compact(&moved);
    assert_eq!(read(&Reader::open(dir.path()).unwrap(), everything()), events);
    assert_eq!(objects(other.path()).len() as u64, Reader::open(dir.path()).unwrap().cold().files);
}
