//! Bytes to the parts of a frame: the envelope, books and times.

use model::{Instrument, Level, Levels, Ts};
use source::{Cursor, Malformed, What};

/// What reading gives.
pub type Result<T> = std::result::Result<T, Malformed>;

/// What a channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `trades`.
    Trades,
    /// `tickers`.
    Tickers,
    /// `book_ticker`.
    Quote,
    /// `candlesticks`.
    Bars,
    /// `order_book`: whole books of a few levels, on futures also changes of the retired kind.
    Top,
    /// `order_book_update`: changes, begun from a snapshot by REST.
    Update,
    /// `obu`: changes, begun from a pushed snapshot.
    Pushed,
    /// `contract_stats`.
    Stats,
    /// `public_liquidates` and the older `liquidates`.
    Liquidations,
    /// `pong`.
    Pong,
    /// Anything else.
    Other,
}

impl Kind {
    /// Reads a channel: whether it is spot's, and its kind. `None` where it is none of this venue.
    #[inline]
    pub fn of(channel: &[u8]) -> Option<(bool, Self)> {
        let (spot, name) = match channel.strip_prefix(b"spot.") {
            Some(name) => (true, name),
            None => (false, channel.strip_prefix(b"futures.")?),
        };
        let kind = match name {
            b"order_book_update" => Self::Update,
            b"trades" => Self::Trades,
            b"book_ticker" => Self::Quote,
            b"obu" => Self::Pushed,
            b"tickers" => Self::Tickers,
            b"candlesticks" => Self::Bars,
            b"order_book" => Self::Top,
            b"contract_stats" if !spot => Self::Stats,
            b"public_liquidates" | b"liquidates" if !spot => Self::Liquidations,
            b"pong" => Self::Pong,
            _ => Self::Other,
        };
        Some((spot, kind))
    }

    /// Whether its frames must follow each other without a hole.
    pub const fn is_chained(self) -> bool {
        matches!(self, Self::Update | Self::Pushed)
    }
}

/// The envelope of a frame.
#[derive(Clone, Debug, Default)]
pub struct Head<'a> {
    /// The channel as it stands.
    pub channel: &'a [u8],
    /// Whether the channel is spot's, and what it carries.
    pub kind: Option<(bool, Kind)>,
    /// `update`, `all`, `subscribe`, `unsubscribe`, or nothing.
    pub event: &'a [u8],
    /// The venue's time of sending.
    pub ts: Option<Ts>,
    /// Of the request that is answered.
    pub id: Option<u64>,
    /// What the request asked for, as it stands.
    pub payload: &'a [u8],
    /// Why a request was refused, as it stands; empty where it was not.
    pub error: &'a [u8],
    /// `type` of a notice.
    pub notice: &'a [u8],
    /// The words of a notice.
    pub words: &'a [u8],
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
    /// Whether there was a result.
    pub result: bool,
}

impl Head<'_> {
    /// Whether the frame carries data. `obu` may come without an `event`.
    pub fn is_data(&self) -> bool {
        match self.event {
            b"update" | b"all" => true,
            b"" => self.result && matches!(self.kind, Some((_, kind)) if kind != Kind::Pong),
            _ => false,
        }
    }
}

/// Reads a frame and calls `data` at its result where it carries data; the envelope comes back even of a broken frame.
///
/// `{"time":1760000000,"time_ms":1760000000231,"channel":"spot.trades","event":"update","result":{…}}`
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Head<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let mut later: Option<Cursor<'a>> = None;
    let mut c = Cursor::new(bytes);
    let read = c.object(|c, key| {
        match key {
            b"time_ms" => head.ts = Some(Ts::from_ms(c.i64()?)),
            b"time" => {
                let at = time(c, 9)?;
                head.ts = head.ts.or(Some(at));
            }
            b"channel" => {
                head.channel = c.str()?;
                head.kind = Kind::of(head.channel);
            }
            b"event" => head.event = c.str()?,
            b"result" => {
                head.result = true;
                if head.kind.is_some() && matches!(head.event, b"update" | b"all") {
                    data(&head, c)?;
                } else {
                    later = Some(c.clone());
                    c.skip()?;
                }
            }
            b"id" => head.id = std::str::from_utf8(c.number()?).ok().and_then(|id| id.parse().ok()),
            b"payload" => head.payload = c.skip()?,
            b"error" => {
                if !c.null() {
                    head.error = c.skip()?;
                }
            }
            b"type" => head.notice = c.str()?,
            b"msg" => head.words = c.str()?,
            b"conn_id" | b"trace_id" | b"requestId" | b"header" => {
                c.skip()?;
            }
            other => {
                head.unknown = Some(other);
                c.skip()?;
            }
        }
        Ok(())
    });
    let read = read.and_then(|()| c.end());
    let read = read.and_then(|()| match later {
        Some(mut c) if head.is_data() => data(&head, &mut c),
        _ => Ok(()),
    });
    (head, read)
}

/// The text of a field of the object at hand, where it has one.
pub fn find<'a>(c: &Cursor<'a>, names: &[&[u8]]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut c = c.clone();
    let done = c.fault(What::Rule("found"));
    // The walk ends by a fault as soon as there is something.
    let _ = c.object(|c, key| {
        if names.contains(&key) {
            found = Some(c.str()?);
            return Err(done);
        }
        c.skip().map(|_| ())
    });
    found
}

/// Whether a field of the object at hand is true.
pub fn find_bool(c: &Cursor<'_>, name: &[u8]) -> bool {
    let mut is = false;
    let _ = c.clone().object(|c, key| {
        if key == name {
            is = c.bool()?;
            return Ok(());
        }
        c.skip().map(|_| ())
    });
    is
}

/// A time in units of 10^-`digits` s before the point: 6 for ms, 9 for s. What is finer than a nanosecond is cut off.
#[inline]
pub fn time(c: &mut Cursor<'_>, digits: usize) -> Result<Ts> {
    let text = c.number()?;
    time_of(text, digits).ok_or_else(|| c.fault(What::Expected("a time")))
}

/// As [`time`], of a text.
pub fn time_of(text: &[u8], digits: usize) -> Option<Ts> {
    let (mut ns, mut left, mut seen, mut after) = (0_i64, digits, false, false);
    for byte in text {
        match byte {
            b'0'..=b'9' if after && left == 0 => {}
            b'0'..=b'9' => {
                ns = ns.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                left -= usize::from(after);
                seen = true;
            }
            b'.' if seen && !after => after = true,
            _ => return None,
        }
    }
    let unit = 10_i64.checked_pow(u32::try_from(left).ok()?)?;
    seen.then_some(Ts(ns.checked_mul(unit)?))
}

/// The levels of the book at hand, kept between frames.
#[derive(Debug, Default)]
pub struct Sides {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Sides {
    /// Copies them out.
    #[inline]
    pub fn levels(&self) -> Levels {
        Levels::from_sides(&self.bids, &self.asks)
    }

    /// As [`Self::levels`], best first.
    pub fn sorted(&mut self) -> Levels {
        self.bids.sort_unstable_by_key(|level| std::cmp::Reverse(level.px));
        self.asks.sort_unstable_by_key(|level| level.px);
        self.levels()
    }
}

/// What a book says besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `U`.
    pub first: Option<u64>,
    /// `u`, `lastUpdateId` or `id`.
    pub last: Option<u64>,
    /// Whether it is the whole book.
    pub full: bool,
    /// Whether both sides were there, be they empty.
    pub both: bool,
    /// How many levels the venue keeps, where it says so.
    pub depth: Option<u32>,
}

/// Reads a book, its levels into `sides`. Calls `unknown` with keys that we do not know.
///
/// `{"t":1760000000230,"s":"BTC_USDT","U":101,"u":106,"b":[["64009.7","0.0001"]],"a":[["64010.2","0"]]}`
///
/// `{"id":106,"current":1760000000230,"update":1760000000230,"asks":[{"p":"64010.2","s":15}],"bids":[]}`
#[inline]
pub fn book<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    sides: &mut Sides,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<BookRow> {
    sides.bids.clear();
    sides.asks.clear();
    let mut row = BookRow::default();
    let (mut has_bids, mut has_asks) = (false, false);
    c.object(|c, key| {
        match key {
            b"b" | b"bids" => {
                levels(c, instrument, &mut sides.bids)?;
                has_bids = true;
            }
            b"a" | b"asks" => {
                levels(c, instrument, &mut sides.asks)?;
                has_asks = true;
            }
            b"U" => row.first = Some(c.u64()?),
            b"u" | b"lastUpdateId" | b"id" => row.last = Some(c.u64()?),
            b"t" => row.ts = Some(time(c, 6)?),
            b"update" => {
                let text = c.number()?;
                // Spot writes ms, futures write s.
                let whole = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
                row.ts = time_of(text, if whole > 11 { 6 } else { 9 });
            }
            b"full" => row.full = c.bool()?,
            b"l" => {
                let text = c.number()?;
                row.depth = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            }
            b"s" | b"e" | b"E" | b"c" | b"contract" | b"currency_pair" | b"current" => {
                c.skip()?;
            }
            // A side whose name is damaged must not be taken for one without changes.
            other if !other.iter().all(u8::is_ascii_graphic) => return Err(c.fault(What::Encoding)),
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    row.both = has_bids && has_asks;
    Ok(row)
}

#[inline]
fn levels(c: &mut Cursor<'_>, instrument: &Instrument, out: &mut Vec<Level>) -> Result<()> {
    // A key that comes twice counts once, as its last value.
    out.clear();
    if c.null() {
        return Ok(());
    }
    c.array(|c| {
        out.push(level(c, instrument)?);
        Ok(())
    })
}

/// `["64009.7","0.0001"]` or `{"p":"64009.1","s":"0"}`; sizes with or without quotes.
#[inline]
fn level(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<Level> {
    let (mut px, mut qty) = (None, None);
    if c.peek() == Some(b'[') {
        c.array(|c| {
            match (px, qty) {
                (None, _) => px = Some(c.px(instrument.px_scale)?),
                (_, None) => qty = Some(c.qty(instrument.qty_scale)?),
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })?;
    } else {
        c.object(|c, key| {
            match key {
                b"p" => px = Some(c.px(instrument.px_scale)?),
                b"s" => qty = Some(c.qty(instrument.qty_scale)?),
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })?;
    }
    let (Some(px), Some(qty)) = (px, qty) else { return Err(c.fault(What::Missing("p or s of a level"))) };
    if qty.0 < 0 {
        return Err(c.fault(What::Rule("a negative quantity of a level")));
    }
    Ok(Level { px, qty })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{InstrumentKind, Px, Qty};

    #[test]
    fn times_are_read_in_seconds_and_milliseconds_with_fractions() {
        assert_eq!(time_of(b"1760000000213.2504", 6), Some(Ts(1_760_000_000_213_250_400)));
        assert_eq!(time_of(b"1760000000213.25041234567", 6), Some(Ts(1_760_000_000_213_250_412)));
        assert_eq!(time_of(b"1760000000", 9), Some(Ts(1_760_000_000_000_000_000)));
        assert_eq!(time_of(b"1623898993.123", 9), Some(Ts(1_623_898_993_123_000_000)));
        for junk in [&b""[..], b".", b"1e3", b"-1", b"1.2.3", b"99999999999999999999"] {
            assert_eq!(time_of(junk, 6), None, "{}", String::from_utf8_lossy(junk));
        }
    }

    #[test]
    fn levels_are_arrays_or_objects_with_texts_or_numbers() {
        let mut i = Instrument::provisional("gate", "usdt", "X_USDT", InstrumentKind::Perpetual);
        (i.px_scale, i.qty_scale) = (1, 1);
        let mut sides = Sides::default();
        let frames = [
            r#"{"U":1,"u":2,"b":[["10.5","2"]],"a":[["11","0"]]}"#,
            r#"{"a":[{"p":"11","s":0}],"b":[{"s":2,"p":"10.5"}],"u":"2","U":1}"#,
            r#"{"b":[[10.5,2.0,"x"]],"zz":{},"a":[["1.1e1","0"]],"u":2,"U":1}"#,
        ];
        for text in frames {
            let row = book(&mut Cursor::new(text.as_bytes()), &i, &mut sides, |_| ()).unwrap();
            assert_eq!((row.first, row.last, row.full), (Some(1), Some(2), false));
            let levels = sides.levels();
            assert_eq!(levels.bids(), [Level { px: Px(105), qty: Qty(20) }], "{text}");
            assert_eq!(levels.asks(), [Level { px: Px(110), qty: Qty(0) }]);
        }
        for bad in [r#"{"b":[["1"]]}"#, r#"{"b":[{"p":"1"}]}"#, r#"{"b":[["1","-2"]]}"#, r#"{"b":[1]}"#] {
            assert!(book(&mut Cursor::new(bad.as_bytes()), &i, &mut sides, |_| ()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_result_before_its_channel_is_read_all_the_same() {
        let text = br#"{"result":{"u":1},"event":"update","channel":"spot.order_book_update"}"#;
        let mut seen = 0;
        let (head, read) = frame(text, |_, c| {
            seen += 1;
            c.skip().map(|_| ())
        });
        assert_eq!((seen, head.kind, read), (1, Some((true, Kind::Update)), Ok(())));
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_an_error() {
        let text = br#"{"time":1760000000,"time_ms":1760000000236,"channel":"spot.order_book_update","event":"update","result":{"t":1,"s":"X","U":101,"u":106,"b":[["1","2"]],"a":[]}}"#;
        for cut in 0..text.len() {
            assert!(frame(&text[..cut], |_, c| c.skip().map(|_| ())).1.is_err(), "{cut}");
        }
    }
}
