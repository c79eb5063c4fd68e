//! What every answer is made from.

use crate::one::One;
use crate::rates::Rates;
use crate::rest::post::Posted;
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
use store::sql::Sql;
use tokio::sync::{Notify, watch};

/// For how long a report on all lanes is used again, so that many who ask at once cost one look.
const REPORT_KEPT: Duration = Duration::from_millis(100);

pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) bus: Arc<Bus>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sources: &'static [SourceName],
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Option<store::Reader>,
    pub(crate) control: Option<store::Control>,
    /// Records that other programs brought.
    pub(crate) posted: Posted,
    pub(crate) sql: Option<Sql>,
    clock: fn() -> Ts,
    pub(crate) started: Ts,
    /// Chinese stocks of all sources as one.
    pub(crate) one: One,
    pub(crate) rates: Rates,
    /// WebSocket clients at this moment.
    pub(crate) clients: AtomicUsize,
    pub(crate) encoded: Encoded,
    pub(crate) shutdown: watch::Receiver<bool>,
    /// Of a replay: told by the first subscription.
    replay: Option<Notify>,
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
        let Parts { bus, metrics, sources, desk, store, control, sql, clock, shutdown } = parts;
        Self {
            config,
            bus,
            metrics,
            sources,
            desk,
            store,
            control,
            posted: Posted::default(),
            sql,
            clock,
            started: clock(),
            one: One::new(clock()),
            rates: Rates::default(),
            clients: AtomicUsize::new(0),
            encoded: Encoded::default(),
            shutdown,
            replay: None,
            report: Mutex::new(None),
        }
    }

    /// The same for one client, on a bus on which the past is published again; `shutdown` tells its end.
    pub(crate) fn replaying(&self, bus: Arc<Bus>, shutdown: watch::Receiver<bool>) -> Self {
        let (metrics, desk) = (Arc::clone(&self.metrics), Arc::clone(&self.desk));
        let (sources, clock) = (self.sources, self.clock);
        // Nothing but the stream is asked of it.
        let parts =
            Parts { bus, metrics, sources, desk, store: None, control: None, sql: None, clock, shutdown };
        Self { replay: Some(Notify::new()), ..Self::new(self.config.clone(), parts) }
    }

    /// Whether it is for a replay, of which a client gets everything.
    pub(crate) fn is_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// The client has said what it wants.
    pub(crate) fn begin(&self) {
        if let Some(replay) = &self.replay {
            replay.notify_one();
        }
    }

    /// Returns when the client of a replay has said what it wants.
    pub(crate) async fn begun(&self) {
        if let Some(replay) = &self.replay {
            replay.notified().await;
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
