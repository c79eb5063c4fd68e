//! The retired stream, read in recordings only: arrays `[channelID, payload…, "channelName", "pair"]`, numbers in text.

use crate::parse::{self, Result};
use crate::rows::{Scratch, interval, level};
use crate::time;
use model::{Bar, DayStats, Instrument, Level, Quote, Scale, Trade, TradeId, Ts};
use source::{Cursor, What};

/// The parts of a frame.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// `book-1000`, `trade`, `ticker`, `spread`, `ohlc-5`.
    pub channel: &'a str,
    /// `XBT/USD`
    pub pair: &'a str,
    /// Where each payload stands; a change of both sides has two.
    pub payloads: Vec<Cursor<'a>>,
}

/// Takes a frame apart.
pub fn frame(bytes: &[u8]) -> Result<Frame<'_>> {
    let mut c = Cursor::new(bytes);
    let (mut texts, mut payloads): (Vec<&str>, Vec<Cursor<'_>>) = (Vec::new(), Vec::new());
    let mut first = true;
    c.array(|c| {
        match c.peek() {
            _ if std::mem::take(&mut first) => _ = c.u64()?,
            Some(b'"') => texts.push(c.utf8()?),
            _ => {
                payloads.push(c.clone());
                c.skip()?;
            }
        }
        Ok(())
    })?;
    c.end()?;
    match (texts.as_slice(), payloads.is_empty()) {
        ([channel, pair], false) => Ok(Frame { channel, pair, payloads }),
        _ => Err(c.fault(What::Expected("a payload, a channel and a pair"))),
    }
}

/// What a payload of a book holds besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookPart {
    /// Whether it was the whole book.
    pub snapshot: bool,
    /// The checksum after the change.
    pub checksum: Option<u32>,
    /// The newest time of a level that was not told again because it came back into the depth.
    pub ts: Option<Ts>,
    /// Digits after the point of prices and quantities, as the venue writes them.
    pub digits: Option<(Scale, Scale)>,
}

/// Reads a payload of a book; levels are appended to `scratch`.
///
/// `{"b":[["58719.70000","0.00000000","1617666423.693648"],["55225.00000","0.50000000","1617640142.435065","r"]],"c":"226497374"}`
pub fn book(
    c: &mut Cursor<'_>,
    part: &mut BookPart,
    scales: (Scale, Scale),
    scratch: &mut Scratch,
    mut unknown: impl FnMut(&[u8]),
) -> Result<()> {
    c.object(|c, key| match key {
        b"as" | b"bs" | b"a" | b"b" => {
            part.snapshot |= key.len() == 2;
            let into = if key.first() == Some(&b'a') { &mut scratch.asks } else { &mut scratch.bids };
            levels(c, part, scales, into)
        }
        b"c" => {
            let sum = u32::try_from(c.u64()?).map_err(|_| c.fault(What::Rule("a checksum has 32 bits")))?;
            part.checksum = Some(sum);
            Ok(())
        }
        _ => {
            unknown(key);
            c.skip().map(|_| ())
        }
    })
}

fn levels(
    c: &mut Cursor<'_>,
    part: &mut BookPart,
    (px_scale, qty_scale): (Scale, Scale),
    into: &mut Vec<Level>,
) -> Result<()> {
    c.array(|c| {
        let at = c.position();
        let mut texts: [&[u8]; 4] = [b""; 4];
        let mut n = 0;
        c.array(|c| {
            let text = c.str()?;
            if let Some(place) = texts.get_mut(n) {
                *place = text;
            }
            n += 1;
            Ok(())
        })?;
        let [price, amount, when, again] = texts;
        if n < 3 {
            return Err(c.fault(What::Expected("price, volume and time")));
        }
        let level = Level { px: parse::px(price, px_scale, at)?, qty: parse::qty(amount, qty_scale, at)? };
        if level.px.0 < 0 || level.qty.0 < 0 {
            return Err(c.fault(What::Rule("a level is not below zero")));
        }
        if part.digits.is_none() {
            part.digits = decimals(price).zip(decimals(amount));
        }
        let ts = time::seconds(when).ok_or_else(|| c.fault(What::Expected("a time")))?;
        if again.is_empty() {
            part.ts = part.ts.max(Some(ts));
        }
        into.push(level);
        Ok(())
    })
}

fn decimals(text: &[u8]) -> Option<Scale> {
    let after = text.iter().position(|b| *b == b'.').map_or(0, |at| text.len() - at - 1);
    Scale::try_from(after).ok()
}

/// Reads a payload of `trade`. The venue names no ids here: one is made of what it says.
///
/// `[["58729.00000","0.00357166","1617666541.383378","b","m",""]]`
pub fn trades(c: &mut Cursor<'_>, instrument: &Instrument, mut tell: impl FnMut(Trade, Ts)) -> Result<()> {
    let mut n = 0_usize;
    c.array(|c| {
        let at = c.position();
        let mut texts: [&str; 6] = [""; 6];
        let mut places = texts.iter_mut();
        c.array(|c| {
            let text = c.utf8()?;
            if let Some(place) = places.next() {
                *place = text;
            }
            Ok(())
        })?;
        let [price, amount, when, word, ..] = texts;
        let ts = time::seconds(when.as_bytes()).ok_or_else(|| c.fault(What::Expected("a time")))?;
        let trade = Trade {
            id: TradeId::Text(format!("{when}-{price}-{amount}-{word}-{n}").into()),
            px: parse::px(price.as_bytes(), instrument.px_scale, at)?,
            qty: parse::qty(amount.as_bytes(), instrument.qty_scale, at)?,
            aggressor: parse::side(word.as_bytes()),
            count: 1,
        };
        n += 1;
        tell(trade, ts);
        Ok(())
    })
}

/// Reads a payload of `spread`.
///
/// `["31760.00000","31760.10000","1654031976.197239","0.02167307","6.46761464"]`
pub fn spread(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<(Quote, Option<Ts>)> {
    let at = c.position();
    let [bid, ask, when, bid_qty, ask_qty] = texts::<5>(c)?;
    let quote = Quote {
        bid: level([bid, bid_qty], instrument, at)?,
        ask: level([ask, ask_qty], instrument, at)?,
        seq: None,
    };
    Ok((quote, time::seconds(when).filter(|ts| ts.0 > 0)))
}

/// An array of at least `N` texts or numbers.
fn texts<'a, const N: usize>(c: &mut Cursor<'a>) -> Result<[&'a [u8]; N]> {
    let mut all: [&[u8]; N] = [b""; N];
    let mut n = 0;
    c.array(|c| {
        let text = c.number()?;
        if let Some(place) = all.get_mut(n) {
            *place = text;
        }
        n += 1;
        Ok(())
    })?;
    if n < N { Err(c.fault(What::Expected("more values"))) } else { Ok(all) }
}

/// Reads a payload of `ticker`: each value is of today, then of 24 hours.
///
/// `{"a":["58729.00000",0,"0.03666000"],"b":["58728.90000",0,"0.54319600"],"c":["58729.00000","0.00026141"],"v":["3397.78","3403.55"],"p":["58348.14","58347.95"],"t":[48667,48898],"l":["56820.0","56820.0"],"h":["59278.1","59278.1"],"o":["58195.1","58229.7"]}`
pub fn ticker(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    mut unknown: impl FnMut(&[u8]),
) -> Result<(DayStats, Quote)> {
    let mut stats = DayStats::default();
    let mut quote = Quote { bid: None, ask: None, seq: None };
    c.object(|c, key| {
        let at = c.position();
        let number = |text: &[u8]| parse::decimal(text, at).map(Some);
        match key {
            b"a" | b"b" => {
                let [price, _, amount] = texts::<3>(c)?;
                let best = level([price, amount], instrument, at)?;
                *(if key == b"a" { &mut quote.ask } else { &mut quote.bid }) = best;
            }
            b"c" => {
                let [price, amount] = texts::<2>(c)?;
                (stats.last, stats.last_qty) = (number(price)?, number(amount)?);
            }
            b"v" => stats.volume = number(texts::<2>(c)?[1])?,
            b"t" => stats.trades = Some(parse::unsigned(texts::<2>(c)?[1], at)?),
            b"l" => stats.low = number(texts::<2>(c)?[1])?,
            b"h" => stats.high = number(texts::<2>(c)?[1])?,
            b"o" => stats.open = number(texts::<2>(c)?[1])?,
            b"p" => _ = c.skip()?,
            _ => {
                c.skip()?;
                unknown(key);
            }
        }
        Ok(())
    })?;
    Ok((stats, quote))
}

/// Reads a payload of `ohlc-5`; `None` where nobody knows the interval.
///
/// `["1542057314.748456","1542057360.435743","3586.70000","3586.70000","3586.60000","3586.60000","3586.68894","0.03373000",2]`
pub fn ohlc(c: &mut Cursor<'_>, channel: &str, now: Ts) -> Result<Option<(Bar, Option<Ts>)>> {
    let at = c.position();
    let [when, _, open, high, low, close, _, volume, trades] = texts::<9>(c)?;
    let minutes = channel.strip_prefix("ohlc-").and_then(|n| n.parse().ok()).unwrap_or(0);
    let (Some(name), Some(ts)) = (interval(minutes), time::seconds(when)) else { return Ok(None) };
    let number = |text: &[u8]| parse::decimal(text, at);
    let length = i64::try_from(minutes * 60_000_000_000).unwrap_or(i64::MAX);
    // The end is given with a fraction that belongs to the last trade; intervals begin at multiples of their length.
    let start = Ts(ts.0 - ts.0.rem_euclid(length));
    let bar = Bar {
        interval: name.into(),
        start,
        open: number(open)?,
        high: number(high)?,
        low: number(low)?,
        close: number(close)?,
        volume: number(volume)?,
        turnover: None,
        trades: Some(parse::unsigned(trades, at)?),
        closed: start.plus_ms(minutes * 60_000) <= now,
    };
    Ok(Some((bar, Some(ts))))
}
