//! The wake-ups that a session asked for.

use model::Ts;
use std::collections::{BTreeMap, BTreeSet};

/// Wake-ups by time; one for each timer.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<(Ts, u64)>,
    by_timer: BTreeMap<u64, Ts>,
}

impl Timers {
    /// Sets a timer; replaces the earlier call.
    pub fn set(&mut self, timer: u64, at: Ts) {
        if let Some(old) = self.by_timer.insert(timer, at) {
            self.due.remove(&(old, timer));
        }
        self.due.insert((at, timer));
    }

    /// Takes out the next timer whose time has come.
    pub fn pop(&mut self, now: Ts) -> Option<u64> {
        let &(at, timer) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.by_timer.remove(&timer);
        Some(timer)
    }

    /// When the next one comes.
    pub fn next(&self) -> Option<Ts> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_call_replaces_the_earlier_one() {
        let mut timers = Timers::default();
        timers.set(1, Ts(10));
        timers.set(2, Ts(5));
        timers.set(1, Ts(3));
        assert_eq!(timers.next(), Some(Ts(3)));
        assert_eq!(timers.pop(Ts(2)), None);
        assert_eq!([timers.pop(Ts(20)), timers.pop(Ts(20)), timers.pop(Ts(20))], [Some(1), Some(2), None]);
    }
}
