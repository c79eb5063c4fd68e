//! The instruments of a session, found by product and symbol.

use crate::emit::event;
use crate::listing;
use crate::product::Product;
use crate::sync::Chain;
use crate::ticker::Ticker;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Gap, GapCause, Instrument, InstrumentId, LaneFact, Level, Px, Qty, Ts, rescale};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one instrument's definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;

/// The best level of each side, as `orderbook.1` told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Best {
    /// The number of the state; `None` where nothing is known.
    pub u: Option<u64>,
    pub bid: Option<Level>,
    pub ask: Option<Level>,
}

impl Best {
    /// Takes changes of both sides in the order of the frame.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        for (held, levels) in [(&mut self.bid, bids), (&mut self.ask, asks)] {
            for level in levels {
                if level.qty.0 != 0 {
                    *held = Some(*level);
                } else if held.is_some_and(|h| h.px == level.px) {
                    *held = None;
                }
            }
        }
    }
}

/// One instrument.
pub(super) struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Where it is listed.
    pub product: Product,
    /// Continuity of its book.
    pub chain: Chain,
    /// Its book is live by the retired API, which numbers nothing.
    pub old_live: bool,
    /// The depth that feeds its book: the one asked for, or in a recording the first that came.
    pub depth: Option<u16>,
    /// Said that changes came before a book.
    pub told: bool,
    /// Its ticker.
    pub ticker: Ticker,
    /// Its best levels.
    pub best: Best,
    /// In a recording everything is wanted.
    all: bool,
    wants: Vec<Channel>,
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
    #[cold]
    pub fn widen(&mut self, fault: &Malformed, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        if self.widened >= WIDENED_MAX {
            return Err(*fault);
        }
        let wider = refit(&self.instrument, fault).ok_or(*fault)?;
        self.widened += 1;
        self.redefine(wider);
        self.emit(Channel::Instruments, None, now, Body::Instrument, out);
        Ok(())
    }

    /// Puts a definition in force; what is held of the instrument is told at its scales from now on.
    pub fn redefine(&mut self, to: Arc<Instrument>) {
        let from = std::mem::replace(&mut self.instrument, to);
        let to = &self.instrument;
        if from.px_scale == to.px_scale && from.qty_scale == to.qty_scale {
            return;
        }
        let fit = |level: Level| {
            let px = rescale(level.px.0, from.px_scale, to.px_scale)?;
            let qty = rescale(level.qty.0, from.qty_scale, to.qty_scale)?;
            Some(Level { px: Px(px), qty: Qty(qty) })
        };
        let best = &mut self.best;
        (best.bid, best.ask) = (best.bid.and_then(fit), best.ask.and_then(fit));
        self.ticker.refit(fit);
    }

    /// Whether its book was told whole and nothing was lost since.
    pub fn live(&self) -> bool {
        self.chain.live() || self.old_live
    }

    /// Nothing is known any more, as on a new connection.
    pub fn cool(&mut self) {
        self.chain.cool();
        self.old_live = false;
        self.told = false;
        self.ticker = Ticker::default();
        self.best = Best::default();
    }

    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) -> bool {
        if !self.live() {
            return false;
        }
        let from_seq = self.chain.seq();
        self.chain.cool();
        self.old_live = false;
        let gap = Gap { cause, from_seq, to_seq: None };
        self.emit(Channel::Book, None, now, Body::Gap(gap), out);
        true
    }

    /// Appends an event.
    #[inline]
    pub fn emit(&self, channel: Channel, ts: Option<Ts>, now: Ts, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, ts, now, body)));
    }

    /// Appends what became of a subscription.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        self.emit(channel, None, now, Body::Lane(fact), out);
    }
}

/// All instruments of a session.
pub(super) struct Table {
    by_symbol: [HashMap<Box<[u8]>, usize, FixedState>; 4],
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition, and everything is wanted.
    growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        let by_symbol = std::array::from_fn(|_| HashMap::with_hasher(FixedState::default()));
        Self { by_symbol, all: Vec::new(), growing }
    }

    /// The place of a symbol, if it is listed.
    #[inline]
    pub fn known(&self, product: Product, symbol: &[u8]) -> Option<usize> {
        self.by_symbol.get(product.endpoint()).and_then(|by| by.get(symbol)).copied()
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

    /// Adds an instrument or gives it this definition; `None` where its product is not one of ours.
    pub fn put(&mut self, instrument: Arc<Instrument>) -> Option<usize> {
        let product = Product::of(&instrument)?;
        if let Some(at) = self.known(product, instrument.symbol.as_bytes()) {
            if let Some(listed) = self.get_mut(at) {
                listed.redefine(instrument);
            }
            return Some(at);
        }
        let at = self.all.len();
        self.by_symbol.get_mut(product.endpoint())?.insert(instrument.symbol.as_bytes().into(), at);
        self.all.push(Listed {
            instrument,
            product,
            chain: Chain::default(),
            old_live: false,
            depth: None,
            told: false,
            ticker: Ticker::default(),
            best: Best::default(),
            all: self.growing,
            wants: Vec::new(),
            widened: 0,
        });
        Some(at)
    }

    /// Notes that a channel is wanted. False where it was before.
    pub fn want(&mut self, at: usize, channel: Channel) -> bool {
        let Some(listed) = self.get_mut(at) else { return false };
        let news = !listed.wants.contains(&channel);
        if news {
            listed.wants.push(channel);
        }
        news
    }

    /// Notes that a channel is wanted no longer. False where it was not.
    pub fn unwant(&mut self, at: usize, channel: Channel) -> bool {
        let Some(listed) = self.get_mut(at) else { return false };
        let before = listed.wants.len();
        listed.wants.retain(|c| *c != channel);
        listed.wants.len() < before
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let ours = *instrument.venue == *crate::NAME;
        let room = self.growing && self.all.len() < LISTED_MAX;
        let known = |p: Product| self.known(p, instrument.symbol.as_bytes()).is_some();
        if ours && (room || Product::of(instrument).is_some_and(known)) {
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
