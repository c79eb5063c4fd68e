//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::GateSession;
use super::data::pushed_symbol;
use crate::parse::Kind;
use crate::sync::{Span, Step};
use model::{Channel, TradeId};
use source::scan::{trade_id, whole};
use source::{Mark, Named, Scan};

impl GateSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (spot, kind, result) = head(frame)?;
        match kind {
            Kind::Update | Kind::Pushed => {
                let pushed = kind == Kind::Pushed;
                let (name, span) = change(result)?;
                let symbol = if pushed { pushed_symbol(name)? } else { name };
                let at = self.table.known(self.product(spot, symbol), symbol)?;
                let listed = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Book))?;
                let chain = listed.book.chain(pushed)?;
                let mut next = *chain;
                let step = if pushed { next.step_exact(span) } else { next.step(span) };
                let Step::Apply(prev_seq) = step else { return None };
                let of = Named::Delta { prev_seq, seq: span.last };
                told(Mark { instrument: listed.instrument.id, channel: Channel::Book, of }).then_some(())?;
                *chain = next;
            }
            Kind::Trades => {
                let (symbol, id) = trade(result)?;
                let at = self.table.known(self.product(spot, symbol), symbol)?;
                let listed = self.table.get_mut(at).filter(|listed| listed.wants(Channel::Trades))?;
                let of = Named::Trade(id);
                told(Mark { instrument: listed.instrument.id, channel: Channel::Trades, of }).then_some(())?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether a frame is of spot, what its data are, and where they stand.
///
/// `{"time":1760000000,"time_ms":1760000000236,"channel":"spot.order_book_update","event":"update","result":…`
fn head(frame: &[u8]) -> Option<(bool, Kind, Scan<'_>)> {
    let mut scan = Scan::new(frame);
    scan.front(b"{")?;
    let mut kind = None;
    loop {
        match scan.key()? {
            b"time" | b"time_ms" => _ = scan.value()?,
            b"channel" => kind = Kind::of(scan.value()?),
            b"event" => (scan.value()? == b"update").then_some(())?,
            b"result" => return kind.map(|(spot, kind)| (spot, kind, scan)),
            _ => return None,
        }
    }
}

/// Of what a change is and which states it joins; both stand before its levels.
///
/// `{"t":1760000000230,"l":"100","e":"depthUpdate","E":1760000000,"s":"ETH_USDT","U":101,"u":106,"b":…`
fn change(mut result: Scan<'_>) -> Option<(&[u8], Span)> {
    result.front(b"{")?;
    let (mut name, mut first, mut last) = (None, None, None);
    loop {
        match result.field()? {
            (b"s", text) => name = Some(text),
            (b"U", number) => first = Some(whole(number)?),
            (b"u", number) => last = Some(whole(number)?),
            (b"t" | b"l" | b"e" | b"E", _) => {}
            _ => return None,
        }
        if let (Some(name), Some(first), Some(last)) = (name, first, last) {
            return (first <= last).then_some((name, Span { first, last }));
        }
    }
}

/// Symbol and id of the one trade of a frame; `None` where it has several. Spot sends one, futures a list.
///
/// `{"id":310000001,…,"currency_pair":"BTC_USDT",…}}`, `[{"size":"-108","id":28000001,…,"contract":"BTC_USDT",…}]}`
fn trade(mut row: Scan<'_>) -> Option<(&[u8], TradeId)> {
    match row.front(b"[{") {
        Some(()) => row.only_row(b"}]}")?,
        None => row.front(b"{").and_then(|()| row.only_row(b"}}"))?,
    }
    let (mut symbol, mut id) = (None, None);
    while symbol.is_none() || id.is_none() {
        match row.field()? {
            (b"id", text) => id = Some(trade_id(text)?),
            (b"contract" | b"currency_pair", text) => symbol = Some(text),
            _ => {}
        }
    }
    symbol.zip(id)
}
