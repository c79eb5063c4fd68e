//! The past of bars.

use crate::items::Result;
use crate::lines::{INTERVALS, Interval, bar, lines, path};
use crate::names::spelled;
use crate::{NAME, QUOTES};
use model::ashare::local;
use model::{Body, Channel, Event, Flags, Stamp, Ts};
use source::{History, Past, Request, Rest};
use std::collections::VecDeque;

/// What is asked besides the sessions.
#[derive(Clone, Copy, Debug)]
pub struct ThsRest;

impl Rest for ThsRest {
    /// Bars of days by the year; of other intervals the newest 140 or so.
    fn history(&self, past: Past) -> Option<Box<dyn History>> {
        if past.source != NAME || past.channel != Channel::Bars {
            return None;
        }
        let interval = INTERVALS.iter().find(|i| i.name == past.interval)?;
        let spelled = spelled(&past.instrument)?;
        let parts = if past.from >= past.to {
            VecDeque::new()
        } else if interval.name == "1d" {
            let year = |ts: Ts| local(ts).0.year();
            (year(past.from)..=year(Ts(past.to.0 - 1))).map(|year| year.to_string()).collect()
        } else {
            VecDeque::from(["last".to_owned()])
        };
        let paths = parts.iter().map(|part| path(&spelled, interval, part)).collect();
        Some(Box::new(Bars { reached: past.from, past, interval, paths }))
    }
}

struct Bars {
    past: Past,
    interval: &'static Interval,
    /// What is still to be asked for.
    paths: VecDeque<String>,
    reached: Ts,
}

impl History for Bars {
    fn request(&mut self) -> Option<Request> {
        self.paths.front().map(|path| Request { endpoint: QUOTES, path: path.clone(), weight: 1 })
    }

    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>> {
        let Some(path) = self.paths.front() else { return Ok(Vec::new()) };
        let (lines, newest) = (lines(path, body)?, self.paths.len() == 1);
        let mut all = Vec::new();
        for (at, row) in lines.rows.iter().enumerate() {
            let bar = bar(row, self.interval, newest && at + 1 == lines.rows.len(), now)?;
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
        self.paths.pop_front();
        let told = all.last().map(|event| match &event.body {
            Body::Bar(bar) => Ts(bar.start.0 + 1),
            _ => self.reached,
        });
        self.reached = if newest { self.past.to } else { told.unwrap_or(self.reached) };
        Ok(all)
    }

    fn reached(&self) -> Ts {
        self.reached
    }
}
