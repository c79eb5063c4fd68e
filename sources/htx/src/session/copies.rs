//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::HtxSession;
use crate::sync::Step;
use crate::topic::Kind;
use model::{Channel, TradeId};
use source::scan::{trade_id, whole};
use source::{Mark, Named, Scan};

impl HtxSession {
    /// `None` where the frame, here its text, has to be read.
    #[inline]
    pub(super) fn copied(&mut self, text: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (topic, tick) = head(text)?;
        let n = self.lanes.find(topic)?;
        let sub = self.lanes.subs.get(n).filter(|sub| !self.wanting || !sub.lanes.is_empty())?;
        let listed = self.table.get_mut(sub.at)?;
        let instrument = listed.instrument.id;
        let mut asks = |channel, of| told(Mark { instrument, channel, of }).then_some(());
        match sub.topic.kind {
            kind @ (Kind::Mbp | Kind::HighFreq) if listed.book.is_fed_by(n) => {
                let (prev, seq) = if kind == Kind::Mbp { change(tick)? } else { version(tick)? };
                let mut next = listed.book.chain;
                // One that leads back may be a new count.
                let Step::Apply(prev_seq) = next.update(prev, seq) else { return None };
                (prev_seq < seq).then_some(())?;
                asks(Channel::Book, Named::Delta { prev_seq, seq })?;
                listed.book.chain = next;
            }
            // The first one that comes settles what is due.
            Kind::Trades if sub.heard && sub.since.is_none() => {
                asks(Channel::Trades, Named::Trade(trade(tick)?))?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// The topic of a frame, and its `tick`.
///
/// `{"ch":"market.btcusdt.mbp.150","ts":1760000002101,"tick":…`
fn head(text: &[u8]) -> Option<(&[u8], Scan<'_>)> {
    let mut scan = Scan::new(text);
    scan.front(b"{\"ch\":")?;
    let topic = scan.value()?;
    loop {
        match scan.key()? {
            b"ts" => _ = scan.value()?,
            b"tick" => return Some((topic, scan)),
            _ => return None,
        }
    }
}

/// `prevSeqNum` and `seqNum` of a change of spot, which stand before its levels.
///
/// `{"seqNum":1002,"prevSeqNum":1001,"bids":…`
fn change(mut tick: Scan<'_>) -> Option<(u64, u64)> {
    tick.front(b"{")?;
    let (mut prev, mut seq) = (None, None);
    while prev.is_none() || seq.is_none() {
        match tick.field()? {
            (b"prevSeqNum", number) => prev = Some(whole(number)?),
            (b"seqNum", number) => seq = Some(whole(number)?),
            (b"ts", _) => {}
            _ => return None,
        }
    }
    prev.zip(seq)
}

/// The versions that a change of a contract joins, which stand behind its levels.
///
/// `{"asks":[…],"bids":[…],"ch":"…","event":"update","id":900000005,"mrid":900000005,"ts":1760000003130,"version":1600468},"ts":1760000003131}`
fn version(mut tick: Scan<'_>) -> Option<(u64, u64)> {
    tick.back(b"}")?;
    let (b"ts", _) = tick.last()? else { return None };
    tick.back(b"}")?;
    let mut seq = None;
    loop {
        match tick.last()? {
            (b"version", number) => seq = whole(number),
            (b"event", b"update") => return seq.and_then(|seq: u64| Some((seq.checked_sub(1)?, seq))),
            (b"ts" | b"id" | b"mrid", _) => {}
            _ => return None,
        }
    }
}

/// The id of the one trade of a frame; `None` where it has several. A long id may have lost digits.
///
/// `{"id":170000000001,"ts":1760000001000,"data":[{"id":170000000001123456789012345,…,"tradeId":102000000001,…}]}}`
fn trade(mut tick: Scan<'_>) -> Option<TradeId> {
    tick.front(b"{")?;
    loop {
        match tick.key()? {
            b"id" | b"ts" => _ = tick.value()?,
            b"data" => break,
            _ => return None,
        }
    }
    tick.front(b"[{")?;
    tick.only_row(b"}]}}")?;
    let (mut id, mut long_id) = (None, None);
    while !tick.is_empty() {
        match tick.field()? {
            (b"tradeId" | b"trade-id", text) => id = Some(text),
            (b"id", text) => long_id = Some(text),
            _ => {}
        }
    }
    id.or(long_id).and_then(trade_id)
}
