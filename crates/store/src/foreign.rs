//! Parquet files of others, or those that [`Reader::extract`](crate::Reader::extract) writes, as rows of text.
//!
//! Whole numbers and decimals are text exactly; a float is the shortest text that gives it again; a time is whole
//! nanoseconds since 1970 with `ns` behind them; nothing is an empty text.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::io;
use std::path::Path;

/// How many rows are read at once.
const BATCH_ROWS: usize = 8_192;

/// A Parquet file that is read.
pub struct Foreign {
    /// The names of its columns.
    pub header: Vec<String>,
    /// How many rows it has, as it says.
    pub rows: u64,
    reader: ParquetRecordBatchReader,
}

impl Foreign {
    /// Opens a file.
    ///
    /// # Errors
    /// Where it cannot be read or is no Parquet file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let header = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        Ok(Self { header, rows, reader: builder.with_batch_size(BATCH_ROWS).build()? })
    }
}

/// Rows, each with a text for every column.
impl Iterator for Foreign {
    type Item = io::Result<Vec<Vec<String>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
        };
        let mut rows = vec![Vec::with_capacity(self.header.len()); batch.num_rows()];
        for (array, name) in batch.columns().iter().zip(&self.header) {
            let Some(texts) = texts(array) else {
                let words = format!("column `{name}` has a type that is not read: {}", array.data_type());
                return Some(Err(io::Error::new(io::ErrorKind::InvalidData, words)));
            };
            for (row, text) in rows.iter_mut().zip(texts) {
                row.push(text);
            }
        }
        Some(Ok(rows))
    }
}

/// A text for each row; `None` where the type has none.
fn texts(array: &ArrayRef) -> Option<Vec<String>> {
    macro_rules! plain {
        ($of:ty) => {
            array
                .as_primitive_opt::<$of>()?
                .iter()
                .map(|v| v.map_or_else(String::new, |v| v.to_string()))
                .collect()
        };
    }
    macro_rules! time {
        ($of:ty, $ns:literal) => {{
            let ns = |v: i64| {
                v.checked_mul($ns).map_or_else(|| "beyond all times".to_owned(), |ns| format!("{ns}ns"))
            };
            array.as_primitive_opt::<$of>()?.iter().map(|v| v.map_or_else(String::new, ns)).collect()
        }};
    }
    let whole = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Some(match array.data_type() {
        DataType::Null => vec![String::new(); array.len()],
        DataType::Boolean => {
            array.as_boolean().iter().map(|v| v.map_or_else(String::new, |v| v.to_string())).collect()
        }
        DataType::Int8 => plain!(Int8Type),
        DataType::Int16 => plain!(Int16Type),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::UInt8 => plain!(UInt8Type),
        DataType::UInt16 => plain!(UInt16Type),
        DataType::UInt32 => plain!(UInt32Type),
        DataType::UInt64 => plain!(UInt64Type),
        DataType::Float32 => plain!(Float32Type),
        DataType::Float64 => plain!(Float64Type),
        DataType::Decimal128(..) => {
            let decimals = array.as_primitive_opt::<arrow_array::types::Decimal128Type>()?;
            let text =
                |row| if decimals.is_valid(row) { decimals.value_as_string(row) } else { String::new() };
            (0..decimals.len()).map(text).collect()
        }
        DataType::Timestamp(TimeUnit::Second, _) => time!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => time!(TimestampMillisecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => time!(TimestampMicrosecondType, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => time!(TimestampNanosecondType, 1),
        DataType::Utf8 => array.as_string_opt::<i32>()?.iter().map(whole).collect(),
        DataType::LargeUtf8 => array.as_string_opt::<i64>()?.iter().map(whole).collect(),
        DataType::Utf8View => array.as_string_view_opt()?.iter().map(whole).collect(),
        DataType::Dictionary(_, _) => {
            let keys = array.as_any_dictionary_opt()?;
            let words = texts(keys.values())?;
            if words.is_empty() {
                return Some(vec![String::new(); array.len()]);
            }
            let word = |(row, key): (usize, usize)| {
                if keys.is_null(row) { String::new() } else { words.get(key).cloned().unwrap_or_default() }
            };
            keys.normalized_keys().into_iter().enumerate().map(word).collect()
        }
        _ => return None,
    })
}
