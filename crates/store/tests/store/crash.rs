//! A process that publishes, keeps and says what was acknowledged is killed at random instants. `CRASHES` says how often.

use crate::world::{Told, event, ts_pub};
use bus::{Bus, Cursor};
use metrics::Metrics;
use model::Ts;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use store::disk::Host;
use store::log::Log;
use store::{Acked, Archive, Config};

const FOLDER: &str = "QINGXI_CRASH_FOLDER";
/// After so many kills a new folder is taken, so that reading all of it stays quick.
const KILLS_A_FOLDER: u64 = 25;
/// How many events the child publishes before they are acknowledged.
const AHEAD_MAX: u64 = 3_000;

/// The process that is killed; without its folder this is no test.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let config = Config { segment_bytes: 100_000, commit_ms: 1, ..Config::default() };
    let (log, opened) = Log::open(Box::new(Host::new(folder)), config.clone()).unwrap();
    let epoch = opened.newest.map_or(1, |newest| newest.epoch + 1);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(i64::try_from(epoch).unwrap())));
        let archive = Archive::start(log, config, &bus, Arc::new(Metrics::new()));
        let (mut acked, mut safe) = (archive.acked(), archive.acked());
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
            assert_eq!(bus.publish(event(cursor), ts_pub(cursor)), cursor);
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
    let wanted = if luck.u8(0..4) == 0 { 0 } else { luck.usize(1..12) };
    let cursor = |line: String| {
        let mut words = line.strip_prefix("acked ")?.split(' ').map(|word| word.parse().unwrap());
        Some(Cursor { epoch: words.next()?, number: words.next()? })
    };
    let mut last = lines.by_ref().filter_map(cursor).take(wanted).last();
    std::thread::sleep(Duration::from_micros(luck.u64(0..4_000)));
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
    let (mut acknowledged, mut folder) = (0, tempfile::tempdir().unwrap());
    let mut said: Vec<Cursor> = Vec::new();
    for kill in 0..kills {
        if kill % KILLS_A_FOLDER == 0 {
            folder = tempfile::tempdir().unwrap();
            said.clear();
        }
        let last = killed(folder.path(), &mut luck);
        acknowledged += last.map_or(0, |cursor| cursor.number);
        said.extend(last);
        let told = Told::by(Box::new(Host::new(folder.path())));
        assert!(told.wrong.is_empty(), "kill {kill}: {:?}", told.wrong);
        assert!(told.lost.is_empty(), "kill {kill}: {:?}", told.lost);
        for cursor in &said {
            // From 1 without a hole, up to at least the last that was acknowledged.
            let read = told.read.get(&cursor.epoch).map_or(0, |all| all.len() as u64);
            assert!(read >= cursor.number, "kill {kill}: {read} of {cursor:?}");
            assert_eq!(told.read[&cursor.epoch].last(), Some(&read), "kill {kill}");
        }
    }
    println!("{kills} kills, {acknowledged} events acknowledged, every one there once");
}
