//! Bytes to rows: the envelope of a frame, books and trades. The slower channels are in [`rows`](crate::rows).

use crate::emit::Sink;
pub use crate::kind::{Feed, Kind};
use model::{Body, Channel, Checksum, ChecksumKind, Instrument, Level, Trade, Ts};
use source::{Cursor, Malformed, What};
use std::sync::Arc;

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What a frame is about.
///
/// `{"channel":"books","instId":"BTC-USDT"}`, `{"channel":"liquidation-orders","instType":"SWAP"}` or
/// `{"channel":"opt-summary","instFamily":"BTC-USD"}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg<'a> {
    /// The channel as the venue spells it.
    pub channel: &'a [u8],
    /// What that channel is to us.
    pub kind: Kind,
    /// `instId`; empty for channels by product.
    pub inst: &'a [u8],
    /// `instType`; empty for channels by instrument.
    pub inst_type: &'a [u8],
    /// `instFamily`; empty but for channels by family.
    pub family: &'a [u8],
}

/// What stands around the data of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// What it is about; `None` where that could not be read.
    pub arg: Option<Arg<'a>>,
    /// `snapshot` or `update`; only books have it.
    pub action: Option<&'a [u8]>,
    /// It has an `event`: an acknowledgement, an error, a notice.
    pub control: bool,
    /// It has a `table`: the retired v3 API.
    pub legacy: bool,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
    /// It has data.
    pub data: bool,
}

impl Head<'_> {
    fn ready(&self) -> bool {
        self.arg.is_some_and(|arg| self.action.is_some() || !matches!(arg.kind, Kind::Book(_)))
    }
}

/// Reads the envelope and calls `data` at the value of its `data`, in whatever order the keys come.
///
/// `{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[…]}`
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let mut later = None;
    let mut c = Cursor::new(bytes);
    let mut read = c.object(|c, key| {
        match key {
            b"arg" => head.arg = Some(arg(c, &mut head.unknown)?),
            b"action" => head.action = Some(c.str()?),
            b"data" => {
                head.data = true;
                if head.ready() {
                    return data(&head, c);
                }
                later = Some(c.clone());
                c.skip()?;
            }
            b"event" => {
                head.control = true;
                c.skip()?;
            }
            b"table" => {
                head.legacy = true;
                c.skip()?;
            }
            b"code" | b"msg" | b"connId" | b"id" | b"channel" | b"connCount" | b"message" | b"errorCode"
            | b"generated" => {
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
    if read.is_ok() && !head.control && !head.legacy {
        read = match later {
            Some(mut at) if head.arg.is_some() => data(&head, &mut at),
            None if head.data && head.arg.is_some() => Ok(()),
            _ if head.arg.is_some() => Err(c.fault(What::Missing("data"))),
            _ => Err(c.fault(What::Missing("arg"))),
        };
    }
    (head, read)
}

fn arg<'a>(c: &mut Cursor<'a>, unknown: &mut Option<&'a [u8]>) -> Result<Arg<'a>> {
    let mut arg = Arg { channel: b"", kind: Kind::Other, inst: b"", inst_type: b"", family: b"" };
    c.object(|c, key| {
        match key {
            b"channel" => arg.channel = c.str()?,
            b"instId" => arg.inst = c.str()?,
            b"instType" => arg.inst_type = c.str()?,
            b"instFamily" => arg.family = c.str()?,
            b"uly" | b"generated" => {
                c.skip()?;
            }
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

/// Milliseconds as text, or nothing.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    let text = c.number()?;
    if text.is_empty() {
        return Ok(None);
    }
    model::parse_mantissa(text, 0).map(|ms| Some(Ts::from_ms(ms))).map_err(|e| c.fault(What::Number(e)))
}

/// A whole number with a sign, which [`Cursor::i64`] would read by its slower way.
#[inline]
fn whole(c: &mut Cursor<'_>) -> Result<i64> {
    let text = c.number()?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return model::parse_mantissa(text, 0).map_err(|e| c.fault(What::Number(e)));
    }
    let size = digits.iter().fold(0_i64, |v, b| v * 10 + i64::from(b - b'0'));
    Ok(if negative { -size } else { size })
}

/// One row of a book channel without its levels, which are in a [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `seqId`.
    pub seq: Option<i64>,
    /// `prevSeqId`; −1 in a snapshot.
    pub prev: Option<i64>,
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

/// Reads one row of `books`, `books5` or `bbo-tbt`.
///
/// `{"asks":[["64010.2","0","0","0"]],"bids":[["64010.1","1.1","0","4"]],"ts":"1760000000200","checksum":0,"prevSeqId":1000,"seqId":1007}`
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
    c.object(|c, key| {
        match key {
            b"asks" => {
                asks = true;
                side(c, instrument, &mut scratch.asks)?;
            }
            b"bids" => {
                bids = true;
                side(c, instrument, &mut scratch.bids)?;
            }
            b"ts" => row.ts = ms(c)?,
            b"seqId" => row.seq = Some(whole(c)?),
            b"prevSeqId" => row.prev = Some(whole(c)?),
            b"checksum" => row.checksum = checksum(c)?,
            b"instId" => {
                c.str()?;
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

/// A checksum: a signed number of 32 bits. Zero says that there is none.
pub fn checksum(c: &mut Cursor<'_>) -> Result<Option<Checksum>> {
    let value = i32::try_from(whole(c)?).map_err(|_| c.fault(What::Rule("checksum of more than 32 bits")))?;
    Ok((value != 0)
        .then(|| Checksum { kind: ChecksumKind::Crc32Interleaved25, value: value.cast_unsigned() }))
}

/// The levels of one side: `[["64010.1","1.1","0","4"]]`; price, quantity, a retired zero, number of orders.
#[inline]
pub fn side(c: &mut Cursor<'_>, instrument: &Instrument, levels: &mut Vec<Level>) -> Result<()> {
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    c.array(|c| {
        let (mut px, mut qty) = (None, None);
        let mut at = 0_u32;
        c.array(|c| {
            match at {
                0 => px = Some(c.px(px_scale)?),
                1 => qty = Some(c.qty(qty_scale)?),
                _ => {
                    c.number()?;
                }
            }
            at += 1;
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (px, qty) else {
            return Err(c.fault(What::Missing("price and quantity of a level")));
        };
        levels.push(Level { px, qty });
        Ok(())
    })
}

/// Reads the rows of `trades`.
///
/// `[{"instId":"BTC-USDT","tradeId":"250000020","px":"64010.1","sz":"0.25","side":"buy","ts":"1760000000123","count":"3","source":"0","seqId":88800001}]`
pub fn trades(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    c.array(|c| {
        let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
        let mut count = 1;
        c.object(|c, key| {
            match key {
                b"tradeId" => id = Some(c.trade_id()?),
                b"px" => px = Some(c.px(instrument.px_scale)?),
                b"sz" => qty = Some(c.qty(instrument.qty_scale)?),
                b"side" => aggressor = sink.side(c.str()?, b"trades"),
                b"ts" => ts = ms(c)?,
                b"count" => count = c.u64()?.min(u64::from(u32::MAX)) as u32,
                b"instId" => {
                    c.str()?;
                }
                b"source" => {
                    let word = c.number()?;
                    if !matches!(word, b"0" | b"1" | b"") {
                        sink.value(b"trades", b"source", word);
                    }
                }
                b"seqId" => {
                    c.number()?;
                }
                other => {
                    sink.notes.unknown(b"trades", other, sink.out);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let missing = |what| c.fault(What::Missing(what));
        let trade = Trade {
            id: id.ok_or_else(|| missing("tradeId"))?,
            px: px.ok_or_else(|| missing("px"))?,
            qty: qty.ok_or_else(|| missing("sz"))?,
            aggressor,
            count,
        };
        sink.emit(instrument, Channel::Trades, ts, Body::Trade(trade));
        Ok(())
    })
}
