//! Frames that another connection was quicker to bring: their keys are looked at, and the session moves on.

use super::OkxSession;
use crate::keys;
use crate::parse::Kind;
use crate::sync::Step;
use source::{Mark, Named};

impl OkxSession {
    /// `None` where the frame has to be read.
    #[inline]
    pub(super) fn copied(&mut self, frame: &[u8], told: &mut dyn FnMut(Mark) -> bool) -> Option<()> {
        let (kind, inst, rest) = keys::head(frame)?;
        let listed = self.table.known(inst).and_then(|at| self.table.get_mut(at))?;
        let channel = kind.channel().filter(|channel| !self.wanting || listed.wants(*channel))?;
        let instrument = listed.instrument.id;
        let mut asks = |of| told(Mark { instrument, channel, of }).then_some(());
        match kind {
            Kind::Book(feed) if listed.book.is_fed_by(feed) => {
                let (prev, seq) = keys::update(rest)?;
                let mut next = listed.book.chain;
                // One that leads back, or nowhere, may be a new count or a sign of life.
                let [from, to] = [prev, seq].map(|number| i64::try_from(number).ok());
                let follows = prev < seq && next.seq() == from && next.live();
                if !follows || next.update(from, to, false) != Step::Apply(from) {
                    return None;
                }
                asks(Named::Delta { prev_seq: prev, seq })?;
                listed.book.chain = next;
            }
            Kind::Trades => asks(Named::Trade(keys::trade(rest)?))?,
            _ => return None,
        }
        Some(())
    }
}
