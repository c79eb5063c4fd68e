//! One lane: the intervals that are not final yet, and what is known of it now.

use super::interval::{Cause, Interval, LaneName, Place, State, Why};
use crate::code::{Code, record};
use lane::End;
use model::ashare::{self, Phase, Section};
use model::{Channel, GapCause, Proof, Ts};
use std::sync::Arc;

/// Later than anything.
const NEVER: Ts = Ts(i64::MAX);

/// What a data event says of a lane's continuity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Its number follows the last one.
    Next,
    /// Its number leaves some out.
    Jump,
    /// It is below the last one.
    Late,
    /// Numbers begin: the first one, or a whole book. The number it had before is of no use.
    Begin,
    /// Numbers begin again while all was well: nobody knows what was between.
    Anew,
    /// A change of a book that does not fit what is known of it.
    Unfit,
    /// It has no number that says anything.
    Free,
}

/// An interval that may still change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub interval: Interval,
    /// A gap that the next number may show to be none.
    pub doubt: bool,
    /// A gap that came over the bus, or is known by numbers.
    pub told: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub name: Arc<LaneName>,
    pub proof: Proof,
    /// The connection that carries it, by its place in the list of the ledger.
    pub link: Option<usize>,
    /// It is asked for, and nothing has come since.
    pub asked: bool,
    /// What would be said of it in an open market.
    pub state: State,
    /// Of a gap: the numbers before and after it, also while it is hidden by a closed market.
    pub around: (Option<u64>, Option<u64>),
    /// By the timetable its market does not trade.
    closed: bool,
    /// By the venue's word it does not trade.
    halted: bool,
    /// When the timetable says otherwise.
    turn_at: Ts,
    /// Its last event.
    pub last: Option<Place>,
    /// The number of that.
    pub seq: Option<u64>,
    /// The last event before its book was crossed.
    pub before_suspect: Option<Place>,
    /// How many of its intervals are final.
    pub settled: u64,
    /// In order; the last one is open.
    pub tail: Vec<Span>,
    /// Gaps that are final and were not repaired.
    pub kept: Vec<Interval>,
}

impl Lane {
    /// A lane of which something is heard for the first time.
    pub fn new(name: LaneName, at: Place) -> Self {
        let name = Arc::new(name);
        let (closed, turn_at) = section(&name).map_or((false, NEVER), |section| timetable(section, at.ts));
        let mut lane = Self {
            name,
            proof: Proof::None,
            link: None,
            asked: false,
            state: State::Gap(Cause::Starting),
            around: (None, None),
            closed,
            halted: false,
            turn_at,
            last: None,
            seq: None,
            before_suspect: None,
            settled: 0,
            tail: Vec::new(),
            kept: Vec::new(),
        };
        lane.push(at, lane.shown());
        lane
    }

    /// Whether the numbers of its trades count by one.
    pub fn counts(&self) -> bool {
        self.proof == Proof::Sequence && matches!(self.name.channel, Channel::Trades | Channel::AggTrades)
    }

    pub fn is_book(&self) -> bool {
        self.name.channel == Channel::Book
    }

    /// The open interval.
    pub fn open(&mut self) -> Option<&mut Span> {
        self.tail.last_mut()
    }

    /// Where its last event stands, or `at` before the first.
    pub fn last_or(&self, at: Place) -> Place {
        self.last.unwrap_or(at)
    }

    fn shown(&self) -> State {
        match self.state {
            State::Closed(why) => State::Closed(why),
            _ if self.closed => State::Closed(Why::Market),
            _ if self.halted => State::Closed(Why::NotTrading),
            state => state,
        }
    }

    /// From here on something else is said of it. A gap is always a new one; with `doubt` the next number may show that it
    /// was none.
    pub fn turn(&mut self, at: Place, state: State, doubt: bool) {
        self.advance(at);
        let new = state.is_gap() || state != self.state;
        let follows_gap = self.tail.last().is_some_and(|span| span.interval.state.is_gap());
        self.state = state;
        // Of gaps in a row the first one has the number before, the last one the number after.
        self.around = (self.seq.filter(|_| !follows_gap), None);
        if new
            && self.show(at)
            && let Some(span) = self.tail.last_mut()
            && span.interval.state.is_gap()
        {
            span.doubt = doubt && self.seq.is_some();
        }
    }

    /// Whether the venue says that it does not trade.
    pub fn halt(&mut self, halted: bool, at: Place) {
        self.advance(at);
        if self.halted != halted {
            self.halted = halted;
            self.show(at);
        }
    }

    /// The timetable up to an instant.
    pub fn advance(&mut self, to: Place) {
        while self.turn_at <= to.ts {
            let Some(section) = section(&self.name) else { return };
            let at = Place { ts: self.turn_at, ..to };
            let before = self.closed;
            (self.closed, self.turn_at) = timetable(section, at.ts);
            if self.closed != before {
                self.show(at);
            }
        }
    }

    /// Begins a new interval, unless the open one says the same; true where it did.
    fn show(&mut self, at: Place) -> bool {
        let shown = self.shown();
        let same = self.tail.last().is_some_and(|open| open.interval.state == shown);
        if same && !shown.is_gap() {
            return false;
        }
        self.begin(at);
        true
    }

    /// Begins a new interval.
    fn begin(&mut self, at: Place) {
        let shown = self.shown();
        let Some(open) = self.tail.last_mut() else { return };
        let at = later(open.interval.from, at);
        open.interval.to = at;
        if matches!(open.interval.state, State::Complete(_)) {
            open.interval.to_seq = self.seq;
        }
        if open.interval.state.is_gap() && shown.is_well() {
            open.interval.end = End::Resumed(at.ts);
        }
        self.push(at, shown);
    }

    fn push(&mut self, at: Place, state: State) {
        let (from_seq, to_seq) = if state.is_gap() { self.around } else { (None, None) };
        let interval = Interval {
            lane: Arc::clone(&self.name),
            number: 0,
            state,
            from: at,
            to: at,
            from_seq,
            to_seq,
            end: End::Open,
        };
        self.tail.push(Span { interval, doubt: false, told: false });
    }

    /// Takes a data event: what it says of continuity, its number, and what it shows of what follows.
    pub fn data(&mut self, at: Place, sign: Sign, seq: Option<u64>, shown: State) {
        self.asked = false;
        if self.state == State::Closed(Why::Dropped) {
            return;
        }
        if self.halted {
            self.halt(false, at);
        }
        match (self.state.is_well(), sign) {
            (_, Sign::Late) => {
                self.advance(at);
                self.late(seq);
                self.last = Some(at);
                return;
            }
            (true, Sign::Jump) => {
                self.turn(self.last_or(at), State::Gap(Cause::Told(GapCause::Sequence)), false);
                self.resume(at, seq, shown, true);
            }
            (true, Sign::Unfit) => {
                self.turn(self.last_or(at), State::Gap(Cause::Told(GapCause::Sequence)), false);
            }
            (true, Sign::Anew) => {
                self.turn(self.last_or(at), State::Unprovable, false);
                self.advance(at);
                self.state = shown;
                self.begin(at);
                self.number(seq);
            }
            (true, Sign::Next | Sign::Begin | Sign::Free) => self.resume(at, seq, shown, false),
            (false, Sign::Next) if self.is_doubted() => self.disprove(at, shown),
            // Of a book that is lost only a whole one says anything.
            (false, Sign::Next | Sign::Free | Sign::Unfit) if self.is_book() => self.advance(at),
            (false, sign) => self.resume(at, seq, shown, matches!(sign, Sign::Jump | Sign::Begin)),
        }
        self.seq = seq.filter(|_| self.state.is_well());
        self.last = Some(at);
    }

    /// It goes on; where it was in a gap, and the number says so, this is the first one after it.
    fn resume(&mut self, at: Place, seq: Option<u64>, shown: State, numbered: bool) {
        if self.state == shown {
            if self.turn_at <= at.ts {
                self.advance(at);
            }
            return;
        }
        // What is held against the whole book proves all since the book began.
        if let (State::Unprovable, State::Complete(Proof::Checksum), true) =
            (self.state, shown, self.is_book())
            && let Some(open) = self.tail.last_mut().filter(|open| open.interval.state == self.state)
        {
            (open.interval.state, self.state) = (shown, shown);
            return self.advance(at);
        }
        let was_gap = self.state.is_gap();
        let before = self.tail.len();
        self.turn(at, shown, false);
        self.number(seq);
        if was_gap
            && numbered
            && let Some(span) = before.checked_sub(1).and_then(|at| self.tail.get_mut(at))
            && span.interval.state.is_gap()
        {
            span.interval.to_seq = span.interval.to_seq.or(seq);
            if self.name.channel != Channel::Book && span.interval.from_seq.is_some() {
                // Trades that are missing stay so until they are filled in.
                span.interval.end = End::Open;
                span.told = true;
            }
        }
        for span in &mut self.tail {
            span.doubt = false;
        }
    }

    /// The open interval begins with this number, where it is complete.
    fn number(&mut self, seq: Option<u64>) {
        let complete = |open: &&mut Span| matches!(open.interval.state, State::Complete(_));
        if let Some(open) = self.tail.last_mut().filter(complete) {
            open.interval.from_seq = seq;
        }
    }

    /// Whether the next number may show that the gap is none.
    fn is_doubted(&self) -> bool {
        let gap = self.tail.iter().rev().find(|span| !matches!(span.interval.state, State::Closed(_)));
        gap.is_some_and(|span| span.doubt)
    }

    /// Nothing was missed: the gaps that were doubted are none.
    fn disprove(&mut self, at: Place, shown: State) {
        self.advance(at);
        let mut from = None;
        while let Some(span) = self.tail.pop_if(|span| span.doubt) {
            from = Some(span.interval.from);
        }
        self.state = shown;
        match (self.tail.last_mut(), from) {
            (Some(open), _) if open.interval.state == shown => {}
            (_, Some(from)) => {
                self.push(from, self.shown());
                self.number(self.seq);
            }
            (_, None) => _ = self.show(at),
        }
    }
}

/// The later of two places, by each of their parts.
fn later(a: Place, b: Place) -> Place {
    Place { ts: a.ts.max(b.ts), cursor: a.cursor.max(b.cursor) }
}

fn section(name: &LaneName) -> Option<Section> {
    ashare::code_at(&name.exchange, &name.symbol).map(ashare::Code::section)
}

/// Whether the market is closed at an instant, and when that changes.
fn timetable(section: Section, at: Ts) -> (bool, Ts) {
    let calendar = ashare::calendar();
    let closed = calendar.phase_at(section, at).is_some_and(|phase: Phase| !phase.moves());
    (closed, calendar.next_turn(section, at).unwrap_or(NEVER))
}

record! {
    Span { interval, doubt, told }
    Lane {
        name, proof, link, asked, state, around, closed, halted, turn_at, last, seq, before_suspect, settled, tail, kept
    }
}
