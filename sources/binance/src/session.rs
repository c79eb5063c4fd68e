//! Our end of one connection: a match over [`Input`].

mod books;

use crate::cold;
use crate::listing;
use crate::parse::{self, Fields, Result, emit};
use crate::product::{PRODUCTS, Product};
use crate::subscribe;
use crate::table::{Book, Table};
use hashbrown::HashSet;
use model::{Channel, GapCause, LaneFact, Level, Ts};
use source::{Action, Cursor, Fault, Input, Malformed, Session, Shard, What};
use std::collections::BTreeMap;

/// Subscriptions that are to be tried again.
const TIMER_SUBSCRIBE: u64 = 0;
/// The next round of polling.
const TIMER_POLL: u64 = 1;
/// Snapshots: this and the place of the instrument.
const TIMER_BOOK: u64 = 16;
/// How long after a refusal the next try is made, in ms.
const REFUSED_MS: u64 = 10_000;
/// How often open interest is asked for, in ms.
const POLL_MS: u64 = 15_000;
/// How many unknown names are told.
const UNKNOWN_MAX: usize = 256;

/// Our end of one connection.
pub struct BinanceSession {
    shard: Shard,
    /// The section; `None` in a recording until a frame shows it.
    product: Option<&'static Product>,
    wanting: bool,
    open: bool,
    table: Table,
    /// Places and channels by the stream that carries them.
    streams: Vec<(String, Vec<(usize, Channel)>)>,
    /// Streams by the id of the frame that asked for them.
    asked: BTreeMap<u64, Vec<usize>>,
    refused: Vec<usize>,
    next_id: u64,
    unknown: HashSet<String>,
    scratch: Vec<Level>,
    /// A recorded snapshot of which the recording does not say whose it is.
    bare: Option<Box<[u8]>>,
}

impl BinanceSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let mut table = Table::new(!wanting);
        let mut streams: Vec<(String, Vec<(usize, Channel)>)> = Vec::new();
        for want in &shard.wants {
            let at = table.put(&want.instrument);
            let Some(product) = Product::named(&want.instrument.product) else { continue };
            let name = subscribe::stream(product, &want.instrument, want.channel, &shard.options)
                .unwrap_or_default();
            match streams.iter_mut().find(|(known, _)| *known == name && !name.is_empty()) {
                Some((_, lanes)) => lanes.push((at, want.channel)),
                None => streams.push((name, vec![(at, want.channel)])),
            }
        }
        let product =
            if wanting { PRODUCTS.get(shard.endpoint) } else { shard.path.as_deref().and_then(by_url) };
        Self {
            shard: shard.clone(),
            product,
            wanting,
            open: false,
            table,
            streams,
            asked: BTreeMap::new(),
            refused: Vec::new(),
            next_id: 1,
            unknown: HashSet::new(),
            scratch: Vec::new(),
            bare: None,
        }
    }
}

/// The section that a recorded URL belongs to.
fn by_url(url: &str) -> Option<&'static Product> {
    let host =
        [("fstream", 1), ("fapi", 1), ("dstream", 2), ("dapi", 2), ("stream.binance", 0), ("api.binance", 0)];
    host.into_iter().find(|(part, _)| url.contains(part)).and_then(|(_, at)| PRODUCTS.get(at))
}

impl Session for BinanceSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Frame { bytes, binary: false } => self.frame(bytes, now, out),
            Input::Frame { bytes, binary: true } => {
                out.push(Action::Malformed(Malformed { at: 0, what: What::Expected("a text frame") }));
                self.suffer(bytes, GapCause::Malformed, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                self.reply(tag, path, Answer { status, retry_ms, body }, now, out);
            }
            Input::Wake { timer: TIMER_SUBSCRIBE } => self.subscribe_again(now, out),
            Input::Wake { timer: TIMER_POLL } => self.poll(now, out),
            Input::Wake { timer } => {
                let at = (timer - TIMER_BOOK.min(timer)) as usize;
                self.fetch(at, out);
            }
            Input::Resync { instrument, channel: Channel::Book } => {
                if let Some(listed) = self.table.by_id(instrument).and_then(|at| self.table.get_mut(at)) {
                    listed.book = Book::Idle;
                    listed.syncing("waits for the next change to begin anew".to_owned(), now, out);
                }
            }
            Input::Resync { .. } => {}
            Input::Define(instrument) => self.table.define(instrument),
            Input::Closed => {
                self.open = false;
                self.asked.clear();
                self.lose_all(GapCause::Disconnected, now, out);
            }
        }
    }
}

/// What came back for a request.
#[derive(Clone, Copy)]
struct Answer<'a> {
    status: u16,
    retry_ms: Option<u64>,
    body: &'a [u8],
}

impl BinanceSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = true;
        for listed in self.table.all_mut() {
            listed.book = Book::Idle;
        }
        if !self.wanting {
            return;
        }
        for (_, lanes) in &self.streams {
            for (at, channel) in lanes {
                let (Some(listed), Some(spec)) = (self.table.get(*at), channel_spec(*channel)) else {
                    continue;
                };
                let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                listed.fact(*channel, fact, now, out);
                if *channel == Channel::Book {
                    listed.syncing("waits for the first change".to_owned(), now, out);
                }
            }
        }
        if self.shard.path.is_none() {
            self.poll(now, out);
        } else {
            self.refused = (0..self.streams.len()).collect();
            self.subscribe_again(now, out);
        }
    }

    /// Asks for what is not subscribed yet.
    fn subscribe_again(&mut self, _now: Ts, out: &mut Vec<Action>) {
        if !self.open {
            return;
        }
        let due = std::mem::take(&mut self.refused);
        for part in due.chunks(subscribe::STREAMS_PER_FRAME) {
            let names: Vec<String> =
                part.iter().filter_map(|at| self.streams.get(*at)).map(|(name, _)| name.clone()).collect();
            out.push(Action::Send(subscribe::frame(&names, self.next_id)));
            self.asked.insert(self.next_id, part.to_vec());
            self.next_id += 1;
        }
    }

    /// Asks for open interest of every instrument.
    fn poll(&mut self, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            if let Some(listed) = self.table.get(at) {
                let symbol = listing::encoded(&listed.instrument.symbol);
                let path = format!("{}/openInterest?symbol={symbol}", listed.product.rest);
                out.push(Action::Fetch { tag: at as u64, path, weight: 1 });
            }
        }
        out.push(Action::WakeAt { timer: TIMER_POLL, at: now.plus_ms(POLL_MS) });
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        if let Err(fault) = self.read(bytes, now, out) {
            out.push(Action::Malformed(fault));
            self.suffer(bytes, GapCause::Malformed, now, out);
        }
    }

    /// A frame of a combined stream, a bare one, or a control message.
    fn read(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let mut c = Cursor::new(bytes);
        if bytes.first() == Some(&b'[') {
            c.array(|c| self.payload(b"", c, now, out))?;
            return c.end();
        }
        let Some(key) = first_key(bytes) else { return Err(c.fault(What::Expected("an object"))) };
        if key != b"stream" && key != b"data" {
            let combined = find(&c, b"data").is_some() && find(&c, b"stream").is_some();
            if !combined {
                if is_control(&c) {
                    return self.control(&mut c, now, out);
                }
                self.payload(b"", &mut c, now, out)?;
                return c.end();
            }
        }
        let (mut stream, mut data) = (b"".as_slice(), None);
        c.object(|c, key| {
            match key {
                b"stream" => stream = c.str()?,
                b"data" if !stream.is_empty() => {
                    if c.peek() == Some(b'[') {
                        c.array(|c| self.payload(stream, c, now, out))?;
                    } else {
                        self.payload(stream, c, now, out)?;
                    }
                }
                b"data" => {
                    data = Some(c.clone());
                    c.skip()?;
                }
                other => {
                    self.note(b"frame", other, out);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        if let Some(mut c) = data {
            self.payload(stream, &mut c, now, out)?;
        }
        c.end()
    }

    /// `{"result":null,"id":1}`, `{"code":2,"msg":"…","id":1}`
    fn control(&mut self, c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let (mut id, mut code, mut words) = (None, None, "");
        c.object(|c, key| {
            match key {
                b"id" => id = c.u64().ok().or_else(|| c.skip().ok().and(None)),
                b"code" => code = Some(c.i64()?),
                b"msg" => words = c.utf8()?,
                b"error" => {
                    code = code.or(Some(-1));
                    c.skip()?;
                }
                b"result" => drop(c.skip()?),
                other => {
                    self.note(b"control", other, out);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        c.end()?;
        out.push(Action::Control(if code.is_some() { "refusal" } else { "acknowledgement" }));
        let Some(streams) = id.and_then(|id| self.asked.remove(&id)) else { return Ok(()) };
        for at in &streams {
            let Some((_, lanes)) = self.streams.get(*at) else { continue };
            for (place, channel) in lanes {
                let fact = match code {
                    None => LaneFact::Acked,
                    Some(code) => LaneFact::Refused(format!("{code} {words}").into()),
                };
                if let Some(listed) = self.table.get(*place) {
                    listed.fact(*channel, fact, now, out);
                }
            }
        }
        if code.is_some() {
            self.refused.extend(streams);
            out.push(Action::WakeAt { timer: TIMER_SUBSCRIBE, at: now.plus_ms(REFUSED_MS) });
        }
        Ok(())
    }

    /// The object that a stream carries.
    #[inline]
    fn payload<'a>(
        &mut self,
        stream: &'a [u8],
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let start = c.clone();
        let kind = find(c, b"e").unwrap_or_default();
        match kind {
            b"depthUpdate" | b"bookTicker" | b"trade" | b"aggTrade" | b"" => {
                self.hot(kind, stream, c, now, out)
            }
            b"24hrTicker" | b"kline" | b"markPriceUpdate" | b"forceOrder" => self.cold(kind, c, now, out),
            b"serverShutdown" => {
                c.skip()?;
                out.push(Action::Control("shutdown"));
                let why = "the venue will close the connection".to_owned();
                out.push(Action::Close { fault: Fault::Planned, why });
                Ok(())
            }
            other => {
                self.note(b"event", other, out);
                *c = start;
                c.skip().map(drop)
            }
        }
    }

    /// The section of a frame: the connection's, or in a recording what the frame shows.
    #[inline]
    fn section(&mut self, symbol: &[u8], futures: Option<bool>) -> &'static Product {
        let known = match (self.product, futures) {
            (Some(product), _) if self.wanting || !product.futures => return product,
            (Some(product), _) => product,
            (None, None) => return &PRODUCTS[0],
            (None, Some(futures)) => {
                let [spot, usdm, _] = &PRODUCTS;
                let product = if futures { usdm } else { spot };
                self.product = Some(product);
                product
            }
        };
        if !known.futures {
            return known;
        }
        let pair = symbol.split(|b| *b == b'_').next().unwrap_or_default();
        if pair.len() < symbol.len() && pair.ends_with(b"USD") { &PRODUCTS[2] } else { &PRODUCTS[1] }
    }

    fn hot<'a>(
        &mut self,
        kind: &[u8],
        stream: &'a [u8],
        c: &mut Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let start = c.clone();
        let (unknown, wanted) = (&mut self.unknown, kind);
        let fields = Fields::read(c, |key| note(unknown, wanted, key, out))?;
        let symbol = if fields.symbol.is_empty() { upper(stream) } else { fields.symbol.into() };
        let futures = match kind {
            b"depthUpdate" => Some(fields.before.is_some()),
            b"bookTicker" => Some(true),
            b"" if fields.best.0.is_there() => Some(false),
            b"trade" => Some(!fields.spot),
            _ => None,
        };
        let product = self.section(&symbol, futures);
        let Some(at) = self.table.place(product, &symbol) else {
            out.push(Action::Control("data of an instrument that is not wanted"));
            return Ok(());
        };
        let partial = is_partial(stream) || (kind.is_empty() && !fields.best.0.is_there());
        if kind == b"depthUpdate" && !partial {
            return self.change(at, &fields, &start, c, now, out);
        }
        loop {
            let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
            let instrument = &listed.instrument;
            let made = match kind {
                b"trade" => parse::trade(&fields, instrument, now),
                b"aggTrade" => parse::agg_trade(&fields, instrument, now).map(Some),
                _ if partial => {
                    parse::snapshot(&fields, instrument, Channel::BookTop, &mut self.scratch, now).map(Some)
                }
                _ => parse::quote(&fields, instrument, now).map(Some),
            };
            match made {
                Ok(Some(event)) => {
                    emit(event, out);
                    return Ok(());
                }
                Ok(None) => {
                    out.push(Action::Control("placeholder"));
                    return Ok(());
                }
                Err(fault) => listed.widen(fault, now, out)?,
            }
        }
    }

    fn cold(&mut self, kind: &[u8], c: &mut Cursor<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let order = if kind == b"forceOrder" { find_cursor(c, b"o") } else { None };
        let symbol = order.as_ref().and_then(|o| find(o, b"s")).or_else(|| find(c, b"s"));
        let Some(symbol) = symbol else { return Err(c.fault(What::Missing("s"))) };
        let futures = match kind {
            b"markPriceUpdate" | b"forceOrder" => Some(true),
            _ => None,
        };
        let product = self.section(symbol, futures);
        let Some(listed) = self.table.place(product, symbol).and_then(|at| self.table.get(at)) else {
            c.skip()?;
            out.push(Action::Control("data of an instrument that is not wanted"));
            return Ok(());
        };
        let instrument = &listed.instrument;
        let mut unknown = Vec::new();
        let mut events = Vec::new();
        match kind {
            b"24hrTicker" => {
                events.push(cold::day_stats(c, instrument, now, |key| unknown.push(key.to_vec()))?);
            }
            b"kline" => events.push(cold::bar(c, instrument, now, |key| unknown.push(key.to_vec()))?),
            b"forceOrder" => {
                events.push(cold::liquidation(c, instrument, now, |key| unknown.push(key.to_vec()))?);
            }
            _ => {
                cold::mark(c, instrument, now, |key| unknown.push(key.to_vec()), |event| events.push(event))?;
            }
        }
        for key in unknown {
            self.note(kind, &key, out);
        }
        for event in events {
            emit(event, out);
        }
        Ok(())
    }

    fn note(&mut self, place: &[u8], key: &[u8], out: &mut Vec<Action>) {
        note(&mut self.unknown, place, key, out);
    }

    /// What a frame that could not be read means for the books of this connection.
    fn suffer(&mut self, bytes: &[u8], cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        let stream = find(&Cursor::new(bytes), b"stream").unwrap_or_default();
        let known = stream.contains(&b'@') && self.product.is_some();
        if !known {
            return self.lose_all(cause, now, out);
        }
        if !is_depth(stream) {
            return;
        }
        let symbol = upper(stream);
        let product = self.section(&symbol, None);
        if let Some(listed) = self.table.place(product, &symbol).and_then(|at| self.table.get_mut(at)) {
            listed.gap(cause, None, now, out);
            listed.syncing("a change could not be read; waits for the next".to_owned(), now, out);
        }
    }

    fn lose_all(&mut self, cause: GapCause, now: Ts, out: &mut Vec<Action>) {
        for listed in self.table.all_mut() {
            listed.gap(cause, None, now, out);
        }
    }
}

fn channel_spec(channel: Channel) -> Option<&'static source::ChannelSpec> {
    crate::SPEC.channel(channel)
}

/// Tells of an unknown name once.
fn note(known: &mut HashSet<String>, place: &[u8], key: &[u8], out: &mut Vec<Action>) {
    let place = if place.is_empty() { b"quote".as_slice() } else { place };
    let name = format!("{}.{}", String::from_utf8_lossy(place), String::from_utf8_lossy(key));
    if known.len() < UNKNOWN_MAX && !known.contains(&name) {
        out.push(Action::Unknown(name.clone()));
        known.insert(name);
    }
}

/// The first key of an object.
fn first_key(bytes: &[u8]) -> Option<&[u8]> {
    let mut key = None;
    let _ = Cursor::new(bytes).object(|c, k| {
        key = Some(k);
        Err(c.fault(What::Eof))
    });
    key.or_else(|| (bytes.trim_ascii() == b"{}").then_some(b"".as_slice()))
}

/// The text or number under a key of the object here, if the object can be read that far.
#[inline]
fn find<'a>(c: &Cursor<'a>, key: &[u8]) -> Option<&'a [u8]> {
    let mut at = find_cursor(c, key)?;
    match at.peek() {
        Some(b'"') => at.str().ok(),
        _ => at.skip().ok(),
    }
}

/// The place of a key's value.
#[inline]
fn find_cursor<'a>(c: &Cursor<'a>, key: &[u8]) -> Option<Cursor<'a>> {
    let mut found = None;
    let _ = c.clone().object(|c, k| {
        if k == key {
            found = Some(c.clone());
            return Err(c.fault(What::Eof));
        }
        c.skip().map(drop)
    });
    found
}

fn is_control(c: &Cursor<'_>) -> bool {
    let has = |key: &[u8]| find_cursor(c, key).is_some();
    !has(b"e") && (has(b"result") || has(b"code") || has(b"error") || (has(b"id") && !has(b"u")))
}

/// The symbol of a stream name as payloads spell it.
fn upper(stream: &[u8]) -> std::borrow::Cow<'static, [u8]> {
    let symbol = stream.split(|b| *b == b'@').next().unwrap_or_default();
    std::borrow::Cow::Owned(symbol.to_ascii_uppercase())
}

/// Whether a stream carries whole best levels: `…@depth5`, `…@depth20@100ms`.
fn is_partial(stream: &[u8]) -> bool {
    let kind = stream.split(|b| *b == b'@').nth(1).unwrap_or_default();
    kind.strip_prefix(b"depth").is_some_and(|levels| !levels.is_empty())
}

/// Whether a stream carries changes of a book.
fn is_depth(stream: &[u8]) -> bool {
    stream.split(|b| *b == b'@').nth(1) == Some(b"depth")
}
