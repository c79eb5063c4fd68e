//! Rows as columns are those of events, wherever they stand.

use crate::files::{EPOCH, all, compact, everything, parquet, run, small};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use bus::Published;
use model::Ts;
use std::fmt::Write as _;
use store::{Columnar, Config, Query, Reader, Table, when};

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_bits().to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        _ => {
            let words = column.as_dictionary::<Int32Type>();
            words.values().as_string::<i32>().value(words.keys().value(row) as usize).to_owned()
        }
    }
}

/// A text for each row, and the names of its columns.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let columns = || schema.fields().iter().zip(batch.columns());
    let row = |row| {
        columns().fold(String::new(), |mut text, (field, column)| {
            write!(text, "{}={} ", field.name(), cell(column, row)).unwrap();
            text
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn scanned(reader: &Reader, query: &Query, columns: &[&str]) -> Vec<String> {
    let scan = reader.scan(query.clone(), columns).unwrap();
    let schema = scan.schema();
    let all = scan.map(Result::unwrap).inspect(|batch| assert_eq!(batch.schema(), schema));
    all.flat_map(|batch| rows(&batch)).collect()
}

/// Holds what stands in files against what only stands in the log, which is made of events.
fn check(reader: &Reader, of_events: &Reader, all: &[Published], pass: &str) {
    let mut luck = fastrand::Rng::with_seed(8);
    let mut count = 0;
    for turn in 0..120 {
        let some = &all[luck.usize(..all.len())];
        let mut query = Query::of(&[Table::of(&some.event.body)]);
        if turn % 4 > 0 {
            query.instruments = vec![some.event.instrument.id];
            query.source = Some(some.event.source.into());
        }
        if luck.bool() {
            let span = luck.i64(1..3_000_000_000);
            query.from = Ts(when(&some.event).0 - span / 2);
            query.to = Ts(query.from.0 + span);
        }
        query.known_at = (luck.u8(0..4) == 0).then(|| all[luck.usize(..all.len())].ts_pub);
        query.after = (luck.u8(0..4) == 0).then(|| all[luck.usize(..all.len())].cursor);
        let columns = if luck.bool() { &["number", "ts_recv", "symbol", "exact"][..] } else { &[] };
        let wanted = scanned(of_events, &query, columns);
        assert_eq!(scanned(reader, &query, columns), wanted, "{pass}: {query:?}");
        count += wanted.len();
    }
    assert!(count > 5_000, "{count} rows");
}

#[tokio::test]
async fn columns_are_the_same_of_files_as_of_events() {
    let (dir, logged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let in_log = Config { segment_bytes: 64 << 20, seal_ms: 3_600_000, ..small(logged.path()) };
    let (of_events, kept, _bus) = run(&in_log, EPOCH, 5_000).await;
    assert_eq!(of_events.sealed(), None);
    let events = all(EPOCH, 5_000);
    let (reader, running, _bus) = run(&small(dir.path()), EPOCH, 5_000).await;
    check(&reader, &of_events, &events, "while it is sealed");
    running.stop().await;
    drop(reader);
    check(&Reader::open(dir.path()).unwrap(), &of_events, &events, "sealed in part");
    compact(&small(dir.path()));
    check(&Reader::open(dir.path()).unwrap(), &of_events, &events, "merged");
    kept.stop().await;
}

#[tokio::test]
async fn a_flipped_byte_is_an_error_that_names_the_file_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_, running, _bus) = run(&small(dir.path()), EPOCH, 3_000).await;
    running.stop().await;
    compact(&small(dir.path()));
    let query = Query::of(&[Table::Trades]);
    let whole = scanned(&Reader::open(dir.path()).unwrap(), &query, &[]);
    let path =
        parquet(dir.path()).into_iter().find(|path| path.to_string_lossy().contains("trades")).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut luck = fastrand::Rng::with_seed(2);
    let mut found = 0;
    for _ in 0..40 {
        let mut flipped = bytes.clone();
        let at = luck.usize(..flipped.len());
        flipped[at] ^= 1 << luck.u8(0..8);
        std::fs::write(&path, &flipped).unwrap();
        let all: Result<Vec<RecordBatch>, _> =
            Reader::open(dir.path()).unwrap().scan(query.clone(), &[]).unwrap().collect();
        match all {
            Ok(all) => assert_eq!(all.iter().flat_map(rows).collect::<Vec<_>>(), whole, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
                found += 1;
            }
        }
    }
    assert!(found > 20, "{found} of 40");
}

#[tokio::test]
async fn an_extract_ends_after_so_many_events_with_all_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (_, running, _bus) = run(&small(dir.path()), EPOCH, 3_000).await;
    running.stop().await;
    compact(&small(dir.path()));
    let reader = Reader::open(dir.path()).unwrap();
    let events: Vec<Published> = all(EPOCH, 3_000);
    for table in [Table::Trades, Table::BookDeltas, Table::BookSnapshots] {
        let of: Vec<&Published> = events.iter().filter(|it| Table::of(&it.event.body) == table).collect();
        for max in [0, 1, 7, of.len() - 1, of.len(), of.len() + 1] {
            let mut out = Vec::new();
            let query = Query { tables: vec![table], ..everything() };
            let told = reader.extract(query, Columnar::Arrow, max as u64, &mut out).unwrap();
            let stream = arrow_ipc::reader::StreamReader::try_new(out.as_slice(), None).unwrap();
            let mut numbers: Vec<u64> = Vec::new();
            for batch in stream {
                let batch = batch.unwrap();
                numbers.extend(batch.column_by_name("number").unwrap().as_primitive::<UInt64Type>().values());
            }
            let rows = numbers.len();
            numbers.dedup();
            let wanted: Vec<u64> = of.iter().take(max).map(|it| it.cursor.number).collect();
            assert_eq!((told, numbers), (wanted.len() as u64, wanted.clone()), "{table:?}, {max}");
            let levels = |it: &&&Published| match &it.event.body {
                model::Body::Delta(delta) => delta.levels.len().max(1),
                model::Body::Snapshot(snapshot) => snapshot.levels.len().max(1),
                _ => 1,
            };
            assert_eq!(rows, of.iter().take(max).map(|it| levels(&it)).sum::<usize>(), "{table:?}, {max}");
        }
    }
}
