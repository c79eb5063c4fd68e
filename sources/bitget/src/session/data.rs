//! The data of frames to events.

use super::table::Listed;
use super::{BitgetSession, books, place_of, skip};
use crate::emit::{Sink, event};
use crate::parse::{self, Arg, Head, Kind, Result, each};
use crate::product::Product;
use crate::rows::{self, Ticker};
use model::{Body, Channel, OpenInterest, Ts};
use source::{Action, Cursor, What};

/// How many rows of bars a frame may hold.
const BARS_MAX: usize = 4_096;

impl BitgetSession {
    /// The data of one frame.
    pub(super) fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(arg) = head.arg else { return Err(c.fault(What::Missing("arg"))) };
        if arg.kind == Kind::Other {
            self.notes.unknown(b"channel", arg.channel, out);
            return skip(c);
        }
        let Some((product, symbol)) = place_of(arg) else {
            self.notes.unknown(b"instType", arg.inst_type, out);
            return skip(c);
        };
        if arg.kind == Kind::Liquidations {
            return self.liquidations(product, c, now, out);
        }
        let Some(at) = self.table.place(product, symbol) else {
            if !self.wanting {
                return Err(c.fault(What::Rule("instId is no symbol")));
            }
            out.push(Action::Control("data of an instrument that is not wanted"));
            return skip(c);
        };
        if self.wanting && !self.table.get(at).is_some_and(|listed| feeds(listed, arg.kind)) {
            out.push(Action::Control("data of a channel that is not wanted"));
            return skip(c);
        }
        let action = head.action.unwrap_or_default();
        if arg.kind == Kind::Book {
            return self.book(at, (arg, action), c, now, out);
        }
        self.heard(at, arg.kind, now);
        self.rows(at, (arg, action), c, now, out)
    }

    /// Rows of all but books. A number that does not fit widens the definition, and they are read again.
    fn rows<'a>(
        &mut self,
        at: usize,
        (arg, action): (Arg<'a>, &'a [u8]),
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let wanting = self.wanting;
        let Some(listed) = self.table.get_mut(at) else { return skip(c) };
        let (start, mark) = (c.clone(), out.len());
        loop {
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let read = match arg.kind {
                Kind::Trades => trades(c, listed, &mut sink),
                Kind::Quote => books::quotes(c, listed, &mut self.scratch, &mut sink),
                Kind::BookTop => books::tops(c, listed, &mut self.scratch, &mut sink),
                Kind::Ticker => tickers(c, listed, wanting, &mut sink),
                Kind::Bars => bars(c, (arg, action), listed, wanting, &mut sink),
                Kind::Book | Kind::Liquidations | Kind::Other => skip(c),
            };
            let Err(fault) = read else {
                if action == b"snapshot" && arg.kind == Kind::Trades {
                    oldest_first(out.get_mut(mark..).unwrap_or_default());
                }
                return Ok(());
            };
            let kept = out.len();
            if let Err(fault) = listed.widen(&fault, now, out) {
                take_back(out, mark, kept);
                return Err(fault);
            }
            take_back(out, mark, kept);
            *c = start.clone();
        }
    }

    fn liquidations(
        &mut self,
        product: &'static Product,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let (table, wanting) = (&mut self.table, self.wanting);
        let mut sink = Sink { now, out, notes: &mut self.notes };
        let mut stranger = false;
        rows::liquidations(c, &mut sink, |symbol, order, ts, sink| {
            let Some(listed) = table.place(product, symbol).and_then(|at| table.get(at)) else {
                stranger |= !wanting;
                return;
            };
            if !wanting || listed.wants(Channel::Liquidations) {
                let body = Body::Liquidation(Box::new(order));
                sink.emit(&listed.instrument, Channel::Liquidations, ts, body);
            }
        })?;
        if stranger { Err(c.fault(What::Rule("symbol is no symbol"))) } else { Ok(()) }
    }

    /// A definition that was listed.
    pub(super) fn install(&mut self, made: model::Instrument, now: Ts, out: &mut Vec<Action>) {
        let place = Product::named(&made.product).and_then(|p| self.table.place(p, made.symbol.as_bytes()));
        let Some(listed) = place.and_then(|at| self.table.get_mut(at)) else { return };
        if *listed.instrument != made {
            listed.instrument = made.into();
            let told = event(&listed.instrument, Channel::Instruments, None, now, Body::Instrument);
            out.push(Action::Emit(told));
        }
    }
}

const TOLD_BY_TICKER: [Channel; 5] =
    [Channel::DayStats, Channel::MarkPrice, Channel::IndexPrice, Channel::Funding, Channel::OpenInterest];

/// Whether a channel of the venue feeds something that is wanted.
#[inline]
fn feeds(listed: &Listed, kind: Kind) -> bool {
    match kind {
        Kind::Trades => listed.wants(Channel::Trades),
        Kind::Book => listed.wants(Channel::Book),
        Kind::BookTop => listed.wants(Channel::BookTop),
        Kind::Quote => listed.wants(Channel::Quote),
        Kind::Bars => listed.wants(Channel::Bars),
        Kind::Ticker => TOLD_BY_TICKER.iter().any(|channel| listed.wants(*channel)),
        Kind::Liquidations | Kind::Other => false,
    }
}

fn trades(c: &mut Cursor<'_>, listed: &mut Listed, sink: &mut Sink<'_>) -> Result<()> {
    let (instrument, unnamed) = listed.trading();
    let before = *unnamed;
    let read = parse::trades(c, instrument, sink, |ts| Listed::name_trade(unnamed, ts));
    if read.is_err() {
        *unnamed = before;
    }
    read
}

fn tickers(c: &mut Cursor<'_>, listed: &mut Listed, wanting: bool, sink: &mut Sink<'_>) -> Result<()> {
    each(c, |c| {
        let quoted = !wanting && !listed.quoted;
        let row = rows::ticker(c, &listed.instrument, quoted, sink)?;
        tell(row, listed, wanting, sink);
        Ok(())
    })
}

/// Emits all of a ticker that somebody wants; of a recording everything.
fn tell(row: Ticker, listed: &Listed, wanting: bool, sink: &mut Sink<'_>) {
    let Ticker { ts, stats, mark, index, funding, open_interest, quote } = row;
    let mut emit = |channel: Channel, body: Body| {
        if !wanting || listed.wants(channel) {
            sink.emit(&listed.instrument, channel, ts, body);
        }
    };
    emit(Channel::DayStats, Body::DayStats(Box::new(stats)));
    if let Some(px) = mark {
        emit(Channel::MarkPrice, Body::MarkPrice(px));
    }
    if let Some(px) = index {
        emit(Channel::IndexPrice, Body::IndexPrice(px));
    }
    if let Some(funding) = funding {
        emit(Channel::Funding, Body::Funding(Box::new(funding)));
    }
    if let Some(qty) = open_interest {
        emit(Channel::OpenInterest, Body::OpenInterest(OpenInterest { qty, value: None }));
    }
    if let Some(quote) = quote {
        emit(Channel::Quote, Body::Quote(quote));
    }
}

/// Bars of one frame, oldest first. The venue does not say when a bar is over: it is when one that begins later comes.
/// Of the past that comes first only what follows the newest bar known is told; of a recording everything.
fn bars(
    c: &mut Cursor<'_>,
    (arg, action): (Arg<'_>, &[u8]),
    listed: &mut Listed,
    wanting: bool,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let word = match arg.channel.strip_prefix(b"candle") {
        Some(word) => word,
        None => arg.interval,
    };
    let Some(interval) = rows::interval(word) else {
        sink.notes.unknown(b"interval", word, sink.out);
        return skip(c);
    };
    let mut all = Vec::new();
    each(c, |c| {
        if all.len() == BARS_MAX {
            return Err(c.fault(What::Rule("too many bars")));
        }
        all.push(rows::bar(c, interval, sink)?);
        Ok(())
    })?;
    all.sort_by_key(|bar| bar.start);
    let known = listed.bar.as_ref().filter(|bar| *bar.interval == *interval).map(|bar| bar.start);
    let newest = all.last().map(|bar| bar.start);
    let from = if wanting && action == b"snapshot" { known.or(newest) } else { None };
    for bar in all.into_iter().filter(|bar| from.is_none_or(|from| bar.start >= from)) {
        let last = listed.bar.take().filter(|last| *last.interval == *bar.interval);
        let mut bar = Box::new(bar);
        match last {
            Some(mut last) if last.start < bar.start => {
                last.closed = true;
                sink.emit(&listed.instrument, Channel::Bars, None, Body::Bar(last));
            }
            // A bar before the newest is over.
            Some(last) if last.start > bar.start => {
                listed.bar = Some(last);
                bar.closed = true;
                sink.emit(&listed.instrument, Channel::Bars, None, Body::Bar(bar));
                continue;
            }
            _ => {}
        }
        if Some(bar.start) == newest {
            sink.emit(&listed.instrument, Channel::Bars, None, Body::Bar(bar.clone()));
        }
        listed.bar = Some(bar);
    }
    Ok(())
}

/// Gives events without a time of their own the time of their frame.
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

/// The venue lists recent trades newest first.
fn oldest_first(actions: &mut [Action]) {
    let ts = |action: Option<&Action>| match action {
        Some(Action::Emit(event)) => event.stamp.ts_event,
        _ => None,
    };
    if ts(actions.first()) > ts(actions.last()) {
        actions.reverse();
    }
}

/// Takes out the events of rows that will be read again or were not read to their end; what else was said stands.
#[cold]
fn take_back(out: &mut Vec<Action>, from: usize, to: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        let ours = from < at && at <= to;
        !(ours && matches!(action, Action::Emit(event) if !matches!(event.body, Body::Instrument)))
    });
}
