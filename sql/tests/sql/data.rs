//! Trades as the store keeps them.

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt16Array,
    UInt32Array, UInt64Array,
};
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use query::Summed;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2026-11-21T10:00:00Z.
pub const T0: i64 = 1_795_255_200_000_000_000;
pub const SECOND: i64 = 1_000_000_000;
pub const ROW_GROUP: usize = 5_000;
/// The bytes of a checksum.
pub const BLOCK: usize = 4_096;

/// Trades of one symbol, one a second from `first`, numbered from there too.
pub fn trades(symbol: &str, first: u64, count: u64) -> RecordBatch {
    let rows = first..first + count;
    let (n, length) =
        (|f: fn(u64) -> u64| UInt64Array::from_iter_values(rows.clone().map(f)), count as usize);
    let text = |of: &str| -> ArrayRef { Arc::new(StringArray::from(vec![of; length])) };
    let ts = |after: i64| -> ArrayRef {
        let at = rows.clone().map(|i| T0 + i64::try_from(i).unwrap() * SECOND + after);
        Arc::new(TimestampNanosecondArray::from_iter_values(at))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("epoch", Arc::new(UInt64Array::from(vec![1; length]))),
        ("number", Arc::new(n(|i| i))),
        ("source", text("demo")),
        ("exchange", text("demo")),
        ("product", text("spot")),
        ("symbol", text(symbol)),
        ("instrument", text(&format!("{symbol}@demo"))),
        ("channel", text("trades")),
        ("flags", Arc::new(UInt16Array::from(vec![0; length]))),
        ("ts_event", ts(0)),
        ("ts_recv", ts(1_000_000)),
        ("ts_pub", ts(2_000_000)),
        ("definition", Arc::new(UInt32Array::from(vec![7; length]))),
        ("id_number", Arc::new(n(|i| u64::MAX - i))),
        ("id_text", Arc::new(StringArray::new_null(length))),
        (
            "price",
            Arc::new(Float64Array::from_iter_values(
                rows.clone().map(|i| 64_000.0 + (i % 100) as f64 / 10.0),
            )),
        ),
        ("quantity", Arc::new(Float64Array::from(vec![0.001; length]))),
        (
            "aggressor",
            Arc::new(rows.clone().map(|i| [Some("buy"), None][(i % 2) as usize]).collect::<StringArray>()),
        ),
        ("count", Arc::new(UInt32Array::from(vec![1; length]))),
        ("exact", Arc::new(StringArray::new_null(length))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, of)| (name, of, true))).unwrap()
}

/// Bars of a minute: `(start in minutes, number, close, closed, interval)`.
pub fn bars(rows: &[(i64, u64, f64, bool, &str)]) -> RecordBatch {
    let length = rows.len();
    let text = |of: &str| -> ArrayRef { Arc::new(StringArray::from(vec![of; length])) };
    let ts = |of: fn(&(i64, u64, f64, bool, &str)) -> i64| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(of)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("epoch", Arc::new(UInt64Array::from(vec![1; length]))),
        ("number", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.1)))),
        ("source", text("demo")),
        ("exchange", text("demo")),
        ("product", text("spot")),
        ("symbol", text("BTCUSDT")),
        ("instrument", text("BTC/USDT@demo")),
        ("channel", text("bars")),
        ("ts_pub", ts(|r| T0 + i64::try_from(r.1).unwrap() * SECOND)),
        ("interval", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.4)))),
        ("start", ts(|r| T0 + r.0 * 60 * SECOND)),
        ("close", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.2)))),
        ("closed", Arc::new(rows.iter().map(|r| Some(r.3)).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, of)| (name, of, true))).unwrap()
}

/// A file as the store writes it.
pub fn parquet(dir: &Path, name: &str, batches: &[RecordBatch]) -> PathBuf {
    let path = dir.join(name);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(500);
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties.build())).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
    path
}

/// Rows as an Arrow IPC stream.
pub fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A file with the checksums of its blocks.
pub fn summed(path: &Path) -> Summed {
    let bytes = fs::read(path).unwrap();
    let crc32 = bytes.chunks(BLOCK).map(crc32fast::hash).collect();
    Summed { path: path.to_owned(), bytes: bytes.len() as u64, block_bytes: BLOCK as u64, crc32, away: None }
}
