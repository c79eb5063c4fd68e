//! What a query does not need is not read.

use crate::ask::ask;
use crate::data::{ROW_GROUP, parquet, stream, trades};
use query::Format;
use std::path::PathBuf;
use tempfile::{TempDir, tempdir};

/// One file a symbol and one of three symbols, twenty row groups in all, of ten pages each.
fn files() -> (TempDir, Vec<PathBuf>) {
    let dir = tempdir().unwrap();
    let count = 5 * ROW_GROUP as u64;
    let files = vec![
        parquet(dir.path(), "btc.parquet", &[trades("BTCUSDT", 0, count)]),
        parquet(
            dir.path(),
            "mixed.parquet",
            &[trades("ADAUSDT", 0, count), trades("BTCUSDT", count, count), trades("XRPUSDT", 0, count)],
        ),
    ];
    (dir, files)
}

/// The plan with what was measured, of the one scan of files.
fn measured(sql: &str, files: &[PathBuf], hot: &[u8]) -> String {
    let told =
        ask(&format!("EXPLAIN ANALYZE {sql}")).format(Format::Table).table("trades", files, hot).told();
    String::from_utf8(told.bytes).unwrap()
}

fn metric<'a>(plan: &'a str, name: &str) -> &'a str {
    // The first is of a union, where there is one; the files stand behind it.
    let files = plan.split_once("file_type=parquet").unwrap().1;
    let of = files.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {plan}")).1;
    of.split([',', ']']).next().unwrap()
}

#[test]
fn a_time_range_of_one_symbol_reads_its_pages_and_nothing_else() {
    let (_dir, files) = files();
    let sql = "SELECT price FROM trades WHERE symbol = 'BTCUSDT' AND ts_event >= '2026-11-21T10:00:10' \
               AND ts_event < '2026-11-21T10:10:00'";
    let plan = measured(sql, &files, &[]);
    assert_eq!(metric(&plan, "output_rows"), "590", "{plan}");
    assert!(plan.contains("projection=[price]"), "{plan}");
    assert_eq!(metric(&plan, "row_groups_pruned_statistics"), "20 total → 1 matched", "{plan}");
    assert_eq!(metric(&plan, "page_index_pages_pruned"), "10 total → 2 matched", "{plan}");
}

#[test]
fn a_filter_reaches_the_files_also_beside_hot_rows_and_under_as_known_at() {
    let (_dir, files) = files();
    let hot = stream(&[trades("BTCUSDT", 1_000_000, 50)]);
    let sql = "SELECT price FROM trades WHERE symbol = 'XRPUSDT' AND number < 100 AS KNOWN AT '2026-11-21T11:00:00Z'";
    let plan = measured(sql, &files, &hot);
    assert_eq!(metric(&plan, "row_groups_pruned_statistics"), "20 total → 1 matched", "{plan}");
    assert_eq!(metric(&plan, "page_index_pages_pruned"), "10 total → 1 matched", "{plan}");
    assert_eq!(ask(sql).table("trades", &files, &hot).rows().len(), 100);
}
