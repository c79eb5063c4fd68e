//! Real recordings through the binary: nothing unreadable, every checksum and every quote right, holes found.
//! They stand in the folder `$QINGXI_RECORDINGS`; without it these tests say that they skip.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::{Value, json};
use source::conformance;
use source::{Input, Shard};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

fn recordings() -> Option<PathBuf> {
    let root = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from);
    if root.is_none() {
        println!("skipped: QINGXI_RECORDINGS is not set");
    }
    root
}

fn replay(args: &[&str], files: &[PathBuf]) -> (Value, Option<i32>) {
    let out = Command::new(env!("CARGO_BIN_EXE_qingxi"))
        .args(["replay", "--verify", "--json"])
        .args(args)
        .args(files)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{files:?}: {e}: {}", String::from_utf8_lossy(&out.stderr)));
    (report, out.status.code())
}

/// Folders of single packets and files of a disk, which the tests of their source read.
const LOOSE: [&str; 1] = ["tdx"];

/// The files below `root` in folders of sources that are built in, those that continue another one after it.
fn sets(root: &Path) -> Vec<Vec<PathBuf>> {
    let names: Vec<&str> = app::sources::SOURCES.iter().map(|s| s.spec().name).collect();
    let mut sets: Vec<Vec<PathBuf>> = Vec::new();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    for folder in folders.into_iter().filter(|f| f.is_dir()) {
        let venue = folder.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        if !names.contains(&venue.as_str()) || LOOSE.contains(&venue.as_str()) {
            continue;
        }
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for file in files {
            // One JSON document of a snapshot and updates becomes lines of samples.
            let file = if file.extension().is_some_and(|e| e == "json") { lines_of(&file) } else { file };
            match sets.last_mut().filter(|set| continues(set.last().unwrap(), &file)) {
                Some(set) => set.push(file),
                None => sets.push(vec![file]),
            }
        }
    }
    sets
}

/// The frames of a document `{init, updates: […]}` as a file of samples.
fn lines_of(document: &Path) -> PathBuf {
    let text = std::fs::read_to_string(document).unwrap();
    let document_of: serde_json::Value = serde_json::from_str(&text).unwrap();
    let frames = std::iter::once(&document_of["init"]).chain(document_of["updates"].as_array().unwrap());
    let line = |frame: &serde_json::Value| serde_json::json!({ "msg": frame.to_string() }).to_string() + "\n";
    let name = document.with_extension("jsonl").file_name().unwrap().to_owned();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, frames.map(line).collect::<String>()).unwrap();
    path
}

/// Whether a file is the next day of another: the same name but for the last digit of the date.
fn continues(a: &Path, b: &Path) -> bool {
    let split = |p: &Path| {
        let name = p.file_name().unwrap().to_str().unwrap().to_owned();
        let date: String = name.chars().filter(char::is_ascii_digit).collect();
        let rest: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
        (p.parent().map(Path::to_owned), rest, date.parse::<u64>().unwrap_or(0))
    };
    let ((folder, name, day), (next_folder, next_name, next_day)) = (split(a), split(b));
    name.starts_with("hft_") && folder == next_folder && name == next_name && next_day == day + 1
}

#[test]
fn every_recording_of_a_known_source_verifies() {
    let Some(root) = recordings() else { return };
    let sets = sets(&root);
    assert!(!sets.is_empty(), "no recording of a known source under {}", root.display());
    for files in sets {
        let (report, code) = replay(&[], &files);
        let sum = |key: &str| {
            let all = report["instruments"].as_array().unwrap().iter();
            all.map(|i| i[key].as_u64().unwrap()).sum::<u64>()
        };
        println!(
            "{}: {} frames, checksums {}/{}, quotes {}/{}",
            files.last().unwrap().display(),
            report["frames"],
            sum("checksums_right"),
            sum("checksums_right") + sum("checksums_wrong"),
            sum("quotes_equal"),
            sum("quotes_equal") + sum("quotes_different"),
        );
        assert_eq!(report["malformed"], 0, "{files:?}: {}", report["malformed_samples"]);
        assert_eq!(sum("gaps_total") + sum("sequence_breaks") + sum("crossed"), 0, "{files:?}: {report}");
        assert_eq!((report["right"].clone(), code), (json!(true), Some(0)), "{files:?}: {report}");
    }
}

/// A recording of one book by deltas with a snapshot inside, as lines; and the file that it came from.
fn lines_with_snapshot(root: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for file in sets(root).into_iter().flatten() {
        let mut text = String::new();
        let read =
            flate2::read::MultiGzDecoder::new(std::fs::File::open(&file).unwrap()).read_to_string(&mut text);
        if read.is_err() || !text.contains(" {\"lastUpdateId\":") {
            continue;
        }
        found.push((file, text.lines().take(12_000).map(str::to_owned).collect()));
    }
    found
}

fn is_delta(line: &str) -> bool {
    line.contains("\"e\":\"depthUpdate\"")
}

fn written(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

fn books(folder: &Path, file: &Path) -> (Value, Value) {
    let out = folder.join("books.json");
    let (report, _) = replay(&["--books", out.to_str().unwrap()], &[file.to_owned()]);
    (report, serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap())
}

fn gaps(report: &Value) -> u64 {
    report["instruments"].as_array().unwrap().iter().map(|i| i["gaps_total"].as_u64().unwrap()).sum()
}

/// The book as a recorded answer, as it stands after `lines`.
fn snapshot_after(folder: &Path, lines: &[String]) -> String {
    let (_, books) = books(folder, &written(folder, "part", lines));
    let book = books["books"].as_array().unwrap().iter().find(|b| b["channel"] == "book").unwrap().clone();
    assert_eq!(book["state"], "live");
    let time = lines.last().unwrap().split(' ').next().unwrap();
    format!("{time} {{\"lastUpdateId\":{},\"bids\":{},\"asks\":{}}}", book["seq"], book["bids"], book["asks"])
}

#[test]
fn a_dropped_a_repeated_and_a_swapped_frame_are_told_and_the_book_recovers_at_the_next_snapshot() {
    let Some(root) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (file, lines) in lines_with_snapshot(&root) {
        let whole = books(folder, &written(folder, "whole", &lines));
        assert_eq!(gaps(&whole.0), 0);
        let deltas: Vec<usize> =
            lines.iter().enumerate().filter(|(_, l)| is_delta(l)).map(|(at, _)| at).collect();
        let (at, next, later) =
            (deltas[deltas.len() / 3], deltas[deltas.len() / 3 + 1], deltas[deltas.len() / 2]);
        let answer = snapshot_after(folder, &lines[..=later]);
        let mut dropped = lines.clone();
        dropped.insert(later + 1, answer.clone());
        let mut repeated = lines.clone();
        repeated.insert(at + 1, lines[at].clone());
        let mut swapped = dropped.clone();
        swapped.swap(at, next);
        dropped.remove(at);
        for (name, lines, holes) in
            [("dropped", dropped, 1), ("repeated", repeated, 0), ("swapped", swapped, 1)]
        {
            let (report, books) = books(folder, &written(folder, name, &lines));
            assert_eq!(gaps(&report), holes, "{name} in {}", file.display());
            assert_eq!(books, whole.1, "{name} in {}", file.display());
        }
    }
}

#[test]
fn a_damaged_file_counts_up_to_the_damage_and_is_named_with_the_place() {
    let Some(root) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    for file in sets(&root).into_iter().flatten().take(4) {
        let bytes = std::fs::read(&file).unwrap();
        let cut = folder.path().join("cut");
        std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let (report, code) = replay(&[], std::slice::from_ref(&cut));
        assert_eq!(code, Some(2), "{}", file.display());
        let damage = report["damage"].as_str().unwrap();
        assert!(damage.contains("cut") && damage.contains("byte"), "{damage}");
    }
}

#[test]
fn two_replays_write_the_same_events() {
    let Some(root) = recordings() else { return };
    let folder = tempfile::tempdir().unwrap();
    for files in sets(&root).into_iter().take(3) {
        let run = |name: &str| {
            let out = folder.path().join(name);
            replay(&["--events", out.to_str().unwrap()], &files);
            std::fs::read(out).unwrap()
        };
        assert!(run("a") == run("b"), "{files:?}");
    }
}

#[test]
fn what_another_connection_told_may_be_passed_over_as_if_it_had_been_read() {
    let Some(root) = recordings() else { return };
    let mut all = 0;
    for file in sets(&root).into_iter().flatten() {
        let Ok(records) = tape::Reader::open(&file) else { continue };
        let kinds: Vec<_> = records.flatten().map(|record| (record.ts, record.kind)).collect();
        let knows = |s: &&dyn source::Source| {
            kinds.iter().any(|(_, kind)| match kind {
                tape::Kind::Connect { url } => s.recognises(Some(url), &[]),
                tape::Kind::Frame { bytes, .. } => s.recognises(None, bytes),
                _ => false,
            })
        };
        let Some(source) = app::sources::SOURCES.iter().copied().find(knows) else { continue };
        let inputs = kinds.iter().filter_map(|(now, kind)| match kind {
            tape::Kind::Frame { bytes, binary } => Some((*now, Input::Frame { bytes, binary: *binary })),
            tape::Kind::Reply { url, body, .. } => {
                let path = url.as_deref().unwrap_or_default();
                Some((*now, Input::Reply { tag: None, path, status: 200, retry_ms: None, body }))
            }
            _ => None,
        });
        let passed = conformance::what_is_passed_over_is_as_if_read(source, &Shard::default(), inputs, 7);
        println!("{}: passed over {passed:?}", file.display());
        all += passed.values().sum::<usize>();
    }
    assert!(all > 50_000, "{all} frames passed over");
}
