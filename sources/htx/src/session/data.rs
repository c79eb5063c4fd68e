//! The data of frames to events.

use super::HtxSession;
use super::lanes::Sub;
use crate::emit::{Sink, event};
use crate::listing;
use crate::number::Numbers;
use crate::parse::{self, Head, Result};
use crate::product::Product;
use crate::rows::{self, Sums};
use crate::topic::{Kind, topic as taken_apart};
use model::{Bar, Body, Channel, Event, Instrument, Ts};
use source::{Action, Cursor, What};
use std::sync::Arc;

impl HtxSession {
    /// The data of one frame.
    pub(super) fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(text) = head.topic else { return skip(c) };
        let Some(n) = self.lanes.find(text) else { return self.stranger(head, text, c, now, out) };
        let Some(sub) = self.lanes.subs.get(n) else { return skip(c) };
        if self.wanting && sub.lanes.is_empty() {
            out.push(Action::Control("data of a topic that is not wanted"));
            return skip(c);
        }
        match sub.topic.kind {
            Kind::Mbp | Kind::HighFreq | Kind::Whole => self.book(n, head, c, now, out),
            kind @ (Kind::Funding | Kind::Liquidations | Kind::Contracts | Kind::OpenInterest) => {
                self.notices(kind, c, now, out)?;
                self.heard(n, now);
                Ok(())
            }
            _ => {
                self.rows(n, c, now, out)?;
                self.heard(n, now);
                Ok(())
            }
        }
    }

    /// Data of a topic that was not subscribed to; a recording takes it up.
    #[cold]
    fn stranger<'a>(
        &mut self,
        head: &Head<'a>,
        text: &'a [u8],
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let topic = taken_apart(text);
        match topic.kind {
            Kind::Aside(what) => {
                out.push(Action::Control(what));
                return skip(c);
            }
            Kind::Other => {
                let name = text.split(|b| *b == b'.').skip(2).collect::<Vec<_>>().join(&b'.');
                self.notes.unknown(b"topic", &name, out);
                return skip(c);
            }
            // A topic of all, or of a coin: its rows say of what they are.
            Kind::Funding | Kind::Liquidations | Kind::Contracts | Kind::OpenInterest => {
                return self.notices(topic.kind, c, now, out);
            }
            Kind::Tickers => return self.tickers(c, now, out),
            _ if self.wanting => {
                out.push(Action::Control("data of a topic that is not wanted"));
                return skip(c);
            }
            _ => {}
        }
        let at = self.table.place(topic.symbol);
        let Some(n) = at.and_then(|at| self.lanes.grow(text, topic.kind, at)) else {
            return Err(c.fault(What::Rule("the topic names no symbol")));
        };
        match topic.kind {
            Kind::Mbp | Kind::HighFreq | Kind::Whole => self.book(n, head, c, now, out),
            _ => self.rows(n, c, now, out),
        }
    }

    /// The `tick` of all but books. A number that does not fit widens the definition, and it is read again.
    fn rows(&mut self, n: usize, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let Some(sub) = self.lanes.subs.get_mut(n) else { return skip(c) };
        let (start, mark) = (c.clone(), out.len());
        loop {
            let Some(listed) = self.table.get(sub.at) else { return skip(c) };
            let (instrument, product) = (&listed.instrument, listed.product);
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let read = match sub.topic.kind {
                Kind::Trades => trades(c, listed.numbers(), sub, &mut sink),
                Kind::Quote => rows::quote(c, listed.numbers(), &mut sink),
                Kind::DayStats => rows::day_stats(c, product, instrument, &mut sink),
                Kind::Bars => rows::bar(c, product, &sub.interval, &mut sink)
                    .map(|bar| newest(instrument, sub, bar, &mut sink)),
                Kind::MarkPrice | Kind::IndexPrice => {
                    let mark = sub.topic.kind == Kind::MarkPrice;
                    let place: &[u8] = if mark { b"mark_price" } else { b"index" };
                    rows::last(c, place, &mut sink).map(|px| {
                        for listed in sub.lanes.iter().filter_map(|(at, _)| self.table.get(*at)) {
                            let (channel, body) = if mark {
                                (Channel::MarkPrice, Body::MarkPrice(px))
                            } else {
                                (Channel::IndexPrice, Body::IndexPrice(px))
                            };
                            sink.emit(&listed.instrument, channel, None, body);
                        }
                    })
                }
                _ => skip(c),
            };
            let Err(fault) = read else { return Ok(()) };
            let kept = out.len();
            let widened = match self.table.get_mut(sub.at) {
                Some(listed) => listed.widen(&fault, now, out),
                None => Err(fault),
            };
            take_back(out, mark, kept);
            widened?;
            *c = start.clone();
        }
    }

    /// Rows that say themselves of what they are.
    pub(super) fn notices(
        &mut self,
        kind: Kind,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let mark = out.len();
        let read = c.array(|c| {
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let (code, channel, ts, body) = match kind {
                Kind::Funding => {
                    let (of, ts, row) = rows::funding(c, &mut sink)?;
                    (of.code, Channel::Funding, ts, Some(Body::Funding(Box::new(row))))
                }
                Kind::Liquidations => {
                    let (of, ts, row) = rows::liquidation(c, &mut sink)?;
                    (of.code, Channel::Liquidations, ts, row.map(|row| Body::Liquidation(Box::new(row))))
                }
                Kind::OpenInterest => {
                    let (of, row) = rows::open_interest(c, &mut sink)?;
                    (of.code, Channel::OpenInterest, None, Some(Body::OpenInterest(row)))
                }
                _ => {
                    let row = c.skip()?;
                    let made = listing::contract(row).ok_or_else(|| c.fault(What::Rule("no contract")))?;
                    self.contract(made, now, out);
                    return Ok(());
                }
            };
            let (table, wanting) = (&mut self.table, self.wanting);
            match table.place(code).and_then(|at| table.get(at)) {
                Some(listed) if !wanting || listed.wants(channel) => {
                    if let Some(body) = body {
                        sink.emit(&listed.instrument, channel, ts, body);
                    }
                    Ok(())
                }
                None if !wanting => Err(c.fault(What::Rule("contract_code is no symbol"))),
                _ => Ok(()),
            }
        });
        if read.is_err() {
            let kept = out.len();
            take_back(out, mark, kept);
        }
        read
    }

    /// A contract as the venue lists it now.
    fn contract(&mut self, made: Instrument, now: Ts, out: &mut Vec<Action>) {
        let status = made.status.clone();
        let wanting = self.wanting;
        let Some(at) = self.table.place(made.symbol.as_bytes()) else { return };
        let told = self.table.get(at).is_some_and(|l| !wanting || l.wants(Channel::Instruments));
        if told {
            self.install(made, now, out);
        }
        let Some(listed) = self.table.get(at) else { return };
        if !wanting || listed.wants(Channel::Status) {
            let told = event(&listed.instrument, Channel::Status, None, now, Body::Status(status));
            out.push(Action::Emit(told));
        }
    }

    /// A definition that was listed.
    pub(super) fn install(&mut self, made: Instrument, now: Ts, out: &mut Vec<Action>) {
        let place = self.table.place(made.symbol.as_bytes());
        let Some(listed) = place.and_then(|at| self.table.get_mut(at)) else { return };
        // A definition that was widened stays as wide: a book is held at its scales.
        let old = &listed.instrument;
        let scales = (made.px_scale.max(old.px_scale), made.qty_scale.max(old.qty_scale));
        let made = if old.provisional && listed.book.chain.live() {
            Instrument { px_scale: scales.0, qty_scale: scales.1, ..made }
        } else {
            made
        };
        if *listed.instrument != made {
            listed.instrument = Arc::new(made);
            let told = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
            out.push(Action::Emit(told));
        }
    }

    /// `[{"symbol":"tinyusdt","open":7.1E-4,"high":0.00102,"low":6.95E-4,"close":8.4E-4,"amount":4.125E8,"vol":346500.125,"count":8123}]`
    fn tickers(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        c.array(|c| {
            let mut symbol = &b""[..];
            let notes = &mut self.notes;
            let sums = Sums::read(c, Product::Spot, |c, key| {
                if key == b"symbol" {
                    symbol = c.str()?;
                    return Ok(());
                }
                notes.unknown(b"tickers", key, out);
                skip(c)
            })?;
            let (table, wanting) = (&mut self.table, self.wanting);
            let Some(listed) = table.place(symbol).and_then(|at| table.get(at)) else { return Ok(()) };
            if !wanting || listed.wants(Channel::DayStats) {
                let body = Body::DayStats(Box::new(sums.day(Product::Spot)));
                out.push(Action::Emit(event(&listed.instrument, Channel::DayStats, None, now, body)));
            }
            Ok(())
        })
    }
}

fn trades(c: &mut Cursor<'_>, numbers: Numbers<'_>, sub: &mut Sub, sink: &mut Sink<'_>) -> Result<()> {
    let old = parse::trades(c, numbers, sub.since, sink)?;
    sub.since = None;
    if old > 0 {
        sink.out.push(Action::Control("the last trade before the subscription"));
    }
    Ok(())
}

/// The venue does not say that a bar is over: it is when a later one begins.
fn newest(instrument: &Arc<Instrument>, sub: &mut Sub, bar: Bar, sink: &mut Sink<'_>) {
    let bar = Box::new(bar);
    match sub.bar.take() {
        Some(before) if before.start > bar.start => {
            sub.bar = Some(before);
            sink.out.push(Action::Control("a bar older than the newest"));
            return;
        }
        Some(before) if before.start < bar.start => {
            sink.emit(instrument, Channel::Bars, None, Body::Bar(Box::new(Bar { closed: true, ..*before })));
        }
        _ => {}
    }
    sub.bar = Some(bar.clone());
    sink.emit(instrument, Channel::Bars, None, Body::Bar(bar));
}

/// Gives events of a frame its time, where their rows had none.
#[inline]
pub(super) fn stamp(actions: &mut [Action], ts: Ts) {
    for action in actions {
        if let Action::Emit(event) = action
            && event.stamp.ts_event.is_none()
            && !matches!(event.body, Body::Lane(_) | Body::Gap(_) | Body::Instrument)
        {
            event.stamp.ts_event = Some(ts);
        }
    }
}

/// Takes out events of a frame that could not be read to its end, where their time would have stood.
#[cold]
pub(super) fn forget_timeless(out: &mut Vec<Action>, from: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        let timeless = |e: &Event| {
            let said = matches!(e.body, Body::Lane(_) | Body::Gap(_) | Body::Instrument);
            e.stamp.ts_event.is_none() && !said && !e.channel.is_book()
        };
        !(from < at && matches!(action, Action::Emit(e) if timeless(e)))
    });
}

/// Takes out the events of a part that could not be read, or will be read again; what else was said stands.
#[cold]
fn take_back(out: &mut Vec<Action>, from: usize, to: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        !(from < at && at <= to && matches!(action, Action::Emit(e) if !matches!(e.body, Body::Instrument)))
    });
}

fn skip(c: &mut Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}
