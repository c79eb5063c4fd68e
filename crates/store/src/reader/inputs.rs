//! Tables as a SQL query is handed them.

use super::Reader;
use crate::file::CHUNK;
use crate::ledger::{Row, Wanted};
use crate::manifest::{FileMeta, State};
use crate::sql::{Error, Input, Inputs, Kind, Problem};
use crate::table::Table;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use model::Ts;
use query::{File, Summed};
use std::sync::Arc;

/// The table of what is complete: of every lane every stretch since it began, see [`crate::ledger`].
const COMPLETENESS: &str = "completeness";

impl Inputs for Reader {
    fn tables(&self, names: &[String]) -> Result<Vec<Input>, Error> {
        let of_events = names.iter().filter(|name| *name != COMPLETENESS);
        let tables: Vec<Table> = of_events
            .map(|name| Table::parse(name).ok_or_else(|| unknown(name)))
            .collect::<Result<_, _>>()?;
        let mut inputs = self.of_events(&tables)?;
        if names.len() > tables.len() {
            let rows = self.coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX))?;
            let hot = completeness(&rows).and_then(|batch| stream(&batch));
            let hot = hot.map_err(|e| failed(&e))?;
            inputs.push(Input { name: COMPLETENESS.to_owned(), files: Vec::new(), hot, held: Vec::new() });
        }
        Ok(inputs)
    }
}

impl Reader {
    /// All rows of some tables, of one instant.
    fn of_events(&self, tables: &[Table]) -> Result<Vec<Input>, Error> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let (state, fresh) = self.fresh(|_| true, tables, &[])?;
        room(&state, tables)?;
        let summed = |file: &Arc<FileMeta>| {
            File::Summed(Summed {
                path: self.manifest.dir().join(&*file.path),
                bytes: file.bytes,
                block_bytes: CHUNK,
                crc32: file.chunks.clone(),
            })
        };
        let input = |table: &Table| {
            let files = || state.files.values().filter(|file| file.table == *table);
            let cold = files().filter(|file| state.cold.contains(&file.id));
            let held = cold.map(|file| self.library.hold(file)).collect::<crate::Result<_>>()?;
            let files = files().map(summed).collect();
            let fresh: Vec<_> =
                fresh.iter().filter(|it| Table::of(&it.event.body) == *table).cloned().collect();
            Ok(Input { name: table.name().to_owned(), files, hot: Self::fresh_stream(*table, &fresh)?, held })
        };
        tables.iter().map(input).collect()
    }
}

/// Whether all that a query needs of the cold tier fits here at once.
fn room(state: &State, tables: &[Table]) -> Result<(), Error> {
    let Some(place) = &state.place else { return Ok(()) };
    let cold = state.cold.iter().filter_map(|id| state.files.get(id));
    let bytes: u64 = cold.filter(|file| tables.contains(&file.table)).map(|file| file.bytes).sum();
    if bytes <= place.cache_bytes {
        return Ok(());
    }
    let message = format!(
        "the tables of this query have {bytes} bytes in the cold tier, and `store.cold.cache_bytes` is {}",
        place.cache_bytes
    );
    Err(Error::Failed(Problem { kind: Kind::File, message, position: None }))
}

fn completeness(rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let text =
        |of: fn(&Row) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<StringArray>()) };
    let number =
        |of: fn(&Row) -> Option<u64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<UInt64Array>()) };
    let time = |of: fn(&Row) -> Option<Ts>| -> ArrayRef {
        let times = rows.iter().map(|row| of(row).map(|ts| ts.0));
        Arc::new(times.collect::<TimestampNanosecondArray>())
    };
    let open: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.open)).collect::<BooleanArray>());
    let columns = [
        ("source", text(|row| Some(row.source))),
        ("exchange", text(|row| Some(&row.exchange))),
        ("product", text(|row| Some(&row.product))),
        ("symbol", text(|row| Some(&row.symbol))),
        ("instrument", text(|row| Some(&row.instrument))),
        ("channel", text(|row| Some(row.channel))),
        ("from_ts", time(|row| Some(row.from_ts))),
        ("to_ts", time(|row| Some(row.to_ts))),
        ("state", text(|row| Some(row.state))),
        ("proof", text(|row| row.proof)),
        ("cause", text(|row| row.cause)),
        ("from_seq", number(|row| row.from_seq)),
        ("to_seq", number(|row| row.to_seq)),
        ("from_epoch", number(|row| Some(row.from_cursor.epoch))),
        ("from_number", number(|row| Some(row.from_cursor.number))),
        ("to_epoch", number(|row| Some(row.to_cursor.epoch))),
        ("to_number", number(|row| Some(row.to_cursor.number))),
        ("end", text(|row| row.end)),
        ("end_ts", time(|row| row.end_ts)),
        ("events", number(|row| row.events)),
        ("why", text(|row| row.why.as_deref())),
        ("open", open),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, of)| (name, of, true)))
}

fn stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn unknown(name: &str) -> Error {
    let known: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    let message = format!("no table is called `{name}`; there are {COMPLETENESS}, {}", known.join(", "));
    Error::Failed(Problem { kind: Kind::Plan, message, position: None })
}

fn failed(why: &ArrowError) -> Error {
    let message = format!("`{COMPLETENESS}` cannot be handed over: {why}");
    Error::Failed(Problem { kind: Kind::Internal, message, position: None })
}
