//! How far a price may move in a day.

use super::board::{Board, Section};
use super::code::Market;
use crate::date::Date;
use crate::num::Px;

/// Whether a name marks a share as under special treatment (`ST`, `*ST` and their forms). The marks of the day (`N`, `C`,
/// `XD`, `XR`, `DR`) may stand before it. A listing that says so itself is better evidence.
pub fn is_st(name: &str) -> bool {
    let name = name.trim_start();
    let name = ["XD", "XR", "DR", "N", "C"].iter().find_map(|mark| name.strip_prefix(mark)).unwrap_or(name);
    ["ST", "*ST", "SST", "S*ST"].iter().any(|mark| name.starts_with(mark))
}

/// The lowest and the highest price allowed on `date`, as mantissas at the scale of `prev_close`.
///
/// `prev_close` is the exchange's reference price (adjusted on ex-dates; on the day of listing the issue price), `tick`
/// the step of price at the same scale ([`Section::tick`]), `listed_days` how many trading days lie between the day of
/// listing and `date` (0 on that day), `None` where that is long ago. `None` is returned where the board has no limit on
/// that day. The first day of a delisting period has none either; the caller knows of it from the listing.
///
/// A limit is `prev_close` times one plus or minus the rate, rounded half up to the tick, and at least one tick away from
/// `prev_close` (Shenzhen 2011, Shanghai 2023-04-10).
pub fn limits(
    section: Section,
    st: bool,
    date: Date,
    prev_close: Px,
    tick: i64,
    listed_days: Option<u32>,
) -> Option<(Px, Px)> {
    let rate = rate(section, st, date, listed_days)?;
    if prev_close.0 <= 0 || tick <= 0 {
        return None;
    }
    let at = |permille: i64| {
        let unit = tick.checked_mul(1000)?;
        let exact = prev_close.0.checked_mul(1000 + permille)?;
        exact.checked_add(unit / 2)?.div_euclid(unit).checked_mul(tick)
    };
    let (down, up) = (at(-rate.down)?, at(rate.up)?);
    if section.market == Market::Sh && date.number() < 2023_04_10 {
        return Some((Px(down), Px(up)));
    }
    let one_down = prev_close.0 - tick;
    let down = if one_down > 0 { down.min(one_down) } else { down };
    Some((Px(down.max(tick)), Px(up.max(prev_close.0.checked_add(tick)?))))
}

/// In thousandths of the reference price.
struct Rate {
    down: i64,
    up: i64,
}

/// The rate in force, or `None` on a day without limits. The dates are those of the rules of the exchanges.
fn rate(section: Section, st: bool, date: Date, listed_days: Option<u32>) -> Option<Rate> {
    let both = |permille| Some(Rate { down: permille, up: permille });
    let day = date.number();
    let listed = |days: u32| listed_days.is_some_and(|n| n < days);
    // The registration regime: no limits on the first five days.
    let registered = match section.board {
        Board::Main => day >= 2023_04_10,
        Board::ChiNext => day >= 2020_08_24,
        Board::Star => day >= 2019_07_22,
        _ => false,
    };
    if registered && listed(5) || section.board == Board::Beijing && listed(1) {
        return None;
    }
    if matches!(section.board, Board::Main | Board::ChiNext) && listed(1) {
        return (day >= 2014_01_01).then_some(Rate { down: 360, up: 440 });
    }
    if day < 1996_12_16 {
        return None;
    }
    match section.board {
        Board::ChiNext if day >= 2020_08_24 => both(200),
        Board::Main | Board::B | Board::ChiNext => both(if st && day < 2026_07_06 { 50 } else { 100 }),
        Board::Beijing => (day >= 2021_11_15).then_some(Rate { down: 300, up: 300 }),
        Board::GrowthFund => {
            let since = if section.market == Market::Sh { 2020_08_21 } else { 2020_08_24 };
            both(if day >= since { 200 } else { 100 })
        }
        Board::Fund => both(100),
        Board::Reit => both(if listed(1) { 300 } else { 100 }),
        Board::Convertible if day < 2022_08_01 => None,
        Board::Convertible if listed(1) => Some(Rate { down: 433, up: 573 }),
        Board::Star | Board::Convertible => both(200),
        Board::Bond | Board::Repo | Board::Index | Board::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn of(code: &str, st: bool, date: &str, prev: i64, days: Option<u32>) -> Option<(i64, i64)> {
        let code = Code::parse(code).unwrap();
        let tick = code.section().tick().and_then(|tick| tick.mantissa_at(code.px_scale())).unwrap_or(1);
        limits(code.section(), st, Date::parse(date).unwrap(), Px(prev), tick, days).map(|(d, u)| (d.0, u.0))
    }

    #[test]
    fn real_limits_are_met_to_the_cent() {
        // 600000 on 2026-04-10 and 600580 on 2026-09-18, as vendors showed them.
        assert_eq!(of("600000", false, "2026-04-10", 993, None), Some((894, 1092)));
        assert_eq!(of("600580", false, "2026-09-18", 2709, None), Some((2438, 2980)));
        // 001225 reached 67.41 on its day of listing.
        assert_eq!(of("001225", false, "2023-02-23", 4681, Some(0)), Some((2996, 6741)));
        // Exactly half a cent goes up on both sides.
        assert_eq!(of("600000", false, "2026-04-10", 995, None), Some((896, 1095)));
        // A convertible bond keeps to ticks of 0.001 at four digits.
        assert_eq!(of("113052", false, "2026-04-10", 1_234_560, None), Some((987_650, 1_481_470)));
    }

    #[test]
    fn rates_change_on_the_days_that_the_rules_name() {
        for (code, st, date, expected) in [
            ("600519", false, "1996-12-13", None),
            ("600519", false, "1996-12-16", Some((9_000, 11_000))),
            ("600519", true, "2026-07-03", Some((9_500, 10_500))),
            ("600519", true, "2026-07-06", Some((9_000, 11_000))),
            ("900901", true, "2026-07-03", Some((9_500, 10_500))),
            ("300750", false, "2020-08-21", Some((9_000, 11_000))),
            ("300750", true, "2020-08-21", Some((9_500, 10_500))),
            ("300750", true, "2020-08-24", Some((8_000, 12_000))),
            ("688981", true, "2021-01-04", Some((8_000, 12_000))),
            ("920118", true, "2026-01-05", Some((7_000, 13_000))),
            ("832000", false, "2021-11-12", None),
            ("588000", false, "2021-01-04", Some((8_000, 12_000))),
            ("510300", false, "2021-01-04", Some((9_000, 11_000))),
            ("113052", false, "2022-07-29", None),
            ("SH000001", false, "2026-01-05", None),
            ("204001", false, "2026-01-05", None),
        ] {
            assert_eq!(of(code, st, date, 10_000, None), expected, "{code} {date}");
        }
    }

    #[test]
    fn new_listings_have_no_limits_for_as_long_as_the_rules_say() {
        for (code, date, days, expected) in [
            ("600519", "2023-04-07", 0, Some((6_400, 14_400))),
            ("600519", "2023-04-07", 1, Some((9_000, 11_000))),
            ("600519", "2023-04-10", 4, None),
            ("600519", "2023-04-17", 5, Some((9_000, 11_000))),
            ("300750", "2020-08-24", 4, None),
            ("688981", "2020-07-16", 4, None),
            ("688981", "2020-07-23", 5, Some((8_000, 12_000))),
            ("920118", "2025-01-02", 0, None),
            ("920118", "2025-01-03", 1, Some((7_000, 13_000))),
            ("508000", "2024-01-02", 0, Some((7_000, 13_000))),
        ] {
            assert_eq!(of(code, false, date, 10_000, Some(days)), expected, "{code} {date} {days}");
        }
        assert_eq!(of("113052", false, "2024-01-02", 1_000_000, Some(0)), Some((567_000, 1_573_000)));
    }

    #[test]
    fn limits_stand_on_the_tick_grid_and_a_tick_away_at_least() {
        for code in ["600519", "688981", "920118", "510300", "113052", "900901"] {
            let code = Code::parse(code).unwrap();
            let tick = code.section().tick().and_then(|tick| tick.mantissa_at(code.px_scale())).unwrap();
            let date = Date::parse("2026-11-20").unwrap();
            for prev in (1..30_000).map(|n| n * tick) {
                for st in [false, true] {
                    let (down, up) = limits(code.section(), st, date, Px(prev), tick, None).unwrap();
                    assert!(down.0 % tick == 0 && up.0 % tick == 0, "{code} {prev}");
                    assert!(0 < down.0 && down.0 <= prev && prev < up.0, "{code} {prev}");
                    assert!(down.0 < prev || prev == tick, "{code} {prev}");
                }
            }
        }
        assert_eq!(of("600519", false, "2026-11-20", 3, None), Some((2, 4)));
        assert_eq!(of("600519", false, "2023-04-07", 3, None), Some((3, 3)));
        assert_eq!(of("600519", false, "2026-11-20", 0, None), None);
        assert_eq!(of("600519", false, "2026-11-20", i64::MAX, None), None);
    }

    #[test]
    fn special_treatment_is_read_from_the_name() {
        for name in ["ST国华", "*ST海航", "SST前锋", "S*ST昌鱼", "XDST红太", "N*ST新亿"] {
            assert!(is_st(name), "{name}");
        }
        for name in ["贵州茅台", "N茅台", "XD中国平", "C华虹", "TCL科技", ""] {
            assert!(!is_st(name), "{name}");
        }
    }
}
