//! Rows of one table as columns, in the order of the bus.

use super::ahead::Ahead;
use super::lane::moments;
use super::piece::{Decoded, Piece};
use super::{Query, Range, Reader};
use crate::manifest::{FileMeta, Run, State};
use crate::table::{InRows, Table};
use crate::{Error, Result};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use bus::{Cursor, Published};
use model::Ts;
use std::sync::Arc;

/// What it needs to know whether a row is wanted.
const NEEDED: [&str; 6] = ["epoch", "number", "flags", "ts_event", "ts_recv", "ts_pub"];
/// A column that means nothing outside of its file.
pub(super) const OF_FILE: &str = "definition";

/// Batches of rows. After an error it goes on without what does not read.
pub struct Scan {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl Scan {
    pub(super) fn new(
        schema: SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Self {
        Self { schema, batches: Box::new(batches) }
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

impl Reader {
    /// The rows of the first table of a query, in the order of the bus, with the columns that are asked for in the order of
    /// the table; of none, all that mean something outside of a file. Rows of one source and instrument go from file to
    /// columns on several threads; where several are asked for, they are put in order as events.
    ///
    /// # Errors
    /// [`Error`] where log or catalogue does not read; of a file that does not, when its rows are due.
    pub fn scan(&self, query: Query, columns: &[&str]) -> Result<Scan> {
        let table = query.tables.first().copied().unwrap_or(Table::Trades);
        let query = Query { tables: query.tables.into_iter().take(1).collect(), ..query };
        let wanted = |name: &str| {
            if columns.is_empty() { name != OF_FILE } else { columns.contains(&name) }
        };
        let places = |wanted: &dyn Fn(&str) -> bool| -> Vec<usize> {
            let names = table.columns().iter().enumerate();
            names.filter(|(_, column)| wanted(&column.name)).map(|(place, _)| place).collect()
        };
        let out = places(&wanted);
        let all = table.schema();
        let schema: SchemaRef = all.project(&out).unwrap_or_else(|_| (*all).clone()).into();
        let (state, fresh) = self.fresh(|it| query.wants(it), &query.tables, &query.instruments)?;
        let Some(pieces) = one_after_another(&query, table, &state, &fresh) else {
            let range = Range::new(self.clone(), query, &state, fresh);
            let batches = InRows::new(table, range).map(move |batch| projected(batch, &out));
            return Ok(Scan::new(schema, batches));
        };
        let read = places(&|name| wanted(name) || NEEDED.contains(&name));
        let work = Work { reader: self.clone(), query, schema: Arc::clone(&schema), read };
        let files = Ahead::new(pieces, move |piece| work.piece(piece)).flatten();
        let fresh = InRows::new(table, fresh.into_iter().map(Ok));
        Ok(Scan::new(schema, files.chain(fresh.map(move |batch| projected(batch, &out)))))
    }
}

/// What is to be read of files, where their runs and what is in no file come one after the other on the bus.
fn one_after_another(
    query: &Query,
    table: Table,
    state: &State,
    fresh: &[Arc<Published>],
) -> Option<Vec<Piece>> {
    let mut runs: Vec<(&Arc<FileMeta>, &Run)> = Vec::new();
    for file in state.files.values().filter(|file| file.table == table) {
        runs.extend(file.runs.iter().filter(|run| query.wants_run(run)).map(|run| (file, run)));
    }
    runs.sort_by_key(|(_, run)| run.first);
    let firsts = runs.iter().skip(1).map(|(_, run)| run.first);
    let firsts = firsts.chain(fresh.first().map(|published| published.cursor));
    let ordered = runs.iter().zip(firsts).all(|((_, run), next)| run.last < next);
    ordered.then(|| runs.into_iter().flat_map(|(file, run)| Piece::of(file, run)).collect())
}

fn projected(batch: Result<RecordBatch>, places: &[usize]) -> Result<RecordBatch> {
    let failed =
        |e: arrow_schema::ArrowError| Error::Damaged { path: "rows of events".into(), what: e.to_string() };
    batch?.project(places).map_err(failed)
}

/// Reads pieces.
struct Work {
    reader: Reader,
    query: Query,
    schema: SchemaRef,
    /// The places of what is read.
    read: Vec<usize>,
}

impl Work {
    fn piece(&self, piece: &Piece) -> Vec<Result<RecordBatch>> {
        let Decoded { path, batches, .. } =
            match piece.decode(&self.reader, &self.read, |_| self.query.from..self.query.to) {
                Ok(decoded) => decoded,
                Err(error) => return vec![Err(error)],
            };
        let taken = batches.iter().map(|batch| {
            let damaged = || Error::Damaged { path: path.clone(), what: "its columns are others".to_owned() };
            self.take(batch).ok_or_else(damaged)
        });
        taken.filter(|batch| batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)).collect()
    }

    /// Those rows that are wanted; `None` where the columns are others.
    fn take(&self, batch: &RecordBatch) -> Option<RecordBatch> {
        let Query { from, to, known_at, after, .. } = self.query;
        let column = |name: &str| batch.column_by_name(name);
        let number = |name: &str| Some(column(name)?.as_primitive_opt::<UInt64Type>()?.values());
        let (epochs, numbers) = (number("epoch")?, number("number")?);
        let known = column("ts_pub")?.as_primitive_opt::<TimestampNanosecondType>()?.values();
        let mut at = Vec::new();
        moments(batch, &mut at)?;
        let cursors =
            epochs.iter().zip(numbers).map(|(epoch, number)| Cursor { epoch: *epoch, number: *number });
        let rows = at.iter().zip(known).zip(cursors);
        let wanted = rows.map(|((at, known), cursor)| {
            from.0 <= *at
                && *at < to.0
                && known_at.is_none_or(|known_at| Ts(*known) <= known_at)
                && after.is_none_or(|after| cursor > after)
        });
        let wanted: BooleanArray = wanted.map(Some).collect();
        let columns = self.schema.fields().iter().map(|field| column(field.name()).map(Arc::clone));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Option<_>>()?).ok()?;
        if wanted.true_count() == wanted.len() {
            Some(batch)
        } else {
            filter_record_batch(&batch, &wanted).ok()
        }
    }
}
