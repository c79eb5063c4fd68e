//! A query takes what it may and ends.

use crate::ask::ask;
use crate::data::{parquet, stream, trades};
use query::{Kind, Said};
use serde_json::json;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use tempfile::tempdir;

/// Rows that nobody can hold: 20,000³.
const HUGE: &str = "FROM trades a CROSS JOIN trades b CROSS JOIN trades c";

#[test]
fn a_query_that_would_need_100_gb_is_refused_memory_and_the_process_ends() {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 20_000)]);
    let sql = format!(
        "SELECT a.number * 400000000 + b.number * 20000 + c.number AS n, count(*) {HUGE} GROUP BY 1 ORDER BY 2"
    );
    let query = ask(&sql).temp(dir.path()).table("trades", &[file], &[]);
    let problem = query.limits(|l| (l.memory_bytes, l.temp_bytes) = (64 << 20, 8 << 20)).refused();
    assert!(matches!(problem.kind, Kind::Memory | Kind::Temp), "{problem:?}");
    assert!(problem.message.contains("_bytes` = "), "{}", problem.message);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the folder for temporary files is still there");
}

#[test]
fn a_sort_that_does_not_fit_goes_to_disk_and_past_the_limit_of_that_is_an_error() {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 400_000)]);
    let sql = "SELECT max(number) AS n, max(at) AS at, max(instrument || symbol || exchange || channel || source) AS t FROM \
               (SELECT *, row_number() OVER (ORDER BY price, number) AS at FROM trades)";
    let sort = |temp_bytes: u64| {
        ask(sql)
            .temp(dir.path())
            .table("trades", std::slice::from_ref(&file), &[])
            .limits(|l| (l.memory_bytes, l.temp_bytes) = (44 << 20, temp_bytes))
    };
    assert_eq!(
        sort(1 << 30).rows(),
        [json!({"n": 399_999, "at": 400_000, "t": "BTCUSDT@demoBTCUSDTdemotradesdemo"})]
    );
    let problem = sort(1 << 20).refused();
    assert_eq!(problem.kind, Kind::Temp, "{}", problem.message);
    assert!(problem.message.contains("`temp_bytes` = 1048576"), "{}", problem.message);
}

#[test]
fn hot_rows_count_as_memory() {
    let hot = stream(&[trades("BTCUSDT", 0, 100_000)]);
    let problem = ask("SELECT 1").table("trades", &[], &hot).limits(|l| l.memory_bytes = 1 << 20).refused();
    assert_eq!(problem.kind, Kind::Memory, "{}", problem.message);
}

#[test]
fn a_query_past_its_time_is_told_so_before_its_first_row_and_after() {
    let hot = stream(&[trades("BTCUSDT", 0, 20_000)]);
    for what in ["count(DISTINCT a.price + b.price * c.price)", "a.number"] {
        let query = ask(&format!("SELECT {what} {HUGE}")).table("trades", &[], &hot);
        let problem = query.limits(|l| (l.seconds, l.rows) = (1, u64::MAX)).refused();
        assert_eq!(problem.kind, Kind::Time, "{}", problem.message);
        assert!(problem.message.contains("`seconds` = 1"), "{}", problem.message);
    }
}

#[test]
fn a_query_past_its_time_ends_also_where_nobody_reads_its_rows() {
    let hot = stream(&[trades("BTCUSDT", 0, 20_000)]);
    let query = ask(&format!("SELECT a.number {HUGE}"))
        .table("trades", &[], &hot)
        .limits(|l| (l.seconds, l.rows) = (1, u64::MAX));
    let mut child = query.start();
    let status = child.wait_with_stdin();
    assert_eq!(status.code(), Some(query::EXIT_TIME), "{status}");
}

/// `wait` closes the standard input; here it stays open.
trait WaitWithStdin {
    fn wait_with_stdin(&mut self) -> std::process::ExitStatus;
}

impl WaitWithStdin for std::process::Child {
    fn wait_with_stdin(&mut self) -> std::process::ExitStatus {
        let _input = self.stdin.take();
        self.wait().unwrap()
    }
}

#[test]
fn an_asker_that_goes_ends_the_query_at_once() {
    let dir = tempdir().unwrap();
    let hot = stream(&[trades("BTCUSDT", 0, 20_000)]);
    let query = ask(&format!("SELECT a.number {HUGE}"))
        .temp(dir.path())
        .table("trades", &[], &hot)
        .limits(|l| (l.seconds, l.rows) = (600, u64::MAX));
    // It goes without a word: its input ends.
    let mut child = query.start();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    // It stops reading: the pipe breaks, though the input is open.
    let mut child = query.start();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(
        matches!(serde_json::from_str::<Said<query::Head>>(&first), Ok(Said::Told(head)) if head.ok),
        "{first}"
    );
    drop(out);
    assert_eq!(child.wait_with_stdin().code(), Some(3));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the folder for temporary files is still there");
}

#[test]
fn what_is_no_request_is_told() {
    let mut child = ask("SELECT 1").start();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait_with_stdin();
    assert!(said.ends_with("0\n{\"rows\":1,\"cut\":false}\n"), "{said}");
    let mut short = ask("SELECT 1").table("trades", &[], &stream(&[trades("BTCUSDT", 0, 10)]));
    short.request.tables[0].hot_bytes = 100;
    assert_eq!(short.refused().kind, Kind::Request);
}

#[test]
fn memory_that_the_engine_does_not_count_ends_at_the_wall() {
    let query = ask("SELECT length(repeat('x', 1500000000))").limits(|l| l.memory_bytes = 64 << 20);
    let mut child = query.start();
    let (mut said, mut why) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    let status = child.wait_with_stdin();
    assert!(!status.success() && said.is_empty(), "{status}: {said}");
    assert!(why.starts_with(query::OUT_OF_MEMORY), "{why}");
}
