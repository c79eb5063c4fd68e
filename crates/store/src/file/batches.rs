//! Rows as they come out of a file.

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::take::take;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::file::statistics::Statistics;
use std::sync::Arc;

/// Rows that are read. A column that has one value is made, not read: most have one in a run of one instrument.
pub(crate) struct Batches {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// Of each column its only value, as often as it was asked for so far.
    constants: Vec<Option<ArrayRef>>,
}

impl Batches {
    pub(super) const fn new(
        reader: ParquetRecordBatchReader,
        schema: SchemaRef,
        constants: Vec<Option<ArrayRef>>,
    ) -> Self {
        Self { reader, schema, constants }
    }

    fn whole(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let (rows, mut read) = (batch.num_rows(), batch.columns().iter());
        let columns = self.constants.iter_mut().map(|constant| {
            let Some(constant) = constant else {
                let missing = || ArrowError::SchemaError("a column was not read".to_owned());
                return read.next().map(Arc::clone).ok_or_else(missing);
            };
            if constant.len() < rows {
                *constant = take(&**constant, &UInt32Array::from_value(0, rows), None)?;
            }
            Ok(constant.slice(0, rows))
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.and_then(|batch| self.whole(&batch)))
    }
}

/// The only value of a column, once, by its statistics; `None` where there are several, or they do not say. Of doubles they
/// do not: what is not a number is not in them.
pub(super) fn constant(statistics: &Statistics, rows: u64, of: &DataType) -> Option<ArrayRef> {
    match statistics.null_count_opt()? {
        0 => {}
        nulls => return (nulls == rows).then(|| new_null_array(of, 1)),
    }
    if !statistics.min_is_exact() || !statistics.max_is_exact() {
        return None;
    }
    let bytes = statistics.min_bytes_opt()?;
    if Some(bytes) != statistics.max_bytes_opt() {
        return None;
    }
    Some(match of {
        DataType::Dictionary(..) => {
            let words = Arc::new(StringArray::from(vec![std::str::from_utf8(bytes).ok()?]));
            Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0]), words).ok()?)
        }
        DataType::UInt16 => {
            let value = u32::from_le_bytes(bytes.try_into().ok()?);
            Arc::new(UInt16Array::from(vec![u16::try_from(value).ok()?]))
        }
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![u32::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::UInt64 => Arc::new(UInt64Array::from(vec![u64::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![i64::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::Timestamp(..) => {
            Arc::new(TimestampNanosecondArray::from(vec![i64::from_le_bytes(bytes.try_into().ok()?)]))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Type;
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;
    use parquet::data_type::ByteArray;

    fn of(statistics: &Statistics, kind: Type) -> Option<ArrayRef> {
        constant(statistics, 3, &kind.arrow())
    }

    #[test]
    fn statistics_tell_the_only_value_of_a_column() {
        let number = |min: i64, max: i64, nulls| Statistics::int64(Some(min), Some(max), None, nulls, false);
        let text = |min: &str, max: &str| {
            Statistics::byte_array(Some(min.into()), Some(ByteArray::from(max)), None, Some(0), false)
        };
        let found = of(&text("okx", "okx"), Type::Text).unwrap();
        let words = found.as_dictionary::<Int32Type>();
        assert_eq!(
            (words.keys().values().to_vec(), words.values().as_string::<i32>().value(0)),
            (vec![0], "okx")
        );
        assert_eq!(
            &*of(&number(7, 7, Some(0)), Type::Time).unwrap(),
            &TimestampNanosecondArray::from(vec![7]) as &dyn arrow_array::Array
        );
        let largest = of(&number(-1, -1, Some(0)), Type::U64).unwrap();
        assert_eq!(&*largest, &UInt64Array::from(vec![u64::MAX]) as &dyn arrow_array::Array);
        assert_eq!(of(&number(7, 7, Some(3)), Type::I64).unwrap().null_count(), 1, "all are null");
        for (statistics, kind) in [
            (number(7, 8, Some(0)), Type::I64),
            (number(7, 7, Some(1)), Type::I64),
            (number(7, 7, None), Type::I64),
            (text("a", "b"), Type::Text),
            (Statistics::double(Some(1.0), Some(1.0), None, Some(0), false), Type::Number),
        ] {
            assert_eq!(of(&statistics, kind).map(|it| it.len()), None, "{statistics}");
        }
        let mut cut = parquet::file::statistics::ValueStatistics::new(
            Some(ByteArray::from("a")),
            Some(ByteArray::from("a")),
            None,
            Some(0),
            false,
        );
        cut = cut.with_max_is_exact(false);
        assert_eq!(
            of(&Statistics::ByteArray(cut), Type::Text).map(|it| it.len()),
            None,
            "the statistics were cut off"
        );
    }
}
