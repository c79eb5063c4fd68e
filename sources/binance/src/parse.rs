//! Frames that come by the thousand: book changes, quotes and prints.

use crate::NAME;
use model::{
    Body, Channel, Delta, Event, Flags, Instrument, Level, Levels, Quote, Side, Snapshot, Stamp, Trade,
    TradeId, Ts,
};
use source::{Action, Cursor, Field, Malformed, What};
use std::sync::Arc;

/// What reading gives.
pub type Result<T> = std::result::Result<T, Malformed>;

/// A value of `b` or `a`: levels, a price or an id, by the kind of frame.
#[derive(Clone)]
pub enum Either<'a> {
    /// Not there.
    None,
    /// Levels, to be read once the instrument is known.
    Levels(Cursor<'a>),
    /// A number, to be read once the instrument is known.
    Number(Cursor<'a>),
}

/// The fields of a hot frame as they stand in it.
pub struct Fields<'a> {
    /// The symbol.
    pub symbol: &'a [u8],
    /// Event time, ms.
    pub event_ms: Option<i64>,
    /// Time of the engine or of the trade, ms.
    pub engine_ms: Option<i64>,
    /// First update id.
    pub first: Option<u64>,
    /// Last update id.
    pub last: Option<u64>,
    /// Last update id of the event before.
    pub before: Option<u64>,
    /// Id of a trade.
    pub trade: Option<u64>,
    /// First and last print of an aggregated trade.
    pub prints: (u64, u64),
    /// Price.
    pub px: Either<'a>,
    /// Quantity.
    pub qty: Either<'a>,
    /// Bids, best bid, or an id.
    pub b: Either<'a>,
    /// Asks, best ask, or an id.
    pub a: Either<'a>,
    /// Quantity at the best bid and ask.
    pub best: (Either<'a>, Either<'a>),
    /// Whether the buyer was the maker.
    pub buyer_made: Option<bool>,
    /// Whether the row stands for a trade id that was used up.
    pub placeholder: bool,
    /// Whether it has the key that only spot trades have.
    pub spot: bool,
}

impl<'a> Fields<'a> {
    /// Reads an object; `unknown` is told of keys that nobody knows.
    #[inline]
    pub fn read(c: &mut Cursor<'a>, mut unknown: impl FnMut(&[u8])) -> Result<Self> {
        let mut f = Fields {
            symbol: b"",
            event_ms: None,
            engine_ms: None,
            first: None,
            last: None,
            before: None,
            trade: None,
            prints: (0, 0),
            px: Either::None,
            qty: Either::None,
            b: Either::None,
            a: Either::None,
            best: (Either::None, Either::None),
            buyer_made: None,
            placeholder: false,
            spot: false,
        };
        c.object(|c, key| {
            match key {
                b"e" => drop(c.str()?),
                b"E" => f.event_ms = Some(c.i64()?),
                b"T" => f.engine_ms = Some(c.i64()?),
                b"s" | b"symbol" => f.symbol = c.str()?,
                b"U" => f.first = Some(c.u64()?),
                b"u" | b"lastUpdateId" => f.last = Some(c.u64()?),
                b"pu" => f.before = Some(c.u64()?),
                b"b" | b"bids" => f.b = either(c)?,
                b"a" | b"asks" => f.a = either(c)?,
                b"p" => f.px = either(c)?,
                b"q" => f.qty = either(c)?,
                b"B" => f.best.0 = either(c)?,
                b"A" => f.best.1 = either(c)?,
                b"t" => f.trade = Some(c.u64()?),
                b"f" => f.prints.0 = c.u64()?,
                b"l" => f.prints.1 = c.u64()?,
                b"m" => f.buyer_made = Some(c.bool()?),
                b"X" => f.placeholder = c.str()? == b"NA",
                b"M" => {
                    f.spot = true;
                    c.skip()?;
                }
                b"ps" | b"st" | b"nq" | b"pair" => drop(c.skip()?),
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        Ok(f)
    }

    /// The venue's time of the event.
    pub fn ts(&self) -> Option<Ts> {
        self.engine_ms.or(self.event_ms).map(Ts::from_ms)
    }
}

/// Leaves levels for later and takes a number's text.
#[inline]
fn either<'a>(c: &mut Cursor<'a>) -> Result<Either<'a>> {
    if c.peek() == Some(b'[') {
        let start = c.clone();
        c.skip()?;
        return Ok(Either::Levels(start));
    }
    let start = c.clone();
    c.number()?;
    Ok(Either::Number(start))
}

impl Either<'_> {
    /// Whether the key stood in the frame.
    pub const fn is_there(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The value as a mantissa.
    #[inline]
    fn mantissa(&self, instrument: &Instrument, field: Field, name: &'static str) -> Result<i64> {
        match self {
            Self::Number(at) => {
                let mut c = at.clone();
                Ok(match field {
                    Field::Px => c.px(instrument.px_scale)?.0,
                    Field::Qty => c.qty(instrument.qty_scale)?.0,
                })
            }
            Self::Levels(at) => Err(at.fault(What::Expected("a number"))),
            Self::None => Err(Malformed { at: 0, what: What::Missing(name) }),
        }
    }
}

/// Makes an event of this source.
#[inline]
pub fn event(
    instrument: &Arc<Instrument>,
    channel: Channel,
    ts_event: Option<Ts>,
    now: Ts,
    body: Body,
) -> Event {
    let stamp = Stamp { ts_event, ts_recv: now };
    Event { source: NAME, instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

/// `{"e":"trade","E":1760000000123,"s":"BTCUSDT","t":50001,"p":"64000.10","q":"0.10000000","T":1760000000121,"m":true,"M":true}`
///
/// `None` for a row that only uses up an id.
#[inline]
pub fn trade(f: &Fields<'_>, instrument: &Arc<Instrument>, now: Ts) -> Result<Option<Event>> {
    if f.placeholder {
        return Ok(None);
    }
    let id = f.trade.ok_or(Malformed { at: 0, what: What::Missing("t") })?;
    print(f, instrument, Channel::Trades, id, 1, now).map(Some)
}

/// `{"e":"aggTrade","E":1760000000123,"s":"BTCUSDT","a":9001,"p":"64000.10","q":"0.25000000","f":50001,"l":50003,"T":1760000000121,"m":false,"M":true}`
pub fn agg_trade(f: &Fields<'_>, instrument: &Arc<Instrument>, now: Ts) -> Result<Event> {
    let Either::Number(at) = &f.a else { return Err(Malformed { at: 0, what: What::Missing("a") }) };
    let id = at.clone().u64()?;
    let count = f.prints.1.saturating_sub(f.prints.0).saturating_add(1);
    print(f, instrument, Channel::AggTrades, id, u32::try_from(count).unwrap_or(u32::MAX), now)
}

fn print(
    f: &Fields<'_>,
    instrument: &Arc<Instrument>,
    channel: Channel,
    id: u64,
    count: u32,
    now: Ts,
) -> Result<Event> {
    let body = Trade {
        id: TradeId::Num(id),
        px: model::Px(f.px.mantissa(instrument, Field::Px, "p")?),
        qty: model::Qty(f.qty.mantissa(instrument, Field::Qty, "q")?),
        aggressor: f.buyer_made.map(|made| if made { Side::Ask } else { Side::Bid }),
        count,
    };
    Ok(event(instrument, channel, f.ts(), now, Body::Trade(body)))
}

/// `{"u":700000123,"s":"BTCUSDT","b":"64000.00","B":"1.20000000","a":"64000.10","A":"0.80000000"}`
pub fn quote(f: &Fields<'_>, instrument: &Arc<Instrument>, now: Ts) -> Result<Event> {
    let level =
        |px: &Either<'_>, qty: &Either<'_>, names: (&'static str, &'static str)| -> Result<Option<Level>> {
            let px = px.mantissa(instrument, Field::Px, names.0)?;
            let qty = qty.mantissa(instrument, Field::Qty, names.1)?;
            Ok((qty > 0).then_some(Level { px: model::Px(px), qty: model::Qty(qty) }))
        };
    let bid = level(&f.b, &f.best.0, ("b", "B"))?;
    let ask = level(&f.a, &f.best.1, ("a", "A"))?;
    Ok(event(instrument, Channel::Quote, f.ts(), now, Body::Quote(Quote { bid, ask, seq: f.last })))
}

/// `"b":[["63999.90","0.00000000"]],"a":[["64000.20","2.00000000"]]`
#[inline]
fn levels(f: &Fields<'_>, instrument: &Instrument, scratch: &mut Vec<Level>) -> Result<Levels> {
    scratch.clear();
    let mut side = |from: &Either<'_>, name: &'static str| {
        let Either::Levels(at) = from else { return Err(Malformed { at: 0, what: What::Missing(name) }) };
        at.clone().array(|c| {
            let mut n = 0;
            let mut level = Level { px: model::Px(0), qty: model::Qty(0) };
            c.array(|c| {
                match n {
                    0 => level.px = c.px(instrument.px_scale)?,
                    1 => level.qty = c.qty(instrument.qty_scale)?,
                    _ => drop(c.skip()?),
                }
                n += 1;
                Ok(())
            })?;
            if n < 2 {
                return Err(c.fault(What::Expected("a price and a quantity")));
            }
            scratch.push(level);
            Ok(())
        })?;
        Ok(scratch.len())
    };
    let bids = side(&f.b, "b")?;
    side(&f.a, "a")?;
    Ok(Levels::new(scratch.as_slice().to_vec(), bids))
}

/// The levels of a change that follows `prev_seq`.
#[inline]
pub fn delta(
    f: &Fields<'_>,
    instrument: &Arc<Instrument>,
    prev_seq: u64,
    scratch: &mut Vec<Level>,
    now: Ts,
) -> Result<Event> {
    let levels = levels(f, instrument, scratch)?;
    let body = Delta { prev_seq: Some(prev_seq), seq: f.last, levels, checksum: None, epoch: 0 };
    Ok(event(instrument, Channel::Book, f.ts(), now, Body::Delta(body)))
}

/// `{"lastUpdateId":700000123,"bids":[["64000.00","1.20000000"]],"asks":[["64000.10","0.80000000"]]}`
pub fn snapshot(
    f: &Fields<'_>,
    instrument: &Arc<Instrument>,
    channel: Channel,
    scratch: &mut Vec<Level>,
    now: Ts,
) -> Result<Event> {
    let levels = levels(f, instrument, scratch)?;
    let body = Snapshot { seq: f.last, levels, checksum: None, epoch: 0 };
    Ok(event(instrument, channel, f.ts(), now, Body::Snapshot(body)))
}

/// Emits an event.
pub fn emit(event: Event, out: &mut Vec<Action>) {
    out.push(Action::Emit(event));
}
