//! Rows of the trade channels.

use crate::emit::Sink;
use crate::parse::{Result, ms};
use model::{Instrument, Px, Qty, Side, Ts};
use source::{Cursor, What};

/// One trade of a frame, as numbers at the definition's scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    /// `trade_seq`, which counts by one for each instrument.
    pub seq: u64,
    /// The venue's time.
    pub ts: Option<Ts>,
    /// Price.
    pub px: Px,
    /// Amount.
    pub qty: Qty,
    /// Who crossed.
    pub aggressor: Option<Side>,
    /// Whether the maker, and whether the taker was forced.
    pub forced: (bool, bool),
}

/// Reads one trade.
///
/// `{"trade_seq":30000001,"trade_id":"380000001","timestamp":1760000001050,"tick_direction":0,"price":64010.5,"mark_price":64009.9,"instrument_name":"BTC-PERPETUAL","index_price":64005.1,"direction":"buy","amount":1000.0,"contracts":100.0}`
#[inline]
pub fn trade_row(c: &mut Cursor<'_>, instrument: &Instrument, sink: &mut Sink<'_>) -> Result<TradeRow> {
    let (mut seq, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
    let mut forced = (false, false);
    c.object(|c, key| {
        match key {
            b"trade_seq" => seq = Some(c.u64()?),
            b"price" => px = Some(c.px(instrument.px_scale)?),
            b"amount" => qty = Some(c.qty(instrument.qty_scale)?),
            b"direction" => aggressor = sink.side(c.str()?, b"trades"),
            b"timestamp" => ts = ms(c)?,
            b"liquidation" if c.null() => {}
            b"liquidation" => match c.str()? {
                b"M" => forced = (true, false),
                b"T" => forced = (false, true),
                b"MT" => forced = (true, true),
                b"none" | b"" => {}
                other => sink.value(b"trades", b"liquidation", other),
            },
            b"tick_direction" | b"mark_price" | b"index_price" | b"contracts" | b"iv" => {
                c.number()?;
            }
            b"trade_id"
            | b"instrument_name"
            | b"block_trade_id"
            | b"block_rfq_id"
            | b"block_trade_leg_count"
            | b"combo_id"
            | b"combo_trade_id"
            | b"starting" => {
                c.skip()?;
            }
            other => {
                sink.notes.unknown(b"trades", other, sink.out);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    Ok(TradeRow {
        seq: seq.ok_or_else(|| missing("trade_seq"))?,
        ts,
        px: px.ok_or_else(|| missing("price"))?,
        qty: qty.ok_or_else(|| missing("amount"))?,
        aggressor,
        forced,
    })
}
