//! What is wanted, changed while the platform runs; and the past, read from a venue.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long something may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);

fn qingxi() -> Command {
    Command::new(env!("CARGO_BIN_EXE_qingxi"))
}

/// A process that is killed when it is no longer needed.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = qingxi().args(args).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn answer(args: &[&str]) -> (Option<i32>, Value) {
    let done = qingxi().args(args).arg("--json").output().unwrap();
    (done.status.code(), serde_json::from_slice(&done.stdout).unwrap_or_default())
}

/// The lanes of a source by state.
fn lanes(url: &str, source: &str, state: &str) -> Vec<Value> {
    let (_, status) = answer(&["status", "--url", url]);
    let all = status["lanes"]["lanes"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|l| l["source"] == source && l["state"] == state).collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{what}");
    }
}

#[test]
fn lanes_are_wanted_and_dropped_while_others_go_on_without_a_gap() {
    let mut demo = Running::start(&["demo", "--port", "0", "--json", "--instruments", "3"]);
    let url = demo.line()["http"].as_str().unwrap().to_owned();
    let subscriptions = |args: &[&str]| answer(&[&["subscriptions", "--url", &url], args].concat());
    until("books of both are live", || {
        ["binance", "okx"].iter().all(|s| lanes(&url, s, "live").iter().any(|l| l["channel"] == "book"))
    });
    let (_, all) = subscriptions(&[]);
    let okx = all["subscriptions"].as_array().unwrap().iter().find(|s| s["source"] == "okx").unwrap().clone();

    let rule = "top 2 spot pairs by turnover quoted in USDT";
    let (code, made) = subscriptions(&["add", "okx", rule, "-c", "trades", "-c", "book"]);
    assert_eq!((code, &made["origin"]), (Some(0), &Value::from("api")), "{made}");
    let (code, _) = subscriptions(&["remove", &okx["id"].to_string()]);
    assert_eq!(code, Some(0));
    until("only what the rule names is left", || {
        let live = [lanes(&url, "okx", "live"), lanes(&url, "okx", "quiet")].concat();
        let books = live.iter().filter(|l| l["channel"] == "book").count();
        let others = live.iter().filter(|l| l["channel"] != "book" && l["channel"] != "trades").count();
        (books, others) == (2, 0)
    });
    let (_, now) = subscriptions(&[]);
    let rule =
        now["subscriptions"].as_array().unwrap().iter().find(|s| s["id"] == made["id"]).unwrap().clone();
    assert_eq!((rule["resolved"].as_u64(), rule["problems"].as_array().map(Vec::len)), (Some(2), Some(0)));

    let (code, _) = subscriptions(&["add", "okx", "ETH-USDT-SWAP", "-c", "book"]);
    assert_eq!(code, Some(0));
    until("one more book is live", || {
        lanes(&url, "okx", "live").iter().filter(|l| l["channel"] == "book").count() == 3
    });
    for source in ["binance", "okx"] {
        for lane in lanes(&url, source, "live") {
            assert_eq!(lane["gaps"], 0, "{lane}");
        }
    }

    let (code, refused) = subscriptions(&["add", "okx", "BTC/USDT", "-c", "dreams"]);
    assert_eq!(code, Some(1));
    assert!(refused["message"].as_str().unwrap().contains("there are: trades"), "{refused}");
    let (code, refused) = subscriptions(&["add", "nobody", "BTC/USDT"]);
    assert_eq!((code, &refused["error"]), (Some(1), &Value::from("no_source")), "{refused}");
    let (code, refused) = subscriptions(&["remove", "4711"]);
    assert_eq!((code, &refused["error"]), (Some(1), &Value::from("no_subscription")), "{refused}");
}

/// Ids of the trades in a file, in order.
fn ids(file: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(file).unwrap();
    let id = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["flags"][0], "repaired", "{event}");
        event["id"].as_str().unwrap().parse().unwrap()
    };
    text.lines().map(id).collect()
}

#[test]
fn the_past_is_read_whole_and_goes_on_where_it_was_stopped() {
    let args = ["sim", "--json", "--source", "binance", "--instruments", "2", "--moves-per-s", "2000"];
    let mut sim = Running::start(&args);
    let addr = sim.line()["binance"]["spot"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let host = format!("spot=http://{addr}");
    let out = folder.path().to_str().unwrap();
    let started = feed::clock::now().as_ms() - 1_000;
    let (from, backfill) = (started.to_string(), |to: &str, from: &str| {
        let args = ["backfill", "--source", "binance", "--instrument", "spot:BTCUSDT", "--channel", "trades"];
        answer(&[&args[..], &["--host", &host, "--out", out, "--from", from, "--to", to]].concat())
    });
    until("the market has moved", || feed::clock::now().as_ms() > started + 4_000);
    let (code, done) = backfill(&(started + 3_000).to_string(), &from);
    assert_eq!(code, Some(0), "{done}");
    let file = Path::new(done["file"].as_str().unwrap()).to_owned();
    let first = ids(&file);
    assert!(first.len() > 20, "{done}");
    // The same command with a later end goes on.
    until("the market has moved on", || feed::clock::now().as_ms() > started + 6_000);
    let (code, done) = backfill(&(started + 5_500).to_string(), &from);
    assert_eq!((code, &done["resumed"]), (Some(0), &Value::Bool(true)), "{done}");
    let whole = ids(&file);
    assert!(whole.len() > first.len() && whole.starts_with(&first));
    assert!(whole.windows(2).all(|pair| pair[1] == pair[0] + 1), "each once, none left out: {whole:?}");

    let (code, _) = answer(&[
        "backfill",
        "--source",
        "binance",
        "--instrument",
        "NOPE",
        "--channel",
        "trades",
        "--host",
        &host,
        "--from",
        "2026-01-01",
    ]);
    assert_eq!(code, Some(2));
}

#[test]
fn archives_of_tardis_become_events_and_bad_rows_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, out) = (folder.path().join("okx_trades_2026-11-01_BTC-USDT.csv"), folder.path().join("out"));
    let rows = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n\
        okex,BTC-USDT,1667260800000000,1667260800001000,1,buy,20487.5,0.001\n\
        okex,BTC-USDT,1667260800500000,1667260800501000,2,sideways,20487.5,0.001\n\
        okex,BTC-USDT,1667260801000000,1667260801001000,3,sell,20487.1,0.00000000001\n";
    std::fs::write(&csv, rows).unwrap();
    let args = ["import", csv.to_str().unwrap(), "--source", "okx", "--out", out.to_str().unwrap()];
    let (code, done) = answer(&args);
    let file = &done["files"][0];
    assert_eq!((code, &file["events"], &file["bad"]), (Some(1), &Value::from(2), &Value::from(1)), "{done}");
    assert!(file["faults"][0].as_str().unwrap().contains("line 3: expected buy or sell at byte"), "{done}");
    let text = std::fs::read_to_string(file["out"].as_str().unwrap()).unwrap();
    assert!(text.lines().nth(1).unwrap().contains(r#""px":"20487.1","qty":"0.00000000001""#), "{text}");
}

/// The lines of a file.
fn rows(told: &Value) -> Vec<Value> {
    let text = std::fs::read_to_string(told["file"].as_str().unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bars_across_ex_dates_are_a_view_that_says_so_and_leave_what_was_told_as_it_was() {
    let mut sim = Running::start(&["sim", "--json", "--source", "tdx", "--seed", "1", "--instruments", "12"]);
    let host = format!("hq=http://{}", sim.line()["tdx"]["hq"].as_str().unwrap());
    let now = feed::clock::now();
    let setup = source::SimSetup { seed: 1, start: now, instruments: 12, ..source::SimSetup::default() };
    let (market, _) = source::ashare::Market::of(&setup);
    let gives = |at: &usize| market.ex_rights(*at).iter().any(|ex| ex.date < market.date());
    let share = (0..market.listed().len()).find(gives).unwrap();
    let date = market.ex_rights(share)[0].date;
    let name = market.listed()[share].instrument.name.to_string();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let read = |channel: &str, adjust: &str| {
        let args = ["backfill", "--source", "tdx", "--instrument", &name, "--host", &host, "--out", out];
        let what = ["--channel", channel, "--interval", "1d", "--from", "2020-01-01", "--adjust", adjust];
        answer(&[&args[..], &what].concat())
    };
    let (code, plain) = read("bars", "none");
    assert_eq!((code, &plain["view"]), (Some(0), &Value::Null), "{plain}");
    let before = rows(&plain);
    for adjust in ["forward", "backward"] {
        let (code, told) = read("bars", adjust);
        assert_eq!(code, Some(0), "{told}");
        let all = rows(&told);
        let head = &all[0];
        assert_eq!((&head["adjusted"], &head["symbol"]), (&Value::from(adjust), &Value::from(name.as_str())));
        assert_eq!(told["view"], *head);
        assert_eq!(head["ex_dates"][0]["date"], date.to_string(), "{head}");
        assert_eq!(all.len(), before.len() + 1);
        let (mut same, mut other) = (0, 0);
        for (at, (bar, was)) in all[1..].iter().zip(&before).enumerate() {
            assert_eq!((&bar["adjusted"], &bar["start"]), (&Value::from(adjust), &was["start"]));
            assert_eq!(was["adjusted"], Value::Null);
            if at + 1 < before.len() {
                assert_eq!(bar["turnover"], was["turnover"]);
            } else {
                // The last day may still be traded.
                let turnover = |bar: &Value| bar["turnover"].as_str().unwrap().parse::<f64>().unwrap();
                assert!(turnover(bar) >= turnover(was), "{bar}");
            }
            *(if bar["close"] == was["close"] { &mut same } else { &mut other }) += 1;
        }
        assert!(same > 0 && other > 0, "{adjust}: {same} as they were, {other} not");
        // Again it goes on at the end of the same view.
        assert_eq!(read("bars", adjust).1["resumed"], true);
    }
    assert_eq!(rows(&plain), before);
    let (code, actions) = read("corporate_actions", "none");
    assert_eq!((code, rows(&actions).len()), (Some(0), market.ex_rights(share).len()));
    assert_eq!(read("trades", "forward").0, Some(2));
}
