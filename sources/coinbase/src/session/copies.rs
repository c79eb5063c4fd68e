//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::CoinbaseSession;
use crate::Feed;
use crate::sync::Step;
use model::{Channel, TradeId};
use source::scan::whole;
use source::{Mark, Named, Scan};

impl CoinbaseSession {
    /// `None` where the frame has to be read. Only trades have a key: frames of books have a number of their connection,
    /// or none.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let mut scan = Scan::new(frame);
        let mut count = self.count;
        let feed = if scan.front(b"{\"channel\":\"market_trades\",").is_some() {
            (count.on(number(&mut scan)?) == Step::Next).then_some(())?;
            scan.front(b"[{\"type\":\"update\",\"trades\":[{")?;
            scan.only_row(b"}]}]}")?;
            Feed::Advanced
        } else {
            scan.front(b"{\"type\":\"match\",")?;
            scan.only_row(b"}")?;
            Feed::Exchange
        };
        if self.wanting && feed != self.feed {
            return None;
        }
        let (product, id) = trade(scan)?;
        let at = self.table.known(feed, product)?;
        let listed = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Trades))?;
        let of = Named::Trade(TradeId::Num(id));
        told(Mark { instrument: listed.instrument.id, channel: Channel::Trades, of }).then_some(())?;
        listed.last_trade = listed.last_trade.max(Some(id));
        self.count = count;
        Some(())
    }
}

/// The number of a frame of Advanced Trade; its events are next then.
///
/// `"client_id":"","timestamp":"2026-09-01T12:00:00.300000000Z","sequence_num":4,"events":…`
fn number(scan: &mut Scan<'_>) -> Option<u64> {
    let mut number = None;
    loop {
        match scan.key()? {
            b"client_id" | b"timestamp" => _ = scan.value()?,
            b"sequence_num" => number = whole(scan.value()?),
            b"events" => return number,
            _ => return None,
        }
    }
}

/// Product and id of a trade.
///
/// `"trade_id":"900000001","product_id":"BTC-USD",…`, in the Exchange feed
/// `"trade_id":881614,"maker_order_id":"…",…,"product_id":"BAND-GBP",…`
fn trade(mut row: Scan<'_>) -> Option<(&[u8], u64)> {
    let (mut product, mut id) = (None, None);
    while product.is_none() || id.is_none() {
        match row.field()? {
            (b"trade_id", number) => id = Some(whole(number)?),
            (b"product_id", text) => product = Some(text),
            _ => {}
        }
    }
    product.zip(id)
}
