//! The Chinese stock market: codes and boards, ticks, lots and price limits, trading days and sessions.
//!
//! Rules change by date, so what depends on a rule takes the date. The values come from the rule books of the exchanges
//! in Shanghai, Shenzhen and Beijing, as they stood on the dates that are named beside them.

#![allow(clippy::inconsistent_digit_grouping, reason = "days are written as 2026_07_06")]

mod adjust;
mod board;
mod calendar;
mod code;
mod limits;
mod session;

pub use adjust::{Adjust, Adjuster};
pub use board::{Board, Section};
pub use calendar::{CalendarError, TradingCalendar, calendar, install};
pub use code::{Code, CodeError, Market};
pub use limits::{is_st, limits};
pub use session::Phase;

use crate::date::Date;
use crate::instrument::{Instrument, InstrumentKind};
use crate::num::Decimal;
use crate::time::Ts;

/// Beijing time, which is the time of all three exchanges, in milliseconds ahead of UTC. There is no summer time.
const AHEAD_MS: i64 = 8 * 3_600_000;

/// The day and the millisecond of that day in Beijing time.
pub fn local(ts: Ts) -> (Date, i64) {
    let there = Ts(ts.0.saturating_add(AHEAD_MS * 1_000_000));
    let date = Date::of(there);
    (date, there.ms_since(date.start()))
}

/// The instant at which it is `ms` milliseconds after midnight of `date` in Beijing; the inverse of [`local`].
pub fn instant(date: Date, ms: i64) -> Ts {
    Ts::from_ms(date.start().as_ms().saturating_add(ms).saturating_sub(AHEAD_MS))
}

/// The code of an instrument of one of the three exchanges; `None` where it is another's.
pub fn code(instrument: &Instrument) -> Option<Code> {
    code_at(&instrument.venue, &instrument.symbol)
}

/// The code of what a venue calls by a symbol; `None` where it is none of the three exchanges.
pub fn code_at(venue: &str, symbol: &str) -> Option<Code> {
    let market = Market::ALL.into_iter().find(|market| venue == market.venue())?;
    Code::new(market, symbol)
}

/// The definition of a listed thing: venue `sse`, `szse` or `bse`, symbol the six digits, name `600519.SH`, quantities in
/// single shares (bonds: single bonds).
pub fn instrument(code: Code, title: &str) -> Instrument {
    let section = code.section();
    let kind = if section.board == Board::Index { InstrumentKind::Index } else { InstrumentKind::Spot };
    Instrument {
        name: code.to_string().into(),
        title: title.into(),
        base: code.digits().into(),
        quote: section.currency().into(),
        px_scale: code.px_scale(),
        qty_scale: 0,
        tick: section.tick(),
        lot: section.board.step().map(|step| Decimal::new(i128::from(step), 0)),
        provisional: false,
        ..Instrument::provisional(code.market.venue(), "", code.digits(), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn beijing_is_eight_hours_ahead() {
        // 1775804391 is 2026-04-10 14:59:51 in Beijing.
        let ts = Ts::from_ms(1_775_804_391_000);
        let ms = ((14 * 60 + 59) * 60 + 51) * 1000;
        assert_eq!(local(ts), (day("2026-04-10"), ms));
        assert_eq!(instant(day("2026-04-10"), ms), ts);
        assert_eq!(local(Ts::from_ms(16 * 3_600_000)), (day("1970-01-02"), 0));
        assert_eq!(local(Ts::from_ms(-9 * 3_600_000)), (day("1969-12-31"), 23 * 3_600_000));
    }

    #[test]
    fn a_definition_says_where_in_what_and_how_finely_a_stock_trades() {
        let made = instrument(Code::parse("600519").unwrap(), "贵州茅台");
        assert_eq!((&*made.venue, &*made.product, &*made.symbol), ("sse", "", "600519"));
        assert_eq!((&*made.name, &*made.base, &*made.quote), ("600519.SH", "600519", "CNY"));
        assert_eq!(&*made.title, "贵州茅台");
        assert_eq!((made.px_scale, made.qty_scale, made.provisional), (2, 0, false));
        assert_eq!((made.tick, made.lot), (Some(Decimal::new(1, 2)), Some(Decimal::new(100, 0))));
        let of = |text: &str| instrument(Code::parse(text).unwrap(), "");
        assert_eq!((&*of("900901").quote, of("900901").px_scale), ("USD", 3));
        assert_eq!((&*of("200002").quote, of("200002").px_scale), ("HKD", 2));
        assert_eq!((of("113052").px_scale, of("113052").tick), (4, Some(Decimal::new(1, 3))));
        assert_eq!(
            (of("688981").lot, of("920118").lot),
            (Some(Decimal::new(1, 0)), Some(Decimal::new(1, 0)))
        );
        assert_eq!((of("SH000001").kind, of("SZ000001").kind), (InstrumentKind::Index, InstrumentKind::Spot));
        assert_eq!(of("SH000001").lot, None);
    }
}
