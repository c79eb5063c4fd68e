//! What is asked is what is answered.

use crate::ask::{Ask, Told, ask};
use crate::data::{bars, parquet, stream, trades};
use datafusion::arrow::array::{RecordBatch, StringArray, TimestampNanosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use query::{End, Format, Kind};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::tempdir;

#[test]
fn files_and_hot_rows_are_one_table_and_every_row_is_there_once() {
    let dir = tempdir().unwrap();
    let files = [
        parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 12_000), trades("ETHUSDT", 0, 3_000)]),
        parquet(dir.path(), "b.parquet", &[trades("BTCUSDT", 12_000, 5_000)]),
    ];
    let hot = stream(&[trades("BTCUSDT", 17_000, 300), trades("ETHUSDT", 3_000, 7)]);
    let sql = "SELECT symbol, count(*) AS n, count(DISTINCT number) AS numbers, min(number) AS a, max(number) AS b, \
               sum(quantity) AS q FROM trades GROUP BY symbol ORDER BY symbol";
    let rows = ask(sql).table("trades", &files, &hot).rows();
    let q = |row: &Value| (row["q"].as_f64().unwrap() * 1000.0).round() as u64;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(
        (&rows[0]["n"], &rows[0]["numbers"], &rows[0]["b"]),
        (&json!(17_300), &json!(17_300), &json!(17_299))
    );
    assert_eq!(
        (&rows[1]["n"], &rows[1]["numbers"], &rows[1]["b"]),
        (&json!(3_007), &json!(3_007), &json!(3_006))
    );
    assert_eq!((q(&rows[0]), q(&rows[1])), (17_300, 3_007));
    // Counts that the engine takes from statistics, and not from rows, are the same.
    assert_eq!(ask("SELECT count(*) AS n FROM trades").table("trades", &files, &hot).value(), json!(20_307));
    assert_eq!(
        ask("SELECT max(number) AS n FROM trades").table("trades", &files, &hot).value(),
        json!(17_299)
    );
    // A filter holds on both sides.
    let sql = "SELECT count(*) AS n FROM trades WHERE symbol = 'BTCUSDT' AND number BETWEEN 16990 AND 17009";
    assert_eq!(ask(sql).table("trades", &files, &hot).value(), json!(20));
}

#[test]
fn a_table_may_have_only_hot_rows_or_no_rows_at_all() {
    let hot = stream(&[trades("BTCUSDT", 0, 10)]);
    assert_eq!(ask("SELECT count(*) AS n FROM trades").table("trades", &[], &hot).value(), json!(10));
    let none = stream(&[trades("BTCUSDT", 0, 0)]);
    let told = ask("SELECT price FROM trades").table("trades", &[], &none).told();
    assert_eq!((told.end, told.rows().len()), (End { rows: 0, cut: false }, 0));
    assert_eq!(
        (told.head.columns[0].name.as_str(), told.head.columns[0].kind.as_str()),
        ("price", "Float64")
    );
    assert_eq!(ask("SELECT 1").table("trades", &[], &[]).refused().kind, Kind::Request);
}

#[test]
fn texts_as_dictionaries_are_texts() {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 10)]);
    let batch = trades("BTCUSDT", 10, 10);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|f| match f.data_type() {
        DataType::Utf8 => Field::new(f.name(), dictionary.clone(), true),
        _ => f.as_ref().clone(),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    let hot = stream(&[RecordBatch::try_new(schema, columns).unwrap()]);
    let sql = "SELECT count(*) AS n FROM trades WHERE symbol = 'BTCUSDT' AND aggressor = 'buy'";
    assert_eq!(ask(sql).table("trades", &[file], &hot).value(), json!(10));
}

#[test]
fn a_column_that_only_newer_files_have_is_null_in_the_older_ones() {
    let dir = tempdir().unwrap();
    let batch = trades("BTCUSDT", 0, 10);
    let without: Vec<usize> =
        (0..batch.num_columns()).filter(|at| batch.schema().field(*at).name() != "count").collect();
    let files = [
        parquet(dir.path(), "old.parquet", &[batch.project(&without).unwrap()]),
        parquet(dir.path(), "new.parquet", &[trades("BTCUSDT", 10, 10)]),
    ];
    let sql = "SELECT count(*) AS n FROM trades WHERE count IS NULL AND number < 10";
    assert_eq!(ask(sql).table("trades", &files, &[]).value(), json!(10));
    assert_eq!(ask("SELECT sum(count) AS n FROM trades").table("trades", &files, &[]).value(), json!(10));
}

#[test]
fn a_column_of_two_types_is_told_with_its_file() {
    let dir = tempdir().unwrap();
    let price = RecordBatch::try_from_iter([("price", Arc::new(StringArray::from(vec!["1"])) as _)]).unwrap();
    let files = [
        parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 1)]),
        parquet(dir.path(), "odd.parquet", &[price]),
    ];
    let problem = ask("SELECT price FROM trades").table("trades", &files, &[]).refused();
    assert_eq!(problem.kind, Kind::File);
    assert!(
        problem.message.contains("odd.parquet") && problem.message.contains("`price`"),
        "{}",
        problem.message
    );
}

#[test]
fn numbers_and_times_come_back_as_the_text_they_are() {
    let hot = stream(&[trades("BTCUSDT", 1, 1)]);
    let rows = ask("SELECT price, quantity, id_number, ts_event, id_text FROM trades")
        .table("trades", &[], &hot)
        .told();
    let text = r#"[{"price":64000.1,"quantity":0.001,"id_number":18446744073709551614,"ts_event":"2026-11-21T10:00:01","id_text":null}]"#;
    let told = String::from_utf8(rows.bytes).unwrap();
    assert_eq!(told.split_once(",\"rows\":").unwrap().1, format!("{text},\"count\":1,\"cut\":false}}"));
}

fn told(format: Format) -> Told {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 20_000)]);
    let sql = "SELECT number, symbol, price, aggressor FROM trades WHERE number < 20000 ORDER BY number DESC";
    ask(sql).format(format).table("trades", &[file], &[]).told()
}

fn asked(format: Format) -> (Vec<u8>, End) {
    let told = told(format);
    (told.bytes, told.end)
}

const ALL: End = End { rows: 20_000, cut: false };

#[test]
fn csv_reads_back() {
    let (bytes, end) = asked(Format::Csv);
    assert_eq!(end, ALL);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), vec!["number", "symbol", "price", "aggressor"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[0], vec!["19999", "BTCUSDT", "64009.9", ""]);
    assert_eq!(rows[19_998], vec!["1", "BTCUSDT", "64000.1", ""]);
    let none = ask("SELECT 1 AS a, 2 AS b WHERE false").format(Format::Csv).told();
    assert_eq!(none.bytes, b"a,b\n");
}

#[test]
fn json_reads_back() {
    let told = told(Format::Json);
    let rows = told.rows();
    assert_eq!((rows.len(), told.end), (20_000, ALL));
    assert_eq!(rows[0], json!({"number": 19_999, "symbol": "BTCUSDT", "price": 64_009.9, "aggressor": null}));
}

#[test]
fn arrow_and_parquet_read_back() {
    let check = |batches: Vec<RecordBatch>| {
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
        assert_eq!(batches[0].schema().field(2).name(), "price");
        assert_eq!(
            batches[0].column(2).as_ref(),
            trades("BTCUSDT", 0, 20_000).column(15).slice(19_999, 1).as_ref()
        );
    };
    let first = |mut batches: Vec<RecordBatch>| {
        let rest = batches[0].slice(1, batches[0].num_rows() - 1);
        batches[0] = batches[0].slice(0, 1);
        batches.insert(1, rest);
        batches
    };
    let (bytes, end) = asked(Format::Arrow);
    assert_eq!(end, ALL);
    check(first(StreamReader::try_new(bytes.as_slice(), None).unwrap().map(Result::unwrap).collect()));
    let (bytes, end) = asked(Format::Parquet);
    assert_eq!(end, ALL);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
    check(first(reader.map(Result::unwrap).collect()));
}

#[test]
fn a_table_for_people_has_frames() {
    let text = |sql: &str| ask(sql).format(Format::Table).limits(|l| l.rows = 2).told().bytes;
    let frames = "+---+---+\n| a | b |\n+---+---+\n| 1 | x |\n+---+---+\n1 row\n";
    assert_eq!(String::from_utf8(text("SELECT 1 AS a, 'x' AS b")).unwrap(), frames);
    let cut = String::from_utf8(text("SELECT * FROM range(3)")).unwrap();
    assert!(cut.ends_with("+\n2 rows; there are more\n"), "{cut}");
}

#[test]
fn rows_beyond_the_limit_are_cut_and_that_is_said() {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 20_000)]);
    let limited = |sql: &str, rows: u64| {
        ask(sql).limits(|l| l.rows = rows).table("trades", std::slice::from_ref(&file), &[]).told()
    };
    for sql in ["SELECT number FROM trades", "SELECT number FROM trades ORDER BY number DESC"] {
        let told = limited(sql, 10_001);
        assert_eq!(told.end, End { rows: 10_001, cut: true });
        assert_eq!(told.rows().len(), 10_001);
    }
    assert_eq!(limited("SELECT number FROM trades", 20_000).end, End { rows: 20_000, cut: false });
    assert_eq!(limited("SELECT number FROM trades LIMIT 3", 3).end, End { rows: 3, cut: false });
    assert_eq!(limited("SELECT number FROM trades", 0).end, End { rows: 0, cut: true });
}

#[test]
fn as_known_at_leaves_what_became_known_later() {
    let dir = tempdir().unwrap();
    let file = parquet(dir.path(), "a.parquet", &[trades("BTCUSDT", 0, 100)]);
    let hot = stream(&[trades("BTCUSDT", 100, 100)]);
    let with = |sql: &str| ask(sql).table("trades", std::slice::from_ref(&file), &hot);
    // A trade is published 2 ms after its second.
    let count = "SELECT count(*) AS n FROM trades";
    assert_eq!(with(count).value(), json!(200));
    assert_eq!(with(&format!("{count} AS KNOWN AT '2026-11-21T10:00:50.002Z'")).value(), json!(51));
    assert_eq!(with(&format!("{count} AS KNOWN AT '2026-11-21T10:00:50.001999999Z'")).value(), json!(50));
    assert_eq!(with(&format!("{count} AS KNOWN AT '2026-11-21T10:02:30.5Z';")).value(), json!(151));
    assert_eq!(with(count).known_at("2026-11-21T18:00:50.002+08:00").value(), json!(51));
    let twice = with(&format!("{count} AS KNOWN AT '2026-11-21T10:00:50Z'")).known_at("2026-11-21T10:00:50Z");
    assert_eq!(twice.refused().kind, Kind::Refused);
    // What does not say when it became known is not answered as if it did.
    let none = RecordBatch::try_from_iter([("symbol", Arc::new(StringArray::from(vec!["x"])) as _)]).unwrap();
    let problem =
        ask("SELECT 1").table("completeness", &[], &stream(&[none])).known_at("2026-11-21").refused();
    assert!(problem.kind == Kind::Plan && problem.message.contains("`completeness`"), "{}", problem.message);
}

#[test]
fn bars_1m_are_the_newest_closed_row_of_each_start() {
    let hot = stream(&[bars(&[
        (0, 1, 1.0, false, "1m"),
        (0, 2, 2.0, true, "1m"),
        (1, 3, 3.0, true, "1m"),
        (0, 4, 4.0, true, "1m"),
        (2, 5, 5.0, false, "1m"),
        (0, 6, 6.0, true, "5m"),
    ])]);
    let closes = |sql: &str| -> Vec<f64> {
        ask(sql).table("bars", &[], &hot).rows().iter().map(|row| row["close"].as_f64().unwrap()).collect()
    };
    assert_eq!(closes("SELECT close FROM bars_1m ORDER BY start"), [4.0, 3.0]);
    assert_eq!(closes("SELECT * FROM bars_1m ORDER BY start AS KNOWN AT '2026-11-21T10:00:03Z'"), [2.0, 3.0]);
    assert_eq!(
        closes("SELECT close FROM bars_1m WHERE symbol = 'BTCUSDT' AND start < '2026-11-21T10:01:00'"),
        [4.0]
    );
    let columns = ask("SELECT * FROM bars_1m").table("bars", &[], &hot).told().head.columns;
    assert!(columns.iter().all(|column| column.name != "newest"), "{columns:?}");
}

fn completeness(sql: &str) -> Ask {
    let text = |of: &[&str]| Arc::new(StringArray::from(of.to_vec())) as _;
    let ts = Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3])) as _;
    let rows = RecordBatch::try_from_iter([
        ("symbol", text(&["BTCUSDT", "BTCUSDT", "ETHUSDT"])),
        ("instrument", text(&["BTC/USDT@a", "BTC/USDT@a", "ETH/USDT@b"])),
        ("channel", text(&["trades", "book", "trades"])),
        ("from_ts", ts),
        ("state", text(&["complete", "gap", "unprovable"])),
    ]);
    ask(sql).table("completeness", &[], &stream(&[rows.unwrap()]))
}

#[test]
fn completeness_is_asked_by_instrument_or_symbol_and_by_channel() {
    for (of, states) in [
        ("completeness", "complete gap unprovable"),
        ("completeness()", "complete gap unprovable"),
        ("completeness('BTCUSDT')", "complete gap"),
        ("completeness('BTC/USDT@a', 'book')", "gap"),
        ("completeness(NULL, 'trades')", "complete unprovable"),
        ("completeness('x')", ""),
    ] {
        let rows = completeness(&format!("SELECT state FROM {of} ORDER BY from_ts")).rows();
        let told: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
        assert_eq!(told.join(" "), states, "{of}");
    }
    assert_eq!(completeness("SELECT * FROM completeness('a', 'b', 'c')").refused().kind, Kind::Plan);
    assert_eq!(completeness("SELECT * FROM completeness(1)").refused().kind, Kind::Plan);
}

#[test]
fn what_does_not_fit_is_told_with_its_kind_and_place() {
    let hot = stream(&[trades("BTCUSDT", 0, 10)]);
    for (sql, kind, place) in [
        ("SELECT *\nFROM trades WHERE prise > 1", Kind::Plan, Some((2, 19))),
        ("SELECT * FROM nowhere", Kind::Plan, Some((1, 15))),
        ("SELECT no_such_function(price) FROM trades", Kind::Plan, None),
        ("SELECT price FROM trades WHERE", Kind::Syntax, None),
        ("SELECT 1 / (number - number) FROM trades", Kind::Execution, None),
        ("SELECT CAST(symbol AS INT) FROM trades", Kind::Execution, None),
        ("SELECT * FROM '/etc/passwd'", Kind::Plan, None),
        ("SELECT * FROM read_parquet('/etc/passwd')", Kind::Plan, None),
        ("SELECT * FROM information_schema.tables", Kind::Plan, None),
        ("DROP TABLE trades", Kind::Refused, Some((1, 1))),
        ("EXPLAIN ANALYZE INSERT INTO trades SELECT * FROM trades", Kind::Refused, None),
    ] {
        let problem = ask(sql).table("trades", &[], &hot).refused();
        assert_eq!(problem.kind, kind, "{sql}: {}", problem.message);
        if let Some((line, column)) = place {
            let at = problem.position.unwrap_or_else(|| panic!("{sql}: no place: {}", problem.message));
            assert_eq!((at.line, at.column), (line, column), "{sql}: {}", problem.message);
        }
    }
    let mut bad = ask("SELECT 1");
    bad.request.sql = "SELECT 1".repeat(300_000);
    assert_eq!(bad.refused().kind, Kind::Refused);
}

#[test]
fn a_long_expression_is_answered_or_refused_and_never_overflows_the_stack() {
    let sum = |terms: usize| ask(&format!("SELECT {} AS n", vec!["1"; terms].join("+")));
    assert_eq!(sum(400).value(), json!(400));
    assert_eq!(sum(20_000).refused().kind, Kind::Refused);
    let union = |queries: usize| ask(&vec!["SELECT 1 AS n"; queries].join(" UNION ALL "));
    assert_eq!(union(100).rows().len(), 100);
    assert_eq!(union(20_000).refused().kind, Kind::Refused);
    let list: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    assert_eq!(ask(&format!("SELECT 7 IN ({}) AS n", list.join(","))).value(), json!(true));
}

#[test]
fn explain_and_describe_are_answered() {
    let hot = stream(&[trades("BTCUSDT", 0, 10)]);
    for sql in ["EXPLAIN SELECT * FROM trades", "EXPLAIN ANALYZE SELECT * FROM trades"] {
        assert!(!ask(sql).table("trades", &[], &hot).rows().is_empty(), "{sql}");
    }
    let rows = ask("DESCRIBE trades").table("trades", &[], &hot).rows();
    assert!(
        rows.iter().any(|row| row["column_name"] == "price" && row["data_type"] == "Float64"),
        "{rows:?}"
    );
}

#[test]
fn functions_that_people_expect_are_there() {
    let hot = stream(&[trades("BTCUSDT", 0, 120)]);
    let sql = "SELECT date_bin(INTERVAL '1 minute', ts_event) AS start, first_value(price ORDER BY number) AS open, \
               max(price) AS high, last_value(price ORDER BY number) AS close, round(sum(quantity), 3) AS volume, \
               approx_percentile_cont(price, 0.5) IS NOT NULL AS p, stddev(price) > 0 AS s, regexp_like(min(symbol), '^BTC') AS r, \
               substr(upper(min(symbol)), 1, 3) AS u FROM trades GROUP BY 1 ORDER BY 1";
    let rows = ask(sql).table("trades", &[], &hot).rows();
    let first = json!({"start": "2026-11-21T10:00:00", "open": 64_000.0, "high": 64_005.9, "close": 64_005.9, "volume": 0.06,
        "p": true, "s": true, "r": true, "u": "BTC"});
    assert_eq!((rows.len(), &rows[0]), (2, &first));
    let sql = "SELECT max(d) AS d FROM (SELECT price - lag(price) OVER (PARTITION BY symbol ORDER BY number) AS d FROM trades)";
    assert!(ask(sql).table("trades", &[], &hot).value().as_f64().is_some_and(|d| (d - 0.1).abs() < 1e-6));
}

fn tables(sql: &str) -> (String, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_qingxi-sql"))
        .arg("--tables")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let told = child.wait_with_output().unwrap();
    (String::from_utf8(told.stdout).unwrap(), told.status.success())
}

#[test]
fn the_tables_of_a_query_are_told_without_running_it() {
    let sql = "WITH x AS (SELECT * FROM bars_1m) SELECT * FROM x JOIN trades USING (symbol) AS KNOWN AT '2026-11-21'";
    assert_eq!(tables(sql), ("{\"tables\":[\"bars\",\"trades\"]}\n".to_owned(), true));
    let (said, success) = tables("DROP TABLE trades");
    assert!(!success && said.starts_with(r#"{"error":{"kind":"refused""#), "{said}");
}
