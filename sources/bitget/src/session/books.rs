//! Books of a session: rows to events by the continuity rule, and their new starts.

use super::BitgetSession;
use super::table::Listed;
use crate::emit::{Notes, Sink, event};
use crate::parse::{Arg, BookRow, Kind, Result, Scratch, book_row, each};
use crate::sync::{Chain, State, Step};
use model::{Body, Channel, Checksum, Delta, Gap, GapCause, LaneFact, Levels, Quote, Snapshot, Ts};
use source::{Action, Cursor, What};

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    /// Its continuity.
    pub chain: Chain,
    /// The generation that feeds it: the first one that came. True for v3.
    feed: Option<bool>,
    /// Said once that updates came before a snapshot.
    told: bool,
    /// Its checksums are told: its snapshot had one, and no number in it was written with zeros at its end, which the
    /// checksum counts and we do not keep.
    summed: bool,
}

impl Book {
    /// Whether an update of this generation may be passed over unread: it is this book's, and nobody asks how its numbers
    /// are written.
    pub fn may_be_passed(&self, third: bool) -> bool {
        self.feed == Some(third) && !self.summed
    }

    /// As on a new connection.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A subscription was sent.
    pub fn asked(&mut self) {
        self.reset();
        self.chain.asked();
    }
}

impl Listed {
    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) -> bool {
        if !self.book.chain.live() {
            return false;
        }
        let from_seq = self.book.chain.seq();
        self.book.chain.cool();
        self.tell_gap(Gap { cause, from_seq, to_seq: None }, now, out);
        true
    }

    fn tell_gap(&self, gap: Gap, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap))));
    }

    /// The checksum of a row, where all numbers of the book are written as we would write them.
    #[inline]
    fn checksum(&mut self, row: BookRow, scratch: &Scratch) -> Option<Checksum> {
        self.book.summed &= !scratch.padded;
        row.checksum.filter(|_| self.book.summed)
    }
}

impl BitgetSession {
    /// The rows of `books`.
    pub(super) fn book<'a>(
        &mut self,
        at: usize,
        (arg, action): (Arg<'a>, &'a [u8]),
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        each(c, |c| {
            let row = self.read_book(at, c, now, out)?;
            self.apply(at, arg.third, action, row, now, out);
            Ok(())
        })
    }

    #[inline]
    fn read_book(
        &mut self,
        at: usize,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<BookRow> {
        let Some(listed) = self.table.get_mut(at) else {
            return Err(c.fault(What::Rule("instId is no symbol")));
        };
        let start = c.clone();
        loop {
            let notes = &mut self.notes;
            let read = book_row(c, &listed.instrument, &mut self.scratch, |key| {
                notes.unknown(b"books", key, out);
            });
            let Err(fault) = read else { return read };
            listed.widen(&fault, now, out)?;
            *c = start.clone();
        }
    }

    /// One row of a book, its levels in the scratch.
    fn apply(&mut self, at: usize, third: bool, action: &[u8], row: BookRow, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if *listed.book.feed.get_or_insert(third) != third {
            out.push(Action::Control("book channel beside the one in use"));
            return;
        }
        match action {
            b"update" => {
                let step = listed.book.chain.update(row.prev, row.seq, self.scratch.is_empty());
                if let Step::Apply(prev_seq) = step {
                    let checksum = listed.checksum(row, &self.scratch);
                    let levels = self.scratch.levels();
                    let body = Body::Delta(Delta { prev_seq, seq: row.seq, levels, checksum, epoch: 0 });
                    out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
                } else {
                    self.unusual(at, step, now, out);
                }
            }
            b"snapshot" => {
                listed.book.chain.snapshot(row.seq);
                listed.book.summed = row.checksum.is_some();
                let checksum = listed.checksum(row, &self.scratch);
                let body = snapshot(BookRow { checksum, ..row }, self.scratch.levels());
                out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
                self.first_heard(at, Kind::Book, now);
            }
            other => self.notes.unknown(b"books.action", other, out),
        }
    }

    /// Everything about an update that is not simply taken.
    #[cold]
    fn unusual(&mut self, at: usize, step: Step, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        match step {
            Step::Apply(_) => {}
            Step::KeepAlive => out.push(Action::Control("book keep-alive")),
            Step::Ignore => {
                out.push(Action::Control("book update while waiting for a snapshot"));
                if listed.book.chain.state() == State::Cold && !listed.book.told {
                    listed.book.told = true;
                    let words = "updates came before a snapshot".into();
                    listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
                }
            }
            Step::Gap(cause, from_seq, to_seq) => {
                listed.tell_gap(Gap { cause, from_seq, to_seq }, now, out);
                self.begin_again(at, now, out);
            }
        }
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    pub(super) fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        if self.table.get_mut(at).is_some_and(|listed| listed.gap(cause, now, out)) {
            self.begin_again(at, now, out);
        }
    }

    fn begin_again(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get_mut(at) {
            listed.book.reset();
            listed.book.told = true;
            listed.fact(Channel::Book, LaneFact::Syncing("continuity was lost".into()), now, out);
        }
        self.restart(at, now);
    }
}

fn snapshot(row: BookRow, levels: Levels) -> Body {
    Body::Snapshot(Snapshot { seq: row.seq, levels, checksum: row.checksum, epoch: 0 })
}

/// Reads the rows of `books1`: the best level of each side, or none.
pub(super) fn quotes(
    c: &mut Cursor<'_>,
    listed: &mut Listed,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<()> {
    each(c, |c| {
        let row = top_row(c, listed, scratch, (sink.notes, b"books1"), sink.out)?;
        let (bid, ask) = (scratch.bids.first().copied(), scratch.asks.first().copied());
        let quote = Quote { bid, ask, seq: row.seq };
        listed.quoted = true;
        sink.emit(&listed.instrument, Channel::Quote, row.ts, Body::Quote(quote));
        Ok(())
    })
}

/// Reads the rows of `books5` and its like: the best levels of each side, whole each time.
pub(super) fn tops(
    c: &mut Cursor<'_>,
    listed: &mut Listed,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<()> {
    each(c, |c| {
        let row = top_row(c, listed, scratch, (sink.notes, b"books15"), sink.out)?;
        let body = snapshot(BookRow { checksum: None, ..row }, scratch.levels());
        sink.emit(&listed.instrument, Channel::BookTop, row.ts, body);
        Ok(())
    })
}

fn top_row(
    c: &mut Cursor<'_>,
    listed: &Listed,
    scratch: &mut Scratch,
    (notes, place): (&mut Notes, &[u8]),
    out: &mut Vec<Action>,
) -> Result<BookRow> {
    book_row(c, &listed.instrument, scratch, |key| notes.unknown(place, key, out))
}
