//! When the feed speaks.

use model::Ts;
use model::ashare::{Board, Market, Phase, Section, calendar};

/// The phases of the other boards differ after the close alone.
const SECTION: Section = Section { market: Market::Sh, board: Board::Main };

/// Whether data are to come. Between the opening auction and the first trade nothing need change, what is traded after
/// hours need not be told, and in a year whose trading days are not known nothing is expected.
pub fn are_open(now: Ts) -> bool {
    let phase = calendar().phase_at(SECTION, now);
    phase.is_some_and(|phase| phase.is_call() || phase == Phase::Continuous)
}
