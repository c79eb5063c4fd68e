//! Holds what a replay gives against what the venue said: checksums, quotes with an update id, continuity, and books of
//! single orders against snapshots. It keeps its own books, so that it also checks the engine.

use super::drive::{Place, Sink};
use super::orders::Rebuilt;
use book::{Book, Checksummer};
use hashbrown::HashMap;
use model::{Body, Channel, Event, Instrument, InstrumentId, Level, Quote, Scale, rescale};
use source::Malformed;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many venue quotes may wait for the book to reach their update id, and how many past bests are kept for late ones.
const QUOTES_MAX: usize = 8_192;

/// What was found of one instrument.
#[derive(Default)]
pub struct Findings {
    /// Frames that gave an event of this instrument.
    pub frames: u64,
    /// Events by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Gaps by cause.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Checksums that match the rebuilt book, and that do not.
    pub checksums: (u64, u64),
    /// Venue quotes with a book's update id that equal the rebuilt book, and that differ.
    pub quotes: (u64, u64),
    /// Changes after which the bid was above the ask.
    pub crossed: u64,
    /// Deltas that do not follow the event before.
    pub breaks: u64,
}

/// A book with what is known of it.
pub struct Tracked {
    /// Under its newest definition.
    pub instrument: Arc<Instrument>,
    /// Who told us.
    pub source: &'static str,
    /// Which kind of book.
    pub channel: Channel,
    /// `syncing`, `live` or `gap`.
    pub state: &'static str,
    /// The levels.
    pub book: Book,
    /// Bests at past states, for quotes that come after them.
    past: VecDeque<(u64, Quote)>,
    /// Quotes that came before the book reached their state.
    ahead: BTreeMap<u64, (Arc<Instrument>, Quote)>,
}

/// Everything that was found.
#[derive(Default)]
pub struct Verifier {
    /// By instrument.
    pub found: HashMap<InstrumentId, (Arc<Instrument>, &'static str, Findings)>,
    /// By instrument and channel.
    pub books: HashMap<(InstrumentId, Channel), Tracked>,
    /// What was rebuilt from single orders, by instrument.
    pub rebuilt: HashMap<InstrumentId, Rebuilt>,
    /// Frames read, by source.
    pub frames: BTreeMap<&'static str, u64>,
    /// Frames that were part of the protocol.
    pub controls: u64,
    /// Records of no known source.
    pub foreign: u64,
    /// Frames that could not be read: how many, and the first few in words.
    pub malformed: (u64, Vec<String>),
    /// Unknown fields and values, and how often each was told.
    pub unknown: BTreeMap<String, u64>,
    /// What the frame that is being read changed of what is rebuilt.
    changed: Option<InstrumentId>,
    frame: u64,
    last_frame: HashMap<InstrumentId, u64>,
}

impl Sink for Verifier {
    fn frame(&mut self, source: &'static str) {
        self.settle();
        self.frame += 1;
        *self.frames.entry(source).or_default() += 1;
    }

    fn event(&mut self, event: &Event) {
        let id = event.instrument.id;
        let found = self
            .found
            .entry(id)
            .or_insert_with(|| (Arc::clone(&event.instrument), event.source, Findings::default()));
        found.0.clone_from(&event.instrument);
        let findings = &mut found.2;
        if self.last_frame.insert(id, self.frame) != Some(self.frame) {
            findings.frames += 1;
        }
        *findings.kinds.entry(wire::kind(&event.body)).or_default() += 1;
        if let Body::Gap(gap) = &event.body {
            *findings.gaps.entry(gap.cause.name()).or_default() += 1;
        }
        let begins = [Channel::Orders, Channel::Status, Channel::DayStats, Channel::BookTop];
        if begins.contains(&event.channel) || self.rebuilt.contains_key(&id) {
            self.rebuilt.entry(id).or_insert_with(|| Rebuilt::new(event)).on(event);
            self.changed = Some(id);
        }
        match event.channel {
            Channel::Book | Channel::BookTop => {
                let key = (id, event.channel);
                let tracked = self.books.entry(key).or_insert_with(|| Tracked::new(event));
                tracked.on(event, findings);
            }
            Channel::Quote => {
                if let (Body::Quote(quote), Some(book)) =
                    (&event.body, self.books.get_mut(&(id, Channel::Book)))
                {
                    book.hold(&event.instrument, *quote, findings);
                }
            }
            _ => {}
        }
    }

    fn control(&mut self) {
        self.controls += 1;
    }

    fn malformed(&mut self, place: Place, fault: &Malformed, frame: &[u8]) {
        self.malformed.0 += 1;
        if self.malformed.1.len() < 10 {
            let head = String::from_utf8_lossy(frame.get(..frame.len().min(120)).unwrap_or_default());
            self.malformed.1.push(format!("{place}: {fault}: {head}"));
        }
    }

    fn unknown(&mut self, what: &str) {
        if let Some(times) = self.unknown.get_mut(what) {
            *times += 1;
        } else if self.unknown.len() < 256 {
            self.unknown.insert(what.to_owned(), 1);
        }
    }

    fn foreign(&mut self) {
        self.foreign += 1;
    }
}

impl Verifier {
    /// The frame is read to its end: what its events made is a state.
    fn settle(&mut self) {
        if let Some(rebuilt) = self.changed.take().and_then(|id| self.rebuilt.get_mut(&id)) {
            rebuilt.settle();
        }
    }

    /// Everything is read.
    pub fn finish(&mut self) {
        self.settle();
        self.rebuilt.values_mut().for_each(Rebuilt::end_day);
    }

    /// Whether nothing is wrong. That the recorded connection was lost is no fault of anything that is checked.
    pub fn is_right(&self) -> bool {
        let lost = model::GapCause::Disconnected.name();
        let wrong = |f: &Findings| {
            f.gaps.keys().any(|cause| *cause != lost)
                || f.checksums.1 > 0
                || f.quotes.1 > 0
                || f.crossed > 0
                || f.breaks > 0
        };
        self.malformed.0 == 0
            && self.foreign == 0
            && !self.found.values().any(|(_, _, f)| wrong(f))
            && self.rebuilt.values().all(Rebuilt::is_right)
    }
}

impl Tracked {
    fn new(event: &Event) -> Self {
        Self {
            instrument: Arc::clone(&event.instrument),
            source: event.source,
            channel: event.channel,
            state: "syncing",
            book: Book::default(),
            past: VecDeque::new(),
            ahead: BTreeMap::new(),
        }
    }

    fn on(&mut self, event: &Event, findings: &mut Findings) {
        let (old, new) = (Arc::clone(&self.instrument), &event.instrument);
        if !Arc::ptr_eq(&old, new) {
            if !self.book.redefine(&old, new) {
                self.lose("gap");
            }
            self.past.clear();
            self.instrument = Arc::clone(new);
        }
        let checksum = match &event.body {
            Body::Snapshot(snapshot) => {
                self.book.reset(snapshot);
                self.state = "live";
                snapshot.checksum
            }
            Body::Delta(delta) => {
                if self.state != "live" || self.book.apply(delta).is_err() {
                    findings.breaks += 1;
                    return self.lose("gap");
                }
                delta.checksum
            }
            Body::Gap(_) => return self.lose("gap"),
            _ => return,
        };
        if let Some(sum) = checksum {
            let ours = Checksummer::default().of(&self.book, sum.kind, new.px_scale, new.qty_scale);
            let side = if ours == sum.value { &mut findings.checksums.0 } else { &mut findings.checksums.1 };
            *side += 1;
        }
        findings.crossed += u64::from(self.book.is_crossed());
        self.remember(findings);
    }

    fn lose(&mut self, state: &'static str) {
        self.book.clear();
        self.state = state;
        self.past.clear();
    }

    fn remember(&mut self, findings: &mut Findings) {
        let Some(seq) = self.book.seq() else { return };
        let best = self.book.quote();
        if let Some((instrument, quote)) = self.ahead.remove(&seq) {
            count(findings, same(&instrument, &quote, &self.instrument, &best));
        }
        self.ahead = self.ahead.split_off(&seq);
        self.past.push_back((seq, best));
        if self.past.len() > QUOTES_MAX {
            self.past.pop_front();
        }
    }

    /// Holds a venue's quote against the book at the same update id; earlier ones are looked up, later ones wait.
    fn hold(&mut self, instrument: &Arc<Instrument>, quote: Quote, findings: &mut Findings) {
        let Some(seq) = quote.seq else { return };
        if self.book.seq().is_none_or(|at| at < seq) {
            if self.ahead.len() < QUOTES_MAX {
                self.ahead.insert(seq, (Arc::clone(instrument), quote));
            }
        } else if let Ok(at) = self.past.binary_search_by_key(&seq, |(s, _)| *s)
            && let Some((_, best)) = self.past.get(at)
        {
            count(findings, same(instrument, &quote, &self.instrument, best));
        }
    }
}

fn count(findings: &mut Findings, equal: bool) {
    let side = if equal { &mut findings.quotes.0 } else { &mut findings.quotes.1 };
    *side += 1;
}

/// Whether two quotes are equal in price and quantity, each at its own scale.
fn same(a_of: &Instrument, a: &Quote, b_of: &Instrument, b: &Quote) -> bool {
    let equal = |x: i64, xs: Scale, y: i64, ys: Scale| {
        let fine = xs.max(ys);
        rescale(x, xs, fine).is_some_and(|x| rescale(y, ys, fine) == Some(x))
    };
    let levels = |x: Option<Level>, y: Option<Level>| match (x, y) {
        (Some(x), Some(y)) => {
            equal(x.px.0, a_of.px_scale, y.px.0, b_of.px_scale)
                && equal(x.qty.0, a_of.qty_scale, y.qty.0, b_of.qty_scale)
        }
        (None, None) => true,
        _ => false,
    };
    levels(a.bid, b.bid) && levels(a.ask, b.ask)
}
