//! Rows as other programs take them: a stream of Arrow, or one Parquet file.

use crate::file::{QUICK, properties};
use crate::reader::{Query, Reader};
use crate::table::{InRows, Table};
use crate::{Error, Result};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt64Type;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use bus::Published;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use std::io::{self, Write};
use std::sync::Arc;

/// A form of whole columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columnar {
    /// Arrow IPC, as a stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

/// Why nothing more is written.
fn failed(source: io::Error) -> Error {
    Error::Disk { doing: "write to", path: "the one who asked".into(), source }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    failed(io::Error::other(error))
}

impl Reader {
    /// Writes the rows of one table, in the order of the bus, while they are read; at most so many events. The columns are
    /// those of the files but for `definition`. It gives how many events were written.
    ///
    /// # Errors
    /// [`Error`] where something does not read, or `out` takes nothing more.
    pub fn extract(
        &self,
        query: Query,
        form: Columnar,
        events_max: u64,
        out: impl Write + Send,
    ) -> Result<u64> {
        let Some(table) = query.tables.first().copied() else { return Ok(0) };
        let scan = self.scan(query, &[])?;
        let (schema, mut count) = (scan.schema(), Count { events: 0, last: None });
        let batches = scan.map_while(|batch| match batch {
            Ok(batch) => {
                let batch = count.take(&batch, events_max);
                (batch.num_rows() > 0).then_some(Ok(batch))
            }
            Err(error) => Some(Err(error)),
        });
        write(form, table, &schema, batches, out)?;
        Ok(count.events)
    }

    /// Writes trades with their quotes while they are read, in the order of time; at most about so many. The columns are
    /// those of [`Reader::trades_with_quotes`].
    ///
    /// # Errors
    /// As [`Reader::extract`].
    pub fn extract_with_quotes(
        &self,
        query: &Query,
        form: Columnar,
        trades_max: u64,
        out: impl Write + Send,
    ) -> Result<()> {
        let joined = self.trades_with_quotes(query, &[])?;
        let schema = joined.schema();
        let mut left = usize::try_from(trades_max).unwrap_or(usize::MAX);
        let batches = joined.map_while(|batch| {
            let batch = batch.map(|batch| batch.slice(0, left.min(batch.num_rows())));
            left -= batch.as_ref().map_or(0, RecordBatch::num_rows);
            batch.as_ref().map_or(true, |batch| batch.num_rows() > 0).then_some(batch)
        });
        write(form, Table::Trades, &schema, batches, out)
    }

    /// The rows of a table that stand in no file, as a stream of Arrow; where there are none it says the columns.
    ///
    /// # Errors
    /// [`Error`] where log or catalogue does not read.
    pub(crate) fn fresh_stream(table: Table, fresh: &[Arc<Published>]) -> Result<Vec<u8>> {
        let mut writer = StreamWriter::try_new(Vec::new(), &table.schema()).map_err(other)?;
        for batch in InRows::new(table, fresh.iter().map(|published| Ok(Arc::clone(published)))) {
            writer.write(&batch?).map_err(other)?;
        }
        writer.into_inner().map_err(other)
    }
}

/// Counts the events that rows are of.
struct Count {
    events: u64,
    last: Option<(u64, u64)>,
}

impl Count {
    /// The rows of the first events, at most so many with those of before.
    fn take(&mut self, batch: &RecordBatch, events_max: u64) -> RecordBatch {
        let number = |name| batch.column_by_name(name).and_then(|it| it.as_primitive_opt::<UInt64Type>());
        let (Some(epochs), Some(numbers)) = (number("epoch"), number("number")) else {
            return batch.slice(0, 0);
        };
        for (row, cursor) in epochs.values().iter().copied().zip(numbers.values().iter().copied()).enumerate()
        {
            if self.last != Some(cursor) {
                if self.events == events_max {
                    return batch.slice(0, row);
                }
                (self.events, self.last) = (self.events + 1, Some(cursor));
            }
        }
        batch.clone()
    }
}

/// Writes batches of a table's columns and perhaps more.
fn write(
    form: Columnar,
    table: Table,
    schema: &SchemaRef,
    mut batches: impl Iterator<Item = Result<RecordBatch>>,
    out: impl Write + Send,
) -> Result<()> {
    match form {
        Columnar::Arrow => {
            let mut writer = StreamWriter::try_new_buffered(out, schema).map_err(other)?;
            batches.try_for_each(|batch| writer.write(&batch?).map_err(other))?;
            writer.finish().map_err(other)?;
            writer.into_inner().map_err(other)?.flush().map_err(failed)
        }
        Columnar::Parquet => {
            let options = ArrowWriterOptions::new()
                .with_properties(properties(table, QUICK).map_err(other)?)
                .with_skip_arrow_metadata(true);
            let mut writer =
                ArrowWriter::try_new_with_options(out, Arc::clone(schema), options).map_err(other)?;
            batches.try_for_each(|batch| writer.write(&batch?).map_err(other))?;
            writer.close().map(drop).map_err(other)
        }
    }
}
