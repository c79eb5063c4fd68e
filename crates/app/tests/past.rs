//! `qingxi replay --from-store`: what is kept as a live stream, on standard output and served.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use app::events::Keeper;
use futures_util::{SinkExt, StreamExt};
use model::{
    Body, Channel, Delta, Event, Flags, Instrument, InstrumentKind, Level, Levels, Px, Qty, Snapshot, Stamp,
    Trade, TradeId, Ts,
};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

fn event(symbol: &str, ms: i64, channel: Channel, body: Body) -> Event {
    let instrument = Arc::new(Instrument::provisional("venue", "", symbol, InstrumentKind::Spot));
    let stamp = Stamp { ts_event: None, ts_recv: Ts::from_ms(ms) };
    Event { source: "source", instrument, channel, flags: Flags::default(), stamp, body }
}

fn trade(symbol: &str, ms: i64) -> Event {
    let id = TradeId::Num(ms.unsigned_abs());
    let body = Body::Trade(Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 });
    event(symbol, ms, Channel::Trades, body)
}

fn levels(px: i64) -> Levels {
    let level = |px| Level { px: Px(px), qty: Qty(5) };
    Levels::from_sides(&[level(px)], &[level(px + 1)])
}

/// Two instruments that trade in turns from 1 s on, and a book of one that changes at 1.5 s and after 2 s.
fn keep(dir: &Path) {
    let mut keeper = Keeper::new(dir).unwrap();
    let book = Snapshot { seq: Some(1), levels: levels(10), checksum: None, epoch: 1 };
    keeper.put(&event("AA", 1_000, Channel::Book, Body::Snapshot(book))).unwrap();
    for at in 0..20 {
        keeper.put(&trade(if at % 2 == 0 { "AA" } else { "BB" }, 1_000 + at * 100)).unwrap();
        if at == 5 || at == 15 {
            let (prev_seq, seq) = if at == 5 { (Some(1), Some(2)) } else { (Some(2), Some(3)) };
            let delta = Delta { prev_seq, seq, levels: levels(at), checksum: None, epoch: 1 };
            keeper.put(&event("AA", 1_000 + at * 100, Channel::Book, Body::Delta(delta))).unwrap();
        }
    }
    keeper.finish().unwrap();
}

fn qingxi(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qingxi"));
    command.args(["replay", "--from-store"]).arg(dir).args(args).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[test]
fn what_is_kept_comes_again_in_its_order_with_the_flag_replayed() {
    let dir = tempfile::tempdir().unwrap();
    keep(dir.path());
    let all = lines(&qingxi(dir.path(), &["--speed", "max"]));
    assert_eq!(all.len(), 23);
    assert!(all.iter().all(|line| line["flags"] == json!(["replayed"])), "{all:?}");
    let times: Vec<i64> = all.iter().map(|line| line["ts_pub"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let symbols: Vec<&str> =
        all.iter().filter(|l| l["kind"] == "trade").map(|l| l["symbol"].as_str().unwrap()).collect();
    assert_eq!(symbols, ["AA", "BB"].repeat(10));
}

#[test]
fn a_replay_from_an_instant_begins_with_the_book_as_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    keep(dir.path());
    let told = lines(&qingxi(dir.path(), &["--speed", "max", "--from", "2000", "--instrument", "aa"]));
    assert_eq!(told[0]["kind"], "snapshot", "{told:?}");
    assert_eq!(told[0]["flags"], json!(["last_value", "replayed"]));
    assert_eq!(told[0]["bids"], json!([["0.0000001", "0.00000005"], ["0.00000005", "0.00000005"]]));
    let rest: Vec<&str> = told[1..].iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(rest, ["trade", "trade", "trade", "delta", "trade", "trade"]);
    let trades = lines(&qingxi(dir.path(), &["--speed", "max", "--from", "2000", "--kind", "trades"]));
    assert_eq!(trades.len(), 10, "{trades:?}");
    let none = lines(&qingxi(dir.path(), &["--speed", "max", "--source", "another"]));
    assert_eq!(none.len(), 0);
}

#[test]
fn what_cannot_be_replayed_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    keep(dir.path());
    for (args, words) in [
        (&["--speed", "fast"][..], "0.001"),
        (&["--instrument", "CC"], "nothing is kept of `CC`"),
        (&["--verify"], "cannot be used"),
    ] {
        let refused = qingxi(dir.path(), args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let empty = tempfile::tempdir().unwrap();
    let refused = qingxi(empty.path(), &[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing is kept in"), "{refused:?}");
}

/// A process that is killed when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_is_replayed_is_served_like_live_with_the_flag() {
    // Only fails where a provider was installed before.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    keep(dir.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_qingxi"));
    command.args(["replay", "--serve", "127.0.0.1:0", "--speed", "max", "--json", "--from-store"]);
    let mut child = command.arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let _running = Running(child);
    let mut line = || -> Value { serde_json::from_str(&told.next().unwrap().unwrap()).unwrap() };
    let at = line();
    assert_eq!(line(), json!({ "events": 23, "faults": 0 }));
    let url = format!("{}/api/v1/orderbook/venue/AA", at["http"].as_str().unwrap());
    let book = reqwest::get(url).await.unwrap().text().await.unwrap();
    let book: Value = serde_json::from_str(&book).unwrap();
    assert_eq!(book["bids"].as_array().map(Vec::len), Some(3), "{book}");

    let (mut socket, _) = tokio_tungstenite::connect_async(at["stream"].as_str().unwrap()).await.unwrap();
    let ask = r#"{"op":"subscribe","instruments":["AA"],"channels":["trades"]}"#;
    socket.send(Message::text(ask)).await.unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let Ok(event) = serde_json::from_str::<Value>(message.to_text().unwrap()) else { continue };
        if event["kind"] == "trade" {
            assert!(event["flags"].as_array().unwrap().contains(&"replayed".into()), "{event}");
            break;
        }
    }
}
