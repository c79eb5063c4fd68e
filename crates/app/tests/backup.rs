//! Backups through the binary, with paths as people type them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use app::events::Keeper;
use model::{Body, Channel, Event, Flags, Instrument, InstrumentKind, Px, Qty, Stamp, Trade, TradeId, Ts};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

fn qingxi(at: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qingxi")).current_dir(at).args(args).output().unwrap()
}

/// Keeps trades that were received at these milliseconds.
fn keep(dir: &Path, times: std::ops::Range<i64>) {
    let instrument = Arc::new(Instrument::provisional("venue", "", "S", InstrumentKind::Spot));
    let mut keeper = Keeper::new(dir).unwrap();
    for ms in times {
        let trade =
            Trade { id: TradeId::Num(ms.unsigned_abs()), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
        keeper
            .put(&Event {
                source: "source",
                instrument: Arc::clone(&instrument),
                channel: Channel::Trades,
                flags: Flags::default(),
                stamp: Stamp { ts_event: None, ts_recv: Ts::from_ms(ms) },
                body: Body::Trade(trade),
            })
            .unwrap();
    }
    keeper.finish().unwrap();
}

#[test]
fn a_folder_is_backed_up_and_restored_as_of_an_instant_from_the_command_line() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path();
    let json = |args: &[&str]| -> Value {
        let output = qingxi(at, args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    keep(&at.join("live"), 1_000..1_500);
    let first = json(&["backup", "live", "--to", "kept", "--json"]);
    keep(&at.join("live"), 2_000..2_500);
    let second = json(&["backup", "live", "--to", "kept", "--json"]);
    assert!(second["copied_bytes"].as_u64() < second["bytes"].as_u64(), "{first} {second}");
    let restored = json(&["restore", "kept", "--to", "back", "--at", "2099", "--json"]);
    assert_eq!(restored["events_after"], 100);
    let count = |dir: &str| qingxi(at, &["export", dir]).stdout.split(|b| *b == b'\n').count() - 1;
    assert_eq!(count("back"), 600);
    let words = qingxi(at, &["restore", "kept", "--to", "whole"]);
    assert_eq!(words.status.code(), Some(0), "{}", String::from_utf8_lossy(&words.stderr));
    assert!(String::from_utf8_lossy(&words.stdout).contains("it ends at 1970-01-01T00:00:02.499Z"));
    assert_eq!(count("whole"), 1_000);
    let refused = qingxi(at, &["restore", "kept", "--to", "whole"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not empty"));
}
