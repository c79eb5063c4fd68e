//! What a frame that could not be read means for the books of its connection.

use super::KrakenSession;
use crate::parse::{Frame, Kind};
use model::{Body, GapCause, Ts};
use source::{Action, Malformed, What};

/// Whose books a frame may have been about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// Nobody's.
    None,
    /// That of one instrument.
    One(usize),
    /// Anybody's.
    All,
}

impl KrakenSession {
    /// Whose book a frame may have been about, by what could be read of it.
    pub(super) fn harmed(&self, f: &Frame<'_>) -> Harm {
        if let Some(at) = self.touched {
            return Harm::One(at);
        }
        match (f.kind, f.feed) {
            _ if f.method || f.event.is_some() => Harm::None,
            (None, Some(b"book" | b"book_snapshot")) => {
                f.product.and_then(|product| self.table.known(product)).map_or(Harm::All, Harm::One)
            }
            (
                Some(
                    Kind::Trade
                    | Kind::Ticker
                    | Kind::Ohlc
                    | Kind::Instrument
                    | Kind::Status
                    | Kind::Heartbeat,
                ),
                _,
            )
            | (None, Some(b"trade" | b"trade_snapshot" | b"ticker" | b"ticker_lite" | b"heartbeat")) => {
                Harm::None
            }
            (Some(Kind::Book | Kind::Other) | None, _) => Harm::All,
        }
    }

    /// Books that a frame which could not be read may have been about start again.
    pub(super) fn suffer(&mut self, harm: Harm, fault: Malformed, now: Ts, out: &mut Vec<Action>) {
        let cause = match fault.what {
            What::Scale(..) => GapCause::Scale,
            _ => GapCause::Malformed,
        };
        let places = match harm {
            Harm::None => return,
            Harm::One(at) => at..at + 1,
            Harm::All => 0..self.table.len(),
        };
        for at in places {
            if self.table.get_mut(at).is_some_and(|listed| listed.gap(cause, None, now, out)) {
                self.lost(at, "a frame could not be read", now, out);
            }
        }
    }
}

/// Takes out the data of a frame that turned out not to be whole; what was said of lanes and definitions stands.
#[cold]
pub(super) fn take_back(out: &mut Vec<Action>, before: usize) {
    let mut at = 0;
    out.retain(|action| {
        at += 1;
        let stands = |body: &Body| matches!(body, Body::Gap(_) | Body::Lane(_) | Body::Instrument);
        at <= before || !matches!(action, Action::Emit(event) if !stands(&event.body))
    });
}
