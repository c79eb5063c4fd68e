//! Turns a session's events into the platform's: each event in comes out again, checked, followed by what follows from
//! it. It asserts continuity and never repairs it: what is broken becomes a `Gap`, and the session is told to start over.

mod bars;
mod check;
mod shares;

pub use bars::{Interval, interval_of};
pub use shares::Level;

use bars::Bars;
use book::{Book, Broken, Checksummer, Undo};
use hashbrown::HashMap;
use model::{
    Body, Channel, Delta, Event, Flags, Gap, GapCause, Instrument, InstrumentId, Quote, Snapshot, Ts,
};
use shares::Shares;
use std::sync::Arc;

/// What the engine does besides checking.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Levels a side that a book keeps; past that the worst ones go and are counted. Default 20,000.
    pub levels_max: usize,
    /// Whether a book's best bid and offer become quote events. Default false.
    pub derive_quotes: bool,
    /// How long a book may be crossed before it is thrown away, in ms. Default 2,000.
    pub crossed_ms: u64,
    /// How strictly data of the Chinese stock market are checked: `strict`, `normal`, `loose` or `off`. Default normal.
    pub shares: Level,
    /// Which bars are made from trades, and of shares from the day's statistics where no trades come: `1m`, `5m`, `15m`,
    /// `30m`, `1h`, `1d`. Default none.
    pub bars: Vec<Interval>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            levels_max: book::LEVELS_MAX,
            derive_quotes: false,
            crossed_ms: 2_000,
            shares: Level::Normal,
            bars: Vec::new(),
        }
    }
}

/// What the engine found, counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Checksums that matched.
    pub checksums_right: u64,
    /// Checksums that did not.
    pub checksums_wrong: u64,
    /// Deltas that followed another state than the book's.
    pub sequence_breaks: u64,
    /// Deltas for a book that was not live; a session must not send them.
    pub orphans: u64,
    /// Changes after which the bid was above the ask.
    pub crossed: u64,
    /// Changes after which bid and ask were equal.
    pub locked: u64,
    /// Levels dropped because a book reached its cap.
    pub trimmed: u64,
    /// Events whose venue time was over a day from ours, or over a second after it.
    pub bad_times: u64,
}

/// A book that the session must start again from a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resync {
    /// Whose.
    pub instrument: InstrumentId,
    /// Which kind of book.
    pub channel: Channel,
    /// What was wrong.
    pub cause: GapCause,
}

/// An event that does not stand, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What was refused.
    pub event: Event,
    /// What was wrong with it.
    pub cause: GapCause,
}

/// One book with what is known of it.
struct Lane {
    instrument: Arc<Instrument>,
    book: Book,
    live: bool,
    epoch: u32,
    crossed_since: Option<Ts>,
    last_quote: Option<Quote>,
    /// Made with the first checksum that comes.
    sums: Option<Box<Checksummer>>,
}

type Lanes = HashMap<(InstrumentId, Channel), Lane>;

/// The books of one session, and the checks.
pub struct Engine {
    config: Config,
    lanes: Lanes,
    counters: Counters,
    shares: Shares,
    bars: Bars,
    /// What the last event that was tried replaced.
    undo: Undo,
}

impl Engine {
    /// An engine without books.
    pub fn new(config: Config) -> Self {
        let shares = Shares::new(config.shares);
        let bars = Bars::new(&config.bars);
        Self {
            config,
            lanes: HashMap::new(),
            counters: Counters::default(),
            undo: Undo::default(),
            shares,
            bars,
        }
    }

    /// What was found so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The books that are live.
    pub fn books(&self) -> impl Iterator<Item = (&Arc<Instrument>, Channel, &Book)> {
        let live = |lane: &&Lane| lane.live;
        self.lanes
            .iter()
            .map(|((_, channel), lane)| (*channel, lane))
            .filter(move |(_, lane)| live(lane))
            .map(|(channel, lane)| (&lane.instrument, channel, &lane.book))
    }

    /// A book, where it is live.
    pub fn book(&self, instrument: InstrumentId, channel: Channel) -> Option<&Book> {
        self.lanes.get(&(instrument, channel)).filter(|lane| lane.live).map(|lane| &lane.book)
    }

    /// Forgets a book; nobody wants it any more.
    pub fn forget(&mut self, instrument: InstrumentId, channel: Channel) {
        self.lanes.remove(&(instrument, channel));
    }

    /// Takes an event and appends it and what follows from it. Where a book turned out wrong, its `Gap` was appended in
    /// place of the event, and the session has to be told.
    pub fn on(&mut self, mut event: Event, out: &mut Vec<Event>) -> Option<Resync> {
        self.times(&mut event);
        let told = self.shares.on(&mut event);
        let mut bars = Vec::new();
        self.bars.on(&event, &mut bars);
        let resync = self.checked(event, out);
        out.extend(told);
        out.append(&mut bars);
        resync
    }

    fn checked(&mut self, event: Event, out: &mut Vec<Event>) -> Option<Resync> {
        match &event.body {
            Body::Snapshot(_) | Body::Delta(_) | Body::Gap(_) => self.on_book(event, out),
            Body::Trade(_)
            | Body::Quote(_)
            | Body::Bar(_)
            | Body::DayStats(_)
            | Body::MarkPrice(_)
            | Body::IndexPrice(_)
            | Body::Funding(_)
            | Body::OpenInterest(_)
            | Body::Liquidation(_)
            | Body::VolatilityIndex(_)
            | Body::LongShortRatio(_)
            | Body::Greeks(_)
            | Body::Status(_)
            | Body::Order(_)
            | Body::Minute(_)
            | Body::CapitalFlow(_)
            | Body::CorporateAction(_)
            | Body::Fundamentals(_)
            | Body::Ranking(_)
            | Body::Sector(_)
            | Body::Finding(_)
            | Body::Instrument
            | Body::Lane(_)
            | Body::Link(_) => {
                out.push(event);
                None
            }
        }
    }

    /// Takes a snapshot or a delta of a [`Channel::Book`] that somebody else may bring too: where it does not stand, nothing is appended, the book
    /// is as it was before, and the event comes back. [`Engine::refuse`] then tells the `Gap`, where nobody else has it.
    ///
    /// # Errors
    /// The event and what was wrong with it.
    pub fn attempt(&mut self, mut event: Event, out: &mut Vec<Event>) -> Result<(), Box<Refused>> {
        self.times(&mut event);
        let lane = Self::lane(&mut self.lanes, &self.config, &event);
        let (live, epoch, crossed_since) = (lane.live, lane.epoch, lane.crossed_since);
        let whole = matches!(event.body, Body::Snapshot(_));
        let before = whole.then(|| {
            let book = std::mem::replace(&mut lane.book, Book::new(self.config.levels_max));
            (book, Arc::clone(&lane.instrument))
        });
        let applies = matches!(event.body, Body::Delta(_)) && live;
        let undo = applies.then_some(&mut self.undo);
        match lane.take(&mut event, &self.config, &mut self.counters, undo) {
            Ok(()) => lane.tell(event, &self.config, out),
            Err(None) => {}
            Err(Some(cause)) => {
                match before {
                    Some(before) => (lane.book, lane.instrument) = before,
                    None if applies && cause != GapCause::Scale => lane.book.undo(&self.undo),
                    None => {}
                }
                (lane.live, lane.epoch, lane.crossed_since) = (live, epoch, crossed_since);
                return Err(Box::new(Refused { event, cause }));
            }
        }
        Ok(())
    }

    /// Tells that a book is lost by an event that did not stand.
    pub fn refuse(&mut self, refused: Refused, out: &mut Vec<Event>) -> Resync {
        let Refused { event, cause } = refused;
        Self::lane(&mut self.lanes, &self.config, &event).fail(event, cause, out)
    }

    fn on_book(&mut self, mut event: Event, out: &mut Vec<Event>) -> Option<Resync> {
        let Self { config, lanes, counters, shares: _, bars: _, undo: _ } = self;
        let lane = Self::lane(lanes, config, &event);
        match lane.take(&mut event, config, counters, None) {
            Ok(()) => lane.tell(event, config, out),
            Err(None) => {}
            Err(Some(cause)) => return Some(lane.fail(event, cause, out)),
        }
        None
    }

    #[inline]
    fn lane<'a>(lanes: &'a mut Lanes, config: &Config, event: &Event) -> &'a mut Lane {
        lanes.entry((event.instrument.id, event.channel)).or_insert_with(|| Lane {
            instrument: Arc::clone(&event.instrument),
            book: Book::new(config.levels_max),
            live: false,
            epoch: 0,
            crossed_since: None,
            last_quote: None,
            sums: None,
        })
    }

    #[inline]
    fn times(&mut self, event: &mut Event) {
        let odd = check::times(&event.stamp);
        if !odd.is_empty() {
            event.flags |= odd;
            self.counters.bad_times += 1;
        }
    }
}

/// Why a book event does not stand: a cause, or nothing to say (the event is dropped).
type Refusal = Option<GapCause>;

impl Lane {
    /// Takes an event into the book; with `undo` a delta can be taken back.
    #[inline]
    fn take(
        &mut self,
        event: &mut Event,
        config: &Config,
        counters: &mut Counters,
        undo: Option<&mut Undo>,
    ) -> Result<(), Refusal> {
        let trimmed = self.book.trimmed();
        self.redefine(&event.instrument)?;
        let taken = match &mut event.body {
            Body::Snapshot(snapshot) => self.reset(snapshot, counters),
            Body::Delta(delta) if self.live => self.apply(delta, counters, undo),
            Body::Delta(_) => {
                counters.orphans += 1;
                Err(None)
            }
            _ => {
                self.clear();
                Ok(())
            }
        };
        counters.trimmed += self.book.trimmed() - trimmed;
        taken?;
        if self.live && self.crossed_too_long(event, config, counters) {
            return Err(Some(GapCause::Crossed));
        }
        Ok(())
    }

    /// Appends an event that stands, and the quote that follows from it.
    #[inline]
    fn tell(&mut self, event: Event, config: &Config, out: &mut Vec<Event>) {
        let derives = config.derive_quotes && event.channel == Channel::Book;
        let quote = derives.then(|| self.moved(&event)).flatten();
        out.push(event);
        out.extend(quote);
    }

    /// Takes over a new definition of the instrument, with the book's numbers at its scales.
    fn redefine(&mut self, new: &Arc<Instrument>) -> Result<(), Refusal> {
        if Arc::ptr_eq(&self.instrument, new) {
            return Ok(());
        }
        if !self.live || self.book.redefine(&self.instrument, new) {
            self.instrument = Arc::clone(new);
            return Ok(());
        }
        Err(Some(GapCause::Scale))
    }

    fn reset(&mut self, snapshot: &mut Snapshot, counters: &mut Counters) -> Result<(), Refusal> {
        if !self.live {
            self.epoch += 1;
        }
        snapshot.epoch = self.epoch;
        self.live = true;
        self.crossed_since = None;
        self.book.reset(snapshot);
        self.verify(snapshot.checksum, counters)
    }

    #[inline]
    fn apply(
        &mut self,
        delta: &mut Delta,
        counters: &mut Counters,
        undo: Option<&mut Undo>,
    ) -> Result<(), Refusal> {
        delta.epoch = self.epoch;
        let applied = match undo {
            Some(undo) => self.book.apply_undoably(delta, undo),
            None => self.book.apply(delta),
        };
        match applied {
            Ok(()) => self.verify(delta.checksum, counters),
            Err(Broken::Sequence { .. }) => {
                counters.sequence_breaks += 1;
                Err(Some(GapCause::Sequence))
            }
            Err(Broken::Negative(_)) => Err(Some(GapCause::Malformed)),
        }
    }

    fn verify(&mut self, sum: Option<model::Checksum>, counters: &mut Counters) -> Result<(), Refusal> {
        let Some(sum) = sum else { return Ok(()) };
        let (px_scale, qty_scale) = (self.instrument.px_scale, self.instrument.qty_scale);
        let ours = self.sums.get_or_insert_default().of(&self.book, sum.kind, px_scale, qty_scale);
        if ours == sum.value {
            counters.checksums_right += 1;
            Ok(())
        } else {
            counters.checksums_wrong += 1;
            Err(Some(GapCause::Checksum))
        }
    }

    /// Marks a crossed book, and says whether it has been crossed for too long. Before the market opens it may be.
    fn crossed_too_long(&mut self, event: &mut Event, config: &Config, counters: &mut Counters) -> bool {
        counters.locked += u64::from(self.book.is_locked());
        if !self.book.is_crossed() {
            self.crossed_since = None;
            return false;
        }
        counters.crossed += 1;
        event.flags |= Flags::SUSPECT;
        let since = *self.crossed_since.get_or_insert(event.stamp.ts_recv);
        let long = event.stamp.ts_recv.ms_since(since) > config.crossed_ms as i64;
        long && self.instrument.status != model::Status::PreOpen
    }

    /// Puts a gap in the event's place and forgets the book.
    fn fail(&mut self, mut event: Event, cause: GapCause, out: &mut Vec<Event>) -> Resync {
        let to_seq = match &event.body {
            Body::Snapshot(snapshot) => snapshot.seq,
            Body::Delta(delta) => delta.seq,
            _ => None,
        };
        event.body = Body::Gap(Gap { cause, from_seq: self.book.seq(), to_seq });
        self.clear();
        let resync = Resync { instrument: event.instrument.id, channel: event.channel, cause };
        out.push(event);
        resync
    }

    fn clear(&mut self) {
        self.book.clear();
        self.live = false;
        self.crossed_since = None;
    }

    /// The quote that the book gives now, where it differs from the last one.
    fn moved(&mut self, event: &Event) -> Option<Event> {
        let quote = self.book.quote();
        let same = self.last_quote.is_some_and(|last| last.bid == quote.bid && last.ask == quote.ask);
        self.last_quote = Some(quote);
        (!same).then(|| Event {
            channel: Channel::Quote,
            flags: event.flags | Flags::DERIVED,
            body: Body::Quote(quote),
            ..event.clone()
        })
    }
}

#[cfg(test)]
mod tests;
