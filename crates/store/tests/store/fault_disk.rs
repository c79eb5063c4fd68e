//! A disk under log, files and catalogue that counts what is done to it, and at one operation fails, ends as a kill does, or
//! loses its power. What is written goes to a real folder, so that it is read as always; what would be left after a loss of
//! power is kept beside: of names that were not synced either, of bytes that were not synced any part.

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use store::disk::{Disk, Files, Handle, Host, HostFiles};

/// An empty folder in memory, where the host has such: what is tested there does not hang on what it syncs.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A change of a file that was not synced.
#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, new) => {
                let at = usize::try_from(*at).unwrap();
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(new);
            }
            Self::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        }
    }
}

/// A file, whatever its name.
#[derive(Debug, Default)]
struct Node {
    safe: Vec<u8>,
    waiting: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File(usize),
}

#[derive(Debug)]
struct State {
    dir: PathBuf,
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, Entry>,
    /// The names that outlive a loss of power.
    safe_names: BTreeMap<PathBuf, Entry>,
    /// What was done.
    operations: Vec<String>,
    fails: Option<usize>,
    ends: Option<usize>,
    /// The next operation that has this in its words fails.
    refuses: Option<String>,
    luck: fastrand::Rng,
}

/// A handle on the disk; clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct FaultDisk(Arc<Mutex<State>>);

impl FaultDisk {
    /// A disk with an empty folder.
    pub fn new(dir: &Path, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            dir: dir.to_owned(),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            operations: Vec::new(),
            fails: None,
            ends: None,
            refuses: None,
            luck: fastrand::Rng::with_seed(seed),
        })))
    }

    /// That operation fails, and those after it do not.
    pub fn fail(self, operation: usize) -> Self {
        self.state().fails = Some(operation);
        self
    }

    /// From that operation on nothing is done.
    pub fn end(self, operation: usize) -> Self {
        self.state().ends = Some(operation);
        self
    }

    /// The next operation that has this in its words fails.
    pub fn refuse(&self, what: &str) {
        self.state().refuses = Some(what.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What was done, in words.
    pub fn operations(&self) -> Vec<String> {
        self.state().operations.clone()
    }

    /// Whether it came to the operation from which on nothing is done.
    pub fn has_ended(&self) -> bool {
        let state = self.state();
        state.ends.is_some_and(|ends| state.operations.len() > ends)
    }

    /// What the log stands on.
    pub fn log(&self) -> Box<dyn Disk> {
        let dir = self.state().dir.clone();
        Box::new(FaultLog { disk: self.clone(), host: Host::new(&dir), dir })
    }

    /// The power fails: lays down in an empty folder what is left.
    pub fn lose_power(&self, to: &Path) {
        let mut state = self.state();
        let State { dir, nodes, names, safe_names, luck, .. } = &mut *state;
        let mut all: Vec<&PathBuf> = names.keys().chain(safe_names.keys()).collect();
        all.sort_unstable();
        all.dedup();
        for path in all {
            let side = if luck.bool() { &*names } else { &*safe_names };
            let Some(entry) = side.get(path) else { continue };
            let place = to.join(path.strip_prefix(&*dir).unwrap());
            if !place.parent().unwrap().is_dir() {
                continue;
            }
            match entry {
                Entry::Folder => fs::create_dir(place).unwrap(),
                Entry::File(node) => fs::write(place, nodes[*node].after(luck)).unwrap(),
            }
        }
    }
}

impl Node {
    /// What a loss of power leaves of it.
    fn after(&self, luck: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        for change in &self.waiting {
            match (luck.u8(0..4), change) {
                (0, _) => {}
                (1, Change::Write(at, new)) => {
                    Change::Write(*at, new[..luck.usize(0..=new.len())].to_vec()).apply(&mut bytes);
                }
                _ => change.apply(&mut bytes),
            }
        }
        bytes
    }

    fn sync(&mut self) {
        for change in self.waiting.drain(..) {
            change.apply(&mut self.safe);
        }
    }

    /// A sync failed: what waited is on the disk or not, and is taken for written either way.
    fn fail_to_sync(&mut self, luck: &mut fastrand::Rng) {
        for change in self.waiting.drain(..) {
            if luck.bool() {
                change.apply(&mut self.safe);
            }
        }
    }
}

impl State {
    /// Counts an operation; an error where it is not to be done.
    fn operation(&mut self, what: &str, path: &Path) -> io::Result<()> {
        let number = self.operations.len();
        let words = format!("{what} {}", path.strip_prefix(&self.dir).unwrap_or(path).display());
        let refused = self.refuses.take_if(|refuses| words.contains(&**refuses)).is_some();
        self.operations.push(words);
        if self.ends.is_some_and(|ends| number >= ends) {
            return Err(io::Error::other("the process is killed"));
        }
        if refused || self.fails == Some(number) {
            let kinds = [io::Error::from(io::ErrorKind::StorageFull), io::Error::from_raw_os_error(5)];
            return Err(self.luck.choice(kinds).unwrap());
        }
        Ok(())
    }

    /// Counts a write; gives how many bytes are written, and the error after them.
    fn write(&mut self, path: &Path, bytes: usize) -> (usize, io::Result<()>) {
        let done = self.operation("write", path);
        let last = [self.fails, self.ends].contains(&Some(self.operations.len() - 1));
        let count = if done.is_ok() { bytes } else { usize::from(last) * self.luck.usize(0..=bytes) };
        (count, done)
    }

    fn sync(&mut self, path: &Path, node: usize) -> io::Result<()> {
        let done = self.operation("sync", path);
        match done {
            Ok(()) => self.nodes[node].sync(),
            Err(_) => self.nodes[node].fail_to_sync(&mut self.luck),
        }
        done
    }

    fn add(&mut self, path: &Path) -> usize {
        self.nodes.push(Node::default());
        self.names.insert(path.to_owned(), Entry::File(self.nodes.len() - 1));
        self.nodes.len() - 1
    }

    fn node(&mut self, path: &Path) -> &mut Node {
        let Entry::File(node) = self.names[path] else { panic!("{} is no file", path.display()) };
        &mut self.nodes[node]
    }

    fn sync_names(&mut self, dir: &Path) -> io::Result<()> {
        self.operation("sync the names of", dir)?;
        self.safe_names.retain(|path, _| path.parent() != Some(dir));
        let now = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        self.safe_names.extend(now.map(|(path, entry)| (path.clone(), *entry)));
        Ok(())
    }
}

impl Files for FaultDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("make", dir)?;
        HostFiles.create_dir(dir)?;
        state.names.insert(dir.to_owned(), Entry::Folder);
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let mut state = self.state();
        state.operation("create", path)?;
        let file = File::create(path)?;
        let node = state.add(path);
        Ok(Box::new(FaultFile { disk: self.clone(), path: path.to_owned(), node, file, at: 0 }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("rename", to)?;
        HostFiles.rename(from, to)?;
        let entry = state.names.remove(from).unwrap();
        state.names.insert(to.to_owned(), entry);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("delete", path)?;
        HostFiles.remove(path)?;
        state.names.remove(path).unwrap();
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("delete", dir)?;
        HostFiles.remove_dir(dir)?;
        state.names.remove(dir).unwrap();
        Ok(())
    }

    fn sync_names(&self, dir: &Path) -> io::Result<()> {
        self.state().sync_names(dir)
    }

    fn settle(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operation("settle", path)?;
        let safe = fs::read(path)?;
        *state.node(path) = Node { safe, waiting: Vec::new() };
        Ok(())
    }

    fn database(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        let mut state = self.state();
        state.operation("open", path)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let node = match state.names.get(path) {
            Some(Entry::File(node)) => *node,
            _ => state.add(path),
        };
        drop(state);
        let backend =
            FaultBackend { disk: self.clone(), path: path.to_owned(), node, real: FileBackend::new(file)? };
        builder.create_with_backend(backend)
    }
}

/// A file that is appended to.
struct FaultFile {
    disk: FaultDisk,
    path: PathBuf,
    node: usize,
    file: File,
    at: u64,
}

impl Handle for FaultFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let (count, done) = state.write(&self.path, bytes.len());
        self.file.write_all(&bytes[..count])?;
        state.nodes[self.node].waiting.push(Change::Write(self.at, bytes[..count].to_vec()));
        self.at += count as u64;
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().sync(&self.path, self.node)
    }
}

/// The folder of the log.
struct FaultLog {
    disk: FaultDisk,
    host: Host,
    dir: PathBuf,
}

impl Disk for FaultLog {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&mut self) -> io::Result<bool> {
        self.host.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.host.list()
    }

    fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        self.host.read(name, max)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.host.len(name)
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn Handle>> {
        let path = self.dir.join(name);
        assert!(!path.exists(), "{name} is there");
        self.disk.create(&path)
    }

    fn cut(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let path = self.dir.join(name);
        let mut state = self.disk.state();
        state.operation("cut", &path)?;
        self.host.cut(name, bytes)?;
        let node = state.node(&path);
        node.sync();
        node.safe.truncate(usize::try_from(bytes).unwrap());
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.dir.join(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.disk.state().sync_names(&self.dir)
    }
}

/// The file of the catalogue.
#[derive(Debug)]
struct FaultBackend {
    disk: FaultDisk,
    path: PathBuf,
    node: usize,
    real: FileBackend,
}

type Place = Bound<u64>;

impl StorageBackend for FaultBackend {
    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.real.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operation("set the length of", &self.path)?;
        self.real.set_len(length)?;
        state.nodes[self.node].waiting.push(Change::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().sync(&self.path, self.node)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let (count, done) = state.write(&self.path, bytes.len());
        self.real.write(offset, &bytes[..count])?;
        state.nodes[self.node].waiting.push(Change::Write(offset, bytes[..count].to_vec()));
        done
    }

    fn close(&self) -> io::Result<()> {
        self.real.close()
    }

    fn try_lock_range(&self, start: Place, end: Place) -> Result<bool, BackendError> {
        self.real.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Place, end: Place) -> Result<bool, BackendError> {
        self.real.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Place, end: Place) -> Result<(), BackendError> {
        self.real.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Place, end: Place) -> Result<(), BackendError> {
        self.real.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Place, end: Place) -> Result<(), BackendError> {
        self.real.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Place, end: Place) -> Result<bool, BackendError> {
        self.real.query_lock_range(start, end)
    }
}
