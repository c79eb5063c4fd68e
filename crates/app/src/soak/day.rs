//! Hours of one venue in virtual time through the whole store, with limits so small that they bind.

use crate::error::{Error, Result};
use crate::term::{Cell, Table, paint};
use bus::{Bus, Published};
use indicatif::{ProgressBar, ProgressStyle};
use metrics::Metrics;
use model::{Event, Ts};
use serde::Serialize;
use sim::{Faults, Plan};
use source::Source;
use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::ledger::{Ledger, Row, Wanted};
use store::{Acked, Config, Reader, Store};
use tokio::sync::watch;

const HOUR_MS: u64 = 3_600_000;
/// Moves of the market in a second: so many that a day is over in minutes.
const MOVES_PER_S: u32 = 2;
/// So many events wait at most to be safe, and to be in files: an hour of the venue is a second of ours.
const AHEAD: u64 = 20_000;
/// What log and files may take.
const BUDGET_BYTES: u64 = 12 << 20;
const SEGMENT_BYTES: u64 = 512 << 10;
/// How many hours rows are kept: changes of books, all others.
const KEEP_HOURS: [u32; 2] = [6, 15];
/// Faults of connections, venue and clock are so far apart, in ms.
const STRIKE_MS: (u64, u64) = (30_000, 300_000);
/// How long files that were merged stay, in ms of ours: minutes of the venue's.
const SWEEP_MS: u64 = 100;
/// What may be open more than in the first hours, and taken of memory more as the hours go on.
const HANDLES_MORE: u64 = 16;
const WARM_HOURS: usize = 3;
const MEMORY_MORE: u64 = 64 << 20;

/// What was there at the end of an hour.
#[derive(Clone, Debug, Serialize)]
pub struct Hour {
    /// Hours since the beginning, in virtual time.
    pub hour: u64,
    /// Events so far.
    pub events: u64,
    /// Parquet files.
    pub files: u64,
    /// Bytes of the log and of all Parquet files on the disk, those that are about to be deleted among them.
    pub bytes: u64,
    /// Bytes of the catalogue.
    pub catalogue_bytes: u64,
    /// Rows that were deleted so far, by age or budget.
    pub dropped: u64,
    /// Bytes that merging has read so far.
    pub merged_bytes: u64,
    /// Open files of this process.
    pub handles: u64,
    /// Memory of this process.
    pub resident_bytes: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By hour.
    pub hours: Vec<Hour>,
    /// What log and files may take.
    pub budget_bytes: u64,
    /// Intervals of lanes that coverage tells.
    pub intervals: usize,
    /// Gaps among them.
    pub gaps: usize,
    /// What did not hold, in words.
    pub faults: Vec<String>,
}

/// Keeps so many hours of a source under faults in a folder.
///
/// # Errors
/// Where the folder does not take it.
pub fn keep(
    source: &'static dyn Source,
    seed: u64,
    hours: u64,
    dir: &Path,
    bar: &ProgressBar,
) -> Result<Report> {
    let config = Config {
        dir: dir.to_owned(),
        segment_bytes: SEGMENT_BYTES,
        seal_ms: 250,
        hot_bytes_max: 8 << 20,
        file_bytes: 2 << 20,
        total_bytes_max: BUDGET_BYTES,
        sweep_ms: SWEEP_MS,
        keep_hours: [("book_deltas", KEEP_HOURS[0]), ("default", KEEP_HOURS[1])]
            .map(|(table, hours)| (table.to_owned(), hours))
            .into(),
        ..Config::default()
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
    let _guard = runtime.enter();
    let (store, _) = Store::open(config.clone())?;
    let mut kept = Kept::new(dir, Arc::new(Metrics::new()));
    let bus = Arc::clone(&kept.bus);
    let running = store.start(&bus, Arc::clone(&kept.metrics));
    kept.acked = running.acked();
    let plan = Plan {
        seed,
        faults: Faults::All,
        faults_ms: hours * HOUR_MS,
        strike_ms: STRIKE_MS,
        moves_per_s: MOVES_PER_S,
        ..Plan::default()
    };
    sim::watch(source, plan, &mut |event| {
        kept.on(event);
        bar.set_position(kept.hours.len() as u64);
    });
    runtime.block_on(async {
        running.control().seal().await;
        running.stop().await;
    });
    let reader = Reader::open(dir)?;
    let mut faults = kept.faults(&reader, &config)?;
    let rows = kept.ledger.rows(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX));
    let told = reader.coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX))?;
    let known: HashSet<&Row> = told.iter().collect();
    let missing = rows.iter().filter(|row| !known.contains(row)).count();
    if missing > 0 || told.len() != rows.len() {
        faults.push(format!(
            "coverage tells {} intervals, {missing} of the {} that there were are not among them",
            told.len(),
            rows.len()
        ));
    }
    let gaps = told.iter().filter(|row| row.state == "gap").count();
    Ok(Report { hours: kept.hours, budget_bytes: BUDGET_BYTES, intervals: told.len(), gaps, faults })
}

/// The events so far, and what they were kept in.
struct Kept {
    dir: PathBuf,
    bus: Arc<Bus>,
    metrics: Arc<Metrics>,
    acked: watch::Receiver<Acked>,
    ledger: Ledger,
    begun: Option<Ts>,
    now: Ts,
    events: u64,
    hours: Vec<Hour>,
}

impl Kept {
    fn new(dir: &Path, metrics: Arc<Metrics>) -> Self {
        let bus = Arc::new(Bus::new(bus::Config::default(), Ts::default()));
        let (_, acked) = watch::channel(Acked::default());
        let (ledger, begun, now) = (Ledger::default(), None, Ts::default());
        Self { dir: dir.to_owned(), bus, metrics, acked, ledger, begun, now, events: 0, hours: Vec::new() }
    }

    fn on(&mut self, event: &Event) {
        let behind = |done: u64, most: u64| self.events.saturating_sub(done) > most;
        while !self.bus.is_ready()
            || behind(self.acked.borrow().kept, AHEAD)
            || behind(self.metrics.store.sealed.get(), AHEAD)
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.now = self.now.max(event.stamp.ts_recv);
        let begun = *self.begun.get_or_insert(self.now);
        let cursor = self.bus.publish(event.clone(), self.now);
        self.ledger.on(&Published { cursor, ts_pub: self.now, event: event.clone() });
        self.events += 1;
        while self.now >= begun.plus_ms((self.hours.len() as u64 + 1) * HOUR_MS) {
            let hour = self.hour();
            self.hours.push(hour);
        }
    }

    fn hour(&self) -> Hour {
        let store = &self.metrics.store;
        let bytes = bytes_on_disk(&self.dir);
        Hour {
            hour: self.hours.len() as u64 + 1,
            events: self.events,
            files: store.files.get().unsigned_abs(),
            bytes: bytes.0,
            catalogue_bytes: bytes.1,
            dropped: store.dropped_rows.get(),
            merged_bytes: store.merged_bytes.get(),
            handles: std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64),
            resident_bytes: serve::resident_bytes().unwrap_or_default(),
        }
    }

    /// How much more of something there is in the last third of the hours than in the second, by their medians.
    fn growth(&self, of: impl Fn(&Hour) -> u64) -> u64 {
        let third = self.hours.len() / 3;
        let median = |hours: &[Hour]| {
            let mut all: Vec<u64> = hours.iter().map(&of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        let (before, last) = self.hours.split_at(self.hours.len() - third);
        median(last).saturating_sub(median(before.get(third..).unwrap_or_default()))
    }

    /// What did not hold.
    fn faults(&self, reader: &Reader, config: &Config) -> Result<Vec<String>> {
        let mut faults: Vec<String> = Vec::new();
        let lost = self.metrics.store.lost.get();
        if lost > 0 {
            faults.push(format!("{lost} events were not kept"));
        }
        // What is written between two looks at the budget comes on top of it.
        let most = config.total_bytes_max + 4 * config.segment_bytes;
        for hour in self.hours.iter().filter(|hour| hour.bytes > most) {
            faults.push(format!("log and files take {} bytes after hour {}", hour.bytes, hour.hour));
        }
        if let Some((warm, rest)) = self.hours.split_at_checked(WARM_HOURS) {
            let handles = |hours: &[Hour]| hours.iter().map(|hour| hour.handles).max().unwrap_or_default();
            if handles(rest) > handles(warm) + HANDLES_MORE {
                faults.push(format!("{} files are open, {} were at first", handles(rest), handles(warm)));
            }
        }
        let memory = self.growth(|hour| hour.resident_bytes);
        if memory > MEMORY_MORE {
            faults.push(format!(
                "memory is {memory} bytes more in the last third of the hours than in the second"
            ));
        }
        faults.extend(reader.check().into_iter().filter_map(|file| file.fault));
        faults.extend(reader.faults()?.into_iter().map(|note| format!("{}: {}", note.what, note.why)));
        Ok(faults)
    }
}

/// Bytes of the files below a folder: of all but the catalogue, and of that.
fn bytes_on_disk(dir: &Path) -> (u64, u64) {
    let (mut others, mut catalogue) = (0, 0);
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        // What is deleted meanwhile is not there.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(it) if it.is_dir() => folders.push(entry.path()),
                Ok(it) if entry.file_name().to_string_lossy().starts_with("manifest.") => {
                    catalogue += it.len();
                }
                Ok(it) => others += it.len(),
                Err(_) => {}
            }
        }
    }
    (others, catalogue)
}

/// Runs it in a folder that is deleted afterwards, and prints what came of it.
///
/// # Errors
/// As [`keep`].
pub fn run(source: &'static dyn Source, seed: u64, hours: u64, json: bool) -> Result<u8> {
    let dir = tempfile::tempdir().map_err(Error::Runtime)?;
    let quiet = json || !std::io::stderr().is_terminal();
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(hours) };
    let style = ProgressStyle::with_template("{msg} {wide_bar} hour {pos} of {len} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(source.spec().name);
    let report = keep(source, seed, hours, dir.path(), &bar)?;
    bar.finish_and_clear();
    if json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        print(&report);
    }
    Ok(u8::from(!report.faults.is_empty()))
}

fn print(report: &Report) {
    let mut table = Table::new(&[
        "hour",
        "events",
        "files",
        "bytes on disk",
        "of the catalogue",
        "rows deleted",
        "bytes merged",
        "open files",
        "memory",
    ]);
    for hour in &report.hours {
        let numbers = [
            hour.hour,
            hour.events,
            hour.files,
            hour.bytes,
            hour.catalogue_bytes,
            hour.dropped,
            hour.merged_bytes,
            hour.handles,
            hour.resident_bytes,
        ];
        table.row(numbers.into_iter().map(Cell::right).collect());
    }
    table.print();
    let Report { budget_bytes, intervals, gaps, faults, .. } = report;
    println!("budget: {budget_bytes} bytes; coverage: {intervals} intervals, {gaps} of them gaps");
    for fault in faults {
        println!("{} {fault}", paint("wrong:", "31"));
    }
}
