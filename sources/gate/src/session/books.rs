//! Books: changes, snapshots, and what joins them.

use super::GateSession;
use crate::parse::{self, BookRow, Result};
use crate::sync::{self, Chain, Span, Step};
use model::{Body, Channel, Delta, GapCause, LaneFact, Levels, Snapshot, Ts};
use source::{Action, Cursor, Malformed, What};
use std::collections::VecDeque;

/// How long after a snapshot that was too old the next is asked for, in ms; doubled with each try.
const AGAIN_MS: u64 = 250;
/// The longest wait between two snapshots, in ms.
const AGAIN_MS_MAX: u64 = 30_000;
/// How long a snapshot waits for a first change, in ms: a quiet book has none.
const PATIENCE_MS: u64 = 2_000;
/// After how long an answer is taken for lost, in ms.
const LOST_MS: u64 = 30_000;
/// A book that held for so long begins its delays anew, in ms.
const WELL_MS: i64 = 60_000;
/// How many snapshots are asked for at a time.
const FLYING_MAX: usize = 8;
/// How many changes of a book may wait.
const FRAMES_MAX: usize = 4_000;
/// How many bytes of changes of a book may wait.
const BYTES_MAX: usize = 8 << 20;

/// A change that waits for a snapshot.
pub(super) struct Held {
    span: Span,
    came: Ts,
    payload: Box<[u8]>,
}

/// A book that waits for a snapshot.
#[derive(Default)]
pub(super) struct Waiting {
    frames: VecDeque<Held>,
    bytes: usize,
    /// When a snapshot was asked for that has not come.
    asked: Option<Ts>,
    /// When to ask.
    due: Option<Ts>,
    tries: u32,
}

/// How a book stands.
#[derive(Default)]
pub(super) enum State {
    /// Not subscribed, or nothing came yet.
    #[default]
    Idle,
    /// Waits for a snapshot.
    Waiting(Waiting),
    /// In step.
    Live(Chain),
}

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    pub state: State,
    /// Whether the first channel that came pushes its snapshots; another one beside it is passed over.
    pushed: Option<bool>,
    /// A recorded snapshot that came before the first change.
    kept: Option<Box<[u8]>>,
    /// How often it lost continuity lately.
    restarts: u32,
    live_since: Ts,
    not_before: Ts,
}

impl Book {
    /// As on a new connection; how often it was lost is remembered.
    pub fn reset(&mut self) {
        (self.state, self.pushed, self.kept) = (State::Idle, None, None);
    }

    /// The state that it stands at.
    pub const fn seq(&self) -> Option<u64> {
        match &self.state {
            State::Live(chain) => Some(chain.at()),
            State::Idle | State::Waiting(_) => None,
        }
    }

    /// Its place in the chain, where it is live by the channel whose books are `pushed`, or are not.
    pub fn chain(&mut self, pushed: bool) -> Option<&mut Chain> {
        match &mut self.state {
            State::Live(chain) if self.pushed == Some(pushed) => Some(chain),
            _ => None,
        }
    }

    const fn flying(&self) -> bool {
        matches!(&self.state, State::Waiting(Waiting { asked: Some(_), .. }))
    }

    /// When it has something to do.
    pub fn due(&self) -> Option<Ts> {
        match &self.state {
            State::Waiting(w) => w.asked.map(|at| at.plus_ms(LOST_MS)).or(w.due),
            State::Idle | State::Live(_) => None,
        }
    }
}

/// A change, or a whole book, in the frame at hand; its levels are in the session's `sides`.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub at: usize,
    pub row: BookRow,
    pub pushed: bool,
    pub payload: &'a [u8],
}

/// What came back for a request.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub status: u16,
    pub retry_ms: Option<u64>,
    pub body: &'a [u8],
}

fn missing<T>(field: &'static str) -> Result<T> {
    Err(Malformed { at: 0, what: What::Missing(field) })
}

impl GateSession {
    /// Reads the book at hand into `sides`; widens the definition where a number asks for it.
    #[inline]
    pub(super) fn read_book(
        &mut self,
        at: usize,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<BookRow> {
        let Some(listed) = self.table.get_mut(at) else { return missing("instrument") };
        let start = c.clone();
        loop {
            let notes = &mut self.notes;
            let read = parse::book(c, &listed.instrument, &mut self.sides, |key| {
                notes.unknown(b"book", key, out);
            });
            let Err(fault) = read else { return read };
            listed.widen(&fault, now, out)?;
            *c = start.clone();
        }
    }

    /// A change or a pushed book.
    #[inline]
    pub(super) fn changed(&mut self, change: Change<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let Change { at, row, pushed, payload } = change;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if *listed.book.pushed.get_or_insert(pushed) != pushed {
            out.push(Action::Control("book channel beside the one in use"));
            return Ok(());
        }
        let Some(last) = row.last else { return missing("u") };
        if row.full {
            let levels = self.sides.sorted();
            self.begin(at, last, row.ts, levels, now, out);
            return Ok(());
        }
        let Some(first) = row.first else { return missing("U") };
        let span = Span { first, last };
        if !pushed && !row.both {
            return missing("a or b");
        }
        if first > last {
            return Err(Malformed { at: 0, what: What::Rule("U above u") });
        }
        if let State::Live(chain) = &mut listed.book.state {
            let from = chain.at();
            let step = if pushed { chain.step_exact(span) } else { chain.step(span) };
            match step {
                Step::Apply(prev) => {
                    let (prev_seq, seq, levels) = (Some(prev), Some(last), self.sides.levels());
                    let delta = Delta { prev_seq, seq, levels, checksum: None, epoch: 0 };
                    listed.emit(Channel::Book, row.ts, now, Body::Delta(delta), out);
                    return Ok(());
                }
                Step::Old => {
                    out.push(Action::Control("book change known already"));
                    return Ok(());
                }
                Step::Hole => {
                    listed.gap(GapCause::Sequence, from, Some(first), now, out);
                    let words = format!("changes between {from} and {first} are missing");
                    self.start_over(at, &words, now, out);
                }
            }
        }
        if pushed {
            out.push(Action::Control("book change before a pushed book"));
        } else {
            self.hold(at, Held { span, came: now, payload: payload.into() }, now, out);
        }
        Ok(())
    }

    /// A whole book is in force.
    fn begin(&mut self, at: usize, seq: u64, ts: Option<Ts>, levels: Levels, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if listed.book.seq().is_none() {
            listed.book.live_since = now;
        }
        listed.book.state = State::Live(Chain::from_snapshot(seq));
        let snapshot = Snapshot { seq: Some(seq), levels, checksum: None, epoch: 0 };
        listed.emit(Channel::Book, ts, now, Body::Snapshot(snapshot), out);
    }

    /// Lets a book wait for changes and a snapshot. Where it was live its `Gap` was told before.
    pub(super) fn start_over(&mut self, at: usize, words: &str, now: Ts, out: &mut Vec<Action>) {
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return };
        let book = &mut listed.book;
        if book.seq().is_some() {
            if now.ms_since(book.live_since) >= WELL_MS {
                book.restarts = 0;
            }
            // The first time at once, then after a growing while.
            let wait = if book.restarts == 0 { 0 } else { pause(book.restarts - 1) };
            book.not_before = now.plus_ms(wait);
            book.restarts = book.restarts.saturating_add(1);
        }
        let due = wanting.then(|| now.plus_ms(PATIENCE_MS).max(book.not_before));
        book.state = State::Waiting(Waiting { due, ..Waiting::default() });
        listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
        self.lanes.pending = true;
    }

    /// Keeps a change until a snapshot comes, and sees that one does.
    fn hold(&mut self, at: usize, held: Held, now: Ts, out: &mut Vec<Action>) {
        if self.table.get(at).is_some_and(|l| matches!(l.book.state, State::Idle)) {
            self.start_over(at, "waits for a snapshot", now, out);
        }
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return };
        let not_before = listed.book.not_before;
        let State::Waiting(waiting) = &mut listed.book.state else { return };
        let first = waiting.frames.is_empty();
        waiting.bytes += held.payload.len();
        waiting.frames.push_back(held);
        out.push(Action::Control("book change held"));
        if waiting.frames.len() > FRAMES_MAX || waiting.bytes > BYTES_MAX {
            let (asked, tries, due) = (waiting.asked, waiting.tries, waiting.due);
            let begun = Waiting { asked, due, tries, ..Waiting::default() };
            listed.book.state = State::Waiting(begun);
            let words = "too many changes wait for a snapshot: begins anew";
            listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
            return;
        }
        if wanting && first && waiting.tries == 0 && waiting.asked.is_none() {
            waiting.due = Some(now.max(not_before));
            self.lanes.pending = true;
        }
        if let Some(body) = listed.book.kept.take() {
            self.join(at, Answer { status: 200, retry_ms: None, body: &body }, now, out);
        }
    }

    /// Asks for the snapshots that are due.
    pub(super) fn fetch_due(&mut self, now: Ts, out: &mut Vec<Action>) {
        let places = 0..self.table.len();
        let flying = places.clone().filter(|at| self.table.get(*at).is_some_and(|l| l.book.flying())).count();
        let mut room = FLYING_MAX.saturating_sub(flying);
        let levels = crate::subscribe::speed(&self.options).1;
        for at in places {
            let Some(listed) = self.table.get_mut(at) else { continue };
            if listed.book.due().is_none_or(|due| due > now) {
                continue;
            }
            let path = listed.product.book_path(&listed.instrument.symbol, levels);
            let State::Waiting(waiting) = &mut listed.book.state else { continue };
            if waiting.asked.is_some() {
                self.again(at, "no answer came to the request for a snapshot", None, now, out);
            } else if room > 0 {
                room -= 1;
                (waiting.asked, waiting.due) = (Some(now), None);
                out.push(Action::Fetch { tag: at as u64, path, weight: 1 });
            }
        }
    }

    /// When the next snapshot is due; where as many are under way as may be, an answer sees to the rest.
    pub(super) fn next_fetch(&self) -> Option<Ts> {
        let books = || (0..self.table.len()).filter_map(|at| self.table.get(at)).map(|l| &l.book);
        let full = books().filter(|b| b.flying()).count() >= FLYING_MAX;
        books().filter(|b| !full || b.flying()).filter_map(Book::due).min()
    }

    /// An answer to one of our own requests, or one found in a recording.
    pub(super) fn answered(&mut self, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = true;
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return };
        match &mut listed.book.state {
            State::Waiting(waiting) if !wanting && waiting.frames.is_empty() => {
                listed.book.kept = Some(answer.body.into());
                out.push(Action::Control("snapshot kept"));
            }
            State::Idle if !wanting => {
                listed.book.kept = Some(answer.body.into());
                out.push(Action::Control("snapshot kept"));
            }
            State::Waiting(waiting) if !wanting || waiting.asked.is_some() => {
                waiting.asked = None;
                self.join(at, answer, now, out);
            }
            _ => out.push(Action::Control("snapshot that nobody waits for")),
        }
    }

    /// Begins a book: the snapshot, then the changes that waited.
    fn join(&mut self, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        if answer.status != 200 && (self.wanting || answer.status != 0) {
            let text = String::from_utf8_lossy(answer.body.get(..120).unwrap_or(answer.body)).into_owned();
            let words = format!("no snapshot: status {} {text}", answer.status);
            return self.again(at, &words, answer.retry_ms, now, out);
        }
        let mut c = Cursor::new(answer.body);
        let read = self.read_book(at, &mut c, now, out).and_then(|row| c.end().map(|()| row));
        let (row, seq) = match read {
            Ok(row) => match row.last.filter(|_| row.both) {
                Some(seq) => (row, seq),
                None => return self.again(at, "the snapshot has no number or lacks a side", None, now, out),
            },
            Err(fault) => {
                out.push(Action::Malformed(fault));
                return self.again(at, &format!("the snapshot cannot be read: {fault}"), None, now, out);
            }
        };
        let Some(listed) = self.table.get_mut(at) else { return };
        let State::Waiting(waiting) = &mut listed.book.state else { return };
        if sync::join(seq, waiting.frames.iter().map(|held| held.span)).is_none() {
            let words = format!("the snapshot ({seq}) is older than the changes that wait");
            return self.again(at, &words, None, now, out);
        }
        let frames = std::mem::take(&mut waiting.frames);
        let levels = self.sides.sorted();
        self.begin(at, seq, row.ts, levels, now, out);
        for held in frames {
            let mut c = Cursor::new(&held.payload);
            let done = self.read_book(at, &mut c, held.came, out).and_then(|row| {
                let change = Change { at, row, pushed: false, payload: &held.payload };
                self.changed(change, held.came, out)
            });
            if let Err(fault) = done {
                out.push(Action::Malformed(fault));
                return self.lose(at, &fault, now, out);
            }
        }
    }

    /// Asks for another snapshot after a while; the changes go on waiting.
    fn again(&mut self, at: usize, words: &str, retry_ms: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return };
        let State::Waiting(waiting) = &mut listed.book.state else { return };
        waiting.asked = None;
        let wait = pause(waiting.tries).max(retry_ms.unwrap_or(0));
        waiting.tries = waiting.tries.saturating_add(1);
        waiting.due = wanting.then(|| now.plus_ms(wait));
        self.lanes.pending = true;
        listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
    }

    /// A change of a book could not be read: it begins anew.
    pub(super) fn lose(&mut self, at: usize, fault: &Malformed, now: Ts, out: &mut Vec<Action>) {
        let scale = matches!(fault.what, What::Scale(..));
        let cause = if scale { GapCause::Scale } else { GapCause::Malformed };
        let Some(listed) = self.table.get_mut(at) else { return };
        if let Some(seq) = listed.book.seq() {
            listed.gap(cause, seq, None, now, out);
            self.start_over(at, &format!("a change could not be read: {fault}"), now, out);
        }
    }

    /// A frame could not be read, and it may have been any book's.
    pub(super) fn lose_all(&mut self, fault: &Malformed, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lose(at, fault, now, out);
        }
    }
}

fn pause(tries: u32) -> u64 {
    (AGAIN_MS << tries.min(10)).min(AGAIN_MS_MAX)
}
