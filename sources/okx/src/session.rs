//! Our end of one connection: a match over [`Input`].

mod books;
mod lanes;
mod legacy;
mod table;

use crate::emit::{Notes, Sink, event};
use crate::listing;
use crate::parse::{self, Arg, Head, Kind, Result, Scratch};
use crate::rows;
use crate::subscribe::Control;
use crate::v3;
use lanes::Lanes;
use model::{Body, Channel, GapCause, InstrumentId, LaneFact, Ts};
use source::{Action, Cursor, Fault, Input, Malformed, Session, Shard, What};
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
            Input::Subscribe(_) | Input::Unsubscribe(_) => {}
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
        for listed in self.table.all_mut() {
            listed.book.reset();
        }
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

    /// The data of one frame. A number that does not fit widens the definition, and the data are read again.
    fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(arg) = head.arg else { return Err(c.fault(What::Missing("arg"))) };
        match arg.kind {
            Kind::Book(feed) => {
                let Some(at) = self.instrument(arg.inst, c, out)? else { return skip(c) };
                self.book(at, feed, head.action.unwrap_or_default(), c, now, out)
            }
            Kind::Other => {
                self.notes.unknown(b"channel", arg.channel, out);
                skip(c)
            }
            Kind::Liquidations => self.liquidations(c, now, out),
            Kind::Instruments => self.definitions(c, now, out),
            Kind::IndexPrice => {
                let targets = self.targets(arg.inst, c)?;
                rows::index_price(c, &targets, &mut Sink { now, out, notes: &mut self.notes })
            }
            _ => {
                let Some(at) = self.instrument(arg.inst, c, out)? else { return skip(c) };
                self.rows(at, arg, c, now, out)
            }
        }
    }

    /// The place of an instrument in the table; `None` where nobody wants it.
    fn instrument(&mut self, symbol: &[u8], c: &Cursor<'_>, out: &mut Vec<Action>) -> Result<Option<usize>> {
        let found = self.table.place(symbol);
        match found {
            Some(at) => Ok(Some(at)),
            None if self.wanting => {
                out.push(Action::Control("data of an instrument that is not wanted"));
                Ok(None)
            }
            None => Err(c.fault(What::Rule("instId is no symbol"))),
        }
    }

    /// The instruments over an index.
    fn targets(&mut self, index: &[u8], c: &Cursor<'_>) -> Result<Vec<std::sync::Arc<model::Instrument>>> {
        let places = if self.wanting {
            self.lanes.over(index)
        } else {
            vec![self.table.place(index).ok_or_else(|| c.fault(What::Rule("instId is no symbol")))?]
        };
        Ok(places.into_iter().filter_map(|at| self.table.get(at)).map(|l| l.instrument.clone()).collect())
    }

    fn rows<'a>(
        &mut self,
        at: usize,
        arg: Arg<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return skip(c) };
        let (start, mark) = (c.clone(), out.len());
        loop {
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let instrument = &listed.instrument;
            let read = match arg.kind {
                Kind::Trades => parse::trades(c, instrument, &mut sink),
                Kind::Quote => books::quotes(c, instrument, &mut self.scratch, &mut sink),
                Kind::BookTop => books::tops(c, instrument, &mut self.scratch, &mut sink),
                Kind::DayStats => rows::day_stats(c, instrument, &mut sink),
                Kind::Bars => rows::bars(c, arg.channel, instrument, &mut sink),
                Kind::MarkPrice => rows::mark_price(c, instrument, &mut sink),
                Kind::Funding => rows::funding(c, instrument, &mut sink),
                Kind::OpenInterest => rows::open_interest(c, instrument, &mut sink),
                Kind::Book(_) | Kind::IndexPrice | Kind::Liquidations | Kind::Instruments | Kind::Other => {
                    skip(c)
                }
            };
            let Err(fault) = read else { return Ok(()) };
            let kept = out.len();
            listed.widen(&fault, now, out)?;
            take_back(out, mark, kept);
            *c = start.clone();
        }
    }

    fn liquidations(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (table, wanting) = (&mut self.table, self.wanting);
        let mut sink = Sink { now, out, notes: &mut self.notes };
        let mut stranger = None;
        rows::liquidations(c, &mut sink, |symbol, forced, sink| {
            let Some(listed) = table.place(symbol).and_then(|at| table.get(at)) else {
                stranger = stranger.or((!wanting).then_some(symbol.len()));
                return;
            };
            if wanting && !listed.wants(Channel::Liquidations) {
                return;
            }
            for (order, ts) in forced {
                let body = Body::Liquidation(Box::new(order));
                sink.emit(&listed.instrument, Channel::Liquidations, ts, body);
            }
        })?;
        match stranger {
            Some(_) => Err(c.fault(What::Rule("instId is no symbol"))),
            None => Ok(()),
        }
    }

    /// Definitions pushed by the `instruments` channel.
    fn definitions(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let rows = c.skip()?;
        for made in listing::read_rows(rows)? {
            self.install(made, now, out);
        }
        Ok(())
    }

    fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.place(made.symbol.as_bytes()).and_then(|at| self.table.get_mut(at))
        else {
            return;
        };
        if *listed.instrument != made {
            listed.instrument = made.into();
            if !self.wanting || listed.wants(Channel::Instruments) {
                let told = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
                out.push(Action::Emit(told));
            }
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
        } else {
            out.push(Action::Control("answer to a request that nobody reads"));
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if channel != Channel::Book {
            return;
        }
        if let Some(at) = self.table.by_id(instrument) {
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

/// Takes out the events of a frame that will be read again; what else was said stands.
#[cold]
fn take_back(out: &mut Vec<Action>, from: usize, to: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        !(from < at && at <= to && matches!(action, Action::Emit(_)))
    });
}

fn skip(c: &mut Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}

/// What the session knows of one instrument, as its parts see it.
impl Listed {
    fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }
}

#[cfg(test)]
mod tests;
