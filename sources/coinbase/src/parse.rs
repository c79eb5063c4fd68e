//! Frames of Advanced Trade: the envelope, and rows to numbers.
//!
//! `{"channel":"l2_data","client_id":"","timestamp":"…","sequence_num":2,"events":[…]}`

use crate::time;
use model::{Level, Levels, Side, Ts};
use source::{Cursor, Malformed, What};

/// What reading gives.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What a channel carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A book.
    Book,
    /// Trades.
    Trades,
    /// Statistics and quotes.
    Ticker,
    /// Bars.
    Candles,
    /// States of products.
    Status,
    /// A sign of life.
    Heartbeat,
    /// An acknowledgement.
    Subscriptions,
    /// Of an account.
    Private,
    /// Not known.
    #[default]
    Other,
}

impl Kind {
    /// By the name of a frame's channel; a book is asked for as `level2` and comes as `l2_data`.
    pub fn of(channel: &[u8]) -> Self {
        match channel {
            b"l2_data" | b"level2" => Self::Book,
            b"market_trades" => Self::Trades,
            b"ticker" | b"ticker_batch" => Self::Ticker,
            b"candles" => Self::Candles,
            b"status" => Self::Status,
            b"heartbeats" => Self::Heartbeat,
            b"subscriptions" => Self::Subscriptions,
            b"user" | b"futures_balance_summary" => Self::Private,
            _ => Self::Other,
        }
    }
}

/// What stands around the events of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// The channel's name.
    pub channel: &'a [u8],
    /// What it carries.
    pub kind: Kind,
    /// When the frame was made.
    pub ts: Option<Ts>,
    /// The frame's number on its connection.
    pub seq: Option<u64>,
    /// The `type` of a frame without a channel: `error`.
    pub word: &'a [u8],
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
}

/// Reads a frame; `events` is called at the events, once everything else that comes before or after them is known.
pub fn frame<'a>(
    bytes: &'a [u8],
    mut events: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let (mut head, mut place, mut done) = (Head::default(), None, false);
    let mut c = Cursor::new(bytes);
    let read = c.object(|c, key| {
        match key {
            b"channel" => {
                head.channel = c.str()?;
                head.kind = Kind::of(head.channel);
            }
            b"timestamp" => head.ts = time::read(c)?,
            b"sequence_num" => head.seq = Some(c.u64()?),
            b"events" if head.seq.is_some() && !head.channel.is_empty() && !done => {
                done = true;
                events(&head, c)?;
            }
            b"events" => {
                place = Some(c.clone());
                c.skip()?;
            }
            b"type" => head.word = c.str()?,
            b"client_id" | b"message" | b"reason" => _ = c.skip()?,
            other => {
                head.unknown = head.unknown.or(Some(other));
                c.skip()?;
            }
        }
        Ok(())
    });
    let read = read.and_then(|()| c.end()).and_then(|()| match place {
        Some(mut at) if !done => {
            if head.channel.is_empty() {
                return Err(at.fault(What::Missing("channel")));
            }
            events(&head, &mut at)
        }
        None if !done && head.word.is_empty() => Err(c.fault(What::Missing("events"))),
        _ => Ok(()),
    });
    (head, read)
}

/// Whether a frame has the look of this protocol: a known channel, a number, events.
pub fn looks_like_ours(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'{') {
        return false;
    }
    let mut whole = false;
    let (head, read) = frame(bytes, |_, c| {
        whole = c.peek() == Some(b'[');
        c.skip().map(|_| ())
    });
    read.is_ok() && whole && head.seq.is_some() && head.ts.is_some() && head.kind != Kind::Other
}

/// Levels of one event, before they are joined.
#[derive(Debug, Default)]
pub struct Scratch {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// When the first of them changed.
    pub ts: Option<Ts>,
}

impl Scratch {
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.ts = None;
    }

    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    #[inline]
    pub fn push(&mut self, side: Side, level: Level) {
        match side {
            Side::Bid => self.bids.push(level),
            Side::Ask => self.asks.push(level),
        }
    }

    /// The levels as they came.
    #[inline]
    pub fn levels(&self) -> Levels {
        Levels::from_sides(&self.bids, &self.asks)
    }

    /// The levels of a whole book, best first, none of them empty.
    pub fn whole(&mut self) -> Levels {
        self.bids.retain(|l| l.qty.0 != 0);
        self.asks.retain(|l| l.qty.0 != 0);
        if !self.bids.is_sorted_by(|a, b| a.px > b.px) {
            self.bids.sort_by_key(|level| std::cmp::Reverse(level.px));
        }
        if !self.asks.is_sorted_by(|a, b| a.px < b.px) {
            self.asks.sort_by_key(|level| level.px);
        }
        self.levels()
    }
}

/// Reads the rows of a book into the scratch; `unknown` hears of keys that we do not know.
///
/// `[{"side":"offer","event_time":"2026-09-01T12:00:00.240000Z","price_level":"64010.20","new_quantity":"0"}]`
#[inline]
pub fn updates<'a>(
    c: &mut Cursor<'a>,
    (px_scale, qty_scale): (model::Scale, model::Scale),
    scratch: &mut Scratch,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<()> {
    scratch.clear();
    let mut timed = false;
    c.array(|c| {
        let (mut side, mut px, mut qty) = (None, None, None);
        c.object(|c, key| {
            match key {
                b"side" => {
                    side = Some(match c.str()? {
                        b"bid" => Side::Bid,
                        b"offer" | b"ask" => Side::Ask,
                        _ => return Err(c.fault(What::Expected("`bid` or `offer`"))),
                    });
                }
                b"price_level" => px = Some(c.px(px_scale)?),
                b"new_quantity" => qty = Some(c.qty(qty_scale)?),
                b"event_time" if timed => _ = c.str()?,
                b"event_time" => {
                    timed = true;
                    scratch.ts = time::read(c)?;
                }
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let (Some(side), Some(px), Some(qty)) = (side, px, qty) else {
            return Err(c.fault(What::Missing("side, price_level or new_quantity")));
        };
        if qty.0 < 0 || px.0 < 0 {
            return Err(c.fault(What::Rule("a level is not negative")));
        }
        scratch.push(side, Level { px, qty });
        Ok(())
    })
}

/// A print whose numbers are not read yet, because its instrument may stand behind them.
#[derive(Clone, Debug, Default)]
pub struct Print<'a> {
    pub product: &'a [u8],
    pub id: &'a [u8],
    pub px: Option<Cursor<'a>>,
    pub qty: Option<Cursor<'a>>,
    /// The side that crossed; the venue names the other one.
    pub aggressor: Option<Side>,
    /// A side that we do not know.
    pub odd_side: Option<&'a [u8]>,
    pub ts: Option<Ts>,
}

impl<'a> Print<'a> {
    /// Takes the venue's word for the maker's side.
    #[inline]
    pub fn maker(&mut self, word: &'a [u8]) {
        match word {
            b"BUY" | b"buy" => self.aggressor = Some(Side::Ask),
            b"SELL" | b"sell" => self.aggressor = Some(Side::Bid),
            b"" | b"UNKNOWN_ORDER_SIDE" => {}
            other => self.odd_side = Some(other),
        }
    }

    /// Price and quantity at these scales.
    #[inline]
    pub fn numbers(
        &self,
        c: &Cursor<'_>,
        px_scale: model::Scale,
        qty_scale: model::Scale,
    ) -> Result<(model::Px, model::Qty)> {
        let (Some(px), Some(qty)) = (&self.px, &self.qty) else {
            return Err(c.fault(What::Missing("price or size")));
        };
        Ok((px.clone().px(px_scale)?, qty.clone().qty(qty_scale)?))
    }
}

/// Passes over a value and keeps where it stands.
#[inline]
pub fn place<'a>(c: &mut Cursor<'a>) -> Result<Option<Cursor<'a>>> {
    let at = c.clone();
    c.skip()?;
    Ok(Some(at))
}

/// Reads one trade.
///
/// `{"trade_id":"900000001","product_id":"BTC-USD","price":"64010.15","size":"0.01","side":"SELL","time":"2026-09-01T12:00:00.245000Z"}`
#[inline]
pub fn trade<'a>(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<Print<'a>> {
    let mut print = Print::default();
    c.object(|c, key| {
        match key {
            b"product_id" => print.product = c.str()?,
            b"trade_id" => print.id = c.number()?,
            b"price" => print.px = place(c)?,
            b"size" => print.qty = place(c)?,
            b"side" => print.maker(c.str()?),
            b"time" => print.ts = time::read(c)?,
            // Of the answer by REST, never of a frame.
            b"bid" | b"ask" | b"exchange" => _ = c.skip()?,
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    if print.product.is_empty() || print.id.is_empty() {
        return Err(c.fault(What::Missing("product_id or trade_id")));
    }
    Ok(print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_read_in_any_order() {
        for text in [
            r#"{"channel":"l2_data","timestamp":"2026-08-09T21:05:48.5Z","sequence_num":9,"events":[1]}"#,
            r#"{"events":[1],"sequence_num":9,"timestamp":"2026-08-09T21:05:48.5Z","channel":"l2_data"}"#,
        ] {
            let mut seen = Vec::new();
            let (head, read) = frame(text.as_bytes(), |head, c| {
                seen.push((head.kind, head.seq, head.ts.map(Ts::as_ms), c.skip()?.to_vec()));
                Ok(())
            });
            read.unwrap();
            assert_eq!(seen, [(Kind::Book, Some(9), Some(1_786_309_548_500), b"[1]".to_vec())]);
            assert_eq!(head.unknown, None);
        }
    }

    #[test]
    fn only_frames_of_this_protocol_are_recognised() {
        let ours = br#"{"channel":"heartbeats","client_id":"","timestamp":"2026-09-01T12:00:01.1Z","sequence_num":7,"events":[]}"#;
        assert!(looks_like_ours(ours));
        for other in [
            &br#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD"}]}"#[..],
            br#"{"channel":"spot.trades","time":1,"event":"update","result":{}}"#,
            br#"{"channel":"heartbeat"}"#,
            b"[]",
            b"",
        ] {
            assert!(!looks_like_ours(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_side_that_is_neither_bid_nor_offer_is_a_fault() {
        let row = |side: &str| format!(r#"[{{"side":"{side}","price_level":"1.5","new_quantity":"2"}}]"#);
        let mut scratch = Scratch::default();
        let mut read =
            |text: String| updates(&mut Cursor::new(text.as_bytes()), (1, 0), &mut scratch, |_| {});
        assert!(read(row("bid")).is_ok() && read(row("offer")).is_ok());
        assert!(read(row("bidd")).is_err());
        assert!(read(r#"[{"side":"bid","new_quantity":"2"}]"#.to_owned()).is_err());
    }
}
