//! Rebuilds a book from single orders and holds it against the levels that the exchange shows every few seconds.
//!
//! A snapshot does not say after which order it was taken. It says how many trades there were by then and their summed
//! quantity, and when it was taken, to the second. So it is right where its levels are those of a state of the book
//!
//! * after exactly so many trades of exactly that quantity,
//! * which stood at some time not further from the snapshot's than the exchange's period of 3 s,
//! * and which is not before the state that the snapshot before it showed.
//!
//! A state is what stands when all of a message is done: a trade and its fills are one. In a call auction a snapshot shows
//! the one price at which orders would meet, and no book; it is passed over, by the exchange's status and by the timetable.
//! At the end of a day the trades must add up to the last snapshot's number, quantity and turnover.

use crate::term::paint;
use book::OrderBook;
use model::ashare::{self, Code, TradingCalendar};
use model::{Body, Channel, Date, DayStats, Decimal, Event, Instrument, Level, Levels, Status, Trade, Ts};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

/// How many levels a side a snapshot shows.
const DEPTH: usize = 10;
/// How far the time of a snapshot may be from that of its state: the exchange's period.
const WINDOW_NS: i64 = 3_000_000_000;
/// How many faults of a kind are kept in words.
const SHOWN_MAX: usize = 10;

static CALENDAR: LazyLock<TradingCalendar> = LazyLock::new(TradingCalendar::built_in);

/// What was traded, as mantissas of the instrument's scales; the turnover at both scales together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traded {
    trades: u64,
    volume: i128,
    turnover: i128,
}

/// The book after a message.
struct State {
    /// When the message came; the state stands until the next one's.
    from: Ts,
    traded: Traded,
    levels: Levels,
}

/// What a snapshot says.
struct Shown {
    at: Ts,
    trades: u64,
    volume: Option<i128>,
    levels: Levels,
}

/// The book of one instrument, and what was found by it.
pub struct Rebuilt {
    instrument: Arc<Instrument>,
    day: Option<Date>,
    book: OrderBook,
    traded: Traded,
    last_trade: Option<Ts>,
    /// The statistics of the last snapshot, and its time.
    told: Option<(Ts, DayStats)>,
    auction: bool,
    /// Whether the message that is being read changed the book or traded, and when.
    changed: Option<Ts>,
    /// The states that a snapshot to come may show.
    states: VecDeque<State>,
    /// Snapshots whose state has not come yet.
    waiting: VecDeque<Shown>,
    orders: u64,
    /// Whether an order was told on this day.
    begun: bool,
    bad: Words,
    equal: u64,
    different: Words,
    /// Snapshots that cannot be compared, by why.
    passed: BTreeMap<&'static str, u64>,
    /// Each day's trades against its last snapshot: whether they add up, and in words.
    days: Vec<(Option<bool>, String)>,
}

/// Faults: how many, and the first few in words.
#[derive(Default)]
struct Words(u64, Vec<String>);

impl Words {
    fn push(&mut self, words: impl FnOnce() -> String) {
        self.0 += 1;
        if self.1.len() < SHOWN_MAX {
            self.1.push(words());
        }
    }
}

impl Rebuilt {
    pub fn new(event: &Event) -> Self {
        Self {
            instrument: Arc::clone(&event.instrument),
            day: None,
            book: OrderBook::default(),
            traded: Traded::default(),
            last_trade: None,
            told: None,
            auction: false,
            changed: None,
            states: VecDeque::new(),
            waiting: VecDeque::new(),
            orders: 0,
            begun: false,
            bad: Words::default(),
            equal: 0,
            different: Words::default(),
            passed: BTreeMap::new(),
            days: Vec::new(),
        }
    }

    /// Whether single orders of the instrument were told at all.
    pub fn has_orders(&self) -> bool {
        self.orders > 0
    }

    pub fn name(&self) -> &str {
        &self.instrument.name
    }

    /// Whether nothing is wrong.
    pub fn is_right(&self) -> bool {
        let added_up = self.days.iter().all(|(equal, _)| *equal != Some(false));
        !self.has_orders() || (self.bad.0 == 0 && self.different.0 == 0 && added_up)
    }

    /// Takes an event of the instrument.
    pub fn on(&mut self, event: &Event) {
        let ts = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
        self.redefine(&event.instrument, ts);
        self.next_day(ts);
        match &event.body {
            Body::Order(order) => {
                self.orders += 1;
                self.begun = true;
                self.changed = Some(ts);
                if let Err(bad) = self.book.apply(order) {
                    self.bad.push(|| format!("{}: {bad}", clock(ts)));
                }
            }
            Body::Trade(trade) if event.channel == Channel::Trades => {
                self.changed = Some(ts);
                self.last_trade = Some(ts);
                self.traded.add(trade);
            }
            Body::Status(status) => self.auction = *status == Status::PreOpen,
            Body::DayStats(stats) => self.told = Some((ts, (**stats).clone())),
            Body::Snapshot(snapshot) if event.channel == Channel::BookTop => self.show(ts, &snapshot.levels),
            _ => {}
        }
    }

    /// A definition of other scales: the mantissas that are held mean something else now.
    fn redefine(&mut self, new: &Arc<Instrument>, ts: Ts) {
        let scales = |i: &Instrument| (i.px_scale, i.qty_scale);
        if scales(&self.instrument) != scales(new) && self.begun {
            self.end_day();
            self.bad.push(|| {
                format!("{}: the scales of the definition changed, the book begins anew", clock(ts))
            });
        }
        self.instrument = Arc::clone(new);
    }

    /// Orders do not outlive their day.
    fn next_day(&mut self, ts: Ts) {
        let day = ashare::local(ts).0;
        if self.day.is_some_and(|known| known != day) {
            self.end_day();
        }
        self.day = Some(day);
    }

    /// A snapshot came.
    fn show(&mut self, at: Ts, levels: &Levels) {
        let told = self.told.as_ref().map(|(_, stats)| (stats.trades, stats.volume));
        let why = if !self.begun {
            Some("before the first order")
        } else if self.auction || self.in_call_auction(at) {
            Some("call auction")
        } else if !matches!(told, Some((Some(_), Some(_)))) {
            Some("no number of trades or no volume")
        } else {
            None
        };
        if let Some(why) = why {
            *self.passed.entry(why).or_default() += 1;
        } else if let Some((Some(trades), Some(volume))) = told {
            let volume = volume.mantissa_at(self.instrument.qty_scale).map(i128::from);
            self.waiting.push_back(Shown { at, trades, volume, levels: levels.clone() });
            self.compare(at);
        }
    }

    fn in_call_auction(&self, at: Ts) -> bool {
        let section = Code::parse(&self.instrument.name).ok().map(Code::section);
        section.and_then(|section| CALENDAR.phase_at(section, at)).is_some_and(ashare::Phase::is_call)
    }

    /// The message is read to its end: what it made is a state.
    pub fn settle(&mut self) {
        let Some(from) = self.changed.take().filter(|_| self.begun) else { return };
        let levels = self.book.levels(DEPTH);
        self.states.push_back(State { from, traded: self.traded, levels });
        self.compare(from);
    }

    /// Holds snapshots against states, as far as can be said now that everything before `now` is known.
    fn compare(&mut self, now: Ts) {
        while let Some(shown) = self.waiting.front() {
            if let Some(at) = self.find(shown) {
                self.equal += 1;
                self.states.drain(..at);
            } else if now.0.saturating_sub(shown.at.0) > WINDOW_NS {
                let words = self.difference(shown);
                self.different.push(|| words);
            } else {
                return;
            }
            self.waiting.pop_front();
        }
        // What ended before the window of a snapshot that may still come is of no use.
        let gone = |state: &State| now.0.saturating_sub(state.from.0) > WINDOW_NS;
        while self.states.get(1).is_some_and(gone) {
            self.states.pop_front();
        }
    }

    /// The states that stood near the snapshot's time, each with its place.
    fn near(&self, shown: &Shown) -> impl Iterator<Item = (usize, &State)> {
        let (from, to) = (shown.at.0.saturating_sub(WINDOW_NS), shown.at.0.saturating_add(WINDOW_NS));
        let ends = self.states.iter().skip(1).map(|next| next.from.0).chain([i64::MAX]);
        let all = self.states.iter().zip(ends).enumerate();
        all.filter(move |(_, (state, end))| state.from.0 <= to && *end >= from)
            .map(|(at, (state, _))| (at, state))
    }

    fn find(&self, shown: &Shown) -> Option<usize> {
        self.near(shown)
            .find(|(_, state)| shown.follows(state) && state.levels == shown.levels)
            .map(|(at, _)| at)
    }

    /// What is different, in words: against the last state after as many trades, where there is one.
    fn difference(&self, shown: &Shown) -> String {
        let at = clock(shown.at);
        let Some((_, state)) = self.near(shown).filter(|(_, state)| shown.follows(state)).last() else {
            let volume = shown.volume.map(|volume| Decimal::new(volume, self.instrument.qty_scale));
            let volume = volume.map_or_else(|| "unreadable".to_owned(), |volume| volume.to_string());
            return format!("{at}: no state has {} trades of {volume} in all", shown.trades);
        };
        let sides = [
            ("bid", shown.levels.bids(), state.levels.bids()),
            ("ask", shown.levels.asks(), state.levels.asks()),
        ];
        for (side, theirs, ours) in sides {
            for level in 0..theirs.len().max(ours.len()) {
                let (theirs, ours) = (theirs.get(level), ours.get(level));
                if theirs != ours {
                    let (theirs, ours) = (self.level(theirs), self.level(ours));
                    return format!("{at}: {side} {} is {theirs} there and {ours} here", level + 1);
                }
            }
        }
        format!("{at}: other levels")
    }

    fn level(&self, level: Option<&Level>) -> String {
        level.map_or_else(
            || "none".to_owned(),
            |level| {
                let px = Decimal::new(level.px.0.into(), self.instrument.px_scale);
                let qty = Decimal::new(level.qty.0.into(), self.instrument.qty_scale);
                format!("{px} × {qty}")
            },
        )
    }

    /// The day, or all of it that was recorded, is over.
    pub fn end_day(&mut self) {
        self.settle();
        self.compare(Ts(i64::MAX));
        if let (true, Some(day)) = (self.begun, self.day) {
            let (equal, words) = self.sum();
            self.days.push((equal, format!("{day}: {words}")));
        }
        self.book.clear();
        self.states.clear();
        (self.traded, self.last_trade, self.told, self.day, self.begun) = Default::default();
    }

    /// Whether the day's trades add up to the last snapshot, and in words.
    fn sum(&self) -> (Option<bool>, String) {
        let (px, qty) = (self.instrument.px_scale, self.instrument.qty_scale);
        let volume = Decimal::new(self.traded.volume, qty);
        let turnover = Decimal::new(self.traded.turnover, px + qty);
        let ours = format!("{} trades of {volume} for {turnover}", self.traded.trades);
        let Some((at, told)) = &self.told else { return (None, format!("{ours}; no snapshot tells a sum")) };
        let (Some(trades), Some(their_volume)) = (told.trades, told.volume) else {
            return (None, format!("{ours}; the last snapshot tells no sum"));
        };
        if self.last_trade.is_some_and(|last| last > *at) {
            return (None, format!("{ours}; the last snapshot was before the last trade"));
        }
        let equal = trades == self.traded.trades
            && their_volume == volume
            && told.turnover.is_none_or(|theirs| theirs == turnover);
        let theirs = told.turnover.map_or_else(|| "?".to_owned(), |turnover| turnover.to_string());
        (Some(equal), format!("{ours}; the last snapshot has {trades} of {their_volume} for {theirs}"))
    }

    pub fn json(&self) -> Value {
        let days = self.days.iter().map(|(equal, words)| json!({ "equal": equal, "words": words }));
        json!({
            "instrument": self.name(), "order_events": self.orders,
            "bad_orders": self.bad.0, "bad_samples": self.bad.1,
            "snapshots_equal": self.equal, "snapshots_different": self.different.0,
            "different_samples": self.different.1, "snapshots_passed": self.passed,
            "days": days.collect::<Vec<_>>(),
        })
    }

    pub fn print(&self) {
        let all = self.equal + self.different.0;
        let colour = if self.bad.0 + self.different.0 == 0 { "32" } else { "31" };
        let share = if all == 0 { String::new() } else { format!(" ({} %)", percent(self.equal, all)) };
        println!(
            "{}: {} order events, {} impossible; snapshots equal {}{share}",
            self.name(),
            self.orders,
            self.bad.0,
            paint(&format!("{}/{all}", self.equal), colour),
        );
        for (why, count) in &self.passed {
            println!("  not compared: {count} ({why})");
        }
        for (equal, words) in &self.days {
            let (word, colour) = match equal {
                Some(true) => ("adds up", "32"),
                Some(false) => ("does not add up", "31"),
                None => ("not compared", "33"),
            };
            println!("  {} {words}", paint(word, colour));
        }
        for words in self.bad.1.iter().chain(&self.different.1) {
            println!("  {} {words}", paint("different:", "31"));
        }
    }
}

impl Traded {
    fn add(&mut self, trade: &Trade) {
        self.trades += 1;
        self.volume += i128::from(trade.qty.0);
        self.turnover += i128::from(trade.px.0) * i128::from(trade.qty.0);
    }
}

impl Shown {
    /// Whether the state is after as many trades of as much in all.
    fn follows(&self, state: &State) -> bool {
        state.traded.trades == self.trades && Some(state.traded.volume) == self.volume
    }
}

/// A share in percent, cut after the third digit: what is not all is not 100.
fn percent(part: u64, all: u64) -> Decimal {
    Decimal::new(i128::from(part) * 100_000 / i128::from(all), 3)
}

/// A time as people in Beijing read it.
fn clock(ts: Ts) -> String {
    let (day, ms) = ashare::local(ts);
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{day} {:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
