//! The instruments of a session, found by symbol: its form tells the section, so that symbols are unique.

use super::books::Book;
use crate::emit::event;
use crate::listing;
use crate::number::{FINEST, Numbers};
use crate::product::Product;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Instrument, InstrumentId, LaneFact, Scale, Ts};
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
    /// The topic that feeds its best levels: the first one that came.
    pub top: Option<usize>,
    /// As in [`Numbers::finest`].
    finest: Scale,
    wants: u32,
    widened: u8,
}

const fn bit(channel: Channel) -> u32 {
    1 << channel as u32
}

impl Listed {
    fn new(instrument: Arc<Instrument>, product: Product) -> Self {
        Self { instrument, product, book: Book::default(), top: None, finest: FINEST, wants: 0, widened: 0 }
    }

    /// Whether the shard wants this channel of it.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants & bit(channel) != 0
    }

    /// How its numbers are read.
    #[inline]
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers { instrument: &self.instrument, finest: self.finest }
    }

    /// Takes a wider definition that holds the number which did not fit.
    ///
    /// # Errors
    /// The fault itself where it is another, no definition holds the number, or it happened too often.
    #[cold]
    pub fn widen(&mut self, fault: &Malformed, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        if self.widened >= WIDENED_MAX {
            return Err(*fault);
        }
        let wider = refit(&self.instrument, fault).ok_or(*fault)?;
        self.widened += 1;
        if wider.qty_scale < self.instrument.qty_scale {
            // A large quantity needs the room: from now on finer ones are cut.
            self.finest = wider.qty_scale;
        }
        self.instrument = wider;
        out.push(Action::Emit(event(&self.instrument, Channel::Instruments, None, now, Body::Instrument)));
        Ok(())
    }

    /// Says what became of a lane.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }
}

/// All instruments of a session.
pub(super) struct Table {
    by_symbol: HashMap<Box<[u8]>, usize, FixedState>,
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition.
    growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        Self { by_symbol: HashMap::with_hasher(FixedState::default()), all: Vec::new(), growing }
    }

    /// The place of a symbol, if it is listed.
    pub fn known(&self, symbol: &[u8]) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    pub fn place(&mut self, symbol: &[u8]) -> Option<usize> {
        match self.known(symbol) {
            Some(at) => Some(at),
            None if self.growing && self.all.len() < LISTED_MAX => {
                let product = Product::of(symbol)?;
                let made = listing::provisional(product, symbol)?;
                Some(self.put(Arc::new(made), product))
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, instrument: Arc<Instrument>, product: Product) -> usize {
        if let Some(at) = self.known(instrument.symbol.as_bytes()) {
            if let Some(listed) = self.get_mut(at) {
                listed.instrument = instrument;
            }
            return at;
        }
        let at = self.all.len();
        self.by_symbol.insert(instrument.symbol.as_bytes().into(), at);
        self.all.push(Listed::new(instrument, product));
        at
    }

    /// Notes whether a channel is wanted.
    pub fn want(&mut self, at: usize, channel: Channel, wanted: bool) {
        if let Some(listed) = self.get_mut(at) {
            listed.wants = if wanted { listed.wants | bit(channel) } else { listed.wants & !bit(channel) };
        }
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let Some(product) = Product::named(&instrument.product) else { return };
        let ours = *instrument.venue == *crate::NAME;
        let room = self.growing && self.all.len() < LISTED_MAX;
        if ours && (room || self.known(instrument.symbol.as_bytes()).is_some()) {
            self.put(Arc::clone(instrument), product);
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
