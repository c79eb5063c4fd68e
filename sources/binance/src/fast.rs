//! The frames that come most often, read in the form in which the venue writes them: no white space, no escapes, numbers
//! in quotes, keys of one or two letters that are known. Whatever has another form gives `None` and goes the general way,
//! so that nothing is decided here but how quickly.

pub mod keys;

use crate::parse::{Ids, Seen, Sides};
use model::{Instrument, Level, Px, Qty, Quote, Scale, Side, Trade, TradeId, Ts, rescale};

/// A place in a frame.
struct Reader<'a> {
    rest: &'a [u8],
}

/// A key: its one or two letters.
type Key = (u8, u8);

const ONE: u8 = 0;

impl<'a> Reader<'a> {
    #[inline]
    fn lit<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        (head == text).then(|| self.rest = rest)
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// `"s":`
    #[inline]
    fn key(&mut self) -> Option<Key> {
        match self.rest {
            [b'"', key, b'"', b':', rest @ ..] => {
                self.rest = rest;
                Some((*key, ONE))
            }
            [b'"', first, second, b'"', b':', rest @ ..] => {
                self.rest = rest;
                Some((*first, *second))
            }
            _ => None,
        }
    }

    /// Digits as far as they go, appended to `value`; how many. Of more than 18 the value is worthless.
    #[inline]
    fn digits(&mut self, value: &mut u64) -> usize {
        let before = self.rest.len();
        while let Some((eight, rest)) = self.rest.split_first_chunk::<8>()
            && let Some(part) = eight_digits(*eight)
        {
            *value = value.wrapping_mul(100_000_000).wrapping_add(part);
            self.rest = rest;
        }
        while let Some((byte, rest)) = self.rest.split_first() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.rest = rest;
        }
        before - self.rest.len()
    }

    /// `1760000000123`
    #[inline]
    fn int(&mut self) -> Option<i64> {
        let mut value = 0;
        let count = self.digits(&mut value);
        (1..=18).contains(&count).then_some(value as i64)
    }

    /// `"64000.10"`
    #[inline]
    fn number(&mut self, scale: Scale) -> Option<i64> {
        self.lit(b"\"")?;
        let mut value = 0;
        let whole = self.digits(&mut value);
        let mut decimals = 0;
        let mut end = self.byte()?;
        if end == b'.' {
            decimals = self.digits(&mut value);
            end = self.byte()?;
        }
        if end != b'"' || whole == 0 || whole + decimals > 18 {
            return None;
        }
        rescale(value as i64, decimals as Scale, scale)
    }

    /// `"BTCUSDT"`
    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        self.lit(b"\"")?;
        let end = self.rest.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        self.lit(b"\"")?;
        Some(text)
    }

    #[inline]
    fn bool(&mut self) -> Option<bool> {
        if self.lit(b"true").is_some() {
            return Some(true);
        }
        self.lit(b"false").map(|()| false)
    }

    /// `[["63999.90","0.00000000"],["64000.00","1.20000000"]]`
    #[inline]
    fn levels(&mut self, instrument: &Instrument, into: &mut Vec<Level>) -> Option<()> {
        into.clear();
        self.lit(b"[")?;
        if self.lit(b"]").is_some() {
            return Some(());
        }
        loop {
            self.lit(b"[")?;
            let px = Px(self.number(instrument.px_scale)?);
            self.lit(b",")?;
            let qty = Qty(self.number(instrument.qty_scale)?);
            self.lit(b"]")?;
            into.push(Level { px, qty });
            match self.byte()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Whether another key follows; `None` where the frame does not end as it should.
    #[inline]
    fn more(&mut self) -> Option<bool> {
        match self.byte()? {
            b',' => Some(true),
            b'}' => (self.rest == b"}").then_some(false),
            _ => None,
        }
    }
}

/// Eight digits at once.
#[inline]
const fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(text);
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    let over = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != 0x3030_3030_3030_3030 || over != 0x3030_3030_3030_3030 {
        return None;
    }
    // Neighbours are joined: digits to pairs, pairs to fours, fours to eight.
    let word = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (word.wrapping_mul(10).wrapping_add(word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// The stream of a combined frame, and what follows `"data":`.
#[inline]
pub fn envelope(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut r = Reader { rest: frame };
    r.lit(b"{\"stream\":")?;
    let stream = r.text()?;
    r.lit(b",\"data\":")?;
    Some((stream, r.rest))
}

/// A print; see [`crate::parse::trade`].
pub fn trade<'a>(data: &'a [u8], instrument: &Instrument) -> Option<(Seen<'a>, Trade)> {
    let mut r = Reader { rest: data };
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let (mut event, mut traded, mut id, mut made) = (None, None, None, None);
    let (mut px, mut qty) = (None, None);
    r.lit(b"{")?;
    loop {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'E', ONE) => event = Some(r.int()?),
            (b'T', ONE) => traded = Some(r.int()?),
            (b's', ONE) => seen.symbol = r.text()?,
            (b't', ONE) => id = Some(r.int()? as u64),
            (b'p', ONE) => px = Some(Px(r.number(instrument.px_scale)?)),
            (b'q', ONE) => qty = Some(Qty(r.number(instrument.qty_scale)?)),
            (b'm', ONE) => made = Some(r.bool()?),
            (b'X', ONE) => (r.text()? == b"MARKET").then_some(())?,
            (b'M', ONE) => {
                r.bool()?;
                seen.futures = Some(false);
            }
            (b'a' | b'b', ONE) | (b's', b't') => drop(r.int()?),
            (b'p', b's') => drop(r.text()?),
            _ => return None,
        }
        if !r.more()? {
            break;
        }
    }
    seen.ts = traded.or(event).map(Ts::from_ms);
    Some((seen, Trade { id: TradeId::Num(id?), px: px?, qty: qty?, aggressor: aggressor(made), count: 1 }))
}

/// Merged prints; see [`crate::parse::agg_trade`].
pub fn agg_trade<'a>(data: &'a [u8], instrument: &Instrument) -> Option<(Seen<'a>, Trade)> {
    let mut r = Reader { rest: data };
    let mut seen = Seen { futures: Some(true), ..Seen::default() };
    let (mut event, mut traded, mut id, mut made) = (None, None, None, None);
    let (mut px, mut qty, mut first, mut last) = (None, None, None, None);
    r.lit(b"{")?;
    loop {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'E', ONE) => event = Some(r.int()?),
            (b'T', ONE) => traded = Some(r.int()?),
            (b's', ONE) => seen.symbol = r.text()?,
            (b'a', ONE) => id = Some(r.int()? as u64),
            (b'p', ONE) => px = Some(Px(r.number(instrument.px_scale)?)),
            (b'q', ONE) => qty = Some(Qty(r.number(instrument.qty_scale)?)),
            (b'f', ONE) => first = Some(r.int()?),
            (b'l', ONE) => last = Some(r.int()?),
            (b'm', ONE) => made = Some(r.bool()?),
            (b'M', ONE) => {
                r.bool()?;
                seen.futures = Some(false);
            }
            (b'n', b'q') | (b'p', b's') => drop(r.text()?),
            (b's', b't') => drop(r.int()?),
            _ => return None,
        }
        if !r.more()? {
            break;
        }
    }
    seen.ts = traded.or(event).map(Ts::from_ms);
    let count = u32::try_from(last?.saturating_sub(first?).saturating_add(1)).ok()?.max(1);
    Some((seen, Trade { id: TradeId::Num(id?), px: px?, qty: qty?, aggressor: aggressor(made), count }))
}

fn aggressor(buyer_made: Option<bool>) -> Option<Side> {
    buyer_made.map(|made| if made { Side::Ask } else { Side::Bid })
}

/// Best bid and offer; see [`crate::parse::quote`].
pub fn quote<'a>(data: &'a [u8], instrument: &Instrument) -> Option<(Seen<'a>, Quote)> {
    let mut r = Reader { rest: data };
    let mut seen = Seen::default();
    let (mut event, mut engine, mut id) = (None, None, None);
    let [mut bid, mut ask, mut bid_qty, mut ask_qty] = [None; 4];
    r.lit(b"{")?;
    loop {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'u', ONE) => id = Some(r.int()? as u64),
            (b's', ONE) => seen.symbol = r.text()?,
            (b'b', ONE) => bid = Some(r.number(instrument.px_scale)?),
            (b'B', ONE) => bid_qty = Some(r.number(instrument.qty_scale)?),
            (b'a', ONE) => ask = Some(r.number(instrument.px_scale)?),
            (b'A', ONE) => ask_qty = Some(r.number(instrument.qty_scale)?),
            (b'T', ONE) => engine = Some(r.int()?),
            (b'E', ONE) => event = Some(r.int()?),
            (b'p', b's') => drop(r.text()?),
            (b's', b't') => drop(r.int()?),
            _ => return None,
        }
        if !r.more()? {
            break;
        }
    }
    let level = |px: i64, qty: i64| (qty != 0).then_some(Level { px: Px(px), qty: Qty(qty) });
    let (bid, ask) = (level(bid?, bid_qty?), level(ask?, ask_qty?));
    seen.futures = Some(!seen.kind.is_empty());
    seen.ts = engine.or(event).map(Ts::from_ms);
    Some((seen, Quote { bid, ask, seq: id }))
}

/// Changes of a book, their levels in `sides`; see [`crate::parse::book`].
pub fn book<'a>(data: &'a [u8], instrument: &Instrument, sides: &mut Sides) -> Option<(Seen<'a>, Ids)> {
    let mut r = Reader { rest: data };
    let (mut seen, mut ids) = (Seen::default(), Ids::default());
    let (mut event, mut engine, mut last) = (None, None, None);
    let (mut bids, mut asks) = (false, false);
    r.lit(b"{")?;
    loop {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'E', ONE) => event = Some(r.int()?),
            (b'T', ONE) => engine = Some(r.int()?),
            (b's', ONE) => seen.symbol = r.text()?,
            (b'U', ONE) => ids.first = Some(r.int()?),
            (b'u', ONE) => last = Some(r.int()?),
            (b'p', b'u') => ids.before = Some(r.int()?),
            (b'b', ONE) => {
                bids = true;
                r.levels(instrument, &mut sides.bids)?;
            }
            (b'a', ONE) => {
                asks = true;
                r.levels(instrument, &mut sides.asks)?;
            }
            (b'p', b's') => drop(r.text()?),
            (b's', b't') => drop(r.int()?),
            _ => return None,
        }
        if !r.more()? {
            break;
        }
    }
    ids.last = last?;
    seen.futures = Some(ids.before.is_some() || engine.is_some());
    seen.ts = engine.or(event).map(Ts::from_ms);
    (bids && asks).then_some((seen, ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_left_to_the_general_reader() {
        let number = |text: &str, scale| Reader { rest: text.as_bytes() }.number(scale);
        assert_eq!(number("\"64000.10\",", 2), Some(6_400_010));
        assert_eq!(number("\"64000.10000000\",", 2), Some(6_400_010));
        assert_eq!(number("\"0.00000001\",", 8), Some(1));
        assert_eq!(number("\"123456789012345678\",", 0), Some(123_456_789_012_345_678));
        assert_eq!(number("\"12.\",", 1), Some(120));
        for text in [
            "\"64000.101\",",
            "\"-1\",",
            "\"1e3\",",
            "\"\",",
            "\".5\",",
            "\"1",
            "\"1234567890123456789\",",
            "1,",
        ] {
            assert_eq!(number(text, 2), None, "{text}");
        }
    }

    #[test]
    fn eight_digits_are_read_at_once() {
        assert_eq!(eight_digits(*b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(*b"00000000"), Some(0));
        assert_eq!(eight_digits(*b"99999999"), Some(99_999_999));
        for at in 0..8 {
            for byte in 0..=255_u8 {
                let mut text = *b"12345678";
                text[at] = byte;
                assert_eq!(eight_digits(text).is_some(), byte.is_ascii_digit(), "{byte} at {at}");
            }
        }
    }
}
