//! Our end of one connection: a match over [`Input`].

mod acks;
mod books;
mod copies;
mod data;
mod lanes;
mod poll;
mod table;

use crate::emit::Notes;
use crate::gzip::{Inflater, is_member};
use crate::parse::{self, Head, Scratch};
use crate::topic::{Kind, topic as taken_apart};
use lanes::Lanes;
use model::{Channel, GapCause, InstrumentId, LaneFact, Ts};
use poll::Polls;
use source::{Action, Fault, Input, Malformed, Mark, Session, Shard, What};
use table::Table;

/// Subscriptions, books and questions that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection, or a session that only polls.
pub struct HtxSession {
    /// False where it reads a recording.
    wanting: bool,
    /// It has no connection and asks REST.
    polling: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    polls: Polls,
    notes: Notes,
    scratch: Scratch,
    /// Lent out while a frame is read.
    inflater: Option<Inflater>,
}

impl HtxSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let mut session = Self {
            wanting,
            polling: wanting && shard.path.is_none(),
            open: false,
            table: Table::new(!wanting),
            lanes: Lanes::new(shard),
            polls: Polls::default(),
            notes: Notes::default(),
            scratch: Scratch::default(),
            inflater: None,
        };
        session.subscribe(&shard.wants, Ts(i64::MIN), &mut Vec::new());
        session
    }
}

impl Session for HtxSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => self.frame(bytes, now, out),
            Input::Open => self.opened(now),
            Input::Reply { tag, path, status, retry_ms, body } => {
                let answer = poll::Answer { tag, path, status, retry_ms, body };
                self.reply(&answer, now, out);
            }
            Input::Wake { .. } => self.lanes.woken(),
            Input::Resync { instrument, channel } => self.resync(instrument, channel, now, out),
            Input::Define(instrument) => self.table.define(instrument),
            Input::Subscribe(wants) => self.subscribe(wants, now, out),
            Input::Unsubscribe(wants) => self.unsubscribe(wants, now, out),
            Input::Closed => self.closed(now, out),
        }
        if self.lanes.pending && self.open && self.wanting {
            self.chores(now, out);
            // What the wire answers comes last, so that an answer finds everything told and every timer set.
            if let Some(ours) = out.get_mut(before..) {
                ours.sort_by_key(|a| matches!(a, Action::Send(_) | Action::Fetch { .. }));
            }
        }
    }

    fn pass_over(
        &mut self,
        frame: &[u8],
        _binary: bool,
        _now: Ts,
        told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        // What is due is done with the next input that is read; in a recording nothing is.
        if self.lanes.pending && self.wanting {
            return false;
        }
        if !is_member(frame) {
            return self.copied(frame, told).is_some();
        }
        let mut inflater = self.inflater.take().unwrap_or_default();
        let text = inflater.member(frame).ok();
        let passed = text.and_then(|text| self.copied(text, told)).is_some();
        self.inflater = Some(inflater);
        passed
    }
}

impl HtxSession {
    fn opened(&mut self, now: Ts) {
        self.open = true;
        for listed in self.table.all_mut() {
            listed.book.reset();
            listed.top = None;
        }
        self.subscribe_all(now);
        self.polls.open(now);
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, now, out);
            listed.book.reset();
        }
        self.lanes.reset();
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        if !is_member(bytes) {
            self.text(bytes, now, out);
            return;
        }
        let mut inflater = self.inflater.take().unwrap_or_default();
        match inflater.member(bytes) {
            Ok(text) => self.text(text, now, out),
            Err(fault) => {
                out.push(Action::Malformed(fault));
                self.lose_all(GapCause::Malformed, now, out);
            }
        }
        self.inflater = Some(inflater);
    }

    fn text(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let mark = out.len();
        let (head, read) = parse::frame(bytes, |head, c| self.data(head, c, now, out));
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        if let Err(fault) = read {
            data::forget_timeless(out, mark);
            out.push(Action::Malformed(fault));
            self.suffer(&head, fault, now, out);
            return;
        }
        if let (Some(ts), Some(ours)) = (head.ts, out.get_mut(mark..)) {
            data::stamp(ours, ts);
        }
        match head {
            Head { ping: Some(number), .. } => self.pong(number, false, out),
            Head { op: Some(b"ping"), stamp, .. } => self.pong(stamp, true, out),
            Head { op: Some(b"close"), .. } => {
                out.push(Action::Control("the venue closes"));
                if self.wanting {
                    out.push(Action::Close {
                        fault: Fault::Planned,
                        why: "the venue said that it closes".into(),
                    });
                }
            }
            Head { topic: Some(_), data: true, op: None | Some(b"notify"), .. } => {}
            Head { acked: None, op: None, status: None, code: None, .. } => {
                let fault = Malformed { at: 0, what: What::Missing("ch and tick") };
                out.push(Action::Malformed(fault));
                self.suffer(&head, fault, now, out);
            }
            Head { op: None | Some(b"sub" | b"unsub" | b"error"), .. } => self.control(&head, now, out),
            Head { op: Some(other), .. } => self.notes.unknown(b"op", other, out),
        }
    }

    /// Answers a ping with its own number.
    fn pong(&self, number: &[u8], notice: bool, out: &mut Vec<Action>) {
        out.push(Action::Control("ping"));
        let number = String::from_utf8_lossy(number);
        if !self.wanting {
            return;
        }
        let text = if notice {
            format!(r#"{{"op":"pong","ts":{number}}}"#)
        } else {
            format!(r#"{{"pong":{number}}}"#)
        };
        out.push(Action::Send(text.into_bytes()));
    }

    /// What a frame that could not be read means for the books of this connection.
    fn suffer(&mut self, head: &Head<'_>, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let cause = match fault.what {
            What::Scale(..) => GapCause::Scale,
            _ => GapCause::Malformed,
        };
        let control =
            head.ping.is_some() || head.acked.is_some() || head.op.is_some() || head.status.is_some();
        match head.topic {
            Some(topic) => match taken_apart(topic).kind {
                Kind::Mbp | Kind::HighFreq | Kind::Other => match self.lanes.find(topic) {
                    Some(n) => {
                        let at = self.lanes.subs.get(n).map_or(usize::MAX, |s| s.at);
                        self.lose(at, cause, now, out);
                    }
                    None => self.lose_all(cause, now, out),
                },
                _ => {}
            },
            None if control => {}
            None => self.lose_all(cause, now, out),
        }
    }

    fn lose_all(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lose(at, cause, now, out);
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.by_id(instrument).filter(|_| channel == Channel::Book) else { return };
        let Some(listed) = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Book)) else {
            return;
        };
        if !self.open {
            return;
        }
        listed.book.chain.cool();
        let words = "the engine asked for a new start".into();
        listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        self.begin_again(at, now, out);
    }
}

#[cfg(test)]
mod tests;
