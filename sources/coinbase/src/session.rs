//! Our end of one connection: a match over [`Input`].

mod advanced;
mod control;
mod copies;
mod lanes;
mod old;
pub(crate) mod table;

use crate::emit::Notes;
use crate::parse::Scratch;
use crate::sync::Count;
use crate::{Feed, listing};
use lanes::Lanes;
use model::{Body, Channel, Delta, GapCause, InstrumentId, LaneFact, Side, Snapshot, Ts};
use source::{Action, Cursor, Input, Malformed, Mark, Session, Shard, What};
use table::Table;

/// Which books a frame that cannot be read may have been about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// Any of the connection.
    All,
    /// This one.
    Book(usize),
    /// None.
    Nobody,
}

/// A trade that was read and is not told yet.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: usize,
    id: u64,
    level: model::Level,
    aggressor: Option<Side>,
    ts: Option<Ts>,
}

/// Our end of one connection.
pub struct CoinbaseSession {
    feed: Feed,
    /// False where it reads a recording.
    wanting: bool,
    open: bool,
    table: Table,
    lanes: Lanes,
    notes: Notes,
    scratch: Scratch,
    found: Vec<Found>,
    count: Count,
    /// Whether the number of the frame in hand was counted.
    counted: bool,
    blame: Blame,
}

impl CoinbaseSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let feed = if shard.endpoint == Feed::Exchange.endpoint() { Feed::Exchange } else { Feed::Advanced };
        let mut table = Table::new(!wanting);
        let lanes = Lanes::new(feed, shard, &mut table);
        Self {
            feed,
            wanting,
            open: false,
            table,
            lanes,
            notes: Notes::default(),
            scratch: Scratch::default(),
            found: Vec::new(),
            count: Count::default(),
            counted: false,
            blame: Blame::All,
        }
    }
}

impl Session for CoinbaseSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let before = out.len();
        match input {
            Input::Frame { bytes, .. } => {
                let feed = if self.wanting { self.feed } else { guess(bytes) };
                match feed {
                    Feed::Advanced => self.advanced(bytes, now, out),
                    Feed::Exchange => self.exchange(bytes, now, out),
                }
            }
            Input::Open => self.opened(now),
            Input::Reply { path, body, .. } => self.reply(path, body, now, out),
            Input::Wake { .. } => self.lanes.woken(),
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

    fn pass_over(
        &mut self,
        frame: &[u8],
        _binary: bool,
        _now: Ts,
        told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        // What is due is done with the next input that is read.
        !self.lanes.pending && self.copied(frame, told).is_some()
    }
}

/// Which protocol a recorded frame speaks.
fn guess(bytes: &[u8]) -> Feed {
    if bytes.starts_with(br#"{"channel":"#) {
        return Feed::Advanced;
    }
    let mut feed = Feed::Exchange;
    if !bytes.starts_with(br#"{"type":"#) {
        // What cannot be read is found out again by who reads it.
        let _ = Cursor::new(bytes).object(|c, key| {
            if matches!(key, b"channel" | b"events" | b"sequence_num") {
                feed = Feed::Advanced;
            }
            c.skip().map(|_| ())
        });
    }
    feed
}

impl CoinbaseSession {
    fn opened(&mut self, now: Ts) {
        self.open = true;
        self.count.reset();
        for listed in self.table.all_mut() {
            (listed.live, listed.told) = (false, false);
        }
        if self.wanting {
            self.lanes.begin(now);
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, now, out);
            listed.told = false;
        }
        self.count.reset();
        self.lanes.reset();
    }

    fn resync(&mut self, instrument: InstrumentId, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if channel != Channel::Book {
            return;
        }
        let Some(at) = self.table.by_id(instrument) else { return };
        self.lanes.restart(at, now);
        if let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(Channel::Book)) {
            (listed.live, listed.told) = (false, true);
            let words = "the engine asked for a new start".into();
            listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        }
    }

    /// The book of an instrument lost continuity: says so and starts it again.
    fn lose(&mut self, at: usize, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if listed.gap(cause, now, out) {
            listed.told = true;
            listed.fact(Channel::Book, LaneFact::Syncing("continuity was lost".into()), now, out);
            self.lanes.restart(at, now);
        }
    }

    fn lose_all(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            self.lose(at, cause, now, out);
        }
    }

    /// What a frame that could not be read means.
    #[cold]
    fn suffer(&mut self, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Malformed(fault));
        let cause = match fault.what {
            What::Scale(..) => GapCause::Scale,
            _ => GapCause::Malformed,
        };
        match self.blame {
            Blame::All => self.lose_all(cause, now, out),
            Blame::Book(at) => self.lose(at, cause, now, out),
            Blame::Nobody => {}
        }
    }

    /// A whole book stands in the scratch.
    fn snapshot(&mut self, at: usize, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if !listed.wants(Channel::Book) {
            out.push(Action::Control("a book that is not wanted"));
            return;
        }
        listed.live = true;
        let levels = self.scratch.whole();
        let body = Body::Snapshot(Snapshot { seq: None, levels, checksum: None, epoch: 0 });
        listed.emit(Channel::Book, ts, now, body, out);
        self.lanes.healed(at, now);
    }

    /// Changed levels stand in the scratch.
    #[inline]
    fn delta(&mut self, at: usize, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if listed.live {
            if self.scratch.is_empty() {
                out.push(Action::Control("a change of nothing"));
                return;
            }
            let levels = self.scratch.levels();
            let body = Body::Delta(Delta { prev_seq: None, seq: None, levels, checksum: None, epoch: 0 });
            listed.emit(Channel::Book, ts, now, body, out);
            return;
        }
        out.push(Action::Control("book update while waiting for a snapshot"));
        if !listed.told && listed.wants(Channel::Book) {
            listed.told = true;
            let words = "updates came before a snapshot".into();
            listed.fact(Channel::Book, LaneFact::Syncing(words), now, out);
        }
    }

    /// The place of a product; `None` where it is listed and nobody wants anything of it any more.
    ///
    /// # Errors
    /// Where the name is none that we asked for: it may be the damaged name of another.
    #[inline]
    fn listed(&mut self, feed: Feed, product: &[u8], c: &Cursor<'_>) -> Result<usize, Malformed> {
        self.table.place(feed, product).ok_or_else(|| c.fault(What::Rule("a product that was not asked for")))
    }

    fn reply(&mut self, path: &str, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        let Some(feed) = listing::feed_of(path) else {
            out.push(Action::Control("answer to a request that nobody reads"));
            return;
        };
        match listing::read(feed, body) {
            Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
            Err(fault) => out.push(Action::Malformed(fault)),
        }
    }

    fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
        let place = self.table.place(Feed::of(&made), made.symbol.as_bytes());
        let Some(listed) = place.and_then(|at| self.table.get_mut(at)) else { return };
        if *listed.instrument != made {
            listed.instrument = made.into();
            if listed.wants(Channel::Instruments) {
                listed.emit(Channel::Instruments, None, now, Body::Instrument, out);
            }
        }
    }
}

fn skip(c: &mut Cursor<'_>) -> Result<(), Malformed> {
    c.skip().map(|_| ())
}

#[cfg(test)]
mod tests;
