//! Trades, each with the quote that stood when it happened.

use super::ahead::Ahead;
use super::lane::{Lane, Timed};
use super::scan::{OF_FILE, Scan};
use super::{Query, Reader};
use crate::table::Table;
use crate::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::{concat::concat, take::take};
use bus::Published;
use model::{Channel, Ts};
use std::ops::Range;
use std::sync::Arc;

/// About how many trades are joined at once.
const PIECE_ROWS: u64 = 1 << 17;
/// What stands beside a trade of its quote; of a file's columns.
const OF_QUOTE: [&str; 5] = ["bid_price", "bid_quantity", "ask_price", "ask_quantity", "exact"];

impl Reader {
    /// The trades of the first instrument of a query, each beside the newest quote that happened at the same time or
    /// before, by [`crate::when`]; nulls where there was none. They are of one source and one channel, single trades rather than
    /// merged ones, and the quotes are of the same source. With [`Query::known_at`] both are what was known then. `tables`
    /// and `after` say nothing here. `columns` are those of trades that are wanted; empty: all. Beside them stand `ts` (when the
    /// trade happened, by [`crate::when`]) before, and `quote_ts`, `bid_price`, `bid_quantity`, `ask_price`, `ask_quantity` and
    /// `quote_exact` after them.
    ///
    /// # Errors
    /// [`Error`] where log, catalogue or file does not read; of a file that does not, when its rows are due.
    pub fn trades_with_quotes(&self, query: &Query, columns: &[&str]) -> Result<Scan> {
        let all = Table::Trades.schema();
        let names = all.fields().iter().map(|field| field.name().as_str());
        let wanted = |name: &&str| *name != OF_FILE && (columns.is_empty() || columns.contains(name));
        let names: Vec<&str> = names.filter(wanted).collect();
        let schema = schema(&names);
        let nothing = Scan::new(Arc::clone(&schema), std::iter::empty());
        let Some(instrument) = query.instruments.first().copied() else { return Ok(nothing) };
        let fresh = |published: &Published| {
            let event = &published.event;
            [Table::Trades, Table::Quotes].contains(&Table::of(&event.body))
                && event.instrument.id == instrument
                && query.source.as_deref().is_none_or(|source| event.source == source)
        };
        let (state, fresh) = self.fresh(fresh, &[Table::Trades, Table::Quotes], &[instrument])?;
        let time = query.from..query.to;
        let best = |table, source: Option<&str>, rather, time| {
            let lane = Lane::best(&state, &fresh, table, instrument, source, rather, time);
            lane.map(|lane| lane.known_at(query.known_at))
        };
        let trades = best(Table::Trades, query.source.as_deref(), Channel::Trades, time.clone());
        let Some(trades) = trades else { return Ok(nothing) };
        let quotes = best(Table::Quotes, Some(trades.source), Channel::Quote, Ts(i64::MIN)..time.end);
        let pieces = trades.pieces(&time, PIECE_ROWS);
        let places =
            |table: Table, names: &[&str]| names.iter().filter_map(|name| table.place(name)).collect();
        let join = Join {
            reader: self.clone(),
            trades,
            quotes,
            schema: Arc::clone(&schema),
            of_trades: places(Table::Trades, &names),
            of_quotes: places(Table::Quotes, &OF_QUOTE),
        };
        Ok(Scan::new(schema, Ahead::new(pieces, move |time| join.piece(time))))
    }
}

fn schema(names: &[&str]) -> SchemaRef {
    let ts = |name, nullable| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, None), nullable);
    let (trades, quotes) = (Table::Trades.schema(), Table::Quotes.schema());
    let mut fields = vec![ts("ts", false)];
    fields.extend(names.iter().filter_map(|name| trades.field_with_name(name).ok().cloned()));
    fields.push(ts("quote_ts", true));
    for name in OF_QUOTE {
        let renamed = if name == "exact" { "quote_exact" } else { name };
        let field = quotes.field_with_name(name).ok();
        fields.extend(field.map(|field| field.clone().with_name(renamed).with_nullable(true)));
    }
    Schema::new(fields).into()
}

struct Join {
    reader: Reader,
    trades: Lane,
    quotes: Option<Lane>,
    schema: SchemaRef,
    of_trades: Vec<usize>,
    of_quotes: Vec<usize>,
}

impl Join {
    /// The trades of a time with their quotes.
    fn piece(&self, time: &Range<Ts>) -> Result<RecordBatch> {
        let trades = self.trades.between(&self.reader, time, &self.of_trades)?;
        let Some(quotes) = &self.quotes else { return self.put(trades, None) };
        let inside = quotes.between(&self.reader, time, &self.of_quotes)?;
        let earlier = trades.at.first().is_some_and(|at| inside.at.first().is_none_or(|first| at < first));
        let before =
            if earlier { quotes.last_before(&self.reader, time.start, &self.of_quotes)? } else { None };
        let quotes = match before {
            Some(before) => self.joined(after(before, inside))?,
            None => inside,
        };
        self.put(trades, Some(quotes))
    }

    fn put(&self, trades: Timed, quotes: Option<Timed>) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        let quotes = quotes.filter(|quotes| !quotes.at.is_empty());
        let places = quotes.as_ref().map(|quotes| newest(&trades.at, &quotes.at));
        columns.push(Arc::new(TimestampNanosecondArray::from(trades.at)));
        columns.extend(trades.columns);
        let rows = columns.first().map_or(0, |column| column.len());
        if let Some((quotes, places)) = quotes.zip(places) {
            let at: ArrayRef = Arc::new(TimestampNanosecondArray::from(quotes.at));
            for column in std::iter::once(&at).chain(&quotes.columns) {
                columns.push(self.joined(take(&**column, &places, None))?);
            }
        } else {
            let left = self.schema.fields().iter().skip(columns.len());
            let nulls: Vec<_> =
                left.map(|field| arrow_array::new_null_array(field.data_type(), rows)).collect();
            columns.extend(nulls);
        }
        self.joined(RecordBatch::try_new(Arc::clone(&self.schema), columns))
    }

    fn joined<T>(&self, done: Result<T, ArrowError>) -> Result<T> {
        let path = || self.reader.manifest.dir().to_owned();
        done.map_err(|e| Error::Damaged { path: path(), what: format!("trades and quotes do not join: {e}") })
    }
}

/// Rows and those that come after them.
fn after(mut first: Timed, then: Timed) -> Result<Timed, ArrowError> {
    first.at.extend(then.at);
    let pairs = first.columns.iter().zip(&then.columns);
    let columns = pairs.map(|(first, then)| concat(&[&**first, &**then])).collect::<Result<_, _>>()?;
    Ok(Timed { columns, at: first.at })
}

/// Of each of some times the place of the newest of others that is not after it; both are sorted.
fn newest(times: &[i64], others: &[i64]) -> UInt32Array {
    let mut next = 0_u32;
    let mut others = others.iter().peekable();
    let newest = times.iter().map(|at| {
        while others.next_if(|other| *other <= at).is_some() {
            next += 1;
        }
        next.checked_sub(1)
    });
    newest.collect()
}
