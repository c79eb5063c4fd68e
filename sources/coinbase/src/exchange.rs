//! Frames of the Exchange feed: flat objects told apart by `type`.

use crate::parse::{Print, Result, Scratch, place};
use crate::time;
use model::{Level, Scale, Side, Ts};
use source::{Cursor, What};

/// What stands in a frame, numbers not read yet.
#[derive(Clone, Debug, Default)]
pub struct Flat<'a> {
    /// `type`
    pub word: &'a [u8],
    /// Product, id, price, size, side and time of a trade; a ticker has them too.
    pub print: Print<'a>,
    /// The product's number of the matching engine's event.
    pub sequence: Option<u64>,
    pub changes: Option<Cursor<'a>>,
    pub bids: Option<Cursor<'a>>,
    pub asks: Option<Cursor<'a>>,
    pub open: Option<Cursor<'a>>,
    pub high: Option<Cursor<'a>>,
    pub low: Option<Cursor<'a>>,
    pub volume: Option<Cursor<'a>>,
    pub last_size: Option<Cursor<'a>>,
    pub best_bid: Option<Cursor<'a>>,
    pub best_bid_size: Option<Cursor<'a>>,
    pub best_ask: Option<Cursor<'a>>,
    pub best_ask_size: Option<Cursor<'a>>,
    /// Of `status`.
    pub products: Option<Cursor<'a>>,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
}

impl Flat<'_> {
    /// When it happened.
    pub const fn ts(&self) -> Option<Ts> {
        self.print.ts
    }

    /// Whether it belongs to a book.
    pub fn is_book(&self) -> bool {
        matches!(self.word, b"l2update" | b"snapshot")
    }
}

/// Reads a frame. What was read before a fault is kept.
///
/// `{"type":"l2update","product_id":"BTC-USD","changes":[["buy","9202.70","0.58667860"]],"time":"2019-08-14T20:42:27.265Z"}`
pub fn frame(bytes: &[u8]) -> (Flat<'_>, Result<()>) {
    let mut flat = Flat::default();
    let mut c = Cursor::new(bytes);
    let read = c.object(|c, key| field(&mut flat, c, key)).and_then(|()| c.end());
    let read =
        read.and_then(|()| if flat.word.is_empty() { Err(c.fault(What::Missing("type"))) } else { Ok(()) });
    (flat, read)
}

#[inline]
fn field<'a>(flat: &mut Flat<'a>, c: &mut Cursor<'a>, key: &'a [u8]) -> Result<()> {
    match key {
        b"type" => flat.word = c.str()?,
        b"product_id" => flat.print.product = c.str()?,
        b"changes" => flat.changes = place(c)?,
        b"time" => flat.print.ts = time::read(c)?,
        b"trade_id" => flat.print.id = c.number()?,
        b"price" => flat.print.px = place(c)?,
        b"size" => flat.print.qty = place(c)?,
        b"side" => {
            let word = c.str()?;
            flat.print.maker(word);
        }
        b"sequence" => flat.sequence = Some(c.u64()?),
        b"bids" => flat.bids = place(c)?,
        b"asks" => flat.asks = place(c)?,
        b"open_24h" => flat.open = place(c)?,
        b"high_24h" => flat.high = place(c)?,
        b"low_24h" => flat.low = place(c)?,
        b"volume_24h" => flat.volume = place(c)?,
        b"last_size" => flat.last_size = place(c)?,
        b"best_bid" => flat.best_bid = place(c)?,
        b"best_bid_size" => flat.best_bid_size = place(c)?,
        b"best_ask" => flat.best_ask = place(c)?,
        b"best_ask_size" => flat.best_ask_size = place(c)?,
        b"products" => flat.products = place(c)?,
        other => {
            if !is_known(other) {
                flat.unknown = flat.unknown.or(Some(other));
            }
            c.skip()?;
        }
    }
    Ok(())
}

/// Keys that are known and say nothing that is told.
fn is_known(key: &[u8]) -> bool {
    matches!(
        key,
        b"maker_order_id"
            | b"taker_order_id"
            | b"volume_30d"
            | b"last_trade_id"
            | b"channels"
            | b"message"
            | b"reason"
            | b"currencies"
            | b"order_id"
            | b"remaining_size"
            | b"order_type"
            | b"funds"
            | b"client_oid"
            | b"client-oid"
            | b"old_size"
            | b"new_size"
            | b"old_funds"
            | b"new_funds"
            | b"old_price"
            | b"new_price"
            | b"user_id"
            | b"profile_id"
            | b"maker_user_id"
            | b"maker_profile_id"
            | b"taker_user_id"
            | b"taker_profile_id"
            | b"maker_fee_rate"
            | b"taker_fee_rate"
            | b"stop_type"
            | b"stop_price"
            | b"limit_price"
            | b"timestamp"
            | b"private"
            | b"cancel_reason"
            | b"schema"
    )
}

/// Reads the changed levels of `changes` into the scratch.
///
/// `[["sell","0.00001306","660.5"]]`
#[inline]
pub fn changes(c: &mut Cursor<'_>, scales: (Scale, Scale), scratch: &mut Scratch) -> Result<()> {
    scratch.clear();
    c.array(|c| {
        let (mut side, mut px, mut qty, mut n) = (None, None, None, 0);
        c.array(|c| {
            match n {
                0 => {
                    side = Some(match c.str()? {
                        b"buy" => Side::Bid,
                        b"sell" => Side::Ask,
                        _ => return Err(c.fault(What::Expected("`buy` or `sell`"))),
                    });
                }
                1 => px = Some(c.px(scales.0)?),
                2 => qty = Some(c.qty(scales.1)?),
                _ => _ = c.skip()?,
            }
            n += 1;
            Ok(())
        })?;
        let (Some(side), Some(px), Some(qty)) = (side, px, qty) else {
            return Err(c.fault(What::Missing("side, price or size")));
        };
        if px.0 < 0 || qty.0 < 0 {
            return Err(c.fault(What::Rule("a level is not negative")));
        }
        scratch.push(side, Level { px, qty });
        Ok(())
    })
}

/// Reads one side of a snapshot into the scratch.
///
/// `[["37212.77","0.05724592"],["37215.39","0.00900000"]]`
pub fn side(c: &mut Cursor<'_>, side: Side, scales: (Scale, Scale), scratch: &mut Scratch) -> Result<()> {
    c.array(|c| {
        let (mut px, mut qty, mut n) = (None, None, 0);
        c.array(|c| {
            match n {
                0 => px = Some(c.px(scales.0)?),
                1 => qty = Some(c.qty(scales.1)?),
                _ => _ = c.skip()?,
            }
            n += 1;
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (px, qty) else {
            return Err(c.fault(What::Missing("price or size")));
        };
        if px.0 < 0 || qty.0 < 0 {
            return Err(c.fault(What::Rule("a level is not negative")));
        }
        scratch.push(side, Level { px, qty });
        Ok(())
    })
}

/// Whether a frame has the look of this protocol: a known `type` and a product with a dash.
pub fn looks_like_ours(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'{') {
        return false;
    }
    let (flat, read) = frame(bytes);
    let product = flat.print.product;
    let named = product.contains(&b'-') && !product.contains(&b'/') && product.is_ascii();
    let typed = match flat.word {
        b"l2update" => flat.changes.is_some(),
        b"snapshot" => flat.bids.is_some() && flat.asks.is_some(),
        b"match" | b"last_match" => !flat.print.id.is_empty() && flat.print.px.is_some(),
        b"ticker" => flat.sequence.is_some() && flat.print.px.is_some(),
        b"open" | b"done" | b"received" | b"change" | b"activate" | b"heartbeat" => flat.ts().is_some(),
        _ => false,
    };
    read.is_ok() && named && typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_in_any_order() {
        let text = br#"{"price":"4.9","size":"1","type":"match","time":"2019-08-01T00:00:03.816Z","product_id":"ETC-GBP","side":"buy","trade_id":7}"#;
        let (flat, read) = frame(text);
        read.unwrap();
        assert_eq!(
            (flat.word, flat.print.product, flat.print.id),
            (&b"match"[..], &b"ETC-GBP"[..], &b"7"[..])
        );
        assert_eq!(flat.print.aggressor, Some(Side::Ask));
        assert_eq!(flat.unknown, None);
    }

    #[test]
    fn only_frames_of_this_protocol_are_recognised() {
        for ours in [
            &br#"{"type":"l2update","product_id":"BTC-EUR","time":"2019-08-01T00:00:03.818Z","changes":[["sell","9202.54","0.4"]]}"#[..],
            br#"{"product_id":"BAT-USDC","type":"snapshot","bids":[["0.2","5"]],"asks":[["0.3","12"]]}"#,
        ] {
            assert!(looks_like_ours(ours));
        }
        for other in [
            &br#"{"type":"snapshot","symbol":"BTC-USD","bids":[],"asks":[]}"#[..],
            br#"{"table":"trade","action":"partial","data":[]}"#,
            br#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}"#,
            br#"{"type":"snapshot","product_id":"PI_XBTUSD","bids":[],"asks":[]}"#,
            b"",
        ] {
            assert!(!looks_like_ours(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
