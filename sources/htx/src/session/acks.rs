//! What the venue answers to subscriptions and requests.

use super::HtxSession;
use super::lanes::{REFUSED_MS, SNAPSHOT_MS, Standing, pause};
use crate::parse::Head;
use crate::subscribe::asked;
use crate::topic::Kind;
use model::{Channel, GapCause, LaneFact, Ts};
use source::Action;

/// How long after the acknowledgement a book is asked for, so that changes have begun to come.
const SETTLE_MS: u64 = 250;

impl HtxSession {
    /// A frame that acknowledges or refuses.
    pub(super) fn control(&mut self, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) {
        let failed = head.status.is_some_and(|s| s != b"ok") || head.code.is_some_and(|c| c != b"0");
        let ours = head.id.and_then(asked);
        match (head.acked, head.op, ours) {
            _ if failed => {
                out.push(Action::Control("error"));
                match ours {
                    Some((b's', n)) => self.refused(n, head, now, out),
                    Some((b'r', n)) => {
                        if let Some(at) = self.lanes.subs.get(n).map(|s| s.at) {
                            self.denied(at, now);
                        }
                    }
                    _ => {}
                }
            }
            (Some((true, topic)), ..) => {
                out.push(Action::Control("subscribe"));
                if let Some(n) = self.lanes.find(topic) {
                    self.acked(n, now, out);
                }
            }
            (_, Some(b"sub"), _) => {
                out.push(Action::Control("subscribe"));
                if let Some(n) = self.lanes.find(head.topic.unwrap_or_default()) {
                    self.acked(n, now, out);
                }
            }
            _ => out.push(Action::Control("unsubscribe")),
        }
    }

    pub(super) fn acked(&mut self, n: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(n).filter(|s| s.known && !s.lanes.is_empty()) else { return };
        if sub.standing != Standing::Asked {
            return;
        }
        sub.standing = Standing::Acked;
        if sub.heard {
            (sub.due, sub.tries) = (None, 0);
        } else {
            let first_ms = if sub.topic.kind == Kind::HighFreq { SNAPSHOT_MS } else { REFUSED_MS };
            sub.due = Some(now.plus_ms(pause(first_ms, sub.tries)));
        }
        let again = std::mem::replace(&mut sub.told, true);
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if !again {
                listed.fact(*channel, LaneFact::Acked, now, out);
            }
            if *channel != Channel::Book || listed.book.chain.live() {
                continue;
            }
            if !again {
                listed.fact(*channel, LaneFact::Syncing("waiting for a snapshot".into()), now, out);
            }
            if sub.topic.kind == Kind::Mbp {
                listed.book.request_at = Some(now.plus_ms(SETTLE_MS));
            }
        }
        self.lanes.pending = true;
    }

    fn refused(&mut self, n: usize, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(n).filter(|s| s.known && s.standing == Standing::Asked)
        else {
            return;
        };
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let words = format!("{}: {}", text(head.code), text(head.words));
        (sub.standing, sub.known, sub.heard, sub.told) = (Standing::Refused, false, true, false);
        sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if *channel == Channel::Book {
                listed.gap(GapCause::VenueReset, now, out);
                listed.book.reset();
            }
            listed.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
        }
        self.lanes.pending = true;
    }
}
