//! What a source can show of one listed thing at an instant.

use super::day::{Auction, BEGIN_MS, CLEARED_MS, Day, Frame, Print};
use super::luck::Luck;
use model::ashare::{Phase, instant};
use model::{Date, Level, Px, Qty, Side, Ts};

/// How many levels a side has at most.
pub const LEVELS: usize = 10;

/// The state of one listed thing at a market time. Prices are mantissas at the scale of its definition, quantities single
/// shares (of a bond, bonds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The end of the last slot: when the exchange made this snapshot. It stands at 09:00 until 09:15, and at 15:30 for the rest.
    pub ts: Ts,
    /// The trading date.
    pub date: Date,
    /// The phase at [`View::ts`].
    pub phase: Phase,
    /// Whether it is suspended today: no trades, no orders.
    pub halted: bool,
    /// The exchange's reference price.
    pub prev_close: Px,
    /// Lowest and highest price allowed; `None` on days without limits.
    pub limits: Option<(Px, Px)>,
    /// First price; as the three below `None` before the first trade.
    pub open: Option<Px>,
    /// Highest price.
    pub high: Option<Px>,
    /// Lowest price.
    pub low: Option<Px>,
    /// Last price; from 15:00:00 on the close.
    pub last: Option<Px>,
    /// Shares traded today, without those after hours.
    pub volume: i64,
    /// Money traded today, exact, as a mantissa at the scale of prices, without that after hours.
    pub amount: i64,
    /// Trades of today, without those after hours.
    pub trades: u64,
    /// Shares of trades that buyers began (外盘); with [`View::sold`] it makes up the volume.
    pub bought: i64,
    /// Shares of trades that sellers began (内盘).
    pub sold: i64,
    /// The last print, of after-hours trading too.
    pub last_print: Option<Print>,
    /// Shares and money (as above) traded after hours, at the close.
    pub after_hours: (i64, i64),
    /// The call auction that goes on. Both sides show its price then, with the shares that would be traded.
    pub auction: Option<Auction>,
    /// Orders to buy, best first, at most [`LEVELS`]. Empty at the lower limit, while suspended, for an index.
    pub bids: Vec<Level>,
    /// Orders to sell, best first, at most [`LEVELS`]. Empty at the upper limit, while suspended, for an index.
    pub asks: Vec<Level>,
}

/// What is to be seen of a day at the end of its last slot.
pub(super) fn view(frame: &Frame<'_>, day: &Day, begun: bool) -> View {
    let (one, plan) = (frame.one, frame.plan);
    let px = |ticks: i64| Px(ticks * one.tick);
    let phase = if begun { one.section.phase(plan.date, day.at) } else { Phase::Closed };
    let auction = day.auction(frame).filter(|_| begun);
    let (bids, asks) = match auction {
        Some(auction) => {
            let side = vec![Level { px: auction.px, qty: Qty(auction.matched) }];
            (side.clone(), side)
        }
        None if begun => ladder(frame, day),
        None => (Vec::new(), Vec::new()),
    };
    View {
        ts: instant(plan.date, if begun { day.at } else { CLEARED_MS }),
        date: plan.date,
        phase,
        halted: plan.halted,
        prev_close: px(plan.prev),
        limits: plan.limits.map(|(down, up)| (px(down), px(up))),
        open: day.prices.map(|prices| px(prices.0)),
        high: day.prices.map(|prices| px(prices.1)),
        low: day.prices.map(|prices| px(prices.2)),
        last: day.prices.map(|prices| px(prices.3)),
        volume: day.volume,
        amount: day.amount,
        trades: day.trades,
        bought: day.bought,
        sold: day.sold,
        last_print: day.last,
        after_hours: day.after_hours,
        auction,
        bids,
        asks,
    }
}

/// The orders around the price.
fn ladder(frame: &Frame<'_>, day: &Day) -> (Vec<Level>, Vec<Level>) {
    let (one, plan) = (frame.one, frame.plan);
    if plan.halted || one.is_index() {
        return (Vec::new(), Vec::new());
    }
    let mut luck =
        Luck::of([frame.seed ^ stirred(frame, day.at).unsigned_abs(), 8, one.key(), plan.day as u64]);
    let unit = (plan.prev / 1_500).max(1);
    let (down, up) = plan.limits.unwrap_or((1, i64::MAX));
    let spread = 1 + if unit > 1 { luck.below(unit) } else { 0 };
    if day.px == up {
        return (side(frame, &mut luck, up, -unit, true), Vec::new());
    }
    if plan.limits.is_some() && day.px == down {
        return (Vec::new(), side(frame, &mut luck, down, unit, true));
    }
    // The price is one at which somebody took what others had offered.
    let taken = day.last.and_then(|print| print.aggressor);
    let (bid, ask) = if taken.map_or(luck.permille(500), |by| by == Side::Ask) {
        (day.px, (day.px + spread).min(up))
    } else {
        ((day.px - spread).max(down), day.px)
    };
    (side(frame, &mut luck, bid, -unit, false), side(frame, &mut luck, ask, unit, false))
}

/// When the orders were last changed: they rest while nothing trades.
fn stirred(frame: &Frame<'_>, at: i64) -> i64 {
    match frame.one.section.phase(frame.plan.date, at) {
        Phase::Continuous => at,
        Phase::Opened => BEGIN_MS,
        Phase::Lunch => BEGIN_MS + 1,
        _ => BEGIN_MS + 2,
    }
}

fn side(frame: &Frame<'_>, luck: &mut Luck, best: i64, away: i64, sealed: bool) -> Vec<Level> {
    let (one, plan) = (frame.one, frame.plan);
    let (down, up) = plan.limits.unwrap_or((1, i64::MAX));
    let lots = (plan.volume / 3_000 / one.order_min()).max(2);
    let mut levels = Vec::with_capacity(LEVELS);
    let mut px = best;
    while levels.len() < LEVELS && (down.max(1)..=up).contains(&px) {
        // At a limit everyone waits at one price.
        let crowd = if sealed && levels.is_empty() { 50 } else { 1 };
        let qty = (1 + luck.below(lots * 2)) * crowd * one.order_min();
        levels.push(Level { px: Px(px * one.tick), qty: Qty(qty) });
        px += away.signum() * (1 + luck.below(away.abs()));
    }
    levels
}
