//! The whole platform as one process on real sockets: books equal, tape replayable, answers right.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn qingxi() -> Command {
    Command::new(env!("CARGO_BIN_EXE_qingxi"))
}

/// A demo in the background, with what it prints.
fn demo(args: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child =
        qingxi().args(["demo", "--port", "0", "--json"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn line(out: &mut impl BufRead) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

fn tapes(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path().display().to_string()).collect();
    all.sort();
    all
}

#[test]
fn a_demo_ends_with_every_book_equal_and_its_tapes_replay_to_the_same_events_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (tape, store) = (folder.path().join("tape"), folder.path().join("store"));
    // As many instruments that frames come in bursts.
    let (mut child, mut out) = demo(&[
        "--instruments",
        "25",
        "--for",
        "8s",
        "--tape",
        tape.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ]);
    assert!(line(&mut out)["http"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let summary = line(&mut out);
    assert_eq!(summary["differences"].as_array().unwrap().len(), 0, "{summary}");
    assert_eq!(summary["gaps"], 0, "{summary}");
    assert!(summary["books"].as_u64().unwrap() >= 300, "{summary}");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let kept = qingxi().args(["verify", "--json"]).arg(&store).output().unwrap();
    let kept: Value = serde_json::from_slice(&kept.stdout).unwrap();
    let epoch = &kept["epochs"][0];
    assert_eq!(
        (&kept["right"], &epoch["closed"], &kept["lost_events"]),
        (&true.into(), &true.into(), &0.into()),
        "{kept}"
    );
    assert_eq!((&epoch["first"], &epoch["last"]), (&1.into(), &kept["events"]), "{kept}");

    for file in tapes(&tape) {
        let replay = |name: &str| {
            let events = folder.path().join(name);
            let done = qingxi()
                .args(["replay", "--verify", "--json", "--events", events.to_str().unwrap(), &file])
                .output()
                .unwrap();
            let report: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(
                (done.status.code(), &report["right"]),
                (Some(0), &Value::Bool(true)),
                "{file}: {report}"
            );
            let events = std::fs::read(events).unwrap();
            assert!(String::from_utf8_lossy(&events).lines().count() > 20, "{file}: {report}");
            events
        };
        assert!(replay("a") == replay("b"), "{file}");
    }
}

#[test]
fn status_says_how_a_running_platform_is_doing_and_what_to_do_where_none_runs() {
    let (mut child, mut out) = demo(&["--instruments", "2"]);
    let url = line(&mut out)["http"].as_str().unwrap().to_owned();
    let status = || {
        let done = qingxi().args(["status", "--json", "--url", &url]).output().unwrap();
        (done.status.code(), serde_json::from_slice::<Value>(&done.stdout).unwrap_or_default())
    };
    let started = std::time::Instant::now();
    while status().0 != Some(0) {
        assert!(started.elapsed().as_secs() < 30, "{:?}", status());
    }
    let (_, answer) = status();
    assert_eq!(answer["health"]["status"], "healthy");
    let lanes = answer["lanes"]["lanes"].as_array().unwrap();
    assert!(lanes.iter().any(|l| l["channel"] == "book" && l["state"] == "live"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();

    let done = qingxi().args(["status", "--url", "http://127.0.0.1:9"]).output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("is the platform running?"));
}

#[test]
fn where_the_best_sources_of_a_stock_go_away_another_takes_over_and_it_is_said() {
    // In the middle of a session, whatever day it is.
    let away = ["push", "sina", "tdx", "tencent"];
    let outages = away.map(|source| format!("--outage={source}:12-900"));
    let mut args = vec!["--at", "2026-11-20T02:00:00Z", "--instruments", "2"];
    args.extend(outages.iter().map(String::as_str));
    let (mut child, mut out) = demo(&args);
    let url = line(&mut out)["http"].as_str().unwrap().to_owned();
    let quote = || {
        let asked = ["quotes", "000001.SZ", "--json", "--url", &url];
        let done = qingxi().args(asked).output().unwrap();
        let answer = serde_json::from_slice::<Value>(&done.stdout).unwrap_or_default();
        let row = &answer["data"][0];
        (row["source"].as_str().unwrap_or_default().to_owned(), row["late"] == false, answer)
    };
    let until = |done: &dyn Fn(&str, bool) -> bool| {
        let started = std::time::Instant::now();
        loop {
            let (source, in_time, answer) = quote();
            if done(&source, in_time) {
                return;
            }
            assert!(started.elapsed().as_secs() < 120, "{answer}");
        }
    };
    until(&|source, in_time| in_time && away.contains(&source));
    until(&|source, in_time| in_time && !away.contains(&source));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_config_with_faults_is_told_whole_and_a_good_one_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "[serve]\nhttp_prt = 1\n[bus]\nwindow = \"x\"\n[[sources]]\nname = \"nobody\"\n")
        .unwrap();
    let done = qingxi().args(["config", "check", "--json", "-c", file.to_str().unwrap()]).output().unwrap();
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), answer["right"].clone()), (Some(1), Value::Bool(false)));
    assert!(answer["faults"].as_array().unwrap().len() >= 2, "{answer}");
    assert_eq!(qingxi().args(["config", "check"]).output().unwrap().status.code(), Some(0));
}
