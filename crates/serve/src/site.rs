//! What every answer is made from.

use crate::one::One;
use crate::rates::Rates;
use crate::stream::Encoded;
use crate::{Config, Parts};
use bus::Bus;
use feed::Desk;
use lane::{LaneReport, LinkReport};
use metrics::Metrics;
use model::{SourceName, Ts};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For how long a report on all lanes is used again, so that many who ask at once cost one look.
const REPORT_KEPT: Duration = Duration::from_millis(100);

pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) bus: Arc<Bus>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sources: &'static [SourceName],
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Option<store::Reader>,
    clock: fn() -> Ts,
    pub(crate) started: Ts,
    /// Chinese stocks of all sources as one.
    pub(crate) one: One,
    pub(crate) rates: Rates,
    /// WebSocket clients at this moment.
    pub(crate) clients: AtomicUsize,
    pub(crate) encoded: Encoded,
    pub(crate) shutdown: watch::Receiver<bool>,
    report: Mutex<Option<(Instant, Arc<Report>)>>,
}

/// All lanes and connections at an instant.
pub(crate) struct Report {
    pub(crate) now: Ts,
    pub(crate) lanes: Vec<LaneReport>,
    pub(crate) links: Vec<LinkReport>,
}

impl Site {
    pub(crate) fn new(config: Config, parts: Parts) -> Self {
        let Parts { bus, metrics, sources, desk, store, clock, shutdown } = parts;
        Self {
            config,
            bus,
            metrics,
            sources,
            desk,
            store,
            clock,
            started: clock(),
            one: One::new(clock()),
            rates: Rates::default(),
            clients: AtomicUsize::new(0),
            encoded: Encoded::default(),
            shutdown,
            report: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Ts {
        (self.clock)()
    }

    /// The state of all lanes and connections, at most 100 ms old.
    pub(crate) fn report(&self) -> Arc<Report> {
        let now = self.now();
        let mut kept = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((taken, report)) = &*kept
            && taken.elapsed() < REPORT_KEPT
            && now.ms_since(report.now).abs() < 1_000
        {
            return Arc::clone(report);
        }
        let report = Arc::new(Report { now, lanes: self.bus.lanes(now), links: self.bus.links(now) });
        *kept = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    pub(crate) fn uptime_s(&self) -> i64 {
        self.now().ms_since(self.started).max(0) / 1_000
    }
}
