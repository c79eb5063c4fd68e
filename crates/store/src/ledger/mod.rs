//! Whether data are complete: of every lane every stretch since it began is complete and by what proof, a gap and why,
//! unprovable, or closed.
//!
//! [`Ledger`] folds what the log holds, in the order of the bus. It claims no more than events show:
//!
//! * *Complete* by numbers are trades whose numbers count by one, and books whose changes name the state before; by
//!   checksum, books with one. The proof of a channel is what the source says when it asks for it. All else is unprovable.
//! * A lane is as complete as its connection was alive: up to the last frame, ping or event of it that is known. What is
//!   between that and the next data is a gap, also where no gap was told, unless the lane's next number follows the last.
//! * The same holds for events that were not kept and for the time in which the platform did not run.
//! * Times are those of receipt, and do not go back within a lane: where the clock does, the lane waits for it.
//!
//! Events that are computed from others ([`Flags::DERIVED`]), findings, listings and facts about connections have no lanes
//! here.

mod evidence;
mod holes;
mod interval;
mod lane;

pub use interval::{Cause, Interval, LaneName, Place, Row, State, Wanted, Why};

use crate::code::{Code, record};
use crate::log::{Entry, Found};
use bus::{Cursor, Published};
use evidence::horizon;
use hashbrown::HashMap;
use lane::Lane;
use model::{
    Body, Channel, Event, Flags, GapCause, InstrumentId, LaneFact, LinkFact, LinkId, SourceName, Status, Ts,
};

/// The version of its bytes.
const VERSION: u8 = 2;

/// See the module. It holds what is not final yet; the rest is drained. Its size goes with the number of lanes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The last number that it has seen or knows to be lost.
    cursor: Option<Cursor>,
    /// The life of the bus that it is in: the epoch of the last event that was not filled in later.
    life: Option<u64>,
    /// The latest time of receipt.
    now: Ts,
    instruments: Vec<Lanes>,
    links: Vec<Link>,
    settled: Vec<Interval>,
    /// Where the lanes of an instrument stand; made of the others.
    index: HashMap<(SourceName, InstrumentId), usize>,
}

/// The lanes of one instrument from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lanes {
    source: SourceName,
    id: InstrumentId,
    halted: bool,
    all: Vec<Lane>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    source: SourceName,
    id: LinkId,
    up: bool,
    /// When anything last came by it.
    heard: Ts,
    /// Lanes of it may be in a gap that its next sign of life ends.
    doubt: bool,
}

impl Ledger {
    /// The last event that is in it. What comes before is passed over, so a log may be read again from any point.
    pub const fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Takes what was found in the log.
    pub fn found(&mut self, found: &Found) {
        match found {
            Found::Entry(Entry::Event(published)) => self.on(published),
            Found::Entry(Entry::Lost(lost)) => self.missing(lost.epoch, lost.to, Cause::Store),
            Found::Hole { epoch, to, .. } => self.missing(*epoch, *to, Cause::Damage),
            // What damage took is told by its numbers; what is torn was never acknowledged, and the next life of the bus
            // shows that this one ended.
            Found::Damage { .. } | Found::Torn(_) | Found::Closed(_) => {}
        }
    }

    /// Takes an event.
    pub fn on(&mut self, published: &Published) {
        let Published { cursor, event, .. } = published;
        if self.cursor.is_some_and(|last| *cursor <= last) {
            return;
        }
        let ts = event.stamp.ts_recv;
        // What is filled in while no platform runs is no life of the bus.
        let filled = event.flags.has(Flags::REPAIRED);
        let follows = self.cursor.filter(|last| last.epoch == cursor.epoch);
        if !filled && self.life != Some(cursor.epoch) {
            self.restart(*cursor, ts);
        } else if follows.is_some_and(|last| last.number + 1 < cursor.number) {
            self.missing(cursor.epoch, cursor.number - 1, Cause::Store);
        }
        self.cursor = Some(*cursor);
        if filled {
            // It says nothing of what comes.
            return;
        }
        self.now = self.now.max(ts);
        let at = Place { ts, cursor: *cursor };
        match (&event.body, event.channel) {
            (Body::Link(fact), _) => self.on_link(event.source, fact, at),
            (Body::Instrument, _) => self.on_status(event, &event.instrument.status, at),
            (_, Channel::Instruments | Channel::Findings | Channel::Link) => {}
            (body, _) => {
                if !event.flags.has(Flags::DERIVED) {
                    self.on_lane(event, at);
                }
                if let Body::Status(status) = body {
                    self.on_status(event, status, at);
                }
            }
        }
    }

    /// The events up to this number are not there.
    fn missing(&mut self, epoch: u64, to: u64, cause: Cause) {
        let cursor = Cursor { epoch, number: to };
        if self.cursor.is_some_and(|last| cursor <= last) {
            return;
        }
        if self.life != Some(epoch) {
            self.restart(Cursor { epoch, number: 1 }, self.now);
        }
        self.cursor = Some(cursor);
        for link in &mut self.links {
            link.doubt = true;
        }
        let Self { instruments, links, .. } = self;
        for lane in instruments.iter_mut().flat_map(|of| &mut of.all).filter(|lane| lane.state.is_well()) {
            let at = Place { ts: horizon(lane, links), cursor };
            lane.turn(at, State::Gap(cause), true);
        }
    }

    /// Another life of the bus: between its first event and the last one before, the platform did not run.
    fn restart(&mut self, first: Cursor, ts: Ts) {
        let begun = Ts::from_ms(i64::try_from(first.epoch).unwrap_or(i64::MAX)).min(ts).max(self.now);
        let last = self.cursor.unwrap_or(first);
        self.life = Some(first.epoch);
        let Self { instruments, links, .. } = self;
        for lane in instruments.iter_mut().flat_map(|of| &mut of.all) {
            if matches!(lane.state, State::Closed(_)) {
                continue;
            }
            let ended = if lane.state.is_well() { horizon(lane, links) } else { self.now };
            lane.turn(Place { ts: ended, cursor: last }, State::Gap(Cause::NotRunning), true);
            lane.turn(Place { ts: begun, cursor: first }, State::Gap(Cause::Starting), true);
            (lane.link, lane.asked) = (None, true);
        }
        self.links.clear();
    }

    fn on_link(&mut self, source: SourceName, fact: &LinkFact, at: Place) {
        let index = self.link(source, ::lane::link_of(fact));
        let Some(link) = self.links.get_mut(index) else { return };
        match fact {
            LinkFact::Up { .. } => (link.up, link.heard) = (true, link.heard.max(at.ts)),
            LinkFact::Alive { last_frame, last_ping, .. } => {
                link.up = true;
                let heard = [Some(link.heard), *last_frame, *last_ping].into_iter().flatten().max();
                link.heard = heard.map_or(link.heard, |heard| heard.min(at.ts).max(link.heard));
                if std::mem::take(&mut link.doubt) {
                    self.revive(index, at);
                }
            }
            LinkFact::Down { .. } => {
                link.doubt |= link.up;
                link.up = false;
                self.cut(source, index, at);
            }
            LinkFact::Connecting { .. }
            | LinkFact::Clock { .. }
            | LinkFact::Malformed { .. }
            | LinkFact::Unknown { .. } => {}
        }
    }

    /// A connection is lost, and with it the lanes that it carries, or any may, where none is left.
    fn cut(&mut self, source: SourceName, index: usize, at: Place) {
        let alone = !self.links.iter().any(|link| link.source == source && link.up);
        let Self { instruments, links, .. } = self;
        let of_source = instruments.iter_mut().filter(|of| of.source == source).flat_map(|of| &mut of.all);
        for lane in of_source.filter(|lane| lane.link.map_or(alone, |link| link == index)) {
            if lane.state.is_well() {
                let at = Place { ts: horizon(lane, links), ..at };
                lane.turn(at, State::Gap(Cause::Told(GapCause::Disconnected)), true);
            }
        }
    }

    /// A connection is alive after a time in which it was not, or nothing is known: what it carries, and nobody asked for
    /// anew, goes on.
    fn revive(&mut self, index: usize, at: Place) {
        for lane in self.instruments.iter_mut().flat_map(|of| &mut of.all) {
            let ends = matches!(
                lane.state,
                State::Gap(Cause::Store | Cause::Damage | Cause::Told(GapCause::Disconnected))
            );
            if ends && lane.link == Some(index) && !lane.asked && !lane.is_book() && !lane.counts() {
                lane.turn(at, State::Unprovable, false);
            }
        }
    }

    /// The place of a connection in the list.
    fn link(&mut self, source: SourceName, id: LinkId) -> usize {
        let known = self.links.iter().position(|link| link.id == id && link.source == source);
        known.unwrap_or_else(|| {
            self.links.push(Link { source, id, up: false, heard: Ts::default(), doubt: false });
            self.links.len() - 1
        })
    }

    fn on_status(&mut self, event: &Event, status: &Status, at: Place) {
        let halted = match status {
            Status::Trading => false,
            Status::PreOpen | Status::Halted | Status::Closed => true,
            Status::Other(_) => return,
        };
        let Some(index) = self.index.get(&(event.source, event.instrument.id)) else { return };
        let Some(of) = self.instruments.get_mut(*index).filter(|of| of.halted != halted) else { return };
        of.halted = halted;
        for lane in of.all.iter_mut().filter(|lane| lane.name.channel != Channel::Status) {
            lane.halt(halted, at);
        }
    }

    fn on_lane(&mut self, event: &Event, at: Place) {
        let key = (event.source, event.instrument.id);
        let index = *self.index.entry(key).or_insert_with(|| {
            self.instruments.push(Lanes { source: key.0, id: key.1, halted: false, all: Vec::new() });
            self.instruments.len() - 1
        });
        let carried = match &event.body {
            Body::Lane(LaneFact::Carried(link)) => Some(self.link(event.source, *link)),
            _ => None,
        };
        let Some(of) = self.instruments.get_mut(index) else { return };
        let lane = if let Some(place) = of.all.iter().position(|lane| lane.name.channel == event.channel)
            && let Some(lane) = of.all.get_mut(place)
        {
            lane
        } else {
            let name = LaneName::new(key.0, &event.instrument, event.channel);
            let lane = of.all.push_mut(Lane::new(name, at));
            lane.halt(of.halted && event.channel != Channel::Status, at);
            lane
        };
        match &event.body {
            Body::Lane(fact) => evidence::on_fact(lane, fact, carried, at, &mut self.settled),
            Body::Gap(gap) => evidence::on_gap(lane, gap, at, &self.links),
            _ => {
                evidence::on_data(lane, event, at);
                if let Some(link) = lane.link.and_then(|link| self.links.get_mut(link)) {
                    link.heard = link.heard.max(at.ts);
                }
            }
        }
        if lane.tail.len() > 1 {
            lane.settle(at.ts, &mut self.settled);
        }
    }

    /// What a repair after the fact has filled in of a lane, for gaps that it still holds: true where there was one. The
    /// changed ones that were drained before are drained again. For others see [`Interval::repaired`].
    pub fn repaired(&mut self, name: &LaneName, from: Ts, to: Ts, at: Ts, events: u64) -> bool {
        let id = InstrumentId::of(&name.exchange, &name.product, &name.symbol);
        let Some(index) = self.index.get(&(name.source, id)) else { return false };
        let lanes = self.instruments.get_mut(*index).map(|of| of.all.iter_mut());
        let lane = lanes.into_iter().flatten().find(|lane| lane.name.channel == name.channel);
        lane.is_some_and(|lane| lane.repaired((from, to), at, events, &mut self.settled))
    }

    /// As [`Ledger::repaired`], of an interval that was drained before and is not held here.
    pub(crate) fn repaired_before(&mut self, kept: &Interval, times: (Ts, Ts), at: Ts, events: u64) -> bool {
        let parts = kept.repaired(times.0, times.1, at, events);
        let changed = !matches!(&*parts, [same] if same == kept) && !kept.is_replaced(&self.settled);
        if changed {
            self.settled.extend(parts);
        }
        changed
    }

    /// Takes out the intervals that can change no more, to be kept under lane and [`Interval::number`]. The caller does so
    /// from time to time; until then they are held here.
    pub fn drain(&mut self) -> Vec<Interval> {
        std::mem::take(&mut self.settled)
    }

    /// What is held here of the lanes that are wanted and lies between two instants, by lane and in the order of time:
    /// what was not drained yet, what is not final, and the open interval of each up to where it is known.
    pub fn rows(&self, wanted: &Wanted, from: Ts, to: Ts) -> Vec<Row> {
        let now = Place { ts: self.now, cursor: self.cursor.unwrap_or(Cursor { epoch: 0, number: 0 }) };
        let mut all: Vec<(Interval, bool)> =
            self.settled.iter().map(|interval| (interval.clone(), false)).collect();
        for lane in self.instruments.iter().flat_map(|of| &of.all) {
            if !wanted.takes(&lane.name) {
                continue;
            }
            let mut lane = lane.clone();
            let well = lane.state.is_well();
            let until = if well { horizon(&lane, &self.links) } else { self.now };
            lane.advance(Place { ts: until, ..now });
            let last = lane.tail.len().saturating_sub(1);
            for (place, span) in lane.tail.into_iter().enumerate() {
                let mut interval = span.interval;
                if place == last {
                    let end = if well && interval.state.is_well() { until } else { self.now };
                    interval.to = Place { ts: end.max(interval.from.ts), ..now };
                    if matches!(interval.state, State::Complete(_)) {
                        interval.to_seq = lane.seq;
                    }
                }
                all.push((interval, place == last));
            }
        }
        all.retain(|(interval, _)| {
            wanted.takes(&interval.lane) && interval.to.ts >= from && interval.from.ts < to
        });
        all.sort_by(|(a, _), (b, _)| a.lane.cmp(&b.lane).then(a.from.ts.cmp(&b.from.ts)));
        all.iter().map(|(interval, open)| Row::new(interval, *open)).collect()
    }

    /// As bytes, for [`Ledger::from_bytes`]: with what was not drained yet.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put(&mut out);
        out
    }

    /// Of [`Ledger::to_bytes`]; `None` where they are none, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let ledger = match u8::take(&mut rest)? {
            // Before anything was filled in while no platform ran.
            1 => Self::take_first(&mut rest)?,
            VERSION => Self::take(&mut rest)?,
            _ => return None,
        };
        rest.is_empty().then_some(ledger)
    }
}

impl Code for Ledger {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { cursor, now, instruments, links, settled, life, index: _ } = self;
        cursor.put(out);
        now.put(out);
        instruments.put(out);
        links.put(out);
        settled.put(out);
        life.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let ledger = Self::take_first(bytes)?;
        Some(Self { life: Code::take(bytes)?, ..ledger })
    }
}

impl Ledger {
    /// As the first version has it, which says nothing of lives.
    fn take_first(bytes: &mut &[u8]) -> Option<Self> {
        let cursor = <Option<Cursor> as Code>::take(bytes)?;
        let (now, instruments) = (Code::take(bytes)?, Vec::<Lanes>::take(bytes)?);
        let (links, settled) = (Code::take(bytes)?, Code::take(bytes)?);
        let keys = instruments.iter().enumerate().map(|(at, of)| ((of.source, of.id), at));
        let index = keys.collect();
        let life = cursor.map(|last| last.epoch);
        Some(Self { cursor, life, now, instruments, links, settled, index })
    }
}

record! {
    Lanes { source, id, halted, all }
    Link { source, id, up, heard, doubt }
}

#[cfg(test)]
mod tests;
