//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::BinanceSession;
use super::books::span;
use super::frames::{Fit, fit};
use crate::fast::{self, keys};
use crate::parse::Seen;
use crate::route::Kind;
use crate::sync::Step;
use crate::table::Book;
use model::{Channel, TradeId};
use source::{Mark, Named};

impl BinanceSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (stream, data) = fast::envelope(frame)?;
        let route = self.table.route(stream)?;
        let listed = self.table.get_mut(route.at)?;
        let sure = self.product.is_some();
        let instrument = listed.instrument.id;
        let mut asks = |channel, of| told(Mark { instrument, channel, of }).then_some(());
        let fits = |seen: &Seen<'_>| matches!(fit(sure, route.kind, listed, seen), Fit::Yes).then_some(());
        let (channel, of, which) = match route.kind {
            Kind::Depth => {
                let (seen, ids) = keys::book(data)?;
                fits(&seen)?;
                let span = span(listed.product.rule, &ids).ok()?;
                let Book::Live(chain) = &mut listed.book else { return None };
                let mut next = *chain;
                let Step::Apply(prev_seq) = next.step(span) else { return None };
                asks(Channel::Book, Named::Delta { prev_seq, seq: span.after })?;
                *chain = next;
                listed.quiet.fed = true;
                return Some(());
            }
            Kind::Trade => (Channel::Trades, b't', 0),
            Kind::AggTrade => (Channel::AggTrades, b'a', 1),
            Kind::Quote
            | Kind::Top
            | Kind::DayStats
            | Kind::MiniStats
            | Kind::Bar
            | Kind::Mark
            | Kind::Forced
            | Kind::Contract => return None,
        };
        let (seen, id) = keys::print(data, of)?;
        fits(&seen)?;
        asks(channel, Named::Trade(TradeId::Num(id)))?;
        if let Some(last) = listed.last_ids.get_mut(which) {
            *last = Some(id);
        }
        Some(())
    }
}
