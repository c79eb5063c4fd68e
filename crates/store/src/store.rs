//! The store of a platform: log, files and catalogue of one folder.

use crate::archive::{Acked, Archive, Ended, words};
use crate::books::Books;
use crate::cold::{self, ColdStep, Tier};
use crate::disk::{Disk, Files, Host, HostFiles};
use crate::library::Library;
use crate::log::{Entry, Log, Opened};
use crate::manifest::{Change, FileMeta, Manifest, Note};
use crate::merge::{self, MergeReport, Plan};
use crate::reader::Reader;
use crate::seal::{SealReport, seal};
use crate::shelf::{Cleanup, Shelf};
use crate::sweep::Sweep;
use crate::{Config, Error, Result};
use bus::{Bus, Cursor};
use metrics::Metrics;
use model::{Date, Ts};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What is merged at once, with what was a moment ago, takes at most this part of the disk's budget.
const MERGE_SHARE: u64 = 4;
/// Merging waits so long after the end of a day, and after the newest file of that day.
const DAY_GRACE_MS: u64 = 10 * 60_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// So many segments are sealed at once: their events are in memory meanwhile.
const SEAL_SEGMENTS: u64 = 2;
/// Files are looked after at least so often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A folder that is open to write.
pub struct Store {
    log: Log,
    config: Config,
    keeper: Keeper,
    tier: Tier,
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
    /// [`Error::InUse`] where another process writes there, else what the disk says or what is damaged; a catalogue that is
    /// damaged or missing is made again by [`crate::rebuild`].
    pub fn open(config: Config) -> Result<(Self, OpenedStore)> {
        let host = Box::new(Host::new(&config.dir));
        Self::open_on(host, Arc::new(HostFiles), config)
    }

    /// As [`Store::open`], with the disks under the log and under files and catalogue, which are those of that folder.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        disk: Box<dyn Disk>,
        files: Arc<dyn Files>,
        config: Config,
    ) -> Result<(Self, OpenedStore)> {
        let (mut log, opened) = Log::open(disk, config.clone())?;
        let manifest = Arc::new(Manifest::open(&config.dir, files)?);
        let state = manifest.state();
        log.begin_after(state.sealed.segment);
        let mut sweep = Sweep::default();
        sweep.find(&manifest)?;
        let orphans = sweep.all(&manifest)?;
        let newest = opened.newest.max(state.sealed.cursor);
        let files = state.files.len();
        let file_bytes = state.bytes();
        let shelf = Arc::new(Shelf::new(state.sealed, log.newest_ended()));
        let library = Arc::new(Library::new(Arc::clone(&manifest)));
        let tier = Tier::open(Arc::clone(&manifest), Arc::clone(&library), config.cold.clone())?;
        let (books, failed) = <_>::default();
        let keeper = Keeper { manifest, library, shelf, config: config.clone(), books, sweep, failed };
        let opened = OpenedStore { log: opened, files, file_bytes, newest, orphans };
        Ok((Self { log, config, keeper, tier }, opened))
    }

    /// Reads what is kept.
    pub fn reader(&self) -> Reader {
        let Keeper { manifest, library, shelf, .. } = &self.keeper;
        Reader::new(Arc::clone(manifest), Some(Arc::clone(shelf)), Arc::clone(library))
    }

    /// To ask for what is otherwise done when it is due.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.keeper.shelf))
    }

    /// The log, for one who numbers events without a bus and has them written as files with [`Store::tend`].
    pub const fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// The log alone, for one who numbers events without a bus.
    pub fn into_log(self) -> Log {
        self.log
    }

    /// Reads what stands on the disk, also what was committed by [`Store::commit`].
    pub(crate) fn reader_of_disk(&self) -> Reader {
        let Keeper { manifest, library, .. } = &self.keeper;
        Reader::new(Arc::clone(manifest), None, Arc::clone(library))
    }

    /// Brings entries of one epoch to the log.
    pub(crate) fn commit(&mut self, entries: &[Entry]) -> Result<()> {
        self.log.commit(entries).map(|_| ())
    }

    /// Writes everything that is in the log as files.
    pub(crate) fn seal_all(&mut self) -> Result<()> {
        self.log.retire();
        let to = self.log.newest_ended();
        while self.keeper.healed(|keeper| keeper.seal(to))?.is_some() {}
        self.log.release(self.keeper.manifest.state().sealed.segment)
    }

    /// The catalogue of its files.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.keeper.manifest
    }

    /// Keeps every event that is published from now on.
    pub fn start(self, bus: &Arc<Bus>, metrics: Arc<Metrics>) -> Running {
        let Self { log, config, keeper, tier } = self;
        let shelf = Arc::clone(&keeper.shelf);
        shelf.begin(bus.cursor());
        let archive = Archive::with(log, config, bus, Arc::clone(&metrics), Some(Arc::clone(&shelf)));
        let (stop, stopped) = watch::channel(false);
        let cooling = tokio::spawn(cold::look_after(tier, Arc::clone(&metrics), stopped.clone()));
        let sealing = tokio::spawn(look_after(keeper, Arc::clone(&shelf), metrics, stopped));
        Running { archive, shelf, sealing, cooling, stop }
    }

    /// Writes everything as files, merges the files of each day, and brings those that are due to the cold tier; for a folder
    /// that no platform uses.
    ///
    /// # Errors
    /// [`Error`]; what was done stays.
    pub fn compact(mut self, mut on_step: impl FnMut(&Step)) -> Result<()> {
        self.tend(&mut on_step)?;
        self.log.close()?;
        while let Some(step) = self.tier.step(Duration::ZERO)? {
            on_step(&Step::Cold(step));
        }
        Ok(())
    }

    /// As [`Store::compact`], of a store that goes on: the segment in hand ends.
    ///
    /// # Errors
    /// [`Error`]; what was done stays, and calling it again goes on from there.
    pub fn tend(&mut self, mut on_step: impl FnMut(&Step)) -> Result<()> {
        self.log.retire();
        let to = self.log.newest_ended();
        let mut next = |keeper: &mut Keeper, step: &dyn Fn(&mut Keeper) -> Result<Option<Step>>| {
            let done = keeper.healed(step)?;
            done.iter().for_each(&mut on_step);
            Ok::<bool, Error>(done.is_some())
        };
        while next(&mut self.keeper, &|keeper| keeper.seal(to))? {}
        let merge = |keeper: &mut Keeper| {
            let plan = merge::plan(&keeper.manifest, u64::MAX, |_, _| true);
            plan.map(|plan| keeper.merge(plan.at_rest())).transpose()
        };
        while next(&mut self.keeper, &merge)? {}
        let log_bytes = self.log.bytes();
        next(&mut self.keeper, &|keeper| keeper.retain(log_bytes, None))?;
        self.keeper.sweep.all(&self.keeper.manifest)?;
        self.log.release(self.keeper.manifest.state().sealed.segment)
    }
}

/// A store that keeps what is published.
pub struct Running {
    archive: Archive,
    shelf: Arc<Shelf>,
    sealing: JoinHandle<()>,
    cooling: JoinHandle<()>,
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
        if self.cooling.await.is_err() {
            tracing::error!("what looks after the cold tier ended by panic");
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
    /// Something was done for the cold tier.
    Cold(ColdStep),
}

/// Looks after the files of a folder.
struct Keeper {
    manifest: Arc<Manifest>,
    library: Arc<Library>,
    shelf: Arc<Shelf>,
    config: Config,
    /// As of what is sealed.
    books: Books,
    sweep: Sweep,
    /// The last step failed: it may have left files without a name, and whether its change stands is not known.
    failed: bool,
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

/// Counts and says what a step did; whether there may be more to do, or it is to be done again.
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
            return true;
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
        // It is told where it is done.
        Step::Cold(_) => {}
    }
    true
}

impl Keeper {
    /// Does the next thing that is due; `None` where nothing is.
    fn step(&mut self, ended: u64, log_bytes: u64) -> Result<Option<Step>> {
        self.healed(|keeper| keeper.next(ended, log_bytes))
    }

    /// Takes a step; where the one before failed, looks first at what became of it.
    fn healed(&mut self, step: impl Fn(&mut Self) -> Result<Option<Step>>) -> Result<Option<Step>> {
        if std::mem::replace(&mut self.failed, true) {
            self.manifest.heal()?;
            self.sweep.find(&self.manifest)?;
        }
        let done = step(self)?;
        self.failed = false;
        Ok(done)
    }

    fn next(&mut self, ended: u64, log_bytes: u64) -> Result<Option<Step>> {
        self.sweep.due(&self.manifest, Duration::from_millis(self.config.sweep_ms));
        // First, so that the budget holds however much there is to seal and to merge.
        if let Some(step) = self.retain(log_bytes, None)? {
            return Ok(Some(step));
        }
        if let Some(step) = self.seal(ended)? {
            return Ok(Some(step));
        }
        let now = self.manifest.state().sealed.at;
        let grace = Ts::default().plus_ms(DAY_GRACE_MS).0;
        let over = |day: Date, made: Ts| {
            let quiet_since = day.plus_days(1).start().max(made);
            quiet_since.0.saturating_add(grace) <= now.0
        };
        // Rows are not deleted to merge others, but for so much as merging always needs.
        let room = (self.config.total_bytes_max / MERGE_SHARE).saturating_sub(self.sweep.bytes());
        let Some(plan) = merge::plan(&self.manifest, room, over) else { return Ok(None) };
        // What it writes stands beside what it reads.
        match self.retain(log_bytes + plan.bytes(), None)? {
            Some(step) => Ok(Some(step)),
            None => self.merge(plan).map(Some),
        }
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

    fn merge(&mut self, plan: Plan) -> Result<Step> {
        let (report, replaced) = merge::merge(&self.manifest, &self.config, plan)?;
        self.sweep.add(replaced.iter().map(|file| (self.manifest.dir().join(&*file.path), file.bytes)));
        Ok(Step::Merged(report))
    }

    /// Deletes what is older than so many hours, and tells who asked.
    fn clean(&mut self, hours: u32, told: oneshot::Sender<Result<Vec<Note>>>) -> Result<Step> {
        let notes = match self.healed(|keeper| keeper.retain(0, Some(hours)))? {
            Some(Step::Dropped(notes)) => notes,
            _ => Vec::new(),
        };
        // Who asked may have gone.
        let _ = told.send(Ok(notes.clone()));
        Ok(Step::Dropped(notes))
    }

    /// Deletes what is older than its table's rows are kept, or than `at_most` hours. Where the disk's budget is reached, what
    /// stands in the cold tier too goes from here first, then the oldest of what does not until the rest fits.
    fn retain(&mut self, log_bytes: u64, at_most: Option<u32>) -> Result<Option<Step>> {
        let state = self.manifest.state();
        let now = state.sealed.at;
        let hours = |file: &FileMeta| {
            let keep = &self.config.keep_hours;
            let kept = keep.get(file.table.name()).or_else(|| keep.get("default")).copied();
            at_most.into_iter().chain(kept).min()
        };
        let mut files: Vec<&Arc<FileMeta>> = state.files.values().collect();
        files.sort_by_key(|file| newest(file));
        let bytes_max = self.config.total_bytes_max;
        let is_cold = |file: &FileMeta| state.cold.contains(&file.id);
        let only_here: u64 = state.files.values().filter(|file| !is_cold(file)).map(|file| file.bytes).sum();
        let mut bytes = log_bytes + only_here + self.sweep.bytes();
        if !state.cold.is_empty() {
            bytes += self.library.shrink(&state, bytes_max.saturating_sub(bytes)).1;
        }
        let mut change = Change::default();
        let mut gone = Vec::new();
        for file in files {
            let old = hours(file).filter(|hours| newest(file).plus_ms(u64::from(*hours) * HOUR_MS) < now);
            let why = match old {
                Some(hours) => format!("older than {hours} hours"),
                None if bytes > bytes_max && !is_cold(file) => {
                    format!("the folder has more than {bytes_max} bytes")
                }
                None => continue,
            };
            if !is_cold(file) {
                bytes = bytes.saturating_sub(file.bytes);
            }
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
        // They count no more: otherwise as much again would go for each of them.
        self.sweep.add(gone.iter().map(|path| (self.manifest.dir().join(&**path), 0)));
        Ok(Some(Step::Dropped(notes)))
    }
}

/// When the newest row of a file happened.
pub(crate) fn newest(file: &FileMeta) -> Ts {
    file.runs.iter().map(|run| run.to).max().unwrap_or_default()
}
