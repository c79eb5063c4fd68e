//! Pushes of a session: data to the lanes that want them.

use super::{DeribitSession, skip};
use crate::emit::{Sink, event};
use crate::listing;
use crate::parse::{Kind, Result, Topic, name_ahead};
use crate::rows;
use crate::subscribe::{Family, INTERVALS};
use crate::ticker::{Ticker, quote, ticker};
use crate::trades::{TradeRow, trade_row};
use model::{Body, Channel, Decimal, InstrumentKind, Liquidation, Side, Status, Trade, TradeId, Ts};
use source::{Action, Cursor, What};

impl DeribitSession {
    /// The data of one frame.
    #[inline]
    pub(super) fn data<'a>(
        &mut self,
        topic: &Topic<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        match topic.kind {
            Kind::Book(pace) => match self.wanted(topic.of, Channel::Book, c, out)? {
                Some(at) => self.book(at, pace, c, now, out),
                None => skip(c),
            },
            Kind::Trades => match self.instrument(topic.of, c, out)? {
                Some(at) => c.array(|c| self.trade(at, c, now, out)),
                None => skip(c),
            },
            Kind::AllTrades => c.array(|c| match self.instrument(name_ahead(c)?, c, out)? {
                Some(at) => self.trade(at, c, now, out),
                None => skip(c),
            }),
            Kind::BookTop => match self.wanted(topic.of, Channel::BookTop, c, out)? {
                Some(at) => self.top(at, c, now, out),
                None => skip(c),
            },
            Kind::Quote | Kind::Ticker | Kind::TickerPart | Kind::Bars | Kind::Perpetual => {
                match self.instrument(topic.of, c, out)? {
                    Some(at) => self.row(at, topic, c, now, out),
                    None => skip(c),
                }
            }
            Kind::PriceIndex => self.index(topic.of, Family::PriceIndex, c, now, out),
            Kind::VolatilityIndex => self.index(topic.of, Family::VolatilityIndex, c, now, out),
            Kind::MarkPrices => c.array(|c| {
                let (name, ts, mark) = rows::option_mark(c, &mut self.sink(now, out))?;
                if let Some(at) = self.instrument(name, c, out)? {
                    self.tell(at, Channel::MarkPrice, ts, Body::MarkPrice(mark), now, out);
                }
                Ok(())
            }),
            Kind::InstrumentState => self.instrument_state(c, now, out),
            Kind::PlatformState => self.platform_state(c, now, out),
            Kind::Other => {
                self.notes.unknown(b"channel", topic.name, out);
                skip(c)
            }
        }
    }

    pub(super) fn sink<'s>(&'s mut self, now: Ts, out: &'s mut Vec<Action>) -> Sink<'s> {
        Sink { now, out, notes: &mut self.notes }
    }

    /// The place of an instrument in the table; `None` where nobody wants it.
    #[inline]
    fn instrument(&mut self, symbol: &[u8], c: &Cursor<'_>, out: &mut Vec<Action>) -> Result<Option<usize>> {
        match self.table.place(symbol) {
            Some(at) => Ok(Some(at)),
            None if self.reading => Err(c.fault(What::Rule("the instrument's name is no symbol"))),
            None => {
                out.push(Action::Control("data of an instrument that is not wanted"));
                Ok(None)
            }
        }
    }

    /// The same, `None` too where this channel of it is not wanted.
    #[inline]
    fn wanted(
        &mut self,
        symbol: &[u8],
        channel: Channel,
        c: &Cursor<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<usize>> {
        let Some(at) = self.instrument(symbol, c, out)? else { return Ok(None) };
        if self.table.get(at).is_some_and(|l| l.wants(channel)) {
            return Ok(Some(at));
        }
        out.push(Action::Control("data of a channel that is not wanted"));
        Ok(None)
    }

    /// Emits to a lane, where it is wanted.
    fn tell(&self, at: usize, channel: Channel, ts: Option<Ts>, body: Body, now: Ts, out: &mut Vec<Action>) {
        if let Some(listed) = self.table.get(at).filter(|l| l.wants(channel)) {
            out.push(Action::Emit(event(&listed.instrument, channel, ts, now, body)));
        }
    }

    fn trade(&mut self, at: usize, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let start = c.clone();
        loop {
            let Some(listed) = self.table.get_mut(at) else { return skip(c) };
            let mut sink = Sink { now, out, notes: &mut self.notes };
            match trade_row(c, &listed.instrument, &mut sink) {
                Ok(row) => {
                    if listed.wants(Channel::Trades) {
                        let TradeRow { seq, px, qty, aggressor, .. } = row;
                        let trade = Trade { id: TradeId::Num(seq), px, qty, aggressor, count: 1 };
                        sink.emit(&listed.instrument, Channel::Trades, row.ts, Body::Trade(trade));
                    }
                    if row.forced != (false, false) {
                        self.forced(at, &row, now, out);
                    }
                    return Ok(());
                }
                Err(fault) => listed.widen(&fault, now, out)?,
            }
            *c = start.clone();
        }
    }

    /// A trade by which a position was closed by force: the taker's, the maker's, or both.
    fn forced(&self, at: usize, row: &TradeRow, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get(at).filter(|l| l.wants(Channel::Liquidations)) else { return };
        let Some(taker) = row.aggressor else { return };
        let maker = if taker == Side::Bid { Side::Ask } else { Side::Bid };
        let (px, qty) = (row.px, row.qty);
        let instrument = &listed.instrument;
        for (side, is) in [(maker, row.forced.0), (taker, row.forced.1)] {
            if is {
                let px = Decimal::new(i128::from(px.0), instrument.px_scale);
                let qty = Decimal::new(i128::from(qty.0), instrument.qty_scale);
                let order = Box::new(Liquidation { side, px, qty, avg_px: Some(px) });
                let body = Body::Liquidation(order);
                out.push(Action::Emit(event(instrument, Channel::Liquidations, row.ts, now, body)));
            }
        }
    }

    /// Rows of the slower channels of one instrument.
    fn row<'a>(
        &mut self,
        at: usize,
        topic: &Topic<'a>,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let start = c.clone();
        loop {
            let Some(listed) = self.table.get_mut(at) else { return skip(c) };
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let instrument = &listed.instrument;
            let read = match topic.kind {
                Kind::Quote if listed.wants(Channel::Quote) => {
                    listed.quoted = true;
                    quote(c, instrument, &mut sink)
                }
                Kind::Perpetual if listed.wants(Channel::Funding) => {
                    listed.funded = true;
                    rows::perpetual(c, instrument, &mut sink)
                }
                Kind::Bars if listed.wants(Channel::Bars) => self.bar(at, topic.detail, c, now, out),
                Kind::Ticker | Kind::TickerPart => {
                    let quoted = self.reading && !listed.quoted;
                    ticker(c, instrument, quoted, &mut sink).map(|row| self.spread(at, row, now, out))
                }
                _ => skip(c),
            };
            let Err(fault) = read else { return Ok(()) };
            let Some(listed) = self.table.get_mut(at) else { return Err(fault) };
            listed.widen(&fault, now, out)?;
            *c = start.clone();
        }
    }

    /// A ticker, to all lanes that it feeds.
    fn spread(&mut self, at: usize, row: Ticker<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if let Some(state) = row.state
            && listed.wants(Channel::Status)
        {
            let status = listing::status(state);
            // While the platform is locked tickers say what was.
            if listed.before.is_some() {
                listed.before = Some(status);
            } else {
                listed.tell_status(status, row.ts, now, out);
            }
        }
        let (quoted, funded, kind) = (listed.quoted, listed.funded, listed.instrument.kind);
        let interest = row.interest.map(|qty| rows::open_interest(&listed.instrument, qty));
        let ts = row.ts;
        if let Some(quote) = row.quote.filter(|_| self.reading && !quoted) {
            self.tell(at, Channel::Quote, ts, Body::Quote(quote), now, out);
        }
        if let Some(stats) = row.stats {
            self.tell(at, Channel::DayStats, ts, Body::DayStats(Box::new(stats)), now, out);
        }
        if let Some(mark) = row.mark {
            self.tell(at, Channel::MarkPrice, ts, Body::MarkPrice(mark), now, out);
        }
        if let Some(index) = row.index.filter(|_| self.reading) {
            self.tell(at, Channel::IndexPrice, ts, Body::IndexPrice(index), now, out);
        }
        if let Some(interest) = interest.filter(|_| kind != InstrumentKind::Spot) {
            self.tell(at, Channel::OpenInterest, ts, interest, now, out);
        }
        if let Some(rate) = row.funding.filter(|_| self.reading && !funded) {
            self.tell(at, Channel::Funding, ts, rows::funding(rate), now, out);
        }
        if let Some(greeks) = row.greeks {
            self.tell(at, Channel::Greeks, ts, Body::Greeks(Box::new(greeks)), now, out);
        }
    }

    /// The venue never says that a bar is over: it is when the next one begins.
    fn bar(
        &mut self,
        at: usize,
        resolution: &[u8],
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let Some((interval, ..)) = INTERVALS.iter().find(|row| row.1.as_bytes() == resolution) else {
            self.notes.unknown(b"chart.trades", resolution, out);
            return skip(c);
        };
        let Some(listed) = self.table.get_mut(at) else { return skip(c) };
        let mut sink = Sink { now, out, notes: &mut self.notes };
        let bar = rows::bar(c, interval, &listed.instrument, &mut sink)?;
        if let Some(mut last) = listed.bar.take()
            && last.interval == bar.interval
            && last.start < bar.start
        {
            last.closed = true;
            sink.emit(&listed.instrument, Channel::Bars, None, Body::Bar(Box::new(last)));
        }
        listed.bar = Some(bar.clone());
        sink.emit(&listed.instrument, Channel::Bars, None, Body::Bar(Box::new(bar)));
        Ok(())
    }

    /// An index, to the lanes of all instruments over it; in a recording to the index itself.
    fn index(
        &mut self,
        name: &[u8],
        family: Family,
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let (channel, key) = match family {
            Family::VolatilityIndex => (Channel::VolatilityIndex, "volatility"),
            _ => (Channel::IndexPrice, "price"),
        };
        let (ts, value) = rows::index(c, key, &mut self.sink(now, out))?;
        let body = |value| match family {
            Family::VolatilityIndex => Body::VolatilityIndex(value),
            _ => Body::IndexPrice(value),
        };
        if self.reading {
            if let Some(at) = self.instrument(name, c, out)? {
                self.tell(at, channel, ts, body(value), now, out);
            }
            return Ok(());
        }
        for at in self.lanes.fed_by(family, name) {
            self.tell(at, channel, ts, body(value), now, out);
        }
        Ok(())
    }

    /// The state of an instrument changed; its definition may have too.
    fn instrument_state(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (name, state, ts) = rows::instrument_state(c, &mut self.sink(now, out))?;
        let Some(at) = self.table.place(name) else {
            out.push(Action::Control("state of an instrument that is not wanted"));
            return Ok(());
        };
        let reading = self.reading;
        let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
        if listed.wants(Channel::Status) {
            listed.tell_status(listing::status(state), ts, now, out);
        }
        if listed.wants(Channel::Instruments) && !reading {
            let path = format!("/api/v2/public/get_instrument?instrument_name={}", listed.instrument.symbol);
            out.push(Action::Fetch { tag: at as u64, path, weight: 1 });
        }
        Ok(())
    }

    /// Trading stands still or goes on, everywhere or over one index.
    fn platform_state(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let platform = rows::platform_state(c, &mut self.sink(now, out))?;
        let Some(halted) = platform.halted else {
            out.push(Action::Control("platform_state"));
            return Ok(());
        };
        out.push(Action::Control("platform_state"));
        for listed in self.table.all_mut() {
            let over = platform.index.is_none_or(|index| {
                listing::index_of(&listed.instrument).is_some_and(|own| own.as_bytes() == index)
            });
            let tradable = listed.instrument.kind != InstrumentKind::Index;
            if !over || !tradable || !listed.wants(Channel::Status) {
                continue;
            }
            if !halted {
                if let Some(before) = listed.before.take() {
                    listed.tell_status(before, None, now, out);
                }
            } else if listed.before.is_none() {
                listed.before = Some(listed.status.clone().unwrap_or(Status::Trading));
                listed.tell_status(Status::Halted, None, now, out);
            }
        }
        Ok(())
    }
}
