//! Our end of one connection: a match over [`Input`].

mod books;
mod copies;
mod data;
mod lanes;
mod legacy;
mod table;
mod wants;

use crate::emit::{Notes, event};
use crate::listing;
use crate::parse::{self, Arg, Head, Kind, Scratch};
use crate::subscribe::{Control, RATIO};
use crate::v3;
use lanes::Lanes;
use model::{Body, Channel, GapCause, InstrumentId, LaneFact, Ts};
use source::{Action, Fault, Input, Malformed, Mark, Options, Session, Shard, What};
use table::{Listed, Table};

/// Silence after which we ask whether the venue is there.
const QUIET_MS: u64 = 20_000;
/// How long it may take to answer.
const PONG_MS: u64 = 5_000;

/// Watches for silence.
const TIMER_SILENCE: u64 = 0;
/// Subscriptions and snapshots that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection.
pub struct OkxSession {
    /// False where it reads a recording.
    wanting: bool,
    open: bool,
    options: Options,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    /// Made when the first binary frame comes.
    inflater: Option<Box<v3::Inflater>>,
    last_recv: Ts,
    /// When we asked whether it is there; cleared by whatever comes.
    ping_at: Option<Ts>,
}

impl OkxSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let mut table = Table::new(shard.wants.is_empty());
        let lanes = Lanes::new(shard, &mut table);
        Self {
            wanting: !shard.wants.is_empty(),
            open: false,
            options: shard.options.clone(),
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            inflater: None,
            last_recv: Ts::default(),
            ping_at: None,
        }
    }
}

impl Session for OkxSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, binary } => {
                (self.last_recv, self.ping_at) = (now, None);
                if binary {
                    self.binary(bytes, now, out);
                } else {
                    self.text(bytes, now, out);
                }
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                self.reply(tag, path, Answer { status, retry_ms, body }, now, out);
            }
            Input::Wake { timer } => match timer {
                TIMER_SILENCE => self.listen(now, out),
                _ => self.lanes.woken(),
            },
            Input::Resync { instrument, channel } => self.resync(instrument, channel, now, out),
            Input::Define(instrument) => self.table.define(instrument),
            Input::Subscribe(wants) => self.wanted_too(wants, now, out),
            Input::Unsubscribe(wants) => self.wanted_no_longer(wants, now, out),
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

    fn pass_over(&mut self, frame: &[u8], binary: bool, now: Ts, told: &mut dyn FnMut(Mark) -> bool) -> bool {
        // What is due is done with the next input that is read.
        let passed = !binary && !self.lanes.pending && self.copied(frame, told).is_some();
        if passed {
            (self.last_recv, self.ping_at) = (now, None);
        }
        passed
    }
}

/// What came back for a request.
#[derive(Clone, Copy)]
struct Answer<'a> {
    status: u16,
    retry_ms: Option<u64>,
    body: &'a [u8],
}

impl OkxSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.last_recv = now;
        self.ping_at = None;
        self.open = true;
        self.table.all_mut().for_each(Listed::opened);
        if !self.wanting {
            return;
        }
        self.subscribe_all(now);
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at: now.plus_ms(QUIET_MS) });
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, None, now, out);
            listed.book.reset();
        }
        self.lanes.reset();
    }

    /// Asks a silent venue whether it is there, and gives up on one that does not answer.
    fn listen(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open || !self.wanting {
            return;
        }
        let silent_until = self.last_recv.plus_ms(QUIET_MS);
        let at = match self.ping_at {
            Some(asked) => {
                if now.ms_since(asked) >= PONG_MS as i64 {
                    let why = format!("nothing came for {} ms, no pong either", now.ms_since(self.last_recv));
                    out.push(Action::Close { fault: Fault::Stale, why });
                    return;
                }
                asked.plus_ms(PONG_MS)
            }
            _ if silent_until <= now => {
                self.ping_at = Some(now);
                out.push(Action::Send(b"ping".to_vec()));
                now.plus_ms(PONG_MS)
            }
            _ => silent_until,
        };
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at });
    }

    fn text(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        if bytes == b"pong" {
            out.push(Action::Control("pong"));
            return;
        }
        let (head, read) = parse::frame(bytes, |head, c| self.data(head, c, now, out));
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        let read = read.and_then(|()| {
            if head.legacy {
                v3::frame(bytes, |row, c| self.legacy_row(row, c, now, out))
            } else if head.control {
                Control::read(bytes).map(|control| self.control(&control, now, out))
            } else {
                Ok(())
            }
        });
        if let Err(fault) = read {
            out.push(Action::Malformed(fault));
            self.suffer(&head, fault, now, out);
        }
    }

    /// What a frame that could not be read means for the books of this connection.
    fn suffer(&mut self, head: &Head<'_>, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let cause = cause_of(&fault);
        match head.arg {
            _ if head.control => {}
            Some(Arg { kind: Kind::Book(_), inst, .. }) if !inst.is_empty() => {
                if let Some(at) = self.table.known(inst) {
                    self.lose(at, cause, now, out);
                }
            }
            Some(Arg { kind, .. }) if !matches!(kind, Kind::Book(_)) => {}
            _ => {
                for at in 0..self.table.len() {
                    self.lose(at, cause, now, out);
                }
            }
        }
    }

    fn reply(&mut self, tag: Option<u64>, path: &str, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        if path.contains("/api/v5/market/books") {
            let at = tag.map(|tag| tag as usize).or_else(|| self.table.place(books::symbol_in(path)));
            if let Some(at) = at {
                self.seed(at, answer, now, out);
            }
        } else if listing::is_listing(path) {
            match listing::read(answer.body) {
                Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        } else if path.contains(RATIO) {
            self.ratio(path, answer.body, now, out);
        } else {
            out.push(Action::Control("answer to a request that nobody reads"));
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if channel != Channel::Book {
            return;
        }
        let at = self.table.by_id(instrument);
        if let Some(at) = at.filter(|at| self.table.get(*at).is_some_and(|l| l.wants(channel))) {
            self.restart(at, now);
            if let Some(listed) = self.table.get_mut(at) {
                listed.book.reset();
                listed.fact(
                    Channel::Book,
                    LaneFact::Syncing("the engine asked for a new start".into()),
                    now,
                    out,
                );
            }
        }
    }
}

fn cause_of(fault: &Malformed) -> GapCause {
    match fault.what {
        What::Scale(..) => GapCause::Scale,
        _ => GapCause::Malformed,
    }
}

/// What the session knows of one instrument, as its parts see it.
impl Listed {
    fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }

    /// A lane is acknowledged. What its instrument's status is stands in the listing; the venue tells it when it changes.
    fn acked(&mut self, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        self.fact(channel, LaneFact::Acked, now, out);
        if channel == Channel::Status {
            self.tell_status(now, out);
        }
    }
}

#[cfg(test)]
mod tests;
