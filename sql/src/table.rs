//! A table: rows in files and rows that are in none yet, as one.

use crate::fault;
use crate::file::{Known, Opened, Readers};
use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics, project_schema};
use datafusion::datasource::TableType;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use query::{Away, Bound, Kind, Problem};
use std::sync::Arc;

/// Files and rows of one name.
#[derive(Debug)]
pub struct Table {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    summary: Arc<Statistics>,
    hot: Vec<RecordBatch>,
}

impl Table {
    /// Puts files and rows together. A column that only some of them have is null in the others; one that has two types is a
    /// fault of the file.
    pub fn new(
        name: &str,
        files: &[Arc<Opened>],
        hot: Option<(SchemaRef, Vec<RecordBatch>)>,
    ) -> std::result::Result<Self, Problem> {
        let mut fields: Vec<Field> = Vec::new();
        let (hot_schema, hot) = hot.unzip();
        for field in hot_schema.iter().flat_map(|schema| schema.fields()) {
            add(&mut fields, field)?;
        }
        for file in files {
            let Some(Known::Footer(footer)) = file.known() else { continue };
            let of = footer.file_metadata();
            let schema = parquet_to_arrow_schema(of.schema_descr(), of.key_value_metadata());
            let schema = schema.map_err(|e| in_file(file, &e.to_string()))?;
            for field in schema.fields() {
                add(&mut fields, field).map_err(|problem| in_file(file, &problem.message))?;
            }
        }
        if fields.is_empty() {
            let message = format!("table `{name}` has neither files nor rows that say its columns");
            return Err(fault::problem(Kind::Request, message));
        }
        let schema = Arc::new(Schema::new(fields));
        let hot = hot
            .unwrap_or_default()
            .iter()
            .map(|batch| widened(batch, &schema))
            .collect::<std::result::Result<_, _>>();
        let hot = hot.map_err(|e| fault::problem(Kind::Request, format!("hot rows of `{name}`: {e}")))?;
        let mut scanned = Vec::new();
        for file in files {
            scanned.push(scan_of(file, &schema).map_err(|e| in_file(file, &e.strip_backtrace()))?);
        }
        let each = scanned.iter().filter_map(|file| file.statistics.as_deref());
        let summary = Statistics::try_merge_iter(each, &schema);
        let summary = summary.map_err(|e| fault::problem(Kind::Internal, e.strip_backtrace()))?;
        Ok(Self { schema, files: scanned, summary: Arc::new(summary), hot })
    }

    fn files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = ParquetSource::new(TableSchema::from(Arc::clone(&self.schema)))
            .with_parquet_file_reader_factory(Arc::new(Readers))
            .with_pushdown_filters(true)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        let groups = FileGroup::new(self.files.clone()).split_files(session.config().target_partitions());
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.summary.as_ref().clone())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit);
        Ok(DataSourceExec::from_data_source(scan.build()))
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters choose files, row groups and pages; the optimizer gives them to the scan, which then carries them out.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.files.is_empty() {
            parts.push(self.files(session, projection, limit)?);
        }
        if !self.hot.is_empty() {
            let hot = std::slice::from_ref(&self.hot);
            parts.push(MemorySourceConfig::try_new_exec(hot, Arc::clone(&self.schema), projection.cloned())?);
        }
        if parts.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
        }
        UnionExec::try_new(parts)
    }
}

fn in_file(file: &Opened, why: &str) -> Problem {
    fault::problem(Kind::File, format!("file `{}` cannot be read: {why}", file.path().display()))
}

fn add(fields: &mut Vec<Field>, field: &Field) -> std::result::Result<(), Problem> {
    let is = plain(field.data_type());
    match fields.iter().find(|f| f.name() == field.name()) {
        Some(known) if known.data_type() == is => Ok(()),
        Some(known) => {
            let (name, was) = (field.name(), known.data_type());
            Err(fault::problem(Kind::Request, format!("its column `{name}` is {is}, elsewhere {was}")))
        }
        None => {
            fields.push(Field::new(field.name(), is.clone(), true));
            Ok(())
        }
    }
}

/// A type without its dictionary: that is a form of the rows at hand, and a file has another one or none.
fn plain(of: &DataType) -> &DataType {
    match of {
        DataType::Dictionary(_, value) => plain(value),
        other => other,
    }
}

fn widened(batch: &RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<std::result::Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// A file as the scan takes it, with what is known of it.
fn scan_of(file: &Arc<Opened>, schema: &SchemaRef) -> Result<PartitionedFile> {
    let statistics = match file.known() {
        Some(Known::Footer(footer)) => DFParquetMetadata::statistics_from_parquet_metadata(footer, schema)?,
        Some(Known::Told(away)) => told(away, schema),
        None => Statistics::new_unknown(schema),
    };
    let scan = PartitionedFile::new(file.path().to_string_lossy(), file.bytes());
    Ok(scan.with_statistics(Arc::new(statistics)).with_extension(Arc::clone(file)))
}

/// What the asker told of a file that is away: by this it is passed over where the filter says so, and not brought.
fn told(away: &Away, schema: &Schema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = Precision::Exact(usize::try_from(away.rows).unwrap_or(usize::MAX));
    for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
        let Some(span) = away.spans.iter().find(|span| *span.column == **field.name()) else { continue };
        if let Some((min, max)) = value(&span.min, field.data_type()).zip(value(&span.max, field.data_type()))
        {
            (column.min_value, column.max_value) = (Precision::Exact(min), Precision::Exact(max));
        }
    }
    statistics
}

fn value(bound: &Bound, of: &DataType) -> Option<ScalarValue> {
    match (bound, of) {
        (Bound::Time(at), DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            Some(ScalarValue::TimestampNanosecond(Some(*at), None))
        }
        (Bound::Text(text), DataType::Utf8) => Some(ScalarValue::Utf8(Some(text.to_string()))),
        _ => None,
    }
}
