//! Rows of the book channels.

use crate::emit::Sink;
use crate::parse::{Result, ms};
use model::{Instrument, Level, Levels, Qty, Ts};
use source::{Cursor, What};

/// One row of a book channel without its levels, which are in a [`Scratch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookRow {
    /// The venue's time.
    pub ts: Option<Ts>,
    /// `change_id`
    pub seq: u64,
    /// `prev_change_id`
    pub prev: Option<u64>,
    /// Whether it is the whole book.
    pub whole: bool,
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
    pub fn levels(&self) -> Levels {
        Levels::from_sides(&self.bids, &self.asks)
    }

    /// Leaves out levels without quantity: a whole book has none.
    pub fn full(&mut self) {
        self.bids.retain(|l| l.qty.0 != 0);
        self.asks.retain(|l| l.qty.0 != 0);
    }
}

/// Reads the data of a book channel. Recordings from before 2020 have no `type`: there a whole book is what follows
/// nothing.
///
/// `{"type":"change","timestamp":1760000001100,"instrument_name":"BTC-PERPETUAL","prev_change_id":5000,"change_id":5009,"bids":[["change",64010.0,24000.0]],"asks":[["delete",64010.5,0.0]]}`
pub fn book_row(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
) -> Result<BookRow> {
    let mut row = BookRow::default();
    let (mut bids, mut asks, mut seq, mut kind): (_, _, _, Option<&[u8]>) = (false, false, None, None);
    scratch.bids.clear();
    scratch.asks.clear();
    c.object(|c, key| {
        match key {
            b"type" => kind = Some(c.str()?),
            b"timestamp" => row.ts = ms(c)?,
            b"prev_change_id" => row.prev = if c.null() { None } else { Some(c.u64()?) },
            b"change_id" => seq = Some(c.u64()?),
            b"bids" => {
                bids = true;
                side(c, instrument, &mut scratch.bids, sink)?;
            }
            b"asks" => {
                asks = true;
                side(c, instrument, &mut scratch.asks, sink)?;
            }
            b"instrument_name" => {
                c.str()?;
            }
            other => {
                sink.notes.unknown(b"book", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    row.whole = match kind {
        Some(b"snapshot") => true,
        Some(b"change") => false,
        Some(_) => return Err(c.fault(What::Rule("a book is a snapshot or a change"))),
        None => row.prev.is_none(),
    };
    row.seq = seq.ok_or_else(|| c.fault(What::Missing("change_id")))?;
    match (bids, asks) {
        (true, true) if row.whole || row.prev.is_some() => Ok(row),
        (true, true) => Err(c.fault(What::Missing("prev_change_id"))),
        (false, _) => Err(c.fault(What::Missing("bids"))),
        (_, false) => Err(c.fault(What::Missing("asks"))),
    }
}

/// The levels of one side: `[["new",64010.0,25000.0]]`, or `[[64010.0,25000.0]]` where it is whole each time.
#[inline]
fn side(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    levels: &mut Vec<Level>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let (px_scale, qty_scale) = (instrument.px_scale, instrument.qty_scale);
    c.array(|c| {
        let (mut px, mut qty, mut gone) = (None, None, false);
        let mut at = 0_u32;
        c.array(|c| {
            if at == 0 && px.is_none() && c.peek() == Some(b'"') {
                let action = c.str()?;
                gone = action == b"delete";
                if !gone && !matches!(action, b"new" | b"change") {
                    sink.value(b"book", b"action", action);
                }
                return Ok(());
            }
            match at {
                0 => px = Some(c.px(px_scale)?),
                1 => qty = Some(c.qty(qty_scale)?),
                _ => {
                    c.skip()?;
                }
            }
            at += 1;
            Ok(())
        })?;
        let (Some(px), Some(qty)) = (px, qty) else {
            return Err(c.fault(What::Missing("price and amount of a level")));
        };
        if qty.0 < 0 {
            return Err(c.fault(What::Rule("an amount is not negative")));
        }
        levels.push(Level { px, qty: if gone { Qty(0) } else { qty } });
        Ok(())
    })
}
