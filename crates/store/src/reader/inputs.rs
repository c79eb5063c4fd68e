//! Tables as a SQL query is handed them.

use super::Reader;
use crate::file::CHUNK;
use crate::ledger::{Row, Wanted};
use crate::sql::{Cold, Error, Input, Inputs, Kind, Problem};
use crate::table::Table;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use hashbrown::HashMap;
use model::Ts;
use query::{Away, File, Summed};
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
            inputs.push(Input { name: COMPLETENESS.to_owned(), files: Vec::new(), hot, ..Input::default() });
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
        let room = state.place.as_ref().map_or(0, |place| place.cache_bytes);
        let input = |table: &Table| {
            let mut cold = HashMap::new();
            let files = state.files.values().filter(|file| file.table == *table).map(|file| {
                let path = self.manifest.dir().join(&*file.path);
                let is_cold = state.cold.contains(&file.id);
                if is_cold {
                    cold.insert(path.clone(), Cold::new(&self.library, file));
                }
                File::Summed(Summed {
                    path,
                    bytes: file.bytes,
                    block_bytes: CHUNK,
                    crc32: file.chunks.clone(),
                    away: is_cold.then(|| Away { rows: file.rows, spans: file.spans.clone() }),
                })
            });
            let files = files.collect();
            let fresh: Vec<_> =
                fresh.iter().filter(|it| Table::of(&it.event.body) == *table).cloned().collect();
            let hot = Self::fresh_stream(*table, &fresh)?;
            Ok(Input { name: table.name().to_owned(), files, hot, cold, room })
        };
        tables.iter().map(input).collect()
    }
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
