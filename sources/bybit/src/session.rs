//! Our end of one connection: a match over [`Input`].

mod books;
mod control;
mod copies;
mod lanes;
mod old;
mod poll;
mod table;
mod tell;

use crate::emit::Notes;
use crate::parse::{self, BookRow, Head, Result, Scratch, product_of};
use crate::product::Product;
use crate::rows;
use crate::subscribe::Control;
use crate::ticker::{TICKER_CHANNELS, Ticker};
use crate::topic::{Kind, Old, Topic};
use lanes::Lanes;
use model::{Bar, Channel, GapCause, Instrument, InstrumentId, LaneFact, Liquidation, Ts};
use poll::Answer;
use source::{Action, Cursor, Fault, Input, Malformed, Mark, Session, Shard, What};
use table::Table;

/// How often we say that we are there.
const PING_MS: u64 = 20_000;
/// How long the venue may take to answer.
const PONG_MS: u64 = 5_000;

/// Says that we are there, and watches for silence.
const TIMER_PING: u64 = 0;
/// Subscriptions and questions that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection.
pub struct BybitSession {
    /// The product of the connection; `None` in a recording that does not say.
    product: Option<Product>,
    /// False where it reads a recording.
    wanting: bool,
    /// It has no WebSocket.
    polling: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    last_recv: Ts,
    /// When we asked whether the venue is there, until it is judged.
    ping_at: Option<Ts>,
    pings: u64,
}

/// What the data of a frame were.
enum Got {
    Nothing,
    /// Of an instrument and a depth; the levels stand in the scratch.
    Book((usize, u16), BookRow),
    /// The trades stand in the scratch.
    Trades,
    Ticker(usize, Box<Ticker>),
    Bars(usize, Vec<(Bar, Option<Ts>)>),
    Forced(usize, Vec<(Liquidation, Option<Ts>)>),
    /// A book of the retired API: whole or not; the levels stand in the scratch.
    OldBook((usize, u16), bool),
}

impl BybitSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let product = if wanting {
            Product::at(shard.endpoint)
        } else {
            shard.path.as_deref().and_then(Product::of_url)
        };
        let mut table = Table::new(!wanting);
        let lanes = Lanes::new(shard, &mut table);
        Self {
            product,
            wanting,
            polling: wanting && shard.path.is_none(),
            open: false,
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            last_recv: Ts::default(),
            ping_at: None,
            pings: 0,
        }
    }
}

impl Session for BybitSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => {
                self.last_recv = now;
                self.frame(bytes, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                self.reply(tag, path, Answer { status, retry_ms, body }, now, out);
            }
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
            self.last_recv = now;
        }
        passed
    }
}

impl BybitSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        (self.last_recv, self.ping_at, self.open) = (now, None, true);
        for listed in self.table.all_mut() {
            listed.cool();
        }
        if self.wanting {
            self.lanes.begin(now);
            if !self.polling {
                out.push(Action::WakeAt { timer: TIMER_PING, at: now.plus_ms(PING_MS) });
            }
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, now, out);
            listed.cool();
        }
        self.lanes.reset();
    }

    /// Says that we are there, and gives up on a venue that does not answer.
    fn ping(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open || !self.wanting || self.polling {
            return;
        }
        let at = match self.ping_at.take() {
            Some(asked) if self.last_recv < asked => {
                let why = format!("nothing came for {} ms, no pong either", now.ms_since(self.last_recv));
                out.push(Action::Close { fault: Fault::Stale, why });
                return;
            }
            Some(asked) => asked.plus_ms(PING_MS),
            None => {
                self.ping_at = Some(now);
                self.pings += 1;
                let text = format!(r#"{{"req_id":"ping{}","op":"ping"}}"#, self.pings);
                out.push(Action::Send(text.into_bytes()));
                now.plus_ms(PONG_MS)
            }
        };
        out.push(Action::WakeAt { timer: TIMER_PING, at });
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let mut got = Got::Nothing;
        let (head, read) = parse::frame(bytes, |head, c| {
            got = self.data(head, c, now, out)?;
            Ok(())
        });
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        let read = read.and_then(|()| {
            if head.control {
                Control::read(bytes).map(|control| self.control(&control, now, out))
            } else {
                self.tell(got, &head, now, out)
            }
        });
        if let Err(fault) = read {
            out.push(Action::Malformed(fault));
            self.suffer(&head, fault, now, out);
        }
    }

    /// Reads the data of one frame. Nothing is told before its end was seen.
    #[inline]
    fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Got> {
        let Some(topic) = head.topic else { return Err(c.fault(What::Missing("topic"))) };
        if topic.kind == Kind::Trades {
            return self.trades(topic, head, c, now, out);
        }
        if topic.kind == Kind::Other {
            self.notes.unknown(b"topic", head.text, out);
            c.skip()?;
            return Ok(Got::Nothing);
        }
        let product = product_of(self.product, topic.of, head);
        let Some(at) = self.instrument(product, topic.of, c, out)? else {
            c.skip()?;
            return Ok(Got::Nothing);
        };
        match topic.kind {
            Kind::Book(depth) => {
                let row = self.reading(at, c, now, out, |c, instrument, work| {
                    let (notes, out) = (work.notes, work.out);
                    parse::book(c, instrument, work.scratch, |key| notes.unknown(b"orderbook", key, out))
                })?;
                Ok(Got::Book((at, depth), row))
            }
            Kind::Tickers => {
                let ticker = self.reading(at, c, now, out, |c, instrument, work| {
                    let (notes, out) = (work.notes, work.out);
                    Ticker::read(c, instrument, |key| notes.unknown(b"tickers", key, out))
                })?;
                Ok(Got::Ticker(at, Box::new(ticker)))
            }
            Kind::Bars(interval) => {
                let notes = &mut self.notes;
                let bars = rows::bars(c, (interval, product), |key| notes.unknown(b"kline", key, out))?;
                Ok(Got::Bars(at, bars))
            }
            Kind::Liquidations => {
                let notes = &mut self.notes;
                Ok(Got::Forced(at, rows::liquidations(c, |place, key| notes.unknown(place, key, out))?))
            }
            Kind::Old(old) => self.old(old, (at, product), c, now, out),
            Kind::Trades | Kind::Other => Ok(Got::Nothing),
        }
    }

    /// The place of an instrument in the table; `None` where nobody wants it.
    #[inline]
    fn instrument(
        &mut self,
        product: Product,
        symbol: &[u8],
        c: &Cursor<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<usize>> {
        match self.table.place(product, symbol) {
            Some(at) => Ok(Some(at)),
            None if self.wanting => {
                out.push(Action::Control("data of an instrument that is not wanted"));
                Ok(None)
            }
            None => Err(c.fault(What::Rule("the topic names no symbol"))),
        }
    }

    /// Reads by an instrument's definition. A number that does not fit widens it, and the data are read again.
    #[inline]
    fn reading<'a, T>(
        &mut self,
        at: usize,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
        mut read: impl FnMut(&mut Cursor<'a>, &Instrument, Work<'_>) -> Result<T>,
    ) -> Result<T> {
        let start = c.clone();
        let Some(listed) = self.table.get_mut(at) else { return Err(c.fault(What::Missing("symbol"))) };
        loop {
            let work = Work { scratch: &mut self.scratch, notes: &mut self.notes, out };
            match read(c, &listed.instrument, work) {
                Ok(value) => return Ok(value),
                Err(fault) => listed.widen(&fault, now, out)?,
            }
            *c = start.clone();
        }
    }

    /// Reads trades. Those of options come together for a coin, each with its own symbol.
    fn trades<'a>(
        &mut self,
        topic: Topic<'a>,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Got> {
        self.scratch.trades.clear();
        let by_row = self.product.is_none_or(|product| product == Product::Option);
        let mut place = None;
        if !by_row {
            let product = product_of(self.product, topic.of, head);
            place = self.instrument(product, topic.of, c, out)?;
            if place.is_none() {
                c.skip()?;
                return Ok(Got::Nothing);
            }
        }
        c.array(|c| {
            if by_row {
                let symbol = parse::peek_text(c, b"s")?;
                let product = product_of(self.product, symbol, head);
                place = self.table.place(product, symbol);
                if place.is_none() && !self.wanting {
                    return Err(c.fault(What::Rule("a row names no symbol")));
                }
            }
            let Some(at) = place else { return c.skip().map(|_| ()) };
            let row = self.reading(at, c, now, out, |c, instrument, work| {
                let (notes, out) = (work.notes, work.out);
                parse::trade(c, (at, instrument), |place, key| notes.unknown(place, key, out))
            })?;
            self.scratch.trades.push(row);
            Ok(())
        })?;
        Ok(Got::Trades)
    }

    /// What a frame that could not be read means: it may have been a change that will be missed.
    #[cold]
    fn suffer(&mut self, head: &Head<'_>, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let cause = if matches!(fault.what, What::Scale(..)) { GapCause::Scale } else { GapCause::Malformed };
        if head.control {
            return;
        }
        let place = head.topic.and_then(|topic| {
            let product = product_of(self.product, topic.of, head);
            self.table.known(product, topic.of)
        });
        match (head.topic.map(|topic| topic.kind), place) {
            (Some(Kind::Book(2..) | Kind::Old(Old::Book(_))), Some(at)) => {
                self.lose(at, cause, now, out);
            }
            (Some(Kind::Tickers), Some(at)) => {
                if let Some(listed) = self.table.get_mut(at) {
                    listed.ticker = Ticker::default();
                }
                for channel in TICKER_CHANNELS {
                    self.restart(at, channel, now);
                }
            }
            (Some(Kind::Trades), _)
            | (Some(Kind::Book(_) | Kind::Bars(_) | Kind::Liquidations | Kind::Old(_)), Some(_)) => {}
            _ => self.lose_all(cause, now, out),
        }
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if channel != Channel::Book {
            return;
        }
        let Some(at) = self.table.by_id(instrument) else { return };
        if let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(Channel::Book)) {
            listed.chain.cool();
            (listed.old_live, listed.told) = (false, true);
            let words = "the engine asked for a new start".into();
            listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
            self.restart(at, Channel::Book, now);
        }
    }
}

/// What reading needs besides the frame.
struct Work<'w> {
    scratch: &'w mut Scratch,
    notes: &'w mut Notes,
    out: &'w mut Vec<Action>,
}

#[cfg(test)]
mod tests;
