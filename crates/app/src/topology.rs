//! The one page of wiring: sources → bus → servers.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::events;
use crate::sources::{SOURCES, named};
use crate::term::paint;
use bus::Bus;
use feed::SourceConfig;
use metrics::Metrics;
use model::ashare::{TradingCalendar, install};
use model::{SourceName, Ts};
use source::Source;
use std::path::Path;
use std::sync::Arc;
use store::sql::Sql;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A platform that runs.
pub struct Platform {
    /// Where everything passes.
    pub bus: Arc<Bus>,
    /// The servers and their addresses.
    pub running: serve::Running,
    shutdown: watch::Sender<bool>,
    sources: JoinSet<()>,
    store: Option<store::Running>,
}

impl Platform {
    /// Starts everything that the config asks for.
    ///
    /// # Errors
    /// Where a port or the folder of the events cannot be had. A venue that cannot be reached is no error: it is tried again, and shown.
    pub async fn start(config: Config) -> Result<Self> {
        let kept = events::open(&config.store)?;
        // The order of epochs is that of time, also where the clock has gone back.
        let newest = kept.as_ref().and_then(|(_, opened)| opened.newest).map_or(0, |newest| newest.epoch);
        let begin = feed::clock::now().max(Ts::from_ms(i64::try_from(newest).unwrap_or(i64::MAX)).plus_ms(1));
        let bus = Arc::new(Bus::new(config.bus.clone(), begin));
        let metrics = Arc::new(Metrics::new());
        let file = config.run.subscriptions.clone();
        let desk = feed::Desk::open(Some(file.clone()).filter(|path| !path.as_os_str().is_empty()))
            .map_err(|source| Error::Read { path: file, source })?;
        let desk = Arc::new(desk);
        let (shutdown, stopped) = watch::channel(false);
        let running = serve::run(
            config.serve.clone(),
            serve::Parts {
                bus: bus.clone(),
                metrics: metrics.clone(),
                sources: enabled(&config),
                desk: desk.clone(),
                store: kept.as_ref().map(|(store, _)| store.reader()),
                control: kept.as_ref().map(|(store, _)| store.control()),
                sql: kept.as_ref().map(|(store, _)| Sql::new(config.sql.clone(), Arc::new(store.reader()))),
                clock: feed::clock::now,
                shutdown: stopped.clone(),
            },
        )
        .await?;
        let store = kept.map(|(store, _)| store.start(&bus, metrics.clone()));
        let context = feed::Context {
            bus: bus.clone(),
            metrics,
            desk,
            engine: config.engine.clone(),
            tape: config.run.record.then(|| config.tape.clone()),
            seed: feed::clock::now().0.unsigned_abs(),
            shutdown: stopped,
        };
        let mut sources = JoinSet::new();
        for wanted in config.sources.iter().cloned() {
            let Some(source) = named(&wanted.name) else { continue };
            let config = context.desk.offer(source.spec(), wanted);
            sources.spawn(read(source, config, context.clone()));
        }
        Ok(Self { bus, running, shutdown, sources, store })
    }

    /// Stops everything and waits until it has.
    pub async fn stop(mut self) {
        // Where nobody listens any more everything has stopped already.
        _ = self.shutdown.send(true);
        while self.sources.join_next().await.is_some() {}
        // After the last event.
        if let Some(store) = self.store {
            let ended = store.stop().await;
            let (kept, lost, refused) = (ended.acked.kept, ended.acked.lost, ended.refused);
            if refused > 0 {
                tracing::error!(kept, lost, refused, "the disk refused the last events");
            } else {
                tracing::info!(kept, lost, "every event up to the end is kept or told as lost");
            }
        }
        self.running.ended().await;
    }
}

/// Reads a source by the config in force, and anew when that changes, until the shutdown.
async fn read(
    source: &'static dyn Source,
    mut config: watch::Receiver<SourceConfig>,
    context: feed::Context,
) {
    let mut shutdown = context.shutdown.clone();
    loop {
        let wanted = config.borrow_and_update().clone();
        let (stop, stopped) = watch::channel(false);
        let context = feed::Context { shutdown: stopped, ..context.clone() };
        let run = async {
            if let Err(error) = feed::run_source(source, &wanted, context).await {
                let error = crate::error::chain(&error);
                tracing::error!(source = wanted.name, error, "the source cannot run");
            }
        };
        let until = async {
            let changed = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => false,
                changed = config.changed() => changed.is_ok(),
            };
            // Where it has ended already nobody listens.
            _ = stop.send(true);
            changed
        };
        let ((), changed) = tokio::join!(run, until);
        if !changed {
            return;
        }
    }
}

/// The names of the sources that are read, for the life of the process.
fn enabled(config: &Config) -> &'static [SourceName] {
    let wanted = |name: &str| config.sources.iter().any(|s| s.enabled && s.name == name);
    let names: Vec<SourceName> = SOURCES.iter().map(|s| s.spec().name).filter(|name| wanted(name)).collect();
    names.leak()
}

/// Runs the platform until it is told to stop.
///
/// # Errors
/// As [`Platform::start`].
pub async fn run(config: Config, json: bool) -> Result<u8> {
    install_calendar(&config.run.calendar)?;
    let events = (!config.store.dir.as_os_str().is_empty()).then(|| config.store.dir.display().to_string());
    let recording = config.run.record.then(|| config.tape.dir.display().to_string());
    let platform = Platform::start(config).await?;
    print_where(&platform, None, json);
    if let Some(dir) = events.filter(|_| !json) {
        println!("  every event      {dir}");
    }
    if let Some(dir) = recording.filter(|_| !json) {
        println!("  raw frames       {dir}");
    }
    until_stopped().await?;
    platform.stop().await;
    Ok(0)
}

/// Puts the years of a file in force beside those that are built in.
fn install_calendar(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut calendar = TradingCalendar::built_in();
    calendar.read(&text).map_err(|fault| Error::Config(vec![format!("`{}`: {fault}", path.display())]))?;
    if !install(calendar) {
        tracing::error!(path = %path.display(), "the calendar came too late; the built-in one is in force");
    }
    Ok(())
}

/// Prints where to look; as JSON with the addresses of the simulators, where there are any.
pub fn print_where(platform: &Platform, simulators: Option<&serde_json::Value>, json: bool) {
    let addrs = &platform.running.addrs;
    if json {
        println!(
            "{}",
            serde_json::json!({ "http": format!("http://{}", addrs.http), "stream": format!("ws://{}/api/v1/stream", addrs.http),
                "metrics": format!("http://{}/metrics", addrs.metrics), "probes": format!("http://{}/health/ready", addrs.probe), "simulators": simulators })
        );
        return;
    }
    println!("{}", paint("清溪 Qingxi runs. Look here:", "32"));
    println!("  the page         http://{}/", addrs.http);
    println!("  REST             http://{}/api/v1/lanes", addrs.http);
    println!("  the stream       ws://{}/api/v1/stream", addrs.http);
    println!("  metrics          http://{}/metrics", addrs.metrics);
    println!("  probes           http://{}/health/ready", addrs.probe);
    println!("  in words         qingxi status --url http://{}", addrs.http);
}

/// Returns at Ctrl-C or a termination signal.
///
/// # Errors
/// Where signals cannot be heard.
pub async fn until_stopped() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(Error::Runtime),
        _ = terminated.recv() => Ok(()),
    }
}
