//! A disk in memory that fails where it is told to, and loses its power as disks do: names that were not synced may be
//! there or not, and of bytes that were not synced any part, or zeros.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use store::disk::{Disk, Handle};

type File = Arc<Mutex<Bytes>>;

#[derive(Default)]
struct Bytes {
    all: Vec<u8>,
    synced: usize,
}

#[derive(Default)]
pub struct State {
    names: BTreeMap<String, File>,
    /// The names that outlive a loss of power.
    synced: BTreeMap<String, File>,
    locked: bool,
    /// How many operations there were that change something.
    pub operations: u64,
    /// The operations that fail.
    pub fails: std::ops::Range<u64>,
    luck: fastrand::Rng,
}

/// A handle on the disk; clones are handles on the same one.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    holds_lock: Arc<Mutex<bool>>,
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.state().luck = fastrand::Rng::with_seed(seed);
        disk
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Another process's view.
    #[expect(clippy::unnecessary_box_returns, reason = "it is handed over as a box")]
    pub fn again(&self) -> Box<Self> {
        Box::new(Self { state: self.state.clone(), holds_lock: Arc::default() })
    }

    /// All bytes of a file, to be changed.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.state().names[name].lock().unwrap().all);
    }

    pub fn delete(&self, name: &str) {
        self.state().names.remove(name);
    }

    /// Names and lengths.
    pub fn files(&self) -> Vec<(String, usize)> {
        self.state().names.iter().map(|(n, f)| (n.clone(), f.lock().unwrap().all.len())).collect()
    }

    /// The power fails and comes back. Who held a file holds nothing.
    pub fn lose_power(&self) -> Self {
        let mut state = self.state();
        let mut luck = state.luck.fork();
        let mut names = state.synced.clone();
        for name in state.names.keys().chain(state.synced.keys()) {
            if luck.bool() {
                match state.names.get(name) {
                    Some(file) => names.insert(name.clone(), file.clone()),
                    None => names.remove(name),
                };
            }
        }
        for file in names.values_mut() {
            let old = file.lock().unwrap();
            let kept = luck.usize(old.synced..=old.all.len());
            let mut all = old.all[..kept].to_vec();
            if luck.u8(0..4) == 0 {
                // The length was written, the bytes were not.
                all.resize(old.all.len(), 0);
            }
            let synced = all.len();
            drop(old);
            *file = Arc::new(Mutex::new(Bytes { all, synced }));
        }
        let state = State { synced: names.clone(), names, luck, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), holds_lock: Arc::default() }
    }
}

impl State {
    /// Counts an operation; gives whether it fails.
    fn operation(&mut self) -> bool {
        self.operations += 1;
        self.fails.contains(&self.operations)
    }

    fn file(&self, name: &str) -> io::Result<&File> {
        self.names.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn refused() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Disk for SimDisk {
    fn dir(&self) -> &Path {
        Path::new("sim")
    }

    fn lock(&mut self) -> io::Result<bool> {
        let free = !std::mem::replace(&mut self.state().locked, true);
        *self.holds_lock.lock().unwrap() = free;
        Ok(free)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = state.file(name)?.lock().unwrap();
        Ok(file.all[..file.all.len().min(usize::try_from(max).unwrap())].to_vec())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.state().file(name)?.lock().unwrap().all.len() as u64)
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn Handle>> {
        let mut state = self.state();
        if state.operation() {
            return Err(refused());
        }
        assert!(!state.names.contains_key(name), "{name} is there");
        let file = File::default();
        state.names.insert(name.to_owned(), file.clone());
        Ok(Box::new(SimHandle { state: self.state.clone(), file }))
    }

    fn cut(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.operation() {
            return Err(refused());
        }
        let mut file = state.file(name)?.lock().unwrap();
        file.all.truncate(usize::try_from(bytes).unwrap());
        file.synced = file.all.len();
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.operation() {
            return Err(refused());
        }
        state.names.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if state.operation() {
            return Err(refused());
        }
        state.synced = state.names.clone();
        Ok(())
    }
}

impl Drop for SimDisk {
    fn drop(&mut self) {
        if Arc::strong_count(&self.holds_lock) == 1 && *self.holds_lock.lock().unwrap() {
            self.state().locked = false;
        }
    }
}

struct SimHandle {
    state: Arc<Mutex<State>>,
    file: File,
}

impl Handle for SimHandle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let fails = state.operation();
        // A write that fails has written a part.
        let count = if fails { state.luck.usize(0..=bytes.len()) } else { bytes.len() };
        self.file.lock().unwrap().all.extend(&bytes[..count]);
        if fails { Err(refused()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.state.lock().unwrap().operation() {
            return Err(refused());
        }
        let mut file = self.file.lock().unwrap();
        file.synced = file.all.len();
        Ok(())
    }
}
