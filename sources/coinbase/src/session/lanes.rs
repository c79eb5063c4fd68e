//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::CoinbaseSession;
use super::table::Table;
use crate::subscribe::{Held, Refusal, Route, Topic, frames, route};
use crate::{Feed, SPEC};
use model::{Channel, GapCause, LaneFact, Proof, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 5_000;
/// The first pause after a refusal; it doubles each time.
const REFUSED_MS: u64 = 30_000;
/// The pause of what was refused along with something else.
const ALONG_MS: u64 = 1_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 4;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;
/// Subscriptions that are due.
const TIMER_CHORES: u64 = 1;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Asked,
    Acked,
    Refused,
}

/// One topic and the lanes that it feeds; none where it only keeps the connection alive.
struct Sub {
    topic: Topic,
    lanes: Vec<(usize, Channel)>,
    standing: Standing,
    /// Acknowledged on this connection, so that it must be ended before it is asked for again.
    known: bool,
    /// When to ask again, unless what is waited for comes.
    due: Option<Ts>,
    /// How often it was asked for without getting what is waited for.
    tries: u32,
    /// How often its book started again lately.
    restarts: u32,
    /// No new start of its book before this.
    not_before: Ts,
    /// When its last snapshot came.
    healed: Option<Ts>,
}

impl Sub {
    const fn new(topic: Topic) -> Self {
        Self {
            topic,
            lanes: Vec::new(),
            standing: Standing::Asked,
            known: false,
            due: None,
            tries: 0,
            restarts: 0,
            not_before: Ts(i64::MIN),
            healed: None,
        }
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    feed: Feed,
    options: Options,
    subs: Vec<Sub>,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
}

impl Lanes {
    pub fn new(feed: Feed, shard: &Shard, table: &mut Table) -> Self {
        let options = shard.options.clone();
        let mut lanes = Self { feed, options, subs: Vec::new(), pending: false, armed: None };
        for want in &shard.wants {
            lanes.add(want, table);
        }
        lanes
    }

    /// Adds a want. The place of its instrument and of its subscription; `None` where it is there already, or there is
    /// no such channel.
    fn add(&mut self, want: &Want, table: &mut Table) -> Option<(usize, usize)> {
        if Feed::of(&want.instrument) != self.feed {
            return None;
        }
        let Some(Route::Pushed(topic)) = route(want, &self.options) else { return None };
        let symbol = want.instrument.symbol.as_bytes();
        let at = table.known(self.feed, symbol).unwrap_or_else(|| table.put(want.instrument.clone()));
        if !table.get_mut(at)?.want(want.channel, true) {
            return None;
        }
        let alive = match self.feed {
            Feed::Advanced => Topic { channel: "heartbeats", product: "".into() },
            Feed::Exchange => Topic { channel: "heartbeat", product: want.instrument.symbol.clone() },
        };
        self.sub_of(alive);
        let sub = self.sub_of(topic);
        self.subs.get_mut(sub)?.lanes.push((at, want.channel));
        Some((at, sub))
    }

    fn sub_of(&mut self, topic: Topic) -> usize {
        self.subs.iter().position(|s| s.topic == topic).unwrap_or_else(|| {
            self.subs.push(Sub::new(topic));
            self.subs.len() - 1
        })
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        for sub in &mut self.subs {
            let (topic, lanes) = (sub.topic.clone(), std::mem::take(&mut sub.lanes));
            *sub = Sub { lanes, ..Sub::new(topic) };
        }
        self.pending = false;
        self.armed = None;
    }

    /// Asks for everything that is wanted.
    pub fn begin(&mut self, now: Ts) {
        self.reset();
        for sub in &mut self.subs {
            sub.due = Some(now);
        }
        self.pending = true;
    }

    /// The timer came.
    pub fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }

    fn book_of(&mut self, at: usize) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.lanes.contains(&(at, Channel::Book)))
    }

    /// A book must start again; not at once where it did so lately.
    pub fn restart(&mut self, at: usize, now: Ts) {
        let Some(sub) = self.book_of(at) else { return };
        if sub.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            sub.restarts = 0;
        }
        sub.due = Some(sub.not_before.max(now));
        self.pending = true;
    }

    /// A snapshot came: nothing is due any more.
    pub fn healed(&mut self, at: usize, now: Ts) {
        if let Some(sub) = self.book_of(at) {
            (sub.due, sub.tries) = (None, 0);
            sub.healed = sub.healed.or(Some(now));
        }
    }

    fn arm(&mut self, out: &mut Vec<Action>) {
        let Some(next) = self.subs.iter().filter_map(|s| s.due).min() else { return };
        if self.armed.is_none_or(|armed| next < armed) {
            self.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }
}

fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

/// What is said when a lane is asked for. The books of Exchange carry nothing that could show a loss.
fn asked(feed: Feed, channel: Channel) -> Option<LaneFact> {
    let spec = SPEC.channel(channel)?;
    let unproven = feed == Feed::Exchange && channel == Channel::Book;
    let proof = if unproven { Proof::None } else { spec.proof };
    Some(LaneFact::Asked { proof, quiet_ms: spec.quiet_ms })
}

impl CoinbaseSession {
    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let due = |sub: &Sub| sub.due.is_some_and(|at| at <= now);
        let which: Vec<usize> =
            self.lanes.subs.iter().enumerate().filter(|(_, sub)| due(sub)).map(|(i, _)| i).collect();
        if !which.is_empty() {
            self.ask(&which, now, out);
        }
        self.lanes.arm(out);
    }

    /// Sends subscriptions; those that the venue holds already are ended first.
    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let feed = self.lanes.feed;
        let topics = |again: bool| -> Vec<Topic> {
            let subs = which.iter().filter_map(|i| self.lanes.subs.get(*i));
            subs.filter(|s| s.known || !again).map(|s| s.topic.clone()).collect()
        };
        let (ended, begun) = (topics(true), topics(false));
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            sub.tries += 1;
            sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
            if sub.known {
                sub.restarts += 1;
                sub.not_before = now.plus_ms(pause(RETRY_MS, sub.restarts));
            }
            let told = sub.known || (sub.standing == Standing::Asked && sub.tries > 1);
            (sub.standing, sub.healed) = (Standing::Asked, None);
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.gap(GapCause::VenueReset, now, out);
                }
                if let (false, Some(fact)) = (told, asked(feed, *channel)) {
                    listed.fact(*channel, fact, now, out);
                }
            }
        }
        out.extend(frames(feed, "unsubscribe", ended.iter()).into_iter().map(Action::Send));
        out.extend(frames(feed, "subscribe", begun.iter()).into_iter().map(Action::Send));
    }

    /// The venue lists what it holds.
    pub(super) fn acked(&mut self, held: &Held, now: Ts, out: &mut Vec<Action>) {
        for sub in self.lanes.subs.iter_mut().filter(|s| held.has(&s.topic)) {
            let news = sub.standing == Standing::Asked && !sub.known;
            (sub.standing, sub.known) = (Standing::Acked, true);
            if !sub.topic.is_book() {
                (sub.due, sub.tries) = (None, 0);
            }
            if !news {
                continue;
            }
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                listed.fact(*channel, LaneFact::Acked, now, out);
                if *channel == Channel::Book && !listed.live {
                    listed.told = true;
                    let words = "waiting for a snapshot".into();
                    listed.fact(*channel, LaneFact::Syncing(words), now, out);
                }
            }
        }
    }

    /// An error names a product in its words, or it may be about all that is not answered. A request is refused whole:
    /// what was asked along with a bad product is asked again.
    pub(super) fn refused(&mut self, refusal: &Refusal<'_>, now: Ts, out: &mut Vec<Action>) {
        let words = refusal.words();
        let open = |s: &Sub| s.standing == Standing::Asked && s.due.is_some();
        let named = self.lanes.subs.iter().any(|s| open(s) && refusal.names(&s.topic));
        for sub in self.lanes.subs.iter_mut().filter(|s| open(s)) {
            if named && !refusal.names(&sub.topic) {
                let soon = now.plus_ms(ALONG_MS);
                sub.due = sub.due.map(|due| if sub.known { due } else { due.min(soon) });
                continue;
            }
            (sub.standing, sub.known) = (Standing::Refused, false);
            sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.gap(GapCause::VenueReset, now, out);
                }
                listed.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
            }
        }
        self.lanes.pending = true;
    }

    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        self.wanting = true;
        for want in wants {
            let Some((at, i)) = self.lanes.add(want, &mut self.table) else { continue };
            let Some(sub) = self.lanes.subs.get(i) else { continue };
            // A new topic is asked for with the chores; one that is carried already feeds this lane too.
            let shared = sub.lanes.len() > 1 || sub.tries > 0;
            if let (true, true, Some(listed)) = (self.open, shared, self.table.get(at)) {
                listed_facts(listed, self.lanes.feed, want.channel, sub.standing, now, out);
            }
        }
        if self.open {
            let fresh = |s: &&mut Sub| s.tries == 0 && s.due.is_none() && s.standing == Standing::Asked;
            for sub in self.lanes.subs.iter_mut().filter(fresh) {
                sub.due = Some(now);
            }
            self.lanes.pending = true;
        }
    }

    /// These are wanted no longer. A topic ends with the last lane that it feeds.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        let feed = self.lanes.feed;
        for want in wants {
            let Some(at) = self.table.known(feed, want.instrument.symbol.as_bytes()) else { continue };
            let Some(listed) = self.table.get_mut(at) else { continue };
            let lane = (at, want.channel);
            if Feed::of(&want.instrument) != feed || !listed.want(want.channel, false) {
                continue;
            }
            match want.channel {
                Channel::Book => (listed.live, listed.told) = (false, false),
                Channel::Trades => listed.last_trade = None,
                Channel::Bars => listed.bar = None,
                _ => {}
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
            for sub in &mut self.lanes.subs {
                sub.lanes.retain(|l| *l != lane);
            }
        }
        let alive = |topic: &Topic| topic.channel.starts_with("heartbeat");
        let in_use = |product: &str| {
            let fed = |at: &usize| self.table.get(*at).is_some_and(|l| *l.instrument.symbol == *product);
            self.lanes.subs.iter().any(|s| s.lanes.iter().any(|(at, _)| fed(at)))
        };
        let idle: Vec<bool> = self
            .lanes
            .subs
            .iter()
            .map(|s| {
                if !alive(&s.topic) {
                    return s.lanes.is_empty();
                }
                // The one of Advanced Trade names no product and stays with the connection.
                !s.topic.product.is_empty() && !in_use(&s.topic.product)
            })
            .collect();
        let mut ended = Vec::new();
        let mut idle = idle.into_iter();
        self.lanes.subs.retain(|sub| {
            let over = idle.next().unwrap_or(false);
            // One that was never sent need not be ended.
            if over && (sub.known || sub.tries > 0) {
                ended.push(sub.topic.clone());
            }
            !over
        });
        if self.open {
            out.extend(frames(feed, "unsubscribe", ended.iter()).into_iter().map(Action::Send));
        }
    }
}

/// What a lane is told that joins a subscription which stands already.
fn listed_facts(
    listed: &super::table::Listed,
    feed: Feed,
    channel: Channel,
    standing: Standing,
    now: Ts,
    out: &mut Vec<Action>,
) {
    if let Some(fact) = asked(feed, channel) {
        listed.fact(channel, fact, now, out);
    }
    if standing == Standing::Acked {
        listed.fact(channel, LaneFact::Acked, now, out);
    }
}
