//! The last value of every lane: for those who join late, and for those who ask once.

use crate::queue::Key;
use crate::{Cursor, Filter, Published};
use book::Book;
use hashbrown::HashMap;
use lane::{Evidence, LaneReport, LinkEvidence, LinkReport, Neighbours};
use model::{
    Body, Catalogue, Channel, Event, Flags, Instrument, InstrumentId, LaneFact, Levels, LinkFact, LinkId,
    Proof, Snapshot, SourceName, Stamp, Ts,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Whether a book may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// No snapshot has come yet.
    Syncing,
    /// It equals the venue's book at its `seq`.
    Live,
    /// Continuity is lost; the levels are gone.
    Gap,
    /// Continuous, but the bid is above the ask at this moment.
    Crossed,
}

impl BookState {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Gap => "gap",
            Self::Crossed => "crossed",
        }
    }
}

/// A book at an instant.
#[derive(Clone, Debug)]
pub struct BookView {
    /// Whose.
    pub instrument: Arc<Instrument>,
    /// Who told us.
    pub source: SourceName,
    /// Whether it may be believed.
    pub state: BookState,
    /// Counts the book's beginnings.
    pub epoch: u32,
    /// The venue's number of this state.
    pub seq: Option<u64>,
    /// The newest event on the bus when this was taken; the book is complete up to it.
    pub cursor: Cursor,
    /// Time of the last change.
    pub stamp: Stamp,
    /// Best first.
    pub levels: Levels,
}

/// What a lane holds, in plain counts.
#[derive(Clone, Debug)]
pub struct LaneView {
    /// Who tells us.
    pub source: SourceName,
    /// Where it trades.
    pub instrument: Arc<Instrument>,
    /// Which kind of data.
    pub channel: Channel,
    /// How completeness can be shown.
    pub proof: Proof,
    /// When data last came.
    pub last_event: Option<Ts>,
    /// How many events came.
    pub events: u64,
    /// How many gaps there were.
    pub gaps: u64,
    /// Whether a book of this lane can be had now.
    pub book: Option<BookState>,
}

struct Lane {
    evidence: Evidence,
    /// The newest event that is neither a book's nor a fact.
    newest: Option<Arc<Published>>,
    book: Option<Kept>,
    trades: VecDeque<Arc<Published>>,
}

struct Kept {
    book: Book,
    state: BookState,
    epoch: u32,
    newest: Arc<Published>,
}

pub(crate) struct Values {
    pub(crate) catalogue: Catalogue,
    /// A handful of each instrument: one for each channel and source.
    lanes: HashMap<InstrumentId, Vec<Lane>>,
    links: HashMap<(SourceName, LinkId), LinkEvidence>,
    trades_max: usize,
    levels_max: usize,
}

impl Values {
    pub(crate) fn new(trades_max: usize, levels_max: usize) -> Self {
        Self {
            catalogue: Catalogue::default(),
            lanes: HashMap::new(),
            links: HashMap::new(),
            trades_max,
            levels_max,
        }
    }

    pub(crate) fn on(&mut self, published: &Arc<Published>) {
        let event = &published.event;
        if let Body::Link(fact) = &event.body {
            let key = (event.source, lane::link_of(fact));
            if matches!(fact, LinkFact::Down { retry_ms: None, .. }) {
                // Gone for good: another has taken its place.
                self.links.remove(&key);
            } else {
                self.links.entry(key).or_default().on(fact, event.stamp.ts_recv);
            }
            return;
        }
        if matches!(event.body, Body::Instrument) {
            self.catalogue.put(&event.instrument);
        }
        let lanes = self.lanes.entry(event.instrument.id).or_default();
        let at = lanes
            .iter()
            .position(|l| l.evidence.channel == event.channel && l.evidence.source == event.source);
        let lane = if let Some(lane) = at.and_then(|at| lanes.get_mut(at)) {
            lane
        } else {
            self.catalogue.put(&event.instrument);
            lanes.push_mut(Lane::new(event))
        };
        lane.evidence.on(event);
        match &event.body {
            Body::Gap(_) if !event.channel.is_book() => {}
            Body::Snapshot(_) | Body::Delta(_) | Body::Gap(_) => lane.keep_book(published, self.levels_max),
            Body::Trade(_) | Body::Finding(_) => {
                if lane.trades.len() >= self.trades_max {
                    lane.trades.pop_front();
                }
                lane.trades.push_back(Arc::clone(published));
            }
            Body::Lane(LaneFact::Dropped) => {
                // Nobody sees to it any more: it must not be served as if it were live.
                (lane.book, lane.newest) = (None, None);
                lane.trades.clear();
            }
            Body::Order(_) | Body::Lane(_) | Body::Link(_) => {}
            Body::Quote(_)
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
            | Body::Minute(_)
            | Body::CapitalFlow(_)
            | Body::CorporateAction(_)
            | Body::Fundamentals(_)
            | Body::Ranking(_)
            | Body::Sector(_)
            | Body::Instrument => lane.newest = Some(Arc::clone(published)),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values().flatten()
    }

    fn of(&self, id: InstrumentId) -> impl Iterator<Item = &Lane> {
        self.lanes.get(&id).into_iter().flatten()
    }

    fn at(&self, id: InstrumentId, channel: Channel) -> impl Iterator<Item = &Lane> {
        self.of(id).filter(move |lane| lane.evidence.channel == channel)
    }

    fn matching(&self, filter: &Filter) -> Vec<&Lane> {
        let wanted = |lane: &&Lane| filter.wants(lane.evidence.instrument.id, lane.evidence.channel);
        let mut lanes: Vec<&Lane> = match filter.instruments() {
            None => self.all().filter(wanted).collect(),
            Some(ids) => ids.flat_map(|id| self.of(id)).filter(wanted).collect(),
        };
        lanes.sort_by(|a, b| order(&a.evidence).cmp(&order(&b.evidence)));
        lanes
    }

    /// Calls `give` with what a late joiner should have: books as snapshots, other lanes as their newest event.
    ///
    /// They carry the number of the newest event of all: what they show is the state as of that number.
    pub(crate) fn last(&self, filter: &Filter, as_of: Cursor, mut give: impl FnMut(Arc<Published>)) {
        for lane in self.matching(filter) {
            let newest = lane.newest.iter().chain(lane.trades.back()).map(|p| late(p, as_of));
            newest.chain(lane.snapshot(as_of)).for_each(&mut give);
        }
    }

    /// The book of a lane as a snapshot; `None` where it is not live.
    pub(crate) fn snapshot(&self, key: &Key, as_of: Cursor) -> Option<Arc<Published>> {
        self.at(key.instrument, key.channel).find(|lane| lane.evidence.source == key.source)?.snapshot(as_of)
    }

    pub(crate) fn book(
        &self,
        source: Option<&str>,
        id: InstrumentId,
        channel: Channel,
        depth: usize,
        cursor: Cursor,
    ) -> Option<BookView> {
        let lane = self.at(id, channel).find(|l| source.is_none_or(|s| s == l.evidence.source))?;
        let instrument = Arc::clone(&lane.evidence.instrument);
        let source = lane.evidence.source;
        let Some(kept) = &lane.book else {
            let stamp = Stamp { ts_event: None, ts_recv: lane.evidence.asked.unwrap_or_default() };
            let state = BookState::Syncing;
            return Some(BookView {
                instrument,
                source,
                state,
                epoch: 0,
                seq: None,
                cursor,
                stamp,
                levels: Levels::default(),
            });
        };
        let crossed = kept.state == BookState::Live && kept.book.is_crossed();
        Some(BookView {
            instrument,
            source,
            state: if crossed { BookState::Crossed } else { kept.state },
            epoch: kept.epoch,
            seq: kept.book.seq(),
            cursor,
            stamp: kept.newest.event.stamp,
            levels: kept.book.levels(depth),
        })
    }

    pub(crate) fn newest(&self, id: InstrumentId, channel: Channel) -> Vec<Arc<Published>> {
        self.at(id, channel).filter_map(|lane| lane.newest.clone()).collect()
    }

    pub(crate) fn trades(
        &self,
        source: Option<&str>,
        id: InstrumentId,
        channel: Channel,
        limit: usize,
    ) -> Vec<Arc<Published>> {
        let told = self.at(id, channel).filter(|l| source.is_none_or(|s| s == l.evidence.source));
        let newest = |lane: &&Lane| lane.trades.back().map(|p| p.event.stamp.ts_recv);
        let Some(lane) = told.max_by_key(newest) else { return Vec::new() };
        lane.trades.iter().skip(lane.trades.len().saturating_sub(limit)).cloned().collect()
    }

    pub(crate) fn lanes(&self, now: Ts) -> Vec<LaneReport> {
        let shown = |lane: &&Lane| lane.evidence.channel != Channel::Instruments;
        let mut reports: Vec<LaneReport> = self
            .all()
            .filter(shown)
            .map(|lane| lane.evidence.report(self.around(&lane.evidence), now))
            .collect();
        reports.sort_by(|a, b| {
            (a.source, &a.instrument.name, a.channel).cmp(&(b.source, &b.instrument.name, b.channel))
        });
        reports
    }

    /// What else is known of a lane's instrument and connection.
    fn around(&self, lane: &Evidence) -> Neighbours<'_> {
        let others = || self.of(lane.instrument.id).map(|l| &l.evidence).filter(|e| e.source == lane.source);
        let trades = others().filter(|e| matches!(e.channel, Channel::Trades | Channel::AggTrades));
        Neighbours {
            link: lane.link.and_then(|link| self.links.get(&(lane.source, link))),
            last_trade: trades.filter_map(|e| e.last_event).max(),
            other_events: others().map(|e| e.events).sum::<u64>() - lane.events,
        }
    }

    /// What was seen of the lanes that are wanted, sorted as [`Self::lanes`].
    pub(crate) fn evidence(&self, wanted: impl Fn(&Evidence) -> bool) -> Vec<Evidence> {
        let mut found: Vec<Evidence> =
            self.all().map(|lane| &lane.evidence).filter(|e| wanted(e)).cloned().collect();
        found.sort_by(|a, b| {
            (a.source, &a.instrument.name, a.channel).cmp(&(b.source, &b.instrument.name, b.channel))
        });
        found
    }

    pub(crate) fn links(&self, now: Ts) -> Vec<LinkReport> {
        let mut reports: Vec<LinkReport> =
            self.links.iter().map(|((source, link), evidence)| evidence.report(source, *link, now)).collect();
        reports.sort_by_key(|r| (r.source, r.link));
        reports
    }

    pub(crate) fn lane_views(&self) -> Vec<LaneView> {
        let view = |lane: &Lane| LaneView {
            source: lane.evidence.source,
            instrument: Arc::clone(&lane.evidence.instrument),
            channel: lane.evidence.channel,
            proof: lane.evidence.proof,
            last_event: lane.evidence.last_event,
            events: lane.evidence.events,
            gaps: lane.evidence.gaps,
            book: lane.book.as_ref().map(|kept| kept.state),
        };
        self.all().map(view).collect()
    }
}

fn order(evidence: &Evidence) -> (&str, Channel, SourceName) {
    (&evidence.instrument.name, evidence.channel, evidence.source)
}

/// An event as a late joiner gets it.
fn late(published: &Published, as_of: Cursor) -> Arc<Published> {
    let mut copy = Published { cursor: as_of, ..published.clone() };
    copy.event.flags |= Flags::LAST_VALUE;
    Arc::new(copy)
}

impl Lane {
    fn new(event: &Event) -> Self {
        Self { evidence: Evidence::new(event), newest: None, book: None, trades: VecDeque::new() }
    }

    /// The book as a snapshot; `None` where it is not live.
    fn snapshot(&self, as_of: Cursor) -> Option<Arc<Published>> {
        let kept = self.book.as_ref().filter(|kept| kept.state == BookState::Live)?;
        let newest = &kept.newest;
        let levels = kept.book.levels(usize::MAX);
        let body =
            Body::Snapshot(Snapshot { seq: kept.book.seq(), levels, checksum: None, epoch: kept.epoch });
        let flags = newest.event.flags | Flags::LAST_VALUE;
        let event = Event { body, flags, ..newest.event.clone() };
        Some(Arc::new(Published { cursor: as_of, ts_pub: newest.ts_pub, event }))
    }

    fn keep_book(&mut self, published: &Arc<Published>, levels_max: usize) {
        let kept = self.book.get_or_insert_with(|| Kept {
            book: Book::new(levels_max),
            state: BookState::Syncing,
            epoch: 0,
            newest: Arc::clone(published),
        });
        let event = &published.event;
        kept.redefine(event);
        match &event.body {
            Body::Snapshot(snapshot) => {
                kept.book.reset(snapshot);
                kept.state = BookState::Live;
                kept.epoch = snapshot.epoch;
            }
            // The engine has checked it; should it not follow all the same, the book is not to be believed.
            Body::Delta(delta) if kept.state == BookState::Live && kept.book.apply(delta).is_ok() => {}
            _ => {
                kept.book.clear();
                kept.state = BookState::Gap;
            }
        }
        kept.newest = Arc::clone(published);
    }
}

impl Kept {
    /// Takes over other scales; where the numbers do not fit them the book is lost, as it is in the engine.
    fn redefine(&mut self, event: &Event) {
        if !self.book.redefine(&self.newest.event.instrument, &event.instrument) {
            self.book.clear();
            self.state = BookState::Gap;
        }
    }
}
