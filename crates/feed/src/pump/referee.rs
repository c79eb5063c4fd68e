//! Holds a live book against the venue's REST book at the same number, now and then.
//!
//! When the question leaves, the book is copied; the deltas that follow are kept. The answer's number then names a state
//! that the copy can be brought to exactly. Where no delta leads to that number nothing is said.

use super::common::Common;
use super::merge::Key;
use super::port::{Conn, Io, Out};
use book::Book;
use model::{Body, Channel, Delta, Event, Finding, Instrument, Snapshot, Ts};
use source::{Request, Source};
use std::collections::VecDeque;
use std::sync::Arc;

/// Marks the requests that are made here.
pub const TAG: u64 = 1 << 61;
/// How many deltas are kept while an answer is on its way.
const DELTAS_MAX: usize = 4_096;
/// How long the book may take to come to the answer's number, and an answer to come, in ms.
const PATIENCE_MS: u64 = 15_000;
/// How many levels that differ are told.
const TOLD_MAX: usize = 3;

/// What came of it, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Books that equalled the venue's.
    pub equal: u64,
    /// Books that did not.
    pub different: u64,
    /// Questions that could not be decided: no answer, or no delta led to its number.
    pub undecided: u64,
}

/// See the module.
pub struct Referee {
    every_ms: u64,
    next_at: Ts,
    /// The last book that was looked at.
    last: Option<Key>,
    case: Option<Case>,
    tags: u64,
    pub verdicts: Verdicts,
}

/// A book in question.
struct Case {
    instrument: Arc<Instrument>,
    tag: u64,
    book: Book,
    deltas: VecDeque<Delta>,
    answer: Option<Snapshot>,
    until: Ts,
}

impl Referee {
    /// Looks at a book every `every_ms`; never where that is 0.
    pub fn new(every_ms: u64) -> Self {
        let verdicts = Verdicts::default();
        Self { every_ms, next_at: Ts::default(), last: None, case: None, tags: 0, verdicts }
    }

    /// When [`Self::step`] has something to do.
    pub fn next_wake(&self) -> Option<Ts> {
        (self.every_ms > 0).then(|| self.case.as_ref().map_or(self.next_at, |case| case.until))
    }

    /// The clock was set.
    pub fn start_again(&mut self) {
        (self.case, self.next_at) = (None, Ts::default());
    }

    /// Asks about the next book, where its time has come.
    pub fn step(&mut self, source: &dyn Source, conn: Conn, now: Ts, common: &mut Common, out: &mut Out) {
        if self.every_ms == 0 {
            return;
        }
        if self.case.as_ref().is_some_and(|case| case.until <= now) {
            self.case = None;
            self.verdicts.undecided += 1;
        }
        if self.case.is_some() || self.next_at > now {
            return;
        }
        let first = self.next_at == Ts::default();
        self.next_at = now.plus_ms(self.every_ms);
        if first {
            return;
        }
        let live = || {
            common
                .merge
                .engine
                .books()
                .filter(|(_, channel, book)| *channel == Channel::Book && book.seq().is_some())
        };
        let key = |instrument: &Arc<Instrument>| (instrument.id, Channel::Book);
        let after =
            live().filter(|(i, ..)| self.last.is_none_or(|last| key(i) > last)).min_by_key(|(i, ..)| i.id);
        let Some((instrument, _, book)) = after.or_else(|| live().min_by_key(|(i, ..)| i.id)) else { return };
        self.last = Some(key(instrument));
        let Some(Request { endpoint, path, weight }) = source.rest().book(instrument) else { return };
        self.tags = (self.tags + 1) % TAG;
        let tag = TAG | self.tags;
        common.counters.fetches += 1;
        out.io.push(Io::Fetch { conn, tag, endpoint, path, weight });
        let until = now.plus_ms(PATIENCE_MS);
        let (instrument, book) = (Arc::clone(instrument), book.clone());
        self.case = Some(Case { instrument, tag, book, deltas: VecDeque::new(), answer: None, until });
    }

    /// Whether a book is in question.
    #[inline]
    pub const fn has_case(&self) -> bool {
        self.case.is_some()
    }

    /// Sees what was told.
    pub fn sees(&mut self, event: &Event) {
        let Some(case) = &mut self.case else { return };
        if event.channel != Channel::Book || event.instrument.id != case.instrument.id {
            return;
        }
        match &event.body {
            Body::Delta(delta) if Arc::ptr_eq(&event.instrument, &case.instrument) => {
                case.deltas.push_back(delta.clone());
                if case.deltas.len() > DELTAS_MAX {
                    self.give_up();
                }
            }
            Body::Delta(_) | Body::Snapshot(_) | Body::Gap(_) => self.give_up(),
            _ => {}
        }
    }

    fn give_up(&mut self) {
        self.case = None;
        self.verdicts.undecided += 1;
    }

    /// Takes an answer.
    pub fn reply(&mut self, source: &dyn Source, tag: u64, status: u16, body: &[u8]) {
        let Some(case) = self.case.as_mut().filter(|case| case.tag == tag) else { return };
        match source.rest().read_book(&case.instrument, body) {
            Ok(snapshot) if status == 200 && snapshot.seq.is_some() => case.answer = Some(snapshot),
            _ => self.give_up(),
        }
    }

    /// Compares, where the copy can be brought to the answer's number. Where they differ: the finding.
    pub fn decide(&mut self, source: model::SourceName, now: Ts) -> Option<Event> {
        let case = self.case.as_mut()?;
        let answer = case.answer.as_ref()?;
        while case.book.seq() != answer.seq {
            let Some(delta) = case.deltas.pop_front() else {
                // A number that is passed will not come again.
                if case.book.seq() > answer.seq {
                    self.give_up();
                }
                return None;
            };
            if case.book.apply(&delta).is_err() {
                self.give_up();
                return None;
            }
        }
        let words = differences(&case.instrument, &case.book, answer);
        let case = self.case.take()?;
        if words.is_empty() {
            self.verdicts.equal += 1;
            return None;
        }
        self.verdicts.different += 1;
        let what =
            format!("the book at {:?} differs from the venue's: {}", answer_seq(&case), words.join("; "));
        let finding = Finding {
            check: "book_mismatch".into(),
            channel: Channel::Book,
            what: what.into(),
            samples: Vec::new(),
        };
        Some(Event {
            source,
            instrument: case.instrument,
            channel: Channel::Findings,
            flags: model::Flags::DERIVED,
            stamp: model::Stamp { ts_event: None, ts_recv: now },
            body: Body::Finding(Box::new(finding)),
        })
    }
}

fn answer_seq(case: &Case) -> u64 {
    case.answer.as_ref().and_then(|answer| answer.seq).unwrap_or_default()
}

/// Where the levels that both hold are not the same, in words.
fn differences(instrument: &Instrument, ours: &Book, theirs: &Snapshot) -> Vec<String> {
    let mut reference = Book::default();
    reference.reset(theirs);
    let mut words = Vec::new();
    let sides: [(&str, Vec<_>, Vec<_>); 2] = [
        ("bid", ours.bids().collect(), reference.bids().collect()),
        ("ask", ours.asks().collect(), reference.asks().collect()),
    ];
    for (side, ours, theirs) in sides {
        for (a, b) in ours.iter().zip(&theirs).filter(|(a, b)| a != b).take(TOLD_MAX) {
            let text = |level: &model::Level| {
                let px = model::Decimal::new(level.px.0.into(), instrument.px_scale);
                let qty = model::Decimal::new(level.qty.0.into(), instrument.qty_scale);
                format!("{px} × {qty}")
            };
            words.push(format!("{side} {}, the venue has {}", text(a), text(b)));
        }
    }
    words
}
