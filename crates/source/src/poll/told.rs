//! Where the answers' contents go.

use crate::{Action, Field, Malformed, What, refit};
use model::{
    Body, Channel, DayStats, Decimal, Event, Flags, Gap, GapCause, Instrument, InstrumentId, LaneFact, Level,
    Levels, Px, Qty, Snapshot, SourceName, Stamp, Status, Ts,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bars or minutes of a lane are remembered; a day has 242 minutes.
const SERIES_MAX: usize = 512;

/// Prices and quantities of one side, best first.
pub type Side = Vec<(Decimal, Decimal)>;

/// A quote: numbers of the day and the best few levels, in single shares and in the money of the instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quoted {
    /// When it was so; `None` where the source does not say.
    pub ts: Option<Ts>,
    /// The name for people; empty where the source does not say.
    pub title: Box<str>,
    /// The numbers.
    pub stats: DayStats,
    /// Bids and asks; `None` where the source tells none.
    pub levels: Option<(Side, Side)>,
    /// Whether it trades, where the source says so.
    pub status: Option<Status>,
}

/// One lane that is wanted, or that a recording has.
#[derive(Debug)]
pub(super) struct Lane {
    pub instrument: Arc<Instrument>,
    asked: bool,
    acked: bool,
    /// What was told last: the same is not told twice.
    last: Option<Body>,
    /// Of bars and minutes what was told of the newest, by their start.
    series: BTreeMap<Ts, Body>,
}

impl Lane {
    /// What was told counts no longer; the same may be told again.
    pub fn again(&mut self) {
        self.last = None;
    }
}

/// All lanes of a session.
#[derive(Debug)]
pub(super) struct Lanes {
    pub source: SourceName,
    /// Reads whatever comes, and makes up definitions.
    pub recorded: bool,
    pub all: BTreeMap<(InstrumentId, Channel), Lane>,
}

impl Lanes {
    pub fn add(&mut self, instrument: &Arc<Instrument>, channel: Channel) {
        let fresh = || Lane {
            instrument: Arc::clone(instrument),
            asked: false,
            acked: false,
            last: None,
            series: BTreeMap::new(),
        };
        self.all.entry((instrument.id, channel)).or_insert_with(fresh);
    }

    pub fn event(&self, instrument: &Arc<Instrument>, channel: Channel, body: Body, now: Ts) -> Action {
        let stamp = Stamp { ts_event: None, ts_recv: now };
        let instrument = Arc::clone(instrument);
        Action::Emit(Event { source: self.source, instrument, channel, flags: Flags::NONE, stamp, body })
    }

    /// Says of every lane that was not asked for yet that it is.
    pub fn ask(&mut self, fact: impl Fn(Channel) -> Option<LaneFact>, now: Ts, out: &mut Vec<Action>) {
        let fresh: Vec<(InstrumentId, Channel)> =
            self.all.iter().filter(|(_, lane)| !lane.asked).map(|(key, _)| *key).collect();
        for key in fresh {
            let Some(lane) = self.all.get_mut(&key) else { continue };
            lane.asked = true;
            let instrument = Arc::clone(&lane.instrument);
            out.extend(fact(key.1).map(|fact| self.event(&instrument, key.1, Body::Lane(fact), now)));
        }
    }

    /// What was told before stands no longer: books that are whole each time are a gap until they come again.
    pub fn forget(&mut self, cause: Option<GapCause>, now: Ts, out: &mut Vec<Action>) {
        let mut gone = Vec::new();
        for ((_, channel), lane) in &mut self.all {
            let book = channel.is_book() && lane.last.is_some();
            gone.extend(book.then(|| (Arc::clone(&lane.instrument), *channel)));
            lane.last = None;
        }
        let Some(cause) = cause else { return };
        for (instrument, channel) in gone {
            let gap = Body::Gap(Gap { cause, from_seq: None, to_seq: None });
            out.push(self.event(&instrument, channel, gap, now));
        }
    }
}

/// Where the contents of an answer go: each lane is told what it does not know yet.
pub struct Told<'s> {
    pub(super) lanes: &'s mut Lanes,
    /// When the answer's last byte was read.
    pub now: Ts,
    pub(super) out: &'s mut Vec<Action>,
    /// Whether anything new was told.
    pub(super) news: bool,
}

impl Told<'_> {
    /// A part of the answer cannot be read; it is counted and shown, and harms no other.
    pub fn bad(&mut self, fault: Malformed) {
        self.out.push(Action::Malformed(fault));
    }

    /// The definition in force of an instrument where this lane of it is wanted; it is answered then. A recording wants all: `make` then makes up
    /// what is not known yet.
    pub fn lane(
        &mut self,
        id: InstrumentId,
        channel: Channel,
        make: impl FnOnce() -> Instrument,
    ) -> Option<Arc<Instrument>> {
        if !self.lanes.all.contains_key(&(id, channel)) && self.lanes.recorded {
            self.lanes.add(&Arc::new(make()), channel);
        }
        let lane = self.lanes.all.get_mut(&(id, channel))?;
        let first = !std::mem::replace(&mut lane.acked, true) && lane.asked;
        let instrument = Arc::clone(&lane.instrument);
        if first {
            self.out.push(self.lanes.event(&instrument, channel, Body::Lane(LaneFact::Acked), self.now));
        }
        Some(instrument)
    }

    /// Tells a lane something, unless it was the last thing that it was told.
    pub fn tell(&mut self, instrument: &Arc<Instrument>, channel: Channel, ts: Option<Ts>, body: Body) {
        let Some(lane) = self.lanes.all.get_mut(&(instrument.id, channel)) else { return };
        if lane.last.as_ref() != Some(&body) {
            lane.last = Some(body.clone());
            self.push(instrument, channel, ts, body);
        }
    }

    /// Tells a lane of a bar or a minute, unless that is what it was told of it last.
    pub fn series(&mut self, instrument: &Arc<Instrument>, channel: Channel, start: Ts, body: Body) {
        let Some(lane) = self.lanes.all.get_mut(&(instrument.id, channel)) else { return };
        if lane.series.get(&start) != Some(&body) {
            lane.series.insert(start, body.clone());
            if lane.series.len() > SERIES_MAX {
                lane.series.pop_first();
            }
            self.push(instrument, channel, None, body);
        }
    }

    fn push(&mut self, instrument: &Arc<Instrument>, channel: Channel, ts: Option<Ts>, body: Body) {
        self.news = true;
        let stamp = Stamp { ts_event: ts, ts_recv: self.now };
        let (source, instrument) = (self.lanes.source, Arc::clone(instrument));
        self.out.push(Action::Emit(Event { source, instrument, channel, flags: Flags::NONE, stamp, body }));
    }

    /// The source does not know this instrument, says it in these words; told once for each lane that was asked for and not
    /// answered.
    pub fn refuse(&mut self, id: InstrumentId, words: &str) {
        let mut refused = Vec::new();
        for ((at, channel), lane) in &mut self.lanes.all {
            if *at == id && lane.asked && !std::mem::replace(&mut lane.acked, true) {
                refused.push((Arc::clone(&lane.instrument), *channel));
            }
        }
        for (instrument, channel) in refused {
            let fact = Body::Lane(LaneFact::Refused(words.into()));
            self.out.push(self.lanes.event(&instrument, channel, fact, self.now));
        }
    }

    /// Tells everything that a quote says to the lanes that want it.
    pub fn quote(&mut self, id: InstrumentId, quote: Quoted, make: impl Fn() -> Instrument) {
        let Quoted { ts, title: _, stats, levels, status } = quote;
        // An answer with nothing but levels says nothing of the day.
        let says = stats != DayStats::default() || levels.is_none();
        if let Some(instrument) = says.then(|| self.lane(id, Channel::DayStats, &make)).flatten() {
            self.tell(&instrument, Channel::DayStats, ts, Body::DayStats(Box::new(stats)));
        }
        if let Some((bids, asks)) = levels
            && let Some(instrument) = self.lane(id, Channel::BookTop, &make)
        {
            self.book(instrument, ts, (&bids, &asks));
        }
        if let Some(status) = status
            && let Some(instrument) = self.lane(id, Channel::Status, &make)
        {
            self.tell(&instrument, Channel::Status, ts, Body::Status(status));
        }
    }

    fn book(&mut self, mut instrument: Arc<Instrument>, ts: Option<Ts>, sides: (&Side, &Side)) {
        // Once for each of the two scales, and then it fits.
        for _ in 0..3 {
            match levels(&instrument, sides) {
                Ok(levels) => {
                    let book = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
                    return self.tell(&instrument, Channel::BookTop, ts, Body::Snapshot(book));
                }
                Err(fault) => match refit(&instrument, &fault) {
                    Some(wider) => {
                        self.define(&wider);
                        instrument = wider;
                    }
                    None => return self.bad(fault),
                },
            }
        }
    }

    /// A wider definition is in force.
    fn define(&mut self, wider: &Arc<Instrument>) {
        for ((id, _), lane) in &mut self.lanes.all {
            if *id == wider.id {
                lane.instrument = Arc::clone(wider);
            }
        }
        self.push(wider, Channel::Instruments, None, Body::Instrument);
    }
}

fn levels(instrument: &Instrument, (bids, asks): (&Side, &Side)) -> Result<Levels, Malformed> {
    let fit = |number: &Decimal, scale, field| {
        let fault = Malformed { at: 0, what: What::Scale(field, *number) };
        number.mantissa_at(scale).ok_or(fault)
    };
    let mut all = Vec::with_capacity(bids.len() + asks.len());
    for (px, qty) in bids.iter().chain(asks) {
        let px = Px(fit(px, instrument.px_scale, Field::Px)?);
        all.push(Level { px, qty: Qty(fit(qty, instrument.qty_scale, Field::Qty)?) });
    }
    Ok(Levels::new(all, bids.len()))
}
