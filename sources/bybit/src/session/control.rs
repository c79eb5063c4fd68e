//! What the venue answers to requests.

use super::BybitSession;
use super::lanes::{Lanes, REFUSED_MS, Standing, Sub, pause};
use crate::subscribe::Control;
use model::{Channel, GapCause, LaneFact, Ts};
use source::Action;

impl BybitSession {
    /// A frame that is no data.
    pub(super) fn control(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(name) = control.name() else {
            out.push(Action::Control("an answer that nobody waits for"));
            let word = if control.op.is_empty() { &control.ret_msg } else { &control.op };
            self.notes.unknown(b"op", word.as_bytes(), out);
            return;
        };
        out.push(Action::Control(name));
        if name == "command" {
            let topics = control.data.as_ref();
            let (done, failed) = topics.map_or((&[][..], &[][..]), |t| (&t.success_topics, &t.fail_topics));
            let places = |lanes: &Lanes, all: &[Box<str>]| -> Vec<usize> {
                let asked = |s: &Sub| s.standing == Standing::Asked && all.contains(&s.topic);
                lanes.subs.iter().enumerate().filter(|(_, s)| asked(s)).map(|(i, _)| i).collect()
            };
            let (done, failed) = (places(&self.lanes, done), places(&self.lanes, failed));
            self.acked(&done, now, out);
            self.refused(&failed, "the topic failed", now, out);
        } else if name == "subscribe" {
            let which = self.asked_in(control);
            if control.success == Some(true) {
                self.acked(&which, now, out);
            } else if control.success == Some(false) {
                self.failed(&which, control, now, out);
            }
        }
    }

    /// The subscriptions of the request that is answered; without its number those of the oldest one.
    fn asked_in(&self, control: &Control<'_>) -> Vec<usize> {
        let asked = || self.lanes.subs.iter().enumerate().filter(|(_, s)| s.standing == Standing::Asked);
        let request = control.request().or_else(|| asked().map(|(_, s)| s.request).min());
        asked().filter(|(_, s)| Some(s.request) == request).map(|(i, _)| i).collect()
    }

    /// One bad topic fails its request: it is refused, the others are asked for again without it.
    fn failed(&mut self, which: &[usize], control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let is_named = |i: &&usize| self.lanes.subs.get(**i).is_some_and(|s| control.names(&s.topic));
        let mut named: Vec<usize> = which.iter().filter(is_named).copied().collect();
        if let (true, [one]) = (named.is_empty(), which) {
            named.push(*one);
        }
        let alone = named.is_empty();
        for i in which.iter().filter(|i| !named.contains(i)) {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            (sub.due, sub.alone, sub.sent) = (Some(now), sub.alone || alone, false);
            sub.tries = sub.tries.saturating_sub(1);
        }
        self.lanes.pending = true;
        if control.is_double() {
            self.acked(&named, now, out);
        } else {
            self.refused(&named, &control.ret_msg, now, out);
        }
    }

    fn acked(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            let news = !std::mem::replace(&mut sub.known, true);
            sub.standing = Standing::Acked;
            if !sub.is_book() {
                (sub.due, sub.tries) = (None, 0);
                self.lanes.pending = true;
            }
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at).filter(|_| news) else { continue };
                listed.fact(*channel, LaneFact::Acked, now, out);
                if *channel == Channel::Book && !listed.chain.live() {
                    let words = "waiting for a whole book".into();
                    listed.fact(*channel, LaneFact::Syncing(words), now, out);
                }
            }
        }
    }

    fn refused(&mut self, which: &[usize], words: &str, now: Ts, out: &mut Vec<Action>) {
        for i in which {
            let Some(sub) = self.lanes.subs.get_mut(*i) else { continue };
            (sub.standing, sub.known) = (Standing::Refused, false);
            (sub.told, sub.sent) = (false, false);
            sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.gap(GapCause::VenueReset, now, out);
                }
                listed.fact(*channel, LaneFact::Refused(words.into()), now, out);
            }
        }
        self.lanes.pending = true;
    }
}
