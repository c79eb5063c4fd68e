//! The files of a folder, wherever they stand: open in memory, on the disk, or in the cold tier, from where they are
//! fetched whole. What is fetched stands under the name that the file has here, and stays as long as the cache has room.

use crate::cold::{self, Place};
use crate::copy::{land, lasting_name};
use crate::file::Opened;
use crate::manifest::{FileMeta, Manifest, State};
use crate::reader::ColdSize;
use crate::{Error, Result, merge};
use hashbrown::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many files are kept open between questions.
const OPEN_MAX: usize = 256;
/// So many files can be fetched at once.
const FETCHES_MAX: usize = 16;
/// A file that goes while it is opened is fetched again so often.
const TRIES_MAX: usize = 4;

/// The number of the next fetch of this process.
static FETCH: AtomicU64 = AtomicU64::new(0);

/// The files that a catalogue names.
pub(crate) struct Library {
    manifest: Arc<Manifest>,
    open: Mutex<HashMap<u64, Opened>>,
    /// The cold tier as it was last opened.
    place: Mutex<Option<Named>>,
    /// One is held while a file is fetched, by the file's number.
    fetches: [Mutex<()>; FETCHES_MAX],
    /// How many need a file to stay where it is.
    pins: Mutex<HashMap<u64, usize>>,
    /// Which read each file was the last one of, of this process.
    last_read: Mutex<HashMap<u64, u64>>,
    /// Whether files are fetched at all.
    fetches_any: bool,
    pub reads: Reads,
}

/// A cold tier and the config that names it.
struct Named {
    config: Arc<cold::Config>,
    place: Arc<dyn Place>,
}

/// How often a file was there, by where it was found.
#[derive(Default)]
pub(crate) struct Reads {
    /// It was open already.
    pub memory: AtomicU64,
    /// It was opened on the disk.
    pub disk: AtomicU64,
    /// It was fetched first.
    pub network: AtomicU64,
    /// How many bytes were fetched.
    pub fetched_bytes: AtomicU64,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Library {
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self {
            manifest,
            open: Mutex::default(),
            place: Mutex::default(),
            fetches: Default::default(),
            pins: Mutex::default(),
            last_read: Mutex::default(),
            fetches_any: true,
            reads: Reads::default(),
        }
    }

    /// Those that are here, for one who must not wait for a network.
    pub fn here(manifest: Arc<Manifest>) -> Self {
        Self { fetches_any: false, ..Self::new(manifest) }
    }

    fn path(&self, file: &FileMeta) -> PathBuf {
        self.manifest.dir().join(&*file.path)
    }

    /// A file that is open, or opened now.
    ///
    /// # Errors
    /// [`Error::Cold`] where it cannot be fetched, else as [`Opened::open`].
    pub fn open(&self, file: &FileMeta) -> Result<Opened> {
        let known = lock(&self.open).get(&file.id).cloned();
        if let Some(opened) = known {
            self.reads.memory.fetch_add(1, Ordering::Relaxed);
            self.touch(file);
            return Ok(opened);
        }
        self.pin(file.id);
        let opened = self.with_local(file, || merge::open(&self.manifest, file));
        self.unpin(file.id);
        let opened = opened?;
        let mut open = lock(&self.open);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(file.id, opened.clone());
        Ok(opened)
    }

    /// Does something with a file that stands on the disk, where it is fetched to if need be.
    fn with_local<T>(&self, file: &FileMeta, done: impl Fn() -> Result<T>) -> Result<T> {
        let mut level = &self.reads.disk;
        let mut tries = 0;
        loop {
            match done() {
                Err(Error::Disk { source, .. })
                    if source.kind() == io::ErrorKind::NotFound
                        && tries < TRIES_MAX
                        && self.fetches_any
                        && self.manifest.is_cold(file.id)? =>
                {
                    tries += 1;
                    level = &self.reads.network;
                    self.fetch(file)?;
                }
                done => {
                    level.fetch_add(1, Ordering::Relaxed);
                    self.touch(file);
                    return done;
                }
            }
        }
    }

    /// Notes that a file of the cache was read now.
    fn touch(&self, file: &FileMeta) {
        if !self.manifest.state().cold.contains(&file.id) {
            return;
        }
        let Reads { memory, disk, network, .. } = &self.reads;
        let read = [memory, disk, network].iter().map(|count| count.load(Ordering::Relaxed)).sum();
        lock(&self.last_read).insert(file.id, read);
    }

    /// Wants a file to stay where it is.
    fn pin(&self, file: u64) {
        *lock(&self.pins).entry(file).or_default() += 1;
    }

    fn unpin(&self, file: u64) {
        let mut pins = lock(&self.pins);
        if let Some(count) = pins.get_mut(&file) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&file);
            }
        }
    }

    /// The cold tier that the catalogue names.
    fn place(&self) -> Result<Arc<dyn Place>> {
        let config = self.manifest.state().place.clone();
        let config = config.ok_or_else(|| cold::nowhere(self.manifest.dir()))?;
        let mut open = lock(&self.place);
        if let Some(known) = open.as_ref().filter(|known| known.config == config) {
            return Ok(Arc::clone(&known.place));
        }
        let place: Arc<dyn Place> = cold::open(&config, Arc::default())?.into();
        *open = Some(Named { config, place: Arc::clone(&place) });
        Ok(place)
    }

    /// What the cold tier has of a file, to be held against its checksums; `None` where it has none.
    ///
    /// # Errors
    /// [`Error::Cold`].
    pub fn object(&self, file: &FileMeta) -> Result<Option<(PathBuf, Box<dyn Read + Send>)>> {
        if !self.manifest.is_cold(file.id)? {
            return Ok(None);
        }
        let (place, key) = (self.place()?, lasting_name(file));
        Ok(Some((place.name(&key).into(), place.read(&key, file.bytes)?)))
    }

    /// Brings a file here, once also where many ask for it.
    fn fetch(&self, file: &FileMeta) -> Result<()> {
        let turn = usize::try_from(file.id % FETCHES_MAX as u64).unwrap_or_default();
        let _turn = self.fetches.get(turn).map(lock);
        let path = self.path(file);
        if path.exists() {
            return Ok(());
        }
        let Some((named, object)) = self.object(file)? else { return Ok(()) };
        let state = self.manifest.state();
        if let Some(place) = &state.place {
            self.shrink(&state, place.cache_bytes.saturating_sub(file.bytes));
        }
        // Others may fetch it too, in this process or another. What a kill leaves is deleted at the next start of the store.
        let (process, fetch) = (std::process::id(), FETCH.fetch_add(1, Ordering::Relaxed));
        let mine = path.with_extension(format!("{process}-{fetch}.part"));
        let sums = (file.bytes, &*file.chunks);
        land(object, &named, &mine, sums, |_| {}).map_err(|error| {
            // Perhaps there was no room for it.
            let _ = fs::remove_file(mine.with_added_extension("part"));
            cold::fetching(error, &named)
        })?;
        fs::rename(&mine, &path).map_err(|source| Error::Disk { doing: "rename", path: mine, source })?;
        self.reads.fetched_bytes.fetch_add(file.bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The files that stand here and in the cold tier: first those that this process has not read, by when they came, then
    /// those that it read longest ago.
    pub fn cached(&self, state: &State) -> Vec<Arc<FileMeta>> {
        let mut last_read = lock(&self.last_read);
        last_read.retain(|id, _| state.cold.contains(id));
        let cold = state.cold.iter().filter_map(|id| state.files.get(id));
        let here = cold.filter_map(|file| {
            let came = fs::metadata(self.path(file)).and_then(|it| it.modified()).ok()?;
            Some(((last_read.get(&file.id).copied(), came, file.id), file))
        });
        let mut here: Vec<_> = here.collect();
        here.sort_by_key(|(order, _)| *order);
        here.into_iter().map(|(_, file)| Arc::clone(file)).collect()
    }

    /// Deletes what stands in the cold tier too until the rest has at most so many bytes; those that were read longest ago
    /// go first. It gives what went, and how many bytes there are now. One that is being read is open until that ends.
    pub fn shrink(&self, state: &State, bytes_max: u64) -> (Vec<Arc<FileMeta>>, u64) {
        let cached = self.cached(state);
        let mut bytes: u64 = cached.iter().map(|file| file.bytes).sum();
        let (mut gone, mut here) = (Vec::new(), HashSet::new());
        for file in cached {
            // Nobody can want it to stay between the look and the deletion.
            let pins = lock(&self.pins);
            if bytes > bytes_max
                && !pins.contains_key(&file.id)
                && self.manifest.files().remove(&self.path(&file)).is_ok()
            {
                bytes -= file.bytes;
                gone.push(file);
            } else {
                here.insert(file.id);
            }
        }
        let freed = |id: &u64| state.cold.contains(id) && !here.contains(id);
        lock(&self.open).retain(|id, opened| !freed(id) || opened.in_use());
        (gone, bytes)
    }

    /// Brings a file here; it stays as long as what this gives.
    ///
    /// # Errors
    /// As [`Library::open`].
    fn hold(self: &Arc<Self>, file: &FileMeta) -> Result<Held> {
        self.pin(file.id);
        let held = Held { library: Arc::clone(self), id: file.id };
        let path = self.path(file);
        let there = || {
            fs::metadata(&path).map_err(|source| Error::Disk { doing: "read", path: path.clone(), source })
        };
        self.with_local(file, there)?;
        Ok(held)
    }

    /// Every byte of it, here and in the cold tier.
    ///
    /// # Errors
    /// What does not hold, or why it cannot be read.
    pub fn check(&self, file: &FileMeta) -> Result<()> {
        let path = self.path(file);
        let object = self.object(file)?;
        if object.is_none() || path.exists() {
            let opened = merge::open(&self.manifest, file)?;
            opened.check().map_err(|e| Error::Damaged { path, what: e.to_string() })?;
        }
        let Some((named, object)) = object else { return Ok(()) };
        cold::hold(object, &named, file)
    }
}

impl Library {
    /// What stands in the cold tier, and how much of it here too.
    pub fn size(&self, state: &State) -> ColdSize {
        let cached = self.cached(state);
        let bytes = |files: &mut dyn Iterator<Item = &Arc<FileMeta>>| files.map(|file| file.bytes).sum();
        ColdSize {
            files: state.cold.len() as u64,
            bytes: bytes(&mut state.cold.iter().filter_map(|id| state.files.get(id))),
            cached_files: cached.len() as u64,
            cached_bytes: bytes(&mut cached.iter()),
        }
    }

    /// Brings the metrics up to date.
    pub fn tell(&self, metrics: &metrics::Store, state: &State) {
        let Reads { memory, disk, network, fetched_bytes } = &self.reads;
        for (level, count) in [("memory", memory), ("disk", disk), ("network", network)] {
            let level = metrics::Level { level };
            metrics::raise(&metrics.file_reads.get_or_create(&level), count.load(Ordering::Relaxed));
        }
        metrics::raise(&metrics.cold_fetched_bytes, fetched_bytes.load(Ordering::Relaxed));
        let ColdSize { files, bytes, cached_bytes, .. } = self.size(state);
        metrics.cold_files.set(files.cast_signed());
        metrics.cold_bytes.set(bytes.cast_signed());
        metrics.cold_cached_bytes.set(cached_bytes.cast_signed());
    }
}

/// A file that may stand in the cold tier only.
pub struct Cold {
    library: Arc<Library>,
    file: Arc<FileMeta>,
}

impl Cold {
    pub(crate) fn new(library: &Arc<Library>, file: &Arc<FileMeta>) -> Self {
        Self { library: Arc::clone(library), file: Arc::clone(file) }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// Brings it here; it blocks for as long as that takes.
    ///
    /// # Errors
    /// [`Error`] where it cannot be fetched.
    pub fn bring(&self) -> Result<Held> {
        self.library.hold(&self.file)
    }
}

/// A file that stays where it is.
pub struct Held {
    library: Arc<Library>,
    id: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.library.unpin(self.id);
    }
}
