//! What is wanted while the connection goes on: lanes that begin and lanes that end.

use super::OkxSession;
use super::table::Listed;
use crate::subscribe::topic;
use model::{LaneFact, Ts};
use source::{Action, Want};

impl OkxSession {
    /// These are wanted too.
    pub(super) fn wanted_too(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let known = self.table.by_id(want.instrument.id);
            let used = known.filter(|at| self.table.get(*at).is_some_and(Listed::is_wanted));
            if used.and_then(|at| self.table.get(at)).is_some_and(|l| l.wants(want.channel)) {
                continue;
            }
            let Some(topic) = topic(want, &self.options) else { continue };
            // A definition in use may have been widened since the catalogue was read.
            let at = used.unwrap_or_else(|| self.table.put(want.instrument.clone()));
            self.table.want(at, want.channel);
            self.wanting = true;
            let standing = self.lanes.add(topic, (at, want.channel), self.open.then_some(now));
            let (Some(listed), Some(spec)) = (self.table.get_mut(at), crate::SPEC.channel(want.channel))
            else {
                continue;
            };
            if let (true, Some(acked)) = (self.open, standing) {
                let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                listed.fact(want.channel, fact, now, out);
                if acked {
                    listed.acked(want.channel, now, out);
                }
            }
        }
    }

    /// These are wanted no longer.
    pub(super) fn wanted_no_longer(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(want.channel)) else { continue };
            listed.unwant(want.channel);
            listed.fact(want.channel, LaneFact::Dropped, now, out);
            self.lanes.remove((at, want.channel), now);
        }
    }
}
