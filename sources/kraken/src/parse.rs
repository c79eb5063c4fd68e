//! Frames that are objects: which of the three protocols one is of, and where its data stand.
//!
//! One walk over the frame finds its kind. Rows of `book` and `trade` are read on the way; everything else afterwards.

use model::{Decimal, NumError, Px, Qty, Scale, Side, Ts, parse_mantissa};
use source::{Cursor, Field, Malformed, What};

/// The result of reading.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What a frame's data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A book by snapshot and changes.
    Book,
    /// Prints.
    Trade,
    /// Statistics, with best bid and offer.
    Ticker,
    /// Bars.
    Ohlc,
    /// Definitions.
    Instrument,
    /// How the venue is.
    Status,
    /// A sign of life.
    Heartbeat,
    /// Anything else.
    Other,
}

impl Kind {
    /// By the word in `channel`.
    #[inline]
    pub fn of(channel: &[u8]) -> Self {
        match channel {
            b"book" => Self::Book,
            b"trade" => Self::Trade,
            b"ticker" => Self::Ticker,
            b"ohlc" => Self::Ohlc,
            b"instrument" => Self::Instrument,
            b"status" => Self::Status,
            b"heartbeat" => Self::Heartbeat,
            _ => Self::Other,
        }
    }
}

/// The fields at the top of a frame, as they stand there.
#[derive(Clone, Debug, Default)]
pub struct Frame<'a> {
    /// `channel` of the stream in force.
    pub channel: Option<&'a [u8]>,
    /// What [`Self::channel`] means.
    pub kind: Option<Kind>,
    /// `type`: `snapshot` or `update`; of a contract's trade what it was.
    pub word: Option<&'a [u8]>,
    /// Where `data` stands, unless it was read on the way.
    pub data: Option<Cursor<'a>>,
    /// `method`: an answer to a request.
    pub method: bool,
    /// `event`: a notice of the retired stream or of the derivatives.
    pub event: Option<&'a [u8]>,
    /// `feed` of the derivatives.
    pub feed: Option<&'a [u8]>,
    /// `product_id`.
    pub product: Option<&'a [u8]>,
    /// `side`.
    pub side: Option<&'a [u8]>,
    /// `uid`.
    pub uid: Option<&'a [u8]>,
    /// `seq`.
    pub seq: Option<&'a [u8]>,
    /// `price`.
    pub price: Option<&'a [u8]>,
    /// `qty`.
    pub qty: Option<&'a [u8]>,
    /// `timestamp`, or `time`.
    pub timestamp: Option<&'a [u8]>,
    /// The first key that is none of these.
    pub other: Option<&'a [u8]>,
}

/// Walks over a frame. `inline` is asked at `data` and says whether it has read them.
#[inline]
pub fn frame<'a>(
    bytes: &'a [u8],
    mut inline: impl FnMut(&Frame<'a>, &mut Cursor<'a>) -> Result<bool>,
) -> (Frame<'a>, Result<()>) {
    let mut f = Frame::default();
    let mut c = Cursor::new(bytes);
    let read = c
        .object(|c, key| {
            match key {
                b"channel" => {
                    let channel = c.str()?;
                    (f.channel, f.kind) = (Some(channel), Some(Kind::of(channel)));
                }
                b"type" => f.word = Some(c.str()?),
                b"data" => {
                    let here = c.clone();
                    if !inline(&f, c)? {
                        f.data = Some(here);
                        c.skip()?;
                    }
                }
                b"feed" => f.feed = Some(c.str()?),
                b"product_id" => f.product = Some(c.str()?),
                b"side" => f.side = Some(c.str()?),
                b"seq" => f.seq = Some(c.number()?),
                b"price" => f.price = Some(c.number()?),
                b"qty" => f.qty = Some(c.number()?),
                b"timestamp" | b"time" => f.timestamp = Some(c.number()?),
                b"uid" => f.uid = Some(c.str()?),
                b"method" => {
                    c.skip()?;
                    f.method = true;
                }
                b"event" => f.event = Some(c.str()?),
                _ => {
                    c.skip()?;
                    f.other = f.other.or(Some(key));
                }
            }
            Ok(())
        })
        .and_then(|()| c.end());
    (f, read)
}

/// The place of a slice in the frame that it is of.
pub fn place(bytes: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize).min(bytes.len())
}

fn mantissa(text: &[u8], scale: Scale, field: Field, at: usize) -> Result<i64> {
    parse_mantissa(text, scale).map_err(|error| {
        let what = match (error, Decimal::parse(text)) {
            (NumError::NotANumber, _) | (_, Err(_)) => What::Number(error),
            (_, Ok(number)) => What::Scale(field, number),
        };
        Malformed { at, what }
    })
}

/// A price from its text; `at` is where it stood.
#[inline]
pub fn px(text: &[u8], scale: Scale, at: usize) -> Result<Px> {
    mantissa(text, scale, Field::Px, at).map(Px)
}

/// A quantity from its text; `at` is where it stood.
#[inline]
pub fn qty(text: &[u8], scale: Scale, at: usize) -> Result<Qty> {
    mantissa(text, scale, Field::Qty, at).map(Qty)
}

/// A number from its text; `at` is where it stood.
pub fn decimal(text: &[u8], at: usize) -> Result<Decimal> {
    Decimal::parse(text).map_err(|e| Malformed { at, what: What::Number(e) })
}

/// An unsigned number from its text; `at` is where it stood.
#[inline]
pub fn unsigned(text: &[u8], at: usize) -> Result<u64> {
    let whole = text.strip_suffix(b".0").unwrap_or(text);
    Cursor::new(whole).u64().map_err(|fault| Malformed { at, ..fault })
}

/// What must be there.
pub fn need<T>(value: Option<T>, field: &'static str) -> Result<T> {
    value.ok_or(Malformed { at: 0, what: What::Missing(field) })
}

/// The side that a word means; `None` where it is another.
#[inline]
pub fn side(word: &[u8]) -> Option<Side> {
    match word {
        b"buy" | b"b" => Some(Side::Bid),
        b"sell" | b"s" => Some(Side::Ask),
        _ => None,
    }
}

/// Reads a quoted RFC 3339 time.
#[inline]
pub fn rfc3339(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    if c.null() {
        return Ok(None);
    }
    let text = c.str()?;
    if text.is_empty() {
        return Ok(None);
    }
    crate::time::rfc3339(text).map(Some).ok_or_else(|| c.fault(What::Expected("a time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_out_in_any_order_of_its_keys() {
        let text = br#"{"zzz":[1,{"a":null}],"data":[{"x":1}],"type":"update","channel":"ohlc","timestamp":"2026-09-01T12:00:00Z"}"#;
        let (f, read) = frame(text, |_, _| Ok(false));
        read.unwrap();
        assert_eq!((f.kind, f.word, f.other), (Some(Kind::Ohlc), Some(&b"update"[..]), Some(&b"zzz"[..])));
        assert_eq!(f.data.unwrap().skip().unwrap(), br#"[{"x":1}]"#);
    }

    #[test]
    fn a_number_that_does_not_fit_says_what_it_needs() {
        assert_eq!(px(b"1.5e-3", 4, 0), Ok(Px(15)));
        let fault = px(b"0.00001", 4, 7).unwrap_err();
        assert_eq!((fault.at, matches!(fault.what, What::Scale(Field::Px, _))), (7, true));
        assert!(matches!(qty(b"1.2.3", 4, 0).unwrap_err().what, What::Number(_)));
        assert_eq!(unsigned(b"5.0", 0), Ok(5));
        assert!(unsigned(b"5.1", 0).is_err());
    }
}
