//! Checks of the Chinese stock market: what a day's statistics and levels must obey whoever tells them.
//!
//! Nothing is changed or held back. What breaks a rule is told once by a finding, and again only after the rule has held in
//! between; the event that shows it is flagged `suspect`.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::ashare::{self, Board, Code, Phase};
use model::{
    Body, Channel, Date, DayStats, Decimal, Event, Finding, Flags, InstrumentId, Px, Side, Snapshot, Status,
    Ts,
};

/// How strictly the data of shares are checked.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not at all.
    Off,
    /// Only what cannot be explained: prices out of their own range, sums that fall, volumes in a wrong unit.
    Loose,
    /// With the tolerances that rounding and lots explain.
    #[default]
    Normal,
    /// Without tolerance, and with the price limits that follow from the rules where the source gives none.
    Strict,
}

/// How long after a phase a source may still tell of it, in ms.
const GRACE_MS: u64 = 60_000;
/// How far a source's time may step back, in ms: one snapshot.
const BACK_MS: i64 = 3_000;
/// Shares of a lot.
const LOT: i64 = 100;
/// Digits after the point of a turnover.
const MONEY: u8 = 6;
/// The smallest volume by which a unit can be told, in shares.
const UNIT_FROM: i64 = 1_000;

/// What is known of each share.
#[derive(Default)]
pub(crate) struct Shares {
    level: Level,
    shares: HashMap<InstrumentId, Share, FixedState>,
}

#[derive(Default)]
struct Share {
    date: Option<Date>,
    stats: Option<DayStats>,
    time: Option<Ts>,
    /// Whether neither side has a level; `None` before levels came.
    bare: Option<bool>,
    halted: bool,
    /// The rules that are broken now.
    broken: Vec<&'static str>,
}

impl Shares {
    pub fn new(level: Level) -> Self {
        Self { level, ..Self::default() }
    }

    /// Checks an event of a share, flags it, and returns what is told beside it.
    pub fn on(&mut self, event: &mut Event) -> Vec<Event> {
        if self.level == Level::Off {
            return Vec::new();
        }
        let stats = match &event.body {
            Body::DayStats(stats) => Some(stats),
            Body::Snapshot(_) if event.channel == Channel::BookTop => None,
            _ => return Vec::new(),
        };
        let Some(code) = ashare::code(&event.instrument) else { return Vec::new() };
        let at = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
        let share = self.shares.entry(event.instrument.id).or_default();
        let mut check = Check { level: self.level, event, code, at, seen: Vec::new(), flags: Flags::NONE };
        match (stats, &event.body) {
            (Some(stats), _) => check.stats(share, stats),
            (None, Body::Snapshot(snapshot)) => check.levels(share, snapshot),
            _ => {}
        }
        let halt = check.halted(share);
        let (seen, flags) = (check.seen, check.flags);
        let mut told = Vec::new();
        for (rule, what) in seen {
            match what {
                None => share.broken.retain(|broken| *broken != rule),
                Some(what) if !share.broken.contains(&rule) => {
                    share.broken.push(rule);
                    let (check, what) = (rule.into(), what.into());
                    let finding = Finding { check, channel: event.channel, what, samples: Vec::new() };
                    told.push(beside(event, Channel::Findings, Body::Finding(Box::new(finding))));
                }
                Some(_) => {}
            }
        }
        told.extend(halt.map(|status| beside(event, Channel::Status, Body::Status(status))));
        event.flags |= flags;
        told
    }
}

fn beside(event: &Event, channel: Channel, body: Body) -> Event {
    Event { channel, flags: Flags::DERIVED, body, ..event.clone() }
}

/// The numbers of a day as mantissas: prices at `px`, volumes in shares, the turnover at [`MONEY`].
struct Day {
    px: u8,
    open: Option<i64>,
    high: Option<i64>,
    low: Option<i64>,
    last: Option<i64>,
    prev: Option<i64>,
    volume: i64,
    turnover: Option<i64>,
}

impl Day {
    fn new(stats: &DayStats, px: u8) -> Self {
        let at = |number: Option<Decimal>| number.and_then(|n| n.mantissa_at(px)).filter(|n| *n > 0);
        Self {
            px,
            open: at(stats.open),
            high: at(stats.high),
            low: at(stats.low),
            last: at(stats.last),
            prev: at(stats.prev_close),
            volume: stats.volume.and_then(|v| v.mantissa_at(0)).unwrap_or(0),
            turnover: stats.turnover.and_then(|t| t.mantissa_at(MONEY)),
        }
    }

    fn px(&self, mantissa: i64) -> Decimal {
        Decimal::new(i128::from(mantissa), self.px)
    }
}

struct Check<'a> {
    level: Level,
    event: &'a Event,
    code: Code,
    at: Ts,
    /// Each rule that was looked at, and what is wrong where it is broken.
    seen: Vec<(&'static str, Option<String>)>,
    flags: Flags,
}

impl Check<'_> {
    fn rule(&mut self, name: &'static str, broken: Option<String>) {
        if broken.is_some() {
            self.flags |= Flags::SUSPECT;
        }
        self.seen.push((name, broken));
    }

    fn phase(&self, at: Ts) -> Option<Phase> {
        ashare::calendar().phase_at(self.code.section(), at)
    }

    fn index(&self) -> bool {
        self.code.section().board == Board::Index
    }

    fn stats(&mut self, share: &mut Share, stats: &DayStats) {
        let day = Day::new(stats, self.event.instrument.px_scale);
        let date = ashare::calendar().trading_date(self.at);
        if date != share.date {
            (share.date, share.stats, share.time) = (date, None, None);
        }
        self.range(&day);
        self.grid(stats);
        if !self.index() {
            self.limits(&day, stats, date);
            self.money(&day);
            self.sides(&day, stats);
        }
        let before = share.stats.take().map(|before| Day::new(&before, day.px));
        self.in_session(share.time, before.as_ref().is_some_and(|before| before.volume != day.volume));
        if let Some(before) = before {
            self.went_on(&before, &day);
        }
        share.stats = Some(stats.clone());
        share.time = Some(self.at);
    }

    /// low ≤ open, last ≤ high.
    fn range(&mut self, day: &Day) {
        let (Some(low), Some(high)) = (day.low, day.high) else { return };
        let out = |name: &str, px: Option<i64>| {
            let px = px.filter(|px| *px < low || *px > high)?;
            Some(format!("{name} {} is outside of {} to {}", day.px(px), day.px(low), day.px(high)))
        };
        let wrong = (low > high).then(|| format!("low {} is above high {}", day.px(low), day.px(high)));
        self.rule("px_range", wrong.or_else(|| out("open", day.open)).or_else(|| out("last", day.last)));
    }

    /// Prices stand on the steps of the instrument.
    fn grid(&mut self, stats: &DayStats) {
        let scale = self.event.instrument.px_scale;
        let Some(tick) = self.event.instrument.tick.and_then(|tick| tick.mantissa_at(scale)) else { return };
        if self.level < Level::Normal || tick <= 0 {
            return;
        }
        let off = |px: &Decimal| px.mantissa_at(scale).is_none_or(|px| px % tick != 0);
        let prices = [stats.open, stats.high, stats.low, stats.last];
        let wrong = prices.into_iter().flatten().find(off);
        self.rule("px_tick", wrong.map(|px| format!("price {px} is no multiple of the tick")));
    }

    /// The day's range lies within the price limits.
    fn limits(&mut self, day: &Day, stats: &DayStats, date: Option<Date>) {
        let (Some(low), Some(high)) = (day.low, day.high) else { return };
        let told = |number: Option<Decimal>| number.and_then(|n| n.mantissa_at(day.px)).filter(|n| *n > 0);
        let limits = told(stats.limit_down).zip(told(stats.limit_up)).or_else(|| {
            let title = &*self.event.instrument.title;
            // The exchange marks the first days after listing, which have limits of their own, by these letters.
            let fresh = title.is_empty() || title.starts_with(['N', 'C']);
            if self.level < Level::Strict || fresh {
                return None;
            }
            let tick = self.event.instrument.tick?.mantissa_at(day.px)?;
            let (section, prev) = (self.code.section(), Px(day.prev?));
            ashare::limits(section, ashare::is_st(title), date?, prev, tick, None)
                .map(|(down, up)| (down.0, up.0))
        });
        let Some((down, up)) = limits else { return };
        let wrong = (low < down || high > up).then(|| {
            let [low, high, down, up] = [low, high, down, up].map(|px| day.px(px));
            format!("{low} to {high} is outside of the limits {down} to {up}")
        });
        self.rule("px_limits", wrong);
    }

    /// Turnover lies between low × volume and high × volume, and so tells a volume in a wrong unit.
    fn money(&mut self, day: &Day) {
        let (Some(low), Some(high), Some(turnover)) = (day.low, day.high, day.turnover) else { return };
        let slack = match self.level {
            Level::Strict => 0,
            Level::Normal => LOT,
            Level::Loose | Level::Off => LOT + day.volume / 100,
        };
        let unit = 10_i128.pow(u32::from(MONEY.saturating_sub(day.px)));
        let of = |px: i64, volume: i64| i128::from(px) * i128::from(volume.max(0)) * unit;
        // A turnover that came as a 32-bit float is good to 1 in 2^24.
        let blur = if self.level == Level::Strict { 0 } else { i128::from(turnover >> 23) };
        let turnover = i128::from(turnover);
        let (least, most) = (of(low, day.volume - slack) - blur, of(high, day.volume + slack) + blur);
        if turnover >= least && turnover <= most {
            self.rule("turnover", None);
            self.rule("volume_unit", None);
            return;
        }
        let near = |volume: i64| turnover >= of(low, volume - LOT) && turnover <= of(high, volume + LOT);
        let unit = if day.volume >= UNIT_FROM && near(day.volume / 100) {
            Some("a hundredth of it would fit: it is told in another unit than shares")
        } else if near(day.volume.saturating_mul(100)) {
            Some("a hundred times it would fit: it is told in lots")
        } else {
            None
        };
        let volume = day.volume;
        match unit {
            Some(why) => {
                self.rule("volume_unit", Some(format!("volume {volume} and turnover do not fit: {why}")));
            }
            None => self.rule(
                "turnover",
                Some(format!(
                    "turnover {} of {volume} shares is no price between {} and {}",
                    Decimal::new(turnover, MONEY),
                    day.px(low),
                    day.px(high)
                )),
            ),
        }
    }

    /// What buyers and sellers began adds up to the volume.
    fn sides(&mut self, day: &Day, stats: &DayStats) {
        let (Some(bought), Some(sold)) = (stats.buy_volume, stats.sell_volume) else { return };
        let (Some(bought), Some(sold)) = (bought.mantissa_at(0), sold.mantissa_at(0)) else { return };
        let slack = match self.level {
            Level::Strict => LOT,
            _ => LOT.max(day.volume / 1_000),
        };
        let off = (bought + sold - day.volume).abs() > slack;
        let words = || format!("{bought} bought and {sold} sold do not add up to {}", day.volume);
        self.rule("volume_sides", off.then(words));
    }

    /// What may only grow has grown, and what stands for the day stands.
    fn went_on(&mut self, before: &Day, day: &Day) {
        let fell = (day.volume < before.volume)
            .then(|| format!("volume fell from {} to {}", before.volume, day.volume))
            .or_else(|| {
                let (was, is) = before.turnover.zip(day.turnover).filter(|(was, is)| is < was)?;
                let [was, is] = [was, is].map(|money| Decimal::new(i128::from(money), MONEY));
                Some(format!("turnover fell from {was} to {is}"))
            });
        self.rule("cumulative_fell", fell);
        let changed = |name: &str, was: Option<i64>, is: Option<i64>, bad: fn(i64, i64) -> bool| {
            let (was, is) = was.zip(is).filter(|(was, is)| bad(*was, *is))?;
            Some(format!("{name} went from {} to {}", day.px(was), day.px(is)))
        };
        let wrong = changed("the day's high", before.high, day.high, |was, is| is < was)
            .or_else(|| changed("the day's low", before.low, day.low, |was, is| is > was))
            .or_else(|| changed("the day's open", before.open, day.open, |was, is| is != was))
            .or_else(|| changed("the close of the day before", before.prev, day.prev, |was, is| is != was));
        self.rule("day_changed", wrong);
        if self.phase(self.at) == Some(Phase::Continuous) && before.volume > 0 && self.level >= Level::Normal
        {
            let still = before.volume == day.volume;
            let moved = changed("last", before.last, day.last, |was, is| was != is).filter(|_| still);
            self.rule("last_without_volume", moved.map(|words| format!("{words} without any volume")));
        }
    }

    /// Nothing is traded while nothing can be, and the source's time goes on.
    fn in_session(&mut self, before: Option<Ts>, traded: bool) {
        let Some(time) = self.event.stamp.ts_event else { return };
        let back = before.map(|before| before.ms_since(time)).filter(|ms| *ms > BACK_MS);
        self.rule("time_back", back.map(|ms| format!("the source's time went back by {ms} ms")));
        let begins = Ts(time.0.saturating_sub_unsigned(GRACE_MS * 1_000_000));
        let moves = |at: Ts| self.phase(at).is_none_or(|phase| phase.moves() || phase == Phase::Opened);
        if moves(time) || moves(begins) {
            self.rule("out_of_session", None);
        } else {
            self.flags |= Flags::OUT_OF_SESSION;
            if traded {
                let phase = self.phase(time).map_or("", Phase::name);
                self.rule("out_of_session", Some(format!("volume grew while nothing trades ({phase})")));
            }
        }
    }

    /// Five (or ten) levels stand in order, and the bid below the ask.
    fn levels(&mut self, share: &mut Share, snapshot: &Snapshot) {
        let scale = self.event.instrument.px_scale;
        let px = |px: Px| Decimal::new(i128::from(px.0), scale);
        let (bids, asks) = (snapshot.levels.bids(), snapshot.levels.asks());
        share.bare = Some(bids.is_empty() && asks.is_empty());
        let unordered = |side: Side| {
            let levels = if side == Side::Bid { bids } else { asks };
            let wrong = levels.array_windows().find(|[a, b]| match side {
                Side::Bid => a.px <= b.px,
                Side::Ask => a.px >= b.px,
            });
            wrong.map(|[a, b]| format!("level {} stands before {}", px(a.px), px(b.px)))
        };
        self.rule("levels_order", unordered(Side::Bid).or_else(|| unordered(Side::Ask)));
        let call = self.phase(self.at).is_none_or(|phase| phase.is_call() || phase == Phase::Opened);
        let crossed = bids
            .first()
            .zip(asks.first())
            .filter(|(bid, ask)| bid.px > ask.px || bid.px == ask.px && !call && self.level >= Level::Normal);
        let words = crossed.map(|(bid, ask)| format!("bid {} is not below ask {}", px(bid.px), px(ask.px)));
        self.rule("levels_crossed", words);
    }

    /// Whether the share began or ceased to stand still by order: no level on either side and no trade, while the market
    /// trades. A share that merely did not trade has levels; one of a source that hangs has old ones.
    fn halted(&self, share: &mut Share) -> Option<Status> {
        let stats = share.stats.as_ref()?;
        let continuous = self.phase(self.at) == Some(Phase::Continuous);
        let untraded = stats.volume.is_none_or(Decimal::is_zero);
        let halted = share.bare? && untraded;
        if halted == share.halted || !continuous || self.index() {
            return None;
        }
        share.halted = halted;
        Some(if halted { Status::Halted } else { Status::Trading })
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
