//! A file that is away is wanted when the query reads from it, and not before.

use crate::ask::{Ask, ask};
use crate::data::{SECOND, T0, parquet, stream, summed, trades};
use query::{Away, Bound, File, Kind, Span, Summed};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const ROWS: u64 = 1_000;

/// The trades of one symbol from a second on, as a file that is away.
fn away(path: &Path, symbol: &str, first: u64) -> File {
    let at = |second: u64| Bound::Time(T0 + i64::try_from(second).unwrap() * SECOND);
    let span = |column: &str, min: Bound, max: Bound| Span { column: column.into(), min, max };
    let text = || Bound::Text(symbol.into());
    let spans = vec![span("symbol", text(), text()), span("ts_event", at(first), at(first + ROWS - 1))];
    File::Summed(Summed { away: Some(Away { rows: ROWS, spans }), ..summed(path) })
}

/// Three files that are away: two of one symbol, one after the other, and one of another; and the same in one that is not.
fn tables() -> (TempDir, Vec<PathBuf>, impl Fn(&str) -> Ask) {
    let dir = tempdir().unwrap();
    let of = [("BTCUSDT", 0), ("BTCUSDT", ROWS), ("ETHUSDT", 0)];
    let paths: Vec<PathBuf> = of
        .iter()
        .map(|(symbol, first)| {
            let name = format!("{symbol}-{first}.parquet");
            parquet(dir.path(), &name, &[trades(symbol, *first, ROWS)])
        })
        .collect();
    let files: Vec<File> =
        paths.iter().zip(of).map(|(path, (symbol, first))| away(path, symbol, first)).collect();
    let hot = stream(&[trades("BTCUSDT", 2 * ROWS, 10)]);
    (dir, paths, move |sql: &str| ask(sql).files("trades", files.clone(), &hot))
}

#[test]
fn only_files_that_may_have_rows_of_the_answer_are_wanted() {
    let (_dir, paths, asked) = tables();
    for (sql, rows, wanted) in [
        ("SELECT count(*) AS n FROM trades", 3_010, vec![]),
        ("SELECT count(price) AS n FROM trades WHERE symbol = 'ETHUSDT'", 1_000, vec![2]),
        ("SELECT count(price) AS n FROM trades WHERE symbol = 'XRPUSDT'", 0, vec![]),
        (
            "SELECT count(price) AS n FROM trades WHERE ts_event < '2026-11-21T10:01:00' AND symbol < 'C'",
            60,
            vec![0],
        ),
        ("SELECT count(price) AS n FROM trades WHERE ts_event >= '2026-11-21T10:33:20'", 10, vec![]),
        ("SELECT count(price) AS n FROM trades", 3_010, vec![0, 1, 2]),
    ] {
        let told = asked(sql).told();
        assert_eq!(told.rows(), [json!({ "n": rows })], "{sql}");
        let mut all = told.wanted;
        all.sort();
        assert_eq!(
            all,
            wanted.iter().map(|place: &usize| paths[*place].clone()).collect::<Vec<_>>(),
            "{sql}"
        );
    }
}

#[test]
fn what_cannot_be_brought_is_named_with_the_reason() {
    let (_dir, _, asked) = tables();
    let problem = asked("SELECT sum(price) FROM trades WHERE symbol = 'ETHUSDT'")
        .without("the place is away")
        .refused();
    assert_eq!(problem.kind, Kind::File, "{problem:?}");
    assert!(
        problem.message.contains("ETHUSDT-0.parquet") && problem.message.contains("the place is away"),
        "{problem:?}"
    );
    assert_eq!(asked("SELECT count(*) AS n FROM trades").without("the place is away").value(), 3_010);
}

#[test]
fn a_file_that_came_with_other_bytes_is_named() {
    let (_dir, paths, asked) = tables();
    let mut bytes = std::fs::read(&paths[2]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&paths[2], &bytes).unwrap();
    let all = "SELECT max(epoch), sum(number), max(price), max(ts_recv), max(ts_pub), max(id_number), max(quantity) FROM trades";
    let problem = asked(all).refused();
    assert!(problem.kind == Kind::File && problem.message.contains("ETHUSDT-0.parquet"), "{problem:?}");
    std::fs::write(&paths[2], &bytes[1..]).unwrap();
    let problem = asked(all).refused();
    assert!(problem.kind == Kind::File && problem.message.contains("ETHUSDT-0.parquet"), "{problem:?}");
}
