//! Bytes to rows: the envelope of a frame, books and trades. The slower channels are in [`rows`](crate::rows).

use crate::emit::Sink;
use model::{Body, Channel, Decimal, Instrument, Level, Qty, Scale, Side, Trade, TradeId, Ts};
use source::{Cursor, Field, Malformed, What};
use std::sync::Arc;

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// A channel of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `market.$s.trade.detail`
    Trades,
    /// `market.$s.mbp.150`: changes, numbered by `seqNum`.
    Mbp,
    /// `market.$s.depth.size_150.high_freq`: a snapshot and changes, numbered by `version`.
    HighFreq,
    /// `market.$s.depth.step0`, `market.$s.mbp.refresh.20`: whole each time.
    Whole,
    /// `market.$s.bbo`
    Quote,
    /// `market.$s.detail`, `market.$s.ticker`
    DayStats,
    /// `market.$s.kline.1min`
    Bars,
    /// `market.$s.mark_price.1min`
    MarkPrice,
    /// `market.$s.index.1min`
    IndexPrice,
    /// `market.$s.open_interest`, which recorders write from REST answers.
    OpenInterest,
    /// `market.tickers`
    Tickers,
    /// `public.$s.funding_rate`
    Funding,
    /// `public.$s.liquidation_orders`
    Liquidations,
    /// `public.$s.contract_info`
    Contracts,
    /// Known, and of no use to us.
    Aside(&'static str),
    /// Any other.
    Other,
}

/// A topic taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// The symbol; `*` or a coin in some notifications, empty where the topic is of all.
    pub symbol: &'a [u8],
    /// What it is to us.
    pub kind: Kind,
    /// What stands after the last point: `1min`, `150`.
    pub tail: &'a [u8],
}

/// Takes a topic apart: `market.btcusdt.kline.1min`, `public.*.funding_rate`.
pub fn topic(text: &[u8]) -> Topic<'_> {
    let last = |text: &[u8]| text.iter().rposition(|b| *b == b'.').unwrap_or(0);
    let tail = text.get(last(text) + 1..).unwrap_or_default();
    let (symbol, kind) = if let Some(rest) = text.strip_prefix(b"market.") {
        let end = rest.iter().position(|b| *b == b'.').unwrap_or(rest.len());
        match (rest.get(..end).unwrap_or_default(), rest.get(end + 1..)) {
            (b"tickers" | b"overview", None) => (&b""[..], Kind::Tickers),
            (symbol, Some(what)) => (symbol, market(what)),
            (symbol, None) => (symbol, Kind::Other),
        }
    } else if let Some(rest) = text.strip_prefix(b"public.") {
        let symbol = rest.get(..last(rest)).unwrap_or_default();
        (symbol, notice(tail))
    } else {
        (&b""[..], Kind::Other)
    };
    Topic { symbol, kind, tail }
}

fn market(what: &[u8]) -> Kind {
    let starts = |prefix: &[u8]| what.starts_with(prefix);
    match what {
        b"trade.detail" => Kind::Trades,
        b"bbo" => Kind::Quote,
        b"detail" | b"ticker" => Kind::DayStats,
        b"open_interest" => Kind::OpenInterest,
        b"option_market_index" => Kind::Aside("sensitivities of a retired option"),
        _ if starts(b"mbp.refresh.") => Kind::Whole,
        _ if starts(b"mbp.") => Kind::Mbp,
        _ if starts(b"depth.size_") && what.ends_with(b".high_freq") => Kind::HighFreq,
        _ if starts(b"depth.step") => Kind::Whole,
        _ if starts(b"kline.") => Kind::Bars,
        _ if starts(b"mark_price.") => Kind::MarkPrice,
        _ if starts(b"index.") => Kind::IndexPrice,
        _ if starts(b"basis.") => Kind::Aside("basis"),
        _ if starts(b"premium_index.") => Kind::Aside("premium index"),
        _ if starts(b"estimated_rate.") => Kind::Aside("estimated rate"),
        _ => Kind::Other,
    }
}

fn notice(what: &[u8]) -> Kind {
    match what {
        b"funding_rate" => Kind::Funding,
        b"liquidation_orders" => Kind::Liquidations,
        b"contract_info" => Kind::Contracts,
        b"heartbeat" => Kind::Aside("heartbeat of the venue's system"),
        _ => Kind::Other,
    }
}

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

/// Milliseconds, with or without quotes, or nothing.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    let text = c.number()?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        let value = text.iter().fold(0_i64, |v, d| v * 10 + i64::from(d - b'0'));
        return Ok(Some(Ts::from_ms(value)));
    }
    model::parse_mantissa(text, 0).map(|ms| Some(Ts::from_ms(ms))).map_err(|e| c.fault(What::Number(e)))
}

/// A whole number, also in scientific notation.
#[inline]
pub fn whole(c: &mut Cursor<'_>) -> Result<u64> {
    let text = c.number()?;
    if !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        return Ok(text.iter().fold(0_u64, |v, d| v * 10 + u64::from(d - b'0')));
    }
    let value = model::parse_mantissa(text, 0).map_err(|e| c.fault(What::Number(e)))?;
    u64::try_from(value).map_err(|_| c.fault(What::Rule("a number of a state is below zero")))
}

/// How finely quantities are read unless larger ones need the room.
pub const FINEST: Scale = 10;

/// How the numbers of an instrument are read.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'i> {
    /// With the scales.
    pub instrument: &'i Arc<Instrument>,
    /// Digits of quantities after this one are cut off: the venue adds up binary fractions, of which 17 figures come out,
    /// beside quantities that leave no room for so many.
    pub finest: Scale,
}

impl Numbers<'_> {
    /// A price.
    #[inline]
    pub fn px(self, c: &mut Cursor<'_>) -> Result<model::Px> {
        c.px(self.instrument.px_scale)
    }

    /// A quantity.
    #[inline]
    pub fn qty(self, c: &mut Cursor<'_>) -> Result<Qty> {
        match c.qty(self.instrument.qty_scale) {
            Err(Malformed { at, what: What::Scale(Field::Qty, number) }) if number.scale() > self.finest => {
                let cut = cut(number, self.finest);
                let held = cut.mantissa_at(self.instrument.qty_scale).map(Qty);
                held.ok_or(Malformed { at, what: What::Scale(Field::Qty, cut) })
            }
            read => read,
        }
    }
}

/// A number without the digits after so many, and never nothing where there was something.
#[cold]
fn cut(number: Decimal, digits: Scale) -> Decimal {
    let text = number.to_string();
    let point = text.find('.').unwrap_or(text.len());
    let end = text.len().min(point + 1 + usize::from(digits));
    let kept = text.get(..end).unwrap_or(&text);
    match Decimal::parse(kept.trim_end_matches('.').as_bytes()) {
        Ok(kept) if !kept.is_zero() || number.is_zero() => kept,
        _ => Decimal::new(1, digits),
    }
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
            b"tradeId" | b"trade-id" => id = Some(trade_id(c)?),
            b"id" => long_id = Some(trade_id(c)?),
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

/// An id as number where it is one; up to 26 digits are kept as text.
#[inline]
fn trade_id(c: &mut Cursor<'_>) -> Result<TradeId> {
    let text = c.number()?;
    if text.len() < 19 && text.first().is_some_and(|b| *b != b'0') && text.iter().all(u8::is_ascii_digit) {
        return Ok(TradeId::Num(text.iter().fold(0, |v, b| v * 10 + u64::from(b - b'0'))));
    }
    if text.is_empty() {
        return Err(c.fault(What::Missing("trade id")));
    }
    std::str::from_utf8(text).map(TradeId::from_text).map_err(|_| c.fault(What::Encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_taken_apart() {
        for (text, symbol, kind, tail) in [
            ("market.btcusdt.trade.detail", "btcusdt", Kind::Trades, "detail"),
            ("market.btcusdt.mbp.150", "btcusdt", Kind::Mbp, "150"),
            ("market.btcusdt.mbp.refresh.20", "btcusdt", Kind::Whole, "20"),
            ("market.BTC-USDT.depth.size_150.high_freq", "BTC-USDT", Kind::HighFreq, "high_freq"),
            ("market.BTC_CQ.depth.step7", "BTC_CQ", Kind::Whole, "step7"),
            ("market.btcusdt.kline.1min", "btcusdt", Kind::Bars, "1min"),
            ("market.BTC-USD.index.1min", "BTC-USD", Kind::IndexPrice, "1min"),
            ("market.tickers", "", Kind::Tickers, "tickers"),
            ("public.*.liquidation_orders", "*", Kind::Liquidations, "liquidation_orders"),
            ("public.BTC-USDT.funding_rate", "BTC-USDT", Kind::Funding, "funding_rate"),
            ("market.x.new.thing", "x", Kind::Other, "thing"),
            ("accounts.update", "", Kind::Other, "update"),
        ] {
            let read = topic(text.as_bytes());
            assert_eq!(read, Topic { symbol: symbol.as_bytes(), kind, tail: tail.as_bytes() }, "{text}");
        }
    }

    #[test]
    fn digits_for_which_there_is_no_room_are_cut_off_and_something_stays_something() {
        let instrument = |qty_scale| {
            let made = Instrument::provisional("v", "spot", "x", model::InstrumentKind::Spot);
            Arc::new(Instrument { qty_scale, ..made })
        };
        for (text, scale, finest, read) in [
            ("3307.9982700421942", 10, 10, Ok(33_079_982_700_421)),
            ("3307.9982700421942", 4, 4, Ok(33_079_982)),
            ("1.5E-12", 10, 10, Ok(1)),
            ("0.25", 4, 10, Ok(2_500)),
            ("0", 4, 4, Ok(0)),
            ("3307.9982700421942", 4, 10, Err("3307.9982700421")),
            ("0.12345", 4, 10, Err("0.12345")),
        ] {
            let made = instrument(scale);
            let got = Numbers { instrument: &made, finest }.qty(&mut Cursor::new(text.as_bytes()));
            match (got, read) {
                (Ok(got), Ok(read)) => assert_eq!(got, Qty(read), "{text}"),
                (Err(Malformed { what: What::Scale(Field::Qty, number), .. }), Err(text)) => {
                    assert_eq!(number, Decimal::parse(text.as_bytes()).unwrap());
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

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
