//! The instruments of a session, found by symbol.

use super::books::Book;
use crate::emit::event;
use crate::listing;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Bar, Body, Channel, Gap, GapCause, Instrument, InstrumentId, LaneFact, Status, Ts};
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
    /// The newest bar, which is over when a later one begins.
    pub bar: Option<Bar>,
    /// The state told last.
    pub status: Option<Status>,
    /// The state before trading stood still everywhere.
    pub before: Option<Status>,
    /// It has quotes of their own, so that those in tickers are passed over.
    pub quoted: bool,
    /// It has funding of its own, so that the one in tickers is passed over.
    pub funded: bool,
    /// A bit for each channel that is wanted.
    wants: u32,
    widened: u8,
}

const fn bit(channel: Channel) -> u32 {
    1 << channel as u32
}

impl Listed {
    fn new(instrument: Arc<Instrument>, wants: u32) -> Self {
        Self {
            instrument,
            book: Book::default(),
            bar: None,
            status: None,
            before: None,
            quoted: false,
            funded: false,
            wants,
            widened: 0,
        }
    }

    /// Whether this channel of it is wanted.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants & bit(channel) != 0
    }

    /// As on a new connection.
    pub fn reset(&mut self) {
        self.book.reset();
        (self.bar, self.status, self.before) = (None, None, None);
        (self.quoted, self.funded) = (false, false);
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

    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) -> bool {
        let from_seq = self.book.chain.seq();
        if from_seq.is_none() {
            return false;
        }
        self.book.chain.cool();
        self.tell_gap(Gap { cause, from_seq, to_seq: None }, now, out);
        true
    }

    /// Emits a gap.
    pub fn tell_gap(&self, gap: Gap, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap))));
    }

    /// Says what became of a lane.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }

    /// Tells the state of the instrument where it is another than told before.
    pub fn tell_status(&mut self, status: Status, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        if self.status.as_ref() != Some(&status) {
            self.status = Some(status.clone());
            out.push(Action::Emit(event(&self.instrument, Channel::Status, ts, now, Body::Status(status))));
        }
    }
}

/// All instruments of a session.
pub(super) struct Table {
    by_symbol: HashMap<Box<[u8]>, usize, FixedState>,
    all: Vec<Listed>,
    /// Whether unknown symbols get a provisional definition, and everything is wanted.
    growing: bool,
}

impl Table {
    pub fn new(growing: bool) -> Self {
        Self { by_symbol: HashMap::with_hasher(FixedState::default()), all: Vec::new(), growing }
    }

    /// The place of a symbol, if it is listed.
    #[inline]
    pub fn known(&self, symbol: &[u8]) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
    #[inline]
    pub fn place(&mut self, symbol: &[u8]) -> Option<usize> {
        match self.known(symbol) {
            Some(at) => Some(at),
            None if self.growing && self.all.len() < LISTED_MAX => {
                listing::provisional(symbol).map(|made| self.put(Arc::new(made)))
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, instrument: Arc<Instrument>) -> usize {
        let known = self.known(instrument.symbol.as_bytes());
        if let Some(at) = known {
            if let Some(listed) = self.get_mut(at) {
                listed.instrument = instrument;
            }
            return at;
        }
        let at = self.all.len();
        self.by_symbol.insert(instrument.symbol.as_bytes().into(), at);
        self.all.push(Listed::new(instrument, if self.growing { u32::MAX } else { 0 }));
        at
    }

    /// Notes that a channel is wanted, or no longer.
    pub fn want(&mut self, at: usize, channel: Channel, wanted: bool) {
        if let Some(listed) = self.get_mut(at) {
            listed.wants = if wanted { listed.wants | bit(channel) } else { listed.wants & !bit(channel) };
        }
    }

    /// Puts a definition in force that came from outside.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        let ours = *instrument.venue == *crate::NAME;
        let room = self.growing && self.all.len() < LISTED_MAX;
        if ours && (room || self.known(instrument.symbol.as_bytes()).is_some()) {
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
