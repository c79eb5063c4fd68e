//! Events as they are replayed: those that were told when they happened in the order of the bus, and between them, at the
//! time at which they happened, those that were filled in later.

use super::{Query, Range, Reader};
use crate::manifest::{FILLED, State};
use crate::{Result, when};
use bus::Published;
use model::Ts;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::vec::IntoIter;

/// How many events that were filled in are sorted at once; more only where more are of one instant.
const SORTED_MAX: usize = 1 << 18;
/// The first stretch of time of which they are read, in ns.
const WINDOW_NS: i64 = 60_000_000_000;

/// An event and when it is replayed.
type Timed = (Ts, Arc<Published>);

/// See the module.
pub struct Timeline {
    live: Range,
    next: Option<Result<Timed>>,
    filled: Option<Filled>,
}

impl Reader {
    /// The events that are asked for, each with the time at which it is replayed: that of its publication, or for one that was
    /// filled in later ([`crate::Filler`]) that at which it happened.
    ///
    /// # Errors
    /// [`crate::Error`] where the log or the catalogue does not read.
    pub fn timeline(&self, query: Query) -> Result<Timeline> {
        let notes = self.notes()?;
        let epochs =
            notes.iter().filter(|note| &*note.what == FILLED).filter_map(|note| note.why.parse().ok());
        let filled = Filled::new(self, &query, epochs.collect());
        Ok(Timeline { live: self.range(query)?, next: None, filled })
    }
}

impl Timeline {
    /// The next one in the order of the bus that was told when it happened.
    fn live(&mut self) -> Option<Result<Timed>> {
        loop {
            let published = match self.live.next()? {
                Ok(published) => published,
                Err(error) => return Some(Err(error)),
            };
            if self.filled.as_ref().is_none_or(|filled| !filled.epochs.contains(&published.cursor.epoch)) {
                return Some(Ok((published.ts_pub, published)));
            }
        }
    }
}

impl Iterator for Timeline {
    type Item = Result<Timed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_none() {
            self.next = self.live();
        }
        let until = match &self.next {
            Some(Ok((at, _))) => *at,
            Some(Err(_)) => return self.next.take(),
            None => Ts(i64::MAX),
        };
        match self.filled.as_mut().and_then(|filled| filled.before(until)) {
            Some(first) => Some(first),
            None => self.next.take(),
        }
    }
}

/// What was filled in later, in the order of time: read by stretches that are as long as what is sorted allows.
struct Filled {
    reader: Reader,
    query: Query,
    epochs: BTreeSet<u64>,
    /// From where it is not read yet.
    at: Ts,
    /// Where it ends.
    end: Ts,
    window: i64,
    sorted: IntoIter<Timed>,
    head: Option<Timed>,
}

impl Filled {
    fn new(reader: &Reader, query: &Query, epochs: BTreeSet<u64>) -> Option<Self> {
        let (at, end) = span(&reader.manifest.state(), &epochs)?;
        let (at, end) = (at.max(query.from), end.min(query.to));
        let (reader, query) = (reader.clone(), query.clone());
        let sorted = Vec::new().into_iter();
        (at < end).then_some(Self { reader, query, epochs, at, end, window: WINDOW_NS, sorted, head: None })
    }

    /// The next one, where it comes before `until`.
    fn before(&mut self, until: Ts) -> Option<Result<Timed>> {
        while self.head.is_none() {
            self.head = self.sorted.next();
            if self.head.is_none() {
                if self.at >= self.end || self.at >= until {
                    return None;
                }
                if let Err(error) = self.read() {
                    return Some(Err(error));
                }
            }
        }
        self.head.take_if(|(at, _)| *at < until).map(Ok)
    }

    /// Reads the next stretch.
    fn read(&mut self) -> Result<()> {
        loop {
            let to = Ts(self.at.0.saturating_add(self.window)).min(self.end);
            let query = Query { from: self.at, to, ..self.query.clone() };
            let mut found: Vec<Timed> = Vec::new();
            let mut fault = None;
            for published in self.reader.range(query)? {
                match published {
                    Ok(published) if self.epochs.contains(&published.cursor.epoch) => {
                        found.push((when(&published.event), published));
                    }
                    Ok(_) => {}
                    Err(error) => fault = Some(error),
                }
                if found.len() > SORTED_MAX && self.window > 1 {
                    break;
                }
            }
            if found.len() > SORTED_MAX && self.window > 1 {
                self.window = (self.window / 8).max(1);
                continue;
            }
            if found.len() < SORTED_MAX / 8 {
                self.window = self.window.saturating_mul(4);
            }
            found.sort_by_key(|(at, published)| (*at, published.cursor));
            (self.at, self.sorted) = (to, found.into_iter());
            return fault.map_or(Ok(()), Err);
        }
    }
}

/// From when to when files may hold something of these epochs.
fn span(state: &State, epochs: &BTreeSet<u64>) -> Option<(Ts, Ts)> {
    let runs = state.files.values().filter(|file| file.table.is_of_events()).flat_map(|file| &file.runs);
    let of = runs.filter(|run| epochs.range(run.first.epoch..=run.last.epoch).next().is_some());
    let ends = of.map(|run| (run.from, Ts(run.to.0.saturating_add(1))));
    ends.reduce(|(from, to), (a, b)| (from.min(a), to.max(b)))
}
