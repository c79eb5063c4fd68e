//! Health, computed from the age of data: nothing here is a flag that somebody set.

use crate::site::{Report, Site};
use lane::{LaneReport, State};
use model::{SourceName, Ts};
use serde::Serialize;

/// How a source is doing.
#[derive(Clone, Debug)]
pub(crate) struct SourceHealth {
    pub(crate) source: SourceName,
    pub(crate) healthy: bool,
    /// Why, in words.
    pub(crate) why: String,
    /// When data last came.
    pub(crate) last_event: Option<Ts>,
    /// Lanes that are wanted.
    pub(crate) lanes: usize,
    /// Of these, lanes that somebody should look at.
    pub(crate) bad_lanes: usize,
    pub(crate) events: u64,
    pub(crate) gaps: u64,
    /// Connections that are open.
    pub(crate) links_up: usize,
    pub(crate) links: usize,
    /// What is wrong first of all: a lost connection, or else the worst lane.
    pub(crate) problem: Option<String>,
}

/// How the platform is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overall {
    /// Every source is healthy, and so is what keeps events.
    Healthy,
    /// Some are, or events cannot be kept.
    Degraded,
    /// None is, or there is none.
    Unhealthy,
}

impl Overall {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    pub(crate) fn of(sources: &[SourceHealth], store: Option<&StoreHealth>) -> Self {
        let healthy = sources.iter().filter(|s| s.healthy).count();
        match healthy {
            0 => Self::Unhealthy,
            n if n == sources.len() && store.is_none_or(|store| store.healthy) => Self::Healthy,
            _ => Self::Degraded,
        }
    }
}

/// How what keeps events is doing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoreHealth {
    pub(crate) healthy: bool,
    /// Why, in words.
    pub(crate) why: String,
}

/// How what keeps events is doing; `None` where nothing is kept.
pub(crate) fn store(site: &Site) -> Option<StoreHealth> {
    site.store.as_ref()?;
    let store = &site.metrics.store;
    let (waiting, lost) = (store.waiting.get(), store.lost.get());
    let (healthy, why) = if store.failing.get() != 0 {
        (false, format!("the disk refuses events: {waiting} wait in memory, {lost} are lost so far"))
    } else if store.file_failing.get() != 0 {
        (false, "Parquet files cannot be written: events stay in the log".to_owned())
    } else {
        (true, format!("{waiting} events wait for the disk, {lost} are lost so far"))
    };
    Some(StoreHealth { healthy, why })
}

/// Every source that is meant to bring data or has brought some, sorted by name.
pub(crate) fn sources(site: &Site, report: &Report) -> Vec<SourceHealth> {
    let mut names: Vec<SourceName> = site.sources.to_vec();
    names.extend(report.lanes.iter().map(|l| l.source));
    names.extend(report.links.iter().map(|l| l.source));
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|source| judge(source, report, site.config.stale_after_ms)).collect()
}

fn judge(source: SourceName, report: &Report, stale_after_ms: u64) -> SourceHealth {
    let lanes: Vec<&LaneReport> =
        report.lanes.iter().filter(|l| l.source == source && l.state != State::Off).collect();
    let links: Vec<_> = report.links.iter().filter(|l| l.source == source).collect();
    let bad: Vec<&&LaneReport> = lanes.iter().filter(|l| !l.state.is_well()).collect();
    let last_event = lanes.iter().filter_map(|l| l.last_event).max();
    let age_ms = last_event.map(|last| report.now.ms_since(last).max(0));
    let mostly_bad = bad.len() * 2 > lanes.len();
    let fresh = age_ms.is_some_and(|age| age <= stale_after_ms.cast_signed());
    let lost = links.iter().find(|l| !l.up).map(|l| l.words.clone());
    let worst = || {
        let worst = bad.iter().max_by_key(|l| l.state)?;
        Some(format!("{} {}: {}", worst.instrument.name, worst.channel.name(), worst.words))
    };
    let why = match age_ms {
        None => "no data yet".to_owned(),
        Some(age) if !fresh => format!("no data for {age} ms, allowed are {stale_after_ms} ms"),
        Some(_) if mostly_bad => format!("{} of {} lanes are not well", bad.len(), lanes.len()),
        Some(age) => format!("data came {age} ms ago"),
    };
    SourceHealth {
        source,
        healthy: fresh && !mostly_bad,
        why,
        last_event,
        lanes: lanes.len(),
        bad_lanes: bad.len(),
        events: lanes.iter().map(|l| l.events).sum(),
        gaps: lanes.iter().map(|l| l.gaps).sum(),
        links_up: links.iter().filter(|l| l.up).count(),
        links: links.len(),
        problem: lost.or_else(worst),
    }
}

/// The median time from the venue's clock to ours over recent events of a source, or of all, in µs. `None` where venues
/// give no time, nothing is recent, or the clocks disagree so much that it would be below zero.
pub(crate) fn latency_us(site: &Site, report: &Report, source: Option<SourceName>) -> Option<i64> {
    const LANES_MAX: usize = 32;
    const TRADES_MAX: usize = 16;
    let recent = |ts: Ts| report.now.ms_since(ts) <= site.config.stale_after_ms.cast_signed();
    let mut lanes: Vec<&LaneReport> = report
        .lanes
        .iter()
        .filter(|l| source.is_none_or(|s| s == l.source) && l.last_event.is_some_and(recent))
        .collect();
    lanes.sort_unstable_by_key(|l| std::cmp::Reverse(l.last_event));
    let mut delays = Vec::new();
    for lane in lanes.into_iter().take(LANES_MAX) {
        let (id, channel) = (lane.instrument.id, lane.channel);
        let told_by = Some(lane.source);
        let last = site.bus.last(id, channel).into_iter().filter(|p| p.event.source == lane.source);
        let newest = last.chain(site.bus.trades(told_by, id, channel, TRADES_MAX));
        let stamps = newest.map(|p| p.event.stamp);
        let book = site.bus.book_by(told_by, id, channel, 0).map(|b| b.stamp);
        for stamp in stamps.chain(book).filter(|s| recent(s.ts_recv)) {
            delays.extend(stamp.ts_event.map(|at| stamp.ts_recv.0.saturating_sub(at.0) / 1_000));
        }
    }
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().filter(|us| *us >= 0)
}
