//! `qingxi backfill --store`: what the ledger says is missing comes from the venue's history, and the ledger says so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use app::config::Config;
use app::sources::named;
use app::topology::Platform;
use bus::{Filter, Item, Policy};
use model::{Body, Channel};
use serde_json::Value;
use sim::Host;
use source::SimSetup;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);
/// How many trades of each instrument a life of the platform reads.
const TRADES: usize = 5;
const INSTRUMENTS: usize = 2;

/// Runs a platform on a simulator until it has read so many trades of each instrument.
async fn life(dir: &Path, host: &Host) {
    let books = host.books().await;
    let spot = books.iter().filter(|book| &*book.instrument.product == "spot");
    let hosts = host.addrs.iter().map(|(name, addr)| ((*name).to_owned(), format!("http://{addr}")));
    let source = feed::SourceConfig {
        name: "binance".to_owned(),
        instruments: spot.map(|book| book.instrument.name.to_string()).collect(),
        channels: vec!["trades".to_owned()],
        hosts: hosts.collect(),
        ..feed::SourceConfig::default()
    };
    let mut config = Config { sources: vec![source], ..Config::default() };
    (config.serve.http_port, config.serve.metrics_port, config.serve.probe_port) = (0, 0, 0);
    config.run.subscriptions = PathBuf::new();
    config.store.dir = dir.to_owned();
    let platform = Platform::start(config).await.unwrap();
    let policy = Policy::Lossless { queue_max: 65_536 };
    let mut reader = platform.bus.subscribe(Filter::channels(&[Channel::Trades]), policy, None);
    let (mut items, mut seen) = (Vec::new(), Vec::new());
    let enough = |seen: &[Box<str>]| {
        let all: BTreeSet<&Box<str>> = seen.iter().collect();
        all.len() >= INSTRUMENTS && all.iter().all(|name| seen.iter().filter(|s| s == name).count() >= TRADES)
    };
    let read = async {
        while !enough(&seen) {
            reader.read(&mut items, 1_024).await;
            seen.extend(items.drain(..).filter_map(|item| match item {
                Item::Event { published, .. } if matches!(published.event.body, Body::Trade(_)) => {
                    Some(published.event.instrument.name.clone())
                }
                _ => None,
            }));
        }
    };
    timeout(PATIENCE, read).await.expect("trades of every instrument");
    drop(reader);
    platform.stop().await;
}

fn qingxi(args: &[&str], dir: &Path) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.code().is_some_and(|code| code < 2),
        "{args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    (done.status.code(), text)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The holes of trades while the platform did not run.
fn holes(dir: &Path) -> Vec<Value> {
    let mut rows = lines(&qingxi(&["coverage", "--json", "--state", "gap", "--channel", "trades"], dir).1);
    rows.retain(|row| row["cause"] == "not_running");
    rows
}

/// The numbers of the trades that are kept of an instrument.
fn ids(dir: &Path, instrument: &str) -> Vec<u64> {
    let events = lines(&qingxi(&["export", "--kind", "trade", "--instrument", instrument], dir).1);
    let mut ids: Vec<u64> =
        events.iter().map(|event| event["id"].as_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_platform_did_not_run_is_read_from_the_venue_and_the_ledger_says_so() {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (_stop, stopped) = watch::channel(false);
    let source = named("binance").unwrap();
    let setup = SimSetup {
        start: feed::clock::now(),
        instruments: INSTRUMENTS,
        moves_per_s: 200,
        ..SimSetup::default()
    };
    let host = Host::start(source, source.sim(&setup), &[], feed::clock::now, stopped).await.unwrap();
    life(dir, &host).await;
    life(dir, &host).await;
    let before = holes(dir);
    assert!(before.len() >= INSTRUMENTS && before.iter().all(|row| row["end"] != "repaired"), "{before:?}");
    let instruments: BTreeSet<String> =
        before.iter().map(|row| row["instrument"].as_str().unwrap().to_owned()).collect();

    // Nobody is there to be asked: what is missing stays so.
    let nobody = ["backfill", "--json", "--source", "okx", "--store"];
    assert_eq!(qingxi(&nobody, dir).0, Some(0), "nothing of that source is missing");
    assert_eq!(holes(dir), before);

    let hosts: Vec<String> = host.addrs.iter().map(|(name, addr)| format!("{name}=http://{addr}")).collect();
    let hosts: Vec<&str> = hosts.iter().flat_map(|host| ["--host", host]).collect();
    let args = [&["backfill", "--json", "--source", "binance"], &*hosts, &["--store"]].concat();
    let started = feed::clock::now();
    let told = {
        let (args, dir) = (args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), dir.to_owned());
        let ask = move || qingxi(&args.iter().map(String::as_str).collect::<Vec<_>>(), &dir);
        tokio::task::spawn_blocking(ask).await.unwrap()
    };
    let report: Value = serde_json::from_str(&told.1).unwrap();
    assert_eq!((told.0, report["left"].as_u64()), (Some(0), Some(0)), "{report}");
    let after = holes(dir);
    assert_eq!(after.len(), before.len());
    for row in &after {
        assert_eq!(row["end"], "repaired", "{row}");
        assert!(row["end_ts"].as_i64().unwrap() >= started.0, "{row}");
        assert!(row["events"].as_u64().is_some(), "{row}");
    }
    for instrument in &instruments {
        let ids = ids(dir, instrument);
        assert!(
            ids.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{instrument}: each once, none left out: {ids:?}"
        );
    }
    let (_, verified) = qingxi(&["verify"], dir);
    assert!(verified.contains("repaired"), "{verified}");
    // Nothing is missing any more.
    let again = tokio::task::block_in_place(|| qingxi(&args, dir));
    let again: Value = serde_json::from_str(&again.1).unwrap();
    assert_eq!((&again["holes"], again["events"].as_u64()), (&serde_json::json!([]), Some(0)), "{again}");
}
