//! Many sources of the same stocks as one: keeps what each said last, chooses one for each instrument, leaves one that
//! fails within one of its update periods, and returns when it is well again.
//!
//! The rule: a quote that is served is either not late (not older than one and a half periods of its source, counted
//! in trading time) or the newest that any source has told. Outside trading hours nothing grows late.

mod health;
mod report;
mod view;

pub use health::Breaker;
pub use view::{Quote, SourceView};

use health::Health;
use model::ashare::{Board, Code, Market, Phase, Section, TradingCalendar};
use model::{
    Body, Channel, DayStats, Event, Instrument, InstrumentId, LaneFact, Levels, LinkFact, SourceName, Stamp,
    Ts,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The numbers that the choice goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// At what share of its source's period a quote is late, in percent.
    pub late_percent: u64,
    /// The period that is assumed until one is learned, in ms.
    pub period_ms: u64,
    /// How many updates in time show that a source is well again: of an instrument before it is served again, of
    /// anything before its breaker closes.
    pub proof: u8,
    /// How many failures in a row open the breaker.
    pub errors_max: u32,
    /// How long an open breaker takes no proof, in ms.
    pub open_ms: u64,
    /// After how many periods of silence in trading hours the breaker opens, but not before `silence_min_ms`.
    pub silence_periods: u64,
    /// See `silence_periods`; in ms.
    pub silence_min_ms: u64,
    /// How much heavier failures weigh than the age of quotes when sources are ranked.
    pub error_weight: u64,
    /// By how much a source must be better than the one before it to take its place, in percent.
    pub margin_percent: u64,
    /// And for how long, in ms.
    pub settle_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            late_percent: 150,
            period_ms: 3_000,
            proof: 3,
            errors_max: 5,
            open_ms: 60_000,
            silence_periods: 5,
            silence_min_ms: 10_000,
            error_weight: 4,
            margin_percent: 20,
            settle_ms: 10_000,
        }
    }
}

/// Whether stocks are traded, and since when it has been so as far as was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// In a call auction or in continuous trading.
    pub open: bool,
    /// When that began, or when we began to look.
    pub since: Ts,
}

/// What one source said last of an instrument.
#[derive(Debug)]
struct Told {
    source: usize,
    stats: Option<(DayStats, Stamp)>,
    levels: Option<(Levels, Arc<Instrument>, Stamp)>,
    /// Updates in a row that were not late.
    run: u8,
    /// How many of them show that it is well.
    proof: u8,
    /// When it was last chosen.
    served: Option<Ts>,
}

#[derive(Debug)]
struct Entry {
    code: Code,
    instrument: Arc<Instrument>,
    told: Vec<Told>,
    chosen: Option<usize>,
}

/// Many sources as one.
#[derive(Debug)]
pub struct Composite {
    rules: Rules,
    calendar: TradingCalendar,
    hours: Hours,
    /// The minute for which `hours` was looked up: phases change on the minute.
    minute: i64,
    sources: Vec<Health>,
    /// Indices of `sources`, the best first.
    order: Vec<usize>,
    entries: HashMap<InstrumentId, Entry>,
    /// Instruments that changed their source since the last tick: from, to, whether that is a return.
    moves: BTreeMap<(usize, usize, bool), report::Moved>,
    /// Sources whose breaker changed since the last tick.
    changed: Vec<usize>,
}

impl Composite {
    /// Nothing is known yet.
    pub fn new(rules: Rules, calendar: TradingCalendar, now: Ts) -> Self {
        let mut made = Self {
            rules,
            calendar,
            hours: Hours { open: false, since: now },
            minute: i64::MIN,
            sources: Vec::new(),
            order: Vec::new(),
            entries: HashMap::new(),
            moves: BTreeMap::new(),
            changed: Vec::new(),
        };
        made.look(now);
        made
    }

    /// Takes in what happened; anything but day statistics and best levels of Chinese stocks and the fate of
    /// connections is passed over.
    pub fn on(&mut self, event: &Event, now: Ts) {
        self.look(now);
        match &event.body {
            Body::Link(LinkFact::Malformed { what, .. }) => self.failed(event.source, what, now),
            Body::Link(LinkFact::Down { why, retry_ms: Some(_), .. }) => self.failed(event.source, why, now),
            Body::DayStats(stats) => self.told(event, now, |told| {
                told.stats = Some(((**stats).clone(), event.stamp));
            }),
            Body::Snapshot(snapshot) if event.channel == Channel::BookTop => self.told(event, now, |told| {
                told.levels = Some((snapshot.levels.clone(), Arc::clone(&event.instrument), event.stamp));
            }),
            Body::Gap(_) | Body::Lane(LaneFact::Dropped) => self.lost(event),
            _ => {}
        }
    }

    /// Looks at the time and appends what has changed since the last look, as findings.
    pub fn tick(&mut self, now: Ts, out: &mut Vec<Event>) {
        self.look(now);
        for (at, source) in self.sources.iter_mut().enumerate() {
            if source.tick(now, self.hours, &self.rules) {
                self.changed.push(at);
            }
        }
        self.rank(now);
        let ids: Vec<InstrumentId> = self.entries.keys().copied().collect();
        for id in ids {
            self.choose(id, now);
        }
        self.report(now, out);
    }

    /// Whether stocks are traded.
    pub fn hours(&self) -> Hours {
        self.hours
    }

    /// The trading days.
    pub fn calendar(&self) -> &TradingCalendar {
        &self.calendar
    }

    fn health(&self, at: usize) -> Option<&Health> {
        self.sources.get(at)
    }

    /// Keeps `hours` true.
    fn look(&mut self, now: Ts) {
        let minute = now.as_ms().div_euclid(60_000);
        if minute == self.minute {
            return;
        }
        self.minute = minute;
        let phase = self.calendar.phase_at(Section { market: Market::Sh, board: Board::Main }, now);
        let open = phase.is_some_and(|phase| phase.is_call() || phase == Phase::Continuous);
        if open != self.hours.open {
            // Phases change on the minute, and it may be a while since the last look.
            let since = Ts::from_ms(minute * 60_000).max(self.hours.since);
            self.hours = Hours { open, since };
        }
    }

    fn source(&mut self, name: SourceName, now: Ts) -> usize {
        if let Some(at) = self.sources.iter().position(|s| s.name == name) {
            return at;
        }
        self.sources.push(Health::new(name, now));
        self.order.push(self.sources.len() - 1);
        self.sources.len() - 1
    }

    fn failed(&mut self, name: SourceName, what: &str, now: Ts) {
        // Sources of other markets fail too.
        let Some(at) = self.sources.iter().position(|s| s.name == name) else { return };
        let hours = self.hours;
        if self.sources.get_mut(at).is_some_and(|s| s.bad(what, now, hours, &self.rules)) {
            self.changed.push(at);
        }
    }

    fn told(&mut self, event: &Event, now: Ts, put: impl FnOnce(&mut Told)) {
        let Some(code) = code_of(&event.instrument) else { return };
        let at = self.source(event.source, now);
        let recv = event.stamp.ts_recv;
        let (hours, rules) = (self.hours, self.rules);
        let Some(source) = self.sources.get_mut(at) else { return };
        let entry = self.entries.entry(event.instrument.id).or_insert_with(|| Entry {
            code,
            instrument: Arc::clone(&event.instrument),
            told: Vec::new(),
            chosen: None,
        });
        if !event.instrument.title.is_empty() || entry.instrument.title.is_empty() {
            entry.instrument = Arc::clone(&event.instrument);
        }
        let place = entry.told.iter().position(|t| t.source == at);
        let told = match place.and_then(|place| entry.told.get_mut(place)) {
            Some(told) => told,
            None => entry.told.push_mut(Told {
                source: at,
                stats: None,
                levels: None,
                run: rules.proof,
                proof: rules.proof,
                served: None,
            }),
        };
        if matches!(event.body, Body::DayStats(_)) {
            if let Some(last) = told.recv()
                && recv > last
            {
                let late = is_late(last, recv, hours, source.late_ms(&rules));
                told.run = if late { 1 } else { told.run.saturating_add(1) };
                if hours.open && last >= hours.since {
                    source.interval(recv.ms_since(last).unsigned_abs());
                }
            }
            if source.on_data(recv, event.stamp.ts_event, hours) && source.good(now, &rules) {
                self.changed.push(at);
            }
        }
        put(told);
        self.choose(event.instrument.id, now);
    }

    /// Levels whose continuity is lost are not served, nor is what nobody sees to any more.
    fn lost(&mut self, event: &Event) {
        let Some(at) = self.sources.iter().position(|s| s.name == event.source) else { return };
        let Some(entry) = self.entries.get_mut(&event.instrument.id) else { return };
        let Some(told) = entry.told.iter_mut().find(|t| t.source == at) else { return };
        match event.channel {
            Channel::BookTop => told.levels = None,
            Channel::DayStats if matches!(event.body, Body::Lane(_)) => told.stats = None,
            _ => {}
        }
    }

    /// Puts a source before the one that it has been better than for long enough.
    fn rank(&mut self, now: Ts) {
        for place in 1..self.order.len() {
            let (Some(&before), Some(&this)) = (self.order.get(place - 1), self.order.get(place)) else {
                continue;
            };
            let cost = |at: usize| self.sources.get(at).map_or(u64::MAX, |s| s.cost_ms(&self.rules));
            let better =
                cost(this).saturating_mul(100 + self.rules.margin_percent) < cost(before).saturating_mul(100);
            let settle_ms = self.rules.settle_ms;
            let Some(source) = self.sources.get_mut(this) else { continue };
            if !better {
                source.better_since = None;
            } else if now.ms_since(*source.better_since.get_or_insert(now)).unsigned_abs() >= settle_ms {
                source.better_since = None;
                self.order.swap(place - 1, place);
            }
        }
    }

    /// What the sources said of an instrument, the best source first.
    fn in_order<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a Told> {
        let told = |at: &usize| entry.told.iter().find(|t| t.source == *at && t.stats.is_some());
        self.order.iter().filter_map(told)
    }

    /// Whether what was said is late now.
    fn late(&self, told: &Told, now: Ts) -> bool {
        let late_ms = self.health(told.source).map_or(0, |s| s.late_ms(&self.rules));
        told.recv().is_none_or(|recv| is_late(recv, now, self.hours, late_ms))
    }

    /// The best source that is well; else the one in use, then any, that is not late; else the one that spoke last.
    fn best<'a>(&'a self, entry: &'a Entry, now: Ts) -> Option<&'a Told> {
        let breaker = |told: &Told| self.health(told.source).map(|s| s.breaker);
        let in_use = |told: &&Told| entry.chosen == Some(told.source);
        let in_time = || self.in_order(entry).filter(|t| !self.late(t, now));
        let well = |t: &&Told| t.run >= t.proof && breaker(t) == Some(Breaker::Closed);
        let fit = |t: &&Told| breaker(t) != Some(Breaker::Open);
        in_time()
            .find(well)
            .or_else(|| in_time().filter(fit).find(in_use))
            .or_else(|| in_time().find(fit))
            .or_else(|| self.in_order(entry).max_by_key(|t| (t.recv(), in_use(t))))
    }

    fn choose(&mut self, id: InstrumentId, now: Ts) {
        let Some(entry) = self.entries.get(&id) else { return };
        let Some(best) = self.best(entry, now).map(|told| told.source) else { return };
        if entry.chosen == Some(best) {
            return;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = entry.chosen.replace(best);
        let Some(told) = entry.told.iter_mut().find(|t| t.source == best) else { return };
        let again = told.served.replace(now).is_some();
        let Some(before) = before else { return };
        let place = |at: usize| self.order.iter().position(|o| *o == at);
        let is_return = again && place(best) < place(before);
        self.moves.entry((before, best, is_return)).or_default().add(&entry.instrument);
        // A source that was left must show again that it is well, and for longer where that did not last.
        if let Some(left) = entry.told.iter_mut().find(|t| t.source == before) {
            let soon = left.served.is_some_and(|at| now.ms_since(at).unsigned_abs() < self.rules.open_ms);
            left.run = 0;
            left.proof = if soon { left.proof.saturating_mul(2) } else { self.rules.proof };
        }
    }
}

impl Told {
    fn recv(&self) -> Option<Ts> {
        self.stats.as_ref().map(|(_, stamp)| stamp.ts_recv)
    }
}

/// Whether what came at `recv` is older than it may be. Only trading time counts: while the market is closed the age is
/// that at the close.
fn is_late(recv: Ts, now: Ts, hours: Hours, late_ms: u64) -> bool {
    let age = if hours.open { now.ms_since(recv.max(hours.since)) } else { hours.since.ms_since(recv) };
    age.max(0).unsigned_abs() > late_ms
}

/// The code of a Chinese stock; `None` for anything else.
fn code_of(instrument: &Instrument) -> Option<Code> {
    let market = Market::ALL.into_iter().find(|m| m.venue() == &*instrument.venue)?;
    Code::new(market, &instrument.symbol)
}
