//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::BybitSession;
use crate::parse::{Head, product_of};
use crate::product::Product;
use crate::sync::Step;
use crate::topic::{Kind, Topic};
use model::{Channel, TradeId};
use source::scan::{trade_id, whole};
use source::{Mark, Named, Scan};

impl BybitSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (head, topic, data) = head(frame)?;
        match topic.kind {
            Kind::Book(depth @ 2..) if head.push == b"delta" => {
                let at = self.table.known(product_of(self.product, topic.of, &head), topic.of)?;
                let listed = self.table.get_mut(at)?;
                if listed.depth != Some(depth) || !listed.wants(Channel::Book) {
                    return None;
                }
                let (mut next, seq) = (listed.chain, change(data)?);
                let Step::Apply(prev_seq) = next.push(false, seq) else { return None };
                let of = Named::Delta { prev_seq, seq };
                told(Mark { instrument: listed.instrument.id, channel: Channel::Book, of }).then_some(())?;
                listed.chain = next;
            }
            Kind::Trades => {
                let (symbol, id) = trade(data)?;
                let by_row = self.product.is_none_or(|product| product == Product::Option);
                let symbol = if by_row { symbol } else { topic.of };
                let at = self.table.known(product_of(self.product, symbol, &head), symbol)?;
                let listed = self.table.get(at).filter(|listed| listed.wants(Channel::Trades))?;
                let of = Named::Trade(id);
                told(Mark { instrument: listed.instrument.id, channel: Channel::Trades, of }).then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// What stands before the data, and the data.
///
/// `{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1760000000030,"data":…`
fn head(frame: &[u8]) -> Option<(Head<'_>, Topic<'_>, Scan<'_>)> {
    let mut scan = Scan::new(frame);
    scan.front(b"{\"topic\":")?;
    let topic = Topic::parse(scan.value()?);
    let mut head = Head::default();
    loop {
        match scan.key()? {
            b"type" => head.push = scan.value()?,
            b"ts" => {
                head.spot_order = head.push.is_empty();
                scan.value()?;
            }
            b"data" => return Some((head, topic, scan)),
            _ => return None,
        }
    }
}

/// The number of the state that a change leads to, which stands behind its levels.
///
/// `{"s":"BTCUSDT","b":[…],"a":[…],"u":101,"seq":90007},"cts":1760000000028}`
fn change(mut data: Scan<'_>) -> Option<u64> {
    loop {
        match data.last()? {
            (b"u", number) => return whole(number),
            (b"seq" | b"cts", _) => {}
            _ => return None,
        }
    }
}

/// Symbol and id of the one trade of a frame; `None` where it has several.
///
/// `[{"T":1760000000048,"s":"BTCUSDT",…,"i":"aaaaaaaa-bbbb-5ccc-9ddd-eeeeeeeeeeee",…}]}`
fn trade(mut row: Scan<'_>) -> Option<(&[u8], TradeId)> {
    row.front(b"[{")?;
    row.only_row(b"}]}")?;
    let mut symbol = None;
    loop {
        match row.field()? {
            (b"s", text) => symbol = Some(text),
            (b"i", id) => return symbol.zip(trade_id(id)),
            _ => {}
        }
    }
}
