//! Our end of one connection: a match over [`Input`].

mod books;
mod copies;
mod data;
mod lanes;
mod table;

use crate::emit::Notes;
use crate::listing;
use crate::parse::{self, Head, Kind, Sides};
use crate::product::{ALL, Product};
use crate::subscribe;
use books::{Answer, State};
use lanes::Lanes;
use model::{Channel, GapCause, InstrumentId, Ts};
use source::{Action, Fault, Input, Malformed, Mark, Options, Session, Shard};
use table::Table;

/// Silence after which we ask whether the venue is there.
const QUIET_MS: u64 = 12_000;
/// How long it may take to answer.
const PONG_MS: u64 = 8_000;

/// Watches for silence.
const TIMER_SILENCE: u64 = 0;
/// Subscriptions and snapshots that are due.
const TIMER_CHORES: u64 = 1;

/// Our end of one connection.
pub struct GateSession {
    /// The section that the connection leads to, where its path says it.
    section: Option<Product>,
    options: Options,
    /// False where it reads a recording.
    wanting: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    sides: Sides,
    /// The book that the frame at hand is about.
    at_hand: Option<usize>,
    last_recv: Ts,
    /// When we asked whether it is there; cleared by whatever comes.
    ping_at: Option<Ts>,
}

impl GateSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let mut session = Self {
            section: shard.path.as_deref().and_then(Product::of_path),
            options: shard.options.clone(),
            wanting,
            open: false,
            table: Table::new(!wanting),
            lanes: Lanes::default(),
            notes: Notes::default(),
            sides: Sides::default(),
            at_hand: None,
            last_recv: Ts::default(),
            ping_at: None,
        };
        for want in &shard.wants {
            session.carry(want);
        }
        session
    }
}

impl Session for GateSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => {
                (self.last_recv, self.ping_at) = (now, None);
                self.frame(bytes, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                self.reply(tag, path, Answer { status, retry_ms, body }, now, out);
            }
            Input::Wake { timer: TIMER_SILENCE } => self.listen(now, out),
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
        now: Ts,
        told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        // What is due is done with the next input that is read; in a recording nothing is.
        let passed = !(self.lanes.pending && self.wanting) && self.copied(frame, told).is_some();
        if passed {
            (self.last_recv, self.ping_at) = (now, None);
        }
        passed
    }
}

impl GateSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        (self.last_recv, self.ping_at, self.open) = (now, None, true);
        self.reset_books();
        if self.wanting {
            self.lanes.begin(now);
            out.push(Action::WakeAt { timer: TIMER_SILENCE, at: now.plus_ms(QUIET_MS) });
        }
    }

    fn reset_books(&mut self) {
        for at in 0..self.table.len() {
            if let Some(listed) = self.table.get_mut(at) {
                listed.book.reset();
            }
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for at in 0..self.table.len() {
            let Some(listed) = self.table.get(at) else { continue };
            if let Some(seq) = listed.book.seq() {
                listed.gap(GapCause::Disconnected, seq, None, now, out);
            }
        }
        self.reset_books();
        self.lanes.reset();
    }

    /// Asks a silent venue whether it is there, and gives up on one that does not answer.
    fn listen(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open || !self.wanting {
            return;
        }
        let silent_at = self.last_recv.plus_ms(QUIET_MS);
        let at = match self.ping_at {
            Some(asked) if now.ms_since(asked) >= PONG_MS as i64 => {
                let why = format!("nothing came for {} ms, no pong either", now.ms_since(self.last_recv));
                out.push(Action::Close { fault: Fault::Stale, why });
                return;
            }
            Some(asked) => asked.plus_ms(PONG_MS),
            None if silent_at <= now => {
                self.ping_at = Some(now);
                out.push(Action::Send(subscribe::ping(self.section.unwrap_or(Product::Spot), now)));
                now.plus_ms(PONG_MS)
            }
            None => silent_at,
        };
        out.push(Action::WakeAt { timer: TIMER_SILENCE, at });
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        self.at_hand = None;
        let mut change = None;
        let (head, read) = parse::frame(bytes, |head, c| self.data(head, c, &mut change, now, out));
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        let read = read.and_then(|()| match change {
            Some(change) => self.changed(change, now, out),
            None if head.is_data() => Ok(()),
            None => {
                self.control(&head, now, out);
                Ok(())
            }
        });
        if let Err(fault) = read {
            out.push(Action::Malformed(fault));
            self.suffer(&head, &fault, now, out);
        }
    }

    /// One bad frame harms one book; all where it may have been any one's.
    fn suffer(&mut self, head: &Head<'_>, fault: &Malformed, now: Ts, out: &mut Vec<Action>) {
        match (head.kind, self.at_hand) {
            (Some((_, kind)), Some(at)) if kind.is_chained() => self.lose(at, fault, now, out),
            (Some((_, kind)), _) if !kind.is_chained() && kind != Kind::Other => {}
            _ => self.lose_all(fault, now, out),
        }
    }

    /// The section of a symbol of the frame at hand.
    #[inline]
    fn product(&self, spot: bool, symbol: &[u8]) -> Product {
        match self.section {
            _ if spot => Product::Spot,
            Some(section) if section != Product::Spot => section,
            _ => Product::of_contract(symbol),
        }
    }

    fn reply(&mut self, tag: Option<u64>, path: &str, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        if let Some(tag) = tag {
            return self.answered(usize::try_from(tag).unwrap_or(usize::MAX), answer, now, out);
        }
        if let Some(product) = listing::product_of(path) {
            match listing::read(product, answer.body) {
                Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
            return;
        }
        let book = path.contains("/order_book").then(|| Product::of_request(path)).flatten();
        match book.and_then(|(product, symbol)| self.table.place(product, symbol.as_bytes())) {
            Some(at) => self.answered(at, answer, now, out),
            None => out.push(Action::Control("answer to a request that nobody reads")),
        }
    }

    /// A definition found in a recording.
    fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
        if let Some(at) = self.table.put(std::sync::Arc::new(made))
            && let Some(listed) = self.table.get(at)
        {
            listed.emit(Channel::Instruments, None, now, model::Body::Instrument, out);
        }
    }

    /// The engine found a book wrong, and said so.
    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.by_id(instrument).filter(|_| channel == Channel::Book) else { return };
        if self.table.get(at).is_some_and(|l| matches!(l.book.state, State::Live(_))) {
            self.start_over(at, "the engine asked for a new start", now, out);
        }
    }
}

/// The section that a connection of these wants leads to.
fn section_of(instrument: &model::Instrument) -> Option<Product> {
    ALL.into_iter().find(|p| *instrument.product == *p.name())
}

#[cfg(test)]
mod tests;
