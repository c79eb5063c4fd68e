//! The instruments of a session, found by section and symbol.

use super::books::Book;
use crate::emit::event;
use crate::listing;
use crate::product::{PRODUCTS, Product};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Bar, Body, Channel, Instrument, InstrumentId, LaneFact, TradeId, Ts};
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
    /// Its book.
    pub book: Book,
    /// How many of its subscriptions were not heard of since they were asked for.
    pub unheard: u8,
    /// The newest bar, which is not over as far as we know.
    pub bar: Option<Box<Bar>>,
    /// A channel of its own tells its best bid and offer.
    pub quoted: bool,
    wants: u32,
    widened: u8,
    /// The time of the last trade without an id, and how many had that time.
    unnamed: (Option<Ts>, u32),
}

const fn bit(channel: Channel) -> u32 {
    1 << channel as u32
}

impl Listed {
    fn new(instrument: Arc<Instrument>) -> Self {
        Self {
            instrument,
            book: Book::default(),
            unheard: 0,
            bar: None,
            quoted: false,
            wants: 0,
            widened: 0,
            unnamed: (None, 0),
        }
    }

    /// Whether the shard wants this channel of it.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants & bit(channel) != 0
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

    /// Says what became of a lane.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }

    /// A name for a trade that the venue gave none: its time, and how many had that time before it.
    pub fn name_trade(unnamed: &mut (Option<Ts>, u32), ts: Option<Ts>) -> TradeId {
        unnamed.1 = if unnamed.0 == ts { unnamed.1 + 1 } else { 0 };
        unnamed.0 = ts;
        TradeId::Text(format!("{}-{}", ts.map_or(0, Ts::as_ms), unnamed.1).into())
    }

    /// The definition, and what names trades without an id.
    pub fn trading(&mut self) -> (&Arc<Instrument>, &mut (Option<Ts>, u32)) {
        (&self.instrument, &mut self.unnamed)
    }
}

type Symbols = HashMap<Box<[u8]>, usize, FixedState>;

/// All instruments of a session.
pub(super) struct Table {
    by_symbol: [Symbols; PRODUCTS.len()],
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition.
    growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        let symbols = || Symbols::with_hasher(FixedState::default());
        Self { by_symbol: [symbols(), symbols(), symbols(), symbols()], all: Vec::new(), growing }
    }

    /// The place of a symbol, if it is listed.
    #[inline]
    pub fn known(&self, product: &Product, symbol: &[u8]) -> Option<usize> {
        self.by_symbol.get(product.at)?.get(symbol).copied()
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    #[inline]
    pub fn place(&mut self, product: &Product, symbol: &[u8]) -> Option<usize> {
        match self.known(product, symbol) {
            Some(at) => Some(at),
            None if self.growing && self.all.len() < LISTED_MAX => {
                listing::provisional(product, symbol).map(|made| self.put(product, Arc::new(made)))
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, product: &Product, instrument: Arc<Instrument>) -> usize {
        if let Some(at) = self.known(product, instrument.symbol.as_bytes()) {
            if let Some(listed) = self.get_mut(at) {
                listed.instrument = instrument;
            }
            return at;
        }
        let at = self.all.len();
        if let Some(symbols) = self.by_symbol.get_mut(product.at) {
            symbols.insert(instrument.symbol.as_bytes().into(), at);
        }
        self.all.push(Listed::new(instrument));
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
        if ours && (room || self.known(product, instrument.symbol.as_bytes()).is_some()) {
            self.put(product, Arc::clone(instrument));
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
