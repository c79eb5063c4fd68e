//! When to ask, and how slowly.

use super::told::{Lanes, Told};
use super::{Asks, Question};
use crate::web::PAGE;
use crate::{Action, ChannelSpec, Input, Options, Session, Shard, Want, What};
use model::{Body, GapCause, LaneFact, Ts};
use std::collections::BTreeMap;

/// The only timer.
const TIMER: u64 = 0;
/// After how many failures in a row what a source told is no longer trusted.
const FAILURES_MAX: u32 = 3;

/// How a source wants to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// The least time between the starts of two requests, in ms.
    pub apart_ms: u64,
    /// How often each question is asked while nothing moves, in ms.
    pub idle_ms: u64,
    /// The first pause after a failure, in ms; it doubles, until it is `refused_ms`.
    pub retry_ms: u64,
    /// How long nothing is asked after an answer that shuts us out, in ms.
    pub refused_ms: u64,
    /// How long an answer is waited for, in ms.
    pub patience_ms: u64,
    /// Whether data are expected to move at an instant, by the timetable.
    pub moves: fn(Ts) -> bool,
}

impl Manners {
    /// When a question is asked again: after its pause while data move, else late, but no later than they begin to move.
    fn next(&self, pause_ms: u64, news: bool, now: Ts) -> Ts {
        let soon = now.plus_ms(pause_ms);
        let late = now.plus_ms(pause_ms.max(self.idle_ms));
        if news {
            return soon;
        }
        let mut at = soon;
        while at < late && !(self.moves)(at) {
            at = at.plus_ms(pause_ms.max(1_000));
        }
        at.min(late)
    }
}

/// A question with its turn.
#[derive(Debug)]
struct Turn {
    question: Question,
    /// When it is to be asked again.
    due: Ts,
    /// The next page of an answer that goes on.
    page: Option<String>,
    /// Whether a page of the answer under way brought anything new.
    news: bool,
}

/// The request under way.
#[derive(Debug)]
struct Waiting {
    tag: u64,
    /// The question's own path, which names it.
    question: String,
    until: Ts,
}

/// A session that asks for what is wanted again and again, one request at a time, or hears an answer that goes on.
///
/// While data move a question is asked at its own pace: when the timetable says so, and also outside it as long as
/// answers bring something new. Else, and where its answer makes no sense, it is asked seldom. A request that fails is made
/// again after a pause that doubles each time, so that a server that was away is back soon and one that hides is left alone;
/// after an answer that shuts us out nothing is asked for some minutes. From the third failure in a row on, and where we are
/// shut out, books are a gap.
pub struct Rounds {
    asks: Box<dyn Asks>,
    manners: Manners,
    channels: &'static [ChannelSpec],
    wants: Vec<Want>,
    options: Options,
    lanes: Lanes,
    open: bool,
    /// No frame came on this connection yet.
    fresh: bool,
    turns: Vec<Turn>,
    waiting: Option<Waiting>,
    tags: u64,
    failures: u32,
    /// Nothing is asked before.
    not_before: Ts,
    armed: Option<Ts>,
}

impl Rounds {
    /// A session for a shard; without wants it reads recorded answers.
    pub fn new(
        asks: Box<dyn Asks>,
        manners: Manners,
        channels: &'static [ChannelSpec],
        shard: &Shard,
    ) -> Self {
        let lanes = Lanes { source: asks.source(), recorded: shard.wants.is_empty(), all: BTreeMap::new() };
        let mut made = Self {
            asks,
            manners,
            channels,
            wants: Vec::new(),
            options: shard.options.clone(),
            lanes,
            open: false,
            fresh: true,
            turns: Vec::new(),
            waiting: None,
            tags: 0,
            failures: 0,
            not_before: Ts::default(),
            armed: None,
        };
        made.want(&shard.wants, Ts::default());
        made
    }

    fn want(&mut self, wants: &[Want], now: Ts) {
        for want in wants {
            if !self.wants.contains(want) {
                self.wants.push(want.clone());
                self.lanes.add(&want.instrument, want.channel);
            }
        }
        self.plan(now);
    }

    fn unwant(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let key = (want.instrument.id, want.channel);
            if let Some(lane) = self.lanes.all.remove(&key) {
                let dropped = Body::Lane(LaneFact::Dropped);
                out.push(self.lanes.event(&lane.instrument, want.channel, dropped, now));
            }
            self.wants.retain(|w| (w.instrument.id, w.channel) != key);
        }
        self.plan(now);
    }

    /// Makes turns of what is wanted now; a question that stays keeps its turn.
    fn plan(&mut self, now: Ts) {
        let mut before = std::mem::take(&mut self.turns);
        for question in self.asks.questions(&self.wants, &self.options) {
            let held =
                before.iter().position(|turn| turn.question == question).map(|at| before.swap_remove(at));
            self.turns.push(held.unwrap_or(Turn { question, due: now, page: None, news: false }));
        }
    }

    fn opened(&mut self, now: Ts) {
        (self.open, self.armed, self.waiting, self.failures) = (true, None, None, 0);
        (self.not_before, self.fresh) = (now, true);
        for turn in &mut self.turns {
            (turn.due, turn.page) = (now, None);
        }
        self.lanes.forget(None, now, &mut Vec::new());
    }

    fn answer(&mut self, status: u16, retry_ms: u64, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        let Some(waiting) = self.waiting.take() else { return };
        let at = self.turns.iter().position(|turn| turn.question.path == waiting.question);
        let Some(turn) = at.and_then(|at| self.turns.get_mut(at)) else {
            out.push(Action::Control("an answer that nobody waits for"));
            return;
        };
        if status != 200 {
            out.push(Action::Control("a question that was not answered"));
            return self.failed(at, matches!(status, 401 | 403 | 418 | 429), retry_ms, now, out);
        }
        let path = turn.page.take().unwrap_or_else(|| turn.question.path.clone());
        let mut told = Told { lanes: &mut self.lanes, now, out, news: false };
        match self.asks.read(&path, body, &mut told) {
            Ok(next) => {
                self.failures = 0;
                turn.news |= told.news;
                if next.is_some() {
                    (turn.page, turn.due) = (next, now);
                } else {
                    let news = std::mem::take(&mut turn.news);
                    turn.due = self.manners.next(turn.question.every_ms, news || self.options.all_hours, now);
                }
            }
            Err(fault) => {
                out.push(Action::Malformed(fault));
                match fault.what {
                    PAGE => self.failed(at, true, retry_ms, now, out),
                    What::Eof | What::Expected(_) => self.failed(at, false, retry_ms, now, out),
                    // What was answered makes no sense, but the source answers: the others are not to blame.
                    _ => turn.due = now.plus_ms(turn.question.every_ms.max(self.manners.idle_ms)),
                }
            }
        }
    }

    /// A question went without an answer: asked again later, after the others.
    fn failed(&mut self, at: Option<usize>, shut: bool, retry_ms: u64, now: Ts, out: &mut Vec<Action>) {
        self.failures = if shut { FAILURES_MAX.max(self.failures + 1) } else { self.failures + 1 };
        let Manners { retry_ms: first, refused_ms: longest, .. } = self.manners;
        let doubled = first.saturating_mul(1 << (self.failures - 1).min(20));
        let pause = if shut { longest } else { doubled.min(longest) };
        self.not_before = now.plus_ms(pause.max(retry_ms));
        if let Some(turn) = at.and_then(|at| self.turns.get_mut(at)) {
            (turn.due, turn.page, turn.news) = (self.not_before, None, false);
        }
        if self.failures >= FAILURES_MAX {
            self.lanes.forget(Some(GapCause::Disconnected), now, out);
        }
    }

    /// Asks for what is due, where nothing is under way, and to be woken for the rest.
    fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        let specs = self.channels;
        let fact = |channel| {
            let spec = specs.iter().find(|spec| spec.channel == channel)?;
            Some(LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms })
        };
        self.lanes.ask(fact, now, out);
        if self.waiting.as_ref().is_some_and(|waiting| waiting.until <= now) {
            self.waiting = None;
            self.failed(None, false, 0, now, out);
        }
        if self.waiting.is_none() && self.not_before <= now {
            self.ask(now, out);
        }
        let next = match &self.waiting {
            Some(waiting) => Some(waiting.until),
            None => self.turns.iter().map(|turn| turn.due).min().map(|due| due.max(self.not_before)),
        };
        if let Some(at) = next.filter(|at| self.armed.is_none_or(|armed| *at < armed)) {
            self.armed = Some(at);
            out.push(Action::WakeAt { timer: TIMER, at });
        }
    }

    /// Asks for what has been due longest; an answer that goes on goes before.
    fn ask(&mut self, now: Ts, out: &mut Vec<Action>) {
        let due = self.turns.iter().filter(|turn| turn.due <= now);
        let Some(turn) = due.min_by_key(|turn| (turn.page.is_none(), turn.due)) else { return };
        self.tags += 1;
        let path = turn.page.clone().unwrap_or_else(|| turn.question.path.clone());
        let until = now.plus_ms(self.manners.patience_ms);
        self.waiting = Some(Waiting { tag: self.tags, question: turn.question.path.clone(), until });
        self.not_before = now.plus_ms(self.manners.apart_ms);
        out.push(Action::Fetch { tag: self.tags, path, weight: turn.question.weight });
    }
}

impl Session for Rounds {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => self.opened(now),
            Input::Reply { tag: None, path, status, body, .. } => {
                let mut told = Told { lanes: &mut self.lanes, now, out, news: false };
                if status == 200
                    && let Err(fault) = self.asks.read(path, body, &mut told)
                {
                    out.push(Action::Malformed(fault));
                }
            }
            Input::Reply { tag: Some(tag), status, retry_ms, body, .. } => {
                if self.waiting.as_ref().is_some_and(|waiting| waiting.tag == tag) {
                    self.answer(status, retry_ms.unwrap_or(0), body, now, out);
                } else {
                    out.push(Action::Control("an answer that nobody waits for"));
                }
            }
            Input::Wake { .. } => self.armed = None,
            Input::Subscribe(wants) => self.want(wants, now),
            Input::Unsubscribe(wants) => self.unwant(wants, now, out),
            Input::Define(instrument) => {
                let here = self.lanes.all.iter_mut().filter(|((id, _), _)| *id == instrument.id);
                here.for_each(|(_, lane)| lane.instrument = std::sync::Arc::clone(instrument));
            }
            Input::Closed => {
                self.open = false;
                self.lanes.forget(Some(GapCause::Disconnected), now, out);
            }
            Input::Frame { bytes, .. } => {
                let first = std::mem::take(&mut self.fresh);
                let mut told = Told { lanes: &mut self.lanes, now, out, news: false };
                if let Err(fault) = self.asks.frame(bytes, first, &mut told) {
                    out.push(Action::Malformed(fault));
                }
            }
            Input::Resync { instrument, channel } => {
                if let Some(lane) = self.lanes.all.get_mut(&(instrument, channel)) {
                    lane.again();
                }
            }
        }
        if self.open {
            self.chores(now, out);
        }
    }
}
