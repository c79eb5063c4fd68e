//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::KrakenSession;
use crate::sync::Step;
use model::{Channel, TradeId};
use source::scan::whole;
use source::{Mark, Named, Scan};

impl KrakenSession {
    /// `None` where the frame has to be read. Books of pairs have no numbers, and their checksums need every level.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let mut scan = Scan::new(frame);
        if scan.front(b"{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{").is_some() {
            let (symbol, number) = trade(scan)?;
            return self.printed(symbol, number, told);
        }
        scan.front(b"{\"feed\":")?;
        match scan.value()? {
            b"book" => {
                let (product, seq) = level(scan)?;
                let at = self.table.known(product)?;
                let listed = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Book))?;
                let mut next = listed.book.chain;
                let Step::Apply(Some(prev_seq)) = next.update(Some(seq)) else { return None };
                let of = Named::Delta { prev_seq, seq };
                told(Mark { instrument: listed.instrument.id, channel: Channel::Book, of }).then_some(())?;
                listed.book.chain = next;
                Some(())
            }
            b"trade" => {
                let (product, seq) = print(scan)?;
                self.printed(product, seq, told)
            }
            _ => None,
        }
    }

    fn printed(&self, symbol: &[u8], number: u64, told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let at = self.table.known(symbol)?;
        let listed = self.table.get(at).filter(|listed| listed.wants(Channel::Trades))?;
        let of = Named::Trade(TradeId::Num(number));
        told(Mark { instrument: listed.instrument.id, channel: Channel::Trades, of }).then_some(())
    }
}

/// Symbol and number of the one trade of a frame; `None` where it has several.
///
/// `"symbol":"BTC/USD","side":"buy",…,"trade_id":90000001,"timestamp":"2026-09-01T12:00:00.441000Z"}]}`
fn trade(mut row: Scan<'_>) -> Option<(&[u8], u64)> {
    row.only_row(b"}]}")?;
    let (mut symbol, mut id) = (None, None);
    while symbol.is_none() || id.is_none() {
        match row.field()? {
            (b"symbol", text) => symbol = Some(text),
            (b"trade_id", number) => id = Some(whole(number)?),
            _ => {}
        }
    }
    symbol.zip(id)
}

/// Contract and number of a change of one level.
///
/// `"product_id":"PF_XBTUSD","side":"sell","seq":501,"price":64011.0,"qty":0,"timestamp":1760000000050}`
fn level(mut scan: Scan<'_>) -> Option<(&[u8], u64)> {
    scan.front(b"\"product_id\":")?;
    let product = scan.value()?;
    scan.front(b"\"side\":")?;
    scan.value()?;
    scan.front(b"\"seq\":")?;
    Some((product, whole(scan.value()?)?))
}

/// Contract and number of a trade; `None` where it tells of a forced order too.
///
/// `"product_id":"PF_XBTUSD","uid":"…","side":"sell","type":"fill","seq":653355,…}`
fn print(mut scan: Scan<'_>) -> Option<(&[u8], u64)> {
    scan.back(b"}")?;
    let (mut product, mut seq) = (None, None);
    while !scan.is_empty() {
        match scan.field()? {
            (b"product_id", text) => product = Some(text),
            (b"seq", number) => seq = Some(whole(number)?),
            (b"type", b"liquidation") => return None,
            _ => {}
        }
    }
    product.zip(seq)
}
