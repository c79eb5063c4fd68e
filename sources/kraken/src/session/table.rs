//! The instruments of a session, found by symbol.

use crate::emit::event;
use crate::ladders::Ladders;
use crate::listing;
use crate::sync::Chain;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{
    Body, Channel, DayStats, Decimal, Funding, Gap, GapCause, Instrument, InstrumentId, LaneFact, Scale,
    Status, Ts,
};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one instrument's definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;

/// The book of one instrument.
#[derive(Default)]
pub(super) struct Book {
    /// Its continuity.
    pub chain: Chain,
    /// Its levels; of pairs only, contracts need none.
    pub ladders: Ladders,
    /// Digits after the point that the checksum is over; `None` where it cannot be told.
    pub digits: Option<(Scale, Scale)>,
    /// How many levels a side were subscribed, where that was said.
    pub depth: Option<usize>,
    /// Said once that changes came before a snapshot.
    pub told: bool,
}

impl Book {
    /// As on a new connection.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What was told last of what the venue repeats.
#[derive(Default)]
pub(super) struct Last {
    pub stats: Option<DayStats>,
    pub funding: Option<Funding>,
    pub open_interest: Option<Decimal>,
    pub status: Option<Status>,
    /// Whether its definition was told on this connection.
    pub defined: bool,
    /// Start of the newest bar that was told as over.
    pub closed_bar: Option<Ts>,
    /// The newest bar as it was told.
    pub bar: Option<model::Bar>,
}

/// One instrument.
pub(super) struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Its book.
    pub book: Book,
    /// What was told last.
    pub last: Last,
    /// A bit for each channel that is wanted.
    wants: u32,
    widened: u8,
}

const fn bit(channel: Channel) -> u32 {
    1 << channel as u32
}

impl Listed {
    /// Whether the shard wants this channel of it. A recording wants everything.
    #[inline]
    pub fn wants(&self, channel: Channel) -> bool {
        self.wants & bit(channel) != 0
    }

    /// Digits after the point in its definition.
    #[inline]
    pub fn scales(&self) -> (Scale, Scale) {
        (self.instrument.px_scale, self.instrument.qty_scale)
    }

    /// Puts a definition in force. False where the levels held cannot be written at its scales; then they are to be
    /// thrown away.
    #[must_use]
    fn redefine(&mut self, new: Arc<Instrument>) -> bool {
        let (old_px, old_qty) = self.scales();
        self.instrument = new;
        let (px, qty) = self.scales();
        (old_px, old_qty) == (px, qty) || self.book.ladders.rescale((old_px, px), (old_qty, qty))
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
        if !self.redefine(wider) {
            return Err(*fault);
        }
        out.push(Action::Emit(event(&self.instrument, Channel::Instruments, None, now, Body::Instrument)));
        Ok(())
    }

    /// Says that the book lost continuity, where it had any.
    pub fn gap(&mut self, cause: GapCause, to_seq: Option<u64>, now: Ts, out: &mut Vec<Action>) -> bool {
        if !self.book.chain.is_live() {
            return false;
        }
        let from_seq = self.book.chain.seq();
        self.book.chain.cool();
        self.tell_gap(Gap { cause, from_seq, to_seq }, now, out);
        true
    }

    /// Emits a gap.
    pub fn tell_gap(&self, gap: Gap, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, Channel::Book, None, now, Body::Gap(gap))));
    }

    /// Emits what became of a lane.
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

    /// From now on only what is wanted is read.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.growing) {
            for listed in &mut self.all {
                listed.wants = 0;
            }
        }
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
                let made = listing::provisional(symbol)?;
                // Another spelling of a symbol that is known stays one instrument.
                let at = match self.known(made.symbol.as_bytes()) {
                    Some(at) => at,
                    None => self.put(&Arc::new(made)).0,
                };
                if self.by_symbol.len() < 2 * LISTED_MAX {
                    self.by_symbol.insert(symbol.into(), at);
                }
                Some(at)
            }
            None => None,
        }
    }

    /// Adds an instrument or gives it this definition; says where, and whether the levels held could be kept.
    pub fn put(&mut self, instrument: &Arc<Instrument>) -> (usize, bool) {
        if let Some(at) = self.known(instrument.symbol.as_bytes()) {
            let kept = self.get_mut(at).is_none_or(|listed| listed.redefine(Arc::clone(instrument)));
            return (at, kept);
        }
        let at = self.all.len();
        self.by_symbol.insert(instrument.symbol.as_bytes().into(), at);
        self.all.push(Listed {
            instrument: Arc::clone(instrument),
            book: Book::default(),
            last: Last::default(),
            wants: if self.growing { u32::MAX } else { 0 },
            widened: 0,
        });
        (at, true)
    }

    /// Notes whether the shard wants a channel.
    pub fn want(&mut self, at: usize, channel: Channel, wanted: bool) {
        if let Some(listed) = self.get_mut(at) {
            listed.wants = if wanted { listed.wants | bit(channel) } else { listed.wants & !bit(channel) };
        }
    }

    /// Whether a definition from outside concerns this session.
    pub fn concerns(&self, instrument: &Instrument) -> bool {
        let room = self.growing && self.all.len() < LISTED_MAX;
        *instrument.venue == *crate::NAME && (room || self.known(instrument.symbol.as_bytes()).is_some())
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
