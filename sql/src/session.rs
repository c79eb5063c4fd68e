//! What one query sees: its tables, their views, its limits.

use crate::fault;
use crate::file::Opened;
use crate::table::Table;
use crate::wants::Wants;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider, view::ViewTable};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use query::{Kind, Limits, Problem};
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// How many threads a query uses, and into how many parts its rows are divided: few, since it is not alone on its host.
pub const THREADS: usize = 2;
/// The stack of each of them: an expression takes some of it for each level.
pub const STACK_BYTES: usize = 8 << 20;
/// How many of the parts that hold most memory an error names.
const NAMED: NonZeroUsize = NonZeroUsize::MIN;
/// When rows became known: every table of events has it.
const PUBLISHED: &str = "ts_pub";
/// The newest row of each start of the closed bars of a minute.
const BARS_1M: &str = "SELECT * EXCLUDE (newest) FROM (SELECT *, row_number() OVER (PARTITION BY source, exchange, \
     product, symbol, instrument, channel, start ORDER BY epoch DESC, number DESC) AS newest FROM bars \
     WHERE \"interval\" = '1m' AND closed) WHERE newest = 1";
const COMPLETENESS: &str = "completeness";

/// The engine of one query.
pub struct Session {
    /// Where it is planned and runs.
    pub context: SessionContext,
    /// Every file of every table.
    pub files: Vec<Arc<Opened>>,
    /// What rows without a file take.
    held: MemoryReservation,
    wants: Arc<Wants>,
}

impl Session {
    /// An engine with limits, and with no table yet.
    pub fn new(limits: &Limits, temp: &Path, wants: Arc<Wants>) -> Result<Self> {
        let mut config = SessionConfig::new().with_target_partitions(THREADS);
        config.options_mut().sql_parser.collect_spans = true;
        let pool = FairSpillPool::new(usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX));
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(pool, NAMED));
        let disk = DiskManager::builder()
            .with_mode(DiskManagerMode::Directories(vec![temp.to_owned()]))
            .with_max_temp_directory_size(limits.temp_bytes);
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).with_disk_manager_builder(disk);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.build_arc()?)
            .with_default_features();
        let held = MemoryConsumer::new("rows that are in no file").register(&pool);
        Ok(Self { context: SessionContext::new_with_state(state.build()), files: Vec::new(), held, wants })
    }

    /// Adds a table; its rows without a file are read from `input`. Rows that became known after `known_at` are not there.
    pub fn table(
        &mut self,
        of: &query::Table,
        known_at: Option<i64>,
        limits: &Limits,
        input: &mut impl Read,
    ) -> std::result::Result<(), Problem> {
        let opened = of.files.iter().map(|file| Opened::open(file, &self.wants).map(Arc::new));
        let files: Vec<Arc<Opened>> = opened.collect::<std::result::Result<_, _>>()?;
        self.held
            .try_grow(usize::try_from(of.hot_bytes).unwrap_or(usize::MAX))
            .map_err(|e| fault::running(&e, limits))?;
        let hot = if of.hot_bytes == 0 { None } else { Some(rows(&of.name, &mut input.take(of.hot_bytes))?) };
        let table = Arc::new(Table::new(&of.name, &files, hot)?);
        self.files.extend(files);
        let table = match known_at {
            Some(at) => known(&of.name, table, at)?,
            None => table,
        };
        let registered = self.context.register_table(of.name.as_str(), table);
        registered.map(|_| ()).map_err(|e| fault::problem(Kind::Request, e.strip_backtrace()))
    }

    /// Adds what follows from the tables.
    pub async fn views(&self, tables: &[query::Table]) -> std::result::Result<(), Problem> {
        let wrong =
            |e: datafusion::error::DataFusionError| fault::problem(Kind::Request, e.strip_backtrace());
        if tables.iter().any(|table| table.name == "bars") {
            let plan = self.context.state().create_logical_plan(BARS_1M).await.map_err(wrong)?;
            self.context.register_table("bars_1m", Arc::new(ViewTable::new(plan, None))).map_err(wrong)?;
        }
        if tables.iter().any(|table| table.name == COMPLETENESS) {
            let table = self.context.table_provider(COMPLETENESS).await.map_err(wrong)?;
            self.context.register_udtf(COMPLETENESS, Arc::new(Completeness(table)));
        }
        Ok(())
    }
}

/// Rows that are in no file: an Arrow IPC stream.
fn rows(name: &str, input: &mut impl Read) -> std::result::Result<(SchemaRef, Vec<RecordBatch>), Problem> {
    let wrong = |e| fault::problem(Kind::Request, format!("hot rows of `{name}`: {e}"));
    let mut reader = StreamReader::try_new(&mut *input, None).map_err(wrong)?;
    let batches = reader.by_ref().collect::<std::result::Result<_, _>>().map_err(wrong)?;
    let schema = reader.schema();
    drop(reader);
    std::io::copy(input, &mut std::io::sink()).map_err(|e| wrong(e.into()))?;
    Ok((schema, batches))
}

/// A table as it was known at an instant.
fn known(name: &str, table: Arc<Table>, at: i64) -> std::result::Result<Arc<dyn TableProvider>, Problem> {
    let schema = table.schema();
    let published = schema.field_with_name(PUBLISHED).map(|field| field.data_type().clone());
    if !matches!(published, Ok(DataType::Timestamp(TimeUnit::Nanosecond, None))) {
        let message =
            format!("table `{name}` does not say when its rows became known: it cannot be asked AS KNOWN AT");
        return Err(fault::problem(Kind::Plan, message));
    }
    let at = lit(ScalarValue::TimestampNanosecond(Some(at), None));
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)
        .and_then(|scan| scan.filter(col(PUBLISHED).lt_eq(at)))
        .and_then(LogicalPlanBuilder::build);
    plan.map(|plan| Arc::new(ViewTable::new(plan, None)) as Arc<dyn TableProvider>)
        .map_err(|e| fault::planning(&e))
}

/// `completeness()`, `completeness(instrument or symbol)`, `completeness(instrument or symbol, channel)`.
#[derive(Debug)]
struct Completeness(Arc<dyn TableProvider>);

impl TableFunctionImpl for Completeness {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut words = Vec::new();
        for expr in args.exprs() {
            match expr {
                Expr::Literal(ScalarValue::Utf8(Some(word)), _) => words.push(word.as_str()),
                Expr::Literal(ScalarValue::Null | ScalarValue::Utf8(None), _) => words.push(""),
                other => return plan_err!("completeness takes texts, not {other}"),
            }
        }
        let mut plan = LogicalPlanBuilder::scan(COMPLETENESS, provider_as_source(Arc::clone(&self.0)), None)?;
        let (name, channel) = match words.as_slice() {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, channel] => (*name, *channel),
            more => {
                return plan_err!(
                    "completeness takes an instrument or symbol, and a channel; not {} texts",
                    more.len()
                );
            }
        };
        if !name.is_empty() {
            plan = plan.filter(col("instrument").eq(lit(name)).or(col("symbol").eq(lit(name))))?;
        }
        if !channel.is_empty() {
            plan = plan.filter(col("channel").eq(lit(channel)))?;
        }
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}
