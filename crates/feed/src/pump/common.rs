//! What both halves of a pump share: who they are, what they count, what they have told.

use super::merge::Merge;
use super::port::Out;
use hashbrown::HashSet;
use model::{
    Body, Channel, Event, Flags, Instrument, InstrumentKind, LaneFact, LinkFact, LinkId, SourceName, Stamp,
    Ts,
};
use source::{Action, Endpoint, Malformed, Shard, Spec, Want};
use std::sync::Arc;

/// How many unreadable frames are told in a minute; the rest is counted.
const MALFORMED_TOLD_MAX: u32 = 20;
/// How many different unknown names are told.
const UNKNOWN_TOLD_MAX: usize = 256;
/// How much of an unreadable frame is shown.
const SHOWN_BYTES: usize = 120;

/// What a pump has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames, and bodies of REST answers.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames sent.
    pub sent: u64,
    /// REST requests.
    pub fetches: u64,
    /// Frames, or parts of one, that could not be read.
    pub malformed: u64,
    /// Unknown fields and values.
    pub unknown: u64,
    /// Frames that carry no data.
    pub controls: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that were lost, or could not be opened.
    pub losses: u64,
    /// Connections that took a living one's place.
    pub promotions: u64,
    /// Books that the engine sent back to the session.
    pub resyncs: u64,
    /// What was said about connections that were over by then.
    pub late: u64,
    /// Events by [`Channel`].
    pub events: [u64; Channel::ALL.len()],
    /// Gaps by cause, in the order of the enum.
    pub gaps: [u64; 9],
}

impl Counters {
    pub(super) fn event(&mut self, event: &Event) {
        if let Some(count) = self.events.get_mut(event.channel as usize) {
            *count += 1;
        }
        if let Body::Gap(gap) = &event.body
            && let Some(count) = self.gaps.get_mut(gap.cause as usize)
        {
            *count += 1;
        }
    }
}

/// The instrument that facts about a source's connections are told of: `*@okx`.
pub fn pseudo(source: SourceName) -> Arc<Instrument> {
    Arc::new(Instrument::provisional(source, "", "*", InstrumentKind::Index))
}

/// See the module.
pub(super) struct Common {
    pub source: SourceName,
    pub endpoint: &'static Endpoint,
    /// With the newest definitions.
    pub shard: Shard,
    pub url: Box<str>,
    pub lifetime_ms: Option<u64>,
    pub rng: fastrand::Rng,
    pub counters: Counters,
    pub merge: Merge,
    /// A buffer that is used again.
    pub actions: Vec<Action>,
    /// Definitions that one session has made and the others do not know.
    pub defined: Vec<(LinkId, Arc<Instrument>)>,
    pseudo: Arc<Instrument>,
    unknown: HashSet<Box<str>>,
    minute: Ts,
    told: u32,
    untold: u64,
}

impl Common {
    pub fn new(
        spec: &'static Spec,
        shard: Shard,
        seed: u64,
        host: Option<String>,
        lifetime_ms: Option<u64>,
        engine: engine::Engine,
    ) -> Option<Self> {
        let endpoint = spec.endpoints.get(shard.endpoint)?;
        let ours = if shard.path.is_some() { endpoint.ws } else { endpoint.rest };
        let host = host.unwrap_or_else(|| ours.to_owned());
        let url = format!("{host}{}", shard.path.as_deref().unwrap_or_default());
        Some(Self {
            source: spec.name,
            endpoint,
            shard,
            url: url.into(),
            lifetime_ms: lifetime_ms.or(endpoint.lifetime_ms),
            rng: fastrand::Rng::with_seed(seed),
            counters: Counters::default(),
            merge: Merge::new(engine, spec),
            actions: Vec::new(),
            defined: Vec::new(),
            pseudo: pseudo(spec.name),
            unknown: HashSet::new(),
            minute: Ts::default(),
            told: 0,
            untold: 0,
        })
    }

    /// An event of our own making.
    pub fn event(&self, instrument: &Arc<Instrument>, channel: Channel, body: Body, now: Ts) -> Event {
        Event {
            source: self.source,
            instrument: Arc::clone(instrument),
            channel,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: None, ts_recv: now },
            body,
        }
    }

    /// Tells that a connection carries the lanes.
    pub fn carried(&mut self, link: LinkId, now: Ts, out: &mut Out) {
        let wants = std::mem::take(&mut self.shard.wants);
        self.carried_of(link, &wants, now, out);
        self.shard.wants = wants;
    }

    /// Tells that a connection carries some of them.
    pub fn carried_of(&mut self, link: LinkId, wants: &[Want], now: Ts, out: &mut Out) {
        for want in wants {
            let fact = Body::Lane(LaneFact::Carried(link));
            let event = self.event(&want.instrument, want.channel, fact, now);
            self.counters.event(&event);
            out.events.push(event);
        }
    }

    /// Tells a fact about a connection.
    pub fn link(&mut self, fact: LinkFact, now: Ts, out: &mut Out) {
        let event = self.event(&self.pseudo, Channel::Link, Body::Link(fact), now);
        self.counters.event(&event);
        out.events.push(event);
    }

    /// Takes a new definition into what is wanted. False where it changes nothing.
    pub fn redefine(&mut self, instrument: &Arc<Instrument>) -> bool {
        let mut news = false;
        for want in self.shard.wants.iter_mut().filter(|w| w.instrument.id == instrument.id) {
            news |= want.instrument != *instrument;
            want.instrument = Arc::clone(instrument);
        }
        news
    }

    /// Counts an unreadable frame, and tells the first few of each minute.
    #[cold]
    pub fn malformed(&mut self, link: LinkId, fault: &Malformed, frame: &[u8], now: Ts, out: &mut Out) {
        self.counters.malformed += 1;
        self.sum_up(link, now, out);
        if self.told >= MALFORMED_TOLD_MAX {
            self.untold += 1;
            return;
        }
        self.told += 1;
        let begin = frame.get(..SHOWN_BYTES).unwrap_or(frame);
        let what = format!("{fault}: {}", begin.escape_ascii()).into();
        self.link(LinkFact::Malformed { link, what }, now, out);
    }

    /// At the end of a minute, says how many unreadable frames were not told.
    pub fn sum_up(&mut self, link: LinkId, now: Ts, out: &mut Out) {
        if now.ms_since(self.minute).unsigned_abs() < 60_000 {
            return;
        }
        self.minute = now;
        self.told = 0;
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            let what = format!("{untold} more frames in the last minute could not be read").into();
            self.link(LinkFact::Malformed { link, what }, now, out);
        }
    }

    /// Counts an unknown name, and tells it the first time.
    #[cold]
    pub fn unknown(&mut self, link: LinkId, what: &str, now: Ts, out: &mut Out) {
        self.counters.unknown += 1;
        if self.unknown.len() < UNKNOWN_TOLD_MAX && self.unknown.insert(what.into()) {
            self.link(LinkFact::Unknown { link, what: what.into() }, now, out);
        }
    }
}
