//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::DeribitSession;
use crate::parse::{Kind, Topic};
use crate::sync::Step;
use model::{Channel, TradeId};
use source::scan::whole;
use source::{Mark, Named, Scan};

impl DeribitSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let mut scan = Scan::new(frame);
        scan.front(b"{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":")?;
        let topic = Topic::read(scan.value()?);
        scan.front(b"\"data\":")?;
        match topic.kind {
            Kind::Book(pace) => {
                let at = self.table.known(topic.of)?;
                let listed = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Book))?;
                if !listed.book.is_fed_at(pace) {
                    return None;
                }
                let (prev_seq, seq) = change(scan)?;
                let mut next = listed.book.chain;
                // One that leads back may be a new count.
                if prev_seq >= seq || next.change(prev_seq, seq) != Step::Apply(prev_seq) {
                    return None;
                }
                let of = Named::Delta { prev_seq, seq };
                told(Mark { instrument: listed.instrument.id, channel: Channel::Book, of }).then_some(())?;
                listed.book.chain = next;
            }
            Kind::Trades | Kind::AllTrades => {
                let (symbol, number) = trade(scan)?;
                let symbol = if topic.kind == Kind::Trades { topic.of } else { symbol };
                let at = self.table.known(symbol)?;
                let listed = self.table.get(at).filter(|listed| listed.wants(Channel::Trades))?;
                let of = Named::Trade(TradeId::Num(number));
                told(Mark { instrument: listed.instrument.id, channel: Channel::Trades, of }).then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// `prev_change_id` and `change_id` of a change, which stand before its levels.
///
/// `{"type":"change","timestamp":1760000001100,"instrument_name":"BTC-PERPETUAL","prev_change_id":5000,"change_id":5009,"bids":…`
fn change(mut data: Scan<'_>) -> Option<(u64, u64)> {
    data.front(b"{\"type\":\"change\",")?;
    let (mut prev, mut seq) = (None, None);
    while prev.is_none() || seq.is_none() {
        match data.field()? {
            (b"prev_change_id", number) => prev = Some(whole(number)?),
            (b"change_id", number) => seq = Some(whole(number)?),
            (b"timestamp" | b"instrument_name", _) => {}
            _ => return None,
        }
    }
    prev.zip(seq)
}

/// Symbol and `trade_seq` of the one trade of a frame; `None` where it has several, or tells of a forced order too.
///
/// `[{"trade_seq":30000001,…,"instrument_name":"BTC-PERPETUAL",…}]}}`
fn trade(mut row: Scan<'_>) -> Option<(&[u8], u64)> {
    row.front(b"[{")?;
    row.only_row(b"}]}}")?;
    let (mut symbol, mut seq) = (None, None);
    while !row.is_empty() {
        match row.field()? {
            (b"trade_seq", number) => seq = Some(whole(number)?),
            (b"instrument_name", text) => symbol = Some(text),
            (b"liquidation", _) => return None,
            _ => {}
        }
    }
    symbol.zip(seq)
}
