//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::poll::Polls;
use super::table::Table;
use super::{BybitSession, TIMER_CHORES};
use crate::subscribe::{Route, depth, frame, requests, route};
use crate::topic::Topic;
use model::{Channel, LaneFact, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal; it doubles each time.
pub(super) const REFUSED_MS: u64 = 30_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 5;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Asked,
    Acked,
    Refused,
}

/// One topic and the lanes that it feeds.
pub(super) struct Sub {
    pub topic: Box<str>,
    pub lanes: Vec<(usize, Channel)>,
    pub standing: Standing,
    /// Acknowledged on this connection.
    pub known: bool,
    /// Asked for on this connection and not refused: the venue may have it, so that it must be ended before it is asked
    /// for again. An answer may have been lost.
    pub sent: bool,
    /// Its lanes were told that it was asked for.
    pub told: bool,
    /// Asked for in a request of its own, since one of several failed without saying why.
    pub alone: bool,
    /// The request that carried it last.
    pub request: u64,
    /// When to ask again, unless what is waited for comes.
    pub due: Option<Ts>,
    /// How often it was asked for without getting what is waited for.
    pub tries: u32,
    /// How often it started again lately.
    restarts: u32,
    /// No new start before this.
    not_before: Ts,
    /// When its last whole book came.
    healed: Option<Ts>,
}

impl Sub {
    fn new(topic: Box<str>) -> Self {
        Self {
            topic,
            lanes: Vec::new(),
            standing: Standing::Refused,
            known: false,
            sent: false,
            told: false,
            alone: false,
            request: 0,
            due: None,
            tries: 0,
            restarts: 0,
            not_before: Ts::default(),
            healed: None,
        }
    }

    fn reset(&mut self) {
        let (topic, lanes) = (std::mem::take(&mut self.topic), std::mem::take(&mut self.lanes));
        *self = Self { lanes, ..Self::new(topic) };
    }

    pub fn is_book(&self) -> bool {
        Topic::parse(self.topic.as_bytes()).is_book()
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    pub subs: Vec<Sub>,
    pub polls: Polls,
    options: Options,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    requests: u64,
}

impl Lanes {
    pub fn new(shard: &Shard, table: &mut Table) -> Self {
        let mut lanes = Self {
            subs: Vec::new(),
            polls: Polls::default(),
            options: shard.options.clone(),
            pending: false,
            armed: None,
            requests: 0,
        };
        for want in &shard.wants {
            lanes.add(want, table);
        }
        lanes
    }

    /// Notes a want. Gives the place of its instrument where it is news, and its subscription.
    fn add(&mut self, want: &Want, table: &mut Table) -> Option<(usize, Option<usize>)> {
        let route = route(want, &self.options)?;
        let at = table.put(want.instrument.clone())?;
        if !table.want(at, want.channel) {
            return None;
        }
        let topic = match route {
            Route::Poll => {
                self.polls.add(at, want.channel, &want.instrument);
                return Some((at, None));
            }
            Route::Topic(topic) => topic,
        };
        if let (Channel::Book, Some(listed)) = (want.channel, table.get_mut(at)) {
            listed.depth = Some(depth(listed.product, self.options.book_ms));
        }
        let place = self.subs.iter().position(|s| s.topic == topic).unwrap_or_else(|| {
            self.subs.push(Sub::new(topic));
            self.subs.len() - 1
        });
        if let Some(sub) = self.subs.get_mut(place) {
            sub.lanes.push((at, want.channel));
        }
        Some((at, Some(place)))
    }

    /// As on a new connection.
    pub fn reset(&mut self) {
        for sub in &mut self.subs {
            sub.reset();
        }
        self.polls.reset();
        self.armed = None;
        self.pending = false;
    }

    /// The connection is open: everything is due.
    pub fn begin(&mut self, now: Ts) {
        self.reset();
        for sub in &mut self.subs {
            sub.due = Some(now);
        }
        self.polls.begin(now);
        self.pending = true;
    }

    /// A timer went off.
    pub fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }

    fn of(&mut self, lane: (usize, Channel)) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.lanes.contains(&lane))
    }
}

pub(super) fn pause(first: u64, times: u32) -> u64 {
    first << times.saturating_sub(1).min(DOUBLINGS_MAX)
}

impl BybitSession {
    /// Does what is due, and says when to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let is_due = |(_, s): &(usize, &Sub)| s.due.is_some_and(|due| due <= now);
        let which: Vec<usize> = self.lanes.subs.iter().enumerate().filter(is_due).map(|(i, _)| i).collect();
        if !which.is_empty() {
            self.ask(&which, now, out);
        }
        self.poll(now, out);
        let dues = self.lanes.subs.iter().filter_map(|s| s.due);
        let next = dues.chain(self.lanes.polls.next()).min();
        if let Some(at) = next.filter(|at| self.lanes.armed.is_none_or(|armed| *at < armed)) {
            self.lanes.armed = Some(at);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at });
        }
    }

    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let mut ended = Vec::new();
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            sub.tries += 1;
            sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
            if std::mem::replace(&mut sub.sent, true) {
                ended.push(sub.topic.clone());
                sub.restarts += 1;
                sub.not_before = now.plus_ms(pause(RETRY_MS, sub.restarts));
            }
            let told = std::mem::replace(&mut sub.told, true);
            (sub.standing, sub.healed) = (Standing::Asked, None);
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.chain.cool();
                }
                if let (false, Some(spec)) = (told, crate::SPEC.channel(*channel)) {
                    let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                    listed.fact(*channel, fact, now, out);
                }
            }
        }
        self.end(&ended, out);
        let (alone, together): (Vec<usize>, Vec<usize>) =
            which.iter().partition(|i| self.lanes.subs.get(**i).is_some_and(|s| s.alone));
        let groups = together.chunks(10).chain(alone.chunks(1));
        for group in groups {
            self.lanes.requests += 1;
            let request = self.lanes.requests;
            let mut topics = Vec::new();
            for i in group {
                let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
                sub.request = request;
                topics.push(sub.topic.clone());
            }
            out.push(Action::Send(frame("subscribe", request, &topics)));
        }
    }

    /// Ends the subscription to topics.
    fn end(&mut self, topics: &[Box<str>], out: &mut Vec<Action>) {
        for some in requests(topics) {
            self.lanes.requests += 1;
            out.push(Action::Send(frame("unsubscribe", self.lanes.requests, some)));
        }
    }

    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let Some((at, place)) = self.lanes.add(want, &mut self.table) else { continue };
            if !self.open {
                continue;
            }
            self.lanes.pending = true;
            let Some(sub) = place.and_then(|place| self.lanes.subs.get_mut(place)) else {
                self.lanes.polls.begin(now);
                continue;
            };
            if !sub.told {
                sub.due = sub.due.or(Some(now));
                continue;
            }
            let standing = sub.standing;
            let Some(listed) = self.table.get(at) else { continue };
            if let Some(spec) = crate::SPEC.channel(want.channel) {
                let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                listed.fact(want.channel, fact, now, out);
            }
            if standing == Standing::Acked {
                listed.fact(want.channel, LaneFact::Acked, now, out);
            }
            // The venue tells only what changes; what is known already is told to the new lane now.
            if let Some(body) = listed.ticker.body(want.channel, listed.product) {
                listed.emit(want.channel, listed.ticker.ts, now, body, out);
            }
        }
    }

    /// These are wanted no longer.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        let mut ended = Vec::new();
        for want in wants {
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            if !self.table.unwant(at, want.channel) {
                continue;
            }
            let lane = (at, want.channel);
            self.lanes.polls.remove(lane);
            if let Some(sub) = self.lanes.of(lane) {
                sub.lanes.retain(|l| *l != lane);
                if sub.lanes.is_empty() && sub.told && sub.standing != Standing::Refused {
                    ended.push(sub.topic.clone());
                }
            }
            let Some(listed) = self.table.get_mut(at) else { continue };
            match want.channel {
                Channel::Book => {
                    listed.chain.cool();
                    (listed.depth, listed.told) = (None, false);
                }
                Channel::Quote => listed.best = super::table::Best::default(),
                _ => {}
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
        }
        self.lanes.subs.retain(|sub| !sub.lanes.is_empty());
        if self.open {
            self.end(&ended, out);
        }
    }

    /// A lane must start again; not at once where it did so lately.
    pub(super) fn restart(&mut self, at: usize, channel: Channel, now: Ts) {
        let Some(sub) = self.lanes.of((at, channel)) else { return };
        if sub.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            sub.restarts = 0;
        }
        let at = sub.not_before.max(now);
        sub.due = Some(sub.due.map_or(at, |due| due.min(at)));
        self.lanes.pending = true;
    }

    /// A whole book or ticker came: nothing is due any more.
    pub(super) fn healed(&mut self, at: usize, now: Ts) {
        if !self.wanting {
            return;
        }
        if let Some(sub) = self.lanes.of((at, Channel::Book)) {
            (sub.due, sub.tries) = (None, 0);
            sub.healed = sub.healed.or(Some(now));
        }
    }
}
