//! Our end of one connection: a match over [`Input`].

mod books;
mod control;
mod copies;
mod data;
mod harm;
mod lanes;
mod poll;
mod table;

use crate::emit::Notes;
use crate::listing;
use crate::parse::{self, Frame, Kind, Result};
use crate::rows::Scratch;
use harm::{Harm, take_back};
use lanes::Lanes;
use model::{Channel, GapCause, Instrument, InstrumentId, LaneFact, Status, Ts};
use source::{Action, Fault, Input, Malformed, Mark, Session, Shard, What};
use std::sync::Arc;
use table::Table;

/// Silence after which we ask whether the venue is there; with a subscription it speaks each second.
const QUIET_MS: u64 = 10_000;
/// How long it may take to answer.
const PONG_MS: u64 = 5_000;
/// How often we show that we are there; the derivatives close a connection after 60 s without.
const KEEP_MS: u64 = 25_000;

/// Watches for silence, and shows that we are there.
const TIMER_SILENCE: u64 = 0;
/// Subscriptions and requests that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection.
pub struct KrakenSession {
    /// False where it reads a recording.
    wanting: bool,
    endpoint: usize,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    /// The instrument whose book the frame in hand is about, as far as it was read.
    touched: Option<usize>,
    /// The state of the whole venue, where it is not the usual one.
    system: Option<Status>,
    last_recv: Ts,
    last_kept: Ts,
    /// When we asked whether it is there; cleared by whatever comes.
    ping_at: Option<Ts>,
}

impl KrakenSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let mut table = Table::new(shard.wants.is_empty());
        let lanes = Lanes::new(shard, &mut table);
        Self {
            wanting: !shard.wants.is_empty(),
            endpoint: shard.endpoint,
            open: false,
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            touched: None,
            system: None,
            last_recv: Ts::default(),
            last_kept: Ts::default(),
            ping_at: None,
        }
    }
}

impl Session for KrakenSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => {
                (self.last_recv, self.ping_at) = (now, None);
                self.frame(bytes, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                let answer = poll::Answer { status, retry_ms, body };
                self.reply(tag, path, answer, now, out);
            }
            Input::Wake { timer } => match timer {
                TIMER_SILENCE => self.listen(now, out),
                _ => self.lanes.woken(),
            },
            Input::Resync { instrument, channel } => self.resync(instrument, channel, now, out),
            Input::Define(instrument) => {
                if self.table.concerns(instrument) {
                    self.define(instrument, now, out);
                }
            }
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
            (self.last_recv, self.ping_at) = (now, None);
        }
        passed
    }
}

impl KrakenSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        (self.last_recv, self.last_kept, self.ping_at) = (now, now, None);
        self.open = true;
        self.system = None;
        for listed in self.table.all_mut() {
            listed.book.reset();
            listed.last = table::Last::default();
        }
        if self.wanting {
            self.watch(now, out);
            self.subscribe_all(now);
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, None, now, out);
            listed.book.reset();
        }
        self.lanes.reset();
    }

    /// Begins to watch for silence.
    fn watch(&mut self, now: Ts, out: &mut Vec<Action>) {
        if self.endpoint == crate::FUTURES {
            self.keep(now, out);
        }
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at: now.plus_ms(QUIET_MS) });
    }

    /// Shows that we are there. The derivatives know no request for this in text; to ask for their sign of life again
    /// harms nothing.
    fn keep(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.last_kept = now;
        let frame = if self.endpoint == crate::FUTURES {
            r#"{"event":"subscribe","feed":"heartbeat"}"#.to_owned()
        } else {
            self.lanes.requests += 1;
            format!(r#"{{"method":"ping","req_id":{}}}"#, self.lanes.requests)
        };
        out.push(Action::Send(frame.into_bytes()));
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
                self.keep(now, out);
                now.plus_ms(PONG_MS)
            }
            _ => {
                if now.ms_since(self.last_kept) >= KEEP_MS as i64 {
                    self.keep(now, out);
                }
                silent_until
            }
        };
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at });
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        self.touched = None;
        if bytes.first() == Some(&b'[') {
            if let Err(fault) = self.old(bytes, now, out) {
                take_back(out, before);
                out.push(Action::Malformed(fault));
                self.suffer(self.touched.map_or(Harm::All, Harm::One), fault, now, out);
            }
            return;
        }
        let (f, read) = parse::frame(bytes, |f, c| self.inline(f, c, now, out));
        let read = read.and_then(|()| self.rest_of(bytes, &f, now, out));
        if let Err(fault) = read {
            take_back(out, before);
            out.push(Action::Malformed(fault));
            self.suffer(self.harmed(&f), fault, now, out);
        }
    }

    /// Reads what comes most often while the frame is walked over.
    #[inline]
    fn inline<'a>(
        &mut self,
        f: &Frame<'a>,
        c: &mut source::Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<bool> {
        match (f.kind, f.word) {
            (Some(Kind::Book), Some(b"update")) => self.books(false, c, now, out)?,
            (Some(Kind::Trade), Some(_)) => self.trades(c, now, out)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads a frame that is whole, as far as it was not read on the way.
    fn rest_of<'a>(&mut self, bytes: &'a [u8], f: &Frame<'a>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        if let Some(kind) = f.kind {
            if let Some(key) = f.other {
                self.notes.unknown(b"frame", key, out);
            }
            return self.channel(kind, f, now, out);
        }
        if f.method {
            return self.answer(bytes, now, out);
        }
        if let Some(event) = f.event {
            return self.notice(event, bytes, now, out);
        }
        if let Some(feed) = f.feed {
            return self.feed(feed, bytes, f, now, out);
        }
        if f.data.is_some() || f.seq.is_some() {
            return Err(Malformed { at: 0, what: What::Missing("channel") });
        }
        self.notes.unknown(b"frame", f.other.unwrap_or(b"{}"), out);
        out.push(Action::Control("a frame without a channel"));
        Ok(())
    }

    fn channel(&mut self, kind: Kind, f: &Frame<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let Some(mut c) = f.data.clone() else {
            if kind == Kind::Heartbeat {
                out.push(Action::Control("heartbeat"));
            }
            let read = matches!(kind, Kind::Book | Kind::Trade) && f.word.is_some();
            let known = kind == Kind::Heartbeat || read || kind == Kind::Other;
            return if known { Ok(()) } else { Err(missing("data")) };
        };
        match kind {
            Kind::Book => match f.word {
                Some(b"snapshot") => self.books(true, &mut c, now, out),
                Some(b"update") => self.books(false, &mut c, now, out),
                _ => Err(missing("type")),
            },
            Kind::Trade => self.trades(&mut c, now, out),
            Kind::Ticker => self.tickers(&mut c, now, out),
            Kind::Ohlc => self.bars(&mut c, now, out),
            Kind::Instrument => self.definitions(&mut c, now, out),
            Kind::Status => self.system(&mut c, now, out),
            Kind::Heartbeat => Ok(()),
            Kind::Other => {
                self.notes.unknown(b"channel", f.channel.unwrap_or_default(), out);
                Ok(())
            }
        }
    }

    /// A frame of the derivatives.
    fn feed<'a>(
        &mut self,
        feed: &[u8],
        bytes: &'a [u8],
        f: &Frame<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        if feed == b"heartbeat" {
            out.push(Action::Control("heartbeat"));
            return Ok(());
        }
        let product = parse::need(f.product, "product_id")?;
        let Some(at) = self.place(product, out)? else { return Ok(()) };
        let wants = |channel| self.table.get(at).is_some_and(|l| l.wants(channel));
        match feed {
            b"book" | b"book_snapshot" => {
                self.touched = Some(at);
                if !wants(Channel::Book) {
                    out.push(Action::Control("a book that is not wanted"));
                    Ok(())
                } else if feed == b"book" {
                    self.note(b"book", f, out);
                    self.level(at, bytes, f, now, out)
                } else {
                    self.levels(at, bytes, f, now, out)
                }
            }
            b"trade" => {
                self.note(b"trade", f, out);
                self.print(at, bytes, f, now, out)
            }
            b"trade_snapshot" => self.prints(at, bytes, now, out),
            b"ticker" => self.statistics(at, bytes, false, now, out),
            b"ticker_lite" => self.statistics(at, bytes, true, now, out),
            other => {
                self.notes.unknown(b"feed", other, out);
                Ok(())
            }
        }
    }

    fn note(&mut self, place: &[u8], f: &Frame<'_>, out: &mut Vec<Action>) {
        if let Some(key) = f.other {
            self.notes.unknown(place, key, out);
        }
    }

    /// Puts a definition in force. A book whose numbers cannot be written by it starts again.
    fn define(&mut self, instrument: &Arc<Instrument>, now: Ts, out: &mut Vec<Action>) {
        let (at, kept) = self.table.put(instrument);
        if !kept && self.table.get_mut(at).is_some_and(|l| l.gap(GapCause::Scale, None, now, out)) {
            self.lost(at, "the definition has changed", now, out);
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let found = self.table.by_id(instrument).filter(|_| channel == Channel::Book);
        let Some(at) = found else { return };
        if let Some(listed) = self.table.get_mut(at) {
            listed.book.chain.cool();
            let words = "the engine asked for a new start";
            listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
        }
        self.restart(at, now);
    }

    fn reply(
        &mut self,
        tag: Option<u64>,
        path: &str,
        answer: poll::Answer<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        if let Some(tag) = tag {
            self.polled(tag, answer, now, out);
        } else if listing::is_listing(path) {
            match listing::read(path, answer.body) {
                Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        } else {
            out.push(Action::Control("answer to a request that nobody reads"));
        }
    }
}

const fn missing(field: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Missing(field) }
}

#[cfg(test)]
mod tests;
