//! Subscriptions: what was asked for, what the venue said, and when to ask again.

use super::books::State;
use super::{GateSession, TIMER_CHORES, section_of};
use crate::parse::{Head, Kind};
use crate::subscribe::{Topic, batches, frame, topic};
use model::{Channel, GapCause, LaneFact, Ts};
use source::{Action, Cursor, Fault, Want};

/// How long an acknowledgement may take; doubled with each try.
const RETRY_MS: u64 = 10_000;
/// How long after a refusal it is asked for again; doubled with each try.
const REFUSED_MS: u64 = 30_000;
/// How often a pause is doubled at most.
const DOUBLINGS_MAX: u32 = 5;

/// How the venue stands to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not asked for on this connection.
    New,
    Asked,
    Acked,
    Refused,
}

/// A subscription and the lanes that it feeds.
struct Sub {
    topic: Topic,
    lanes: Vec<(usize, Channel)>,
    standing: Standing,
    /// The request that named it last.
    request: u64,
    tries: u32,
    due: Option<Ts>,
    /// It was refused together with others: the next request names it alone.
    alone: bool,
}

/// All subscriptions of a session.
#[derive(Default)]
pub(super) struct Lanes {
    subs: Vec<Sub>,
    /// Something may be due.
    pub pending: bool,
    /// The wake-up that was asked for.
    armed: Option<Ts>,
    requests: u64,
}

impl Lanes {
    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        for sub in &mut self.subs {
            (sub.standing, sub.due, sub.tries, sub.alone) = (Standing::New, None, 0, false);
        }
        (self.pending, self.armed) = (false, None);
    }

    /// The connection is open: everything is due.
    pub fn begin(&mut self, now: Ts) {
        self.reset();
        for sub in &mut self.subs {
            sub.due = Some(now);
        }
        self.pending = true;
    }

    /// The timer came.
    pub const fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }
}

const fn pause(first_ms: u64, tries: u32) -> u64 {
    let doublings = tries.saturating_sub(1);
    first_ms << if doublings < DOUBLINGS_MAX { doublings } else { DOUBLINGS_MAX }
}

impl GateSession {
    /// Takes a want among those carried; the place of its subscription, and of its instrument, where it is new.
    pub(super) fn carry(&mut self, want: &Want) -> Option<(usize, usize)> {
        let topic = topic(want, &self.options)?;
        let at = self.table.put(std::sync::Arc::clone(&want.instrument))?;
        let listed = self.table.get_mut(at)?;
        self.section = self.section.or_else(|| section_of(&want.instrument));
        if listed.wants.contains(&want.channel) {
            return None;
        }
        listed.wants.push(want.channel);
        let lane = (at, want.channel);
        if let Some(place) = self.lanes.subs.iter().position(|s| s.topic == topic) {
            let sub = self.lanes.subs.get_mut(place)?;
            sub.lanes.push(lane);
            return Some((place, at));
        }
        let (standing, lanes) = (Standing::New, vec![lane]);
        let sub = Sub { topic, lanes, standing, request: 0, tries: 0, due: None, alone: false };
        self.lanes.subs.push(sub);
        Some((self.lanes.subs.len() - 1, at))
    }

    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        if !self.wanting {
            (self.wanting, self.table.growing) = (true, false);
            if self.open {
                let at = now.plus_ms(super::QUIET_MS);
                out.push(Action::WakeAt { timer: super::TIMER_SILENCE, at });
            }
        }
        for want in wants {
            let Some((place, at)) = self.carry(want) else { continue };
            let Some(sub) = self.lanes.subs.get_mut(place).filter(|_| self.open) else { continue };
            if sub.standing == Standing::New {
                sub.due = Some(now);
                self.lanes.pending = true;
                continue;
            }
            // The venue sends it already for another lane.
            let acked = sub.standing == Standing::Acked;
            self.tell_asked(at, want.channel, now, out);
            if let (true, Some(listed)) = (acked, self.table.get(at)) {
                listed.fact(want.channel, LaneFact::Acked, now, out);
            }
        }
    }

    /// These are wanted no longer.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            let lane = (at, want.channel);
            let Some(place) = self.lanes.subs.iter().position(|s| s.lanes.contains(&lane)) else { continue };
            if let Some(listed) = self.table.get_mut(at) {
                listed.wants.retain(|channel| *channel != want.channel);
                if want.channel == Channel::Book {
                    listed.book.reset();
                }
                listed.fact(want.channel, LaneFact::Dropped, now, out);
            }
            let Some(sub) = self.lanes.subs.get_mut(place) else { continue };
            sub.lanes.retain(|l| *l != lane);
            if !sub.lanes.is_empty() {
                continue;
            }
            let sub = self.lanes.subs.remove(place);
            if self.open && matches!(sub.standing, Standing::Asked | Standing::Acked) {
                self.lanes.requests += 1;
                let bytes = frame("unsubscribe", self.lanes.requests, &[&sub.topic], now);
                out.push(Action::Send(bytes));
            }
        }
    }

    fn tell_asked(&self, at: usize, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let (Some(listed), Some(spec)) = (self.table.get(at), crate::SPEC.channel(channel)) else { return };
        let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
        listed.fact(channel, fact, now, out);
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        self.ask_due(now, out);
        self.fetch_due(now, out);
        self.lanes.pending = false;
        let subs = self.lanes.subs.iter().filter_map(|s| s.due).min();
        let Some(next) = [subs, self.next_fetch()].into_iter().flatten().min() else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed || armed <= now) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Sends the subscriptions that are due; one that may be known to the venue is ended first.
    fn ask_due(&mut self, now: Ts, out: &mut Vec<Action>) {
        let due = |s: &Sub| s.due.is_some_and(|at| at <= now);
        let all = || self.lanes.subs.iter().enumerate().filter(|(_, s)| due(s));
        let again: Vec<usize> =
            all().filter(|(_, s)| s.standing == Standing::Asked).map(|(at, _)| at).collect();
        let together: Vec<(usize, &Topic)> =
            all().filter(|(_, s)| !s.alone).map(|(at, s)| (at, &s.topic)).collect();
        let mut groups = batches(&together);
        groups.extend(all().filter(|(_, s)| s.alone).map(|(at, _)| vec![at]));
        for at in again {
            self.lanes.requests += 1;
            if let Some(sub) = self.lanes.subs.get(at) {
                out.push(Action::Send(frame("unsubscribe", self.lanes.requests, &[&sub.topic], now)));
            }
        }
        for group in groups {
            self.lanes.requests += 1;
            let request = self.lanes.requests;
            let mut asked = Vec::new();
            for at in &group {
                let Some(sub) = self.lanes.subs.get_mut(*at) else { continue };
                if sub.standing == Standing::New && sub.tries == 0 {
                    asked.extend(sub.lanes.iter().copied());
                }
                sub.tries += 1;
                (sub.standing, sub.request) = (Standing::Asked, request);
                sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
            }
            for (at, channel) in asked {
                self.tell_asked(at, channel, now, out);
            }
            let topics: Vec<&Topic> =
                group.iter().filter_map(|at| self.lanes.subs.get(*at)).map(|s| &s.topic).collect();
            out.push(Action::Send(frame("subscribe", request, &topics, now)));
        }
    }

    /// A frame that carries no data.
    pub(super) fn control(&mut self, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) {
        if matches!(head.kind, Some((_, Kind::Pong))) {
            return out.push(Action::Control("pong"));
        }
        match head.event {
            b"subscribe" => {
                out.push(Action::Control("subscribe"));
                let which = self.named(head);
                if head.error.is_empty() {
                    self.acked(&which, now, out);
                } else {
                    self.refused(&which, head, now, out);
                }
            }
            b"unsubscribe" => out.push(Action::Control("unsubscribe")),
            b"" if head.notice == b"upgrade" => {
                out.push(Action::Control("upgrade"));
                if self.wanting {
                    let why = String::from_utf8_lossy(head.words).into_owned();
                    out.push(Action::Close { fault: Fault::Planned, why });
                }
            }
            b"" if !head.error.is_empty() => out.push(Action::Control("error")),
            b"" if head.notice.is_empty() && head.kind.is_none() => {
                self.notes.unknown(b"frame", b"without channel", out);
            }
            other => {
                let (place, word): (&[u8], &[u8]) =
                    if other.is_empty() { (b"type", head.notice) } else { (b"event", other) };
                self.notes.unknown(place, word, out);
            }
        }
    }

    /// The subscriptions that an answer is about: by request, else by what it repeats of it.
    fn named(&self, head: &Head<'_>) -> Vec<usize> {
        let places = |test: &dyn Fn(&Sub) -> bool| -> Vec<usize> {
            let open = |s: &Sub| s.standing == Standing::Asked && test(s);
            self.lanes.subs.iter().enumerate().filter(|(_, s)| open(s)).map(|(at, _)| at).collect()
        };
        if let Some(id) = head.id {
            return places(&|s| s.request == id);
        }
        let channel = |s: &Sub| s.topic.channel.as_bytes() == head.channel;
        if head.payload.is_empty() {
            return places(&channel);
        }
        let mut words: Vec<&[u8]> = Vec::new();
        let mut c = Cursor::new(head.payload);
        let read = c.array(|c| {
            words.push(c.str()?);
            Ok(())
        });
        let whole = |s: &Sub| s.topic.payload.iter().map(String::as_bytes).eq(words.iter().copied());
        let one_of = |s: &Sub| match s.topic.payload.as_slice() {
            [name] => words.contains(&name.as_bytes()),
            _ => false,
        };
        places(&|s| read.is_ok() && channel(s) && (whole(s) || one_of(s)))
    }

    fn acked(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let mut begun = Vec::new();
        for place in which {
            let Some(sub) = self.lanes.subs.get_mut(*place) else { continue };
            (sub.standing, sub.due, sub.tries, sub.alone) = (Standing::Acked, None, 0, false);
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get(*at) else { continue };
                listed.fact(*channel, LaneFact::Acked, now, out);
                if *channel == Channel::Book && matches!(listed.book.state, State::Idle) {
                    begun.push(*at);
                }
            }
        }
        for at in begun {
            self.start_over(at, "waits for a snapshot", now, out);
        }
    }

    fn refused(&mut self, which: &[usize], head: &Head<'_>, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = true;
        let words = String::from_utf8_lossy(head.error.get(..200).unwrap_or(head.error)).into_owned();
        for place in which {
            let Some(sub) = self.lanes.subs.get_mut(*place) else { continue };
            if which.len() > 1 {
                // One of them is wrong: each is asked for by itself.
                (sub.standing, sub.alone, sub.due) = (Standing::Refused, true, Some(now));
                continue;
            }
            sub.standing = Standing::Refused;
            sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    if let Some(seq) = listed.book.seq() {
                        listed.gap(GapCause::VenueReset, seq, None, now, out);
                    }
                    listed.book.reset();
                }
                listed.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
            }
        }
    }
}
