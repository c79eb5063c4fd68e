//! Everything but books: trades, tickers, bars, definitions, states.

use super::KrakenSession;
use super::table::Listed;
use crate::emit::{Sink, event};
use crate::futures;
use crate::listing;
use crate::names;
use crate::parse::{self, Frame, Result};
use crate::rows::{self, tell_trade};
use crate::v1;
use model::{Bar, Body, Channel, DayStats, Instrument, OpenInterest, Quote, Status, Ts};
use source::{Action, Cursor, Malformed, What};

impl KrakenSession {
    /// The place of a symbol; `None` where nobody wants it.
    pub(super) fn place(&mut self, symbol: &[u8], out: &mut Vec<Action>) -> Result<Option<usize>> {
        match self.table.place(symbol) {
            Some(at) => Ok(Some(at)),
            None if self.wanting && listing::provisional(symbol).is_some() => {
                out.push(Action::Control("data of an instrument that is not wanted"));
                Ok(None)
            }
            None => Err(Malformed { at: 0, what: What::Rule("no symbol of this venue") }),
        }
    }

    /// The `data` of the channel `trade`.
    #[inline]
    pub(super) fn trades(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        c.array(|c| {
            let row = rows::trade(c, |key| self.notes.unknown(b"trade", key, out))?;
            let Some(at) = self.place(row.symbol, out)? else { return Ok(()) };
            let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(Channel::Trades)) else {
                return Ok(());
            };
            loop {
                let mut sink = Sink { now, out, notes: &mut self.notes };
                match row.read(&listed.instrument, &mut sink) {
                    Ok((trade, ts)) => {
                        tell_trade(&listed.instrument, trade, ts, &mut sink);
                        return Ok(());
                    }
                    Err(fault) => listed.widen(&fault, now, out)?,
                }
            }
        })
    }

    /// The `data` of the channel `ticker`.
    pub(super) fn tickers(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        c.array(|c| {
            let row = rows::ticker(c, |key| self.notes.unknown(b"ticker", key, out))?;
            let Some(at) = self.place(row.symbol, out)? else { return Ok(()) };
            let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
            let quote = loop {
                match row.quote(&listed.instrument) {
                    Ok(quote) => break quote,
                    Err(fault) => listed.widen(&fault, now, out)?,
                }
            };
            tell_quote(listed, quote, row.ts, now, out);
            tell_stats(listed, row.stats, row.ts, now, out);
            Ok(())
        })
    }

    /// The `data` of the channel `ohlc`.
    pub(super) fn bars(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        c.array(|c| {
            let (symbol, bar) = rows::ohlc(c, now, |key| self.notes.unknown(b"ohlc", key, out))?;
            let Some(at) = self.place(symbol, out)? else { return Ok(()) };
            let Some(bar) = bar else {
                self.notes.unknown(b"ohlc", b"interval", out);
                return Ok(());
            };
            if let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(Channel::Bars)) {
                tell_bar(listed, bar, None, now, out);
            }
            Ok(())
        })
    }

    /// The `data` of the channel `instrument`.
    pub(super) fn definitions(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        for made in listing::read_pairs(c.skip()?)? {
            self.install(made, now, out);
        }
        Ok(())
    }

    /// Puts a definition of the venue in force, where the instrument is known or everything is read.
    pub(super) fn install(&mut self, made: Instrument, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.place(made.symbol.as_bytes()) else { return };
        let Some(listed) = self.table.get_mut(at) else { return };
        let told = std::mem::replace(&mut listed.last.defined, true);
        // One whose row could not be read has only its status.
        let status = made.status.clone();
        let changed = *listed.instrument != made && !made.provisional;
        if changed {
            self.define(&made.into(), now, out);
        }
        let Some(listed) = self.table.get_mut(at) else { return };
        if (changed || !told) && listed.wants(Channel::Instruments) {
            let defined = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
            out.push(Action::Emit(defined));
        }
        tell_status(listed, status, self.system.as_ref(), None, now, out);
    }

    /// What is known already, for a lane that joins a subscription which told it before.
    pub(super) fn tell_known(&mut self, at: usize, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        match channel {
            Channel::Instruments => {
                let defined = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
                out.push(Action::Emit(defined));
            }
            Channel::Status => {
                let status = listed.instrument.status.clone();
                listed.last.status = None;
                tell_status(listed, status, self.system.as_ref(), None, now, out);
            }
            Channel::DayStats => listed.last.stats = None,
            Channel::Funding => listed.last.funding = None,
            Channel::OpenInterest => listed.last.open_interest = None,
            _ => {}
        }
    }

    /// The `data` of the channel `status`: how the whole venue is.
    ///
    /// `[{"api_version":"v2","connection_id":13834774380200032777,"system":"online","version":"2.0.10"}]`
    pub(super) fn system(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let mut word: &[u8] = b"";
        c.array(|c| {
            c.object(|c, key| {
                match key {
                    b"system" => word = c.str()?,
                    b"api_version" | b"connection_id" | b"version" => _ = c.skip()?,
                    _ => {
                        c.skip()?;
                        self.notes.unknown(b"status", key, out);
                    }
                }
                Ok(())
            })
        })?;
        out.push(Action::Control("status"));
        let new = match word {
            b"" | b"online" => None,
            b"maintenance" | b"cancel_only" => Some(Status::Halted),
            b"post_only" => Some(Status::PreOpen),
            other => Some(Status::Other(String::from_utf8_lossy(other).into())),
        };
        if self.system != new {
            self.system = new;
            for listed in self.table.all_mut().filter(|l| crate::subscribe::is_spot(&l.instrument)) {
                if listed.last.status.is_some() {
                    let status = listed.instrument.status.clone();
                    tell_status(listed, status, self.system.as_ref(), None, now, out);
                }
            }
        }
        Ok(())
    }

    /// A frame of the derivatives' feed `trade`, or a row of `trade_snapshot`.
    #[inline]
    pub(super) fn print(
        &mut self,
        at: usize,
        bytes: &[u8],
        f: &Frame<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        let print = loop {
            match futures::print(bytes, f, &listed.instrument) {
                Ok(print) => break print,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        };
        let mut sink = Sink { now, out, notes: &mut self.notes };
        if let Some(word) = f.word
            && !matches!(word, b"fill" | b"liquidation" | b"termination" | b"block" | b"assignment")
        {
            sink.value(b"trade", b"type", word);
        }
        if let Some(forced) = print.forced.filter(|_| listed.wants(Channel::Liquidations)) {
            sink.emit(
                &listed.instrument,
                Channel::Liquidations,
                print.ts,
                Body::Liquidation(Box::new(forced)),
            );
        }
        if listed.wants(Channel::Trades) {
            tell_trade(&listed.instrument, print.trade, print.ts, &mut sink);
        }
        Ok(())
    }

    /// A frame of the feed `trade_snapshot`: the newest first. They are told oldest first.
    pub(super) fn prints(&mut self, at: usize, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let mut rows: Vec<&[u8]> = Vec::new();
        Cursor::new(bytes).object(|c, key| {
            match key {
                b"trades" => c.array(|c| {
                    rows.push(c.skip()?);
                    Ok(())
                })?,
                b"feed" | b"product_id" => _ = c.skip()?,
                _ => {
                    c.skip()?;
                    self.notes.unknown(b"trade_snapshot", key, out);
                }
            }
            Ok(())
        })?;
        let mut found: Vec<(u64, Frame<'_>, &[u8])> = Vec::with_capacity(rows.len());
        for row in rows {
            let (f, read) = parse::frame(row, |_, _| Ok(false));
            read?;
            found.push((parse::unsigned(parse::need(f.seq, "seq")?, 0)?, f, row));
        }
        found.sort_by_key(|(seq, ..)| *seq);
        found.iter().try_for_each(|(_, f, row)| self.print(at, row, f, now, out))
    }

    /// A frame of the feeds `ticker` and `ticker_lite`.
    pub(super) fn statistics(
        &mut self,
        at: usize,
        bytes: &[u8],
        lite: bool,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        let t = futures::ticker(bytes, |key| self.notes.unknown(b"ticker", key, out))?;
        let quote = loop {
            match t.quote(&listed.instrument) {
                Ok(quote) => break quote,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        };
        if let Some(quote) = quote {
            tell_quote(listed, quote, t.ts, now, out);
        }
        let funding = t.funding(&listed.instrument, lite);
        let status = t.status();
        tell_stats(listed, t.stats, t.ts, now, out);
        let mut emit = |listed: &Listed, channel, body| {
            if listed.wants(channel) {
                out.push(Action::Emit(event(&listed.instrument, channel, t.ts, now, body)));
            }
        };
        if let Some(mark) = t.mark {
            emit(listed, Channel::MarkPrice, Body::MarkPrice(mark));
        }
        if let Some(index) = t.index {
            emit(listed, Channel::IndexPrice, Body::IndexPrice(index));
        }
        if let Some(funding) = funding.filter(|new| listed.last.funding.as_ref() != Some(new)) {
            listed.last.funding = Some(funding.clone());
            emit(listed, Channel::Funding, Body::Funding(Box::new(funding)));
        }
        if let Some(qty) = t.open_interest.filter(|new| listed.last.open_interest.as_ref() != Some(new)) {
            listed.last.open_interest = Some(qty);
            emit(listed, Channel::OpenInterest, Body::OpenInterest(OpenInterest { qty, value: None }));
        }
        if let Some(status) = status {
            tell_status(listed, status, None, t.ts, now, out);
        }
        Ok(())
    }

    /// A frame of the retired stream.
    pub(super) fn old(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let f = v1::frame(bytes)?;
        let Some(symbol) = names::symbol(f.pair) else {
            return Err(Malformed { at: 0, what: What::Rule("no symbol of this venue") });
        };
        let Some(at) = self.place(symbol.as_bytes(), out)? else { return Ok(()) };
        let name = f.channel.split('-').next().unwrap_or_default();
        if name == "book" {
            self.touched = Some(at);
            let wanted = self.table.get(at).is_some_and(|l| l.wants(Channel::Book));
            return if wanted { self.old_book(at, &f, now, out) } else { Ok(()) };
        }
        let Some(first) = f.payloads.first() else { return Ok(()) };
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        let before = out.len();
        loop {
            let mut c = first.clone();
            let read = match name {
                "trade" => {
                    let instrument = std::sync::Arc::clone(&listed.instrument);
                    v1::trades(&mut c, &instrument, |trade, ts| {
                        if listed.wants(Channel::Trades) {
                            let body = Body::Trade(trade);
                            out.push(Action::Emit(event(&instrument, Channel::Trades, Some(ts), now, body)));
                        }
                    })
                }
                "ticker" => v1::ticker(&mut c, &listed.instrument, |key| {
                    self.notes.unknown(b"ticker", key, out);
                })
                .map(|(stats, quote)| {
                    tell_quote(listed, quote, None, now, out);
                    tell_stats(listed, stats, None, now, out);
                }),
                "spread" => v1::spread(&mut c, &listed.instrument)
                    .map(|(quote, ts)| tell_quote(listed, quote, ts, now, out)),
                "ohlc" => v1::ohlc(&mut c, f.channel, now).map(|bar| match bar {
                    Some((bar, ts)) => tell_bar(listed, bar, ts, now, out),
                    None => self.notes.unknown(b"ohlc", f.channel.as_bytes(), out),
                }),
                other => {
                    self.notes.unknown(b"channel", other.as_bytes(), out);
                    Ok(())
                }
            };
            let Err(fault) = read else { return Ok(()) };
            super::harm::take_back(out, before);
            listed.widen(&fault, now, out)?;
        }
    }
}

/// Emits best bid and offer, where wanted.
fn tell_quote(listed: &Listed, quote: Quote, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
    if listed.wants(Channel::Quote) {
        out.push(Action::Emit(event(&listed.instrument, Channel::Quote, ts, now, Body::Quote(quote))));
    }
}

/// Emits statistics where wanted and other than those told last: they come with every change of the best prices.
fn tell_stats(listed: &mut Listed, stats: DayStats, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
    if !listed.wants(Channel::DayStats) || listed.last.stats.as_ref() == Some(&stats) {
        return;
    }
    listed.last.stats = Some(stats.clone());
    let body = Body::DayStats(Box::new(stats));
    out.push(Action::Emit(event(&listed.instrument, Channel::DayStats, ts, now, body)));
}

/// Emits a bar; the one before it, where a new one begins, is over. The venue does not say so.
pub(super) fn tell_bar(listed: &mut Listed, bar: Bar, ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
    let mut emit = |bar: Bar| {
        out.push(Action::Emit(event(&listed.instrument, Channel::Bars, ts, now, Body::Bar(Box::new(bar)))));
    };
    let last = &mut listed.last;
    if let Some(before) = last.bar.take()
        && before.interval == bar.interval
        && before.start < bar.start
        && !before.closed
        && last.closed_bar < Some(before.start)
    {
        last.closed_bar = Some(before.start);
        emit(Bar { closed: true, ..before });
    }
    if bar.closed {
        last.closed_bar = last.closed_bar.max(Some(bar.start));
    }
    last.bar = Some(bar.clone());
    emit(bar);
}

/// Emits whether it trades, where wanted and other than told last. A state of the whole venue goes before.
fn tell_status(
    listed: &mut Listed,
    own: Status,
    system: Option<&Status>,
    ts: Option<Ts>,
    now: Ts,
    out: &mut Vec<Action>,
) {
    let status = system.cloned().unwrap_or(own);
    if !listed.wants(Channel::Status) || listed.last.status.as_ref() == Some(&status) {
        return;
    }
    listed.last.status = Some(status.clone());
    out.push(Action::Emit(event(&listed.instrument, Channel::Status, ts, now, Body::Status(status))));
}
