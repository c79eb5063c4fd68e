//! Wants that come and go while the connection is open.

use super::DeribitSession;
use model::{Channel, LaneFact, Ts};
use source::{Action, Want};

impl DeribitSession {
    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let places = self.lanes.add(want, &mut self.table);
            if let (Channel::Status, Some(at)) = (want.channel, self.place_of(want)) {
                // The next ticker tells the state anew.
                if let Some(listed) = self.table.get_mut(at) {
                    listed.status = None;
                }
            }
            if !self.open {
                continue;
            }
            for (n, place) in places.into_iter().enumerate() {
                let Some(sub) = self.lanes.subs.get_mut(place) else { continue };
                if sub.known && n == 0 {
                    let told = sub.told;
                    self.welcome(want, told, now, out);
                } else if !sub.known && self.login.settled() {
                    sub.due = Some(sub.due.map_or(now, |at| at.min(now)));
                    self.lanes.pending = true;
                }
            }
        }
    }

    /// A want joins a channel of the venue that is asked for already, and perhaps answered.
    fn welcome(&self, want: &Want, answered: bool, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.place_of(want).and_then(|at| self.table.get(at)) else { return };
        if let Some(spec) = crate::SPEC.channel(want.channel) {
            let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
            listed.fact(want.channel, fact, now, out);
        }
        if answered {
            listed.fact(want.channel, LaneFact::Acked, now, out);
        }
    }

    fn place_of(&self, want: &Want) -> Option<usize> {
        self.table.known(want.instrument.symbol.as_bytes())
    }

    /// These are wanted no longer. A channel of the venue ends with the last lane that it feeds.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let Some(at) = self.place_of(want) else { continue };
            let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(want.channel)) else { continue };
            match want.channel {
                Channel::Book => listed.book.reset(),
                Channel::Bars => listed.bar = None,
                Channel::Status => listed.status = None,
                _ => {}
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
            self.table.want(at, want.channel, false);
            for sub in &mut self.lanes.subs {
                sub.lanes.retain(|l| (l.at, l.channel) != (at, want.channel));
            }
        }
        let paces = self.lanes.paces;
        let gone = self.lanes.subs.extract_if(.., |s| s.lanes.is_empty());
        let ended: Vec<String> = gone.filter(|s| s.known).map(|s| s.topic.name(&paces)).collect();
        if self.open {
            self.send("public/unsubscribe", &ended, out);
        }
    }
}
