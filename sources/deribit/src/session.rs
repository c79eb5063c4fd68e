//! Our end of one connection: a match over [`Input`].

mod books;
mod control;
mod copies;
mod data;
mod lanes;
mod table;
mod wants;

use crate::book::Scratch;
use crate::emit::{Notes, event};
use crate::listing;
use crate::parse::{self, Head, Kind, Result, Topic};
use control::Standpoint;
use lanes::Lanes;
use model::{Body, Channel, GapCause, InstrumentId, LaneFact, Ts};
use source::{Action, Cursor, Fault, Input, Malformed, Mark, Session, Shard, What};
use table::Table;

/// Silence after which we ask whether the venue is there: it says something each ten seconds.
const QUIET_MS: u64 = 12_000;
/// How long it may take to answer.
const ANSWER_MS: u64 = 5_000;

/// Watches for silence.
const TIMER_SILENCE: u64 = 0;
/// Subscriptions that are due.
const TIMER_CHORES: u64 = 1;
/// The login is to be made anew, or was not answered.
const TIMER_LOGIN: u64 = 2;

/// Our end of one connection.
pub struct DeribitSession {
    /// True where it reads a recording.
    reading: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    login: Standpoint,
    last_recv: Ts,
    /// When we asked whether it is there; cleared by whatever comes.
    asked_at: Option<Ts>,
}

impl DeribitSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let mut table = Table::new(shard.wants.is_empty());
        let lanes = Lanes::new(shard, &mut table);
        Self {
            reading: shard.wants.is_empty(),
            open: false,
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            login: Standpoint::None,
            last_recv: Ts::default(),
            asked_at: None,
        }
    }
}

impl Session for DeribitSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => {
                (self.last_recv, self.asked_at) = (now, None);
                self.frame(bytes, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { path, status, body, .. } => self.reply(path, status, body, now, out),
            Input::Wake { timer } => match timer {
                TIMER_SILENCE => self.listen(now, out),
                TIMER_LOGIN if self.open => self.login_due(now, out),
                _ => self.lanes.woken(),
            },
            Input::Resync { instrument, channel } => self.resync(instrument, channel, now, out),
            Input::Define(instrument) => self.table.define(instrument),
            Input::Subscribe(wants) => self.subscribe(wants, now, out),
            Input::Unsubscribe(wants) => self.unsubscribe(wants, now, out),
            Input::Closed => self.closed(now, out),
        }
        if self.lanes.pending && self.open {
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
        now: Ts,
        told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        // What is due is done with the next input that is read.
        let passed = !self.lanes.pending && self.copied(frame, told).is_some();
        if passed {
            (self.last_recv, self.asked_at) = (now, None);
        }
        passed
    }
}

impl DeribitSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        (self.last_recv, self.asked_at, self.open) = (now, None, true);
        self.table.all_mut().for_each(table::Listed::reset);
        if self.reading {
            return;
        }
        self.lanes.reset();
        self.greet(now, out);
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at: now.plus_ms(QUIET_MS) });
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, now, out);
            listed.reset();
        }
        self.lanes.reset();
    }

    /// Asks a silent venue whether it is there, and gives up on one that does not answer.
    fn listen(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open || self.reading {
            return;
        }
        let silent_until = self.last_recv.plus_ms(QUIET_MS);
        let at = match self.asked_at {
            Some(asked) if now >= asked.plus_ms(ANSWER_MS) => {
                let why = format!("nothing came for {} ms, no answer either", now.ms_since(self.last_recv));
                out.push(Action::Close { fault: Fault::Stale, why });
                return;
            }
            Some(asked) => asked.plus_ms(ANSWER_MS),
            None if silent_until <= now => {
                self.asked_at = Some(now);
                Self::alive(out);
                now.plus_ms(ANSWER_MS)
            }
            None => silent_until,
        };
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at });
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let (head, read) = parse::frame(bytes, |topic, c| self.data(topic, c, now, out));
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        let read = match read {
            Ok(()) if head.topic.is_none() => self.control(&head, now, out),
            other => other,
        };
        if let Err(fault) = read {
            out.push(Action::Malformed(fault));
            self.suffer(&head, fault, now, out);
        }
    }

    /// What a frame that could not be read means for the books of this connection.
    fn suffer(&mut self, head: &Head<'_>, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let cause = match fault.what {
            What::Scale(..) => GapCause::Scale,
            _ => GapCause::Malformed,
        };
        match head.topic {
            Some(Topic { kind: Kind::Book(_), of, .. }) if self.table.known(of).is_some() => {
                if let Some(at) = self.table.known(of) {
                    self.lose(at, cause, now, out);
                }
            }
            Some(Topic { kind: Kind::Book(_) | Kind::Other, .. }) | None if !head.answer() => {
                for at in 0..self.table.len() {
                    self.lose(at, cause, now, out);
                }
            }
            _ => {}
        }
    }

    fn reply(&mut self, path: &str, status: u16, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        if !listing::is_listing(path) || (status != 200 && !self.reading) {
            out.push(Action::Control("answer to a request that nobody reads"));
            return;
        }
        match listing::read(body) {
            Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
            Err(fault) => out.push(Action::Malformed(fault)),
        }
    }

    /// Puts a definition of the venue in force.
    fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
        let place = self.table.place(made.symbol.as_bytes());
        let Some(listed) = place.and_then(|at| self.table.get_mut(at)) else { return };
        if *listed.instrument != made {
            listed.instrument = made.into();
            if listed.wants(Channel::Instruments) {
                let told = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
                out.push(Action::Emit(told));
            }
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if channel != Channel::Book {
            return;
        }
        let Some(at) = self.table.by_id(instrument) else { return };
        self.restart(at, now);
        if let Some(listed) = self.table.get_mut(at) {
            listed.book.reset();
            listed.book.told = true;
            let words = "the engine asked for a new start".into();
            listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        }
    }
}

fn skip(c: &mut Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}

#[cfg(test)]
mod tests;
