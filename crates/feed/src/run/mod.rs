//! Runs a source: listings, wants, shards, each on a task of its own.

mod listings;
mod meter;
mod record;
mod shard;
mod wants;

use crate::config::SourceConfig;
use crate::error::Result;
use crate::limits::Limiter;
use crate::net::{Answer, Net};
use crate::{clock, pump};
use bus::Bus;
use listings::Listings;
use model::{Body, Channel, Event, Flags, Instrument, LinkFact, LinkId, Stamp, Ts};
use record::Recorder;
use shard::{Line, Plan};
use source::{Source, Want};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
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
/// How many new definitions may wait for a shard.
const DEFINES_MAX: usize = 4_096;
/// How long nothing is asked after a 429 that does not say, in ms.
const TOO_MANY_MS: u64 = 10_000;
/// How long nothing is asked after a 418 that does not say, in ms.
const BANNED_MS: u64 = 120_000;

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
    /// Turns true when it is time to stop.
    pub shutdown: watch::Receiver<bool>,
}

/// What all shards of a source share.
pub(crate) struct Shared {
    source: &'static dyn Source,
    net: Net,
    context: Context,
    recorder: Option<Recorder>,
    /// How often connections may be opened, by endpoint.
    connects: Vec<Mutex<Limiter>>,
    /// How much may be asked by REST, by endpoint.
    weights: Vec<Mutex<Limiter>>,
    star: Arc<Instrument>,
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
    let net = Net::new(spec, &config.hosts)?;
    let recorder = context.tape.clone().map(|tape| Recorder::new(tape, spec, &net)).transpose()?;
    let limits = |rate: fn(&source::Endpoint) -> source::Rate| {
        spec.endpoints.iter().map(|e| Mutex::new(Limiter::new(rate(e)))).collect()
    };
    let shared = Shared {
        source,
        net,
        context,
        recorder,
        connects: limits(|e| e.connects),
        weights: limits(|e| e.weight),
        star: pump::pseudo(spec.name),
    };
    let mut runner = Runner {
        listings: Listings::new(source),
        wants: Wants::new(config, spec),
        lines: Vec::new(),
        tasks: JoinSet::new(),
        next_link: 1,
        refresh: Duration::from_millis(config.listing_refresh_ms.max(1_000)),
        options: config.options(),
        shared: Arc::new(shared),
    };
    runner.run().await;
    Ok(())
}

struct Runner {
    shared: Arc<Shared>,
    listings: Listings,
    wants: Wants,
    lines: Vec<(Line, Option<Id>)>,
    tasks: JoinSet<()>,
    next_link: u32,
    refresh: Duration,
    options: source::Options,
}

/// What a runner waited for.
enum News {
    Stop,
    Refresh,
    Flush,
    Failed(Id, String),
}

impl Runner {
    async fn run(&mut self) {
        let mut shutdown = self.shared.context.shutdown.clone();
        let mut wait_ms = RETRY_FIRST_MS;
        let mut next = tokio::time::Instant::now();
        let mut flush = tokio::time::interval(Duration::from_millis(FLUSH_MS));
        loop {
            let news = tokio::select! {
                () = stopped(&mut shutdown) => News::Stop,
                () = tokio::time::sleep_until(next) => News::Refresh,
                _ = flush.tick() => News::Flush,
                Some(ended) = self.tasks.join_next_with_id() => match ended {
                    Ok(_) => continue,
                    Err(error) => News::Failed(error.id(), error.to_string()),
                },
            };
            match news {
                News::Stop => break,
                News::Flush => self.shared.flush(),
                News::Failed(id, why) => self.failed(id, &why),
                News::Refresh => {
                    let complete = tokio::select! {
                        () = stopped(&mut shutdown) => break,
                        complete = self.refresh(wait_ms) => complete,
                    };
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
            for (line, _) in self.lines.iter().filter(|(line, _)| line.wants(instrument.id)) {
                // A full queue is a shard that hangs; it is told at the next change.
                _ = line.defines.try_send(Arc::clone(instrument));
            }
        }
        let new = self.wants.resolve(self.listings.catalogue(), found.complete, &self.shared);
        self.start(&new);
        found.complete
    }

    fn start(&mut self, wants: &[Want]) {
        if wants.is_empty() {
            return;
        }
        for shard in self.shared.source.shards(wants, &self.options) {
            let links = [LinkId(self.next_link), LinkId(self.next_link + 1)];
            self.next_link += 2;
            let (defines, incoming) = mpsc::channel(DEFINES_MAX);
            let plan = Plan { shard, links };
            let task = self.tasks.spawn(shard::run(Arc::clone(&self.shared), plan.clone(), incoming, 0));
            self.lines.push((Line { plan, defines }, Some(task.id())));
        }
    }

    /// A shard's task panicked: our fault, and no reason to stop the rest.
    fn failed(&mut self, id: Id, why: &str) {
        let Some((line, task)) = self.lines.iter_mut().find(|(_, task)| *task == Some(id)) else { return };
        let source = self.shared.source.spec().name;
        tracing::error!(source, link = line.plan.links[0].0, why, "the task of a connection failed");
        let now = clock::now();
        for want in line.plan.shard.wants.iter().filter(|w| w.channel == Channel::Book) {
            let gap = model::Gap { cause: model::GapCause::Disconnected, from_seq: None, to_seq: None };
            self.shared.tell(&want.instrument, want.channel, Body::Gap(gap), now);
        }
        for link in line.plan.links {
            let why = format!("its task failed: {why}").into();
            self.shared.link(LinkFact::Down { link, why, retry_ms: Some(FAILED_MS) }, now);
        }
        let (defines, incoming) = mpsc::channel(DEFINES_MAX);
        line.defines = defines;
        let again = shard::run(Arc::clone(&self.shared), line.plan.clone(), incoming, FAILED_MS);
        *task = Some(self.tasks.spawn(again).id());
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
        wait(self.weights.get(endpoint), weight).await;
        let answer = self.net.fetch(endpoint, path).await;
        let default_ms = if answer.status == 418 { BANNED_MS } else { TOO_MANY_MS };
        if matches!(answer.status, 418 | 429)
            && let Some(limiter) = self.weights.get(endpoint)
        {
            let until = clock::now().plus_ms(answer.retry_ms.unwrap_or(default_ms));
            limiter.lock().unwrap_or_else(PoisonError::into_inner).block(until);
        }
        if let Some(recorder) = &self.recorder
            && answer.status != 0
        {
            let url = format!("{}{path}", self.net.rest(endpoint));
            let entry = tape::Entry::Reply { url: Some(&url), status: answer.status, body: &answer.body };
            recorder.put(clock::now(), link, entry);
        }
        answer
    }
}

/// Returns when it is time to stop, or nobody is left who could say so.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    _ = shutdown.wait_for(|stop| *stop).await;
}

/// Waits until the limiter allows `weight`.
async fn wait(limiter: Option<&Mutex<Limiter>>, weight: u32) {
    let Some(limiter) = limiter else { return };
    loop {
        let now = clock::now();
        let taken = limiter.lock().unwrap_or_else(PoisonError::into_inner).take(weight, now);
        let Err(at) = taken else { return };
        tokio::time::sleep(clock::until(at, now).max(Duration::from_millis(1))).await;
    }
}
