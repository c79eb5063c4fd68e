//! How one source is doing: its cadence, its errors, its lag, and the breaker that takes it out of the choice.

use crate::{Hours, Rules};
use model::{SourceName, Ts};
use std::fmt::Write;

/// How many intervals between updates the period is learned from.
const INTERVALS: usize = 64;
/// So many must be known before the period is believed.
const INTERVALS_MIN: usize = 8;
/// A longer one says that the source was away, not how often it speaks; in ms.
const INTERVAL_MAX_MS: u64 = 60_000;
/// Over how long the smallest delay is sought, in ms: in that time something trades in any market that is open.
const LAG_WINDOW_MS: i64 = 10_000;
/// How many of the newest updates and errors the error rate is counted over.
const OUTCOMES: u32 = u32::BITS;

/// Whether a source takes part in the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// It does.
    Closed,
    /// It does not: it failed.
    Open,
    /// Data have come again; it takes part once it has shown that they go on.
    HalfOpen,
}

impl Breaker {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One source.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) name: SourceName,
    pub(crate) breaker: Breaker,
    /// When the breaker last changed.
    pub(crate) since: Ts,
    /// Why it is as it is, in words.
    pub(crate) why: String,
    /// When data last came.
    pub(crate) last: Option<Ts>,
    /// How many errors there were.
    pub(crate) errors: u64,
    /// How far data are behind the venue's clock, in ms; `None` where the source gives no time or nothing was measured.
    pub(crate) lag_ms: Option<u64>,
    /// Since when it would deserve the place of the one before it.
    pub(crate) better_since: Option<Ts>,
    /// The newest outcomes, the last one lowest; 1 is an error.
    outcomes: u32,
    outcomes_known: u32,
    /// Updates since the breaker is half open.
    proofs: u8,
    intervals: Vec<u64>,
    next: usize,
    period_ms: Option<u64>,
    /// Beginning of the window and the smallest delay in it.
    window: Option<(Ts, u64)>,
}

impl Health {
    pub(crate) fn new(name: SourceName, now: Ts) -> Self {
        Self {
            name,
            breaker: Breaker::Closed,
            since: now,
            why: "no failure was seen".to_owned(),
            last: None,
            errors: 0,
            lag_ms: None,
            better_since: None,
            outcomes: 0,
            outcomes_known: 0,
            proofs: 0,
            intervals: Vec::new(),
            next: 0,
            period_ms: None,
            window: None,
        }
    }

    /// How often it tells of an instrument, in ms: the median of what was seen, or what is assumed until then.
    pub(crate) fn period_ms(&self, rules: &Rules) -> u64 {
        self.period_ms.unwrap_or(rules.period_ms)
    }

    /// The age at which what it said of an instrument is late, in ms.
    pub(crate) fn late_ms(&self, rules: &Rules) -> u64 {
        self.period_ms(rules) * rules.late_percent / 100
    }

    /// How long it may say nothing of anything, in ms.
    pub(crate) fn silence_ms(&self, rules: &Rules) -> u64 {
        (self.period_ms(rules) * rules.silence_periods).max(rules.silence_min_ms)
    }

    /// Of the newest updates and errors, how many were errors, in thousandths.
    pub(crate) fn error_permille(&self) -> u64 {
        u64::from(self.outcomes.count_ones()) * 1_000 / u64::from(self.outcomes_known.max(1))
    }

    /// What a quote of this source costs, in ms: its age when the next is due, made longer by what fails. The smallest is
    /// the best. A source that tells no time may be a period behind, nobody knows.
    pub(crate) fn cost_ms(&self, rules: &Rules) -> u64 {
        let period = self.period_ms(rules);
        let age = period + self.lag_ms.unwrap_or(period);
        age + age * self.error_permille() * rules.error_weight / 1_000
    }

    /// An instrument was told again after so many ms of trading.
    pub(crate) fn interval(&mut self, ms: u64) {
        // One that is much longer was an outage. Should it be a new cadence, the limit grows with what is learned.
        let ms = ms.min(self.period_ms.map_or(INTERVAL_MAX_MS, |period| (period * 2).min(INTERVAL_MAX_MS)));
        match self.intervals.get_mut(self.next) {
            Some(place) => *place = ms,
            None => self.intervals.push(ms),
        }
        self.next = (self.next + 1) % INTERVALS;
        // Often at first, then each time when an eighth is new.
        if self.intervals.len() >= INTERVALS_MIN && self.next.is_multiple_of(INTERVALS_MIN) {
            let mut sorted = self.intervals.clone();
            sorted.sort_unstable();
            self.period_ms = sorted.get(sorted.len() / 2).copied().map(|ms| ms.max(1));
        }
    }

    /// Data came that were read at `at`; true where they are of another frame than those before.
    pub(crate) fn on_data(&mut self, at: Ts, ts_event: Option<Ts>, hours: Hours) -> bool {
        if hours.open
            && let Some(ts) = ts_event
        {
            self.delay(at, at.ms_since(ts).max(0).unsigned_abs());
        }
        if self.last.is_some_and(|last| at <= last) {
            return false;
        }
        self.last = Some(at);
        true
    }

    fn delay(&mut self, at: Ts, ms: u64) {
        match &mut self.window {
            Some((since, least)) if at.ms_since(*since) < LAG_WINDOW_MS => *least = ms.min(*least),
            window => {
                // Until the first window is over its beginning has to do.
                self.lag_ms = Some(window.map_or(ms, |(_, least)| least));
                *window = Some((at, ms));
            }
        }
    }

    /// Counts an update that succeeded; true where the breaker has changed.
    pub(crate) fn good(&mut self, now: Ts, rules: &Rules) -> bool {
        self.outcome(0);
        match self.breaker {
            Breaker::Open if now.ms_since(self.since).unsigned_abs() >= rules.open_ms => {
                self.proofs = 1;
                self.set(Breaker::HalfOpen, now, "data come again".to_owned());
                true
            }
            Breaker::HalfOpen => {
                self.proofs = self.proofs.saturating_add(1);
                let proven = self.proofs >= rules.proof;
                if proven {
                    // What was before the failure says nothing about what is now.
                    (self.outcomes, self.outcomes_known) = (0, 0);
                    self.set(Breaker::Closed, now, format!("{} updates without a failure", self.proofs));
                }
                proven
            }
            Breaker::Open | Breaker::Closed => false,
        }
    }

    /// Counts a failure; true where the breaker has changed. While the market is closed hosts are stopped and started
    /// again: that is no failure to judge a source by.
    pub(crate) fn bad(&mut self, what: &str, now: Ts, hours: Hours, rules: &Rules) -> bool {
        self.errors += 1;
        if !hours.open {
            return false;
        }
        self.outcome(1);
        let in_a_row = (!self.outcomes).trailing_zeros();
        let half = self.outcomes_known == OUTCOMES && self.outcomes.count_ones() * 2 >= OUTCOMES;
        let why = match self.breaker {
            Breaker::HalfOpen => format!("failed again: {what}"),
            Breaker::Closed if in_a_row >= rules.errors_max => {
                format!("{in_a_row} failures in a row, the last: {what}")
            }
            Breaker::Closed if half => {
                format!("{} of {OUTCOMES} updates failed, the last: {what}", self.outcomes.count_ones())
            }
            Breaker::Closed | Breaker::Open => return false,
        };
        self.set(Breaker::Open, now, why);
        true
    }

    /// Looks at the time; true where silence has opened the breaker.
    pub(crate) fn tick(&mut self, now: Ts, hours: Hours, rules: &Rules) -> bool {
        if !hours.open || self.breaker == Breaker::Open {
            return false;
        }
        let heard = self.last.unwrap_or(self.since).max(hours.since);
        let silent = now.ms_since(heard).max(0).unsigned_abs();
        if silent <= self.silence_ms(rules) {
            return false;
        }
        self.set(Breaker::Open, now, format!("no data for {silent} ms in trading hours"));
        true
    }

    fn outcome(&mut self, bit: u32) {
        self.outcomes = self.outcomes << 1 | bit;
        self.outcomes_known = (self.outcomes_known + 1).min(OUTCOMES);
    }

    fn set(&mut self, breaker: Breaker, now: Ts, why: String) {
        (self.breaker, self.since, self.why) = (breaker, now, why);
    }

    /// What there is to say, in one line.
    pub(crate) fn words(&self, now: Ts, hours: Hours, rules: &Rules) -> String {
        let mut out = match self.breaker {
            Breaker::Closed => String::new(),
            Breaker::Open => format!("out of the choice: {}; ", self.why),
            Breaker::HalfOpen => format!("on trial: {}; ", self.why),
        };
        // Writing to a text cannot fail.
        let _ = match self.last {
            None => write!(out, "no data yet"),
            Some(last) => write!(out, "data came {} ms ago", now.ms_since(last).max(0)),
        };
        let known = if self.period_ms.is_some() { "" } else { " (assumed)" };
        let _ = write!(out, ", every {} ms{known}", self.period_ms(rules));
        if let Some(lag) = self.lag_ms {
            let _ = write!(out, ", {lag} ms behind the venue");
        }
        let _ = write!(out, ", {} errors", self.errors);
        if !hours.open {
            out.push_str("; the market is closed");
        }
        out
    }
}
