//! A seeded life of a log on a disk that fails and loses power at any operation.

use crate::sim_disk::SimDisk;
use crate::world::{Told, entries};
use bus::Cursor;
use store::Config;
use store::log::{Entry, Log, Lost};

fn config() -> Config {
    Config { segment_bytes: 3_000, ..Config::default() }
}

/// What one life of a bus was told, and what it gave.
#[derive(Default)]
struct Life {
    epoch: u64,
    acked: u64,
    given: u64,
    lost: Vec<Lost>,
}

impl Life {
    /// Commits until an error that the test takes for the end of the process, or `commits` of them.
    fn run(&mut self, log: &mut Log, luck: &mut fastrand::Rng, commits: u32) {
        let mut waiting: Vec<Entry> = Vec::new();
        for _ in 0..commits {
            let more = entries(self.epoch, self.given + 1, self.given + luck.u64(1..30));
            self.given += more.len() as u64;
            waiting.extend(more);
            match log.commit(&waiting) {
                Ok(committed) => {
                    let acked = committed.acked.unwrap();
                    assert_eq!(acked, Cursor { epoch: self.epoch, number: self.given });
                    self.acked = acked.number;
                    waiting.clear();
                }
                // Sometimes what waits is given up, sometimes it is tried again.
                Err(_) if luck.u8(0..3) == 0 => {
                    let from = waiting[0].first().number;
                    let lost = Lost { epoch: self.epoch, from, to: self.given, why: "no room".into() };
                    waiting = vec![Entry::Lost(lost.clone())];
                    self.lost.push(lost);
                }
                Err(_) => {}
            }
        }
    }

    /// Everything acknowledged is there once or told as lost, and nothing is there that was not given.
    fn holds(&self, told: &Told) {
        for number in 1..=self.acked {
            let cursor = Cursor { epoch: self.epoch, number };
            assert!(told.knows(cursor), "{cursor:?} of {} acknowledged is gone", self.acked);
        }
        let read = told.read.get(&self.epoch).and_then(|all| all.last()).copied().unwrap_or(0);
        assert!(read <= self.given, "{read} was never given");
        for lost in told.lost.iter().filter(|lost| lost.epoch == self.epoch) {
            assert!(
                self.lost.iter().any(|l| l.from == lost.from && l.to <= lost.to || l == lost),
                "{lost:?}"
            );
        }
    }
}

/// One log through several losses of power; `fails` gives which operations of each life fail.
fn lives(seed: u64, fails: impl Fn(&mut fastrand::Rng) -> std::ops::Range<u64>) {
    let mut luck = fastrand::Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed);
    let mut lives: Vec<Life> = Vec::new();
    let mut newest = 0;
    for _ in 0..6 {
        let (mut log, opened) =
            Log::open(disk.again(), config()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        newest = newest.max(opened.newest.map_or(0, |cursor| cursor.epoch));
        let mut life = Life { epoch: newest + 1, ..Life::default() };
        newest += 1;
        {
            let mut state = disk.state();
            let fails = fails(&mut luck);
            state.fails = state.operations + fails.start..state.operations + fails.end;
        }
        let commits = luck.u32(0..12);
        life.run(&mut log, &mut luck, commits);
        disk.state().fails = 0..0;
        if luck.u8(0..3) == 0 {
            log.close().unwrap();
        }
        lives.push(life);
        disk = disk.lose_power();
        let told = Told::by(disk.again());
        assert!(told.wrong.is_empty(), "seed {seed}: {:?}", told.wrong);
        for life in &lives {
            life.holds(&told);
        }
    }
    let (_, opened) = Log::open(disk.again(), config()).unwrap();
    let told = Told::by(disk.again());
    assert!(told.wrong.is_empty() && told.torn == 0, "seed {seed}: after {opened:?}: {told:?}");
    for life in &lives {
        life.holds(&told);
    }
}

#[test]
fn what_is_acknowledged_outlives_losses_of_power() {
    for seed in 0..200 {
        lives(seed, |_| 0..0);
    }
}

#[test]
fn what_is_acknowledged_outlives_a_failure_of_any_operation() {
    for seed in 0..200 {
        lives(seed, |luck| {
            let at = luck.u64(1..25);
            at..at + 1
        });
    }
}

#[test]
fn what_is_acknowledged_outlives_a_disk_that_refuses_for_a_while() {
    for seed in 0..200 {
        lives(seed, |luck| {
            let at = luck.u64(1..25);
            at..at + luck.u64(1..40)
        });
    }
}

#[test]
fn what_is_acknowledged_outlives_a_disk_that_refuses_to_the_end() {
    for seed in 0..200 {
        lives(seed, |luck| luck.u64(1..40)..u64::MAX / 2);
    }
}

#[test]
fn a_failure_while_opening_leaves_the_log_as_it_was() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let (mut log, _) = Log::open(disk.again(), config()).unwrap();
        let acked = 3 * (seed % 7);
        for number in 0..acked {
            log.commit(&entries(1, number * 5 + 1, number * 5 + 5)).unwrap();
        }
        drop(log);
        if let Some((name, length)) = disk.files().last().cloned() {
            disk.change(&name, |bytes| bytes.extend(vec![7; length % 90]));
        }
        let disk = disk.lose_power();
        let at = disk.state().operations + 1 + seed % 5;
        disk.state().fails = at..at + 1;
        drop(Log::open(disk.again(), config()));
        let disk = disk.lose_power();
        Log::open(disk.again(), config()).unwrap();
        let told = Told::by(disk.again());
        assert!(told.wrong.is_empty() && told.torn == 0, "seed {seed}: {told:?}");
        assert_eq!(told.read.get(&1).map_or(0, Vec::len) as u64, acked * 5, "seed {seed}");
    }
}

#[test]
fn the_oldest_segments_make_room_and_the_rest_reads_without_a_hole() {
    let disk = SimDisk::new(1);
    let small = Config { segment_bytes: 3_000, total_bytes_max: 12_000, ..Config::default() };
    let (mut log, _) = Log::open(disk.again(), small.clone()).unwrap();
    let mut deleted = Vec::new();
    for number in 0..200 {
        deleted.extend(log.commit(&entries(1, number * 5 + 1, number * 5 + 5)).unwrap().deleted);
        // The one in hand may pass its size by one commit.
        assert!(log.bytes() < 12_000 + 3_000, "{}", log.bytes());
    }
    assert!(deleted.len() > 10, "{deleted:?}");
    log.close().unwrap();
    let told = Told::by(disk.again());
    assert!(told.wrong.is_empty(), "{:?}", told.wrong);
    let read = &told.read[&1];
    assert_eq!((*read.last().unwrap(), read.len() as u64), (1_000, 1_001 - read[0]));
    assert_eq!(told.closed, Some(Cursor { epoch: 1, number: 1_000 }));
}

#[test]
fn a_folder_has_one_writer() {
    let disk = SimDisk::new(1);
    let (log, _) = Log::open(disk.again(), config()).unwrap();
    assert!(matches!(Log::open(disk.again(), config()), Err(store::Error::InUse { .. })));
    drop(log);
    Log::open(disk.again(), config()).unwrap();
    // And on a real one.
    let folder = tempfile::tempdir().unwrap();
    let host = || Box::new(store::disk::Host::new(folder.path().join("new")));
    let (log, _) = Log::open(host(), config()).unwrap();
    assert!(matches!(Log::open(host(), config()), Err(store::Error::InUse { .. })));
    drop(log);
    Log::open(host(), config()).unwrap();
}
