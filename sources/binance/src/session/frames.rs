//! Frames: the envelope, the payload that a stream carries, control messages.

use super::BinanceSession;
use super::books::{Change, span};
use super::look::{Look, is_known_event, payload_of, stream_of};
use crate::odd::Odd;
use crate::parse::{self, Result, Seen, missing};
use crate::route::{Kind, Route};
use crate::table::{Listed, event};
use crate::{cold, fast};
use model::{Body, Channel, Event, Snapshot, Trade, TradeId, Ts};
use source::{Action, Cursor, Fault, Malformed, What};

/// Whether a payload is its stream's.
pub(super) enum Fit {
    Yes,
    /// But for the section.
    Section,
    No,
}

impl BinanceSession {
    /// A frame: read whole before anything follows from it.
    pub(super) fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        if self.fast(bytes, now, out).is_some() {
            return;
        }
        let read = self.read(bytes, now, out);
        self.odd.tell(out);
        match read {
            Ok(()) => {
                out.extend(self.made.drain(..).map(Action::Emit));
                self.contracts_told(now, out);
                if std::mem::take(&mut self.leaving) {
                    let why = "the venue says that it will close the connection".to_owned();
                    out.push(Action::Close { fault: Fault::Planned, why });
                }
                if let Some(change) = self.change.take() {
                    self.changed(&change, bytes, now, out);
                }
            }
            Err(fault) => {
                self.made.clear();
                self.contracts.clear();
                self.change = None;
                self.leaving = false;
                self.unreadable(bytes, fault, now, out);
            }
        }
    }

    /// A frame in its usual form, of a stream that is known; `None` where it is to go the general way.
    #[inline]
    fn fast(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Option<()> {
        let (stream, data) = fast::envelope(bytes)?;
        let route = self.table.route(stream)?;
        let listed = self.table.get_mut(route.at)?;
        let sure = self.product.is_some();
        let good = |listed: &Listed, seen: &Seen<'_>| {
            matches!(fit(sure, route.kind, listed, seen), Fit::Yes).then_some(seen.ts)
        };
        let (channel, ts, body) = match route.kind {
            Kind::Quote => {
                let (seen, quote) = fast::quote(data, &listed.instrument)?;
                (Channel::Quote, good(listed, &seen)?, Body::Quote(quote))
            }
            Kind::Trade => {
                let (seen, trade) = fast::trade(data, &listed.instrument)?;
                let ts = good(listed, &seen)?;
                if is_repeated(listed, 0, &trade) {
                    out.push(Action::Control("repeated_trade"));
                    return Some(());
                }
                (Channel::Trades, ts, Body::Trade(trade))
            }
            Kind::AggTrade => {
                let (seen, trade) = fast::agg_trade(data, &listed.instrument)?;
                let ts = good(listed, &seen)?;
                if is_repeated(listed, 1, &trade) {
                    out.push(Action::Control("repeated_trade"));
                    return Some(());
                }
                (Channel::AggTrades, ts, Body::Trade(trade))
            }
            Kind::Depth => {
                let (seen, ids) = fast::book(data, &listed.instrument, &mut self.sides)?;
                let ts = good(listed, &seen)?;
                let span = span(listed.product.rule, &ids).ok()?;
                // All but the brace that closes the envelope.
                let payload = bytes.len() - data.len()..bytes.len() - 1;
                self.changed(&Change { at: route.at, span, ts, payload }, bytes, now, out);
                return Some(());
            }
            Kind::Top
            | Kind::DayStats
            | Kind::MiniStats
            | Kind::Bar
            | Kind::Mark
            | Kind::Forced
            | Kind::Contract => {
                return None;
            }
        };
        listed.emit(channel, ts, now, body, out);
        Some(())
    }

    /// What a frame that could not be read means for the books of this connection.
    pub(super) fn unreadable(&mut self, bytes: &[u8], fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Malformed(fault));
        let stream = stream_of(&Cursor::new(bytes));
        // Streams of all instruments carry no changes of books.
        if stream.is_some_and(|name| name.starts_with(b"!") || self.streams.is_over(name)) {
            return;
        }
        let payload = payload_of(bytes);
        let look = Look::at(&payload);
        let named = stream.and_then(|name| self.table.route(name));
        if let Some(route) = named.filter(|route| route.kind == Kind::Depth) {
            self.lost(route.at, fault, now, out);
        }
        match Kind::of_event(look.kind) {
            // The stream's name and the payload's symbol may be of two books.
            Some(Kind::Depth) => {
                let product = self.section(look.symbol, look.futures(), look.has.section);
                match self.table.place(product, look.symbol) {
                    Some(at) if named.is_none_or(|route| route.at != at) => self.lost(at, fault, now, out),
                    None if named.is_none() => self.lost_all(fault, now, out),
                    Some(_) | None => {}
                }
            }
            Some(_) => {}
            None if named.is_some() || is_known_event(look.kind) || look.is_no_change(&payload) => {}
            None => self.lost_all(fault, now, out),
        }
    }

    /// A frame of a combined stream, a bare one, or a control message.
    fn read(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let mut c = Cursor::new(bytes);
        if bytes.starts_with(b"{\"stream\":") {
            return self.combined(&mut c, now, out);
        }
        if c.peek() == Some(b'[') {
            c.array(|c| self.payload(b"", c, now, out))?;
            return c.end();
        }
        let look = Look::at(&c);
        if look.kind.is_empty() && (look.has.stream || look.has.data) {
            return self.combined(&mut c, now, out);
        }
        if look.has.control && look.kind.is_empty() {
            return self.control(&mut c, now, out);
        }
        let stream = std::mem::take(&mut self.raw_stream);
        let read = self.payload(&stream, &mut c, now, out);
        self.raw_stream = stream;
        read?;
        c.end()
    }

    /// `{"stream":"btcusdt@trade","data":{…}}`
    #[inline]
    fn combined<'a>(&mut self, c: &mut Cursor<'a>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (mut stream, mut later, mut done) = (None::<&'a [u8]>, None, false);
        c.object(|c, key| {
            match (key, stream) {
                (b"stream", _) => stream = Some(c.str()?),
                (b"data", Some(stream)) if !done => {
                    done = true;
                    self.data(stream, c, now, out)?;
                }
                (b"data", _) => {
                    later = Some(c.clone());
                    c.skip()?;
                }
                // Marks what another recorder made up from its own requests.
                (b"generated", _) => c.skip().map(drop)?,
                (other, _) => self.odd.note("frame", other, c.skip()?),
            }
            Ok(())
        })?;
        if let (Some(mut data), Some(stream), false) = (later, stream, done) {
            done = true;
            self.data(stream, &mut data, now, out)?;
        }
        if !done {
            return Err(missing(if stream.is_some() { "data" } else { "stream" }));
        }
        c.end()
    }

    #[inline]
    fn data(&mut self, stream: &[u8], c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        if c.peek() == Some(b'[') {
            c.array(|c| self.payload(stream, c, now, out))
        } else {
            self.payload(stream, c, now, out)
        }
    }

    /// `{"result":null,"id":1}`, `{"code":2,"msg":"…","id":1}`
    fn control(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (mut id, mut code, mut words) = (None, None, "");
        c.object(|c, key| {
            match key {
                b"id" => {
                    let value = c.skip()?;
                    id = std::str::from_utf8(value).ok().and_then(|v| v.parse::<u64>().ok());
                }
                b"code" => code = Some(c.i64()?),
                b"msg" => words = c.utf8()?,
                b"error" if c.null() => {}
                b"error" => {
                    code = code.or(Some(-1));
                    let value = c.skip()?;
                    words = std::str::from_utf8(value).unwrap_or_default();
                }
                b"result" => c.skip().map(drop)?,
                other => self.odd.note("control", other, c.skip()?),
            }
            Ok(())
        })?;
        c.end()?;
        out.push(Action::Control(if code.is_some() { "refusal" } else { "acknowledgement" }));
        if let Some(id) = id {
            self.answered(id, code.map(|code| (code, words)), now, out);
        }
        Ok(())
    }

    /// The object that a stream carries.
    #[inline]
    fn payload(&mut self, stream: &[u8], c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let route = match self.table.route(stream) {
            Some(route) => route,
            None => match self.resolve(stream, c, out)? {
                Some(route) => route,
                None => return Ok(()),
            },
        };
        let start = c.clone();
        let seen = self.read_payload(route, c, now, out)?;
        let listed = self.table.get(route.at).ok_or(missing("symbol"))?;
        match fit(self.product.is_some(), route.kind, listed, &seen) {
            Fit::Yes => Ok(()),
            Fit::No => Err(start.fault(What::Rule("the payload is not its stream's"))),
            Fit::Section => {
                // In a recording of several sections: the same stream of another section.
                self.made.clear();
                self.contracts.clear();
                self.change = None;
                let product = self.section(seen.symbol, seen.futures, None);
                let Some(at) = self.table.place(product, seen.symbol) else { return Ok(()) };
                let route = Route { at, ..route };
                self.table.set_route(stream, route);
                *c = start;
                self.read_payload(route, c, now, out).map(drop)
            }
        }
    }

    /// Reads a payload; a number that does not fit widens the definition.
    #[inline]
    fn read_payload<'a>(
        &mut self,
        route: Route,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Seen<'a>> {
        let start = c.clone();
        loop {
            match self.take(route, c, now, out) {
                Ok(seen) => return Ok(seen),
                Err(fault) => match self.table.get_mut(route.at) {
                    Some(listed) => listed.widen(fault, now, out)?,
                    None => return Err(fault),
                },
            }
            *c = start.clone();
        }
    }

    /// Reads a payload into `made` or `change`.
    #[inline]
    fn take<'a>(
        &mut self,
        route: Route,
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Seen<'a>> {
        let Self { table, odd, sides, made, contracts, change, .. } = self;
        let Some(listed) = table.get_mut(route.at) else { return Err(missing("symbol")) };
        let instrument = &listed.instrument;
        let (channel, (seen, body)) = match route.kind {
            Kind::Depth => {
                let begin = c.position();
                let (seen, ids) = parse::book(c, instrument, sides, odd)?;
                let span = span(listed.product.rule, &ids)?;
                *change = Some(Change { at: route.at, span, ts: seen.ts, payload: begin..c.position() });
                return Ok(seen);
            }
            Kind::Quote => (Channel::Quote, parse::quote(c, instrument, odd)?),
            Kind::Trade => {
                let (seen, trade) = parse::trade(c, instrument, odd)?;
                let Some(trade) = trade else {
                    out.push(Action::Control("placeholder_trade"));
                    return Ok(seen);
                };
                if is_repeated(listed, 0, &trade) {
                    out.push(Action::Control("repeated_trade"));
                    return Ok(seen);
                }
                (Channel::Trades, (seen, Body::Trade(trade)))
            }
            Kind::AggTrade => {
                let (seen, trade) = parse::agg_trade(c, instrument, odd)?;
                if is_repeated(listed, 1, &trade) {
                    out.push(Action::Control("repeated_trade"));
                    return Ok(seen);
                }
                (Channel::AggTrades, (seen, Body::Trade(trade)))
            }
            Kind::Top => {
                let (seen, ids) = parse::book(c, instrument, sides, odd)?;
                let Ok(last) = u64::try_from(ids.last) else {
                    out.push(Action::Control("book_without_id"));
                    return Ok(seen);
                };
                let body = Snapshot { seq: Some(last), levels: sides.levels(), checksum: None, epoch: 0 };
                (Channel::BookTop, (seen, Body::Snapshot(body)))
            }
            Kind::DayStats | Kind::MiniStats => {
                let (seen, body) = cold::day_stats(c, listed.product, odd)?;
                if listed.is_short_beside_long(route.kind == Kind::MiniStats) {
                    out.push(Action::Control("event_not_used"));
                    return Ok(seen);
                }
                (Channel::DayStats, (seen, body))
            }
            Kind::Bar => (Channel::Bars, cold::bar(c, listed.product, odd)?),
            Kind::Forced => (Channel::Liquidations, cold::liquidation(c, odd)?),
            Kind::Contract => {
                let (seen, contract) = cold::contract(c, odd)?;
                contracts.push((route.at, contract, seen.ts));
                return Ok(seen);
            }
            Kind::Mark => return marks(listed, c, odd, now, made),
        };
        made.push(event(&listed.instrument, channel, seen.ts, now, body));
        Ok(seen)
    }
}

/// Mark price, index price and funding, as far as they are wanted.
fn marks<'a>(
    listed: &Listed,
    c: &mut Cursor<'a>,
    odd: &mut Odd,
    now: Ts,
    made: &mut Vec<Event>,
) -> Result<Seen<'a>> {
    let (seen, marks) = cold::marks(c, odd)?;
    let mut push = |channel, body| {
        if listed.wants(channel) {
            made.push(event(&listed.instrument, channel, seen.ts, now, body));
        }
    };
    push(Channel::MarkPrice, Body::MarkPrice(marks.mark));
    if let Some(index) = marks.index {
        push(Channel::IndexPrice, Body::IndexPrice(index));
    }
    if let Some(funding) = marks.funding {
        push(Channel::Funding, Body::Funding(Box::new(funding)));
    }
    Ok(seen)
}

/// Whether a payload is what its stream's name says; `sure` where the section is known.
#[inline]
pub(super) fn fit(sure: bool, kind: Kind, listed: &Listed, seen: &Seen<'_>) -> Fit {
    let symbol = seen.symbol.is_empty() || seen.symbol == listed.instrument.symbol.as_bytes();
    if !symbol || !(seen.kind.is_empty() || seen.kind == kind.event()) {
        return Fit::No;
    }
    let same = seen.futures.is_none_or(|futures| futures == listed.product.futures);
    if sure || same || kind == Kind::Top || seen.symbol.is_empty() { Fit::Yes } else { Fit::Section }
}

/// Whether a print has the id of the one before it, which the venue told twice.
#[inline]
fn is_repeated(listed: &mut Listed, which: usize, trade: &Trade) -> bool {
    let TradeId::Num(id) = trade.id else { return false };
    let Some(last) = listed.last_ids.get_mut(which) else { return false };
    last.replace(id) == Some(id)
}
