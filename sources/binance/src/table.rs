//! The instruments of a session, found by stream or by product and symbol, each with its book's state.

use crate::NAME;
use crate::listing;
use crate::product::Product;
use crate::route::Route;
use crate::session::Quiet;
use crate::sync::{Chain, Span};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{
    Body, Channel, Event, Flags, Gap, GapCause, Instrument, InstrumentId, LaneFact, Stamp, Status, Ts,
};
use source::{Action, Malformed, refit};
use std::sync::Arc;

/// How often one definition may be widened.
const WIDENED_MAX: u8 = 8;
/// How many instruments a recording may name.
const LISTED_MAX: usize = 20_000;
/// How many streams a recording may name.
const ROUTES_MAX: usize = 100_000;
/// How many bytes of changes may wait for a snapshot, a book.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Makes an event of this source.
#[inline]
pub fn event(
    instrument: &Arc<Instrument>,
    channel: Channel,
    ts_event: Option<Ts>,
    now: Ts,
    body: Body,
) -> Event {
    let stamp = Stamp { ts_event, ts_recv: now };
    Event { source: NAME, instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

/// What a book is doing.
#[derive(Debug)]
pub enum Book {
    /// Nothing has come yet.
    Idle,
    /// Changes wait for a snapshot.
    Waiting(Waiting),
    /// It follows the venue.
    Live(Chain),
}

/// Changes that wait for a snapshot, as they came.
#[derive(Debug, Default)]
pub struct Waiting {
    /// In the order they came.
    pub frames: Vec<Held>,
    /// Their payloads' size.
    pub bytes: usize,
}

/// The snapshots of one book on one connection. It outlives what becomes of the book, so that an answer on its way is not
/// asked for twice, and a book that breaks again and again asks ever more seldom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Where the request for one is.
    pub asked: Asked,
    /// How often in a row one was in vain, or its book broke soon.
    pub tries: u32,
    /// Not asked for before this time.
    pub not_before: Ts,
    /// Since when the book is live.
    pub live_since: Option<Ts>,
}

/// Where the request for a snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Not made.
    #[default]
    No,
    /// Behind those of other books.
    Queued,
    /// On its way.
    Flying,
}

/// A change that waits.
#[derive(Debug)]
pub struct Held {
    /// Which states it joins.
    pub span: Span,
    /// When it came.
    pub came: Ts,
    /// The payload.
    pub payload: Box<[u8]>,
}

impl Waiting {
    /// Adds a change; false where the cap is reached.
    pub fn push(&mut self, held: Held) -> bool {
        self.bytes += held.payload.len();
        self.frames.push(held);
        self.bytes <= WAITING_BYTES_MAX
    }
}

/// What was told of a definition on this connection.
#[derive(Debug, Default)]
pub struct Told {
    /// The status that was told last.
    pub status: Option<Status>,
    /// Whether its lanes were acknowledged: of status, of definitions.
    pub acked: [bool; 2],
}

/// One instrument.
#[derive(Debug)]
pub struct Listed {
    /// The definition in force.
    pub instrument: Arc<Instrument>,
    /// Its section.
    pub product: &'static Product,
    /// Its book.
    pub book: Book,
    /// A recorded snapshot that came before the first change.
    pub held: Option<Box<[u8]>>,
    /// What is known of the book's stream.
    pub quiet: Quiet,
    /// The snapshots that the book asks for.
    pub request: Request,
    /// What was told of its definition on this connection.
    pub told: Told,
    /// The last print and the last merged print.
    pub last_ids: [Option<u64>; 2],
    /// Whether the long statistics of 24 hours came, beside which the short ones are no news.
    long_stats: bool,
    widened: u8,
    /// A bit for each channel.
    wanted: u32,
}

impl Listed {
    /// Whether its book waits for a first change and no timer of its runs.
    pub const fn is_untimed(&self) -> bool {
        match &self.book {
            Book::Waiting(waiting) => {
                matches!(self.request.asked, Asked::No) && waiting.frames.is_empty() && !self.quiet.silent
            }
            Book::Idle | Book::Live(_) => false,
        }
    }

    /// Whether statistics are the short ones of an instrument that has had long ones.
    pub const fn is_short_beside_long(&mut self, short: bool) -> bool {
        self.long_stats |= !short;
        short && self.long_stats
    }

    /// Whether somebody wants this channel of it; in a recording all are wanted.
    pub const fn wants(&self, channel: Channel) -> bool {
        self.wanted & (1 << channel as u32) != 0
    }

    /// Whether somebody wants any channel of it.
    pub const fn is_wanted(&self) -> bool {
        self.wanted != 0
    }

    /// Somebody wants it.
    pub const fn want(&mut self, channel: Channel) {
        self.wanted |= 1 << channel as u32;
    }

    /// Nobody wants it any longer.
    pub fn unwant(&mut self, channel: Channel) {
        self.wanted &= !(1 << channel as u32);
        match channel {
            Channel::Status => (self.told.status, self.told.acked[0]) = (None, false),
            Channel::Instruments => self.told.acked[1] = false,
            _ => {}
        }
    }

    /// Puts a definition in force and tells it where that is wanted and it is another. A book may hold prices finer than
    /// the tick of today: scales never get coarser, but for those that were guessed.
    pub fn redefine(&mut self, made: &Instrument, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        let old = &self.instrument;
        let finest = |ours: u8, new: u8| if old.tick.is_some() { ours.max(new) } else { new };
        let scales = (finest(old.px_scale, made.px_scale), finest(old.qty_scale, made.qty_scale));
        let made = made.rescaled(scales.0, scales.1).unwrap_or_else(|| made.clone());
        if **old != made {
            self.instrument = Arc::new(made);
            self.widened = 0;
            if self.wants(Channel::Instruments) {
                self.emit(Channel::Instruments, ts, now, Body::Instrument, out);
            }
        }
    }

    /// The venue takes a subscription. The status of an instrument stands in its definition, but not in one made up from a
    /// symbol, which has no tick; later the venue tells it where it changes.
    pub fn acked(&mut self, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        self.fact(channel, LaneFact::Acked, now, out);
        if channel == Channel::Status && self.instrument.tick.is_some() {
            self.tell_status(None, now, out);
        }
    }

    /// Says whether it trades by the definition in force, where that is wanted and news.
    pub fn tell_status(&mut self, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        let status = &self.instrument.status;
        if self.wants(Channel::Status) && self.told.status.as_ref() != Some(status) {
            self.told.status = Some(status.clone());
            self.emit(Channel::Status, ts, now, Body::Status(status.clone()), out);
        }
    }

    /// Takes a wider definition that holds the number which did not fit.
    ///
    /// # Errors
    /// The fault itself where it is another, none holds the number, or it happened too often.
    #[cold]
    pub fn widen(&mut self, fault: Malformed, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        if self.widened >= WIDENED_MAX {
            return Err(fault);
        }
        self.instrument = refit(&self.instrument, &fault).ok_or(fault)?;
        self.widened += 1;
        self.emit(Channel::Instruments, None, now, Body::Instrument, out);
        Ok(())
    }

    /// Emits an event of this instrument.
    #[inline]
    pub fn emit(&self, channel: Channel, ts: Option<Ts>, now: Ts, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, ts, now, body)));
    }

    /// Says that the book lost continuity, where it had any, and forgets it. True where it was live.
    pub fn gap(&mut self, cause: GapCause, to_seq: Option<u64>, now: Ts, out: &mut Vec<Action>) -> bool {
        let from_seq = match &self.book {
            Book::Live(chain) => Some(chain.at()),
            Book::Idle | Book::Waiting(_) => None,
        };
        if from_seq.is_some() || cause == GapCause::Overflow {
            self.emit(Channel::Book, None, now, Body::Gap(Gap { cause, from_seq, to_seq }), out);
        }
        self.book = Book::Idle;
        from_seq.is_some()
    }

    /// Tells what became of a subscription.
    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        self.emit(channel, None, now, Body::Lane(fact), out);
    }

    /// Says that the book waits, in these words.
    pub fn syncing(&self, words: impl Into<Box<str>>, now: Ts, out: &mut Vec<Action>) {
        self.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
    }
}

type Map<V> = HashMap<Box<[u8]>, V, FixedState>;

/// All instruments of a session.
#[derive(Debug)]
pub struct Table {
    routes: Map<Route>,
    by_symbol: [Map<usize>; 3],
    all: Vec<Listed>,
    growing: bool,
}

impl Table {
    /// Empty; `growing` where unknown symbols get a provisional definition.
    pub fn new(growing: bool) -> Self {
        let (all, routes) = (Vec::new(), Map::default());
        Self { routes, by_symbol: [Map::default(), Map::default(), Map::default()], all, growing }
    }

    /// Where payloads of a stream go.
    #[inline]
    pub fn route(&self, stream: &[u8]) -> Option<Route> {
        self.routes.get(stream).copied()
    }

    /// Remembers where payloads of a stream go.
    pub fn set_route(&mut self, stream: &[u8], route: Route) {
        if self.routes.len() < ROUTES_MAX || self.routes.contains_key(stream) {
            self.routes.insert(stream.into(), route);
        }
    }

    /// Forgets where payloads of a stream go.
    pub fn drop_route(&mut self, stream: &[u8]) {
        self.routes.remove(stream);
    }

    /// The place of a symbol; in a recording an unknown one gets a provisional definition.
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
        Some(self.put(product, &Arc::new(listing::provisional(product, symbol))))
    }

    /// Adds an instrument or gives it this definition.
    pub fn put(&mut self, product: &'static Product, instrument: &Arc<Instrument>) -> usize {
        let next = self.all.len();
        let Some(map) = self.by_symbol.get_mut(product.endpoint) else { return next };
        let at = *map.entry(instrument.symbol.as_bytes().into()).or_insert(next);
        match self.all.get_mut(at) {
            Some(listed) => {
                listed.instrument = Arc::clone(instrument);
                listed.widened = 0;
            }
            None => self.all.push(Listed {
                instrument: Arc::clone(instrument),
                product,
                book: Book::Idle,
                held: None,
                quiet: Quiet::default(),
                request: Request::default(),
                told: Told::default(),
                last_ids: [None; 2],
                long_stats: false,
                widened: 0,
                wanted: if self.growing { u32::MAX } else { 0 },
            }),
        }
        at
    }

    /// The place of the instrument of a definition that came from outside; in a recording an unknown one is added.
    pub fn defined(&mut self, instrument: &Arc<Instrument>) -> Option<usize> {
        let product = Product::named(&instrument.product).filter(|_| *instrument.venue == *NAME)?;
        let known = self.by_symbol.get(product.endpoint)?.get(instrument.symbol.as_bytes());
        let room = self.growing && self.all.len() < LISTED_MAX;
        known.copied().or_else(|| room.then(|| self.put(product, instrument)))
    }

    /// The instrument at a place.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Listed> {
        self.all.get(at)
    }

    /// The instrument at a place.
    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Listed> {
        self.all.get_mut(at)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Listed> {
        self.all.iter()
    }

    /// All of them, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Listed> {
        self.all.iter_mut()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// The place of an instrument.
    pub fn by_id(&self, id: InstrumentId) -> Option<usize> {
        self.all.iter().position(|l| l.instrument.id == id)
    }
}
