//! Bytes to rows: the envelope of a frame, books and trades. The slower channels are in [`rows`](crate::rows).

use crate::product::Product;
use crate::topic::Topic;
use model::{Instrument, Level, Side, TradeId, Ts};
use source::{Cursor, Malformed, What};

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What stands around the data of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// What it is about; `None` where that could not be read.
    pub topic: Option<Topic<'a>>,
    /// The topic as it stands.
    pub text: &'a [u8],
    /// `snapshot` or `delta`.
    pub push: &'a [u8],
    /// When the venue sent it.
    pub ts: Option<Ts>,
    /// When the matching engine made it.
    pub cts: Option<Ts>,
    /// The time stood before the type: so do frames of spot.
    pub spot_order: bool,
    /// It has an `op`, a `success` or an `event`: an acknowledgement, a pong.
    pub control: bool,
    /// It has data.
    pub data: bool,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
}

impl Head<'_> {
    /// When it happened, as far as the frame says.
    pub fn time(&self) -> Option<Ts> {
        self.cts.or(self.ts)
    }
}

/// Reads the envelope and calls `data` at the value of its `data`, in whatever order the keys come; at that time only
/// the topic is sure to be known.
///
/// `{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1760000000030,"data":{…},"cts":1760000000028}`
#[inline]
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let mut later = None;
    let mut c = Cursor::new(bytes);
    let mut read = c.object(|c, key| {
        match key {
            b"topic" => {
                head.text = c.str()?;
                head.topic = Some(Topic::parse(head.text));
            }
            b"type" => head.push = c.str()?,
            b"ts" => {
                head.ts = ms(c)?;
                head.spot_order = head.push.is_empty() && !head.data;
            }
            b"cts" => head.cts = ms(c)?,
            b"timestamp_e6" | b"timestampE6" => head.ts = micros(c)?,
            b"data" => {
                head.data = true;
                if head.topic.is_some() {
                    return data(&head, c);
                }
                later = Some(c.clone());
                c.skip()?;
            }
            b"op" | b"success" | b"event" | b"ret_code" | b"retCode" => {
                head.control = true;
                c.skip()?;
            }
            b"cs" | b"id" | b"cross_seq" | b"crossSeq" | b"ret_msg" | b"conn_id" | b"req_id" | b"args"
            | b"request" | b"params" | b"code" | b"msg" | b"generated" | b"creationTime" => {
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
    if read.is_ok() && !head.control {
        read = match (later, head.topic) {
            (Some(mut at), Some(_)) => data(&head, &mut at),
            (None, Some(_)) if head.data => Ok(()),
            (_, Some(_)) => Err(c.fault(What::Missing("data"))),
            (_, None) => Err(c.fault(What::Missing("topic"))),
        };
    }
    (head, read)
}

/// Milliseconds, as number or text; 0 and nothing mean that there are none.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    if c.peek() == Some(b'"') {
        let text = c.number()?;
        if text.is_empty() {
            return Ok(None);
        }
        return model::parse_mantissa(text, 0)
            .map(|ms| Some(ms).filter(|ms| *ms > 0).map(Ts::from_ms))
            .map_err(|e| c.fault(What::Number(e)));
    }
    if c.null() {
        return Ok(None);
    }
    c.i64().map(|ms| Some(ms).filter(|ms| *ms > 0).map(Ts::from_ms))
}

/// Microseconds, as number or text.
fn micros(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    c.i64().map(|us| Some(us).filter(|us| *us > 0).map(|us| Ts(us.saturating_mul(1_000))))
}

/// A book's numbers; its levels are in a [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's number of the book's state.
    pub u: u64,
}

/// What was read of a frame, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// In the order of the frame.
    pub bids: Vec<Level>,
    /// In the order of the frame.
    pub asks: Vec<Level>,
    /// In the order of the frame.
    pub trades: Vec<TradeRow>,
}

impl Scratch {
    /// Both sides in one allocation, in the order of the frame.
    #[inline]
    pub fn levels(&self) -> model::Levels {
        model::Levels::from_sides(&self.bids, &self.asks)
    }

    /// A whole book: bids from high to low, asks from low to high, no level twice and none of nothing. The venue sends
    /// them so, but does not promise it.
    pub fn whole(&mut self) -> model::Levels {
        if self.bids.windows(2).any(|w| matches!(w, [a, b] if a.px <= b.px)) {
            self.bids.sort_by_key(|l| std::cmp::Reverse(l.px));
            self.bids.dedup_by_key(|l| l.px);
        }
        if self.asks.windows(2).any(|w| matches!(w, [a, b] if a.px >= b.px)) {
            self.asks.sort_by_key(|l| l.px);
            self.asks.dedup_by_key(|l| l.px);
        }
        self.bids.retain(|l| l.qty.0 != 0);
        self.asks.retain(|l| l.qty.0 != 0);
        self.levels()
    }
}

/// Reads the data of `orderbook`.
///
/// `{"s":"BTCUSDT","b":[["64010.10","0.900"]],"a":[["64010.20","0"]],"u":100,"seq":90001}`
#[inline]
pub fn book<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    scratch: &mut Scratch,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<BookRow> {
    let (mut u, mut bids, mut asks) = (None, false, false);
    c.object(|c, key| {
        match key {
            b"b" => {
                bids = true;
                side(c, instrument, &mut scratch.bids)?;
            }
            b"a" => {
                asks = true;
                side(c, instrument, &mut scratch.asks)?;
            }
            b"u" => u = Some(c.u64()?),
            b"seq" => {
                c.number()?;
            }
            b"s" => {
                c.str()?;
            }
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    match (u, bids, asks) {
        (Some(u), true, true) => Ok(BookRow { u }),
        (None, ..) => Err(c.fault(What::Missing("u"))),
        (_, false, _) => Err(c.fault(What::Missing("b"))),
        (_, _, false) => Err(c.fault(What::Missing("a"))),
    }
}

/// The levels of one side: `[["64010.10","0.900"]]`
#[inline]
fn side(c: &mut Cursor<'_>, instrument: &Instrument, levels: &mut Vec<Level>) -> Result<()> {
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    levels.clear();
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
        if px.0 <= 0 || qty.0 < 0 {
            return Err(c.fault(What::Rule("a level without a price or of less than nothing")));
        }
        levels.push(Level { px, qty });
        Ok(())
    })
}

/// One trade as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// Place of its instrument in the session's table.
    pub at: usize,
    /// The venue's id.
    pub id: TradeId,
    /// Price and quantity.
    pub level: Level,
    /// Who crossed.
    pub aggressor: Option<Side>,
    /// When it was made.
    pub ts: Option<Ts>,
}

/// Reads one row of `publicTrade`.
///
/// `{"T":1760000000048,"s":"BTCUSDT","S":"Buy","v":"0.010","p":"64010.30","L":"PlusTick","i":"aaaaaaaa-bbbb-5ccc-9ddd-eeeeeeeeeeee","BT":false,"RPI":false,"seq":90010}`
#[inline]
pub fn trade<'a>(
    c: &mut Cursor<'a>,
    (at, instrument): (usize, &Instrument),
    mut unknown: impl FnMut(&[u8], &'a [u8]),
) -> Result<TradeRow> {
    let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
    c.object(|c, key| {
        match key {
            b"T" => ts = ms(c)?,
            b"S" => match c.str()? {
                b"Buy" => aggressor = Some(Side::Bid),
                b"Sell" => aggressor = Some(Side::Ask),
                other => unknown(b"publicTrade.S", other),
            },
            b"v" => qty = Some(c.qty(instrument.qty_scale)?),
            b"p" => px = Some(c.px(instrument.px_scale)?),
            b"i" => id = Some(c.trade_id()?),
            b"BT" | b"RPI" => {
                c.bool()?;
            }
            b"s" | b"L" => {
                c.str()?;
            }
            b"seq" | b"mP" | b"iP" | b"mIv" | b"iv" => {
                c.number()?;
            }
            other => {
                unknown(b"publicTrade", other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let level = Level { px: px.ok_or_else(|| missing("p"))?, qty: qty.ok_or_else(|| missing("v"))? };
    if level.px.0 <= 0 || level.qty.0 < 0 {
        return Err(c.fault(What::Rule("a trade without a price or of less than nothing")));
    }
    Ok(TradeRow { at, id: id.ok_or_else(|| missing("i"))?, level, aggressor, ts })
}

/// The text under a key of the object that the cursor stands at; the cursor stays.
pub fn peek_text<'a>(c: &Cursor<'a>, wanted: &[u8]) -> Result<&'a [u8]> {
    let (mut at, mut found) = (c.clone(), None);
    at.object(|c, key| {
        if key == wanted {
            found = Some(c.str()?);
        } else {
            c.skip()?;
        }
        Ok(())
    })?;
    found.ok_or_else(|| c.fault(What::Missing("the symbol of a row")))
}

/// The product of a frame: that of the connection, or the one that symbol and order of keys speak for.
#[inline]
pub fn product_of(known: Option<Product>, symbol: &[u8], head: &Head<'_>) -> Product {
    known.unwrap_or_else(|| Product::guess(symbol, head.spot_order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_book_in_any_order_is_put_right() {
        let level = |px, qty| Level { px: model::Px(px), qty: model::Qty(qty) };
        let mut scratch = Scratch {
            bids: vec![level(1, 5), level(3, 5), level(2, 0)],
            asks: vec![level(9, 5), level(8, 5)],
            ..Scratch::default()
        };
        let whole = scratch.whole();
        assert_eq!(whole.bids(), [level(3, 5), level(1, 5)]);
        assert_eq!(whole.asks(), [level(8, 5), level(9, 5)]);
    }
}
