//! What state each lane is in, and by what evidence.
//!
//! A lane is one channel of one instrument from one source. At every instant it has exactly one [`State`], computed from
//! what was seen and from the time; no flag is stored that could go out of date.

mod report;

pub use report::{LaneReport, LinkReport, Neighbours, State};

use model::{Body, Channel, Event, GapCause, Instrument, LaneFact, LinkFact, LinkId, Proof, SourceName, Ts};
use std::collections::VecDeque;
use std::sync::Arc;

/// What was seen of one lane.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who tells us.
    pub source: SourceName,
    /// Of what, under its newest definition.
    pub instrument: Arc<Instrument>,
    /// Which kind of data.
    pub channel: Channel,
    /// How completeness can be shown; `None` before anybody asked for the lane.
    pub proof: Proof,
    /// The longest silence that the venue's cadence allows, in ms.
    pub quiet_ms: Option<u32>,
    /// The connection that carries it.
    pub link: Option<LinkId>,
    /// When we asked for it on the connection in force.
    pub asked: Option<Ts>,
    /// When the venue agreed.
    pub acked: Option<Ts>,
    /// The venue's words where it said no.
    pub refused: Option<Box<str>>,
    /// Whether it is no longer wanted.
    pub dropped: bool,
    /// For books: since when it waits for a snapshot, and why.
    pub syncing: Option<(Ts, Box<str>)>,
    /// For books: since when continuity is lost, and why.
    pub gap: Option<(Ts, GapCause)>,
    /// When data first came.
    pub first_event: Option<Ts>,
    /// When data last came.
    pub last_event: Option<Ts>,
    /// How many events came.
    pub events: u64,
    /// How many gaps there were.
    pub gaps: u64,
    /// The newest of them, oldest first: the lane's ledger.
    pub holes: VecDeque<Hole>,
}

/// How many holes of a lane are remembered.
pub const HOLES_MAX: usize = 64;

/// A stretch of a lane that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// When the last event before it came.
    pub before: Option<Ts>,
    /// When it was noticed.
    pub since: Ts,
    /// Why.
    pub cause: GapCause,
    /// The last state before it, where known.
    pub from_seq: Option<u64>,
    /// The first state after it, where known.
    pub to_seq: Option<u64>,
    /// What became of it.
    pub end: End,
}

/// What became of a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing yet.
    Open,
    /// The lane goes on from a snapshot; what happened in between is not known.
    Resumed(Ts),
    /// It was filled from the venue's history.
    Repaired {
        /// When that became known.
        at: Ts,
        /// How many events were filled in.
        events: u64,
    },
    /// It could not be filled.
    Lost {
        /// When that became known.
        at: Ts,
        /// Why, in words.
        why: Box<str>,
    },
}

impl Evidence {
    /// Nothing seen yet.
    pub fn new(event: &Event) -> Self {
        Self {
            source: event.source,
            instrument: Arc::clone(&event.instrument),
            channel: event.channel,
            proof: Proof::None,
            quiet_ms: None,
            link: None,
            asked: None,
            acked: None,
            refused: None,
            dropped: false,
            syncing: None,
            gap: None,
            first_event: None,
            last_event: None,
            events: 0,
            gaps: 0,
            holes: VecDeque::new(),
        }
    }

    /// Takes an event of this lane.
    #[inline]
    pub fn on(&mut self, event: &Event) {
        let now = event.stamp.ts_recv;
        if !Arc::ptr_eq(&self.instrument, &event.instrument) {
            self.instrument = Arc::clone(&event.instrument);
        }
        match &event.body {
            Body::Lane(fact) => self.on_fact(fact, now),
            Body::Gap(gap) => {
                self.gaps += 1;
                // Of other lanes what follows stands by itself.
                if self.channel == Channel::Book {
                    self.gap = Some((now, gap.cause));
                }
                if self.holes.len() >= HOLES_MAX {
                    self.holes.pop_front();
                }
                let (cause, from_seq, to_seq) = (gap.cause, gap.from_seq, gap.to_seq);
                let before = self.last_event;
                self.holes.push_back(Hole { before, since: now, cause, from_seq, to_seq, end: End::Open });
            }
            Body::Snapshot(_) => {
                self.gap = None;
                self.syncing = None;
                if let Some(hole) = self.holes.back_mut().filter(|hole| hole.end == End::Open) {
                    hole.end = End::Resumed(now);
                }
                self.on_data(now);
            }
            Body::Delta(_)
            | Body::Trade(_)
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
            | Body::Instrument => self.on_data(now),
            Body::Link(_) => {}
        }
    }

    /// What became of the newest open hole between these numbers.
    fn close(&mut self, seqs: (Option<u64>, Option<u64>), end: End) {
        let open = |hole: &&mut Hole| hole.end == End::Open && (hole.from_seq, hole.to_seq) == seqs;
        if let Some(hole) = self.holes.iter_mut().rev().find(open) {
            hole.end = end;
        }
    }

    fn on_data(&mut self, now: Ts) {
        self.first_event.get_or_insert(now);
        self.last_event = Some(now);
        self.events += 1;
    }

    fn on_fact(&mut self, fact: &LaneFact, now: Ts) {
        match fact {
            LaneFact::Asked { proof, quiet_ms } => {
                self.proof = *proof;
                self.quiet_ms = *quiet_ms;
                self.asked = Some(now);
                self.acked = None;
                self.refused = None;
                self.dropped = false;
            }
            LaneFact::Carried(link) => self.link = Some(*link),
            LaneFact::Acked => self.acked = Some(now),
            LaneFact::Refused(words) => self.refused = Some(words.clone()),
            LaneFact::Syncing(words) => {
                let since = self.syncing.as_ref().map_or(now, |(since, _)| *since);
                self.syncing = Some((since, words.clone()));
            }
            LaneFact::Repaired { from_seq, to_seq, events } => {
                self.close((*from_seq, *to_seq), End::Repaired { at: now, events: *events });
            }
            LaneFact::Unrepaired { from_seq, to_seq, why } => {
                self.close((*from_seq, *to_seq), End::Lost { at: now, why: why.clone() });
            }
            LaneFact::Dropped => {
                self.dropped = true;
                self.gap = None;
            }
        }
    }
}

/// What was seen of one connection.
#[derive(Clone, Debug, Default)]
pub struct LinkEvidence {
    /// To where.
    pub url: Box<str>,
    /// Since when it is open.
    pub up: Option<Ts>,
    /// Since when it is lost, why, and how long until the next try in ms.
    pub down: Option<(Ts, Box<str>, Option<u64>)>,
    /// When the last data frame came.
    pub last_frame: Option<Ts>,
    /// When the last ping or pong came.
    pub last_ping: Option<Ts>,
    /// How often it was lost.
    pub losses: u64,
    /// Frames that could not be read, and the last one in words.
    pub malformed: (u64, Box<str>),
    /// Unknown fields and values, the newest last; at most 20.
    pub unknown: Vec<Box<str>>,
    /// How far the venue's clock is ahead of ours, by how much that may be wrong, both in ns, and when it was asked.
    pub clock: Option<(i64, u64, Ts)>,
}

impl LinkEvidence {
    /// Takes a fact about this connection.
    pub fn on(&mut self, fact: &LinkFact, now: Ts) {
        match fact {
            LinkFact::Connecting { url, .. } => self.url.clone_from(url),
            LinkFact::Up { .. } => {
                self.up = Some(now);
                self.down = None;
            }
            LinkFact::Alive { last_frame, last_ping, .. } => {
                self.last_frame = last_frame.or(self.last_frame);
                self.last_ping = last_ping.or(self.last_ping);
            }
            LinkFact::Down { why, retry_ms, .. } => {
                self.losses += u64::from(self.up.is_some());
                self.up = None;
                self.down = Some((now, why.clone(), *retry_ms));
            }
            LinkFact::Clock { offset_ns, error_ns, .. } => self.clock = Some((*offset_ns, *error_ns, now)),
            LinkFact::Malformed { what, .. } => self.malformed = (self.malformed.0 + 1, what.clone()),
            LinkFact::Unknown { what, .. } => {
                if self.unknown.len() < 20 && !self.unknown.contains(what) {
                    self.unknown.push(what.clone());
                }
            }
        }
    }
}

/// The connection that a fact is about.
pub const fn link_of(fact: &LinkFact) -> LinkId {
    match fact {
        LinkFact::Connecting { link, .. }
        | LinkFact::Up { link }
        | LinkFact::Alive { link, .. }
        | LinkFact::Clock { link, .. }
        | LinkFact::Down { link, .. }
        | LinkFact::Malformed { link, .. }
        | LinkFact::Unknown { link, .. } => *link,
    }
}
