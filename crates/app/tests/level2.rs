//! Logs of Level-2 through the binary: the book that orders and trades make against the exchange's own snapshots.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "sse_600000_20230207.log";

fn fixture() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sources/sse_l2/fixtures").join(NAME);
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn replay(files: &[&Path]) -> (Value, Option<i32>) {
    let out = Command::new(env!("CARGO_BIN_EXE_qingxi"))
        .args(["replay", "--verify", "--json"])
        .args(files)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{files:?}: {e}: {}", String::from_utf8_lossy(&out.stderr)));
    (report, out.status.code())
}

fn of_lines(lines: &[String]) -> (Value, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    std::fs::write(&path, lines.join("\r\n") + "\r\n").unwrap();
    replay(&[&path])
}

/// The place of the first line with all of these words.
fn find(lines: &[String], words: &[&str]) -> usize {
    lines.iter().position(|line| words.iter().all(|word| line.contains(word))).unwrap()
}

#[test]
fn the_rebuilt_book_equals_every_snapshot_and_the_trades_add_up() {
    let (report, code) = of_lines(&fixture());
    assert_eq!((report["right"].clone(), code), (json!(true), Some(0)), "{report}");
    let orders = &report["orders"][0];
    assert_eq!((&orders["snapshots_equal"], &orders["snapshots_different"]), (&json!(4), &json!(0)));
    assert_eq!(orders["snapshots_passed"], json!({ "before the first order": 1, "call auction": 3 }));
    assert_eq!(orders["days"][0]["equal"], json!(true));
    assert_eq!((&orders["instrument"], &orders["bad_orders"]), (&json!("600000.SH"), &json!(0)));
}

#[test]
fn each_day_begins_with_an_empty_book_and_adds_up_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["20230207", "20230208"].map(|day| folder.path().join(format!("sse_600000_{day}.log")));
    for path in &paths {
        std::fs::write(path, fixture().join("\r\n") + "\r\n").unwrap();
    }
    let (report, code) = replay(&[&paths[0], &paths[1]]);
    let orders = &report["orders"][0];
    assert_eq!((&orders["snapshots_equal"], &orders["bad_orders"], code), (&json!(8), &json!(0), Some(0)));
    assert_eq!(orders["snapshots_passed"], json!({ "before the first order": 2, "call auction": 6 }));
    assert_eq!((&orders["days"][0]["equal"], &orders["days"][1]["equal"]), (&json!(true), &json!(true)));
}

#[test]
fn a_zip_gives_the_same_as_the_log_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sse_600000_20230207.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("any.log", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all((fixture().join("\r\n") + "\r\n").as_bytes()).unwrap();
    zip.finish().unwrap();
    assert_eq!(replay(&[&path]), of_lines(&fixture()));
}

#[test]
fn a_lost_cancel_shows_in_the_next_snapshot_with_the_level() {
    let mut lines = fixture();
    lines.remove(find(&lines, &["OrdType=68"]));
    let (report, code) = of_lines(&lines);
    let orders = &report["orders"][0];
    assert_eq!((&orders["snapshots_different"], code), (&json!(2), Some(1)));
    let words = "2023-02-07 09:30:04.000: bid 1 is none there and 9.99 × 500 here";
    assert_eq!(orders["different_samples"][0], words);
}

#[test]
fn a_lost_order_is_named_where_it_is_taken_back() {
    let mut lines = fixture();
    lines.remove(find(&lines, &["OrderNo=3 ", "OrdType=65"]));
    let (report, code) = of_lines(&lines);
    let words = "2023-02-07 09:30:02.000: order 3: no order of this number waits";
    assert_eq!((&report["orders"][0]["bad_samples"], code), (&json!([words]), Some(1)));
}

#[test]
fn a_lost_trade_does_not_add_up() {
    let mut lines = fixture();
    lines.remove(find(&lines, &["BidApplSeqNum=11 "]));
    let (report, code) = of_lines(&lines);
    let orders = &report["orders"][0];
    assert_eq!((&orders["days"][0]["equal"], code), (&json!(false), Some(1)));
    let words = "2023-02-07 09:30:04.000: no state has 3 trades of 450 in all";
    assert_eq!(orders["different_samples"][0], words);
}

#[test]
fn a_line_that_cannot_be_read_is_named_by_its_number_and_harms_no_other() {
    let mut lines = fixture();
    let at = find(&lines, &["OrderNo=2 "]);
    lines.insert(at, lines[at].replace("Price=10000", "Price=1O000"));
    lines.insert(0, "// what is this".to_owned());
    let (report, code) = of_lines(&lines);
    assert_eq!((&report["malformed"], code), (&json!(2), Some(1)));
    let told = format!("{}", report["malformed_samples"]);
    assert!(told.contains("line 1: ") && told.contains(&format!("line {}: ", at + 2)), "{told}");
    assert_eq!(report["orders"], of_lines(&fixture()).0["orders"]);
}

#[test]
fn messages_of_an_unknown_kind_are_counted_and_harm_nothing() {
    let mut lines = fixture();
    let order = lines[find(&lines, &["OrderNo=1 "])].replace("MsgType=192", "MsgType=11");
    lines.extend([order.clone(), order]);
    let (report, code) = of_lines(&lines);
    assert_eq!(report["unknown_counts"], json!({ "MsgType=11": 2 }));
    assert_eq!((&report["orders"], code), (&of_lines(&fixture()).0["orders"], Some(0)));
}

#[test]
fn every_recorded_day_equals_its_snapshots() {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return;
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("ashare-l2")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no Level-2 log under {}", root.display());
    for file in files {
        let (report, code) = replay(&[&file]);
        assert_eq!((report["right"].clone(), code), (json!(true), Some(0)), "{}: {report}", file.display());
        for orders in report["orders"].as_array().unwrap() {
            println!("{}: {orders}", file.display());
            assert!(orders["snapshots_equal"].as_u64().unwrap() > 1_000, "{orders}");
            assert!(
                orders["days"].as_array().unwrap().iter().all(|day| day["equal"] == json!(true)),
                "{orders}"
            );
        }
    }
}

/// What `import` says of a log, and its events.
fn import(file: &Path, out: &Path) -> (Value, Vec<Value>, Option<i32>) {
    let args = ["import", "--json", "--source", "sse_l2", "--out"];
    let done = Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).args([out, file]).output().unwrap();
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let told = told["files"][0].clone();
    let text = told["out"].as_str().map(|out| std::fs::read_to_string(out).unwrap()).unwrap_or_default();
    (told, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), done.status.code())
}

#[test]
fn an_imported_log_gives_the_orders_trades_and_snapshots_that_a_replay_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out, lines) = (folder.path().join(NAME), folder.path().join("out"), fixture());
    std::fs::write(&log, lines.join("\r\n") + "\r\n").unwrap();
    let (told, events, code) = import(&log, &out);
    assert_eq!(
        (code, &told["bad"], told["events"].as_u64()),
        (Some(0), &json!(0), Some(events.len() as u64))
    );
    assert!(told["rows"].as_u64().unwrap() > 10 && events.len() > 10, "{told}");
    let replayed = folder.path().join("replayed");
    let args = ["replay", "--json", "--events", replayed.to_str().unwrap(), log.to_str().unwrap()];
    assert!(Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).output().unwrap().status.success());
    let text = std::fs::read_to_string(replayed).unwrap();
    let kept = |event: &Value| ["trade", "order", "snapshot"].contains(&event["kind"].as_str().unwrap());
    let plain = |mut event: Value| {
        // What the checks of the platform add.
        for key in ["flags", "book_epoch"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event
    };
    let all = |events: Vec<Value>| events.into_iter().filter(kept).map(plain).collect::<Vec<_>>();
    assert_eq!(all(events), all(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()));

    // A line that cannot be read is named; a file that is no such log is told to be none.
    let mut broken = lines;
    let at = find(&broken, &["OrderNo=2 "]);
    broken[at] = broken[at].replace("Price=10000", "Price=1O000");
    std::fs::write(&log, broken.join("\r\n") + "\r\n").unwrap();
    let (told, _, code) = import(&log, &folder.path().join("again"));
    assert_eq!((code, &told["bad"]), (Some(1), &json!(1)));
    assert!(told["faults"][0].as_str().unwrap().starts_with(&format!("line {}: ", at + 1)), "{told}");
}

#[test]
fn every_recorded_day_is_imported_whole() {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return;
    };
    let out = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root.join("ashare-l2")).unwrap() {
        let file = entry.unwrap().path();
        let (told, events, code) = import(&file, out.path());
        let mut kinds = std::collections::BTreeMap::<String, u64>::new();
        for event in &events {
            *kinds.entry(event["kind"].to_string()).or_default() += 1;
        }
        println!("{}: {} rows, {kinds:?}", file.display(), told["rows"]);
        assert_eq!((code, &told["bad"], &told["failed"]), (Some(0), &json!(0), &Value::Null), "{told}");
        assert!(
            kinds.len() >= 3 && kinds.values().all(|count| *count > 0) && events.len() > 10_000,
            "{kinds:?}"
        );
    }
}
