//! What is asked besides the sessions: the past of bars and trades, and files of a terminal's disk.

use crate::codec::bars::category;
use crate::codec::query::Page;
use crate::codec::session::LEVEL;
use crate::codec::trades::{Trade, side};
use crate::codec::{self, Answer, BarsQuery, Query, STUB};
use crate::emit::{self, Scale, event};
use crate::listing::{answer, marked, request};
use crate::{NAME, disk};
use model::ashare::{Code, calendar, instant, local};
use model::{Body, Channel, Date, Event, Instrument, InstrumentKind, Ts};
use source::{Archive, History, Malformed, Past, Records, Request, Rest};
use std::sync::Arc;

/// How many bars a page may have.
const BARS: u16 = 800;
/// How many trades a page may have.
const TRADES: u16 = 1_800;

/// What is asked besides the sessions.
#[derive(Clone, Copy, Debug)]
pub struct TdxRest;

impl Rest for TdxRest {
    fn archive(&self, path: &str) -> Option<Archive> {
        disk::archive(path)
    }

    fn archive_records(&self, path: &str) -> Option<Records> {
        disk::records(path)
    }

    fn archive_record(
        &self,
        archive: &Archive,
        instrument: &Arc<Instrument>,
        records: Records,
        record: &[u8],
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        disk::record(archive, instrument, records, record, out)
    }

    /// By any spelling of a code; a kind of blocks stands for the file of such blocks.
    fn provisional(&self, product: &str, symbol: &str) -> Option<Instrument> {
        if !product.is_empty() {
            return None;
        }
        let of_blocks = || {
            disk::is_kind(symbol)
                .then(|| Instrument::provisional(NAME, "sector", symbol, InstrumentKind::Index))
        };
        Code::parse(symbol).ok().map(|code| model::ashare::instrument(code, "")).or_else(of_blocks)
    }

    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        if past.source != NAME {
            return None;
        }
        let code = model::ashare::code(&past.instrument)?;
        let of = Of {
            code,
            wire: codec::Code::of(code.market.byte(), code.digits())?,
            scale: Scale::of(code, &past.instrument),
        };
        match past.channel {
            Channel::Bars => Some(Box::new(Bars::new(of, category(&past.interval)?, past))),
            Channel::CorporateActions => {
                Some(Box::new(Actions { of, past, asking: Asking::default(), done: false }))
            }
            Channel::Trades if past.ids.is_none() => Some(Box::new(Trades::new(of, past))),
            _ => None,
        }
    }
}

/// Whose past it is.
struct Of {
    code: Code,
    wire: codec::Code,
    scale: Scale,
}

/// In which way a server is asked for the past: as ever, and after a stub with the login of September 2026 before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Asking {
    #[default]
    Plain,
    Login,
    Marked,
}

impl Asking {
    fn request(self, query: &Query) -> Request {
        match self {
            Self::Plain => request(query),
            Self::Login => marked(&Query::Login(LEVEL.to_vec())),
            Self::Marked => marked(query),
        }
    }

    /// The answer to `query`; `None` where it is to be asked again.
    fn answer(&mut self, query: &Query, body: &[u8]) -> Result<Option<Answer>, Malformed> {
        match (*self, answer(query, body)) {
            (Self::Login, _) => *self = Self::Marked,
            (Self::Plain, Err(STUB)) => *self = Self::Login,
            (_, read) => return read.map(Some),
        }
        Ok(None)
    }
}

/// Bars: read from the newest backwards until the part begins, then handed out at once, as pages are counted from the end.
struct Bars {
    of: Of,
    past: Past,
    asking: Asking,
    category: u16,
    /// How many of the newest were read.
    start: u16,
    /// Events that were read, in pages from the newest backwards.
    pages: Vec<Vec<Event>>,
    reached: Ts,
    done: bool,
}

impl Bars {
    fn new(of: Of, category: u16, past: Past) -> Self {
        let reached = past.from;
        Self {
            of,
            past,
            asking: Asking::default(),
            category,
            start: 0,
            pages: Vec::new(),
            reached,
            done: false,
        }
    }

    fn query(&self) -> Query {
        let (code, category, start) = (self.of.wire, self.category, self.start);
        Query::Bars(BarsQuery { code, category, multiplier: 1, start, count: BARS, ..BarsQuery::default() })
    }
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        (!self.done).then(|| self.asking.request(&self.query()))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let query = self.query();
        let Some(Answer::Bars(all)) = self.asking.answer(&query, body)? else { return Ok(Vec::new()) };
        let (mut page, mut begun) = (Vec::new(), all.is_empty());
        for wire in &all {
            let (mut bar, end) = emit::bar(wire, self.category, self.of.scale, self.of.code)?;
            begun |= bar.start <= self.past.from;
            bar.closed = end <= now;
            if bar.start >= self.past.from && bar.start < self.past.to {
                page.push(event(
                    &self.past.instrument,
                    Channel::Bars,
                    Some(end),
                    now,
                    Body::Bar(Box::new(bar)),
                ));
            }
        }
        // A day moves pages by its new bars: what the page after has already is left out here.
        if let Some(first) =
            self.pages.iter().rev().find_map(|page| page.first()).and_then(|event| event.stamp.ts_event)
        {
            page.retain(|event| event.stamp.ts_event < Some(first));
        }
        self.pages.push(page);
        let read = u16::try_from(all.len()).unwrap_or(BARS);
        let further = self.start.checked_add(read).filter(|_| !begun);
        self.start = further.unwrap_or(self.start);
        self.done = further.is_none();
        if !self.done {
            return Ok(Vec::new());
        }
        self.reached = self.past.to;
        Ok(std::mem::take(&mut self.pages).into_iter().rev().flatten().collect())
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}

/// Corporate actions: one answer has them all.
struct Actions {
    of: Of,
    past: Past,
    asking: Asking,
    done: bool,
}

impl History for Actions {
    fn request(&mut self) -> Option<Request> {
        (!self.done).then(|| self.asking.request(&Query::Actions(vec![self.of.wire])))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let query = Query::Actions(vec![self.of.wire]);
        let Some(Answer::Actions(all)) = self.asking.answer(&query, body)? else {
            return Ok(Vec::new());
        };
        let mut events = Vec::new();
        for change in all.iter().filter(|one| one.code == self.of.wire).flat_map(|one| &one.all) {
            let action = emit::action(change)?;
            if action.at >= self.past.from && action.at < self.past.to {
                let (at, body) = (action.at, Body::CorporateAction(Box::new(action)));
                events.push(event(&self.past.instrument, Channel::CorporateActions, Some(at), now, body));
            }
        }
        events.sort_by_key(|event| event.stamp.ts_event);
        self.done = true;
        Ok(events)
    }

    fn reached(&self) -> Ts {
        if self.done { self.past.to } else { self.past.from }
    }
}

/// Trades: day by day, each from its newest page backwards.
struct Trades {
    of: Of,
    past: Past,
    asking: Asking,
    day: Date,
    start: u16,
    rows: Vec<Trade>,
}

impl Trades {
    fn new(of: Of, past: Past) -> Self {
        let day = local(past.from).0;
        let mut this = Self { of, past, asking: Asking::default(), day, start: 0, rows: Vec::new() };
        this.skip();
        this
    }

    /// Goes on to the next day on which there may have been trading.
    fn skip(&mut self) {
        let last = local(self.past.to).0;
        while self.day <= last && calendar().is_trading_day(self.day) == Some(false) {
            self.day = self.day.plus_days(1);
        }
    }

    fn query(&self) -> Query {
        Query::TradesOf(self.day.number(), self.of.wire, Page { start: self.start, count: TRADES })
    }
}

impl History for Trades {
    fn request(&mut self) -> Option<Request> {
        (self.reached() < self.past.to).then(|| self.asking.request(&self.query()))
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed> {
        let query = self.query();
        let Some(Answer::Trades(_, rows)) = self.asking.answer(&query, body)? else { return Ok(Vec::new()) };
        let read = u16::try_from(rows.len()).unwrap_or(TRADES);
        let further = self.start.checked_add(read).filter(|_| read == TRADES);
        let all = [&rows[..], &self.rows].concat();
        if let Some(start) = further {
            (self.start, self.rows) = (start, all);
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        let trades = all.iter().filter(|row| row.side != side::AUCTION);
        for (place, row) in (1..).zip(trades).filter(|(_, row)| row.volume > 0) {
            let made = emit::trade(row, place, self.day, self.of.scale, &self.past.instrument);
            let (ts, trade) = made?;
            if ts >= self.past.from && ts < self.past.to {
                events.push(event(&self.past.instrument, Channel::Trades, Some(ts), now, Body::Trade(trade)));
            }
        }
        (self.start, self.rows) = (0, Vec::new());
        self.day = self.day.plus_days(1);
        self.skip();
        Ok(events)
    }

    fn reached(&self) -> Ts {
        instant(self.day, 0).max(self.past.from).min(self.past.to)
    }
}
