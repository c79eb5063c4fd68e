//! Books: changes, snapshots, and what joins them.

use super::{Answer, BinanceSession, TIMER_BOOK};
use crate::cold;
use crate::parse::{self, Fields, Result, emit};
use crate::sync::{Chain, Span, Step};
use crate::table::{Book, Buffer};
use model::{Body, Channel, Event, GapCause, Ts};
use source::{Action, Cursor, Malformed, What};

/// How long after a snapshot that was too old the next is asked for, in ms; doubled with each try.
const AGAIN_MS: u64 = 500;
/// The longest wait between two snapshots, in ms.
const AGAIN_MS_MAX: u64 = 30_000;

impl BinanceSession {
    /// A change of a book.
    pub(super) fn change<'a>(
        &mut self,
        at: usize,
        fields: &Fields<'a>,
        start: &Cursor<'a>,
        end: &Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let span = span(fields, start)?;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if let Book::Live(chain) = &mut listed.book {
            let from = chain.at();
            let mut next = *chain;
            match next.step(span) {
                Step::Old => {
                    out.push(Action::Control("change that the book has already"));
                    return Ok(());
                }
                Step::Apply(prev) => {
                    *chain = next;
                    return self.apply(at, fields, prev, now, out);
                }
                Step::Hole => {
                    let words = format!("changes between {from} and {} are missing", span.before);
                    listed.gap(GapCause::Sequence, Some(span.after), now, out);
                    listed.syncing(words, now, out);
                }
            }
        }
        self.hold(at, start.between(end), now, out);
        Ok(())
    }

    /// Emits a change; a number that does not fit widens the definition.
    fn apply(
        &mut self,
        at: usize,
        fields: &Fields<'_>,
        prev: u64,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let scratch = &mut self.scratch;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        loop {
            match parse::delta(fields, &listed.instrument, prev, scratch, now) {
                Ok(event) => {
                    emit(event, out);
                    return Ok(());
                }
                Err(fault) => {
                    if let Err(fault) = listed.widen(fault, now, out) {
                        let scale = matches!(fault.what, What::Scale(..));
                        let cause = if scale { GapCause::Scale } else { GapCause::Malformed };
                        listed.gap(cause, None, now, out);
                        listed.syncing(format!("a change could not be read: {fault}"), now, out);
                        return Err(fault);
                    }
                }
            }
        }
    }

    /// Keeps a change until a snapshot comes, and sees that one does.
    fn hold(&mut self, at: usize, payload: &[u8], now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let begins = matches!(listed.book, Book::Idle | Book::Live(_));
        if begins {
            listed.book = Book::Waiting(Buffer::default());
            listed.syncing("waits for a snapshot".to_owned(), now, out);
        }
        let Book::Waiting(buffer) = &mut listed.book else { return };
        out.push(Action::Control("change that waits for a snapshot"));
        if !buffer.push(payload, now) {
            listed.book = Book::Idle;
            listed.syncing("too many changes wait for a snapshot; begins anew".to_owned(), now, out);
            return;
        }
        if let Some(held) = listed.held.take() {
            self.join(at, &held, now, out);
        } else if begins && let Some(bare) = self.bare.take() {
            self.join(at, &bare, now, out);
        }
        if begins {
            self.fetch(at, out);
        }
    }

    /// Asks for a snapshot where a book waits for one.
    pub(super) fn fetch(&mut self, at: usize, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get(at) else { return };
        if self.open && matches!(listed.book, Book::Waiting(_)) {
            let path = listed.product.depth_path(&listed.instrument.symbol);
            out.push(Action::Fetch { tag: at as u64, path, weight: listed.product.depth_weight });
        }
    }

    pub(super) fn reply(
        &mut self,
        tag: Option<u64>,
        path: &str,
        answer: Answer<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        if path.contains("/openInterest") {
            return self.open_interest(tag, answer, now, out);
        }
        if !path.is_empty() && !path.contains("/depth") {
            return out.push(Action::Control("answer that nobody reads"));
        }
        let at = match tag {
            Some(tag) => Some(tag as usize),
            None => self.whose(path),
        };
        let Some(at) = at else {
            // Of a book that has not begun; it is the first that does.
            self.bare = Some(answer.body.into());
            return out.push(Action::Control("snapshot of a book that has not begun"));
        };
        let Some(listed) = self.table.get_mut(at) else { return };
        match &listed.book {
            Book::Waiting(_) if answer.status == 200 => self.join(at, answer.body, now, out),
            Book::Waiting(_) => {
                let words =
                    format!("the snapshot was refused: status {} {}", answer.status, head(answer.body));
                self.again(at, &words, answer.retry_ms, now, out);
            }
            Book::Idle if tag.is_none() => {
                listed.held = Some(answer.body.into());
                out.push(Action::Control("snapshot of a book that has not begun"));
            }
            Book::Idle | Book::Live(_) => out.push(Action::Control("snapshot that nobody waits for")),
        }
    }

    /// Whose book a recorded answer is: by the symbol in its URL, or the one that waits.
    fn whose(&mut self, path: &str) -> Option<usize> {
        if path.is_empty() {
            let mut waiting = (0..self.table.len())
                .filter(|at| self.table.get(*at).is_some_and(|l| matches!(l.book, Book::Waiting(_))));
            return waiting.next_back();
        }
        let symbol = path.split(['?', '&']).find_map(|part| part.strip_prefix("symbol="))?.to_owned();
        let product = super::by_url(path).or(self.product).unwrap_or(&crate::product::PRODUCTS[0]);
        self.table.place(product, symbol.as_bytes())
    }

    /// Begins a book: the snapshot, then the changes that waited.
    fn join(&mut self, at: usize, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        let event = match self.snapshot(at, body, now, out) {
            Ok(event) => event,
            Err(fault) => {
                out.push(Action::Malformed(fault));
                let words = format!("the snapshot could not be read: {fault}: {}", head(body));
                return self.again(at, &words, None, now, out);
            }
        };
        let Body::Snapshot(snapshot) = &event.body else { return };
        let Some(last) = snapshot.seq else {
            return self.again(at, "the venue has no snapshot yet", None, now, out);
        };
        let mut chain = Chain::from_snapshot(last);
        let Some(listed) = self.table.get_mut(at) else { return };
        let Book::Waiting(buffer) = &mut listed.book else { return };
        let mut spans = buffer.frames.iter().map(|(frame, _)| {
            let mut c = Cursor::new(frame);
            let start = c.clone();
            Fields::read(&mut c, |_| {}).and_then(|f| span(&f, &start))
        });
        let first = spans.find_map(|span| match span.map(|span| chain.step(span)) {
            Ok(Step::Old) => None,
            Ok(step) => Some(step),
            Err(_) => Some(Step::Hole),
        });
        if first == Some(Step::Hole) {
            let words = format!("the snapshot ({last}) is older than the first change that waits");
            return self.again(at, &words, None, now, out);
        }
        let frames = std::mem::take(&mut buffer.frames);
        listed.book = Book::Live(Chain::from_snapshot(last));
        emit(event, out);
        for (frame, came) in frames {
            let mut c = Cursor::new(&frame);
            let start = c.clone();
            let read = Fields::read(&mut c, |_| {}).and_then(|f| self.change(at, &f, &start, &c, came, out));
            if let Err(fault) = read {
                out.push(Action::Malformed(fault));
            }
        }
    }

    /// Reads a snapshot as an event; its `seq` is `None` where the venue has none yet.
    fn snapshot(&mut self, at: usize, body: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<Event> {
        let text = body.windows(19).any(|w| w == b"\"lastUpdateId\":-1,\"" || w == b"\"lastUpdateId\":-1,\n");
        let mut c = Cursor::new(body);
        let fields = if text {
            let (instrument, scratch) = (self.table.get(at).map(|l| l.instrument.clone()), &mut self.scratch);
            scratch.clear();
            let Some(instrument) = instrument else { return Err(c.fault(What::Missing("instrument"))) };
            let none =
                model::Snapshot { seq: None, levels: model::Levels::default(), checksum: None, epoch: 0 };
            return Ok(parse::event(&instrument, Channel::Book, None, now, Body::Snapshot(none)));
        } else {
            Fields::read(&mut c, |_| {})?
        };
        c.end()?;
        if fields.last.is_none() {
            return Err(Malformed { at: 0, what: What::Missing("lastUpdateId") });
        }
        let scratch = &mut self.scratch;
        let Some(listed) = self.table.get_mut(at) else { return Err(c.fault(What::Missing("instrument"))) };
        loop {
            match parse::snapshot(&fields, &listed.instrument, Channel::Book, scratch, now) {
                Ok(event) => return Ok(event),
                Err(fault) => listed.widen(fault, now, out)?,
            }
        }
    }

    /// Asks for another snapshot after a while; the changes go on waiting.
    fn again(&mut self, at: usize, words: &str, retry_ms: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        let Book::Waiting(buffer) = &mut listed.book else { return };
        let wait =
            AGAIN_MS.saturating_mul(1 << buffer.tries.min(8)).min(AGAIN_MS_MAX).max(retry_ms.unwrap_or(0));
        buffer.tries += 1;
        listed.syncing(format!("{words}; asks again in {wait} ms"), now, out);
        out.push(Action::WakeAt { timer: TIMER_BOOK + at as u64, at: now.plus_ms(wait) });
    }

    fn open_interest(&mut self, tag: Option<u64>, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = tag.and_then(|tag| self.table.get(tag as usize)) else { return };
        if answer.status != 200 {
            let words = format!("status {} {}", answer.status, head(answer.body));
            return listed.fact(Channel::OpenInterest, model::LaneFact::Syncing(words.into()), now, out);
        }
        match cold::open_interest(answer.body, &listed.instrument, now) {
            Ok(event) => {
                listed.fact(Channel::OpenInterest, model::LaneFact::Acked, now, out);
                emit(event, out);
            }
            Err(fault) => out.push(Action::Malformed(fault)),
        }
    }
}

fn span(fields: &Fields<'_>, start: &Cursor<'_>) -> Result<Span> {
    let missing = |field| start.fault(What::Missing(field));
    let after = fields.last.ok_or_else(|| missing("u"))?;
    let before = match fields.before {
        Some(before) => before,
        None => fields.first.ok_or_else(|| missing("U"))?.saturating_sub(1),
    };
    Ok(Span { before, after })
}

/// The beginning of an answer, for people.
fn head(body: &[u8]) -> String {
    body.get(..body.len().min(80)).unwrap_or_default().escape_ascii().to_string()
}
