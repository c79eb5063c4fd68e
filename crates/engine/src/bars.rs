//! Bars made from trades, or from statistics of a day that come every few seconds.
//!
//! A bar is told once it is over and was seen from its beginning; a hole in what came leaves the bar out. Round the clock an
//! interval begins at a multiple of its length since 1970. At the Chinese stock exchanges intervals are counted in trading
//! minutes: 09:30–11:30 and 13:00–15:00; the opening call belongs to the first, the closing call to the last, trading after
//! hours to none but the day.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::ashare::{self, Code};
use model::{
    Bar, Body, Channel, Date, DayStats, Decimal, Event, Flags, Instrument, InstrumentId, Stamp, Trade, Ts,
};

/// The length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
pub enum Interval {
    /// A minute.
    #[serde(rename = "1m")]
    M1,
    /// Five minutes.
    #[serde(rename = "5m")]
    M5,
    /// A quarter of an hour.
    #[serde(rename = "15m")]
    M15,
    /// Half an hour.
    #[serde(rename = "30m")]
    M30,
    /// An hour.
    #[serde(rename = "1h", alias = "60m")]
    H1,
    /// A day.
    #[serde(rename = "1d")]
    D1,
}

impl Interval {
    const ALL: [Self; 6] = [Self::M1, Self::M5, Self::M15, Self::M30, Self::H1, Self::D1];

    const fn name(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::D1 => "1d",
        }
    }

    const fn minutes(self) -> i64 {
        match self {
            Self::M1 => 1,
            Self::M5 => 5,
            Self::M15 => 15,
            Self::M30 => 30,
            Self::H1 => 60,
            Self::D1 => 1_440,
        }
    }
}

/// The interval of a length in which an instant falls, as live bars have it: from its start to before its end. `None` where
/// nothing is traded then. Round the clock, and for lengths (in ns) of which no live bars are made, an interval begins at a
/// multiple of its length since 1970.
pub fn interval_of(instrument: &Instrument, length_ns: i64, at: Ts) -> Option<(Ts, Ts)> {
    let live = Interval::ALL.into_iter().find(|it| it.minutes() * MINUTE_MS * 1_000_000 == length_ns);
    if let (Some(code), Some(interval)) = (ashare::code(instrument), live) {
        return Slot::of(Some(code), interval, at).map(|slot| (slot.start, slot.end));
    }
    let start = at.0.checked_rem_euclid(length_ns).map(|past| at.0.saturating_sub(past))?;
    Some((Ts(start), Ts(start.saturating_add(length_ns))))
}

const MINUTE_MS: i64 = 60_000;
const fn clock(hour: i64, minute: i64) -> i64 {
    (hour * 60 + minute) * MINUTE_MS
}
/// When the opening call begins; what it trades, at 09:25, belongs to the first bar.
const OPENING: i64 = clock(9, 15);
const MORNING: i64 = clock(9, 30);
const LUNCH: i64 = clock(11, 30);
const AFTERNOON: i64 = clock(13, 0);
const CLOSE: i64 = clock(15, 0);
/// Up to when sources still tell of the closing call.
const CLOSED: i64 = clock(15, 5);
/// When the last trading after hours ends.
const DAY_ENDS: i64 = clock(15, 30);
/// Trading minutes of a morning, and of a day.
const HALF: i64 = 120;
const WHOLE: i64 = 240;
/// Digits after the point of a turnover that a day's statistics tell.
const MONEY: u8 = 6;

/// Where an instant falls: the number of the interval, its start and its end. Numbers of one day follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    number: i64,
    start: Ts,
    end: Ts,
}

impl Slot {
    /// Where an instant falls; `None` where nothing is traded then.
    fn of(code: Option<Code>, interval: Interval, at: Ts) -> Option<Self> {
        let minutes = interval.minutes();
        if code.is_none() {
            let number = at.as_ms().div_euclid(minutes * MINUTE_MS);
            let start = |number: i64| Ts::from_ms(number * minutes * MINUTE_MS);
            return Some(Self { number, start: start(number), end: start(number + 1) });
        }
        let (date, ms) = ashare::local(at);
        if interval == Interval::D1 {
            let within = (OPENING..=DAY_ENDS + MINUTE_MS).contains(&ms);
            let (start, end) = (ashare::instant(date, 0), ashare::instant(date, DAY_ENDS));
            return within.then_some(Self { number: date.days(), start, end });
        }
        let minute = match ms {
            OPENING..MORNING => 0,
            MORNING..LUNCH => (ms - MORNING) / MINUTE_MS,
            LUNCH..AFTERNOON => HALF - 1,
            AFTERNOON..CLOSE => HALF + (ms - AFTERNOON) / MINUTE_MS,
            CLOSE..CLOSED => WHOLE - 1,
            _ => return None,
        };
        Some(Self::at(date, interval, minute / minutes))
    }

    /// An interval of a trading day by its number in the day.
    fn at(date: Date, interval: Interval, nth: i64) -> Self {
        let minutes = interval.minutes();
        let from = |minute: i64| if minute < HALF { MORNING } else { AFTERNOON - HALF * MINUTE_MS };
        let first = nth * minutes;
        let start = from(first) + first * MINUTE_MS;
        let number = date.days() * WHOLE + nth;
        let [start, end] = [start, start + minutes * MINUTE_MS].map(|ms| ashare::instant(date, ms));
        Self { number, start, end }
    }
}

/// A bar that is not over, in mantissas.
struct Open {
    slot: Slot,
    px: [i64; 4],
    volume: i64,
    money: i128,
    trades: u64,
    /// Whether something came since it was told.
    news: bool,
}

/// What a piece of news adds to a bar: its first, highest, lowest and last price, and sums.
struct Piece {
    px: [i64; 4],
    volume: i64,
    money: i128,
    trades: u64,
}

/// What was last told of a day.
struct Sum {
    date: Date,
    high: Option<i64>,
    low: Option<i64>,
    volume: i64,
    money: i64,
}

struct Lane {
    code: Option<Code>,
    /// What its bars are made from.
    from: Channel,
    /// From when on nothing is missing.
    since: Ts,
    /// Of prices and quantities in the bars that are open.
    scales: (u8, u8),
    sum: Option<Sum>,
    open: Vec<Option<Open>>,
}

/// The bars of one session.
pub(crate) struct Bars {
    intervals: Vec<Interval>,
    lanes: HashMap<InstrumentId, Lane, FixedState>,
}

impl Bars {
    pub fn new(intervals: &[Interval]) -> Self {
        let mut intervals = intervals.to_vec();
        intervals.sort_unstable();
        intervals.dedup();
        Self { intervals, lanes: HashMap::default() }
    }

    /// Takes an event and appends the bars that it ends.
    pub fn on(&mut self, event: &Event, out: &mut Vec<Event>) {
        if self.intervals.is_empty() || event.flags.has(Flags::REPAIRED) {
            return;
        }
        let channel = event.channel;
        match &event.body {
            Body::Trade(_) if matches!(channel, Channel::Trades | Channel::AggTrades) => {}
            Body::Gap(_) if matches!(channel, Channel::Trades | Channel::AggTrades | Channel::DayStats) => {}
            Body::DayStats(_) if ashare::code(&event.instrument).is_some() => {}
            _ => return,
        }
        let at = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
        let Self { intervals, lanes } = self;
        let lane = lanes.entry(event.instrument.id).or_insert_with(|| Lane {
            code: ashare::code(&event.instrument),
            from: channel,
            since: at,
            scales: scales(&event.instrument),
            sum: None,
            open: intervals.iter().map(|_| None).collect(),
        });
        if lane.scales != scales(&event.instrument) {
            (lane.scales, lane.since, lane.sum) = (scales(&event.instrument), at, None);
            lane.open.fill_with(|| None);
        }
        if lane.from == Channel::DayStats && channel != Channel::DayStats {
            // Single trades tell more.
            (lane.from, lane.since, lane.sum) = (channel, at, None);
            lane.open.fill_with(|| None);
        }
        if lane.from != channel {
            return;
        }
        // A sum that is told at an instant is of what came before it; a trade happened at it.
        let (piece, when) = match &event.body {
            Body::Trade(trade) => (Some(Piece::of(trade)), at),
            Body::DayStats(stats) => {
                (lane.of_day(stats, &event.instrument, at), Ts(at.0.saturating_sub(1_000_000)))
            }
            _ => {
                lane.since = at;
                lane.open.fill_with(|| None);
                return;
            }
        };
        for (nth, interval) in intervals.iter().enumerate() {
            lane.on(nth, *interval, piece.as_ref(), (when, at), event, out);
        }
    }
}

fn scales(instrument: &Instrument) -> (u8, u8) {
    (instrument.px_scale, instrument.qty_scale)
}

impl Piece {
    /// A trade; its money stands at the sum of both scales.
    fn of(trade: &Trade) -> Self {
        let (px, volume) = (trade.px.0, trade.qty.0);
        let money = i128::from(px) * i128::from(volume);
        Self { px: [px; 4], volume, money, trades: u64::from(trade.count) }
    }
}

impl Lane {
    /// What a day's statistics add to those before.
    fn of_day(&mut self, stats: &DayStats, instrument: &Instrument, at: Ts) -> Option<Piece> {
        let px = |number: Option<Decimal>| {
            number.and_then(|n| n.mantissa_at(instrument.px_scale)).filter(|n| *n > 0)
        };
        let volume = stats.volume.and_then(|v| v.mantissa_at(instrument.qty_scale))?;
        let money = stats.turnover.and_then(|t| t.mantissa_at(MONEY)).unwrap_or(0);
        let (date, ms) = ashare::local(at);
        let (high, low) = (px(stats.high), px(stats.low));
        let now = Sum { date, high, low, volume, money };
        let before = self.sum.replace(now).filter(|sum| sum.date == date);
        let first = match &before {
            None if ms <= MORNING || volume == 0 => true,
            None => {
                // What was traded before cannot be laid into the minutes in which it was.
                self.since = at;
                return None;
            }
            Some(sum) if volume < sum.volume => {
                self.since = at;
                self.open.fill_with(|| None);
                return None;
            }
            Some(sum) => sum.volume == 0,
        };
        if before.is_none() {
            self.since = ashare::instant(date, 0);
        }
        let (was_volume, was_money) = before.as_ref().map_or((0, 0), |sum| (sum.volume, sum.money));
        let last = px(stats.last).filter(|_| volume > was_volume)?;
        let was = |of: fn(&Sum) -> Option<i64>| before.as_ref().and_then(of);
        let higher = high.filter(|high| was(|s| s.high).is_none_or(|was| *high > was)).unwrap_or(last);
        let lower = low.filter(|low| was(|s| s.low).is_none_or(|was| *low < was)).unwrap_or(last);
        let open = px(stats.open).filter(|_| first).unwrap_or(last);
        Some(Piece {
            px: [open, higher.max(last), lower.min(last), last],
            volume: volume - was_volume,
            money: i128::from(money) - i128::from(was_money),
            trades: 0,
        })
    }

    fn on(
        &mut self,
        nth: usize,
        interval: Interval,
        piece: Option<&Piece>,
        (when, at): (Ts, Ts),
        event: &Event,
        out: &mut Vec<Event>,
    ) {
        let (since, code) = (self.since, self.code);
        let (px, qty) = self.scales;
        let money = if self.from == Channel::DayStats { MONEY } else { px + qty };
        let Some(place) = self.open.get_mut(nth) else { return };
        let slot = Slot::of(code, interval, when);
        if let (Some(open), Some(slot)) = (&mut *place, slot)
            && slot.number > open.slot.number
        {
            open.tell(interval, (since, money), event, out);
            let close = open.px[3];
            // Minutes without a trade are told at the exchanges that trade by the minute.
            for number in open.slot.number + 1..slot.number {
                let day = open.slot.number.div_euclid(WHOLE);
                if code.is_none() || interval == Interval::D1 || number.div_euclid(WHOLE) != day {
                    break;
                }
                let slot = Slot::at(Date::from_days(day), interval, number.rem_euclid(WHOLE));
                Open::still(slot, close).tell(interval, (since, money), event, out);
            }
            let same_day = code.is_some() && slot.start.ms_since(open.slot.start) < DAY_ENDS;
            *place = (same_day && interval != Interval::D1).then(|| Open::still(slot, close));
        }
        if let (Some(slot), Some(piece)) = (slot, piece) {
            match place {
                Some(open) if open.slot.number == slot.number => open.add(piece),
                // It belongs to a bar that was told already.
                Some(_) => {}
                None => *place = Some(Open::new(slot, piece)),
            }
        }
        if let Some(open) = place.as_mut().filter(|open| at >= open.slot.end && code.is_some()) {
            open.tell(interval, (since, money), event, out);
        }
    }
}

impl Open {
    fn new(slot: Slot, piece: &Piece) -> Self {
        let Piece { px, volume, money, trades } = *piece;
        Self { slot, px, volume, money, trades, news: true }
    }

    /// A bar in which nothing happened yet.
    fn still(slot: Slot, close: i64) -> Self {
        Self { slot, px: [close; 4], volume: 0, money: 0, trades: 0, news: true }
    }

    fn add(&mut self, piece: &Piece) {
        let [open, high, low, close] = piece.px;
        if self.volume == 0 && self.trades == 0 {
            self.px = [open, high, low, close];
        } else {
            let [_, highest, lowest, _] = self.px;
            self.px[1] = highest.max(high);
            self.px[2] = lowest.min(low);
            self.px[3] = close;
        }
        self.volume += piece.volume;
        self.money += piece.money;
        self.trades += piece.trades;
        self.news = true;
    }

    /// Tells the bar, where there is news of it and nothing of it was missed. `money` is the scale of its turnover.
    fn tell(&mut self, interval: Interval, (since, money): (Ts, u8), event: &Event, out: &mut Vec<Event>) {
        if !std::mem::take(&mut self.news) || self.slot.start < since {
            return;
        }
        let instrument = &event.instrument;
        let [open, high, low, close] = self.px.map(|px| Decimal::new(i128::from(px), instrument.px_scale));
        let bar = Bar {
            interval: interval.name().into(),
            start: self.slot.start,
            open,
            high,
            low,
            close,
            volume: Decimal::new(i128::from(self.volume), instrument.qty_scale),
            turnover: Some(Decimal::new(self.money, money)),
            trades: Some(self.trades).filter(|trades| *trades > 0),
            closed: true,
        };
        out.push(Event {
            channel: Channel::Bars,
            flags: Flags::DERIVED,
            stamp: Stamp { ts_event: Some(self.slot.end), ts_recv: event.stamp.ts_recv },
            body: Body::Bar(Box::new(bar)),
            ..event.clone()
        });
    }
}

#[cfg(test)]
#[path = "bars_tests.rs"]
mod tests;
