//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::{BitgetSession, place_of};
use crate::parse::{Arg, Kind};
use crate::sync::Step;
use model::{Channel, TradeId};
use source::scan::{trade_id, whole};
use source::{Mark, Named, Scan};

impl BitgetSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (arg, data) = head(frame)?;
        let channel = match arg.kind {
            Kind::Book => Channel::Book,
            Kind::Trades => Channel::Trades,
            _ => return None,
        };
        let (product, symbol) = place_of(arg)?;
        let listed = self.table.known(product, symbol).and_then(|at| self.table.get_mut(at))?;
        if self.wanting && !listed.wants(channel) {
            return None;
        }
        let instrument = listed.instrument.id;
        let mut asks = |of| told(Mark { instrument, channel, of }).then_some(());
        if arg.kind == Kind::Trades {
            // The first one that comes settles what is due.
            return if listed.unheard > 0 { None } else { asks(Named::Trade(trade(data)?)) };
        }
        if !listed.book.may_be_passed(arg.third) {
            return None;
        }
        let (prev_seq, seq) = change(data)?;
        let mut next = listed.book.chain;
        // One that leads back, or nowhere, may be a new count or a sign of life.
        if prev_seq >= seq || next.update(Some(prev_seq), Some(seq), false) != Step::Apply(Some(prev_seq)) {
            return None;
        }
        asks(Named::Delta { prev_seq, seq })?;
        listed.book.chain = next;
        Some(())
    }
}

/// What an update is about, and its rows.
///
/// `{"action":"update","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"data":[…],…`, in v3 with `topic`
/// and `symbol`.
fn head(frame: &[u8]) -> Option<(Arg<'_>, Scan<'_>)> {
    let mut scan = Scan::new(frame);
    scan.front(b"{\"action\":\"update\",\"arg\":{\"instType\":")?;
    let inst_type = scan.value()?;
    let third = match scan.key()? {
        b"channel" => false,
        b"topic" => true,
        _ => return None,
    };
    let channel = scan.value()?;
    let (b"instId" | b"symbol", symbol) = scan.field()? else { return None };
    scan.front(b"},\"data\":[{")?;
    let kind = Kind::of(channel);
    Some((Arg { inst_type, channel, kind, symbol, interval: b"", third }, scan))
}

/// `pseq` and `seq` of an update of a book, which stand behind its levels.
///
/// `"asks":[…],"bids":[…],"seq":451000000020,"pseq":451000000010,"ts":"1760000000250"}],"ts":1760000000251}`
fn change(mut row: Scan<'_>) -> Option<(u64, u64)> {
    let (mut prev, mut seq) = (None, None);
    while prev.is_none() || seq.is_none() {
        match row.last()? {
            (b"seq", number) => seq = Some(whole(number)?),
            (b"pseq", number) => prev = Some(whole(number)?),
            (b"ts" | b"checksum", _) => {}
            _ => return None,
        }
    }
    prev.zip(seq)
}

/// The id of the one trade of a frame; `None` where it has several.
///
/// `"ts":"1760000000896","price":"64010.10",…,"tradeId":"1300000000000000009"}],"ts":1760000000905}`
fn trade(mut row: Scan<'_>) -> Option<TradeId> {
    let (b"ts", _) = row.last()? else { return None };
    row.only_row(b"}]")?;
    loop {
        if let (b"tradeId" | b"i", id) = row.field()? {
            return trade_id(id);
        }
    }
}
