//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::table::Table;
use super::{DeribitSession, TIMER_CHORES};
use crate::subscribe::{Family, Paces, REQUEST_MAX, Topic, about, topics};
use model::{Channel, LaneFact, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal; it doubles each time.
const REFUSED_MS: u64 = 30_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 5;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;
/// How long nothing is sent after the venue found requests too many.
const TOO_MANY_MS: u64 = 5_000;
/// Requests about channels cost 3,000 of a pool of 30,000, which fills by 10,000 a second.
const REQUESTS_MAX: u32 = 9;
const REQUEST_MS: u64 = 300;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Asked,
    Acked,
    Refused,
}

/// A lane that a channel of the venue feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub at: usize,
    pub channel: Channel,
    /// Whether the answer about this channel of the venue is the answer about the lane.
    pub first: bool,
}

/// One channel of the venue and the lanes that it feeds.
pub(super) struct Sub {
    pub topic: Topic,
    pub lanes: Vec<Lane>,
    pub standing: Standing,
    /// It was asked for on this connection, so that it must be ended before it is asked for again: the venue sends no
    /// second snapshot.
    pub known: bool,
    /// The acknowledgement was told.
    pub told: bool,
    /// The request that carried it last.
    pub request: u64,
    /// When to ask again, unless what is waited for comes.
    pub due: Option<Ts>,
    /// How often it was asked for without getting what is waited for.
    pub tries: u32,
    /// How often its book started again lately.
    restarts: u32,
    /// No new start of its book before this.
    not_before: Ts,
    /// When its last snapshot came.
    healed: Option<Ts>,
}

impl Sub {
    fn new(topic: Topic) -> Self {
        Self {
            topic,
            lanes: Vec::new(),
            standing: Standing::Asked,
            known: false,
            told: false,
            request: 0,
            due: None,
            tries: 0,
            restarts: 0,
            not_before: Ts(i64::MIN),
            healed: None,
        }
    }

    fn reset(&mut self) {
        let fresh = Self::new(self.topic.clone());
        let lanes = std::mem::take(&mut self.lanes);
        *self = Self { lanes, ..fresh };
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    pub subs: Vec<Sub>,
    pub options: Options,
    pub paces: Paces,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    requests: u64,
    /// Requests that may still be made, and since when they are counted.
    left: (u32, Ts),
    hold_until: Ts,
}

/// The number of the first request about channels; lower ones have a meaning each.
const FIRST_REQUEST: u64 = 10;

impl Lanes {
    pub fn new(shard: &Shard, table: &mut Table) -> Self {
        let options = shard.options.clone();
        let paces = Paces::of(&options, options.login.is_some());
        let mut lanes = Self {
            subs: Vec::new(),
            options,
            paces,
            pending: false,
            armed: None,
            requests: FIRST_REQUEST,
            left: (REQUESTS_MAX, Ts(i64::MIN)),
            hold_until: Ts(i64::MIN),
        };
        for want in &shard.wants {
            lanes.add(want, table);
        }
        lanes
    }

    /// Adds a lane. Returns the places of the subscriptions that feed it; none where it is there already.
    pub fn add(&mut self, want: &Want, table: &mut Table) -> Vec<usize> {
        let needed = topics(want, &self.options);
        if needed.is_empty() {
            return Vec::new();
        }
        let known = table.known(want.instrument.symbol.as_bytes());
        let at = known.unwrap_or_else(|| table.put(want.instrument.clone()));
        if table.get(at).is_none_or(|l| l.wants(want.channel)) {
            return Vec::new();
        }
        table.want(at, want.channel, true);
        let mut places = Vec::new();
        for (n, topic) in needed.into_iter().enumerate() {
            let place = self.subs.iter().position(|s| s.topic == topic).unwrap_or_else(|| {
                self.subs.push(Sub::new(topic));
                self.subs.len() - 1
            });
            if let Some(sub) = self.subs.get_mut(place) {
                sub.lanes.push(Lane { at, channel: want.channel, first: n == 0 });
            }
            places.push(place);
        }
        places
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        self.subs.iter_mut().for_each(Sub::reset);
        (self.pending, self.armed) = (false, None);
        (self.left, self.hold_until) = ((REQUESTS_MAX, Ts(i64::MIN)), Ts(i64::MIN));
        self.paces = Paces::of(&self.options, self.options.login.is_some());
    }

    /// The timer came.
    pub fn woken(&mut self) {
        (self.armed, self.pending) = (None, true);
    }

    /// The instruments whose lanes a channel of the venue feeds.
    pub fn fed_by(&self, family: Family, of: &[u8]) -> Vec<usize> {
        let feeds = |s: &&Sub| s.topic.family == family && s.topic.of.as_bytes() == of;
        self.subs.iter().filter(feeds).flat_map(|s| s.lanes.iter().map(|l| l.at)).collect()
    }

    fn book_of(&mut self, at: usize) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.topic.is_book() && s.lanes.iter().any(|l| l.at == at))
    }

    /// Takes requests out of what the venue allows; says when there will be enough of them.
    fn spend(&mut self, requests: u32, now: Ts) -> Result<(), Ts> {
        if now < self.hold_until {
            return Err(self.hold_until);
        }
        let (left, since) = self.left;
        let passed = if since.0 == i64::MIN { u64::MAX } else { now.ms_since(since).unsigned_abs() };
        let grown = u32::try_from(passed / REQUEST_MS).unwrap_or(u32::MAX);
        let left = left.saturating_add(grown).min(REQUESTS_MAX);
        let since = if left == REQUESTS_MAX { now } else { since.plus_ms(u64::from(grown) * REQUEST_MS) };
        let requests = requests.min(REQUESTS_MAX);
        if left < requests {
            self.left = (left, since);
            return Err(since.plus_ms(u64::from(requests - left) * REQUEST_MS));
        }
        self.left = (left - requests, since);
        Ok(())
    }

    fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// The venue found requests too many.
    pub fn hold(&mut self, now: Ts) {
        self.hold_until = now.plus_ms(TOO_MANY_MS);
    }
}

fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

impl DeribitSession {
    /// Everything that is wanted is due.
    pub(super) fn subscribe_all(&mut self, now: Ts) {
        for sub in &mut self.lanes.subs {
            sub.due = Some(now);
        }
        self.lanes.pending = true;
    }

    pub(super) fn send(&mut self, method: &str, names: &[String], out: &mut Vec<Action>) {
        for part in names.chunks(REQUEST_MAX) {
            let id = self.lanes.next_request();
            out.push(Action::Send(about(id, method, part)));
        }
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let subs = self.lanes.subs.iter().enumerate();
        let due: Vec<usize> =
            subs.filter(|(_, s)| s.due.is_some_and(|at| at <= now)).map(|(n, _)| n).collect();
        if !due.is_empty() {
            let calls = u32::try_from(due.len().div_ceil(REQUEST_MAX) * 2).unwrap_or(u32::MAX);
            match self.lanes.spend(calls, now) {
                Ok(()) => self.ask(&due, now, out),
                Err(later) => {
                    for n in due {
                        if let Some(sub) = self.lanes.subs.get_mut(n) {
                            sub.due = Some(later);
                        }
                    }
                }
            }
        }
        let Some(next) = self.lanes.subs.iter().filter_map(|s| s.due).min() else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Sends subscriptions; those that were asked for already are ended first.
    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let paces = self.lanes.paces;
        let known = which.iter().filter_map(|n| self.lanes.subs.get(*n)).filter(|s| s.known);
        let ended: Vec<String> = known.map(|s| s.topic.name(&paces)).collect();
        self.send("public/unsubscribe", &ended, out);
        for part in which.chunks(REQUEST_MAX) {
            let request = self.lanes.next_request();
            let mut names = Vec::with_capacity(part.len());
            for n in part {
                let Some(sub) = self.lanes.subs.get_mut(*n) else { continue };
                names.push(sub.topic.name(&paces));
                asked(sub, request, &mut self.table, now, out);
            }
            out.push(Action::Send(about(request, "public/subscribe", &names)));
        }
    }

    /// A book must start again; not at once where it did so lately.
    pub(super) fn restart(&mut self, at: usize, now: Ts) {
        let Some(sub) = self.lanes.book_of(at) else { return };
        if sub.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            sub.restarts = 0;
        }
        sub.due = Some(sub.not_before.max(now));
        self.lanes.pending = true;
    }

    /// A snapshot came: nothing is due any more.
    pub(super) fn healed(&mut self, at: usize, now: Ts) {
        if self.reading {
            return;
        }
        if let Some(sub) = self.lanes.book_of(at) {
            (sub.due, sub.tries) = (None, 0);
            sub.healed = sub.healed.or(Some(now));
        }
    }

    /// The venue agreed to one subscription.
    pub(super) fn acked(&mut self, place: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(place) else { return };
        let news = !sub.told;
        (sub.standing, sub.told) = (Standing::Acked, true);
        let book = sub.topic.is_book();
        if !book {
            (sub.due, sub.tries) = (None, 0);
        }
        for lane in sub.lanes.iter().filter(|l| l.first && news) {
            let Some(listed) = self.table.get_mut(lane.at) else { continue };
            listed.fact(lane.channel, LaneFact::Acked, now, out);
            if lane.channel == Channel::Book && !listed.book.chain.live() {
                listed.book.told = true;
                listed.fact(lane.channel, LaneFact::Syncing("waiting for a snapshot".into()), now, out);
            }
        }
    }

    /// The venue refused one subscription, in these words.
    pub(super) fn refused(&mut self, place: usize, words: &str, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(place) else { return };
        (sub.standing, sub.told) = (Standing::Refused, false);
        sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
        for lane in sub.lanes.iter().filter(|l| l.first) {
            let Some(listed) = self.table.get_mut(lane.at) else { continue };
            if lane.channel == Channel::Book {
                listed.gap(model::GapCause::VenueReset, now, out);
                listed.book.reset();
            }
            listed.fact(lane.channel, LaneFact::Refused(words.into()), now, out);
        }
        self.lanes.pending = true;
    }
}

/// Notes that a subscription is on its way, and says so where it is news.
fn asked(sub: &mut Sub, request: u64, table: &mut Table, now: Ts, out: &mut Vec<Action>) {
    sub.tries += 1;
    sub.request = request;
    sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
    if sub.known {
        sub.restarts += 1;
        sub.not_before = now.plus_ms(pause(RETRY_MS, sub.restarts));
    }
    let told = sub.known && sub.standing != Standing::Refused;
    (sub.standing, sub.known, sub.healed) = (Standing::Asked, true, None);
    for lane in sub.lanes.iter().filter(|l| l.first) {
        let Some(listed) = table.get_mut(lane.at) else { continue };
        if lane.channel == Channel::Book {
            listed.book.reset();
        }
        if let (false, Some(spec)) = (told, crate::SPEC.channel(lane.channel)) {
            let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
            listed.fact(lane.channel, fact, now, out);
        }
    }
}
