//! Our end of one connection: a match over [`Input`].

mod books;
mod copies;
mod data;
mod lanes;
mod table;

use crate::emit::Notes;
use crate::listing;
use crate::parse::{self, Arg, Head, Kind, Result, Scratch};
use crate::product::Product;
use crate::subscribe::Control;
use lanes::Lanes;
use model::{Channel, GapCause, InstrumentId, LaneFact, Ts};
use source::{Action, Fault, Input, Malformed, Mark, Session, Shard, What};
use table::Table;

/// How often we ping; the venue wants it each 30 s and closes a connection without after two minutes.
const PING_MS: u64 = 25_000;
/// How long it may take to answer.
const PONG_MS: u64 = 10_000;

/// Pings, and whether one was answered.
const TIMER_PING: u64 = 0;
/// Subscriptions that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection.
pub struct BitgetSession {
    /// False where it reads a recording.
    wanting: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    last_recv: Ts,
    /// When we pinged, until it is looked after.
    ping_at: Option<Ts>,
}

impl BitgetSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let mut table = Table::new(shard.wants.is_empty());
        let lanes = Lanes::new(shard, &mut table);
        Self {
            wanting: !shard.wants.is_empty(),
            open: false,
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            last_recv: Ts::default(),
            ping_at: None,
        }
    }
}

impl Session for BitgetSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, binary } => {
                self.last_recv = now;
                if binary {
                    out.push(Action::Malformed(Malformed { at: 0, what: What::Expected("a text frame") }));
                    self.lose_all(GapCause::Malformed, now, out);
                } else {
                    self.text(bytes, now, out);
                }
            }
            Input::Open => self.opened(now, out),
            Input::Reply { path, body, .. } => self.reply(path, body, now, out),
            Input::Wake { timer } => match timer {
                TIMER_PING => self.ping(now, out),
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
                ours.sort_by_key(|a| matches!(a, Action::Send(_)));
            }
        }
    }

    fn pass_over(&mut self, frame: &[u8], binary: bool, now: Ts, told: &mut dyn FnMut(Mark) -> bool) -> bool {
        // What is due is done with the next input that is read.
        let passed = !binary && !self.lanes.pending && self.copied(frame, told).is_some();
        if passed {
            self.last_recv = now;
        }
        passed
    }
}

impl BitgetSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        (self.last_recv, self.ping_at, self.open) = (now, None, true);
        for listed in self.table.all_mut() {
            listed.book.reset();
        }
        if self.wanting {
            self.subscribe_all(now);
            out.push(Action::WakeAt { timer: TIMER_PING, at: now.plus_ms(PING_MS) });
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, now, out);
            listed.book.reset();
            listed.unheard = 0;
        }
        self.lanes.reset();
    }

    /// Pings the venue, also while it streams, and gives up on one that says nothing any more.
    fn ping(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open || !self.wanting {
            return;
        }
        let at = if let Some(asked) = self.ping_at.take() {
            if self.last_recv < asked {
                let why = format!("nothing came for {} ms, no pong either", now.ms_since(self.last_recv));
                out.push(Action::Close { fault: Fault::Stale, why });
                return;
            }
            asked.plus_ms(PING_MS)
        } else {
            self.ping_at = Some(now);
            out.push(Action::Send(b"ping".to_vec()));
            now.plus_ms(PONG_MS)
        };
        out.push(Action::WakeAt { timer: TIMER_PING, at });
    }

    fn text(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        if bytes == b"pong" {
            out.push(Action::Control("pong"));
            return;
        }
        let mark = out.len();
        let (head, read) = parse::frame(bytes, |head, c| self.data(head, c, now, out));
        if let Some(ts) = head.ts {
            data::stamp(out.get_mut(mark..).unwrap_or_default(), ts);
        }
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        let read = read.and_then(|()| {
            if head.control {
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
        let cause = match fault.what {
            What::Scale(..) => GapCause::Scale,
            _ => GapCause::Malformed,
        };
        match head.arg {
            _ if head.control => {}
            Some(Arg { kind: Kind::Book | Kind::Other, .. }) | None => match head.arg.and_then(place_of) {
                Some((product, symbol)) if self.table.known(product, symbol).is_some() => {
                    if let Some(at) = self.table.known(product, symbol) {
                        self.lose(at, cause, now, out);
                    }
                }
                _ => self.lose_all(cause, now, out),
            },
            Some(_) => {}
        }
    }

    fn lose_all(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lose(at, cause, now, out);
        }
    }

    fn reply(&mut self, path: &str, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        if !listing::is_listing(path) {
            out.push(Action::Control("answer to a request that nobody reads"));
            return;
        }
        match listing::read(path, body) {
            Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
            Err(fault) => out.push(Action::Malformed(fault)),
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.by_id(instrument).filter(|_| channel == Channel::Book) else { return };
        let Some(listed) = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Book)) else {
            return;
        };
        listed.book.reset();
        let words = "the engine asked for a new start".into();
        listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        self.restart(at, now);
    }
}

fn place_of(arg: Arg<'_>) -> Option<(&'static Product, &[u8])> {
    Product::of(arg.inst_type, arg.symbol).map(|product| (product, arg.symbol))
}

fn skip(c: &mut source::Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}

#[cfg(test)]
mod tests;
