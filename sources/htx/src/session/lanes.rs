//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::table::Table;
use super::{HtxSession, TIMER_CHORES};
use crate::product::Product;
use crate::rows::interval;
use crate::subscribe::{Topic, begin, end, request, topic};
use crate::topic::{Kind, topic as taken_apart};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Bar, Channel, GapCause, LaneFact, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again that was not acknowledged; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal, or where nothing came; it doubles each time.
pub(super) const REFUSED_MS: u64 = 30_000;
/// How long a pushed snapshot may take, at first.
pub(super) const SNAPSHOT_MS: u64 = 5_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 6;
/// The venue answers one request each 100 ms.
const REQUEST_MS: u64 = 120;
/// How much older than the subscription a trade may be and count as new: clocks differ.
const OLD_MS: u64 = 1_000;
/// How many topics a recording may name.
const TOPICS_MAX: usize = 100_000;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Asked,
    Acked,
    Refused,
}

/// One topic and the lanes that it feeds; without lanes it is not wanted.
pub(super) struct Sub {
    pub topic: Topic,
    /// The instrument that its symbol names, or the first one that it feeds.
    pub at: usize,
    pub lanes: Vec<(usize, Channel)>,
    /// Of bars: our name of the interval.
    pub interval: Box<str>,
    /// The newest bar, which is not over as far as we know.
    pub bar: Option<Box<Bar>>,
    /// Trades of the first frame that are older than this are not new.
    pub since: Option<Ts>,
    /// Something of it came since it was asked for.
    pub heard: bool,
    pub standing: Standing,
    /// The venue may hold it on this connection, so that it must be ended before it is asked for again.
    pub known: bool,
    /// When to ask again, unless what is waited for comes.
    pub due: Option<Ts>,
    /// How often it was asked for without getting what is waited for.
    pub tries: u32,
    /// The acknowledgement was told.
    pub told: bool,
}

impl Sub {
    fn new(topic: Topic, at: usize) -> Self {
        let tail = taken_apart(topic.text.as_bytes()).tail;
        Self {
            interval: interval(tail).map_or_else(|| String::from_utf8_lossy(tail).into(), Into::into),
            topic,
            at,
            lanes: Vec::new(),
            bar: None,
            since: None,
            heard: true,
            standing: Standing::Asked,
            known: false,
            due: None,
            tries: 0,
            told: false,
        }
    }

    /// The venue pushes something soon after the acknowledgement. Of forced orders it does not, and a spot book has to be
    /// asked for.
    fn answers(&self) -> bool {
        !matches!(self.topic.kind, Kind::Liquidations | Kind::Mbp)
    }

    fn reset(&mut self) {
        (self.standing, self.known, self.heard, self.told) = (Standing::Asked, false, true, false);
        (self.due, self.tries, self.bar, self.since) = (None, 0, None, None);
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    pub subs: Vec<Sub>,
    by_topic: HashMap<Box<[u8]>, usize, FixedState>,
    options: Options,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    /// When the venue takes the next request.
    next_request: Option<Ts>,
}

impl Lanes {
    pub fn new(shard: &Shard) -> Self {
        Self {
            subs: Vec::new(),
            by_topic: HashMap::with_hasher(FixedState::default()),
            options: shard.options.clone(),
            pending: false,
            armed: None,
            next_request: None,
        }
    }

    /// The place of a topic.
    #[inline]
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        self.by_topic.get(text).copied()
    }

    fn put(&mut self, topic: Topic, at: usize) -> usize {
        if let Some(n) = self.find(topic.text.as_bytes()) {
            return n;
        }
        self.by_topic.insert(topic.text.as_bytes().into(), self.subs.len());
        self.subs.push(Sub::new(topic, at));
        self.subs.len() - 1
    }

    /// A topic that a recording names, of the instrument at this place.
    pub fn grow(&mut self, text: &[u8], kind: Kind, at: usize) -> Option<usize> {
        if self.subs.len() >= TOPICS_MAX {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?.into();
        let n = self.put(Topic { path: "", text, kind }, at);
        let channel = match kind {
            Kind::MarkPrice => Channel::MarkPrice,
            Kind::IndexPrice => Channel::IndexPrice,
            _ => return Some(n),
        };
        self.subs.get_mut(n)?.lanes.push((at, channel));
        Some(n)
    }

    /// Notes a want. Gives its place, and whether its topic is new; nothing where it is there already or cannot be served.
    pub fn add(&mut self, want: &Want, table: &mut Table) -> Option<(usize, bool)> {
        let product = Product::named(&want.instrument.product)?;
        let topic = topic(want, &self.options)?;
        let at = table.put(want.instrument.clone(), product);
        if table.get(at).is_some_and(|listed| listed.wants(want.channel)) {
            return None;
        }
        table.want(at, want.channel, true);
        let n = self.put(topic, at);
        let sub = self.subs.get_mut(n)?;
        let new = sub.lanes.is_empty();
        if new {
            sub.reset();
            sub.at = at;
        }
        sub.lanes.push((at, want.channel));
        Some((n, new))
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        self.subs.iter_mut().for_each(Sub::reset);
        (self.pending, self.armed, self.next_request) = (false, None, None);
    }

    /// The timer came.
    pub fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }

    /// The subscription of a book is to be made anew.
    pub fn restart(&mut self, at: usize, when: Ts) {
        if let Some(sub) = self.book_of(at).and_then(|n| self.subs.get_mut(n)) {
            // What came before does not count any more, also where it was never acknowledged.
            (sub.due, sub.heard) = (Some(when), false);
        }
    }

    fn book_of(&self, at: usize) -> Option<usize> {
        self.subs.iter().position(|s| s.lanes.contains(&(at, Channel::Book)))
    }

    /// Whether the venue takes a request now.
    pub fn may_request(&self, now: Ts) -> bool {
        self.next_request.is_none_or(|at| at <= now)
    }

    /// Asks for the whole book of an instrument.
    pub fn request(&mut self, at: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(n) = self.book_of(at) else { return };
        self.next_request = Some(now.plus_ms(REQUEST_MS));
        if let Some(sub) = self.subs.get(n) {
            out.push(Action::Send(request(&sub.topic, n)));
        }
    }
}

pub(super) fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

impl HtxSession {
    /// Asks for everything that the shard wants.
    pub(super) fn subscribe_all(&mut self, now: Ts) {
        self.lanes.reset();
        for sub in self.lanes.subs.iter_mut().filter(|s| !s.lanes.is_empty()) {
            sub.due = Some(now);
        }
        self.lanes.pending = true;
    }

    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            if self.polling {
                self.poll_too(want, now, out);
                continue;
            }
            let Some((n, new)) = self.lanes.add(want, &mut self.table) else { continue };
            let Some(sub) = self.lanes.subs.get_mut(n).filter(|_| self.open) else { continue };
            if new {
                sub.due = Some(now);
                self.lanes.pending = true;
                continue;
            }
            let Some(listed) = self.table.by_id(want.instrument.id).and_then(|at| self.table.get(at)) else {
                continue;
            };
            tell_asked(listed, want.channel, now, out);
            if sub.standing == Standing::Acked {
                listed.fact(want.channel, LaneFact::Acked, now, out);
            }
        }
    }

    /// These are wanted no longer. A topic is ended with the last lane that it feeds.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            if !self.table.get(at).is_some_and(|listed| listed.wants(want.channel)) {
                continue;
            }
            self.table.want(at, want.channel, false);
            let lane = (at, want.channel);
            let found = self.lanes.subs.iter_mut().enumerate().find(|(_, s)| s.lanes.contains(&lane));
            if let Some((n, sub)) = found {
                sub.lanes.retain(|l| *l != lane);
                if sub.lanes.is_empty() {
                    if sub.known && self.open {
                        out.push(Action::Send(end(&sub.topic, n)));
                    }
                    sub.reset();
                } else if let Some((first, _)) = sub.lanes.first() {
                    sub.at = *first;
                }
            }
            let Some(listed) = self.table.get_mut(at) else { continue };
            match want.channel {
                Channel::Book => listed.book.reset(),
                Channel::BookTop => listed.top = None,
                _ => {}
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
        }
        self.forget_polls();
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        for n in 0..self.lanes.subs.len() {
            let Some(sub) = self.lanes.subs.get(n) else { return };
            if sub.due.is_none_or(|at| at > now) {
                continue;
            }
            if sub.heard && sub.answers() && sub.standing == Standing::Asked && sub.known {
                // Its data came, so that only the acknowledgement was lost.
                self.acked(n, now, out);
            } else {
                self.ask(n, now, out);
            }
        }
        self.look_after_books(now, out);
        self.poll(now, out);
        let subs = self.lanes.subs.iter().filter_map(|s| s.due);
        let soonest = self.lanes.next_request.unwrap_or(now);
        let books = (0..self.table.len()).filter_map(|at| self.table.get(at)?.book.due());
        let next = subs.chain(books.map(|at| at.max(soonest))).chain(self.polls.due()).min();
        let Some(next) = next else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Sends a subscription; one that the venue may hold already is ended first.
    fn ask(&mut self, n: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(n) else { return };
        let again = sub.known || (sub.tries > 0 && sub.standing != Standing::Refused);
        if sub.known {
            out.push(Action::Send(end(&sub.topic, n)));
        }
        out.push(Action::Send(begin(&sub.topic, n)));
        sub.tries += 1;
        sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
        (sub.standing, sub.known, sub.heard) = (Standing::Asked, true, !sub.answers());
        if sub.topic.kind == Kind::Trades {
            sub.since = Some(Ts(now.0.saturating_sub(OLD_MS as i64 * 1_000_000)));
        }
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if *channel == Channel::Book {
                listed.gap(GapCause::VenueReset, now, out);
                listed.book.asked(sub.topic.kind);
            }
            if !again {
                tell_asked(listed, *channel, now, out);
            }
        }
    }

    /// Something of a topic came: of a book its snapshot, of others anything.
    #[inline]
    pub(super) fn heard(&mut self, n: usize, now: Ts) {
        if let Some(sub) = self.lanes.subs.get_mut(n).filter(|s| !s.heard) {
            sub.heard = true;
            sub.tries = 0;
            if sub.standing == Standing::Acked {
                sub.due = None;
            } else {
                sub.due = Some(now.plus_ms(RETRY_MS));
            }
        }
    }
}

fn tell_asked(listed: &super::table::Listed, channel: Channel, now: Ts, out: &mut Vec<Action>) {
    if let Some(spec) = crate::SPEC.channel(channel) {
        let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
        listed.fact(channel, fact, now, out);
    }
}
