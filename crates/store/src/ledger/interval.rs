//! What is said of a lane from one instant to another.

use crate::code::{Code, choice, record};
use bus::Cursor;
use lane::End;
use model::{Channel, GapCause, Instrument, Proof, SourceName, Ts};
use std::sync::Arc;

/// Which lane, by names that outlive the process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneName {
    /// Who tells us.
    pub source: SourceName,
    /// Where it trades.
    pub exchange: Box<str>,
    /// The venue's section; empty where symbols are unique.
    pub product: Box<str>,
    /// The venue's spelling.
    pub symbol: Box<str>,
    /// The canonical name: `BTC/USDT@binance`.
    pub instrument: Box<str>,
    /// The kind of data.
    pub channel: Channel,
}

impl LaneName {
    /// The lane of an instrument.
    pub fn new(source: SourceName, instrument: &Instrument, channel: Channel) -> Self {
        Self {
            source,
            exchange: instrument.venue.clone(),
            product: instrument.product.clone(),
            symbol: instrument.symbol.clone(),
            instrument: instrument.name.clone(),
            channel,
        }
    }
}

/// A place in time and in the order of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// By the clock that stamps what is received.
    pub ts: Ts,
    /// The event that showed it.
    pub cursor: Cursor,
}

/// What is said of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All that the venue sent is here, shown by this. It is never [`Proof::None`].
    Complete(Proof),
    /// Data came as they should, and nothing shows whether they are all.
    Unprovable,
    /// Something is missing, or may be where nothing shows that it is not.
    Gap(Cause),
    /// Nothing was to come.
    Closed(Why),
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What came over the bus as a gap of the lane, or what its own numbers show.
    Told(GapCause),
    /// It is asked for and has not begun: no answer yet, or a book without a snapshot.
    Starting,
    /// The venue said no.
    Refused,
    /// The platform did not run.
    NotRunning,
    /// Events were published and not kept.
    Store,
    /// Events were kept and do not read any more.
    Damage,
}

impl Cause {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Told(cause) => cause.name(),
            Self::Starting => "starting",
            Self::Refused => "refused",
            Self::NotRunning => "not_running",
            Self::Store => "store",
            Self::Damage => "damage",
        }
    }
}

/// Why nothing was to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// By its timetable the market does not trade.
    Market,
    /// We do not want it any more.
    Dropped,
    /// The venue says that the instrument does not trade.
    NotTrading,
}

impl Why {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Dropped => "dropped",
            Self::NotTrading => "not_trading",
        }
    }
}

impl State {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Unprovable => "unprovable",
            Self::Gap(_) => "gap",
            Self::Closed(_) => "closed",
        }
    }

    /// Whether something is missing.
    pub const fn is_gap(self) -> bool {
        matches!(self, Self::Gap(_))
    }

    /// Whether data came as they should.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Complete(_) | Self::Unprovable)
    }
}

/// A stretch of a lane. The intervals of a lane follow each other without hole or overlap; a gap between two events of one
/// instant has no length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Of which lane.
    pub lane: Arc<LaneName>,
    /// Counts the lane's intervals from 1, in the order in which they became final; 0 before that. After a repair several
    /// intervals have one number: they replace what was kept under it where they lie.
    pub number: u64,
    /// What is said of it.
    pub state: State,
    /// Where it begins.
    pub from: Place,
    /// Where it ends; of the newest interval up to where it is known.
    pub to: Place,
    /// Complete: the number of the first state in it. Gap: the last one before it. `None` where unknown.
    pub from_seq: Option<u64>,
    /// Complete: the number of the last state in it. Gap: the first one after it. `None` where unknown.
    pub to_seq: Option<u64>,
    /// Of a gap: what became of it.
    pub end: End,
}

impl Interval {
    /// Whether something is missing that was not filled in later.
    pub const fn is_missing(&self) -> bool {
        self.state.is_gap() && !matches!(self.end, End::Repaired { .. })
    }

    /// What it is after the time between `from` and `to` was filled in at `at` by so many events: up to three intervals,
    /// of which one is repaired and those beside it are still missing. Itself, where it is no gap or lies elsewhere.
    pub fn repaired(&self, from: Ts, to: Ts, at: Ts, events: u64) -> Vec<Self> {
        let (begin, end) = (self.from.ts.max(from), self.to.ts.min(to));
        let instant = self.from.ts == self.to.ts;
        if !self.is_missing() || begin > end || (begin == end && !instant) {
            return vec![self.clone()];
        }
        let mut middle = Self { end: End::Repaired { at, events }, ..self.clone() };
        let mut parts = Vec::with_capacity(3);
        if self.from.ts < begin {
            middle.from = Place { ts: begin, ..self.from };
            middle.from_seq = None;
            parts.push(Self { to: middle.from, to_seq: None, ..self.clone() });
        }
        let rest = (end < self.to.ts).then(|| {
            middle.to = Place { ts: end, ..self.to };
            middle.to_seq = None;
            Self { from: middle.to, from_seq: None, ..self.clone() }
        });
        parts.push(middle);
        parts.extend(rest);
        parts
    }

    /// Whether these, of which some may be of other lanes, take its place: those of its number reach over all of it. A
    /// part of an interval is replaced alone.
    pub(crate) fn is_replaced(&self, by: &[Self]) -> bool {
        let mut same: Vec<&Self> =
            by.iter().filter(|it| it.number == self.number && it.lane == self.lane).collect();
        same.sort_unstable_by_key(|it| it.from.ts);
        let mut reach = self.from.ts;
        let mut any = false;
        for it in same {
            if it.from.ts <= reach && it.to.ts >= reach {
                (reach, any) = (it.to.ts, true);
            }
        }
        any && reach >= self.to.ts
    }

    /// As bytes, for [`Interval::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put(&mut out);
        out
    }

    /// Of [`Interval::to_bytes`]; `None` where they are none, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        (u8::take(&mut rest)? == VERSION).then_some(())?;
        let interval = Self::take(&mut rest)?;
        rest.is_empty().then_some(interval)
    }
}

/// The version of the bytes of intervals.
const VERSION: u8 = 1;

/// An interval as a row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Who tells us.
    pub source: SourceName,
    /// Where it trades.
    pub exchange: Box<str>,
    /// The venue's section.
    pub product: Box<str>,
    /// The venue's spelling.
    pub symbol: Box<str>,
    /// The canonical name.
    pub instrument: Box<str>,
    /// The kind of data.
    pub channel: &'static str,
    /// `complete`, `unprovable`, `gap` or `closed`.
    pub state: &'static str,
    /// Of what is complete: `sequence` or `checksum`.
    pub proof: Option<&'static str>,
    /// Of a gap its [`Cause`], of what is closed its [`Why`].
    pub cause: Option<&'static str>,
    /// Where it begins, in ns UTC.
    pub from_ts: Ts,
    /// Where it ends, in ns UTC.
    pub to_ts: Ts,
    /// The event that it begins with.
    pub from_cursor: Cursor,
    /// The event that it ends with.
    pub to_cursor: Cursor,
    /// As [`Interval::from_seq`].
    pub from_seq: Option<u64>,
    /// As [`Interval::to_seq`].
    pub to_seq: Option<u64>,
    /// Of a gap: `open`, `resumed`, `repaired` or `lost`.
    pub end: Option<&'static str>,
    /// When that became known; `None` while it is open.
    pub end_ts: Option<Ts>,
    /// How many events were filled in, where it was repaired.
    pub events: Option<u64>,
    /// Why it could not be filled, in words, where it could not.
    pub why: Option<Box<str>>,
    /// Whether the lane is still in it.
    pub open: bool,
}

impl Row {
    /// An interval as a row; `open` where it is the lane's newest.
    pub fn new(interval: &Interval, open: bool) -> Self {
        let LaneName { source, exchange, product, symbol, instrument, channel } = &*interval.lane;
        let (proof, cause) = match interval.state {
            State::Complete(proof) => (Some(proof.name()), None),
            State::Unprovable => (None, None),
            State::Gap(cause) => (None, Some(cause.name())),
            State::Closed(why) => (None, Some(why.name())),
        };
        let (end, end_ts, events, why) = match &interval.end {
            End::Open => ("open", None, None, None),
            End::Resumed(at) => ("resumed", Some(*at), None, None),
            End::Repaired { at, events } => ("repaired", Some(*at), Some(*events), None),
            End::Lost { at, why } => ("lost", Some(*at), None, Some(why.clone())),
        };
        Self {
            source,
            exchange: exchange.clone(),
            product: product.clone(),
            symbol: symbol.clone(),
            instrument: instrument.clone(),
            channel: channel.name(),
            state: interval.state.name(),
            proof,
            cause,
            from_ts: interval.from.ts,
            to_ts: interval.to.ts,
            from_cursor: interval.from.cursor,
            to_cursor: interval.to.cursor,
            from_seq: interval.from_seq,
            to_seq: interval.to_seq,
            end: interval.state.is_gap().then_some(end),
            end_ts,
            events,
            why,
            open,
        }
    }
}

/// Which lanes are asked for; what is not said is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Who tells us.
    pub source: Option<Box<str>>,
    /// Where it trades.
    pub exchange: Option<Box<str>>,
    /// By the canonical name or the venue's spelling.
    pub instrument: Option<Box<str>>,
    /// The kind of data.
    pub channel: Option<Channel>,
}

impl Wanted {
    /// Whether a lane is meant.
    pub fn takes(&self, lane: &LaneName) -> bool {
        let is = |wanted: &Option<Box<str>>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        is(&self.source, lane.source)
            && is(&self.exchange, &lane.exchange)
            && (is(&self.instrument, &lane.instrument) || is(&self.instrument, &lane.symbol))
            && self.channel.is_none_or(|channel| channel == lane.channel)
    }
}

impl<T: Code> Code for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        T::take(bytes).map(Self::new)
    }
}

record! {
    Cursor { epoch, number }
    Place { ts, cursor }
    LaneName { source, exchange, product, symbol, instrument, channel }
    Interval { lane, number, state, from, to, from_seq, to_seq, end }
}

choice! {
    State { 1 => Complete(proof), 2 => Unprovable, 3 => Gap(cause), 4 => Closed(why) }
    Cause { 1 => Told(cause), 2 => Starting, 3 => Refused, 4 => NotRunning, 5 => Store, 6 => Damage }
    Why { 1 => Market, 2 => Dropped, 3 => NotTrading }
    End { 1 => Open, 2 => Resumed(at), 3 => Repaired { at, events }, 4 => Lost { at, why } }
}
