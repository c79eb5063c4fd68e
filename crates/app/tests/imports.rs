//! `qingxi import`: archive files of the venues and of Tardis, whole and broken.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A folder with archive files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn zip(&self, name: &str, parts: &[(&str, &[u8])]) -> PathBuf {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (part, text) in parts {
            zip.start_file(*part, SimpleFileOptions::default()).unwrap();
            zip.write_all(text).unwrap();
        }
        self.put(name, zip.finish().unwrap().get_ref())
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    /// The exit code, and what became of each file.
    fn import(&self, args: &[&str], files: &[&Path]) -> (i32, Vec<Value>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qingxi"));
        command.arg("import").arg("--json").args(["--out".as_ref(), self.out().as_os_str()]);
        let done = command.args(args).args(files).output().unwrap();
        let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
        (done.status.code().unwrap(), told["files"].as_array().unwrap().clone())
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// The events that a file gave.
fn events(done: &Value) -> Vec<Value> {
    let text = fs::read_to_string(done["out"].as_str().unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The fields of an event that are asked for.
fn pick(event: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| event[*name].clone()).collect()
}

fn numbers(done: &Value) -> Value {
    pick(done, &["rows", "events", "bad"])
}

const TRADE: [&str; 7] = ["kind", "instrument", "id", "px", "qty", "aggressor", "ts_event"];
const BYBIT: &str =
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional";

#[test]
fn files_of_one_name_are_told_apart_by_the_venues_folders() {
    let files = Files::new();
    let spot = "50001,64000.10,0.1,6400.01,1760000000008123,True,True\n";
    let usdm = "id,price,qty,quote_qty,time,is_buyer_maker\n60001,64000.2,0.25,1,1760000000018,false\n";
    let name = "BTCUSDT-trades-2025-10-09";
    let csv = format!("{name}.csv");
    let all = [
        files.zip(&format!("data/spot/daily/trades/{name}.zip"), &[(&csv, spot.as_bytes())]),
        files.zip(&format!("data/futures/um/daily/trades/{name}.zip"), &[(&csv, usdm.as_bytes())]),
    ];
    let (code, done) = files.import(&["--source", "binance"], &[&all[0], &all[1]]);
    assert_eq!((code, done.len()), (0, 2), "{done:?}");
    for (done, expected) in done.iter().zip([
        json!([
            "trade",
            "BTC/USDT@binance",
            "50001",
            "64000.1",
            "0.1",
            "sell",
            1_760_000_000_008_123_000_i64
        ]),
        json!([
            "trade",
            "BTC/USDT:USDT@binance",
            "60001",
            "64000.2",
            "0.25",
            "buy",
            1_760_000_000_018_000_000_i64
        ]),
    ]) {
        assert_eq!((numbers(done), &done["failed"]), (json!([1, 1, 0]), &Value::Null));
        let events = events(done);
        assert_eq!(pick(&events[0], &TRADE), expected);
        assert_eq!(events[0]["ts_recv"], events[0]["ts_event"]);
        assert_eq!(events[0]["flags"], json!(["repaired"]));
    }
    // The name alone does not tell which of the two it is.
    let bare = files.zip(&format!("{name}.zip"), &[(&csv, spot.as_bytes())]);
    let (code, done) = files.import(&["--source", "binance"], &[&bare]);
    assert_eq!((code, numbers(&done[0]), &done[0]["out"]), (1, json!([0, 0, 0]), &Value::Null));
    assert!(done[0]["failed"].as_str().unwrap().contains("give --product"), "{done:?}");
    let (code, done) = files.import(&["--source", "binance", "--product", "spot"], &[&bare]);
    assert_eq!((code, events(&done[0])[0]["id"].as_str()), (0, Some("50001")));
}

#[test]
fn a_name_alone_is_enough_for_the_other_venues() {
    let files = Files::new();
    let mut gbk =
        b"trade_id/\xbd\xbb\xd2\xd7id,side/\xbd\xbb\xd2\xd7\xb7\xbd\xcf\xf2,size/\xca\xfd\xc1\xbf,".to_vec();
    gbk.extend_from_slice(
        b"price/\xbc\xdb\xb8\xf1,created_time/\xb3\xc9\xbd\xbb\r\n17,sell,2,64010,1760000000124\r\n",
    );
    let rates = b"instrument_name,funding_rate,funding_time\nBTC-USDT-SWAP,0.0001,1788192000000\nETH-USDT-SWAP,-0.0002,1788192000000\n";
    let all = [
        files.zip("BTC-USDT-SWAP-trades-2023-10-09.zip", &[("trades.csv", &gbk)]),
        files.zip("allswap-fundingrates-2026-09-01.zip", &[("allswap-fundingrates-2026-09-01.csv", rates)]),
    ];
    let (code, done) = files.import(&["--source", "okx"], &[&all[0], &all[1]]);
    assert_eq!(code, 0, "{done:?}");
    let expected =
        json!(["trade", "BTC/USDT:USDT@okx", "17", "64010", "2", "sell", 1_760_000_000_124_000_000_i64]);
    assert_eq!(pick(&events(&done[0])[0], &TRADE), expected);
    let rates: Vec<Value> = events(&done[1]).iter().map(|e| pick(e, &["instrument", "rate"])).collect();
    assert_eq!(rates, [json!(["BTC/USDT:USDT@okx", "0.0001"]), json!(["ETH/USDT:USDT@okx", "-0.0002"])]);

    let id = "d6b9a5ac-3439-5cea-b590-fd245e5b3992";
    let rows = format!(
        "{BYBIT},RPI\n1784851200.0547,BTCUSDT,Buy,0.038,65065.80,ZeroPlusTick,{id},2.47e+11,0.038,2472.5,0\n"
    );
    let all = [
        files.put("BTCUSDT2026-07-25.csv.gz", &gzip(rows.as_bytes())),
        files.put(
            "BTCUSDT_2026-07-25.csv.gz",
            &gzip(b"id,timestamp,price,volume,side,rpi\n1,1784937600662,64142.5,0.00016,buy,0\n"),
        ),
        files
            .put("BTCUSDT_1_2020-04-01_2020-04-30.csv", b"2020.04.01 03:00,6403.5,6414,6400.5,6410,36.325\n"),
    ];
    let (code, done) = files.import(&["--source", "bybit"], &[&all[0], &all[1], &all[2]]);
    assert_eq!(code, 0, "{done:?}");
    let events: Vec<Value> = done.iter().flat_map(events).collect();
    for (event, expected) in events.iter().zip([
        json!(["trade", "BTC/USDT:USDT@bybit", id, "65065.8", "0.038", "buy", 1_784_851_200_054_700_000_i64]),
        json!(["trade", "BTC/USDT@bybit", "1", "64142.5", "0.00016", "buy", 1_784_937_600_662_000_000_i64]),
    ]) {
        assert_eq!(pick(event, &TRADE), expected);
    }
    let bar = pick(&events[2], &["kind", "instrument", "interval", "start", "close", "closed"]);
    assert_eq!(bar, json!(["bar", "BTC/USDT:USDT@bybit", "1m", 1_585_699_200_000_000_000_i64, "6410", true]));
}

#[test]
fn what_the_user_says_goes_before_what_a_name_tells() {
    let files = Files::new();
    let row =
        b"1759999980000,64000.0,64010.0,63990.0,64000.1,12.5,1760000039999,800000.0,90,6.1,390000.0,0\n";
    let renamed = files.put("mine.csv", row);
    let (code, done) = files.import(&["--source", "binance"], &[&renamed]);
    assert!(code == 1 && done[0]["failed"].as_str().unwrap().contains("give --symbol"), "{done:?}");
    let said = ["--source", "binance", "--product", "usdm", "--symbol", "ETHUSDT", "--channel", "bars"];
    let (code, done) = files.import(&said, &[&renamed]);
    assert!(code == 1 && done[0]["failed"].as_str().unwrap().contains("give --interval"), "{done:?}");
    let (code, done) = files.import(&[&said[..], &["--interval", "1m"]].concat(), &[&renamed]);
    let bar = pick(&events(&done[0])[0], &["instrument", "interval", "turnover", "trades"]);
    assert_eq!((code, bar), (0, json!(["ETH/USDT:USDT@binance", "1m", "800000", 90])));
    let said = ["--source", "binance", "--product", "margin", "--symbol", "ETHUSDT", "--channel", "trades"];
    let (code, done) = files.import(&said, &[&renamed]);
    assert!(code == 1 && done[0]["failed"].as_str().unwrap().contains("no `ETHUSDT` in product `margin`"));
}

#[test]
fn messages_of_tardis_are_put_together_also_where_a_level_widens_the_definition() {
    let files = Files::new();
    let head = "exchange,symbol,timestamp,local_timestamp";
    let book = format!(
        "{head},is_snapshot,side,price,amount\n\
         binance-futures,BTCUSDT,1760000000000000,1760000000000100,true,bid,64000.1,1.5\n\
         binance-futures,BTCUSDT,1760000000000000,1760000000000100,true,ask,64000.123456789,2\n\
         binance-futures,BTCUSDT,1760000000001000,1760000000001100,false,bid,64000.1,0\n"
    );
    let trades = format!(
        "{head},id,side,price,amount\n\
         binance-futures,BTCUSDT,1760000000000123,1760000000000456,50001,sell,64000.1,0.25\n\
         binance-futures,BTCUSDT,1760000000000123,1760000000000456,50002,cross,64000.1,0.25\n"
    );
    let all = [
        files.put("binance_incremental_book_L2_2025-10-09_BTCUSDT.csv.gz", &gzip(book.as_bytes())),
        files.put("binance_trades_2025-10-09_BTCUSDT.csv.gz", &gzip(trades.as_bytes())),
    ];
    let (code, done) = files.import(&["--source", "binance", "--product", "usdm"], &[&all[0], &all[1]]);
    assert_eq!((code, numbers(&done[0]), numbers(&done[1])), (1, json!([3, 2, 0]), json!([2, 1, 1])));
    let book: Vec<Value> = events(&done[0]).iter().map(|e| pick(e, &["kind", "bids", "asks"])).collect();
    let snapshot = json!(["snapshot", [["64000.1", "1.5"]], [["64000.123456789", "2"]]]);
    assert_eq!(book, [snapshot, json!(["delta", [["64000.1", "0"]], []])]);
    let trade = &events(&done[1])[0];
    let expected = json!([
        "trade",
        "BTC/USDT:USDT@binance",
        "50001",
        "64000.1",
        "0.25",
        "sell",
        1_760_000_000_000_123_000_i64
    ]);
    assert_eq!((pick(trade, &TRADE), trade["ts_recv"].as_i64()), (expected, Some(1_760_000_000_000_456_000)));
    assert!(done[1]["faults"][0].as_str().unwrap().starts_with("line 3: expected buy or sell"), "{done:?}");
}

#[test]
fn a_broken_file_is_told_and_harms_no_other() {
    let files = Files::new();
    let row = |n: usize| format!("{n},64000.1,0.1,6400,1760000000008,True,True\n");
    let whole: String = (1..=5_000).map(row).collect();
    let half = gzip(whole.as_bytes());
    let mixed: String = (1..=2_000).flat_map(|n| [row(n), format!("{n},x\n")]).collect();
    let two = "id,price,qty,quote_qty,time,is_buyer_maker\n1,2,3,6,1760000000008,true\n";
    let in_zip = "A-trades-2025-10-09";
    let all = [
        files.put("A-trades-2025-10-01.csv.gz", &half[..half.len() / 2]),
        files.put("A-trades-2025-10-02.csv", mixed.as_bytes()),
        files.put("A-1m-2025-10-03.csv", whole.as_bytes()),
        files.put("A-trades-2025-10-04.zip", b"PK but no more"),
        files.zip("A-trades-2025-10-05.zip", &[("read.me", b"no rows")]),
        files.put("A-trades-2025-10-06.csv", b""),
        files.0.path().join("A-trades-2025-10-07.csv"),
        files.zip("A-trades-2025-10-08.zip", &[("a.csv", two.as_bytes()), ("b.csv", two.as_bytes())]),
        files.zip(&format!("{in_zip}.zip"), &[("a.csv", row(7).as_bytes())]),
        files.put(&format!("again/{in_zip}.csv"), row(8).as_bytes()),
    ];
    let all: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
    let (code, done) = files.import(&["--source", "binance", "--product", "spot"], &all);
    assert_eq!((code, done.len()), (1, all.len()));
    let failed = |n: usize| done[n]["failed"].as_str().unwrap_or_default();
    let kept = done[0]["events"].as_u64().unwrap();
    assert!(0 < kept && kept < 5_000 && !failed(0).is_empty(), "{}", done[0]);
    assert_eq!(events(&done[0]).len() as u64, kept);
    assert_eq!((numbers(&done[1]), failed(1)), (json!([4_000, 2_000, 2_000]), ""));
    assert_eq!(done[1]["faults"].as_array().unwrap().len(), 5);
    for (n, words) in [
        (2, "none of its first 100 rows can be read"),
        (3, "invalid Zip"),
        (4, "there is no .csv in it"),
        (5, "there is nothing in it"),
        (6, "No such file"),
        (9, "another file of the same name"),
    ] {
        assert!(failed(n).contains(words), "{}", done[n]);
        assert_eq!((&done[n]["events"], &done[n]["out"]), (&json!(0), &Value::Null), "{}", done[n]);
    }
    assert_eq!((numbers(&done[7]), events(&done[7]).len()), (json!([2, 2, 0]), 2));
    assert_eq!((numbers(&done[8]), events(&done[8])[0]["id"].as_str()), (json!([1, 1, 0]), Some("7")));
}

#[test]
fn a_row_of_another_instrument_than_the_files_is_bad() {
    let files = Files::new();
    let rows = format!(
        "{BYBIT}\n1784851200.1,ETHUSDT,Buy,1,2,x,id,1,1,1\n1784851200.1,BTCUSDT,Buy,1,2,x,id,1,1,1\n"
    );
    let file = files.put("BTCUSDT2026-07-25.csv.gz", &gzip(rows.as_bytes()));
    let (code, done) = files.import(&["--source", "bybit"], &[&file]);
    assert_eq!((code, numbers(&done[0])), (1, json!([2, 1, 1])));
    assert!(done[0]["faults"][0].as_str().unwrap().contains("another instrument"), "{done:?}");
}
