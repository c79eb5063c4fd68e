//! Prints summed up by the minute and by the day.

use super::day::{Kind, Print};
use model::ashare::{instant, local};
use model::{Date, Px, Ts};

/// Minutes of a trading day: 09:30–11:30 and 13:00–15:00.
pub const MINUTES: usize = 240;

/// A minute or a day of prices. Prices are mantissas at the scale of the definition, quantities single shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Start of the minute; of a day, its midnight in Beijing.
    pub start: Ts,
    /// First price.
    pub open: Px,
    /// Highest price.
    pub high: Px,
    /// Lowest price.
    pub low: Px,
    /// Last price.
    pub close: Px,
    /// Shares traded.
    pub volume: i64,
    /// Money, as a mantissa at the scale of prices.
    pub amount: i64,
    /// How many trades.
    pub trades: u64,
}

impl Bar {
    pub(super) fn flat(start: Ts, px: Px) -> Self {
        Self { start, open: px, high: px, low: px, close: px, volume: 0, amount: 0, trades: 0 }
    }

    fn add(&mut self, print: &Print) {
        if self.volume == 0 {
            (self.open, self.high, self.low) = (print.px, print.px, print.px);
        }
        self.high = self.high.max(print.px);
        self.low = self.low.min(print.px);
        self.close = print.px;
        self.volume += print.qty;
        self.amount += print.amount;
        self.trades += u64::from(print.trades);
    }
}

/// When the n-th minute starts, in ms after midnight.
fn starts(n: usize) -> i64 {
    let minute = n as i64 + if n < MINUTES / 2 { 570 } else { 780 - MINUTES as i64 / 2 };
    minute * 60_000
}

/// The minutes that have begun by `until` (ms after midnight), each flat at the price before where nothing was traded. The
/// opening call belongs to the first minute, the closing call to the last; after-hours trades to none.
pub(super) fn minutes(date: Date, prev_close: Px, prints: &[Print], until: i64) -> Vec<Bar> {
    let mut left = prints.iter().filter(|print| print.kind != Kind::AfterHours).peekable();
    let (mut bars, mut last) = (Vec::with_capacity(MINUTES), prev_close);
    for n in 0..MINUTES {
        let start = starts(n);
        let mut bar = Bar::flat(instant(date, start), last);
        while let Some(print) = left.next_if(|print| local(print.ts).1 <= start + 60_000) {
            bar.add(print);
        }
        if start >= until && bar.volume == 0 {
            break;
        }
        last = bar.close;
        bars.push(bar);
    }
    bars
}
