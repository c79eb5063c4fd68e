//! Runs a source: listings, wants, shards, each on a task of its own.

mod clocks;
mod held;
mod listings;
mod meter;
mod record;
mod shard;
mod wants;
mod watch;

use crate::client::{Client, wait};
use crate::config::SourceConfig;
use crate::desk::Desk;
use crate::error::Result;
use crate::limits::Limiter;
use crate::net::Answer;
use crate::{clock, pump};
use bus::Bus;
use listings::Listings;
use model::{Body, Channel, Decimal, Event, Flags, Instrument, InstrumentId, LinkFact, LinkId, Stamp, Ts};
use record::Recorder;
use shard::{Line, Order, Plan};
use source::Source;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch as signal};
use tokio::task::{Id, JoinSet};
use wants::Wants;

/// The first wait after listings could not be read, in ms.
const RETRY_FIRST_MS: u64 = 1_000;
/// The longest, in ms.
const RETRY_LONGEST_MS: u64 = 60_000;
/// How long a shard whose task has failed waits, in ms.
const FAILED_MS: u64 = 5_000;
/// How often what was recorded is handed to the operating system, in ms.
const FLUSH_MS: u64 = 2_000;
/// How often the venue's clock is asked for, in ms.
const CLOCK_MS: u64 = 60_000;
/// The most connections that may carry the same.
const CONNECTIONS_MAX: u32 = 8;

/// How many definitions and changes may wait for a shard.
const ORDERS_MAX: usize = 4_096;

/// What a source is run in.
#[derive(Clone)]
pub struct Context {
    /// Where events go.
    pub bus: Arc<Bus>,
    /// Where is counted.
    pub metrics: Arc<metrics::Metrics>,
    /// How books are checked.
    pub engine: engine::Config,
    /// Where raw frames are kept; nowhere where `None`.
    pub tape: Option<tape::Config>,
    /// Luck of waits.
    pub seed: u64,
    /// What is wanted.
    pub desk: Arc<Desk>,
    /// Turns true when it is time to stop.
    pub shutdown: signal::Receiver<bool>,
}

/// What all shards of a source share.
pub(crate) struct Shared {
    source: &'static dyn Source,
    client: Client,
    context: Context,
    recorder: Option<Recorder>,
    /// How often connections may be opened, by endpoint.
    connects: Vec<Mutex<Limiter>>,
    star: Arc<Instrument>,
    /// What must be kept nowhere.
    secrets: Vec<String>,
    /// How often a live book is held against the venue's, in ms.
    referee_ms: u64,
    /// Where samples of frames go, where the wire is watched.
    samples: OnceLock<mpsc::Sender<watch::Taken>>,
}

/// Reads a source until `shutdown` turns true.
///
/// A venue that cannot be reached is tried again and shown as such; nothing else suffers.
///
/// # Errors
/// Where the config cannot be carried out at all: a host or a proxy that is no address, a folder for tapes that cannot
/// be made.
///
/// # Cancel safety
/// Dropping it stops all tasks at once; what was recorded last may be lost.
pub async fn run_source(source: &'static dyn Source, config: &SourceConfig, context: Context) -> Result<()> {
    if !config.enabled {
        return Ok(());
    }
    let spec = source.spec();
    let client = Client::new(source, &config.hosts)?;
    let recorder = context.tape.clone().map(|tape| Recorder::new(tape, spec, &client.net)).transpose()?;
    let shared = Shared {
        source,
        client,
        context,
        recorder,
        connects: spec.endpoints.iter().map(|e| Mutex::new(Limiter::new(e.connects))).collect(),
        star: pump::pseudo(spec.name),
        secrets: [&config.login_key, &config.login_secret].map(|secret| secret.bare().to_owned()).into(),
        referee_ms: config.referee_ms,
        samples: OnceLock::new(),
    };
    let shared = Arc::new(shared);
    if config.drift {
        _ = shared.samples.set(watch::start(&shared));
    }
    let mut runner = Runner {
        listings: Listings::new(source),
        wants: Wants::default(),
        wishes: shared.context.desk.join(spec, config),
        turnovers: HashMap::new(),
        connections: config.connections.clamp(1, CONNECTIONS_MAX),
        lines: Vec::new(),
        tasks: JoinSet::new(),
        next_link: 1,
        refresh: Duration::from_millis(config.listing_refresh_ms.max(1_000)),
        options: config.options(),
        shared,
    };
    runner.run().await;
    Ok(())
}

struct Runner {
    shared: Arc<Shared>,
    listings: Listings,
    wants: Wants,
    /// Changes when a wish does.
    wishes: signal::Receiver<u64>,
    turnovers: HashMap<InstrumentId, Decimal>,
    /// How many connections carry the same.
    connections: u32,
    lines: Vec<Line>,
    tasks: JoinSet<()>,
    next_link: u32,
    refresh: Duration,
    options: source::Options,
}

/// What a runner waited for.
enum News {
    Stop,
    Refresh,
    Wishes,
    Clock,
    Flush,
    Failed(Id, String),
}

impl Runner {
    async fn run(&mut self) {
        let mut shutdown = self.shared.context.shutdown.clone();
        let mut wait_ms = RETRY_FIRST_MS;
        let mut next = tokio::time::Instant::now();
        let mut flush = tokio::time::interval(Duration::from_millis(FLUSH_MS));
        let mut ask_time = tokio::time::interval(Duration::from_millis(CLOCK_MS));
        let mut known = false;
        loop {
            let news = tokio::select! {
                () = stopped(&mut shutdown) => News::Stop,
                () = tokio::time::sleep_until(next) => News::Refresh,
                _ = flush.tick() => News::Flush,
                _ = ask_time.tick() => News::Clock,
                Ok(()) = self.wishes.changed() => News::Wishes,
                Some(ended) = self.tasks.join_next_with_id() => match ended {
                    Ok(_) => continue,
                    Err(error) => News::Failed(error.id(), error.to_string()),
                },
            };
            match news {
                News::Stop => break,
                News::Flush => self.shared.flush(),
                News::Failed(id, why) => self.failed(id, &why),
                News::Clock => {
                    tokio::spawn(clocks::ask(Arc::clone(&self.shared)));
                }
                // Before the first listing there is nothing to choose from.
                News::Wishes if !known => {}
                News::Wishes => tokio::select! {
                    () = stopped(&mut shutdown) => break,
                    () = self.arrange(true) => {}
                },
                News::Refresh => {
                    let complete = tokio::select! {
                        () = stopped(&mut shutdown) => break,
                        complete = self.refresh(wait_ms) => complete,
                    };
                    known |= complete;
                    let wait = if complete {
                        wait_ms = RETRY_FIRST_MS;
                        self.refresh
                    } else {
                        let now = wait_ms;
                        wait_ms = (wait_ms * 2).min(RETRY_LONGEST_MS);
                        Duration::from_millis(now).min(self.refresh)
                    };
                    next = tokio::time::Instant::now() + wait;
                }
            }
        }
        // The shards see the same signal and end by themselves.
        while self.tasks.join_next().await.is_some() {}
        self.shared.flush();
    }

    /// Reads the listings, tells what is new, and starts what can be started. True where every listing was read.
    async fn refresh(&mut self, retry_ms: u64) -> bool {
        let found = self.listings.read(&self.shared, retry_ms).await;
        let now = clock::now();
        for instrument in &found.changed {
            self.shared.context.bus.ready().await;
            self.shared.tell(instrument, Channel::Instruments, Body::Instrument, now);
            for line in self.lines.iter().filter(|line| line.wants(instrument.id)) {
                // A full queue is a shard that hangs; it is told at the next change.
                _ = line.orders.try_send(Order::Define(Arc::clone(instrument)));
            }
        }
        self.arrange(found.complete).await;
        found.complete
    }

    /// Brings what is carried in line with what is wanted.
    async fn arrange(&mut self, complete: bool) {
        if Wants::need_turnovers(&self.shared) {
            self.turnovers = listings::turnovers(&self.shared, self.listings.catalogue()).await;
        }
        let wanted = self.wants.resolve(self.listings.catalogue(), &self.turnovers, complete, &self.shared);
        if complete {
            wants::drop_unwanted(&mut self.lines, &wanted.lanes);
            for line in self.lines.extract_if(.., |line| line.plan.shard.wants.is_empty() && !wanted.whole) {
                // Its task ends by itself once it has unsubscribed.
                _ = line.stop.send(true);
            }
        }
        let source = self.shared.source;
        let shards = if wanted.whole {
            // What takes all that comes needs no other connection beside.
            let carried = self.lines.iter().any(|line| line.plan.shard.wants.is_empty());
            if carried { Vec::new() } else { source.shards(&[], &self.options) }
        } else {
            let new = wants::news(&self.lines, &wanted.lanes);
            let shards = if new.is_empty() { Vec::new() } else { source.shards(&new, &self.options) };
            wants::fill(&mut self.lines, source, shards, &self.options)
        };
        for shard in shards {
            let first = self.next_link;
            self.next_link += self.connections + 1;
            let plan = Plan { shard, links: (first..self.next_link).map(LinkId).collect() };
            let line = self.begin(plan, 0);
            self.lines.push(line);
        }
    }

    fn begin(&mut self, plan: Plan, pause_ms: u64) -> Line {
        let (orders, incoming) = mpsc::channel(ORDERS_MAX);
        let (stop, stopping) = signal::channel(false);
        let shared = Arc::clone(&self.shared);
        let task = self.tasks.spawn(shard::run(shared, plan.clone(), incoming, stopping, pause_ms));
        Line { plan, orders, stop, task: Some(task.id()) }
    }

    /// A shard's task panicked: our fault, and no reason to stop the rest.
    fn failed(&mut self, id: Id, why: &str) {
        let Some(at) = self.lines.iter().position(|line| line.task == Some(id)) else { return };
        let plan = self.lines.remove(at).plan;
        let source = self.shared.source.spec().name;
        let link = plan.links.first().map_or(0, |link| link.0);
        tracing::error!(source, link, why, "the task of a connection failed");
        let now = clock::now();
        for want in plan.shard.wants.iter().filter(|w| w.channel == Channel::Book) {
            let gap = model::Gap { cause: model::GapCause::Disconnected, from_seq: None, to_seq: None };
            self.shared.tell(&want.instrument, want.channel, Body::Gap(gap), now);
        }
        for link in &plan.links {
            let why = format!("its task failed: {why}").into();
            self.shared.link(LinkFact::Down { link: *link, why, retry_ms: Some(FAILED_MS) }, now);
        }
        let line = self.begin(plan, FAILED_MS);
        self.lines.push(line);
    }
}

impl Shared {
    /// Publishes an event of our own making.
    fn tell(&self, instrument: &Arc<Instrument>, channel: Channel, body: Body, now: Ts) {
        let event = Event {
            source: self.source.spec().name,
            instrument: Arc::clone(instrument),
            channel,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: None, ts_recv: now },
            body,
        };
        self.context.bus.publish(event, now);
    }

    fn link(&self, fact: LinkFact, now: Ts) {
        self.tell(&self.star, Channel::Link, Body::Link(fact), now);
    }

    fn flush(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.flush();
        }
    }

    /// Waits until a connection to the endpoint may be opened.
    async fn may_connect(&self, endpoint: usize) {
        wait(self.connects.get(endpoint), 1).await;
    }

    /// Asks by REST within the endpoint's limits, and keeps the answer where answers are kept.
    async fn fetch(&self, link: LinkId, endpoint: usize, path: &str, weight: u32) -> Answer {
        let answer = self.client.fetch(endpoint, path, weight).await;
        if let Some(recorder) = &self.recorder
            && answer.status != 0
        {
            let url = format!("{}{path}", self.client.net.rest(endpoint));
            let entry = tape::Entry::Reply { url: Some(&url), status: answer.status, body: &answer.body };
            recorder.put(clock::now(), link, entry);
        }
        answer
    }
}

/// Returns when it is time to stop, or nobody is left who could say so.
pub(crate) async fn stopped(shutdown: &mut signal::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}
