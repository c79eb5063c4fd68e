//! One day of one listed thing, moved slot by slot.

use super::listing::Listed;
use super::luck::Luck;
use super::plan::Plan;
use model::ashare::{Phase, instant};
use model::{Px, Side, Ts};

/// How often the exchanges send a snapshot, and so the step of the market, in ms.
pub const SLOT_MS: i64 = 3_000;
/// The step of days before the market's first.
const PAST_SLOT_MS: i64 = 60_000;

const fn at(hour: i64, minute: i64) -> i64 {
    (hour * 60 + minute) * 60_000
}

/// When sources have cleared the day before and show nothing but the reference price.
pub(super) const CLEARED_MS: i64 = at(9, 0);
/// When the day's first slot begins.
pub(super) const BEGIN_MS: i64 = at(9, 15);
const OPEN_MATCH_MS: i64 = at(9, 25);
const MORNING_MS: (i64, i64) = (at(9, 30), at(11, 30));
const AFTERNOON_MS: i64 = at(13, 0);
const CALL_MS: i64 = at(14, 57);
const CLOSE_MS: i64 = at(15, 0);
const AFTER_HOURS_MS: i64 = at(15, 5);
/// When the day's last slot ends.
pub(super) const END_MS: i64 = at(15, 30);
/// Continuous trading of a day with a closing call.
const CONTINUOUS_MS: i64 = 237 * 60_000;

/// How a print came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The opening call, at 09:25:00.
    Opening,
    /// Orders met as they came.
    Continuous,
    /// The closing call, at 15:00:00, or the last trade of the day where there is no call.
    Closing,
    /// After hours, at the closing price.
    AfterHours,
}

/// What was traded in one slot: vendors send no finer trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// The end of the slot.
    pub ts: Ts,
    /// The price.
    pub px: Px,
    /// Shares; of a bond, bonds.
    pub qty: i64,
    /// Money, as a mantissa at the scale of prices: price × shares, but for an index, whose shares are its members'.
    pub amount: i64,
    /// How many trades of the exchange it sums up.
    pub trades: u32,
    /// Who began them; `None` where a call auction or the closing price decided.
    pub aggressor: Option<Side>,
    /// How it came about.
    pub kind: Kind,
}

/// What a call auction would do if it ended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auction {
    /// The price at which orders would meet.
    pub px: Px,
    /// Shares that would be traded.
    pub matched: i64,
    /// Shares that would be left at that price: positive to buy, negative to sell.
    pub unmatched: i64,
}

/// The sums of a day so far. Prices are in ticks.
#[derive(Clone, Debug)]
pub(super) struct Day {
    luck: Luck,
    /// When continuous trading ends: with a closing call at 14:57, else at 15:00.
    continuous_end: i64,
    /// Whether there is trading after hours.
    late: bool,
    /// How high the day's wave is, in ticks, and when it is highest, in thousandths of the day.
    wave: (i64, i64),
    /// The end of the last slot that was made, in ms after midnight.
    pub at: i64,
    /// Where the price stands: the last, or what it will open with.
    pub px: i64,
    /// Open, high, low, last; `None` before the first trade.
    pub prices: Option<(i64, i64, i64, i64)>,
    pub volume: i64,
    pub amount: i64,
    pub trades: u64,
    pub bought: i64,
    pub sold: i64,
    pub last: Option<Print>,
    pub after_hours: (i64, i64),
}

/// A day with what decides it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub seed: u64,
    pub one: &'a Listed,
    pub plan: &'a Plan,
    /// Whether the day is before the market's first: then it is made by the minute.
    pub past: bool,
}

impl Frame<'_> {
    pub(super) fn slot_ms(&self) -> i64 {
        if self.past { PAST_SLOT_MS } else { SLOT_MS }
    }
}

impl Day {
    pub(super) fn new(frame: &Frame<'_>) -> Self {
        let Frame { one, plan, .. } = *frame;
        let mut luck = Luck::of([frame.seed, 5, one.key(), plan.day as u64]);
        // A share that will stay at a limit goes straight there.
        let height =
            if plan.sealed_at.is_some() { 0 } else { luck.around(if one.is_index() { 60 } else { 200 }) };
        let phase = |ms: i64| one.section.phase(plan.date, ms);
        Self {
            continuous_end: if phase(CALL_MS) == Phase::ClosingCall { CALL_MS } else { CLOSE_MS },
            late: phase(AFTER_HOURS_MS) == Phase::AfterHours,
            wave: (plan.prev * height / 10_000, 200 + luck.below(600)),
            luck,
            at: BEGIN_MS,
            px: plan.open,
            prices: None,
            volume: 0,
            amount: 0,
            trades: 0,
            bought: 0,
            sold: 0,
            last: None,
            after_hours: (0, 0),
        }
    }

    /// Makes all slots that have ended by `until`, in ms after midnight, and tells each print.
    pub(super) fn run(&mut self, frame: &Frame<'_>, until: i64, mut tell: impl FnMut(&Print)) {
        let step = frame.slot_ms();
        while self.at + step <= until.min(END_MS) {
            self.at += step;
            if frame.plan.halted {
                continue;
            }
            if let Some(print) = self.slot(frame, step) {
                self.book(&print, frame);
                tell(&print);
            }
        }
    }

    fn slot(&mut self, frame: &Frame<'_>, step: i64) -> Option<Print> {
        let (at, volume) = (self.at, frame.plan.volume);
        let continuous =
            MORNING_MS.0 < at && at <= MORNING_MS.1 || AFTERNOON_MS < at && at <= self.continuous_end;
        if at == OPEN_MATCH_MS {
            self.px = frame.plan.open;
            let qty = self.whole(frame.one, volume / 80);
            Some(self.print(frame, qty, None, Kind::Opening))
        } else if at == CLOSE_MS {
            self.px = frame.plan.close;
            let qty = self.whole(frame.one, volume / 60);
            Some(self.print(frame, qty, None, Kind::Closing))
        } else if continuous {
            self.trade(frame, step)
        } else if self.late && at > AFTER_HOURS_MS && at % 30_000 == 0 && self.luck.permille(200) {
            let qty = self.whole(frame.one, volume / 20_000);
            Some(self.print(frame, qty, None, Kind::AfterHours))
        } else {
            None
        }
    }

    /// A slot of continuous trading, in which the price looks for its way to the close.
    fn trade(&mut self, frame: &Frame<'_>, step: i64) -> Option<Print> {
        let Frame { one, plan, .. } = *frame;
        let progress = progress(self.at);
        let sealed = plan.sealed_at.is_some_and(|at| progress >= at);
        // How lively it is: large floats trade in every slot, small ones in a few.
        let lively = if one.is_index() { 1000 } else { (150 + one.float_shares / 2_000_000).clamp(150, 950) };
        let chance = (lively * step / SLOT_MS).min(980) / if sealed { 3 } else { 1 };
        if !one.is_index() && !self.luck.permille(chance) {
            return None;
        }
        let before = self.px;
        let unit = (plan.prev / 2_000).max(1) * if step > SLOT_MS { 3 } else { 1 };
        let target = target(plan, self.wave, progress);
        let pull = (target - before).signum() * if self.luck.permille(150) { unit } else { 0 };
        let noise = if self.luck.permille(300) { self.luck.around(unit) } else { 0 };
        let (down, up) = plan.limits.unwrap_or((1, i64::MAX));
        self.px = if sealed {
            plan.close
        } else {
            (before + (target - before) / 8 + pull + noise).clamp(down, up).max(1)
        };
        let slots = CONTINUOUS_MS / step * chance.max(1) / 1000;
        let drawn = self.luck.below(100);
        let early = if progress < 120 { 2 } else { 1 };
        let qty = self.whole(one, plan.volume / slots.max(1) * drawn * drawn * early / 3_300);
        let side = match (self.px - before).signum() {
            _ if plan.limits.is_some_and(|(_, up)| self.px == up) => Side::Ask,
            _ if plan.limits.is_some_and(|(down, _)| self.px == down) => Side::Bid,
            1 => Side::Bid,
            -1 => Side::Ask,
            _ if self.luck.permille(500) => Side::Bid,
            _ => Side::Ask,
        };
        Some(self.print(frame, qty, Some(side), Kind::Continuous))
    }

    /// A quantity that may trade, near `qty`: whole lots, but for the boards that count single shares, and the odd rests
    /// that holders sell.
    fn whole(&mut self, one: &Listed, qty: i64) -> i64 {
        let step = i64::from(one.section.board.step().unwrap_or(100));
        let rest = if one.is_share() && self.luck.permille(10) { self.luck.below(99) } else { 0 };
        (qty / step * step).max(one.order_min()) + rest
    }

    fn print(&mut self, frame: &Frame<'_>, qty: i64, aggressor: Option<Side>, kind: Kind) -> Print {
        let px = self.px * frame.one.tick;
        // A share of an index's members costs 12.34 on average.
        let amount = qty * if frame.one.is_index() { 1_234 } else { px };
        let most = 60 * frame.slot_ms() / SLOT_MS;
        let trades = 1 + self.luck.below((qty / frame.one.order_min()).clamp(1, most));
        let ts = instant(frame.plan.date, self.at);
        Print { ts, px: Px(px), qty, amount, trades: u32::try_from(trades).unwrap_or(1), aggressor, kind }
    }

    fn book(&mut self, print: &Print, frame: &Frame<'_>) {
        self.last = Some(*print);
        if print.kind == Kind::AfterHours {
            self.after_hours.0 += print.qty;
            self.after_hours.1 += print.amount;
            return;
        }
        let px = self.px;
        let (open, high, low, _) = self.prices.unwrap_or((px, px, px, px));
        self.prices = Some((open, high.max(px), low.min(px), px));
        self.volume += print.qty;
        self.amount += print.amount;
        self.trades += u64::from(print.trades);
        // What a call auction traded counts as bought where the price rose.
        let bought = print.aggressor.map_or(px >= frame.plan.prev, |side| side == Side::Bid);
        *if bought { &mut self.bought } else { &mut self.sold } += print.qty;
    }

    /// The state of the call auction that goes on at the last slot's end; `None` outside.
    pub(super) fn auction(&self, frame: &Frame<'_>) -> Option<Auction> {
        let Frame { one, plan, .. } = *frame;
        if plan.halted || one.is_index() || !one.section.phase(plan.date, self.at).is_call() {
            return None;
        }
        let opening = self.at < OPEN_MATCH_MS;
        let (from, to) = if opening { (BEGIN_MS, OPEN_MATCH_MS) } else { (CALL_MS, CLOSE_MS) };
        let (start, end, share) =
            if opening { (plan.prev, plan.open, 80) } else { (self.px, plan.close, 60) };
        let mut luck = Luck::of([frame.seed ^ self.at.unsigned_abs(), 6, one.key(), plan.day as u64]);
        let done = (self.at - from) * 1000 / (to - from);
        let noise = (plan.prev * (1000 - done) / 200_000).max(1);
        let (down, up) = plan.limits.unwrap_or((1, i64::MAX));
        let px = (start + (end - start) * done / 1000 + luck.around(noise)).clamp(down, up).max(1);
        let lot = i64::from(one.section.board.lot());
        let volume = plan.volume / share;
        let matched = (volume * (100 + done * 9 / 10) / 1000 / lot).max(1) * lot;
        let unmatched = luck.around(volume / lot / 4) * lot;
        Some(Auction { px: Px(px * one.tick), matched, unmatched })
    }
}

/// How much of continuous trading is over, in thousandths.
fn progress(at: i64) -> i64 {
    let morning = (at.min(MORNING_MS.1) - MORNING_MS.0).max(0);
    let afternoon = (at - AFTERNOON_MS).max(0);
    ((morning + afternoon) * 1000 / CONTINUOUS_MS).min(1000)
}

/// Where the price is drawn to: a line from open to close with a wave on it.
fn target(plan: &Plan, (height, top): (i64, i64), progress: i64) -> i64 {
    let reached = plan.sealed_at.unwrap_or(1000);
    let line = plan.open + (plan.close - plan.open) * progress.min(reached) / reached.max(1);
    let rise = if progress < top { progress * 1000 / top } else { (1000 - progress) * 1000 / (1000 - top) };
    line + height * rise / 1000
}
