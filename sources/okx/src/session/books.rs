//! Books of a session: rows to events by the continuity rule, and their new starts.

use super::{Answer, OkxSession};
use crate::emit::{Sink, event};
use crate::parse::{BookRow, Feed, Result, Scratch, book_row};
use crate::sync::{Chain, Seed, State, Step, seed};
use model::{Body, Channel, Delta, Gap, GapCause, Instrument, LaneFact, Levels, Quote, Snapshot, Ts};
use source::{Action, Cursor, What};
use std::sync::Arc;

/// How many updates are kept while a snapshot by REST is under way.
const KEPT_MAX: usize = 2_000;
/// The first pause before a snapshot is asked for again.
const SEED_PAUSE_MS: u64 = 200;
/// The longest.
const SEED_PAUSE_MAX_MS: u64 = 30_000;

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    /// Its continuity.
    pub chain: Chain,
    /// The channel that feeds it: the first one that came.
    feed: Option<Feed>,
    /// Said once that updates came before a snapshot.
    told: bool,
    /// Updates kept for a snapshot by REST.
    kept: Vec<(BookRow, Levels)>,
    /// The number after the update that was dropped first.
    after: Option<i64>,
    tries: u32,
    /// When to ask for a snapshot again.
    pub fetch_at: Option<Ts>,
}

impl Book {
    /// Whether updates of a channel are this book's.
    pub fn is_fed_by(&self, feed: Feed) -> bool {
        self.feed == Some(feed)
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

fn number(seq: Option<i64>) -> Option<u64> {
    seq.and_then(|s| u64::try_from(s).ok())
}

impl OkxSession {
    /// The rows of a book channel.
    pub(super) fn book(
        &mut self,
        at: usize,
        feed: Feed,
        action: &[u8],
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        c.array(|c| {
            let row = self.read_book(at, c, now, out)?;
            self.apply(at, feed, action, row, now, out);
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
    pub(super) fn apply(
        &mut self,
        at: usize,
        feed: Feed,
        action: &[u8],
        row: BookRow,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if *listed.book.feed.get_or_insert(feed) != feed {
            out.push(Action::Control("book channel beside the one in use"));
            return;
        }
        match action {
            b"update" => {
                let (prev, empty) = (row.prev, self.scratch.is_empty());
                let step = listed.book.chain.update(prev, row.seq, empty);
                if let Step::Apply(prev) = step {
                    let body = delta(row, prev, self.scratch.levels());
                    out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
                } else {
                    let levels = self.scratch.levels();
                    self.unusual(at, step, row, levels, now, out);
                }
            }
            b"snapshot" | b"partial" => {
                listed.book.chain.snapshot(row.seq);
                let body = snapshot(row, self.scratch.levels());
                out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
                self.healed(at, now);
            }
            other => self.notes.unknown(b"books.action", other, out),
        }
    }

    /// A row of the best levels, in the scratch.
    pub(super) fn top(&mut self, at: usize, row: BookRow, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get(at) {
            let body = snapshot(row, self.scratch.levels());
            out.push(Action::Emit(event(&listed.instrument, Channel::BookTop, row.ts, now, body)));
        }
    }

    /// Everything about an update that is not simply taken.
    #[cold]
    fn unusual(
        &mut self,
        at: usize,
        step: Step,
        row: BookRow,
        levels: Levels,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        match step {
            Step::Apply(prev) => {
                let body = delta(row, prev, levels);
                out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
            }
            Step::KeepAlive => out.push(Action::Control("book keep-alive")),
            Step::Ignore => {
                out.push(Action::Control("book update while waiting for a snapshot"));
                if listed.book.chain.state() == State::Cold && !listed.book.told {
                    listed.book.told = true;
                    let words = "updates came before a snapshot".into();
                    listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
                }
            }
            Step::Fetch => {
                listed.book.after = row.seq;
                listed.book.kept.clear();
                listed.book.tries = 0;
                out.push(Action::Control("book without a pushed snapshot"));
                listed.fact(Channel::Book, LaneFact::Syncing("snapshot by REST".into()), now, out);
                self.fetch(at, out);
                self.patient(at, now);
            }
            Step::Keep if listed.book.kept.len() < KEPT_MAX => listed.book.kept.push((row, levels)),
            Step::Keep => {
                listed.book.reset();
                let words = "too many updates kept for a snapshot";
                listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
                self.restart(at, now);
            }
            Step::Gap(from, to) => {
                let gap = Gap { cause: GapCause::Sequence, from_seq: number(from), to_seq: number(to) };
                listed.tell_gap(gap, now, out);
                self.begin_again(at, now, out);
            }
        }
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    pub(super) fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let seeding = listed.book.chain.state() == State::Seeding;
        if listed.gap(cause, None, now, out) || seeding {
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

    /// Asks for a whole book by REST.
    pub(super) fn fetch(&mut self, at: usize, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        listed.book.fetch_at = None;
        let path = format!("/api/v5/market/books?instId={}&sz=400", listed.instrument.symbol);
        out.push(Action::Fetch { tag: at as u64, path, weight: 1 });
    }

    /// A whole book came by REST, or word why not.
    pub(super) fn seed(&mut self, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if listed.book.chain.live() || (self.wanting && listed.book.chain.state() != State::Seeding) {
            out.push(Action::Control("book that nobody waits for"));
            return;
        }
        let limited = answer.status == 429 || answer.status == 0;
        let read = if limited { Ok(None) } else { self.read_answer(at, answer.body, now, out) };
        let row = match read {
            Ok(row) => row,
            Err(fault) => {
                out.push(Action::Malformed(fault));
                None
            }
        };
        let Some(listed) = self.table.get_mut(at) else { return };
        let book = &mut listed.book;
        let fits = row.filter(|row| seed(row.seq, book.after) == Seed::Take);
        let Some(row) = fits else {
            if self.wanting {
                let pause = (SEED_PAUSE_MS << book.tries.min(8)).min(SEED_PAUSE_MAX_MS);
                book.tries += 1;
                book.fetch_at = Some(now.plus_ms(pause.max(answer.retry_ms.unwrap_or(0))));
                self.lanes.pending = true;
            }
            return;
        };
        book.chain.seeded(row.seq);
        let kept = std::mem::take(&mut book.kept);
        let body = snapshot(BookRow { checksum: None, ..row }, self.scratch.levels());
        out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, body)));
        self.healed(at, now);
        for (row, levels) in kept {
            let Some(listed) = self.table.get_mut(at) else { return };
            let step = listed.book.chain.update(row.prev, row.seq, levels.is_empty());
            self.unusual(at, step, row, levels, now, out);
        }
    }

    /// `{"code":"0","msg":"","data":[{"asks":[["64010.2","1.5","0","4"]],"bids":[["64010.1","0.9","0","3"]],"ts":"1760000000100","seqId":1000}]}`
    fn read_answer(
        &mut self,
        at: usize,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Option<BookRow>> {
        let (mut row, mut fine) = (None, false);
        let mut c = Cursor::new(body);
        c.object(|c, key| {
            match key {
                b"code" => fine = c.str()? == b"0",
                b"data" => c.array(|c| {
                    row = Some(self.read_book(at, c, now, out)?);
                    Ok(())
                })?,
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        c.end()?;
        Ok(row.filter(|_| fine))
    }
}

/// The `instId` in a path or URL.
pub(super) fn symbol_in(path: &str) -> &[u8] {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| pair.strip_prefix("instId=")).unwrap_or_default().as_bytes()
}

fn snapshot(row: BookRow, levels: Levels) -> Body {
    Body::Snapshot(Snapshot { seq: number(row.seq), levels, checksum: row.checksum, epoch: 0 })
}

fn delta(row: BookRow, prev: Option<i64>, levels: Levels) -> Body {
    let (prev_seq, seq) = (number(prev), number(row.seq));
    Body::Delta(Delta { prev_seq, seq, levels, checksum: row.checksum, epoch: 0 })
}

/// Reads the rows of `bbo-tbt`: the best level of each side, or none.
///
/// `[{"asks":[["64010.3","0.7","0","1"]],"bids":[["64010.1","1.1","0","4"]],"ts":"1760000000205","seqId":1007}]`
pub(super) fn quotes(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<()> {
    c.array(|c| {
        let row = book_row(c, instrument, scratch, |key| sink.notes.unknown(b"bbo-tbt", key, sink.out))?;
        let (bid, ask) = (scratch.bids.first().copied(), scratch.asks.first().copied());
        let quote = Quote { bid, ask, seq: number(row.seq) };
        sink.emit(instrument, Channel::Quote, row.ts, Body::Quote(quote));
        Ok(())
    })
}

/// Reads the rows of `books5`: the best five levels of each side, whole each time.
///
/// `[{"asks":[["64010.2","1.5","0","4"]],"bids":[["64010.1","0.9","0","3"]],"instId":"BTC-USDT","ts":"1760000000100","seqId":1000}]`
pub(super) fn tops(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<()> {
    c.array(|c| {
        let row = book_row(c, instrument, scratch, |key| sink.notes.unknown(b"books5", key, sink.out))?;
        sink.emit(instrument, Channel::BookTop, row.ts, snapshot(row, scratch.levels()));
        Ok(())
    })
}
