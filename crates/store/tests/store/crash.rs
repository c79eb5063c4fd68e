//! A process that publishes, keeps, seals, merges, drops and says what was acknowledged is killed at random instants.
//! `CRASHES` says how often.

use crate::fault_disk::folder;
use crate::files::{EPOCH, everything, made, parquet, read};
use bus::{Bus, Cursor};
use metrics::Metrics;
use model::Ts;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use store::{Acked, Config, Reader, Store};

const FOLDER: &str = "QINGXI_CRASH_FOLDER";
/// After so many kills a new folder is taken, so that reading all of it stays quick.
const KILLS_A_FOLDER: u64 = 20;
/// How many events the child publishes before they are acknowledged.
const AHEAD_MAX: u64 = 100;

/// Segments end, and are sealed, as soon as they can be.
fn config(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), segment_bytes: 64 << 10, commit_ms: 1, seal_ms: 1, ..Config::default() }
}

/// The process that is killed; without its folder this is no test.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let config = config(Path::new(&folder));
    let (mut store, opened) = Store::open(config).unwrap();
    // What is in no file yet is sealed and merged at once, so that kills hit that too.
    store.tend(|_| {}).unwrap();
    let epoch = opened.newest.map_or(EPOCH, |newest| newest.epoch + 1);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(i64::try_from(epoch).unwrap())));
        let running = store.start(&bus, Arc::new(Metrics::new()));
        let (mut acked, mut safe) = (running.acked(), running.acked());
        tokio::spawn(async move {
            while acked.changed().await.is_ok() {
                let cursor = acked.borrow_and_update().cursor.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "acked {} {}", cursor.epoch, cursor.number).unwrap();
                out.flush().unwrap();
            }
        });
        for number in 1.. {
            let cursor = Cursor { epoch, number };
            // Ahead of the disk by so much, and no more: beyond its bound the archive would lose events, and say so.
            let near = |acked: &Acked| number - acked.cursor.map_or(0, |cursor| cursor.number) < AHEAD_MAX;
            safe.wait_for(near).await.unwrap();
            let published = made(cursor);
            assert_eq!(bus.publish(published.event, published.ts_pub), cursor);
        }
    });
}

/// Starts the child, kills it after a while that follows from `luck`, and gives the last that it said was acknowledged.
fn killed(folder: &Path, luck: &mut fastrand::Rng) -> Option<Cursor> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // Every fourth is killed before it has said anything, the others after some acknowledgements.
    let wanted = if luck.u8(0..4) == 0 { 0 } else { luck.usize(1..16) };
    let cursor = |line: String| {
        let mut words = line.strip_prefix("acked ")?.split(' ').map(|word| word.parse().unwrap());
        Some(Cursor { epoch: words.next()?, number: words.next()? })
    };
    let mut last = lines.by_ref().filter_map(cursor).take(wanted).last();
    // Sealing and merging take longer than a commit.
    std::thread::sleep(Duration::from_micros(luck.u64(0..if wanted == 0 { 300_000 } else { 4_000 })));
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it was killed is still in the pipe; its last line may be cut.
    for line in lines {
        if line.split(' ').count() == 3 && !line.ends_with(' ') {
            last = cursor(line).filter(|cursor| last < Some(*cursor)).or(last);
        }
    }
    last
}

#[test]
fn a_kill_at_any_instant_loses_nothing_that_was_acknowledged() {
    let kills: u64 = std::env::var("CRASHES").map_or(20, |kills| kills.parse().unwrap());
    let mut luck = fastrand::Rng::with_seed(11);
    let (mut acknowledged, mut merged, mut dir) = (0, 0, folder());
    let mut said: Vec<Cursor> = Vec::new();
    for kill in 0..kills {
        if kill % KILLS_A_FOLDER == 0 {
            dir = folder();
            said.clear();
        }
        let last = killed(dir.path(), &mut luck);
        acknowledged += last.map_or(0, |cursor| cursor.number);
        said.extend(last);
        merged += holds(dir.path(), &said, kill);
    }
    assert!(merged > 0, "it is killed while it merges too");
    println!("{kills} kills, {acknowledged} events acknowledged, every one there once");
}

/// Every event is there once, from 1 without a hole, up to at least the last that was acknowledged; files are those of the
/// catalogue, and check. Gives how many of them were merged.
fn holds(dir: &Path, said: &[Cursor], kill: u64) -> usize {
    let (store, _) = Store::open(config(dir)).unwrap();
    let reader = Reader::open(dir).unwrap();
    assert_eq!(reader.faults().unwrap(), [], "kill {kill}");
    let files = reader.check();
    assert!(files.iter().all(|file| file.fault.is_none()), "kill {kill}: {files:?}");
    let mut named: Vec<_> = files.iter().map(|file| dir.join(&*file.path)).collect();
    named.sort();
    assert_eq!(if named.is_empty() { Vec::new() } else { parquet(dir) }, named, "kill {kill}");
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for published in read(&reader, everything()) {
        let Cursor { epoch, number } = published.cursor;
        let last = last.entry(epoch).or_default();
        *last += 1;
        assert_eq!(number, *last, "kill {kill}: {epoch}");
        assert_eq!(published, made(published.cursor), "kill {kill}");
    }
    for cursor in said {
        let read = last.get(&cursor.epoch).copied().unwrap_or_default();
        assert!(read >= cursor.number, "kill {kill}: {read} of {cursor:?}");
    }
    drop(store);
    files.iter().filter(|file| file.level > 0).count()
}
