//! How fast events are safe.

use super::world::{BUSY, PRODUCT, SOURCE, START, World};
use super::{ASKED, Result};
use crate::frames::Set;
use crate::machine::resident_mib;
use crate::stages;
use bus::Bus;
use engine::Engine;
use metrics::Metrics;
use model::{Event, InstrumentId, Ts};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Acked, Config, Running, Store, Table};
use tokio::sync::watch;

/// Steps of the day: a trade and a quote each.
const STEPS: u64 = 8_200_000;
/// So many events wait at most to be safe; with more the store would say that it lost some.
const AHEAD: u64 = 100_000;
/// Events a second, and steps, where they come at a pace.
const PACE: (u64, u64) = (500_000, 2_000_000);
/// How many events the live route brings at least.
const LIVE_EVENTS: u64 = 4_000_000;

pub fn head(out: &mut String) -> Result<()> {
    writeln!(
        out,
        "| durable ingest | events | events/s | ms a commit | log bytes an event | MiB at 1/4, 1/2, 3/4, end |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---|")?;
    Ok(())
}

/// What is measured while events are published.
struct Measured {
    bus: Arc<Bus>,
    metrics: Arc<Metrics>,
    running: Running,
    acked: watch::Receiver<Acked>,
    begun: Instant,
    count: u64,
    resident: Vec<u64>,
}

impl Measured {
    fn begin(config: &Config, now: Ts) -> Result<(Self, store::Reader)> {
        let (store, _) = Store::open(config.clone())?;
        let (bus, metrics) = (Arc::new(Bus::new(bus::Config::default(), now)), Arc::new(Metrics::new()));
        let reader = store.reader();
        let running = store.start(&bus, Arc::clone(&metrics));
        let acked = running.acked();
        let (begun, count, resident) = (Instant::now(), 0, Vec::new());
        Ok((Self { bus, metrics, running, acked, begun, count, resident }, reader))
    }

    fn publish(&mut self, event: Event, at: Ts, of: u64) {
        self.bus.publish(event, at);
        self.count += 1;
        if self.count.is_multiple_of((of / 4).max(1)) {
            self.resident.push(resident_mib());
        }
    }

    /// Whether the store is so far behind that the next event should wait.
    fn behind(&self) -> bool {
        !self.bus.is_ready() || self.count - self.acked.borrow().kept > AHEAD
    }

    /// Returns when everything is safe.
    async fn end(&mut self, what: &str, out: &mut String) -> Result<()> {
        let count = self.count;
        self.acked.wait_for(|acked| acked.kept + acked.lost >= count).await?;
        let took = self.begun.elapsed().as_secs_f64();
        let (kept, store) = (self.acked.borrow().kept, &self.metrics.store);
        let commits = store.commits.get().max(1) as f64;
        let resident: Vec<String> = self.resident.iter().map(ToString::to_string).collect();
        let row = format!(
            "| {what} | {kept} of {count} | {:.0} | {:.2} | {:.1} | {} |",
            kept as f64 / took,
            store.commit_seconds.get() * 1e3 / commits,
            store.bytes.get() as f64 / count as f64,
            resident.join(", ")
        );
        println!("{row}");
        writeln!(out, "{row}")?;
        Ok(())
    }
}

/// A made day as fast as it goes; how long it then takes to ask memory for the newest trade, p50 and p99 in µs.
pub async fn made(config: &Config, out: &mut String) -> Result<(f64, f64)> {
    let (mut measured, reader) = Measured::begin(config, START)?;
    for event in World::new(STEPS) {
        while measured.behind() {
            tokio::task::yield_now().await;
        }
        let at = event.stamp.ts_recv;
        measured.publish(event, at, STEPS * 17 / 8);
    }
    measured.end("made events, as they come", out).await?;
    let id = InstrumentId::of(SOURCE, PRODUCT, BUSY);
    let mut times = Vec::new();
    for _ in 0..ASKED * 100 {
        let begun = Instant::now();
        let newest = reader.latest(Table::Trades, id, None, 1)?;
        times.push(begun.elapsed().as_nanos() as f64 / 1e3);
        std::hint::black_box(newest);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
    let latest = (at(50), at(99));
    drop(reader);
    measured.running.control().seal().await;
    measured.running.stop().await;
    Ok(latest)
}

/// A made day at a pace.
pub async fn paced(config: &Config, out: &mut String) -> Result<()> {
    let (mut measured, _) = Measured::begin(config, START)?;
    let (pace, steps) = PACE;
    for event in World::new(steps) {
        while measured.behind() {
            tokio::task::yield_now().await;
        }
        let due = measured.begun + Duration::from_micros(measured.count * 1_000_000 / pace);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let at = event.stamp.ts_recv;
        measured.publish(event, at, steps * 17 / 8);
    }
    measured.end(&format!("made events, {pace} a second"), out).await?;
    measured.running.stop().await;
    Ok(())
}

/// Frames through session, checks, books and bus to the log, again and again.
pub async fn live(config: &Config, set: &Set, out: &mut String) -> Result<()> {
    let (mut measured, _) = Measured::begin(config, START)?;
    let what = format!("the live route: frames of {}", set.name);
    let mut measured = std::thread::scope(|scope| {
        let route = scope.spawn(move || {
            while measured.count < LIVE_EVENTS {
                let mut engine = Engine::new(engine::Config::default());
                let mut events = Vec::with_capacity(64);
                let before = measured.count;
                stages::run(set, |now, event| {
                    engine.on(event, &mut events);
                    for event in events.drain(..) {
                        measured.publish(event, now, LIVE_EVENTS);
                    }
                    while measured.behind() {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                });
                if measured.count == before {
                    break;
                }
            }
            measured
        });
        route.join()
    })
    .map_err(|_| "the route ended by panic")?;
    measured.end(&what, out).await?;
    measured.running.stop().await;
    Ok(())
}
