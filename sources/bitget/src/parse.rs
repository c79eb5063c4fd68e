//! Bytes to rows: the envelope of a frame, books and trades. The slower channels are in [`rows`](crate::rows).
use crate::emit::Sink;
use model::{Body, Channel, Checksum, ChecksumKind, Instrument, Level, NumError, Qty, Trade, TradeId, Ts};
use source::{Cursor, Malformed, What};
use std::sync::Arc;

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What a frame is about.
///
/// `{"instType":"SPOT","channel":"books","instId":"BTCUSDT"}`, in v3
/// `{"instType":"usdt-futures","topic":"kline","symbol":"BTCUSDT","interval":"1m"}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg<'a> {
    /// `instType`.
    pub inst_type: &'a [u8],
    /// `channel` or `topic`, as the venue spells it.
    pub channel: &'a [u8],
    /// What that channel is to us.
    pub kind: Kind,
    /// `instId` or `symbol`; empty for a channel of a whole product.
    pub symbol: &'a [u8],
    /// `interval` of v3; in v2 it is part of the channel.
    pub interval: &'a [u8],
    /// Whether it is in the words of v3.
    pub third: bool,
}

/// A channel of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `trade`, `publicTrade`.
    Trades,
    /// `books`: a snapshot, then updates.
    Book,
    /// `books5`, `books15`, `books50`.
    BookTop,
    /// `books1`.
    Quote,
    /// `ticker`, which feeds several of our channels.
    Ticker,
    /// `candle1m` and its like, `kline`.
    Bars,
    /// `liquidation`.
    Liquidations,
    /// Any other.
    Other,
}

impl Kind {
    /// The meaning of a channel name.
    pub fn of(channel: &[u8]) -> Self {
        match channel {
            b"books" => Self::Book,
            b"trade" | b"publicTrade" => Self::Trades,
            b"books1" => Self::Quote,
            b"ticker" => Self::Ticker,
            b"books5" | b"books15" | b"books50" => Self::BookTop,
            b"kline" => Self::Bars,
            b"liquidation" => Self::Liquidations,
            _ if channel.starts_with(b"candle") => Self::Bars,
            _ => Self::Other,
        }
    }
}

/// What stands around the data of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// What it is about; `None` where that could not be read.
    pub arg: Option<Arg<'a>>,
    /// `snapshot` or `update`.
    pub action: Option<&'a [u8]>,
    /// It has an `event`: an acknowledgement, an error.
    pub control: bool,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
    /// It has data.
    pub data: bool,
    /// When the venue sent it.
    pub ts: Option<Ts>,
}

/// Reads the envelope and calls `data` at the value of its `data`, in whatever order the keys come.
///
/// `{"action":"update","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"data":[…],"ts":1760000000251}`
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let (mut later, mut done) = (None, false);
    let mut c = Cursor::new(bytes);
    let mut read = c.object(|c, key| {
        match key {
            b"action" => head.action = Some(c.str()?),
            b"arg" => head.arg = Some(arg(c, &mut head.unknown)?),
            b"data" => {
                head.data = true;
                if head.arg.is_some() && head.action.is_some() && !head.control {
                    done = true;
                    return data(&head, c);
                }
                later = Some(c.clone());
                c.skip()?;
            }
            b"ts" => head.ts = ms(c)?,
            b"event" => {
                head.control = true;
                c.skip()?;
            }
            b"op" | b"code" | b"msg" | b"connId" => {
                c.skip()?;
            }
            other => {
                head.unknown = Some(other);
                c.skip()?;
            }
        }
        Ok(())
    });
    if read.is_ok() {
        read = c.end();
    }
    if read.is_ok() && !head.control && !done {
        read = match later {
            Some(mut at) if head.arg.is_some() => data(&head, &mut at),
            _ if head.arg.is_some() => Err(c.fault(What::Missing("data"))),
            _ => Err(c.fault(What::Missing("arg"))),
        };
    }
    (head, read)
}

fn arg<'a>(c: &mut Cursor<'a>, unknown: &mut Option<&'a [u8]>) -> Result<Arg<'a>> {
    let mut arg =
        Arg { inst_type: b"", channel: b"", kind: Kind::Other, symbol: b"", interval: b"", third: false };
    c.object(|c, key| {
        match key {
            b"instType" => arg.inst_type = c.str()?,
            b"channel" => arg.channel = c.str()?,
            b"instId" | b"symbol" => arg.symbol = c.str()?,
            b"topic" => {
                arg.third = true;
                arg.channel = c.str()?;
            }
            b"interval" => arg.interval = c.str()?,
            other => {
                *unknown = Some(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    arg.kind = Kind::of(arg.channel);
    Ok(arg)
}

/// Calls `row` at each row of `data`, or at the one that stands without an array around it.
#[inline]
pub fn each<'a>(c: &mut Cursor<'a>, mut row: impl FnMut(&mut Cursor<'a>) -> Result<()>) -> Result<()> {
    if c.peek() == Some(b'{') { row(c) } else { c.array(row) }
}

/// Milliseconds, or nothing.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    let text = c.number()?;
    if text.is_empty() {
        return Ok(None);
    }
    model::parse_mantissa(text, 0).map(|ms| Some(Ts::from_ms(ms))).map_err(|e| c.fault(What::Number(e)))
}

/// A number of a book's state, as text or number; it may exceed 2^53.
#[inline]
fn seq(c: &mut Cursor<'_>) -> Result<Option<u64>> {
    let text = c.number()?;
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.iter().map(|b| b.wrapping_sub(b'0'));
    let value =
        digits.clone().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(digit.into()));
    match value {
        Some(value) if digits.clone().all(|digit| digit < 10) => Ok(Some(value)),
        _ => Err(c.fault(What::Number(NumError::NotANumber))),
    }
}

/// One row of a book channel without its levels, which are in a [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `seq`.
    pub seq: Option<u64>,
    /// `pseq`; 0 in a snapshot.
    pub prev: Option<u64>,
    /// `checksum` where it is there and not 0.
    pub checksum: Option<Checksum>,
}

/// Levels of a row, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// In the order of the frame.
    pub bids: Vec<Level>,
    /// In the order of the frame.
    pub asks: Vec<Level>,
    /// A number that stays in the book is written with zeros at its end, which the venue's checksum counts.
    pub padded: bool,
}

impl Scratch {
    /// Both sides in one allocation.
    #[inline]
    pub fn levels(&self) -> model::Levels {
        model::Levels::from_sides(&self.bids, &self.asks)
    }

    /// Whether no level is in it.
    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }
}

/// Reads one row of a book channel.
///
/// `{"asks":[["64010.2","1.5"]],"bids":[["64010.1","0.9"]],"seq":451000000010,"pseq":0,"ts":"1760000000100"}`, in v3
/// `{"a":[["64010.3","0.2"]],"b":[],"seq":451000000030,"pseq":451000000020,"ts":"1760000000300"}`
pub fn book_row<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    scratch: &mut Scratch,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<BookRow> {
    let mut row = BookRow::default();
    let (mut bids, mut asks) = (false, false);
    scratch.bids.clear();
    scratch.asks.clear();
    scratch.padded = false;
    let padded = &mut scratch.padded;
    c.object(|c, key| {
        match key {
            b"asks" | b"a" => {
                asks = true;
                scratch.asks.clear();
                side(c, instrument, &mut scratch.asks, padded)?;
            }
            b"bids" | b"b" => {
                bids = true;
                scratch.bids.clear();
                side(c, instrument, &mut scratch.bids, padded)?;
            }
            b"ts" => row.ts = ms(c)?,
            b"seq" => row.seq = seq(c)?,
            b"pseq" => row.prev = seq(c)?,
            b"checksum" => row.checksum = checksum(c)?,
            b"maxdepth" | b"symbol" | b"instId" => {
                c.skip()?;
            }
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    match (bids, asks) {
        (true, true) => Ok(row),
        (false, _) => Err(c.fault(What::Missing("bids"))),
        (_, false) => Err(c.fault(What::Missing("asks"))),
    }
}

/// A checksum: a number of 32 bits with a sign. Zero says that there is none.
fn checksum(c: &mut Cursor<'_>) -> Result<Option<Checksum>> {
    if c.null() {
        return Ok(None);
    }
    let value = i32::try_from(c.i64()?).map_err(|_| c.fault(What::Rule("checksum of more than 32 bits")))?;
    Ok((value != 0)
        .then(|| Checksum { kind: ChecksumKind::Crc32Interleaved25, value: value.cast_unsigned() }))
}

/// The levels of one side: `[["64010.1","1.1"]]`.
#[inline]
fn side(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    levels: &mut Vec<Level>,
    padded: &mut bool,
) -> Result<()> {
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    c.array(|c| {
        let (mut px, mut qty) = (None, None);
        let (mut at, mut zeros) = (0_u32, false);
        c.array(|c| {
            let start = c.clone();
            match at {
                0 => px = Some(c.px(px_scale)?),
                1 => qty = Some(c.qty(qty_scale)?),
                _ => {
                    c.skip()?;
                }
            }
            zeros |= ends_in_zeros(start.between(c));
            at += 1;
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (px, qty) else {
            return Err(c.fault(What::Missing("price and quantity of a level")));
        };
        *padded |= zeros && qty != Qty(0);
        levels.push(Level { px, qty });
        Ok(())
    })
}

/// Whether a number has a zero at the end of its fraction: `"64010.10"`.
#[inline]
fn ends_in_zeros(text: &[u8]) -> bool {
    matches!(text, [.., b'0' | b'.', b'"'] | [.., b'0' | b'.']) && text.contains(&b'.')
}

/// Reads the rows of `trade` (`publicTrade` in v3) and hands those without an id to `name`.
///
/// `[{"ts":"1760000000796","price":"64010.10","size":"0.001373","side":"buy","tradeId":"1300000000000000001"}]`, in v3
/// `[{"i":"1400000000000000011","p":"64010.1","v":"0.01","S":"buy","T":"1760000001008","L":"1400000000000000012","isRPI":"no"}]`,
/// in v1 `[["1649014224602","46464.51","0.0023","sell"]]`
pub fn trades(
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    sink: &mut Sink<'_>,
    mut name: impl FnMut(Option<Ts>) -> TradeId,
) -> Result<()> {
    each(c, |c| {
        let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
        if c.peek() == Some(b'[') {
            let mut at = 0_u32;
            c.array(|c| {
                match at {
                    0 => ts = ms(c)?,
                    1 => px = Some(c.px(instrument.px_scale)?),
                    2 => qty = Some(c.qty(instrument.qty_scale)?),
                    3 => aggressor = sink.side(c.str()?, b"trade"),
                    _ => {
                        c.skip()?;
                    }
                }
                at += 1;
                Ok(())
            })?;
            id = Some(name(ts));
        } else {
            c.object(|c, key| {
                match key {
                    b"ts" | b"T" => ts = ms(c)?,
                    b"price" | b"p" => px = Some(c.px(instrument.px_scale)?),
                    b"size" | b"v" => qty = Some(c.qty(instrument.qty_scale)?),
                    b"side" | b"S" => aggressor = sink.side(c.str()?, b"trade"),
                    b"tradeId" | b"i" => id = Some(c.trade_id()?),
                    b"L" | b"isRPI" | b"symbol" => {
                        c.skip()?;
                    }
                    other => {
                        sink.notes.unknown(b"trade", other, sink.out);
                        c.skip()?;
                    }
                }
                Ok(())
            })?;
        }
        let missing = |what| c.fault(What::Missing(what));
        let trade = Trade {
            id: id.ok_or_else(|| missing("tradeId"))?,
            px: px.ok_or_else(|| missing("price"))?,
            qty: qty.ok_or_else(|| missing("size"))?,
            aggressor,
            count: 1,
        };
        sink.emit(instrument, Channel::Trades, ts, Body::Trade(trade));
        Ok(())
    })
}
