//! The instruments of a session, found by product and symbol, each with its book's state.

use crate::listing;
use crate::parse::{emit, event};
use crate::product::{PRODUCTS, Product};
use crate::sync::Chain;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Gap, GapCause, Instrument, InstrumentId, LaneFact, Ts};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;
/// How many bytes of changes may wait for a snapshot, a book.
pub const BUFFER_BYTES_MAX: usize = 8 << 20;

/// What a book is doing.
pub enum Book {
    /// Nothing has come yet.
    Idle,
    /// Changes wait for a snapshot.
    Waiting(Buffer),
    /// It follows the venue.
    Live(Chain),
}

/// Changes that wait for a snapshot, as they came.
#[derive(Default)]
pub struct Buffer {
    /// The payloads with the times they came at.
    pub frames: Vec<(Box<[u8]>, Ts)>,
    bytes: usize,
    /// How many snapshots were asked for in vain.
    pub tries: u32,
}

impl Buffer {
    /// Adds a change; false where the cap is reached.
    pub fn push(&mut self, frame: &[u8], now: Ts) -> bool {
        self.bytes += frame.len();
        self.frames.push((frame.into(), now));
        self.bytes <= BUFFER_BYTES_MAX
    }
}

/// One instrument.
pub struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Its section.
    pub product: &'static Product,
    /// Its book.
    pub book: Book,
    /// A recorded snapshot that came before the first change.
    pub held: Option<Box<[u8]>>,
    widened: u8,
}

impl Listed {
    /// Takes a wider definition that holds the number which did not fit.
    ///
    /// # Errors
    /// The fault itself where it is another, none holds the number, or it happened too often.
    pub fn widen(&mut self, fault: Malformed, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        if self.widened >= WIDENED_MAX {
            return Err(fault);
        }
        self.instrument = refit(&self.instrument, &fault).ok_or(fault)?;
        self.widened += 1;
        emit(event(&self.instrument, Channel::Instruments, None, now, Body::Instrument), out);
        Ok(())
    }

    /// Says that the book lost continuity, where it had any, and forgets it.
    pub fn gap(&mut self, cause: GapCause, to_seq: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        if let Book::Live(chain) = &self.book {
            let gap = Gap { cause, from_seq: Some(chain.at()), to_seq };
            emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap)), out);
        }
        self.book = Book::Idle;
    }

    /// Tells what became of a subscription.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        emit(event(&self.instrument, channel, None, now, Body::Lane(fact)), out);
    }

    /// Says that the book waits, in these words.
    pub fn syncing(&self, words: String, now: Ts, out: &mut Vec<Action>) {
        self.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
    }
}

/// All instruments of a session.
pub struct Table {
    by_symbol: [HashMap<Box<[u8]>, usize, FixedState>; 3],
    all: Vec<Listed>,
    growing: bool,
}

impl Table {
    /// Empty; `growing` where unknown symbols get a provisional definition.
    pub fn new(growing: bool) -> Self {
        let map = || HashMap::with_hasher(FixedState::default());
        Self { by_symbol: [map(), map(), map()], all: Vec::new(), growing }
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    #[inline]
    pub fn place(&mut self, product: &'static Product, symbol: &[u8]) -> Option<usize> {
        if let Some(at) = self.by_symbol.get(product.endpoint).and_then(|map| map.get(symbol)) {
            return Some(*at);
        }
        let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
        let ok = self.growing && self.all.len() < LISTED_MAX && !symbol.is_empty() && symbol.len() <= 64;
        if !ok || !symbol.iter().all(plain) {
            return None;
        }
        let symbol = std::str::from_utf8(symbol).ok()?;
        Some(self.put(&Arc::new(listing::provisional(product, symbol))))
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, instrument: &Arc<Instrument>) -> usize {
        let product = Product::named(&instrument.product).unwrap_or(&PRODUCTS[0]);
        let next = self.all.len();
        let Some(map) = self.by_symbol.get_mut(product.endpoint) else { return next };
        let at = *map.entry(instrument.symbol.as_bytes().into()).or_insert(next);
        match self.all.get_mut(at) {
            Some(listed) => listed.instrument = Arc::clone(instrument),
            None => self.all.push(Listed {
                instrument: Arc::clone(instrument),
                product,
                book: Book::Idle,
                held: None,
                widened: 0,
            }),
        }
        at
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let known = Product::named(&instrument.product)
            .and_then(|p| self.by_symbol.get(p.endpoint))
            .is_some_and(|map| map.contains_key(instrument.symbol.as_bytes()));
        if *instrument.venue == *crate::NAME && (known || self.growing && self.all.len() < LISTED_MAX) {
            self.put(instrument);
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

    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Listed> {
        self.all.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn by_id(&self, id: InstrumentId) -> Option<usize> {
        self.all.iter().position(|l| l.instrument.id == id)
    }
}
