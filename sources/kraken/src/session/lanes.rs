//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::table::Table;
use super::{KrakenSession, TIMER_CHORES};
use crate::subscribe::{Ask, Topic, frames, topic};
use model::{Channel, GapCause, LaneFact, Proof, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal; it doubles each time.
const REFUSED_MS: u64 = 30_000;
/// The first pause between two new starts of one book; it doubles each time.
const RESTART_MS: u64 = 2_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 5;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not asked for on this connection.
    New,
    Asked,
    Acked,
    Refused,
}

/// One topic and the lanes that it feeds.
pub(super) struct Sub {
    pub topic: Topic,
    pub lanes: Vec<(usize, Channel)>,
    pub standing: Standing,
    /// The venue may hold it on this connection, so that it must be ended before it is asked for again.
    pub held: bool,
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
    /// What the venue complained of since it was asked for.
    pub complaint: Option<Box<str>>,
}

impl Sub {
    fn new(topic: Topic) -> Self {
        Self {
            topic,
            lanes: Vec::new(),
            standing: Standing::New,
            held: false,
            request: 0,
            due: None,
            tries: 0,
            restarts: 0,
            not_before: Ts(i64::MIN),
            healed: None,
            complaint: None,
        }
    }

    /// As on a new connection.
    fn reset(&mut self) {
        let (topic, lanes) = (self.topic.clone(), std::mem::take(&mut self.lanes));
        *self = Self { lanes, ..Self::new(topic) };
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    pub subs: Vec<Sub>,
    options: Options,
    /// Something has become due, or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    /// The number of the last request.
    pub requests: u64,
}

impl Lanes {
    pub fn new(shard: &Shard, table: &mut Table) -> Self {
        let mut made = Self {
            subs: Vec::new(),
            options: shard.options.clone(),
            pending: false,
            armed: None,
            requests: 0,
        };
        for want in &shard.wants {
            made.add(want, table);
        }
        made
    }

    /// Notes a want; gives the place of its subscription, where the venue has one.
    pub fn add(&mut self, want: &Want, table: &mut Table) -> Option<usize> {
        let topic = topic(want, &self.options)?;
        let (at, _) = table.put(&want.instrument);
        table.want(at, want.channel, true);
        let place = self.subs.iter().position(|s| s.topic == topic).unwrap_or_else(|| {
            self.subs.push(Sub::new(topic));
            self.subs.len() - 1
        });
        let sub = self.subs.get_mut(place)?;
        let lane = (at, want.channel);
        if sub.lanes.contains(&lane) {
            return None;
        }
        sub.lanes.push(lane);
        Some(place)
    }

    /// Forgets a want. Gives the topic where it was the last of it and the venue may hold it.
    pub fn remove(&mut self, want: &Want, at: usize) -> Option<Topic> {
        let topic = topic(want, &self.options)?;
        let place = self.subs.iter().position(|s| s.topic == topic)?;
        let sub = self.subs.get_mut(place)?;
        sub.lanes.retain(|lane| *lane != (at, want.channel));
        if !sub.lanes.is_empty() {
            return None;
        }
        let sub = self.subs.remove(place);
        (sub.held || sub.standing == Standing::Asked).then_some(sub.topic)
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        self.subs.iter_mut().for_each(Sub::reset);
        (self.pending, self.armed) = (false, None);
    }

    /// The timer came.
    pub fn woken(&mut self) {
        (self.armed, self.pending) = (None, true);
    }

    pub fn book_of(&mut self, at: usize) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.topic.feed.is_book() && s.lanes.contains(&(at, Channel::Book)))
    }

    /// Whether a subscription may have been carried by the request `id`; its number is the first of several.
    pub fn carried(&self, sub: &Sub, id: Option<u64>) -> bool {
        id.is_none_or(|id| (sub.request..=self.requests).contains(&id))
    }

    /// The subscription of a channel by the venue's words.
    pub fn named(&mut self, endpoint: usize, word: &str, symbol: &str) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| {
            let feed = s.topic.feed;
            feed.word() == word && feed.endpoint() == endpoint && *s.topic.symbol == *symbol
        })
    }
}

pub(super) fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

/// How a lane's completeness can be shown. Of books it depends on the market.
fn proof(topic: &Topic, channel: Channel) -> Proof {
    match channel {
        Channel::Book if topic.feed.endpoint() == crate::FUTURES => Proof::Sequence,
        _ => crate::SPEC.channel(channel).map_or(Proof::None, |spec| spec.proof),
    }
}

impl KrakenSession {
    /// Asks for everything that the shard wants.
    pub(super) fn subscribe_all(&mut self, now: Ts) {
        self.lanes.reset();
        for sub in &mut self.lanes.subs {
            sub.due = Some(now);
        }
        self.lanes.pending = true;
    }

    /// More is wanted.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        if !self.wanting {
            self.wanting = true;
            self.table.settle();
            if self.open {
                self.watch(now, out);
            }
        }
        for want in wants {
            let Some(place) = self.lanes.add(want, &mut self.table) else { continue };
            let Some(sub) = self.lanes.subs.get_mut(place).filter(|_| self.open) else { continue };
            match sub.standing {
                Standing::New => sub.due = Some(now),
                Standing::Asked | Standing::Acked | Standing::Refused => {
                    let (topic, standing) = (sub.topic.clone(), sub.standing);
                    self.join(&topic, standing, want, now, out);
                }
            }
        }
        self.lanes.pending = self.open;
    }

    /// A lane is fed by a subscription that is there already.
    fn join(&mut self, topic: &Topic, standing: Standing, want: &Want, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.known(want.instrument.symbol.as_bytes()) else { return };
        let Some(listed) = self.table.get(at) else { return };
        asked(listed, topic, want.channel, now, out);
        if standing == Standing::Acked {
            listed.fact(want.channel, LaneFact::Acked, now, out);
            self.tell_known(at, want.channel, now, out);
        }
    }

    /// These are wanted no longer.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        let mut ended = Vec::new();
        for want in wants {
            let Some(at) = self.table.known(want.instrument.symbol.as_bytes()) else { continue };
            let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(want.channel)) else { continue };
            if want.channel == Channel::Book {
                listed.book.reset();
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
            self.table.want(at, want.channel, false);
            ended.extend(self.lanes.remove(want, at));
        }
        if self.open {
            let ended: Vec<&Topic> = ended.iter().collect();
            let frames = frames(Ask::Unsubscribe, &ended, &mut self.lanes.requests);
            out.extend(frames.into_iter().map(Action::Send));
        }
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let due: Vec<usize> = (0..self.lanes.subs.len())
            .filter(|i| self.lanes.subs.get(*i).and_then(|s| s.due).is_some_and(|at| at <= now))
            .collect();
        let (polled, streamed): (Vec<usize>, Vec<usize>) =
            due.into_iter().partition(|i| self.lanes.subs.get(*i).is_some_and(|s| s.topic.feed.is_polled()));
        if !streamed.is_empty() {
            self.ask(&streamed, now, out);
        }
        for i in polled {
            self.poll(i, now, out);
        }
        let Some(next) = self.lanes.subs.iter().filter_map(|s| s.due).min() else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Sends subscriptions; those that the venue may hold already are ended first.
    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let mut refused = Vec::new();
        for i in which {
            // Without an answer in time a complaint that named nobody was about this one.
            let silent = |s: &Sub| s.standing == Standing::Asked && s.complaint.is_some();
            if let Some(sub) = self.lanes.subs.get_mut(*i).filter(|s| silent(s)) {
                refused.push((*i, sub.complaint.take().unwrap_or_default()));
            }
        }
        for (i, words) in &refused {
            self.refuse(*i, words, now, out);
        }
        let which: Vec<usize> =
            which.iter().copied().filter(|i| refused.iter().all(|(r, _)| r != i)).collect();
        let topics = |lanes: &super::lanes::Lanes, again: bool| -> Vec<Topic> {
            let subs = which.iter().filter_map(|i| lanes.subs.get(*i));
            subs.filter(|s| s.held || !again).map(|s| s.topic.clone()).collect()
        };
        let (ended, begun) = (topics(&self.lanes, true), topics(&self.lanes, false));
        let ended = frames(Ask::Unsubscribe, &ended.iter().collect::<Vec<_>>(), &mut self.lanes.requests);
        let request = self.lanes.requests + 1;
        let begun = frames(Ask::Subscribe, &begun.iter().collect::<Vec<_>>(), &mut self.lanes.requests);
        for i in &which {
            self.asking(*i, request, now, out);
        }
        out.extend(ended.into_iter().chain(begun).map(Action::Send));
    }

    /// Notes that a subscription is asked for by the request `request` or one after it.
    fn asking(&mut self, i: usize, request: u64, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(i) else { return };
        sub.tries += 1;
        sub.request = request;
        sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
        if sub.held {
            sub.restarts += 1;
            sub.not_before = now.plus_ms(pause(RESTART_MS, sub.restarts));
        }
        let told = sub.held || (sub.standing == Standing::Asked && sub.tries > 1);
        // What is sent after it is a new subscription, answered or not.
        (sub.standing, sub.held, sub.healed) = (Standing::Asked, true, None);
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if *channel == Channel::Book {
                if listed.gap(GapCause::VenueReset, None, now, out) {
                    let words = "the subscription is made anew";
                    listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
                }
                listed.book.reset();
            }
            if !told {
                asked(listed, &sub.topic, *channel, now, out);
            }
        }
    }

    /// A book must start again; not at once where it did so lately.
    pub(super) fn restart(&mut self, at: usize, now: Ts) {
        if !self.wanting {
            return;
        }
        let Some(sub) = self.lanes.book_of(at) else { return };
        if sub.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            sub.restarts = 0;
        }
        sub.healed = None;
        let due = sub.not_before.max(now);
        // One that was asked for and not answered yet has its time.
        sub.due = Some(if sub.standing == Standing::Acked { due } else { sub.due.unwrap_or(due) });
        self.lanes.pending = true;
    }

    /// A snapshot came: nothing is due any more.
    pub(super) fn healed(&mut self, at: usize, now: Ts) {
        if !self.wanting {
            return;
        }
        if let Some(sub) = self.lanes.book_of(at) {
            (sub.due, sub.tries) = (None, 0);
            sub.healed = sub.healed.or(Some(now));
        }
    }

    /// The venue said no.
    pub(super) fn refuse(&mut self, i: usize, words: &str, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(i) else { return };
        (sub.standing, sub.held, sub.complaint) = (Standing::Refused, false, None);
        sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if *channel == Channel::Book {
                listed.gap(GapCause::VenueReset, None, now, out);
                listed.book.reset();
            }
            listed.fact(*channel, LaneFact::Refused(words.into()), now, out);
        }
        self.lanes.pending = true;
    }
}

/// Says that a lane was asked for.
fn asked(listed: &super::table::Listed, topic: &Topic, channel: Channel, now: Ts, out: &mut Vec<Action>) {
    let quiet_ms = crate::SPEC.channel(channel).and_then(|spec| spec.quiet_ms);
    listed.fact(channel, LaneFact::Asked { proof: proof(topic, channel), quiet_ms }, now, out);
}
