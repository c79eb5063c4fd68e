//! `qingxi verify` and `qingxi diff` of tapes, from the command line.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use model::Ts;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tape::{Config, Entry, Writer};

/// A folder with a tape of these frames, and the tape.
fn record(dir: &Path, conn: u32, frames: &[&str]) -> PathBuf {
    let mut writer = Writer::new(Config { dir: dir.to_owned(), ..Config::default() }, "okx", &[]).unwrap();
    let url = format!("wss://ws.example/v5?conn={conn}");
    writer.append(Ts(1_000), conn, Entry::Connect { url: &url }).unwrap();
    for (at, frame) in (2_000..).zip(frames) {
        writer.append(Ts(at), conn, Entry::Frame { bytes: frame.as_bytes(), binary: false }).unwrap();
    }
    writer.flush().unwrap();
    writer.file().unwrap().to_owned()
}

/// The exit code and the report.
fn qingxi(command: &str, paths: &[&Path]) -> (i32, Value) {
    let done =
        Command::new(env!("CARGO_BIN_EXE_qingxi")).arg(command).args(paths).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (done.status.code().unwrap(), report)
}

#[test]
fn two_recorders_of_the_same_day_agree_and_one_that_lacks_a_frame_is_told_which() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let paths: Vec<&Path> = dirs.iter().map(tempfile::TempDir::path).collect();
    record(paths[0], 1, &["one", "two", "three"]);
    record(paths[1], 7, &["two", "one", "three"]);
    record(paths[2], 1, &["one", "three", "three"]);
    let (code, same) = qingxi("diff", &[paths[0], paths[1]]);
    assert_eq!((code, &same["same"]), (0, &Value::Bool(true)), "{same}");
    let stream = &same["streams"][0];
    assert_eq!(stream["address"], "wss://ws.example/v5");
    assert_eq!(stream["days"][0]["same"], true);
    assert_ne!(same["a"][0]["end"], same["b"][0]["end"]);
    let (code, differs) = qingxi("diff", &[paths[0], paths[2]]);
    assert_eq!((code, &differs["same"]), (1, &Value::Bool(false)));
    let stream = &differs["streams"][0];
    assert_eq!((&stream["both"], &stream["only"]), (&2.into(), &serde_json::json!([1, 1])));
    assert_eq!(stream["only_a"][0]["begin"], "two");
    assert_eq!(
        (&stream["only_b"][0]["begin"], &stream["only_b"][0]["copy"]),
        (&"three".into(), &true.into())
    );
    assert_eq!(stream["days"][0]["same"], false);
}

#[test]
fn a_changed_tape_is_told_with_file_and_place_and_a_missing_one_with_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let first = record(dir.path(), 1, &["one", "two"]);
    let (code, report) = qingxi("verify", &[dir.path()]);
    assert_eq!((code, &report["right"]), (0, &Value::Bool(true)), "{report}");
    assert_eq!(report["files"][0]["version"], 2);
    let second = record(dir.path(), 2, &["three"]);
    let third = record(dir.path(), 3, &["four"]);
    assert_eq!(qingxi("verify", &[dir.path()]).0, 0);
    let away = dir.path().join("away");
    std::fs::rename(&second, &away).unwrap();
    let (code, report) = qingxi("verify", &[dir.path()]);
    assert_eq!(code, 1);
    let broken = report["broken"][0].as_str().unwrap();
    assert!(broken.contains(third.to_str().unwrap()) && broken.contains(first.to_str().unwrap()), "{broken}");
    std::fs::rename(&away, &second).unwrap();
    let mut bytes = std::fs::read(&third).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&third, bytes).unwrap();
    let (code, report) = qingxi("verify", &[&third]);
    let fault = report["faults"][0].as_str().unwrap();
    assert_eq!(code, 1);
    assert!(fault.contains(third.to_str().unwrap()) && fault.contains("at byte "), "{fault}");
}
