//! The instruments of a session, found by section and symbol.

use super::books::Book;
use crate::emit::event;
use crate::listing;
use crate::product::{ALL, Product};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Gap, GapCause, Instrument, InstrumentId, LaneFact, Ts};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one instrument's definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;

/// One instrument.
pub(super) struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Its section.
    pub product: Product,
    /// Its book.
    pub book: Book,
    /// Wanted channels; all where it reads a recording.
    pub wants: Vec<Channel>,
    all: bool,
    widened: u8,
}

impl Listed {
    /// Whether this channel of it is wanted.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.all || self.wants.contains(&channel)
    }

    /// Takes a wider definition that holds the number which did not fit.
    ///
    /// # Errors
    /// The fault itself where it is another, no definition holds the number, or it happened too often.
    pub fn widen(&mut self, fault: &Malformed, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        if self.widened >= WIDENED_MAX {
            return Err(*fault);
        }
        let wider = refit(&self.instrument, fault).ok_or(*fault)?;
        self.widened += 1;
        self.instrument = wider;
        out.push(Action::Emit(event(&self.instrument, Channel::Instruments, None, now, Body::Instrument)));
        Ok(())
    }

    /// Emits an event of it.
    #[inline]
    pub fn emit(&self, channel: Channel, ts: Option<Ts>, now: Ts, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, ts, now, body)));
    }

    /// Emits what became of one of its lanes.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        self.emit(channel, None, now, Body::Lane(fact), out);
    }

    /// Says that the book lost continuity.
    pub fn gap(&self, cause: GapCause, from: u64, to: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        let gap = Gap { cause, from_seq: Some(from), to_seq: to };
        self.emit(Channel::Book, None, now, Body::Gap(gap), out);
    }
}

type Places = HashMap<Box<[u8]>, usize, FixedState>;

/// All instruments of a session.
pub(super) struct Table {
    by_symbol: [Places; ALL.len()],
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition.
    pub growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        let empty = || HashMap::with_hasher(FixedState::default());
        Self { by_symbol: [empty(), empty(), empty(), empty()], all: Vec::new(), growing }
    }

    /// The place of a symbol, if it is listed.
    #[inline]
    pub fn known(&self, product: Product, symbol: &[u8]) -> Option<usize> {
        self.by_symbol.get(product as usize)?.get(symbol).copied()
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    #[inline]
    pub fn place(&mut self, product: Product, symbol: &[u8]) -> Option<usize> {
        match self.known(product, symbol) {
            Some(at) => Some(at),
            None if self.growing && self.all.len() < LISTED_MAX => {
                listing::provisional(product, symbol).and_then(|made| self.put(Arc::new(made)))
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, instrument: Arc<Instrument>) -> Option<usize> {
        let product = Product::of(&instrument)?;
        if let Some(at) = self.known(product, instrument.symbol.as_bytes()) {
            if let Some(listed) = self.all.get_mut(at) {
                listed.instrument = instrument;
            }
            return Some(at);
        }
        let at = self.all.len();
        self.by_symbol.get_mut(product as usize)?.insert(instrument.symbol.as_bytes().into(), at);
        let (book, wants, all) = (Book::default(), Vec::new(), self.growing);
        self.all.push(Listed { instrument, product, book, wants, all, widened: 0 });
        Some(at)
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let Some(product) = Product::of(instrument).filter(|_| *instrument.venue == *crate::NAME) else {
            return;
        };
        let room = self.growing && self.all.len() < LISTED_MAX;
        if room || self.known(product, instrument.symbol.as_bytes()).is_some() {
            self.put(Arc::clone(instrument));
        }
    }

    #[inline]
    pub fn get(&self, at: usize) -> Option<&Listed> {
        self.all.get(at)
    }

    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Listed> {
        self.all.get_mut(at)
    }

    pub const fn len(&self) -> usize {
        self.all.len()
    }

    pub fn by_id(&self, id: InstrumentId) -> Option<usize> {
        self.all.iter().position(|l| l.instrument.id == id)
    }
}
