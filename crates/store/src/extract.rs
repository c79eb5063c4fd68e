//! Rows as other programs take them: a stream of Arrow, or one Parquet file.

use crate::file::{QUICK, properties};
use crate::reader::{Query, Reader};
use crate::seal::BATCH_ROWS;
use crate::table::{Definitions, Rows, Table};
use crate::{Error, Result};
use arrow_array::RecordBatch;
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
    /// those of the files. It gives how many events were written.
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
        let range = self.range(Query { tables: vec![table], ..query })?;
        let range = range.take(usize::try_from(events_max).unwrap_or(usize::MAX));
        let mut count = 0;
        let batches = Batches::new(table, range.inspect(|_| count += 1));
        write(form, table, &table.schema(), batches, out)?;
        Ok(count)
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
        for batch in Batches::new(table, fresh.iter().map(|published| Ok(Arc::clone(published)))) {
            writer.write(&batch?).map_err(other)?;
        }
        writer.into_inner().map_err(other)
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

/// Events as batches of rows.
struct Batches<I> {
    table: Table,
    events: I,
    definitions: Definitions,
}

impl<I: Iterator<Item = Result<Arc<Published>>>> Batches<I> {
    fn new(table: Table, events: I) -> Self {
        Self { table, events, definitions: Definitions::default() }
    }
}

impl<I: Iterator<Item = Result<Arc<Published>>>> Iterator for Batches<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rows = Rows::new(self.table);
        while rows.len() < BATCH_ROWS
            && let Some(published) = self.events.next()
        {
            match published {
                Ok(published) => rows.push(&published, &mut self.definitions),
                Err(error) => return Some(Err(error)),
            }
        }
        (rows.len() > 0).then(|| Ok(rows.finish()))
    }
}
