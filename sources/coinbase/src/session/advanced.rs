//! Frames of Advanced Trade: channels to events.

use super::{Blame, CoinbaseSession, Found, skip};
use crate::Feed;
use crate::parse::{self, Head, Kind, Print, Result};
use crate::subscribe::{self, PUSHED_BARS, Refusal};
use crate::sync::Step;
use model::{Bar, Body, Channel, DayStats, GapCause, Level, Quote, Trade, TradeId, Ts};
use source::{Action, Cursor, What};

/// The length of the bars that are pushed.
const BAR_MS: u64 = 300_000;

impl CoinbaseSession {
    /// One frame.
    pub(super) fn advanced(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        (self.blame, self.counted) = (Blame::All, false);
        let (head, read) = parse::frame(bytes, |head, c| self.events(head, c, now, out));
        if let Some(key) = head.unknown {
            self.notes.unknown(b"frame", key, out);
        }
        // The number counts, whatever became of the rest.
        if let (false, Some(seq)) = (self.counted, head.seq) {
            self.counts(seq, now, out);
        }
        let read = read
            .and_then(|()| if head.channel.is_empty() { self.word(&head, bytes, now, out) } else { Ok(()) });
        if let Err(fault) = read {
            self.suffer(fault, now, out);
        }
    }

    /// Counts a frame. False where it must be passed over.
    fn counts(&mut self, seq: u64, now: Ts, out: &mut Vec<Action>) -> bool {
        self.counted = true;
        match self.count.on(seq) {
            Step::Next => {}
            Step::Late => {
                out.push(Action::Control("a frame that came late or twice"));
                return false;
            }
            Step::Hole { .. } => self.lose_all(GapCause::Sequence, now, out),
            Step::Restart => self.lose_all(GapCause::VenueReset, now, out),
        }
        true
    }

    /// `{"type":"error","message":"authentication failure"}`
    fn word(&mut self, head: &Head<'_>, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        self.blame = Blame::Nobody;
        if head.word == b"error" {
            let refusal = Refusal::read(bytes)?;
            out.push(Action::Control("error"));
            self.refused(&refusal, now, out);
        } else {
            self.notes.unknown(b"type", head.word, out);
        }
        Ok(())
    }

    /// The events of a frame.
    fn events<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(seq) = head.seq else { return Err(c.fault(What::Missing("sequence_num"))) };
        if !self.counts(seq, now, out) {
            return skip(c);
        }
        if !matches!(head.kind, Kind::Book | Kind::Other) {
            self.blame = Blame::Nobody;
        }
        match head.kind {
            Kind::Book => c.array(|c| {
                self.blame = Blame::All;
                self.book(head, c, now, out)
            }),
            Kind::Trades => c.array(|c| self.trades(c, now, out)),
            Kind::Ticker => rows(c, b"tickers", |c| self.ticker(head, c, now, out)),
            Kind::Candles => rows(c, b"candles", |c| self.candle(head, c, now, out)),
            Kind::Status => {
                let rows = c.skip()?;
                self.statuses_advanced(rows, head.ts, now, out)
            }
            Kind::Subscriptions => {
                let held = subscribe::held_advanced(c.skip()?)?;
                out.push(Action::Control("subscriptions"));
                self.acked(&held, now, out);
                Ok(())
            }
            Kind::Heartbeat => {
                out.push(Action::Control("heartbeat"));
                skip(c)
            }
            Kind::Private => {
                out.push(Action::Control("of an account"));
                skip(c)
            }
            Kind::Other => {
                self.notes.unknown(b"channel", head.channel, out);
                if self.wanting {
                    // Nothing but what was asked for is sent: this may be the damaged name of a book's channel.
                    self.lose_all(GapCause::Malformed, now, out);
                }
                skip(c)
            }
        }
    }

    /// `{"type":"update","product_id":"BTC-USD","updates":[…]}`
    fn book<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let (mut word, mut at, mut rows, mut done) = (&b""[..], None, None, false);
        c.object(|c, key| {
            match key {
                b"type" => word = c.str()?,
                b"product_id" => {
                    let place = self.listed(Feed::Advanced, c.str()?, c)?;
                    self.blame = Blame::Book(place);
                    at = Some(place);
                }
                b"updates" => match at {
                    Some(at) if !done => {
                        done = true;
                        self.levels(at, c, now, out)?;
                    }
                    _ => rows = parse::place(c)?,
                },
                other => {
                    self.notes.unknown(b"l2_data", other, out);
                    skip(c)?;
                }
            }
            Ok(())
        })?;
        let Some(at) = at else { return Err(c.fault(What::Missing("product_id"))) };
        if !done {
            let Some(mut rows) = rows else { return Err(c.fault(What::Missing("updates"))) };
            self.levels(at, &mut rows, now, out)?;
        }
        let ts = self.scratch.ts.or(head.ts);
        match word {
            b"update" => self.delta(at, ts, now, out),
            b"snapshot" => self.snapshot(at, ts, now, out),
            _ => return Err(c.fault(What::Expected("`snapshot` or `update`"))),
        }
        Ok(())
    }

    /// Reads rows of a book into the scratch. A number that does not fit widens the definition.
    #[inline]
    fn levels(&mut self, at: usize, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return skip(c) };
        let start = c.clone();
        loop {
            let scales = (listed.instrument.px_scale, listed.instrument.qty_scale);
            let notes = &mut self.notes;
            let read = parse::updates(c, scales, &mut self.scratch, |key| {
                notes.unknown(b"l2_data.updates", key, out);
            });
            let Err(fault) = read else { return Ok(()) };
            listed.widen(&fault, now, out)?;
            *c = start.clone();
        }
    }

    /// `{"type":"update","trades":[…]}`; a snapshot holds the last hundred, newest first.
    fn trades(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        self.found.clear();
        let mut whole = false;
        c.object(|c, key| {
            match key {
                b"type" => whole = c.str()? == b"snapshot",
                b"trades" => c.array(|c| {
                    let notes = &mut self.notes;
                    let print = parse::trade(c, |key| notes.unknown(b"market_trades", key, out))?;
                    self.find(Feed::Advanced, &print, c, now, out)
                })?,
                other => {
                    self.notes.unknown(b"market_trades", other, out);
                    skip(c)?;
                }
            }
            Ok(())
        })?;
        if !self.found.is_sorted_by_key(|f| f.id) {
            self.found.sort_by_key(|f| f.id);
        }
        self.tell_found(whole, now, out);
        Ok(())
    }

    /// Keeps a trade to be told. A number that does not fit widens the definition.
    #[inline]
    pub(super) fn find(
        &mut self,
        feed: Feed,
        print: &Print<'_>,
        c: &Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let at = self.listed(feed, print.product, c)?;
        if let Some(side) = print.odd_side {
            self.notes.unknown(b"trade.side", side, out);
        }
        let id = Cursor::new(print.id).u64()?;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        let (px, qty) = loop {
            match print.numbers(c, listed.instrument.px_scale, listed.instrument.qty_scale) {
                Ok(numbers) => break numbers,
                Err(fault) => listed.widen(&fault, now, out)?,
            }
        };
        let (aggressor, ts) = (print.aggressor, print.ts);
        self.found.push(Found { at, id, level: Level { px, qty }, aggressor, ts });
        Ok(())
    }

    /// Tells the trades that were kept; with `known` those that were told before are left out.
    #[inline]
    pub(super) fn tell_found(&mut self, known: bool, now: Ts, out: &mut Vec<Action>) {
        for found in self.found.drain(..) {
            let Some(listed) = self.table.get_mut(found.at) else { continue };
            if !listed.wants(Channel::Trades) {
                out.push(Action::Control("a trade that is not wanted"));
                continue;
            }
            if known && listed.last_trade.is_some_and(|last| found.id <= last) {
                continue;
            }
            listed.last_trade = listed.last_trade.max(Some(found.id));
            let Found { id, level: Level { px, qty }, aggressor, ts, .. } = found;
            let body = Body::Trade(Trade { id: TradeId::Num(id), px, qty, aggressor, count: 1 });
            listed.emit(Channel::Trades, ts, now, body, out);
        }
    }

    /// `{"type":"ticker","product_id":"BTC-USD","price":"64010.15","volume_24_h":"9000.1","low_24_h":"62800",…}`
    fn ticker<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let mut stats = DayStats::default();
        let mut product = &b""[..];
        let mut best = Best::default();
        c.object(|c, key| {
            match key {
                b"product_id" => product = c.str()?,
                b"price" => stats.last = c.decimal_opt()?,
                b"volume_24_h" => stats.volume = c.decimal_opt()?,
                b"low_24_h" => stats.low = c.decimal_opt()?,
                b"high_24_h" => stats.high = c.decimal_opt()?,
                b"best_bid" => best.bid = parse::place(c)?,
                b"best_bid_quantity" => best.bid_qty = parse::place(c)?,
                b"best_ask" => best.ask = parse::place(c)?,
                b"best_ask_quantity" => best.ask_qty = parse::place(c)?,
                b"type" | b"low_52_w" | b"high_52_w" | b"price_percent_chg_24_h" => skip(c)?,
                other => {
                    self.notes.unknown(b"ticker", other, out);
                    skip(c)?;
                }
            }
            Ok(())
        })?;
        let at = self.listed(Feed::Advanced, product, c)?;
        self.tell_ticker(at, stats, &best, (None, head.ts), now, out)
    }

    /// Tells statistics and quote to those who want them.
    pub(super) fn tell_ticker(
        &mut self,
        at: usize,
        stats: DayStats,
        best: &Best<'_>,
        (seq, ts): (Option<u64>, Option<Ts>),
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if listed.wants(Channel::Quote) && best.is_there() {
            let quote = loop {
                match best.quote(seq, listed.instrument.px_scale, listed.instrument.qty_scale) {
                    Ok(quote) => break quote,
                    Err(fault) => listed.widen(&fault, now, out)?,
                }
            };
            listed.emit(Channel::Quote, ts, now, Body::Quote(quote), out);
        }
        if listed.wants(Channel::DayStats) {
            listed.emit(Channel::DayStats, ts, now, Body::DayStats(Box::new(stats)), out);
        }
        Ok(())
    }

    /// `{"start":"1788264000","high":"64012","low":"63999","open":"64000","close":"64010.15","volume":"12.5","product_id":"BTC-USD"}`
    fn candle<'a>(
        &mut self,
        head: &Head<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let (mut product, mut start) = (&b""[..], None);
        let (mut open, mut high, mut low, mut close, mut volume) = (None, None, None, None, None);
        c.object(|c, key| {
            match key {
                b"product_id" => product = c.str()?,
                b"start" => start = i64::try_from(c.u64()?).ok().filter(|s| *s < 1 << 33),
                b"open" => open = Some(c.decimal()?),
                b"high" => high = Some(c.decimal()?),
                b"low" => low = Some(c.decimal()?),
                b"close" => close = Some(c.decimal()?),
                b"volume" => volume = Some(c.decimal()?),
                other => {
                    self.notes.unknown(b"candles", other, out);
                    skip(c)?;
                }
            }
            Ok(())
        })?;
        let (Some(start), Some(open), Some(high), Some(low), Some(close), Some(volume)) =
            (start, open, high, low, close, volume)
        else {
            return Err(c.fault(What::Missing("start, open, high, low, close or volume")));
        };
        let at = self.listed(Feed::Advanced, product, c)?;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if !listed.wants(Channel::Bars) {
            return Ok(());
        }
        let start = Ts::from_ms(start * 1_000);
        let closed = head.ts.is_some_and(|ts| ts >= start.plus_ms(BAR_MS));
        let (turnover, trades, interval) = (None, None, PUSHED_BARS.into());
        let bar = Bar { interval, start, open, high, low, close, volume, turnover, trades, closed };
        // The venue tells no end: a bar is over when the next one begins.
        if let Some(mut last) = listed.bar.take().filter(|last| !last.closed && last.start < start) {
            last.closed = true;
            listed.emit(Channel::Bars, head.ts, now, Body::Bar(last), out);
        }
        listed.bar = Some(Box::new(bar.clone()));
        listed.emit(Channel::Bars, head.ts, now, Body::Bar(Box::new(bar)), out);
        Ok(())
    }
}

/// Calls `row` at each value of the array `name` in each event.
fn rows<'a>(
    c: &mut Cursor<'a>,
    name: &'static [u8],
    mut row: impl FnMut(&mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    c.array(|c| {
        let mut there = false;
        c.object(|c, key| {
            if key == name {
                there = true;
                c.array(|c| row(c))
            } else {
                skip(c)
            }
        })?;
        if there { Ok(()) } else { Err(c.fault(What::Missing("the rows of an event"))) }
    })
}

/// The best levels of a ticker, numbers not read yet.
#[derive(Debug, Default)]
pub(super) struct Best<'a> {
    pub bid: Option<Cursor<'a>>,
    pub bid_qty: Option<Cursor<'a>>,
    pub ask: Option<Cursor<'a>>,
    pub ask_qty: Option<Cursor<'a>>,
}

impl Best<'_> {
    /// Whether the ticker carries them at all: prices with their quantities.
    pub fn is_there(&self) -> bool {
        self.bid.is_some() && self.bid_qty.is_some() && self.ask.is_some() && self.ask_qty.is_some()
    }

    fn quote(&self, seq: Option<u64>, px_scale: model::Scale, qty_scale: model::Scale) -> Result<Quote> {
        let level = |px: &Option<Cursor<'_>>, qty: &Option<Cursor<'_>>| {
            let (Some(px), Some(qty)) = (px, qty) else { return Ok(None) };
            let (mut px, mut qty) = (px.clone(), qty.clone());
            if px.clone().number()?.is_empty() || qty.clone().number()?.is_empty() {
                return Ok(None);
            }
            let level = Level { px: px.px(px_scale)?, qty: qty.qty(qty_scale)? };
            Ok((level.px.0 > 0 && level.qty.0 > 0).then_some(level))
        };
        Ok(Quote { bid: level(&self.bid, &self.bid_qty)?, ask: level(&self.ask, &self.ask_qty)?, seq })
    }
}
