//! Prices across days on which a share pays out, is given away or offered: made comparable as a view, never stored.

use crate::num::Decimal;
use crate::states::{Bar, CorporateAction};
use crate::time::Ts;

/// Which prices stand as they were traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjust {
    /// The latest: earlier ones are brought down to them (前复权).
    Forward,
    /// The earliest: later ones are brought up to them (后复权).
    Backward,
}

/// Digits after the point that are kept between steps, and in results.
const SCALE: u8 = 8;
const ONE: i128 = 100_000_000;

/// What one ex-date does to a price: it is lessened by `less`, then divided by `by`, both at [`SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: Ts,
    less: i128,
    by: i128,
}

impl Step {
    /// `None` of an action that changes no price.
    fn of(action: &CorporateAction) -> Option<Self> {
        let number = |n: Option<Decimal>| n.and_then(|n| n.mantissa_at(SCALE)).map_or(0, i128::from);
        let offered = number(action.rights);
        let less = number(action.cash) - round(offered * number(action.rights_px), ONE);
        let step = Self { at: action.at, less, by: ONE + number(action.bonus) + offered };
        (step.less != 0 || step.by != ONE).then_some(step)
    }
}

/// Adjusts prices and volumes of one share by its corporate actions.
///
/// On an ex-date the exchange's reference price is (close − cash + offered × offer price) ÷ (1 + given + offered), all for
/// one share (trading rules of the exchanges, ex-rights and ex-dividend). Each step is rounded half up to 8 digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjuster {
    steps: Vec<Step>,
}

impl Adjuster {
    /// From the actions of a share in any order; those that change no price count for nothing.
    pub fn new<'a>(actions: impl IntoIterator<Item = &'a CorporateAction>) -> Self {
        let mut steps: Vec<Step> = actions.into_iter().filter_map(Step::of).collect();
        steps.sort_by_key(|step| step.at);
        Self { steps }
    }

    /// Whether an action changes prices.
    pub fn moves(&self, action: &CorporateAction) -> bool {
        Step::of(action).is_some_and(|step| self.steps.contains(&step))
    }

    /// A price of the time `at`.
    pub fn px(&self, px: Decimal, at: Ts, how: Adjust) -> Option<Decimal> {
        let mut px = i128::from(px.mantissa_at(SCALE)?);
        match how {
            Adjust::Forward => {
                for step in self.steps.iter().filter(|step| step.at > at) {
                    px = round((px - step.less).checked_mul(ONE)?, step.by);
                }
            }
            Adjust::Backward => {
                for step in self.steps.iter().rev().filter(|step| step.at <= at) {
                    px = round(px.checked_mul(step.by)?, ONE) + step.less;
                }
            }
        }
        Some(Decimal::new(px, SCALE))
    }

    /// A number of shares of the time `at`.
    pub fn volume(&self, volume: Decimal, at: Ts, how: Adjust) -> Option<Decimal> {
        let mut volume = i128::from(volume.mantissa_at(SCALE)?);
        for step in &self.steps {
            match how {
                Adjust::Forward if step.at > at => volume = round(volume.checked_mul(step.by)?, ONE),
                Adjust::Backward if step.at <= at => volume = round(volume.checked_mul(ONE)?, step.by),
                _ => {}
            }
        }
        Some(Decimal::new(volume, SCALE))
    }

    /// A bar; its turnover is money that was paid and stays. `None` where a number does not fit.
    pub fn bar(&self, bar: &Bar, how: Adjust) -> Option<Bar> {
        let px = |px: Decimal| self.px(px, bar.start, how);
        Some(Bar {
            open: px(bar.open)?,
            high: px(bar.high)?,
            low: px(bar.low)?,
            close: px(bar.close)?,
            volume: self.volume(bar.volume, bar.start, how)?,
            ..bar.clone()
        })
    }
}

/// Half up; `by` is positive.
fn round(number: i128, by: i128) -> i128 {
    (number + by / 2).div_euclid(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn action(at: i64, cash: &str, bonus: &str, rights: &str, rights_px: &str) -> CorporateAction {
        let some = |text: &str| (!text.is_empty()).then(|| number(text));
        CorporateAction {
            what: "ex_rights".into(),
            at: Ts(at),
            cash: some(cash),
            bonus: some(bonus),
            rights: some(rights),
            rights_px: some(rights_px),
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_dividend_a_gift_and_an_offer_give_the_exchanges_reference_price() {
        // 10 shares: 5 in cash, 3 given, 2 offered at 4: (10 - 0.5 + 0.2 × 4) ÷ 1.5 = 6.8666…
        let adjuster = Adjuster::new(&[action(10, "0.5", "0.3", "0.2", "4")]);
        let forward = |at| adjuster.px(number("10"), Ts(at), Adjust::Forward).unwrap().to_string();
        assert_eq!(forward(9), "6.86666667");
        assert_eq!(forward(10), "10");
        let volume = adjuster.volume(number("100"), Ts(9), Adjust::Forward).unwrap();
        assert_eq!(volume.to_string(), "150");
    }

    #[test]
    fn backward_undoes_what_forward_does() {
        let actions =
            [action(30, "0.123", "", "", ""), action(10, "0.5", "0.3", "", ""), action(20, "", "1", "", "")];
        let adjuster = Adjuster::new(&actions);
        for px in ["1.01", "9.99", "1800.5"] {
            let early = adjuster.px(number(px), Ts(5), Adjust::Forward).unwrap();
            let back = adjuster.px(early, Ts(35), Adjust::Backward).unwrap();
            let off = back.mantissa_at(8).unwrap() - number(px).mantissa_at(8).unwrap();
            assert!(off.abs() <= 5, "{px}: {back}");
        }
        assert_eq!(adjuster.px(number("7"), Ts(5), Adjust::Backward), Some(number("7")));
        assert_eq!(adjuster.px(number("7"), Ts(35), Adjust::Forward), Some(number("7")));
    }

    #[test]
    fn a_change_of_share_numbers_alone_moves_no_price() {
        let adjuster = Adjuster::new(&[action(10, "", "", "", "")]);
        assert_eq!(adjuster, Adjuster::default());
    }
}
