//! How the columns of a file are written, and what their statistics say.

use crate::table::{COMMON, Table, Type};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use query::{Bound, Span};
use std::sync::Arc;

const ROW_GROUP_ROWS: usize = 524_288;
const PAGE_ROWS: usize = 16_384;
/// Bytes that the text of a page's and row group's statistics may have.
const STATISTICS_BYTES: usize = 64;
/// Numbers that mostly repeat so much that a dictionary takes less than the compressed values; by measurement on recordings.
const REPEATED: [(Table, &str); 3] =
    [(Table::Trades, "quantity"), (Table::BookDeltas, "price"), (Table::BookDeltas, "quantity")];
/// How hard what is written once and soon merged is compressed.
pub(crate) const QUICK: i32 = 3;
/// How hard what is kept is compressed.
pub(crate) const THOROUGH: i32 = 9;
/// How hard it can be, in ten times as long.
pub(crate) const UTMOST: i32 = 19;
/// Of what is kept the first rows are written with and without a dictionary, to see which takes less.
pub(super) const SAMPLE_ROWS: u64 = 65_536;

/// How the columns of a table are written when nobody looks at the rows first, at a level of zstd.
pub(crate) fn properties(table: Table, level: i32) -> Result<WriterProperties, ParquetError> {
    properties_with(table, level, |name| REPEATED.contains(&(table, name)))
}

/// How the columns of a table are written, with a dictionary for some of the numbers.
fn properties_with(
    table: Table,
    level: i32,
    repeats: impl Fn(&str) -> bool,
) -> Result<WriterProperties, ParquetError> {
    // One change of a book is many rows, and in pages twice as long they take 1.3 % less.
    let page_rows = if table == Table::BookDeltas { 2 * PAGE_ROWS } else { PAGE_ROWS };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("qingxi".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES));
    for column in table.columns() {
        let path = ColumnPath::from(column.name.as_str());
        let counts = matches!(column.of, Type::U64 | Type::I64 | Type::Time) && column.name != COMMON[0].0;
        if counts {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        } else if column.of == Type::Number && !repeats(&column.name) {
            builder = builder.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(builder.build())
}

/// How these rows, the first of a file, are best written.
pub(super) fn measured(
    table: Table,
    level: i32,
    rows: &[RecordBatch],
) -> Result<WriterProperties, ParquetError> {
    let mut repeated = Vec::new();
    for (place, column) in table.columns().iter().enumerate().filter(|(_, it)| it.of == Type::Number) {
        let schema: SchemaRef = table.schema().project(&[place])?.into();
        let bytes = |dictionary: bool| -> Result<usize, ParquetError> {
            let properties = properties_with(table, level, |_| dictionary)?;
            let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
            rows.iter().try_for_each(|batch| writer.write(&batch.project(&[place])?))?;
            Ok(writer.into_inner()?.len())
        };
        if bytes(true)? < bytes(false)? {
            repeated.push(&*column.name);
        }
    }
    properties_with(table, level, |name| repeated.contains(&name))
}

/// The least and the greatest values in some columns, of those where the statistics say exactly.
pub(super) fn spans(table: Table, groups: &[RowGroupMetaData]) -> Vec<Span> {
    let columns = table.columns().iter().enumerate();
    let spans = columns.filter_map(|(place, column)| {
        let mut span: Option<(Bound, Bound)> = None;
        for group in groups {
            let statistics = group.column(place).statistics()?;
            if statistics.null_count_opt() == Some(group.num_rows().unsigned_abs()) {
                continue;
            }
            if !statistics.min_is_exact() || !statistics.max_is_exact() {
                return None;
            }
            let bound = |bytes: &[u8]| match column.of {
                Type::Time => Some(Bound::Time(i64::from_le_bytes(bytes.try_into().ok()?))),
                Type::Text if place < COMMON.len() => {
                    Some(Bound::Text(std::str::from_utf8(bytes).ok()?.into()))
                }
                _ => None,
            };
            let (min, max) = (bound(statistics.min_bytes_opt()?)?, bound(statistics.max_bytes_opt()?)?);
            span = Some(match span {
                Some((least, greatest)) => (least.min(min), greatest.max(max)),
                None => (min, max),
            });
        }
        let (min, max) = span?;
        Some(Span { column: column.name.as_str().into(), min, max })
    });
    spans.collect()
}
