//! Frames of the API before v5, as recordings hold them: named numbers, books without a number.

use super::{BybitSession, Got};
use crate::parse::{Head, Result, TradeRow, ms};
use crate::product::Product;
use crate::rows;
use crate::ticker::{F, Ticker};
use crate::topic::Old;
use model::{Body, Channel, Decimal, Delta, Instrument, Level, Qty, Side, Snapshot, Ts};
use source::{Action, Cursor, What};

impl BybitSession {
    /// Reads the data of a retired topic.
    pub(super) fn old(
        &mut self,
        old: Old,
        (at, product): (usize, Product),
        c: &mut Cursor<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<Got> {
        match old {
            Old::Trades => {
                self.scratch.trades.clear();
                c.array(|c| {
                    let row = self.reading(at, c, now, out, |c, instrument, _| trade(c, (at, instrument)))?;
                    self.scratch.trades.push(row);
                    Ok(())
                })?;
                Ok(Got::Trades)
            }
            Old::Book(depth) => {
                let whole = self.reading(at, c, now, out, |c, instrument, work| {
                    work.scratch.bids.clear();
                    work.scratch.asks.clear();
                    book(c, instrument, (&mut work.scratch.bids, &mut work.scratch.asks))
                })?;
                Ok(Got::OldBook((at, depth), whole))
            }
            Old::Tickers => {
                let mut ticker = Ticker::default();
                old_ticker(c, &mut ticker)?;
                Ok(Got::Ticker(at, Box::new(ticker)))
            }
            Old::Bars(interval) => {
                let notes = &mut self.notes;
                let bars = rows::bars(c, (interval, product), |key| notes.unknown(b"klineV2", key, out))?;
                Ok(Got::Bars(at, bars))
            }
        }
    }

    /// A book of the retired API, whose levels stand in the scratch. It numbers nothing.
    pub(super) fn old_book(
        &mut self,
        (at, depth): (usize, u16),
        whole: bool,
        head: &Head<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        if *listed.depth.get_or_insert(depth) != depth || !listed.wants(Channel::Book) {
            out.push(Action::Control("a book that is not wanted, or of another depth"));
            return;
        }
        if whole {
            listed.old_live = true;
            let levels = self.scratch.whole();
            let snapshot = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
            listed.emit(Channel::Book, head.ts, now, Body::Snapshot(snapshot), out);
        } else if listed.old_live {
            let levels = self.scratch.levels();
            let delta = Delta { prev_seq: None, seq: None, levels, checksum: None, epoch: 0 };
            listed.emit(Channel::Book, head.ts, now, Body::Delta(delta), out);
        } else {
            self.waits(at, now, out);
        }
    }
}

/// `{"trade_time_ms":1616304710061,"timestamp":"2021-03-21T05:31:50.000Z","symbol":"BTCUSD","side":"Buy","size":237,"price":57073.5,"tick_direction":"ZeroPlusTick","trade_id":"f6198d62-4d4d-5908-9902-32c3aa5d9cfd","cross_seq":5404769827}`
fn trade(c: &mut Cursor<'_>, (at, instrument): (usize, &Instrument)) -> Result<TradeRow> {
    let (mut id, mut px, mut qty, mut aggressor, mut ts) = (None, None, None, None, None);
    c.object(|c, key| {
        match key {
            b"trade_time_ms" | b"tradeTimeMs" => ts = ms(c)?,
            b"side" => aggressor = Some(side(c)?),
            b"size" => qty = Some(c.qty(instrument.qty_scale)?),
            b"price" => px = Some(c.px(instrument.px_scale)?),
            b"trade_id" | b"tradeId" => id = Some(c.trade_id()?),
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let missing = |what| c.fault(What::Missing(what));
    let level = Level { px: px.ok_or_else(|| missing("price"))?, qty: qty.ok_or_else(|| missing("size"))? };
    Ok(TradeRow { at, id: id.ok_or_else(|| missing("trade_id"))?, level, aggressor, ts })
}

fn side(c: &mut Cursor<'_>) -> Result<Side> {
    match c.str()? {
        b"Buy" => Ok(Side::Bid),
        b"Sell" => Ok(Side::Ask),
        _ => Err(c.fault(What::Expected("Buy or Sell"))),
    }
}

/// A whole book is an array of levels, alone or under `order_book`; changes are three of them. True where it is whole.
///
/// `{"delete":[{"price":"36382.50","symbol":"BTCUSDM21","id":363825000,"side":"Buy"}],"update":[],"insert":[],"transactTimeE6":0}`
fn book(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    (bids, asks): (&mut Vec<Level>, &mut Vec<Level>),
) -> Result<bool> {
    if c.peek() == Some(b'[') {
        levels(c, instrument, false, (bids, asks))?;
        return Ok(true);
    }
    let mut whole = false;
    c.object(|c, key| match key {
        b"order_book" | b"orderBook" => {
            whole = true;
            levels(c, instrument, false, (bids, asks))
        }
        b"delete" => levels(c, instrument, true, (bids, asks)),
        b"update" | b"insert" => levels(c, instrument, false, (bids, asks)),
        _ => c.skip().map(|_| ()),
    })?;
    Ok(whole)
}

fn levels(
    c: &mut Cursor<'_>,
    instrument: &Instrument,
    removed: bool,
    (bids, asks): (&mut Vec<Level>, &mut Vec<Level>),
) -> Result<()> {
    c.array(|c| {
        let (mut px, mut qty, mut of) = (None, removed.then_some(Qty(0)), None);
        c.object(|c, key| {
            match key {
                b"price" => px = Some(c.px(instrument.px_scale)?),
                b"size" if !removed => qty = Some(c.qty(instrument.qty_scale)?),
                b"side" => of = Some(side(c)?),
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let (Some(px), Some(qty), Some(of)) = (px, qty, of) else {
            return Err(c.fault(What::Missing("price, size and side of a level")));
        };
        if of == Side::Bid { &mut *bids } else { &mut *asks }.push(Level { px, qty });
        Ok(())
    })
}

/// `{"update":[{"symbol":"BTCUSD","mark_price_e4":299142000,"mark_price":"29914.20"}]}`, or the object alone.
fn old_ticker(c: &mut Cursor<'_>, ticker: &mut Ticker) -> Result<()> {
    c.object(|c, key| {
        if matches!(key, b"update" | b"insert") {
            return c.array(|c| old_ticker(c, ticker));
        }
        let Some((field, scale)) = field(key) else { return c.skip().map(|_| ()) };
        let told = c.decimal_opt()?;
        let scaled = |number: Decimal| Some(Decimal::new(i128::from(number.mantissa_at(0)?), scale));
        if let Some(number) = if scale == 0 { told } else { told.and_then(scaled) } {
            ticker.set(field, number);
        }
        Ok(())
    })
}

/// What a key means in any of its spellings, and how many digits of its number are after the point.
fn field(key: &[u8]) -> Option<(F, u8)> {
    let text: Vec<u8> = key.iter().filter(|b| **b != b'_').map(u8::to_ascii_lowercase).collect();
    let (name, scale) = match text.as_slice() {
        [name @ .., b'e', digit @ (b'4' | b'6' | b'8')] => (name, digit - b'0'),
        name => (name, 0),
    };
    let field = match name {
        b"lastprice" => F::Last,
        b"prevprice24h" => F::Open,
        b"highprice24h" => F::High,
        b"lowprice24h" => F::Low,
        b"volume24h" => F::Volume,
        b"turnover24h" => F::Turnover,
        b"markprice" => F::Mark,
        b"indexprice" => F::Index,
        b"openinterest" => F::Interest,
        b"fundingrate" => F::Funding,
        _ => return None,
    };
    Some((field, scale))
}
