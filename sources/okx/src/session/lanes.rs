//! Subscriptions of a session: asked, acknowledged, refused, asked again.

use super::table::Table;
use super::{OkxSession, TIMER_CHORES};
use crate::subscribe::{Control, Key, Topic, frames, topic};
use model::{Channel, GapCause, LaneFact, Ts};
use source::{Action, Fault, Shard};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal; it doubles each time.
const REFUSED_MS: u64 = 30_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 5;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;
/// How long nothing is sent after the venue found requests too frequent.
const TOO_FREQUENT_MS: u64 = 60_000;
/// How long a start by REST may take before the subscription is made anew.
const SEEDING_MS: u64 = 120_000;
/// How many requests an hour we make; the venue takes 480.
const REQUESTS_MAX: u32 = 440;
const HOUR_MS: i64 = 3_600_000;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Asked,
    Acked,
    Refused,
}

/// One argument and the lanes that it feeds.
struct Sub {
    topic: Topic,
    lanes: Vec<(usize, Channel)>,
    standing: Standing,
    /// Acknowledged on this connection, so that it must be ended before it is asked for again.
    known: bool,
    /// The request that carried it last.
    request: u64,
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

/// All subscriptions of a session.
pub(super) struct Lanes {
    subs: Vec<Sub>,
    /// Arguments that are to be ended, and when.
    over: Vec<Topic>,
    over_due: Option<Ts>,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    requests: u64,
    hour: (Ts, u32),
    hold_until: Ts,
}

impl Lanes {
    pub fn new(shard: &Shard, table: &mut Table) -> Self {
        let zero = Ts(i64::MIN);
        let mut lanes = Self {
            subs: Vec::new(),
            over: Vec::new(),
            over_due: None,
            pending: false,
            armed: None,
            requests: 0,
            hour: (zero, 0),
            hold_until: zero,
        };
        for want in &shard.wants {
            let at = table.put(want.instrument.clone());
            table.want(at, want.channel);
            if let Some(topic) = topic(want, &shard.options) {
                lanes.add(topic, (at, want.channel), None);
            }
        }
        lanes
    }

    /// Adds a lane, to be asked for at `due`. Where its argument is asked for already: whether it is acknowledged.
    pub fn add(&mut self, topic: Topic, lane: (usize, Channel), due: Option<Ts>) -> Option<bool> {
        if let Some(sub) = self.subs.iter_mut().find(|s| s.topic == topic) {
            sub.lanes.push(lane);
            return (sub.request > 0).then_some(sub.standing == Standing::Acked);
        }
        self.pending |= due.is_some();
        self.subs.push(Sub {
            topic,
            lanes: vec![lane],
            standing: Standing::Asked,
            known: false,
            request: 0,
            due,
            not_before: Ts(i64::MIN),
            tries: 0,
            restarts: 0,
            healed: None,
        });
        None
    }

    /// Takes a lane out; its argument is ended with the last.
    pub fn remove(&mut self, lane: (usize, Channel), now: Ts) {
        let Some(at) = self.subs.iter().position(|s| s.lanes.contains(&lane)) else { return };
        let Some(sub) = self.subs.get_mut(at) else { return };
        sub.lanes.retain(|l| *l != lane);
        if sub.lanes.is_empty() {
            let sub = self.subs.swap_remove(at);
            if sub.request > 0 && sub.standing != Standing::Refused {
                self.over.push(sub.topic);
                self.over_due = Some(now);
                self.pending = true;
            }
        }
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        for sub in &mut self.subs {
            (sub.standing, sub.known, sub.due, sub.request) = (Standing::Asked, false, None, 0);
            (sub.not_before, sub.tries, sub.restarts, sub.healed) = (Ts(i64::MIN), 0, 0, None);
        }
        self.over.clear();
        self.over_due = None;
        self.pending = false;
        self.armed = None;
        self.hour = (Ts(i64::MIN), 0);
        self.hold_until = Ts(i64::MIN);
    }

    /// The timer came.
    pub fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }

    /// The instruments whose lanes an index feeds.
    pub fn over(&self, index: &[u8]) -> Vec<usize> {
        let feeds = |s: &&Sub| {
            s.topic.channel == "index-tickers"
                && matches!(&s.topic.key, Key::Inst(inst) if inst.as_bytes() == index)
        };
        self.subs.iter().filter(feeds).flat_map(|s| s.lanes.iter().map(|(at, _)| *at)).collect()
    }

    fn book_of(&mut self, at: usize) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.lanes.contains(&(at, Channel::Book)))
    }

    /// Counts requests; says until when none may be sent where the hour is used up.
    fn spend(&mut self, requests: u32, now: Ts) -> Result<(), Ts> {
        if now.ms_since(self.hour.0) >= HOUR_MS || self.hour.0 == Ts(i64::MIN) {
            self.hour = (now, 0);
        }
        if now < self.hold_until {
            return Err(self.hold_until);
        }
        if self.hour.1 + requests > REQUESTS_MAX {
            return Err(self.hour.0.plus_ms(HOUR_MS as u64));
        }
        self.hour.1 += requests;
        Ok(())
    }
}

fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

impl OkxSession {
    /// Asks for everything that the shard wants.
    pub(super) fn subscribe_all(&mut self, now: Ts) {
        self.lanes.reset();
        for sub in &mut self.lanes.subs {
            sub.due = Some(now);
        }
        self.lanes.pending = true;
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let due: Vec<usize> = (0..self.lanes.subs.len())
            .filter(|i| self.lanes.subs.get(*i).and_then(|s| s.due).is_some_and(|at| at <= now))
            .collect();
        let over = self.lanes.over_due.is_some_and(|at| at <= now);
        if !due.is_empty() || over {
            match self.lanes.spend(2 + u32::from(over), now) {
                Ok(()) => {
                    self.end(out);
                    self.ask(&due, now, out);
                }
                Err(later) => {
                    self.lanes.over_due = self.lanes.over_due.map(|_| later);
                    for i in due {
                        if let Some(sub) = self.lanes.subs.get_mut(i) {
                            sub.due = Some(later);
                        }
                    }
                }
            }
        }
        let fetches: Vec<usize> = (0..self.table.len())
            .filter(|at| self.table.get(*at).and_then(|l| l.book.fetch_at).is_some_and(|at| at <= now))
            .collect();
        for at in fetches {
            self.fetch(at, out);
        }
        self.arm(out);
    }

    fn arm(&mut self, out: &mut Vec<Action>) {
        let subs = self.lanes.subs.iter().filter_map(|s| s.due);
        let fetches = (0..self.table.len()).filter_map(|at| self.table.get(at)?.book.fetch_at);
        let Some(next) = subs.chain(fetches).chain(self.lanes.over_due).min() else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Ends what nobody wants any longer.
    fn end(&mut self, out: &mut Vec<Action>) {
        self.lanes.over_due = None;
        let over = std::mem::take(&mut self.lanes.over);
        if !over.is_empty() {
            self.lanes.requests += 1;
            let request = self.lanes.requests;
            out.extend(frames("unsubscribe", request, over.iter()).into_iter().map(Action::Send));
        }
    }

    /// Sends subscriptions; those that the venue holds already are ended first.
    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        if which.is_empty() {
            return;
        }
        self.lanes.requests += 1;
        let request = self.lanes.requests;
        let topics = |lanes: &Lanes, again: bool| -> Vec<Topic> {
            let subs = which.iter().filter_map(|i| lanes.subs.get(*i));
            subs.filter(|s| s.known || !again).map(|s| s.topic.clone()).collect()
        };
        let ended = topics(&self.lanes, true);
        let begun = topics(&self.lanes, false);
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            sub.tries += 1;
            sub.request = request;
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
                    listed.book.asked();
                }
                if let (false, Some(spec)) = (told, crate::SPEC.channel(*channel)) {
                    let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                    listed.fact(*channel, fact, now, out);
                }
            }
        }
        out.extend(frames("unsubscribe", request, ended.iter()).into_iter().map(Action::Send));
        out.extend(frames("subscribe", request, begun.iter()).into_iter().map(Action::Send));
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

    /// A snapshot is being asked for by REST: the subscription itself has time.
    pub(super) fn patient(&mut self, at: usize, now: Ts) {
        if let Some(sub) = self.lanes.book_of(at) {
            sub.due = Some(now.plus_ms(SEEDING_MS));
            self.lanes.pending = true;
        }
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

    /// A frame with an `event`.
    pub(super) fn control(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        match &*control.event {
            "subscribe" => {
                out.push(Action::Control("subscribe"));
                self.acked(control, now, out);
            }
            "unsubscribe" => out.push(Action::Control("unsubscribe")),
            "error" => {
                out.push(Action::Control("error"));
                self.refused(control, now, out);
            }
            "notice" => {
                out.push(Action::Control("notice"));
                if control.code() == "64008" && self.wanting {
                    out.push(Action::Close { fault: Fault::Planned, why: control.msg.clone().into_owned() });
                }
            }
            "channel-conn-count" => out.push(Action::Control("channel-conn-count")),
            other => self.notes.unknown(b"event", other.as_bytes(), out),
        }
    }

    fn acked(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.iter_mut().find(|s| control.names(&s.topic)) else { return };
        let news = !sub.known;
        sub.known = true;
        // The answer to an earlier request says nothing about the last one.
        let id = control.id.as_deref().and_then(|id| id.parse::<u64>().ok());
        if id.is_none_or(|id| id == sub.request) {
            sub.standing = Standing::Acked;
        }
        if !sub.topic.is_book() {
            (sub.due, sub.tries) = (None, 0);
        }
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if news {
                listed.acked(*channel, now, out);
            }
            let waits = *channel == Channel::Book && listed.book.chain.acked();
            if waits && news {
                listed.fact(*channel, LaneFact::Syncing("waiting for a snapshot".into()), now, out);
            }
        }
    }

    /// An error names a lane by its words, or all that are open in its request.
    fn refused(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let code = control.code();
        if code == "60014" {
            self.lanes.hold_until = now.plus_ms(TOO_FREQUENT_MS);
        }
        let asked = |s: &Sub| s.standing == Standing::Asked;
        let mut which: Vec<usize> = Vec::new();
        let by = |test: &dyn Fn(&Sub) -> bool| -> Vec<usize> {
            self.lanes.subs.iter().enumerate().filter(|(_, s)| asked(s) && test(s)).map(|(i, _)| i).collect()
        };
        which.extend(by(&|s| control.names(&s.topic)));
        if which.is_empty() {
            let id = control.id.as_deref().and_then(|id| id.parse::<u64>().ok());
            which = by(&|s| id == Some(s.request));
        }
        let words = format!("{code}: {}", control.msg);
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(i) else { continue };
            (sub.standing, sub.known) = (Standing::Refused, false);
            sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.gap(GapCause::VenueReset, None, now, out);
                    listed.book.reset();
                }
                listed.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
            }
        }
        self.lanes.pending = true;
    }
}
