//! Events on disk through the binary: what a recording gives comes back the same, and damage is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Recordings that are read whole have at most so many bytes.
const BYTES_MAX: u64 = 600_000;

fn qingxi(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).args(paths).output().unwrap()
}

/// One recording of each folder.
fn recordings() -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return Vec::new();
    };
    let names: Vec<&str> = app::sources::SOURCES.iter().map(|s| s.spec().name).collect();
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|f| f.is_dir()) {
        let venue = folder.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        if !names.contains(&venue.as_str()) {
            continue;
        }
        let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap());
        let small = files.filter(|f| {
            let packed = f.path().extension().is_some_and(|e| e == "gz" || e == "zst");
            packed && f.metadata().unwrap().len() < BYTES_MAX
        });
        found.extend(small.max_by_key(|f| f.metadata().unwrap().len()).map(|f| f.path()));
    }
    found
}

/// The lines of events without their place in the log.
fn events(lines: &[u8]) -> Vec<Value> {
    let mut all: Vec<Value> =
        lines.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
    for event in &mut all {
        for key in ["ts_pub", "epoch", "number"] {
            event.as_object_mut().unwrap().remove(key);
        }
    }
    all
}

#[test]
fn the_events_of_recordings_come_back_from_the_log_as_they_were() {
    for recording in recordings() {
        let folder = tempfile::tempdir().unwrap();
        let (log, lines) = (folder.path().join("log"), folder.path().join("events.jsonl"));
        let (log_text, lines_text) = (log.to_str().unwrap(), lines.to_str().unwrap());
        qingxi(&["replay", "--json", "--events", lines_text, "--store", log_text], &[&recording]);
        let replayed = events(&std::fs::read(&lines).unwrap());
        let kept = qingxi(&["export"], &[&log]);
        assert_eq!(kept.status.code(), Some(0), "{}", String::from_utf8_lossy(&kept.stderr));
        assert!(events(&kept.stdout) == replayed, "{}", recording.display());
        let told: Value = serde_json::from_slice(&qingxi(&["verify", "--json"], &[&log]).stdout).unwrap();
        assert_eq!(
            (&told["right"], told["events"].as_u64()),
            (&Value::Bool(true), Some(replayed.len() as u64))
        );
        println!("{}: {} events, {} bytes", recording.display(), replayed.len(), told["bytes"]);
    }
}

#[test]
fn a_flipped_bit_is_told_by_verify_and_export() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let frames = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sources/binance/fixtures/spot_trades.jsonl");
    let frames = std::fs::read_to_string(frames).unwrap();
    let samples: String =
        frames.lines().map(|f| serde_json::json!({ "msg": f }).to_string() + "\n").collect();
    let recording = folder.path().join("samples.jsonl");
    std::fs::write(&recording, samples).unwrap();
    qingxi(&["replay", "--json", "--store", log.to_str().unwrap()], &[&recording]);
    let whole = qingxi(&["verify"], &[&log]);
    assert_eq!(whole.status.code(), Some(0), "{}", String::from_utf8_lossy(&whole.stdout));
    let file = log.join("0000000001.events");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[200] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let told: Value = serde_json::from_slice(&qingxi(&["verify", "--json"], &[&log]).stdout).unwrap();
    assert_eq!((told["right"].as_bool(), told["damages"].as_u64()), (Some(false), Some(1)), "{told}");
    assert!(told["missing_events"].as_u64() > Some(0), "{told}");
    let export = qingxi(&["export"], &[&log]);
    assert_eq!(export.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&export.stderr).contains("of 0000000001.events from byte 56"));
}
