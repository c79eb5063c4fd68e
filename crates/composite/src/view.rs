//! What can be asked: quotes, sources side by side, how each source is doing.

use crate::health::Breaker;
use crate::{Composite, Entry, Told, is_late};
use model::ashare::Code;
use model::{DayStats, Instrument, InstrumentId, Levels, SourceName, Stamp, Ts};
use std::sync::Arc;

/// What one source says of an instrument.
#[derive(Clone, Debug)]
pub struct Quote<'a> {
    /// Of what.
    pub code: Code,
    /// Its definition, with its name for people where any source gave one.
    pub instrument: &'a Arc<Instrument>,
    /// Who says it.
    pub source: SourceName,
    /// Prices and volumes of the day, in yuan and shares.
    pub stats: &'a DayStats,
    /// When they were told.
    pub stamp: Stamp,
    /// Whether they are late by the cadence of their source.
    pub late: bool,
    /// The best levels, by the definition that gives their scale; of another source where this one tells none.
    pub levels: Option<(SourceName, &'a Levels, &'a Arc<Instrument>)>,
}

/// How a source is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its name.
    pub source: SourceName,
    /// Its place, from 1.
    pub rank: usize,
    /// Whether it takes part in the choice.
    pub breaker: Breaker,
    /// Since when.
    pub since: Ts,
    /// Why.
    pub why: String,
    /// What it was ranked by, in ms; the smallest is the best.
    pub cost_ms: u64,
    /// How often it tells of an instrument, in ms.
    pub period_ms: u64,
    /// How far it is behind the venue's clock, in ms, where that can be told.
    pub lag_ms: Option<u64>,
    /// When data last came.
    pub last: Option<Ts>,
    /// How many errors there were.
    pub errors: u64,
    /// The share of errors among the newest updates and errors, in thousandths.
    pub error_permille: u64,
    /// How many instruments it tells of.
    pub instruments: usize,
    /// How many of these are served from it.
    pub serves: usize,
    /// All of it in one line.
    pub words: String,
}

impl Composite {
    /// What is served of an instrument: what the source of that name says, or the best one where none is named.
    pub fn quote(&self, id: InstrumentId, source: Option<&str>, now: Ts) -> Option<Quote<'_>> {
        let entry = self.entries.get(&id)?;
        let told = match source {
            Some(name) => {
                entry.told.iter().find(|t| self.health(t.source).is_some_and(|h| h.name == name))?
            }
            None => self.best(entry, now)?,
        };
        self.view(entry, told, now)
    }

    /// What is served of every instrument, in no order.
    pub fn quotes(&self, now: Ts) -> impl Iterator<Item = Quote<'_>> {
        self.entries.values().filter_map(move |entry| self.view(entry, self.best(entry, now)?, now))
    }

    /// What every source says of an instrument, the best source first.
    pub fn side_by_side(&self, id: InstrumentId, now: Ts) -> Vec<Quote<'_>> {
        let Some(entry) = self.entries.get(&id) else { return Vec::new() };
        self.in_order(entry).filter_map(|told| self.view(entry, told, now)).collect()
    }

    /// How every source is doing, the best first.
    pub fn sources(&self, now: Ts) -> Vec<SourceView> {
        let mut counts = vec![(0, 0); self.sources.len()];
        for entry in self.entries.values() {
            for told in entry.told.iter().filter(|t| t.stats.is_some()) {
                if let Some((tells, serves)) = counts.get_mut(told.source) {
                    *tells += 1;
                    *serves += usize::from(entry.chosen == Some(told.source));
                }
            }
        }
        let view = |(place, at): (usize, &usize)| {
            let (source, (instruments, serves)) = (self.sources.get(*at)?, *counts.get(*at)?);
            Some(SourceView {
                source: source.name,
                rank: place + 1,
                breaker: source.breaker,
                since: source.since,
                why: source.why.clone(),
                cost_ms: source.cost_ms(&self.rules),
                period_ms: source.period_ms(&self.rules),
                lag_ms: source.lag_ms,
                last: source.last,
                errors: source.errors,
                error_permille: source.error_permille(),
                instruments,
                serves,
                words: source.words(now, self.hours, &self.rules),
            })
        };
        self.order.iter().enumerate().filter_map(view).collect()
    }

    fn view<'a>(&'a self, entry: &'a Entry, told: &'a Told, now: Ts) -> Option<Quote<'a>> {
        let (stats, stamp) = told.stats.as_ref()?;
        let own = told.levels.as_ref().map(|levels| (told, levels));
        let others = || {
            let fresh = |t: &&Told| {
                let late_ms = self.health(t.source).map_or(0, |s| s.late_ms(&self.rules));
                t.levels.as_ref().is_some_and(|(_, _, s)| !is_late(s.ts_recv, now, self.hours, late_ms))
            };
            let other = self.in_order(entry).find(fresh)?;
            Some((other, other.levels.as_ref()?))
        };
        let levels = own
            .or_else(others)
            .and_then(|(t, (levels, by, _))| Some((self.health(t.source)?.name, levels, by)));
        Some(Quote {
            code: entry.code,
            instrument: &entry.instrument,
            source: self.health(told.source)?.name,
            stats,
            stamp: *stamp,
            late: self.late(told, now),
            levels,
        })
    }
}
