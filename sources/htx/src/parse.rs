//! Bytes to rows: the envelope of a frame, books and trades. The slower channels are in [`rows`](crate::rows).

use crate::emit::Sink;
use crate::number::{Numbers, ms, whole};
use model::{Body, Channel, Level, Side, Trade, Ts};
use source::{Cursor, Malformed, What};

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What stands around the data of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// `ch`, `rep` or `topic`.
    pub topic: Option<&'a [u8]>,
    /// It answers a `req`.
    pub rep: bool,
    /// When the venue sent it.
    pub ts: Option<Ts>,
    /// The number of a ping, as it stands in the frame.
    pub ping: Option<&'a [u8]>,
    /// `ts` as it stands in the frame.
    pub stamp: &'a [u8],
    /// `op` of a notification socket.
    pub op: Option<&'a [u8]>,
    /// `subbed`, `unsubbed`: what was acknowledged.
    pub acked: Option<(bool, &'a [u8])>,
    /// `status`.
    pub status: Option<&'a [u8]>,
    /// `id` or `cid`.
    pub id: Option<&'a [u8]>,
    /// `err-code`.
    pub code: Option<&'a [u8]>,
    /// `err-msg`.
    pub words: Option<&'a [u8]>,
    /// Changes that a recorder computed from whole books.
    pub computed: bool,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
    /// It has data.
    pub data: bool,
}

/// Reads the envelope and calls `data` at the value of its `tick` or `data`, in whatever order the keys come.
///
/// `{"ch":"market.btcusdt.mbp.150","ts":1760000002101,"tick":{…}}`,
/// `{"id":"r1","rep":"market.btcusdt.mbp.150","status":"ok","ts":1760000002150,"data":{…}}`,
/// `{"op":"notify","topic":"public.*.funding_rate","ts":1760000004000,"data":[…]}`
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let mut later = None;
    let mut c = Cursor::new(bytes);
    let mut read = c.object(|c, key| {
        match key {
            b"ch" | b"topic" => head.topic = Some(c.str()?),
            b"tick" | b"data" => {
                head.data = true;
                // What comes after it in other frames is looked for first.
                if head.topic.is_some() && !head.rep {
                    return data(&head, c);
                }
                later = Some(c.clone());
                c.skip()?;
            }
            b"ts" => {
                let start = c.clone();
                head.ts = ms(c)?;
                head.stamp = start.between(c).trim_ascii();
            }
            _ => rest(&mut head, c, key)?,
        }
        Ok(())
    });
    if read.is_ok() {
        read = c.end();
    }
    if let (Ok(()), Some(mut at)) = (&read, later)
        && head.topic.is_some()
    {
        read = data(&head, &mut at);
    }
    (head, read)
}

/// The keys of an envelope that are not in every frame of data.
fn rest<'a>(head: &mut Head<'a>, c: &mut Cursor<'a>, key: &'a [u8]) -> Result<()> {
    match key {
        b"rep" => (head.topic, head.rep) = (Some(c.str()?), true),
        b"ping" => head.ping = Some(c.number()?),
        b"op" => head.op = Some(c.str()?),
        b"subbed" => head.acked = Some((true, c.str()?)),
        b"unsubbed" => head.acked = Some((false, c.str()?)),
        b"status" => head.status = Some(c.str()?),
        b"id" | b"cid" => head.id = Some(plain(c)?),
        b"err-code" | b"err_code" => head.code = Some(plain(c)?),
        b"err-msg" | b"err_msg" => head.words = Some(plain(c)?),
        b"update" => head.computed = c.bool()?,
        b"event" | b"generated" | b"partition" | b"uid" | b"action" | b"ex" => {
            c.skip()?;
        }
        other => {
            head.unknown = Some(other);
            c.skip()?;
        }
    }
    Ok(())
}

/// A text without its quotes, or whatever else stands there.
fn plain<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8]> {
    if c.peek() == Some(b'"') { c.str() } else { c.skip() }
}

/// One row of a book channel without its levels, which are in a [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `seqNum` or `version`.
    pub seq: Option<u64>,
    /// `prevSeqNum`.
    pub prev: Option<u64>,
    /// `event` is `snapshot` (true) or `update` (false).
    pub event: Option<bool>,
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
}

/// Reads the `tick` or `data` of a book channel.
///
/// `{"seqNum":1002,"prevSeqNum":1001,"bids":[[64010.1,0]],"asks":[[6.40102E4,2.5]]}`,
/// `{"asks":[[64010.2,0]],"bids":[],"ch":"…","event":"update","id":900000005,"mrid":900000005,"ts":1760000003130,"version":1600468}`
pub fn book_row<'a>(
    c: &mut Cursor<'a>,
    numbers: Numbers<'_>,
    scratch: &mut Scratch,
    mut unknown: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<BookRow> {
    let mut row = BookRow::default();
    scratch.bids.clear();
    scratch.asks.clear();
    c.object(|c, key| {
        match key {
            b"asks" => side(c, numbers, &mut scratch.asks)?,
            b"bids" => side(c, numbers, &mut scratch.bids)?,
            b"ts" => row.ts = ms(c)?,
            b"seqNum" | b"version" => row.seq = Some(whole(c)?),
            b"prevSeqNum" => row.prev = Some(whole(c)?),
            b"event" => match c.str()? {
                b"snapshot" => row.event = Some(true),
                b"update" => row.event = Some(false),
                other => unknown(b"book.event", other),
            },
            b"id" | b"mrid" | b"ch" | b"seqId" => {
                c.skip()?;
            }
            other => {
                unknown(b"book", other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(row)
}

/// The levels of one side, or `null`: `[[64010.1,38]]`
#[inline]
fn side(c: &mut Cursor<'_>, numbers: Numbers<'_>, levels: &mut Vec<Level>) -> Result<()> {
    if c.null() {
        return Ok(());
    }
    levels.clear();
    c.array(|c| {
        let (mut px, mut qty) = (None, None);
        let mut at = 0_u32;
        c.array(|c| {
            match at {
                0 => px = Some(numbers.px(c)?),
                1 => qty = Some(numbers.qty(c)?),
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

/// Reads the `tick` of `trade.detail`. Trades before `since` are passed over; says how many were.
///
/// `{"id":120000000001,"ts":1760000003000,"data":[{"amount":4,"quantity":0.004,"trade_turnover":256.04,"ts":1760000003000,"id":1200000000010000,"price":64010.1,"direction":"sell"}]}`
pub fn trades(
    c: &mut Cursor<'_>,
    numbers: Numbers<'_>,
    since: Option<Ts>,
    sink: &mut Sink<'_>,
) -> Result<u32> {
    let (mut old, mut rows) = (0, false);
    c.object(|c, key| {
        match key {
            b"data" => {
                rows = true;
                c.array(|c| {
                    let (ts, trade) = trade(c, numbers, sink)?;
                    if since.is_some_and(|since| ts.is_some_and(|ts| ts < since)) {
                        old += 1;
                    } else {
                        sink.emit(numbers.instrument, Channel::Trades, ts, Body::Trade(trade));
                    }
                    Ok(())
                })?;
            }
            b"id" | b"ts" => {
                c.number()?;
            }
            other => {
                sink.notes.unknown(b"trade", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    if rows { Ok(old) } else { Err(c.fault(What::Missing("data"))) }
}

fn trade(c: &mut Cursor<'_>, numbers: Numbers<'_>, sink: &mut Sink<'_>) -> Result<(Option<Ts>, Trade)> {
    let (mut id, mut long_id, mut px, mut qty, mut ts) = (None, None, None, None, None);
    let mut aggressor: Option<Side> = None;
    c.object(|c, key| {
        match key {
            b"tradeId" | b"trade-id" => id = Some(c.trade_id()?),
            b"id" => long_id = Some(c.trade_id()?),
            b"price" => px = Some(numbers.px(c)?),
            b"amount" => qty = Some(numbers.qty(c)?),
            b"direction" => aggressor = sink.side(c.str()?, b"trade"),
            b"ts" => ts = ms(c)?,
            b"quantity" | b"trade_turnover" => {
                c.number()?;
            }
            other => {
                sink.notes.unknown(b"trade", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let trade = Trade {
        // The long id of a spot trade may have lost digits to scientific notation.
        id: id.or(long_id).ok_or_else(|| missing("tradeId"))?,
        px: px.ok_or_else(|| missing("price"))?,
        qty: qty.ok_or_else(|| missing("amount"))?,
        aggressor,
        count: 1,
    };
    Ok((ts, trade))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_found_in_whatever_order_the_keys_come() {
        for text in [
            r#"{"ch":"market.x.bbo","ts":5,"tick":{"a":1}}"#,
            r#"{"tick":{"a":1},"ts":5,"ch":"market.x.bbo"}"#,
            r#"{"id":"1","status":"ok","ts":5,"rep":"market.x.bbo","data":{"a":1}}"#,
            r#"{"data":{"a":1},"rep":"market.x.bbo","id":7,"ts":"5","status":"ok"}"#,
        ] {
            let mut seen = Vec::new();
            let (head, read) = frame(text.as_bytes(), |head, c| {
                seen.push((head.topic, c.skip()?));
                Ok(())
            });
            read.unwrap();
            assert_eq!(seen, [(Some(&b"market.x.bbo"[..]), &br#"{"a":1}"#[..])], "{text}");
            assert_eq!(head.ts, Some(Ts::from_ms(5)));
        }
    }
}
