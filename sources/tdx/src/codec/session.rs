//! Answers to the beginning of a conversation and to its heartbeats.

use super::text::Text;
use super::walk::{Result, Walk};

/// The block of `0fdb` that servers take since September 2026, as `tdxdata` 0.1.1 sends it: a name (`tdxlevel`) in 11 bytes, a
/// binary32 that is the terminal's version (7.73), a number, zeros, and 5 at the end.
pub const LEVEL: [u8; 30] = *b"tdxlevel\0\0\0\x29\x5c\xf7\x40\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\x05";

/// Where the words of an answer to `0fdb` begin, and how long their field is.
const TIP: std::ops::Range<usize> = 3..53;

/// What the server says to a login, empty where nothing. To blocks of brokers' terminals it has said since July 2026 that the
/// terminal does not fit the server.
pub fn tip(body: &[u8]) -> String {
    let mut text = Text::<50>::default();
    if let Some(bytes) = body.get(TIP).and_then(|bytes| bytes.first_chunk()) {
        text.0 = *bytes;
    }
    text.get()
}

/// `000d`: who the server is and which day it trades.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Its clock: year, month, day, hour, minute, second, in China.
    pub clock: (u16, u8, u8, u8, u8, u8),
    /// When sessions begin and end, in minutes since midnight; twice, the second time as if for another market.
    pub sessions: [[u16; 8]; 2],
    /// The last trading day, YYYYMMDD, which is not the day of the clock on a day without trading.
    pub trading_day: u32,
    /// The last trading day again.
    pub trading_day_again: u32,
    /// Not understood.
    pub counters: [u16; 4],
    /// Not understood.
    pub odd: [u8; 10],
    /// What the server is called.
    pub name: Text<22>,
    /// Its web site.
    pub site: Text<64>,
    /// Not understood.
    pub gap: [u8; 5],
    /// What it serves: `#通达信`.
    pub category: Text<30>,
}

impl Hello {
    /// The fields in their order: the day before the month, the minute before the hour.
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        let (year, month, day, hour, minute, second) = &mut self.clock;
        walk.u8(&mut 0)?;
        walk.u16(year)?;
        walk.u8(day)?;
        walk.u8(month)?;
        walk.u8(minute)?;
        walk.u8(hour)?;
        walk.u8(&mut 0)?;
        walk.u8(second)?;
        for minutes in self.sessions.iter_mut().flatten() {
            walk.u16(minutes)?;
        }
        walk.u8(&mut 0)?;
        walk.u32(&mut self.trading_day)?;
        let [a, b, c, d] = &mut self.counters;
        walk.u16(a)?;
        walk.u16(b)?;
        walk.u32(&mut self.trading_day_again)?;
        walk.u16(c)?;
        walk.u16(d)?;
        walk.raw(&mut self.odd)?;
        self.name.walk(walk)?;
        self.site.walk(walk)?;
        walk.raw(&mut self.gap)?;
        self.category.walk(walk)
    }
}

/// `0004`: the last trading day, YYYYMMDD.
pub(super) fn heartbeat(walk: &mut impl Walk, trading_day: &mut u32) -> Result {
    walk.raw(&mut [0; 6])?;
    walk.u32(trading_day)
}
