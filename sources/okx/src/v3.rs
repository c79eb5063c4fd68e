//! The retired v3 API, read in recordings only: raw-deflate binary frames, RFC 3339 times.

use crate::emit::Sink;
use crate::listing::days_from_civil;
use crate::parse::{BookRow, Feed, Result, Scratch, checksum, side};
use crate::rows::unknown;
use flate2::{Decompress, FlushDecompress, Status};
use model::{Body, Channel, DayStats, Funding, Instrument, Trade, Ts};
use source::{Cursor, Malformed, What};
use std::sync::Arc;

/// How much room an inflated frame is given at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Inflates frames into a buffer that is used again.
pub struct Inflater {
    inner: Decompress,
    out: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inner: Decompress::new(false), out: Vec::new() }
    }
}

impl Inflater {
    /// The text of a frame, at most as large as the largest frame that is accepted.
    pub fn inflate(&mut self, bytes: &[u8]) -> Result<&[u8]> {
        let max = crate::SPEC.frame_bytes_max;
        self.inner.reset(false);
        self.out.clear();
        while self.out.len() <= max {
            let before = (self.inner.total_in(), self.inner.total_out());
            let rest = bytes.get(before.0 as usize..).unwrap_or_default();
            if self.out.capacity() == self.out.len() {
                self.out.reserve(CHUNK_BYTES);
            }
            let status = self.inner.decompress_vec(rest, &mut self.out, FlushDecompress::None);
            let moved = (self.inner.total_in(), self.inner.total_out()) != before;
            match status {
                Ok(Status::StreamEnd) if self.out.len() <= max => return Ok(&self.out),
                Ok(Status::Ok | Status::BufError) if moved => {}
                Ok(_) | Err(_) => break,
            }
        }
        Err(Malformed { at: 0, what: What::Compression })
    }
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `depth`, `depth_l2_tbt`.
    Book,
    /// `depth5`.
    BookTop,
    /// `trade`.
    Trade,
    /// `ticker`.
    DayStats,
    /// `mark_price`.
    MarkPrice,
    /// `funding_rate`.
    Funding,
    /// Any other.
    Other,
}

/// A row and what stands around it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Which table.
    pub table: Table,
    /// The venue's name of it.
    pub name: &'a [u8],
    /// `partial` or `update`.
    pub action: &'a [u8],
    /// `instrument_id`.
    pub symbol: &'a [u8],
}

/// The feed of its books.
pub const FEED: Feed = Feed::V3;

/// Reads a frame and calls `row` at each row of its data.
///
/// `{"table":"swap/depth_l2_tbt","action":"update","data":[{"instrument_id":"ETH-USD-SWAP","asks":[],"bids":[["3366.1","7","0","2"]],"timestamp":"2021-01-02T03:04:05.678Z","checksum":544016116}]}`
pub fn frame<'a>(bytes: &'a [u8], mut row: impl FnMut(Row<'a>, &mut Cursor<'a>) -> Result<()>) -> Result<()> {
    let (mut name, mut action, mut data): (&[u8], &[u8], _) = (b"", b"", None);
    let mut c = Cursor::new(bytes);
    c.object(|c, key| {
        match key {
            b"table" => name = c.str()?,
            b"action" => action = c.str()?,
            b"data" => {
                data = Some(c.clone());
                c.skip()?;
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let mut data = data.ok_or_else(|| c.fault(What::Missing("data")))?;
    let kind = name.iter().position(|b| *b == b'/').and_then(|at| name.get(at + 1..)).unwrap_or(name);
    let table = match kind {
        b"depth" | b"depth_l2_tbt" => Table::Book,
        b"depth5" => Table::BookTop,
        b"trade" => Table::Trade,
        b"ticker" => Table::DayStats,
        b"mark_price" => Table::MarkPrice,
        b"funding_rate" => Table::Funding,
        _ => Table::Other,
    };
    data.array(|c| {
        let symbol = if table == Table::Other { b"" } else { symbol(&mut c.clone())? };
        row(Row { table, name, action, symbol }, c)
    })
}

fn symbol<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let mut symbol = None;
    c.object(|c, key| {
        if key == b"instrument_id" {
            symbol = Some(c.str()?);
        } else {
            c.skip()?;
        }
        Ok(())
    })?;
    symbol.ok_or_else(|| c.fault(What::Missing("instrument_id")))
}

/// Reads a row of a book.
pub fn book_row(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
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
            b"timestamp" => row.ts = Some(time(c)?),
            b"checksum" => row.checksum = checksum(c)?,
            b"instrument_id" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"v3.depth", other)?,
        }
        Ok(())
    })?;
    if bids && asks { Ok(row) } else { Err(c.fault(What::Missing("bids and asks"))) }
}

/// Reads a row of another table into an event.
pub fn other_row(
    row: &Row<'_>,
    c: &mut Cursor<'_>,
    instrument: &Arc<Instrument>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    match row.table {
        Table::Trade => trade(c, instrument, sink),
        Table::DayStats => day_stats(c, instrument, sink),
        Table::MarkPrice | Table::Funding => rate(row.table, c, instrument, sink),
        Table::Book | Table::BookTop | Table::Other => c.skip().map(|_| ()),
    }
}

/// `{"side":"buy","trade_id":"1000001","price":"40000.1","size":"3","instrument_id":"BTC-USDT-SWAP","timestamp":"2021-01-02T03:04:05.678Z"}`;
/// futures and options have `qty` for `size`.
fn trade(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
    c.object(|c, key| {
        match key {
            b"trade_id" => id = Some(c.trade_id()?),
            b"price" => px = Some(c.px(instrument.px_scale)?),
            b"size" | b"qty" => qty = Some(c.qty(instrument.qty_scale)?),
            b"side" => aggressor = sink.side(c.str()?, b"v3.trade"),
            b"timestamp" => ts = Some(time(c)?),
            b"instrument_id" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"v3.trade", other)?,
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let trade = Trade {
        id: id.ok_or_else(|| missing("trade_id"))?,
        px: px.ok_or_else(|| missing("price"))?,
        qty: qty.ok_or_else(|| missing("size"))?,
        aggressor,
        count: 1,
    };
    sink.emit(instrument, Channel::Trades, ts, Body::Trade(trade));
    Ok(())
}

/// `{"last":"40000.1","open_24h":"39000","best_bid":"40000","high_24h":"41000","low_24h":"38500","open_utc0":"39500","open_utc8":"39400","volume_24h":"500000","volume_token_24h":"5000","best_ask":"40000.1","open_interest":"100000","instrument_id":"BTC-USDT-SWAP","timestamp":"2021-01-02T03:04:05.678Z","best_bid_size":"76","best_ask_size":"570","last_qty":"3"}`;
/// spot has `base_volume_24h` and `quote_volume_24h`.
fn day_stats(c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut stats, mut ts) = (DayStats::default(), None);
    c.object(|c, key| {
        match key {
            b"last" => stats.last = c.decimal_opt()?,
            b"last_qty" => stats.last_qty = c.decimal_opt()?,
            b"open_24h" => stats.open = c.decimal_opt()?,
            b"high_24h" => stats.high = c.decimal_opt()?,
            b"low_24h" => stats.low = c.decimal_opt()?,
            b"volume_24h" | b"base_volume_24h" => stats.volume = c.decimal_opt()?,
            b"quote_volume_24h" => stats.turnover = c.decimal_opt()?,
            b"timestamp" => ts = Some(time(c)?),
            b"best_bid" | b"best_ask" | b"best_bid_size" | b"best_ask_size" | b"open_utc0" | b"open_utc8"
            | b"volume_token_24h" | b"open_interest" | b"instrument_id" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"v3.ticker", other)?,
        }
        Ok(())
    })?;
    sink.emit(instrument, Channel::DayStats, ts, Body::DayStats(Box::new(stats)));
    Ok(())
}

/// `{"instrument_id":"LTC-USD-SWAP","mark_price":"150.2","timestamp":"2019-01-02T03:04:05.678Z"}` or
/// `{"estimated_rate":"0.0005","funding_rate":"0.0007","funding_time":"2021-01-02T00:00:00.000Z","instrument_id":"BTC-USD-SWAP","interest_rate":"0","settlement_time":"2021-01-02T08:00:00.000Z"}`
fn rate(table: Table, c: &mut Cursor<'_>, instrument: &Arc<Instrument>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut value, mut next_rate, mut at, mut ts) = (None, None, None, None);
    c.object(|c, key| {
        match key {
            b"mark_price" | b"funding_rate" => value = c.decimal_opt()?,
            b"estimated_rate" => next_rate = c.decimal_opt()?,
            b"settlement_time" => at = Some(time(c)?),
            b"timestamp" => ts = Some(time(c)?),
            b"instrument_id" | b"interest_rate" | b"funding_time" => {
                c.skip()?;
            }
            other => unknown(c, sink, b"v3.rate", other)?,
        }
        Ok(())
    })?;
    let value = value.ok_or_else(|| c.fault(What::Missing("mark_price or funding_rate")))?;
    let (channel, body) = if table == Table::MarkPrice {
        (Channel::MarkPrice, Body::MarkPrice(value))
    } else {
        (Channel::Funding, Body::Funding(Box::new(Funding { rate: value, at, next_rate })))
    };
    sink.emit(instrument, channel, ts, body);
    Ok(())
}

/// `2021-01-02T03:04:05.678Z`
fn time(c: &mut Cursor<'_>) -> Result<Ts> {
    let text = c.str()?;
    instant(text).ok_or_else(|| c.fault(What::Expected("a time")))
}

fn instant(text: &[u8]) -> Option<Ts> {
    let number = |from: usize, to: usize| -> Option<i64> {
        text.get(from..to)?
            .iter()
            .try_fold(0_i64, |v, b| b.is_ascii_digit().then(|| v * 10 + i64::from(b - b'0')))
    };
    let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    let ms = if text.get(19) == Some(&b'.') { number(20, 23)? } else { 0 };
    Some(Ts::from_ms((days * 86_400 + seconds) * 1_000 + ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    #[test]
    fn a_time_is_read_to_the_millisecond() {
        assert_eq!(instant(b"2021-01-02T03:04:05.678Z"), Some(Ts::from_ms(1_609_556_645_678)));
        assert_eq!(instant(b"2021-01-02T03:04:05Z"), Some(Ts::from_ms(1_609_556_645_000)));
        assert_eq!(instant(b"2021-01-02"), None);
    }

    #[test]
    fn frames_are_inflated_up_to_the_limit() {
        let deflate = |bytes: &[u8]| {
            let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut inflater = Inflater::default();
        for len in [1, 300_000, 70_000, 2] {
            let text = vec![b'x'; len];
            assert_eq!(inflater.inflate(&deflate(&text)).unwrap(), text);
        }
        let huge = deflate(&vec![0; crate::SPEC.frame_bytes_max + 1]);
        assert_eq!(inflater.inflate(&huge).unwrap_err().what, What::Compression);
        for junk in [&b""[..], b"\xff\xff\xff", b"{\"event\":1}"] {
            assert!(inflater.inflate(junk).is_err(), "{junk:?}");
        }
    }
}
