//! The catalogue of files: what each holds, and up to where the log stands in files.
//!
//! Every change is one transaction of an embedded database. A file is there when the catalogue names it: one that a kill
//! left behind without a name is deleted at the next start, and events are read from the log until the same transaction
//! that names their files says that they are sealed. Other processes may read while one writes. What it says is kept a
//! second time ([`journal`]): of that it is made again where it is damaged or missing ([`rebuild`]).

mod cold;
mod head;
mod image;
mod journal;
mod meta;
mod rebuild;
mod rows;

pub(crate) use cold::Cooling;
pub(crate) use image::Image;
pub use meta::Note;
pub(crate) use meta::{Change, FileMeta, Run, Sealed, State, channel_bits};
pub use rebuild::{RebuildReport, rebuild};

use crate::code::Code;
use crate::disk::{Disk as _, Files, Host, HostFiles};
use crate::ledger::{Interval, LaneName, Ledger};
use crate::{Error, Result, sweep};
use journal::Journal;
use redb::{ConcurrencyMode, Database, ReadOnlyDatabase, ReadableDatabase as _};
use rows::{FILES, LEDGER, NOTES, corrupted, facts, intervals, numbered};
use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The file of the catalogue in the store's folder.
pub(crate) const NAME: &str = "manifest.redb";
/// What a note says of events that were filled in later; why is their epoch.
pub(crate) const FILLED: &str = "filled";
/// Its name until it is whole.
const PART: &str = "manifest.redb.part";

/// How much memory the database may use to keep pages.
const CACHE_BYTES: usize = 4 << 20;

enum Base {
    /// With its journal, where one is kept.
    Write(Database, Option<Journal>),
    Read(ReadOnlyDatabase),
    /// There is no catalogue: nothing stands in files.
    None,
    /// The disk refused something, so that nobody knows what became of the last change: it is to be opened anew.
    Failed,
}

/// The catalogue of a folder.
pub(crate) struct Manifest {
    dir: PathBuf,
    files: Arc<dyn Files>,
    base: Mutex<Base>,
    state: RwLock<Arc<State>>,
    /// Held while it is changed.
    turn: Mutex<()>,
    /// The folders of files whose names are known to outlive a loss of power.
    folders: Mutex<HashSet<PathBuf>>,
}

impl Manifest {
    /// Opens the catalogue to write, and holds it against itself and its journal; it is made where it is not there and
    /// nothing says that it was.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it does not hold, [`Error::Catalogue`] where it cannot be opened.
    pub fn open(dir: &Path, files: Arc<dyn Files>) -> Result<Self> {
        let manifest = Self { files, base: Mutex::new(Base::Failed), ..Self::none(dir) };
        if !dir.join(NAME).exists() {
            create(dir, &*manifest.files)?;
        }
        manifest.reopen()?;
        Ok(manifest)
    }

    /// Opens the catalogue to read; `None` where there is none. One that was not closed is made whole first.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        if !dir.join(NAME).exists() {
            return Ok(None);
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let open = || guarded(|| Ok(builder.open_read_only(dir.join(NAME))?));
        let base = open().or_else(|error| match error {
            redb::Error::RepairAborted => {
                // Under the lock of those who write: one of them may be writing it anew.
                let mut host = Host::new(dir);
                if host.lock().is_ok_and(|is_ours| is_ours) {
                    guarded(|| Ok(self::builder().open(dir.join(NAME)).map(drop)?))?;
                }
                open()
            }
            error => Err(error),
        });
        let base = base.map_err(|e| failed(dir, "open", &e))?;
        let manifest = Self { base: Mutex::new(Base::Read(base)), ..Self::none(dir) };
        manifest.refresh_since(journal::generation(dir).map_err(disk("read", dir))?)?;
        Ok(Some(manifest))
    }

    /// The catalogue of a folder that has none.
    pub fn none(dir: &Path) -> Self {
        let (files, base) = (Arc::new(HostFiles), Mutex::new(Base::None));
        let (state, turn, folders) = <_>::default();
        Self { dir: dir.to_owned(), files, base, state, turn, folders }
    }

    /// Reads it again, for what another process has changed.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn refresh(&self) -> Result<()> {
        self.refresh_since(self.state().generation)
    }

    /// As [`Manifest::refresh`], of a catalogue that had so many changes at least.
    fn refresh_since(&self, generation: u64) -> Result<()> {
        let state = self.transaction(|read| {
            let (mut state, _) = facts(&read)?;
            for (id, bytes) in numbered(&read, FILES, state.sums.files)? {
                let file = FileMeta::take(&mut bytes.as_slice()).filter(|file| file.id == id);
                state.files.insert(id, Arc::new(file.ok_or_else(|| corrupted("entries"))?));
            }
            Ok(state)
        });
        let state = state.map_err(|error| failed(&self.dir, "read", &error))?;
        if state.generation < generation {
            let what = format!("it has {} changes of at least {generation}", state.generation);
            return Err(damaged(&self.dir, &what));
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(())
    }

    fn transaction<T: Default>(
        &self,
        read: impl FnOnce(redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let base = self.base();
        let transaction = match &*base {
            Base::Write(base, _) => base.begin_read(),
            Base::Read(base) => base.begin_read(),
            Base::None => return Ok(T::default()),
            Base::Failed => return Err(redb::Error::PreviousIo),
        };
        drop(base);
        guarded(|| read(transaction?))
    }

    /// Opens it anew where the disk refused something; what became of the last change is known then.
    ///
    /// # Errors
    /// As [`Manifest::open`]; it can be tried again.
    pub fn heal(&self) -> Result<()> {
        let _turn = self.turn();
        self.healed()
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn healed(&self) -> Result<()> {
        if !matches!(*self.base(), Base::Failed) {
            return Ok(());
        }
        let path = self.dir.join(NAME);
        self.files.settle(&path).map_err(|source| Error::Disk { doing: "write to", path, source })?;
        self.reopen()
    }

    /// Opens it to write, and begins its journal anew.
    fn reopen(&self) -> Result<()> {
        let journaled = journal::generation(&self.dir).map_err(disk("read", &self.dir))?;
        let base = guarded(|| Ok(self.files.database(&builder(), &self.dir.join(NAME))?));
        let base = base.map_err(|e| failed(&self.dir, "open", &e))?;
        *self.base() = Base::Write(base, None);
        let begun = self.refresh_since(journaled).and_then(|()| self.begin_journal());
        if begun.is_err() {
            *self.base() = Base::Failed;
        }
        begun
    }

    /// Begins the journal anew; where that fails, the catalogue is to be opened anew.
    fn begin_journal(&self) -> Result<()> {
        let (image, generation) = (self.image()?, self.state().generation);
        let begun = Journal::begin(&*self.files, &self.dir, generation, &image);
        self.journal(|journal| begun.map(|begun| *journal = Some(begun)))
    }

    /// Does something with the journal; where that fails, the catalogue is to be opened anew.
    fn journal<T: Default>(&self, act: impl FnOnce(&mut Option<Journal>) -> io::Result<T>) -> Result<T> {
        let mut base = self.base();
        let Base::Write(_, journal) = &mut *base else { return Ok(T::default()) };
        let done = act(journal);
        if done.is_err() {
            *base = Base::Failed;
        }
        done.map_err(disk("write to", &self.dir.join(journal::NAME)))
    }

    fn base(&self) -> MutexGuard<'_, Base> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk that it stands on.
    pub fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.files)
    }

    /// Makes a folder below the store's, and those between; their names outlive a loss of power when it returns.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let known = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(parent) = folder.parent().filter(|_| folder != self.dir && !known().contains(folder)) else {
            return Ok(());
        };
        self.make_folder(parent)?;
        match self.files.create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => {
                self.forget_folders();
                return Err(error);
            }
            Ok(()) => {}
        }
        // One that is there already may be left by a process that came no further.
        self.files.sync_names(parent)?;
        known().insert(folder.to_owned());
        Ok(())
    }

    /// Looks again for folders that were there: somebody may have taken them away.
    pub fn forget_folders(&self) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Deletes a folder where nothing is in it.
    pub fn remove_folder(&self, folder: &Path) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
        // Most folders are not empty.
        let _ = self.files.remove_dir(folder);
    }

    /// The folder of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it says now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it, for good when this returns.
    ///
    /// # Errors
    /// [`Error::Catalogue`]; whether it has changed is known when it is opened anew, which the next change does.
    pub fn commit(&self, change: Change) -> Result<()> {
        let _turn = self.turn();
        self.healed()?;
        let mut state = (*self.state()).clone();
        state.generation += 1;
        let frame = journal::frame(state.generation, &change).map_err(disk("write to", &self.dir))?;
        let done = self.written(|base| rows::write(base, &mut state, change));
        done.map_err(|error| failed(&self.dir, "write", &error))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        let is_long = self.journal(|journal| {
            let Some(journal) = journal else { return Ok(false) };
            journal.put(&frame)?;
            Ok(journal.is_long())
        })?;
        if is_long { self.begin_journal() } else { Ok(()) }
    }

    fn written(&self, write: impl FnOnce(&Database) -> Result<(), redb::Error>) -> Result<(), redb::Error> {
        let mut base = self.base();
        let written = match &*base {
            Base::Write(base, _) => write(base),
            Base::Failed => Err(redb::Error::PreviousIo),
            Base::Read(_) | Base::None => {
                return Err(redb::Error::Io(io::ErrorKind::ReadOnlyFilesystem.into()));
            }
        };
        if written.is_err() {
            // The database does nothing more after it was refused something.
            *base = Base::Failed;
        }
        written
    }

    /// The ledger up to what is sealed.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn ledger(&self) -> Result<Ledger> {
        let ledger = self.transaction(|read| {
            let (_, facts) = facts(&read)?;
            let Some((_, bytes)) = facts.iter().find(|(name, _)| &**name == LEDGER) else {
                return Ok(Ledger::default());
            };
            Ledger::from_bytes(bytes).ok_or_else(|| corrupted("ledger"))
        });
        ledger.map_err(|error| failed(&self.dir, "read", &error))
    }

    /// The intervals that are final of the lanes that are wanted, by lane and in the order of time.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn intervals(&self, wanted: impl Fn(&LaneName) -> bool) -> Result<Vec<Interval>> {
        let all = self.transaction(|read| {
            let mut all = Vec::new();
            for (_, bytes) in intervals(&read, facts(&read)?.0.sums.intervals)? {
                let interval = Interval::from_bytes(&bytes).ok_or_else(|| corrupted("intervals"))?;
                if wanted(&interval.lane) {
                    all.push(interval);
                }
            }
            Ok(all)
        });
        all.map_err(|error| failed(&self.dir, "read", &error))
    }

    /// What became of what was kept, the newest last.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn notes(&self) -> Result<Vec<Note>> {
        self.transaction(|read| {
            let notes = numbered(&read, NOTES, facts(&read)?.0.sums.notes)?;
            let take = |bytes: Vec<u8>| Note::take(&mut bytes.as_slice()).ok_or_else(|| corrupted("notes"));
            notes.into_iter().map(|(_, bytes)| take(bytes)).collect()
        })
        .map_err(|error| failed(&self.dir, "read", &error))
    }
}

/// How the catalogue is opened to write: held against itself, while others may read.
fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        .set_check_integrity_on_open(true);
    builder
}

/// The database may panic over a file that was changed behind it; that is damage like other damage.
fn guarded<T>(act: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    let done = catch_unwind(AssertUnwindSafe(act));
    done.unwrap_or_else(|_| Err(redb::Error::Corrupted("its pages do not hold".to_owned())))
}

/// Makes a catalogue that says nothing. It has its name only when it is whole.
fn create(dir: &Path, files: &dyn Files) -> Result<()> {
    if dir.join(journal::NAME).exists() || !sweep::ours(dir)?.is_empty() {
        return Err(damaged(dir, "it is missing, though there are files or a journal of it"));
    }
    let part = dir.join(PART);
    if part.exists() {
        files.remove(&part).map_err(disk("delete", &part))?;
    }
    files.database(&builder(), &part).map_err(|e| failed(dir, "create", &e.into()))?;
    let named = files.rename(&part, &dir.join(NAME)).and_then(|()| files.sync_names(dir));
    named.map_err(disk("rename", &part))
}

/// What the disk refused to do with a folder or file.
fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk { doing, path: path.to_owned(), source }
}

/// The catalogue does not hold; says what to do.
fn damaged(dir: &Path, what: &str) -> Error {
    let what = format!("{what}; `qingxi compact --rebuild` makes it again of its journal");
    Error::Damaged { path: dir.join(NAME), what }
}

fn failed(dir: &Path, doing: &'static str, error: &redb::Error) -> Error {
    let path = dir.join(NAME);
    match error {
        redb::Error::DatabaseAlreadyOpen => Error::InUse { path: dir.to_owned() },
        redb::Error::Corrupted(what) => damaged(dir, what),
        error => Error::Catalogue { doing, path, why: error.to_string() },
    }
}
