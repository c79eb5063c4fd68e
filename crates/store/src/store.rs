//! The store of a platform: log, files and catalogue of one folder.

use crate::archive::{Acked, Archive, Ended, words};
use crate::books::Books;
use crate::disk::Host;
use crate::log::{Log, Opened};
use crate::manifest::{Change, FileMeta, Manifest, Note};
use crate::merge::{self, MergeReport};
use crate::reader::Reader;
use crate::seal::{FOLDER, SealReport, seal};
use crate::shelf::{Cleanup, Shelf};
use crate::{Config, Error, Result};
use bus::{Bus, Cursor};
use metrics::Metrics;
use model::{Date, Ts};
use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A file that is no longer named is still there for so long, for those who read it.
const SWEEP_AFTER: Duration = Duration::from_mins(1);
/// Merging waits so long after the end of a day, and after the newest file of that day.
const DAY_GRACE_MS: u64 = 10 * 60_000;
const HOUR_MS: u64 = 3_600_000;
/// So many segments are sealed at once: their events are in memory meanwhile.
const SEAL_SEGMENTS: u64 = 2;
/// Files are looked after at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A folder that is open to write.
pub struct Store {
    log: Log,
    config: Config,
    keeper: Keeper,
}

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedStore {
    /// Of the log.
    pub log: Opened,
    /// How many files the catalogue names.
    pub files: usize,
    /// How many bytes they have.
    pub file_bytes: u64,
    /// The newest cursor in log or files.
    pub newest: Option<Cursor>,
    /// Files that a kill left behind, and that were deleted; their events are in the log, or in other files.
    pub orphans: Vec<PathBuf>,
}

impl Store {
    /// Opens a folder, which is made where it is not there. It blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process writes there, else what the disk says or what is damaged.
    pub fn open(config: Config) -> Result<(Self, OpenedStore)> {
        let (mut log, opened) = Log::open(Box::new(Host::new(&config.dir)), config.clone())?;
        let manifest = Arc::new(Manifest::open(&config.dir)?);
        let state = manifest.state();
        log.begin_after(state.sealed.segment);
        let orphans = sweep_orphans(&manifest)?;
        let newest = opened.newest.max(state.sealed.cursor);
        let files = state.files.len();
        let file_bytes = state.bytes();
        let shelf = Arc::new(Shelf::new(state.sealed, log.newest_ended()));
        let keeper = Keeper {
            manifest,
            shelf,
            config: config.clone(),
            books: Books::default(),
            trash: VecDeque::new(),
        };
        Ok((Self { log, config, keeper }, OpenedStore { log: opened, files, file_bytes, newest, orphans }))
    }

    /// Reads what is kept.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.keeper.manifest), Some(Arc::clone(&self.keeper.shelf)))
    }

    /// To ask for what is otherwise done when it is due.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.keeper.shelf))
    }

    /// The log alone, for one who numbers events without a bus.
    pub fn into_log(self) -> Log {
        self.log
    }

    /// Keeps every event that is published from now on.
    pub fn start(self, bus: &Arc<Bus>, metrics: Arc<Metrics>) -> Running {
        let Self { log, config, keeper } = self;
        let shelf = Arc::clone(&keeper.shelf);
        shelf.begin(bus.cursor());
        let archive = Archive::with(log, config, bus, Arc::clone(&metrics), Some(Arc::clone(&shelf)));
        let (stop, stopped) = watch::channel(false);
        let sealing = tokio::spawn(look_after(keeper, Arc::clone(&shelf), metrics, stopped));
        Running { archive, shelf, sealing, stop }
    }

    /// Writes everything as files and merges the files of each day; for a folder that no platform uses.
    ///
    /// # Errors
    /// [`Error`]; what was done stays.
    pub fn compact(mut self, mut on_step: impl FnMut(&Step)) -> Result<()> {
        let to = self.log.newest_ended();
        while let Some(step) = self.keeper.seal(to)? {
            on_step(&step);
        }
        while let Some(step) = self.keeper.merge(|_, _| true)? {
            on_step(&step);
        }
        if let Some(step) = self.keeper.retain(self.log.bytes(), None)? {
            on_step(&step);
        }
        self.keeper.sweep(Instant::now() + SWEEP_AFTER);
        self.log.release(self.keeper.manifest.state().sealed.segment)?;
        self.log.close()
    }
}

/// A store that keeps what is published.
pub struct Running {
    archive: Archive,
    shelf: Arc<Shelf>,
    sealing: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Tells what is safe, each time it changes.
    pub fn acked(&self) -> watch::Receiver<Acked> {
        self.archive.acked()
    }

    /// To ask for what is otherwise done when it is due.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.shelf))
    }

    /// Commits what was published up to now and closes the log. What is not in files yet is read from the log.
    pub async fn stop(self) -> Ended {
        let ended = self.archive.stop().await;
        // Where it has ended already nobody listens.
        let _ = self.stop.send(true);
        if self.sealing.await.is_err() {
            tracing::error!("what looks after the files ended by panic");
        }
        ended
    }
}

/// Asks a running store for what it does by itself when it is due.
#[derive(Clone)]
pub struct Control(Arc<Shelf>);

impl Control {
    /// Returns when every event that is safe now stands in files.
    pub async fn seal(&self) {
        let newest = self.0.hot.newest();
        if self.0.sealed().cursor < newest {
            self.0.want_end();
        }
        // What it waits for is held by what it waits with.
        let _ = self.0.on_sealed().wait_for(|sealed| sealed.cursor >= newest).await;
    }

    /// Deletes the files whose newest row is older than so many hours, and tells what went.
    ///
    /// # Errors
    /// [`Error`] where the catalogue refuses; [`Error::Stopped`] where the store does not run.
    pub async fn cleanup(&self, hours: u32) -> Result<Vec<Note>> {
        let (told, done) = oneshot::channel();
        self.0.cleanups.send(Cleanup { hours, told }).await.map_err(|_| Error::Stopped)?;
        done.await.map_err(|_| Error::Stopped)?
    }

    /// About how many bytes of memory the events take that stand in no file.
    pub fn hot_bytes(&self) -> u64 {
        self.0.hot.bytes()
    }
}

/// What was done to the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Events went from the log into files.
    Sealed(SealReport),
    /// Files became fewer.
    Merged(MergeReport),
    /// Files were deleted by age or budget.
    Dropped(Vec<Note>),
}

/// Looks after the files of a folder.
struct Keeper {
    manifest: Arc<Manifest>,
    shelf: Arc<Shelf>,
    config: Config,
    /// As of what is sealed.
    books: Books,
    /// Files that are no longer named, by when they were.
    trash: VecDeque<(Instant, PathBuf)>,
}

/// Seals what has ended, merges, deletes; until it is stopped.
async fn look_after(
    mut keeper: Keeper,
    shelf: Arc<Shelf>,
    metrics: Arc<Metrics>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ended = shelf.on_ended();
    ended.mark_changed();
    let Some(mut cleanups) = shelf.cleanups_asked() else { return };
    let mut more = false;
    loop {
        let wait = if more { Duration::ZERO } else { LOOK_EVERY };
        let cleanup = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            asked = cleanups.recv() => asked,
            _ = ended.changed() => None,
            () = tokio::time::sleep(wait) => None,
        };
        let (to, log_bytes) = (*ended.borrow_and_update(), metrics.store.disk_bytes.get());
        let done = tokio::task::spawn_blocking(move || {
            let step = match cleanup {
                Some(Cleanup { hours, told }) => keeper.clean(hours, told).map(Some),
                None => keeper.step(to, log_bytes.unsigned_abs()),
            };
            (keeper, step)
        });
        let Ok((back, step)) = done.await else {
            tracing::error!("what looks after the files ended by panic; the log goes on");
            metrics.store.file_failing.set(1);
            return;
        };
        keeper = back;
        more = tell(&metrics.store, &keeper.manifest, step);
        if metrics.store.file_failing.get() != 0 {
            let retry = Duration::from_millis(keeper.config.retry_ms);
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(retry) => {}
            }
        }
    }
}

/// Counts and says what a step did; whether there may be more to do.
fn tell(metrics: &metrics::Store, manifest: &Manifest, step: Result<Option<Step>>) -> bool {
    let state = manifest.state();
    metrics.files.set(state.files.len().cast_signed() as i64);
    metrics.file_bytes.set(state.bytes().cast_signed());
    let step = match step {
        Ok(step) => step,
        Err(error) => {
            metrics.file_failures.inc();
            if metrics.file_failing.set(1) == 0 {
                tracing::error!(error = words(&error), "events stay in the log: files cannot be written");
            }
            return false;
        }
    };
    if metrics.file_failing.set(0) != 0 {
        tracing::warn!("files are written again");
    }
    let Some(step) = step else { return false };
    match step {
        Step::Sealed(SealReport { events, files, bytes, faults }) => {
            metrics.sealed.inc_by(events);
            tracing::debug!(events, files, bytes, "sealed");
            for fault in faults {
                tracing::error!(fault, "the log did not read in full");
            }
        }
        Step::Merged(MergeReport { read, written, bytes_read, bytes_written }) => {
            metrics.merged_bytes.inc_by(bytes_read);
            tracing::debug!(read, written, bytes_read, bytes_written, "merged");
        }
        Step::Dropped(notes) => {
            for Note { table, count, why, .. } in notes {
                metrics.dropped_rows.inc_by(count);
                tracing::info!(table, rows = count, why, "old rows were deleted");
            }
        }
    }
    true
}

impl Keeper {
    /// Does the next thing that is due; `None` where nothing is.
    fn step(&mut self, ended: u64, log_bytes: u64) -> Result<Option<Step>> {
        self.sweep(Instant::now());
        if let Some(step) = self.seal(ended)? {
            return Ok(Some(step));
        }
        let now = self.manifest.state().sealed.at;
        let grace = Ts::default().plus_ms(DAY_GRACE_MS).0;
        let over = |day: Date, made: Ts| {
            let quiet_since = day.plus_days(1).start().max(made);
            quiet_since.0.saturating_add(grace) <= now.0
        };
        if let Some(step) = self.merge(over)? {
            return Ok(Some(step));
        }
        self.retain(log_bytes, None)
    }

    fn seal(&mut self, to: u64) -> Result<Option<Step>> {
        let sealed = self.shelf.sealed().segment;
        if to <= sealed {
            return Ok(None);
        }
        let report = seal(&self.manifest, &mut self.books, to.min(sealed + SEAL_SEGMENTS))?;
        self.shelf.seal(self.manifest.state().sealed);
        Ok(Some(Step::Sealed(report)))
    }

    fn merge(&mut self, over: impl Fn(Date, Ts) -> bool) -> Result<Option<Step>> {
        let Some(plan) = merge::plan(&self.manifest, over) else { return Ok(None) };
        let (report, replaced) = merge::merge(&self.manifest, &self.config, plan)?;
        self.discard(replaced.iter().map(|path| &**path));
        Ok(Some(Step::Merged(report)))
    }

    /// Deletes what is older than so many hours, and tells who asked.
    fn clean(&mut self, hours: u32, told: oneshot::Sender<Result<Vec<Note>>>) -> Result<Step> {
        let notes = match self.retain(0, Some(hours))? {
            Some(Step::Dropped(notes)) => notes,
            _ => Vec::new(),
        };
        // Who asked may have gone.
        let _ = told.send(Ok(notes.clone()));
        Ok(Step::Dropped(notes))
    }

    fn discard<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        let now = Instant::now();
        let dir = self.manifest.dir().to_owned();
        self.trash.extend(paths.map(|path| (now, dir.join(path))));
    }

    /// Deletes the files of which nobody can still read.
    fn sweep(&mut self, now: Instant) {
        while let Some((_, path)) =
            self.trash.pop_front_if(|(since, _)| now.saturating_duration_since(*since) >= SWEEP_AFTER)
        {
            if let Err(error) = fs::remove_file(&path) {
                // It is deleted at the next start.
                tracing::warn!(path = %path.display(), %error, "a file that is no longer needed was not deleted");
            }
            // Most folders are not empty.
            let _ = path.parent().map(fs::remove_dir);
        }
    }

    /// Deletes what is older than its table's rows are kept, or than `at_most` hours, then the oldest until the rest fits the
    /// budget.
    fn retain(&mut self, log_bytes: u64, at_most: Option<u32>) -> Result<Option<Step>> {
        let state = self.manifest.state();
        let now = state.sealed.at;
        let newest = |file: &FileMeta| file.runs.iter().map(|run| run.to).max().unwrap_or_default();
        let hours = |file: &FileMeta| {
            let keep = &self.config.keep_hours;
            let kept = keep.get(file.table.name()).or_else(|| keep.get("default")).copied();
            at_most.into_iter().chain(kept).min()
        };
        let mut files: Vec<&Arc<FileMeta>> = state.files.values().collect();
        files.sort_by_key(|file| newest(file));
        let mut bytes = log_bytes + state.bytes();
        let mut change = Change::default();
        let mut gone = Vec::new();
        for file in files {
            let old = hours(file).filter(|hours| newest(file).plus_ms(u64::from(*hours) * HOUR_MS) < now);
            let why = match old {
                Some(hours) => format!("older than {hours} hours"),
                None if bytes > self.config.total_bytes_max => {
                    format!("the folder has more than {} bytes", self.config.total_bytes_max)
                }
                None => continue,
            };
            bytes = bytes.saturating_sub(file.bytes);
            let (table, count) = (file.table.name().into(), file.rows);
            let why = format!("{}: {why}", file.path).into();
            change.notes.push(Note { at: now, what: "dropped".into(), table, count, why });
            change.remove.push(file.id);
            change.dropped.extend(file.runs.iter().map(|run| (file.table, run.last)).max());
            gone.push(file.path.clone());
        }
        if gone.is_empty() {
            return Ok(None);
        }
        let notes = change.notes.clone();
        self.manifest.commit(change)?;
        self.discard(gone.iter().map(|path| &**path));
        Ok(Some(Step::Dropped(notes)))
    }
}

/// Deletes the files that the catalogue does not name.
fn sweep_orphans(manifest: &Manifest) -> Result<Vec<PathBuf>> {
    let dir = manifest.dir();
    let state = manifest.state();
    let named: HashSet<PathBuf> = state.files.values().map(|file| dir.join(&*file.path)).collect();
    let mut orphans = Vec::new();
    let mut folders = vec![dir.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::Disk { doing: "list", path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !named.contains(&path) && is_ours(&path) {
                fs::remove_file(&path).map_err(|source| Error::Disk {
                    doing: "delete",
                    path: path.clone(),
                    source,
                })?;
                orphans.push(path);
            }
        }
    }
    Ok(orphans)
}

/// Whether a file has a name as ours have, so that what a user put there is left alone.
fn is_ours(path: &Path) -> bool {
    let ending = path.extension().is_some_and(|ending| ending == "parquet" || ending == "part");
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ending
        && name
            .split_once('-')
            .is_some_and(|(id, _)| id.len() >= 10 && id.bytes().all(|b| b.is_ascii_digit()))
}
