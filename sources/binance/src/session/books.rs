//! Books: changes, snapshots, and what joins them.

use super::{Answer, BinanceSession, TIMER_BOOK, head};
use crate::parse::{self, Ids, Result, missing};
use crate::sync::{self, Rule, Span, Step};
use crate::table::{Asked, Book, Held, Listed, Waiting};
use model::{Body, Channel, Delta, GapCause, Snapshot, Ts};
use source::{Action, Cursor, Malformed, What};
use std::collections::VecDeque;
use std::ops::Range;

/// How long after a snapshot that was too old, or a book that broke soon, the next is asked for, in ms; doubled with each.
const AGAIN_MS: u64 = 250;
/// The longest wait between two snapshots, in ms.
const AGAIN_MS_MAX: u64 = 30_000;
/// How long a book must have been live for its next break not to count as soon, in ms.
const CALM_MS: i64 = 60_000;
/// How long after the acknowledgement a snapshot is asked for although no change has come, in ms.
const PATIENCE_MS: u64 = 5_000;
/// After how long an answer is taken for lost, in ms.
const LOST_MS: u64 = 120_000;
/// How many snapshots are asked for at a time.
const FLYING_MAX: usize = 8;
/// How many bytes may wait in all books of a session together.
const ALL_BYTES_MAX: usize = 64 << 20;

/// The snapshots that a session asks for.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// Places of books, in the order they will be asked for.
    queue: VecDeque<usize>,
    /// How many bytes wait, changes and recorded snapshots.
    bytes: usize,
    /// The book that began to wait last.
    latest: Option<usize>,
    /// A recorded snapshot of which the recording does not say whose it is.
    bare: Option<Box<[u8]>>,
}

/// The change of a book in the frame at hand.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Whose.
    pub at: usize,
    /// Which states it joins.
    pub span: Span,
    /// The venue's time.
    pub ts: Option<Ts>,
    /// Where its payload stands in the frame.
    pub payload: Range<usize>,
}

/// Which states an event joins.
pub(super) fn span(rule: Rule, ids: &Ids) -> Result<Span> {
    let id = |id: i64| u64::try_from(id).ok();
    let after = id(ids.last).ok_or(missing("u"))?;
    // The first event of a book on futures has `pu` -1.
    let before = match (rule, ids.first, ids.before) {
        (Rule::Chained, _, Some(before)) => id(before).unwrap_or(0),
        (Rule::Counted, Some(first), _) => id(first).unwrap_or(0).saturating_sub(1),
        (Rule::Chained, _, None) => return Err(missing("pu")),
        (Rule::Counted, None, _) => return Err(missing("U")),
    };
    Ok(Span { before, after })
}

/// How long a snapshot is not asked for after so many tries, in ms.
fn pause(tries: u32) -> u64 {
    tries.checked_sub(1).map_or(0, |doubled| (AGAIN_MS << doubled.min(10)).min(AGAIN_MS_MAX))
}

/// Asks to be woken where no change came in a while.
pub(super) fn arm(at: usize, now: Ts, out: &mut Vec<Action>) {
    out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(PATIENCE_MS) });
}

impl BinanceSession {
    /// A change of a book, its levels in `sides`.
    #[inline]
    pub(super) fn changed(&mut self, change: &Change, frame: &[u8], now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(change.at) else { return };
        listed.quiet.fed = true;
        if let Book::Live(chain) = &mut listed.book {
            match chain.step(change.span) {
                Step::Apply(prev) => {
                    let levels = self.sides.levels();
                    let (prev_seq, seq) = (Some(prev), Some(change.span.after));
                    let delta = Delta { prev_seq, seq, levels, checksum: None, epoch: 0 };
                    listed.emit(Channel::Book, change.ts, now, Body::Delta(delta), out);
                    return;
                }
                Step::Old => return out.push(Action::Control("covered_delta")),
                Step::Hole => {
                    let words =
                        format!("changes between {} and {} are missing", chain.at(), change.span.before);
                    listed.gap(GapCause::Sequence, Some(change.span.after), now, out);
                    self.start_over(change.at, &words, now, out);
                }
            }
        }
        let payload = frame.get(change.payload.clone()).unwrap_or_default();
        self.hold(change.at, Held { span: change.span, came: now, payload: payload.into() }, now, out);
    }

    /// Lets a book wait for changes and a snapshot. Where it was live its `Gap` was told before.
    pub(super) fn start_over(&mut self, at: usize, words: &str, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if let Book::Waiting(old) = &listed.book {
            self.snapshots.bytes = self.snapshots.bytes.saturating_sub(old.bytes);
        }
        listed.book = Book::Waiting(Waiting::default());
        self.snapshots.latest = Some(at);
        let request = &mut listed.request;
        if let Some(since) = request.live_since.take() {
            if now.ms_since(since) >= CALM_MS {
                request.tries = 0;
            }
            request.not_before = now.plus_ms(pause(request.tries));
            request.tries = request.tries.saturating_add(1);
        }
        let due = if request.not_before > now { request.not_before } else { now.plus_ms(PATIENCE_MS) };
        // The timer of a request on its way sees that its answer is not waited for without end.
        let free = request.asked == Asked::No;
        listed.syncing(words, now, out);
        if self.wanting && free {
            out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: due });
        }
    }

    /// Nobody wants the book any longer.
    pub(super) fn forget_book(&mut self, at: usize) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if let Book::Waiting(old) = &listed.book {
            self.snapshots.bytes = self.snapshots.bytes.saturating_sub(old.bytes);
        }
        (listed.book, listed.quiet) = (Book::Idle, super::Quiet::default());
        if listed.request.asked == Asked::Queued {
            listed.request.asked = Asked::No;
        }
        self.snapshots.queue.retain(|other| *other != at);
    }

    /// Keeps a change until a snapshot comes, and sees that one does.
    fn hold(&mut self, at: usize, held: Held, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if matches!(listed.book, Book::Idle) {
            self.start_over(at, "waits for a snapshot", now, out);
        }
        let Some(listed) = self.table.get_mut(at) else { return };
        listed.quiet.silent = false;
        let Book::Waiting(waiting) = &mut listed.book else { return };
        let size = held.payload.len();
        self.snapshots.bytes += size;
        let first = waiting.frames.is_empty();
        let at_once = first && listed.request.not_before <= now;
        out.push(Action::Control("held_delta"));
        if !waiting.push(held) || self.snapshots.bytes > ALL_BYTES_MAX {
            self.snapshots.bytes = self.snapshots.bytes.saturating_sub(waiting.bytes);
            listed.gap(GapCause::Overflow, None, now, out);
            return self.start_over(at, "too many changes wait for a snapshot: begins anew", now, out);
        }
        if first {
            let found = listed.held.take();
            if let Some(body) = &found {
                self.snapshots.bytes = self.snapshots.bytes.saturating_sub(body.len());
            }
            if let Some(body) = found.or_else(|| self.snapshots.bare.take()) {
                self.join(at, &body, now, out);
            }
        }
        if at_once {
            self.ask(at, now, out);
        }
    }

    /// Asks for a snapshot where a book waits for one and none is on its way.
    fn ask(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let waits = matches!(listed.book, Book::Waiting(_));
        if !waits || listed.request.asked != Asked::No || !self.open || !self.wanting {
            return;
        }
        listed.request.asked = Asked::Queued;
        self.snapshots.queue.push_back(at);
        self.fetch(now, out);
    }

    /// Sends requests for as many snapshots as may be asked for at a time.
    fn fetch(&mut self, now: Ts, out: &mut Vec<Action>) {
        let flying = |listed: &&Listed| listed.request.asked == Asked::Flying;
        let mut free = FLYING_MAX.saturating_sub(self.table.all().filter(flying).count());
        while free > 0
            && let Some(at) = self.snapshots.queue.pop_front()
        {
            let Some(listed) = self.table.get_mut(at).filter(|l| l.request.asked == Asked::Queued) else {
                continue;
            };
            if matches!(listed.book, Book::Waiting(_)) {
                listed.request.asked = Asked::Flying;
                free -= 1;
                self.fetch_one(at, now, out);
            } else {
                listed.request.asked = Asked::No;
            }
        }
    }

    /// Sends the request for a snapshot.
    pub(super) fn fetch_one(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get(at) else { return };
        let path = listed.product.depth_path(&listed.instrument.symbol);
        let weight = listed.product.depth_weight(crate::product::DEPTH_LIMIT);
        out.push(Action::Fetch { tag: at as u64, path, weight });
        out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(LOST_MS) });
    }

    /// The time to ask for a snapshot has come, or an answer is lost.
    pub(super) fn book_timer(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        match listed.book {
            Book::Waiting(_) => {}
            Book::Live(_) => return self.check(at, now, out),
            Book::Idle => return,
        }
        match listed.request.asked {
            Asked::No if listed.quiet.silent => self.subscribe_anew(at, now, out),
            Asked::No => self.ask(at, now, out),
            Asked::Queued => {}
            Asked::Flying => {
                self.again(at, "no answer came to the request for a snapshot", None, now, out);
                self.fetch(now, out);
            }
        }
    }

    /// The answer to one of our own requests.
    pub(super) fn snapshot_answer(&mut self, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else {
            return out.push(Action::Control("snapshot_not_awaited"));
        };
        listed.request.asked = Asked::No;
        match listed.book {
            Book::Waiting(_) => {
                if answer.status == 200 {
                    self.join(at, answer.body, now, out);
                } else {
                    let words = format!("no snapshot: status {} {}", answer.status, head(answer.body));
                    self.again(at, &words, answer.retry_ms, now, out);
                }
            }
            Book::Live(_) => self.checked(at, answer, now, out),
            Book::Idle => out.push(Action::Control("snapshot_not_awaited")),
        }
        self.fetch(now, out);
    }

    /// An answer found in a recording: used by the book that waits for it, kept where it comes before the first change.
    pub(super) fn found_snapshot(&mut self, url: &str, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        if answer.status != 200 && answer.status != 0 {
            return out.push(Action::Control("snapshot_refused"));
        }
        let room = self.snapshots.bytes + answer.body.len() <= ALL_BYTES_MAX;
        let at = if url.is_empty() { self.awaiting() } else { self.place_of(url) };
        let Some((at, listed)) = at.and_then(|at| Some((at, self.table.get_mut(at)?))) else {
            if url.is_empty() && room {
                self.snapshots.bare = Some(answer.body.into());
            }
            return out.push(Action::Control("snapshot_kept"));
        };
        match &listed.book {
            Book::Waiting(waiting) if !waiting.frames.is_empty() => self.join(at, answer.body, now, out),
            Book::Idle | Book::Waiting(_) => {
                if room {
                    let old = listed.held.replace(answer.body.into()).map_or(0, |body| body.len());
                    self.snapshots.bytes = self.snapshots.bytes.saturating_sub(old) + answer.body.len();
                }
                out.push(Action::Control("snapshot_kept"));
            }
            Book::Live(_) => out.push(Action::Control("snapshot_not_awaited")),
        }
    }

    /// The book that waits; where several do, the one that began last.
    fn awaiting(&self) -> Option<usize> {
        let waits = |at: &usize| matches!(self.table.get(*at).map(|l| &l.book), Some(Book::Waiting(_)));
        self.snapshots.latest.filter(waits).or_else(|| (0..self.table.len()).rev().find(waits))
    }

    /// Begins a book: the snapshot, then the changes that waited.
    fn join(&mut self, at: usize, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        let (last, ts) = match self.read_snapshot(at, body, now, out) {
            Ok(read) => read,
            Err(fault) => {
                out.push(Action::Malformed(fault));
                let words = format!("the snapshot cannot be read: {fault}: {}", head(body));
                return self.again(at, &words, None, now, out);
            }
        };
        let Ok(last) = u64::try_from(last) else {
            return self.again(at, "the venue has no snapshot yet", None, now, out);
        };
        let Some(listed) = self.table.get_mut(at) else { return };
        let rule = listed.product.rule;
        let Book::Waiting(waiting) = &mut listed.book else { return };
        let Some(chain) = sync::join(rule, last, waiting.frames.iter().map(|held| held.span)) else {
            let words = format!("the snapshot ({last}) is older than the changes that wait");
            return self.again(at, &words, None, now, out);
        };
        let waiting = std::mem::take(waiting);
        self.snapshots.bytes = self.snapshots.bytes.saturating_sub(waiting.bytes);
        listed.book = Book::Live(chain);
        listed.request.live_since = Some(now);
        let levels = self.sides.levels();
        let snapshot = Snapshot { seq: Some(last), levels, checksum: None, epoch: 0 };
        listed.emit(Channel::Book, ts, now, Body::Snapshot(snapshot), out);
        self.watch(at, now, out);
        for held in waiting.frames {
            if let Err(fault) = self.release(at, &held, out) {
                out.push(Action::Malformed(fault));
                return self.lost(at, fault, now, out);
            }
        }
    }

    /// Reads a snapshot into `sides`; gives its id, which is negative where the venue has none yet, and its time.
    fn read_snapshot(
        &mut self,
        at: usize,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<(i64, Option<Ts>)> {
        loop {
            let Some(listed) = self.table.get_mut(at) else { return Err(missing("symbol")) };
            let mut c = Cursor::new(body);
            let read = parse::book(&mut c, &listed.instrument, &mut self.sides, &mut self.odd);
            match read.and_then(|read| c.end().map(|()| read)) {
                Ok((seen, ids)) => return Ok((ids.last, seen.ts)),
                Err(fault) => listed.widen(fault, now, out)?,
            }
        }
    }

    /// Emits a change that waited.
    fn release(&mut self, at: usize, held: &Held, out: &mut Vec<Action>) -> Result<()> {
        loop {
            let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
            let mut c = Cursor::new(&held.payload);
            match parse::book(&mut c, &listed.instrument, &mut self.sides, &mut self.odd) {
                Ok((seen, _)) => {
                    let change = Change { at, span: held.span, ts: seen.ts, payload: 0..held.payload.len() };
                    self.changed(&change, &held.payload, held.came, out);
                    return Ok(());
                }
                Err(fault) => listed.widen(fault, held.came, out)?,
            }
        }
    }

    /// A change of a book could not be read.
    pub(super) fn lost(&mut self, at: usize, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let scale = matches!(fault.what, What::Scale(..));
        let cause = if scale { GapCause::Scale } else { GapCause::Malformed };
        let Some(listed) = self.table.get_mut(at) else { return };
        if matches!(listed.book, Book::Live(_)) {
            listed.gap(cause, None, now, out);
            self.start_over(at, &format!("a change could not be read: {fault}"), now, out);
        }
    }

    /// A frame could not be read, and it may have been any book's.
    pub(super) fn lost_all(&mut self, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lost(at, fault, now, out);
        }
    }

    /// Asks for another snapshot after a while; the changes go on waiting.
    fn again(&mut self, at: usize, words: &str, retry_ms: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if !matches!(listed.book, Book::Waiting(_)) {
            return;
        }
        let request = &mut listed.request;
        (request.asked, request.tries) = (Asked::No, request.tries.saturating_add(1));
        let wait = pause(request.tries).max(retry_ms.unwrap_or(0));
        request.not_before = now.plus_ms(wait);
        if self.wanting {
            listed.syncing(format!("{words}; asks again in {wait} ms"), now, out);
            out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(wait) });
        } else {
            listed.syncing(words, now, out);
        }
    }
}
