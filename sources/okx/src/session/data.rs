//! The data of a frame: to the reader of its channel, for the instruments that are wanted.

use super::{OkxSession, books};
use crate::emit::{Sink, event};
use crate::parse::{self, Arg, Head, Kind, Result};
use crate::{listing, poll, rows};
use model::{Body, Channel, Ts};
use source::{Action, Cursor, What};

impl OkxSession {
    /// The data of one frame. A number that does not fit widens the definition, and the data are read again.
    pub(super) fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(arg) = head.arg else { return Err(c.fault(What::Missing("arg"))) };
        match arg.kind {
            Kind::Book(feed) => {
                let Some(at) = self.instrument(arg.inst, arg.kind.channel(), c, out)? else { return skip(c) };
                self.book(at, feed, head.action.unwrap_or_default(), c, now, out)
            }
            Kind::Other => {
                self.notes.unknown(b"channel", arg.channel, out);
                skip(c)
            }
            Kind::Liquidations | Kind::Greeks => self.by_row(arg.kind, c, now, out),
            Kind::Instruments => self.definitions(c, now, out),
            Kind::IndexPrice => {
                let targets = self.targets(arg.inst, c)?;
                rows::index_price(c, &targets, &mut Sink { now, out, notes: &mut self.notes })
            }
            _ => {
                let Some(at) = self.instrument(arg.inst, arg.kind.channel(), c, out)? else { return skip(c) };
                self.rows(at, arg, c, now, out)
            }
        }
    }

    /// The place of an instrument in the table; `None` where nobody wants it, or not that channel of it.
    pub(super) fn instrument(
        &mut self,
        symbol: &[u8],
        channel: Option<Channel>,
        c: &Cursor<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<usize>> {
        let found = self.table.place(symbol);
        let listed = found.and_then(|at| self.table.get(at)).filter(|_| self.wanting);
        if let (Some(listed), Some(channel)) = (listed, channel)
            && !listed.wants(channel)
        {
            out.push(Action::Control("data of a channel that is not wanted"));
            return Ok(None);
        }
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
                Kind::Book(_)
                | Kind::IndexPrice
                | Kind::Liquidations
                | Kind::Greeks
                | Kind::Instruments
                | Kind::Other => skip(c),
            };
            let Err(fault) = read else { return Ok(()) };
            let kept = out.len();
            listed.widen(&fault, now, out)?;
            take_back(out, mark, kept);
            *c = start.clone();
        }
    }

    /// Rows that name each its instrument: what is wanted of them is told.
    fn by_row(&mut self, kind: Kind, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (table, wanting) = (&mut self.table, self.wanting);
        let mut sink = Sink { now, out, notes: &mut self.notes };
        let mut stranger = false;
        let tell = |symbol: &[u8], body: Body, ts: Option<Ts>, sink: &mut Sink<'_>| {
            let listed = table.place(symbol).and_then(|at| table.get(at));
            stranger |= listed.is_none() && !wanting;
            let (Some(listed), Some(channel)) = (listed, kind.channel()) else { return };
            if !wanting || listed.wants(channel) {
                sink.emit(&listed.instrument, channel, ts, body);
            }
        };
        match kind {
            Kind::Greeks => rows::greeks(c, &mut sink, tell)?,
            _ => rows::liquidations(c, &mut sink, tell)?,
        }
        if stranger { Err(c.fault(What::Rule("instId is no symbol"))) } else { Ok(()) }
    }

    /// A ratio in a recording; in a live connection another session asks for it.
    pub(super) fn ratio(&mut self, path: &str, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        match poll::ratio(body) {
            Ok(newest) => {
                let place = self.table.place(books::symbol_in(path));
                let Some(listed) = place.and_then(|at| self.table.get_mut(at)) else { return };
                let news = newest.filter(|(ts, _)| listed.ratio_at.is_none_or(|told| told < *ts));
                if let Some((ts, ratio)) = news {
                    listed.ratio_at = Some(ts);
                    let body = Body::LongShortRatio(Box::new(ratio));
                    let told = event(&listed.instrument, Channel::LongShortRatio, Some(ts), now, body);
                    out.push(Action::Emit(told));
                }
            }
            Err(fault) => out.push(Action::Malformed(fault)),
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

    pub(super) fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
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
        if !self.wanting || listed.wants(Channel::Status) {
            listed.tell_status(now, out);
        }
    }
}

/// Takes out the events of a frame that will be read again; what else was said stands.
#[cold]
pub(super) fn take_back(out: &mut Vec<Action>, from: usize, to: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        !(from < at && at <= to && matches!(action, Action::Emit(_)))
    });
}

pub(super) fn skip(c: &mut Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}
