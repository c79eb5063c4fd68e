//! Rows in the form that was asked for.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use datafusion::arrow::{csv, json};
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use query::{Column, End, Format};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// How many rows stand together in a Parquet file that is given: it is made in memory.
const PARQUET_ROWS: usize = 100_000;

/// Writes batches in one form.
pub struct Rows {
    form: Form,
    out: Sink,
}

enum Form {
    Arrow(Box<StreamWriter<Sink>>),
    Csv(Box<csv::Writer<Sink>>),
    Json(Box<json::ArrayWriter<Sink>>),
    Parquet(Box<ArrowWriter<Sink>>),
    Table(SchemaRef, Vec<RecordBatch>),
}

impl Rows {
    /// Begins.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self> {
        let out = Sink::default();
        let form = match format {
            Format::Arrow => Form::Arrow(Box::new(StreamWriter::try_new(out.clone(), schema)?)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out.clone());
                // The names of the columns stand there also where no row follows.
                writer.write(&RecordBatch::new_empty(Arc::clone(schema)))?;
                Form::Csv(Box::new(writer))
            }
            Format::Json => {
                let columns = serde_json::to_string(&columns(schema)).map_err(io::Error::from)?;
                write!(out.clone(), "{{\"columns\":{columns},\"rows\":")?;
                let all = json::WriterBuilder::new().with_explicit_nulls(true);
                Form::Json(Box::new(all.build::<_, json::writer::JsonArray>(out.clone())))
            }
            Format::Parquet => {
                let zstd = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(PARQUET_ROWS));
                let bare = Arc::new(Schema::new(schema.fields().clone()));
                Form::Parquet(Box::new(ArrowWriter::try_new(out.clone(), bare, Some(zstd.build()))?))
            }
            Format::Table => Form::Table(Arc::clone(schema), Vec::new()),
        };
        Ok(Self { form, out })
    }

    /// Whether batches are kept until the end.
    pub fn keeps(&self) -> bool {
        matches!(self.form, Form::Table(..))
    }

    /// Takes some rows; gives what there is to send.
    pub fn batch(&mut self, batch: RecordBatch) -> Result<Vec<u8>> {
        match &mut self.form {
            Form::Arrow(writer) => writer.write(&batch)?,
            Form::Csv(writer) => writer.write(&batch)?,
            Form::Json(writer) => writer.write(&batch)?,
            Form::Parquet(writer) => writer.write(&batch)?,
            Form::Table(_, batches) => batches.push(batch),
        }
        Ok(self.out.take())
    }

    /// Ends; gives what is left to send. Below a table for people stands how many rows it has.
    pub fn end(self, end: End) -> Result<Vec<u8>> {
        let Self { form, out } = self;
        match form {
            Form::Arrow(mut writer) => writer.finish()?,
            Form::Csv(_) => {}
            Form::Json(mut writer) => {
                writer.finish()?;
                write!(out.clone(), ",\"count\":{},\"cut\":{}}}", end.rows, end.cut)?;
            }
            Form::Parquet(writer) => {
                writer.close()?;
            }
            Form::Table(schema, batches) => {
                let text = pretty_format_batches_with_schema(schema, &batches)?;
                let rows = if end.rows == 1 { "row" } else { "rows" };
                let more = if end.cut { "; there are more" } else { "" };
                writeln!(out.clone(), "{text}\n{} {rows}{more}", end.rows)?;
            }
        }
        Ok(out.take())
    }
}

/// The columns of an answer.
pub fn columns(schema: &SchemaRef) -> Vec<Column> {
    let column = |field: &FieldRef| Column {
        name: field.name().clone(),
        kind: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

/// Bytes that were written and not yet taken.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
