//! Batches of rows: made of events, and read as events again.

use super::cell::{Eye, Pen, Read, Values};
use super::record::{Cell, Record as _};
use super::{COMMON, Definitions, Form, Table, put_body, take_body};
use crate::Result;
use arrow_array::{ArrayRef, RecordBatch};
use bus::{Cursor, Published};
use model::{Channel, Event, Flags, Instrument, Stamp, Ts};
use std::sync::Arc;

/// About how many rows events are made into at once.
const IN_ROWS: usize = 8_192;

/// Collects rows of one table.
pub(crate) struct Rows {
    table: Table,
    columns: Vec<Values>,
    count: usize,
}

impl Rows {
    pub fn new(table: Table) -> Self {
        let columns = table.columns().iter().map(|column| Values::new(column.of)).collect();
        Self { table, columns, count: 0 }
    }

    /// How many rows there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Adds an event of this table.
    pub fn push(&mut self, published: &Published, definitions: &mut Definitions) {
        let Published { cursor, ts_pub, event } = published;
        let definition = definitions.place(&event.instrument);
        let before = self.count;
        put_body(event, self);
        let times = self.count - before;
        let instrument = &event.instrument;
        let names = self.table.columns();
        let columns = &mut self.columns;
        let mut pen = Pen { columns, names, at: 0, times, px_scale: 0, qty_scale: 0, exact: Vec::new() };
        pen.u64(Some(cursor.epoch));
        pen.u64(Some(cursor.number));
        for text in
            [event.source, &instrument.venue, &instrument.product, &instrument.symbol, &instrument.name]
        {
            pen.text(Some(text));
        }
        pen.text(Some(event.channel.name()));
        pen.u16(Some(event.flags.bits()));
        pen.time(event.stamp.ts_event.map(|ts| ts.0));
        pen.time(Some(event.stamp.ts_recv.0));
        pen.time(Some(ts_pub.0));
        pen.u32(Some(definition));
    }

    /// Adds the columns of the table itself; those of [`COMMON`] follow.
    pub(super) fn put<F: Form>(&mut self, body: &F, event: &Event) {
        let instrument = &event.instrument;
        let (head, items) = body.split(instrument);
        let times = items.len().max(1);
        self.count += times;
        let layout = self.table.layout();
        let mut pen = Pen {
            columns: &mut self.columns,
            names: &layout.columns,
            at: COMMON.len(),
            times,
            px_scale: instrument.px_scale,
            qty_scale: instrument.qty_scale,
            exact: Vec::new(),
        };
        head.put(&mut pen);
        let (first, of_head) = (pen.at, std::mem::take(&mut pen.exact));
        pen.times = 1;
        if items.is_empty() {
            for _ in 0..layout.items {
                pen.null();
            }
            pen.text(exact_text(&of_head, Vec::new()).as_deref());
        }
        for item in items {
            pen.at = first;
            item.put(&mut pen);
            let of_item = std::mem::take(&mut pen.exact);
            pen.text(exact_text(&of_head, of_item).as_deref());
        }
    }

    /// What was collected, as one batch.
    pub fn finish(mut self) -> RecordBatch {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Values::finish).collect();
        let schema = self.table.schema();
        let empty = RecordBatch::new_empty(Arc::clone(&schema));
        RecordBatch::try_new(schema, arrays).unwrap_or(empty)
    }
}

/// Events of one table as batches of rows.
pub(crate) struct InRows<I> {
    table: Table,
    events: I,
    definitions: Definitions,
}

impl<I: Iterator<Item = Result<Arc<Published>>>> InRows<I> {
    pub fn new(table: Table, events: I) -> Self {
        Self { table, events, definitions: Definitions::default() }
    }
}

impl<I: Iterator<Item = Result<Arc<Published>>>> Iterator for InRows<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rows = Rows::new(self.table);
        while rows.len() < IN_ROWS
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

fn exact_text(head: &[(String, String)], item: Vec<(String, String)>) -> Option<String> {
    if head.is_empty() && item.is_empty() {
        return None;
    }
    let all = head.iter().cloned().chain(item);
    let map: serde_json::Map<_, _> = all.map(|(column, text)| (column, text.into())).collect();
    Some(serde_json::Value::Object(map).to_string())
}

/// A batch whose rows are read as events.
pub(crate) struct Reading {
    table: Table,
    columns: Vec<Read>,
    rows: usize,
    definitions: Arc<Definitions>,
}

/// Why rows are no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The row, from 0.
    pub row: usize,
}

impl Reading {
    /// `None` where the batch has other columns than the table.
    pub fn new(table: Table, batch: &RecordBatch, definitions: Arc<Definitions>) -> Option<Self> {
        let columns = table.columns();
        let read = columns.iter().zip(batch.columns()).map(|(column, array)| Read::new(column.of, array));
        let read: Vec<Read> = read.collect::<Option<_>>()?;
        (batch.num_columns() == columns.len()).then(|| Self {
            table,
            columns: read,
            rows: batch.num_rows(),
            definitions,
        })
    }

    fn eye(&self, row: usize) -> Eye<'_> {
        Eye {
            columns: &self.columns,
            names: self.table.columns(),
            at: 0,
            row,
            px_scale: 0,
            qty_scale: 0,
            exact: None,
        }
    }

    /// The cursor of a row.
    pub fn cursor(&self, row: usize) -> Option<Cursor> {
        let mut eye = self.eye(row);
        let (epoch, number) = (eye.u64(), eye.u64());
        Some(Cursor { epoch: epoch?, number: number? })
    }

    /// The row after the last of the event that begins in `row`.
    pub fn end(&self, row: usize) -> usize {
        let cursor = self.cursor(row);
        (row + 1..self.rows).find(|next| self.cursor(*next) != cursor).unwrap_or(self.rows)
    }

    /// How many rows there are.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// The event that stands in these rows.
    pub fn event(&self, from: usize, to: usize) -> std::result::Result<Published, Unreadable> {
        self.published(from, to).ok_or(Unreadable { row: from })
    }

    fn published(&self, from: usize, to: usize) -> Option<Published> {
        let mut eye = self.eye(from);
        let cursor = Cursor { epoch: eye.u64()?, number: eye.u64()? };
        let source = crate::code::lasting(eye.text()?)?;
        // Exchange, product, symbol and name are in the definition.
        eye.at += 4;
        let channel = <Channel as Cell>::take(&mut eye)?;
        let flags = Flags::from_bits(eye.u16()?);
        let stamp = Stamp { ts_event: eye.time().map(Ts), ts_recv: Ts(eye.time()?) };
        let ts_pub = Ts(eye.time()?);
        let instrument = Arc::clone(self.definitions.get(eye.u32()?)?);
        let body = take_body(self.table, self, from, to, &instrument)?;
        Some(Published { cursor, ts_pub, event: Event { source, instrument, channel, flags, stamp, body } })
    }

    pub(super) fn take<F: Form>(&self, from: usize, to: usize, scales: &Instrument) -> Option<F> {
        let layout = self.table.layout();
        let mut eye = self.eye(from);
        (eye.px_scale, eye.qty_scale) = (scales.px_scale, scales.qty_scale);
        let exact = |eye: &mut Eye<'_>, row| {
            (eye.row, eye.at) = (row, layout.columns.len() - 1);
            eye.exact = eye.text().and_then(|text| serde_json::from_str(text).ok());
        };
        exact(&mut eye, from);
        eye.at = COMMON.len();
        let head = F::Head::take(&mut eye)?;
        let first = eye.at;
        let mut items = Vec::new();
        for row in from..to {
            if row > from {
                exact(&mut eye, row);
            }
            eye.at = first;
            match F::Item::take(&mut eye) {
                Some(item) => items.push(item),
                None if to - from == 1 => {}
                None => return None,
            }
        }
        F::join(head, items)
    }
}
