//! What is asked how often.

use crate::codec::Query;
use model::{Channel, Ts};

/// What is asked in rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Quotes,
    Trades,
    Bars,
    Minutes,
    Actions,
    Fundamentals,
}

/// All of them, the most urgent first.
pub(super) const KINDS: [Kind; 6] =
    [Kind::Quotes, Kind::Trades, Kind::Bars, Kind::Minutes, Kind::Actions, Kind::Fundamentals];

impl Kind {
    /// What a query belongs to; `None` of the session's own.
    pub const fn of(query: &Query) -> Option<Self> {
        match query {
            Query::Quotes(_) | Query::Quote(_) => Some(Self::Quotes),
            Query::Trades(..) => Some(Self::Trades),
            Query::Bars(_) => Some(Self::Bars),
            Query::Minutes(_) => Some(Self::Minutes),
            Query::Actions(_) => Some(Self::Actions),
            Query::Finance(_) => Some(Self::Fundamentals),
            _ => None,
        }
    }

    /// Which channels are told by it.
    pub const fn channels(self) -> &'static [Channel] {
        match self {
            Self::Quotes => &[Channel::DayStats, Channel::BookTop],
            Self::Trades => &[Channel::Trades],
            Self::Bars => &[Channel::Bars],
            Self::Minutes => &[Channel::MinuteLine],
            Self::Actions => &[Channel::CorporateActions],
            Self::Fundamentals => &[Channel::Fundamentals],
        }
    }

    /// How long after one round the next begins, in ms; `None` where a trading day has one. The exchanges make a snapshot every
    /// 3 s, and asking faster gains nothing.
    const fn period_ms(self) -> Option<u64> {
        match self {
            Self::Quotes | Self::Trades => Some(3_000),
            Self::Bars | Self::Minutes => Some(15_000),
            Self::Actions | Self::Fundamentals => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// When the last one began; `None` where none did.
    begun: Option<Ts>,
    /// Whether one began after trading had ended: then there is nothing new.
    last: bool,
    /// Whether the server has answered on this connection.
    answered: bool,
    /// Whether the server does not answer.
    refused: bool,
}

/// The rounds of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds([Round; KINDS.len()]);

impl Rounds {
    fn round(&mut self, kind: Kind) -> Option<&mut Round> {
        self.0.get_mut(kind as usize)
    }

    /// Whether a round is to begin.
    pub fn due(&mut self, kind: Kind, trading: bool, now: Ts) -> bool {
        let Some(round) = self.round(kind) else { return false };
        if trading {
            round.last = false;
        }
        let again = match (round.begun, kind.period_ms()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(begun), Some(period)) => {
                (trading || !round.last) && now.ms_since(begun) >= period.cast_signed()
            }
        };
        again && !round.refused
    }

    /// A round begins.
    pub fn begin(&mut self, kind: Kind, trading: bool, now: Ts) {
        if let Some(round) = self.round(kind) {
            (round.begun, round.last) = (Some(now), !trading);
        }
    }

    /// When the next round is due; `None` where that is not known by the clock alone.
    pub fn at(&self, kind: Kind, now: Ts) -> Option<Ts> {
        let round = self.0.get(kind as usize)?;
        let next = match (round.begun, kind.period_ms()) {
            (None, _) => now.plus_ms(1_000),
            (Some(begun), Some(period)) if !round.last => begun.plus_ms(period).max(now.plus_ms(100)),
            _ => return None,
        };
        (!round.refused).then_some(next)
    }

    /// The next round of what carries a channel begins at once.
    pub fn again(&mut self, channel: Channel) {
        for kind in KINDS {
            if super::carries(kind, channel)
                && let Some(round) = self.round(kind)
            {
                round.begun = None;
            }
        }
    }

    /// All rounds begin anew. What was refused stays so.
    pub fn anew(&mut self) {
        for round in &mut self.0 {
            *round = Round { refused: round.refused, ..Round::default() };
        }
    }

    /// Rounds of a kind begin anew.
    pub fn anew_of(&mut self, kind: Kind) {
        if let Some(round) = self.round(kind) {
            *round = Round::default();
        }
    }

    /// Whether the server has answered anything on this connection.
    pub fn answered_any(&self) -> bool {
        self.0.iter().any(|round| round.answered)
    }

    /// The server has answered.
    pub fn answer(&mut self, kind: Kind) {
        if let Some(round) = self.round(kind) {
            round.answered = true;
        }
    }

    /// Whether the server has answered on this connection.
    pub fn answered(&self, kind: Kind) -> bool {
        self.0.get(kind as usize).is_some_and(|round| round.answered)
    }

    /// No more rounds of a kind; false where that was so already.
    pub fn refuse(&mut self, kind: Kind) -> bool {
        self.round(kind).is_some_and(|round| !std::mem::replace(&mut round.refused, true))
    }
}
