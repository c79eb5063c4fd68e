//! Carries out what a session asks for.

use super::super::common::Common;
use super::super::port::{Io, OUTBOX_MAX, Out};
use super::{Half, Halt, State};
use model::{Body, Event, Ts};
use source::{Action, Fault, Input};
use std::sync::Arc;

impl Half {
    /// Hands an input to the session and does what it asks for.
    pub fn tell(&mut self, input: Input<'_>, now: Ts, common: &mut Common, out: &mut Out) -> Option<Halt> {
        let mut actions = std::mem::take(&mut common.actions);
        self.session.on(input, now, &mut actions);
        common.actions = actions;
        let shown = match input {
            Input::Frame { bytes, .. } => bytes,
            Input::Reply { body, .. } => body,
            _ => &[],
        };
        let mut halt = None;
        let mut actions = std::mem::take(&mut common.actions);
        for action in actions.drain(..) {
            let wants = self.act(action, shown, now, common, out);
            halt = halt.or(wants);
        }
        common.actions = actions;
        halt
    }

    #[inline]
    fn act(
        &mut self,
        action: Action,
        shown: &[u8],
        now: Ts,
        common: &mut Common,
        out: &mut Out,
    ) -> Option<Halt> {
        match action {
            Action::Emit(event) => self.emit(event, common, out),
            Action::Control(_) => common.counters.controls += 1,
            Action::Malformed(fault) => common.malformed(self.link(), &fault, shown, now, out),
            Action::Unknown(what) => common.unknown(self.link(), &what, now, out),
            Action::WakeAt { timer, at } => self.timers.set(timer, at),
            Action::Fetch { tag, path, weight } => {
                common.counters.fetches += 1;
                let (conn, endpoint) = (self.conn(), common.shard.endpoint);
                out.io.push(Io::Fetch { conn, tag, endpoint, path, weight });
            }
            Action::Send(bytes) if self.outbox.len() < OUTBOX_MAX => {
                self.outbox.push_back(bytes);
                self.flush(now, common, out);
            }
            Action::Send(_) => {
                let why = format!("more than {OUTBOX_MAX} frames wait to be sent");
                return Some(Halt { fault: Fault::Protocol, why, gone: false });
            }
            Action::Close { fault, why } => return Some(Halt { fault, why, gone: false }),
        }
        None
    }

    /// Tells an event, as far as it is news.
    #[inline]
    fn emit(&self, event: Event, common: &mut Common, out: &mut Out) {
        if matches!(event.body, Body::Instrument) && common.redefine(&event.instrument) {
            common.defined.push((self.link, Arc::clone(&event.instrument)));
        }
        let mark = out.events.len();
        common.merge.on(self.link, event, &mut out.events);
        for event in out.events.get(mark..).unwrap_or_default() {
            common.counters.event(event);
        }
    }

    /// Sends what waits, as far as the venue's limit allows.
    pub(super) fn flush(&mut self, now: Ts, common: &mut Common, out: &mut Out) {
        self.send_at = None;
        if self.state != State::Open {
            self.outbox.clear();
            return;
        }
        while !self.outbox.is_empty() {
            if let Err(at) = self.pace.take(1, now) {
                self.send_at = Some(at);
                return;
            }
            if let Some(bytes) = self.outbox.pop_front() {
                common.counters.sent += 1;
                out.io.push(Io::Send { conn: self.conn(), bytes });
            }
        }
    }
}
