//! The past of bars.

use crate::asks::{bars, interval, same};
use crate::fields::Result;
use crate::lines::{INTERVALS, bar, lines};
use crate::names::secid;
use crate::{HISTORY, NAME};
use model::ashare::local;
use model::{Body, Channel, Event, Flags, Stamp, Ts};
use source::{History, Past, Request, Rest};

/// What is asked besides the sessions.
#[derive(Clone, Copy, Debug)]
pub struct EastmoneyRest;

impl Rest for EastmoneyRest {
    /// Bars of every interval; those within a day reach back some days (one minute) to two months.
    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        if past.source != NAME || past.channel != Channel::Bars {
            return None;
        }
        let interval = INTERVALS.iter().find(|i| i.name == past.interval)?;
        let secid = secid(&past.instrument)?;
        // Days by number, the last one included.
        let day = |ts: Ts| local(ts).0.number();
        let path = bars(&secid, interval, &format!("beg={}&end={}", day(past.from), day(Ts(past.to.0 - 1))));
        Some(Box::new(Bars { reached: past.from, past, path, done: false }))
    }
}

/// One answer holds everything.
struct Bars {
    past: Past,
    path: String,
    done: bool,
    reached: Ts,
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        let path = self.path.clone();
        (!self.done && self.past.from < self.past.to).then_some(Request {
            endpoint: HISTORY,
            path,
            weight: 1,
        })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let interval = interval(&self.path)?;
        let mut all = Vec::new();
        if let Some(lines) = lines(body)? {
            same(&self.path, &lines.code)?;
            for (at, row) in lines.rows.iter().enumerate() {
                let bar = bar(row, interval, at + 1 == lines.rows.len(), now)?;
                if (self.past.from..self.past.to).contains(&bar.start) {
                    all.push(Event {
                        source: NAME,
                        instrument: self.past.instrument.clone(),
                        channel: Channel::Bars,
                        flags: Flags::NONE,
                        stamp: Stamp { ts_event: None, ts_recv: now },
                        body: Body::Bar(Box::new(bar)),
                    });
                }
            }
        }
        (self.done, self.reached) = (true, self.past.to);
        Ok(all)
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}
