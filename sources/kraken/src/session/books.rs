//! Books of a session: messages of the three protocols to snapshots and deltas.

use super::KrakenSession;
use super::table::Listed;
use crate::emit::event;
use crate::futures;
use crate::parse::{self, Frame, Result, need};
use crate::rows::{self, BookRow, SIDES, Scratch};
use crate::subscribe::DEPTH;
use crate::sync::Step;
use crate::v1;
use model::{
    Body, Channel, Checksum, ChecksumKind, Delta, Gap, GapCause, LaneFact, Level, Levels, Qty, Scale, Side,
    Snapshot, Ts,
};
use source::{Action, Cursor, Malformed, What};

/// Depths that the venue offers.
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// A message about a pair's book, its levels in the scratch.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    snapshot: bool,
    row: BookRow,
    /// How many levels a side are subscribed, where the message says it.
    depth: Option<usize>,
    /// Digits after the point, where the message shows them.
    digits: Option<(Scale, Scale)>,
}

impl KrakenSession {
    /// The `data` of the channel `book`.
    pub(super) fn books<'a>(
        &mut self,
        snapshot: bool,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        c.array(|c| {
            self.touched = None;
            let start = c.clone();
            let row = loop {
                let Self { table, notes, scratch, touched, wanting, .. } = self;
                let find = |c: &Cursor<'a>, symbol: &'a [u8]| {
                    *touched = table.place(symbol);
                    match *touched {
                        Some(at) => Ok(table.get(at).filter(|l| l.wants(Channel::Book)).map(Listed::scales)),
                        None if *wanting && crate::listing::provisional(symbol).is_some() => Ok(None),
                        None => Err(c.fault(What::Rule("no symbol of this venue"))),
                    }
                };
                match rows::book(c, scratch, find, |key| notes.unknown(b"book", key, out)) {
                    Ok(row) => break row,
                    Err(fault) => {
                        let listed = touched.and_then(|at| table.get_mut(at)).ok_or(fault)?;
                        listed.widen(&fault, now, out)?;
                        *c = start.clone();
                    }
                }
            };
            match (self.touched, row) {
                (Some(at), Some(row)) => {
                    let message = Message { snapshot, row, ..Message::default() };
                    self.on_message(at, message, now, out);
                }
                _ => out.push(Action::Control("a book that is not wanted")),
            }
            Ok(())
        })
    }

    /// A frame of the retired stream about a book.
    pub(super) fn old_book(
        &mut self,
        at: usize,
        f: &v1::Frame<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Self { table, notes, scratch, .. } = self;
        let Some(listed) = table.get_mut(at) else { return Ok(()) };
        let part = loop {
            scratch.clear();
            let mut part = v1::BookPart::default();
            let mut payloads = f.payloads.iter().cloned();
            let scales = listed.scales();
            let read = payloads.try_for_each(|mut c| {
                v1::book(&mut c, &mut part, scales, scratch, |key| notes.unknown(b"book", key, out))
            });
            match read {
                Ok(()) => break part,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        };
        let message = Message {
            snapshot: part.snapshot,
            row: BookRow { checksum: part.checksum, ts: part.ts },
            depth: f.channel.strip_prefix("book-").and_then(|n| n.parse().ok()),
            digits: part.digits,
        };
        self.on_message(at, message, now, out);
        Ok(())
    }

    fn on_message(&mut self, at: usize, message: Message, now: Ts, out: &mut Vec<Action>) {
        if message.snapshot {
            self.whole(at, message, now, out);
        } else {
            self.change(at, message.row, now, out);
        }
    }

    /// A snapshot of a pair's book.
    fn whole(&mut self, at: usize, message: Message, now: Ts, out: &mut Vec<Action>) {
        let Self { table, scratch, wanting, .. } = self;
        let Some(listed) = table.get_mut(at) else { return };
        let scales = listed.scales();
        let book = &mut listed.book;
        let sent = scratch.bids.len().max(scratch.asks.len());
        let fits = DEPTHS.into_iter().find(|depth| *depth >= sent).unwrap_or(sent);
        // A snapshot of more levels than were asked for is of a deeper subscription, as in front of a recording.
        let asked = book.depth.or(wanting.then_some(DEPTH)).filter(|depth| *depth >= sent);
        let depth = message.depth.or(asked).unwrap_or(fits);
        book.depth = Some(depth);
        book.ladders.clear();
        for (side, levels) in SIDES.into_iter().zip([&scratch.bids, &scratch.asks]) {
            for level in levels {
                book.ladders.set(side, *level);
            }
            book.ladders.cut(side, depth, |_| ());
        }
        book.digits = match message.row.checksum {
            Some(sum) => book.ladders.digits(scales, sum),
            None => message.digits,
        };
        let right = message.row.checksum.is_none() || book.digits.is_some();
        if !right && *wanting {
            listed.gap(GapCause::Checksum, None, now, out);
            let words = "the checksum of the snapshot is wrong";
            listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
            self.restart(at, now);
            return;
        }
        book.chain.snapshot(None);
        book.told = false;
        let mut all: Vec<Level> = book.ladders.best(Side::Bid).collect();
        let bids = all.len();
        all.extend(book.ladders.best(Side::Ask));
        let checksum = checksum(message.row.checksum, book.digits);
        let body = Body::Snapshot(Snapshot { seq: None, levels: Levels::new(all, bids), checksum, epoch: 0 });
        out.push(Action::Emit(event(&listed.instrument, Channel::Book, message.row.ts, now, body)));
        self.healed(at, now);
    }

    /// A change of a pair's book. Levels that fall out of the depth are told as removed; the venue does not say so.
    #[inline]
    fn change(&mut self, at: usize, row: BookRow, now: Ts, out: &mut Vec<Action>) {
        let Self { table, scratch, .. } = self;
        let Some(listed) = table.get_mut(at) else { return };
        let scales = listed.scales();
        let book = &mut listed.book;
        match book.chain.update(None) {
            Step::Apply(_) => {}
            Step::Gap(from_seq, to_seq) => {
                listed.tell_gap(Gap { cause: GapCause::Sequence, from_seq, to_seq }, now, out);
                return self.lost(at, "the book lost its numbers", now, out);
            }
            Step::Ignore | Step::Repeat => return early(listed, now, out),
        }
        let depth = book.depth.unwrap_or(DEPTH);
        let Scratch { bids, asks } = scratch;
        for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
            for level in levels.iter() {
                book.ladders.set(side, *level);
            }
            book.ladders.cut(side, depth, |px| levels.push(Level { px, qty: Qty(0) }));
        }
        let right = match (row.checksum, book.digits) {
            (Some(sum), Some(digits)) => book.ladders.checksum(scales, digits) == Some(sum),
            _ => true,
        };
        if !right {
            listed.gap(GapCause::Checksum, None, now, out);
            return self.lost(at, "the checksum is wrong", now, out);
        }
        let checksum = checksum(row.checksum, book.digits);
        let delta = Delta { prev_seq: None, seq: None, levels: scratch.levels(), checksum, epoch: 0 };
        out.push(Action::Emit(event(&listed.instrument, Channel::Book, row.ts, now, Body::Delta(delta))));
    }

    /// A book is lost and has been told so; it starts again.
    pub(super) fn lost(&mut self, at: usize, words: &str, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get_mut(at) {
            listed.book.chain.cool();
            if self.wanting {
                listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
            }
        }
        self.restart(at, now);
    }

    /// A frame of the derivatives' feed `book`.
    #[inline]
    pub(super) fn level(
        &mut self,
        at: usize,
        bytes: &[u8],
        f: &Frame<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        let change = loop {
            match futures::change(bytes, f, &listed.instrument) {
                Ok(change) => break change,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        };
        match listed.book.chain.update(Some(change.seq)) {
            Step::Apply(prev_seq) => {
                let levels = match change.side {
                    Side::Bid => Levels::new(vec![change.level], 1),
                    Side::Ask => Levels::new(vec![change.level], 0),
                };
                let delta = Delta { prev_seq, seq: Some(change.seq), levels, checksum: None, epoch: 0 };
                out.push(Action::Emit(event(
                    &listed.instrument,
                    Channel::Book,
                    change.ts,
                    now,
                    Body::Delta(delta),
                )));
            }
            Step::Repeat => out.push(Action::Control("a change that came twice")),
            Step::Ignore => early(listed, now, out),
            Step::Gap(from_seq, to_seq) => {
                listed.tell_gap(Gap { cause: GapCause::Sequence, from_seq, to_seq }, now, out);
                self.lost(at, "numbers are missing", now, out);
            }
        }
        Ok(())
    }

    /// A frame of the derivatives' feed `book_snapshot`.
    ///
    /// `{"feed":"book_snapshot","product_id":"PF_XBTUSD","timestamp":1760000000000,"seq":500,"tickSize":null,"bids":[{"price":64010.0,"qty":0.9}],"asks":[{"price":64011.0,"qty":1.5}]}`
    pub(super) fn levels(
        &mut self,
        at: usize,
        bytes: &[u8],
        f: &Frame<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let seq = parse::unsigned(need(f.seq, "seq")?, 0)?;
        let Self { table, notes, scratch, .. } = self;
        let Some(listed) = table.get_mut(at) else { return Ok(()) };
        loop {
            scratch.clear();
            let scales = listed.scales();
            let mut sides = 0;
            let read = Cursor::new(bytes).object(|c, key| {
                match key {
                    b"bids" | b"asks" => {
                        sides += 1;
                        let into = if key == b"bids" { &mut scratch.bids } else { &mut scratch.asks };
                        futures::levels(c, scales, into)?;
                    }
                    b"feed" | b"product_id" | b"timestamp" | b"seq" | b"tickSize" => _ = c.skip()?,
                    _ => {
                        c.skip()?;
                        notes.unknown(b"book_snapshot", key, out);
                    }
                }
                Ok(())
            });
            match read {
                Ok(()) if sides == 0 => {
                    return Err(Malformed { at: 0, what: What::Missing("bids and asks") });
                }
                Ok(()) => break,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        }
        scratch.bids.sort_unstable_by_key(|l| std::cmp::Reverse(l.px));
        scratch.asks.sort_unstable_by_key(|l| l.px);
        listed.book.chain.snapshot(Some(seq));
        listed.book.told = false;
        let ts = f.timestamp.and_then(crate::time::millis);
        let body =
            Body::Snapshot(Snapshot { seq: Some(seq), levels: scratch.levels(), checksum: None, epoch: 0 });
        out.push(Action::Emit(event(&listed.instrument, Channel::Book, ts, now, body)));
        self.healed(at, now);
        Ok(())
    }
}

/// A change came while the book waits for its snapshot.
fn early(listed: &mut Listed, now: Ts, out: &mut Vec<Action>) {
    out.push(Action::Control("a change of a book that waits for its snapshot"));
    if !std::mem::replace(&mut listed.book.told, true) {
        let words = "changes came, and no snapshot yet";
        listed.fact(Channel::Book, LaneFact::Syncing(words.into()), now, out);
    }
}

fn checksum(sum: Option<u32>, digits: Option<(Scale, Scale)>) -> Option<Checksum> {
    let ((px_scale, qty_scale), value) = digits.zip(sum)?;
    Some(Checksum { kind: ChecksumKind::Crc32Digits10 { px_scale, qty_scale }, value })
}
