//! The instruments of a session, found by symbol.

use super::books::Book;
use crate::emit::event;
use crate::listing;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Body, Channel, Gap, GapCause, Instrument, InstrumentId, Status, Ts};
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
    /// The time of the ratio of longs to shorts that was told last.
    pub ratio_at: Option<Ts>,
    /// The status that was told last.
    status: Option<Status>,
    wants: Vec<Channel>,
    widened: u8,
}

impl Listed {
    /// Whether the shard wants this channel of it.
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants.contains(&channel)
    }

    /// Whether the shard wants any channel of it.
    pub fn is_wanted(&self) -> bool {
        !self.wants.is_empty()
    }

    /// Nobody wants this channel of it any longer.
    pub fn unwant(&mut self, channel: Channel) {
        self.wants.retain(|c| *c != channel);
        match channel {
            Channel::Book => self.book.reset(),
            Channel::Status => self.status = None,
            _ => {}
        }
    }

    /// A connection begins: its book starts again, and its status is told again.
    pub fn opened(&mut self) {
        self.book.reset();
        self.status = None;
    }

    /// Says whether it trades by the definition in force, where that is news. One made up from a symbol does not know.
    pub fn tell_status(&mut self, now: Ts, out: &mut Vec<Action>) {
        let status = &self.instrument.status;
        if !self.instrument.provisional && self.status.as_ref() != Some(status) {
            self.status = Some(status.clone());
            let body = Body::Status(status.clone());
            out.push(Action::Emit(event(&self.instrument, Channel::Status, None, now, body)));
        }
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
    pub fn gap(&mut self, cause: GapCause, to: Option<i64>, now: Ts, out: &mut Vec<Action>) -> bool {
        if !self.book.chain.live() {
            return false;
        }
        let from_seq = self.book.chain.seq().and_then(|s| u64::try_from(s).ok());
        self.book.chain.cool();
        self.tell_gap(Gap { cause, from_seq, to_seq: to.and_then(|s| u64::try_from(s).ok()) }, now, out);
        true
    }

    /// Emits a gap.
    pub fn tell_gap(&self, gap: Gap, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap))));
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
        self.all.push(Listed {
            instrument,
            book: Book::default(),
            ratio_at: None,
            status: None,
            wants: Vec::new(),
            widened: 0,
        });
        at
    }

    /// Notes that the shard wants a channel.
    pub fn want(&mut self, at: usize, channel: Channel) {
        if let Some(listed) = self.get_mut(at).filter(|l| !l.wants(channel)) {
            listed.wants.push(channel);
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
