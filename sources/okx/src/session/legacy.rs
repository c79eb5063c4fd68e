//! Frames of the retired v3 API, as recordings hold them.

use super::data::{skip, take_back};
use super::{OkxSession, cause_of};
use crate::emit::Sink;
use crate::parse::{Head, Result};
use crate::v3;
use model::Ts;
use source::{Action, Cursor};

impl OkxSession {
    /// A binary frame: raw deflate, of the retired API.
    pub(super) fn binary(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let mut inflater = self.inflater.take().unwrap_or_default();
        match inflater.inflate(bytes) {
            Ok(text) => self.text(text, now, out),
            Err(fault) => {
                out.push(Action::Malformed(fault));
                self.suffer(&Head::default(), fault, now, out);
            }
        }
        self.inflater = Some(inflater);
    }

    /// One row of the retired API.
    pub(super) fn legacy_row<'a>(
        &mut self,
        row: v3::Row<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        if row.table == v3::Table::Other {
            self.notes.unknown(b"table", row.name, out);
            return skip(c);
        }
        let Some(at) = self.instrument(row.symbol, None, c, out)? else { return skip(c) };
        let (start, mark) = (c.clone(), out.len());
        let book = loop {
            let Some(listed) = self.table.get_mut(at) else { return skip(c) };
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let read = match row.table {
                v3::Table::Book | v3::Table::BookTop => {
                    v3::book_row(c, &listed.instrument, &mut self.scratch, &mut sink).map(Some)
                }
                _ => v3::other_row(&row, c, &listed.instrument, &mut sink).map(|()| None),
            };
            let kept = out.len();
            let fault = match read {
                Ok(book) => break book,
                Err(fault) => listed.widen(&fault, now, out).err(),
            };
            *c = start.clone();
            match fault {
                None => take_back(out, mark, kept),
                Some(fault) => {
                    out.push(Action::Malformed(fault));
                    if row.table == v3::Table::Book {
                        self.lose(at, cause_of(&fault), now, out);
                    }
                    return skip(c);
                }
            }
        };
        match (row.table, book) {
            (v3::Table::Book, Some(book)) => self.apply(at, v3::FEED, row.action, book, now, out),
            (_, Some(book)) => self.top(at, book, now, out),
            (_, None) => {}
        }
        Ok(())
    }
}
