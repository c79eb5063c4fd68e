//! Fills holes in trades from the venue's history, one request at a time.

use super::common::Common;
use super::port::{Conn, Io, Out};
use super::prints::Missing;
use model::{Body, Gap, GapCause, LaneFact, Ts};
use source::{History, Past, Request, Source};
use std::collections::VecDeque;

/// Marks the requests that are made here.
pub const TAG: u64 = 1 << 62;
/// How many holes may wait.
const JOBS_MAX: usize = 1_024;
/// How many trades of one hole are asked for at most.
const TRADES_MAX: u64 = 100_000;
/// How often a hole is tried.
const TRIES_MAX: u32 = 5;
/// The wait before a hole is tried again, in ms; it doubles. What is history lags behind what is live.
const RETRY_MS: u64 = 2_000;
/// How long an answer may take, in ms.
const ANSWER_MS: u64 = 120_000;

/// See the module. The first of the holes that wait is the one in hand.
#[derive(Default)]
pub struct Repairs {
    waiting: VecDeque<Job>,
    history: Option<Box<dyn History>>,
    /// The tag of the request that is under way, and until when its answer is awaited.
    asked: Option<(u64, Ts)>,
    not_before: Ts,
    tags: u64,
}

struct Job {
    missing: Missing,
    tries: u32,
    filled: u64,
}

impl Repairs {
    /// A hole. One of numbers is told as a gap of its lane; that of a lost connection was told when it was lost.
    pub fn add(&mut self, missing: Missing, now: Ts, common: &mut Common, out: &mut Out) {
        let job = Job { missing, tries: 0, filled: 0 };
        if job.missing.ids.is_some() {
            let (from_seq, to_seq) = job.seqs();
            let gap = Gap { cause: GapCause::Sequence, from_seq, to_seq };
            job.tell(Body::Gap(gap), now, common, out);
        }
        let many = job.missing.ids.is_some_and(|(from, to)| to - from >= TRADES_MAX);
        if many || self.waiting.len() >= JOBS_MAX {
            job.give_up("too many are missing", now, common, out);
        } else {
            self.waiting.push_back(job);
        }
    }

    /// The clock was set: no time that is held is right.
    pub fn start_again(&mut self) {
        (self.history, self.asked, self.not_before) = (None, None, Ts::default());
    }

    /// When [`Self::step`] has something to do.
    pub fn next_wake(&self) -> Option<Ts> {
        self.waiting.front()?;
        Some(self.asked.map_or(self.not_before, |(_, until)| until))
    }

    /// Asks for what is next, where its time has come.
    pub fn step(&mut self, source: &dyn Source, conn: Conn, now: Ts, common: &mut Common, out: &mut Out) {
        if self.asked.is_some_and(|(_, until)| until <= now) {
            self.asked = None;
            self.failed("no answer came", None, now, common, out);
        }
        while self.asked.is_none() && self.not_before <= now {
            let Some(job) = self.waiting.front() else { return };
            if self.history.is_none() {
                self.history = source.rest().history(job.past(common.source));
            }
            let Some(history) = &mut self.history else {
                self.done(Some("the venue keeps no history of it"), now, common, out);
                continue;
            };
            if let Some(Request { endpoint, path, weight }) = history.request() {
                self.tags = (self.tags + 1) % TAG;
                let tag = TAG | self.tags;
                self.asked = Some((tag, now.plus_ms(ANSWER_MS)));
                common.counters.fetches += 1;
                out.io.push(Io::Fetch { conn, tag, endpoint, path, weight });
                return;
            }
            let key = (job.missing.instrument.id, job.missing.channel);
            match job.missing.ids.map_or(0, |ids| common.merge.prints.still_missing(key, ids)) {
                0 => self.done(None, now, common, out),
                left => {
                    let why = format!("the venue's history lacks {left} of them");
                    self.failed(&why, None, now, common, out);
                }
            }
        }
    }

    /// Takes an answer.
    pub fn reply(
        &mut self,
        tag: u64,
        (status, retry_ms, body): (u16, Option<u64>, &[u8]),
        now: Ts,
        common: &mut Common,
        out: &mut Out,
    ) {
        let (Some((asked, _)), Some(history)) = (self.asked, &mut self.history) else { return };
        if asked != tag {
            return;
        }
        self.asked = None;
        let read = match status {
            200 => history.take(body, now).map_err(|fault| fault.to_string()),
            0 => Err(String::from_utf8_lossy(body).into_owned()),
            _ => Err(format!("the venue answered with status {status}")),
        };
        match read {
            Ok(events) => {
                let filled = events.into_iter().fold(0, |n, event| {
                    let mark = out.events.len();
                    let missing = common.merge.repair(event, &mut out.events);
                    for event in out.events.get(mark..).unwrap_or_default() {
                        common.counters.event(event);
                    }
                    n + u64::from(missing)
                });
                if let Some(job) = self.waiting.front_mut() {
                    job.filled += filled;
                }
            }
            Err(why) => self.failed(&why, retry_ms, now, common, out),
        }
    }

    /// This try came to nothing.
    fn failed(&mut self, why: &str, retry_ms: Option<u64>, now: Ts, common: &mut Common, out: &mut Out) {
        self.history = None;
        let Some(job) = self.waiting.front_mut() else { return };
        job.tries += 1;
        self.not_before = now.plus_ms((RETRY_MS << job.tries.min(8)).max(retry_ms.unwrap_or(0)));
        if job.tries >= TRIES_MAX {
            self.done(Some(why), now, common, out);
        }
    }

    /// The hole in hand is closed, or it stays.
    fn done(&mut self, why: Option<&str>, now: Ts, common: &mut Common, out: &mut Out) {
        self.history = None;
        let Some(job) = self.waiting.pop_front() else { return };
        if let Some(why) = why {
            return job.give_up(why, now, common, out);
        }
        let (from_seq, to_seq) = job.seqs();
        let fact = LaneFact::Repaired { from_seq, to_seq, events: job.filled };
        job.tell(Body::Lane(fact), now, common, out);
    }
}

impl Job {
    fn past(&self, source: model::SourceName) -> Past {
        let Missing { instrument, channel, ids, from, to } = self.missing.clone();
        Past { source, instrument, channel, interval: String::new(), from, to: to.plus_ms(1), ids }
    }

    fn seqs(&self) -> (Option<u64>, Option<u64>) {
        self.missing.ids.map_or((None, None), |(from, to)| (from.checked_sub(1), to.checked_add(1)))
    }

    fn give_up(&self, why: &str, now: Ts, common: &mut Common, out: &mut Out) {
        let (from_seq, to_seq) = self.seqs();
        let fact = LaneFact::Unrepaired { from_seq, to_seq, why: why.into() };
        self.tell(Body::Lane(fact), now, common, out);
    }

    fn tell(&self, body: Body, now: Ts, common: &mut Common, out: &mut Out) {
        let event = common.event(&self.missing.instrument, self.missing.channel, body, now);
        common.counters.event(&event);
        out.events.push(event);
    }
}
