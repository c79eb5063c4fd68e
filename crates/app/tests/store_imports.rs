//! `qingxi import --store`: tables, exports, archives and tapes into a store, each thing once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use store::{Columnar, Config, Query, Reader, Store, Table};
use tempfile::TempDir;

/// A store and files beside it.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, args: &[&str], files: &[&Path]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qingxi"));
        command
            .args(["import", "--json", "--store"])
            .arg(self.store())
            .args(args)
            .args(files)
            .output()
            .unwrap()
    }

    /// The exit code, and what became of each file.
    fn import(&self, args: &[&str], files: &[&Path]) -> (Option<i32>, Vec<Value>) {
        let done = self.run(args, files);
        let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
        (done.status.code(), told["files"].as_array().unwrap().clone())
    }

    fn events(&self) -> Vec<Value> {
        exported(&self.store())
    }
}

fn qingxi(args: &[&str], path: &Path) -> Output {
    let done = Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).arg(path).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

fn exported(store: &Path) -> Vec<Value> {
    let lines = qingxi(&["export"], store).stdout;
    lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn pick(event: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| event[*name].clone()).collect()
}

/// What became of a file: rows, new events, known ones, late ones, bad rows.
fn counts(done: &Value) -> Value {
    pick(done, &["rows", "events", "known", "late", "bad"])
}

const TRADES: &str = "exchange,product,symbol,ts_event,trade_id,price,quantity,side
NYSE,,ABC,1760000000000000001,7,10.25,100,buy
NYSE,,ABC,2025-10-09T08:53:21Z,8,10.125000001,1,sell
NYSE,,ABC,1760000002000000000,9,0.1,5,sideways
NYSE,,ABC,1760000002,10,10,5,buy
NYSE,,ABC,4100000002000000000,11,10,5,buy
";

#[test]
fn a_table_of_trades_is_taken_row_by_row_and_only_once() {
    let world = World::new();
    let file = world.put("trades.csv", TRADES);
    let before = feed::clock::now();
    let (code, done) = world.import(&[], &[&file]);
    assert_eq!((code, counts(&done[0])), (Some(1), json!([5, 2, 0, 0, 3])), "{done:?}");
    let faults: Vec<&str> = done[0]["faults"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (line, words) in [(4, "buy or sell"), (5, "before 2000"), (6, "in the future")] {
        assert!(
            faults.iter().any(|f| f.starts_with(&format!("line {line}:")) && f.contains(words)),
            "{faults:?}"
        );
    }
    let events = world.events();
    let names = ["source", "instrument", "id", "px", "qty", "aggressor", "ts_event", "flags"];
    assert_eq!(
        events.iter().map(|event| pick(event, &names)).collect::<Vec<_>>(),
        [
            json!([
                "imported",
                "ABC@NYSE",
                "7",
                "10.25",
                "100",
                "buy",
                1_760_000_000_000_000_001_i64,
                ["repaired"]
            ]),
            json!([
                "imported",
                "ABC@NYSE",
                "8",
                "10.125000001",
                "1",
                "sell",
                1_760_000_001_000_000_000_i64,
                ["repaired"]
            ]),
        ]
    );
    assert!(events.iter().all(|event| event["ts_pub"].as_i64().unwrap() >= before.0), "known from now on");
    let (_, done) = world.import(&[], &[&file, &file]);
    assert_eq!((counts(&done[0]), counts(&done[1])), (json!([5, 0, 2, 0, 3]), json!([5, 0, 2, 0, 3])));
    assert_eq!(world.events().len(), 2);
}

#[test]
fn equal_trades_without_numbers_are_as_many_as_the_fullest_file_has() {
    let world = World::new();
    let row = "NYSE,ABC,2025-10-09T08:53:21Z,10,1\n";
    let file = |name: &str, times: usize| {
        world.put(name, &format!("exchange,symbol,ts_event,price,quantity\n{}", row.repeat(times)))
    };
    let (two, three) = (file("two.csv", 2), file("three.csv", 3));
    let (_, done) = world.import(&[], &[&two, &two, &three]);
    let all: Vec<Value> = done.iter().map(counts).collect();
    assert_eq!(all, [json!([2, 2, 0, 0, 0]), json!([2, 0, 2, 0, 0]), json!([3, 1, 2, 0, 0])]);
    assert_eq!(world.events().len(), 3);
}

#[test]
fn quotes_and_bars_are_read_by_their_columns() {
    let world = World::new();
    let quotes = "exchange,symbol,timestamp,bid_price,bid_quantity,ask_price,ask_quantity
X,S,1760000000123,10.1,5,10.2,6
X,S,1760000000124,,,10.2,6
X,S,1760000000125,,,,
";
    let bars = "exchange,symbol,interval,start,open,high,low,close,volume
X,S,1m,2025-10-09T08:53:00Z,1,3,0.5,2,100
X,S,1m,2025-10-09T08:54:00Z,4,3,0.5,2,100
";
    let (quotes, bars) = (world.put("quotes.csv", quotes), world.put("bars.csv", bars));
    let (_, done) = world.import(&[], &[&quotes, &bars]);
    assert_eq!(
        (counts(&done[0]), counts(&done[1])),
        (json!([3, 2, 0, 0, 1]), json!([2, 1, 0, 0, 1])),
        "{done:?}"
    );
    let events = world.events();
    assert_eq!(pick(&events[0], &["bid", "ask"]), json!([["10.1", "5"], ["10.2", "6"]]));
    assert_eq!(
        pick(&events[1], &["bid", "ask", "ts_event"]),
        json!([null, ["10.2", "6"], 1_760_000_000_124_000_000_i64])
    );
    assert_eq!(
        pick(&events[2], &["interval", "close", "closed", "ts_event"]),
        json!(["1m", "2", true, 1_759_999_980_000_000_000_i64])
    );
}

#[test]
fn what_is_exported_comes_back_from_every_form() {
    let world = World::new();
    let file = world.put("trades.csv", &TRADES.lines().take(3).collect::<Vec<_>>().join("\n"));
    world.import(&[], &[&file]);
    let fields = [
        "kind",
        "source",
        "instrument",
        "symbol",
        "channel",
        "id",
        "px",
        "qty",
        "aggressor",
        "ts_event",
        "ts_recv",
    ];
    let as_told = |events: Vec<Value>| events.iter().map(|event| pick(event, &fields)).collect::<Vec<_>>();
    let whole = as_told(world.events());

    let lines =
        world.put("lines.jsonl", &String::from_utf8(qingxi(&["export"], &world.store()).stdout).unwrap());
    let parquet = world.0.path().join("trades.parquet");
    let out = fs::File::create(&parquet).unwrap();
    Reader::open(&world.store())
        .unwrap()
        .extract(Query::of(&[Table::Trades]), Columnar::Parquet, u64::MAX, out)
        .unwrap();
    // As `/api/v1/history` writes it.
    let csv = "kind,source,instrument,symbol,channel,ts_event,ts_recv,ts_pub,epoch,number,flags,id,px,qty,aggressor,count
trade,imported,ABC@NYSE,ABC,trades,1760000000000000001,1760000000000000001,1,1,1,\"[\"\"repaired\"\"]\",7,10.25,100,buy,1
trade,imported,ABC@NYSE,ABC,trades,1760000001000000000,1760000001000000000,1,1,2,\"[\"\"repaired\"\"]\",8,10.125000001,1,sell,1
";
    let csv = world.put("history.csv", csv);
    for file in [&lines, &parquet, &csv] {
        let other = World::new();
        let (code, done) = other.import(&[], &[file]);
        assert_eq!((code, counts(&done[0])), (Some(0), json!([2, 2, 0, 0, 0])), "{done:?}");
        assert_eq!(as_told(other.events()), whole, "{}", file.display());
        // All forms tell the same things.
        let (_, done) = other.import(&[], &[&lines, &parquet, &csv]);
        assert!(done.iter().all(|done| counts(done) == json!([2, 0, 2, 0, 0])), "{done:?}");
    }
}

#[test]
fn a_tape_goes_through_the_engine_and_an_archive_by_its_name() {
    let world = World::new();
    let frames = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sources/binance/fixtures/spot_trades.jsonl");
    let frames = fs::read_to_string(frames).unwrap();
    let tape: String = frames.lines().map(|f| json!({ "msg": f }).to_string() + "\n").collect();
    let tape = world.put("samples.jsonl", &tape);
    let told = world.0.path().join("told.jsonl");
    qingxi(&["replay", "--json", "--events", told.to_str().unwrap()], &tape);
    let told = fs::read_to_string(told).unwrap();
    let names = ["kind", "instrument", "id", "px", "ts_event"];
    let told: Vec<Value> = told.lines().map(|l| pick(&serde_json::from_str(l).unwrap(), &names)).collect();
    let (code, done) = world.import(&[], &[&tape]);
    assert_eq!((code, &done[0]["events"]), (Some(0), &json!(told.len())), "{done:?}");
    let kept: Vec<Value> = world.events().iter().map(|event| pick(event, &names)).collect();
    assert_eq!(kept, told);
    let (_, done) = world.import(&[], &[&tape]);
    assert_eq!((&done[0]["events"], &done[0]["known"]), (&json!(0), &json!(told.len())));

    let archive =
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional
1784851200.1,BTCUSDT,Buy,1,2,x,one,1,1,1
";
    let archive = world.put("BTCUSDT2026-07-25.csv", archive);
    for expected in [json!([1, 1, 0, 0, 0]), json!([1, 0, 1, 0, 0])] {
        let (_, done) = world.import(&["--source", "bybit"], &[&archive]);
        assert_eq!(counts(&done[0]), expected, "{done:?}");
    }
}

#[test]
fn a_store_in_use_and_a_file_that_is_nothing_are_told_in_words() {
    let world = World::new();
    let file = world.put("trades.csv", TRADES);
    let nothing = world.put("nothing.csv", "");
    let strange = world.put("strange.dat", "what is this");
    let (code, done) = world.import(&[], &[&nothing, &strange, &file]);
    assert_eq!((code, &done[2]["events"]), (Some(1), &json!(2)), "{done:?}");
    assert!(done[0]["failed"].as_str().unwrap().contains("nothing in it"), "{done:?}");
    assert!(!done[1]["failed"].is_null(), "{done:?}");
    let held = Store::open(Config { dir: world.store(), ..Config::default() }).unwrap();
    let refused = world.run(&[], &[&file]);
    drop(held);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("in use: stop the platform"), "{words}");
}

#[test]
fn a_replay_tells_what_was_imported_where_it_happened() {
    let world = World::new();
    let file = |name: &str, symbol: &str, seconds: [u32; 3]| {
        let row = |s: u32| format!("NYSE,{symbol},2025-10-09T08:53:{s:02}Z,{s},10,1\n");
        let rows: String = seconds.map(row).concat();
        world.put(name, &format!("exchange,symbol,ts_event,id,price,quantity\n{rows}"))
    };
    let first = file("first.csv", "A", [10, 30, 50]);
    world.import(&[], &[&first]);
    let (later, between) = (file("later.csv", "A", [11, 12, 13]), file("between.csv", "B", [20, 31, 59]));
    world.import(&[], &[&later, &between]);
    let out = qingxi(&["replay", "--speed", "max", "--from-store"], &world.store()).stdout;
    let told = String::from_utf8(out).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&str> = told.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["10", "11", "12", "13", "20", "30", "31", "50", "59"]);
    assert!(told.iter().all(|event| event["ts_pub"] == event["ts_event"]), "{told:?}");
}
