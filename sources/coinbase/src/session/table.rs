//! The instruments of a session, found by feed and symbol.

use crate::emit::event;
use crate::{Feed, listing};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Bar, Body, Channel, Gap, GapCause, Instrument, InstrumentId, LaneFact, Ts};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one instrument's definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;

/// One instrument.
pub(crate) struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Whether its book is a snapshot with everything since.
    pub live: bool,
    /// Said once that updates came before a snapshot.
    pub told: bool,
    /// The newest trade that was told.
    pub last_trade: Option<u64>,
    /// The newest bar that was told, for the end that the venue does not tell.
    pub bar: Option<Box<Bar>>,
    /// A bit for each channel that is wanted.
    wants: u32,
    widened: u8,
}

const fn bit(channel: Channel) -> u32 {
    1 << (channel as u32)
}

impl Listed {
    /// Whether this channel of it is wanted; in a recording all are.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants & bit(channel) != 0
    }

    /// Notes that a channel is wanted, or no longer. True where that is news.
    pub fn want(&mut self, channel: Channel, wanted: bool) -> bool {
        let before = self.wants;
        self.wants = if wanted { before | bit(channel) } else { before & !bit(channel) };
        self.wants != before
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
        self.instrument = wider;
        self.emit(Channel::Instruments, None, now, Body::Instrument, out);
        Ok(())
    }

    /// Emits an event of this instrument.
    #[inline]
    pub fn emit(&self, channel: Channel, ts: Option<Ts>, now: Ts, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, ts, now, body)));
    }

    /// Says what became of a lane.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        self.emit(channel, None, now, Body::Lane(fact), out);
    }

    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) -> bool {
        if !std::mem::take(&mut self.live) {
            return false;
        }
        let gap = Gap { cause, from_seq: None, to_seq: None };
        self.emit(Channel::Book, None, now, Body::Gap(gap), out);
        true
    }
}

/// All instruments of a session.
pub(crate) struct Table {
    by_symbol: [HashMap<Box<[u8]>, usize, FixedState>; 2],
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition.
    growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        let map = || HashMap::with_hasher(FixedState::default());
        Self { by_symbol: [map(), map()], all: Vec::new(), growing }
    }

    fn map(&mut self, feed: Feed) -> &mut HashMap<Box<[u8]>, usize, FixedState> {
        let [advanced, exchange] = &mut self.by_symbol;
        match feed {
            Feed::Advanced => advanced,
            Feed::Exchange => exchange,
        }
    }

    /// The place of a symbol, if it is listed.
    #[inline]
    pub fn known(&self, feed: Feed, symbol: &[u8]) -> Option<usize> {
        let [advanced, exchange] = &self.by_symbol;
        let map = if feed == Feed::Advanced { advanced } else { exchange };
        map.get(symbol).copied()
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    #[inline]
    pub fn place(&mut self, feed: Feed, symbol: &[u8]) -> Option<usize> {
        match self.known(feed, symbol) {
            Some(at) => Some(at),
            None if self.growing && self.all.len() < LISTED_MAX => {
                listing::provisional(feed, symbol).map(|made| self.put(Arc::new(made)))
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, instrument: Arc<Instrument>) -> usize {
        let feed = Feed::of(&instrument);
        if let Some(at) = self.known(feed, instrument.symbol.as_bytes()) {
            if let Some(listed) = self.get_mut(at) {
                listed.instrument = instrument;
            }
            return at;
        }
        let at = self.all.len();
        self.map(feed).insert(instrument.symbol.as_bytes().into(), at);
        self.all.push(Listed {
            instrument,
            live: false,
            told: false,
            last_trade: None,
            bar: None,
            wants: if self.growing { u32::MAX } else { 0 },
            widened: 0,
        });
        at
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let ours = *instrument.venue == *crate::NAME;
        let known = self.known(Feed::of(instrument), instrument.symbol.as_bytes()).is_some();
        if ours && (known || (self.growing && self.all.len() < LISTED_MAX)) {
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
