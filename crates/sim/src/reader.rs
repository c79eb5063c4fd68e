//! A reader as any client is one: it keeps books by what is published, and checks what it was promised.

use book::Book;
use model::{Body, Channel, Event, GapCause, Instrument, InstrumentId, Level, TradeId};
use source::SimBook;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many broken promises are told in words.
const WORDS_MAX: usize = 20;

/// Books as published, and what was wrong with what was published.
#[derive(Default)]
pub(crate) struct Reader {
    books: BTreeMap<InstrumentId, Option<Held>>,
    trades: BTreeMap<(InstrumentId, Channel), BTreeSet<u64>>,
    /// Gaps that were told.
    pub gaps: u64,
    /// The first of them that another connection could have healed, in words. A frame that is lost from a book without
    /// numbers shows itself only when the book crosses, whoever else carries it; what the venue starts again is started again
    /// on every connection.
    pub gap_words: Vec<String>,
    /// Events that were told.
    pub events: u64,
    /// Broken promises, in words.
    pub wrong: Vec<String>,
    /// A hash of everything that was told, in order.
    pub digest: u64,
}

/// A live book with the definition that its numbers are of.
struct Held {
    book: Book,
    instrument: Arc<Instrument>,
}

impl Held {
    /// Writes its numbers at the scales of a new definition; false where they do not fit.
    fn redefine(&mut self, new: &Arc<Instrument>) -> bool {
        let old = std::mem::replace(&mut self.instrument, Arc::clone(new));
        self.book.redefine(&old, new)
    }
}

impl Reader {
    pub fn on(&mut self, event: &Event) {
        self.events += 1;
        let text = format!("{event:?}");
        self.digest =
            text.bytes().fold(self.digest, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let name = &event.instrument.name;
        let id = event.instrument.id;
        match (&event.body, event.channel) {
            (Body::Snapshot(snapshot), Channel::Book) => {
                let mut book = Book::default();
                book.reset(snapshot);
                self.books.insert(id, Some(Held { book, instrument: Arc::clone(&event.instrument) }));
            }
            (Body::Delta(delta), Channel::Book) => match self.books.get_mut(&id) {
                Some(Some(held)) => {
                    if !held.redefine(&event.instrument) {
                        self.complain(format!("{name}: a level does not fit the new definition"));
                    } else if let Err(broken) = held.book.apply(delta) {
                        self.complain(format!("{name}: a delta does not follow: {broken:?}"));
                    }
                }
                _ => self.complain(format!("{name}: a delta for a book that is not live")),
            },
            (Body::Gap(gap), Channel::Book) => {
                self.gaps += 1;
                let held = self.books.get(&id).and_then(Option::as_ref);
                let unseen =
                    gap.cause == GapCause::Crossed && held.is_some_and(|held| held.book.seq().is_none());
                let by_venue = gap.cause == GapCause::VenueReset;
                if !unseen && !by_venue && self.gap_words.len() < WORDS_MAX {
                    self.gap_words.push(format!("{name}: {}", gap.cause.name()));
                }
                self.books.insert(id, None);
            }
            (Body::Trade(trade), channel) => {
                if let TradeId::Num(number) = trade.id
                    && !self.trades.entry((id, channel)).or_default().insert(number)
                {
                    self.complain(format!("{name}: trade {number} on {} was told twice", channel.name()));
                }
            }
            _ => {}
        }
    }

    fn complain(&mut self, words: String) {
        if self.wrong.len() < WORDS_MAX {
            self.wrong.push(words);
        }
    }

    /// Whether every true book is held.
    pub fn is_live(&self, truth: &[SimBook]) -> bool {
        truth.iter().all(|book| matches!(self.books.get(&book.instrument.id), Some(Some(_))))
    }

    /// Holds the books against the true ones.
    pub fn compare(&mut self, truth: &[SimBook]) {
        for book in truth {
            let name = book.instrument.name.clone();
            let Some(Some(held)) = self.books.get(&book.instrument.id) else {
                self.complain(format!("{name}: the book is not live at the end"));
                continue;
            };
            let bids: Vec<Level> = held.book.bids().collect();
            let asks: Vec<Level> = held.book.asks().collect();
            let seq = held.book.seq();
            if !book.has(&held.instrument, &bids, &asks) {
                self.complain(format!(
                    "{name}: the book at {seq:?} differs from the true one at {:?}",
                    book.seq
                ));
            } else if seq.is_some() && seq != book.seq {
                self.complain(format!("{name}: the book stands at {seq:?}, the true one at {:?}", book.seq));
            }
        }
    }
}
