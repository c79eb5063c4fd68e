//! What replaces what was before it: quotes, prices, statistics.

use model::{Body, Channel, Event, Ts};
use std::collections::VecDeque;

/// How many events of a lane are remembered.
const RECENT_MAX: usize = 16;

/// The newest events of a lane that were told.
#[derive(Debug, Default)]
pub struct Recent {
    newest: Option<Ts>,
    last: VecDeque<Event>,
}

impl Recent {
    /// Whether an event is to be told. Where it is a copy, when the first one came. Without a time of the venue copies
    /// cannot be told from news; then only the connection that `speaks` is heard.
    pub fn passes(&mut self, event: &Event, speaks: bool) -> Result<(), Option<Ts>> {
        if matches!(event.body, Body::Instrument) {
            let known = self.last.back().is_some_and(|last| last.instrument == event.instrument);
            if known {
                return Err(None);
            }
            self.note(event);
            return Ok(());
        }
        let Some(ts) = event.stamp.ts_event else { return if speaks { Ok(()) } else { Err(None) } };
        let copy = |e: &&Event| e.stamp.ts_event == Some(ts) && e.body == event.body;
        if let Some(first) = self.last.iter().rev().find(copy) {
            return Err(Some(first.stamp.ts_recv));
        }
        let each = matches!(event.channel, Channel::Liquidations | Channel::Findings);
        if !each && self.newest.is_some_and(|newest| ts < newest) {
            return Err(None);
        }
        self.note(event);
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        if self.last.len() >= RECENT_MAX {
            self.last.pop_front();
        }
        self.newest = self.newest.max(event.stamp.ts_event);
        self.last.push_back(event.clone());
    }
}
