//! What happened in the last ten seconds, measured once a second.

use crate::listen::stopped;
use crate::site::Site;
use hashbrown::HashMap;
use model::SourceName;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many samples span the window.
const SAMPLES: usize = 11;
/// Clock ticks a second in `/proc/self/stat`; the same on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

#[derive(Default)]
pub(crate) struct Rates(Mutex<VecDeque<Sample>>);

struct Sample {
    at: Instant,
    number: u64,
    sources: HashMap<SourceName, u64>,
    cpu_ticks: Option<u64>,
}

/// A rate over the window, a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Events published. `None` in the first second.
    pub(crate) events: Option<f64>,
    /// Events by source.
    pub(crate) sources: HashMap<SourceName, f64>,
    /// Cores in use. `None` where the system does not say.
    pub(crate) cores: Option<f64>,
}

impl Rates {
    pub(crate) fn measured(&self) -> Measured {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return Measured::default() };
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        if seconds < 0.5 {
            return Measured::default();
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        let of = |source: &SourceName| first.sources.get(source).copied().unwrap_or(0);
        let cores = first.cpu_ticks.zip(last.cpu_ticks).map(|(from, to)| rate(from, to) / TICKS_A_SECOND);
        Measured {
            events: Some(rate(first.number, last.number)),
            sources: last.sources.iter().map(|(s, n)| (*s, rate(of(s), *n))).collect(),
            cores,
        }
    }

    fn take(&self, site: &Site) {
        let mut sources = HashMap::new();
        for lane in site.bus.lane_views() {
            *sources.entry(lane.source).or_insert(0) += lane.events;
        }
        let number = site.bus.cursor().number;
        let sample = Sample { at: Instant::now(), number, sources, cpu_ticks: cpu_ticks() };
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

/// Takes a sample each second until the shutdown.
pub(crate) async fn measure(site: Arc<Site>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    let mut stop = site.shutdown.clone();
    loop {
        tokio::select! {
            _ = every.tick() => site.rates.take(&site),
            () = stopped(&mut stop) => return,
        }
    }
}

/// CPU time of this process so far.
fn cpu_ticks() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may hold anything; user and system time are fields 14 and 15.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Memory of this process in use, in bytes. `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1_024)
}
