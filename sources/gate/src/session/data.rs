//! The data of frames, channel by channel.

use super::GateSession;
use super::books::Change;
use crate::parse::{Head, Kind, Result, find};
use crate::product::Product;
use crate::rows::{self, INTERVALS, Print, RATIOS, Stats, Ticker};
use model::{Body, Channel, Funding, LongShortRatio, OpenInterest, Snapshot, Ts};
use source::{Action, Cursor, What};

/// Names of the field that says what a row is of.
const SYMBOLS: [&[u8]; 3] = [b"s", b"contract", b"currency_pair"];

fn skip(c: &mut Cursor<'_>) -> Result<()> {
    c.skip().map(|_| ())
}

/// Calls `row` at each row of an array, or at the only one.
#[inline]
fn each<'a>(c: &mut Cursor<'a>, mut row: impl FnMut(&mut Cursor<'a>) -> Result<()>) -> Result<()> {
    if c.peek() == Some(b'[') { c.array(row) } else { row(c) }
}

impl GateSession {
    /// The result of a frame. A change of a book is handed on, so that a frame that breaks after it changes nothing.
    pub(super) fn data<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        change: &mut Option<Change<'a>>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some((spot, kind)) = head.kind else { return skip(c) };
        match kind {
            Kind::Update | Kind::Pushed => self.book(spot, kind == Kind::Pushed, c, change, now, out),
            Kind::Trades => each(c, |c| self.trade(spot, c, now, out)),
            Kind::Quote => each(c, |c| self.quote(spot, c, now, out)),
            Kind::Top => self.top(spot, c, now, out),
            Kind::Tickers => each(c, |c| self.ticker(spot, head.ts, c, now, out)),
            Kind::Bars => each(c, |c| self.bar(spot, head.ts, c, now, out)),
            Kind::Liquidations => each(c, |c| self.liquidation(head.ts, c, now, out)),
            Kind::Stats => each(c, |c| self.stats(c, now, out)),
            Kind::Other => {
                self.notes.unknown(b"channel", head.channel, out);
                skip(c)
            }
            Kind::Pong => skip(c),
        }
    }

    #[inline]
    fn place(&mut self, spot: bool, symbol: &[u8]) -> Option<usize> {
        let product = if spot { Product::Spot } else { self.product(spot, symbol) };
        self.table.place(product, symbol)
    }

    /// The place of what a row is of; `None` where this channel of it is not wanted, and then the row is passed over.
    #[inline]
    fn wanted(
        &mut self,
        spot: bool,
        symbol: &[u8],
        channel: Channel,
        out: &mut Vec<Action>,
    ) -> Option<usize> {
        let at = self.place(spot, symbol);
        let wanted = at.filter(|at| self.table.get(*at).is_some_and(|l| l.wants(channel)));
        if wanted.is_none() {
            out.push(Action::Control("data that nobody wants"));
        }
        wanted
    }

    fn book<'a>(
        &mut self,
        spot: bool,
        pushed: bool,
        c: &mut Cursor<'a>,
        change: &mut Option<Change<'a>>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(name) = find(c, &SYMBOLS) else { return Err(c.fault(What::Missing("s"))) };
        let symbol = if pushed { pushed_symbol(name) } else { Some(name) };
        let Some(symbol) = symbol else { return Err(c.fault(What::Rule("s is no pushed book"))) };
        let Some(at) = self.wanted(spot, symbol, Channel::Book, out) else { return skip(c) };
        self.at_hand = Some(at);
        let start = c.clone();
        let row = self.read_book(at, c, now, out)?;
        *change = Some(Change { at, row, pushed, payload: start.between(c) });
        Ok(())
    }

    /// Whole books of a few levels. Futures send changes of another kind behind the first one.
    fn top(&mut self, spot: bool, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        if c.peek() == Some(b'[') {
            out.push(Action::Control("change of the retired book channel"));
            return skip(c);
        }
        let Some(symbol) = find(c, &SYMBOLS) else { return Err(c.fault(What::Missing("s"))) };
        let Some(at) = self.wanted(spot, symbol, Channel::BookTop, out) else { return skip(c) };
        let row = self.read_book(at, c, now, out)?;
        if let Some(listed) = self.table.get(at) {
            let levels = self.sides.sorted();
            let snapshot = Snapshot { seq: row.last, levels, checksum: None, epoch: 0 };
            listed.emit(Channel::BookTop, row.ts, now, Body::Snapshot(snapshot), out);
        }
        Ok(())
    }

    #[inline]
    fn trade(&mut self, spot: bool, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let notes = &mut self.notes;
        let print = Print::read(c, |key| notes.unknown(b"trades", key, out))?;
        if let Some(side) = print.odd_side() {
            self.notes.unknown(b"trades.side", side, out);
        }
        if print.internal {
            out.push(Action::Control("trade inside the venue"));
            return Ok(());
        }
        let Some(at) = self.wanted(spot, print.symbol, Channel::Trades, out) else { return Ok(()) };
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        loop {
            match print.trade(&listed.instrument) {
                Ok(trade) => {
                    listed.emit(Channel::Trades, print.ts, now, Body::Trade(trade), out);
                    return Ok(());
                }
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        }
    }

    #[inline]
    fn quote(&mut self, spot: bool, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let Some(symbol) = find(c, &SYMBOLS) else { return Err(c.fault(What::Missing("s"))) };
        let Some(at) = self.wanted(spot, symbol, Channel::Quote, out) else { return skip(c) };
        let Some(listed) = self.table.get_mut(at) else { return skip(c) };
        let start = c.clone();
        loop {
            let notes = &mut self.notes;
            match rows::quote(c, &listed.instrument, |key| notes.unknown(b"book_ticker", key, out)) {
                Ok((quote, ts)) => {
                    listed.emit(Channel::Quote, ts, now, Body::Quote(quote), out);
                    return Ok(());
                }
                Err(fault) => listed.widen(&fault, now, out)?,
            }
            *c = start.clone();
        }
    }

    /// One ticker feeds several channels.
    fn ticker(
        &mut self,
        spot: bool,
        ts: Option<Ts>,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let notes = &mut self.notes;
        let t = Ticker::read(c, |key| notes.unknown(b"tickers", key, out))?;
        let Some(listed) = self.place(spot, t.symbol).and_then(|at| self.table.get(at)) else {
            out.push(Action::Control("data that nobody wants"));
            return Ok(());
        };
        let perpetual = matches!(listed.product, Product::Usdt | Product::Btc);
        let funding = |rate| Body::Funding(Box::new(Funding { rate, at: None, next_rate: t.next_rate }));
        let open = |qty| Body::OpenInterest(OpenInterest { qty, value: None });
        let bodies = [
            (Channel::DayStats, Some(Body::DayStats(Box::new(t.stats.clone())))),
            (Channel::MarkPrice, t.mark.map(Body::MarkPrice)),
            (Channel::IndexPrice, t.index.map(Body::IndexPrice)),
            (Channel::Funding, t.rate.filter(|_| perpetual).map(funding)),
            (Channel::OpenInterest, t.open.map(open)),
        ];
        for (channel, body) in bodies {
            if let Some(body) = body.filter(|_| listed.wants(channel)) {
                listed.emit(channel, ts, now, body, out);
            }
        }
        Ok(())
    }

    fn bar(
        &mut self,
        spot: bool,
        ts: Option<Ts>,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let notes = &mut self.notes;
        let (name, mut bar) = rows::bar(c, spot, |key| notes.unknown(b"candlesticks", key, out))?;
        let at = name.iter().position(|b| *b == b'_').unwrap_or(name.len());
        let (word, symbol) = (name.get(..at).unwrap_or_default(), name.get(at + 1..).unwrap_or_default());
        if symbol.starts_with(b"mark_") || symbol.starts_with(b"index_") {
            out.push(Action::Control("bar of a mark or index price"));
            return Ok(());
        }
        let Some((ours, ..)) = INTERVALS.iter().find(|(_, theirs, _)| theirs.as_bytes() == word) else {
            self.notes.unknown(b"candlesticks.n", word, out);
            return Ok(());
        };
        bar.interval = (*ours).into();
        let Some(at) = self.wanted(spot, symbol, Channel::Bars, out) else { return Ok(()) };
        if let Some(listed) = self.table.get(at) {
            listed.emit(Channel::Bars, ts, now, Body::Bar(Box::new(bar)), out);
        }
        Ok(())
    }

    fn liquidation(
        &mut self,
        ts: Option<Ts>,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let notes = &mut self.notes;
        let read = rows::liquidation(c, |key| notes.unknown(b"liquidates", key, out))?;
        let (symbol, order, at_ts) = read;
        let Some(at) = self.wanted(false, symbol, Channel::Liquidations, out) else { return Ok(()) };
        if let Some(listed) = self.table.get(at) {
            let body = Body::Liquidation(Box::new(order));
            listed.emit(Channel::Liquidations, at_ts.or(ts), now, body, out);
        }
        Ok(())
    }

    fn stats(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let notes = &mut self.notes;
        let stats = Stats::read(c, |key| notes.unknown(b"contract_stats", key, out))?;
        let Some(at) = self.wanted(false, stats.symbol, Channel::LongShortRatio, out) else { return Ok(()) };
        let Some(listed) = self.table.get(at) else { return Ok(()) };
        for ((_, of), ratio) in RATIOS.iter().zip(stats.ratios) {
            if ratio.is_some() {
                let (of, interval) = ((*of).into(), "1m".into());
                let ratio = LongShortRatio { of, interval, ratio, long: None, short: None };
                let body = Body::LongShortRatio(Box::new(ratio));
                listed.emit(Channel::LongShortRatio, stats.ts, now, body, out);
            }
        }
        Ok(())
    }
}

/// `ob.BTC_USDT.400`
pub(super) fn pushed_symbol(name: &[u8]) -> Option<&[u8]> {
    let rest = name.strip_prefix(b"ob.")?;
    let end = rest.iter().rposition(|b| *b == b'.')?;
    rest.get(..end)
}
