//! Records as the venue writes them.

use crate::layout::{LEVELS, Layout, Price, Slot, Unit};
use model::ashare::{Code, Market};
use model::{Level, Px, Qty, Scale};
use source::ashare::{Listed, View};
use std::fmt::Write;

/// One record: JSON for Beijing, else fields between `$`.
pub fn record(one: &Listed, title: &str, view: &View, layout: &Layout, tail: &str) -> Vec<u8> {
    let of = Of { one, view, scale: one.instrument.px_scale };
    if one.code.market == Market::Bj {
        return of.json(layout.beijing).into_bytes();
    }
    let mut text = String::with_capacity(256);
    for (n, slot) in layout.slots.iter().enumerate() {
        if n > 0 {
            text.push('$');
        }
        of.field(*slot, title, &mut text);
    }
    text.push_str(tail);
    text.into_bytes()
}

struct Of<'a> {
    one: &'a Listed,
    view: &'a View,
    scale: Scale,
}

impl Of<'_> {
    fn field(&self, slot: Slot, title: &str, out: &mut String) {
        let Self { one, view, .. } = self;
        let level = |side: &[Level], n: usize| side.get(n).copied();
        // A text in memory takes whatever is written.
        _ = match slot {
            Slot::Code => write!(out, "{}", spelled(one.code)),
            Slot::Name => write!(out, "{title}"),
            Slot::Time => write!(out, "{}", view.ts.as_ms() / 1_000),
            Slot::Price(price) => write!(out, "{}", self.px(self.price(price))),
            Slot::Volume(unit) => write!(out, "{}", self.qty(view.volume, unit)),
            Slot::Amount => write!(out, "{}", fixed(view.amount, self.scale)),
            Slot::AskPx(n) => write!(out, "{}", self.px(level(&view.asks, n).map(|l| l.px))),
            Slot::BidPx(n) => write!(out, "{}", self.px(level(&view.bids, n).map(|l| l.px))),
            Slot::AskQty(n, unit) => write!(out, "{}", self.waiting(level(&view.asks, n), unit)),
            Slot::BidQty(n, unit) => write!(out, "{}", self.waiting(level(&view.bids, n), unit)),
            Slot::TurnoverPct if one.is_index() => Ok(()),
            Slot::TurnoverPct => {
                write!(out, "{}", fixed(per_myriad(view.volume, one.float_shares), 2))
            }
            Slot::ChangePct => {
                let change =
                    view.last.map_or(0, |last| per_myriad(last.0 - view.prev_close.0, view.prev_close.0));
                write!(out, "{}", fixed(change, 2))
            }
            Slot::Skip => write!(out, "0"),
        };
    }

    fn json(&self, unit: Unit) -> String {
        let Self { one, view, .. } = self;
        let px = |price| self.px(self.price(price));
        let list = |texts: Vec<String>| texts.join(",");
        let pxs = |side: &[Level]| list(side.iter().take(LEVELS).map(|l| self.px(Some(l.px))).collect());
        let qtys = |side: &[Level]| {
            list(side.iter().take(LEVELS).map(|l| self.qty(l.qty.0, unit).to_string()).collect())
        };
        format!(
            "{{\"stock_code\":\"{}\",\"time\":{},\"lastPrice\":{},\"open\":{},\"high\":{},\"low\":{},\"lastClose\":{},\
             \"amount\":{},\"volume\":{},\"pvolume\":{},\"stockStatus\":{},\"openInt\":13,\"askPrice\":[{}],\
             \"bidPrice\":[{}],\"askVol\":[{}],\"bidVol\":[{}]}}",
            one.code,
            view.ts.as_ms(),
            px(Price::Last),
            px(Price::Open),
            px(Price::High),
            px(Price::Low),
            px(Price::PrevClose),
            fixed(view.amount, self.scale),
            self.qty(view.volume, unit),
            view.volume,
            if view.halted { 1 } else { 5 },
            pxs(&view.asks),
            pxs(&view.bids),
            qtys(&view.asks),
            qtys(&view.bids),
        )
    }

    fn price(&self, price: Price) -> Option<Px> {
        let Self { view, .. } = self;
        match price {
            Price::Open => view.open,
            Price::High => view.high,
            Price::Low => view.low,
            Price::Last => view.last,
            Price::PrevClose => Some(view.prev_close),
            Price::LimitUp => view.limits.map(|(_, up)| up),
            Price::LimitDown => view.limits.map(|(down, _)| down),
        }
    }

    /// 0.00 where there is none.
    fn px(&self, px: Option<Px>) -> String {
        fixed(px.map_or(0, |px| px.0), self.scale)
    }

    fn waiting(&self, level: Option<Level>, unit: Unit) -> i64 {
        self.qty(level.map_or(0, |Level { qty: Qty(qty), .. }| qty), unit)
    }

    fn qty(&self, shares: i64, unit: Unit) -> i64 {
        match unit {
            Unit::Lots => shares / i64::from(self.one.section.board.lot()),
            Unit::Shares => shares,
        }
    }
}

/// With all digits after the point.
fn fixed(mantissa: i64, scale: Scale) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let unit = 10_u64.pow(u32::from(scale));
    let (whole, part) = (mantissa.unsigned_abs() / unit, mantissa.unsigned_abs() % unit);
    format!("{sign}{whole}.{part:0width$}", width = usize::from(scale))
}

/// As the feed spells codes: `SH600519`.
fn spelled(code: Code) -> String {
    format!("{}{}", code.market.letters(), code.digits())
}

/// Hundredths of a percent, rounded half away from zero.
fn per_myriad(part: i64, whole: i64) -> i64 {
    let whole = i128::from(whole.max(1));
    let twice = i128::from(part) * 20_000;
    i64::try_from((twice + whole * i128::from(part.signum())) / (2 * whole)).unwrap_or_default()
}
