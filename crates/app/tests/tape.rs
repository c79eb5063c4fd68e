//! A recording served to somebody's bot: one WebSocket, the venue's own frames, nothing that was not subscribed to.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn qingxi() -> Command {
    Command::new(env!("CARGO_BIN_EXE_qingxi"))
}

/// A tape of OKX as the demo's simulator sends it.
fn tape(folder: &Path) -> String {
    let demo = ["demo", "--port", "0", "--json", "--instruments", "2", "--for", "5s", "--tape"];
    assert!(qingxi().args(demo).arg(folder).output().unwrap().status.success());
    let mut all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path().display().to_string());
    all.find(|path| path.contains("/okx-")).unwrap()
}

/// Numbers of the trades of `BTC-USDT` in the tape, as the platform reads them.
fn recorded(tape: &str, folder: &Path) -> Vec<u64> {
    let events = folder.join("events.jsonl");
    let done = qingxi().args(["replay", "--events", events.to_str().unwrap(), tape]).output().unwrap();
    assert!(done.status.success());
    let text = std::fs::read_to_string(events).unwrap();
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let of = |e: &Value| e["kind"] == "trade" && e["channel"] == "trades" && e["symbol"] == "BTC-USDT";
    text.lines().map(event).filter(of).map(|e| id(&e["id"])).collect()
}

fn id(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_client_of_a_served_tape_gets_what_it_subscribed_to_in_the_venues_frames_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let tape = tape(&folder.path().join("tape"));
    let recorded = recorded(&tape, folder.path());
    assert!(recorded.len() > 20, "{} trades", recorded.len());

    let sim = ["sim", "--json", "--speed", "5x", "--tape", &tape];
    let mut sim = Running(qingxi().args(sim).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(sim.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    let url = format!("ws://{}/ws/v5/public", addresses["okx"]["main"].as_str().unwrap());
    let (mut socket, _) = connect_async(url).await.unwrap();
    let subscribe = r#"{"id":"1","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}"#;
    socket.send(Message::text(subscribe)).await.unwrap();

    let mut served = Vec::new();
    let mut acked = false;
    while served.last() != recorded.last() {
        let next = tokio::time::timeout(Duration::from_secs(20), socket.next());
        let Message::Text(text) = next.await.unwrap().unwrap().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["event"] == "subscribe" {
            acked = true;
            continue;
        }
        assert!(acked, "{text} before the acknowledgement");
        assert_eq!(frame["arg"]["channel"], "trades", "{text}");
        assert_eq!(frame["arg"]["instId"], "BTC-USDT", "{text}");
        served.extend(frame["data"].as_array().unwrap().iter().map(|row| id(&row["tradeId"])));
    }
    assert_eq!(served, recorded);
}
