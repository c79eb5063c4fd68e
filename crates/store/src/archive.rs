//! A lossless reader of the bus that commits to the log.
//!
//! It reads all the time, also while the disk works. What the disk does not take waits in memory up to a bound; beyond it
//! the oldest is lost, counted, and told by an entry of the log as soon as the disk takes one. The bus never waits for the
//! disk.

use crate::log::{Committed, Entry, Log, Lost};
use crate::shelf::Shelf;
use crate::{Config, Result};
use bus::{Bus, Cursor, Filter, Item, Policy};
use metrics::Metrics;
use model::{Body, Event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How many events may wait in the bus for this reader before publishers wait; it reads at once.
const QUEUE_MAX: usize = 65_536;
/// How many events are read at once.
const READ_MAX: usize = 8_192;
/// How many bytes of events one commit takes.
const BATCH_BYTES_MAX: u64 = 8 << 20;

/// What is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Every event of its epoch up to here is kept or told as lost; `None` before the first.
    pub cursor: Option<Cursor>,
    /// How many events are kept since the start.
    pub kept: u64,
    /// How many were lost since the start.
    pub lost: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What is safe.
    pub acked: Acked,
    /// How many events the disk refused to the end.
    pub refused: u64,
}

/// Commits every event of a bus, until it is stopped.
#[derive(Debug)]
pub struct Archive {
    task: JoinHandle<Ended>,
    stop: watch::Sender<bool>,
    acked: watch::Receiver<Acked>,
}

impl Archive {
    /// Begins to read everything that is published from now on.
    pub fn start(log: Log, config: Config, bus: &Arc<Bus>, metrics: Arc<Metrics>) -> Self {
        Self::with(log, config, bus, metrics, None)
    }

    /// As [`Archive::start`]; what is safe also goes to the shelf, until it stands in files.
    pub(crate) fn with(
        log: Log,
        config: Config,
        bus: &Arc<Bus>,
        metrics: Arc<Metrics>,
        shelf: Option<Arc<Shelf>>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (told, acked) = watch::channel(Acked::default());
        let reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: QUEUE_MAX }, None);
        metrics.store.disk_bytes.set(log.bytes().cast_signed());
        let work = Work {
            config,
            reader,
            metrics,
            told,
            log: Some(log),
            shelf,
            ended_segments: VecDeque::new(),
            begun: None,
            pending: Pending::default(),
            due: None,
            failing: false,
            items: Vec::new(),
            ended: Ended::default(),
        };
        Self { task: tokio::spawn(work.run(stopped)), stop, acked }
    }

    /// Tells what is safe, each time it changes.
    pub fn acked(&self) -> watch::Receiver<Acked> {
        self.acked.clone()
    }

    /// Commits what was published up to now and closes the log.
    pub async fn stop(self) -> Ended {
        // Where nobody listens it has ended already.
        let _ = self.stop.send(true);
        self.task.await.unwrap_or_else(|_| Ended { acked: *self.acked.borrow(), refused: 0 })
    }
}

/// What a commit gives back.
type Flight = JoinHandle<(Log, Vec<Entry>, Result<Committed>, Duration)>;

struct Work {
    config: Config,
    reader: bus::Reader,
    metrics: Arc<Metrics>,
    told: watch::Sender<Acked>,
    /// `None` while a commit goes on.
    log: Option<Log>,
    shelf: Option<Arc<Shelf>>,
    /// Segments that have ended and are not yet sealed, with their last numbers.
    ended_segments: VecDeque<(u64, Cursor)>,
    /// When the segment in hand was begun.
    begun: Option<Instant>,
    pending: Pending,
    /// When what waits is to be committed.
    due: Option<Instant>,
    failing: bool,
    items: Vec<Item>,
    ended: Ended,
}

impl Work {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Ended {
        let mut flight: Option<Flight> = None;
        let mut stopping = false;
        loop {
            if flight.is_none() {
                if stopping && (self.pending.entries.is_empty() || self.failing) {
                    break;
                }
                if stopping || !self.failing && self.pending.bytes >= self.config.commit_bytes {
                    flight = self.commit(false);
                    continue;
                }
            }
            let due = self.due.filter(|_| flight.is_none());
            tokio::select! {
                biased;
                done = landed(&mut flight) => {
                    flight = None;
                    let Ok((log, batch, result, took)) = done else {
                        tracing::error!("a commit ended by panic; events are kept no longer");
                        return self.ended;
                    };
                    self.done(log, batch, result, took);
                }
                () = at(due) => flight = self.commit(false),
                () = end_wanted(self.shelf.as_deref()), if flight.is_none() => flight = self.commit(true),
                _ = stopped.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    while self.reader.try_read(&mut self.items, READ_MAX) {
                        self.take();
                    }
                    // A disk that refuses is asked once more.
                    self.failing = false;
                }
                () = self.reader.read(&mut self.items, READ_MAX), if !stopping => self.take(),
            }
        }
        self.ended.refused = self.pending.events();
        if let Some(Err(error)) = self.log.take().map(Log::close) {
            tracing::error!(error = words(&error), "the log of events was not closed");
        }
        self.ended
    }

    /// Takes over what was read.
    fn take(&mut self) {
        for item in self.items.drain(..) {
            match item {
                Item::Event { published, .. } => self.pending.push(Entry::Event(published)),
                Item::Skipped(skipped) => {
                    tracing::error!(
                        from = skipped.from,
                        to = skipped.to,
                        "a lossless reader of the bus lost events"
                    );
                }
            }
        }
        self.trim();
        if self.due.is_none() {
            self.due = Some(Instant::now() + Duration::from_millis(self.config.commit_ms));
        }
        self.metrics.store.waiting.set(self.pending.entries.len() as i64);
    }

    fn trim(&mut self) {
        let why = if self.failing { "the disk refused" } else { "the disk was slow" };
        let lost = self.pending.trim(self.config.waiting_bytes_max, why);
        self.ended.acked.lost += lost;
        self.metrics.store.lost.inc_by(lost);
    }

    /// Starts to commit what waits, after the end of the segment in hand where that is wanted; it goes on beside the
    /// reading.
    fn commit(&mut self, end: bool) -> Option<Flight> {
        self.due = None;
        let batch = self.pending.batch();
        if batch.is_empty() && !end {
            return None;
        }
        let mut log = self.log.take()?;
        let end = end || self.is_segment_over();
        let sealed = self.shelf.as_ref().map(|shelf| shelf.sealed().segment);
        Some(tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            if end {
                log.retire();
            }
            if let Some(Err(error)) = sealed.map(|sealed| log.release(sealed)) {
                tracing::warn!(error = words(&error), "segments that stand in files were not deleted");
            }
            let result = log.commit(&batch);
            (log, batch, result, begun.elapsed())
        }))
    }

    /// Whether the segment in hand is to end, so that it can be sealed.
    fn is_segment_over(&mut self) -> bool {
        let Some(shelf) = &self.shelf else { return false };
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let over = begun.elapsed() >= Duration::from_millis(self.config.seal_ms)
            || shelf.hot.bytes() >= self.config.hot_bytes_max && self.ended_segments.is_empty();
        if over {
            self.begun = None;
        }
        over
    }

    /// Hands over what is safe now.
    fn shelve(&mut self, batch: &[Entry], retired: Vec<(u64, Cursor)>) {
        let Some(shelf) = &self.shelf else { return };
        let events = batch.iter().filter_map(|entry| match entry {
            Entry::Event(published) => Some(Arc::clone(published)),
            Entry::Lost(_) => None,
        });
        shelf.hot.push(events);
        let sealed = shelf.sealed().segment;
        if let Some((newest, _)) = retired.last() {
            self.begun = None;
            shelf.ended(*newest);
        }
        self.ended_segments.extend(retired);
        while self.ended_segments.pop_front_if(|(segment, _)| *segment <= sealed).is_some() {}
        // Where sealing does not keep up the log is all there is.
        while shelf.hot.bytes() > self.config.hot_bytes_max.saturating_mul(2)
            && let Some((_, last)) = self.ended_segments.pop_front()
        {
            shelf.hot.overflow(last);
        }
        self.metrics.store.hot_bytes.set(shelf.hot.bytes().cast_signed());
    }

    fn done(&mut self, mut log: Log, batch: Vec<Entry>, result: Result<Committed>, took: Duration) {
        let store = &self.metrics.store;
        store.disk_bytes.set(log.bytes().cast_signed());
        let retired = log.retired();
        self.log = Some(log);
        let mut wait = self.config.commit_ms;
        match result {
            Ok(committed) => {
                let events = batch.iter().filter(|entry| matches!(entry, Entry::Event(_))).count() as u64;
                store.commits.inc();
                store.commit_seconds.inc_by(took.as_secs_f64());
                store.events.inc_by(events);
                store.bytes.inc_by(committed.bytes);
                store.failing.set(0);
                if let Some(cursor) = committed.acked {
                    store.number.set(cursor.number.cast_signed());
                    self.ended.acked.cursor = Some(cursor);
                }
                self.ended.acked.kept += events;
                self.shelve(&batch, retired);
                self.told.send_replace(self.ended.acked);
                if std::mem::take(&mut self.failing) {
                    tracing::warn!(lost = self.ended.acked.lost, "the disk takes events again");
                }
                for segment in committed.deleted {
                    tracing::info!(segment, "old events were deleted to make room");
                }
            }
            Err(error) => {
                store.failures.inc();
                store.failing.set(1);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(error = words(&error), "the disk refuses events; they wait in memory");
                }
                self.pending.put_back(batch);
                self.trim();
                wait = self.config.retry_ms;
            }
        }
        if !self.pending.entries.is_empty() {
            self.due = Some(Instant::now() + Duration::from_millis(wait));
        }
    }
}

/// Returns when a commit is done; never where there is none.
async fn landed(
    flight: &mut Option<Flight>,
) -> std::result::Result<(Log, Vec<Entry>, Result<Committed>, Duration), tokio::task::JoinError> {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}

/// Returns when a segment is to end before it is due; never where nothing is sealed.
async fn end_wanted(shelf: Option<&Shelf>) {
    match shelf {
        Some(shelf) => shelf.end_wanted().await,
        None => std::future::pending().await,
    }
}

/// Returns at that time; never where there is none.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// An error with its cause on one line.
pub(crate) fn words(error: &crate::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// What waits for a commit, in the order of numbers.
#[derive(Debug, Default)]
struct Pending {
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Pending {
    fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// As much from the front as one commit takes.
    fn batch(&mut self) -> Vec<Entry> {
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some(entry) = self.entries.pop_front_if(|_| bytes < BATCH_BYTES_MAX) {
            bytes += weight(&entry);
            batch.push(entry);
        }
        self.bytes -= bytes;
        batch
    }

    /// What could not be committed comes first again.
    fn put_back(&mut self, batch: Vec<Entry>) {
        for entry in batch.into_iter().rev() {
            self.bytes += weight(&entry);
            self.entries.push_front(entry);
        }
    }

    /// Loses the oldest until the rest fits, and says so in their place; gives how many events these were.
    fn trim(&mut self, bytes_max: u64, why: &str) -> u64 {
        let mut lost: Option<Lost> = None;
        let mut events = 0;
        while self.bytes > bytes_max
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= weight(&entry);
            events += u64::from(matches!(entry, Entry::Event(_)));
            let (Cursor { epoch, number: from }, Cursor { number: to, .. }) = (entry.first(), entry.last());
            match &mut lost {
                Some(lost) => lost.to = to,
                None => lost = Some(Lost { epoch, from, to, why: why.into() }),
            }
        }
        if let Some(lost) = lost {
            self.put_back(vec![Entry::Lost(lost)]);
        }
        events
    }

    fn events(&self) -> u64 {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Event(_))).count() as u64
    }
}

/// About how many bytes of memory an entry takes.
fn weight(entry: &Entry) -> u64 {
    match entry {
        Entry::Event(published) => event_weight(&published.event),
        Entry::Lost(_) => 64,
    }
}

/// About how many bytes of memory an event takes.
pub(crate) fn event_weight(event: &Event) -> u64 {
    let items = match &event.body {
        Body::Snapshot(snapshot) => snapshot.levels.len(),
        Body::Delta(delta) => delta.levels.len(),
        Body::Ranking(ranking) => ranking.rows.len() * 4,
        Body::Sector(sector) => sector.members.len() * 2,
        Body::Fundamentals(facts) => facts.facts.len() * 3,
        Body::CorporateAction(action) => action.facts.len() * 3,
        Body::Finding(finding) => {
            finding.samples.iter().map(|sample| sample.len() / size_of::<model::Level>()).sum()
        }
        Body::Trade(_)
        | Body::Gap(_)
        | Body::Quote(_)
        | Body::Bar(_)
        | Body::DayStats(_)
        | Body::MarkPrice(_)
        | Body::IndexPrice(_)
        | Body::Funding(_)
        | Body::OpenInterest(_)
        | Body::Liquidation(_)
        | Body::VolatilityIndex(_)
        | Body::LongShortRatio(_)
        | Body::Greeks(_)
        | Body::Status(_)
        | Body::Order(_)
        | Body::Minute(_)
        | Body::CapitalFlow(_)
        | Body::Instrument
        | Body::Lane(_)
        | Body::Link(_) => 0,
    };
    (256 + items * size_of::<model::Level>()) as u64
}
